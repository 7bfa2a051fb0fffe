"""Renders pages from templates.

Text of run files is escaped, cleaned of control characters, and never an unchecked link.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from leaderboard.text import MISSING, clean, count, number, percent, seconds, signed

ASSETS = Path(__file__).parents[1] / "assets"
GENERATOR = '<meta name="generator" content="refsr-bench leaderboard">'

# Schemes other than https never become a link; neither does a host with a port, a user name or odd characters.
_LABEL = "[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_LINK = re.compile(rf"https://{_LABEL}(?:\.{_LABEL})+(?:/[\w.~%&=+@:/?#,;-]*)?", re.ASCII)


@dataclass(frozen=True)
class Entry:
    """A page of the navigation. key: the page's name for itself ("table"). path: from the site's root."""

    key: str
    label: str
    path: str


@dataclass(frozen=True)
class Site:
    """Title and navigation of all pages. title: the site's heading; entries: its navigation, in order."""

    title: str
    entries: tuple[Entry, ...]


def render(template: str, *, here: str, root: str, site: Site, **context: Any) -> str:
    """Render a page as text.

    here: the key of its Entry. root: "" for pages in the site's root, "../" one folder below, and so on.
    """
    return render_alone(template, here=here, root=root, site=site, **context)


def render_alone(template: str, **context: Any) -> str:
    """Render a page that belongs to no site as text."""
    return _environment().get_template(template).render(**context)


def has(path: Path, mark: str) -> bool:
    """Tell whether the beginning of a text file holds ``mark``."""
    if not path.is_file():
        return False
    with path.open(encoding="utf-8", errors="replace") as file:
        return mark in file.read(4096)


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parents[1] / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        # Markup (has __html__) is this project's own text; all other text is cleaned, then escaped.
        finalize=lambda value: clean(value) if isinstance(value, str) and not hasattr(value, "__html__") else value,
    )
    environment.filters |= {
        "number": number,
        "plain": plain,
        "signed": signed,
        "percent": percent,
        "seconds": seconds,
        "count": count,
        "safe_link": safe_link,
        "last_known": last_known,
    }
    environment.globals |= {"missing": MISSING}
    return environment


def safe_link(text: str) -> str | None:
    """Return ``text`` when it is an https address of a named host and nothing else; None otherwise."""
    return text if _LINK.fullmatch(text) else None


def last_known(texts: Sequence[str], shown: Iterable[int]) -> int:
    """Return the last shown position that has a text, -1 if none has."""
    return max((place for place in shown if texts[place]), default=-1)


def plain(value: Any) -> str:
    """Return text as it is, and anything else as JSON, for a protocol field or the like."""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)
