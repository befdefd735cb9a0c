"""The trials of a sweep in Optuna's storage: which are done, which come next, how it continues.

A process that is killed leaves a trial RUNNING for ever. Only one process works at a sweep, so
whatever is RUNNING when the next one starts is dead: it is failed, and its values are tried
again. The values of a trial depend on the seed, on how many were drawn before and on the
finished trials, not on the process: a continued sweep tries what an unbroken one would have
tried.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import optuna
from filelock import FileLock, Timeout
from optuna.trial import FrozenTrial, TrialState

from framelens_training.errors import SweepError, first_line
from framelens_training.output_folders import make_output
from framelens_training.search_space import Dimension, Sweep, Value

MOST_ATTEMPTS = 3
"""Times that the same values are tried if the process dies each time."""
FILE_NAME = "study.db"

State = Literal["complete", "pruned", "failed"]
_IDENTITY = "identity"
_PARENT = "mlflow_run"
_ERROR = "error"
_RETRY = "retry_of"
_SECONDS = "seconds"
_RUN = "mlflow_run"


@dataclass(frozen=True, slots=True)
class TrialResult:
    """A finished trial; `score` is the best validation score, of a pruned one so far."""

    number: int
    state: State
    values: Mapping[str, Value]
    score: float | None
    evaluations: int
    seconds: float
    error: str | None

    def row(self) -> dict[str, Any]:
        """As a row of a table."""
        return {
            "trial": self.number,
            "state": self.state,
            "score": self.score,
            "evaluations": self.evaluations,
            "seconds": round(self.seconds, 1),
            "error": self.error,
            **self.values,
        }


class Study:
    """A sweep's study: one process's way to its storage."""

    def __init__(self, sweep: Sweep, study: optuna.Study) -> None:
        self._sweep = sweep
        self._study = study

    @property
    def parent(self) -> tuple[str, str] | None:
        """The store and the id of the MLflow run in which the trials are recorded."""
        found = self._study.user_attrs.get(_PARENT)
        return None if found is None else (str(found[0]), str(found[1]))

    @parent.setter
    def parent(self, store_and_run: tuple[str, str]) -> None:
        self._study.set_user_attr(_PARENT, list(store_and_run))

    def results(self) -> list[TrialResult]:
        """The finished trials; one that was killed is not among them."""
        return [_result(trial) for trial in self._study.get_trials(deepcopy=False) if _done(trial)]

    def bury(self) -> list[tuple[int, str | None]]:
        """Fail the trials of a process that is gone, and have their values tried again.

        Returns their numbers, with the MLflow run of each.
        """
        dead = [t for t in self._study.get_trials(deepcopy=False) if t.state == TrialState.RUNNING]
        for trial in dead:
            self._study.tell(trial.number, state=TrialState.FAIL)
        trials = self._study.get_trials(deepcopy=False)
        retried = {trial.user_attrs.get(_RETRY) for trial in trials}
        for trial in trials:
            lost = trial.state == TrialState.FAIL and _ERROR not in trial.user_attrs
            if lost and trial.number not in retried and self._attempts(trial) < MOST_ATTEMPTS:
                self._study.enqueue_trial(trial.params, user_attrs={_RETRY: trial.number})
        return [(trial.number, trial.user_attrs.get(_RUN)) for trial in dead]

    def _attempts(self, trial: FrozenTrial) -> int:
        before = trial.user_attrs.get(_RETRY)
        if before is None:
            return 1
        return 1 + self._attempts(self._study.get_trials(deepcopy=False)[before])

    def ask(self) -> tuple[optuna.Trial, dict[str, Value]]:
        """The next trial and its values."""
        settings = self._sweep.settings
        trials = self._study.get_trials(deepcopy=False)
        drawn = sum(_RETRY not in trial.user_attrs for trial in trials)
        seed = int(np.random.SeedSequence((settings.seed, drawn)).generate_state(1)[0])
        self._study.sampler = optuna.samplers.TPESampler(
            seed=seed,
            n_startup_trials=settings.startup_trials,
            multivariate=False,
            constant_liar=False,
        )
        self._study.pruner = _pruner(self._sweep)
        trial = self._study.ask()
        return trial, {item.key: _suggest(trial, item) for item in self._sweep.space}

    def recorded_in(self, trial: optuna.Trial, run_id: str | None) -> None:
        """Remember a trial's MLflow run."""
        if run_id is not None:
            trial.set_user_attr(_RUN, run_id)

    def complete(self, trial: optuna.Trial, score: float, seconds: float) -> None:
        """A trial that was trained to its end."""
        trial.set_user_attr(_SECONDS, seconds)
        self._study.tell(trial, score)

    def pruned(self, trial: optuna.Trial, seconds: float) -> None:
        """A trial that was given up."""
        trial.set_user_attr(_SECONDS, seconds)
        self._study.tell(trial, state=TrialState.PRUNED)

    def failed(self, trial: optuna.Trial, error: str | None) -> None:
        """A trial that failed by its own fault; without an error, one to be tried again."""
        if error is not None:
            trial.set_user_attr(_ERROR, error)
        self._study.tell(trial, state=TrialState.FAIL)

    def importances(self) -> dict[str, float]:
        """Share of the score's variance that each setting explains (fANOVA, Hutter et al. 2014).

        Empty with fewer than four complete trials, or if they all score the same.
        """
        scores = [result.score for result in self.results() if result.state == "complete"]
        if len(scores) < 4 or len(set(scores)) == 1:
            return {}
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=self._sweep.settings.seed)
        found = optuna.importance.get_param_importances(self._study, evaluator=evaluator)
        return {key: float(value) for key, value in found.items()}


def _pruner(sweep: Sweep) -> optuna.pruners.BasePruner:
    pruning = sweep.settings.pruning
    if pruning is None:
        return optuna.pruners.NopPruner()
    return optuna.pruners.MedianPruner(
        n_startup_trials=pruning.startup_trials,
        n_warmup_steps=pruning.warmup_evaluations + 1,  # evaluations are counted from 1
    )


def _suggest(trial: optuna.Trial, dimension: Dimension) -> Value:
    if dimension.kind == "choices":
        chosen: Value = trial.suggest_categorical(dimension.key, dimension.values)
        return chosen
    low, high = dimension.bounds
    if dimension.kind == "integer":
        return trial.suggest_int(dimension.key, int(low), int(high))
    return trial.suggest_float(dimension.key, low, high, log=dimension.kind == "log_uniform")


def _done(trial: FrozenTrial) -> bool:
    if trial.state == TrialState.FAIL:
        return _ERROR in trial.user_attrs
    return trial.state in (TrialState.COMPLETE, TrialState.PRUNED)


def _result(trial: FrozenTrial) -> TrialResult:
    states: dict[TrialState, State] = {
        TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed",
    }  # fmt: skip
    seen = trial.intermediate_values
    score = trial.value if trial.state == TrialState.COMPLETE else max(seen.values(), default=None)
    return TrialResult(
        trial.number,
        states[trial.state],
        dict(trial.params),
        score,
        len(seen),
        float(trial.user_attrs.get(_SECONDS, 0.0)),
        trial.user_attrs.get(_ERROR),
    )


@contextlib.contextmanager
def opened(
    sweep: Sweep, corpora: Mapping[str, str], folder: Path, storage: str | None
) -> Iterator[Study]:
    """The study of a sweep: the one in the storage, or a new one. Nobody else may open it.

    `corpora` holds the digest of each corpus's split, and of whatever else is learnt from;
    `storage` is the URL of a database, otherwise `study.db` in the folder.

    Raises:
        SweepError: if another process works at the sweep, the storage cannot be used, or holds
            a sweep of this name that varies or trains something else.
        TrainingError: if the folder cannot be made.
    """
    make_output(folder)
    url = storage or f"sqlite:///{(folder / FILE_NAME).resolve()}"
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with FileLock(folder / "lock", timeout=0):
            yield Study(sweep, _load(sweep, corpora, url))
    except Timeout as error:
        raise SweepError(
            f"expected nobody at work in {folder}, found a process that holds its lock; wait for "
            "it, end it, or give this sweep another name"
        ) from error
    finally:
        optuna.logging.set_verbosity(verbosity)


def _load(sweep: Sweep, corpora: Mapping[str, str], url: str) -> optuna.Study:
    from sqlalchemy.exc import SQLAlchemyError

    try:
        study = optuna.create_study(
            storage=url, study_name=sweep.name, direction="maximize", load_if_exists=True
        )
    except (SQLAlchemyError, optuna.exceptions.OptunaError, ImportError, OSError) as error:
        raise SweepError(
            f"the storage {url!r} cannot be used: {type(error).__name__}: {first_line(error)}. "
            "Expected the URL of a database, such as sqlite:///sweep.db; leave --storage out to "
            "keep the trials beside the sweep's files"
        ) from error
    ours = {**sweep.identity(), **{f"corpus.{name}": digest for name, digest in corpora.items()}}
    theirs = study.user_attrs.get(_IDENTITY)
    if theirs is None:
        study.set_user_attr(_IDENTITY, ours)
    elif theirs != ours:
        changes = [
            f"{key}: {theirs.get(key, 'nothing')} before, {ours.get(key, 'nothing')} now"
            for key in sorted({*ours, *theirs})
            if ours.get(key) != theirs.get(key)
        ]
        raise SweepError(
            f"the sweep {sweep.name!r} in {url} was started with other settings, and its scores "
            "cannot be compared:\n" + "\n".join(f"  {change}" for change in changes) + "\n"
            "take the changes back to continue it, or give this sweep another name"
        )
    return study
