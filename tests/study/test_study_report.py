"""The way from votes to a report: imports, exclusions, and numbers that follow from how people were made to answer."""

import csv
import io
import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from leaderboard.reading.load import read_folder
from refsr_bench.cli import main
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.pixels.images import read_image, write_png
from refsr_bench.study import exchange, votes
from refsr_bench.study import plan as plans
from refsr_bench.study.plan import Plan
from refsr_bench.study.report import summarise, write
from refsr_bench.study.report_format import read_report
from refsr_bench.study.serve import StudyServer


def careless(plan: Plan, trial: votes.Trial, n: int) -> str:
    """Always the left one."""
    return "left"


def worst(plan: Plan, trial: votes.Trial, n: int) -> str:
    """Right about checks, else the coarser image."""
    order = ["sharp", "coarse", "middle", "fine", "blurred"]
    item = plan.by_id[trial.item]
    return "left" if order.index(trial.left) < order.index(item.other(trial.left)) else "right"


def test_people_who_agree(make_study: Callable[..., Path], take_part: Callable[..., str]) -> None:
    folder = make_study(focus="fine", attention=0.3, repeats=0.2)
    for n in range(6):
        take_part(folder, f"P{n}")
    report = summarise(folder)
    assert (report.people, report.images, report.votes) == (6, 6, 72)
    assert [(row.a, row.b, row.share, row.shown) for row in report.preferences] == [
        ("fine", "middle", 1.0, "wilson"),
        ("fine", "coarse", 1.0, "wilson"),
    ]
    assert report.preferences[0].wilson == pytest.approx([0.90359, 1], abs=1e-5)  # 36 of 36: 1/(1 + z^2/36)
    assert report.ranking.prior and report.ranking.methods[0].method == "fine"
    assert report.agreement.same == 1 == report.agreement.alpha
    assert report.agreement.repeats == report.agreement.repeats_same == 12
    assert report.exclusion.excluded == () and report.checks.asked == report.checks.right == 24
    assert report.median_seconds == pytest.approx(1.5085)
    assert abs(report.left_share - 0.5) < 0.05


def test_careless_people_do_not_count(make_study: Callable[..., Path], take_part: Callable[..., str]) -> None:
    folder = make_study(attention=0.3)
    take_part(folder, "GOOD")
    before = summarise(folder)
    take_part(folder, "BAD", careless)
    take_part(folder, "SHORT", worst, 1)
    after = summarise(folder)
    assert after.preferences == before.preferences and after.people == 1
    rows = {row.person: row for row in after.exclusion.excluded}
    assert rows[2].asked == 5 and rows[2].right in (2, 3) and rows[2].votes == 18
    assert (rows[3].asked, rows[3].right) == (0, 0)
    assert "at least 75 %" in after.exclusion.rule
    assert summarise(folder, keep_unchecked=True).people == 2


def test_intervals_and_ranking_of_mixed_votes(make_study: Callable[..., Path], take_part: Callable[..., str]) -> None:
    folder = make_study(attention=0.2, repeats=0.2)
    rng = random.Random(3)
    best = take_part.__globals__["best"]

    def mostly(plan: Plan, trial: votes.Trial, n: int) -> str:
        right = best(plan, trial, n)
        return right if trial.kind == "check" or rng.random() < 0.75 else {"left": "right", "right": "left"}[right]

    for n in range(8):
        take_part(folder, f"P{n}", mostly)
    report = summarise(folder)
    votes_by_hand = list(csv.DictReader(io.StringIO(exchange.votes_csv(
        plans.read(folder), votes.people(votes.journal(folder).read())))))  # fmt: skip
    for row in report.preferences:
        own = [v for v in votes_by_hand if v["kind"] == "pair" and {v["left"], v["right"]} == {row.a, row.b}]
        assert row.wins == sum(v["preferred"] == row.a for v in own) and row.wins + row.losses == len(own)
        low, high = row.bootstrap
        assert row.shown == "bootstrap" and low < row.share < high
    ranks = {row.method: row for row in report.ranking.methods}
    assert [row.method for row in report.ranking.methods] == ["fine", "middle", "coarse"]
    assert all(row.low < row.ability < row.high for row in ranks.values())
    assert report.ranking.interval == "bootstrap" and not report.ranking.prior
    assert 0.4 < report.agreement.same < 0.9
    assert summarise(folder) == report, "the same every time"


def test_ties_are_half_a_vote(make_study: Callable[..., Path], take_part: Callable[..., str]) -> None:
    folder = make_study(methods=("fine", "middle"), ties=True, attention=0)
    take_part(folder, "A", lambda plan, trial, n: "tie")
    report = summarise(folder)
    row = report.preferences[0]
    assert (row.wins, row.losses, row.ties, row.share) == (0, 0, 6, 0.5)
    assert [entry.ability for entry in report.ranking.methods] == [0, 0]
    assert "no attention checks" in report.exclusion.rule


def test_too_little_is_said(make_study: Callable[..., Path], take_part: Callable[..., str]) -> None:
    folder = make_study(attention=0.3)
    with pytest.raises(Misuse, match="nobody has chosen"):
        summarise(folder)
    take_part(folder, "BAD", careless)
    with pytest.raises(BenchError, match="all 1 participants are excluded"):
        summarise(folder)


def test_studies_of_earlier_releases_go_on(tmp_path: Path) -> None:
    """``version_1`` was written before formats were structs, with a whole number where a share may stand."""
    old = Path(__file__).parent / "version_1"
    plan, lines = plans.read(old), votes.journal(old).read()
    assert plan.title == "Old: Übung\u2028" and {line.plan for line in lines} == {plan.digest}
    plans.write(tmp_path, plan)
    votes.journal(tmp_path).extend(lambda _: lines)
    written = {"plan.json", "votes.jsonl", *(path.name for path in write(tmp_path, summarise(tmp_path), tmp_path))}
    assert written == {"plan.json", "votes.jsonl", "study.json", "votes.csv"}
    for path in old.iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes(), path.name


def test_a_plan_that_was_replaced_is_noticed(make_study: Callable[..., Path], take_part: Callable[..., str]) -> None:
    here, other = make_study("A"), make_study("B", seed=5, limit=3)
    take_part(here, "X")
    shutil.copy(other / "plan.json", here)
    for look in (summarise, votes.read, StudyServer):
        with pytest.raises(BenchError, match=r"a vote of X is about another plan\. Was plan\.json replaced"):
            look(here)


# ---- votes from elsewhere


def test_votes_of_two_machines_come_together(make_study: Callable[..., Path], take_part: Callable[..., str]) -> None:
    here = make_study()
    there = here.with_name("copy")
    take_part(here, "FIRST", most=4)
    shutil.copytree(here, there)
    take_part(here, "HERE")
    take_part(there, "THERE", most=6)
    done = exchange.bring(here, there / "votes.jsonl")
    assert (done.votes, done.known, done.conflicts) == (6, 5, 0)
    size = (here / "votes.jsonl").stat().st_size
    again = exchange.bring(here, there / "votes.jsonl")
    assert (again.votes, again.known) == (0, 12) and (here / "votes.jsonl").stat().st_size == size
    people = votes.people(votes.journal(here).read())
    assert {code: len(person.votes) for code, person in people.items()} == {"FIRST": 4, "HERE": 21, "THERE": 6}


def test_who_answered_in_two_places_keeps_what_is_here(
    make_study: Callable[..., Path], take_part: Callable[..., str]
) -> None:
    here = make_study()
    there = here.with_name("copy")
    shutil.copytree(here, there)
    take_part(here, "ONE", most=3)
    take_part(there, "ONE", worst, 5)
    first = votes.people(votes.journal(here).read())["ONE"].votes
    done = exchange.bring(here, there / "votes.jsonl")
    assert done.votes == 0 and done.conflicts > 0
    assert votes.people(votes.journal(here).read())["ONE"].votes == first


def test_votes_of_another_study_are_refused(make_study: Callable[..., Path], take_part: Callable[..., str]) -> None:
    here, other = make_study("A"), make_study("B", seed=5)
    take_part(other, "X")
    with pytest.raises(Misuse, match="a vote of another study"):
        exchange.bring(here, other / "votes.jsonl")
    plan = plans.read(here).digest
    forged = (other / "votes.jsonl").read_text().replace(plans.read(other).digest, plan).replace("p0000", "p9999")
    (other / "votes.jsonl").write_text(forged)
    with pytest.raises(BenchError, match="not in the plan"):
        exchange.bring(here, other / "votes.jsonl")
    assert not (here / "votes.jsonl").exists()


def test_a_vote_that_was_never_asked_is_refused(make_study: Callable[..., Path], take_part: Callable[..., str]) -> None:
    here = make_study()
    there = here.with_name("copy")
    shutil.copytree(here, there)
    take_part(there, "X", most=2)
    text = (there / "votes.jsonl").read_text().splitlines()
    for forged, reason in (
        (text[1:], "never joined"),
        ([text[0], text[2].replace('"trial": 1', '"trial": 0')], "not about what this participant was shown"),
        ([text[0], text[1].replace('"choice": "', '"choice": "no')], "line 2: choice: "),
        ([text[0], text[1].replace('"vote"', '"undo"')], "line 2: action undo with kind 'pair' and choice"),
        ([text[0], text[1].replace('"X"', '"../X"')], "line 2: participant: expected str matching"),
        ([text[0], text[1].replace('"milliseconds": 1500', '"milliseconds": NaN')], "line 2: not JSON .NaN"),
        ([text[0], text[1].replace('"trials": []', '"trials": ' + "[" * 30 + "]" * 30)], "nested too deeply"),
        ([text[0], text[1].replace('"trial": 0', '"trial": 0, "trial": 1')], "'trial' is there twice"),
    ):
        (there / "votes.jsonl").write_text("\n".join(forged) + "\n")
        with pytest.raises(BenchError, match=reason):
            exchange.bring(here, there / "votes.jsonl")


def test_a_crowd_platforms_csv(make_study: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_study(methods=("fine", "coarse"), attention=0.2)
    plan = plans.read(folder)
    tasks = list(csv.DictReader(io.StringIO(exchange.tasks_csv(plan))))
    assert len(tasks) == 2 * (6 + 6)
    assert {task["left"] for task in tasks} <= {path.name for path in (folder / "images").iterdir()}
    assert "fine" not in exchange.tasks_csv(plan)
    better = {item.a_file for item in plan.items}
    rows = ["WorkerName,participant,left,right,choice,milliseconds"]
    once = [task for task in tasks if task["left"] in better]
    for worker, own in (("worker@example.org", once), ("w2", tasks)):
        for task in own:
            choice = "left" if task["left"] in better else "right"
            rows.append(f"x,{worker},https://cdn.example/{task['left']},{task['right']},{choice},900")
    path = tmp_path / "answers.csv"
    path.write_text("\n".join(rows[:-3]) + "\n")
    first = exchange.bring(folder, path)
    path.write_text("\n".join(rows) + "\n")
    second = exchange.bring(folder, path)
    assert (first.votes, second.votes, second.known) == (33, 3, 33)
    assert exchange.bring(folder, path).votes == 0
    assert "worker" not in (folder / "votes.jsonl").read_text()
    report = summarise(folder)
    assert report.preferences[0].share == 1 and report.agreement.repeats == 6, "asked both ways"
    for wrong, message in (
        ("participant,left,right\n", "column 'choice' is missing"),
        ("participant,left,right,choice\nA,x.png,y.png,left\n", "no comparison of this study"),
        (f"participant,left,right,choice\nA,{tasks[0]['left']},{tasks[0]['right']},both\n", "choice is 'both'"),
        (f"participant,left,right,choice\nA,{tasks[0]['left']},{tasks[0]['right']},tie\n", "choice is 'tie'"),
        (f"participant,left,right,choice\n{'A' * 200_000},x.png,y.png,left\n", "not CSV"),
        (f"{rows[0]}\nx,A,{tasks[0]['left']},{tasks[0]['right']},left,{'9' * 5000}\n", "not a whole number"),
    ):
        path.write_text(wrong)
        with pytest.raises(BenchError, match=message):
            exchange.bring(folder, path)
    path.write_bytes(b"participant,left,right,choice\nA,\xff")
    with pytest.raises(BenchError, match="not UTF-8"):
        exchange.bring(folder, path)
    path.write_text("\ufeff" + "\n".join(rows) + "\n", encoding="utf-8")
    assert exchange.bring(folder, path).known == 36, "spreadsheets write a byte order mark"
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(BenchError, match="not a regular file"):
        exchange.bring(folder, path)


# ---- the command line


def test_the_commands(
    folders: dict[str, Path], tmp_path: Path, take_part: Callable[..., str], photo: Callable[..., np.ndarray]
) -> None:
    study, out = tmp_path / "my-study", tmp_path / "results"
    options = [f"--images={name}={folders[name]}" for name in ("fine", "middle", "coarse")]

    def run(*words: object, code: int = 0) -> str:
        result = CliRunner().invoke(main, ["study", *map(str, words)])
        assert result.exit_code == code, result.output
        return result.output

    assert "18 comparisons of 3 methods" in run("init", study, *options, "--hr-images", folders["hr"], "--ties")
    assert "exists already" in run("init", study, *options, code=2)
    assert "nobody has chosen" in run("report", study, "--results", out, code=2)
    take_part(study, "A")
    text = run("report", study, "--results", out)
    assert "fine preferred over middle in 100.0% [61.0%, 100.0%] of 6 votes (wilson)" in text
    found = sorted(path.name for path in (out / "studies/my-study").iterdir())
    assert found == ["preferences.csv", "preferences.svg", "study.json", "votes.csv"]
    bytes_ = [path.read_bytes() for path in sorted((out / "studies/my-study").iterdir())]
    run("report", study, "--results", out)
    assert bytes_ == [path.read_bytes() for path in sorted((out / "studies/my-study").iterdir())]
    results = read_folder(out)
    assert [report.votes for report in results.studies] == [18] and results.problems == ()
    assert run("export", study).count("\n") == 1 + len(plans.read(study).pairs) + 2 + 1
    assert run("export", study, "--tasks").startswith("task,left,right,reference")
    assert "no such file" in run("import", study, tmp_path / "none.jsonl", code=2)
    assert "0 new votes, 22 known lines" in run("import", study, study / "votes.jsonl")
    assert "--methods needs --dataset" in run("init", tmp_path / "x", "--methods", "a,b", code=2)
    assert "Say where to" in run("report", study, code=2)
    write_png(tmp_path / "odd" / "img0.png", photo(8, 8))
    assert "no image in common" in run("init", tmp_path / "y", options[0], f"--images=o={_renamed(tmp_path)}", code=2)


def _renamed(tmp_path: Path) -> Path:
    (tmp_path / "odd" / "img0.png").rename(tmp_path / "odd" / "other.png")
    return tmp_path / "odd"


def test_a_study_of_real_runs(tmp_path: Path) -> None:
    """Result folders with saved images: HR for the checks and references come from the data set, by the protocol."""
    words = ["run", "--method", "bicubic", "--dataset", "sample", "--protocol", "c2", "--limit", "2", "--save-images"]
    done = CliRunner().invoke(main, [*words, "--out", str(tmp_path / "r")])
    assert done.exit_code == 0, done.output
    place = tmp_path / "r/c2/sample"
    shutil.copytree(place / "bicubic", place / "darker")
    for path in (place / "darker/images").glob("*.png"):
        write_png(path, read_image(path) // 2)
    options = ["--methods", "bicubic,darker", "--dataset", "sample", "--results", str(tmp_path / "r")]
    made = CliRunner().invoke(
        main, ["study", "init", str(tmp_path / "S"), *options, "--reference", "ref", "--crop", "96"]
    )
    assert made.exit_code == 0, made.output
    plan = plans.read(tmp_path / "S")
    assert plan.checks_from == "HR images" and plan.dataset == "sample" and plan.protocol == "c2"
    assert len(plan.pairs) == 2 and all(item.reference_file for item in plan.items)
    run = json.loads((place / "bicubic/run.json").read_text())
    assert plan.protocol_digest == run["protocol"]["digest"]
    shutil.rmtree(place / "darker/images")
    made = CliRunner().invoke(main, ["study", "init", str(tmp_path / "T"), *options])
    assert made.exit_code == 2 and "--save-images" in made.output


def test_a_csv_has_a_bound_of_rows(make_study: Callable[..., Path], tmp_path: Path, monkeypatch: Any) -> None:
    folder = make_study()
    item = plans.read(folder).pairs[0]
    row = f"x,{item.a_file},{item.b_file},left\n"
    (tmp_path / "votes.csv").write_text(f"{','.join(exchange.COLUMNS)}\n{row * 4}")
    monkeypatch.setattr(exchange, "MOST_ROWS", 3)
    with pytest.raises(BenchError, match=r"votes\.csv: more than 3 rows"):
        exchange.bring(folder, tmp_path / "votes.csv")
    assert votes.journal(folder).read() == []


def test_a_study_that_is_a_link_to_itself_is_none(tmp_path: Path) -> None:
    (tmp_path / "S").symlink_to("S")
    outcome = CliRunner().invoke(main, ["study", "report", str(tmp_path / "S"), "--results", str(tmp_path / "results")])
    assert outcome.exit_code == 2 and "is no study" in outcome.output


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")
def test_a_report_that_is_no_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "study.json")
    (tmp_path / "zero").symlink_to("/dev/zero")
    for name in ("study.json", "zero"):
        with pytest.raises(BenchError, match=name):
            read_report(tmp_path / name)
