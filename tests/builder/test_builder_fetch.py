"""Fetching: politely from servers that behave, safely from those that do not."""

import email.utils
import gzip
import io
import shutil
import socket
import ssl
import struct
import subprocess
import time
import tracemalloc
import zlib

import pytest
from PIL import Image
from protego import Protego

from refsr_bench.builder.fetching.fetch import AGENT, CONTACT, Client, Policy
from refsr_bench.builder.fetching.network import FetchError, Refused, Throttled, public, split_url
from refsr_bench.core.errors import Misuse

KEY = "k3y-that-nobody/may+see"


@pytest.fixture
def jpeg(photo):
    file = io.BytesIO()
    Image.fromarray(photo(60, 80)).save(file, "JPEG")
    return file.getvalue()


@pytest.fixture
def waits():
    return []


@pytest.fixture
def client(tmp_path, waits):
    """``client(**policy)``: patient with this machine's server; waits are noted instead of waited."""

    def make(resolve=None, **changes):
        policy = Policy("tests@example.org", tmp_path / "cache", interval=0, allow_loopback=True)
        clock = _Clock(waits)
        return Client(policy.__class__(**{**vars(policy), **changes}), clock.sleep, clock, resolve)

    return make


class _Clock:
    def __init__(self, waits):
        self.now, self.waits = 100.0, waits

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.waits.append(seconds)
        self.now += seconds


def test_an_image_is_fetched_once_and_says_who_asks(web, client, jpeg):
    web.pages["/a b/ü.jpg"] = web.pages["/a%20b/%C3%BC.jpg"] = (200, {"Content-Type": "image/png"}, jpeg)
    url = f"{web.url}/a b/ü.jpg#part"
    first = client().image(url)
    again = client().image(url)
    assert first == again
    assert (first.bytes, first.type, first.suffix, first.width, first.height) == (jpeg, "image/jpeg", ".jpg", 80, 60)
    assert first.path.read_bytes() == jpeg
    assert [path for path, _, _ in web.asked] == ["/robots.txt", "/a%20b/%C3%BC.jpg"]
    for _, _, headers in web.asked:
        assert headers["user-agent"].startswith("refsr-bench/")
        assert "tests@example.org" in headers["user-agent"]


def test_nobody_is_asked_without_a_contact(web, monkeypatch, jpeg):
    web.pages["/a.jpg"] = jpeg
    monkeypatch.delenv(CONTACT, raising=False)
    with pytest.raises(Misuse, match="contact"):
        Client(Policy(allow_loopback=True)).image(f"{web.url}/a.jpg")
    with pytest.raises(Misuse, match="contact"):
        Client(Policy("just a word", allow_loopback=True)).image(f"{web.url}/a.jpg")
    assert web.asked == []
    monkeypatch.setenv(CONTACT, "https://lab.example.org")
    assert Client(Policy(allow_loopback=True, interval=0)).image(f"{web.url}/a.jpg").bytes == jpeg


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<!DOCTYPE html><html><body>Sign in</body></html>", "a web page"),
        (b"\n <svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"GIF89a" + bytes(40), "a GIF"),
        (b"", "empty"),
        (b"rate limit exceeded", "text"),
        (b"\x89PNG\r\n\x1a\n" + bytes(200), "PNG"),
    ],
)
def test_what_is_no_image_is_refused_and_remembered(web, client, body, words):
    web.pages["/a.jpg"] = (200, {"Content-Type": "image/jpeg"}, body)
    for _ in range(2):
        with pytest.raises(Refused, match=words) as caught:
            client().image(f"{web.url}/a.jpg")
        assert f"{web.url}/a.jpg" in str(caught.value)
    assert web.paths() == ["/a.jpg"]


def test_a_truncated_image_is_refused(web, client, jpeg):
    web.pages["/a.jpg"] = jpeg[: len(jpeg) // 2]
    with pytest.raises(Refused, match="damaged or cut short"):
        client().image(f"{web.url}/a.jpg")


def test_an_endless_body_is_cut_off(web, client):
    sent = []

    def endless(request):
        request.send_response(200)
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        while True:
            request.wfile.write(b"10000\r\n" + bytes(0x10000) + b"\r\n")
            sent.append(0x10000)

    web.pages["/a.jpg"] = endless
    with pytest.raises(Refused, match=r"more than 300,000 bytes"):
        client(max_bytes=300_000).image(f"{web.url}/a.jpg")
    assert sum(sent) < 50 << 20


def test_an_announced_giant_is_not_read(web, client):
    web.pages["/a.jpg"] = (200, {"Content-Length": str(10**11)}, b"x")
    with pytest.raises(Refused, match=r"announces 100,000,000,000 bytes"):
        client().image(f"{web.url}/a.jpg")


def _png(width, height):
    """A PNG of one grey level: a few kilobytes for billions of pixels."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    pixels = zlib.compress(bytes(1 << 20))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [10_500, 60_000])
def test_a_picture_of_too_many_pixels_is_not_decoded(web, client, side):
    web.pages["/a.png"] = _png(side, side)
    with pytest.raises(Refused, match="pixels"):
        client().image(f"{web.url}/a.png")


def test_a_packed_bomb_is_not_unpacked(web, client):
    web.pages["/a.jpg"] = (200, {"Content-Encoding": "gzip"}, gzip.compress(bytes(32 << 20)))
    ours = client(max_bytes=1 << 20)
    tracemalloc.start()
    try:
        with pytest.raises(Refused, match="more than"):
            ours.image(f"{web.url}/a.jpg", robots=False)
        assert tracemalloc.get_traced_memory()[1] < 10 << 20, "unpacked first, refused then"
    finally:
        tracemalloc.stop()
    web.pages["/b.jpg"] = (200, {"Content-Encoding": "br"}, b"whatever")
    with pytest.raises(Refused, match="packed as 'br'"):
        client().image(f"{web.url}/b.jpg")


@pytest.mark.parametrize(
    "target",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://10.0.0.7/a.jpg",
        "http://192.168.1.1/",
        "http://[::ffff:10.0.0.1]/a.jpg",
        "http://[fd00::1]/",
        "http://100.100.100.200/",
        "http://0.0.0.0/",
        "file:///etc/passwd",
        "ftp://example.org/a.jpg",
        "http://user:word@example.org/a.jpg",
    ],
)
def test_a_redirect_out_of_the_public_web_is_refused(web, client, target):
    web.pages["/a.jpg"] = (302, {"Location": target}, b"")
    with pytest.raises(Refused):
        client().image(f"{web.url}/a.jpg", robots=False)
    assert web.paths() == ["/a.jpg"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f000001", "127.1", "[::1]"])
def test_this_machine_is_refused_by_default(web, client, host):
    web.pages["/a.jpg"] = b"secret"
    with pytest.raises(Refused, match="no public address"):
        client(allow_loopback=False).image(f"http://{host}:{web.port}/a.jpg")
    assert web.asked == []


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        *(("93.184.215.14", True), ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", True), ("64:ff9b::5db8:d70e", True)),
        *(("127.0.0.1", False), ("10.1.2.3", False), ("172.16.0.1", False), ("100.64.0.1", False), ("0.0.0.0", False)),
        *(("169.254.169.254", False), ("168.63.129.16", False), ("224.0.0.1", False), ("255.255.255.255", False)),
        *(("::1", False), ("::", False), ("fe80::1%eth0", False), ("fd00:ec2::254", False), ("ff02::1", False)),
        *(("::ffff:127.0.0.1", False), ("64:ff9b::a00:1", False), ("2002:a00:1::", False), ("::10.0.0.1", False)),
    ],
)
def test_which_addresses_are_public(address, expected):
    assert public(address) is expected


def test_the_checked_address_is_the_one_connected_to(web, client, jpeg):
    web.pages["/a.jpg"] = jpeg
    answers = [["127.0.0.1"], ["10.0.0.1"]]  # a name that changes its mind between two questions
    asked = []

    def resolve(host, port):
        asked.append(host)
        return answers[min(len(asked), 2) - 1]

    fetched = client(resolve).image(f"http://photos.example:{web.port}/a.jpg", robots=False)
    assert fetched.bytes == jpeg
    assert asked == ["photos.example"]
    assert web.asked[0][2]["host"] == f"photos.example:{web.port}"


def test_one_private_address_among_public_ones_is_enough(web, client, jpeg):
    web.pages["/a.jpg"] = jpeg
    url = f"http://photos.example:{web.port}/a.jpg"
    with pytest.raises(Refused, match=r"photos\.example is 10\.0\.0\.1"):
        client(lambda host, port: ["127.0.0.1", "10.0.0.1"]).image(url)
    assert web.asked == []
    assert client(lambda host, port: ["127.0.0.1"]).image(url).bytes == jpeg, "remembered what may change"


def test_redirects_are_followed_but_not_in_circles(web, client, jpeg):
    web.pages["/a.jpg"] = (301, {"Location": "../b.jpg"}, b"")
    web.pages["/b.jpg"] = (302, {"Location": f"{web.url}/c.jpg?x=1"}, b"")
    web.pages["/c.jpg"] = jpeg
    assert client().image(f"{web.url}/a.jpg").url == f"{web.url}/c.jpg?x=1"
    web.pages["/c.jpg"] = (307, {"Location": "/b.jpg"}, b"")
    with pytest.raises(Refused, match="in a circle"):
        client().image(f"{web.url}/b.jpg")
    web.pages["/d"] = lambda request: (302, {"Location": f"/d?{len(web.asked)}"}, b"")
    with pytest.raises(Refused, match="more than 5 redirects"):
        client().image(f"{web.url}/d")


def test_a_body_shorter_than_announced_is_tried_again(web, client, jpeg, waits):
    def short(request):
        request.close_connection = True
        return (200, {"Content-Length": str(len(jpeg) + 10)}, jpeg)

    web.pages["/a.jpg"] = short
    with pytest.raises(FetchError, match=r"cut short.* 3 times") as caught:
        client(retries=2).image(f"{web.url}/a.jpg")
    assert not isinstance(caught.value, Refused)
    assert web.paths() == ["/a.jpg"] * 3
    assert 0.5 <= waits[0] <= 1 <= waits[1] <= 2
    web.pages["/a.jpg"] = jpeg
    assert client().image(f"{web.url}/a.jpg").bytes == jpeg


@pytest.mark.parametrize("start", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"], ids=["headers", "body"])
def test_a_dripping_server_is_left(web, client, start):
    def drip(request):
        request.wfile.write(start)
        for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"a" * 1000:
            request.wfile.write(bytes([byte]))
            time.sleep(0.02)

    web.pages["/a.jpg"] = drip
    began = time.monotonic()
    with pytest.raises(FetchError, match="no answer in time"):
        client(total=0.4, retries=0).image(f"{web.url}/a.jpg")
    assert time.monotonic() - began < 2


def test_a_silent_server_is_left(web, client):
    web.pages["/a.jpg"] = lambda request: time.sleep(1.5)
    with pytest.raises(FetchError, match="no answer in time"):
        client(read=0.2, retries=0).image(f"{web.url}/a.jpg")


def test_a_closed_port_is_no_mystery(client):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(FetchError, match="no connection"):
        client(retries=0).image(f"http://127.0.0.1:{port}/a.jpg")


def _throttle(*answers):
    left = list(answers)
    return lambda request: left.pop(0) if len(left) > 1 else left[0]


def test_retry_after_is_obeyed(web, client, jpeg, waits):
    date = email.utils.formatdate(time.time() + 30, usegmt=True)
    busy = (429, {"Retry-After": "7"}, b""), (503, {"Retry-After": date}, b""), (500, {}, b"")
    web.pages["/a.jpg"] = _throttle(*busy, jpeg)
    assert client().image(f"{web.url}/a.jpg").bytes == jpeg
    assert waits[0] == pytest.approx(7)
    assert 27 <= waits[1] <= 30
    assert 2 <= waits[2] <= 4
    assert len(web.paths()) == 4


def test_a_long_pause_is_reported_not_slept(web, client, waits):
    web.pages["/a.jpg"] = (429, {"Retry-After": "3412"}, b'{"detail": "Request was throttled."}')
    patient = client()
    for _ in range(2):
        with pytest.raises(Throttled, match="wait 3412 s") as caught:
            patient.image(f"{web.url}/a.jpg")
        assert caught.value.seconds == pytest.approx(3412)
    assert web.paths() == ["/a.jpg"], "asked again within the pause"
    assert waits == []


def test_gone_is_remembered_but_forbidden_is_not(web, client):
    web.pages["/a.jpg"], web.pages["/b.jpg"] = (410, {}, b""), (403, {}, b"")
    for name in ("a", "a", "b", "b"):
        with pytest.raises(FetchError, match="HTTP 4"):
            client().image(f"{web.url}/{name}.jpg")
    assert web.paths() == ["/a.jpg", "/b.jpg", "/b.jpg"]


def test_requests_to_a_host_are_spaced(web, client, jpeg, waits):
    web.pages |= {f"/{n}.jpg": jpeg for n in range(3)}
    polite = client(interval=1.5)
    for n in range(3):
        polite.image(f"{web.url}/{n}.jpg")
    assert waits == pytest.approx([1.5] * 3)  # robots.txt, then three images


def test_rate_limit_headers_are_read(web, client, waits):
    limits = {"X-RateLimit-Limit-anon_burst": "60/min", "X-RateLimit-Available-anon_burst": "0"}
    web.pages["/api"] = (200, limits, b"{}")
    api = client()
    for n in range(2):
        api.json(f"{web.url}/api", {"page": n})
    assert waits == pytest.approx([1.0])
    daily = {"X-RateLimit-Limit-anon_sustained": "100/day", "X-RateLimit-Available-anon_sustained": "0"}
    web.pages["/api"] = (200, daily, b"{}")
    api.json(f"{web.url}/api", {"page": 2})
    with pytest.raises(Throttled, match="wait 864 s"):
        api.json(f"{web.url}/api", {"page": 3})
    web.pages["/api"] = (200, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(time.time() + 40)}, b"{}")
    api = client()
    for n in range(4, 6):
        api.json(f"{web.url}/api", {"page": n})
    assert 38 <= waits[-1] <= 40


def test_robots_txt_is_obeyed(web, client, jpeg, waits):
    web.pages["/robots.txt"] = b"User-agent: *\nDisallow: /private\nAllow: /private/open\nCrawl-delay: 9\n"
    web.pages |= {path: jpeg for path in ("/private/a.jpg", "/private/open/a.jpg", "/b.jpg")}
    polite = client()
    with pytest.raises(FetchError, match=r"robots\.txt"):
        polite.image(f"{web.url}/private/a.jpg")
    polite.image(f"{web.url}/private/open/a.jpg")
    polite.image(f"{web.url}/b.jpg")
    assert [path for path, _, _ in web.asked] == ["/robots.txt", "/private/open/a.jpg", "/b.jpg"]
    assert waits == pytest.approx([9.0])
    assert polite.image(f"{web.url}/private/a.jpg", robots=False).bytes == jpeg


def test_robots_txt_of_every_hop_counts(web, serve_web, client, jpeg):
    other = serve_web()
    other.pages |= {"/robots.txt": b"User-agent: refsr-bench\nDisallow: /\n", "/a.jpg": jpeg}
    web.pages["/a.jpg"] = (302, {"Location": f"{other.url}/a.jpg"}, b"")
    with pytest.raises(FetchError, match=r"robots\.txt"):
        client().image(f"{web.url}/a.jpg")
    assert other.paths() == []


def test_a_broken_robots_txt_forbids_for_now(web, client, jpeg):
    web.pages |= {"/robots.txt": (500, {}, b""), "/a.jpg": jpeg}
    with pytest.raises(FetchError, match=r"robots\.txt"):
        client(retries=1).image(f"{web.url}/a.jpg")
    assert web.paths() == []


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        ("", "/a", True),
        ("User-agent: *\nDisallow:", "/a", True),
        ("User-agent: *\nDisallow: /", "/a", False),
        ("User-agent: Other\nDisallow: /", "/a", True),
        ("User-agent: Refsr-Bench\nAllow: /\n\nUser-agent: *\nDisallow: /", "/a", True),
        ("User-agent: a\nUser-agent: refsr-bench # both\nDisallow: /x", "/x/y", False),
        ("User-agent: *\nDisallow: /*.jpg$", "/p/a.jpg", False),
        ("User-agent: *\nDisallow: /*.jpg$", "/p/a.jpg?x", True),
        ("User-agent: *\nDisallow: /p/*/q", "/p/1/2/q/r", False),
        ("User-agent: *\nDisallow: /page\nAllow: /page", "/page", True),
        ("User-agent: *\nAllow: /p\nDisallow: /\n", "/page", True),
        ("User-agent: *\nDisallow: /%7Ejoe", "/~joe/a", False),
        ("User-agent: *\nDisallow: /*a*a*a*a*a*a*a*b$", "/" + "a" * 2000, True),
        ("<html>not found</html>", "/a", True),
    ],
)
def test_rules_of_robots_txt(text, path, expected):
    assert Protego.parse(text).can_fetch(f"https://example.org{path}", AGENT) is expected


def _files(folder):
    return b"\n".join(path.read_bytes() + str(path).encode() for path in folder.rglob("*") if path.is_file())


def test_keys_go_nowhere_but_to_the_server(web, client, tmp_path):
    web.pages["/api"] = lambda request: {"q": request.query["q"], "echo": request.path, "key": request.query["key"]}
    for _ in range(2):
        answer = client().json(f"{web.url}/api", {"q": "bridge"}, secret={"key": KEY})
    assert answer == {"q": "bridge", "echo": "/api?q=bridge&key=***", "key": "***"}
    assert [query["key"] for _, query, _ in web.asked] == [KEY]
    web.pages["/api"] = lambda request: (403, {}, b'{"error": "bad key %s"}' % request.query["key"].encode())
    with pytest.raises(FetchError, match="bad key") as caught:
        client().json(f"{web.url}/api", {"q": "2"}, {"key": KEY}, {"Authorization": f"Bearer {KEY}9"})
    assert "k3y" not in str(caught.value)
    assert b"k3y" not in _files(tmp_path)
    web.pages["/api"] = (302, {"Location": "http://example.org/?key"}, b"")
    with pytest.raises(FetchError, match="not followed") as caught:
        client().json(f"{web.url}/api", {"q": "3"}, {"key": KEY})
    assert "k3y" not in str(caught.value)


def test_json_that_is_none_is_an_error_and_packed_json_is_not(web, client):
    web.pages["/api"] = b"<html>Maintenance</html>"
    with pytest.raises(FetchError, match="a web page instead of JSON"):
        client().json(f"{web.url}/api", {})
    web.pages["/api"] = (200, {"Content-Encoding": "gzip"}, gzip.compress(b'{"a": 1}'))
    assert client().json(f"{web.url}/api", {}) == {"a": 1}


def test_errors_with_status_200_are_tried_again_and_not_cached(web, client, waits):
    lag = (200, {"Retry-After": "5"}, b'{"error": "lag"}')
    web.pages["/api"] = _throttle(lag, b'{"ok": 1}')
    assert client().json(f"{web.url}/api", {}, check=lambda answer: answer.get("error")) == {"ok": 1}
    assert waits == pytest.approx([5])
    assert client().json(f"{web.url}/api", {}) == {"ok": 1}
    assert len(web.asked) == 2


def test_a_torn_cache_is_no_cache(web, client, jpeg, tmp_path):
    web.pages["/a.jpg"] = jpeg
    first = client().image(f"{web.url}/a.jpg")
    first.path.write_bytes(jpeg[:100])
    assert client().image(f"{web.url}/a.jpg").bytes == jpeg
    first.path.with_suffix(".json").write_text("{")
    assert client().image(f"{web.url}/a.jpg").bytes == jpeg
    assert web.paths() == ["/a.jpg"] * 3
    assert not list((tmp_path / "cache").rglob("*.partial"))


def test_the_cache_shares_files(web, client, jpeg, tmp_path):
    web.pages["/a.jpg"] = jpeg
    fetched = client().image(f"{web.url}/a.jpg")
    (tmp_path / "pool.jpg").write_bytes(jpeg)
    client().share(fetched, tmp_path / "pool.jpg")
    client().share(fetched, tmp_path / "pool.jpg")
    assert fetched.path.samefile(tmp_path / "pool.jpg")
    assert client().image(f"{web.url}/a.jpg") == fetched


@pytest.mark.parametrize(
    "url",
    [
        *("a.jpg", "http://", "http://[::1", "http://a b/", "javascript:1", "http://h:99999/"),
        *("http://h/\ud800", "http://h/?q=\udcff", "http://h\ud800/"),
    ],
)
def test_what_is_no_address_is_refused(url):
    with pytest.raises(Refused):
        split_url(url)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes its certificate with openssl")
def test_certificates_are_those_of_the_name_not_of_the_address(serve_web, client, jpeg, tmp_path, monkeypatch):
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=photos.example"
    files = ["-keyout", key, "-out", certificate, "-addext", "subjectAltName=DNS:photos.example"]
    subprocess.run([*make.split(), *files], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    web = serve_web(context)
    web.pages["/a.jpg"] = jpeg
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    ours = client(lambda host, port: ["127.0.0.1"])
    assert ours.image(f"https://photos.example:{web.port}/a.jpg").bytes == jpeg
    with pytest.raises(FetchError, match="certificate"):
        ours.image(f"https://other.example:{web.port}/a.jpg")
