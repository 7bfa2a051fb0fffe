"""One antialiased resampling, and what is done to values."""

import numpy as np
import pytest
from PIL import Image as PilImage

from refsr_bench.core.errors import BenchError
from refsr_bench.geometry.drawing import draw, fitted, similarity
from refsr_bench.geometry.kinds import GROUPS, KINDS
from refsr_bench.geometry.transformation import IDENTITY, Transformation, targets, visible
from refsr_bench.geometry.warping import apply

GEOMETRIC = ("rotation", "scale", "rotation+scale", "shear", "shift", "perspective")
SIZE = (120, 160)


def blobs(size, points, sigma=2.0):
    """A black image with a Gaussian spot at each (x, y)."""
    y, x = np.mgrid[: size[0], : size[1]]
    image = sum(np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * sigma**2)) for px, py in points)
    return np.repeat((255 * image.clip(0, 1)).astype(np.uint8)[..., None], 3, axis=2)


def centroid(image, near, radius):
    """Centre of brightness around a point."""
    x0, y0 = (int(np.floor(c + 0.5)) for c in near)
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    weight = image[..., 0] * ((abs(x - x0) <= radius) & (abs(y - y0) <= radius)).astype(float)
    return np.array([(weight * x).sum(), (weight * y).sum()]) / weight.sum()


@pytest.mark.parametrize("kind", GEOMETRIC)
@pytest.mark.parametrize("level", GROUPS)
def test_a_grid_of_known_points_is_found_where_the_matrix_says(kind, level):
    points = np.array([(x, y) for x in range(20, 150, 30) for y in range(20, 110, 25)], float)
    made = draw(kind, level, "grid", SIZE)
    there = targets(made, points)
    height, width = made.size
    found = 0
    for point, target in zip(points, there, strict=True):
        radius = 12
        if not (radius < target[0] < width - radius and radius < target[1] < height - radius):
            continue
        ref = apply(blobs(SIZE, [point]), made)
        # A tilt makes a spot egg-shaped, which moves its centre of brightness a little.
        np.testing.assert_allclose(centroid(ref, target, radius), target, atol=0.12 if kind == "perspective" else 0.06)
        found += 1
    assert found >= 3


@pytest.mark.parametrize("degrees, turns", [(0, 0), (90, 1), (180, 2), (-90, 3), (-180, 2)])
@pytest.mark.parametrize("size", [(64, 64), (63, 63), (60, 81), (61, 80), (80, 61), (81, 61)])
def test_quarter_turns_copy_pixels(photo, degrees, turns, size):
    hr = photo(*size)
    made = draw("rotation", degrees, "x", size)
    whole = np.rot90(hr, turns)
    top, left = ((a - b) // 2 for a, b in zip(whole.shape[:2], made.size, strict=True))
    np.testing.assert_array_equal(apply(hr, made), whole[max(0, top) :, max(0, left) :][: made.size[0], : made.size[1]])
    assert all(side <= own for side, own in zip(made.size, size, strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_identity_is_the_image_itself(photo, kind):
    hr = photo(37, 51)
    made = draw(kind, "identity", "x", (37, 51))
    np.testing.assert_array_equal(apply(hr, made), hr)
    assert visible(made, (37, 51)).all()


def test_enlarging_and_shrinking_are_what_pillow_makes_of_it(photo):
    hr = photo(120, 160)
    for factor in (0.5, 0.25, 0.8):
        made = draw("scale", factor, "x", SIZE)
        ideal = PilImage.fromarray(hr).resize(made.size[::-1], PilImage.Resampling.BICUBIC)
        difference = np.abs(apply(hr, made).astype(int) - np.asarray(ideal))[4:-4, 4:-4]  # borders are made differently
        assert made.size == tuple(round(side * factor) for side in SIZE)
        # Pillow rounds and clips between its two passes, which shows where an edge overshoots.
        assert (difference <= 1).mean() > 0.995 and difference.max() <= 4


@pytest.mark.parametrize("degrees", [0, 20])
def test_a_fine_grating_does_not_alias_when_it_shrinks(degrees):
    x = np.arange(160)
    wave = 127.5 + 100 * np.cos(2 * np.pi * x / 2.6)  # a period of about one reference pixel: nothing may be left of it
    hr = np.broadcast_to(wave.round().astype(np.uint8)[None, :, None], (160, 160, 3)).copy()
    turn = similarity(degrees, 0.4)
    made = Transformation("rotation+scale", "large", *fitted(turn, (160, 160)))
    middle = apply(hr, made)[22:-22, 22:-22].astype(float)
    assert middle.size > 300 and middle.std() < 3
    plain = hr[::2, ::2][:, ::2].astype(float)
    assert plain.std() > 60  # sampled without a filter, the same grating is a loud false one


def test_a_slow_wave_survives_shrinking():
    x = np.arange(160)
    wave = 127.5 + 100 * np.cos(2 * np.pi * x / 40)
    hr = np.broadcast_to(wave.round().astype(np.uint8)[None, :, None], (160, 160, 3)).copy()
    made = draw("scale", 0.4, "x", (160, 160))
    back = (np.arange(64) - np.array(made.matrix)[0, 2]) / np.array(made.matrix)[0, 0]
    ideal = 127.5 + 100 * np.cos(2 * np.pi * back / 40)
    assert np.abs(apply(hr, made)[30, 5:-5, 0] - ideal[5:-5]).max() < 4


def test_one_resampling_is_near_the_ideal_of_a_smooth_image():
    """A turned image of waves that the grid carries easily, against the waves themselves."""

    def waves(x, y):
        return 127.5 + 50 * np.cos(x / 3.1 + y / 5.3) + 50 * np.sin(y / 4.2 - x / 7.7)

    y, x = np.mgrid[:120, :160]
    hr = np.repeat(waves(x, y).round().astype(np.uint8)[..., None], 3, 2)
    made = draw("rotation", 27, "x", SIZE)
    back = np.linalg.inv(np.array(made.matrix))
    v, u = np.mgrid[: made.size[0], : made.size[1]]
    px, py = (back[k, 0] * u + back[k, 1] * v + back[k, 2] for k in (0, 1))
    inside = (px > 3) & (px < 156) & (py > 3) & (py < 116)
    error = apply(hr, made)[..., 0][inside] - waves(px, py)[inside]
    assert inside.sum() > 5000 and np.sqrt((error**2).mean()) < 0.8  # rounding twice alone gives 0.41


def test_nothing_is_black_beyond_the_photo():
    hr = np.full((*SIZE, 3), 200, np.uint8)
    for kind in GEOMETRIC:
        np.testing.assert_array_equal(apply(hr, draw(kind, "large", "x", SIZE)), 200)


def test_beyond_the_photo_lies_its_mirror_image(photo):
    hr = photo(30, 40)
    mirrored = np.pad(hr, ((20, 20), (20, 20), (0, 0)), mode="symmetric")
    for shift in (20, 20 + 1e-9):  # copied, and through the interpolation
        made = Transformation("perspective", "large", ((1, 0, shift), (0, 1, shift), (0, 0, 1)), (70, 80))
        np.testing.assert_array_equal(apply(hr, made), mirrored)


@pytest.mark.parametrize("pixels", [1, 2, -3])
def test_a_shift_by_whole_pixels_copies_them(photo, pixels):
    hr = photo(37, 51)
    framed = np.pad(hr, ((4, 4), (4, 4), (0, 0)), mode="symmetric")[4 - pixels :, 4 - pixels :][:37, :51]
    np.testing.assert_array_equal(apply(hr, draw("shift", pixels, "x", (37, 51))), framed)


def test_half_a_pixel_of_shift_is_halfway_between_two_copies(photo):
    hr = photo(*SIZE)
    near, far = (apply(hr, draw("shift", pixels, "x", SIZE)).astype(float) for pixels in (0, 1))
    between = apply(hr, draw("shift", 0.5, "x", SIZE)).astype(float)
    to_near, to_far = (np.abs(between - copy)[2:-2, 2:-2].mean() for copy in (near, far))
    assert to_near == pytest.approx(to_far, rel=0.05) and to_near < 0.75 * np.abs(near - far)[2:-2, 2:-2].mean()


def test_occluders_are_grey_and_as_large_as_drawn(photo):
    hr = photo(*SIZE)
    for share in (0.1, 0.5, 0.9):
        made = draw("occlusion", share, "x", SIZE)
        hidden = ~visible(made, SIZE)
        assert hidden.mean() == pytest.approx(share, abs=0.01)
        np.testing.assert_array_equal(apply(hr, made)[hidden], 128)
        np.testing.assert_array_equal(apply(hr, made)[~hidden], hr[~hidden])


def test_photometric_kinds_do_what_they_say(photo):
    hr = np.full((*SIZE, 3), 100, np.uint8)
    noisy = apply(hr, draw("noise", 10, "x", SIZE)).astype(float) - 100
    assert noisy.std() == pytest.approx(10, rel=0.02) and abs(noisy.mean()) < 0.2
    spot = np.zeros((61, 61, 3), np.uint8)
    spot[30, 30] = 255
    blurred = apply(spot, draw("blur", 1.5, "x", (61, 61)))[..., 0].astype(float)
    x = np.arange(61)
    assert np.sqrt((blurred * (x - 30) ** 2).sum() / blurred.sum()) == pytest.approx(1.5, abs=0.1)
    dark = draw("illumination", 2.0, "x", SIZE)
    gains = [dict(dark.photometric)[f"gain_{c}"] for c in "rgb"]
    np.testing.assert_allclose(apply(hr, dark)[0, 0], [255 * g * (100 / 255) ** 2 for g in gains], atol=0.51)
    assert all(2**-0.25 <= gain <= 2**0.25 for gain in gains)
    image = photo(*SIZE)
    errors = [np.abs(apply(image, draw("jpeg", q, "x", SIZE)).astype(int) - image).mean() for q in (95, 60, 15)]
    assert 0 < errors[0] < errors[1] < errors[2]
    for kind in ("noise", "blur", "illumination", "jpeg"):
        made = draw(kind, "medium", "x", SIZE)
        assert made.matrix == IDENTITY and made.size == SIZE


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (5, 3)])
@pytest.mark.parametrize("kind", KINDS)
def test_tiny_images(kind, size):
    for level in GROUPS:
        try:
            made = draw(kind, level, "x", size)
        except BenchError as error:
            assert "'x'" in str(error)
            continue
        assert apply(np.full((*size, 3), 9, np.uint8), made).shape == (*made.size, 3)
