"""Reader of PyTorch's files that trusts none of their numbers.

``torch.load`` allocates whatever a file claims, inflates members of any size, and does not compare a storage's length
with the bytes that are there, not even with ``weights_only``. Here the pickle makes descriptions first; tensors are
read when they are asked for, once the description fits the bytes.

    zip      since PyTorch 1.6: an archive, not compressed, with NAME/data.pkl and the storages NAME/data/KEY
    legacy   five pickles (magic number, protocol, machine, content, keys), then for each key the number of numbers
             (8 bytes, little-endian) and the numbers

In the content a storage is a persistent id ("storage", class, key, location, numbers) and a tensor a call of
``torch._utils._rebuild_tensor_v2(storage, offset, size, stride, ...)``.
"""

from __future__ import annotations

import io
import math
import os
import pickle
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from refsr_bench.core.errors import BenchError
from refsr_bench.formats.foreign import Asked, Function, Machine, Refused, Source, code, encoded, members, ordered

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
MOST_PICKLE = 32 << 20  # bytes; the content of the largest file here, RCAN's, takes 0.3 MB
MOST_SIDES = 16  # dimensions of a tensor; convolutions have four
DTYPES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}


# bytes of one number of a kind that is passed over where no weights are expected
OTHER_KINDS = {
    "ComplexFloatStorage": 8,
    "ComplexDoubleStorage": 16,
    "QInt8Storage": 1,
    "QUInt8Storage": 1,
    "QInt32Storage": 4,
}
WIDTHS = {kind: dtype.itemsize for kind, dtype in DTYPES.items()} | OTHER_KINDS
MOST_REPEATED = 1 << 20  # numbers of a tensor that shows its storage's several times


@dataclass(frozen=True)
class Odd:
    """Something else than a plain tensor of numbers. what: in words, with its article."""

    what: str

    def built(self, state: Any) -> None:
        """Ignore the state; nobody reads the object."""


@dataclass(frozen=True)
class Storage:
    """A run of numbers in the file. first, numbers: the part of the run ``key`` that is meant."""

    key: str
    kind: str
    numbers: int
    first: int = 0


@dataclass(frozen=True)
class Stored:
    """A tensor in the file. offset and strides count numbers from the storage's first."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    @property
    def dtype(self) -> torch.dtype:
        return DTYPES[self.storage.kind]

    @property
    def bytes(self) -> int:
        """The bytes of the tensor by itself, without what it shares with others."""
        return math.prod(self.size) * self.dtype.itemsize

    def built(self, state: Any) -> None:
        """Ignore whether gradients were wanted, which PyTorch 0.3 keeps behind the tensor. Raises Refused for more."""
        if not (isinstance(state, tuple) and len(state) == 3):
            raise Refused("a tensor in it makes no sense")


Load = Callable[[Stored], Tensor]


@contextmanager
def opened(path: Path) -> Iterator[tuple[Any, Load]]:
    """Give the block a file's content, with ``Stored`` or ``Odd`` for each tensor, and the function that reads one.

    Raises BenchError when the file asks for code, Refused or nearly anything else when it is damaged.
    """
    with path.open("rb") as file:
        start = file.read(4)
        try:
            if start[:2] == b"PK":
                yield _zip(file, path.stat().st_size)
            elif start[:1] == pickle.PROTO:
                yield _legacy(file, path.stat().st_size)
            else:
                raise Refused("it is not what PyTorch saves")
        except Asked as asked:
            raise code(path, asked) from None


def everything(value: Any, load: Load, level: int = 0) -> Any:
    """Read all tensors inside tables, lists and tuples, those of a file of our own. Raises Refused for odd ones."""
    if level > 8:  # a checkpoint has five levels; the limit keeps lists that hold themselves from going on for ever
        raise Refused("it is nested too deeply")
    if isinstance(value, Stored):
        return load(value)
    if isinstance(value, Odd):
        raise Refused(f"it holds {value.what}")
    if isinstance(value, dict):
        return {key: everything(item, load, level + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(everything(item, load, level + 1) for item in value)
    return value


# -- the two layouts -----------------------------------------------------------------------------------------------


def _zip(file: BinaryIO, size: int) -> tuple[Any, Load]:
    _, found = members(file, size)  # members are not compressed, so together they are no larger than the file
    if any(member.compress_type for member in found):
        raise Refused("its members are compressed, which PyTorch never does")
    by_name = {member.filename: member for member in found}
    names = [name for name in by_name if name.endswith("/data.pkl") and name.count("/") == 1]
    if len(names) != 1:
        raise Refused("it is an archive, but not of PyTorch's (no data.pkl)")
    folder = names[0].removesuffix("data.pkl")
    if f"{folder}constants.pkl" in by_name:
        raise Refused("it is a TorchScript program, not a state dict")
    if by_name[names[0]].file_size > MOST_PICKLE:
        raise Refused(f"its pickle has {by_name[names[0]].file_size:,} bytes; at most {MOST_PICKLE:,} are read")
    content = _stored(file, by_name[names[0]], bytearray(by_name[names[0]].file_size))
    value = _Reader(io.BytesIO(content), len(content)).load()
    order = by_name.get(f"{folder}byteorder")
    big = order is not None and order.file_size == 3  # "big" or "little"

    def filled(storage: Storage, buffer: memoryview) -> None:
        _stored(file, by_name[f"{folder}data/{storage.key}"], buffer)
        if big:
            numbers = np.frombuffer(buffer, np.uint8).reshape(-1, DTYPES[storage.kind].itemsize)
            numbers[:] = numbers[:, ::-1].copy()

    return value, _loader({name: member.file_size for name, member in by_name.items()}, f"{folder}data/", filled)


def _stored(file: BinaryIO, member: zipfile.ZipInfo, buffer: Any) -> Any:
    """Read a whole member that is not compressed into a buffer of its size, and return that.

    zipfile would copy the bytes twice. Raises Refused when they are not what was written.
    """
    file.seek(member.header_offset)
    header = file.read(30)
    file.seek(int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little"), os.SEEK_CUR)
    whole = file.readinto(buffer) == len(buffer)
    # PyTorch writes no checksum, but zero, after torch.serialization.set_crc32_options(False)
    if not whole or (member.CRC and zlib.crc32(buffer) != member.CRC):
        raise Refused("it ends too early or is not what it seems")
    return buffer


def _legacy(file: BinaryIO, size: int) -> tuple[Any, Load]:
    file.seek(0)
    kinds: dict[str, str] = {}

    def next_pickle() -> Any:
        return _Reader(file, min(MOST_PICKLE, size - file.tell()), kinds).load()

    if next_pickle() != MAGIC or next_pickle() != PROTOCOL:
        raise Refused("it is not what PyTorch saves")
    next_pickle()  # the machine, which changes nothing: big-endian ones write the numbers little-endian as well
    value, keys = next_pickle(), next_pickle()
    places: dict[str, int] = {}
    sizes: dict[str, int] = {}
    for key in keys:
        numbers = int.from_bytes(file.read(8), "little", signed=True)
        length = numbers * WIDTHS.get(kinds[key], -1)
        if not 0 <= length <= size - file.tell() or key in places:
            raise Refused("it ends too early, or a storage in it is of no plain numbers")
        places[key], sizes[key] = file.tell(), length
        file.seek(length, 1)

    def filled(storage: Storage, buffer: memoryview) -> None:
        file.seek(places[storage.key])
        if file.readinto(buffer) != len(buffer):
            raise Refused("it ends too early or is not what it seems")

    return value, _loader(sizes, "", filled)


def _loader(sizes: Mapping[str, int], folder: str, filled: Callable[[Storage, memoryview], None]) -> Load:
    """Return the function that reads a tensor; tensors that share a storage share memory.

    sizes: bytes of each storage. filled: reads a storage into a buffer of its size.
    """
    read: dict[str, tuple[torch.dtype, Tensor]] = {}

    def load(tensor: Stored) -> Tensor:
        key, dtype = tensor.storage.key, tensor.dtype
        numbers, rest = divmod(sizes.get(folder + key, -1), dtype.itemsize)
        if rest or tensor.storage.first + tensor.storage.numbers > numbers:
            raise Refused(f"storage {key} is shorter than it says")
        if key not in read:
            flat = torch.empty(numbers, dtype=dtype)
            # NumPy has no bfloat16, so the buffer is seen as bytes
            if numbers:
                filled(tensor.storage, memoryview(flat.view(torch.uint8).numpy()))
            read[key] = dtype, flat
        if read[key][0] != dtype:
            raise Refused(f"storage {key} is of two types")
        return read[key][1].as_strided(tensor.size, tensor.stride, tensor.storage.first + tensor.offset)

    return load


# -- the content ---------------------------------------------------------------------------------------------------


def _whole(value: Any) -> bool:
    return type(value) is int and 0 <= value < 1 << 60


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *others: Any) -> Stored | Odd:
    """Describe the tensor of a ``_rebuild_tensor`` call; its numbers must all be in the storage.

    A tensor that shows more numbers than its storage holds repeats them. ``MOST_REPEATED`` is its limit, because a few
    bytes could stand for gigabytes.
    """
    if isinstance(storage, Odd):
        return storage
    if len(others) > 2 and others[-1]:  # the metadata of _rebuild_tensor_v2: conjugated or negated numbers
        return Odd("a tensor with further metadata")
    sides = (*size, *stride, offset)
    if not isinstance(storage, Storage) or len(size) != len(stride) or len(size) > MOST_SIDES:
        raise Refused("a tensor in it makes no sense")
    if not all(map(_whole, sides)):
        raise Refused("a tensor in it makes no sense")
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True)) if all(size) else -1
    if last >= storage.numbers:
        raise Refused(f"a tensor of the shape {'x'.join(map(str, size))} goes beyond its storage")
    if math.prod(size) > max(storage.numbers, MOST_REPEATED):
        return Odd(f"a tensor of the shape {'x'.join(map(str, size))} that repeats {storage.numbers} stored numbers")
    return Stored(storage, offset, tuple(size), tuple(stride))


def _typed(module: str, name: str) -> bool:
    """Tell whether a global is the name of a storage's class or of a type of numbers, which are only mentioned."""
    if module in ("torch", "torch.cuda", "torch.storage") and name.endswith(("Storage", "Tensor")):
        return True
    if (module, name) == ("numpy", "ndarray"):
        return True
    kinds = (torch.dtype, torch.qscheme, torch.layout)
    return module == "torch" and isinstance(getattr(torch, name, None), kinds)


def _odd(what: str) -> Function:
    return Function(lambda *given: Odd(what))


def _of_type(function: Any, kind: Any, given: Any, state: Any) -> Any:
    if not isinstance(function, Function):
        raise Refused("its pickle calls what is no function")
    return function.call(*given)


def _first(data: Any, *others: Any) -> Any:
    return data


FUNCTIONS = {
    ("collections", "OrderedDict"): Function(ordered),
    ("collections", "Counter"): Function(ordered),
    ("_codecs", "encode"): Function(encoded),
    ("torch", "Size"): Function(lambda sides=(): tuple(sides)),
    ("torch", "device"): _odd("a device"),
    ("torch.serialization", "_get_layout"): _odd("a layout"),
    ("torch._utils", "_rebuild_tensor"): Function(_tensor),
    ("torch._utils", "_rebuild_tensor_v2"): Function(_tensor),
    ("torch._utils", "_rebuild_tensor_v3"): _odd("a tensor of a type that is not read"),
    ("torch._utils", "_rebuild_parameter"): Function(_first),
    ("torch._utils", "_rebuild_parameter_with_state"): Function(_first),
    ("torch.nn.parameter", "Parameter"): Function(_first),
    ("torch._tensor", "_rebuild_from_type_v2"): Function(_of_type),
    ("torch._utils", "_rebuild_sparse_tensor"): _odd("a sparse tensor"),
    ("torch._utils", "_rebuild_qtensor"): _odd("a quantized tensor"),
    ("torch._utils", "_rebuild_nested_tensor"): _odd("a nested tensor"),
    ("torch._utils", "_rebuild_meta_tensor_no_storage"): _odd("a meta tensor, which has no numbers"),
    ("torch._utils", "_rebuild_wrapper_subclass"): _odd("a wrapper of a tensor"),
    ("torch._utils", "_rebuild_device_tensor_from_numpy"): _odd("a tensor of another device"),
    ("torch._utils", "_rebuild_device_tensor_from_cpu_tensor"): _odd("a tensor of another device"),
    # trainers keep their scores as NumPy's numbers
    ("numpy", "dtype"): _odd("a type of NumPy's"),
    **{(f"numpy.{core}.multiarray", "scalar"): _odd("a number of NumPy's") for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _odd("an array of NumPy's") for core in ("core", "_core")},
    **{("builtins", name): _odd(f"a {name}") for name in ("set", "complex", "bytearray")},
    **{("__builtin__", name): _odd(f"a {name}") for name in ("set", "complex", "bytearray")},
}


class _Reader(Machine):
    """The machine for one of PyTorch's pickles. kinds: receives the storage's class by key."""

    def __init__(self, file: Any, size: int, kinds: dict[str, str] | None = None) -> None:
        super().__init__(Source(file, size), FUNCTIONS, _typed)
        self._kinds = {} if kinds is None else kinds

    def persistent_load(self, pid: Any) -> Storage | Odd:
        if not isinstance(pid, tuple) or len(pid) < 5 or pid[0] != "storage":
            raise Refused("a storage in it makes no sense")
        _, kind, key, _, numbers, *view = pid
        if not (isinstance(kind, tuple) and isinstance(key, str) and _whole(numbers)):
            raise Refused("a storage in it makes no sense")
        if self._kinds.setdefault(key, kind[1]) != kind[1]:
            raise Refused(f"storage {key} is of two types")
        if kind[1] not in DTYPES:
            return Odd(f"a tensor of {kind[1].removesuffix('Storage').lower() or 'unknown'} numbers")
        first = 0
        if view and view[0] is not None:  # PyTorch before 0.4: a part of another storage
            _, first, numbers = view[0]
            if not (_whole(first) and _whole(numbers)):
                raise Refused("a storage in it makes no sense")
        return Storage(key, kind[1], numbers, first)


def unreadable(path: Path, error: Exception) -> BenchError:
    """Return the error for a person when a file of PyTorch's is damaged or none."""
    told = isinstance(error, Refused | OSError) or type(error).__module__ == "zipfile"
    reason = (str(error).strip().splitlines() or [""])[0].rstrip(".") if told else ""
    return BenchError(
        f"The weights file {path} cannot be read: {reason or 'it is not what PyTorch saves'}. It may be half "
        "downloaded or not a weights file: compare its size with the source and fetch it again."
    )
