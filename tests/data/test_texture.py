"""The texture subset, one for the ablation and the transformed split."""

import numpy as np
from click.testing import CliRunner
from skimage import data

from refsr_bench.cli import main
from refsr_bench.data import texture
from refsr_bench.data.opening import open_dataset
from refsr_bench.sweeps import levels as robustness


def test_texture_is_local_contrast():
    flat = np.full((40, 50, 3), 90, np.uint8)
    assert texture.texture(flat) < 1e-4
    ramp = np.repeat(np.linspace(0, 255, 50).astype(np.uint8)[None], 40, 0)[..., None].repeat(3, 2)
    checks = (255 * (np.indices((40, 50)).sum(0) % 2)).astype(np.uint8)[..., None].repeat(3, 2)
    assert 0 < texture.texture(ramp) < 15 < 100 < texture.texture(checks) < 115  # half of 219 luma levels
    assert texture.texture(data.gravel()[..., None].repeat(3, 2)) > texture.texture(data.astronaut())


def test_the_subset_is_the_more_textured_half():
    assert texture.more_textured({"a": 1, "b": 3, "c": 2}) == ["b", "c"]
    assert texture.more_textured({"b": 1, "a": 1, "c": 1, "d": 0}) == ["a", "b"]


def test_the_split_keeps_the_subset_of_its_source(tmp_path):
    sample = open_dataset("sample")
    chosen = texture.texture_subset(sample)
    assert len(chosen) == 4 and robustness.texture_ids(sample) == chosen
    levels = robustness.open_levels(sample, "rotation", ("small", "unrelated"), only=chosen)
    assert [sorted(pair.id for pair in level.pairs) for level in levels] == [chosen, chosen]
    command = "build transform --dataset sample --transform rotation --levels small --subset texture"
    made = CliRunner().invoke(main, [*command.split(), "--out", str(tmp_path / "split")])
    assert made.exit_code == 0 and "4 inputs" in made.output
    split = open_dataset("transform", tmp_path / "split")
    assert {pair.variation.base for pair in split.pairs} == set(chosen)
    assert robustness.texture_ids(split) == sorted(texture.texture_subset(split_images(split)))


def split_images(split):
    from refsr_bench.data.split.reading import at_level

    return at_level(split, "small")
