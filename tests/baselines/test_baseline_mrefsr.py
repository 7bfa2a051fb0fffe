"""MRefSR against the authors' networks on three references."""

import pytest
import torch
from golden import closeness, golden, official

from baselines import mrefsr
from baselines.nets.mrefsr import MRefSR
from c2matching.nets.model import C2Matching
from c2matching.nets.restoration import RestorationConfig
from refsr_bench.core.errors import BenchError
from refsr_bench.formats.keys import without_prefix

SMALL = {"channels": 16, "blocks": [1, 1, 1, 1], "groups": 8}


@pytest.fixture(scope="module")
def authors(shared):
    """Arrays, and our network with the authors' weights by way of ``convert``."""
    arrays, meta = golden(shared, "mrefsr")
    options, state = mrefsr.convert([official(meta)])
    assert options == {"channels": 64, "blocks": [16, 16, 16, 16], "groups": 8}
    net = mrefsr.build(**options)
    net.load_state_dict(state)
    return arrays, net.eval(), official(meta)


@torch.no_grad()
def test_same_correspondences_as_the_authors(authors) -> None:
    arrays, net, _ = authors
    refs = arrays["in_refs"].split(1)
    index = torch.stack([net.correspondences(arrays["in_lr_up"], ref)[0].index for ref in refs])
    assert torch.equal(index, arrays["out_index"])


@torch.no_grad()
def test_same_output_as_the_authors_in_any_order_of_references(authors) -> None:
    arrays, net, _ = authors
    lr, lr_up, refs = arrays["in_lr"], arrays["in_lr_up"], arrays["in_refs"].split(1)
    assert closeness(mrefsr.restore(net, lr, lr_up, refs), arrays["out_sr"]) < 1e-4
    assert closeness(mrefsr.restore(net, lr, lr_up, refs[::-1]), arrays["out_sr"]) < 1e-4
    assert closeness(mrefsr.restore(net, lr, lr_up, refs[:1]), arrays["out_sr"]) > 1e-2


def test_three_files_in_any_order_make_one_state(authors) -> None:
    _, net, state = authors
    torchvision = {}
    for key, value in without_prefix(state, "net_map.vgg.vgg_net.").items():
        index = {"conv1_1": 0, "conv1_2": 2, "conv2_1": 5, "conv2_2": 7, "conv3_1": 10}[key[:7]]
        torchvision[f"features.{index}{key[7:]}"] = value
    files = [torchvision, without_prefix(state, "net_g."), without_prefix(state, "net_extractor.")]
    _, converted = mrefsr.convert(files)
    assert all(torch.equal(value, converted[key]) for key, value in net.state_dict().items())
    with pytest.raises(BenchError, match=r"feature_extraction\.pth"):
        mrefsr.convert(files[:2])
    with pytest.raises(BenchError, match="vgg19"):
        mrefsr.convert(files[1:])


def test_a_file_of_another_model_is_not_taken() -> None:
    other = C2Matching(RestorationConfig(16, (1, 1, 1, 1)))
    assert mrefsr.convert([other.restoration.state_dict(), other.extractor.state_dict()]) is None


@torch.no_grad()
@pytest.mark.parametrize("sides", [((12, 15), (52, 40)), ((17, 10), (24, 96))])
def test_references_of_other_sizes_than_the_image(sides) -> None:
    (h, w), (height, width) = sides
    net = mrefsr.build(**SMALL).eval()
    lr, lr_up = torch.rand(1, 3, h, w), torch.rand(1, 3, 4 * h, 4 * w)
    refs = [torch.rand(1, 3, height, width), torch.rand(1, 3, 32, 32)]
    sr = mrefsr.restore(net, lr, lr_up, refs)
    assert sr.shape == (1, 3, 4 * h, 4 * w) and sr.isfinite().all()


def test_a_batch_gives_each_image_its_own_result_and_gradients_reach_what_is_trained() -> None:
    net = mrefsr.build(**SMALL).eval()
    lr, lr_up, refs = torch.rand(2, 3, 12, 12), torch.rand(2, 3, 48, 48), [torch.rand(2, 3, 48, 48) for _ in range(2)]
    sr = mrefsr.restore(net, lr, lr_up, refs)
    alone = mrefsr.restore(net, lr[1:], lr_up[1:], [ref[1:] for ref in refs])
    assert torch.allclose(sr[1:], alone, atol=1e-5)
    sr.square().mean().backward()
    assert all(p.grad is not None for p in net.restoration.parameters())
    assert not any(p.requires_grad for part in (net.extractor, net.vgg) for p in part.parameters())


def test_parameters_as_published() -> None:
    with torch.device("meta"):
        count = sum(p.numel() for p in MRefSR().restoration.parameters())
    assert count == mrefsr.METHODS[0].parameters == 23_711_633
