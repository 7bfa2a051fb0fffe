"""Connects to public addresses only. Ordinary HTTP clients resolve a name again after our check; this one cannot.

Search results and redirects name the hosts, and a name may resolve to this machine, its network or a cloud's metadata
service (DNS rebinding). ``CheckedNetwork`` resolves, checks and connects in one step, below httpcore2's HTTP and TLS.
The module also defines what a web address is and the errors of fetching.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any
from urllib.parse import SplitResult, quote, urlsplit, urlunsplit

import httpcore2

from refsr_bench.core.errors import BenchError

_AZURE = ipaddress.ip_address("168.63.129.16")  # the one public address that serves a cloud's metadata
_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # IPv6 addresses whose last 32 bits are the IPv4 address meant


class FetchError(BenchError):
    """Something could not be fetched; the message names the address (without keys) and says why.

    status: the answer's; 0 when there was no answer or it was not the reason.
    """

    status = 0


class Refused(FetchError):
    """The address was refused and is not worth another try: forbidden, not an image, too large, or gone.

    lasting: whether to remember this. A name that resolves to a private address may resolve otherwise in another
    network.
    """

    lasting = True


class Throttled(FetchError):
    """The server wants a longer wait than the policy has patience for. seconds: how long, as far as known."""

    def __init__(self, message: str, seconds: float) -> None:
        super().__init__(message)
        self.seconds = seconds


class Forbidden(Exception):
    """The address must not be connected to; the message says which."""


class CheckedNetwork(httpcore2.NetworkBackend):
    """Connects to public addresses only, and to the very address that was checked; ends answers at the deadline.

    deadline: the ``time.monotonic()`` by which the current answer must be complete, however slowly it arrives.
    """

    def __init__(self, allow_loopback: bool, resolve: Callable[[str, int], Sequence[str]]) -> None:
        self._plain = httpcore2.SyncBackend()
        self._allow_loopback = allow_loopback
        self._resolve = resolve
        self.deadline = float("inf")

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        found = self._resolve(host, port)
        for address in found:
            if not public(address, self._allow_loopback):
                raise Forbidden(f"{host} is {address}, which is no public address")
        error: Exception = httpcore2.ConnectError("no address")
        for address in found:
            try:
                stream = self._plain.connect_tcp(address, port, self.left(timeout), local_address, socket_options)
                return _Timed(stream, self)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as failed:
                error = failed
        raise error

    def left(self, timeout: float | None) -> float:
        """Return the seconds that the next step may take; raises ReadTimeout at the deadline."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise httpcore2.ReadTimeout("the answer takes too long")
        return left if timeout is None else min(timeout, left)


class _Timed(httpcore2.NetworkStream):
    """A stream whose every step ends at its network's deadline."""

    def __init__(self, stream: httpcore2.NetworkStream, network: CheckedNetwork) -> None:
        self._stream, self._network = stream, network

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._network.left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._network.left(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        secured = self._stream.start_tls(ssl_context, server_hostname, self._network.left(timeout))
        return _Timed(secured, self._network)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def addresses(host: str, port: int) -> list[str]:
    """Return the IP addresses of a host in the order to try them.

    Raises socket.gaierror when the name does not exist.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        if error.errno == socket.EAI_AGAIN:
            raise httpcore2.ConnectError("the name cannot be resolved now") from None
        raise
    except UnicodeError:
        raise Forbidden(f"{host[:80]!r} is no host name") from None
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def public(address: str, allow_loopback: bool = False) -> bool:
    """Tell whether an IP address belongs to the public internet.

    Private, loopback, link-local (which includes cloud metadata), multicast and reserved addresses do not, nor do IPv6
    addresses that stand for such an IPv4 address.
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return public(str(inner), allow_loopback)
    if ip.is_loopback:
        return allow_loopback
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip == _AZURE)


def split_url(url: str) -> SplitResult:
    """Split an address into its parts: host in ASCII lower case, path percent-encoded, no fragment.

    Raises Refused for anything but http(s), for user names in it, and for text that is no address at all.
    """
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname or "", parts.port
        if not host.isascii():
            host = host.encode("idna").decode("ascii")
        path = quote(parts.path, safe="/%:@!$&'()*+,;=~-._")
        query = quote(parts.query, safe="/%:@!$&'()*+,;=~-._?[]")
    except (ValueError, UnicodeError):
        raise Refused(f"{url[:100]!r}: not a web address.") from None
    if parts.scheme not in ("http", "https"):
        raise Refused(f"{url[:100]!r}: only http and https are fetched.")
    if not re.fullmatch(r"[a-z0-9._-]{1,253}|[0-9a-f:.]{2,45}", host):
        raise Refused(f"{url[:100]!r}: not a web address.")
    if "@" in parts.netloc:
        raise Refused(f"{parts.scheme}://{host}: addresses with a user name are not fetched.")
    netloc = (f"[{host}]" if ":" in host else host) + (f":{port}" if port else "")
    return SplitResult(parts.scheme, netloc, path, query, "")


def shown_url(url: str) -> str:
    """An address for messages: cut to a readable length, and without its query, which may hold keys and tokens."""
    try:
        parts = split_url(url)
    except Refused:
        return repr(url.partition("?")[0][:100])
    return urlunsplit((parts.scheme, parts.netloc, parts.path[:150], "", ""))
