"""What every system with a network shares: from its card to a method that runs.

A module of ``baselines/`` describes its system once, as a ``System``; ``method_card`` makes the card of a row of the
table from it. Nothing here imports torch before weights are loaded.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from refsr_bench.core.cards import LoadedMethod, MethodCard, WeightsFile
from refsr_bench.core.errors import BenchError, NoWeights
from refsr_bench.core.schema import Arithmetic, Weights, WeightsKind
from refsr_bench.core.types import Image, Prediction

if TYPE_CHECKING:
    from torch import Tensor, nn

SCALE = 4
FORMAT = "refsr-bench weights 1"
BUNDLED = Path(__file__).parents[2] / "baselines" / "weights"

State = Mapping[str, "Tensor"]


@dataclass(frozen=True)
class System:
    """A network of the field.

    build(**options): the network, any weights; options are plain JSON values with defaults. restore(net, lr, lr_up,
    refs): lr (N, 3, h, w), lr_up (N, 3, 4h, 4w, Pillow-bicubic enlarged in 8 bits), refs: list of (N, 3, H, W), any
    sizes (one for methods that take one, none for SISR), all RGB in [0, 1], to SR (N, 3, 4h, 4w) RGB, about [0, 1], not
    clamped, with gradients; value ranges, channel order and padding are its own business.
    convert(states): what the files of a user hold, each as {key: tensor}, to (options, state dict of ``build``'s
    network), or None when they are not this system's; raises BenchError when a file of several is missing.
    start(net, vgg, extractor), optional: before training, set the frozen or pretrained parts: vgg, torchvision's
    ``features.N.weight/bias`` up to conv3_1; extractor, the state dict of a trained ``ContrastiveExtractor``.
    least: smallest side of an LR image, pixels. small: the options of the network that the fixed-budget track trains.
    """

    build: Callable[..., nn.Module]
    restore: Callable[[nn.Module, Tensor, Tensor, Sequence[Tensor]], Tensor]
    convert: Callable[[Sequence[State]], tuple[dict[str, Any], dict[str, Tensor]] | None]
    start: Callable[[nn.Module, State, State], None] | None = None
    least: int = 1
    small: Mapping[str, Any] = field(default_factory=dict)


def upscale(system: System, net: nn.Module, device: str, lr: Image, refs: Sequence[Image], scale: int) -> Image:
    """Images to tensors, ``system.restore``, and back: clamped, rounded half to even. References are cut to multiples
    of four. Raises BenchError for another scale or an image that is too small."""
    import torch

    from refsr_bench.learning.tensors import to_tensor
    from refsr_bench.pixels.colour import quantise
    from refsr_bench.pixels.crop import mod_crop
    from refsr_bench.pixels.resize import resize_pil_bicubic

    if scale != SCALE:
        raise BenchError(f"These weights are for x{SCALE}; scale {scale} was asked for.")
    height, width = lr.shape[:2]
    if min(height, width) < system.least:
        raise BenchError(
            f"The LR image has {width}x{height} pixels; this method needs at least {system.least}x{system.least}."
        )
    for ref in refs:
        if min(ref.shape[:2]) < SCALE * system.least:
            raise BenchError(
                f"A reference has {ref.shape[1]}x{ref.shape[0]} pixels; this method needs at least "
                f"{SCALE * system.least}x{SCALE * system.least}."
            )

    def tensor(image: Image) -> Tensor:
        return to_tensor(image)[None].to(device)

    inputs = tensor(lr), tensor(resize_pil_bicubic(lr, SCALE * height, SCALE * width))
    with torch.inference_mode(), torch.backends.cudnn.flags(allow_tf32=False):
        sr = system.restore(net, *inputs, [tensor(mod_crop(ref, SCALE)) for ref in refs])
    return quantise(sr[0].permute(1, 2, 0).cpu().numpy())


def predict(system: System, net: nn.Module, device: str, lr: Image, refs: Sequence[Image], scale: int) -> Prediction:
    """``upscale`` in the form of a method."""
    return Prediction(upscale(system, net, device, lr, refs, scale))


def down_up(images: Tensor) -> Tensor:
    """(N, 3, H, W) RGB in [0, 1] -> the same shape: a quarter of the size and back in 8 bits, Pillow-bicubic both ways.
    H and W are multiples of four. No gradients."""
    import torch

    from refsr_bench.learning.tensors import degrade, quantised, to_tensor

    return torch.stack([to_tensor(degrade(quantised(image))[1]) for image in images.detach()]).to(images)


def down(images: Tensor) -> Tensor:
    """(N, 3, H, W) RGB in [0, 1] -> (N, 3, H/4, W/4), Pillow-bicubic in 8 bits. No gradients."""
    import torch

    from refsr_bench.learning.tensors import degrade, quantised, to_tensor

    return torch.stack([to_tensor(degrade(quantised(image))[0]) for image in images.detach()]).to(images)


# -- weights -------------------------------------------------------------------------------------------------------


def load(
    system: System, name: str, files: Sequence[WeightsFile], weights: Path | None, device: str
) -> LoadedMethod:
    """The ``load`` of a card: weights as ``find_weights`` finds them. Raises Misuse when there are none."""
    from refsr_bench.learning.checkpoints import SYNTHETIC, sha256, synthetic

    path = weights or find_weights(name)
    if path is None:
        known = "; ".join(f"{f.file} ({f.home})" for f in files) or "none is known to be published"
        raise NoWeights(
            f"{name} comes without weights. Its authors' files: {known}. Bring them in with 'refsr-bench weights "
            f"import --method {name} FILE', train it with 'refsr-bench train {name}', or give --weights {SYNTHETIC} to "
            "see that it runs."
        )
    if path == SYNTHETIC:
        net, found = synthetic(system.build()), Weights("synthetic", "synthetic", None)
    else:
        net, metadata = read(system, name, [path])
        found = Weights(_kind(path, metadata), metadata.get("name", path.name), sha256(path))
    trained = sum(p.numel() for p in net.parameters() if p.requires_grad)
    net = net.eval().requires_grad_(False).to(device)
    return LoadedMethod(
        partial(predict, system, net, device), found, trained, arithmetic=Arithmetic("whole", "float32")
    )


def _kind(path: Path, metadata: Mapping[str, str]) -> WeightsKind:
    """Whose weights a file holds: those of this package, of a training here, or in the form of the authors' files."""
    if path.parent == BUNDLED:
        return "bundled"
    return "own" if "training" in metadata else "authors"


def find_weights(name: str) -> Path | None:
    """``NAME.safetensors`` in the folder of imported weights, else among those that come with the package."""
    from refsr_bench.learning.checkpoints import weights_folder

    places = (weights_folder() / f"{name}.safetensors", BUNDLED / f"{name}.safetensors")
    return next((path for path in places if path.is_file()), None)


def read(system: System, name: str, paths: Sequence[Path]) -> tuple[nn.Module, dict[str, str]]:
    """The network with the weights of a user's file (or of several that belong together), and the metadata of ours.

    Raises Misuse for a missing file, BenchError for a damaged one or one of another model, whose name it gives.
    """
    from refsr_bench.learning.checkpoints import check_finite, load_strict, read_metadata, read_weights

    states = [read_weights(path) for path in paths]
    for state, path in zip(states, paths, strict=True):
        check_finite(state, path)
    where = " and ".join(str(path) for path in paths)
    metadata = read_metadata(paths[0])
    if metadata.get("format") == FORMAT:
        options, state = json.loads(metadata["options"]), dict(states[0])
        if json.loads(metadata["family"]) != family(system):
            raise BenchError(f"{where} holds weights of {metadata['method']}, not of {name}.")
    else:
        converted = system.convert(states)
        if converted is None:
            raise BenchError(f"{where} does not hold weights of {name}{_better_fit(states, system)}.")
        options, state = converted
    try:
        net = system.build(**options)
    except TypeError as error:
        raise BenchError(f"{where}: this version does not know the network in its metadata ({error}).") from None
    load_strict(net, state, Path(where), name)
    return net, metadata


def import_files(system: System, method: str, files: Sequence[Path], out: Path, name: str) -> Sequence[Path]:
    """The ``importer`` of a card."""
    from refsr_bench.learning.checkpoints import sha256

    net, _ = read(system, method, files)
    sources = {file.name: sha256(file) for file in files}
    write(out, net, system, method, {"name": name, "sources": json.dumps(sources)})
    return files


def family(system: System) -> str:
    """What the variants of one network share (``srntt`` and ``srntt-rec``): the function that builds it."""
    return f"{system.build.__module__}.{system.build.__qualname__}"


def _better_fit(states: Sequence[State], asked: System) -> str:
    """Whose weights they are instead, as the end of a sentence; empty when nobody knows them."""
    from refsr_bench.core import catalogue

    found = []
    for card in catalogue.collect("METHODS").values():
        system = card.system
        try:
            if system is not None and family(system) != family(asked) and system.convert(states) is not None:
                found.append(card.name)
        except BenchError:  # its file, with another missing
            found.append(card.name)
    return f"; they fit {' or '.join(found)}" if found else ": no method of the catalogue knows its tensors"


def write(path: Path, net: nn.Module, system: System, method: str, metadata: Mapping[str, str]) -> None:
    """One ``.safetensors`` file with everything ``read`` needs. net.options: what ``build`` was given."""
    from refsr_bench.learning.checkpoints import write_safetensors

    known = {
        "format": FORMAT,
        "method": method,
        "family": json.dumps(family(system)),
        "options": json.dumps(net.options),
    }
    write_safetensors(path, net.state_dict(), known | dict(metadata))


def method_card(system: System, *, files: Sequence[WeightsFile] = (), **facts: Any) -> MethodCard:
    """The card of one row: ``System`` and the facts that ``MethodCard`` wants."""
    name = facts["name"]
    return MethodCard(
        load=partial(load, system, name, tuple(files)),
        importer=partial(import_files, system, name),
        files=tuple(files),
        system=system,
        **facts,
    )
