"""Not being a nuisance: when a host may be asked again, and what need not be asked because it is on disk."""

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
_EPOCH = 1e9  # a reset beyond it is a moment (seconds since 1970), one below it a number of seconds
MOST_BYTES = 1 << 30  # a cached body's; what is fetched is bounded by the policy


class Pace:
    """When each host may be asked again."""

    def __init__(
        self, interval: float, patience: float, sleep: Callable[[float], None], clock: Callable[[], float]
    ) -> None:
        """interval: seconds between two requests to one host. patience: the longest wait that is sat out."""
        self._usual, self._patience, self._sleep, self._clock = interval, patience, sleep, clock
        self._ready: dict[str, float] = {}
        self._interval: dict[str, float] = {}

    def wait(self, host: str) -> None:
        """Wait until the host may be asked; raises Throttled at once when that is further away than our patience."""
        now = self._clock()
        wait = self._ready.get(host, now) - now
        if wait > self._patience:
            raise throttled(host, wait, "it asked for a longer pause")
        if wait > 0:
            self._sleep(wait)
        self._ready[host] = self._clock() + self._interval.get(host, self._usual)

    def hold(self, host: str, seconds: float) -> None:
        """Leave the host alone for so long."""
        self._ready[host] = max(self._ready.get(host, 0.0), self._clock() + seconds)

    def slow(self, host: str, delay: float) -> None:
        """robots.txt asks for so many seconds between requests."""
        self._interval[host] = max(self._usual, min(delay, self._patience))

    def note(self, host: str, headers: Mapping[str, str]) -> None:
        """Heed rate-limit headers. Openverse sends one pair per limit, ``X-RateLimit-Limit-NAME: 100/day`` and
        ``X-RateLimit-Available-NAME: 0``: out of requests, the mean distance between two is a fair guess of when the
        next becomes free (its window slides). Others send ``X-RateLimit-Remaining`` and ``-Reset`` (seconds)."""
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
    """The cache's entry for an address. url: for people, without keys. refused: why, for good. bytes: of the body."""

    url: str
    retrieved: str = ""
    refused: str = ""
    image: Picture | None = None
    bytes: Count = 0


class Cache:
    """``<digest of the address>.json`` with what is known, and ``.body``; the former is written last, both whole."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def find(self, url: str) -> tuple[Known, bytes] | None:
        """The entry for an address, and its body (empty where it was refused). A damaged entry is none."""
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
        """The file of an address's body, whether or not it is there; None without a cache."""
        return None if self._folder is None else self._path(url, ".body")

    def _path(self, url: str, suffix: str) -> Path:
        digest = hashlib.sha256(url.encode()).hexdigest()
        return Path(self._folder or "") / digest[:2] / f"{digest}{suffix}"


def today() -> str:
    """The date, ISO, in UTC."""
    return time.strftime("%Y-%m-%d", time.gmtime())


def backoff(attempt: int) -> float:
    """1, 2, 4, ... seconds, of each a random half or more, so that clients that failed together do not return so."""
    return 2.0**attempt * random.uniform(0.5, 1.0)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds, from a number or a date."""
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
    """The error that says how long a host wants to be left alone."""
    return Throttled(f"{host}: wait {seconds:.0f} s ({reason}). Run this again later; what is here stays.", seconds)
