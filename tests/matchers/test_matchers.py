"""Matchers: what each finds on images whose true correspondence is known, and what it refuses."""

from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from c2matching import matchers, method
from c2matching.checkpoints import BUNDLED
from c2matching.training.prepare import read_extractors
from refsr_bench.core.cards import LoadedMatcher
from refsr_bench.core.errors import BenchError, NoWeights
from refsr_bench.core.types import Correspondence, Image, Match
from refsr_bench.formats.checkpoints import synthetic
from refsr_bench.geometry.correspondences import cell_centres, measure
from refsr_bench.geometry.drawing import draw
from refsr_bench.geometry.truth import TransformationTruth
from refsr_bench.geometry.warping import apply
from refsr_bench.learning.weights import Trained, write
from refsr_bench.matchers import dis, sift
from refsr_bench.matchers._inputs import enlarged
from refsr_bench.pixels.resize import resize_pil_bicubic

CARDS = {card.name: card for card in (*matchers.MATCHERS, *sift.MATCHERS, *dis.MATCHERS)}
HEIGHT, WIDTH = 96, 128


@pytest.fixture(autouse=True)
def no_imported_weights(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("REFSR_WEIGHTS", str(tmp_path / "weights"))


@pytest.fixture
def pair(photo):
    """``pair(kind, level)``: HR, LR, reference and truth of one real photograph."""

    def make(kind: str = "rotation", level: str = "identity", height: int = HEIGHT, width: int = WIDTH):
        hr = photo(height, width, 3)
        made = draw(kind, level, "name", (height, width))
        lr = resize_pil_bicubic(hr, height // 4, width // 4)
        return hr, lr, apply(hr, made), TransformationTruth(made, (height, width))

    return make


def errors(match: Match, images, scale: int = 4) -> dict[str, float]:
    hr, lr, ref, truth = images
    return measure(match(hr if scale == 1 else lr, ref, scale), truth, hr.shape[:2])


def loaded(name: str, weights: Path | None = None) -> LoadedMatcher:
    return CARDS[name].load(weights, "cpu")


def write_teacher(path: Path) -> None:
    """The bundled extractors, as a training of the teacher leaves them."""
    state = {f"extractor.{key}": value for key, value in read_extractors(BUNDLED).state_dict().items()}
    write(path, Trained(state, part="extractor"), method.SYSTEM, "c2matching", {"name": "mine"})


@pytest.mark.parametrize("name, median", [("student", 0.1), ("vgg", 0.1), ("pixels", 0.1), ("sift", 0.6), ("dis", 1.0)])
def test_an_identical_reference_is_found_by_all(name, median, pair):
    values = errors(loaded(name).match, pair())
    assert values["aee_median"] < median and values["pck5"] > 85 and values["coverage"] > 85, values


@pytest.mark.parametrize("name", ["sift", "student", "dis"])
def test_a_slightly_turned_reference_is_found(name, pair):
    values = errors(loaded(name).match, pair("rotation", "4"))
    assert values["aee_median"] < 3 and values["pck5"] > 65, values


def test_sift_follows_any_turn_and_scale_and_flow_does_not(pair):
    for kind, level in (("rotation", "100"), ("scale", "1.6"), ("scale", "0.5")):
        assert errors(loaded("sift").match, pair(kind, level, 240, 320))["aee"] < 5
    assert errors(loaded("dis").match, pair("rotation", "100"))["aee"] > 10


@pytest.mark.parametrize("name", CARDS)
def test_matches_are_pixels_of_both_images(name, pair, tmp_path):
    weights = None
    if name == "teacher":
        weights = tmp_path / "teacher.safetensors"
        write_teacher(weights)
    matcher = loaded(name, weights)
    hr, lr, ref, _ = pair("scale", "0.7")
    images = (hr, ref, 1) if matcher.oracle else (lr, ref, 4)
    found = matcher.match(*images)
    assert found.points.shape == found.targets.shape and found.points.shape[1] == 2
    assert found.points.min() >= 0 and (found.points.max(0) <= (WIDTH - 1, HEIGHT - 1)).all()
    assert np.isfinite(found.targets).all()
    again = matcher.match(*images)
    assert np.array_equal(found.targets, again.targets) and np.array_equal(found.points, again.points)


# -- patches --------------------------------------------------------------------------------------------------------


def test_patches_that_see_the_same_find_themselves(pair):
    """An exact matcher on an identical reference: no error at all."""

    def same(image, ref):
        return F.pixel_unshuffle(image, 4), F.pixel_unshuffle(ref, 4)

    match = partial(matchers.by_patches, same, "cpu", False)
    values = errors(match, pair(), scale=1)
    assert values["aee"] == 0 and values["pck1"] == 100
    assert values["coverage"] == pytest.approx(100 * 22 * 30 / (24 * 32))  # no patch is centred on the outermost cells


def test_a_patch_is_named_by_its_middle():
    """The patch of cells 1..3 by 0..2 of the input, matched two cells further right and one lower."""
    flow = torch.zeros(2, 2, 2)
    flow[0, 1] = torch.tensor([2.0, 1.0])
    found = method.matches_of(flow)
    assert found.points[1].tolist() == [9.5, 5.5] and found.targets[1].tolist() == [17.5, 9.5]
    middle = cell_centres(12, 16).reshape(3, 4, 2)[0:3, 1:4].mean((0, 1))
    assert found.points[1].tolist() == middle.tolist()


def test_a_shifted_reference_gives_the_shift(photo):
    """The reference is cut eight pixels further left and four higher."""
    whole = photo(HEIGHT + 4, WIDTH + 8, 3)
    lr = resize_pil_bicubic(whole[4:, 8:], HEIGHT // 4, WIDTH // 4)
    for name in ("student", "pixels", "vgg"):
        found = loaded(name).match(lr, whole, 4)
        assert np.median(found.targets - found.points, axis=0).tolist() == [8, 4], name


def test_the_student_is_the_methods_own_matching(pair):
    _, lr, ref, _ = pair("rotation", "4")
    of_method = method.METHODS[0].load(None, "cpu")
    of_matcher = loaded("student")
    assert np.array_equal(of_method.match(lr, ref, 4).targets, of_matcher.match(lr, ref, 4).targets)
    assert of_matcher.weights == of_method.weights and of_matcher.weights.kind == "bundled"


def test_sizes_that_are_no_multiples(photo):
    hr = photo(62, 75, 2)
    for name in ("student", "pixels", "vgg", "sift", "dis"):
        found = loaded(name).match(resize_pil_bicubic(hr, 15, 18), hr, 4)
        assert len(found.points) and found.points.max(0)[0] <= 72, name


def test_images_too_small_are_refused(photo):
    for name in ("student", "pixels", "vgg"):
        with pytest.raises(BenchError, match="8x8"):
            loaded(name).match(photo(16, 16), photo(8, 8), 4)


# -- weights --------------------------------------------------------------------------------------------------------


def test_a_teacher_must_be_given_and_sees_the_truth(pair, tmp_path):
    with pytest.raises(NoWeights, match="teacher=FILE"):
        loaded("teacher")
    path = tmp_path / "teacher.safetensors"
    write_teacher(path)
    teacher = loaded("teacher", path)
    assert isinstance(teacher, LoadedMatcher) and teacher.oracle and teacher.weights.name == "mine"
    assert errors(teacher.match, pair(), scale=1)["pck1"] > 60


def test_vgg_from_torchvision_or_said_to_be_another(pair, tmp_path):
    from refsr_bench.learning.vgg import vgg_layers

    own = loaded("vgg")
    assert own.variant == "not ImageNet" and own.weights.kind == "bundled"
    state = synthetic(torch.nn.ModuleDict({"features": vgg_layers("relu3_1")})).state_dict()
    index = {name: n for n, name in enumerate(dict(vgg_layers("relu3_1").named_children()))}
    parts = ((key.split("."), value) for key, value in state.items())
    torch.save({f"features.{index[key[1]]}.{key[2]}": value for key, value in parts}, tmp_path / "vgg19.pth")
    given = loaded("vgg", tmp_path / "vgg19.pth")
    assert given.variant == "" and given.weights.name == "vgg19.pth" and given.weights.sha256 != own.weights.sha256
    assert np.isfinite(errors(given.match, pair())["aee"])
    torch.save({"head.weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(BenchError, match=r"other\.pth does not hold"):
        loaded("vgg", tmp_path / "other.pth")


@pytest.mark.parametrize("name", ["pixels", "sift", "dis"])
def test_matchers_without_weights_refuse_a_file(name, tmp_path):
    with pytest.raises(BenchError, match="no weights"):
        loaded(name, tmp_path / "w.pth")


# -- OpenCV ---------------------------------------------------------------------------------------------------------


def test_sift_without_a_keypoint_stays_in_place():
    flat = np.full((48, 64, 3), 90, np.uint8)
    found = loaded("sift").match(flat[::4, ::4], np.full((96, 64, 3), 90, np.uint8), 4)
    assert np.allclose(found.targets, (found.points + 0.5) * (1, 2) - 0.5)


def test_sift_with_few_keypoints_follows_the_nearest():
    """A disc on grey, five pixels further right: too few matches for a homography."""

    def disc(x: int) -> Image:
        image = np.full((64, 96, 3), 128, np.uint8)
        return cv2.circle(cv2.circle(image, (x, 30), 9, (250, 230, 230), -1), (x + 3, 26), 3, (10, 20, 90), -1)

    found = loaded("sift").match(disc(40), disc(45), 1)
    own, _ = sift.keypoints(disc(40), disc(45))
    assert 0 < len(own) < sift.FEWEST.similarity
    assert np.median(found.targets - found.points, axis=0) == pytest.approx([5, 0], abs=0.5)


def test_flow_into_a_smaller_or_larger_reference(photo):
    hr = photo(HEIGHT, WIDTH, 3)
    lr = resize_pil_bicubic(hr, HEIGHT // 4, WIDTH // 4)
    for ref in (hr[:80, :100], np.pad(hr, ((0, 16), (0, 8), (0, 0)))):
        found = dis.match(lr, np.ascontiguousarray(ref), 4)
        inside = (found.points < (90, 70)).all(1)
        assert np.median(np.abs(found.targets - found.points)[inside]) < 1


def test_flow_between_images_that_are_too_small(photo):
    with pytest.raises(BenchError, match=r"8x8 pixels"):
        dis.match(photo(2, 2), photo(8, 8), 4)


def test_nothing_is_changed_by_matching(pair):
    hr, lr, ref, _ = pair()
    before = lr.copy(), ref.copy()
    for name in ("pixels", "sift", "dis"):
        loaded(name).match(lr, ref, 4)
    assert np.array_equal(lr, before[0]) and np.array_equal(ref, before[1])
    assert enlarged(hr, 1) is hr and enlarged(lr, 4).shape == hr.shape


def test_anyones_function_is_a_matcher(pair):
    def same_place(lr: Image, ref: Image, scale: int) -> Correspondence:
        points = cell_centres(scale * lr.shape[0], scale * lr.shape[1])
        return Correspondence(points, points)

    assert errors(same_place, pair())["aee"] == 0
    assert errors(same_place, pair("rotation", "30"))["aee"] > 10
