"""Flickr: photos with their owners' licences, searched by words and place.

https://api.flickr.com/services/rest/; FLICKR_API_KEY in the environment. Flickr itself is asked which number stands for
which licence, because there are more of them since 2025. Results past the 4000th are unreliable and not asked for. One
request a second keeps within a key's 3600 an hour. Commercial use of the API needs Flickr's permission.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from refsr_bench.builder.fetching.network import FetchError
from refsr_bench.builder.licenses import of_address
from refsr_bench.builder.pool.providers.base import Hit, Provider, Search, entries, link, plain, size

HOME = "https://www.flickr.com"
PAGE = 100
DEPTH = 4000
_SIZES = ("k", "h", "o", "l", "c")  # 2048, 1600 pixels, the original, 1024, 800: the first that is offered is taken
_BUSY = (0, 10, 105, 106)  # "sorry", search not available, service unavailable, write failed


class Flickr(Provider):
    """Calls flickr.photos.search, sorted by relevance, for safe photos only."""

    name = "flickr"
    endpoint = "https://api.flickr.com/services/rest/"
    key = "FLICKR_API_KEY"
    _names: dict[str, str] | None = None

    def _hits(self, query: Search) -> Iterator[Hit]:
        if not query.words and not query.place:
            return
        wanted = [n for n, url in self._license_urls().items() if of_address(url)[0] in self.licenses]
        if not wanted:
            return
        asked: dict[str, Any] = {"license": ",".join(wanted), "sort": "relevance", "media": "photos", "safe_search": 1}
        asked |= {"content_types": 0, "per_page": PAGE}
        asked["extras"] = "license,owner_name," + ",".join(f"url_{letter}" for letter in _SIZES)
        if query.words:
            asked["text"] = query.words
        if query.place:
            asked |= {"lat": query.place.latitude, "lon": query.place.longitude}
            asked |= {"radius": round(query.place.radius / 1000, 3), "radius_units": "km"}
        for page in range(1, DEPTH // PAGE + 1):
            photos = self._call("flickr.photos.search", asked | {"page": page}).get("photos")
            found = entries(photos.get("photo") if isinstance(photos, dict) else None)
            yield from map(self._hit, found)
            if not found or page >= size(photos.get("pages")):
                return

    def _license_urls(self) -> dict[str, str]:
        """Map each licence number to the address of its text, without those that have none (all rights reserved)."""
        if self._names is None:
            licenses = self._call("flickr.photos.licenses.getInfo", {}).get("licenses")
            listed = entries(licenses.get("license") if isinstance(licenses, dict) else None)
            self._names = {str(entry.get("id")): link(entry["url"]) for entry in listed if link(entry.get("url"))}
        return self._names

    def _call(self, method: str, params: dict[str, Any]) -> dict:
        asked = {"method": method, "format": "json", "nojsoncallback": 1, **params}
        return self.client.json(self.endpoint, asked, secret={"api_key": self._key}, check=self._check)

    def _check(self, answer: Any) -> str | None:
        """Raise for Flickr's errors, which come with status 200 and ``stat: fail``."""
        if self._object(answer).get("stat") == "ok":
            return None
        words = f"error {answer.get('code')}: {plain(answer.get('message')).replace(self._key, '***')}"
        if answer.get("code") in _BUSY:
            return words
        raise FetchError(f"{self.endpoint}: {words}")

    def _hit(self, photo: dict) -> Hit:
        letter = next((letter for letter in _SIZES if link(photo.get(f"url_{letter}"))), "o")
        owner, number = plain(photo.get("owner")), plain(str(photo.get("id", "")))
        address = self._license_urls().get(str(photo.get("license")), "")
        name, version = of_address(address)
        return Hit(
            provider=self.name,
            source_url=link(photo.get(f"url_{letter}")),
            landing_url=link(f"{HOME}/photos/{owner}/{number}"),
            creator=plain(photo.get("ownername")),
            creator_url=link(f"{HOME}/people/{owner}/"),
            license=name,
            license_version=version,
            license_url=address,
        )
