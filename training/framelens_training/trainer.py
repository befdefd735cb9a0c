"""Fine-tuning with Hugging Face's Trainer, batches and evaluation being framelens's own."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader
from transformers import (
    EarlyStoppingCallback,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)

from framelens_training.config import Config
from framelens_training.dataset import TokenBudgetSampler, WindowDataset, collate
from framelens_training.model import SegmentSpanModel

BEST_METRIC = "eval_score"


class WindowTrainer(Trainer):
    """A Trainer whose batches have a token budget and whose evaluation is a given function."""

    def __init__(
        self,
        *,
        config: Config,
        model: SegmentSpanModel,
        dataset: WindowDataset,
        evaluator: Callable[[SegmentSpanModel], dict[str, float]],
        arguments: TrainingArguments,
        callbacks: Sequence[TrainerCallback],
    ) -> None:
        self._config = config
        self._dataset = dataset
        self._evaluator = evaluator
        self._network = model
        super().__init__(
            model=model,
            args=arguments,
            train_dataset=dataset,
            eval_dataset=dataset,  # never read: `evaluate` is overridden
            data_collator=collate,
            callbacks=list(callbacks),
        )

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Batches of like length within the token budget."""
        sampler = TokenBudgetSampler(
            self._dataset, self._config.training.batch_tokens, self._config.seed
        )
        loader: DataLoader[Any] = DataLoader(
            self._dataset, batch_sampler=sampler, collate_fn=collate
        )
        prepared: DataLoader[Any] = self.accelerator.prepare(loader)
        return prepared

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """AdamW with a rate for the heads, and one for each layer of the encoder."""
        if self.optimizer is None:
            groups = parameter_groups(self._network, self._config)
            self.optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.999), eps=1e-8, fused=True)
        return self.optimizer

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


def parameter_groups(model: SegmentSpanModel, config: Config) -> list[dict[str, Any]]:
    """Parameters by learning rate and weight decay.

    Layer k of n gets the encoder's rate times `layer_decay ** (n - k)`, embeddings the lowest
    (Howard and Ruder 2018); biases and normalisation weights are not decayed.
    """
    settings = config.training
    depth = int(getattr(model.encoder.config, "num_hidden_layers", 0))
    groups: dict[tuple[float, float], list[torch.nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        rate = settings.head_learning_rate
        if name.startswith("encoder."):
            below = depth - _layer(name)
            rate = settings.learning_rate * settings.layer_decay**below
        decay = 0.0 if parameter.ndim < 2 else settings.weight_decay
        groups.setdefault((rate, decay), []).append(parameter)
    return [
        {"params": parameters, "lr": rate, "weight_decay": decay}
        for (rate, decay), parameters in groups.items()
    ]


def _layer(name: str) -> int:
    """1 to n for the encoder's layers, 0 for what lies below them."""
    parts = name.split(".")
    for before, after in itertools.pairwise(parts):
        if before in ("layer", "layers") and after.isdigit():
            return int(after) + 1
    return 0


def training_arguments(config: Config, folder: Path, steps: int) -> TrainingArguments:
    """The Trainer's settings: evaluation, checkpoints and early stopping at the same steps.

    `steps` counts all batches of all epochs, which the Trainer sees as one pass.
    """
    settings = config.training
    steps_per_epoch = -(-steps // settings.epochs)
    interval = max(1, -(-steps_per_epoch // settings.evaluations_per_epoch))
    return TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=1,
        learning_rate=settings.learning_rate,
        warmup_steps=int(settings.warmup_share * steps),
        lr_scheduler_type="linear",
        max_grad_norm=settings.max_gradient_norm,
        eval_strategy="steps",
        eval_steps=interval,
        save_strategy="steps",
        save_steps=interval,
        save_total_limit=2,
        load_best_model_at_end=True,
        metric_for_best_model=BEST_METRIC,
        greater_is_better=True,
        logging_strategy="steps",
        logging_steps=max(1, steps_per_epoch // 10),
        report_to=[],
        seed=config.seed,
        data_seed=config.seed,
        disable_tqdm=True,
        remove_unused_columns=False,
        bf16=settings.precision == "bf16",
        use_cpu=not torch.cuda.is_available(),
        dataloader_pin_memory=False,
    )


def fit(
    config: Config,
    model: SegmentSpanModel,
    dataset: WindowDataset,
    evaluator: Callable[[SegmentSpanModel], dict[str, float]],
    folder: Path,
    callbacks: Sequence[TrainerCallback],
) -> SegmentSpanModel:
    """Train until the validation score stops rising; returns the model of the best step."""
    set_seed(config.seed)
    steps = len(TokenBudgetSampler(dataset, config.training.batch_tokens, config.seed))
    trainer = WindowTrainer(
        config=config,
        model=model,
        dataset=dataset,
        evaluator=evaluator,
        arguments=training_arguments(config, folder, steps),
        callbacks=[EarlyStoppingCallback(config.training.patience), *callbacks],
    )
    trainer.remove_callback(PrinterCallback)  # the tracker's callback speaks to people
    trainer.train()
    return model
