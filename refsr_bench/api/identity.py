"""Identifies the code and the values behind a function or a network, so that no number is shown for what has changed.

The digest is taken from what is in memory, not from files: a notebook holds functions that no file has, and a file may
have been edited since it was imported. It covers the bytecode, defaults, closure, the globals that the code names, and
so on through everything these refer to: functions, classes, modules, arrays, weights. Installed packages count by name
and version. A text that names a file counts with the contents of that file.

What cannot be read (an open connection, a session of another runtime) makes the whole unidentified. Bytecode differs
between versions of Python, so another version measures again.
"""

from __future__ import annotations

import dis
import functools
import hashlib
import importlib
import sys
import sysconfig
import types
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import packages_distributions, version
from importlib.util import MAGIC_NUMBER
from pathlib import Path
from typing import Any

import numpy as np

from refsr_bench import __version__
from refsr_bench.core.errors import BenchError
from refsr_bench.core.files import opened
from refsr_bench.evaluation.code_identity import OWN_PACKAGES

MOST_FILE = 8 << 30  # bytes of a named file; no weights of the field are larger
MOST_PATH = 4096  # characters of a path on Linux
BEHIND = ("__wrapped__", "py_func", "_orig_mod")  # what a cache, numba and torch.compile stand before
PLAIN = (type(None), type(Ellipsis), type(NotImplemented), bool, int, float, complex, bytes)


class Unidentified(Exception):
    """Something that has no digest; the message names it."""


def digest_of(thing: Any) -> str:
    """Return the SHA-256 of a function, object or class with all that it refers to.

    Raises Unidentified, naming what has no digest.
    """
    try:
        return _Digest().of(thing)
    except RecursionError:
        raise Unidentified("something nested too deeply") from None


class _Digest:
    """One walk through what a thing refers to. seen: what was met, by its address, which has a number from then on."""

    def __init__(self) -> None:
        self.seen: dict[int, int] = {}
        self.kept: list[Any] = []  # so that no address is used twice

    def of(self, thing: Any) -> str:
        total = hashlib.sha256(MAGIC_NUMBER)  # of the bytecode
        for part in self.parts(thing):
            total.update(len(part).to_bytes(8, "little") + part)
        return total.hexdigest()

    def parts(self, thing: Any) -> Iterator[bytes]:
        """Yield the bytes that stand for a thing, with those of everything that it refers to."""
        if isinstance(thing, PLAIN):
            yield f"{type(thing).__name__} {thing!r}".encode()
            return
        if isinstance(thing, (str, Path)):
            yield f"{type(thing).__name__} {thing}".encode(errors="surrogatepass")
            yield from _file(thing)
            return
        if id(thing) in self.seen:
            yield f"seen {self.seen[id(thing)]}".encode()
            return
        self.seen[id(thing)] = len(self.seen)
        self.kept.append(thing)
        yield f"{type(thing).__module__}.{type(thing).__qualname__}".encode()
        yield from self._contents(thing)

    def _contents(self, thing: Any) -> Iterator[bytes]:
        if isinstance(thing, types.ModuleType):
            yield from self._module(thing)
        elif isinstance(thing, types.CodeType):
            yield from self._code(thing)
        elif packaged := _packaged(thing):
            yield packaged.encode()
        elif isinstance(thing, types.FunctionType):
            yield from self._function(thing)
        elif isinstance(thing, types.MethodType):
            yield from self._all((thing.__func__, thing.__self__))
        elif isinstance(thing, types.BuiltinMethodType):
            yield from self._all((thing.__name__, thing.__self__))
        elif isinstance(thing, functools.partial):
            yield from self._all((thing.func, thing.args, thing.keywords))
        elif isinstance(thing, type):
            yield from self._class(thing)
        elif isinstance(thing, np.ndarray) and not thing.dtype.hasobject:
            yield f"{thing.dtype.str} {thing.shape}".encode()
            yield np.ascontiguousarray(thing).tobytes()
        elif isinstance(thing, dict):
            yield from self._all(part for item in thing.items() for part in item)
        elif isinstance(thing, (set, frozenset)):
            yield from sorted(_Digest().of(item).encode() for item in thing)
        elif isinstance(thing, (tuple, list)):
            yield from self._all(thing)
        else:
            yield from self._object(thing)

    def _all(self, things: Iterable[Any]) -> Iterator[bytes]:
        count = 0
        for count, thing in enumerate(things, 1):  # noqa: B007
            yield from self.parts(thing)
        yield f"{count} things".encode()

    def _function(self, function: types.FunctionType) -> Iterator[bytes]:
        cells = [cell.cell_contents for cell in function.__closure__ or () if _filled(cell)]
        yield from self._all((function.__code__, function.__defaults__, function.__kwdefaults__, tuple(cells)))
        for name in sorted(_globals(function.__code__)):
            if name in function.__globals__:
                yield name.encode()
                yield from self.parts(function.__globals__[name])
        for name in sorted(_imports(function.__code__, function.__globals__.get("__package__") or "")):
            yield name.encode()
            yield from self._imported(name)
        yield from self.parts(vars(function))

    def _code(self, code: types.CodeType) -> Iterator[bytes]:
        names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
        yield code.co_code
        yield code.co_exceptiontable
        yield from self._all((*names, code.co_flags, code.co_argcount, code.co_kwonlyargcount, code.co_consts))

    def _imported(self, name: str) -> Iterator[bytes]:
        """Yield what stands for a module that a function imports when it runs."""
        try:
            module = importlib.import_module(name)
        except Exception as error:  # the function would meet the same; what it then does is in its code
            yield f"absent {type(error).__name__}".encode()
        else:
            yield from self.parts(module)

    def _module(self, module: types.ModuleType) -> Iterator[bytes]:
        yield module.__name__.encode()
        if packaged := _package(module.__name__, getattr(module, "__file__", None)):
            yield packaged.encode()
            return
        yield from self._members(module.__dict__)

    def _class(self, cls: type) -> Iterator[bytes]:
        yield cls.__qualname__.encode()
        yield from self._all(cls.__bases__)
        yield from self._members(cls.__dict__)

    def _members(self, members: Any) -> Iterator[bytes]:
        for name in sorted(members):
            value = members[name]
            if name == "_abc_impl" or (name.startswith("__") and not isinstance(value, types.FunctionType)):
                continue  # documentation, places, caches of the interpreter
            if isinstance(value, (property, classmethod, staticmethod, functools.cached_property)):
                value = _behind(value)
            if not isinstance(value, (types.GetSetDescriptorType, types.MemberDescriptorType)):
                yield name.encode()
                yield from self.parts(value)

    def _object(self, thing: Any) -> Iterator[bytes]:
        if type(thing).__module__.partition(".")[0] == "torch" and hasattr(thing, "detach"):
            yield from _tensor(thing)
            return
        yield from self.parts(type(thing))
        for name in BEHIND:
            if behind := getattr(thing, name, None):
                yield from self.parts(behind)
                return
        if hasattr(thing, "state_dict") and hasattr(thing, "forward"):  # a network: its hooks and modes included
            yield from self.parts(vars(thing))
            return
        try:
            reduced = thing.__reduce_ex__(4)
        except Exception as error:
            raise Unidentified(f"{type(thing).__qualname__} ({error})") from None
        if isinstance(reduced, str):  # a name alone says nothing about what is behind it
            raise Unidentified(f"{type(thing).__qualname__} {reduced}")
        made, arguments, state, items, pairs = (*reduced, None, None, None)[:5]
        yield from self._all((made, arguments, state, list(items or ()), list(pairs or ())))


def _filled(cell: types.CellType) -> bool:
    try:
        return cell.cell_contents is not cell
    except ValueError:  # of a name that has no value yet
        return False


def _behind(value: Any) -> Any:
    if isinstance(value, property):
        return (value.fget, value.fset, value.fdel)
    return getattr(value, "__func__", None) or value.func


def _globals(code: types.CodeType) -> set[str]:
    """Return the names of globals that a code object reads, with those of the functions inside it."""
    names = {one.argval for one in dis.get_instructions(code) if one.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    return names.union(*map(_globals, _inside(code)))


def _imports(code: types.CodeType, package: str) -> set[str]:
    """Return the modules that a code object imports, with those of the functions inside it. package: its own."""
    found: set[str] = set()
    before: list[dis.Instruction] = []
    for one in dis.get_instructions(code):
        if one.opname == "IMPORT_NAME":
            level = before[-2].argval  # the level of a relative import lies below the names on the stack
            base = package.split(".")
            base = base[: len(base) - level + 1] if level else []
            found.add(".".join([*base, *filter(None, [one.argval])]))
        before.append(one)
    return found.union(*(_imports(inner, package) for inner in _inside(code)))


def _inside(code: types.CodeType) -> list[types.CodeType]:
    return [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]


def _packaged(thing: Any) -> str:
    """Return what identifies a function or class of an installed package, of Python or of this package; else ""."""
    if not isinstance(thing, (type, types.FunctionType, types.BuiltinFunctionType, np.ufunc)) and not callable(thing):
        return ""
    if not hasattr(thing, "__qualname__") and not isinstance(thing, np.ufunc):
        return ""  # an object that can be called: its values count
    module = "numpy" if isinstance(thing, np.ufunc) else getattr(thing, "__module__", None)
    name = getattr(thing, "__qualname__", None) or thing.__name__
    if "<locals>" in name or isinstance(thing, types.MethodType) or _bound(thing):
        return ""  # made by a call, or bound to an object: arguments and object count
    if not isinstance(module, str):
        return "" if isinstance(thing, types.FunctionType) else f"Python {name}"
    found = _package(module, getattr(sys.modules.get(module), "__file__", None))
    return f"{found} {module}.{name}" if found else ""


def _bound(thing: Any) -> bool:
    """Tell whether a builtin is the method of an object, and no function of a module."""
    own = getattr(thing, "__self__", None)
    return isinstance(thing, types.BuiltinMethodType) and own is not None and not isinstance(own, types.ModuleType)


@functools.cache
def _package(module: str, file: str | None) -> str:
    """Return the name and version of the installed package of a module, of Python or this package; "" for others."""
    top = module.partition(".")[0]
    if top in OWN_PACKAGES:
        return f"refsr-bench {__version__}"
    if module == "builtins" or (top in sys.stdlib_module_names and top != "__main__"):
        return "Python"
    installed = {sysconfig.get_path(name) for name in ("purelib", "platlib")}
    if file is None or not any(Path(file).is_relative_to(folder) for folder in installed):
        return ""  # a notebook, a script, a module beside it, a package installed for editing
    names = packages_distributions().get(top, ())
    return " ".join(f"{name} {version(name)}" for name in sorted(set(names)))


def _file(named: str | Path) -> Iterator[bytes]:
    """Yield the digest of the file that a text names, if there is one."""
    text = str(named)
    if not 0 < len(text) <= MOST_PATH or "\n" in text or "\0" in text:
        return
    path = Path(text)
    try:
        if path.is_file():
            yield _digest_of_file(path)
    except OSError:
        return


def _digest_of_file(path: Path) -> bytes:
    try:
        with opened(path, MOST_FILE) as file:
            total = hashlib.sha256()
            while block := file.read(1 << 20):
                total.update(block)
            return total.digest()
    except BenchError as error:
        raise Unidentified(str(error)) from None


def _tensor(tensor: Any) -> Iterator[bytes]:
    import torch

    if tensor.is_sparse or tensor.is_quantized or tensor.is_meta:
        raise Unidentified(f"a tensor of layout {tensor.layout}")
    plain = tensor.detach().cpu().contiguous()
    yield f"{plain.dtype} {tuple(plain.shape)}".encode()
    yield plain.reshape(-1).view(torch.uint8).numpy().tobytes() if plain.numel() else b""


def name_of(function: Callable[..., Any]) -> str:
    """Return the name of a function, or that of its class for an object that can be called."""
    while isinstance(function, functools.partial):
        function = function.func
    name = getattr(function, "__name__", None) or type(function).__name__
    return "function" if name == "<lambda>" else name
