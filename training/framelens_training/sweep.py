"""A search for better settings: trials that are trained, compared on validation, and given up.

The score of a trial is the best validation score of its training, the one that early stopping
looks at. No trial sees a test document: the best of many is too good on what chose it, so its
test figures come from `framelens-train run` with the config that the sweep writes.
"""

from __future__ import annotations

import contextlib
import math
import shlex
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import (
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
    set_seed,
)

from framelens_training.config import Config, without_credentials
from framelens_training.corpora.base import Split
from framelens_training.data import LoadedCorpus, load_corpora, refuse_overlap, told_apart
from framelens_training.distillation import unlabelled_corpora
from framelens_training.environment import usable_cores
from framelens_training.errors import (
    ConfigError,
    StudentError,
    SweepError,
    UnfitSettingsError,
    first_line,
)
from framelens_training.model_training import train_model
from framelens_training.origins import origins_of
from framelens_training.preparation import prepared
from framelens_training.progress import Say, silent
from framelens_training.run_tracking import record_inputs
from framelens_training.search_space import Sweep, Value
from framelens_training.settings_text import to_yaml
from framelens_training.study import Study, TrialResult, opened
from framelens_training.sweep_figure import TrialLine, parallel_coordinates_figure
from framelens_training.teachers import load_teachers
from framelens_training.text_tables import aligned
from framelens_training.tracker import NullTracker, Tracker
from framelens_training.tracking import not_recorded, tracked_run
from framelens_training.tracking_store import asking, store_uri
from framelens_training.trainer import BEST_METRIC

if TYPE_CHECKING:
    import optuna

BEST_FILE = "best.yaml"
_TRIAL_TAG = "framelens.trial"
_REFUSALS = (ConfigError, StudentError, UnfitSettingsError)
"""Errors by which a trial's values are refused."""
_TRAINED_ON: tuple[Split, ...] = ("train", "validation")


@dataclass(frozen=True, slots=True)
class SweepResult:
    """A sweep with all of its trials."""

    run_id: str | None
    folder: Path
    trials: tuple[TrialResult, ...]
    importances: Mapping[str, float]
    page: str | None = None
    """Where MLflow shows it."""
    unrecorded: tuple[str, ...] = ()
    """What the tracking store lacks, as `not_recorded` tells it."""

    @property
    def best(self) -> TrialResult:
        """The complete trial with the highest validation score.

        Raises:
            SweepError: if there is none.
        """
        found = best_of(self.trials)
        if found is None:
            raise SweepError("expected a complete trial, found none")
        return found

    @property
    def best_config(self) -> Path:
        """The config of the best trial, for `framelens-train run`."""
        return self.folder / BEST_FILE


def best_of(trials: Sequence[TrialResult]) -> TrialResult | None:
    """The complete trial with the highest score; the first of equals."""
    complete = [trial for trial in trials if trial.state == "complete"]
    return max(complete, key=lambda trial: trial.score or 0.0, default=None)


class PruningCallback(TrainerCallback):
    """Reports each validation score to a trial, and ends its training when it is given up."""

    def __init__(self, trial: optuna.Trial, say: Say) -> None:
        self._trial = trial
        self._say = say
        self._evaluations = 0
        self.best: float | None = None
        self.pruned = False

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """Report, and stop at the next chance if the trial lags behind the others."""
        score = float(kwargs["metrics"][BEST_METRIC])
        self.best = score if self.best is None else max(self.best, score)
        self._evaluations += 1
        self._trial.report(score, self._evaluations)
        self._say(f"  evaluation {self._evaluations}: {score:.4f}")
        if state.global_step < state.max_steps and self._trial.should_prune():
            self.pruned = True
            control.should_training_stop = True


def search(
    sweep: Sweep,
    *,
    trials: int | None = None,
    storage: str | None = None,
    tracking: bool = True,
    say: Say = print,
) -> SweepResult:
    """Run a sweep, or what is left of it, until `trials` trials are finished.

    A trial that fails counts as finished, unless two fail in a row or the first does: then the
    cause is hardly in its values, and the error is raised. Values that are refused are themselves
    the cause, however many trials in a row have such.

    Raises:
        SweepError: if the sweep cannot be started or continued.
        TrainingError: if the encoder or a corpus cannot be used, or a teacher or the encoder has
            learnt from what is held out.
    """
    count = trials or sweep.settings.trials
    torch.set_num_threads(sweep.base.threads or usable_cores())
    corpora = load_corpora(sweep.base)
    refuse_overlap(corpora)
    digests = {
        f"{number}.{split}": item.digests[split]
        for number, item in enumerate(corpora)
        for split in _TRAINED_ON
    }
    digests |= _others(sweep.base, corpora)
    folder = Path(sweep.base.output).expanduser() / sweep.name
    with opened(sweep, digests, folder, storage) as study:
        dead = study.bury()
        for number, _ in dead:
            shutil.rmtree(_trial_folder(folder, number), ignore_errors=True)
            say(f"Trial {number} was cut short; its values are tried again")
        worker = _Worker(sweep, study, corpora, folder, count, say)
        if not tracking:
            return worker.work(NullTracker())
        config = sweep.base.model_copy(update={"name": sweep.name, "output": str(folder)})
        uri = store_uri(config.tracking.uri)
        parent = _known_parent(study, uri, [run_id for _, run_id in dead if run_id])
        with tracked_run(config, parent) as tracker:
            if parent is None:
                record_inputs(sweep.base, corpora, tracker)
                tracker.text(_space_text(sweep), "sweep.txt")
            if tracker.run_id is not None:
                study.parent = (without_credentials(uri), tracker.run_id)
            result = worker.work(tracker)
        return replace(result, page=tracker.page(uri), unrecorded=tuple(not_recorded(tracker)))


def _others(config: Config, corpora: Sequence[LoadedCorpus]) -> dict[str, str]:
    """Digests of what else the trials learn from: unlabelled texts, teachers, weights."""
    texts = told_apart(unlabelled_corpora(config, corpora, silent))
    found = {item.name: item.digests["train"] for item in texts}
    found |= {f"teacher.{teacher.name}": teacher.digest for teacher in load_teachers(config)}
    return found | {origin.setting: origin.digest for origin in origins_of(config)}


def _known_parent(study: Study, uri: str, dead: Sequence[str]) -> str | None:
    """The MLflow run of an earlier process, if this store still has it.

    The runs of its dead trials are ended, also if they ran on another machine.
    """
    if study.parent is None or study.parent[0] != without_credentials(uri):
        return None

    with asking(uri) as client:
        from mlflow.exceptions import MlflowException

        for run_id in dead:
            with contextlib.suppress(MlflowException):  # it may have been deleted
                client.set_tag(run_id, _TRIAL_TAG, "killed")
                if client.get_run(run_id).info.status == "RUNNING":
                    client.set_terminated(run_id, "KILLED")
        with contextlib.suppress(MlflowException):
            run = client.get_run(study.parent[1])
            return str(run.info.run_id) if run.info.lifecycle_stage == "active" else None
    return None


def _trial_folder(folder: Path, number: int) -> Path:
    return folder / f"trial-{number:03}"


def _space_text(sweep: Sweep) -> str:
    lines = [f"{dimension.key}: {dimension}" for dimension in sweep.space]
    return "\n".join([f"trials are drawn with seed {sweep.settings.seed} from", *lines, ""])


@dataclass(frozen=True, slots=True)
class _Worker:
    """What the trials of a process share."""

    sweep: Sweep
    study: Study
    corpora: Sequence[LoadedCorpus]
    folder: Path
    count: int
    say: Say

    def work(self, tracker: Tracker) -> SweepResult:
        """Trials until there are enough, and what came of them all."""
        while len(self.study.results()) < self.count:
            self._trial(tracker)
        self._write_best()
        trials = tuple(self.study.results())
        result = SweepResult(tracker.run_id, self.folder, trials, self.study.importances())
        self._record(result, tracker)
        return result

    def _trial(self, tracker: Tracker) -> None:
        trial, values = self.study.ask()
        done = len(self.study.results())
        shown = ", ".join(f"{key.rpartition('.')[2]} {_short(v)}" for key, v in values.items())
        self.say(f"Trial {trial.number} ({done} of {self.count} done): {shown}")
        folder = _trial_folder(self.folder, trial.number)
        started = time.monotonic()
        callback = PruningCallback(trial, self.say)
        try:
            with tracker.child(folder.name) as child:
                self.study.recorded_in(trial, child.run_id)
                child.params(values)
                self._train(values, callback, folder, child)
                score = math.nan if callback.best is None else callback.best
                child.metrics({"sweep/score": score})
                child.tags({_TRIAL_TAG: "pruned" if callback.pruned else "complete"})
        except Exception as error:
            message = f"{type(error).__name__}: {first_line(error)}"
            tolerable = self._is_tolerable(message)
            self.study.failed(trial, message if tolerable else None)
            if not tolerable:
                raise
            self.say(f"  failed: {message}")
            return
        except BaseException:
            self.study.failed(trial, None)
            raise
        finally:
            shutil.rmtree(folder, ignore_errors=True)  # checkpoints of a model that is not kept
        seconds = time.monotonic() - started
        if callback.pruned:
            self.study.pruned(trial, seconds)
            self.say(f"  given up: best validation score so far {score:.4f}")
        else:
            self.study.complete(trial, score, seconds)
            self._write_best()
            self.say(f"  validation score {score:.4f}, {seconds:.0f} s")

    def _is_tolerable(self, message: str) -> bool:
        """Whether a sweep goes on after a trial that failed so: not if it is the first one, nor if
        it and the one before it failed by more than their values.
        """
        before = self.study.results()
        if not before or _is_refusal(message):
            return bool(before)
        last = before[-1]
        return last.state != "failed" or _is_refusal(last.error or "")

    def _train(
        self, values: Mapping[str, Value], callback: PruningCallback, folder: Path, tracker: Tracker
    ) -> None:
        config = self.sweep.config_of(values)
        set_seed(config.seed)
        corpora = [
            replace(item, weight=use.weight)
            for item, use in zip(self.corpora, config.corpora.use, strict=True)
        ]
        corpora += unlabelled_corpora(config, corpora, silent)
        teachers = load_teachers(config)
        setup, _ = prepared(config, corpora, teachers, silent, _TRAINED_ON)
        tracker.tags({"framelens.config_sha256": config.digest()})
        tracker.text(to_yaml(config), "config.yaml")
        train_model(
            config,
            setup,
            folder,
            tracker,
            silent,  # a trial's steps would drown what the sweep says
            callbacks=[callback],
        )

    def _write_best(self) -> None:
        best = best_of(self.study.results())
        if best is None:
            return
        title = (
            f"# The best of the sweep {self.sweep.name}: trial {best.number}, validation score "
            f"{best.score:.4f}.\n"
        )
        text = title + to_yaml(self.sweep.config_of(best.values))
        (self.folder / BEST_FILE).write_text(text, "utf-8")

    def _record(self, result: SweepResult, tracker: Tracker) -> None:
        states = [trial.state for trial in result.trials]
        tracker.metrics(
            {
                "sweep/best_score": result.best.score or 0.0,
                **{f"sweep/{state}": states.count(state) for state in set(states)},
                **{f"sweep/importance/{key}": v for key, v in result.importances.items()},
            },
            step=len(result.trials),  # a sweep that is gone on with has later figures
        )
        tracker.tags({"framelens.sweep.best_trial": str(result.best.number)})
        tracker.text(result.best_config.read_text("utf-8"), BEST_FILE)
        tracker.table([trial.row() for trial in result.trials], "sweep/trials.json")
        lines = [
            TrialLine(trial.values, trial.score if trial.state == "complete" else None)
            for trial in result.trials
            if trial.state != "failed"
        ]
        figure = parallel_coordinates_figure(
            self.sweep.space, lines, result.importances, self.sweep.name
        )
        figure.savefig(self.folder / "parallel_coordinates.png", dpi=150)
        tracker.figure(figure, "figures/parallel_coordinates.png")


def _is_refusal(message: str) -> bool:
    return message.partition(":")[0] in {kind.__name__ for kind in _REFUSALS}


def _short(value: Value) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def sweep_lines(result: SweepResult) -> list[str]:
    """The trials for a person to read, best first, and what to do next."""
    order = {"complete": 0, "pruned": 1, "failed": 2}
    trials = sorted(result.trials, key=lambda t: (order[t.state], -(t.score or 0.0), t.number))
    keys = list(result.best.values)
    rows = [["trial", "state", "score", *(key.rpartition(".")[2] for key in keys)]]
    rows += [
        [
            str(trial.number),
            trial.state,
            "-" if trial.score is None else f"{trial.score:.4f}",
            *(_short(trial.values[key]) for key in keys),
        ]
        for trial in trials
    ]
    lines = ["", *aligned(rows)]
    if result.importances:
        ranked = sorted(result.importances.items(), key=lambda item: -item[1])
        shown = ", ".join(f"{key.rpartition('.')[2]} {value:.2f}" for key, value in ranked)
        lines += ["", f"importance {shown}"]
    lines += [
        "",
        "scores are on validation, and the best of many is flattered: test figures come from",
        f"  framelens-train run {shlex.quote(str(result.best_config))}",
    ]
    return lines
