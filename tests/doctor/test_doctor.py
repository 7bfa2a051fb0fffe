"""``doctor`` finds what is there, what is missing and what is broken, and tells no secrets."""

import json
import os
import sys
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from refsr_bench.cli import main
from refsr_bench.core import catalogue
from refsr_bench.core.errors import BenchError
from refsr_bench.core.schema import Machine
from refsr_bench.doctor import examine, words
from refsr_bench.doctor.private import hidden
from refsr_bench.doctor.report import Finding, Report
from refsr_bench.learning import weights


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A home of somebody called adalovelace, with nothing in it, and a catalogue that is looked for anew."""
    home = tmp_path / "adalovelace"
    home.mkdir()
    for name in [name for name in os.environ if name.startswith(("REFSR_", "XDG_"))]:
        monkeypatch.delenv(name)
    for name, value in {"HOME": home, "USER": "adalovelace", "TORCH_HOME": home / "torch"}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setattr("platform.node", lambda: "analytical-engine.example.org")
    monkeypatch.chdir(home)
    catalogue.forget()
    yield home
    for name in [name for name in sys.modules if name.startswith("otherlab")]:
        del sys.modules[name]
    catalogue.forget()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the parts that take seconds, for tests of the others."""
    for part in ("datasets", "method_weights", "devices"):
        monkeypatch.setattr(examine, part, lambda *_: iter(()))


def plugin(folder: Path, monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    (folder / "otherlab").mkdir()
    (folder / "otherlab" / "__init__.py").write_text(source)
    info = folder / "otherlab-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: otherlab\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[refsr_bench]\nlab = otherlab\n")
    monkeypatch.syspath_prepend(str(folder))
    catalogue.forget()


def doctor(*options: str, code: int = 0) -> Result:
    done = CliRunner().invoke(main, ["doctor", *options])
    assert done.exit_code == code, f"{done.output}\n{done.exception!r}"
    return done


def found(section: str, *options: str, code: int = 0) -> dict[str, dict]:
    report = json.loads(doctor("--json", *options, code=code).stdout)
    return {each["subject"]: each for each in report["findings"] if each["section"] == section}


def test_a_fresh_installation_is_good_and_says_what_some_work_needs(home: Path) -> None:
    report = json.loads(doctor("--json").stdout)
    states = {(each["section"], each["subject"]): each["state"] for each in report["findings"]}
    assert states["data sets", "sample"] == states["weights", "c2matching"] == states["devices", "cpu"] == "good"
    assert states["data sets", "cufed5"] == states["weights", "ttsr"] == states["metrics", "dists"] == "missing"
    assert "broken" not in states.values()
    assert report["machine"]["threads"] >= 1 and report["machine"]["memory_mb"] > 100
    text = doctor().stdout
    assert "refsr-bench data info NAME says where to get it" in text and text.endswith("Nothing is broken.\n")
    assert text.count("refsr-bench methods info NAME") == 1  # one line for all methods without weights


def test_a_broken_plugin_is_named_and_the_rest_is_looked_at(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin(home, monkeypatch, "import nowhere_to_be_found")
    monkeypatch.setattr(examine, "datasets", lambda *_: iter(()))
    named = found("plugins", code=1)["lab"]
    assert named["state"] == "broken" and "otherlab 1.0" in named["words"] and "nowhere_to_be_found" in named["words"]
    assert named["mend"] == "mend otherlab, or pip uninstall otherlab"
    assert "c2matching" in found("weights", code=1)
    assert "Broken: lab (plugins)." in doctor(code=1).stdout


def test_a_plugin_that_takes_a_name_twice_is_told(home: Path, monkeypatch: pytest.MonkeyPatch, quick: None) -> None:
    plugin(home, monkeypatch, "from refsr_bench.metrics.psnr import METRICS")
    assert "Two files export the metric" in found("metrics", code=1)["catalogue"]["words"]
    assert found("plugins", code=1)["lab"]["state"] == "good"


def test_damaged_weights_are_found(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examine, "datasets", lambda *_: iter(()))
    folder = home / "my weights"
    folder.mkdir()
    (folder / "edsr.safetensors").write_bytes(b"half a file")
    (folder / "alexnet-owt-7be5be79.pth").write_bytes(b"half a file")
    monkeypatch.setenv("REFSR_WEIGHTS", str(folder))
    edsr = found("weights", code=1)["edsr"]
    assert edsr["state"] == "broken" and "$REFSR_WEIGHTS/edsr.safetensors" in edsr["words"]
    assert edsr["mend"] == "refsr-bench weights import --method edsr FILE"
    lpips = found("metrics", code=1)["lpips"]
    assert lpips["state"] == "broken" and "begins with 7be5be79" in lpips["words"]


def test_bundled_weights_are_compared_with_their_digest(home: Path) -> None:
    card = catalogue.get("METHODS", "c2matching")
    copy = home / card.bundled.name
    (home / "digests.json").write_bytes((card.bundled.parent / "digests.json").read_bytes())
    data = bytearray(card.bundled.read_bytes())
    copy.write_bytes(data)
    assert weights.whole(replace(card, bundled=copy), copy).startswith("009d2ef9")
    data[-1] ^= 1
    copy.write_bytes(data)
    with pytest.raises(BenchError, match="is damaged: its SHA-256 begins with"):
        weights.whole(replace(card, bundled=copy), copy)


def test_a_damaged_data_set_is_found(home: Path, monkeypatch: pytest.MonkeyPatch, wrsr) -> None:
    for part in ("method_weights", "devices"):
        monkeypatch.setattr(examine, part, lambda *_: iter(()))
    folder = wrsr(2)
    root = ("--data-root", str(folder.parent))
    assert found("data sets", *root)["wrsr"]["words"] == "2 pairs, not the published set"
    next(folder.rglob("*.png")).unlink()
    broken = found("data sets", *root, code=1)["wrsr"]
    assert broken["state"] == "broken" and "missing" in broken["words"] and str(folder.parent) not in broken["words"]
    assert broken["mend"] == "refsr-bench data prepare wrsr --from ZIP_OR_DIR --data-root DATA_ROOT"


def test_a_file_that_changed_since_the_data_set_was_prepared_is_found(home: Path, wrsr, monkeypatch) -> None:
    monkeypatch.setenv("REFSR_DATA", str(home / "data"))
    prepared = CliRunner().invoke(main, ["data", "prepare", "wrsr", "--from", str(wrsr(2))])
    assert prepared.exit_code == 0, prepared.output
    (good,) = [each for each in examine.datasets(None) if each.subject == "wrsr"]
    assert good.state == "good"
    path = next((home / "data").rglob("*.png"))
    path.write_bytes(path.read_bytes() + b"more")
    (changed,) = [each for each in examine.datasets(None) if each.subject == "wrsr"]
    assert changed.state == "broken" and "1 files changed" in changed.words and path.name in changed.words


def test_packages_that_are_missing_or_too_old_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = ["numpy>=1.26", "pillow>=999", "nowhere-to-be-found>=2", 'faiss-nowhere>=1; extra == "build"']
    monkeypatch.setattr(metadata, "requires", lambda name: wanted)
    found = {each.subject: each for each in examine.packages()}
    assert [found[name].state for name in ("numpy", "pillow", "nowhere-to-be-found")] == ["good", "broken", "broken"]
    assert found["pillow"].mend == "pip install 'pillow>=999'"
    assert found["faiss-nowhere"].state == "missing" and "building a data set needs" in found["faiss-nowhere"].words


def test_a_device_that_cannot_compute_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    def refuse(*args: object, **kwargs: object) -> None:
        raise RuntimeError("no kernel image is available\nfor execution")

    monkeypatch.setattr(torch, "ones", refuse)
    (cpu,) = [each for each in examine.devices() if each.subject == "cpu"]
    assert (cpu.state, cpu.words) == ("broken", "no kernel image is available")


@pytest.mark.parametrize("form", ["--json", "--markdown", ""])
def test_no_names_folders_or_secrets_are_printed(home: Path, monkeypatch: pytest.MonkeyPatch, quick, form: str) -> None:
    source = (
        "import os, pathlib, platform\n"
        "raise RuntimeError(f\"{os.environ['HF_TOKEN']} of {os.environ['USER']} at {pathlib.Path.home()}/.cache on \"\n"
        "f\"{platform.node()} behind {os.environ['https_proxy']} | {pathlib.Path.home().parent / 'data' / 'x'}\")"
    )
    monkeypatch.setenv("HF_TOKEN", "hf_abcdefghijk")
    monkeypatch.setenv("REFSR_UPLOAD_KEY", "s3cr3t-value")
    monkeypatch.setenv("https_proxy", "http://ada:pass@proxy.example.org")
    monkeypatch.setenv("REFSR_DATA", str(home.parent / "data"))
    plugin(home, monkeypatch, source)
    text = doctor(*filter(None, [form]), code=1).stdout
    for secret in ("hf_abc", "s3cr3t", "ada:pass", "adalovelace", "analytical-engine", str(home.parent)):
        assert secret not in text, secret
    assert "*** of USER at ~/.cache on HOST behind ***" in text and "$REFSR_DATA/x" in text
    assert "REFSR_UPLOAD_KEY" in text and "REFSR_DATA" in text


def test_markdown_keeps_its_table_whole() -> None:
    machine = Machine("cpu", {"python": "3.12"})
    report = Report(machine, (Finding("plugins", "a|b", "broken", "two\nlines | `x`"),))
    table = [line for line in words.markdown(report).splitlines() if line.startswith("|")]
    assert table[2] == "| plugins | a\\|b | broken | two lines \\| `x` |"
    assert "unknown processor" in words.text(report)


def test_short_or_common_values_are_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "a")
    monkeypatch.setenv("USER", "root")
    report = Report(Machine("cpu", {}), (Finding("plugins", "root", "good", "a root"),))
    assert hidden(report, {}).findings == report.findings
