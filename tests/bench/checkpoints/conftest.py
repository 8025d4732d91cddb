"""Hostile pickles, importable by these tests, and the golden network in the form of a state dict."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

HERE = Path(__file__).parent
GOLDEN = HERE.parents[1] / "golden"
if str(HERE) not in sys.path:
    sys.path.append(str(HERE))


def golden_state(name):
    with np.load(GOLDEN / name, allow_pickle=False) as file:
        return {key[3:]: torch.from_numpy(file[key]) for key in file.files if key.startswith("sd/")}


@pytest.fixture(scope="session")
def ada():
    """The state dict of stylegan2_ada.npz."""
    return golden_state("stylegan2_ada.npz")


@pytest.fixture(scope="session")
def rosinality():
    """The state dict of stylegan2_rosinality.npz."""
    return golden_state("stylegan2_rosinality.npz")


@pytest.fixture
def layout():
    """A snapshot in the official layout, with the weights of stylegan2_ada.npz."""
    return GOLDEN / "stylegan2_ada_layout.pkl"
