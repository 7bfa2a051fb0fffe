"""The first page in headless Chromium, from the disk, driven as a person would: mouse, keys, links, history, downloads.

Needs ``pip install playwright`` and a Chromium: Debian's (``apt-get install chromium``), or playwright's own.
"""

import csv
import io
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec import structs
from runs import make, store
from site_pages import HOSTILE, write_index

from leaderboard.exports.export import FORMATS, export, whole
from leaderboard.exports.sheet import View
from leaderboard.pages import index
from leaderboard.reading.load import read_folder
from leaderboard.reading.published import published
from leaderboard.tables.tables import build_tables

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
expect = playwright.expect
expect.set_options(timeout=20_000)  # machines may be busy

pytestmark = pytest.mark.slow
SETS = {"cufed5": "CUFED5", "sun80": "Sun80", "urban100": "Urban100", "manga109": "Manga109", "wrsr": "WR-SR"}


def run(name, psnr, **kind):
    """A run with the facts that filters ask for."""
    extra = {key: kind.pop(key) for key in ("references", "parameters", "verified") if key in kind}
    result = make(name, [psnr, psnr + 1, psnr - 1], **kind)
    method = structs.replace(result.run.method, **extra)
    dataset = structs.replace(result.run.dataset, title=SETS.get(result.run.dataset.name, result.run.dataset.name))
    return structs.replace(result, run=structs.replace(result.run, method=method, dataset=dataset))


RUNS = [
    run("bicubic", 24.4, ssim=[0.68], title="Bicubic", group="SISR", year=1981, references="none", parameters=0),
    run("bicubic", 28.1, ssim=[0.76], title="Bicubic", group="SISR", year=1981, references="none", dataset="sun80"),
    run("edsr", 25.7, ssim=[0.77], title="EDSR", group="SISR", year=2017, references="none", weights="edsr.pth"),
    run("srcnn", 25.2, title="SRCNN", group="SISR", year=2016, references="none", verified="text alone"),
    run("srntt", 25.5, title="SRNTT", year=2019, references="many", gan=True, weights="srntt.npz", limit=2),
    run("srntt-rec", 26.1, title="SRNTT-rec", year=2019, references="many", weights="srntt.npz"),
    run("c2matching", 28.0, ssim=[0.84], title="C²-Matching-rec", references="many", weights="nano.pth"),
    run("c2matching", 29.9, ssim=[0.81], title="C²-Matching-rec", references="many", weights="nano.pth",
        dataset="sun80"),
    run("mine", 27.5, title=HOSTILE, weights="command x {lr}", origin="command", year=2026, official=False,
        manifest="x", dataset="sun80"),
    run("bicubic", 24.3, title="Bicubic", group="SISR", year=1981, references="none", protocol="srntt"),
    run("c2matching", 27.9, title="C²-Matching-rec", references="many", weights="nano.pth", protocol="srntt"),
]  # fmt: skip


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    for number, result in enumerate(RUNS):
        store(folder / str(number), result)
    return folder


@pytest.fixture(scope="module")
def site(tmp_path_factory, results: Path) -> Path:
    """``index.html`` with its style and script."""
    out = tmp_path_factory.mktemp("site")
    write_index(out, results)
    return out


@pytest.fixture
def visit(browser: playwright.Browser, site: Path) -> Iterator[Callable[..., playwright.Page]]:
    """``visit(hash, **context)``: the page from the disk. Nothing may go wrong in it, or be asked of anybody else."""
    contexts, wrong = [], []

    def open_page(hash: str = "", **context: object) -> playwright.Page:
        contexts.append(browser.new_context(**{"viewport": {"width": 1400, "height": 900}, **context}))
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda message: message.type in ("error", "warning") and wrong.append(message.text))
        page.on(
            "request", lambda request: request.url.startswith(("file:", "data:", "blob:")) or wrong.append(request.url)
        )
        page.on("dialog", lambda dialog: wrong.append(dialog.message))
        page.goto((site / "index.html").as_uri() + hash)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []


def grids(results):
    tables = build_tables(read_folder(results).benchmarks())
    return index.every_table(tables, published())


def board(page) -> playwright.Locator:
    return page.locator("table.board:visible").first


def titles(page) -> list[str]:
    """Methods of the table that is shown, in order."""
    return board(page).locator("tbody tr:not(.group) .method").all_text_contents()


def more(page) -> None:
    page.get_by_text("Filter, columns and export").click()


def status(page, text: str) -> None:
    expect(page.get_by_role("status")).to_contain_text(text)


def exported(page, form: str) -> str:
    page.get_by_label("Format").select_option(form)
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Download").click()
    ending = {"latex": "tex", "markdown": "md"}.get(form, form)
    assert waiting.value.suggested_filename.endswith(f".{ending}")
    return Path(waiting.value.path()).read_text(encoding="utf-8")


ALL = ["Bicubic", "SRCNN", "EDSR", "SRNTT", "SRNTT-rec", "C²-Matching-rec", HOSTILE]


def test_without_script_everything_is_there(visit):
    page = visit(java_script_enabled=False)
    assert titles(page) == ALL
    expect(page.locator("#controls")).to_be_hidden()
    assert page.locator("section.grid:visible").count() == len(page.locator("section.grid").all()) > 5
    assert page.get_by_text("Against srntt").count() == 1


def test_the_script_draws_the_rows_that_the_page_came_with(visit, results):
    plain, live = visit(java_script_enabled=False), visit()
    for grid in grids(results):
        live.get_by_label("Table", exact=True).select_option(grid.key)
        rows = [
            page.locator(f"#table-{grid.key} tbody tr").evaluate_all("rows => rows.map(row => row.outerHTML)")
            for page in (plain, live)
        ]
        assert rows[0] == rows[1] and len(rows[0]) > 1


def test_choosing_a_table_says_how_the_protocols_differ(visit):
    page = visit()
    expect(page.locator("section.grid:visible")).to_have_count(1)
    page.get_by_label("Table", exact=True).select_option(label="srntt")
    assert titles(page) == ["Bicubic", "C²-Matching-rec"]
    status(page, "Against c2: 1 choice differs. Protocol srntt: 2 of 2 rows shown.")
    expect(page.get_by_text("Pixels left out on every side before measuring: srntt, 0; c2, 4.")).to_be_visible()
    page.get_by_label("Table", exact=True).select_option(label="C²-Matching (2021), Table 1")
    assert len(titles(page)) == 20 and page.get_by_role("heading", name="As published").is_visible()
    status(page, "C²-Matching (2021), Table 1: 20 of 20 rows shown.")


def test_sorting_by_mouse_and_by_key(visit):
    page = visit()
    button = board(page).get_by_role("button", name="PSNR-Y of CUFED5")
    button.click()
    assert titles(page)[:4] == ["C²-Matching-rec", "SRNTT-rec", "EDSR", "SRCNN"]
    assert titles(page)[5:] == ["SRNTT", HOSTILE]  # a partial run comes after the ranked, a missing one last
    head = board(page).locator("thead th", has_text="CUFED5")
    expect(head).to_have_attribute("aria-sort", "descending")
    expect(button).to_have_attribute("aria-pressed", "true")
    status(page, "by CUFED5 PSNR-Y, highest first")
    assert board(page).locator("tr.group").count() == 0
    assert "Ref-SR · 2021 · nano.pth" in board(page).inner_text()
    expect(button).to_be_focused()
    page.keyboard.press("Enter")
    assert titles(page)[:2] == ["Bicubic", "SRCNN"]
    expect(head).to_have_attribute("aria-sort", "ascending")
    page.keyboard.press("Space")
    assert titles(page) == ALL and page.locator("[aria-sort]").count() == 0
    board(page).get_by_role("button", name="Method").click()
    assert titles(page)[1:5] == ["Bicubic", "C²-Matching-rec", "EDSR", "SRCNN"]


def test_lower_is_better_sorts_the_lowest_first(visit):
    page = visit()
    more(page)
    page.get_by_label("Time (s)").check()
    board(page).get_by_role("button", name="Time of CUFED5").click()
    expect(board(page).locator("thead th", has_text="CUFED5")).to_have_attribute("aria-sort", "ascending")


@pytest.mark.parametrize(
    ("control", "value", "left"),
    [
        ("Group", "Own", [HOSTILE]),
        ("GAN-trained", "GAN only", ["SRNTT"]),
        ("GAN-trained", "without", [name for name in ALL if name != "SRNTT"]),
        ("References used", "none", ["Bicubic", "SRCNN", "EDSR"]),
        ("References used", "many", ["SRNTT", "SRNTT-rec", "C²-Matching-rec"]),
        ("Year from", "2019", ["SRNTT", "SRNTT-rec", "C²-Matching-rec", HOSTILE]),
        ("to", "2016", ["Bicubic", "SRCNN"]),
        ("Search", "matching C2", ["C²-Matching-rec"]),
        ("Search", "edsr.pth", ["EDSR"]),
        ("Search", "<script>", [HOSTILE]),
        ("Search", "nothing like it", []),
    ],
)
def test_filters(visit, control, value, left):
    page = visit()
    more(page)
    field = page.get_by_label(control, exact=True)
    if field.evaluate("element => element.tagName") == "SELECT":
        field.select_option(label=value)
    else:
        field.fill(value)
    assert titles(page) == left
    status(page, f"{len(left)} of 7 rows shown")
    again = visit(page.evaluate("location.hash"))
    assert titles(again) == left
    page.get_by_role("button", name="Reset").click()
    assert titles(page) == ALL


def test_verified_complete_and_published(visit):
    page = visit()
    more(page)
    page.get_by_label("complete runs only").check()
    assert "SRNTT" not in titles(page) and len(titles(page)) == 6
    page.get_by_label("verified only").check()
    # C²-Matching's network here is not of the published size, SRCNN is from its paper's text.
    assert not {"SRCNN", "C²-Matching-rec"} & set(titles(page))
    page.get_by_role("button", name="Reset").click()
    assert "publ. 28.24 / .841" in board(page).inner_text()
    page.get_by_label("published numbers beside measured ones").press("Space")
    assert "publ." not in board(page).inner_text()
    assert page.evaluate("location.hash").endswith("&beside=0")
    page.get_by_label("Table", exact=True).select_option(label="srntt")
    expect(page.get_by_label("complete runs only")).to_be_enabled()
    page.get_by_label("Table", exact=True).select_option(label="AMSA (2022), main table")
    expect(page.get_by_label("complete runs only")).to_be_disabled()


def test_columns(visit):
    page = visit()
    more(page)
    for name in ("Year", "References", "Parameters", "GMACs", "Weights"):
        page.get_by_role("checkbox", name=name).check()
    heads = [text.split("\n")[0] for text in board(page).locator("thead th").all_inner_texts()]
    assert heads[:6] == ["Method", "Year", "References", "Parameters", "GMACs", "Weights"]
    assert "1.2 M" in board(page).inner_text()
    page.get_by_role("checkbox", name="SSIM-Y").uncheck()
    expect(page.get_by_role("checkbox", name="PSNR-Y (dB)")).to_be_disabled()  # one stays
    page.get_by_role("checkbox", name="Sun80", exact=True).uncheck()
    page.get_by_role("checkbox", name="Sun80 [1]").uncheck()
    assert board(page).locator("thead th.num:visible").count() == 1 and HOSTILE not in titles(page)
    board(page).get_by_role("button", name="Parameters").click()
    assert titles(page)[0] == "Bicubic"
    page.get_by_role("checkbox", name="Parameters").uncheck()  # what is gone sorts nothing
    assert board(page).locator("[aria-sort]").count() == 0


def test_the_address_holds_the_view_and_back_goes_back(visit):
    page = visit()
    more(page)
    page.get_by_label("Table", exact=True).select_option(label="srntt")
    board(page).get_by_role("button", name="PSNR-Y of CUFED5").click()
    page.get_by_label("Group", exact=True).select_option("SISR")
    assert titles(page) == ["Bicubic"]
    address = page.evaluate("location.hash")
    page.go_back()
    assert titles(page) == ["C²-Matching-rec", "Bicubic"]
    page.go_back()
    assert titles(page) == ["Bicubic", "C²-Matching-rec"]
    page.go_back()
    assert titles(page) == ALL
    page.go_forward()
    page.go_forward()
    page.go_forward()
    assert titles(page) == ["Bicubic"] and page.evaluate("location.hash") == address
    again = visit(address)
    assert titles(again) == ["Bicubic"]
    expect(again.get_by_label("Group", exact=True)).to_have_value("SISR")
    status(again, "Protocol srntt: 1 of 2 rows shown, by CUFED5 PSNR-Y, highest first.")


@pytest.mark.parametrize(
    "hash",
    ["#t=nothing&m=x,%&s=down&from=abc&gan=maybe", "#__proto__=1&s=up,__proto__,constructor&f=toString", "#%E0%A4%A"],
)
def test_an_address_that_does_not_fit_shows_the_whole(visit, hash):
    assert titles(visit(hash)) == ALL


def test_a_note_keeps_its_table(visit):
    page = visit()
    page.get_by_label("Search", exact=True).fill("bicubic")
    board(page).get_by_label("source 1").first.click()
    assert titles(page) == ["Bicubic"]
    expect(page.locator("li:target")).to_be_visible()


@pytest.mark.parametrize("form", FORMATS)
def test_exports_are_those_of_python(visit, results, form):
    page = visit()
    more(page)
    for grid in grids(results)[:4]:
        page.get_by_label("Table", exact=True).select_option(grid.key)
        ours, theirs = export(grid, whole(grid), form), exported(page, form)
        assert (json.loads(ours), "") == (json.loads(theirs), "") if form == "json" else ours == theirs
    first = grids(results)[0]
    page.get_by_label("Table", exact=True).select_option(first.key)
    page.get_by_label("Time (s)").check()
    page.get_by_role("checkbox", name="Sun80", exact=True).uncheck()
    page.get_by_role("checkbox", name="Parameters").check()
    page.get_by_label("published numbers beside measured ones").uncheck()
    shown = View((0, 1, len(first.metrics) - 1), (0, 2), ("parameters",), published=False)
    ours, theirs = export(first, shown, form), exported(page, form)
    assert json.loads(ours) == json.loads(theirs) if form == "json" else ours == theirs


def test_an_export_is_of_what_is_shown(visit):
    page = visit()
    more(page)
    page.get_by_label("Group", exact=True).select_option("SISR")
    board(page).get_by_role("button", name="PSNR-Y of CUFED5").click()
    rows = list(csv.DictReader(io.StringIO(exported(page, "csv"))))
    assert [row["Method"] for row in rows] == ["EDSR", "SRCNN", "Bicubic"]
    text = exported(page, "latex")
    assert "multicolumn" not in text and text.index("EDSR") < text.index("Bicubic")


def marks(page, method: str) -> list[tuple[str, str]]:
    """The marked numbers of a method's row, as (class, text)."""
    row = board(page).locator("tr", has=page.locator(".method", has_text=method))
    found = row.locator("b:visible, mark:visible").evaluate_all("all => all.map(e => [e.className, e.textContent])")
    return [tuple(one) for one in found]


def test_best_and_second_are_those_of_the_rows_shown(visit):
    page = visit()
    assert marks(page, "EDSR") == [("second", ".7700")] and marks(page, "SRCNN") == []
    more(page)
    page.get_by_label("Group", exact=True).select_option("SISR")
    status(page, "Best and second are those of the rows shown")
    assert marks(page, "EDSR") == [("best", "25.70"), ("best", ".7700")]
    assert marks(page, "SRCNN") == [("second", "25.20"), ("second", ".7500")]
    text = exported(page, "latex")
    assert r"EDSR & \textbf{25.70} / \textbf{.7700}" in text and r"SRCNN & \underline{25.20}" in text
    page.get_by_label("Search", exact=True).fill("edsr")
    assert marks(page, "EDSR") == []  # a single result is not called the best
    page.get_by_role("button", name="Reset").click()
    assert marks(page, "EDSR") == [("second", ".7700")] and marks(page, "SRCNN") == []


def test_an_export_whose_pieces_are_missing_says_so(browser, site, tmp_path):
    shutil.copytree(site, tmp_path / "alone", ignore=shutil.ignore_patterns("exports"))
    page = browser.new_page()
    page.goto((tmp_path / "alone" / "index.html").as_uri())
    more(page)
    page.get_by_role("button", name="Copy", exact=True).click()
    status(page, "The folder exports is not beside this page")
    page.close()


def test_copying(visit):
    page = visit(permissions=["clipboard-read", "clipboard-write"])
    more(page)
    page.get_by_label("Format").select_option("latex")
    page.get_by_role("button", name="Copy", exact=True).click()
    status(page, "LaTeX copied")
    assert page.evaluate("navigator.clipboard.readText()").startswith("% c2, digest")
    page.get_by_role("button", name="Copy link").click()
    status(page, "Link copied")
    assert "#t=c2-" in page.evaluate("navigator.clipboard.readText()")


def test_copying_where_the_browser_refuses(visit):
    page = visit()
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('no')); }")
    more(page)
    page.get_by_label("Format").select_option("markdown")
    page.get_by_role("button", name="Copy", exact=True).click()
    status(page, "the text is selected")
    assert page.get_by_label("Copy from here").input_value().startswith("| Method |")


def test_by_keyboard_alone(visit):
    page = visit()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    page.get_by_label("Search", exact=True).focus()
    page.keyboard.type("srntt")
    assert titles(page) == ["SRNTT", "SRNTT-rec"]
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "reset"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Format")).to_be_visible()
    page.get_by_label("verified only").focus()
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.get_by_role("checkbox", name="LPIPS").focus()
    page.keyboard.press("Space")
    expect(page.get_by_role("checkbox", name="LPIPS")).to_be_focused()
    expect(page.get_by_role("checkbox", name="LPIPS")).to_be_checked()


@pytest.mark.parametrize("width", [390, 1400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_and_can_be_read(visit, width, scheme):
    page = visit(viewport={"width": width, "height": 800}, color_scheme=scheme)
    more(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    low = page.evaluate(
        """() => {
          const parse = (text) => text.match(/[\\d.]+/g).map(Number);
          const light = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => v <= .03928 ? v / 12.92
            : ((v + .055) / 1.055) ** 2.4).reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
          const over = (top, below) => top.length < 4 ? top
            : top.slice(0, 3).map((v, i) => v * top[3] + below[i] * (1 - top[3]));
          const ground = (e) => {
            if (!e) return [255, 255, 255];
            const own = parse(getComputedStyle(e).backgroundColor);
            return own.length === 4 && own[3] === 0 ? ground(e.parentElement) : over(own, ground(e.parentElement));
          };
          const found = [];
          for (const e of document.querySelectorAll("main *, header *")) {
            const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
            if (!own || !e.checkVisibility() || e.disabled || e.closest(".aside, .skip")) continue;
            const [a, b] = [light(parse(getComputedStyle(e).color)), light(ground(e))];
            const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
            if (ratio < 4.5) found.push([ratio, e.tagName, e.className, e.textContent.slice(0, 40)]);
          }
          return found;
        }"""
    )
    assert low == []


def test_it_loads_fast(visit, tmp_path_factory, browser):
    results, out = tmp_path_factory.mktemp("many"), tmp_path_factory.mktemp("large")
    runs = [
        make(f"method-{n}", [25 + n] * 3, [0.7], dataset=name, protocol=protocol, weights=f"method-{n}.pth")
        for n in range(20)
        for name in SETS
        for protocol in ("c2", "srntt")
    ]
    for n, result in enumerate(runs):
        store(results / str(n), result)
    write_index(out, results)
    page = browser.new_page()
    page.goto((out / "index.html").as_uri())
    expect(page.get_by_role("status")).to_contain_text("20 of 20 rows shown")
    times = page.evaluate("performance.getEntriesByType('navigation')[0].toJSON()")
    page.close()
    assert times["loadEventEnd"] - times["startTime"] < 1500


def test_printed_it_is_one_table(visit):
    page = visit()
    page.emulate_media(media="print")
    expect(page.locator("#controls")).to_be_hidden()
    expect(board(page)).to_be_visible()
    assert page.pdf().startswith(b"%PDF")
