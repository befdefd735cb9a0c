"""A tiny encoder, a tiny corpus and a tiny run, built in code."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from framelens_training.config import Config
from framelens_training.corpora.labelled import write_jsonl
from framelens_training.settings_file import load_config
from support import tiny_documents, write_encoder


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests keep out of the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FRAMELENS_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def no_store_of_another_test() -> None:
    """MLflow keeps the store that was set last for the whole process, before any variable."""
    mlflow = sys.modules.get("mlflow")
    if mlflow is not None:
        mlflow.set_tracking_uri(None)


@pytest.fixture(scope="session")
def encoder_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of two layers of 32, random weights, with the tests' tokenizer."""
    return write_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="session")
def tiny_corpus(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Files of labelled documents by split."""
    folder = tmp_path_factory.mktemp("corpus")
    files: dict[str, str] = {}
    for name, count, first in (("train", 16, 0), ("validation", 5, 100), ("test", 5, 200)):
        path = folder / f"{name}.jsonl"
        write_jsonl(tiny_documents(count, first), path)
        files[name] = str(path)
    return files


@pytest.fixture
def tiny_config(tmp_path: Path, encoder_folder: Path, tiny_corpus: dict[str, str]) -> Config:
    """A run that takes seconds."""
    import yaml

    settings = {
        "name": "tiny",
        "encoder": str(encoder_folder),
        "output": str(tmp_path / "runs"),
        "threads": 1,
        "corpora": {"use": [{"name": "files", "files": tiny_corpus}]},
        "windows": {"max_tokens": 48, "overlap": 8},
        "training": {
            "epochs": 3,
            "learning_rate": 3e-3,
            "head_learning_rate": 1e-2,
            "batch_tokens": 256,
            "dropout": 0.0,
        },
        "evaluation": {"bootstrap_samples": 100},
        # A random, tiny model is not what int8 is made for.
        "export": {"precision": "fp32"},
        "tracking": {"uri": f"sqlite:///{tmp_path}/mlflow.db", "experiment": "tiny"},
    }
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(settings), "utf-8")
    return load_config(path)
