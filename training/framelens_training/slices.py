"""Metrics by slice, and false alarms by lean: for whom a model is good, and for whom not."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from framelens.decoding import DecodingConfig, Floats
from framelens.schema import AXES, Axis
from framelens_training.corpora.labelled import LEANS, GoldSegment, LabelledDocument
from framelens_training.corpora.quotations import QUOTATION_WORDS, quoted_ranges
from framelens_training.evaluation import Interval, axis_counts, bootstrap, draws, percentiles
from framelens_training.lexicon import UNNAMED_SOURCES, loaded_places, words
from framelens_training.predictions import AxisData, article_count, axis_data

MINIMUM_ARTICLES = 5
"""Fewest articles of a slice that is reported: one article does not speak for its outlet."""

LENGTHS = ((10, "under_10_words"), (25, "10_to_24_words"))
LONG = "25_words_and_more"

Slice = tuple[str, str]
"""Kind and value, such as `("role", "headline")`."""
Extent = tuple[int, int]


@dataclass(frozen=True, slots=True)
class SliceMetrics:
    """One axis on one slice.

    `false_alarm_rate` is the share of the negatives that were answered yes, `miss_rate` that
    of the positives answered no; both, and `macro_f1`, are NaN where there is nothing to
    count.
    """

    axis: Axis
    kind: str
    value: str
    n: int
    positives: int
    macro_f1: Interval
    false_alarm_rate: float
    miss_rate: float

    def row(self) -> dict[str, object]:
        """The slice as a row of a table."""
        return {
            "axis": self.axis,
            "slice": self.kind,
            "value": self.value,
            "n": self.n,
            "positives": self.positives,
            "macro_f1": _rounded(self.macro_f1.value),
            "macro_f1_low": _rounded(self.macro_f1.low),
            "macro_f1_high": _rounded(self.macro_f1.high),
            "false_alarm_rate": _rounded(self.false_alarm_rate),
            "miss_rate": _rounded(self.miss_rate),
        }


@dataclass(frozen=True, slots=True)
class FalseAlarms:
    """How often a corpus's neutral sentences (gold: not framed) are called framed, by lean.

    `rates` and `neutral` have an entry for each lean with enough neutral sentences; `gap` is
    left less right, `None` unless both are there, each with two articles or more.
    """

    rates: Mapping[str, Interval]
    neutral: Mapping[str, int]
    gap: Interval | None

    def flat(self) -> dict[str, float]:
        """Rates by lean, and the gap with its ends."""
        flat = {lean: rate.value for lean, rate in self.rates.items()}
        if self.gap is not None:
            flat |= {"gap": self.gap.value, "gap_low": self.gap.low, "gap_high": self.gap.high}
        return flat


def segment_slices(document: LabelledDocument, corpus: str) -> list[tuple[Slice, ...]]:
    """The slices to which each segment of a document belongs."""
    shared: list[Slice] = [("corpus", corpus)]
    if document.outlet:
        shared.append(("outlet", document.outlet))
    if document.lean:
        shared.append(("lean", document.lean))
    quoted = {
        name: quoted_ranges(document.field_text(name))
        for name in {s.field for s in document.segments}
    }
    return [
        (*shared, *_own_slices(document, segment, quoted[segment.field]))
        for segment in document.segments
    ]


def _own_slices(
    document: LabelledDocument, segment: GoldSegment, quoted: Sequence[Extent]
) -> list[Slice]:
    places = [
        (start + segment.start, end + segment.start)
        for _, start, end in words(document.segment_text(segment))
    ]
    in_quotation = sum(_inside(place, quoted) for place in places)
    length = next((name for limit, name in LENGTHS if len(places) < limit), LONG)
    slices: list[Slice] = [
        ("role", "headline" if segment.field == "headline" else "body"),
        ("length", length),
        ("quotation", "yes" if in_quotation >= QUOTATION_WORDS else "no"),
    ]
    if _loaded_only_in_quotation(document, segment, quoted):
        slices.append(("loaded", "only_in_a_quotation"))
    if "attribution_spans" in document.annotated:
        sources = _sources(document, segment)
        if sources:
            unnamed = any(is_unnamed(source) for source in sources)
            slices.append(("source", "unnamed" if unnamed else "named"))
    return slices


def _inside(place: Extent, ranges: Sequence[Extent]) -> bool:
    return any(start <= place[0] and place[1] <= end for start, end in ranges)


def _loaded_only_in_quotation(
    document: LabelledDocument, segment: GoldSegment, quoted: Sequence[Extent]
) -> bool:
    """Whether loaded words of the lexicon stand in quotations and no others in the segment.

    The annotation marks only the outlet's own loaded words, so it says that there are none
    of those; the lexicon has to find what a source is quoted with.
    """
    text = document.segment_text(segment)
    places = [(a + segment.start, b + segment.start) for a, b in loaded_places(text)]
    return (
        bool(places)
        and all(_inside(place, quoted) for place in places)
        and not any(
            span.type == "loaded"
            and span.field == segment.field
            and span.start < segment.end
            and segment.start < span.end
            for span in document.spans
        )
    )


def _sources(document: LabelledDocument, segment: GoldSegment) -> list[str]:
    text = document.field_text(segment.field)
    return [
        text[span.start : span.end]
        for span in document.spans
        if span.type == "source"
        and span.field == segment.field
        and segment.start <= span.start < segment.end
    ]


def is_unnamed(source: str) -> bool:
    """Whether a source is described and not named: "two officials", not "Ruth Adeyemi".

    A capital letter behind the first word is taken for a name, so that "White House officials"
    counts as named: few are found, and those surely.
    """
    if not any(word in UNNAMED_SOURCES for word, _, _ in words(source)):
        return False
    return not any(word[0].isupper() for word in re.findall(r"[^\W\d_]+", source)[1:])


def slice_metrics(
    documents: Sequence[LabelledDocument],
    corpora: Sequence[str],
    scores: Sequence[Floats],
    decoding: DecodingConfig,
    *,
    minimum: int,
    samples: int,
    seed: int,
) -> list[SliceMetrics]:
    """Each axis on each slice with at least `minimum` supervised segments in enough articles.

    `corpora` names each document's corpus; `scores` holds an array (s, 3) a document.
    Intervals are drawn by article. A kind of which only one slice is left, and that slice is
    everything, says nothing new and is left out.
    """
    slices = [segment_slices(d, c) for d, c in zip(documents, corpora, strict=True)]
    found: list[SliceMetrics] = []
    for axis in AXES:
        data = axis_data(documents, scores, axis)
        rows: dict[Slice, list[int]] = {}
        supervised = (
            segment
            for document, own in zip(documents, slices, strict=True)
            if axis in document.annotated
            for gold, segment in zip(document.segments, own, strict=True)
            if gold.counted(axis) is not None
        )
        for row, names in enumerate(supervised):
            for name in names:
                rows.setdefault(name, []).append(row)
        for (kind, value), members in sorted(rows.items()):
            if not minimum <= len(members) < len(data.gold):
                continue
            part = _part(data, np.array(members))
            if part.groups.max() + 1 >= MINIMUM_ARTICLES:
                threshold = decoding.thresholds[axis]
                found.append(_metrics(axis, kind, value, part, threshold, samples, seed))
    return found


def _part(data: AxisData, rows: NDArray[np.int64]) -> AxisData:
    """Some rows, their articles numbered anew."""
    groups = np.unique(data.groups[rows], return_inverse=True)[1]
    return AxisData(data.gold[rows], data.values[rows], groups)


def _metrics(
    axis: Axis, kind: str, value: str, data: AxisData, threshold: float, samples: int, seed: int
) -> SliceMetrics:
    counts = axis_counts(data, threshold, int(data.groups.max()) + 1)
    tp, fp, fn, tn = (int(count) for count in counts.sum(axis=0))
    return SliceMetrics(
        axis,
        kind,
        value,
        len(data.gold),
        tp + fn,
        bootstrap(counts, samples, seed),
        fp / (fp + tn) if fp + tn else float("nan"),
        fn / (fn + tp) if fn + tp else float("nan"),
    )


def flat_slices(slices: Sequence[SliceMetrics]) -> dict[str, float]:
    """Macro-F1 as `slice/axis/kind.value/macro_f1`, in the letters that MLflow allows.

    Values that differ in other letters alone ("A/B", "A B") are told apart by a sum behind them.
    """
    values: dict[str, list[str]] = {}
    for item in slices:
        values.setdefault(item.kind, []).append(item.value)
    plain = {kind: _plain(found) for kind, found in values.items()}
    return {
        f"slice/{item.axis}/{item.kind}.{plain[item.kind][item.value]}/macro_f1": figure
        for item in slices
        if np.isfinite(figure := item.macro_f1.value)
    }


def flat_false_alarms(false_alarms: Mapping[str, FalseAlarms]) -> dict[str, float]:
    """Figures by corpus as `fairness/framed_false_alarms/CORPUS/...`, as in `flat_slices`."""
    plain = _plain(false_alarms)
    return {
        f"fairness/framed_false_alarms/{plain[corpus]}/{name}": value
        for corpus, found in false_alarms.items()
        for name, value in found.flat().items()
    }


def _plain(values: Iterable[str]) -> dict[str, str]:
    """Distinct values in the letters that MLflow allows."""
    plain = {value: re.sub(r"[^\w.-]+", "_", value) for value in values}
    shared = Counter(plain.values())
    for value, name in plain.items():
        if shared[name] > 1:
            plain[value] = f"{name}-{hashlib.sha256(value.encode()).hexdigest()[:8]}"
    return plain


def false_alarms_by_corpus(
    documents: Sequence[LabelledDocument],
    corpora: Sequence[str],
    scores: Sequence[Floats],
    decoding: DecodingConfig,
    *,
    minimum: int,
    samples: int,
    seed: int,
) -> dict[str, FalseAlarms]:
    """False alarms of each corpus that has a lean with `minimum` neutral sentences.

    Sides are compared within a corpus: the sentences of one corpus are easier than those of
    another, and where one side comes from the easier one, a pooled gap is that of the corpora.
    """
    found: dict[str, FalseAlarms] = {}
    for corpus in dict.fromkeys(corpora):
        own = [i for i, name in enumerate(corpora) if name == corpus]
        alarms = false_alarms(
            [documents[i] for i in own],
            [scores[i] for i in own],
            decoding,
            minimum=minimum,
            samples=samples,
            seed=seed,
        )
        if alarms.rates:
            found[corpus] = alarms
    return found


def false_alarms(
    documents: Sequence[LabelledDocument],
    scores: Sequence[Floats],
    decoding: DecodingConfig,
    *,
    minimum: int,
    samples: int,
    seed: int,
) -> FalseAlarms:
    """False-alarm rate of `framed` by lean in one corpus, and the gap between left and right.

    Articles are drawn with replacement from all that have a lean, so that the interval of
    the gap holds the chance in both sides. A lean with fewer than `minimum` neutral sentences
    is left out; of few articles little is known of chance, and the ends are NaN (`percentiles`).
    """
    leaning = [i for i, document in enumerate(documents) if document.lean in LEANS]
    texts = [documents[i] for i in leaning]
    articles = article_count(texts)
    rates: dict[str, Interval] = {}
    neutral: dict[str, int] = {}
    resampled: dict[str, NDArray[np.float64]] = {}
    for lean in LEANS:
        own = [
            text if text.lean == lean else replace(text, annotated=frozenset()) for text in texts
        ]
        data = axis_data(own, [scores[i] for i in leaning], "framed")
        counts = axis_counts(data, decoding.thresholds["framed"], articles)
        alarms, quiet = counts[:, 1], counts[:, 3]
        if (n := int((alarms + quiet).sum())) < max(minimum, 1):
            continue
        neutral[lean] = n
        value = float(alarms.sum() / n)
        if np.count_nonzero(alarms + quiet) < 2:
            rates[lean] = Interval(value, float("nan"), float("nan"))
            continue
        weights = draws(articles, samples, seed)
        with np.errstate(invalid="ignore"):
            resampled[lean] = (weights @ alarms) / (weights @ (alarms + quiet))
        rates[lean] = Interval(value, *percentiles(resampled[lean]))
    gap = None
    if "left" in resampled and "right" in resampled:
        value = rates["left"].value - rates["right"].value
        gap = Interval(value, *percentiles(resampled["left"] - resampled["right"]))
    return FalseAlarms(rates, neutral, gap)


def _rounded(value: float) -> float | None:
    return round(value, 4) if np.isfinite(value) else None
