"""Building a webly-referenced data set stage by stage, album sets, and what a data set is made of."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from refsr_bench.cli.common import Bar, data_root_option, names, path_type, with_options
from refsr_bench.core.errors import Misuse

WEB = ("openverse", "commons", "flickr", "serpapi")

project_argument = click.argument("project", type=path_type())
engine_options = [
    click.option("--engine", type=click.Choice(["local", "ray"]), default="local", show_default=True),
    click.option("--workers", type=click.IntRange(0), default=1, show_default=True, help="Processes; ray: 0 for all."),
]
source_options = [
    click.option("--license", help="Licence of these images: cc0, pdm, by, by-sa, ... (Creative Commons' words)."),
    click.option("--license-version", help="Its version, such as 4.0."),
    click.option("--creator", help="Who made them."),
    click.option("--category", help="What they show: outdoor, indoor, building, landmark, animal, plant, ..."),
    click.option("--facts", type=path_type(), help="CSV with a column 'file' and what is to be said of single images."),
]


def _stated(**values: str | None) -> dict[str, str]:
    return {name: value for name, value in values.items() if value}


@click.group()
def wrsr() -> None:
    """A new WR-SR: queries, a pool of candidates for each, cleaning, a choice, rescaling, export.

    Every stage goes on where it was stopped, and leaves a table (CSV) to look at.
    """


@wrsr.command("init")
@project_argument
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="A setting, as build.toml has it.")
def wrsr_init(project: Path, settings: tuple[str, ...]) -> None:
    """Make a project folder."""
    from refsr_bench.builder.project import SETTINGS, Project, parse

    made = Project.create(project, **parse(settings))
    click.echo(f"{made.path} is ready; its settings are in {made.path / SETTINGS}.")


@wrsr.command("queries")
@project_argument
@click.option("--from", "folders", type=path_type(), multiple=True, help="A folder of photos, also below it.")
@click.option("--urls", type=path_type(), help="A list of addresses, one a line, or CSV with a column 'url'.")
@click.option("--only", "categories", multiple=True, help="Take images of this category alone.")
@click.option("--limit", type=click.IntRange(0), default=0, help="At most so many queries in all.")
@with_options(source_options)
def wrsr_queries(
    project: Path,
    folders: tuple[Path, ...],
    urls: Path | None,
    categories: tuple[str, ...],
    limit: int,
    facts: Path | None,
    **stated: str | None,
) -> None:
    """Add input images from folders or from the web."""
    from refsr_bench.builder import queries
    from refsr_bench.builder.project import Project

    if bool(folders) == bool(urls):
        raise Misuse("Give --from FOLDER (any number) or --urls LIST.")
    opened = Project.open(project)
    with Bar("queries") as progress:
        if urls:
            if facts:
                raise Misuse("--facts is for folders; a list of addresses has columns of its own.")
            added = queries.add_urls(opened, urls, _stated(**stated), categories, limit, progress)
        else:
            added = queries.add_folders(opened, folders, _stated(**stated), facts, categories, limit, progress)
    _tell("looked at", added)


@wrsr.command("pool")
@project_argument
@click.option("--from", "folders", type=path_type(), multiple=True, help="A folder of photos to search, also below it.")
@click.option("--index", type=path_type(), help="Where embeddings of the folders are kept. Default: in the project.")
@click.option("--provider", "providers", type=click.Choice(WEB), multiple=True, help="Ask this source on the web.")
@click.option("--captions", type=path_type(), help="CSV: what to search for (columns query, text, category, place).")
@with_options(source_options)
@with_options(engine_options)
def wrsr_pool(
    project: Path,
    folders: tuple[Path, ...],
    index: Path | None,
    providers: tuple[str, ...],
    captions: Path | None,
    facts: Path | None,
    engine: str,
    workers: int,
    **stated: str | None,
) -> None:
    """Gather candidate references for every query, from folders and from the web.

    The paper used Google Images, which is closed to newcomers, as Bing's search is retired: see docs/building.md.
    """
    from refsr_bench.builder.pool import folders as local
    from refsr_bench.builder.project import Project

    opened = Project.open(project)
    web = list(providers) or [name for name in opened.settings.providers if name in WEB and not folders]
    if not folders and not web:
        raise Misuse(f"Give --from FOLDER or --provider {'|'.join(WEB)} (any number of either).")
    if folders:
        with Bar("indexing") as progress:
            added = local.gather(opened, folders, _stated(**stated), facts, index, engine, workers, progress)
        click.echo(f"{added} candidates from {len(folders)} folders")
    if web:
        from refsr_bench.builder.pool.web import from_web

        with Bar("searching") as progress:
            gathered = from_web(opened, web, captions, progress)
        _tell("candidates from the web", gathered.by_provider)
        for note in gathered.notes:
            click.echo(f"  {note}", err=True)


@wrsr.command("clean")
@project_argument
@with_options(engine_options)
def wrsr_clean(project: Path, engine: str, workers: int) -> None:
    """Drop candidates that cannot be references, with reasons, and rank the others."""
    from refsr_bench.builder.clean import clean
    from refsr_bench.builder.project import Project

    with Bar("cleaning") as progress:
        tally = clean(Project.open(project), engine, workers, progress)
    _tell("cleaned", tally)


@wrsr.command("select")
@project_argument
@click.option("--auto", is_flag=True, help="No page: take the most similar candidate of each query.")
@click.option("--resolve", is_flag=True, help="No page: turn what was decided so far into selected.csv.")
@click.option("--annotator", help="Who chooses. Default: the page asks.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Default: any free one.")
@click.option("--browser/--no-browser", default=True, help="Open the page.")
def wrsr_select(project: Path, auto: bool, resolve: bool, annotator: str | None, port: int, browser: bool) -> None:
    """Choose a reference for each query in a page on this machine, or without one."""
    from refsr_bench.builder import tables
    from refsr_bench.builder.project import Project
    from refsr_bench.builder.rows import Selected
    from refsr_bench.builder.selection import decisions
    from refsr_bench.builder.selection import server as select

    opened = Project.open(project)
    if not opened.cleaned:
        raise Misuse(f"{project}: nothing to choose from yet. Clean the pool: refsr-bench build wrsr clean {project}")
    if auto and resolve:
        raise Misuse("--auto and --resolve exclude each other.")
    if not (auto or resolve):
        select.serve(opened, annotator, port, browser, click.echo)
    with opened.lock("select"):
        rows = select.auto(opened) if auto else select.resolve(opened)
        tables.write(opened.table("selected"), rows, Selected)
    click.echo(f"{sum(bool(row.file) for row in rows)} of {len(opened.kept_queries)} queries have a reference.")
    if not auto:
        click.echo(decisions.agreement(opened))


@wrsr.command("rescale")
@project_argument
def wrsr_rescale(project: Path) -> None:
    """Cut inputs to a multiple of the scale, bring references to a comparable one."""
    from refsr_bench.builder.project import Project
    from refsr_bench.builder.rescale import rescale

    with Bar("rescaling") as progress:
        made = rescale(Project.open(project), progress)
    click.echo(f"{made} pairs made")


@wrsr.command("export")
@project_argument
@click.option("--by-reference", is_flag=True, help="Publish addresses and digests with a script, not the images.")
@click.option("--push-to-hub", "repository", metavar="REPO", help="Upload to this data set repository (NAME/SET).")
@click.option("--public", is_flag=True, help="With --push-to-hub: for everybody to see; else private.")
def wrsr_export(project: Path, by_reference: bool, repository: str | None, public: bool) -> None:
    """Write the data set with its documents, and publish it."""
    from refsr_bench.builder.export import files as export
    from refsr_bench.builder.project import Project

    opened = Project.open(project)
    folder = export.export(opened, by_reference)
    click.echo(f"{folder} holds the data set. Try it: refsr-bench run --dataset wrsr --data-root {folder}")
    if repository:
        click.echo(f"Published: {export.push(opened, repository, public)}")


@wrsr.command("status")
@project_argument
def wrsr_status(project: Path) -> None:
    """How far every stage is."""
    from refsr_bench.builder.project import Project
    from refsr_bench.core.report import text_table

    rows = [(s.name, f"{s.done}/{s.total}", s.detail) for s in Project.open(project).status()]
    click.echo(text_table(("stage", "done", ""), rows))


@click.command("levels")
@click.option("--albums", type=path_type(), required=True, help="A folder of albums, each a folder of photos.")
@click.option("--out", type=path_type(), required=True, help="The folder to make, in CUFED5's layout.")
@click.option("--per-album", type=click.IntRange(1), default=1, show_default=True, help="Inputs from each album.")
@click.option("--long-side", type=click.IntRange(32), default=500, show_default=True, help="Larger images are reduced.")
@with_options(engine_options)
def levels(albums: Path, out: Path, per_album: int, long_side: int, engine: str, workers: int) -> None:
    """A CUFED5-style set from albums: five references L1 .. L5 per input, by falling number of verified matches."""
    from refsr_bench.builder.similarity.levels import build

    with Bar("albums") as progress:
        count, notes = build(albums, out, per_album, long_side, engine_name=engine, workers=workers, progress=progress)
    for note in notes:
        click.echo(f"left out: {note}", err=True)
    click.echo(f"{out}: {count} groups. Try them: refsr-bench run --dataset cufed5 --data-root {out}")


@click.command("stats")
@click.argument("name", shell_complete=names("DATASETS"))
@click.option("--out", type=path_type(), help="Also draw charts into this folder.")
@click.option("--svg", is_flag=True, help="Charts as SVG instead of PNG.")
@data_root_option
def stats(name: str, out: Path | None, svg: bool, data_root: Path | None) -> None:
    """What a data set is made of: categories, sizes, how alike inputs and references are (the paper's Fig. 3)."""
    from refsr_bench.builder import stats as builder
    from refsr_bench.data.opening import open_dataset

    opened = open_dataset(name, data_root)
    with Bar(f"matching {name}") as progress:
        found = builder.stats(opened, progress)
    click.echo(found.table())
    if out:
        for path in builder.plot(found, out, ".svg" if svg else ".png"):
            click.echo(f"chart: {path}")


def _tell(what: str, counts: Mapping[str, int]) -> None:
    words = ", ".join(f"{n} {name}" for name, n in sorted(counts.items(), key=lambda item: -item[1]) if n)
    click.echo(f"{sum(counts.values())} {what}" + (f": {words}" if words else ""))
