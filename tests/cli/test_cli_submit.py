"""``refsr-bench submit``: a real run checked with its images, a doctored one refused, workflows run as they stand."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from PIL import Image

from refsr_bench.cli import main

REPOSITORY = Path(__file__).resolve().parents[2]


def invoke(*arguments):
    return CliRunner().invoke(main, [str(a) for a in arguments])


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """The folder of a real run, two images of ``sample`` with their SR."""
    out = tmp_path_factory.mktemp("submit") / "results"
    done = invoke("run", "--method", "bicubic", "--dataset", "sample", "--limit", 2, "--save-images", "--out", out)
    assert done.exit_code == 0, done.output
    return out / "c2" / "sample" / "bicubic"


@pytest.fixture
def run(measured, tmp_path):
    return Path(shutil.copytree(measured, tmp_path / "run"))


def change(folder, edit):
    value = json.loads((folder / "result.json").read_text())
    edit(value)
    (folder / "result.json").write_text(json.dumps(value))
    return folder / "result.json"


def test_a_real_run_passes_with_every_image_measured_again(run):
    done = invoke("submit", "check", run / "result.json", "--sample", "all")
    assert done.exit_code == 0, done.output
    assert "result.json: ok" in done.output and "2 of 2 images measured again with psnr_y" in done.output
    (report,) = json.loads(invoke("submit", "check", run / "result.json", "--sample", 1, "--json").stdout)["files"]
    assert report["ok"] and report["measured_again"] == 1
    assert [(f["level"], f["text"]) for f in report["findings"]] == [("warning", "2 of 8 pairs: never ranked")]


def test_numbers_that_the_images_do_not_make_are_found(run):
    def better(value):
        for image in value["images"]:
            image["metrics"]["psnr_y"] += 0.1
        value["means"]["psnr_y"] += 0.1

    done = invoke("submit", "check", change(run, better), "--sample", "all")
    assert done.exit_code == 1
    assert done.output.count("psnr_y is given as") == 2 and "failed" in done.output


def test_other_pixels_another_size_and_missing_images_are_found(run):
    first, second = sorted((run / "images").glob("*.png"))
    pixels = np.asarray(Image.open(first)).copy()
    pixels[100, 100] ^= 1
    Image.fromarray(pixels).save(first)
    Image.fromarray(pixels[:-4]).save(second)
    done = invoke("submit", "check", run / "result.json", "--sample", "all")
    assert done.exit_code == 1
    assert f"{first.name} has other pixels than those measured" in done.output
    assert f"{second.name} is 320x" in done.output or f"{second.name} is" in done.output
    second.unlink()
    assert f"there is no file {second.name}" in invoke("submit", "check", run / "result.json", "--sample", "all").output


def test_another_protocol_or_data_set_is_found(run):
    from refsr_bench.core.reader import digest

    def protocol(value):
        value["run"]["protocol"]["fields"]["border"] = 0
        value["run"]["protocol"]["digest"] = digest(value["run"]["protocol"]["fields"])

    done = invoke("submit", "check", change(run, protocol))
    assert done.exit_code == 1 and "is not c2 as it is here: border is 0, here 4" in done.output

    def pairs(value):
        protocol_fields = value["run"]["protocol"]
        protocol_fields["fields"]["border"] = 4
        protocol_fields["digest"] = digest(protocol_fields["fields"])
        value["run"]["dataset"]["n_pairs"] = 9

    done = invoke("submit", "check", change(run, pairs))
    assert done.exit_code == 1 and "is 9; there are 8 pairs here" in done.output


def test_without_images_the_file_alone_is_checked(run):
    shutil.rmtree(run / "images")
    done = invoke("submit", "check", run / "result.json")
    assert done.exit_code == 0 and "No image was measured again: no folder" in done.output


@pytest.mark.parametrize(
    "arguments, text",
    [
        (("nowhere.json",), "There is no file nowhere.json"),
        (("result.json", "--sample", "-3"), "--sample takes a number or 'all', not '-3'"),
        (("result.json", "--images", "nowhere"), "no such folder"),
        (("result.json", "result.json", "--images", "."), "belongs to one run file"),
    ],
)
def test_misuse_is_told(run, monkeypatch, arguments, text):
    monkeypatch.chdir(run)
    done = invoke("submit", "check", *arguments)
    assert done.exit_code == 2 and text in done.output


def test_text_of_a_hostile_file_does_not_reach_the_terminal_raw(run):
    done = invoke("submit", "check", change(run, lambda v: v["run"]["method"].update(year="\x1b[31mred")))
    assert done.exit_code == 1 and "\x1b" not in done.output


def test_text_of_a_file_is_one_line_each(run):
    """A line of its own could be a command to the terminal or to the service that runs the check."""

    def fail(value):
        value["images"][0] = {**value["images"][0], "error": "broken\n::warning::x\x1b[2J\u202e", "metrics": {}}
        value["means"] = value["images"][1]["metrics"]

    done = invoke("submit", "check", change(run, fail))
    assert "broken ::warning::x" in done.output and "\x1b" not in done.output and "\u202e" not in done.output
    assert not any(line.lstrip().startswith("::") for line in done.output.splitlines())
    report = invoke("submit", "check", run / "result.json", "--json").stdout
    assert report.isascii() and "\x1b" not in report and json.loads(report)


def test_a_claim_to_a_published_data_set_is_compared_without_its_files(run, tmp_path):
    def claim(value):
        value["run"]["dataset"] |= {"name": "cufed5", "title": "CUFED5", "official": True}

    path = change(run, claim)
    done = invoke("submit", "check", path, "--data-root", tmp_path)
    assert done.exit_code == 1 and "error: run.dataset.n_pairs: is 8; the official cufed5 has 126" in done.output
    change(run, lambda value: value["run"]["dataset"].update(official=False))
    done = invoke("submit", "check", path, "--data-root", tmp_path)
    assert done.exit_code == 0 and "Data set not compared" in done.output


def test_a_run_of_version_1_is_kept_and_checked_and_never_mixed_with_a_new_one(measured, tmp_path):
    """Its code and its arithmetic are not known, so what is measured now is another run."""
    new = tmp_path / "results" / "c2" / "sample" / "bicubic"
    shutil.copytree(measured, new)
    result = json.loads((new / "result.json").read_text())
    facts = result["run"]
    facts |= {"schema_version": 1, "device": "cpu", "versions": facts["machine"]["versions"]}
    facts["method"] |= {"weights": "none", "weights_sha256": None}
    for name in ("kind", "origin", "code", "timing", "arithmetic", "machine"):
        del facts[name]
    for name in ("gmacs", "notes", "verified", "options"):
        del facts["method"][name]
    del facts["dataset"]["variation"]
    for image in result["images"]:
        del image["leak"]
    (new / "run.json").write_text(json.dumps(facts))
    (new / "result.json").write_text(json.dumps(result))
    before = {path.name: path.read_bytes() for path in new.glob("*.json*")}
    done = invoke("submit", "check", new / "result.json", "--sample", "all")
    assert done.exit_code == 0 and "2 of 2 images measured again" in done.output, done.output
    command = ("run", "--method", "bicubic", "--dataset", "sample", "--limit", 2, "--out", tmp_path / "results")
    done = invoke(*command)
    assert done.exit_code == 2 and "holds another run: arithmetic.numbers (was \"unknown\"" in done.output
    assert {path.name: path.read_bytes() for path in new.glob("*.json*")} == before


# -- a repository of results ---------------------------------------------------------------------------------------


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "results-repository"
    assert invoke("submit", "template", folder).exit_code == 0
    return folder


def git(folder, *arguments):
    settings = ("user.name=refsr-bench", "user.email=refsr-bench@localhost", "init.defaultBranch=main")
    options = [word for setting in settings for word in ("-c", setting)]
    done = subprocess.run(["git", *options, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_the_template_never_overwrites(repository):
    (repository / "README.md").write_text("mine")
    done = invoke("submit", "template", repository)
    assert done.exit_code == 1 and "is there already and stays" in done.output
    assert (repository / "README.md").read_text() == "mine"


def test_workflows_ask_for_no_more_than_they_need(repository):
    folder = repository / ".github" / "workflows"
    check, publish = (yaml.safe_load((folder / name).read_text()) for name in ("check.yml", "publish.yml"))
    trigger = check[True]  # YAML 1.1 reads the key "on" as true
    assert set(trigger) == {"pull_request"} and check["permissions"] == {"contents": "read"}
    assert "secrets" not in (folder / "check.yml").read_text()
    assert publish["permissions"] == {"contents": "read"}
    assert publish["jobs"]["deploy"]["permissions"] == {"pages": "write", "id-token": "write"}
    assert publish["concurrency"]["group"] == "pages" and "pull_request" not in publish[True]
    jobs = [*check["jobs"].values(), *publish["jobs"].values()]
    actions = [step["uses"] for job in jobs for step in job["steps"] if "uses" in step]
    assert {name.split("/")[0] for name in actions} == {"actions"} and all("@v" in name for name in actions)
    # What a pull request was checked with is what publishes it, and no text of an event is pasted into a shell.
    lines = [{step["run"] for job in flow["jobs"].values() for step in job["steps"] if "run" in step}
             for flow in (check, publish)]  # fmt: skip
    assert lines[1] < lines[0] and not any("${{" in line for line in lines[0])


def test_the_workflows_install_from_the_address_that_was_given(tmp_path):
    """Their own shell lines; only what is installed already is not fetched again."""
    source = tmp_path / "source"
    for name in ("refsr_bench", "baselines", "c2matching", "leaderboard"):
        shutil.copytree(REPOSITORY / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, source)
    assert invoke("submit", "template", tmp_path / "given", "--package", source).exit_code == 0
    asked = invoke("submit", "template", tmp_path / "asked")
    assert asked.exit_code == 0 and "REFSR_BENCH_PACKAGE" in asked.output
    # pip reads PIP_NO_BUILD_ISOLATION as the value of --build-isolation, so "0" means without
    settings = {"PIP_NO_DEPS": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_TARGET": str(tmp_path / "site")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, **settings, "PATH": path}
    for kind in ("check", "publish"):
        for folder, good in (("given", True), ("asked", False)):
            flow = yaml.safe_load((tmp_path / folder / f".github/workflows/{kind}.yml").read_text())
            (step,) = [s for job in flow["jobs"].values() for s in job["steps"] if s.get("name") == "Install"]
            package = step["env"]["PACKAGE"].partition("|| '")[2].partition("'")[0]
            assert package == (str(source) if good else "")
            if kind == "check":
                shell = ["bash", "-e", "-c", step["run"]]
                done = subprocess.run(shell, env={**environment, "PACKAGE": package}, capture_output=True, text=True)
                assert (done.returncode == 0) == good, done.stdout + done.stderr
    assert (tmp_path / "site" / "leaderboard" / "submissions" / "repository" / "check.yml").is_file()
    refused = invoke("submit", "template", tmp_path / "bad", "--package", "a' }}; rm -rf /")
    assert refused.exit_code == 2 and not (tmp_path / "bad").exists()


def test_the_check_passes_a_good_submission_and_stops_a_bad_one(repository, measured, tmp_path):
    """The workflow's own shell lines, in a repository with a submission, all but the installation."""
    steps = yaml.safe_load((repository / ".github" / "workflows" / "check.yml").read_text())["jobs"]["check"]["steps"]
    script = "\n".join(step["run"] for step in steps if "run" in step and step["name"] != "Install")
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    (bin_folder / "refsr-bench").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m refsr_bench "$@"\n')
    (bin_folder / "refsr-bench").chmod(0o755)
    git(repository, "init")
    git(repository, "add", ".")
    git(repository, "commit", "-m", "begin")
    base = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=repository, text=True).strip()
    target = repository / "results" / "c2" / "sample" / "bicubic"
    target.mkdir(parents=True)
    for name in ("run.json", "images.jsonl", "result.json"):
        shutil.copy(measured / name, target)
    git(repository, "add", ".")
    git(repository, "commit", "-m", "bicubic")
    environment = {
        **os.environ,
        "BASE": base,
        "RUNNER_TEMP": str(tmp_path),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
        "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(REPOSITORY),
    }

    def checked():
        shell = ["bash", "-e", "-o", "pipefail", "-c", script]
        return subprocess.run(shell, cwd=repository, env=environment, capture_output=True, text=True)

    good = checked()
    assert good.returncode == 0, good.stdout + good.stderr
    assert "results/c2/sample/bicubic/result.json: ok" in good.stdout
    assert "### results/c2/sample/bicubic/result.json: ok" in (tmp_path / "summary.md").read_text()
    assert (tmp_path / "site" / "index.html").is_file()
    change(target, lambda value: value["means"].update(psnr_y=40.0))
    git(repository, "commit", "-am", "better")
    bad = checked()
    assert bad.returncode != 0 and "the mean of psnr_y is given as 40.0" in bad.stdout


# -- a branch of a results repository ------------------------------------------------------------------------------


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A clone of a new results repository, by somebody with a name."""
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Somebody")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "somebody@example.org")
    origin = tmp_path / "origin"
    assert invoke("submit", "template", origin).exit_code == 0
    git(tmp_path, "init", "--quiet", origin)
    git(origin, "add", ".")
    git(origin, "commit", "--quiet", "-m", "start")
    git(tmp_path, "clone", "--quiet", origin, tmp_path / "clone")
    return tmp_path / "clone"


def state(clone):
    return git(clone, "rev-parse", "HEAD"), git(clone, "status", "--porcelain"), git(clone, "branch", "--list")


def test_a_run_becomes_a_branch_with_the_text_of_a_pull_request(run, clone):
    text = clone.parent / "pull.md"
    done = invoke("submit", "prepare", run, "--repository", clone, "--with-images", "--out", text)
    assert done.exit_code == 0, done.output
    assert git(clone, "branch", "--show-current") == "result-c2-sample-bicubic" and not git(clone, "status", "-s")
    committed = git(clone, "show", "--name-only", "--format=%s").split("\n\n")
    names = {"run.json", "images.jsonl", "result.json", *(f"images/{p.name}" for p in (run / "images").glob("*.png"))}
    assert {*committed[1].splitlines()} == {f"results/c2/sample/bicubic/{name}" for name in names} and len(names) == 5
    assert (clone / "results/c2/sample/bicubic/result.json").read_bytes() == (run / "result.json").read_bytes()
    said = text.read_text()
    assert said.startswith("### results/c2/sample/bicubic/result.json: ok".replace("_", "\\_"))
    assert "| method | Bicubic |" in said and "2 of 8 pairs" in said and "- **warning**: " in said
    assert "2 of 2 images measured again" in said and "| PSNR-Y (dB) | **" in said
    assert "Push it" in done.output and not git(clone, "branch", "--remotes", "--list", "*result*")
    built = invoke("leaderboard", "build", "--results", clone / "results", "--out", clone.parent / "site")
    assert built.exit_code == 0, built.output


def test_what_is_there_stays(run, clone):
    told = json.loads(invoke("submit", "prepare", run, "--repository", clone, "--json").stdout)
    assert told["branch"] == "result-c2-sample-bicubic" and told["check"]["ok"] and len(told["files"]) == 3
    assert told["text"].startswith("### ") and told["check"]["measured_again"] == 2
    asked = ("submit", "prepare", run, "--repository", clone)
    before = state(clone)
    assert "has a branch result-c2-sample-bicubic already" in invoke(*asked).output
    assert "is there already and stays" in invoke(*asked, "--branch", "other").output
    done = invoke(*asked, "--branch", "bad..name")
    assert done.exit_code == 2 and "no name that git gives" in done.output
    assert state(clone) == before


def test_the_same_row_elsewhere_in_the_repository_is_named(run, clone):
    assert invoke("submit", "prepare", run, "--repository", clone).exit_code == 0
    git(clone, "mv", "results/c2/sample/bicubic", "results/moved")
    git(clone, "commit", "--quiet", "-m", "moved")
    done = invoke("submit", "prepare", run, "--repository", clone, "--branch", "again")
    assert done.exit_code == 2 and "moved/result.json holds the same method" in done.output


def test_only_a_clean_clone_of_a_results_repository_is_used(run, clone, tmp_path):
    asked = ("submit", "prepare", run, "--repository")
    for folder, words in ((tmp_path / "nowhere", "not the top folder"), (clone / "results", "not the top folder")):
        done = invoke(*asked, folder)
        assert done.exit_code == 2 and words in done.output
    (clone / "mine.txt").write_text("work")
    done = invoke(*asked, clone)
    assert done.exit_code == 2 and "not committed (?? mine.txt" in done.output and (clone / "mine.txt").exists()
    bare = tmp_path / "bare"
    git(tmp_path, "init", "--quiet", bare)
    assert "has no folder results" in invoke(*asked, bare).output


def test_another_file_is_no_run(run, clone):
    for path in (run / "run.json", run / "images"):
        done = invoke("submit", "prepare", path, "--repository", clone)
        assert done.exit_code == 2 and "no run file. Give a result.json" in done.output


def test_a_doctored_run_is_not_committed(run, clone):
    before = state(clone)
    change(run, lambda value: value["means"].update(psnr_y=99.0))
    done = invoke("submit", "prepare", run, "--repository", clone)
    assert done.exit_code == 1 and "fails the check" in done.output and state(clone) == before


def test_a_clone_whose_git_refuses_is_as_before(run, clone):
    hook = clone / ".git" / "hooks" / "pre-commit"
    hook.write_text("#!/bin/sh\necho no commits today >&2; exit 1\n")
    hook.chmod(0o755)
    before = state(clone)
    done = invoke("submit", "prepare", run, "--repository", clone)
    assert done.exit_code == 1 and "git commit refused: no commits today" in done.output
    assert state(clone) == before and not (clone / "results" / "c2" / "sample" / "bicubic").exists()


def test_the_check_writes_a_comment_that_calls_nobody(run, tmp_path):
    path = change(run, lambda value: value["run"]["method"].update(title="@somebody <b>[x](http://example.org)"))
    done = invoke("submit", "check", path, "--sample", 0, "--comment", tmp_path / "comment.md")
    text = (tmp_path / "comment.md").read_text()
    assert done.exit_code == 0 and "&#64;somebody &lt;b&gt;" in text and "@" not in text and "http:" not in text
