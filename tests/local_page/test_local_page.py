"""A local page's server by itself: the requests it understands, and those it refuses before a page hears of them."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from visitor import Visitor

from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.local_page import BASE, LocalHandler, LocalServer


class Echo(LocalHandler):
    """Answers with what it understood."""

    def get(self, steps: list[str]) -> None:
        if steps == ["broken"]:
            raise BenchError("The disk is gone.")
        self.send_json({"steps": steps})

    def post(self, steps: list[str], request: dict[str, Any]) -> None:
        if request.get("odd"):
            raise Misuse("An odd wish.")
        self.send_json({"steps": steps, "request": request})


@pytest.fixture
def visitor() -> Iterator[Visitor]:
    with LocalServer(Echo, BASE) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield Visitor(server).open()
        server.shutdown()


def test_a_page_hears_of_decoded_steps_and_objects(visitor: Visitor) -> None:
    assert visitor.json("/a%20b/..%2Fc") == {"steps": ["a b", "../c"]}
    assert visitor.json("/do", {"x": [1]}) == {"steps": ["do"], "request": {"x": [1]}}
    assert visitor("/broken")[:2] == (500, b"The disk is gone.")
    assert visitor("/do", {"odd": True})[:2] == (409, b"An odd wish.")


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"\xff", b'{"x": NaN}', b'{"x": 1, "x": 2}', b'{"x": "\\ud800"}', b'{"x": 1' + b"0" * 99 + b"}",
     b'{"x": ' + b"[" * 99 + b"]" * 99 + b"}", b"{" + b" " * 5000 + b"}"],
)  # fmt: skip
def test_bodies_that_are_no_sound_object_are_refused(visitor: Visitor, body: bytes) -> None:
    status, reason, headers = visitor("/do", body)
    assert (status, headers["Connection"]) == (400, "close") and b"JSON object" in reason


def test_what_is_no_address_or_length_is_refused(visitor: Visitor) -> None:
    assert visitor("http://[")[0] == 404
    assert visitor("/do", {}, Content_Length="9" * 5000)[0] == 400


def test_a_damaged_cookie_is_a_strangers(visitor: Visitor) -> None:
    for cookie in ("=;;=", f"{visitor.server.cookie}=guess", 'a="\\', ""):
        assert visitor("/a", Cookie=cookie)[0] == 403


def test_a_taken_port_is_said(visitor: Visitor) -> None:
    with pytest.raises(Misuse, match="Choose another one"):
        LocalServer(Echo, BASE, visitor.server.server_port)


RAW = {
    "no HTTP": b"\x00\xff\r\n\r\n",
    "no UTF-8 in the path": b"GET /\xff\xfe HTTP/1.1\r\nHost: {host}\r\n\r\n",
    "a length of letters": b"POST /do HTTP/1.1\r\nHost: {host}\r\nContent-Length: ten\r\n{known}\r\n{}",
    "a negative length": b"POST /do HTTP/1.1\r\nHost: {host}\r\nContent-Length: -1\r\n{known}\r\n{}",
    "no length": b"POST /do HTTP/1.1\r\nHost: {host}\r\n{known}\r\n{}",
    "a length below the body's": b"POST /do HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1\r\n{known}\r\n{}",
    "a length above the body's": b"POST /do HTTP/1.1\r\nHost: {host}\r\nContent-Length: 99\r\n{known}\r\n{}",
    "chunks": b"POST /do HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n{known}\r\n2\r\n{}\r\n0\r\n\r\n",
    "a type that is none": b"POST /do HTTP/1.1\r\nHost: {host}\r\nContent-Type: ;=\r\n{known}\r\n{}",
    "no UTF-8 in a cookie": b"GET / HTTP/1.1\r\nHost: {host}\r\nCookie: \xff=\xfe\r\n\r\n",
    "another method": b"BREW / HTTP/1.1\r\nHost: {host}\r\n\r\n",
    "thousands of headers": b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 5000 + b"\r\n",
}


@pytest.mark.parametrize("what", RAW)
def test_a_request_that_is_none_breaks_nothing(
    visitor: Visitor, what: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Echo, "timeout", 0.3)  # seconds that a connection may be silent
    cookie = "; ".join(f"{name}={value}" for name, value in visitor.cookies.items())
    known = f"Cookie: {cookie}\r\nOrigin: http://{visitor.host}\r\n"
    if "type" not in what:
        known += "Content-Type: application/json\r\n"
    data = RAW[what].replace(b"{host}", visitor.host.encode()).replace(b"{known}", known.encode())
    with socket.create_connection(("127.0.0.1", visitor.server.server_port), timeout=10) as connection:
        connection.sendall(data)
        with suppress(ConnectionError):
            while connection.recv(1 << 16):
                pass
    assert visitor.json("/a") == {"steps": ["a"]}, "the next visitor is served"
    assert "Traceback" not in "".join(capfd.readouterr())


@pytest.mark.parametrize("value", [[], [{}], 1, None, "text", True, [[[]]]])
def test_json_that_is_no_object_reaches_no_page(visitor: Visitor, value: object) -> None:
    status, reason, _ = visitor("/do", json.dumps(value).encode())
    assert status == 400 and b"JSON object" in reason
