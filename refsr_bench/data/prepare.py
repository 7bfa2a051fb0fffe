"""Brings a downloaded data set into its place, with a manifest.

Everything is unpacked beside the target (``archives``), checked, and renamed into place at the end, so a failed attempt
leaves nothing behind. The next attempt removes what a killed one left, and says so.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image as PilImage

from refsr_bench import __version__
from refsr_bench.core import catalogue, files
from refsr_bench.core.cards import DatasetCard
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.lists import some
from refsr_bench.core.types import Dataset
from refsr_bench.data import manifests
from refsr_bench.data.archives import PPM, Unpacker, lift, wanted
from refsr_bench.data.manifests import MANIFEST, Manifest, file_sha256
from refsr_bench.pixels.images import read_image, write_png

log = logging.getLogger(__name__)

Progress = Callable[[int, int], None]


def prepare(name: str, source: Path, root: Path, progress: Progress = lambda done, total: None) -> Path:
    """Unpack or copy ``source`` into the data root, check it, write its manifest, and return its folder.

    name: a data set of the catalogue. source: an archive (ZIP, tar), a folder, or a folder of archives (a set that is
    published in several parts). root: the data root; the set goes into its usual folder there.
    progress: called with (images decoded, images in all).
    Raises Misuse when this data set is not prepared or the source is absent, BenchError when the source is unsafe, does
    not hold the layout, is damaged, or the target holds something else already.
    """
    card: DatasetCard = catalogue.get("DATASETS", name)
    if card.embedded or not card.folder:
        where = "is made by the package itself" if card.embedded else "is read where it lies (--data-root FOLDER)"
        raise Misuse(f"Data set '{name}' {where}; there is nothing to prepare.")
    if not (source.is_file() or source.is_dir()):
        wrong = "neither a file nor a folder" if os.path.lexists(source) else "no such file or folder"
        raise Misuse(f"{source}: {wrong}. --from takes the archive or folder you downloaded.")
    target = root / card.folder
    try:
        root.mkdir(parents=True, exist_ok=True)
        with files.standing(root), _workplace(root / f".{card.folder}.partial", name) as partial:
            Unpacker(partial).take(source)
            _ppm_to_png(partial)
            _check_and_record(card, source, partial, progress)
            _move(partial, target)
    except OSError as error:
        raise BenchError(
            f"{error.filename or target}: cannot be written ({error.strerror or error}). Choose another --data-root or "
            "make room."
        ) from None
    return target


@contextmanager
def _workplace(folder: Path, name: str) -> Iterator[Path]:
    """Give the block an empty folder within ``folder``, which is locked meanwhile and removed afterwards.

    The rest of an attempt that was killed is removed first, because nobody knows which of its files are whole. Raises
    Busy when another process prepares the same data set here, OSError when the disk refuses.
    """
    if folder.is_symlink():
        raise BenchError(f"{folder}: is a link; links are not followed. Remove it.")
    folder.mkdir(parents=True, exist_ok=True)
    with files.locked(folder, f"Another preparation of {name}", "choose another --data-root"):
        partial = folder / "files"
        if rest := [path for path in folder.iterdir() if path.is_dir()]:
            for path in rest:
                shutil.rmtree(path)
            log.warning("%s: removed the rest of an attempt that was cut short; unpacking anew.", folder)
        try:
            partial.mkdir()
            yield partial
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def content(folder: Path) -> dict[str, Path]:
    """Return the files of a prepared set that its manifest covers, by name below the folder."""
    found = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    return {name: path for name, path in found.items() if wanted(PurePosixPath(name))}


def undecodable(dataset: Dataset, progress: Progress = lambda done, total: None) -> Iterator[str]:
    """Return one sentence per image of the pairs that cannot be decoded."""
    paths = image_paths(dataset)
    for done, path in enumerate(paths, 1):
        try:
            read_image(path)
        except BenchError as error:
            yield str(error)
        progress(done, len(paths))


def image_paths(dataset: Dataset) -> list[Path]:
    """Return every image file of the pairs once, in their order."""
    sources = (src for pair in dataset.pairs for src in (pair.hr, *pair.refs))
    return list(dict.fromkeys(src.path for src in sources if src.path))


def _ppm_to_png(folder: Path) -> None:
    """Convert PPM, the format of old data sets, to PNG with the same pixels."""
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() != PPM:
            continue
        target = path.with_suffix(".png")
        try:
            with PilImage.open(path, formats=("PPM",)) as image:
                if image.mode not in ("L", "RGB") or image.tile[0][0] != "raw":
                    raise ValueError("only 8 bits per channel are read")
                pixels = np.asarray(image.convert("RGB"))
        except Exception as error:  # decoders raise nearly anything on a damaged file
            raise BenchError(f"{path.relative_to(folder)}: not a PPM image that can be used ({error}).") from None
        if target.exists():
            raise BenchError(f"{path.relative_to(folder)}: there is a PNG of that name beside it. Remove one of them.")
        write_png(target, pixels)
        path.unlink()


def _check_and_record(card: DatasetCard, source: Path, folder: Path, progress: Progress) -> None:
    """Open what was unpacked, decode every image, and write the manifest. Messages speak of the source."""
    dataset = None
    while dataset is None:
        try:
            dataset = card.open(folder)
        except Misuse:  # not at this level: perhaps the archive wraps everything in one more folder
            if not lift(folder):
                raise BenchError(f"{source}: holds no '{card.name}' data set. Expected {card.layout}.") from None
        except BenchError as error:
            raise BenchError(str(error).replace(str(folder), str(source))) from None
    if damaged := [text.replace(str(folder), str(source)) for text in undecodable(dataset, progress)]:
        more = f" (and {len(damaged) - 3} more)" if len(damaged) > 3 else ""
        raise BenchError(f"{len(damaged)} of the images cannot be used: {' '.join(damaged[:3])}{more}")
    write_manifest(dataset, folder)


def write_manifest(dataset: Dataset, folder: Path) -> None:
    """Write the manifest of a data set that lies in ``folder``. Raises BenchError when the disk refuses."""
    manifest = Manifest(
        dataset=dataset.name,
        made_by=f"refsr-bench {__version__}",
        pairs=len(dataset.pairs),
        manifest_sha256=dataset.manifest_sha256,
        files={name: manifests.describe(path) for name, path in content(folder).items()},
    )
    manifests.write(folder, manifest)


def _move(partial: Path, target: Path) -> None:
    """Rename into place; an existing set stays, and is accepted when it has the same files."""
    if not target.is_dir() or not any(target.iterdir()):
        files.move(partial, target)
        return
    new, old = ({name: file_sha256(path) for name, path in content(folder).items()} for folder in (partial, target))
    if new != old:
        names = sorted(name for name in new.keys() | old.keys() if new.get(name) != old.get(name))
        raise BenchError(
            f"{target}: holds other files already ({some(names)}). Nothing was changed; move that folder away, or "
            "choose another --data-root."
        )
    files.move(partial / MANIFEST, target / MANIFEST)
