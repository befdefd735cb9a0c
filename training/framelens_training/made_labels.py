"""Labelled documents of one made segment, whose labels count less than an annotator's."""

from __future__ import annotations

from collections.abc import Sequence

from framelens.schema import AXES, Field
from framelens_training.corpora.labelled import (
    Annotated,
    GoldSegment,
    GoldSpan,
    LabelledDocument,
)

CONFIDENCE = 0.7
"""Weight of a made label against an annotator's."""


def made_document(
    id: str,
    text: str,
    field: Field,
    *,
    attributed: bool,
    framed: bool,
    spans: Sequence[GoldSpan] | None = None,
) -> LabelledDocument:
    """A document of one segment, labelled on all axes, and on attributions if spans are given."""
    annotated: set[Annotated] = {*AXES}
    if spans is not None:
        annotated.add("attribution_spans")
    return LabelledDocument(
        id=id,
        text=text if field == "text" else "",
        headline=text if field == "headline" else None,
        annotated=frozenset(annotated),
        segments=(
            GoldSegment(
                field,
                0,
                len(text),
                attributed=attributed,
                framed=framed,
                boilerplate=False,
                weights=dict.fromkeys(AXES, CONFIDENCE),
            ),
        ),
        spans=tuple(spans or ()),
    )
