"""Loads methods by name, one after the other: which are chosen, which weights they get, which must be left out."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from refsr_bench.core import catalogue
from refsr_bench.core.cards import LoadedMethod, MethodCard
from refsr_bench.core.errors import Misuse, NoWeights
from refsr_bench.core.lists import grouped
from refsr_bench.core.schema import NumberType
from refsr_bench.learning.recognise import recognise
from refsr_bench.learning.weights import SYNTHETIC

if TYPE_CHECKING:
    from refsr_bench.tiles.sizes import Tiling
    from refsr_bench.views.proposals import Views

log = logging.getLogger(__name__)

ALL = "all"
EXTERNAL = "external"  # the card of a method that is a command line


@dataclass(frozen=True)
class Choice:
    """The methods that a person asks for.

    names: of the catalogue, or ``all``; none at all for the methods that the files of ``weights`` are recognised as.
    weights: ``[METHOD=]PATH``, or ``synthetic`` for methods that have none
    installed. matching: for methods that offer a choice. command, time_limit, depends: for ``external``; seconds per
    image, and the files and folders that the command runs beside those that it names. views: those of references that
    methods are given; None gives them the references alone. tiling: the tiles that images are made in; None for whole
    images. dtype: the number format of networks.
    """

    names: tuple[str, ...]
    weights: tuple[str, ...] = ()
    device: str = "cpu"
    matching: str | None = None
    command: str | None = None
    time_limit: float = 600.0
    depends: tuple[Path, ...] = ()
    views: Views | None = None
    tiling: Tiling | None = None
    dtype: NumberType = "float32"


def load_methods(choice: Choice) -> Iterator[tuple[MethodCard, LoadedMethod]]:
    """Load the methods of a choice when they are asked for, so only one at a time is held in memory.

    ``all`` means every method whose weights are installed; the log names the others. Raises Misuse for unknown names
    and impossible options before the first method is loaded, NoWeights for a named method without weights.
    """
    if not choice.names:
        return _recognised(choice)
    everything = ALL in choice.names
    if choice.command and EXTERNAL not in choice.names:
        raise Misuse("--command is for --method external.")
    if choice.depends and not choice.command:
        raise Misuse("--depends is for --command; the code of other methods is known by itself.")
    known = catalogue.collect("METHODS")
    names = [name for name in known if name != EXTERNAL] if everything else list(choice.names)
    cards = [catalogue.get("METHODS", name) for name in names]
    files = weights_by_name([option for option in choice.weights if option != str(SYNTHETIC)], names)
    return _loaded(choice, cards, files)


def _recognised(choice: Choice) -> Iterator[tuple[MethodCard, LoadedMethod]]:
    """Load what each file of weights is recognised as. Raises Misuse when two of them would have one name."""
    cards = [recognise(Path(option)) for option in choice.weights]
    for name, same in grouped(cards, lambda card: card.name).items():
        if len(same) > 1:
            raise Misuse(f"Two files of --weights would both be the method {name}. Rename one, or run them apart.")
    return ((card, load_method(card, None, choice, choice.matching)) for card in cards)


def _loaded(
    choice: Choice, cards: Sequence[MethodCard], files: dict[str, Path]
) -> Iterator[tuple[MethodCard, LoadedMethod]]:
    everything, invent = ALL in choice.names, str(SYNTHETIC) in choice.weights
    for card in cards:
        matching = None if everything and not card.matching else choice.matching
        try:
            yield card, load_method(card, files.get(card.name), choice, matching)
        except NoWeights as error:
            if invent:
                yield card, load_method(card, SYNTHETIC, choice, matching)
            elif everything:
                log.warning("left out: %s", error)
            else:
                raise


def load_method(card: MethodCard, weights: Path | None, choice: Choice, matching: str | None = None) -> LoadedMethod:
    """Load one method. Raises Misuse for a way of matching or a number format that the method does not offer."""
    options: dict[str, Any] = {}
    if choice.dtype != "float32":
        if card.system is None:
            raise Misuse(f"--dtype {choice.dtype}: {card.name} has no network whose numbers could be chosen.")
        options["numbers"] = choice.dtype
    if matching is not None:
        if matching not in card.matching:
            known = f"only {', '.join(card.matching)}" if card.matching else "no choice of matching"
            raise Misuse(f"--matching {matching}: {card.name} has {known}.")
        options["matching"] = matching
    if card.name == EXTERNAL and choice.command:
        options |= {"command": choice.command, "time_limit": choice.time_limit}
    return card.load(weights, choice.device, **options)


def weights_by_name(options: Sequence[str], names: Sequence[str]) -> dict[str, Path]:
    """Return ``[NAME=]PATH`` options as files by name. Raises Misuse for a name that is not among ``names``."""
    files = {}
    for option in options:
        name, equals, path = option.partition("=")
        if not equals:
            if len(names) > 1:
                raise Misuse(f"--weights {option}: with several methods, say whose: --weights METHOD={option}.")
            name, path = names[0], option
        if name not in names:
            raise Misuse(f"--weights {option}: {name} is not among the methods of this run.")
        files[name] = Path(path)
    return files
