"""The pages of images and methods in headless Chromium, from a disk and from a server, driven as a person would.

Needs ``pip install playwright`` and a Chromium: Debian's (``apt-get install chromium``), or playwright's own.
"""

import functools
import http.server
import io
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from picture_runs import degraded, photo, write_run
from PIL import Image

from leaderboard.pages import evidence, finder, gallery
from leaderboard.pages.pages import ASSETS, Entry, Site
from leaderboard.reading.load import read_folder
from leaderboard.tables.tables import build_tables
from refsr_bench.metrics.psnr import psnr

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
expect = playwright.expect
expect.set_options(timeout=20_000)  # machines may be busy

pytestmark = pytest.mark.slow
SITE = Site("Leaderboard", (Entry("table", "Table", "index.html"), Entry("images", "Images", "images/index.html")))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root, out = tmp_path_factory.mktemp("results"), tmp_path_factory.mktemp("site")
    for label in ("c2", "srntt"):
        write_run(root, "bicubic", 0, title="Bicubic", label=label, group="SISR", references="none")
        write_run(root, "middle", 2, title="Middle", label=label)
        write_run(root, "good", 4, title="Good", label=label, matches=label == "c2")
    runs = read_folder(root).benchmarks()
    tables = build_tables(runs)
    found = finder.collect(root, tables, out)
    pages = dict((*gallery.image_pages(found, SITE), *evidence.pages(tables, found, SITE)))
    found.keep(pages.values())
    for path, text in pages.items():
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        (out / path).write_text(text, encoding="utf-8")
    shutil.copytree(ASSETS, out / "assets")
    (out / "index.html").write_text("<!DOCTYPE html><title>x</title>")
    return out


@pytest.fixture(scope="module")
def served(site: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def visit(browser: playwright.Browser, site: Path) -> Iterator[Callable[..., playwright.Page]]:
    """``visit(path, base, fragment)``: a page from the disk, or from ``base``; nothing may go wrong in it."""
    contexts, wrong = [], []

    def open_page(path: str, base: str = "", fragment: str = "", **context: object) -> playwright.Page:
        contexts.append(browser.new_context(**{"viewport": {"width": 1400, "height": 900}, **context}))
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda message: message.type in ("error", "warning") and wrong.append(message.text))
        own = (base or site.as_uri(), "data:", "blob:")
        page.on("request", lambda request: request.url.startswith(own) or wrong.append(request.url))
        page.goto(f"{base or site.as_uri()}/{path}{fragment}")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []


@pytest.fixture
def one(site: Path) -> str:
    return next((site / "images").glob("*/one-*.html")).relative_to(site).as_posix()


def split(page: playwright.Page) -> float:
    return float(page.get_by_role("slider").get_attribute("aria-valuenow"))


def zoom(page: playwright.Page) -> list[float]:
    style = page.evaluate(
        "[...'zxy'].map(n => parseFloat(document.documentElement.style.getPropertyValue('--' + n)))"
    )
    return [round(value, 3) for value in style]


def stage(page: playwright.Page) -> dict[str, float]:
    return page.locator(".stage").bounding_box()


def test_the_divider(visit, one: str) -> None:
    page = visit(one)
    expect(page.locator(".stage .name.a")).to_have_text(re.compile("Bicubic, .* dB"))
    expect(page.locator(".stage .name.b")).to_have_text(re.compile("Good, .* dB"))
    box = stage(page)
    assert split(page) == 50
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + 60, steps=4)
    page.mouse.up()
    assert split(page) == 80
    page.mouse.click(box["x"] + box["width"] * 0.25, box["y"] + 30)
    assert split(page) == 25
    page.get_by_role("slider").focus()
    page.keyboard.press("ArrowRight")
    assert split(page) == 27
    page.keyboard.press("Shift+ArrowLeft")
    assert split(page) == 17
    page.keyboard.press("End")
    assert split(page) == 100
    page.keyboard.press("Home")
    assert split(page) == 0
    page.get_by_label("Left").select_option(label="HR")
    page.get_by_label("Right").select_option(label="Middle")
    expect(page.locator(".stage .name.a")).to_have_text(re.compile("HR"))
    shown = page.locator(".stage .over img").get_attribute("src")
    assert shown == page.locator('.shot[data-key="hr"] img').first.get_attribute("src")


def test_the_divider_shows_both_pictures_where_it_says(visit, one: str) -> None:
    page = visit(one)
    page.get_by_label("Left").select_option(label="HR")
    page.get_by_label("Right").select_option(label="Bicubic")
    page.get_by_role("slider").focus()
    for _ in range(8):
        page.keyboard.press("ArrowRight")
    assert split(page) == 66  # through the middle of the textured square
    page.wait_for_function("[...document.querySelectorAll('.stage img')].every(i => i.complete && i.naturalWidth)")
    page.wait_for_timeout(200)
    shot = np.asarray(Image.open(io.BytesIO(page.locator(".stage").screenshot())).convert("RGB")).astype(float)
    height, width = shot.shape[:2]
    hr, sr = (
        np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.NEAREST)).astype(float)
        for image in (photo(0), degraded(photo(0), 0))
    )
    rows = slice(int(0.55 * height), int(0.85 * height))
    for left, right, shown, other in ((0.51, 0.62, hr, sr), (0.7, 0.82, sr, hr)):
        area = (rows, slice(int(left * width), int(right * width)))
        assert np.abs(shot[area] - shown[area]).mean() < 0.6 * np.abs(shot[area] - other[area]).mean()


def test_zoom_and_pan_move_every_picture(visit, one: str) -> None:
    page = visit(one)
    expect(page.get_by_role("button", name="Zoom out")).to_be_disabled()
    page.get_by_role("button", name="Zoom in").click()
    assert zoom(page)[0] == 1.5
    same = page.evaluate(
        "[...document.querySelectorAll('.scene:not([hidden]) .shot[data-key]:not(.apart) img, .stage img')]"
        ".map(i => new DOMMatrix(getComputedStyle(i).transform).a)"
    )
    assert len(same) == 7 and set(same) == {1.5}
    apart = page.locator(".shot.apart img").first.evaluate("i => getComputedStyle(i).transform")
    assert apart == "none"
    box = stage(page)
    page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + box["height"] * 0.3)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + box["height"] * 0.3, steps=3)
    page.mouse.up()
    z, x, y = zoom(page)
    assert (z, y) == (1.5, -25.0) and x == pytest.approx(-40, abs=0.5)
    page.get_by_role("button", name="Whole image").click()
    assert zoom(page) == [1, 0, 0]
    # The wheel with Ctrl keeps what lies below the pointer; without it the page scrolls.
    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + box["height"] * 0.5)
    page.keyboard.down("Control")
    page.mouse.wheel(0, -200)
    page.keyboard.up("Control")
    page.wait_for_function("parseFloat(document.documentElement.style.getPropertyValue('--z')) > 2")
    z, x, _ = zoom(page)
    assert 25 * z + x == pytest.approx(25, abs=0.2)
    page.keyboard.press("0")
    assert zoom(page)[0] == 1
    page.mouse.wheel(0, 100)
    page.wait_for_timeout(100)
    assert zoom(page)[0] == 1
    page.locator('.shot[data-key="hr"] .view').first.focus()
    page.keyboard.press("+")
    page.keyboard.press("+")
    page.keyboard.press("ArrowLeft")
    z, x, _ = zoom(page)
    assert z == 2.25 and x > -62.5
    page.keyboard.press("-")
    assert zoom(page)[0] == 1.5


def test_two_fingers_zoom_and_one_moves_the_divider(visit, one: str) -> None:
    page = visit(one, viewport={"width": 390, "height": 800}, has_touch=True, is_mobile=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.locator(".stage").scroll_into_view_if_needed()
    box = stage(page)
    session = page.context.new_cdp_session(page)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        places = [{"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"], "id": n}
                  for n, (x, y) in enumerate(points)]  # fmt: skip
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})

    touch("touchStart", (0.5, 0.5))
    touch("touchMove", (0.6, 0.5))
    touch("touchMove", (0.7, 0.5))
    touch("touchEnd")
    assert split(page) == pytest.approx(70, abs=1)
    touch("touchStart", (0.4, 0.5))
    touch("touchStart", (0.4, 0.5), (0.6, 0.5))
    for step in range(1, 6):
        touch("touchMove", (0.4 - 0.04 * step, 0.5), (0.6 + 0.04 * step, 0.5))
    touch("touchEnd")
    assert zoom(page)[0] == pytest.approx(3, abs=0.4)


def test_error_maps_replace_the_pictures(visit, one: str) -> None:
    page = visit(one)
    shot = page.locator('.scene:not([hidden]) .shot[data-name="Good"] img')
    plain = shot.get_attribute("src")
    page.get_by_label("Error maps").check()
    assert shot.get_attribute("src") == shot.get_attribute("data-error") != plain
    assert page.locator(".stage .layer").first.locator("img").get_attribute("src") == shot.get_attribute("data-error")
    assert page.locator('.scene:not([hidden]) .shot[data-key="hr"] img').get_attribute("src").endswith(".png")
    page.get_by_label("Error maps").uncheck()
    assert shot.get_attribute("src") == plain


def test_the_protocol_is_chosen(visit, one: str) -> None:
    page = visit(one)
    expect(page.locator(".scene:visible")).to_have_count(1)
    page.get_by_role("combobox", name="Protocol").select_option(label="srntt")
    expect(page.locator(".scene:visible h2")).to_have_text("Protocol srntt")
    expect(page.get_by_text("Correspondences")).to_be_hidden()


def test_the_address_brings_the_view_back(visit, one: str) -> None:
    page = visit(one)
    page.get_by_role("combobox", name="Protocol").select_option(label="srntt")
    page.get_by_label("Left").select_option(label="Middle")
    page.get_by_role("slider").focus()
    page.keyboard.press("ArrowRight")
    page.get_by_role("button", name="Zoom in").click()
    page.get_by_label("Error maps").check()
    page.locator(".scene:visible").get_by_label("width").fill("30")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.get_by_role("button", name="Copy link").click()
    expect(page.get_by_role("status").first).to_contain_text("link")
    again = visit(one, fragment=page.evaluate("location.hash"))
    assert again.evaluate("document.getElementById('protocol').selectedOptions[0].textContent") == "srntt"
    assert again.evaluate("document.getElementById('left').selectedOptions[0].textContent") == "Middle"
    assert split(again) == 52 and zoom(again)[0] == 1.5 and again.get_by_label("Error maps").is_checked()
    expect(again.locator(".scene:visible").get_by_label("width")).to_have_value("30")
    hostile = visit(one, fragment="#p=%3Cscript%3E&a=x&b=y&s=x&v=1e9,a,b&c=-5,1e9,0,x")
    assert split(hostile) == 0 and zoom(hostile)[0] == 1


def test_a_close_up_of_ones_own_from_a_server(visit, served: str, one: str) -> None:
    page = visit(one, base=served, accept_downloads=True)
    scene = page.locator(".scene:visible")
    expect(scene.locator(".closeups li")).to_have_count(4)
    page.get_by_role("button", name="Choose another part").click()
    box = stage(page)
    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + box["height"] * 0.25)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + box["height"] * 0.75, steps=5)
    page.mouse.up()
    expect(scene.get_by_label("width")).to_have_value("48")
    values = [int(scene.get_by_label(name, exact=True).input_value()) for name in ("x", "y", "width", "height")]
    assert values == [24, 16, 48, 32]
    expect(page.locator(".stage .box")).to_be_visible()
    area = (slice(16, 48), slice(24, 72))
    expected = psnr(degraded(photo(0), 4)[area], photo(0)[area], "y", border=0)
    expect(scene.locator(".closeups li", has_text="Good")).to_contain_text(f"{expected:.2f} dB")
    with page.expect_download() as download:
        scene.get_by_role("button", name="Download as PNG").click()
    with Image.open(download.value.path()) as figure:
        assert figure.format == "PNG" and figure.width > 800 and np.asarray(figure.convert("L")).std() > 20
    scene.get_by_label("x", exact=True).fill("4000")
    page.keyboard.press("Tab")
    expect(scene.get_by_label("x", exact=True)).to_have_value("48")
    page.get_by_role("button", name="Most telling part").click()
    expect(page.locator(".stage .box")).to_be_hidden()
    with page.expect_download() as download:
        scene.get_by_role("link", name="This figure as SVG").click()
    assert download.value.suggested_filename.endswith(".svg")


def test_close_ups_from_a_disk_say_what_they_cannot_do(visit, one: str, site: Path) -> None:
    page = visit(one, accept_downloads=True)
    scene = page.locator(".scene:visible")
    expect(scene.locator(".closeups li")).to_have_count(4)
    expect(scene.locator(".croptools .hint")).to_contain_text("needs the page to come from a server")
    expect(scene.get_by_role("button", name="Download as PNG")).to_be_disabled()
    # The close-up that the page starts with was measured when it was built.
    expect(scene.locator(".closeups li", has_text="Good")).not_to_contain_text("whole image")
    scene.get_by_label("height").fill("20")
    page.keyboard.press("Tab")
    expect(scene.locator(".closeups li", has_text="Good")).to_contain_text("whole image")
    page.get_by_role("button", name="Most telling part").click()
    # A browser does not save one file of a disk to another place: it opens the figure.
    scene.get_by_role("link", name="This figure as SVG").click()
    page.wait_for_url("**/crops/*.svg")
    text = (site / "crops" / page.url.split("/")[-1]).read_text()
    assert text.count("data:image/") == 5 and "Good" in text


def test_escape_leaves_the_close_up_as_it_is(visit, one: str) -> None:
    page = visit(one)
    button = page.get_by_role("button", name=re.compile("Choose another part|Drag on"))
    button.click()
    expect(button).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Escape")
    expect(button).to_have_attribute("aria-pressed", "false")


def test_neighbours_keep_the_methods(visit, one: str) -> None:
    page = visit(one)
    page.get_by_label("Left").select_option(label="Middle")
    page.get_by_role("link", name="Next image, three").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("three")
    expect(page.locator(".stage .name.a")).to_have_text(re.compile("Middle"))
    page.get_by_role("link", name="Previous image, one").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("one")


def test_a_click_opens_the_picture_and_a_drag_does_not(visit, one: str) -> None:
    page = visit(one)
    page.get_by_role("button", name="Zoom in").click()
    view = page.locator('.shot[data-key="hr"] .view').first
    view.scroll_into_view_if_needed()
    box = view.bounding_box()
    page.mouse.move(box["x"] + 60, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 20, box["y"] + 50, steps=4)
    page.mouse.up()
    assert page.url.split("#")[0].endswith(one) and zoom(page)[1] < -25
    view.click()
    page.wait_for_url("**/files/*.png")


def test_the_list_of_images(visit) -> None:
    page = visit("images/index.html")
    tiles = page.locator(".tiles li:visible")
    expect(tiles).to_have_count(3)
    page.get_by_label("Search").fill("T")
    expect(tiles).to_have_count(2)
    expect(page.get_by_role("status")).to_have_text("2 of 3 images")
    page.get_by_label("Search").fill("nothing")
    expect(page.locator("section.set:visible")).to_have_count(0)
    page.get_by_label("Search").fill("")
    page.get_by_label("Order").select_option("hard")
    values = [float(re.search(r"mean ([\d.]+)", text)[1]) for text in tiles.all_text_contents()]
    assert values == sorted(values)
    page.get_by_label("Order").select_option("easy")
    page.get_by_label("Search").fill("o")
    again = visit("images/index.html", fragment=page.evaluate("location.hash"))
    expect(again.get_by_label("Search")).to_have_value("o")
    expect(again.get_by_label("Order")).to_have_value("easy")
    again.locator(".tiles li:visible a").first.click()
    again.wait_for_url("**/images/*/*.html*")


def test_tables_of_a_method_are_sorted(visit, site: Path) -> None:
    path = next((site / "methods").glob("good*")).relative_to(site).as_posix()
    page = visit(path)
    page.locator(".run summary", has_text="3 images").first.click()
    table = page.locator(".run table").first
    head = table.get_by_role("button", name="PSNR-Y")
    column = [button.strip() for button in table.locator("thead th").all_text_contents()].index("PSNR-Y")

    def values() -> list[float]:
        return [float(row.locator("th, td").nth(column).text_content()) for row in table.locator("tbody tr").all()]

    head.click()
    assert values() == sorted(values(), reverse=True)
    expect(table.locator('th[aria-sort="descending"]')).to_have_count(1)
    head.focus()
    page.keyboard.press("Enter")
    assert values() == sorted(values()) and table.locator('th[aria-sort="ascending"]').count() == 1
    table.get_by_role("button", name="Image").click()
    names = table.locator("tbody th").all_text_contents()
    assert [name.strip() for name in names] == ["one", "three", "two"]


@pytest.mark.parametrize("width", [390, 1400])
def test_without_script_everything_is_there(visit, one: str, site: Path, width: int) -> None:
    page = visit(one, java_script_enabled=False, viewport={"width": width, "height": 900})
    expect(page.locator(".scene:visible")).to_have_count(2)
    expect(page.locator(".shot:visible")).to_have_count(2 * 6 + 3)
    expect(page.locator(".still img:visible")).to_have_count(2)
    expect(page.locator("#tools")).to_be_hidden()
    for name in ("images/index.html", next((site / "methods").glob("good*")).relative_to(site).as_posix()):
        whole = visit(name, java_script_enabled=False, viewport={"width": width, "height": 900})
        expect(whole.locator("#find")).to_have_count(1 if "index" in name else 0)
        assert whole.locator("main a").count() >= 3


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_is_wider_than_a_phone(visit, one: str, site: Path, scheme: str) -> None:
    for path in (one, "images/index.html", next((site / "methods").glob("good*")).relative_to(site).as_posix()):
        page = visit(path, viewport={"width": 390, "height": 800}, color_scheme=scheme)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
