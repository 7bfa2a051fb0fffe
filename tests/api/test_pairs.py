"""Pairs and data sets of what people have."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import refsr_bench
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.pixels.saved import pixels_digest


def test_a_pair_reads_files_when_asked_and_keeps_arrays_as_they_are_now(photo, tmp_path: Path) -> None:
    Image.fromarray(photo(20, 24)).save(tmp_path / "tower.png")
    made = refsr_bench.pair(tmp_path / "tower.png", [photo(30, 30, 1), Image.fromarray(photo(8, 8, 2)).convert("L")])
    assert made.id == "tower" and made.hr.path == tmp_path / "tower.png"
    assert [ref.name for ref in made.refs] == ["tower_ref1.png", "tower_ref2.png"]
    assert made.refs[1].load().shape == (8, 8, 3)
    array = photo(20, 24).copy()
    before = refsr_bench.pair(array)
    array[:] = 0
    assert np.array_equal(before.hr.load(), photo(20, 24)) and before.refs == ()
    assert before.id == f"image-{pixels_digest(photo(20, 24))[:12]}" == refsr_bench.pair(photo(20, 24)).id


def test_wrong_pairs_are_refused_in_words(photo, tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"refs\[0\]: .*nowhere.png: no such file"):
        refsr_bench.pair(photo(8, 8), tmp_path / "nowhere.png")
    with pytest.raises(Misuse, match="hr: an array of float64"):
        refsr_bench.pair(photo(8, 8) / 255)
    with pytest.raises(BenchError, match=r"more than once: one\. Give pair\(..., id=...\)"):
        refsr_bench.load_dataset([refsr_bench.pair(photo(8, 8, n), id="one") for n in range(2)])
    with pytest.raises(Misuse, match="at least one pair"):
        refsr_bench.load_dataset([])
    with pytest.raises(Misuse, match="There is no folder no/where"):
        refsr_bench.load_dataset("no/where")
    with pytest.raises(Misuse, match=r"looked for hr/X\.png"):
        refsr_bench.load_dataset(tmp_path)
    with pytest.raises(Misuse, match="int is no data set"):
        refsr_bench.load_dataset(3)


def test_names_are_for_own_pairs_and_roots_for_the_catalogue(photo, tmp_path: Path) -> None:
    pairs = [refsr_bench.pair(photo(8, 8), id="one")]
    assert refsr_bench.load_dataset(pairs, name="mine").name == "mine"
    assert refsr_bench.load_dataset(pairs).name == "pairs"
    for name in ("cufed5", "sample"):
        with pytest.raises(Misuse, match="is called so"):
            refsr_bench.load_dataset(pairs, name=name)
    with pytest.raises(Misuse, match="has a name of its own"):
        refsr_bench.load_dataset("sample", name="mine")
    with pytest.raises(Misuse, match="has a name of its own"):
        refsr_bench.load_dataset(refsr_bench.load_dataset("sample"), name="mine")
    with pytest.raises(Misuse, match="is for a data set of the catalogue"):
        refsr_bench.load_dataset(pairs, root=tmp_path)
    with pytest.raises(Misuse, match=r"sampel.*Did you mean sample"):
        refsr_bench.load_dataset("sampel")


def test_the_same_pixels_are_the_same_data(photo) -> None:
    def opened(which: int) -> refsr_bench.Dataset:
        return refsr_bench.load_dataset([refsr_bench.pair(photo(8, 8), photo(9, 9, which), id="one")])

    assert opened(1).manifest_sha256 == opened(1).manifest_sha256 != opened(2).manifest_sha256


def test_tables_need_two_columns_and_a_length(photo) -> None:
    import datasets

    data = refsr_bench.load_dataset([refsr_bench.pair(photo(8, 8), photo(9, 9, 1), id="one")])
    table = refsr_bench.to_hf(data)
    assert refsr_bench.load_dataset(table).manifest_sha256 == data.manifest_sha256
    bare = refsr_bench.load_dataset(table.select_columns(["hr", "refs"]), name="bare")
    assert (bare[0].id, bare[0].hr.name, bare[0].refs[0].name) == ("0", "0.png", "0_ref1.png")
    with pytest.raises(Misuse, match="no column refs, only"):
        refsr_bench.load_dataset(table.remove_columns("refs"))
    with pytest.raises(Misuse, match="is a stream"):
        refsr_bench.load_dataset(refsr_bench.to_hf(data, streaming=True))
    strange = datasets.Dataset.from_dict({"id": ["a"], "hr": [3], "refs": [[]]})
    with pytest.raises(Misuse, match="hr of row 0: int is no image"):
        refsr_bench.load_dataset(strange)


def test_a_data_set_is_a_sequence_of_its_pairs() -> None:
    data = refsr_bench.load_dataset("sample")
    assert len(data) == 8 and data[-1] is data.pairs[7] and data[2] in data and list(data) == list(data.pairs)
    part = data[2:5][1:]
    assert [one.id for one in part] == [one.id for one in data.pairs[3:5]]
    assert (len(part), part.n_pairs, part.name, part.manifest_sha256) == (2, 8, data.name, data.manifest_sha256)
    with pytest.raises(IndexError):
        data[8]
