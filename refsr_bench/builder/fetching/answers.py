"""Reads servers' answers, none of which is trusted: bounded bodies, images checked by content, JSON, error texts."""

from __future__ import annotations

import io
import warnings
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpcore2
from PIL import Image as PilImage

from refsr_bench.builder.fetching.network import FetchError, Refused, shown_url
from refsr_bench.core.errors import BenchError
from refsr_bench.core.reader import parse_json
from refsr_bench.pixels.images import FORMATS

ERROR_BYTES = 64 << 10  # how much of an error's body is read: enough for an API's explanation
SHORTEST_SECRET = 6  # characters; a shorter value is no key, and replacing it would corrupt answers


@dataclass(frozen=True)
class Answer:
    """A server's answer. url: the last hop's, including keys, so show it only through ``shown_url``."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str


def body(response: httpcore2.Response, headers: Mapping[str, str], shown: str, limit: int) -> bytes:
    """Read the body and decompress it; an error's body is cut after its beginning.

    Raises Refused for a body of more than ``limit`` bytes, announced or not, and for an encoding that was not asked
    for.
    """
    failed = response.status >= 300
    if failed:
        limit = min(limit, ERROR_BYTES)
    length = headers.get("content-length", "")
    if length.isdigit() and int(length) > limit and not failed:
        raise Refused(f"{shown}: announces {int(length):,} bytes, the limit is {limit:,}.")
    unpack = _unpacker(headers.get("content-encoding", ""), shown)
    got = bytearray()
    for chunk in response.iter_stream():
        got += unpack(chunk, limit + 1 - len(got))
        if len(got) > limit:
            if failed:
                break
            raise Refused(f"{shown}: more than {limit:,} bytes, the limit.")
    return bytes(got)


def _unpacker(encoding: str, shown: str) -> Callable[[bytes, int], bytes]:
    """Return ``unpack(chunk, most)``, which returns at most ``most`` bytes at once, however well they were packed."""
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return lambda chunk, most: chunk
    if encoding not in ("gzip", "x-gzip"):
        raise Refused(f"{shown}: packed as {encoding[:40]!r}, which was not asked for.")
    unpacker = zlib.decompressobj(wbits=31)  # 31: a gzip header, the largest window

    def unpack(chunk: bytes, most: int) -> bytes:
        try:
            return unpacker.decompress(chunk, most)
        except zlib.error:
            raise Refused(f"{shown}: damaged (gzip).") from None

    return unpack


def look(data: bytes, shown: str, max_pixels: int) -> tuple[str, int, int]:
    """Return (format, width, height) of an image file's bytes, after decoding them to be sure.

    Raises Refused, in words, for anything that is not a sound image of a known format and acceptable size.
    """
    try:
        # Pillow warns of decompression bombs at half the size at which it refuses them; we set our own limit.
        with (
            warnings.catch_warnings(action="ignore", category=PilImage.DecompressionBombWarning),
            PilImage.open(io.BytesIO(data), formats=FORMATS) as image,
        ):
            kind, (width, height) = image.format or "", image.size
            if width * height <= max_pixels:
                image.load()
    except PilImage.UnidentifiedImageError:
        raise Refused(f"{shown}: {_what(data)}, not a PNG, JPEG, BMP, WebP or TIFF image.") from None
    except PilImage.DecompressionBombError:
        raise Refused(f"{shown}: far more than {max_pixels:,} pixels, the limit.") from None
    except Exception as error:  # decoders raise nearly anything on hostile files
        raise Refused(f"{shown}: damaged or cut short ({type(error).__name__}).") from None
    if width * height > max_pixels:
        raise Refused(f"{shown}: {width}x{height} pixels, the limit is {max_pixels:,} in all.")
    return kind, width, height


def _what(data: bytes) -> str:
    start = data[:512].lstrip().lower()
    if not start:
        return "empty"
    if start.startswith((b"<!doctype html", b"<html", b"<head", b"<body", b"<!--")):
        return "a web page"
    if start.startswith((b"<?xml", b"<svg")):
        return "XML or SVG"
    if start.startswith(b"gif8"):
        return "a GIF"
    return "text" if all(byte in b"\t\n\r" or byte >= 32 for byte in start) and start.isascii() else "something else"


def decoded(data: bytes, url: str) -> Any:
    """Decode an API's answer as JSON. Raises FetchError."""
    try:
        return parse_json(data, url)
    except BenchError:
        raise FetchError(f"{shown_url(url)}: answers with {_what(data)} instead of JSON.") from None


def words(data: bytes) -> str:
    """Return an API's own explanation of an error for use in a message: `` (its words)``, or ""."""
    try:
        payload = parse_json(data, "")
    except BenchError:
        return ""
    if isinstance(payload, dict):
        for key in ("detail", "error", "message", "error_description"):
            if isinstance(payload.get(key), str):
                return f" ({' '.join(payload[key].split())[:200]})"
    return ""


def scrubbed(data: bytes, secrets: Iterable[str]) -> bytes:
    """Return the body without our keys, in case the server repeats them."""
    for value in secrets:
        if len(value) >= SHORTEST_SECRET:
            for spelt in {value, quote(value, safe="")}:
                data = data.replace(spelt.encode(), b"***")
    return data
