"""Downloads one file, when a person asks for it: bounded, verified, resumable, never half.

pooch was considered. It reads without a limit, follows any redirect, starts anew after a cut, and takes whole digests
only, where torchvision states eight digits; its hooks for all four would leave this code and a dependency.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlsplit
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
)

from refsr_bench import __version__
from refsr_bench.core.cards import PublishedFile
from refsr_bench.core.errors import BenchError
from refsr_bench.core.files import locked, make_folder
from refsr_bench.core.journals import Unfinished
from refsr_bench.registry.places import check, how_to_get, located

MIRROR = "REFSR_MIRROR"
TIMEOUT_S = 20.0  # without a byte
BLOCK = 1 << 20
MOST_REDIRECTS = 5
GOES_ON = "the same command goes on from there"

Progress = Callable[[int, int], None]


class Refused(Exception):
    """An answer that is not taken. The message ends the sentence "... could not be fetched from URL: "."""


def addresses(file: PublishedFile) -> list[str]:
    """Return the addresses to ask: those below ``$REFSR_MIRROR``, separated by blanks, else the owners' own.

    A mirror stands instead of the owners, because machines that need one usually reach nothing else. It holds all files
    in one folder under their own names.
    """
    if mirrors := os.environ.get(MIRROR, "").split():
        return [f"{mirror.rstrip('/')}/{quote(file.file)}" for mirror in mirrors]
    return [file.url] if file.url else []


def fetch(file: PublishedFile, place: Path, most: int, again: str, progress: Progress | None = None) -> Path:
    """Return a file of the registry, downloaded into ``place`` unless it is there already.

    most: bytes. again: the command that asks for it once more, for messages. progress: called with (bytes, bytes in
    all; 0 if unknown). Raises BenchError when it has no address, when nobody answers or the answer is refused, and for
    another digest; it says where the file can be had and where to put it.
    """
    if (found := located(file, place)) is not None:
        return found
    reasons = []
    for url in addresses(file) if not file.is_pattern else ():
        try:
            return _downloaded(file, url, make_folder(place) / file.file, most, progress)
        except Refused as refused:
            reasons.append(f"it could not be fetched from {url}: {refused}")
    told = "".join(f", and {reason}" for reason in reasons)
    raise BenchError(f"{file.file} is not in {place}{told}. {how_to_get(file, again, place)}")


def _downloaded(file: PublishedFile, url: str, path: Path, most: int, progress: Progress | None) -> Path:
    if not file.sha256 and not url.startswith("https:"):
        raise Refused("nobody states its digest, so it is taken over https alone")
    unfinished = Unfinished(path)
    with locked(path.parent, f"Another download of {path.name}", "try again later", wait=True):
        if path.is_file():  # somebody else fetched it meanwhile
            check(file, path)
            return path
        with unfinished.opened() as sink:
            have = sink.tell()
            with _answer(url, have) as answer:
                if have and not _goes_on(answer, have):
                    sink.seek(0)
                    sink.truncate()
                    have = 0
                expected = _length(answer, have)
                if expected > most:
                    unfinished.drop()
                    raise Refused(f"it has {expected:,} bytes; at most {most:,} are taken")
                while block := _read(answer):
                    have += sink.write(block)
                    if have > most:
                        unfinished.drop()
                        raise Refused(f"it has more than the {most:,} bytes that are taken")
                    if progress:
                        progress(have, expected)
        if have < expected:
            raise Refused(f"the connection ended after {have:,} of {expected:,} bytes; {GOES_ON}")
        try:
            check(file, unfinished.path)
        except BenchError:
            unfinished.drop()
            raise Refused("what came is another file than its owners state, by its SHA-256") from None
        unfinished.finish()
    return path


def _answer(url: str, have: int) -> HTTPResponse:
    """Open an address, from byte ``have`` on. Raises Refused, saying why nobody answered."""
    opener = OpenerDirector()
    kinds = (ProxyHandler, HTTPHandler, HTTPSHandler, HTTPDefaultErrorHandler, HTTPErrorProcessor)
    for handler in (*(kind() for kind in kinds), _Redirects(url)):  # no handler of files or FTP
        opener.add_handler(handler)
    headers = {"User-Agent": f"refsr-bench/{__version__}", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        return opener.open(Request(url, headers=headers), timeout=TIMEOUT_S)
    except HTTPError as error:
        if error.code == 416 and have:  # what is there is the whole file, or more
            return _answer(url, 0)
        raise Refused(f"the server answers {error.code} {error.reason}") from None
    except URLError as error:
        raise Refused(f"nobody answers ({error.reason})") from None
    except (OSError, HTTPException, ValueError) as error:
        raise Refused(f"nobody answers ({error or type(error).__name__})") from None


class _Redirects(HTTPRedirectHandler):
    """Follows redirects that stay encrypted; those of a mirror, or of any address without encryption, on its host."""

    max_redirections = MOST_REDIRECTS

    def __init__(self, url: str) -> None:
        self.start = urlsplit(url)

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        to = urlsplit(newurl)
        encrypted = self.start.scheme == to.scheme == "https" and not os.environ.get(MIRROR)
        if not encrypted and (to.scheme, to.netloc) != (self.start.scheme, self.start.netloc):
            raise Refused(f"it sends on to {to.scheme}://{to.netloc}, which is not followed")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _goes_on(answer: HTTPResponse, have: int) -> bool:
    """Tell whether an answer begins with byte ``have``, and not with the first."""
    return answer.status == 206 and (answer.headers.get("Content-Range") or "").startswith(f"bytes {have}-")


def _length(answer: HTTPResponse, have: int) -> int:
    """Return the bytes that there will be in all; 0 if the server does not say."""
    text = answer.headers.get("Content-Length") or ""
    return have + int(text) if re.fullmatch(r"[0-9]{1,15}", text) else 0


def _read(answer: HTTPResponse) -> bytes:
    try:
        return answer.read(BLOCK)
    except HTTPException as error:
        raise Refused(f"the connection ended early ({type(error).__name__}); {GOES_ON}") from None
    except OSError as error:
        raise Refused(f"the connection broke ({error}); {GOES_ON}") from None
