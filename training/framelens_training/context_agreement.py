"""Whether a sentence is judged alike alone and in its article."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from framelens.decoding import DecodingConfig, DocumentLogits, axis_scores, merge_windows
from framelens.features import DocumentFeatures, Featurizer
from framelens.schema import AXES
from framelens_training.predictions import NetworkLike
from framelens_training.targets import LabelledFeatures

MOST_SEGMENTS = 800
"""Most segments that are read again alone, which costs a forward pass each."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """Median absolute difference between a segment's score alone and in its article.

    NaN where there is no segment to compare.
    """

    segments: int
    framed: float
    attributed: float
    """Over the segments that name their source: the others need their neighbours."""

    def flat(self) -> dict[str, float]:
        """Figures as `agreement/...`."""
        values = {"framed": self.framed, "attributed": self.attributed}
        return {
            f"agreement/{axis}_median_difference": value
            for axis, value in values.items()
            if np.isfinite(value)
        }


@dataclass(frozen=True, slots=True)
class Differences:
    """Absolute differences of the scores of single segments, alone and in their articles.

    `documents` (m,) numbers the document of each, `values` has shape (m, 3), columns in `AXES`
    order, and `names_source` (m,) tells which segments name their source.
    """

    documents: NDArray[np.int64]
    values: NDArray[np.float64]
    names_source: NDArray[np.bool_]


def agreement(
    network: NetworkLike,
    featurizer: Featurizer,
    documents: Sequence[LabelledFeatures],
    logits: Sequence[DocumentLogits],
    decoding: DecodingConfig,
) -> Agreement:
    """The medians of `differences`."""
    found = differences(network, featurizer, documents, logits, decoding)
    framed = found.values[:, AXES.index("framed")]
    attributed = found.values[found.names_source, AXES.index("attributed")]
    return Agreement(len(found.values), _median(framed), _median(attributed))


def differences(
    network: NetworkLike,
    featurizer: Featurizer,
    documents: Sequence[LabelledFeatures],
    logits: Sequence[DocumentLogits],
    decoding: DecodingConfig,
) -> Differences:
    """Read segments again, each in a window of its own, and compare with their article's answer.

    `logits` are those of the documents in their articles. Of many segments, evenly spread
    ones are taken.
    """
    places = [
        (number, index)
        for number, item in enumerate(documents)
        if len(item.document.segments) > 1
        for index in range(len(item.document.segments))
    ]
    places = places[:: -(-len(places) // MOST_SEGMENTS) or 1]
    scores = [axis_scores(item, decoding) for item in logits]
    values = np.zeros((len(places), len(AXES)))
    names_source = np.zeros(len(places), dtype=np.bool_)
    for row, (number, index) in enumerate(places):
        item = documents[number]
        segments = (item.features.segments[index],)
        alone = DocumentFeatures(segments, tuple(featurizer.windows(segments)))
        read = merge_windows(alone, [network(window) for window in alone.windows])
        values[row] = np.abs(axis_scores(read, decoding)[0] - scores[number][index])
        names_source[row] = _names_its_source(item, index)
    numbers = np.array([number for number, _ in places], dtype=np.int64)
    return Differences(numbers, values, names_source)


def _names_its_source(item: LabelledFeatures, index: int) -> bool:
    segment = item.document.segments[index]
    return bool(segment.attributed) and any(
        span.type == "source"
        and span.field == segment.field
        and segment.start <= span.start
        and span.end <= segment.end
        for span in item.document.spans
    )


def _median(values: NDArray[np.float64]) -> float:
    return float(np.median(values)) if len(values) else float("nan")
