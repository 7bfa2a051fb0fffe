"""Dynamic aggregation."""

import pytest
import torch
import torch.nn.functional as F
from filled import error, fill, tensor
from torchvision.ops import deform_conv2d

from c2matching.matching.patches import index_to_flow
from c2matching.matching.pre_offsets import pre_offsets
from c2matching.nets.dynamic_aggregation import DynamicAggregation, copy_patches
from refsr_bench.learning import deform
from refsr_bench.learning.deform import sample_at_once, sample_by_grid, sample_by_torchvision, sample_reference

BACKENDS = pytest.mark.parametrize("backend", ["auto", "grid", "torchvision"])


@BACKENDS
@pytest.mark.parametrize("training", [False, True])
def test_golden_layer(golden, training, backend, monkeypatch):
    monkeypatch.setattr(deform, "BACKEND", backend)
    z = golden("d_dynagg")
    layer = fill(DynamicAggregation(64, 8), "dyn_agg_restore.large_dyn_agg.").train(training)
    ref, features = tensor(z["ref_feat"]).requires_grad_(), tensor(z["offset_feat"]).requires_grad_()
    offset, mask = layer.offset_and_mask(features, tensor(z["pre_offset"]))
    out = layer(ref, features, tensor(z["pre_offset"]))
    (out * tensor(z["cotangent"])).sum().backward()
    found = {
        "total_offset": (offset, 1e-5),
        "mask": (mask, 1e-5),
        "output": (out, 2e-5),
        "grad_ref_feat": (ref.grad, 1e-4),
        "grad_offset_feat": (features.grad, 1e-4),
    }
    for key, (value, tolerance) in found.items():
        value, wanted = (value, z[key]) if key in z else (value[:, ::4], z[f"{key}_sub"])
        assert error(value, wanted) < tolerance, key
    if "grad_weight_norm" in z:
        assert layer.weight.grad.norm().item() == pytest.approx(float(z["grad_weight_norm"]), rel=1e-5)
        assert error(layer.bias.grad, z["grad_bias"]) < 1e-4
        assert error(layer.conv_offset_mask.bias.grad, z["grad_conv_offset_mask_bias"]) < 1e-4


def on_a_canvas(ref, offset, mask, weight, bias, origin):
    """The same through one zero-padded canvas that holds both the reference and the output grid."""
    h, w = offset.shape[-2:]
    height, width = max(ref.shape[-2], origin[0] + h), max(ref.shape[-1], origin[1] + w)

    def placed(x, top, left):
        return F.pad(x, (left, width - left - x.shape[-1], top, height - top - x.shape[-2]))

    out = deform_conv2d(
        placed(ref, 0, 0), placed(offset, *origin), weight, bias, padding=(1, 1), mask=placed(mask, *origin)
    )
    return out[..., origin[0] : origin[0] + h, origin[1] : origin[1] + w]


@pytest.mark.parametrize("size", [(12, 10), (5, 4), (40, 33), (12, 31), (7, 10), (33, 6)])
@pytest.mark.parametrize("origin", [(0, 0), (3, 5), (20, 0), (40, 40)])
@pytest.mark.parametrize("sample", [sample_by_grid, sample_by_torchvision, sample_at_once])
@torch.no_grad()
def test_reference_of_any_size_and_origin_anywhere(size, origin, sample, monkeypatch):
    monkeypatch.setattr(deform, "STRIP", 25)  # strips of two rows
    ref, weight, bias = torch.randn(2, 8, *size), torch.randn(6, 8, 3, 3), torch.randn(6)
    offset, mask = 6 * torch.randn(2, 2 * 18, 12, 10), torch.rand(2, 2 * 9, 12, 10)
    wanted = on_a_canvas(ref, offset, mask, weight, bias, origin)
    assert (sample(ref, offset, mask, weight, bias, origin) - wanted).abs().max() < 5e-4


def test_gradients_of_both_ways_are_equal():
    def arguments():
        generator = torch.Generator().manual_seed(0)
        shapes = ((2, 8, 9, 11), (2, 36, 7, 8), (2, 18, 7, 8), (6, 8, 3, 3), (6,))
        scales = (1, 4, 1, 1, 1)
        return [
            (scale * torch.randn(shape, generator=generator)).requires_grad_()
            for shape, scale in zip(shapes, scales, strict=True)
        ]

    one, other = arguments(), arguments()
    cotangent = torch.randn(2, 6, 7, 8)
    for sample, inputs in ((sample_by_grid, one), (sample_by_torchvision, other)):
        (sample(*inputs, (2, 1)) * cotangent).sum().backward()
    for a, b in zip(one, other, strict=True):
        assert b.grad.any() and (a.grad - b.grad).abs().max() < 1e-4 * b.grad.abs().max()


def test_the_cpu_samples_by_grid(monkeypatch):
    called = []
    monkeypatch.setattr(deform, "sample_by_grid", lambda *_: called.append("grid"))
    monkeypatch.setattr(deform, "sample_by_torchvision", lambda *_: called.append("torchvision"))
    for backend in ("auto", "grid", "torchvision"):
        monkeypatch.setattr(deform, "BACKEND", backend)
        sample_reference(torch.zeros(1), *[None] * 4)
    assert called == ["grid", "grid", "torchvision"]


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("size", [(9, 8), (6, 13)])
def test_copied_patches_are_folded_and_averaged(scale, size):
    """Against F.fold of the matched patches, away from the border, where all nine patches exist."""
    ref = torch.randn(1, 3, size[0] * scale, size[1] * scale)
    index = torch.randint(0, (size[0] - 2) * (size[1] - 2), (7, 6))
    kernel = {"kernel_size": 3 * scale, "stride": scale}
    patches = F.unfold(ref, **kernel)[:, :, index.flatten()]
    h, w = 9 * scale, 8 * scale
    folded = F.fold(patches, (h, w), **kernel) / F.fold(torch.ones_like(patches), (h, w), **kernel)
    copied = copy_patches(ref, pre_offsets(index_to_flow(index, size[1] - 2), scale, "covering")[None])
    inside = slice(2 * scale, -2 * scale)
    assert (copied - folded)[..., inside, inside].abs().max() < 1e-5
    assert copied.shape == folded.shape and copied.isfinite().all()


def test_new_layer_predicts_no_offset():
    layer = DynamicAggregation(16, 2)
    offset, mask = layer.offset_and_mask(torch.randn(1, 16, 5, 6), torch.ones(1, 9, 5, 6, 2))
    assert (offset == 1).all() and (mask == 0.5).all()
    assert 0 < layer.weight.abs().max() <= 1 / 12
