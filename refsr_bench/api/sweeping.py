"""Measures robustness to changes of the reference: ``refsr_bench.robustness`` and ``refsr-bench robustness``."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leaderboard.frame import frame
from leaderboard.reading.load import LoadedRun, method_key
from leaderboard.statistics.robustness import Row, columns_of, rows_by_series, to_csv
from leaderboard.tables.sweeps import remarks, tables
from refsr_bench.api import SWEPT_MATCHERS, SWEPT_METHODS
from refsr_bench.api.pairs import DatasetLike, load_dataset
from refsr_bench.api.result import place_of
from refsr_bench.core import schema
from refsr_bench.core.files import make_folder, write_text
from refsr_bench.core.names import slug
from refsr_bench.core.terminal import tracked
from refsr_bench.evaluation.loop import Track
from refsr_bench.evaluation.machine import resolve_device
from refsr_bench.evaluation.run_folder import Reuse
from refsr_bench.geometry.correspondences import MEASURES
from refsr_bench.geometry.kinds import GIVEN
from refsr_bench.sweeps.measure import RobustnessPlan
from refsr_bench.sweeps.session import Measured, RobustnessStudy, folder, plan_of, run_study

if TYPE_CHECKING:
    import pandas

Run = tuple[schema.Result, Path]


@dataclass(frozen=True, repr=False)
class Sweep:
    """Methods and matchers over the levels of one change of the reference.

    study, plan: what was asked for, and what was made of it. done: results and their folders by level, for each method
    and matcher. files: the table as CSV, and figures. temporary: a folder that lasts as long as this object.
    """

    study: RobustnessStudy
    plan: RobustnessPlan
    done: tuple[Measured, ...]
    files: tuple[Path, ...] = ()
    temporary: tempfile.TemporaryDirectory[str] | None = field(default=None, compare=False)

    @property
    def levels(self) -> tuple[tuple[str, Run], ...]:
        """Every run with its level, method after method."""
        return tuple(item for found in self.done for item in found.items())

    @property
    def runs(self) -> tuple[Run, ...]:
        """Every sealed result with its folder."""
        return tuple(run for _, run in self.levels)

    @property
    def rows(self) -> tuple[Row, ...]:
        """One row for each method or matcher and level: means with intervals."""
        results = [{level: result for level, (result, _) in found.items()} for found in self.done]
        by_series = {method_key(next(iter(levels.values())).run.method): levels for levels in results if levels}
        return tuple(row for found in rows_by_series(by_series).values() for row in found)

    @property
    def frame(self) -> pandas.DataFrame:
        """The numbers of every image, a row for each run, image and metric; ``level`` is a column."""
        return frame(LoadedRun(f"{n}/result.json", result) for n, (result, _) in enumerate(self.runs))

    def table(self) -> pandas.DataFrame:
        """Return the means, a row for each method or matcher and level, a column for each measure."""
        import pandas

        rows = [
            {"method": row.title, "level": row.level, **{name: value.mean for name, value in row.values.items()}}
            for row in self.rows
        ]
        return pandas.DataFrame(rows).set_index(["method", "level"])

    @property
    def title(self) -> str:
        """The data set, the change and the number of images."""
        images = max(len(level.pairs) for level in self.plan.levels)
        changed = f"{self.study.transform} of the reference"
        what = "references as given" if self.study.transform == GIVEN else changed
        subset = ", texture subset" if self.study.textured else ""
        return f"{self.study.dataset.name}{subset}, {what}, {images} image{'s' * (images > 1)}"

    def document(self) -> dict[str, Any]:
        """Return the rows and the files for a program."""
        return {
            "transform": self.study.transform,
            "dataset": self.study.dataset.name,
            "protocol": self.plan.protocol.label,
            "rows": self.rows,
            "files": self.files,
        }

    def __repr__(self) -> str:
        metrics = [metric.info for metric in self.plan.metrics]
        head = f"{self.title}; protocol {self.plan.protocol.label}"
        return f"{head}\n\n{tables(self.rows, metrics)}\n\n{remarks(self.rows, self.study.transform)}"


def robustness(
    transform: str,
    dataset: DatasetLike = "sample",
    *,
    methods: Sequence[str] = SWEPT_METHODS,
    matchers: Sequence[str] = SWEPT_MATCHERS,
    levels: str | None = None,
    weights: Sequence[str] = (),
    matching: Sequence[str] = (),
    views: Sequence[str] = ("none",),
    limit: int | None = None,
    textured: bool = False,
    device: str = "auto",
    out: str | Path | None = None,
    reuse: Reuse = "missing",
) -> Sweep:
    """Measure matching and restoration while the reference turns, shrinks or spoils.

        sweep = refsr_bench.robustness("rotation", methods=["c2matching"], matchers=["sift"], limit=2)
        sweep.table()

    transform: "rotation", "scale", "rotation+scale", "shear", "shift", "perspective", "blur", "noise", "jpeg",
    "illumination", "occlusion", or "given" for the data set's own references where their truth is known. dataset: see
    ``load_dataset``. methods, matchers: names of the catalogue. levels: "small,medium", "0,10,20" or "wide"; None for
    the groups identity, small, medium and large. weights: "NAME=PATH". matching, views: all that are given are
    measured. limit: only the first pairs. textured: only the more textured half. device, out, reuse: as of
    ``evaluate``.

    References are made from the ground truth, so nothing measured here is ever ranked. Returns a ``Sweep``. Raises
    Misuse for an unknown transformation, level or name, and when there is nothing to measure.
    """
    place, temporary = place_of(out)
    study = RobustnessStudy(
        *(load_dataset(dataset), transform, tuple(methods), tuple(matchers), levels, tuple(weights), limit, textured),
        *(resolve_device(device), tuple(views), tuple(matching)),
    )
    bars = lambda what: partial(tracked, what=what)  # noqa: E731
    (done,) = run([study], place, reuse, bars)
    return Sweep(done.study, done.plan, done.done, done.files, temporary)


def run(
    studies: Iterable[RobustnessStudy],
    out: Path,
    reuse: Reuse = "missing",
    track: Callable[[str], Track] | None = None,
    *,
    report: Callable[[Sweep], None] = lambda sweep: None,
) -> Iterator[Sweep]:
    """Carry out studies one after the other, and write the table and the figures of each.

    report: called with each as it is done. Misuse of any of them is raised before the first is measured.
    """
    planned = [(study, plan_of(study, out)) for study in studies]
    for study, plan in planned:
        done = tuple(run_study(study, plan, reuse, track))
        sweep = written(Sweep(study, plan, done), out)
        report(sweep)
        yield sweep


def written(sweep: Sweep, out: Path) -> Sweep:
    """Write the table as CSV and draw what the levels allow; return the sweep with the files."""
    from leaderboard.figures.robustness import write

    study, rows = sweep.study, sweep.rows
    target = folder(study, out) / (slug(study.transform) + ("-texture" if study.textured else ""))
    columns = columns_of(MEASURES, [metric.info for metric in sweep.plan.metrics], rows)
    table = make_folder(target, below=target.parent) / "table.csv"
    write_text(table, to_csv(rows, columns, study.transform, study.dataset.name))
    drawn = write(rows, sweep.plan.protocol.psnr, study.transform, sweep.title, target)
    return Sweep(study, sweep.plan, sweep.done, (table, *drawn), sweep.temporary)
