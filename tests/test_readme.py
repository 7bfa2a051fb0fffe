"""Every command and every Python line in README runs, in order, as a new user would type it."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from filled import fill, vgg19_file
from PIL import Image
from skimage import data

from baselines.nets.edsr import EDSR
from c2matching.nets.correspondence_network import ContrastiveExtractor
from c2matching.nets.restoration import RestorationNet
from refsr_bench.cli import main
from refsr_bench.formats.checkpoints import synthetic

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [line for block in re.findall(r"```bash\n(.*?)```", README, flags=re.S) for line in block.splitlines()]
PYTHON = re.findall(r"```python\n(.*?)```", README, flags=re.S)
SETUP = {"pip install .", 'pip install ".[test]"', "pytest"}  # what .ci/run types
MY_MODEL = """
import sys
from PIL import Image
lr, ref, out = sys.argv[1:]
small = Image.open(lr)
small.resize((4 * small.width, 4 * small.height)).save(out)
"""
SHORT = ["teacher.iterations", "student.iterations", "restoration.iterations", "teacher.batch", "student.batch"]
SHORT = [f"{field}=1" for field in (*SHORT, "restoration.batch", "run.validation")]  # hours of training as seconds
SHORT += ["restoration.crop=64", "network.channels=8", "network.blocks=[1, 1, 1, 1]"]


def take_part(study: str) -> None:
    """Open the study's page, then answer everything as a crowd platform would hand it in: always the sharper one."""
    command = [sys.executable, "-m", "refsr_bench", "study", "serve", study, "--no-browser"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server:
        try:
            browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
            page = browser.open(server.stdout.readline().split()[-1], timeout=60).read()
        finally:
            server.terminate()  # every choice is saved at once, so that any end will do
    assert b"<!doctype html" in page.lower()
    tasks = CliRunner().invoke(main, ["study", "export", study, "--tasks"]).output.splitlines()[1:]
    pairs = [task.split(",")[1:3] for task in tasks]
    # Detail costs bytes.
    size = {name: (Path(study) / "images" / name).stat().st_size for pair in pairs for name in pair}
    answers = [f"one,{a},{b},{'left' if size[a] > size[b] else 'right'}" for a, b in pairs]
    Path("answers.csv").write_text("\n".join(["participant,left,right,choice", *answers]))
    assert CliRunner().invoke(main, ["study", "import", study, "answers.csv"]).exit_code == 0


def test_commands_run_one_after_the_other(wrsr, photo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(home)
    monkeypatch.delenv("REFSR_DATA", raising=False)
    monkeypatch.setenv("REFSR_WEIGHTS", str(home / "weights"))
    shutil.make_archive(str(home / "WR-SR"), "zip", wrsr(3).parent, "WR-SR")
    Image.fromarray(photo(30, 40, 0)).save("small.png")
    Image.fromarray(photo(120, 90, 1)).save("similar.jpg")
    Image.fromarray(photo(100, 130, 2)).save("another.jpg")
    (home / "photos").mkdir()
    for n in range(5):
        Image.fromarray(photo(180, 200, n)).save(f"photos/{n}.png")
    (home / "pool").mkdir()
    for n, image in enumerate((data.stereo_motorcycle()[1], data.coffee(), data.rocket())):
        Image.fromarray(image[:460, :640]).save(f"pool/{n}.png")
    Image.fromarray(data.stereo_motorcycle()[0][40:460, 60:540]).save("photos/5.png")
    (home / "authors").mkdir()
    torch.save(fill(RestorationNet()).state_dict(), "authors/c2_matching_restoration_mse.pth")
    torch.save(fill(ContrastiveExtractor()).state_dict(), "authors/feature_extraction.pth")
    torch.save(vgg19_file(10), "authors/vgg19-dcbb9e9d.pth")
    torch.save(synthetic(EDSR(channels=8, blocks=1)).state_dict(), "edsr_x4.pt")
    (home / "mymodel.py").write_text(MY_MODEL)
    ours = [command for command in COMMANDS if command not in SETUP]
    assert len(ours) >= 15 and all(command.startswith("refsr-bench ") for command in ours)
    for command in ours:
        _, *arguments = shlex.split(command)
        if arguments[0] == "run" and "--command" in arguments:
            place = arguments.index("--command") + 1
            arguments[place] = arguments[place].replace("python ", f"{sys.executable} ")
        if arguments[:2] == ["study", "serve"]:
            take_part(arguments[2])
            continue
        if arguments[0] == "run" and "sample" in arguments and "--limit" not in arguments:
            arguments += ["--limit", "2"]
        if arguments[0] == "ablation":
            arguments += ["--dataset", "wrsr", "--data-root", "data"]
        if arguments[0] == "robustness" or arguments[:2] == ["build", "transform"]:
            arguments += ["--limit", "1"]
        if arguments[:3] == ["build", "wrsr", "init"]:
            arguments += [word for side in ("query", "ref") for word in ("--set", f"{side}_min_long_side=150")]
        if "--budget" in arguments:
            arguments[arguments.index("--budget") + 1] = "1"
        if arguments[0] in ("train", "ablation"):
            arguments += [word for setting in SHORT for word in ("--set", setting)]
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 0, f"{command}\n{result.output}\n{result.exception}"
    assert (home / "results/site/index.html").is_file() and (home / "site/index.html").is_file()
    for block in PYTHON:  # which reads the results, too
        exec(compile(block, "README.md", "exec"), {})
    assert len(PYTHON) == 1


def test_the_table_of_methods_is_that_of_the_catalogue() -> None:
    from docs.scripts.methods_table import written

    assert written(README) == README, "run python docs/scripts/methods_table.py"


def test_the_table_of_matchers_is_that_of_the_catalogue() -> None:
    from docs.scripts.methods_table import written

    page = (ROOT / "docs" / "reference" / "methods.md").read_text(encoding="utf-8")
    assert "| `sift` |" in page and written(page) == page, "run python docs/scripts/methods_table.py"


def test_setup_commands_are_those_of_the_continuous_test() -> None:
    script = (ROOT / ".ci/run").read_text()
    for command in SETUP:
        assert re.search(rf"^{re.escape(command).replace('install', 'install.*')}$", script, flags=re.M), command


def test_the_installed_command_answers() -> None:
    command = shutil.which("refsr-bench") or shutil.which("refsr-bench", path=Path(sys.executable).parent)
    assert command, "the package is not installed: pip install ."
    shown = subprocess.run([command, "--help"], capture_output=True, text=True, check=True).stdout
    assert "reference-based super-resolution" in shown


@pytest.mark.parametrize("page", ["README.md", *sorted(str(p.relative_to(ROOT)) for p in ROOT.glob("docs/**/*.md"))])
def test_links_to_files_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (ROOT / page).parent.joinpath(target).exists(), target
