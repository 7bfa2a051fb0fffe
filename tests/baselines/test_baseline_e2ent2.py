"""E2ENT2: what is known of it. There is nothing to compare with."""

import pytest
import torch

from baselines import e2ent2


@pytest.fixture
def net():
    torch.manual_seed(0)
    return e2ent2.build(channels=8, blocks=1).eval()


def images(*sizes: tuple[int, int], n: int = 1) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.rand(n, 3, h, w, generator=generator) for h, w in sizes]


@pytest.mark.parametrize(("size", "ref_sizes"), [((3, 3), [(12, 12)]), ((5, 7), [(24, 12), (16, 40), (20, 20)])])
def test_every_size_of_image_and_any_number_of_references(net, size, ref_sizes) -> None:
    h, w = size
    lr, lr_up, *refs = images(size, (4 * h, 4 * w), *ref_sizes, n=2)
    with torch.no_grad():
        assert e2ent2.restore(net, lr, lr_up, refs).shape == (2, 3, 4 * h, 4 * w)


def test_gradients_reach_the_encoder_through_the_swapped_features(net) -> None:
    lr, lr_up, ref = images((6, 5), (24, 20), (32, 28))
    e2ent2.restore(net, lr, lr_up, [ref]).mean().backward()
    assert [key for key, p in net.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_a_residual_over_the_enlarged_image(net) -> None:
    lr, lr_up, ref = images((6, 5), (24, 20), (32, 28))
    last = net.transfer.large.tail[-1]
    torch.nn.init.zeros_(last.weight), torch.nn.init.zeros_(last.bias)
    with torch.no_grad():
        assert e2ent2.restore(net, lr, lr_up, [ref]).equal(lr_up)


def test_the_encoder_starts_as_vgg19_and_is_trained(net) -> None:
    places = {0: "conv1_1", 2: "conv1_2", 5: "conv2_1", 7: "conv2_2", 10: "conv3_1"}
    own = net.encoder.state_dict()
    vgg = {
        f"features.{n}.{kind}": torch.full_like(own[f"vgg_net.{name}.{kind}"], n)
        for n, name in places.items()
        for kind in ("weight", "bias")
    }
    e2ent2.start(net, vgg, {})
    assert net.encoder.vgg_net.conv3_1.bias.eq(10).all() and net.encoder.vgg_net.conv1_1.weight.requires_grad


def test_nothing_is_published_and_that_is_said() -> None:
    assert e2ent2.convert([{"head.0.weight": torch.zeros(64, 3, 3, 3)}]) is None
    for card in e2ent2.METHODS:
        assert card.verified == "text alone" and card.guesses and not card.files
    assert sum(p.numel() for p in e2ent2.build().parameters()) == e2ent2.METHODS[0].parameters
