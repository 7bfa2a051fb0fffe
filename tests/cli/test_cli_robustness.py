"""refsr-bench robustness: the table, the files, resuming, and what cannot be measured."""

import csv
import dataclasses
import json
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from leaderboard.figures import robustness as plots
from leaderboard.figures import style
from leaderboard.statistics import robustness as runs
from leaderboard.statistics.estimates import Estimate
from leaderboard.statistics.robustness import Row
from leaderboard.tables.sweeps import tables
from refsr_bench.api.sweeping import Sweep, written
from refsr_bench.cli.grammar import Commands
from refsr_bench.cli.robustness import robustness
from refsr_bench.core import catalogue, reader, results, schema
from refsr_bench.core.cards import LoadedMatcher, LoadedMethod, MatcherCard
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.types import Correspondence, Prediction
from refsr_bench.data.opening import open_dataset
from refsr_bench.data.prepare import prepare
from refsr_bench.evaluation.predictors import matcher_predictor, method_predictor
from refsr_bench.evaluation.run_folder import results_folder
from refsr_bench.geometry.correspondences import cell_centres
from refsr_bench.geometry.drawing import draw
from refsr_bench.geometry.kinds import EDGES
from refsr_bench.geometry.transformation import pixel_grid
from refsr_bench.geometry.warping import apply
from refsr_bench.pixels.resize import resize_pil_bicubic
from refsr_bench.sweeps import levels as study
from refsr_bench.sweeps.measure import measure
from refsr_bench.sweeps.session import RobustnessStudy, plan_of

PSNR = schema.MetricInfo("psnr_y", "PSNR-Y", "higher", "dB", 2)
SSIM = schema.MetricInfo("ssim_y", "SSIM-Y", "higher", "", 4)


@click.group(cls=Commands)
def main() -> None: ...


main.add_command(robustness)


def same_place(lr, ref, scale) -> Correspondence:
    points = cell_centres(scale * lr.shape[0], scale * lr.shape[1])
    return Correspondence(points, points)


def breaks_on_square(lr, ref, scale) -> Correspondence:
    if lr.shape[0] == lr.shape[1]:
        raise RuntimeError("a square")
    return same_place(lr, ref, scale)


def card(name: str, title: str, match) -> MatcherCard:
    return MatcherCard(name, title, 2026, "none", "", lambda weights, device: LoadedMatcher(match))


CARDS = {
    "same-place": card("same-place", "the same place", same_place),
    "fragile": card("fragile", "fragile", breaks_on_square),
}


@pytest.fixture(autouse=True)
def own_matchers(tmp_path, monkeypatch) -> None:
    """Two matchers of the test's own beside those of the catalogue, as an entry-point package would add them."""
    known = catalogue.collect

    def collect(kind: str) -> dict:
        return known(kind) | (CARDS if kind == "MATCHERS" else {})

    monkeypatch.setattr(catalogue, "collect", collect)
    monkeypatch.setenv("REFSR_WEIGHTS", str(tmp_path / "weights"))


@pytest.fixture
def folder(wrsr) -> Path:
    return wrsr(3)


def run(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(main, ["robustness", *map(str, arguments)])
    assert result.exit_code == code, f"{result.output}\n{result.exception!r}"
    return result.output


def small(folder: Path, out: Path, *more: object, code: int = 0, transform: str = "rotation") -> str:
    return run("--transform", transform, "--dataset", "wrsr", "--data-root", folder, "--out", out, "--device", "cpu",
               *more, code=code)  # fmt: skip


def table(out: Path, transform: str = "rotation", dataset: str = "wrsr") -> dict[tuple[str, str], dict[str, str]]:
    with (out / "robustness" / dataset / transform / "table.csv").open(encoding="utf-8") as file:
        return {(row["method"], row["level"]): row for row in csv.DictReader(file)}


BICUBIC = ("--method", "bicubic", "--matcher", "same-place")


def test_an_exact_matcher_has_no_error_on_identity_and_more_with_the_angle(folder, tmp_path):
    text = small(folder, tmp_path, "--matchers-only", "--matcher", "same-place", "--matcher", "pixels")
    rows = table(tmp_path)
    assert float(rows["matcher-same-place", "identity"]["aee"]) == 0
    error = [float(rows["matcher-same-place", level]["aee"]) for level in ("identity", "small", "medium", "large")]
    assert error == sorted(error) and error[2] > 2
    row = rows["matcher-same-place", "medium"]
    assert float(row["aee_low"]) <= float(row["aee"]) <= float(row["aee_high"])
    assert 0 < float(row["pck1"]) <= float(row["pck10"])
    assert "psnr_y" not in row
    assert "unrelated" not in text and "Restoration" not in text and "never ranked" in text
    files = {path.name for path in (tmp_path / "robustness/wrsr/rotation").iterdir()}
    assert files == {"table.csv", "bars.svg", "bars.png"}


def test_a_method_without_correspondences_has_psnr_alone(folder, tmp_path):
    text = small(folder, tmp_path, *BICUBIC, "--levels", "small")
    rows = table(tmp_path)
    row = rows["bicubic", "small"]
    assert row["aee"] == "" and float(row["psnr_y"]) > 20 and float(row["gain"]) == 0  # it does not see its reference
    assert rows["bicubic", "unrelated"]["gain"] == ""
    line = next(line for line in text.splitlines() if line.startswith("Bicubic") and " small " in line)
    assert line.count("n/a") == 7


def test_a_method_that_uses_its_reference_gains_by_it(folder, tmp_path):
    small(folder, tmp_path, "--method", "c2matching", "--matcher", "student", "--levels", "identity")
    rows = table(tmp_path)
    own = rows["c2matching", "identity"]
    assert float(own["gain"]) == pytest.approx(
        float(own["psnr_y"]) - float(rows["c2matching", "unrelated"]["psnr_y"]), abs=1e-9
    )
    assert float(own["gain"]) > 0
    assert own["aee"] == rows["matcher-student", "identity"]["aee"]  # the method's matching is the student's


def test_the_same_numbers_again_and_after_a_kill(folder, tmp_path):
    def written(out: Path) -> dict[str, bytes]:
        target = out / "robustness/wrsr/rotation"
        return {path.name: path.read_bytes() for path in target.iterdir()}

    one, other = tmp_path / "one", tmp_path / "other"
    options = (*BICUBIC, "--levels", "small,large")
    small(folder, one, *options)
    first = written(one)
    logs = sorted(one.rglob("images.jsonl"))
    assert len(logs) == 5  # two levels of both, and the unrelated reference for the method
    for log in logs:
        lines = log.read_text().splitlines(keepends=True)
        log.write_text(lines[0] + lines[1][:20])
        (log.parent / "result.json").unlink()
    small(folder, one, *options)
    assert written(one) == first
    for log in logs:
        assert len(log.read_text().splitlines()) == 3
    small(folder, other, *options)
    assert written(other) == first


def test_records_are_of_a_kind_that_is_not_ranked(folder, tmp_path):
    small(folder, tmp_path, *BICUBIC, "--levels", "small")
    found = [results.read_result(path) for path in sorted(tmp_path.rglob("result.json"))]
    assert len(found) == 3 and {result.run.kind for result in found} == {"robustness"}
    assert all(result.sealed and not result.run.dataset.official for result in found)
    assert all("leak by construction" in " ".join(result.run.dataset.notes) for result in found)
    (matcher,) = [result for result in found if result.run.method.group == "matcher"]
    assert not matcher.run.method.ranked and "psnr_y" not in matcher.means


def test_errors_of_a_matcher_are_its_pairs(folder, tmp_path):
    text = small(folder, tmp_path, "--matchers-only", "--matcher", "fragile", "--levels", "identity", code=1)
    assert "RuntimeError: a square" in text and "2/3" in text
    (path,) = tmp_path.rglob("result.json")
    assert len(results.read_result(path).failed) == 1
    row = table(tmp_path)["matcher-fragile", "identity"]
    assert row["failed"] == "1" and row["aee"] == "0.0"


def test_a_sweep_gives_curves(folder, tmp_path):
    small(folder, tmp_path, *BICUBIC, "--levels", "1.50,0.5,1", "--limit", 2, transform="scale")
    rows = table(tmp_path, "scale")
    assert {level for _, level in rows} == {"1.5", "0.5", "1", "unrelated"}
    assert float(rows["matcher-same-place", "1"]["aee"]) == 0 and rows["bicubic", "1"]["images"] == "2"
    files = {path.name for path in (tmp_path / "robustness/wrsr/scale").iterdir()}
    assert files == {"table.csv", "curves.svg", "curves.png"}


def test_the_wide_grid_of_several_changes_in_one_command(folder, tmp_path):
    text = small(folder, tmp_path, "--transform", "rotation+scale", "--transform", "shift", "--levels", "wide,small",
                 "--limit", 1, "--method", "bicubic", "--matcher", "same-place", transform="shift")  # fmt: skip
    shifted, both = table(tmp_path, "shift"), table(tmp_path, "rotation+scale")
    assert [level for method, level in shifted if method == "bicubic"] == [
        *(f"{number:g}" for number in EDGES["shift"].wide), "small", "unrelated"
    ]  # fmt: skip
    for pixels in ("0", "0.5", "2"):  # the same place is off by the diagonal
        assert float(shifted["matcher-same-place", pixels]["aee"]) == pytest.approx(2**0.5 * float(pixels), rel=1e-4)
    assert text.count("shift of the reference") == text.count("rotation+scale of the reference") == 1
    assert float(both["matcher-same-place", "0x1"]["aee"]) == 0 < float(both["matcher-same-place", "45x1.5"]["aee"])
    for transform in ("shift", "rotation+scale"):
        files = {path.name for path in (tmp_path / "robustness/wrsr" / transform).iterdir()}
        assert files == {"table.csv", "bars.svg", "bars.png", "curves.svg", "curves.png"}
    found = [results.read_result(path).run.dataset.variation for path in tmp_path.rglob("result.json")]
    assert [change.kind for change in found].count("unrelated") == 1  # measured once for both


def test_nothing_is_measured_when_one_of_several_changes_is_wrong(folder, tmp_path):
    assert "out of range" in small(folder, tmp_path, "--transform", "scale", "--levels", "0", *BICUBIC, code=2)
    assert not list(tmp_path.rglob("result.json"))


def test_real_correspondences_of_the_stereo_pairs(tmp_path):
    text = run("--transform", "given", "--matchers-only", "--matcher", "same-place", "--out", tmp_path)
    row = table(tmp_path, "given", "sample")["matcher-same-place", "given"]
    assert row["images"] == "2" and 2 < float(row["aee"]) < 60 and "a leak" not in text


def test_a_split_on_disk_is_measured_as_it_is(folder, tmp_path):
    from refsr_bench.data.split.writing import build

    split = build(open_dataset("wrsr", folder), "rotation", ["identity", "medium"], tmp_path / "split")
    options = ("--method", "bicubic", "--matcher", "same-place", "--out", tmp_path / "out")
    run("--transform", "given", "--dataset", "transform", "--data-root", split, *options)
    small(folder, tmp_path / "out", *BICUBIC, "--levels", "identity,medium")
    here, there = table(tmp_path / "out", "given", "transform"), table(tmp_path / "out")
    assert here.keys() == there.keys()
    for key in here:
        assert here[key]["aee"] == there[key]["aee"] and here[key]["psnr_y"] == there[key]["psnr_y"]


def test_photos_with_a_homography(photo, tmp_path):
    """Two scenes, the second photo of each cut eight pixels further left and four higher."""
    for n in range(2):
        whole = photo(100, 136, n + 3)
        Image.fromarray(whole[4:, 8:]).save(tmp_path / f"s{n}_1.png")
        Image.fromarray(whole[:96, :128]).save(tmp_path / f"s{n}_2.png")
        (tmp_path / f"s{n}.txt").write_text("1 0 8\n0 1 4\n0 0 1\n")
    options = ("--matcher", "student", "--matcher", "same-place", "--matchers-only", "--out", tmp_path / "out")
    run("--transform", "given", "--dataset", "hpatches", "--data-root", tmp_path, *options)
    rows = table(tmp_path / "out", "given", "hpatches")
    assert float(rows["matcher-same-place", "given"]["aee"]) == pytest.approx(80**0.5, rel=1e-5)
    assert float(rows["matcher-student", "given"]["aee_median"]) == 0


def hpatches(folder: Path, photo) -> dict[str, np.ndarray]:
    """Sequences in HPatches' own form: 1.ppm to 3.ppm, H_1_2 and H_1_3. Returns the matrices by pair id."""
    drawn = {}
    for n, (name, changes) in enumerate({
        "i_lamp": (("perspective", "identity"), ("perspective", "identity")),
        "v_wall": (("rotation+scale", "small"), ("perspective", "medium")),
    }.items()):  # fmt: skip
        (folder / name).mkdir(parents=True)
        hr = photo(122, 163, 1 - n)
        Image.fromarray(hr).save(folder / name / "1.ppm")
        for k, (kind, level) in enumerate(changes, 2):
            made = draw(kind, level, name, hr.shape[:2])
            light = 0.7 if name.startswith("i_") else 1
            Image.fromarray((light * apply(hr, made)).astype(np.uint8)).save(folder / name / f"{k}.ppm")
            lines = [" ".join(f"{value:.12g}" for value in row) for row in made.matrix]
            (folder / name / f"H_1_{k}").write_text(" \n".join(lines) + " \n")
            drawn[f"{name}_1_{k}"] = np.asarray(made.matrix)
    return drawn


def test_methods_and_matchers_on_hpatches_as_it_is_published(photo, tmp_path):
    matrices = hpatches(tmp_path / "raw", photo)
    prepare("hpatches", tmp_path / "raw", tmp_path / "root")
    run("--transform", "given", "--dataset", "hpatches", "--data-root", tmp_path / "root", "--method", "c2matching",
        "--matcher", "sift", "--matcher", "same-place", "--device", "cpu", "--out", tmp_path / "out")  # fmt: skip
    rows = table(tmp_path / "out", "given", "hpatches")
    assert {row["images"] for row in rows.values()} == {"4"}
    own, unrelated = rows["c2matching", "given"], rows["c2matching", "unrelated"]
    assert float(own["psnr_y"]) > float(unrelated["psnr_y"]) and float(own["gain"]) > 0 and unrelated["aee"] == ""
    assert float(rows["matcher-sift", "given"]["aee"]) < 1.5
    truth = []  # where every cell really lies, by the published matrices alone
    for pair_id, matrix in matrices.items():
        height, width = 120, 160  # cut to a multiple of 4
        x, y = cell_centres(height, width).T.astype(float)
        u, v, w = matrix @ (x, y, np.ones_like(x))
        u, v = u / w, v / w
        ref = Image.open(tmp_path / "raw" / pair_id[: -len("_1_2")] / f"{pair_id[-1]}.ppm")
        shown = (u >= -0.5) & (u < ref.width - 0.5) & (v >= -0.5) & (v < ref.height - 0.5)
        truth.append(np.hypot(u - x, v - y)[shown].mean())
    assert float(rows["matcher-same-place", "given"]["aee"]) == pytest.approx(np.mean(truth), rel=1e-4)
    assert min(truth) == 0 < max(truth)
    assert (tmp_path / "out/robustness/hpatches/given/bars.svg").is_file()


def pasted(pair, sample) -> Prediction:
    """The reference as it lies, over bicubic: a method that trusts every reference."""
    height, width = sample.hr.shape[:2]
    sr = resize_pil_bicubic(sample.lr, height, width).copy()
    ref = sample.refs[0][:height, :width]
    sr[: ref.shape[0], : ref.shape[1]] = (sr[: ref.shape[0], : ref.shape[1]].astype(int) + ref) // 2
    return Prediction(sr)


def pasted_by_the_truth(pair, sample) -> Prediction:
    """The same with the reference warped back: what lies where, by the nearest pixel."""
    truth, grid = pair.truth(), pixel_grid(sample.hr.shape[:2])
    u, v = np.moveaxis(np.rint(truth.targets(grid)).astype(int), -1, 0)
    ref = sample.refs[0][v.clip(0, sample.refs[0].shape[0] - 1), u.clip(0, sample.refs[0].shape[1] - 1)]
    seen = truth.valid(grid.reshape(-1, 2)).reshape(ref.shape[:2])
    sr = resize_pil_bicubic(sample.lr, *sample.hr.shape[:2])
    return pasted(pair, dataclasses.replace(sample, refs=(np.where(seen[..., None], ref, sr),)))


def test_a_measured_ceiling_gives_shares_and_their_figure(folder, tmp_path):
    asked = RobustnessStudy(open_dataset("wrsr", folder), "rotation", ("bicubic",), (), "0,4,30")
    plan = plan_of(asked, tmp_path)
    results_folder(plan.folder)
    card = catalogue.get("METHODS", "bicubic")
    loaded = [LoadedMethod(None), LoadedMethod(None, variant="views truth", options={"views": "truth"})]
    done = []
    for method, predict in zip(loaded, (pasted, pasted_by_the_truth), strict=True):
        predictor = dataclasses.replace(method_predictor(card, method, "cpu"), predict=predict)
        levels = plan.levels if method is loaded[0] else plan.levels[:-1]  # no truth about an unrelated reference
        done.append(measure(dataclasses.replace(plan, levels=levels), predictor))
    sweep = written(Sweep(asked, plan, tuple(done)), tmp_path)
    text, rows = repr(sweep), table(tmp_path)
    share = {level: row["share"] for (method, level), row in rows.items() if method == "bicubic"}
    assert float(share["0"]) == 1 > float(share["4"]) > float(share["30"]) and share["unrelated"] == ""
    assert {row["share"] for (method, _), row in rows.items() if method != "bicubic"} == {""}
    files = {path.name for path in (tmp_path / "robustness/wrsr/rotation").iterdir()}
    assert files == {"table.csv", "curves.svg", "curves.png", "share.svg", "share.png"}
    assert "1.00 [1.00, 1.00]" in text and "share: of the gain" in text
    assert sorted(sweep.files) == sorted((tmp_path / "robustness/wrsr/rotation").iterdir())


def test_a_split_can_be_transformed_like_any_data_set(folder, tmp_path):
    """Its inputs, not the references it already has, whatever its levels are called."""
    from refsr_bench.data.split.writing import build

    split = build(open_dataset("wrsr", folder), "scale", ["large"], tmp_path / "split")
    run("--transform", "rotation", "--dataset", "transform", "--data-root", split, "--levels", "large",
        "--matchers-only", "--matcher", "same-place", "--out", tmp_path / "out")  # fmt: skip
    (path,) = (tmp_path / "out").rglob("result.json")
    assert "rotation.large" in results.read_result(path).run.dataset.name


def test_one_image_has_no_unrelated_reference(wrsr, tmp_path):
    text = small(wrsr(1), tmp_path, *BICUBIC, "--levels", "identity")
    assert "No reference gain" in text and table(tmp_path)["bicubic", "identity"]["gain"] == ""


def test_misuse(folder, tmp_path):
    for arguments, transform, message in (
        (("--levels", "tiny"), "rotation", "tiny"),
        (("--levels", "900"), "rotation", "out of range"),
        (("--levels", "0"), "scale", "out of range"),
        (("--levels", ","), "scale", "no level"),
        ((), "rotatoin", "Did you mean rotation?"),
        ((), "given", "no true correspondences"),
        (("--levels", "small"), "given", "has no level 'small'"),
        (("--matcher", "student2"), "rotation", "Did you mean student?"),
        (("--matchers-only", "--method", "bicubic"), "rotation", "leaves methods out"),
        (("--matchers-only", "--matcher", "none"), "rotation", "nothing to measure"),
        (("--matcher", "teacher"), "rotation", "teacher=FILE"),
        (("--weights", "w.pth"), "rotation", "say whose"),
    ):
        assert message in small(folder, tmp_path, *arguments, "--method" if transform == "given" else "--limit",
                                "bicubic" if transform == "given" else 1, code=2, transform=transform)  # fmt: skip
    assert not list(tmp_path.rglob("result.json"))


# -- rows and figures ----------------------------------------------------------------------------------------------


def record(name: str, psnr: float) -> schema.ImageRecord:
    return schema.ImageRecord(name, {"psnr_y": psnr})


def result(**psnr: float) -> schema.Result:
    method = schema.MethodInfo("m", "M", "Ref-SR", "one", False, 2026, "", 0, schema.NO_WEIGHTS)
    dataset = schema.DatasetInfo("d", "D", "0" * 64, False, (), len(psnr))
    protocol = schema.ProtocolInfo("c2", "c2", 1, "0" * 64, "", "psnr_y", "ssim_y", {})
    run = schema.Run(method, dataset, protocol, (PSNR,), tuple(psnr), schema.Machine("cpu", {}))
    return results.seal(run, {name: record(name, value) for name, value in psnr.items()})


def test_reference_gain_is_by_image_over_those_measured_with_both():
    found = runs.rows({"small": result(a=30.0, b=29.0, c=99.0), "unrelated": result(a=28.0, b=28.0)})
    gain = found[0].values["gain"]
    assert (gain.mean, gain.low, gain.high, gain.images) == (1.5, 1, 2, 2)
    assert "gain" not in found[1].values
    assert runs.rows({"small": result(a=30.0)})[0].values.keys() == {"psnr_y"}
    exact = runs.rows({"small": result(a=np.inf, b=np.inf), "unrelated": result(a=np.inf, b=20.0)})[0]
    assert exact.values["gain"].mean == np.inf and exact.values["psnr_y"].low == np.inf


def test_the_table_shows_what_there_is():
    rows = [
        Row("m", "M", "none", "small", 3, 1, {"psnr_y": Estimate(30, 29, 31, 3), "gain": Estimate(-0.5, -1, 0, 3)}),
        Row("m", "M", "none", "unrelated", 1, 0, {"psnr_y": Estimate(30, np.nan, np.nan, 1)}),
    ]
    text = tables(rows, (PSNR, SSIM))
    assert "30.00 [29.00, 31.00]" in text and "-0.50 [-1.00, 0.00]" in text and "3/4" in text
    assert "30.00  " in text and "nan" not in text


def made_rows(levels, methods: int = 10) -> list[Row]:
    rng = np.random.default_rng(0)
    rows = []
    for n in range(methods):
        for level in levels:
            aee, psnr = rng.uniform(1, 50), rng.uniform(24, 30)
            values = {"aee": Estimate(aee, aee - 1, aee + 1, 5), "psnr_y": Estimate(psnr, psnr - 1, np.inf, 5)}
            rows.append(Row(f"m{n}", f"Method {n}", "none", level, 5, 0, values if level != "unrelated" else
                            {"psnr_y": values["psnr_y"]}))  # fmt: skip
    return rows


def test_figures_of_more_methods_than_colours(tmp_path):
    rows = made_rows(["identity", "0", "25", "-10", "unrelated"])
    files = plots.write(rows, "psnr_y", "rotation", "title", tmp_path)
    assert {path.name for path in files} == {"bars.svg", "bars.png", "curves.svg", "curves.png"}
    before = {path: path.read_bytes() for path in files}
    plots.write(rows, "psnr_y", "rotation", "title", tmp_path)
    assert {path: path.read_bytes() for path in files} == before
    assert "Method 9" in (tmp_path / "bars.svg").read_text() and "degrees" in (tmp_path / "curves.svg").read_text()


def test_a_figure_of_what_is_measured_alone(tmp_path):
    rows = [dataclasses.replace(row, values={"aee": row.values["aee"]}) for row in made_rows(["small", "large"], 2)]
    assert len(plots.bars(plots.Plot(rows, "psnr_y", "title")).axes) == 1
    curve = plots.curves(plots.Plot(made_rows(["20", "3", "-5"], 1), "psnr_y", "title")).axes[0].lines[0]
    assert curve.get_xdata().tolist() == [-5, 3, 20]
    sweeps = [plots.Plot(made_rows(levels), "psnr_y") for levels in (["0.5", "2"], ["0", "90"])]
    scales = [plots.curves(sweep).axes[0].get_xscale() for sweep in sweeps]
    assert scales == ["log", "linear"]


def test_every_change_has_its_unit_and_no_two_series_look_alike():
    assert all(edges.unit for edges in EDGES.values())
    marks = [style.mark(n) for n in range(56)]
    assert len({(mark.colour, mark.marker) for mark in marks}) == 56
    assert len({(mark.colour, mark.hatch) for mark in marks[:35]}) == 35
    assert len({(mark.colour, mark.dash) for mark in marks[:28]}) == 28


def test_levels_are_in_their_shortest_form():
    data = open_dataset("sample")
    assert study.parse_levels("0.50, 2,2.0", "scale", data) == ("0.5", "2", "unrelated")
    assert study.parse_levels(None, "blur", data)[0] == "identity"
    assert study.parse_levels("unrelated,small", "blur", data) == ("small", "unrelated")
    with pytest.raises(Misuse):
        study.parse_levels("unrelated", "blur", data)


def test_a_pair_without_reference_is_a_failure_of_the_pair(folder, tmp_path):
    predictor = matcher_predictor(CARDS["same-place"], LoadedMatcher(same_place), "cpu")
    protocol = catalogue.get("PROTOCOLS", "c2").changed({"refs": "none"})
    pair = open_dataset("wrsr", folder).pairs[0]
    with pytest.raises(BenchError, match="no reference"):
        predictor.predict(pair, protocol.prepare(pair, "wrsr"))
    assert json.dumps(reader.to_json(predictor.info))
