"""Any bytes make a BenchError or a value in every reader; what is written reads back the same."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from refsr_bench.core import files, migrations, names, reader, results
from refsr_bench.core.errors import BenchError
from refsr_bench.core.schema import ImageRecord, Result, Run
from refsr_bench.core.terminal import one_line

QUICK = settings(max_examples=120, deadline=None)
WORDS = st.text(max_size=12) | st.sampled_from(["\u2028", "\x85", "a\r\nb", "\x1b[2J", "inf", "../a", "\ud7ff"])
NUMBERS = st.integers(-(10**18), 10**18) | st.floats(-1e15, 1e15)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=20,
)
NESTED = st.builds(lambda depth, left: (left * depth).encode(), st.integers(1, 5000), st.sampled_from(["[", '{"a":']))
JSON_BYTES = st.binary(max_size=200) | NESTED | VALUES.map(lambda value: json.dumps(value).encode())
KEYS = [*Run.__struct_fields__, *Result.__struct_fields__, *ImageRecord.__struct_fields__, "name", "weights", "fields"]
SHAPED = st.dictionaries(st.sampled_from(KEYS), VALUES | st.dictionaries(st.sampled_from(KEYS), VALUES), max_size=8)


def value_or_words(read: Callable[[], Any]) -> Any:
    """Return the value of a reader, or None where it refused in words."""
    try:
        return read()
    except BenchError as error:
        assert str(error)
        return None


@QUICK
@given(JSON_BYTES)
@example(b"NaN")
@example(b'{"a": 1, "a": 2}')
@example(b'"\\ud800"')
@example(b"9" * 5000)
def test_any_bytes_are_json_or_refused(data: bytes) -> None:
    value = value_or_words(lambda: reader.parse_json(data, "bytes"))
    assert reader.parse_json(reader.dumps(value).encode(), "again") == value


@QUICK
@given(st.binary(max_size=200) | st.text().map(str.encode) | st.integers(1, 9000).map(lambda n: b"a=" + b"9" * n))
def test_any_bytes_are_toml_or_refused(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "mine.toml")
        path.write_bytes(data)
        assert isinstance(value_or_words(lambda: reader.read_toml(path)), dict | None)


@QUICK
@given(VALUES | SHAPED, st.sampled_from([1, 2, 3, 4, None]))
def test_any_value_is_a_run_file_or_refused(value: Any, version: int | None) -> None:
    shaped = {"run": {**value, "schema_version": version}, "images": [value]} if isinstance(value, dict) else value
    for kind in (Run, ImageRecord):
        value_or_words(lambda: reader.convert(value, kind, "value"))  # noqa: B023
    value_or_words(lambda: results.parse_result(shaped, "value"))
    value_or_words(lambda: migrations.current_run(shaped if not isinstance(shaped, dict) else shaped["run"], "value"))


@QUICK
@given(st.lists(st.builds(ImageRecord, id=WORDS, metrics=st.dictionaries(WORDS, st.floats(-1e15, 1e15))), max_size=4))
def test_a_journal_gives_back_every_record(records: list[ImageRecord]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for record in records:
            results.journal(Path(folder, "images.jsonl")).append(record)
        assert results.journal(Path(folder, "images.jsonl")).read() == records


@QUICK
@given(st.lists(JSON_BYTES, max_size=3))
def test_any_journal_is_read_or_refused(lines: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "images.jsonl").write_bytes(b"\n".join(lines) + b"\n")
        value_or_words(results.journal(Path(folder, "images.jsonl")).read)


@QUICK
@given(st.text() | st.lists(st.sampled_from(["..", ".", "a", "/", "\\", "\udcff", "\x00", "b" * 300])).map("/".join))
def test_a_name_stays_inside_its_folder(name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = value_or_words(lambda: files.inside(Path(folder), name))
        assert path is None or path.resolve().is_relative_to(Path(folder).resolve())


@QUICK
@given(st.text(min_size=1), st.text(min_size=1))
def test_names_of_files_are_safe_and_differ(one: str, other: str) -> None:
    assert names.stem(one).isascii() and "/" not in names.stem(one) and len(names.stem(one)) <= 120
    assert one == other or names.stem(one) != names.stem(other)


@QUICK
@given(st.text())
def test_text_for_a_terminal_is_printable(text: str) -> None:
    assert one_line(text).isprintable()


def test_bytes_that_are_no_utf_8_are_refused_when_written(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="no UTF-8"):
        results.journal(tmp_path / "images.jsonl").append(ImageRecord("a\udcff"))
    with pytest.raises(BenchError, match="no UTF-8"):
        files.write_text(tmp_path / "a.txt", "a\udcff")
