"""C2-Matching as a method: whose weights it takes, and what it says when they do not fit."""

import hashlib

import numpy as np
import pytest
import torch
from filled import fill, network_of, tensor, vgg19, vgg19_file
from safetensors.torch import load_file, save_file

from c2matching import method
from c2matching.nets.model import C2Matching
from c2matching.nets.restoration import RestorationConfig
from refsr_bench.core.cards import WeightsFile
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.schema import Weights
from refsr_bench.learning.hardware import Hardware
from refsr_bench.learning.method import upscale
from refsr_bench.learning.training.discriminator import ImageDiscriminator
from refsr_bench.registry import known

load = method.METHODS[0].load
SMALL = RestorationConfig(channels=8, blocks=(1, 1, 1, 1), groups=2)
NO_SMALL_REFERENCE = RestorationConfig(channels=8, blocks=(1, 0, 1, 0), groups=4, small_reference=False)
NAMES = ("C2_matching_mse.pth", "feature_extraction.pth", "vgg19-dcbb9e9d.pth")


def build(config=SMALL):
    model = C2Matching(config)
    fill(model.extractor)
    fill(model.restoration)
    model.vgg = vgg19(*model.vgg.layers)
    return model.eval().requires_grad_(False)


@pytest.fixture
def model():
    return build()


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, size, np.uint8) for size in ((10, 13, 3), (30, 47, 3))]


@pytest.fixture
def official(tmp_path, model):
    """The authors' three files, with formula weights."""
    torch.save(model.restoration.state_dict(), tmp_path / NAMES[0])
    torch.save(model.extractor.state_dict(), tmp_path / NAMES[1])
    torch.save({**vgg19_file(10), "classifier.0.bias": torch.zeros(7)}, tmp_path / NAMES[2])
    return tmp_path / NAMES[0]


def bundle(model, path, vgg=True):
    state = {key: value.contiguous() for key, value in model.state_dict().items() if vgg or not key.startswith("vgg.")}
    save_file(state, path)
    return path


def run(loaded, images):
    return loaded.predict(images[0], [images[1]], 4).sr


def same(sr, model, images):
    """Tell whether SR is the model's up to rounding: ``load`` arranges memory for faster convolutions."""
    wanted = upscale(method.SYSTEM, model, Hardware(), images[0], [images[1]], 4).sr.astype(int)
    return np.abs(sr - wanted).max() <= 1 and (sr != wanted).mean() < 1e-3


def digest(*paths):
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()


def test_the_authors_files(official, model, images):
    loaded = load(official, "cpu")
    sr = run(loaded, images)
    assert sr.shape == (40, 52, 3) and sr.dtype == np.uint8 and sr.std() > 10
    assert same(sr, model, images)
    assert loaded.weights == Weights("authors", NAMES[0], digest(*(official.parent / name for name in NAMES)))
    assert loaded.parameters == sum(p.numel() for p in model.restoration.parameters())


@pytest.mark.parametrize("wrap", [lambda s: {"params": s}, lambda s: {f"module.{k}": v for k, v in s.items()}])
def test_the_authors_layout_in_other_trainers_wrapping(official, images, wrap):
    wanted = run(load(official, "cpu"), images)
    for name in NAMES[:2]:
        path = official.parent / name
        torch.save(wrap(torch.load(path, weights_only=True)), path)
    assert (run(load(official, "cpu"), images) == wanted).all()


@pytest.mark.parametrize("config", [SMALL, NO_SMALL_REFERENCE])
def test_a_bundle_equals_what_was_saved(tmp_path, config, images):
    model = build(config)
    path = bundle(model, tmp_path / "mine.safetensors")
    loaded = network_of(path)
    assert loaded.restoration.config == config
    state = loaded.state_dict()
    assert set(state) == set(model.state_dict())
    assert all(torch.equal(state[key], value) for key, value in model.state_dict().items())
    sr = run(load(path, "cpu"), images)
    assert same(sr, model, images)
    assert load(path, "cpu").weights == Weights("authors", "mine.safetensors", digest(path))


def test_a_bundle_without_reference_features_uses_branch_2(tmp_path, model):
    loaded = network_of(bundle(model, tmp_path / "mine.safetensors", vgg=False))
    image = torch.rand(1, 3, 16, 20)
    branch = loaded.extractor.feature_extraction_image2(image)
    assert torch.equal(loaded.vgg(image)["relu3_1"], branch.relu())


def test_half_precision_bundles_load_as_single(tmp_path, model):
    path = bundle(model.half(), tmp_path / "half.safetensors")
    assert all(value.dtype == torch.float32 for value in network_of(path).state_dict().values())


@pytest.mark.parametrize(
    ("missing", "message"),
    [(NAMES[0], "no weights file at .*C2_matching_mse.pth"), (NAMES[1], "feature_extraction.pth beside it")],
)
def test_a_missing_file(official, missing, message):
    (official.parent / missing).unlink()
    with pytest.raises(Misuse, match=message):
        load(official, "cpu")


def test_vgg19_that_is_not_here(official, monkeypatch, tmp_path):
    (official.parent / NAMES[2]).unlink()
    for name in ("TORCH_HOME", "REFSR_WEIGHTS"):
        monkeypatch.setenv(name, str(tmp_path / "nothing"))
    with pytest.raises(BenchError, match=r"beside it .*not on this machine. Get it: .refsr-bench weights fetch vgg19"):
        load(official, "cpu")


def test_vgg19_from_the_folder_of_weights(official, monkeypatch, tmp_path, images):
    wanted = run(load(official, "cpu"), images)
    ours = official.parent / NAMES[2]
    monkeypatch.setenv("REFSR_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setattr(known, "PARTS", (WeightsFile(NAMES[2], "a test", name="vgg19", sha256=digest(ours)),))
    (tmp_path / "weights").mkdir()
    ours.rename(tmp_path / "weights" / NAMES[2])
    assert (run(load(official, "cpu"), images) == wanted).all()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (NAMES[0], "C2_matching_mse.pth does not hold weights of c2matching: no method of the catalogue knows"),
        (NAMES[1], "feature_extraction.pth does not hold the C2-Matching extractors"),
        (NAMES[2], "vgg19-dcbb9e9d.pth does not hold torchvision's VGG19"),
    ],
)
def test_another_models_weights(official, name, message):
    torch.save(ImageDiscriminator().state_dict(), official.parent / name)
    with pytest.raises(BenchError, match=message):
        load(official, "cpu")


def edit(path, change):
    state = torch.load(path, weights_only=True)
    change(state)
    torch.save(state, path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("dyn_agg_restore.head_large.0.bias"), "lacks restoration.dyn_agg_restore.head_large.0.bias"),
        (lambda s: s.update(extra=torch.zeros(1), other=torch.zeros(1)), "has unknown restoration.extra and 1 more"),
        (
            lambda s: s.update({"content_extractor.conv_first.bias": torch.zeros(3)}),
            "has another shape for restoration.content_extractor.conv_first.bias",
        ),
        (lambda s: s.update({"content_extractor.conv_first.weight": torch.tensor(1.0)}), "does not hold weights"),
        (lambda s: s.update({"dyn_agg_restore.large_dyn_agg.conv_offset_mask.bias": torch.zeros(3)}), "does not hold"),
    ],
)
def test_weights_that_fit_in_part(official, change, message):
    edit(official, change)
    with pytest.raises(BenchError, match=message):
        load(official, "cpu")


def test_a_bundle_of_something_else(tmp_path):
    save_file({"weight": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(BenchError, match=r"other\.safetensors does not hold weights of c2matching"):
        load(tmp_path / "other.safetensors", "cpu")


def test_a_bundle_with_half_an_extractor(tmp_path, model):
    path = bundle(model, tmp_path / "mine.safetensors")
    state = {key: value for key, value in load_file(path).items() if "feature_extraction_image2" not in key}
    save_file(state, path)
    with pytest.raises(BenchError, match=r"it lacks extractor\.feature_extraction_image2"):
        load(path, "cpu")


def test_no_weights_for_the_gan_model():
    (card,) = (card for card in method.METHODS if card.name == "c2matching-gan")
    with pytest.raises(Misuse, match="--weights"):
        card.load(None, "cpu")


@pytest.mark.parametrize(
    ("lr", "ref", "scale", "message"),
    [
        ((10, 10), (40, 40), 2, "for x4; scale 2"),
        ((2, 10), (40, 40), 4, "The LR image has 10x2"),
        ((10, 10), (40, 11), 4, "The reference has 11x40"),
    ],
)
def test_images_it_cannot_take(model, lr, ref, scale, message):
    with pytest.raises(BenchError, match=message):
        upscale(method.SYSTEM, model, Hardware(), np.zeros((*lr, 3), np.uint8), [np.zeros((*ref, 3), np.uint8)], scale)


@pytest.mark.parametrize(("lr", "ref"), [((3, 3), (12, 12)), ((3, 40), (15, 14)), ((17, 5), (12, 99))])
def test_the_smallest_images(model, lr, ref):
    low, high = np.full((*lr, 3), 9, np.uint8), np.full((*ref, 3), 7, np.uint8)
    sr = upscale(method.SYSTEM, model, Hardware(), low, [high], 4).sr
    assert sr.shape == (4 * lr[0], 4 * lr[1], 3)


def test_inputs_stay_as_they_are_and_read_only_images_are_welcome(model, images, recwarn):
    copies = [image.copy() for image in images]
    for image in images:
        image.flags.writeable = False
    upscale(method.SYSTEM, model, Hardware(), images[0], [images[1]], 4)
    assert all((a == b).all() for a, b in zip(images, copies, strict=True))
    assert not recwarn.list


def test_several_references(model, images):
    """A second copy of the reference changes nothing; a different second one lends single patches.

    References lie on one canvas, and some processors round sums over another canvas otherwise.
    """
    rng = np.random.default_rng(1)
    true, other = images[1], rng.integers(0, 256, (24, 60, 3), np.uint8)
    alone = upscale(method.SYSTEM, model, Hardware(), images[0], [true], 4).sr.astype(int)
    twice = upscale(method.SYSTEM, model, Hardware(), images[0], [true, true], 4).sr.astype(int)
    assert abs(twice - alone).max() <= 1 and (twice != alone).mean() < 0.001
    both = upscale(method.SYSTEM, model, Hardware(), images[0], [true, other], 4).sr.astype(int)
    assert both.shape == alone.shape and abs(both - alone).max() > 1  # some patch of noise matches better


def test_a_reference_too_small_is_named(model, images):
    with pytest.raises(BenchError, match="The reference has 20x8 pixels"):
        upscale(method.SYSTEM, model, Hardware(), images[0], [images[1], np.zeros((8, 20, 3), np.uint8)], 4)


def test_output_is_clamped_and_rounded_half_to_even(model, monkeypatch):
    values = torch.tensor([-0.2, 0.5 / 255, 1.5 / 255, 2.4 / 255, 254.5 / 255, 1.3])
    monkeypatch.setattr(model, "upscale", lambda *_: values.expand(1, 3, 4, 6))
    low, high = np.zeros((3, 3, 3), np.uint8), np.zeros((12, 12, 3), np.uint8)
    sr = upscale(method.SYSTEM, model, Hardware(), low, [high], 4).sr
    assert (sr == np.array([0, 0, 2, 2, 254, 255])[:, None]).all()


def test_tensor_helper_reads_what_the_network_reads(model, images, monkeypatch):
    """The network gets RGB planes in [0, 1]: LR, its 8-bit bicubic enlargement, the reference cut to multiples of 4."""
    from refsr_bench.pixels.resize import resize_pil_bicubic

    seen = []
    monkeypatch.setattr(model, "upscale", lambda *tensors: seen.extend(tensors) or torch.zeros(1, 3, 40, 52))
    upscale(method.SYSTEM, model, Hardware(), images[0], [images[1]], 4)
    wanted = (images[0], resize_pil_bicubic(images[0], 40, 52), images[1][:28, :44])
    for got, image in zip([*seen[:2], *seen[2]], wanted, strict=True):
        assert torch.equal(got, tensor(image).permute(2, 0, 1)[None].float() / 255)
