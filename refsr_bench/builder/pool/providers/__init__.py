"""The web services that candidates come from, one module each, all with the same interface (``base.py``).

Openverse and Wikimedia Commons need no key, Flickr needs one, and SerpAPI needs a paid one. Google's own JSON API takes
no new customers (and ends on 1 January 2027), and Bing's was retired on 11 August 2025, so neither can be offered.
"""

from __future__ import annotations

from collections.abc import Sequence

from refsr_bench.builder.fetching.fetch import Client
from refsr_bench.builder.licenses import OPEN
from refsr_bench.builder.pool.providers.base import Provider
from refsr_bench.builder.pool.providers.commons import Commons
from refsr_bench.builder.pool.providers.flickr import Flickr
from refsr_bench.builder.pool.providers.openverse import Openverse
from refsr_bench.builder.pool.providers.serpapi import SerpApi
from refsr_bench.core.errors import Misuse

PROVIDERS: dict[str, type[Provider]] = {kind.name: kind for kind in (Openverse, Commons, Flickr, SerpApi)}
CLOSED = {
    "google": "Google's Custom Search JSON API takes no new customers; 'serpapi' reads Google Images for a fee",
    "bing": "Microsoft retired the Bing image search API on 11 August 2025",
}


def open_provider(name: str, client: Client, licenses: Sequence[str] = OPEN) -> Provider:
    """Open a provider by name.

    Raises Misuse for unknown and closed ones, and for a key that is not in the environment.
    """
    if name in CLOSED:
        raise Misuse(f"{name}: {CLOSED[name]}. Known: {', '.join(PROVIDERS)}.")
    if name not in PROVIDERS:
        raise Misuse(f"There is no provider called {name!r}. Known: {', '.join(PROVIDERS)}.")
    return PROVIDERS[name](client, licenses)
