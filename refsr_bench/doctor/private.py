"""Removes from a report what is nobody else's business: names of people and machines, their folders, secrets."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from refsr_bench.core.reader import to_json

SECRET = re.compile(r"KEY|TOKEN|SECRET|PASS|CREDENTIAL|AUTH|COOKIE|PROXY|URL|WEBHOOK", re.IGNORECASE)
"""Names of environment variables whose values must not be seen; proxies and addresses may hold passwords."""
FEWEST = 4  # characters of a value that is hidden everywhere; "1" or "yes" would tear holes into every sentence
COMMON = {"root", "user", "home", "admin", "localhost", "ubuntu", "runner"}  # names that name nobody

Struct = TypeVar("Struct", bound=msgspec.Struct)


def hidden(report: Struct, folders: Mapping[str, Path]) -> Struct:
    """Return the report with placeholders for what is private, in every text of it. folders: by their placeholder."""
    places = list(_places(folders))
    names = [(re.compile(rf"(?<![\w-]){re.escape(name)}(?![\w-])"), word) for name, word in _names()]
    secrets = sorted({value for key, value in os.environ.items() if SECRET.search(key)}, key=len, reverse=True)

    def clean(value: object) -> object:
        if isinstance(value, dict):
            return {key: clean(item) for key, item in value.items()}
        if isinstance(value, list):
            return [clean(item) for item in value]
        if not isinstance(value, str):
            return value
        for secret in secrets:
            if len(secret) >= FEWEST:
                value = value.replace(secret, "***")
        for path, placeholder in places:
            value = value.replace(path, placeholder)
        for name, word in names:
            value = name.sub(word, value)
        return value

    return msgspec.convert(clean(to_json(report)), type(report))


def _places(folders: Mapping[str, Path]) -> Iterator[tuple[str, str]]:
    """Return paths with their placeholders, the longest first, because some lie inside others."""
    named = {**folders, "~": Path.home()}
    found = {str(form): word for word, path in named.items() for form in (path, path.absolute(), path.resolve())}
    return ((path, found[path]) for path in sorted(found, key=len, reverse=True) if len(path) > 1)


def _names() -> Iterator[tuple[str, str]]:
    people = {os.environ.get(key, "") for key in ("USER", "LOGNAME", "USERNAME", "SUDO_USER")} | {Path.home().name}
    machines = {platform.node(), platform.node().partition(".")[0], os.environ.get("HOSTNAME", "")}
    for word, names in (("USER", people), ("HOST", machines)):
        # the longest first, because a full host name begins with the short one
        yield from ((name, word) for name in sorted(names, key=len, reverse=True) if name and name not in COMMON)
