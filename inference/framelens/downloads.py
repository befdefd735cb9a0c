"""Models that MLflow keeps: fetched into a cache, one directory for each model (extra `mlflow`)."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from pathlib import Path

from framelens.artifact import MANIFEST_FILE, Artifact
from framelens.errors import ArtifactError, MissingExtraError

CACHE_VARIABLE = "FRAMELENS_CACHE"
"""Environment variable with the folder of all caches; default: `framelens` in the user's."""


def cache_folder(of: str) -> Path:
    """Where things of a kind, such as `models`, are kept; a leading `~` is the user's home.

    Raises:
        ArtifactError: if the environment names none, and the user has no home, as in containers.
    """
    user = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "framelens"
    try:
        return Path(os.environ.get(CACHE_VARIABLE) or user).expanduser() / of
    except RuntimeError as error:
        raise ArtifactError(
            f"expected a home directory to keep {of} in, found none; "
            f"set {CACHE_VARIABLE} to a folder that can be written"
        ) from error


def download(uri: str) -> Path:
    """Fetch a model; the directory that it lies in afterwards is named by its contents.

    An alias may have moved since the last time, so MLflow is asked each time; what it gives is
    kept once. Processes that are started later find the directory in its place.

    Raises:
        MissingExtraError: if MLflow is not installed.
        ArtifactError: if MLflow cannot fetch it, it is no model of framelens, or it cannot be kept.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read as MLflow is imported
    try:
        from mlflow.artifacts import download_artifacts
    except ImportError as error:
        raise MissingExtraError("mlflow", "mlflow", f"loading {uri!r}") from error
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")  # as --quiet promises
    cache = cache_folder("models")
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache, prefix=".fetched-") as name:
            folder = Path(name) / "model"
            folder.mkdir()
            try:
                root = Path(download_artifacts(artifact_uri=uri, dst_path=str(folder)))
            except Exception as error:
                raise ArtifactError(
                    f"MLflow could not fetch {uri!r}: {str(error).rstrip('.')}; check "
                    "MLFLOW_TRACKING_URI and the name, and without MLFLOW_TRACKING_URI call this "
                    "in the directory that holds mlflow.db"
                ) from error
            found = sorted(root.rglob(MANIFEST_FILE))
            if len(found) != 1:
                raise ArtifactError(
                    f"expected one {MANIFEST_FILE} under {uri!r}, found {len(found)}; "
                    "give the URI of an artifact that framelens-train logged"
                )
            return _kept(found[0].parent, cache)
    except OSError as error:
        raise ArtifactError(
            f"{error.filename or cache}: cannot be written: {error.strerror or error}; "
            f"set {CACHE_VARIABLE} to a folder that can be written"
        ) from error


def _kept(fetched: Path, cache: Path) -> Path:
    """The model's directory in the cache: the one that is there already, if it is whole and it."""
    digest = hashlib.sha256((fetched / MANIFEST_FILE).read_bytes()).hexdigest()
    target = cache / digest
    if target.is_dir():  # otherwise another process may put it there before anything is removed
        with contextlib.suppress(ArtifactError):
            if Artifact.open(target).info.sha256 == digest:
                return target
        shutil.rmtree(target, ignore_errors=True)
    try:
        fetched.rename(target)
    except OSError:
        if not target.is_dir():  # otherwise another process was first, with the same model
            raise
    return target
