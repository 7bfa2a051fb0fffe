"""Recognises what a file of weights is: a network of the catalogue, or a community model.

``recognise(path)`` returns a card like any method's, whose ``load(None, device)`` takes the file.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from refsr_bench.core import catalogue
from refsr_bench.core.cards import LoadedMethod, MethodCard
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.names import slug
from refsr_bench.core.schema import Weights
from refsr_bench.formats.checkpoints import check_file, read_metadata, read_weights
from refsr_bench.learning import community
from refsr_bench.learning.architectures import ARCHITECTURES
from refsr_bench.learning.weights import family, fitting, owner, read

UNTOLD = "The file does not tell whether it was trained with an adversarial loss."


@dataclass(frozen=True)
class Given:
    """The ``load`` of a method of the catalogue with a file as its weights, unless others are given."""

    card: MethodCard
    path: Path

    def __call__(self, weights: Path | None, device: str, **options: Any) -> LoadedMethod:
        path = weights or self.path
        loaded = self.card.load(path, device, **options)
        if loaded.weights.kind != "authors":  # trained with this toolkit: the file tells all
            return loaded
        about = Weights("unknown", path.name, loaded.weights.sha256, community.license_of(path))
        return replace(loaded, weights=about, guessed=True)


def recognise(path: Path) -> MethodCard:
    """Return the card of the method that a weights file is; ``card.load(None, device)`` makes it ready.

    A file of ours keeps its method's card. Any other gets a card of its own, called like the file: with the network of
    a method of the catalogue if that fits, else with one of spandrel's. Nothing in the file is executed. Raises Misuse
    for a missing file or one that several methods could take, NoWeights when only spandrel could know it and is not
    installed, BenchError when it is damaged or no super-resolution model.
    """
    check_file(path)
    if read_metadata(path).get("format"):
        card = owner(path)
        return replace(card, load=Given(card, path))
    try:
        card = _of_catalogue(path)
    except BenchError as error:
        if isinstance(error, Misuse) or not community.available():
            raise
        return _of_community(path, error)
    return _named(card, path) if card else _of_community(path)


def _of_catalogue(path: Path) -> MethodCard | None:
    """Find the method of the catalogue whose network a file fits. Raises Misuse when several different ones do."""
    found = fitting([read_weights(path)])
    families = {family(card.system): card for card in reversed(found)}
    if len(families) > 1:
        names = ", ".join(card.name for card in found)
        raise Misuse(f"{path} fits several methods: {names}. Say which with --method.")
    for card in families.values():
        read(card.system, card.name, [path])
        return card
    return None


def _named(card: MethodCard, path: Path) -> MethodCard:
    """Return a method's card for somebody's file: other weights of the same network, about which little is known."""
    return replace(
        card,
        name=_name(path),
        title=f"{path.stem} ({card.title})",
        gan=False,
        guesses=(*card.guesses, UNTOLD),
        files=(),
        bundled=None,
        load=Given(card, path),
    )


def _of_community(path: Path, instead: BenchError | None = None) -> MethodCard:
    """Describe a file by spandrel. instead: why a method of the catalogue that seemed to fit could not take it."""
    try:
        found = community.describe(path)
    except BenchError as error:
        raise instead or error from None
    about = ARCHITECTURES.get(found.architecture.id)
    return MethodCard(
        name=_name(path),
        title=f"{path.stem} ({found.architecture.name})",
        group="SISR",
        references="none",
        gan=False,
        year=about.year if about else datetime.now(UTC).year,
        paper=about.paper if about else "",
        description=f"A community model, built by spandrel: {', '.join((found.architecture.name, *found.tags))}.",
        load=community.Loader(path),
        parameters=sum(p.numel() for p in found.model.parameters()),
        verified="unknown",
        version=community.VERSION,
        guesses=(UNTOLD, "spandrel assumes what shapes do not tell; each SR image is therefore compared with LR."),
    )


def _name(path: Path) -> str:
    """Return the row's name: the file's, marked where a method of the catalogue has it."""
    name = slug(path.stem)
    return f"{name}-file" if name in catalogue.collect("METHODS") else name
