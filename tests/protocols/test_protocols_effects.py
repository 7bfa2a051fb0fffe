"""``protocols diff``: every difference is named, effects have the right sign, and some hold on real images."""

import numpy as np
import pytest
from PIL import Image

from refsr_bench.core.catalogue import collect, get
from refsr_bench.pixels.resize import resize_matlab_bicubic, resize_pil_bicubic
from refsr_bench.protocols.effects import EFFECTS, differences, explain

P = collect("PROTOCOLS")


@pytest.mark.parametrize("a", P)
@pytest.mark.parametrize("b", P)
def test_every_differing_field_is_listed_once(a, b):
    before, after = P[a].fields(), P[b].fields()
    expected = [name for name in before if name not in ("name", "version") and before[name] != after[name]]
    assert [item.field for item in differences(P[a].fields(), P[b].fields())] == expected
    text = "\n".join(explain(P[a], P[b]))
    assert all(f"{name}: " in text for name in expected) if expected else "measure the same" in text


def test_effects_turn_round_with_the_direction():
    there = {item.field: item.worth for item in differences(P["c2"].fields(), P["mmagic-rgb"].fields())}
    back = {item.field: item.worth for item in differences(P["mmagic-rgb"].fields(), P["c2"].fields())}
    assert there["channel"].startswith("Urban100 −1.43 dB and −0.026 SSIM, Sun80 −1.35 dB")
    assert back["channel"].startswith("Urban100 +1.43 dB and +0.026 SSIM, Sun80 +1.35 dB")


def test_effects_add_up_between_two_changed_values():
    full, rgb = P["c2"].changed({"channel": "y-full"}), P["c2"].changed({"channel": "rgb"})
    (item,) = differences(full.fields(), rgb.fields())
    assert item.worth.startswith("Urban100 −0.11 dB and −0.005 SSIM, Sun80 −0.03 dB")


def test_nothing_is_claimed_where_nothing_was_measured():
    by_field = {item.field: item.worth for item in differences(P["c2"].fields(), P["masa"].fields())}
    assert by_field["hr_fit"] == by_field["hr_multiple"] == ""  # cutting was measured, padding was not
    (item,) = differences(P["c2"].fields(), P["c2"].changed({"border": "6"}).fields())
    assert item.worth == ""


def test_the_black_seam_depends_on_the_border():
    native = {"ref_size": "native"}
    (hidden,) = differences(P["c2"].fields(), P["c2"].changed(native).fields())
    assert "about 0 dB" in hidden.worth
    zero = P["c2"].changed({"border": "0"})
    (seen,) = differences(zero.fields(), zero.changed(native).fields())
    assert "−0.073 dB" in seen.worth and "−0.230 dB" in seen.worth


def test_reference_rules_cite_published_pairs_of_numbers():
    (item,) = differences(P["c2"].fields(), P["c2"].changed({"refs": "all"}).fields())
    assert "26.99" in item.worth and "27.09" in item.worth


def test_table_values_are_values_that_protocols_take():
    for field, values in EFFECTS.items():
        for value in values:
            assert P["c2"].changed({field: value}).fields()[field] is not None


def test_small_effects_on_some_urban_images(shared):
    """The same changes on four images: sign and size as the table says, within a few thousandths."""
    y, y_full, rgb = (get("METRICS", name).load("cpu", None) for name in ("psnr_y", "psnr_y_full", "psnr_rgb"))
    rows = []
    for path in sorted((shared / "data" / "classic_x4" / "Urban100").glob("*_HR.png"))[:4]:
        hr = np.asarray(Image.open(path).convert("RGB"))
        h, w = hr.shape[:2]
        sr = resize_pil_bicubic(resize_pil_bicubic(hr, h // 4, w // 4), h, w)
        from_matlab = resize_pil_bicubic(resize_matlab_bicubic(hr, h // 4, w // 4), h, w)
        base = y(sr, hr, 4, False)
        others = (y(sr, hr, 4, True), y_full(sr, hr, 4, False), rgb(sr, hr, 4, False), y(from_matlab, hr, 4, False))
        rows.append([value - base for value in others])
    rounded, full, colour, matlab = np.mean(rows, axis=0)
    assert abs(rounded - EFFECTS["y_rounded"]["true"]["Urban100"][0]) < 0.005
    assert full == pytest.approx(EFFECTS["channel"]["y-full"]["Urban100"][0], abs=0.01)
    assert colour == pytest.approx(EFFECTS["channel"]["rgb"]["Urban100"][0], abs=0.2)
    assert abs(matlab) < 0.01
