"""One run, end to end: read, train, tune, evaluate, export, record."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from transformers import set_seed

from framelens.artifact import Artifact
from framelens.decoding import DecodingConfig
from framelens.features import Featurizer
from framelens.network import Network
from framelens_training.assessment import assess
from framelens_training.calibration import tune
from framelens_training.card import write_card
from framelens_training.config import LOSS_PARTS, Config
from framelens_training.data import (
    LoadedCorpus,
    load_corpora,
    refuse_overlap,
    told_apart,
    with_distinct_ids,
)
from framelens_training.distillation import unlabelled_corpora
from framelens_training.encoder import load_architecture, save_architecture
from framelens_training.environment import cores_per_process, usable_cores
from framelens_training.errors import UnfitSettingsError
from framelens_training.feature_store import featurize_splits
from framelens_training.fitting import History
from framelens_training.model import TorchNetwork
from framelens_training.model_training import train_model
from framelens_training.predictions import predict
from framelens_training.preparation import TrainingSetup, prepared
from framelens_training.processes import ALONE, Processes
from framelens_training.progress import Say
from framelens_training.run_export import INT8, TrainedRun, export_run, exported
from framelens_training.run_record import RunRecord, finish, removed_if_refused, run_folder
from framelens_training.run_result import RunResult
from framelens_training.run_tracking import record_inputs, record_results
from framelens_training.run_weights import ARCHITECTURE, has_trained
from framelens_training.seen_texts import write_seen
from framelens_training.settings_text import decoding_json
from framelens_training.targets import LabelledFeatures
from framelens_training.teachers import load_teachers
from framelens_training.tracker import Tracker
from framelens_training.weight_averaging import parts_of


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
    is_new = resumed is None and processes.is_main
    with removed_if_refused(folder, is_new=is_new):
        corpora = _corpora(config, say)
        if processes.is_main:  # the same run also by what it reads
            record = record.with_corpora(corpora)
            record = record.begin(folder, is_resumed=True, allow_code=allow_changed_code)
        processes.wait()
        has_ended = resumed is not None and has_trained(folder)
        with processes.main_first():  # the others find features and answers in the cache
            if has_ended:  # only a training learns from what teachers say
                setup = _trained_setup(folder, corpora)
                known = setup.learnt
            else:
                teachers = load_teachers(config)
                if processes.is_main:
                    record = record.with_origins(config, teachers)
                    record = record.begin(folder, is_resumed=True, allow_code=allow_changed_code)
                setup, seen = prepared(config, corpora, teachers, say)
                known = setup.learnt | parts_of(config.training.average_with)
            say(_size_line(setup.split))
    learnt = [part for part in LOSS_PARTS if part in known]
    if processes.is_main:
        record_inputs(config, corpora, tracker, record.revision)
        if not has_ended:
            features = setup.featurizer.config
            save_architecture(setup.encoder, features, learnt, folder / ARCHITECTURE)
            write_seen(folder, seen)
    with removed_if_refused(folder, is_new=is_new, refusal=UnfitSettingsError):
        model, history = train_model(
            config, setup, folder, tracker, say, processes, is_resumed=resumed is not None
        )
    if not processes.is_main:
        return None
    if train_only:
        again = f"--resume {shlex.quote(str(folder))}"
        say(f"The weights are in {folder}; {again} exports, evaluates and records them")
        return None
    trained = TrainedRun(config, record, folder, setup, model, learnt)
    return _finished(trained, history, tracker, say, started, is_resumed=resumed is not None)


def _corpora(config: Config, say: Say) -> list[LoadedCorpus]:
    """The corpora of a run, those of unlabelled texts after them; each has a name of its own."""
    corpora = load_corpora(config)
    refuse_overlap(corpora)
    corpora = with_distinct_ids(corpora)
    return told_apart([*corpora, *unlabelled_corpora(config, corpora, say)])


def _trained_setup(folder: Path, corpora: Sequence[LoadedCorpus]) -> TrainingSetup:
    """What a training that has ended began with, but for teachers' answers and the weights."""
    encoder, features, learnt = load_architecture(folder / ARCHITECTURE)
    featurizer = Featurizer(encoder.tokenizer, features)
    split = featurize_splits(corpora, featurizer)
    return TrainingSetup(encoder, featurizer, corpora, split, learnt)


def _size_line(split: Mapping[str, Sequence[LabelledFeatures]]) -> str:
    parts = [
        f"{name} {len(items)} documents, {sum(len(i.targets) for i in items)} segments"
        for name, items in split.items()
    ]
    return "Corpus: " + "; ".join(parts)


def _finished(
    run: TrainedRun,
    history: History,
    tracker: Tracker,
    say: Say,
    started: float,
    *,
    is_resumed: bool,
) -> RunResult:
    """Export, evaluate and record a trained model; `started` is when, on the monotonic clock."""
    config, test = run.config, run.setup.split["test"]
    run.model.cpu()  # what follows reads window by window, and exports
    unlearnt = [part for part in LOSS_PARTS if part not in run.learnt]
    if unlearnt:
        say(f"Nothing was learnt of {', '.join(unlearnt)}: the model will always answer no")
        run.model.silence(unlearnt)

    set_seed(config.seed)  # so that what follows does not depend on where training was resumed
    parity = exported(run.artifact, tracker.run_id) if is_resumed else None
    if parity is None:
        parity = export_run(run, _tuned(run, say), tracker.run_id, say)
    (run.folder / INT8).unlink(missing_ok=True)  # the fp32 graph stays, for benchmarks
    decoding = Artifact.open(run.artifact).manifest.decoding
    tracker.text(decoding_json(decoding), "decoding.json")

    say("Evaluating the exported model on test")
    network = Network(run.artifact / "model.onnx", usable_cores())
    found = predict(network, test)
    test_corpora = [item.name for item in run.setup.corpora for _ in item.splits["test"]]
    assessment = assess(
        config, network, run.setup.featurizer, run.setup.split, test_corpora, found, decoding
    )
    write_card(run.artifact, run.card(decoding, parity, assessment))
    seconds = time.monotonic() - started
    result = RunResult(tracker.run_id, run.artifact, assessment, parity, seconds)
    record_results(config, test, found, decoding, result, history, tracker)
    return result


def _tuned(run: TrainedRun, say: Say) -> DecodingConfig:
    """Temperatures and thresholds of a trained model."""
    say("Tuning temperatures and thresholds on validation")
    validation = run.setup.split["validation"]
    found = predict(TorchNetwork(run.model), validation)
    return tune(validation, found, run.config.evaluation, run.learnt)
