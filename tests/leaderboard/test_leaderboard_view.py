"""The page of any pictures: one file that needs nothing else, with what was done to the pictures said."""

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from picture_runs import HEIGHT, WIDTH, degraded, photo, save
from PIL import Image
from site_pages import HOSTILE, Page

from leaderboard.pages import view
from refsr_bench.cli import main
from refsr_bench.core.errors import BenchError, Misuse


@pytest.fixture
def images(tmp_path: Path) -> dict[str, Path]:
    """LR a quarter as large, two images of one size, and a reference of another."""
    hr = photo(0)
    made = {
        "lr": np.asarray(Image.fromarray(hr).resize((WIDTH // 4, HEIGHT // 4), Image.Resampling.BOX)),
        "sr": degraded(hr, 3),
        "hr": hr,
        "ref": photo(7)[:50, :70],
    }
    for name, image in made.items():
        save(tmp_path / f"{name}.png", image)
    return {name: tmp_path / f"{name}.png" for name in made}


def shown(text: str) -> list[np.ndarray]:
    sources = [values["src"] for tag, values in Page(text).tags if tag == "img"]
    data = [base64.b64decode(source.removeprefix("data:image/png;base64,")) for source in sources]
    return [np.asarray(Image.open(io.BytesIO(one))) for one in data]


def asked(images: dict[str, Path], *words: str | Path) -> Result:
    return CliRunner().invoke(main, ["view", *map(str, words), "--no-browser"])


def test_every_picture_is_in_the_page_as_it_is(images: dict[str, Path]) -> None:
    text = view.page([images["sr"], images["hr"]], refs=[images["ref"]])
    for found, name in zip(shown(text), ("sr", "hr", "ref"), strict=True):
        assert np.array_equal(found, np.asarray(Image.open(images[name])))
    outside = [values for tag, values in Page(text).tags if tag in ("script", "link") and values.get("rel") != "icon"]
    assert all(not {"src", "href"} & set(values) for values in outside)


@pytest.mark.parametrize("how", ["nearest", "bicubic"])
def test_a_smaller_image_is_enlarged_and_the_page_says_so(images: dict[str, Path], how: str) -> None:
    text = view.page([images["lr"], images["hr"]], enlarging=how)
    lr = np.asarray(Image.open(images["lr"]))
    enlarged = shown(text)[0]
    assert enlarged.shape == (HEIGHT, WIDTH, 3) and f"24 × 16, enlarged 4 times ({how})" in Page(text).words()
    assert np.array_equal(enlarged, lr.repeat(4, 0).repeat(4, 1)) == (how == "nearest")


def test_images_of_other_sizes_are_refused_with_both_sizes(images: dict[str, Path]) -> None:
    with pytest.raises(Misuse, match=r"ref.png has 70 x 50 pixels and the largest image 96 x 64.*--ref"):
        view.page([images["hr"], images["ref"]])
    with pytest.raises(Misuse, match="two images"):
        view.page([images["hr"]])
    with pytest.raises(Misuse, match="1 labels for 2 images"):
        view.page([images["hr"], images["sr"]], ["one"])


def test_a_page_that_no_browser_opens_is_not_made(images: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "MOST_BYTES", 1000)
    with pytest.raises(BenchError, match="fewer or smaller"):
        view.page([images["hr"], images["sr"]])


def test_the_same_pictures_give_the_same_page_and_names_stay_text(images: dict[str, Path]) -> None:
    both = [images["hr"], images["sr"]]
    text = view.page(both, [HOSTILE, "\u202eb"], title=HOSTILE)
    assert text == view.page(both, [HOSTILE, "\u202eb"], title=HOSTILE)
    assert "<script>alert" not in text and "\u202e" not in text


def test_the_command_writes_one_file_and_says_where(images: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    words = (images["lr"], images["sr"], "--ref", images["ref"], "--label", "LR", "--label", "Mine", "--out", out)
    done = asked(images, *words)
    assert done.exit_code == 0 and done.stdout == f"Page: {out} (open it in a browser)\n"
    assert "LR, Mine" in out.read_text(encoding="utf-8")
    assert asked(images, *words).exit_code == 0  # its own page is replaced
    out.write_text("somebody's")
    refused = asked(images, *words)
    assert refused.exit_code == 2 and "--overwrite" in refused.stderr and out.read_text() == "somebody's"
    assert asked(images, *words, "--overwrite").exit_code == 0
    missing = asked(images, images["hr"], tmp_path / "none.png", "--out", tmp_path / "other.html")
    assert missing.exit_code == 1 and "none.png" in missing.stderr and not (tmp_path / "other.html").exists()
