"""Halves of documents by article, each with the decoding that the other half gives.

What was tuned on documents is measured on those of the other half.
"""

from __future__ import annotations

from collections.abc import Callable

from framelens.decoding import DecodingConfig
from framelens_training.calibration import tune_axes
from framelens_training.held_out import half_of
from framelens_training.quality_bench import Bench, Read
from framelens_training.span_tuning import tune_spans


def axes_cross_fitted(bench: Bench) -> list[tuple[Read, DecodingConfig]]:
    """The two halves of validation, each with temperatures and thresholds of the other."""
    whole = Read([], [])
    for name in bench.holdings.validation():
        whole += bench.read(name, "validation")
    threshold_range = bench.evaluation.threshold_range
    return _cross_fitted(
        whole,
        lambda half: tune_axes(bench.decoding, half.documents, half.logits, threshold_range),
    )


def spans_cross_fitted(bench: Bench, read: Read) -> list[tuple[Read, DecodingConfig]]:
    """The two halves, each with transitions and span thresholds of the other."""
    return _cross_fitted(read, lambda half: tune_spans(bench.decoding, half.items, half.logits))


def _cross_fitted(
    read: Read, tune: Callable[[Read], DecodingConfig]
) -> list[tuple[Read, DecodingConfig]]:
    first = read.where(lambda document: half_of(document) == 0)
    second = read.where(lambda document: half_of(document) == 1)
    return [(first, tune(second)), (second, tune(first))]
