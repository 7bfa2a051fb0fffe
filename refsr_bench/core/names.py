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


def did_you_mean(name: str, known: Iterable[str], cutoff: float = 0.5) -> str:
    """Return a sentence that offers the known names nearest to a wrong one, or all of them when none is near."""
    known = list(known)
    folded = {each.casefold().replace("_", "-"): each for each in known}
    near = difflib.get_close_matches(name.casefold().replace("_", "-"), folded, n=2, cutoff=cutoff)
    return f"Did you mean {' or '.join(folded[each] for each in near)}?" if near else f"Known: {', '.join(known)}."
