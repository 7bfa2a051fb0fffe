"""SwinIR against the authors' module, their test script's padding, and BasicSR's module."""

import pytest
import torch
import torch.nn.functional as F
from golden import closeness, golden, official

from baselines import swinir
from baselines.nets import swinir as nets
from baselines.nets.swinir import SwinIR
from refsr_bench.core.errors import BenchError

M = {
    "channels": 180,
    "groups": 6,
    "layers": 6,
    "heads": 6,
    "window": 8,
    "mlp_ratio": 2,
    "upsampler": "pixelshuffle",
    "bottleneck": False,
}
S = M | swinir.SMALL
L = M | {"channels": 240, "groups": 9, "heads": 8, "upsampler": "nearest+conv", "bottleneck": True}
TINY = M | {"channels": 12, "groups": 2, "layers": 2, "heads": 2}


def loaded(states):
    options, state = swinir.convert(states)
    net = swinir.build(**options)
    net.load_state_dict(state)
    return net.eval(), options


def tiny(**options):
    torch.manual_seed(0)
    return swinir.build(**TINY | options).eval()


@pytest.mark.parametrize(
    ("name", "options"), [("swinir_m", M), ("swinir_s", S), ("swinir_official", M), ("swinir_large_gan", L)]
)
@torch.inference_mode()
def test_same_output_as_the_modules_in_their_own_names(shared, name, options) -> None:
    arrays, meta = golden(shared, name)
    net, read = loaded([official(meta)])
    assert read == options
    lr = arrays["in_lr"]  # 16x20; both modules were given it continued by reflection to 16x24
    sr = net(F.pad(lr, (0, -lr.shape[-1] % 8, 0, -lr.shape[-2] % 8), "reflect"))
    assert closeness(sr[..., : 4 * lr.shape[-2], : 4 * lr.shape[-1]], arrays["out_sr"]) < 1e-4
    if "out_sr_testscript" in arrays:
        sr = swinir.restore(net, lr, None, [])
        assert closeness(sr, arrays["out_sr_testscript"]) < 1e-4
        assert closeness(sr, arrays["out_sr"]) > 1e-3  # the padding is seen in the output


def test_windows_are_put_together_as_they_were_cut() -> None:
    x = torch.randn(2, 16, 24, 3)
    windows = nets.partition(x, 8)
    assert windows.shape == (12, 64, 3) and windows[1].equal(x[0, :8, 8:16].reshape(64, 3))
    assert nets.merge(windows, 8, 16, 24).equal(x)


def test_pixels_from_opposite_borders_do_not_see_each_other() -> None:
    """The cyclic shift without a mask lets a change in the top left corner reach the bottom right one."""
    layer = nets.SwinLayer(4, 2, 8, 4, 2)
    x = torch.randn(1, 24, 24, 4)
    other = x.clone()
    other[:, :4, :4] += 1
    mask = nets.shift_mask(24, 24, 8, x.device)
    changed = (layer(other, mask) - layer(x, mask)).abs().amax(-1)[0] > 0
    assert changed[:4, :4].all() and changed.sum() == 16
    unmasked = torch.zeros_like(mask)
    assert ((layer(other, unmasked) - layer(x, unmasked))[:, -4:, -4:].abs() > 0).any()


def test_bias_is_that_of_the_relative_position() -> None:
    index = nets.relative_index(8)
    assert index[9, 0] == index[63, 54] and index[9, 0] == 8 * 15 + 8  # one down, one right
    assert index.unique().numel() == 225


@torch.inference_mode()
@pytest.mark.parametrize("upsampler", nets.UPSAMPLERS)
@pytest.mark.parametrize(("height", "width"), [(1, 3), (8, 13)])
def test_any_size_is_restored(upsampler, height, width) -> None:
    net = tiny(upsampler=upsampler)
    lr = torch.rand(2, 3, height, width)
    sr = swinir.restore(net, lr, None, [torch.rand(2, 3, 40, 24)])
    assert sr.shape == (2, 3, 4 * height, 4 * width)
    assert closeness(swinir.restore(net, lr[1:], None, []), sr[1:]) < 1e-4  # images of a batch do not mix


def test_mirror_images_continue_however_small_the_image() -> None:
    x = torch.arange(3.0).view(1, 1, 1, 3)
    assert swinir.mirrored(x, 2, 8).tolist() == [[[[0, 1, 2, 2, 1, 0, 0, 1]] * 2]]


def test_training_adds_no_window_and_reaches_every_weight() -> None:
    net = tiny(bottleneck=True).train()
    lr = torch.rand(1, 3, 16, 16)
    sr = swinir.restore(net, lr, None, [])
    assert sr.equal(net(lr)) and not sr.equal(swinir.restore(net.eval(), lr, None, []))
    sr.square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


@pytest.mark.parametrize(
    "changes", [{}, {"upsampler": "pixelshuffledirect", "mlp_ratio": 3}, {"bottleneck": True, "window": 4}]
)
def test_sizes_are_read_off_a_file_whatever_it_was_trained_on(changes) -> None:
    net = tiny(**changes)
    extra = {"layers.0.residual_group.blocks.1.attn_mask": torch.zeros(36, 64, 64)}
    extra["layers.0.residual_group.blocks.1.attn.relative_position_index"] = torch.zeros(64, 64)
    again, options = loaded([net.state_dict() | extra])
    assert options == TINY | changes
    lr = torch.rand(1, 3, 8, 8)
    assert again(lr).equal(net(lr))


@pytest.mark.parametrize(
    ("changes", "scale"),
    [
        ({"upsample.2.weight": None, "upsample.2.bias": None}, 2),
        ({"upsample.2.weight": None, "upsample.0.weight": torch.zeros(576, 64, 3, 3)}, 3),
        ({"upsample.4.weight": torch.zeros(256, 64, 3, 3)}, 8),
    ],
)
def test_a_file_for_another_scale_is_named(changes, scale) -> None:
    state = tiny().state_dict() | {f"upsampler.{key}": value for key, value in changes.items()}
    with pytest.raises(BenchError, match=f"x{scale};"):
        swinir.convert([{key: value for key, value in state.items() if value is not None}])


def test_a_file_of_another_model_is_not_taken() -> None:
    other = {"conv_first.weight": torch.zeros(180, 3, 3, 3), "conv_last.weight": torch.zeros(3, 64, 3, 3)}
    assert swinir.convert([other]) is None


def test_parameters_of_the_published_networks() -> None:
    counts = [sum(p.numel() for p in SwinIR(**options).parameters()) for options in (M, S, L)]
    assert counts == [11_900_199, 929_628, 28_013_059] and swinir.METHODS[0].parameters == counts[0]
