"""The settings of a project: ``build.toml`` holds those that differ from the defaults."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta

from refsr_bench.builder import licenses as known
from refsr_bench.core import reader
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.names import did_you_mean
from refsr_bench.core.reader import LARGEST, Count, Format, Text

FILE = "build.toml"
Positive = Annotated[int, Meta(ge=1, le=1_000_000)]
Amount = Annotated[float, Meta(ge=0, le=LARGEST)]


class Settings(Format):
    """The choices of a project; the defaults are the paper's where it gives a value.

    name, title: of the data set. contact: the address that tells web servers who asks. scale: of super-resolution. top:
    candidates per query. providers: in the order in which they are asked. licenses: those accepted from the web.

    These filter queries and candidates: min_long_side in pixels; ref_min_share, a share of the input's long side;
    sharpness, the variance of the Laplacian at native size; jpeg_quality. hash_distance, pool_distance: pHash bits of
    64 up to which a candidate duplicates the query, or a better candidate. leak_share, leak_psnr: see ``copies``.
    min_inliers: the matches that count as verified, for ranks, for a scale estimate, and for --auto to accept a
    candidate.

    max_ratio: a reference is reduced when it shows more than this many pixels per pixel of the input. If the matches
    allow no estimate, it is reduced when its long side is more than this times the input's. max_long_ratio: bounds its
    long side in any case. embedding: "descriptor" (no weights), or "torchvision:NAME" or "timm:NAME" with ``weights``,
    a local file.
    """

    name: Text = "wrsr-new"
    title: Text = "WR-SR, rebuilt"
    contact: Text = ""
    scale: Positive = 4
    top: Positive = 50
    providers: tuple[str, ...] = ("local",)
    licenses: tuple[str, ...] = known.OPEN
    query_min_long_side: Count = 320
    query_max_long_side: Count = 0  # 0: any
    query_sharpness: Amount = 50.0
    query_jpeg_quality: Count = 50
    ref_min_long_side: Count = 320
    ref_min_share: Amount = 0.66
    ref_sharpness: Amount = 50.0
    ref_jpeg_quality: Count = 50
    hash_distance: Count = 6
    pool_distance: Count = 10
    leak_share: Amount = 0.1
    leak_psnr: Amount = 27.0
    min_inliers: Count = 12
    max_ratio: Amount = 1.2
    max_long_ratio: Amount = 2.0
    embedding: Text = "descriptor"
    weights: Text = ""


def changed(values: Mapping[str, Any], source: str) -> Settings:
    """The defaults with ``values``; raises Misuse naming ``source`` for unknown names and values that do not fit."""
    names = Settings.__struct_fields__
    for name in values:
        if name not in names:
            raise Misuse(f"{source}: there is no setting called {name}. {did_you_mean(name, names)}")
    try:
        return reader.convert(dict(values), Settings, source)
    except BenchError as error:
        raise Misuse(str(error)) from None


def read(path: Path) -> Settings:
    """Return the settings of a file. Raises Misuse for a file that is no TOML or does not fit."""
    try:
        values = reader.read_toml(path)
    except BenchError as error:
        raise Misuse(str(error)) from None
    return changed(values, str(path))


def parse(settings: Sequence[str]) -> dict[str, Any]:
    """Parse ``NAME=VALUE`` from a command line; values are TOML or plain text."""
    values = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals or text.encode(errors="ignore").decode() != text:  # bytes that are no UTF-8 have no encoding
            raise Misuse(f"--set {setting!a}: expected NAME=VALUE in UTF-8.")
        try:
            values[name.strip()] = tomllib.loads(f"value = {text}")["value"]
        except (ValueError, RecursionError):  # no TOML, or a number of thousands of digits
            values[name.strip()] = text
    return values


def as_toml(settings: Settings) -> str:
    """Return the settings that differ from the defaults, as a TOML file that ``read`` reads back."""
    lines = ["# Settings that differ from the defaults (refsr_bench/builder/settings.py, class Settings)."]
    for name, default in zip(Settings.__struct_fields__, Settings.__struct_defaults__, strict=True):
        value = getattr(settings, name)
        if value != default:  # JSON's numbers, strings and lists are valid TOML, except that TOML wants DEL escaped
            lines.append(f"{name} = {json.dumps(value, ensure_ascii=False)}".replace("\x7f", "\\u007f"))
    return "\n".join(lines) + "\n"
