"""Creative Commons' licences: their short names, what they allow, and the addresses of their texts."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from refsr_bench.builder.rows import UNKNOWN

KNOWN = ("cc0", "pdm", "by", "by-sa", "by-nd", "by-nc", "by-nc-sa", "by-nc-nd")
OPEN = ("cc0", "pdm", "by", "by-sa")
"""Licences that allow redistributing changed images, also commercially; accepted unless a project says otherwise."""

_PUBLIC_DOMAIN = {"cc0": "zero", "pdm": "mark"}  # their names in addresses
# the last is version 1.0's order
_NAMES = {word: name for name, word in _PUBLIC_DOMAIN.items()} | {"by-nd-nc": "by-nc-nd"}


def of_address(url: str) -> tuple[str, str]:
    """Return the (licence, version) that an address at creativecommons.org stands for; (UNKNOWN, "") for others."""
    parts = urlsplit(url.strip())
    if (parts.hostname or "").removeprefix("www.") != "creativecommons.org":
        return UNKNOWN, ""
    match = re.match(r"/(?:licenses|publicdomain)/([a-z-]+)(?:/(\d\.\d))?(?:/|$)", parts.path.lower())
    name = _NAMES.get(match[1], match[1]) if match else UNKNOWN
    return (name, match[2] or "") if match and name in KNOWN else (UNKNOWN, "")


def address(license: str, version: str) -> str:
    """Return the address of a licence's text, or the licence's name if no address is known."""
    if license in _PUBLIC_DOMAIN:
        return f"https://creativecommons.org/publicdomain/{_PUBLIC_DOMAIN[license]}/1.0/"
    if license in OPEN and version:
        return f"https://creativecommons.org/licenses/{license}/{version}/"
    return license or UNKNOWN


def forbids_changes(license: str) -> bool:
    """Tell whether a licence, however it is spelt, forbids derivatives."""
    return bool(re.search(r"\bnd\b|no.?deriv", license.lower().replace("_", "-")))


def of_set(images: set[tuple[str, str]]) -> str:
    """Return the Hugging Face Hub's word for the single (licence, version) that a set of images has; else "other"."""
    names, versions = {name for name, _ in images}, {version for _, version in images}
    if names == {"cc0"}:
        return "cc0-1.0"
    if len(images) == 1 and names <= {"by", "by-sa"} and versions <= {"2.0", "2.5", "3.0", "4.0"}:
        return f"cc-{names.pop()}-{versions.pop()}"
    return "other"
