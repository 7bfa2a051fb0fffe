"""Methods, datasets, metrics and protocols are found by file; names are unique; other distributions take part."""

import dataclasses
import re
import sys
from pathlib import Path

import pytest

from refsr_bench.core import catalogue
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.data.opening import open_dataset
from refsr_bench.evaluation.loop import evaluate
from refsr_bench.evaluation.metrics import load_metrics
from refsr_bench.evaluation.plan import Plan
from refsr_bench.evaluation.predictors import method_predictor


@pytest.fixture
def other_distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Install a package ``otherlab`` with one method in a distribution of its own; returns a function of its source."""

    def install(source: str) -> None:
        (tmp_path / "otherlab").mkdir()
        (tmp_path / "otherlab" / "__init__.py").write_text("")
        (tmp_path / "otherlab" / "theirs.py").write_text(source)
        info = tmp_path / "otherlab-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: otherlab\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[refsr_bench]\notherlab = otherlab\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        catalogue.forget()

    yield install
    for name in [name for name in sys.modules if name.startswith("otherlab")]:
        del sys.modules[name]
    catalogue.forget()


SOURCE = """
from dataclasses import replace
from baselines.bicubic import METHODS as BICUBIC
METHODS = (replace(BICUBIC[0], name={name!r}),)
"""


def test_everything_that_ships_is_found() -> None:
    assert {"bicubic", "c2matching"} <= set(catalogue.collect("METHODS"))
    assert {"sample", "cufed5", "wrsr", "sun80", "urban100", "manga109", "folder"} <= set(catalogue.collect("DATASETS"))
    assert {"c2", "srntt", "ttsr", "masa", "amsa", "mmagic-rgb", "matlab"} <= set(catalogue.collect("PROTOCOLS"))
    assert {"psnr_y", "ssim_y", "ssim_y_uniform7", "psnr_rgb", "lpips"} <= set(catalogue.collect("METRICS"))


def test_a_near_name_is_suggested() -> None:
    with pytest.raises(Misuse, match="Did you mean c2matching"):
        catalogue.get("METHODS", "c2matchin")
    with pytest.raises(Misuse, match=r"Known: .*wrsr"):
        catalogue.get("DATASETS", "zzzzzzz")


def test_another_distribution_adds_a_method(other_distribution) -> None:
    other_distribution(SOURCE.format(name="theirs"))
    assert catalogue.get("METHODS", "theirs").title == "Bicubic"


def test_a_name_used_twice_is_refused_naming_both_files(other_distribution) -> None:
    other_distribution(SOURCE.format(name="bicubic"))
    with pytest.raises(BenchError, match=r"(?s)bicubic.*(bicubic\.py.*theirs\.py|theirs\.py.*bicubic\.py)"):
        catalogue.collect("METHODS")


@pytest.mark.parametrize("source", ["import nowhere_to_be_found", "raise SystemExit(3)", "METHODS = (", "1 / 0"])
def test_a_broken_plugin_is_left_out_and_named(other_distribution, source: str, caplog) -> None:
    other_distribution(source)
    with caplog.at_level("WARNING", logger="refsr_bench"):
        assert "bicubic" in catalogue.collect("METHODS") and "psnr_y" in catalogue.collect("METRICS")
    (plugin,) = catalogue.plugins()
    assert (plugin.value, plugin.distribution, plugin.version) == ("otherlab", "otherlab", "1.0")
    ((module, error),) = plugin.errors
    assert module == "otherlab.theirs" and error in caplog.text and len(caplog.records) == 1
    assert error.partition(":")[0] in ("ModuleNotFoundError", "SystemExit", "SyntaxError", "ZeroDivisionError")


def test_an_error_of_our_own_is_raised(monkeypatch) -> None:
    monkeypatch.setattr(catalogue.importlib, "import_module", lambda name: 1 / 0)
    catalogue.forget()
    with pytest.raises(ZeroDivisionError):
        catalogue.collect("METHODS")
    monkeypatch.undo()
    catalogue.forget()


def test_the_example_of_the_design_page_is_a_method(other_distribution, tmp_path: Path) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "project" / "design.md").read_text(encoding="utf-8")
    (source,) = [block for block in re.findall(r"```python\n(.*?)```", page, flags=re.S) if "METHODS" in block]
    other_distribution(source.replace("        ...\n", "        sr = lr.repeat(scale, 0).repeat(scale, 1)\n"))
    card, sample = catalogue.get("METHODS", "mine"), open_dataset("sample")
    predictor = method_predictor(card, card.load(None, "cpu"), "cpu")
    plan = Plan(predictor, sample, catalogue.get("PROTOCOLS", "c2"), load_metrics(["psnr_y", "ssim_y"], "cpu"))
    result, _ = evaluate(dataclasses.replace(plan, pairs=sample.pairs[:1]), tmp_path)
    assert result.means["psnr_y"] > 20 and result.run.code.sha256 is not None
