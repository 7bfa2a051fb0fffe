"""Wikimedia Commons: free media, searched by category, place and words.

https://commons.wikimedia.org/w/api.php; no key. A category of one landmark is the best source of other photos of the
same thing, so it is asked first, then the surroundings of a place, then words. The API wants requests one after the
other, a User-Agent with a contact, and ``maxlag``. An original wider than 1920 pixels is fetched as a rendering of that
width, which is one of those that the servers keep (https://www.mediawiki.org/wiki/Common_thumbnail_sizes).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from refsr_bench.builder.fetching.network import FetchError
from refsr_bench.builder.licenses import of_address
from refsr_bench.builder.pool.providers.base import Hit, Provider, Search, link, plain, size
from refsr_bench.builder.pool.providers.base import entries as _entries
from refsr_bench.builder.rows import UNKNOWN

HOME = "https://commons.wikimedia.org"
WIDTH = 1920
PAGES = 20
_MIMES = ("image/jpeg", "image/png", "image/webp", "image/tiff")
_FACTS = "LicenseShortName|LicenseUrl|Artist|Credit"
_BUSY = ("maxlag", "ratelimited", "readonly", "internal_api_error_DBQueryError")


class Commons(Provider):
    """Asks the MediaWiki API one question for each of three generators."""

    name = "commons"
    endpoint = "https://commons.wikimedia.org/w/api.php"

    def _hits(self, query: Search) -> Iterator[Hit]:
        seen: set[int] = set()
        for question in _questions(query):
            for page in self._pages(question):
                info = next(iter(_entries(page.get("imageinfo"))), None)
                number = size(page.get("pageid")) or hash(page.get("title"))
                if info is not None and number not in seen and info.get("mime") in _MIMES:
                    seen.add(number)
                    yield _hit(page, info)

    def _pages(self, question: dict[str, Any]) -> Iterator[dict]:
        """Yield file pages in the order of the search. An answer may hold part of them and continue with the others."""
        asked = {"action": "query", "format": "json", "formatversion": 2, "maxlag": 5, **question}
        asked |= {"prop": "imageinfo", "iiprop": "url|user|size|sha1|mime|extmetadata", "iiurlwidth": WIDTH}
        asked |= {"iiextmetadatafilter": _FACTS, "iiextmetadatalanguage": "en"}
        go_on: dict[str, Any] = {}
        for _ in range(PAGES):
            answer = self.client.json(self.endpoint, asked | go_on, check=self._check)
            pages = _entries(answer.get("query", {}).get("pages"))
            yield from sorted(pages, key=lambda page: size(page.get("index")))
            following = answer.get("continue")
            if not isinstance(following, dict) or following == go_on:
                return
            go_on = following

    def _check(self, answer: Any) -> str | None:
        """Raise for MediaWiki's errors, which come with status 200; some pass, such as a lagging database."""
        self._object(self._object(answer).get("query", {}))
        error = answer.get("error")
        if error is None:
            return None
        code, info = (plain(error.get(name)) for name in ("code", "info")) if isinstance(error, dict) else ("", "")
        if code in _BUSY:
            return f"{code}: {info}"
        raise FetchError(f"{self.endpoint}: {code or 'error'}: {info}")


def _questions(query: Search) -> Iterator[dict[str, Any]]:
    if query.category:
        title = f"Category:{query.category.removeprefix('Category:').strip()}"
        yield {"generator": "categorymembers", "gcmtitle": title, "gcmtype": "file", "gcmlimit": 50}
    if query.place:
        at = f"{query.place.latitude:.6f}|{query.place.longitude:.6f}"
        radius = round(query.place.radius)
        yield {"generator": "geosearch", "ggscoord": at, "ggsradius": radius, "ggsnamespace": 6, "ggslimit": 50}
    if query.text:
        words = f"filetype:bitmap {' '.join(query.text.split())}"
        yield {"generator": "search", "gsrsearch": words[:300], "gsrnamespace": 6, "gsrlimit": 50}


def _hit(page: dict, info: dict) -> Hit:
    facts = info.get("extmetadata")

    def fact(name: str) -> str:
        entry = facts.get(name) if isinstance(facts, dict) else None
        value = entry.get("value") if isinstance(entry, dict) else None
        return value if isinstance(value, str) else ""

    user = plain(info.get("user"))
    rendered = link(info.get("thumburl"))
    license_url = link(fact("LicenseUrl"))
    name, version = _license(plain(fact("LicenseShortName")), license_url)
    author = link(next(iter(re.findall(r"""href=["']([^"']+)["']""", fact("Artist"))), ""))
    return Hit(
        provider=Commons.name,
        source_url=rendered or link(info.get("url")),
        landing_url=link(info.get("descriptionurl")),
        creator=plain(fact("Artist")) or plain(fact("Credit")) or user,
        creator_url=author or (f"{HOME}/wiki/User:{quote(user.replace(' ', '_'))}" if user else ""),
        license=name,
        license_version=version,
        license_url=license_url,
        sha1=plain(info.get("sha1")),
    )


def _license(short: str, url: str) -> tuple[str, str]:
    """Return (licence, version) by the address if there is one, else by the name, such as "CC BY-SA 4.0"."""
    found = of_address(url)
    if found[0] != UNKNOWN:
        return found
    if short.lower() in ("public domain", "pd"):
        return "pdm", ""
    match = re.match(r"cc[- ]?(0|by(?:-nc)?(?:-sa|-nd)?)(?:[- ](\d\.\d))?(?:\s|$)", short.lower())
    return (match[1].replace("0", "cc0"), match[2] or "") if match else (UNKNOWN, "")
