"""SerpAPI: Google Images' results, for a fee, searched by words.

https://serpapi.com/google-images-api; SERPAPI_API_KEY in the environment. This comes closest to how WR-SR was made.
Google states a licence for few images, and only as an address. Hits without one count as "unknown" and are dropped
unless the project's ``licenses`` list "unknown" (then publish addresses and digests, not images). It is up to you to
find out whether you may use scraped results.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from refsr_bench.builder.fetching.network import FetchError
from refsr_bench.builder.licenses import of_address
from refsr_bench.builder.pool.providers.base import Hit, Provider, Search, entries, link, plain
from refsr_bench.builder.rows import UNKNOWN

PAGES = 10


class SerpApi(Provider):
    """Calls engine=google_images, 100 results a page, filtered by Creative Commons unless any licence is accepted."""

    name = "serpapi"
    endpoint = "https://serpapi.com/search.json"
    key = "SERPAPI_API_KEY"

    def _hits(self, query: Search) -> Iterator[Hit]:
        if not query.words:
            return
        asked: dict[str, Any] = {"engine": "google_images", "q": query.words, "safe": "active", "hl": "en"}
        if UNKNOWN not in self.licenses:
            asked["tbs"] = "sur:cl"
        for page in range(PAGES):
            answer = self.client.json(
                self.endpoint, asked | {"ijn": page}, secret={"api_key": self._key}, check=self._check
            )
            found = entries(answer.get("images_results"))
            yield from map(_hit, found)
            pagination = answer.get("serpapi_pagination")
            if not found or not isinstance(pagination, dict) or "next" not in pagination:
                return

    def _check(self, answer: Any) -> str | None:
        """Raise for errors. An empty result also comes as an ``error`` with status 200, but is none."""
        error = plain(self._object(answer).get("error")).replace(self._key, "***")
        if error and "returned any results" not in error:
            raise FetchError(f"{self.endpoint}: {error}")
        return None


def _hit(result: dict) -> Hit:
    address = link(result.get("license_details_url"))
    name, version = of_address(address)
    return Hit(
        provider=SerpApi.name,
        source_url=link(result.get("original")),
        landing_url=link(result.get("link")),
        creator=plain(result.get("source")),
        license=name,
        license_version=version,
        license_url=address if name != UNKNOWN else "",
    )
