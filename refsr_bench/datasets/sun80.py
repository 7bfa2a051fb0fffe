"""Sun80: 80 photos with 20 scene matches each.

Three copies are in use: the two published zips (a folder of ground-truth photos and one folder of matches per photo,
*named like the photo with its .jpg*); files ``NNN.jpg`` with ``NNN_1.jpg`` .. ``NNN_20.jpg``; and the 80 photos alone
as ``img_NNN_SRF_8_HR.png``, which is enough for single-image rows.
"""

from __future__ import annotations

import re
from pathlib import Path

from refsr_bench.core.cards import DatasetCard, PublishedFile
from refsr_bench.core.lists import natural
from refsr_bench.core.types import Dataset, RefPair
from refsr_bench.data.layout import absent, assemble, by_id, images_in, require
from refsr_bench.pixels.images import source

REFS = 20
_BASES = ("", "Sun80", "SUN80", "Sun_Hays_SR")
_TRUTH = ("Sun_Hays_SR_groundtruth", "groundtruth", "GT", "HR", "hr", "input", "")
_MATCHES = ("Sun_Hays_SR_scenematches", "scenematches", "ref", "Ref", "refs", "")
_ALONE = ("image_SRF_8", "data/SunHays80/image_SRF_8", "SunHays80/image_SRF_8", "")
_HR_STEM = re.compile(r"img_(\d+)_SRF_8_HR")
_REF_STEM = re.compile(r"(\d+)_(\d+)")

_HOME = "https://cs.brown.edu/~lbsun/SRproj2012/"

Groups = dict[Path, list[Path]]  # ground truth -> its references in order


def _open(root: Path | None) -> Dataset:
    for base in (root / name for name in _BASES):
        for truth in dict.fromkeys(_nested(base, _TRUTH)):
            for matches in dict.fromkeys(_nested(base, _MATCHES)):
                groups = _folders(truth, matches) or _flat(truth, matches)
                if groups:
                    return _dataset(base, groups, matches)
    for folder in (root / name for name in _ALONE):
        alone = by_id(images_in(folder), lambda stem: m[1] if (m := _HR_STEM.fullmatch(stem)) else None)
        if alone:
            pairs = [RefPair(f"img_{i}", source(path), ()) for i, path in alone.items()]
            return assemble(CARD, folder, pairs, differences=["photos without their references"])
    raise absent(CARD, root)


def _nested(base: Path, names: tuple[str, ...]) -> list[Path]:
    """Yield each name below base, and once more inside itself, where unzipping into a folder of that name puts it."""
    return [folder for name in names for folder in (base / name, base / name / name) if folder.is_dir()]


def _folders(truth: Path, matches: Path) -> Groups:
    """Read the published zips: ``matches/X.jpg/`` is the folder of the photo ``X.jpg``."""
    photos = list(by_id(images_in(truth)).values())
    if not any((matches / photo.name).is_dir() for photo in photos):
        return {}
    found = {photo: images_in(matches / photo.name) for photo in photos}
    return {photo: sorted(refs, key=lambda path: natural(path.name)) for photo, refs in found.items()}


def _flat(truth: Path, matches: Path) -> Groups:
    photos = by_id(images_in(truth), lambda stem: stem if stem.isdecimal() else None)
    refs = by_id(images_in(matches), lambda stem: stem if _REF_STEM.fullmatch(stem) else None)
    groups: Groups = {photo: [] for photo in photos.values()}
    for stem in sorted(refs, key=natural):
        owner = photos.get(_REF_STEM.fullmatch(stem)[1])
        if owner is not None:
            groups[owner].append(refs[stem])
    return groups if any(groups.values()) else {}


def _dataset(base: Path, groups: Groups, matches: Path) -> Dataset:
    require(
        [f"the matches of {photo.name}" for photo, refs in groups.items() if not refs], "groups of references", matches
    )
    pairs = [
        RefPair(
            photo.stem,
            source(photo),
            tuple(source(ref) for ref in refs),
            {"source": "internet scene matches"},
            position=position,
        )
        for position, (photo, refs) in enumerate(groups.items(), 1)
    ]
    counts = sorted({len(pair.refs) for pair in pairs})
    differences = [] if counts == [REFS] else [f"{'/'.join(map(str, counts))} references per photo instead of {REFS}"]
    return assemble(CARD, base, pairs, differences=differences)


CARD = DatasetCard(
    name="sun80",
    title="Sun80",
    description="Sun and Hays 2012: photos with internet scene matches; the ground truth is JPEG itself.",
    open=_open,
    home=f"{_HOME} (the project page has been reported gone since 2022)",
    terms="unknown: no licence found; do not redistribute",
    withheld="no licence is known",
    layout=(
        "a folder of ground-truth photos X.jpg beside a folder of match folders named X.jpg; "
        "or NNN.jpg with NNN_1.jpg .. NNN_20.jpg; or img_NNN_SRF_8_HR.png without references"
    ),
    n_pairs=80,
    refs_per_pair="20",
    archives=tuple(
        PublishedFile(f"Sun_Hays_SR_{part}.zip", _HOME, url=f"{_HOME}Sun_Hays_SR_{part}.zip")
        for part in ("groundtruth", "scenematches")
    ),
    folder="Sun80",
)
DATASETS = (CARD,)
