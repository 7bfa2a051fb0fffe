"""One grammar: an option has one meaning, wherever it is; and it is wherever it makes sense.

``pytest -s`` prints the comparison of all options over all commands.
"""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from refsr_bench.cli import listing, main, sources
from refsr_bench.cli.grammar import REMOVED, Command, Renamed, every_command

ROWS = {row.name: row for row in listing.rows(main)}
LEAVES = {" ".join(words): found for words, found in every_command(main) if not isinstance(found, click.Group)}
TRAINING = {name for name in LEAVES if name.startswith("train ")}

# Names whose values are written in several ways, with the reason. All others are alike in every command.
KINDS = {
    "format": "tables, charts and figures have formats of their own",
    "images": "a study takes several folders, each with the name of its method",
    "matching": "C2-Matching itself has a closed list; methods of other packages may add ways",
    "set": "the fields of a protocol, of a recipe and of a project",
    "weights": "several methods need a name before the file",
}
# Names whose default differs, with the reason.
DEFAULTS = {
    "dataset": "sweeps and ablations start with what is embedded; a measurement must say",
    "format": "see KINDS",
    "levels": "a sweep adds the unrelated reference itself",
    "matching": "sr gives the best image, a run the published one, a figure the exact one",
    "out": "results, a site and figures have usual places",
    "protocol": "a measurement uses c2; a comparison takes every one",
    "results": "a report is written there only when asked",
    "tile": "see cli.options.TILE",
    "title": "a study has a name of its own",
    "views": "see cli.options.VIEWS",
}
READ_ONLY = {  # commands that write nothing where a person says; see the test of --out
    "compare", "doctor", "data info", "data list", "data verify", "methods info", "methods list", "protocols diff",
    "protocols list", "protocols selftest", "study export", "submit check", "weights info",
    "weights list", "weights verify", "weights where", "build wrsr status",
}  # fmt: skip
IN_A_FOLDER = {  # commands whose folder is their argument, --data-root or $REFSR_WEIGHTS, and that add to it
    "data prepare", "study init", "study import", "study serve", "submit template", "build wrsr init",
    "build wrsr queries", "build wrsr pool", "build wrsr clean", "build wrsr select", "build wrsr rescale",
    "build wrsr export", "data fetch", "weights fetch",
}  # fmt: skip
FILES = {"compare", "match", "sr", "view", "weights export", "weights import", "weights pack"}
NETWORKS = {"run", "score", "sr", "match", "robustness", "ablation", *TRAINING}
MANY = {"run", "robustness", "build transform", "build wrsr queries", "study init"}
NO_ANSWER = {"leaderboard export", "study export", "study serve"}  # tables in a format of choice, CSV, a server


def test_the_comparison_of_options_over_all_commands() -> None:
    """One row per option, one meaning."""
    print("\n" + listing.table(main))
    assert len(ROWS) > 80
    assert {name: row.meanings for name, row in ROWS.items() if len(row.meanings) != 1 or not row.meanings[0]} == {}


@pytest.mark.parametrize("name", ROWS)
def test_an_option_is_alike_in_every_command(name: str) -> None:
    row = ROWS[name]
    assert len({use.spelling for use in row.uses}) == 1
    assert (len({use.kind for use in row.uses}) > 1) == (name in KINDS)
    assert (len({use.default for use in row.uses}) > 1) == (name in DEFAULTS)
    for use in row.uses:
        again = "May be given again." in f"{use.meaning}. {use.more}"
        assert again == use.multiple or name in ("config", "quiet"), use.words
        assert use.meaning.endswith((".", "...")) and use.meaning[0].isupper(), use.words


def has(name: str) -> set[str]:
    return {command for command in ROWS[name].commands if command in LEAVES}


def test_options_are_where_they_make_sense() -> None:
    writing = set(LEAVES) - READ_ONLY - IN_A_FOLDER
    assert has("out") == writing
    assert has("overwrite") == FILES
    assert has("device") == NETWORKS
    assert has("limit") == MANY
    assert has("json") == set(LEAVES) - NO_ANSWER
    assert has("workers") == has("engine")
    for name in ("config", "verbose", "quiet"):
        assert len(ROWS[name].uses) == 1 + len(every_command(main))


def test_every_command_reads_configurations_and_the_environment() -> None:
    assert all(isinstance(found, Command) for _, found in every_command(main))
    variables = [use.variable for row in ROWS.values() for use in row.uses]
    assert len(variables) == len(set(variables))  # no two options share one
    assert not set(variables) & {*sources.SHARED.values(), "REFSR_WEIGHTS"}


def test_a_test_of_one_meaning_would_fail_for_two() -> None:
    @click.group()
    def program() -> None:
        """Group."""

    for name, text in (("one", "Where to write."), ("two", "Where to read.")):
        program.add_command(click.Command(name, params=[click.Option(["--out"], help=text)]))
    (row,) = (row for row in listing.rows(program) if row.name == "out")
    assert row.meanings == ["Where to write.", "Where to read."] and row.commands == ["one", "two"]


def test_old_spellings_end_together() -> None:
    """They are kept for one version: whoever raises the version past it removes them."""
    from refsr_bench import __version__

    old = [param for _, found in every_command(main) for param in found.params if isinstance(param, Renamed)]
    assert len(old) >= 10 and all(param.hidden for param in old)
    assert tuple(map(int, __version__.split(".")[:2])) < tuple(map(int, REMOVED.split("."))), "remove old spellings"


def test_the_page_shows_the_options_as_they_are() -> None:
    from docs.scripts.options_table import written

    page = (Path(__file__).resolve().parents[2] / "docs" / "guide" / "command-line.md").read_text(encoding="utf-8")
    assert "| `--device` |" in page and written(page) == page, "run python docs/scripts/options_table.py"
    for _, found in every_command(main):
        for old in (param for param in found.params if isinstance(param, Renamed)):
            assert re.search(rf"`[^`|]*{old.opts[0]}\b[^`]*` \|", page), f"{old.opts[0]} is no row of old spellings"
