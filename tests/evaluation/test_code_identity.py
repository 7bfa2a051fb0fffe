"""The identity of the code behind a run: changed code is another run."""

import dataclasses
import sys

import pytest

from refsr_bench.core import catalogue
from refsr_bench.core.schema import Code
from refsr_bench.evaluation.code_identity import code_of_card, code_of_command


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
    for name in ("bicubic", "edsr", "c2matching"):
        card = catalogue.get("METHODS", name)
        assert code_of_card(card) == Code(f"refsr-bench {name}", str(card.version), None)
        assert code_of_card(dataclasses.replace(card, version=card.version + 1)) != code_of_card(card)


@pytest.mark.parametrize("layout", ["package", "module", "system"])
def test_methods_of_others_are_known_by_their_files(tmp_path, monkeypatch, layout):
    source = "def load(weights, device): ...\ndef build(): ...\n"
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

    card = catalogue.get("METHODS", "edsr")
    if layout == "system":  # the card is made by method_card, whose load is this package's own
        card = dataclasses.replace(card, system=dataclasses.replace(card.system, build=theirlab.build))
    else:
        card = dataclasses.replace(card, load=theirlab.load)
    try:
        before = code_of_card(card)
        assert before.name == "theirlab" and before.sha256 and code_of_card(card) == before
        changed.write_text(changed.read_text() + "# another\n")
        assert code_of_card(card).sha256 != before.sha256
    finally:
        del sys.modules["theirlab"]
