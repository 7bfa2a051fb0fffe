"""SRGAN's modified generator against the modules of BasicSR and mmsr; the paper's against its layers one by one."""

import pytest
import torch
import torch.nn.functional as F
from golden import closeness, golden, official
from torch import Tensor

from baselines import ranksrgan, srgan
from refsr_bench.formats.checkpoints import synthetic

PAPER = {"modified": False, "channels": 8, "blocks": 3}
MODIFIED = {"modified": True, "channels": 8, "blocks": 3}


@pytest.mark.parametrize("name", ["msrresnet", "msrresnet_oldkeys"])
def test_same_output_as_basicsr_and_mmsr_in_their_own_names(shared, name) -> None:
    arrays, meta = golden(shared, name)
    options, state = srgan.convert([official(meta)])
    assert options == {"modified": True, "channels": 64, "blocks": 16}
    net = srgan.build(**options)
    net.load_state_dict(state)
    with torch.no_grad():
        assert closeness(srgan.restore(net, arrays["in_lr"], None, []), arrays["out_sr"]) < 1e-4


def reimplemented(first: str, second: str, third: str) -> dict[str, Tensor]:
    """Random weights of the paper's generator, 8 channels and 3 blocks, as SRGAN-PyTorch names them."""
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator) / max(1.0, float(torch.tensor(shape[1:]).prod())) ** 0.5

    def norm(name: str) -> dict[str, Tensor]:
        state = {f"{name}.{part}": random(8) for part in ("weight", "bias", "running_mean")}
        state[f"{name}.running_var"] = random(8).square() + 0.5
        return state | {f"{name}.num_batches_tracked": torch.tensor(7)}

    state = {f"{first}.0.weight": random(8, 3, 9, 9), f"{first}.0.bias": random(8)}
    state |= {f"{first}.1.weight": random(1), f"{second}.0.weight": random(8, 8, 3, 3), **norm(f"{second}.1")}
    for n in range(3):
        block = f"trunk.{n}.rcb"
        state |= {f"{block}.0.weight": random(8, 8, 3, 3), f"{block}.3.weight": random(8, 8, 3, 3)}
        state |= {f"{block}.2.weight": random(1), **norm(f"{block}.1"), **norm(f"{block}.4")}
    for n in range(2):
        block = f"upsampling.{n}.upsample_block"
        state |= {
            f"{block}.0.weight": random(32, 8, 3, 3),
            f"{block}.0.bias": random(32),
            f"{block}.2.weight": random(1),
        }
    return state | {f"{third}.weight": random(3, 8, 9, 9), f"{third}.bias": random(3)}


@pytest.mark.parametrize("names", [("conv1", "conv2", "conv3"), ("conv_block1", "conv_block2", "conv_block3")])
def test_the_paper_s_generator_layer_by_layer(names) -> None:
    first, second, third = names
    state = reimplemented(*names)

    def conv(x: Tensor, name: str) -> Tensor:
        weight = state[f"{name}.weight"]
        return F.conv2d(x, weight, state.get(f"{name}.bias"), padding=weight.shape[-1] // 2)

    def norm(x: Tensor, name: str) -> Tensor:
        parts = ("running_mean", "running_var", "weight", "bias")
        return F.batch_norm(x, *(state[f"{name}.{part}"] for part in parts))

    def prelu(x: Tensor, name: str) -> Tensor:
        return torch.where(x > 0, x, x * state[f"{name}.weight"])

    lr = torch.rand(1, 3, 7, 6)
    head = x = prelu(conv(lr, f"{first}.0"), f"{first}.1")
    for n in range(3):
        name = f"trunk.{n}.rcb"
        y = prelu(norm(conv(x, f"{name}.0"), f"{name}.1"), f"{name}.2")
        x = x + norm(conv(y, f"{name}.3"), f"{name}.4")
    x = head + norm(conv(x, f"{second}.0"), f"{second}.1")
    for n in range(2):
        name = f"upsampling.{n}.upsample_block"
        x = prelu(F.pixel_shuffle(conv(x, f"{name}.0"), 2), f"{name}.2")

    options, converted = srgan.convert([state])
    assert options == PAPER
    net = srgan.build(**options).eval()
    net.load_state_dict(converted)
    assert closeness(srgan.restore(net, lr, None, []), conv(x, third)) < 1e-4


@pytest.mark.parametrize("options", [PAPER, MODIFIED])
def test_our_own_files(options) -> None:
    net = srgan.build(**options)
    found, state = srgan.convert([net.state_dict()])
    assert found == options and state.keys() == net.state_dict().keys()


def test_files_of_other_models_are_not_taken() -> None:
    other = ranksrgan.build(channels=8, blocks=2).state_dict()
    assert srgan.convert([other]) is None
    theirs = {key.replace("body.", "recon_trunk.").replace("conv_recon_trunk", "LRconv"): v for key, v in other.items()}
    assert "LRconv.weight" in theirs and srgan.convert([theirs]) is None
    x2 = {key: v for key, v in srgan.build(**MODIFIED).state_dict().items() if not key.startswith("upconv2")}
    assert srgan.convert([x2]) is None


def test_parameters_of_both_generators() -> None:
    counts = [sum(p.numel() for p in srgan.build(modified=modified).parameters()) for modified in (True, False)]
    assert counts == [1_517_571, 1_547_350] and srgan.METHODS[0].parameters == counts[0]


@pytest.mark.parametrize("options", [PAPER, MODIFIED])
def test_any_size_and_gradients_to_every_weight(options) -> None:
    net = synthetic(srgan.build(**options)).eval()
    sr = srgan.restore(net, torch.rand(2, 3, 7, 5), None, [])
    assert sr.shape == (2, 3, 28, 20)
    sr.square().mean().backward()
    assert all(p.grad.abs().sum() > 0 for p in net.parameters())
