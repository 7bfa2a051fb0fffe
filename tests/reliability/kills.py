"""Kills commands at random moments, continues them, and compares what they leave with an uninterrupted twin, in bytes.

    python tests/reliability/kills.py [--count 100] [--seed N] [COMMAND ...]

A kill is SIGKILL or SIGTERM. Half of them come between two changes of the disk, chosen by number, so that each place
where a program can die is hit in time; some of these also cut short what was not flushed, as a power cut does. The
others come from outside at a random moment. A command may be killed several times before it is left to finish.

The exit code is 1 when bytes differ or votes are lost; the seed and the differences are printed.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    helpers = ("", "tests/reliability", "tests/builder", "tests/datasets", "tests/local_page")
    sys.path[:0] = [str(ROOT / name) for name in helpers]

import commands  # noqa: E402
from commands import COMMANDS, OUT, Command  # noqa: E402
from processes import Child, Hindrance, Starter  # noqa: E402
from visitor import Visitor  # noqa: E402

SERVE = "serve"
NAMES = (*COMMANDS, SERVE)
SIGNALS = (signal.SIGKILL, signal.SIGTERM)
NOON = 1767268800.0  # 2026-01-01, 12:00 UTC: every story begins here, because files hold the day they were made
MOST = 3  # kills of one line before it may finish


class Damage(AssertionError):
    """Raised when something was lost, with the seed that does it again."""


@dataclass(frozen=True)
class Twin:
    """The command without a kill. files: what it left; events, seconds: of each line."""

    files: dict[str, bytes]
    events: tuple[int, ...]
    seconds: tuple[float, ...]


class Bench:
    """A workplace: two starters, whose processes order sets differently, and the inputs of each command, made once.

    A command always works in the folder ``work``, because some files depend on where their inputs lie.
    """

    def __init__(self, base: Path, starters: tuple[Starter, ...]) -> None:
        self.base, self.work = base, base / "work"
        self._starters, self._turn = starters, 0
        self._twins: dict[str, Twin] = {}

    def begin(self, name: str, make: Callable[[Path], None]) -> None:
        """Make the working folder anew, with the inputs of a command. Python's clock begins at NOON."""
        inputs = self.base / f"inputs-{name}"
        if not inputs.exists():
            inputs.mkdir()
            make(inputs)
        shutil.rmtree(self.work, ignore_errors=True)
        shutil.copytree(inputs, self.work)
        self.shift = NOON - time.time()

    def start(
        self, words: Iterable[str], event: int = 0, number: int = 0, torn: bool = False, clock: float = 0.0, **more: Any
    ) -> Child:
        """Start a command in the working folder, hindered as ``Hindrance`` says."""
        self._turn += 1
        starter = self._starters[self._turn % len(self._starters)]
        return starter.start(tuple(words), self.work, Hindrance(event, number, torn, clock=self.shift + clock, **more))

    def twin(self, command: Command) -> Twin:
        if command.name not in self._twins:
            self.begin(command.name, command.make)
            events, seconds = [], []
            for line in command.lines:
                start = time.monotonic()
                child = self.start(line)
                if child.wait():
                    raise Damage(f"{command.name}: fails undisturbed:\n{child.output}")
                events.append(child.events)
                seconds.append(time.monotonic() - start)
            self.check_pages(command.name)
            self._twins[command.name] = Twin(commands.results(self.work / OUT), tuple(events), tuple(seconds))
        return self._twins[command.name]

    def check_pages(self, what: str) -> None:
        if stale := commands.pages_fit(self.work / OUT, self.base):
            raise Damage(f"{what}: these pages are not those of the results: {', '.join(stale)}")


@contextmanager
def bench(folder: Path | None = None, seeds: tuple[int, ...] = (1, 2)) -> Iterator[Bench]:
    """Give a workplace in a folder, or in a temporary one. seeds: of the order of sets in each starter."""
    with ExitStack() as stack:
        base = folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kills-")))
        starters = tuple(stack.enter_context(Starter(base / "logs", seed)) for seed in seeds)
        for starter in starters:
            starter.ask({"ready": True})  # imports are no part of the time in which a command is killed
        yield Bench(base.resolve(), starters)


def run(count: int, seed: int | None = None, names: Iterable[str] = NAMES, say: Callable[[str], None] = print) -> dict:
    """Kill ``count`` times in all, spread over the commands; return the number of kills by command.

    Raises Damage, after all commands had their turn, with what was lost.
    """
    names, seed = list(names), random.randrange(10**6) if seed is None else seed
    kills, damage = dict.fromkeys(names, 0), []
    with bench() as place:
        for number, name in enumerate(names):
            wanted = count // len(names) + (number < count % len(names))
            story = 0
            try:
                while kills[name] < wanted:
                    kills[name] += tell(place, name, random.Random(f"{seed}/{name}/{story}"), wanted - kills[name])
                    story += 1
                say(f"{name}: {kills[name]} kills, {story} times continued to the end, nothing lost")
            except Damage as found:
                damage.append(f"seed {seed}, {name}, story {story}: {found}")
                say(damage[-1])
    if damage:
        raise Damage("\n".join(damage))
    return kills


def tell(place: Bench, name: str, chance: random.Random, most: int = 10**9) -> int:
    """Tell one story: carry out a command with kills, at most ``most``, and compare; return their number."""
    return _votes(place, chance, most) if name == SERVE else _story(place, COMMANDS[name], chance, most)


def _story(place: Bench, command: Command, chance: random.Random, most: int) -> int:
    twin = place.twin(command)
    place.begin(command.name, command.make)
    kills: list[str] = []
    chosen = chance.randrange(len(command.lines))  # at least one line is hit
    for number, line in enumerate(command.lines):
        left = chance.randint(1, MOST) if number == chosen else chance.choice((0, 0, 1))
        while True:
            words = (*line, *command.resumed(place.work))
            hit = left > 0 and len(kills) < most
            killed, code, how, output = _hit(place, words, twin, number, chance if hit else None)
            if killed:
                kills.append(how)
                left -= 1
            elif code == 0:
                break
            else:
                told = "; ".join(kills)
                raise Damage(f"{' '.join(words)}: exit code {code} after {len(kills)} kills ({told}):\n{output}")
    place.check_pages(f"after {len(kills)} kills ({'; '.join(kills)})")
    wrong = commands.differences(commands.results(place.work / OUT), twin.files)
    if wrong:
        raise Damage(f"after {len(kills)} kills ({'; '.join(kills)}):\n  " + "\n  ".join(wrong))
    return len(kills)


def _hit(
    place: Bench, words: tuple[str, ...], twin: Twin, number: int, chance: random.Random | None
) -> tuple[bool, int, str, str]:
    """Run one line, and kill it if there is ``chance``; return whether it died of it, its code, how, its output."""
    if chance is None:
        child = place.start(words)
        return False, child.wait(), "", child.output
    which = chance.choice(SIGNALS)
    how = f"{words[0]} {words[1]}, {which.name}"
    if chance.random() < 0.5:
        event, torn = chance.randint(1, twin.events[number]), chance.random() < 0.3
        how += f" at event {event}" + (" torn" if torn else "")
        child = place.start(words, event, signal.SIGKILL if torn else which, torn)
        code = child.wait()
    else:
        pause = chance.uniform(0, twin.seconds[number])
        how += f" after {pause:.3f} s"
        child = place.start(words)
        time.sleep(pause)
        child.kill(which)
        code = child.wait()
    # A training holds SIGTERM back until it has saved, and says by its code that it was stopped.
    return code in (-which, -signal.SIGKILL, 128 + which), code, how, child.output


# -- votes ---------------------------------------------------------------------------------------------------------


def _asked(folder: Path) -> None:
    """A study of two methods."""
    import numpy as np
    from album import save
    from PIL import Image

    from refsr_bench.data.opening import open_dataset
    from refsr_bench.study import prepare, sources
    from refsr_bench.study.options import Wish
    from refsr_bench.study.plan import Method

    for number, pair in enumerate(open_dataset("sample").pairs):
        whole = pair.hr.load()[:64, :64]
        for name, turned in (("hr", whole), ("fine", np.roll(whole, 1, 0)), ("coarse", np.roll(whole, 3, 1))):
            save(Image.fromarray(turned), folder / name / f"{number}.png")
    made = [sources.Source(Method(n, n.title()), sources.folder_images(folder / n)) for n in ("fine", "coarse")]
    origin = sources.Origin(hr=sources.folder_images(folder / "hr"))
    prepare.init(folder / OUT, made, origin, Wish(attention=0.2))


def _votes(place: Bench, chance: random.Random, most: int) -> int:
    """Let somebody vote while the server is killed; every vote that was acknowledged must be there, once."""
    place.begin(SERVE, _asked)
    journal, kills, code = place.work / OUT / "votes.jsonl", 0, ""
    answers: list[str] = []  # those the page was told are saved
    words = ("study", "serve", OUT, "--no-browser")
    while True:
        hit, which = kills < most, chance.choice(SIGNALS)
        event = chance.randint(1, 12) if hit and chance.random() < 0.5 else 0
        torn = bool(event) and chance.random() < 0.3
        child = place.start(words, event, signal.SIGKILL if torn else which, torn)
        stop_after = chance.randint(0, 4) if hit and not event else -1
        try:
            visitor = _visitor(child)
            state = visitor.json("/api/resume", {"participant": code}) if code else visitor.json("/api/join", {})
            code = state["participant"]
            if not len(answers) <= state["done"] <= len(answers) + 1:  # one may have been saved, but not acknowledged
                raise Damage(f"{state['done']} votes are there, {len(answers)} were acknowledged")
            answers += ["left" if len(answers) % 3 else "right"] * (state["done"] - len(answers))
            while state["trial"] and stop_after:
                stop_after -= 1
                choice = "left" if len(answers) % 3 else "right"
                request = {"participant": code, "trial": state["trial"]["number"], "milliseconds": 1000}
                if stop_after == 0:
                    child.kill(which)  # races with the vote, which may be saved or not
                state = visitor.json("/api/vote", {**request, "choice": choice})
                answers.append(choice)
        except OSError:
            state = {"trial": True}
        except ConnectionError:
            state = {"trial": True}
        finally:
            child.kill(which)
            child.wait()
        if state["trial"] is None:
            break
        kills += 1
    _check_votes(journal, code, answers)
    return kills


def _visitor(child: Child) -> Visitor:
    while "Stop with Ctrl-C" not in child.output:
        if not child.running():
            raise ConnectionError(child.output)
        time.sleep(0.005)
    address = next(word for word in child.output.split() if word.startswith("http"))
    return Visitor(SimpleNamespace(server_port=urlsplit(address).port, url=address)).open()


def _check_votes(journal: Path, code: str, answers: list[str]) -> None:
    """Compare the journal with the twin's, which follows from the first line: one vote a trial, in order."""
    lines = [json.loads(line) for line in journal.read_bytes().splitlines()]
    own = [line for line in lines if line["participant"] == code]
    trials = own[0]["trials"]
    wanted = [
        {"action": "vote", "trial": number, "choice": answer, "milliseconds": 1000, **trial}
        for number, (trial, answer) in enumerate(zip(trials, answers, strict=True))
    ]
    found = [{key: line[key] for key in wanted[0]} for line in own[1:]]
    if found != wanted or own[0]["action"] != "join":
        raise Damage(f"the journal has {found}, the acknowledged votes are {wanted}")


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("names", nargs="*", metavar="COMMAND", help=f"default: all of {', '.join(NAMES)}")
    asked.add_argument("--count", type=int, default=100, help="kills in all (default: 100)")
    asked.add_argument("--seed", type=int, help="of the moments (default: a new one)")
    given = asked.parse_args()
    if unknown := set(given.names) - set(NAMES):
        asked.error(f"{', '.join(sorted(unknown))}: choose from {', '.join(NAMES)}")
    try:
        kills = run(given.count, given.seed, given.names or NAMES)
    except Damage:
        return 1
    print(f"{sum(kills.values())} kills, nothing lost")
    return 0


if __name__ == "__main__":
    sys.exit(main())
