"""The parts that all providers share: question, hit, keys, and the reading of answers, which may have any shape."""

from __future__ import annotations

import html
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from refsr_bench.builder.fetching.fetch import Client
from refsr_bench.builder.fetching.network import FetchError
from refsr_bench.builder.licenses import KNOWN, OPEN
from refsr_bench.builder.rows import UNKNOWN, Stated
from refsr_bench.core.errors import Misuse

FILE_HOSTS = ("wikimedia.org", "staticflickr.com")
"""Hosts whose owners' own APIs hand out the addresses of their files for retrieval: their robots.txt, written for
crawlers that follow links, is not asked for these files. Everybody else's is."""


@dataclass(frozen=True)
class Place:
    """A place: degrees north and east, and a radius in metres."""

    latitude: float
    longitude: float
    radius: float = 500.0

    @classmethod
    def parse(cls, text: str) -> Place:
        """Parse ``48.8583, 2.2945`` or ``48.8583, 2.2945, 1000``; raises Misuse."""
        numbers = text.replace(",", " ").split()
        try:
            place = cls(*map(float, numbers))
            if abs(place.latitude) <= 90 and abs(place.longitude) <= 180 and 10 <= place.radius <= 10_000:
                return place
        except (TypeError, ValueError):
            pass
        raise Misuse(f"place {text!r}: expected degrees north, degrees east and, if you like, metres from 10 to 10000.")


@dataclass(frozen=True)
class Search:
    """One question to a provider.

    text: search words. category: one of Wikimedia Commons, without the prefix; other providers search for it as words
    when there is no text. place: the surroundings of one point, for providers that support it.
    """

    text: str = ""
    category: str = ""
    place: Place | None = None

    @property
    def words(self) -> str:
        return " ".join((self.text or self.category.replace("_", " ")).split())


class Hit(Stated, kw_only=True):
    """An image that a provider offers.

    source_url: the file to fetch. landing_url: the page about it. license: one of KNOWN, or UNKNOWN, which is accepted
    only if the settings list it. sha1: the original file's, if the provider states it.
    """

    provider: str
    license: str = UNKNOWN
    sha1: str = ""


class Provider(ABC):
    """One service.

    endpoint: its address (tests use another). key: the environment variable that holds its key, if any.
    """

    name: ClassVar[str]
    endpoint: str
    key: ClassVar[str] = ""

    def __init__(self, client: Client, licenses: Sequence[str] = OPEN) -> None:
        """Raise Misuse when the environment lacks the key or a licence is unknown."""
        unknown = [name for name in licenses if name not in (*KNOWN, UNKNOWN)]
        if unknown or not licenses:
            raise Misuse(f"licenses: {unknown or 'none'}; choose from {', '.join((*KNOWN, UNKNOWN))}.")
        self.client = client
        self.licenses = tuple(licenses)
        self._key = os.environ.get(self.key, "").strip()
        if self.key and not self._key:
            raise Misuse(f"{self.name} needs a key: set {self.key} in the environment.")

    def search(self, query: Search, n: int) -> Iterator[Hit]:
        """Return up to n hits under an accepted licence, best first, asking for pages as they are needed.

        Raises FetchError (Throttled, when waiting helps).
        """
        seen: set[str] = set()
        for hit in self._hits(query):
            if len(seen) >= n:
                return
            if hit.source_url and hit.source_url not in seen and hit.license in self.licenses:
                seen.add(hit.source_url)
                yield hit

    @abstractmethod
    def _hits(self, query: Search) -> Iterator[Hit]:
        """Yield all hits, page after page, whatever their licence."""

    def _object(self, answer: Any) -> dict[str, Any]:
        """Return the answer, which must be a JSON object, as every API's is. Raises FetchError."""
        if not isinstance(answer, dict):
            raise FetchError(f"{self.endpoint}: answers in a form that is not the API's.")
        return answer


def plain(value: Any) -> str:
    """Return text for a table cell: HTML stripped, entities resolved, white space single; "" for anything but text."""
    if not isinstance(value, str):
        return ""
    text = re.sub(r"<(script|style)\b.*?</\1\s*>", " ", value, flags=re.IGNORECASE | re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", text)).split())[:300]


def link(value: Any) -> str:
    """Return a web address, or "" for anything else."""
    text = value.strip() if isinstance(value, str) else ""
    text = f"https:{text}" if text.startswith("//") else text
    return text if re.fullmatch(r"https?://[^\s<>\"]{1,2000}", text) else ""


def size(value: Any) -> int:
    """Return a count; 0 for anything else."""
    return int(value) if re.fullmatch(r"\d{1,6}", str(value)) else 0


def entries(value: Any) -> list[dict]:
    """Return the objects of a JSON list, or [] for anything else, because an answer's shape is never trusted."""
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []
