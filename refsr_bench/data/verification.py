"""Checks a data set again: every file against its manifest, every reference for leaks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from refsr_bench.core import catalogue
from refsr_bench.core.cards import DatasetCard
from refsr_bench.core.commands import command
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.lists import some
from refsr_bench.data import manifests
from refsr_bench.data.leaks import Leak, find_leaks
from refsr_bench.data.manifests import MANIFEST, file_sha256
from refsr_bench.data.opening import dataset_folder
from refsr_bench.data.prepare import Progress, content, image_paths, undecodable


@dataclass(frozen=True)
class Report:
    """The findings of ``verify``. missing, changed, extra: names below ``folder``; problems and notes are sentences.

    folder: None for a set that the package makes. manifest: whether there was one to compare with. n_files: those it
    names, or else the images of the pairs. n_pairs: of the opened data set; 0 if it does not open.
    """

    name: str
    folder: Path | None
    manifest: bool
    n_files: int = 0
    n_pairs: int = 0
    missing: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    leaks: tuple[Leak, ...] = ()
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """True if nothing is missing, changed, unreadable or leaking; extra files and notes do no harm."""
        return not (self.missing or self.changed or self.leaks or self.problems)

    def lines(self) -> Iterator[str]:
        """Return the report as a command prints it."""
        yield f"{self.name}: {self.n_pairs} pairs, {self.n_files} files in {self.folder or 'the package'}"
        for kind, names in (("missing", self.missing), ("changed", self.changed), ("extra", self.extra)):
            if names:
                yield f"  {kind}: {some(names, 10)}"
        for leak in self.leaks:
            yield f"  leak: pair {leak.pair_id}, reference {leak.ref_name} {leak.reason}"
        yield from (f"  {sentence}" for sentence in (*self.problems, *(f"note: {note}" for note in self.notes)))
        yield "ok" if self.ok else "not ok"


def verify(name: str, root: Path | None = None, progress: Progress = lambda done, total: None) -> Report:
    """Check a data set against its manifest, look for leaks, and say whether its pairs are the published ones.

    Without a manifest every image is decoded instead. root: as in ``open_dataset``. progress: as in ``find_leaks``.
    Raises Misuse when the data set is unknown or absent; everything else that is wrong is in the report.
    """
    card: DatasetCard = catalogue.get("DATASETS", name)
    folder = None if card.embedded else dataset_folder(card, root)
    problems: list[str] = []
    recorded = _recorded(folder, problems)
    dataset, leaks = None, []
    try:
        dataset = card.open(folder)
        unreadable = list(undecodable(dataset)) if recorded is None else []
        problems += unreadable
        if not unreadable and dataset.leak != "by construction":
            leaks = find_leaks(dataset.pairs, progress)
    except Misuse:
        if recorded is None:
            raise
        problems.append(f"{folder}: the layout is not recognised any more ({card.layout})")
    except BenchError as error:
        problems.append(str(error))
    notes = list(dataset.notes) if dataset else []
    if folder and not (folder / MANIFEST).exists():
        prepare = command("data", "prepare", name, "--from", folder, "--data-root", "OTHER_FOLDER")
        copy = f"; `{prepare}` makes a copy with one" if card.folder else ""
        notes.append(f"there is no {MANIFEST}: layout and images were checked, later changes go unnoticed{copy}")
    listed = recorded is not None
    opened = image_paths(dataset) if dataset else []
    return Report(
        name=name,
        folder=folder,
        manifest=listed,
        n_files=len(recorded if listed else opened),
        n_pairs=len(dataset.pairs) if dataset else 0,
        leaks=tuple(leaks),
        problems=tuple(problems),
        notes=tuple(notes),
        **(_differences(recorded, content(folder)) if listed else {}),
    )


def damage(folder: Path) -> str:
    """Compare the files of a data set with its manifest; return what is missing or changed, in words, "" for nothing.

    A folder without a manifest has nothing to compare with. Raises BenchError for a manifest that cannot be read.
    """
    recorded = manifests.recorded(folder) if (folder / MANIFEST).exists() else None
    found = _differences(recorded, content(folder)) if recorded is not None else {}
    kinds = ((kind, found.get(kind, ())) for kind in ("missing", "changed"))
    return "; ".join(f"{len(names)} files {kind}: {some(names)}" for kind, names in kinds if names)


def _recorded(folder: Path | None, problems: list[str]) -> dict[str, str] | None:
    """Return the digests of the folder's manifest, or None without a readable one; an unreadable one is a problem."""
    try:
        return manifests.recorded(folder) if folder else None
    except BenchError as error:
        problems.append(f"damaged manifest: {error} Prepare the data set again.")
        return None


def _differences(recorded: Mapping[str, str], present: Mapping[str, Path]) -> dict[str, tuple[str, ...]]:
    """Return the names that are only recorded, those with another digest, and those that only exist."""
    both = sorted(recorded.keys() & present.keys())
    return {
        "missing": tuple(sorted(recorded.keys() - present.keys())),
        "changed": tuple(name for name in both if file_sha256(present[name]) != recorded[name]),
        "extra": tuple(sorted(present.keys() - recorded.keys())),
    }
