"""The feature networks: extractors and VGG19."""

import json

import pytest
import torch
from filled import error, fill, tensor, vgg19, vgg19_file

from c2matching.nets.correspondence_network import ContrastiveExtractor
from c2matching.nets.restoration import RestorationNet
from refsr_bench.learning.training.discriminator import ImageDiscriminator
from refsr_bench.learning.vgg import from_torchvision, vgg_layers


@torch.no_grad()
def test_extractors(whole):
    z = whole("a_extractor")
    one, two = fill(ContrastiveExtractor())(tensor(z["image1"]), tensor(z["image2"]))
    assert error(one, z["dense_features1"]) < 1e-4
    assert error(two, z["dense_features2"]) < 1e-4


@torch.no_grad()
def test_vgg19(whole):
    z = whole("a2_vgg19")
    layers = ("relu1_1", "relu2_1", "relu3_1", "relu5_1")
    features = vgg19(*layers)(tensor(z["image"]))
    assert tuple(features) == layers
    for name in layers:
        assert error(features[name], z[name]) < 5e-5, name


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (ContrastiveExtractor, "ContrasExtractorSep"),
        (RestorationNet, "RestorationNet"),
        (ImageDiscriminator, "ImageDiscriminator"),
    ],
)
def test_state_dicts_have_the_authors_layout(shared, module, name):
    entries = json.loads((shared / "golden" / "state_dict_keys.json").read_text())["modules"][name]["entries"]
    ours = [[k, list(v.shape), str(v.dtype).removeprefix("torch.")] for k, v in module().state_dict().items()]
    assert ours == entries


def test_torchvision_layer_numbers(shared):
    numbers = json.loads((shared / "golden" / "state_dict_keys.json").read_text())["vgg19_layer_to_torchvision"]
    layers = enumerate(vgg_layers("relu5_1").named_children())
    assert {name: f"features.{index}" for index, (name, _) in layers if name.startswith("conv")} == numbers


def test_unknown_layer():
    with pytest.raises(ValueError, match="relu9_1"):
        vgg_layers("relu9_1")


def test_incomplete_vgg19_file():
    with pytest.raises(KeyError, match=r"features\.12\.weight"):
        from_torchvision(vgg19_file(10), "relu3_2")
