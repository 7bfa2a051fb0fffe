"""Tables and project folders: durable, readable by anything, mended after a kill."""

import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from refsr_bench.builder import tables
from refsr_bench.builder.project import Project
from refsr_bench.builder.rows import Candidate, Cleaned, Query, Rescaled, Selected
from refsr_bench.builder.settings import Settings, as_toml, parse
from refsr_bench.builder.similarity import levels
from refsr_bench.core import files
from refsr_bench.core.errors import BenchError, Busy, Misuse


def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    rows = [Cleaned("1", "pool/files/a.jpg", True, 'said "no", twice', 12.5, 90, 0.25, 3, 1.5, -2.0, 0.5, 1)]
    rows.append(Cleaned("ü", "b", False))
    tables.write(tmp_path / "t.csv", rows)
    assert tables.read(tmp_path / "t.csv", Cleaned) == rows
    assert "1,pool/files/a.jpg,1," in (tmp_path / "t.csv").read_text()


def test_no_table_and_an_empty_one_have_no_rows(tmp_path: Path) -> None:
    assert tables.read(tmp_path / "t.csv", Query) == []
    tables.write(tmp_path / "t.csv", [], Query)
    assert tables.read(tmp_path / "t.csv", Query) == []
    assert (tmp_path / "t.csv").read_text().startswith("id,file,sha256,")


def test_a_row_is_a_line_whatever_its_text(tmp_path: Path) -> None:
    tables.append(tmp_path / "t.csv", [Query("1", "f", creator="A,\n\r\n B\u2028C")])
    assert len((tmp_path / "t.csv").read_bytes().splitlines()) == 2
    assert tables.read(tmp_path / "t.csv", Query)[0].creator == "A, B C"


@pytest.mark.parametrize("torn", [b'2,queries/2.jpg,"ab', b"2", b'2,"x\xc3'])
def test_a_torn_row_is_left_out_and_cut_off(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "t.csv"
    tables.append(path, [Query("1", "f")])
    with path.open("ab") as file:
        file.write(torn)
    assert [row.id for row in tables.read(path, Query)] == ["1"]
    tables.append(path, [Query("3", "g")])
    assert [row.id for row in tables.read(path, Query)] == ["1", "3"]


def test_a_torn_head_starts_again(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"id,fi")
    tables.append(path, [Query("1", "f")])
    assert tables.read(path, Query) == [Query("1", "f")]


def test_a_table_of_an_older_version_gets_the_new_columns(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("query,file\n1,a\n")
    tables.append(path, [Selected("2", "b", agreement=0.5)])
    assert tables.read(path, Selected) == [Selected("1", "a"), Selected("2", "b", agreement=0.5)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("query,file,colour\n1,a,red\n", "no column 'colour'"),
        ("query,kept\n1,1\n", "column 'file' is missing"),
        ("query,file,kept,rank\n1,a,1,first\n", "rank is 'first', not a whole number"),
        ("query,file,kept\n1,a,1,b\n", "4 cells under 3 columns"),
        ("query,file,kept\n1,a,yes\n", "kept is 'yes'"),
        ("query,file,kept,rank\n1,a,1,-1\n", "line 2: rank is '-1', not a whole number from 0"),
        ("query,file,kept,similarity\n1,a,1,nan\n", "similarity is 'nan', not a number"),
        ("query,file,kept,inliers\n1,a,1," + "9" * 40 + "\n", "inliers is '999"),
        ("query,query\n1,1\n", "column 'file' is missing"),
        ("query,file,kept,kept\n1,a,1,1\n", "a column comes twice"),
        ('query,file,kept\n1,"a,1\n', "not CSV"),
        ("query,file,kept\n1," + "a" * 200_000 + ",1\n", "not CSV"),
    ],
)
def test_a_table_that_does_not_fit_is_refused_by_name(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(BenchError, match=said):
        tables.read(tmp_path / "t.csv", Cleaned)


def test_a_table_of_a_person_needs_no_last_newline(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"\xef\xbb\xbfquery,file\r\n1,a\r\n2,b")
    assert tables.given(tmp_path / "t.csv", Selected) == [Selected("1", "a"), Selected("2", "b")]
    assert tables.read(tmp_path / "t.csv", Selected) == [Selected("1", "a")], "a row of ours that a kill cut short"
    with pytest.raises(Misuse, match="nowhere"):
        tables.given(tmp_path / "nowhere.csv", Selected)


def test_empty_cells_of_numbers_are_the_default(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("query,file,agreement\n1,a,\n")
    assert tables.read(tmp_path / "t.csv", Selected) == [Selected("1", "a", agreement=1.0)]


def test_rows_before_a_kill_are_there(tmp_path: Path) -> None:
    code = (
        "import os, sys; from refsr_bench.builder import tables; from refsr_bench.builder.rows import Query\n"
        "for n in range(1000):\n"
        "    tables.append(sys.argv[1], [Query(str(n), 'f')])\n"
        "    if n == 20: os.kill(os.getpid(), 9)\n"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path / "t.csv")], check=False)
    assert killed.returncode == -9
    assert len(tables.read(tmp_path / "t.csv", Query)) == 21


def test_settings_come_back_and_only_differences_are_written(tmp_path: Path) -> None:
    made = Project.create(tmp_path / "p", top=7, contact='a"b\\c\n', providers=["commons", "local"], max_ratio=2)
    assert Project.open(tmp_path / "p") == made
    assert "query_sharpness" not in as_toml(made.settings)
    assert as_toml(Settings()).count("\n") == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("topp = 3", "no setting called topp. Did you mean top"),
        ('top = "3"', r"build\.toml: top: expected int, got str"),
        ("top = 0", "top: expected int >= 1"),
        ("top = true", "top: expected int, got bool"),
        ("top 3", r"build\.toml: not TOML"),
    ],
)
def test_settings_that_do_not_fit_are_refused_by_name(tmp_path: Path, text: str, said: str) -> None:
    Project.create(tmp_path / "p")
    (tmp_path / "p" / "build.toml").write_text(text)
    with pytest.raises(Misuse, match=said):
        Project.open(tmp_path / "p")


def test_settings_of_a_command_line() -> None:
    assert parse(["top=3", "name=x y", 'licenses=["by"]']) == {"top": 3, "name": "x y", "licenses": ["by"]}
    for wrong in ("top", "title=\udcff"):
        with pytest.raises(Misuse, match="NAME=VALUE"):
            parse([wrong])


def test_words_that_are_no_utf_8_are_written_all_the_same(tmp_path: Path) -> None:
    tables.append(tmp_path / "t.csv", [Query("1", "f", creator="A\udcff")])
    assert tables.read(tmp_path / "t.csv", Query)[0].creator == "A\\udcff"


def test_a_project_is_made_once_and_others_are_named(tmp_path: Path) -> None:
    Project.create(tmp_path / "p")
    with pytest.raises(Misuse, match="is a project already"):
        Project.create(tmp_path / "p")
    with pytest.raises(Misuse, match="is no project"):
        Project.open(tmp_path)


def test_names_that_leave_the_project_are_refused(tmp_path: Path) -> None:
    made = Project.create(tmp_path / "p")
    for name in ("../x", "/etc/passwd", "", "a\\b", "a/../../x"):
        with pytest.raises(BenchError, match="no path inside"):
            made.file(name)


def test_two_processes_cannot_do_one_stage(tmp_path: Path) -> None:
    made = Project.create(tmp_path / "p")
    with made.lock("clean"), pytest.raises(Misuse, match="another process"), made.lock("clean"):
        pass


def test_pool_files_are_kept_once(tmp_path: Path) -> None:
    made = Project.create(tmp_path / "p")
    assert made.pool_file(b"x", ".JPG") == made.pool_file(b"x", ".jpg")
    assert len(list((tmp_path / "p" / "pool" / "files").iterdir())) == 1


def test_status_counts_what_is_there(tmp_path: Path) -> None:
    made = Project.create(tmp_path / "p")
    rows = [Query("001", "queries/001.png"), Query("002", "", state="dropped", reason="soft")]
    tables.write(made.table("queries"), rows)
    tables.write(made.table("selected"), [Selected("001", "")])
    stages = {stage.name: stage for stage in made.status()}
    assert (stages["queries"].done, stages["queries"].total) == (1, 2)
    assert (stages["select"].done, stages["rescale"].total) == (1, 0)
    assert dataclasses.astuple(stages["export"])[:3] == ("export", 0, 1)


NAMED = [("queries", "id"), ("queries", "file"), ("pool", "query"), ("pool", "file"), ("clean", "file"),
         ("selected", "file"), ("rescaled", "input"), ("rescaled", "ref")]  # fmt: skip


@pytest.mark.parametrize(("table", "column"), NAMED)
@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a\\b", "a/../../x", "C:x", "a\0b"])
def test_a_name_that_leaves_the_project_is_refused_where_its_row_is_read(
    tmp_path: Path, table: str, column: str, name: str
) -> None:
    made = Project.create(tmp_path / "p")
    row = {"queries": Query, "pool": Candidate, "clean": Cleaned, "selected": Selected, "rescaled": Rescaled}[table]
    needed = {field.name: 1 for field in msgspec.structs.fields(row) if field.required} | {column: name}
    made.table(table).write_text(f"{','.join(needed)}\n{','.join(map(str, needed.values()))}\n", newline="")
    with pytest.raises(BenchError, match=rf"{table}\.csv, line 2: {column} is .* no path inside"):
        tables.read(made.table(table), row)


def test_a_link_out_of_a_project_is_refused_before_any_stage(tmp_path: Path) -> None:
    made = Project.create(tmp_path / "p")
    (tmp_path / "theirs").mkdir()
    for name in (".export.partial", ".locks", "index", "pool/files/a.jpg", "clean.csv"):
        link = made.path / name
        link.symlink_to(tmp_path / "theirs")
        with pytest.raises(BenchError, match=re.escape(f"{link} leads out of {made.path} through a link")):
            Project.open(made.path)
        link.unlink()
    (made.path / "loop").symlink_to("loop")
    with pytest.raises(BenchError, match="links lead in a circle"):
        Project.open(made.path)
    (made.path / "loop").unlink()
    (made.path / "within").symlink_to("queries")
    assert Project.open(made.path) == made


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")
def test_a_table_that_is_no_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.csv")
    (tmp_path / "loop.csv").symlink_to("loop.csv")
    (tmp_path / "gone.csv").symlink_to("nowhere")
    for name in ("fifo.csv", "loop.csv", "gone.csv"):
        with pytest.raises(BenchError, match=name):
            tables.read(tmp_path / name, Query)


def test_tables_are_bounded_in_bytes_rows_and_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"id,file\n" + b"\n" * 90)
    monkeypatch.setattr(tables, "MOST_ROWS", 50)
    with pytest.raises(BenchError, match="more than 50 rows"):
        tables.read(path, Query)
    path.write_bytes(b"id,file\n" + b"\r" * 90 + b"\n")
    with pytest.raises(BenchError, match="more than 50 rows"):
        tables.read(path, Query)
    path.write_bytes(b"id,file\n" + b"\0" * (tables.MOST_LINE + 1))
    with pytest.raises(BenchError, match="line 2: not CSV"):
        tables.read(path, Query)
    with path.open("r+b") as file:
        file.truncate(tables.MOST_BYTES + 1)
    with pytest.raises(BenchError, match="at most 200 MiB are read"):
        tables.read(path, Query)


@pytest.mark.parametrize("value", ["[" * 5000, "9" * 5000])
def test_settings_that_break_a_parser_are_refused_in_words(tmp_path: Path, value: str) -> None:
    made = Project.create(tmp_path / "p")
    (made.path / "build.toml").write_text(f"top = {value}")
    with pytest.raises(Misuse, match=r"build\.toml: not TOML"):
        Project.open(made.path)
    assert parse([f"top={value}"]) == {"top": value}, "text, which no number accepts"


def test_a_stage_in_use_names_its_holder(tmp_path: Path) -> None:
    made = Project.create(tmp_path / "p")
    code = (
        "import sys; from refsr_bench.builder.project import Project\n"
        "with Project.open(sys.argv[1]).lock('clean'): print('locked', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(made.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "locked\n"
        holder = rf"another process \('clean'\) .*: process {other.pid} on "
        with pytest.raises(Misuse, match=holder), made.lock("clean"):
            pass
        other.communicate()
    with made.lock("clean"):
        pass


def test_two_processes_do_not_make_groups_in_one_folder(tmp_path: Path) -> None:
    (tmp_path / "albums" / "one").mkdir(parents=True)
    for n in range(levels.LEVELS + 1):
        (tmp_path / "albums" / "one" / f"{n}.png").touch()
    (tmp_path / "out").mkdir()
    with files.locked(tmp_path / "out", "Another"), pytest.raises(Busy, match="Another search for levels is writing"):
        levels.build(tmp_path / "albums", tmp_path / "out")
