"""Partial credit for spans whose ends are off, by nervaluate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nervaluate.entities import Entity, EvaluationResult
from nervaluate.strategies import PartialEvaluation

from framelens.decoding import DecodingConfig, DocumentLogits
from framelens.schema import SPAN_TYPES
from framelens_training.corpora.labelled import LAYER_OF
from framelens_training.predictions import SpanKey, answerable, answered_spans, gold_spans
from framelens_training.targets import LabelledFeatures


@dataclass(frozen=True, slots=True)
class PartialMetrics:
    """One type of span under the partial scheme of SemEval-2013 task 9.

    A span with both ends right counts 1, one that overlaps gold otherwise counts 1/2.
    """

    exact: int
    partial: int
    missed: int
    spurious: int
    precision: float
    recall: float
    f1: float


def partial_metrics(
    documents: Sequence[LabelledFeatures],
    logits: Sequence[DocumentLogits],
    decoding: DecodingConfig,
) -> dict[str, PartialMetrics]:
    """Partial-match metrics by type, over the documents annotated for that type.

    Spans are cut at the borders of segments, as in the exact metrics (the module `span_counts`),
    but one that stands twice counts twice; an overlap of less than 1 % of the gold span is none.
    """
    strategy = PartialEvaluation(min_overlap_percentage=1.0)
    totals: dict[str, EvaluationResult] = {}
    for item, output in zip(documents, logits, strict=True):
        gold = gold_spans(item.document)
        found = answerable(item.document, answered_spans(item, output, decoding))
        for kind in SPAN_TYPES:
            layer = LAYER_OF[kind]
            if layer not in item.document.annotated:
                continue
            total = totals.setdefault(kind, EvaluationResult())
            for index in range(len(item.document.segments)):
                expected, answered = (_entities(keys, index, kind) for keys in (gold, found))
                result, _ = strategy.evaluate(expected, answered, [kind])
                total.correct += result.correct
                total.partial += result.partial
                total.missed += result.missed
                total.spurious += result.spurious
    for total in totals.values():
        total.compute_metrics(partial_or_type=True)
    return {
        kind: PartialMetrics(
            total.correct,
            total.partial,
            total.missed,
            total.spurious,
            float(total.precision),
            float(total.recall),
            float(total.f1),
        )
        for kind, total in totals.items()
    }


def _entities(keys: Sequence[SpanKey], segment: int, kind: str) -> list[Entity]:
    # nervaluate's ends are inclusive
    return [Entity(t, start, end - 1) for s, t, start, end in keys if s == segment and t == kind]
