"""Photos in folders and patterns, their references, what is kept of them, and what becomes of those that fail."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from refsr_bench.api import photos as api_photos
from refsr_bench.api.photos import jobs
from refsr_bench.cli import main
from refsr_bench.core import catalogue
from refsr_bench.core.errors import Misuse
from refsr_bench.pixels import photos
from refsr_bench.pixels.resize import resize_pil_bicubic

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (24, 36, 3), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three photos, and references that are called like two of them; the third has a folder of its own."""
    monkeypatch.chdir(tmp_path)
    for name in ("lr/a.png", "lr/b.jpg", "lr/c.webp", "ref/a.png", "ref/b_1.png", "ref/b-2.jpg", "ref/c/x.png"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(RGB).save(name)
    Path("lr/notes.txt").write_text("no image")
    return tmp_path


def refsr(*words: object) -> Result:
    return CliRunner().invoke(main, [*map(str, words)])


def planned(lr: str, ref: list[str], out: str = "out", method: str = "ttsr-rec") -> dict[str, list[str]]:
    card = catalogue.get("METHODS", method)
    found = jobs([Path(lr)], list(map(Path, ref)), Path(out), card, False)
    return {job.lr.name: [ref.as_posix() for ref in job.refs] for job in found}


def test_each_photo_gets_the_references_that_are_called_like_it(folder: Path) -> None:
    assert planned("lr", ["ref"]) == {
        "a.png": ["ref/a.png"],
        "b.jpg": ["ref/b-2.jpg", "ref/b_1.png"],
        "c.webp": ["ref/c/x.png"],
    }
    shared = ["ref/a.png", "ref/b-2.jpg", "ref/b_1.png"]
    assert planned("lr/*.[jw]*", ["ref/*.*"]) == {"b.jpg": shared, "c.webp": shared}
    assert planned("lr/a.png", ["ref"], "a-sr.png") == {"a.png": shared}
    assert planned("lr", ["ref", "ref/c/x.png"])["a.png"] == ["ref/a.png", "ref/c/x.png"]
    assert planned("lr", [], method="bicubic") == {"a.png": [], "b.jpg": [], "c.webp": []}


def test_what_cannot_be_planned_is_told(folder: Path) -> None:
    Image.fromarray(RGB).save("lr/a.bmp")
    Path("empty").mkdir()
    for lr, ref, out, said in [
        ("lr", ["ref"], "out", "would both be written to"),
        ("lr/b.jpg", ["ref"], "out.jpg", "PNG"),
        ("lr/*.webp", ["ref"], "lr/a.png", "a folder is needed"),
        ("lr/[ab].png", ["ref"], "lr", "would replace the photo"),
        ("none", ["ref"], "out", "no such file"),
        ("none*", ["ref"], "out", "no PNG"),
        ("empty", ["ref"], "out", "no PNG"),
        ("lr/a.png", ["empty"], "out.png", "no PNG"),
        ("lr/a.png", [], "out.png", "at least one reference"),
    ]:
        with pytest.raises(Misuse, match=said):
            planned(lr, ref, out)


def test_a_name_with_the_characters_of_a_pattern_is_a_file(folder: Path) -> None:
    Image.fromarray(RGB).save("lr/a[1].png")
    assert planned("lr/a[1].png", ["ref/a.png"], "out.png") == {"a[1].png": ["ref/a.png"]}


def test_a_folder_is_restored_and_continued(folder: Path) -> None:
    Path("lr/b.jpg").write_bytes(b"broken")
    result = refsr("sr", "--lr", "lr", "--method", "bicubic", "--out", "out")
    assert result.exit_code == 1, result.output
    assert "failed: lr/b.jpg: lr/b.jpg: not a PNG" in result.stderr and "1 of 3 photos failed" in result.stderr
    assert sorted(path.name for path in Path("out").iterdir()) == ["a.png", "c.png"]
    np.testing.assert_array_equal(np.asarray(Image.open("out/a.png")), resize_pil_bicubic(RGB, 96, 144))

    Image.fromarray(RGB).save("lr/b.jpg")
    Image.new("RGB", (1, 1)).save("out/c.png")
    result = refsr("sr", "--lr", "lr", "--method", "bicubic", "--out", "out")
    assert result.exit_code == 0 and "2 photos are in out already" in result.output
    assert (Image.open("out/b.png").size, Image.open("out/c.png").size) == ((144, 96), (1, 1))
    assert refsr("sr", "--lr", "lr", "--method", "bicubic", "--out", "out", "--overwrite").exit_code == 0
    assert Image.open("out/c.png").size == (144, 96)


def test_a_photo_without_a_reference_fails_alone(folder: Path) -> None:
    Path("ref/a.png").unlink()
    result = refsr("sr", "--lr", "lr/[ab].*", "--ref", "ref", "--tile", "off", "--views", "none", "--out", "out")
    assert result.exit_code == 1
    assert "failed: lr/a.png: lr/a.png: no reference is called like it" in result.stderr
    assert [path.name for path in Path("out").iterdir()] == ["b.png"]


def test_references_are_read_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read, seen = photos.read, []
    monkeypatch.setattr(api_photos.photos, "read", lambda path: (seen.append(Path(path).name), read(path))[1])
    asked = ("--method", "ttsr-rec", "--weights", "synthetic", "--out", "out")
    result = refsr("sr", "--lr", "lr/[ab]*", "--ref", "ref/c/x.png", *asked)
    assert result.exit_code == 0, result.output
    assert seen == ["a.png", "x.png", "b.jpg"]


def test_alpha_profile_and_16_bits_come_back(folder: Path) -> None:
    alpha = np.linspace(0, 65535, 24 * 36).reshape(24, 36).astype(np.uint16)
    deep = RGB.astype(np.uint16) * 256 + 7
    photos.write("deep.png", photos.Photo(deep, alpha, profile=b"profile"))
    result = refsr("sr", "--lr", "deep.png", "--method", "bicubic", "--out", "big.png")
    assert result.exit_code == 0, result.output
    made = photos.read("big.png")
    np.testing.assert_array_equal(made.pixels, resize_pil_bicubic(deep, 96, 144))
    assert made.profile == b"profile" and made.alpha.shape == (96, 144) and np.ptp(made.alpha) > 60000


def test_a_network_gives_16_bits_and_the_same_picture(folder: Path) -> None:
    """SR of 16 bits, rounded to 8, is SR of 8 bits; and it has values between those of 8 bits."""
    cv2.imwrite("deep.png", (RGB[..., ::-1].astype(np.uint16)) * 257)
    Image.fromarray(RGB).save("eight.png")
    asked = ("--method", "enet", "--weights", "synthetic")
    for name in ("deep", "eight"):
        result = refsr("sr", "--lr", f"{name}.png", *asked, "--out", f"{name}-sr.png")
        assert result.exit_code == 0, result.output
    deep, eight = photos.read("deep-sr.png"), photos.read("eight-sr.png")
    assert (deep.bits, eight.bits) == (16, 8)
    assert np.abs(deep.eight().pixels.astype(int) - eight.pixels).max() <= 1
    assert (deep.pixels % 257 != 0).mean() > 0.9


def test_a_program_computes_in_8_bits_and_that_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import dataclasses

    from baselines import bicubic

    cv2.imwrite("deep.png", RGB.astype(np.uint16) * 257)
    load = bicubic.load
    shallow = dataclasses.replace(
        catalogue.get("METHODS", "bicubic"), load=lambda *asked: dataclasses.replace(load(*asked), deep=False)
    )
    monkeypatch.setattr(catalogue, "get", lambda kind, name: shallow)
    result = refsr("sr", "--lr", "deep.png", "--method", "bicubic", "--out", "big.png")
    assert "written with 8 bits, because bicubic computes in them" in result.output, result.output
    assert photos.read("big.png").bits == 8


def test_sr_in_tiles_says_so_and_bad_tiles_are_refused(folder: Path) -> None:
    Image.fromarray(RNG.integers(0, 256, (40, 70, 3), dtype=np.uint8)).save("wide.png")
    result = refsr("sr", "--lr", "wide.png", "--method", "bicubic", "--tile", "48", "--out", "big.png")
    assert result.exit_code == 0 and "in tiles of 48 LR pixels" in result.output
    assert np.array_equal(
        np.asarray(Image.open("big.png")), resize_pil_bicubic(np.asarray(Image.open("wide.png")), 160, 280)
    )
    result = refsr("sr", "--lr", "wide.png", "--method", "bicubic", "--tile", "7", "--out", "big2.png")
    assert result.exit_code == 2 and "--tile 7" in result.output
