"""The makers of layouts as a fixture."""

import pytest
from layout_makers import LAYOUTS


@pytest.fixture
def layouts():
    """Makers of layouts by data set name: ``layouts["wrsr"](folder)``."""
    return LAYOUTS
