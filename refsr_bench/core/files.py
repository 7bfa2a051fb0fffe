"""All access to files: bounded reads of regular files, whole writes, locks, safe paths. ``journals`` appends.

Nothing here follows a link when it writes, waits for a FIFO or device when it reads, or leaves half a file behind.
Failures become a ``BenchError`` that names the file, except in ``writing``, whose block may raise anything.
"""

from __future__ import annotations

import errno
import os
import platform
import re
import stat
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # Windows, which cannot rename a file that is open either
    fcntl = None  # type: ignore[assignment]

from refsr_bench.core.errors import BenchError, Busy
from refsr_bench.core.terminal import one_line

MOST_BYTES = 20 << 20  # one of our text files; a run file of tens of thousands of images takes a fifth of it
MOST_HOLDER = 500  # characters that describe the holder of a lock; a longer command is cut
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
OWN_FILE = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
_NO_WAIT = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_NO_FOLDER_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EBADF)  # the answers of network shares and FUSE
_NO_LOCK = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EINVAL)  # the same, asked for a lock

# characters of names that some system reads otherwise, and bytes that are no UTF-8
_ODD = re.compile('[\x00-\x1f\x7f\\\\:*?"<>|\ud800-\udfff]')

MOST_NAME = 1000  # characters of a path from a file's contents; systems stop at 4096 bytes, folder included

# -- reading -------------------------------------------------------------------------------------------------------


def read_bytes(path: Path, most: int = MOST_BYTES) -> bytes:
    """Return the contents of a regular file of at most ``most`` bytes; a link to one is followed.

    Raises BenchError naming the file for anything else: absent, a folder, a FIFO, a device, too large.
    """
    try:
        with opened(path, most) as file:
            size = os.fstat(file.fileno()).st_size
            data = file.read(size + 1)  # Python allocates as much as is asked for
            if len(data) > size:  # it grew in the meantime, or belongs to a file system that does not tell sizes
                data += file.read(most + 1 - len(data))
    except OSError as error:
        raise BenchError(f"{path}: cannot be read ({error.strerror}).") from None
    if len(data) > most:
        raise _too_large(path, len(data), most)
    return data


def opened(path: Path, most: int | None = None) -> BinaryIO:
    """Open a regular file of at most ``most`` bytes for reading; a link to one is followed.

    Raises OSError when it cannot be opened or is a folder, BenchError naming it for a FIFO, a device or a larger file.
    """
    # without O_NONBLOCK, opening a FIFO would wait for a writer for ever
    handle = os.open(path, _NO_WAIT)
    try:
        about = os.fstat(handle)
        if stat.S_ISDIR(about.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
        if not stat.S_ISREG(about.st_mode):
            raise BenchError(f"{path}: not a regular file.")
        if most is not None and about.st_size > most:
            raise _too_large(path, about.st_size, most)
        return open(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def _too_large(path: Path, size: int, most: int) -> BenchError:
    return BenchError(f"{path}: {size / 2**20:.1f} MiB; at most {most / 2**20:.0f} MiB are read.")


def read_text(path: Path, most: int = MOST_BYTES) -> str:
    """Return the contents of a regular UTF-8 file, without a byte order mark. Raises BenchError like ``read_bytes``."""
    data = read_bytes(path, most)
    if data.startswith(b"\xef\xbb\xbf"):
        raise BenchError(f"{path}: begins with a byte order mark; save it as UTF-8 without one.")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BenchError(f"{path}: not UTF-8 (byte {error.start}).") from None


# -- writing -------------------------------------------------------------------------------------------------------


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """Give the block a new empty file beside ``path`` to fill, which replaces ``path`` when the block succeeds.

    A reader sees the old file or the whole new one, never half; a link at ``path`` is replaced, not followed. The data
    and the name are on the disk before the block returns. Writers of the same file wait for each other. Raises OSError,
    and whatever the block raises; the old file then stays as it was.
    """
    partial, handle = _claimed(path)
    try:
        yield partial
        synchronise(partial)
        os.replace(partial, path)
    except BaseException:
        with suppress(OSError):
            partial.unlink()
        raise
    finally:
        if handle is not None:
            fcntl.flock(handle, fcntl.LOCK_UN)  # closing alone would leave it to a child that was forked meanwhile
            os.close(handle)
    synchronise(path.parent)


def _claimed(path: Path) -> tuple[Path, int | None]:
    """Return an empty file beside ``path`` that no other writer has, and the handle whose lock keeps it so.

    Every writer of ``path`` takes the same name, so what a killed one left is written over, not left for ever. Systems
    and disks without such locks give no handle, and names that differ by process.
    """
    partial = path.with_name(f".{path.name}.partial")
    while fcntl is not None:
        with suppress(FileNotFoundError):
            there = os.lstat(partial)
            if not stat.S_ISREG(there.st_mode) or there.st_nlink > 1:
                partial.unlink()  # no writer's: a link that leads to some other file
        handle = os.open(partial, OWN_FILE, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError as error:
            os.close(handle)
            partial.unlink(missing_ok=True)
            if error.errno not in _NO_LOCK:
                raise
            break
        ours = os.fstat(handle)
        # Another writer may have moved the file into place while this one waited for it.
        with suppress(FileNotFoundError):
            if os.path.samestat(ours, os.lstat(partial)) and ours.st_nlink == 1:
                os.ftruncate(handle, 0)
                return partial, handle
        os.close(handle)
    partial = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.partial")
    with suppress(FileNotFoundError):
        partial.unlink()  # left by a killed process that had our process number
    os.close(os.open(partial, _NEW_FILE, 0o666))
    return partial, None


@contextmanager
def saving(path: Path) -> Iterator[Path]:
    """``writing`` for a block that only writes. Raises BenchError when the disk refuses."""
    try:
        with writing(path) as partial:
            yield partial
    except OSError as error:
        raise cannot_write(path, error) from None


def write_bytes(path: Path, data: bytes) -> None:
    """Write a whole file or nothing, see ``writing``. Raises BenchError when the disk refuses."""
    with saving(path) as partial, partial.open("wb") as file:
        file.write(data)


def write_text(path: Path, text: str) -> None:
    """Write a whole UTF-8 file or nothing; line ends stay as they are.

    Raises BenchError when the disk refuses, and for text that UTF-8 cannot hold: the bytes of a file's name that are no
    UTF-8 reach Python as half characters.
    """
    try:
        data = text.encode("utf-8")
    except UnicodeEncodeError as error:
        around = ascii(text[max(0, error.start - 40) : error.end + 40])
        raise BenchError(
            f"{path}: cannot hold {around}, which is no UTF-8. Give the file, folder or option a name in UTF-8."
        ) from None
    write_bytes(path, data)


def write_new(path: Path, blocks: Iterable[bytes]) -> int:
    """Write a new file block by block, without flushing it to the disk; return the number of its bytes.

    Use it for the files of a folder that is checked and moved into place as a whole: flushing each of twenty thousand
    files takes minutes, and a half-written one is lost with its folder. Raises FileExistsError, OSError, and whatever
    ``blocks`` raises.
    """
    size = 0
    with open(os.open(path, _NEW_FILE, 0o666), "wb") as file:
        for block in blocks:
            size += file.write(block)
    return size


def make_folder(path: Path, below: Path | None = None) -> Path:
    """Make a folder and its parents; return it. Raises BenchError when it cannot be made.

    below: a folder above it that must exist; none between the two may be a link, which could lead anywhere. Work under
    way gives it, because a folder that vanishes, with a network share or by somebody's hand, must not come back with a
    part of its files, perhaps on another disk.
    """
    try:
        if below is None:
            path.mkdir(parents=True, exist_ok=True)
        else:
            for level in reversed([path, *path.parents][: len(path.relative_to(below).parts)]):
                if level.is_symlink():
                    raise BenchError(f"{level} is a link, and nothing is written through one. Remove it.")
                level.mkdir(exist_ok=True)
    except OSError as error:
        raise BenchError(f"The folder {path} cannot be made: {error.strerror or error}.") from None
    return path


def move(source: Path, target: Path) -> None:
    """Rename a file or folder within one disk, and synchronise both parent folders.

    Raises BenchError, never OSError.
    """
    try:
        os.rename(source, target)
        synchronise(target.parent)
    except OSError as error:
        raise cannot_write(target, error) from None


def share(existing: Path, path: Path) -> None:
    """Replace ``path`` by a hard link to an existing file with the same contents, if the disk supports that.

    On another disk, or one without links, ``path`` stays as it is, and there are two copies.
    """
    link = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with suppress(OSError):
        os.link(existing, link)
        try:
            os.replace(link, path)
        finally:
            link.unlink(missing_ok=True)


def cannot_write(path: Path, error: OSError) -> BenchError:
    """Return the error for a person when the disk refused to write ``path``."""
    reason = error.strerror or error
    return BenchError(f"{path}: cannot be written ({reason}). Choose another folder or make room.")


def synchronise(path: Path) -> None:
    """Flush a file's data, or a folder's names, to the disk."""
    if path.is_dir() and os.name != "posix":
        return  # Windows has no folder handle to flush
    # Windows flushes through a handle that may write, and nobody opens a folder so.
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    except OSError as error:
        if not (path.is_dir() and error.errno in _NO_FOLDER_SYNC):
            raise
    finally:
        os.close(handle)


# -- paths that come from a file's contents ------------------------------------------------------------------------


def inside(folder: Path, name: str) -> Path:
    """Return ``folder / name`` for a relative name with forward slashes that somebody else wrote.

    Raises BenchError for a name that leads out of the folder, by itself or through a link, or that some system reads
    otherwise (an absolute name, ``..``, a backslash, a drive, a control character, bytes that are no UTF-8).
    """
    if leads_out(name):
        raise BenchError(f"{name[:200]!r} is no path inside {folder}.")
    path = folder.joinpath(*PurePosixPath(name).parts)
    try:
        within = path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # Python before 3.13 raises the latter for links in a circle
        raise BenchError(f"{path}: its links lead in a circle.") from None
    if not within:
        raise BenchError(f"{path} leads out of {folder} through a link.")
    return path


def leads_out(name: str) -> bool:
    """Tell whether a name is no relative path with forward slashes, on any system, or leads out of its folder.

    It looks at the name alone. Links, which only the disk knows, are left to ``inside``.
    """
    parts = set(name.split("/"))
    long = len(name) > MOST_NAME or any(len(part.encode(errors="replace")) > 255 for part in parts)
    return long or parts <= {"", "."} or name.startswith("/") or ".." in parts or bool(_ODD.search(name))


# -- locks ---------------------------------------------------------------------------------------------------------


@contextmanager
def locked(
    folder: Path, work: str, else_do: str = "choose another folder with --out", wait: bool = False
) -> Iterator[None]:
    """Hold the folder's lock for the block; the system frees it when the process ends, however it ends.

    work: the name that messages give to the holder ("Another run"). else_do: what a person can do instead of waiting.
    wait: for another process that holds it. Raises Busy, which tells the holder's process, start and command, when
    another process holds it otherwise.
    """
    from filelock import FileLock, Timeout

    lock, holder = FileLock(folder / ".lock", timeout=-1 if wait else 0), folder / ".lock.holder"
    try:
        lock.acquire()
    except Timeout:
        who = _who(holder)
        raise Busy(f"{work} is writing to {folder}{who}. Wait for it, or {else_do}.") from None
    except OSError as error:
        raise cannot_write(folder / ".lock", error) from None
    try:
        with suppress(BenchError):  # a full disk: the lock counts, the name of its holder is a courtesy
            write_text(holder, _this_process())
        yield
    finally:
        with suppress(OSError):
            holder.unlink()
        lock.release()


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold the lock of a file for the block. Raises OSError, also when the file's folder vanished.

    FileLock would make that anew.
    """
    from filelock import FileLock

    if fcntl is None:
        with FileLock(path):
            yield
        return
    handle = os.open(path, OWN_FILE, 0o666)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
    except OSError as error:
        os.close(handle)
        if error.errno not in _NO_LOCK:
            raise
        with FileLock(path):  # which knows another way
            yield
        return
    try:
        yield
    finally:
        fcntl.flock(handle, fcntl.LOCK_UN)  # closing alone would leave it to a child that was forked meanwhile
        os.close(handle)


def _this_process() -> str:
    """Describe this process for whoever finds its lock: number, machine, start of the lock, command."""
    program, *words = sys.argv or [""]
    name = Path(program).name
    command = " ".join(["refsr-bench" if name == "__main__.py" else name, *words])
    since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
    return f"process {os.getpid()} on {platform.node()}, since {since}, {command}"[:MOST_HOLDER]


def _who(holder: Path) -> str:
    """Return ``: `` and the holder's words about itself; nothing when they cannot be read."""
    try:
        text = read_text(holder, 4 * MOST_HOLDER)  # a character takes at most four bytes
    except BenchError:
        return ""
    # the folder may be a stranger's, and control characters would steer the terminal
    return f": {one_line(text)}"


@contextmanager
def standing(folder: Path) -> Iterator[None]:
    """Raise BenchError after the block when the folder vanished during it, or another stands in its place."""
    try:
        before = os.stat(folder)
    except OSError as error:
        raise cannot_write(folder, error) from None
    yield
    with suppress(OSError):
        if os.path.samestat(before, os.stat(folder)):
            return
    raise BenchError(f"{folder} vanished while it was written to. Bring it back, then give the same command again.")
