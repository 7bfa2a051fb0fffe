"""Study folders: nothing tells whose an image is, plans are reproducible, and everybody's share of the work is even."""

import json
import os
import random
import re
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.pixels.images import read_image, write_png
from refsr_bench.study import plan as plans
from refsr_bench.study import prepare, votes
from refsr_bench.study.schedule import schedule, tally


def test_images_are_anonymous(make_study: Callable[..., Path], folders: dict[str, Path]) -> None:
    path = folders["fine"] / "img0.png"
    Image.open(path).save(path, dpi=(300, 300), pnginfo=_text("Author", "fine"))
    folder = make_study(reference="hr")
    plan = plans.read(folder)
    files = sorted((folder / "images").iterdir())
    assert len(plan.pairs) == 6 * 3 and len(plan.checks) == 6
    assert len(files) == 6 * (3 + 1 + 1), "methods, HR, blurred HR"
    for file in files:
        assert re.fullmatch(r"[0-9a-f]{32}\.png", file.name)
        with Image.open(file) as image:
            assert image.info == {} and image.mode == "RGB"
        assert b"fine" not in file.read_bytes()
    item = next(item for item in plan.pairs if (item.image, item.a) == ("img0", "fine"))
    assert (read_image(folder / "images" / item.a_file) == read_image(path)).all()
    assert (read_image(folder / "images" / item.reference_file) == read_image(folders["hr"] / "img0.png")).all()


def _text(key: str, value: str) -> object:
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text(key, value)
    return info


def test_the_same_wish_makes_the_same_folder(make_study: Callable[..., Path]) -> None:
    one, two, other = make_study("A"), make_study("B"), make_study("C", seed=1)
    names = [sorted(path.name for path in folder.rglob("*.*")) for folder in (one, two, other)]
    assert names[0] == names[1] and (one / "plan.json").read_bytes() == (two / "plan.json").read_bytes()
    assert not {name for name in names[0] if name.endswith(".png")} & set(names[2]), "another seed, other names"
    assert plans.read(one).digest == plans.read(two).digest != plans.read(other).digest


def test_one_method_against_all_others(make_study: Callable[..., Path]) -> None:
    plan = plans.read(make_study(focus="middle"))
    assert {(item.a, item.b) for item in plan.pairs} == {("middle", "fine"), ("middle", "coarse")}


def test_the_window_is_where_the_detail_is() -> None:
    guide = np.full((60, 80, 3), 90, np.uint8)
    guide[30:40, 50:60] = np.random.default_rng(0).integers(0, 255, (10, 10, 3))
    rows, columns = prepare._window(guide, 20)
    assert rows.start <= 30 and rows.stop >= 40 and columns.start <= 50 and columns.stop >= 60
    assert (rows.stop - rows.start, columns.stop - columns.start) == (20, 20)
    assert prepare._window(guide, 0) == (slice(0, 60), slice(0, 80)) == prepare._window(guide, 99)


def test_crop_and_limit(make_study: Callable[..., Path]) -> None:
    folder = make_study(crop=32, limit=4)
    plan = plans.read(folder)
    assert {read_image(path).shape for path in (folder / "images").iterdir()} == {(32, 32, 3)}
    assert len({item.image for item in plan.pairs}) == 4 and "4 of 6 images" in plan.notes[0]


def test_what_cannot_be_compared_is_said(make_study: Callable[..., Path], folders: dict[str, Path]) -> None:
    make_study("S")
    with pytest.raises(Misuse, match="never overwritten"):
        make_study("S")
    with pytest.raises(Misuse, match="at least two"):
        make_study("T", ("fine",))
    with pytest.raises(Misuse, match="not among"):
        make_study("T", focus="best")
    with pytest.raises(Misuse, match="only 18 comparisons"):
        make_study("T", per_person=19)
    for seed in (-1, 10**20):
        with pytest.raises(Misuse, match="at most 20 digits"):
            make_study("T", seed=seed)
    with pytest.raises(Misuse, match="References are not known"):
        make_study("T", reference="ref")
    write_png(folders["fine"] / "img2.png", np.zeros((60, 64, 3), np.uint8))
    with pytest.raises(BenchError, match="img2 differ in size"):
        make_study("T")
    assert not any("T" in path.name for path in folders["fine"].parent.iterdir()), "nothing half made is left"
    (folders["fine"] / "img2.png").unlink()
    assert "counterpart" in plans.read(make_study("T")).notes[0]


def test_identical_images_are_left_out(make_study: Callable[..., Path], folders: dict[str, Path]) -> None:
    write_png(folders["fine"] / "img1.png", read_image(folders["coarse"] / "img1.png"))
    plan = plans.read(make_study())
    assert len(plan.pairs) == 17 and plan.notes == ("1 comparisons of identical images are left out",)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": 2}, "schema_version 2"),
        ({"extra": 1}, "unknown field"),
        ({"per_person": 99}, "per_person is 99, not between 1 and the number of pairs, 18"),
        ({"title": 3}, "title: expected str, got int"),
        ({"focus": "x"}, "focus is 'x', which is no method"),
        ({"attention": 1.5}, "attention: expected float <= 1"),
        ({"attention": float("nan")}, "NaN"),
        ({"pass_share": -1}, "pass_share: expected int >= 0"),
        ({"reference": "other"}, "reference: "),
        ({"notes": [[[[]]]]}, r"notes\[0\]: expected str"),
        ({"notes": "[" * 30 + "]" * 30}, "notes: expected array"),
        ({"methods": [{"name": "fine", "title": ""}] * 2}, "method 'fine' is there twice"),
        ({"items": [1]}, r"items\[0\]: expected object"),
    ],
)
def test_a_plan_changed_by_hand_is_refused(make_study: Callable[..., Path], change: dict, message: str) -> None:
    folder = make_study()
    values = json.loads((folder / "plan.json").read_text())
    (folder / "plan.json").write_text(json.dumps(values | change))
    with pytest.raises(BenchError, match=message):
        plans.read(folder)
    values["items"][0]["a_file"] = "../../secret.png"
    (folder / "plan.json").write_text(json.dumps(values))
    with pytest.raises(BenchError, match=r"items\[0\].a_file: expected str matching"):
        plans.read(folder)
    (folder / "plan.json").write_text("[" * 30 + "]" * 30)
    with pytest.raises(BenchError, match="nested too deeply"):
        plans.read(folder)
    (folder / "plan.json").unlink()
    os.mkfifo(folder / "plan.json")
    with pytest.raises(BenchError, match="not a regular file"):
        plans.read(folder)
    with pytest.raises(Misuse, match="no study"):
        plans.read(folder / "images")


# ---- who sees what


def test_everybody_sees_a_balanced_share(make_study: Callable[..., Path]) -> None:
    plan = plans.read(make_study(per_person=9, attention=0.2, repeats=0.2))
    trials = schedule(plan, "AAAA-2222", [])
    kinds = Counter(trial.kind for trial in trials)
    assert kinds == {"pair": 9, "check": 2, "repeat": 2} and len(trials) == plan.length
    pairs = [trial for trial in trials if trial.kind == "pair"]
    assert len({trial.item for trial in pairs}) == 9
    duels = Counter((plan.by_id[t.item].a, plan.by_id[t.item].b) for t in pairs)
    assert set(duels.values()) == {3}
    for duel in duels:
        left = sum(t.left == duel[0] for t in pairs if (plan.by_id[t.item].a, plan.by_id[t.item].b) == duel)
        assert left in (1, 2), "half of three"
    place = {trial.item: n for n, trial in enumerate(trials) if trial.kind == "pair"}
    for n, trial in enumerate(trials):
        if trial.kind == "repeat":
            assert n > place[trial.item] and trial.left != trials[place[trial.item]].left
    assert trials == schedule(plan, "AAAA-2222", []) != schedule(plan, "AAAA-2223", [])


@pytest.mark.parametrize("leave", [0.0, 0.4])
def test_comparisons_and_sides_are_even_whoever_leaves(
    make_study: Callable[..., Path], take_part: Callable[..., str], leave: float
) -> None:
    folder = make_study(per_person=7, repeats=0)
    plan = plans.read(folder)
    rng = random.Random(0)
    for n in range(24):
        most = rng.randrange(1, plan.length) if rng.random() < leave else None
        take_part(folder, f"P{n}", most=most)
    people = votes.people(votes.journal(folder).read())
    found = tally(plan, people.values())
    counts = [found.votes[item.id] for item in plan.pairs]
    assert max(counts) - min(counts) <= 2 and min(counts) >= 4
    cast = [vote for person in people.values() for vote in person.votes.values() if vote.kind == "pair"]
    for duel in {(item.a, item.b) for item in plan.pairs}:
        lefts = [v.left == duel[0] for v in cast if (plan.by_id[v.item].a, plan.by_id[v.item].b) == duel]
        assert abs(2 * sum(lefts) - len(lefts)) <= (1 if leave == 0 else 6), "left as often as right"
        assert abs(found.lead[duel]) <= 1, "as planned: within one"
    assert max(abs(found.lead[item.id]) for item in plan.pairs) <= 2


def test_checks_are_spread_over_the_session(make_study: Callable[..., Path]) -> None:
    plan = plans.read(make_study(attention=0.2, repeats=0))
    for n in range(20):
        trials = schedule(plan, f"C{n}", [])
        places = [m for m, trial in enumerate(trials) if trial.kind == "check"]
        thirds = [place * len(places) // len(trials) for place in places]
        assert len(places) == 4 and thirds == [0, 1, 2, 3]
        assert len({trials[place].item for place in places}) == 4
        assert sum(trials[place].left == "sharp" for place in places) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="needs names that are no UTF-8")
def test_an_image_whose_name_is_no_utf_8_is_named_and_no_study_is_made(
    make_study: Callable[..., Path], folders: dict[str, Path], tmp_path: Path
) -> None:
    for name in ("hr", "fine", "middle", "coarse"):
        (folders[name] / "img0.png").rename(folders[name] / os.fsdecode(b"\xff.png"))
    with pytest.raises(BenchError, match=r"\udcff.* no UTF-8"):
        make_study()
    assert not list(tmp_path.glob("*S*"))
