"""The page of statistics in headless Chromium, opened from the disk: the choosers, the matrix, widths, no script.

Needs ``pip install playwright`` and a Chromium: Debian's (``apt-get install chromium``), or playwright's own.
"""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from runs import make

from leaderboard.frame import frame
from leaderboard.pages import statistics_page
from leaderboard.pages.pages import ASSETS, Entry, Site, render
from leaderboard.reading.load import LoadedRun
from leaderboard.statistics.contests import Contest, contests
from leaderboard.statistics.words import sentence
from leaderboard.tables.tables import build_tables

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
expect = playwright.expect
expect.set_options(timeout=20_000)  # machines may be busy

pytestmark = pytest.mark.slow
TITLES = ("Alpha", "Beta", "<img src=x onerror=alert(1)>", "A method whose title is longer than any column", "Epsilon")


@pytest.fixture(scope="module")
def found() -> tuple[Contest, ...]:
    """Five methods on two sets under c2, two of them on one set under ttsr."""
    random = np.random.default_rng(5)
    runs = []
    for dataset, protocol, count in (("cufed5", "c2", 5), ("sun80", "c2", 5), ("cufed5", "ttsr", 2)):
        base = random.normal(27, 3, 24)
        for n, title in enumerate(TITLES[:count]):
            psnr = base + 0.3 * (n // 2) + random.normal(0, 0.2, 24)
            runs.append(make(f"m{n}", psnr, psnr / 40, title=title, dataset=dataset, protocol=protocol))
    loaded = [LoadedRun(f"{n}/result.json", run) for n, run in enumerate(runs)]
    return contests(frame(loaded), build_tables(loaded))


@pytest.fixture(scope="module")
def address(found, tmp_path_factory) -> str:
    out = tmp_path_factory.mktemp("site")
    entries = (Entry("table", "Table", "index.html"), Entry("statistics", "Statistics", "statistics.html"))
    html = render("statistics.html.j2", here="statistics", root="", site=Site("Leaderboard", entries),
                  **statistics_page.context(found))  # fmt: skip
    (out / "statistics.html").write_text(html, encoding="utf-8")
    (out / "statistics.csv").write_text(statistics_page.to_csv(found), encoding="utf-8")
    shutil.copytree(ASSETS, out / "assets")
    return (out / "statistics.html").as_uri()


@pytest.fixture
def visit(browser: playwright.Browser, address: str) -> Iterator[Callable[..., playwright.Page]]:
    """``visit(fragment, **context)``: the page; afterwards nothing may have gone wrong in it, no rule of its policy
    been broken and nothing asked of the network."""
    contexts, wrong = [], []

    def open_page(fragment: str = "", **context: object) -> playwright.Page:
        contexts.append(browser.new_context(**{"viewport": {"width": 1400, "height": 900}, **context}))
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        page.on(
            "request", lambda request: None if request.url.startswith(("file:", "data:")) else wrong.append(request.url)
        )
        page.goto(address + fragment)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []


def shown(page: playwright.Page) -> list[str]:
    return page.locator("section.contest:visible").evaluate_all("all => all.map(one => one.id)")


def anchor(found, dataset: str, metric: str, protocol: str = "c2") -> str:
    return next(
        c.anchor for c in found if (c.dataset.name, c.metric.name, c.protocol.label) == (dataset, metric, protocol)
    )


def test_one_comparison_at_a_time_chosen_by_mouse_and_by_key(visit, found):
    page = visit()
    assert shown(page) == [found[0].anchor]
    expect(page.locator("#contents")).to_be_hidden()
    page.get_by_role("combobox", name="Data set").select_option("SUN80")
    assert shown(page) == [anchor(found, "sun80", "psnr_y")]
    page.get_by_role("combobox", name="Metric").focus()
    page.keyboard.press("ArrowDown")
    assert shown(page) == [anchor(found, "sun80", "ssim_y")]
    expect(page.locator("#chosen")).to_have_text("Shown: SUN80, SSIM-Y, protocol c2.")
    assert page.url.endswith("#" + anchor(found, "sun80", "ssim_y"))
    page.get_by_role("combobox", name="Protocol").select_option("ttsr")  # has no SUN80: the metric stays
    assert shown(page) == [anchor(found, "cufed5", "ssim_y", "ttsr")]
    expect(page.get_by_role("combobox", name="Data set")).to_be_disabled()
    page.reload()
    assert shown(page) == [anchor(found, "cufed5", "ssim_y", "ttsr")]


def test_a_permalink_opens_its_comparison_and_back_goes_back(visit, found):
    target = anchor(found, "sun80", "psnr_y")
    page = visit("#" + target)
    assert shown(page) == [target]
    expect(page.get_by_role("combobox", name="Data set")).to_have_value("SUN80")
    page.evaluate("id => { location.hash = id; }", found[0].anchor)
    expect(page.locator(f"#{found[0].anchor}")).to_be_visible()
    page.go_back()
    expect(page.locator(f"#{target}")).to_be_visible()


def test_two_methods_in_words_by_select_and_by_cell(visit, found):
    page = visit()
    contest, block = found[0], page.locator(f"#{found[0].anchor}")
    answer = block.locator(".answer")
    expect(answer).to_have_text(sentence(contest, contest.pair(0, 1)))
    block.get_by_role("combobox", name="with", exact=True).select_option("4")
    expect(answer).to_have_text(sentence(contest, contest.pair(0, 4)))
    block.get_by_role("combobox", name="Compare", exact=True).focus()
    page.keyboard.press("End")
    expect(answer).to_have_text("Choose two different methods.")
    block.locator("table.wins tbody tr").nth(3).locator("td").nth(1).click()
    expect(answer).to_have_text(sentence(contest, contest.pair(1, 3)))
    expect(block.get_by_role("combobox", name="Compare", exact=True)).to_have_value("3")
    expect(block.locator("td.picked")).to_have_count(1)
    block.locator("table.wins tbody tr").nth(2).locator("td").nth(2).click()  # itself: nothing
    expect(answer).to_have_text(sentence(contest, contest.pair(1, 3)))


def test_without_script_everything_is_there(visit, found):
    page = visit(java_script_enabled=False)
    assert page.locator("section.contest").count() == len(found)
    expect(page.locator("section.contest").last).to_be_visible()
    expect(page.locator("#choose")).to_be_hidden()
    page.locator("#contents a").last.click()
    assert page.url.endswith("#" + found[-1].anchor)


def test_details_and_download(visit):
    page = visit()
    how = page.locator("details.how")
    how.locator("summary").focus()
    page.keyboard.press("Enter")
    expect(how.get_by_text("Efron's percentile bootstrap")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="All pairs as CSV").click()
    assert Path(download.value.path()).read_text(encoding="utf-8").startswith("protocol,")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1400, 390, 320])
def test_nothing_overflows_and_the_fitting_diagram_is_shown(visit, width, scheme):
    page = visit(viewport={"width": width, "height": 844}, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    block = page.locator("section.contest:visible")
    expect(block.locator("svg.cd.wide")).to_be_visible(visible=width > 1000)
    expect(block.locator("svg.cd.narrow")).to_be_visible(visible=width < 1000)
    # No interval is cut off, and no text of the diagram leaves its drawing.
    plots = block.locator("table.intervals tbody svg").evaluate_all(
        "all => all.map(svg => [svg.getBoundingClientRect().width, svg.getBoundingClientRect().right])"
    )
    assert all(w >= 100 and right <= width for w, right in plots)
    outside = block.locator("svg.cd:visible text").evaluate_all(
        "all => all.filter(text => { const t = text.getBoundingClientRect();"
        " const s = text.ownerSVGElement.getBoundingClientRect();"
        " return t.left < s.left - 1 || t.right > s.right + 1; })"
        ".map(text => text.textContent)"
    )
    assert outside == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast(visit, scheme):
    """WCAG's 4.5 for every text of the matrix, also on its tints."""
    page = visit(color_scheme=scheme)
    colours = page.evaluate(
        """() => { const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
        const rgb = colour => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
          return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 4); };
        const ground = element => { for (; element; element = element.parentElement) {
          const colour = rgb(getComputedStyle(element).backgroundColor); if (colour[3] === 255) return colour; }
          return [255, 255, 255, 255]; };
        const texts = "table.wins td:not(.self), table.wins td i, .range, .verdict, .wins .place";
        return [...document.querySelectorAll(texts)].filter(e => e.offsetParent)
          .map(e => [rgb(getComputedStyle(e).color), ground(e), e.className]); }"""
    )

    def luminance(colour: list[int]) -> float:
        parts = [c / 255 / 12.92 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour[:3]]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    assert len(colours) > 30
    for text, ground, name in colours:
        light, dark = sorted((luminance(text), luminance(ground)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (text, ground, name)


def test_hostile_titles_are_text(visit):
    page = visit()
    assert page.locator("img").count() == 0
    expect(page.locator("section.contest:visible table.wins")).to_contain_text("<img src=x onerror=alert(1)>")
