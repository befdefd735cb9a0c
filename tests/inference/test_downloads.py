"""Models from MLflow: each kept once, by its contents, and nothing else left behind."""

from __future__ import annotations

import json
import os
import shutil
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import framelens
from framelens.artifact import MANIFEST_FILE, MODEL_FILE
from framelens.downloads import CACHE_VARIABLE, cache_folder
from framelens.errors import ArtifactError, MissingExtraError
from support import write_model

URI = "models:/news@champion"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache" / "models"


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Make MLflow give a directory, as it does: copied to where it is told to."""

    def served(source: Path) -> None:
        def download_artifacts(artifact_uri: str, dst_path: str) -> str:
            if artifact_uri != URI:
                raise OSError("no such model")
            if os.environ.get("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR") != "false":
                print("Downloading artifacts: 100%", file=sys.stderr)
            return str(shutil.copytree(source, Path(dst_path), dirs_exist_ok=True))

        module = types.ModuleType("mlflow.artifacts")
        module.download_artifacts = download_artifacts  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "mlflow", types.ModuleType("mlflow"))
        monkeypatch.setitem(sys.modules, "mlflow.artifacts", module)

    return served


def test_a_model_is_kept_once_and_nothing_else_is(
    tmp_path: Path, cache: Path, serve: Callable[[Path], None]
) -> None:
    serve(write_model(tmp_path / "first" / "model").parent)  # deeper down, as a logged model is
    scorer = framelens.load(URI)
    assert framelens.load(URI).artifact.path == scorer.artifact.path
    assert [path.name for path in cache.iterdir()] == [scorer.model.sha256]
    shutil.rmtree(tmp_path / "first")
    serve(write_model(tmp_path / "second" / "model", version="2.0.0").parent)
    assert framelens.load(URI).model.version == "2.0.0"
    assert len(list(cache.iterdir())) == 2
    # What was loaded before goes on, and opens anew in another process.
    again = scorer.__reduce__()
    assert again[0](*again[1]).model == scorer.model


def test_nothing_is_shown_while_a_model_is_fetched(
    tmp_path: Path,
    cache: Path,
    serve: Callable[[Path], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """MLflow has a progress bar of its own, which knows nothing of --quiet."""
    monkeypatch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "")  # put back afterwards
    monkeypatch.delenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR")
    serve(write_model(tmp_path / "model"))
    framelens.load(URI)
    assert capsys.readouterr() == ("", "")


def test_a_damaged_copy_is_fetched_again(
    tmp_path: Path, cache: Path, serve: Callable[[Path], None]
) -> None:
    serve(write_model(tmp_path / "model"))
    path = framelens.load(URI).artifact.path
    (path / MODEL_FILE).write_bytes(b"damaged")
    assert framelens.load(URI).artifact.path == path
    assert list(cache.iterdir()) == [path]


def test_another_model_in_its_place_is_replaced(
    tmp_path: Path, cache: Path, serve: Callable[[Path], None]
) -> None:
    serve(write_model(tmp_path / "model"))
    scorer = framelens.load(URI)
    manifest = scorer.artifact.path / MANIFEST_FILE
    row = json.loads(manifest.read_text("utf-8"))
    row["decoding"]["thresholds"]["framed"] = 0.999
    manifest.write_text(json.dumps(row), encoding="utf-8")
    assert framelens.load(URI).model == scorer.model


def test_what_another_process_has_just_fetched_is_not_removed(
    tmp_path: Path,
    cache: Path,
    serve: Callable[[Path], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    removed: list[Path] = []
    remove = shutil.rmtree

    def noted(path: Any, *arguments: Any, **options: Any) -> None:
        removed.append(Path(path))
        remove(path, *arguments, **options)

    monkeypatch.setattr(shutil, "rmtree", noted)
    serve(write_model(tmp_path / "model"))
    path = framelens.load(URI).artifact.path
    assert path.parent == cache
    assert removed
    assert path not in removed


def test_a_fetch_that_fails_leaves_nothing(
    tmp_path: Path, cache: Path, serve: Callable[[Path], None]
) -> None:
    (tmp_path / "empty").mkdir()
    serve(tmp_path / "empty")
    with pytest.raises(ArtifactError, match="expected one manifest"):
        framelens.load(URI)
    with pytest.raises(ArtifactError, match="no such model"):
        framelens.load("models:/other@champion")
    assert list(cache.iterdir()) == []


def test_a_cache_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, serve: Callable[[Path], None]
) -> None:
    serve(write_model(tmp_path / "model"))
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "file"))
    with pytest.raises(ArtifactError, match=f"set {CACHE_VARIABLE}"):
        framelens.load(URI)


def test_the_cache_is_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(CACHE_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder("models") == tmp_path / "framelens" / "models"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder("models") == Path.home() / ".cache" / "framelens" / "models"
    monkeypatch.setenv(CACHE_VARIABLE, "~/kept")  # as an env file or a unit has it, without a shell
    assert cache_folder("models") == Path.home() / "kept" / "models"


def test_a_user_without_a_home_names_a_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv(CACHE_VARIABLE, raising=False)
    with pytest.raises(ArtifactError, match=f"set {CACHE_VARIABLE} to"):
        cache_folder("models")
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    assert cache_folder("models") == tmp_path / "models"


def test_without_mlflow_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow.artifacts", None)
    with pytest.raises(MissingExtraError, match=r"framelens\[mlflow\]"):
        framelens.load(URI)
