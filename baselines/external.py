"""A method of the user's own, in any language and environment: a command line that is run once per image."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from refsr_bench.core.cards import LoadedMethod, MethodCard
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.schema import Weights
from refsr_bench.core.types import Image, Prediction

PLACES = ("{lr}", "{ref}", "{refs}", "{out}", "{scale}")
TIME_LIMIT_S = 600.0
SHOWN_LINES = 3  # of the output of a command that failed


def arguments(command: str) -> list[str]:
    """Split a command into words. Raises Misuse when that fails, or it has no place for the LR image or the output."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise Misuse(f"--command {command}: {error}.") from None
    for place in ("{lr}", "{out}"):
        if not any(place in word for word in words):
            raise Misuse(
                f"--command {command}: it needs {{lr}} and {{out}}, the files to read and to write, as in "
                "'python mymodel.py {lr} {ref} {out}'. {refs} stands for all references, {scale} for the factor."
            )
    return words


def filled(words: Sequence[str], lr: Path, refs: Sequence[Path], out: Path, scale: int) -> list[str]:
    """Put files into their places in the words; a word that is {refs} becomes one word per reference.

    Raises BenchError when {ref} is asked for and there is none.
    """
    if not refs and any("{ref}" in word for word in words):
        raise BenchError("the command wants {ref}, but this pair has no reference under this protocol.")
    values = {"{lr}": str(lr), "{ref}": str(refs[0]) if refs else "", "{out}": str(out), "{scale}": str(scale)}
    ready = []
    for word in words:
        if word == "{refs}":
            ready += map(str, refs)
            continue
        for place, value in values.items():
            word = word.replace(place, value)
        ready.append(word)
    return ready


def run(words: Sequence[str], time_limit: float) -> None:
    """Run a command to its end, but kill it and its children after ``time_limit`` seconds.

    Raises BenchError when it cannot start, fails, or takes too long.
    """
    try:
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )
    except OSError as error:
        raise BenchError(f"the command {words[0]} cannot be started: {error.strerror}.") from None
    try:
        said, _ = process.communicate(timeout=time_limit)
    except subprocess.TimeoutExpired:
        _kill(process)
        raise BenchError(f"the command took longer than {time_limit:g} s and was stopped (--time-limit).") from None
    except BaseException:
        _kill(process)
        raise
    if process.returncode:
        lines = said.decode(errors="replace").strip().splitlines()[-SHOWN_LINES:]
        told = f": {' / '.join(lines)}" if lines else ", without a word"
        raise BenchError(f"the command ended with exit code {process.returncode}{told}")


def _kill(process: subprocess.Popen) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError, AttributeError):  # gone already; no process groups on Windows
        process.kill()
    process.wait()


def upscale(words: Sequence[str], time_limit: float, lr: Image, refs: Sequence[Image], scale: int) -> Prediction:
    """Write the images as PNG, run the command, read its output. Raises BenchError when it fails or writes nothing."""
    from refsr_bench.pixels.images import read_image, write_png

    with tempfile.TemporaryDirectory(prefix="refsr-bench-") as folder:
        low, out = Path(folder, "lr.png"), Path(folder, "sr.png")
        high = [Path(folder, f"ref_{n}.png") for n in range(1, len(refs) + 1)]
        for path, image in ((low, lr), *zip(high, refs, strict=True)):
            write_png(path, image)
        run(filled(words, low, high, out, scale), time_limit)
        if not out.is_file():
            raise BenchError("the command ended well but wrote no image to {out}.")
        return Prediction(read_image(out))


def load(
    weights: Path | None, device: str, command: str | None = None, time_limit: float = TIME_LIMIT_S
) -> LoadedMethod:
    """Make a method of ``command``. time_limit: seconds per image. Raises Misuse without a command."""
    if command is None:
        raise Misuse("external needs --command, for example --command 'python mymodel.py {lr} {ref} {out}'.")
    behind = Weights("unknown", f"command {command}", None)
    predict = partial(upscale, arguments(command), time_limit)
    return LoadedMethod(
        predict, behind, parameters=None, options={"command": command}, origin="command", bytes_per_pixel=0
    )


METHODS = (
    MethodCard(
        name="external",
        title="External command",
        group="Ref-SR",
        references="many",
        gan=False,
        year=2026,
        paper="",
        description="Your own method, in any environment: a command line that reads {lr} and {ref} and writes {out}.",
        load=load,
    ),
)
