"""RCAN against the authors' module and BasicSR's."""

import pytest
import torch
from golden import closeness, golden, official

from baselines import edsr, rcan

MEAN = {"sub_mean.weight": torch.eye(3)[..., None, None]}  # of the authors' files, which the vectors leave out
PUBLISHED = {"channels": 64, "groups": 10, "blocks": 20, "reduction": 16}
SMALL = {"channels": 16, "groups": 2, "blocks": 3, "reduction": 4}


@pytest.mark.parametrize(("name", "peak"), [("rcan", 1), ("rcan_official", 255)])
def test_same_output_as_basicsr_and_the_authors_module_in_their_own_names(shared, name, peak) -> None:
    arrays, meta = golden(shared, name)
    options, state = rcan.convert([official(meta) | (MEAN if name == "rcan_official" else {})])
    assert options == PUBLISHED
    net = rcan.build(**options)
    net.load_state_dict(state)
    assert sum(p.numel() for p in net.parameters()) == rcan.METHODS[0].parameters == 15_592_355
    with torch.no_grad():
        sr = rcan.restore(net, arrays["in_lr"] / peak, None, [])
    assert closeness(sr * peak, arrays["out_sr"]) < 1e-4


def test_the_frozen_means_of_the_authors_file_are_left_out() -> None:
    state = rcan.build(**SMALL).state_dict()
    names = {
        "conv_first.weight": "head.0.weight",
        "body.1.conv.bias": "body.1.body.3.bias",
        "body.1.residual_group.2.rcab.3.attention.3.bias": "body.1.body.2.body.3.conv_du.2.bias",
        "conv_after_body.weight": "body.2.weight",
    }
    theirs = {names.get(key, key): value for key, value in state.items()} | {"sub_mean.weight": torch.zeros(3, 3, 1, 1)}
    options, converted = rcan.convert([theirs])
    assert options == SMALL and converted.keys() == state.keys()


def test_the_same_network_without_the_means_is_another_one() -> None:
    theirs = {"head.0.weight": torch.zeros(16, 3, 3, 3), "upsample.2.weight": torch.zeros(64, 16, 3, 3)}
    theirs |= {"body.0.body.0.body.3.conv_du.0.weight": torch.zeros(4, 16, 1, 1)}
    assert rcan.convert([theirs]) is None and rcan.convert([theirs | MEAN]) is not None


def test_a_file_of_another_model_is_not_taken() -> None:
    small = edsr.build(channels=8, blocks=2, scale=1.0).state_dict()
    names = {"conv_first.weight": "head.0.weight", "body.0.conv1.weight": "body.0.body.0.weight"}
    for state in (small, {names.get(key, key): value for key, value in small.items()}):
        assert rcan.convert([state]) is None
    assert edsr.convert([rcan.build(**SMALL).state_dict()]) is None


def test_any_size_and_gradients_to_every_weight() -> None:
    net = rcan.build(**SMALL)
    sr = rcan.restore(net, torch.rand(2, 3, 7, 5), None, [])
    assert sr.shape == (2, 3, 28, 20)
    sr.square().mean().backward()
    assert all(p.grad.abs().sum() > 0 for p in net.parameters())
