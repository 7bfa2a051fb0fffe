"""Files by name: found by digest, fetched from a server on this machine through the mirror, and every way to fail."""

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from refsr_bench.core.cards import WeightsFile
from refsr_bench.core.errors import BenchError, Misuse, NoWeights
from refsr_bench.registry import known, places
from refsr_bench.registry.fetching import fetch
from refsr_bench.registry.places import located, weights_file

CONTENT = bytes(range(256)) * 40
DIGEST = hashlib.sha256(CONTENT).hexdigest()
FILE = WeightsFile("net.pth", "https://example.org/models", "a test", "net", "https://example.org/net.pth", DIGEST)
AGAIN = "refsr-bench weights fetch net"


@dataclass
class Server:
    """What the server does next. cut: bytes after which the connection ends; to: an address that it sends on to."""

    address: str = ""
    content: bytes = CONTENT
    cut: int | None = None
    to: str = ""
    ranges: bool = True
    length: int | None = None
    status: int = 200
    asked: list[tuple[str, str | None]] = field(default_factory=list)


@pytest.fixture
def server(monkeypatch, tmp_path) -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            start = self.headers.get("Range")
            state.asked.append((self.path, start))
            if state.to:
                self.send_response(302)
                self.send_header("Location", state.to)
                self.end_headers()
                return
            first = int(start.removeprefix("bytes=").removesuffix("-")) if start and state.ranges else 0
            if state.status != 200 or first > len(state.content):
                self.send_error(state.status if state.status != 200 else 416)
                return
            rest = state.content[first:]
            self.send_response(206 if first else 200)
            if first:
                self.send_header("Content-Range", f"bytes {first}-{len(state.content) - 1}/{len(state.content)}")
            self.send_header("Content-Length", str(len(rest) if state.length is None else state.length))
            self.end_headers()
            self.wfile.write(rest[: state.cut])

        def log_message(self, *given: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.address = f"http://127.0.0.1:{http.server_port}"
    threading.Thread(target=http.serve_forever, daemon=True).start()
    monkeypatch.setenv("REFSR_MIRROR", f"{state.address}/files/")
    monkeypatch.setenv("REFSR_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv("http_proxy", raising=False)
    yield state
    http.shutdown()
    http.server_close()


def test_a_file_is_fetched_once_and_whole(server, tmp_path):
    steps = []
    path = fetch(FILE, tmp_path, 1 << 20, AGAIN, lambda done, total: steps.append((done, total)))
    assert path == tmp_path / "net.pth" and path.read_bytes() == CONTENT
    assert steps[-1] == (len(CONTENT), len(CONTENT)) and server.asked == [("/files/net.pth", None)]
    assert fetch(FILE, tmp_path, 1 << 20, AGAIN) == path and len(server.asked) == 1
    assert [each.name for each in tmp_path.glob(".net*")] == []


def test_a_download_that_was_cut_goes_on_where_it_stopped(server, tmp_path):
    server.cut = 3000
    with pytest.raises(BenchError, match=r"ended after 3,000 of 10,240 bytes; the same command goes on"):
        fetch(FILE, tmp_path, 1 << 20, AGAIN)
    assert not (tmp_path / "net.pth").exists()
    server.cut = None
    assert fetch(FILE, tmp_path, 1 << 20, AGAIN).read_bytes() == CONTENT
    assert server.asked[1][1] == "bytes=3000-"


def test_a_server_that_cannot_go_on_begins_again(server, tmp_path):
    (tmp_path / ".net.pth.part").write_bytes(b"something else")
    server.ranges = False
    assert fetch(FILE, tmp_path, 1 << 20, AGAIN).read_bytes() == CONTENT


def test_what_is_longer_than_the_file_is_begun_again(server, tmp_path):
    (tmp_path / ".net.pth.part").write_bytes(CONTENT * 2)
    assert fetch(FILE, tmp_path, 1 << 20, AGAIN).read_bytes() == CONTENT


def test_another_file_is_not_kept(server, tmp_path):
    server.content = b"other weights"
    with pytest.raises(BenchError, match=r"another file than its owners state, by its SHA-256.*Get it: .refsr-bench"):
        fetch(FILE, tmp_path, 1 << 20, AGAIN)
    assert [path.name for path in tmp_path.glob("*net*")] == []


@pytest.mark.parametrize("told", [True, False], ids=["by its length", "by its bytes"])
def test_a_file_that_is_too_large_is_not_taken(server, tmp_path, told):
    server.length = None if told else 100
    server.content = CONTENT if told else CONTENT[:100] + CONTENT
    most = 5000 if told else 50
    with pytest.raises(BenchError, match=r"at most 5,000 are taken|at most 50 are taken"):
        fetch(FILE, tmp_path, most, AGAIN)
    assert [path.name for path in tmp_path.glob("*net*")] == []


def test_an_answer_without_an_end_is_cut_off(server, tmp_path, monkeypatch):
    monkeypatch.setattr("refsr_bench.registry.fetching._length", lambda answer, have: 0)  # the server tells no length
    with pytest.raises(BenchError, match="more than the 5,000 bytes"):
        fetch(FILE, tmp_path, 5000, AGAIN)
    assert [path.name for path in tmp_path.glob("*net*")] == []


@pytest.mark.parametrize("to", ["http://localhost:1/net.pth", "file:///etc/hostname", "https://example.org/net.pth"])
def test_a_mirror_sends_nobody_elsewhere(server, tmp_path, to):
    server.to = to
    with pytest.raises(BenchError, match=r"sends on to .*, which is not followed|is not allowed"):
        fetch(FILE, tmp_path, 1 << 20, AGAIN)


def test_circles_of_redirects_end(server, tmp_path):
    server.to = f"{server.address}/again"
    with pytest.raises(BenchError, match="could not be fetched"):
        fetch(FILE, tmp_path, 1 << 20, AGAIN)
    assert len(server.asked) < 10


def test_errors_of_the_server_are_told_with_what_a_person_can_do(server, tmp_path):
    server.status = 404
    with pytest.raises(BenchError, match=r"answers 404 Not Found.*download https://example.org/net.pth") as told:
        fetch(FILE, tmp_path / "w", 1 << 20, AGAIN)
    assert told.value.exit_code == 1 and str(tmp_path / "w") in str(told.value)


def test_offline_fails_at_once(tmp_path, monkeypatch):
    monkeypatch.setenv("REFSR_MIRROR", "http://127.0.0.1:9")  # nobody listens there
    with pytest.raises(BenchError, match=r"nobody answers \(.*refused\)"):
        fetch(FILE, tmp_path, 1 << 20, AGAIN)


def test_a_file_without_address_says_where_it_is(tmp_path, monkeypatch):
    monkeypatch.delenv("REFSR_MIRROR", raising=False)
    by_hand = WeightsFile("net.pth", "https://example.org/page")
    with pytest.raises(BenchError, match=r"no direct address: get it from https://example.org/page and put it into"):
        fetch(by_hand, tmp_path, 1 << 20, AGAIN)
    (tmp_path / "net.pth").write_bytes(b"by hand")
    assert fetch(by_hand, tmp_path, 1 << 20, AGAIN) == tmp_path / "net.pth"


def test_nothing_without_a_digest_is_taken_unencrypted(server, tmp_path):
    with pytest.raises(BenchError, match="over https alone"):
        fetch(WeightsFile("net.pth", "", url="https://example.org/net.pth"), tmp_path, 1 << 20, AGAIN)
    assert server.asked == []


# -- by name ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def listed(server, monkeypatch):
    monkeypatch.setattr(known, "PARTS", (FILE,))


def test_a_file_placed_by_hand_counts_by_its_digest(listed, tmp_path):
    with pytest.raises(NoWeights, match=r"net.pth is not on this machine. Get it: .refsr-bench weights fetch net."):
        weights_file("net")
    hub = tmp_path / "torch" / "hub" / "checkpoints"
    hub.mkdir(parents=True)
    (hub / "net.pth").write_bytes(CONTENT)
    assert weights_file("net") == hub / "net.pth"
    own = tmp_path / "weights"
    own.mkdir()
    (own / "net.pth").write_bytes(b"damaged")
    with pytest.raises(BenchError, match=r"net.pth: its SHA-256 is .*delete or rename it"):
        weights_file("net")
    (own / "net.pth").write_bytes(CONTENT)
    assert weights_file("net") == own / "net.pth"


def test_names_that_are_nearly_right_are_suggested():
    with pytest.raises(Misuse, match=r"Did you mean .*vgg19"):
        weights_file("vgg91")
    assert {file.name for file in known.named("c2matching")} >= {"vgg19"}


def test_every_address_goes_with_a_digest_and_names_are_their_own():
    for name, file in known.files().items():
        if file.url:
            assert file.sha256 and file.url.startswith("https://") and file.url.endswith(f"/{file.file}"), name
        assert file.home, name
    assert not [file for file in known.files().values() if file.is_pattern and file.sha256]


def test_the_hub_is_torchs(monkeypatch):
    import torch

    for name, value in (("TORCH_HOME", "/a/b"), ("XDG_CACHE_HOME", "/c")):
        monkeypatch.delenv("TORCH_HOME", raising=False)
        monkeypatch.setenv(name, value)
        assert str(places.hub()) == f"{torch.hub.get_dir()}/checkpoints"


def test_a_pattern_without_a_beginning_finds_nothing(tmp_path):
    (tmp_path / "any.pth").write_bytes(b"")
    assert located(WeightsFile("*.pth", "https://example.org"), tmp_path) is None
    assert located(WeightsFile("a*.pth", "https://example.org"), tmp_path) == tmp_path / "any.pth"
