"""The promises of every metric card."""

import numpy as np
import pytest

from refsr_bench.core.catalogue import collect

CARDS = collect("METRICS")


def test_the_names_results_rely_on():
    assert set(CARDS) >= {
        "psnr_y", "psnr_y_full", "psnr_rgb", "ssim_y", "ssim_y_uniform7", "ssim_y_full", "ssim_rgb", "lpips",
    }  # fmt: skip


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Files with random weights, by metric."""
    import torch
    from torchvision import models

    found = {}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for name, network in (("lpips", models.alexnet), ("dists", models.vgg16)):
            state = network(weights=None).features.state_dict()
            found[name] = tmp_path_factory.mktemp("weights") / f"{name}.pth"
            torch.save({f"features.{key}": tensor.clone() for key, tensor in state.items()}, found[name])
    return found


OWN_TESTS = ("niqe", "fid", "kid")  # look at SR alone, whose best value is no constant; at all images together


@pytest.mark.parametrize("name", [name for name in CARDS if name not in OWN_TESTS])
def test_identical_images_are_best_and_worse_ones_are_worse(name, weights):
    card = CARDS[name]
    assert card.direction in ("higher", "lower") and card.title and card.description.endswith(".")
    compute = card.load("cpu", weights.get(name))
    rng = np.random.default_rng(0)
    hr = rng.integers(60, 190, (48, 52, 3), np.uint8)
    error = rng.integers(-9, 10, hr.shape)
    same, near, far = (compute((hr + k * error).astype(np.uint8), hr, 4, False) for k in (0, 1, 5))
    best = {"psnr": np.inf, "ssim": 1, "lpip": 0, "dist": 0}[name[:4]]
    assert same == pytest.approx(best, abs=1e-5)
    assert (same > near > far) if card.direction == "higher" else (same < near < far)
    assert (card.get != "") == (card.file is not None)  # a metric that needs weights says how they are had
    assert compute(hr + 1, hr, 4, True) != same  # a protocol that rounds Y is served as well
    assert isinstance(near, float)
