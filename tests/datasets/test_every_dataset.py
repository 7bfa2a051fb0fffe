"""Every data set of the catalogue: found, absent, opened, read, handed to Hugging Face, documented."""

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from refsr_bench import load_dataset, to_hf
from refsr_bench.core import catalogue
from refsr_bench.core.cards import DatasetCard
from refsr_bench.core.errors import Misuse
from refsr_bench.data.opening import data_root, open_dataset

CARDS: list[DatasetCard] = list(catalogue.collect("DATASETS").values())
ON_DISK = [card for card in CARDS if not card.embedded]
CARD_PAGES = Path(__file__).parents[2] / "data_cards"


@pytest.mark.parametrize("card", ON_DISK, ids=lambda card: card.name)
def test_absent_says_where_and_how(card, tmp_path):
    for root in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(Misuse) as caught:
            open_dataset(card.name, root)
        assert caught.value.exit_code == 2
        for said in (card.home, f"refsr-bench data prepare {card.name} --from", str(root)):
            assert said in str(caught.value)


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_opens_lazily_with_unique_ids(card, tmp_path, layouts, monkeypatch):
    if not card.embedded:
        layouts[card.name](tmp_path)
        monkeypatch.setattr("refsr_bench.pixels.images.np.array", None)  # decoding anything now would fail
    dataset = open_dataset(card.name, tmp_path)
    monkeypatch.undo()
    assert (dataset.name, dataset.title) == (card.name, card.title)
    assert len({pair.id for pair in dataset.pairs}) == len(dataset.pairs) > 0
    assert re.fullmatch("[0-9a-f]{64}", dataset.manifest_sha256)
    assert dataset.official == card.embedded
    for pair in dataset.pairs:
        for src in (pair.hr, *pair.refs):
            image = src.load()
            assert image.dtype == np.uint8
            assert image.ndim == 3 and image.shape[2] == 3
            assert src.path is None or src.path.name == src.name
        assert all(isinstance(k, str) and isinstance(v, str) for k, v in pair.facts.items())
    if card.refs_per_pair == "0":
        assert not any(pair.refs for pair in dataset.pairs)
    else:
        assert all(pair.refs for pair in dataset.pairs)


@pytest.mark.parametrize("card", ON_DISK, ids=lambda card: card.name)
def test_data_root_and_own_folder_are_the_same_set(card, tmp_path, layouts, monkeypatch):
    own = tmp_path / card.folder
    layouts[card.name](own)
    digests = {open_dataset(card.name, root).manifest_sha256 for root in (own, tmp_path)}
    monkeypatch.setenv("REFSR_DATA", str(tmp_path))
    digests.add(load_dataset(card.name).manifest_sha256)
    assert len(digests) == 1


@pytest.mark.parametrize("card", ON_DISK, ids=lambda card: card.name)
def test_another_count_is_said_not_refused(card, tmp_path, layouts):
    layouts[card.name](tmp_path)
    dataset = open_dataset(card.name, tmp_path)
    assert any("published set" in note for note in dataset.notes)


@pytest.mark.parametrize("name", ["wrsr", "manga109", "sample", "set5"])
def test_hugging_face_map_style_and_streaming(name, tmp_path, layouts):
    if name in layouts:
        layouts[name](tmp_path)
    dataset = open_dataset(name, tmp_path)
    if name == "sample":
        dataset = dataclasses.replace(dataset, pairs=dataset.pairs[:2])
    table = to_hf(dataset)
    assert table["id"][:] == [pair.id for pair in dataset.pairs]
    row, pair = table[1], dataset.pairs[1]
    streamed = next(iter(to_hf(dataset, streaming=True).skip(1)))
    for found in (row, streamed):
        np.testing.assert_array_equal(np.asarray(found["hr"]), pair.hr.load())
        assert found["levels"] == [ref.level for ref in pair.refs]
        assert found["ref_names"] == [ref.name for ref in pair.refs]
        for image, ref in zip(found["refs"], pair.refs, strict=True):
            np.testing.assert_array_equal(np.asarray(image), ref.load())


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_has_a_data_card(card):
    text = (CARD_PAGES / f"{card.name}.md").read_text(encoding="utf-8")
    front, body = re.fullmatch(r"---\n(.*?)\n---\n(.*)", text, flags=re.S).groups()
    fields = yaml.safe_load(front)
    assert fields["pretty_name"] == card.title
    assert "image-to-image" in fields["task_categories"]
    assert "super-resolution" in fields["tags"]
    for heading in (
        "Composition",
        "Layout",
        "Source",
        "Terms",
        "References",
        "Known pitfalls",
        "Check value",
        "Citation",
    ):
        assert re.search(rf"^## {heading}$", body, flags=re.M), heading
    assert re.search(rf"\b{card.n_pairs}\b", body.replace(",", "")) or card.n_pairs is None


def test_data_cards_belong_to_data_sets():
    assert {page.stem for page in CARD_PAGES.glob("*.md")} - {"README"} == {card.name for card in CARDS}


def test_data_root_order(monkeypatch, tmp_path):
    monkeypatch.setenv("REFSR_DATA", str(tmp_path / "env"))
    assert data_root(tmp_path / "option") == tmp_path / "option"
    assert data_root() == tmp_path / "env"
    monkeypatch.delenv("REFSR_DATA")
    assert "refsr-bench" in str(data_root())


def test_unknown_name_suggests_a_near_one():
    with pytest.raises(Misuse, match="cufed5"):
        open_dataset("cufed-5")
