"""The answer of a command on standard output: text for a person, or one JSON document for a program.

Everything else, such as notices, warnings and progress, goes to standard error.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

import click

from refsr_bench.cli import sources

SCHEMA = 1
"""The version of the documents. A field that goes or changes its meaning raises it; a new field does not."""
log = logging.getLogger("refsr_bench.cli")


def answer(as_json: bool, document: Mapping[str, Any], text: str) -> None:
    """Print ``document`` with the command's name and the version of its schema, or ``text``.

    JSON is ASCII with sorted keys: characters that command a terminal, or disguise other text, are escapes.
    """
    if as_json:
        from refsr_bench.core.reader import to_json

        named = {"command": " ".join(sources.words(click.get_current_context())), "schema": SCHEMA}
        click.echo(json.dumps(to_json({**named, **document}), sort_keys=True, indent=1))
    else:
        click.echo(text)


def notice(text: str) -> None:
    """Say on standard error what a person may want to know; --quiet hides it."""
    log.info("%s", text)


def warn(text: str) -> None:
    """Say on standard error what is not as it should be."""
    log.warning("%s", text)
