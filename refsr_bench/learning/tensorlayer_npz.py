"""Reader of weights in ``.npz`` files: plain arrays by name, or the list that TensorLayer's ``save_npz`` writes.

That list is one object array called ``params``, which holds arrays without names and which NumPy stores as a pickle. It
is read without running anything that the file asks for.
"""

from __future__ import annotations

import codecs
import pickle
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from refsr_bench.core.errors import BenchError, Misuse

PARAMS = "params"


def read(path: Path) -> dict[str, np.ndarray]:
    """Read the arrays of a ``.npz`` file by name; those of TensorLayer's list are called ``0``, ``1``, ...

    Arrays come in the machine's byte order. Raises Misuse when there is no such file, BenchError when it is damaged,
    asks for code, or holds anything but arrays of numbers.
    """
    if not path.is_file():
        raise Misuse(f"There is no weights file at {path}.")
    arrays: dict[str, Any] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.namelist():
                with archive.open(member) as file:
                    content = _read_array(file, path)
                    if file.read(1):  # zipfile compares the checksum only at the end of a member
                        raise ValueError("there is more in it than arrays")
                name = member.removesuffix(".npy")
                named = enumerate(content) if name == PARAMS else [(name, content)]
                arrays |= {str(key): value for key, value in named}
    except BenchError:
        raise
    except Exception as error:  # a damaged archive or pickle raises nearly anything
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise BenchError(
            f"The weights file {path} cannot be read: {reason}. It may be half downloaded or not a weights file: "
            "compare its size with the source and fetch it again."
        ) from None
    if not arrays or not all(_is_plain(value) for value in arrays.values()):
        raise BenchError(f"The weights file {path} holds something else than arrays of numbers.")
    return {key: value.astype(value.dtype.newbyteorder("="), copy=False) for key, value in arrays.items()}


def _is_plain(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind in "fiub" and value.dtype.itemsize <= 8


def _read_array(file: BinaryIO, path: Path) -> Any:
    """Read one ``.npy`` stream: an array, or the list in an object array."""
    version = np.lib.format.read_magic(file)
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = header(file)
    if not dtype.hasobject:
        file.seek(0)
        return np.lib.format.read_array(file, allow_pickle=False)
    content = _Unpickler(file, path).load()
    if not isinstance(content, np.ndarray) or content.dtype != object or content.shape != shape or len(shape) != 1:
        raise ValueError("its list of arrays has another length than it says")
    return list(content)


class _Unpickler(pickle.Unpickler):
    """An unpickler that makes arrays and nothing else. Python 2's strings become Latin-1 text, as NumPy reads them."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        super().__init__(file, encoding="latin1")
        self.path = path

    def find_class(self, module: str, name: str) -> Any:
        allowed = {
            ("numpy.core.multiarray", "_reconstruct"): _empty_array,
            ("numpy._core.multiarray", "_reconstruct"): _empty_array,
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): np.dtype,
            ("_codecs", "encode"): _encode,
        }
        if (module, name) not in allowed:
            raise BenchError(
                f"The weights file {self.path} asks for {module}.{name} while it is read: code, which a file of "
                "weights has no need for. It was not run. Get the file from its authors again."
            )
        return allowed[module, name]


def _empty_array(kind: type, shape: tuple[int, ...], dtype: str | bytes) -> np.ndarray:
    """Make the empty array with which NumPy begins a pickle; shape and values follow as its state."""
    if kind is not np.ndarray or shape != (0,):
        raise ValueError("an array is not as NumPy writes it")
    return np.ndarray(shape, dtype)


def _encode(text: str, encoding: str) -> bytes:
    """Encode Latin-1 text as bytes, which is how pickles of protocol 2 hold bytes."""
    if encoding != "latin1":
        raise ValueError("an array is not as NumPy writes it")
    return codecs.encode(text, "latin1")
