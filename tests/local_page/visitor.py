"""Visitors of a local page's server: by HTTP alone, and in a real browser."""

import http.client
import json
from typing import Any, Self
from urllib.parse import urlsplit

from refsr_bench.local_page import LocalServer


class Visitor:
    """Requests as a browser makes them: it keeps cookies and says where a request comes from."""

    def __init__(self, server: LocalServer) -> None:
        self.server, self.cookies = server, {}
        self.host = f"127.0.0.1:{server.server_port}"

    def __call__(self, path: str, body: object = None, **headers: str | None) -> tuple[int, bytes, dict[str, str]]:
        connection = http.client.HTTPConnection(self.host, timeout=10)
        sent = {"Host": self.host, "Cookie": "; ".join(f"{k}={v}" for k, v in self.cookies.items())}
        data = None
        if body is not None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            sent |= {"Origin": f"http://{self.host}", "Content-Type": "application/json"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        kept = {name: value for name, value in sent.items() if value is not None}
        connection.request("GET" if body is None else "POST", path, data, kept)
        answer = connection.getresponse()
        content = answer.read()
        for cookie in answer.headers.get_all("Set-Cookie", []):
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value
        connection.close()
        return answer.status, content, dict(answer.headers)

    def open(self, url: str | None = None) -> Self:
        parts = urlsplit(url or self.server.url)
        status, _, headers = self(f"{parts.path}?{parts.query}")
        assert (status, headers["Location"]) == (303, "/")
        return self

    def json(self, path: str, body: object = None) -> dict:
        status, content, _ = self(path, body)
        assert status == 200, content
        return json.loads(content)


def open_watched(context: Any, url: str, wrong: list[str]) -> Any:
    """A new page of a playwright context, at the address a command prints. ``wrong`` gets what goes wrong in it, and
    whatever it asks of anybody else."""
    page = context.new_page()
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: message.type == "error" and wrong.append(message.text))
    own = f"http://127.0.0.1:{urlsplit(url).port}/"
    page.on("request", lambda request: request.url.startswith(own) or wrong.append(request.url))
    page.goto(url)
    assert page.url.split("#")[0] == own, "the token does not stay in the address"
    return page
