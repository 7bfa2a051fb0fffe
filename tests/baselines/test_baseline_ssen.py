"""SSEN against the one implementation that is public, which is not its authors'."""

import pytest
import torch
import torch.nn.functional as F
from golden import closeness, golden, official

from baselines import ssen


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(0)
    return ssen.build(channels=8, blocks=1).eval()


@pytest.mark.parametrize("skip", ["add", "concat"])
def test_same_offsets_and_output_as_the_unofficial_module(shared, skip) -> None:
    arrays, meta = golden(shared, f"ssen_unofficial_{skip}")
    options, state = ssen.convert([official(meta)])
    assert options == {"channels": 64, "blocks": 16, "skip": skip}
    net = ssen.build(**options).eval().requires_grad_(False)
    net.load_state_dict(state)
    assert sum(p.numel() for p in net.parameters()) == meta["n_params"]

    offsets = []
    net.align["3"].offset.register_forward_hook(lambda module, inputs, output: offsets.append(output))
    sr = ssen.restore(net, arrays["in_lr"], None, [arrays["in_ref"]])
    assert closeness(offsets[0], arrays["out_offset3"]) < 1e-4
    assert closeness(sr, arrays["out_sr"]) < 1e-4


@pytest.mark.parametrize(
    ("lr_size", "ref_size", "common"),
    [((5, 7), (20, 28), (16, 16)), ((17, 13), (40, 100), (24, 32)), ((24, 16), (64, 60), (24, 16))],
)
def test_image_and_reference_are_filled_with_zeros_to_one_size(small, lr_size, ref_size, common) -> None:
    lr, ref = torch.rand(2, 3, *lr_size), torch.rand(2, 3, *ref_size)
    with torch.no_grad():
        sr = ssen.restore(small, lr, None, [ref])
        lr = F.pad(lr, (0, common[1] - lr_size[1], 0, common[0] - lr_size[0]))
        ref = F.pad(ref, (0, 4 * common[1] - ref_size[1], 0, 4 * common[0] - ref_size[0]))
        assert torch.equal(sr, small(lr, ref)[..., : 4 * lr_size[0], : 4 * lr_size[1]])


def test_gradients_reach_all_parameters() -> None:
    net = ssen.build(channels=8, blocks=1)
    ssen.restore(net, torch.rand(2, 3, 16, 16), None, [torch.rand(2, 3, 64, 64)]).square().sum().backward()
    assert not [name for name, p in net.named_parameters() if p.grad is None or not p.grad.isfinite().all()]


def test_a_file_of_another_model_is_not_taken() -> None:
    assert ssen.convert([{"residual_blocks.0.conv1.weight": torch.zeros(64, 64, 3, 3)}]) is None


def test_parameters() -> None:
    count = sum(p.numel() for p in ssen.build().parameters())
    assert [card.parameters for card in ssen.METHODS] == [count, count] == [3_137_942] * 2
