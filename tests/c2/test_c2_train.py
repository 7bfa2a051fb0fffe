"""The three stages of training the bundled model, in miniature: they run, every part moves, what they save loads."""

import random

import numpy as np
import pytest
import torch
from PIL import Image

from c2matching import train
from c2matching.extractor import ContrastiveExtractor
from c2matching.method import load, load_bundle
from refsr_bench.datasets import open_dataset

RECIPE = train.Recipe(
    teacher_iterations=2,
    teacher_warmup=1,
    student_iterations=2,
    student_warmup=1,
    restoration_iterations=12,
    batch=2,
    pool=4,
    crop=64,
)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Two photographs of anything and a scene of two, as folders on disk."""
    root = tmp_path_factory.mktemp("photos")
    pairs = open_dataset("sample").pairs
    folders = {"single": [pairs[3].hr, pairs[4].hr], "scenes/stereo": [pairs[0].hr, pairs[0].refs[0]]}
    for folder, images in folders.items():
        (root / folder).mkdir(parents=True)
        for n, image in enumerate(images):
            whole = Image.fromarray(image.load())
            whole.resize((2 * whole.width, 2 * whole.height)).save(root / folder / f"{n}.png")
    return train.load_photos([root / "single"], [root / "scenes"])


@pytest.fixture(scope="module")
def extractors(photos):
    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(0)
    teacher = ContrastiveExtractor()
    first = {key: value.clone() for key, value in teacher.state_dict().items()}
    train.train_extractor(teacher, photos, RECIPE, None)
    student = ContrastiveExtractor()
    student.load_state_dict(teacher.state_dict())
    train.train_extractor(student, photos, RECIPE, teacher.eval().requires_grad_(False))
    return first, teacher, student.eval().requires_grad_(False)


def test_photos_are_read_with_their_scenes(photos) -> None:
    assert (len(photos.single), [len(scene) for scene in photos.scenes], len(photos)) == (2, [2], 4)


def test_both_stages_move_both_branches(extractors) -> None:
    first, teacher, student = extractors
    for branch in (1, 2):
        key = f"feature_extraction_image{branch}.model.conv3_1.weight"
        assert not torch.equal(first[key], teacher.state_dict()[key])
        assert not torch.equal(student.state_dict()[key], teacher.state_dict()[key])


def test_pairs_have_the_crop_s_size(photos) -> None:
    random.seed(1)
    assert {image.size for _ in range(12) for image in train.draw_pair(photos, 64)} == {(64, 64)}


def test_restoration_trains_and_the_bundle_loads(photos, extractors, tmp_path) -> None:
    net = train.train_restoration(extractors[2], photos, RECIPE)
    assert not any(parameter.isnan().any() for parameter in net.parameters())
    for scale in ("medium", "large"):  # predictors of offsets start at zero: gradients reached them
        assert getattr(net.dyn_agg_restore, f"{scale}_dyn_agg").conv_offset_mask.weight.any()
    train.save(tmp_path / "tiny.safetensors", extractors[2], net)
    model = load_bundle(tmp_path / "tiny.safetensors")
    trained, loaded = (m.content_extractor.conv_first.weight for m in (net, model.restoration))
    assert torch.equal(loaded, trained.half().float())
    branch = model.extractor.feature_extraction_image2.model
    assert torch.equal(model.vgg.vgg_net.conv1_1.weight, branch.conv1_1.weight)
    rng = np.random.default_rng(0)
    lr, ref = (rng.integers(0, 256, size, dtype=np.uint8) for size in ((8, 9, 3), (40, 36, 3)))
    assert load(tmp_path / "tiny.safetensors", "cpu").upscale(lr, [ref], 4).shape == (32, 36, 3)
