"""Keeps the client from being a nuisance: when a host may be asked again, and what the disk already holds."""

from __future__ import annotations

import email.utils
import hashlib
import random
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from refsr_bench.builder.fetching.network import Throttled
from refsr_bench.core import files, reader
from refsr_bench.core.errors import BenchError
from refsr_bench.core.reader import Count, Format

_PERIODS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_EPOCH = 1e9  # a reset above it is a moment (seconds since 1970), one below it a number of seconds
MOST_BYTES = 1 << 30  # limit of a cached body; the policy bounds what is fetched


class Pace:
    """Tracks when each host may be asked again."""

    def __init__(
        self, interval: float, patience: float, sleep: Callable[[float], None], clock: Callable[[], float]
    ) -> None:
        """interval, patience: seconds between two requests to one host, and the longest wait that is accepted."""
        self._usual, self._patience, self._sleep, self._clock = interval, patience, sleep, clock
        self._ready: dict[str, float] = {}
        self._interval: dict[str, float] = {}

    def wait(self, host: str) -> None:
        """Wait until the host may be asked; raise Throttled at once when that is further away than our patience."""
        now = self._clock()
        wait = self._ready.get(host, now) - now
        if wait > self._patience:
            raise throttled(host, wait, "it asked for a longer pause")
        if wait > 0:
            self._sleep(wait)
        self._ready[host] = self._clock() + self._interval.get(host, self._usual)

    def hold(self, host: str, seconds: float) -> None:
        """Leave the host alone for this many seconds."""
        self._ready[host] = max(self._ready.get(host, 0.0), self._clock() + seconds)

    def slow(self, host: str, delay: float) -> None:
        """Obey robots.txt, which asks for this many seconds between requests."""
        self._interval[host] = max(self._usual, min(delay, self._patience))

    def note(self, host: str, headers: Mapping[str, str]) -> None:
        """Obey rate-limit headers.

        Openverse sends one pair per limit, ``X-RateLimit-Limit-NAME: 100/day`` and ``X-RateLimit-Available-NAME: 0``.
        When no requests are left, the mean distance between two is a fair guess of when the next becomes free, because
        its window slides. Others send ``X-RateLimit-Remaining`` and ``-Reset`` (seconds).
        """
        for name, value in headers.items():
            if name.startswith("x-ratelimit-available-") and _number(value) == 0:
                rate = headers.get(name.replace("available", "limit", 1), "")
                match = re.fullmatch(r"\s*(\d+)\s*/\s*([smhd])\w*\s*", rate)
                if match and int(match[1]):
                    self.hold(host, _PERIODS[match[2]] / int(match[1]))
        if _number(headers.get("x-ratelimit-remaining", "")) == 0:
            reset = _number(headers.get("x-ratelimit-reset", "")) or 0.0
            self.hold(host, max(0.0, reset - time.time()) if reset > _EPOCH else reset)


class Picture(Format):
    """The facts of a fetched image. type: its media type and suffix its usual suffix, by content; width, height: as
    stored (before any EXIF turn); url: where it lay at last; retrieved: date (ISO, UTC)."""

    type: str
    suffix: str
    width: Count
    height: Count
    url: str
    retrieved: str


class Known(Format):
    """The cache's entry for an address.

    url: for people, without keys. refused: why, if for good. bytes: size of the body.
    """

    url: str
    retrieved: str = ""
    refused: str = ""
    image: Picture | None = None
    bytes: Count = 0


class Cache:
    """A cache of ``<digest of the address>.json`` (the facts) and ``.body``.

    The facts are written last; both are whole.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def find(self, url: str) -> tuple[Known, bytes] | None:
        """Return the entry for an address and its body (empty if it was refused). A damaged entry counts as none."""
        if self._folder is None or not self._path(url, ".json").exists():
            return None
        try:
            known = reader.read_json(self._path(url, ".json"), Known)
            body = b"" if known.refused else files.read_bytes(self._path(url, ".body"), MOST_BYTES)
        except BenchError:
            return None
        return (known, body) if known.bytes == len(body) else None

    def write(self, url: str, known: Known, body: bytes = b"") -> None:
        """Keep an answer. Raises BenchError when the disk refuses."""
        if self._folder is None:
            return
        path = self._path(url, ".json")
        files.make_folder(path.parent)
        if not known.refused:
            files.write_bytes(path.with_suffix(".body"), body)
        files.write_text(path, reader.dumps(known))

    def body(self, url: str) -> Path | None:
        """Return the path of an address's body, whether or not the file exists; None without a cache."""
        return None if self._folder is None else self._path(url, ".body")

    def _path(self, url: str, suffix: str) -> Path:
        digest = hashlib.sha256(url.encode()).hexdigest()
        return Path(self._folder or "") / digest[:2] / f"{digest}{suffix}"


def today() -> str:
    """Return the date in UTC, ISO 8601."""
    return time.strftime("%Y-%m-%d", time.gmtime())


def backoff(attempt: int) -> float:
    """The pause before another try: 1, 2, 4, ... seconds, randomly cut by up to half.

    The random part keeps clients that failed together from returning together.
    """
    return 2.0**attempt * random.uniform(0.5, 1.0)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that a header asks for, as a number or a date."""
    value = headers.get("retry-after", "").strip()
    number = _number(value)
    if number is not None:
        return max(0.0, number)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"\s*\d{1,12}(\.\d{1,12})?\s*", text) else None


def throttled(host: str, seconds: float, reason: str) -> Throttled:
    """Return the error that says how long a host wants to be left alone."""
    return Throttled(f"{host}: wait {seconds:.0f} s ({reason}). Run this again later; what is here stays.", seconds)
