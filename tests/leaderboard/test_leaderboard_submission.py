"""Run files from strangers: whole, in agreement with themselves, plausible; hostile ones are refused in words."""

import json
import math
import os
import time

import numpy as np
import pytest
from runs import make

from leaderboard.reading.published import published
from leaderboard.submissions import submission
from refsr_bench.core.errors import BenchError
from refsr_bench.core.reader import dumps, parse_json
from refsr_bench.metrics.psnr import psnr
from refsr_bench.metrics.ssim import ssim


def findings(value):
    return submission.file_findings(value, "sent")[1]


def sent(**changes):
    return json.loads(dumps(make("mine", **changes)))


def test_a_sound_file_has_no_errors():
    assert [f for f in findings(sent()) if f.level == "error"] == []


@pytest.mark.parametrize(
    "change, where, text",
    [
        (lambda v: v["means"].update(psnr_y=30.0), "", "the mean of psnr_y is given as 30.0, its images make 25.0"),
        (lambda v: v["run"]["protocol"]["fields"].update(border=3), "", "digest is not that of run.protocol.fields"),
        (lambda v: v["run"].update(pair_ids=["p0", "p0", "p1", "p2"]), "", "run.pair_ids names a pair twice"),
        (lambda v: v["images"].reverse(), "", "images are not those of run.pair_ids"),
        (lambda v: v["run"]["method"].update(year="2021"), "run.method.year", "is \"2021\"; expected integer"),
        (lambda v: v["run"]["method"]["weights"].update(sha256="x"), "run.method.weights.sha256", "64 hexadecimal"),
        (lambda v: v["run"]["method"]["weights"].update(kind="mine"), "run.method.weights.kind", "one of "),
        (lambda v: v.update(score=1), "the file", "'score' was unexpected"),
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
    assert any(f.where == "image 'p2'" and "ssim_y is 1.8, outside -1 to 1" in f.text for f in findings(value))
    value["images"][0]["cost"] = {"seconds": -1.0}
    assert [(f.where, f.text) for f in findings(value)] == [("images[0].cost.seconds", "is -1.0; expected at least 0")]


def test_nothing_is_made_good_and_everything_wrong_is_named():
    value = sent(weights="w")
    value["images"][0]["metrics"]["psnr_y"] = "24.0"
    del value["images"][1]["id"]
    value["run"]["method"]["weights"]["sha256"] += "\n"
    found = {finding.where: finding.text for finding in findings(value)}
    assert set(found) == {"images[0].metrics.psnr_y", "images[1]", "run.method.weights.sha256"}
    assert "'id' is a required property" in found["images[1]"] and '"24.0"' in found["images[0].metrics.psnr_y"]


def test_older_versions_are_read_and_their_errors_named():
    value = sent()
    run = value["run"]
    run |= {"schema_version": 2, "device": "cpu", "versions": {}}
    run["method"] |= {"weights": "none", "weights_sha256": None, "mark": "", "ranked": True}
    for name in ("origin", "code", "timing", "arithmetic", "machine"):
        del run[name]
    del run["method"]["verified"], run["method"]["options"], run["dataset"]["variation"]
    for image in value["images"]:
        del image["leak"]
    assert [finding for finding in findings(value) if finding.level == "error"] == []
    run["method"]["year"] = "2021"
    assert findings(value)[0].where == "run.method.year"


@pytest.mark.parametrize("name", ["../../etc/passwd", "/root", "a/../b", "..\\b", "a\nb", "a\u202eb"])
def test_names_that_are_paths_or_hide_something_are_refused(name):
    def refused(value):
        return any(f.level == "error" and "path" in f.text for f in findings(value))

    assert not refused(sent())
    value = sent()
    value["run"]["pair_ids"][0] = value["images"][0]["id"] = name
    assert refused(value)
    for part, field in (("method", "name"), ("dataset", "name"), ("protocol", "label")):
        value = sent()
        value["run"][part][field] = name
        assert refused(value), part
    value = sent()
    value["images"][1]["refs"] = [name]
    assert refused(value)


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
        (b"[" * 30 + b"]" * 30, "nested too deeply"),
        (b'{"a": "\\ud800"}', "half of a character"),
    ],
    ids=["empty", "bom", "latin", "nan", "infinity", "twice", "digits", "exponent", "deepest", "deep", "surrogate"],
)
def test_hostile_json_is_refused_in_words(tmp_path, data, text):
    path = tmp_path / "result.json"
    path.write_bytes(data)
    result, (found,) = submission.read(path)
    assert result is None and found.level == "error" and text in found.text


def test_links_and_large_files_are_not_read(tmp_path):
    (tmp_path / "real.json").write_text(dumps(make("mine")))
    assert submission.read(tmp_path / "real.json")[0] is not None
    (tmp_path / "link.json").symlink_to(tmp_path / "real.json")
    assert "a link, not a file" in submission.read(tmp_path / "link.json")[1][0].text
    os.truncate(tmp_path / "real.json", 21 << 20)
    assert "21.0 MiB" in submission.read(tmp_path / "real.json")[1][0].text


def test_too_many_images_are_not_parsed(monkeypatch):
    monkeypatch.setattr(submission, "MOST_IMAGES", 2)
    result, found = submission.file_findings(sent(), "sent")
    assert result is None and "at most 2" in found[0].text
    value = sent()
    value["images"] = value["images"][:1]
    assert findings(value)[0].where == "run.pair_ids"


def test_hostile_lists_take_no_long_time():
    """Comparing each with each would take minutes: names twice in an object, ids of different types."""
    twice = ",".join(f'"{n}":1' for n in range(30_000))
    start = time.process_time()
    with pytest.raises(BenchError, match="'29999' is there twice"):
        parse_json(f'{{{twice},"29999":1}}', "sent")
    value = sent()
    value["run"]["pair_ids"] = [n if n % 2 else str(n) for n in range(20_000)]
    assert any(f.where == "run.pair_ids[1]" and "expected string" in f.text for f in findings(value))
    assert time.process_time() - start < 10


def test_the_same_words_about_many_images_are_one_line():
    found = findings(json.loads(dumps(make("mine", psnr=[20 + n for n in range(6)]))))
    assert len(found) == 6
    (line,) = submission.grouped(found)
    assert line.where == "image 'p0', image 'p1', image 'p2' and 3 more" and "no digest" in line.text


def test_unusual_results_are_pointed_out():
    told = lambda result: " ".join(f.text for f in submission.plausibility(result, published()))  # noqa: E731
    assert "the same on all 3 images" in told(make("mine", psnr=(25, 25, 25)))
    assert "infinite on 1 images" in told(make("mine", psnr=(25, math.inf, 26)))
    assert "2 of 3 pairs: never ranked" in told(make("mine", limit=2))
    best = max(entry.psnr for entry in published() if entry.dataset == "cufed5" and entry.comparable)
    assert "above the best published" in told(make("mine", psnr=(best + 3.5, best + 4)))
    assert "above the best published" not in told(make("mine", psnr=(best + 2, best + 3)))
    assert "above the best published" not in told(make("mine", psnr=(best + 4, best + 5), official=False))
    assert "published for srcnn: 25.33" in told(make("srcnn", psnr=(22.0, 23.0)))
    assert told(make("srcnn", psnr=(25.0, 25.6))) == ""


def test_psnr_and_ssim_that_do_not_fit_are_pointed_out():
    told = lambda result: " ".join(f.text for f in submission.plausibility(result, published()))  # noqa: E731
    assert "psnr_y 45.00 dB and ssim_y 0.5000 do not fit" in told(make("mine", psnr=(45, 25), ssim=(0.5, 0.7)))
    assert "psnr_y 25.00 dB and ssim_y 1.0000 do not fit" in told(make("mine", psnr=(25, 26), ssim=(1.0, 0.7)))
    assert "do not fit" not in told(make("mine", psnr=(45, 25), ssim=(0.98, 0.3)))
    rising, falling = [20 + n / 2 for n in range(12)], [0.9 - n / 50 for n in range(12)]
    assert "rank correlation -1.00" in told(make("mine", psnr=rising, ssim=falling))
    assert "rank correlation" not in told(make("mine", psnr=rising, ssim=falling[::-1]))


@pytest.mark.parametrize("content", ["noise", "dark", "inverted", "one spot"])
@pytest.mark.parametrize("channel", ["y", "rgb"])
def test_no_pair_of_images_has_less_ssim_than_the_bound(content, channel):
    """Errors chosen to make SSIM small for their PSNR, measured by this toolkit."""
    rng = np.random.default_rng(7)
    shape = (96, 96, 3)
    sign = np.where(np.indices(shape[:2]).sum(0) % 2, 1, -1)[..., None] * np.ones(3, int)
    above = []
    for size in range(1, 7):
        hr = np.zeros(shape, int) if content == "dark" else np.full(shape, 128)
        change = {
            "noise": np.rint(rng.normal(0, size, shape)).astype(int),
            "dark": np.full(shape, size),
            "inverted": sign * size,
            "one spot": sign * 6 * size * (np.abs(np.indices(shape[:2]) - 48).max(0) < 8)[..., None],
        }[content]
        if content == "inverted":
            hr = hr - change // 2
        a, b = (image.astype(np.uint8) for image in (hr, hr + change))
        if (decibels := psnr(a, b, channel, 4)) >= 32:
            above.append(ssim(a, b, channel, 4) - submission.least_ssim(decibels))
    assert above and -submission.SLACK <= min(above) < 0.6
