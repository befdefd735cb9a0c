"""Whether documents can tell by what step a training is best: asked before there is a network."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from framelens.schema import AXES, Axis
from framelens_training.config import LOSS_PARTS, LossPart
from framelens_training.corpora.labelled import LAYER_OF, LabelledDocument, answers_of
from framelens_training.errors import SplitError
from framelens_training.predictions import gold_spans


def can_be_scored(
    documents: Sequence[LabelledDocument], learnt: Collection[LossPart] = LOSS_PARTS
) -> bool:
    """Whether `evaluation.Metrics.score` says anything of the parts that a model learns: both
    answers of an axis, or spans.
    """
    asked = [axis for axis in AXES if axis in learnt]
    return any(has_both_answers(documents, axis) for axis in asked) or any(
        LAYER_OF[key[1]] in document.annotated & frozenset(learnt)
        for document in documents
        for key in gold_spans(document)
    )


def has_both_answers(documents: Sequence[LabelledDocument], axis: Axis) -> bool:
    """Whether documents have a yes and a no on an axis."""
    return {True, False} <= {a for document in documents for a in answers_of(document, axis)}


def refuse_unscored(
    validation: Sequence[LabelledDocument], learnt: Collection[LossPart] = LOSS_PARTS
) -> None:
    """Make sure that a step can be chosen by what is known of the validation documents.

    Raises:
        SplitError: if no validation score can be had.
    """
    if not can_be_scored(validation, learnt):
        raise SplitError(
            "expected validation documents with both answers of an axis that is learnt, or with "
            "labelled spans, by which the best step is chosen; found one answer only in "
            f"{len(validation)} documents; add some of the other answer, or divide the documents "
            "anew"
        )
