"""What distillation adds to a run: texts without labels, and teachers' answers beside labels."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from framelens.reading import read_records
from framelens.records import FieldNames
from framelens.schema import AXES
from framelens.segmentation import segment_article
from framelens_training.alignment import SILENCE, WordAnswers, limited
from framelens_training.augmentation import augmented, word_neighbours
from framelens_training.config import LOSS_PARTS, Config, LossPart
from framelens_training.corpora.base import Split
from framelens_training.corpora.labelled import (
    CorpusError,
    GoldSegment,
    LabelledDocument,
    Problem,
    digest,
)
from framelens_training.corpora.registry import CORPORA, corpus, resolve_root
from framelens_training.corpora.store import default_cache, open_corpus
from framelens_training.data import LoadedCorpus, documents_of
from framelens_training.encoder import load_encoder
from framelens_training.errors import TeacherError
from framelens_training.progress import Say
from framelens_training.seen_texts import OTHER_TEXTS, fingerprint
from framelens_training.soft_targets import answers_for, with_soft_targets
from framelens_training.targets import LabelledFeatures, SegmentTargets, is_article_text
from framelens_training.teachers import Teacher

MIN_WORDS = 6
"""Fewest words of a segment that gives away that a held-out text is among the unlabelled ones."""

_COPIES = "augmented "


def unlabelled_corpora(
    config: Config, labelled: Sequence[LoadedCorpus], say: Say
) -> list[LoadedCorpus]:
    """What `distillation.unlabelled` and `.augmented` ask for, without any label, for training.

    `labelled` holds the corpora of `config.corpora.use`, in their order.

    Raises:
        CorpusError: with every row of a file that has no text.
        EncoderError: if the encoder whose words tell what may stand for what is not to be had.
        FileNotFoundError: if a file or the root folder of the corpora is missing.
    """
    return [*_unlabelled(config, labelled, say), *_augmented(config, labelled)]


def _unlabelled(config: Config, labelled: Sequence[LoadedCorpus], say: Say) -> list[LoadedCorpus]:
    """Further texts.

    A document that shares a segment of six words or more with a validation or test document is
    left out: its teachers' answers would be answers for what the run reports.
    """
    if not config.distillation.unlabelled:
        return []
    held = {
        words
        for item in labelled
        for name in ("validation", "test")
        for document in item.splits[name]
        for words in _wordings(document)
    }
    loaded: list[LoadedCorpus] = []
    for name in config.distillation.unlabelled:
        documents, licence = _documents(name, config)
        kept = [document for document in documents if held.isdisjoint(_wordings(document))]
        if len(kept) < len(documents):
            say(f"Unlabelled {name}: {len(documents) - len(kept)} left out, held out elsewhere")
        label = name if name in CORPORA else Path(name).name
        weight = config.distillation.unlabelled_weight
        loaded.append(_for_training(f"unlabelled {label}", licence, weight, kept))
    return loaded


def _augmented(config: Config, labelled: Sequence[LoadedCorpus]) -> list[LoadedCorpus]:
    """Changed copies of the run's own training segments."""
    settings = config.distillation
    if not settings.augmented:
        return []
    chosen = [
        (item, settings.augmented[use.name])
        for use, item in zip(config.corpora.use, labelled, strict=True)
        if use.name in settings.augmented
    ]
    encoder = load_encoder(settings.augmented_words or config.encoder)
    documents = documents_of([item for item, _ in chosen], "train")
    texts = [d.segment_text(segment) for d in documents for segment in d.segments]
    neighbours = word_neighbours(encoder, texts)
    return [
        replace(
            _for_training(
                f"{_COPIES}{item.name}",
                item.licence,
                settings.augmented_weight,
                augmented(item.splits["train"], copies, neighbours),
            ),
            taught=item.taught,
            origins=[document for document in item.splits["train"] for _ in range(copies)],
            use=item.use,
        )
        for item, copies in chosen
    ]


def _for_training(
    name: str, licence: str, weight: float, documents: Sequence[LabelledDocument]
) -> LoadedCorpus:
    splits: dict[Split, Sequence[LabelledDocument]] = {
        "train": documents, "validation": [], "test": []
    }  # fmt: skip
    digests = {split: digest(rows) for split, rows in splits.items()}
    return LoadedCorpus(name, licence, weight, splits, digests)


def _wordings(document: LabelledDocument) -> set[str]:
    words = [document.segment_text(segment).casefold().split() for segment in document.segments]
    return {" ".join(item) for item in words if len(item) >= MIN_WORDS}


def _documents(name: str, config: Config) -> tuple[list[LabelledDocument], str]:
    if name not in CORPORA:
        return _of_file(name), "your own"
    reader = corpus(name)
    if reader.info.upstream:
        found = open_corpus(reader, resolve_root(config.corpora.root)).read()
    else:
        found = dict(reader.read(None))
    return [without_labels(document) for document in found.get("train", ())], reader.info.licence


def without_labels(document: LabelledDocument) -> LabelledDocument:
    """A document's text and segments, and nothing that anybody said of them."""
    segments = tuple(GoldSegment(s.field, s.start, s.end) for s in document.segments)
    return replace(document, annotated=frozenset(), segments=segments, spans=())


def _of_file(name: str) -> list[LabelledDocument]:
    path = Path(name).expanduser()
    if not path.is_file():
        raise FileNotFoundError(
            f"distillation.unlabelled: expected a file of texts or the name of a corpus, found "
            f"no file {name!r}; the corpora are {', '.join(CORPORA)}"
        )
    documents: list[LabelledDocument] = []
    problems: list[Problem] = []
    for record in read_records([str(path)], FieldNames()):
        text = record.row.get("text") if record.row else None
        headline = record.row.get("headline") if record.row else None
        if isinstance(text, str) and isinstance(headline, str | None):
            documents.append(_segmented(record.id, text, headline or None))
        else:
            why = record.error.message if record.error else "expected text and headline as strings"
            problems.append(Problem(record.id, why))
    if problems:
        raise CorpusError(problems)
    return documents


def _segmented(id: str, text: str, headline: str | None) -> LabelledDocument:
    """A text in the segments in which it would be scored."""
    segments: list[GoldSegment] = []
    for segment in segment_article(text, headline):
        if segment.role == "headline" and segment.field == "text":
            # A first line that reads like a headline is one in training as well.
            headline = segment.text
            segments.append(GoldSegment("headline", 0, len(segment.text)))
        else:
            segments.append(GoldSegment(segment.field, segment.start, segment.end))
    return LabelledDocument(id, text, headline, segments=tuple(segments))


def taught(
    teachers: Sequence[Teacher],
    corpora: Sequence[LoadedCorpus],
    train: Sequence[LabelledFeatures],
    say: Say,
    *,
    unseen: bool = False,
    asked_about: Mapping[str, Collection[str]] | None = None,
) -> list[LabelledFeatures]:
    """The training documents, corpus after corpus, with the teachers' answers beside labels.

    Each corpus is answered for by the teachers that learnt any of the parts on which it is to be
    taught, without those for which `asked_about` names other corpora only. With `unseen`, the
    answers for a document are those of the teachers that never learnt from it, nor from what it
    is a changed copy of, as far as there are any; the others are not asked where these answer
    for all that they know.

    Raises:
        TeacherError: naming each teacher of `asked_about` that is to be heard on none of its
            corpora, or the texts without labels on which no teacher is to be heard.
    """
    if not teachers:
        return list(train)
    about = asked_about or {}
    _refuse_unasked(teachers, corpora, about)
    _refuse_unanswered(teachers, corpora, about)
    folder = default_cache() / "teachers"
    found: list[LabelledFeatures] = []
    first = 0
    for item in corpora:
        documents = item.splits["train"]
        last = first + len(documents)
        features = train[first:last]
        heard = [teacher for teacher in teachers if _is_heard(teacher, item, about)]
        if heard:
            preferred = _strangers(heard, item.origins or documents) if unseen else None
            answers = [
                _limited(_answers(teacher, item, wanted, folder, say), item.taught)
                for teacher, wanted in zip(heard, _wanted(heard, item, preferred), strict=True)
            ]
            copies = item.name.startswith(_COPIES)
            features = [
                _by_definition(row, copies)
                for row in with_soft_targets(features, answers, preferred)
            ]
        found += features
        first = last
    return found


def _is_heard(
    teacher: Teacher, item: LoadedCorpus, asked_about: Mapping[str, Collection[str]]
) -> bool:
    chosen = asked_about.get(teacher.name)
    return bool(teacher.learnt & item.taught) and (chosen is None or item.use in chosen)


def _refuse_unasked(
    teachers: Sequence[Teacher],
    corpora: Sequence[LoadedCorpus],
    asked_about: Mapping[str, Collection[str]],
) -> None:
    """Make sure that no teacher is silenced by `distillation.asked_about` altogether."""
    problems = [
        f"{', '.join(asked_about[teacher.name]) or 'nothing'} for {teacher.name}, which learnt "
        f"{', '.join(sorted(teacher.learnt))}"
        for teacher in teachers
        if teacher.name in asked_about
        and not any(
            item.splits["train"] and _is_heard(teacher, item, asked_about) for item in corpora
        )
    ]
    if problems:
        raise TeacherError(
            "distillation.asked_about: expected corpora with training documents on which the "
            f"teacher may be heard, found {'; '.join(problems)}. Name others, look at their "
            "'taught', or take the teacher out"
        )


def _refuse_unanswered(
    teachers: Sequence[Teacher],
    corpora: Sequence[LoadedCorpus],
    asked_about: Mapping[str, Collection[str]],
) -> None:
    """Make sure that texts without labels have answers: they would be read for nothing."""
    names = [
        item.name
        for item in corpora
        if (item.origins or not item.use)
        and not any(_is_heard(teacher, item, asked_about) for teacher in teachers)
    ]
    if names:
        raise TeacherError(
            f"distillation: expected a teacher that may be heard on {', '.join(names)}, whose "
            "texts have no labels, found none. Look at 'asked_about' and at the corpora's "
            "'taught', or leave these texts out of 'unlabelled' and 'augmented'"
        )


def _wanted(
    teachers: Sequence[Teacher], item: LoadedCorpus, preferred: Sequence[Collection[int]] | None
) -> list[list[int]]:
    """For each teacher the training documents, by number, for which its answer counts."""
    everything = range(len(item.splits["train"]))
    if preferred is None:
        return [list(everything)] * len(teachers)
    parts = [teacher.learnt & item.taught for teacher in teachers]
    answered = [frozenset[LossPart]().union(*(parts[n] for n in first)) for first in preferred]
    return [
        [row for row in everything if number in preferred[row] or not own <= answered[row]]
        for number, own in enumerate(parts)
    ]


def _answers(
    teacher: Teacher, item: LoadedCorpus, wanted: Sequence[int], folder: Path, say: Say
) -> list[list[WordAnswers]]:
    """A teacher's answers for a corpus; silence for documents about which it is not asked."""
    documents = item.splits["train"]
    if len(wanted) == len(documents):
        return answers_for(teacher, documents, item.digests["train"], folder, say)
    asked = [documents[row] for row in wanted]
    found = [[SILENCE] * len(document.segments) for document in documents]
    for row, given in zip(
        wanted, answers_for(teacher, asked, digest(asked), folder, say), strict=True
    ):
        found[row] = given
    return found


def _by_definition(item: LabelledFeatures, copies: bool) -> LabelledFeatures:
    """Without what a teacher says of page furniture where it is known that there is none.

    Changed copies carry no labels; of them these are the headlines and the lone sentences.
    """
    document, column = item.document, AXES.index("boilerplate")
    lone_copy = copies and len(document.segments) == 1
    targets: list[SegmentTargets] = []
    for gold, target in zip(document.segments, item.targets, strict=True):
        known = lone_copy or gold.field == "headline" or is_article_text(document, gold)
        if known and target.soft is not None:
            axes = target.soft.axes.copy()
            axes[column] = np.nan
            target = replace(target, soft=replace(target.soft, axes=axes))
        targets.append(target)
    return replace(item, targets=tuple(targets))


def _limited(
    answers: list[list[WordAnswers]], parts: frozenset[LossPart]
) -> list[list[WordAnswers]]:
    if parts.issuperset(LOSS_PARTS):
        return answers
    return [[limited(item, parts) for item in document] for document in answers]


def _strangers(
    teachers: Sequence[Teacher], documents: Sequence[LabelledDocument]
) -> list[list[int]]:
    """For each document the teachers, by number, that are known never to have learnt from it."""
    known = [
        (number, t.seen)
        for number, t in enumerate(teachers)
        if t.seen is not None and OTHER_TEXTS not in t.seen
    ]
    return [
        [number for number, seen in known if text not in seen]
        for text in map(fingerprint, documents)
    ]
