"""SRCNN: there are no golden vectors, so its three layers are computed by scipy."""

import numpy as np
import pytest
import torch
from golden import closeness
from scipy.ndimage import correlate
from skimage.color import rgb2ycbcr

from baselines import esrgan, srcnn

NETWORKS = [((9, 5, 5), 1, 57_281), ((9, 1, 5), 1, 8_129), ((9, 1, 5), 3, 20_099)]


def network(channels: int = 1, kernels: tuple[int, ...] = (9, 5, 5)) -> torch.nn.Module:
    torch.manual_seed(0)
    return srcnn.build(channels=channels, kernels=list(kernels)).eval()


def layer(images: np.ndarray, weight: np.ndarray, bias: np.ndarray, border: str) -> np.ndarray:
    """(C, H, W) -> (D, H, W)."""
    sums = [
        sum(correlate(image, k, mode=border, cval=0) for image, k in zip(images, one, strict=True)) for one in weight
    ]
    return np.stack(sums) + bias[:, None, None]


@pytest.mark.parametrize(("kernels", "channels", "parameters"), NETWORKS)
def test_layers_and_their_borders(kernels, channels, parameters) -> None:
    net = network(channels, kernels)
    assert sum(p.numel() for p in net.parameters()) == parameters
    image = torch.rand(1, channels, 13, 14)
    state = {key: value.double().numpy() for key, value in net.state_dict().items()}
    x = image[0].double().numpy()
    for n in (1, 2, 3):
        x = layer(x, state[f"conv{n}.weight"], state[f"conv{n}.bias"], "nearest" if channels == 1 else "constant")
        x = np.maximum(x, 0) if n < 3 else x
    assert closeness(net(image)[0], torch.from_numpy(x)) < 1e-4


def test_only_luma_is_changed() -> None:
    net, lr_up = network(), torch.rand(1, 3, 20, 28)
    with torch.no_grad():
        sr = srcnn.restore(net, None, lr_up, [])
        before, after = (rgb2ycbcr(image[0].permute(1, 2, 0).double().numpy()) for image in (lr_up, sr))
        luma = net(torch.from_numpy(before[None, None, :, :, 0] / 255).float())
    assert np.abs(after[..., 1:] - before[..., 1:]).max() < 1e-3
    assert np.abs(after[..., 0] - 255 * luma[0, 0].numpy()).max() < 1e-3


def test_networks_on_rgb_get_the_lr_image_and_enlarge_it_themselves() -> None:
    net, lr = network(3, (9, 1, 5)), torch.rand(1, 3, 5, 7)
    enlarged = torch.nn.functional.interpolate(lr, size=(20, 28), mode="bicubic")
    assert closeness(srcnn.restore(net, lr, None, []), net(enlarged).detach()) < 1e-6


@pytest.mark.parametrize("prefix", ["", "generator."])
@pytest.mark.parametrize(("kernels", "channels", "parameters"), NETWORKS)
def test_networks_are_told_apart_by_their_shapes(kernels, channels, parameters, prefix) -> None:
    state = {prefix + key: value for key, value in network(channels, kernels).state_dict().items()}
    state |= {"step_counter": torch.zeros(1)} if prefix else {}
    options, converted = srcnn.convert([state])
    assert options == {"channels": channels, "kernels": list(kernels)}
    srcnn.build(**options).load_state_dict(converted)


def test_a_file_of_another_model_is_not_taken() -> None:
    assert srcnn.convert([esrgan.build(blocks=1).state_dict()]) is None


def test_gradients_reach_every_layer() -> None:
    net = network()
    srcnn.restore(net, None, torch.rand(1, 3, 12, 12), []).square().mean().backward()
    assert all(p.grad.abs().sum() > 0 for p in net.parameters())
