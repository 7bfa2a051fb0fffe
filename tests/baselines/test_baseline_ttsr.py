"""TTSR against the authors' module."""

import pytest
import torch
from golden import closeness, golden, official

from baselines import ttsr

SMALL = {"channels": 8, "blocks": [1, 2, 1, 1]}


@pytest.fixture
def net():
    torch.manual_seed(0)
    return ttsr.build(**SMALL).eval()


def images(*sizes: tuple[int, int], n: int = 1) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.rand(n, 3, h, w, generator=generator) for h, w in sizes]


def test_same_output_as_the_authors_module_in_their_own_names(shared) -> None:
    arrays, meta = golden(shared, "ttsr")
    options, state = ttsr.convert([official(meta)])
    assert options == {"channels": 64, "blocks": [16, 16, 8, 4]}
    net = ttsr.build(**options).eval()
    net.load_state_dict(state)
    frozen = 12  # two mean shifts that are constants here
    assert sum(p.numel() for p in net.parameters()) == meta["n_params"] - frozen == ttsr.METHODS[0].parameters
    names = ("in_lr", "in_lr_up", "in_ref", "in_ref_down_up")
    with torch.no_grad():
        found, soft, textures = net.textures(*(arrays[name] for name in names[1:]))
        rows, cols = found.cell // found.width, found.cell % found.width
        assert (rows * (found.width - 2) + cols).flatten(1).equal(arrays["out_index"])
        assert closeness(soft, arrays["out_S"]) < 1e-4
        for texture, level in zip(textures, (3, 2, 1), strict=True):
            assert closeness(texture[:, ::16], arrays[f"out_T_lv{level}"]) < 1e-4
        assert closeness(net(*(arrays[name] for name in names)), arrays["out_sr"]) < 1e-4
        ours = ttsr.restore(net, *(arrays[name] / 2 + 0.5 for name in names[:2]), [arrays["in_ref"] / 2 + 0.5])
        assert closeness(2 * ours - 1, arrays["out_sr"]) < 1e-4
    assert closeness(net.textures(*(arrays[name] for name in names[1:]))[1], arrays["out_S"]) < 1e-4


def test_sizes_are_read_off_a_file(net) -> None:
    options, state = ttsr.convert([net.state_dict()])
    assert options == SMALL and state.keys() == net.state_dict().keys()


def test_a_copy_of_the_extractor_in_training_files_is_left_out(shared) -> None:
    _, meta = golden(shared, "ttsr")
    state = official(meta)
    copy = {key.replace("LTE.", "LTE_copy."): value for key, value in state.items() if key.startswith("LTE.")}
    _, state = ttsr.convert([state | copy | {"LTE.sub_mean.weight": torch.zeros(3, 3, 1, 1)}])
    assert state.keys() == ttsr.build().state_dict().keys()


@pytest.mark.parametrize(
    "state", [{"head.weight": torch.zeros(8, 3, 3, 3)}, {"MainNet.SFE.conv_head.weight": torch.zeros(1)}]
)
def test_a_file_of_another_model_is_not_taken(state) -> None:
    assert ttsr.convert([state]) is None


@pytest.mark.parametrize(("size", "ref_size"), [((1, 1), (4, 4)), ((5, 7), (24, 12)), ((6, 3), (8, 40))])
def test_every_size_of_image_and_reference(net, size, ref_size) -> None:
    h, w = size
    lr, lr_up, ref = images(size, (4 * h, 4 * w), ref_size, n=2)
    with torch.no_grad():
        assert ttsr.restore(net, lr, lr_up, [ref]).shape == (2, 3, 4 * h, 4 * w)


def test_the_reference_counts_and_every_weight_is_trained(net) -> None:
    lr, lr_up, ref, other = images((6, 5), (24, 20), (32, 28), (32, 28))
    sr = ttsr.restore(net, lr, lr_up, [ref])
    sr.mean().backward()
    assert [key for key, p in net.named_parameters() if p.grad is None or not p.grad.any()] == []
    assert closeness(ttsr.restore(net, lr, lr_up, [other]), sr.detach()) > 1e-4


def test_the_extractor_is_trained_through_soft_attention_too(net) -> None:
    lr_up, ref, ref_down_up = images((24, 20), (32, 28), (32, 28))
    _, soft, _ = net.textures(lr_up, ref, ref_down_up)
    soft.mean().backward()
    assert all(p.grad is not None and p.grad.any() for p in net.extractor.parameters())


def test_the_extractor_starts_as_vgg19_and_is_trained(net) -> None:
    places = {"0": "conv1_1", "2": "conv1_2", "5": "conv2_1", "7": "conv2_2", "10": "conv3_1"}
    own = net.extractor.state_dict()
    shapes = {
        f"features.{n}.{kind}": own[f"vgg_net.{name}.{kind}"]
        for n, name in places.items()
        for kind in ("weight", "bias")
    }
    vgg = {key: torch.full_like(value, n) for n, (key, value) in enumerate(shapes.items(), 1)}
    ttsr.start(net, vgg, {})
    assert net.extractor.vgg_net.conv3_1.bias.eq(10).all() and net.extractor.vgg_net.conv1_1.weight.requires_grad
