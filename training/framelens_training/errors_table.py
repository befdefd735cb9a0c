"""The answers that were most wrong, for a person to read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from framelens.decoding import DecodingConfig, DocumentLogits, axis_scores
from framelens.schema import AXES
from framelens_training.corpora.labelled import LabelledDocument
from framelens_training.targets import role_of


def worst_errors(
    documents: Sequence[LabelledDocument],
    logits: Sequence[DocumentLogits],
    decoding: DecodingConfig,
    limit: int,
) -> list[dict[str, Any]]:
    """Segments on the wrong side of a threshold, the farthest from the right side first."""
    rows: list[dict[str, Any]] = []
    for document, item in zip(documents, logits, strict=True):
        scores = axis_scores(item, decoding)
        for index, segment in enumerate(document.segments):
            for column, axis in enumerate(AXES):
                gold = segment.counted(axis)
                if gold is None or axis not in document.annotated:
                    continue
                score = float(scores[index, column])
                threshold = decoding.thresholds[axis]
                if (score >= threshold) != gold:
                    rows.append(
                        {
                            "axis": axis,
                            "gold": gold,
                            "score": round(score, 4),
                            "threshold": threshold,
                            "distance": round(abs(score - threshold), 4),
                            "role": role_of(segment),
                            "document": document.id,
                            "segment": index,
                            "text": document.segment_text(segment),
                        }
                    )
    rows.sort(key=lambda row: -row["distance"])
    return rows[:limit]
