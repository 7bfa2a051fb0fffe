"""Openverse: openly licensed images of some fifty collections, searched by words.

https://api.openverse.org/v1/; no key needed. Without one, pages hold at most 20 results and end at the 240th, and few
searches a day are answered. OPENVERSE_CLIENT_ID and OPENVERSE_CLIENT_SECRET (one free registration) allow many more.
Each answer's headers state the limits.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from refsr_bench.builder.fetching.network import FetchError
from refsr_bench.builder.licenses import of_address
from refsr_bench.builder.pool.providers.base import Hit, Provider, Search, entries, link, plain, size
from refsr_bench.builder.rows import UNKNOWN

PAGE = 20
DEPTH = 240


class Openverse(Provider):
    """Searches by words. The server filters by licence, and each hit's licence is checked again here."""

    name = "openverse"
    endpoint = "https://api.openverse.org/v1/"
    _token = ""

    def _hits(self, query: Search) -> Iterator[Hit]:
        if not query.words:
            return
        licenses = ",".join(name for name in self.licenses if name != UNKNOWN)
        for page in range(1, DEPTH // PAGE + 1):
            asked = {"q": _short(query.words), "license": licenses, "page": page, "page_size": PAGE, "mature": "false"}
            try:
                answer = self.client.json(f"{self.endpoint}images/", asked, headers=self._headers())
            except FetchError as error:
                if page > 1 and error.status in (400, 401, 404):  # deeper than this client may go
                    return
                raise
            found = entries(answer.get("results") if isinstance(answer, dict) else None)
            yield from map(_hit, found)
            if not found or page >= (size(answer.get("page_count")) or 1):
                return

    def _headers(self) -> dict[str, str]:
        """Return a bearer token if the environment has an application's id and secret; it is kept in memory only."""
        names = ("OPENVERSE_CLIENT_ID", "OPENVERSE_CLIENT_SECRET")
        client_id, client_secret = (os.environ.get(name, "").strip() for name in names)
        if not client_id or not client_secret:
            return {}
        if not self._token:
            form = {"client_id": client_id, "client_secret": client_secret, "grant_type": "client_credentials"}
            answer = self.client.post(f"{self.endpoint}auth_tokens/token/", form)
            token = answer.get("access_token") if isinstance(answer, dict) else None
            if not isinstance(token, str) or not token.isascii() or not token.isprintable():
                raise FetchError(f"{self.endpoint}auth_tokens/token/: gave no access token.")
            self._token = token
        return {"Authorization": f"Bearer {self._token}"}


def _hit(result: dict) -> Hit:
    stated, version = plain(result.get("license")).lower(), plain(result.get("license_version"))
    address = link(result.get("license_url"))
    by_address = of_address(address)
    return Hit(
        provider=Openverse.name,
        source_url=link(result.get("url")),
        landing_url=link(result.get("foreign_landing_url")),
        creator=plain(result.get("creator")),
        creator_url=link(result.get("creator_url")),
        # contradictory statements count as no licence
        license=stated if by_address[0] in (UNKNOWN, stated) else UNKNOWN,
        license_version=version or by_address[1],
        license_url=address,
    )


def _short(words: str, most: int = 200) -> str:
    """Return the first ``most`` characters, cut between words, because longer questions are refused."""
    return words if len(words) <= most else words[: most + 1].rpartition(" ")[0] or words[:most]
