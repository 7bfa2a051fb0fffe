"""Names that are safe as files and folders on every system."""

from __future__ import annotations

import hashlib
import re


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
