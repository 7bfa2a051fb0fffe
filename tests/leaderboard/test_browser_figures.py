"""The page of figures in headless Chromium, opened from the disk: what loads, in which layout, by mouse and by key.

Needs ``pip install playwright`` and a Chromium: Debian's (``apt-get install chromium``), or playwright's own.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from figure_runs import HOSTILE, known, robust, under
from runs import make, store

from leaderboard.pages.figures import files, gather, page
from leaderboard.pages.pages import ASSETS, Entry, Site
from leaderboard.reading.load import read_folder

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
expect = playwright.expect
expect.set_options(timeout=20_000)  # machines may be busy

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """``figures.html`` with what it needs, of runs of all kinds."""
    results, out = tmp_path_factory.mktemp("results"), tmp_path_factory.mktemp("site")
    runs = [
        known(under(make("a", (28, 30), title=HOSTILE)), parameters=10**6),
        known(under(make("b", (27, 28))), parameters=10**5),
        known(under(make("c", (26, 26))), parameters=10**4),
        under(make("a", (27, 28), title=HOSTILE), "c2+refs=level:3", refs="level:3"),
        *(robust("a", f"sample.rotation.{level}", (26, 27), (4, 6)) for level in ("small", "large")),
    ]
    for n, run in enumerate(runs):
        store(results / str(n), run)
    found, _ = gather(read_folder(results))
    entries = (Entry("table", "Table", "index.html"), Entry("figures", "Figures", "figures.html"))
    texts = {"figures.html": page(Site("Leaderboard", entries), found)} | files(found)
    texts |= {f"assets/{path.name}": path.read_text() for path in ASSETS.iterdir() if path.suffix in (".css", ".js")}
    for name, text in texts.items():
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).write_text(text, encoding="utf-8")
    return out


@pytest.fixture
def visit(browser: playwright.Browser, site: Path) -> Iterator[Callable[..., playwright.Page]]:
    """``visit(width, scheme)``: the page; afterwards nothing may have gone wrong in it, or been asked of a network."""
    contexts, said, asked = [], [], []

    def open_page(width: int = 1400, scheme: str = "light") -> playwright.Page:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        opened = context.new_page()
        opened.on("console", lambda message: said.append(message.text))
        opened.on("pageerror", lambda error: said.append(str(error)))
        opened.on("request", lambda request: asked.append(request.url))
        opened.goto((site / "figures.html").as_uri())
        return opened

    yield open_page
    for context in contexts:
        context.close()
    assert said == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []


@pytest.mark.parametrize(("width", "ending"), [(1400, ".svg"), (390, "-narrow.svg")])
def test_every_figure_loads_in_the_layout_of_the_screen(visit, width, ending):
    opened = visit(width)
    images = opened.locator("figure img")
    assert images.count() >= 4
    for n in range(images.count()):
        image = images.nth(n)
        image.scroll_into_view_if_needed()
        opened.wait_for_function("image => image.complete && image.naturalWidth > 100", arg=image.element_handle())
        assert image.evaluate("image => image.currentSrc").endswith(ending)
        assert image.evaluate("i => Math.abs(i.width / i.height - i.naturalWidth / i.naturalHeight)") < 0.02
    assert opened.evaluate("document.documentElement.scrollWidth") <= width


def test_drawings_are_dark_on_a_dark_page(visit, tmp_path):
    from PIL import Image

    corners = []
    for scheme in ("light", "dark"):
        opened = visit(1400, scheme)
        image = opened.locator("figure img").first
        image.scroll_into_view_if_needed()
        opened.wait_for_function("image => image.complete", arg=image.element_handle())
        image.screenshot(path=tmp_path / f"{scheme}.png")
        corners.append(Image.open(tmp_path / f"{scheme}.png").convert("L").getpixel((4, 4)))
    assert corners[0] > 240 and corners[1] < 60


def test_data_opens_by_mouse_and_by_key_and_contents_lead_to_sections(visit):
    opened = visit()
    first, second = opened.locator("figure details").nth(0), opened.locator("figure details").nth(1)
    expect(first.locator("table")).to_be_hidden()
    first.locator("summary").click()
    expect(first.locator("table")).to_be_visible()
    second.locator("summary").focus()
    opened.keyboard.press("Enter")
    expect(second.locator("table")).to_be_visible()
    opened.get_by_role("navigation", name="Figures").get_by_role("link", name="Quality and cost").click()
    assert opened.url.endswith("#cost")
    expect(opened.locator("#cost h2")).to_be_in_viewport()


def test_drawing_and_data_are_there_to_take_away(visit, site):
    opened = visit()
    first = opened.locator("figure").first
    data = site / first.get_by_role("link", name="CSV").get_attribute("href")
    assert data.read_text(encoding="utf-8").startswith("level,method,")
    first.get_by_role("link", name="SVG").click()  # on a disk, browsers show what they would store from a host
    opened.wait_for_url("**/figures/*.svg")
    assert opened.evaluate("document.documentElement.localName") == "svg"
    assert opened.locator("text", has_text="HR pixels").count() >= 1
