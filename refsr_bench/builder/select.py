"""The selection page: people look at each query and its candidates in a browser and choose, or say that none is proper.

``serve`` answers on 127.0.0.1 alone, to whoever opened the address it printed (a random token, exchanged for a cookie),
and shows nothing but this project's images. Nobody sees what others decided. Every click is on the disk
(``decisions.Log``) before the page says so. The tables are read when the page starts: restart it after cleaning anew.

On another machine: forward the same port, ``ssh -L 8765:127.0.0.1:8765 HOST``, with ``--port 8765`` there.
"""

from __future__ import annotations

import hashlib
import hmac
import io
import json
import os
import secrets
import sys
import threading
import webbrowser
from collections.abc import Callable
from functools import lru_cache
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from refsr_bench.builder.decisions import (
    ACTIONS,
    CATEGORY,
    REJECT,
    SELECT,
    UNDO,
    Decision,
    Log,
    Standing,
    auto,
    history,
    now,
    person,
    ranked,
    resolve,
)
from refsr_bench.builder.project import Project
from refsr_bench.builder.rows import CATEGORIES, Candidate, Cleaned, Query
from refsr_bench.images import read_image
from refsr_bench.types import BenchError, Image, Misuse

if TYPE_CHECKING:
    import numpy as np

    from refsr_bench.builder.similar import Features

__all__ = ["SelectionServer", "auto", "resolve", "serve"]

HOST = "127.0.0.1"
PAGE = Path(__file__).parent / "page"
ASSETS = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/app.js": ("app.js", "text/javascript; charset=utf-8"),
    "/style.css": ("style.css", "text/css; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
THUMBNAIL = 512  # pixels on the long side
LINES = 150  # matches that are drawn, at most
BODY = 4096  # bytes of a request's body, at most
IDLE = 60  # seconds that a connection may say nothing
_MAGIC = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG\r\n": "image/png", b"BM": "image/bmp"}
_WHO = "refsr_annotator"
_KEEP = {"Cache-Control": "private, max-age=86400"}
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def serve(
    project: Project,
    annotator: str | None = None,
    port: int = 0,
    open_browser: bool = True,
    announce: Callable[[str], None] = print,
) -> None:
    """Serve the page until Ctrl-C. annotator: who chooses; None or "": the page asks once. port: 0 takes a free one.

    Raises Misuse when there is nothing to choose from, the name cannot be used, or the port is taken.
    """
    with SelectionServer(project, annotator, port) as server:
        announce(f"Choose references at {server.url}\nStop with Ctrl-C; every click is saved at once.")
        if open_browser and _has_display():
            webbrowser.open(server.one_time_url())
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            announce("Stopped. Everything that was clicked is saved.")


def _has_display() -> bool:
    """Whether a browser would open a window, and not take over the terminal."""
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


class SelectionServer(ThreadingHTTPServer):
    """The page's server, bound and ready; ``serve_forever`` and ``shutdown`` as in the standard library."""

    daemon_threads = True

    def __init__(self, project: Project, annotator: str | None = None, port: int = 0) -> None:
        self.desk = Desk(project)
        self.annotator = self.desk.person(annotator) if annotator else None
        self.token, self.secret = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        self._once: set[str] = set()
        try:
            super().__init__((HOST, port), _Handler)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise Misuse(f"Port {port} cannot be used ({reason}). Choose another one, or 0 for any.") from None
        self.hosts = {f"{HOST}:{self.server_port}", f"localhost:{self.server_port}"}
        self.cookie = f"refsr_{self.server_port}"  # cookies do not tell ports apart

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.server_port}/?token={self.token}"

    def one_time_url(self) -> str:
        """For the command line of a browser, which others on this machine can read: it opens the page once."""
        token = secrets.token_urlsafe(32)
        self._once.add(token)
        return f"http://{HOST}:{self.server_port}/?token={token}"

    def admits(self, token: str) -> bool:
        if token in self._once:
            self._once.discard(token)
            return True
        return hmac.compare_digest(token.encode(), self.token.encode())

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), (ConnectionError, TimeoutError)):  # a browser that left is no error
            super().handle_error(request, client_address)


class Desk:
    """What the page shows and may ask for: the queries that have candidates. Images go by opaque names, which only
    rows of the tables have."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.log = Log(project.selection_log)
        self.candidates: dict[str, list[Cleaned]] = {query: rows for query, rows in ranked(project).items() if rows}
        self.queries = {query.id: query for query in project.kept_queries if query.id in self.candidates}
        self.removed = {(row.query, row.file): row.reason for row in project.cleaned if not row.kept}
        if not self.candidates:
            raise Misuse(f"{project.path}: there is no candidate to choose from. First: queries, pool and clean.")
        wanted = {(row.query, row.file) for rows in self.candidates.values() for row in rows}
        self.facts: dict[tuple[str, str], Candidate] = {
            (row.query, row.file): row for row in project.pool if (row.query, row.file) in wanted
        }
        files = {row.file for row in self.facts.values()} | {file for _, file in wanted}
        self._salt = secrets.token_bytes(16)  # names of one run of the page: no browser shows an older picture for them
        self.files = {self._name(file): file for file in files | {query.file for query in self.queries.values()}}
        self.thumbnail = lru_cache(maxsize=1000)(self._thumbnail)
        self.matches = lru_cache(maxsize=500)(self._matches)
        self._features = lru_cache(maxsize=100)(self._described)
        self._busy = threading.Semaphore(2)  # decoded photos are large

    def person(self, name: str) -> str:
        return person(name, dict.fromkeys(line.annotator for line in self.log.read()))

    def overview(self, annotator: str | None) -> dict[str, Any]:
        """The list of queries, with what this annotator decided."""
        made = history(self.log.read(), annotator) if annotator else []
        stands = dict(made)
        queries = [{"id": query, **self._standing(query, stands.get(query, Standing()))} for query in self.candidates]
        settings = self.project.settings
        return {
            "title": settings.title,
            "annotator": annotator,
            "categories": CATEGORIES,
            "queries": queries,
            "lines": len(made),
        }

    def detail(self, query: str) -> dict[str, Any]:
        """One query and its candidates, most similar first. Raises KeyError for an unknown one."""
        row = self.queries[query]
        return {
            "id": query,
            **self._facts(row),
            "category": row.category,
            "candidates": [self._candidate(cleaned) for cleaned in self.candidates[query]],
        }

    def _candidate(self, row: Cleaned) -> dict[str, Any]:
        numbers = {
            key: round(getattr(row, key), 3) for key in ("similarity", "inliers", "scale", "rotation", "overlap")
        }
        known = self.facts.get((row.query, row.file), Candidate(row.query, row.file))
        return {**self._facts(known), **numbers}

    def _standing(self, query: str, standing: Standing) -> dict[str, Any]:
        """As the page has it. A choice that cleaning removed since is none; the page says why."""
        gone = standing.choice is not None and all(row.file != standing.choice for row in self.candidates[query])
        return {
            "choice": None if gone or standing.choice is None else self._name(standing.choice),
            "rejected": standing.rejected,
            "category": standing.category,
            "gone": (self.removed.get((query, standing.choice)) or "no candidate any more") if gone else "",
        }

    def decide(self, annotator: str, request: dict[str, Any]) -> dict[str, Any]:
        """Write one click down; returns the query and how it stands. Raises Misuse for a request that makes no sense.

        Asking for what stands already writes nothing, so that a request whose answer was lost can be sent again; for
        the same reason "undo" says how many lines it knows of.
        """
        action, query, category = request.get("action"), request.get("query", ""), request.get("category", "")
        if action not in ACTIONS:
            raise Misuse(f"Unknown action {action!r}.")
        changed = query

        def line(log: list[Decision]) -> Decision | None:
            nonlocal changed
            made = history(log, annotator)
            if action == UNDO:
                if not made or len(made) != request.get("lines"):
                    raise Misuse("There is nothing to take back." if not made else "Something was decided elsewhere.")
                changed = made[-1][0]
                return Decision(now(), annotator, changed, None, "", UNDO)
            before = dict(made).get(query, Standing())
            after = self._wanted(action, query, category, request.get("choice"), before)
            same = before == after
            choice = after.choice if action == SELECT else None
            return None if same else Decision(now(), annotator, query, choice, after.category, action)

        made = history(self.log.add(line), annotator)
        standing = dict(made).get(changed, Standing())
        shown = self._standing(changed, standing) if changed in self.candidates else {}
        return {"id": changed, **shown, "lines": len(made)}

    def _wanted(self, action: str, query: str, category: str, choice: Any, before: Standing) -> Standing:
        if query not in self.candidates:
            raise Misuse(f"Unknown query {query!r}.")
        if category not in ("", *CATEGORIES) or (action == CATEGORY and not category):
            raise Misuse(f"Unknown category {category!r}.")
        category = category or before.category
        if action == CATEGORY:
            return Standing(before.choice, before.rejected, category)
        if action == REJECT:
            return Standing(None, True, category)
        file = self.files.get(choice) if isinstance(choice, str) else None
        if all(row.file != file for row in self.candidates[query]):
            raise Misuse(f"That is no candidate of query {query!r}.")
        return Standing(file, False, category)

    def original(self, name: str) -> tuple[bytes, str]:
        """The bytes of an image as it lies in the project, and their type; what browsers cannot show becomes PNG.

        Raises KeyError for an unknown name, BenchError for a file that is gone or damaged.
        """
        path = self.project.file(self.files[name])
        try:
            data = path.read_bytes()
        except OSError as error:
            raise BenchError(f"{self.files[name]}: cannot be read ({error.strerror}).") from None
        kind = next((kind for magic, kind in _MAGIC.items() if data.startswith(magic)), None)
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            kind = "image/webp"
        return (data, kind) if kind else (_encoded(read_image(path), "PNG"), "image/png")

    def _thumbnail(self, name: str) -> bytes:
        """An image, no longer than THUMBNAIL, as JPEG. Raises like ``original``."""
        path = self.project.file(self.files[name])
        with self._busy:
            return _encoded(read_image(path), "JPEG", THUMBNAIL)

    def _matches(self, query: str, name: str) -> dict[str, Any]:
        """The matches of a query and one of its candidates that agree with one homography, found as cleaning did.

        lines: [x, y, x', y'] in pixels of both, measured from the corner of the first; matrix: candidate to query, 3x3.
        Raises KeyError for an unknown pair.
        """
        from refsr_bench.builder import similar

        file = self.files[name]
        if all(row.file != file for row in self.candidates[query]):
            raise KeyError(name)
        with self._busy:
            geometry = similar.relate(self._features(self.queries[query].file), self._features(file))
        return _drawn(geometry.points)

    def _described(self, file: str) -> Features:
        from refsr_bench.builder import similar

        return similar.features(read_image(self.project.file(file)))

    def _name(self, file: str) -> str:
        return hashlib.blake2s(file.encode(), key=self._salt, digest_size=12).hexdigest()

    def _facts(self, row: Query | Candidate) -> dict[str, Any]:
        link = row.landing_url or row.source_url
        return {
            "image": self._name(row.file),
            "width": row.width,
            "height": row.height,
            "license": " ".join(word for word in (row.license, row.license_version) if word),
            "creator": row.creator,
            "link": link if urlsplit(link).scheme in ("http", "https") else "",
        }


def _encoded(image: Image, kind: str, longest: int | None = None) -> bytes:
    from PIL import Image as PilImage

    picture = PilImage.fromarray(image)
    if longest:
        picture.thumbnail((longest, longest), PilImage.Resampling.LANCZOS)
    data = io.BytesIO()
    picture.save(data, format=kind, quality=88)
    return data.getvalue()


def _drawn(points: np.ndarray | None) -> dict[str, Any]:
    """The page's form of ``similar.Geometry.points``, whose pixel centres are whole numbers."""
    import cv2
    import numpy as np

    if points is None:
        return {"lines": [], "inliers": 0, "matrix": None}
    corners = points.astype(np.float64) + 0.5
    matrix, _ = cv2.findHomography(corners[:, 2:], corners[:, :2])
    shown = corners[:: -(-len(corners) // LINES)]
    usable = matrix is not None and np.isfinite(matrix).all()
    return {
        "lines": shown.round(1).tolist(),
        "inliers": len(corners),
        "matrix": matrix.tolist() if usable else None,
    }


class _Handler(BaseHTTPRequestHandler):
    server: SelectionServer
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "refsr-bench", ""
    timeout = IDLE

    def do_GET(self) -> None:
        self._answer(self._get)

    def do_POST(self) -> None:
        self._answer(self._post)

    def _answer(self, act: Callable[[], None]) -> None:
        try:
            if self.headers.get("Host", "") not in self.server.hosts:  # DNS rebinding: the name of somebody else's site
                where = f"{HOST}:{self.server.server_port}"
                self._refuse(HTTPStatus.MISDIRECTED_REQUEST, f"This page is at {where} only; forward the same port.")
            else:
                act()
        except KeyError:
            self._refuse(HTTPStatus.NOT_FOUND, "There is nothing here.")
        except Misuse as error:
            self._refuse(HTTPStatus.CONFLICT, str(error))
        except BenchError as error:
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, str(error))

    def _get(self) -> None:
        parts = urlsplit(self.path)
        token = parse_qs(parts.query).get("token", [""])[0]
        if parts.path == "/" and token and self.server.admits(token):
            cookie = f"{self.server.cookie}={self.server.secret}; Path=/; HttpOnly; SameSite=Strict"
            return self._send(HTTPStatus.SEE_OTHER, b"", "text/plain", {"Location": "/", "Set-Cookie": cookie})
        if not self._known():
            return self._refuse(HTTPStatus.FORBIDDEN, "Open this page by the address that the command printed.")
        if parts.path in ASSETS:
            name, kind = ASSETS[parts.path]
            return self._send(HTTPStatus.OK, (PAGE / name).read_bytes(), kind)
        desk = self.server.desk
        match [unquote(step) for step in parts.path.split("/")[1:]]:
            case ["api", "project"]:
                fixed = self.server.annotator is not None
                return self._json({**desk.overview(self._annotator()), "fixed": fixed})
            case ["api", "query", query]:
                return self._json(desk.detail(query))
            case ["api", "matches", query, name]:
                return self._json(desk.matches(query, name))
            case ["image", name]:
                data, kind = desk.original(name)
                return self._send(HTTPStatus.OK, data, kind, _KEEP)
            case ["thumbnail", name]:
                return self._send(HTTPStatus.OK, desk.thumbnail(name), "image/jpeg", _KEEP)
        raise KeyError(self.path)

    def _post(self) -> None:
        if not self._known() or self.headers.get("Origin") != f"http://{self.headers['Host']}":
            return self._refuse(HTTPStatus.FORBIDDEN, "Open this page by the address that the command printed.")
        request = self._body()
        if request is None:
            return self._refuse(HTTPStatus.BAD_REQUEST, f"Expected a JSON object of at most {BODY} bytes.")
        if self.path == "/api/name":
            return self._name(request)
        if self.path != "/api/decide":
            return self._refuse(HTTPStatus.NOT_FOUND, "There is nothing here.")
        annotator = self._annotator()
        if annotator is None:
            raise Misuse("Say first who you are.")
        return self._json(self.server.desk.decide(annotator, request))

    def _name(self, request: dict[str, Any]) -> None:
        if self.server.annotator is not None:
            raise Misuse("The name was given with the command.")
        name = self.server.desk.person(str(request.get("name", "")))
        cookie = f"{_WHO}={quote(name)}; Path=/; Max-Age=31536000; HttpOnly; SameSite=Strict"
        self._json({"annotator": name}, {"Set-Cookie": cookie})

    def _cookies(self) -> dict[str, str]:
        try:
            return {name: morsel.value for name, morsel in SimpleCookie(self.headers.get("Cookie", "")).items()}
        except CookieError:
            return {}

    def _known(self) -> bool:
        return hmac.compare_digest(self._cookies().get(self.server.cookie, "").encode(), self.server.secret.encode())

    def _annotator(self) -> str | None:
        if self.server.annotator is not None:
            return self.server.annotator
        try:
            return self.server.desk.person(unquote(self._cookies().get(_WHO, "")))
        except Misuse:
            return None

    def _body(self) -> dict[str, Any] | None:
        """The request's JSON object; None for anything else. What was not read ends the connection."""
        length = self.headers.get("Content-Length", "")
        kind = self.headers.get_content_type()
        if not length.isdecimal() or int(length) > BODY or kind != "application/json":
            return None
        data = self.rfile.read(int(length))
        try:
            value = json.loads(data)
        except (ValueError, RecursionError):
            return None
        return value if isinstance(value, dict) else None

    def _json(self, value: Any, headers: dict[str, str] | None = None) -> None:
        data = json.dumps(value, ensure_ascii=False).encode()
        self._send(HTTPStatus.OK, data, "application/json; charset=utf-8", headers)

    def _refuse(self, status: HTTPStatus, reason: str) -> None:
        self.close_connection = True
        self._send(status, reason.encode(), "text/plain; charset=utf-8", {"Connection": "close"})

    def _send(self, status: HTTPStatus, data: bytes, kind: str, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        all_headers = {**_HEADERS, "Cache-Control": "no-store", "Content-Type": kind, **(headers or {})}
        for name, value in {**all_headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Nothing: the terminal is for the address, and requests may hold the token."""
