"""Crops, pads, resizers and luma, checked against MATLAB's own files, dense matrices and other libraries."""

import numpy as np
import pytest
from PIL import Image as PILImage

from refsr_bench.pixels.colour import BT601_WEIGHTS, luma_bt601, luma_full, quantise
from refsr_bench.pixels.crop import ceil_multiple, mod_crop, pad_replicate_centred, pad_zero
from refsr_bench.pixels.resize import resize_matlab_bicubic, resize_pil_bicubic

SETS = {"Set5": 5, "Set14": 14, "Urban100": 8}


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def test_mod_crop_keeps_the_top_left():
    image = noise(13, 18)
    assert np.array_equal(mod_crop(image, 4), image[:12, :16])
    assert mod_crop(image, 16).size == 0
    assert [ceil_multiple(n, 32) for n in (0, 1, 32, 33)] == [0, 32, 32, 64]


def test_pad_zero_adds_black_at_the_bottom_and_right():
    image = noise(5, 7)
    padded = pad_zero(image, 8, 9)
    assert padded.shape == (8, 9, 3)
    assert np.array_equal(padded[:5, :7], image)
    assert padded[5:].max() == 0 and padded[:, 7:].max() == 0
    with pytest.raises(ValueError, match="7x5 does not fit into 7x4"):
        pad_zero(image, 4, 7)


def test_pad_replicate_centred_puts_the_odd_pixel_at_the_bottom_right():
    image = noise(4, 5)
    padded, top, left = pad_replicate_centred(image, 7, 8)
    assert (padded.shape, top, left) == ((7, 8, 3), 1, 1)
    assert np.array_equal(padded[1:5, 1:6], image)
    assert np.array_equal(padded[0, 1:6], image[0]) and np.array_equal(padded[6, 1:6], image[3])
    assert np.array_equal(padded[0, 0], image[0, 0]) and np.array_equal(padded[6, 7], image[3, 4])


def test_quantise_clips_and_rounds_half_to_even():
    values = np.array([-0.2, 0.0, 0.5 / 255, 1.5 / 255, 2.5 / 255, 0.999, 1.7])
    assert quantise(values).tolist() == [0, 0, 0, 2, 2, 255, 255]


def dense_axis(n_in, n_out):
    """One axis of MATLAB's resize as a matrix, written from the definition, pixel by pixel."""

    def kernel(x):
        x = abs(x)
        if x <= 1:
            return 1.5 * x**3 - 2.5 * x**2 + 1
        return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0.0

    stretch = min(n_out / n_in, 1.0)
    matrix = np.zeros((n_out, n_in))
    for i in range(n_out):
        centre = (i + 0.5) * n_in / n_out - 0.5
        taps = range(int(np.floor(centre - 2 / stretch)) - 1, int(np.ceil(centre + 2 / stretch)) + 2)
        weights = [kernel((centre - tap) * stretch) for tap in taps]
        for tap, weight in zip(taps, weights, strict=True):
            matrix[i, min(max(tap, 0), n_in - 1)] += weight / sum(weights)
    return matrix


@pytest.mark.parametrize("size", [(6, 5), (13, 10), (72, 90), (24, 20), (31, 7)])
def test_matlab_resize_is_two_rounded_matrix_products(size):
    image = noise(24, 20)
    half_up = lambda x: np.clip(np.floor(x + 0.5), 0, 255)  # noqa: E731
    rows, columns = dense_axis(24, size[0]), dense_axis(20, size[1])
    if size[0] / 24 <= size[1] / 20:
        expected = half_up(np.einsum("ox,yxc->yoc", columns, half_up(np.einsum("oy,yxc->oxc", rows, image))))
    else:
        expected = half_up(np.einsum("oy,yxc->oxc", rows, half_up(np.einsum("ox,yxc->yoc", columns, image))))
    assert np.array_equal(resize_matlab_bicubic(image, *size), expected)


def test_matlab_resize_by_a_factor():
    image = noise(24, 20)
    assert np.array_equal(resize_matlab_bicubic(image, factor=0.25), resize_matlab_bicubic(image, 6, 5))
    assert resize_matlab_bicubic(image, factor=0.8).shape == (20, 16, 3)
    assert resize_matlab_bicubic(image, factor=0.3).shape == (8, 6, 3)  # ceil(7.2), and 6.0 in spite of 0.3 * 20 > 6
    assert np.array_equal(resize_matlab_bicubic(image, factor=1.0), image)
    with pytest.raises(ValueError, match="cannot resize 20x24 to 0x0"):
        resize_matlab_bicubic(image)


def test_upsampling_an_edge_gives_the_published_cubic_weights():
    # Keys, a = -0.5, at a quarter of a pixel: -0.0703125 0.8671875 0.2265625 -0.0234375.
    edge = np.zeros((1, 8, 3), np.uint8)
    edge[:, 4:] = 200
    row = resize_matlab_bicubic(edge, 1, 16)[0, :, 0]
    rising = (-0.0703125, 0.2265625 - 0.0234375, 1 - 0.2265625 + 0.0234375, 1 + 0.0703125, 1 + 0.0234375)
    assert row[6:11].tolist() == [max(0, round(200 * weight)) for weight in rising]


@pytest.mark.parametrize("resize", [resize_pil_bicubic, resize_matlab_bicubic])
def test_resizers_keep_constants_and_leave_the_input_alone(resize):
    image = np.full((20, 28, 3), 137, np.uint8)
    for size in ((5, 7), (40, 56), (9, 31)):
        assert (resize(image, *size) == 137).all()
    before = (image := noise(20, 28)).copy()
    resize(image, 5, 7)
    assert np.array_equal(image, before)


def pairs_of(shared, name):
    for path in sorted((shared / "data" / "classic_x4" / name).glob("*_HR.png")):
        hr, lr = (PILImage.open(p) for p in (path, path.with_name(path.name.replace("_HR", "_LR"))))
        yield path.name, np.asarray(hr.convert("RGB")), np.asarray(lr.convert("RGB"))


@pytest.mark.parametrize("name", SETS)
def test_matlab_files_are_reproduced_bit_for_bit(shared, name, record_property):
    differing, decibels = [], []
    files = list(pairs_of(shared, name))
    assert len(files) == SETS[name]
    for file, hr, lr in files:
        assert np.array_equal(resize_matlab_bicubic(hr, *lr.shape[:2]), lr), file
        error = resize_pil_bicubic(hr, *lr.shape[:2]).astype(float) - lr
        differing.append((error != 0).mean())
        decibels.append(10 * np.log10(255**2 / np.mean(error**2)))
    # Pillow goes through columns first and cuts the kernel at the border: close, not equal.
    record_property("pillow_differing_share", float(np.mean(differing)))
    assert 0.10 < np.mean(differing) < 0.20
    assert min(decibels) > 46 and np.mean(decibels) > 53


def test_luma_weights_and_ranges():
    white, black = np.full((1, 1, 3), 255, np.uint8), np.zeros((1, 1, 3), np.uint8)
    assert (luma_bt601(black)[0, 0], luma_bt601(white)[0, 0]) == pytest.approx((16, 235))
    assert (luma_full(black)[0, 0], luma_full(white)[0, 0]) == pytest.approx((0, 255))
    assert luma_bt601(white).dtype == np.float64
    red = np.array([[[255, 0, 0]]], np.uint8)
    assert luma_bt601(red)[0, 0] == pytest.approx(16 + 65.481)  # the order is R, G, B


def test_other_libraries_have_the_same_luma():
    from skimage.color import rgb2ycbcr

    image = noise(16, 16)
    assert np.allclose(luma_bt601(image), rgb2ycbcr(image)[..., 0], atol=1e-9)
    assert np.abs(luma_full(image) - np.asarray(PILImage.fromarray(image).convert("L"))).max() <= 1


def test_ttsr_weights_are_the_same_luma():
    ttsr = np.array([65.738, 129.057, 25.064]) / 256
    assert np.abs(ttsr - BT601_WEIGHTS).max() < 5e-6
