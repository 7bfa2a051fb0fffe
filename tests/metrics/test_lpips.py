"""LPIPS through the package, with AlexNet weights made on the spot: nothing is downloaded."""

import pickle

import numpy as np
import pytest

from refsr_bench.core.errors import BenchError
from refsr_bench.metrics import lpips as metric


@pytest.fixture(scope="module")
def alexnet():
    """torchvision's feature tensors with random values."""
    import torch
    from torchvision.models import alexnet

    with torch.random.fork_rng():
        torch.manual_seed(5)
        state = alexnet(weights=None).state_dict()
    return {name: tensor.clone() for name, tensor in state.items() if name.startswith("features.")}


@pytest.fixture
def images():
    rng = np.random.default_rng(3)
    hr = rng.integers(0, 256, (48, 56, 3), np.uint8)
    return np.clip(hr.astype(int) + rng.integers(-40, 41, hr.shape), 0, 255).astype(np.uint8), hr


def save(state, path):
    import torch

    torch.save(state, path)
    return path


def by_hand(alexnet, sr, hr):
    """The definition: unit-length features after each ReLU, squared differences, the package's linear layers, mean."""
    from importlib.resources import files

    import torch
    import torch.nn.functional as F

    lins = torch.load(str(files("lpips").joinpath("weights/v0.1/alex.pth")), map_location="cpu", weights_only=True)
    shift, scale = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])

    def features(image):
        x = torch.from_numpy(image.astype(np.float32).transpose(2, 0, 1))[None] / 127.5 - 1
        x = (x - shift[:, None, None]) / scale[:, None, None]
        for index, pool, (stride, pad) in (
            (0, 0, (4, 2)),
            (3, 1, (1, 2)),
            (6, 1, (1, 1)),
            (8, 0, (1, 1)),
            (10, 0, (1, 1)),
        ):
            x = F.max_pool2d(x, 3, 2) if pool else x
            weight, bias = alexnet[f"features.{index}.weight"], alexnet[f"features.{index}.bias"]
            x = F.relu(F.conv2d(x, weight, bias, stride=stride, padding=pad))
            yield x / (x.pow(2).sum(1, keepdim=True).sqrt() + 1e-10)

    return sum(
        float(F.conv2d((a - b) ** 2, lins[f"lin{k}.model.1.weight"]).mean())
        for k, (a, b) in enumerate(zip(features(sr), features(hr), strict=True))
    )


def test_equals_the_definition_with_the_same_weights(tmp_path, alexnet, images):
    compute = metric.load("cpu", save({**alexnet, "classifier.1.bias": alexnet["features.0.bias"]}, tmp_path / "a.pth"))
    sr, hr = images
    assert compute(sr, hr, 0, False) == pytest.approx(by_hand(alexnet, sr, hr), rel=1e-4)
    assert compute(sr, hr, 4, False) == pytest.approx(by_hand(alexnet, sr[4:-4, 4:-4], hr[4:-4, 4:-4]), rel=1e-4)
    assert compute(hr, hr, 4, False) == 0
    with pytest.raises(BenchError, match=r"at least 32x32 .* leaves 48x31"):
        compute(sr[:39], hr[:39], 4, False)
    with pytest.raises(BenchError, match="SR is 56x47"):
        compute(sr[1:], hr, 4, False)


def test_building_the_metric_leaves_the_random_numbers_alone(alexnet):
    import torch

    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    metric.build(alexnet, "memory")
    assert torch.equal(torch.rand(3), expected)


class Evil:
    """A pickle that would create a file when it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_files_that_are_no_alexnet_are_refused(tmp_path, alexnet):
    with pytest.raises(BenchError, match=r"no weights file .*none\.pth.*--metric-weights lpips=FILE"):
        metric.load("cpu", tmp_path / "none.pth")
    (tmp_path / "text.pth").write_text("not weights")
    with pytest.raises(BenchError, match=r"text\.pth cannot be read"):
        metric.load("cpu", tmp_path / "text.pth")
    half = save(alexnet, tmp_path / "half.pth")
    half.write_bytes(half.read_bytes()[:100_000])
    with pytest.raises(BenchError, match=r"half\.pth cannot be read"):
        metric.load("cpu", half)
    (tmp_path / "evil.pth").write_bytes(pickle.dumps(Evil(tmp_path / "made"), protocol=2))
    with pytest.raises(BenchError, match=r"evil\.pth asks for"):
        metric.load("cpu", tmp_path / "evil.pth")
    assert not (tmp_path / "made").exists()
    with pytest.raises(BenchError, match="holds no state dict"):
        metric.load("cpu", save([1], tmp_path / "list.pth"))
    with pytest.raises(BenchError, match=r"'features\.3\.weight' is missing"):
        metric.load("cpu", save({k: v for k, v in alexnet.items() if "3" not in k}, tmp_path / "part.pth"))
    other = {**alexnet, "features.6.weight": alexnet["features.8.weight"]}
    with pytest.raises(BenchError, match=r"'features\.6\.weight' has shape \(256, 384, 3, 3\)"):
        metric.load("cpu", save(other, tmp_path / "other.pth"))


def test_without_the_file_it_says_what_to_get(tmp_path, monkeypatch):
    for name in ("REFSR_WEIGHTS", "TORCH_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    with pytest.raises(BenchError, match=r"alexnet-owt-7be5be79\.pth is not on this machine.*--metric-weights lpips"):
        metric.load("cpu", None)


def test_a_damaged_cache_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    (tmp_path / "hub" / "checkpoints" / "alexnet-owt-7be5be79.pth").write_bytes(b"half")
    with pytest.raises(BenchError, match=r"alexnet-owt-7be5be79\.pth: its SHA-256 is .* damaged or another file"):
        metric.load("cpu", None)
