"""Proposes how references lie: guides from keypoints, from matches and from turns, followed and put to the test."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from types import ModuleType

import numpy as np

from refsr_bench.core.errors import Misuse
from refsr_bench.core.schema import FoundBy
from refsr_bench.core.types import Correspondence, Image, Propose, View
from refsr_bench.geometry import motion
from refsr_bench.matchers._inputs import enlarged, luma
from refsr_bench.views import turns
from refsr_bench.views.dense import Followed, better, finished, follow
from refsr_bench.views.guides import from_matches, from_trusted
from refsr_bench.views.warps import map_of, upright

VERSION = 1
"""Raised when the same images give other views; part of the identity of every run that uses them."""

FEATURES: tuple[FoundBy, ...] = ("sift", "orb", "akaze", "aliked", "disk", "xfeat")
"""Keypoints that can propose views; the modules of ``refsr_bench.matchers`` have the same names."""
AUTO = 3  # motions at most: a facade, the ground and something before them
TURNS = 2  # turns at most; the right one is the likeliest or, with symmetric things, the next
FEWEST = motion.Fewest(homography=10, similarity=6)  # matches at a turn; the flow tests what they say
BELIEVED = 0.03  # least share of the image that one guide must let trust; unrelated large photographs give 0.01
SOME = 2500  # pixels, in small images more than that share: what is trusted by chance does not grow with the image
CONTINUED = 2  # times that a map is continued from where it is trusted; more add less than 0.01 of the image
RIM = 13  # pixels: a pixel is shown if its surroundings of this size are trusted to a fifth
MAJORITY = 0.2


@dataclass(frozen=True)
class Views:
    """The views that a person asks for. most: motions of keypoints to follow, at most; None for AUTO."""

    most: int | None = None
    features: FoundBy = "sift"

    @property
    def name(self) -> str:
        """The spelling that ``parse`` reads back."""
        number = "auto" if self.most is None else str(self.most)
        return number if self.features == "sift" else f"{number}:{self.features}"


def parse(text: str) -> Views | None:
    """Parse ``none``, ``auto`` or a number of motions, and the keypoints after a colon. Raises Misuse for another."""
    number, _, features = text.partition(":")
    features = features or "sift"
    if features not in FEATURES:
        raise Misuse(f"--views {text}: there are no keypoints called '{features}'. Known: {', '.join(FEATURES)}.")
    if number in ("auto", "none"):
        return None if number == "none" else Views(None, features)
    if not number.isdecimal() or not 1 <= int(number) <= 9:
        raise Misuse(f"--views {text}: give none, auto, or a number from 1 to 9.")
    return Views(int(number), features)


def propose(views: Views, lr: Image, refs: Sequence[Image], scale: int) -> Propose:
    """Return the function that methods ask for views of their references. lr, refs: as methods get them."""
    image = enlarged(lr, scale)
    matcher = importlib.import_module(f"refsr_bench.matchers.{views.features}")

    def of(reference: int, correspondence: Correspondence | None) -> Sequence[View]:
        ref = refs[reference]
        guides = _keypoint_guides(views, matcher, image, ref)
        if correspondence is not None:
            guides = chain([("matches", from_matches(correspondence, image.shape[:2]))], guides)
        view = find(image, ref, (guides, _turned_guides(lr, ref, scale)), reference)
        return [] if view is None else [view]

    return of


Guides = Iterable[tuple[FoundBy, np.ndarray]]  # what found a rough map, and the map


def find(image: Image, ref: Image, tries: Sequence[Guides], reference: int = 0) -> View | None:
    """Follow all guides of a try, continue their map, and return the view; None if none is believed.

    image: enlarged LR, uint8 (h, w, 3). tries: guides, those of the next try only made where all before fail.
    """
    gray = luma(image)
    believed = max(BELIEVED, SOME / gray.size)
    best: Followed | None = None
    share, found_by = 0.0, "unknown"
    for guides in tries:
        if share >= believed:
            break
        for name, guide in guides:
            followed = follow(gray, ref, guide)
            if (own := float(followed.trusted.mean())) > share:
                share, found_by = own, name
            best = followed if best is None else better(best, followed)
    if best is None or share < believed:
        return None
    for _ in range(CONTINUED):
        best = better(best, follow(gray, ref, from_trusted(best.source, best.trusted)))
    best = finished(best, from_trusted(best.source, best.trusted), ref)
    stands = upright(ref, best.source, best.trusted)
    return View(best.image, best.source.astype(np.float32), _vouched(best.trusted), found_by, reference, stands)


def _vouched(trusted: np.ndarray) -> np.ndarray:
    """Close the gaps between trusted pixels, bool (h, w), and drop what stands alone."""
    import cv2

    return cv2.blur(trusted.astype(np.float32), (RIM, RIM)) > MAJORITY


def _keypoint_guides(
    views: Views, matcher: ModuleType, image: Image, ref: Image
) -> Iterator[tuple[FoundBy, np.ndarray]]:
    own, there = matcher.keypoints(image, ref)
    size = image.shape[:2]
    for found in motion.several(own, there, size, matcher.FEWEST, views.most or AUTO):
        yield views.features, map_of(found.matrix, size)


def _turned_guides(lr: Image, ref: Image, scale: int) -> Iterator[tuple[FoundBy, np.ndarray]]:
    size = (lr.shape[0] * scale, lr.shape[1] * scale)
    for own, there in turns.matches(lr, ref, scale, TURNS):
        found = motion.find(own, there, size, FEWEST)
        if found is not None:
            yield "turns", map_of(found.matrix, size)

