"""Where a run is recorded: MLflow, or nowhere.

A run that crashes ends FAILED with its traceback; one whose process was killed is ended when it
is resumed, or by the next run on the machine. An unreachable store is reported before training
starts; afterwards, what the store does not take is kept in a journal and sent when it answers
again, or by `framelens-train upload`.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from framelens_training.config import Config, Tracking, without_credentials
from framelens_training.environment import has_ended, this_process
from framelens_training.errors import (
    ResumeError,
    TrackingError,
    brief_traceback,
    first_line,
    gist,
    heading,
)
from framelens_training.journal import FILE_NAME, Call, Journal
from framelens_training.run_record import folder_under
from framelens_training.tracking_calls import MAX_PARAM, is_refusal, perform, storable_name
from framelens_training.tracking_store import absolute, connect, open_store, store_uri, unusable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIRST_WAIT = 15.0
"""Seconds before a store that did not answer is asked again; the wait doubles each time."""
LONGEST_WAIT = 300.0

_PROCESS_TAG = "framelens.process"
_PARENT_TAG = "mlflow.parentRunId"
_ERROR_TAG = "framelens.error"
_RESUMED_TAG = "framelens.resumed"

log = logging.getLogger(__name__)


class MlflowTracker:
    """Records in one MLflow run.

    No call raises because of the store: training is worth more than a point on a curve. What
    the store refuses is told in `failures`; when it does not answer, this and everything after
    it waits in `journal`, which is tried again after a while and at the end of the run. Names of
    parameters, tags and metrics are recorded as `storable_name` has them.
    """

    def __init__(
        self,
        client: Any,
        experiment: str,
        journal: Journal,
        recorded: set[tuple[str, int]] | None = None,
    ) -> None:
        """Record through a client; `journal.run_id` None means that the run is yet to be made.

        `recorded` holds names and steps of points that a run which is gone on with has already.
        """
        if recorded is not None:  # that it had ended then is not to be sent now
            journal.replace([call for call in journal.calls() if not _ends(call)])
        self._recorded = recorded
        self._client = client
        self._experiment = experiment
        self._wait = FIRST_WAIT
        self._retry_at = 0.0
        self.journal = journal
        self.failures: list[str] = []
        self.waiting = len(journal.calls())
        """Calls that are in the journal."""
        self.children: dict[str, MlflowTracker] = {}
        """The runs within this one, by name."""

    @property
    def run_id(self) -> str | None:
        """The MLflow run's id."""
        return self.journal.run_id

    def page(self, uri: str) -> str:
        """Where the run is seen in a store's interface, or which command shows it; no password."""
        uri = without_credentials(uri)
        place = f"#/experiments/{self._experiment}/runs/{self.run_id}"
        if urlsplit(uri).scheme in ("http", "https"):
            return f"{uri.rstrip('/')}/{place}"
        return f"mlflow ui --backend-store-uri {uri}, then http://127.0.0.1:5000/{place}"

    def params(self, values: Mapping[str, Any]) -> None:
        """Record parameters, values cut to the length that MLflow allows."""
        cut = {storable_name(key): _whole(str(value))[:MAX_PARAM] for key, value in values.items()}
        self._send("params", values=cut)

    def tags(self, values: Mapping[str, str]) -> None:
        """Record tags."""
        named = {storable_name(key): _whole(str(value)) for key, value in values.items()}
        self._send("tags", values=named)

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Record metrics in one call."""
        numbers = {storable_name(key): float(value) for key, value in values.items()}
        self._send("metrics", values=numbers, step=step or 0, time=_now())

    def dataset(self, name: str, context: str, rows: list[dict[str, Any]], digest: str) -> None:
        """Record a corpus split as a dataset input under framelens's own digest."""
        self._send("dataset", name=name, context=context, rows=rows, digest=digest)

    def text(self, text: str, path: str) -> None:
        """Record a text file."""
        self._send("text", text=_whole(text), path=path)

    def table(self, rows: list[dict[str, Any]], path: str) -> None:
        """Record a table that MLflow's interface shows, halves of surrogate pairs as U+FFFD."""
        whole = [{key: _whole(value) for key, value in row.items()} for row in rows]
        self._send("table", rows=whole, path=path)

    def figure(self, figure: Figure, path: str) -> None:
        """Record a figure."""
        try:
            source = self.journal.keep_file(path)
            figure.savefig(source)
        except OSError as error:
            self._missed(path, error)
            return
        self._send("file", source=self._place(source), path=path)

    def folder(self, folder: Path, path: str) -> None:
        """Record a folder of files; while the store is away, it has to stay in the run's folder."""
        self._send("folder", source=self._place(folder), path=path)

    def model(self, artifact: Path, name: str, register: bool | None) -> None:
        """Record an exported artifact as an MLflow model.

        `register` None registers it if the store has a registry; False does not.
        """
        self._send("model", source=self._place(artifact), name=name, register=register)

    @contextmanager
    def child(self, name: str) -> Iterator[MlflowTracker]:
        """A run within this one, that ends as its block ends; what it missed is sent again as this
        one ends.
        """
        path = self.journal.path.with_name(f"tracking-{name}.jsonl")
        run_id, recorded = None, None
        tags = {_PARENT_TAG: self.run_id} if self.run_id else {}
        if self._is_up_to_date():
            with contextlib.suppress(*_store_errors()):
                if run_id := self._child_of_before(name):
                    recorded = _gone_on_with(self._client, run_id)
                else:
                    run_id = _create(self._client, self._experiment, name, tags)
        tracker = MlflowTracker(
            self._client, self._experiment, Journal(path, self.journal.uri, run_id), recorded
        )
        if run_id is None:
            tracker._keep(_creation(self._experiment, name, tags))
        self.children[name] = tracker
        with _ended(tracker):
            yield tracker

    def _child_of_before(self, name: str) -> str | None:
        """The run of that name within this one, if an earlier process made it."""
        if self._recorded is None:
            return None
        wanted = f"tags.`{_PARENT_TAG}` = '{self.run_id}' and attributes.run_name = '{name}'"
        found = self._client.search_runs([self._experiment], wanted, max_results=1)
        return str(found[0].info.run_id) if found else None

    def flush(self) -> bool:
        """Send what is waiting, in order, as far as the store answers; True if nothing waits."""
        calls = self.journal.calls()
        for done, call in enumerate(calls):
            try:
                self._make(call)
            except _store_errors() as error:
                if is_refusal(error):
                    self._missed(str(call), error)
                    continue
                self._rewrite(calls[done:])
                self._postpone()
                return False
        self._rewrite([])
        self._wait = FIRST_WAIT
        return True

    def end(self, status: str) -> None:
        """End the run, and send what is waiting if that is possible now."""
        self._retry_at = 0.0
        self._send("end", status=status, time=_now())
        for one in (self, *self.children.values()):
            if not one.send_rest():
                break

    def send_rest(self) -> bool:
        """Send what is waiting; the journal goes once nothing does, which makes it True."""
        if self.waiting and not self.flush():
            return False
        self._clear()
        return True

    def _send(self, kind: str, **arguments: Any) -> None:
        call = Call(kind, arguments)
        if not self._is_up_to_date():
            self._keep(call)
            return
        try:
            self._make(call)
        except _store_errors() as error:
            if is_refusal(error):
                self._missed(str(call), error)
                return
            log.warning(
                "MLflow does not take %s (%s); it and what follows is kept in %s and sent later",
                call,
                first_line(error),
                self.journal.path,
            )
            self._keep(call)
            self._postpone()

    def _is_up_to_date(self) -> bool:
        """Whether nothing waits; what does is tried again, unless it was a moment ago."""
        return not self.waiting or (time.monotonic() >= self._retry_at and self.flush())

    def _place(self, path: Path) -> str:
        """A path as the journal keeps it: from its own folder, with which it may be moved."""
        own = self.journal.path.parent.resolve()
        place = path.resolve()
        return str(place.relative_to(own) if place.is_relative_to(own) else place)

    def _make(self, call: Call) -> None:
        if "source" in call.arguments:
            place = self.journal.path.parent.resolve() / call.arguments["source"]
            call = Call(call.kind, {**call.arguments, "source": str(place)})
        if call.kind == "create":
            self.journal.run_id = _create_from(self._client, call)
        elif self.run_id is not None:
            if call.kind == "metrics" and self._recorded is not None:
                self._make_new_points(self.run_id, call, self._recorded)
            else:
                perform(self._client, self.run_id, call)
            if call.kind == "file":
                Path(call.arguments["source"]).unlink(missing_ok=True)

    def _make_new_points(self, run_id: str, call: Call, recorded: set[tuple[str, int]]) -> None:
        step = call.arguments["step"]
        values = call.arguments["values"]
        new = {name: value for name, value in values.items() if (name, step) not in recorded}
        if new:
            perform(self._client, run_id, Call(call.kind, {**call.arguments, "values": new}))
            recorded.update((name, step) for name in new)

    def _clear(self) -> None:
        try:
            self.journal.clear()
        except OSError as error:
            self._missed("the journal", error)

    def _keep(self, call: Call) -> None:
        try:
            self.journal.append(call)
            self.waiting += 1
        except OSError as error:
            self._missed(str(call), error)

    def _rewrite(self, calls: list[Call]) -> None:
        try:
            self.journal.replace(calls)
            self.waiting = len(calls)
        except OSError as error:
            self._missed("the journal", error)

    def _postpone(self) -> None:
        self._retry_at = time.monotonic() + self._wait
        self._wait = min(2 * self._wait, LONGEST_WAIT)

    def _missed(self, what: str, error: Exception) -> None:
        self.failures.append(f"{what}: {gist(error)}")
        log.warning("MLflow did not take %s: %s", what, gist(error))


def _store_errors() -> tuple[type[Exception], ...]:
    """What a store, a registry or a file may raise when something is recorded."""
    from mlflow.exceptions import MlflowException

    from framelens.errors import FramelensError

    return (MlflowException, OSError, TrackingError, FramelensError)


def _ends(call: Call) -> bool:
    """Whether a call says that a run has ended, or by what error."""
    return call.kind == "end" or _ERROR_TAG in call.arguments.get("values", ())


def _whole(value: Any) -> Any:
    """A value that can be written as UTF-8."""
    if not isinstance(value, str):
        return value
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _now() -> int:
    return int(time.time() * 1000)


def _creation(experiment: str, name: str, tags: Mapping[str, str]) -> Call:
    tags = {**tags, _PROCESS_TAG: this_process()}
    return Call("create", {"experiment": experiment, "name": name, "tags": tags, "time": _now()})


def _create_from(client: Any, call: Call) -> str:
    given = call.arguments
    run = client.create_run(
        given["experiment"], given["time"], dict(given["tags"]), run_name=given["name"]
    )
    return str(run.info.run_id)


def _create(client: Any, experiment: str, name: str, tags: Mapping[str, str]) -> str:
    return _create_from(client, _creation(experiment, name, tags))


@contextmanager
def tracked_run(
    config: Config, run_id: str | None = None, folder: Path | None = None
) -> Iterator[MlflowTracker]:
    """The MLflow run of a config (`tracked`).

    `folder` is that of the run's files, where there is one already.
    """
    with tracked(config.name, config.tracking, config.output, run_id, folder) as tracker:
        yield tracker


@contextmanager
def tracked(
    name: str,
    settings: Tracking,
    output: str | Path,
    run_id: str | None = None,
    folder: Path | None = None,
) -> Iterator[MlflowTracker]:
    """An MLflow run that ends FINISHED, or FAILED with its traceback, or KILLED.

    Its files go to `folder`, or else to one under `output`. With `run_id`, an earlier run is
    continued: it is RUNNING again, and what its journal still holds is sent; a point of a curve
    that it has is not recorded again; if the block refuses to go on with it (`ResumeError`), it
    ends as it had before. Runs of this machine whose process is gone are ended as KILLED.

    Raises:
        TrackingError: before anything is done, if the store or the run cannot be used.
    """
    client, experiment = connect(settings)
    uri = store_uri(settings.uri)

    from mlflow.exceptions import MlflowException

    recorded: set[tuple[str, int]] | None = None
    before: _End | None = None
    try:
        if run_id is None:
            run_id = _create(client, experiment, name, {})
        else:
            _check_there(client, run_id, uri)
            before = _End.of(client.get_run(run_id))
            recorded = _gone_on_with(client, run_id)
        end_dead_runs(client, experiment)
    except (MlflowException, OSError) as error:
        raise unusable(uri, error) from error
    place = (folder or folder_under(output, name, run_id)) / FILE_NAME
    journal = Journal(place, _without_password(absolute(uri)), run_id)
    with _ended(MlflowTracker(client, experiment, journal, recorded), before) as tracker:
        yield tracker


def not_recorded(tracker: MlflowTracker) -> list[str]:
    """What the store lacks, and how to send what is kept."""
    lines: list[str] = []
    for name, one in {"": tracker, **tracker.children}.items():
        of_child = f"{name}: " if name else ""
        lines += [f"not recorded: {of_child}{failure}" for failure in one.failures]
        if one.waiting:
            path = one.journal.path
            lines.append(
                f"MLflow did not answer: {one.waiting} records are kept in {path}; send them with "
                f"framelens-train upload {path}"
            )
    return lines


def _gone_on_with(client: Any, run_id: str) -> set[tuple[str, int]]:
    """Make a run RUNNING again; gives names and steps of all points that it has."""
    client.update_run(run_id, status="RUNNING")
    client.set_tag(run_id, _PROCESS_TAG, this_process())
    data = client.get_run(run_id).data
    if _ERROR_TAG in data.tags:
        client.delete_tag(run_id, _ERROR_TAG)
    client.set_tag(run_id, _RESUMED_TAG, str(int(data.tags.get(_RESUMED_TAG, "0")) + 1))
    return {
        (name, point.step)
        for name in data.metrics
        for point in client.get_metric_history(run_id, name)
    }


@dataclass(frozen=True, slots=True)
class _End:
    """How a run has ended."""

    status: str
    error: str | None

    @classmethod
    def of(cls, run: Any) -> _End:
        """How it has; one that is RUNNING has not been seen to end."""
        status = str(run.info.status)
        return cls("KILLED" if status == "RUNNING" else status, run.data.tags.get(_ERROR_TAG))


@contextmanager
def _ended(tracker: MlflowTracker, before: _End | None = None) -> Iterator[MlflowTracker]:
    """End a tracker's run as its block ends; a polite kill counts as an interruption.

    A run that is not gone on with after all ends as `before`.
    """
    try:
        with _terminable():
            yield tracker
    except BaseException as error:
        if before is not None and isinstance(error, ResumeError):
            if before.error is not None:
                tracker.tags({_ERROR_TAG: before.error})
            tracker.end(before.status)
            raise
        tracker.text(brief_traceback(error), "traceback.txt")
        tracker.tags({_ERROR_TAG: heading(error)})
        tracker.end("KILLED" if isinstance(error, KeyboardInterrupt | SystemExit) else "FAILED")
        raise
    tracker.end("FINISHED")


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM, which batch systems send, unwind the stack instead of ending the process."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before if before is not None else signal.SIG_DFL)


def end_dead_runs(client: Any, experiment: str) -> list[str]:
    """End the runs that are RUNNING though their process on this machine is gone, as KILLED.

    Returns their ids.
    """
    found = client.search_runs([experiment], "attributes.status = 'RUNNING'")
    ended = []
    for run in found:
        if has_ended(run.data.tags.get(_PROCESS_TAG, "")):
            client.set_tag(run.info.run_id, _ERROR_TAG, "the process ended without a word")
            client.set_terminated(run.info.run_id, "KILLED")
            ended.append(run.info.run_id)
    return ended


def _without_password(uri: str) -> str | None:
    """A URI that may be written down; None if it holds a password."""
    return None if urlsplit(uri).password else uri


def upload(path: Path, uri: str | None = None) -> MlflowTracker:
    """Send what a journal holds, and end its run if its process is gone.

    `uri` overrides the store that the journal names. Returns the tracker, whose `waiting` and
    `failures` say how it went.

    Raises:
        TrackingError: if the file is no journal, or the store does not answer at all, or has no
            such run: it would refuse everything, and nothing would be kept.
        FileNotFoundError: if there is no such file.
    """
    journal = Journal.open(path)
    store = store_uri(uri or journal.uri)
    client = open_store(store)

    from mlflow.exceptions import MlflowException

    tracker = MlflowTracker(client, "", journal)
    try:
        if known := _known_run(journal):
            _check_there(client, known, store)
        tracker.send_rest()
        if tracker.run_id is not None and not tracker.waiting:
            end_dead_runs(client, client.get_run(tracker.run_id).info.experiment_id)
    except (MlflowException, OSError) as error:
        raise unusable(store, error) from error
    return tracker


def _known_run(journal: Journal) -> str | None:
    """The run of a journal; of one that is yet to be made, the run that it is to be within."""
    created = [call for call in journal.calls() if call.kind == "create"]
    return journal.run_id or (created[0].arguments["tags"].get(_PARENT_TAG) if created else None)


def _check_there(client: Any, run_id: str, uri: str) -> None:
    """Make sure that a store has a run, and takes something for it.

    Raises:
        TrackingError: if there is none, or it was deleted.
        MlflowException: if the store does not answer.
    """
    from mlflow.exceptions import MlflowException

    problem = None
    try:
        if client.get_run(run_id).info.lifecycle_stage != "active":
            problem = f"it deleted; restore it (mlflow runs restore --run-id {run_id})"
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        problem = "none; name the store that has it (--uri, MLFLOW_TRACKING_URI or tracking.uri)"
    if problem is not None:
        shown = without_credentials(uri)
        raise TrackingError(
            f"expected the run {run_id} in the MLflow store {shown!r}, found {problem}"
        )
