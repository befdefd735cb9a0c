"""The vocabulary of framelens: axes, span types, labels, and what scoring returns.

Every order in this module is part of the artifact format: a model's logits are read by
these positions, and `framelens.artifact` refuses a model whose manifest lists another order.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

SCHEMA_VERSION = 1
"""Version of the output rows (`Document.to_dict`)."""

Axis = Literal["attributed", "framed", "boilerplate"]
AXES: tuple[Axis, ...] = ("attributed", "framed", "boilerplate")
"""The independent yes-or-no questions asked of each segment, in logit order."""

SpanType = Literal["source", "cue", "content", "loaded"]
ATTRIBUTION_TYPES: tuple[SpanType, ...] = ("source", "cue", "content")
"""Span types of which each token has exactly one or none."""
SPAN_TYPES: tuple[SpanType, ...] = (*ATTRIBUTION_TYPES, "loaded")
"""All evidence spans; `loaded` is independent of the other three."""

BIO_TAGS: tuple[str, ...] = (
    "O",
    "B-source",
    "I-source",
    "B-cue",
    "I-cue",
    "B-content",
    "I-content",
)
"""Tags of the attribution layer, in logit order: `B-` at odd, `I-` at the next even index."""

LOADED_TAGS: tuple[str, ...] = ("O", "B-loaded", "I-loaded")
"""Tags of the other layer; the span head has one logit for both that are inside."""

SPAN_LOGITS: tuple[str, ...] = (*BIO_TAGS, "loaded")
"""Columns of the span head's output."""

Label = Literal["sourced", "framed", "plain", "boilerplate"]
LABELS: tuple[Label, ...] = ("sourced", "framed", "plain", "boilerplate")
"""The one label for each segment that readers see; `framelens.decoding.label_of` assigns it."""

Role = Literal["headline", "body"]
Field = Literal["headline", "text"]
Status = Literal["ok", "error"]
Support = Literal["supported", "unsupported"]
RowUnit = Literal["document", "segment", "attribution"]
"""What an output row is of."""
Attribution = Literal["kept", "weakened", "dropped", "none_needed"]
ATTRIBUTIONS: tuple[Attribution, ...] = ("kept", "weakened", "dropped", "none_needed")
"""What a headline does with the attribution that its body has; "none_needed" is also what is said
where it is not sure that one was dropped."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of evidence in one input field.

    `start` and `end` are offsets in code points, so that `row[field][start:end] == text`.
    `score` is the probability that a span of this type begins and ends just there. `continues` is
    true for a span that carries on one of the same type from the segment before (a long
    quotation); such pieces have the score of the whole.
    """

    type: SpanType
    start: int
    end: int
    text: str
    score: float
    continues: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The span as it stands in an output row."""
        row: dict[str, Any] = {
            "type": self.type,
            "start": self.start,
            "end": self.end,
            "text": self.text,
            "score": self.score,
        }
        if self.continues:
            row["continues"] = True
        return row


@dataclass(frozen=True, slots=True)
class ScoredSegment:
    """One segment with its label, the three axis probabilities and its spans."""

    index: int
    role: Role
    field: Field
    start: int
    end: int
    text: str
    label: Label
    uncertain: bool
    scores: Mapping[Axis, float] = dataclasses.field(hash=False)  # a mapping has no hash
    spans: tuple[Span, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The segment as it stands in an output row."""
        return {
            "index": self.index,
            "role": self.role,
            "field": self.field,
            "start": self.start,
            "end": self.end,
            "text": self.text,
            "label": self.label,
            "uncertain": self.uncertain,
            "scores": dict(self.scores),
            "spans": [span.to_dict() for span in self.spans],
        }


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """Which model gave an answer: enough to find the same weights again."""

    name: str
    version: str
    sha256: str

    def to_dict(self) -> dict[str, str]:
        """The model as it stands in an output row."""
        return {"name": self.name, "version": self.version, "sha256": self.sha256}


@dataclass(frozen=True, slots=True)
class RowError:
    """Why a row could not be scored: a stable code for scripts, a message for people."""

    code: str
    message: str

    def to_dict(self) -> dict[str, str]:
        """The error as it stands in an output row."""
        return {"code": self.code, "message": self.message}


@dataclass(frozen=True, slots=True)
class Summary:
    """Shares of the labels among the segments that are not boilerplate.

    `segments` counts every segment, furniture included; `sources` counts distinct source
    mentions with case folded.
    """

    segments: int
    sourced: float
    framed: float
    plain: float
    sources: int

    def to_dict(self) -> dict[str, Any]:
        """The summary as it stands in an output row."""
        return {
            "segments": self.segments,
            "sourced": self.sourced,
            "framed": self.framed,
            "plain": self.plain,
            "sources": self.sources,
        }


@dataclass(frozen=True, slots=True)
class OwnWording:
    """Words of a headline that no word of the aligned body segment stands behind.

    `start` and `end` are code points in the headline segment's field. `loaded` is the mean
    probability that the words are loaded, whether or not it reaches the model's threshold.
    """

    start: int
    end: int
    text: str
    loaded: float

    def to_dict(self) -> dict[str, Any]:
        """The span as it stands in an output row."""
        return {"start": self.start, "end": self.end, "text": self.text, "loaded": self.loaded}


@dataclass(frozen=True, slots=True)
class HeadlineCheck:
    """A headline against its body: what carries its claim, and what became of the attribution.

    `score`, between 0 and 1, says how much of the headline the best body segment carries. When
    that is too little the outcome is "unsupported", and `segment`, `source`, `cue` and
    `attribution` are None and `own_wording` is empty: there is nothing to compare with.
    `segment` is an index into the document's segments; `attributed` says whether that segment
    is, `source` to whom (a span of the segment, or of another one of the same quotation) and
    `cue` in which words. Both may be None for an attributed segment whose spans were not found.
    `dropped_score`, of a headline that shows no attribution where the segment has one, is the
    probability that it states as fact what the body only attributes.
    """

    outcome: Support
    segment: int | None
    score: float
    attributed: bool
    source: Span | None
    cue: Span | None
    attribution: Attribution | None
    own_wording: tuple[OwnWording, ...] = ()
    dropped_score: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """The check as it stands in an output row."""
        return {
            "outcome": self.outcome,
            "segment": self.segment,
            "score": self.score,
            "attributed": self.attributed,
            "source": None if self.source is None else self.source.to_dict(),
            "cue": None if self.cue is None else self.cue.to_dict(),
            "attribution": self.attribution,
            "dropped_score": self.dropped_score,
            "own_wording": [span.to_dict() for span in self.own_wording],
        }


@dataclass(frozen=True, slots=True)
class Document:
    """The result for one input row, good or bad; `to_dict` is exactly one output row."""

    id: str
    status: Status
    model: ModelInfo
    segments: tuple[ScoredSegment, ...] = ()
    summary: Summary | None = None
    error: RowError | None = None
    headline_check: HeadlineCheck | None = None
    """None for a document without a headline or without a body."""
    input: Mapping[str, Any] | None = dataclasses.field(default=None, hash=False)
    """Headline and text as drawn out of a page, where no input field holds them."""

    def to_dict(self) -> dict[str, Any]:
        """One output row, with only JSON types in it."""
        row: dict[str, Any] = {
            "schema": SCHEMA_VERSION,
            "id": self.id,
            "status": self.status,
            "error": None if self.error is None else self.error.to_dict(),
            "model": self.model.to_dict(),
            "segments": [segment.to_dict() for segment in self.segments],
            "summary": None if self.summary is None else self.summary.to_dict(),
            "headline_check": (
                None if self.headline_check is None else self.headline_check.to_dict()
            ),
        }
        if self.input is not None:
            row["input"] = {key: value for key, value in self.input.items() if value is not None}
        return row

    def _repr_html_(self) -> str:
        """The document as Jupyter shows it."""
        from framelens.report.notebook import document_html

        return document_html(self)
