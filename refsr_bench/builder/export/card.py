"""Writes the data card in Hugging Face's form by filling ``card.md.j2`` from the tables."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean, median

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from refsr_bench import __version__
from refsr_bench.builder import licenses
from refsr_bench.builder.export.pairs import Pair, categories, pictures
from refsr_bench.builder.project import Project
from refsr_bench.builder.rows import KEPT, UNKNOWN, fault
from refsr_bench.builder.selection.decisions import AUTO
from refsr_bench.builder.stats import spread


def card(project: Project, pairs: Sequence[Pair], checks: Sequence[str], by_reference: bool) -> str:
    """Return the text of README.md. checks: the checks that were made, one sentence each."""
    settings, queries, cleaned = project.settings, project.queries, project.cleaned
    images = pictures(pairs)
    people = sorted({name for pair in pairs for name in pair.selected.people})
    dropped = Counter(fault(query.reason) for query in queries if query.state != KEPT)
    by_license = Counter((p.row.license or UNKNOWN, p.row.license_version) for p in images)
    return _template().render(
        settings=settings,
        pairs=pairs,
        checks=checks,
        by_reference=by_reference,
        license=licenses.of_set({picture.license for picture in images}),
        size="n<1K" if len(pairs) < 1000 else "1K<n<10K" if len(pairs) < 10_000 else "10K<n<100K",
        unseen=people == [AUTO],
        people=people,
        categories=categories(pairs).most_common(),
        sides=[spread("inputs", [p.input.size for p in pairs]), spread("references", [p.ref.size for p in pairs])],
        verified=sum(pair.cleaned.inliers >= settings.min_inliers for pair in pairs),
        inliers=median(pair.cleaned.inliers for pair in pairs),
        scales=[pair.cleaned.scale * pair.rescaled.factor for pair in pairs if pair.cleaned.scale > 0],
        queries=queries,
        kept_queries=sum(query.state == KEPT for query in queries),
        dropped_queries=dropped,
        providers=Counter(pair.candidate.provider or UNKNOWN for pair in pairs),
        agreement=fmean(pair.selected.agreement for pair in pairs),
        cleaned=cleaned,
        kept=sum(row.kept for row in cleaned),
        dropped=Counter(fault(row.reason) for row in cleaned if not row.kept),
        cut=sum(pair.input.changed for pair in pairs),
        reduced=sum(pair.ref.changed for pair in pairs),
        jpeg=[pair.query.jpeg_quality for pair in pairs if pair.query.jpeg_quality],
        licenses=[(name, version, n) for (name, version), n in sorted(by_license.items())],
        made_by=f"refsr-bench {__version__}",
        today=datetime.now(UTC).date().isoformat(),
    )


def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"quoted": json.dumps, "counted": _counted, "rows": _rows, "range": _range}
    return environment.get_template("card.md.j2")


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{n} {name}" for name, n in counts.most_common()) or "none"


def _rows(rows: Sequence[Sequence[object]]) -> str:
    """Return the rows of a Markdown table."""
    return "\n".join(f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in row)} |" for row in rows)


def _range(values: Sequence[float]) -> str:
    return f"{min(values):.2f} to {max(values):.2f}, median {median(values):.2f}" if values else "none does"
