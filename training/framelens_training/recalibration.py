"""A finished model calibrated anew on labels of one's own; its weights stay as they are.

A model is surer, or less sure, on texts of another kind than on those that it was tuned on, and
labels that are too few to train on are enough to tell by how much. On each axis a slope and an
offset are fitted to the logits (Platt 1999, "Probabilistic Outputs for Support Vector Machines"),
with his targets, which keep few labels from making it too sure. A probability that is right needs
no threshold but a half. Spans get their transitions and thresholds as in a training run, where
that makes them better on other articles.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from framelens.decoding import DecodingConfig, DocumentLogits, Floats, axis_scores
from framelens.schema import ATTRIBUTION_TYPES, AXES, SPAN_TYPES, Axis, SpanType
from framelens_training.calibration import likeliest_scaling, which_are_headlines
from framelens_training.calibration_error import expected_calibration_error
from framelens_training.config import LOSS_PARTS, LossPart
from framelens_training.corpora.grouping import grouped
from framelens_training.corpora.labelled import LAYER_OF, LabelledDocument
from framelens_training.corpora.splits import assign
from framelens_training.errors import RecalibrationError
from framelens_training.evaluation import (
    LEAST_ARTICLES,
    Interval,
    axis_counts,
    bootstrap,
    counts_by_type,
    paired_difference,
    span_f1,
)
from framelens_training.predictions import AxisData, article_count, axis_data
from framelens_training.span_tuning import MIN_SPANS, has_enough_spans, tune_spans
from framelens_training.targets import LabelledFeatures

LEAST_ANSWERS = 30
"""Fewest yeses, and fewest noes, by which an axis is calibrated."""
LEAST_OTHERS = 10
"""Fewest of these that are no headlines', for headlines and others to be taken together."""
FOLDS = LEAST_ARTICLES
"""Parts of the labels that are decoded with what the others gave, and fewest articles."""
HALF = 0.5

Kind = Literal["segments", "headlines and others", "headlines"]
"""What an axis is calibrated by: all segments alike, headlines with an offset of their own beside
the others, or headlines alone, of which nothing follows for the others."""

_Row = TypeVar("_Row")
_LAYERS: tuple[tuple[SpanType, ...], ...] = (ATTRIBUTION_TYPES, ("loaded",))
_SLOPES = (0.125, 4.0)
_OFFSETS = (-6.0, 6.0)


@dataclass(frozen=True, slots=True)
class AxisChange:
    """What calibration does on one axis: figures of before, and cross-fitted ones of after.

    `kind` is None where labels are too few, or of too few articles, or the model never learnt the
    axis, and all stays as it was.
    """

    kind: Kind | None
    segments: int
    positives: int
    before: Interval
    after: Interval
    difference: Interval
    error_before: float
    error_after: float

    @property
    def taken(self) -> bool:
        """Whether the axis is calibrated: not where it is worse by more than chance."""
        return self.kind is not None and not self.difference.high < 0


@dataclass(frozen=True, slots=True)
class SpanChange:
    """Gold spans of a type, and their exact-match F1 before and, cross-fitted, after.

    `taken` says whether the layer was better after, in the mean of its types: otherwise it stays as
    it was.
    """

    gold: int
    before: float
    after: float
    taken: bool


@dataclass(frozen=True, slots=True)
class Recalibration:
    """A decoding chosen on all labels, and what such a choice is worth on texts that it was not
    made on: each fifth of the articles decoded with what the other four gave.
    """

    decoding: DecodingConfig
    articles: int
    axes: Mapping[Axis, AxisChange]
    spans: Mapping[SpanType, SpanChange]

    def flat(self) -> dict[str, float]:
        """The figures as metrics."""
        flat: dict[str, float] = {"recalibration/articles": self.articles}
        for axis, change in self.axes.items():
            flat |= {
                f"recalibration/{axis}/{name}": value
                for name, value in {
                    "macro_f1_before": change.before.value,
                    "macro_f1_after": change.after.value,
                    "difference_low": change.difference.low,
                    "difference_high": change.difference.high,
                    "ece_before": change.error_before,
                    "ece_after": change.error_after,
                }.items()
            }
        for kind, spans in self.spans.items():
            flat[f"recalibration/{kind}/f1_before"] = spans.before
            flat[f"recalibration/{kind}/f1_after"] = spans.after
        return {name: value for name, value in flat.items() if np.isfinite(value)}


def recalibrate(
    decoding: DecodingConfig,
    items: Sequence[LabelledFeatures],
    logits: Sequence[DocumentLogits],
    learnt: Collection[LossPart] = LOSS_PARTS,
    *,
    samples: int = 1000,
) -> Recalibration:
    """Calibrate a model's answers on labelled documents with distinct ids.

    An axis with fewer than `LEAST_ANSWERS` yeses or noes, or labels of fewer than `FOLDS` articles,
    and a layer with fewer than `MIN_SPANS` spans in the labels without one of the folds, keep what
    they had; so does what would be worse, and what the model has not learnt, whose constant no
    would be moved to the labels.

    Raises:
        RecalibrationError: if the labels are too few for anything, or of too few articles.
    """
    documents = grouped([item.document for item in items])
    labelled = [document for document in documents if document.segments or document.spans]
    articles = article_count(labelled)
    if articles < FOLDS:
        raise RecalibrationError(
            f"expected labels of at least {FOLDS} articles, found {articles} (texts of one group, "
            "or nearly the same, count once); label texts of more articles"
        )
    places = assign(labelled, {str(fold): 1.0 for fold in range(FOLDS)})
    fold_of = np.array([int(places.get(document.id, "0")) for document in documents])
    kinds = kinds_of(documents, logits)
    rest = [_where(fold_of != fold, items, logits) for fold in range(FOLDS)]
    for axis in AXES:
        if axis not in learnt or not all(_has_both(*part, axis) for part in rest):
            kinds[axis] = None
    layers = [
        layer
        for layer in (LAYER_OF[types[0]] for types in _LAYERS)
        if layer in learnt and all(has_enough_spans(layer, part) for part, _ in rest)
    ]
    if not any(kinds.values()) and not layers:
        raise RecalibrationError(
            f"expected {LEAST_ANSWERS} yeses and {LEAST_ANSWERS} noes of an axis, from {FOLDS} "
            f"articles at least, or {MIN_SPANS} spans of a layer in any four fifths of the "
            "articles, of what the model has learnt "
            f"({', '.join(part for part in LOSS_PARTS if part in learnt)}), found "
            f"{_counts(documents, logits)}; label more"
        )
    chosen = calibrated(decoding, items, logits, kinds, layers)
    others = [calibrated(decoding, *part, kinds, layers) for part in rest]
    after = [others[fold] for fold in fold_of]
    spans = _span_changes(decoding, others, fold_of, items, logits)
    axes = {
        axis: change
        for axis, kind in kinds.items()
        if (change := _axis_change(axis, kind, decoding, after, documents, logits, samples))
    }
    return Recalibration(_without_worse(chosen, decoding, axes, spans), articles, axes, spans)


def _has_both(
    items: Sequence[LabelledFeatures], logits: Sequence[DocumentLogits], axis: Axis
) -> bool:
    gold = _answers([item.document for item in items], logits, axis)[0].gold
    return bool(gold.any() and not gold.all())


def _where(
    rows: NDArray[np.bool_], items: Sequence[_Row], logits: Sequence[DocumentLogits]
) -> tuple[list[_Row], list[DocumentLogits]]:
    return list(compress(items, rows)), list(compress(logits, rows))


def _answers(
    documents: Sequence[LabelledDocument], logits: Sequence[DocumentLogits], axis: Axis
) -> tuple[AxisData, NDArray[np.bool_]]:
    """The logits of an axis where it is answered, and which of them are headlines'."""
    data = axis_data(documents, [item.segments for item in logits], axis, implied=True)
    return data, which_are_headlines(documents, logits, axis, implied=True)


def _kind(
    documents: Sequence[LabelledDocument], logits: Sequence[DocumentLogits], axis: Axis
) -> Kind | None:
    data, headlines = _answers(documents, logits, axis)

    def answers(rows: NDArray[np.bool_]) -> int:
        """The yeses or the noes, of which there are fewer; 0 if they are of too few articles."""
        if len(np.unique(data.groups[rows])) < FOLDS:
            return 0
        return int(min((data.gold & rows).sum(), (~data.gold & rows).sum()))

    of_headlines, of_others = answers(headlines), answers(~headlines)
    if min(of_headlines, of_others) >= LEAST_ANSWERS:
        return "headlines and others"
    if of_others >= LEAST_OTHERS and answers(np.ones(len(headlines), np.bool_)) >= LEAST_ANSWERS:
        return "segments"
    return "headlines" if of_headlines >= LEAST_ANSWERS else None


def _counts(documents: Sequence[LabelledDocument], logits: Sequence[DocumentLogits]) -> str:
    found: list[str] = []
    for axis in AXES:
        data, _ = _answers(documents, logits, axis)
        found.append(f"{int(data.gold.sum())} and {int((~data.gold).sum())} of {axis}")
    return ", ".join(found)


def kinds_of(
    documents: Sequence[LabelledDocument], logits: Sequence[DocumentLogits]
) -> dict[Axis, Kind | None]:
    """By what each axis can be calibrated; None where labels or their articles are too few."""
    return {axis: _kind(documents, logits, axis) for axis in AXES}


def calibrated(
    decoding: DecodingConfig,
    items: Sequence[LabelledFeatures],
    logits: Sequence[DocumentLogits],
    kinds: Mapping[Axis, Kind | None],
    layers: Collection[LossPart] = LOSS_PARTS,
) -> DecodingConfig:
    """The decoding that fits these documents, and of these layers the spans if there are enough."""
    found = tune_spans(decoding, items, logits, layers)
    documents = [item.document for item in items]
    for axis, kind in kinds.items():
        data, headlines = _answers(documents, logits, axis)
        if kind is not None and data.gold.any() and not data.gold.all():
            found = _with_axis(found, axis, kind, data, headlines)
    return found


def _with_axis(
    decoding: DecodingConfig,
    axis: Axis,
    kind: Kind,
    data: AxisData,
    headlines: NDArray[np.bool_],
) -> DecodingConfig:
    """The decoding with the slope and the offsets under which the answers are likeliest."""
    rows = headlines if kind == "headlines" else np.ones(len(headlines), dtype=np.bool_)
    gold, values, shown = data.gold[rows], data.values[rows], headlines[rows]
    yes, no = int(gold.sum()), int((~gold).sum())
    wanted = np.where(gold, (yes + 1) / (yes + 2), 1 / (no + 2))
    start = (
        1 / decoding.temperatures[axis], decoding.offsets[axis], decoding.headline_offsets[axis]
    )  # fmt: skip
    is_free = {
        "segments": (True, True, False),
        "headlines and others": (True, True, True),
        "headlines": (False, False, True),
    }[kind]
    bounds = [
        limits if free else (value, value)
        for limits, free, value in zip((_SLOPES, _OFFSETS, _OFFSETS), is_free, start, strict=True)
    ]
    slope, offset, of_headlines = likeliest_scaling(
        values, shown, wanted, start=start, bounds=bounds
    )
    threshold = decoding.thresholds[axis] if kind == "headlines" else HALF
    return replace(
        decoding,
        temperatures={**decoding.temperatures, axis: round(1 / slope, 4)},
        offsets={**decoding.offsets, axis: round(offset, 4)},
        headline_offsets={**decoding.headline_offsets, axis: round(of_headlines, 4)},
        thresholds={**decoding.thresholds, axis: threshold},
    )


def _axis_change(
    axis: Axis,
    kind: Kind | None,
    before: DecodingConfig,
    after: Sequence[DecodingConfig],
    documents: Sequence[LabelledDocument],
    logits: Sequence[DocumentLogits],
    samples: int,
) -> AxisChange | None:
    """What becomes of an axis; `after` holds the decoding of each document. None: no label."""
    if not any(axis in document.annotated for document in documents):
        return None
    size = article_count(documents)
    found: list[tuple[AxisData, AxisData]] = []
    for configs in ([before] * len(documents), after):
        scores = [axis_scores(item, one) for item, one in zip(logits, configs, strict=True)]
        margins: list[Floats] = [
            row - np.float32(one.thresholds[axis]) for row, one in zip(scores, configs, strict=True)
        ]
        found.append(
            (
                axis_data(documents, scores, axis, implied=True),
                axis_data(documents, margins, axis, implied=True),
            )
        )
    then, now = (axis_counts(margins, 0.0, size) for _, margins in found)
    errors = [expected_calibration_error(data.gold, data.values) for data, _ in found]
    return AxisChange(
        kind,
        len(found[0][0].gold),
        int(found[0][0].gold.sum()),
        bootstrap(then, samples, 0),
        bootstrap(now, samples, 0),
        paired_difference(now, then, samples, 0),
        *errors,
    )


def _span_changes(
    before: DecodingConfig,
    others: Sequence[DecodingConfig],
    fold_of: NDArray[np.int64],
    items: Sequence[LabelledFeatures],
    logits: Sequence[DocumentLogits],
) -> dict[SpanType, SpanChange]:
    # Before and after, each: right, found, expected.
    sums: dict[SpanType, NDArray[np.float64]] = {kind: np.zeros((2, 3)) for kind in SPAN_TYPES}
    marked = np.array(
        [not {"attribution_spans", "loaded_spans"}.isdisjoint(i.document.annotated) for i in items]
    )
    for fold, after in enumerate(others):
        part = _where(marked & (fold_of == fold), items, logits)
        spans_after = replace(  # whether spans are taken shall not depend on the axes' new decoding
            before,
            span_thresholds=after.span_thresholds,
            transitions=after.transitions,
            loaded_transitions=after.loaded_transitions,
        )
        for row, decoding in enumerate((before, spans_after)):
            for kind, counts in counts_by_type(*part, decoding).items():
                sums[kind][row] += counts
    changes: dict[SpanType, SpanChange] = {}
    for layer in _LAYERS:
        f1 = {kind: span_f1(sums[kind]) for kind in layer if sums[kind][0, 2]}
        taken = sum(float(now - then) for then, now in f1.values()) > 0
        for kind, (then, now) in f1.items():
            changes[kind] = SpanChange(int(sums[kind][0, 2]), float(then), float(now), taken)
    return changes


def _without_worse(
    chosen: DecodingConfig,
    before: DecodingConfig,
    axes: Mapping[Axis, AxisChange],
    spans: Mapping[SpanType, SpanChange],
) -> DecodingConfig:
    """The decoding chosen, with axes and spans decoded as before that are not taken."""
    of_axis = {axis: chosen if axis in axes and axes[axis].taken else before for axis in AXES}
    taken = {kind for kind, change in spans.items() if change.taken}
    of_span = {kind: chosen if kind in taken else before for kind in SPAN_TYPES}
    attributions, loaded = (chosen if taken.intersection(layer) else before for layer in _LAYERS)
    return replace(
        chosen,
        temperatures={axis: of_axis[axis].temperatures[axis] for axis in AXES},
        offsets={axis: of_axis[axis].offsets[axis] for axis in AXES},
        headline_offsets={axis: of_axis[axis].headline_offsets[axis] for axis in AXES},
        thresholds={axis: of_axis[axis].thresholds[axis] for axis in AXES},
        span_thresholds={kind: of_span[kind].span_thresholds[kind] for kind in SPAN_TYPES},
        transitions=attributions.transitions,
        loaded_transitions=loaded.loaded_transitions,
    )
