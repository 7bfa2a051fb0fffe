"""Links where outputs go: a stranger's folder of results, pages or figures may hold them. None may be followed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from hostile import good, votes
from hostile.case import Case, canary

SITE = ["site", *(f"site/{name}" for name in ("index.html", "leaderboard.csv", ".lock", ".index.html.partial"))]
SITE.append("site/index.json")
SITE += [f"site/{name}" for name in ("assets", "exports", "figures", "methods", "assets/page.js", "exports/srntt.js")]
RUN = "results/c2/folder/bicubic"


def _results(folder: Path) -> None:
    import runs

    for name, psnr in (("fine", [31, 32, 33]), ("coarse", [29, 30, 32])):
        runs.store(folder / "results" / name, runs.make(name, psnr))


def _several(folder: Path) -> None:
    import runs

    runs.store_several(folder / "results")


def _data_set(folder: Path) -> None:
    good.pairs(folder / "set")


def _study(folder: Path) -> None:
    votes.sound(folder)


def _nothing(folder: Path) -> None:
    """Make nothing."""


# Command, its inputs, and what it writes. A link leads to nothing, or to what there is beside the case's folder.
COMMANDS: tuple[tuple[str, Callable[[Path], None], list[str]], ...] = (
    ("leaderboard build --pictures none", _results, SITE),
    ("leaderboard figures --format svg", _several, ["figures", "figures/cost-cufed5-c2-73ce2ec3.svg"]),
    ("compare results/fine results/coarse --json a.json --csv a.csv", _results, ["a.json", "a.csv"]),
    (
        "submit template repo", _nothing,
        ["repo", *(f"repo/{name}" for name in ("README.md", ".github", "results"))],
    ),
    ("data stats folder --data-root set --out charts", _data_set, ["charts", "charts/sizes.png"]),
    ("study report S --out report", _study, ["report", "report/preferences.svg", "report/votes.csv"]),
    ("study report S --results results", _study, ["results", "results/studies", "results/studies/S"]),
    (
        "run --method bicubic --device cpu --dataset folder --data-root set --save-images", _data_set,
        [f"{RUN}/{name}" for name in ("images.jsonl", "run.json", "result.json", ".lock", "images", "images/0.png")],
    ),
    ("match --lr set/hr/0.png --ref set/ref/0.png --out f.png", _data_set, ["f.png", ".f.png.partial"]),
    ("view set/hr/0.png set/hr/0.png --no-browser --out v.html", _data_set, ["v.html", ".v.html.partial"]),
    ("sr --method bicubic --device cpu --lr set/hr/0.png --out made/sr.png", _data_set, ["made", "made/sr.png"]),
)  # fmt: skip


def _linked(words: str, inputs: Callable[[Path], None], place: str, target: str) -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        inputs(folder)
        beside = canary(folder)
        link = folder / place
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to({"nowhere": beside.with_name("nowhere"), "a file": beside, "a folder": beside.parent}[target])
        return words.split()

    return make


def cases() -> Iterator[Case]:
    for words, inputs, places in COMMANDS:
        for place in places:
            named = "/" not in place and "." not in place  # a folder that somebody names may be a link: it is theirs
            for target in ("a file" if named or "." in Path(place).name[1:] else "a folder", "nowhere"):
                name = f"outputs: a link to {target}: {' '.join(words.split()[:2])} {place}"
                yield Case(name, _linked(words, inputs, place, target), exits=(0, 1, 2))
