"""The option --views: what sr, match, run and robustness do and say with it."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from skimage import data

from refsr_bench.cli import main
from refsr_bench.core.results import read_result
from refsr_bench.pixels.images import read_image


def run(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(main, list(map(str, arguments)))
    assert result.exit_code == code, f"{result.output}\n{result.exception!r}"
    return result.output


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """HR, its LR, the photo that HR was cut from, turned, and noise."""
    folder = tmp_path_factory.mktemp("photos")
    photo = Image.fromarray(data.astronaut()).crop((110, 0, 330, 200))
    hr = photo.crop((30, 20, 190, 180))
    hr.save(folder / "hr.png")
    hr.resize((40, 40), Image.Resampling.BICUBIC).save(folder / "lr.png")
    photo.rotate(50, Image.Resampling.BICUBIC).save(folder / "turned.png")
    noise = np.random.default_rng(0).integers(0, 256, (180, 200, 3), np.uint8)
    Image.fromarray(noise).save(folder / "other.png")
    return folder


def restored(photos: Path, out: Path, *arguments: object) -> tuple[str, np.ndarray]:
    text = run("sr", "--lr", photos / "lr.png", *arguments, "--out", out, "--overwrite", "--device", "cpu")
    return text, read_image(out)


def test_a_turned_reference_is_put_back_for_sr(photos: Path, tmp_path: Path) -> None:
    hr = read_image(photos / "hr.png").astype(float)
    told, seen = restored(photos, tmp_path / "a.png", "--ref", photos / "turned.png", "--views", "auto")
    assert "; view by SIFT, " in told and told.rstrip().endswith(" % of the image")
    assert float(told.split("view by SIFT, ")[1].split(" %")[0]) > 40
    plain_told, plain = restored(photos, tmp_path / "b.png", "--ref", photos / "turned.png", "--views", "none")
    assert "view" not in plain_told
    errors = [np.square(image - hr).mean() for image in (seen, plain)]
    assert errors[0] < 0.9 * errors[1]


def test_the_reference_of_a_view_is_named_where_there_are_several(photos: Path, tmp_path: Path) -> None:
    refs = ("--ref", photos / "other.png", "--ref", photos / "turned.png")
    told, _ = restored(photos, tmp_path / "a.png", *refs, "--views", "1")
    assert f"; {photos / 'turned.png'}: view by SIFT, " in told and "other.png" not in told


def test_an_unrelated_reference_has_no_view_and_is_left_alone(photos: Path, tmp_path: Path) -> None:
    told, seen = restored(photos, tmp_path / "a.png", "--ref", photos / "other.png")
    assert told.rstrip().endswith("; no view of a reference was believed")
    Image.new("RGB", (180, 200)).save(tmp_path / "black.png")
    _, black = restored(photos, tmp_path / "b.png", "--ref", tmp_path / "black.png")
    assert np.array_equal(seen, black)  # nothing is taken from either


def test_sr_takes_views_and_refines_matches_by_itself(photos: Path, tmp_path: Path) -> None:
    _, by_itself = restored(photos, tmp_path / "a.png", "--ref", photos / "turned.png")
    _, told = restored(
        *(photos, tmp_path / "b.png", "--ref", photos / "turned.png", "--views", "auto", "--matching", "sub-cell")
    )
    _, published = restored(
        *(photos, tmp_path / "c.png", "--ref", photos / "turned.png", "--views", "none", "--matching", "exact")
    )
    assert np.array_equal(by_itself, told) and not np.array_equal(by_itself, published)


def test_sr_makes_large_images_in_tiles_that_have_views(photos: Path, tmp_path: Path, monkeypatch) -> None:
    from refsr_bench.tiles import sizes

    ref = ("--ref", photos / "turned.png")  # of 220x200 pixels
    _, whole = restored(photos, tmp_path / "a.png", *ref)
    monkeypatch.setattr(sizes, "MEMORY", 5300 * 120 * 120)
    told, tiled = restored(photos, tmp_path / "b.png", *ref)
    assert "; in tiles of" in told and not np.array_equal(tiled, whole)
    _, without = restored(photos, tmp_path / "c.png", *ref, "--views", "none")
    assert not np.array_equal(tiled, without)


def test_a_method_without_references_says_nothing_of_views(photos: Path, tmp_path: Path) -> None:
    told, _ = restored(photos, tmp_path / "a.png", "--method", "bicubic", "--views", "auto")
    assert "view" not in told


@pytest.mark.parametrize("text", ["all", "0", "auto:eyes"])
def test_another_spelling_is_misuse_before_anything_is_read(tmp_path: Path, text: str) -> None:
    absent = tmp_path / "absent"
    for command in (
        ("sr", "--lr", absent, "--ref", absent, "--out", tmp_path / "x.png"),
        ("match", "--lr", absent, "--ref", absent, "--out", tmp_path / "x.png"),
        ("run", "--method", "bicubic", "--dataset", "sample", "--out", absent),
        ("robustness", "--transform", "rotation", "--out", absent),
    ):
        assert f"--views {text}" in run(*command, "--views", text, code=2)
    assert not absent.exists()


def test_match_draws_the_view(photos: Path, tmp_path: Path) -> None:
    files = ("--lr", photos / "lr.png", "--ref", photos / "turned.png", "--lines", 5)
    told = run("match", *files, "--views", "auto", "--out", tmp_path / "m.png")
    (line,) = (line for line in told.splitlines() if line.startswith("view of turned.png by SIFT: "))
    assert float(line.split(": ")[1].split("%")[0]) > 40 and "mean correlation 0.9" in line
    other = ("--lr", photos / "lr.png", "--ref", photos / "other.png", "--views", "auto", "--out", tmp_path / "o.png")
    told = run("match", *other)
    assert "No view of a reference was believed." in told and "nothing nearly the same: " in told
    sides = [Image.open(tmp_path / name).size for name in ("m.png", "o.png")]
    assert sides[0][1] < sides[1][1]  # one picture more in a row makes it less high


def test_a_run_with_views_stands_beside_the_one_without(photos: Path, tmp_path: Path) -> None:
    root, out = tmp_path / "pairs", tmp_path / "out"
    for folder, name in (("hr", "hr.png"), ("ref", "turned.png")):
        (root / folder).mkdir(parents=True)
        Image.open(photos / name).save(root / folder / "one.png")
    common = ("--dataset", "folder", "--data-root", root, "--method", "c2matching", "--method", "bicubic", "--out", out)
    run("run", *common)
    told = run("run", *common, "--views", "auto")
    assert "C²-Matching-rec, views" in told and "bicubic on folder: reused 1 of 1" in told
    found = {path.parent.name: read_result(path) for path in out.rglob("result.json")}
    assert set(found) == {"bicubic", "c2matching", "c2matching-views-auto"}
    with_views, without = found["c2matching-views-auto"], found["c2matching"]
    assert with_views.means["psnr_y"] > without.means["psnr_y"] + 0.3
    (view,) = with_views.images[0].views
    assert view.found_by == "sift" and view.valid > view.share > 0.4
    corners = np.array(view.place)
    sides = np.linalg.norm(np.roll(corners, -1, 0) - corners, axis=1)
    assert np.allclose(sides, 159, atol=3)  # the photo was turned, and keeps its size
    page = next(path for path in (out / "site" / "images").rglob("one-*.html"))
    assert "view by SIFT, shows" in page.read_text(encoding="utf-8")


def test_robustness_measures_each_of_the_views_that_it_is_given(photos: Path, tmp_path: Path) -> None:
    told = run("robustness", "--transform", "rotation", "--levels", "90", "--limit", 1, "--matchers-only", "--matcher",
               "pixels", "--views", "none", "--views", "auto", "--views", "truth", "--out", tmp_path)  # fmt: skip
    rows = [line for line in told.splitlines() if line.startswith("raw pixels")]
    assert [row.split("  ")[0] for row in rows] == ["raw pixels", "raw pixels, views", "raw pixels, true views"]
    error = [float(row.split("90")[1].split()[1]) for row in rows]
    assert error[0] > 80 and max(error[1:]) < 20
    refused = run("robustness", "--transform", "given", "--dataset", "sample", "--views", "truth", "--out", tmp_path,
                  code=2)  # fmt: skip
    assert "--views truth: no homography is known" in refused
