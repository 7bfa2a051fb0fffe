"""Recorded times are those of a warm method, and say how busy the machine was."""

import dataclasses
import multiprocessing
import time
from pathlib import Path

import numpy as np

from refsr_bench.core import catalogue
from refsr_bench.core.types import Prediction
from refsr_bench.data.opening import open_dataset
from refsr_bench.evaluation.cost import measured
from refsr_bench.evaluation.loop import evaluate
from refsr_bench.evaluation.metrics import load_metrics
from refsr_bench.evaluation.plan import Plan
from refsr_bench.evaluation.predictors import method_predictor


def noted(seen: list[tuple[int, ...]]):
    """Bicubic that notes the sizes it is called with."""
    card = catalogue.get("METHODS", "bicubic")
    method = method_predictor(card, card.load(None, "cpu"), "cpu")

    def predict(pair, sample) -> Prediction:
        seen.append((*sample.lr.shape[:2], *(ref.shape[0] for ref in sample.refs)))
        return method.predict(pair, sample)

    return dataclasses.replace(method, predict=predict)


def run(predictor, root: Path, out: Path, pairs: int):
    data = open_dataset("wrsr", root)
    plan = Plan(predictor, data, catalogue.get("PROTOCOLS", "c2"), load_metrics(("psnr_y", "ssim_y"), "cpu"))
    return evaluate(dataclasses.replace(plan, pairs=data.pairs[:pairs]), out)[0]


def test_the_first_image_does_not_pay_for_the_start(wrsr, tmp_path: Path) -> None:
    seen, root = [], wrsr(3, side=192)
    run(noted(seen), root, tmp_path / "out", 2)
    assert len(seen) == 3 and seen[0] == (40, 40, 160)  # a part of the first pair, then both pairs
    run(noted(seen), root, tmp_path / "out", 2)
    assert len(seen) == 3  # nothing to measure, nothing to warm
    run(noted(seen), root, tmp_path / "out", 3)
    assert len(seen) == 5


def test_images_and_programs_are_not_predicted_twice(wrsr, tmp_path: Path) -> None:
    for origin in ("folder", "command"):
        seen = [(0,)]
        run(dataclasses.replace(noted(seen), origin=origin), wrsr(1, side=96), tmp_path / origin, 1)
        assert len(seen) == 2
        (tmp_path / "WR-SR").rename(tmp_path / f"data-{origin}")


def test_a_failing_warm_up_fails_no_pair(wrsr, tmp_path: Path) -> None:
    whole = noted([(0,)])

    def predict(pair, sample) -> Prediction:
        if sample.lr.shape[:2] == (40, 40):
            raise RuntimeError("too small")
        return whole.predict(pair, sample)

    result = run(dataclasses.replace(whole, predict=predict), wrsr(1, side=192), tmp_path / "out", 1)
    assert not result.failed and np.isfinite(result.means["psnr_y"])


def busy(seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def test_the_load_is_what_other_processes_use() -> None:
    context = multiprocessing.get_context("spawn")
    other = context.Process(target=busy, args=(60,))
    with measured("cpu") as short:
        pass
    assert "load" not in short  # shorter than the system counts
    other.start()
    time.sleep(2)
    try:
        with measured("cpu") as disturbed:
            time.sleep(1)
    finally:
        other.kill()
        other.join()
    assert disturbed["load"] > 0.4
