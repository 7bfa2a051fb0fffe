"""The truth about every pixel, the file format, and what is refused."""

import numpy as np
import pytest
from msgspec import structs

from refsr_bench.core import reader
from refsr_bench.core.errors import BenchError
from refsr_bench.geometry.drawing import draw
from refsr_bench.geometry.kinds import GROUPS, KINDS
from refsr_bench.geometry.transformation import Transformation, check, targets, visible
from refsr_bench.geometry.warping import apply

GEOMETRIC = ("rotation", "scale", "rotation+scale", "shear", "shift", "perspective")
SIZE = (120, 160)


@pytest.mark.parametrize("kind", GEOMETRIC)
def test_there_and_back_again(kind):
    made = draw(kind, "large", "x", SIZE)
    back = structs.replace(made, matrix=tuple(map(tuple, np.linalg.inv(np.array(made.matrix)))))
    points = np.random.default_rng(0).uniform(0, 119, (500, 2))
    np.testing.assert_allclose(targets(back, targets(made, points)), points, atol=1e-8)


@pytest.mark.parametrize("kind", [*GEOMETRIC, "occlusion"])
def test_visibility_against_brute_force(kind):
    # The first of a row of names whose reference does not show everything.
    drawn = (draw(kind, "large", f"{n}", (40, 56)) for n in range(20))
    made = next(made for made in drawn if not visible(made, (40, 56)).all())
    mask = visible(made, (40, 56))
    m = np.array(made.matrix)
    for y in range(40):
        for x in range(56):
            u, v, w = m @ (x, y, 1)
            u, v = u / w, v / w
            inside = -0.5 <= u < made.size[1] - 0.5 and -0.5 <= v < made.size[0] - 0.5
            hidden = any(a - 0.5 <= u < a + c - 0.5 and b - 0.5 <= v < b + d - 0.5 for a, b, c, d in made.occluders)
            assert mask[y, x] == (inside and not hidden)
    assert 0.05 <= mask.mean() < 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("level", GROUPS)
def test_json_and_back(kind, level):
    made = draw(kind, level, "x", SIZE)
    assert reader.convert(reader.parse_json(reader.dumps(made), ""), Transformation, "") == made


@pytest.mark.parametrize(
    "matrix, said",
    [
        (((1, 0, 0), (0, 0, 0), (0, 0, 1)), "singular"),
        (((1, 1, 0), (1, 1, 0), (0, 0, 1)), "singular"),
        (((0, 0, 0), (0, 0, 0), (0, 0, 0)), "folds"),
        (((1, 0, 0), (0, 1, 0), (-0.01, 0, 1)), "folds"),
        (((1, 0, 155), (0, 1, 0), (0, 0, 1)), "Only .*%"),
        (((8, 0, 0), (0, 8, 0), (0, 0, 1)), "Only .*%"),
    ],
)
def test_impossible_homographies_are_named(matrix, said):
    made = Transformation("perspective", "large", matrix, SIZE)
    with pytest.raises(BenchError, match=said) as caught:
        check(made, SIZE, "pair 'a'")
    assert "pair 'a'" in str(caught.value)
    with pytest.raises(BenchError):
        apply(np.zeros((*SIZE, 3), np.uint8), made)


@pytest.mark.parametrize(
    "change",
    [{"matrix": [[1, 0], [0, 1]]}, {"matrix": [[1, 0, float("nan")], [0, 1, 0], [0, 0, 1]]}, {"size": [0, 4]},
     {"size": 3}, {"kind": "twist"}, {"photometric": 3}, {"occluders": [[1, 2]]}],
)  # fmt: skip
def test_damaged_transformations_are_refused(change):
    values = reader.to_json(draw("rotation", "small", "x", SIZE)) | change
    with pytest.raises(BenchError, match="here"):
        reader.convert(values, Transformation, "here")
