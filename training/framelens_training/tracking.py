"""Where a run is recorded: MLflow, or nowhere.

A run that crashes ends FAILED with its traceback. An unreachable store is reported before
training starts; once a model is trained, no failure to record it loses it.
"""

from __future__ import annotations

import logging
import os
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlparse

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from framelens_training.config import Config
from framelens_training.errors import TrackingError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DEFAULT_URI = "sqlite:///mlflow.db"
DEFAULT_ARTIFACTS = "mlartifacts"
MAX_DIGEST = 36
"""Longest digest that MLflow stores for a dataset; the whole one goes into a tag."""

log = logging.getLogger(__name__)


class Tracker(Protocol):
    """What a run reports to."""

    @property
    def run_id(self) -> str | None:
        """The run's id, if it is recorded anywhere."""

    def params(self, values: Mapping[str, Any]) -> None:
        """Record parameters."""

    def tags(self, values: Mapping[str, str]) -> None:
        """Record tags."""

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Record metrics."""

    def dataset(self, name: str, context: str, rows: list[dict[str, Any]], digest: str) -> None:
        """Record a corpus split as an input."""

    def text(self, text: str, path: str) -> None:
        """Record a text file."""

    def table(self, rows: list[dict[str, Any]], path: str) -> None:
        """Record a table."""

    def figure(self, figure: Figure, path: str) -> None:
        """Record a figure."""

    def folder(self, folder: Path, path: str) -> None:
        """Record a folder of files."""


class NullTracker:
    """Records nothing, for runs without MLflow."""

    run_id: str | None = None

    def params(self, values: Mapping[str, Any]) -> None:
        """Nothing."""

    def tags(self, values: Mapping[str, str]) -> None:
        """Nothing."""

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Nothing."""

    def dataset(self, name: str, context: str, rows: list[dict[str, Any]], digest: str) -> None:
        """Nothing."""

    def text(self, text: str, path: str) -> None:
        """Nothing."""

    def table(self, rows: list[dict[str, Any]], path: str) -> None:
        """Nothing."""

    def figure(self, figure: Figure, path: str) -> None:
        """Nothing."""

    def folder(self, folder: Path, path: str) -> None:
        """Nothing."""


class MlflowTracker:
    """Records in one MLflow run.

    A call that the store refuses in mid-run is counted and logged, not raised: training is
    worth more than a point on a curve. `failures` holds what was missed.
    """

    def __init__(self, client: Any, run_id: str) -> None:
        self._client = client
        self._run_id = run_id
        self.failures: list[str] = []

    @property
    def run_id(self) -> str | None:
        """The MLflow run's id."""
        return self._run_id

    @contextmanager
    def _tolerant(self, what: str) -> Iterator[None]:
        from mlflow.exceptions import MlflowException

        try:
            yield
        except (MlflowException, OSError) as error:
            self.failures.append(f"{what}: {error}")
            log.warning("MLflow did not take %s: %s", what, error)

    def params(self, values: Mapping[str, Any]) -> None:
        """Record parameters, values cut to the length that MLflow allows."""
        from mlflow.entities import Param

        entries = [Param(key, str(value)[:6000]) for key, value in values.items()]
        with self._tolerant("parameters"):
            self._client.log_batch(self._run_id, params=entries)

    def tags(self, values: Mapping[str, str]) -> None:
        """Record tags."""
        with self._tolerant("tags"):
            for key, value in values.items():
                self._client.set_tag(self._run_id, key, value)

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Record metrics in one call."""
        import time

        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        entries = [Metric(key, float(value), now, step or 0) for key, value in values.items()]
        with self._tolerant("metrics"):
            self._client.log_batch(self._run_id, metrics=entries)

    def dataset(self, name: str, context: str, rows: list[dict[str, Any]], digest: str) -> None:
        """Record a corpus split as a dataset input under framelens's own digest."""
        import pandas as pd
        from mlflow.data.pandas_dataset import from_pandas
        from mlflow.entities import DatasetInput, InputTag

        with self._tolerant(f"dataset {name}"):
            data = from_pandas(pd.DataFrame(rows), name=name, digest=digest[:MAX_DIGEST])
            entry = DatasetInput(
                data._to_mlflow_entity(), [InputTag("mlflow.data.context", context)]
            )
            self._client.log_inputs(self._run_id, [entry])
            self._client.set_tag(self._run_id, f"corpus.{name}.{context}.sha256", digest)

    def text(self, text: str, path: str) -> None:
        """Record a text file."""
        with self._tolerant(path):
            self._client.log_text(self._run_id, text, path)

    def table(self, rows: list[dict[str, Any]], path: str) -> None:
        """Record a table that MLflow's interface shows."""
        import pandas as pd

        with self._tolerant(path):
            self._client.log_table(self._run_id, pd.DataFrame(rows), path)

    def figure(self, figure: Figure, path: str) -> None:
        """Record a figure."""
        with self._tolerant(path):
            self._client.log_figure(self._run_id, figure, path)

    def folder(self, folder: Path, path: str) -> None:
        """Record a folder of files."""
        with self._tolerant(path):
            self._client.log_artifacts(self._run_id, str(folder), path)


def tracking_uri(config: Config) -> str:
    """The store: from the config, the environment, or a database in the working directory."""
    return config.tracking.uri or os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI


def connect(config: Config) -> tuple[Any, str]:
    """Open the store and its experiment before any work is done.

    Returns the MLflow client and the experiment's id.

    Raises:
        TrackingError: if the store cannot be used.
    """
    import mlflow
    from mlflow.exceptions import MlflowException

    uri = tracking_uri(config)
    remote = urlparse(uri).scheme in ("http", "https")
    if remote:
        # The defaults retry for many minutes before they say that nobody answers.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    try:
        mlflow.set_tracking_uri(uri)
        client = mlflow.MlflowClient(uri)
        found = client.get_experiment_by_name(config.tracking.experiment)
        if found is not None:
            return client, str(found.experiment_id)
        location = None
        if uri == DEFAULT_URI:
            location = (Path(DEFAULT_ARTIFACTS).resolve() / config.tracking.experiment).as_uri()
        return client, str(client.create_experiment(config.tracking.experiment, location))
    except (MlflowException, OSError, ValueError) as error:
        raise TrackingError(
            f"the MLflow store {uri!r} cannot be used: {_first_line(error)}. Start the server, "
            "correct tracking.uri or MLFLOW_TRACKING_URI, or leave both out to record in "
            f"{DEFAULT_URI}"
        ) from error


@contextmanager
def tracked_run(config: Config) -> Iterator[MlflowTracker]:
    """An MLflow run that ends FINISHED, or FAILED with its traceback, or KILLED.

    Raises:
        TrackingError: before anything is done, if the store cannot be used.
    """
    client, experiment = connect(config)
    run = client.create_run(experiment, run_name=config.name)
    tracker = MlflowTracker(client, run.info.run_id)
    try:
        yield tracker
    except BaseException as error:
        tracker.text(traceback.format_exc(), "traceback.txt")
        tracker.tags({"framelens.error": f"{type(error).__name__}: {_first_line(error)}"})
        interrupted = isinstance(error, KeyboardInterrupt | SystemExit)
        with tracker._tolerant("the end of the run"):
            client.set_terminated(run.info.run_id, "KILLED" if interrupted else "FAILED")
        raise
    with tracker._tolerant("the end of the run"):
        client.set_terminated(run.info.run_id, "FINISHED")


class TrackingCallback(TrainerCallback):
    """Sends the Trainer's losses and validation metrics to a tracker, and lines to people."""

    def __init__(self, tracker: Tracker, report: Any) -> None:
        self._tracker = tracker
        self._report = report

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Record the numbers of a log entry under `train/` or `validation/`."""
        values: dict[str, float] = {}
        for name, value in (logs or {}).items():
            if isinstance(value, int | float) and name != "epoch":
                is_eval = name.startswith("eval_")
                short = name.removeprefix("eval_")
                values[f"{'validation' if is_eval else 'train'}/{short}"] = float(value)
        if values:
            self._tracker.metrics(values, step=state.global_step)
            self._report(state, values)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [""])[0][:300]
