"""Draw README's picture from a run of the sample set with --save-images.

refsr-bench run --method bicubic --method c2matching --dataset sample --save-images
python docs/scripts/sample_figure.py results docs/images/sample.png
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from refsr_bench.core import catalogue
from refsr_bench.data.opening import open_dataset
from refsr_bench.pixels.images import read_image

PAIRS = {"coffee": (100, 60), "astronaut": (90, 40)}  # pair and the corner (x, y) of the cut that is shown
SIDE, ZOOM, GAP, LABEL = 112, 2, 8, 26


def main(results: Path, out: Path) -> None:
    protocol = catalogue.get("PROTOCOLS", "c2")
    pairs = {pair.id: pair for pair in open_dataset("sample").pairs}
    side = SIDE * ZOOM
    names = ("LR", "Reference", "Bicubic", "C2-Matching (bundled)", "HR")
    sheet = Image.new("RGB", ((side + GAP) * len(names) - GAP, (side + GAP) * len(PAIRS) + LABEL), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(15)
    for row, (pair_id, (x, y)) in enumerate(PAIRS.items()):
        sample = protocol.prepare(pairs[pair_id], "sample")
        folders = (results / "c2" / "sample" / method / "images" for method in ("bicubic", "c2matching"))
        saved = [read_image(folder / f"{pair_id}.png") for folder in folders]
        lr = np.asarray(Image.fromarray(sample.lr).resize(sample.hr.shape[1::-1], Image.Resampling.NEAREST))
        for column, image in enumerate((lr, sample.refs[0], *saved, sample.hr)):
            cut = Image.fromarray(image).crop((x, y, x + SIDE, y + SIDE))
            place = (column * (side + GAP), row * (side + GAP) + LABEL)
            sheet.paste(cut.resize((side, side), Image.Resampling.NEAREST), place)
            if not row:
                draw.text((place[0] + side / 2, LABEL - 6), names[column], fill="black", font=font, anchor="ms")
    sheet.save(out, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
