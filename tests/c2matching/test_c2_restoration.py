"""The restoration network."""

import pytest
import torch
import torch.nn.functional as F
from filled import error, fill, tensor

from c2matching.checkpoints import options_of
from c2matching.matching.patches import index_to_flow
from c2matching.matching.pre_offsets import pre_offsets
from c2matching.nets.restoration import FULL, LIGHT, RestorationConfig, RestorationNet
from refsr_bench.learning.scales import SCALES, at_grid
from refsr_bench.learning.training.losses import reconstruction_loss

SMALL = RestorationConfig(channels=8, blocks=(1, 2, 0, 3), groups=4)


def inputs(net, h=6, w=7, size=(9, 5)):
    """LR, reference features of a reference of ``size`` (LR pixels), and p0 for one image."""
    flow = torch.randint(-4, 5, (h - 2, w - 2, 2)).float()
    scales = [value for value in SCALES.values() if value[0] in net.ref_layers]
    refs = {layer: torch.randn(1, channels, size[0] * f, size[1] * f) for layer, channels, f in scales}
    return torch.rand(1, 3, h, w), refs, {layer: pre_offsets(flow, f)[None] for layer, _, f in scales}


@pytest.mark.parametrize("training", [False, True])
def test_golden_restoration(whole, training):
    z = whole("f_restoration_full")
    net = fill(RestorationNet()).train(training)
    seen = {}
    restore = net.dyn_agg_restore
    for name, module in {
        "content_feat": net.content_extractor,
        "small_dyn_agg": restore.small_dyn_agg,
        "small_out": restore.tail_small,
        "medium_dyn_agg": restore.medium_dyn_agg,
        "medium_out": restore.tail_medium,
        "large_dyn_agg": restore.large_dyn_agg,
    }.items():
        module.register_forward_hook(lambda _, __, out, name=name: seen.update({name: out}))

    flow = index_to_flow(tensor(z["max_idx"]).long(), 10)
    offsets = {layer: pre_offsets(flow, factor)[None] for layer, _, factor in SCALES.values()}
    for layer, offset in offsets.items():
        assert error(offset, z[f"pre_offset_{layer}"]) == 0
    sr = net(tensor(z["lq"]), {layer: tensor(z[f"ref_{layer}"]) for layer in offsets}, offsets)
    assert error(sr, z["sr"]) < 5e-5
    assert error(seen["content_feat"], z["content_feat"]) < 1e-4
    assert error(seen["small_dyn_agg"], z["small_dyn_agg"]) < 1e-4
    assert error(seen["small_out"], z["small_out"]) < 1e-4
    assert error(seen["medium_dyn_agg"][:, ::4], z["medium_dyn_agg_sub"]) < 1e-4
    assert error(seen["medium_out"][:, ::4], z["medium_out_sub"]) < 1e-4
    assert error(seen["large_dyn_agg"][:, ::8], z["large_dyn_agg_sub"]) < 1e-4

    loss = reconstruction_loss(sr, tensor(z["target"]))
    loss.backward()
    assert loss.item() == pytest.approx(float(z["l1_loss"]), rel=1e-5)
    norms = {name: parameter.grad.norm().item() for name, parameter in net.named_parameters()}
    assert list(norms) == list(z["grad_norm_names"])
    assert list(norms.values()) == pytest.approx(z["grad_norms"].tolist(), rel=1e-3)


@pytest.mark.parametrize(("config", "parameters"), [(FULL, 8_865_547), (LIGHT, 4_825_395)])
def test_sizes_of_table_4(config, parameters):
    assert sum(p.numel() for p in RestorationNet(config).parameters()) == parameters


@pytest.mark.parametrize("config", [FULL, LIGHT, SMALL, RestorationConfig(48, (8, 4, 4, 2), 2, False)])
def test_sizes_are_read_off_the_weights(config):
    options = options_of(RestorationNet(config).state_dict())
    assert RestorationConfig(**options | {"blocks": tuple(options["blocks"])}) == config


@torch.no_grad()
def test_the_light_model_reads_two_layers():
    net = RestorationNet(LIGHT).eval()
    assert net.ref_layers == ("relu2_1", "relu1_1")
    lr, refs, offsets = inputs(net)
    sr = net(lr, refs, offsets)
    assert sr.shape == (1, 3, 24, 28)
    for layer in net.ref_layers:
        changed = net(lr, {**refs, layer: -refs[layer]}, offsets)
        assert (changed - sr).abs().max() > 0, layer


@torch.no_grad()
@pytest.mark.parametrize("size", [(3, 4), (6, 7), (11, 4), (9, 13)])
def test_a_reference_of_any_size_equals_its_zero_padded_version(size):
    net = RestorationNet(SMALL).eval()
    lr, refs, offsets = inputs(net, size=size)
    height, width = (16 - n for n in size)
    padded = {layer: F.pad(refs[layer], (0, f * width, 0, f * height)) for layer, _, f in SCALES.values()}
    assert (net(lr, refs, offsets) - net(lr, padded, offsets)).abs().max() < 1e-5


def test_grid_cut_or_padded():
    ref = torch.rand(1, 2, 5, 6)
    assert torch.equal(at_grid(ref, (3, 2), (1, 4)), ref[..., 1:4, 4:6])
    padded = at_grid(ref, (4, 4), (3, 4))
    assert torch.equal(padded[..., :2, :2], ref[..., 3:, 4:])
    assert padded.count_nonzero() == ref[..., 3:, 4:].count_nonzero()
    assert torch.equal(at_grid(ref, (2, 3), (9, 9)), torch.zeros(1, 2, 2, 3))


@torch.no_grad()
def test_residual_is_added_to_the_bilinear_image():
    net = RestorationNet(SMALL).eval()
    for parameter in net.dyn_agg_restore.tail_large[2].parameters():
        parameter.zero_()
    lr, refs, offsets = inputs(net)
    base = F.interpolate(lr, size=(24, 28), mode="bilinear", align_corners=False)
    assert torch.equal(net(lr, refs, offsets), base)
