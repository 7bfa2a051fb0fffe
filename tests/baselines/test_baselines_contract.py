"""Every method with a network must do the following, whichever it is."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.gmacs import gmacs
from refsr_bench.core import catalogue
from refsr_bench.core.errors import BenchError, NoWeights
from refsr_bench.core.schema import VERIFIED, Weights
from refsr_bench.formats.checkpoints import synthetic
from refsr_bench.learning.weights import SYNTHETIC, Trained, read, write

CARDS = {name: card for name, card in catalogue.collect("METHODS").items() if card.system is not None}
SYSTEMS = {id(card.system): card for card in reversed(CARDS.values())}
VALUES = Path(__file__).with_name("values.json")
LR, REF = (20, 23), (88, 98)

ROWS_OF_TABLE_1 = {
    *("srcnn", "edsr", "rcan", "srgan", "enet", "esrgan", "ranksrgan"),
    *("crossnet", "srntt", "srntt-rec", "ttsr", "ttsr-rec", "ssen", "ssen-rec", "e2ent2", "e2ent2-rec"),
    *("cimr", "cimr-rec", "c2matching", "c2matching-gan"),
}
AFTER_IT = {"masa", "masa-rec", "amsa", "amsa-rec", "datsr", "datsr-rec", "mrefsr-rec", "swinir"}


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def inputs(card) -> tuple[torch.Tensor, torch.Tensor, list[torch.Tensor]]:
    """Smooth random images, the same everywhere."""
    rng = np.random.Generator(np.random.PCG64(7))

    def image(height: int, width: int) -> torch.Tensor:
        coarse = torch.from_numpy(rng.random((1, 3, 9, 9), np.float32))
        return torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic", align_corners=True).clamp(0, 1)

    lr = image(*LR)
    lr_up = torch.nn.functional.interpolate(lr, scale_factor=4, mode="bicubic").clamp(0, 1)
    refs = {"none": 0, "one": 1, "many": 2}[card.references]
    return lr, lr_up, [image(REF[0] // 4 * 4, REF[1] // 4 * 4) for _ in range(refs)]


def test_every_row_of_the_table_and_what_came_after() -> None:
    assert set(catalogue.collect("METHODS")) >= ROWS_OF_TABLE_1 | AFTER_IT


@pytest.mark.parametrize("name", sorted(CARDS))
def test_cards_say_what_people_need(name: str) -> None:
    card = CARDS[name]
    assert card.verified in VERIFIED and card.verified != "nothing"
    assert card.gmacs > 0 and card.parameters > 0
    assert str(card.year) in card.paper and card.description.endswith(".")
    assert card.guesses or card.verified in ("golden vectors", "real weights"), "what is not verified tells its guesses"
    assert card.gan == (not name.endswith("-rec") and any(f"{name}-rec" == other for other in CARDS)) or name in (
        "srgan",
        "esrgan",
        "ranksrgan",
        "enet",
        "c2matching-gan",  # whose other row was there first, under the plain name
    )


@pytest.mark.parametrize("name", sorted(card.name for card in SYSTEMS.values()))
def test_a_network_has_the_parameters_of_its_card(name: str) -> None:
    with torch.device("meta"):
        net = CARDS[name].system.build()
    assert sum(p.numel() for p in net.parameters() if p.requires_grad) == CARDS[name].parameters


def test_sizes_are_those_of_the_papers_table_4() -> None:
    """Millions of parameters as printed, and how far the released networks are from them."""
    with torch.device("meta"):
        released = CARDS["srntt"].system.build(layout="tensorflow")
    srntt = sum(p.numel() for p in released.parameters() if p.requires_grad)
    table = {"rcan": 16, "ranksrgan": 1.5, "c2matching": 8.9, "crossnet": 33.6, "ttsr": 6.4}
    cards = catalogue.collect("METHODS")
    ours = {name: cards[name].parameters for name in table} | {"srntt": srntt}
    off = {name: ours[name] / 1e6 / value - 1 for name, value in (table | {"srntt": 4.2}).items()}
    assert {name for name, share in off.items() if abs(share) > 0.04} == {"crossnet", "ttsr", "srntt"}
    assert max(abs(share) for share in off.values()) < 0.06


def test_multiply_accumulates_agree_with_published_ones() -> None:
    """Papers state EDSR 2,895 G and RCAN 917.6 G for an SR image of 1280x720; here it has 640x640."""
    area = 640 * 640 / (1280 * 720)
    assert CARDS["edsr"].gmacs == pytest.approx(2895 * area, rel=0.002)
    assert CARDS["rcan"].gmacs == pytest.approx(917.6 * area, rel=0.002)


@pytest.mark.parametrize("name", sorted(card.name for card in SYSTEMS.values()))
def test_a_network_still_computes_what_it_did_when_it_agreed_with_its_authors(name: str) -> None:
    system = CARDS[name].system
    net = synthetic(system.build()).eval()
    lr, lr_up, refs = inputs(CARDS[name])
    with torch.no_grad():
        sr = system.restore(net, lr, lr_up, refs)
    assert sr.shape == (1, 3, 4 * LR[0], 4 * LR[1])
    found, expected = sampled(sr), np.array(json.loads(VALUES.read_text())[name])
    assert np.abs(found - expected).max() <= 2e-3 * np.abs(expected).max()


def sampled(sr: torch.Tensor) -> np.ndarray:
    return sr[0, :, 5::31, 3::29].flatten().numpy().astype(np.float64)


@pytest.mark.parametrize("name", sorted(card.name for card in SYSTEMS.values()))
def test_weights_are_read_as_they_were_written(name: str, tmp_path: Path) -> None:
    system = CARDS[name].system
    net = system.network(**system.small)
    write(tmp_path / "x.safetensors", Trained(net.state_dict(), net.options), system, name, {"name": "mine"})
    found = read(system, name, [tmp_path / "x.safetensors"]).net
    assert found.options == system.small
    assert all(torch.equal(value, found.state_dict()[key]) for key, value in net.state_dict().items())


def test_images_in_images_out() -> None:
    card = CARDS["srcnn"]
    loaded = card.load(SYNTHETIC, "cpu")
    lr = np.random.default_rng(0).integers(0, 256, (9, 11, 3), np.uint8)
    before = lr.copy()
    sr = loaded.predict(lr, [], 4).sr
    assert sr.dtype == np.uint8 and sr.shape == (36, 44, 3) and (lr == before).all()
    assert loaded.weights == Weights("synthetic", "synthetic", None)
    with pytest.raises(BenchError, match="x4"):
        loaded.predict(lr, [], 2)


@pytest.mark.parametrize("name", sorted(name for name, card in CARDS.items() if not card.bundled))
def test_without_weights_a_person_is_told_where_they_are(name: str, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("REFSR_WEIGHTS", str(tmp_path))
    with pytest.raises(NoWeights, match=f"weights import --method {name} "):
        CARDS[name].load(None, "cpu")


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(card.name for card in SYSTEMS.values()))
def test_multiply_accumulates_are_those_of_the_card(name: str) -> None:
    card = CARDS[name]
    counted = gmacs(card.system.restore, synthetic(card.system.build()).eval(), card.references != "none")
    assert counted == pytest.approx(card.gmacs, rel=0.005)


if __name__ == "__main__":  # writes values.json, after the golden tests have passed; with PYTHONPATH=.
    torch.set_num_threads(1)
    table = {}
    for each in SYSTEMS.values():
        with torch.no_grad():
            made = each.system.restore(synthetic(each.system.build()).eval(), *inputs(each))
        table[each.name] = [round(value, 6) for value in sampled(made).tolist()]
    VALUES.write_text(json.dumps(dict(sorted(table.items())), indent=1) + "\n")
