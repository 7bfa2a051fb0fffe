"""ESRGAN against the authors' module and BasicSR's."""

import pytest
import torch
from golden import closeness, golden, official

from baselines import edsr, esrgan, srgan

SMALL = {"channels": 16, "blocks": 2, "growth": 8}


@pytest.mark.parametrize("name", ["rrdbnet", "esrgan_oldkeys"])
def test_same_output_as_basicsr_and_the_authors_module_in_their_own_names(shared, name) -> None:
    arrays, meta = golden(shared, name)
    options, state = esrgan.convert([official(meta)])
    assert options == {"channels": 64, "blocks": 23, "growth": 32}
    net = esrgan.build(**options)
    net.load_state_dict(state)
    assert sum(p.numel() for p in net.parameters()) == esrgan.METHODS[0].parameters == 16_697_987
    with torch.no_grad():
        assert closeness(esrgan.restore(net, arrays["in_lr"], None, []), arrays["out_sr"]) < 1e-4


def before_names(key: str) -> str:
    """Our key as files of 2018 have it, for two blocks: a list of layers."""
    part, _, rest = key.partition(".")
    if part == "body":
        block, dense, conv, kind = rest.split(".")
        return f"model.1.sub.{block}.{dense.upper()}.{conv}.0.{kind}"
    places = {"conv_first": "0", "conv_body": "1.sub.2", "conv_up1": "3", "conv_up2": "6", "conv_hr": "8"}
    return f"model.{places.get(part, '10')}.{rest}"


@pytest.mark.parametrize("name", [before_names, "generator.{}".format, str])
def test_names_of_other_files(name) -> None:
    own = esrgan.build(**SMALL).state_dict()
    options, state = esrgan.convert([{name(key): value for key, value in own.items()}])
    assert options == SMALL and state.keys() == own.keys() and all(state[key] is own[key] for key in own)


def test_files_of_other_models_are_not_taken() -> None:
    own = esrgan.build(**SMALL).state_dict()
    folded = own | {"conv_first.weight": torch.zeros(16, 12, 3, 3)}  # BasicSR's network for x2
    x2 = {key: value for key, value in own.items() if not key.startswith("conv_up2")}
    others = (srgan.build(channels=8, blocks=2).state_dict(), edsr.build(channels=8, blocks=2).state_dict())
    for state in (folded, x2, *others):
        assert esrgan.convert([state]) is None
    assert srgan.convert([own]) is None and edsr.convert([own]) is None


def test_any_size_and_gradients_to_every_weight() -> None:
    net = esrgan.build(**SMALL)
    sr = esrgan.restore(net, torch.rand(2, 3, 7, 5), None, [])
    assert sr.shape == (2, 3, 28, 20)
    sr.square().mean().backward()
    assert all(p.grad.abs().sum() > 0 for p in net.parameters())
