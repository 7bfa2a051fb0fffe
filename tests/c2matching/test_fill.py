"""The weights behind the golden outputs are the ones those were made with."""

import json
import runpy
import zlib

import numpy as np
import pytest
from fill import value


@pytest.mark.parametrize(
    ("key", "shape", "crc", "first"),
    [
        ("features.0.weight", (64, 3, 3, 3), 2588681933, 0.09592452645301819),
        ("features.0.bias", (64,), 4262810515, None),
        ("feature_extraction_image2.model.conv1_1.weight", (64, 3, 3, 3), 12213611, -0.36893656849861145),
        ("dyn_agg_restore.small_dyn_agg.weight", (256, 256, 3, 3), 1496275880, None),
    ],
)
def test_published_check_values(key, shape, crc, first):
    tensor = value(key, shape)
    assert zlib.crc32(tensor.tobytes()) == crc
    assert first is None or float(tensor.ravel()[0]) == first


@pytest.mark.parametrize("module", ["ContrasExtractorSep", "ImageDiscriminator", "VGG19_relu3_1"])
def test_equal_to_the_reference_formula(shared, module):
    tensor = runpy.run_path(str(shared / "golden" / "fill.py"))["tensor"]
    entries = json.loads((shared / "golden" / "state_dict_keys.json").read_text())["modules"][module]["entries"]
    for key, shape, _ in entries:
        mine, theirs = value(key, shape), tensor(key, shape)
        assert mine.dtype == theirs.dtype and np.array_equal(mine, theirs), key
