"""The line of pictures on the first page: the same part of one image by every method, from its own pixels."""

from pathlib import Path
from urllib.parse import parse_qs

import numpy as np
import pytest
from picture_runs import HEIGHT, WIDTH, degraded, photo, write_run
from PIL import Image
from site_pages import Page

from leaderboard.pages import finder, lineup
from leaderboard.pages.gallery import Gallery
from leaderboard.pages.site import build
from leaderboard.reading.load import read_folder
from leaderboard.tables.tables import build_tables
from refsr_bench.core.schema import Weights


@pytest.fixture
def results(tmp_path: Path) -> Path:
    root = tmp_path / "results"
    for label in ("c2", "srntt"):
        write_run(root, "bicubic", 0, title="Bicubic", label=label, group="SISR", references="none")
        write_run(root, "good", 4, title="Good one", label=label)
    return root


def gallery(root: Path, out: Path, **options) -> Gallery:
    return finder.collect(root, build_tables(read_folder(root).benchmarks()), out, **options)


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"))


def test_every_table_opens_with_one_part_of_one_image(results: Path, tmp_path: Path) -> None:
    found = gallery(results, tmp_path / "site")
    assert len(found.lineups) == 2
    for line in found.lineups.values():
        assert [tile.title for tile in line.whole] == ["Whole image", "Reference"]
        assert [tile.title for tile in line.tiles] == ["LR", "Bicubic", "Good one", "HR"]
        seed = ("one", "two", "three").index(line.page.id)
        x, y, w, h = line.scene.crop
        part = np.s_[y : y + h, x : x + w]
        images = (degraded(photo(seed), 0), degraded(photo(seed), 4), photo(seed))
        for tile, image in zip(line.tiles[1:], images, strict=True):
            assert np.array_equal(pixels(tmp_path / "site" / tile.path), image[part]) and tile.size == (w, h)
        assert line.tiles[2].line == f"{line.scene.shots[1].crop_psnr:.2f} dB"


def test_the_part_of_lr_covers_what_the_part_of_hr_covers(results: Path, tmp_path: Path) -> None:
    line = next(iter(gallery(results, tmp_path / "site").lineups.values()))
    seed = ("one", "two", "three").index(line.page.id)
    small = np.asarray(Image.fromarray(photo(seed)).resize((WIDTH // 4, HEIGHT // 4), Image.Resampling.BOX))
    x, y, w, h = line.scene.crop
    blocks = small.repeat(4, 0).repeat(4, 1)[y : y + h, x : x + w]
    assert np.array_equal(pixels(tmp_path / "site" / line.tiles[0].path), blocks)


def test_lr_of_a_padded_frame_is_taken_where_hr_lies_in_it(results: Path, tmp_path: Path) -> None:
    line = next(iter(gallery(results, tmp_path / "site").lineups.values()))
    lr = np.arange(40 * 40, dtype=np.uint16).reshape(40, 40, 1).repeat(3, 2).astype(np.uint8)
    x, y, w, h = line.scene.crop
    part = lineup.lr_part(lr, line.scene, (8, 4), 4)
    assert np.array_equal(part[0, 0], lr[(y + 8) // 4, (x + 4) // 4]) and part.shape == (h, w, 3)
    assert lineup.lr_part(lr[:5], line.scene, (8, 4), 4) is None


def test_the_image_is_the_one_on_which_methods_differ_most(results: Path, tmp_path: Path) -> None:
    found = gallery(results, tmp_path / "site")
    line = next(iter(found.lineups.values()))
    spread = {image.id: image.scenes[0].spread for image in found.images}
    assert line.page.id == max(spread, key=spread.get) and len(set(spread.values())) == 3


def test_a_picture_opens_the_image_at_this_part(results: Path, tmp_path: Path) -> None:
    line = next(iter(gallery(results, tmp_path / "site").lineups.values()))
    views = [parse_qs(tile.view) for tile in line.tiles]
    shots = [shot.key for shot in line.scene.shots]
    assert [(view["a"][0], view["b"][0]) for view in views] == [
        ("lr", "hr"), (shots[0], "hr"), (shots[1], "hr"), (shots[0], "hr"),
    ]  # fmt: skip
    z, cx, cy = map(float, views[1]["v"][0].split(","))
    x, y, w, h = line.scene.crop
    centre = pytest.approx((x + w / 2, y + h / 2), abs=0.01)
    assert z == pytest.approx(WIDTH / w, abs=1e-4) and (cx * WIDTH, cy * HEIGHT) == centre


def test_two_weights_of_one_method_are_told_apart_and_many_methods_are_cut(tmp_path: Path) -> None:
    root = tmp_path / "results"
    for name in ("a", "b"):
        write_run(root, "good", 3, title="Good", folder=name, weights=Weights("own", name, name * 64))
    line = next(iter(gallery(root, tmp_path / "site").lineups.values()))
    assert [tile.title for tile in line.tiles] == ["LR", "Good (a)", "Good (b)", "HR"] and line.more == 0
    for n in range(lineup.MOST_SHOTS):
        write_run(root, f"m{n:02}", 4, title=f"M{n:02}")
    line = next(iter(gallery(root, tmp_path / "site2").lineups.values()))
    assert line.more == 2 and [tile.title for tile in line.tiles][1:3] == ["M00", "M01"]


def test_the_first_page_shows_it_and_stays_light(results: Path, tmp_path: Path) -> None:
    page = build(results, tmp_path / "site", images="thumbs", drawn=False).pages[0]
    text = page.read_text(encoding="utf-8")
    tags = Page(text).tags
    shown = [values["src"] for tag, values in tags if tag == "img"]
    sections = [values for tag, values in tags if tag == "section" and values.get("class") == "lineup"]
    assert ["hidden" in section for section in sections] == [False, True]  # each table shows its own
    assert all(values["alt"] for tag, values in tags if tag == "img" and values["src"].startswith("parts/"))
    loaded = [values["href"] for tag, values in tags if tag == "link" and "style" in values["rel"]]
    loaded += [values["src"] for tag, values in tags if tag == "script" and "src" in values]
    weight = sum((page.parent / name).stat().st_size for name in {"index.html", *loaded, *shown})
    assert weight < 300_000


def test_without_pictures_there_is_no_line(results: Path, tmp_path: Path) -> None:
    assert gallery(results, tmp_path / "site", mode="none").lineups == {}
    write_run(tmp_path / "closed", "bicubic", 0, dataset="cufed5")
    assert gallery(tmp_path / "closed", tmp_path / "site3").lineups == {}
