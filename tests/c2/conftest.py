from pathlib import Path

import pytest
from filled import arrays

SHIPPED = Path(__file__).resolve().parent.parent / "golden"


@pytest.fixture(params=["shipped", "shared"])
def golden(request):
    """``golden(name)``: the arrays of a golden file, first those shipped with the tests, then those of the whole file."""
    folder = SHIPPED if request.param == "shipped" else request.getfixturevalue("shared") / "golden"
    return lambda name: arrays(folder, name)


@pytest.fixture
def whole(shared):
    """``whole(name)``: the arrays of a golden file that is too large to ship."""
    return lambda name: arrays(shared / "golden", name)
