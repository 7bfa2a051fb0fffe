"""Every version of a method, matcher, metric and protocol gives the outputs that were recorded for it.

A run's identity holds these versions. If code gives other outputs under an old version, numbers of the old code would
be shown for the new code; so a change that fails here needs a raised version on its card, and then

    python tests/evaluation/test_versions.py      records the outputs of versions that are not in versions.json yet
"""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from refsr_bench.core import catalogue
from refsr_bench.core.errors import BenchError
from refsr_bench.data.opening import open_dataset
from refsr_bench.learning.weights import SYNTHETIC

RECORDED = Path(__file__).with_name("versions.json")
SCALE = 4
SAMPLES = 60  # numbers that are recorded of one output
PIXEL = 2  # grey levels; other processors round convolutions otherwise, and SR is rounded once more


@cache
def photos() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """HR, LR and Ref, cut small from the sample set."""
    pair = open_dataset("sample").pairs[0]
    hr = np.ascontiguousarray(pair.hr.load()[40:104, 60:140])
    ref = np.ascontiguousarray(pair.refs[0].load()[30:110, 50:146])
    lr = np.asarray(Image.fromarray(hr).resize((20, 16), Image.Resampling.BICUBIC))
    return hr, lr, ref


def method(name: str) -> np.ndarray:
    card = catalogue.get("METHODS", name)
    _, lr, ref = photos()
    loaded = card.load(SYNTHETIC if card.system else None, "cpu")
    return loaded.predict(lr, [ref] if card.references != "none" else [], SCALE).sr


def matcher(name: str) -> np.ndarray:
    card = catalogue.get("MATCHERS", name)
    hr, lr, _ = photos()
    big = open_dataset("sample").pairs[0]
    hr, ref = big.hr.load()[:160, :160], big.refs[0].load()[:200, :200]
    lr = np.asarray(Image.fromarray(hr).resize((40, 40), Image.Resampling.BICUBIC))
    loaded = card.load(None, "cpu")
    found = loaded.match(np.ascontiguousarray(hr) if loaded.oracle else lr, ref, 1 if loaded.oracle else SCALE)
    return np.asarray(found.targets)


def metric(name: str) -> np.ndarray:
    hr, lr, _ = photos()
    sr = np.asarray(Image.fromarray(lr).resize((80, 64), Image.Resampling.BICUBIC))
    compute = catalogue.get("METRICS", name).load("cpu", None)
    return np.array([compute(sr, hr, border, rounded) for border in (0, 4) for rounded in (False, True)])


def protocol(name: str) -> np.ndarray:
    found = catalogue.get("PROTOCOLS", name)
    sample = found.prepare(open_dataset("sample").pairs[0], "sample")
    pixels = [sample.hr, sample.lr, *sample.refs]
    return np.concatenate([np.array(sample.crop), *(sampled(image.astype(np.float64)) for image in pixels)])


MAKERS = {"METHODS": method, "MATCHERS": matcher, "METRICS": metric, "PROTOCOLS": protocol}
# the user's own code, and those whose weights do not come with us
LEFT_OUT = ("external", "teacher", "vgg", *(name for name, card in catalogue.collect("METRICS").items() if card.file))
OPTIONAL = ("akaze", "aliked", "disk", "xfeat")  # matchers that need more than comes with us; run where that is there
CARDS = [(kind, name) for kind in MAKERS for name in catalogue.collect(kind) if name not in LEFT_OUT]


def sampled(values: np.ndarray) -> np.ndarray:
    flat = np.ravel(values)
    return flat[np.linspace(0, flat.size - 1, min(SAMPLES, flat.size)).astype(int)].astype(np.float64)


def missing(kind: str, name: str) -> str:
    """What a matcher needs and does not find here, in its own words; empty if nothing."""
    try:
        if kind == "MATCHERS" and name in OPTIONAL:
            catalogue.get(kind, name).load(None, "cpu")
    except BenchError as error:
        return str(error)
    return ""


def output(kind: str, name: str) -> list[float]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return [round(float(value), 6) for value in sampled(MAKERS[kind](name))]
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("kind, name", CARDS)
def test_a_version_gives_what_was_recorded_for_it(kind: str, name: str) -> None:
    version = str(catalogue.get(kind, name).version)
    recorded = json.loads(RECORDED.read_text())[kind][name]
    if lack := missing(kind, name):
        pytest.skip(lack)
    assert version == max(recorded, key=int), "record the new version: python tests/evaluation/test_versions.py"
    found, expected = np.array(output(kind, name)), np.array(recorded[version])
    tolerance = PIXEL if kind in ("METHODS", "PROTOCOLS") else 1e-3 if kind == "METRICS" else 0.5
    assert found.shape == expected.shape
    # a single match may jump where two references' patches are equally good; behaviour that changed moves many
    far = np.abs(found - expected) > tolerance
    assert far.mean() <= (0.05 if kind in ("METHODS", "MATCHERS") else 0), "raise the card's version"


def test_changed_behaviour_is_noticed(monkeypatch) -> None:
    recorded = json.loads(RECORDED.read_text())["METHODS"]["bicubic"]
    monkeypatch.setattr("baselines.bicubic.resize_pil_bicubic", lambda lr, *size: np.zeros((*size, 3), np.uint8))
    assert np.abs(np.array(output("METHODS", "bicubic")) - recorded["1"]).mean() > PIXEL


if __name__ == "__main__":
    known = json.loads(RECORDED.read_text()) if RECORDED.exists() else {}
    for kind, name in CARDS:
        versions = known.setdefault(kind, {}).setdefault(name, {})
        version = str(catalogue.get(kind, name).version)
        if version not in versions and not missing(kind, name):
            versions[version] = output(kind, name)
    RECORDED.write_text(json.dumps(known, sort_keys=True) + "\n")
