"""What a check found, as Markdown for a pull request. All text of a run file is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from leaderboard.exports.latex_markdown import markdown
from leaderboard.submissions.submission import Finding, grouped
from leaderboard.text import of_metric
from refsr_bench.core.schema import Result, Run


@dataclass(frozen=True)
class Checked:
    """One file after its check. result: None if it is no run file. note: a sentence about images measured again."""

    file: str
    result: Result | None
    findings: Sequence[Finding]
    note: str

    @property
    def ok(self) -> bool:
        return not any(finding.level == "error" for finding in self.findings)


def comment(checked: Iterable[Checked]) -> str:
    """Return the text of a comment: for each file its facts, its means and the findings."""
    return "\n".join(line for each in checked for line in _lines(each))


def _lines(checked: Checked) -> list[str]:
    lines = [f"### {markdown(checked.file)}: {'ok' if checked.ok else 'failed'}", ""]
    if checked.result is not None:
        lines += _table(checked.result)
    found = grouped(checked.findings)
    lines += [
        f"- **{finding.level}**: {f'{markdown(finding.where)}: ' if finding.where else ''}{markdown(finding.text)}"
        for finding in found
    ]
    return [*lines, *([""] if found else []), markdown(checked.note), ""]


def _table(result: Result) -> list[str]:
    run = result.run
    rows = [(name, markdown(value)) for name, value in _facts(run, len(result.measured))]
    rows += [
        (markdown(f"{metric.title}{f' ({metric.unit})' if metric.unit else ''}"), f"**{text}**")
        for metric in run.metrics
        if (text := of_metric(result.means.get(metric.name), metric))
    ]
    return ["| | |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in rows), ""]


def _facts(run: Run, measured: int) -> list[tuple[str, str]]:
    weights, code = run.method.weights, run.code
    digest = f", sha256 {weights.sha256[:12]}" if weights.sha256 else ""
    official = "" if run.dataset.official else ", not the published files"
    facts = [
        ("method", run.method.title),
        ("weights", f"{weights.name} ({weights.kind}{digest})"),
        ("data set", f"{run.dataset.title}, {measured} of {run.dataset.n_pairs} pairs{official}"),
        ("protocol", f"{run.protocol.label} ({run.protocol.digest[:12]})"),
        ("SR images", run.origin),
    ]
    return [*facts, ("code", f"{code.name} {code.version}")] if code else facts
