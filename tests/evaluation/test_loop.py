"""The evaluation loop: durable records, resumption, refusals."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from msgspec import structs
from PIL import Image

from refsr_bench.core import catalogue, journals
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.names import slug
from refsr_bench.core.results import read_result
from refsr_bench.core.types import Prediction
from refsr_bench.data.opening import open_dataset
from refsr_bench.evaluation import checks
from refsr_bench.evaluation.cost import measured
from refsr_bench.evaluation.loop import evaluate
from refsr_bench.evaluation.machine import resolve_device
from refsr_bench.evaluation.metrics import load_metrics
from refsr_bench.evaluation.plan import Plan, Predictor
from refsr_bench.evaluation.predictors import (
    find_predictions,
    folder_predictor,
    method_predictor,
    stacking,
)

REFSR = [sys.executable, "-c", "from refsr_bench.cli import main; main()"]


def bicubic() -> Predictor:
    card = catalogue.get("METHODS", "bicubic")
    return method_predictor(card, card.load(None, "cpu"), "cpu")


def c2():
    return catalogue.get("PROTOCOLS", "c2")


def metrics(*names: str):
    return load_metrics(names or ("psnr_y", "ssim_y"), "cpu")


def run(root: Path, out: Path, reuse: str = "missing", **facts):
    return evaluate(plan(bicubic(), open_dataset("wrsr", root), **facts), out, reuse=reuse)


def plan(predictor: Predictor, data, **facts) -> Plan:
    return Plan(predictor, data, c2(), metrics(), **facts)


def comparable(path: Path) -> bytes:
    """A run file with its dates, timings and command set aside."""
    value = json.loads(path.read_text())
    value["finished"] = value["run"]["started"] = value["run"]["command"] = ""
    for image in value["images"]:
        image["cost"] = {}
    return json.dumps(value, sort_keys=True).encode()


def test_a_killed_run_resumes_to_the_same_run_file(wrsr, tmp_path: Path) -> None:
    root = wrsr(8, side=64)
    command = [*REFSR, "run", "--method", "c2matching", "--dataset", "wrsr", "--data-root", str(root), "--out"]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    subprocess.run([*command, str(whole)], check=True, capture_output=True)
    process = subprocess.Popen(
        [*command, str(killed)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    log = killed / "c2" / "wrsr" / "c2matching" / "images.jsonl"
    while not (log.exists() and log.read_bytes().count(b"\n") >= 3):
        assert process.poll() is None, "the run ended before it could be killed"
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    before = log.read_bytes()
    recorded = before.count(b"\n")
    assert 3 <= recorded < 8
    assert not (log.parent / "result.json").exists()
    log.write_bytes(before + b'{"id": "00')  # a record torn in the middle, as a kill during a write leaves it
    subprocess.run([*command, str(killed)], check=True, capture_output=True)
    lines = log.read_bytes().splitlines(keepends=True)
    assert b"".join(lines[:recorded]) == before[: before.rfind(b"\n") + 1]  # nothing was measured twice
    assert len(lines) == 8
    assert comparable(log.with_name("result.json")) == comparable(whole / "c2/wrsr/c2matching/result.json")


def test_a_finished_run_is_left_as_it_is(wrsr, tmp_path: Path) -> None:
    root = wrsr(3)
    _, folder = run(root, tmp_path / "out")
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    run(root, tmp_path / "out")
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


def test_another_run_in_the_same_folder_is_refused_and_named(wrsr, tmp_path: Path) -> None:
    root = wrsr(3)
    _, folder = run(root, tmp_path / "out")
    before = (folder / "result.json").read_bytes()
    Image.new("RGB", (48, 48), "red").save(root / "ref" / "001_ref.png")  # the data set is another now
    with pytest.raises(Misuse, match=r"manifest_sha256 .*--reuse never"):
        run(root, tmp_path / "out")
    assert (folder / "result.json").read_bytes() == before
    run(root, tmp_path / "out", reuse="never")
    assert (folder.with_name("bicubic.replaced-1") / "result.replaced.json").read_bytes() == before


def test_a_limited_run_grows_into_a_whole_one(wrsr, tmp_path: Path) -> None:
    root = wrsr(4)
    data = open_dataset("wrsr", root)
    result, folder = run(root, tmp_path / "out", pairs=data.pairs[:2])
    assert result.sealed and not result.complete
    first = (folder / "images.jsonl").read_bytes()
    result, _ = run(root, tmp_path / "out")
    assert result.complete and (folder / "images.jsonl").read_bytes().startswith(first)
    assert comparable(folder / "result.json") == comparable(run(root, tmp_path / "other")[1] / "result.json")


def test_a_pair_that_fails_is_recorded_and_tried_again(wrsr, tmp_path: Path) -> None:
    root = wrsr(3)
    good = bicubic()
    fail = {"002"}

    def predict(pair, sample):
        if pair.id in fail:
            raise RuntimeError("out of memory")
        return good.predict(pair, sample)

    broken = dataclasses.replace(good, predict=predict)
    data = open_dataset("wrsr", root)
    result, folder = evaluate(plan(broken, data), tmp_path / "out")
    assert [record.error for record in result.images] == [None, "RuntimeError: out of memory", None]
    assert result.sealed and not result.complete
    fail.clear()
    result, _ = evaluate(plan(broken, data), tmp_path / "out")
    assert result.complete
    assert (folder / "images.jsonl").read_bytes().count(b"\n") == 4


@pytest.mark.parametrize(
    "output", [np.zeros((5, 5, 3), np.uint8), np.zeros((48, 48, 3), np.float32), None], ids=["size", "type", "nothing"]
)
def test_a_method_that_returns_nonsense_fails_its_pairs(wrsr, tmp_path: Path, output) -> None:
    broken = dataclasses.replace(bicubic(), predict=lambda pair, sample: Prediction(output))
    data = open_dataset("wrsr", wrsr(2))
    result, _ = evaluate(plan(broken, data), tmp_path / "out")
    assert len(result.failed) == 2 and not result.means


def test_a_full_disk_keeps_what_was_recorded(wrsr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = wrsr(3)
    real, calls = journals.append_lines, []

    def append(journal, data):
        calls.append(data)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        real(journal, data)

    monkeypatch.setattr(journals, "append_lines", append)
    with pytest.raises(BenchError, match="No space left on device"):
        run(root, tmp_path / "out")
    log = tmp_path / "out/c2/wrsr/bicubic/images.jsonl"
    assert log.read_bytes().count(b"\n") == 1
    assert run(root, tmp_path / "out")[0].complete


def test_a_results_folder_that_cannot_be_made(wrsr, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(Misuse, match="cannot be made"):
        run(wrsr(2), tmp_path / "file")


def test_two_runs_at_once_into_one_folder(wrsr, tmp_path: Path) -> None:
    root = wrsr(2)
    folder = tmp_path / "out/c2/wrsr/bicubic"
    code = (
        "import sys; from pathlib import Path; from refsr_bench.core.files import locked\n"
        "with locked(Path(sys.argv[1]), 'A test'): print('locked', flush=True); sys.stdin.read()"
    )
    folder.mkdir(parents=True)
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert other.stdout.readline() == "locked\n"
        with pytest.raises(BenchError, match="Another run is writing"):
            run(root, tmp_path / "out")
    finally:
        other.communicate()
    assert run(root, tmp_path / "out")[0].complete


def test_scores_from_memory_and_from_saved_files_agree(wrsr, tmp_path: Path) -> None:
    root = wrsr(3, side=50)  # 50 is no multiple of 4: the protocol cuts HR
    first, folder = run(root, tmp_path / "out", pictures="images")
    data = open_dataset("wrsr", root)
    found = find_predictions(folder / "images", c2(), data)
    theirs = folder_predictor(found, "Theirs")
    second, _ = evaluate(plan(theirs, data), tmp_path / "out")
    assert [image.metrics for image in first.images] == [image.metrics for image in second.images]
    assert [image.sr_sha256 for image in first.images] == [image.sr_sha256 for image in second.images]


def test_predictions_of_whole_hr_size_are_cut_as_hr_was(wrsr, tmp_path: Path) -> None:
    root = wrsr(1, side=50)
    data = open_dataset("wrsr", root)
    (tmp_path / "pred").mkdir()
    Image.fromarray(data.pairs[0].hr.load()).save(tmp_path / "pred" / "001.png")
    found = find_predictions(tmp_path / "pred", c2(), data)
    perfect = folder_predictor(found, "Perfect")
    result, folder = evaluate(plan(perfect, data), tmp_path / "out")
    assert result.means == {"psnr_y": np.inf, "ssim_y": pytest.approx(1)}
    assert read_result(folder / "result.json") == result


@pytest.mark.parametrize("name", ["001.png", "001_ref.png", "001_ours.png", "001-x4.bmp"])
def test_names_that_belong_to_a_pair(wrsr, tmp_path: Path, name: str) -> None:
    data = open_dataset("wrsr", wrsr(2))
    (tmp_path / "pred").mkdir()
    Image.new("RGB", (48, 48)).save(tmp_path / "pred" / name)
    assert find_predictions(tmp_path / "pred", c2(), data) == {"001": tmp_path / "pred" / name}


def test_two_files_for_one_pair_are_refused(wrsr, tmp_path: Path) -> None:
    data = open_dataset("wrsr", wrsr(2))
    (tmp_path / "pred").mkdir()
    for name in ("001_a.png", "001_b.png"):
        Image.new("RGB", (48, 48)).save(tmp_path / "pred" / name)
    with pytest.raises(BenchError, match=r"001_a\.png and 001_b\.png"):
        find_predictions(tmp_path / "pred", c2(), data)


def test_a_wrongly_sized_prediction_fails_its_pair(wrsr, tmp_path: Path) -> None:
    data = open_dataset("wrsr", wrsr(1))
    (tmp_path / "pred").mkdir()
    Image.new("RGB", (40, 40)).save(tmp_path / "pred" / "001.png")
    found = find_predictions(tmp_path / "pred", c2(), data)
    wrong = folder_predictor(found, "Wrong")
    result, _ = evaluate(plan(wrong, data), tmp_path / "out")
    assert "40x40" in result.images[0].error


def test_a_leak_is_found_in_what_the_protocol_chose(wrsr) -> None:
    root = wrsr(3)
    data = open_dataset("wrsr", root)
    assert list(checks.leaks_of(data, c2(), data.pairs)) == []
    hr = Image.open(root / "input" / "002.png")
    hr.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(root / "ref" / "002_ref.png")
    data = open_dataset("wrsr", root)
    assert [leak.pair_id for leak in checks.leaks_of(data, c2(), data.pairs)] == ["002"]
    assert list(checks.leaks_of(data, c2().changed({"refs": "lr"}), data.pairs)) == []


def test_multiply_accumulates_are_those_of_a_network_of_the_published_size(wrsr, tmp_path: Path) -> None:
    def info(parameters: int):
        card = dataclasses.replace(catalogue.get("METHODS", "bicubic"), parameters=100, gmacs=7.5)
        loaded = dataclasses.replace(card.load(None, "cpu"), parameters=parameters)
        return method_predictor(card, loaded, "cpu").info

    assert (info(100).gmacs, info(99).gmacs, bicubic().info.gmacs) == (7.5, None, None)
    root = wrsr(3)
    run(root, tmp_path / "out")
    path = next(tmp_path.rglob("run.json"))
    older = json.loads(path.read_text())
    del older["method"]["gmacs"]
    path.write_text(json.dumps(older))
    result, _ = run(root, tmp_path / "out")  # a run of before the field goes on
    assert result.complete


def test_names_become_folders() -> None:
    assert slug("c2+border=0+refs=level:5") == "c2+border=0+refs=level-5"
    assert slug("../../etc") == "etc" and slug("…") == "unnamed"
    long = [slug("x" * 300 + end) for end in "ab"]
    assert len(set(long)) == 2 and max(map(len, long)) <= 120


def test_a_list_that_does_not_fit_is_misuse_before_the_run(wrsr) -> None:
    data = open_dataset("wrsr", wrsr(2))
    with pytest.raises(Misuse, match="no fixed reference list for 'wrsr'"):
        list(checks.leaks_of(data, c2().changed({"refs": "list"}), data.pairs))


@pytest.mark.parametrize("text", ["gpu", "cuda:x", "cuda:99", ""])
def test_a_device_that_is_not_there(text: str) -> None:
    with pytest.raises(Misuse, match="--device"):
        resolve_device(text)


def test_peak_memory_is_that_of_the_block() -> None:
    with measured("cpu") as first:
        np.ones(40_000_000).sum()
    with measured("cpu") as second:
        pass
    assert first["peak_memory_mb"] - second["peak_memory_mb"] > 200


def test_which_methods_get_their_references_stacked() -> None:
    sample, everything = open_dataset("sample"), c2().changed({"refs": "all"})
    info = structs.replace(bicubic().info, references="one")
    assert checks.must_stack(info, everything, sample, sample.pairs)
    assert not checks.must_stack(info, everything.changed({"stitch": "black-500"}), sample, sample.pairs)
    assert not checks.must_stack(info, c2(), sample, sample.pairs)
    assert not checks.must_stack(structs.replace(info, references="many"), everything, sample, sample.pairs)


def test_several_references_are_stacked_as_published() -> None:
    sample = open_dataset("sample")
    pair = sample.pairs[0]
    given = []

    def upscale(lr, refs, scale):
        given.append(refs)
        return Prediction(np.zeros((lr.shape[0] * scale, lr.shape[1] * scale, 3), np.uint8))

    one = dataclasses.replace(bicubic(), predict=lambda pair, sample: upscale(sample.lr, sample.refs, sample.scale))
    protocol = c2().changed({"refs": "all"})
    ready = protocol.prepare(pair, sample.name)
    stacked = stacking(one)
    stacked.predict(pair, ready)
    ((whole,),) = given
    side = max(500, *(max(ref.shape[:2]) for ref in ready.refs))
    assert whole.shape == (len(ready.refs) * side, side, 3)
    for n, ref in enumerate(ready.refs):
        assert (whole[n * side : n * side + ref.shape[0], : ref.shape[1]] == ref).all()
    assert whole.astype(int).sum() == sum(ref.astype(int).sum() for ref in ready.refs)
    assert "stacked" in stacked.info.notes[-1]
