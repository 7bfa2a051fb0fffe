"""The making of a stage of C2-Matching that is ready to train from a configuration and weights files."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from c2matching.nets.correspondence_network import ContrastiveExtractor, reference_features
from c2matching.nets.restoration import RestorationNet
from c2matching.training.config import C2Training
from c2matching.training.stages import MatchingStage, RestorationStage
from refsr_bench.core.errors import Misuse
from refsr_bench.core.reader import to_json
from refsr_bench.learning import imagenet
from refsr_bench.learning.training.prepare import TrainingPlan, critics, fill_features, kaiming
from refsr_bench.learning.vgg import VGG19Features
from refsr_bench.learning.weights import read_part


def make(name: str, plan: TrainingPlan) -> MatchingStage | RestorationStage:
    """Make the stage ``teacher``, ``student`` or ``restoration``. The plan's configuration is a ``C2Training``.

    Raises Misuse when a file that the configuration needs is not given.
    """
    if plan.gan and name != "restoration":
        raise Misuse("--gan is for restoration.")
    return restoration_stage(plan) if name == "restoration" else matching_stage(name, plan)


def read_extractors(path: Path) -> ContrastiveExtractor:
    """Read the two extractors from a file of ours or of the authors. Raises BenchError when it has none."""
    net = ContrastiveExtractor()
    read_part(net, "extractor", path, "the C2-Matching extractors")
    return net


def matching_stage(name: str, plan: TrainingPlan) -> MatchingStage:
    """Make stage 1 or 2, ``teacher`` or ``student``. Raises Misuse when a file or a possible start is missing."""
    config, sources, device = getattr(plan.training, name), plan.sources, plan.parallel.device
    if name == "student" and sources.teacher is None:
        raise Misuse("The student learns from a teacher: give its weights with --teacher FILE.")
    torch.manual_seed(plan.training.run.seed)
    net, teacher = ContrastiveExtractor(), None
    if name == "student":
        teacher = read_extractors(sources.teacher).to(device)
    if sources.start:
        net = read_extractors(sources.start)
    elif config.start == "teacher":
        if teacher is None:
            raise Misuse("teacher.start is 'teacher', but there is none before the teacher: 'imagenet' or 'random'.")
        net.load_state_dict(teacher.state_dict())
    else:
        branch = net.feature_extraction_image1
        if config.start == "imagenet":
            instead = f"start without them: --recipe small-cpu, or --set {name}.start=random and a {name}.warm_up"
            branch.model.load_state_dict(imagenet.vgg("vgg16", sources.vgg16, "conv3_1", instead))
        else:
            kaiming(branch)
        net.feature_extraction_image2.load_state_dict(branch.state_dict())
    return MatchingStage(net.to(device), teacher, config, plan.parallel)


def restoration_stage(plan: TrainingPlan) -> RestorationStage:
    """Make stage 3. Raises Misuse when the student's weights are missing."""
    training: C2Training = plan.training
    sources = plan.sources
    if sources.student is None:
        raise Misuse("Restoration needs correspondences: give the student's weights with --student FILE.")
    torch.manual_seed(training.run.seed)
    model = plan.card.system.network(**to_json(training.network))
    if training.restoration.initialise == "kaiming":
        wake(model.restoration)
    model.extractor = read_extractors(sources.student)
    if training.restoration.features == "extractor":
        reader = read_extractors(sources.features) if sources.features else model.extractor
        model.vgg = reference_features(reader.feature_extraction_image2, model.vgg.layers)
    else:
        model.vgg = VGG19Features(model.vgg.layers)
        fill_features(model.vgg, plan)
    if sources.start:
        read_part(model.restoration, "restoration", sources.start, "this restoration network")
    return RestorationStage(model.to(plan.parallel.device), plan.setting, critics(plan) if plan.gan else None)


def wake(net: RestorationNet) -> None:
    """Initialise a network by Kaiming's method, in place, with small residual branches and a small last layer.

    The paper's normal(0, 0.02) needs many iterations to wake a narrow network.
    """
    for name, module in net.named_modules():
        if isinstance(module, nn.Conv2d) and "conv_offset_mask" not in name:
            nn.init.kaiming_normal_(module.weight, a=0.1)
            if name.endswith("conv2") and "body" in name:
                module.weight.data *= 0.2
            if name.endswith("tail_large.2"):
                module.weight.data *= 0.05
