from pathlib import Path

import pytest
import torch
from filled import arrays

SHIPPED = Path(__file__).resolve().parent.parent / "golden"


@pytest.fixture(params=["shipped", "shared"])
def golden(request):
    """``golden(name)``: the arrays of a golden file, those shipped with the tests, then all."""
    folder = SHIPPED if request.param == "shipped" else request.getfixturevalue("shared") / "golden"
    return lambda name: arrays(folder, name)


@pytest.fixture
def whole(shared):
    """``whole(name)``: the arrays of a golden file that is too large to ship."""
    return lambda name: arrays(shared / "golden", name)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Networks this small lose time on threads, a great deal of it where other work shares the cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
