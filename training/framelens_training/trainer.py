"""Fine-tuning with Hugging Face's Trainer, batches and evaluation being framelens's own."""

from __future__ import annotations

import itertools
import json
import logging
import math
import os
import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from safetensors.torch import load_file
from torch.utils.data import DataLoader
from transformers import (
    EarlyStoppingCallback,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
    set_seed,
)

from framelens_training.checkpoints import Checkpoints, saving
from framelens_training.config import LOSS_PARTS, Config, LossPart, Training
from framelens_training.dataset import TokenBudgetSampler, WindowDataset, collate
from framelens_training.errors import NonFiniteLossError, TrainingError
from framelens_training.model import SegmentSpanModel, answer_counts, scales_of_parts
from framelens_training.processes import ALONE, Processes
from framelens_training.run_weights import INNER, STATE, TRAINED, WEIGHTS
from framelens_training.targets import LabelledWindow
from framelens_training.weight_averaging import FOLDER as EVALUATED
from framelens_training.weight_averaging import (
    START,
    EvaluatedWeights,
    KeepingEvaluated,
    with_share_of,
)
from framelens_training.whole_files import write_whole

BEST_METRIC = "eval_score"
MEAN_METRIC = "eval_score_of_mean_weights"
"""In the last line of a history: the score of the mean of the weights, where that is kept."""
LOG_STEPS = 50
"""Most steps between two points of the training curve, and so between two checkpoints."""

_OUTPUT_NORM = re.compile(rf"{re.escape(INNER)}\w*norm\.", re.IGNORECASE)

log = logging.getLogger(__name__)

Evaluator = Callable[[SegmentSpanModel], dict[str, float]]
Describe = Callable[[LabelledWindow], str]
"""What is in a window, in a few words."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """The step whose weights a training chose, and what the Trainer logged on the way."""

    step: int
    history: Sequence[Mapping[str, Any]]

    def write(self, folder: Path) -> None:
        """Note in a run's folder that its training has ended."""
        write_whole(folder / TRAINED, json.dumps({"step": self.step, "history": self.history}))

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """What `write` wrote, None if the training of the run has not ended."""
        path = folder / TRAINED
        return cls(**json.loads(path.read_text("utf-8"))) if path.is_file() else None


class WindowTrainer(Trainer):
    """A Trainer with batches of a token budget, a given evaluation, and whole checkpoints.

    A step's loss is averaged over the answers of all its batches in all processes, and a loss
    that is not finite stops the training.
    """

    def __init__(
        self,
        *,
        model: SegmentSpanModel,
        dataset: WindowDataset,
        sampler: TokenBudgetSampler,
        evaluator: Evaluator,
        config: Config,
        arguments: TrainingArguments,
        callbacks: Sequence[TrainerCallback],
        checkpoints: Checkpoints,
        processes: Processes,
        describe: Describe,
    ) -> None:
        self._network = model
        self._dataset = dataset
        self._sampler = sampler
        self._evaluator = evaluator
        self._config = config
        self._checkpoints = checkpoints
        self._processes = processes
        self._describe = describe
        self._batch = 0
        super().__init__(
            model=model,
            args=arguments,
            train_dataset=dataset,
            eval_dataset=dataset,  # never read: `evaluate` is overridden
            data_collator=collate,
            callbacks=list(callbacks),
        )

    def get_train_dataloader(self) -> DataLoader[Any]:
        """This process's batches; accelerate need not share them out, as the sampler does."""
        return DataLoader(self._dataset, batch_sampler=self._sampler, collate_fn=collate)

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """AdamW with a rate for the heads, and one for each layer of the encoder."""
        if self.optimizer is None:
            groups = parameter_groups(self._network, self._config)
            self.optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.999), eps=1e-8, fused=True)
        return self.optimizer

    def get_batch_samples(
        self, epoch_iterator: Any, num_batches: int, device: torch.device
    ) -> tuple[list[dict[str, torch.Tensor]], Any]:
        """The batches of one step, each with its share in the step's loss."""
        batches, items = super().get_batch_samples(epoch_iterator, num_batches, device)
        self._batch = 0
        together = len(batches) * self._processes.count
        if together > 1:
            counts = [answer_counts(batch) for batch in batches]
            total = self._processes.sum(torch.stack(counts).sum(dim=0))
            for batch, own in zip(batches, counts, strict=True):
                batch["part_scales"] = scales_of_parts(own, total, together)
        return batches, items

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> Any:
        """Forwards and backwards.

        Raises:
            NonFiniteLossError: before the weights are changed, if the loss is not finite.
        """
        loss = super().training_step(model, inputs, num_items_in_batch)
        batch, self._batch = self._batch, self._batch + 1
        is_bad = not math.isfinite(float(loss))
        if self._processes.count > 1:
            is_bad = bool(self._processes.sum(torch.tensor([float(is_bad)])) > 0)
        if is_bad:
            raise self._not_finite("loss", float(loss), self.state.global_step + 1, batch)
        return loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Record a point of the curves.

        Raises:
            NonFiniteLossError: if the gradients have become infinite or not numbers.
        """
        norm = logs.get("grad_norm", 0.0)
        if not math.isfinite(norm):
            raise self._not_finite("norm of the gradients", norm, self.state.global_step, None)
        if "train_runtime" in logs:
            return  # the Trainer's closing figures are of the last process, not of the training
        super().log(logs, start_time)

    def evaluate(
        self,
        eval_dataset: Any = None,
        ignore_keys: list[str] | None = None,
        metric_key_prefix: str = "eval",
    ) -> dict[str, float]:
        """Metrics of the validation documents, by way of the inference package's decoding."""
        found = self._evaluator(self._network)
        metrics = {f"{metric_key_prefix}_{name}": value for name, value in found.items()}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, metrics
        )
        return metrics

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        saving(lambda: self._write_checkpoint(model, trial), self._checkpoints)

    def _write_checkpoint(self, model: Any, trial: Any) -> None:
        if self._processes.is_main:
            self._checkpoints.start()
        self._processes.wait()
        place = self.args.output_dir
        self.args.output_dir = str(self._checkpoints.partial())
        try:
            super()._save_checkpoint(model, trial)
        finally:
            self.args.output_dir = place
        self._processes.wait()
        step, best = self.state.global_step, self.state.best_global_step
        if self._processes.is_main:
            self._checkpoints.finish(step)
            self._checkpoints.prune(best)
        if best is not None:
            self.state.best_model_checkpoint = str(self._checkpoints.path(best))

    def _rates(self) -> list[float]:
        return [] if self.optimizer is None else [g["lr"] for g in self.optimizer.param_groups]

    def _not_finite(
        self, what: str, value: float, step: int, batch: int | None
    ) -> NonFiniteLossError:
        step_batches = self._sampler.steps[step - 1]
        own = step_batches[batch : batch + 1] if batch is not None else step_batches
        mine = [self._describe(self._dataset[i]) for i in itertools.chain.from_iterable(own)]
        everyone = self._processes.gather((value, mine))
        shown = [text for found, texts in everyone if not math.isfinite(found) for text in texts]
        named = "".join(f"\n    {text}" for text in shown[:5])
        more = f"\n    and {len(shown) - 5} more" if len(shown) > 5 else ""
        worst = next((found for found, _ in everyone if not math.isfinite(found)), value)
        kept = self._checkpoints.steps()
        last = (
            f"the last good checkpoint is {self._checkpoints.path(kept[-1])}"
            if kept
            else "there is no checkpoint yet"
        )
        rates = ", ".join(f"{rate:.1e}" for rate in sorted(set(self._rates())))
        bf16 = ", training.precision=fp32" if self.args.bf16 else ""
        return NonFiniteLossError(
            f"the {what} is {worst} at step {step} of {self.state.max_steps}, learning rate {rates}"
            f"; {last}. Try half of training.learning_rate and training.head_learning_rate, a "
            f"longer training.warmup_share, a lower training.max_gradient_norm{bf16}; or look at "
            f"the windows of this step:{named}{more}"
        )


class Checkpointing(TrainerCallback):
    """Asks for a checkpoint at the first log line after so many minutes.

    A checkpoint always goes with a log line: the Trainer forgets the losses since the last line
    when it is resumed, and there are none then.
    """

    def __init__(self, minutes: float, processes: Processes) -> None:
        self._seconds = 60 * minutes
        self._processes = processes
        self._last = time.monotonic()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Add to what the Trainer itself asks for at this step."""
        if control.should_log and not control.should_save:
            is_due = time.monotonic() - self._last >= self._seconds
            control.should_save = self._processes.broadcast(is_due)
        if control.should_save or control.should_evaluate:
            control.should_log = True

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Count from here."""
        self._last = time.monotonic()


def parameter_groups(model: SegmentSpanModel, config: Config) -> list[dict[str, Any]]:
    """Parameters by learning rate and weight decay.

    Layer k of n gets the encoder's rate times `layer_decay ** (n - k)`, embeddings the lowest
    (Howard and Ruder 2018); biases and normalisation weights are not decayed.

    Raises:
        TrainingError: if rates are to differ, and the encoder's layers have no numbers.
    """
    settings = config.training
    layers = _layers(model)
    depth = max(layers.values())
    if settings.layer_decay < 1 and not depth:
        raise TrainingError(
            "training.layer_decay: expected 1 for an encoder whose layers are not numbered, found "
            f"{settings.layer_decay}"
        )
    groups: dict[tuple[float, float], list[torch.nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        rate = settings.head_learning_rate
        if name.startswith(INNER):
            below = depth - layers[name]
            rate = settings.learning_rate * settings.layer_decay**below
        decay = 0.0 if parameter.ndim < 2 else settings.weight_decay
        groups.setdefault((rate, decay), []).append(parameter)
    return [
        {"params": parameters, "lr": rate, "weight_decay": decay}
        for (rate, decay), parameters in groups.items()
    ]


def freeze(model: SegmentSpanModel, layers: int) -> None:
    """Leave the embeddings and this many layers of the encoder as they are; none of them at 0.

    With all layers only the heads are trained, and what the encoder makes of a text stays.

    Raises:
        TrainingError: if the encoder has fewer layers than that.
    """
    if not layers:
        return  # also for encoders whose layers have names that are not known here
    layer_of = _layers(model)
    depth = max(layer_of.values())
    if layers > depth:
        raise TrainingError(
            f"training.frozen_layers: expected at most the encoder's {depth} layers, found {layers}"
        )
    for name, parameter in model.named_parameters():
        if name.startswith(INNER) and layer_of[name] <= layers:
            parameter.requires_grad_(False)


def _layers(model: SegmentSpanModel) -> dict[str, int]:
    """By the name of a parameter its layer, 1 to n; 0 for what lies below, or in all of them.

    A normalisation of what the encoder puts out, as ModernBERT has one, is of the last layer.
    """
    numbers = {name: _layer(name) for name, _ in model.named_parameters()}
    depth = max(numbers.values())
    return {name: depth if _OUTPUT_NORM.match(name) else n for name, n in numbers.items()}


def _layer(name: str) -> int:
    """The number in the name of a layer's parameter, counted from 1; 0 in other names."""
    parts = name.split(".")
    for before, after in itertools.pairwise(parts):
        if before in ("layer", "layers") and after.isdigit():
            return int(after) + 1
    return 0


def training_arguments(
    config: Config, folder: str, steps: int, *, has_unused: bool = False
) -> TrainingArguments:
    """The Trainer's settings: early stopping and the best step at evaluations, saved each.

    `steps` counts the steps of all epochs, which the Trainer sees as one pass; `has_unused` says
    that some weights never get a gradient, which several processes have to reckon with. A process
    trains on one GPU, however many there are.
    """
    settings = config.training
    steps_per_epoch = -(-steps // settings.epochs)
    interval = _evaluation_interval(settings, steps)
    arguments = TrainingArguments(
        output_dir=folder,
        num_train_epochs=1,
        learning_rate=settings.learning_rate,
        warmup_steps=int(settings.warmup_share * steps),
        lr_scheduler_type="linear",
        max_grad_norm=settings.max_gradient_norm,
        gradient_accumulation_steps=settings.accumulate,
        eval_strategy="steps",
        eval_steps=interval,
        save_strategy="steps",
        save_steps=interval,
        metric_for_best_model=BEST_METRIC,
        greater_is_better=True,
        restore_callback_states_from_checkpoint=True,
        logging_strategy="steps",
        logging_steps=max(1, min(steps_per_epoch // 10, LOG_STEPS)),
        logging_nan_inf_filter=False,  # such a loss stops the training
        ddp_find_unused_parameters=has_unused,
        report_to=[],
        log_level_replica="error",  # as `quiet_libraries` has it in the process of rank 0
        seed=config.seed,
        data_seed=config.seed,
        disable_tqdm=True,
        remove_unused_columns=False,
        bf16=settings.precision == "bf16",
        use_cpu=not torch.cuda.is_available(),
        dataloader_pin_memory=False,
    )
    # With more, the Trainer would cut batches and the scales of their losses (`nn.DataParallel`).
    arguments._n_gpu = min(arguments.n_gpu, 1)
    return arguments


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
        TrainingError: if there are fewer windows than a step needs, no layer is left to train, or
            there will be too few evaluations for `training.average_from`.
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
    keeping: list[TrainerCallback] = []
    if settings.average and processes.is_main:
        keeping.append(KeepingEvaluated(evaluated, model, lambda write: saving(write, checkpoints)))
    # Rank 0 looks for all: another could look when a damaged one has been passed over already.
    start = processes.broadcast(checkpoints.latest() if processes.is_main else None)
    if start is None:
        _refuse_too_few_evaluations(settings, len(sampler.steps))
    if settings.average and settings.average_start and start is None and processes.is_main:
        saving(lambda: evaluated.save(START, model), checkpoints)
    state = None if start is None else _state_of(checkpoints, start)
    if start is None or state is None or not _is_over(state):
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
                EarlyStoppingCallback(settings.patience),
                Checkpointing(settings.checkpoint_minutes, processes),
                *keeping,
                *callbacks,
            ],
            checkpoints=checkpoints,
            processes=processes,
            describe=describe,
        )
        trainer.remove_callback(PrinterCallback)  # the tracker's callback speaks to people
        with _same_bits(settings.deterministic):
            trainer.train(None if start is None else str(checkpoints.path(start)))
        state = trainer.state
    step = state.global_step if state.best_global_step is None else state.best_global_step
    processes.wait()
    mean = None
    if settings.average:
        mean = _mean(evaluated, state.global_step, settings, learnt, known)
    if mean is None:
        if settings.average:
            log.warning(
                "training.average: too few evaluations from number %d on for a mean, the training "
                "ended before; the weights are those of its best step",
                settings.average_from,
            )
        load_weights(model, checkpoints, step)
        return Fitted(step, list(state.log_history))
    model.load_state_dict(mean)
    score = evaluator(model)["score"]
    line = {"step": state.global_step, MEAN_METRIC: score}
    if processes.is_main:
        saving(lambda: checkpoints.put_weights(step, mean), checkpoints)
    return Fitted(step, [*state.log_history, line])


def _evaluation_interval(settings: Training, steps: int) -> int:
    """Steps from one evaluation to the next, of a training of so many."""
    steps_per_epoch = -(-steps // settings.epochs)
    return max(1, -(-steps_per_epoch // settings.evaluations_per_epoch))


def _refuse_too_few_evaluations(settings: Training, steps: int) -> None:
    """Make sure that a mean of weights can be had, as far as the number of steps tells.

    Raises:
        TrainingError: if not.
    """
    interval = _evaluation_interval(settings, steps)
    evaluations = -(-steps // interval)
    most = settings.last_of_mean(evaluations)
    if settings.average and settings.average_from > most:
        raise TrainingError(
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
    if other is None:
        return mean
    if mean is None:
        log.warning(
            "training.average_from: fewer than %d evaluations, the training ended before; the "
            "mean takes in all that there were",
            settings.average_from,
        )
        mean = evaluated.mean(last, start=settings.average_start, known=known, fewest=1)
    return None if mean is None else with_share_of(mean, other, learnt)


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
