"""Draws the paper's Fig. 5, the gain of each component, beside the gains that the paper's text gives."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from leaderboard.figures import style
from leaderboard.figures.figure import Column, Figure, csv_of, dataset_words, name_of, protocol_words, table_of
from leaderboard.statistics.estimates import Estimate, estimate

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

    from leaderboard.reading.ablation import Ablation
    from leaderboard.reading.load import LoadedAblation
    from leaderboard.reading.published import Published

KIND = "ablation"
SETS = {"full set": "cufed5", "texture subset": "cufed5-texture"}


@dataclass(frozen=True)
class Step:
    """A variant on one set of images.

    psnr: mean, in dB. gain: over the variant before, image by image. paper: the paper's gain.
    """

    variant: str
    title: str
    images: str
    psnr: Estimate
    gain: Estimate | None
    paper: float | None
    about: bool


def paper_steps(published: Iterable[Published]) -> dict[tuple[str, str], Published]:
    """Return the published gains by (variant, set of images)."""
    named = {dataset: images for images, dataset in SETS.items()}
    return {(entry.step, named[entry.dataset]): entry for entry in published if entry.step and entry.dataset in named}


def steps(study: Ablation, published: Iterable[Published]) -> list[Step]:
    """Return every variant on the full set, then on the texture subset if there is one."""
    paper = paper_steps(published)
    ids = list(study.variants[0].scores)
    found = []
    for images, chosen in (("full set", ids), ("texture subset", [i for i in ids if i in set(study.texture_subset)])):
        for n, variant in enumerate(study.variants):
            if not chosen:
                continue
            before = study.variants[n - 1].scores if n else None
            gain = estimate([variant.scores[i] - before[i] for i in chosen]) if before else None
            entry = paper.get((variant.name, images)) if n else None
            found.append(
                Step(variant.name, variant.title, images, estimate([variant.scores[i] for i in chosen]), gain,
                     entry.delta_psnr if entry else None, bool(entry and entry.about))
            )  # fmt: skip
    return found


def figures(studies: Iterable[LoadedAblation], published: Iterable[Published]) -> list[Figure]:
    """Return one figure per study."""
    published = tuple(published)
    return [_figure(loaded.path, loaded.study, steps(loaded.study, published)) for loaded in studies]


def _figure(path: str, study: Ablation, found: list[Step]) -> Figure:
    digests = {variant.name: variant.weights_sha256 or "" for variant in study.variants}
    records = [
        {"variant": step.variant, "title": step.title, "images": step.images, "n": step.psnr.images, "psnr": step.psnr,
         "gain": step.gain, "paper_gain": step.paper, "paper_says_about": "yes" if step.about else "",
         "weights_sha256": digests[step.variant], "file": path}
        for step in found
    ]  # fmt: skip
    unit = f"{study.metric.title}, {study.metric.unit}"
    columns = (
        Column("title", "Variant"), Column("images", "Images"), Column("n", "n", 0),
        Column("psnr", f"{unit} [95 %]", 2),
        Column("gain", "Step, dB [95 %]", 2, True), Column("paper_gain", "Paper's step, dB", 2, True),
    )  # fmt: skip
    budget = ", ".join(
        f"{study.budget[stage]} iterations of {stage}" if study.budget.get(stage) is not None else f"a given {stage}"
        for stage in ("teacher", "student", "restoration")
    )
    caption = (
        f"Mean {study.metric.title} on {dataset_words(study.dataset)}, {protocol_words(study.protocol)}; whiskers are "
        f"95 % bootstrap intervals of the step, image by image. Trained: {budget}, "
        f"{study.budget.get('photos')} photos. "
        f"Texture subset: {study.texture_rule}. Hollow: the steps in the paper's text (section 5.3), on CUFED5 after "
        "full training, of which only differences are printed."
    )
    whole = [step for step in found if step.images == "full set"]
    alt = "Steps in PSNR on the full set: " + "; ".join(
        f"{step.title}: {step.gain.mean:+.2f} dB" + (f" (paper {step.paper:+.2f})" if step.paper is not None else "")
        for step in whole if step.gain
    ) + "."  # fmt: skip
    return Figure(
        KIND, name_of(KIND, study.dataset.name, path, list(digests.items())),
        f"{study.dataset.title}: one component after the other", caption, alt, table_of(records, columns),
        csv_of(records), lambda narrow: draw(found, unit, narrow),
    )  # fmt: skip


def draw(found: Sequence[Step], unit: str, narrow: bool) -> Drawing:
    """Draw PSNR by variant on the left, and each component's gain beside the paper's on the right."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    figure, (levels, gains) = style.panels(2, narrow, height=2.6)
    sets = list(dict.fromkeys(step.images for step in found))
    names = list(dict.fromkeys(step.title for step in found))
    looks = {images: style.mark(n) for n, images in enumerate(sets)}
    offset = {images: (n - (len(sets) - 1) / 2) * 0.24 for n, images in enumerate(sets)}
    handles = []
    for images, look in looks.items():
        own = [step for step in found if step.images == images]
        y = [names.index(step.title) + offset[images] for step in own]
        levels.plot([step.psnr.mean for step in own], y, marker=look.marker, color=look.colour, linestyle=look.dash,
                    markeredgecolor=style.PAPER, markeredgewidth=0.5, linewidth=0.9)  # fmt: skip
        for step, place in zip(own, y, strict=True):
            if step.gain is None:
                continue
            gains.barh(
                place, step.gain.mean, 0.2, color=look.colour, hatch=look.hatch, edgecolor=style.PAPER, linewidth=0
            )
            if not math.isnan(step.gain.low):
                gains.plot([step.gain.low, step.gain.high], [place, place], color=style.INK, linewidth=0.9)
            if step.paper is not None:
                gains.plot(step.paper, place, look.marker, color=look.colour, markerfacecolor=style.PAPER,
                           markeredgecolor=style.INK, markeredgewidth=1.1, markersize=6)  # fmt: skip
        handles.append(Patch(facecolor=look.colour, hatch=look.hatch, edgecolor=style.PAPER, linewidth=0))
    labels = [f"ours, {images}" for images in sets]
    if any(step.paper is not None for step in found):
        handles.append(Line2D([], [], linestyle="none", marker="o", color=style.DIM, markerfacecolor=style.PAPER,
                              markeredgecolor=style.INK, markeredgewidth=1.1, markersize=6))  # fmt: skip
        labels.append("the paper's step, CUFED5")
    for axis, title, text in ((levels, "Level", unit), (gains, "Step over the row above", "change of PSNR, dB")):
        axis.set_title(title)
        axis.set_xlabel(text)
        axis.set_ylim(len(names) - 0.5, -0.5)
        axis.grid(True, axis="x")
        axis.grid(False, axis="y")
        axis.tick_params(axis="y", length=0)
        axis.set_yticks(range(len(names)), [style.folded(name, 22, 60) for name in names])
        axis.locator_params(axis="x", nbins=5)
    if not narrow:
        gains.set_yticklabels([])
    gains.axvline(0, color=style.DIM, linewidth=0.9)
    style.legend(figure, handles, labels, narrow)
    return figure
