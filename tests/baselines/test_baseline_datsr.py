"""DATSR against the authors' networks."""

import pytest
import torch
from golden import closeness, golden, official

from baselines import datsr
from baselines.nets.datsr import DATSR, Where
from c2matching.nets.model import C2Matching
from c2matching.nets.restoration import RestorationConfig
from refsr_bench.core.errors import BenchError
from refsr_bench.formats.keys import without_prefix

SMALL = {"channels": 16, "groups": 1, "layers": 2, "heads": 2}
PUBLISHED = {"channels": 128, "groups": 2, "layers": 4, "heads": 4}


@pytest.fixture(scope="module")
def authors(shared):
    """Arrays, and our network with the authors' weights by way of ``convert``."""
    arrays, meta = golden(shared, "datsr")
    options, state = datsr.convert([official(meta)])
    assert options == PUBLISHED
    net = datsr.build(**options)
    net.load_state_dict(state)
    return arrays, net.eval(), official(meta)


@torch.no_grad()
def test_same_correspondences_flow_and_similarity_as_the_authors(authors) -> None:
    arrays, net, _ = authors
    found = net.correspondences(arrays["in_lr_up"], arrays["in_ref"])
    assert torch.equal(found[0].index, arrays["out_index"])
    where = Where(found, 1)
    assert torch.equal(where.flow, arrays["out_flow_relu3_1"])
    assert closeness(where.similarity, arrays["out_sim_relu3_1"]) < 1e-4


@torch.no_grad()
def test_same_output_as_the_authors(authors) -> None:
    arrays, net, _ = authors
    sr = datsr.restore(net, arrays["in_lr"], arrays["in_lr_up"], [arrays["in_ref"]])
    assert closeness(sr, arrays["out_sr"]) < 1e-4


def test_files_with_entries_that_are_not_read(authors) -> None:
    """Masks of the training crops, and a content extractor that the authors' network has and does not read."""
    _, net, state = authors
    files = [without_prefix(state, f"net_{part}.") for part in ("g", "extractor", "map")]
    assert sum("content_extractor" in key for key in files[0]) == 34
    block = "dyn_agg_restore.up_body_small.layers.1.residual_group.blocks.1."
    files[0][f"{block}attn_mask"] = torch.zeros(25, 64, 64)
    files[0][f"{block}attn.relative_position_index"] = torch.zeros(64, 64)
    _, converted = datsr.convert(files)
    assert all(torch.equal(value, converted[key]) for key, value in net.state_dict().items())
    with pytest.raises(BenchError, match=r"feature_extraction\.pth"):
        datsr.convert(files[:1])


def test_a_file_of_another_model_is_not_taken() -> None:
    other = C2Matching(RestorationConfig(16, (1, 1, 1, 1)))
    assert datsr.convert([other.restoration.state_dict(), other.extractor.state_dict()]) is None


@torch.no_grad()
@pytest.mark.parametrize("sides", [((12, 15), (52, 40)), ((17, 9), (24, 96))])
def test_a_reference_of_another_size_than_the_image(sides) -> None:
    (h, w), (height, width) = sides
    net = datsr.build(**SMALL).eval()
    sr = datsr.restore(net, torch.rand(1, 3, h, w), torch.rand(1, 3, 4 * h, 4 * w), [torch.rand(1, 3, height, width)])
    assert sr.shape == (1, 3, 4 * h, 4 * w) and sr.isfinite().all()


def test_a_batch_gives_each_image_its_own_result_and_gradients_reach_what_is_trained() -> None:
    net = datsr.build(**SMALL).eval()
    lr, lr_up, ref = torch.rand(2, 3, 16, 16), torch.rand(2, 3, 64, 64), torch.rand(2, 3, 64, 64)
    sr = datsr.restore(net, lr, lr_up, [ref])
    assert torch.allclose(sr[1:], datsr.restore(net, lr[1:], lr_up[1:], [ref[1:]]), atol=1e-5)
    sr.square().mean().backward()
    assert all(p.grad is not None for p in net.restoration.parameters())
    assert not any(p.requires_grad for part in (net.extractor, net.vgg) for p in part.parameters())


def test_parameters_as_published_without_what_is_not_read() -> None:
    with torch.device("meta"):
        count = sum(p.numel() for p in DATSR().restoration.parameters())
    unread = 3 * 128 * 9 + 128 + 8 * 2 * (128 * 128 * 9 + 128)  # content extractor: a convolution, eight blocks
    assert count == datsr.METHODS[0].parameters == 18_026_971 - unread
