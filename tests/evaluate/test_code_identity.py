"""The identity of the code behind a run: changed code is another run."""

import sys

import pytest

from refsr_bench.core import catalogue
from refsr_bench.evaluate.code_identity import code_of_command, code_of_method


def test_a_command_is_known_by_the_files_that_it_names(tmp_path):
    script, other = tmp_path / "my model.py", tmp_path / "other.py"
    script.write_text("print(1)")
    other.write_text("print(1)")
    command = f"python '{script}' {{lr}} {{ref}} {{out}}"
    before = code_of_command(command)
    assert before.sha256 and code_of_command(command) == before
    other.write_text("print(2)")
    assert code_of_command(command) == before
    script.write_text("print(2)")
    assert code_of_command(command).sha256 != before.sha256
    assert code_of_command("model {lr} {out}").sha256 is None


def test_own_methods_are_known_by_the_version_of_their_card():
    card = catalogue.get("METHODS", "bicubic")
    assert code_of_method(card.load, card.version) == code_of_method(card.load, 1)
    assert code_of_method(card.load, 2).version == "2"
    assert code_of_method(catalogue.get("METHODS", "edsr").load, 1).name.split(".")[0] in ("baselines", "refsr_bench")


@pytest.mark.parametrize("layout", ["package", "module"])
def test_methods_of_others_are_known_by_their_files(tmp_path, monkeypatch, layout):
    source = "def load(weights, device): ...\n"
    if layout == "package":
        (tmp_path / "theirlab").mkdir()
        (tmp_path / "theirlab" / "__init__.py").write_text(source)
        changed = tmp_path / "theirlab" / "net.py"
        changed.write_text("WIDTH = 1\n")
    else:
        changed = tmp_path / "theirlab.py"
        changed.write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    import theirlab

    try:
        before = code_of_method(theirlab.load, 1)
        assert before.sha256 and code_of_method(theirlab.load, 1) == before
        changed.write_text(changed.read_text() + "# another\n")
        assert code_of_method(theirlab.load, 1).sha256 != before.sha256
    finally:
        del sys.modules["theirlab"]
