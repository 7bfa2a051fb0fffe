"""The self-test recognises sets, agrees on real ones, and says by how much not."""

import dataclasses

import numpy as np
import pytest
from made import image_source, make_dataset, noise
from PIL import Image

from refsr_bench.core.errors import BenchError
from refsr_bench.core.types import ImageSource
from refsr_bench.evaluation import selftest as module
from refsr_bench.evaluation.selftest import ANCHORS, check, selftest


def classic(shared, name):
    paths = sorted((shared / "data" / "classic_x4" / name).glob("*_HR.png"))
    return make_dataset(name.lower(), [np.asarray(Image.open(p).convert("RGB")) for p in paths], paths)


def test_real_sets_agree(shared):
    rows = {row.anchor.title: row for row in selftest([classic(shared, "Set5"), classic(shared, "Set14")])}
    assert [rows[name].status for name in ("Set5", "Set14", "Sun80")] == ["agrees", "agrees", "not present"]
    assert rows["Set5"].psnr == pytest.approx(28.43, abs=0.005) and rows["Set5"].n == 5
    assert len(rows) == len(ANCHORS)


def test_part_of_a_set_is_not_judged(shared):
    part = classic(shared, "Set5")
    row = check(ANCHORS["set5"], dataclasses.replace(part, pairs=part.pairs[:2]))
    assert row.status == "incomplete" and row.detail.startswith("2 images, the set has 5; off by")


def test_a_wrong_set_differs_by_a_stated_amount():
    row = check(ANCHORS["set5"], make_dataset("set5", [noise(40, 40, k) for k in range(5)]))
    assert row.status == "differs"
    assert row.detail == f"by {row.psnr - 28.43:+.3f} dB and {row.ssim - 0.811:+.4f}"


def test_a_set_is_recognised_by_its_folder(tmp_path):
    rows = selftest([make_dataset("folder", [noise(40, 40, k) for k in range(5)], root=tmp_path / "Set5")])
    assert [row.anchor.title for row in rows if row.status == "differs"] == ["Set5"]


def test_unreadable_and_tiny_images_fail_the_row():
    def broken():
        raise BenchError("img.png is cut off")

    dataset = make_dataset("set5", [noise(40, 40)])
    pair = dataclasses.replace(dataset.pairs[0], hr=ImageSource("img.png", broken))
    row = check(ANCHORS["set5"], dataclasses.replace(dataset, pairs=(pair,)))
    assert (row.status, row.detail) == ("failed", "img.png is cut off")
    tiny = dataclasses.replace(dataset.pairs[0], hr=image_source(noise(2, 9), "t.png"))
    assert "smaller than 4" in check(ANCHORS["set5"], dataclasses.replace(dataset, pairs=(tiny,))).detail
    assert check(ANCHORS["set5"], dataclasses.replace(dataset, pairs=())).status == "failed"


def test_a_grey_file_is_scored_on_its_grey_values(tmp_path):
    grey = np.repeat(noise(40, 40)[..., :1], 3, axis=2)
    Image.fromarray(grey[..., 0]).save(tmp_path / "grey.png")
    Image.fromarray(grey).save(tmp_path / "colour.png")
    stored_grey, colour = (
        module._measure(image_source(grey, name, path=tmp_path / name), ANCHORS["set14"])[0]
        for name in ("grey.png", "colour.png")
    )
    assert colour - stored_grey == pytest.approx(20 * np.log10(255 / 219), abs=1e-3)
    assert module._measure(image_source(grey, "g", path=tmp_path / "grey.png"), ANCHORS["set5"])[0] == colour
