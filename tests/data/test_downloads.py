"""Data sets are fetched from their owners or taken from where a person put them, and then prepared."""

import shutil
import threading
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from layout_makers import wrsr

from refsr_bench.core import catalogue
from refsr_bench.core.cards import PublishedFile
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.data.downloads import obtain
from refsr_bench.formats.checkpoints import sha256


def silent(file):
    return lambda done, total: None


@pytest.fixture
def archive(tmp_path):
    wrsr(tmp_path / "made", 3)
    return shutil.make_archive(str(tmp_path / "served" / "WR-SR"), "zip", tmp_path / "made")


def test_what_has_no_address_says_where_it_is_and_is_taken_when_it_is_there(tmp_path, archive):
    root = tmp_path / "root"
    with pytest.raises(BenchError, match=r"WR-SR has no direct address. Get it: .*C2-Matching.* into .*downloads/wrsr"):
        obtain("wrsr", root, silent)
    (root / "downloads" / "wrsr").mkdir(parents=True)
    shutil.move(archive, root / "downloads" / "wrsr" / "any name.zip")
    assert obtain("wrsr", root, silent) == root / "WR-SR"
    assert len(list((root / "WR-SR").rglob("*.png"))) == 6


def test_what_has_an_address_is_fetched_and_prepared(tmp_path, archive, monkeypatch):
    card = catalogue.get("DATASETS", "wrsr")
    digest = sha256(tmp_path / "served" / "WR-SR.zip")
    file = PublishedFile("WR-SR.zip", "", url="https://example.org/WR-SR.zip", sha256=digest)
    monkeypatch.setattr(catalogue, "get", lambda kind, name: replace(card, archives=(file,)))
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "served"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as mirror:
        threading.Thread(target=mirror.serve_forever, daemon=True).start()
        monkeypatch.setenv("REFSR_MIRROR", f"http://127.0.0.1:{mirror.server_port}")
        assert obtain("wrsr", tmp_path / "root", silent) == tmp_path / "root" / "WR-SR"
        mirror.shutdown()
    assert obtain("wrsr", tmp_path / "root", silent) == tmp_path / "root" / "WR-SR"  # from what was kept


def test_what_the_package_makes_is_not_fetched(tmp_path):
    for name in ("sample", "folder"):
        with pytest.raises(Misuse, match="nothing to fetch"):
            obtain(name, tmp_path, silent)


def test_addresses_are_encrypted_and_end_in_the_files_name():
    files = [file for card in catalogue.collect("DATASETS").values() for file in card.archives]
    assert len(files) == 6
    assert all(file.url.startswith("https://") and file.url.endswith(f"/{file.file}") for file in files)
