"""The commands for protocols: list them, compare two, and check ours against published rows."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from refsr_bench.cli import complete, options, output
from refsr_bench.cli.common import protocol_of
from refsr_bench.cli.grammar import Listing
from refsr_bench.core.errors import BenchError, Misuse

if TYPE_CHECKING:
    from refsr_bench.core.types import Dataset

SAID_OF = ("cufed5",)  # the data set whose references the list names in words: the field's first


@click.group(cls=Listing)
def protocols() -> None:
    """List the protocols, one per published convention of how numbers are made."""


@protocols.command("list")
@options.json_option
def protocols_list(as_json: bool) -> None:
    """Print the name and digest of every protocol, what it does in a sentence, and its fields in short."""
    from refsr_bench.core import catalogue
    from refsr_bench.protocols.wording import sentence

    titles = {card.name: card.title for card in (catalogue.get("DATASETS", name) for name in SAID_OF)}
    known = catalogue.collect("PROTOCOLS").values()
    said = {each.name: sentence(each.fields(), titles) for each in known}
    lines = [
        f"{each.name} (v{each.version}, {each.digest[:8]})\n  {said[each.name]}\n  {each.summary}" for each in known
    ]
    document = [
        {"name": each.name, "version": each.version, "digest": each.digest, "sentence": said[each.name],
         "summary": each.summary, "fields": each.fields()}
        for each in known
    ]  # fmt: skip
    output.answer(as_json, {"protocols": document}, "\n".join(lines))


@protocols.command("diff")
@click.argument("a", shell_complete=complete.names("PROTOCOLS"))
@click.argument("b", shell_complete=complete.names("PROTOCOLS"))
@options.json_option
def protocols_diff(a: str, b: str, as_json: bool) -> None:
    """Explain how two protocols differ, in words and, if measured, in dB."""
    from refsr_bench.protocols.effects import differences, explain

    first, second = protocol_of(a), protocol_of(b)
    found = differences(first.fields(), second.fields())
    document = {"a": first.label, "b": second.label, "differences": found}
    output.answer(as_json, document, "\n".join(explain(first, second)))


@protocols.command("selftest")
@options.data_root_option
@options.json_option
def protocols_selftest(data_root: Path | None, as_json: bool) -> None:
    """Measure bicubic on the standard sets that you have and compare with the published rows."""
    from refsr_bench.core.terminal import text_table
    from refsr_bench.evaluation.selftest import ANCHORS, selftest

    checks = selftest(_usable(ANCHORS, data_root))
    rows = [
        (
            check.anchor.title,
            f"{check.anchor.psnr:.2f} / {check.anchor.ssim:.4f}".rstrip("0"),
            "-" if check.psnr is None else f"{check.psnr:.3f} / {check.ssim:.4f}",
            check.status,
            check.detail,
        )
        for check in checks
    ]
    text = text_table(("bicubic x4", "published", "measured", "", "off"), rows)
    output.answer(as_json, {"checks": checks}, text)
    if any(check.status in ("differs", "failed") for check in checks):
        sys.exit(1)


def _usable(names: Iterable[str], data_root: Path | None) -> list[Dataset]:
    """Return the data sets on this machine; a damaged one is skipped and named."""
    from refsr_bench.data.opening import open_dataset

    opened = []
    for name in names:
        try:
            opened.append(open_dataset(name, data_root))
        except Misuse:
            continue
        except BenchError as error:
            output.warn(f"{name} skipped: {error}")
    return opened
