"""AMSA against the authors' networks, on their random draws and their correspondences.

Our matching takes other steps than the authors', so the restoration is compared on the correspondences they found, and
ours with theirs by how many agree and how good they are.
"""

import pytest
import torch
import torch.nn.functional as F
from golden import closeness, golden, official

from baselines import amsa
from baselines.nets.amsa import AMSA, SIZES, PatchScores, draws_for, patch_match, weights_of
from c2matching.matching.correspondence import Correspondence
from c2matching.matching.patch_correlation import match
from c2matching.matching.patches import index_to_flow
from c2matching.nets.model import C2Matching
from c2matching.nets.restoration import RestorationConfig
from refsr_bench.core.errors import BenchError
from refsr_bench.formats.keys import without_prefix

SMALL = {"channels": 16, "blocks": [1, 1, 1, 1], "groups": 8}


@pytest.fixture(scope="module")
def authors(shared):
    """Arrays, and our network with the authors' weights by way of ``convert``."""
    arrays, meta = golden(shared, "amsa")
    options, state = amsa.convert([official(meta)])
    assert options == {"channels": 64, "blocks": [16, 16, 16, 16], "groups": 8}
    net = amsa.build(**options)
    net.load_state_dict(state)
    arrays["refs"] = [arrays["in_ref"], *(arrays[f"in_refs_{n}"] for n in range(1, SIZES))]
    arrays["draws"] = torch.stack([arrays[f"in_rand_{n}"][0, 0] for n in range(2 * SIZES)]).unflatten(0, (SIZES, 2))
    return arrays, net.eval(), official(meta)


def test_the_reference_is_reduced_as_by_the_authors(authors) -> None:
    arrays, _, _ = authors
    for ours, theirs in zip(amsa.reduced(arrays["in_ref"]), arrays["refs"], strict=True):
        h, w = ours.shape[-2:]
        assert torch.equal(ours, theirs[..., :h, :w]) and not theirs[..., h:, :].any() and not theirs[..., w:].any()


@torch.no_grad()
def test_matches_from_the_authors_draws_are_theirs_or_as_good(authors) -> None:
    arrays, net, _ = authors
    (found,) = net.correspondences(arrays["in_lr_up"], arrays["refs"], arrays["draws"][None])
    index = torch.stack([each.index for each in found])
    theirs = arrays["out_max_val"][0, :, 4:-4:4, 4:-4:4]
    assert (index == arrays["out_index"]).float().mean() > 0.93  # exhaustive matching: 0.885
    ours = torch.stack([each.similarity for each in found])
    assert ours.mean() > theirs.mean() - 1e-3
    same = index == arrays["out_index"]
    assert closeness(ours[same], theirs[same]) < 1e-4


@torch.no_grad()
def test_same_output_as_the_authors_on_their_correspondences(authors) -> None:
    arrays, net, _ = authors
    scores = arrays["out_max_val"][0, :, 4:-4:4, 4:-4:4]
    width = arrays["in_ref"].shape[-1] // 4 - 2  # of the reference's patches: descriptors, less one on either side
    found = [
        Correspondence(index_to_flow(index, width), index, score, torch.zeros_like(index))
        for index, score in zip(arrays["out_index"], scores, strict=True)
    ]
    assert closeness(weights_of([found]), (10 * arrays["out_max_val"]).softmax(1)) < 1e-6
    sr = net.restoration(arrays["in_lr"], net.ref_features(arrays["in_ref"]), [found])
    assert closeness(sr, arrays["out_sr"]) < 1e-4


def test_files_of_the_authors(authors) -> None:
    _, net, state = authors
    files = [without_prefix(state, f"net_{part}.") for part in ("map", "g", "extractor")]
    _, converted = amsa.convert(files)
    assert all(torch.equal(value, converted[key]) for key, value in net.state_dict().items())
    with pytest.raises(BenchError, match=r"feature_extraction\.pth"):
        amsa.convert(files[:2])


def test_a_file_of_another_model_is_not_taken() -> None:
    other = C2Matching(RestorationConfig(16, (1, 1, 1, 1)))
    assert amsa.convert([other.restoration.state_dict(), other.extractor.state_dict()]) is None


def test_patches_of_a_copy_that_is_moved_are_found() -> None:
    torch.manual_seed(0)
    image = torch.rand(1, 8, 32, 40)
    own = [F.avg_pool2d(image, 2**n)[0] for n in range(4)]
    ref = [F.avg_pool2d(image.roll((4, 8), (2, 3)), 2**n)[0] for n in range(4)]
    found = patch_match(own, ref, torch.rand(2, 4, 5))
    assert found.flow[:26, :30].eq(torch.tensor([8.0, 4.0])).all(-1).float().mean() > 0.9
    exact, similarity = match(*(F.normalize(x[0], dim=0) for x in (own, ref)), normalise_input=False)
    assert torch.allclose(found.similarity[found.index == exact], similarity[found.index == exact], atol=1e-4)
    assert (found.similarity <= similarity + 1e-4).all()


def test_scores_are_those_of_patches_cut_out() -> None:
    torch.manual_seed(0)
    own, ref = torch.rand(4, 5, 6), torch.rand(4, 7, 3)
    patches = [F.unfold(F.normalize(x, dim=0)[None], 3, padding=1)[0] for x in (own, ref)]
    expected = patches[0].T @ (patches[1] / patches[1].norm(dim=0))
    place = torch.stack((torch.arange(21) // 3, torch.arange(21) % 3))
    for position in (0, 8, 29):
        actual = PatchScores(own, ref)(torch.full((21,), position), place)
        assert torch.allclose(actual, expected[position], atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("sides", [((7, 10), (44, 24)), ((17, 6), (24, 36))])
def test_a_reference_of_another_size_than_the_image(sides) -> None:
    (h, w), (height, width) = sides
    net = amsa.build(**SMALL).eval()
    sr = amsa.restore(net, torch.rand(1, 3, h, w), torch.rand(1, 3, 4 * h, 4 * w), [torch.rand(1, 3, height, width)])
    assert sr.shape == (1, 3, 4 * h, 4 * w) and sr.isfinite().all()


def test_an_image_has_the_same_result_again_and_in_a_batch_and_gradients_reach_what_is_trained() -> None:
    net = amsa.build(**SMALL).eval()
    lr, lr_up, ref = torch.rand(2, 3, 8, 8), torch.rand(2, 3, 32, 32), torch.rand(2, 3, 32, 32)
    assert not torch.equal(*draws_for(lr_up))
    sr = amsa.restore(net, lr, lr_up, [ref])
    assert torch.allclose(sr[1:], amsa.restore(net, lr[1:], lr_up[1:], [ref[1:]]), atol=1e-5)
    sr.square().mean().backward()
    assert all(p.grad is not None for p in net.restoration.parameters())
    assert not any(p.requires_grad for part in (net.extractor, net.vgg) for p in part.parameters())


def test_parameters_as_published() -> None:
    with torch.device("meta"):
        count = sum(p.numel() for p in AMSA().restoration.parameters())
    assert count == amsa.METHODS[0].parameters == 9_676_454
