"""Bring a downloaded data set into its place, with a manifest, and check it again later.

A download is not trusted: names that leave the folder, links, devices, encrypted or oversized members and bombs are
refused, and only images and text lists are taken out of it. Everything is unpacked beside the target, checked, and
renamed into place at the end, so a failed attempt leaves nothing behind.
"""

from __future__ import annotations

import json
import lzma
import os
import re
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

import numpy as np
from PIL import Image as PilImage

from refsr_bench import __version__
from refsr_bench.core import catalogue
from refsr_bench.core.cards import DatasetCard
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.files import write_text
from refsr_bench.core.reader import dumps
from refsr_bench.core.types import Dataset
from refsr_bench.data.layout import file_sha256, some
from refsr_bench.data.leaks import Leak, find_leaks
from refsr_bench.data.opening import dataset_folder
from refsr_bench.datasets.transform import LEAK
from refsr_bench.pixels.images import EXTENSIONS, image_size, read_image, write_png

MANIFEST = "manifest.json"
MAX_FILES = 200_000
MAX_FILE_BYTES = 256 << 20
MAX_TOTAL_BYTES = 32 << 30
MAX_RATIO = 200
"""Unpacked to packed bytes of a member over 1 MiB; photographs are compressed already and stay near 1."""

TEXT, PPM = ".txt", ".ppm"
HOMOGRAPHY = r"H_1_\d+|H1to\d+p?"
"""Files of HPatches and of Oxford's affine sequences that hold a 3x3 matrix and have no suffix."""

_ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
_BLOCK = 1 << 20

_ARCHIVE_ERRORS = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,  # a compression this Python does not know
    RuntimeError,
)

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Report:
    """What ``verify`` found. Every list holds names relative to ``folder``; problems and notes are sentences.

    manifest: a manifest was there to compare with. n_pairs, official: as the data set opens; 0 and False when not.
    """

    name: str
    folder: Path | None
    manifest: bool
    n_files: int = 0
    n_pairs: int = 0
    official: bool = False
    missing: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    leaks: tuple[Leak, ...] = ()
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Nothing missing, changed, unreadable or leaking; extra files and notes do no harm."""
        return not (self.missing or self.changed or self.leaks or self.problems)


def prepare(name: str, source: Path, root: Path, progress: Progress | None = None) -> Path:
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
    source, root = Path(source), Path(root)
    if not source.exists():
        raise Misuse(f"{source}: no such file or folder. --from takes the archive or folder you downloaded.")
    target = root / card.folder
    partial = root / f".{card.folder}.{os.getpid()}.partial"
    try:
        try:
            partial.mkdir(parents=True)
            Unpacker(partial).take(source)
            _ppm_to_png(partial)
            _write_manifest(card, source, partial, progress)
            return _move(partial, target)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    except OSError as error:
        raise BenchError(
            f"{error.filename or target}: cannot be written ({error.strerror or error}). Choose another --data-root or "
            "make room."
        ) from None


def verify(name: str, root: Path | None = None, progress: Progress | None = None) -> Report:
    """Check a data set against its manifest, look for leaks, and say whether its pairs are the published ones.

    Without a manifest every image is decoded instead. root: as in ``open_dataset``. progress: as in ``find_leaks``.
    Raises Misuse when the data set is unknown or absent; everything else that is wrong is in the report.
    """
    card: DatasetCard = catalogue.get("DATASETS", name)
    folder = None if card.embedded else dataset_folder(card, root)
    missing, changed, extra, problems = [], [], [], []
    recorded = _read_manifest(folder, problems) if folder else None
    if recorded is not None:
        present = {path.relative_to(folder).as_posix(): path for path in _content(folder)}
        missing = sorted(set(recorded) - set(present))
        extra = sorted(set(present) - set(recorded))
        changed = sorted(n for n in set(recorded) & set(present) if file_sha256(present[n]) != recorded[n]["sha256"])
    dataset, leaks = None, []
    try:
        dataset = card.open(folder)
        unreadable = _undecodable(dataset) if recorded is None else []
        problems += unreadable
        if not unreadable and LEAK not in dataset.notes:
            leaks = find_leaks(dataset.pairs, progress)
    except Misuse:
        if recorded is None:
            raise
        problems.append(f"{folder}: the layout is not recognised any more ({card.layout})")
    except BenchError as error:
        problems.append(str(error))
    notes = list(dataset.notes) if dataset else []
    if folder and not (folder / MANIFEST).exists():
        notes.append(
            f"there is no {MANIFEST}: layout and images were checked, later changes go unnoticed"
            + (f"; 'refsr-bench data prepare {name} --from {folder}' makes a copy with one" if card.folder else "")
        )
    return Report(
        name=name,
        folder=folder,
        manifest=recorded is not None,
        n_files=len(recorded) if recorded is not None else len(_files(dataset)) if dataset else 0,
        n_pairs=len(dataset.pairs) if dataset else 0,
        official=bool(dataset and dataset.official),
        missing=tuple(missing),
        changed=tuple(changed),
        extra=tuple(extra),
        leaks=tuple(leaks),
        problems=tuple(problems),
        notes=tuple(notes),
    )


class Unpacker:
    """Copies images and text lists out of folders and archives into one folder, within bounds over all of them."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self.files = 0
        self.bytes = 0

    def take(self, source: Path) -> None:
        """Raises BenchError for anything unsafe, damaged or too large; OSError when the target cannot be written."""
        if source.is_dir():
            self._folder(source)
        else:
            self._archive(source, PurePosixPath())
        if not self.files:
            raise BenchError(f"{source}: holds no images.")

    def _folder(self, source: Path) -> None:
        for folder, folders, names in os.walk(source):
            folders[:] = sorted(name for name in folders if not name.startswith((".", "__MACOSX")))
            for name in sorted(folders + names):
                path = Path(folder, name)
                below = PurePosixPath(path.relative_to(source).as_posix())
                if path.is_symlink():
                    raise BenchError(
                        f"{path}: is a link; links are not followed. Give a folder with the files themselves."
                    )
                if not path.is_file():
                    continue
                if name.lower().endswith(_ARCHIVES):
                    self._archive(path, below.parent / name[: -len(_archive_suffix(name))])
                elif _wanted(below):
                    with path.open("rb") as file:
                        self._write(f"{path}", below, file)

    def _archive(self, source: Path, below: PurePosixPath) -> None:
        try:
            if zipfile.is_zipfile(source):
                self._zip(source, below)
            elif tarfile.is_tarfile(source):
                self._tar(source, below)
            else:
                raise BenchError(
                    f"{source}: neither a ZIP nor a tar archive; a download that stopped half-way or a web page saved "
                    "under this name looks like that. Download it again."
                )
        except OSError as error:
            if error.errno is None:  # gzip and bz2 report damaged data this way
                raise _damaged(source, error) from None
            raise
        except _ARCHIVE_ERRORS as error:
            raise _damaged(source, error) from None
        _lift(self.target / below, below.name)

    def _zip(self, source: Path, below: PurePosixPath) -> None:
        with zipfile.ZipFile(source) as archive:
            for info in archive.infolist():
                what = f"{source}: member {info.filename!r}"
                name = _safe(info.filename, what)
                kind = stat.S_IFMT(info.external_attr >> 16)
                if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                    raise BenchError(f"{what} is a link or a device; only files and folders are unpacked.")
                if info.is_dir() or not _wanted(name):
                    continue
                if info.flag_bits & 1:
                    raise BenchError(f"{what} is encrypted. Unpack the archive yourself and give the folder.")
                if info.file_size > _BLOCK and info.file_size > MAX_RATIO * max(1, info.compress_size):
                    raise BenchError(f"{what} grows more than {MAX_RATIO}-fold when unpacked, no photograph does.")
                with archive.open(info) as file:
                    self._write(what, below / name, file)

    def _tar(self, source: Path, below: PurePosixPath) -> None:
        packed = source.stat().st_size
        with tarfile.open(source) as archive:
            for info in archive:
                what = f"{source}: member {info.name!r}"
                name = _safe(info.name, what)
                if not (info.isfile() or info.isdir()):
                    raise BenchError(f"{what} is a link or a device; only files and folders are unpacked.")
                if info.offset > _BLOCK and info.offset > MAX_RATIO * packed:
                    raise BenchError(f"{source}: grows more than {MAX_RATIO}-fold when unpacked, no photographs do.")
                if info.isfile() and _wanted(name):
                    with archive.extractfile(info) as file:
                        self._write(what, below / name, file)

    def _write(self, what: str, name: PurePosixPath, file: IO[bytes]) -> None:
        """Copy one file, counting what really comes out, not what a header promises."""
        self.files += 1
        if self.files > MAX_FILES:
            raise BenchError(f"{what}: more than {MAX_FILES} files; no known data set has as many.")
        path = self.target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            raise BenchError(
                f"{what}: {name} comes twice (on this disk, names that differ in case alone are the same)."
            )
        size = 0
        with path.open("wb") as out:
            while block := file.read(_BLOCK):
                size += len(block)
                self.bytes += len(block)
                if size > MAX_FILE_BYTES:
                    raise BenchError(f"{what} is larger than {MAX_FILE_BYTES >> 20} MiB, too large for an image.")
                if self.bytes > MAX_TOTAL_BYTES:
                    raise BenchError(
                        f"{what}: more than {MAX_TOTAL_BYTES >> 30} GiB in all; no known data set is as large."
                    )
                out.write(block)


def _damaged(source: Path, error: Exception) -> BenchError:
    return BenchError(f"{source}: damaged archive ({error or type(error).__name__}). Download it again.")


def _lift(folder: Path, only: str | None = None) -> bool:
    """When a folder holds nothing but one folder (called ``only``), put that one's content in its place."""
    inside = list(folder.iterdir()) if folder.is_dir() else []
    if len(inside) != 1 or not inside[0].is_dir() or only not in (None, inside[0].name):
        return False
    aside = folder.with_name(folder.name + ".lifted")
    inside[0].replace(aside)
    folder.rmdir()
    aside.replace(folder)
    return True


def _archive_suffix(name: str) -> str:
    return max((suffix for suffix in _ARCHIVES if name.lower().endswith(suffix)), key=len)


def _safe(name: str, what: str) -> PurePosixPath:
    """The member's path, refused when it could land outside the folder it is unpacked into."""
    path = PurePosixPath(name)
    if not name or path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name or "\0" in name:
        raise BenchError(f"{what} leads out of the folder it is unpacked into; the archive is not to be trusted.")
    return path


def _wanted(name: PurePosixPath) -> bool:
    hidden = any(part.startswith((".", "__MACOSX")) for part in name.parts)
    known = name.suffix.lower() in EXTENSIONS or name.suffix.lower() in (TEXT, PPM)
    return not hidden and (known or bool(re.fullmatch(HOMOGRAPHY, name.name)))


def _ppm_to_png(folder: Path) -> None:
    """Old data sets come as PPM: the same pixels as PNG, which everything here and at Hugging Face reads."""
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


def _content(folder: Path) -> Iterator[Path]:
    """The files of a prepared set that its manifest speaks of."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and _wanted(PurePosixPath(path.relative_to(folder).as_posix())):
            yield path


def _files(dataset: Dataset) -> list[Path]:
    return list(dict.fromkeys(src.path for pair in dataset.pairs for src in (pair.hr, *pair.refs) if src.path))


def _undecodable(dataset: Dataset, progress: Progress | None = None) -> list[str]:
    """One sentence per image of the pairs that cannot be decoded."""
    files, problems = _files(dataset), []
    for done, path in enumerate(files, 1):
        try:
            read_image(path)
        except BenchError as error:
            problems.append(str(error))
        if progress:
            progress(done, len(files))
    return problems


def _write_manifest(card: DatasetCard, source: Path, folder: Path, progress: Progress | None) -> None:
    """Open what was unpacked, decode every image, and write the manifest. Messages speak of the source."""
    dataset = None
    while dataset is None:
        try:
            dataset = card.open(folder)
        except Misuse:  # not at this level: perhaps the archive wraps everything in one more folder
            if not _lift(folder):
                raise BenchError(f"{source}: holds no '{card.name}' data set. Expected {card.layout}.") from None
        except BenchError as error:
            raise BenchError(str(error).replace(str(folder), str(source))) from None
    if damaged := _undecodable(dataset, progress):
        damaged = [text.replace(str(folder), str(source)) for text in damaged]
        more = f" (and {len(damaged) - 3} more)" if len(damaged) > 3 else ""
        raise BenchError(f"{len(damaged)} of the images cannot be used: {' '.join(damaged[:3])}{more}")
    entries = {}
    for path in _content(folder):
        entry = {"sha256": file_sha256(path), "bytes": path.stat().st_size}
        if path.suffix.lower() in EXTENSIONS:
            entry |= dict(zip(("width", "height"), image_size(path), strict=True))
        entries[path.relative_to(folder).as_posix()] = entry
    manifest = {
        "dataset": card.name,
        "made_by": f"refsr-bench {__version__}",
        "pairs": len(dataset.pairs),
        "manifest_sha256": dataset.manifest_sha256,
        "files": entries,
    }
    write_text(folder / MANIFEST, dumps(manifest))


def _read_manifest(folder: Path, problems: list[str]) -> dict[str, dict] | None:
    path = folder / MANIFEST
    if not path.is_file():
        return None
    try:
        files = json.loads(path.read_text(encoding="utf-8"))["files"]
        return {str(name): {"sha256": str(entry["sha256"])} for name, entry in files.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        problems.append(f"{path}: damaged manifest ({error}); prepare the data set again")
        return None


def _move(partial: Path, target: Path) -> Path:
    """Rename into place; a set that is there already stays, and is accepted when it has the same files."""
    if target.is_dir() and any(target.iterdir()):
        new = _digests(partial)
        old = _digests(target)
        if new != old:
            names = sorted(name for name in new.keys() | old.keys() if new.get(name) != old.get(name))
            raise BenchError(
                f"{target}: holds other files already ({some(names)}). Nothing was changed; move that folder away, or "
                "choose another --data-root."
            )
        (partial / MANIFEST).replace(target / MANIFEST)
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    partial.replace(target)
    return target


def _digests(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): file_sha256(path) for path in _content(folder)}
