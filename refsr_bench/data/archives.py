"""Unpacks downloads that nobody trusts.

Names that leave the folder, links, devices, encrypted or oversized members and bombs are refused, and only images and
text lists are taken out. The limits count the bytes that really come out, not those that a header promises.
"""

from __future__ import annotations

import io
import lzma
import os
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from refsr_bench.core import files
from refsr_bench.core.errors import BenchError
from refsr_bench.pixels.images import EXTENSIONS

# The largest set of the field, CUFED's training pairs, has 23,742 files; the largest photographs have some 50 MiB.
MAX_FILES = 200_000
MAX_LIST_BYTES = 64 << 20  # of a ZIP's list of members, 335 for each
MAX_FILE_BYTES = 256 << 20
MAX_TOTAL_BYTES = 32 << 30
MAX_RATIO = 200
"""Unpacked per packed bytes of a member over 1 MiB, at most; photographs are compressed already and stay near 1."""

TEXT, PPM = ".txt", ".ppm"
HOMOGRAPHY = r"H_1_\d+|H1to\d+p?"
"""Files of HPatches and of Oxford's affine sequences that hold a 3x3 matrix and have no suffix."""

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
_BLOCK = 1 << 20  # bytes copied at once; a smaller member is not checked for being a bomb
_HIDDEN = (".", "__MACOSX")  # leftovers that systems put into archives

_DAMAGED = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,  # a compression this Python does not know
    RuntimeError,
)


class _Listing(io.BufferedReader):
    """A file whose list of members ``zipfile`` reads at once; it makes an object of each, so they are counted here."""

    def read(self, size: int | None = -1) -> bytes:
        data = b"" if (size or 0) > MAX_LIST_BYTES else super().read(size)
        if (size or 0) > MAX_LIST_BYTES or data.count(b"PK\1\2") > MAX_FILES:
            raise _too_many(self.name)
        return data


def _too_many(what: object) -> BenchError:
    return BenchError(f"{what}: more than {MAX_FILES} files; no known data set has as many.")


class Unpacker:
    """Copies images and text lists out of folders and archives into one folder, within bounds over all of them."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self.files = 0
        self.bytes = 0

    def take(self, source: Path) -> None:
        """Unpack one source.

        Raises BenchError for anything unsafe, damaged or too large, and OSError when the target cannot be written.
        """
        if source.is_dir():
            self._folder(source)
        else:
            self._archive(source, PurePosixPath())
        if not self.files:
            raise BenchError(f"{source}: holds no images.")

    def _folder(self, source: Path) -> None:
        for folder, folders, names in os.walk(source):
            folders[:] = sorted(name for name in folders if not name.startswith(_HIDDEN))
            for name in sorted(folders + names):
                path = Path(folder, name)
                below = PurePosixPath(path.relative_to(source).as_posix())
                if path.is_symlink():
                    raise BenchError(
                        f"{path}: is a link; links are not followed. Give a folder with the files themselves."
                    )
                if not path.is_file():
                    continue
                if name.lower().endswith(SUFFIXES):
                    suffix = max(filter(name.lower().endswith, SUFFIXES), key=len)
                    self._archive(path, below.parent / name[: -len(suffix)])
                elif wanted(below):
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
        except _DAMAGED as error:
            raise _damaged(source, error) from None
        lift(self.target / below, below.name)

    def _zip(self, source: Path, below: PurePosixPath) -> None:
        with _Listing(io.FileIO(source)) as file, zipfile.ZipFile(file) as archive:
            for info in archive.infolist():
                what = f"{source}: member {info.filename!r:.200}"
                name = self._safe(info.filename, what)
                kind = stat.S_IFMT(info.external_attr >> 16)  # 0: made on a system without Unix modes
                if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                    raise BenchError(f"{what} is a link or a device; only files and folders are unpacked.")
                if info.is_dir() or not wanted(name):
                    continue
                if info.flag_bits & 1:
                    raise BenchError(f"{what} is encrypted. Unpack the archive yourself and give the folder.")
                if info.file_size > _BLOCK and info.file_size > MAX_RATIO * max(1, info.compress_size):
                    raise BenchError(f"{what} grows more than {MAX_RATIO}-fold when unpacked; no photograph does.")
                with archive.open(info) as member:
                    self._write(what, below / name, member)

    def _tar(self, source: Path, below: PurePosixPath) -> None:
        packed = source.stat().st_size
        with tarfile.open(source) as archive:
            for number, info in enumerate(archive):
                if number >= MAX_FILES:  # all are kept in memory
                    raise _too_many(source)
                what = f"{source}: member {info.name!r:.200}"
                name = self._safe(info.name, what)
                if not (info.isfile() or info.isdir()):
                    raise BenchError(f"{what} is a link or a device; only files and folders are unpacked.")
                # A tar is compressed as a whole, so the offset counts what has been unpacked so far, skipped members
                # included.
                if info.offset > _BLOCK and info.offset > MAX_RATIO * packed:
                    raise BenchError(f"{source}: grows more than {MAX_RATIO}-fold when unpacked; no photographs do.")
                if info.isfile() and wanted(name):
                    with archive.extractfile(info) as file:
                        self._write(what, below / name, file)

    def _safe(self, name: str, what: str) -> PurePosixPath:
        """Return a member's path; refuse one that could land outside the folder it is unpacked into."""
        # Many tars begin with the folder itself. Links in the target are not looked for here: nothing makes any.
        if name not in (".", "./") and files.leads_out(name):
            raise BenchError(f"{what} leads out of the folder it is unpacked into; the archive is not to be trusted.")
        return PurePosixPath(name)

    def _write(self, what: str, name: PurePosixPath, file: IO[bytes]) -> None:
        self.files += 1
        if self.files > MAX_FILES:
            raise _too_many(what)
        path = self.target / name
        files.make_folder(path.parent, below=self.target)
        try:
            files.write_new(path, self._counted(what, file))
        except FileExistsError:
            raise BenchError(
                f"{what}: {name} comes twice (on this disk, names that differ in case alone are the same)."
            ) from None

    def _counted(self, what: str, file: IO[bytes]) -> Iterator[bytes]:
        """Yield the blocks of one file, as long as they stay within the bounds."""
        size = 0
        while block := file.read(_BLOCK):
            size += len(block)
            self.bytes += len(block)
            if size > MAX_FILE_BYTES:
                raise BenchError(f"{what} is larger than {MAX_FILE_BYTES >> 20} MiB, too large for an image.")
            if self.bytes > MAX_TOTAL_BYTES:
                raise BenchError(
                    f"{what}: more than {MAX_TOTAL_BYTES >> 30} GiB in all; no known data set is as large."
                )
            yield block


def wanted(name: PurePosixPath) -> bool:
    """Tell whether a file belongs to a data set: an image, a list or a matrix, and not hidden."""
    hidden = any(part.startswith(_HIDDEN) for part in name.parts)
    known = name.suffix.lower() in EXTENSIONS or name.suffix.lower() in (TEXT, PPM)
    return not hidden and (known or bool(re.fullmatch(HOMOGRAPHY, name.name)))


def lift(folder: Path, only: str | None = None) -> bool:
    """If a folder holds only one folder (called ``only``), replace that folder by its content."""
    inside = list(folder.iterdir()) if folder.is_dir() else []
    if len(inside) != 1 or not inside[0].is_dir() or only not in (None, inside[0].name):
        return False
    aside = folder.with_name(folder.name + ".lifted")
    files.move(inside[0], aside)
    folder.rmdir()
    files.move(aside, folder)
    return True


def _damaged(source: Path, error: Exception) -> BenchError:
    return BenchError(f"{source}: damaged archive ({error or type(error).__name__}). Download it again.")
