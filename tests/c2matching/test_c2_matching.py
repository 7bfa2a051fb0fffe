"""Patch matching and pre-offsets."""

import pytest
import torch
import torch.nn.functional as F
from filled import error, tensor

from c2matching.matching import patch_correlation
from c2matching.matching.correspondence import GAP, canvas_tops, correspond, on_canvas
from c2matching.matching.patch_correlation import match
from c2matching.matching.patches import index_to_flow
from c2matching.matching.pre_offsets import pre_offsets

SCALES = (("relu3_1", 1), ("relu2_1", 2), ("relu1_1", 4))


def by_convolution(features, ref):
    """The definition, literally: every reference patch is a kernel of unit length. Returns index and cosine."""
    channels, h, w = features.shape
    kernels = F.unfold(ref[None], 3)[0].T
    kernels = kernels / (kernels.norm(dim=1, keepdim=True) + 1e-5)
    best, index = F.conv2d(features[None], kernels.reshape(-1, channels, 3, 3))[0].max(0)
    norms = F.unfold(features[None], 3)[0].norm(dim=0).view(h - 2, w - 2) + 1e-5
    return index, best / norms


def relative(actual, expected):
    return error(actual, expected) / abs(expected).min()


def test_golden_matches(golden):
    z = golden("b_match")
    cases = [key.removesuffix("_feat_input") for key in z if key.endswith("_feat_input")]
    assert {"equal", "ref_small", "ref_large"} <= set(cases)
    for case in cases:
        features, ref = tensor(z[f"{case}_feat_input"]), tensor(z[f"{case}_feat_ref"])
        index, value = match(features, ref)
        assert (index.numpy() == z[f"{case}_max_idx"]).all()
        assert error(value, z[f"{case}_max_val"]) < 1e-5
        index, value = match(features, ref, normalise_input=False)
        assert (index.numpy() == z[f"{case}_max_idx"]).all()
        assert relative(value, z[f"{case}_max_val_unnormalised_input"]) < 1e-5
        index, value = match(features, ref, normalise_ref=False, normalise_input=False)
        assert (index.numpy() == z[f"{case}_max_idx_no_ref_norm"]).all()
        assert relative(value, z[f"{case}_max_val_no_ref_norm"]) < 1e-5


def test_golden_pre_offsets(golden):
    z = golden("c_pre_offset")
    for n in range(len(z["dense_features1"])):
        found = correspond(tensor(z["dense_features1"][n]), tensor(z["dense_features2"][n]))
        assert (found.index.numpy() == z["max_idx"][n]).all()
        assert error(found.similarity, z["max_val"][n]) < 1e-5
        for layer, scale in SCALES:
            assert error(pre_offsets(found.flow, scale), z[f"pre_offset_{layer}"][n]) == 0


@pytest.mark.parametrize("ref_size", [(11, 14), (7, 23), (30, 5)])
def test_equals_the_definition_in_double_precision(ref_size):
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(9, 11, 14, dtype=torch.float64, generator=generator)
    ref = torch.randn(9, *ref_size, dtype=torch.float64, generator=generator)
    index, value = match(features, ref)
    wanted, cosine = by_convolution(features, ref)
    assert torch.equal(index, wanted)
    assert (value - cosine).abs().max() < 1e-12


@pytest.mark.parametrize(("elements", "strip"), [(1, 4), (3_000, 7), (30_000, 5), (200_000, 256)])
def test_tiles_equal_one_tile(monkeypatch, elements, strip):
    features, ref = torch.randn(8, 21, 17), torch.randn(8, 26, 19)
    index, value = match(features, ref)
    assert patch_correlation._tile_rows(17, 24, 19, patch_correlation.TILE["cpu"]) == (4, 24)
    monkeypatch.setitem(patch_correlation.TILE, "cpu", elements)
    monkeypatch.setattr(patch_correlation, "STRIP", strip)
    tiled_index, tiled_value = match(features, ref)
    assert torch.equal(tiled_index, index)
    assert (tiled_value - value).abs().max() < 1e-6


def test_tiles_stay_within_their_limit():
    for width, ref_rows, ref_width in ((120, 78, 120), (258, 748, 1000), (258, 2000, 3000), (17, 24, 19)):
        step, block = patch_correlation._tile_rows(width, ref_rows, ref_width, 1 << 21)
        assert step * width * (block + 2) * ref_width <= max(1 << 21, 3 * width * ref_width)
        assert step in (1, 2, 4) and 1 <= block <= ref_rows


@pytest.mark.parametrize("elements", [1, 1 << 21])
@pytest.mark.parametrize("precision", ["exact", "half"])
def test_ties_go_to_the_lowest_index(monkeypatch, elements, precision):
    monkeypatch.setitem(patch_correlation.TILE, "cpu", elements)
    once = torch.randint(-4, 5, (4, 8, 10)).float()  # whole numbers: equal patches correlate exactly equally
    index, _ = match(once, torch.cat([once, once, once], dim=1), precision=precision)
    assert torch.equal(index, torch.arange(48).view(6, 8))
    for flat in (torch.zeros(4, 5, 5), torch.ones(4, 5, 5)):
        index, similarity = match(flat, torch.ones(4, 6, 7), precision=precision)
        assert (index == 0).all() and similarity.isfinite().all()
    index, similarity = match(torch.ones(4, 5, 5), torch.zeros(4, 6, 7), precision=precision)
    assert (index == 0).all() and (similarity == 0).all()


def photos(height, width):
    """Two frames of one place, and another photo: descriptors of the bundled network (C, height/4, width/4)."""
    from filled import network_of

    from c2matching.checkpoints import BUNDLED
    from refsr_bench.data.opening import open_dataset
    from refsr_bench.learning.tensors import degrade, to_tensor
    from refsr_bench.pixels.resize import resize_pil_bicubic

    pair, other = open_dataset("sample").pairs[0], open_dataset("sample").pairs[4]
    images = [resize_pil_bicubic(source.load(), height, width) for source in (pair.hr, pair.refs[0], other.hr)]
    extractor = network_of(BUNDLED).extractor
    with torch.no_grad():
        low = extractor.feature_extraction_image1(to_tensor(degrade(images[0])[1])[None])[0]
        high = [extractor.feature_extraction_image2(to_tensor(image)[None])[0] for image in images[1:]]
    return [F.normalize(d, dim=0) for d in (low, *high)]


def test_photos_match_as_the_definition_has_it():
    """Equal but for true ties: where the index differs, the cosines differ by rounding."""
    low, high, _ = photos(160, 192)
    index, value = match(low, high)
    wanted, cosine = by_convolution(low, high)
    assert (value - cosine).abs().max() < 1e-5
    assert (index == wanted).float().mean() > 0.999
    half, similar = match(low, high, precision="half")
    assert (half == wanted).float().mean() > 0.8  # neighbouring descriptors of a photo are much alike
    assert (similar - cosine).abs().max() < 0.01


def test_several_references_equal_the_best_of_each():
    low, high, _ = photos(128, 128)
    refs = [high[:, :20], high, low[:, :, :9]]  # each has its part: the first where it equals the second
    found = correspond(low, refs)
    alone = [match(F.normalize(low, dim=0), F.normalize(ref, dim=0)) for ref in refs]
    best = torch.stack([value for _, value in alone])
    assert torch.equal(found.similarity, best.amax(0)) and torch.equal(found.reference, best.argmax(0))
    assert set(found.reference.unique().tolist()) == {0, 1, 2}
    tops = canvas_tops([ref.shape[1] for ref in refs])
    assert tops == [0, 20 + GAP, 52 + 2 * GAP]
    y, x = torch.meshgrid(torch.arange(30), torch.arange(30), indexing="ij")
    for n, (ref, (index, _)) in enumerate(zip(refs, alone, strict=True)):
        won = found.reference == n
        assert torch.equal(found.index[won], index[won])
        cols = ref.shape[2] - 2
        assert torch.equal((found.flow[..., 0] + x)[won], (index % cols).float()[won])
        assert torch.equal((found.flow[..., 1] + y)[won] - tops[n], (index // cols).float()[won])
    assert (correspond(low, [high, high]).reference == 0).all()  # ties go to the earlier


def test_the_canvas_holds_every_reference():
    maps = [torch.randn(2, 3, 8, 5), torch.randn(2, 3, 4, 9)]
    canvas = on_canvas(maps, 2)
    assert canvas.shape == (2, 3, 8 + 2 * GAP + 4, 9)
    assert torch.equal(canvas[:, :, :8, :5], maps[0]) and torch.equal(canvas[:, :, 8 + 2 * GAP :], maps[1])
    assert not canvas[:, :, 8 : 8 + 2 * GAP].any() and not canvas[:, :, :8, 5:].any()
    assert on_canvas(maps[:1]) is maps[0]


@pytest.mark.parametrize("size", [(160, 192), (100, 84)])
def test_coarse_matches_are_nearly_as_similar(size):
    """Recall on a pair of photos: the share found exactly, and what the others lose in cosine."""
    low, high, _ = photos(*size)
    exact, coarse = correspond(low, high), correspond(low, high, "coarse")
    assert (coarse.similarity <= exact.similarity + 1e-5).all()
    assert (coarse.index == exact.index).float().mean() > 0.9
    assert (exact.similarity - coarse.similarity).mean() < 0.005
    itself = correspond(high, high, "coarse")
    assert (itself.flow == 0).float().mean() > 0.99


@pytest.mark.parametrize("sizes", [((3, 3), (3, 3)), ((3, 9), (5, 4)), ((7, 5), (3, 30)), ((13, 11), (17, 9))])
def test_coarse_matching_of_small_maps_is_exact(sizes):
    """Few coarse cells are all candidates."""
    features, ref = (F.normalize(torch.randn(6, *size), dim=0) for size in sizes)
    exact, coarse = correspond(features, ref), correspond(features, ref, "coarse")
    assert torch.equal(coarse.index, exact.index) or (coarse.index == exact.index).float().mean() > 0.6
    assert (coarse.similarity <= exact.similarity + 1e-5).all()


def test_black_images_match_without_complaint():
    black = torch.zeros(8, 6, 7)
    for mode in ("exact", "half", "coarse"):
        found = correspond(black, [black, torch.randn(8, 9, 9)], mode)
        assert (found.similarity == 0).all() and (found.reference == 0).all() and found.flow.isfinite().all()


@pytest.mark.parametrize(("dy", "dx", "size"), [(2, 5, (20, 31)), (0, 0, (12, 15)), (6, 1, (19, 16))])
def test_a_shifted_copy_in_a_reference_of_another_size(dy, dx, size):
    ref = torch.randn(32, *size)
    found = correspond(3 * ref[:, dy : dy + 12, dx : dx + 15], ref)
    assert found.flow.shape == (10, 13, 2)
    assert (found.flow == torch.tensor([dx, dy])).all()
    assert (found.similarity - 1).abs().max() < 1e-4
    assert torch.equal(index_to_flow(found.index, size[1] - 2), found.flow)


def test_maps_below_three_by_three():
    with pytest.raises(ValueError, match="2x9 and 5x5"):
        match(torch.zeros(3, 2, 9), torch.zeros(3, 5, 5))


def test_every_tap_reads_the_flow_its_shift_names():
    flow = torch.arange(40.0).view(4, 5, 2)
    p0 = pre_offsets(flow, 2)
    assert p0.shape == (9, 12, 14, 2)
    for i in range(3):
        for j in range(3):
            for y, x in ((5, 7), (0, 0), (11, 13)):
                r, c = y // 2 - i, x // 2 - j
                inside = 0 <= r < 4 and 0 <= c < 5
                assert torch.equal(p0[3 * i + j, y, x], 2 * flow[r, c] if inside else torch.zeros(2))


def test_unmirrored_taps_read_the_patch_around_their_own_sample():
    """A reference that is a shifted copy has one displacement everywhere; elsewhere tap (i, j) at (y, x) samples
    (y+i-1, x+j-1), the middle of patch (y+i-2, x+j-2)."""
    flow = torch.arange(40.0).view(4, 5, 2)
    for taps in ("unmirrored", "covering"):
        p0 = pre_offsets(flow, 2, taps)
        assert p0.shape == (9, 12, 14, 2)
        for i in range(3):
            for j in range(3):
                for y, x in ((5, 7), (0, 0), (11, 13), (2, 9)):
                    r, c = (y // 2 + i - 2, x // 2 + j - 2) if taps == "unmirrored" else (y // 2 - i, x // 2 - j)
                    wanted = 2 * flow[min(max(r, 0), 3), min(max(c, 0), 4)]
                    assert torch.equal(p0[3 * i + j, y, x], wanted)
