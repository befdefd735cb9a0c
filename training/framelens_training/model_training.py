"""The training of a model: windows of every epoch, the loss, and the fit."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from transformers import TrainerCallback

from framelens.decoding import DecodingConfig
from framelens_training.checkpoints import Checkpoints
from framelens_training.config import Config, LossPart
from framelens_training.data import LoadedCorpus
from framelens_training.dataset import WindowDataset, supervision
from framelens_training.encoder import Encoder
from framelens_training.evaluation import evaluate
from framelens_training.fitting import Fitted, History, fit, load_weights
from framelens_training.mixture import CorpusFeatures, tempered, training_windows
from framelens_training.model import LossConfig, SegmentSpanModel, SoftLoss, TorchNetwork
from framelens_training.predictions import predict
from framelens_training.preparation import TrainingSetup
from framelens_training.processes import ALONE, Processes
from framelens_training.progress import Say, progress_bars, training_report
from framelens_training.run_weights import CHECKPOINTS
from framelens_training.targets import LabelledFeatures, LabelledWindow
from framelens_training.tracker import Tracker
from framelens_training.tracking_callback import TrackingCallback, curve_points
from framelens_training.trainer import Evaluator

OPENING = 80
"""Characters of a window that an error quotes."""


def train_model(
    config: Config,
    setup: TrainingSetup,
    folder: Path,
    tracker: Tracker,
    say: Say,
    processes: Processes = ALONE,
    callbacks: Sequence[TrainerCallback] = (),
    is_resumed: bool = False,
) -> tuple[SegmentSpanModel, History]:
    """The model of the best step, and what the Trainer logged on the way.

    With `is_resumed`, what an earlier process left in the folder is gone on with. It is for the
    caller to see that the validation documents can tell which step is best (`scorable`).
    """
    checkpoints = Checkpoints(folder / CHECKPOINTS)
    fitted = Fitted.read(folder) if is_resumed else None
    if fitted is not None:
        say("The training had ended; going on after it")
        for row in fitted.history:  # it may have been recorded nowhere yet
            tracker.metrics(curve_points(row), step=row["step"])
        model = SegmentSpanModel(setup.encoder.module, config.training.dropout, LossConfig({}, {}))
        load_weights(model, checkpoints, fitted.step)
        return model, fitted.history
    if processes.is_main and not is_resumed:
        checkpoints.clear()
    dataset = _dataset(config, setup)
    model = _untrained(config, setup.encoder, dataset)
    say(
        f"Training on {len(dataset)} windows, {sum(dataset.lengths)} tokens, in "
        f"at most {config.training.epochs} epochs"
    )
    fitted = fit(
        config,
        model,
        dataset,
        _evaluator(setup.split["validation"], setup.learnt, processes),
        checkpoints,
        [TrackingCallback(tracker, training_report(say)), *progress_bars(say), *callbacks],
        processes=processes,
        describe=lambda window: _opening(setup.encoder, window),
        learnt=setup.learnt,
        known=setup.encoder.learnt,
    )
    if processes.is_main:
        fitted.write(folder)
        checkpoints.keep_model(fitted.step)
    return model, fitted.history


def _dataset(config: Config, setup: TrainingSetup) -> WindowDataset:
    """The windows of every epoch."""
    mixture = _mixture(setup.corpora, setup.split["train"], config.corpora.sampling_temperature)
    return WindowDataset(
        [
            training_windows(mixture, setup.featurizer, config.windows, config.seed, epoch)
            for epoch in range(config.training.epochs)
        ]
    )


def _untrained(config: Config, encoder: Encoder, dataset: WindowDataset) -> SegmentSpanModel:
    """The model before its first step, with the loss that it learns these windows by."""
    soft = SoftLoss(config.distillation.alpha, config.distillation.temperature)
    loss = LossConfig(
        dict(config.training.loss_weights),
        supervision(dataset.windows).positive_weights(config.training.balance),
        soft if config.teacher else None,
        sequences=config.training.tag_sequences,
    )
    model = SegmentSpanModel(encoder.module, config.training.dropout, loss)
    if encoder.heads is not None:
        model.begin_with(encoder.heads, encoder.learnt)
    return model


def _mixture(
    corpora: Sequence[LoadedCorpus], train: Sequence[LabelledFeatures], temperature: float
) -> list[CorpusFeatures]:
    """The training documents, which stand corpus after corpus, with their corpora's weights."""
    mixture: list[CorpusFeatures] = []
    first = 0
    for item in corpora:
        last = first + len(item.splits["train"])
        mixture.append(CorpusFeatures(train[first:last], item.weight))
        first = last
    return tempered(mixture, temperature)


def _evaluator(
    validation: Sequence[LabelledFeatures], learnt: Collection[LossPart], processes: Processes
) -> Evaluator:
    """A function that scores what a model learns on validation, a share of the documents in each
    process.
    """

    def evaluated(model: SegmentSpanModel) -> dict[str, float]:
        own = validation[processes.rank :: processes.count]
        shares = processes.gather(predict(TorchNetwork(model), own))
        if not processes.is_main:
            return processes.broadcast({})
        found = [shares[i % len(shares)][i // len(shares)] for i in range(len(validation))]
        metrics = evaluate(validation, found, DecodingConfig(), samples=0, spans_anywhere=True).of(
            learnt
        )
        flat = metrics.flat("v")
        return processes.broadcast(
            {name.removeprefix("v/").replace("/", "_"): value for name, value in flat.items()}
        )

    return evaluated


def _opening(encoder: Encoder, window: LabelledWindow) -> str:
    """How a window's text begins, by which it is found in a corpus."""
    text = encoder.tokenizer.decode(window.features.input_ids.tolist())
    return f"“{text[:OPENING]}…”" if len(text) > OPENING else f"“{text}”"
