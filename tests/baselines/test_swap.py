"""Patch swapping against unfolded and folded patches."""

import pytest
import torch
import torch.nn.functional as F

from baselines.nets.swap import cosine, find, find_each, ranked, swap

CHANNELS = 5


def features(*sizes: tuple[int, int], n: int = 2, factor: int = 1, seed: int = 0) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(n, CHANNELS, h * factor, w * factor, generator=generator) for h, w in sizes]


def by_unfolding(query, keys, values, factor, padding):
    """Similarity (N, patches) and the folded map, from a bank of all patches of all references."""

    def unfolded(x, scale):
        return F.unfold(x, 3 * scale, padding=padding * scale, stride=scale)

    own = F.normalize(unfolded(query, 1), dim=1)
    bank = torch.cat([F.normalize(unfolded(key, 1), dim=1) for key in keys], 2)
    similarity, index = (bank.transpose(1, 2) @ own).max(1)
    patches = torch.cat([unfolded(value, factor) for value in values], 2)
    patches = patches.gather(2, index[:, None].expand(-1, patches.shape[1], -1))
    size = [side * factor for side in query.shape[-2:]]

    def folded(x):
        return F.fold(x, size, 3 * factor, padding=padding * factor, stride=factor)

    return similarity, folded(patches) / (9 if padding else folded(torch.ones_like(patches)))


@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("factor", [1, 2, 4])
@pytest.mark.parametrize(("query_size", "sizes"), [((7, 9), [(8, 6)]), ((3, 5), [(4, 7), (9, 3), (5, 5)])])
def test_same_as_folded_patches_with_their_gradients(query_size, sizes, factor, padding) -> None:
    query, *keys = features(query_size, *sizes)
    values = [value.requires_grad_() for value in features(*sizes, factor=factor, seed=1)]
    found = find(query, keys, padding)
    result = swap(values, found, factor)
    similarity, expected = by_unfolding(query, keys, values, factor, padding)
    torch.testing.assert_close(found.similarity.flatten(1), similarity, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(result, expected)
    noise = torch.randn_like(result)
    ours, theirs = (torch.autograd.grad((x * noise).sum(), values) for x in (result, expected))
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b)


def test_what_was_cut_from_a_reference_is_put_back_from_the_reference_it_was_cut_from() -> None:
    refs = features((9, 8), (12, 10))
    query = refs[1][:, :, 2:8, 3:9]
    found = find(query, refs)
    torch.testing.assert_close(swap(refs, found), query)
    assert found.width.eq(10).all() and found.similarity.gt(0.999).all()


def test_similarity_again_with_gradients_to_both_sides() -> None:
    query, *keys = features((4, 6), (7, 5), (5, 8))
    for padding in (0, 1):
        found = find(query, keys, padding)
        inputs = [t.requires_grad_() for t in (query, *keys)]
        again = cosine(query, keys, found)
        torch.testing.assert_close(again, found.similarity, rtol=1e-4, atol=1e-4)
        assert any(grad.abs().sum() > 0 for grad in torch.autograd.grad(again.sum(), inputs)[1:])
        for t in inputs:
            t.requires_grad_(False)


def test_matches_of_several_references_by_rank() -> None:
    query, *keys = features((5, 5), (6, 6), (7, 4), (5, 9))
    each = find_each(query, keys)
    first, second = ranked(each, 2)
    best = find(query, keys)
    assert first.cell.equal(best.cell) and first.width.equal(best.width)
    assert second.similarity.equal(torch.stack([f.similarity for f in each]).sort(0).values[1])
    assert len(ranked(each[:1], 3)) == 1
