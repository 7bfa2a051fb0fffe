"""Serves the study's page: several people at once choose, one comparison at a time, without knowing the methods.

``local_page`` answers for ``serve``, on 127.0.0.1 alone. Images have names drawn for one trial of one run of the
server, and nothing that the page gets tells methods, checks or repeats apart. Every choice is on the disk before the
page says so. Participants are known only by a random code, with which they can continue later; an open page is one
participant.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeVar

from refsr_bench.core import files, reader
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.reader import Format, Text
from refsr_bench.local_page import BASE, KEEP, LocalHandler, LocalServer
from refsr_bench.pixels.images import image_size
from refsr_bench.study import votes
from refsr_bench.study.plan import IMAGES
from refsr_bench.study.schedule import schedule
from refsr_bench.study.votes import JOIN, LEFT, RIGHT, TIE, UNDO, VOTE, Line, Person

PAGE = Path(__file__).parent / "page"
ASSETS = BASE | {
    "/": PAGE / "index.html",
    "/app.js": PAGE / "app.js",
    "/style.css": PAGE / "style.css",
    "/icon.svg": PAGE / "icon.svg",
}
SECONDS = 8  # per comparison, a guess from trials; people are told the sum before they begin
MOST_BYTES = 1 << 28  # of one image: 8-bit RGB of 9000 x 9000 pixels, uncompressed

Asked = TypeVar("Asked", bound=Format)


class Resume(Format):
    """The page's request to continue. participant: their code as somebody typed it."""

    participant: Text


class Undo(Resume):
    """The page's request to take a choice back. trial: its number, so that a request sent twice takes back one."""

    trial: int


class Choice(Undo):
    """The page's request to record a choice. milliseconds: since the images appeared."""

    choice: Literal["left", "right", "tie"]
    milliseconds: votes.Milliseconds


def serve(
    folder: Path, port: int = 0, open_browser: bool = True, announce: Callable[[str], None] = print
) -> None:
    """Serve the page until Ctrl-C. port: 0 takes a free one.

    Raises Misuse when there is no study or the port is taken.
    """
    with StudyServer(folder, port) as server:
        server.run(
            open_browser,
            announce,
            f"The study is at {server.url}\nStop with Ctrl-C; every choice is saved at once.",
            "Stopped. Everything that was chosen is saved.",
        )


class StudyServer(LocalServer):
    """The page's server for one study folder."""

    def __init__(self, folder: Path, port: int = 0) -> None:
        self.desk = Desk(folder)
        super().__init__(_Handler, ASSETS, port)


class Desk:
    """Handles everything that participants see and do. Every request is answered with the participant's state."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.plan, _ = votes.read(folder)  # damaged votes stop the server before anybody has begun
        self.journal = votes.journal(folder)
        self._salt = secrets.token_bytes(16)
        self._files: dict[str, str] = {}
        self._sizes: dict[str, tuple[int, int]] = {}

    def about(self) -> dict[str, Any]:
        """Return the words that everybody sees before they begin."""
        plan = self.plan
        return {
            "title": plan.title,
            "question": plan.question,
            "ties": plan.ties,
            "reference": plan.reference,
            "total": plan.length,
            "minutes": max(1, round(plan.length * SECONDS / 60)),
        }

    def join(self) -> dict[str, Any]:
        """Let a new participant in."""
        code = ""

        def line(lines: list[Line]) -> list[Line]:
            nonlocal code
            known = votes.people(lines)
            while not code or code in known:
                code = votes.new_code()
            trials = schedule(self.plan, code, known.values())
            return [Line(votes.now(), self.plan.digest, code, JOIN, trials=trials)]

        return self._state(votes.people(self.journal.extend(line))[code])

    def resume(self, request: dict[str, Any]) -> dict[str, Any]:
        """Let a participant continue. Raises Misuse for an unknown code."""
        return self._state(self._person(self.journal.read(), _asked(request, Resume)))

    def vote(self, request: dict[str, Any]) -> dict[str, Any]:
        """Record one choice, once: a request whose answer was lost can be sent again.

        Raises Misuse for a request that makes no sense.
        """
        asked = _asked(request, Choice)
        if asked.choice == TIE and not self.plan.ties:
            raise Misuse("This study has no ties.")

        def line(lines: list[Line]) -> list[Line]:
            person = self._person(lines, asked)
            made = person.votes.get(asked.trial)
            if made and (made.choice, made.milliseconds) == (asked.choice, asked.milliseconds):
                return []
            if asked.trial != person.next:
                raise Misuse("That comparison is not the current one: this participant went on elsewhere.")
            trial = person.trials[asked.trial]
            facts = (asked.trial, trial.item, trial.kind, trial.left, asked.choice, asked.milliseconds)
            return [Line(votes.now(), self.plan.digest, person.code, VOTE, *facts)]

        return self._state(self._person(self.journal.extend(line), asked))

    def undo(self, request: dict[str, Any]) -> dict[str, Any]:
        """Take the latest choice back. Raises Misuse when there is none, or it is another one."""
        asked = _asked(request, Undo)

        def line(lines: list[Line]) -> list[Line]:
            person = self._person(lines, asked)
            if asked.trial == person.next:  # already taken back
                return []
            if asked.trial != person.last:
                raise Misuse("There is nothing to take back, or this participant went on elsewhere.")
            return [Line(votes.now(), self.plan.digest, person.code, UNDO, asked.trial)]

        return self._state(self._person(self.journal.extend(line), asked))

    def image(self, name: str) -> bytes:
        """Return an image as PNG. Raises KeyError for an unknown name, BenchError for a file that is gone."""
        return files.read_bytes(self.folder / IMAGES / self._files[name], MOST_BYTES)

    def _person(self, lines: list[Line], asked: Resume) -> Person:
        code = "".join(asked.participant.upper().split())
        if len(code) == 8 and "-" not in code:
            code = f"{code[:4]}-{code[4:]}"
        person = votes.people(lines).get(code)
        if person is None or not person.trials:
            raise Misuse("No participant of this study has that code.")
        return person

    def _state(self, person: Person) -> dict[str, Any]:
        now = person.next
        coming = [] if now is None else [n for n in range(now + 1, len(person.trials)) if n not in person.votes][:1]
        return {
            "participant": person.code,
            "total": len(person.trials),
            "done": len(person.votes),
            "last": person.last,
            "trial": None if now is None else self._trial(person, now),
            "coming": [self._trial(person, n) for n in coming],  # for the page to load ahead
        }

    def _trial(self, person: Person, number: int) -> dict[str, Any]:
        trial = person.trials[number]
        item = self.plan.by_id[trial.item]
        shown = {LEFT: item.file(trial.left), RIGHT: item.file(item.other(trial.left))}
        if item.reference_file:
            shown["reference"] = item.reference_file
        return {"number": number} | {side: self._shown(person, number, side, file) for side, file in shown.items()}

    def _shown(self, person: Person, number: int, side: str, file: str) -> dict[str, Any]:
        words = f"{person.code}/{number}/{side}".encode()
        name = hashlib.blake2s(words, key=self._salt, digest_size=12).hexdigest()
        self._files[name] = file
        if file not in self._sizes:
            self._sizes[file] = image_size(self.folder / IMAGES / file)
        width, height = self._sizes[file]
        return {"image": name, "width": width, "height": height}


def _asked(request: dict[str, Any], kind: type[Asked]) -> Asked:
    try:
        return reader.convert(request, kind, "The page's request")
    except BenchError as error:
        raise Misuse(str(error)) from None


class _Handler(LocalHandler):
    server: StudyServer

    def get(self, steps: list[str]) -> None:
        match steps:
            case ["api", "study"]:
                return self.send_json(self.server.desk.about())
            case ["image", name]:
                return self.send_file(self.server.desk.image(name), "image/png", KEEP)
        raise KeyError(self.path)

    def post(self, steps: list[str], request: dict[str, Any]) -> None:
        desk = self.server.desk
        match steps:
            case ["api", "join"]:
                return self.send_json(desk.join())
            case ["api", "resume"]:
                return self.send_json(desk.resume(request))
            case ["api", "vote"]:
                return self.send_json(desk.vote(request))
            case ["api", "undo"]:
                return self.send_json(desk.undo(request))
        raise KeyError(self.path)
