"""The one strict reader: what is let through, and what is refused with the file and the field named."""

from typing import Literal

import pytest

from refsr_bench.core import reader
from refsr_bench.core.errors import BenchError
from refsr_bench.core.reader import Count, Format, Real, Sha256


class Inner(Format):
    sizes: tuple[int, ...]
    kind: Literal["a", "b"] = "a"


class Outer(Format):
    name: str
    inner: Inner
    count: Count = 0
    value: Real = 0.0
    digest: Sha256 | None = None


GOOD = '{"name": "n", "inner": {"sizes": [1, 2]}}'


def read(tmp_path, text: str) -> Outer:
    (tmp_path / "file.json").write_text(text, encoding="utf-8")
    return reader.read_json(tmp_path / "file.json", Outer)


def test_a_sound_file_is_a_struct(tmp_path):
    assert read(tmp_path, GOOD) == Outer("n", Inner((1, 2)))
    assert reader.dumps(read(tmp_path, GOOD)) == reader.dumps(Outer("n", Inner((1, 2))))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"n"', "1", "name: expected str, got int"),
        ("[1, 2]", '[1, "2"]', "inner.sizes[1]: expected int, got str"),
        ('{"sizes": [1, 2]}', '{"sizes": [1], "size": 2}', "inner: has an unknown field 'size'"),
        ('{"sizes": [1, 2]}', "{}", "inner: lacks the required field 'sizes'"),
        ('"sizes"', '"kind": "c", "sizes"', "inner.kind: 'c' is not among the values"),
        ('"name"', '"count": -1, "name"', "count: expected int >= 0"),
        ('"name"', '"count": true, "name"', "count: expected int, got bool"),
        ('"name"', '"value": 1e300, "name"', "value: expected float <="),
        ('"name"', '"value": NaN, "name"', "NaN is no JSON number"),
        ('"name"', '"value": 1e999, "name"', "too large"),
        ('"name"', f'"count": {"1" * 30}, "name"', "a number of 30 digits"),
        ('"name"', '"name": "m", "name"', "'name' is there twice"),
        ('"name"', f'"digest": "{"A" * 64}", "name"', "digest: expected str matching regex"),
        ('"name"', f'"digest": "{"a" * 64}\\n", "name"', "digest: expected str"),
        ('"n"', '"\\ud800"', "half of a character"),
        ('"n"', "[" * 50 + "]" * 50, "nested too deeply"),
        ('"n"', "[" * 100_000 + "]" * 100_000, "nested too deeply"),
        (GOOD, "", "not JSON"),
        (GOOD, "[]", "expected object, got array"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(tmp_path, old, new, words):
    with pytest.raises(BenchError) as caught:
        read(tmp_path, GOOD.replace(old, new, 1))
    assert words in str(caught.value) and "file.json" in str(caught.value)


def test_toml_is_read_as_strictly(tmp_path):
    path = tmp_path / "file.toml"
    path.write_text('name = "n"\n[inner]\nsizes = [1]\n')
    assert reader.convert(reader.read_toml(path), Outer, str(path)) == Outer("n", Inner((1,)))
    for text in ("a = ", "a = " + "[" * 100 + "]" * 100, "a = " + "[" * 100_000 + "]" * 100_000):
        path.write_text(text)
        with pytest.raises(BenchError, match=r"file\.toml: not TOML"):
            reader.read_toml(path)


def test_infinity_is_a_text_and_comes_back():
    from refsr_bench.core.schema import ImageRecord

    line = reader.dump_line(ImageRecord("a", {"psnr_y": float("inf")}))
    assert b'"inf"' in line
    assert reader.load_line(ImageRecord)(line, "here").metrics == {"psnr_y": float("inf")}


def test_the_same_value_has_the_same_bytes():
    assert reader.dumps({"b": 1, "a": (1, 2)}) == reader.dumps({"a": [1, 2], "b": 1})
    assert reader.digest({"b": 1, "a": 2}) == reader.digest({"a": 2, "b": 1})
