import pytest
import torch


@pytest.fixture(autouse=True)
def same_random_numbers():
    """Weights that a network draws are the same in every run: a few have units that never fire."""
    torch.manual_seed(0)
