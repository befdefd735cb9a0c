"""The public corpora, where there are any."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from framelens_training.corpora.registry import ROOT_VARIABLE


@pytest.fixture(scope="session")
def corpora_root() -> Path:
    """Root folder of the public corpora; skips the test where none is set."""
    value = os.environ.get(ROOT_VARIABLE)
    if not value:
        pytest.skip(f"{ROOT_VARIABLE} is not set: no public corpora to read")
    return Path(value)
