"""Fixtures that several folders use."""

import pytest


@pytest.fixture(scope="module")
def one_thread():
    """Give torch one thread: with more, the order of sums and so their last bits may differ."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
