"""Archives and pickles from strangers: counted before anything is allocated, and never run.

PyTorch and NumPy write both. ``members`` lists an archive whose sizes add up; ``Machine`` reads a pickle and makes
plain values and what the caller's functions return, nothing else.
"""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

from refsr_bench.core.errors import BenchError

MOST_BYTES = 1 << 30  # of one file and of its tensors; the largest that a method here reads, VGG19's, has 548 MiB
MOST_MEMBERS = 20_000  # of an archive, one for each tensor; the deepest network here, RCAN, has 1,646 tensors
MOST_OPERATIONS = 1_000_000  # of a pickle, some 40 for each tensor; more than that is work for the reader, not weights
MOST_KEYS = 64  # of one table, where they are neither text nor ordinary numbers; trainers have a few at most
_ENTRY = b"PK\x01\x02"  # the beginning of a member's entry in the directory of an archive


class Refused(Exception):
    """Bytes that are not read. The message ends the sentence "... cannot be read: "."""


class Asked(Exception):
    """A pickle asks for code. The message is the code's name."""


def code(path: Path, asked: Asked) -> BenchError:
    """Return the error for a person when a weights file asks for code."""
    return BenchError(
        f"The weights file {path} asks for {asked} while it is read: code, which a file of weights has no need for. "
        "It was not run. Get the file from its authors again; if it is yours, save the state dict alone."
    )


# -- archives ------------------------------------------------------------------------------------------------------


def members(file: BinaryIO, most: int) -> tuple[zipfile.ZipFile, list[zipfile.ZipInfo]]:
    """Open an archive and list its members, once their number and the sum of their sizes are known to be small.

    most: the limit of that sum, in bytes. Raises Refused, zipfile.BadZipFile and whatever else zipfile raises.
    """
    # zipfile makes an object of each entry, twenty times as large, so the entries are counted in the bytes first
    if _count(file, _ENTRY, MOST_MEMBERS) > MOST_MEMBERS:
        raise Refused(f"it is an archive of more than {MOST_MEMBERS:,} members")
    archive = zipfile.ZipFile(file)
    found = archive.infolist()
    total = sum(member.file_size for member in found)
    if total > most:
        raise Refused(f"its members would take {total:,} bytes; at most {most:,} are read")
    if len({member.filename for member in found}) < len(found):
        raise Refused("two of its members have one name")
    return archive, found


def _count(file: BinaryIO, wanted: bytes, most: int) -> int:
    """Count the occurrences of some bytes in a file, block by block; the count ends when it exceeds ``most``."""
    file.seek(0)
    found, rest = 0, b""
    while found <= most and (block := file.read(1 << 20)):
        found += (rest + block).count(wanted)
        rest = block[1 - len(wanted) :]
    return found


# -- pickles -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Function:
    """A function that a pickle may call: the only kind of object that a machine calls."""

    call: Callable[..., Any]


class Source:
    """A binary file for a ``Machine``, which asks for no more bytes than are left; Python would allocate them first."""

    def __init__(self, file: BinaryIO, left: int) -> None:
        self._file, self._left = file, left

    def read(self, size: int) -> bytes:
        if not 0 <= size <= self._left:
            raise Refused("it ends too early or is not what it seems")
        data = self._file.read(size)
        self._left -= len(data)
        return data

    def readline(self) -> bytes:
        data = self._file.readline(self._left)
        self._left -= len(data)
        if not data.endswith(b"\n"):
            raise Refused("it ends too early or is not what it seems")
        return data


class _Counted(dict):
    """A table of operations that gives up when too many were looked up."""

    left = MOST_OPERATIONS

    def __getitem__(self, key: int) -> Any:
        self.left -= 1
        if self.left < 0:
            raise Refused(f"its pickle has more than {MOST_OPERATIONS:,} operations")
        return super().__getitem__(key)

    def __missing__(self, key: int) -> Any:
        raise Refused(f"its pickle holds operation {bytes([key])!r}, which weights have no need for")


OPERATIONS = """
    PROTO FRAME STOP MARK POP POP_MARK NONE NEWTRUE NEWFALSE INT BININT BININT1 BININT2 LONG LONG1 FLOAT BINFLOAT
    STRING BINSTRING SHORT_BINSTRING UNICODE BINUNICODE SHORT_BINUNICODE BINBYTES SHORT_BINBYTES BINBYTES8
    EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_LIST LIST APPEND APPENDS EMPTY_DICT DICT SETITEM SETITEMS
    GLOBAL STACK_GLOBAL INST OBJ NEWOBJ REDUCE BUILD GET BINGET LONG_BINGET PUT BINPUT LONG_BINPUT MEMOIZE
    PERSID BINPERSID
"""


class Machine(pickle._Unpickler):
    """Reads one pickle: plain values, and results of ``functions``, by (module, name). Everything else is refused.

    It is the standard library's machine in Python, because the one in C lets a few bytes reserve gigabytes for its
    memo. Python 2's strings become Latin-1 text. names: tells whether a global that is no function may be mentioned; it
    then stands as its own (module, name). Raises Asked, Refused, and whatever a damaged pickle leads to.
    """

    dispatch: ClassVar[dict] = dict(pickle._Unpickler.dispatch)

    def __init__(
        self,
        source: Source,
        functions: Mapping[tuple[str, str], Function],
        names: Callable[[str, str], bool] = lambda module, name: False,
    ) -> None:
        super().__init__(source, encoding="latin1")
        self._functions, self._names = functions, names
        self.dispatch = _Counted({key: type(self).dispatch[key] for key in _KEYS})

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in self._functions:
            return self._functions[module, name]
        if self._names(module, name):
            return module, name
        raise Asked(f"{module}.{name}")

    def load_reduce(self) -> None:
        given, function = self.stack.pop(), self.stack.pop()
        if not isinstance(function, Function) or not isinstance(given, tuple):
            raise Refused("its pickle calls what is no function")
        self.append(function.call(*given))

    dispatch[pickle.REDUCE[0]] = load_reduce

    def load_build(self) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if hasattr(type(target), "built"):
            target.built(state)
        elif not isinstance(target, dict):  # that of an OrderedDict is PyTorch's _metadata, which nobody needs
            raise Refused("its pickle changes what it has not made")

    dispatch[pickle.BUILD[0]] = load_build

    dispatch[pickle.NEWOBJ[0]] = load_reduce  # a new object of a class that is one of ``functions``

    def load_object(self) -> None:
        raise Refused("its pickle makes objects, which weights have no need for")

    for _operation in (pickle.INST, pickle.OBJ):
        dispatch[_operation[0]] = load_object

    def load_setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        put(self.stack[-1], [(key, value)])

    dispatch[pickle.SETITEM[0]] = load_setitem

    def load_setitems(self) -> None:
        items = self.pop_mark()
        put(self.stack[-1], zip(items[::2], items[1::2], strict=True))

    dispatch[pickle.SETITEMS[0]] = load_setitems

    def load_dict(self) -> None:
        items = self.pop_mark()
        self.append(put({}, zip(items[::2], items[1::2], strict=True)))

    dispatch[pickle.DICT[0]] = load_dict


_KEYS = [getattr(pickle, name)[0] for name in OPERATIONS.split()]


def put(table: Any, items: Any) -> dict:
    """Put items into a dictionary. Raises Refused for more than ``MOST_KEYS`` that are no text or ordinary numbers.

    Others can be chosen so that all have one hash, and a large table of them takes hours to fill.
    """
    if not isinstance(table, dict):
        raise Refused("its pickle changes what is no table")
    for key, value in items:
        if not _ordinary(key):
            parts = key if type(key) is tuple else (key,)
            # a tuple of tuples of tuples takes for ever to hash when each holds the next one twice
            if len(table) >= MOST_KEYS or len(parts) > MOST_KEYS or not all(map(_simple, parts)):
                raise Refused("a table in it has keys that are neither text nor ordinary numbers")
        table[key] = value
    return table


def _ordinary(key: Any) -> bool:
    return isinstance(key, str) or (isinstance(key, int) and abs(key) < 1 << 60)


def _simple(part: Any) -> bool:
    return part is None or isinstance(part, str | bytes | int | float)


def ordered(items: Any = ()) -> dict:
    """Make the table that stands for an ``OrderedDict`` or ``Counter``. items: a table, or pairs as Python 2 writes."""
    return put({}, items.items() if isinstance(items, dict) else items)


def encoded(text: str, encoding: str) -> bytes:
    """Encode Latin-1 text as bytes, which is how pickles of protocol 2 hold bytes."""
    if encoding != "latin1":
        raise Refused("an array is not as NumPy writes it")
    return text.encode("latin1")
