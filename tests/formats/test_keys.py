"""State dicts as trainers wrap them: their tables, their prefixes, and what stands beside the network."""

import pytest
import torch

from refsr_bench.formats.checkpoints import read_weights
from refsr_bench.formats.keys import bare, readings, unwrapped

STATE = {"conv.weight": torch.ones(2, 3), "conv.bias": torch.zeros(2)}
OTHER = {"conv.weight": torch.zeros(2, 3), "conv.bias": torch.ones(2)}


def prefixed(prefix, state=STATE):
    return {f"{prefix}{key}": value for key, value in state.items()}


@pytest.mark.parametrize(
    "content",
    [
        {"params-ema": STATE, "params": OTHER},  # the averaged ones count, whatever comes first
        {"params": OTHER, "params_ema": STATE},
        {"net": STATE, "epoch": 3},
        {"model_state_dict": STATE, "optimizer_state_dict": {"state": {}}, "loss": 0.1},
        {"state_dict": prefixed("module."), "arch": "net"},
        {"state_dict": prefixed("_orig_mod.module.")},
        {"generator": STATE, "discriminator": OTHER, "iteration": 7},
        {"netG": STATE, "netD": OTHER},
        {"checkpoint": {"model": {"params": STATE}}},
        {"weights of mine": STATE},
        {"epoch": 9, "state_dict": {"params_ema": prefixed("module.")}},
    ],
    ids=lambda content: "-".join(content),
)
def test_the_network_is_found_in_what_trainers_write(tmp_path, content):
    torch.save(content, tmp_path / "net.pth")
    state = read_weights(tmp_path / "net.pth")
    assert state.keys() == STATE.keys() and all(torch.equal(state[key], STATE[key]) for key in STATE)


def test_a_tensor_called_like_a_wrapper_is_none():
    content = {"net": torch.ones(1), "model": torch.ones(1)}
    assert unwrapped(content) is content
    assert bare("module.module.net.weight") == "net.weight" and bare("modules.weight") == "modules.weight"


@pytest.mark.parametrize("prefix", ["generator.", "model.", "net.", "netG.", "generator.module."])
def test_networks_beside_critics_are_a_reading_of_their_own(prefix):
    state = {**prefixed(prefix), **prefixed("discriminator.", OTHER), "step_counter": torch.zeros(1)}
    first, *others = readings(state)
    assert len(first) == 5
    assert any(reading.keys() == STATE.keys() and reading["conv.bias"] is STATE["conv.bias"] for reading in others)
