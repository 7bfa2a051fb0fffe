"""refsr-bench weights: what is listed, imported, verified and refused."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from filled import fill, network_of, vgg19_file, write_bundle
from safetensors.torch import load_file, save_file

from c2matching.checkpoints import BUNDLED
from c2matching.method import METHODS
from c2matching.nets.correspondence_network import ContrastiveExtractor
from c2matching.nets.restoration import RestorationConfig, RestorationNet
from refsr_bench.cli import main
from refsr_bench.core.errors import BenchError
from refsr_bench.formats.checkpoints import read_metadata
from refsr_bench.learning.weights import write_safetensors

load = METHODS[0].load
SMALL = RestorationConfig(channels=8, blocks=(1, 1, 1, 1), groups=2)


def run(*arguments, code: int = 0) -> str:
    result = CliRunner().invoke(main, ["weights", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture
def authors(tmp_path) -> Path:
    """A folder with the authors' three files in their format, formula weights."""
    torch.save(fill(RestorationNet(SMALL)).state_dict(), tmp_path / "c2_matching_restoration_mse.pth")
    torch.save(fill(ContrastiveExtractor()).state_dict(), tmp_path / "feature_extraction.pth")
    torch.save(vgg19_file(10), tmp_path / "vgg19-dcbb9e9d.pth")
    return tmp_path


def two_parts() -> dict:
    network, extractor = RestorationNet(SMALL), ContrastiveExtractor()
    return {"restoration": fill(network).state_dict(), "extractor": fill(extractor).state_dict()}


def test_what_is_bundled():
    assert BUNDLED.stem in run("list")
    text = run("info", BUNDLED.stem)
    assert "1,802,079 values, float16" in text and '"channels": 48' in text
    assert "good" in run("verify", BUNDLED.stem)


def test_imported_weights_give_the_same_output(authors):
    out = authors / "one.safetensors"
    text = run("import", "--method", "c2matching", authors / "c2_matching_restoration_mse.pth", "--out", out)
    assert "feature_extraction.pth" in text
    rng = np.random.default_rng(0)
    lr, ref = (rng.integers(0, 256, size, dtype=np.uint8) for size in ((12, 14, 3), (48, 56, 3)))
    srs = [load(path, "cpu").predict(lr, [ref], 4).sr for path in (authors / "c2_matching_restoration_mse.pth", out)]
    assert (srs[0] == srs[1]).all()
    sources = json.loads(read_metadata(out)["sources"])
    assert set(sources) == {"c2_matching_restoration_mse.pth", "feature_extraction.pth", "vgg19-dcbb9e9d.pth"}
    info = run("info", out)
    assert '"groups": 2' in info and sources["feature_extraction.pth"] in info
    run("verify", out)
    digest = "0" * 64
    assert "damaged or another" in run("verify", out, "--sha256", digest, code=1)
    again = run("import", "--method", "c2matching", authors / "c2_matching_restoration_mse.pth", "--out", out, code=2)
    assert "--overwrite" in again
    run("import", "--method", "c2matching", authors / "c2_matching_restoration_mse.pth", "--out", out, "--overwrite")


def test_keys_that_do_not_fit_are_named(authors):
    path = authors / "feature_extraction.pth"
    state = torch.load(path, weights_only=True)
    key = "feature_extraction_image1.model.conv2_1.bias"
    state["stranger"] = state.pop(key)
    torch.save(state, path)
    out = authors / "one.safetensors"
    text = run("import", "--method", "c2matching", authors / "c2_matching_restoration_mse.pth", "--out", out, code=1)
    assert key in text and "stranger" in text and not out.exists()


def test_weights_with_nan_are_refused(authors):
    state = load_file(BUNDLED)
    state["restoration.content_extractor.conv_first.bias"][3] = torch.nan
    bad = authors / "bad.safetensors"
    save_file(state, bad)
    for text in (run("verify", bad, code=1),):
        assert "restoration.content_extractor.conv_first.bias holds NaN" in text


def test_damaged_and_other_files(tmp_path):
    (tmp_path / "cut.safetensors").write_bytes(BUNDLED.read_bytes()[:5000])
    for command in ("info", "verify"):
        assert "cannot be read" in run(command, tmp_path / "cut.safetensors", code=1)
    assert "neither a file nor the name of one" in run("info", tmp_path / "absent.safetensors", code=2)
    write_bundle(tmp_path / "student.safetensors", {"extractor": ContrastiveExtractor().state_dict()}, None)
    assert "extractors alone" in run("verify", tmp_path / "student.safetensors", code=1)
    assert "1,110,668 values" in run("info", tmp_path / "student.safetensors")


def test_the_network_of_the_metadata_is_used_and_an_unknown_one_refused(tmp_path):
    network = RestorationConfig(channels=8, blocks=(1, 1, 1, 1), groups=2, taps="unmirrored")
    parts = {"restoration": RestorationNet(network).state_dict(), "extractor": ContrastiveExtractor().state_dict()}
    parts["vgg"] = {}
    write_bundle(tmp_path / "a.safetensors", parts, network, half=True)
    model = network_of(tmp_path / "a.safetensors")
    assert model.restoration.config == network
    fields = json.dumps({"channels": 8, "blocks": [1, 1, 1, 1], "heads": 3})
    write_bundle(tmp_path / "b.safetensors", parts, None, {"network": fields})
    with pytest.raises(BenchError, match="does not know the network"):
        network_of(tmp_path / "b.safetensors")


def test_an_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.safetensors"
    write_safetensors(path, {"x": torch.zeros(1)}, {})
    before = path.read_bytes()

    def breaks(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("refsr_bench.core.files.os.fsync", breaks)
    with pytest.raises(BenchError, match="No space"):
        write_safetensors(path, {"x": torch.ones(1)}, {})
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_packed_weights_are_half_the_size_and_give_nearly_the_same_image(tmp_path):
    network = RestorationNet(SMALL)
    parts = {"restoration": network.state_dict(), "extractor": fill(ContrastiveExtractor()).state_dict()}
    trained = tmp_path / "last.safetensors"
    write_bundle(trained, parts, SMALL, {"training": json.dumps({"stage": "restoration"})})
    text = run("pack", trained, "--out", tmp_path / "small.safetensors", "--name", "mine")
    assert "was" in text
    packed = tmp_path / "small.safetensors"
    assert packed.stat().st_size < 0.55 * trained.stat().st_size
    assert read_metadata(packed) == read_metadata(trained) | {"name": "mine"}
    rng = np.random.default_rng(0)
    lr, ref = (rng.integers(0, 256, size, dtype=np.uint8) for size in ((12, 16, 3), (48, 64, 3)))
    images = [load(path, "cpu").predict(lr, [ref], 4).sr.astype(int) for path in (trained, packed)]
    assert np.abs(images[0] - images[1]).max() <= 2
    assert "exists" in run("pack", trained, "--out", packed, code=2)
    assert "no .safetensors" in run("pack", "x.pth", "--out", tmp_path / "y.safetensors", code=2)


def test_verify_names_tensors_that_the_method_does_not_take(tmp_path):
    parts = two_parts()
    write_bundle(tmp_path / "a.safetensors", parts, SMALL)
    assert "does not take" not in run("verify", tmp_path / "a.safetensors")
    state = load_file(tmp_path / "a.safetensors") | {"stranger": torch.zeros(3)}
    save_file(state, tmp_path / "b.safetensors", read_metadata(tmp_path / "a.safetensors"))
    assert "c2matching does not take stranger." in run("verify", tmp_path / "b.safetensors")


def test_packing_refuses_values_beyond_float16(tmp_path):
    parts = two_parts()
    parts["restoration"]["content_extractor.conv_first.bias"][0] = 1e6
    write_bundle(tmp_path / "a.safetensors", parts, SMALL)
    text = run("pack", tmp_path / "a.safetensors", "--out", tmp_path / "b.safetensors", code=1)
    assert "content_extractor.conv_first.bias holds values beyond 65504" in text
    assert not (tmp_path / "b.safetensors").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files as Linux does")
@pytest.mark.parametrize("words", [("pack",), ("import", "--method", "c2matching")])
def test_a_full_disk_leaves_no_weights(authors, words):
    parts = two_parts()
    write_bundle(authors / "a.safetensors", parts, SMALL)
    out, program = authors / "out", "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (9999, 9999))\n"
    out.mkdir()
    program += "from refsr_bench.cli import main; main()"
    given = ["weights", *words, str(authors / "a.safetensors"), "--out", str(out / "b.safetensors")]
    done = subprocess.run([sys.executable, "-c", program, *given], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "cannot be written (File too large)" in done.stderr, done.stderr
    assert "Traceback" not in done.stderr and not list(out.iterdir())


def test_metadata_in_any_order_make_the_same_bytes(tmp_path):
    about = {f"{letter}\x7f\U0001f600": "\x7fü" for letter in "abcdefgh"}
    for name, order in (("a", about), ("b", dict(reversed(about.items())))):
        write_safetensors(tmp_path / f"{name}.safetensors", {"x": torch.ones(3)}, order)
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    assert read_metadata(tmp_path / "a.safetensors") == about and load_file(tmp_path / "a.safetensors")["x"].sum() == 3


def test_export_writes_a_file_that_says_what_it_is(tmp_path):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    out = tmp_path / "srcnn.onnx"
    words = ["export", "--method", "srcnn", "--weights", "synthetic", "--license", "CC0-1.0", "--out", out]
    shown = run(*words)
    assert "input  lr_up (1, 3, 4*height, 4*width)" in shown and "weights synthetic" in shown
    assert shown.count("grey levels from srcnn itself") == 3
    facts = {prop.key: prop.value for prop in onnx.load(out).metadata_props}
    assert facts["license"] == "CC0-1.0" and facts["weights_kind"] == "synthetic"
    assert "exists" in run(*words, code=2)
    told = json.loads(run(*words, "--overwrite", "--json"))
    assert told["inputs"][0]["name"] == "lr_up" and told["method"] == "srcnn"
    assert [each["width"] for each in told["checks"]] == [40, 52, 27]
    assert "must end in .onnx" in run(*words[:-1], tmp_path / "net.pth", code=2)
    assert "Which network?" in run("export", "--out", tmp_path / "other.onnx", code=2)
