"""Tools for layouts: find the folder, match names, and turn pairs of files into a Dataset."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from refsr_bench.core import files
from refsr_bench.core.cards import DatasetCard
from refsr_bench.core.commands import command
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.lists import some
from refsr_bench.core.types import Dataset, ImageSource, RefPair
from refsr_bench.data.manifests import file_sha256
from refsr_bench.pixels.images import image_files, image_size
from refsr_bench.pixels.saved import pixels_digest

MOST_NAMES = 100_000  # limit of a pairs file; the largest set of the field, CUFED's training pairs, has 23,742
NO_DIGESTS = "names and counts are those published; this version does not know the digests of the official files"


def absent(card: DatasetCard, root: Path) -> Misuse:
    """Return the error for an absent data set: where its owners publish it and which command prepares it."""
    prepare = command("data", "prepare", card.name, "--from", "ZIP_OR_DIR", "--data-root", root)
    return Misuse(
        f"Data set '{card.name}' is not in {root}: looked for {card.layout}. Its owners publish it at {card.home}. "
        f"Point --data-root (or REFSR_DATA) at a folder that holds it, or, with the download in hand: {prepare}"
    )


def first_folder(root: Path, candidates: Iterable[str], fits: Callable[[Path], bool]) -> Path | None:
    """Return the first of ``root/candidate`` that is a folder and fits; None if none does."""
    for candidate in candidates:
        folder = root / candidate
        if folder.is_dir() and fits(folder):
            return folder
    return None


def images_in(folder: Path) -> list[Path]:
    """Return the image files of a folder, by name; none if there is no such folder."""
    return image_files(folder) if folder.is_dir() else []


def by_id(paths: Iterable[Path], identify: Callable[[str], str | None] = lambda stem: stem) -> dict[str, Path]:
    """Return files by id, ``identify(stem)``; None leaves a file out. Raises BenchError naming both files of one id."""
    found: dict[str, Path] = {}
    for path in paths:
        key = identify(path.stem)
        if key is None:
            continue
        if key in found:
            raise BenchError(
                f"Two files stand for the same image '{key}': {found[key]} and {path}. Remove or rename one of them."
            )
        found[key] = path
    return found


def require(missing: Sequence[str], what: str, folder: Path) -> None:
    """Raise BenchError when ``missing`` names something."""
    if missing:
        raise BenchError(
            f"{folder}: {len(missing)} {what} missing: {some(missing)}. The copy is incomplete: unpack it again."
        )


def assemble(
    card: DatasetCard,
    root: Path,
    pairs: Sequence[RefPair],
    differences: Sequence[str] = (),
    notes: Sequence[str] = (),
    official_digest: str | None = None,
) -> Dataset:
    """Hash the files and say whether the pairs are the published ones, of which there are ``card.n_pairs``.

    differences: what else distinguishes these pairs from the published ones (sizes, names), in words.
    official_digest: manifest digest of the published files, if known. Without it, official means that count, names and
    sizes agree, and a note says that the files themselves could not be compared.
    Raises BenchError for pairs with the same id.
    """
    ids = Counter(pair.id for pair in pairs)
    if twice := sorted(pair_id for pair_id, count in ids.items() if count > 1):
        raise BenchError(f"{root}: pair ids must differ, found more than once: {some(twice)}.")
    digest = manifest_digest(pairs)
    found = list(differences)
    if card.n_pairs is not None and len(pairs) != card.n_pairs:
        found.insert(0, f"{len(pairs)} pairs instead of {card.n_pairs}")
    if official_digest is not None and not found and digest != official_digest:
        found.append("the files differ from the published ones (other digest)")
    said = [f"{difference}: not the published set" for difference in found]
    official = card.n_pairs is not None and not found
    if official and official_digest is None:
        said.append(NO_DIGESTS)
    return Dataset(card.name, card.title, tuple(pairs), digest, official, (*said, *notes), root)


def manifest_digest(pairs: Sequence[RefPair]) -> str:
    """Return SHA-256 over ids, names, levels and the contents of every file of the pairs, wherever the files lie.

    The pixels of an image without a file stand for its contents.
    """
    sources = [src for pair in pairs for src in (pair.hr, *pair.refs)]
    paths = list(dict.fromkeys(src.path for src in sources if src.path is not None))
    with ThreadPoolExecutor(4) as pool:  # hashing releases the interpreter lock
        digests = dict(zip(paths, pool.map(file_sha256, paths), strict=True))

    def entry(src: ImageSource) -> list[str | int | None]:
        return [src.name, src.level, pixels_digest(src.load()) if src.path is None else digests[src.path]]

    content = [[pair.id, entry(pair.hr), [entry(ref) for ref in pair.refs]] for pair in pairs]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def read_list(path: Path) -> str:
    """Read a text file that a person wrote: UTF-8, with or without the byte order mark that some editors add.

    Raises BenchError naming the file when it is no regular file, too large, or no text.
    """
    try:
        return files.read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BenchError(f"{path}: cannot be read as text ({error}).") from None


def read_pairs_file(path: Path) -> list[list[str]]:
    """Read lines ``input ref [ref ...]`` of a pairs file, skipping empty lines and lines that start with #.

    Raises BenchError naming the line when it has fewer than two names or a name that leaves the folder, and for more
    than MOST_NAMES names.
    """
    rows: list[tuple[int, list[str]]] = []
    count = 0
    for number, line in enumerate(read_list(path).split("\n"), 1):
        names = re.findall(r"[^ \t\r]+", line)  # str.split also takes U+2028 and the like, which names may hold
        if not names or names[0].startswith("#"):
            continue
        if len(names) < 2:
            raise BenchError(f"{path}, line {number}: expected 'input ref [ref ...]', found {line.strip()!r:.200}.")
        count += len(names)
        if count > MOST_NAMES:
            raise BenchError(f"{path}: more than {MOST_NAMES} names; no known data set has as many.")
        rows.append((number, names))
    if not rows:
        raise BenchError(f"{path}: lists no pairs. Write one pair per line: 'input ref'.")
    for number, names in rows:  # after the count, because the disk is asked about each name
        for name in names:
            try:
                files.inside(path.parent, name)
            except BenchError as error:
                raise BenchError(f"{path}, line {number}: {error}") from None
    return [names for _, names in rows]


def size_of(src: ImageSource) -> tuple[int, int]:
    """Return (height, width) of an image, from the file's header if there is a file."""
    if src.path is None:
        height, width = src.load().shape[:2]
    else:
        width, height = image_size(src.path)
    return height, width


def size_differences(
    sizes: Mapping[str, tuple[int, int]], fits: Callable[[int, int], bool], expected: str
) -> list[str]:
    """Return one sentence, or none, about the images whose (width, height) differs from the published one."""
    odd = [f"{name} is {w}x{h}" for name, (w, h) in sizes.items() if not fits(w, h)]
    return [f"images are not {expected} ({some(odd, 3)})"] if odd else []
