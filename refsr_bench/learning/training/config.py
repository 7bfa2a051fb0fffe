"""The configuration of a training, and the named configurations in ``configs/``.

The defaults are the paper's values (sections 3.5 and A), or those of the authors' option files where it is silent.
"""

from __future__ import annotations

import dataclasses
import json
import math
import tomllib
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.names import did_you_mean
from refsr_bench.core.reader import LARGEST, Format, convert, read_toml, to_json

CONFIGS = Path(__file__).parent / "configs"
MAY_CHANGE = ("iterations", "validate_every", "workers")  # the fields that may differ when a training is resumed

MOST = 1_000_000_000  # of anything counted: an iteration takes milliseconds, so a billion take months

Seed = Annotated[int, Meta(ge=0, le=2**63 - 1)]  # PyTorch's generators take 64 bits
Whole = Annotated[int, Meta(ge=0, le=MOST)]
Positive = Annotated[int, Meta(ge=1, le=MOST)]
Workers = Annotated[int, Meta(ge=0, le=256)]  # each is a process
Number = Annotated[float, Meta(ge=0, le=LARGEST)]
Share = Annotated[float, Meta(ge=0, le=1)]
Decay = Annotated[float, Meta(ge=0, lt=1)]
Crop = Annotated[int, Meta(ge=64, le=1 << 16, multiple_of=16)]  # the perceptual loss reads relu5_1, at 1/16 of the crop

Kind = TypeVar("Kind", bound="Training")


class Run(Format):
    """The way a training is carried out.

    accumulate: micro-batches per step and process. held_out: photos kept for validation, at most a fifth of all.
    validation: pairs measured per validation. workers: processes that read images. log_every: iterations between log
    lines. validate_every: iterations between validations, each of which also writes a checkpoint.
    """

    seed: Seed = 10
    precision: Literal["float32", "bfloat16"] = "float32"
    accumulate: Positive = 1
    held_out: Whole = 22
    validation: Positive = 22
    log_every: Positive = 100
    validate_every: Positive = 5000
    workers: Workers = 0


class Views(Format):
    """The synthetic transformation between an image and its reference.

    max_shift: the corners of a square as large as the crop move by 0..max_shift-1 pixels, with a random sign per
    coordinate. The paper has no other change. rotation: up to this many degrees either way. scale: up to this factor
    either way. photometric: gain and gamma within 1 +- this. blur: Gaussian, of up to this many pixels.
    """

    max_shift: Positive = 10
    rotation: Number = 0.0
    scale: Annotated[float, Meta(ge=1, le=100)] = 1.0
    photometric: Decay = 0.0
    blur: Number = 0.0


class Photos(Format):
    """The use of the photos.

    shrink: photos whose short side exceeds 400 pixels are first reduced by a random factor from this to 1. unrelated:
    the share of restoration pairs whose reference is some other photo. same_scene: the share whose reference is another
    photo of the scene, if there is one. The rest get a view of the photo itself. Pairs of a data set keep their own
    references.
    """

    shrink: Share = 1.0
    unrelated: Share = 0.0
    same_scene: Share = 1.0


class RestorationTraining(Format):
    """The training of the network that makes SR images: loss weights and Adam's rates. Iterations count from 1.

    features: the network that reads the reference: ``imagenet`` (VGG19), ``extractor`` (the student's branch 2) or
    ``random``. initialise: ``paper`` (normal, 0.02) or ``kaiming``. warm_up: the first iterations of a GAN training,
    with reconstruction loss alone. ``*_offset_rate``: rates of C2-Matching's layers that predict offsets and masks.
    ``*_decays``: iterations after which the rates fall to a tenth. cosine: the generator's rates also fall along a
    half cosine, to a fiftieth. ramp: iterations over which they rise linearly at first. clip: the largest norm of the
    gradient, 0 for no limit. average: the decay per iteration of a moving average of the weights, 0 for none.
    """

    iterations: Positive = 255_000
    batch: Positive = 9
    crop: Crop = 160
    features: Literal["imagenet", "extractor", "random"] = "imagenet"
    initialise: Literal["paper", "kaiming"] = "paper"
    reconstruction_weight: Number = 1.0
    perceptual_weight: Number = 1e-4
    adversarial_weight: Number = 1e-6
    penalty_weight: Number = 10.0
    warm_up: Whole = 10_000
    rate: Number = 1e-4
    small_offset_rate: Number = 1e-6
    medium_offset_rate: Number = 1e-5
    large_offset_rate: Number = 1e-4
    betas: tuple[Decay, Decay] = (0.9, 0.999)
    decays: tuple[Whole, ...] = (72_545, 211_040)
    cosine: bool = False
    ramp: Whole = 0
    clip: Number = 0.0
    average: Decay = 0.0
    discriminator_rate: Number = 1e-4
    discriminator_decays: tuple[Whole, ...] = (72_545, 211_040)


class Training(Format):
    """One configuration file: a table per field.

    elsewhere: tables that only other systems have. They are skipped, so one file can serve several systems.
    """

    elsewhere: ClassVar[tuple[str, ...]] = ("teacher", "student", "network")

    run: Run = Run()
    views: Views = Views()
    photos: Photos = Photos()
    restoration: RestorationTraining = RestorationTraining()


def factor_at(iteration: int, decays: Sequence[int], ramp: int = 0) -> float:
    """Return the factor of a rate: 0.1 for each of ``decays`` (ascending) before ``iteration``, less in the ramp."""
    return 0.1 ** bisect_left(decays, iteration) * min(1.0, iteration / ramp if ramp else 1.0)


# -- reading -------------------------------------------------------------------------------------------------------


def named() -> list[str]:
    """Return the names of the configurations that come with the package, sorted."""
    return sorted(path.stem for path in CONFIGS.glob("*.toml"))


def load(kind: type[Kind], sources: Sequence[str] = (), settings: Sequence[str] = (), stage: str = "") -> Kind:
    """Load a configuration: the paper's, changed by each of ``sources`` in turn, then by ``settings``.

    sources: names of configurations that come with the package, or TOML files. settings: ``table.field=value``, or
    ``field=value`` for the table of ``stage``. Raises Misuse naming the source and the field that does not fit.
    """
    training = kind()
    for source in sources:
        path = CONFIGS / f"{source}.toml" if source in named() else Path(source)
        if not path.is_file():
            raise Misuse(f"--recipe {source}: neither a file nor one of {', '.join(named())}.")
        try:
            tables = read_toml(path)
        except BenchError as error:
            raise Misuse(str(error)) from None
        training = changed(training, tables, str(path))
    for setting in settings:
        name, equals, text = setting.partition("=")
        table, dot, key = name.strip().rpartition(".")
        if not equals or not (dot or stage):
            raise Misuse(f"--set {setting}: expected TABLE.FIELD=VALUE.")
        try:
            value = _value(text.strip())
        except (RecursionError, ValueError):
            raise Misuse(f"--set {setting[:80]}: no value that TOML knows.") from None
        training = changed(training, {table or stage: {key: value}}, f"--set {setting}")
    return training


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def changed(training: Kind, tables: Mapping[str, Any], source: str) -> Kind:
    """Replace fields of a configuration. tables: values by field by table; source: the name that errors give.

    Raises Misuse for an unknown table or field and for a value that does not fit.
    """
    for name, values in tables.items():
        if name in training.elsewhere:
            continue
        table = getattr(training, _known(name, training, source, "table"))
        if not isinstance(values, Mapping):
            raise Misuse(f"{source}: {name} must be a table, [{name}].")
        kinds = get_type_hints(type(table), include_extras=True)
        given = {}
        for key, value in values.items():
            _known(key, table, source, f"field of [{name}]")
            given[key] = _checked(value, kinds[key], f"{source}: {name}.{key}")
        replace = dataclasses.replace if dataclasses.is_dataclass(table) else msgspec.structs.replace
        try:
            training = msgspec.structs.replace(training, **{name: replace(table, **given)})
        except ValueError as error:
            raise Misuse(f"{source}: [{name}]: {error}.") from None
    return training


def _known(name: str, owner: Any, source: str, what: str) -> str:
    names = list(to_json(owner))
    if name in names:
        return name
    raise Misuse(f"{source}: there is no {what} called {name}. {did_you_mean(name, names)}")


def _checked(value: Any, kind: Any, where: str) -> Any:
    try:
        if isinstance(value, float) and math.isnan(value):  # which is not below any limit
            raise BenchError(f"{where}: NaN is no number.")
        if isinstance(value, list):
            value = [_checked(item, Any, where) for item in value]
        return convert(value, kind, where)
    except BenchError as error:
        known = f" It must be one of {', '.join(get_args(kind))}." if get_origin(kind) is Literal else ""
        raise Misuse(f"{error}{known}") from None


# -- writing and comparing -----------------------------------------------------------------------------------------


def as_toml(training: Training) -> str:
    """Write the whole configuration as TOML text that ``load`` reads back."""
    tables = to_json(training).items()  # JSON writes numbers, strings, booleans and lists as TOML does
    lines = ([f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())] for name, table in tables)
    return "\n".join("\n".join([*table, ""]) for table in lines)


def differences(before: Training, now: Training) -> list[str]:
    """List the fields that a resumed training may not change but does, as 'table.field: before, now value'."""
    old = to_json(before)
    return [
        f"{name}.{key}: {old[name][key]}, now {value}"
        for name, table in to_json(now).items()
        for key, value in table.items()
        if key not in MAY_CHANGE and old[name][key] != value
    ]
