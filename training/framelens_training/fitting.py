"""A model fitted to windows: from its first step, or a checkpoint, to the weights that are kept."""

from __future__ import annotations

import functools
import json
import logging
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from safetensors.torch import load_file
from transformers import (
    EarlyStoppingCallback,
    PrinterCallback,
    TrainerCallback,
    TrainerState,
    set_seed,
)

from framelens_training.checkpoints import Checkpoints, saving
from framelens_training.config import LOSS_PARTS, Config, LossPart, Training
from framelens_training.dataset import TokenBudgetSampler, WindowDataset, collate
from framelens_training.errors import UnfitSettingsError
from framelens_training.model import SegmentSpanModel
from framelens_training.parameter_groups import freeze
from framelens_training.processes import ALONE, Processes
from framelens_training.run_weights import STATE, TRAINED, WEIGHTS
from framelens_training.trainer import (
    MEAN_METRIC,
    Checkpointing,
    Describe,
    Evaluator,
    WindowTrainer,
    evaluation_interval,
    training_arguments,
)
from framelens_training.weight_averaging import FOLDER as EVALUATED
from framelens_training.weight_averaging import (
    START,
    EvaluatedWeights,
    KeepingEvaluated,
    with_share_of,
)
from framelens_training.whole_files import write_whole

History = Sequence[Mapping[str, Any]]
"""Entries of the Trainer's log, each with its step."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Fitted:
    """The step whose weights a training chose, and what the Trainer logged on the way."""

    step: int
    history: History

    def write(self, folder: Path) -> None:
        """Note in a run's folder that its training has ended."""
        write_whole(folder / TRAINED, json.dumps({"step": self.step, "history": self.history}))

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """What `write` wrote, None if the training of the run has not ended."""
        path = folder / TRAINED
        return cls(**json.loads(path.read_text("utf-8"))) if path.is_file() else None


def fit(
    config: Config,
    model: SegmentSpanModel,
    dataset: WindowDataset,
    evaluator: Evaluator,
    checkpoints: Checkpoints,
    callbacks: Sequence[TrainerCallback],
    *,
    processes: Processes = ALONE,
    describe: Describe = lambda window: f"{len(window.features.input_ids)} tokens",
    learnt: Collection[LossPart] = LOSS_PARTS,
    known: Collection[LossPart] = LOSS_PARTS,
) -> Fitted:
    """Train until the validation score stops rising; the model gets the weights of the best step.

    With `training.average` it gets the mean of the weights at the evaluations instead, from
    `training.average_from` on, and with a share of those that it began with
    (`training.average_start`), but for the answers to parts that were not `known` then; the best
    step's checkpoint then holds them. Of the parts that are not `learnt` it gets those of a model
    that is mixed in (`training.average_with`).

    Goes on from the latest of the checkpoints, if there is any.

    Raises:
        NonFiniteLossError: if the loss or the gradients stop being finite numbers.
        CheckpointError: if a checkpoint cannot be written.
        UnfitSettingsError: if there are fewer windows than a step needs, the encoder's layers do
            not allow what is set for them, or there will be too few evaluations for
            `training.average_from`.
    """
    set_seed(config.seed)
    settings = config.training
    freeze(model, settings.frozen_layers)
    sampler = TokenBudgetSampler(
        dataset,
        settings.batch_tokens,
        config.seed,
        accumulate=settings.accumulate,
        processes=processes,
    )
    evaluated = EvaluatedWeights(checkpoints.folder / EVALUATED)
    # Rank 0 looks for all: another could look when a damaged one has been passed over already.
    start = processes.broadcast(checkpoints.latest() if processes.is_main else None)
    if start is None:
        _refuse_too_few_evaluations(settings, len(sampler.steps))
        if settings.average and settings.average_start and processes.is_main:
            saving(lambda: evaluated.save(START, model), checkpoints)
    state = None if start is None else _state_of(checkpoints, start)
    if state is None or not _is_over(state):
        keeping: list[TrainerCallback] = []
        if settings.average and processes.is_main:
            write = functools.partial(saving, checkpoints=checkpoints)
            keeping.append(KeepingEvaluated(evaluated, model, write))
        trainer = _trainer(
            config,
            model,
            dataset,
            sampler,
            evaluator,
            checkpoints,
            [*keeping, *callbacks],
            processes,
            describe,
        )
        with _same_bits(settings.deterministic):
            trainer.train(None if start is None else str(checkpoints.path(start)))
        state = trainer.state
    step = state.global_step if state.best_global_step is None else state.best_global_step
    processes.wait()
    mean = None
    if settings.average:
        mean = _mean(evaluated, state.global_step, settings, learnt, known)
    if mean is None:
        load_weights(model, checkpoints, step)
        return Fitted(step, list(state.log_history))
    model.load_state_dict(mean)
    score = evaluator(model)["score"]
    line = {"step": state.global_step, MEAN_METRIC: score}
    if processes.is_main:
        saving(lambda: checkpoints.put_weights(step, mean), checkpoints)
    return Fitted(step, [*state.log_history, line])


def _trainer(
    config: Config,
    model: SegmentSpanModel,
    dataset: WindowDataset,
    sampler: TokenBudgetSampler,
    evaluator: Evaluator,
    checkpoints: Checkpoints,
    callbacks: Sequence[TrainerCallback],
    processes: Processes,
    describe: Describe,
) -> WindowTrainer:
    """The Trainer of a config, with early stopping and checkpoints by the clock."""
    arguments = training_arguments(
        config,
        str(checkpoints.folder),
        len(sampler.steps),
        has_unused=processes.count > 1 and _has_unused(model, dataset),
    )
    trainer = WindowTrainer(
        model=model,
        dataset=dataset,
        sampler=sampler,
        evaluator=evaluator,
        config=config,
        arguments=arguments,
        callbacks=[
            EarlyStoppingCallback(config.training.patience),
            Checkpointing(config.training.checkpoint_minutes, processes),
            *callbacks,
        ],
        checkpoints=checkpoints,
        processes=processes,
        describe=describe,
    )
    trainer.remove_callback(PrinterCallback)  # the tracker's callback speaks to people
    return trainer


def _refuse_too_few_evaluations(settings: Training, steps: int) -> None:
    """Make sure that a mean of weights can be had, as far as the number of steps tells.

    Raises:
        UnfitSettingsError: if not.
    """
    interval = evaluation_interval(settings, steps)
    evaluations = -(-steps // interval)
    most = settings.last_of_mean(evaluations)
    if settings.average and settings.average_from > most:
        raise UnfitSettingsError(
            f"training.average_from: expected at most {most}, as {steps} steps have {evaluations} "
            f"evaluations, one every {interval} steps and one at the end, found "
            f"{settings.average_from}; lower it, or train on more windows or for more epochs"
        )


def _mean(
    evaluated: EvaluatedWeights,
    last: int,
    settings: Training,
    learnt: Collection[LossPart],
    known: Collection[LossPart],
) -> Mapping[str, torch.Tensor] | None:
    """The mean of the weights up to the last step, as `fit` says; None of too few evaluations.

    With another model to mix in, of whatever evaluations there were: a model that answers as that
    one answers has to have its share.
    """
    other = settings.average_with
    mean = evaluated.mean(
        last,
        first=settings.average_from,
        start=settings.average_start,
        known=known,
        fewest=1 if other else 2,
    )
    if mean is None and other is not None:
        log.warning(
            "training.average_from: fewer than %d evaluations, the training ended before; the "
            "mean takes in all that there were",
            settings.average_from,
        )
        mean = evaluated.mean(last, start=settings.average_start, known=known, fewest=1)
    if mean is None:
        log.warning(
            "training.average: too few evaluations from number %d on for a mean, the training "
            "ended before; the weights are those of its best step",
            settings.average_from,
        )
        return None
    return mean if other is None else with_share_of(mean, other, learnt)


def _has_unused(model: SegmentSpanModel, dataset: WindowDataset) -> bool:
    """Whether the encoder has weights that the loss does not depend on, such as a pooler's."""
    model(**collate([dataset[0]]))["loss"].backward()
    unused = any(p.requires_grad and p.grad is None for p in model.parameters())
    model.zero_grad()
    return unused


@contextmanager
def _same_bits(wanted: bool) -> Iterator[None]:
    """Choose algorithms on GPUs whose results do not depend on which thread comes first."""
    before = torch.are_deterministic_algorithms_enabled()
    if wanted:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read at the first product
        torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


def load_weights(model: SegmentSpanModel, checkpoints: Checkpoints, step: int) -> None:
    """Give a model the weights of a checkpoint."""
    model.load_state_dict(load_file(checkpoints.path(step) / WEIGHTS))


def _state_of(checkpoints: Checkpoints, step: int) -> TrainerState:
    state: TrainerState = TrainerState.load_from_json(str(checkpoints.path(step) / STATE))
    return state


def _is_over(state: TrainerState) -> bool:
    """Whether a training had ended when it was saved, by its last step or by early stopping."""
    stored: Any = state.stateful_callbacks or {}  # a mapping once it has been read from JSON
    control = stored.get("TrainerControl", {})
    return bool(control.get("args", {}).get("should_training_stop", False))
