"""Which run files are taken, which are left out and why."""

import dataclasses
import json
import math

import pytest
from runs import make, store

from leaderboard.load import find_results, load_results
from refsr_bench.results import ResultError


def edit(path, change):
    """Rewrite a run file as somebody's editor would."""
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


def test_finds_run_files_at_any_depth_in_the_order_of_their_paths(tmp_path):
    for folder in ("b/x", "a/y/z", "a"):
        store(tmp_path / folder, make(folder))
    (tmp_path / "a" / "run.json").write_text("{}")
    found = [path.relative_to(tmp_path).as_posix() for path in find_results(tmp_path)]
    assert found == ["a/result.json", "a/y/z/result.json", "b/x/result.json"]
    runs, problems = load_results(tmp_path)
    assert [run.path for run in runs] == found and not problems
    assert runs[0].result == make("a")


def test_an_empty_or_absent_folder_is_said_so(tmp_path):
    with pytest.raises(ResultError, match=r"no result\.json below"):
        load_results(tmp_path)
    with pytest.raises(ResultError, match="no such folder"):
        load_results(tmp_path / "absent")


def test_runs_whose_references_were_made_from_the_ground_truth_are_not_ranked(tmp_path):
    store(tmp_path / "a", make("a", kind="robustness"))
    with pytest.raises(ResultError, match="only robustness runs"):
        load_results(tmp_path)
    store(tmp_path / "b", make("b"))
    runs, problems = load_results(tmp_path)
    assert [run.path for run in runs] == ["b/result.json"] and not problems


def test_nothing_readable_is_an_error_that_names_the_first(tmp_path):
    (tmp_path / "result.json").write_text("[")
    with pytest.raises(ResultError, match=r"no readable result\.json.*not JSON"):
        load_results(tmp_path)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda v: v["run"].pop("method"), "'method' is missing"),
        (lambda v: v["run"].update(schema_version=99), "schema_version 99"),
        (lambda v: v["run"].update(extra=1), "unknown field 'extra'"),
        (lambda v: v["run"].update(metrics=None), "a value has the wrong type"),
        (lambda v: v.update(images=7), "a value has the wrong type"),
        (lambda v: v["run"]["method"].update(year="2021"), "run.method.year is str, not int"),
        (lambda v: v["run"]["method"].update(title=["x"]), "run.method.title is tuple, not str"),
        (lambda v: v["run"]["method"].update(gan=1), "run.method.gan is int, not bool"),
        (lambda v: v["run"]["dataset"].update(n_pairs=True), "run.dataset.n_pairs is bool, not int"),
        (lambda v: v["run"]["metrics"][0].update(digits=10**9), "digits"),
        (lambda v: v["images"][0].update(hr_size=[1, 2, 3]), "images[0].hr_size"),
        (lambda v: v["images"][0].update(cost={"seconds": "long"}), "images[0].cost.seconds is str, not float"),
        (lambda v: v["images"][0]["metrics"].update(psnr_y="nan"), "psnr_y is nan"),
        (lambda v: v["images"].reverse(), "not those of run.pair_ids"),
        (lambda v: v["images"].append(v["images"][0]), "not those of run.pair_ids"),
        (lambda v: v["run"]["pair_ids"].append("p0"), "names a pair twice"),
        (lambda v: v["run"]["dataset"].update(n_pairs=2), "3 pairs, the data set 2"),
        (lambda v: v["run"]["protocol"].update(psnr="psnr_z"), "'psnr_z' is not in run.metrics"),
        (lambda v: v["run"]["protocol"]["fields"].update(border=0), "digest is not that of run.protocol.fields"),
        (lambda v: v["means"].update(psnr_y=99.0), "mean of psnr_y is given as 99.0"),
        (lambda v: v["means"].pop("ssim_y"), "mean of ssim_y is given as None"),
    ],
)
def test_a_file_that_cannot_be_trusted_is_left_out_with_its_reason(tmp_path, change, reason):
    store(tmp_path / "good", make("good"))
    edit(store(tmp_path / "bad", make("bad")), change)
    runs, problems = load_results(tmp_path)
    assert [run.result.run.method.name for run in runs] == ["good"]
    assert [problem.path for problem in problems] == ["bad/result.json"]
    assert reason in problems[0].reason
    assert str(tmp_path) not in problems[0].reason


def test_a_file_nested_beyond_reason_and_one_of_bytes_are_left_out(tmp_path):
    store(tmp_path / "good", make("good"))
    for name, content in (("deep", b"[" * 200_000), ("bytes", b"\xff\xfe\x00")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "result.json").write_bytes(content)
    runs, problems = load_results(tmp_path)
    assert len(runs) == 1
    assert [problem.path for problem in problems] == ["bytes/result.json", "deep/result.json"]


def test_infinite_psnr_is_a_number(tmp_path):
    store(tmp_path, make("same", psnr=[math.inf, 30, 31]))
    runs, problems = load_results(tmp_path)
    assert runs[0].result.means["psnr_y"] == math.inf and not problems


def test_two_files_of_one_run_are_refused_by_name(tmp_path):
    first, second = store(tmp_path / "a", make("m")), store(tmp_path / "b", make("m", psnr=[1, 2, 3]))
    with pytest.raises(ResultError) as caught:
        load_results(tmp_path)
    assert str(first) in str(caught.value) and str(second) in str(caught.value)


def test_other_weights_data_or_protocol_make_another_run(tmp_path):
    base = make("m")
    others = [
        make("m", weights="other.pth"),
        make("m", manifest="another"),
        make("m", official=False),
        make("m", protocol="srntt"),
        dataclasses.replace(make("n"), finished="2025-01-02T00:00:00Z"),
    ]
    for number, result in enumerate([base, *others]):
        store(tmp_path / str(number), result)
    runs, problems = load_results(tmp_path)
    assert len(runs) == len(others) + 1 and not problems
