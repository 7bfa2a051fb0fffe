"""The split as a data set: in memory, on disk, at Hugging Face; its truth."""

import dataclasses
import json

import numpy as np
import pytest
from click.testing import CliRunner
from layout_makers import put, wrsr
from PIL import Image

from refsr_bench.cli.build import build as build_command
from refsr_bench.core import catalogue, reader
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.schema import Variation
from refsr_bench.data import sample_pictures
from refsr_bench.data.opening import open_dataset
from refsr_bench.data.split import manifest
from refsr_bench.data.split.making import transformed, unrelated
from refsr_bench.data.split.reading import at_level
from refsr_bench.data.split.writing import build
from refsr_bench.data.verification import verify
from refsr_bench.evaluation import checks
from refsr_bench.geometry.transformation import visible
from refsr_bench.geometry.truth import truth_of

RECORDED = "f3619a823bc47cb69da41b6a6b4ee71bb3fc8eacc3bee832406d39d6c4034433"


@pytest.fixture(scope="module")
def sample():
    return open_dataset("sample")


@pytest.fixture
def small(tmp_path):
    wrsr(tmp_path / "source", 4)
    put(tmp_path / "source" / "input" / "003.png", 3, 31, 45)  # sizes may differ
    return open_dataset("wrsr", tmp_path / "source")


def test_every_pair_has_its_reference_and_its_truth(sample):
    made = transformed(sample, "rotation", "medium")
    assert made.name == "sample.rotation.medium" and not made.official
    assert made.leak == "by construction" and made.variation == Variation("sample", "rotation", "medium", sample.title)
    assert any("leak by construction" in note for note in made.notes)
    for pair, original in zip(made.pairs, sample.pairs, strict=True):
        assert (pair.id, pair.hr) == (original.id, original.hr)
        ref = pair.refs[0].load()
        truth = truth_of(made, pair.id)
        points = np.array([[100.0, 90.0], [160.0, 120.0]])
        assert truth.valid(points).all()
        assert not truth.valid(np.array([[-1.0, 5.0], [5.0, 1e4]])).any()
        # Around true places both images show the same.
        (x, y), (u, v) = points[1], truth.targets(points)[1]
        hr = pair.hr.load().astype(float)
        a = hr[int(y) - 8 : int(y) + 9, int(x) - 8 : int(x) + 9].mean()
        b = ref[round(v) - 8 : round(v) + 9, round(u) - 8 : round(u) + 9].mean()
        assert abs(a - b) < 8


def test_the_digest_is_the_same_everywhere(sample):
    assert transformed(sample, "rotation", "large").manifest_sha256 == RECORDED


def test_pairs_do_not_depend_on_each_other_or_their_order(sample):
    whole = transformed(sample, "perspective", "large")
    turned_round = dataclasses.replace(sample, pairs=sample.pairs[::-1])
    few = transformed(turned_round, "perspective", "large", only=["cat", "brick"])
    by_id = {pair.id: pair.truth() for pair in whole.pairs}
    assert [pair.id for pair in few.pairs] == ["brick", "cat"]
    assert all(pair.truth() == by_id[pair.id] for pair in few.pairs)
    assert few.manifest_sha256 != whole.manifest_sha256
    assert transformed(sample, "perspective", "medium").manifest_sha256 != whole.manifest_sha256
    with pytest.raises(Misuse, match="nobody"):
        transformed(sample, "rotation", "small", only=["nobody"])


def test_unrelated_references_are_somebody_elses(sample):
    made = unrelated(sample)
    given = {pair.id: pair.facts["unrelated"] for pair in made.pairs}
    assert set(given) == set(given.values()) and all(a != b for a, b in given.items())
    other = {pair.id: pair for pair in sample.pairs}[given["cat"]]
    pair = next(pair for pair in made.pairs if pair.id == "cat")
    np.testing.assert_array_equal(pair.refs[0].load(), other.hr.load())
    truth = truth_of(made, "cat")
    assert not truth.valid(np.zeros((3, 2))).any() and truth.targets(np.zeros((3, 2))).shape == (3, 2)
    few = transformed(dataclasses.replace(sample, pairs=sample.pairs[::-1]), "scale", "unrelated", only=["cat"])
    assert few.pairs[0].facts["unrelated"] == given["cat"]
    with pytest.raises(BenchError, match="second image"):
        unrelated(dataclasses.replace(sample, pairs=sample.pairs[:1]))


def test_the_truth_of_the_stereo_pair_is_its_disparity(sample):
    pair = sample.pairs[0]
    truth, disparity = truth_of(sample, "motorcycle"), sample_pictures.disparity("motorcycle")
    height, width = disparity.shape
    y, x = np.mgrid[:height, :width]
    points = np.stack((x, y), -1).reshape(-1, 2)
    valid, there = truth.valid(points), truth.targets(points)
    assert 0.4 < valid.mean() < 0.98
    d = disparity.reshape(-1)[valid]
    np.testing.assert_allclose(there[valid], points[valid] - np.stack((d, 0 * d), -1))
    ref, hr = pair.refs[0].load().astype(float), pair.hr.load().astype(float)
    u, v = np.rint(there[valid]).astype(int).T
    right = np.abs(ref[v.clip(0, 239), u.clip(0, 319)] - hr[points[valid][:, 1], points[valid][:, 0]]).mean()
    wrong = np.abs(ref[v.clip(0, 239), (u + 15).clip(0, 319)] - hr[points[valid][:, 1], points[valid][:, 0]]).mean()
    assert right < 0.5 * wrong
    # Hidden points are hidden: leaving them in makes it worse.
    known = np.isfinite(disparity.reshape(-1)) & (points[:, 0] - disparity.reshape(-1) >= 0)
    hidden = known & ~valid & (points[:, 0] - np.nan_to_num(disparity.reshape(-1)) < 319)
    assert 0 < hidden.sum() < 0.2 * known.sum()
    u = np.rint(truth.targets(points)[hidden, 0]).astype(int).clip(0, 319)
    assert np.abs(ref[points[hidden][:, 1], u] - hr[points[hidden][:, 1], points[hidden][:, 0]]).mean() > 1.5 * right
    with pytest.raises(BenchError, match="No true correspondences"):
        truth_of(sample, "cat")
    with pytest.raises(BenchError, match="no pair"):
        truth_of(sample, "dog")


def test_written_to_disk_it_is_the_same_split(small, tmp_path):
    seen = []
    levels = ["identity", "large", 0.7, "unrelated"]
    folder = build(small, "scale", levels, tmp_path / "out", progress=lambda *n: seen.append(n))
    assert seen[-1] == (20, 20)
    opened = open_dataset("transform", folder)
    assert [pair.id for pair in opened.pairs][:2] == ["001_identity", "002_identity"] and len(opened.pairs) == 16
    for level in ("large", "0.7"):
        memory, disk = transformed(small, "scale", level), at_level(opened, level)
        for a, b in zip(memory.pairs, disk.pairs, strict=True):
            assert a.id == b.id and a.truth() == b.truth()
            np.testing.assert_array_equal(a.hr.load(), b.hr.load())
            np.testing.assert_array_equal(a.refs[0].load(), b.refs[0].load())
            points = np.array([[3.0, 4.0], [20.0, 10.0], [400.0, 4.0]])
            np.testing.assert_array_equal(truth_of(memory, a.id).targets(points), truth_of(disk, b.id).targets(points))
            np.testing.assert_array_equal(truth_of(memory, a.id).valid(points), truth_of(disk, b.id).valid(points))
    assert opened.leak == "by construction" and opened.variation is None
    assert opened.pairs[0].variation == Variation("001", "scale", "identity")
    assert at_level(opened, "0.7").variation == Variation("transform", "given", "0.7", opened.title)
    stranger = unrelated(at_level(opened, "0.7"))
    assert stranger.name == "transform.0.7.unrelated"
    assert stranger.variation == Variation("transform", "unrelated", "unrelated", opened.title)
    assert not truth_of(opened, "001_unrelated").valid(np.zeros((1, 2))).any()
    with pytest.raises(Misuse, match="it has identity, large"):
        at_level(opened, "small")
    report = verify("transform", folder)
    assert report.ok and report.manifest and report.n_pairs == 16
    for entry in manifest.read(folder).pairs:
        if entry.transformation:
            share = visible(entry.transformation, entry.hr_size).mean()
            assert entry.visible == pytest.approx(share, abs=1e-6)


@pytest.mark.parametrize(
    ("kind", "level", "folder"), [("rotation+scale", "-45x1.50", "-45x1.5"), ("shift", 0.5, "0.5"), ("shear", -1, "-1")]
)
def test_levels_of_every_spelling_are_folders_and_names(small, tmp_path, kind, level, folder):
    opened = open_dataset("transform", build(small, kind, [level, "large"], tmp_path / "out"))
    assert {path.name for path in (tmp_path / "out" / "ref").iterdir()} == {folder, "large"}
    memory, disk = transformed(small, kind, level), at_level(opened, folder)
    assert memory.variation.level == folder and memory.name == f"wrsr.{kind}.{folder}"
    assert [pair.truth() for pair in memory.pairs] == [pair.truth() for pair in disk.pairs]
    np.testing.assert_array_equal(memory.pairs[2].refs[0].load(), disk.pairs[2].refs[0].load())


def test_the_wide_grid_is_written_whole(small, tmp_path):
    opened = open_dataset("transform", build(small, "shift", ["wide"], tmp_path / "out", only=["001"]))
    assert [pair.variation.level for pair in opened.pairs] == ["0", "0.25", "0.5", "1", "1.5", "2"]
    with pytest.raises(Misuse, match="each once"):
        build(small, "shift", ["wide", "1"], tmp_path / "other")


def test_hugging_face_opens_the_folder_as_it_is(small, tmp_path, monkeypatch):
    folder = build(small, "rotation", ["small", "90", "unrelated"], tmp_path / "out")
    import datasets

    table = datasets.load_dataset(str(folder), split="test", cache_dir=str(tmp_path / "cache"))
    assert table["id"][:] == [pair.id for pair in open_dataset("transform", folder).pairs]
    row, pair = table[5], open_dataset("transform", folder).pairs[5]
    np.testing.assert_array_equal(np.asarray(row["hr"]), pair.hr.load())
    np.testing.assert_array_equal(np.asarray(row["ref"]), pair.refs[0].load())
    assert row["matrix"] == reader.to_json(pair.truth().transformation.matrix) and row["level"] == "90"
    assert table[11]["matrix"] is None
    front = (folder / "README.md").read_text().split("---")[1]
    assert "super-resolution" in front and "leak by construction" in (folder / "README.md").read_text()


def test_interrupted_work_goes_on_and_nothing_else_is_touched(small, tmp_path):
    out = tmp_path / "out"

    def stop(done, total):
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(small, "rotation", ["small", "large"], out, progress=stop)
    with pytest.raises(BenchError, match="not finished"):
        open_dataset("transform", out)
    kept = {path: path.stat().st_mtime_ns for path in out.rglob("*.png")}
    assert len(kept) == 5
    build(small, "rotation", ["small", "large"], out)
    assert all(path.stat().st_mtime_ns == time for path, time in kept.items())
    whole = build(small, "rotation", ["small", "large"], tmp_path / "whole")
    files = {path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert files == {path.relative_to(whole): path.read_bytes() for path in whole.rglob("*") if path.is_file()}
    for kind, levels in (("scale", ["small"]), ("rotation", ["small"])):
        with pytest.raises(Misuse, match="another split"):
            build(small, kind, levels, out)
    strange = tmp_path / "strange"
    strange.mkdir()
    (strange / "thesis.tex").write_text("x")
    with pytest.raises(Misuse, match="something else"):
        build(small, "rotation", ["small"], strange)
    assert [path.name for path in strange.iterdir()] == ["thesis.tex"]
    Image.new("RGB", (5, 5)).save(out / "ref" / "small" / "001.png")
    with pytest.raises(BenchError, match="changed since"):
        build(small, "rotation", ["small", "large"], out)
    assert verify("transform", out).changed == ("ref/small/001.png",)


def test_damaged_splits_are_named(small, tmp_path):
    folder = build(small, "rotation", ["small"], tmp_path / "out")
    path = folder / "manifest.json"
    good = json.loads(path.read_text())

    def opened(**entry):
        pairs = [good["pairs"][0] | entry, *good["pairs"][1:]]
        path.write_text(json.dumps(good | {"pairs": pairs}))
        return open_dataset("transform", folder)

    made = good["pairs"][0]["transformation"]
    for entry, said in (
        ({"hr": "../../x.png"}, "no path inside"),
        ({"ref": "ref/../../../x.png"}, "no path inside"),
        ({"hr": None}, r"pairs.*hr: expected str"),
        ({"transformation": 3}, r"pairs.*transformation: expected object"),
        ({"transformation": made | {"matrix": [[1, 0], [0, 1], [0, 0]]}}, r"pairs.*transformation\.matrix"),
        ({"transformation": made | {"matrix": [[1, 0, 0], [0, 0, 0], [0, 0, 1]]}}, "singular"),
        ({"transformation": made | {"matrix": [[1, 0, 0], [0, 1, 0], [-0.1, 0, 1]]}}, "folds"),
        ({"hr_size": [2]}, r"pairs.*hr_size"),
    ):
        with pytest.raises(BenchError, match=said):
            opened(**entry)
    path.write_text(json.dumps(good | {"format": "another"}))
    with pytest.raises(BenchError, match="but 'another'"):
        open_dataset("transform", folder)
    path.write_text("{")
    with pytest.raises(BenchError, match=r"manifest\.json: not JSON"):
        open_dataset("transform", folder)
    path.write_text(json.dumps(good))
    (folder / "input" / "002.png").unlink()
    with pytest.raises(BenchError, match=r"input/002\.png"):
        open_dataset("transform", folder)


def test_from_the_command_line(tmp_path):
    wrsr(tmp_path / "WR-SR")
    arguments = ["transform", "--from", "wrsr", "--data-root", str(tmp_path), "--transform", "homography"]
    arguments += ["--levels", "small,0.1", "--limit", "2", "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(build_command, arguments)
    assert result.exit_code == 0, result.output
    assert "leak by construction" in result.output and "verify transform" in result.output
    assert len(open_dataset("transform", tmp_path / "out").pairs) == 4
    for levels, said in (("0.9", "out of range"), (",", "names none"), ("small,small", "each once")):
        arguments[arguments.index("--levels") + 1] = levels
        result = CliRunner().invoke(build_command, arguments)
        assert isinstance(result.exception, Misuse) and said in str(result.exception)


def test_a_split_is_refused_as_a_benchmark(tmp_path) -> None:
    split = transformed(open_dataset("sample"), "rotation", "small")
    protocol = catalogue.get("PROTOCOLS", "c2")
    with pytest.raises(Misuse, match="refsr-bench robustness"):
        checks.refuse_leaks(split, protocol, split.pairs, False)
    assert checks.refuse_leaks(split, protocol, split.pairs, True) == {}
