"""Small run files for the leaderboard's tests, made through ``refsr_bench.core.results``."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from refsr_bench.core.reader import digest
from refsr_bench.core.results import seal, write_result
from refsr_bench.core.schema import (
    DatasetInfo,
    ImageRecord,
    Machine,
    MethodInfo,
    MetricInfo,
    ProtocolInfo,
    Result,
    Run,
    Variation,
    Weights,
)

METRICS = (
    MetricInfo("psnr_y", "PSNR-Y", "higher", "dB", 2),
    MetricInfo("ssim_y", "SSIM-Y", "higher", "", 4),
    MetricInfo("lpips", "LPIPS", "lower", "", 4),
)


def make(
    name: str,
    psnr: Sequence[float] = (24.0, 25.0, 26.0),
    ssim: Sequence[float] = (0.7, 0.75, 0.8),
    *,
    title: str | None = None,
    group: str = "Ref-SR",
    gan: bool = False,
    year: int = 2021,
    paper: str = "",
    weights: str = "none",
    sha256: str | None = None,
    dataset: str = "cufed5",
    manifest: str = "published",
    official: bool = True,
    notes: Sequence[str] = (),
    protocol: str = "c2",
    limit: int | None = None,
    failures: Mapping[int, str] | None = None,
    started: str = "2025-01-01T00:00:00Z",
    device: str = "",
    variation: Variation | None = None,
    **run: str,
) -> Result:
    """A sealed result of one pair per PSNR value; ``limit`` measures only the first, ``failures`` maps index to why."""
    total = len(psnr)
    ids = tuple(f"p{i}" for i in range(total if limit is None else limit))
    fields = {"name": protocol, "border": 4 if protocol == "c2" else 0, "luma": "bt601", "scale": 4}
    records = {}
    for i, pair in enumerate(ids):
        if reason := (failures or {}).get(i):
            records[pair] = ImageRecord(pair, error=reason)
            continue
        metrics = {"psnr_y": float(psnr[i]), "ssim_y": float(ssim[i % len(ssim)])}
        records[pair] = ImageRecord(pair, metrics, (f"{pair}_1.png",), (64, 48), None, None, {"seconds": 0.5 + i})
    sha256 = sha256 or (None if weights == "none" else digest(weights))
    title = name if title is None else title
    kind = weights if weights in ("none", "synthetic") else "authors"
    behind = Weights(kind, weights, None if kind == "synthetic" else sha256)
    method = MethodInfo(name, title, group, "one", gan, year, paper, 1_234_567, behind)
    rules = ProtocolInfo(
        label=protocol,
        name=protocol.split("+")[0],
        version=1,
        digest=digest(fields),
        summary=f"As {protocol} measures.",
        psnr="psnr_y",
        ssim="ssim_y",
        fields=fields,
        overrides=tuple(part.partition("=")[0] for part in protocol.split("+")[1:]),
    )
    data = DatasetInfo(dataset, dataset.upper(), digest(manifest), official, tuple(notes), total, variation)
    machine = Machine(device, {"torch": "2.11.0"})
    facts = Run(method, data, rules, METRICS, ids, machine, started=started, **run)
    return seal(facts, records, "2025-01-01T00:01:00Z")


def store(folder: Path, result: Result) -> Path:
    """Write ``result.json`` into a new folder."""
    folder.mkdir(parents=True, exist_ok=True)
    write_result(folder / "result.json", result)
    return folder / "result.json"


def store_several(folder: Path) -> Path:
    """Five methods, two protocols, three data sets (one not official), a partial and a failed run."""
    for number, result in enumerate(
        [
            make("bicubic", [24, 24, 24], [0.6], title="Bicubic", group="SISR", year=1981),
            make("c2matching-gan", [27, 27, 27], [0.8], title="C²-Matching", gan=True, weights="gan.pth", paper="C²"),
            make("c2matching", [28, 28, 28], [0.9], title="C²-Matching-rec", weights="rec.pth", paper="C²"),
            make("limited", [40, 40, 40], title="Limited", limit=1),
            make("broken", [50, 50, 50], title="Broken", failures={2: "CUDA out of memory"}),
            make("bicubic", dataset="wrsr", title="Bicubic", group="SISR", year=1981),
            make(
                "bicubic",
                dataset="wrsr",
                title="Bicubic",
                group="SISR",
                manifest="mine",
                official=False,
                notes=["12 pairs, not the 80 published."],
            ),
            make("bicubic", protocol="srntt", title="Bicubic", group="SISR"),
            make("c2matching", [float("inf")] * 3, protocol="srntt", title="C²-Matching-rec", weights="rec.pth"),
        ]
    ):
        store(folder / f"{number}", result)
    return folder
