"""Photos in and out: 16 bits, alpha, grey, orientation, colour profiles."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as PilImage
from PIL import ImageCms

from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.pixels import photos
from refsr_bench.pixels.photos import Photo, in_space_of, read, write

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (12, 20, 3), dtype=np.uint8)
DEEP = RNG.integers(0, 65536, (12, 20, 4), dtype=np.uint16)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def wide_profile() -> bytes:
    """A profile whose primaries lie further out than those of sRGB: its colorants are those of Display P3."""
    data = bytearray(SRGB)
    colorants = {
        b"rXYZ": (0.51512, 0.24120, -0.00105),
        b"gXYZ": (0.29198, 0.69225, 0.04189),
        b"bXYZ": (0.15710, 0.06657, 0.78407),
    }
    count = int.from_bytes(data[128:132])
    for n in range(count):
        entry = 132 + 12 * n
        if values := colorants.get(bytes(data[entry : entry + 4])):
            at = int.from_bytes(data[entry + 4 : entry + 8]) + 8
            fixed = b"".join(round(v * 65536).to_bytes(4, signed=True) for v in values)
            data[at : at + 12] = fixed
    return bytes(data)


WIDE = wide_profile()


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_16_bits_are_read_as_they_are(tmp_path: Path, suffix: str, channels: int) -> None:
    path = tmp_path / f"deep{suffix}"
    values = DEEP[..., 0] if channels == 1 else DEEP[..., [2, 1, 0, 3][:channels]]  # OpenCV writes BGR
    assert cv2.imwrite(str(path), values)
    photo = read(path)
    assert (photo.bits, photo.grey) == (16, channels == 1)
    np.testing.assert_array_equal(photo.pixels, DEEP[..., [0, 0, 0]] if channels == 1 else DEEP[..., :3])
    if channels == 4:
        np.testing.assert_array_equal(photo.alpha, DEEP[..., 3])
    else:
        assert photo.alpha is None


@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_what_is_written_is_read_again(tmp_path: Path, kind: type, alpha: bool, grey: bool) -> None:
    values = DEEP.astype(kind)
    colours = values[..., [1, 1, 1]] if grey else values[..., :3]
    photo = Photo(colours, values[..., 3] if alpha else None, grey, SRGB)
    write(tmp_path / "new" / "photo.png", photo)
    again = read(tmp_path / "new" / "photo.png")
    np.testing.assert_array_equal(again.pixels, colours)
    assert again.profile == SRGB and again.bits == photo.bits
    assert (again.alpha is not None) == alpha and (not alpha or (again.alpha == photo.alpha).all())
    # OpenCV has no grey with alpha of 16 bits: it becomes colours that are equal.
    assert again.grey == (grey and not (alpha and kind is np.uint16))


def test_pillow_reads_the_profile_of_16_bits(tmp_path: Path) -> None:
    write(tmp_path / "deep.png", Photo(DEEP[..., :3], profile=WIDE))
    with PilImage.open(tmp_path / "deep.png") as image:
        assert image.info["icc_profile"] == WIDE
        image.load()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.jpg"])
def test_the_orientation_is_that_of_what_is_measured(tmp_path: Path, name: str, orientation: int) -> None:
    from refsr_bench.pixels.images import read_image

    exif = PilImage.Exif()
    exif[0x0112] = orientation
    PilImage.fromarray(RGB).save(tmp_path / name, exif=exif)
    np.testing.assert_array_equal(read(tmp_path / name).pixels, read_image(tmp_path / name))


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("suffix", [".tif", ".png"])
def test_the_orientation_of_16_bits(tmp_path: Path, suffix: str, orientation: int) -> None:
    eight, deep = tmp_path / f"eight{suffix}", tmp_path / f"deep{suffix}"
    exif = PilImage.Exif()
    exif[0x0112] = orientation
    grey = RGB[..., 0]
    PilImage.fromarray(grey).save(eight, exif=exif)
    PilImage.fromarray(grey.astype(np.uint16) * 257).save(deep, exif=exif)
    np.testing.assert_array_equal(read(deep).pixels, read(eight).pixels.astype(np.uint16) * 257)
    assert read(deep).eight().pixels.tolist() == read(eight).pixels.tolist()


def test_transparency_of_every_kind_is_kept(tmp_path: Path) -> None:
    alpha = RNG.integers(0, 256, (12, 20), dtype=np.uint8)
    PilImage.fromarray(np.dstack((RGB, alpha))).save(tmp_path / "rgba.png")
    PilImage.fromarray(np.dstack((RGB[..., 0], alpha)), "LA").save(tmp_path / "la.png")
    palette = PilImage.fromarray(RGB).quantize(16)
    palette.save(tmp_path / "p.png", transparency=3)
    np.testing.assert_array_equal(read(tmp_path / "rgba.png").alpha, alpha)
    la = read(tmp_path / "la.png")
    assert la.grey and (la.alpha == alpha).all() and (la.pixels == RGB[..., [0, 0, 0]]).all()
    holes = read(tmp_path / "p.png")
    assert ((holes.alpha == 0) == (np.asarray(palette) == 3)).all() and not holes.grey


def test_sr_takes_after_lr() -> None:
    photo = Photo(RGB, RGB[..., 0], True, SRGB)
    sr = RGB.repeat(4, 0).repeat(4, 1)
    made = photo.enlarged(sr)
    assert (made.grey, made.profile) == (True, SRGB) and made.pixels is sr
    wanted = PilImage.fromarray(RGB[..., 0]).resize((80, 48), PilImage.Resampling.BICUBIC)
    np.testing.assert_array_equal(made.alpha, wanted)
    ramp = np.linspace(0, 255, 20).round().astype(np.uint8)[None].repeat(12, 0)
    deep = Photo(DEEP[..., :3], ramp.astype(np.uint16) * 257).enlarged(DEEP[..., :3].repeat(4, 0).repeat(4, 1))
    assert deep.alpha.dtype == np.uint16
    assert np.abs(deep.eight().alpha.astype(int) - Photo(RGB, ramp).enlarged(sr).alpha).max() <= 1


# -- colours -------------------------------------------------------------------------------------------------------


def test_a_reference_gets_the_profile_of_lr() -> None:
    lr, ref = Photo(RGB, profile=WIDE), Photo(RGB)
    there = in_space_of(ref, lr)
    assert there.profile == WIDE
    saturated = in_space_of(Photo(np.full((1, 1, 3), (0, 255, 0), np.uint8)), lr).pixels[0, 0]
    # A pure green of sRGB within Display P3, by Apple's published conversion: (117, 251, 76).
    np.testing.assert_allclose(saturated, (117, 251, 76), atol=4)
    back = in_space_of(there, Photo(RGB))
    assert np.abs(back.pixels.astype(int) - RGB).max() <= 6


def test_the_same_colours_are_left_alone() -> None:
    ref = Photo(RGB, profile=SRGB)
    assert in_space_of(ref, Photo(RGB)) is ref  # sRGB by its profile, and without one
    assert in_space_of(ref, Photo(RGB, profile=SRGB)) is ref
    damaged = Photo(RGB, profile=b"no profile")
    assert in_space_of(damaged, Photo(RGB, profile=WIDE)) is damaged


def test_cmyk_becomes_colours(tmp_path: Path) -> None:
    red = PilImage.new("CMYK", (8, 8), (0, 255, 255, 0))
    red.save(tmp_path / "red.jpg", quality=95)
    photo = read(tmp_path / "red.jpg")
    assert photo.profile is None and np.abs(photo.pixels.astype(int) - (255, 0, 0)).max() < 6


# -- what is refused -----------------------------------------------------------------------------------------------


def test_values_that_are_no_colours_are_refused(tmp_path: Path) -> None:
    for name, kind in {"f.tif": np.float32, "i32.tif": np.int32}.items():
        PilImage.fromarray(RGB[..., 0].astype(kind)).save(tmp_path / name)
        with pytest.raises(BenchError, match=f"{name}: 32 bits"):
            read(tmp_path / name)
    PilImage.fromarray(RGB).convert("LAB").save(tmp_path / "lab.tif")
    with pytest.raises(BenchError, match="LAB pixels"):
        read(tmp_path / "lab.tif")


def test_size_and_damage_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "deep.png"
    cv2.imwrite(str(path), DEEP[..., :3])
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BenchError, match=r"deep\.png: "):
        read(path)
    path.write_bytes(whole)
    monkeypatch.setitem(photos.MOST_PIXELS, 16, 239)
    with pytest.raises(BenchError, match=r"20x12 pixels are too many, the limit is 239"):
        read(path)
    with pytest.raises(Misuse, match=r"ends in \.png"):
        write(tmp_path / "a.jpg", Photo(RGB))
