"""The MLflow store that runs are recorded in, as a config or the environment names it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from framelens_training.config import Config, Tracking, without_credentials
from framelens_training.errors import TrackingError, first_line
from framelens_training.quiet import quiet_libraries

VARIABLE = "MLFLOW_TRACKING_URI"
DEFAULT_FILE = "mlflow.db"
DEFAULT_URI = f"sqlite:///{DEFAULT_FILE}"
DEFAULT_ARTIFACTS = "mlartifacts"


def tracking_uri(config: Config) -> str:
    """The store: from the config, the environment, or a database in the working directory."""
    return store_uri(config.tracking.uri)


def store_uri(given: str | None) -> str:
    """The store of a URI that may not be given."""
    return given or os.environ.get(VARIABLE) or DEFAULT_URI


def recorded_store_uri(given: str | None) -> str:
    """The store of a URI that may not be given, for what asks about runs that were recorded.

    Raises:
        TrackingError: if that is the database in the working directory, and there is none.
    """
    uri = store_uri(given)
    if uri == DEFAULT_URI and not Path(DEFAULT_FILE).exists():  # MLflow would make an empty one
        raise TrackingError(
            f"expected {DEFAULT_FILE} in the working directory, found none; call this where the "
            "runs were recorded, or name their store by --uri or MLFLOW_TRACKING_URI"
        )
    return uri


def open_store(uri: str) -> Any:
    """An MLflow client, which gives up on a dead server or database within seconds.

    Raises:
        TrackingError: if there is no such kind of store, or it does not answer.
    """
    # MLflow reads it when it is imported, so nothing here imports MLflow earlier.
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
    import mlflow
    from mlflow.exceptions import MlflowException
    from mlflow.store.db import utils as databases
    from sqlalchemy.exc import SQLAlchemyError

    databases.MAX_RETRY_COUNT = 4  # by default a hundred seconds, in silence
    if urlsplit(uri).scheme in ("http", "https"):
        # The defaults retry for many minutes before they say that nobody answers.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    try:
        make_current(uri)
        client = mlflow.MlflowClient(absolute(uri))
        with quiet_libraries():  # of each attempt of several
            client.search_experiments(max_results=1)  # opens a database, with its driver
    except (MlflowException, SQLAlchemyError, ImportError, OSError, ValueError) as error:
        raise unusable(uri, error) from error
    return client


def make_current(uri: str) -> None:
    """Have MLflow's own functions use a store, and leave the environment to the user.

    MLflow writes it to MLFLOW_TRACKING_URI too, where it would pass for the user's choice.
    """
    import mlflow

    chosen = os.environ.get(VARIABLE)
    mlflow.set_tracking_uri(absolute(uri))
    if chosen is None:
        os.environ.pop(VARIABLE, None)
    else:
        os.environ[VARIABLE] = chosen


def absolute(uri: str) -> str:
    """The URI with an absolute path, if it is that of an SQLite file.

    MLflow keeps a store for each URI: a relative one would name the same file wherever the process
    goes.
    """
    from sqlalchemy.engine import make_url

    if not urlsplit(uri).scheme.startswith("sqlite"):
        return uri
    url = make_url(uri)
    if not url.database or url.database.startswith((":", "file:")):
        return uri
    return str(url.set(database=str(Path(url.database).absolute())))


@contextmanager
def asking(uri: str) -> Iterator[Any]:
    """A client on a store; what the store refuses in the block is told as a user's error.

    Raises:
        TrackingError: if the store cannot be used or does not answer.
    """
    client = open_store(uri)

    from mlflow.exceptions import MlflowException

    try:
        yield client
    except MlflowException as error:
        raise unusable(uri, error) from error


def unusable(uri: str, error: Exception) -> TrackingError:
    """What to tell when a store cannot be used."""
    shown = without_credentials(uri)
    reason = _reason(error).replace(uri, shown)
    advice = (
        "Call this in a directory that can be written to, or name another store by tracking.uri or "
        "MLFLOW_TRACKING_URI"
        if uri == DEFAULT_URI
        else "Start the server, correct tracking.uri or MLFLOW_TRACKING_URI, or leave both out to "
        f"record in {DEFAULT_URI}"
    )
    return TrackingError(f"the MLflow store {shown!r} cannot be used: {reason}. {advice}")


def _reason(error: Exception) -> str:
    """Why a store cannot be used: of a server that is not reached, what the network says."""
    origin: BaseException = error
    while (earlier := origin.__cause__ or origin.__context__) is not None:
        origin = earlier
    return first_line(origin if isinstance(origin, OSError) else error)


def connect(settings: Tracking) -> tuple[Any, str]:
    """Open the store and its experiment before any work is done.

    Returns the MLflow client and the experiment's id.

    Raises:
        TrackingError: if the store cannot be used, or the experiment was deleted.
    """
    uri = store_uri(settings.uri)
    client = open_store(uri)

    from mlflow.exceptions import MlflowException

    try:
        found = client.get_experiment_by_name(settings.experiment)
        if found is not None and found.lifecycle_stage == "deleted":
            raise TrackingError(
                f"expected an experiment {settings.experiment!r} in {without_credentials(uri)!r}, "
                "found it deleted; restore it (mlflow experiments restore --experiment-id "
                f"{found.experiment_id}, with MLFLOW_TRACKING_URI set), or record in another "
                "(tracking.experiment, or --experiment)"
            )
        if found is not None:
            return client, str(found.experiment_id)
        location = None
        if uri == DEFAULT_URI:
            location = _artifacts_of(settings.experiment).as_uri()
        return client, str(client.create_experiment(settings.experiment, location))
    except (MlflowException, OSError, ValueError) as error:
        raise unusable(uri, error) from error


def _artifacts_of(experiment: str) -> Path:
    """An experiment's folder in that of all artifacts, which no name leads out of."""
    parts = [part for part in Path(experiment).parts if part not in ("/", "//", "..")]
    return Path(DEFAULT_ARTIFACTS).resolve().joinpath(*parts)
