"""Images in tiles: seams, the parts of references, sizes, and memory that runs out."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest

from baselines import bicubic
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.types import Correspondence, Prediction, View
from refsr_bench.data.opening import open_dataset
from refsr_bench.pixels.resize import resize_pil_bicubic
from refsr_bench.tiles.cuts import OVERLAP, WEIGHT, Tile, joined, spans, weights
from refsr_bench.tiles.places import MOST, finder
from refsr_bench.tiles.running import in_tiles, out_of_memory
from refsr_bench.tiles.sizes import MEMORY, Tiling, parse

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("side", [32, 40, 64, 96])
@pytest.mark.parametrize("length", [20, 32, 33, 65, 80, 113, 500])
def test_weights_of_neighbours_add_up_everywhere(length: int, side: int) -> None:
    found = spans(length, side)
    total = np.zeros(4 * length, int)
    for span in found:
        total[4 * span.first : 4 * span.end] += weights(span, length, 4)
    assert (total == WEIGHT).all()
    assert all(one.end - other.first >= OVERLAP for one, other in pairwise(found))
    assert sum(span.after - span.before for span in found) == length


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_equal_tiles_stay_as_they_are(kind: type) -> None:
    image = RNG.integers(0, np.iinfo(kind).max + 1, (300, 244, 3)).astype(kind)
    bands = list(joined((75, 61), 32, 4, lambda tile: tile.of(image, 4)))
    assert len(bands) > 2
    np.testing.assert_array_equal(np.concatenate(bands), image)
    assert bands[0].dtype == kind


def test_the_order_of_tiles_does_not_matter() -> None:
    """The same weighted sums, from tiles that are made and added the other way round."""
    made = {}

    def noise(tile: Tile) -> np.ndarray:
        made[tile] = RNG.integers(0, 256, (128, 128, 3)).astype(np.uint8)
        return made[tile]

    forth = np.concatenate(list(joined((80, 70), 32, 4, noise)))
    total = np.zeros((320, 280, 3), np.int64)
    for tile, image in reversed(made.items()):
        weight = weights(tile.rows, 80, 4)[:, None] * weights(tile.columns, 70, 4)
        tile.of(total, 4)[:] += image * weight[..., None]
    np.testing.assert_array_equal(forth, (total + WEIGHT**2 // 2) // WEIGHT**2)
    assert len({tile.own(4)[0].start for tile in made}) == len(spans(80, 32))


def test_a_tile_fades_and_ends_within_what_is_shared() -> None:
    first, second = spans(60, 40)
    fading = weights(first, 60, 1)
    assert (first.end, second.first) == (40, 20)
    assert fading[:25].min() == WEIGHT and fading[35:].max() == 0
    assert (np.diff(fading) <= 0).all()


def test_bicubic_in_tiles_is_bicubic() -> None:
    lr = open_dataset("sample").pairs[0].hr.load()[:151, :133]
    made = in_tiles(bicubic.upscale, Tiling(48))(lr, [], 4)
    np.testing.assert_array_equal(made.sr, bicubic.upscale(lr, [], 4).sr)
    assert made.tile == 48
    assert in_tiles(bicubic.upscale, Tiling(160))(lr, [], 4).tile is None


# -- parts of references -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shifted() -> tuple[np.ndarray, np.ndarray]:
    """LR, and a reference that shows the same 40 pixels to the right and 24 further down."""
    hr = open_dataset("sample").pairs[0].hr.load()
    lr = resize_pil_bicubic(hr, 60, 80)
    ref = np.zeros((300, 400, 3), np.uint8)
    ref[24:264, 40:360] = hr
    return lr, ref


def test_a_tile_gets_the_part_that_shows_it(shifted) -> None:
    lr, ref = shifted
    found = finder(lr, ref, 4)
    for tile in (Tile(row, column) for row in spans(60, 32) for column in spans(80, 32)):
        part = found.part(tile)
        left, top = part.origin
        height, width = part.image.shape[:2]
        rows, columns = (slice(4 * span.first, 4 * span.end) for span in (tile.rows, tile.columns))
        assert left <= columns.start + 40 and left + width >= columns.stop + 40
        assert top <= rows.start + 24 and top + height >= rows.stop + 24
        assert height * width <= MOST * 128 * 128
        assert (left % 4, top % 4, part.factor) == (0, 0, (1, 1))
        np.testing.assert_array_equal(part.image, ref[top : top + height, left : left + width])


def test_a_part_that_is_too_large_is_reduced(shifted) -> None:
    lr, ref = shifted
    nearer = resize_pil_bicubic(ref, 3 * 300, 3 * 400)
    found = finder(lr, nearer, 4)
    tile = Tile(spans(60, 32)[1], spans(80, 32)[1])
    part = found.part(tile)
    assert part.image.shape[0] * part.image.shape[1] <= MOST * 128 * 128
    assert min(part.factor) > 1.5
    corner = part.back(np.array([0.0, 0.0]))
    assert (corner <= 3 * np.array([4 * tile.columns.first + 40, 4 * tile.rows.first + 24])).all()


def test_an_unrelated_reference_gives_parts_of_the_right_size(shifted) -> None:
    lr, _ = shifted
    other = RNG.integers(0, 256, (500, 700, 3)).astype(np.uint8)
    found = finder(lr, other, 4)
    assert found.view is None
    part = found.part(Tile(spans(60, 32)[0], spans(80, 32)[0]))
    assert min(part.image.shape[:2]) >= 128 and part.image.shape[0] * part.image.shape[1] <= MOST * 128 * 128
    flat = finder(np.zeros((60, 80, 3), np.uint8), np.zeros((500, 700, 3), np.uint8), 4)
    assert min(flat.part(Tile(spans(60, 32)[0], spans(80, 32)[0])).image.shape[:2]) >= 128


def test_what_tiles_found_is_told_in_the_frame_of_the_whole(shifted) -> None:
    lr, ref = shifted
    seen: list[tuple[int, ...]] = []

    def predict(low: np.ndarray, refs: Sequence[np.ndarray], scale: int) -> Prediction:
        """Find the middle of every tile at the first pixel of its part, and take half of it from one view of that."""
        seen.append(refs[0].shape)
        height, width = (scale * side for side in low.shape[:2])
        source = np.zeros((height, width, 2), np.float32)
        view = View(np.full((height, width, 3), 7, np.uint8), source, np.ones((height, width), bool), "sift")
        found = Correspondence(np.array([[width / 2, height / 2]]), np.zeros((1, 2)))
        return Prediction(resize_pil_bicubic(low, height, width), found, (view,), (0.5,))

    made = in_tiles(predict, Tiling(32))(lr, [ref], 4)
    assert len(seen) == 12
    assert made.shares == (0.5,) and made.views[0].valid.all() and (made.views[0].image == 7).all()
    # The first pixel of each part lies at its origin.
    origins = {finder(lr, ref, 4).part(Tile(r, c)).origin for r in spans(60, 32) for c in spans(80, 32)}
    assert {tuple(map(int, place)) for place in made.views[0].source.reshape(-1, 2)} == origins
    middles = [(2 * (c.first + c.end), 2 * (r.first + r.end)) for r in spans(60, 32) for c in spans(80, 32)]
    assert [tuple(point) for point in made.correspondence.points] == middles
    assert {tuple(map(int, place)) for place in made.correspondence.targets} == origins


# -- sizes ---------------------------------------------------------------------------------------------------------


def test_tile_is_off_auto_or_a_number() -> None:
    assert parse("off") is None
    assert parse("auto") == Tiling() and parse("auto").name == "auto"
    assert parse("64") == Tiling(64) and parse("64").name == "64"
    for text in ("", "0", "31", "20000", "9" * 5000, "half", "-64", "64.0"):
        with pytest.raises(Misuse, match="--tile"):
            parse(text)


def test_auto_keeps_small_images_whole_and_cuts_large_ones_by_their_size() -> None:
    small, large = np.zeros((128, 128, 3), np.uint8), np.zeros((750, 1000, 3), np.uint8)
    photo = np.zeros((3000, 4000, 3), np.uint8)
    auto = Tiling()
    assert auto.of(small, [np.zeros((512, 512, 3), np.uint8)], 4, 2000) is None
    side = auto.of(large, [], 4, 2000)
    assert side % 8 == 0 and 2000 * (4 * side) ** 2 <= MEMORY < 2000 * (4 * (side + 8)) ** 2
    assert auto.of(small, [photo], 4, 2000) == side  # the reference alone is too large
    assert auto.of(large, [photo], 4, 0) is None  # a program of its own
    assert auto.of(large, [], 4, None) < side
    assert Tiling(128).of(small, [], 4, 2000) is None and Tiling(120).of(small, [], 4, 2000) == 120


# -- memory that runs out ------------------------------------------------------------------------------------------


class OutOfMemoryError(RuntimeError):
    """Called like PyTorch's."""


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OutOfMemoryError("CUDA out of memory."),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes."),
        RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"),
    ],
)
def test_out_of_memory_goes_on_with_smaller_tiles(error: Exception, caplog) -> None:
    lr = RNG.integers(0, 256, (150, 130, 3)).astype(np.uint8)

    def predict(low: np.ndarray, refs: Sequence[np.ndarray], scale: int) -> Prediction:
        if low.size > 3 * 40 * 40:
            raise error
        return bicubic.upscale(low, refs, scale)

    made = in_tiles(predict, Tiling())(lr, [], 4)
    assert made.tile == 37 and "tiles of 37" in caplog.text
    np.testing.assert_array_equal(made.sr, bicubic.upscale(lr, [], 4).sr)


def test_too_little_memory_for_any_tile_is_told() -> None:
    def predict(low: np.ndarray, refs: Sequence[np.ndarray], scale: int) -> Prediction:
        raise MemoryError("no room")

    with pytest.raises(BenchError, match="smallest tiles"):
        in_tiles(predict, Tiling(64))(np.zeros((80, 80, 3), np.uint8), [], 4)


def test_other_errors_are_not_taken_for_memory() -> None:
    def predict(low: np.ndarray, refs: Sequence[np.ndarray], scale: int) -> Prediction:
        raise RuntimeError("shape mismatch")

    assert not out_of_memory(ValueError("out of memory"))
    with pytest.raises(RuntimeError, match="shape mismatch"):
        in_tiles(predict, Tiling(64))(np.zeros((80, 80, 3), np.uint8), [], 4)


def test_a_tile_of_another_size_is_told() -> None:
    with pytest.raises(BenchError, match="a tile came back"):
        in_tiles(lambda low, refs, scale: Prediction(low), Tiling(64))(np.zeros((80, 80, 3), np.uint8), [], 4)


