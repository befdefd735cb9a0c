"""What a training begins with: encoder, featurizer, and features with the teachers' answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from framelens.features import Featurizer
from framelens_training.config import Config, LossPart
from framelens_training.corpora.base import SPLITS, Split
from framelens_training.data import LoadedCorpus, documents_of
from framelens_training.distillation import taught
from framelens_training.encoder import Encoder
from framelens_training.feature_store import featurize_splits
from framelens_training.origins import origins_of
from framelens_training.progress import Say
from framelens_training.scorable import refuse_unscored
from framelens_training.seen_texts import OTHER_TEXTS, Fingerprints, fingerprint, refuse_seen
from framelens_training.student import load_student
from framelens_training.targets import LabelledFeatures, learnt_parts, with_soft_labels
from framelens_training.teachers import Teacher
from framelens_training.weight_averaging import begun_with, mixable_model


@dataclass(frozen=True, slots=True)
class TrainingSetup:
    """What a training begins with."""

    encoder: Encoder
    featurizer: Featurizer
    corpora: Sequence[LoadedCorpus]
    split: Mapping[str, Sequence[LabelledFeatures]]
    """Features of the documents of each split, corpus after corpus."""
    learnt: frozenset[LossPart]
    """The parts that the model knows at the end (`parts_learnt`); of a training that has ended,
    those of a model that was mixed in too."""


def prepared(
    config: Config,
    corpora: Sequence[LoadedCorpus],
    teachers: Sequence[Teacher],
    say: Say,
    splits: Sequence[Split] = SPLITS,
) -> tuple[TrainingSetup, Fingerprints]:
    """What a training begins with, and the texts that it learns from.

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
    learnt = parts_learnt(config, encoder, split["train"])
    refuse_unscored([item.document for item in split["validation"]], learnt)
    return TrainingSetup(encoder, featurizer, corpora, split, learnt), seen


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


def softened(
    corpora: Sequence[LoadedCorpus], train: Sequence[LabelledFeatures]
) -> list[LabelledFeatures]:
    """The training documents, which stand corpus after corpus, with soft labels where wanted."""
    soft = [item.soft_labels for item in corpora for _ in item.splits["train"]]
    return [with_soft_labels(t) if s else t for s, t in zip(soft, train, strict=True)]


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
