"""Tables and project folders: durable, readable by anything, mended after a kill."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from refsr_bench.builder import tables
from refsr_bench.builder.project import Project
from refsr_bench.builder.rows import Cleaned, Query, Selected
from refsr_bench.builder.settings import Settings, as_toml, parse
from refsr_bench.core.errors import BenchError, Misuse


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
