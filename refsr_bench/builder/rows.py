"""The rows of a project's tables: what is known of a query, a candidate, and what became of them.

``file`` is always relative to the project folder, with forward slashes, and is the candidate's name everywhere.
Empty text and 0 mean unknown, unless a field says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

CATEGORIES = ("outdoor", "indoor", "building", "landmark", "animal", "plant", "people", "object", "text", "other")
"""What an image shows (the paper's Fig. 3 b, and what web photos show besides)."""

KEPT, DROPPED = "kept", "dropped"


@dataclass(frozen=True)
class Query:
    """One input image. sha256: of the decoded pixels (``facts.pixels_sha256``); width, height: upright.

    category: one of CATEGORIES. retrieved: date (ISO). sharpness: variance of the Laplacian at native size.
    jpeg_quality: from the quantisation tables, 1 .. 100, or 0 where the file is no JPEG. state: KEPT or DROPPED, and
    why. text: a caption or search words for providers that search by text.
    """

    id: str
    file: str
    sha256: str = ""
    width: int = 0
    height: int = 0
    category: str = ""
    source_url: str = ""
    landing_url: str = ""
    creator: str = ""
    creator_url: str = ""
    license: str = ""
    license_version: str = ""
    license_url: str = ""
    retrieved: str = ""
    sharpness: float = 0.0
    jpeg_quality: int = 0
    state: str = KEPT
    reason: str = ""
    text: str = ""


@dataclass(frozen=True)
class Candidate:
    """One image of a query's pool; the file may serve several queries (``pool/files/<sha256 of the file>.<ext>``).

    provider: who found it. rank: its place there, from 1. score: the provider's own similarity, higher is better, 0
    where it gives none. sha256: of the decoded pixels. An image that could not be fetched has no row.
    """

    query: str
    file: str
    provider: str = ""
    rank: int = 0
    score: float = 0.0
    sha256: str = ""
    width: int = 0
    height: int = 0
    category: str = ""
    source_url: str = ""
    landing_url: str = ""
    creator: str = ""
    creator_url: str = ""
    license: str = ""
    license_version: str = ""
    license_url: str = ""
    retrieved: str = ""


@dataclass(frozen=True)
class Cleaned:
    """What cleaning says of one candidate of one query.

    kept, or why not: reason. similarity: cosine of the global descriptors. inliers: SIFT matches that agree with one
    homography; scale: pixels of the candidate per pixel of the query (above 1: the candidate shows more detail),
    rotation in degrees counter-clockwise (-180, 180], overlap: share of the query that the candidate shows; scale is 0
    where matches do not allow an estimate. rank: 1 = most similar kept one of its query, 0 = not kept.
    """

    query: str
    file: str
    kept: bool
    reason: str = ""
    sharpness: float = 0.0
    jpeg_quality: int = 0
    similarity: float = 0.0
    inliers: int = 0
    scale: float = 0.0
    rotation: float = 0.0
    overlap: float = 0.0
    rank: int = 0


@dataclass(frozen=True)
class Selected:
    """What was decided for one query. file: the reference, empty where the query has no proper one.

    annotators: names, comma-separated, or "auto". agreement: share of the annotators that decided like this.
    """

    query: str
    file: str
    category: str = ""
    annotators: str = ""
    agreement: float = 1.0


@dataclass(frozen=True)
class Rescaled:
    """One finished pair. input, ref: files below ``rescaled/``; sizes before and after, in pixels.

    factor: size of the reference after to before (1.0: untouched). resampling: "none" or the resizer's name.
    """

    query: str
    file: str
    input: str
    ref: str
    input_width_before: int
    input_height_before: int
    input_width: int
    input_height: int
    ref_width_before: int
    ref_height_before: int
    ref_width: int
    ref_height: int
    factor: float = 1.0
    resampling: str = "none"
