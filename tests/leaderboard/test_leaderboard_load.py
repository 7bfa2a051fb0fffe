"""Some run files are taken, others are left out with a reason."""

import json
import math
import os

import pytest
from msgspec import structs
from runs import make, store

from leaderboard.reading import load
from leaderboard.reading.load import RUN_FILE, find_files, read_folder
from leaderboard.statistics.robustness import unrelated
from refsr_bench.core.errors import BenchError
from refsr_bench.core.files import MOST_BYTES
from refsr_bench.core.schema import Variation


def edit(path, change):
    """Rewrite a run file as somebody's editor would."""
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


def test_finds_run_files_at_any_depth_in_the_order_of_their_paths(tmp_path):
    for folder in ("b/x", "a/y/z", "a"):
        store(tmp_path / folder, make(folder))
    (tmp_path / "a" / "run.json").write_text("{}")
    found = [path.relative_to(tmp_path).as_posix() for path in find_files(tmp_path, [RUN_FILE])]
    assert found == ["a/result.json", "a/y/z/result.json", "b/x/result.json"]
    results = read_folder(tmp_path)
    runs, problems = results.benchmarks(), results.problems
    assert [run.path for run in runs] == found and not problems
    assert runs[0].result == make("a")


def test_an_empty_or_absent_folder_is_said_so(tmp_path):
    with pytest.raises(BenchError, match=r"no result\.json below"):
        read_folder(tmp_path).benchmarks()
    with pytest.raises(BenchError, match="no such folder"):
        read_folder(tmp_path / "absent")


def test_runs_whose_references_were_made_from_the_ground_truth_are_not_ranked(tmp_path):
    store(tmp_path / "a", make("a", kind="robustness"))
    with pytest.raises(BenchError, match="only robustness runs"):
        read_folder(tmp_path).benchmarks()
    store(tmp_path / "b", make("b"))
    results = read_folder(tmp_path)
    runs, problems = results.benchmarks(), results.problems
    assert [run.path for run in runs] == ["b/result.json"] and not problems


def test_runs_with_an_unrelated_reference_are_found_among_others(tmp_path):
    """The reference gain is taken from PSNR by image, whatever else lies there."""
    beside, turned = Variation("cufed5", "unrelated", "unrelated"), Variation("cufed5", "rotation", "20")
    store(tmp_path / "a", make("a"))
    store(tmp_path / "b", make("a", psnr=(20.0, 21.0, 22.0), kind="robustness", variation=beside))
    store(tmp_path / "c", make("a", kind="robustness", variation=turned))
    store(tmp_path / "e", make("a", dataset="other", variation=beside))  # a benchmark of somebody's own making
    edit(store(tmp_path / "d", make("a", kind="robustness", variation=beside)), lambda v: v.pop("means"))
    results = read_folder(tmp_path)
    (found,) = unrelated(results.runs).items()
    assert found[0][1:3] == ("cufed5", "a") and found[1] == {"p0": 20.0, "p1": 21.0, "p2": 22.0}
    assert [problem.path for problem in results.problems] == ["d/result.json"]


def test_nothing_readable_is_an_error_that_names_the_first(tmp_path):
    (tmp_path / "result.json").write_text("[")
    with pytest.raises(BenchError, match=r"no readable result\.json.*not JSON"):
        read_folder(tmp_path).benchmarks()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda v: v["run"].pop("method"), "run: lacks the required field 'method'"),
        (lambda v: v["run"].update(schema_version=99), "schema_version 99"),
        (lambda v: v["run"].update(extra=1), "run: has an unknown field 'extra'"),
        (lambda v: v["run"].update(metrics=None), "run.metrics: expected array, got null"),
        (lambda v: v.update(images=7), "images: expected array, got int"),
        (lambda v: v["run"]["method"].update(year="2021"), "run.method.year: expected int, got str"),
        (lambda v: v["run"]["method"].update(title=["x"]), "run.method.title: expected str, got array"),
        (lambda v: v["run"]["method"].update(gan=1), "run.method.gan: expected bool, got int"),
        (lambda v: v["run"]["dataset"].update(n_pairs=True), "run.dataset.n_pairs: expected int, got bool"),
        (lambda v: v["run"]["metrics"][0].update(digits=10**9), "digits"),
        (lambda v: v["images"][0].update(hr_size=[1, 2, 3]), "images[0].hr_size"),
        (lambda v: v["images"][0].update(cost={"seconds": "long"}), "images[0].cost: expected float, got str"),
        (lambda v: v["images"][0]["metrics"].update(psnr_y="nan"), "images[0].metrics: 'nan' is not among the values"),
        (lambda v: v["images"].reverse(), "not those of run.pair_ids"),
        (lambda v: v["images"].append(v["images"][0]), "not those of run.pair_ids"),
        (lambda v: v["run"]["pair_ids"].append("p0"), "names a pair twice"),
        (lambda v: v["run"]["metrics"].append(v["run"]["metrics"][0]), "names a metric twice"),
        (lambda v: v["run"].update(kind="best"), "run.kind: 'best' is not among the values"),
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
    results = read_folder(tmp_path)
    runs, problems = results.benchmarks(), results.problems
    assert [run.result.run.method.name for run in runs] == ["good"]
    assert [problem.path for problem in problems] == ["bad/result.json"]
    assert reason in problems[0].reason
    assert str(tmp_path) not in problems[0].reason


def test_a_file_nested_beyond_reason_and_one_of_bytes_are_left_out(tmp_path):
    store(tmp_path / "good", make("good"))
    for name, content in (("deep", b"[" * 200_000), ("bytes", b"\xff\xfe\x00")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "result.json").write_bytes(content)
    results = read_folder(tmp_path)
    runs, problems = results.benchmarks(), results.problems
    assert len(runs) == 1
    assert [problem.path for problem in problems] == ["bytes/result.json", "deep/result.json"]


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('"luma": "bt601"', '"luma": ' + "[" * 900 + "]" * 900, "nested too deeply"),
        ('"luma": "bt601"', '"luma": ' + '{"a":' * 25 + "1" + "}" * 25, "nested too deeply"),
        ('"parameters": 1234567', '"parameters": ' + "9" * 400, "a number of 400 digits"),
        ('"parameters": 1234567', '"parameters": ' + "9" * 18, "parameters: expected int <= 1000000000000000"),
        ('"seconds": 0.5', '"seconds": 1e308', "images[0].cost: expected float <= 1000000000000000"),
        ('"seconds": 0.5', '"seconds": NaN', "NaN is no JSON number"),
        ('"psnr_y": 24.0', '"psnr_y": 1e400', "too large"),
        ('"psnr_y": 24.0', '"psnr_y": 1e300', "images[0].metrics: expected float <= 1000000000000000"),
        ('"psnr_y": 24.0', '"psnr_y": "24.0"', "images[0].metrics: '24.0' is not among the values"),
        ('"psnr_y": 24.0', '"psnr_y": true', "images[0].metrics: expected float | str, got bool"),
        ('"title": "bad"', '"title": "\\ud800"', "half of a character"),
        ('"title": "bad"', '"title": "bad", "title": "good"', "'title' is there twice"),
        ('"kind": "benchmark"', '"kind": "benchmark", "' + "k" * 5000 + '": 1', "..."),
    ],
    ids=lambda text: text[:30] if isinstance(text, str) else None,
)
def test_a_hostile_file_stops_no_other(tmp_path, old, new, reason):
    store(tmp_path / "good", make("good"))
    path = store(tmp_path / "bad", make("bad"))
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))
    results = read_folder(tmp_path)
    runs, problems = results.benchmarks(), results.problems
    assert [run.result.run.method.name for run in runs] == ["good"]
    assert [problem.path for problem in problems] == ["bad/result.json"]
    assert reason in problems[0].reason and len(problems[0].reason) <= load.MOST_WORDS


def test_what_is_no_file_or_too_large_is_not_read(tmp_path):
    store(tmp_path / "good", make("good"))
    for name in ("pipe", "device", "gone", "large"):
        (tmp_path / name).mkdir()
    os.mkfifo(tmp_path / "pipe" / "result.json")
    (tmp_path / "device" / "result.json").symlink_to("/dev/zero")
    (tmp_path / "gone" / "result.json").symlink_to("nowhere")
    with (tmp_path / "large" / "result.json").open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    results = read_folder(tmp_path)
    assert len(results.runs) == 1
    assert [(problem.path.split("/")[0], problem.reason.split(";")[0]) for problem in results.problems] == [
        ("device", "not a regular file."),
        ("gone", "cannot be read (No such file or directory)."),
        ("large", "20.0 MiB"),
        ("pipe", "not a regular file."),
    ]


def test_a_folder_whose_name_is_no_text_is_read_under_another(tmp_path):
    path = store(tmp_path / "x", make("good"))
    odd = os.fsencode(tmp_path) + b"/\xff"
    os.mkdir(odd)
    os.rename(path, odd + b"/result.json")
    (loaded,) = read_folder(tmp_path).runs
    assert loaded.path == "?/result.json"


def test_a_folder_that_cannot_be_listed_is_an_error(tmp_path, monkeypatch):
    store(tmp_path / "good", make("good"))

    def walk(folder, onerror):
        onerror(PermissionError(13, "Permission denied", str(folder / "shut")))

    monkeypatch.setattr(load.os, "walk", walk)
    with pytest.raises(BenchError, match=r"shut: Permission denied; results in it would be left out"):
        find_files(tmp_path, [RUN_FILE])


def test_the_order_of_the_file_system_does_not_matter(tmp_path, monkeypatch):
    for name in ("c", "a", "b"):
        store(tmp_path / name, make(name))
    expected = read_folder(tmp_path)
    walk = os.walk
    monkeypatch.setattr(load.os, "walk", lambda *args, **more: reversed(list(walk(*args, **more))))
    assert read_folder(tmp_path) == expected


def test_infinite_psnr_is_a_number(tmp_path):
    store(tmp_path, make("same", psnr=[math.inf, 30, 31]))
    results = read_folder(tmp_path)
    runs, problems = results.benchmarks(), results.problems
    assert runs[0].result.means["psnr_y"] == math.inf and not problems


def test_two_files_of_one_run_are_refused_by_name(tmp_path):
    first, second = store(tmp_path / "a", make("m")), store(tmp_path / "b", make("m", psnr=[1, 2, 3]))
    with pytest.raises(BenchError) as caught:
        read_folder(tmp_path)
    assert str(first) in str(caught.value) and str(second) in str(caught.value)


def test_other_weights_data_or_protocol_make_another_run(tmp_path):
    base = make("m")
    others = [
        make("m", weights="other.pth"),
        make("m", manifest="another"),
        make("m", official=False),
        make("m", protocol="srntt"),
        structs.replace(make("n"), finished="2025-01-02T00:00:00Z"),
    ]
    for number, result in enumerate([base, *others]):
        store(tmp_path / str(number), result)
    results = read_folder(tmp_path)
    runs, problems = results.benchmarks(), results.problems
    assert len(runs) == len(others) + 1 and not problems
