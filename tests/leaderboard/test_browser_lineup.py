"""The pictures of the first page in headless Chromium, from the disk: keys, tables, phones, and how links look.

Needs ``pip install playwright`` and a Chromium: Debian's (``apt-get install chromium``), or playwright's own.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from picture_runs import write_run

from leaderboard.pages.site import build

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
expect = playwright.expect
expect.set_options(timeout=20_000)  # machines may be busy

pytestmark = pytest.mark.slow
UNLIKE = """() => [...document.querySelectorAll("main *, footer *")].flatMap((element) => {
  const text = [...element.childNodes].filter((node) => node.nodeType === 3).map((node) => node.data.trim()).join("");
  if (!/[\\p{L}\\p{N}]/u.test(text) || !element.checkVisibility() || element.closest(".aside, option, svg")) return [];
  let underlined = false;
  for (let up = element; up; up = up.parentElement) {
    underlined ||= getComputedStyle(up).textDecorationLine === "underline";
  }
  return underlined === (element.closest("a[href]") !== null) ? [] : [text];
})"""
"""Texts that are underlined and no link, or links that are not underlined."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root, out = tmp_path_factory.mktemp("results"), tmp_path_factory.mktemp("site")
    for label in ("c2", "srntt"):
        write_run(root, "bicubic", 0, title="Bicubic", label=label, group="SISR", references="none")
        write_run(root, "middle", 2, title="Middle", label=label)
        write_run(root, "good", 4, title="Good", label=label)
    build(root, out, drawn=False)
    return out


@pytest.fixture
def visit(browser: playwright.Browser, site: Path) -> Iterator[Callable[..., playwright.Page]]:
    """``visit(path)``: a page from the disk; nothing may go wrong in it, or be asked of anybody else."""
    contexts, wrong = [], []

    def open_page(path: str = "index.html", **context: object) -> playwright.Page:
        contexts.append(browser.new_context(**{"viewport": {"width": 1400, "height": 900}, **context}))
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda message: message.type in ("error", "warning") and wrong.append(message.text))
        page.on("request", lambda request: request.url.startswith(("file:", "data:")) or wrong.append(request.url))
        page.goto((site / path).as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []


def tiles(page: playwright.Page) -> playwright.Locator:
    return page.locator("section.lineup:visible li")


def test_the_first_page_shows_every_method_before_any_number(visit) -> None:
    page = visit()
    names = ["Whole image", "Reference", "LR", "Bicubic", "Good", "Middle", "HR"]
    assert tiles(page).locator(".name").all_text_contents() == names
    for image in tiles(page).locator("img").all():
        image.scroll_into_view_if_needed()
        page.wait_for_function("image => image.complete && image.naturalWidth > 0", arg=image.element_handle())
    assert tiles(page).first.bounding_box()["y"] < page.locator("table.board:visible").first.bounding_box()["y"]
    assert all(tiles(page).locator("img").evaluate_all("all => all.map((image) => image.alt)"))
    tops = {tile.bounding_box()["y"] for tile in tiles(page).all()}
    assert len(tops) == 1  # one line in a wide window


def test_a_picture_opens_the_image_at_this_part_by_keyboard(visit) -> None:
    page = visit()
    link = tiles(page).filter(has_text="Middle").locator("a")
    link.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/images/**")
    assert page.locator("#left").evaluate("it => it.selectedOptions[0].text") == "Middle"
    assert page.locator("#right").evaluate("it => it.selectedOptions[0].text") == "HR"
    expect(page.get_by_role("button", name="Zoom out")).to_be_enabled()  # it is zoomed
    crop = [float(value) for value in page.locator("section.scene:visible").get_attribute("data-crop").split(",")]
    frame, stage = page.locator("#frame"), page.locator("#stage")
    frame.evaluate("it => { it.hidden = false; }")
    assert frame.bounding_box()["width"] == pytest.approx(stage.bounding_box()["width"], rel=0.01) and crop[2] == 24


def test_each_table_has_its_own_pictures(visit) -> None:
    page = visit()
    choose = page.get_by_label("Table", exact=True)
    shown = page.locator("section.lineup:visible .where")
    expect(shown).to_contain_text("protocol c2")
    choose.select_option("srntt")
    expect(shown).to_contain_text("protocol srntt")
    choose.select_option("C²-Matching (2021), Table 1")
    expect(page.locator("section.lineup:visible")).to_have_count(0)


@pytest.mark.parametrize("width", [390, 1400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_the_window(visit, width: int, scheme: str) -> None:
    page = visit(viewport={"width": width, "height": 800}, color_scheme=scheme, reduced_motion="reduce")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    sizes = [tile.bounding_box() for tile in tiles(page).locator(".frame").all()]
    assert len({round(size["width"]) for size in sizes}) == 1 and sizes[0]["width"] > 100
    assert all(size["width"] == pytest.approx(size["height"] * 4 / 3, abs=2) for size in sizes)


@pytest.mark.parametrize(
    "kind", ["index.html", "statistics.html", "images/index.html", "images/*/*.html", "methods/*.html"]
)
def test_links_look_like_links_and_nothing_else_does(visit, site: Path, kind: str) -> None:
    page = visit(next(site.glob(kind)).relative_to(site).as_posix())
    for details in page.locator("details").all():
        details.evaluate("it => { it.open = true; }")
    assert page.evaluate(UNLIKE) == []
    page.locator("h1").evaluate("it => { it.style.textDecoration = 'underline'; }")
    assert len(page.evaluate(UNLIKE)) == 1  # it would be seen
