"""Checks one submitted run file: whether it is whole, agrees with itself and is plausible.

Nothing of a submission is executed, imported or followed. ``refsr_bench.evaluation.remeasure`` measures images again;
this module looks only at the file and the published numbers.
"""

from __future__ import annotations

import itertools
import json
import math
import statistics
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leaderboard.reading.published import Published
from refsr_bench.core import files, lists, migrations, reader, schema
from refsr_bench.core.errors import BenchError
from refsr_bench.core.results import contradiction
from refsr_bench.core.schema import Result

MOST_IMAGES = 100_000
MOST_SHOWN = 20  # findings of the schema that are listed; a file of another kind has thousands

# The possible values of a metric, by the start of its name; PSNR may be infinite.
RANGES = {
    "psnr": (0.0, 100.0),
    "ssim": (-1.0, 1.0),
    "lpips": (0.0, 2.0),
    "dists": (-0.01, 2.0),  # rounding may leave equal images a little below 0
    "niqe": (0.0, math.inf),
    "aee": (0.0, math.inf),
    "pck": (0.0, 100.0),
    "coverage": (0.0, 100.0),
    "points": (0.0, math.inf),
}
ABOVE_BEST = 3.0  # dB over the best published number of a data set that call for an explanation
SAME = 60.0  # dB: SSIM is 1 only for the same images, within its rounding
SLACK = 0.02  # of SSIM: windows at the border weigh less in it than in PSNR
MANY = 10  # images from which a correlation is meaningful
FAR = 1.0  # dB between a method's measured and published numbers that call for an explanation


@dataclass(frozen=True)
class Finding:
    """One finding.

    level: "error" fails the check, "warning" needs a person's judgement. where: a field, a pair, or "" for the file.
    """

    level: str
    where: str
    text: str


def grouped(findings: Iterable[Finding]) -> list[Finding]:
    """Findings to print: those that say the same of several places as one, in the order of the first."""
    alike = lists.grouped(findings, lambda finding: (finding.level, finding.text))
    return [
        Finding(level, lists.some(list(dict.fromkeys(finding.where for finding in found)), 3), text)
        for (level, text), found in alike.items()
    ]


def read(path: Path) -> tuple[Result | None, list[Finding]]:
    """Read a stranger's run file of any version with all of its faults; None if it is no run file at all."""
    try:
        if path.is_symlink():
            raise BenchError(f"{path}: a link, not a file; send the file itself.")
        value = reader.parse_json(files.read_text(path), str(path))
        return file_findings(value, str(path))
    except BenchError as error:
        return None, [_of(error, str(path))]


def _of(error: BenchError, where: str) -> Finding:
    return Finding("error", "", str(error).removeprefix(f"{where}: "))


def schema_findings(value: Any) -> Iterator[Finding]:
    """Yield what the published JSON Schema of run files refuses, field by field, the first MOST_SHOWN."""
    from jsonschema import Draft202012Validator, ValidationError, validators

    def unique(validator: Any, due: bool, items: Any, _schema: Any) -> Iterator[ValidationError]:
        """Check texts as jsonschema does, whose own check of a mixture takes hours on a long list."""
        texts = [item for item in items if isinstance(item, str)] if isinstance(items, list) else []
        if due and len(set(texts)) < len(texts):
            yield ValidationError("names something twice")

    errors = validators.extend(Draft202012Validator, {"uniqueItems": unique})(schema.published()).iter_errors(value)
    for error in itertools.islice(errors, MOST_SHOWN):
        # A field may also be null, and the complaint about the other choice is the one that helps.
        found = next((inner for inner in error.context or () if inner.validator_value != "null"), error)
        where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in found.absolute_path)
        yield Finding("error", where.lstrip(".") or "the file", _words(found))


def _words(error: Any) -> str:
    """Turn a schema's complaint into a sentence that does not print somebody's whole file."""
    shown = json.dumps(error.instance, ensure_ascii=False)
    shown = shown if len(shown) <= 80 else f"{shown[:77]}..."
    rule, due = error.validator, error.validator_value
    if rule in ("required", "additionalProperties"):
        return error.message[:200]
    said = {
        "type": f"is {shown}; expected {due}",
        "enum": f"is {shown}; expected one of {', '.join(map(str, due)) if isinstance(due, list) else due}",
        "const": f"is {shown}; expected {due!r}",
        "pattern": f"is {shown}; expected 64 hexadecimal digits",
        "maxLength": f"is longer than {due} characters",
        "minLength": "is empty",
        "uniqueItems": "names a pair twice",
        "minimum": f"is {shown}; expected at least {due}",
        "maximum": f"is {shown}; expected at most {due}",
    }
    return said.get(rule, f"{shown}: {error.message[:160]}")


def file_findings(value: Any, where: str) -> tuple[Result | None, list[Finding]]:
    """Read a submission's JSON value as a Result with all of its faults; None if it is no run file at all.

    A file of an older version is first brought to this one, as every reader does. The reader stops at the first field
    that does not fit; the other faults then come from the published JSON Schema.
    """
    run = value.get("run") if isinstance(value, dict) else None
    pairs = run.get("pair_ids") if isinstance(run, dict) else None
    for name, items in (("images", value.get("images") if isinstance(value, dict) else None), ("run.pair_ids", pairs)):
        if isinstance(items, list) and len(items) > MOST_IMAGES:
            return None, [Finding("error", name, f"has {len(items)} entries; at most {MOST_IMAGES} are read")]
    current = None
    try:
        current = migrations.current(value, where)
        result = reader.convert(current, Result, where)
    except BenchError as error:
        return None, list(schema_findings(current) if current is not None else ()) or [_of(error, where)]
    if wrong := contradiction(result):
        return result, [Finding("error", "", wrong)]
    return result, [*_paths(result), *_values(result)]


def _paths(result: Result) -> Iterator[Finding]:
    run = result.run
    names = {
        "run.method.name": [run.method.name],
        "run.dataset.name": [run.dataset.name],
        "run.protocol.label": [run.protocol.label],
        "run.pair_ids": run.pair_ids,
        "images.refs": [name for image in result.images for name in image.refs],
    }
    for where, texts in names.items():
        for text in texts:
            if text.startswith(("/", "\\")) or ".." in text.replace("\\", "/").split("/") or not text.isprintable():
                yield Finding("error", where, f"{text[:80]!r} looks like a path out of its folder; expected a name")


def _values(result: Result) -> Iterator[Finding]:
    for image in result.images:
        where = f"image {image.id!r}"
        if image.error is not None:
            yield Finding("warning", where, f"failed: {image.error[:200]}")
            continue
        for name, value in image.metrics.items():
            low, high = next((RANGES[start] for start in RANGES if name.startswith(start)), (-math.inf, math.inf))
            if not (low <= value <= high or (value == math.inf and name.startswith("psnr"))):
                yield Finding("error", where, f"{name} is {value}, outside {low:g} to {high:g}")
        if image.sr_sha256 is None:
            yield Finding("warning", where, "has no digest of its SR image, so it cannot be re-measured")


def plausibility(result: Result, published: Iterable[Published]) -> Iterator[Finding]:
    """Yield what a reviewer would ask about: identical values, SR equal to HR, numbers far from the published ones.

    These are only warnings, because an unusual result may be true.
    """
    run = result.run
    psnr = run.protocol.psnr
    values = [image.metrics[psnr] for image in result.images if psnr in image.metrics]
    if run.dataset.official and run.dataset.n_pairs != len(run.pair_ids):
        yield Finding("warning", "run.pair_ids", f"{len(run.pair_ids)} of {run.dataset.n_pairs} pairs: never ranked")
    if len(values) > 2 and len(set(values)) == 1:
        yield Finding("warning", psnr, f"is the same on all {len(values)} images")
    if same := sum(value == math.inf for value in values):
        yield Finding("warning", psnr, f"is infinite on {same} images: SR equals HR there")
    yield from _disagreeing(result)
    digests = [image.sr_sha256 for image in result.images if image.sr_sha256]
    if len(set(digests)) < len(digests):
        yield Finding("warning", "sr_sha256", "several images have the same SR pixels")
    finite = [value for value in values if math.isfinite(value)]
    if not finite or not run.dataset.official or not result.complete:
        return
    mean = statistics.fmean(finite)
    entries = [entry for entry in published if entry.dataset == run.dataset.name and entry.comparable]
    if entries and mean > (best := max(entry.psnr for entry in entries)) + ABOVE_BEST:
        yield Finding("warning", psnr, f"{mean:.2f} dB is {mean - best:.1f} dB above the best published, {best:.2f}")
    own = [entry for entry in entries if entry.method == run.method.name]
    if own and min(abs(mean - entry.psnr) for entry in own) > FAR:
        told = ", ".join(sorted({f"{entry.psnr:.2f}" for entry in own}))
        yield Finding("warning", psnr, f"{mean:.2f} dB; published for {run.method.title}: {told}")


def least_ssim(psnr: float) -> float:
    """Return the smallest SSIM that 8-bit images of this PSNR (dB) can have, both on the same channel.

    Wang et al. 2004, eq. 12 and 13, K1 = 0.01 and K2 = 0.03: for an error of mean square m, the luminance term is at
    least C1 / (C1 + m) and the structure term (C2 - m/2) / (C2 + m/2). Below m = 40 (32 dB) the tangent to their
    product lies under it for every m that a window can have, so the mean over windows is no smaller than the product at
    the image's own m. Above it, the function returns -1.
    """
    m = 255**2 * 10 ** (-psnr / 10)
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    return c1 / (c1 + m) * (c2 - m / 2) / (c2 + m / 2) if m <= 40 else -1.0


def _disagreeing(result: Result) -> Iterator[Finding]:
    """Find pairs of PSNR and SSIM that cannot, or hardly, belong to the same images."""
    protocol = result.run.protocol
    both = [
        (image.id, image.metrics[protocol.psnr], image.metrics[protocol.ssim])
        for image in result.images
        if protocol.psnr in image.metrics and protocol.ssim in image.metrics
    ]
    for pair, psnr, ssim in both:
        if ssim < least_ssim(psnr) - SLACK or (ssim >= 1 and psnr < SAME):
            where = f"image {pair!r}"
            yield Finding("warning", where, f"{protocol.psnr} {psnr:.2f} dB and {protocol.ssim} {ssim:.4f} do not fit")
    if len(both) >= MANY and (agreement := _rank_correlation([(psnr, ssim) for _, psnr, ssim in both])) < 0:
        yield Finding(
            "warning",
            protocol.ssim,
            f"falls where {protocol.psnr} rises (rank correlation {agreement:.2f}): were images or columns mixed up?",
        )


def _rank_correlation(pairs: list[tuple[float, float]]) -> float:
    """Return Spearman's rank correlation of finite or infinite values; 0 if one of the two is constant."""
    from scipy.stats import spearmanr

    columns = list(zip(*pairs, strict=True))
    return 0.0 if any(len(set(column)) == 1 for column in columns) else float(spearmanr(*columns).statistic)
