"""The commands for protocols: list them, compare two, and check ours against published rows."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from refsr_bench.cli import complete, options
from refsr_bench.cli.common import protocol_of
from refsr_bench.cli.grammar import Listing
from refsr_bench.core.errors import BenchError, Misuse

if TYPE_CHECKING:
    from refsr_bench.core.types import Dataset


@click.group(cls=Listing)
def protocols() -> None:
    """List the protocols, one per published convention of how numbers are made."""


@protocols.command("list")
def protocols_list() -> None:
    """Print the name, the digest and a summary of every protocol."""
    from refsr_bench.core import catalogue

    for protocol in catalogue.collect("PROTOCOLS").values():
        click.echo(f"{protocol.name} (v{protocol.version}, {protocol.digest[:8]})\n  {protocol.summary}")


@protocols.command("diff")
@click.argument("a", shell_complete=complete.names("PROTOCOLS"))
@click.argument("b", shell_complete=complete.names("PROTOCOLS"))
def protocols_diff(a: str, b: str) -> None:
    """Explain how two protocols differ, in words and, if measured, in dB."""
    from refsr_bench.protocols.effects import explain

    click.echo("\n".join(explain(protocol_of(a), protocol_of(b))))


@protocols.command("selftest")
@options.data_root_option
def protocols_selftest(data_root: Path | None) -> None:
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
    click.echo(text_table(("bicubic x4", "published", "measured", "", "off"), rows))
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
            click.echo(f"{name} skipped: {error}", err=True)
    return opened
