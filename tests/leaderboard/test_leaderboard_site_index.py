"""``index.json`` of a site: what it lists is there and is what the run files say, and its versions are told apart."""

import hashlib
import json
import math
from pathlib import Path

import jsonschema
import pytest
from picture_runs import result_of, write_run
from runs import make, store
from site_pages import HOSTILE, Page

from leaderboard.exports import site_index
from leaderboard.exports.site_index import SCHEMA, VERSION, read
from leaderboard.pages.site import build
from refsr_bench.core.errors import BenchError
from refsr_bench.core.schema import Weights


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Two methods with pictures under two protocols, and a third without pictures."""
    for label in ("c2", "srntt"):
        write_run(tmp_path / "results", "bicubic", 0, label=label)
        write_run(tmp_path / "results", "good", 4, label=label, weights=Weights("authors", "w", "0" * 64))
    store(tmp_path / "results" / "other", make("other", [float("inf")] * 3, limit=2, title="Other"))
    return build(tmp_path / "results", tmp_path / "site", drawn=False).pages[0].parent


def test_the_published_schema_is_that_of_the_structs_and_fits_a_site(site: Path) -> None:
    published = json.loads(SCHEMA.read_text(encoding="utf-8"))
    assert published == site_index.schema() and published["$id"].endswith(f":{VERSION}")
    jsonschema.validate(json.loads((site / "index.json").read_text(encoding="utf-8")), published)


def test_it_lists_the_runs_with_their_numbers(site: Path) -> None:
    found = read(site / "index.json")
    assert len(found.runs) == 5 and len(found.protocols) == len(found.tables) == 3
    runs = {run.key: run for run in found.runs}
    good = result_of(site.parent / "results/c2/sample/good")
    (table,) = [table for table in found.tables if table.protocol_digest == good.run.protocol.digest]
    (row,) = [row for row in table.rows if row.method == "good"]
    (result,) = row.results
    assert {value.metric: value.value for value in result.values if value.value is not None} == pytest.approx(
        {**good.means, "seconds": math.fsum(image.cost["seconds"] for image in good.images) / 3}
    )
    assert runs[result.run].weights_sha256 == "0" * 64 and runs[result.run].status == "complete"
    assert next(value.rank for value in result.values if value.metric == "psnr_y") == 1
    (partial,) = [run for run in found.runs if run.method == "other"]
    assert (partial.status, partial.measured, partial.pairs) == ("partial", 2, 3)
    (infinite,) = [table.rows[0].results[0] for table in found.tables if table.rows[0].method == "other"]
    assert (infinite.values[0].value, infinite.values[0].rank) == ("inf", None)


def test_every_page_and_picture_that_it_lists_is_there(site: Path) -> None:
    found = read(site / "index.json")
    assert {page.kind for page in found.pages} == {"table", "statistics", "images", "method", "image"}
    assert {page.path for page in found.pages} == {path.relative_to(site).as_posix() for path in site.rglob("*.html")}
    roles = [picture.role for picture in found.pictures]
    assert {role: roles.count(role) for role in set(roles)} == {"hr": 6, "lr": 6, "ref": 6, "sr": 12}
    for picture in found.pictures:
        assert hashlib.sha256((site / picture.path).read_bytes()).hexdigest() == picture.sha256
        assert (picture.run in {run.key for run in found.runs}) == (picture.role == "sr")
    for place in [*(run.evidence for run in found.runs), *(table.path for table in found.tables)]:
        path, _, anchor = place.partition("#")
        page = Page((site / path).read_text(encoding="utf-8"))
        assert anchor in {values.get("id") for _, values in page.tags}
    assert all((site / table.csv).is_file() for table in found.tables)


def test_a_site_of_thumbnails_lists_those(site: Path) -> None:
    out = site.parent / "small"
    build(site.parent / "results", out, images="thumbs", drawn=False)
    pictures = read(out / "index.json").pictures
    assert {picture.path.split("/")[0] for picture in pictures} == {"thumbs"}
    assert all((out / picture.path).is_file() for picture in pictures)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema_version": VERSION + 1}, f"schema_version {VERSION + 1}; this refsr-bench reads {VERSION}. Update"),
        ({"schema_version": 0}, "Build the site again"),
        ({"schema_version": "x" * 999}, "Build the site again"),
        ({"kind": "inputs"}, "not the index of a site"),
        ({"more": 1}, "unknown field 'more'"),
        ({"title": 3}, "title: expected str"),
    ],
)
def test_other_versions_and_other_files_are_refused_in_words(site: Path, change: dict, said: str) -> None:
    value = json.loads((site / "index.json").read_text(encoding="utf-8"))
    (site / "index.json").write_text(json.dumps(value | change), encoding="utf-8")
    with pytest.raises(BenchError, match=r"index\.json: ") as caught:
        read(site / "index.json")
    assert said in str(caught.value) and len(str(caught.value)) < 500


def test_hostile_text_is_cleaned_and_still_fits(tmp_path: Path) -> None:
    write_run(tmp_path / "results", HOSTILE, 1, title=f"\u202e{HOSTILE}\x00", ids=(HOSTILE, "../../up"), folder="a")
    build(tmp_path / "results", tmp_path / "site", title="\u202e", drawn=False)
    found = read(tmp_path / "site" / "index.json")
    assert "\u202e" not in (tmp_path / "site" / "index.json").read_text(encoding="utf-8")
    assert all(".." not in page.path for page in (*found.pages, *found.pictures))
