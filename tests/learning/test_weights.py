"""Weights files: ours, of a network or a part of it, those of older formats, and foreign ones that go together."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from baselines import datsr, edsr
from refsr_bench.core import catalogue
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.formats.checkpoints import read_metadata, sha256, synthetic
from refsr_bench.learning import weights
from refsr_bench.learning.vgg import vgg_layers
from refsr_bench.learning.weights import Trained, owner, read, write

SMALL = {"channels": 8, "blocks": 2, "scale": 1.0}


@pytest.fixture
def ours(tmp_path):
    net = synthetic(edsr.SYSTEM.network(**SMALL))
    write(tmp_path / "a.safetensors", Trained(net.state_dict(), net.options), edsr.SYSTEM, "edsr", {"name": "mine"})
    return tmp_path / "a.safetensors", net


def test_what_is_written_is_read_with_its_options_and_story(ours):
    path, net = ours
    found = read(edsr.SYSTEM, "edsr", [path])
    assert found.net.options == SMALL and found.metadata["name"] == "mine" and found.files == (path,)
    assert all(torch.equal(value, found.net.state_dict()[key]) for key, value in net.state_dict().items())
    assert owner(path).name == "edsr"


def test_the_same_weights_make_the_same_bytes(tmp_path):
    net = synthetic(edsr.SYSTEM.network(**SMALL))
    about = {"name": "Größe \u2028 \x01 \x7f / \"", "training": json.dumps({"a": [1, 2]}), "sources": "{}"}
    digests = set()
    for n in range(5):
        path = tmp_path / f"{n}.safetensors"
        write(path, Trained(net.state_dict(), net.options), edsr.SYSTEM, "edsr", about)
        assert read_metadata(path) | about == read_metadata(path)
        digests.add(sha256(path))
    assert len(digests) == 1
    assert all(torch.equal(value, load_file(path)[key]) for key, value in net.state_dict().items())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"family": json.dumps("baselines.rcan.build"), "method": "rcan"}, "holds weights of rcan, not of edsr"),
        ({"family": "no JSON"}, "its metadata are incomplete or damaged"),
        ({"options": json.dumps({"heads": 3})}, "does not know the network"),
        ({"options": json.dumps(SMALL | {"channels": 10**9})}, "sizes larger than anything in the file"),
        ({"options": json.dumps(SMALL | {"channels": -1})}, "does not know the network"),
        ({"options": json.dumps(SMALL | {"channels": 32})}, "has another shape for"),
        ({"options": json.dumps([3])}, "does not know the network"),
        ({"part": "extractor"}, "holds the extractor of edsr alone"),
    ],
)
def test_metadata_that_do_not_fit(ours, change, message):
    path, net = ours
    save_file(net.state_dict(), path, read_metadata(path) | change)
    with pytest.raises(BenchError, match=message):
        read(edsr.SYSTEM, "edsr", [path])


@pytest.fixture
def several(tmp_path):
    """DATSR's three files as its authors and torchvision have them: the restoration network's first."""
    net = synthetic(datsr.build(**datsr.SYSTEM.small))
    state = net.state_dict()
    index = {name: n for n, (name, _) in enumerate(vgg_layers("relu3_1").named_children())}
    parts = {"restoration": {}, "extractor": {}, "vgg": {}}
    for key, value in state.items():
        part, _, name = key.partition(".")
        if name.startswith("vgg_net."):
            _, layer, kind = name.split(".")
            name = f"features.{index[layer]}.{kind}"
        if part != "vgg" or name.startswith("features."):
            parts[part]["dyn_agg_restore." + name if part == "restoration" else name] = value
    names = ("restoration_mse.pth", "feature_extraction.pth", "vgg19-0.pth")
    for name, part in zip(names, parts.values(), strict=True):
        torch.save(part, tmp_path / name)
    return [tmp_path / name for name in names], state


def test_companions_are_found_beside_the_first_file(several):
    files, state = several
    found = read(datsr.SYSTEM, "datsr-rec", files[:1])
    assert found.files == tuple(files)
    assert all(torch.equal(value, found.net.state_dict()[key]) for key, value in state.items())
    assert {card.name for card in weights.fitting([torch.load(files[0])])} == {"datsr", "datsr-rec"}


def test_a_companion_that_is_missing_or_another_file(several):
    files, _ = several
    torch.save({"x": torch.zeros(1)}, files[2])
    with pytest.raises(BenchError, match=r"vgg19-0\.pth does not hold torchvision's VGG19"):
        read(datsr.SYSTEM, "datsr-rec", files[:1])
    files[1].unlink()
    with pytest.raises(Misuse, match=r"needs feature_extraction\.pth beside it"):
        read(datsr.SYSTEM, "datsr-rec", files[:1])


def test_weights_that_nobody_knows(tmp_path):
    save_file({"x": torch.zeros(1)}, tmp_path / "x.safetensors")
    with pytest.raises(BenchError, match="no method of the catalogue"):
        owner(tmp_path / "x.safetensors")


def test_every_system_says_where_its_weights_are(monkeypatch, tmp_path):
    monkeypatch.setenv("REFSR_WEIGHTS", str(tmp_path))
    found = {name: weights.state_of(card) for name, card in catalogue.collect("METHODS").items()}
    assert found["bicubic"] == "needs none" and found["c2matching"] == "bundled" and found["edsr"] == "none"
    (tmp_path / "c2matching.safetensors").write_bytes(b"")
    assert weights.state_of(catalogue.get("METHODS", "c2matching")) == "imported"
