"""The training loop around a stage, on a CPU or GPUs, in one process or many (``torchrun``, ``accelerate launch``).

It can be stopped at any iteration and resumed to the weights that an uninterrupted training gives. An iteration depends
on the configuration, the photos and its number alone (photos.py), so a checkpoint needs no random state. It holds the
networks, the optimisers, the iteration and the best score.
"""

from __future__ import annotations

import json
import math
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from refsr_bench.core.cards import MethodCard
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.files import locked, make_folder, standing, write_bytes, write_text, writing
from refsr_bench.core.reader import dump_line, journal, to_json
from refsr_bench.core.terminal import progress_bar
from refsr_bench.formats import pytorch
from refsr_bench.learning.training.board import Board
from refsr_bench.learning.training.config import Training, as_toml, changed, differences, load
from refsr_bench.learning.training.parallel import Parallel
from refsr_bench.learning.training.photos import Batch, Photo, Stream, batches, split, validation_batches
from refsr_bench.learning.training.stage import Stage, Tensors
from refsr_bench.learning.weights import write

CHECKPOINT, CONFIG, LOG, SKIPPED = "checkpoint.pt", "config.toml", "log.jsonl", "skipped.txt"
BEST, LAST = "best.safetensors", "last.safetensors"
SHOWN_SKIPPED = 5  # reasons printed; skipped.txt has them all

Say = Callable[[str], None]


@dataclass
class State:
    """The progress of a training. iteration: the last one done. best: the best score, None before any validation."""

    iteration: int = 0
    best: float | None = None
    skipped: dict[str, None] = field(default_factory=dict)  # reasons, in order of appearance


class Stopped(Exception):
    """Raised when a training was asked to stop and has saved. iteration: the last one done."""

    def __init__(self, iteration: int, signal_number: int) -> None:
        super().__init__(f"stopped after iteration {iteration}")
        self.iteration, self.signal_number = iteration, signal_number


# -- files ---------------------------------------------------------------------------------------------------------


def check_folder(folder: Path, resume: bool) -> None:
    """Raise Misuse when a new training would overwrite one in the folder, or there is none to resume."""
    there = (folder / CHECKPOINT).is_file()
    if there and not resume:
        raise Misuse(f"{folder} already holds a training. Continue it with --resume, or choose another --out.")
    if resume and not there and not (folder / CONFIG).is_file():
        raise Misuse(f"--resume: there is no {CHECKPOINT} in {folder}.")


def save_checkpoint(folder: Path, stage: Stage, training: Training, state: State) -> None:
    """Write all that a resumed training needs, the whole file or nothing. Raises BenchError when the disk refuses."""
    content = {
        "training": to_json(training),
        "iteration": state.iteration,
        "best": state.best,
        "skipped": list(state.skipped),
        "networks": {name: network.state_dict() for name, network in stage.networks.items()},
        "optimisers": {name: optimiser.state_dict() for name, optimiser in stage.optimisers.items()},
    }
    path = folder / CHECKPOINT
    try:
        with writing(path) as part:
            torch.save(content, part)
    except Exception as error:  # PyTorch raises a kind of its own for a full or vanished disk
        raise BenchError(f"{path} could not be written ({getattr(error, 'strerror', None) or error}).") from None


def load_checkpoint(folder: Path, stage: Stage, training: Training) -> State:
    """Restore networks and optimisers, in place, and return the progress.

    Raises Misuse when the configuration differs, BenchError when the file is damaged.
    """
    path = folder / CHECKPOINT
    try:
        with pytorch.opened(path) as (content, read):
            found = pytorch.everything(content, read)
        _check_same(folder, changed(training, found["training"], str(path)), training)
        networks, skipped = found["networks"], [str(why) for why in found["skipped"]]
        if set(networks) != set(stage.networks):
            raise Misuse(f"--resume: {folder} holds a training of {', '.join(networks)}; with or without --gan?")
        for name, network in stage.networks.items():
            network.load_state_dict(networks[name])
        for name, optimiser in stage.optimisers.items():
            optimiser.load_state_dict(found["optimisers"][name])
        best = None if found["best"] is None else float(found["best"])
        if not isinstance(found["iteration"], int) or found["iteration"] < 0:
            raise ValueError("iteration")
        return State(found["iteration"], best, dict.fromkeys(skipped))
    except Misuse:
        raise
    except Exception as error:  # a damaged file makes the reader and PyTorch raise nearly anything
        raise BenchError(
            f"{path} is damaged and cannot be resumed ({type(error).__name__}). Start a new training, with --weights "
            f"{folder / LAST} if that is whole."
        ) from None


def _check_same(folder: Path, before: Training, now: Training) -> None:
    if changes := differences(before, now):
        raise Misuse(f"--resume: {folder} was trained with another configuration ({'; '.join(changes)}).")


class Log:
    """The log of a training: ``log.jsonl`` and TensorBoard. Entries after iteration ``after``, the checkpoint's, go."""

    def __init__(self, folder: Path, after: int) -> None:
        self.lines = journal(folder / LOG, dict[str, int | float | str])
        kept = [line for line in self.lines.read() if line["iteration"] <= after]
        write_bytes(self.lines.path, b"".join(dump_line(line) + b"\n" for line in kept))
        self.board = Board(folder, after, self.lines.path)

    def write(self, iteration: int, values: Mapping[str, float], images: Mapping[str, Tensor] | None = None) -> None:
        self.lines.append({"iteration": iteration, **values})
        self.board.write(iteration, values, images or {})


def weights_writer(
    stage: Stage, card: MethodCard, training: Training, about: Mapping[str, Any]
) -> Callable[[Path], None]:
    """Return a function that writes the stage's weights to a file for ``run --weights`` and later stages.

    about: ``name``, by which results call the weights, and any facts about their origin that are worth keeping.
    """
    story = {"method": card.name, **about, "configuration": to_json(training)}
    metadata = {"name": story.pop("name"), "training": json.dumps(story)}
    return lambda path: write(path, stage.trained(), card.system, card.name, metadata)


# -- the loop ------------------------------------------------------------------------------------------------------


@contextmanager
def _asked_to_stop() -> Iterator[list[int]]:
    """Hold back SIGTERM and SIGINT; yield a list that receives their numbers."""
    received: list[int] = []
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, lambda n, _: received.append(n)) for number in numbers}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@dataclass
class Trainer:
    """The training of one stage in one folder.

    The folder receives config.toml, checkpoint.pt, log.jsonl, tensorboard/, skipped.txt, and by ``write_weights``
    last.safetensors and best.safetensors, the best of all validations. say: prints a message.
    """

    stage: Stage
    training: Training
    folder: Path
    write_weights: Callable[[Path], None]
    say: Say = print

    def __post_init__(self) -> None:
        self.state = State()
        self.log: Log | None = None
        self.first = self.stage.parallel.process == 0  # only the first process writes and prints
        if not self.first:
            self.say = lambda text: None

    def run(self, photos: Sequence[Photo], resume: bool = False) -> State:
        """Train to the last iteration and return the progress. resume: go on from the folder's checkpoint.

        A training that was killed before its first checkpoint resumes at its first iteration. Raises Stopped after
        SIGTERM or SIGINT, with the state saved, Busy when another process trains in the folder, and BenchError when a
        loss is no longer a number; the last good checkpoint then remains.
        """
        if not self.first:
            return self._train(photos, resume)
        make_folder(self.folder)
        with standing(self.folder), locked(self.folder, "Another training"):
            check_folder(self.folder, resume)  # until now, another process may have trained here
            return self._train(photos, resume)

    def _train(self, photos: Sequence[Photo], resume: bool) -> State:
        stage, config = self.stage, self.stage.config
        stream, checked = self._streams(photos)
        if resume and (self.folder / CHECKPOINT).is_file():
            self.state = load_checkpoint(self.folder, stage, self.training)
        elif resume:
            _check_same(self.folder, load(type(self.training), [str(self.folder / CONFIG)]), self.training)
            self.say(f"There is no {CHECKPOINT} in {self.folder} yet: the training starts at its first iteration.")
        if self.first:
            write_text(self.folder / CONFIG, as_toml(self.training))
            self.log = Log(self.folder, self.state.iteration)
        first, accumulate = self.state.iteration + 1, self.training.run.accumulate
        drawn = batches(stream, config.batch, first, config.iterations, accumulate, stage.parallel)
        bar = progress_bar("training", "it", self.state.iteration, self.first)
        with _asked_to_stop() as received, bar as report:
            for micros in drawn:
                terms = self._step(micros)
                shown = ", ".join(f"{name} {value:.4g}" for name, value in terms.items())
                report(self.state.iteration, config.iterations, shown)
                self._record(terms, checked, received)
        if self.state.skipped:
            self.say(f"{len(self.state.skipped)} photos could not be used, listed in {self.folder / SKIPPED}.")
        return self.state

    def _streams(self, photos: Sequence[Photo]) -> tuple[Stream, Stream]:
        for_training, for_validation = split(photos, self.training.run.held_out)
        if for_validation == for_training:
            self.say("Fewer than five photos: validation uses the training photos.")
        else:
            self.say(f"{len(for_training)} photos to train on, {len(for_validation)} held out for validation.")
        kind, crop = self.stage.stream, self.stage.config.crop
        training = kind(for_training, self.training, crop, "training")
        return training, kind(for_validation, self.training, crop, "validation")

    def _step(self, micros: Sequence[Batch]) -> dict[str, float]:
        """Do one iteration and return the terms of the loss. Raises BenchError when one is no longer a number."""
        state, number = self.state, self.state.iteration + 1
        terms = self.stage.step([_moved(micro, self.stage.parallel) for micro in micros], number)
        if not all(map(math.isfinite, terms.values())):
            raise BenchError(
                f"The loss is no longer a number at iteration {number} ({terms}). The last checkpoint in {self.folder} "
                "is good; lower the rate (--set rate=...) or clip the gradient (--set clip=1)."
            )
        state.iteration = number
        for why in (why for micro in micros for why in micro.skipped):
            if why not in state.skipped and len(state.skipped) < SHOWN_SKIPPED:
                self.say(f"left out: {why}")
            state.skipped[why] = None
        return terms

    def _record(self, terms: Mapping[str, float], checked: Stream, received: Sequence[int]) -> None:
        """Log, validate and save when due. Raises Stopped when any process was asked to stop."""
        run, number, parallel = self.training.run, self.state.iteration, self.stage.parallel
        last = number == self.stage.config.iterations
        if self.log and (last or number % run.log_every == 0):
            self.log.write(number, terms)
        due = last or number % run.validate_every == 0
        if due:
            self._validate(checked)
        stop = parallel.sum(torch.tensor(float(bool(received)), device=parallel.device)).item()
        if self.first and (stop or due):
            self._save()
        if stop:
            raise Stopped(number, received[0] if received else signal.SIGTERM)

    def _validate(self, stream: Stream) -> None:
        """Validate in the first process alone; the others go on and wait for it at their next gradient."""
        if self.log is None:
            return
        state, drawn = self.state, validation_batches(stream, self.training.run.validation)
        moved = (_moved(batch, self.stage.parallel) for batch in drawn)
        scores, pictures = self.stage.validate(moved)
        self.log.write(state.iteration, {f"validation/{name}": value for name, value in scores.items()}, pictures)
        told = ", ".join(f"{name} {value:.4g}" for name, value in scores.items())
        self.say(f"iteration {state.iteration}: {told}")
        name, better = self.stage.best
        if state.best is None or better(scores[name], state.best) != state.best:
            state.best = scores[name]
            self.write_weights(self.folder / BEST)

    def _save(self) -> None:
        self.write_weights(self.folder / LAST)
        if self.state.skipped:  # before the checkpoint, after which a resumed training may have nothing left to do
            write_text(self.folder / SKIPPED, "".join(f"{why}\n" for why in self.state.skipped))
        save_checkpoint(self.folder, self.stage, self.training, self.state)


def _moved(batch: Batch, parallel: Parallel) -> Tensors:
    return {name: tensor.to(parallel.device) for name, tensor in batch.tensors.items()}
