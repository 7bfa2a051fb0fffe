"""Makes a method of what people have: a name, a function, a network in memory, a card, or a file of weights."""

from __future__ import annotations

import hashlib
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, Union

import numpy as np

from refsr_bench.api import identity
from refsr_bench.core import catalogue
from refsr_bench.core.cards import LoadedMethod, MethodCard
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.names import slug
from refsr_bench.core.schema import Arithmetic, Code, Weights
from refsr_bench.core.types import Image, Prediction
from refsr_bench.evaluation.code_identity import digest_of_files
from refsr_bench.evaluation.loading import Choice, load_method
from refsr_bench.evaluation.machine import resolve_device
from refsr_bench.evaluation.run_folder import Reuse

if TYPE_CHECKING:
    from torch import Tensor, nn

log = logging.getLogger(__name__)

Function: TypeAlias = Callable[[Image, Sequence[Image], int], Image | Prediction]
"""``f(lr, refs, scale)``: LR (h, w, 3), references (H, W, 3), all uint8 RGB; returns SR (scale*h, scale*w, 3)."""
Adapter: TypeAlias = Callable[["nn.Module", "Tensor", Sequence["Tensor"]], "Tensor"]
"""``adapter(net, lr, refs)``: LR (1, 3, h, w), references (1, 3, H, W), RGB in [0, 1]; SR (1, 3, 4h, 4w) likewise."""
Method: TypeAlias = Union[str, Path, Function, "nn.Module", MethodCard]
References: TypeAlias = Literal["none", "one", "many"]


@dataclass(frozen=True)
class Own:
    """The facts about a method of somebody's own that only that person knows.

    adapter: runs a network; None calls ``net(lr)``. references: what one call uses; None for the kind's usual. depends:
    files and folders that it reads. name: of its row and folder; None for its own.
    """

    adapter: Adapter | None = None
    references: References | None = None
    depends: tuple[Path, ...] = ()
    name: str | None = None


@dataclass(frozen=True)
class Ready:
    """A method as a session takes it. made: it is ready already. reuse: "never" where its code is not identified."""

    choice: Choice
    made: tuple[tuple[MethodCard, LoadedMethod], ...] = ()
    reuse: Reuse | None = None


@contextmanager
def ready(method: Method, own: Own, choice: Choice) -> Iterator[Ready]:
    """Make a method ready for a block. choice: weights, device, matching and views that were asked for.

    A network is in evaluation mode and on the device inside the block, and as it was behind it. Raises Misuse for what
    is no method, and for options that the kind of method does not take.
    """
    network = _is_network(method)
    if not network:
        choice = replace(choice, device=resolve_device(choice.device))
    if isinstance(method, (str, Path)):
        _refuse(own, choice, "a method of the catalogue or a file of weights", adapter=True, references=True)
        yield Ready(_named(method, choice))
        return
    _refuse(own, choice, "a method of one's own", weights=True)
    if isinstance(method, MethodCard):
        _refuse(own, choice, "a card", adapter=True, references=True)
        yield _of_card(method, own, choice)
    elif network:
        _refuse(own, choice, "a network, which has its own", matching=True, dtype=True)
        with _evaluating(method, choice.device) as device:
            yield _of_network(method, own, replace(choice, device=device))
    elif callable(method):
        _refuse(own, choice, "a function", adapter=True, matching=True, dtype=True)
        yield _of_function(method, own, choice)
    else:
        raise Misuse(
            f"{type(method).__name__} is no method. Give a name, a function f(lr, refs, scale), a torch.nn.Module, a "
            "MethodCard, or a file of weights."
        )


def _refuse(own: Own, choice: Choice, kind: str, **not_for: bool) -> None:
    """Raise Misuse for an option that a kind of method does not take."""
    given = {
        "adapter": own.adapter is not None,
        "references": own.references is not None,
        "weights": bool(choice.weights),
        "matching": choice.matching is not None,
        "dtype": choice.dtype != "float32",
    }
    if wrong := [name for name in not_for if given[name]]:
        raise Misuse(f"{wrong[0]} is not for {kind}.")


def _named(method: str | Path, choice: Choice) -> Choice:
    """Choose a method of the catalogue by its name, or what a file of weights is recognised as."""
    if isinstance(method, str) and method in catalogue.collect("METHODS"):
        return replace(choice, names=(method,))
    if isinstance(method, Path) or Path(method).is_file():
        if choice.weights:
            raise Misuse(f"{method} is a file of weights itself; leave weights out.")
        return replace(choice, names=(), weights=(str(method),))  # recognised when it is loaded
    if Path(method).suffix or Path(method).name != method:
        raise Misuse(f"There is no file {method}, and no method is called so.")
    return replace(choice, names=(catalogue.get("METHODS", method).name,))


# -- cards ---------------------------------------------------------------------------------------------------------


def _of_card(card: MethodCard, own: Own, choice: Choice) -> Ready:
    """Load a card that may be in no catalogue: its code is then what ``load`` refers to."""
    loaded = load_method(card, None, choice, choice.matching)
    if catalogue.collect("METHODS").get(card.name) is card or loaded.code is not None:
        return Ready(choice, ((card, loaded),))
    code, reuse = _code(card.load, own, card.name)
    return Ready(choice, ((card, replace(loaded, code=code, origin="function")),), reuse)


# -- functions -----------------------------------------------------------------------------------------------------


def _of_function(function: Function, own: Own, choice: Choice) -> Ready:
    def predict(lr: Image, refs: Sequence[Image], scale: int) -> Prediction:
        # copies, because pictures of the inputs are saved after a function may have written into them
        made = function(lr.copy(), [ref.copy() for ref in refs], scale)
        return made if isinstance(made, Prediction) else Prediction(_checked(made, lr, scale))

    name = own.name or identity.name_of(function)
    code, reuse = _code(function, own, name)
    loaded = LoadedMethod(
        predict,
        weights=Weights("unknown", f"inside {name}", None),
        parameters=None,
        origin="function",
        code=code,
    )
    return Ready(choice, ((_card(name, own.references or "many", "A Python function."), loaded),), reuse)


def _checked(made: Any, lr: Image, scale: int) -> Image:
    """Return an SR image. Raises BenchError, with advice, for another type or shape."""
    expected = (scale * lr.shape[0], scale * lr.shape[1], 3)
    if not isinstance(made, np.ndarray):
        raise BenchError(f"the function returned {type(made).__name__}; return an array uint8 {expected}.")
    if made.dtype != np.uint8:
        advice = "" if made.dtype.kind != "f" else ": (255 * sr).round().clip(0, 255).astype('uint8') of 0 to 1"
        raise BenchError(f"the function returned {made.dtype}; return uint8{advice}.")
    if made.shape != expected:
        raise BenchError(f"the function returned the shape {made.shape} instead of {expected}.")
    return made


# -- networks ------------------------------------------------------------------------------------------------------


def _is_network(method: object) -> bool:
    torch = sys.modules.get("torch")  # whoever has a network has imported torch
    return torch is not None and isinstance(method, torch.nn.Module)


@contextmanager
def _evaluating(net: Any, device: str) -> Iterator[str]:
    """Put a network into evaluation mode and on a device for a block. device: "auto" leaves it where it is."""
    modes = {module: module.training for module in net.modules()}
    parameter = next(net.parameters(), None)
    own = "cpu" if parameter is None else str(parameter.device)
    target = own if device == "auto" else resolve_device(device)
    net.eval()
    if target != own:
        net.to(target)
    try:
        yield target
    finally:
        for module, mode in modes.items():
            module.training = mode
        if target != own:
            net.to(own)


def _of_network(net: Any, own: Own, choice: Choice) -> Ready:
    adapter = own.adapter
    name = own.name or type(net).__name__
    code, reuse = _code((net, adapter), own, name)
    loaded = LoadedMethod(
        lambda lr, refs, scale: _upscaled(net, adapter, choice.device, lr, refs, scale),
        weights=Weights("own", f"of {name} in memory", _weights_digest(net)),
        parameters=sum(parameter.numel() for parameter in net.parameters()),
        origin="function",
        code=code,
        arithmetic=Arithmetic("whole", _numbers(net)),
    )
    references = own.references or ("none" if adapter is None else "one")
    return Ready(choice, ((_card(name, references, "A network in memory."), loaded),), reuse)


def _upscaled(
    net: Any, adapter: Adapter | None, device: str, lr: Image, refs: Sequence[Image], scale: int
) -> Prediction:
    import torch

    from refsr_bench.learning.tensors import to_tensor
    from refsr_bench.pixels.colour import quantise

    low, *high = (to_tensor(image)[None].to(device) for image in (lr, *refs))
    # With TF32 a GPU would round the inputs of convolutions and give other images than a CPU.
    with torch.inference_mode(), torch.backends.cudnn.flags(allow_tf32=False):
        sr = net(low) if adapter is None else adapter(net, low, high)
    expected = (1, 3, scale * lr.shape[0], scale * lr.shape[1])
    found = tuple(sr.shape) if isinstance(sr, torch.Tensor) else type(sr).__name__
    if found != expected:
        raise BenchError(f"the network returned {found} instead of a tensor {expected}; an adapter can mend it.")
    return Prediction(quantise(sr[0].float().permute(1, 2, 0).cpu().numpy()))


def _weights_digest(net: Any) -> str:
    """Return SHA-256 over the names, types, shapes and values of a network's tensors."""
    total = hashlib.sha256()
    for name, tensor in net.state_dict().items():
        total.update(f"{name} {identity.digest_of(tensor)}\n".encode())
    return total.hexdigest()


def _numbers(net: Any) -> Any:
    kinds = {str(parameter.dtype).removeprefix("torch.") for parameter in net.parameters()}
    known = ("float64", "float32", "float16", "bfloat16")
    return next(iter(kinds)) if len(kinds) == 1 and kinds <= set(known) else "unknown"


# -- what results say ----------------------------------------------------------------------------------------------


def _card(name: str, references: References, description: str) -> MethodCard:
    def load(weights: Path | None, device: str) -> LoadedMethod:
        raise Misuse(f"{name} is no method of the catalogue and cannot be loaded by its name.")

    return MethodCard(
        name=slug(name),
        title=name,
        group="SISR" if references == "none" else "Ref-SR",
        references=references,
        gan=False,
        year=datetime.now(UTC).year,
        paper="",
        description=description,
        load=load,
    )


def _code(thing: Any, own: Own, name: str) -> tuple[Code, Reuse | None]:
    """Identify the code of a method of one's own; if that fails, its numbers are never used again, which is said."""
    try:
        digest = identity.digest_of(thing)
    except identity.Unidentified as unknown:
        log.warning(
            "%s refers to something whose contents cannot be read: %s. Every pair is measured again each time.",
            *(name, unknown),
        )
        return Code(name, "unidentified", None), "never"
    files = digest_of_files(own.depends)
    return Code(name, "", hashlib.sha256(f"{digest} {files}".encode()).hexdigest() if files else digest), None
