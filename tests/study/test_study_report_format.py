"""``study.json`` is read strictly: types, ranges, and whether its numbers belie each other."""

import json
from pathlib import Path
from typing import Any

import pytest

from refsr_bench.core.errors import BenchError
from refsr_bench.core.reader import dumps
from refsr_bench.study import report_format


def sound() -> dict[str, Any]:
    """A report of two methods; one participant is excluded."""
    preference = {
        "a": "ours", "b": "srntt", "wins": 82, "losses": 16, "ties": 2, "share": 0.83, "wilson": [0.744, 0.891],
        "bootstrap": [0.71, 0.92], "shown": "bootstrap",
    }  # fmt: skip
    ranked = [
        {"method": "ours", "group": 1, "rank": 1, "ability": 0.8, "low": 0.5, "high": 1.1},
        {"method": "srntt", "group": 1, "rank": 2, "ability": -0.8, "low": None, "high": None},
    ]
    return {
        "schema_version": 1, "generator": "refsr-bench study", "title": "Study", "question": "Which?",
        "plan": "ab" * 32, "focus": "ours", "reference": "hr", "ties_allowed": True, "crop": 160, "dataset": "cufed5",
        "dataset_title": "CUFED5", "dataset_sha256": "", "protocol": "c2", "protocol_digest": "cd" * 32, "notes": [],
        "methods": [{"name": n, "title": "Same", "weights": ""} for n in ("ours", "srntt")], "people": 10, "images": 12,
        "votes": 100, "ties": 2, "left_share": 0.52, "median_seconds": 3.2,
        "checks": {"made_from": "HR images", "asked": 40, "right": 38},
        "exclusion": {"rule": "Everybody.", "excluded": [{"person": 4, "asked": 4, "right": 1, "votes": 10}]},
        "preferences": [preference],
        "ranking": {"interval": "bootstrap", "prior": False, "groups": 1, "methods": ranked},
        "agreement": {"comparisons": 12, "same": 0.8, "alpha": 0.6, "repeats": 3, "repeats_same": 3},
    }  # fmt: skip


def changed(path: str, value: object) -> dict[str, Any]:
    values = sound()
    *way, last = path.split(".")
    place: Any = values
    for step in way:
        place = place[int(step)] if step.isdecimal() else place[step]
    place[last] = value
    return values


def test_a_report_comes_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "study.json"
    path.write_text(dumps(sound()))
    report = report_format.read_report(path)
    assert dumps(report) == path.read_text()
    assert (report.preferences[0].votes, report.preferences[0].interval) == (100, (0.71, 0.92))
    assert report.title_of("srntt") == "Same (srntt)", "two methods share a title"


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("schema_version", 2, "schema_version 2; this refsr-bench reads 1"),
        ("extra", 1, "unknown field"),
        ("people", "many", "people: expected int, got str"),
        ("people", True, "people: expected int, got bool"),
        ("images", -1, "images: expected int >= 0"),
        ("left_share", 1.5, "left_share: expected float <= 1"),
        ("left_share", float("nan"), "left_share: expected float >= 0"),
        ("median_seconds", -1, "median_seconds"),
        ("reference", "other", "reference: "),
        ("methods", [], "methods: expected array of length >= 1"),
        ("methods.1.name", "ours", "methods names one twice"),
        ("focus", "x", "'x' is not among the methods"),
        ("preferences", {}, "preferences: expected array"),
        ("preferences.0.a", "x", "'x' is not among the methods"),
        ("votes", 111, "votes is not the sum"),
        ("preferences.0.share", 0.99, "is not that of its votes"),
        ("preferences.0.wilson", [0.9], "wilson"),
        ("preferences.0.wilson", [0.9, 0.8], "ends before it begins"),
        ("preferences.0.bootstrap", None, "the interval shown of 'ours' over 'srntt' is not there"),
        ("preferences.0.shown", "other", "preferences[0].shown: "),
        ("ranking.methods", [1], "expected object, got int"),
        ("ranking.methods.0.ability", "inf", "ability: expected float, got str"),
        ("ranking.methods.0.ability", float("inf"), "ability: expected float <="),
        ("ranking.interval", "guess", "ranking.interval: "),
        ("checks", {"made_from": "", "asked": 1}, "checks: lacks the required field"),
    ],
)
def test_what_does_not_hold_together_is_refused(path: str, value: object, message: str) -> None:
    with pytest.raises(BenchError) as caught:
        report_format.parse_report(changed(path, value), "the report")
    assert str(caught.value).startswith("the report: ") and message in str(caught.value)


NAN = json.dumps(sound()).replace("0.52", "NaN")


@pytest.mark.parametrize("text", ["{", "[" * 100_000, NAN, " " * (2 << 20), "[]"])
def test_garbage_is_refused_in_words(tmp_path: Path, text: str) -> None:
    path = tmp_path / "study.json"
    path.write_text(text)
    with pytest.raises(BenchError, match=r"study\.json: "):
        report_format.read_report(path)
