"""Serves pages to the people at this machine, on 127.0.0.1 alone, for whoever has the printed address.

The address holds a random token, which is exchanged for a cookie. Other hosts' names (DNS rebinding), other pages'
requests (Origin) and foreign content in a page (Content-Security-Policy) are refused. The pages share ``base.css`` and
``base.js``.

To use a page from another machine, run ``ssh -L 8765:127.0.0.1:8765 HOST`` there and pass ``--port 8765`` on the
serving machine.
"""

from __future__ import annotations

import hmac
import json
import os
import secrets
import sys
import webbrowser
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from refsr_bench.core import reader
from refsr_bench.core.errors import BenchError, Misuse

HOST = "127.0.0.1"
MOST_BODY = 4096  # limit of a request's body; the pages' own requests have a twentieth of it
IDLE = 60  # seconds that a connection may be silent, so that idle ones do not keep their threads
KEEP = {"Cache-Control": "private, max-age=86400"}
BASE = {f"/{name}": Path(__file__).parent / name for name in ("base.css", "base.js")}
_STRANGER = "Open this page by the address that the command printed."
_KINDS = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class LocalServer(ThreadingHTTPServer):
    """A page's server, bound and ready; ``serve_forever`` and ``shutdown`` come from the standard library.

    assets: the files of the page by address, "/" among them. Raises Misuse when the port is taken.
    """

    daemon_threads = True

    def __init__(self, handler: type[LocalHandler], assets: Mapping[str, Path], port: int = 0) -> None:
        self.assets = assets
        self.token, self.secret = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        self._once: set[str] = set()
        try:
            super().__init__((HOST, port), handler)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise Misuse(f"Port {port} cannot be used ({reason}). Choose another one, or 0 for any.") from None
        self.hosts = {f"{HOST}:{self.server_port}", f"localhost:{self.server_port}"}
        self.cookie = f"refsr_{self.server_port}"  # the port is in the name, because cookies do not tell ports apart

    @property
    def url(self) -> str:
        return self._url(self.token)

    def one_time_url(self) -> str:
        """Return an address that opens the page once, for a browser's command line, which other users can read."""
        token = secrets.token_urlsafe(32)
        self._once.add(token)
        return self._url(token)

    def _url(self, token: str) -> str:
        return f"http://{HOST}:{self.server_port}/?token={token}"

    def admits(self, token: str) -> bool:
        """Tell whether a token opens the page. Asking uses up a one-time token."""
        if token in self._once:
            self._once.discard(token)
            return True
        return hmac.compare_digest(token.encode(), self.token.encode())

    def run(self, open_browser: bool, announce: Callable[[str], None], hello: str, goodbye: str) -> None:
        """Serve until Ctrl-C. hello, goodbye: the messages before and after."""
        announce(hello)
        if open_browser:
            show(self.one_time_url())
        try:
            self.serve_forever()
        except KeyboardInterrupt:
            announce(goodbye)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), (ConnectionError, TimeoutError)):  # a browser that left is no error
            super().handle_error(request, client_address)


def show(address: str) -> bool:
    """Open an address in the person's browser; False where a browser has no window to open."""
    return _has_display() and webbrowser.open(address)


def _has_display() -> bool:
    """Tell whether a browser would open a window instead of taking over the terminal."""
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


class LocalHandler(BaseHTTPRequestHandler):
    """Checks who may come in, and leaves the answers to a page's ``get`` and ``post``.

    They raise KeyError for an unknown address (404), Misuse for a request that makes no sense (409) and BenchError for
    work that failed (500).
    """

    server: LocalServer
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "refsr-bench", ""
    timeout = IDLE

    def get(self, steps: list[str]) -> None:
        """Answer a GET. steps: the decoded path, ["a", "b"] for ``/a/b``."""
        raise NotImplementedError

    def post(self, steps: list[str], request: dict[str, Any]) -> None:
        """Answer a POST of a JSON object."""
        raise NotImplementedError

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
        try:
            parts = urlsplit(self.path)
        except ValueError:  # half an IPv6 address
            raise KeyError(self.path) from None
        token = parse_qs(parts.query).get("token", [""])[0]
        if parts.path == "/" and token and self.server.admits(token):
            # The redirect takes the token out of the address bar, the history and the Referer.
            cookie = f"{self.server.cookie}={self.server.secret}; Path=/; HttpOnly; SameSite=Strict"
            return self._send(HTTPStatus.SEE_OTHER, b"", "text/plain", {"Location": "/", "Set-Cookie": cookie})
        if not self._known():
            return self._refuse(HTTPStatus.FORBIDDEN, _STRANGER)
        if parts.path in self.server.assets:
            file = self.server.assets[parts.path]
            return self.send_file(file.read_bytes(), _KINDS[file.suffix])
        return self.get(_steps(parts.path))

    def _post(self) -> None:
        if not self._known() or self.headers.get("Origin") != f"http://{self.headers['Host']}":
            return self._refuse(HTTPStatus.FORBIDDEN, _STRANGER)
        request = self._body()
        if request is None:
            return self._refuse(HTTPStatus.BAD_REQUEST, f"Expected a JSON object of at most {MOST_BODY} bytes.")
        return self.post(_steps(self.path), request)

    def cookies(self) -> dict[str, str]:
        try:
            return {name: morsel.value for name, morsel in SimpleCookie(self.headers.get("Cookie", "")).items()}
        except CookieError:
            return {}

    def _known(self) -> bool:
        return hmac.compare_digest(self.cookies().get(self.server.cookie, "").encode(), self.server.secret.encode())

    def _body(self) -> dict[str, Any] | None:
        """The request's JSON object; None for anything else, read or not: ``_refuse`` then ends the connection."""
        length = self.headers.get("Content-Length", "")
        kind = self.headers.get_content_type()  # forms of other sites cannot send JSON without asking first (CORS)
        if not length.isdecimal() or len(length) > 9 or int(length) > MOST_BODY or kind != "application/json":
            return None
        try:
            value = reader.parse_json(self.rfile.read(int(length)), "the request")
        except BenchError:
            return None
        return value if isinstance(value, dict) else None

    def send_json(self, value: Any, headers: dict[str, str] | None = None) -> None:
        data = json.dumps(value, ensure_ascii=False).encode()
        self._send(HTTPStatus.OK, data, "application/json; charset=utf-8", headers)

    def send_file(self, data: bytes, kind: str, headers: dict[str, str] | None = None) -> None:
        self._send(HTTPStatus.OK, data, kind, headers)

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
        """Print nothing: the terminal is for the address, and requests may hold the token."""


def _steps(path: str) -> list[str]:
    return [unquote(step) for step in path.split("/")[1:]]
