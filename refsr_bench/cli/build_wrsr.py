"""Builds a webly-referenced data set stage by stage, builds album sets, and describes the make-up of a data set."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import click

from refsr_bench.builder.engine import ENGINES, Workers
from refsr_bench.cli import complete, options, output
from refsr_bench.cli.grammar import Command, Group, renamed
from refsr_bench.cli.options import as_one, path_type, with_options
from refsr_bench.core.commands import command
from refsr_bench.core.errors import Misuse
from refsr_bench.core.terminal import progress_bar

WEB = ("openverse", "commons", "flickr", "serpapi")

project_argument = click.argument("project", type=path_type())
engine_options = [
    click.option(
        "--engine",
        type=click.Choice(ENGINES),
        default="local",
        show_default=True,
        help="Processes of this machine, or those of a Ray cluster.",
    ),
    click.option(
        "--workers",
        type=click.IntRange(0),
        default=1,
        show_default=True,
        help="Processes that work at once. 0: all of the Ray cluster.",
    ),
]
source_options = [
    options.licence("Of these images: cc0, pdm, by, by-sa, ... (Creative Commons' words)."),
    click.option("--license-version", help="Its version, such as 4.0."),
    click.option("--creator", help="The photographer or author."),
    click.option("--category", help="Their category: outdoor, indoor, building, landmark, animal, plant, ..."),
    click.option("--facts", type=path_type(), help="CSV with a column 'file' and facts about single images."),
]


@click.group(cls=Group)
def wrsr() -> None:
    """Build a new WR-SR: queries, a pool of candidates for each, cleaning, a choice, rescaling, export.

    Every stage continues where it was stopped, and leaves a table (CSV) to look at.
    """


@wrsr.command("init")
@project_argument
@options.setting("A setting, as in build.toml.", "settings", metavar="NAME=VALUE")
@options.json_option
def wrsr_init(project: Path, settings: tuple[str, ...], as_json: bool) -> None:
    """Make a project folder."""
    from refsr_bench.builder.project import Project
    from refsr_bench.builder.settings import FILE, parse

    made = Project.create(project, **parse(settings))
    document = {"project": made.path, "settings": made.path / FILE}
    output.answer(as_json, document, f"{made.path} is ready; its settings are in {made.path / FILE}.")


@wrsr.command("queries")
@project_argument
@options.source("A folder of photos, also below it.", "folders", multiple=True)
@click.option("--urls", type=path_type(), help="A list of addresses, one per line, or CSV with a column 'url'.")
@click.option("--only", "categories", multiple=True, help="Take only images of this category. May be given again.")
@options.limit("Queries in all.")
@with_options(source_options)
@options.json_option
@as_one
def wrsr_queries(asked: Any) -> None:
    """Add input images from folders or from the web."""
    from refsr_bench.builder import queries
    from refsr_bench.builder.project import Project
    from refsr_bench.builder.stated import Statements

    if bool(asked.folders) == bool(asked.urls):
        raise Misuse("Give --from FOLDER (any number) or --urls LIST.")
    if asked.urls and asked.facts:
        raise Misuse("--facts is for folders; a list of addresses has columns of its own.")
    project, wanted = Project.open(asked.project), queries.Wanted(asked.categories, asked.limit or 0)
    with progress_bar("queries") as progress:
        if asked.urls:
            added = queries.add_urls(project, asked.urls, _common(asked), wanted, progress)
        else:
            stated = Statements.read(_common(asked), asked.facts, queries=True)
            added = queries.add_folders(project, asked.folders, stated, wanted, progress)
    output.answer(asked.as_json, {"counts": added}, _told("looked at", added))


@wrsr.command("pool")
@project_argument
@options.source("A folder of photos to search, also below it.", "folders", multiple=True)
@click.option("--index", type=path_type(), help="Where embeddings of the folders are kept. Default: in the project.")
@click.option("--provider", "providers", type=click.Choice(WEB), multiple=True,
              help="Ask this source on the web. May be given again.")  # fmt: skip
@click.option("--captions", type=path_type(), help="CSV: what to search for (columns query, text, category, place).")
@with_options(source_options)
@with_options(engine_options)
@options.json_option
@as_one
def wrsr_pool(asked: Any) -> None:
    """Gather candidate references for every query, from folders and from the web.

    The paper used Google Images, which is closed to new customers. Bing's search is retired.
    See docs/guide/building.md.
    """
    from refsr_bench.builder.pool import folders, web
    from refsr_bench.builder.project import Project
    from refsr_bench.builder.stated import Statements

    project = Project.open(asked.project)
    wanted = list(asked.providers) or [name for name in project.settings.providers if not asked.folders]
    providers = [name for name in wanted if name != folders.NAME]
    if not asked.folders and not providers:
        raise Misuse(f"Give --from FOLDER or --provider {'|'.join(WEB)} (any number of either).")
    gathered = {}
    if asked.folders:
        stated = Statements.read(_common(asked), asked.facts, queries=False)
        workers = Workers(asked.engine, asked.workers)
        with progress_bar("indexing") as progress:
            found = folders.gather(project, asked.folders, stated, asked.index, workers, progress)
        gathered[f"{len(asked.folders)} folders"] = found
    if providers:
        with progress_bar("searching") as progress:
            found = web.from_web(project, providers, asked.captions, progress)
        gathered["the web"] = found
    text = "\n".join(_told(f"candidates from {where}", found.added) for where, found in gathered.items())
    added = {name: n for found in gathered.values() for name, n in found.added.items()}
    notes = [note for found in gathered.values() for note in found.notes]
    output.answer(asked.as_json, {"counts": added, "notes": notes}, text)
    for note in notes:
        output.notice(f"  {note}")


@wrsr.command("clean")
@project_argument
@with_options(engine_options)
@options.json_option
def wrsr_clean(project: Path, engine: str, workers: int, as_json: bool) -> None:
    """Drop candidates that cannot be references, with reasons, and rank the others."""
    from refsr_bench.builder.clean import clean
    from refsr_bench.builder.project import Project

    with progress_bar("cleaning") as progress:
        tally = clean(Project.open(project), Workers(engine, workers), progress)
    output.answer(as_json, {"counts": tally}, _told("cleaned", tally))


@wrsr.command("select")
@project_argument
@click.option("--auto", is_flag=True, help="Open no page; take the most similar candidate of each query.")
@click.option("--resolve", is_flag=True, help="Open no page; write the decisions so far to selected.csv.")
@click.option("--annotator", help="Who chooses. Default: the page asks.")
@options.port_option
@options.browser()
@options.json_option
@as_one
def wrsr_select(asked: Any) -> None:
    """Choose a reference for each query on a local page, or automatically."""
    from refsr_bench.builder.project import Project
    from refsr_bench.builder.selection import agreement, decisions, server

    opened = Project.open(asked.project)
    if not opened.cleaned:
        clean = command("build", "wrsr", "clean", asked.project)
        raise Misuse(f"{asked.project}: nothing to choose from yet. Clean the pool: {clean}")
    if asked.auto and asked.resolve:
        raise Misuse("--auto and --resolve exclude each other.")
    if not (asked.auto or asked.resolve):
        server.serve(opened, asked.annotator, asked.port, asked.browser, partial(click.echo, err=asked.as_json))
    rows = decisions.settle(opened, asked.auto)
    chosen, queries = sum(bool(row.file) for row in rows), len(opened.kept_queries)
    agreed = None if asked.auto else agreement.agreement(opened)
    text = f"{chosen} of {queries} queries have a reference." + (f"\n{agreed}" if agreed else "")
    output.answer(asked.as_json, {"queries": queries, "chosen": chosen, "agreement": agreed}, text)


@wrsr.command("rescale")
@project_argument
@options.json_option
def wrsr_rescale(project: Path, as_json: bool) -> None:
    """Cut inputs to a multiple of the scale and bring references to a comparable scale."""
    from refsr_bench.builder.project import Project
    from refsr_bench.builder.rescale import rescale

    with progress_bar("rescaling") as progress:
        made = rescale(Project.open(project), progress)
    output.answer(as_json, {"pairs": made}, f"{made} pairs made")


@wrsr.command("export")
@project_argument
@click.option("--by-reference", is_flag=True, help="Publish addresses and digests with a script, not the images.")
@click.option("--push-to-hub", "repository", metavar="REPO", help="Upload to this data set repository (NAME/SET).")
@click.option("--public", is_flag=True, help="Make the repository of --push-to-hub public; otherwise it is private.")
@options.json_option
def wrsr_export(project: Path, by_reference: bool, repository: str | None, public: bool, as_json: bool) -> None:
    """Write the data set with its documents, and publish it."""
    from refsr_bench.builder.export import files, hub
    from refsr_bench.builder.project import Project

    opened = Project.open(project)
    folder = files.export(opened, by_reference)
    if by_reference:
        make = command(folder / "fetch.py", program="python")
        text = f"{folder} holds addresses and digests. Make the images: {make}"
    else:
        make = command("run", "--method", "bicubic", "--dataset", "wrsr", "--data-root", folder)
        text = f"{folder} holds the data set. Try it: {make}"
    published = hub.push(opened, repository, public) if repository else None
    text += f"\nPublished: {published}" if published else ""
    output.answer(as_json, {"folder": folder, "next": make, "published": published}, text)


@wrsr.command("status")
@project_argument
@options.json_option
def wrsr_status(project: Path, as_json: bool) -> None:
    """Show how far every stage is."""
    from refsr_bench.builder.project import Project
    from refsr_bench.core.terminal import text_table

    stages = Project.open(project).status()
    rows = [(stage.name, f"{stage.done}/{stage.total}", stage.detail) for stage in stages]
    output.answer(as_json, {"stages": stages}, text_table(("stage", "done", ""), rows))


@click.command("levels", cls=Command)
@click.option("--albums", type=path_type(), required=True, help="A folder of albums, each a folder of photos.")
@options.out("The folder to make, in CUFED5's layout.", required=True)
@click.option("--per-album", type=click.IntRange(1), default=1, show_default=True, help="Inputs from each album.")
@click.option("--long-side", type=click.IntRange(32), default=500, show_default=True, help="Larger images are reduced.")
@with_options(engine_options)
@options.json_option
@as_one
def levels(asked: Any) -> None:
    """Make a CUFED5-style set from albums: references L1 .. L5 per input, by falling number of verified matches."""
    from refsr_bench.builder.similarity.levels import Shape, build

    with progress_bar("albums") as progress:
        shape, workers = Shape(asked.per_album, asked.long_side), Workers(asked.engine, asked.workers)
        count, notes = build(asked.albums, asked.out, shape, workers, progress)
    for note in notes:
        output.warn(f"left out: {note}")
    run = command("run", "--method", "bicubic", "--dataset", "cufed5", "--data-root", asked.out)
    document = {"folder": asked.out, "groups": count, "left_out": notes, "next": run}
    output.answer(asked.as_json, document, f"{asked.out}: {count} groups. Try them: {run}")


@click.command("stats", cls=Command)
@click.argument("name", shell_complete=complete.names("DATASETS"))
@options.out("A folder, to draw charts, too.")
@options.file_format(["png", "svg"], "Of the charts.", default="png")
@renamed("--svg", "form", "--format svg", change=lambda _: "svg", is_flag=True)
@options.data_root_option
@options.json_option
def stats(name: str, out: Path | None, form: str, data_root: Path | None, as_json: bool) -> None:
    """Describe a data set: categories, sizes, and how alike inputs and references are (the paper's Fig. 3)."""
    from refsr_bench.builder import stats as builder
    from refsr_bench.data.opening import open_dataset

    opened = open_dataset(name, data_root)
    with progress_bar(f"matching {name}") as progress:
        found = builder.stats(opened, progress)
    charts = builder.plot(found, out, f".{form}") if out else ()
    text = "\n".join([found.table(), *(f"chart: {path}" for path in charts)])
    output.answer(as_json, {"stats": found, "charts": charts}, text)


def _common(asked: Any) -> dict[str, str]:
    """The statements that the options make about all images."""
    said = {name: getattr(asked, name) for name in ("license", "license_version", "creator", "category")}
    return {name: value for name, value in said.items() if value}


def _told(what: str, counts: Mapping[str, int]) -> str:
    words = ", ".join(f"{n} {name}" for name, n in sorted(counts.items(), key=lambda item: -item[1]) if n)
    return f"{sum(counts.values())} {what}" + (f": {words}" if words else "")
