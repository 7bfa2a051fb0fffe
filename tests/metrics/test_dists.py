"""DISTS through torchmetrics, with VGG16 weights made on the spot: nothing is downloaded."""

import numpy as np
import pytest

from refsr_bench.core.errors import BenchError
from refsr_bench.metrics import dists as metric

pytest.importorskip("torchmetrics")


@pytest.fixture(scope="module")
def vgg16():
    """torchvision's feature tensors with random values, strong enough that deep maps still differ."""
    import torch
    from torchvision.models import vgg16

    with torch.random.fork_rng():
        torch.manual_seed(5)
        state = vgg16(weights=None).features.state_dict()
    return {f"features.{name}": tensor.clone() for name, tensor in state.items()}


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(3)
    hr = rng.integers(0, 256, (48, 57, 3), np.uint8)
    return np.clip(hr.astype(int) + rng.integers(-40, 41, hr.shape), 0, 255).astype(np.uint8), hr


def by_hand(vgg16, sr, hr):
    """The paper's definition in float64: Hann-weighted L2 poolings, means and covariances of 1,475 maps."""
    from importlib.resources import files

    import torch
    import torch.nn.functional as F

    source = files("torchmetrics").joinpath("functional/image/dists_models/weights.pt")
    weights = torch.load(str(source), weights_only=True)
    alpha, beta = (weights[name].double().flatten() for name in ("alpha", "beta"))
    hann = torch.tensor([0.5, 1, 0.5], dtype=torch.float64)
    window = torch.outer(hann, hann) / 4

    def features(image):
        x = torch.from_numpy(image / 255.0).permute(2, 0, 1)[None]
        maps = [x]
        mean, std = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]]).double()[:, None, :, None, None]
        x = (x - mean) / std
        for stage in ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28)):
            if stage[0]:
                channels = x.shape[1]
                kernel = window.expand(channels, 1, 3, 3)
                x = (F.conv2d(x**2, kernel, stride=2, padding=1, groups=channels) + 1e-12).sqrt()
            for layer in stage:
                weight, bias = (vgg16[f"features.{layer}.{part}"].double() for part in ("weight", "bias"))
                x = F.relu(F.conv2d(x, weight, bias, padding=1))
            maps.append(x)
        return [one.flatten() for x in maps for one in x[0]]

    value, total = 0.0, float(alpha.sum() + beta.sum())
    for k, (x, y) in enumerate(zip(features(sr), features(hr), strict=True)):
        mx, my = x.mean(), y.mean()
        covariance = ((x - mx) * (y - my)).mean()
        luminance = (2 * mx * my + 1e-6) / (mx**2 + my**2 + 1e-6)
        structure = (2 * covariance + 1e-6) / (((x - mx) ** 2).mean() + ((y - my) ** 2).mean() + 1e-6)
        value += float(alpha[k] * luminance + beta[k] * structure) / total
    assert k == 1474
    return 1 - value


def test_equals_the_definition_with_the_same_weights(tmp_path, vgg16, images):
    import torch

    path = tmp_path / "vgg16.pth"
    torch.save({**vgg16, "classifier.6.bias": torch.zeros(1000)}, path)
    compute = metric.load("cpu", path)
    sr, hr = images
    whole, inner = compute(sr, hr, 0, False), compute(sr, hr, 4, True)
    assert whole == pytest.approx(by_hand(vgg16, sr, hr), rel=2e-3)
    assert inner == pytest.approx(by_hand(vgg16, sr[4:-4, 4:-4], hr[4:-4, 4:-4]), rel=2e-3)
    assert abs(whole - inner) > 1e-4 and whole > 0.003
    assert compute(hr, hr, 4, False) == pytest.approx(0, abs=1e-5)
    with pytest.raises(BenchError, match="SR is 57x47"):
        compute(sr[1:], hr, 4, False)


def test_the_weights_of_maps_are_the_authors():
    from pathlib import Path

    from torchmetrics.functional.image import dists

    from refsr_bench.formats.checkpoints import sha256

    file = Path(dists.__file__).with_name("dists_models") / "weights.pt"
    assert sha256(file).startswith("f5e65c96230b")
    assert {name: tuple(tensor.shape) for name, tensor in metric._map_weights().items()} == {
        name: (1, 1475, 1, 1) for name in ("alpha", "beta")
    }


def test_files_that_are_no_vgg16_are_refused(tmp_path, vgg16, monkeypatch):
    with pytest.raises(BenchError, match=r"no weights file .*none\.pth.*--metric-weights dists=FILE"):
        metric.load("cpu", tmp_path / "none.pth")
    with pytest.raises(BenchError, match=r"memory is not a VGG16 state dict: 'features\.28\.bias' is missing"):
        metric.build({key: tensor for key, tensor in vgg16.items() if key != "features.28.bias"}, "memory")
    with pytest.raises(BenchError, match=r"'features\.0\.weight' has shape \(64,\)"):
        metric.build({**vgg16, "features.0.weight": vgg16["features.0.bias"]}, "memory")
    for name in ("REFSR_WEIGHTS", "TORCH_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "nothing"))
    with pytest.raises(BenchError, match=r"vgg16-397923af\.pth is not on this machine.*--metric-weights dists"):
        metric.load("cpu", None)
