"""Whose voice: is a sentence called framed for words that a source is quoted with?

Sentences with loaded words of the outlet's own are set against sentences whose loaded words all
lie inside quotations, by the marks of SemEval-2023 task 3. A model that reads words and not
voices flags both alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from framelens.decoding import Floats
from framelens.schema import AXES
from framelens_training.corpora.labelled import GoldSegment, LabelledDocument
from framelens_training.corpora.semeval import LoadedPlace
from framelens_training.evaluation import hit_share

VOICES = ("source", "outlet", "short_quotation", "none")
"""Loaded only inside a quotation; in the outlet's voice; only inside quotations of which one is
so short that it may be scare quotes; not loaded at all."""


def voice_counts(
    documents: Sequence[LabelledDocument],
    flags: Sequence[NDArray[np.bool_]],
    places: Mapping[str, Sequence[LoadedPlace]],
) -> NDArray[np.float64]:
    """Flagged sentences and sentences by voice, shape (documents, 2 * voices).

    `flags` holds for each document whether each segment was called framed. Segments that the
    corpus masks for another reason are left out.
    """
    counts = np.zeros((len(documents), len(VOICES), 2))
    for row, (document, flagged) in enumerate(zip(documents, flags, strict=True)):
        for segment, flag in zip(document.segments, flagged, strict=True):
            voice = _voice(segment, places.get(document.id, ()))
            if voice is not None:
                counts[row, VOICES.index(voice)] += (flag, 1)
    return counts.reshape(len(documents), -1)


def _voice(segment: GoldSegment, places: Sequence[LoadedPlace]) -> str | None:
    if segment.framed:
        return "outlet"
    voices = {
        place.voice
        for place in places
        if place.field == segment.field and place.start < segment.end and segment.start < place.end
    }
    if "short_quotation" in voices:
        return "short_quotation"
    if segment.framed is None:
        return None
    return "source" if "source" in voices else "none"


def share(voice: str, counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share flagged among the sentences of a voice, for counts (..., 2 * voices)."""
    at = 2 * VOICES.index(voice)
    return hit_share(counts[..., at : at + 2])


def ratio(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """The share of quoted sentences by that of the outlet's own."""
    with np.errstate(invalid="ignore", divide="ignore"):
        found: NDArray[np.float64] = share("source", counts) / share("outlet", counts)
    return found


def ratio_with_short(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same, with short quotations counted among the quoted."""
    joined = counts.copy()
    source, short = 2 * VOICES.index("source"), 2 * VOICES.index("short_quotation")
    joined[..., source : source + 2] += counts[..., short : short + 2]
    return ratio(joined)


def framed_flags(scores: Sequence[Floats], threshold: float) -> list[NDArray[np.bool_]]:
    """Whether each segment of each document is called framed; scores (s, 3) a document."""
    return [rows[:, AXES.index("framed")] >= threshold for rows in scores]
