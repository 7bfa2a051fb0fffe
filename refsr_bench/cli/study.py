"""User studies: which of two images people prefer."""

from __future__ import annotations

from pathlib import Path

import click

from refsr_bench.cli.common import data_root_option, path_type
from refsr_bench.core.errors import Misuse

folder_argument = click.argument("folder", metavar="STUDY", type=path_type())


@click.group()
def study() -> None:
    """User studies: people choose the better of two images (the paper's Fig. 6c)."""


@study.command("init")
@folder_argument
@click.option("--methods", help="Runs with saved images, by their folders' names: A,B,...")
@click.option("--results", type=path_type(), default=Path("results"), show_default=True, help="Results folder.")
@click.option("--protocol", default="c2", show_default=True, help="Whose results.")
@click.option("--dataset", help="Whose results.")
@click.option("--images", "folders", multiple=True, metavar="NAME=DIR", help="Any folder of images, as a method.")
@click.option("--hr", type=path_type(), help="Folder of HR images, with --images.")
@click.option("--refs", type=path_type(), help="Folder of references, with --images.")
@click.option("--pairs", default="all", show_default=True, metavar="all|METHOD",
              help="Every two methods, or one against every other.")  # fmt: skip
@click.option("--reference", type=click.Choice(["none", "hr", "ref"]), default="none", show_default=True,
              help="Shown beside the two images.")  # fmt: skip
@click.option("--crop", type=click.IntRange(0), default=0, help="Show the window of this side with most detail.")
@click.option("--limit", type=click.IntRange(0), default=0, help="At most this many images, at random.")
@click.option("--per-person", type=click.IntRange(0), default=0, help="Comparisons each. Default: all, at most 60.")
@click.option("--ties/--no-ties", default=False, show_default=True, help="Whether 'equal' is an answer.")
@click.option("--attention", type=click.FloatRange(0, 1), default=0.1, show_default=True,
              help="Attention checks, as a share of the comparisons.")  # fmt: skip
@click.option("--repeats", type=click.FloatRange(0, 0.3), default=0.05, show_default=True,
              help="Comparisons asked twice, as a share.")  # fmt: skip
@click.option("--pass", "pass_share", type=click.FloatRange(0, 1), default=0.75, show_default=True,
              help="Share of checks that must be right for a participant to count.")  # fmt: skip
@click.option("--title", default="User study", show_default=True)
@click.option("--question", default="Which of the two images looks better?", show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@data_root_option
def study_init(
    folder: Path,
    methods: str | None,
    results: Path,
    protocol: str,
    dataset: str | None,
    folders: tuple[str, ...],
    hr: Path | None,
    refs: Path | None,
    pairs: str,
    reference: str,
    crop: int,
    limit: int,
    per_person: int,
    ties: bool,
    attention: float,
    repeats: float,
    pass_share: float,
    title: str,
    question: str,
    seed: int,
    data_root: Path | None,
) -> None:
    """Make a study: a folder with everything that will be shown, names and metadata removed."""
    from refsr_bench.cli.common import Bar
    from refsr_bench.core.names import slug
    from refsr_bench.study import prepare

    sources, origin = [], prepare.Origin()
    if methods:
        if not dataset:
            raise Misuse("--methods needs --dataset: results lie in <results>/<protocol>/<dataset>/<method>/.")
        place = results / slug(protocol) / slug(dataset)
        names = [name.strip() for name in methods.split(",") if name.strip()]
        sources, origin = prepare.from_results(place, names, data_root, reference != "none" or attention > 0)
    for option in folders:
        name, equals, path = option.partition("=")
        if not equals or not name.strip():
            raise Misuse(f"--images {option}: write NAME=DIR.")
        method = prepare.Method(name.strip(), name.strip())
        sources.append(prepare.Source(method, prepare.folder_images(Path(path))))
    if hr or refs:
        if methods:
            raise Misuse("--hr and --refs are for --images alone; results know their data set.")
        origin = prepare.Origin(prepare.folder_images(hr) if hr else {}, prepare.folder_images(refs) if refs else {})
    wish = prepare.Wish(
        title=title, question=question, focus="" if pairs == "all" else pairs, reference=reference, ties=ties,
        crop=crop, per_person=per_person, attention=attention, repeats=repeats, pass_share=pass_share, limit=limit,
        seed=seed,
    )  # fmt: skip
    with Bar("images") as progress:
        plan = prepare.init(folder, sources, origin, wish, progress)
    click.echo(
        f"{folder}: {len(plan.pairs)} comparisons of {len(plan.methods)} methods; {plan.length} questions per person "
        f"({plan.per_person} comparisons, {plan.checks_per_person} checks, {plan.repeats_per_person} repeats)."
    )
    for note in plan.notes:
        click.echo(f"note: {note}", err=True)
    click.echo(f"Next: refsr-bench study serve {folder}")


@study.command("serve")
@folder_argument
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Default: any free one.")
@click.option("--open/--no-open", "open_browser", default=True, help="Open a browser.")
def study_serve(folder: Path, port: int, open_browser: bool) -> None:
    """Ask people, in browsers on this machine; from elsewhere, forward the port (ssh -L)."""
    from refsr_bench.study.serve import serve

    serve(folder, port, open_browser, click.echo)


@study.command("import")
@folder_argument
@click.argument("files", nargs=-1, required=True, type=path_type())
def study_import(folder: Path, files: tuple[Path, ...]) -> None:
    """Merge votes: votes.jsonl of a copy of the study, or a CSV (participant, left, right, choice) of a platform."""
    from refsr_bench.study.exchange import bring

    for file in files:
        (done,) = bring(folder, [file])
        line = f"{done.file}: {done.votes} new votes, {done.known} known lines"
        click.echo(line + (f", {done.conflicts} left out (answered otherwise here)" if done.conflicts else ""))


@study.command("export")
@folder_argument
@click.option("--tasks", is_flag=True, help="Every comparison, for a crowd platform, instead of the votes.")
def study_export(folder: Path, tasks: bool) -> None:
    """Print votes, or the tasks of a crowd platform, as CSV."""
    from refsr_bench.study import exchange, plan, votes

    planned = plan.read(folder)
    people = votes.people(votes.journal(folder).read())
    click.echo(exchange.tasks_csv(planned) if tasks else exchange.votes_csv(planned, people), nl=False)


@study.command("report")
@folder_argument
@click.option("--results", type=path_type(), help="Results folder; the report goes to RESULTS/studies/STUDY/.")
@click.option("--out", type=path_type(), help="Or the folder itself.")
@click.option("--keep-unchecked", is_flag=True, help="Count participants who answered no attention check.")
def study_report(folder: Path, results: Path | None, out: Path | None, keep_unchecked: bool) -> None:
    """Say what the votes come to: study.json (for the site), votes.csv, preferences.csv, preferences.svg."""
    from leaderboard.pages.study import preferences_csv, svg
    from refsr_bench.core.files import write_text
    from refsr_bench.core.names import slug
    from refsr_bench.study.report import summarise, write
    from refsr_bench.study.report_format import parse_report

    if (results is None) == (out is None):
        raise Misuse("Say where to: --results RESULTS (for the site) or --out DIR.")
    out = out or results / "studies" / slug(folder.resolve().name)
    report = summarise(folder, keep_unchecked)
    files = write(out, report, folder)
    read = parse_report(report, "the report")
    for name, text in (("preferences.csv", preferences_csv(read)), ("preferences.svg", svg(read))):
        write_text(out / name, text)
        files.append(out / name)
    titles = {method["name"]: method["title"] for method in report["methods"]}
    for row in report["preferences"]:
        low, high = row[row["shown"]]
        click.echo(
            f"{titles[row['a']]} preferred over {titles[row['b']]} in {row['share']:.1%} "
            f"[{low:.1%}, {high:.1%}] of {row['wins'] + row['losses'] + row['ties']} votes ({row['shown']})"
        )
    excluded = len(report["exclusion"]["excluded"])
    click.echo(f"{report['people']} people, {excluded} excluded. {report['exclusion']['rule']}")
    for path in files:
        click.echo(path)
