"""Images that are none, that promise more than memory holds, or that are no files at all."""

from __future__ import annotations

import io
import os
import socket
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from hostile import good
from hostile.case import Case, canary

SR = ["sr", "--method", "bicubic", "--device", "cpu", "--out", "sr.png"]
Meet = Callable[[Path, str, Callable[[Path], object]], list[str]]


def _as_low(folder: Path, name: str, write: Callable[[Path], object]) -> list[str]:
    write(folder / name)
    return [*SR, "--lr", name]


def _as_reference(folder: Path, name: str, write: Callable[[Path], object]) -> list[str]:
    good.png(folder / "low.png")
    write(folder / name)
    return [*SR, "--lr", "low.png", "--ref", name]


def _in_data_set(folder: Path, name: str, write: Callable[[Path], object]) -> list[str]:
    good.pairs(folder / "set")
    (folder / "set/hr/0.png").unlink()
    (folder / "set/ref/0.png").rename(folder / "set/ref" / f"{Path(name).stem}.png")
    write(folder / "set/hr" / name)
    return [*good.BICUBIC, "--dataset", "folder", "--data-root", "set"]


def _as_prediction(folder: Path, name: str, write: Callable[[Path], object]) -> list[str]:
    good.pairs(folder / "set")
    (folder / "mine").mkdir()
    (folder / "set/hr/0.png").rename(folder / "set/hr" / f"{Path(name).stem}.png")
    (folder / "set/ref/0.png").rename(folder / "set/ref" / f"{Path(name).stem}.png")
    write(folder / "mine" / name)
    return ["score", "--pred", "mine", "--dataset", "folder", "--data-root", "set", "--name", "x"]


def _verified(folder: Path, name: str, write: Callable[[Path], object]) -> list[str]:
    return ["data", "verify", "folder", "--data-root", _in_data_set(folder, name, write)[-1]]


def _for_training(folder: Path, name: str, write: Callable[[Path], object]) -> list[str]:
    (folder / "photos").mkdir()
    write(folder / "photos" / name)
    words = ["train", "srcnn", "--data", "photos", "--out", "training", "--device", "cpu", "--recipe", "small-cpu"]
    return [*words, "--budget", "1", "--set", "restoration.crop=64", "--set", "restoration.batch=1"]


def _matched(folder: Path, name: str, write: Callable[[Path], object]) -> list[str]:
    good.png(folder / "ref.png")
    write(folder / name)
    return ["match", "--lr", name, "--ref", "ref.png", "--out", "figure.png"]


def _viewed(folder: Path, name: str, write: Callable[[Path], object]) -> list[str]:
    good.png(folder / "ref.png")
    write(folder / name)
    return ["view", "--no-browser", "--out", "page.html", "--", name, "ref.png"]


def _bytes(data: bytes | Callable[[], bytes]) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(data() if callable(data) else data)


def _saved(kind: str, mode: str = "RGB", size: tuple[int, int] = (48, 48), **options) -> Callable[[], bytes]:
    def make() -> bytes:
        from PIL import Image

        out = io.BytesIO()
        Image.new(mode, size).save(out, kind, **options)
        return out.getvalue()

    return make


def _cut(kind: str, share: float) -> Callable[[], bytes]:
    def make() -> bytes:
        import numpy as np
        from PIL import Image

        out = io.BytesIO()
        noise = np.random.default_rng(0).integers(0, 256, (48, 48, 3), np.uint8)
        Image.fromarray(noise).save(out, kind, **({"lossless": True} if kind == "WEBP" else {}))
        data = out.getvalue()
        return data[: int(len(data) * share)]

    return make


def _flipped(kind: str, start: int) -> Callable[[], bytes]:
    """Return an image with a run of bytes inverted behind its header."""

    def make() -> bytes:
        data = bytearray(_cut(kind, 1)())
        data[start : start + 64] = bytes(255 - byte for byte in data[start : start + 64])
        return bytes(data)

    return make


def _tiff(entries: list[tuple[int, int, int, int]], tail: bytes = b"", following: int = 0) -> bytes:
    """Return a little-endian TIFF with one directory. entries: (tag, type, count, value)."""
    body = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + body + struct.pack("<I", following) + tail


def _tiff_of(width: int, height: int, **changes: int) -> bytes:
    known = {"bits": 8, "compression": 1, "samples": 1, "strip": 8, "size": width * height, "rows": height, **changes}
    return _tiff(
        [
            (256, 4, 1, width),
            (257, 4, 1, height),
            (258, 3, 1, known["bits"]),
            (259, 3, 1, known["compression"]),
            (262, 3, 1, 1),
            (273, 4, 1, known["strip"]),
            (277, 3, 1, known["samples"]),
            (278, 4, 1, known["rows"]),
            (279, 4, 1, known["size"] & 0xFFFFFFFF),
        ]
    )


def _bmp(width: int, height: int, bits: int = 24, compression: int = 0, offset: int = 54) -> bytes:
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, offset) + header + bytes(64)


def _jpeg_of(width: int, height: int, segments: bytes = b"") -> bytes:
    data = bytearray(_saved("JPEG")())
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(data[:2]) + segments + bytes(data[2:])


def _webp_of(width: int, height: int) -> bytes:
    lossless = b"\x2f" + struct.pack("<I", (width - 1) & 0x3FFF | ((height - 1) & 0x3FFF) << 14) + bytes(32)
    body = b"WEBPVP8L" + struct.pack("<I", len(lossless)) + lossless
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _text_bomb(kind: bytes) -> bytes:
    """Return a PNG with a compressed text chunk of 256 MB in front of its pixels."""
    packed = good.zeros(256 << 20)
    head = {b"zTXt": b"k\0\0", b"iTXt": b"k\0\1\0\0\0", b"iCCP": b"k\0\0"}[kind]
    return good.raw_png(48, 48, zlib.compress(bytes(48 * 145)), extra=good.chunk(kind, head + packed))


WRONG: dict[str, bytes | Callable[[], bytes]] = {
    "0 bytes": b"",
    "one byte": b"\x89",
    "text": b"this is no image\n" * 9,
    "a web page": b"<!DOCTYPE html><html>404</html>",
    "zeros": bytes(4096),
    "a PNG signature alone": b"\x89PNG\r\n\x1a\n",
    "a PNG header alone": good.raw_png(48, 48)[:33],
    "a PNG of 0x0": good.raw_png(0, 0),
    "a PNG of 1x0": good.raw_png(1, 0),
    "a PNG of 2^31 pixels a side": good.raw_png(2**31 - 1, 2**31 - 1),
    "a PNG of 2^32-1 pixels a side": good.raw_png(-1, -1),
    "a PNG of 100,000 x 100,000": good.raw_png(100_000, 100_000),
    "a PNG of 1,000,000 x 1": good.raw_png(1_000_000, 1, zlib.compress(b"")),
    "a PNG bomb of 13,300 x 13,300": lambda: good.raw_png(13_300, 13_300, good.zeros(13_300 * (13_300 * 3 + 1))),
    "a PNG bomb of 20,000 x 20,000": lambda: good.raw_png(20_000, 20_000, good.zeros(20_000 * 20_001), colour=0),
    "a PNG bomb in one bit": lambda: good.raw_png(60_000, 60_000, good.zeros(60_000 * 7_501), bits=1, colour=0),
    "a PNG without pixels": good.raw_png(48, 48, zlib.compress(b"")),
    "a PNG with pixels that do not inflate": good.raw_png(48, 48, b"garbage"),
    "a PNG with colour type 1": good.raw_png(48, 48, zlib.compress(bytes(48 * 145)), colour=1),
    "a PNG of 16 bits": good.raw_png(48, 48, zlib.compress(bytes(48 * 289)), bits=16),
    "a grey PNG of 16 bits": good.raw_png(48, 48, zlib.compress(bytes(48 * 97)), bits=16, colour=0),
    "a PNG with 3 bits": good.raw_png(48, 48, zlib.compress(bytes(48 * 145)), bits=3),
    "a PNG without its palette": good.raw_png(48, 48, b"\0", colour=3),
    "a PNG with a text chunk of 256 MB": lambda: _text_bomb(b"zTXt"),
    "a PNG with an international text chunk of 256 MB": lambda: _text_bomb(b"iTXt"),
    "a PNG with a chunk of 2 GB": b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 2**31 - 1) + b"IHDR",
    "half a PNG": _cut("PNG", 0.5),
    "a PNG with flipped bytes": _flipped("PNG", 60),
    "half a JPEG": _cut("JPEG", 0.5),
    "a JPEG header alone": _cut("JPEG", 0.05),
    "a JPEG of 65,500 x 65,500": lambda: _jpeg_of(65_500, 65_500),
    "a JPEG of 0 x 0": lambda: _jpeg_of(0, 0),
    "a CMYK JPEG": _saved("JPEG", "CMYK"),
    "half a WebP": _cut("WEBP", 0.5),
    "a WebP of 16,384 x 16,384": _webp_of(16_384, 16_384),
    "a WebP with flipped bytes": _flipped("WEBP", 24),
    "half a TIFF": _cut("TIFF", 0.3),
    "a TIFF of 2^32-1 pixels a side": _tiff_of(2**32 - 1, 2**32 - 1),
    "a TIFF of 50,000 x 50,000": _tiff_of(50_000, 50_000),
    "a TIFF whose strip lies nowhere": _tiff_of(48, 48, strip=2**31),
    "a TIFF with an unknown compression": _tiff_of(48, 48, compression=60_000),
    "a TIFF of 2^16-1 samples": _tiff_of(48, 48, samples=65_535),
    "a TIFF of 64 bits": _tiff_of(48, 48, bits=64),
    "a TIFF without entries": _tiff([]),
    "a TIFF with a directory that follows itself": _tiff([(256, 4, 1, 48)], following=8),
    "a TIFF with a tag of 2^32-1 values": _tiff([(256, 4, 2**32 - 1, 8), (257, 4, 1, 48)]),
    "a TIFF with a width of 0": _tiff_of(0, 48),
    "a TIFF of floating point": _saved("TIFF", "F"),
    "a TIFF of 16 bits": _saved("TIFF", "I;16"),
    "a TIFF in Lab": _saved("TIFF", "LAB"),
    "half a BMP": _cut("BMP", 0.5),
    "a BMP of 2^31-1 pixels a side": _bmp(2**31 - 1, 2**31 - 1),
    "a BMP of negative width": _bmp(-48, 48),
    "a BMP of 50,000 x 50,000": _bmp(50_000, 50_000),
    "a BMP of 7 bits": _bmp(48, 48, bits=7),
    "a BMP with an unknown compression": _bmp(48, 48, compression=99),
    "a BMP whose pixels lie nowhere": _bmp(48, 48, offset=2**31),
    "a GIF": _saved("GIF", "P"),
    "an ICO": _saved("ICO"),
    "a PDF": b"%PDF-1.7\n" + bytes(200),
    "an EPS, which Pillow would hand to Ghostscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EOF\n",
    "an SVG": b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>",
    "a pickle": b"cos\nsystem\n(S'touch executed'\ntR.",
    "a FITS header": b"SIMPLE  =                    T".ljust(2880),
}
FINE: dict[str, bytes | Callable[[], bytes]] = {
    "a PNG with more pixels than it states": lambda: good.raw_png(4, 4, good.zeros(64 << 20)),
    "a JPEG called .png": _saved("JPEG"),
    "an animated PNG": lambda: _animated("PNG"),
    "an animated WebP": lambda: _animated("WEBP"),
    "a TIFF of 500 pages": lambda: _animated("TIFF", 500),
    "a PNG with a profile of 256 MB": lambda: _text_bomb(b"iCCP"),
    "a JPEG with broken EXIF": lambda: _jpeg_of(48, 48, b"\xff\xe1\x00\x10Exif\0\0garbage!"),
    "a JPEG with EXIF that points at itself": lambda: _jpeg_of(
        48, 48, b"\xff\xe1\x00\x22Exif\0\0" + _tiff([(34665, 4, 1, 8)], following=8)[:26]
    ),
    "a PNG of 1 x 1": good.raw_png(1, 1, zlib.compress(bytes(4))),
}


def _animated(kind: str, frames: int = 20) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    pages = [Image.new("RGB", (48, 48), (number % 256, 0, 0)) for number in range(frames)]
    pages[0].save(out, kind, save_all=True, append_images=pages[1:])
    return out.getvalue()


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    listener = socket.socket(socket.AF_UNIX)
    here = os.getcwd()
    os.chdir(path.parent)  # the name of a socket may have 108 bytes
    try:
        listener.bind(path.name)
    finally:
        os.chdir(here)
        listener.close()


def _link(target: str) -> Callable[[Path], object]:
    return lambda path: path.symlink_to(target)


def _sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.write(good.raw_png(48, 48))
        file.truncate(1 << 40)


NO_FILES: dict[str, Callable[[Path], object]] = {
    "a FIFO": _fifo,
    "a socket": _socket,
    "a folder": lambda path: path.mkdir(),
    "a link to /dev/zero": _link("/dev/zero"),
    "a link to a terminal": _link("/dev/tty"),
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a dangling link": _link("nowhere"),
    "a link to the memory of the process": _link("/proc/self/mem"),
    "a file of 1 TB": _sparse,
    "a file that nobody may read": lambda path: (path.write_bytes(b"x"), path.chmod(0)),
}
MEETINGS: dict[str, Meet] = {
    "sr --lr": _as_low,
    "sr --ref": _as_reference,
    "run --dataset": _in_data_set,
    "score --pred": _as_prediction,
    "data verify": _verified,
    "train --data": _for_training,
    "view": _viewed,
    "match --lr": _matched,
}
NAMES = {
    "not UTF-8": b"\xff\xfe\x80.png",
    "with a line separator": "a\u2028b.png".encode(),
    "with a next-line character": "a\x85b.png".encode(),
    "with escape sequences": b"\x1b[2J\x1b]0;title\x07.png",
    "with a newline": b"a\nError: none\nb.png",
    "with a carriage return": b"a\rb.png",
    "with a direction override": "a\u202egnp.png".encode(),
    "of 250 bytes": b"a" * 246 + b".png",
    "with markup": b"[red]<b>&[.png",
    "with a leading dash": b"-x.png",
    "with half a character": b"\xed\xa0\x80.png",
}


def _made(meet: Meet, name: str, write: Callable[[Path], object]) -> Callable[[Path], list[str]]:
    return lambda folder: meet(folder, name, write)


def _lengthy_link(folder: Path) -> list[str]:
    """Make a chain of 60 links, more than the system follows."""
    for number in range(60):
        (folder / f"{number}.png").symlink_to(f"{number + 1}.png")
    good.png(folder / "60.png")
    return [*SR, "--lr", "0.png"]


def _output_through_a_link(words: list[str], out: str) -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        good.png(folder / "low.png")
        (folder / out).symlink_to(canary(folder).with_name("made-by-a-link"))
        return [*words, "--lr", "low.png"]

    return make


PHOTOS = ("a PNG of 16 bits", "a grey PNG of 16 bits", "a TIFF of 16 bits", "a CMYK JPEG")
"""What is wrong in a measurement, and a photo for ``sr``."""


def cases() -> Iterator[Case]:
    for kind, content in WRONG.items():
        names = ("", (0,)) if kind in PHOTOS else ("low.png",)
        yield Case(f"images: sr --lr: {kind}", _made(_as_low, "low.png", _bytes(content)), *names)
    for kind in ("0 bytes", "half a PNG", "a PNG bomb of 20,000 x 20,000", "a PNG of 16 bits", "a CMYK JPEG"):
        for said, meet in list(MEETINGS.items())[1:-1]:
            fine = kind in PHOTOS and said == "sr --ref"
            names = ("", (0,)) if fine else ("q.png",)
            yield Case(f"images: {said}: {kind}", _made(meet, "q.png", _bytes(WRONG[kind])), *names)
    for kind, content in FINE.items():
        yield Case(f"images: sr --lr: {kind}", _made(_as_low, "low.png", _bytes(content)), exits=(0, 1))
        yield Case(f"images: run --dataset: {kind}", _made(_in_data_set, "q.png", _bytes(content)), exits=(0, 1))
    for kind, write in NO_FILES.items():
        for said, meet in MEETINGS.items():
            # The listing of a folder leaves out what is no file, so that an image is missing.
            listed = said in ("run --dataset", "data verify", "score --pred", "train --data")
            yield Case(f"images: {said}: {kind}", _made(meet, "q.png", write), "" if listed else "q.png", (0, 1, 2))
    for kind, name in NAMES.items():
        for said, meet in MEETINGS.items():
            made = _made(meet, os.fsdecode(name), lambda path: path.write_bytes(b"no image"))
            yield Case(f"images: {said}: a name {kind}", made)
    yield Case("images: sr --lr: a chain of 60 links", _lengthy_link, "0.png")
    yield Case("images: sr --out: a dangling link", _output_through_a_link(SR, "sr.png"), "sr.png", (0, 1, 2))
    drawn = ["match", "--ref", "low.png", "--out", "f.png"]
    yield Case("images: match --out: a dangling link", _output_through_a_link(drawn, "f.png"), "f.png", (0, 1, 2))
