"""One run, end to end: read, train, tune, evaluate, export, record."""

from __future__ import annotations

import logging
import shlex
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback, set_seed

from framelens.artifact import Artifact
from framelens.decoding import DecodingConfig, DocumentLogits, axis_scores
from framelens.errors import ArtifactError
from framelens.features import DocumentFeatures, Featurizer, WindowFeatures
from framelens.network import Network
from framelens_training.answers import Answers
from framelens_training.assessment import Assessment, assess, figures_on_test
from framelens_training.calibration import tune
from framelens_training.card import model_card, write_card
from framelens_training.checkpoints import Checkpoints
from framelens_training.config import LOSS_PARTS, Config, LossPart
from framelens_training.corpora.base import SPLITS, Split
from framelens_training.data import (
    LoadedCorpus,
    documents_of,
    listed,
    load_corpora,
    refuse_overlap,
    told_apart,
    with_distinct_ids,
)
from framelens_training.dataset import WindowDataset, supervision
from framelens_training.distillation import taught, unlabelled_corpora
from framelens_training.encoder import (
    Encoder,
    architecture_of,
    load_architecture,
    save_architecture,
)
from framelens_training.environment import (
    cores_per_process,
    git_revision,
    machine,
    package_versions,
    usable_cores,
)
from framelens_training.errors import ExportError
from framelens_training.errors_table import worst_errors
from framelens_training.evaluation import Metrics, evaluate
from framelens_training.export import Parity, export_onnx, measure_parity, write_artifact
from framelens_training.feature_store import featurize_splits
from framelens_training.figures import learning_curves_figure
from framelens_training.fitting import Fitted, fit, load_weights
from framelens_training.mixture import CorpusFeatures, tempered, training_windows
from framelens_training.model import LossConfig, SegmentSpanModel, SoftLoss, TorchNetwork
from framelens_training.origins import origins_of
from framelens_training.parity_texts import PARITY_TEXTS
from framelens_training.predictions import predict
from framelens_training.processes import ALONE, Processes
from framelens_training.progress import Say, progress_bars, training_report
from framelens_training.quantization import quantize
from framelens_training.run_record import RunRecord, finish, removed_if_refused, run_folder
from framelens_training.run_weights import (
    ARCHITECTURE,
    CHECKPOINTS,
    has_trained,
)
from framelens_training.scorable import refuse_unscored
from framelens_training.seen_texts import (
    OTHER_TEXTS,
    Fingerprints,
    fingerprint,
    refuse_seen,
    write_seen,
)
from framelens_training.settings_text import decoding_json, flatten, to_yaml
from framelens_training.significance import PREDICTIONS
from framelens_training.student import load_student
from framelens_training.targets import (
    LabelledFeatures,
    LabelledWindow,
    learnt_parts,
    with_soft_labels,
)
from framelens_training.teachers import Teacher, load_teachers
from framelens_training.tracker import Tracker
from framelens_training.tracking_callback import TrackingCallback, curve_points
from framelens_training.trainer import MEAN_METRIC, Evaluator
from framelens_training.weight_averaging import begun_with, mixable_model, parts_of

MIN_PARITY_TEXTS = 200
CALIBRATION_DOCUMENTS = 16
OPENING = 80
"""Characters of a window that an error quotes."""
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

History = Sequence[Mapping[str, Any]]
"""Entries of the Trainer's log, each with its step."""
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a run gave."""

    run_id: str | None
    artifact: Path
    assessment: Assessment
    parity: Parity
    seconds: float

    @property
    def metrics(self) -> Metrics:
        """Metrics on test."""
        return self.assessment.metrics

    def flat(self) -> dict[str, float]:
        """Every final figure as a metric."""
        return self.assessment.flat() | self.parity.flat()


def run(config: Config, tracker: Tracker, say: Say = print) -> RunResult:
    """Train, evaluate and export a model, recording everything in the tracker.

    Raises:
        TrainingError: if the encoder, a corpus or a split cannot be used, training cannot go on,
            or the exported model does not do what the trained one does.
    """
    result = run_jointly(config, tracker, say)
    assert result is not None  # this process is of rank 0
    finish(result.artifact.parent)
    return result


def run_jointly(
    config: Config,
    tracker: Tracker,
    say: Say,
    *,
    processes: Processes = ALONE,
    resumed: Path | None = None,
    allow_changed_code: bool = False,
    train_only: bool = False,
) -> RunResult | None:
    """`run` in one of several processes, and where it goes on in the folder of an earlier one.

    All processes train; that of rank 0 does everything else, and only it has a result; with
    `train_only` none has, and what comes after the training is left to a resumed run. It is for
    the caller to call `run_record.finish` once the tracker has ended too.

    Raises:
        TrainingError: as `run`, or if the earlier run was another one.
    """
    started = time.monotonic()
    torch.set_num_threads(config.threads or cores_per_process())
    set_seed(config.seed)
    folder = processes.broadcast(resumed or run_folder(config, tracker.run_id))
    record = RunRecord.of(config, tracker.run_id, processes.count)
    if processes.is_main:
        record.begin(folder, is_resumed=resumed is not None, allow_code=allow_changed_code)
    with removed_if_refused(folder, is_new=resumed is None and processes.is_main):
        corpora = load_corpora(config)
        refuse_overlap(corpora)
        corpora = with_distinct_ids(corpora)
        corpora = told_apart([*corpora, *unlabelled_corpora(config, corpora, say)])
        if processes.is_main:  # the same run also by what it reads
            record = record.with_corpora(corpora)
            record = record.begin(folder, is_resumed=True, allow_code=allow_changed_code)
        processes.wait()
        has_ended = resumed is not None and has_trained(folder)
        with processes.main_first():  # the others find features and answers in the cache
            if has_ended:  # only a training learns from what teachers say
                encoder, features, known = load_architecture(folder / ARCHITECTURE)
                featurizer = Featurizer(encoder.tokenizer, features)
                split = featurize_splits(corpora, featurizer)
            else:
                teachers = load_teachers(config)
                if processes.is_main:
                    record = record.with_origins(config, teachers)
                    record = record.begin(folder, is_resumed=True, allow_code=allow_changed_code)
                encoder, featurizer, split, seen = prepared(config, corpora, teachers, say)
                known = parts_learnt(config, encoder, split["train"])
                known |= parts_of(config.training.average_with)
            say(_size_line(split))
    learnt = [part for part in LOSS_PARTS if part in known]
    if processes.is_main:
        record_inputs(config, corpora, tracker, record.revision)
        if not has_ended:
            save_architecture(encoder, featurizer.config, learnt, folder / ARCHITECTURE)
            write_seen(folder, seen)
    model, history = train_model(
        config,
        encoder,
        featurizer,
        split,
        corpora,
        folder,
        tracker,
        say,
        processes,
        is_resumed=resumed is not None,
    )
    if not processes.is_main:
        return None
    if train_only:
        again = f"--resume {shlex.quote(str(folder))}"
        say(f"The weights are in {folder}; {again} exports, evaluates and records them")
        return None
    model.cpu()  # what follows reads window by window, and exports
    unlearnt = [part for part in LOSS_PARTS if part not in learnt]
    if unlearnt:
        say(f"Nothing was learnt of {', '.join(unlearnt)}: the model will always answer no")
        model.silence(unlearnt)

    set_seed(config.seed)  # so that what follows does not depend on where training was resumed
    artifact = folder / "model"
    parity = _exported(artifact, tracker.run_id) if resumed is not None else None
    if parity is None:
        say("Tuning temperatures and thresholds on validation")
        decoding = tune(
            split["validation"],
            predict(TorchNetwork(model), split["validation"]),
            config.evaluation,
            learnt,
        )
        parity = _export(
            config,
            encoder,
            featurizer,
            model,
            decoding,
            split,
            corpora,
            learnt,
            record,
            folder,
            tracker,
            say,
        )
    decoding = Artifact.open(artifact).manifest.decoding
    tracker.text(decoding_json(decoding), "decoding.json")

    say("Evaluating the exported model on test")
    network = Network(artifact / "model.onnx", usable_cores())
    found = predict(network, split["test"])
    test_corpora = [item.name for item in corpora for _ in item.splits["test"]]
    assessment = assess(config, network, featurizer, split, test_corpora, found, decoding)
    card = model_card(
        config,
        corpora,
        decoding,
        parity,
        assessment,
        encoder=encoder.name,
        learnt=learnt,
        inherited=record.inherited,
    )
    write_card(artifact, card)
    result = RunResult(tracker.run_id, artifact, assessment, parity, time.monotonic() - started)
    _record_results(config, split["test"], found, decoding, result, history, tracker)
    return result


def _seen(
    config: Config, corpora: Sequence[LoadedCorpus], teachers: Sequence[Teacher]
) -> Fingerprints:
    """What a run learns from, be it through its teachers or the weights that it takes over.

    Raises:
        TeacherError: if some of that is held out in this run.
    """
    origins: dict[str, Fingerprints | None] = {
        f"the teacher {teacher.name}": teacher.seen for teacher in teachers
    }
    origins |= {f"{item.setting} {item.name}": item.read_seen() for item in origins_of(config)}
    train = documents_of(corpora, "train")
    held_out = [d for name in ("validation", "test") for d in documents_of(corpora, name)]
    refuse_seen(origins, train, held_out)
    unknown = (OTHER_TEXTS,)
    learnt = [unknown if seen is None else seen for seen in origins.values()]
    return frozenset(map(fingerprint, train)).union(*learnt)


def record_inputs(
    config: Config,
    corpora: Sequence[LoadedCorpus],
    tracker: Tracker,
    revision: str | None = None,
) -> None:
    """Record what a run starts from: settings, versions, revision, corpora."""
    tracker.params(flatten(config.to_dict()))
    tracker.text(to_yaml(config), "config.yaml")
    versions = package_versions()
    tracker.text("".join(f"{k}=={v}\n" for k, v in versions.items()), "packages.txt")
    tracker.tags(
        {
            "framelens.git_revision": revision or git_revision(),
            "framelens.config_sha256": config.digest(),
            "framelens.machine": machine(),
            **{f"version.{name}": version for name, version in versions.items()},
        }
    )
    for item in corpora:
        for name, documents in item.splits.items():
            if documents:
                tracker.dataset(item.name, name, listed(documents), item.digests[name])


def prepared(
    config: Config,
    corpora: Sequence[LoadedCorpus],
    teachers: Sequence[Teacher],
    say: Say,
    splits: Sequence[Split] = SPLITS,
) -> tuple[Encoder, Featurizer, dict[str, list[LabelledFeatures]], Fingerprints]:
    """What a training begins with: encoder, featurizer, features with teachers' answers, and the
    texts that it learns from.

    `splits` are those that are featurized.

    Raises:
        TeacherError: if a teacher, or the encoder, has learnt from what is held out.
        EncoderError: if the encoder cannot be used, or what is to be mixed into it.
        TrainingError: if that is of another shape.
        SplitError: if no validation score can be had, by which a step would be chosen.
    """
    seen = _seen(config, corpora, teachers)
    encoder = load_student(config, documents_of(corpora, "train"), teachers)
    if config.training.begin_with is not None:
        encoder = begun_with(encoder, config.training.begin_with)
    if config.training.average_with is not None:
        mixable_model(encoder, config.training.average_with, "average_with")
    featurizer = encoder.featurizer(config.windows)
    split = featurize_splits(corpora, featurizer, splits)
    split["train"] = softened(corpora, split["train"])
    split["train"] = taught(
        teachers,
        corpora,
        split["train"],
        say,
        unseen=config.distillation.unseen,
        asked_about=config.distillation.asked_about,
    )
    known = parts_learnt(config, encoder, split["train"])
    refuse_unscored([item.document for item in split["validation"]], known)
    return encoder, featurizer, split, seen


def taught_parts(config: Config, train: Sequence[LabelledFeatures]) -> list[LossPart]:
    """The parts that the training documents teach, without those that count for nothing."""
    alpha = config.distillation.alpha
    found = learnt_parts(train, labels=alpha < 1 or not config.teacher, answers=alpha > 0)
    return [part for part in found if config.training.loss_weights[part] > 0]


def parts_learnt(
    config: Config, encoder: Encoder, train: Sequence[LabelledFeatures]
) -> frozenset[LossPart]:
    """The parts that a training knows at its end: what it is taught, and what it began with."""
    return encoder.learnt.union(taught_parts(config, train))


def _size_line(split: Mapping[str, Sequence[LabelledFeatures]]) -> str:
    parts = [
        f"{name} {len(items)} documents, {sum(len(i.targets) for i in items)} segments"
        for name, items in split.items()
    ]
    return "Corpus: " + "; ".join(parts)


def train_model(
    config: Config,
    encoder: Encoder,
    featurizer: Featurizer,
    split: Mapping[str, Sequence[LabelledFeatures]],
    corpora: Sequence[LoadedCorpus],
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
    if processes.is_main and not is_resumed:
        checkpoints.clear()
    if fitted is not None:
        say("The training had ended; going on after it")
        for row in fitted.history:  # it may have been recorded nowhere yet
            tracker.metrics(curve_points(row), step=row["step"])
        model = SegmentSpanModel(encoder.module, config.training.dropout, LossConfig({}, {}))
        load_weights(model, checkpoints, fitted.step)
        return model, fitted.history
    learnt = parts_learnt(config, encoder, split["train"])
    mixture = _mixture(corpora, split["train"], config.corpora.sampling_temperature)
    epochs = [
        training_windows(mixture, featurizer, config.windows, config.seed, epoch)
        for epoch in range(config.training.epochs)
    ]
    dataset = WindowDataset(epochs)
    weights = supervision(dataset.windows).positive_weights(config.training.balance)
    soft = SoftLoss(config.distillation.alpha, config.distillation.temperature)
    loss = LossConfig(
        dict(config.training.loss_weights),
        weights,
        soft if config.teacher else None,
        sequences=config.training.tag_sequences,
    )
    model = SegmentSpanModel(encoder.module, config.training.dropout, loss)
    if encoder.heads is not None:
        model.begin_with(encoder.heads, encoder.learnt)
    say(
        f"Training on {len(dataset)} windows, {sum(dataset.lengths)} tokens, in "
        f"at most {config.training.epochs} epochs"
    )
    fitted = fit(
        config,
        model,
        dataset,
        _evaluator(split["validation"], learnt, processes),
        checkpoints,
        [TrackingCallback(tracker, training_report(say)), *progress_bars(say), *callbacks],
        processes=processes,
        describe=lambda window: _opening(encoder, window),
        learnt=learnt,
        known=encoder.learnt,
    )
    if processes.is_main:
        fitted.write(folder)
        checkpoints.keep_model(fitted.step)
    return model, fitted.history


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
        metrics = evaluate(validation, found, DecodingConfig(), samples=0).of(learnt)
        flat = metrics.flat("v")
        return processes.broadcast(
            {name.removeprefix("v/").replace("/", "_"): value for name, value in flat.items()}
        )

    return evaluated


def _opening(encoder: Encoder, window: LabelledWindow) -> str:
    """How a window's text begins, by which it is found in a corpus."""
    text = encoder.tokenizer.decode(window.features.input_ids.tolist())
    return f"“{text[:OPENING]}…”" if len(text) > OPENING else f"“{text}”"


def softened(
    corpora: Sequence[LoadedCorpus], train: Sequence[LabelledFeatures]
) -> list[LabelledFeatures]:
    """The training documents, which stand corpus after corpus, with soft labels where wanted."""
    soft = [item.soft_labels for item in corpora for _ in item.splits["train"]]
    return [with_soft_labels(t) if s else t for s, t in zip(soft, train, strict=True)]


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


def _exported(artifact: Path, run_id: str | None) -> Parity | None:
    """What was measured of an artifact that an earlier process wrote; None if there is none."""
    try:
        training = Artifact.open(artifact).manifest.training
    except ArtifactError:  # none, or one whose card was being written
        return None
    if training["run_id"] != run_id:  # the run was not recorded then
        return None
    figures = training["parity"]
    return Parity(**{name.removeprefix("parity/"): value for name, value in figures.items()})


def _export(
    config: Config,
    encoder: Encoder,
    featurizer: Featurizer,
    model: SegmentSpanModel,
    decoding: DecodingConfig,
    split: Mapping[str, Sequence[LabelledFeatures]],
    corpora: Sequence[LoadedCorpus],
    learnt: Sequence[LossPart],
    record: RunRecord,
    folder: Path,
    tracker: Tracker,
    say: Say,
) -> Parity:
    say("Exporting to ONNX")
    fp32, int8 = folder / "fp32.onnx", folder / "int8.onnx"
    export_onnx(model, fp32, config.windows.max_tokens)
    quantize(fp32, int8, _calibration_windows(split["train"]))
    parity = measure_parity(model, fp32, int8, _parity_documents(featurizer, split), decoding)
    if not parity.torch_onnx_max_difference <= config.export.parity_tolerance:  # nor if it is NaN
        raise ExportError(
            f"expected the fp32 ONNX graph within {config.export.parity_tolerance} of torch, found "
            f"a difference of {parity.torch_onnx_max_difference:.2e}; the trained weights are in "
            f"{folder / 'checkpoints'}"
        )
    training = {
        "run_id": tracker.run_id,
        "git_revision": record.revision,
        "config": config.to_dict(),
        "corpora": [
            {"name": c.name, "licence": c.licence, "sha256": dict(c.digests)} for c in corpora
        ],
        "inherited": dict(record.inherited),
        "inherited_train": dict(record.inherited_train),
        "learnt": learnt,
        "architecture": architecture_of(encoder),
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
        card=model_card(
            config,
            corpora,
            decoding,
            parity,
            encoder=encoder.name,
            learnt=learnt,
            inherited=record.inherited,
        ),
        golden_inputs=GOLDEN_INPUTS,
    )
    return parity


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


def _of_mean_weights(history: History) -> dict[str, float]:
    """The validation score of the weights that ship, where they are the mean of several."""
    found = [row[MEAN_METRIC] for row in history if MEAN_METRIC in row]
    return {"validation/score_of_mean_weights": float(found[-1])} if found else {}


def _record_results(
    config: Config,
    test: Sequence[LabelledFeatures],
    found: Sequence[DocumentLogits],
    decoding: DecodingConfig,
    result: RunResult,
    history: History,
    tracker: Tracker,
) -> None:
    plain = [item.document for item in test]
    scores = [axis_scores(item, decoding) for item in found]
    tracker.metrics(result.flat() | _of_mean_weights(history))
    figures = {
        **figures_on_test(config.name, plain, found, decoding, result.assessment),
        "learning_curves": learning_curves_figure(history, f"{config.name}: learning curves"),
    }
    for name, figure in figures.items():
        tracker.figure(figure, f"figures/{name}.png")
    tables = {
        "slices/test.json": [item.row() for item in result.assessment.slices],
        "errors/worst.json": worst_errors(plain, found, decoding, config.evaluation.worst_errors),
    }
    for path, rows in tables.items():
        if rows:
            tracker.table(rows, path)
    answers = result.artifact.parent / PREDICTIONS
    Answers.collect(plain, scores, decoding).write(answers)
    tracker.folder(answers.parent, "predictions")
    tracker.model(result.artifact, config.name, config.tracking.registry)
