"""Run files from strangers: whole, in agreement with themselves, plausible; hostile ones are refused in words."""

import json
import math

import pytest
from runs import make

from leaderboard import submission
from leaderboard.published import published
from refsr_bench.results import ResultError, dumps
from refsr_bench.schema import published as schema


def findings(value):
    return submission.file_findings(value, "sent", schema())[1]


def sent(**changes):
    return json.loads(dumps(make("mine", **changes)))


def test_a_sound_file_has_no_errors():
    assert [f for f in findings(sent()) if f.level == "error"] == []


@pytest.mark.parametrize(
    "change, where, text",
    [
        (lambda v: v["means"].update(psnr_y=30.0), "", "the mean of psnr_y is given as 30.0, its images make 25.0"),
        (lambda v: v["run"]["protocol"]["fields"].update(border=3), "", "digest is not that of run.protocol.fields"),
        (lambda v: v["run"].update(pair_ids=["p0", "p0", "p1", "p2"]), "run.pair_ids", "non-unique"),
        (lambda v: v["images"].reverse(), "", "images are not those of run.pair_ids"),
        (lambda v: v["run"]["method"].update(year="2021"), "run.method.year", "is \"2021\"; integer is due"),
        (lambda v: v["run"]["method"].update(weights_sha256="x"), "run.method.weights_sha256", "64 hexadecimal digits"),
        (lambda v: v.update(score=1), "", "unknown field 'score'"),
        (lambda v: v["run"].update(schema_version=99), "", "schema_version 99"),
    ],
)  # fmt: skip
def test_errors_name_the_field(change, where, text):
    value = sent()
    change(value)
    found = findings(value)
    assert found[0].level == "error" and found[0].where == where and text in found[0].text


def test_values_out_of_range_are_errors():
    value = sent(ssim=(0.7, 0.75, 1.8))
    value["images"][0]["cost"] = {"seconds": -1.0}
    found = findings(value)
    assert ("error", "image 'p0'", "cost seconds is -1.0, below zero") in [(f.level, f.where, f.text) for f in found]
    assert any(f.where == "image 'p2'" and "ssim_y is 1.8, outside -1 to 1" in f.text for f in found)


@pytest.mark.parametrize("name", ["../../etc/passwd", "/root", "a/../b", "..\\b"])
def test_ids_that_are_paths_are_refused(name):
    value = sent()
    value["run"]["pair_ids"][0] = value["images"][0]["id"] = name
    assert any(f.level == "error" and "path" in f.text for f in findings(value))


@pytest.mark.parametrize(
    "data, text",
    [
        (b"", "not JSON"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        (b"\xff{}", "not UTF-8"),
        (b'{"a": NaN}', "NaN is no JSON number"),
        (b'{"a": Infinity}', "Infinity is no JSON number"),
        (b'{"a": 1, "a": 2}', "'a' is there twice"),
        (b'{"a": ' + b"9" * 5000 + b"}", "a number of 5000 digits"),
        (b'{"a": 1e999}', "too large"),
        (b"[" * 100_000 + b"]" * 100_000, "nested too deeply"),
    ],
    ids=["empty", "bom", "latin", "nan", "infinity", "twice", "digits", "exponent", "deep"],
)
def test_hostile_json_is_refused_in_words(tmp_path, data, text):
    path = tmp_path / "result.json"
    path.write_bytes(data)
    with pytest.raises(ResultError, match=text):
        submission.read_submission(path)


def test_links_and_large_files_are_not_read(tmp_path, monkeypatch):
    (tmp_path / "real.json").write_text("{}")
    (tmp_path / "link.json").symlink_to(tmp_path / "real.json")
    with pytest.raises(ResultError, match="a link, not a file"):
        submission.read_submission(tmp_path / "link.json")
    monkeypatch.setattr(submission, "MOST_BYTES", 1)
    with pytest.raises(ResultError, match="MiB"):
        submission.read_submission(tmp_path / "real.json")


def test_too_many_images_are_not_parsed(monkeypatch):
    monkeypatch.setattr(submission, "MOST_IMAGES", 2)
    result, found = submission.file_findings(sent(), "sent", schema())
    assert result is None and "at most 2" in found[0].text


def test_unusual_results_are_pointed_out():
    told = lambda result: " ".join(f.text for f in submission.plausibility(result, published()))  # noqa: E731
    assert "the same on all 3 images" in told(make("mine", psnr=(25, 25, 25)))
    assert "infinite on 1 images" in told(make("mine", psnr=(25, math.inf, 26)))
    best = max(entry.psnr for entry in published() if entry.dataset == "cufed5" and entry.comparable)
    assert "above the best published" in told(make("mine", psnr=(best + 3.5, best + 4)))
    assert "above the best published" not in told(make("mine", psnr=(best + 2, best + 3)))
    assert "above the best published" not in told(make("mine", psnr=(best + 4, best + 5), official=False))
    assert "published for srcnn: 25.33" in told(make("srcnn", psnr=(22.0, 23.0)))
    assert told(make("srcnn", psnr=(25.0, 25.6))) == ""
