"""Whether documents can tell by what step a training is best: asked before there is a network."""

from __future__ import annotations

from collections.abc import Sequence

from framelens.schema import AXES
from framelens_training.corpora.labelled import LabelledDocument
from framelens_training.errors import SplitError
from framelens_training.predictions import gold_spans


def can_be_scored(documents: Sequence[LabelledDocument]) -> bool:
    """Whether `evaluation.Metrics.score` says anything: both answers of an axis, or spans."""
    answers = {
        (axis, segment.axis(axis))
        for document in documents
        for axis in document.annotated
        if axis in AXES
        for segment in document.segments
    }
    return any({(axis, True), (axis, False)} <= answers for axis in AXES) or any(
        ("loaded_spans" if key[1] == "loaded" else "attribution_spans") in document.annotated
        for document in documents
        for key in gold_spans(document)
    )


def refuse_unscored(validation: Sequence[LabelledDocument]) -> None:
    """Make sure that a step can be chosen by what is known of the validation documents.

    Raises:
        SplitError: if no validation score can be had.
    """
    if not can_be_scored(validation):
        raise SplitError(
            "expected validation documents with both answers of an axis, or with labelled spans, "
            f"by which the best step is chosen; found one answer only in {len(validation)} "
            "documents; add some of the other answer, or divide the documents anew"
        )
