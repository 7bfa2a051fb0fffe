"""Files of weights: our one ``.safetensors`` file with everything, and the authors' three ``.pth`` files.

A bundle holds ``restoration.*``, ``extractor.*`` and, unless they are the extractor's own, ``vgg.*`` (reference
features). Its metadata are strings: ``format``, ``name``, ``network`` (the RestorationConfig as JSON), ``sources``
(SHA-256 of the files it was made from, JSON) and ``training`` (how it came to be, JSON).
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from refsr_bench.core.errors import BenchError, Misuse

if TYPE_CHECKING:
    from torch import Tensor

    from c2matching.nets.model import C2Matching
    from c2matching.nets.restoration import RestorationConfig

WEIGHTS = Path(__file__).parent / "weights"
BUNDLED = WEIGHTS / "c2matching-nano-v2.safetensors"
HOME = "https://github.com/yumingj/C2-Matching"
VGG19_URL = "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth"  # torchvision's ImageNet weights
FORMAT = "refsr-bench c2matching 1"
PARTS = ("restoration", "extractor", "vgg")


def write_bundle(
    path: Path,
    parts: Mapping[str, Mapping[str, Tensor]],
    network: RestorationConfig | None,
    metadata: Mapping[str, str] | None = None,
    half: bool = False,
) -> None:
    """Write state dicts by part to one file, whole or not at all. half: as float16, which halves the file."""
    from refsr_bench.learning.checkpoints import write_safetensors

    state = {f"{part}.{key}": value for part, tensors in parts.items() for key, value in tensors.items()}
    if half:
        state = {key: value.half() for key, value in state.items()}
    known = {"format": FORMAT} | ({"network": json.dumps(dataclasses.asdict(network))} if network else {})
    write_safetensors(path, state, {**known, **(metadata or {})})


def network_of(metadata: Mapping[str, str], restoration: Mapping[str, Tensor], path: Path) -> RestorationConfig:
    """From the metadata, or read off the shapes of the weights. Raises BenchError when the file does not say."""
    from c2matching.nets.restoration import RestorationConfig

    if "network" not in metadata:
        try:
            return config_of(restoration)
        except (KeyError, TypeError):
            raise BenchError(f"{path} does not hold the weights of a C2-Matching restoration network.") from None
    try:
        fields = json.loads(metadata["network"])
        return RestorationConfig(**fields | {"blocks": tuple(fields["blocks"])})
    except (ValueError, TypeError, KeyError) as error:
        raise BenchError(f"{path}: this version does not know the network in its metadata ({error}).") from None


def config_of(state: Mapping[str, Tensor]) -> RestorationConfig:
    """Read the sizes of a restoration network off its state dict. Raises KeyError when it is none."""
    from c2matching.nets.restoration import RestorationConfig

    def count(body: str) -> int:
        return len({m[1] for key in state if (m := re.match(rf"{re.escape(body)}\.(\d+)\.", key))})

    bodies = ("content_extractor.body", *(f"dyn_agg_restore.body_{s}" for s in ("small", "medium", "large")))
    return RestorationConfig(
        channels=len(state["content_extractor.conv_first.weight"]),
        blocks=tuple(count(body) for body in bodies),  # type: ignore[arg-type]
        groups=len(state["dyn_agg_restore.large_dyn_agg.conv_offset_mask.bias"]) // 27,
        small_reference="dyn_agg_restore.small_dyn_agg.weight" in state,
    )


def parts_of(state: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """State dicts by part, of those in ``PARTS`` that a bundle holds."""
    found: dict[str, dict[str, Tensor]] = {}
    for key, value in state.items():
        part, _, name = key.partition(".")
        if part in PARTS:
            found.setdefault(part, {})[name] = value
    return found


def _build(restoration: Mapping[str, Tensor], path: Path, metadata: Mapping[str, str]) -> C2Matching:
    from c2matching.nets.model import C2Matching
    from refsr_bench.learning.checkpoints import load_strict

    model = C2Matching(network_of(metadata, restoration, path))
    load_strict(model.restoration, restoration, path, "a C2-Matching restoration network")
    return model


def load_bundle(path: Path) -> C2Matching:
    """One ``.safetensors`` file with ``restoration.*`` and ``extractor.*``, and ``vgg.*`` or, without it, the reference
    features of the extractor's branch 2, which has the shape of VGG19 up to conv3_1."""
    from c2matching.nets.correspondence_network import reference_features
    from refsr_bench.learning.checkpoints import check_finite, load_strict, read_metadata, read_weights

    state = read_weights(path)
    check_finite(state, path)
    parts = parts_of(state)
    restoration = parts.get("restoration", {})
    if not restoration and "extractor" in parts:
        raise BenchError(f"{path} holds extractors alone, no restoration network: it is for --teacher or --student.")
    model = _build(restoration, path, read_metadata(path))
    load_strict(model.extractor, parts.get("extractor", {}), path, "the C2-Matching extractors")
    if "vgg" in parts:
        load_strict(model.vgg, parts["vgg"], path, "the reference features")
    else:
        model.vgg = reference_features(model.extractor.feature_extraction_image2, model.vgg.layers)
    return model


def _imagenet_vgg19(folder: Path) -> Path:
    """torchvision's VGG19 file: beside the authors' files, in torch's cache, or from its normal download."""
    from refsr_bench.learning import checkpoints

    if found := sorted(folder.glob("vgg19*.pth")):
        return found[0]
    try:
        return checkpoints.fetch(VGG19_URL)
    except BenchError as error:
        raise BenchError(
            f"C2-Matching's own checkpoints need the ImageNet weights of VGG19. {error} Fetch {VGG19_URL} on a machine "
            f"with a connection and put it beside the checkpoint, in {folder}."
        ) from None


def load_official(
    path: Path, extractor: Path | None = None, vgg19: Path | None = None
) -> tuple[C2Matching, list[Path]]:
    """The authors' files: a restoration ``.pth``, ``feature_extraction.pth`` and torchvision's VGG19; the latter two
    from beside the first when not given.

    Returns the model and the three files. Raises BenchError or Misuse naming the file that is missing or does not fit.
    """
    from refsr_bench.learning.checkpoints import check_finite, load_strict, read_weights
    from refsr_bench.learning.vgg import from_torchvision

    restoration = read_weights(path)
    check_finite(restoration, path)
    model = _build(restoration, path, {})
    extractor = extractor or path.parent / "feature_extraction.pth"
    if not extractor.is_file():
        raise Misuse(f"{path.name} needs the authors' feature_extraction.pth beside it, in {path.parent} ({HOME}).")
    load_strict(model.extractor, read_weights(extractor), extractor, "the C2-Matching extractors")
    vgg_file = vgg19 or _imagenet_vgg19(path.parent)
    try:
        vgg = from_torchvision(read_weights(vgg_file), max(model.vgg.layers))
    except KeyError as error:
        raise BenchError(f"{vgg_file} does not hold torchvision's VGG19: it lacks {error}.") from None
    load_strict(model.vgg, {**model.vgg.state_dict(), **vgg}, vgg_file, "VGG19")
    return model, [path, extractor, vgg_file]


def import_official(files: Sequence[Path], out: Path, name: str) -> list[Path]:
    """The authors' files, in any order, to one bundle; the extractor's and VGG19's from beside the restoration file
    when they are not given. Returns the three.

    Raises BenchError or Misuse naming the file that is missing or does not fit.
    """
    from refsr_bench.learning.checkpoints import read_weights, sha256

    marks = {"feature_extraction_image1.": "extractor", "features.0.": "vgg19", "content_extractor.": "restoration"}
    given: dict[str, Path] = {}
    for file in files:
        kinds = {kind for mark, kind in marks.items() if any(key.startswith(mark) for key in read_weights(file))}
        if len(kinds) != 1 or kinds & given.keys():
            raise BenchError(
                f"{file} is neither the authors' restoration network, nor their feature_extraction.pth, nor "
                "torchvision's VGG19; or one of them is given twice."
            )
        given[kinds.pop()] = file
    if "restoration" not in given:
        raise Misuse(f"The authors' c2_matching_restoration*.pth is not among the files ({HOME}).")
    model, used = load_official(given["restoration"], given.get("extractor"), given.get("vgg19"))
    parts = {part: getattr(model, part).state_dict() for part in PARTS}
    sources = json.dumps({file.name: sha256(file) for file in used})
    write_bundle(out, parts, model.restoration.config, {"name": name, "sources": sources})
    return used
