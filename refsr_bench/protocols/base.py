"""Defines Protocol: every choice between an HR image with its references and a number, as one frozen object."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.lists import grouped
from refsr_bench.core.names import did_you_mean, nearest
from refsr_bench.core.reader import digest
from refsr_bench.core.types import Image, ImageSource, RefPair, Sample
from refsr_bench.pixels.crop import ceil_multiple, mod_crop
from refsr_bench.pixels.resize import RESIZERS
from refsr_bench.protocols._lr_and_refs import fit, framed, make_lr, pad_common
from refsr_bench.protocols._references import choose, parse_rule, stitch
from refsr_bench.protocols.wording import WORDS, words

# Tables by data set name; "*" stands for every other one. Sets without reference images take the LR image, as Urban100
# does in the papers.
_C2_REFS = {
    "bsd100": "lr",
    "cufed5": "level:1",
    "manga109": "list",
    "sample": "level:1",
    "set14": "lr",
    "set5": "lr",
    "sun80": "list",
    "urban100": "lr",
    "wrsr": "first",
    "*": "first",
}


def standard_refs(**changes: str) -> tuple[tuple[str, str], ...]:
    """Return the reference rules of ``c2`` by data set, with these changes."""
    return tuple({**_C2_REFS, **changes}.items())


def _one_of(allowed: Iterable[str], text: str) -> str:
    if text not in allowed:
        near = nearest(text, allowed, 0.4)[:1]
        raise ValueError(f"it takes {', '.join(allowed)}" + (f"; did you mean {near[0]}?" if near else ""))
    return text


def _number(low: int, high: int, text: str) -> int:
    if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
        raise ValueError(f"it takes a whole number from {low} to {high}")
    return int(text)


def _truth(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError("it takes true or false")
    return text.lower() == "true"


def _standard_or_rule(text: str) -> str:
    try:
        return text if text == "standard" else parse_rule(text)
    except ValueError as error:
        raise ValueError(f"{error}, or standard") from None


def _table(parse: Callable[[str], Any], text: str) -> tuple[tuple[str, Any], ...]:
    table = {}
    for entry in filter(None, text.split(",")):
        name, equals, value = entry.partition("=")
        if not equals:
            raise ValueError("it takes NAME=VALUE,NAME=VALUE,... with data set names")
        table[name.strip()] = parse(value.strip())
    return tuple(sorted(table.items(), key=lambda item: (item[0] == "*", item[0])))


def _value(default: Any, parse: Callable[[str], Any]) -> Any:
    """Return a field that ``changed`` reads with ``parse`` (text to value, ValueError saying what is possible)."""
    return dataclasses.field(default=default, metadata={"parse": parse})


def _choice(name: str) -> Any:
    """Return a field with the few values that WORDS names; the first is the default."""
    return dataclasses.field(default=next(iter(WORDS[name])), metadata={"parse": partial(_one_of, tuple(WORDS[name]))})


@dataclass(frozen=True)
class Protocol:
    """A convention for making numbers.

    Defaults are the ``c2`` convention; every field but name and version can be overridden. Equal fields give an equal
    digest, and numbers with different digests are never put into one table. Raises Misuse when fields contradict each
    other.
    """

    name: str
    version: int
    # The module ``wording`` says what each field decides, and names its values.
    scale: int = _value(4, partial(_number, 2, 16))
    hr_fit: str = _choice("hr_fit")
    hr_multiple: int = _value(4, partial(_number, 2, 1024))
    hr_multiple_for: tuple[tuple[str, int], ...] = _value((), partial(_table, partial(_number, 2, 1024)))
    lr_resizer: str = _choice("lr_resizer")
    sr_values: str = _choice("sr_values")
    border: int = _value(4, partial(_number, 0, 1024))
    channel: str = _choice("channel")
    y_rounded: bool = _value(False, _truth)
    ssim_window: str = _choice("ssim_window")
    refs: str = _value("standard", _standard_or_rule)
    standard_refs: tuple[tuple[str, str], ...] = _value(standard_refs(), partial(_table, parse_rule))
    ref_lists: str = _choice("ref_lists")
    lr_ref: str = _choice("lr_ref")
    stitch: str = _choice("stitch")
    ref_size: str = _choice("ref_size")
    base: Protocol | None = dataclasses.field(default=None, compare=False, repr=False)  # set by changed()

    def __post_init__(self) -> None:
        for multiple in (self.hr_multiple, *(value for _, value in self.hr_multiple_for)):
            if multiple % self.scale:
                raise Misuse(
                    f"Protocol {self.name}: hr_multiple={multiple} is no multiple of scale={self.scale}, so LR would "
                    f"not fit HR. Also --set hr_multiple={ceil_multiple(multiple, self.scale)}"
                    + (" --set hr_multiple_for=" if self.hr_multiple_for else "")
                )
        if (self.channel, self.ssim_window) not in _SSIM:
            raise Misuse(
                f"Protocol {self.name}: there is no SSIM with the {self.ssim_window} window on channel {self.channel}; "
                "uniform7 is for channel=y."
            )

    # -- what the protocol is --------------------------------------------------------------------------------------

    def fields(self) -> dict[str, Any]:
        """Return every choice by name, with name and version, as JSON values; the digest is taken over these."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "base"}
        return {name: dict(value) if isinstance(value, tuple) else value for name, value in values.items()}

    @property
    def digest(self) -> str:
        """Return SHA-256 (hex) over ``fields()``."""
        return digest(self.fields())

    @property
    def label(self) -> str:
        """The name, then every override: "c2" or "c2+border=0+refs=all". ``parse_label`` reads it."""
        return "+".join([self.name, *(f"{name}={value_text(value)}" for name, value in self.overrides.items())])

    @property
    def overrides(self) -> dict[str, Any]:
        """Return the fields that differ from the protocol of the same name, in alphabetical order."""
        before = (self.base or self).fields()
        return {name: value for name, value in sorted(self.fields().items()) if value != before[name]}

    @property
    def psnr(self) -> str:
        """The name of the headline PSNR metric."""
        return _PSNR[self.channel]

    @property
    def ssim(self) -> str:
        """The name of the headline SSIM metric."""
        return _SSIM[self.channel, self.ssim_window]

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics to report, the headline pair first."""
        return tuple(dict.fromkeys((self.psnr, self.ssim, *_ALWAYS)))

    @property
    def summary(self) -> str:
        """Return the choices in two or three sentences."""
        return f"{self._pixels()} {self._measure()} {self._references()}"

    def _pixels(self) -> str:
        multiples = ", ".join([str(self.hr_multiple), *(f"{name} {value}" for name, value in self.hr_multiple_for)])
        return f"x{self.scale}, LR by {self.lr_resizer}, HR {self.hr_fit} to multiples of {multiples}."

    def _measure(self) -> str:
        rounded = "rounded " if self.y_rounded and self.channel != "rgb" else ""
        return (
            f"PSNR and SSIM ({words('ssim_window', self.ssim_window)}) on {rounded}{words('channel', self.channel)}, "
            f"{self.border or 'no'} border pixels left out."
        )

    def _references(self) -> str:
        rule = self.refs
        if rule == "standard":
            named = (("others" if name == "*" else name, value) for name, value in self.standard_refs)
            by_rule = grouped(named, lambda item: item[1])
            rule = ", ".join(f"{value} for {'/'.join(name for name, _ in own)}" for value, own in by_rule.items())
        stitched = f"; several stitched ({self.stitch})" if self.stitch != "none" else ""
        return f"References: {rule}; sizes: {self.ref_size}{stitched}."

    # -- another protocol from this one ----------------------------------------------------------------------------

    def changed(self, values: Mapping[str, str]) -> Protocol:
        """Return this protocol with some fields set from text. A value that the field already has is no change.

        Raises Misuse for an unknown field (with the nearest name), a value it does not take, or a contradiction.
        """
        parsed = {name: self._parse(name, text) for name, text in values.items()}
        return dataclasses.replace(self, **parsed, base=self.base or self)

    def _parse(self, name: str, text: str) -> Any:
        if name not in _METADATA:
            raise Misuse(f"A protocol has no field '{name}'. {did_you_mean(name, _METADATA)}")
        try:
            return _METADATA[name]["parse"](text.strip())
        except ValueError as error:
            raise Misuse(f"{name}={text}: {error}.") from None

    # -- what the protocol does ------------------------------------------------------------------------------------

    def rule_for(self, dataset: str) -> str:
        """Return the reference rule that holds for a data set."""
        if self.refs != "standard":
            return self.refs
        table = dict(self.standard_refs)
        if dataset not in table and "*" not in table:
            raise Misuse(f"Protocol {self.label} states no reference rule for '{dataset}'. Name one with --refs.")
        return table.get(dataset, table.get("*"))

    def references(self, pair: RefPair, dataset: str) -> tuple[ImageSource, ...]:
        """Return the reference images chosen for a pair, in order; none if LR stands in for them or none is wanted.

        Raises BenchError naming the pair when no reference fits, Misuse when the rule does not fit the data set.
        """
        rule = self.rule_for(dataset)
        return () if rule in ("none", "lr") else choose(rule, pair, dataset)

    def prepare(self, pair: RefPair, dataset: str) -> Sample:
        """Make LR and references from a pair. ``lr * scale`` is the size a method must return; ``crop`` finds HR in it.

        Raises BenchError naming the pair when an image is unreadable, too small, or no reference fits the rule; Misuse
        when the rule does not fit the data set.
        """
        where = f"'{pair.id}' of {dataset}"
        multiple = dict(self.hr_multiple_for).get(dataset, self.hr_multiple)
        hr, frame, corner = framed(pair.hr.load(), self.hr_fit, multiple)
        if min(hr.shape[:2]) < self.scale:
            raise BenchError(
                f"The HR image of pair {where} ({pair.hr.name}) is too small: {hr.shape[1]}x{hr.shape[0]} pixels "
                f"remain after {self.hr_fit} to multiples of {multiple}, and x{self.scale} needs at least {self.scale}."
            )

        refs, names = self._refs(pair, dataset, frame, multiple)
        if self.stitch != "none" and len(refs) > 1:
            refs = [stitch(refs, names, self.stitch, pair.id)]
        if self.ref_size == "pad-common":
            frame, refs = pad_common(frame, refs, self.scale)
        else:
            refs = [fit(ref, frame, self.ref_size, RESIZERS[self.lr_resizer]) for ref in refs]
        return Sample(
            id=pair.id,
            hr=hr,
            lr=make_lr(frame, self.scale, self.lr_resizer),
            refs=tuple(refs),
            scale=self.scale,
            crop=(*corner, *hr.shape[:2]),
            ref_names=tuple(names),
        )

    def _refs(self, pair: RefPair, dataset: str, frame: Image, multiple: int) -> tuple[list[Image], list[str]]:
        rule = self.rule_for(dataset)
        if rule == "none":
            return [], []
        if rule == "lr":
            lr = make_lr(frame, self.scale, self.lr_resizer)
            up = self.lr_ref == "lr-up"
            return [RESIZERS[self.lr_resizer](lr, *frame.shape[:2]) if up else lr], [self.lr_ref]
        images, names = [], []
        for ref in self.references(pair, dataset):
            image = ref.load()
            if self.ref_size in ("mod-crop", "pad-common"):
                image = mod_crop(image, multiple)
            if not image.size:
                raise BenchError(
                    f"Reference '{ref.name}' of pair '{pair.id}' of {dataset} is smaller than {multiple} pixels on a "
                    "side and vanishes when it is cut to a multiple. Use another reference or --set ref_size=native."
                )
            images.append(image)
            names.append(ref.name)
        return images, names


def parse_label(label: str, get: Callable[[str], Protocol]) -> Protocol:
    """Return the protocol behind a label.

    ``get`` finds a protocol by name. Raises Misuse like ``get`` and ``changed``.
    """
    name, *settings = label.split("+")
    return get(name).changed(parse_settings(settings))


def parse_settings(settings: Sequence[str]) -> dict[str, str]:
    """Parse ``["border=0", ...]`` into a mapping. Raises Misuse for a setting without "=" or a field named twice."""
    values: dict[str, str] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise Misuse(f"'{setting}' is no setting: write FIELD=VALUE, for example border=0.")
        if name.strip() in values:
            raise Misuse(f"The field '{name.strip()}' is set twice.")
        values[name.strip()] = value
    return values


def value_text(value: Any) -> str:
    """Return a field's value as text that ``changed`` reads."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return ",".join(f"{name}={item}" for name, item in value.items())
    return str(value)


_PSNR = {"y": "psnr_y", "y-full": "psnr_y_full", "rgb": "psnr_rgb"}
_SSIM = {
    ("y", "gauss11"): "ssim_y",
    ("y", "uniform7"): "ssim_y_uniform7",
    ("y-full", "gauss11"): "ssim_y_full",
    ("rgb", "gauss11"): "ssim_rgb",
}
_ALWAYS = ("psnr_y", "ssim_y", "ssim_y_uniform7", "psnr_rgb", "lpips")
_METADATA = {f.name: f.metadata for f in dataclasses.fields(Protocol) if f.metadata}
