"""Fills the pool from the web: providers search for each query's words, category or place, and the hits are downloaded.

Every image becomes a row of ``pool.csv`` as soon as its file is in ``pool/files``. Answers and files are cached in
``cache/`` (a file that is also in the pool is a hard link there). After a kill, a refusal or a closed lid, the same
command therefore continues and asks nobody twice; an address that was refused for good is not tried again. Delete
``cache/`` to search anew.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from msgspec.structs import replace

from refsr_bench.builder import tables
from refsr_bench.builder.engine import Progress, silent
from refsr_bench.builder.facts import pixels_sha256
from refsr_bench.builder.fetching.fetch import Client, Fetched, Policy
from refsr_bench.builder.fetching.network import FetchError, Refused, Throttled, split_url
from refsr_bench.builder.pool import Gathered
from refsr_bench.builder.pool.providers import open_provider
from refsr_bench.builder.pool.providers.base import FILE_HOSTS, Hit, Place, Provider, Search
from refsr_bench.builder.project import Project
from refsr_bench.builder.rows import SOURCE, Candidate, Query
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.lists import grouped
from refsr_bench.core.reader import Format
from refsr_bench.pixels.images import read_image

CACHE = "cache"
SPARE = 4  # hits asked for per candidate wanted, to make up for refused and doubled ones within reason
FAILURES = 3  # in a row, after which a provider is left alone


class Caption(Format):
    """The words, category and place to look for.

    query: its id or file name. category: one of Wikimedia Commons. place: as ``Place.parse`` reads it.
    """

    query: str
    text: str = ""
    category: str = ""
    place: str = ""


def from_web(
    project: Project,
    names: Sequence[str],
    captions: Path | None = None,
    progress: Progress = silent,
) -> Gathered:
    """``gather`` with the providers of these names, under the project's settings (contact, licenses, top).

    captions: a CSV table of ``Caption``; queries without a line there use their own ``text``. Raises Misuse, before
    anything is fetched, when a key, a contact or a provider is missing.
    """
    policy = policy_of(project)
    _ = policy.user_agent  # raises now if there is no contact
    client = Client(policy)
    providers = [open_provider(name, client, project.settings.licenses) for name in names]
    asked = searches(project.kept_queries, tables.given(captions, Caption) if captions else [], captions)
    return gather(project, providers, asked, project.settings.top, progress)


def policy_of(project: Project) -> Policy:
    return Policy(contact=project.settings.contact, cache=project.path / CACHE)


def searches(queries: Sequence[Query], captions: Iterable[Caption], source: Path | None = None) -> dict[str, Search]:
    """Map each query id to its search; queries without any words, category or place are missing.

    Raises Misuse for a caption whose query does not exist.
    """
    known = {name: query.id for query in queries for name in (query.id, query.file, Path(query.file).name)}
    known |= {Path(query.file).stem: query.id for query in queries}
    found = {query.id: Search(text=query.text) for query in queries if query.text}
    for caption in captions:
        if caption.query not in known:
            raise Misuse(f"{source or 'captions'}: there is no kept query {caption.query!r}.")
        place = Place.parse(caption.place) if caption.place else None
        search = Search(caption.text, caption.category, place)
        if search.words or place:
            found[known[caption.query]] = search
    return found


def gather(
    project: Project,
    providers: Sequence[Provider],
    asked: Mapping[str, Search],
    n: int,
    progress: Progress = silent,
) -> Gathered:
    """Add up to n candidates from each provider for each kept query, as rows of ``pool.csv`` and files.

    asked: the search for each query. The same picture (by its pixels) found twice for a query is one row. A provider
    that asks for a long pause, or fails FAILURES times in a row, is left alone for the rest of the run. The client of
    the providers needs a cache.
    """
    with project.lock("pool"):
        queries = [query for query in project.kept_queries if query.id in asked]
        task = _Task(project, n, without_words=len(project.kept_queries) - len(queries))
        for done, query in enumerate(queries, 1):
            for provider in providers:
                if provider.name not in task.stopped:
                    task.ask(query, provider, asked[query.id])
            progress(done, len(queries))
        return Gathered(dict(task.added), tuple(task.notes()))


class _Task:
    """One run's memory: the pool's contents so far, and the failures."""

    def __init__(self, project: Project, n: int, without_words: int) -> None:
        self.project, self.n = project, n
        self.added: Counter[str] = Counter()
        self.stopped: dict[str, str] = {}
        self._failures: Counter[str] = Counter()
        self._without_words = without_words
        self._left_out: Counter[str] = Counter()
        self._examples: dict[str, str] = {}
        self._rows = grouped(project.pool, lambda row: row.query)

    def ask(self, query: Query, provider: Provider, search: Search) -> None:
        """Bring this provider's share for one query up to n."""
        rows = self._rows.setdefault(query.id, [])
        have = sum(row.provider == provider.name for row in rows)
        if have >= self.n:
            return
        addresses = {row.source_url for row in rows}
        pixels = {row.sha256 for row in rows}
        originals: set[str] = set()
        try:
            for rank, hit in enumerate(provider.search(search, SPARE * self.n), 1):
                if hit.source_url in addresses or (hit.sha1 and hit.sha1 in originals):
                    continue
                originals.add(hit.sha1)
                row = self._take(provider.client, hit, pixels)
                if row is None:
                    continue
                row = replace(row, query=query.id, rank=rank)
                tables.append(self.project.table("pool"), [row])
                rows.append(row)
                pixels.add(row.sha256)
                addresses.add(hit.source_url)
                self.added[provider.name] += 1
                have += 1
                if have >= self.n:
                    break
            self._failures[provider.name] = 0
        except FetchError as error:  # the search itself failed
            self._failures[provider.name] += 1
            # asking again after "wait" would be rude, and after several failures pointless
            if isinstance(error, Throttled) or self._failures[provider.name] == FAILURES:
                self.stopped[provider.name] = str(error)
            else:
                self._note(f"searches of {provider.name} failed", error)

    def _take(self, client: Client, hit: Hit, known: set[str]) -> Candidate | None:
        """Fetch a hit and put it into the pool; return None if it is ``known`` or cannot be had, which is noted."""
        try:
            fetched = client.image(hit.source_url, robots=not _handed_out(hit.source_url))
        except Throttled as error:
            return self._note("images not yet fetched", error)
        except Refused as error:
            return self._note("images refused", error)
        except FetchError as error:
            return self._note("images failed", error)
        try:
            image = read_image(_file(fetched))
        except BenchError as error:  # CMYK, 16 bits ...
            return self._note("images refused", error)
        digest = pixels_sha256(image)
        if digest in known:
            return None
        name = self.project.pool_file(fetched.bytes, fetched.suffix)
        client.share(fetched, self.project.file(name))
        return Candidate(
            query="",
            file=name,
            provider=hit.provider,
            sha256=digest,
            width=image.shape[1],
            height=image.shape[0],
            retrieved=fetched.retrieved,
            **{name: getattr(hit, name) for name in SOURCE},
        )

    def _note(self, what: str, error: BenchError) -> None:
        self._left_out[what] += 1
        self._examples.setdefault(what, str(error))

    def notes(self) -> Iterable[str]:
        for name, reason in self.stopped.items():
            yield f"{name} was not asked further: {reason}"
        for what, n in self._left_out.items():
            yield f"{n} {what}; the first: {self._examples[what]}"
        if self._without_words:
            yield f"{self._without_words} queries have no words to search for: fill their 'text', or give captions."


def _file(fetched: Fetched) -> Path:
    if fetched.path is None:
        raise TypeError("gathering needs a client with a cache")
    return fetched.path


def _handed_out(url: str) -> bool:
    """Tell whether a file lies with a service whose API hands out its addresses (see FILE_HOSTS)."""
    host = split_url(url).hostname or ""
    return any(host == name or host.endswith(f".{name}") for name in FILE_HOSTS)
