"""Pictures that runs leave for the leaderboard: HR, LR and references once, SR per method, correspondences."""

import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from msgspec import structs

from refsr_bench.cli import main
from refsr_bench.core import catalogue
from refsr_bench.core.types import Correspondence, Prediction, Sample, View
from refsr_bench.data.opening import open_dataset
from refsr_bench.evaluation.loop import evaluate
from refsr_bench.evaluation.metrics import load_metrics
from refsr_bench.evaluation.pictures import missing_pictures, picture_folders
from refsr_bench.evaluation.plan import Plan, Predictor
from refsr_bench.evaluation.predictors import method_predictor
from refsr_bench.pixels import saved
from refsr_bench.pixels.images import read_image


def method(name: str = "bicubic") -> Predictor:
    card = catalogue.get("METHODS", name)
    return method_predictor(card, card.load(None, "cpu"), "cpu")


def run(root, out, predictor: Predictor | None = None, settings: dict | None = None, reuse: str = "missing", **options):
    protocol = catalogue.get("PROTOCOLS", "c2").changed(settings or {})
    data = options.pop("data", None) or open_dataset("wrsr", root)
    metrics = load_metrics(("psnr_y", "ssim_y"), "cpu")
    plan = Plan(predictor or method(), data, protocol, metrics, **{"pictures": "images", **options})
    return evaluate(plan, out, reuse=reuse)


def tree(folder: Path) -> dict[str, tuple[bytes, int]]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def test_what_was_scored_and_given_is_kept_once_for_all_methods(wrsr, tmp_path: Path) -> None:
    root = wrsr(3)
    result, folder = run(root, tmp_path / "out")
    inputs = folder.parent / "inputs"
    first = tree(inputs)
    run(root, tmp_path / "out", dataclasses.replace(method(), info=structs.replace(method().info, name="other")))
    assert tree(inputs) == first and len(first) == 3 * 4
    protocol, data = catalogue.get("PROTOCOLS", "c2"), open_dataset("wrsr", root)
    for pair, record in zip(data.pairs, result.images, strict=True):
        (place,) = inputs.glob(f"{pair.id}-*")
        facts = json.loads((place / "inputs.json").read_text())
        sample = protocol.prepare(pair, "wrsr")
        for file, image in (("hr.png", sample.hr), ("lr.png", sample.lr), ("ref-1.png", sample.refs[0])):
            assert np.array_equal(read_image(place / file), image)
            (stated,) = [item for item in facts["files"] if item["file"] == file]
            assert stated["sha256"] == hashlib.sha256(image.tobytes()).hexdigest()
            assert stated["size"] == [image.shape[1], image.shape[0]]
        assert (facts["id"], facts["refs"]) == (pair.id, list(record.refs))
        assert facts["manifest_sha256"] == data.manifest_sha256 and facts["protocol_digest"] == protocol.digest
        sr = read_image(folder / "images" / f"{pair.id}.png")
        assert hashlib.sha256(sr.tobytes()).hexdigest() == record.sr_sha256


def test_other_pixels_get_another_folder_and_overwrite_nothing(wrsr, tmp_path: Path) -> None:
    root = wrsr(1)
    _, folder = run(root, tmp_path / "out")
    before = tree(folder.parent / "inputs")
    data = open_dataset("wrsr", root)
    (pair,) = data.pairs
    dark = dataclasses.replace(pair.hr, load=lambda: pair.hr.load() // 2)
    changed = dataclasses.replace(data, pairs=(dataclasses.replace(pair, hr=dark),), manifest_sha256="0" * 64)
    named = dataclasses.replace(method(), info=structs.replace(method().info, name="other"))
    run(root, tmp_path / "out", named, data=changed)
    after = tree(folder.parent / "inputs")
    assert {name: after[name] for name in before} == before and len(after) == 2 * len(before)


def test_a_half_written_folder_is_completed(wrsr, tmp_path: Path) -> None:
    root = wrsr(1)
    _, folder = run(root, tmp_path / "out")
    (place,) = (folder.parent / "inputs").iterdir()
    whole = {name: data for name, (data, _) in tree(place).items()}
    (place / "inputs.json").unlink()
    (place / "lr.png").unlink()
    run(root, tmp_path / "out")
    assert {name: data for name, (data, _) in tree(place).items()} == whole


def test_pictures_of_a_run_that_was_measured_without_them(wrsr, tmp_path: Path) -> None:
    root = wrsr(2)
    result, folder = run(root, tmp_path / "out", pictures="none")
    assert not (folder.parent / "inputs").exists() and missing_pictures(folder, result) == ["001", "002"]
    result, folder = run(root, tmp_path / "out")
    assert len(list((folder.parent / "inputs").iterdir())) == 2 and missing_pictures(folder, result) == ["001", "002"]
    result, folder = run(root, tmp_path / "out", reuse="never")
    assert missing_pictures(folder, result) == []


@pytest.mark.parametrize("hostile", ["../../up", "a/b", "C:\\x", "\u202eid", "a" * 300, "two words"])
def test_ids_that_are_no_file_names(wrsr, tmp_path: Path, hostile: str) -> None:
    root = wrsr(1)
    data = open_dataset("wrsr", root)
    pairs = (dataclasses.replace(data.pairs[0], id=hostile),)
    result, folder = run(root, tmp_path / "out", data=dataclasses.replace(data, pairs=pairs))
    (sr,) = (folder / "images").iterdir()
    (inputs,) = (folder.parent / "inputs").iterdir()
    assert sr.suffix == ".png" and len(sr.name) < 130 and missing_pictures(folder, result) == []
    assert json.loads((inputs / "inputs.json").read_text())["id"] == hostile
    assert sorted(path.name for path in tmp_path.iterdir()) == ["WR-SR", "out"]


def test_different_ids_have_different_names() -> None:
    ids = ["a/b", "a-b", "a b", "a\\b", "", "unnamed", "-a", "a", "a.", "a" * 200, "a" * 201]
    assert len({saved.stem(pair_id) for pair_id in ids}) == len(ids)
    assert saved.stem("a-b") == "a-b" and saved.stem("007_2+x") == "007_2+x"


def sample_of(height: int = 32, width: int = 48, top: int = 0, left: int = 0) -> Sample:
    generator = np.random.default_rng(0)
    hr, ref = (generator.integers(0, 256, (height, width, 3), np.uint8) for _ in range(2))
    lr = np.zeros((height // 4, width // 4, 3), np.uint8)
    return Sample("one", hr, lr, (ref,), 4, (top, left, height, width), ("ref.png",))


def test_correspondences_as_pictures(tmp_path: Path) -> None:
    sample = sample_of()
    y, x = np.mgrid[:8, :12]
    points = (4 * np.stack((x, y), -1) + 1.5).reshape(-1, 2).astype(np.float32)
    targets = points + np.where(points[:, :1] < 24, (8.0, 0.0), (-8.0, 0.0)).astype(np.float32)
    confidence = np.linspace(0, 1, len(points), dtype=np.float32)
    place = saved.save_matches(tmp_path, sample, Correspondence(points, targets, confidence), sample.hr)
    facts = json.loads((place / "matches.json").read_text())
    assert (facts["points"], facts["cells"], facts["longest"]) == (96, 96, 16.0)
    assert facts["reference"] == "ref.png" and facts["mean_confidence"] == 0.5
    assert facts["sr_sha256"] == saved.pixels_digest(sample.hr)
    patches = read_image(place / "patches.png")
    assert np.array_equal(patches[:, :24], sample.refs[0][:, 8:32])
    assert np.array_equal(patches[:, 24:], sample.refs[0][:, 16:40])
    flow = read_image(place / "flow.png").astype(int)
    assert flow.shape == (8, 12, 3)
    assert (abs(flow[:, :6] - (255, 127, 127)) < 3).all()  # to the right: red, half the length of full colour
    assert (abs(flow[:, 6:] - (127, 255, 255)) < 3).all()  # to the left: its complement
    grey = read_image(place / "confidence.png")
    assert grey[0, 0, 0] == 0 and grey[-1, -1, 0] == 255


def test_points_outside_the_scored_area_and_without_a_number_are_left_out(tmp_path: Path) -> None:
    sample = sample_of(top=4, left=8)
    points = np.array([[1.5, 1.5], [9.5, 5.5], [13.5, 5.5]], np.float32)
    targets = np.array([[1.5, 1.5], [9.5, 5.5], [np.nan, 0]], np.float32)
    place = saved.save_matches(tmp_path, sample, Correspondence(points, targets), sample.hr)
    facts = json.loads((place / "matches.json").read_text())
    assert facts["points"] == 1 and "mean_confidence" not in facts
    assert sorted(path.name for path in place.iterdir()) == ["flow.png", "matches.json", "patches.png"]
    patches = read_image(place / "patches.png")
    assert np.array_equal(patches[:4, :4], sample.refs[0][4:8, 8:12]) and (patches[8:] == 224).all()
    assert saved.save_matches(tmp_path, sample, Correspondence(points[:1], targets[:1]), sample.hr) is None


def test_views_are_kept_as_they_are_scored_beside_the_images_of_their_method(wrsr, tmp_path: Path) -> None:
    """LR and reference are padded by the protocol; a view's picture has the size of HR, hatched where it is nothing."""

    def predict(pair, sample: Sample) -> Prediction:
        height, width = (side * sample.scale for side in sample.lr.shape[:2])
        image = np.full((height, width, 3), 77, np.uint8)
        valid = np.indices((height, width))[1] >= 10
        views = (View(image, np.zeros((height, width, 2), np.float32), valid, "sift"),) * (pair.id == "001")
        return Prediction(image, views=views)

    predictor = dataclasses.replace(method(), predict=predict)
    result, folder = run(wrsr(2), tmp_path / "out", predictor)
    assert [path.name for path in (folder / "views").iterdir()] == ["001"]
    place = folder / "views" / "001"
    facts = json.loads((place / "views.json").read_text())
    assert (facts["id"], facts["sr_sha256"]) == ("001", result.images[0].sr_sha256)
    assert facts["files"][0]["name"] == result.images[0].refs[0]
    picture = read_image(place / "view-1.png")
    assert (picture.shape[1], picture.shape[0]) == result.images[0].hr_size
    assert (picture[:, 10:] == 77).all() and set(np.unique(picture[:, :10])) == {196, 224}
    assert place / "view-1.png" in [path for at in picture_folders([folder]) for path in at.rglob("*.png")]
    before = tree(folder / "views")
    run(tmp_path / "WR-SR", tmp_path / "out", predictor)
    assert tree(folder / "views") == before


def command(*arguments: object) -> Result:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result


def test_the_command_keeps_and_reports_pictures(wrsr, tmp_path: Path) -> None:
    root, out = wrsr(2, side=64), tmp_path / "out"
    common = ("--dataset", "wrsr", "--data-root", root, "--out", out)
    command("run", "--method", "bicubic", *common, "--no-save-images")
    done = command("run", "--method", "bicubic", "--method", "c2matching", *common, "--save-matches")
    pictures = [path for path in (out / "c2").rglob("*.png")]
    assert len(pictures) == 2 * 3 + 2 + 2 * 3  # inputs, SR of C2-Matching, its correspondences
    size = sum(path.stat().st_size for path in pictures) / 2**20
    assert f"Pictures: {len(pictures)} files, {size:.1f} MiB" in done.output
    assert "bicubic, wrsr: 2 images were measured before" in done.output


def test_a_score_keeps_pictures_too(wrsr, tmp_path: Path) -> None:
    root = wrsr(2)
    _, folder = run(root, tmp_path / "made")
    common = ("--dataset", "wrsr", "--data-root", root, "--out", tmp_path / "out")
    command("score", "--pred", folder / "images", "--name", "Mine", "--save-images", *common)
    for name in ("001.png", "002.png"):
        mine = read_image(tmp_path / "out" / "c2" / "wrsr" / "Mine" / "images" / name)
        assert np.array_equal(mine, read_image(folder / "images" / name))
    assert len(list((tmp_path / "out" / "c2" / "wrsr" / "inputs").iterdir())) == 2
