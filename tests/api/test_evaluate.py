"""``refsr_bench.evaluate``: functions, networks, files and names on data sets of every kind."""

import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import refsr_bench
from refsr_bench.cli import main
from refsr_bench.core.errors import Misuse, NoWeights
from refsr_bench.core.results import read_result
from refsr_bench.pixels.resize import resize_pil_bicubic


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """No metric looks for weights in the network: the headline pair is what these tests are about."""
    from refsr_bench.protocols import base

    monkeypatch.setattr(base, "_ALWAYS", ())


@pytest.fixture
def pairs(photo) -> list[refsr_bench.RefPair]:
    return [refsr_bench.pair(photo(48, 64, n), photo(60, 60, n + 3), id=f"photo {n}") for n in range(2)]


def bicubic(lr: np.ndarray, refs: list[np.ndarray], scale: int) -> np.ndarray:
    return resize_pil_bicubic(lr, scale * lr.shape[0], scale * lr.shape[1])


def test_a_function_gives_a_frame_and_a_table() -> None:
    result = refsr_bench.evaluate(bicubic, "sample", limit=2)
    frame = result.frame
    assert set(frame.metric) == {"psnr_y", "ssim_y"} and len(frame) == 4 and (frame.status == "measured").all()
    table = result.table()
    assert list(table.index) == ["motorcycle", "shelf", "mean"]
    assert table.loc["mean", "psnr_y"] == pytest.approx(result.means["psnr_y"])
    assert result.run.origin == "function" and not result.sealed.complete
    assert "bicubic on Sample" in repr(result) and "2/8" in repr(result)


def test_it_gives_the_numbers_of_the_command_line(tmp_path: Path) -> None:
    told = CliRunner().invoke(
        main, ["run", "--method", "bicubic", "--dataset", "sample", "--limit", "2", "--out", str(tmp_path / "cli")]
    )
    assert told.exit_code == 0, told.output
    result = refsr_bench.evaluate("bicubic", "sample", limit=2, out=tmp_path / "api")
    ours, theirs = (read_result(tmp_path / side / "c2/sample/bicubic/result.json") for side in ("api", "cli"))
    assert ours.run.identity() == theirs.run.identity() and ours.means == theirs.means == result.means
    for one, other in zip(ours.images, theirs.images, strict=True):
        assert (one.id, one.metrics, one.sr_sha256, one.refs) == (other.id, other.metrics, other.sr_sha256, other.refs)
    function = refsr_bench.evaluate(bicubic, "sample", limit=2)
    assert [one.sr_sha256 for one in function.images] == [one.sr_sha256 for one in ours.images]


def test_pairs_folders_and_tables_are_the_same_data(pairs, photo, tmp_path: Path) -> None:
    from PIL import Image

    for kind in ("hr", "ref"):
        (tmp_path / kind).mkdir()
    for n in range(2):
        Image.fromarray(photo(48, 64, n)).save(tmp_path / "hr" / f"photo {n}.png")
        Image.fromarray(photo(60, 60, n + 3)).save(tmp_path / "ref" / f"photo {n}.png")
    from_pairs = refsr_bench.evaluate(bicubic, pairs)
    table = refsr_bench.to_hf(refsr_bench.load_dataset(pairs))
    for source in (tmp_path, str(tmp_path), table, table.select_columns(["id", "hr", "refs"])):
        result = refsr_bench.evaluate(bicubic, source)
        assert [one.id for one in result.images] == ["photo 0", "photo 1"]
        assert result.means == from_pairs.means
    assert from_pairs.run.dataset.name == "pairs" and not from_pairs.run.dataset.official


def test_a_network_is_run_and_left_as_it_was(pairs) -> None:
    net = torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.Upsample(scale_factor=4, mode="nearest"))
    net.train()
    result = refsr_bench.evaluate(net, pairs)
    expected = refsr_bench.evaluate(lambda lr, refs, scale: lr.repeat(scale, 0).repeat(scale, 1), pairs)
    assert result.means == expected.means and net.training and net[0].training
    assert result.run.method.group == "SISR" and result.run.arithmetic.numbers == "unknown"


def test_an_adapter_gives_a_network_its_references(pairs) -> None:
    class Mixing(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.share = torch.nn.Parameter(torch.tensor(0.25))

        def forward(self, lr: torch.Tensor, ref: torch.Tensor) -> torch.Tensor:
            large = torch.nn.functional.interpolate(lr, scale_factor=4)
            return large + self.share * (ref[..., : large.shape[2], : large.shape[3]].mean() - 0.5)

    net = Mixing()
    result = refsr_bench.evaluate(net, pairs, adapter=lambda net, lr, refs: net(lr, refs[0]))
    assert result.run.method.group == "Ref-SR" and result.run.method.parameters == 1
    assert result.run.method.weights.kind == "own" and result.run.arithmetic.numbers == "float32"
    with torch.no_grad():
        net.share.fill_(0.0)
    plain = refsr_bench.evaluate(net, pairs, adapter=lambda net, lr, refs: net(lr, refs[0]))
    assert plain.means != result.means
    assert plain.run.method.weights.sha256 != result.run.method.weights.sha256


def test_other_weights_under_the_same_name_are_refused(pairs, tmp_path: Path) -> None:
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 3, 1), torch.nn.Upsample(scale_factor=4))
    refsr_bench.evaluate(net, pairs, out=tmp_path)
    with torch.no_grad():
        net[0].weight.fill_(0.1)
    with pytest.raises(Misuse, match=r"weights \(was"):
        refsr_bench.evaluate(net, pairs, out=tmp_path)
    refsr_bench.evaluate(net, pairs, out=tmp_path, name="trained longer")
    assert len(refsr_bench.load_results(tmp_path).method.unique()) == 2


def test_a_closure_that_changed_is_measured_again(pairs, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "refsr_bench")

    def made(shift: int):
        def shifted(lr: np.ndarray, refs: list[np.ndarray], scale: int) -> np.ndarray:
            return (bicubic(lr, refs, scale) // 2 + shift).astype(np.uint8)

        return shifted

    first = refsr_bench.evaluate(made(10), pairs, out=tmp_path)
    again = refsr_bench.evaluate(made(10), pairs, out=tmp_path)
    assert "reused 2 of 2" in caplog.text and again.sealed == first.sealed
    other = refsr_bench.evaluate(made(60), pairs, out=tmp_path)
    assert other.means != first.means and (first.folder.parent / "shifted.replaced-1").is_dir()


def test_what_cannot_be_identified_is_never_used_again(pairs, tmp_path: Path, caplog) -> None:
    import threading

    lock, calls = threading.Lock(), []

    def guarded(lr: np.ndarray, refs: list[np.ndarray], scale: int) -> np.ndarray:
        with lock:
            return bicubic(lr, refs, scale)

    def counted(lr: np.ndarray, refs: list[np.ndarray], scale: int) -> np.ndarray:
        calls.append(1)
        return guarded(lr, refs, scale)

    refsr_bench.evaluate(counted, pairs, out=tmp_path)
    assert "lock" in caplog.text and "measured again each time" in caplog.text
    before = len(calls)
    refsr_bench.evaluate(counted, pairs, out=tmp_path)
    assert len(calls) == 2 * before


def test_a_function_that_fails_or_returns_nonsense_is_told_in_words(pairs) -> None:
    def floating(lr: np.ndarray, refs: list[np.ndarray], scale: int) -> np.ndarray:
        return bicubic(lr, refs, scale) / 255

    result = refsr_bench.evaluate(floating, pairs)
    assert [one.error for one in result.failed] == [result.images[0].error] * 2
    assert "return uint8: (255 * sr)" in result.images[0].error and "2 images failed" in repr(result)
    small = refsr_bench.evaluate(lambda lr, refs, scale: lr, pairs)
    assert "the shape (15, 16, 3) instead of (60, 64, 3)" in small.images[0].error


def test_a_function_that_writes_into_its_inputs_spoils_nothing(pairs) -> None:
    def writing(lr: np.ndarray, refs: list[np.ndarray], scale: int) -> np.ndarray:
        made = bicubic(lr, refs, scale)
        lr[:], refs[0][:] = 0, 0
        return made

    result = refsr_bench.evaluate(writing, pairs)
    (lr,) = (result.folder.parent / "inputs").glob("photo-0*/lr.png")
    from refsr_bench.pixels.images import read_image

    assert read_image(lr).mean() > 10


def test_a_card_and_a_file_of_weights_are_methods(pairs, tmp_path: Path) -> None:
    from refsr_bench.core import catalogue

    card = catalogue.get("METHODS", "bicubic")
    assert refsr_bench.evaluate(card, pairs).means == refsr_bench.evaluate("bicubic", pairs).means
    own = refsr_bench.MethodCard(
        *("mine", "Mine", "SISR", "none", False, 2024, "", "Mine."),
        load=lambda weights, device: refsr_bench.LoadedMethod(
            lambda lr, refs, scale: refsr_bench.Prediction(bicubic(lr, refs, scale))
        ),
    )
    result = refsr_bench.evaluate(own, pairs)
    assert result.run.code.sha256 and result.run.method.title == "Mine"
    bundled = catalogue.get("METHODS", "c2matching").bundled
    by_file = refsr_bench.evaluate(bundled, pairs, limit=1, device="cpu")
    by_name = refsr_bench.evaluate("c2matching", pairs, limit=1, device="cpu")
    assert by_file.run.method.weights.sha256 == by_name.run.method.weights.sha256


def test_misuse_is_told_in_words(pairs, tmp_path: Path) -> None:
    with pytest.raises(Misuse, match=r"bicubik.*Did you mean bicubic"):
        refsr_bench.evaluate("bicubik", pairs)
    with pytest.raises(Misuse, match=r"There is no file theirs\.pth"):
        refsr_bench.evaluate("theirs.pth", pairs)
    with pytest.raises(Misuse, match="int is no method"):
        refsr_bench.evaluate(3, pairs)
    with pytest.raises(Misuse, match="adapter is not for a function"):
        refsr_bench.evaluate(bicubic, pairs, adapter=lambda net, lr, refs: lr)
    with pytest.raises(Misuse, match="limit=0"):
        refsr_bench.evaluate(bicubic, pairs, limit=0)
    with pytest.raises(Misuse, match="holds ndarray"):
        refsr_bench.evaluate(bicubic, [np.zeros((4, 4, 3), np.uint8)])
    with pytest.raises(Misuse, match="adapter is not for a method of the catalogue"):
        refsr_bench.evaluate("bicubic", pairs, adapter=lambda net, lr, refs: lr)
    with pytest.raises(Misuse, match="float8: known are float32, bfloat16, float16"):
        refsr_bench.evaluate("c2matching", pairs, dtype="float8")
    with pytest.raises(NoWeights):
        refsr_bench.evaluate("esrgan", pairs)
    assert list(tmp_path.iterdir()) == []


def test_a_notebook_shows_the_means_and_small_pictures(pairs) -> None:
    result = refsr_bench.evaluate(bicubic, pairs, name="<b>bold</b>")
    shown = result._repr_html_()
    assert "<b>bold</b>" not in shown and "&lt;b&gt;bold" in shown
    assert shown.count('src="data:image/webp;base64,') == 8  # LR, reference, SR and HR of two pairs
    assert len(shown) < 400_000 and f"{result.means['psnr_y']:.2f}" in shown
    none = refsr_bench.evaluate(bicubic, pairs, save_images=False)
    assert "data:image" not in none._repr_html_() and f"{none.means['psnr_y']:.2f}" in none._repr_html_()


def test_a_result_can_be_kept_and_goes_with_its_folder_otherwise(pairs, tmp_path: Path) -> None:
    result = refsr_bench.evaluate(bicubic, pairs)
    kept, folder = result.save(tmp_path / "results"), result.folder
    with pytest.raises(Misuse, match="holds a run already"):
        result.save(tmp_path / "results")
    shown = result._repr_html_()
    del result
    assert not folder.exists() and read_result(kept.folder / "result.json") == kept.sealed
    assert kept._repr_html_() == shown
    assert len(refsr_bench.load_results(tmp_path / "results")) == 4


def test_parts_of_a_data_set_share_their_records(pairs, tmp_path: Path, caplog) -> None:
    caplog.set_level(logging.INFO, "refsr_bench")
    data = refsr_bench.load_dataset(pairs)
    assert len(data) == 2 and data[0] is pairs[0] and [one.id for one in data] == ["photo 0", "photo 1"]
    part = refsr_bench.evaluate(bicubic, data[1:], out=tmp_path)
    assert part.run.dataset.n_pairs == 2 and not part.sealed.complete and len(part.images) == 1
    whole = refsr_bench.evaluate(bicubic, data, out=tmp_path)
    assert "reused 1 of 2" in caplog.text and whole.sealed.complete


def test_a_function_can_be_run_in_tiles(pairs) -> None:
    sizes = []

    def noting(lr: np.ndarray, refs: list[np.ndarray], scale: int) -> np.ndarray:
        sizes.append(max(lr.shape[:2]))
        return lr.repeat(scale, 0).repeat(scale, 1)

    large = [refsr_bench.pair(np.tile(pairs[0].hr.load(), (8, 8, 1)), id="large")]
    whole = refsr_bench.evaluate(noting, large, refs="none")
    most, sizes[:] = max(sizes), []
    tiled = refsr_bench.evaluate(noting, large, refs="none", tile=64)
    assert max(sizes) < most and tiled.means == whole.means and tiled.run.arithmetic.tiling == "tiles"


def test_somebodys_file_of_weights_is_recognised(pairs, tmp_path: Path) -> None:
    from baselines.nets.edsr import EDSR
    from refsr_bench.formats.checkpoints import synthetic

    path = tmp_path / "theirs.pt"
    torch.save(synthetic(EDSR(channels=8, blocks=1)).state_dict(), path)
    result = refsr_bench.evaluate(path, pairs, limit=1, device="cpu")
    assert result.run.method.title.startswith("theirs") and "EDSR" in result.run.method.title
    assert not result.failed and refsr_bench.evaluate(str(path), pairs, limit=1).means == result.means
    with pytest.raises(Misuse, match="is a file of weights itself"):
        refsr_bench.evaluate(path, pairs, weights=path)
