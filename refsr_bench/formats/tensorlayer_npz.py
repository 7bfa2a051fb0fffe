"""Reader of weights in ``.npz`` files: plain arrays by name, or the list that TensorLayer's ``save_npz`` writes.

That list is one object array called ``params``, which holds arrays without names and which NumPy stores as a pickle. It
is read without running anything that the file asks for. Every size is compared with the bytes that are there first.
"""

from __future__ import annotations

import math
import re
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.formats.foreign import (
    MOST_BYTES,
    Asked,
    Function,
    Machine,
    Refused,
    Source,
    code,
    encoded,
    members,
)

PARAMS = "params"
MOST_SIDES = 16  # dimensions of an array; convolutions have four


def read(path: Path) -> dict[str, np.ndarray]:
    """Read the arrays of a ``.npz`` file by name; those of TensorLayer's list are called ``0``, ``1``, ...

    Arrays come in the machine's byte order. Raises Misuse when there is no such file, BenchError when it is damaged,
    asks for code, or holds anything but arrays of numbers.
    """
    if not path.is_file():
        raise Misuse(f"There is no weights file at {path}.")
    arrays: dict[str, Any] = {}
    try:
        with path.open("rb") as opened:
            archive, found = members(opened, MOST_BYTES)
            for member in found:
                with archive.open(member) as file:
                    content = _read_array(file, member)
                    if file.read(1):  # zipfile compares the checksum only at the end of a member
                        raise Refused("there is more in it than arrays")
                name = member.filename.removesuffix(".npy")
                named = enumerate(content) if name == PARAMS else [(name, content)]
                arrays |= {str(key): value for key, value in named}
    except Asked as asked:
        raise code(path, asked) from None
    except Exception as error:  # a damaged archive or pickle raises nearly anything
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise BenchError(
            f"The weights file {path} cannot be read: {reason}. It may be half downloaded or not a weights file: "
            "compare its size with the source and fetch it again."
        ) from None
    if not arrays or not all(isinstance(value, np.ndarray) for value in arrays.values()):
        raise BenchError(f"The weights file {path} holds something else than arrays of numbers.")
    return arrays


def _read_array(file: BinaryIO, member: zipfile.ZipInfo) -> Any:
    """Read one ``.npy`` stream: an array, or the list in an object array."""
    version = np.lib.format.read_magic(file)
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, by_columns, dtype = header(file)
    left = member.file_size - file.tell()
    if not dtype.hasobject:
        return _array(shape, dtype, by_columns, Source(file, left).read(left))
    content = _Reader(Source(file, left), FUNCTIONS).load()
    if not isinstance(content, _Pickled) or len(shape) != 1 or content.shape != shape or content.items is None:
        raise Refused("its list of arrays has another length than it says")
    return [item.array if isinstance(item, _Pickled) else item for item in content.items]


def _array(shape: Any, dtype: np.dtype, by_columns: bool, data: bytes) -> np.ndarray:
    """Make an array, in the machine's byte order, of exactly these bytes. Raises Refused when they do not fit."""
    if dtype.kind not in "fiub" or dtype.itemsize > 8:
        raise Refused(f"an array in it is of type {str(dtype)[:40]}, not of plain numbers")
    if len(shape) > MOST_SIDES or not all(type(side) is int and 0 <= side < 1 << 60 for side in shape):
        raise Refused("an array in it makes no sense")
    if math.prod(shape) * dtype.itemsize != len(data):
        raise Refused(f"an array of the shape {'x'.join(map(str, shape))} has {len(data)} bytes")
    array = np.frombuffer(data, dtype).reshape(shape, order="F" if by_columns else "C")
    native = array.astype(dtype.newbyteorder("="), copy=False)
    return native if native.flags.writeable else native.copy(order="K")


# -- the arrays in a pickle ----------------------------------------------------------------------------------------


class _Type:
    """A NumPy type in the making. NumPy pickles its kind and size first, its byte order as the state."""

    def __init__(self, name: Any, *flags: Any) -> None:
        if not isinstance(name, str) or not re.fullmatch(r"[fiub]\d|O\d?", name):
            raise Refused(f"an array in it is of type {str(name)[:40]}, not of plain numbers")
        self.name, self.order = name, "="

    def built(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) < 2 or state[1] not in ("<", ">", "|", "="):
            raise Refused("an array is not as NumPy writes it")
        self.order = state[1]

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(self.order + self.name)


class _Pickled:
    """An array in the making. NumPy pickles an empty one first, then (version, shape, type, by columns, data)."""

    shape: tuple[int, ...] = ()
    items: list[Any] | None = None
    array: np.ndarray | None = None

    def built(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) != 5 or not isinstance(state[2], _Type):
            raise Refused("an array is not as NumPy writes it")
        _, self.shape, kind, by_columns, data = state
        if kind.name.startswith("O"):
            if not isinstance(data, list) or not isinstance(self.shape, tuple) or self.shape != (len(data),):
                raise Refused("its list of arrays has another length than it says")
            self.items = data
            return
        data = data.encode("latin1") if isinstance(data, str) else data  # Python 2's bytes
        if not isinstance(data, bytes) or not isinstance(self.shape, tuple):
            raise Refused("an array is not as NumPy writes it")
        self.array = _array(self.shape, kind.dtype, bool(by_columns), data)


def _begun(kind: Any, shape: Any, dtype: Any) -> _Pickled:
    if kind != ("numpy", "ndarray") or shape != (0,):
        raise Refused("an array is not as NumPy writes it")
    return _Pickled()


FUNCTIONS = {
    ("numpy.core.multiarray", "_reconstruct"): Function(_begun),
    ("numpy._core.multiarray", "_reconstruct"): Function(_begun),
    ("numpy", "dtype"): Function(_Type),
    ("_codecs", "encode"): Function(encoded),
}


class _Reader(Machine):
    """The machine for the list: arrays and nothing else."""

    def __init__(self, source: Source, functions: dict) -> None:
        super().__init__(source, functions, lambda module, name: (module, name) == ("numpy", "ndarray"))

    def persistent_load(self, pid: Any) -> Any:
        raise Refused("its pickle points outside")
