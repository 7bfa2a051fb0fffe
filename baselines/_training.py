"""Training any system with the trainer of C2-Matching's restoration: same photos, same references, same losses."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from c2matching.nets.correspondence_network import ContrastiveExtractor
from c2matching.training.config import Training
from c2matching.training.prepare import Sources, adversaries, features_of, read_extractors
from c2matching.training.stages import ImageStage, Parallel
from refsr_bench.core.cards import MethodCard
from refsr_bench.core.errors import Misuse
from refsr_bench.learning import system as _system
from refsr_bench.learning.vgg import VGG19Features

LAYERS = ("relu1_1", "relu2_1", "relu3_1")


def torchvision_names(features: VGG19Features) -> dict[str, Tensor]:
    """``vgg_net.conv2_1.weight`` as torchvision numbers it, ``features.5.weight``."""
    names = [name for name, _ in features.vgg_net.named_children()]
    state = {}
    for key, value in features.vgg_net.state_dict().items():
        layer, _, part = key.partition(".")
        state[f"features.{names.index(layer)}.{part}"] = value
    return state


def image_stage(
    card: MethodCard, options: Mapping[str, Any], training: Training, sources: Sources, parallel: Parallel
) -> ImageStage:
    """The stage that trains ``card``'s network with ``options``: with the adversarial losses when the card's row is
    GAN-trained. Raises Misuse when a file that the configuration needs is not given."""
    system, config = card.system, training.restoration
    torch.manual_seed(training.run.seed)
    if sources.start:
        net, _ = _system.read(system, card.name, [sources.start])
    else:
        net = system.build(**options)
        if system.start is not None:
            _start(card, net, training, sources)
    net = net.to(parallel.device)

    def restored(net: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        return system.restore(net, batch["lr"], batch["lr_up"], [batch["ref"]])

    trained = [p for p in net.parameters() if p.requires_grad]
    critics = adversaries(training, sources, parallel) if card.gan else (None, None)
    groups = [{"params": trained, "lr": config.rate}]
    return ImageStage(net, restored, groups, *critics, config, parallel, training.run.seed)


def _start(card: MethodCard, net: nn.Module, training: Training, sources: Sources) -> None:
    """Give the parts that are not trained from nothing their weights."""
    kind = training.restoration.features
    needed = kind == "extractor" or any(isinstance(module, ContrastiveExtractor) for module in net.modules())
    if needed and sources.student is None:
        raise Misuse(
            f"{card.name} reads references with a trained network: give the student of C2-Matching with --student FILE."
        )
    extractor = read_extractors(sources.student) if sources.student else None
    features = features_of(kind, sources, extractor, LAYERS)
    card.system.start(net, torchvision_names(features), extractor.state_dict() if extractor else {})


def weights_writer(
    stage: ImageStage, card: MethodCard, training: Training, data: list[str], name: str
) -> Callable[[Path], None]:
    """Writes what the stage has trained, the average where there is one, as ``run --weights`` takes it."""
    story = {"method": card.name, "data": data, "configuration": asdict(training)}

    def write(path: Path) -> None:
        net = stage.average or stage.net
        _system.write(path, net, card.system, card.name, {"name": name, "training": json.dumps(story)})

    return write
