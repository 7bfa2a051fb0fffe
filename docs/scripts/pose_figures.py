"""Draw the pictures of docs/guide/any-pose.md, and write the numbers of its tables, from photographs of the sample set.

    python -m docs.pose_figures

It takes four minutes on one core and gives the same files every time on the same machine.
"""

import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image, ImageDraw, ImageFont

from benchmarks.any_pose import FOUR, Methods, degraded, photos, turned
from c2matching.matching.patches import CELL, REACH, WINDOW
from c2matching.matching.subcell import blurred, luma, tops
from leaderboard.figures.style import COLOURS, DIM, INK, look, mark
from refsr_bench.pixels.resize import resize_pil_bicubic
from refsr_bench.views.using import shown

PAGE = Path(__file__).parents[1] / "guide" / "any-pose.md"
IMAGES = Path(__file__).parents[1] / "images"
STRIP = {"motorcycle": (101, 121), "coffee": (223, 143)}  # photograph and the corner (x, y) of the cut that is shown
POSE = (45, 1.5)  # degrees and scale of the reference of the strip
SIDE, ZOOM, GAP, LABEL = 96, 2, 8, 22  # pixels
OFF = (2, 2)  # pixels by which the reference of the diagram is shifted
PATCH_AT = ("shelf", (44, 21))  # photograph and top-left cell (x, y) of the patch of the diagram
SHIFTS = range(5)  # pixels, along both axes
POSES = ((0, 1), (10, 1), (45, 1), (150, 1), (0, 0.5), (0, 2), POSE)


def shifted(image: np.ndarray, x: int, y: int) -> np.ndarray:
    """Shift a photograph to the right and down, its mirror image filling what becomes free."""
    return np.pad(image, ((y, 0), (x, 0), (0, 0)), mode="reflect")[: image.shape[0], : image.shape[1]]


# -- a strip of images ---------------------------------------------------------------------------------------------


def strip(methods: Methods) -> None:
    """Draw two images with turned references, restored without and with a view of these."""
    side = SIDE * ZOOM
    row = side + LABEL + GAP
    sheet = Image.new("RGB", ((side + GAP) * 6 - GAP, LABEL + row * len(STRIP) - GAP), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(15)
    for number, (name, corner) in enumerate(STRIP.items()):
        for column, (title, image, below) in enumerate(panels(methods, photos([name])[name], corner)):
            left, top = column * (side + GAP), LABEL + number * row
            sheet.paste(image, (left + (side - image.width) // 2, top + (side - image.height) // 2))
            if not number:
                draw.text((left + side / 2, LABEL - 6), title, fill=INK, font=font, anchor="ms")
            draw.text((left + side / 2, top + side + 16), below, fill=DIM, font=font, anchor="ms")
    sheet.save(IMAGES / "pose.png", optimize=True)


def panels(methods: Methods, hr: np.ndarray, corner: tuple[int, int]) -> list[tuple[str, Image.Image, str]]:
    """Return the title, the image and the line below of every panel of a row."""
    lr = degraded(hr)
    ref, _ = turned(hr, *POSE)
    plain, viewed = methods.predict("plain", lr, ref), methods.predict("views", lr, ref)
    (view,) = viewed.views
    nearest = np.asarray(Image.fromarray(lr).resize(hr.shape[1::-1], Image.Resampling.NEAREST))
    whole = Image.fromarray(ref)
    whole.thumbnail((SIDE * ZOOM,) * 2, Image.Resampling.BICUBIC)

    def cut(image: np.ndarray) -> Image.Image:
        x, y = corner
        area = Image.fromarray(image).crop((x, y, x + SIDE, y + SIDE))
        return area.resize((SIDE * ZOOM,) * 2, Image.Resampling.NEAREST)

    def scored(image: np.ndarray) -> str:
        return f"{methods.psnr_y(image, hr, 4, False):.2f} dB"

    return [
        ("LR", cut(nearest), f"bicubic {scored(resize_pil_bicubic(lr, *hr.shape[:2]))}"),
        ("Reference", whole, f"turned by {POSE[0]}°, x{POSE[1]}"),
        ("View of it", cut(hatched(shown(view, lr), view.valid)), f"{view.valid.mean():.0%} trusted"),
        ("As published", cut(plain.sr), scored(plain.sr)),
        ("With the view", cut(viewed.sr), scored(viewed.sr)),
        ("HR", cut(hr), ""),
    ]


def hatched(image: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Hatch what cannot be trusted."""
    y, x = np.mgrid[: valid.shape[0], : valid.shape[1]]
    line = ~valid & ((x + y) % 6 < 2)
    return np.where(line[..., None], np.uint8([213, 94, 0]), image)


# -- a cell --------------------------------------------------------------------------------------------------------


def surface(hr: np.ndarray, ref: np.ndarray, cell: tuple[int, int], place: tuple[int, int]) -> np.ndarray:
    """Correlate the window of a patch with the reference at all shifts around a place; both are top-left cells."""
    lr_up = resize_pil_bicubic(degraded(hr), *hr.shape[:2])
    own, there = (luma(torch.from_numpy(image / 255).permute(2, 0, 1).float()) for image in (lr_up, ref))
    own, there = own.numpy(), blurred(there).numpy()
    rim = (WINDOW - 3 * CELL) // 2
    left, top = (CELL * at - rim for at in cell)
    window = own[top : top + WINDOW, left : left + WINDOW].ravel()
    left, top = (CELL * at - rim for at in place)
    reach = range(-REACH - 1, REACH + 2)
    scores = [
        [
            np.corrcoef(window, there[top + j : top + j + WINDOW, left + i : left + i + WINDOW].ravel())[0, 1]
            for i in reach
        ]
        for j in reach
    ]
    return np.asarray(scores)


def cells(methods: Methods) -> None:
    """Draw a patch, its match on the grid of cells and below it, and the correlations that tell the two apart."""
    name, cell = PATCH_AT
    hr = photos([name])[name]
    ref = shifted(hr, *OFF)
    found = methods.plain.match(degraded(hr), ref, 4)
    at = int(np.flatnonzero((np.floor(found.points / CELL).astype(int) == np.asarray(cell) + 1).all(1))[0])
    move = np.rint((found.targets[at] - found.points[at]) / CELL).astype(int)
    place = tuple(int(v) for v in np.asarray(cell) + move)
    scores = surface(hr, ref, cell, place)
    j, i = np.unravel_index(scores[1:-1, 1:-1].argmax(), (2 * REACH + 1,) * 2)
    fraction = tops(torch.from_numpy(scores[None, j : j + 3, i : i + 3]))[0].tolist()
    top = (i - REACH + fraction[0], j - REACH + fraction[1])

    with look():
        figure = Figure(figsize=(7.2, 3.0), layout="constrained")
        one, two, three = figure.subplots(1, 3)
        lr_up = resize_pil_bicubic(degraded(hr), *hr.shape[:2])
        for axis, image, corner in ((one, lr_up, cell), (two, ref, place)):
            zoomed(axis, image, corner)
        box(one, cell, (0, 0), COLOURS[0], "-", "a patch of 3x3 cells, and its true place")
        box(two, place, (0, 0), COLOURS[1], "--", "its match on the grid")
        box(two, cell, OFF, COLOURS[0], "-", "")
        box(two, place, top, COLOURS[2], ":", "place found below a cell")
        one.set_title("LR, enlarged")
        two.set_title("Reference")
        edge = REACH + 1.5
        three.imshow(
            scores, extent=(-edge, edge, edge, -edge), cmap="Greys", vmin=scores.min(), vmax=scores.max()
        )  # dark is high
        three.plot(0, 0, "s", color=COLOURS[1])
        three.plot(*top, "o", color=COLOURS[2])
        three.grid(visible=False)
        three.set_title(f"Correlation, {scores.min():.2f} to {scores.max():.2f}")
        three.set_xlabel("shift to the right, pixels")
        three.set_ylabel("shift down, pixels")
        named = [pair for axis in (one, two) for pair in zip(*axis.get_legend_handles_labels(), strict=True)]
        figure.legend(*zip(*named, strict=True), loc="outside lower center", ncols=len(named))
        figure.savefig(IMAGES / "cell.png", metadata={"Software": None})


def zoomed(axis: object, image: np.ndarray, corner: tuple[int, int]) -> None:
    """Show the cells around a patch, with their grid."""
    left, top = (CELL * (at - 2) for at in corner)
    side = 7 * CELL
    area = image[top : top + side, left : left + side]
    axis.imshow(area, extent=(left, left + side, top + side, top), interpolation="nearest")
    for n in range(8):
        axis.axvline(left + CELL * n, color="white", linewidth=0.5, alpha=0.7)
        axis.axhline(top + CELL * n, color="white", linewidth=0.5, alpha=0.7)
    axis.set_xticks([])
    axis.set_yticks([])
    axis.grid(visible=False)


def box(axis: object, corner: tuple[int, int], off: tuple[float, float], colour: str, dash: str, name: str) -> None:
    place = [CELL * at + by for at, by in zip(corner, off, strict=True)]
    axis.add_patch(
        Rectangle(place, 3 * CELL, 3 * CELL, fill=False, edgecolor=colour, linewidth=2, linestyle=dash, label=name)
    )


# -- numbers -------------------------------------------------------------------------------------------------------


def shifts(methods: Methods) -> str:
    """Draw PSNR by whole-pixel shifts of the reference, and return the table."""
    images = photos(FOUR).values()
    ways = {"plain": "as published", "sub-cell": "sub-cell"}
    found = {
        way: [np.mean([methods.psnr(way, hr, shifted(hr, n, n)) for hr in images]) for n in SHIFTS] for way in ways
    }
    with look():
        figure = Figure(figsize=(3.6, 2.4), layout="constrained")
        axis = figure.subplots()
        for number, (way, title) in enumerate(ways.items()):
            axis.plot(list(SHIFTS), found[way], label=title, **mark(number).line)
        axis.set_xticks(list(SHIFTS))
        axis.set_xlabel("shift of the reference to the right and down, pixels")
        axis.set_ylabel("PSNR-Y, dB")
        axis.legend()
        figure.savefig(IMAGES / "shifts.png", metadata={"Software": None})
    return table(("shift", *ways.values()), [(f"({n}, {n})", *(found[way][n] for way in ways)) for n in SHIFTS])


def poses(methods: Methods) -> str:
    """Return the table of turned and scaled references, with an unrelated one below."""
    images = list(photos(FOUR).values())
    rows = []
    for degrees, scale in POSES:
        found = []
        for hr in images:
            ref, matrix = turned(hr, degrees, scale)
            own = [methods.psnr(way, hr, ref) for way in ("plain", "sub-cell", "views")]
            found.append([*own, methods.oracle(hr, ref, matrix)])
        rows.append((f"{degrees}°, x{scale:g}", *np.mean(found, axis=0)))
    others = [
        [methods.psnr(way, hr, other) for way in ("plain", "sub-cell", "views")]
        for hr, other in pairwise([*images, images[0]])
    ]
    rows.append(("another photograph", *np.mean(others, axis=0), "-"))
    return table(("reference", "as published", "sub-cell", "sub-cell, views", "true view"), rows)


def table(head: tuple[str, ...], rows: list[tuple]) -> str:
    lines = [head, ["---"] * len(head), *((f"{v:.2f}" if isinstance(v, float) else v for v in row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write(name: str, content: str) -> None:
    """Write a table between its marks in the page."""
    from refsr_bench.core.files import write_text

    text = PAGE.read_text(encoding="utf-8")
    start, end = f"<!-- {name}: written by docs/scripts/pose_figures.py -->\n", f"<!-- end of {name} -->"
    assert start in text and end in text, name
    pattern = re.escape(start) + ".*?" + re.escape(end)
    write_text(PAGE, re.sub(pattern, lambda _: f"{start}{content}\n{end}", text, flags=re.DOTALL))


def main() -> None:
    methods = Methods()
    strip(methods)
    cells(methods)
    write("shifts", shifts(methods))
    write("poses", poses(methods))


if __name__ == "__main__":
    main()
