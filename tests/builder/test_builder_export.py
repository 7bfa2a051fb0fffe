"""Export: WR-SR's layout, Hugging Face, Croissant, card, licences; statistics; sets from albums; the command line."""

import csv
import importlib.util
import json
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from album import SCENES, jpeg, save, scene, view
from click.testing import CliRunner, Result
from msgspec.structs import replace

from refsr_bench.builder import clean, queries, rescale, stats, tables
from refsr_bench.builder.export import files, hub
from refsr_bench.builder.pool import folders
from refsr_bench.builder.pool.providers import PROVIDERS
from refsr_bench.builder.project import Project
from refsr_bench.builder.selection import decisions
from refsr_bench.builder.similarity import levels
from refsr_bench.builder.stated import Statements
from refsr_bench.cli import build_wrsr as cli
from refsr_bench.cli.grammar import Commands
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.data.opening import open_dataset
from refsr_bench.data.verification import verify
from refsr_bench.pixels.images import read_image

SMALL = {"query_min_long_side": 100, "ref_min_long_side": 100}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The whole path: two queries, a pool with another view of each, a copy, and other scenes."""
    base = tmp_path_factory.mktemp("built")
    for which in SCENES[:2]:
        save(view(which, 0).crop((0, 0, 238, 177)), base / "queries" / f"{which}.png")
        save(view(which, 1), base / "pool" / f"view{which}.jpg")
        save(view(which, 0), base / "pool" / f"copy{which}.jpg", 60)
    save(view(SCENES[2], 0), base / "pool" / "other.png")
    project = Project.create(base / "p", **SMALL, contact="tests@example.org", title="Small | set")
    stated = {"license": "by", "license_version": "4.0", "category": "building"}
    queries.add_folders(project, [base / "queries"], Statements(stated))
    told = {"license": "by-sa", "license_version": "3.0", "creator": "Ada, Bob"}
    folders.gather(project, [base / "pool"], Statements(told))
    clean.clean(project)
    decisions.settle(project, automatic=True)
    rescale.rescale(project)
    files.export(project)
    return project


@pytest.fixture
def project(built: Project, tmp_path: Path) -> Project:
    """A copy that a test may change."""
    shutil.copytree(built.path, tmp_path / "p")
    return Project.open(tmp_path / "p")


def test_the_export_is_a_wr_sr_with_the_other_views_as_references(built: Project) -> None:
    dataset = open_dataset("wrsr", built.path / "export")
    assert [pair.id for pair in dataset.pairs] == ["001", "002"]
    assert all(pair.hr.load().shape == (176, 236, 3) for pair in dataset.pairs)
    chosen = {row.query: row.file for row in built.selected}
    sources = {(row.query, row.file): row.source_url for row in built.pool}
    assert {sources[item] for item in chosen.items()} == {f"pool/view{which}.jpg" for which in SCENES[:2]}
    report = verify("wrsr", built.path / "export")
    assert report.ok and report.manifest and not report.extra


def test_hugging_face_opens_it_as_it_is(built: Project, tmp_path: Path) -> None:
    import datasets

    rows = datasets.load_dataset(str(built.path / "export"), split="test", cache_dir=str(tmp_path / "cache"))
    assert rows.features["hr"] == datasets.Image() and rows.features["ref"] == datasets.Image()
    first = rows[0]
    assert first["hr"].size == (236, 176) and first["category"] == "building" and first["inliers"] >= 12
    assert np.array_equal(np.array(first["ref"]), read_image(built.path / "export/ref/001_ref.png"))
    assert first["ref_creator"] == "Ada, Bob" and first["hr_license"] == "by"


def test_a_method_runs_on_it(built: Project, tmp_path: Path) -> None:
    from refsr_bench.cli import main

    arguments = ["run", "--dataset", "wrsr", "--data-root", str(built.path / "export"), "--method", "bicubic"]
    done = CliRunner().invoke(main, [*arguments, "--protocol", "c2", "--out", str(tmp_path / "results")])
    assert done.exit_code == 0, done.output
    assert "2/2" in done.output or "2/80" in done.output


def test_croissant_names_what_is_there(built: Project) -> None:
    folder = built.path / "export"
    made = json.loads((folder / "croissant.json").read_text())
    assert made["@type"] == "sc:Dataset" and "http://mlcommons.org/croissant/1.0" in made["conformsTo"]
    ids = {item["@id"] for item in made["distribution"]}
    for record in made["recordSet"]:
        for field in record["field"]:
            (kind,) = set(field["source"]) - {"extract"}
            assert field["source"][kind]["@id"] in ids
    rows = [json.loads(line) for line in (folder / "metadata.jsonl").read_text().splitlines()]
    (pairs,) = [record for record in made["recordSet"] if record["@id"] == "pairs"]
    assert {field["source"]["extract"]["column"] for field in pairs["field"]} == set(rows[0])
    sets = [item for item in made["distribution"] if item["@type"] == "cr:FileSet"]
    assert all(len(list(folder.glob(item["includes"]))) == 2 for item in sets)
    assert made["license"] == [
        "https://creativecommons.org/licenses/by-sa/3.0/",
        "https://creativecommons.org/licenses/by/4.0/",
    ]


def test_the_card_and_the_sources_say_what_was_done(built: Project) -> None:
    folder = built.path / "export"
    card = (folder / "README.md").read_text()
    assert 'pretty_name: "Small | set"' in card and "license: other" in card
    for words in ("| building | 2 |", "tests@example.org", "leak", "no person looked", "by-sa | 3.0 | 2"):
        assert words in card
    for name in ("categories", "matches", "similarity"):
        assert f"figures/{name}.png" in card and (folder / "figures" / f"{name}.png").stat().st_size > 2000
    rows = list(csv.DictReader((folder / "sources.csv").open()))
    assert rows[0]["changes"] == "cut to 236x176" and rows[1]["creator"] == "Ada, Bob"
    assert str(built.path) not in card + (folder / "metadata.jsonl").read_text() + (folder / "sources.csv").read_text()


def _license(project: Project, license: str) -> None:
    rows = [replace(row, license=license) for row in project.queries]
    tables.write(project.table("queries"), rows)


@pytest.mark.parametrize("license", ["by-nd", "by-nc-nd", "CC BY-ND 4.0", "NoDerivatives"])
def test_changed_images_without_derivatives_are_refused(project: Project, license: str) -> None:
    _license(project, license)
    with pytest.raises(Misuse, match="without derivatives"):
        files.export(project)
    assert (project.path / "export/pairs.txt").is_file()  # the last good one stays


def test_a_leak_that_a_person_chose_is_refused(project: Project) -> None:
    copy = next(row.file for row in project.pool if "copy" in row.source_url and row.query == "001")
    rows = [replace(row, file=copy) if row.query == "001" else row for row in project.selected]
    tables.write(project.table("selected"), rows)
    rescale.rescale(project)
    with pytest.raises(BenchError, match="give the answer away"):
        files.export(project)


def test_pairs_that_are_not_finished_are_said(project: Project) -> None:
    project.table("rescaled").unlink()
    with pytest.raises(Misuse, match="2 pairs not finished"):
        files.export(project)


def test_by_reference_holds_addresses_and_a_script_that_makes_the_images(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _license(project, "by-nd")
    with pytest.raises(Misuse, match="no web address"):
        files.export(project, by_reference=True)
    for name in ("queries", "pool"):
        rows = [
            replace(row, source_url=f"https://example.org/{row.file}")
            for row in getattr(project, name)
        ]
        tables.write(project.table(name), rows)
    folder = files.export(project, by_reference=True)
    assert not (folder / "input").exists() and not (folder / "ref").exists()
    spec = importlib.util.spec_from_file_location("fetch_made", folder / "fetch.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    monkeypatch.setattr(script.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(
        script, "fetch", lambda url: (project.path / url.removeprefix("https://example.org/")).read_bytes()
    )
    assert script.main(folder) == 0
    for row in project.rescaled:
        number = row.query
        assert np.array_equal(read_image(folder / f"input/{number}.png"), read_image(project.file(row.input)))
        assert np.array_equal(read_image(folder / f"ref/{number}_ref.png"), read_image(project.file(row.ref)))
    (folder / "input/001.png").unlink()
    monkeypatch.setattr(script, "fetch", lambda url: jpeg(view(3, 0), 90))
    assert script.main(folder) == 1 and not (folder / "input/001.png").exists()
    with pytest.raises(ValueError, match="no web address"):
        script.check("file:///etc/passwd")


class Hub:
    """Remembers what would have been sent."""

    def __init__(self, error: Exception | None = None) -> None:
        self.calls: list[tuple[str, dict]] = []
        self.error = error

    def create_repo(self, repository: str, **options) -> None:
        if self.error:
            raise self.error
        self.calls.append((repository, options))

    def upload_folder(self, **options) -> None:
        self.calls.append((options["repo_id"], options))


def test_the_hub_gets_the_folder_privately(built: Project) -> None:
    web = Hub()
    assert hub.push(built, "me/set", api=web) == "https://huggingface.co/datasets/me/set"
    assert web.calls[0] == ("me/set", {"repo_type": "dataset", "private": True, "exist_ok": True})
    assert web.calls[1][1]["folder_path"] == str(built.path / "export")
    with pytest.raises(BenchError, match="Log in first"):
        hub.push(built, "me/set", api=Hub(OSError("401")))


@pytest.mark.parametrize("license", ["", "by-nc"])
def test_images_without_an_open_licence_are_not_pushed(project: Project, license: str) -> None:
    _license(project, license)
    files.export(project)
    with pytest.raises(Misuse, match="may not be redistributed"):
        hub.push(project, "me/set", api=Hub())


def test_statistics_count_categories_sizes_and_matches(built: Project, tmp_path: Path) -> None:
    found = stats.stats(open_dataset("wrsr", built.path / "export"))
    assert found.categories == {"building": 2} and found.hr_sizes == ((236, 176),) * 2
    assert all(row.inliers >= 12 for row in found.likeness)
    table = found.table()
    assert "building  2       100%" in table and "L1" in table
    for suffix in (".png", ".svg"):
        assert all(path.stat().st_size > 2000 for path in stats.plot(found, tmp_path, suffix))


def test_levels_fall_with_verified_matches() -> None:
    assert levels.choose([1, 2, 3, 4, 5]) == [4, 3, 2, 1, 0]
    picked = levels.choose([5, 90, 40, 7, 60, 1, 30])
    assert picked[0] == 1 and picked[-1] == 5 and len(set(picked)) == 5


def test_albums_become_a_cufed5(tmp_path: Path) -> None:
    album = tmp_path / "albums" / "trip"
    whole = scene(0)
    save(view(0, 0), album / "a.png")
    save(view(0, 0), album / "copy.jpg", 50)
    for n in (1, 2):
        save(view(0, n), album / f"view{n}.png")
    for which in SCENES[1:4]:
        save(view(which, 0), album / f"z{which}.png")
    save(whole, tmp_path / "albums" / "short" / "one.png")
    small = levels.Shape(long_side=200)
    count, notes = levels.build(tmp_path / "albums", tmp_path / "out", small)
    assert count == 1 and notes == ["short: 1 photos, at least 6 are needed"]
    (pair,) = open_dataset("cufed5", tmp_path / "out").pairs
    assert pair.hr.load().shape == (148, 200, 3)
    rows = tables.read(tmp_path / "out/levels.csv", levels.Level)
    assert [row.level for row in rows] == [0, 1, 2, 3, 4, 5] and "trip/copy.jpg" not in {row.source for row in rows}
    inliers = [row.inliers for row in rows[1:]]
    assert inliers == sorted(inliers, reverse=True) and inliers[1] >= 12 > inliers[2]
    assert levels.build(tmp_path / "albums", tmp_path / "out", small)[0] == 1
    with pytest.raises(Misuse, match="no folders"):
        levels.build(tmp_path / "nowhere", tmp_path / "out")


def test_the_command_line_goes_the_whole_way(built: Project, tmp_path: Path) -> None:
    main = Commands("main", commands={"wrsr": cli.wrsr})
    base = built.path.parent
    place = str(tmp_path / "p")

    def call(*arguments: str) -> str:
        done = CliRunner().invoke(main, ["wrsr", *arguments])
        assert done.exit_code == 0, done.output
        return done.output

    small = [word for name, value in SMALL.items() for word in ("--set", f"{name}={value}")]
    call("init", place, *small)
    assert "2 looked at: 2 kept" in call("queries", place, "--from", str(base / "queries"), "--license", "cc0")
    assert "10 candidates" in call("pool", place, "--from", str(base / "pool"))
    assert "leak" in call("clean", place)
    resolved = json.loads(call("select", place, "--resolve", "--json"))  # nobody decided anything yet
    assert resolved["chosen"] == 0 and resolved["agreement"]["queries"] == 0
    assert "2 of 2 queries have a reference" in call("select", place, "--auto")
    assert json.loads(call("rescale", place, "--json"))["pairs"] == 2
    assert "holds the data set" in call("export", place)
    done = json.loads(call("export", place, "--json"))
    assert Path(done["folder"]).is_dir() and done["next"].startswith("refsr-bench run ") and not done["published"]
    assert "export   1/1" in call("status", place)
    failed = CliRunner().invoke(main, ["wrsr", "pool", place])
    assert failed.exit_code == 2 and "Give --from FOLDER" in failed.output
    failed = CliRunner().invoke(main, ["wrsr", "status", str(tmp_path / "none")])
    assert failed.exit_code == 2 and "is no project" in failed.output


def pasted(text: str) -> Result:
    """Run the command at the end of a message."""
    from refsr_bench.cli import main

    program, *arguments = shlex.split(text[text.rindex("refsr-bench ") :])
    assert program == "refsr-bench"
    return CliRunner().invoke(main, arguments)


def test_printed_commands_work_when_they_are_pasted(
    built: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    place = tmp_path / "a b"
    shutil.copytree(built.path, place)
    printed = CliRunner().invoke(cli.wrsr, ["export", str(place)]).output
    done = pasted(printed)
    assert done.exit_code == 0 and "2/" in done.output, done.output
    project = Project.open(place)
    with pytest.raises(Misuse) as error:
        Project.open(tmp_path / "c d")
    assert pasted(str(error.value)).output.startswith(f"{tmp_path / 'c d'} is ready")
    with pytest.raises(Misuse) as error:
        Project.create(place)
    assert "export   1/1" in pasted(str(error.value)).output
    project.table("rescaled").unlink()
    with pytest.raises(Misuse) as error:
        files.export(project)
    assert "2 pairs made" in pasted(str(error.value)).output
    shutil.rmtree(place / "export")
    with pytest.raises(Misuse) as error:
        hub.push(project, "me/set", api=Hub())
    assert "holds the data set" in pasted(str(error.value)).output
    with pytest.raises(Misuse) as error:
        clean.clean(Project.open(tmp_path / "c d"))
    assert "--provider" in pasted(str(error.value)).output


def test_a_row_cannot_lead_out_of_the_project(project: Project) -> None:
    rows = [replace(row, input="../../secret.png") for row in project.rescaled]
    tables.write(project.table("rescaled"), rows)
    with pytest.raises(BenchError, match="no path inside"):
        files.export(project)
    tables.write(project.table("queries"), [replace(row, id=f"../{row.id}") for row in project.queries])
    tables.write(project.table("selected"), [replace(row, query=f"../{row.query}") for row in project.selected])
    with pytest.raises(BenchError, match="no path inside"):
        rescale.rescale(project)


def test_the_command_line_knows_every_provider() -> None:
    assert set(cli.WEB) == set(PROVIDERS)


def test_an_input_that_comes_twice_is_refused(project: Project) -> None:
    first, second = project.rescaled
    (project.path / second.input).write_bytes((project.path / first.input).read_bytes())
    with pytest.raises(BenchError, match="come more than once"):
        files.export(project)
