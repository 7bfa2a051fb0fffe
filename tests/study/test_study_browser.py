"""The study's page in headless Chromium: two people at once, by mouse and by keyboard, while the server is restarted.

Needs ``pip install playwright`` and a Chromium: Debian's (``apt-get install chromium``), or playwright's own.
"""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from visitor import open_watched

from refsr_bench.study import plan as plans
from refsr_bench.study import votes

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
expect = playwright.expect
expect.set_options(timeout=20_000)  # machines may be busy

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parent.parent.parent


class Serving:
    """A server in a process of its own, that can be killed and started again at the same port."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, 0
        self.start()

    def start(self) -> None:
        code = (
            "import sys; from pathlib import Path; from refsr_bench.study.serve import serve\n"
            "serve(Path(sys.argv[1]), int(sys.argv[2]), False, lambda text: print(text, flush=True))"
        )
        command = [sys.executable, "-c", code, str(self.folder), str(self.port)]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().split()[-1]
        self.port = urlsplit(self.url).port

    def stop(self) -> None:
        self.process.kill()
        self.process.wait(20)
        self.process.stdout.close()


@pytest.fixture
def serve() -> Iterator[Callable[[Path], Serving]]:
    started = []

    def start(folder: Path) -> Serving:
        started.append(Serving(folder))
        return started[-1]

    yield start
    for one in started:
        one.stop()


@pytest.fixture
def enter(browser: playwright.Browser) -> Iterator[Callable[..., playwright.Page]]:
    """``enter(serving, **context)``: the page as it opens; nothing may go wrong in it, nobody else may be asked."""
    contexts, wrong = [], []

    def open_page(serving: Serving, **context: object) -> playwright.Page:
        contexts.append(browser.new_context(**{"viewport": {"width": 1400, "height": 900}, **context}))
        page = open_watched(contexts[-1], serving.url, wrong)
        assert "#" not in page.url
        return page

    yield open_page
    for context in contexts:
        context.close()
    expected = ("net::ERR_", "403", "409")
    assert [text for text in wrong if not any(word in text for word in expected)] == []


def begin(page: playwright.Page) -> str:
    page.get_by_role("checkbox").check()
    page.get_by_role("button", name="Begin").click()
    expect(page.locator("#trial")).to_be_visible()
    ready(page)
    return page.locator("#who code").inner_text()


def ready(page: playwright.Page) -> None:
    expect(page.locator('.choice[data-choice="left"]')).to_be_enabled()


def answered(page: playwright.Page, number: int) -> None:
    expect(page.locator("#count")).to_contain_text(f"{number} of")


def standing(folder: Path, code: str) -> list[str]:
    person = votes.people(votes.journal(folder).read())[code]
    return [person.votes[n].choice for n in sorted(person.votes)]


def test_two_people_at_once_and_a_restart(
    make_study: Callable[..., Path], serve: Callable[[Path], Serving], enter: Callable[..., playwright.Page]
) -> None:
    folder = make_study(per_person=6, reference="hr", ties=True, title="Two people")
    total = plans.read(folder).length
    serving = serve(folder)
    mouse, keys = enter(serving), enter(serving)
    expect(mouse.locator("#welcome")).to_contain_text("Your choices, how long each took, and a random code")
    mouse.get_by_role("button", name="Begin").click()
    expect(mouse.locator("#trial")).to_be_hidden()  # without consent, nothing begins
    assert not (folder / "votes.jsonl").exists()
    codes = [begin(mouse), begin(keys)]
    assert codes[0] != codes[1]

    mouse.get_by_role("button", name="A is better").click()
    answered(mouse, 1)
    keys.keyboard.press("ArrowRight")
    answered(keys, 1)
    mouse.get_by_role("button", name="Equal").click()
    answered(mouse, 2)
    ready(keys)
    keys.keyboard.press("ArrowDown")
    answered(keys, 2)
    ready(keys)
    keys.keyboard.press("u")
    answered(keys, 1)
    expect(keys.get_by_role("status")).to_have_text("Taken back: choose again.")
    ready(keys)
    keys.keyboard.press("ArrowLeft")
    answered(keys, 2)
    mouse.get_by_role("button", name="Undo").click()
    answered(mouse, 1)
    ready(mouse)
    mouse.get_by_role("button", name="B is better").click()
    answered(mouse, 2)
    assert [standing(folder, code) for code in codes] == [["left", "right"], ["right", "left"]]

    serving.stop()
    ready(mouse)
    mouse.get_by_role("button", name="A is better").click()
    expect(mouse.get_by_role("alert")).to_contain_text("Not saved. The server does not answer")
    answered(mouse, 2)
    serving.start()
    mouse.goto(serving.url)  # the same window goes on where it was
    answered(mouse, 2)
    other = enter(serving)
    other.get_by_label("You have begun before? Your code").fill(codes[1].lower())
    other.get_by_role("button", name="Continue").click()
    answered(other, 2)

    for n in range(2, total):
        ready(mouse)
        mouse.get_by_role("button", name="A is better").click()
        ready(other)
        other.keyboard.press("ArrowRight")
        if n + 1 < total:
            answered(mouse, n + 1)
            answered(other, n + 1)
    for page in (mouse, other):
        expect(page.locator("#thanks")).to_be_visible()
        expect(page.locator("#thanks-title")).to_be_focused()
    assert [len(standing(folder, code)) for code in codes] == [total, total]
    mouse.get_by_role("button", name="Undo the last answer").click()
    expect(mouse.locator("#trial")).to_be_visible()
    ready(mouse)
    mouse.keyboard.press("ArrowRight")
    expect(mouse.locator("#thanks")).to_be_visible()
    assert standing(folder, codes[0]) == ["left", "right", *["left"] * (total - 3), "right"]
    mouse.get_by_role("button", name="Next participant").click()
    expect(mouse.locator("#welcome")).to_be_visible()


def test_a_key_held_down_answers_once_and_pausing_stops_the_clock(
    make_study: Callable[..., Path], serve: Callable[[Path], Serving], enter: Callable[..., playwright.Page]
) -> None:
    folder = make_study(per_person=6)
    page = enter(serve(folder))
    code = begin(page)
    expect(page.get_by_role("button", name="Equal")).to_be_hidden()
    page.keyboard.press("ArrowDown")
    for _ in range(5):
        page.keyboard.down("ArrowLeft")
    page.keyboard.up("ArrowLeft")
    answered(page, 1)
    assert standing(folder, code) == ["left"]
    ready(page)
    page.keyboard.press("p")
    expect(page.locator("#paused")).to_contain_text(code)
    page.keyboard.press("ArrowLeft")
    page.wait_for_timeout(1500)
    page.get_by_role("button", name="Continue", exact=True).last.click()
    ready(page)
    page.keyboard.press("ArrowRight")
    answered(page, 2)
    person = votes.people(votes.journal(folder).read())[code]
    assert [vote.choice for vote in person.votes.values()] == ["left", "right"]
    assert person.votes[1].milliseconds < 1500
    page.reload()
    answered(page, 2)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("take back the last answer")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Escape")
    assert len(standing(folder, code)) == 2
    other = enter(serve(folder))
    other.get_by_label("You have begun before? Your code").fill("QQQQ-QQQQ")
    other.keyboard.press("Enter")
    expect(other.get_by_role("alert")).to_contain_text("No participant of this study has that code")


def test_all_images_zoom_together(
    make_study: Callable[..., Path], serve: Callable[[Path], Serving], enter: Callable[..., playwright.Page]
) -> None:
    page = enter(serve(make_study(reference="hr")))
    begin(page)
    images = [page.locator(f'.pane[data-side="{side}"] img') for side in ("left", "reference", "right")]
    panes = [page.locator(f'.pane[data-side="{side}"]') for side in ("left", "reference", "right")]

    def places() -> list[list[float]]:
        found = []
        for image, pane in zip(images, panes, strict=True):
            inner, outer = image.bounding_box(), pane.bounding_box()
            found.append([inner["x"] - outer["x"], inner["y"] - outer["y"], inner["width"]])
        return found

    whole = places()
    assert whole[0] == pytest.approx(whole[2], abs=1) and whole[0] == pytest.approx(whole[1], abs=1)
    box = panes[2].bounding_box()
    page.mouse.move(box["x"] + box["width"] / 3, box["y"] + box["height"] / 3)
    for _ in range(3):
        page.mouse.wheel(0, -60)
        page.wait_for_timeout(60)
    zoomed = places()
    assert zoomed[0][2] > 1.6 * whole[0][2]
    assert zoomed[0] == pytest.approx(zoomed[1], abs=1.5) and zoomed[0] == pytest.approx(zoomed[2], abs=1.5)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 3 + 30, box["y"] + box["height"] / 3 + 20)
    page.mouse.up()
    moved = places()
    assert moved[0][0] - zoomed[0][0] == pytest.approx(30, abs=2) and moved[0] == pytest.approx(moved[2], abs=1.5)
    page.keyboard.press("Shift+ArrowLeft")
    assert places()[0][0] > moved[0][0]
    page.keyboard.press("z")
    assert places()[0] == pytest.approx(whole[0], abs=1)
    page.keyboard.press("+")
    page.get_by_role("button", name="Larger").click()
    assert places()[0][2] == pytest.approx(whole[0][2] * 2.25, rel=0.02)
    page.get_by_role("button", name="Smaller").click()
    page.keyboard.press("ArrowLeft")
    answered(page, 1)
    ready(page)
    assert places()[0][2] == pytest.approx(whole[0][2], abs=1), "a new comparison starts whole"


def test_on_a_phone(
    make_study: Callable[..., Path], serve: Callable[[Path], Serving], enter: Callable[..., playwright.Page]
) -> None:
    folder = make_study(per_person=6, ties=True)
    page = enter(serve(folder), viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True,
                 color_scheme="dark")  # fmt: skip
    code = begin(page)
    boxes = [page.locator(f'.pane[data-side="{side}"]').bounding_box() for side in ("left", "right")]
    assert boxes[0]["y"] + boxes[0]["height"] <= boxes[1]["y"] and min(box["height"] for box in boxes) > 200
    for choice in ("A is better", "Equal", "B is better"):
        ready(page)
        page.get_by_role("button", name=choice).tap()
        expect(page.get_by_role("status")).to_have_text("Saved.")
        answered(page, 1 + ("A is better", "Equal", "B is better").index(choice))
    assert standing(folder, code) == ["left", "tie", "right"]
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert page.evaluate("document.documentElement.scrollHeight") <= 844, "choices are in sight"
    small = "[...document.querySelectorAll('main button')].filter((b) => b.offsetHeight && b.offsetHeight < 40).length"
    assert page.evaluate(small) == 0, "large enough for a finger"
