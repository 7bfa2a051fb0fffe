"""C2-Matching with views: taken where they show something, in their own place; references without one left alone."""

import numpy as np
import pytest
import torch

from c2matching.method import METHODS, SYSTEM
from c2matching.nets import views as module
from c2matching.nets.views import Asked, TensorView, upscale_with_views
from refsr_bench.core.types import View
from refsr_bench.geometry.transformation import pixel_grid
from refsr_bench.learning.method import in_first_reference, tensors
from refsr_bench.learning.system import Located
from refsr_bench.learning.tensors import degrade, to_tensor
from refsr_bench.learning.weights import read

SIZE = (64, 80)


@pytest.fixture(scope="module")
def net():
    return read(SYSTEM, METHODS[0].name, [METHODS[0].bundled]).net.eval().requires_grad_(False)


@pytest.fixture
def pair(photo):
    """An HR image, its LR as tensors, and an unrelated reference."""
    hr = photo(*SIZE)
    lr, lr_up, (other,) = tensors("cpu", degrade(hr)[0], [photo(72, 64, 2)])
    return hr, lr, lr_up, other


def nothing(number, found):
    return Asked(())


def perfect(hr, valid=None):
    view = TensorView(to_tensor(hr)[None], torch.ones(SIZE, dtype=torch.bool) if valid is None else valid)
    return lambda number, found: Asked([view])


def quality(sr, hr):
    """PSNR over all channels, dB."""
    return -10 * (sr[0].clamp(0, 1) - to_tensor(hr)).square().mean().log10().item()


@pytest.mark.parametrize("matching", ["exact", "sub-cell"])
def test_a_view_is_taken_everywhere_in_its_own_place(net, pair, matching):
    hr, lr, lr_up, other = pair
    net.matching = matching
    sr, found = upscale_with_views(net, lr, lr_up, [other], perfect(hr))
    assert not found.reference.any() and not found.flow.any()
    assert quality(sr, hr) > quality(net.upscale(lr, lr_up, [other]), hr) + 0.3


def test_a_view_is_what_an_aligned_reference_is(net, pair):
    """The view is first on the canvas, where learned offsets look for the reference, as a sole reference would be."""
    hr, lr, lr_up, other = pair
    net.matching = "exact"
    sr, _ = upscale_with_views(net, lr, lr_up, [other], perfect(hr))
    alone = net.upscale(lr, lr_up, [to_tensor(hr)[None]])
    assert (sr - alone).abs().mean() < 0.002


def test_patches_that_a_view_does_not_show_whole_use_the_reference(net, pair):
    hr, lr, lr_up, _ = pair
    valid = torch.zeros(SIZE, dtype=torch.bool)
    valid[:, :37] = True  # nine whole cells, and a quarter of the tenth
    net.matching = "exact"
    same = to_tensor(hr)[None]
    _, found = upscale_with_views(net, lr, lr_up, [same], perfect(hr, valid))
    assert not found.reference[:, :7].any()  # patches reach two cells further than they are named for
    assert (found.reference[:, 7:] == 1).all()


def test_of_several_views_each_patch_takes_the_one_that_correlates_more(net, pair, photo):
    hr, lr, lr_up, other = pair
    wrong, right = (TensorView(to_tensor(image)[None], torch.ones(SIZE, dtype=torch.bool))
                    for image in (photo(*SIZE, 3), hr))  # fmt: skip
    _, found = upscale_with_views(net, lr, lr_up, [other], lambda number, found: Asked([wrong, right]))
    assert (found.reference == 1).float().mean() > 0.9


def test_an_unrelated_reference_without_a_view_costs_nothing(net, pair):
    hr, lr, lr_up, other = pair
    net.matching = "sub-cell"
    sr, found = upscale_with_views(net, lr, lr_up, [other], nothing)
    assert (found.reference == -1).float().mean() > 0.95
    without, _ = upscale_with_views(net, lr, lr_up, [torch.zeros_like(other)], nothing)
    assert abs(quality(sr, hr) - quality(without, hr)) < 0.05


def test_nearly_equal_patches_are_taken_even_without_a_view(net, pair):
    hr, lr, lr_up, _ = pair
    _, found = upscale_with_views(net, lr, lr_up, [to_tensor(hr)[None]], nothing)
    taken = found.reference == 0
    assert taken.float().mean() > 0.5
    assert (found.similarity[taken] >= module.ALIKE).all()


def test_views_of_several_references_are_numbered_before_the_references(net, pair):
    hr, lr, lr_up, other = pair
    view = TensorView(to_tensor(hr)[None], torch.ones(SIZE, dtype=torch.bool))
    asked = []

    def ask(number, found):
        asked.append((number, tuple(found.certainty.shape)))
        return Asked([view] if number == 1 else [])

    _, found = upscale_with_views(net, lr, lr_up, [other, to_tensor(hr)[None]], ask)
    assert asked == [(0, (14, 18)), (1, (14, 18))]
    assert not found.reference.any()  # the view; the references would be 1 and 2


def test_a_method_reports_views_shares_and_places_in_the_reference_itself(photo):
    hr = photo(*SIZE)
    loaded = METHODS[0].load(None, "cpu", matching="sub-cell")
    source = pixel_grid(SIZE).astype(np.float32) + np.float32([10, 20])
    valid = np.zeros(SIZE, bool)
    valid[:, :40] = True
    view = View(hr, source, valid, "truth")
    ref = np.pad(hr, ((20, 0), (10, 0), (0, 0)), mode="reflect")
    prediction = loaded.predict_views(degrade(hr)[0], [ref], 4, lambda number, found: [view])
    assert prediction.views == (view,) and 0.3 < prediction.shares[0] < 0.6
    found = prediction.correspondence
    left = found.points[:, 0] < 30
    assert np.allclose(found.targets[left], found.points[left] + (10, 20), atol=1e-3)
    error = np.linalg.norm(found.targets - found.points - (10, 20), axis=1)
    assert np.median(error) < 1 and len(found.points) > 100


def test_places_in_other_references_are_left_out():
    source = pixel_grid((8, 8)).astype(np.float32)
    views = [View(np.zeros((8, 8, 3), np.uint8), source + 100 * n, np.ones((8, 8), bool), "truth", n) for n in range(2)]
    points = np.arange(12.0, dtype=np.float32).reshape(6, 2) / 2
    found = Located(points, points, np.ones(6, np.float32), np.array([0, 1, 2, 3, -1, 0]))
    own = in_first_reference(found, views)  # view 0 and reference 0, which has number 2
    assert own.points.tolist() == points[[0, 2, 5]].tolist()
    assert own.targets.tolist() == points[[0, 2, 5]].tolist()
