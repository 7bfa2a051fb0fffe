"""robots.txt as RFC 9309 has it: groups by product token, the longest rule wins, ``*`` and ``$`` mean something.

(The standard library's parser knows no wildcards and takes the first rule instead of the longest.)
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

MAX_BYTES = 500 << 10
"""As much as a crawler has to read (RFC 9309, 2.5)."""


@dataclass(frozen=True)
class Robots:
    """The rules for one crawler: (path pattern, allowed). delay: seconds between requests, 0 where none is asked."""

    rules: tuple[tuple[str, bool], ...] = ()
    delay: float = 0.0

    def allows(self, url: str) -> bool:
        """Whether this crawler may fetch ``url``; between equally long rules the permission wins (RFC 9309, 2.2.2)."""
        parts = urlsplit(url)
        path = _canonical((parts.path or "/") + (f"?{parts.query}" if parts.query else ""))
        found = [(len(pattern), allowed) for pattern, allowed in self.rules if _matches(pattern, path)]
        return max(found, default=(0, True))[1]


def parse(text: str, agent: str) -> Robots:
    """The rules for the crawler with the product token ``agent``: its own groups, else those for ``*``."""
    groups: dict[str, tuple[list[tuple[str, bool]], list[float]]] = {}
    names: list[str] = []
    closed = True  # the next user-agent line begins a new group
    for line in text.removeprefix("\ufeff").splitlines():
        key, colon, value = line.partition("#")[0].partition(":")
        key, value = key.strip().lower(), value.strip()
        if not colon:
            continue
        if key == "user-agent":
            names = [value.lower()] if closed else [*names, value.lower()]
            closed = False
            groups.setdefault(value.lower(), ([], []))
        elif key in ("allow", "disallow", "crawl-delay"):
            closed = True
            for name in names:
                _add(groups[name], key, value)
    mine = groups.get(agent.lower()) or groups.get("*") or ([], [])
    return Robots(tuple(mine[0]), max(mine[1], default=0.0))


def _add(group: tuple[list[tuple[str, bool]], list[float]], key: str, value: str) -> None:
    if key == "crawl-delay":
        if re.fullmatch(r"\d{1,6}(\.\d+)?", value):
            group[1].append(float(value))
    elif value:  # an empty Disallow forbids nothing
        group[0].append((_canonical(value), key == "allow"))


def _canonical(path: str) -> str:
    """Percent-encoded where it must be, and only there, so that two spellings of a path compare equal."""
    return quote(unquote(path), safe="/?&=*$:@!'()+,;~-._")


def _matches(pattern: str, path: str) -> bool:
    end = pattern.endswith("$")
    pieces = (pattern[:-1] if end else pattern).split("*")
    at = len(pieces[0])
    if not path.startswith(pieces[0]):
        return False
    for piece in pieces[1:]:  # leftmost fits, one after the other: no backtracking, whatever the pattern
        at = path.find(piece, at)
        if at < 0:
            return False
        at += len(piece)
    return not end or at == len(path) or (len(pieces) > 1 and path.endswith(pieces[-1]))
