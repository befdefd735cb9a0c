"""How each kind of call is made to an MLflow store: the same live and from a journal."""

from __future__ import annotations

import hashlib
import json
import re
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from framelens.errors import FramelensError
from framelens_training.errors import TrackingError, TrainingError, first_line
from framelens_training.journal import Call

MAX_DIGEST = 36
"""Longest digest that MLflow stores for a dataset; the whole one goes into a tag."""
MAX_PARAM = 6000
"""Longest value that MLflow stores for a parameter."""
MAX_NAME = 250
"""Longest name that MLflow stores for a parameter, a tag or a metric."""

_TABLES_TAG = "mlflow.loggedArtifacts"
"""Where MLflow's interface looks for tables."""

_REFUSALS = frozenset({
    "BAD_REQUEST", "INVALID_PARAMETER_VALUE", "INVALID_STATE", "RESOURCE_ALREADY_EXISTS",
    "RESOURCE_DOES_NOT_EXIST",
})  # fmt: skip
"""MLflow's error codes for a call that no second attempt would make good."""
_REFUSING_STATUS = frozenset({400, 404, 413})
"""Those of HTTP, from what stands before a server: bad, not there, too large (a model, mostly)."""


def storable_name(name: str) -> str:
    """The name of a parameter, tag or metric as MLflow takes it, which refuses a batch for one.

    Letters that it does not allow become underscores, and a path becomes a plain one; a name that
    is too long is cut, and ends with a sum that keeps it apart from others.
    """
    parts = re.sub(r"[^\w.\- :/]", "_", name).split("/")
    found = "/".join(part for part in parts if part not in ("", ".", ".."))
    if not found or found.startswith(".."):
        found = f"_{found}"
    if len(found) <= MAX_NAME:
        return found
    mark = f"-{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"
    return found[: MAX_NAME - len(mark)] + mark


def perform(client: Any, run_id: str, call: Call) -> None:
    """Make one call.

    Raises:
        MlflowException, OSError: if the store does not take it (see `is_refusal`), or the libraries
            by which MLflow reaches its artifacts raise an error of their own.
        TrackingError: if there is no such kind of call, one of these libraries is missing, or what
            is to be recorded cannot be written.
        FramelensError: if a model cannot be used.
        RegistryError: if a registry is required and the store has none.
    """
    maker = _CALLS.get(call.kind)
    if maker is None:
        known = ", ".join(_CALLS)
        raise TrackingError(f"expected one of the calls {known}; found {call.kind!r}")

    from mlflow.exceptions import MlflowException

    try:
        maker(client, run_id, call.arguments)
    except (MlflowException, OSError, FramelensError, TrainingError):
        raise
    except (ImportError, ValueError) as error:
        raise TrackingError(f"{type(error).__name__}: {first_line(error)}") from error
    except Exception as error:  # boto3 and its like have no base in common
        raise MlflowException(f"{type(error).__name__}: {first_line(error)}") from error


def is_refusal(error: Exception) -> bool:
    """Whether a store answered with no, rather than not at all, or there is nothing to send."""
    if isinstance(error, FileNotFoundError | TrackingError | FramelensError):
        return True
    status = getattr(getattr(error, "response", None), "status_code", None)
    return getattr(error, "error_code", None) in _REFUSALS or status in _REFUSING_STATUS


def _params(client: Any, run_id: str, values: Mapping[str, Any]) -> None:
    from mlflow.entities import Param

    params = [Param(key, value) for key, value in values["values"].items()]
    client.log_batch(run_id, params=params)


def _tags(client: Any, run_id: str, values: Mapping[str, Any]) -> None:
    from mlflow.entities import RunTag

    client.log_batch(run_id, tags=[RunTag(key, value) for key, value in values["values"].items()])


def _metrics(client: Any, run_id: str, values: Mapping[str, Any]) -> None:
    from mlflow.entities import Metric

    metrics = [
        Metric(key, value, values["time"], values["step"])
        for key, value in values["values"].items()
    ]
    if metrics:
        client.log_batch(run_id, metrics=metrics)


def _dataset(client: Any, run_id: str, values: Mapping[str, Any]) -> None:
    import pandas as pd
    from mlflow.data.pandas_dataset import from_pandas
    from mlflow.entities import DatasetInput, InputTag

    name, context, digest = values["name"], values["context"], values["digest"]
    data = from_pandas(pd.DataFrame(values["rows"]), name=name, digest=digest[:MAX_DIGEST])
    tags = [InputTag("mlflow.data.context", context)]
    with warnings.catch_warnings():
        # A hint for models that are served with such columns; nobody serves a corpus.
        warnings.filterwarnings("ignore", message="Hint: Inferred schema")
        entry = DatasetInput(data._to_mlflow_entity(), tags)
    client.log_inputs(run_id, [entry])
    client.set_tag(run_id, storable_name(f"corpus.{name}.{context}.sha256"), digest)


def _text(client: Any, run_id: str, values: Mapping[str, Any]) -> None:
    client.log_text(run_id, values["text"], values["path"])


def _table(client: Any, run_id: str, values: Mapping[str, Any]) -> None:
    import pandas as pd

    # As `client.log_table` does it, which appends to a table that is there: one that is recorded
    # again, because a run was resumed, would have every row twice.
    text = pd.DataFrame(values["rows"]).to_json(orient="split", index=False, date_format="iso")
    client.log_text(run_id, text, values["path"])
    known = json.loads(client.get_run(run_id).data.tags.get(_TABLES_TAG, "[]"))
    entry = {"path": values["path"], "type": "table"}
    if entry not in known:
        client.set_tag(run_id, _TABLES_TAG, json.dumps([*known, entry]))


def _file(client: Any, run_id: str, values: Mapping[str, Any]) -> None:
    folder = str(Path(values["path"]).parent)
    client.log_artifact(run_id, values["source"], None if folder == "." else folder)


def _folder(client: Any, run_id: str, values: Mapping[str, Any]) -> None:
    if not Path(values["source"]).is_dir():
        raise FileNotFoundError(f"expected a folder at {values['source']}, found none")
    client.log_artifacts(run_id, values["source"], values["path"])


def _model(client: Any, run_id: str, values: Mapping[str, Any]) -> None:
    from framelens_training.model_registry import log_model, register

    uri = log_model(client, run_id, Path(values["source"]))
    if values["register"] is not False:
        register(client, run_id, uri, values["name"], required=values["register"] is True)


def _end(client: Any, run_id: str, values: Mapping[str, Any]) -> None:
    client.set_terminated(run_id, values["status"], values["time"])


_CALLS: Mapping[str, Callable[[Any, str, Mapping[str, Any]], None]] = {
    "params": _params,
    "tags": _tags,
    "metrics": _metrics,
    "dataset": _dataset,
    "text": _text,
    "table": _table,
    "file": _file,
    "folder": _folder,
    "model": _model,
    "end": _end,
}
