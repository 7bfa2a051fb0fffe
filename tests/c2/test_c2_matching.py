"""Patch matching and pre-offsets."""

import pytest
import torch
import torch.nn.functional as F
from filled import error, tensor

from c2matching import correspondence
from c2matching.correspondence import correspond, index_to_flow, match, pre_offsets

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
        flow, index, similarity = correspond(tensor(z["dense_features1"][n]), tensor(z["dense_features2"][n]))
        assert (index.numpy() == z["max_idx"][n]).all()
        assert error(similarity, z["max_val"][n]) < 1e-5
        for layer, scale in SCALES:
            assert error(pre_offsets(flow, scale), z[f"pre_offset_{layer}"][n]) == 0


@pytest.mark.parametrize("ref_size", [(11, 14), (7, 23), (30, 5)])
def test_equals_the_definition_in_double_precision(ref_size):
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(9, 11, 14, dtype=torch.float64, generator=generator)
    ref = torch.randn(9, *ref_size, dtype=torch.float64, generator=generator)
    index, value = match(features, ref)
    wanted, cosine = by_convolution(features, ref)
    assert torch.equal(index, wanted)
    assert (value - cosine).abs().max() < 1e-12


@pytest.mark.parametrize("elements", [1, 30_000, 200_000])
def test_tiles_equal_one_tile(monkeypatch, elements):
    features, ref = torch.randn(8, 21, 17), torch.randn(8, 26, 19)
    index, value = match(features, ref)
    assert correspondence._row_tiles(19, 17, 24, 19) == (19, 24)  # all at once
    monkeypatch.setattr(correspondence, "TILE_ELEMENTS", elements)
    assert correspondence._row_tiles(19, 17, 24, 19) != (19, 24)
    tiled_index, tiled_value = match(features, ref)
    assert torch.equal(tiled_index, index)
    assert (tiled_value - value).abs().max() < 1e-6


@pytest.mark.parametrize("elements", [1, 1 << 24])
def test_ties_go_to_the_lowest_index(monkeypatch, elements):
    monkeypatch.setattr(correspondence, "TILE_ELEMENTS", elements)
    once = torch.randint(-4, 5, (4, 8, 10)).float()  # whole numbers: equal patches correlate exactly equally
    index, _ = match(once, torch.cat([once, once, once], dim=1))
    assert torch.equal(index, torch.arange(48).view(6, 8))
    index, _ = match(torch.zeros(4, 5, 5), once)
    assert (index == 0).all()


@pytest.mark.parametrize(("dy", "dx", "size"), [(2, 5, (20, 31)), (0, 0, (12, 15)), (6, 1, (19, 16))])
def test_a_shifted_copy_in_a_reference_of_another_size(dy, dx, size):
    ref = torch.randn(32, *size)
    flow, index, similarity = correspond(3 * ref[:, dy : dy + 12, dx : dx + 15], ref)
    assert flow.shape == (10, 13, 2)
    assert (flow == torch.tensor([dx, dy])).all()
    assert (similarity - 1).abs().max() < 1e-4
    assert torch.equal(index_to_flow(index, size[1] - 2), flow)


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
