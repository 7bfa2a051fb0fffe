"""Hostile builder projects: names in tables, tables without end, links, settings, photo folders, lists of addresses."""

from __future__ import annotations

import functools
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

from PIL import Image

from hostile.case import Case, canary

OUT = "../../canary"  # the canary beside the case's folder, from a project in it, without its suffix
STAGES = ("status", "clean", "rescale", "export", "select --auto", "select --resolve")

QUERIES = "id,file,width,height,category\n{id},{file},96,64,animal\n"
POOL = "query,file,provider,rank\n{query},{file},local,1\n"
CLEAN = "query,file,kept,inliers,scale,rank\n{query},{file},1,40,1.0,1\n"
SELECTED = "query,file,category,annotators\n{query},{file},animal,auto\n"
RESCALED = (
    "query,file,input,ref,input_width_before,input_height_before,input_width,input_height,"
    "ref_width_before,ref_height_before,ref_width,ref_height\n"
    "{query},{file},{input},{ref},96,64,96,64,96,64,96,64\n"
)
DECISION = (
    '{{"time":"2026-01-01","annotator":"Ann","query":"001","choice":{choice},"category":"","action":"select"}}\n'
)
CELLS = {
    "id": "001",
    "query": "001",
    "file": "pool/files/a.png",
    "input": "rescaled/input/001.png",
    "ref": "rescaled/ref/001_ref.png",
}


@functools.cache
def _picture(seed: int) -> Image.Image:
    """Return a picture with texture of its own, 96 x 64."""
    noise = Image.effect_noise((96, 64), 90 + seed)
    return Image.merge("RGB", [noise, noise.rotate(90 * (seed % 3)), noise.transpose(Image.Transpose.FLIP_LEFT_RIGHT)])


def photo(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    _picture(seed).save(path, format="PNG")
    return path


def project(folder: Path, **tables: str) -> Path:
    """Make the project P, finished but for its export. tables: the text of a table that differs from the sound one."""
    made = folder / "P"
    for seed, name in enumerate(("queries/001.png", CELLS["file"], CELLS["input"], CELLS["ref"])):
        photo(made / name, seed)
    (made / "build.toml").write_text("query_min_long_side = 16\nref_min_long_side = 16\n", encoding="utf-8")
    sound = {
        "queries": QUERIES.format(**{**CELLS, "file": "queries/001.png"}),
        "pool": POOL.format(**CELLS),
        "clean": CLEAN.format(**CELLS),
        "selected": SELECTED.format(**CELLS),
        "rescaled": RESCALED.format(**CELLS),
    }
    for name, text in (sound | tables).items():
        (made / f"{name}.csv").write_text(text, encoding="utf-8", newline="")
    return made


def undone(folder: Path, stage: str) -> None:
    """Remove the table of a stage, so that the stage has work to do."""
    made = {"clean": "clean.csv", "rescale": "rescaled.csv"}.get(stage)
    if made:
        (folder / "P" / made).unlink(missing_ok=True)


def words(stage: str, *more: str) -> list[str]:
    stage, *options = stage.split()
    return ["build", "wrsr", stage, "P", *options, *more]


# -- names in tables -----------------------------------------------------------------------------------------------

NAMES = {"a name with '..'": f"{OUT}.txt", "an absolute name": "/etc/hostname", "a backslash": "..\\\\x.png"}
TEMPLATES = {"queries": QUERIES, "pool": POOL, "clean": CLEAN, "selected": SELECTED, "rescaled": RESCALED}
COLUMNS = (
    ("queries", "id", "rescale"),
    ("queries", "file", "clean"),
    ("pool", "file", "clean"),
    ("clean", "file", "select --auto"),
    ("selected", "file", "rescale"),
    ("rescaled", "input", "export"),
    ("rescaled", "ref", "export"),
    ("pool", "query", "status"),
)


def _named(table: str, column: str, stage: str, name: str) -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        cells = {**CELLS, column: name}
        if table == "queries" and column != "file":
            cells["file"] = "queries/001.png"
        project(folder, **{table: TEMPLATES[table].format(**cells)})
        undone(folder, stage)
        return words(stage)

    return make


def _escaping() -> Iterator[Case]:
    for table, column, stage in COLUMNS:
        for what, name in NAMES.items():
            make = _named(table, column, stage, name)
            yield Case(f"projects: {what} as {column} in {table}.csv", make, f"{table}.csv")


def _writing_id(folder: Path) -> list[str]:
    """Make every table agree on an id under which a finished pair would land beside the case's folder."""
    query = "x/../../../../canary"
    cells = {**CELLS, "id": query, "query": query}
    made = project(
        folder,
        queries=QUERIES.format(**{**cells, "file": "queries/001.png"}),
        pool=POOL.format(**cells),
        clean=CLEAN.format(**cells),
        selected=SELECTED.format(**cells),
    )
    (made / "rescaled.csv").unlink()
    return words("rescale")


def _decision(folder: Path) -> list[str]:
    made = project(folder)
    made.joinpath("selection.jsonl").write_text(DECISION.format(choice=f'"{OUT}.txt"'), encoding="utf-8")
    return words("select --resolve")


def _levels_table(folder: Path) -> list[str]:
    for n in range(6):
        photo(folder / "albums" / "one" / f"{n}.png", n)
    (folder / "out").mkdir()
    rows = "".join(f"{OUT},{level},{OUT}.txt,one/{level}.png\n" for level in range(6))
    (folder / "out" / "levels.csv").write_text("group,level,file,source\n" + rows, encoding="utf-8")
    return ["build", "levels", "--albums", "albums", "--out", "out"]


# -- tables that are no tables -------------------------------------------------------------------------------------


def _table(text: str | bytes, table: str = "queries", stage: str = "status") -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        path = project(folder) / f"{table}.csv"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return words(stage)

    return make


def _sparse(folder: Path) -> list[str]:
    path = project(folder) / "pool.csv"
    with path.open("r+b") as file:
        file.truncate(1 << 30)
    return words("clean")


def _beyond_the_bound(folder: Path) -> list[str]:
    path = project(folder) / "pool.csv"
    with path.open("r+b") as file:
        file.truncate(100 << 30)
    return words("status")


def _rows(folder: Path) -> list[str]:
    path = project(folder) / "pool.csv"
    path.write_bytes(b"query,file\n" + b"1,a\n" * 6_000_000)
    return words("status")


def _empty_rows(folder: Path) -> list[str]:
    """A row of nothing but the end of a line takes one byte on the disk and much more in a list."""
    path = project(folder) / "queries.csv"
    path.write_bytes(b"id,file\n" + b"\n" * (60 << 20))
    photo(folder / "photos" / "new.png", 5)
    return words("queries --from photos")


def _wide(folder: Path) -> list[str]:
    """One character beyond the basic plane makes each character of a cell take four bytes."""
    cell = "x" * 100_000 + "\U0001f600"
    path = project(folder) / "pool.csv"
    path.write_text("query,file,creator\n" + f"001,pool/files/a.png,{cell}\n" * 3000, encoding="utf-8")
    return words("status")


TABLES = (
    Case("projects: a table of two values under one column", _table("id,file\n1,a,b\n"), "queries.csv"),
    Case("projects: a table with a column that comes twice", _table("id,file,file\n1,a,a\n"), "queries.csv"),
    Case("projects: a table with a column of another make", _table("id,file,\u202egnp\n1,a,x\n"), "queries.csv"),
    Case("projects: a cell of 200 KB", _table("id,file\n1," + "a" * 200_000 + "\n"), "queries.csv"),
    Case("projects: a table of NUL bytes", _table(b"\0" * 5000 + b"\n"), "queries.csv"),
    Case("projects: a NUL in a name", _table("id,file\n1,a\0b\n"), "queries.csv"),
    Case("projects: an open quote", _table('id,file\n1,"a\n'), "queries.csv"),
    Case("projects: a table in UTF-16", _table("id,file\n1,a\n".encode("utf-16")), "queries.csv"),
    Case("projects: a table with half a character", _table(b"id,file\n1,\xf0\x9f\n"), "queries.csv"),
    Case("projects: a width with 5000 digits", _table("id,file,width\n1,a," + "9" * 5000 + "\n"), "queries.csv"),
    Case("projects: a sharpness that is no number", _table("id,file,sharpness\n1,a,nan\n"), "queries.csv"),
    Case("projects: a negative rank", _table("query,file,rank\n1,a,-1\n", "pool"), "pool.csv"),
    Case("projects: an infinite scale", _table("query,file,kept,scale\n1,a,1,inf\n", "clean"), "clean.csv"),
    Case("projects: a table of 1 GB of nothing", _sparse, "pool.csv"),
    Case("projects: a table of 100 GB of nothing", _beyond_the_bound, "pool.csv"),
    Case("projects: six million rows", _rows, "pool.csv"),
    Case("projects: sixty million empty rows", _empty_rows, exits=(0, 1, 2)),
    Case("projects: cells of characters that take four bytes", _wide, exits=(0, 1, 2)),
    Case("projects: a log of nested lists", _table(b"[" * 100_000 + b"\n", "selection", "status"), exits=(0,)),
)


# -- no regular files ----------------------------------------------------------------------------------------------


def _special(name: str, kind: str, stage: str) -> Callable[[Path], list[str]]:
    """Put a FIFO, a socket, a folder or a link in the place of one of the project's files."""

    def make(folder: Path) -> list[str]:
        path = project(folder) / name
        path.unlink(missing_ok=True)
        if kind == "fifo":
            os.mkfifo(path)
        elif kind == "socket":
            _socket(path)
        elif kind == "folder":
            path.mkdir()
        else:
            path.symlink_to({"zero": "/dev/zero", "loop": path.name, "dangling": "nowhere"}[kind])
        undone(folder, stage)
        return words(stage)

    return make


def _socket(path: Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)  # the address of a socket has at most 108 bytes
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


SPECIAL = (
    ("build.toml", "fifo", "status", "build.toml"),
    ("build.toml", "zero", "status", "build.toml"),
    ("build.toml", "folder", "status", "build.toml"),
    ("build.toml", "loop", "status", "P"),
    ("queries.csv", "fifo", "status", "queries.csv"),
    ("queries.csv", "zero", "clean", "queries.csv"),
    ("queries.csv", "folder", "status", "queries.csv"),
    ("queries.csv", "loop", "status", "queries.csv"),
    ("pool.csv", "socket", "clean", "pool.csv"),
    ("selection.jsonl", "fifo", "select --resolve", "selection.jsonl"),
    ("selection.jsonl", "zero", "select --resolve", "selection.jsonl"),
    ("queries/001.png", "fifo", "clean", "001.png"),
    ("queries/001.png", "loop", "clean", "001.png"),
    ("queries.csv", "dangling", "status", "queries.csv"),
    ("pool/files/a.png", "fifo", "rescale", "a.png"),
    ("rescaled/ref/001_ref.png", "zero", "export", "001_ref.png"),
)


def _no_files() -> Iterator[Case]:
    for name, kind, stage, said in SPECIAL:
        yield Case(f"projects: {kind} in the place of {name}", _special(name, kind, stage), said)


# -- links ---------------------------------------------------------------------------------------------------------


def _link(name: str, stage: str) -> Callable[[Path], list[str]]:
    """Put a link to the folder beside the case in the place of one of the project's folders."""

    def make(folder: Path) -> list[str]:
        made = project(folder)
        path = made / name
        if path.exists():
            path.rename(folder / "moved")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(canary(folder).parent)
        undone(folder, stage)
        photo(folder / "photos" / "new.png", 5)
        return words(stage)

    return make


def _link_to_canary(name: str, stage: str) -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        path = project(folder) / name
        path.unlink(missing_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(canary(folder))
        undone(folder, stage)
        return words(stage)

    return make


LINKS = (
    Case("projects: queries/ leads out", _link("queries", "queries --from photos"), "queries"),
    Case("projects: pool/files leads out", _link("pool/files", "pool --from photos"), "pool"),
    Case("projects: index/ leads out", _link("index", "pool --from photos"), "index"),
    Case("projects: rescaled/ leads out", _link("rescaled", "rescale"), "rescaled"),
    Case("projects: rescaled/input leads out", _link("rescaled/input", "rescale"), "input"),
    Case("projects: export/ leads out", _link("export", "export"), "export"),
    Case("projects: the unfinished export leads out", _link(".export.partial", "export"), ".export.partial"),
    Case("projects: the earlier export leads out", _link(".export.old", "export"), ".export.old"),
    Case("projects: locks lead out", _link(".locks", "select --auto"), ".locks"),
    Case("projects: the lock of a stage is a link", _link_to_canary(".locks/select/.lock", "select --auto"), ".lock"),
    Case("projects: a table is a link", _link_to_canary("selected.csv", "select --auto"), exits=(0, 1, 2)),
    Case("projects: a table to be read is a link", _link_to_canary("clean.csv", "select --auto"), "clean.csv"),
    Case("projects: the codebook is a link", _link_to_canary("codebook.npz", "clean"), "codebook.npz"),
    Case("projects: a candidate is a link", _link_to_canary("pool/files/a.png", "clean"), "a.png"),
)


# -- settings, photo folders, lists --------------------------------------------------------------------------------


def _settings(text: str | bytes) -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        (project(folder) / "build.toml").write_bytes(text.encode() if isinstance(text, str) else text)
        return words("status")

    return make


def _set(value: str) -> Callable[[Path], list[str]]:
    return lambda folder: ["build", "wrsr", "init", "N", "--set", value]


SETTINGS = (
    Case("projects: settings nested 5000 deep", _settings("top = " + "[" * 5000), "build.toml"),
    Case("projects: settings of tables in tables", _settings("[a" + ".a" * 3000 + "]\n"), "build.toml"),
    Case("projects: a setting with 5000 digits", _settings("top = " + "9" * 5000), "build.toml"),
    Case("projects: a setting beyond 64 bits", _settings("top = " + "9" * 25), "build.toml"),
    Case("projects: a setting that is no number", _settings("leak_psnr = nan"), "build.toml"),
    Case("projects: an infinite setting", _settings("leak_psnr = inf"), "build.toml"),
    Case("projects: a date for a number", _settings("top = 2020-02-30"), "build.toml"),
    Case("projects: settings in UTF-16", _settings("top = 3".encode("utf-16")), "build.toml"),
    Case("projects: settings with a NUL", _settings("title = '\0'"), "build.toml"),
    Case("projects: --set nested deeply", _set("top=" + "[" * 5000), exits=(1, 2)),
    Case("projects: --set with 5000 digits", _set("top=" + "9" * 5000), exits=(1, 2)),
    Case("projects: --set no number", _set("max_ratio=nan"), exits=(1, 2)),
)


def _photos(*words_of_command: str, make: Callable[[Path], None]) -> Callable[[Path], list[str]]:
    def written(folder: Path) -> list[str]:
        project(folder)
        photo(folder / "photos" / "sound.png", 5)
        make(folder / "photos")
        return ["build", "wrsr", words_of_command[0], "P", *words_of_command[1:]]

    return written


def _not_utf8(folder: Path) -> None:
    photo(folder / "x.png", 6).rename(os.fsdecode(bytes(folder) + b"/\xff\xfe.png"))


def _not_utf8_below(folder: Path) -> None:
    photo(folder / "x" / "x.png", 6)
    (folder / "x").rename(os.fsdecode(bytes(folder) + b"/\xff\xfe"))


def _line_break(folder: Path) -> None:
    photo(folder / "a\nb\x1b[2J.png", 6)


def _fifo(folder: Path) -> None:
    os.mkfifo(folder / "pipe.png")


def _socket_photo(folder: Path) -> None:
    _socket(folder / "s.png")


def _dangling(folder: Path) -> None:
    (folder / "gone.png").symlink_to("nowhere")


def _looping(folder: Path) -> None:
    (folder / "a.png").symlink_to("b.png")
    (folder / "b.png").symlink_to("a.png")


def _loop_of_folders(folder: Path) -> None:
    (folder / "again").symlink_to(".")


def _text(folder: Path) -> None:
    (folder / "text.png").write_text("no image", encoding="utf-8")


def _deep(folder: Path) -> None:
    for _ in range(40):
        folder = folder / "d"
        folder.mkdir()
    photo(folder / "deep.png", 6)


FOLDERS: dict[str, tuple[Callable[[Path], None], str, tuple[int, ...]]] = {
    "a name that is no UTF-8": (_not_utf8, "udcff", (1, 2)),
    "a folder's name that is no UTF-8": (_not_utf8_below, "udcff", (1, 2)),
    "a name with a line break and an escape": (_line_break, "", (0, 1, 2)),
    "a FIFO": (_fifo, "", (0, 1, 2)),
    "a socket": (_socket_photo, "", (0, 1, 2)),
    "a dangling link": (_dangling, "", (0, 1, 2)),
    "links in a loop": (_looping, "", (0, 1, 2)),
    "a folder that holds itself": (_loop_of_folders, "", (0, 1, 2)),
    "text under an image's name": (_text, "", (0, 1, 2)),
    "forty folders": (_deep, "", (0, 1, 2)),
}


def _photo_folders() -> Iterator[Case]:
    for what, (make, names, exits) in FOLDERS.items():
        yield Case(f"projects: queries from {what}", _photos("queries", "--from", "photos", make=make), names, exits)
        yield Case(f"projects: a pool from {what}", _photos("pool", "--from", "photos", make=make), names, exits)


def _albums(make: Callable[[Path], None]) -> Callable[[Path], list[str]]:
    def written(folder: Path) -> list[str]:
        for n in range(6):
            photo(folder / "albums" / "one" / f"{n}.png", n)
        make(folder / "albums" / "one")
        return ["build", "levels", "--albums", "albums", "--out", "out"]

    return written


def _list(option: str, text: bytes, stage: str = "queries") -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        project(folder)
        photo(folder / "photos" / "sound.png", 5)
        (folder / "list.csv").write_bytes(text)
        given = ["--from", "photos"] if option == "--facts" else []
        return words(stage, option, "list.csv", *given, *(["--provider", "commons"] if stage == "pool" else []))

    return make


def _endless_list(option: str) -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        project(folder)
        photo(folder / "photos" / "sound.png", 5)
        os.mkfifo(folder / "list.csv")
        return words("queries", option, "list.csv", *(["--from", "photos"] if option == "--facts" else []))

    return make


LISTS = (
    Case("projects: facts about nothing", _list("--facts", b""), exits=(0, 1, 2)),
    Case("projects: facts with unknown columns", _list("--facts", b"file,rm\na,b\n"), "list.csv"),
    Case("projects: facts with a cell of 1 MB", _list("--facts", b"file\n" + b"a" * (1 << 20)), "list.csv"),
    Case("projects: facts about a name with a NUL", _list("--facts", b"file,creator\na\0b,x\n"), exits=(0, 1, 2)),
    Case("projects: facts in a FIFO", _endless_list("--facts"), "list.csv"),
    Case("projects: addresses in a FIFO", _endless_list("--urls"), "list.csv"),
    Case("projects: addresses of nothing", _list("--urls", b"\n\n#\n"), "list.csv"),
    Case("projects: addresses that are no text", _list("--urls", b"\xff\xfe\x00"), "list.csv"),
    Case("projects: an album with a name that is no UTF-8", _albums(_not_utf8), exits=(0, 1, 2)),
    Case("projects: an album with a FIFO", _albums(_fifo), exits=(0, 1, 2)),
    Case("projects: an album with links in a loop", _albums(_looping), exits=(0, 1, 2)),
    Case("projects: names that lead out in levels.csv", _levels_table, exits=(0, 1, 2)),
    Case("projects: an id that leads out in every table", _writing_id, "queries.csv"),
    Case("projects: a choice that leads out", _decision, exits=(0, 1, 2)),
)


def cases() -> Iterator[Case]:
    yield from _escaping()
    yield from TABLES
    yield from _no_files()
    yield from LINKS
    yield from SETTINGS
    yield from _photo_folders()
    yield from LISTS
