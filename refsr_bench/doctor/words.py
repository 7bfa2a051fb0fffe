"""Writes a report for a person at a terminal, and as Markdown for an issue."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from refsr_bench.core.commands import command
from refsr_bench.core.lists import grouped
from refsr_bench.doctor.report import Finding, Report

MARKS = {"good": "+", "missing": "-", "doubtful": "?", "broken": "!"}
LEGEND = "+ good, - missing (only some work needs it), ? doubtful, ! broken"


def text(report: Report) -> str:
    """Return the report in lines: the machine, each section, and a verdict."""
    lines = [*_machine(report), ""]
    for section, findings in report.sections():
        lines.append(section)
        lines += [f"  {MARKS[state]} {subject}: {rest}" for subject, state, rest in _rows(findings)]
    return "\n".join([*lines, "", LEGEND, verdict(report)])


def markdown(report: Report) -> str:
    """Return the report as a table for an issue."""
    lines = [f"### {command('doctor')}", "", *(f"- {line}" for line in _machine(report)), ""]
    lines += ["| part | subject | state | found |", "| --- | --- | --- | --- |"]
    for section, findings in report.sections():
        for row in _rows(findings):
            lines.append(f"| {section} | " + " | ".join(map(_cell, row)) + " |")
    return "\n".join([*lines, "", verdict(report)])


def verdict(report: Report) -> str:
    """Return one sentence: whether the installation can be used, and what is wrong with it."""
    broken = [f"{finding.subject} ({finding.section})" for finding in report.findings if finding.state == "broken"]
    return f"Broken: {', '.join(broken)}." if broken else "Nothing is broken."


def _machine(report: Report) -> Iterator[str]:
    machine = report.machine
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items())
    yield versions
    memory = f"{machine.memory_mb / 1024:.1f} GiB" if machine.memory_mb else "unknown"
    yield f"{machine.system or 'unknown system'}; {machine.processor or 'unknown processor'}, {machine.threads} threads"
    yield f"memory {memory}; computes on {machine.accelerator or machine.device}"


def _rows(findings: Sequence[Finding]) -> Iterator[tuple[str, str, str]]:
    """Return subject, state and words. Equal findings share a row, so that 25 methods without weights take one line."""
    usual = [each for each in findings if each.section == "packages" and each.state == "good"]
    if usual:
        yield f"{len(usual)} as needed", "good", ", ".join(f"{each.subject} {each.words}" for each in usual)
    for (state, words, mend), same in grouped([each for each in findings if each not in usual], _kind).items():
        told = mend if len(same) > 1 else same[0].mend
        yield ", ".join(each.subject for each in same), state, words + (f". To mend: {told}" if told else "")


def _kind(finding: Finding) -> tuple[str, str, str]:
    name = re.compile(rf"(?<![\w-]){re.escape(finding.subject)}(?![\w-])")
    return finding.state, finding.words, name.sub("NAME", finding.mend)


def _cell(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")
