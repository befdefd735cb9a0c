"""Metrics of a run: axes, labels, spans, with bootstrap intervals.

Everything goes through the decoding of the inference package, so that the figures are those
of what ships.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from framelens.decoding import (
    DecodingConfig,
    DocumentLogits,
    Floats,
    axis_scores,
    label_of,
)
from framelens.schema import AXES, LABELS, Axis, Label, SpanType
from framelens_training.calibration_error import expected_calibration_error, uncalibrated
from framelens_training.config import LossPart
from framelens_training.corpora.labelled import LAYER_OF, GoldSegment, LabelledDocument
from framelens_training.predictions import (
    AxisData,
    answered_spans,
    article_count,
    axis_data,
    by_axis,
)
from framelens_training.span_counts import SpanCounts, answered_matches, summed
from framelens_training.targets import LabelledFeatures, role_of

Counts = NDArray[np.int64]
"""Per article (a, 4): true positives, false positives, false negatives, true negatives."""

Statistic = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Counts (..., k) in, a figure (...) out."""

LEAST_ARTICLES = 5
"""Fewest articles that both answers of an axis must stand in to decide between two systems."""
UNDEFINED_DRAWS = 0.025
"""Most draws, as a share, that may leave a figure undefined: as many as lie beyond an end of its
interval. An answer of three articles among many is missing from one draw in twenty."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with its bootstrap 95 % interval; the ends are NaN where nothing tells of chance."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f}{self._ends('.3f')}"

    def signed(self) -> str:
        """A difference, each figure with its sign."""
        return f"{self.value:+.3f}{self._ends('+.3f')}"

    def _ends(self, form: str) -> str:
        return f" [{self.low:{form}}, {self.high:{form}}]" if np.isfinite(self.low) else ""


@dataclass(frozen=True, slots=True)
class AxisMetrics:
    """How well one axis is answered."""

    n: int
    positives: int
    precision: float
    recall: float
    f1: float
    macro_f1: Interval
    weighted_f1: float
    auroc: float
    average_precision: float
    ece: float
    ece_uncalibrated: float


@dataclass(frozen=True, slots=True)
class SpanMetrics:
    """Exact-match precision, recall and F1 of one type of span."""

    gold: int
    found: int
    precision: float
    recall: float
    f1: float

    @classmethod
    def of(cls, right: int, found: int, gold: int) -> SpanMetrics:
        """The metrics of numbers of spans."""
        return cls(
            gold,
            found,
            _ratio(right, found),
            _ratio(right, gold),
            _ratio(2 * right, gold + found),
        )


@dataclass(frozen=True, slots=True)
class Metrics:
    """All figures of one split."""

    axes: Mapping[Axis, AxisMetrics]
    spans: Mapping[str, SpanMetrics]
    labels: NDArray[np.int64]
    """Confusion of the one label, (4, 4), gold in rows, in `LABELS` order."""

    def flat(self, prefix: str) -> dict[str, float]:
        """Figures as `prefix/axis/metric`, without those that are undefined.

        Of an axis that was answered nowhere there are none. Where there is nothing to find, these
        are precision, recall and F1: they are 0 then whatever a system does.
        """
        flat: dict[str, float] = {}
        for axis, metrics in self.axes.items():
            if not metrics.n:
                continue
            if metrics.positives:
                flat |= _of_positives(f"{prefix}/{axis}", metrics)
            values = {
                "macro_f1": metrics.macro_f1.value,
                "macro_f1_low": metrics.macro_f1.low,
                "macro_f1_high": metrics.macro_f1.high,
                "weighted_f1": metrics.weighted_f1,
                "auroc": metrics.auroc,
                "average_precision": metrics.average_precision,
                "ece": metrics.ece,
                "ece_uncalibrated": metrics.ece_uncalibrated,
            }
            flat |= {f"{prefix}/{axis}/{name}": value for name, value in values.items()}
        for kind, span in self.spans.items():
            if span.gold:
                flat |= _of_positives(f"{prefix}/{kind}", span)
        if self.labels.sum():
            flat[f"{prefix}/label/accuracy"] = float(np.trace(self.labels) / self.labels.sum())
            flat[f"{prefix}/label/macro_f1"] = label_macro_f1(self.labels)
        flat[f"{prefix}/score"] = self.score
        return {name: value for name, value in flat.items() if np.isfinite(value)}

    def of(self, learnt: Collection[LossPart]) -> Metrics:
        """The figures of the parts that a model has learnt, and of the label."""
        return replace(
            self,
            axes={axis: metrics for axis, metrics in self.axes.items() if axis in learnt},
            spans={kind: span for kind, span in self.spans.items() if LAYER_OF[kind] in learnt},
        )

    @property
    def score(self) -> float:
        """The figure for early stopping: mean of the axes' average precision and the spans' F1.

        It needs no threshold, which would have to be tuned on the same data.
        """
        values = [metrics.average_precision for metrics in self.axes.values()]
        spans = [span.f1 for span in self.spans.values() if span.gold]
        if spans:
            values.append(float(np.mean(spans)))
        finite = [value for value in values if np.isfinite(value)]
        return float(np.mean(finite)) if finite else 0.0


def evaluate(
    documents: Sequence[LabelledFeatures],
    logits: Sequence[DocumentLogits],
    decoding: DecodingConfig,
    *,
    samples: int = 1000,
    seed: int = 0,
    spans_anywhere: bool = False,
) -> Metrics:
    """Compute all metrics of a split.

    `samples` is the number of bootstrap samples, drawn by article; 0 leaves intervals out. With
    `spans_anywhere` spans count in what is taken for page furniture too, as long as no threshold
    tells it, or nothing has been learnt of it.
    """
    plain = [item.document for item in documents]
    articles = article_count(plain)
    scores = [axis_scores(item, decoding) for item in logits]
    before = uncalibrated(decoding)
    raw = [axis_scores(item, before) for item in logits]
    axes = {
        axis: _axis_metrics(
            axis_data(plain, scores, axis),
            axis_data(plain, raw, axis),
            decoding.thresholds[axis],
            articles,
            samples,
            seed,
        )
        for axis in AXES
        if any(axis in document.annotated for document in plain)
    }
    spans = span_metrics(documents, logits, decoding, anywhere=spans_anywhere)
    return Metrics(axes, spans, _labels(plain, scores, decoding))


def _axis_metrics(
    data: AxisData, raw: AxisData, threshold: float, articles: int, samples: int, seed: int
) -> AxisMetrics:
    counts = axis_counts(data, threshold, articles)
    tp, fp, fn, _ = counts.sum(axis=0)
    both = bool(data.gold.any() and not data.gold.all())
    return AxisMetrics(
        n=len(data.gold),
        positives=int(data.gold.sum()),
        precision=_ratio(tp, tp + fp),
        recall=_ratio(tp, tp + fn),
        f1=_ratio(2 * tp, 2 * tp + fp + fn),
        macro_f1=bootstrap(counts, samples, seed),
        weighted_f1=float(weighted_f1(counts.sum(axis=0))),
        auroc=float(roc_auc_score(data.gold, data.values)) if both else float("nan"),
        average_precision=(
            float(average_precision_score(data.gold, data.values)) if both else float("nan")
        ),
        ece=expected_calibration_error(data.gold, data.values),
        ece_uncalibrated=expected_calibration_error(raw.gold, raw.values),
    )


def axis_counts(data: AxisData, threshold: float, articles: int) -> Counts:
    """Outcomes by article."""
    found = data.values >= threshold
    outcome = np.where(data.gold, np.where(found, 0, 2), np.where(found, 1, 3))
    counts = np.zeros((articles, 4), dtype=np.int64)
    np.add.at(counts, (data.groups, outcome), 1)
    return counts


def macro_f1(counts: NDArray[np.integer] | NDArray[np.floating]) -> NDArray[np.float64]:
    """Mean of the F1 of both answers, for outcome counts (..., 4).

    NaN where gold has one answer only: the other's F1 is 0 whatever a system does.
    """
    tp, fp, fn, tn = np.moveaxis(counts.astype(np.float64), -1, 0)
    wrong = fp + fn
    both = (tp + fn > 0) & (fp + tn > 0)
    with np.errstate(invalid="ignore"):
        mean = (2 * tp / (2 * tp + wrong) + 2 * tn / (2 * tn + wrong)) / 2
    found: NDArray[np.float64] = np.where(both, mean, np.nan)
    return found


def weighted_f1(counts: NDArray[np.integer] | NDArray[np.floating]) -> NDArray[np.float64]:
    """Mean of the F1 of both answers, weighted by how often each is gold; counts (..., 4).

    This is scikit-learn's `f1_score(average="weighted")`, which papers on BABE report; it
    flatters a model that is good at the commoner answer.
    """
    tp, fp, fn, tn = np.moveaxis(counts.astype(np.float64), -1, 0)
    positives, negatives, wrong = tp + fn, fp + tn, fp + fn
    with np.errstate(invalid="ignore"):
        positive = np.nan_to_num(2 * tp / (2 * tp + wrong))
        negative = np.nan_to_num(2 * tn / (2 * tn + wrong))
        shares = (positives * positive + negatives * negative) / (positives + negatives)
    mean: NDArray[np.float64] = np.nan_to_num(shares)
    return mean


def span_f1(counts: NDArray[np.floating]) -> NDArray[np.float64]:
    """F1 for numbers of spans that are right, found and expected, (..., 3)."""
    right, found, expected = np.moveaxis(counts.astype(np.float64), -1, 0)
    f1: NDArray[np.float64] = 2 * right / np.maximum(found + expected, 1)
    return f1


def hit_share(counts: NDArray[np.floating]) -> NDArray[np.float64]:
    """Hits by all, for counts (..., 2)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        found: NDArray[np.float64] = counts[..., 0] / counts[..., 1]
    return found


@functools.lru_cache(maxsize=2)
def draws(articles: int, samples: int, seed: int) -> NDArray[np.float64]:
    """How often each article is in each bootstrap sample, shape (samples, articles).

    Kept, because a run draws the same ones for every axis and system.
    """
    generator = np.random.default_rng(seed)
    shares = np.full(articles, 1 / articles)
    counts = generator.multinomial(articles, shares, size=samples).astype(np.float64)
    counts.flags.writeable = False
    return counts


def bootstrap(
    counts: NDArray[np.integer] | NDArray[np.floating],
    samples: int,
    seed: int,
    statistic: Statistic = macro_f1,
) -> Interval:
    """A statistic of counts (a, k) with its percentile interval, articles drawn with replacement.

    A draw in which the statistic is undefined is left out. Without samples, with counts of fewer
    than two articles, and with many such draws, nothing is known of chance, and the ends are NaN.
    """
    value = float(statistic(counts.sum(axis=0).astype(np.float64)))
    if not samples or np.count_nonzero(counts.any(axis=1)) < 2:
        return Interval(value, float("nan"), float("nan"))
    resampled = statistic(draws(len(counts), samples, seed) @ counts)
    return Interval(value, *percentiles(resampled))


def percentiles(resampled: NDArray[np.float64]) -> tuple[float, float]:
    """The ends of the 95 % interval; NaN if more than `UNDEFINED_DRAWS` gave no figure.

    The figure then hangs on few articles, and the draws that count are those that hold them.
    """
    finite = resampled[np.isfinite(resampled)]
    if not len(finite) or len(finite) < (1 - UNDEFINED_DRAWS) * len(resampled):
        return float("nan"), float("nan")
    low, high = np.percentile(finite, [2.5, 97.5])
    return float(low), float(high)


def paired_difference(
    ours: NDArray[np.integer] | NDArray[np.floating],
    theirs: NDArray[np.integer] | NDArray[np.floating],
    samples: int,
    seed: int,
    statistic: Statistic = macro_f1,
) -> Interval:
    """Difference of a statistic of counts (a, k) between two systems on the same articles,
    resampled in pairs.

    A draw in which the statistic is undefined is left out; with counts of fewer than two articles,
    and with many such draws, nothing is known of chance, and the ends are NaN.
    """
    value = float(
        statistic(ours.sum(axis=0).astype(np.float64))
        - statistic(theirs.sum(axis=0).astype(np.float64))
    )
    if np.count_nonzero((ours + theirs).any(axis=1)) < 2:
        return Interval(value, float("nan"), float("nan"))
    weights = draws(len(ours), samples, seed)
    resampled = statistic(weights @ ours) - statistic(weights @ theirs)
    return Interval(value, *percentiles(resampled))


def span_metrics(
    documents: Sequence[LabelledFeatures],
    logits: Sequence[DocumentLogits],
    decoding: DecodingConfig,
    *,
    anywhere: bool = False,
) -> dict[str, SpanMetrics]:
    """Exact-match metrics by type, over the documents annotated for that type.

    Those in what is taken for page furniture count with `anywhere` alone.
    """
    counts = counts_by_type(documents, logits, decoding, anywhere=anywhere)
    return {kind: SpanMetrics.of(*own) for kind, own in counts.items()}


def counts_by_type(
    documents: Sequence[LabelledFeatures],
    logits: Sequence[DocumentLogits],
    decoding: DecodingConfig,
    *,
    anywhere: bool = False,
) -> dict[SpanType, SpanCounts]:
    """What `span_metrics` is worked out from."""
    return summed(
        answered_matches(item.document, answered_spans(item, output, decoding, anywhere=anywhere))
        for item, output in zip(documents, logits, strict=True)
    )


def gold_label(segment: GoldSegment) -> Label | None:
    """The one label of a gold segment, if all axes were looked at that decide it.

    Of a framed segment, whether it is attributed as well does not.
    """
    gold = {axis: segment.counted(axis) for axis in AXES}
    if None in (gold["framed"], gold["boilerplate"]):
        return None
    answers = {axis: float(bool(answer)) for axis, answer in gold.items()}
    label = label_of(answers, DecodingConfig(), role_of(segment))
    return None if label == "plain" and gold["attributed"] is None else label


def _labels(
    documents: Sequence[LabelledDocument], scores: Sequence[Floats], decoding: DecodingConfig
) -> NDArray[np.int64]:
    confusion = np.zeros((len(LABELS), len(LABELS)), dtype=np.int64)
    for document, rows in zip(documents, scores, strict=True):
        if not {"framed", "boilerplate"} <= document.annotated:
            continue
        is_asked = "attributed" in document.annotated
        for segment, row in zip(document.segments, rows, strict=True):
            expected = gold_label(segment if is_asked else replace(segment, attributed=None))
            if expected is not None:
                answer = label_of(by_axis(row), decoding, role_of(segment))
                confusion[LABELS.index(expected), LABELS.index(answer)] += 1
    return confusion


def label_macro_f1(confusion: NDArray[np.int64]) -> float:
    """Mean F1 over the labels that occur in gold."""
    right = np.diag(confusion)
    either = confusion.sum(axis=0) + confusion.sum(axis=1)
    present = confusion.sum(axis=1) > 0
    return float((2 * right[present] / np.maximum(either[present], 1)).mean())


def _of_positives(prefix: str, found: AxisMetrics | SpanMetrics) -> dict[str, float]:
    return {
        f"{prefix}/precision": found.precision,
        f"{prefix}/recall": found.recall,
        f"{prefix}/f1": found.f1,
    }


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else 0.0
