"""From a configuration and files of weights to a stage that is ready to train, and from the stage to its weights."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from c2matching.bundle import write_bundle
from c2matching.nets.correspondence_network import ContrastiveExtractor, reference_features
from c2matching.nets.discriminator import ImageDiscriminator
from c2matching.nets.model import C2Matching
from c2matching.nets.restoration import RestorationNet
from c2matching.training.config import Training
from c2matching.training.stages import MatchingStage, Parallel, RestorationStage
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.learning import checkpoints
from refsr_bench.learning.vgg import VGG19Features, from_torchvision

IMAGENET = {
    "vgg16": "https://download.pytorch.org/models/vgg16-397923af.pth",
    "vgg19": "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth",
}


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Files that a stage starts from.

    teacher: extractors, for the student's stage. student: extractors, for restoration. start: the networks themselves,
    trained before. features: extractors whose branch 2 reads the reference, when not the student's. vgg16, vgg19:
    torchvision's ImageNet weights; without a file they are downloaded.
    """

    teacher: Path | None = None
    student: Path | None = None
    start: Path | None = None
    features: Path | None = None
    vgg16: Path | None = None
    vgg19: Path | None = None


def imagenet(name: str, path: Path | None, last: str, instead: str) -> dict[str, Tensor]:
    """torchvision's VGG weights up to layer ``last``, by the names of ``vgg.vgg_layers``. instead: what to do without.

    Raises BenchError when they cannot be had or are no VGG.
    """
    try:
        found = path or checkpoints.fetch(IMAGENET[name])
        state = from_torchvision(checkpoints.read_weights(found), last)
        return {key.removeprefix("vgg_net."): value for key, value in state.items()}
    except KeyError as error:
        raise BenchError(f"{found} does not hold torchvision's {name.upper()}: it lacks {error}.") from None
    except Misuse:
        raise
    except BenchError as error:
        if path:
            raise
        raise BenchError(f"{error} Give a local copy with --{name} FILE, or {instead}.") from None


def read_part(path: Path, part: str, module: nn.Module, what: str) -> None:
    """Load ``part`` ("extractor", "restoration") of one of our files, or all of one of the authors', into a module."""
    state = checkpoints.read_weights(path)
    own = {key.removeprefix(f"{part}."): value for key, value in state.items() if key.startswith(f"{part}.")}
    checkpoints.load_strict(module, own or state, path, what)


def read_extractors(path: Path) -> ContrastiveExtractor:
    net = ContrastiveExtractor()
    read_part(path, "extractor", net, "the C2-Matching extractors")
    return net


def kaiming(net: nn.Module) -> None:
    """He's initialisation of every convolution, biases zero."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            nn.init.zeros_(module.bias)


def wake(net: RestorationNet) -> None:
    """Kaiming instead of the paper's normal(0, 0.02), which needs many iterations to wake a narrow network; residual
    branches and the last layer start small."""
    for name, module in net.named_modules():
        if isinstance(module, nn.Conv2d) and "conv_offset_mask" not in name:
            nn.init.kaiming_normal_(module.weight, a=0.1)
            if name.endswith("conv2") and "body" in name:
                module.weight.data *= 0.2
            if name.endswith("tail_large.2"):
                module.weight.data *= 0.05


def matching_stage(name: str, training: Training, sources: Sources, parallel: Parallel) -> MatchingStage:
    """``teacher`` or ``student``. Raises Misuse when a file that the configuration needs is not given."""
    config = getattr(training, name)
    if name == "student" and sources.teacher is None:
        raise Misuse("The student learns from a teacher: give its weights with --teacher FILE.")
    torch.manual_seed(training.run.seed)
    net, teacher = ContrastiveExtractor(), None
    if name == "student":
        teacher = read_extractors(sources.teacher).to(parallel.device)
    if sources.start:
        net = read_extractors(sources.start)
    elif config.start == "teacher":
        if teacher is None:
            raise Misuse("teacher.start is 'teacher', but there is none before the teacher: 'imagenet' or 'random'.")
        net.load_state_dict(teacher.state_dict())
    else:
        branch = net.feature_extraction_image1
        if config.start == "imagenet":
            instead = f"start without them: --config small-cpu, or --set {name}.start=random and a {name}.warm_up"
            branch.model.load_state_dict(imagenet("vgg16", sources.vgg16, "conv3_1", instead))
        else:
            kaiming(branch)
        net.feature_extraction_image2.load_state_dict(branch.state_dict())
    return MatchingStage(net.to(parallel.device), teacher, config, parallel)


def restoration_stage(training: Training, sources: Sources, gan: bool, parallel: Parallel) -> RestorationStage:
    """Stage 3. Raises Misuse when a file that the configuration needs is not given."""
    config = training.restoration
    if sources.student is None:
        raise Misuse("Restoration needs correspondences: give the student's weights with --student FILE.")
    torch.manual_seed(training.run.seed)
    model = C2Matching(training.network)
    if config.initialise == "kaiming":
        wake(model.restoration)
    model.extractor = read_extractors(sources.student)
    model.vgg = features_of(config.features, sources, model.extractor, model.vgg.layers)
    if sources.start:
        read_part(sources.start, "restoration", model.restoration, "this restoration network")
    critics = adversaries(training, sources, parallel) if gan else (None, None)
    return RestorationStage(model.to(parallel.device), *critics, config, parallel, training.run.seed)


def features_of(
    kind: str, sources: Sources, extractor: ContrastiveExtractor | None, layers: Sequence[str]
) -> VGG19Features:
    """What reads the reference: ``imagenet`` (VGG19), ``extractor`` (its branch 2, ``sources.features`` first) or
    ``random``."""
    if kind == "extractor":
        reader = read_extractors(sources.features) if sources.features else extractor
        return reference_features(reader.feature_extraction_image2, layers)
    features = VGG19Features(layers)
    if kind == "imagenet":
        instead = "read the reference with the student: --set restoration.features=extractor"
        features.vgg_net.load_state_dict(imagenet("vgg19", sources.vgg19, max(layers), instead))
    else:
        kaiming(features)
    return features


def adversaries(
    training: Training, sources: Sources, parallel: Parallel
) -> tuple[ImageDiscriminator, VGG19Features]:
    """The discriminator and the perceptual features of a GAN training."""
    torch.manual_seed(training.run.seed)
    discriminator, perceptual = ImageDiscriminator().to(parallel.device), VGG19Features(["relu5_1"])
    perceptual.vgg_net.load_state_dict(imagenet("vgg19", sources.vgg19, "relu5_1", "train without --gan"))
    return discriminator, perceptual.to(parallel.device)


def _same_features(model: C2Matching) -> bool:
    """Whether the reference features are those of the student's branch 2, which need not be written twice."""
    own = model.extractor.feature_extraction_image2.model.state_dict()
    return all(key in own and torch.equal(own[key], value) for key, value in model.vgg.vgg_net.state_dict().items())


def weights_writer(
    stage: MatchingStage | RestorationStage, name: str, training: Training, data: list[str]
) -> Callable[[Path], None]:
    """Writes what the stage has trained as one ``.safetensors`` file, with how it came to be.

    Extractors alone, or all that ``--weights`` needs: restoration (the average where there is one), extractors and,
    unless they are the student's own, the reference features.
    """
    story = {"stage": name, "data": data, "configuration": asdict(training)}

    def write(path: Path) -> None:
        if isinstance(stage, MatchingStage):
            parts, network = {"extractor": stage.net.state_dict()}, None
        else:
            model, network = stage.model, training.network
            parts = {
                "restoration": (stage.average or model.restoration).state_dict(),
                "extractor": model.extractor.state_dict(),
            }
            if not _same_features(model):
                parts["vgg"] = model.vgg.state_dict()
        write_bundle(path, parts, network, {"training": json.dumps(story)})

    return write
