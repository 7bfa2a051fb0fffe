"""Every command that the program prints is collected and run.

Commands are made by ``core.commands.command`` alone. Its calls are found in the syntax trees of all modules; a call
that no scenario below reaches fails, and so does a command in any other text.
"""

from __future__ import annotations

import ast
import os
import re
import shlex
import sys
import threading
from collections.abc import Iterator, Sequence
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import click
import pytest
import torch
from album import SCENES, save, view
from click.testing import CliRunner, Result
from msgspec.structs import replace
from PIL import Image

import refsr_bench
from baselines.nets.edsr import EDSR
from refsr_bench.cli import main
from refsr_bench.core import commands
from refsr_bench.core.cards import WeightsFile
from refsr_bench.core.errors import BenchError
from refsr_bench.formats.checkpoints import sha256, synthetic
from refsr_bench.registry import known

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("refsr_bench", "baselines", "c2matching", "leaderboard")
MODULES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in MODULES}
KINDS = ("j2", "js", "md", "yml")
TEXTS = [path for package in PACKAGES for kind in KINDS for path in (ROOT / package).rglob(f"*.{kind}")]
PAGES = [ROOT / "README.md", *(path for name in ("docs", "data_cards") for path in sorted((ROOT / name).rglob("*.md")))]
# Names of formats and of what wrote a file, which read like commands
FORMATS = {"weights 1", "study", "leaderboard", "run file", "view"}
FORMATS = {f"refsr-bench {name}" for name in FORMATS}
COMMAND = re.compile(rf"refsr-bench (?:{'|'.join(main.commands)})\b[^`'\"\n<]*")
SHORT = re.compile(rf"[`'](?:{'|'.join(main.commands)}) (?:[a-z]+|--[a-z-]+)[`']")
PLACEHOLDER = re.compile(r"[A-Z][A-Z_]+(?:[,/].*)?")
FILLED = {"ZIP_OR_DIR": "WR-SR.zip", "OTHER_FOLDER": "other", "FOLDER": "a split", "STUDY": "it's one", "DIR": "ppm"}
SERVERS = (["study", "serve"], ["build", "wrsr", "select"])


def strings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """The literals of a module with their lines; of an f-string, the parts between its values."""
    yield from (
        (node.lineno, node.value) for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )  # fmt: skip


def docstrings(tree: ast.Module) -> set[str]:
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
    return {ast.get_docstring(node, clean=False) or "" for node in ast.walk(tree) if isinstance(node, kinds)}


def calls(path: Path) -> list[ast.Call]:
    """The calls of ``command`` in a module."""
    nodes = (node for node in ast.walk(TREES[path]) if isinstance(node, ast.Call))
    return [node for node in nodes if isinstance(node.func, ast.Name) and node.func.id == "command"]


def constant(call: ast.Call) -> list[str] | None:
    """The words of a call that are written there, or None where some come from elsewhere."""
    written = all(isinstance(word, ast.Constant) for word in call.args)
    return [word.value for word in call.args] if written else None


def context(words: Sequence[str]) -> click.Context:
    """Parse a command line down to the command that it names, and run nothing. Raises click.UsageError."""
    here, rest = click.Context(main, info_name="refsr-bench"), list(words)
    while rest and isinstance(here.command, click.Group):
        name, found, rest = here.command.resolve_command(here, rest)
        here = click.Context(found, info_name=name, parent=here)
    return here if rest == ["--help"] else here.command.make_context(here.info_name, rest, parent=here.parent)


def mentioned(text: str, where: str) -> None:
    """Fail unless the command that a text mentions, perhaps in part, exists with its options."""
    here, rest = click.Context(main, info_name="refsr-bench"), text.partition("#")[0].split()[1:]
    while rest and isinstance(here.command, click.Group) and not rest[0].startswith("-"):
        if PLACEHOLDER.fullmatch(rest[0]):
            rest[0] = here.command.list_commands(here)[0]
        name, found, rest = here.command.resolve_command(here, rest)
        here = click.Context(found, info_name=name, parent=here)
    known = {name for option in here.command.get_params(here) for name in (*option.opts, *option.secondary_opts)}
    assert {word.rstrip(".,;:)") for word in rest if word.startswith("--")} <= known, f"{where}: {text}"


def test_no_command_is_written_by_hand() -> None:
    for path, tree in TREES.items():
        documented = docstrings(tree)
        for line, text in strings(tree):
            where = f"{path.relative_to(ROOT)}:{line}"
            if text in documented:
                for found in COMMAND.findall(text):
                    mentioned(found, where)
                continue
            found = [each for each in COMMAND.findall(text) if each.strip() not in FORMATS] + SHORT.findall(text)
            assert not found, f"{where}: make {found} with core.commands.command"
        if path != ROOT / "refsr_bench/core/commands.py":
            assert "shlex.join" not in ast.unparse(tree), f"{path}: use core.commands.command"


def test_options_in_messages_exist() -> None:
    """An option that was renamed is renamed in every message, too."""
    known = {"--nproc-per-node", "--help", "--no-deps"}  # torchrun's, click's, pip's
    git = "show-toplevel porcelain untracked-files branch list all force quiet message short detach create hard"
    known |= {f"--{word}" for word in git.split()}
    git = "--all --branch --create --detach --force --hard --list --message --porcelain --quiet --short --show-toplevel"
    known |= {*git.split(), "--untracked-files"}
    options = [option for each in every_command(main) for option in each.params]
    known |= {name for option in options for name in (*option.opts, *option.secondary_opts)}
    for path, tree in TREES.items():
        for line, text in strings(tree):
            if path.name != "style.py":  # whose variables are CSS's
                found = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", text))
                assert found <= known, f"{path.relative_to(ROOT)}:{line}: {sorted(found - known)}"


def every_command(group: click.Group) -> Iterator[click.Command]:
    here = click.Context(group)
    for name in group.list_commands(here):
        found = group.get_command(here, name)
        yield found
        if isinstance(found, click.Group):
            yield from every_command(found)


def test_commands_on_pages_exist() -> None:
    for path in (*TEXTS, *PAGES):
        for found in COMMAND.findall(path.read_text(encoding="utf-8").replace("\\\n", " ")):
            if found.strip() not in FORMATS:
                assert "{{" not in found, f"{path}: hand {found} to the template, made with core.commands.command"
                mentioned(found, str(path.relative_to(ROOT)))


def test_commands_written_in_one_piece_run() -> None:
    found = [(path, words) for path in MODULES for call in calls(path) if (words := constant(call))]
    assert len(found) >= 5
    for path, words in found:
        context(words)
        if not any(map(PLACEHOLDER.fullmatch, words)):
            done = CliRunner().invoke(main, words)
            assert done.exit_code == 0, f"{path}: {words}\n{done.output}"


def test_what_pip_is_told_to_install_is_in_an_index() -> None:
    """The project itself is in none: README installs it from its folder."""
    for path in (*MODULES, *TEXTS, *PAGES):
        for found in re.findall(r"pip install (?!--)['\"]?([^\s'\"`]+)", path.read_text(encoding="utf-8")):
            assert not found.startswith("refsr"), f"{path}: pip install {found}"


# -- commands that depend on what was asked --------------------------------------------------------------------------


class Person:
    """Somebody who types commands, reads what is printed and pastes it. reached: (file, line) of the calls made."""

    def __init__(self) -> None:
        self.reached: set[tuple[str, int]] = set()
        self.printed: list[str] = []

    def join(self, words: Sequence[str]) -> str:
        caller = sys._getframe(2)
        self.reached.add((caller.f_code.co_filename, caller.f_lineno))
        self.printed.append(shlex.join(words))
        return self.printed[-1]

    def type(self, *words: str | Path) -> Result:
        sys.argv = ["refsr-bench", *map(str, words)]
        return CliRunner().invoke(main, sys.argv[1:])

    def reads(self, *words: str | Path, code: int = 0) -> None:
        """Type a command, then run every command that it prints."""
        self.printed.clear()
        done = self.type(*words)
        assert done.exit_code == code, f"{words}\n{done.output}\n{done.exception!r}"
        shown = [each for each in self.printed if each in done.output]
        assert shown, f"{words} prints no command:\n{done.output}"
        self.paste(shown)

    def told(self, call: object, *arguments: object) -> None:
        """Call a function that refuses, then run the commands of its message."""
        self.printed.clear()
        with pytest.raises(BenchError) as caught:
            call(*arguments)
        self.paste([each for each in self.printed if each in str(caught.value)])
        assert self.printed

    def paste(self, lines: Sequence[str]) -> None:
        for line in list(lines):
            program, *words = shlex.split(line)
            if program == "python":
                compile(Path(words[0]).read_text(encoding="utf-8"), words[0], "exec")
                continue
            context(words)
            if words[:2] == ["weights", "fetch"] and words[2] != "net":
                continue  # of torchvision and others, whose servers tests do not ask
            words = [FILLED.get(word, word) for word in words]
            if not any(map(PLACEHOLDER.fullmatch, words)):
                many = words[0] in ("run", "robustness") and "sample" in words
                done = self.type(*words, *(["--limit", "1"] if many else []))
                assert done.exit_code == 0, f"{line}\n{done.output}\n{done.exception!r}"


@pytest.fixture
def person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Person:
    """A person in an empty folder, who opens no browser."""
    home = tmp_path / "it's a home"
    home.mkdir()
    monkeypatch.chdir(home)
    monkeypatch.delenv("REFSR_DATA", raising=False)
    monkeypatch.setenv("REFSR_WEIGHTS", str(home / "weights"))
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "share"))  # where data lies that no option places
    monkeypatch.setenv("REFSR_MIRROR", "")  # which the part that fetches sets
    (home / "net.pth").write_bytes(b"weights")
    net = WeightsFile("net.pth", "", name="net", url="https://x.org/", sha256=sha256(home / "net.pth"))
    monkeypatch.setattr(known, "PARTS", (*known.PARTS, net))
    monkeypatch.setattr("refsr_bench.study.serve.serve", lambda *_: None)
    monkeypatch.setattr("refsr_bench.builder.selection.server.serve", lambda *_: None)
    monkeypatch.setattr(sys, "argv", sys.argv)
    made = Person()
    monkeypatch.setattr(commands, "shlex", SimpleNamespace(join=made.join))
    return made


def data_sets(person: Person, wrsr_folder: Path) -> None:
    import shutil

    shutil.make_archive("WR-SR", "zip", wrsr_folder.parent, "WR-SR")
    person.reads("run", "--dataset", "sample", code=2)
    person.reads("run", "--method", "bicubic", "--dataset", "wrsr", "--data-root", "no where", code=2)
    person.reads("data", "prepare", "wrsr", "--from", "WR-SR.zip", "--data-root", "my data")
    next(Path("my data/WR-SR").rglob("*.png")).write_bytes(b"half")
    Path("weights").mkdir(exist_ok=True)
    Path("weights/edsr.safetensors").write_bytes(b"half")
    person.reads("doctor", "--data-root", "my data", code=1)
    Path("weights/edsr.safetensors").unlink()
    shutil.rmtree("my data")
    person.reads("data", "prepare", "wrsr", "--from", "WR-SR.zip", "--data-root", "my data")
    Path("my data/downloads/wrsr").mkdir(parents=True)
    shutil.copy("WR-SR.zip", "my data/downloads/wrsr")
    person.reads("data", "fetch", "wrsr", "--data-root", "my data")
    Path("my data/WR-SR/manifest.json").unlink()
    person.reads("data", "verify", "wrsr", "--data-root", "my data")
    split = ("--dataset", "sample", "--transform", "rotation", "--limit", "1", "--out", "a split")
    person.reads("build", "transform", *split)
    person.reads("run", "--method", "bicubic", "--dataset", "transform", "--data-root", "a split", code=2)
    Path("ppm/one").mkdir(parents=True)
    (Path("ppm/one") / "H_1_2").write_text("1 0 0 0 1 0 0 0 1")
    for n in (1, 2):
        Image.new("RGB", (64, 64)).save(f"ppm/one/{n}.ppm")
    person.reads("run", "--method", "bicubic", "--dataset", "hpatches", "--data-root", "ppm", code=1)


def weights(person: Person) -> None:
    torch.save(synthetic(EDSR(channels=8, blocks=1)).state_dict(), "edsr x4.pt")
    person.reads("weights", "info", "edsr x4.pt")
    person.reads("weights", "list")
    person.reads("run", "--method", "ttsr", "--dataset", "sample", code=2)
    with ThreadingHTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler) as mirror:
        threading.Thread(target=mirror.serve_forever, daemon=True).start()
        os.environ["REFSR_MIRROR"] = f"http://127.0.0.1:{mirror.server_port}"
        person.reads("weights", "where", "net", code=2)
        mirror.shutdown()


def results(person: Person) -> None:
    Path("no results").mkdir()
    person.reads("leaderboard", "build", "--results", "no results", code=1)
    person.told(refsr_bench.load_results, "nothing here")
    person.reads("leaderboard", "build", "--results", "not there", code=2)
    person.reads("compare", "bicubic", "--results", "no results", code=2)
    person.reads("compare", "bicubic", "c2matching", "--results", "not there either", code=2)


def figures(person: Person) -> None:
    for name in ("bicubic", "c2matching"):
        kept = ("--limit", "1", "--save-images", "--out", "my results")
        assert person.type("run", "--method", name, "--dataset", "sample", *kept).exit_code == 0
    init = ("study", "init", "it's one", "--methods", "bicubic,c2matching", "--dataset", "sample", "--attention", "0")
    person.reads("study", "report", "it's one", "--out", "report", code=2)
    person.reads(*init, "--results", "my results")
    person.reads("study", "report", "it's one", "--out", "report", code=2)
    tasks = person.type("study", "export", "it's one", "--tasks").output.splitlines()[1:]
    rows = [f"one,{','.join(task.split(',')[1:3])},left" for task in tasks]
    Path("answers.csv").write_text("\n".join(["participant,left,right,choice", *rows]))
    assert person.type("study", "import", "it's one", "answers.csv").exit_code == 0
    person.reads("leaderboard", "figures", "--results", "my results", "--out", "drawn")


def builder(person: Person) -> None:
    from refsr_bench.builder import tables
    from refsr_bench.builder.export import hub
    from refsr_bench.builder.project import Project
    from refsr_bench.builder.rows import Candidate, Query
    from refsr_bench.builder.selection.desk import Desk

    for which in SCENES[:2]:
        save(view(which, 0), Path("queries") / f"{which}.png")
        save(view(which, 1), Path("pool") / f"{which}.jpg")
    project, small = Path("a 'new' set"), ("query_min_long_side=100", "ref_min_long_side=100")
    wrsr = ("build", "wrsr")
    person.reads(*wrsr, "status", project, code=2)
    person.reads(*wrsr, "init", project, code=2)
    (project / "build.toml").unlink()
    assert person.type(*wrsr, "init", project, *(word for each in small for word in ("--set", each))).exit_code == 0
    person.reads(*wrsr, "clean", project, code=2)
    person.reads(*wrsr, "pool", project, "--from", "pool", "--license", "by", code=2)
    person.told(Desk, Project.open(project))
    assert person.type(*wrsr, "queries", project, "--from", "queries", "--license", "by").exit_code == 0
    assert person.type(*wrsr, "pool", project, "--from", "pool", "--license", "by").exit_code == 0
    person.reads(*wrsr, "select", project, code=2)
    person.reads(*wrsr, "rescale", project, code=2)
    assert person.type(*wrsr, "select", project, "--auto").exit_code == 0
    person.reads(*wrsr, "export", project, code=2)
    person.told(hub.push, Project.open(project), "somebody/set")
    person.reads(*wrsr, "export", project)
    for name, kind in (("queries", Query), ("pool", Candidate)):
        rows = getattr(Project.open(project), name)
        addressed = [replace(row, source_url=f"https://example.org/{row.file}") for row in rows]
        tables.write(project / f"{name}.csv", addressed, kind)
    person.reads(*wrsr, "export", project, "--by-reference")
    for which, n in ((4, 0), (4, 1), (4, 2), (0, 0), (1, 0), (5, 0)):
        save(view(which, n), Path("albums/one") / f"{which}{n}.png")
    person.reads("build", "levels", "--albums", "albums", "--out", "made levels")


def test_every_other_command_is_printed_by_a_scenario_and_runs(person: Person, wrsr) -> None:
    folder = wrsr(3)
    for part in (weights, results, figures, builder):
        part(person)
    data_sets(person, folder)
    for path in MODULES:
        for call in calls(path):
            lines = {(str(path), line) for line in range(call.lineno, call.end_lineno + 1)}
            where = f"{path.relative_to(ROOT)}:{call.lineno}"
            assert constant(call) or lines & person.reached, f"{where}: no scenario prints {ast.unparse(call)}"
