"""Scalars and images of a training for TensorBoard, where that is installed."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from torch import Tensor

from refsr_bench.core.files import cannot_write

FOLDER = "tensorboard"

log = logging.getLogger(__name__)


class Board:
    """Event files in ``folder/tensorboard``; entries after iteration ``after`` go. Writes nothing without TensorBoard.

    lines: the file that holds the same numbers, which is named once when TensorBoard is not installed.
    """

    def __init__(self, folder: Path, after: int, lines: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            log.warning("TensorBoard is not installed (pip install tensorboard): the log goes to %s alone.", lines)
            self._writer = None
        else:
            self._folder = folder / FOLDER
            with _told(self._folder):
                self._writer = SummaryWriter(str(self._folder), purge_step=after + 1)

    def write(self, iteration: int, values: Mapping[str, float], images: Mapping[str, Tensor]) -> None:
        """Add numbers and images ((3, H, W), [0, 1]) of one iteration. Raises BenchError when the disk refuses."""
        if self._writer is None:
            return
        with _told(self._folder):
            for name, value in values.items():
                self._writer.add_scalar(name, value, iteration)
            for name, picture in images.items():
                self._writer.add_image(name, picture.detach().float().clamp(0, 1).cpu(), iteration)
            self._writer.flush()


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn the refusal of a disk into the error for a person."""
    before = threading.excepthook
    # TensorBoard's thread raises the error here as well; by itself it would print a traceback
    threading.excepthook = lambda caught: None if isinstance(caught.exc_value, OSError) else before(caught)
    try:
        yield
    except OSError as error:
        raise cannot_write(path, error) from None
    finally:
        threading.excepthook = before
