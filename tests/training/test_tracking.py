from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from requests import HTTPError, Response

import framelens_training.tracking as tracking
from framelens_training import crossval, tracking_store
from framelens_training.cli import main
from framelens_training.config import Config, Tracking, without_credentials
from framelens_training.errors import ResumeError, TrackingError, gist
from framelens_training.journal import Call, Journal
from framelens_training.run_record import RunRecord, run_folder
from framelens_training.search_space import with_values
from framelens_training.settings_text import to_yaml
from framelens_training.tracking import MlflowTracker, end_dead_runs, not_recorded, tracked_run
from framelens_training.tracking_store import connect, unusable
from mlflow_server import Server
from support import write_model


def answer_of(status: int) -> Response:
    """A server's answer."""
    answer = Response()
    answer.status_code = status
    return answer


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh store: making its tables takes seconds, copying it nothing."""
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def config(tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.chdir(tmp_path)  # where MLflow keeps files that have no other place
    shutil.copyfile(empty_store, tmp_path / "mlflow.db")
    return Config.model_validate(
        {
            "name": "small",
            "output": str(tmp_path / "runs"),
            "corpora": {"use": [{"name": "starter"}]},
            "tracking": {"uri": f"sqlite:///{tmp_path}/mlflow.db", "experiment": "small"},
        }
    )


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> dict[str, bool]:
    """A switch: while it is on, no call reaches the store."""
    state = {"on": False}

    def guarded(name: str) -> Any:
        original = getattr(MlflowClient, name)

        def call(self: MlflowClient, *arguments: Any, **options: Any) -> Any:
            if state["on"]:
                raise MlflowException("nobody answers")
            return original(self, *arguments, **options)

        return call

    for name in (
        "create_run", "log_batch", "log_text", "log_table", "log_artifact", "log_artifacts",
        "log_inputs", "set_tag", "set_terminated", "create_logged_model",
    ):  # fmt: skip
        monkeypatch.setattr(MlflowClient, name, guarded(name))
    monkeypatch.setattr(tracking, "FIRST_WAIT", 0.0)
    return state


def client_of(config: Config) -> MlflowClient:
    return MlflowClient(config.tracking.uri)


def record_all(tracker: MlflowTracker, folder: Path) -> None:
    import matplotlib.pyplot as plt

    tracker.params({"depth": 3})
    tracker.tags({"colour": "green"})
    tracker.metrics({"loss": 0.5, "odd": float("nan")}, step=7)
    tracker.dataset("files", "test", [{"id": "a"}], "f" * 64)
    tracker.text("line", "notes.txt")
    tracker.table([{"a": 1}], "tables/rows.json")
    figure, _ = plt.subplots()
    tracker.figure(figure, "figures/empty.png")
    plt.close(figure)
    (folder / "kept").mkdir(parents=True, exist_ok=True)
    (folder / "kept" / "file.txt").write_text("x", "utf-8")
    tracker.folder(folder / "kept", "kept")
    tracker.model(write_model(folder / "lookup"), "small", None)


def check_all(client: MlflowClient, run_id: str) -> None:
    run = client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params == {"depth": "3"}
    assert run.data.tags["colour"] == "green"
    assert run.data.tags["corpus.files.test.sha256"] == "f" * 64
    (point,) = client.get_metric_history(run_id, "loss")
    assert (point.value, point.step) == (0.5, 7)
    assert len(run.inputs.dataset_inputs) == 1
    paths = {e.path for top in (None, "tables", "figures", "kept")
             for e in client.list_artifacts(run_id, top)}  # fmt: skip
    assert {"notes.txt", "tables/rows.json", "figures/empty.png", "kept/file.txt"} <= paths
    version = client.get_model_version_by_alias("small", "challenger")
    assert version.run_id == run_id


def test_everything_is_recorded_and_nothing_is_left_beside_it(
    config: Config, tmp_path: Path
) -> None:
    with tracked_run(config) as tracker:
        record_all(tracker, tmp_path)
    assert (tracker.failures, tracker.waiting) == ([], 0)
    assert not_recorded(tracker) == []
    assert not tracker.journal.path.parent.exists()
    assert tracker.run_id is not None
    check_all(client_of(config), tracker.run_id)


def test_what_a_vanished_store_missed_is_sent_when_it_is_back(
    config: Config, tmp_path: Path, away: dict[str, bool], caplog: pytest.LogCaptureFixture
) -> None:
    with tracked_run(config) as tracker:
        away["on"] = True
        record_all(tracker, tmp_path)
        assert tracker.waiting == 9
        before = client_of(config).get_run(tracker.run_id).data
        assert before.params == {}
        away["on"] = False
    assert (tracker.failures, tracker.waiting) == ([], 0)
    assert not tracker.journal.path.exists()
    assert not tracker.journal.files.exists()
    check_all(client_of(config), str(tracker.run_id))
    warnings = [r.getMessage() for r in caplog.records if "does not take params" in r.getMessage()]
    assert len(warnings) == 1  # told once, not at every step


def test_a_figure_that_finds_the_store_back_is_sent_too(
    config: Config, away: dict[str, bool]
) -> None:
    from matplotlib.figure import Figure

    with tracked_run(config) as tracker:
        away["on"] = True
        tracker.figure(Figure(), "figures/early.png")
        away["on"] = False
        tracker.figure(Figure(), "figures/late.png")  # what waits is sent before it
        assert (tracker.failures, tracker.waiting) == ([], 0)
    found = client_of(config).list_artifacts(str(tracker.run_id), "figures")
    assert [item.path for item in found] == ["figures/early.png", "figures/late.png"]
    assert not tracker.journal.files.exists()


def test_points_that_waited_are_not_recorded_twice(config: Config, away: dict[str, bool]) -> None:
    with tracked_run(config) as tracker:
        away["on"] = True
        tracker.metrics({"loss": 1.0}, step=1)
    away["on"] = False
    with tracked_run(config, tracker.run_id) as resumed:
        resumed.metrics({"loss": 1.0}, step=1)
    points = client_of(config).get_metric_history(tracker.run_id, "loss")
    assert [(point.step, point.value) for point in points] == [(1, 1.0)]


def test_what_is_still_missing_at_the_end_is_uploaded_by_a_command(
    config: Config, tmp_path: Path, away: dict[str, bool], capsys: pytest.CaptureFixture[str]
) -> None:
    with tracked_run(config) as tracker:
        away["on"] = True
        record_all(tracker, tmp_path)
    path = tracker.journal.path
    assert f"framelens-train upload {path}" in not_recorded(tracker)[0]
    assert client_of(config).get_run(tracker.run_id).info.status == "RUNNING"
    assert main(["upload", str(path)]) == 1
    assert "10 records are kept" in capsys.readouterr().err
    away["on"] = False
    assert main(["upload", str(path)]) == 0
    assert "10 records" in capsys.readouterr().out
    assert not path.exists()
    check_all(client_of(config), str(tracker.run_id))


def test_a_run_that_was_moved_can_be_uploaded_and_a_model_that_is_gone_holds_nothing_up(
    config: Config, tmp_path: Path, away: dict[str, bool], capsys: pytest.CaptureFixture[str]
) -> None:
    trackers = []
    for _ in range(2):
        with tracked_run(config) as tracker:
            away["on"] = True
            record_all(tracker, tracker.journal.path.parent)
        away["on"] = False
        tracker.journal.path.parent.rename(tmp_path / f"moved-{len(trackers)}")
        trackers.append(tracker)
    assert main(["upload", str(tmp_path / "moved-0" / "tracking.jsonl")]) == 0
    check_all(client_of(config), str(trackers[0].run_id))
    shutil.rmtree(tmp_path / "moved-1" / "lookup")
    assert main(["upload", str(tmp_path / "moved-1" / "tracking.jsonl")]) == 1
    assert "refused by MLflow: model small: expected a model directory" in capsys.readouterr().err
    assert client_of(config).get_run(str(trackers[1].run_id)).info.status == "FINISHED"
    assert not (tmp_path / "moved-1" / "tracking.jsonl").exists()


def test_a_model_whose_upload_was_cut_short_is_there_once(
    config: Config, tmp_path: Path, away: dict[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_short(*_: Any) -> None:
        away["on"] = True
        raise MlflowException("nobody answers")

    with tracked_run(config) as tracker:
        with monkeypatch.context() as patch:
            patch.setattr(MlflowClient, "log_model_artifacts", cut_short)
            patch.setattr(MlflowClient, "finalize_logged_model", cut_short)
            tracker.model(write_model(tmp_path / "lookup"), "small", None)
        assert tracker.waiting == 1
        away["on"] = False
    client, experiment = connect(config.tracking)
    (model,) = client.search_logged_models([experiment])
    assert model.status == "READY"
    assert client.get_run(tracker.run_id).info.status == "FINISHED"


def test_nothing_is_thrown_away_in_a_store_without_the_run(
    config: Config,
    empty_store: Path,
    tmp_path: Path,
    away: dict[str, bool],
    capsys: pytest.CaptureFixture[str],
) -> None:
    with tracked_run(config) as tracker:
        away["on"] = True
        tracker.params({"depth": 3})
        with tracker.child("fold-0") as child:
            child.params({"depth": 4})
    away["on"] = False
    shutil.copyfile(empty_store, tmp_path / "other.db")
    for path in (tracker.journal.path, child.journal.path):
        kept = path.read_text("utf-8")
        assert main(["upload", str(path), "--uri", f"sqlite:///{tmp_path}/other.db"]) == 1
        assert f"expected the run {tracker.run_id} in the MLflow" in capsys.readouterr().err
        assert path.read_text("utf-8") == kept
        client_of(config).delete_run(tracker.run_id)
        assert main(["upload", str(path)]) == 1
        assert "found it deleted; restore it" in capsys.readouterr().err
        assert path.read_text("utf-8") == kept
        client_of(config).restore_run(tracker.run_id)
        assert main(["upload", str(path)]) == 0


def test_a_refusal_is_told_and_does_not_hold_up_the_rest(config: Config) -> None:
    with tracked_run(config) as tracker:
        tracker.params({"depth": 3})
        tracker.params({"depth": 4})  # MLflow never changes a parameter
        tracker.metrics({"loss": 0.5})
    assert len(tracker.failures) == 1
    assert tracker.failures[0].startswith("params: ")
    run = client_of(config).get_run(tracker.run_id)
    assert run.data.params == {"depth": "3"}
    assert run.data.metrics["loss"] == 0.5


def test_names_that_mlflow_refuses_are_recorded_under_others(config: Config) -> None:
    path = "/models/" + "a" * 300
    names = {
        "plain/name": "plain/name",
        "heard_on.models:/news-en@champion.0": "heard_on.models:/news-en_champion.0",
        "heard_on...//../runs/new/": "heard_on.../runs/new",
        "outlet.Le Café": "outlet.Le Café",
    }
    with tracked_run(config) as tracker:
        tracker.params(dict.fromkeys(names, 1) | {f"{path}.0": "framed", f"{path}.1": "cue"})
        tracker.tags(dict.fromkeys(names, "1"))
        tracker.metrics(dict.fromkeys(names, 1.0) | {path: 1.0})
        tracker.dataset("labels (1).csv", "test", [{"id": "a"}], "f" * 64)
    assert tracker.failures == []
    run = client_of(config).get_run(tracker.run_id)
    expected = set(names.values())
    cut = {name: value for name, value in run.data.params.items() if name not in expected}
    assert set(run.data.params) == expected | set(cut)
    assert sorted(cut.values()) == ["cue", "framed"]
    assert {len(name) for name in cut} == {250}
    assert expected < set(run.data.tags)
    assert run.data.tags["corpus.labels _1_.csv.test.sha256"] == "f" * 64
    assert expected < set(run.data.metrics)


def test_children_are_nested_even_if_they_began_while_the_store_was_away(
    config: Config, away: dict[str, bool]
) -> None:
    with tracked_run(config) as tracker:
        with tracker.child("fold-0") as first:
            first.metrics({"loss": 1.0})
        away["on"] = True
        with tracker.child("fold-1") as second:
            second.metrics({"loss": 2.0})
        assert second.run_id is None
        away["on"] = False
    assert (tracker.waiting, second.waiting) == (0, 0)
    assert not second.journal.path.exists()
    assert not_recorded(tracker) == []
    for child, loss in ((first, 1.0), (second, 2.0)):
        run = client_of(config).get_run(child.run_id)
        assert run.data.tags["mlflow.parentRunId"] == tracker.run_id
        assert run.info.status == "FINISHED"
        assert run.data.metrics["loss"] == loss


def test_a_child_that_was_cut_short_is_gone_on_with(config: Config, away: dict[str, bool]) -> None:
    def record(tracker: MlflowTracker, steps: range, *, is_cut_short: bool) -> None:
        with tracker.child("fold-0") as child:
            for step in steps:
                child.metrics({"loss": 1 / step}, step=step)
                away["on"] = is_cut_short and step >= 2
            if is_cut_short:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), tracked_run(config) as tracker:
        record(tracker, range(1, 4), is_cut_short=True)
    away["on"] = False
    with tracked_run(config, tracker.run_id) as resumed:
        record(resumed, range(2, 6), is_cut_short=False)
        with resumed.child("fold-1"):
            pass
    client, experiment = connect(config.tracking)
    runs = {run.info.run_name: run for run in client.search_runs([experiment])}
    assert len(client.search_runs([experiment])) == 3
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    points = client.get_metric_history(runs["fold-0"].info.run_id, "loss")
    assert [point.step for point in points] == [1, 2, 3, 4, 5]
    assert not list(resumed.journal.path.parent.glob("tracking*"))
    assert not any("framelens.error" in run.data.tags for run in runs.values())


def test_what_is_missing_of_children_is_told_and_uploaded(
    config: Config,
    tmp_path: Path,
    away: dict[str, bool],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def folds(_: Config, tracker: MlflowTracker, **given: Any) -> crossval.CrossValidation:
        with tracker.child("fold-1") as child:
            child.params({"depth": 3})
            child.params({"depth": 4})  # refused
        away["on"] = True
        with tracker.child("fold-2"):
            pass
        figures = {"test/framed/weighted_f1": 0.5}
        found = (crossval.FoldResult(1, 13, 1, figures), crossval.FoldResult(2, 13, 1, figures))
        return crossval.CrossValidation(tracker.run_id, 2, found)

    monkeypatch.setattr(crossval, "crossvalidate", folds)
    (tmp_path / "c.yaml").write_text(to_yaml(config), "utf-8")
    assert main(["crossval", str(tmp_path / "c.yaml")]) == 0
    said, told = capsys.readouterr()
    assert re.search(
        r"look at it .*mlflow\.db, then http://127\.0\.0\.1:5000/#/exp.*/runs/\w{32}", said
    )
    assert "not recorded: fold-1: params" in told
    away["on"] = False
    paths = sorted((tmp_path / "runs").rglob("tracking*.jsonl"))
    assert [path.name for path in paths] == ["tracking-fold-2.jsonl", "tracking.jsonl"]
    for path in paths:
        assert f"framelens-train upload {path}\n" in told
        assert main(["upload", str(path)]) == 0
    client, experiment = connect(config.tracking)
    assert {run.info.status for run in client.search_runs([experiment])} == {"FINISHED"}


def test_a_failing_child_ends_failed_and_fails_its_parent(config: Config) -> None:
    trackers: list[MlflowTracker] = []

    def fail_in_a_child() -> None:
        with tracked_run(config) as tracker, tracker.child("fold-0") as child:
            trackers.extend((tracker, child))
            raise ValueError("on purpose")

    with pytest.raises(ValueError, match="on purpose"):
        fail_in_a_child()
    for run_id in (tracker.run_id for tracker in trackers):
        run = client_of(config).get_run(run_id)
        assert run.info.status == "FAILED"
        assert run.data.tags["framelens.error"] == "ValueError: on purpose"


SCRIPT = """
    import sys, time
    from pathlib import Path
    from framelens_training.settings_file import load_config
    from framelens_training.tracking import tracked_run
    with tracked_run(load_config(Path(sys.argv[1]))) as tracker:
        print(tracker.run_id, flush=True)
        time.sleep(60)
"""


def run_and_kill(config: Config, folder: Path, number: int) -> str:
    from framelens_training.settings_text import to_yaml

    (folder / "c.yaml").write_text(to_yaml(config), "utf-8")
    command = [sys.executable, "-c", textwrap.dedent(SCRIPT), str(folder / "c.yaml")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        run_id = process.stdout.readline().strip()
        process.send_signal(number)
        process.wait(30)
    return run_id


def test_a_killed_run_does_not_stay_running(config: Config, tmp_path: Path) -> None:
    client = client_of(config)
    first = run_and_kill(config, tmp_path, signal.SIGKILL)
    assert client.get_run(first).info.status == "RUNNING"
    with tracked_run(config) as other:
        assert client.get_run(first).info.status == "KILLED"
        assert client.get_run(other.run_id).info.status == "RUNNING"
        experiment = client.get_run(first).info.experiment_id
        assert end_dead_runs(client, experiment) == []
    assert "without a word" in client.get_run(first).data.tags["framelens.error"]
    with tracked_run(config, first) as resumed:
        assert resumed.run_id == first
        assert client.get_run(first).info.status == "RUNNING"
        resumed.metrics({"loss": 0.25})
    run = client.get_run(first)
    assert run.info.status == "FINISHED"
    assert "framelens.error" not in run.data.tags


def test_a_polite_kill_ends_the_run_itself(config: Config, tmp_path: Path) -> None:
    run_id = run_and_kill(config, tmp_path, signal.SIGTERM)
    assert client_of(config).get_run(run_id).info.status == "KILLED"


@pytest.mark.parametrize("error", [None, "it broke"])
def test_a_run_that_is_not_gone_on_with_ends_as_before(config: Config, error: str | None) -> None:
    with contextlib.suppress(RuntimeError), tracked_run(config) as tracker:
        if error:
            raise RuntimeError(error)
    with pytest.raises(ResumeError), tracked_run(config, tracker.run_id):
        raise ResumeError("it was another run")
    run = client_of(config).get_run(tracker.run_id)
    assert run.info.status == ("FAILED" if error else "FINISHED")
    assert run.data.tags.get("framelens.error") == (error and f"RuntimeError: {error}")


def test_a_resumed_run_sends_what_its_journal_holds(config: Config, away: dict[str, bool]) -> None:
    with tracked_run(config) as tracker:
        away["on"] = True
        tracker.params({"depth": 3})
    away["on"] = False
    with tracked_run(config, tracker.run_id) as resumed:
        assert resumed.waiting == 1  # not that it ended
        resumed.params({"width": 5})
    run = client_of(config).get_run(tracker.run_id)
    assert run.data.params == {"depth": "3", "width": "5"}
    assert run.info.status == "FINISHED"


def test_a_resumed_run_records_no_point_and_no_row_twice(
    config: Config, away: dict[str, bool]
) -> None:
    def record(tracker: MlflowTracker) -> None:
        for step in (1, 2):
            tracker.metrics({"loss": 1 / step}, step=step)
        tracker.table([{"a": 1}], "rows.json")

    with tracked_run(config) as tracker:
        record(tracker)
    with tracked_run(config, tracker.run_id) as resumed:
        record(resumed)
        resumed.metrics({"loss": 0.1, "score": 1.0}, step=3)
        away["on"] = True
        record(resumed)
        away["on"] = False
    client = client_of(config)
    points = client.get_metric_history(tracker.run_id, "loss")
    assert [(p.step, p.value) for p in points] == [(1, 1.0), (2, 0.5), (3, 0.1)]
    assert client.get_run(tracker.run_id).data.tags["framelens.resumed"] == "1"
    table = client.download_artifacts(tracker.run_id, "rows.json")
    assert json.loads(Path(table).read_text("utf-8"))["data"] == [[1]]


@pytest.mark.parametrize("is_away", [False, True])
def test_half_a_surrogate_pair_in_a_table_stops_no_run(
    config: Config, away: dict[str, bool], is_away: bool
) -> None:
    with tracked_run(config) as tracker:
        away["on"] = is_away
        tracker.table([{"text": "a \ud83d \U0001f600", "score": 1}], "rows.json")
        away["on"] = False
    table = client_of(config).download_artifacts(str(tracker.run_id), "rows.json")
    found = json.loads(Path(table).read_text("utf-8"))["data"]
    assert found == [["a \N{REPLACEMENT CHARACTER} \U0001f600", 1]]


@pytest.mark.parametrize("is_away", [False, True])
def test_half_a_surrogate_pair_in_an_error_hides_it_from_nobody(
    config: Config, away: dict[str, bool], is_away: bool
) -> None:
    def fail_in_a_run() -> None:
        with tracked_run(config) as tracker:
            trackers.append(tracker)
            away["on"] = is_away
            tracker.dataset("files", "test", [{"id": "\ud83d"}], "f" * 64)
            raise ValueError("no file caf\udce9.csv")  # as Python names one of another encoding

    trackers: list[MlflowTracker] = []
    with pytest.raises(ValueError, match="no file"):
        fail_in_a_run()
    away["on"] = False
    if is_away:
        assert main(["upload", str(trackers[0].journal.path)]) == 0
    run = client_of(config).get_run(str(trackers[0].run_id))
    assert run.info.status == "FAILED"
    assert run.data.tags["framelens.error"] == "ValueError: no file caf\ufffd.csv"


class CloudError(Exception):
    """As boto3 and its like raise it."""


@pytest.mark.parametrize("name", ["news", "news/{}", "../{}", "{}"])
def test_no_name_of_an_experiment_leads_out_of_the_artifacts(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(tracking_store.VARIABLE, raising=False)
    experiment = name.format(tmp_path / "elsewhere")
    client, number = connect(Tracking(experiment=experiment))
    found = client.get_experiment(number)
    assert found.name == experiment
    assert found.artifact_location.startswith((tmp_path / "mlartifacts").as_uri() + "/")
    assert ".." not in found.artifact_location


def test_the_gist_of_an_error_that_announces_others() -> None:
    assert gist(ValueError("no file\nat all")) == "no file"
    assert gist(ValueError("2 failed:\n## a ##\n  No such file")) == "2 failed: No such file"
    assert gist(ValueError("")) == ""


@pytest.mark.parametrize(
    ("error", "waiting"),
    [
        (ModuleNotFoundError("No module named 'boto3'"), 0),
        (HTTPError("413 Request Entity Too Large", response=answer_of(413)), 0),
        (HTTPError("502 Bad Gateway", response=answer_of(502)), 3),
        (CloudError("no credentials"), 3),
    ],
)
def test_a_place_of_artifacts_that_cannot_be_used_stops_no_run(
    config: Config, monkeypatch: pytest.MonkeyPatch, error: Exception, waiting: int
) -> None:
    def refuse(*_: Any) -> None:
        raise error

    monkeypatch.setattr(MlflowClient, "log_text", refuse)
    with tracked_run(config) as tracker:
        tracker.text("line", "notes.txt")
        tracker.metrics({"loss": 0.5})
    assert tracker.waiting == waiting
    assert len(not_recorded(tracker)) == 1
    run = client_of(config).get_run(str(tracker.run_id))
    assert run.data.metrics == ({} if waiting else {"loss": 0.5})
    assert run.info.status == ("RUNNING" if waiting else "FINISHED")


def test_a_deleted_experiment_is_told_from_a_store_that_cannot_be_used(config: Config) -> None:
    client, experiment = connect(config.tracking)
    client.delete_experiment(experiment)
    with pytest.raises(TrackingError, match=rf"found it deleted.*--experiment-id {experiment}"):
        connect(config.tracking)


def test_a_database_that_cannot_be_opened_is_told(config: Config, tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("text,label\n" * 100, "utf-8")
    for uri in (f"sqlite:///{tmp_path}/labels.csv", "mysql://user@127.0.0.1:1/runs"):
        with pytest.raises(TrackingError, match="cannot be used"):
            connect(config.tracking.model_copy(update={"uri": uri}))


def test_a_server_that_is_away_is_told_in_one_whole_sentence(
    config: Config, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = config.tracking.model_copy(update={"uri": "http://127.0.0.1:1"})
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    with pytest.raises(
        TrackingError, match=r"'http://127\.0\.0\.1:1' cannot be used: .*refused\. "
    ):
        connect(settings)
    assert not caplog.messages


def test_each_working_directory_has_a_default_store_of_its_own(
    config: Config, tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    settings = config.tracking.model_copy(update={"uri": None})
    found = {}
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        shutil.copyfile(empty_store, tracking_store.DEFAULT_FILE)
        client, experiment = connect(settings.model_copy(update={"experiment": name}))
        assert (Path(client.get_experiment(experiment).artifact_location).name) == name
        found[name] = {item.name for item in client.search_experiments()}
    assert found == {"first": {"Default", "first"}, "second": {"Default", "second"}}


def test_a_database_that_cannot_be_opened_is_not_asked_for_minutes(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here/mlflow.db").mkdir(parents=True)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path / "here")
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    with pytest.raises(TrackingError, match="Call this in a directory that can be written to"):
        connect(config.tracking.model_copy(update={"uri": None}))
    assert sum(waited) < 5


def test_a_run_that_is_not_there_cannot_be_resumed(config: Config) -> None:
    with pytest.raises(TrackingError, match="0123"), tracked_run(config, "0123"):
        pass


def test_a_real_server_that_goes_away_and_comes_back(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    server = Server(tmp_path / "server")
    remote = config.model_copy(
        update={"tracking": config.tracking.model_copy(update={"uri": server.uri})}
    )
    server.start()
    try:
        with tracked_run(remote) as tracker:
            tracker.params({"width": 5})
            server.stop()
            record_all(tracker, tmp_path)
            tracker.params({"last": 1})
        assert tracker.failures == []
        assert tracker.waiting == 11
        server.start()
        assert main(["upload", str(tracker.journal.path)]) == 0
        client = MlflowClient(server.uri)
        run = client.get_run(tracker.run_id)
        assert run.info.status == "FINISHED"
        assert run.data.params == {"width": "5", "depth": "3", "last": "1"}
        assert client.get_model_version_by_alias("small", "challenger").run_id == run.info.run_id
        mlflow.set_tracking_uri(server.uri)
        import framelens

        assert framelens.load("models:/small@challenger").model.name == "lookup"
    finally:
        server.stop()


def test_a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "tracking.jsonl", None, "r")
    calls = [Call("tags", {"values": {"a": "1"}}), Call("tags", {"values": {"b": "\u2028"}})]
    for call in calls:
        journal.append(call)
    text = journal.path.read_text("utf-8")
    assert Journal.open(journal.path).calls() == calls
    journal.path.write_text(text[:-9], "utf-8")
    assert Journal.open(journal.path).calls() == calls[:1]
    journal.append(calls[0])
    assert Journal.open(journal.path).calls() == [calls[0], calls[0]]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{}\n", "format 1, found None"),
        ("oops\n", ":1: expected JSON"),
        ('{"journal": 1, "run_id": "r", "uri": null}\n[1]\n', ":2: expected a call"),
    ],
)
def test_what_is_no_journal_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, says: str
) -> None:
    path = tmp_path / "tracking.jsonl"
    path.write_text(content, "utf-8")
    assert main(["upload", str(path), "--uri", f"sqlite:///{tmp_path}/m.db"]) == 1
    assert says in capsys.readouterr().err


def test_where_no_journal_is_it_is_told_when_there_is_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "test.parquet").write_bytes(b"PAR1\xdb\xff")
    assert main(["upload", str(tmp_path / "test.parquet")]) == 1
    assert ":1: expected JSON" in capsys.readouterr().err
    for path in (tmp_path, tmp_path / "tracking.jsonl"):  # of a run of which nothing is missing
        assert main(["upload", str(path)]) == 1
        assert f"only while MLflow lacks something of the run; found no file at {path}\n" in (
            capsys.readouterr().err
        )


def test_a_password_is_not_written_down(tmp_path: Path) -> None:
    assert tracking._without_password("postgresql://me:secret@db/mlflow") is None
    journal = Journal(tmp_path / "tracking.jsonl", None, "r")
    journal.append(Call("tags", {"values": {}}))
    assert json.loads(journal.path.read_text("utf-8").partition("\n")[0])["uri"] is None
    tracker = MlflowTracker(None, "1", journal)
    assert tracker.page("https://me:secret@mlflow.example/") == (
        "https://mlflow.example/#/experiments/1/runs/r"
    )
    assert "--backend-store-uri postgresql://db/mlflow," in (
        tracker.page("postgresql://me:secret@db/mlflow")
    )


def test_what_is_kept_of_a_config_has_no_password(config: Config, tmp_path: Path) -> None:
    uri = "postgresql://me:s3cret@db.example:5432/mlflow"
    tracked = config.tracking.model_copy(update={"uri": uri})
    config = config.model_copy(update={"tracking": tracked})
    assert config.to_dict()["tracking"]["uri"] == "postgresql://db.example:5432/mlflow"
    assert "s3cret" not in to_yaml(config)
    assert without_credentials("https://s3cret@mlflow.example/") == "https://mlflow.example/"
    assert without_credentials("sqlite:///a@b/mlflow.db") == "sqlite:///a@b/mlflow.db"
    RunRecord.of(config, None, 1).begin(tmp_path / "run", is_resumed=False, allow_code=False)
    assert all("s3cret" not in path.read_text("utf-8") for path in (tmp_path / "run").iterdir())
    assert with_values(config, {"seed": 5}).tracking.uri == uri
    told = str(unusable(uri, OSError(f"no answer from {uri}")))
    assert "s3cret" not in told
    assert "no answer from postgresql://db.example:5432/mlflow" in told


def test_runs_of_one_second_have_folders_of_their_own(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.strftime", lambda _: "20260102-030405")
    folders = [run_folder(config, None)]
    for _ in range(2):
        folders[-1].mkdir(parents=True)
        folders.append(run_folder(config, None))
    assert len(set(folders)) == 3
    known = run_folder(config, "0123456789abcdef")
    known.mkdir()
    assert run_folder(config, "0123456789abcdef") == known


def test_no_command_lets_mlflow_report_what_is_done() -> None:
    code = (
        "from framelens_training.cli import main; main(['corpora', 'list']);"
        "from mlflow.telemetry import get_telemetry_client; print(get_telemetry_client())"
    )
    names = ("CI", "PYTEST_CURRENT_TEST", "MLFLOW_DISABLE_TELEMETRY", "DO_NOT_TRACK")
    environment = {name: value for name, value in os.environ.items() if name not in names}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "None"
