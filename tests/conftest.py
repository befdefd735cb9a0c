"""Fixtures that many tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

from framelens.features import FeatureConfig, Featurizer
from support import make_tokenizer, write_model


@pytest.fixture(scope="session")
def featurizer() -> Featurizer:
    return Featurizer(make_tokenizer(), FeatureConfig(max_tokens=32, overlap=8))


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "lookup")
