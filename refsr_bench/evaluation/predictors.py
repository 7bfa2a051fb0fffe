"""Predictors: a method of the catalogue, a matcher, or a folder of SR images that somebody else's code made."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from msgspec import structs

from refsr_bench.core import files
from refsr_bench.core.cards import LoadedMatcher, LoadedMethod, MatcherCard, MethodCard
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.lists import grouped
from refsr_bench.core.names import slug
from refsr_bench.core.schema import Code, MethodInfo, Weights
from refsr_bench.core.types import Correspondence, Dataset, Image, ImageSource, Prediction, RefPair, Sample
from refsr_bench.evaluation.code_identity import code_of_card, code_of_command
from refsr_bench.evaluation.plan import Predictor
from refsr_bench.pixels import images
from refsr_bench.pixels.resize import resize_pil_bicubic
from refsr_bench.protocols._references import stack
from refsr_bench.protocols.base import Protocol
from refsr_bench.tiles.running import in_tiles
from refsr_bench.tiles.sizes import Tiling
from refsr_bench.views.records import scored
from refsr_bench.views.using import Proposals, match_with_views, predict_with_views

ROWS = ("sub-cell",)
"""Variants that have rows of their own: titles name them after a comma, and other deviations in brackets."""


def method_predictor(
    card: MethodCard, loaded: LoadedMethod, device: str, label: str | None = None, depends: Sequence[Path] = ()
) -> Predictor:
    """Return a method of the catalogue, ready to predict.

    label: another name for its row and folder. depends: see ``code_of_command``.
    """

    def predict(pair: RefPair, sample: Sample) -> Prediction:
        return loaded.predict(sample.lr, sample.refs, sample.scale)

    def match(sample: Sample, prediction: Prediction) -> Correspondence:
        return match_with_views(
            loaded.match, card.references, sample.lr, sample.refs[0], sample.scale, prediction.views
        )

    name, title = _named(slug(label) if label else card.name, label or card.title, loaded.variant)
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
        gmacs=card.gmacs if card.gmacs and loaded.parameters == card.parameters else None,
        options=loaded.options,
    )
    return Predictor(
        info=info,
        predict=predict,
        device=device,
        match=match if loaded.match else None,
        origin=loaded.origin,
        code=_code(card, loaded, depends),
        arithmetic=loaded.arithmetic,
        guessed=loaded.guessed,
    )


def matcher_predictor(
    card: MatcherCard, loaded: LoadedMatcher, device: str, views: Proposals | None = None
) -> Predictor:
    """Return a matcher as something that the loop can time and record.

    The SR image, which the record names by its digest, is bicubic; no metric looks at it. views: those to match with.
    """

    def predict(pair: RefPair, sample: Sample) -> Prediction:
        if not sample.refs:
            raise BenchError(f"Pair '{pair.id}' has no reference to match.")
        lr, scale = (sample.hr, 1) if loaded.oracle else (sample.lr, sample.scale)
        found = loaded.match(lr, sample.refs[0], scale)
        seen = tuple(views.propose(pair, sample)(0, found))[:1] if views else ()
        if seen:
            cut = tuple(scored(view, sample.crop) for view in seen) if loaded.oracle else seen
            found = match_with_views(loaded.match, "one", lr, sample.refs[0], scale, cut)
        height, width = sample.lr.shape[:2]
        return Prediction(resize_pil_bicubic(sample.lr, sample.scale * height, sample.scale * width), found, seen)

    name, title = _named(f"matcher-{slug(card.name)}", card.title, loaded.variant)
    info = MethodInfo(
        name=name,
        title=title,
        group="matcher",
        references="one",
        gan=False,
        year=card.year,
        paper=card.paper,
        parameters=None,
        weights=loaded.weights,
        verified="unknown",
        notes=("a matcher: it makes no SR image; the recorded one is bicubic and is not measured",),
    )
    code = loaded.code or code_of_card(card)
    return Predictor(_viewed(info, views), predict, device, code=code, always_matches=True)


def _code(card: MethodCard, loaded: LoadedMethod, depends: Sequence[Path]) -> Code:
    if loaded.code:
        return loaded.code
    if loaded.origin == "command":
        return code_of_command(loaded.options["command"], depends)
    return code_of_card(card)


def _named(name: str, title: str, variant: str) -> tuple[str, str]:
    if not variant:
        return name, title
    return f"{name}-{slug(variant)}", f"{title}, {variant}" if variant in ROWS else f"{title} ({variant})"


def viewing(predictor: Predictor, loaded: LoadedMethod, views: Proposals | None) -> Predictor:
    """Return a method that is given views of its references; the same one without proposals or references.

    predictor: the method without views. loaded: what is behind it.
    """
    takes = predictor.info.references
    if views is None or takes == "none":
        return predictor

    def predict(pair: RefPair, sample: Sample) -> Prediction:
        def plain(lr: Image, refs: Sequence[Image], scale: int) -> Prediction:
            return predictor.predict(pair, dataclasses.replace(sample, refs=tuple(refs)))

        method = dataclasses.replace(loaded, predict=plain)
        return predict_with_views(
            method, takes, sample.lr, sample.refs, sample.scale, views.propose(pair, sample)
        )

    return dataclasses.replace(predictor, info=_viewed(predictor.info, views), predict=predict)


def _viewed(info: MethodInfo, views: Proposals | None) -> MethodInfo:
    if views is None:
        return info
    return structs.replace(
        info,
        name=f"{info.name}-views-{slug(views.name)}",
        title=f"{info.title}, {views.title}",
        options={**info.options, "views": views.name, "views_version": views.version},
    )


def tiling(predictor: Predictor, loaded: LoadedMethod, tiles: Tiling | None) -> Predictor:
    """Return a method that makes large images in tiles; the same one without ``tiles``.

    predictor: the method, with the views that it is given; of each tile, views are proposed anew. loaded: what is
    behind it.
    """
    if tiles is None:
        return predictor

    def predict(pair: RefPair, sample: Sample) -> Prediction:
        def tile(lr: Image, refs: Sequence[Image], scale: int) -> Prediction:
            return predictor.predict(pair, dataclasses.replace(sample, lr=lr, refs=tuple(refs)))

        used = sample.refs if predictor.info.references != "none" else ()
        return in_tiles(tile, tiles, loaded.bytes_per_pixel)(sample.lr, used, sample.scale)

    info = structs.replace(
        predictor.info,
        name=f"{predictor.info.name}-tile-{tiles.name}",
        title=f"{predictor.info.title}, {tiles.title}",
        options={**predictor.info.options, **tiles.options},
    )
    arithmetic = structs.replace(predictor.arithmetic, tiling="tiles")
    # Matches of the whole image are not those of its tiles.
    return dataclasses.replace(predictor, info=info, predict=predict, arithmetic=arithmetic, match=None)


def stacking(predictor: Predictor) -> Predictor:
    """Return a one-reference method that stacks several references into one image, as published code does."""

    def predict(pair: RefPair, sample: Sample) -> Prediction:
        refs = sample.refs
        return predictor.predict(pair, dataclasses.replace(sample, refs=(stack(refs),) if len(refs) > 1 else refs))

    note = "takes one reference: several were stacked into one image, each on a black square, as TTSR does"
    info = structs.replace(predictor.info, notes=(*predictor.info.notes, note))
    return dataclasses.replace(predictor, info=info, predict=predict)


# -- a folder of images --------------------------------------------------------------------------------------------


def find_predictions(folder: Path, protocol: Protocol, dataset: Dataset) -> dict[str, Path]:
    """Find the SR image of every pair in a folder, by pair id; pairs without one are left out.

    A file belongs to a pair when its stem is the pair's id, the stem of its HR file, or the stem of its reference (the
    C2-Matching authors name outputs so), tried in this order. Failing that, it belongs when it is the only file whose
    stem is one of the three followed by ``_``, ``-`` or ``.`` and anything. Raises Misuse when the folder is absent or
    empty, BenchError when two files fit one pair.
    """
    if not folder.is_dir():
        raise Misuse(f"There is no folder {folder} with SR images.")
    files = images.image_files(folder)
    if not files:
        raise Misuse(f"The folder {folder} holds no images.")
    by_stem = grouped(files, lambda file: file.stem)
    found = {}
    for pair in dataset.pairs:
        refs = [Path(ref.name).stem for ref in _chosen(pair, protocol, dataset)]
        stems = dict.fromkeys((pair.id, Path(pair.hr.name).stem, *refs[:1]))
        exact = next((by_stem[stem] for stem in stems if stem in by_stem), None)
        matches = exact or [f for f in files if any(re.match(rf"{re.escape(stem)}[_.-]", f.stem) for stem in stems)]
        if len(matches) > 1:
            raise BenchError(f"Pair '{pair.id}' fits {len(matches)} files: {matches[0].name} and {matches[1].name}.")
        if matches:
            found[pair.id] = matches[0]
    return found


def _chosen(pair: RefPair, protocol: Protocol, dataset: Dataset) -> Sequence[ImageSource]:
    try:
        return protocol.references(pair, dataset.name)
    except BenchError:  # no reference fits: measuring a finished image needs none
        return ()


def folder_predictor(found: Mapping[str, Path], title: str, group: str = "Ref-SR", gan: bool = False) -> Predictor:
    """Return predictions that are read from files, by pair id.

    title, group, gan: a person's statements about the method behind them.

    A file must have the size of the scored HR image, or of the whole HR image, which is then cut at the bottom and
    right as the protocol cuts HR. The digest over the images stands for the unknown code and weights.
    """

    def predict(pair: RefPair, sample: Sample) -> Prediction:
        if pair.id not in found:
            raise BenchError(f"No SR image was found for pair '{pair.id}'.")
        return Prediction(_on_canvas(images.read_image(found[pair.id]), pair, sample, found[pair.id].name))

    total = hashlib.sha256()
    for pair_id in sorted(found):
        total.update(pair_id.encode() + files.read_bytes(found[pair_id], images.MOST_BYTES))
    info = MethodInfo(
        name=slug(title),
        title=title,
        group=group,
        references="unknown",
        gan=gan,
        year=datetime.now(UTC).year,
        paper="",
        parameters=None,
        weights=Weights("unknown", "SR images from outside", total.hexdigest()),
        verified="unknown",
    )
    return Predictor(info, predict, origin="folder")


def _on_canvas(sr: Image, pair: RefPair, sample: Sample, name: str) -> Image:
    """Put a file's scored pixels where the method's output would have them. Raises BenchError for another size."""
    height, width = sample.hr.shape[:2]
    if sr.shape not in (sample.hr.shape, pair.hr.load().shape):
        raise BenchError(
            f"{name} is {sr.shape[1]}x{sr.shape[0]} pixels, and pair '{pair.id}' is measured at {width}x{height}."
        )
    canvas = np.zeros((sample.lr.shape[0] * sample.scale, sample.lr.shape[1] * sample.scale, 3), np.uint8)
    top, left = sample.crop[:2]
    canvas[top : top + height, left : left + width] = sr[:height, :width]
    return canvas
