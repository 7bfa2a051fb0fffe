"""Training C2-Matching: the loop around a stage. One process or many (``torchrun``, ``accelerate launch``), one CPU or
GPUs; stopped at any iteration and resumed to the weights that an uninterrupted training gives.

What an iteration does follows from the configuration, the photos and the iteration's number alone (data.py), so a
checkpoint needs no random state: networks, optimisers, the iteration and the best score are all there is.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from c2matching.training.config import Training, as_toml, changed, differences
from c2matching.training.data import (
    Batch,
    MatchingStream,
    Photo,
    RestorationStream,
    Stream,
    batches,
    split,
    validation_batches,
)
from c2matching.training.stages import ImageStage, MatchingStage, Parallel, Tensors
from refsr_bench.core.errors import BenchError, Misuse

if TYPE_CHECKING:
    from accelerate import Accelerator

CHECKPOINT, CONFIG, LOG, SKIPPED = "checkpoint.pt", "config.toml", "log.jsonl", "skipped.txt"
SHOWN_SKIPPED = 5


@dataclass
class State:
    """Where a training stands. iteration: the last one done. best: of the validations so far, None before the first."""

    iteration: int = 0
    best: float | None = None
    skipped: dict[str, None] = field(default_factory=dict)  # reasons, in order of appearance


class Stopped(Exception):
    """A training was asked to stop, and has saved. iteration: the last one done."""

    def __init__(self, iteration: int, signal_number: int) -> None:
        super().__init__(f"stopped after iteration {iteration}")
        self.iteration, self.signal_number = iteration, signal_number


# -- processes -----------------------------------------------------------------------------------------------------


def accelerator_of(precision: str, device: str) -> Accelerator:
    """Accelerate's view of this process and its siblings. device: ``auto`` or ``cpu``. Raises BenchError without it."""
    try:
        import tensorboard  # noqa: F401
        from accelerate import Accelerator
    except ImportError:
        raise BenchError(
            "Training needs Accelerate and TensorBoard, which are not installed: pip install 'refsr-bench[train]'."
        ) from None
    return Accelerator(cpu=device == "cpu", mixed_precision="bf16" if precision == "bfloat16" else "no")


def parallel_of(accelerator: Accelerator) -> Parallel:
    return Parallel(
        processes=accelerator.num_processes,
        process=accelerator.process_index,
        sum=lambda tensor: accelerator.reduce(tensor, "sum"),
        autocast=accelerator.autocast,
        device=accelerator.device,
    )


# -- files ---------------------------------------------------------------------------------------------------------


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """``write`` a temporary file beside ``path`` and put it in its place: an interrupted write leaves the old file."""
    part = path.with_name(path.name + ".part")
    try:
        write(part)
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
    except Exception as error:  # PyTorch and safetensors raise kinds of their own for a full or vanished disk
        raise BenchError(f"{path} could not be written ({getattr(error, 'strerror', None) or error}).") from None
    finally:
        part.unlink(missing_ok=True)


def save_checkpoint(folder: Path, stage: MatchingStage | ImageStage, training: Training, state: State) -> None:
    content = {
        "training": asdict(training),
        "iteration": state.iteration,
        "best": state.best,
        "skipped": list(state.skipped),
        "networks": {name: network.state_dict() for name, network in stage.networks.items()},
        "optimisers": {name: optimiser.state_dict() for name, optimiser in stage.optimisers.items()},
    }
    write_atomically(folder / CHECKPOINT, lambda path: torch.save(content, path))


def load_checkpoint(folder: Path, stage: MatchingStage | ImageStage, training: Training) -> State:
    """Put networks and optimisers where they were. Raises Misuse when the configuration is another, BenchError when
    the file is damaged."""
    path = folder / CHECKPOINT
    try:
        content = torch.load(path, map_location=stage.parallel.device, weights_only=True)
        before = changed(training, _lists(content["training"]), str(path))
    except Misuse:
        raise
    except Exception as error:  # a damaged file makes the unpickler raise nearly anything
        raise BenchError(
            f"{path} is damaged and cannot be resumed ({type(error).__name__}). Start a new training, with --weights "
            f"{folder / 'last.safetensors'} if that is whole."
        ) from None
    if changes := differences(before, training):
        raise Misuse(f"--resume: {folder} was trained with another configuration ({'; '.join(changes)}).")
    if set(content["networks"]) != set(stage.networks):
        raise Misuse(f"--resume: {folder} holds a training of {', '.join(content['networks'])}; with or without --gan?")
    for name, network in stage.networks.items():
        network.load_state_dict(content["networks"][name])
    for name, optimiser in stage.optimisers.items():
        optimiser.load_state_dict(content["optimisers"][name])
    return State(content["iteration"], content["best"], dict.fromkeys(content["skipped"]))


def _lists(tables: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Tuples as TOML has them."""
    return {
        name: {key: list(value) if isinstance(value, tuple) else value for key, value in table.items()}
        for name, table in tables.items()
    }


class Log:
    """``log.jsonl`` and TensorBoard, by the first process. What a stopped training wrote beyond its checkpoint goes."""

    def __init__(self, folder: Path, after: int) -> None:
        self.path = folder / LOG
        lines = self.path.read_text(encoding="utf-8").splitlines() if self.path.is_file() else []
        kept = [line for line in lines if json.loads(line)["iteration"] <= after]
        self.path.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
        from torch.utils.tensorboard import SummaryWriter

        self.board = SummaryWriter(str(folder / "tensorboard"), purge_step=after + 1)

    def write(self, iteration: int, values: Mapping[str, float], images: Mapping[str, Tensor] | None = None) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"iteration": iteration, **values}) + "\n")
        for name, value in values.items():
            self.board.add_scalar(name, value, iteration)
        for name, picture in (images or {}).items():
            self.board.add_image(name, picture.detach().float().clamp(0, 1).cpu(), iteration)
        self.board.flush()


# -- the loop ------------------------------------------------------------------------------------------------------


@contextmanager
def _asked_to_stop() -> Iterator[list[int]]:
    """A list that receives SIGTERM and SIGINT while they are held back."""
    received: list[int] = []
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, lambda n, _: received.append(n)) for number in numbers}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def train(
    stage: MatchingStage | ImageStage,
    photos: Sequence[Photo],
    training: Training,
    folder: Path,
    write_weights: Callable[[Path], None],
    *,
    resume: bool = False,
    say: Callable[[str], None] = print,
) -> State:
    """Train ``stage`` to its last iteration, in ``folder``: config.toml, checkpoint.pt, log.jsonl, tensorboard/,
    skipped.txt, last.safetensors and best.safetensors (of the validations), the last two by ``write_weights``.

    Raises Stopped after SIGTERM or SIGINT, BenchError when a loss is no longer a number; both have saved what is good.
    """
    parallel, run, config = stage.parallel, training.run, stage.config
    first = parallel.process == 0
    say = say if first else lambda text: None
    kind = MatchingStream if isinstance(stage, MatchingStage) else RestorationStream
    for_training, for_validation = split(photos, run.held_out)
    stream = kind(for_training, training, config.crop, "training")
    checked = kind(for_validation, training, config.crop, "validation")
    if for_validation == for_training:
        say("Fewer than five photos: validation uses the training photos.")
    else:
        say(f"{len(for_training)} photos to train on, {len(for_validation)} held out for validation.")
    state = load_checkpoint(folder, stage, training) if resume else State()
    log = None
    if first:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / CONFIG, lambda path: path.write_text(as_toml(training), encoding="utf-8"))
        log = Log(folder, state.iteration)
    which = (run.accumulate, parallel.process, parallel.processes)
    drawn = batches(stream, config.batch, state.iteration + 1, config.iterations, *which)
    progress = _progress(config.iterations, state.iteration, first)
    terms: dict[str, float] = {}
    with _asked_to_stop() as received:
        for micros in drawn:
            terms = stage.step([_moved(micro, parallel) for micro in micros], state.iteration + 1)
            if not all(map(_finite, terms.values())):
                raise BenchError(
                    f"The loss is no longer a number at iteration {state.iteration + 1} ({terms}). The last checkpoint "
                    f"in {folder} is good; lower the rate (--set rate=...) or clip the gradient (--set clip=1)."
                )
            state.iteration += 1
            for why in (why for micro in micros for why in micro.skipped):
                if why not in state.skipped and len(state.skipped) < SHOWN_SKIPPED:
                    say(f"left out: {why}")
                state.skipped[why] = None
            progress.set_postfix({name: f"{value:.4g}" for name, value in terms.items()}, refresh=False)
            progress.update()
            if log and (state.iteration % run.log_every == 0 or state.iteration == config.iterations):
                log.write(state.iteration, terms)
            last = state.iteration == config.iterations
            if last or state.iteration % run.validate_every == 0:
                _validate(stage, checked, state, run.validation, log, folder, write_weights, say)
            stop = parallel.sum(torch.tensor(float(bool(received)), device=parallel.device)).item()
            if first and (stop or last or state.iteration % run.validate_every == 0):
                _save(folder, stage, training, state, write_weights)
            if stop:
                raise Stopped(state.iteration, received[0] if received else signal.SIGTERM)
    progress.close()
    if state.skipped:
        say(f"{len(state.skipped)} photos could not be used, listed in {folder / SKIPPED}.")
    return state


def _finite(value: float) -> bool:
    return value == value and abs(value) != float("inf")


def _moved(batch: Batch, parallel: Parallel) -> Tensors:
    return {name: tensor.to(parallel.device) for name, tensor in batch.tensors.items()}


def _progress(total: int, done: int, shown: bool) -> Any:
    from tqdm import tqdm

    return tqdm(total=total, initial=done, unit="it", disable=None if shown else True)


def _validate(
    stage: MatchingStage | ImageStage,
    stream: Stream,
    state: State,
    n: int,
    log: Log | None,
    folder: Path,
    write_weights: Callable[[Path], None],
    say: Callable[[str], None],
) -> None:
    """By the first process alone; the others go on and wait at the next gradient."""
    if log is None:
        return
    moved = (_moved(batch, stage.parallel) for batch in validation_batches(stream, n))
    scores, pictures = stage.validate(moved)
    log.write(state.iteration, {f"validation/{name}": value for name, value in scores.items()}, pictures)
    say(f"iteration {state.iteration}: " + ", ".join(f"{name} {value:.4g}" for name, value in scores.items()))
    name, better = stage.best
    if state.best is None or better(scores[name], state.best) != state.best:
        state.best = scores[name]
        write_atomically(folder / "best.safetensors", write_weights)


def _save(
    folder: Path,
    stage: MatchingStage | ImageStage,
    training: Training,
    state: State,
    write_weights: Callable[[Path], None],
) -> None:
    write_atomically(folder / "last.safetensors", write_weights)
    save_checkpoint(folder, stage, training, state)
    if state.skipped:
        (folder / SKIPPED).write_text("".join(f"{why}\n" for why in state.skipped), encoding="utf-8")
