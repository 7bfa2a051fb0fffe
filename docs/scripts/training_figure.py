"""Draw the curves of a training from its log files.

    python docs/scripts/training_figure.py docs/images/training.png student=runs/a,runs/b restoration=runs/v2

Folders of one name are parts of one training, one after the other.
"""

import json
import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

MEASURE = {"validation/aee": "AEE, pixels", "validation/psnr": "PSNR-Y, dB"}
SMOOTH = 5  # logged iterations averaged


def read(folders: list[Path]) -> tuple[dict[str, list[tuple[int, float]]], list[tuple[int, float]], str]:
    losses: dict[str, list[tuple[int, float]]] = {}
    checked, measure, before = [], "", 0
    for folder in folders:
        last = before
        for line in (folder / "log.jsonl").read_text().splitlines():
            values = json.loads(line)
            last = before + values.pop("iteration")
            for name, value in values.items():
                if name in MEASURE:
                    measure = name
                    checked.append((last, value))
                elif not name.startswith("validation/") and name != "left_out":
                    losses.setdefault(name, []).append((last, value))
        before = last
    return losses, checked, measure


def main(out: Path, parts: list[str]) -> None:
    figure = Figure(figsize=(4.2 * len(parts), 2.8), dpi=130, layout="constrained")
    for axis, part in zip(np.atleast_1d(figure.subplots(1, len(parts))), parts, strict=True):
        title, _, folders = part.partition("=")
        losses, checked, measure = read([Path(folder) for folder in folders.split(",")])
        for name, points in losses.items():
            x, y = np.array(points).T
            y = np.convolve(np.pad(y, SMOOTH // 2, "edge"), np.ones(SMOOTH) / SMOOTH, "valid")
            axis.plot(x, y, linewidth=1, label=name.replace("_", " "))
        axis.set_xlabel("iteration", fontsize=8)
        axis.set_ylabel("loss", fontsize=8)
        axis.set_title(title, fontsize=9)
        beside = axis.twinx()
        beside.plot(*np.array(checked).T, "ko--", markersize=3, linewidth=0.8, label=f"validation {MEASURE[measure]}")
        for each in (axis, beside):
            each.tick_params(labelsize=7)
        handles = [a.get_legend_handles_labels() for a in (axis, beside)]
        axis.legend(*(a + b for a, b in zip(*handles, strict=True)), fontsize=6, frameon=False)
    figure.savefig(out)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
