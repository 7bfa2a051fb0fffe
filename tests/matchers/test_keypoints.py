"""Keypoint matchers: the motion they find between real photographs, and the motion they must not find."""

import cv2
import numpy as np
import pytest

from refsr_bench.core.errors import BenchError
from refsr_bench.core.types import Image, Match
from refsr_bench.geometry.correspondences import cell_centres
from refsr_bench.matchers import _keypoints, akaze, orb, sift
from refsr_bench.matchers._inputs import enlarged
from refsr_bench.pixels.resize import resize_pil_bicubic

CLASSICAL = {"sift": sift, "orb": orb, "akaze": akaze}


@pytest.fixture(params=CLASSICAL)
def module(request):
    if request.param == "akaze" and not hasattr(cv2, "AKAZE_create"):
        pytest.skip(f"OpenCV {cv2.__version__} comes without AKAZE")
    return CLASSICAL[request.param]


def turned(hr: Image, degrees: float, scale: float) -> tuple[Image, np.ndarray]:
    """A reference that shows the whole photo on black, and the 3x3 matrix from the photo's pixels to its own."""
    height, width = hr.shape[:2]
    matrix = np.eye(3)
    angle = np.deg2rad(degrees)
    matrix[:2, :2] = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    corners = np.array([(x, y) for x in (-0.5, width - 0.5) for y in (-0.5, height - 0.5)]) @ matrix[:2, :2].T
    matrix[:2, 2] = -corners.min(0) - 0.5
    size = np.ceil(np.ptp(corners, axis=0) - 1e-6).astype(int)
    return cv2.warpPerspective(hr, matrix, tuple(map(int, size)), flags=cv2.INTER_CUBIC), matrix


def median_error(match: Match, hr: Image, degrees: float, scale: float) -> float:
    """The median distance of a matcher's targets from the truth, reference pixels."""
    ref, matrix = turned(hr, degrees, scale)
    found = match(resize_pil_bicubic(hr, hr.shape[0] // 4, hr.shape[1] // 4), ref, 4)
    truth = np.c_[found.points, np.ones(len(found.points))] @ matrix.T
    return float(np.median(np.linalg.norm(truth[:, :2] - found.targets, axis=1)))


@pytest.mark.parametrize("degrees, scale", [(45, 1), (90, 1), (30, 1.25)])
def test_a_turned_and_scaled_reference_is_found(module, degrees, scale, photo):
    match = module.MATCHERS[0].load(None, "cpu").match
    assert median_error(match, photo(240, 320, 3), degrees, scale) < 2


def test_an_unrelated_reference_has_no_motion(module, photo):
    for own, other in ((0, 3), (1, 4), (5, 2)):
        image = enlarged(resize_pil_bicubic(photo(240, 320, own), 60, 80), 4)
        found = module.keypoints(image, photo(240, 320, other))
        assert _keypoints.motion(found, module.FEWEST, cell_centres(240, 320)) is None


def test_keypoints_are_pixels_of_both_images_and_repeat(module, photo):
    image, ref = photo(240, 320, 3), turned(photo(240, 320, 3), 20, 0.8)[0]
    before = image.copy(), ref.copy()
    found = module.keypoints(image, ref)
    assert found.own.shape == found.there.shape == (len(found.own), 2) and len(found.own) > 50
    for points, size in ((found.own, image.shape), (found.there, ref.shape)):
        assert points.dtype == np.float32 and points.min() >= 0 and (points.max(0) <= (size[1] - 1, size[0] - 1)).all()
    again = module.keypoints(image, ref)
    assert np.array_equal(found.own, again.own) and np.array_equal(found.there, again.there)
    assert np.array_equal(image, before[0]) and np.array_equal(ref, before[1])


def test_a_flat_image_has_no_keypoints(module, photo):
    flat = np.full((64, 96, 3), 90, np.uint8)
    for pair in ((flat, photo(96, 128)), (photo(96, 128), flat)):
        found = module.keypoints(*pair)
        assert found.own.shape == found.there.shape == (0, 2)


def test_mutual_matches_name_a_keypoint_once(photo):
    ref = turned(photo(240, 320, 5), 10, 1)[0]
    pair = [_keypoints.described(cv2.SIFT_create(), image) for image in (photo(240, 320, 1), ref)]
    both = [_keypoints.by_ratio(*pair, cv2.NORM_L2, mutual) for mutual in (False, True)]
    times = [np.unique(found.there, axis=0, return_counts=True)[1].max() for found in both]
    assert times[0] > 1 and len(both[1].own) < len(both[0].own)
    assert {(*a, *b) for a, b in zip(*both[1], strict=True)} <= {(*a, *b) for a, b in zip(*both[0], strict=True)}


def test_the_nearest_keypoint_is_the_same_in_bounded_memory(monkeypatch):
    points = cell_centres(64, 96)
    some = np.random.default_rng(1).uniform(0, 90, (37, 2)).astype(np.float32)
    whole = _keypoints._nearest(points, some)
    monkeypatch.setattr(_keypoints, "MOST_DISTANCES", 100)
    assert np.array_equal(_keypoints._nearest(points, some), whole)
    assert np.array_equal(whole, ((points[:, None] - some[None]) ** 2).sum(2).argmin(1))


def test_positions_are_counted_from_the_middle_of_pixels(module, photo):
    """Turned by 180 degrees, both images are off in opposite directions: a shift shows twice."""
    image = photo(240, 320, 1)
    found = module.keypoints(image, np.ascontiguousarray(image[::-1, ::-1]))
    off = found.own + found.there - (319, 239)
    right = np.linalg.norm(off, axis=1) < 3
    assert right.sum() > 100 and np.abs(off[right].mean(0)).max() < 0.2


def test_a_motion_is_estimated_from_all_that_agree():
    """Of 130 matches 30 are wrong and the others half a pixel off: the motion is better than any four matches."""
    random = np.random.default_rng(3)
    own = random.uniform(0, 300, (130, 2)).astype(np.float32)
    there = own @ np.array([[0.8, 0.3], [-0.3, 0.8]], np.float32) + (20, 90) + random.normal(0, 0.5, own.shape)
    there[100:] = random.uniform(0, 300, (30, 2))
    found = _keypoints.Found(own, there.astype(np.float32))
    points = cell_centres(300, 300)
    matrix = _keypoints.motion(found, _keypoints.Fewest(10, 5), points)
    mapped = np.c_[points, np.ones(len(points))] @ matrix.T
    truth = points @ np.array([[0.8, 0.3], [-0.3, 0.8]]) + (20, 90)
    assert np.median(np.linalg.norm(mapped[:, :2] / mapped[:, 2:] - truth, axis=1)) < 0.25
    assert _keypoints.motion(found, _keypoints.Fewest(131, 131), points) is None


def test_akaze_says_which_opencv_has_it(monkeypatch):
    monkeypatch.delattr(cv2, "AKAZE_create", raising=False)
    with pytest.raises(BenchError, match=r"needs OpenCV 4; this OpenCV, .* pip install .opencv-python<5"):
        akaze.MATCHERS[0].load(None, "cpu")
