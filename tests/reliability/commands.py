"""The commands that are killed and hindered, each with small inputs, and what their results are compared by."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from album import SCENES, save, view
from downloads import zipped
from layout_makers import cufed5
from PIL import Image

from refsr_bench.data.opening import open_dataset

OUT = "out"
"""The folder that every command writes into; its inputs lie beside it."""

PAIRS = 3


@dataclass(frozen=True)
class Command:
    """One command, or several that follow each other. make: puts the inputs into an empty folder.

    resumed: what is to be added to a line to continue in that folder.
    """

    name: str
    lines: tuple[tuple[str, ...], ...]
    make: Callable[[Path], None] = lambda folder: None
    resumed: Callable[[Path], tuple[str, ...]] = lambda folder: ()


def _words(*lines: str) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(line.split()) for line in lines)


def _photos(folder: Path) -> None:
    for number, pair in enumerate(open_dataset("sample").pairs[:6]):
        save(Image.fromarray(pair.hr.load()[:96, :96]), folder / "photos" / f"{number}.png")


def _predictions(folder: Path) -> None:
    """SR images as a method of somebody else might make them: HR, spoiled a little."""
    for pair in open_dataset("sample").pairs[:PAIRS]:
        save(Image.fromarray(np.roll(pair.hr.load(), 1, 0)), folder / "predicted" / f"{pair.id}.png")


def _download(folder: Path) -> None:
    cufed5(folder / "unpacked", groups=2)
    zipped(folder / "CUFED5.zip", folder / "unpacked")
    shutil.rmtree(folder / "unpacked")


def _gathered(folder: Path) -> None:
    """Photos for a data set: two queries, and a pool with another view of each, a copy, and another scene."""
    for which in SCENES[:2]:
        save(view(which, 0).crop((0, 0, 238, 177)), folder / "queries" / f"{which}.png")
        save(view(which, 1), folder / "pool" / f"view{which}.jpg")
        save(view(which, 0), folder / "pool" / f"copy{which}.jpg", 60)
    save(view(SCENES[2], 0), folder / "pool" / "other.png")


def _measured(folder: Path) -> None:
    """Results of two methods with their pictures."""
    from refsr_bench.core import catalogue
    from refsr_bench.evaluation.loading import Choice
    from refsr_bench.evaluation.metrics import load_metrics
    from refsr_bench.evaluation.session import Session, run_session

    protocol = catalogue.get("PROTOCOLS", "c2")
    metrics = load_metrics((protocol.psnr, protocol.ssim), "cpu")
    for name in ("one", "two"):
        choice = Choice(("bicubic",), (), "cpu")
        session = Session(
            choice, (open_dataset("sample"),), (protocol,), metrics, name, limit=2, pictures="images"
        )
        list(run_session(session, folder / "results"))


_TRAIN = (
    "train c2matching teacher --data photos --out out --recipe small-cpu --set batch=1 --set crop=64 "
    "--set run.validate_every=2 --set run.log_every=1 --set run.validation=1 --budget 6 --device cpu"
)
_SMALL = "--set query_min_long_side=100 --set ref_min_long_side=100 --set contact=tests@example.org"

COMMANDS = {
    command.name: command
    for command in (
        Command(
            "run", _words(f"run --method bicubic --dataset sample --limit {PAIRS} --device cpu --save-images --out out")
        ),
        Command(
            "score",
            _words("score --pred predicted --dataset sample --name Mine --partial --save-images --out out"),
            _predictions,
        ),
        Command(
            "robustness",
            _words(
                "robustness --transform rotation --method bicubic --matcher pixels --levels identity,small --limit 2 "
                "--device cpu --out out"
            ),
        ),
        Command(
            "train",
            _words(_TRAIN),
            _photos,
            lambda folder: ("--resume",) if (folder / OUT / "checkpoint.pt").exists() else (),
        ),
        Command("prepare", _words("data prepare cufed5 --from CUFED5.zip --data-root out"), _download),
        Command(
            "build",
            _words(
                f"build wrsr init out {_SMALL}",
                "build wrsr queries out --from queries --license by --license-version 4.0 --category building",
                "build wrsr pool out --from pool --license by --license-version 4.0",
                "build wrsr clean out",
                "build wrsr select out --auto",
                "build wrsr rescale out",
                "build wrsr export out",
            ),
            _gathered,
        ),
        Command("leaderboard", _words("leaderboard build --results results --out out"), _measured),
    )
}


# -- comparing -----------------------------------------------------------------------------------------------------

# Fields that say when something was measured and how long it took, which no two runs share. Everything else counts.
TIMES = {"run.json": ("started",), "result.json": ("started", "finished", "cost"), "images.jsonl": ("cost",)}


def results(folder: Path) -> dict[str, bytes]:
    """Return every file that a command left below a folder, by name, without times and costs.

    Left out: locks, which are empty; TensorBoard's files, a copy of log.jsonl with times in it; and the pages that
    ``run`` builds, which show costs: ``pages_fit`` compares them with the results beside them.
    """
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        lock = path.name.startswith(".") and path.name.endswith(".lock")
        if path.is_dir() or lock or name.startswith(("tensorboard/", "site/")):
            assert not lock or not path.stat().st_size
            continue
        data = path.read_bytes()
        if path.name in TIMES:
            lines = data.splitlines() if path.suffix == ".jsonl" else [data]
            data = b"\n".join(json.dumps(_without(json.loads(line), TIMES[path.name])).encode() for line in lines)
        found[name] = _content(path) if path.name == "checkpoint.pt" else data
    return found


def _content(checkpoint: Path) -> bytes:
    """Return everything in a checkpoint: pickle writes equal texts once or twice, by where they came from."""
    import torch

    def flat(value: Any) -> Iterator[bytes]:
        if isinstance(value, torch.Tensor):
            yield f"{value.dtype} {tuple(value.shape)} ".encode() + value.numpy().tobytes()
        elif isinstance(value, (dict, list, tuple)):
            yield f"{type(value).__name__} of {len(value)}".encode()
            for key, item in value.items() if isinstance(value, dict) else enumerate(value):
                yield repr(key).encode()
                yield from flat(item)
        else:
            yield repr(value).encode()

    return b"\n".join(flat(torch.load(checkpoint, weights_only=True)))


def _without(value: Any, names: tuple[str, ...]) -> Any:
    if isinstance(value, dict):
        return {key: _without(item, names) for key, item in value.items() if key not in names}
    return [_without(item, names) for item in value] if isinstance(value, list) else value


def pages_fit(out: Path, scratch: Path) -> list[str]:
    """Return the names of the pages of a results folder that differ from those its results give; none is right."""
    from leaderboard.pages.site import build

    if not (out / "site").exists():
        return []
    build(out, scratch / "pages", images="links", drawn=False)
    ours, wanted = results(out / "site"), results(scratch / "pages")
    shutil.rmtree(scratch / "pages")
    return sorted(name for name in ours.keys() | wanted.keys() if ours.get(name) != wanted.get(name))


def differences(found: dict[str, bytes], wanted: dict[str, bytes]) -> list[str]:
    """Return what is wrong with a folder's files, in words, one line each."""
    wrong = [f"{name}: is missing" for name in sorted(wanted.keys() - found.keys())]
    wrong += [f"{name}: should not be there" for name in sorted(found.keys() - wanted.keys())]
    for name in sorted(found.keys() & wanted.keys()):
        if found[name] != wanted[name]:
            at = next((n for n, (a, b) in enumerate(zip(found[name], wanted[name], strict=False)) if a != b), -1)
            at = min(len(found[name]), len(wanted[name])) if at < 0 else at
            ours, theirs = (data[max(0, at - 40) : at + 40] for data in (found[name], wanted[name]))
            wrong.append(f"{name}: differs from byte {at}: {ours!r}, not {theirs!r}")
    return wrong
