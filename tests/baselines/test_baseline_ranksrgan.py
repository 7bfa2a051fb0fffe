"""RankSRGAN against the authors' module."""

import torch
from golden import closeness, golden, official

from baselines import esrgan, ranksrgan, srgan

SMALL = {"channels": 8, "blocks": 2}


def test_same_output_as_the_authors_module_in_their_own_names(shared) -> None:
    arrays, meta = golden(shared, "ranksrgan")
    options, state = ranksrgan.convert([official(meta)])
    assert options == {"channels": 64, "blocks": 16}
    net = ranksrgan.build(**options)
    net.load_state_dict(state)
    assert sum(p.numel() for p in net.parameters()) == ranksrgan.METHODS[0].parameters == 1_554_499
    with torch.no_grad():
        assert closeness(ranksrgan.restore(net, arrays["in_lr"], None, []), arrays["out_sr"]) < 1e-4


def test_our_own_files() -> None:
    net = ranksrgan.build(**SMALL)
    options, state = ranksrgan.convert([net.state_dict()])
    assert options == SMALL and state.keys() == net.state_dict().keys()


def test_files_of_other_models_are_not_taken() -> None:
    for other in (srgan.build(**SMALL), srgan.build(modified=False, **SMALL), esrgan.build(blocks=1)):
        assert ranksrgan.convert([other.state_dict()]) is None


def test_any_size_and_gradients_to_every_weight() -> None:
    net = ranksrgan.build(**SMALL)
    sr = ranksrgan.restore(net, torch.rand(2, 3, 7, 5), None, [])
    assert sr.shape == (2, 3, 28, 20)
    sr.square().mean().backward()
    assert all(p.grad.abs().sum() > 0 for p in net.parameters())
