"""refsr-bench match: the figure of a match and what it says."""

from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from skimage import data

from c2matching import figure
from c2matching.matching.correspondence import GAP, Correspondence
from refsr_bench.cli import main


def run(*arguments, code: int = 0) -> str:
    result = CliRunner().invoke(main, ["match", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """LR and two references: the photo the LR image was made of, shifted, and another."""
    folder = tmp_path_factory.mktemp("photos")
    photo = Image.fromarray(data.astronaut())
    photo.crop((100, 0, 260, 128)).resize((40, 32), Image.Resampling.BICUBIC).save(folder / "lr.png")
    photo.crop((84, 0, 260, 150)).save(folder / "true.png")
    Image.fromarray(data.chelsea()[:100, :120]).save(folder / "other.jpg")
    Image.new("RGB", (40, 32)).save(folder / "black.png")
    return folder


@pytest.mark.parametrize("suffix", [".png", ".pdf", ".svg"])
def test_a_figure_and_a_summary(photos, tmp_path, suffix):
    out = tmp_path / f"match{suffix}"
    references = ("--ref", photos / "true.png", "--ref", photos / "other.jpg")
    text = run("--lr", photos / "lr.png", *references, "--out", out)
    assert out.stat().st_size > 5_000 and "1140 patches" in text
    shares = [float(line.split(": ")[1].split("%")[0]) for line in text.splitlines() if "% of the patches" in line]
    assert shares[0] > 60 and sum(shares) == pytest.approx(100, abs=0.2)
    assert "--overwrite" in run("--lr", photos / "lr.png", *references, "--out", out, code=2)


def test_one_reference_and_coarse_matching(photos, tmp_path):
    out = tmp_path / "match.png"
    for mode in ("exact", "coarse", "half"):
        options = ("--ref", photos / "true.png", "--matching", mode, "--lines", 0, "--overwrite")
        assert "100.0% of the patches" in run("--lr", photos / "lr.png", *options, "--out", out)
    assert Image.open(out).size[0] == 1440


def test_black_images(photos, tmp_path, recwarn):
    text = run("--lr", photos / "black.png", "--ref", photos / "black.png", "--out", tmp_path / "m.png",
               "--lines", 5)  # fmt: skip
    assert "mean cosine" in text and "nan" not in text
    assert not [w for w in recwarn.list if issubclass(w.category, RuntimeWarning)]


def test_bad_input(photos, tmp_path):
    (tmp_path / "text.png").write_text("no image")
    Image.new("RGB", (40, 11)).save(tmp_path / "low.png")
    lr, ref, out = photos / "lr.png", photos / "true.png", tmp_path / "m.png"
    for arguments, code, message in (
        (("--lr", tmp_path / "absent.png", "--ref", ref, "--out", out), 1, "no such file"),
        (("--lr", lr, "--ref", tmp_path / "text.png", "--out", out), 1, "text.png"),
        (("--lr", lr, "--ref", tmp_path / "low.png", "--out", out), 1, "The reference has 40x11"),
        (("--lr", lr, "--ref", ref, "--out", tmp_path / "m.gif"), 2, "must end in .png"),
        (("--lr", lr, "--ref", ref, "--out", tmp_path / "absent" / "m.png"), 2, "there is no folder"),
        (("--lr", lr, "--ref", ref, "--out", out, "--weights", tmp_path / "w.safetensors"), 2, "w.safetensors"),
    ):
        assert message in run(*arguments, code=code)
    assert not out.exists()


def test_points_lie_where_patches_match():
    """The second reference of two, three cells to the right of its start and one below."""
    flow = torch.tensor([[[3.0, 6 + GAP + 1]]])
    found = Correspondence(flow, torch.zeros(1, 1).long(), torch.ones(1, 1), torch.ones(1, 1).long())
    own, there = figure.matched_points(found, [6, 9])
    assert own[0, 0].tolist() == [6, 6] and there[0, 0].tolist() == [18, 10]


def test_colours_of_displacements():
    right, left, none = figure.flow_colours(np.array([[1.0, 0], [-1, 0], [0, 0]]))
    assert right.argmax() == 0 and left[0] < 0.01 and np.allclose(none, 0.97)


def test_lines_are_spread_over_the_image():
    confidence = np.random.default_rng(0).random((40, 60))
    cells = figure.spread(confidence, 24)
    assert 12 <= len(cells) <= 24
    assert {(row // 20, column // 20) for row, column in cells} == {(y, x) for y in range(2) for x in range(3)}


def test_patches_that_take_nothing_have_no_line() -> None:
    confidence = np.full((8, 8), np.nan)
    assert figure.spread(confidence, 10) == []
    confidence[3, 5] = 0.2
    assert figure.spread(confidence, 10) == [(3, 5)]
