"""The making of a stage that is ready to train from a card, a configuration and weights files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from refsr_bench.core.cards import MethodCard
from refsr_bench.core.errors import Misuse
from refsr_bench.formats.checkpoints import load_strict, read_weights
from refsr_bench.formats.keys import without_prefix
from refsr_bench.learning import imagenet
from refsr_bench.learning.system import BRANCHES
from refsr_bench.learning.training.config import Training
from refsr_bench.learning.training.discriminator import ImageDiscriminator
from refsr_bench.learning.training.parallel import ALONE, Parallel
from refsr_bench.learning.training.stage import Critics, ImageStage, Setting, Stage, Tensors
from refsr_bench.learning.vgg import VGG19Features
from refsr_bench.learning.weights import read

LAYERS = ("relu1_1", "relu2_1", "relu3_1")


@dataclass(frozen=True, kw_only=True)
class Sources:
    """The files that a stage starts from.

    teacher: extractors that teach the student's stage. student: extractors for networks that match or read with them.
    start: earlier weights of the very network to be trained. features: extractors whose branch 2 reads the reference,
    if not the student's. vgg16, vgg19: torchvision's ImageNet weights; None downloads them.
    """

    teacher: Path | None = None
    student: Path | None = None
    start: Path | None = None
    features: Path | None = None
    vgg16: Path | None = None
    vgg19: Path | None = None


@dataclass(frozen=True)
class TrainingPlan:
    """The ingredients of a stage.

    gan: adds the perceptual and adversarial losses. options: those of the network, arguments of ``System.build``.
    """

    card: MethodCard
    training: Training
    sources: Sources
    parallel: Parallel = ALONE
    gan: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def setting(self) -> Setting:
        return Setting(self.training.restoration, self.parallel, self.training.run.seed)


def configuration(card: MethodCard) -> type[Training]:
    """Return the class of a method's configuration."""
    return card.system.stages.configuration() if card.system.stages else Training


def make_stage(name: str, plan: TrainingPlan) -> Stage:
    """Make the stage ``name`` of a system that has several, or the only stage of any other.

    Raises Misuse when a file that the configuration needs is not given.
    """
    stages = plan.card.system.stages
    return stages.make(name, plan) if stages else image_stage(plan)


def image_stage(plan: TrainingPlan) -> ImageStage:
    """Make the stage of a network that is trained as a whole, through ``System.restore``."""
    system, sources = plan.card.system, plan.sources
    torch.manual_seed(plan.training.run.seed)
    if sources.start:
        net = read(system, plan.card.name, [sources.start]).net
    else:
        net = system.network(**plan.options)
        if system.start is not None:
            _start(plan, net)
    net = net.to(plan.parallel.device)

    def restored(net: nn.Module, batch: Tensors) -> Tensor:
        return system.restore(net, batch["lr"], batch["lr_up"], [batch["ref"]])

    trained = [p for p in net.parameters() if p.requires_grad]
    groups = [{"params": trained, "lr": plan.training.restoration.rate}]
    return ImageStage(net, restored, groups, plan.setting, critics(plan) if plan.gan else None)


def _start(plan: TrainingPlan, net: nn.Module) -> None:
    """Fill the frozen and pretrained parts of a network with their weights."""
    kind, student = plan.training.restoration.features, plan.sources.student
    if student is None and (kind == "extractor" or plan.card.system.needs_student):
        raise Misuse(
            f"{plan.card.name} reads references with a trained network: give the student of C2-Matching with "
            "--student FILE."
        )
    extractor: Mapping[str, Tensor] = {}
    if student is not None:
        state = read_weights(student)
        extractor = without_prefix(state, "extractor.") or state
    features = VGG19Features(LAYERS)
    if kind == "extractor":
        branch = without_prefix(extractor, f"{BRANCHES[1]}.model.")
        load_strict(features.vgg_net, branch, student, "the C2-Matching extractors")
    else:
        fill_features(features, plan)
    plan.card.system.start(net, torchvision_names(features), extractor)


def fill_features(features: VGG19Features, plan: TrainingPlan) -> None:
    """Fill the network that reads the reference with ImageNet or random weights, as the configuration says."""
    if plan.training.restoration.features == "imagenet":
        instead = "read the reference with the student: --set restoration.features=extractor"
        state = imagenet.vgg("vgg19", plan.sources.vgg19, max(features.layers), instead)
        features.vgg_net.load_state_dict(state)
    else:
        kaiming(features)


def torchvision_names(features: VGG19Features) -> dict[str, Tensor]:
    """Return the weights under torchvision's names: ``vgg_net.conv2_1.weight`` becomes ``features.5.weight``."""
    names = [name for name, _ in features.vgg_net.named_children()]
    state = {}
    for key, value in features.vgg_net.state_dict().items():
        layer, _, part = key.partition(".")
        state[f"features.{names.index(layer)}.{part}"] = value
    return state


def critics(plan: TrainingPlan) -> Critics:
    """Make the discriminator and the perceptual features of a GAN training."""
    torch.manual_seed(plan.training.run.seed)
    discriminator, perceptual = ImageDiscriminator().to(plan.parallel.device), VGG19Features(["relu5_1"])
    perceptual.vgg_net.load_state_dict(imagenet.vgg("vgg19", plan.sources.vgg19, "relu5_1", "train without --gan"))
    return Critics(discriminator, perceptual.to(plan.parallel.device))


def kaiming(net: nn.Module) -> None:
    """Initialise every convolution by He's method, with zero biases."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            nn.init.zeros_(module.bias)
