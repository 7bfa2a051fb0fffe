"""The report of a look over an installation, which ``doctor --json`` prints as it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from refsr_bench.core.reader import Format, Name, Text
from refsr_bench.core.schema import Machine

VERSION = 1

State = Literal["good", "missing", "doubtful", "broken"]
Section = Literal["packages", "plugins", "devices", "folders", "settings", "data sets", "weights", "metrics"]


class Finding(Format):
    """One thing that was looked at.

    state: "missing" for something that only some work needs, "doubtful" for what may become a problem, "broken" for
    what makes commands fail that should work. words: what was found. mend: what a person can do about it.
    """

    section: Section
    subject: Name
    state: State
    words: Text
    mend: Text = ""


class Report(Format):
    """A look over an installation. machine: as run files describe it."""

    machine: Machine
    findings: tuple[Finding, ...]
    version: int = VERSION

    @property
    def usable(self) -> bool:
        """True if nothing is broken."""
        return not any(finding.state == "broken" for finding in self.findings)

    def sections(self) -> Iterator[tuple[Section, list[Finding]]]:
        """Return the findings by section, in the order in which they were made."""
        for section in dict.fromkeys(finding.section for finding in self.findings):
            yield section, [finding for finding in self.findings if finding.section == section]
