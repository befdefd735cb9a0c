"""One run, end to end: read, train, tune, evaluate, export, record."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import set_seed
from transformers.utils import logging as transformers_logging

from framelens.decoding import DecodingConfig, DocumentLogits, axis_scores
from framelens.features import DocumentFeatures, Featurizer, WindowFeatures
from framelens.network import Network
from framelens.schema import AXES, Axis
from framelens_training.baseline import baseline_data, fit_baseline
from framelens_training.calibration import tune
from framelens_training.card import model_card
from framelens_training.config import Config
from framelens_training.data import LoadedCorpus, documents_of, load_corpora
from framelens_training.dataset import WindowDataset, supervision
from framelens_training.encoder import Encoder, load_encoder
from framelens_training.environment import git_revision, machine, package_versions, usable_cores
from framelens_training.errors import ExportError
from framelens_training.errors_table import worst_errors
from framelens_training.evaluation import (
    Interval,
    Metrics,
    axis_counts,
    bootstrap,
    evaluate,
    paired_difference,
)
from framelens_training.export import Parity, export_onnx, measure_parity, write_artifact
from framelens_training.figures import confusion_figure, precision_recall_figure
from framelens_training.mixture import CorpusFeatures, training_windows
from framelens_training.model import LossConfig, SegmentSpanModel, TorchNetwork
from framelens_training.parity_texts import PARITY_TEXTS
from framelens_training.predictions import axis_data, predict
from framelens_training.quantization import quantize
from framelens_training.targets import LabelledFeatures, featurize_document
from framelens_training.tracking import Tracker, TrackingCallback, run_folder
from framelens_training.trainer import fit

MIN_PARITY_TEXTS = 200
CALIBRATION_DOCUMENTS = 16
GOLDEN_INPUTS: tuple[tuple[str, str | None], ...] = (
    (
        "The harbour board voted on Tuesday to close the north pier. “It was the only honest "
        "choice left,” its chair, Ruth Adeyemi, told members.",
        "North pier to close",
    ),
    (
        "In yet another farcical twist, the hapless minister has somehow lost the file. "
        "The ministry employs 340 people.",
        "Bungling minister mislays the evidence",
    ),
    ("Sign up for our newsletter\nRain is expected in the valley on Friday.", None),
)

Say = Callable[[str], None]
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Comparison:
    """The model against the TF-IDF baseline on one axis, macro-F1."""

    model: Interval
    baseline: Interval
    difference: Interval


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a run gave."""

    run_id: str | None
    artifact: Path
    metrics: Metrics
    comparison: Mapping[Axis, Comparison]
    parity: Parity
    seconds: float

    def flat(self) -> dict[str, float]:
        """Every final figure as a metric."""
        flat = self.metrics.flat("test") | self.parity.flat()
        for axis, item in self.comparison.items():
            flat[f"baseline/{axis}/macro_f1"] = item.baseline.value
            flat[f"baseline/{axis}/difference"] = item.difference.value
            flat[f"baseline/{axis}/difference_low"] = item.difference.low
            flat[f"baseline/{axis}/difference_high"] = item.difference.high
        return flat


def run(config: Config, tracker: Tracker, say: Say = print) -> RunResult:
    """Train, evaluate and export a model, recording everything in the tracker.

    Raises:
        TrainingError: if the encoder, a corpus or a split cannot be used, or the exported
            model does not do what the trained one does.
    """
    started = time.monotonic()
    torch.set_num_threads(config.threads or usable_cores())
    set_seed(config.seed)
    corpora = load_corpora(config)
    encoder = load_encoder(config.encoder, dropout=config.training.encoder_dropout)
    featurizer = encoder.featurizer(config.windows)
    _record_inputs(config, corpora, tracker)

    split = {
        name: [featurize_document(d, featurizer) for d in documents_of(corpora, name)]
        for name in ("train", "validation", "test")
    }
    say(_size_line(split))
    folder = run_folder(config, tracker.run_id)
    folder.mkdir(parents=True, exist_ok=True)
    model = _train(config, encoder, featurizer, split, corpora, folder, tracker, say)

    say("Tuning temperatures and thresholds on validation")
    decoding = tune(
        split["validation"], predict(TorchNetwork(model), split["validation"]), config.evaluation
    )
    artifact, parity = _export(
        config, encoder, featurizer, model, decoding, split, corpora, folder, tracker, say
    )

    say("Evaluating the exported model on test")
    found = predict(Network(artifact / "model.onnx", usable_cores()), split["test"])
    metrics = evaluate(
        split["test"],
        found,
        decoding,
        samples=config.evaluation.bootstrap_samples,
        seed=config.seed,
    )
    comparison = _compare(config, split, found, decoding) if config.evaluation.baseline else {}
    result = RunResult(
        tracker.run_id, artifact, metrics, comparison, parity, time.monotonic() - started
    )
    _record_results(config, split["test"], found, decoding, result, tracker)
    return result


def _record_inputs(config: Config, corpora: Sequence[LoadedCorpus], tracker: Tracker) -> None:
    from framelens_training.settings_text import flatten, to_yaml

    tracker.params(flatten(config.to_dict()))
    tracker.text(to_yaml(config), "config.yaml")
    versions = package_versions()
    tracker.text("".join(f"{k}=={v}\n" for k, v in versions.items()), "packages.txt")
    tracker.tags(
        {
            "framelens.git_revision": git_revision(),
            "framelens.config_sha256": config.digest(),
            "framelens.machine": machine(),
            **{f"version.{name}": version for name, version in versions.items()},
        }
    )
    for item in corpora:
        for name, documents in item.splits.items():
            if documents:
                rows = [
                    {"id": d.id, "segments": len(d.segments), "spans": len(d.spans)}
                    for d in documents
                ]
                tracker.dataset(item.name, name, rows, item.digests[name])


def _size_line(split: Mapping[str, Sequence[LabelledFeatures]]) -> str:
    parts = [
        f"{name} {len(items)} documents, {sum(len(i.targets) for i in items)} segments"
        for name, items in split.items()
    ]
    return "Corpus: " + "; ".join(parts)


def _train(
    config: Config,
    encoder: Encoder,
    featurizer: Featurizer,
    split: Mapping[str, Sequence[LabelledFeatures]],
    corpora: Sequence[LoadedCorpus],
    folder: Path,
    tracker: Tracker,
    say: Say,
) -> SegmentSpanModel:
    mixture = _mixture(corpora, split["train"])
    windows = training_windows(mixture, featurizer, config.windows, config.seed)
    dataset = WindowDataset(windows)
    weights = supervision(windows).positive_weights(config.training.balance)
    loss = LossConfig(dict(config.training.loss_weights), weights)
    model = SegmentSpanModel(encoder.module, config.training.dropout, loss)
    say(
        f"Training on {len(windows)} windows, {sum(dataset.lengths)} tokens an epoch, "
        f"at most {config.training.epochs} epochs"
    )

    def evaluator(current: SegmentSpanModel) -> dict[str, float]:
        found = predict(TorchNetwork(current), split["validation"])
        metrics = evaluate(split["validation"], found, DecodingConfig(), samples=0)
        flat = metrics.flat("v")
        return {name.removeprefix("v/").replace("/", "_"): value for name, value in flat.items()}

    callback = TrackingCallback(tracker, _progress(say))
    return fit(config, model, dataset, evaluator, folder / "checkpoints", [callback])


def _mixture(
    corpora: Sequence[LoadedCorpus], train: Sequence[LabelledFeatures]
) -> list[CorpusFeatures]:
    """The training documents, which stand corpus after corpus, with their corpora's weights."""
    mixture: list[CorpusFeatures] = []
    first = 0
    for item in corpora:
        last = first + len(item.splits["train"])
        mixture.append(CorpusFeatures(train[first:last], item.weight))
        first = last
    return mixture


def _progress(say: Say) -> Callable[[Any, Mapping[str, float]], None]:
    def report(state: Any, values: Mapping[str, float]) -> None:
        shown = {
            name: values[name] for name in ("train/loss", "validation/score") if name in values
        }
        if shown:
            text = ", ".join(f"{name} {value:.4f}" for name, value in shown.items())
            say(f"  step {state.global_step}/{state.max_steps}  {text}")

    return report


def _export(
    config: Config,
    encoder: Encoder,
    featurizer: Featurizer,
    model: SegmentSpanModel,
    decoding: DecodingConfig,
    split: Mapping[str, Sequence[LabelledFeatures]],
    corpora: Sequence[LoadedCorpus],
    folder: Path,
    tracker: Tracker,
    say: Say,
) -> tuple[Path, Parity]:
    say("Exporting to ONNX")
    fp32, int8 = folder / "fp32.onnx", folder / "int8.onnx"
    export_onnx(model, fp32)
    quantize(fp32, int8, _calibration_windows(split["train"]))
    parity = measure_parity(model, fp32, int8, _parity_documents(featurizer, split), decoding)
    if parity.torch_onnx_max_difference > config.export.parity_tolerance:
        raise ExportError(
            f"expected the fp32 ONNX graph within {config.export.parity_tolerance} of torch, found "
            f"a difference of {parity.torch_onnx_max_difference:.2e}; the trained weights are in "
            f"{folder / 'checkpoints'}"
        )
    training = {
        "run_id": tracker.run_id,
        "git_revision": git_revision(),
        "config": config.to_dict(),
        "corpora": [
            {"name": c.name, "licence": c.licence, "sha256": dict(c.digests)} for c in corpora
        ],
        "parity": parity.flat(),
    }
    write_artifact(
        folder / "model",
        int8 if config.export.precision == "int8" else fp32,
        encoder=encoder,
        features=featurizer.config,
        decoding=decoding,
        name=config.name,
        version=config.version,
        precision=config.export.precision,
        training=training,
        card=model_card(config, corpora, decoding, parity),
        golden_inputs=GOLDEN_INPUTS,
    )
    return folder / "model", parity


def _calibration_windows(train: Sequence[LabelledFeatures]) -> list[WindowFeatures]:
    """Windows of evenly spread training documents."""
    step = max(1, len(train) // CALIBRATION_DOCUMENTS)
    return [window for item in train[::step] for window in item.features.windows]


def _parity_documents(
    featurizer: Featurizer, split: Mapping[str, Sequence[LabelledFeatures]]
) -> list[DocumentFeatures]:
    """Every held-out document, hard texts, and single segments until there are enough."""
    documents = [item.features for name in ("validation", "test") for item in split[name]]
    documents += [featurizer.featurize([text], ["body"]) for text in PARITY_TEXTS]
    for item in (*split["test"], *split["train"]):
        for segment in item.document.segments:
            if len(documents) >= MIN_PARITY_TEXTS + len(PARITY_TEXTS):
                return documents
            text = item.document.segment_text(segment)
            documents.append(featurizer.featurize([text], ["body"]))
    return documents


def _compare(
    config: Config,
    split: Mapping[str, Sequence[LabelledFeatures]],
    found: Sequence[DocumentLogits],
    decoding: DecodingConfig,
) -> dict[Axis, Comparison]:
    plain = {name: [item.document for item in items] for name, items in split.items()}
    settings = config.evaluation
    fitted = fit_baseline(
        plain["train"], plain["validation"], settings.threshold_range, config.seed
    )
    scores = [axis_scores(item.segments, decoding) for item in found]
    size = len(plain["test"])
    comparison: dict[Axis, Comparison] = {}
    for axis, baseline in fitted.items():
        data = axis_data(plain["test"], scores, axis)
        ours = axis_counts(data, decoding.thresholds[axis], size)
        theirs = axis_counts(baseline_data(baseline, plain["test"], axis), baseline.threshold, size)
        comparison[axis] = Comparison(
            bootstrap(ours, settings.bootstrap_samples, config.seed),
            bootstrap(theirs, settings.bootstrap_samples, config.seed),
            paired_difference(ours, theirs, settings.bootstrap_samples, config.seed),
        )
    return comparison


def _record_results(
    config: Config,
    test: Sequence[LabelledFeatures],
    found: Sequence[DocumentLogits],
    decoding: DecodingConfig,
    result: RunResult,
    tracker: Tracker,
) -> None:
    plain = [item.document for item in test]
    scores = [axis_scores(item.segments, decoding) for item in found]
    tracker.metrics(result.flat())
    tracker.figure(
        confusion_figure(result.metrics.labels, f"{config.name}: labels on test"),
        "figures/confusion.png",
    )
    curves = {axis: axis_data(plain, scores, axis) for axis in AXES}
    tracker.figure(
        precision_recall_figure(curves, f"{config.name}: test"), "figures/precision_recall.png"
    )
    rows = worst_errors(plain, found, decoding, config.evaluation.worst_errors)
    if rows:
        tracker.table(rows, "errors/worst.json")
    tracker.model(result.artifact, config.name, config.tracking.registry)


@contextlib.contextmanager
def quiet_libraries() -> Iterator[None]:
    """Keep the exporters' and the Trainer's chatter out of a person's terminal."""
    names = ("torch.onnx", "onnxscript", "onnx_ir", "transformers", "mlflow", "alembic", "httpx")
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    transformers_logging.disable_progress_bar()
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
