"""The ablation: its variants, the texture subset, and the whole command in miniature."""

import json

import pytest
import torch
from click.testing import CliRunner
from filled import network_of
from PIL import Image

from c2matching.training import ablation
from leaderboard.reading.ablation import read_ablation
from refsr_bench.cli import main
from refsr_bench.core.results import read_result
from refsr_bench.data.opening import open_dataset


def test_the_table_shows_steps_beside_the_paper_s():
    scores = {v.name: {"x": 20 + n, "y": 30 + 2 * n} for n, v in enumerate(ablation.VARIANTS)}
    lines = ablation.table(scores, ["y"]).splitlines()
    assert lines[2].endswith("| 25.00 |  |  | 30.00 |  |  |")
    assert lines[3].endswith("| 26.50 | +1.50 | +0.08 | 32.00 | +2.00 |  |")
    assert lines[5].endswith("| 29.50 | +1.50 | +0.09 | 36.00 | +2.00 | +0.16 |")


@pytest.mark.slow
def test_the_whole_ablation_in_miniature(tmp_path):
    for n, pair in enumerate(open_dataset("sample").pairs[:5]):
        whole = Image.fromarray(pair.hr.load())
        (tmp_path / "photos").mkdir(exist_ok=True)
        whole.resize((2 * whole.width, 2 * whole.height)).save(tmp_path / "photos" / f"{n}.png")
    settings = ["run.validate_every=2", "run.validation=1", "network.channels=8", "network.blocks=[1, 1, 1, 1]"]
    for stage in ("teacher", "student", "restoration"):
        settings += [f"{stage}.iterations=2", f"{stage}.batch=1"]
    settings += ["restoration.crop=64", "student.warm_up=0"]
    options = [option for setting in settings for option in ("--set", setting)]
    command = ["ablation", "--data", str(tmp_path / "photos"), "--out", str(tmp_path / "out"), "--recipe", "small-cpu"]
    first = CliRunner().invoke(main, [*command, *options, "--device", "cpu"])
    assert first.exit_code == 0, first.output
    assert first.output.count("training: ") == 7 and "+ dynamic aggregation" in first.output
    models = {v.name: network_of(tmp_path / "out" / v.name / "last.safetensors") for v in ablation.VARIANTS}
    assert models["baseline"].restoration.config.aggregation == "copy"
    keys = [
        model.extractor.feature_extraction_image1.model.conv1_1.weight for model in models.values()
    ]
    assert torch.equal(keys[0], keys[1]) and not torch.equal(keys[1], keys[2]) and not torch.equal(keys[2], keys[3])
    study = read_ablation(tmp_path / "out" / "ablation.json")
    assert [v.name for v in study.variants] == [v.name for v in ablation.VARIANTS]
    measured = json.loads((tmp_path / "out/ablation.json").read_text())
    assert measured["budget"] == {"teacher": 2, "student": 2, "restoration": 2, "photos": 5}
    assert measured["config"]["network"]["channels"] == 8 and len(measured["texture_subset"]) == 4
    for variant in measured["variants"]:
        result = read_result(tmp_path / "out" / variant["result"])
        assert result.run.kind == "ablation" and result.run.method.weights.sha256 == variant["weights_sha256"]
        assert {i.id: i.metrics["psnr_y"] for i in result.images} == variant["scores"]
    before = (tmp_path / "out/ablation.json").read_bytes()
    features = [model.vgg.vgg_net.conv1_1.weight for model in models.values()]
    assert all(torch.equal(features[0], other) for other in features[1:])
    log = (tmp_path / "out/correspondence-contrastive/log.jsonl").read_text()
    assert "distillation" in json.loads(log.splitlines()[0])  # computed, with weight zero
    again = CliRunner().invoke(main, [*command, *options, "--device", "cpu"])
    assert "training: " not in again.output
    assert again.output.splitlines()[-8:] == first.output.splitlines()[-8:]
    assert (tmp_path / "out/ablation.json").read_bytes() == before
    told = json.loads(CliRunner().invoke(main, [*command, *options, "--device", "cpu", "--json"]).stdout)
    assert told["command"] == "ablation" and told["psnr_y"].keys() == models.keys()
