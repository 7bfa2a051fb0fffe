"""CrossNet against its authors' module."""

import pytest
import torch
import torch.nn.functional as F
from golden import closeness, golden, official

from baselines import crossnet


@pytest.fixture(scope="module")
def vectors(shared):
    """The vectors' arrays, and the network with the weights that the authors' names give, through ``convert``."""
    arrays, meta = golden(shared, "crossnet")
    options, state = crossnet.convert([official(meta)])
    net = crossnet.build(**options)
    net.load_state_dict(state)
    return arrays, net.eval().requires_grad_(False)


def test_same_flows_and_output_as_the_authors_module(vectors) -> None:
    arrays, net = vectors
    flows = net.flownet(arrays["in_lr_up"], arrays["in_ref"])
    for level in range(4):
        assert closeness(flows[level], arrays[f"out_flow_12_{level + 1}"]) < 1e-4
    sr = crossnet.restore(net, None, arrays["in_lr_up"], [arrays["in_ref"]], sr_init=arrays["in_sr_init"])
    assert closeness(sr, arrays["out_sr"]) < 1e-4


@pytest.mark.parametrize(("lr_size", "ref_size"), [((9, 13), (40, 100)), ((17, 11), (28, 64))])
def test_image_and_reference_are_filled_with_zeros_to_one_size(vectors, lr_size, ref_size) -> None:
    _, net = vectors
    height, width = (4 * side for side in lr_size)
    lr_up, ref = torch.rand(1, 3, height, width), torch.rand(1, 3, *ref_size)
    sr = crossnet.restore(net, torch.rand(1, 3, *lr_size), lr_up, [ref])
    common = [64 * -(-max(sides) // 64) for sides in zip((height, width), ref_size, strict=True)]
    lr_up, ref = (
        F.pad(image, (0, common[1] - image.shape[3], 0, common[0] - image.shape[2])) for image in (lr_up, ref)
    )
    assert torch.equal(sr, net(lr_up, lr_up, ref)[..., :height, :width])


def test_gradients_reach_all_that_the_output_depends_on() -> None:
    net = crossnet.build()
    lr_up, ref = torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64)
    crossnet.restore(net, None, lr_up, [ref]).sum().backward()
    without = {name for name, p in net.named_parameters() if p.grad is None}
    assert without == {"decoder.post_fusion2.weight", "decoder.post_fusion2.bias"}  # as in the authors' code


def test_a_file_of_another_model_is_not_taken() -> None:
    assert crossnet.convert([{"FlowNet.conv1.0.weight": torch.zeros(64, 6, 7, 7)}]) is None


def test_parameters() -> None:
    assert sum(p.numel() for p in crossnet.build().parameters()) == 35_183_841 == crossnet.METHODS[0].parameters
