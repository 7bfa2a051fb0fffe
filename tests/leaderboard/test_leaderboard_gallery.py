"""The gallery: pictures found by their pixels, pages of images and methods, and nothing hostile on them."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from msgspec import structs
from picture_runs import HEIGHT, WIDTH, degraded, photo, result_of, save, write_run

from leaderboard.pages import evidence, finder, gallery
from leaderboard.pages.pages import Entry, Site
from leaderboard.reading.load import read_folder
from leaderboard.tables.model import method_path
from leaderboard.tables.tables import build_tables
from refsr_bench.core.results import write_result
from refsr_bench.core.schema import Arithmetic, Code, Leak, ViewRecord, Weights
from refsr_bench.core.types import Sample, View
from refsr_bench.pixels import saved
from refsr_bench.pixels.images import read_image

ROOT = Path(__file__).resolve().parents[2]
HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)> & \'{{ 7*7 }}'
ENTRIES = (Entry("table", "Table", "index.html"), Entry("images", "Images", "images/index.html"))


@pytest.fixture
def results(tmp_path: Path) -> Path:
    root = tmp_path / "results"
    for label in ("c2", "srntt"):
        write_run(root, "bicubic", 0, label=label, group="SISR", references="none")
        write_run(root, "good", 4, title="Good one", label=label, matches=label == "c2",
                  weights=Weights("authors", "w", "0" * 64))  # fmt: skip
    return root


def build(root: Path, out: Path, **options) -> tuple[gallery.Gallery, dict[str, str]]:
    runs = read_folder(root).benchmarks()
    tables = build_tables(runs)
    found = finder.collect(root, tables, out, **options)
    site = Site("Leaderboard", ENTRIES if found.images else ENTRIES[:1])
    pages = dict((*gallery.image_pages(found, site), *evidence.pages(tables, found, site)))
    found.keep(pages.values())
    return found, pages


def files(out: Path) -> dict[str, bytes]:
    return {p.relative_to(out).as_posix(): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()}


def check(pages: dict[str, str], out: Path) -> None:
    """Every page is sound HTML with unique ids, runs nothing of its own, and what it links to is there."""
    html5lib = pytest.importorskip("html5lib")
    known = set(pages) | set(files(out)) | {"index.html", "leaderboard.csv"}
    for path, text in pages.items():
        tree = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(text)
        ids = [element.get("id") for element in tree.iter() if element.get("id")]
        assert len(ids) == len(set(ids)), path
        for element in tree.iter():
            assert not [name for name in element.attrib if str(name).startswith("on") or name == "style"]
            if element.tag == "script":
                assert element.get("src") and not (element.text or "").strip()
            if element.tag == "img":
                assert element.get("alt") is not None and element.get("loading") == "lazy"
            for name in ("href", "src", "data-error"):
                target = (element.get(name) or "").split("#")
                if target[0].startswith(("https://arxiv.org/abs/", "data:,")) or not target[0]:
                    continue
                there = (Path("/" + path).parent / target[0]).as_posix()
                there = re.sub(r"/[^/]+/\.\.(?=/)", "", re.sub(r"/[^/]+/\.\.(?=/)", "", there)).lstrip("/")
                assert there in known or there.startswith("assets/"), (path, name, element.get(name))
                if target[1:] and target[1] and there in pages:
                    assert f'id="{target[1]}"' in pages[there], (path, element.get(name))


def test_pages_of_images_and_methods(results: Path, tmp_path: Path) -> None:
    found, pages = build(results, tmp_path / "site")
    assert found.problems == () and found.withheld == ()
    check(pages, tmp_path / "site")
    assert [image.id for image in found.images] == ["one", "three", "two"]
    assert len(pages) == 1 + 3 + 2 and method_path(result_of(results / "c2/sample/good").run.method) in pages
    one = found.images[0]
    assert [scene.table.protocol.label for scene in one.scenes] == ["c2", "srntt"]
    scene = one.scenes[0]
    assert [shot.title for shot in scene.shots] == ["bicubic", "Good one"] and scene.aligned
    assert [name for name, _ in scene.refs] == ["ref.png"] and scene.shots[1].matches.longest == 12.0
    assert scene.crop[0] <= 60 <= scene.crop[0] + scene.crop[2] and scene.shots[1].crop_psnr > scene.shots[0].crop_psnr
    text = pages[one.path]
    for fact in ("Good one", "error map", "Correspondences", "Close-up", "ref.png", f"{scene.shots[1].crop_psnr:.2f}"):
        assert fact in text
    stored = files(tmp_path / "site")
    # HR, LR and reference of both protocols are the same pixels, and so is SR: 3 x (3 + 2), and correspondences.
    assert len([name for name in stored if name.startswith("files/")]) == 3 * 5 + 3
    assert len([name for name in stored if name.startswith("errors/")]) == 3 * 2


def with_views(folder: Path, valid: np.ndarray, *records: ViewRecord) -> None:
    """Add these views to the first image of a run, with a picture of each as ``evaluate`` saves them."""
    result = result_of(folder)
    first, *others = result.images
    images = (structs.replace(first, views=records), *others)
    write_result(folder / "result.json", structs.replace(result, images=images))
    sr = photo(0)
    source = np.zeros((*sr.shape[:2], 2), np.float32)
    sample = Sample(first.id, sr, sr[::4, ::4], (sr,), 4, (0, 0, *sr.shape[:2]), ("ref.png",))
    views = [View(photo(7 + n), source, valid, each.found_by) for n, each in enumerate(records)]
    saved.save_views(folder / "views", sample, views, degraded(sr, 4))


def test_the_page_of_an_image_shows_the_views_that_methods_were_given(results: Path, tmp_path: Path) -> None:
    valid = np.ones((HEIGHT, WIDTH), bool)
    valid[:, :48] = False
    told = (ViewRecord("sift", 0, 0.5, 0.4321), ViewRecord("turns", 0, 0.5))
    with_views(results / "c2/sample/good", valid, *told)
    found, pages = build(results, tmp_path / "site")
    assert found.problems == ()
    check(pages, tmp_path / "site")
    one = found.images[0]
    views = one.scenes[0].shots[1].views
    assert [view.text for view in views] == [
        "view by SIFT, shows 50\u202f% of the image, 43\u202f% taken",
        "view by a vote over turns and scales, shows 50\u202f% of the image",
    ]
    assert all(view.text in pages[one.path] and view.picture.file in pages[one.path] for view in views)
    picture = read_image(tmp_path / "site" / views[0].picture.file)
    assert np.array_equal(picture[:, 48:], photo(7)[:, 48:])
    hatched = picture[:, :48].reshape(-1, 3)
    assert {tuple(colour) for colour in hatched.tolist()} == {(224, 224, 224), (196, 196, 196)}
    assert "Views of the references" not in pages[found.images[1].path]


@pytest.mark.parametrize("change", [
    lambda facts: facts.update(sr_sha256="0" * 64),
    lambda facts: facts["files"].pop(),
    lambda facts: facts["files"][0].update(sha256="0" * 64),
    lambda facts: facts.update(kind="matches"),
])  # fmt: skip
def test_views_that_do_not_fit_their_record_are_left_out(results: Path, tmp_path: Path, change) -> None:
    folder = results / "c2/sample/good"
    with_views(folder, np.ones((HEIGHT, WIDTH), bool), ViewRecord("sift", 0, 1.0))
    path = folder / "views" / "one" / "views.json"
    facts = json.loads(path.read_text())
    change(facts)
    path.write_text(json.dumps(facts))
    found, pages = build(results, tmp_path / "site")
    assert [problem.path for problem in found.problems] == ["c2/sample/good/views/one"]
    assert not any(shot.views for image in found.images for scene in image.scenes for shot in scene.shots)
    check(pages, tmp_path / "site")


def test_the_page_of_a_method_holds_what_the_run_file_says(results: Path, tmp_path: Path) -> None:
    write_run(results, "good", 2, title="Good one", folder="good-2", weights=Weights("authors", "other", "1" * 64),
              failed=("two",), paper="Somebody et al., arXiv:2103.12345, 2021", started="2026")  # fmt: skip
    runs = read_folder(results).benchmarks()
    found, pages = build(results, tmp_path / "site")
    (path,) = {name for name in pages if name.startswith("methods/good")}
    text = pages[path]
    check(pages, tmp_path / "site")
    for table in build_tables(runs):
        for cell in table.cells:
            if cell.run.result.run.method.name == "good":
                assert f'id="{cell.anchor}"' in text
    facts = ("0" * 64, "1" * 64, "1 image failed", "out of memory", "torch 2.11.0", "2025-01-01T00:00:00Z", "1.2 M",
             "c2/sample/good-2/result.json", 'href="https://arxiv.org/abs/2103.12345"', "2 of 3")  # fmt: skip
    assert [fact for fact in facts if fact not in text] == []
    lost = pages[next(image.path for image in found.images if image.id == "two")]
    assert "failed: out of memory" in lost


def test_the_page_of_a_method_shows_how_its_numbers_were_made(results: Path, tmp_path: Path) -> None:
    facts = {"code": Code("my.code", "1.2", "2" * 64), "arithmetic": Arithmetic("strips", "float16")}
    facts |= {"origin": "command", "command": "refsr-bench run"}
    write_run(results, "own", 2, weights=Weights("own", "mine", "3" * 64), of_run=facts, leak=Leak("duplicate", 0.99),
              options={"matching": "coarse"}, verified="text alone")  # fmt: skip
    write_run(results, "folder", 2, of_run={"origin": "folder", "timing": "not measurable"})
    _, pages = build(results, tmp_path / "site")
    check(pages, tmp_path / "site")
    own, folder = (pages[next(path for path in pages if path.startswith(f"methods/{n}-"))] for n in ("own", "folder"))
    told = ("my.code 1.2", "2" * 64, "images in strips, float16", "a program, run once for each image", "coarse",
            "cpu, Some processor, 2 threads", "mine, trained with this toolkit", "duplicate</span>",
            "3 images: a reference is the ground truth itself", "built from the paper&#39;s text")  # fmt: skip
    assert [fact for fact in told if fact not in own] == []
    assert "- per image (not measurable)" in folder and "images that other code made" in folder
    assert "not measurable, as other code made the images" in folder


def test_same_input_same_bytes_and_nothing_made_again(results: Path, tmp_path: Path) -> None:
    _, pages = build(results, tmp_path / "one", workers=1)
    first = files(tmp_path / "one")
    times = {name: (tmp_path / "one" / name).stat().st_mtime_ns for name in first}
    _, again = build(results, tmp_path / "one")
    assert again == pages and {name: (tmp_path / "one" / name).stat().st_mtime_ns for name in first} == times
    shutil.copytree(results, tmp_path / "elsewhere" / "deep")
    _, moved = build(tmp_path / "elsewhere" / "deep", tmp_path / "two", workers=3)
    assert moved == pages and files(tmp_path / "two") == first
    assert str(tmp_path) not in "".join(pages.values())


def test_a_picture_with_other_pixels_is_left_out(results: Path, tmp_path: Path) -> None:
    save(results / "c2/sample/good/images/two.png", degraded(photo(1), 3))
    found, pages = build(results, tmp_path / "site")
    assert [problem.path for problem in found.problems] == ["c2/sample/good/images", "c2/sample/good/images/two.png"]
    assert "no picture has the pixels measured for 'two'" in found.problems[0].reason
    two = next(image for image in found.images if image.id == "two")
    assert [len(scene.shots) for scene in two.scenes] == [1, 2]
    assert "its picture was not kept" in pages[two.path]
    check(pages, tmp_path / "site")


def test_names_of_files_mean_nothing(results: Path, tmp_path: Path) -> None:
    whole, _ = build(results, tmp_path / "one")
    folder = results / "c2/sample/good/images"
    (folder / "one.png").rename(folder / "x.png")
    (folder / "two.png").rename(folder / "one.png")
    (folder / "x.png").rename(folder / "two.png")
    swapped, _ = build(results, tmp_path / "two")
    assert swapped.images == whole.images and swapped.problems == ()


@pytest.mark.parametrize(
    "change",
    [
        lambda facts: facts["files"][0].update(file="../../../../secret.png"),
        lambda facts: facts["files"][0].update(file="/etc/passwd"),
        lambda facts: facts["files"][0].update(sha256="0" * 64),
        lambda facts: facts["files"][0].update(size=[1, 1]),
        lambda facts: facts["files"][0].update(role=None, file=None),
        lambda facts: facts["files"][0].update(role="refs", file="ref-2.png"),
        lambda facts: facts.pop("files"),
        lambda facts: facts.update(kind="matches"),
        lambda facts: facts.update(files=[1, 2]),
    ],
)
def test_what_inputs_state_is_checked(results: Path, tmp_path: Path, change) -> None:
    save(tmp_path / "secret.png", photo(0))
    (path,) = results.glob("c2/sample/inputs/one-*/inputs.json")
    facts = json.loads(path.read_text())
    change(facts)
    path.write_text(json.dumps(facts))
    found, pages = build(results, tmp_path / "site")
    assert [problem.path for problem in found.problems] == [path.parent.relative_to(results).as_posix()]
    one = next(image for image in found.images if image.id == "one")
    assert one.scenes[0].hr is None and one.scenes[1].hr is not None
    check(pages, tmp_path / "site")


def test_links_and_bombs_stay_outside(results: Path, tmp_path: Path) -> None:
    save(tmp_path / "outside.png", degraded(photo(1), 4))
    images = results / "c2/sample/good/images"
    (images / "two.png").unlink()
    (images / "two.png").symlink_to(tmp_path / "outside.png")
    bomb = (images / "one.png").read_bytes().replace(b"\0\0\0\x60\0\0\0\x40", b"\0\1\0\0\0\1\0\0")
    (images / "bomb.png").write_bytes(bomb)
    found, _ = build(results, tmp_path / "site")
    reasons = {problem.path.split("/")[-1]: problem.reason for problem in found.problems}
    assert "links are not followed" in reasons["two.png"] and "million" in reasons["bomb.png"]


def test_data_sets_that_may_not_be_shown(tmp_path: Path) -> None:
    root = tmp_path / "results"
    write_run(root, "bicubic", 0, dataset="cufed5")
    write_run(root, "bicubic", 0, dataset="sample")
    found, pages = build(root, tmp_path / "site")
    assert dict(found.withheld).keys() == {"cufed5"} and {i.dataset.name for i in found.images} == {"sample"}
    assert "Pictures of cufed5 are not published here" in pages["images/index.html"]
    shown, _ = build(root, tmp_path / "other", publish=("cufed5",))
    assert shown.withheld == () and len(shown.images) == 6


def test_every_data_card_that_forbids_it_is_respected() -> None:
    cards = {path.stem: path.read_text() for path in (ROOT / "data_cards").glob("*.md")}
    forbidden = re.compile(r"license: unknown|not\s+redistribute|[Rr]edistribution .*forbidden")
    closed = {name for name, text in cards.items() if forbidden.search(text)}
    assert len(closed) > 7 and all(gallery.withheld(name) for name in closed)
    assert gallery.withheld("sample") is None and gallery.withheld("folder") is None
    assert gallery.withheld("cufed5.small") and gallery.withheld("set5x") is None


@pytest.mark.parametrize("mode", ["thumbs", "none"])
def test_fewer_pictures(results: Path, tmp_path: Path, mode: str) -> None:
    found, pages = build(results, tmp_path / "site", mode=mode)
    check(pages, tmp_path / "site")
    names = {name.split("/")[0] for name in files(tmp_path / "site")}
    assert names == ({"thumbs", "errors", "parts"} if mode == "thumbs" else set())
    assert bool(found.images) == (mode == "thumbs") and len([n for n in pages if n.startswith("methods/")]) == 2


def test_a_site_beside_its_runs_takes_no_second_place_on_the_disk(results: Path, tmp_path: Path) -> None:
    build(results, tmp_path / "site", mode="links")
    build(results, tmp_path / "whole")
    assert files(tmp_path / "site") == files(tmp_path / "whole")
    own = {path.stat().st_ino for path in results.rglob("*.png")}
    assert {path.stat().st_ino for path in (tmp_path / "site" / "files").iterdir()} <= own
    assert not {path.stat().st_ino for path in (tmp_path / "whole" / "files").iterdir()} & own


@pytest.mark.parametrize("mode", ["thumbs", "all"])
def test_a_site_has_only_pictures_that_a_page_refers_to(results: Path, tmp_path: Path, mode: str) -> None:
    found, pages = build(results, tmp_path / "site", mode=mode)
    text = "".join((*pages.values(), *(tile.path for line in found.lineups.values() for tile in line.tiles)))
    written = [name for name in files(tmp_path / "site") if not name.startswith("crops/")]
    assert len(written) > 10 and not [name for name in written if name not in text]


def test_runs_without_pictures_have_pages_of_methods_alone(tmp_path: Path) -> None:
    write_run(tmp_path / "results", "bicubic", 0, pictures=False)
    found, pages = build(tmp_path / "results", tmp_path / "site")
    assert found == gallery.Gallery() and [name.split("/")[0] for name in pages] == ["methods"]


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    root = tmp_path / "results"
    for name, folder in ((HOSTILE, "a"), ("../../up", "b")):
        ids = (HOSTILE, "../../up", "\u202edi", "\x00")
        write_run(root, name, 1, title=HOSTILE, ids=ids, folder=folder, matches=True,
                  failed=("\x00",), group=HOSTILE, paper=f"{HOSTILE} javascript:alert(1)",
                  weights=Weights("own", HOSTILE, None), notes=(HOSTILE,), options={HOSTILE: HOSTILE},
                  of_run={"code": Code(HOSTILE, HOSTILE, None), "command": HOSTILE})  # fmt: skip
    found, pages = build(root, tmp_path / "site")
    assert found.problems == () and len(found.images) == 3
    check(pages, tmp_path / "site")
    for path, text in pages.items():
        assert ".." not in path and re.fullmatch(r"(images|methods)/([a-z0-9-]+/)?[a-z0-9._-]+\.html", path)
        assert "<script>alert" not in text and "\u202e" not in text and 'href="javascript' not in text
    assert {path.name for path in tmp_path.iterdir()} == {"results", "site"}


def test_papers_are_linked_where_their_address_is_known() -> None:
    link = evidence.paper_link
    assert link("Jiang et al., CVPR 2021, arXiv:2106.01863") == "https://arxiv.org/abs/2106.01863"
    assert link("See https://example.org/paper.pdf.") == "https://example.org/paper.pdf"
    assert link("Jiang et al., CVPR 2021") is None and link("https://user@evil.org/x javascript:alert(1)") is None


def test_the_distribution_is_told_in_words_and_bars() -> None:
    from runs import METRICS

    chart = evidence.histogram([20.0, 21.5, 22.0, 30.0, np.inf], METRICS[0])
    assert "PSNR-Y of 4 images: 20.00 to 30.00 dB, median 21.75 dB, mean 23.38 dB; 1 more identical to HR" in chart
    heights = [float(h) for h in re.findall(r"v-([\d.]+)h", chart)]
    assert max(heights) == 72.0 and sum(heights) == pytest.approx(72.0 * 4 / 2, abs=0.2)
    assert evidence.histogram([20.0, 21.0], METRICS[0]) == ""
    assert "20.00 to 20.00" in evidence.histogram([20.0] * 5, METRICS[0])
