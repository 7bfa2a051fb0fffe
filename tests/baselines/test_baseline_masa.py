"""MASA-SR against its authors' module."""

import pytest
import torch
import torch.nn.functional as F
from golden import closeness, golden, official

from baselines import masa
from baselines.nets.masa import BLOCK, match, transfer
from refsr_bench.learning.tensors import down


@pytest.fixture(scope="module")
def vectors(shared):
    """The vectors' arrays, and the network with the weights that the authors' names give, through ``convert``."""
    arrays, meta = golden(shared, "masa")
    options, state = masa.convert([{f"module.{key}": value for key, value in official(meta).items()}])
    assert options == {"channels": 64}
    net = masa.build(**options)
    net.load_state_dict(state)
    return arrays, net.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(0)
    return masa.build(channels=8).eval()


def test_same_matches_as_the_authors_module(vectors) -> None:
    arrays, net = vectors
    found = match(net.enc(arrays["in_lr"])[0], net.enc.level1(arrays["in_ref_down"]))
    assert torch.equal(found.coarse, arrays["out_coarse_index"])
    assert torch.equal(found.fine[0], arrays["out_fine_index"])
    assert closeness(found.similarity[0], arrays["out_fine_corr"]) < 1e-4


def test_same_output_as_the_authors_module(vectors) -> None:
    arrays, net = vectors
    assert closeness(net(arrays["in_lr"], arrays["in_ref"], arrays["in_ref_down"]), arrays["out_sr"]) < 1e-4
    sr = masa.restore(net, arrays["in_lr"].flip(1), None, [arrays["in_ref"].flip(1)])  # RGB to RGB
    assert closeness(sr.flip(1), arrays["out_sr"]) < 1e-4


@pytest.mark.parametrize(("lr_size", "ref_size"), [((5, 8), (20, 24)), ((13, 18), (60, 100)), ((17, 24), (128, 48))])
def test_any_sizes_are_filled_around(small, lr_size, ref_size) -> None:
    lr, ref = torch.rand(2, 3, *lr_size), torch.rand(2, 3, *ref_size)
    with torch.no_grad():
        sr = masa.restore(small, lr, None, [ref])
        (y, x), (v, u) = ([-side % multiple for side in size] for size, multiple in ((lr_size, 8), (ref_size, 16)))
        lr = F.pad(lr, (x // 2, x - x // 2, y // 2, y - y // 2), mode="replicate").flip(1)
        ref = F.pad(ref, (u // 2, u - u // 2, v // 2, v - v // 2), mode="replicate").flip(1)
        whole = small(lr, ref, down(ref)).flip(1)
    top, left = 4 * (y // 2), 4 * (x // 2)
    assert sr.shape == (2, 3, 4 * lr_size[0], 4 * lr_size[1])
    assert torch.equal(sr, whole[..., top : top + sr.shape[2], left : left + sr.shape[3]])


def test_images_of_a_batch_do_not_mix(small) -> None:
    lr, ref = torch.rand(2, 3, 16, 24), torch.rand(2, 3, 48, 64)
    with torch.no_grad():
        both = masa.restore(small, lr, None, [ref])
        for i in range(2):
            alone = masa.restore(small, lr[i : i + 1], None, [ref[i : i + 1]])
            assert closeness(both[i : i + 1], alone) < 1e-4


def test_blocks_find_a_copy_of_the_image_in_the_reference() -> None:
    lr = torch.randn(1, 16, 24, 32)
    ref = torch.randn(1, 16, 40, 48)
    ref[:, :, 9:33, 11:43] = lr
    found = match(lr, ref)
    y, x = torch.meshgrid(torch.arange(24), torch.arange(32), indexing="ij")
    inner = slice(1, -1)  # at the border patches differ: it is repeated in one and goes on in the other
    expected = torch.stack((y + 9, x + 11), -1)
    assert torch.equal(found.centre[0, inner, inner], expected[inner, inner])
    assert torch.allclose(transfer(ref, found.centre, 1)[..., 2:-2, 2:-2], lr[..., 2:-2, 2:-2])


def test_transfer_averages_the_patches_of_a_block() -> None:
    """Against the definition: patches folded onto each block alone, divided by how many cover a pixel."""
    scale, columns = 2, 2
    ref = torch.randn(1, 3, 20 * scale, 20 * scale)
    centre = torch.randint(1, 19, (1, BLOCK, columns * BLOCK, 2))
    actual = transfer(ref, centre, scale)
    for block in range(columns):
        total, count = torch.zeros(2, 3, (BLOCK + 2) * scale, (BLOCK + 2) * scale)
        for y in range(BLOCK):
            for x in range(BLOCK):
                v, u = (scale * (int(place) - 1) for place in centre[0, y, x + block * BLOCK])
                there = (slice(None), slice(y * scale, (y + 3) * scale), slice(x * scale, (x + 3) * scale))
                total[there] += ref[0, :, v : v + 3 * scale, u : u + 3 * scale]
                count[there] += 1
        expected = (total / count)[:, scale:-scale, scale:-scale]
        assert torch.allclose(actual[0, :, :, block * BLOCK * scale :][:, :, : BLOCK * scale], expected, atol=1e-5)


def test_gradients_reach_all_parameters() -> None:
    net = masa.build(channels=8)
    masa.restore(net, torch.rand(1, 3, 16, 16), None, [torch.rand(1, 3, 64, 64)]).square().sum().backward()
    assert not [name for name, p in net.named_parameters() if p.grad is None or not p.grad.isfinite().all()]


def test_a_file_of_another_model_is_not_taken() -> None:
    assert masa.convert([{"enc.conv_L1.weight": torch.zeros(64, 3, 3, 3)}]) is None


def test_parameters() -> None:
    count = sum(p.numel() for p in masa.build().parameters())
    assert [card.parameters for card in masa.METHODS] == [count, count] == [4_028_291] * 2
