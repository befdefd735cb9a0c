"""Measures of spans: by exact match, and in PolNeAR by the protocol that papers report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from framelens.decoding import DecodingConfig
from framelens.schema import ATTRIBUTION_TYPES, AXES, SPAN_TYPES, Axis, Field, SpanType
from framelens_training.cofenet_protocol import cofenet_counts, with_spans
from framelens_training.context_agreement import differences
from framelens_training.corpora.cofenet import TokenSentence, validation_sentences
from framelens_training.evaluation import macro_f1, span_f1
from framelens_training.predictions import answered_spans, article_numbers
from framelens_training.quality_bench import (
    POLNEAR,
    STARTER,
    Bench,
    Read,
    Row,
    axis_row,
    row_bootstrap,
)
from framelens_training.quality_furniture import taken_for_furniture
from framelens_training.quality_halves import spans_cross_fitted
from framelens_training.span_counts import answered_matches


def starter(bench: Bench) -> list[Row]:
    """Axes and spans on the starter corpus's test articles."""
    read = bench.read(STARTER, "test")
    rows = [
        axis_row(bench, axis, macro_f1, STARTER, "test", f"starter/{axis}", f"{axis}, macro-F1")
        for axis in AXES
    ]
    by_type = {kind: np.zeros((len(read.items), 3)) for kind in SPAN_TYPES}
    for number, (item, logits) in enumerate(zip(read.items, read.logits, strict=True)):
        found = answered_spans(item, logits, bench.decoding)
        for kind, counts in answered_matches(item.document, found).items():
            by_type[kind][number] = counts
    return rows + [
        _span_row(bench, f"starter/{kind}", f"{kind}, exact-match F1", "starter test", counts)
        for kind, counts in by_type.items()
    ]


def polnear(bench: Bench) -> list[Row]:
    """Spans by CofeNet's protocol, and a sentence alone against the same in its article."""
    assert bench.root is not None
    read = bench.read(POLNEAR, "validation")
    sentences = validation_sentences(bench.root)
    whole, crossed = (
        _cofenet_counts([(read, bench.decoding)], sentences),
        _cofenet_counts(spans_cross_fitted(bench, read), sentences),
    )
    where = "PolNeAR dev, in their articles"
    rows = [taken_for_furniture(bench, read, "polnear", where, field) for field in get_args(Field)]
    for kind in ATTRIBUTION_TYPES:
        what = f"{kind}, exact-match F1, CofeNet token protocol"
        row = _span_row(bench, f"polnear/{kind}", what, "PolNeAR dev", whole[kind])
        rows.append(
            replace(
                row,
                also={"decoding tuned on the other half": bench.bootstrap(crossed[kind], span_f1)},
                note="dev is validation: training stopped by it, and transitions and thresholds of "
                "spans were chosen on it",
            )
        )
    return rows + _agreement(bench, read)


def _span_row(bench: Bench, key: str, what: str, where: str, counts: NDArray[np.float64]) -> Row:
    """The F1 of spans, for counts by article (a, 3): right, found and expected."""
    expected = int(counts[:, 2].sum())
    return Row(key, what, where, bench.bootstrap(counts, span_f1), expected, len(counts))


def _cofenet_counts(
    parts: Sequence[tuple[Read, DecodingConfig]], sentences: Sequence[TokenSentence]
) -> dict[SpanType, NDArray[np.float64]]:
    """By type, for each article (a, 3): spans that are right, found, expected."""
    answered = [
        with_spans(item, logits.tokens, decoding)
        for part, decoding in parts
        for item, logits in zip(part.items, part.logits, strict=True)
    ]
    return cofenet_counts(answered, sentences)


def _agreement(bench: Bench, read: Read) -> list[Row]:
    found = differences(bench.network, bench.featurizer, read.items, read.logits, bench.decoding)
    articles = article_numbers(read.documents)[found.documents]
    questions: tuple[tuple[Axis, str, NDArray[np.bool_]], ...] = (
        ("framed", "", np.ones(len(articles), dtype=np.bool_)),
        ("attributed", " of sentences that name their source", found.names_source),
    )
    rows: list[Row] = []
    for axis, which, chosen in questions:
        values = found.values[chosen, AXES.index(axis)]
        rows.append(
            Row(
                f"polnear/agreement/{axis}",
                f"alone against in its article: median difference of `{axis}`{which}",
                "PolNeAR dev",
                row_bootstrap(bench, articles[chosen], partial(_median, values)),
                len(values),
                len(set(articles[chosen].tolist())),
                higher_is_better=False,
            )
        )
    return rows


def _median(values: NDArray[np.float64], rows: NDArray[np.int64]) -> float:
    return float(np.median(values[rows])) if len(rows) else float("nan")
