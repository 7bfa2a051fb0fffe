"""Methods from the command line: what is listed, imported, run all at once, and trained."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file, save_file

from baselines.nets.edsr import EDSR
from refsr_bench.cli import main
from refsr_bench.core import catalogue, results
from refsr_bench.formats.checkpoints import read_metadata, synthetic
from refsr_bench.learning.weights import SYNTHETIC

SMALL = {"channels": 8, "blocks": 2, "scale": 1.0}


@pytest.fixture(autouse=True)
def own_weights_folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("REFSR_WEIGHTS", str(tmp_path / "weights"))
    return tmp_path / "weights"


def run(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(main, list(map(str, arguments)))
    assert result.exit_code == code, f"{result.output}\n{result.exception!r}"
    return result.output


@pytest.fixture
def theirs(tmp_path) -> Path:
    """A file as EDSR's authors save it, of a narrow network."""
    state = synthetic(EDSR(**SMALL)).state_dict()
    back = {
        r"conv_first\.(\w+)": r"head.0.\1",
        r"body\.(\d+)\.conv1\.(\w+)": r"body.\1.body.0.\2",
        r"body\.(\d+)\.conv2\.(\w+)": r"body.\1.body.2.\2",
        r"conv_after_body\.(\w+)": r"body.2.\1",
        r"upsample\.(\d)\.(\w+)": r"tail.0.\1.\2",
        r"conv_last\.(\w+)": r"tail.1.\1",
    }

    def name(key: str) -> str:
        return next(re.sub(p, new, key) for p, new in back.items() if re.fullmatch(p, key))

    official = {name(key): value for key, value in state.items()}
    official |= {"sub_mean.weight": torch.eye(3)[..., None, None], "sub_mean.bias": torch.zeros(3)}
    torch.save({"params": {f"module.{key}": value for key, value in official.items()}}, tmp_path / "edsr_x4-abc.pt")
    return tmp_path / "edsr_x4-abc.pt"


def test_every_method_is_listed_with_how_it_was_verified() -> None:
    lines = run("methods", "list").splitlines()
    for name, card in catalogue.collect("METHODS").items():
        (line,) = [line for line in lines if line.split()[0] == name]
        assert card.title in line and card.verified in line


@pytest.mark.parametrize("name", sorted(catalogue.collect("METHODS")))
def test_a_method_tells_its_paper_its_guesses_and_its_weights(name) -> None:
    card, text = catalogue.get("METHODS", name), run("methods", "info", name)
    assert card.paper in text and card.verified in text
    assert all(guess in text for guess in card.guesses)
    assert all(file.file in text and file.home in text for file in card.files)


def test_weights_of_the_authors_are_imported_and_then_used(theirs, own_weights_folder, wrsr, tmp_path) -> None:
    text = run("weights", "import", "--method", "edsr", theirs)
    imported = own_weights_folder / "edsr.safetensors"
    assert str(imported) in text and imported.is_file()
    metadata = read_metadata(imported)
    assert metadata["method"] == "edsr" and json.loads(metadata["options"]) == SMALL
    assert "imported" in next(line for line in run("methods", "list").splitlines() if line.startswith("edsr "))
    assert "edsr" in run("weights", "list") and '"channels": 8' in run("weights", "info", imported)
    assert "good" in run("weights", "verify", imported)
    lr = np.random.default_rng(1).integers(0, 256, (12, 10, 3), np.uint8)
    card = catalogue.get("METHODS", "edsr")
    assert (card.load(None, "cpu").predict(lr, [], 4).sr == card.load(theirs, "cpu").predict(lr, [], 4).sr).all()
    root = wrsr(2).parent
    run("run", "--method", "edsr", "--dataset", "wrsr", "--data-root", root, "--out", tmp_path / "r")
    (path,) = (tmp_path / "r").rglob("result.json")
    assert results.read_result(path).run.method.weights.name == "edsr_x4-abc"


def test_a_file_of_another_model_is_refused_with_the_name_of_its_own(theirs, own_weights_folder) -> None:
    text = run("weights", "import", "--method", "rcan", theirs, code=1)
    assert "does not hold weights of rcan" in text and "they fit edsr" in text
    assert not (own_weights_folder / "rcan.safetensors").exists()
    strange = theirs.with_name("strange.safetensors")
    save_file({"layer.weight": torch.zeros(3)}, strange)
    assert "no method of the catalogue knows" in run("weights", "import", "--method", "edsr", strange, code=1)
    run("weights", "import", "--method", "edsr", theirs)
    imported = own_weights_folder / "edsr.safetensors"
    text = run("weights", "import", "--method", "srcnn", imported, "--out", theirs.with_name("o.safetensors"), code=1)
    assert "weights of edsr" in text


def test_another_scale_is_refused_naming_what_does_not_fit(theirs) -> None:
    state = torch.load(theirs, weights_only=True)["params"]
    del state["module.tail.0.2.weight"], state["module.tail.0.2.bias"]  # one shuffle: x2
    torch.save(state, theirs)
    assert "does not hold weights of edsr" in run("weights", "import", "--method", "edsr", theirs, code=1)


def test_weights_that_are_missing_where_is_said(tmp_path) -> None:
    text = run("run", "--method", "rcan", "--dataset", "sample", "--out", tmp_path, code=2)
    assert "RCAN_BIX4" in text and "weights import --method rcan" in text and "synthetic" in text
    assert "no weights to import" in run("weights", "import", "--method", "bicubic", tmp_path / "x", code=2)


def test_all_runs_what_has_weights_and_names_the_rest(wrsr, tmp_path) -> None:
    root = wrsr(2).parent
    arguments = ("--dataset", "wrsr", "--data-root", root, "--out", tmp_path / "r", "--limit", 1)
    text = run("run", "--method", "all", *arguments)
    done = {path.parent.name for path in (tmp_path / "r").rglob("result.json")}
    assert {"bicubic", "c2matching"} <= done and "rcan" not in done
    assert "left out: rcan comes without weights" in text


def test_synthetic_weights_are_never_ranked(wrsr, tmp_path) -> None:
    root = wrsr(2).parent
    arguments = ("--dataset", "wrsr", "--data-root", root, "--out", tmp_path / "r")
    run("run", "--method", "srcnn", "--method", "bicubic", "--weights", SYNTHETIC, *arguments)
    (path,) = (tmp_path / "r").rglob("srcnn/result.json")
    method = results.read_result(path).run.method
    assert method.weights.kind == "synthetic" and not method.ranked and method.mark == "from the paper's text alone"
    page = (tmp_path / "r" / "site" / "index.html").read_text()
    assert "synthetic weights" in page and "from the paper&#39;s text alone" in page


def test_a_method_of_one_reference_gets_all_in_one_image(wrsr, tmp_path, monkeypatch) -> None:
    text = run("run", "--method", "srcnn", "--weights", SYNTHETIC, "--dataset", "sample", "--refs", "all", "--limit", 1,
               "--out", tmp_path / "r")  # fmt: skip
    assert "stacked" not in text  # it takes none
    import dataclasses

    from baselines import bicubic

    one = dataclasses.replace(bicubic.METHODS[0], references="one", name="one")
    monkeypatch.setattr(bicubic, "METHODS", (one,))
    catalogue.forget()
    try:
        text = run("run", "--method", "one", "--dataset", "sample", "--refs", "all", "--limit", 1,
                   "--out", tmp_path / "r")  # fmt: skip
    finally:
        monkeypatch.undo()
        catalogue.forget()
    assert "one takes one reference: all are stacked" in text
    (path,) = (tmp_path / "r").rglob("one/result.json")
    assert "black square" in results.read_result(path).run.method.notes[-1]


# -- training --------------------------------------------------------------------------------------------------------


@pytest.fixture
def photos(tmp_path, photo) -> Path:
    from PIL import Image

    (tmp_path / "photos").mkdir()
    for n in range(6):
        Image.fromarray(photo(130, 140, n)).save(tmp_path / "photos" / f"{n}.png")
    return tmp_path / "photos"


SETTINGS = ("crop=64", "batch=2", "run.validation=1")
SHORT = ("--recipe", "small-cpu", "--device", "cpu", *(word for s in SETTINGS for word in ("--set", s)))


def test_any_method_is_trained_by_the_common_trainer_and_resumed_to_the_same_weights(photos, tmp_path, wrsr) -> None:
    common = ("train", "edsr", "--small", "--data", photos, *SHORT, "--set", "cosine=false")
    run(*common, "--budget", 4, "--out", tmp_path / "whole")
    run(*common, "--budget", 2, "--out", tmp_path / "half")
    assert "already holds" in run(*common, "--budget", 4, "--out", tmp_path / "half", code=2)
    run(*common, "--budget", 4, "--out", tmp_path / "half", "--resume")
    whole, half = (load_file(tmp_path / name / "last.safetensors") for name in ("whole", "half"))
    assert len(whole) == 2 * (1 + 2 * 8 + 1 + 2 + 1) and whole.keys() == half.keys()
    assert all(torch.equal(value, half[key]) for key, value in whole.items())
    assert json.loads((tmp_path / "whole" / "log.jsonl").read_text().splitlines()[-1])["iteration"] == 4
    metadata = read_metadata(tmp_path / "whole" / "last.safetensors")
    story = json.loads(metadata["training"])
    assert metadata["name"] == "whole" and story["configuration"]["restoration"]["iterations"] == 4
    text = run("run", "--method", "edsr", "--weights", tmp_path / "whole" / "last.safetensors", "--dataset", "wrsr",
               "--data-root", wrsr(1).parent, "--out", tmp_path / "r")  # fmt: skip
    assert "whole" in text


def test_a_method_that_reads_references_needs_a_student(photos, tmp_path) -> None:
    common = ("train", "srntt-rec", "--small", "--data", photos, *SHORT, "--budget", 1, "--out", tmp_path / "t")
    assert "--student" in run(*common, code=2)
    from c2matching.checkpoints import BUNDLED

    run(*common, "--student", BUNDLED)
    assert "good" in run("weights", "verify", tmp_path / "t" / "last.safetensors")


def test_what_cannot_be_trained_is_said(photos, tmp_path) -> None:
    common = ("--data", photos, "--out", tmp_path / "t")
    assert "cannot be trained" in run("train", "bicubic", *common, code=2)
    assert "Did you mean edsr" in run("train", "edsrr", *common, code=2)
    assert "one size" in run("train", "crossnet", "--small", *common, code=2)
    assert "weights fetch vgg19`" in run("train", "srgan", *common, *SHORT, "--budget", 1, code=1)
