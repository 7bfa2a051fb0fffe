"""Measures a method on a data set under a protocol: ``refsr_bench.evaluate``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from refsr_bench.api import methods
from refsr_bench.api.conventions import with_refs
from refsr_bench.api.measures import metrics_of
from refsr_bench.api.methods import Adapter, Method, Own, References
from refsr_bench.api.pairs import DatasetLike, load_dataset
from refsr_bench.api.result import Result, place_of
from refsr_bench.core import catalogue
from refsr_bench.core.errors import Misuse
from refsr_bench.core.schema import NumberType
from refsr_bench.core.terminal import tracked
from refsr_bench.evaluation.loading import ALL, Choice
from refsr_bench.evaluation.machine import number_format
from refsr_bench.evaluation.pictures import pictures_of
from refsr_bench.evaluation.run_folder import Reuse
from refsr_bench.evaluation.session import Session, run_session
from refsr_bench.protocols.base import Protocol
from refsr_bench.tiles.sizes import parse as tiles_of
from refsr_bench.views.proposals import parse


def evaluate(
    method: Method,
    dataset: DatasetLike,
    protocol: str | Protocol = "c2",
    *,
    refs: str | None = None,
    weights: str | Path | None = None,
    adapter: Adapter | None = None,
    references: References | None = None,
    depends: Sequence[str | Path] = (),
    matching: str | None = None,
    views: str = "none",
    metrics: Sequence[str] = (),
    name: str | None = None,
    device: str = "auto",
    dtype: NumberType = "float32",
    tile: str | int = "off",
    limit: int | None = None,
    out: str | Path | None = None,
    reuse: Reuse = "missing",
    save_images: bool | None = None,
    allow_leaks: bool = False,
) -> Result:
    """Measure a method on a data set under a protocol.

        result = refsr_bench.evaluate("bicubic", "sample", limit=2)
        result = refsr_bench.evaluate(lambda lr, refs, scale: lr.repeat(scale, 0).repeat(scale, 1), "sample")

    method: a name of the catalogue; a file of weights; ``f(lr, refs, scale)`` on uint8 H x W x 3 RGB, which returns the
    SR image; a ``torch.nn.Module``; a ``MethodCard``. dataset, protocol: see ``load_dataset`` and ``protocol``. refs:
    another rule of references ("all", "level:5", "none"). adapter: ``adapter(net, lr, refs)`` runs a network on tensors
    (1, 3, h, w) in [0, 1]; None calls ``net(lr)``. references: what a method of one's own takes, "none", "one" or
    "many". depends: files that it reads. weights, matching, views, device, dtype, tile: as of ``upscale``. metrics:
    names of further ones beside the protocol's ("dists"). name: of its row.

    limit: only the first pairs. out: a results folder, in which the same call goes on where it stopped; None for a
    temporary one that lasts as long as the result. reuse: of earlier records there, "missing", "never" or "only"; code
    that changed is measured again. save_images: None keeps those of at most 20 pairs. allow_leaks: of the ground truth.

    A pair that fails becomes a record with its reason. Raises Misuse for what cannot be measured and for another run in
    the same place, BenchError for unreadable data or a full disk.
    """
    files = () if weights is None else (str(weights),)
    chosen = Choice(
        (), files, device, matching, views=parse(views), tiling=tiles_of(str(tile)), dtype=number_format(dtype)
    )
    own = Own(adapter, references, tuple(map(Path, depends)), name)
    data, convention = load_dataset(dataset), with_refs(protocol, refs)
    usual = "images" if any(map(_of_set, metrics)) else pictures_of((data,), limit)
    pictures = {None: usual, True: "images", False: "none"}[save_images]
    with methods.ready(method, own, chosen) as ready:
        session = Session(ready.choice, (data,), (convention,), (), name, limit, allow_leaks, pictures, made=ready.made)
        return _measured(session, metrics, out, ready.reuse or reuse)


def _of_set(metric: str) -> bool:
    """Tell whether a metric compares all images together, which it reads when they are made."""
    return catalogue.get("METRICS", metric).level == "set"


def _measured(session: Session, more: Sequence[str], out: str | Path | None, reuse: Reuse) -> Result:
    """Carry out a session of one method on one data set under one protocol."""
    if session.limit is not None and session.limit < 1:
        raise Misuse(f"limit={session.limit}: give a number of pairs, or None for all.")
    if ALL in session.choice.names:
        raise Misuse("evaluate measures one method; call it for each. The command run takes --method all.")
    metrics = metrics_of((*session.protocols[0].metrics, *more), session.choice.device)
    place, temporary = place_of(out)
    (done,) = run_session(replace(session, metrics=metrics), place, reuse, lambda what: partial(tracked, what=what))
    return Result(*done, temporary)
