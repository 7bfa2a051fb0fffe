"""Image files in, uint8 RGB out: the stated rules, and one clear error per kind of bad file."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image as PilImage

from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.pixels.images import MAX_PIXELS, image_files, image_size, read_image, source, write_png

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (12, 20, 3), dtype=np.uint8)


@pytest.fixture
def photo(tmp_path):
    """photo(name, array or PIL image, **save options) -> path of the file written."""

    def write(name, image, **options):
        image = image if isinstance(image, PilImage.Image) else PilImage.fromarray(image)
        image.save(tmp_path / name, **options)
        return tmp_path / name

    return write


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "A.PNG"])
def test_lossless_formats_keep_every_value(photo, name):
    pixels = read_image(photo(name, RGB))
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, RGB)


def test_webp_lossless_and_jpeg(photo):
    np.testing.assert_array_equal(read_image(photo("a.webp", RGB, lossless=True)), RGB)
    smooth = np.repeat(np.linspace(0, 255, 64).astype(np.uint8)[None, :, None], 48, axis=0).repeat(3, axis=2)
    jpeg = read_image(photo("a.jpg", smooth, quality=95))
    assert jpeg.shape == smooth.shape
    assert np.abs(jpeg.astype(int) - smooth).max() <= 4


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.tif", "a.png"])
def test_exif_orientation_is_applied(photo, orientation, name):
    exif = PilImage.Exif()
    exif[0x0112] = orientation
    # What a viewer shows for each EXIF value: row 0 and column 0 of the file lie where the standard says.
    shown = {
        1: RGB,
        2: RGB[:, ::-1],
        3: RGB[::-1, ::-1],
        4: RGB[::-1],
        5: RGB.transpose(1, 0, 2),
        6: np.rot90(RGB, -1),
        7: RGB[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(RGB, 1),
    }[orientation]
    path = photo(name, RGB, exif=exif)
    np.testing.assert_array_equal(read_image(path), shown)
    assert image_size(path) == shown.shape[1::-1]


def test_grey_palette_bilevel_and_alpha_become_rgb(photo):
    grey = RGB[..., 0]
    expected = np.repeat(grey[..., None], 3, axis=2)
    np.testing.assert_array_equal(read_image(photo("l.png", grey)), expected)
    with_alpha = np.dstack([grey, RGB[..., 1]])
    np.testing.assert_array_equal(read_image(photo("la.png", PilImage.fromarray(with_alpha, "LA"))), expected)
    np.testing.assert_array_equal(read_image(photo("rgba.png", np.dstack([RGB, RGB[..., 0]]))), RGB)
    palette = PilImage.fromarray(RGB).quantize(16)
    np.testing.assert_array_equal(read_image(photo("p.png", palette)), np.array(palette.convert("RGB")))
    bilevel = PilImage.fromarray(grey > 127)
    np.testing.assert_array_equal(read_image(photo("1.png", bilevel))[..., 0], (grey > 127) * 255)


def _png(path, width, height, bit_depth, colour_type, rows=b""):
    """A PNG written by hand: Pillow cannot write 16-bit RGB, nor a header that promises 30000 x 30000."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, bit_depth, colour_type, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )
    return path


@pytest.mark.parametrize("colour_type, channels", [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_16_bit_png_is_refused(tmp_path, colour_type, channels):
    rows = (b"\0" + b"\x12\x34" * 4 * channels) * 4
    path = _png(tmp_path / "deep.png", 4, 4, 16, colour_type, rows)
    for read in (read_image, image_size):
        with pytest.raises(BenchError, match=r"deep\.png: 16 bits per channel"):
            read(path)


def test_16_bit_and_float_tiff_are_refused(photo):
    for name, array in {"i16.tif": np.uint16, "f.tif": np.float32, "i32.tif": np.int32}.items():
        with pytest.raises(BenchError, match=f"{name}: (16|32) bits"):
            read_image(photo(name, RGB[..., 0].astype(array)))


def test_cmyk_is_refused(photo):
    with pytest.raises(BenchError, match=r"c\.jpg: CMYK pixels. Convert"):
        read_image(photo("c.jpg", PilImage.fromarray(RGB).convert("CMYK")))


def test_one_pixel_is_read(photo):
    assert read_image(photo("dot.png", RGB[:1, :1])).shape == (1, 1, 3)


def test_30000_x_30000_is_refused_by_size(tmp_path):
    path = _png(tmp_path / "huge.png", 30000, 30000, 8, 2)
    with pytest.raises(BenchError, match=rf"huge\.png: 900000000 pixels .*{MAX_PIXELS}"):
        read_image(path)


@pytest.mark.parametrize("name", ["cut.png", "cut.jpg", "cut.webp", "cut.bmp", "cut.tif"])
def test_truncated_file_is_named(photo, name):
    path = photo(name, RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(BenchError, match=name):
        read_image(path)


@pytest.mark.parametrize(
    "content, said",
    [
        (b"", "empty"),
        (b"hello, world, this is text\n", "text"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"\0\1\2", "00 01 02"),
    ],
)
def test_not_an_image(tmp_path, content, said):
    path = tmp_path / "fake.png"
    path.write_bytes(content)
    with pytest.raises(BenchError, match=rf"fake\.png: not a PNG.*{said}"):
        read_image(path)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(BenchError, match=r"none\.png: no such file"):
        read_image(tmp_path / "none.png")
    with pytest.raises(BenchError, match="is a folder"):
        read_image(tmp_path)
    with pytest.raises(BenchError, match="cannot be listed"):
        image_files(tmp_path / "none")


def test_image_files_sorts_and_leaves_out_what_is_no_image(photo, tmp_path):
    for name in ("b.JPG", "a.png", ".hidden.png", "c.webp"):
        photo(name, RGB)
    for name in ("Thumbs.db", "readme.txt"):
        (tmp_path / name).write_text("x")
    (tmp_path / "folder.png").mkdir()
    assert [path.name for path in image_files(tmp_path)] == ["a.png", "b.JPG", "c.webp"]


def test_source_reads_when_asked(tmp_path):
    later = source(tmp_path / "later.png", level=3)
    assert (later.name, later.level) == ("later.png", 3)
    write_png(tmp_path / "later.png", RGB)
    np.testing.assert_array_equal(later.load(), RGB)


def test_write_png_is_whole_or_nothing(tmp_path):
    path = tmp_path / "new" / "sr.png"
    write_png(path, RGB)
    np.testing.assert_array_equal(read_image(path), RGB)
    assert [p.name for p in path.parent.iterdir()] == ["sr.png"]
    with pytest.raises(Misuse, match=r"ends in \.png"):
        write_png(tmp_path / "sr.jpg", RGB)
    with pytest.raises(BenchError, match="cannot be made"):
        write_png(path / "below-a-file" / "sr.png", RGB)
    with pytest.raises(TypeError):
        write_png(path, RGB.astype(np.float32))
