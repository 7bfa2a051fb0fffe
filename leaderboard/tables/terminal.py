"""Formats results as tables for a terminal. Numbers are rounded only here."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean, stdev

from leaderboard.tables.timing import legend_of, timing_of
from leaderboard.tables.unmeasured import unmeasured
from refsr_bench.core.lists import grouped
from refsr_bench.core.schema import MetricInfo, Result
from refsr_bench.core.terminal import text_table


def means_table(results: Sequence[Result]) -> str:
    """Return one row per run of the same protocol: all means, how many images they cover, seconds per image.

    A run in which every pair failed is no row; without any row the text says so.
    """
    results = [result for result in results if result.measured]
    if not results:
        return "Nothing was measured: every pair failed."
    metrics = list({metric.name: metric for result in results for metric in result.run.metrics}.values())
    head = ("data set", "method", "weights", "images", *(metric.title for metric in metrics), "s/image")
    timings = [timing_of(result) for result in results]
    times = legend_of(timings)
    cells = [f"{timing.seconds:.2f} {times.mark(timing)}".rstrip() if timing else "-" for timing in timings]
    table = text_table(head, [_means_row(*row, metrics) for row in zip(results, cells, strict=True)])
    return "\n".join(filter(None, (table, times.text, *unmeasured(results))))


def _means_row(result: Result, time: str, metrics: Sequence[MetricInfo]) -> tuple[str, ...]:
    run = result.run
    return (
        run.dataset.name + ("" if run.dataset.official else " (not the published set)"),
        run.method.title,
        run.method.weights.name,
        f"{len(result.measured)}/{run.dataset.n_pairs}",
        *(_mean(result, metric) for metric in metrics),
        time,
    )


def _mean(result: Result, metric: MetricInfo) -> str:
    if metric.name in result.means:
        return f"{result.means[metric.name]:.{metric.digits}f}"
    own = next((own for own in result.run.metrics if own.name == metric.name), metric)
    return "-" if own.lacks == "nothing" else "not measured"


def draws_table(results: Sequence[Result]) -> str:
    """Mean and sample deviation of each method's headline PSNR and SSIM over runs with different references."""
    measured = (result for result in results if result.means)
    rows = []
    for (dataset, method), group in grouped(measured, lambda r: (r.run.dataset.name, r.run.method.title)).items():
        psnr = [result.means[result.run.protocol.psnr] for result in group]
        ssim = [result.means[result.run.protocol.ssim] for result in group]
        if len(group) > 1:
            cells = f"{mean(psnr):.3f} ± {stdev(psnr):.3f} dB", f"{mean(ssim):.4f} ± {stdev(ssim):.4f}"
            rows.append((dataset, method, str(len(group)), *cells))
    return text_table(("data set", "method", "draws", "PSNR", "SSIM"), rows)
