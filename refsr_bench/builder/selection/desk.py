"""Answers everything that the selection page asks for: queries, candidates, pictures, matches, clicks."""

from __future__ import annotations

import hashlib
import io
import secrets
import threading
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from PIL import Image as PilImage

from refsr_bench.builder.facts import MOST_BYTES
from refsr_bench.builder.project import Project
from refsr_bench.builder.rows import CATEGORIES, Candidate, Cleaned, Query
from refsr_bench.builder.selection.decisions import (
    CATEGORY,
    REJECT,
    SELECT,
    UNDO,
    Action,
    Decision,
    Log,
    Standing,
    history,
    now,
    person,
    ranked,
)
from refsr_bench.builder.similarity import matching
from refsr_bench.core import files, reader
from refsr_bench.core.commands import command
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.reader import Count, Format, Text
from refsr_bench.core.types import Image
from refsr_bench.pixels.images import read_image

THUMBNAIL = 512  # pixels on the long side
LINES = 150  # most matches that are drawn; more would hide the pictures
DECODING = 2  # pictures decoded at once, because decoded photos are large
_MAGIC = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG\r\n": "image/png", b"BM": "image/bmp"}


class Click(Format):
    """One request of the page.

    choice: the image's name, with SELECT. lines: how many of the annotator's lines the page knows of, with UNDO, which
    names no query.
    """

    action: Action
    query: Text = ""
    category: Text = ""
    choice: Text | None = None
    lines: Count | None = None


class Desk:
    """The queries that have candidates, as the tables are now.

    Images have opaque names, and only rows of the tables get one.
    """

    def __init__(self, project: Project) -> None:
        self.project = project
        self.log = Log(project.selection_log)
        self.candidates: dict[str, list[Cleaned]] = {query: rows for query, rows in ranked(project).items() if rows}
        self.queries = {query.id: query for query in project.kept_queries if query.id in self.candidates}
        self.removed = {(row.query, row.file): row.reason for row in project.cleaned if not row.kept}
        if not self.candidates:
            stages = command("build", "wrsr", "status", project.path)
            raise Misuse(f"{project.path}: there is no candidate to choose from. To see the progress: {stages}")
        wanted = {(row.query, row.file) for rows in self.candidates.values() for row in rows}
        self.facts = {(row.query, row.file): row for row in project.pool if (row.query, row.file) in wanted}
        shown = {file for _, file in wanted} | {query.file for query in self.queries.values()}
        # names last for one run of the page, so no browser shows an older picture under one
        self._salt = secrets.token_bytes(16)
        self.files = {self._name(file): file for file in shown}
        # Some 60 kB, 10 kB and 0.4 MB each. Caching makes going back and forth fast.
        self.thumbnail = lru_cache(maxsize=1000)(self._thumbnail)
        self.matches = lru_cache(maxsize=500)(self._matches)
        self._features = lru_cache(maxsize=100)(self._described)
        self._busy = threading.Semaphore(DECODING)

    def person(self, name: str) -> str:
        return person(name, dict.fromkeys(line.annotator for line in self.log.read()))

    def overview(self, annotator: str | None) -> dict[str, Any]:
        """Return the list of queries, with this annotator's decisions."""
        made = history(self.log.read(), annotator) if annotator else []
        stands = dict(made)
        queries = [{"id": query, **self._standing(query, stands.get(query, Standing()))} for query in self.candidates]
        return {
            "title": self.project.settings.title,
            "annotator": annotator,
            "categories": CATEGORIES,
            "queries": queries,
            "lines": len(made),
        }

    def detail(self, query: str) -> dict[str, Any]:
        """Return one query and its candidates, most similar first. Raises KeyError for an unknown one."""
        row = self.queries[query]
        return {
            "id": query,
            **self._facts(row),
            "category": row.category,
            "candidates": [self._candidate(cleaned) for cleaned in self.candidates[query]],
        }

    def _candidate(self, row: Cleaned) -> dict[str, Any]:
        numbers = {
            key: round(getattr(row, key), 3) for key in ("similarity", "inliers", "scale", "rotation", "overlap")
        }
        known = self.facts.get((row.query, row.file), Candidate(row.query, row.file))
        return {**self._facts(known), **numbers}

    def _standing(self, query: str, standing: Standing) -> dict[str, Any]:
        """Return a standing in the page's form.

        A choice that cleaning has since removed counts as none; the page says why.
        """
        gone = standing.choice is not None and all(row.file != standing.choice for row in self.candidates[query])
        return {
            "choice": None if gone or standing.choice is None else self._name(standing.choice),
            "rejected": standing.rejected,
            "category": standing.category,
            "gone": (self.removed.get((query, standing.choice)) or "no candidate any more") if gone else "",
        }

    def decide(self, annotator: str, request: dict[str, Any]) -> dict[str, Any]:
        """Record one click; return the query and its standing. Raises Misuse for a request that makes no sense.

        A request for what already stands writes nothing, so a request whose answer was lost can be sent again. For the
        same reason "undo" says how many lines it knows of.
        """
        try:
            click = reader.convert(request, Click, "This click")
        except BenchError as error:
            raise Misuse(str(error)) from None
        changed = click.query

        def line(log: list[Decision]) -> Decision | None:
            nonlocal changed
            made = history(log, annotator)
            if click.action == UNDO:
                if not made or len(made) != click.lines:
                    raise Misuse("There is nothing to take back." if not made else "Something was decided elsewhere.")
                changed = made[-1][0]
                return Decision(now(), annotator, changed, None, "", UNDO)
            before = dict(made).get(click.query, Standing())
            after = self._wanted(click, before)
            choice = after.choice if click.action == SELECT else None
            new = Decision(now(), annotator, click.query, choice, after.category, click.action)
            return None if before == after else new

        made = history(self.log.add(line), annotator)
        standing = dict(made).get(changed, Standing())
        shown = self._standing(changed, standing) if changed in self.candidates else {}
        return {"id": changed, **shown, "lines": len(made)}

    def _wanted(self, click: Click, before: Standing) -> Standing:
        if click.query not in self.candidates:
            raise Misuse(f"Unknown query {click.query!r}.")
        if click.category not in ("", *CATEGORIES) or (click.action == CATEGORY and not click.category):
            raise Misuse(f"Unknown category {click.category!r}.")
        category = click.category or before.category
        if click.action == CATEGORY:
            return Standing(before.choice, before.rejected, category)
        if click.action == REJECT:
            return Standing(None, True, category)
        file = self.files.get(click.choice or "")
        if all(row.file != file for row in self.candidates[click.query]):
            raise Misuse(f"That is no candidate of query {click.query!r}.")
        return Standing(file, False, category)

    def original(self, name: str) -> tuple[bytes, str]:
        """Return an image's bytes and type as stored; formats that browsers cannot show become PNG.

        Raises KeyError for an unknown name, BenchError for a file that is gone or damaged.
        """
        path = self.project.file(self.files[name])
        data = files.read_bytes(path, MOST_BYTES)
        kind = next((kind for magic, kind in _MAGIC.items() if data.startswith(magic)), None)
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            kind = "image/webp"
        return (data, kind) if kind else (_encoded(read_image(path), "PNG"), "image/png")

    def _thumbnail(self, name: str) -> bytes:
        """Return an image as JPEG, no longer than THUMBNAIL pixels. Raises like ``original``."""
        path = self.project.file(self.files[name])
        with self._busy:
            return _encoded(read_image(path), "JPEG", THUMBNAIL)

    def _matches(self, query: str, name: str) -> dict[str, Any]:
        """Match a query with one of its candidates as cleaning did; keep the matches that agree with one homography.

        lines: [x, y, x', y'] in pixels of both, measured from the image's corner. matrix: candidate to query, 3x3.
        Raises KeyError for an unknown pair.
        """
        file = self.files[name]
        if all(row.file != file for row in self.candidates[query]):
            raise KeyError(name)
        with self._busy:
            geometry = matching.relate(self._features(self.queries[query].file), self._features(file))
        return _drawn(geometry.points)

    def _described(self, file: str) -> matching.Features:
        return matching.features(read_image(self.project.file(file)))

    def _name(self, file: str) -> str:
        return hashlib.blake2s(file.encode(), key=self._salt, digest_size=12).hexdigest()

    def _facts(self, row: Query | Candidate) -> dict[str, Any]:
        link = row.landing_url or row.source_url
        return {
            "image": self._name(row.file),
            "width": row.width,
            "height": row.height,
            "license": " ".join(word for word in (row.license, row.license_version) if word),
            "creator": row.creator,
            "link": link if urlsplit(link).scheme in ("http", "https") else "",
        }


def _encoded(image: Image, kind: str, longest: int | None = None) -> bytes:
    picture = PilImage.fromarray(image)
    if longest:
        picture.thumbnail((longest, longest), PilImage.Resampling.LANCZOS)
    data = io.BytesIO()
    picture.save(data, format=kind, quality=88)
    return data.getvalue()


def _drawn(points: np.ndarray | None) -> dict[str, Any]:
    """Convert ``matching.Geometry.points``, whose pixel centres are whole numbers, to the page's form."""
    import cv2

    if points is None:
        return {"lines": [], "inliers": 0, "matrix": None}
    corners = points.astype(np.float64) + 0.5
    matrix, _ = cv2.findHomography(corners[:, 2:], corners[:, :2])
    shown = corners[:: -(-len(corners) // LINES)]  # every n-th, n rounded up
    usable = matrix is not None and np.isfinite(matrix).all()
    return {
        "lines": shown.round(1).tolist(),
        "inliers": len(corners),
        "matrix": matrix.tolist() if usable else None,
    }
