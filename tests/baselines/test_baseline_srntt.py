"""SRNTT against srntt-pytorch's module, and the authors' lists of arrays."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from golden import closeness, golden, official

from baselines import srntt
from baselines.nets.srntt import swapped
from refsr_bench.core.errors import BenchError
from refsr_bench.formats.tensorlayer_npz import read

SMALL = {
    "pytorch": {"layout": "pytorch", "channels": 8, "blocks": 2, "weighted": True},
    "tensorflow": {"layout": "tensorflow", "channels": 8, "blocks": [1, 3, 2, 1]},
}
FEATURES = {0: (3, 64), 2: (64, 64), 5: (64, 128), 7: (128, 128), 10: (128, 256)}  # torchvision's VGG19 to conv3_1


@pytest.fixture
def vgg19() -> dict[str, torch.Tensor]:
    """Under torchvision's names, with a layer that is not needed."""
    generator = torch.Generator().manual_seed(1)
    state = {"classifier.6.bias": torch.zeros(1000)}
    for n, (a, b) in FEATURES.items():
        state[f"features.{n}.weight"] = torch.randn(b, a, 3, 3, generator=generator) * (2 / (9 * a)) ** 0.5
        state[f"features.{n}.bias"] = 0.05 * torch.randn(b, generator=generator)
    return state


@pytest.fixture(params=SMALL)
def net(request, vgg19):
    torch.manual_seed(0)
    net = srntt.SYSTEM.network(**SMALL[request.param]).eval()
    srntt.start(net, vgg19, {})
    return net


def images(*sizes: tuple[int, int], n: int = 1) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.rand(n, 3, h, w, generator=generator) for h, w in sizes]


# -- srntt-pytorch -------------------------------------------------------------------------------------------------


def test_same_output_as_srntt_pytorch_in_its_names(shared) -> None:
    arrays, meta = golden(shared, "srntt")
    vgg = official(meta["aux"]["vgg19"] | {"fill": meta["fill"], "salt": meta["salt"], "kinds": {}})
    options, state = srntt.convert([{k.removeprefix("vgg19."): v for k, v in vgg.items()}, official(meta)])
    assert options == {"layout": "pytorch", "channels": 64, "blocks": 16, "weighted": True}
    net = srntt.build(**options).eval()
    net.load_state_dict(state)
    trained = sum(p.numel() for p in net.parameters() if p.requires_grad)
    assert trained == meta["n_params"] == srntt.METHODS[0].parameters
    lr, lr_up, ref, ref_down_up = (arrays[f"in_{name}"] for name in ("lr", "lr_up", "ref", "ref_down_up"))
    with torch.no_grad():
        found, maps = swapped(net.vgg, lr_up, [ref], [ref_down_up])
        rows, cols = found.cell // found.width, found.cell % found.width
        assert (rows * (found.width - 2) + cols)[0].equal(arrays["out_index"])
        assert closeness(found.similarity[0], arrays["out_match_weight"]) < 1e-4
        for layer, value in maps.items():
            assert closeness(value[:, ::16], arrays[f"out_map_{layer}"]) < 1e-4
        assert closeness(net.content.upscale(lr, net.content(lr)), arrays["out_upscale"]) < 1e-4
        assert closeness(srntt.restore(net, lr, lr_up, [ref]), arrays["out_sr"]) < 1e-4
        net.weighted = False
        assert closeness(net.restored(lr, maps, found.similarity), arrays["out_sr_noweights"]) < 1e-4


def test_a_file_without_weights_of_maps(shared, vgg19) -> None:
    _, meta = golden(shared, "srntt")
    state = {
        key: value for key, value in official(meta).items() if key not in ("texture_transfer.a", "texture_transfer.b")
    }
    options, state = srntt.convert([state, {f"vgg19.{key}": value for key, value in vgg19.items()}])
    assert not options["weighted"]
    srntt.build(**options).load_state_dict(state)
    assert state["vgg.vgg_net.conv2_1.weight"].equal(vgg19["features.5.weight"])


# -- the authors' files --------------------------------------------------------------------------------------------


def lists(seed: int = 0) -> dict[str, list[np.ndarray]]:
    """Arrays as TensorFlow has them, in three parts: content extractor, its enlargement, texture transfer.

    Variances and scales of norms are near one.
    """
    rng = np.random.default_rng(seed)

    def conv(k: int, a: int, b: int, bias: bool = True) -> list[np.ndarray]:
        kernel = rng.standard_normal((k, k, a, b)) * np.sqrt(0.5 / (k * k * a))
        return [kernel] + [0.05 * rng.standard_normal(b)] * bias

    def norm() -> list[np.ndarray]:
        beta, gamma, mean, variance = 0.1 * rng.standard_normal((4, 64))
        return [beta, 1 + gamma, mean, 1 + variance**2]

    def body(n: int) -> list[np.ndarray]:
        return [a for _ in range(2 * n + 1) for a in (*conv(3, 64, 64, False), *norm())]

    parts = {
        "extractor": conv(3, 3, 64) + body(16),
        "enlargement": conv(3, 64, 256) + conv(3, 64, 256) + conv(1, 64, 3),
        "transfer": conv(3, 64 + 256, 64)
        + body(16)
        + conv(3, 64, 256)
        + conv(3, 64 + 128, 64)
        + body(8)
        + conv(3, 64, 256)
        + conv(3, 64 + 64, 64)
        + body(4)
        + conv(3, 64, 32)
        + conv(1, 32, 3),
    }
    return {name: [array.astype(np.float32) for array in arrays] for name, arrays in parts.items()}


def as_state(*parts: list[np.ndarray]) -> dict[str, torch.Tensor]:
    return {str(n): torch.from_numpy(array) for n, array in enumerate(a for part in parts for a in part)}


class AsTensorFlow:
    """The authors' layers one after the other, taking the next arrays of a list; maps are (N, C, H, W)."""

    def __init__(self, arrays: list[np.ndarray]) -> None:
        self.arrays = iter([torch.from_numpy(array) for array in arrays])

    def conv(self, x, bias=True):
        kernel = next(self.arrays).permute(3, 2, 0, 1)
        return F.conv2d(x, kernel, next(self.arrays) if bias else None, padding="same")

    def norm(self, x):
        beta, gamma, mean, variance = (next(self.arrays)[:, None, None] for _ in range(4))
        return gamma * (x - mean) / (variance + 1e-5).sqrt() + beta

    def body(self, x, n):
        for _ in range(n):
            y = self.norm(self.conv(x, False)).relu()
            x = x + self.norm(self.conv(y, False))
        return self.norm(self.conv(x, False))

    def enlarged(self, x):
        x = self.conv(x)
        n, c, h, w = x.shape
        blocks = x.view(n, 2, 2, c // 4, h, w)  # depth_to_space: row, column, channel
        return blocks.permute(0, 3, 4, 1, 5, 2).reshape(n, c // 4, 2 * h, 2 * w).relu()


def test_the_authors_lists_compute_what_their_layers_do(vgg19, tmp_path) -> None:
    """The networks are read from files as TensorLayer saves them."""
    parts = lists()
    assert [len(part) for part in parts.values()] == [167, 6, 309]
    contents = {
        "upscale.npz": [*parts["extractor"], *parts["enlargement"]],
        "srntt.npz": [*parts["extractor"], *parts["transfer"]],
    }
    states = [vgg19]
    for name, arrays in contents.items():
        content = np.empty(len(arrays), dtype=object)
        content[:] = arrays
        np.savez(tmp_path / name, params=content)
        states.append({key: torch.from_numpy(value) for key, value in read(tmp_path / name).items()})
    options, state = srntt.convert(states)
    net = srntt.build(**options).eval()
    net.load_state_dict(state)
    trained = sum(p.numel() for p in net.parameters() if p.requires_grad)
    assert trained == 4_383_494  # "~4.38 M"
    lr, *maps = images((5, 6), (5, 6), (10, 12), (20, 24))
    maps = [m[:, :1] * torch.linspace(-1, 1, c).view(-1, 1, 1) for m, c in zip(maps, (256, 128, 64), strict=True)]
    with torch.no_grad():
        tf = AsTensorFlow(contents["upscale.npz"])
        features = tf.conv(lr).relu()
        features = features + tf.body(features, 16)
        expected = tf.conv(tf.enlarged(tf.enlarged(features))).tanh()
        assert closeness(net.content.tail(net.content(lr)), expected) < 1e-4
        tf, x = AsTensorFlow(parts["transfer"]), features
        for number, (m, n) in enumerate(zip(maps, (16, 8, 4), strict=True)):
            x = x + tf.body(tf.conv(torch.cat((x, m), 1)).relu(), n)
            x = tf.enlarged(x) if number < 2 else tf.conv(tf.conv(x)).tanh()
        ours = net.transfer(net.content(lr), dict(zip(("relu3_1", "relu2_1", "relu1_1"), maps, strict=True)))
    assert closeness(ours, x) < 1e-4


def test_the_texture_transfer_file_may_come_with_the_extractor_or_without(vgg19) -> None:
    mine, other = lists(0), lists(1)
    upscale = as_state(other["extractor"], other["enlargement"])
    key = "content.head.0.bias"
    for transfer, source in (
        (as_state(mine["transfer"]), other),
        (as_state(mine["extractor"], mine["transfer"]), mine),
        (as_state(mine["extractor"], mine["enlargement"], mine["transfer"]), mine),
    ):
        for states in ([upscale, transfer, vgg19], [transfer, vgg19, upscale]):
            _, state = srntt.convert(states)
            assert state[key].equal(torch.from_numpy(source["extractor"][1]))
            assert state["transfer.large.tail.1.bias"].equal(torch.from_numpy(mine["transfer"][-1]))
    assert srntt.convert([transfer, vgg19]) is not None  # all in one


def test_missing_files_are_named(vgg19) -> None:
    parts = lists()
    upscale, transfer = as_state(parts["extractor"], parts["enlargement"]), as_state(parts["transfer"])
    for states, missing in (
        ([upscale, transfer], r"vgg19-dcbb9e9d\.pth"),
        ([transfer, vgg19], r"upscale\.npz"),
        ([as_state(parts["extractor"], parts["transfer"]), vgg19], r"upscale\.npz"),
        ([upscale, vgg19], r"srntt\.npz"),
    ):
        with pytest.raises(BenchError, match=missing):
            srntt.convert(states)


def test_lists_of_other_lengths_or_sizes_are_not_taken(vgg19) -> None:
    parts = lists()
    assert srntt.convert([as_state(parts["extractor"][:-1], parts["enlargement"]), vgg19]) is None
    assert srntt.convert([as_state(parts["transfer"][1:], parts["transfer"][:1]), vgg19]) is None


def test_lists_in_another_order_of_norms_are_noticed(vgg19) -> None:
    parts = lists()
    arrays = parts["extractor"]  # a convolution with its bias, then 33 times a kernel and four arrays of a norm
    swapped_order = arrays[:2] + [a for n in range(2, 167, 5) for a in (arrays[n], *arrays[n + 1 : n + 5][::-1])]
    with pytest.raises(BenchError, match="variances below zero"):
        srntt.convert([as_state(swapped_order, parts["enlargement"]), as_state(parts["transfer"]), vgg19])


# -- either network ------------------------------------------------------------------------------------------------


def test_our_own_state_is_taken_back(net) -> None:
    options, state = srntt.convert([net.state_dict()])
    assert options == net.options and state.keys() == net.state_dict().keys()


def test_a_file_of_another_model_is_not_taken(vgg19) -> None:
    assert srntt.convert([{"content_extractor.conv_first.weight": torch.zeros(64, 3, 3, 3)}, vgg19]) is None
    assert srntt.convert([vgg19]) is None


@pytest.mark.parametrize(("size", "ref_sizes"), [((3, 3), [(12, 12)]), ((5, 7), [(24, 12), (16, 40), (20, 20)])])
def test_every_size_of_image_and_any_number_of_references(net, size, ref_sizes) -> None:
    h, w = size
    lr, lr_up, *refs = images(size, (4 * h, 4 * w), *ref_sizes, n=2)
    with torch.no_grad():
        assert srntt.restore(net, lr, lr_up, refs).shape == (2, 3, 4 * h, 4 * w)


def test_the_best_match_of_all_references_is_used(net) -> None:
    lr, lr_up, ref, other = images((6, 5), (24, 20), (32, 28), (24, 20))
    with torch.no_grad():
        alone, both, swapped_order = (srntt.restore(net, lr, lr_up, r) for r in ([ref], [ref, other], [other, ref]))
    assert closeness(both, alone) > 1e-5 and closeness(both, swapped_order) < 1e-5


def test_gradients_reach_what_is_trained_and_vgg_stays(net) -> None:
    lr, lr_up, ref = images((6, 5), (24, 20), (32, 28))
    srntt.restore(net, lr, lr_up, [ref]).mean().backward()
    without = {key for key, p in net.named_parameters() if p.grad is None or not p.grad.any()}
    not_of_the_output = ("vgg.", "content.tail.")  # the latter makes an image of its own
    assert without == {key for key, _ in net.named_parameters() if key.startswith(not_of_the_output)}
