"""Names: those that are safe as files and folders on every system, and the nearest to a mistyped one."""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Iterable


def slug(text: str) -> str:
    """Return a name that is safe as a folder on every system; a long one is cut and its digest appended."""
    name = re.sub(r"[^\w.=+-]+", "-", text, flags=re.ASCII).strip("-.") or "unnamed"
    return name if len(name) <= 120 else f"{name[:100]}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def stem(pair_id: str) -> str:
    """Return a pair's id as a file name: unchanged if that is safe on every system, else cleaned, with its digest.

    Different ids have different names.
    """
    name = slug(pair_id)
    return name if name == pair_id else f"{name[:100]}-{hashlib.sha256(pair_id.encode()).hexdigest()[:12]}"


def nearest(name: str, known: Iterable[str], least: float = 0.5) -> list[str]:
    """Return the known name nearest to a wrong one, and a second if it is almost as near; none if none is near.

    least: the share of characters in common, 0 to 1, from which a name is near.
    """
    shares = {each: _likeness(name, each) for each in known}
    near = sorted((each for each, share in shares.items() if share >= least), key=lambda each: (-shares[each], each))
    return [each for each in near[:2] if shares[each] > shares[near[0]] - 0.1]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a sentence that offers the known names nearest to a wrong one, or all of them when none is near."""
    known = list(known)
    near = nearest(name, known)
    return f"Did you mean {' or '.join(near)}?" if near else f"Known: {', '.join(known)}."


def _likeness(a: str, b: str) -> float:
    first, second = (name.casefold().replace("_", "-") for name in (a, b))
    return difflib.SequenceMatcher(None, first, second).ratio()
