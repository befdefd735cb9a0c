"""What a cascade of two models is worth on labelled documents, by how much of them is deferred.

Which documents these are is decided by the package that ships (`framelens.cascade`); both models
are run as they ship, and every answer is one model's, decoded as that model decodes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import compress
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from framelens.artifact import Artifact
from framelens.cascade import is_deferred
from framelens.decoding import DecodingConfig, DocumentLogits, Floats, axis_scores
from framelens.deferral import DEFER_SHARE, DEFER_WITHIN
from framelens.features import Featurizer
from framelens.network import Network
from framelens.schema import AXES, SPAN_TYPES, Axis, SpanType
from framelens_training.corpora.labelled import LabelledDocument
from framelens_training.errors import CascadeError
from framelens_training.evaluation import (
    Interval,
    Statistic,
    axis_counts,
    macro_f1,
    paired_difference,
    span_f1,
)
from framelens_training.predictions import (
    SpanKey,
    answered_spans,
    article_count,
    article_numbers,
    axis_data,
    gold_spans,
    predict,
)
from framelens_training.span_counts import answered_matches
from framelens_training.targets import LabelledFeatures, featurize_document
from framelens_training.text_tables import table

DISTANCES = (0.0, 0.05, 0.1, DEFER_WITHIN, 0.2, 0.3, 1.0)
"""The distances that are tried: at 0 the first model answers alone, at 1 the second."""

Counts = NDArray[np.float64]
"""By article, (a, k): what a figure is computed from, and may be resampled by."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Answers:
    """What one model says of labelled documents, and what it costs.

    `flags` holds an array (s, 3) a document, 1 where a score is over its threshold and otherwise 0;
    `spans` its evidence spans. `seconds`, (d,), is the processor time of reading by document.
    """

    name: str
    decoding: DecodingConfig
    items: Sequence[LabelledFeatures]
    logits: Sequence[DocumentLogits]
    flags: Sequence[Floats]
    spans: Sequence[list[SpanKey]]
    seconds: NDArray[np.float64]

    @classmethod
    def of(cls, artifact: Artifact, documents: Sequence[LabelledDocument]) -> Answers:
        """Read the documents one after the other, by one thread, as a worker does."""
        featurizer = Featurizer.from_file(artifact.tokenizer, artifact.manifest.features)
        network = Network(artifact.model)
        items: list[LabelledFeatures] = []
        logits: list[DocumentLogits] = []
        seconds: list[float] = []
        for document in documents:
            begun = time.process_time()
            item = featurize_document(document, featurizer)
            logits += predict(network, [item])
            seconds.append(time.process_time() - begun)
            items.append(item)
        name = f"{artifact.info.name} {artifact.info.version}"
        return cls.decoded(name, artifact.manifest.decoding, items, logits, seconds)

    @classmethod
    def decoded(
        cls,
        name: str,
        decoding: DecodingConfig,
        items: Sequence[LabelledFeatures],
        logits: Sequence[DocumentLogits],
        seconds: Sequence[float],
    ) -> Answers:
        """The answers that a decoding makes of logits."""
        thresholds = np.array([decoding.thresholds[axis] for axis in AXES], dtype=np.float32)
        flags = [(axis_scores(f, decoding) >= thresholds).astype(np.float32) for f in logits]
        spans = [
            answered_spans(item, found, decoding) for item, found in zip(items, logits, strict=True)
        ]
        return cls(name, decoding, items, logits, flags, spans, np.array(seconds))

    @property
    def documents(self) -> list[LabelledDocument]:
        """The documents as they are labelled."""
        return [item.document for item in self.items]


@dataclass(frozen=True, slots=True)
class Trial:
    """Two models' answers to the same documents, in the same order."""

    first: Answers
    second: Answers
    share: float = DEFER_SHARE
    """Of a document's segments that must be in doubt."""

    def __post_init__(self) -> None:
        """Make sure that the documents are the same.

        Raises:
            CascadeError: if they are not.
        """
        ours, theirs = ([d.id for d in answers.documents] for answers in (self.first, self.second))
        if ours != theirs:
            only = sorted(set(ours) ^ set(theirs))[:3]
            raise CascadeError(
                "expected two models' answers to the same documents in one order, found "
                + (f"some that only one has answered: {', '.join(only)}" if only else "two orders")
            )

    def deferred(self, within: float) -> list[bool]:
        """Which documents the second model answers, (d,)."""
        decoding = self.first.decoding
        return [is_deferred(logits, decoding, within, self.share) for logits in self.first.logits]

    def chosen(self, within: float, first: Sequence[_T], second: Sequence[_T]) -> list[_T]:
        """Of something that each model has of every document, that of the model that answers."""
        return [
            theirs if deferred else ours
            for ours, theirs, deferred in zip(first, second, self.deferred(within), strict=True)
        ]

    def share_deferred(self, within: float, sizes: Sequence[int]) -> float:
        """The share of documents that are deferred, weighted by what there is of each."""
        deferred = list(compress(sizes, self.deferred(within)))
        return sum(deferred) / max(sum(sizes), 1)

    def time(self, within: float) -> float:
        """Processor time of the cascade over that of the second model alone."""
        second = self.second.seconds
        deferred = second[np.array(self.deferred(within), dtype=np.bool_)]
        return float((self.first.seconds.sum() + deferred.sum()) / second.sum())

    def axis(self, axis: Axis, within: float) -> Counts:
        """Outcomes on one axis, (a, 4)."""
        flags = self.chosen(within, self.first.flags, self.second.flags)
        documents = self.first.documents
        data = axis_data(documents, flags, axis)
        return axis_counts(data, 0.5, article_count(documents)).astype(np.float64)

    def spans(self, kind: SpanType, within: float) -> Counts:
        """Spans of a type that are right, found and expected, (a, 3), exact match."""
        found = self.chosen(within, self.first.spans, self.second.spans)
        documents = self.first.documents
        counts = np.zeros((article_count(documents), 3))
        for document, article, keys in zip(
            documents, article_numbers(documents), found, strict=True
        ):
            counts[article] += answered_matches(document, keys).get(kind, (0, 0, 0))
        return counts


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure at each distance."""

    what: str
    values: Mapping[float, float]
    counts: Mapping[float, Counts]
    statistic: Statistic

    def difference(self, within: float) -> Interval:
        """How far it is from the second model's, with a 95 % interval, articles resampled in pairs.

        With fewer than two articles nothing is known of chance, and the ends are NaN.
        """
        own, second = self.counts[within], self.counts[1.0]
        return paired_difference(own, second, 1000, 0, self.statistic)


def figure(
    what: str,
    counts: Callable[[float], Counts],
    statistic: Statistic,
    distances: Sequence[float] = DISTANCES,
) -> Figure:
    """A figure of `counts` at each distance, 1 among them."""
    found = {within: counts(within) for within in distances}
    values = {within: float(statistic(own.sum(axis=0))) for within, own in found.items()}
    return Figure(what, values, found, statistic)


def figures(trial: Trial, distances: Sequence[float] = DISTANCES) -> list[Figure]:
    """Macro-F1 of every axis of which there are both answers, exact-match F1 of every span type.

    Raises:
        CascadeError: if the labels say neither.
    """
    documents = trial.first.documents
    answers = {
        (axis, segment.counted(axis))
        for document in documents
        for axis in AXES
        if axis in document.annotated
        for segment in document.segments
    }
    kinds = {key[1] for document in documents for key in gold_spans(document)}
    found = [
        figure(axis, partial(trial.axis, axis), macro_f1, distances)
        for axis in AXES
        if {(axis, True), (axis, False)} <= answers
    ]
    found += [
        figure(kind, partial(trial.spans, kind), span_f1, distances)
        for kind in SPAN_TYPES
        if kind in kinds
    ]
    if not found:
        raise CascadeError(
            "expected labels with both answers of an axis, or with spans, found "
            f"{len(documents)} document(s) that have neither"
        )
    return found


def trial_table(
    trial: Trial,
    found: Sequence[Figure],
    *,
    within: float = DEFER_WITHIN,
    distances: Sequence[float] = DISTANCES,
) -> str:
    """A row for each distance: what is deferred, what it costs, and every figure; and below, how
    far the first model, and the cascade within one distance, are from the second model.
    """
    sizes = [len(document.segments) for document in trial.first.documents]
    rows = [
        (
            f"{distance:g}",
            f"{trial.share_deferred(distance, [1] * len(sizes)):.0%}",
            f"{trial.share_deferred(distance, sizes):.0%}",
            f"{trial.time(distance):.2f}",
            *(f"{item.values[distance]:.3f}" for item in found),
        )
        for distance in distances
    ]
    header = ("within", "documents", "segments", "time", *(item.what for item in found))
    differences = [
        (item.what, item.difference(0.0).signed(), item.difference(within).signed())
        for item in found
    ]
    against = ("", f"{trial.first.name} alone", f"cascade within {within:g}")
    return "\n".join([table(header, rows, False), table(against, differences, False)])
