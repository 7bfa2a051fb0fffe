"""One sandbox for all tests of a worker: its server takes seconds to import the program."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sandbox import Sandbox


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as made:
        yield made
