"""Runs in tiles, other number formats and devices: what is recorded, and what belongs to the identity."""

from pathlib import Path

import numpy as np
import pytest
import torch

from c2matching.method import SYSTEM
from refsr_bench.core import catalogue
from refsr_bench.core.errors import Misuse
from refsr_bench.core.schema import Result
from refsr_bench.data.opening import open_dataset
from refsr_bench.evaluation.loading import Choice, load_method
from refsr_bench.evaluation.machine import number_format, resolve_device
from refsr_bench.evaluation.session import Session, run_session
from refsr_bench.learning.hardware import Hardware, in_float32
from refsr_bench.learning.method import upscale
from refsr_bench.tiles.sizes import Tiling, parse

RNG = np.random.default_rng(0)


def measured(out: Path, tile: str) -> Result:
    choice = Choice(("bicubic",), tiling=parse(tile))
    protocol = catalogue.get("PROTOCOLS", "c2")
    session = Session(choice, (open_dataset("sample"),), (protocol,), (), limit=1)
    ((result, _),) = run_session(session, out)
    return result


def test_a_run_in_tiles_is_another_run_and_says_so(tmp_path: Path) -> None:
    whole, tiled, auto = (measured(tmp_path, tile) for tile in ("off", "48", "auto"))
    assert [run.run.method.name for run in (whole, tiled, auto)] == ["bicubic", "bicubic-tile-48", "bicubic-tile-auto"]
    assert tiled.run.method.title == "Bicubic, tiles of 48" and tiled.run.arithmetic.tiling == "tiles"
    assert [run.images[0].tile for run in (whole, tiled, auto)] == [None, 48, None]
    assert len({run.images[0].sr_sha256 for run in (whole, tiled, auto)}) == 1  # bicubic has no seams
    identities = [run.run.identity() for run in (whole, tiled, auto)]
    assert identities[0]["method"]["options"] == {} and identities[0]["arithmetic"]["tiling"] == "whole"
    assert identities[1]["method"]["options"] == Tiling(48).options != identities[2]["method"]["options"]


@pytest.mark.parametrize("numbers", ["bfloat16", "float16"])
def test_sixteen_bits_are_another_row_with_nearly_the_same_image(numbers: str) -> None:
    card = catalogue.get("METHODS", "c2matching")
    pair = open_dataset("sample").pairs[0]
    lr, ref = (np.ascontiguousarray(image.load()[:side, :side]) for image, side in ((pair.hr, 24), (pair.refs[0], 96)))
    whole = load_method(card, None, Choice(("c2matching",)), "exact")
    lower = load_method(card, None, Choice(("c2matching",), dtype=numbers), "exact")
    assert (lower.variant, lower.options, lower.arithmetic.numbers) == (numbers, {"dtype": numbers}, numbers)
    assert (whole.variant, whole.options, whole.arithmetic.numbers) == ("", {}, "float32")
    difference = whole.predict(lr, [ref], 4).sr.astype(int) - lower.predict(lr, [ref], 4).sr
    assert 0 < np.abs(difference).mean() < 1


def test_a_method_without_a_network_has_no_number_format() -> None:
    with pytest.raises(Misuse, match="bicubic has no network"):
        load_method(catalogue.get("METHODS", "bicubic"), None, Choice(("bicubic",), dtype="float16"))
    with pytest.raises(Misuse, match="float64"):
        number_format("float64")


def test_matches_are_found_in_float32_whatever_surrounds_them() -> None:
    a, b = torch.randn(8, 8), torch.randn(8, 8)
    seen = []

    @in_float32
    def product(one: torch.Tensor, others: list[torch.Tensor]) -> torch.Tensor:
        seen.append((one.dtype, others[0].dtype))
        return one @ others[0]

    with Hardware(numbers="bfloat16").computing():
        assert (a @ b).dtype == torch.bfloat16
        assert product(a.bfloat16(), [b]).dtype == torch.float32
    assert seen == [(torch.float32, torch.float32)]


def test_sixteen_bits_in_give_sixteen_bits_out() -> None:
    values = torch.tensor([0.0, 0.25, 0.5, 1.2])

    class Fixed(torch.nn.Module):
        matching = "exact"

        def upscale(self, *_: object) -> torch.Tensor:
            return values.expand(1, 3, 12, 4).repeat(1, 1, 1, 3)

    net, ref = Fixed(), np.zeros((12, 12, 3), np.uint8)
    deep = upscale(SYSTEM, net, Hardware(), np.zeros((3, 3, 3), np.uint16), [ref], 4).sr
    assert deep.dtype == np.uint16 and deep[0, :4, 0].tolist() == [0, 16384, 32768, 65535]
    eight = upscale(SYSTEM, net, Hardware(), np.zeros((3, 3, 3), np.uint8), [ref], 4).sr
    assert eight.dtype == np.uint8 and eight[0, :4, 0].tolist() == [0, 64, 128, 255]


def test_mps_is_a_device_where_torch_sees_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_device("mps") == "mps"
    assert resolve_device("auto") == "cpu"
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(Misuse, match="no Apple GPU"):
        resolve_device("mps")
    with pytest.raises(Misuse, match="or mps"):
        resolve_device("tpu")
