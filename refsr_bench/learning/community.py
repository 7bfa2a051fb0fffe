"""Networks of other people's models: spandrel builds them from the tensors of a file that our own reader has read.

spandrel's own loader is never asked, because it hands files to ``torch.load``. Its builders read sizes off a stranger's
tensors, so what they allocate is counted first.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from refsr_bench.core.cards import LoadedMethod
from refsr_bench.core.errors import BenchError, NoWeights
from refsr_bench.core.schema import Arithmetic, Code, Weights
from refsr_bench.core.types import Image, Prediction
from refsr_bench.formats.checkpoints import check_finite, read_metadata, read_weights, sha256
from refsr_bench.formats.keys import readings
from refsr_bench.learning.hardware import Hardware
from refsr_bench.learning.weights import at_most

if TYPE_CHECKING:
    from spandrel import ModelDescriptor
    from torch import Tensor

VERSION = 1  # raised when the same file gives other images, as a card's
INSTALL = "pip install spandrel"
MOST_SPARE = 1 << 26  # numbers that a network may allocate beyond eight times those in its file: masks, tables
LICENSE_KEYS = ("modelspec.license", "license", "licence")  # in the metadata of a .safetensors file


def available() -> bool:
    """Tell whether spandrel is installed."""
    return find_spec("spandrel") is not None


def describe(path: Path) -> ModelDescriptor:
    """Return spandrel's description of a file's model, with the network and its weights, on the CPU.

    Raises Misuse for a missing file, NoWeights without spandrel, BenchError for a damaged file, one whose tensors no
    architecture knows, and one that is no model for super-resolution of colour images.
    """
    if not available():
        raise NoWeights(
            f"{path}: no method of the catalogue knows its tensors. Other networks need spandrel: {INSTALL}"
        )
    from spandrel import UnsupportedModelError

    state = read_weights(path)
    check_finite(state, path)
    for reading in readings(state):
        try:
            return _usable(_built(reading), path)
        except UnsupportedModelError:
            continue
        except BenchError:
            raise
        except Exception as error:  # builders trip over shapes and names that they do not expect, in any way
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
            raise BenchError(
                f"{path}: its tensors look like an architecture that spandrel knows, but do not fit it ({reason})."
            ) from None
    raise BenchError(f"{path}: neither a method of the catalogue nor an architecture of spandrel's knows its tensors.")


def _usable(found: ModelDescriptor, path: Path) -> ModelDescriptor:
    """Return a description of a model that makes a colour image larger. Raises BenchError in words for another."""
    kind = {"Inpainting": "fills holes in an image", "FaceSR": "restores faces alone", "Restoration": "cleans an image"}
    name = found.architecture.name
    if found.purpose in kind:
        raise BenchError(f"{path}: {name}, a model that {kind[found.purpose]} and does not enlarge it.")
    if found.scale < 2:
        raise BenchError(f"{path}: {name} for x{found.scale}, which does not enlarge the image.")
    if (found.input_channels, found.output_channels) != (3, 3):
        raise BenchError(
            f"{path}: {name} takes {found.input_channels} channels and gives {found.output_channels}; only models from "
            "RGB to RGB are run."
        )
    return found


def _built(state: Mapping[str, Tensor]) -> ModelDescriptor:
    """Let spandrel build a network. Raises ValueError when it would be far larger than the tensors of its file."""
    from spandrel import MAIN_REGISTRY

    numbers = sum(value.numel() for value in state.values())
    with ExitStack() as bounds, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the builders' own: deprecated calls, meshgrid's order
        bounds.enter_context(at_most(4 * len(state)))
        bounds.enter_context(_allocating(8 * numbers + MOST_SPARE))
        return MAIN_REGISTRY.load(dict(state))


def _allocating(most: int) -> Any:
    """Return a context that raises ValueError before PyTorch allocates more than so many numbers at once or in all."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class Counting(TorchDispatchMode):
        left = most

        def __torch_dispatch__(self, function, types, given=(), named=None):
            name = function.name()
            if name.startswith(("aten::empty.", "aten::zeros", "aten::ones", "aten::full", "aten::rand", "aten::new_")):
                sizes = next((value for value in given if isinstance(value, list | tuple)), ())
                self.left -= math.prod(int(side) for side in sizes)
            elif name.startswith(("aten::arange", "aten::linspace")):
                self.left -= int(max((abs(value) for value in given if isinstance(value, int | float)), default=0))
            if self.left < 0:
                raise ValueError("its network would be far larger than its tensors")
            return function(*given, **(named or {}))

    return Counting()


@dataclass(frozen=True)
class Loader:
    """The ``load`` of the card of a community model. path: its file, unless another is given."""

    path: Path

    def __call__(self, weights: Path | None, device: str) -> LoadedMethod:
        import spandrel

        path = weights or self.path
        found = describe(path)
        trained = sum(p.numel() for p in found.model.parameters())
        found.eval().to(device)
        found.model.requires_grad_(False)

        def predict(lr: Image, refs: Sequence[Image], scale: int) -> Prediction:
            return upscale(found, device, lr, scale)

        return LoadedMethod(
            predict=predict,
            weights=Weights("unknown", path.name, sha256(path), license_of(path)),
            parameters=trained,
            code=Code(f"spandrel {found.architecture.id}", f"{spandrel.__version__}, refsr-bench {VERSION}", None),
            arithmetic=Arithmetic("whole", "float32"),
            scale=found.scale,
            guessed=True,
        )


def upscale(found: ModelDescriptor, device: str, lr: Image, scale: int) -> Prediction:
    """Upscale one image, uint8 or uint16 H x W x 3; SR has its type, clamped and rounded half to even.

    spandrel pads the image to sizes that the network takes and cuts the rest off. Raises BenchError for a scale other
    than the model's.
    """
    from refsr_bench.learning.tensors import to_tensor
    from refsr_bench.pixels.colour import quantise

    if scale != found.scale:
        raise BenchError(f"These weights are for x{found.scale}; scale {scale} was asked for.")
    image = to_tensor(lr)[None].to(device).clone()  # a clone, because RCAN multiplies its input in place
    with Hardware(device).computing():
        sr = found(image)
    return Prediction(quantise(sr[0].permute(1, 2, 0).float().cpu().numpy(), lr.dtype))


def license_of(path: Path) -> str:
    """Return the licence that the metadata of a file state; "" if they state none."""
    metadata = read_metadata(path)
    return next((metadata[key][:200] for key in LICENSE_KEYS if metadata.get(key)), "")
