"""Training as a whole: configurations, photos, stopping, resuming, several processes, and what it writes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from c2matching.checkpoints import BUNDLED
from c2matching.method import METHODS
from c2matching.training.config import C2Training
from c2matching.training.pairs import MatchingStream
from refsr_bench.cli import main
from refsr_bench.cli.train import command_of
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.reader import to_json
from refsr_bench.data.opening import open_dataset
from refsr_bench.formats.checkpoints import read_weights
from refsr_bench.learning.training import config, trainer
from refsr_bench.learning.training.config import Training
from refsr_bench.learning.training.parallel import ALONE, Parallel
from refsr_bench.learning.training.photos import ImageStream, batches, find_photos, split
from refsr_bench.learning.training.prepare import Sources, TrainingPlan, make_stage

TINY = [
    *("run.log_every=1", "run.validate_every=2", "run.validation=2", "batch=2", "iterations=4"),
    *("network.channels=8", "network.blocks=[1, 1, 1, 1]", "restoration.crop=64"),
]
SMALL = ["small-cpu"]


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """Five photos of anything and a scene of two, as folders on disk."""
    root = tmp_path_factory.mktemp("photos")
    pairs = open_dataset("sample").pairs
    scene = [pairs[0].hr, pairs[0].refs[0]]
    for folder, images in {"photos": [pair.hr for pair in pairs[1:6]], "photos/scene": scene}.items():
        (root / folder).mkdir(parents=True)
        for n, image in enumerate(images):
            whole = Image.fromarray(image.load())
            whole.resize((2 * whole.width, 2 * whole.height)).save(root / folder / f"{n}.png")
    return root / "photos"


def command(*arguments) -> list[str]:
    options = [option for name in SMALL for option in ("--recipe", name)]
    options += [option for setting in TINY for option in ("--set", setting)]
    return ["train", "c2matching", *options, "--device", "cpu", *map(str, arguments)]


def run(*arguments, code: int = 0):
    result = CliRunner().invoke(main, command(*arguments))
    assert result.exit_code == code, result.output
    return result


def weights(path: Path) -> dict:
    assert path.is_file()
    return read_weights(path)


def same(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


@pytest.fixture(scope="module")
def stages(photos, tmp_path_factory) -> Path:
    """All three stages, four iterations each, as commands."""
    out = tmp_path_factory.mktemp("training")
    run("teacher", "--data", photos, "--out", out / "teacher")
    run("student", "--data", photos, "--out", out / "student", "--teacher", out / "teacher/last.safetensors")
    run("restoration", "--data", photos, "--out", out / "rec", "--student", out / "student/last.safetensors")
    return out


# -- configurations ------------------------------------------------------------------------------------------------


def test_the_paper_s_configuration_is_written_out_and_is_the_default():
    tables = config.tomllib.loads((config.CONFIGS / "paper.toml").read_text())
    assert config.load(C2Training, ["paper"]) == C2Training() == config.load(C2Training)
    for name, table in tables.items():  # every value stands in the file
        assert set(table) == set(to_json(getattr(C2Training(), name)))


def test_what_the_named_configurations_change():
    assert config.named() == ["as-executed", "light", "paper", "robust", "small-cpu"]
    assert config.load(C2Training, ["as-executed"]).restoration.decays == ()
    from c2matching.nets.restoration import LIGHT

    assert config.load(C2Training, ["light"]).network == LIGHT
    robust = config.load(C2Training, ["small-cpu", "robust"])
    assert robust.views.rotation == 20 and robust.network.channels == 48


def test_settings_win_over_files(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text("[teacher]\nrate = 2e-4\ndecays = [5, 9]\n")
    training = config.load(C2Training, ["small-cpu", str(file)], ["rate=1", "run.precision=bfloat16"], "teacher")
    assert (training.teacher.rate, training.teacher.decays, training.run.precision) == (1.0, (5, 9), "bfloat16")
    assert config.load(C2Training, [str(_written(tmp_path, training))]) == training


def _written(folder: Path, training: C2Training) -> Path:
    (folder / "again.toml").write_text(config.as_toml(training))
    return folder / "again.toml"


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("rat=1", "Did you mean rate?"),
        ("students.rate=1", "Did you mean student?"),
        ("rate=fast", "student.rate: expected float"),
        ("batch=2.5", "student.batch: expected int"),
        ("batch=0", "student.batch: expected int >= 1"),
        ("start=vgg", "imagenet, random, teacher"),
        ("crop=100", "multiple of 16"),
        ("decays=5", "student.decays: expected array"),
        ("network.taps=both", "mirrored, unmirrored"),
        ("rate", "TABLE.FIELD=VALUE"),
    ],
)
def test_settings_that_do_not_fit(setting, message):
    with pytest.raises(Misuse, match=message.replace("?", r"\?")):
        config.load(C2Training, [], [setting], "student")


def test_a_configuration_that_is_none(tmp_path):
    (tmp_path / "bad.toml").write_text("[teacher\n")
    for source, message in ((str(tmp_path / "bad.toml"), "not TOML"), ("ligth", "as-executed, light")):
        with pytest.raises(Misuse, match=message):
            config.load(C2Training, [source])


# -- photos --------------------------------------------------------------------------------------------------------


def test_photos_are_found_with_their_scenes(photos):
    found = find_photos([photos])
    assert len(found) == 7 and sorted(len(photo.refs) for photo in found) == [0] * 5 + [1, 1]
    training, validation = split(found, 22)
    assert len(validation) == 1 and not {p.path for p in training} & {p.path for p in validation}
    held = validation[0].path
    assert all(held not in photo.refs for photo in training)


def test_pairs_keep_their_references(tmp_path):
    for folder in ("input", "ref"):
        (tmp_path / folder).mkdir()
        for n in range(5):
            pixels = np.random.default_rng(n).integers(0, 256, (160, 160, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / folder / f"{n}.png")
    found = find_photos([tmp_path])
    assert [(p.path.parent.name, p.refs[0].parent.name, p.paired) for p in found] == [("input", "ref", True)] * 5
    sample = ImageStream(found, Training(), 160, "x")[0].tensors
    original = Image.open(tmp_path / "ref" / "0.png")
    pixels = torch.tensor([Image.open(p.refs[0]).getpixel((0, 0)) for p in found]).float() / 255
    corners = [sample["ref"][:, y, x] for y in (0, -1) for x in (0, -1)]  # wherever the flips have put it
    assert original.size == (160, 160) and any(torch.equal(c, p) for c in corners for p in pixels)


def test_samples_depend_on_their_number_alone(photos):
    found, training = find_photos([photos]), config.load(Training, [*SMALL, "robust"])
    for kind, crop in ((MatchingStream, 160), (ImageStream, 128)):
        one, other = kind(found, training, crop, "training"), kind(found, training, crop, "training")
        late = one[9].tensors
        assert all(torch.equal(late[name], tensor) for name, tensor in other[9].tensors.items())
        assert not torch.equal(late["hr"], kind(found, training, crop, "validation")[9].tensors["hr"])
        for tensor in (t for n in range(8) for name, t in one[n].tensors.items() if name != "coordinates"):
            assert tensor.dtype == torch.float32 and tensor.min() >= 0 and tensor.max() <= 1


def test_an_epoch_visits_every_photo_once(photos):
    found = find_photos([photos])
    stream = MatchingStream(found, Training(), 160, "training")
    seen = []
    stream.draw = lambda photo, rng: seen.append(photo.path) or {"x": torch.zeros(1)}
    for n in range(2 * len(found)):
        stream[n]
    assert sorted(seen[:7]) == sorted(seen[7:]) == sorted(photo.path for photo in found) and seen[:7] != seen[7:]


def test_processes_share_a_batch(photos):
    stream = MatchingStream(find_photos([photos]), Training(), 160, "training")
    stream.draw = lambda photo, rng: {"x": torch.tensor(rng.uniform())}

    def numbers(accumulate=1, parallel=ALONE):
        drawn = batches(stream, 8, 3, 4, accumulate, parallel)
        return [torch.cat([m.tensors["x"] for m in micros]) for micros in drawn]

    whole = numbers()
    parts = [numbers(2, Parallel(2, process)) for process in (0, 1)]
    assert len(whole) == 2 and all(torch.equal(torch.cat(p), w) for *p, w in zip(*parts, whole, strict=True))
    with pytest.raises(Misuse, match="batch of 8 cannot be shared evenly by 3"):
        next(batches(stream, 8, 1, 1, 1, Parallel(3, 0)))


def test_unusable_photos_are_left_out_counted_and_listed(photos, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for path in photos.glob("*.png"):
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "cut.png").write_bytes((photos / "0.png").read_bytes()[:2000])
    (folder / "text.png").write_text("not an image")
    Image.new("RGB", (50, 400)).save(folder / "thin.png")
    result = run("teacher", "--data", folder, "--out", tmp_path / "out", "--set", "iterations=6")
    listed = (tmp_path / "out/skipped.txt").read_text()
    for name, why in (("cut.png", "damaged"), ("text.png", "not a PNG"), ("thin.png", "smaller than a crop")):
        assert name in listed and why in listed
    assert "3 photos could not be used" in result.output and "left out: " in result.output


def test_only_unusable_photos(tmp_path):
    (tmp_path / "a.png").write_text("no")
    result = run("teacher", "--data", tmp_path, "--out", tmp_path / "out", code=1)
    assert "cannot be used" in result.output and "a.png" in result.output


# -- whole trainings -----------------------------------------------------------------------------------------------


def test_every_stage_moves_its_networks_and_leaves_a_file_that_loads(stages, photos):
    teacher, student = (weights(stages / name / "last.safetensors") for name in ("teacher", "student"))
    rec = weights(stages / "rec/last.safetensors")
    for branch in (1, 2):
        key = f"extractor.feature_extraction_image{branch}.model.conv3_1.weight"
        assert not torch.equal(teacher[key], student[key]) and torch.equal(rec[key], student[key])
    for scale in ("medium", "large"):  # predictors of offsets start at zero: gradients reached them
        assert rec[f"restoration.dyn_agg_restore.{scale}_dyn_agg.conv_offset_mask.weight"].any()
    rng = np.random.default_rng(0)
    lr, ref = (rng.integers(0, 256, size, dtype=np.uint8) for size in ((8, 9, 3), (40, 36, 3)))
    assert METHODS[0].load(stages / "rec/best.safetensors", "cpu").predict(lr, [ref], 4).sr.shape == (32, 36, 3)


def test_what_a_training_leaves(stages):
    lines = [json.loads(line) for line in (stages / "rec/log.jsonl").read_text().splitlines()]
    assert [line["iteration"] for line in lines if "reconstruction" in line] == [1, 2, 3, 4]
    checks = [line for line in lines if "validation/psnr" in line]
    assert [line["iteration"] for line in checks] == [2, 4]
    best = max(line["validation/psnr"] for line in checks)
    state = torch.load(stages / "rec/checkpoint.pt", weights_only=True)
    assert (state["iteration"], state["best"]) == (4, best)
    assert config.load(C2Training, [str(stages / "rec/config.toml")]).restoration.iterations == 4
    assert list((stages / "rec/tensorboard").glob("events*"))
    assert not list(stages.rglob("*.partial"))


def test_the_configuration_is_printed_first(photos, tmp_path):
    result = run("teacher", "--data", photos, "--out", tmp_path / "out", "--set", "iterations=1")
    assert result.output.index("[teacher]") < result.output.index("photos to train on")
    assert "iterations = 1\n" in result.output


def resumed(stages: Path, photos: Path, out: Path, stage: str, *options) -> dict:
    run(stage, "--data", photos, "--out", out, *options, "--set", "iterations=2")
    run(stage, "--data", photos, "--out", out, *options, "--resume")
    return weights(out / "last.safetensors")


def test_resuming_gives_the_weights_of_an_uninterrupted_training(stages, photos, tmp_path):
    """The weights are equal to the bit on the CPU; the log has no gap and no line twice."""
    teacher = ["--teacher", stages / "teacher/last.safetensors"]
    student = ["--student", stages / "student/last.safetensors"]
    again = resumed(stages, photos, tmp_path / "student", "student", *teacher)
    assert same(again, weights(stages / "student/last.safetensors"))
    again = resumed(stages, photos, tmp_path / "rec", "restoration", *student, "--set", "cosine=false")
    run("restoration", "--data", photos, "--out", tmp_path / "whole", *student, "--set", "cosine=false")
    assert same(again, weights(tmp_path / "whole/last.safetensors"))
    logs = [(tmp_path / name / "log.jsonl").read_text() for name in ("rec", "whole")]
    assert logs[0] == logs[1]


def test_sigterm_saves_and_exits(stages, photos, tmp_path):
    """A training killed at any point, then resumed, ends with the weights of an uninterrupted one."""
    options = ["student", "--data", photos, "--teacher", stages / "teacher/last.safetensors", "--set", "iterations=8"]
    out = tmp_path / "out"
    program = [sys.executable, "-m", "refsr_bench", *command(*options, "--out", out)]
    process = subprocess.Popen(program, stderr=subprocess.PIPE, text=True)
    log = out / "log.jsonl"
    while process.poll() is None and not (log.is_file() and log.read_text().count("\n") >= 2):
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    _, messages = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGTERM, messages
    assert "--resume to continue" in messages
    done = torch.load(out / "checkpoint.pt", weights_only=True)["iteration"]
    assert 1 <= done < 8
    run(*options, "--out", out, "--resume")
    run(*options, "--out", tmp_path / "whole")
    assert same(weights(out / "last.safetensors"), weights(tmp_path / "whole/last.safetensors"))


def test_torchrun_passes_every_option_on():
    """torchrun refuses options that abbreviate several of its own, even behind the module's name."""
    from torch.distributed.run import get_args_parser

    options = [word for option in command_of(METHODS[0]).params for name in option.opts for word in (name, "x")]
    assert "--from-weights" in options
    parsed = get_args_parser().parse_args(["--nproc-per-node", "2", "-m", "refsr_bench", "train", *options])
    assert parsed.training_script_args == ["train", *options]


@pytest.mark.slow
def test_two_processes_train_as_one(photos, tmp_path):
    """The same global batch under torchrun gives the same loss curve."""
    options = ["teacher", "--data", photos, "--set", "batch=4", "--set", "iterations=5"]
    run(*options, "--out", tmp_path / "one")
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
    program = [*launcher, "-m", "refsr_bench", *command(*options, "--out", tmp_path / "two")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(program, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    curves = []
    for name in ("one", "two"):
        lines = [json.loads(line) for line in (tmp_path / name / "log.jsonl").read_text().splitlines()]
        curves.append([value for line in lines for value in line.values()])
    assert curves[1] == pytest.approx(curves[0], rel=2e-3)


def test_an_interrupted_write_leaves_the_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(b"whole")
    training = config.load(C2Training, SMALL, TINY, "teacher")
    stage = make_stage("teacher", TrainingPlan(METHODS[0], training, Sources()))

    def breaks(content: dict, part: Path) -> None:
        part.write_bytes(b"ha")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", breaks)
    with pytest.raises(BenchError, match="No space left"):
        trainer.save_checkpoint(tmp_path, stage, training, trainer.State())
    assert path.read_bytes() == b"whole" and list(tmp_path.iterdir()) == [path]


def test_a_damaged_checkpoint_is_said_so(stages, photos, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    whole = (stages / "teacher/checkpoint.pt").read_bytes()
    (out / "checkpoint.pt").write_bytes(whole[: len(whole) // 2])
    result = run("teacher", "--data", photos, "--out", out, "--resume", code=1)
    assert "damaged" in result.output and "checkpoint.pt" in result.output


def test_a_loss_that_is_no_number_stops_the_training(photos, tmp_path):
    training = config.load(C2Training, SMALL, TINY, "teacher")
    stage = make_stage("teacher", TrainingPlan(METHODS[0], training, Sources()))
    stage.net.feature_extraction_image1.model.conv1_1.bias.data[0] = torch.nan
    with pytest.raises(BenchError, match="no longer a number at iteration 1"):
        trainer.Trainer(stage, training, tmp_path, lambda path: None, lambda text: None).run(find_photos([photos]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["teacher", "--resume"], "there is no checkpoint.pt"),
        (["student"], "--teacher FILE"),
        (["restoration"], "--student FILE"),
        (["teacher", "--gan"], "for restoration"),
        (["teacher", "--set", "start=imagenet", "--vgg16", "absent.pth"], "absent.pth"),
        (["student", "--teacher", "absent.safetensors"], "absent.safetensors"),
    ],
)
def test_misuse(photos, tmp_path, options, message):
    result = run(*options, "--data", photos, "--out", tmp_path / "out", code=2)
    assert message in result.output


def test_a_training_is_not_overwritten_nor_resumed_as_another(stages, photos):
    result = run("teacher", "--data", photos, "--out", stages / "teacher", code=2)
    assert "already holds a training" in result.output
    result = run("teacher", "--data", photos, "--out", stages / "teacher", "--resume", "--set", "rate=0.5", code=2)
    assert "teacher.rate: 0.0003, now 0.5" in result.output


def test_a_folder_without_photos(tmp_path):
    result = run("teacher", "--data", tmp_path, "--out", tmp_path / "out", code=2)
    assert "no photos there" in result.output


def test_imagenet_weights_from_a_file(photos, tmp_path, monkeypatch):
    """torchvision's names; without a file and without a connection, the message says what to do."""
    from filled import vgg19_file

    torch.save(vgg19_file(10), tmp_path / "vgg16.pth")  # up to conv3_1 the two have one shape
    training = config.load(C2Training, SMALL, ["start=imagenet"], "teacher")
    stage = make_stage("teacher", TrainingPlan(METHODS[0], training, Sources(vgg16=tmp_path / "vgg16.pth")))
    for branch in (stage.net.feature_extraction_image1, stage.net.feature_extraction_image2):
        assert torch.equal(branch.model.conv3_1.weight, vgg19_file(10)["features.10.weight"])

    for name in ("TORCH_HOME", "REFSR_WEIGHTS"):
        monkeypatch.setenv(name, str(tmp_path / "nothing"))
    with pytest.raises(BenchError, match=r"--vgg16 FILE, or start without them"):
        make_stage("teacher", TrainingPlan(METHODS[0], training, Sources()))


@pytest.mark.slow
def test_gan_training(stages, photos, tmp_path):
    from filled import vgg19_file

    torch.save(vgg19_file(), tmp_path / "vgg19.pth")
    options = ["--student", stages / "student/last.safetensors", "--vgg19", tmp_path / "vgg19.pth", "--gan"]
    options += ["--set", "warm_up=2", "--set", "crop=64", "--set", "features=imagenet"]
    run("restoration", "--data", photos, "--out", tmp_path / "gan", *options)
    lines = [json.loads(line) for line in (tmp_path / "gan/log.jsonl").read_text().splitlines()]
    steps = [set(line) for line in lines if "reconstruction" in line]
    assert "penalty" not in steps[1] and {"perceptual", "adversarial", "discriminator", "penalty"} <= steps[2]
    again = resumed(stages, photos, tmp_path / "again", "restoration", *options, "--set", "cosine=false")
    run("restoration", "--data", photos, "--out", tmp_path / "whole", *options, "--set", "cosine=false")
    assert same(again, weights(tmp_path / "whole/last.safetensors"))


def test_the_script_of_the_bundled_weights_says_what_the_program_understands(tmp_path):
    """The script's commands parse in order, and each takes files that an earlier one has left."""
    program = tmp_path / "bin/refsr-bench"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\nimport json, sys\nprint(json.dumps(sys.argv[1:]))\n")
    program.chmod(0o755)
    for folder in ("photos", "scenes"):
        (tmp_path / folder).mkdir()
    script = BUNDLED.with_name("train.sh")
    environment = os.environ | {"PATH": f"{program.parent}:{os.environ['PATH']}"}
    arguments = [tmp_path / name for name in ("photos", "scenes", "out")]
    (tmp_path / "out").mkdir()
    for name in ("teacher", "student", "v1", "teacher-2", "student-2a", "student-2b", "student-2c", "v2"):
        (tmp_path / "out" / name).mkdir()
    done = subprocess.run(["bash", script, *arguments], capture_output=True, text=True, env=environment, check=True)
    *trainings, packing = map(json.loads, done.stdout.splitlines())
    assert packing[:3] == ["weights", "pack", str(tmp_path / "out/v2/last.safetensors")]
    left = []
    for train_word, method, *words in trainings:
        assert (train_word, method) == ("train", "c2matching")
        given = command_of(METHODS[0]).make_context("c2matching", words).params
        config.load(C2Training, given["recipes"], given["settings"], given["stage"])
        used = [given[name].parent for name in ("teacher", "student", "start") if given[name]]
        assert all(folder in left for folder in used)
        left.append(given["out"])
    assert [folder.name for folder in left][-1] == "v2" and len(left) == 8
    again = subprocess.run(["bash", script, *arguments], capture_output=True, text=True, env=environment, check=True)
    assert [json.loads(line) for line in again.stdout.splitlines()] == [packing]  # what is done is not repeated
