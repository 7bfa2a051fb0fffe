"""Serves the selection page, on which people look at each query and choose a candidate or none.

``serve`` answers as ``local_page`` does, on 127.0.0.1 alone, and shows only this project's images. Nobody sees what
others decided. Every click is on the disk (``decisions.Log``) before the page says so. The tables are read when the
page starts, so restart it after cleaning anew.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from refsr_bench.builder.project import Project
from refsr_bench.builder.selection.desk import Desk
from refsr_bench.core.errors import Misuse
from refsr_bench.local_page import BASE, KEEP, LocalHandler, LocalServer

PAGE = Path(__file__).parent / "page"
ASSETS = BASE | {f"/{name}": PAGE / name for name in ("app.js", "style.css", "icon.svg")} | {"/": PAGE / "index.html"}
_WHO = "refsr_annotator"  # the cookie that remembers a name


def serve(
    project: Project,
    annotator: str | None = None,
    port: int = 0,
    open_browser: bool = True,
    announce: Callable[[str], None] = print,
) -> None:
    """Serve the page until Ctrl-C.

    annotator: who chooses; with None or "" the page asks once. port: 0 takes a free one.

    Raises Misuse when there is nothing to choose from, the name cannot be used, or the port is taken.
    """
    with SelectionServer(project, annotator, port) as server:
        server.run(
            open_browser,
            announce,
            f"Choose references at {server.url}\nStop with Ctrl-C; every click is saved at once.",
            "Stopped. Everything that was clicked is saved.",
        )


class SelectionServer(LocalServer):
    """The page's server, for one annotator or, with None, for whoever gives a name."""

    def __init__(self, project: Project, annotator: str | None = None, port: int = 0) -> None:
        self.desk = Desk(project)
        self.annotator = self.desk.person(annotator) if annotator else None
        super().__init__(_Handler, ASSETS, port)


class _Handler(LocalHandler):
    server: SelectionServer

    def get(self, steps: list[str]) -> None:
        desk = self.server.desk
        match steps:
            case ["api", "project"]:
                fixed = self.server.annotator is not None
                return self.send_json({**desk.overview(self._annotator()), "fixed": fixed})
            case ["api", "query", query]:
                return self.send_json(desk.detail(query))
            case ["api", "matches", query, name]:
                return self.send_json(desk.matches(query, name))
            case ["image", name]:
                data, kind = desk.original(name)
                return self.send_file(data, kind, KEEP)
            case ["thumbnail", name]:
                return self.send_file(desk.thumbnail(name), "image/jpeg", KEEP)
        raise KeyError(self.path)

    def post(self, steps: list[str], request: dict[str, Any]) -> None:
        if steps == ["api", "name"]:
            return self._name(request)
        if steps != ["api", "decide"]:
            raise KeyError(self.path)
        annotator = self._annotator()
        if annotator is None:
            raise Misuse("Say who you are first.")
        return self.send_json(self.server.desk.decide(annotator, request))

    def _name(self, request: dict[str, Any]) -> None:
        if self.server.annotator is not None:
            raise Misuse("The name was given with the command.")
        name = self.server.desk.person(str(request.get("name", "")))
        cookie = f"{_WHO}={quote(name)}; Path=/; Max-Age=31536000; HttpOnly; SameSite=Strict"
        self.send_json({"annotator": name}, {"Set-Cookie": cookie})

    def _annotator(self) -> str | None:
        if self.server.annotator is not None:
            return self.server.annotator
        try:
            return self.server.desk.person(unquote(self.cookies().get(_WHO, "")))
        except Misuse:
            return None
