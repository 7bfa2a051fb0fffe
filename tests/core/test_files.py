"""Touching files: whole or not at all, bounded, never through a link, never waiting, never outside."""

import ast
import errno
import os
import re
import shutil
import signal
import subprocess
import sys
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from refsr_bench.core import files, journals, reader
from refsr_bench.core.errors import BenchError, Busy
from refsr_bench.data.manifests import file_sha256
from refsr_bench.pixels.images import image_size, read_image

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("refsr_bench", "c2matching", "baselines", "leaderboard")


class Line(reader.Format):
    text: str
    number: float = 0.0


# -- reading -------------------------------------------------------------------------------------------------------


def test_reads_no_more_than_it_may(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert files.read_bytes(path, 5) == b"12345"
    with pytest.raises(BenchError, match=r"file: .* are read"):
        files.read_bytes(path, 4)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")
def test_what_is_no_regular_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", tmp_path, Path("/dev/zero")):
        with pytest.raises(BenchError, match=re.escape(str(path))):
            files.read_bytes(path)


@pytest.mark.parametrize(
    ("data", "words"), [(b"\xff\xfe", r"not UTF-8 \(byte 0\)"), (b"\xef\xbb\xbf{}", "byte order mark")]
)
def test_text_is_plain_utf8(tmp_path, data, words):
    (tmp_path / "text").write_bytes(data)
    with pytest.raises(BenchError, match=words):
        files.read_text(tmp_path / "text")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")
def test_images_and_digests_do_not_wait_for_a_fifo(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    for read in (read_image, image_size, file_sha256):
        with pytest.raises(BenchError, match=r"a\.png: not a regular file"):
            read(tmp_path / "a.png")


# -- writing -------------------------------------------------------------------------------------------------------


def test_a_block_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    files.write_text(path, "old")
    with pytest.raises(RuntimeError), files.writing(path) as partial:
        partial.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_line_ends_stay_as_they_are(tmp_path):
    files.write_text(tmp_path / "file", "a\nb\r\n")
    assert (tmp_path / "file").read_bytes() == b"a\nb\r\n"


@pytest.mark.parametrize("dangling", [True, False])
def test_a_link_is_replaced_and_not_followed(tmp_path, dangling):
    target = tmp_path / "elsewhere"
    if not dangling:
        target.write_text("theirs")
    (tmp_path / "link").symlink_to(target)
    files.write_text(tmp_path / "link", "ours")
    assert not (tmp_path / "link").is_symlink() and (tmp_path / "link").read_text() == "ours"
    assert target.exists() != dangling and (dangling or target.read_text() == "theirs")


@pytest.mark.parametrize("locks", [True, False])
def test_a_link_in_the_place_of_the_partial_file_is_not_followed(tmp_path, monkeypatch, locks):
    monkeypatch.setattr(files.os, "getpid", lambda: 7)
    monkeypatch.setattr(files.threading, "get_ident", lambda: 8)
    if not locks:
        monkeypatch.setattr(files, "fcntl", None)
    for name in (".file.partial", ".file.7.8.partial"):
        (tmp_path / name).symlink_to(tmp_path / "elsewhere")
    files.write_text(tmp_path / "file", "ours")
    assert not (tmp_path / "elsewhere").exists() and (tmp_path / "file").read_text() == "ours"


def test_text_that_utf_8_cannot_hold_is_shown_and_the_old_file_stays(tmp_path):
    files.write_text(tmp_path / "file", "old")
    with pytest.raises(BenchError, match=r"file: cannot hold 'a \\udcff b', which is no UTF-8"):
        files.write_text(tmp_path / "file", "a \udcff b")
    assert (tmp_path / "file").read_text() == "old"


def test_a_hard_link_in_the_place_of_the_partial_file_keeps_its_contents(tmp_path):
    (tmp_path / "theirs").write_text("theirs")
    (tmp_path / ".file.partial").hardlink_to(tmp_path / "theirs")
    files.write_text(tmp_path / "file", "ours")
    assert ((tmp_path / "theirs").read_text(), (tmp_path / "file").read_text()) == ("theirs", "ours")


def test_a_disk_without_locks_can_be_written_too(tmp_path, monkeypatch):
    def unsupported(handle, operation):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(files.fcntl, "flock", unsupported)
    files.write_text(tmp_path / "file", "ours")
    assert [path.name for path in tmp_path.iterdir()] == ["file"] and (tmp_path / "file").read_text() == "ours"


def test_writers_of_one_file_never_mix(tmp_path):
    texts = [letter * 200_000 for letter in "abcdef"]

    def write(text):
        for _ in range(20):
            files.write_text(tmp_path / "file", text)
            assert (tmp_path / "file").read_text() in texts

    code = (
        "import sys; from pathlib import Path; from refsr_bench.core import files\n"
        "for _ in range(60): files.write_text(Path(sys.argv[1]), sys.argv[2] * 200_000)"
    )
    other = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "file"), "f"])
    with ThreadPoolExecutor(5) as pool:
        list(pool.map(write, texts[:5]))
    assert other.wait() == 0
    assert [path.name for path in tmp_path.iterdir()] == ["file"] and (tmp_path / "file").read_text() in texts


def test_a_disk_that_refuses_is_told_in_words(tmp_path, monkeypatch):
    def full(handle):
        raise OSError(28, "No space left on device")

    files.write_text(tmp_path / "file", "old")
    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(BenchError, match=r"file: cannot be written \(No space left on device\)"):
        files.write_text(tmp_path / "file", "new")
    assert (tmp_path / "file").read_text() == "old"


def test_a_kill_while_writing_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    code = (
        "import sys; from pathlib import Path; from refsr_bench.core import files\n"
        "with files.writing(Path(sys.argv[1])) as partial:\n"
        "    partial.write_text('half'); print('here', flush=True); sys.stdin.read()"
    )
    writer = subprocess.Popen([sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert writer.stdout.readline() == b"here\n"
    writer.send_signal(signal.SIGKILL)
    writer.communicate()
    assert path.read_text() == "old"
    assert (tmp_path / ".file.partial").read_text() == "half"
    files.write_text(path, "new")
    assert [left.name for left in tmp_path.iterdir()] == ["file"] and path.read_text() == "new"


# -- names that somebody else wrote --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.png", "input/a b.png", "ref/L1/ü.png", "a/./b"])
def test_names_inside(tmp_path, name):
    assert files.inside(tmp_path, name).is_relative_to(tmp_path)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../a", "a/../../b", "/etc/passwd", "C:\\x", "C:x", "a\\b", "a\x00b", "a\nb", "//host/x"]
)
def test_names_outside_are_refused(tmp_path, name):
    with pytest.raises(BenchError):
        files.inside(tmp_path, name)


def test_links_in_a_circle_are_refused(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(BenchError, match="links lead in a circle"):
        files.inside(tmp_path, "a/x.png")


def test_a_link_that_leads_out_is_refused(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "link").symlink_to(tmp_path)
    with pytest.raises(BenchError, match="leads out"):
        files.inside(tmp_path / "in", "link/a.png")


# -- locks and journals --------------------------------------------------------------------------------------------


def test_one_writer_per_folder(tmp_path):
    with files.locked(tmp_path, "A training"):
        code = (
            "import sys; from pathlib import Path; from refsr_bench.core.files import locked\n"
            "with locked(Path(sys.argv[1]), 'A training'): pass"
        )
        other = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True)
    assert "A training is writing to" in other.stderr
    with files.locked(tmp_path, "A training"):
        pass


def test_a_lock_names_its_holder(tmp_path):
    """Another process learns which one to wait for: number, since when, command; control characters do not pass."""
    code = (
        "import sys; from pathlib import Path; from refsr_bench.core.files import locked\n"
        "with locked(Path(sys.argv[1]), 'A training'): print('locked', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(tmp_path), "\x1b[2J"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "locked\n"
        with pytest.raises(Busy) as caught, files.locked(tmp_path, "A training"):
            pass
        other.communicate()
    told = str(caught.value)
    holder = rf"process {other.pid} on .*, since 20\d\d-.* UTC, -c {tmp_path}"
    assert re.search(f"A training is writing to .*: {holder}", told)
    assert "\x1b" not in told
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]  # nothing about anybody's machine stays


def test_a_lock_is_taken_after_a_kill_and_on_a_full_disk(tmp_path, monkeypatch):
    (tmp_path / ".lock.holder").write_text("process 1 on a machine that is gone")

    def full(path, data):
        raise BenchError("full")

    monkeypatch.setattr(files, "write_bytes", full)
    with files.locked(tmp_path, "A training"):
        pass
    assert not (tmp_path / ".lock.holder").exists()


@pytest.mark.parametrize("text", ["\u2028", "\u0085", "\x1c", "a\nb", "\r", "é"])
def test_a_journal_splits_at_newlines_alone(tmp_path, text):
    path = tmp_path / "lines.jsonl"
    reader.journal(path, Line).append(Line(text))
    reader.journal(path, Line).append(Line("next"))
    assert [line.text for line in reader.journal(path, Line).read()] == [text, "next"]


def test_a_torn_line_is_passed_over_and_then_removed(tmp_path):
    path = tmp_path / "lines.jsonl"
    journal = reader.journal(path, Line)
    journal.append(Line("one"))
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"text": "tw')
    assert [line.text for line in reader.journal(path, Line).read()] == ["one"]
    reader.journal(path, Line).append(Line("two"))
    assert path.read_bytes() == whole + reader.dump_line(Line("two")) + b"\n"


def test_a_torn_line_longer_than_a_block(tmp_path):
    path = tmp_path / "lines.jsonl"
    reader.journal(path, Line).append(Line("one"))
    whole = path.read_bytes()
    path.write_bytes(whole + b"x" * 200_000)
    reader.journal(path, Line).append(Line("two"))
    assert path.read_bytes() == whole + reader.dump_line(Line("two")) + b"\n"


def test_a_journal_whose_disk_is_full_is_as_before(tmp_path, monkeypatch):
    path = tmp_path / "lines.jsonl"
    journal = reader.journal(path, Line)
    journal.append(Line("one"))
    before = path.read_bytes()

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(BenchError, match="No space left"):
        journal.append(Line("two"))
    assert path.read_bytes() == before


@pytest.mark.parametrize("line", [b"[1]", b'{"text": 1}', b'{"text": "a", "more": 1}', b"{", b"\xff", b""])
def test_a_line_that_is_none_of_ours_is_named(tmp_path, line):
    path = tmp_path / "lines.jsonl"
    reader.journal(path, Line).append(Line("one"))
    path.write_bytes(path.read_bytes() + line + b"\n")
    with pytest.raises(BenchError, match=r"lines\.jsonl, line 2"):
        reader.journal(path, Line).read()


def test_a_journal_of_empty_lines_or_one_long_line_takes_no_memory(tmp_path, monkeypatch):
    path = tmp_path / "lines.jsonl"
    path.write_bytes(b"\n" * (8 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(BenchError, match="line 1"):
            reader.journal(path, Line).read()
        assert tracemalloc.get_traced_memory()[1] < 32 << 20  # a list of the lines alone takes 64 MiB
    finally:
        tracemalloc.stop()
    monkeypatch.setattr(journals, "MOST_BYTES", 1000)
    path.write_bytes(b"x" * 1001 + b"\n")
    with pytest.raises(BenchError, match=r"line 1: .* are read"):
        reader.journal(path, Line).read()


def test_many_writers_lose_nothing(tmp_path):
    path = tmp_path / "lines.jsonl"
    code = (
        "import sys; from pathlib import Path; from refsr_bench.core import reader\n"
        "class Line(reader.Format):\n    text: str\n"
        "journal = reader.journal(Path(sys.argv[1]), Line)\n"
        "[journal.append(Line(f'{sys.argv[2]} {n}')) for n in range(20)]"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, str(path), str(n)]) for n in range(3)]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    read = [line.text for line in reader.journal(path, Line).read()]
    assert sorted(read) == sorted(f"{w} {n}" for w in range(3) for n in range(20))


# -- nobody else touches files -------------------------------------------------------------------------------------

MAY = {
    "refsr_bench/core/files.py",  # the one place, with
    "refsr_bench/core/journals.py",
    "refsr_bench/evaluation/cost.py",  # /proc/self/clear_refs is no file
    "refsr_bench/builder/export/fetch_script.py",  # runs on its own, on machines without this package
}
OF_PATHS = {"write_text", "write_bytes", "rename", "symlink_to", "hardlink_to"}
OF_MODULES = {
    ("os", "replace"), ("os", "rename"), ("os", "open"), ("os", "link"), ("shutil", "move"), ("filelock", "FileLock"),
}  # fmt: skip


def writes(node: ast.AST) -> bool:
    """Tell whether a call writes to the disk other than through ``files``."""
    if not isinstance(node, ast.Call):
        return False
    if isinstance(node.func, ast.Name):
        mode = node.args[1:2] + [keyword.value for keyword in node.keywords if keyword.arg == "mode"]
        return node.func.id == "FileLock" or (node.func.id == "open" and _writing_mode(mode))
    if not isinstance(node.func, ast.Attribute):
        return False
    owner, name = ast.unparse(node.func.value), node.func.attr
    if owner == "files" or (owner, name) in OF_MODULES:
        return owner != "files"
    if name == "replace":
        return len(node.args) == 1 and not node.keywords  # of a path; that of a text takes two, of a struct names
    return name in OF_PATHS or (name == "open" and _writing_mode(node.args[:1]))


def _writing_mode(arguments: list[ast.expr]) -> bool:
    modes = [node.value for node in arguments if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return any(set(mode) & set("wax+") for mode in modes)


def found(code: str) -> list[str]:
    """The calls of a module that write, but for those that fill a file of ``files.writing`` or ``saving``."""
    tree = ast.parse(code)
    items = [item for node in ast.walk(tree) if isinstance(node, ast.With) for item in node.items]
    given = {
        ast.unparse(item.optional_vars) for item in items
        if item.optional_vars
        and ast.unparse(item.context_expr).startswith(("files.writing(", "writing(", "files.saving("))
    }  # fmt: skip
    calls = [node for node in ast.walk(tree) if writes(node)]
    return [
        f"line {call.lineno}: {ast.unparse(call)[:80]}" for call in calls
        if not given & {node.id for node in ast.walk(call) if isinstance(node, ast.Name)}
    ]  # fmt: skip


@pytest.mark.parametrize(
    "path", [p for package in PACKAGES for p in sorted((ROOT / package).rglob("*.py"))],
    ids=lambda path: path.relative_to(ROOT).as_posix(),
)  # fmt: skip
def test_only_one_module_writes_files(path):
    if path.relative_to(ROOT).as_posix() in MAY:
        return
    assert found(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "code", ["open(p, 'w')", "p.open('ab')", "p.write_text('')", "os.replace(a, b)", "a.replace(b)", "FileLock(p)"]
)
def test_the_rule_catches_a_write(code):
    assert found(code)


@pytest.mark.parametrize(
    "code",
    ["open(p)", "p.open('rb')", "files.write_text(p, '')", "'a'.replace('a', 'b')", "structs.replace(a, b=1)",
     "with files.writing(p) as partial: partial.write_bytes(b'')"],
)  # fmt: skip
def test_the_rule_lets_reading_pass(code):
    assert not found(code)


# -- folders that vanish -------------------------------------------------------------------------------------------


def test_a_folder_that_is_gone_already_is_told_in_words(tmp_path):
    with pytest.raises(BenchError, match="out: cannot be written"), files.standing(tmp_path / "out"):
        pass


def test_a_journal_whose_folder_vanished_does_not_make_it_again(tmp_path):
    journal = reader.journal(tmp_path / "out/lines.jsonl", dict[str, int])
    (tmp_path / "out").mkdir()
    journal.append({"a": 1})
    shutil.rmtree(tmp_path / "out")
    with pytest.raises(BenchError, match=r"lines\.jsonl: cannot be written \(No such file"):
        journal.append({"a": 2})
    assert not (tmp_path / "out").exists()


def test_a_folder_that_vanished_is_not_made_again(tmp_path):
    assert files.make_folder(tmp_path / "out" / "a", below=tmp_path).is_dir()
    assert files.make_folder(tmp_path / "out" / "b" / "c", below=tmp_path / "out").is_dir()
    with pytest.raises(BenchError, match="cannot be made"):
        files.make_folder(tmp_path / "gone" / "a" / "b", below=tmp_path / "gone")
    assert not (tmp_path / "gone").exists()


def test_a_folder_is_not_made_through_a_link(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "beside").mkdir()
    for target in ("beside", "nowhere"):
        (tmp_path / "out" / "a").symlink_to(tmp_path / target)
        for name in ("a", "a/b"):
            with pytest.raises(BenchError, match="out/a is a link"):
                files.make_folder(tmp_path / "out" / name, below=tmp_path / "out")
        (tmp_path / "out" / "a").unlink()
    assert not list((tmp_path / "beside").iterdir()) and not (tmp_path / "nowhere").exists()


def test_another_folder_in_the_same_place_is_noticed(tmp_path):
    (tmp_path / "out").mkdir()
    with files.standing(tmp_path / "out"):
        (tmp_path / "out" / "file").touch()
    with pytest.raises(BenchError, match="vanished while it was written to"), files.standing(tmp_path / "out"):
        (tmp_path / "out").rename(tmp_path / "away")
        (tmp_path / "out").mkdir()
