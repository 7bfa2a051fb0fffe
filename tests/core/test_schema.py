"""The published JSON Schema of run files, and files of every age."""

import json
from pathlib import Path

import jsonschema
import pytest
from msgspec import structs

from refsr_bench.core import schema
from refsr_bench.core.errors import BenchError
from refsr_bench.core.reader import digest, dumps, to_json
from refsr_bench.core.results import parse_run, read_result
from refsr_bench.core.schema import SCHEMA_VERSION

ROOT = Path(__file__).resolve().parents[1]
HISTORIC = sorted((ROOT / "historic").glob("*.json"))
TRACK = sorted((ROOT.parent / "benchmarks" / "fixed-budget" / "results").rglob("result.json"))


def test_the_file_is_what_the_structs_make():
    assert json.loads(schema.FILE.read_text(encoding="utf-8")) == schema.result_schema()
    jsonschema.Draft202012Validator.check_schema(schema.published())


@pytest.mark.parametrize("path", [*HISTORIC, *TRACK], ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_files_of_every_version_are_read_and_fit_after_that(path):
    raw = json.loads(path.read_text(encoding="utf-8"))
    result = read_result(path)
    assert result.run.schema_version == SCHEMA_VERSION
    jsonschema.validate(json.loads(dumps(result)), schema.published(), jsonschema.Draft202012Validator)
    assert [image.id for image in result.images] == [image["id"] for image in raw["images"]]
    assert to_json(result.means) == raw["means"]
    assert result.run.kind == "benchmark" and result.run.method.ranked


def test_the_oldest_files_lack_what_was_added_since():
    raw = json.loads((ROOT / "historic" / "1-first.json").read_text(encoding="utf-8"))
    assert raw["run"]["schema_version"] == 1 and "mark" not in raw["run"]["method"] and "kind" not in raw["run"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(raw, schema.published(), jsonschema.Draft202012Validator)


@pytest.mark.parametrize("version", [0, SCHEMA_VERSION + 1, "1", None, True, 1.0])
def test_other_versions_are_refused(version):
    raw = json.loads((ROOT / "historic" / "1-first.json").read_text(encoding="utf-8"))["run"]
    with pytest.raises(BenchError, match=f"reads 1 to {SCHEMA_VERSION}"):
        parse_run({**raw, "schema_version": version}, "here")


def test_a_run_of_version_1_is_the_same_run(tmp_path):
    raw = json.loads((ROOT / "historic" / "1-later.json").read_text(encoding="utf-8"))["run"]
    old = parse_run(raw, "old")
    new = parse_run({**to_json(old)}, "new")
    assert old.identity() == new.identity()


def test_an_identity_changes_with_its_version_only():
    """An upgrade that computed other identities from the same facts would measure everything again."""
    known = {1: {"1-first.json": "fb7d32a72b85f00e", "1-later.json": "74def57505867832"}}
    for name, expected in known[schema.IDENTITY_VERSION].items():
        raw = json.loads((ROOT / "historic" / name).read_text(encoding="utf-8"))["run"]
        assert digest(parse_run(raw, name).identity())[:16] == expected


def test_an_upgrade_that_changes_no_number_keeps_the_identity():
    raw = json.loads((ROOT / "historic" / "1-later.json").read_text(encoding="utf-8"))["run"]
    run = parse_run(raw, "old")
    method = structs.replace(run.method, title="Another title", notes=("Another note.",), gmacs=1.0, year=2030)
    machine = structs.replace(run.machine, versions={**run.machine.versions, "refsr-bench": "99", "python": "4"})
    newer = structs.replace(run, method=method, machine=machine, started="2099-01-01", command="another")
    assert newer.identity() == run.identity()
    torch = structs.replace(machine, versions={**machine.versions, "torch": "99"})
    assert structs.replace(run, machine=torch).identity() != run.identity()


@pytest.mark.parametrize(
    "change, where",
    [
        (lambda v: v["run"]["method"]["weights"].update(sha256="abc"), ["run", "method", "weights", "sha256"]),
        (lambda v: v["run"].update(kind="best"), ["run", "kind"]),
        (lambda v: v["images"][0].update(hr_size=[1, 2, 3]), ["images", 0, "hr_size"]),
        (lambda v: v["images"][0]["metrics"].update(psnr_y="-inf"), ["images", 0, "metrics", "psnr_y"]),
        (lambda v: v.update(extra=1), []),
    ],
)
def test_what_types_cannot_say_is_in_the_schema(change, where):
    value = json.loads(dumps(read_result(HISTORIC[0])))
    change(value)
    error = next(jsonschema.Draft202012Validator(schema.published()).iter_errors(value))
    assert list(error.absolute_path) == where


def test_every_field_is_explained():
    page = (ROOT.parent / "docs" / "reference" / "run-files.md").read_text(encoding="utf-8")
    names = {name for struct in schema.published()["$defs"].values() for name in struct["properties"]}
    missing = {name for name in names if f"`{name}`" not in page}
    assert missing <= {"method", "dataset", "protocol", "weights"}  # headings: `run.method` and so on
