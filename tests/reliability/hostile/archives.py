"""Archives that lead out of their folder, unpack to more than a disk holds, or are damaged."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from hostile.case import Case, canary

SETS = ("wrsr", "cufed5", "hpatches")
NAMES = {
    "a name that climbs": "../canary.txt.png",
    "a name that climbs later": "a/../../canary.png",
    "an absolute name": "/tmp/hostile.png",
    "a drive": "C:evil.png",
    "backslashes": "..\\..\\canary.png",
    "a control character": "a\x01b.png",
    "a newline": "a\nb.png",
    "escape sequences": "\x1b[2J.png",
    "a name of 5,000 characters": "a" * 5000 + ".png",
    "2,000 folders": "a/" * 2000 + "b.png",
    "an alternate stream": "a.png:b.png",
    "a dot": ".",
    "nothing": "",
}
LINKS = {
    "a symbolic link": tarfile.SYMTYPE,
    "a hard link": tarfile.LNKTYPE,
    "a FIFO": tarfile.FIFOTYPE,
    "a character device": tarfile.CHRTYPE,
    "a block device": tarfile.BLKTYPE,
    "a sparse file": tarfile.GNUTYPE_SPARSE,
    "an unknown type": b"Z",
}
DAMAGED = {
    "0 bytes": b"",
    "text": b"no archive",
    "a ZIP's end alone": b"PK\5\6" + bytes(18),
    "a ZIP's end that promises 65,535 members": b"PK\5\6" + b"\0\0\0\0" + b"\xff" * 4 + b"\xff" * 8 + b"\0\0",
    "gzip that is cut short": b"\x1f\x8b\x08\0\0\0\0\0\0\3\x4b",
    "xz that is cut short": b"\xfd7zXZ\0\0\4",
    "bzip2 that is cut short": b"BZh91AY&SY",
    "zeros": bytes(10240),
}


def _zip(path: Path, members: dict[str, bytes], kind: int = zipfile.ZIP_DEFLATED) -> None:
    with zipfile.ZipFile(path, "w", kind) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data, kind)


def _tar(path: Path, members: list[tarfile.TarInfo], mode: str = "w") -> None:
    with tarfile.open(path, mode) as archive:
        for member in members:
            archive.addfile(member, io.BytesIO(bytes(member.size)) if member.isreg() else None)


def _member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", size: int = 0) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.size = kind, link, size
    return member


def _prepared(name: str, write: Callable[[Path], object], data_set: str = "wrsr") -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        write(folder / name)
        return ["data", "prepare", data_set, "--from", name, "--data-root", "root"]

    return make


def _linked(kind: bytes) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        _tar(path, [_member("input/1.png", kind, str(canary(path.parent))), _member("input/1.png/x.png")])

    return write


def _bomb(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("input/1.png", "w") as member:
        for _ in range(300):
            member.write(bytes(1 << 20))


def _liar(path: Path) -> None:
    """Write a ZIP whose member states one byte and unpacks to 100 MB."""
    _zip(path, {"input/1.png": bytes(100 << 20)})
    data = path.read_bytes().replace((100 << 20).to_bytes(4, "little"), (1).to_bytes(4, "little"))
    path.write_bytes(data)


def _encrypted(path: Path) -> None:
    _zip(path, {"input/1.png": b"x"})
    data = bytearray(path.read_bytes())
    data[6] |= 1
    data[data.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(bytes(data))


def _zip_link(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo("input/1.png")
        info.create_system, info.external_attr = 3, 0o120777 << 16
        archive.writestr(info, str(canary(path.parent)))


def _many(count: int, entry: int = 56) -> Callable[[Path], object]:
    """Write a list of members without the members. entry: bytes of each in the list, with a name of entry - 46."""
    head = struct.pack("<4s4B4H3L5H2L", b"PK\1\2", 20, 3, 20, 0, 0, 0, 0, 33, 0, 0, 0, entry - 46, 0, 0, 0, 0, 0, 0)

    def write(path: Path) -> None:
        width = entry - 46 - 4
        size = count * entry
        with path.open("wb") as file:
            for start in range(0, count, 10_000):
                names = (f"{number:0{width}x}.bin".encode() for number in range(start, min(count, start + 10_000)))
                file.write(b"".join(head + name for name in names))
            at = file.tell()
            file.write(struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, 0))
            file.write(struct.pack("<4sLQL", b"PK\6\7", 0, at, 1))
            file.write(struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0))

    return write


def _many_in_tar(path: Path) -> None:
    """Write 300,000 headers, packed at level 1: deflated more, they would be refused as a bomb."""
    head = _member("a.bin").tobuf()
    with gzip.open(path, "wb", 1) as file:
        for _ in range(300):
            file.write(head * 1000)


def _twice(path: Path) -> None:
    import warnings

    with warnings.catch_warnings(), zipfile.ZipFile(path, "w") as archive:
        warnings.simplefilter("ignore")
        for _ in range(2):
            archive.writestr("input/1.png", b"x")


def _unknown_method(path: Path) -> None:
    _zip(path, {"input/1.png": b"x"}, zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    data[8:10] = data[data.index(b"PK\1\2") + 10 :][:2] = b"\x63\0"
    at = data.index(b"PK\1\2") + 10
    data[at : at + 2] = b"\x63\0"
    path.write_bytes(bytes(data))


def _not_utf8(path: Path) -> None:
    _tar(path, [_member("input/\udcff\udcfe.png", size=4)])


def _folder_of(kind: Callable[[Path], object]) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        (path / "input").mkdir(parents=True)
        kind(path / "input/1.png")

    return write


ZIPS: dict[str, Callable[[Path], object]] = {
    "a bomb": _bomb,
    "a member that lies about its size": _liar,
    "an encrypted member": _encrypted,
    "a link": _zip_link,
    "200,000 members": _many(200_000),
    "250,000 members": _many(250_000),
    "a list of members of 100 MB": _many(1700, 60_000),
    "a member twice": _twice,
    "an unknown compression": _unknown_method,
    "a pickle and a script": lambda path: _zip(path, {"setup.py": b"import os", "x.pkl": b"cos\nsystem\n(S'x'\ntR."}),
    "an archive in an archive": lambda path: _zip(path, {"a.zip": b"PK"}),
    "no images": lambda path: _zip(path, {"list.txt": b"1.png 2.png"}),
    "damaged images": lambda path: _zip(path, {"input/1.png": b"x", "ref/1_ref.png": b"x"}),
}
TARS: dict[str, Callable[[Path], object]] = {
    "a bomb": lambda path: _tar(path, [_member(f"{n}.png", size=100 << 20) for n in range(3)], "w:gz"),
    "a skipped bomb": lambda path: _tar(path, [_member(f"{n}.bin", size=100 << 20) for n in range(3)], "w:gz"),
    "300,000 members": _many_in_tar,
    "a name that is not UTF-8": _not_utf8,
    "a member twice": lambda path: _tar(path, [_member("input/1.png", size=4)] * 2),
    "a name in use as a folder": lambda path: _tar(path, [_member("a.png/b.png", size=4), _member("a.png", size=4)]),
    "a folder below a file": lambda path: _tar(path, [_member("a.png", size=4), _member("a.png/b.png", size=4)]),
}
FOLDERS: dict[str, Callable[[Path], object]] = {
    "a link out": lambda path: path.symlink_to(canary(path.parents[2])),
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a FIFO": lambda path: __import__("os").mkfifo(path),
    "a link to /dev/zero": lambda path: path.symlink_to("/dev/zero"),
    "a dangling link": lambda path: path.symlink_to("nowhere"),
}


def cases() -> Iterator[Case]:
    for kind, name in NAMES.items():
        made = _prepared("set.zip", lambda path, name=name: _zip(path, {name: b"x"}))
        yield Case(f"archives: zip: {kind}", made, "set.zip")
        made = _prepared("set.tar", lambda path, name=name: _tar(path, [_member(name, size=4)]))
        yield Case(f"archives: tar: {kind}", made, "set.tar")
    for kind, code in LINKS.items():
        yield Case(f"archives: tar: {kind}", _prepared("set.tar", _linked(code)), "" if "sparse" in kind else "set.tar")
    for kind, data in DAMAGED.items():
        for end in (".zip", ".tar.gz"):
            made = _prepared(f"set{end}", lambda path, data=data: path.write_bytes(data))
            yield Case(f"archives: {end}: {kind}", made, "set")
    for kind, write in ZIPS.items():
        yield Case(f"archives: zip: {kind}", _prepared("set.zip", write), "" if "damaged" in kind else "set.zip")
    for kind, write in TARS.items():
        yield Case(f"archives: tar: {kind}", _prepared("set.tar.gz", write), exits=(1, 2))
    for kind, write in FOLDERS.items():
        yield Case(f"archives: folder: {kind}", _prepared("set", _folder_of(write)))
    for data_set in SETS[1:]:
        yield Case(f"archives: {data_set}: a bomb", _prepared("set.zip", _bomb, data_set), "set.zip")
