"""The commands for user studies, in which people choose the better of two images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from refsr_bench.cli import complete, options, output
from refsr_bench.cli.grammar import Group, renamed
from refsr_bench.cli.options import path_type
from refsr_bench.core.commands import command
from refsr_bench.core.errors import Misuse
from refsr_bench.core.terminal import progress_bar
from refsr_bench.study.options import Places, Wish

folder_argument = click.argument("folder", metavar="STUDY", type=path_type())


@click.group(cls=Group)
def study() -> None:
    """User studies: people choose the better of two images (the paper's Fig. 6c)."""


@dataclass(frozen=True, kw_only=True)
class InitOptions(Wish, Places):
    """The options of ``study init``. folder: the study to make."""

    folder: Path


@study.command("init")
@folder_argument
@click.option("--methods", shell_complete=complete.runs,
              help="Runs with saved images, by their folders' names: A,B,...")  # fmt: skip
@options.results(default=Places.results, callback=None)
@options.protocol("Of the runs.", default=Places.protocol, show_default=True)
@options.dataset("Of the runs.")
@options.images("As a method of this name.", multiple=True, metavar="NAME=DIR")
@click.option("--hr-images", "hr", type=path_type(), help="A folder of HR images, with --images.")
@click.option("--ref-images", "refs", type=path_type(), help="A folder of references, with --images.")
@renamed("--hr", "hr", "--hr-images", type=path_type())
@renamed("--refs", "refs", "--ref-images", type=path_type())
@click.option("--pairs", "focus", default="all", show_default=True, metavar="all|METHOD",
              callback=lambda context, option, name: "" if name == "all" else name,
              help="Every two methods, or one against every other.")  # fmt: skip
@click.option("--reference", type=click.Choice(["none", "hr", "ref"]), default=Wish.reference, show_default=True,
              help="Shown beside the two images.")  # fmt: skip
@click.option("--crop", type=click.IntRange(0), default=Wish.crop,
              help="Show the window of this side with most detail.")  # fmt: skip
@options.limit("Images, drawn at random.", callback=lambda context, option, most: most or Wish.limit)
@click.option("--per-person", type=click.IntRange(0), default=Wish.per_person,
              help="Comparisons per person. Default: all, at most 60.")  # fmt: skip
@click.option("--ties/--no-ties", default=Wish.ties, show_default=True, help="Whether 'equal' is an answer.")
@click.option("--attention", type=click.FloatRange(0, 1), default=Wish.attention, show_default=True,
              help="Attention checks, as a share of the comparisons.")  # fmt: skip
@click.option("--repeats", type=click.FloatRange(0, 0.3), default=Wish.repeats, show_default=True,
              help="Comparisons asked twice, as a share.")  # fmt: skip
@click.option("--pass", "pass_share", type=click.FloatRange(0, 1), default=Wish.pass_share, show_default=True,
              help="Share of checks that must be right for a participant to count.")  # fmt: skip
@options.title(default=Wish.title, show_default=True)
@click.option("--question", default=Wish.question, show_default=True, help="Asked above every two images.")
@click.option("--seed", type=click.IntRange(0), default=Wish.seed, show_default=True, help="Of everything random.")
@options.data_root_option
@options.json_option
def study_init(as_json: bool, **options: Any) -> None:
    """Make a study: a folder with everything that will be shown, names and metadata removed."""
    from refsr_bench.study import prepare, sources

    asked = InitOptions(**options)
    methods, origin = sources.gather(asked, asked.needs_pictures)
    with progress_bar("images") as progress:
        plan = prepare.init(asked.folder, methods, origin, asked, progress)
    serve = command("study", "serve", asked.folder)
    text = (
        f"{asked.folder}: {len(plan.pairs)} comparisons of {len(plan.methods)} methods; {plan.length} questions per "
        f"person ({plan.per_person} comparisons, {plan.checks_per_person} checks, {plan.repeats_per_person} repeats)."
    )
    for note in plan.notes:
        output.notice(f"note: {note}")
    document = {"study": asked.folder, "comparisons": len(plan.pairs), "methods": len(plan.methods),
                "questions_per_person": plan.length, "notes": plan.notes, "next": serve}  # fmt: skip
    output.answer(as_json, document, f"{text}\nNext: {serve}")


@study.command("serve")
@folder_argument
@options.port_option
@options.browser()
@renamed("--no-open", "browser", "--no-browser", change=lambda _: False, is_flag=True)
def study_serve(folder: Path, port: int, browser: bool) -> None:
    """Serve the study to browsers on this machine; from another machine, forward the port (ssh -L)."""
    from refsr_bench.study.serve import serve

    serve(folder, port, browser, click.echo)


@study.command("import")
@folder_argument
@click.argument("files", nargs=-1, required=True, type=path_type())
@options.json_option
def study_import(folder: Path, files: tuple[Path, ...], as_json: bool) -> None:
    """Merge votes from a copy's votes.jsonl, or from a platform's CSV (participant, left, right, choice)."""
    from refsr_bench.study.exchange import bring

    lines, brought = [], []
    for file in files:
        done = bring(folder, file)
        more = f", {done.conflicts} left out (answered otherwise here)" if done.conflicts else ""
        lines.append(f"{file}: {done.votes} new votes, {done.known} known lines{more}")
        brought.append({"file": file, "votes": done.votes, "known": done.known, "conflicts": done.conflicts})
    output.answer(as_json, {"files": brought}, "\n".join(lines))


@study.command("export")
@folder_argument
@click.option("--tasks", is_flag=True, help="Every comparison, for a crowd platform, instead of the votes.")
def study_export(folder: Path, tasks: bool) -> None:
    """Print votes, or the tasks of a crowd platform, as CSV."""
    from refsr_bench.study import exchange, votes

    plan, people = votes.read(folder)
    click.echo(exchange.tasks_csv(plan) if tasks else exchange.votes_csv(plan, people), nl=False)


@study.command("report")
@folder_argument
@options.results("The report goes to RESULTS/studies/STUDY/.", default=None, callback=None)
@options.out("Instead, the folder of the report.")
@click.option("--keep-unchecked", is_flag=True, help="Count participants who answered no attention check.")
@options.json_option
def study_report(folder: Path, results: Path | None, out: Path | None, keep_unchecked: bool, as_json: bool) -> None:
    """Evaluate the votes: study.json (for the site), votes.csv, preferences.csv, preferences.svg."""
    from leaderboard.pages.study import preferences_csv, svg
    from refsr_bench.core.files import make_folder, write_text
    from refsr_bench.core.names import slug
    from refsr_bench.study.report import in_words, summarise, write

    if (results is None) == (out is None):
        raise Misuse("Say where to write: --results RESULTS (for the site) or --out DIR.")
    report = summarise(folder, keep_unchecked)
    out = out or make_folder(results / "studies" / slug(folder.resolve().name), below=make_folder(results))
    files = write(out, report, folder)
    for name, text in (("preferences.csv", preferences_csv(report)), ("preferences.svg", svg(report))):
        write_text(out / name, text)
        files.append(out / name)
    text = "\n".join([in_words(report), *map(str, files)])
    output.answer(as_json, {"report": report, "files": files}, text)
