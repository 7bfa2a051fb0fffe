"""The outcome of one method on one data set under one protocol, for a program and for a notebook."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from refsr_bench.core import files, schema
from refsr_bench.core.errors import Misuse
from refsr_bench.core.schema import ImageRecord, Run

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, repr=False)
class Result:
    """One method on one data set under one protocol: the numbers of every image, their means, and pictures.

    sealed: the contents of ``result.json``, as ``refsr_bench.core.schema.Result`` describes them. folder: the run's,
    with that file and the pictures; a temporary one lasts as long as the result does, and ``save`` keeps it.
    """

    sealed: schema.Result
    folder: Path
    temporary: tempfile.TemporaryDirectory[str] | None = field(default=None, compare=False)

    @property
    def run(self) -> Run:
        """The facts of the run: method, data set, protocol, code, machine."""
        return self.sealed.run

    @property
    def means(self) -> dict[str, float]:
        """The unrounded mean of each metric over the images that have it; infinite if one of them is."""
        return {name: float(value) for name, value in self.sealed.means.items()}

    @property
    def images(self) -> tuple[ImageRecord, ...]:
        """The record of every image, in the order of the pairs; ``error`` says why one failed."""
        return self.sealed.images

    @property
    def failed(self) -> tuple[ImageRecord, ...]:
        """The records of the images that could not be measured."""
        return self.sealed.failed

    @property
    def frame(self) -> pandas.DataFrame:
        """The numbers as a tidy pandas frame, a row for each image and metric, with the columns of ``load_results``."""
        from leaderboard.frame import frame
        from leaderboard.reading.load import LoadedRun

        return frame([LoadedRun("result.json", self.sealed)])

    def table(self) -> pandas.DataFrame:
        """Return the numbers as people read them: a row for each image, a column for each metric, then the mean.

            result.table().round(2)
        """
        import pandas

        rows = {record.id: {name: float(v) for name, v in record.metrics.items()} for record in self.images}
        found = pandas.DataFrame.from_dict(
            rows | {"mean": self.means}, orient="index", columns=[metric.name for metric in self.run.metrics]
        )
        return found.dropna(axis="columns", how="all").rename_axis("pair")

    def save(self, out: str | Path = "results") -> Result:
        """Copy the run into a results folder, where pages and comparisons find it; return it as it lies there.

            refsr_bench.evaluate(model, "sample").save("results")

        Raises Misuse when the folder holds a run of this name already.
        """
        return Result(self.sealed, _kept(self.folder, Path(out)))

    def __repr__(self) -> str:
        from leaderboard.tables.terminal import means_table

        run = self.run
        head = f"{run.method.title} on {run.dataset.title}, protocol {run.protocol.label}"
        lines = [head, means_table([self.sealed])]
        if self.failed:
            lines.append(f"{len(self.failed)} images failed; the first, {self.failed[0].id}: {self.failed[0].error}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        from refsr_bench.api.notebook import html

        return html(self.sealed, self.folder)


def place_of(out: str | Path | None) -> tuple[Path, tempfile.TemporaryDirectory[str] | None]:
    """Return a results folder; without one, a temporary one with what removes it when nothing refers to it."""
    if out is not None:
        return Path(out), None
    temporary = tempfile.TemporaryDirectory(prefix="refsr-bench-")
    return Path(temporary.name), temporary


def folder_of(result: Result | str | Path) -> str:
    """Return what ``compare`` takes: the run folder of a result, or the name of a method as it is."""
    if isinstance(result, Result):
        return str(result.folder / "result.json")
    if isinstance(result, (str, Path)):
        return str(result)
    raise Misuse(f"{type(result).__name__} is no result. Give a Result, the name of a method, or a run file.")


def _kept(folder: Path, out: Path) -> Path:
    """Copy a run folder, and the inputs beside it, to the same place below a results folder; return its place there.

    ``result.json`` comes last, so that an interrupted copy is no result. Raises Misuse when a run lies there already.
    """
    protocol, dataset, method = folder.parts[-3:]
    target = out / protocol / dataset / method
    if (target / "result.json").exists() or (target / "run.json").exists():
        raise Misuse(f"{target} holds a run already. Choose another folder, or evaluate under another name.")
    files.make_folder(target)
    inputs = folder.parent / "inputs"
    _copy(inputs, target.parent / "inputs", out)
    _copy(folder, target, out)
    return target


def _copy(source: Path, target: Path, out: Path) -> None:
    found = sorted(path for path in source.rglob("*") if path.is_file() and not path.is_symlink())
    for path in sorted(found, key=lambda path: path.name in ("result.json", "inputs.json")):
        place = target / path.relative_to(source)
        if not place.exists() and path.name != ".lock":
            files.make_folder(place.parent, below=out)
            files.write_bytes(place, files.read_bytes(path))
