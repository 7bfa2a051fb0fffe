"""The client that fetches from untrusted servers.

Politeness: the User-Agent says who asks; requests go out one at a time with a pause between two to one host;
robots.txt, rate-limit headers and Retry-After are obeyed; back-off has jitter; and a disk cache fetches nothing twice
and remembers what was refused for good.

Safety: only http and https are allowed. The client resolves host names itself, every address must be public, and the
connection goes to the checked address, so a name that resolves otherwise a moment later changes nothing. It follows
redirects by hand and checks each hop alike. It bounds sizes, time and pixels while they arrive, also those of
compressed bodies. An image is what decodes as one, whatever its name or header says. Proxies of the environment are not
used, because they would connect unchecked.

Keys (``secret``) go into the request alone, never into the cache, its keys, messages or exceptions.
"""

from __future__ import annotations

import dataclasses
import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlencode, urljoin, urlunsplit

import httpcore2
from PIL import Image as PilImage
from protego import Protego

from refsr_bench import __version__
from refsr_bench.builder.fetching import answers
from refsr_bench.builder.fetching.answers import Answer
from refsr_bench.builder.fetching.network import (
    CheckedNetwork,
    FetchError,
    Forbidden,
    Refused,
    addresses,
    shown_url,
    split_url,
)
from refsr_bench.builder.fetching.polite import Cache, Known, Pace, Picture, backoff, retry_after, throttled, today
from refsr_bench.core import files, reader
from refsr_bench.core.errors import Misuse

AGENT = "refsr-bench"
CONTACT = "REFSR_CONTACT"
"""Environment variable with an e-mail or web address, used if the policy names none."""

SUFFIXES = {"JPEG": ".jpg", "MPO": ".jpg", "PNG": ".png", "WEBP": ".webp", "TIFF": ".tif", "BMP": ".bmp"}
ROBOTS_BYTES = 500 << 10  # limit of a robots.txt: as much as a crawler has to read (RFC 9309, 2.5)

_REDIRECTS = (301, 302, 303, 307, 308)
_AGAIN = (408, 425, 429, 500, 502, 503, 504)  # overloaded or out of order: worth another try
_GONE = (404, 410, 451)  # never worth another try


class _Again(Exception):
    """A failure of a host that may pass. after: seconds the server asks for; None when it does not say."""

    def __init__(self, host: str, reason: str, after: float | None = None, throttled: bool = False) -> None:
        super().__init__(reason)
        self.host, self.reason, self.after, self.throttled = host, reason, after, throttled


@dataclass(frozen=True)
class Policy:
    """The rules that a client keeps.

    contact: the e-mail or web address of whoever asks, sent with every request (else $REFSR_CONTACT; one is needed).
    cache: a folder, or None. max_bytes: of an image; max_text: of an API's answer or a page; both after decompression.
    max_pixels: of an image. connect, read, total: seconds for a connection, for the next bytes, and for one answer.
    interval: seconds between two requests to one host. retries: tries after the first. patience: the longest wait that
    is accepted, in seconds. allow_loopback: for tests, whose server is on this machine.
    """

    contact: str = ""
    cache: Path | None = None
    max_bytes: int = 64 << 20  # several times the size of photos with max_pixels
    max_text: int = 16 << 20  # answers with 50 hits take less than one
    max_pixels: int = 100_000_000  # 300 MB decoded
    connect: float = 10.0
    read: float = 20.0
    total: float = 120.0
    interval: float = 1.0  # stays below Flickr's 3600 an hour, and is what crawlers are commonly asked for
    retries: int = 4
    patience: float = 120.0
    redirects: int = 5
    allow_loopback: bool = False

    @property
    def user_agent(self) -> str:
        """The User-Agent header.

        Raises Misuse when nobody is named, because servers block crawlers that do not say who they are.
        """
        contact = " ".join((self.contact or os.environ.get(CONTACT, "")).split())
        if not contact.isprintable() or not contact.isascii() or not ("@" in contact or "://" in contact):
            raise Misuse(
                "Servers must be told who asks: give an e-mail or web address, as 'contact' in the project's "
                f"build.toml or in ${CONTACT}."
            )
        return f"{AGENT}/{__version__} ({contact}) httpcore2/{httpcore2.__version__}"


class Fetched(Picture):
    """An image as it arrived. bytes: the file. path: the file in the cache; None without a cache."""

    bytes: bytes
    path: Path | None = None


@dataclass(frozen=True)
class _Request:
    """One question.

    limit: bytes of the answer. robots: obey robots.txt on every hop. secret: values that must appear nowhere but in the
    request. form: the body of a POST; None for a GET.
    """

    url: str
    limit: int
    accept: str
    robots: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    secret: tuple[str, ...] = ()
    form: bytes | None = None


class Client:
    """Fetches under one policy, and remembers what each host asked for. Not for use by several threads.

    sleep, clock, resolve: replaced by tests; ``resolve(host, port)`` gives IP addresses as text.
    """

    def __init__(
        self,
        policy: Policy,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        resolve: Callable[[str, int], Sequence[str]] | None = None,
    ) -> None:
        self.policy = policy
        self._network = CheckedNetwork(policy.allow_loopback, resolve or addresses)
        self._pool = httpcore2.ConnectionPool(network_backend=self._network, max_connections=8, keepalive_expiry=30.0)
        self._pace = Pace(policy.interval, policy.patience, sleep, clock)
        self._cache = Cache(policy.cache)
        self._robots: dict[str, Protego] = {}

    def image(self, url: str, robots: bool = True) -> Fetched:
        """Return the image at ``url``, from the cache if it is there.

        robots: ask robots.txt first, on every hop. Raises Refused (for good), or Throttled or FetchError (for now).
        """
        shown, cached = shown_url(url), self._cache.find(url)
        if cached and cached[0].refused:
            raise Refused(cached[0].refused)
        if cached and cached[0].image:
            return Fetched(**reader.to_json(cached[0].image), bytes=cached[1], path=self._cache.body(url))
        try:
            answer = self._get(_Request(url, self.policy.max_bytes, "image/*", robots))
            kind, width, height = answers.look(answer.body, shown, self.policy.max_pixels)
        except Refused as error:
            if error.lasting:
                self._cache.write(url, Known(shown, today(), refused=str(error)))
            raise
        media = PilImage.MIME.get(kind, "image/jpeg")
        image = Picture(media, SUFFIXES[kind], width, height, answer.url, today())
        self._cache.write(url, Known(shown, image=image, bytes=len(answer.body)), answer.body)
        return Fetched(**reader.to_json(image), bytes=answer.body, path=self._cache.body(url))

    def json(
        self,
        url: str,
        params: Mapping[str, Any],
        secret: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        check: Callable[[Any], str | None] | None = None,
    ) -> Any:
        """Return an API's answer to ``url?params`` as JSON; it is cached when it was good.

        secret, headers: parameters and headers that are kept out of cache and messages. check: looks at a decoded
        answer with status 200; it returns a reason to try again, or None, or raises FetchError. Raises FetchError
        naming the status and the API's own words.
        """
        public = f"{url}?{urlencode(params)}"
        cached = self._cache.find(public)
        if cached is not None:
            return answers.decoded(cached[1], url)
        whole = f"{public}&{urlencode(secret)}" if secret else public
        secrets = (*(secret or {}).values(), *(value.split()[-1] for value in (headers or {}).values()))
        request = _Request(whole, self.policy.max_text, "application/json", headers=headers or {}, secret=secrets)
        answer = self._get(request, lambda answer: check(answers.decoded(answer.body, url)) if check else None)
        payload = answers.decoded(answer.body, url)
        self._cache.write(public, Known(shown_url(public), today(), bytes=len(answer.body)), answer.body)
        return payload

    def post(self, url: str, secret: Mapping[str, str]) -> Any:
        """Return an API's answer to a form as JSON; it is never cached. The form's values count as secrets."""
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        form, secrets = urlencode(secret).encode(), tuple(secret.values())
        request = _Request(url, self.policy.max_text, "application/json", False, headers, secrets, form)
        return answers.decoded(self._get(request).body, url)

    def share(self, fetched: Fetched, path: Path) -> None:
        """Let the cache keep a hard link to ``path``, a permanent file with the same bytes, not a second copy."""
        if fetched.path is None or (fetched.path.exists() and path.samefile(fetched.path)):
            return
        files.share(path, fetched.path)

    def _get(self, request: _Request, check: Callable[[Answer], str | None] = lambda answer: None) -> Answer:
        """Return a good answer (2xx, and accepted by ``check``) after as many tries as the policy allows."""
        usual = {"User-Agent": self.policy.user_agent, "Accept": request.accept, "Accept-Encoding": "gzip, identity"}
        request = dataclasses.replace(request, headers={**usual, **request.headers})
        for attempt in range(self.policy.retries + 1):
            try:
                answer = self._follow(request)
                answer = dataclasses.replace(answer, body=answers.scrubbed(answer.body, request.secret))
                self._judge(answer, check)
                return answer
            except _Again as again:
                wait = backoff(attempt) if again.after is None else again.after
                self._pace.hold(again.host, wait)
                last = attempt == self.policy.retries
                if wait > self.policy.patience or (last and again.throttled):
                    raise throttled(again.host, wait, again.reason) from None
                if last:
                    tries = f"{attempt + 1} times" if attempt else "once"
                    raise FetchError(f"{shown_url(request.url)}: {again.reason}, {tries}. Try again later.") from None
        raise AssertionError("unreachable")

    def _judge(self, answer: Answer, check: Callable[[Answer], str | None]) -> None:
        """Raise _Again for what may pass, Refused for what will not, FetchError for other errors."""
        status, after, host = answer.status, retry_after(answer.headers), split_url(answer.url).netloc
        words = answers.words(answer.body) if status >= 300 else ""
        if status in _AGAIN:
            raise _Again(host, f"HTTP {status}{words}", after, status in (429, 503))
        if not 200 <= status < 300:
            error = (Refused if status in _GONE else FetchError)(f"{shown_url(answer.url)}: HTTP {status}{words}.")
            error.status = status
            raise error
        if reason := check(answer):
            raise _Again(host, reason, after, True)

    def _follow(self, request: _Request) -> Answer:
        """Make one try: the request and its redirects. A request with secrets is not redirected."""
        seen, url = set(), request.url
        for _ in range(self.policy.redirects + 1):
            parts = split_url(url)
            url = urlunsplit(parts)
            if url in seen:
                raise Refused(f"{shown_url(url)}: redirects in a circle.")
            seen.add(url)
            if request.robots and not self._rules(parts).can_fetch(url, AGENT):
                raise FetchError(f"{shown_url(url)}: its robots.txt asks programs to stay away.")
            self._pace.wait(parts.netloc)
            answer = self._send(parts, request)
            self._pace.note(parts.netloc, answer.headers)
            location = answer.headers.get("location")
            if answer.status not in _REDIRECTS or not location:
                return answer
            if request.secret:
                raise FetchError(f"{shown_url(url)}: redirects a request that carries keys; not followed.")
            url = urljoin(url, location)
        raise Refused(f"{shown_url(url)}: more than {self.policy.redirects} redirects.")

    def _rules(self, parts: SplitResult) -> Protego:
        """Return the rules of a host's robots.txt (RFC 9309, 2.3.1).

        Everything is allowed when there is no such file, and nothing while it is broken.
        """
        origin = f"{parts.scheme}://{parts.netloc}"
        if origin not in self._robots:
            headers = {"User-Agent": self.policy.user_agent, "Accept": "text/plain", "Accept-Encoding": "identity"}
            asked = _Request(f"{origin}/robots.txt", self.policy.max_text, headers["Accept"], headers=headers)
            text = b""
            with suppress(Refused):  # a file that is far too long, or redirected without end, counts as none
                answer = self._follow(asked)
                if answer.status >= 500 or answer.status == 429:
                    reason = f"HTTP {answer.status} for its robots.txt"
                    raise _Again(parts.netloc, reason, retry_after(answer.headers), True)
                text = answer.body[:ROBOTS_BYTES] if answer.status < 300 else b""
            rules = self._robots[origin] = Protego.parse(text.decode("utf-8-sig", "replace"))
            self._pace.slow(parts.netloc, rules.crawl_delay(AGENT) or 0.0)
        return self._robots[origin]

    def _send(self, parts: SplitResult, request: _Request) -> Answer:
        """Send one request and read one answer."""
        policy, shown = self.policy, shown_url(urlunsplit(parts))
        target = urlunsplit(("", "", parts.path or "/", parts.query, ""))
        port = parts.port or (443 if parts.scheme == "https" else 80)
        url = httpcore2.URL(scheme=parts.scheme, host=parts.hostname or "", port=port, target=target)
        timeouts = {"connect": policy.connect, "read": policy.read, "write": policy.read, "pool": policy.connect}
        self._network.deadline = time.monotonic() + policy.total
        try:
            with self._pool.stream(
                "GET" if request.form is None else "POST",
                url,
                headers=[("Host", parts.netloc), *request.headers.items()],
                content=request.form,
                extensions={"timeout": timeouts},
            ) as response:
                got = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
                body = answers.body(response, got, shown, request.limit)
        except Forbidden as error:
            refused = Refused(f"{shown}: {error}.")
            refused.lasting = False
            raise refused from None
        except socket.gaierror:
            raise FetchError(f"{shown}: there is no such host, or no network.") from None
        except (httpcore2.TimeoutException, httpcore2.NetworkError, httpcore2.ProtocolError) as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                raise FetchError(f"{shown}: its certificate cannot be verified.") from None
            raise _Again(parts.netloc, _DROPPED.get(type(error).__name__, "the connection broke off")) from None
        return Answer(response.status, got, body, urlunsplit(parts))


_DROPPED = {
    "ConnectTimeout": "no connection in time",
    "ConnectError": "no connection",
    "ReadTimeout": "no answer in time",
    "RemoteProtocolError": "a broken answer (cut short, or not HTTP)",
}
