"""The whole network: from images to SR."""

import math
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from filled import error, fill, full_model, image

from c2matching import method
from c2matching.nets import large_images, restoration, strips
from c2matching.nets.large_images import reaches, restore
from c2matching.nets.model import C2Matching
from c2matching.nets.restoration import RestorationConfig
from refsr_bench.core.types import ImageSource, RefPair
from refsr_bench.learning.hardware import Hardware
from refsr_bench.learning.method import upscale
from refsr_bench.metrics.psnr import psnr
from refsr_bench.metrics.ssim import ssim
from refsr_bench.protocols.c2 import PROTOCOLS

SMALL = RestorationConfig(channels=8, blocks=(1, 1, 1, 1), groups=2)


@pytest.fixture(scope="module")
def full():
    return full_model()


def small_model(config=SMALL):
    torch.manual_seed(0)
    model = C2Matching(config)
    fill(model.extractor)
    return model.eval().requires_grad_(False)


@torch.no_grad()
def test_end_to_end(golden, full):
    z = golden("e1_end_to_end_same_size")
    lr, up, ref = (image(z[key]) for key in ("lq_u8", "up_u8", "ref_u8"))
    flows = full.flows(up, ref)
    for flow, index in zip(flows, z["max_idx"], strict=True):
        y, x = np.mgrid[:18, :22]
        assert error(flow, np.stack((index % 22 - x, index // 22 - y), axis=-1)) == 0
    sr = full(lr, up, ref)
    assert error(sr, z["sr"]) < 1e-4 if "sr" in z else error(sr[..., ::2, ::2], z["sr_sub"]) < 1e-4
    single = full.upscale(lr[1:], up[1:], ref[1:])
    assert (single - sr[1:]).abs().max() < 1e-5


def test_end_to_end_with_padding(golden, full):
    z = golden("e2_end_to_end_padded")
    hr, ref = (ImageSource(f"{name}.png", lambda name=name: z[f"{name}_rgb_u8"]) for name in ("input", "ref"))
    (protocol,) = (p for p in PROTOCOLS if p.name == "c2")
    sample = protocol.prepare(RefPair("0", hr, (ref,)), "mine")
    assert (sample.lr.transpose(2, 0, 1)[None] == z["lq_u8"]).all()
    sr = upscale(method.SYSTEM, full, Hardware(), sample.lr, sample.refs, 4).sr
    top, left, height, width = sample.crop
    sr = sr[top : top + height, left : left + width]
    difference = np.abs(sr.astype(int) - z["sr_cropped_rgb_u8"])
    assert difference.max() <= 1 and (difference > 0).mean() <= 1e-3
    assert psnr(sr, sample.hr, "rgb", 4) == pytest.approx(float(z["psnr"]), abs=2e-3)
    assert psnr(sr, sample.hr, "y", 4) == pytest.approx(float(z["psnr_y"]), abs=2e-3)
    assert ssim(sr, sample.hr, "y", 4) == pytest.approx(float(z["ssim_y"]), abs=2e-5)


@torch.no_grad()
def test_stages_of_the_whole_network(whole, full):
    z = whole("e1_end_to_end_same_size")
    lr, up, ref = (image(z[key]) for key in ("lq_u8", "up_u8", "ref_u8"))
    dense = full.extractor(up, ref)
    for n in (1, 2):
        assert error(dense[n - 1], z[f"dense_features{n}"]) < 1e-4
    refs = full.ref_features(ref)
    assert error(refs["relu3_1"][:, ::8], z["ref_relu3_1_sub"]) < 5e-5
    assert error(refs["relu2_1"][:, ::8, ::2, ::2], z["ref_relu2_1_sub"]) < 5e-5
    assert error(refs["relu1_1"][:, ::8, ::4, ::4], z["ref_relu1_1_sub"]) < 5e-5
    offsets = full.offsets(full.flows(up, ref))
    assert error(offsets["relu3_1"], z["pre_offset_relu3_1"]) == 0
    net = full.restoration
    content = net.content_extractor(lr)
    assert error(content[:1], z["content_feat"]) < 1e-4
    residual = net.dyn_agg_restore(content, refs, offsets)
    assert error(residual, z["residual"]) < 1e-4
    z = whole("e2_end_to_end_padded")
    lr, up, ref = (image(z[key]) for key in ("lq_u8", "up_u8", "ref_u8"))
    assert error(full(lr, up, ref), z["sr_padded"]) < 1e-4


@torch.no_grad()
def test_batches_equal_single_images():
    model = small_model()
    lr, up, ref = torch.rand(3, 3, 9, 12), torch.rand(3, 3, 36, 48), torch.rand(3, 3, 40, 24)
    together = model(lr, up, ref)
    for n in range(3):
        alone = model(lr[n : n + 1], up[n : n + 1], ref[n : n + 1])
        assert (alone - together[n : n + 1]).abs().max() < 1e-5


@torch.no_grad()
def test_strips_equal_the_whole(monkeypatch):
    model = small_model()
    up, ref = torch.rand(1, 3, 52, 32), torch.rand(1, 3, 76, 40)
    flows, refs = model.flows(up, ref), model.ref_features(ref)
    for rows in (4, 20):
        monkeypatch.setattr(strips, "STRIP_PIXELS", rows * 40)
        for strip, one in zip(model.flows(up, ref), flows, strict=True):
            assert torch.equal(strip, one)
        for layer, features in model.ref_features(ref).items():
            assert (features - refs[layer]).abs().max() < 1e-6, layer


VARIANTS = {
    "small": SMALL,
    "light": RestorationConfig(channels=8, blocks=(2, 1, 1, 1), groups=2, small_reference=False),
    "unmirrored": RestorationConfig(channels=8, blocks=(1, 2, 0, 1), groups=2, taps="unmirrored"),
    "copy": RestorationConfig(channels=8, blocks=(0, 0, 1, 2), groups=2, aggregation="copy"),
}


@torch.no_grad()
@pytest.mark.parametrize("ref_size", [(80, 160), (40, 56), (176, 120)])
@pytest.mark.parametrize("variant", VARIANTS)
def test_restoring_in_strips_equals_the_whole(monkeypatch, ref_size, variant):
    """Everywhere, seams included, however low the strips are."""
    model = small_model(VARIANTS[variant])
    for name, module in model.named_modules():
        if name.endswith("conv_offset_mask"):
            torch.nn.init.normal_(module.weight, 0, 0.1)
    lr, up, ref = torch.rand(1, 3, 70, 30), torch.rand(1, 3, 280, 120), torch.rand(1, 3, *ref_size)
    whole = model(lr, up, ref)
    assert whole.std() > 0.01
    (flow,), refs = model.flows(up, ref), model.ref_features(ref)
    monkeypatch.setattr(restoration, "AGGREGATED", 16 * 30)
    for rows in (8, 13, 40, 70):
        strips = restore(model.restoration, lr, refs, flow, 16 * 30 * rows)
        assert (strips - whole).abs().max() < 1e-5, rows


@torch.no_grad()
def test_strips_of_the_full_network_on_a_photo(full):
    """The weights are the golden vectors', whose output varies by more than any trained network's."""
    from skimage import data

    photo = tensor_of(data.astronaut()[:320, :240])
    lr, up, ref = photo[..., ::4, ::4].contiguous(), photo, photo.flip(3)[..., :160, :].contiguous()
    whole = full(lr, up, ref)
    (flow,), refs = full.flows(up, ref), full.ref_features(ref)
    assert reaches(full.restoration) == {"content": 33, "small": 36, "medium": 19, "large": 10}
    assert (restore(full.restoration, lr, refs, flow, 16 * 60 * 24) - whole).abs().max() < 1e-4


def tensor_of(array):
    return torch.from_numpy(array.copy()).permute(2, 0, 1)[None].float() / 255


@torch.no_grad()
def test_strips_see_exactly_as_far_as_they_must():
    """One row less of context and the result differs: the reach is no guess."""
    model = small_model(RestorationConfig(channels=8, blocks=(2, 1, 1, 1), groups=2))
    torch.manual_seed(3)
    for module in model.restoration.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.normal_(module.weight, 0, 0.3)
    net = model.restoration
    lr = torch.rand(1, 3, 64, 9)
    far = {}
    for offset in (0, 1):
        changed = lr.clone()
        changed[:, :, 32 + reaches(net)["content"] + offset] += 1
        far[offset] = (net.content_extractor(changed) - net.content_extractor(lr))[:, :, :33].abs().max()
    assert far[0] > 0 and far[1] == 0


def test_out_of_gpu_memory_means_lower_strips(monkeypatch):
    model = small_model()
    lr, up, ref = torch.rand(1, 3, 70, 30), torch.rand(1, 3, 280, 120), torch.rand(1, 3, 80, 80)
    wanted, heights = model.upscale(lr, up, ref), []

    def small_gpu(_, arguments):
        heights.append(arguments[0].shape[2])
        if heights[-1] > 40:
            raise torch.OutOfMemoryError("CUDA out of memory.")

    model.restoration.content_extractor.register_forward_pre_hook(small_gpu)
    monkeypatch.setattr(large_images, "PIXELS", 16 * 30 * 70)
    with pytest.warns(RuntimeWarning, match="out of GPU memory: restoring in strips of 17 LR rows"):
        sr = model.upscale(lr, up, ref)
    assert heights[0] == 70 and max(heights[1:]) < 40
    assert (sr - wanted).abs().max() < 1e-5

    monkeypatch.setattr(model.restoration.content_extractor, "forward", lambda _: (_ for _ in ()).throw(
        torch.OutOfMemoryError("CUDA out of memory.")))  # fmt: skip
    with pytest.raises(torch.OutOfMemoryError), pytest.warns(RuntimeWarning):
        model.upscale(lr, up, ref)


def test_the_reference_changes_the_result(golden, full):
    z = golden("e1_end_to_end_same_size")
    lr, up, ref = (image(z[key][:1]) for key in ("lq_u8", "up_u8", "ref_u8"))
    sr = full.upscale(lr, up, ref)
    assert (full.upscale(lr, up, ref.flip(1)) - sr).abs().max() > 0.1
    assert (full.upscale(lr, up, image(z["ref_u8"][1:])) - sr).abs().max() > 0.1


def peak_gib() -> float:
    """The largest resident size of this process so far."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 2**20


@pytest.mark.slow
def test_twelve_megapixels_of_reference_fit_in_eight_gibibytes():
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("reads the peak memory that Linux reports")
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak of earlier tests
    model = C2Matching().eval()
    rng = np.random.default_rng(0)
    lr, ref = (rng.integers(0, 256, (*size, 3), np.uint8) for size in ((60, 80), (3000, 4000)))
    start = time.monotonic()
    sr = upscale(method.SYSTEM, model, Hardware(), lr, [ref], 4).sr
    seconds, peak = time.monotonic() - start, peak_gib()
    print(f"{seconds:.0f} s, {peak:.2f} GiB")
    assert sr.shape == (240, 320, 3) and math.isfinite(sr.mean())
    assert peak < 8
