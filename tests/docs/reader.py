"""A new user who reads a page, and types, in an empty folder, what it says."""

from __future__ import annotations

import importlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from filled import fill, vgg19_file
from PIL import Image
from skimage import data

from baselines import esrgan
from baselines.nets.edsr import EDSR
from c2matching.nets.correspondence_network import ContrastiveExtractor
from c2matching.nets.restoration import RestorationNet
from refsr_bench.cli import main
from refsr_bench.core import catalogue
from refsr_bench.formats.checkpoints import synthetic

ROOT = Path(__file__).resolve().parents[2]
RUN, DATA = ("bash", "python"), ("toml", "text")  # the languages of the blocks that a page may have
SETUP = ("pip install ", "pip uninstall ", "apt-get ", "pytest", "python tests/", "python docs/", "python benchmarks/")
SETUP += ("ruff ", "python -m build", "twine ")
NAMED = re.compile(r"^# ([\w./-]+\.(?:py|toml))\n")  # the first line of a block that is a file
FENCE = re.compile(r"^```(\S*)[^\n]*\n(.*?)^```$", re.M | re.S)
TRAINED_AS = re.compile(r"^(?:torchrun|accelerate launch)\b.* -m refsr_bench ")
SHORT = ["teacher.iterations", "student.iterations", "restoration.iterations", "teacher.batch", "student.batch"]
SHORT = [f"{name}=1" for name in (*SHORT, "restoration.batch", "run.validation")]  # hours of training as seconds
SHORT += ["restoration.crop=64", "network.channels=8", "network.blocks=[1, 1, 1, 1]"]
MY_MODEL = """
import sys
from PIL import Image
lr, ref, out = sys.argv[1:]
small = Image.open(lr)
small.resize((4 * small.width, 4 * small.height)).save(out)
"""


@dataclass(frozen=True)
class Fence:
    """A block of a page between lines of three backticks."""

    language: str
    body: str

    @property
    def file(self) -> str:
        """The name of the file that the block is; empty for one that is typed."""
        named = NAMED.match(self.body)
        return named[1] if named else ""

    @property
    def commands(self) -> list[str]:
        """The lines of a shell; one that ends in a backslash goes on in the next."""
        lines = self.body.replace("\\\n", " ").splitlines() if self.language == "bash" else []
        return [line for line in map(str.strip, lines) if line and not line.startswith("#")]


def fences(page: str) -> list[Fence]:
    """Return the blocks of a page that are no directives of its site."""
    return [Fence(language, body) for language, body in FENCE.findall(page) if not language.startswith("{")]


def typed(page: str) -> list[str]:
    """Return what a reader of a page runs in a shell, without what installs and develops refsr-bench itself."""
    return [line for fence in fences(page) for line in fence.commands if not line.startswith(SETUP)]


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


@dataclass
class Reader:
    """Somebody in an empty folder. photo: makes a cut of a real photograph; wrsr: a folder in WR-SR's layout.

    export: sets an environment variable until the page is read.
    """

    home: Path
    photo: Callable[..., np.ndarray]
    wrsr: Callable[..., Path]
    export: Callable[[str, str], None]
    python: dict[str, Any] = field(default_factory=dict)

    def follow(self, page: str) -> None:
        """Bring what the page takes for granted, then do what its blocks say, in their order."""
        for name, make in self._makers().items():
            if re.search(rf"(?<![\w./-]){re.escape(name)}(?![\w-])", page):
                make()
        for fence in fences(page):
            assert fence.language in (*RUN, *DATA), f"a block in {fence.language or 'no language'}:\n{fence.body}"
            if fence.file:
                (self.home / fence.file).parent.mkdir(parents=True, exist_ok=True)
                (self.home / fence.file).write_text(fence.body, encoding="utf-8")
            elif fence.language == "python":
                exec(compile(fence.body, "page.py", "exec"), self.python)
            for line in fence.commands:
                self.type(line)

    def type(self, line: str) -> None:
        """Do what a line of a shell says. Long work is cut to its first images and steps."""
        if line.startswith("pip install ./"):
            self._install(line.removeprefix("pip install "))
        elif line.startswith(SETUP):
            return
        elif line.startswith("export "):
            self.export(*shlex.split(line)[1].split("=", 1))
        elif line.startswith("refsr-bench "):
            self._refsr_bench(shlex.split(line, comments=True)[1:])
        elif TRAINED_AS.match(line):
            self._refsr_bench(shlex.split(TRAINED_AS.sub("", line), comments=True))
        elif line.startswith("python "):
            words = [sys.executable, *shlex.split(line, comments=True)[1:]]
            subprocess.run(words, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
        else:
            pytest.fail(f"nobody knows how to test the line {line!r}")

    def _refsr_bench(self, arguments: list[str]) -> None:
        if arguments[:2] == ["study", "serve"]:
            take_part(arguments[2])
            return
        *arguments, into, file = arguments if ">" in arguments[-2:] else (*arguments, "", "")
        done = CliRunner().invoke(main, list(shortened(arguments)))
        assert done.exit_code == 0, f"refsr-bench {shlex.join(arguments)}\n{done.output}\n{done.exception!r}"
        if into:
            (self.home / file).write_text(done.stdout, encoding="utf-8")

    def _install(self, folder: str) -> None:
        """Install a package from a folder, without the network, where this process finds it and its entry points."""
        place = str(self.home / "site-packages")
        words = ("install", "-q", "--no-index", "--no-deps", "--no-build-isolation", "--target", place, folder)
        subprocess.run([sys.executable, "-m", "pip", *words], check=True)
        sys.path.insert(0, place)
        importlib.invalidate_caches()
        catalogue.forget()

    def _makers(self) -> dict[str, Callable[[], Any]]:
        """By the name of a file or folder that pages take for granted, what makes it in this folder."""
        home = self.home
        return {
            "WR-SR.zip": lambda: shutil.make_archive(str(home / "WR-SR"), "zip", self.wrsr(3).parent, "WR-SR"),
            "small.png": partial(self._save, "small.png", 30, 40, 0),
            "similar.jpg": partial(self._save, "similar.jpg", 120, 90, 1),
            "another.jpg": partial(self._save, "another.jpg", 100, 130, 2),
            "photos": self._photos,
            "pool": self._pool,
            "authors/c2_matching_restoration_mse.pth": self._authors,
            "edsr_x4.pt": lambda: torch.save(synthetic(EDSR(channels=8, blocks=1)).state_dict(), home / "edsr_x4.pt"),
            "my-model.pth": self._model,
            "mymodel.py": lambda: (home / "mymodel.py").write_text(MY_MODEL),
            "my-photos": self._my_photos,
            "albums": self._albums,
        }

    def _save(self, name: str, *cut: int) -> None:
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(self.photo(*cut)).save(path)

    def _photos(self) -> None:
        for n in range(5):
            self._save(f"photos/{n}.png", 180, 200, n)
        Image.fromarray(data.stereo_motorcycle()[0][40:460, 60:540]).save(self.home / "photos/5.png")

    def _pool(self) -> None:
        (self.home / "pool").mkdir()
        for n, image in enumerate((data.stereo_motorcycle()[1], data.coffee(), data.rocket())):
            Image.fromarray(image[:460, :640]).save(self.home / f"pool/{n}.png")

    def _authors(self) -> None:
        (self.home / "authors").mkdir()
        torch.save(fill(RestorationNet()).state_dict(), self.home / "authors/c2_matching_restoration_mse.pth")
        torch.save(fill(ContrastiveExtractor()).state_dict(), self.home / "authors/feature_extraction.pth")
        torch.save(vgg19_file(10), self.home / "authors/vgg19-dcbb9e9d.pth")

    def _model(self) -> None:
        net = esrgan.SYSTEM.network(channels=8, blocks=1, growth=4)
        torch.save({"params_ema": net.state_dict()}, self.home / "my-model.pth")

    def _my_photos(self) -> None:
        """Three images and a similar one for each, in the layout of a folder of one's own."""
        for n, name in enumerate(("bridge", "market", "tower")):
            self._save(f"my-photos/hr/{name}.png", 96, 128, n)
            self._save(f"my-photos/ref/{name}.png", 112, 104, n + 3)

    def _albums(self) -> None:
        (self.home / "albums" / "motorcycle").mkdir(parents=True)
        for n, image in enumerate(data.stereo_motorcycle()[:2]):
            Image.fromarray(image).save(self.home / "albums" / "motorcycle" / f"{n}.png")


def shortened(arguments: list[str]) -> Iterator[str]:
    """Return the words of a command, with those that cut hours of work to seconds and change nothing else."""
    words = list(arguments)
    if words[0] == "run" and "--command" in words:
        place = words.index("--command") + 1
        words[place] = words[place].replace("python ", f"{sys.executable} ")
    if "--budget" in words:
        words[words.index("--budget") + 1] = "1"
    yield from words
    methods = {value for name, value in pairwise(words) if name == "--method"}
    if words[0] == "run" and "sample" in words and "--limit" not in words and methods != {"bicubic"}:
        yield from ("--limit", "2")
    if words[0] == "ablation" and "--dataset" not in words:
        yield from ("--dataset", "wrsr", "--data-root", "data")
    if (words[0] == "robustness" or words[:2] == ["build", "transform"]) and "--limit" not in words:
        yield from ("--limit", "1")
    if words[:3] == ["build", "wrsr", "init"]:
        yield from (word for side in ("query", "ref") for word in ("--set", f"{side}_min_long_side=150"))
    if words[0] in ("train", "ablation"):
        yield from (word for setting in SHORT for word in ("--set", setting))

