"""Fine-tuning with Hugging Face's Trainer, batches and evaluation being framelens's own."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.utils.data import DataLoader
from transformers import (
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from framelens_training.checkpoints import Checkpoints, saving
from framelens_training.config import Config, Training
from framelens_training.dataset import TokenBudgetSampler, WindowDataset, collate
from framelens_training.errors import NonFiniteLossError
from framelens_training.model import SegmentSpanModel, answer_counts, scales_of_parts
from framelens_training.parameter_groups import parameter_groups
from framelens_training.processes import Processes
from framelens_training.targets import LabelledWindow

BEST_METRIC = "eval_score"
MEAN_METRIC = "eval_score_of_mean_weights"
"""In the last line of a history: the score of the mean of the weights, where that is kept."""
LOG_STEPS = 50
"""Most steps between two points of the training curve, and so between two checkpoints."""

Evaluator = Callable[[SegmentSpanModel], dict[str, float]]
Describe = Callable[[LabelledWindow], str]
"""What is in a window, in a few words."""


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
    interval = evaluation_interval(settings, steps)
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


def evaluation_interval(settings: Training, steps: int) -> int:
    """Steps from one evaluation to the next, of a training of so many."""
    steps_per_epoch = -(-steps // settings.epochs)
    return max(1, -(-steps_per_epoch // settings.evaluations_per_epoch))
