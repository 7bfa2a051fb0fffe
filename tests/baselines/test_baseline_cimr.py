"""CIMR-SR: what is known of it. There is nothing to compare with."""

import pytest
import torch

from baselines import cimr
from baselines.nets.swap import find, swap


@pytest.fixture
def net():
    torch.manual_seed(0)
    return cimr.build(channels=8, blocks=1).eval()


def images(*sizes: tuple[int, int], n: int = 1) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.rand(n, 3, h, w, generator=generator) for h, w in sizes]


POOL = [(24, 12), (16, 40), (20, 20), (32, 12)]


@pytest.mark.parametrize(("size", "ref_sizes"), [((3, 3), [(12, 12)]), ((5, 7), POOL)])
def test_every_size_of_image_and_any_number_of_references(net, size, ref_sizes) -> None:
    h, w = size
    lr, lr_up, *refs = images(size, (4 * h, 4 * w), *ref_sizes, n=2)
    with torch.no_grad():
        assert cimr.restore(net, lr, lr_up, refs).shape == (2, 3, 4 * h, 4 * w)


def test_three_matches_of_a_pool_the_best_one_first(net) -> None:
    lr_up, *refs = images((20, 28), *POOL)
    maps, similarity = net.pool(lr_up, refs, refs)
    assert len(maps) == len(similarity) == 3
    assert (similarity[0] >= similarity[1]).all() and (similarity[1] >= similarity[2]).all()
    features = [net.vgg(ref)["relu3_1"] for ref in refs]
    assert maps[0]["relu3_1"].equal(swap(features, find(net.vgg(lr_up)["relu3_1"], features)))


def test_the_order_of_the_pool_is_of_no_importance_and_several_matches_are(net) -> None:
    lr, lr_up, *refs = images((5, 7), (20, 28), *POOL)
    with torch.no_grad():
        sr, turned = (cimr.restore(net, lr, lr_up, pool) for pool in (refs, refs[::-1]))
        net.matches = 1
        alone = cimr.restore(net, lr, lr_up, refs)
    torch.testing.assert_close(sr, turned)
    assert not torch.allclose(sr, alone, atol=1e-5)


def test_attention_is_a_mean_of_the_matches(net) -> None:
    x, first, second = (torch.randn(1, c, 6, 5) for c in (8, 256, 256))
    similarity = [torch.rand(1, 4, 3) for _ in range(2)]
    attention = net.attention["small"]
    with torch.no_grad():
        assert torch.allclose(attention(x, [first, first], similarity), first, atol=1e-6)
        mixed = attention(x, [first, second], similarity)
        weight = ((mixed - second) / (first - second)).median(1, keepdim=True).values  # the same for all channels
        assert torch.allclose(mixed, weight * first + (1 - weight) * second, atol=1e-5)
        attention.score[-1].weight.zero_()
        assert torch.allclose(attention(x, [first, second], similarity), (first + second) / 2, atol=1e-6)


def test_gradients_reach_what_is_trained_and_vgg_stays(net) -> None:
    lr, lr_up, *refs = images((6, 5), (24, 20), (32, 28), (16, 16))
    cimr.restore(net, lr, lr_up, refs).mean().backward()
    scores = {f"attention.{scale}.score.2.bias" for scale in net.attention}  # the same for all matches: no effect
    trained = {key for key, p in net.named_parameters() if p.grad is not None and p.grad.abs().max() > 1e-12}
    assert trained | scores == {key for key, _ in net.named_parameters() if not key.startswith("vgg.")}


def test_vgg19_is_put_in_place(net) -> None:
    places = {0: "conv1_1", 2: "conv1_2", 5: "conv2_1", 7: "conv2_2", 10: "conv3_1"}
    own = net.vgg.state_dict()
    vgg = {
        f"features.{n}.{kind}": torch.full_like(own[f"vgg_net.{name}.{kind}"], n)
        for n, name in places.items()
        for kind in ("weight", "bias")
    }
    cimr.start(net, vgg, {})
    assert net.vgg.vgg_net.conv3_1.bias.eq(10).all() and not net.vgg.vgg_net.conv1_1.weight.requires_grad


def test_nothing_is_published_and_that_is_said() -> None:
    assert cimr.convert([{"head.0.weight": torch.zeros(64, 3, 3, 3)}]) is None
    for card in cimr.METHODS:
        assert card.verified == "text alone" and card.guesses and not card.files
    trained = sum(p.numel() for p in cimr.build().parameters() if p.requires_grad)
    assert trained == cimr.METHODS[0].parameters
