"""An artifact as an MLflow model, and its versions in the model registry.

The model is logged from code (`mlflow_model`), so that it loads where deserialising pickle is
switched off (`MLFLOW_ALLOW_PICKLE_DESERIALIZATION=false`).
"""

from __future__ import annotations

import importlib.metadata
import logging
import re
import tempfile
from pathlib import Path
from typing import Any

import framelens
from framelens.artifact import Artifact
from framelens_training.errors import RegistryError
from framelens_training.seen_texts import FILE_NAME as SEEN
from framelens_training.seen_texts import Fingerprints, read_seen

CHALLENGER = "challenger"
CHAMPION = "champion"
MODEL_NAME = "model"
"""What the logged model of a run is called: `runs:/RUN/model`."""

_CODE = Path(__file__).with_name("mlflow_model.py")
_SERVED_WITH = ("mlflow", "pandas")
_NEEDED = ("numpy", "onnxruntime", "tokenizers")

log = logging.getLogger(__name__)


def requirements() -> list[str]:
    """What serving needs, pinned to what is installed: framelens and what it depends on."""
    try:
        listed = importlib.metadata.requires("framelens") or ()
    except importlib.metadata.PackageNotFoundError:
        listed = list(_NEEDED)
    core = [re.split(r"[^A-Za-z0-9._-]", line)[0] for line in listed if "extra ==" not in line]
    pins = {name: importlib.metadata.version(name) for name in (*core, *_SERVED_WITH)}
    return [f"framelens=={framelens.__version__}", *(f"{n}=={v}" for n, v in pins.items())]


def save_model(artifact: Path, folder: Path, mlflow_model: Any = None) -> None:
    """Write an artifact as an MLflow model: code, signature, input example, requirements.

    Beside it stands what its run noted of the texts that it learnt from, where that is known.

    Raises:
        ArtifactError: if the artifact cannot be used.
    """
    import mlflow.pyfunc
    import pandas as pd
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
    from mlflow.types.schema import AnyType

    found = Artifact.open(artifact)
    inputs = Schema(
        [
            ColSpec(DataType.string, "text"),
            ColSpec(DataType.string, "headline", required=False),
            ColSpec(AnyType(), "id", required=False),  # type: ignore[no-untyped-call]
        ]
    )
    outputs = Schema([
        *(ColSpec(DataType.string, name) for name in ("id", "status")),
        ColSpec(DataType.string, "error", required=False),
        ColSpec(DataType.long, "segments"),
        *(ColSpec(DataType.double, name) for name in ("sourced", "framed", "plain")),
        ColSpec(DataType.long, "sources"),
        ColSpec(DataType.string, "document"),
    ])  # fmt: skip
    unit = ParamSpec("unit", DataType.string, "article")
    example = pd.DataFrame(
        {
            "text": ["The ferry was late on Monday, the harbour office said."],
            "headline": ["Ferry runs late"],
        }
    )
    manifest = found.manifest
    artifacts = {"model": _uri(artifact)}
    if (seen := artifact.parent / SEEN).is_file():
        artifacts["seen"] = _uri(seen)
    mlflow.pyfunc.save_model(
        path=str(folder),
        mlflow_model=mlflow_model,
        python_model=str(_CODE),
        artifacts=artifacts,
        signature=ModelSignature(
            inputs=inputs, outputs=outputs, params=ParamSchema([unit])
        ),
        input_example=example,
        pip_requirements=requirements(),
        metadata={"framelens": {"name": manifest.name, "version": manifest.version,
                                "sha256": found.info.sha256}},
    )  # fmt: skip


def _uri(path: Path) -> str:
    """A path as MLflow reads it, which takes `%41` in one for `A`."""
    return path.resolve().as_uri()


def log_model(client: Any, run_id: str, artifact: Path) -> str:
    """Log an artifact as the run's model; gives its URI.

    Raises:
        MlflowException, OSError: if the store does not take it.
        ArtifactError: if the artifact cannot be used.
    """
    from mlflow.entities import LoggedModelOutput, LoggedModelStatus
    from mlflow.models import Model

    run = client.get_run(run_id)
    own = [
        model
        for model in client.search_logged_models(
            [run.info.experiment_id], f"source_run_id = '{run_id}'"
        )
        if model.name == MODEL_NAME
    ]
    for model in own:
        if model.status == LoggedModelStatus.READY:  # sent a second time from a journal
            return f"models:/{model.model_id}"
    for model in own:  # of an attempt that was cut short
        client.delete_logged_model(model.model_id)
    logged = client.create_logged_model(
        run.info.experiment_id,
        name=MODEL_NAME,
        source_run_id=run_id,
        model_type="framelens",
        params={k: v for k, v in run.data.params.items() if len(v) <= 250},
    )
    try:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / MODEL_NAME
            entity = Model(
                artifact_path=logged.artifact_location,
                run_id=run_id,
                model_uuid=logged.model_id,
                model_id=logged.model_id,
            )
            save_model(artifact, folder, entity)
            client.log_model_artifacts(logged.model_id, str(folder))
        client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
    except BaseException:
        _finish(client, logged.model_id, "FAILED")
        raise
    client.finalize_logged_model(logged.model_id, "READY")
    return f"models:/{logged.model_id}"


def seen_by(uri: str) -> Fingerprints | None:
    """Fingerprints of the texts that a logged model has learnt from; None if none were logged.

    Raises:
        RegistryError: if the store does not answer.
    """
    from mlflow.artifacts import download_artifacts, list_artifacts
    from mlflow.exceptions import MlflowException

    folder = f"{uri}/artifacts"
    try:
        if SEEN not in {Path(item.path).name for item in list_artifacts(artifact_uri=folder)}:
            return None
        with tempfile.TemporaryDirectory() as scratch:
            place = download_artifacts(artifact_uri=f"{folder}/{SEEN}", dst_path=scratch)
            return read_seen(Path(place).parent)
    except MlflowException as error:
        raise RegistryError(f"{folder}: cannot be read: {error}") from error


def noted_texts(name: str, artifact: Artifact) -> Fingerprints | None:
    """What the run of a model noted to have learnt from, in MLflow or beside it; None if unknown.

    Raises:
        RegistryError: if the model's name is a URI, and the store does not answer.
    """
    if is_uri(name):  # what was fetched is the artifact alone
        return seen_by(name)
    return read_seen(artifact.path.parent)


def is_uri(name: str) -> bool:
    """Whether a model's name is a place in MLflow, and not one on disk."""
    return name.startswith(("models:/", "runs:/"))


def _finish(client: Any, model_id: str, status: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.finalize_logged_model(model_id, status)
    except (MlflowException, OSError) as error:
        log.warning("the model %s could not be marked %s: %s", model_id, status, error)


def register(client: Any, run_id: str, uri: str, name: str, *, required: bool) -> str | None:
    """Make a run's model the newest version of a name, with the alias `challenger`.

    Returns the version, or None if the store has no registry and none is required.

    Raises:
        RegistryError: if a registry is required and the store has none.
        MlflowException, OSError: if the registry does not take it.
    """
    if not has_registry(client):
        if required:
            raise RegistryError(
                "the config says tracking.registry: true, but this MLflow store has no model "
                "registry; use a database or a server, or leave the setting out"
            )
        return None
    versions = client.search_model_versions(f"name = '{name}' and run_id = '{run_id}'")
    if versions:  # sent a second time from a journal
        version = str(versions[0].version)
    else:
        _ensure_name(client, name)
        made = client.create_model_version(
            name, uri, run_id=run_id, model_id=uri.removeprefix("models:/")
        )
        version = str(made.version)
    client.set_registered_model_alias(name, CHALLENGER, version)
    client.set_tag(run_id, "framelens.registered", f"{name} {version}")
    return version


def has_registry(client: Any) -> bool:
    """Whether the store keeps registered models."""
    from mlflow.exceptions import MlflowException

    try:
        client.search_registered_models(max_results=1)
    except MlflowException as error:
        if error.error_code in ("FEATURE_DISABLED", "ENDPOINT_NOT_FOUND", "NOT_IMPLEMENTED"):
            return False
        if "unsupported URI" in str(error):
            return False
        raise
    return True


def _ensure_name(client: Any, name: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def version_of(client: Any, name: str, alias: str) -> Any | None:
    """The model version that an alias of a name points to, if any.

    Raises:
        RegistryError: if there is no model of that name.
        MlflowException, OSError: if the registry cannot be asked.
    """
    from mlflow.exceptions import MlflowException

    try:
        model = client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        raise RegistryError(
            f"expected a registered model {name!r}, found none in this store; a run registers its "
            "model under the config's name (framelens-train run CONFIG), and "
            "MLFLOW_TRACKING_URI or --uri says which store"
        ) from error
    version = model.aliases.get(alias)
    return None if version is None else client.get_model_version(name, str(version))
