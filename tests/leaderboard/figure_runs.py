"""Run files for the tests of figures: other protocols, other methods, robustness."""

from collections.abc import Sequence
from typing import Any

from msgspec import structs
from runs import make

from refsr_bench.core.reader import digest
from refsr_bench.core.results import seal
from refsr_bench.core.schema import ImageRecord, MetricInfo, Result, Variation

HOSTILE = "</text><script>alert(1)</script> $\\frac{x}$ \x00\u202e../../etc"
AEE = MetricInfo("aee", "AEE", "lower", "HR pixels", 2)


def under(result: Result, label: str = "c2", **fields: Any) -> Result:
    """The same numbers under a protocol with other fields."""
    protocol = result.run.protocol
    merged = {**protocol.fields, "refs": "standard", "standard_refs": {"*": "level:1"}, **fields}
    name, *settings = label.split("+")
    overrides = tuple(setting.partition("=")[0] for setting in settings)
    protocol = structs.replace(
        protocol, label=label, name=name, fields=merged, digest=digest(merged), overrides=overrides
    )
    return structs.replace(result, run=structs.replace(result.run, protocol=protocol))


def known(result: Result, **facts: Any) -> Result:
    """The same numbers of a method with other facts."""
    method = structs.replace(result.run.method, **facts)
    return structs.replace(result, run=structs.replace(result.run, method=method))


def robust(name: str, level: str, psnr: Sequence[float], aee: Sequence[float] | None, ids: str = "p") -> Result:
    """A robustness run on "sample"; level: "rotation 20", "unrelated"; ids: the prefix of its pairs' ids."""
    change = Variation("sample", level.split()[0], level.split()[-1], "Sample")
    result = make(name, psnr, dataset=f"sample.{level.replace(' ', '.')}", kind="robustness", variation=change)
    records = {
        f"{ids}{n}": ImageRecord(f"{ids}{n}", {"psnr_y": float(value)} | ({"aee": float(aee[n])} if aee else {}))
        for n, value in enumerate(psnr)
    }
    run = structs.replace(
        result.run, pair_ids=tuple(records), metrics=(*result.run.metrics, *([AEE] if aee else []))
    )
    return seal(run, records)
