"""Makes the images of a data set that is published as addresses and digests: ``python fetch.py`` in its folder.

Needs Python 3.9 and Pillow. Reads references.csv beside it; an image that is there already is not fetched again. Pages
change: an image whose pixels are not those that were chosen is refused and named. Please read the terms of each image
(columns license and landing_url) before you use it.
"""

import csv
import hashlib
import io
import sys
import time
import urllib.parse
import urllib.request
from pathlib import Path

from PIL import Image, ImageOps

LIMIT = 64 << 20
AGENT = "refsr-bench fetch.py (a person running a data set's own script)"


class Web(urllib.request.HTTPRedirectHandler):
    """Follows redirects to the web alone."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        check(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def check(url):
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise ValueError(f"{url} is no web address")


def fetch(url):
    check(url)
    request = urllib.request.Request(url, headers={"User-Agent": AGENT})
    with urllib.request.build_opener(Web).open(request, timeout=60) as answer:
        data = answer.read(LIMIT + 1)
    if len(data) > LIMIT:
        raise ValueError("larger than 64 MiB")
    return data


def made(data, row):
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    digest = hashlib.sha256(f"{image.width}x{image.height}".encode() + image.tobytes()).hexdigest()
    if digest != row["sha256"]:
        raise ValueError("the image there is another one now")
    image = image.crop((0, 0, int(row["crop_width"]), int(row["crop_height"])))
    size = int(row["width"]), int(row["height"])
    return image if image.size == size else image.resize(size, Image.BICUBIC)


def main(folder):
    failed = 0
    with open(folder / "references.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        target = folder / row["file"]
        if not target.resolve().is_relative_to(folder.resolve()) or target.exists():
            continue
        try:
            image = made(fetch(row["url"]), row)
        except Exception as error:  # one bad image must not keep the others away
            failed += 1
            print(f"{row['file']}: {row['url']}: {error}", file=sys.stderr)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name("." + target.name)
        image.save(partial, format="PNG")
        partial.replace(target)
        time.sleep(1)  # one image a second: these are other people's servers
    print(f"{len(rows) - failed} of {len(rows)} images are there.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(Path(__file__).resolve().parent))
