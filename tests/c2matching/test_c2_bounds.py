"""Exact matching by bounds and with compiled loops: the same matches as in tiles, and as the definition has it."""

import sys

import pytest
import torch
import torch.nn.functional as F
from test_c2_matching import by_convolution, photos

from c2matching.matching import bounds, patch_correlation, pruned
from c2matching.matching.bounds import DIRECTIONS, RANKS, SLACK, Projected, choose_rank, principal_directions
from c2matching.matching.correspondence import correspond
from c2matching.matching.patch_correlation import match
from c2matching.matching.patches import patch_norms

compiled = pytest.mark.skipif(not pruned.available(), reason="needs numba")


def low_dimensional(*sizes, channels=256, seed=0):
    """Unit descriptors near few directions, as those of photographs are: maps that bounds pay for."""
    generator = torch.Generator().manual_seed(seed)
    spread = torch.arange(1, channels + 1).float() ** -1.5
    smooth = [F.avg_pool2d(torch.randn(channels, h + 2, w + 2, generator=generator), 3, 1) for h, w in sizes]
    return [F.normalize(m * spread[:, None, None], dim=0) for m in smooth]


def agree(found, wanted, features, ref):
    """The same index, or correlations that differ by rounding."""
    (index, value), (other, cosine) = found, wanted
    assert (value - cosine).abs().max() < 1e-5
    differ = (index != other).flatten().nonzero()[:, 0]
    assert len(differ) <= 0.01 * index.numel()
    own, patches = (F.unfold(f[None].double(), 3)[0].T for f in (features, ref))
    patches = patches / patches.norm(dim=1, keepdim=True).clamp_min(1e-5)
    one, two = ((own[differ] * patches[i.flatten()[differ]]).sum(1) for i in (index, other))
    assert torch.allclose(one, two, atol=4e-6 * own.norm(dim=1).max().item(), rtol=0)


@pytest.fixture
def small(monkeypatch):
    """Small maps are matched as large ones are."""
    monkeypatch.setattr(pruned, "SMALLEST", 0)


@pytest.fixture
def used(monkeypatch):
    """Record the rank of bounds, None when they do not pay; nothing is recorded when they are not considered."""
    ranks = []
    find = pruned.find_bounds

    def noting(*args):
        found = find(*args)
        ranks.append(found and found.rank)
        return found

    monkeypatch.setattr(pruned, "find_bounds", noting)
    return ranks


@pytest.fixture(params=["by bounds", "in full"])
def rows(request, monkeypatch):
    """Rows are searched by bounds, because looks at candidates are cheap, or in full, because one costs too much."""
    monkeypatch.setattr(pruned, "CANDIDATE_COST", 1 if request.param == "by bounds" else 1 << 40)


@pytest.fixture
def always(small, used, monkeypatch):
    """Bounds are used, whether they pay or not."""
    monkeypatch.setattr(bounds, "SPREAD", float("inf"))
    monkeypatch.setattr(bounds, "choose_rank", lambda *_: RANKS[0])
    yield
    assert used and set(used) == {RANKS[0]}


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("kind", ["photos", "low", "random", "constant"])
def test_bounds_are_nowhere_below_the_correlations(kind, scale):
    """The bounds hold for every pixel in double precision, and for every patch in float32."""
    if kind == "photos":
        one, two = photos(72, 96)[:2]
    elif kind == "low":
        one, two = low_dimensional((12, 15), (14, 11))
    elif kind == "random":
        one, two = torch.randn(256, 12, 15), torch.randn(256, 14, 11)
    else:
        one, two = torch.ones(256, 9, 9), torch.ones(256, 8, 8)
    one = one * scale
    energy = sum(f.flatten(1) @ f.flatten(1).T for f in (one, two))
    basis = torch.linalg.eigh(energy)[1].flip(1)[:, :DIRECTIONS]
    a, b = (Projected.of(f.flatten(1).T, basis) for f in (one, two))
    pixels = [f.flatten(1).T.double() for f in (one, two)]
    exact = pixels[0] @ pixels[1].T
    lengths = pixels[0].norm(dim=1)[:, None] * pixels[1].norm(dim=1)
    for k in RANKS:
        first = a.first(k) @ b.first(k).T
        closer = first + a.second(k, -1) @ b.second(k, 1).T
        assert (first - exact >= -2e-6 * lengths).all() and (closer - exact >= -2e-6 * lengths).all()
        assert (closer <= first + 4e-6 * lengths).all()
        maps = (x.first(k).T.unflatten(1, f.shape[1:]) for x, f in ((a, one), (b, two)))
        (upper, true), norms = (sums(*maps), sums(one, two)), patch_norms(two).flatten()
        assert (upper / norms >= true / norms - SLACK * patch_norms(one).flatten()[:, None]).all()


def sums(one, two):
    """Patch correlations (N, M)."""
    return F.unfold(one[None], 3)[0].T @ F.unfold(two[None], 3)[0]


@compiled
def test_photos_match_as_in_tiles_and_as_the_definition_has_it(small, used, rows):
    low, high, other = photos(160, 192)
    for ref in (high, other, torch.cat([other, high], 2)):
        found = match(low, ref)
        agree(found, match(low, ref, prune=False), low, ref)
        agree(found, by_convolution(low, ref), low, ref)
    assert len(used) == 3 and all(rank in RANKS for rank in used)


@compiled
@pytest.mark.parametrize("normalise", [True, False])
@pytest.mark.parametrize(("size", "ref_size"), [((40, 31), (29, 44)), ((17, 60), (66, 21)), ((64, 5), (3, 70))])
def test_descriptors_of_any_length_match_as_in_tiles(small, used, rows, size, ref_size, normalise):
    features, ref = low_dimensional(size, ref_size)
    features, ref = features * torch.rand(size), ref * (0.5 + torch.rand(ref_size)) * 7
    found = match(features, ref, normalise_ref=normalise, normalise_input=False)
    wanted = match(features, ref, normalise_ref=normalise, normalise_input=False, prune=False)
    if normalise:
        agree(found, wanted, features, ref)
    else:
        assert torch.equal(found[0], wanted[0]) and torch.allclose(found[1], wanted[1], rtol=1e-5, atol=1e-5)
    assert used[0] in RANKS


@compiled
@pytest.mark.parametrize("size", [(3, 3), (3, 9), (4, 30), (13, 11)])
def test_tiny_and_random_maps(always, rows, size):
    for channels in (6, 256):  # there are no bounds of few channels
        features, ref = torch.randn(channels, *size), torch.randn(channels, size[1], size[0])
        agree(match(features, ref), match(features, ref, prune=False), features, ref)


@compiled
def test_ties_go_to_the_lowest_index(always, rows):
    once = torch.randint(-4, 5, (256, 8, 10)).float()  # whole numbers: equal patches correlate exactly equally
    index, _ = match(once, torch.cat([once, once, once], dim=1))
    assert torch.equal(index, torch.arange(48).view(6, 8))
    for one in (torch.zeros, torch.ones):
        for two in (torch.zeros, torch.ones):
            index, similarity = match(one(256, 9, 9), two(256, 30, 7))
            assert (index == 0).all() and similarity.isfinite().all()


@compiled
def test_equal_patches_that_bounds_leave_go_to_the_lowest_index(small, used, rows):
    features, ref = (m.mul(64).round() for m in low_dimensional((30, 40), (20, 50)))  # exactly equal, as above
    twice = torch.cat([ref, ref], 1)
    found = match(features, twice)
    agree(found, match(features, twice, prune=False), features, twice)
    assert (found[0] < 20 * 48).all() and used[0] in RANKS


@compiled
def test_where_all_correlations_are_negative_the_best_is_a_patch(always, rows):
    """Positions that are no patches count as zero, more than any patch has."""
    features, ref = (m.abs() + 1 for m in low_dimensional((12, 15), (14, 9)))
    found = match(features, -ref)
    assert (found[1] < 0).all()
    agree(found, match(features, -ref, prune=False), features, -ref)


@compiled
def test_textures_that_repeat(small):
    """One part has endless candidates, the other few: rows of the first are given up and done in full."""
    tile = low_dimensional((4, 4))[0]
    features, ref = low_dimensional((24, 48), (40, 48))
    for top in (0, 4, 8, 12):
        features[:, top : top + 4] = tile.repeat(1, 1, 12)
        ref[:, top : top + 4] = tile.repeat(1, 1, 12)
    index, value = match(features, ref)
    wanted, cosine = match(features, ref, prune=False)
    assert (value - cosine).abs().max() < 1e-5
    assert torch.equal(index[16:], wanted[16:])
    own, patches = F.unfold(features[None], 3)[0].T, F.unfold(ref[None], 3)[0].T
    assert torch.equal(own[:46], patches[index[0]])  # any of the equal ones


@compiled
def test_rows_where_bounds_exclude_too_little_are_done_in_full(small, monkeypatch):
    low, high, _ = photos(160, 192)
    calls = []
    from c2matching.matching import compiled as loops

    full = loops.largest
    monkeypatch.setattr(loops, "largest", lambda *args: (calls.append(1), full(*args)))
    wanted = match(low, high, prune=False)
    agree(match(low, high), wanted, low, high)
    assert not calls
    monkeypatch.setattr(pruned, "CANDIDATE_COST", 1 << 40)  # one look is too many
    agree(match(low, high), wanted, low, high)
    assert len(calls) > 0


@compiled
@pytest.mark.parametrize("held", [1, 40_000, 200_000])
@pytest.mark.parametrize("threads", [1, 3])
def test_strips_and_bands_change_nothing(small, rows, monkeypatch, held, threads):
    features, ref = low_dimensional((33, 50), (31, 29))
    wanted = match(features, ref)
    monkeypatch.setattr(pruned, "HELD", held)
    monkeypatch.setattr(pruned, "NARROW", 8)
    monkeypatch.setattr(pruned, "KEYS", 100)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        agree(match(features, ref), wanted, features, ref)
        monkeypatch.setattr(pruned, "IN_ALL", 1)
        agree(match(features, ref), wanted, features, ref)
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)


@compiled
def test_several_references(small):
    low, high, other = photos(128, 160)
    refs = [high[:, :20], other, high, low[:, :, :9]]
    found = correspond(low, refs)
    alone = [match(F.normalize(low, dim=0), F.normalize(ref, dim=0), prune=False)[1] for ref in refs]
    assert (found.similarity - torch.stack(alone).amax(0)).abs().max() < 1e-5
    assert (found.reference == torch.stack(alone).argmax(0)).float().mean() > 0.99


@compiled
def test_other_numbers_are_matched_as_ever(small, used):
    """Double precision, values that are not finite or whose squares are not."""
    features, ref = low_dimensional((12, 14), (15, 11))
    for one in (features.double(), features * 1e20, torch.full_like(features, torch.nan)):
        two = ref.to(one.dtype)
        index, value = match(one, two)
        wanted = match(one, two, prune=False)
        assert torch.equal(index, wanted[0]) and torch.equal(value.nan_to_num(), wanted[1].nan_to_num())
    assert not used


@compiled
def test_an_error_in_a_thread_is_raised():
    before = torch.get_num_threads()

    def fails():
        raise MemoryError("no room")

    with pytest.raises(MemoryError, match="no room"):
        pruned.in_threads([lambda: 1, fails])
    assert torch.get_num_threads() == before


def test_without_numba_nothing_changes(small, monkeypatch, used):
    monkeypatch.setattr(pruned, "available", lambda: False)
    features, ref = low_dimensional((12, 14), (15, 11))
    index, value = match(features, ref, normalise_input=False)
    wanted = patch_correlation.match_in_tiles(features, ref, patch_norms(ref), "exact")
    assert torch.equal(index, wanted[0]) and torch.equal(value, wanted[1])
    assert not used


@pytest.fixture
def asked_anew(monkeypatch):
    """numba is looked for in the test, and again after it."""
    monkeypatch.delitem(sys.modules, "c2matching.matching.compiled", raising=False)
    pruned.available.cache_clear()
    yield
    pruned.available.cache_clear()


def test_numba_that_is_not_installed_or_does_not_fit_numpy_is_not_used(asked_anew, monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)  # importing it raises ImportError
    assert not pruned.available()


@compiled
def test_numba_without_a_place_for_what_it_compiles_is_not_used(asked_anew, monkeypatch):
    import numba

    def njit(*args, cache=False, **options):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return lambda f: f

    monkeypatch.setattr(numba, "njit", njit)
    assert not pruned.available()


def test_random_descriptors_are_told_before_any_work():
    assert principal_directions(*(F.normalize(torch.randn(256, 40, 50), dim=0) for _ in range(2))) is None
    assert principal_directions(*low_dimensional((40, 50), (30, 30))).shape == (256, DIRECTIONS)
    assert principal_directions(torch.randn(64, 9, 9), torch.randn(64, 9, 9)) is None  # few channels


def test_flat_maps_are_not_worth_bounds():
    flat = F.normalize(torch.ones(256, 12, 12) + 1e-4 * torch.randn(256, 12, 12), dim=0)
    basis = principal_directions(flat, flat)
    pixels = flat.flatten(1).T.contiguous()
    own = pixels.view(12, 12, -1)
    assert choose_rank(own, pixels, Projected.of(pixels, basis), basis, 1 / patch_norms(flat)) is None
