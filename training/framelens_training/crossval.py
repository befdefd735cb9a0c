"""Grouped cross-validation with several seeds: how good a recipe is, and how sure that is.

Each seed draws its own folds. Within a fold a validation part, grouped too, is cut from the
training documents: early stopping, temperatures and thresholds see it and never the reported
part. The model is judged as trained (fp32, in torch): no fold's model ships, so none is
exported. What a fold gave is kept in a file of the run's folder, so that a cross-validation that
was cut short is gone on with, and one that has finished is widened to more seeds.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Self

import numpy as np
import torch
from scipy.stats import t as student
from transformers import set_seed

from framelens.features import Featurizer
from framelens_training.calibration import tune
from framelens_training.config import LOSS_PARTS, MOST_SEEDS, Config
from framelens_training.corpora.base import Split
from framelens_training.corpora.grouping import grouped
from framelens_training.corpora.splits import folds as grouped_folds
from framelens_training.corpora.splits import split as grouped_split
from framelens_training.data import (
    LoadedCorpus,
    divided_together,
    documents_of,
    load_corpora,
    refuse_overlap,
    with_distinct_ids,
)
from framelens_training.environment import usable_cores
from framelens_training.errors import (
    ConfigError,
    EncoderError,
    ResumeError,
    SplitError,
    TeacherError,
)
from framelens_training.evaluation import evaluate
from framelens_training.model import TorchNetwork
from framelens_training.model_training import train_model
from framelens_training.origins import named_weights, origins_of
from framelens_training.predictions import predict
from framelens_training.preparation import TrainingSetup, parts_learnt, softened
from framelens_training.progress import Say
from framelens_training.run_record import RunRecord, finish, run_folder
from framelens_training.run_tracking import record_inputs
from framelens_training.scorable import refuse_unscored
from framelens_training.seen_texts import OTHER_TEXTS, Fingerprints, fingerprint, some_of
from framelens_training.student import load_student
from framelens_training.targets import LabelledFeatures, featurize_document
from framelens_training.tracker import Tracker
from framelens_training.whole_files import write_whole

VALIDATION_SHARE = 0.1
"""Share of a fold's training documents that is set apart for stopping and thresholds."""


@dataclass(frozen=True, slots=True)
class FoldResult:
    """Figures on the held-out part of one fold, under the names that runs use."""

    fold: int
    seed: int
    documents: int
    figures: Mapping[str, float]

    def write(self, path: Path, folds: int) -> None:
        """Keep the result of this one of so many folds."""
        write_whole(path, json.dumps({"folds": folds, **asdict(self)}, indent=1))

    @classmethod
    def read(cls, path: Path, folds: int) -> Self | None:
        """What `write` wrote; None if this fold was never finished.

        Raises:
            ResumeError: if it is of another number of folds, or no result at all.
        """
        try:
            content = json.loads(path.read_text("utf-8"))
            then = content.pop("folds")
            result = cls(**content)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ResumeError(f"{path}: expected the result of a fold, found {error}") from error
        if then != folds:
            raise ResumeError(f"expected {then} folds, as this one was begun with, found {folds}")
        return result


@dataclass(frozen=True, slots=True)
class Estimate:
    """Mean and standard deviation over folds and seeds, and a 95 % interval of the mean."""

    mean: float
    deviation: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} ± {self.deviation:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True, slots=True)
class CrossValidation:
    """The results of all folds and seeds."""

    run_id: str | None
    folds: int
    results: tuple[FoldResult, ...]

    def estimates(self) -> dict[str, Estimate]:
        """Every figure that all folds have."""
        shared = set.intersection(*(set(result.figures) for result in self.results))
        return {
            name: estimate([result.figures[name] for result in self.results], self.folds)
            for name in self.results[0].figures
            if name in shared
        }

    def flat(self) -> dict[str, float]:
        """Estimates as metrics, `crossval/attributed/macro_f1/mean` and so on."""
        return {
            f"crossval/{name.removeprefix('test/')}/{part}": value
            for name, item in self.estimates().items()
            for part, value in (
                ("mean", item.mean),
                ("deviation", item.deviation),
                ("low", item.low),
                ("high", item.high),
            )
        }

    def rows(self) -> list[dict[str, float]]:
        """A row for each fold and seed."""
        return [
            {"seed": item.seed, "fold": item.fold, "documents": item.documents, **item.figures}
            for item in self.results
        ]


def estimate(values: Sequence[float], folds: int) -> Estimate:
    """Mean, standard deviation and interval of figures from `folds`-fold cross-validation.

    Folds share training data, so their figures are not independent and the plain standard
    error is too small. The variance is widened by test size over training size, which is without
    the part that is validated on, and Student's t is used (Nadeau and Bengio 2003, "Inference for
    the Generalization Error"). Every figure of a run lies in [0, 1], and so does the interval.
    """
    mean = float(np.mean(values))
    count = len(values)
    if count < 2:
        return Estimate(mean, float("nan"), float("nan"), float("nan"))
    deviation = float(np.std(values, ddof=1))
    test_over_training = 1 / ((1 - VALIDATION_SHARE) * (folds - 1))
    spread = deviation * float(np.sqrt(1 / count + test_over_training))
    reach = float(student.ppf(0.975, count - 1)) * spread
    return Estimate(mean, deviation, max(mean - reach, 0.0), min(mean + reach, 1.0))


def crossvalidate(
    config: Config,
    tracker: Tracker,
    *,
    folds: int = 5,
    seeds: int = 3,
    say: Say = print,
    resumed: Path | None = None,
    allow_changed_code: bool = False,
) -> CrossValidation:
    """Train and evaluate `folds` times for each of `seeds` seeds, from the config's one up.

    The documents of all splits of a corpus are divided anew, those that share a group, a link or
    nearly all of their words together; all files of one's own are divided as one corpus, and so
    are corpora that hold the same text. One that is not evaluated is in every training part. Each
    fold is a run within the tracker's. With `resumed`, the folder of an earlier cross-validation,
    only folds without a result are trained, and one that was cut short goes on from its last
    checkpoint.

    Raises:
        ConfigError: if the seeds would be larger than seeds can be.
        ResumeError: if the earlier one was of another recipe, other documents or other folds.
        TrainingError: if the encoder or a corpus cannot be used, a corpus has fewer groups than
            folds, a fold has no validation score or trains on a text that it holds out, or a
            teacher is named, or the encoder has learnt from what the folds hold out.
    """
    if config.seed + seeds > MOST_SEEDS:
        raise ConfigError(
            "--seeds",
            [f"expected seeds below {MOST_SEEDS}, found {config.seed} and {seeds - 1} more"],
        )
    _refuse_other_models(config)
    seen = {origin.name: origin.read_seen() for origin in origins_of(config)}
    _refuse_unknown(seen)
    torch.set_num_threads(config.threads or usable_cores())
    corpora = load_corpora(config)
    _refuse_trained(config, corpora, seen)
    record = RunRecord.of(config, tracker.run_id, 1, folds).with_corpora(corpora)
    record = record.with_origins(config, [])
    if resumed is not None:
        RunRecord.read(resumed).check(record, resumed, allow_code=allow_changed_code)
    recipes = [config.model_copy(update={"seed": config.seed + n}) for n in range(seeds)]
    divided = [list(fold_corpora(seeded, corpora, folds)) for seeded in recipes]
    for parts in chain.from_iterable(divided):
        refuse_overlap(parts)  # a corpus that is trained on may hold a text of one that is divided
    encoder = load_student(config, documents_of(corpora, "train"))
    features = _features(corpora, encoder.featurizer(config.windows))
    for parts in chain.from_iterable(divided):
        train = _train_features(parts, features)
        known = parts_learnt(config, encoder, train)
        refuse_unscored(documents_of(parts, "validation"), known)
    # After all that may be refused: a refusal leaves no folder behind.
    folder = resumed or run_folder(config, tracker.run_id)
    record = record.begin(folder, is_resumed=resumed is not None, allow_code=allow_changed_code)
    record_inputs(config, corpora, tracker, record.revision)
    tracker.params({"crossval.folds": folds})
    tracker.tags({"crossval.seeds": str(seeds)})
    results: list[FoldResult] = []
    for seeded, parts_by_fold in zip(recipes, divided, strict=True):
        for fold, parts in enumerate(parts_by_fold, start=1):
            name = f"seed{seeded.seed}-fold{fold}"
            say(f"Fold {fold} of {folds}, seed {seeded.seed}")
            kept = folder / f"{name}.json"
            result = FoldResult.read(kept, folds)
            if result is None:
                with tracker.child(name) as child:
                    child.tags({"framelens.fold": str(fold), "framelens.seed": str(seeded.seed)})
                    result = _fold(seeded, fold, parts, features, folder / name, child, say)
                    child.metrics(result.figures)
                result.write(kept, folds)
            shutil.rmtree(folder / name, ignore_errors=True)  # its model is not kept
            say(f"  macro-F1 {_shown(result.figures)}")
            results.append(result)
    found = CrossValidation(tracker.run_id, folds, tuple(results))
    # By the number of results: with more seeds they are further points of the same curves.
    tracker.metrics(found.flat(), step=len(results))
    tracker.table(found.rows(), "crossval/folds.json")
    finish(folder)
    return found


def _refuse_other_models(config: Config) -> None:
    """Make sure that no model but the encoder has a part in the folds.

    Raises:
        TeacherError: if a teacher is named.
        EncoderError: if weights are to be mixed in.
    """
    if config.teacher:
        raise TeacherError(
            f"expected no 'teacher' in a cross-validation, found {', '.join(config.teacher)}: it "
            "has learnt from documents that other folds hold out, and its student would be told "
            "their answers; take 'teacher' out, or use framelens-train run"
        )
    mixed_in = [
        f"training.{setting}"
        for setting in ("begin_with", "average_with")
        if setting in named_weights(config.to_dict())
    ]
    if mixed_in:
        raise EncoderError(
            f"expected no {' and no '.join(mixed_in)} in a cross-validation, whose folds begin "
            "with the encoder and mix nothing in; take it out, or use framelens-train run"
        )


def _refuse_unknown(seen: Mapping[str, Fingerprints | None]) -> None:
    """Make sure that it is known what the encoder has learnt from, if it is a trained model.

    Raises:
        EncoderError: if that, or what a model that its run took over has learnt from, is not.
    """
    for name, texts in seen.items():
        if texts is None or OTHER_TEXTS in texts:
            raise _trained(name, "one of which not all is known that it has learnt from")


def _refuse_trained(
    config: Config, corpora: Sequence[LoadedCorpus], seen: Mapping[str, Fingerprints | None]
) -> None:
    """Make sure that no fold begins with weights that have learnt from what it holds out.

    Raises:
        EncoderError: if the encoder is a trained model that has.
    """
    judged = {
        fingerprint(document): document.id
        for item, use in zip(corpora, config.corpora.use, strict=True)
        if use.evaluate
        for documents in item.splits.values()
        for document in documents
    }
    for name, texts in seen.items():
        ids = sorted(judged[text] for text in judged.keys() & (texts or frozenset()))
        if ids:
            found = f"one that has learnt from {len(ids)} of them: {some_of(ids)}"
            raise _trained(name, found)


def _trained(name: str, found: str) -> EncoderError:
    return EncoderError(
        "expected weights that have not learnt from the documents that the folds hold out, found "
        f"in encoder {name} {found}; take the encoder that it began with, or a model of other texts"
    )


def fold_corpora(
    config: Config, corpora: Sequence[LoadedCorpus], folds: int
) -> Iterator[list[LoadedCorpus]]:
    """The corpora of each fold; `test` is the held-out part, `validation` is cut from training.

    Raises:
        SplitError: if a corpus has too few groups, or nothing is left to validate with.
    """
    divided: list[list[LoadedCorpus]] = [[item] * folds for item in corpora]
    evaluated = [number for number, use in enumerate(config.corpora.use) if use.evaluate]
    for numbers in divided_together([corpora[number] for number in evaluated]):
        chosen = [evaluated[number] for number in numbers]
        found = _divided([corpora[number] for number in chosen], folds, config.seed)
        for number, parts in zip(chosen, found, strict=True):
            divided[number] = parts
    for fold in zip(*divided, strict=True):
        if not any(d.segments for item in fold for d in item.splits["validation"]):
            raise SplitError(
                "expected documents enough to set some apart for validation in every fold, found "
                f"none among {sum(len(item.splits['train']) for item in fold)}; add documents"
            )
        yield list(fold)


def _divided(corpora: Sequence[LoadedCorpus], folds: int, seed: int) -> list[list[LoadedCorpus]]:
    """Of each of several corpora that are divided as one, its parts in each fold.

    They hold the corpora's own documents, whatever names and groups these were divided by.

    Raises:
        SplitError: if there are too few groups.
    """
    own = {
        named.id: (number, document)
        for number, (item, copy) in enumerate(zip(corpora, with_distinct_ids(corpora), strict=True))
        for split, documents in item.splits.items()
        for document, named in zip(documents, copy.splits[split], strict=True)
    }
    together = grouped([replace(document, id=name) for name, (_, document) in own.items()])
    try:
        pairs = grouped_folds(together, folds, seed)
    except ValueError as error:
        names = ", ".join(repr(item.name) for item in corpora)
        raise SplitError(
            f"corpus {names}: {error}; use fewer folds or set 'evaluate: false'"
        ) from error
    shares: dict[Split, float] = {"train": 1 - VALIDATION_SHARE, "validation": VALIDATION_SHARE}
    divided: list[list[LoadedCorpus]] = [[] for _ in corpora]
    for rest, held in pairs:
        parts = {**grouped_split(rest, shares, seed), "test": held}
        back = {name: [own[document.id] for document in found] for name, found in parts.items()}
        for number, item in enumerate(corpora):
            splits = {name: [d for n, d in rows if n == number] for name, rows in back.items()}
            divided[number].append(replace(item, splits=splits))
    return divided


def _features(
    corpora: Sequence[LoadedCorpus], featurizer: Featurizer
) -> dict[int, LabelledFeatures]:
    """Features of the documents of all splits, by `id` of the document."""
    return {
        id(document): featurize_document(document, featurizer)
        for name in ("train", "validation", "test")
        for document in documents_of(corpora, name)
    }


def _train_features(
    corpora: Sequence[LoadedCorpus], features: Mapping[int, LabelledFeatures]
) -> list[LabelledFeatures]:
    """The documents that a fold trains on, with soft labels where wanted."""
    return softened(corpora, [features[id(d)] for d in documents_of(corpora, "train")])


def _fold(
    config: Config,
    fold: int,
    corpora: Sequence[LoadedCorpus],
    features: Mapping[int, LabelledFeatures],
    folder: Path,
    tracker: Tracker,
    say: Say,
) -> FoldResult:
    """Train and judge; `features` are the corpora's, unless the fold has a vocabulary of its own,
    counted in what it trains on.
    """
    encoder = load_student(config, documents_of(corpora, "train"))
    featurizer = encoder.featurizer(config.windows)
    if config.student is not None and config.student.vocabulary is not None:
        features = _features(corpora, featurizer)
    set_seed(config.seed)
    split = {
        name: [features[id(document)] for document in documents_of(corpora, name)]
        for name in ("validation", "test")
    }
    split["train"] = _train_features(corpora, features)
    learnt = parts_learnt(config, encoder, split["train"])
    setup = TrainingSetup(encoder, featurizer, corpora, split, learnt)
    model, _ = train_model(config, setup, folder, tracker, say, is_resumed=folder.is_dir())
    model.silence([part for part in LOSS_PARTS if part not in learnt])  # as one that ships
    network = TorchNetwork(model)
    found = predict(network, split["validation"])
    decoding = tune(split["validation"], found, config.evaluation, learnt)
    metrics = evaluate(split["test"], predict(network, split["test"]), decoding, samples=0)
    return FoldResult(fold, config.seed, len(split["test"]), metrics.flat("test"))


def _shown(figures: Mapping[str, float]) -> str:
    return ", ".join(
        f"{name.split('/')[1]} {value:.3f}"
        for name, value in figures.items()
        if name.endswith("/macro_f1")
    )


def crossval_lines(found: CrossValidation) -> list[str]:
    """The estimates for a person to read."""
    estimates = found.estimates()
    count = len(found.results)
    lines = ["", f"{'':<13}{'macro-F1':<32}{'weighted F1 (scikit-learn)':<32}average precision"]
    figures_of = [name for result in found.results for name in result.figures]
    names = list(
        dict.fromkeys(name.split("/")[1] for name in figures_of if name.endswith("/weighted_f1"))
    )
    for axis in names:
        figures = ("macro_f1", "weighted_f1", "average_precision")
        cells = [estimates.get(f"test/{axis}/{figure}") for figure in figures]
        shown = ["not both answers in some fold" if c is None else str(c) for c in cells]
        lines.append(f"{axis:<13}" + "".join(f"{cell:<32}" for cell in shown))
    spans = [name for name in estimates if name.endswith("/f1") and name.split("/")[1] not in names]
    lines += [f"{name.split('/')[1]:<13}{estimates[name]} exact F1" for name in spans]
    some = {name for name in figures_of if name.endswith("/f1")}
    lines += [
        f"{name.split('/')[1]:<13}none to find in some fold: no figure"
        for name in sorted(some.difference(estimates))
        if name.split("/")[1] not in names
    ]
    lines.append(
        f"mean ± standard deviation [95 % interval of the mean] over {count} results: "
        f"{found.folds} folds, {count // found.folds} seed(s)"
    )
    return [line.rstrip() for line in lines]
