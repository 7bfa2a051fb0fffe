"""Cleaning: copies of the query are found however they were spoiled, other photos of its scene are kept and ranked."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from album import SCENES, jpeg, save, scene, view
from PIL import Image

from refsr_bench.builder import clean, engine, tables
from refsr_bench.builder.facts import examine, jpeg_quality, pixels_sha256, sharpness
from refsr_bench.builder.project import Project
from refsr_bench.builder.rows import Candidate, Cleaned, Query
from refsr_bench.builder.settings import Settings
from refsr_bench.builder.similarity import matching
from refsr_bench.builder.similarity.copies import copy_reason
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.pixels.images import read_image

SMALL = {"ref_min_long_side": 100, "query_min_long_side": 100, "ref_jpeg_quality": 20}


def small_project(path: Path, candidates: dict[str, Image.Image | bytes], which: int = 0, **settings) -> Project:
    """One query, view 0 of a scene, and candidates by name."""
    project = Project.create(path, **{**SMALL, **settings})
    save(view(which, 0), path / "queries" / "001.png")
    tables.append(project.table("queries"), [Query("001", "queries/001.png")])
    rows = []
    for rank, (name, content) in enumerate(candidates.items(), 1):
        target = path / "pool" / "files" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            target.write_bytes(content)
        else:
            save(content, target)
        rows.append(Candidate("001", f"pool/files/{name}", "local", rank))
    tables.append(project.table("pool"), rows)
    return project


def by_name(project: Project) -> dict[str, Cleaned]:
    return {Path(row.file).name: row for row in project.cleaned}


def cut(image: Image.Image, share: float) -> Image.Image:
    width, height = image.size
    left, top = int(width * share / 3), int(height * share / 2)
    return image.crop((left, top, left + int(width * (1 - share)), top + int(height * (1 - share))))


def copies(query: Image.Image) -> dict[str, Image.Image | bytes]:
    flip, turn = Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.ROTATE_90
    return {
        "exact.png": query,
        "quality20.jpg": jpeg(query, 20),
        "double.png": query.resize((480, 360), Image.Resampling.BICUBIC),
        "flipped.jpg": query.transpose(flip),
        "turned.png": query.transpose(turn),
        "darker.png": query.point(lambda v: int(255 * (v / 255) ** 1.4)),
        "cut10.jpg": cut(query, 0.1),
        "cut30.jpg": cut(query, 0.3),
        "cut30-larger.png": cut(query, 0.3).resize((300, 224), Image.Resampling.BICUBIC),
        "cut20-flipped-smaller.jpg": cut(query, 0.2).transpose(flip).resize((160, 120), Image.Resampling.LANCZOS),
        "tilted.jpg": cut(query.rotate(7, Image.Resampling.BICUBIC), 0.25),
    }


@pytest.mark.parametrize("which", [0, 5])
def test_no_copy_of_the_query_is_kept_and_other_views_are(tmp_path: Path, which: int) -> None:
    query = view(which, 0)
    views = {"view1.jpg": view(which, 1), "view2.jpg": view(which, 2), "other.jpg": view(SCENES[2], 0)}
    project = small_project(tmp_path / "p", copies(query) | views, which)
    tally = clean.clean(project)
    rows = by_name(project)
    assert {name for name, row in rows.items() if row.kept} == set(views)
    assert all(rows[name].reason.startswith("leak: ") for name in copies(query))
    assert rows["exact.png"].reason == "leak: is the query itself"
    assert "mirrored" in rows["cut20-flipped-smaller.jpg"].reason
    assert tally["kept"] == 3 and tally["leak"] == len(copies(query))


def test_candidates_are_ranked_by_verified_matches_then_likeness(tmp_path: Path) -> None:
    project = small_project(tmp_path / "p", {"other.jpg": view(1, 0), "far.jpg": view(0, 2), "near.jpg": view(0, 1)})
    clean.clean(project)
    rows = by_name(project)
    assert rows["other.jpg"].rank == 3 and {rows["near.jpg"].rank, rows["far.jpg"].rank} == {1, 2}
    assert rows["other.jpg"].inliers < 12 <= min(rows["near.jpg"].inliers, rows["far.jpg"].inliers)
    assert rows["other.jpg"].scale == 0 and rows["other.jpg"].similarity < rows["near.jpg"].similarity
    assert rows["near.jpg"].scale == pytest.approx(1, abs=0.02)
    assert rows["near.jpg"].rotation == pytest.approx(-5, abs=0.5)  # turned by -5 degrees counter-clockwise
    assert rows["far.jpg"].rotation == pytest.approx(6, abs=0.5)
    assert 0.7 < rows["near.jpg"].overlap <= 1


def test_scale_is_pixels_of_the_candidate_per_pixel_of_the_query() -> None:
    query = matching.features(np.array(view(0, 0)))
    twice = matching.features(np.array(view(0, 1).resize((480, 360), Image.Resampling.BICUBIC)))
    assert matching.relate(query, twice).scale == pytest.approx(2, rel=0.02)
    assert matching.relate(twice, query).scale == pytest.approx(0.5, rel=0.02)


def test_points_are_pixel_centres_of_the_originals() -> None:
    image = np.array(scene(0).resize((1400, 1050), Image.Resampling.BICUBIC))
    moved = np.roll(image, (20, 40), axis=(0, 1))
    points = matching.relate(matching.features(image), matching.features(moved)).points
    assert np.median(points[:, 2:] - points[:, :2], axis=0) == pytest.approx([40, 20], abs=0.3)


def test_every_other_reason_is_said(tmp_path: Path, photo: Callable[..., np.ndarray]) -> None:
    blurred = view(0, 1).resize((60, 45), Image.Resampling.BICUBIC).resize((240, 180), Image.Resampling.BICUBIC)
    good = view(0, 1)
    project = small_project(
        tmp_path / "p",
        {
            "page.jpg": b"<!doctype html><p>no image</p>",
            "short.jpg": jpeg(good, 90)[:2000],
            "tiny.png": good.resize((90, 68)),
            "blurred.png": blurred,
            "crushed.jpg": jpeg(good, 5),
            "good.jpg": jpeg(good, 95),
            "again.jpg": jpeg(good.resize((200, 150), Image.Resampling.BICUBIC), 80),
        },
    )
    clean.clean(project)
    reasons = {name: row.reason.partition(":")[0] for name, row in by_name(project).items()}
    assert reasons.pop("good.jpg") + reasons.pop("again.jpg") == "duplicate"
    assert reasons == {
        "page.jpg": "unreadable",
        "short.jpg": "unreadable",
        "tiny.png": "too small",
        "blurred.png": "soft",
        "crushed.jpg": "over-compressed",
    }


def test_only_what_is_new_is_cleaned_and_ranks_follow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = small_project(tmp_path / "p", {"other.jpg": view(1, 0)})
    clean.clean(project)
    asked: list[str] = []
    real = clean.clean_query
    monkeypatch.setattr(clean, "clean_query", lambda task: asked.append(task.query.id) or real(task))
    clean.clean(project)
    assert asked == []
    save(view(0, 1), project.path / "pool/files/near.png")
    tables.append(project.table("pool"), [Candidate("001", "pool/files/near.png", "local", 2)])
    clean.clean(project)
    rows = by_name(project)
    assert asked == ["001"] and (rows["near.png"].rank, rows["other.jpg"].rank) == (1, 2) and len(rows) == 2


def test_a_query_cut_short_by_a_kill_is_cleaned_again(tmp_path: Path) -> None:
    project = small_project(tmp_path / "p", {"other.jpg": view(1, 0), "near.jpg": view(0, 1)})
    clean.clean(project)
    whole = project.table("clean").read_bytes()
    project.table("clean").write_bytes(whole[: whole.rstrip().rfind(b"\n") + 8])
    clean.clean(project)
    assert project.table("clean").read_bytes() == whole


def test_an_empty_pool_is_said(tmp_path: Path) -> None:
    with pytest.raises(Misuse, match="the pool is empty"):
        clean.clean(Project.create(tmp_path / "p"))


def test_processes_give_what_one_gives(tmp_path: Path) -> None:
    assert sorted(engine.run(abs, [-3, 1, -2], engine.Workers(count=2))) == [1, 2, 3]
    with pytest.raises(Misuse, match="--engine spark"):
        engine.run(abs, [1], engine.Workers("spark"))


@pytest.mark.slow
def test_ray_gives_what_one_process_gives(tmp_path: Path) -> None:
    ray = pytest.importorskip("ray")
    ray.init(num_cpus=2, include_dashboard=False, logging_level="ERROR")
    try:
        project = small_project(tmp_path / "a", {"other.jpg": view(1, 0), "near.jpg": view(0, 1)})
        clean.clean(project)
        again = small_project(tmp_path / "b", {"other.jpg": view(1, 0), "near.jpg": view(0, 1)})
        clean.clean(again, engine.Workers("ray", 2))
        assert project.cleaned == again.cleaned
        (again.path / "queries/001.png").write_bytes(b"no image")
        tables.write(again.table("clean"), [], Cleaned)
        with pytest.raises(BenchError, match="not a PNG"):
            clean.clean(again, engine.Workers("ray", 2))
    finally:
        ray.shutdown()


@pytest.mark.parametrize("quality", [10, 30, 50, 75, 90, 97, 100])
def test_jpeg_quality_is_read_off_the_tables(tmp_path: Path, quality: int) -> None:
    path = save(view(0, 0), tmp_path / "a.jpg", quality)
    assert jpeg_quality(path) == quality
    assert jpeg_quality(save(view(0, 0), tmp_path / "a.png")) == 0


def test_sharpness_falls_when_an_image_is_enlarged() -> None:
    image = view(0, 0)
    small = image.resize((60, 45), Image.Resampling.BICUBIC)
    soft = np.array(small.resize(image.size, Image.Resampling.BICUBIC))
    assert sharpness(soft) < 50 < sharpness(np.array(image))


def test_the_digest_is_of_pixels_and_shape(tmp_path: Path) -> None:
    image = np.array(view(0, 0))
    save(Image.fromarray(image), tmp_path / "a.png")
    assert examine(tmp_path / "a.png").sha256 == pixels_sha256(image)
    assert pixels_sha256(image) != pixels_sha256(image.reshape(image.shape[1], image.shape[0], 3))


def test_different_photos_of_a_scene_are_no_copies(shared: Path) -> None:
    folder = shared / "data/scenes/chateau"
    if not folder.is_dir():
        pytest.skip("needs the photographs of shared/data")
    settings = Settings()
    photos = [matching.features(read_image(folder / f"{n:03d}.jpg")) for n in (4, 5, 6)]
    for a, b in ((0, 1), (1, 2)):
        found = matching.relate(photos[a], photos[b])
        assert found.inliers > 100 and found.psnr < 25
        assert not copy_reason(photos[a], photos[b], found, settings)


def test_the_hash_of_an_orientation_is_that_of_the_turned_image() -> None:
    image = np.array(view(0, 0).crop((0, 0, 160, 160)))
    plain = matching.features(image, count=1).hashes
    for turned in (image[::-1], image[:, ::-1], image.transpose(1, 0, 2), np.rot90(image)):
        other = matching.features(np.ascontiguousarray(turned), count=1)
        assert min((h ^ other.hashes[0]).bit_count() for h in plain) <= 2


def test_unusable_images_have_no_matches() -> None:
    flat = matching.features(np.full((120, 160, 3), 128, np.uint8))
    assert matching.relate(flat, matching.features(np.array(view(0, 0)))) == matching.NONE
    assert matching.NONE.inliers == 0
