"""Everything that training can be told, with the paper's values as defaults (sections 3.5 and A; what it leaves open is
as the authors' option files have it), and the named configurations in ``configs/``."""

from __future__ import annotations

import dataclasses
import difflib
import tomllib
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from c2matching.nets.restoration import RestorationConfig
from refsr_bench.core.errors import Misuse

CONFIGS = Path(__file__).parent / "configs"
STAGES = ("teacher", "student", "restoration")
WORDS = {
    "precision": ("float32", "bfloat16"),
    "start": ("imagenet", "random", "teacher"),
    "features": ("imagenet", "extractor", "random"),
    "initialise": ("paper", "kaiming"),
}
LEAST = dict.fromkeys(("iterations", "batch", "accumulate", "log_every", "validate_every", "validation"), 1)
LEAST |= {"max_shift": 1, "scale": 1, "crop": 64, "channels": 2, "groups": 1}
MAY_CHANGE = ("iterations", "validate_every", "workers")  # when a training is resumed


@dataclass(frozen=True)
class Run:
    """How a training is carried out. precision: ``float32`` or ``bfloat16``. accumulate: micro-batches per step and
    process. held_out: photos kept for validation, at most a fifth. validation: pairs measured at a validation.
    workers: processes that read images. log_every, validate_every (and checkpoint): iterations."""

    seed: int = 10
    precision: str = "float32"
    accumulate: int = 1
    held_out: int = 22
    validation: int = 22
    log_every: int = 100
    validate_every: int = 5000
    workers: int = 0


@dataclass(frozen=True)
class Views:
    """The synthetic transformation between an image and its reference.

    max_shift: corners of a square as large as the crop move by 0..max_shift-1 pixels with a random sign per coordinate.
    Then, all off in the paper: rotation, up to so many degrees either way; scale, by up to this factor either way;
    photometric, gain and gamma up to 1 +- this; blur, Gaussian of up to this many pixels.
    """

    max_shift: int = 10
    rotation: float = 0.0
    scale: float = 1.0
    photometric: float = 0.0
    blur: float = 0.0


@dataclass(frozen=True)
class Photos:
    """Use of the photos. shrink: photos whose short side exceeds 400 pixels are reduced by a random factor from this to
    1 first. unrelated: share of restoration pairs that get some other photo as reference, same_scene: share that get
    another photo of the scene where there is one (pairs of a data set always keep theirs), the rest a view of itself.
    """

    shrink: float = 1.0
    unrelated: float = 0.0
    same_scene: float = 1.0


@dataclass(frozen=True)
class MatchingTraining:
    """The correspondence network, Eq. (1) to (7). Without a teacher only the margin loss is used.

    start: ``imagenet`` (VGG16), ``random`` or, for the student, ``teacher``. crop: pixels. rate: Adam's; it falls to a
    tenth after the iterations ``decays`` and rises linearly over the first ``ramp``. clip: largest norm of the
    gradient, 0: any. margin, safe_radius (T of Eq. (3), in descriptor cells of 4 pixels), temperature,
    distillation_weight: Eq. (1) to (7). warm_up: iterations with the cross entropy of Eq. (4) instead, at
    ``warm_up_temperature``, a gentle start for networks that do not come from ImageNet; none in the paper.
    """

    iterations: int = 75_000
    batch: int = 8
    crop: int = 160
    start: str = "imagenet"
    rate: float = 1e-3
    decays: tuple[int, ...] = ()
    ramp: int = 0
    clip: float = 0.0
    margin: float = 1.0
    safe_radius: int = 4
    temperature: float = 0.15
    distillation_weight: float = 15.0
    warm_up: int = 0
    warm_up_temperature: float = 0.07


@dataclass(frozen=True)
class RestorationTraining:
    """The restoration network: weights of the losses, and Adam's rates. Iterations count from 1.

    features: what reads the reference, ``imagenet`` (VGG19), ``extractor`` (the student's branch 2) or ``random``.
    initialise: ``paper`` (normal, 0.02) or ``kaiming``. warm_up: iterations of a GAN training with reconstruction
    loss alone. ``*_offset_rate``: of the layers that predict offsets and masks. ``*_decays``: after these iterations
    the rates fall to a tenth. cosine: the generator's rates follow a half cosine to a fiftieth instead. ramp, clip: as
    in the matching stages. average: decay per iteration of the moving average of the weights that is kept, 0: none.
    """

    iterations: int = 255_000
    batch: int = 9
    crop: int = 160
    features: str = "imagenet"
    initialise: str = "paper"
    reconstruction_weight: float = 1.0
    perceptual_weight: float = 1e-4
    adversarial_weight: float = 1e-6
    penalty_weight: float = 10.0
    warm_up: int = 10_000
    rate: float = 1e-4
    small_offset_rate: float = 1e-6
    medium_offset_rate: float = 1e-5
    large_offset_rate: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.999)
    decays: tuple[int, ...] = (72_545, 211_040)
    cosine: bool = False
    ramp: int = 0
    clip: float = 0.0
    average: float = 0.0
    discriminator_rate: float = 1e-4
    discriminator_decays: tuple[int, ...] = (72_545, 211_040)


@dataclass(frozen=True)
class Training:
    """One configuration file: a table per field."""

    run: Run = Run()
    views: Views = Views()
    photos: Photos = Photos()
    teacher: MatchingTraining = MatchingTraining(iterations=5000)
    student: MatchingTraining = MatchingTraining(decays=(72_545,))
    restoration: RestorationTraining = RestorationTraining()
    network: RestorationConfig = field(default_factory=RestorationConfig)


PAPER = Training()


def factor_at(iteration: int, decays: Sequence[int], ramp: int = 0) -> float:
    """What a rate is multiplied by: 0.1 for each of ``decays`` (ascending) before ``iteration``, less in the ramp."""
    return 0.1 ** bisect_left(decays, iteration) * min(1.0, iteration / ramp if ramp else 1.0)


def named() -> list[str]:
    """The configurations that come with the package."""
    return sorted(path.stem for path in CONFIGS.glob("*.toml"))


def load(sources: Sequence[str] = (), settings: Sequence[str] = (), stage: str | None = None) -> Training:
    """The paper's configuration, changed by each of ``sources`` in turn, then by ``settings``.

    sources: names of configurations that come with the package, or TOML files. settings: ``table.field=value``, or
    ``field=value`` for the table of ``stage``. Raises Misuse naming the source and the field that does not fit.
    """
    training = PAPER
    for source in sources:
        path = CONFIGS / f"{source}.toml" if source in named() else Path(source)
        if not path.is_file():
            raise Misuse(f"--config {source}: neither a file nor one of {', '.join(named())}.")
        try:
            tables = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise Misuse(f"{path} is no TOML file: {error}.") from None
        training = changed(training, tables, str(path))
    for setting in settings:
        name, equals, text = setting.partition("=")
        table, dot, key = name.strip().rpartition(".")
        if not equals or not (dot or stage):
            raise Misuse(f"--set {setting}: expected TABLE.FIELD=VALUE.")
        training = changed(training, {table or stage: {key: _value(text.strip())}}, f"--set {setting}")
    return training


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def changed(training: Training, tables: Mapping[str, Any], source: str) -> Training:
    """``training`` with the values of ``tables``; ``source`` is what errors name."""
    tables = dict(tables)
    for name, values in tables.items():
        table = getattr(training, _known(name, training, source, "table"))
        if not isinstance(values, Mapping):
            raise Misuse(f"{source}: {name} must be a table, [{name}].")
        given = {}
        for key, value in values.items():
            default = getattr(table, _known(key, table, source, f"field of [{name}]"))
            given[key] = _checked(key, value, default, f"{source}: {name}.{key}")
        try:
            training = dataclasses.replace(training, **{name: dataclasses.replace(table, **given)})
        except ValueError as error:
            raise Misuse(f"{source}: [{name}]: {error}.") from None
    return training


def _known(name: str, owner: Any, source: str, what: str) -> str:
    names = [f.name for f in dataclasses.fields(owner)]
    if name in names:
        return name
    near = difflib.get_close_matches(name, names, 1)
    hint = f"Did you mean {near[0]}?" if near else f"Known: {', '.join(names)}."
    raise Misuse(f"{source}: there is no {what} called {name}. {hint}")


def _checked(key: str, value: Any, default: Any, where: str) -> Any:
    """``value`` in the type of ``default``; whole numbers do for floats, nothing else is converted."""
    number = type(value) in (int, float)
    if isinstance(default, tuple) and isinstance(value, list) and all(type(v) in (int, float) for v in value):
        value = tuple(value)
    elif isinstance(default, float) and number:
        value = float(value)
    elif type(value) is not type(default):
        words = {tuple: "a list of numbers", float: "a number", int: "a whole number", bool: "true or false"}
        raise Misuse(f"{where} is {value!r}, it must be {words.get(type(default), 'a word')}.")
    if number and value < LEAST.get(key, 0):
        raise Misuse(f"{where} is {value}, it must be at least {LEAST.get(key, 0)}.")
    if key in WORDS and value not in WORDS[key]:
        raise Misuse(f"{where} is {value!r}, it must be one of {', '.join(WORDS[key])}.")
    if key == "crop" and value % 16:
        raise Misuse(f"{where} is {value}, it must be a multiple of 16.")
    return value


def as_toml(training: Training) -> str:
    """The whole configuration as a TOML file that ``load`` reads back."""

    def text(value: Any) -> str:
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, tuple):
            return f"[{', '.join(map(text, value))}]"
        return f'"{value}"' if isinstance(value, str) else repr(value)

    tables = ((f.name, getattr(training, f.name)) for f in dataclasses.fields(training))
    return "\n".join(
        "\n".join([f"[{name}]", *(f"{f.name} = {text(getattr(table, f.name))}" for f in dataclasses.fields(table)), ""])
        for name, table in tables
    )


def differences(before: Training, now: Training) -> list[str]:
    """'table.field: before, now' for everything that must be the same when a training is resumed but is not."""
    found = []
    for table in dataclasses.fields(now):
        old, new = getattr(before, table.name), getattr(now, table.name)
        for f in dataclasses.fields(new):
            if f.name not in MAY_CHANGE and getattr(old, f.name) != getattr(new, f.name):
                found.append(f"{table.name}.{f.name}: {getattr(old, f.name)}, now {getattr(new, f.name)}")
    return found
