"""The rows of a project's tables: the facts about a query and a candidate, and what became of them.

``file`` is always relative to the project folder, with forward slashes, and serves as the candidate's name everywhere.
Empty text and 0 mean unknown, unless a field says otherwise. ``reason`` is a fault, a colon, and details.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from refsr_bench.core.reader import Count, Format, Real

Inside = Annotated[str, Meta(extra={"inside": True})]
"""Text that becomes a path below the folder of its table, or a part of one: ``tables`` refuses a name that leads out.

Empty stands for no file.
"""

CATEGORIES = ("outdoor", "indoor", "building", "landmark", "animal", "plant", "people", "object", "text", "other")
"""Things that an image may show: those of the paper's Fig. 3 b, and others that web photos show."""

KEPT, DROPPED = "kept", "dropped"
UNKNOWN = "unknown"
"""The word of tables and pages for a category, licence or provider that nobody stated."""


def fault(reason: str) -> str:
    """The reason without its details, for counting: "too small: 90 pixels on the long side" gives "too small"."""
    return reason.partition(":")[0]


class Stated(Format):
    """A person's statements about an image: its category (one of CATEGORIES), source, author and licence."""

    category: str = ""
    source_url: str = ""
    landing_url: str = ""
    creator: str = ""
    creator_url: str = ""
    license: str = ""
    license_version: str = ""
    license_url: str = ""


SOURCE = tuple(name for name in Stated.__struct_fields__ if name != "category")
"""Of these, where an image is from: the fields that all rows of images have."""


class StatedQuery(Stated):
    """A person's statements about an input image. text: a caption or search words for providers that search by text."""

    text: str = ""


class Query(Format):
    """One input image, with the fields of ``StatedQuery``.

    sha256: of the decoded pixels (``facts.pixels_sha256``). width, height: in pixels, upright. retrieved: date (ISO).
    sharpness: variance of the Laplacian at native size. jpeg_quality: 1 to 100, from the quantisation tables, or 0 if
    the file is no JPEG. state: KEPT or DROPPED; reason says why.
    """

    id: Inside
    file: Inside
    sha256: str = ""
    width: Count = 0
    height: Count = 0
    category: str = ""
    source_url: str = ""
    landing_url: str = ""
    creator: str = ""
    creator_url: str = ""
    license: str = ""
    license_version: str = ""
    license_url: str = ""
    retrieved: str = ""
    sharpness: Real = 0.0
    jpeg_quality: Count = 0
    state: str = KEPT
    reason: str = ""
    text: str = ""


class Candidate(Format):
    """One image of a query's pool; the file may serve several queries (``pool/files/<sha256 of the file>.<ext>``).

    provider: who found it. rank: its place there, from 1. score: the provider's own similarity, higher is better, 0 if
    it gives none. sha256: of the decoded pixels. An image that could not be fetched has no row.
    """

    query: Inside
    file: Inside
    provider: str = ""
    rank: Count = 0
    score: Real = 0.0
    sha256: str = ""
    width: Count = 0
    height: Count = 0
    category: str = ""
    source_url: str = ""
    landing_url: str = ""
    creator: str = ""
    creator_url: str = ""
    license: str = ""
    license_version: str = ""
    license_url: str = ""
    retrieved: str = ""


class Cleaned(Format):
    """The outcome of cleaning for one candidate of one query.

    kept: whether it may be chosen; reason says why not. similarity: cosine of the global descriptors. inliers: SIFT
    matches that agree with one homography. scale: pixels of the candidate per pixel of the query (above 1 the candidate
    shows more detail), 0 if the matches do not allow an estimate. rotation: degrees counter-clockwise in (-180, 180].
    overlap: share of the query that the candidate shows. rank: 1 for the most similar kept candidate of its query, 0 if
    not kept.
    """

    query: Inside
    file: Inside
    kept: bool
    reason: str = ""
    sharpness: Real = 0.0
    jpeg_quality: Count = 0
    similarity: Real = 0.0
    inliers: Count = 0
    scale: Real = 0.0
    rotation: Real = 0.0
    overlap: Real = 0.0
    rank: Count = 0


class Selected(Format):
    """The decision on one query. file: the reference; empty if the query has no proper one.

    annotators: names, comma-separated, or "auto". agreement: share of the annotators that decided like this.
    """

    query: Inside
    file: Inside
    category: str = ""
    annotators: str = ""
    agreement: Real = 1.0

    @property
    def people(self) -> list[str]:
        """The names of those who decided."""
        return [name for name in self.annotators.split(",") if name]


class Rescaled(Format):
    """One finished pair. input, ref: files below ``rescaled/``, with sizes before and after in pixels.

    factor: size of the reference after, divided by before (1.0: unchanged). resampling: "none" or the resizer's name.
    """

    query: Inside
    file: Inside
    input: Inside
    ref: Inside
    input_width_before: Count
    input_height_before: Count
    input_width: Count
    input_height: Count
    ref_width_before: Count
    ref_height_before: Count
    ref_width: Count
    ref_height: Count
    factor: Real = 1.0
    resampling: str = "none"
