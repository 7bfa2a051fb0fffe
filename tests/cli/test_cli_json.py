"""``--json``: one document on standard output, and nothing else; its shape is kept.

``shapes.json`` holds the shape of every document: its keys with the kinds of their values. A key that goes or changes
its kind fails here: raise ``cli.output.SCHEMA`` and say so in the changelog. New keys are added to the file:

    python tests/cli/test_cli_json.py
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import album
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from refsr_bench.cli import main
from refsr_bench.cli.output import SCHEMA
from refsr_bench.data.opening import open_dataset

SHAPES = Path(__file__).with_name("shapes.json")
BY_NAME = (
    *("means", "counts", "missing", "fields", "parts", "values", "failed", "psnr_y", "categories", "versions"),
    *("a", "b"),
)
"""Keys of objects whose own keys are names, such as those of metrics, and of values of any kind."""


def shape(value: Any) -> Any:
    """Return the kinds of a document's values, by key; of a list, the shape of its first element."""
    if isinstance(value, dict):
        return {key: "by name" if key in BY_NAME else shape(inner) for key, inner in sorted(value.items())}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return "number" if type(value) in (int, float) else type(value).__name__


def fits(found: Any, kept: Any) -> bool:
    """Tell whether a document has everything that was promised. An empty list or null fits anything."""
    if isinstance(kept, dict) and isinstance(found, dict):
        return all(key in found and fits(found[key], inner) for key, inner in kept.items())
    if isinstance(kept, list) and isinstance(found, list):
        return not kept or not found or fits(found[0], kept[0])
    return found == kept or "NoneType" in (found, kept)


def document(*words: object, code: int = 0) -> dict[str, Any]:
    done = CliRunner().invoke(main, [*map(str, words), "--json"])
    assert done.exit_code == code, f"{words}\n{done.output}\n{done.exception!r}"
    assert done.stdout.isascii() and done.stdout.endswith("}\n")
    return json.loads(done.stdout)  # fails for anything beside the one document


def looking() -> Iterator[dict[str, Any]]:
    """Commands that only look at what comes with the package."""
    for words in (
        ("data", "list"), ("data", "info", "wrsr"), ("data", "verify", "sample"), ("methods",),
        ("methods", "info", "c2matching"), ("protocols",), ("protocols", "diff", "c2", "ttsr"),
        ("doctor",), ("protocols", "selftest"), ("weights", "list"), ("weights", "info", "c2matching-nano-v2"),
        ("weights", "verify", "c2matching-nano-v2"), ("data", "stats", "sample"),
        ("weights", "where", "c2matching-nano-v2"),
    ):  # fmt: skip
        yield document(*words)


def measuring() -> Iterator[dict[str, Any]]:
    """Commands that measure, and those that read the results."""
    kept = ("--dataset", "sample", "--limit", 2, "--save-images")
    for name in ("one", "two"):
        yield document("run", "--method", "bicubic", *kept, "--name", name)
    scored = ("--dataset", "sample", "--name", "Mine", "--partial")
    yield document("score", "--pred", "results/c2/sample/one/images", *scored)
    yield document("compare", "one", "two")
    yield document("leaderboard", "build")
    yield document("leaderboard", "figures", "--format", "svg")
    yield document("submit", "check", "results/c2/sample/one/result.json", "--sample", 0)
    yield document("submit", "template", "repository")
    small = ("--levels", "small", "--limit", 1)
    yield document("robustness", "--transform", "rotation", "--method", "bicubic", "--matcher", "pixels", *small)
    images = Path("results/c2/sample/one/images")
    Path("turned").mkdir()
    for path in images.glob("*.png"):
        Image.open(path).rotate(180).save(f"turned/{path.name}")
    folders = ("--images", f"A={images}", "--images", "B=turned")
    yield document("study", "init", "study", *folders, "--attention", 0)
    done = CliRunner().invoke(main, ["study", "export", "study", "--tasks"]).output.splitlines()
    rows = [f"{who},{','.join(task.split(',')[1:3])},left" for who in ("a", "b") for task in done[1:]]
    Path("answers.csv").write_text("\n".join(["participant,left,right,choice", *rows]))
    yield document("study", "import", "study", "answers.csv")
    yield document("study", "report", "study", "--out", "report", "--keep-unchecked")


def making() -> Iterator[dict[str, Any]]:
    """Commands that make images, weights and data sets."""
    for n, pair in enumerate(open_dataset("sample").pairs[:3]):
        Path("photos").mkdir(exist_ok=True)
        Image.fromarray(np.ascontiguousarray(pair.hr.load()[:200, :200])).save(f"photos/{n}.png")
    Image.open("photos/0.png").crop((0, 0, 40, 30)).save("lr.png")
    pair = ("--lr", "lr.png", "--ref", "photos/1.png", "--device", "cpu")
    yield document("sr", *pair, "--out", "sr.png", "--matching", "exact")
    yield document("match", *pair, "--out", "match.png")
    quick = ("--recipe", "small-cpu", "--set", "run.validation=1", "--set", "batch=1", "--set", "crop=64")
    yield document("train", "srcnn", "--data", "photos", "--out", "trained", "--device", "cpu", "--budget", 1, *quick)
    yield document("weights", "pack", "trained/last.safetensors", "--out", "packed.safetensors")
    yield document("weights", "import", "--method", "srcnn", "packed.safetensors", "--out", "imported.safetensors")
    yield document("weights", "export", "--method", "srcnn", "--weights", "packed.safetensors", "--out", "net.onnx")
    rotation = ("--transform", "rotation", "--levels", "small", "--limit", 1)
    yield document("build", "transform", *rotation, "--out", "split")
    small = ("--set", "query_min_long_side=100", "--set", "ref_min_long_side=100")
    yield document("build", "wrsr", "init", "project", *small)
    for stage in (("queries", "--from", "photos"), ("pool", "--from", "photos"), ("clean",), ("select", "--auto")):
        yield document("build", "wrsr", stage[0], "project", *stage[1:])
    yield document("build", "wrsr", "status", "project")
    for which, n in ((4, 0), (4, 1), (4, 2), (0, 0), (1, 0), (5, 0)):
        album.save(album.view(which, n), Path("albums/one") / f"{which}{n}.png")
    yield document("build", "levels", "--albums", "albums", "--out", "levels")
    yield document("view", "sr.png", "lr.png", "--no-browser")


PARTS = {part.__name__: part for part in (looking, measuring, making)}
BESIDE = {  # with reasons
    "ablation": "trains many networks; tests/c2matching/test_c2_ablation.py reads its document",
    "build wrsr export": "needs a set with choices; tests/builder reads its document",
    "build wrsr rescale": "see build wrsr export",
    "submit prepare": "needs a clone; tests/cli/test_cli_submit.py reads its document",
    "weights fetch": "downloads; a test below reads its document",
    "data fetch": "downloads; ends as data prepare does",
    "data prepare": "a test below reads its document",
}


@pytest.mark.parametrize("part", PARTS)
def test_documents_keep_their_shapes(part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REFSR_DATA", str(tmp_path / "nothing"))
    monkeypatch.setenv("REFSR_WEIGHTS", str(tmp_path / "weights"))
    kept = json.loads(SHAPES.read_text(encoding="utf-8"))
    for found in PARTS[part]():
        assert found["schema"] == SCHEMA
        assert fits(shape(found), kept[found["command"]]), f"{found['command']}: {json.dumps(shape(found))[:2000]}"


def test_every_document_has_a_shape() -> None:
    from refsr_bench.cli import listing

    (row,) = (row for row in listing.rows(main) if row.name == "json")
    kept = set(json.loads(SHAPES.read_text(encoding="utf-8"))) | set(BESIDE)
    asked = {"train srcnn" if name.startswith("train ") else name for name in row.commands}
    assert asked == kept


def test_a_lost_or_changed_field_does_not_fit() -> None:
    kept = {"files": [{"name": "str", "pairs": "number"}], "counts": "by name"}
    for found in ({"files": [{"name": "str"}]}, {"files": [{"name": "str", "pairs": "str"}]}, {"counts": "by name"}):
        assert not fits({"counts": "by name", **found}, kept)
    assert fits({"files": [], "counts": "by name", "new": "str"}, kept)


def test_errors_leave_standard_output_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = CliRunner().invoke(main, ["data", "info", "nothing", "--json"])
    assert done.exit_code == 2 and done.stdout == "" and "Error: " in done.stderr


def test_a_check_that_fails_prints_its_document_and_exits_with_1(wrsr, tmp_path: Path) -> None:
    root = wrsr(3)
    prepared = document("data", "prepare", "wrsr", "--from", root, "--data-root", tmp_path / "data")
    assert prepared["dataset"] == "wrsr" and prepared["next"].startswith("refsr-bench data verify wrsr")
    next((tmp_path / "data").rglob("002.png")).write_bytes(b"no image")
    found = document("data", "verify", "wrsr", "--data-root", tmp_path / "data", code=1)
    assert not found["ok"] and any("002.png" in name for name in found["changed"])


def test_fetched_weights_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from refsr_bench.registry.known import files

    name, file = next(iter(files().items()))
    monkeypatch.setattr("refsr_bench.registry.fetching.fetch", lambda file, *_: Path("weights") / file.file)
    found = document("weights", "fetch", name)
    assert found["files"] == [f"weights/{file.file}"] and found["missing"] == []


if __name__ == "__main__":
    import os
    import tempfile

    kept = {}
    for part in PARTS.values():
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            os.environ |= {"REFSR_DATA": f"{folder}/nothing", "REFSR_WEIGHTS": f"{folder}/weights"}
            kept |= {found["command"]: shape(found) for found in part()}
            os.chdir(SHAPES.parent)
    SHAPES.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    sys.exit(0)
