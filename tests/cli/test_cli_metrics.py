"""--metric adds metrics to a run, and --metric-weights names the files that they need."""

import json

import pytest
import torch
from click.testing import CliRunner
from torchvision.models import vgg16

from refsr_bench.cli import main

BICUBIC = ["run", "--method", "bicubic", "--dataset", "sample", "--limit", "1", "--no-save-images"]


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "vgg16.pth"
    state = vgg16(weights=None).features.state_dict()
    torch.save({f"features.{key}": tensor for key, tensor in state.items()}, path)
    return path


def test_a_metric_is_measured_beside_those_of_the_protocol(tmp_path, weights):
    words = [*BICUBIC, "--metric", "dists", "--metric", "psnr_y_full", "--metric-weights", f"dists={weights}"]
    done = CliRunner().invoke(main, [*words, "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    result = json.loads((tmp_path / "c2" / "sample" / "bicubic" / "result.json").read_text())
    names = [metric["name"] for metric in result["run"]["metrics"]]
    assert names == ["psnr_y", "ssim_y", "ssim_y_uniform7", "psnr_rgb", "lpips", "dists", "psnr_y_full"]
    assert 0 < result["means"]["dists"] < 1 and "PSNR-Y full" in done.output
    page = (tmp_path / "site" / "index.html").read_text()
    assert "DISTS" in page and "dists" in (tmp_path / "site" / "leaderboard.csv").read_text()


@pytest.mark.parametrize(
    "words, told",
    [
        (["--metric", "dist"], "There is no metric called 'dist'. Did you mean dists"),
        (["--metric-weights", "vgg16.pth"], "write METRIC=FILE"),
        (["--metric-weights", "psnr_y=vgg16.pth"], "psnr_y needs no file"),
        (["--metric", "niqe", "--metric-weights", "niqe=none.npz"], "There is no weights file at none.npz"),
    ],
)
def test_wrong_words_are_misuse(tmp_path, words, told):
    done = CliRunner().invoke(main, [*BICUBIC, *words, "--out", str(tmp_path)])
    assert done.exit_code == 2 and told in done.output and not list(tmp_path.iterdir())
