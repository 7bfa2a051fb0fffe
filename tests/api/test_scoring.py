"""``measure`` and ``score``: against scikit-image, and against the run that made the images."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

import refsr_bench
from refsr_bench.cli import main
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.results import read_result


@pytest.fixture
def images(photo) -> tuple[np.ndarray, np.ndarray]:
    hr = photo(60, 80, 1)
    noise = np.random.default_rng(0).normal(0, 9, hr.shape)
    return (hr + noise).clip(0, 255).astype(np.uint8), hr


def test_it_gives_scikit_images_numbers(images) -> None:
    sr, hr = images
    luma = [rgb2ycbcr(image)[4:-4, 4:-4, 0] for image in images]
    options = {"data_range": 255, "gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    _, similar = structural_similarity(*luma, full=True, **options)
    found = refsr_bench.measure(sr, hr)
    assert found["psnr_y"] == pytest.approx(peak_signal_noise_ratio(luma[1], luma[0], data_range=255), abs=1e-3)
    assert found["ssim_y"] == pytest.approx(similar[5:-5, 5:-5].mean(), abs=1e-5)
    whole = refsr_bench.measure(sr, hr, "psnr_rgb", border=0)
    assert whole == {"psnr_rgb": pytest.approx(peak_signal_noise_ratio(hr, sr), abs=1e-9)}
    assert refsr_bench.measure(hr, hr, ["psnr_y"]) == {"psnr_y": float("inf")}


def test_it_gives_the_numbers_of_a_run(tmp_path: Path) -> None:
    result = refsr_bench.evaluate("bicubic", refsr_bench.load_dataset("sample")[:1], out=tmp_path)
    (hr,) = (result.folder.parent / "inputs").glob("*/hr.png")
    found = refsr_bench.measure(result.folder / "images/motorcycle.png", hr)
    assert found == {name: result.images[0].metrics[name] for name in ("psnr_y", "ssim_y")}


def test_a_metric_without_its_weights_is_tried_again(photo, monkeypatch: pytest.MonkeyPatch) -> None:
    from refsr_bench.api import measures
    from refsr_bench.core.cards import MetricCard

    tries = []

    def load(device: str, weights: Path | None):
        tries.append(device)
        if len(tries) == 1:
            raise BenchError("weights are missing.")
        return lambda sr, hr, border, y_rounded: 7.0

    card = MetricCard("seven", "Seven", "lower", "", 0, "Always seven.", load)
    monkeypatch.setattr(measures.catalogue, "get", lambda kind, name: card)
    monkeypatch.setattr(measures, "_READY", {})
    assert measures.metrics_of(["seven"], "cpu")[0].compute is None
    (found,) = measures.metrics_of(["seven"], "cpu")
    assert found.compute is not None and measures.metrics_of(["seven"], "cpu") == (found,) and len(tries) == 2
    assert refsr_bench.measure(photo(12, 12), photo(12, 12), "seven") == {"seven": 7.0}


def test_what_cannot_be_measured_is_refused_in_words(images) -> None:
    sr, hr = images
    with pytest.raises(Misuse, match=r"sr: an array of float64, 60 x 80 x 3.*astype\('uint8'\)"):
        refsr_bench.measure(sr / 255, hr)
    with pytest.raises(Misuse, match=r"hr: an array of uint8, 60 x 80. .*np.stack"):
        refsr_bench.measure(sr, hr[..., 0])
    with pytest.raises(BenchError, match="80x60"):
        refsr_bench.measure(sr[:40], hr)
    with pytest.raises(Misuse, match=r"psnr-y.*Did you mean"):
        refsr_bench.measure(sr, hr, ["psnr-y"])
    with pytest.raises(Misuse, match="border=-1"):
        refsr_bench.measure(sr, hr, border=-1)
    with pytest.raises(BenchError, match="11x11"):
        refsr_bench.measure(sr[:18, :18], hr[:18, :18])


def test_a_folder_is_scored_as_by_the_command(wrsr, tmp_path: Path) -> None:
    root = wrsr(3)
    data = refsr_bench.load_dataset("wrsr", root)
    ran = refsr_bench.evaluate("bicubic", data, out=tmp_path / "run")
    images = ran.folder / "images"
    result = refsr_bench.score(images, data, name="My method", out=tmp_path / "api")
    assert result.means == ran.means and result.run.origin == "folder"
    arguments = ["score", "--pred", images, "--dataset", "wrsr", "--data-root", root, "--name", "My method", "--out"]
    told = CliRunner().invoke(main, [*map(str, arguments), str(tmp_path / "cli")])
    assert told.exit_code == 0, told.output
    ours, theirs = (read_result(tmp_path / side / "c2/wrsr/My-method/result.json") for side in ("api", "cli"))
    assert ours.run.identity() == theirs.run.identity() and ours.images == theirs.images
    (images / "002.png").unlink()
    with pytest.raises(Misuse, match="no SR image for 1 of 3 pairs: 002"):
        refsr_bench.score(images, data, name="Less")
    assert len(refsr_bench.score(images, data, name="Less", partial=True).images) == 2
