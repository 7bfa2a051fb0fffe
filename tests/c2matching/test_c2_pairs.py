"""Training pairs: homographies, warped images, degradation."""

import numpy as np
import pytest
import torch
from filled import error, image

from c2matching.training.pairs import (
    random_homography,
    transform_points,
    transformed_pair,
    warp,
)
from refsr_bench.learning.tensors import degrade, to_tensor, truncated
from refsr_bench.learning.training.views import homography_from_corners, restoration_pair

SQUARE = np.array([(0, 0), (160, 0), (0, 160), (160, 160)])


def part(z, key, found, step=4):
    """The stored array under ``key``, and what corresponds to it: all of ``found``, or its ``step``-th pixels."""
    return (found, z[key]) if key in z else (found[:, ::step, ::step], z[f"{key}_sub"])


@pytest.mark.parametrize("which", ["h0", "h1"])
def test_homography(golden, which):
    z = golden("l_homography")
    corners = SQUARE + z[f"{which}_topleft_xy"]
    moves = z[f"{which}_perturb_tlx_tly_trx_try_blx_bly_brx_bry"].reshape(4, 2)
    matrix = homography_from_corners(corners, corners + moves)
    inverse = np.linalg.inv(matrix)
    assert error(matrix, z[f"{which}_H"]) < 1e-9
    assert error(inverse, z[f"{which}_H_inverse"]) < 1e-9
    for step in (1, 4, 16):
        key = f"{which}_transformed_coordinate" + (f"_sub{step}" if step > 1 else "")
        if key in z:
            assert error(transform_points(inverse, 160, 160, step), z[key][..., :2]) < 1e-6
    warped = warp(image(z["image_rgb_u8"]).permute(2, 0, 1), matrix).numpy()
    assert error(*part(z, f"{which}_warped_rgb_chw_exact", warped)) < 2e-5


def test_validation_homographies(golden):
    rng = np.random.RandomState(0)
    pool = np.array([np.linalg.inv(random_homography(rng)) for _ in range(22)])
    assert error(pool, golden("l_homography")["val_pool_H_inverse_seed0"]) < 1e-9


def test_one_sample_of_the_authors_training_data(golden):
    z = golden("l_homography")
    seed = int(z["sample_seed"])
    assert error(np.linalg.inv(random_homography(np.random.RandomState(seed))), z["sample_H_inverse"]) < 1e-9
    pair = transformed_pair(to_tensor(z["image_rgb_u8"]), np.random.RandomState(seed))
    step = 4 if "sample_transformed_coordinate_sub4" in z else 16
    coordinates = pair.coordinates.numpy()[:: step // 4, :: step // 4]
    assert error(coordinates, z[f"sample_transformed_coordinate_sub{step}"][..., :2]) < 1e-6
    # OpenCV's single-precision positions move six of the 76,800 values by more than 2e-5
    difference = np.abs(np.subtract(*part(z, "sample_img_ref_exact", pair.transformed.numpy())))
    assert difference.max() < 3e-5 and (difference > 2e-5).sum() <= 6
    for whole, key in ((z["image_rgb_u8"], "in_up_u8"), (truncated(pair.transformed), "ref_up_u8_exact")):
        found, wanted = part(z, f"sample_img_{key}", degrade(whole)[1].transpose(2, 0, 1))
        assert (found == wanted).all(), key
    if "sample_img_in_u8" in z:
        assert error(pair.hr * 255, z["sample_img_in_u8"]) < 1e-4


def test_restoration_pair(whole):
    z = whole("k2_preprocess_train")
    pair = restoration_pair(z["input_rgb_u8"], z["ref_rgb_u8"])
    for name, key in (("hr", "in"), ("lr", "in_lq"), ("lr_up", "in_up"), ("ref", "ref")):
        assert torch.equal(getattr(pair, name), image(z[f"img_{key}_u8"])), name


def test_a_restoration_pair_has_one_size():
    rng = np.random.default_rng(0)
    hr, ref = (rng.integers(0, 256, size, np.uint8) for size in ((160, 120, 3), (70, 333, 3)))
    pair = restoration_pair(hr, ref)
    assert pair.hr.shape == pair.lr_up.shape == pair.ref.shape == (3, 160, 120) and pair.lr.shape == (3, 40, 30)
    assert torch.equal(pair.hr, image(hr).permute(2, 0, 1))
    assert torch.equal(restoration_pair(hr, hr).ref, pair.hr)


def test_corners_go_where_they_are_sent():
    moved = SQUARE + np.array([(3, -4), (0, 9), (-7, 2), (5, 5)])
    matrix = homography_from_corners(SQUARE, moved)
    whole = transform_points(matrix, 161, 161)
    assert error(whole[[0, 0, 160, 160], [0, 160, 0, 160]], moved) < 1e-9


def test_coordinates_say_where_a_pixel_went():
    """A smooth image looked up at the stated coordinates of its transformed copy is the image again."""
    y, x = np.mgrid[0:160, 0:160] / 40
    hr = to_tensor((np.stack((np.sin(x), np.cos(y), np.sin(x + y)), axis=-1) * 120 + 128).astype(np.uint8))
    pair = transformed_pair(hr, np.random.RandomState(3))
    xy = pair.coordinates.round().long()
    inside = ((xy >= 2) & (xy < 158)).all(-1)
    inside[[0, -1]] = inside[:, [0, -1]] = False  # blended with the black around the image
    assert inside.float().mean() > 0.7
    there = pair.transformed[:, xy[inside][:, 1], xy[inside][:, 0]]
    assert (there - hr[:, ::4, ::4][:, inside]).abs().max() < 0.03


def test_what_warping_leaves_uncovered_is_black():
    shift = np.array([[1, 0, 5], [0, 1, -3], [0, 0, 1]], np.float64)
    warped = warp(torch.ones(3, 20, 20), shift)
    covered = torch.zeros(3, 20, 20)
    covered[:, 3:, :15] = 1
    assert (warped - covered).abs().max() < 1e-6


def test_truncation_keeps_eight_bit_images():
    whole = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    assert (truncated(to_tensor(whole)) == whole).all()
    assert (truncated(torch.full((3, 1, 1), 0.9999)) == 254).all()
