"""Fixtures every test module may use."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """The developers' folder of golden vectors and photographs that lies beside a checkout, where there is one."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("needs the developers' shared/ folder beside the checkout")
    return folder
