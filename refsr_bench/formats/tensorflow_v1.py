"""Reader of TensorFlow V1 checkpoints that needs no TensorFlow.

``tf.train.Saver`` wrote one file before it wrote ``.index`` and ``.data`` (V2): a sorted string table in LevelDB's
format, whose values are protocol buffers (TensorFlow's ``lib/io/format.h``, ``util/tensor_slice_writer.cc``,
``util/saved_tensor_slice.proto``; LevelDB's ``doc/table_format.md``).

    table    data blocks, a meta-index block, an index block, a footer of 48 bytes
    footer   handles (offset, size: varints) of the meta-index and of the index, zeros up to 40 bytes, magic (8 bytes)
    block    entries, positions of the entries whose key is whole (4 bytes each), number of these (4 bytes)
    trailer  after each block: 1 byte compression (0 none, 1 Snappy), 4 bytes masked CRC-32C of block and that byte
    entry    varints: length of the prefix shared with the previous key, of the rest, of the value; then rest and value
    index    key: no smaller than any key of its block; value: the handle of that block

The value under the empty key, which comes first, is a SavedTensorSlices with the names, shapes and types of all
tensors. Every other value is a SavedTensorSlices with one slice of one tensor, its numbers in a packed repeated field;
only slices that are the whole tensor are read here. All numbers of a fixed width are little-endian.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from refsr_bench.core.errors import BenchError
from refsr_bench.core.files import read_bytes

MAGIC = 0xDB4775248B80FB57
FOOTER, TRAILER = 48, 5
UNCOMPRESSED = 0
MOST_FILE = 32 << 20  # bytes; EnhanceNet's checkpoint, the only one read here, has 3 MB, and the checksum takes time
MOST_KEY = 4096  # bytes of a tensor's key; each may repeat the one before, so long keys would grow quadratically
MOST_FIELDS = 100_000  # of one message; a list of tensors has one for each
MOST_SIDE = 1 << 40  # of a tensor; beyond, products and shapes leave 64 bits

# DataType -> the field of TensorProto with its numbers, and their type there.
NUMBERS = {1: (5, np.dtype("<f4")), 2: (6, np.dtype("<f8"))}  # DT_FLOAT, DT_DOUBLE
COUNTERS = {3, 9}  # DT_INT32, DT_INT64: training steps, which no network needs


# What fields that are missing or of another kind lead to.
_MISSING = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


class _Damaged(Exception):
    """Damaged bytes. The message ends the sentence "... cannot be read: "."""


class _Unsupported(Exception):
    """An intact file of a kind that is not read. The message says which, and what to do."""


def is_checkpoint(path: Path) -> bool:
    """Tell whether the file ends like a sorted string table, as TensorFlow V1 checkpoints do."""
    with path.open("rb") as file:
        if file.seek(0, 2) < FOOTER:
            return False
        file.seek(-8, 2)
        return file.read() == MAGIC.to_bytes(8, "little")


def read(path: Path) -> dict[str, np.ndarray]:
    """Read every floating-point tensor under its own name, as float32; integer ones (training steps) are left out.

    Raises BenchError when the file is damaged, compressed, one shard of several, or an index of TensorFlow V2.
    """
    try:
        shards = re.search(r"-\d{5}-of-(\d{5})", path.name)
        if shards and int(shards[1]) > 1:
            raise _Unsupported(
                f"it is one of {int(shards[1])} parts of a checkpoint. Save it in one piece (tf.train.Saver with "
                "sharded=False)."
            )
        return parse(read_bytes(path, MOST_FILE))
    except _Unsupported as reason:
        raise BenchError(f"The TensorFlow checkpoint {path} cannot be read: {reason}") from None
    except (_Damaged, *_MISSING) as fault:
        what = fault if isinstance(fault, _Damaged) else "what it holds are not tensors"
        raise BenchError(
            f"The TensorFlow checkpoint {path} cannot be read: {what}. It may be half downloaded: compare its size "
            "with the source and fetch it again."
        ) from None


def parse(data: bytes) -> dict[str, np.ndarray]:
    """Parse a checkpoint's bytes. Raises what ``read`` puts in words."""
    return _tensors(_table(data))


# -- tensors -------------------------------------------------------------------------------------------------------


def _tensors(table: Mapping[bytes, bytes]) -> dict[str, np.ndarray]:
    head = _message(table.get(b"", b""))
    if isinstance(head.get(1, [b""])[0], int):  # BundleHeaderProto.num_shards
        raise _Unsupported(
            "it is the index of a V2 checkpoint, whose numbers are in the .data file beside it. Save it as V1 "
            "(tf.train.Saver with write_version=tf.train.SaverDef.V1)."
        )
    if 1 not in head:  # SavedTensorSlices.meta
        raise _Unsupported("it is a sorted string table (of LevelDB, perhaps) without a list of tensors.")
    known = {}
    for tensor in _message(head[1][0]).get(1, []):  # SavedTensorSliceMeta.tensor
        fields = _message(tensor)
        known[fields[1][0].decode()] = _shape(fields), fields.get(3, [0])[0]  # name, shape, type

    found = {}
    for key, value in table.items():
        if not key:
            continue
        part = _message(_message(value)[2][0])  # SavedTensorSlices.data
        name = part[1][0].decode()
        if name not in known:
            raise _Damaged(f"it holds {name}, which its list of tensors lacks")
        shape, kind = known[name]
        if any(_message(extent) for extent in _message(part.get(2, [b""])[0]).get(1, [])):  # TensorSliceProto.extent
            raise _Unsupported(f"{name} is in parts. Save it from a graph without partitioned variables.")
        if kind in COUNTERS:
            continue
        if kind not in NUMBERS:
            raise _Unsupported(f"{name} is of TensorFlow's type {kind}; float (1) and double (2) are read.")
        field, dtype = NUMBERS[kind]
        numbers = b"".join(_message(part[3][0]).get(field, []))  # SavedSlice.data, a TensorProto
        if len(numbers) != math.prod(shape) * dtype.itemsize:
            raise _Damaged(f"{name} should have {math.prod(shape)} numbers, not {len(numbers) / dtype.itemsize:g}")
        found[name] = np.frombuffer(numbers, dtype).reshape(shape).astype(np.float32)
    missing = [name for name, (_, kind) in known.items() if name not in found and kind not in COUNTERS]
    if missing:
        raise _Damaged(f"{missing[0]} is in its list of tensors, but not in the file")
    return found


def _shape(fields: Mapping[int, list]) -> tuple[int, ...]:
    """Read TensorShapeProto.dim[].size."""
    dims = _message(fields.get(2, [b""])[0]).get(2, [])
    shape = tuple(_message(dim).get(1, [0])[0] for dim in dims)
    if len(shape) > 16 or any(not isinstance(side, int) or side > MOST_SIDE for side in shape):
        raise _Damaged("a tensor in it makes no sense")
    return shape


def _message(data: bytes) -> dict[int, list]:
    """Parse a protocol buffer into its values by field number, in order: int for a varint, bytes for the rest."""
    fields: dict[int, list] = {}
    at = count = 0
    while at < len(data):
        tag, at = _varint(data, at)
        if tag & 7 == 0:
            value, at = _varint(data, at)
        elif tag & 7 in (1, 2, 5):
            size, at = _varint(data, at) if tag & 7 == 2 else ({1: 8, 5: 4}[tag & 7], at)
            value, at = _cut(data, at, size), at + size
        else:
            raise _Damaged("a protocol buffer in it makes no sense")
        fields.setdefault(tag >> 3, []).append(value)
        count += 1
        if count > MOST_FIELDS:
            raise _Damaged("a protocol buffer in it makes no sense")
    return fields


# -- the sorted string table ---------------------------------------------------------------------------------------


def _table(data: bytes) -> dict[bytes, bytes]:
    footer = data[-FOOTER:]
    if len(footer) < FOOTER or footer[-8:] != MAGIC.to_bytes(8, "little"):
        raise _Damaged("its end is not that of a checkpoint")
    at = _handle(footer, 0)[1]  # the meta-index, which TensorFlow leaves empty
    index = _block(data, *_handle(footer, at)[0])
    handles = [_handle(handle, 0)[0] for _, handle in _entries(index)]
    if sum(size + TRAILER for _, size in handles) > len(data):
        raise _Damaged("its blocks overlap")
    return {key: value for offset, size in handles for key, value in _entries(_block(data, offset, size))}


def _handle(data: bytes, at: int) -> tuple[tuple[int, int], int]:
    offset, at = _varint(data, at)
    size, at = _varint(data, at)
    return (offset, size), at


def _block(data: bytes, offset: int, size: int) -> bytes:
    """Return a block without its trailer, whose checksum must fit."""
    block = _cut(data, offset, size + TRAILER)
    compression, checksum = struct.unpack("<BI", block[size:])
    if checksum != masked(crc32c(block[: size + 1])):
        raise _Damaged(f"the {size} bytes from {offset} on do not fit their checksum")
    if compression != UNCOMPRESSED:
        raise _Unsupported("it is compressed, as TensorFlow's own Saver does not do it. Save it with that.")
    return block[:size]


def _entries(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    restarts = int.from_bytes(_cut(block, len(block) - 4, 4), "little")
    end = len(block) - 4 * (restarts + 1)
    key, at = b"", 0
    while at < end:
        shared, at = _varint(block, at)
        further, at = _varint(block, at)
        size, at = _varint(block, at)
        if shared + further > MOST_KEY:
            raise _Damaged("a key in it makes no sense")
        key = _cut(key, 0, shared) + _cut(block, at, further)
        yield key, _cut(block, at + further, size)
        at += further + size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Read a varint, groups of seven bits with the lowest first; return it and the position behind it."""
    value = 0
    for position, byte in enumerate(data[at : at + 10]):
        value |= (byte & 127) << (7 * position)
        if byte < 128:
            return value, at + position + 1
    raise _Damaged("it ends too early or is not what it seems")


def _cut(data: bytes, at: int, size: int) -> bytes:
    if at < 0 or at + size > len(data):
        raise _Damaged("it ends too early or is not what it seems")
    return data[at : at + size]


def _crc_table() -> list[int]:
    table = []
    for crc in range(256):
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)  # Castagnoli's polynomial, bits reversed
        table.append(crc)
    return table


_CRC = _crc_table()


def crc32c(data: bytes) -> int:
    """Compute the CRC-32 with Castagnoli's polynomial (RFC 3720, B.4)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _CRC[(crc ^ byte) & 255] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def masked(crc: int) -> int:
    """Rotate and offset a CRC the way LevelDB stores it, because the CRC of data that hold CRCs is a weak check."""
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
