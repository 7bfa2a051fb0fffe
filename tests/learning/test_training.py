"""The trainer's configuration for any system, and where it comes from."""

import sys

import pytest
import torch

from c2matching.training.config import C2Training
from refsr_bench.core.errors import Misuse
from refsr_bench.learning.training import config
from refsr_bench.learning.training.config import Training


def test_one_file_of_configuration_serves_every_system(tmp_path):
    """Tables of stages that a system does not have are passed over; anything else that is unknown is not."""
    file = tmp_path / "all.toml"
    file.write_text("[teacher]\nrate = 1\n[network]\nchannels = 16\n[restoration]\nrate = 2e-4\n")
    training = config.load(Training, ["small-cpu", str(file)], ["crop=96"], "restoration")
    assert training.restoration.rate == 2e-4 and training.restoration.crop == 96
    staged = config.load(C2Training, ["small-cpu", str(file)], ["crop=96"], "restoration")
    assert (staged.teacher.rate, staged.network.channels) == (1.0, 16)
    assert staged.restoration == training.restoration and staged.photos == training.photos
    file.write_text("[techer]\nrate = 1\n")
    for kind in (Training, C2Training):
        with pytest.raises(Misuse, match="no table called techer"):
            config.load(kind, [str(file)])


def test_what_may_change_when_a_training_is_resumed():
    before = config.load(Training, ["small-cpu"])
    longer = config.load(Training, ["small-cpu"], ["restoration.iterations=9", "run.workers=2"])
    other = config.load(Training, ["small-cpu"], ["restoration.rate=1", "run.seed=3"])
    assert config.differences(before, longer) == []
    assert config.differences(before, other) == ["run.seed: 10, now 3", "restoration.rate: 0.0004, now 1.0"]


@pytest.mark.parametrize("text", ["[restoration]\nbetas = [0.9]", "restoration = 3", "[run]\nseed = -1", "[[run]]"])
def test_a_file_that_does_not_fit_is_named(tmp_path, text):
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(Misuse, match=r"mine\.toml: "):
        config.load(Training, [str(file)])


def test_a_training_without_tensorboard_logs_to_its_file_and_says_so_once(tmp_path, monkeypatch, caplog) -> None:
    from refsr_bench.learning.training.trainer import Log

    monkeypatch.setitem(sys.modules, "tensorboard", None)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    log = Log(tmp_path, 0)
    for iteration in (1, 2):
        log.write(iteration, {"loss": 1.0}, {"sr": torch.zeros(3, 4, 4)})
    assert [line["iteration"] for line in log.lines.read()] == [1, 2]
    assert len(caplog.records) == 1 and "pip install tensorboard" in caplog.text
    assert not (tmp_path / "tensorboard").exists()
