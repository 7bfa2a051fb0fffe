"""EDSR against the authors' module and BasicSR's."""

import pytest
import torch
from golden import closeness, fill, golden, official

from baselines import edsr
from baselines.nets.edsr import EDSR

L, M = {"channels": 256, "blocks": 32, "scale": 0.1}, {"channels": 64, "blocks": 16, "scale": 1.0}


@pytest.mark.parametrize(("name", "options"), [("edsr_l", L), ("edsr_m", M)])
def test_same_output_as_basicsr(shared, name, options) -> None:
    arrays, meta = golden(shared, name)
    net = fill(EDSR(**options), meta)
    assert closeness(net(arrays["in_lr"]), arrays["out_sr"]) < 1e-4


def test_same_output_as_the_authors_module_in_their_own_names(shared) -> None:
    arrays, meta = golden(shared, "edsr_official")
    mean = {"sub_mean.weight": torch.eye(3)[..., None, None]}  # of the authors' files, which the vectors leave out
    assert edsr.convert([official(meta)]) is None
    options, state = edsr.convert([official(meta) | mean])
    assert options == L
    net = edsr.build(**options)
    net.load_state_dict(state)
    assert closeness(edsr.restore(net, arrays["in_lr"] / 255, None, []) * 255, arrays["out_sr"]) < 1e-4


def test_sizes_are_read_off_a_file() -> None:
    options, state = edsr.convert([EDSR(**M).state_dict()])
    assert options == M and state.keys() == EDSR(**M).state_dict().keys()


def test_a_file_of_another_model_is_not_taken() -> None:
    esrgan = {"conv_first.weight": torch.zeros(64, 3, 3, 3), "body.0.rdb1.conv1.weight": torch.zeros(32, 64, 3, 3)}
    assert edsr.convert([esrgan]) is None


def test_parameters_of_both_published_networks() -> None:
    counts = [sum(p.numel() for p in EDSR(**options).parameters()) for options in (L, M)]
    assert counts == [43_089_923, 1_517_571] and edsr.METHODS[0].parameters == counts[0]
