"""The selection page in headless Chromium, driven as a person would: keys, clicks, taps, and what is then on the disk.

Needs ``pip install playwright`` and a Chromium: Debian's (``apt-get install chromium``), or playwright's own.
"""

import re
import threading
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from selection import lines, write_project
from visitor import open_watched

from refsr_bench.builder.project import Project
from refsr_bench.builder.selection.decisions import resolve
from refsr_bench.builder.selection.server import SelectionServer

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
expect = playwright.expect
expect.set_options(timeout=20_000)  # machines may be busy

pytestmark = pytest.mark.slow


@pytest.fixture
def project(tmp_path: Path, photo: Callable[..., np.ndarray]) -> Project:
    return write_project(tmp_path / "P", photo)


@pytest.fixture
def visit(browser: playwright.Browser, project: Project) -> Iterator[Callable[..., playwright.Page]]:
    """``visit(annotator, **context)``: the page of a server of its own, opened by the address the command prints.

    Afterwards nothing may have gone wrong in the page, and nothing may have been asked of anybody else.
    """
    servers, contexts, wrong = [], [], []

    def open_page(annotator: str | None = "Rater1", **context: object) -> playwright.Page:
        server = SelectionServer(project, annotator)
        servers.append(server)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        contexts.append(browser.new_context(**{"viewport": {"width": 1400, "height": 900}, **context}))
        page = open_watched(contexts[-1], server.url, wrong)
        if annotator:
            expect(page.locator(".card")).to_have_count(3)
        return page

    yield open_page
    for context in contexts:
        context.close()
    for server in servers:
        server.shutdown()
        server.server_close()
    assert [text for text in wrong if "net::ERR_FAILED" not in text] == []


def saved(page: playwright.Page, text: str) -> None:
    expect(page.get_by_role("status").first).to_contain_text(text)


def test_a_session_by_keys(visit: Callable[..., playwright.Page], project: Project) -> None:
    page = visit(None)
    page.get_by_role("textbox", name="Name").fill("Zoë")
    page.keyboard.press("Enter")
    expect(page.locator("#who")).to_have_text("as Zoë")
    expect(page.locator("#count")).to_have_text("0 of 3 done")

    page.keyboard.press("2")  # to the second candidate; Enter on it chooses it
    page.keyboard.press("Enter")
    saved(page, "Query 001: candidate 2. What does the query show?")
    assert lines(project)[-1]["choice"] == "pool/files/001_2.png"
    page.keyboard.press("b")
    expect(page.locator("#query-title")).to_have_text("Query 002 (2 of 3)")
    saved(page, "Query 001: candidate 2, building.")
    assert lines(project)[-1]["category"] == "building"

    page.keyboard.press("x")
    expect(page.locator("#query-title")).to_have_text("Query 003 (3 of 3)")
    assert lines(project)[-1] | {"time": ""} == {
        "time": "", "annotator": "Zoë", "query": "002", "choice": None, "category": "", "action": "reject",
    }  # fmt: skip
    page.keyboard.press("u")
    expect(page.locator("#query-title")).to_have_text("Query 002 (2 of 3)")
    saved(page, "query 002 is open again")
    expect(page.get_by_role("button", name="No proper reference")).to_have_attribute("aria-pressed", "false")
    page.keyboard.press("x")
    expect(page.locator("#query-title")).to_have_text("Query 003 (3 of 3)")

    # The third query came with a category: one key decides it. The focus is on the best candidate already.
    expect(page.get_by_role("button", name="animal")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    saved(page, "All queries are decided")
    expect(page.locator("#count")).to_have_text("3 of 3 done")
    found = [(row.query, row.file, row.category) for row in resolve(project)]
    assert found == [
        ("001", "pool/files/001_2.png", "building"),
        ("002", "", ""),
        ("003", "pool/files/003_2.png", "animal"),
        ("004", "", ""),
    ]

    page.keyboard.press("Shift+ArrowLeft")
    page.keyboard.press("Shift+ArrowLeft")
    expect(page.locator(".card.chosen .rank")).to_have_text("2")
    page.reload()
    expect(page.locator("#query-title")).to_have_text("Query 001 (1 of 3)")
    expect(page.get_by_role("button", name="Choose candidate 2")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#who")).to_have_text("as Zoë")


def test_a_key_held_down_decides_once(visit: Callable[..., playwright.Page], project: Project) -> None:
    page = visit()
    page.keyboard.press("1")
    for _ in range(5):
        page.keyboard.down("Enter")  # the second and later ones are repeats
    page.keyboard.up("Enter")
    saved(page, "candidate 1")
    for _ in range(5):
        page.keyboard.down("x")
    page.keyboard.up("x")
    expect(page.locator("#query-title")).to_have_text("Query 002 (2 of 3)")
    assert [line["action"] for line in lines(project)] == ["select", "reject"]


def test_comparing(visit: Callable[..., playwright.Page], project: Project) -> None:
    page = visit()
    page.get_by_role("button", name="Candidate 1", exact=False).first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("heading")).to_have_text("Candidate 1 of 3")
    dialog.get_by_role("button", name="Matches").click()
    expect(page.locator("#compare-note")).to_have_text(re.compile(r"^\d+ .*matches$"))
    assert page.locator("#lines line").count() >= 20

    # The candidate is the query cut at (30, 14): lines lead from a point to the same point of the photo.
    ends = page.evaluate(
        """() => ["query", "candidate"].map((which, n) => {
          const image = document.querySelector(`#pane-${which} img`), box = image.getBoundingClientRect();
          const stage = document.getElementById("stage").getBoundingClientRect();
          const scale = image.naturalWidth / box.width;
          return [...document.querySelectorAll("#lines line")].map((line) => [
            (line.getAttribute(`x${n + 1}`) - box.left + stage.left) * scale,
            (line.getAttribute(`y${n + 1}`) - box.top + stage.top) * scale]);
        })"""
    )
    assert np.median(np.abs(np.subtract(*ends) - (30, 14))) < 0.5

    page.keyboard.press("v")
    expect(page.locator("#compare-note")).to_contain_text("laid over")
    over = page.locator("img.over")
    expect(over).to_be_visible()
    boxes = [page.locator("#pane-query img").nth(n).bounding_box() for n in (0, 1)]
    scale = boxes[0]["width"] / 200
    assert (boxes[1]["x"] - boxes[0]["x"]) / scale == pytest.approx(30, abs=1)
    assert (boxes[1]["y"] - boxes[0]["y"]) / scale == pytest.approx(14, abs=1)
    page.get_by_role("slider").fill("100")
    expect(over).to_have_css("opacity", "1")

    dialog.get_by_role("button", name="Side by side").click()
    image = page.locator("#pane-query img").first
    whole = image.bounding_box()
    middle = (whole["x"] + whole["width"] / 3, whole["y"] + whole["height"] / 3)
    page.mouse.move(*middle)
    sizes = [whole]
    for _ in range(3):
        page.mouse.wheel(0, -60)
        page.wait_for_timeout(60)  # the wheel's event arrives on its own time
        sizes.append(image.bounding_box())
    assert all(after["width"] > 1.2 * before["width"] for before, after in pairwise(sizes))
    held = [[(middle[0] - box["x"]) / box["width"], (middle[1] - box["y"]) / box["height"]] for box in sizes[2:]]
    assert held[0] == pytest.approx(held[1], abs=0.01), "what is under the pointer stays there"
    page.mouse.down()
    page.mouse.move(middle[0] + 40, middle[1] + 30)
    page.mouse.up()
    moved = image.bounding_box()
    assert (moved["x"] - sizes[3]["x"], moved["y"] - sizes[3]["y"]) == pytest.approx((40, 30), abs=2)
    page.keyboard.press("z")
    assert image.bounding_box() == pytest.approx(whole, abs=0.5)

    page.keyboard.press("ArrowRight")
    expect(dialog.get_by_role("heading")).to_have_text("Candidate 2 of 3")
    dialog.get_by_role("button", name="Choose").click()
    expect(dialog).to_be_hidden()
    saved(page, "candidate 2. What does the query show?")
    assert lines(project)[-1]["choice"] == "pool/files/001_2.png"


def test_what_was_not_saved_is_not_shown_as_saved(visit: Callable[..., playwright.Page], project: Project) -> None:
    page = visit()
    page.route("**/api/decide", lambda route: route.abort())
    page.get_by_role("button", name="Choose candidate 1").click()
    expect(page.get_by_role("alert")).to_contain_text("Not saved. The server does not answer")
    expect(page.get_by_role("button", name="Choose candidate 1")).to_have_attribute("aria-pressed", "false")
    assert lines(project) == []
    page.unroute("**/api/decide")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("button", name="Choose candidate 1")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#alert")).to_be_hidden()
    assert len(lines(project)) == 1


def test_on_a_phone(visit: Callable[..., playwright.Page], project: Project) -> None:
    page = visit(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True, color_scheme="dark")
    page.locator(".card .picture").nth(1).tap()
    panes = [page.locator(f"#pane-{name}").bounding_box() for name in ("query", "candidate")]
    assert panes[0]["y"] + panes[0]["height"] <= panes[1]["y"], "one above the other"
    page.get_by_role("dialog").get_by_role("button", name="Choose").tap()
    saved(page, "candidate 2. What does the query show?")
    page.get_by_role("button", name="landmark").tap()
    expect(page.locator("#query-title")).to_have_text("Query 002 (2 of 3)")
    page.get_by_role("button", name="No proper reference").tap()
    expect(page.locator("#query-title")).to_have_text("Query 003 (3 of 3)")
    page.get_by_role("button", name="Undo").tap()
    expect(page.locator("#query-title")).to_have_text("Query 002 (2 of 3)")
    assert [line["action"] for line in lines(project)] == ["select", "category", "reject", "undo"]
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    small = page.evaluate(
        "[...document.querySelectorAll('main button')].filter((b) => b.offsetHeight && b.offsetHeight < 40).length"
    )
    assert small == 0, "large enough for a finger"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_has_a_name_and_can_be_read(visit: Callable[..., playwright.Page], scheme: str) -> None:
    page = visit(color_scheme=scheme)
    colours = page.evaluate(
        """() => {
          const style = getComputedStyle(document.documentElement);
          const names = ["paper", "ink", "dim", "panel", "edge", "accent", "on-accent", "warn", "warn-panel"];
          return Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
        }"""
    )
    for text, ground, least in (
        ("ink", "paper", 7), ("dim", "paper", 4.5), ("ink", "panel", 7), ("on-accent", "accent", 4.5),
        ("accent", "paper", 4.5), ("warn", "warn-panel", 4.5), ("edge", "paper", 3),
    ):  # fmt: skip
        assert contrast(colours[text], colours[ground]) >= least, (text, ground)
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("button, input, a")].filter((one) =>
          !(one.textContent.trim() || one.ariaLabel || one.querySelector("img[alt]:not([alt=''])") ||
            one.labels?.length)).length"""
    )
    assert nameless == 0
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="To the candidates")).to_be_focused()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("take back the last click")
    page.get_by_role("checkbox").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("x")
    expect(page.locator("#count")).to_have_text("0 of 3 done")
    page.reload()
    expect(page.locator("#letters")).not_to_be_checked()


def contrast(one: str, other: str) -> float:
    """WCAG 2's contrast ratio of two #rgb or #rrggbb colours."""

    def luminance(colour: str) -> float:
        digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
        values = np.array([int(digits[n : n + 2], 16) for n in (0, 2, 4)]) / 255
        linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
        return float(linear @ (0.2126, 0.7152, 0.0722))

    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)
