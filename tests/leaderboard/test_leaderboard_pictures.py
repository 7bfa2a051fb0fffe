"""Pictures: what is refused, what is stored, error maps, close-ups."""

import hashlib
import re
import struct
import xml.etree.ElementTree as ET
import zlib
from pathlib import Path

import numpy as np
import pytest
from picture_runs import photo, save
from PIL import Image

from leaderboard.reading import pictures
from leaderboard.reading.pictures import PictureError, Store


def png(width: int, height: int, depth: int = 8, colour: int = 2, body: bytes = b"") -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(body)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not a PNG"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a PNG"),
        (png(60_000, 60_000), "million"),
        (png(8, 8, body=b"\0" * 10), "damaged"),
        (png(2, 2, 16, body=b"\0" * 26), "not a plain 8-bit RGB"),
        (png(2, 2, 8, 6, body=b"\0" * 18), "not a plain 8-bit RGB"),
    ],
)
def test_refused(tmp_path: Path, data: bytes, reason: str) -> None:
    (tmp_path / "x.png").write_bytes(data)
    with pytest.raises(PictureError, match=reason):
        pictures.read(tmp_path / "x.png", tmp_path)


def test_a_jpeg_called_png_is_refused(tmp_path: Path) -> None:
    Image.fromarray(photo(0)).save(tmp_path / "x.png", format="JPEG")
    with pytest.raises(PictureError, match="not a PNG"):
        pictures.read(tmp_path / "x.png", tmp_path)


def test_links_are_not_followed_out_of_the_results(tmp_path: Path) -> None:
    save(tmp_path / "secret" / "x.png", photo(0))
    root = tmp_path / "results"
    root.mkdir()
    (root / "x.png").symlink_to(tmp_path / "secret" / "x.png")
    (root / "folder").symlink_to(tmp_path / "secret")
    for path in (root / "x.png", root / "folder" / "x.png"):
        with pytest.raises(PictureError, match="link"):
            pictures.read(path, root)
    with pytest.raises(PictureError):
        pictures.read(root / "absent.png", root)


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch) -> None:
    save(tmp_path / "x.png", photo(0))
    monkeypatch.setattr(pictures, "MOST_BYTES", 100)
    with pytest.raises(PictureError, match="MiB"):
        pictures.read(tmp_path / "x.png", tmp_path)


def test_stored_once_by_content_with_a_thumbnail(tmp_path: Path) -> None:
    large = np.asarray(Image.fromarray(photo(0)).resize((960, 640)))
    save(tmp_path / "a.png", large)
    data, image = pictures.read(tmp_path / "a.png", tmp_path)
    assert np.array_equal(image, large)
    store = Store(tmp_path / "site", "all")
    picture, pixels = store.put(tmp_path / "a.png", tmp_path)
    assert np.array_equal(pixels, large) and not list((tmp_path / "site").iterdir())  # no page refers to it yet
    store.keep([f"<img src='{picture.file}'>", f"../{picture.thumb}"])
    assert picture.file == f"files/{hashlib.sha256(data).hexdigest()}.png"
    assert (tmp_path / "site" / picture.file).read_bytes() == data
    with Image.open(tmp_path / "site" / picture.thumb) as thumb:
        assert thumb.format == "WEBP" and thumb.size == picture.thumb_size == (320, 213)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "site").rglob("*") if path.is_file()}
    store.keep([picture.file + picture.thumb])
    assert len(before) == 2
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "site").rglob("*") if path.is_file()} == before
    (tmp_path / "site" / picture.file).write_bytes(b"torn")
    store.keep([picture.file])
    assert (tmp_path / "site" / picture.file).read_bytes() == data


def test_a_picture_that_changed_meanwhile_is_not_kept(tmp_path: Path) -> None:
    save(tmp_path / "a.png", photo(0))
    store = Store(tmp_path / "site", "all")
    picture, _ = store.put(tmp_path / "a.png", tmp_path)
    save(tmp_path / "a.png", photo(1))
    with pytest.raises(PictureError, match="another picture now"):
        store.keep([picture.file])


def test_thumbnails_alone(tmp_path: Path) -> None:
    save(tmp_path / "a.png", photo(0))
    store = Store(tmp_path / "site", "thumbs")
    picture, _ = store.put(tmp_path / "a.png", tmp_path)
    store.keep([picture.file])
    assert picture.file == picture.thumb and [p.name for p in (tmp_path / "site").iterdir()] == ["thumbs"]


def test_error_maps_have_one_scale(tmp_path: Path) -> None:
    shades = pictures.colours(np.array([[0.0, 16.0, 32.0, 200.0]], np.float32))
    assert shades[0, 0].tolist() == [0, 0, 4] and (shades[0, 2] == shades[0, 3]).all()
    lightness = pictures.palette() @ [0.299, 0.587, 0.114]
    assert (np.diff(lightness) >= -0.5).all() and lightness[-1] > 230


def test_error_map_is_made_once_and_named_by_both(tmp_path: Path) -> None:
    store = Store(tmp_path, "all")
    for n in range(3):
        save(tmp_path / f"{n}.png", photo(n))
    hr, sr, other = (store.put(tmp_path / f"{n}.png", tmp_path)[0] for n in range(3))
    difference = np.abs(pictures.luma(photo(0)) - pictures.luma(photo(1)))
    path = store.error_map(hr, sr, difference)
    assert store.error_map(hr, other, difference) != path and store.error_map(hr, sr, difference * 0) == path
    with Image.open(tmp_path / path) as image:
        assert image.size == (96, 64) and np.asarray(image).std() > 20


def test_the_telling_crop_is_where_methods_differ() -> None:
    images = [np.full((100, 200), 50.0, np.float32) for _ in range(3)]
    images[1][60:75, 120:150] = 200
    (x, y, w, h), spread = pictures.telling_crop(images, None)
    assert spread == pytest.approx(450 * 150**2 * 2 / 9 / 1200)  # two of three images at 50, one at 200, in 450 of 1200
    assert (w, h) == (40, 30) and x <= 120 and x + w >= 150 and y <= 60 and y + h >= 75
    hr = images[0].copy()
    hr[4:20, 4:30] = 255
    (x, y, w, h), _ = pictures.telling_crop(images[:1], hr)
    assert x <= 4 and y <= 4 and x + w >= 30 and y + h >= 20
    assert pictures.telling_crop([np.zeros((8, 9), np.float32)], None) == ((0, 0, 9, 8), 0)
    assert pictures.telling_crop([np.zeros((1500, 2040), np.float32)], None)[0][2:] == (96, 72)


def test_the_figure_of_close_ups_stands_alone() -> None:
    hostile = "<script>alert(1)</script> & a very long name"
    tiles = [("HR", "", photo(0)[:18, :24]), (hostile, "20.00 dB", photo(1)[:18, :24])]
    text = pictures.crops_figure(photo(0), (0, 0, 24, 18), tiles)
    root = ET.fromstring(text)
    images = [element for element in root.iter() if element.tag.endswith("image")]
    assert len(images) == 3 and all(re.match(r"data:image/(png|jpeg);base64,", e.get("href")) for e in images)
    assert not [element for element in root.iter() if element.tag.endswith("script")]
    texts = [element.text for element in root.iter() if element.tag.endswith("text")]
    assert texts[2].startswith("<script>") and texts[3] == "20.00 dB"
    assert text == pictures.crops_figure(photo(0), (0, 0, 24, 18), tiles)
