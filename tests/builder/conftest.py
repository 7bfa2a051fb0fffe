"""A web server on this machine that plays the servers of the world, well- and ill-behaved."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest


class Web:
    """``web.pages[path] = page``, where a page is bytes (200), ``(status, headers, bytes)``, JSON (a dict or list), or
    a function of the request: it returns one of these, or writes the answer itself and returns None.

    asked: (path, query, headers) of every request, in order.
    """

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.server = server
        self.pages: dict[str, Any] = {}
        self.asked: list[tuple[str, dict[str, str], dict[str, str]]] = []
        self.forms: list[dict[str, str]] = []

    @property
    def port(self) -> int:
        return self.server.server_address[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def paths(self) -> list[str]:
        """The paths asked for, without robots.txt."""
        return [path for path, _, _ in self.asked if path != "/robots.txt"]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    web: Web

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        self.query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.web.asked.append((parts.path, self.query, headers))
        page = self.web.pages.get(parts.path, (404, {}, b"nothing here"))
        if callable(page):
            page = page(self)
        if page is not None:
            self.answer(page)

    def do_POST(self) -> None:
        form = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.web.forms.append({name: values[0] for name, values in parse_qs(form).items()})
        self.do_GET()

    def answer(self, page: Any) -> None:
        if isinstance(page, (dict, list)):
            page = (200, {"Content-Type": "application/json"}, json.dumps(page).encode())
        status, headers, body = (200, {}, page) if isinstance(page, bytes) else page
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *args: object) -> None:
        """Clients that hang up are what these tests are about."""


@pytest.fixture
def serve_web() -> Iterator[Callable[..., Web]]:
    """``serve_web()``: one more server; ``serve_web(ssl_context)`` speaks TLS."""
    servers = []

    def start(ssl_context: Any = None) -> Web:
        handler = type("TestHandler", (Handler,), {})
        server = Server(("127.0.0.1", 0), handler)
        if ssl_context is not None:
            server.socket = ssl_context.wrap_socket(server.socket, server_side=True)
        web = handler.web = Web(server)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        servers.append(server)
        return web

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def web(serve_web: Callable[..., Web]) -> Web:
    return serve_web()
