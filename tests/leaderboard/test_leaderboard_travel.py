"""Results for other programs: FiftyOne's folder of grouped pictures, and cards and tables for the Hugging Face Hub."""

import hashlib
import json

import datasets
import pytest
from click.testing import CliRunner
from huggingface_hub import DatasetCard, ModelCard

import refsr_bench
from refsr_bench.cli import main


def invoke(*words, code=0):
    done = CliRunner().invoke(main, [*map(str, words)])
    assert done.exit_code == code, done.output
    return done.output


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Two runs of ``sample`` with pictures, one whole and one of two pairs."""
    out = tmp_path_factory.mktemp("travel") / "results"
    for name in (("--name", "Mine @x", "--limit", 2), ()):
        invoke("run", "--method", "bicubic", "--dataset", "sample", "--save-images", "--out", out, *name)
    return out


def export(results, form, out, *more, code=0):
    return invoke("leaderboard", "export", "--results", results, "--format", form, "--out", out, *more, code=code)


def bytes_of(folder):
    found = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def test_fiftyone_gets_a_group_for_each_image_with_a_slice_for_each_picture(results, tmp_path):
    shown = export(results, "fiftyone", tmp_path / "one")
    assert "8 images with 34 pictures: HR, LR, Ref, bicubic, mine-x" in shown
    about = json.loads((tmp_path / "one" / "metadata.json").read_text())
    samples = json.loads((tmp_path / "one" / "samples.json").read_text())["samples"]
    slices = set(about["group_media_types"])
    assert about["media_type"] == "group" and about["default_group_slice"] in slices
    groups = {}
    for sample in samples:
        own = sample[about["group_field"]]
        assert own["_cls"] == "Group" and own["name"] in slices
        assert own["name"] not in groups.setdefault(own["_id"]["$oid"], {})
        groups[own["_id"]["$oid"]][own["name"]] = sample
    ids = [sample["_id"]["$oid"] for sample in samples]
    assert len(set(ids)) == len(ids) == 34 and all(len(one) == 24 and int(one, 16) for one in ids)
    assert len(groups) == 8 and sum("mine-x" in group for group in groups.values()) == 2
    declared = {field["db_field"]: field["ftype"].rpartition(".")[2] for field in about["sample_fields"]}
    for sample in samples:
        assert set(sample) <= {*declared, "_media_type", "_rand"}
        numbers = [name for name, kind in declared.items() if kind == "FloatField" and name in sample]
        assert all(isinstance(sample[name], float) for name in numbers)
        picture = (tmp_path / "one" / sample["filepath"]).read_bytes()
        assert picture.startswith(b"\x89PNG") and hashlib.sha256(picture).hexdigest() in sample["filepath"]
    assert declared["psnr_y"] == "FloatField" and "psnr_y" not in next(iter(groups.values()))["HR"]


def test_the_values_are_those_of_the_records(results, tmp_path):
    export(results, "fiftyone", tmp_path / "one")
    samples = json.loads((tmp_path / "one" / "samples.json").read_text())["samples"]
    frame = refsr_bench.load_results(results)
    frame = frame[(frame.method == "bicubic") & (frame.metric == "ssim_y")]
    assert {s["pair"]: s["ssim_y"] for s in samples if s["group"]["name"] == "bicubic"} == dict(
        zip(frame.pair, frame.value, strict=True)
    )


def test_the_same_results_give_the_same_folder_and_nothing_else_is_in_it(results, tmp_path):
    for name in ("one", "two"):
        export(results, "fiftyone", tmp_path / name)
    assert bytes_of(tmp_path / "one") == bytes_of(tmp_path / "two")
    assert {path.name for path in (tmp_path / "one").iterdir()} == {"files", "metadata.json", "samples.json"}


@pytest.mark.parametrize("form", ["fiftyone", "hub"])
def test_a_folder_with_something_in_it_stays(form, results, tmp_path):
    (tmp_path / "mine").write_text("mine")
    assert "is there already and stays" in export(results, form, tmp_path, code=2)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    assert "--out is for" in invoke("leaderboard", "export", "--results", results, "--format", form, code=2)


def test_runs_without_pictures_are_told_how_to_save_them(tmp_path):
    out = tmp_path / "results"
    invoke("run", "--method", "bicubic", "--dataset", "sample", "--limit", 1, "--no-save-images", "--out", out)
    assert "Measure with --save-images" in export(out, "fiftyone", tmp_path / "one", code=1)


def test_a_model_card_states_what_the_hub_reads(results, tmp_path):
    shown = export(results, "hub", tmp_path / "hub", "--source", "https://example.org/site")
    (path,) = (tmp_path / "hub" / "models").glob("*/README.md")
    card = ModelCard.load(path)
    assert card.data.model_name == "Bicubic" and card.data.license == "unknown"
    found = {result.metric_type: result for result in card.data.eval_results}
    frame = refsr_bench.load_results(results)
    means = frame[frame.method == "bicubic"].groupby("metric").value.mean().dropna()
    assert set(found) == set(means.index)
    assert found["psnr_y"].metric_value == round(means["psnr_y"], 2)
    assert found["psnr_y"].dataset_type == "sample" and found["psnr_y"].source_url == "https://example.org/site"
    assert len(found["psnr_y"].dataset_args["protocol_digest"]) == 64
    assert "| PSNR-Y |" in card.text and "not in a model card" in shown and "2 of 8 pairs" in shown


def test_the_data_set_opens_as_its_card_says(results, tmp_path):
    export(results, "hub", tmp_path / "hub")
    card = DatasetCard.load(tmp_path / "hub" / "README.md")
    assert card.data.configs[0]["data_files"][0]["path"] == "results.parquet" and "## c2" in card.text
    (found,) = datasets.load_dataset(str(tmp_path / "hub"), cache_dir=str(tmp_path / "cache")).values()
    frame = refsr_bench.load_results(results)
    assert len(found) == len(frame) and set(found.column_names) == set(frame.columns)
    values = [value for value in found["value"] if value is not None]
    assert sum(values) == pytest.approx(frame.value.sum())


def test_an_address_is_an_address(results, tmp_path):
    assert "is no address" in export(results, "hub", tmp_path / "hub", "--source", "my page", code=2)
    assert not (tmp_path / "hub").exists()
    assert "--source is for" in export(results, "fiftyone", tmp_path / "one", "--source", "https://example.org", code=2)


def test_a_licence_in_words_is_another_than_those_of_the_hub(results, tmp_path):
    run = results / "c2" / "sample" / "bicubic" / "result.json"
    value = json.loads(run.read_text())
    value["run"]["method"]["weights"]["license"] = "CC BY-NC-ND 4.0: no commercial use"
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "result.json").write_text(json.dumps(value))
    export(tmp_path / "results", "hub", tmp_path / "hub")
    (path,) = (tmp_path / "hub" / "models").glob("*/README.md")
    card = ModelCard.load(path)
    assert (card.data.license, card.data.license_name) == ("other", "cc-by-nc-nd-4.0-no-commercial-use")
    assert "Licence: CC BY-NC-ND 4.0&#58; no commercial use" in card.text
