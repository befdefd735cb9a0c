from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml
from filelock import FileLock

from framelens_training import feature_store, preparation
from framelens_training import sweep as sweeping
from framelens_training.cli import main
from framelens_training.config import Config
from framelens_training.corpora.labelled import write_jsonl
from framelens_training.errors import (
    ConfigError,
    SweepError,
    TeacherError,
    TrainingError,
    UnfitSettingsError,
)
from framelens_training.quiet import quiet_libraries
from framelens_training.search_space import Dimension, load_sweep, with_values
from framelens_training.seen_texts import fingerprint, write_seen
from framelens_training.settings_file import load_config
from framelens_training.settings_text import flatten, to_yaml
from framelens_training.study import FILE_NAME
from framelens_training.sweep import SweepResult, search
from framelens_training.sweep_figure import TrialLine, parallel_coordinates_figure
from support import tiny_documents, write_model

pytestmark = pytest.mark.training

SPACE: Mapping[str, Any] = {
    "training.learning_rate": {"log_uniform": [1e-5, 1e-2]},
    "training.batch_tokens": {"choices": [128, 256]},
    "windows.overlap": {"integer": [4, 12]},
    "training.dropout": {"uniform": [0.0, 0.3]},
}
ROOT = Path(__file__).parents[2]

Write = Callable[..., Path]


@pytest.fixture
def write(tiny_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes a sweep over the tiny run; `run` changes the run's settings."""
    monkeypatch.chdir(tmp_path)  # MLflow keeps the files of runs in the working directory

    def write(run: Mapping[str, Any] | None = None, **settings: Any) -> Path:
        config = with_values(tiny_config, {"training.epochs": 1, **(run or {})})
        (tmp_path / "tiny.yaml").write_text(to_yaml(config), "utf-8")
        path = tmp_path / "sweep.yaml"
        settings = {"config": "tiny.yaml", "startup_trials": 3, "space": dict(SPACE), **settings}
        path.write_text(yaml.safe_dump(settings), "utf-8")
        return path

    return write


def quietly(path: Path, **options: Any) -> SweepResult:
    with quiet_libraries():
        return search(load_sweep(path), say=lambda line: None, **options)


def outcomes(result: SweepResult) -> list[tuple[str, Mapping[str, Any], float | None]]:
    return [(trial.state, trial.values, trial.score) for trial in result.trials]


def test_the_shipped_sweep_can_be_loaded() -> None:
    sweep = load_sweep(ROOT / "configs" / "sweeps" / "quickstart.yaml", ["training.epochs=2"])
    assert sweep.name == "quickstart-sweep"
    assert sweep.base.training.epochs == 2
    assert len(sweep.space) == 4


def test_all_problems_of_a_search_space_come_in_one_report(write: Write) -> None:
    path = write(
        trials=0,
        space={
            "training.lerning_rate": {"log_uniform": [1e-5, 1e-3]},
            "training.learning_rate": {"log_unifrom": [1e-5, 1e-3]},
            "training.head_learning_rate": {"log_uniform": [0, 1e-3]},
            "training.weight_decay": {"uniform": [0.1, 0.01]},
            "training.dropout": {"uniform": [0.0, 1.5]},
            "training.batch_tokens": {"uniform": [256, 512]},
            "windows.overlap": {"choices": [4, 400]},
            "training.balance": {"choices": [True]},
            "training.epochs": 3,
            "seed": {"integer": [1, 9]},
            "corpora.root": {"choices": ["a", "b"]},
            "corpora.use.1.weight": {"uniform": [0.5, 1.5]},
        },
    )
    with pytest.raises(ConfigError) as refused:
        load_sweep(path)
    problems = "\n".join(refused.value.problems)
    for expected in (
        r"^trials: input should be greater than or equal to 1; found 0",
        r"^space\.training\.lerning_rate: .* did you mean 'training\.learning_rate'\?",
        r"^space\.training\.learning_rate: .* did you mean 'log_uniform'\?",
        r"^space\.training\.head_learning_rate: expected bounds above 0",
        r"^space\.training\.weight_decay: expected low < high",
        r"^space\.training\.dropout: 1\.5: input should be less than or equal to 1",
        r"^space\.training\.batch_tokens: 256\.0: .*integer.*; use integer: \[low, high\]",
        r"^space\.windows\.overlap: 400: expected overlap < max_tokens - 2",
        r"^space\.training\.balance: expected two or more different choices",
        r"^space\.training\.epochs: expected one of uniform, log_uniform",
        r"^space\.seed: this setting cannot be searched: luck is no setting",
        r"^space\.corpora\.root: this setting cannot be searched",
        r"^space\.corpora\.use\.1\.weight: .* did you mean 'corpora\.use\.0\.weight'\?",
    ):
        assert re.search(expected, problems, re.MULTILINE), (expected, problems)
    assert len(refused.value.problems) == 14  # both bounds of batch_tokens are refused


def test_problems_of_the_run_are_told_with_the_space(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(space={"training.dropout": {"uniform": [1, 0]}})
    assert main(["sweep", str(path), "--set", "training.epochs=0"]) == 2
    shown = capsys.readouterr().err
    assert "2 problem(s)" in shown
    assert "training.epochs: input should be greater" in shown
    assert "expected low < high" in shown


def test_a_run_is_no_sweep(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", str(ROOT / "configs" / "quickstart.yaml")]) == 2
    assert "this is a run's config" in capsys.readouterr().err


def children(config: Config, parent: str) -> list[Any]:
    import mlflow

    client = mlflow.MlflowClient(config.tracking.uri)
    experiment = client.get_run(parent).info.experiment_id
    query = f"tags.`mlflow.parentRunId` = '{parent}'"
    return list(client.search_runs([experiment], query, order_by=["attributes.start_time"]))


def test_a_killed_sweep_continues_to_what_an_unbroken_one_finds(
    write: Write, tiny_config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import mlflow

    path = write(trials=8, pruning=None)
    log = tmp_path / "log.txt"
    folder = Path(tiny_config.output) / "tiny-sweep"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = os.pathsep.join(str(ROOT / n) for n in ("inference", "training"))
    command = [sys.executable, "-m", "framelens_training.cli", "sweep", str(path)]
    with log.open("wb") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=stream, env=environment)
        deadline = time.monotonic() + 240
        while not (folder / "trial-003").exists():  # the fourth is training
            assert process.poll() is None, log.read_text("utf-8")
            assert time.monotonic() < deadline, log.read_text("utf-8")
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
    study = optuna.load_study(study_name="tiny-sweep", storage=f"sqlite:///{folder / FILE_NAME}")
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 3 + ["RUNNING"]

    assert main(["sweep", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "Trial 3 was cut short" in shown
    states = [trial.state.name for trial in study.trials]
    assert states == ["COMPLETE"] * 3 + ["FAIL"] + ["COMPLETE"] * 5
    assert study.trials[4].params == study.trials[3].params
    assert not list(folder.glob("trial-*"))

    parent, _ = study.user_attrs["mlflow_run"][::-1]
    run = mlflow.MlflowClient(tiny_config.tracking.uri).get_run(parent)
    assert run.info.status == "FINISHED"
    assert run.data.metrics["sweep/complete"] == 8
    recorded = {child.info.run_name: child for child in children(tiny_config, parent)}
    killed = recorded.pop("trial-003")
    assert killed.info.status == "KILLED"
    assert killed.data.tags["framelens.trial"] == "killed"
    assert {child.info.status for child in recorded.values()} == {"FINISHED"}
    assert len(recorded) == 8
    assert {child.data.tags["framelens.trial"] for child in recorded.values()} == {"complete"}
    every = mlflow.MlflowClient(tiny_config.tracking.uri).search_runs([run.info.experiment_id])
    assert len(every) == 10  # one parent for both processes

    # What the sweep found does not depend on its being cut short.
    again = quietly(write(trials=8, pruning=None, name="unbroken"), tracking=False)
    finished = [trial for trial in study.trials if trial.state.name == "COMPLETE"]
    assert [(t.params, t.value) for t in finished] == [
        (trial.values, trial.score) for trial in again.trials
    ]
    assert len({tuple(trial.values.values()) for trial in again.trials}) == 8

    # The best config is a run's, with the best trial's values.
    best = load_config(folder / "best.yaml")
    settings = flatten(best.to_dict())
    assert {key: settings[key] for key in SPACE} == dict(again.best.values)
    assert best.name == "tiny"

    # One that is gone on with records its figures anew.
    assert main(["sweep", str(write(trials=8, pruning=None)), "--trials", "9"]) == 0
    run = mlflow.MlflowClient(tiny_config.tracking.uri).get_run(parent)
    assert run.data.metrics["sweep/complete"] == 9


def test_a_trial_that_lags_behind_is_given_up(write: Write, tiny_config: Config) -> None:
    # Chosen so that trials differ as day and night: a rate of 0.00000001 learns nothing.
    path = write(
        {"training.epochs": 3},
        trials=6,
        startup_trials=6,
        pruning={"startup_trials": 1, "warmup_evaluations": 1},
        space={
            "training.learning_rate": {"choices": [1e-8, 3e-3]},
            "training.head_learning_rate": {"choices": [1e-8, 1e-2]},
        },
    )
    result = quietly(path)
    pruned = [trial for trial in result.trials if trial.state == "pruned"]
    assert pruned
    assert all(trial.evaluations == 2 for trial in pruned)  # never after the first
    assert all(trial.values["training.head_learning_rate"] == 1e-8 for trial in pruned)
    assert result.best.evaluations == 3
    assert result.run_id is not None
    recorded = {c.info.run_name: c for c in children(tiny_config, result.run_id)}
    for trial in result.trials:
        child = recorded[f"trial-{trial.number:03}"]
        assert child.info.status == "FINISHED"
        assert child.data.tags["framelens.trial"] == trial.state
        assert child.data.metrics["sweep/score"] == pytest.approx(trial.score)
        assert not [name for name in child.data.metrics if name.startswith("test/")]
        history = [v for k, v in child.data.metrics.items() if k == "validation/score"]
        assert history


def test_a_sweep_never_reads_a_test_document(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    featurize = feature_store.featurize_corpus

    def spying(documents: Any, *rest: Any) -> Any:
        seen.extend(document.id for document in documents)
        return featurize(documents, *rest)

    monkeypatch.setattr(feature_store, "featurize_corpus", spying)
    quietly(write(trials=1), tracking=False)
    assert {"d0", "d100"} <= set(seen)
    assert not {name for name in seen if name.startswith("d2") and len(name) == 4}


class _Trainer:
    """Stands in for training: gives scores, or raises."""

    def __init__(self, outcomes: list[float | BaseException]) -> None:
        self.outcomes = outcomes

    def __call__(self, *arguments: Any, callbacks: list[Any]) -> None:
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, BaseException):
            raise outcome
        (callback,) = callbacks
        state = type("State", (), {"global_step": 1, "max_steps": 1})()
        callback.on_evaluate(None, state, None, metrics={"eval_score": outcome})


def test_an_encoder_that_learnt_from_validation_is_refused(write: Write, tmp_path: Path) -> None:
    held = [replace(d, headline=f"Held out {d.id}") for d in tiny_documents(5, 100)]
    write_jsonl([replace(d, segments=d.segments[1:]) for d in held], tmp_path / "h.jsonl")
    write_seen(tmp_path, map(fingerprint, held))
    run = {
        "corpora.use.0.files.validation": str(tmp_path / "h.jsonl"),
        "encoder": str(write_model(tmp_path / "model")),
    }
    with pytest.raises(TeacherError, match="was trained on 5 of them: d100"):
        quietly(write(run, trials=1), tracking=False)


def test_teachers_are_asked_as_in_a_run(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    def spying(teachers: Any, corpora: Any, train: Any, say: Any, **how: Any) -> Any:
        asked.append(how)
        return train

    monkeypatch.setattr(sweeping, "load_teachers", lambda config: [])
    monkeypatch.setattr(preparation, "taught", spying)
    monkeypatch.setattr(sweeping, "train_model", _Trainer([0.5]))
    run = {
        "teacher": ["runs/a"],
        "distillation": {"unseen": True, "asked_about": {"runs/a": ["files"]}},
    }
    quietly(write(run, trials=1), tracking=False)
    assert asked == [{"unseen": True, "asked_about": {"runs/a": ("files",)}}]


def test_what_the_score_says_nothing_of_cannot_be_searched(write: Write) -> None:
    space = {
        "training.average": {"choices": [True, False]},
        "training.average_from": {"integer": [1, 3]},
        "training.average_start": {"uniform": [0.0, 0.5]},
        "training.average_with.share": {"uniform": [0.0, 0.5]},
    }
    with pytest.raises(ConfigError) as refused:
        load_sweep(write(space=space))
    assert len(refused.value.problems) == len(space)
    assert all("not of a mean of weights" in problem for problem in refused.value.problems)


def test_a_trial_that_learns_less_than_others_is_not_compared_with_them(write: Write) -> None:
    space = {"training.loss_weights.attributed": {"choices": [0.0, 0.5]}}
    with pytest.raises(ConfigError, match=r"attributed: 0\.0: what a trial does not learn"):
        load_sweep(write(space=space))
    space["training.loss_weights.attributed"] = {"choices": [0.1, 0.5]}
    assert load_sweep(write(space=space)).space[0].values == (0.1, 0.5)


def test_one_failure_is_a_result_and_two_in_a_row_are_an_error(
    write: Write, monkeypatch: pytest.MonkeyPatch, tiny_config: Config
) -> None:
    broken = TrainingError("the loss is not finite")
    trainer = _Trainer([broken])
    monkeypatch.setattr(sweeping, "train_model", trainer)
    path = write(trials=4)
    with pytest.raises(TrainingError, match="not finite"):  # the first of all
        quietly(path)
    trainer.outcomes = [0.4, broken, 0.6, 0.5]
    result = quietly(path)
    assert [trial.state for trial in result.trials] == [
        "complete",
        "failed",
        "complete",
        "complete",
    ]
    assert result.trials[1].error == "TrainingError: the loss is not finite"
    assert result.best.score == 0.6
    assert result.run_id is not None
    statuses = [child.info.status for child in children(tiny_config, result.run_id)]
    assert statuses == ["FAILED", "FINISHED", "FAILED", "FINISHED", "FINISHED"]
    trainer.outcomes = [broken, broken]
    with pytest.raises(TrainingError, match="not finite"):
        quietly(path, trials=6)
    trainer.outcomes = [0.7]
    assert len(quietly(path, trials=6).trials) == 6


def test_values_that_are_refused_do_not_stop_a_sweep(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = UnfitSettingsError("training.frozen_layers: expected at most 2, found 3")
    trainer = _Trainer([refused])
    monkeypatch.setattr(sweeping, "train_model", trainer)
    path = write(trials=4)
    with pytest.raises(UnfitSettingsError):  # the first of all
        quietly(path, tracking=False)
    trainer.outcomes = [0.4, refused, refused, 0.6]
    result = quietly(path, tracking=False)
    assert [trial.state for trial in result.trials] == ["complete", "failed", "failed", "complete"]
    assert result.trials[2].error == f"UnfitSettingsError: {refused}"
    broken = TrainingError("the loss is not finite")
    trainer.outcomes = [refused, broken, 0.7]  # one failure, which no other stands before
    assert [trial.state for trial in quietly(path, trials=7, tracking=False).trials[4:]] == [
        "failed", "failed", "complete",
    ]  # fmt: skip


def test_an_interrupted_trial_is_tried_again_three_times_at_most(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = _Trainer([])
    monkeypatch.setattr(sweeping, "train_model", trainer)
    path = write(trials=2)
    for _ in range(3):
        trainer.outcomes = [KeyboardInterrupt()]
        with pytest.raises(KeyboardInterrupt):
            quietly(path, tracking=False)
    trainer.outcomes = [0.5, 0.5]
    quietly(path, tracking=False)
    folder = next(Path(load_sweep(path).base.output).iterdir())
    study = optuna.load_study(study_name="tiny-sweep", storage=f"sqlite:///{folder / FILE_NAME}")
    tried = [trial.params for trial in study.trials]
    assert tried[0] == tried[1] == tried[2]
    assert tried[3] != tried[0]


def test_a_changed_sweep_is_not_continued(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeping, "train_model", _Trainer([0.5, 0.4, 0.6]))
    quietly(write(trials=1), tracking=False)
    with pytest.raises(SweepError) as refused:
        quietly(write({"training.balance": False}, trials=1, seed=14), tracking=False)
    assert "config.training.balance: True before, False now" in str(refused.value)
    assert "sweep.seed: 13 before, 14 now" in str(refused.value)
    more = quietly(write({"threads": 2}, trials=3), tracking=False)  # neither counts
    assert [trial.score for trial in more.trials] == [0.5, 0.4, 0.6]


def test_a_sweep_of_another_encoder_or_other_texts_is_not_continued(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "train_model", _Trainer([0.5, 0.4]))
    texts = tmp_path / "texts.jsonl"
    found: list[dict[str, str]] = [{}]
    monkeypatch.setattr(sweeping, "_others", lambda config, corpora: found[-1])
    quietly(write(trials=1), tracking=False)
    found.append({"encoder": "another"})
    with pytest.raises(SweepError, match=r"corpus\.encoder"):
        quietly(write(trials=2), tracking=False)

    monkeypatch.undo()
    model, teacher = (str(write_model(tmp_path / name)) for name in ("model", "teacher"))
    write_jsonl(tiny_documents(3), texts)
    changes = {
        "encoder": model,
        "teacher": [teacher],
        "distillation": {"unlabelled": [str(texts)]},
    }
    config = load_sweep(write(changes)).base
    before = sweeping._others(config, [])
    assert set(before) == {"encoder", f"teacher.{teacher}", "unlabelled texts.jsonl"}
    write_jsonl(tiny_documents(4), texts)
    write_model(tmp_path / "teacher", {"shameful": {"framed": 1.0}})
    (tmp_path / "model/model.onnx").write_bytes(b"another")
    after = sweeping._others(config, [])
    assert all(before[name] != after[name] for name in before)


def test_two_processes_do_not_work_at_one_sweep(write: Write, tiny_config: Config) -> None:
    path = write(trials=1)
    folder = Path(tiny_config.output) / "tiny-sweep"
    folder.mkdir(parents=True)
    with FileLock(folder / "lock"), pytest.raises(SweepError, match="holds its lock"):
        quietly(path, tracking=False)


def test_a_storage_of_ones_own(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(sweeping, "train_model", _Trainer([0.5]))
    path = str(write(trials=3))
    options = ["--no-tracking", "--trials", "1", "--storage"]
    assert main(["sweep", path, *options, f"sqlite:///{tmp_path}/own.db"]) == 0
    assert (tmp_path / "own.db").is_file()
    assert "framelens-train run" in capsys.readouterr().out
    assert main(["sweep", path, *options, "sqlight:///x.db"]) == 1
    assert "Expected the URL of a database" in capsys.readouterr().err


def test_the_figure_has_a_line_for_each_trial() -> None:
    space = (
        Dimension("training.learning_rate", "log_uniform", (1e-5, 1e-3)),
        Dimension("training.batch_tokens", "choices", (256, 512)),
    )
    values = [
        {"training.learning_rate": rate, "training.batch_tokens": 512} for rate in (1e-5, 1e-4)
    ]
    trials = [TrialLine(values[0], None), TrialLine(values[1], 0.7)]
    figure = parallel_coordinates_figure(space, trials, {"training.batch_tokens": 0.25}, "title")
    axes = figure.axes[0]
    drawn = [line for line in axes.lines if len(line.get_xdata()) == 3]  # type: ignore[arg-type]
    assert [list(line.get_ydata()) for line in drawn] == [[pytest.approx(0.5), 1.0, 0.0]]  # type: ignore[arg-type]
    assert "1 complete, 1 given up" in axes.get_title()
    assert "(importance 0.25)" in axes.get_xticklabels()[1].get_text()
