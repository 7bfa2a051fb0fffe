"""The evaluation loop: prepare, predict, score, record; resumable per image, one writer per run.

The runner receives objects (cards, a dataset, a protocol), not names, and knows nothing of tables or commands.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import platform
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from msgspec import structs

from refsr_bench.core import files, reader, results, schema
from refsr_bench.core.cards import LoadedMethod, MethodCard, MetricCard
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.names import slug
from refsr_bench.core.schema import (
    Code,
    ImageRecord,
    MethodInfo,
    MetricInfo,
    Result,
    Run,
)
from refsr_bench.core.types import Correspondence, Dataset, Image, RefPair, Sample
from refsr_bench.pixels import images, saved
from refsr_bench.protocols.base import Protocol

PACKAGES = ("refsr-bench", "torch", "torchvision", "numpy", "pillow", "scikit-image", "opencv-python", "lpips", "numba")

Predict = Callable[[RefPair, Sample], Image]
Compute = Callable[[Image, Image, int, bool], float]


# -- what is measured ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Predictor:
    """Something that gives an SR image per pair: a method, or a folder of images somebody else made.

    match: its correspondences with the first reference, None where it has none to show.
    """

    info: MethodInfo
    predict: Predict
    device: str = "cpu"
    match: Callable[[Sample], Correspondence] | None = None
    origin: schema.Origin = "measured"
    code: Code | None = None
    arithmetic: schema.Arithmetic = schema.UNKNOWN_ARITHMETIC


@dataclass(frozen=True)
class Extra:
    """Measures beside those of SR images. measure(pair, sample): values by metric name, those that can be taken."""

    metrics: tuple[MetricInfo, ...]
    measure: Callable[[RefPair, Sample], dict[str, float]]


def method_predictor(card: MethodCard, loaded: LoadedMethod, device: str, label: str | None = None) -> Predictor:
    """A method of the catalogue, ready to predict. label: another name for its row and folder."""

    def predict(pair: RefPair, sample: Sample) -> Image:
        return loaded.predict(sample.lr, sample.refs, sample.scale).sr

    def match(sample: Sample) -> Correspondence:
        return loaded.match(sample.lr, sample.refs[0], sample.scale)

    name, title = slug(label) if label else card.name, label or card.title
    if loaded.variant:
        name, title = f"{name}-{slug(loaded.variant)}", f"{title} ({loaded.variant})"
    info = MethodInfo(
        name=name,
        title=title,
        group=card.group,
        references=card.references,
        gan=card.gan,
        year=card.year,
        paper=card.paper,
        parameters=loaded.parameters,
        weights=loaded.weights,
        verified=card.verified,
        notes=card.guesses,
        options=dict(loaded.options),
        gmacs=card.gmacs if card.gmacs and loaded.parameters == card.parameters else None,
    )
    code = loaded.code or Code(getattr(card.load, "__module__", "") or card.name, str(card.version), None)
    return Predictor(
        info, predict, device, match if loaded.match else None, loaded.origin, code, loaded.arithmetic
    )


def stacking(predictor: Predictor) -> Predictor:
    """The same method given several references where it takes one: stacked into one image, as is published practice."""
    from refsr_bench.protocols._references import stack

    def predict(pair: RefPair, sample: Sample) -> Image:
        refs = sample.refs
        return predictor.predict(pair, dataclasses.replace(sample, refs=(stack(refs),) if len(refs) > 1 else refs))

    note = "takes one reference: several were stacked into one image, each on a black square, as TTSR does"
    info = structs.replace(predictor.info, notes=(*predictor.info.notes, note))
    return dataclasses.replace(predictor, info=info, predict=predict)


def resolve_device(text: str) -> str:
    """"auto", "cpu", "cuda" or "cuda:N" as a device that exists here. Raises Misuse otherwise."""
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", text):
        raise Misuse(f"--device takes auto, cpu, cuda or cuda:N, not '{text}'.")
    if text == "cpu":
        return text
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if text == "auto":
        return "cuda" if count else "cpu"
    number = int(text.partition(":")[2] or 0)
    if number >= count:
        raise Misuse(f"--device {text}: torch sees {count} CUDA devices on this machine. Use --device cpu or auto.")
    return text


# -- metrics -------------------------------------------------------------------------------------------------------


def load_metrics(
    cards: Sequence[MetricCard], device: str, lpips_weights: Path | None, warn: Callable[[str], None]
) -> dict[str, tuple[MetricCard, Compute]]:
    """Make metrics ready. One whose weights cannot be had is left out, with the reason given to ``warn``."""
    ready = {}
    for card in cards:
        try:
            ready[card.name] = (card, card.load(device, lpips_weights if card.name == "lpips" else None))
        except BenchError as error:
            if card.name == "lpips" and lpips_weights is not None:
                raise
            warn(f"{card.title} stays empty: {error}")
    return ready


def score(sr: Image, sample: Sample, protocol: Protocol, metrics: Mapping[str, tuple[MetricCard, Compute]]) -> dict:
    """Metric values, unrounded, of an SR image of the scored size (uint8 H x W x 3).

    A metric that cannot be taken of an image so small is left out; raises BenchError when it is a headline metric.
    """
    values = {}
    for name, (_, compute) in metrics.items():
        try:
            values[name] = float(compute(sr, sample.hr, protocol.border, protocol.y_rounded))
        except BenchError:
            if name in (protocol.psnr, protocol.ssim):
                raise
    return values


def crop(output: Image, sample: Sample, what: str) -> Image:
    """Cut the method's output to the scored area. Raises BenchError when its size is not LR x scale."""
    height, width = (side * sample.scale for side in sample.lr.shape[:2])
    found = f"{output.dtype} {output.shape}" if isinstance(output, np.ndarray) else type(output).__name__
    if found != f"uint8 {(height, width, 3)}":
        raise BenchError(f"{what} returned {found} for pair '{sample.id}'; uint8 {(height, width, 3)} is due.")
    top, left, h, w = sample.crop
    return output[top : top + h, left : left + w]


# -- one run folder ------------------------------------------------------------------------------------------------


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Turn a full disk or a read-only folder into words. Everything recorded so far is kept."""
    try:
        yield
    except OSError as error:
        raise BenchError(
            f"Results cannot be written to {folder}: {error.strerror or error}. What was recorded before is kept; "
            "make room or choose another folder with --out, then give the same command again."
        ) from None


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    from filelock import FileLock, Timeout

    lock = FileLock(folder / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise BenchError(
            f"Another run is writing to {folder}. Wait for it, or choose another folder with --out."
        ) from None
    try:
        yield
    finally:
        lock.release()


def _differences(old: Mapping, new: Mapping, path: str = "") -> Iterator[str]:
    for key in sorted(old.keys() | new.keys()):
        a, b, name = old.get(key), new.get(key), f"{path}{key}"
        if isinstance(a, dict) and isinstance(b, dict):
            yield from _differences(a, b, f"{name}.")
        elif a != b:
            short = [text if len(text := json.dumps(v)) <= 60 else f"{text[:57]}..." for v in (a, b)]
            yield f"{name} (was {short[0]}, now {short[1]})"


def _set_aside(folder: Path) -> None:
    """Keep what a --fresh run replaces, out of the leaderboard's sight."""
    number = 1
    while (target := folder.with_name(f"{folder.name}.replaced-{number}")).exists():
        number += 1
    folder.rename(target)
    if (target / "result.json").exists():
        (target / "result.json").rename(target / "result.replaced.json")


def _open_folder(folder: Path, run: Run) -> dict[str, ImageRecord]:
    """Write ``run.json`` or check that the one there is the same run; return the records made so far."""
    path = folder / "run.json"
    if not path.exists():
        files.write_text(path, reader.dumps(run))
        return {}
    old = results.read_run(path)
    if old.fingerprint() != run.fingerprint():
        changes = list(_differences(old.fingerprint(), run.fingerprint()))
        shown = "; ".join(changes[:4]) + (f"; and {len(changes) - 4} more" if len(changes) > 4 else "")
        raise Misuse(
            f"{folder} holds another run: {shown}. Give --name or --out to keep both, or --fresh to start over "
            "(the old run is set aside)."
        )
    if old.pair_ids != run.pair_ids:  # more or fewer pairs of the same data: what was recorded serves both
        files.write_text(path, reader.dumps(structs.replace(old, pair_ids=run.pair_ids)))
    log = folder / "images.jsonl"
    if log.exists() and not log.read_bytes().endswith(b"\n"):  # a killed run's torn last line
        data = log.read_bytes()
        with log.open("r+b") as file:
            file.truncate(data.rfind(b"\n") + 1)
    return results.latest(results.journal(log).read())


def _append(log: Path, record: ImageRecord) -> None:
    with log.open("a", encoding="utf-8") as file:
        file.write(json.dumps(reader.to_json(record), sort_keys=True, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())


# -- the loop ------------------------------------------------------------------------------------------------------


def evaluate(
    predictor: Predictor,
    dataset: Dataset,
    protocol: Protocol,
    metrics: Mapping[str, tuple[MetricCard, Compute]],
    out: Path,
    *,
    pairs: Sequence[RefPair] | None = None,
    fresh: bool = False,
    save_images: bool = False,
    save_matches: bool = False,
    notes: Sequence[str] = (),
    command: str = "",
    track: Callable[[Sequence[RefPair], int], Iterable[RefPair]] = lambda pairs, done: pairs,
    kind: str = "benchmark",
    extra: Extra | None = None,
) -> tuple[Result, Path]:
    """Measure one predictor on one data set under one protocol and return the sealed result and its folder.

    out: the results folder; the run lies in ``out/<protocol>/<dataset>/<method>/``. pairs: those to measure, None means
    all. Pairs that have a record already are not predicted again, pairs that failed before are tried again.
    save_images: keep SR, and once per protocol and data set HR, LR and references; save_matches: also pictures of the
    correspondences, where the method has them. ``saved`` says where and how; SR of pairs measured before is not made
    again. notes: facts about the data that results must carry.
    track: wraps the pairs still to do, for a progress bar; it is given the number already done. kind: see
    ``schema.Run``. extra: measures that look at something else than the SR image.
    Raises Misuse when the folder holds a run with other settings, BenchError when nothing can be written.
    """
    pairs = dataset.pairs if pairs is None else pairs
    run = _describe(predictor, dataset, protocol, metrics, pairs, notes, command)
    run = structs.replace(run, kind=kind, metrics=(*run.metrics, *(extra.metrics if extra else ())))
    folder = out / slug(protocol.label) / slug(dataset.name) / predictor.info.name
    try:
        if fresh and folder.exists():
            with _locked(folder):
                _set_aside(folder)
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Misuse(f"The folder {folder} cannot be made: {error.strerror}. Choose another with --out.") from None
    with _writing(folder), _locked(folder):
        records = _open_folder(folder, run)
        todo = [pair for pair in pairs if pair.id not in records or records[pair.id].error is not None]
        if save_images:
            for pair in pairs:
                if pair not in todo:  # of what an earlier run measured, HR, LR and references at least
                    _keep(folder, run, protocol.prepare(pair, dataset.name))
        for pair in track(todo, len(pairs) - len(todo)):
            match = predictor.match if save_matches else None
            kept, record = _one(predictor, pair, dataset.name, protocol, metrics, extra, match)
            if kept and (save_images or save_matches):
                _keep(folder, run, *kept)  # before the record, so that a kill in between repeats the pair
            _append(folder / "images.jsonl", record)
            records[pair.id] = record
        path = folder / "result.json"
        finished = _now() if todo or not path.exists() else results.read_result(path).finished
        result = results.seal(results.read_run(folder / "run.json"), records, finished)
        results.write_result(path, result)
    return result, folder


def _one(
    predictor: Predictor,
    pair: RefPair,
    dataset: str,
    protocol: Protocol,
    metrics: Mapping,
    extra: Extra | None,
    match: Callable[[Sample], Correspondence] | None,
) -> tuple[tuple[Sample, Image, Correspondence | None] | None, ImageRecord]:
    """Predict and score one pair. A pair that fails becomes a record with its reason; the run goes on."""
    try:
        sample = protocol.prepare(pair, dataset)
        with _measured(predictor.device) as cost:
            output = predictor.predict(pair, sample)
        sr = crop(output, sample, predictor.info.name)
        values = score(sr, sample, protocol, metrics) | (extra.measure(pair, sample) if extra else {})
        if undefined := [name for name, value in values.items() if math.isnan(value)]:
            raise BenchError(f"{undefined[0]} of pair '{pair.id}' is not a number.")
        matches = match(sample) if match and sample.refs else None
    except Exception as error:  # whatever a method raises is its pair's failure, not the run's
        reason = str(error) if isinstance(error, BenchError) else f"{type(error).__name__}: {error}"
        return None, ImageRecord(id=pair.id, error=reason)
    height, width = sr.shape[:2]
    record = ImageRecord(
        id=pair.id,
        metrics=values,
        refs=sample.ref_names,
        hr_size=(width, height),
        sr_sha256=saved.pixels_digest(sr),
        cost={} if predictor.origin == "folder" else cost,
    )
    return (sample, sr, matches), record


def _keep(
    folder: Path, run: Run, sample: Sample, sr: Image | None = None, matches: Correspondence | None = None
) -> None:
    """Write the pictures of one pair."""
    about = {
        "dataset": run.dataset.name,
        "manifest_sha256": run.dataset.manifest_sha256,
        "protocol": run.protocol.label,
        "protocol_digest": run.protocol.digest,
    }
    saved.save_inputs(folder.parent / "inputs", sample, about)
    if sr is not None:
        images.write_png(folder / "images" / f"{saved.stem(sample.id)}.png", sr)
    if sr is not None and matches is not None:
        saved.save_matches(folder / "matches", sample, matches, sr)


def _describe(
    predictor: Predictor,
    dataset: Dataset,
    protocol: Protocol,
    metrics: Mapping[str, tuple[MetricCard, Compute]],
    pairs: Sequence[RefPair],
    notes: Sequence[str],
    command: str,
) -> Run:
    return Run(
        method=predictor.info,
        dataset=schema.DatasetInfo(
            name=dataset.name,
            title=dataset.title,
            manifest_sha256=dataset.manifest_sha256,
            official=dataset.official,
            notes=(*dataset.notes, *notes),
            n_pairs=len(dataset.pairs),
        ),
        protocol=schema.ProtocolInfo(
            label=protocol.label,
            name=protocol.name,
            version=protocol.version,
            digest=protocol.digest,
            summary=protocol.summary,
            psnr=protocol.psnr,
            ssim=protocol.ssim,
            fields=protocol.fields(),
        ),
        metrics=tuple(
            MetricInfo(card.name, card.title, card.direction, card.unit, card.digits)
            for card, _ in metrics.values()
        ),
        pair_ids=tuple(pair.id for pair in pairs),
        machine=schema.Machine(predictor.device, {"python": platform.python_version(), **_versions()}),
        origin=predictor.origin,
        code=predictor.code,
        timing="not measurable" if predictor.origin == "folder" else "measured",
        arithmetic=predictor.arithmetic,
        command=command,
        started=_now(),
    )


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@contextmanager
def _measured(device: str) -> Iterator[dict[str, float]]:
    """Seconds and peak memory (MB: of the GPU on CUDA, of the whole process otherwise) of the block."""
    cost: dict[str, float] = {}
    if device.startswith("cuda"):
        import torch

        torch.cuda.reset_peak_memory_stats(device)
        torch.cuda.synchronize(device)
    else:
        _reset_peak()
    start = time.perf_counter()
    yield cost
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
    cost["seconds"] = round(time.perf_counter() - start, 4)
    peak = torch.cuda.max_memory_allocated(device) / 2**20 if device.startswith("cuda") else _peak_mb()
    if peak is not None:
        cost["peak_memory_mb"] = round(peak, 1)


def _reset_peak() -> None:
    """Linux lets a process forget its memory peak; elsewhere the peak is that of the process so far."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def _peak_mb() -> float | None:
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        try:
            import resource
        except ImportError:
            return None
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / 2**20 if platform.system() == "Darwin" else peak / 2**10
    match = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(match[1]) / 2**10 if match else None
