"""WR-SR (Webly-Referenced SR): 80 inputs with one reference each that a person chose from a web image search."""

from __future__ import annotations

from pathlib import Path

from refsr_bench.core.cards import DatasetCard
from refsr_bench.core.errors import BenchError
from refsr_bench.core.types import Dataset, RefPair
from refsr_bench.data.layout import absent, assemble, by_id, first_folder, images_in, read_pairs_file, require
from refsr_bench.pixels.images import source

CANDIDATES = ("", "WR-SR", "WR_SR", "wr-sr", "WRSR")
PAIRS_FILES = ("WR-SR_pairs.txt", "pairs.txt")
_FACTS = {"source": "BSDS500, Flickr and web image search"}


def _open(root: Path | None) -> Dataset:
    base = first_folder(root, CANDIDATES, lambda folder: (folder / "input").is_dir() or (folder / "ref").is_dir())
    if base is None:
        raise absent(CARD, root)
    inputs, refs = images_in(base / "input"), images_in(base / "ref")
    if not inputs:
        raise BenchError(f"{base / 'input'}: holds no images. Expected {CARD.layout}.")
    # C2-Matching keeps the list beside the WR-SR folder, so the root is searched too.
    lists = [folder / name for folder in (base, root) for name in PAIRS_FILES]
    listed = next((path for path in lists if path.is_file()), None)
    pairs = _matched(base, inputs, refs) if listed is None else _listed(base, listed, inputs, refs)
    differences = []
    if [pair.id for pair in pairs] != [f"{n:03d}" for n in range(1, len(pairs) + 1)]:
        differences.append(f"inputs are not named 001 .. {len(pairs):03d}")
    if any(pair.refs[0].path.stem != f"{pair.id}_ref" for pair in pairs):
        differences.append("references are not named NNN_ref")
    return assemble(CARD, base, pairs, differences=differences)


def _matched(base: Path, inputs: list[Path], refs: list[Path]) -> list[RefPair]:
    hr, ref = by_id(inputs), by_id(refs)
    require([f"{stem}_ref" for stem in hr if f"{stem}_ref" not in ref], "references", base / "ref")
    orphans = [path.name for stem, path in ref.items() if stem.removesuffix("_ref") not in hr]
    require([f"the input of {name}" for name in orphans], "inputs", base / "input")
    return [RefPair(stem, source(path), (source(ref[f"{stem}_ref"]),), _FACTS) for stem, path in hr.items()]


def _listed(base: Path, listed: Path, inputs: list[Path], refs: list[Path]) -> list[RefPair]:
    hr, ref = {path.name: path for path in inputs}, {path.name: path for path in refs}
    rows = read_pairs_file(listed)
    require([row[0] for row in rows if row[0] not in hr], f"inputs of {listed.name}", base / "input")
    require([name for row in rows for name in row[1:] if name not in ref], f"references of {listed.name}", base / "ref")
    by_id([hr[row[0]] for row in rows])  # refuses one input listed twice, and 001.png beside 001.jpg
    return [
        RefPair(Path(first).stem, source(hr[first]), tuple(source(ref[name]) for name in others), _FACTS)
        for first, *others in rows
    ]


CARD = DatasetCard(
    name="wrsr",
    title="WR-SR",
    description="Test set of C2-Matching: inputs from BSDS500 and Flickr, references found on the web.",
    open=_open,
    home="https://github.com/yumingj/C2-Matching (download links in its DATASETS.md)",
    terms="images: unknown, copyright of web photos unstated; do not redistribute",
    withheld="the copyright of the photographs is unknown",
    layout=(
        "input/NNN.png with ref/NNN_ref.png; a pairs file WR-SR_pairs.txt or pairs.txt ('input ref') takes precedence"
    ),
    n_pairs=80,
    folder="WR-SR",
)
DATASETS = (CARD,)
