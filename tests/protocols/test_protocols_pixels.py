"""The pixels of each convention, against the authors' own loader where its output is known."""

from pathlib import Path

import numpy as np
import pytest
from made import image_source, make_pair

from refsr_bench.core.catalogue import collect, get
from refsr_bench.core.errors import BenchError
from refsr_bench.core.types import RefPair
from refsr_bench.pixels.resize import resize_matlab_bicubic, resize_pil_bicubic

P = collect("PROTOCOLS")
GOLDEN = Path(__file__).parent.parent / "golden" / "k_preprocess_test.npz"


def golden_pair(arrays):
    ref = image_source(arrays["ref_rgb_u8"], "ref.png", 1)
    return RefPair("g", image_source(arrays["input_rgb_u8"], "in.png"), (ref,))


def as_u8(chw):
    return np.rint(np.asarray(chw, np.float64).reshape(chw.shape[-3:]) * 255).astype(np.uint8).transpose(1, 2, 0)


def test_c2_makes_what_the_authors_loader_makes():
    """82x99 and 91x75 pixels: each cut to multiples of 4, both padded to 88x96, LR from the padded image."""
    arrays = np.load(GOLDEN)
    sample = P["c2"].prepare(golden_pair(arrays), "cufed5")
    assert np.array_equal(sample.hr, as_u8(arrays["img_in"]))
    assert np.array_equal(sample.lr, as_u8(arrays["img_in_lq"]))
    assert np.array_equal(sample.refs[0], as_u8(arrays["img_ref"]))
    assert sample.crop == (0, 0, *arrays["original_size"])
    # What methods derive from it: both images up again and down.
    assert np.array_equal(resize_pil_bicubic(sample.lr, 88, 96), as_u8(arrays["img_in_up"]))
    assert np.array_equal(resize_pil_bicubic(sample.refs[0], 22, 24), as_u8(arrays["img_ref_lq"]))


def test_c2_scores_what_the_authors_score(shared):
    """The whole test path of the authors' network, from raw images to numbers, with their SR in between."""
    arrays = np.load(shared / "golden" / "e2_end_to_end_padded.npz")
    sample = P["c2"].prepare(golden_pair(arrays), "cufed5")
    assert np.array_equal(sample.lr, arrays["lq_u8"][0].transpose(1, 2, 0))
    assert np.array_equal(sample.refs[0], arrays["ref_u8"][0].transpose(1, 2, 0))
    top, left, height, width = sample.crop
    sr = as_u8(np.clip(arrays["sr_padded"][0], 0, 1))[top : top + height, left : left + width]
    assert np.mean(sr != arrays["sr_cropped_rgb_u8"]) <= 0.001
    for metric, key in ((P["c2"].psnr, "psnr_y"), (P["c2"].ssim, "ssim_y"), ("psnr_rgb", "psnr")):
        value = get("METRICS", metric).load("cpu", None)(sr, sample.hr, P["c2"].border, P["c2"].y_rounded)
        assert value == pytest.approx(float(arrays[key]), abs=2e-5 if "ssim" in key else 2e-3)


def test_c2_pads_nothing_when_sizes_agree():
    pair = make_pair(hr=(50, 66), refs=((51, 67),))
    sample = P["c2"].prepare(pair, "cufed5")
    assert sample.refs[0].shape == (48, 64, 3) and sample.lr.shape == (12, 16, 3)
    assert np.array_equal(sample.refs[0], pair.refs[0].load()[:48, :64])


def test_c2_takes_the_lr_image_at_its_own_size_on_black():
    pair = make_pair(hr=(50, 66))
    sample = P["c2"].prepare(pair, "urban100")
    assert sample.ref_names == ("lr",) and sample.refs[0].shape == (48, 64, 3)
    assert np.array_equal(sample.refs[0][:12, :16], sample.lr)
    assert sample.refs[0][12:].max() == sample.refs[0][:, 16:].max() == 0
    up = P["c2"].changed({"lr_ref": "lr-up"}).prepare(pair, "urban100")
    assert np.array_equal(up.refs[0], resize_pil_bicubic(up.lr, 48, 64)) and up.ref_names == ("lr-up",)


def test_masa_pads_all_round_and_scores_the_whole_image():
    pair = make_pair(hr=(50, 66), refs=((33, 49),))
    sample = P["masa"].prepare(pair, "wrsr")
    assert sample.crop == (7, 15, 50, 66) and sample.lr.shape == (16, 24, 3)
    assert np.array_equal(sample.hr, pair.hr.load())
    assert sample.refs[0].shape == (48, 64, 3)
    assert np.array_equal(sample.refs[0][7:40, 7:56], pair.refs[0].load())
    frame = np.pad(pair.hr.load(), ((7, 7), (15, 15), (0, 0)), mode="edge")
    assert np.array_equal(sample.lr, resize_pil_bicubic(frame, 16, 24))
    city = P["masa"].prepare(pair, "urban100")
    assert city.lr.shape == (16, 32, 3) and city.crop == (7, 31, 50, 66)  # multiples of 64 there
    assert np.array_equal(city.refs[0], city.lr)  # the padded LR, already a multiple of 16


def test_amsa_cuts_to_32():
    sample = P["amsa"].prepare(make_pair(hr=(95, 130), refs=((64, 100),)), "cufed5")
    assert sample.hr.shape == (64, 128, 3) and sample.refs[0].shape == (64, 128, 3)
    assert sample.refs[0][:, 96:].max() == 0


def test_mmagic_cuts_and_pads_the_reference_to_hr():
    pair = make_pair(hr=(50, 66), refs=((90, 41),))
    sample = P["mmagic-rgb"].prepare(pair, "cufed5")
    assert sample.refs[0].shape == sample.hr.shape == (48, 64, 3)
    assert np.array_equal(sample.refs[0][:, :41], pair.refs[0].load()[:48]) and sample.refs[0][:, 41:].max() == 0


def test_srntt_keeps_all_references_as_they_are():
    pair = make_pair()
    sample = P["srntt"].prepare(pair, "cufed5")
    assert all(np.array_equal(ref, given.load()) for ref, given in zip(sample.refs, pair.refs, strict=True))


def test_matlab_differs_in_the_lr_alone():
    pair = make_pair(refs=((50, 66),))
    sample, c2 = P["matlab"].prepare(pair, "wrsr"), P["c2"].prepare(pair, "wrsr")
    assert np.array_equal(sample.lr, resize_matlab_bicubic(sample.hr, 12, 16)) and not np.array_equal(sample.lr, c2.lr)
    assert np.array_equal(sample.refs[0], c2.refs[0])


def test_resized_references():
    pair = make_pair()
    sample = P["c2"].changed({"ref_size": "resize"}).prepare(pair, "wrsr")
    assert np.array_equal(sample.refs[0], resize_pil_bicubic(pair.refs[0].load(), 48, 64))


def test_ttsr_stitches_top_left_on_black():
    pair = make_pair()
    sample = P["ttsr"].prepare(pair, "cufed5")
    (tall,) = sample.refs
    assert tall.shape == (1000, 500, 3) and sample.ref_names == ("000_1.png", "000_2.png")
    assert np.array_equal(tall[:44, :68], pair.refs[0].load()[:, :68]) and tall[44:500].max() == 0  # cut to 4
    assert np.array_equal(tall[500:560, :52], pair.refs[1].load()) and tall[:500, 68:].max() == 0
    assert P["ttsr"].changed({"refs": "L1"}).prepare(pair, "cufed5").refs[0].shape == (44, 68, 3)  # one: no canvas


def test_masa_stitches_centred_with_repeated_borders():
    pair = make_pair()
    (tall,) = P["masa"].prepare(pair, "cufed5").refs
    assert tall.shape == (1024, 512, 3)
    first = pair.refs[0].load()
    assert np.array_equal(tall[234:278, 220:291], first) and np.array_equal(tall[0, 0], first[0, 0])
    assert np.array_equal(tall[511, 511], first[-1, -1])


def test_c2_pads_to_a_stitched_canvas_too():
    stitched = P["c2"].changed({"refs": "all", "stitch": "black-500"}).prepare(make_pair(), "cufed5")
    assert stitched.refs[0].shape == (1000, 500, 3) and stitched.lr.shape == (250, 125, 3)
    assert stitched.crop == (0, 0, 48, 64)


def test_references_larger_than_the_canvas_or_smaller_than_the_multiple_are_named():
    large = make_pair(refs=((20, 20), (20, 501)))
    with pytest.raises(BenchError, match=r"'000_2\.png' of pair '000' is 501x20, larger than the 500x500"):
        P["srntt"].changed({"stitch": "black-500"}).prepare(large, "cufed5")
    with pytest.raises(BenchError, match=r"'000_1\.png' of pair '000' of wrsr is smaller than 4 pixels"):
        P["c2"].prepare(make_pair(refs=((3, 90),)), "wrsr")


def test_a_large_reference_enlarges_the_lr_image():
    """That is the convention of pad-common: matching needs both maps of one size."""
    sample = P["c2"].prepare(make_pair(refs=((400, 20),)), "wrsr")
    assert sample.lr.shape == (100, 16, 3) and sample.crop == (0, 0, 48, 64)
    assert sample.hr.shape == (48, 64, 3)
