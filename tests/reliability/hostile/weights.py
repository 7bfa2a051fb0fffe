"""Weights files of every format that run code, claim gigabytes, or are none, met by all commands that read weights."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from hostile.case import Case, executed, payload

Maker = Callable[[Path], Path]

# -- PyTorch -------------------------------------------------------------------------------------------------------


def tensor(size: tuple = (2,), stride: tuple = (1,), numbers: int = 2, **more) -> bytes:
    """Write the operations of one tensor of storage 0; more: kind, function, offset, extra (operations)."""
    kind, function = more.get("kind", "FloatStorage"), more.get("function", "torch._utils\n_rebuild_tensor_v2")
    storage = (
        b"(X\x07\0\0\0storagectorch\n" + kind.encode() + b"\nX\x01\0\0\x000X\x03\0\0\0cpu" + whole(numbers) + b"tQ"
    )
    sides = b"".join([b"(", *map(whole, size), b"t(", *map(whole, stride), b"t"])
    return b"c" + function.encode() + b"\n(" + storage + whole(more.get("offset", 0)) + sides + b"\x89}tR"


def whole(number: int) -> bytes:
    data = number.to_bytes(16, "little", signed=True)
    return b"\x8a\x10" + data


def table(*items: tuple[str, bytes]) -> bytes:
    """Write a pickle of protocol 2 that is a table."""
    pairs = (b"X" + struct.pack("<I", len(key.encode())) + key.encode() + value for key, value in items)
    return b"\x80\x02}(" + b"".join(pairs) + b"u."


def pth(content: bytes, storage: bytes = bytes(8), method: int = zipfile.ZIP_STORED, **members: bytes) -> Maker:
    def make(folder: Path) -> Path:
        with zipfile.ZipFile(folder / "net.pth", "w", method) as archive:
            archive.writestr("net/data.pkl", content)
            archive.writestr("net/data/0", storage)
            archive.writestr("net/version", "3\n")
            for name, data in members.items():
                archive.writestr(f"net/{name}", data)
        return folder / "net.pth"

    return make


def legacy(content: bytes, tail: bytes = b"") -> Maker:
    head = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2) + pickle.dumps({"little_endian": True}, 2)
    return raw("net.pth", head + content + pickle.dumps(["0"], 2) + tail)


def raw(name: str, data: bytes) -> Maker:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(data)
        return folder / name

    return make


def large(name: str, head: bytes, size: int) -> Maker:
    """A file with a hole, which takes no room on the disk."""

    def make(folder: Path) -> Path:
        (folder / name).write_bytes(head)
        os.truncate(folder / name, size)
        return folder / name

    return make


def late(write: Callable[[Path], bytes], wrap: Callable[[bytes], Maker]) -> Maker:
    """A file whose content depends on the folder: payloads name the canary in it."""
    return lambda folder: wrap(write(folder))(folder)


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def call(name: str, *given: bytes) -> Callable[[Path], bytes]:
    """A pickle that calls ``module.name`` with operations, in which PAYLOAD and FILE stand for the canary's."""

    def write(folder: Path) -> bytes:
        module, _, function = name.rpartition(".")
        words = {b"PAYLOAD": text(payload(folder)), b"TOUCH": text(f"touch {executed(folder)}")}
        words |= {b"FILE": text(str(executed(folder)))}
        inner = b"".join(words.get(word, word) for word in given)
        return b"\x80\x02}X\x01\0\0\0ac" + module.encode() + b"\n" + function.encode() + b"\n(" + inner + b"tRs."

    return write


CODE = {
    "os.system": ("posix.system", b"TOUCH"),
    "eval": ("builtins.eval", b"PAYLOAD"),
    "exec": ("builtins.exec", b"PAYLOAD"),
    "Python 2's eval": ("__builtin__.eval", b"PAYLOAD"),
    "open": ("io.open", b"FILE", text("w")),
    "mkdir": ("posix.mkdir", b"FILE"),
    "runpy": ("runpy._run_code", b"PAYLOAD", b"}"),
    "a subprocess": ("subprocess.check_output", b"(", text("touch"), b"FILE", b"l"),
    "getattr of builtins": ("builtins.getattr", b"cbuiltins\n__import__\n", text("__call__")),
    "a chain of getattr": ("operator.attrgetter", text("system")),
    "methodcaller": ("operator.methodcaller", text("system"), b"TOUCH"),
    "importlib": ("importlib.import_module", text("os")),
    "torch.load without care": ("torch.serialization.load", b"FILE"),
    "torch.hub": ("torch.hub.load", text("/"), text("x")),
    "torch.compile's exec": ("torch._dynamo.utils.exec", b"PAYLOAD"),
    "torch.jit.unsupported": ("torch.utils._config_module.eval", b"PAYLOAD"),
    "torch's storage from a file": ("torch.storage._load_from_bytes", b"FILE"),
    "a file mapped": ("numpy.memmap", b"FILE", text("u1"), text("w+"), b"K\0", b"K\x08"),
    "numpy.load": ("numpy.load", b"FILE"),
    "numpy's f2py": ("numpy.f2py.crackfortran.myeval", b"PAYLOAD"),
    "a code object": ("types.CodeType", b"K\0"),
    "dotted names": ("torch._utils._rebuild_tensor_v2.__globals__", b"K\0"),
    "codecs": ("_codecs.decode", text("x"), text("rot13")),
}

PYTORCH: dict[str, Maker] = {
    "a deflated storage": lambda folder: deflated(
        folder / "net.pth",
        {"net/data.pkl": table(("a", tensor((1 << 22,), (1,), 1 << 22))), "net/data/0": b""},
        16 << 20,
    ),
    "a deflated state dict": pth(table(("a", tensor())), method=zipfile.ZIP_DEFLATED),
    "a storage longer than its member": pth(table(("a", tensor((10**9,), (1,), 10**9)))),
    "a stride of zero over 10^9": pth(table(("a", tensor((10**9,), (0,), 1)))),
    "a tensor beyond its storage": pth(table(("a", tensor((3,), (1,), 2)))),
    "an offset beyond its storage": pth(table(("a", tensor(offset=10**12)))),
    "a negative offset": pth(table(("a", tensor(offset=-8)))),
    "a negative stride": pth(table(("a", tensor(stride=(-1,))))),
    "a negative side": pth(table(("a", tensor((-5,))))),
    "sides whose product overflows": pth(table(("a", tensor((2**32, 2**32), (0, 0), 1)))),
    "a hundred dimensions": pth(table(("a", tensor((1,) * 100, (1,) * 100)))),
    "fewer strides than sides": pth(table(("a", tensor((1, 1), (1,))))),
    "one storage shown 20,000 times": pth(
        table(*((f"a{n}", tensor((10**6,), (1,), 10**6)) for n in range(9000))), bytes(4 * 10**6)
    ),
    "complex numbers": pth(table(("a", tensor(kind="ComplexFloatStorage")))),
    "quantized numbers": pth(table(("a", tensor(kind="QInt8Storage")))),
    "an unknown kind of storage": pth(table(("a", tensor(kind="EvilStorage")))),
    "a sparse tensor": pth(table(("a", b"ctorch._utils\n_rebuild_sparse_tensor\n(K\0)tR"))),
    "a meta tensor of 10^12": pth(
        table(
            ("a", b"ctorch._utils\n_rebuild_meta_tensor_no_storage\n(ctorch\nfloat32\n(" + whole(10**12) + b"t)\x89tR")
        )
    ),
    "a float8 tensor": pth(
        table(
            (
                "a",
                tensor(kind="UntypedStorage", function="torch._utils\n_rebuild_tensor_v3")[:-2]
                + b"ctorch\nfloat8_e5m2\ntR",
            )
        )
    ),
    "a nested tensor": pth(table(("a", b"ctorch._utils\n_rebuild_nested_tensor\n)R"))),
    "a wrapper of a tensor": pth(table(("a", b"ctorch._utils\n_rebuild_wrapper_subclass\n)R"))),
    "nested state dicts": pth(table(("net", table(("conv", tensor()))[2:-1]))),
    "a list for a state dict": pth(b"\x80\x02]."),
    "a number for a state dict": pth(b"\x80\x02K\x07."),
    "an empty state dict": pth(b"\x80\x02}."),
    "a text for a tensor": pth(table(("a", text("x")))),
    "a state dict that holds itself": pth(b"\x80\x02}q\0X\x06\0\0\0paramsh\0s."),
    "a module": pth(b"\x80\x02ctorch.nn.modules.linear\nLinear\n)\x81}b."),
    "a memo of 2^31": pth(b"\x80\x02Nr\xff\xff\xff\x7f."),
    "a text of 2^60 bytes": pth(b"\x80\x04\x8d" + struct.pack("<Q", 1 << 60) + b"x."),
    "bytes of 2^60 bytes": pth(b"\x80\x04\x8e" + struct.pack("<Q", 1 << 60) + b"x."),
    "a bytearray of 2^60 bytes": pth(b"\x80\x05\x96" + struct.pack("<Q", 1 << 60) + b"x."),
    "a frame of 2^60 bytes": pth(b"\x80\x04\x95" + struct.pack("<Q", 1 << 60) + b"x."),
    "a number of 2^31 bytes": pth(b"\x80\x02\x8b" + struct.pack("<I", (1 << 31) - 1) + b"x."),
    "a number of 100,000 digits": pth(b"\x80\x02L" + b"9" * 100_000 + b"L\n."),
    "three million tables": pth(b"\x80\x02" + b"}" * 3_000_000 + b"."),
    "keys with one hash": pth(
        b"\x80\x02}(" + b"".join(whole(n * (2**61 - 1)) + b"N" for n in range(1, 300_000)) + b"u."
    ),
    "a hundred thousand lists inside each other": pth(b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b"."),
    "an extension of the copy registry": pth(b"\x80\x02\x82\x01."),
    "a persistent id that is no storage": pth(b"\x80\x02(X\x06\0\0\0moduleK\0K\0K\0K\0tQ."),
    "a storage outside the archive": pth(table(("a", tensor().replace(b"X\x01\0\0\x000", text("../../canary.txt"))))),
    "a TorchScript program": pth(table(("a", tensor())), **{"constants.pkl": b"\x80\x02).", "code/x.py": b"evil"}),
    "big-endian numbers": pth(table(("a", tensor())), byteorder=b"big"),
    "members that overlap": lambda folder: overlapping(folder),
    "200,000 members": lambda folder: many(folder),
    "legacy: a storage of 10^15 numbers": legacy(
        table(("a", tensor((10**15,), (1,), 10**15))), struct.pack("<q", 10**15)
    ),
    "legacy: a storage of -1 numbers": legacy(table(("a", tensor())), struct.pack("<q", -1)),
    "legacy: a stride of zero": legacy(table(("a", tensor((10**9,), (0,), 1))), struct.pack("<q", 1) + bytes(4)),
    "legacy: no storages": legacy(table(("a", tensor()))),
    "legacy: a view beyond its storage": legacy(
        table(("a", tensor().replace(b"tQ", b"(X\x01\0\0\0v" + whole(1 << 40) + whole(2) + b"ttQ"))),
        struct.pack("<q", 2) + bytes(8),
    ),
    "a file of 2 TB": large("net.pth", b"PK\x03\x04", 2 << 40),
    "a legacy file of 2 TB": large("net.pth", b"\x80\x02", 2 << 40),
    "text": raw("net.pth", b"<!DOCTYPE html><html>404</html>"),
    "nothing": raw("net.pth", b""),
    "an archive of something else": lambda folder: archive(folder / "net.pth", {"readme.txt": b"x"}),
}


def archive(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as made:
        for name, data in members.items():
            made.writestr(name, data)
    return path


def entry(name: str) -> zipfile.ZipInfo:
    made = zipfile.ZipInfo(name)
    made.compress_type = zipfile.ZIP_DEFLATED
    return made


def deflated(path: Path, members: dict[str, bytes], zeros: int) -> Path:
    """Write an archive whose members end in so many zero bytes, deflated a thousandfold."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as made:
        for name, head in members.items():
            with made.open(entry(name), "w", force_zip64=True) as file:
                file.write(head)
                for _ in range(zeros >> 20):
                    file.write(bytes(1 << 20))
    return path


def overlapping(folder: Path) -> Path:
    path = pth(
        table(
            *((f"a{n}", tensor((10**6,), (1,), 10**6).replace(b"X\x01\0\0\x000", text(f"k{n}"))) for n in range(2000))
        ),
        bytes(4 * 10**6),
    )(folder)
    with zipfile.ZipFile(path, "a") as made:
        place = made.getinfo("net/data/0")
        for n in range(2000):
            twin = zipfile.ZipInfo(f"net/data/k{n}")
            for name in ("header_offset", "file_size", "compress_size", "CRC", "external_attr", "flag_bits"):
                setattr(twin, name, getattr(place, name))
            made.filelist.append(twin)
        made._didModify = True
    return path


def many(folder: Path) -> Path:
    """Write an archive whose directory has 200,000 entries of the same empty member."""
    entry = b"PK\x01\x02" + struct.pack("<6H3I5H2I", 20, 20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"x"
    end = b"PK\x05\x06" + struct.pack("<4H2IH", 0, 0, 65535, 65535, 200_000 * len(entry), 0, 0)
    (folder / "net.pth").write_bytes(entry * 200_000 + end)
    return folder / "net.pth"


# -- safetensors ---------------------------------------------------------------------------------------------------


def safetensors(
    header: object, data: bytes = bytes(8), size: int | None = None, name: str = "net.safetensors"
) -> Maker:
    written = header if isinstance(header, bytes) else json.dumps(header).encode()
    return raw(name, struct.pack("<Q", len(written) if size is None else size) + written + data)


def described(dtype: str = "F32", shape: tuple = (2,), offsets: tuple = (0, 8), **metadata: str) -> dict:
    about = {"a": {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}}
    return about | ({"__metadata__": metadata} if metadata else {})


OURS = {"format": "refsr-bench weights 1", "method": "edsr", "family": '"baselines.edsr.build"', "options": "{}"}
SAFETENSORS: dict[str, Maker] = {
    "a header of 2^63 bytes": safetensors(b"{}", size=1 << 63),
    "a header longer than the file": safetensors(b"{}", size=1000),
    "a header of 9 MB": safetensors(b'{"' + b"x" * (9 << 20) + b'":1}'),
    "a shape of 10^12": safetensors(described(shape=(10**12,))),
    "a shape that overflows": safetensors(described(shape=(2**63, 2**63))),
    "a negative side": safetensors(described(shape=(-2,))),
    "an empty tensor with a side of 2^60": safetensors(described(shape=(0, 2**60), offsets=(0, 0))),
    "offsets beyond the file": safetensors(described(offsets=(0, 10**9))),
    "offsets backwards": safetensors(described(offsets=(8, 0))),
    "float8": safetensors(described("F8_E4M3", (8,))),
    "complex numbers": safetensors(described("C64", (1,))),
    "an unknown type": safetensors(described("F33")),
    "a type that is a list": safetensors({"a": {"dtype": ["F32"], "shape": [2], "data_offsets": [0, 8]}}),
    "a header that is a list": safetensors([1]),
    "a header with a tensor that is a number": safetensors({"a": 1}),
    "a header nested 100,000 deep": safetensors(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "a tensor that is there twice": safetensors(b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":1}'),
    "a header that is no JSON": safetensors(b"{nope}"),
    "a header that is no UTF-8": safetensors(b"\xff\xfe{}"),
    "metadata that are numbers": safetensors(described() | {"__metadata__": {"format": 3}}),
    "a method that is none": safetensors(described(**OURS | {"method": "\x1b[2Jnobody"})),
    "a method without weights": safetensors(described(**OURS | {"method": "bicubic"})),
    "options nested 100,000 deep": safetensors(described(**OURS | {"options": "[" * 100_000 + "]" * 100_000})),
    "options with a number of 5,000 digits": safetensors(described(**OURS | {"options": "9" * 5000})),
    "10^9 channels": safetensors(described(**OURS | {"options": '{"channels": 1000000000}'})),
    "10^9 channels, and an empty tensor": safetensors(
        described(shape=(0, 2**40), offsets=(0, 0), **OURS | {"options": '{"channels": 1000000000}'})
    ),
    "a million blocks, and a tensor of a million": safetensors(
        described(shape=(10**6,), offsets=(0, 4 * 10**6), **OURS | {"options": '{"blocks": 1000000, "channels": 4}'}),
        bytes(4 * 10**6),
    ),
    "options of another kind": safetensors(described(**OURS | {"options": '{"channels": "many", "evil": {}}'})),
    "NaN": safetensors(described(), struct.pack("<2f", float("nan"), 1)),
    "a file of 2 TB": large("net.safetensors", struct.pack("<Q", 2) + b"{}", 2 << 40),
    "a name of control characters": safetensors(
        {"\x1b[2J\u202e" * 50: {"dtype": "F8_E5M2", "shape": [8], "data_offsets": [0, 8]}}
    ),
}

# -- NumPy and TensorLayer -----------------------------------------------------------------------------------------


def npy(descr: object, shape: tuple, data: bytes = b"") -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})
    return file.getvalue() + data


def npz(members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> Maker:
    return lambda folder: archive(folder / "net.npz", members, method)


def listed(content: bytes, shape: tuple = (1,)) -> Maker:
    return npz({"params.npy": npy("|O", shape, content)})


BEGUN = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\0tU\x01btR"
NUMPY: dict[str, Maker] = {
    "a shape of 10^12": npz({"a.npy": npy("<f4", (10**12,))}),
    "a shape that overflows": npz({"a.npy": npy("<f4", (2**40, 2**40))}),
    "a negative shape": npz({"a.npy": npy("<f4", (-4,), bytes(16))}),
    "a hundred dimensions": npz({"a.npy": npy("<f4", (1,) * 100, bytes(4))}),
    "a gigabyte and more, deflated": lambda folder: deflated(
        folder / "net.npz", {"a.npy": npy("<f4", (1 << 28,))}, 1 << 30
    ),
    "elements of 2 GB": npz({"a.npy": npy("|S2000000000", (1,))}),
    "complex numbers": npz({"a.npy": npy("<c16", (1,), bytes(16))}),
    "texts": npz({"a.npy": npy("<U4", (1,), bytes(16))}),
    "dates": npz({"a.npy": npy("<M8[s]", (1,), bytes(8))}),
    "records": npz({"a.npy": npy([("x", "<f4")], (2,), bytes(8))}),
    "a header that is code": npz({"a.npy": b"\x93NUMPY\x01\0\x20\0" + b"__import__('os').system('x')".ljust(32)}),
    "a header nested deeply": npz({"a.npy": b"\x93NUMPY\x01\0\xff\xfe" + (b"(" * 9000).ljust(65279)}),
    "no arrays": npz({}),
    "a member that is text": npz({"a.npy": b"text"}),
    "two members of one name": lambda folder: archive(
        folder / "net.npz", {"a.npy": npy("<f4", (1,), bytes(4)), "b.npy": b""}
    ),
    "a list: an array made whole, of 10^12": listed(b"\x80\x02cnumpy\nndarray\n(" + whole(10**12) + b"tR."),
    "a list: an array begun with 10^12": listed(
        b"\x80\x02" + BEGUN.replace(b"(K\0t", b"(" + whole(10**12) + b"t") + b"."
    ),
    "a list: a type of 2 GB": listed(b"\x80\x02cnumpy\ndtype\n(X\x0b\0\0\0S2000000000tR."),
    "a list: a state of another length": listed(
        b"\x80\x02" + BEGUN + b"(K\x01(" + whole(10**12) + b"tcnumpy\ndtype\n(X\x02\0\0\0f4tR\x89U\x04abcdtb."
    ),
    "a list: a memo of 2^31": listed(b"\x80\x02Nr\xff\xff\xff\x7f."),
    "a list: its length is another": listed(b"\x80\x02" + BEGUN + b".", (9,)),
    "a list: a persistent id": listed(b"\x80\x02K\0Q."),
}

# -- TensorFlow ----------------------------------------------------------------------------------------------------


def varint(number: int) -> bytes:
    out = b""
    while number > 127:
        out, number = out + bytes([number & 127 | 128]), number >> 7
    return out + bytes([number])


def field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def checkpoint(entries: list[tuple[bytes, bytes]] | bytes, times: int = 1, name: str = "net.ckpt") -> Maker:
    """A TensorFlow V1 checkpoint of these entries, or of a block; its index names the block ``times`` times."""
    from refsr_bench.formats.tensorflow_v1 import MAGIC, crc32c, masked

    def block(content: bytes) -> bytes:
        return content + b"\0" + struct.pack("<I", masked(crc32c(content + b"\0")))

    def listing(pairs: list[tuple[bytes, bytes]]) -> bytes:
        whole_ = b"".join(varint(0) + varint(len(k)) + varint(len(v)) + k + v for k, v in pairs)
        return whole_ + struct.pack("<2I", 0, 1)

    data = entries if isinstance(entries, bytes) else listing(entries)
    index = listing([(b"%08d" % n, varint(0) + varint(len(data))) for n in range(times)])
    start, end = len(data) + 5, varint(0) + varint(0)
    footer = (end + varint(start) + varint(len(index))).ljust(40, b"\0") + MAGIC.to_bytes(8, "little")
    return raw(name, block(data) + block(index) + footer)


def saved(shape: tuple[int, ...], kind: int = 1, data: bytes = b"", name: bytes = b"w") -> list[tuple[bytes, bytes]]:
    """The entries of a checkpoint with one tensor."""
    sides = b"".join(field(2, field(1, side)) for side in shape)
    head = field(1, field(1, field(1, name) + field(2, sides) + field(3, kind)))
    part = field(2, field(1, name) + field(2, b"") + field(3, field(6 if kind == 2 else 5, data)))
    return [(b"", head), (b"\0w", part)]


REPEATED = (
    varint(0)
    + varint(4000)
    + varint(0)
    + b"k" * 4000
    + 200_000 * (varint(4000) + varint(0) + varint(0))
    + struct.pack("<2I", 0, 1)
)
LONG_KEY = (
    varint(0)
    + varint(1 << 20)
    + varint(0)
    + b"k" * (1 << 20)
    + b"".join(varint(1 << 20) + varint(1) + varint(0) + b"x" for _ in range(2000))
    + struct.pack("<2I", 0, 1)
)
TENSORFLOW: dict[str, Maker] = {
    "a shape of 10^12": checkpoint(saved((10**12,), data=bytes(8))),
    "a shape that overflows": checkpoint(saved((0, 2**63))),
    "a side of -1": checkpoint(saved((2**64 - 1,))),
    "a hundred dimensions": checkpoint(saved((1,) * 100, data=bytes(4))),
    "strings": checkpoint(saved((1,), kind=7)),
    "complex numbers": checkpoint(saved((1,), kind=8)),
    "a name that is no UTF-8": checkpoint(saved((1,), data=bytes(4), name=b"\xff")),
    "one block a million times": checkpoint(saved((1,), data=bytes(4)), 20_000),
    "keys that grow": checkpoint(LONG_KEY),
    "keys that repeat": checkpoint(REPEATED),
    "fields without end": checkpoint([(b"", field(1, b"\x08\x01" * 3_000_000))]),
    "the index of a bundle": checkpoint([(b"", field(1, 1))], name="net.ckpt.index"),
    "one shard of several": checkpoint(saved((1,), data=bytes(4)), name="net.ckpt-00000-of-00002"),
    "an empty table": checkpoint([]),
    "an end alone": raw("net.ckpt", bytes(40) + (0xDB4775248B80FB57).to_bytes(8, "little")),
    "handles beyond the file": raw(
        "net.ckpt", b"\xff" * 9 + b"\x01" + bytes(30) + (0xDB4775248B80FB57).to_bytes(8, "little")
    ),
    "a file of 2 TB": large("net.ckpt", b"x", 2 << 40),
}


# -- the commands --------------------------------------------------------------------------------------------------


def image(path: Path) -> str:
    from PIL import Image

    Image.fromarray(np.arange(32 * 32 * 3, dtype=np.uint8).reshape(32, 32, 3)).save(path)
    return str(path)


def photos(folder: Path) -> str:
    (folder / "photos").mkdir()
    image(folder / "photos" / "a.png")
    return str(folder / "photos")


def verify(folder: Path, path: Path) -> list[str]:
    return ["weights", "verify", str(path)]


def info(folder: Path, path: Path) -> list[str]:
    return ["weights", "info", str(path)]


def imported(folder: Path, path: Path) -> list[str]:
    return ["weights", "import", "--method", "edsr", str(path), "--out", str(folder / "out.safetensors")]


def packed(folder: Path, path: Path) -> list[str]:
    return ["weights", "pack", str(path), "--out", str(folder / "out.safetensors")]


def sr(folder: Path, path: Path) -> list[str]:
    out, lr = str(folder / "sr.png"), image(folder / "lr.png")
    return ["sr", "--lr", lr, "--method", "edsr", "--weights", str(path), "--out", out]


def run(folder: Path, path: Path) -> list[str]:
    words = ["run", "--method", "edsr", "--weights", f"edsr={path}", "--dataset", "sample"]
    return [*words, "--device", "cpu", "--metric-weights", f"lpips={path}", "--out", str(folder / "results")]


def taught(folder: Path, path: Path) -> list[str]:
    words = ["train", "c2matching", "student", "--recipe", "small-cpu", "--data", photos(folder), "--device", "cpu"]
    return [*words, "--teacher", str(path), "--out", str(folder / "out")]


def restored(folder: Path, path: Path) -> list[str]:
    words = ["train", "c2matching", "restoration", "--recipe", "small-cpu", "--data", photos(folder), "--device", "cpu"]
    return [*words, "--student", str(path), "--out", str(folder / "out")]


COMMANDS = (verify, imported, sr, info, run, taught, restored)


def cases() -> Iterator[Case]:
    """Each file meets one command, each command a share of the files of every format."""
    formats = {"PyTorch": PYTORCH, "safetensors": SAFETENSORS, "npz": NUMPY, "TensorFlow": TENSORFLOW}
    code = {f"code, {name}": late(call(*given), pth) for name, given in CODE.items()}
    code |= {
        f"code in a legacy file, {name}": late(call(*CODE[name]), legacy) for name in ("os.system", "eval", "open")
    }
    code |= {
        f"code in a list, {name}": late(call(*CODE[name]), listed) for name in ("os.system", "eval", "open", "mkdir")
    }
    for title, files in (*formats.items(), ("all", code)):
        for number, (name, make) in enumerate(files.items()):
            command = COMMANDS[number % 3]
            if number % 5 == 4:
                command = COMMANDS[3 + number // 5 % 4]
            if command is info and title == "safetensors":
                command = verify  # tells what is in a file that no method could use
            yield Case(f"weights: {title}: {name}", lambda folder, m=make, c=command: c(folder, m(folder)), "net.")
    yield Case("weights: a folder", lambda folder: verify(folder, folder), "", (2,))
    yield Case("weights: a FIFO", lambda folder: verify(folder, fifo(folder)), "net.pth", (2,))
    yield Case("weights: a device", lambda folder: verify(folder, Path("/dev/zero")), "/dev/zero", (2,))
    yield Case("weights: a long name", lambda folder: verify(folder, folder / ("x" * 5000)), "", (2,))
    yield Case("weights: pack of no options", lambda f: packed(f, SAFETENSORS["10^9 channels"](f)), "net.safetensors")


def fifo(folder: Path) -> Path:
    os.mkfifo(folder / "net.pth")
    return folder / "net.pth"
