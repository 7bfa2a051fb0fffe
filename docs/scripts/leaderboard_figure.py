"""Draw docs/images/leaderboard.png: the first page of a site and the page of an image, as a browser shows them.

    docs/scripts/site.sh OUT quick
    python docs/scripts/leaderboard_figure.py OUT/site docs/images/leaderboard.png
"""

import io
import shutil
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import sync_playwright

HEIGHT, GAP = 1240, 24
FIRST, IMAGE = 1180, 860  # widths of the two windows


def main(site: Path, out: Path) -> None:
    with sync_playwright() as driver:
        found = shutil.which("chromium") or driver.chromium.executable_path
        browser = driver.chromium.launch(args=["--no-sandbox"], executable_path=found)
        page = browser.new_page(viewport={"width": FIRST, "height": HEIGHT})
        page.goto((site / "index.html").resolve().as_uri())
        page.wait_for_load_state("networkidle")
        first = pixels(page.screenshot())
        page.set_viewport_size({"width": IMAGE, "height": HEIGHT})
        page.locator(".lineup:visible a").last.click()
        page.wait_for_load_state("networkidle")
        second = pixels(page.screenshot())
        browser.close()
    between = np.full((HEIGHT, GAP, 3), 128, np.uint8)
    Image.fromarray(np.hstack([first, between, second])).quantize(256).save(out, optimize=True)


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
