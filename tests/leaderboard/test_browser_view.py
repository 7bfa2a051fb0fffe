"""The page of any pictures in headless Chromium, from the disk, in a wide window and on a phone."""

import re
from pathlib import Path

import pytest
from picture_runs import degraded, photo, save

from leaderboard.pages import view

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
expect = playwright.expect


def test_the_page_works_by_keyboard(browser: playwright.Browser, tmp_path: Path) -> None:
    images = {"LR": photo(0)[::4, ::4], "SR": degraded(photo(0), 3), "HR": photo(0)}
    for name, image in images.items():
        save(tmp_path / f"{name}.png", image)
    out = tmp_path / "page.html"
    out.write_text(view.page([tmp_path / f"{name}.png" for name in images], list(images)), encoding="utf-8")
    wrong = []
    for width in (1400, 390):
        page = browser.new_page(viewport={"width": width, "height": 900})
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda message: wrong.append(message.text))
        page.goto(out.as_uri())
        divider = page.get_by_role("slider")
        divider.focus()
        page.keyboard.press("ArrowRight")
        expect(divider).to_have_attribute("aria-valuetext", "52 % LR")
        page.keyboard.press("+")
        expect(page.get_by_role("button", name="Zoom out")).to_be_enabled()
        page.locator("#right").select_option(label="HR")
        expect(page.locator("#name-right")).to_have_text("HR")
        expect(page.locator(".closeups canvas")).to_have_count(3)
        expect(page.get_by_role("button", name="Download as PNG")).to_be_enabled()  # the page may read its own pixels
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.close()
    assert wrong == [] and re.search(r"script-src 'sha256-", out.read_text(encoding="utf-8"))
