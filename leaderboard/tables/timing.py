"""Times of runs, with what must be known to read them: machine, threads, and the load that other processes made."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from string import ascii_lowercase

from refsr_bench.core.schema import ImageRecord, Machine, Result, Run

DISTURBED = 0.5  # cores; half a core that others kept busy is a quarter of a small machine, more than times repeat to


@dataclass(frozen=True)
class Timing:
    """The mean time of a run's measured images.

    machine: every machine that the run went on, in words. load: mean number of cores that other processes kept busy;
    None if it was not recorded. mixed: whether several machines share the mean. disturbed: whether the load is high.
    """

    seconds: float
    machine: str
    load: float | None
    mixed: bool
    disturbed: bool

    @property
    def about(self) -> str:
        """The time with its circumstances: "1.5 s per image on cpu, Xeon, 2 threads; load of others 0.20 cores"."""
        load = "not recorded" if self.load is None else f"{self.load:.2f} cores"
        disturbed = ", disturbed" if self.disturbed else ""
        return f"{self.seconds:.3g} s per image on {self.machine}; load of others {load}{disturbed}"


def timing_of(result: Result) -> Timing | None:
    """Return the time of a run; None if it says nothing about the method, as for a folder of images."""
    costs = [cost for image in result.measured if "seconds" in (cost := cost_of(result.run, image))]
    if not costs:
        return None
    loads = [cost["load"] for cost in costs if "load" in cost]
    load = math.fsum(loads) / len(loads) if loads else None
    run = result.run
    return Timing(
        math.fsum(cost["seconds"] for cost in costs) / len(costs),
        " and ".join(dict.fromkeys(map(machine_words, (run.machine, *run.more_machines)))),
        load,
        bool(run.more_machines),
        load is not None and load > DISTURBED and run.machine.device == "cpu",
    )


def cost_of(run: Run, image: ImageRecord) -> dict[str, float]:
    """Return the cost of an image; nothing if the times of the run are not the method's."""
    return {} if run.timing == "not measurable" or run.origin == "folder" else dict(image.cost)


def machine_words(machine: Machine) -> str:
    """Return a machine in one line: "cpu, Xeon, 2 threads"."""
    threads = "" if machine.threads is None else f"{machine.threads} thread{'s' * (machine.threads != 1)}"
    return ", ".join(filter(None, (machine.device, machine.processor, threads))) or "an unnamed device"


@dataclass(frozen=True)
class Legend:
    """The machines behind the times of one table, in words and in order. disturbed: whether any of the times is."""

    machines: tuple[str, ...]
    disturbed: bool = False

    def mark(self, timing: Timing | None) -> str:
        """Return the mark beside a time: a letter if the table has several machines, a star if it is disturbed."""
        if timing is None:
            return ""
        letter = _letter(self.machines.index(timing.machine)) if len(self.machines) > 1 else ""
        return letter + ("*" if timing.disturbed else "")

    @property
    def text(self) -> str:
        """The line under the table; "" without times."""
        if not self.machines:
            return ""
        several = len(self.machines) > 1
        named = (f"{_letter(n)}: {machine}" if several else machine for n, machine in enumerate(self.machines))
        warning = "; times of different machines do not compare" if several else ""
        busy = f"; *: disturbed, other processes kept more than {DISTURBED:g} cores busy" if self.disturbed else ""
        return f"Time per image: {'; '.join(named)}{warning}{busy}."


def legend_of(timings: Iterable[Timing | None]) -> Legend:
    """Return the legend of a table's times."""
    found = [timing for timing in timings if timing]
    return Legend(tuple(dict.fromkeys(t.machine for t in found)), any(t.disturbed for t in found))


def _letter(place: int) -> str:
    return ascii_lowercase[place % 26] * (1 + place // 26)
