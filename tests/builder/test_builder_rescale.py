"""Rescaling: HR cut to a multiple of the scale, references brought to a comparable scale and never enlarged."""

from pathlib import Path

import numpy as np
import pytest
from album import save, view
from PIL import Image

from refsr_bench.builder import tables
from refsr_bench.builder.project import Project
from refsr_bench.builder.rescale import factor, rescale
from refsr_bench.builder.rows import Cleaned, Query, Selected
from refsr_bench.builder.settings import Settings
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.pixels.images import read_image


@pytest.mark.parametrize(
    ("ref", "scale", "wanted"),
    [
        ((500, 300), 0.0, 1.0),  # comparable already
        ((590, 300), 0.0, 1.0),  # within max_ratio
        ((2000, 900), 0.0, 0.25),  # to the input's long side
        ((300, 200), 0.0, 1.0),  # never enlarged
        ((900, 700), 1.0, 1.0),  # larger, but shows the same pixels per pixel: it shows more of the scene
        ((900, 700), 1.5, 1 / 1.5),  # one pixel per pixel
        ((900, 700), 0.5, 1.0),
        ((4000, 900), 1.0, 0.25),  # no more than max_long_ratio times the input's long side
        ((500, 400), 4.0, 0.66),  # not below ref_min_share
    ],
)
def test_the_factor(ref: tuple[int, int], scale: float, wanted: float) -> None:
    assert factor((500, 333), ref, scale, Settings()) == pytest.approx(wanted)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project.create(tmp_path / "p")
    save(view(0, 0).crop((0, 0, 239, 178)), made.path / "queries/001.png")
    save(view(0, 1).resize((480, 360), Image.Resampling.BICUBIC), made.path / "pool/files/a.png")
    save(view(0, 2), made.path / "pool/files/b.png")
    tables.append(made.table("queries"), [Query("001", "queries/001.png"), Query("002", "queries/001.png")])
    tables.append(made.table("clean"), [Cleaned("001", "pool/files/a.png", True, scale=2.0, inliers=50, rank=1)])
    tables.write(made.table("selected"), [Selected("001", "pool/files/a.png"), Selected("002", "")])
    return made


def test_both_sizes_are_recorded_and_files_fit(project: Project) -> None:
    assert rescale(project) == 1
    (row,) = project.rescaled
    assert (row.input_width_before, row.input_height_before, row.input_width, row.input_height) == (239, 178, 236, 176)
    assert (row.ref_width_before, row.ref_height_before, row.ref_width, row.ref_height) == (480, 360, 240, 180)
    assert (row.factor, row.resampling) == (0.5, "pil-bicubic")
    hr = read_image(project.file(row.input))
    assert np.array_equal(hr, read_image(project.path / "queries/001.png")[:176, :236])
    assert read_image(project.file(row.ref)).shape == (180, 240, 3)


def test_reduction_is_antialiased(project: Project) -> None:
    stripes = np.zeros((360, 480, 3), np.uint8)
    stripes[:, ::2] = 255
    save(Image.fromarray(stripes), project.path / "pool/files/a.png")
    rescale(project)
    ref = read_image(project.file(project.rescaled[0].ref)).astype(int)
    assert np.abs(ref[10:-10, 10:-10] - 127).max() <= 3  # grey, not the stripes of another frequency


def test_only_what_changed_is_made_again(project: Project) -> None:
    rescale(project)
    assert rescale(project) == 0
    tables.write(project.table("selected"), [Selected("001", "pool/files/b.png")])
    assert rescale(project) == 1
    assert [row.file for row in project.rescaled] == ["pool/files/b.png"]
    assert project.rescaled[0].factor == 1 and project.rescaled[0].resampling == "none"
    project.file(project.rescaled[0].ref).unlink()
    assert rescale(project) == 1


def test_an_input_below_the_scale_is_said(project: Project) -> None:
    save(Image.new("RGB", (3, 200)), project.path / "queries/001.png")
    with pytest.raises(BenchError, match="smaller than the scale"):
        rescale(project)


def test_nothing_selected_is_said(tmp_path: Path) -> None:
    with pytest.raises(Misuse, match="no pairs yet"):
        rescale(Project.create(tmp_path / "q"))
