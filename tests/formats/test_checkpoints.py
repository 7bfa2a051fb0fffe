"""Weights files of every kind, and many files that are none."""

import os
import pickle
import random
import zipfile
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.formats.checkpoints import load_strict, read_weights, sha256

STATE = OrderedDict(weight=torch.arange(6.0).view(2, 3), bias=torch.tensor([1.0, -1.0]))


class Opens:
    """An object that pickles as a call that creates a file."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


class Shell(Opens):
    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def same(state):
    return list(state) == list(STATE) and all(torch.equal(state[key], value) for key, value in STATE.items())


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    "content",
    [
        STATE,
        {"params": STATE},
        {"params_ema": STATE, "epoch": 3},
        {"state_dict": {f"module.{key}": value for key, value in STATE.items()}, "arch": "net"},
        {f"module.{key}": value for key, value in STATE.items()},
    ],
)
def test_state_dicts_however_wrapped(tmp_path, content, zipped):
    path = tmp_path / "net.pth"
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    assert same(read_weights(path))


def test_safetensors(tmp_path):
    path = tmp_path / "net.safetensors"
    save_file(dict(STATE), path)
    state = read_weights(path)
    assert all(torch.equal(state[key], value) for key, value in STATE.items())


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(("trap", "asked"), [(Opens, "io.open"), (Shell, r"\w+.system")])
def test_code_in_a_file_is_named_and_not_run(tmp_path, trap, asked, zipped):
    harmed, path = tmp_path / "harmed", tmp_path / "net.pth"
    torch.save({**STATE, "extra": trap(harmed)}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(BenchError, match=rf"net.pth asks for {asked} while it is read: code") as caught:
        read_weights(path)
    assert not harmed.exists()
    assert "weights_only" not in str(caught.value)
    torch.load(path, weights_only=False)  # the trap does work
    assert harmed.exists()


def test_a_plain_pickle_is_not_run(tmp_path):
    harmed, path = tmp_path / "harmed", tmp_path / "net.pth"
    for protocol in range(6):
        write(path, pickle.dumps(Opens(harmed), protocol=protocol))
        with pytest.raises(BenchError, match=r"net.pth (cannot be read|asks for)"):
            read_weights(path)
    assert not harmed.exists()


def test_a_whole_module_is_refused(tmp_path):
    torch.save(nn.Linear(3, 2), tmp_path / "net.pth")
    with pytest.raises(BenchError, match=r"asks for torch\.nn\.modules\.linear\.Linear"):
        read_weights(tmp_path / "net.pth")


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("name", ["net.pth", "net.safetensors"])
@pytest.mark.parametrize(
    "content",
    [b"", b"hello\n", b"<!DOCTYPE html>\n<html>404</html>\n", b"code\nlines\n", b"version https://git-lfs\noid 12\n"],
)
def test_text_is_no_weights_file(tmp_path, name, content):
    with pytest.raises(BenchError, match=rf"{name} cannot be read: .*fetch it again") as caught:
        read_weights(write(tmp_path / name, content))
    assert "weights_only" not in str(caught.value)


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
def test_truncated_files(tmp_path, kind, share):
    path = tmp_path / ("net.safetensors" if kind == "safetensors" else "net.pth")
    state = {"weight": torch.zeros(4000)}
    if kind == "safetensors":
        save_file(state, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=kind == "zip")
    content = path.read_bytes()
    with pytest.raises(BenchError, match="cannot be read"):
        read_weights(write(path, content[: int(share * len(content))]))


def test_damaged_files_never_end_in_another_error(tmp_path):
    rng = random.Random(0)
    refused = 0
    for zipped in (True, False):
        path = tmp_path / "net.pth"
        torch.save(STATE, path, _use_new_zipfile_serialization=zipped)
        content = path.read_bytes()
        for _ in range(150):
            damaged = bytearray(content)
            for _ in range(4):
                damaged[rng.randrange(min(len(damaged), 600))] = rng.randrange(256)
            try:
                read_weights(write(path, bytes(damaged)))
            except BenchError:
                refused += 1
    assert refused > 100


@pytest.mark.parametrize("content", [{}, [torch.zeros(1)], {"epoch": 3}, {3: torch.zeros(1)}, torch.zeros(2)])
def test_content_that_is_no_state_dict(tmp_path, content):
    torch.save(content, tmp_path / "net.pth")
    with pytest.raises(BenchError, match=r"net\.pth holds no state dict"):
        read_weights(tmp_path / "net.pth")


def test_other_zip_files(tmp_path):
    with zipfile.ZipFile(tmp_path / "net.pth", "w") as archive:
        archive.writestr("readme.txt", "no weights")
    with pytest.raises(BenchError, match="cannot be read"):
        read_weights(tmp_path / "net.pth")


@pytest.mark.parametrize("name", ["absent.pth", "absent.safetensors", "."])
def test_no_file(tmp_path, name):
    with pytest.raises(Misuse, match="There is no weights file at"):
        read_weights(tmp_path / name)


def test_digest_of_several_files(tmp_path):
    paths = [write(tmp_path / "a", b"ab"), write(tmp_path / "b", b"c")]
    assert sha256(*paths) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # of "abc"


def test_strict_loading(tmp_path):
    layer = nn.Linear(3, 2)
    load_strict(layer, {key: value.double() for key, value in STATE.items()}, tmp_path, "a layer")
    assert torch.equal(layer.weight, STATE["weight"]) and layer.weight.dtype == torch.float32


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"weight": STATE["weight"]}, "net.pth does not hold the weights of a layer: it lacks bias."),
        ({**STATE, "a": STATE["bias"], "b": STATE["bias"]}, "it has unknown a and 1 more."),
        ({"weight": torch.zeros(3, 2), "bias": STATE["bias"]}, "it has another shape for weight."),
        ({"other": STATE["bias"]}, "it lacks bias and 1 more, has unknown other."),
    ],
)
def test_weights_of_something_else(state, message):
    layer = nn.Linear(3, 2)
    before = layer.weight.detach().clone()
    with pytest.raises(BenchError) as caught:
        load_strict(layer, state, Path("net.pth"), "a layer")
    assert str(caught.value).endswith(message)
    assert torch.equal(layer.weight, before)
