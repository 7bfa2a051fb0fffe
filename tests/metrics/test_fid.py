"""FID and KID against torchmetrics, SciPy and piq, on made features and on an Inception with made weights."""

import numpy as np
import pytest

from refsr_bench.core.errors import BenchError
from refsr_bench.metrics import _inception, fid

pytest.importorskip("piq")


@pytest.fixture(scope="module")
def made():
    """Features of 60 crops and of 60 others, 12 numbers each, that depend on each other."""
    rng = np.random.default_rng(4)
    mix = rng.normal(size=(12, 12))
    return rng.normal(size=(60, 12)) @ mix, 0.3 + rng.normal(size=(60, 12)) @ mix * 1.2


def test_fid_is_the_formula_and_torchmetrics(made):
    import torch
    from scipy.linalg import sqrtm
    from torchmetrics.image.fid import _compute_fid

    sr, hr = made
    c1, c2 = np.cov(sr.T), np.cov(hr.T)
    expected = ((sr.mean(0) - hr.mean(0)) ** 2).sum() + np.trace(c1 + c2 - 2 * sqrtm(c1 @ c2).real)
    assert fid.fid(sr, hr) == pytest.approx(expected, rel=1e-9) and expected > 1
    moments = [torch.from_numpy(part) for part in (sr.mean(0), c1, hr.mean(0), c2)]
    assert fid.fid(sr, hr) == pytest.approx(float(_compute_fid(*moments)), rel=1e-6)
    assert fid.fid(sr, sr) == pytest.approx(0, abs=1e-9)


def test_kid_is_torchmetrics_on_all_crops(made):
    import torch
    from torchmetrics.image.kid import poly_mmd

    sr, hr = made
    expected = float(poly_mmd(torch.from_numpy(hr), torch.from_numpy(sr)))
    assert fid.kid(sr, hr) == pytest.approx(expected, rel=1e-9)
    assert abs(expected) > 0.1


def test_kid_of_many_crops_is_the_same_every_time_and_near_the_whole(monkeypatch):
    rng = np.random.default_rng(5)
    sr, hr = rng.normal(size=(400, 8)), 0.5 + rng.normal(size=(400, 8))
    whole = fid.kid(sr, hr)
    monkeypatch.setattr(fid, "SUBSET", 100)
    drawn = fid.kid(sr, hr)
    assert drawn == fid.kid(sr, hr) and drawn != whole and drawn == pytest.approx(whole, rel=0.1)


@pytest.fixture(scope="module")
def state():
    """Weights of the network with random values and without counters, as the published file has them."""
    import torch
    from piq.feature_extractors import fid_inception as blocks
    from torchvision.models import inception_v3

    with torch.random.fork_rng():
        torch.manual_seed(1)
        net = inception_v3(num_classes=1008, aux_logits=False, weights=None, init_weights=False)
        net.Mixed_5b, net.Mixed_5c = blocks.FIDInceptionA(192, 32), blocks.FIDInceptionA(256, 64)
        net.Mixed_5d, net.Mixed_7c = blocks.FIDInceptionA(288, 64), blocks.FIDInceptionE2(2048)
        found = {key: value.clone() for key, value in net.state_dict().items()}
        for key in found:  # statistics of norms other than those of an untrained network
            if key.endswith("running_mean"):
                found[key] = 0.1 * torch.randn_like(found[key])
    return {key: value for key, value in found.items() if not key.endswith("num_batches_tracked")}


def test_features_are_those_of_piq(state, monkeypatch):
    import torch
    from piq.feature_extractors import fid_inception as theirs

    counted = dict(state)
    for key, value in theirs.models.inception_v3(num_classes=1008, aux_logits=False, weights=None,
                                                 init_weights=False).state_dict().items():  # fmt: skip
        if key.endswith("num_batches_tracked"):
            counted[key] = value
    monkeypatch.setattr(theirs, "load_state_dict_from_url", lambda *args, **kwargs: counted)
    net = theirs.InceptionV3().eval()
    rng = np.random.default_rng(6)
    image = rng.integers(0, 256, (128, 200, 3), np.uint8)
    mine = _inception.Features(_inception.build(state, "memory")).of(image)
    both = np.stack([image[:, :128], image[:, 64:192]])
    with torch.inference_mode():
        (expected,) = net(torch.from_numpy(both).permute(0, 3, 1, 2).float() / 255)
    assert mine.shape == (2, 2048) and mine.std() > 0
    np.testing.assert_allclose(mine, expected.flatten(1).numpy(), rtol=1e-4, atol=1e-6)


def test_a_crop_is_looked_at_once_and_few_are_kept(monkeypatch):
    import torch

    class Mean(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.seen, self.weight = 0, torch.nn.Parameter(torch.zeros(1))

        def forward(self, batch):
            self.seen += len(batch)
            return batch.mean((2, 3)).repeat(1, 683)[:, :2048]

    found = _inception.Features(Mean())
    first, second = (np.full((192, 128, 3), value, np.uint8) for value in (10, 20))
    assert len(found.of(first)) == 2 and found.of(first)[0, 0] == pytest.approx(2 * 10 / 255 - 1, abs=1e-6)
    assert found.network.seen == 2
    monkeypatch.setattr(_inception, "MOST_KEPT", 3)
    found.of(second)
    found.of(second)
    assert found.network.seen == 4
    found.of(first)  # had to make room
    assert found.network.seen == 6
    assert found.of(first[:100]).shape == (0, 2048)


@pytest.mark.parametrize("size", [(127, 500), (128, 128), (324, 492), (200, 300)])
def test_crops_are_counted_as_they_are_cut(size):
    image = np.zeros((*size, 3), np.uint8)
    assert _inception.count([size]) == len(list(_inception.crops(image)))
    assert _inception.count([(324, 492)] * 126) == 3024  # CUFED5 under c2, enough for FID


def test_too_few_crops_are_refused_before_the_network_runs():
    gather = fid._Gather(None, fid.fid, fid.FEWEST_FOR_FID, "FID")
    with pytest.raises(BenchError, match="FID needs at least 2,049 crops of 128x128 pixels; 2 images hold 2"):
        gather([(128, 128)] * 2, iter(()))


def test_another_network_is_refused(tmp_path, state):
    import torch

    path = tmp_path / "inception.pth"
    torch.save({key: value for key, value in state.items() if key != "fc.bias"}, path)
    with pytest.raises(BenchError, match=r"does not hold the weights of the Inception-v3 of FID: it lacks fc\.bias"):
        _inception.features("cpu", path)
