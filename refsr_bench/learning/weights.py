"""The weights of a network: the one format that is written, and the reader of it, of older formats and foreign files.

A file of ours is ``.safetensors``. It holds the state dict of a whole network, or of one part of it, and these strings
as metadata:

    format     always ``FORMAT``
    method     the card's name
    family     the network's, see ``family`` (JSON)
    options    of ``System.build`` (JSON)
    part       the part's name, absent for a whole network
    name       the name by which results call the weights
    sources    SHA-256 of the files that the weights were imported from (JSON)
    training   the training that made them (JSON)
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from refsr_bench.core import catalogue
from refsr_bench.core.cards import MethodCard, WeightsFile
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.files import make_folder, read_text, write_bytes
from refsr_bench.core.reader import parse_json
from refsr_bench.core.schema import Weights, WeightsKind
from refsr_bench.formats.checkpoints import (
    check_finite,
    check_fit,
    load_strict,
    read_metadata,
    read_weights,
    sha256,
    shown,
    synthetic,
)
from refsr_bench.formats.keys import readings, without_prefix
from refsr_bench.learning.system import Converted, State, System
from refsr_bench.registry.known import shared
from refsr_bench.registry.places import folder, located, weights_file

if TYPE_CHECKING:
    from torch import Tensor, nn

FORMAT = "refsr-bench weights 1"
DIGESTS = "digests.json"  # beside the files that come with the package
SYNTHETIC = Path("synthetic")  # stands for weights made by formula, which show that a method runs
# Errors that reading sizes off a foreign file may raise: a key is missing, a tensor has another shape.
ILL_FITTING = (LookupError, TypeError, ValueError, RuntimeError, ArithmeticError, AttributeError, AssertionError)


class Incomplete(BenchError):
    """One of several files that belong together was not given.

    file: a pattern of its name. what: its contents, in words. known: its name in the registry, or empty.
    """

    def __init__(self, message: str, file: str, what: str, known: str = "") -> None:
        super().__init__(message)
        self.file, self.what, self.known = file, what, known


# -- where weights lie ---------------------------------------------------------------------------------------------


def find(name: str, bundled: Path | None = None, files: Sequence[WeightsFile] = ()) -> Path | None:
    """Find the weights of a method in ``registry.places.folder()``, else ``bundled``; None when there are none.

    files: those that its authors publish. An imported file, ``NAME.safetensors``, comes before one of theirs as it is.
    Raises BenchError for one with another digest than they state.
    """
    imported = folder() / f"{name}.safetensors"
    if imported.is_file():
        return imported
    theirs = (located(file, folder()) for file in files if not (file.companion or shared(file)))
    return next((path for path in theirs if path), bundled)


def state_of(card: MethodCard) -> str:
    """Say which weights a method would run with: "needs none", "imported", "the authors'", "bundled" or "none"."""
    if card.system is None:
        return "needs none"
    try:
        path = find(card.name, card.bundled, card.files)
    except BenchError:
        return "damaged"
    if path is None or path == card.bundled:
        return "bundled" if path else "none"
    return "imported" if path.stem == card.name and path.suffix == ".safetensors" else "the authors'"


def whole(card: MethodCard, path: Path) -> str:
    """Read a file of a method's weights to its end and return its SHA-256.

    Raises BenchError when it is damaged, or is not the file that comes with the package.
    """
    digest = sha256(path)
    if path == card.bundled:
        wanted = parse_json(read_text(path.parent / DIGESTS), str(path.parent / DIGESTS))[path.name]
        if digest != wanted:
            raise BenchError(f"{path} is damaged: its SHA-256 begins with {digest[:12]}, not with {wanted[:12]}.")
    check_finite(read_weights(path), path)
    return digest


# -- reading -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Read:
    """The contents of weights files.

    net: the network with the weights. metadata: those of a file of ours, else empty. files: all files that were read,
    including those found beside the given ones.
    """

    net: nn.Module
    metadata: Mapping[str, str]
    files: tuple[Path, ...]


def opened(system: System, name: str, path: Path, bundled: Path | None) -> tuple[nn.Module, Weights]:
    """Return the network of one file, or one with ``SYNTHETIC`` weights, and the weights as results record them."""
    if path == SYNTHETIC:
        return synthetic(system.build()), Weights("synthetic", "synthetic", None)
    found = read(system, name, [path])
    label = found.metadata.get("name", path.name)
    kind: WeightsKind = "own" if "training" in found.metadata else "authors"
    if bundled is not None and path.resolve() == bundled.resolve():
        kind, label = "bundled", f"bundled {path.stem}"
    return found.net, Weights(kind, label, sha256(*found.files))


def read(system: System, name: str, paths: Sequence[Path]) -> Read:
    """Read a network from a user's file, or from several that belong together.

    name: the method's, for errors. Raises Misuse for a missing file, BenchError for a damaged one or one of another
    model, which it names.
    """
    files, states = list(paths), [_finite(path) for path in paths]
    metadata = read_metadata(paths[0])
    written = metadata.get("format", "")
    if written == FORMAT:
        options, state = _own(system, name, metadata, states[0], paths[0])
    elif written in system.older:
        options, state = _older(system, metadata, states[0], paths[0])
    else:
        options, state = _converted(system, name, files, states)
    where = _together(files)
    return Read(_network(system, options, state, where, name), metadata, tuple(files))


def _network(system: System, options: Mapping[str, Any], state: State, where: str, name: str) -> nn.Module:
    """Build the network of these options with these weights.

    The options may come from a stranger's file and ask for any size. So the network is first built without memory and
    compared with the tensors, then built for real.
    """
    import torch

    # an empty tensor may have sides of any length
    most = max((len(state), *(side for value in state.values() if value.numel() for side in value.shape)))
    try:
        if any(size > most for size in _whole_numbers(options)):
            raise ValueError("sizes larger than anything in the file")
        with torch.device("meta"), at_most(2 * len(state)):
            check_fit(system.build(**options), state, where, name)
        net = system.network(**options)
    except ILL_FITTING as error:
        raise BenchError(f"{where}: this version does not know the network in its metadata ({error}).") from None
    load_strict(net, state, where, name)
    return net


@contextmanager
def at_most(parameters: int) -> Iterator[None]:
    """Raise ValueError when networks built in the block have more parameters than that.

    Options from a stranger's file may ask for millions of layers, which take minutes even without memory.
    """
    from torch.nn.modules.module import register_module_parameter_registration_hook

    left = parameters

    def count(module: nn.Module, name: str, parameter: Any) -> None:
        nonlocal left
        left -= parameter is not None
        if left < 0:
            raise ValueError("more layers than the file has tensors")

    hook = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        hook.remove()


def _whole_numbers(options: Any) -> Iterator[int]:
    values = options.values() if isinstance(options, Mapping) else options if isinstance(options, list) else [options]
    for value in values:
        if isinstance(value, Mapping | list):
            yield from _whole_numbers(value)
        elif isinstance(value, int):
            yield value


def _finite(path: Path) -> dict[str, Tensor]:
    state = read_weights(path)
    check_finite(state, path)
    return state


def _own(system: System, name: str, metadata: Mapping[str, str], state: State, path: Path) -> Converted:
    try:
        owner, options = (parse_json(metadata[key], key) for key in ("family", "options"))
    except (KeyError, BenchError) as error:
        raise BenchError(f"{path}: its metadata are incomplete or damaged ({error}).") from None
    if owner != family(system):
        raise BenchError(f"{path} holds weights of {metadata.get('method', owner)}, not of {name}.")
    if part := metadata.get("part"):
        raise BenchError(f"{path} holds the {part} of {name} alone, not the whole network: it is for training.")
    return options, dict(state)


def _older(system: System, metadata: Mapping[str, str], state: State, path: Path) -> Converted:
    try:
        return system.older[metadata["format"]](metadata, state)
    except ILL_FITTING as error:
        raise BenchError(f"{path}: this version does not know the network in its metadata ({error}).") from None
    except BenchError as error:
        raise BenchError(f"{path} {error}") from None


def _converted(system: System, name: str, files: list[Path], states: list[State]) -> Converted:
    """Convert foreign files. Missing companions are looked for beside the first file and appended to both lists."""
    while True:
        try:
            converted = _fit(system, states)
        except Incomplete as missing:
            if given := next((path for path in files if path.match(missing.file)), None):
                raise BenchError(f"{given} does not hold {missing.what}.") from None
            files.append(_companion(missing, files[0].parent))
            states.append(_finite(files[-1]))
            continue
        if converted is None:
            raise BenchError(f"{_together(files)} does not hold weights of {name}{_better_fit(states, system)}.")
        return converted


def _together(files: Sequence[Path]) -> str:
    """Name several files, as the subject of a sentence."""
    return str(files[0]) + (f" (with {', '.join(file.name for file in files[1:])})" if files[1:] else "")


def _companion(missing: Incomplete, beside: Path) -> Path:
    """Find the missing file beside the others, else where the registry's files lie."""
    if found := sorted(beside.glob(missing.file)):
        return found[0]
    if not missing.known:
        raise Misuse(f"{missing} It is not in {beside} either.")
    try:
        return weights_file(missing.known)
    except BenchError as error:
        raise BenchError(f"{missing} {error}") from None


def _fit(system: System, states: Sequence[State]) -> Converted | None:
    """Convert foreign files, of which the first may be a trainer's that holds its network under a prefix."""
    first, *others = states
    for reading in readings(first):
        try:
            if (converted := system.convert([reading, *others])) is not None:
                return converted
        except ILL_FITTING:
            continue
    return None


def family(system: System) -> str:
    """Return the name that the variants of a network share (``srntt``, ``srntt-rec``).

    It is the qualified name of the function that builds the network.
    """
    return f"{system.build.__module__}.{system.build.__qualname__}"


def _better_fit(states: Sequence[State], asked: System) -> str:
    """Say which methods the weights fit instead, as the end of a sentence."""
    found = [card.name for card in fitting(states) if family(card.system) != family(asked)]
    return f"; they fit {' or '.join(found)}" if found else ": no method of the catalogue knows its tensors"


def fitting(states: Sequence[State]) -> list[MethodCard]:
    """Return the methods whose network the tensors of foreign files fit."""
    found = []
    for card in catalogue.collect("METHODS").values():
        try:
            if card.system is not None and _fit(card.system, states) is not None:
                found.append(card)
        except BenchError:  # the file is this method's, but a companion is missing
            found.append(card)
    return found


def owner(path: Path) -> MethodCard:
    """Return the method that a weights file belongs to. Raises BenchError when no method knows its tensors."""
    metadata = read_metadata(path)
    known = catalogue.collect("METHODS")
    if "method" in metadata:
        card = known.get(metadata["method"])
        if card is None or card.system is None:
            raise BenchError(f"{path}: {shown(metadata['method'])}, which it was made for, is no method with weights.")
        return card
    cards = known.values()
    older = [card for card in cards if card.system and metadata.get("format") in card.system.older]
    for card in older or fitting([read_weights(path)]):
        return card
    raise BenchError(f"{path}: no method of the catalogue knows its tensors.")


def read_part(module: nn.Module, part: str, path: Path, what: str) -> None:
    """Load one ``part`` ("extractor", "restoration") of a file of ours into a module, or a whole file of the authors'.

    what: the module, in an error's words. Raises BenchError when the tensors do not fit.
    """
    state = read_weights(path)
    load_strict(module, without_prefix(state, f"{part}.") or state, path, what)


def left_out(card: MethodCard, path: Path) -> list[str]:
    """Name the tensors of a file that the method does not take. A file of ours has none, or it is not read at all.

    Files of authors hold constants that we compute, and may hold anything else.
    """
    metadata = read_metadata(path)
    if metadata.get("format") == FORMAT:
        return []
    state, *others = (read_weights(file) for file in read(card.system, card.name, [path]).files)
    older = card.system.older.get(metadata.get("format", ""))

    def result(kept: State) -> Converted | None:
        try:
            return older(metadata, kept) if older else _fit(card.system, [kept, *others])
        except (*ILL_FITTING, BenchError):
            return None

    def needless(keys: list[str]) -> list[str]:
        """Find the keys without which the result is the same, by halves: most files need all or none of them."""
        now = result({key: value for key, value in state.items() if key not in keys})
        if keys and now is not None and now[0] == options and now[1].keys() == converted.keys():
            return keys
        half = len(keys) // 2
        return needless(keys[:half]) + needless(keys[half:]) if half else []

    options, converted = result(state) or ({}, {})
    used = {value.data_ptr() for value in converted.values()}
    return needless([key for key, value in state.items() if value.data_ptr() not in used])


# -- writing -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trained:
    """Weights to be written. state: of the whole network, or of one ``part``; options: the arguments of ``build``."""

    state: State
    options: Mapping[str, Any] = field(default_factory=dict)
    part: str = ""


def write(path: Path, trained: Trained, system: System, method: str, about: Mapping[str, str]) -> None:
    """Write one file with all that ``read`` needs. about: further metadata. Raises BenchError when the disk refuses."""
    known = {
        "format": FORMAT,
        "method": method,
        "family": json.dumps(family(system)),
        "options": json.dumps(dict(trained.options)),
    }
    write_safetensors(path, trained.state, known | ({"part": trained.part} if trained.part else {}) | dict(about))


def write_safetensors(path: Path, state: State, metadata: Mapping[str, str]) -> None:
    """Write tensors and metadata: the whole file or nothing, and the same bytes every time.

    Raises BenchError when the disk refuses, or the folder is not there: that of a training may have vanished.
    """
    import safetensors.torch

    tensors = {key: value.contiguous() for key, value in state.items()}
    write_bytes(path, _in_order(safetensors.torch.save(tensors, dict(metadata))))


def _in_order(data: bytes) -> bytes:
    """Sort the metadata in a safetensors header, because the library writes them in another order every time.

    The offsets in the header count from its end, so its length may change; the tensors stay aligned to 8 bytes.
    """
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    if "__metadata__" in header:
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    ordered = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    ordered = ordered.ljust(-(-len(ordered) // 8) * 8)
    return len(ordered).to_bytes(8, "little") + ordered + data[end:]


def pack(source: Path, out: Path, name: str) -> None:
    """Rewrite a file of ours as float16, half the size; it is read as float32. name: the name that results give it."""
    state = {key: value.half() if value.is_floating_point() else value for key, value in read_weights(source).items()}
    for key, value in state.items():
        if value.is_floating_point() and not value.isfinite().all():
            raise BenchError(f"{source}: {key} holds values beyond 65504, float16's largest. Share the file as it is.")
    make_folder(out.parent)
    write_safetensors(out, state, read_metadata(source) | {"name": name})


def import_files(card: MethodCard, files: Sequence[Path], out: Path, name: str) -> Sequence[Path]:
    """Turn the files of a method's authors into one of ours, which results call ``name``. Returns all files used."""
    found = read(card.system, card.name, files)
    sources = {file.name: sha256(file) for file in found.files}
    trained = Trained(found.net.state_dict(), found.net.options)
    make_folder(out.parent)
    write(out, trained, card.system, card.name, {"name": name, "sources": json.dumps(sources)})
    return found.files
