"""Who says what: each content span with its source and its cue.

Relations are worked out from the spans of a document alone, so that they can be had of any scored
row. The rules and their weights were chosen on PolNeAR's training part, whose annotators tied the
spans together; docs/attributions.md holds how often they are right.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from framelens.quotations import named_later
from framelens.schema import ATTRIBUTION_TYPES, Document, ScoredSegment, Span

_WORD = re.compile(r"[^\W_](?:\S*[^\W_])?")  # without the marks around it

_BETWEEN = 4
"""What a span that lies between two others counts, in words."""
_CUE_WEIGHT = 3
"""What the distance from cue to content counts, against that from source to cue."""
_CUE_BEHIND = 1
"""What it costs a cue to stand behind the content, in words."""
_NEAR = 3
"""Spans of a type that are looked at to each side of another."""

_FIRST, _LAST = 0, -1  # places in a segment's contents


@dataclass(frozen=True, slots=True)
class AttributionRelation:
    """What is said, by whom, and in which words: PolNeAR's attribution relation.

    `segment` and `source_segment` are indices into the document's segments: the source of a
    quotation may stand in another sentence than the content. `source` and `cue` are None where
    the model found none that it could be.
    """

    segment: int
    content: Span
    source: Span | None
    source_segment: int | None
    cue: Span | None

    def to_dict(self) -> dict[str, Any]:
        """The relation with only JSON types in it."""
        return {
            "segment": self.segment,
            "content": self.content.to_dict(),
            "source": None if self.source is None else self.source.to_dict(),
            "source_segment": self.source_segment,
            "cue": None if self.cue is None else self.cue.to_dict(),
        }


def attribution_relations(document: Document) -> tuple[AttributionRelation, ...]:
    """Each content span of a document with its source and its cue, in the order of the text.

    In a sentence with sources, content belongs to the nearest cue, and with it to the cue's
    nearest source; distance counts the words between and, as four words each, the spans between.
    Content without a source in its sentence carries on what was said before: it has the source
    that a later sentence of the same quotation has, otherwise the one that spoke last, up to a
    sentence that reports nothing. Content that has a cue but no source in its sentence ("it was
    said that") has none, unless it continues a quotation. Page furniture is passed over, and no
    source of a headline speaks in the body.
    """
    return relations_of(document.segments)


def relations_of(segments: Sequence[ScoredSegment]) -> tuple[AttributionRelation, ...]:
    """The `attribution_relations` of a document with these segments."""
    within = [_within(segment) for segment in segments]
    later = named_later(segments)
    found: list[AttributionRelation] = []
    speaker: _Speaker = (None, None)
    for place, (segment, own) in enumerate(zip(segments, within, strict=True)):
        has_source = any(span.type == "source" for span in segment.spans)
        before = speaker
        if not has_source:
            speaker = _carried_on(segments, within, place, later, before)
        for content, source, cue in own:
            if has_source:
                said_by: _Speaker = (source, place)
            elif cue is not None and not content.continues and place not in later:
                said_by = speaker = (None, None)  # whoever is meant, it is another one
            else:
                said_by = speaker
            found.append(AttributionRelation(place, content, *said_by, cue))
        if has_source:
            speaker = _speaker_at(_LAST, segment, place, own)
        if segment.label == "boilerplate":
            speaker = before
        elif segment.role == "headline":
            speaker = (None, None)
    return tuple(found)


_Speaker = tuple[Span | None, int | None]
_Linked = tuple[Span, Span | None, Span | None]
"""A content span with its source and its cue, as far as its segment has them."""


def _carried_on(
    segments: Sequence[ScoredSegment],
    within: Sequence[Sequence[_Linked]],
    place: int,
    later: Mapping[int, int],
    speaker: _Speaker,
) -> _Speaker:
    """Who speaks in a segment that names no source."""
    if place in later:
        named = later[place]
        return _speaker_at(_FIRST, segments[named], named, within[named])
    return speaker if within[place] else (None, None)


def _speaker_at(end: int, segment: ScoredSegment, place: int, own: Sequence[_Linked]) -> _Speaker:
    """Who speaks first, or last, in a segment with sources: of its content, if it has any."""
    if own:
        return own[end][1], place
    sources = [span for span in segment.spans if span.type == "source"]
    return sorted(sources, key=lambda span: span.start)[end], place


def _within(segment: ScoredSegment) -> list[_Linked]:
    """Each content span of a segment with the cue and the source that it has there."""
    if segment.label == "boilerplate":  # in rows of version 0.1.0 it may have spans
        return []
    spans = sorted(
        (span for span in segment.spans if span.type != "loaded"), key=lambda span: span.start
    )
    places = {
        kind: [at for at, span in enumerate(spans) if span.type == kind]
        for kind in ATTRIBUTION_TYPES
    }
    if not places["content"]:
        return []
    apart = _Distances(segment, spans)
    source_of = {cue: apart.nearest(cue, places["source"]) for cue in places["cue"]}
    linked: list[_Linked] = []
    for content in places["content"]:
        if not any(character.isalnum() for character in spans[content].text):
            continue  # marks that were left over
        cue = min(
            _around(places["cue"], content),
            key=lambda at: apart.through_cue(at, source_of[at], content),
            default=None,
        )
        source = apart.nearest(content, places["source"]) if cue is None else source_of[cue]
        linked.append(
            (
                spans[content],
                None if source is None else spans[source],
                None if cue is None else spans[cue],
            )
        )
    return linked


def _around(places: Sequence[int], at: int) -> Sequence[int]:
    """Those of some places, in order, that lie nearest to another one."""
    middle = bisect_left(places, at)
    return places[max(middle - _NEAR, 0) : middle + _NEAR]


class _Distances:
    """How far the attribution spans of a segment, in order, lie apart.

    The words are found once a segment: what stands between two spans is then a difference.
    """

    def __init__(self, segment: ScoredSegment, spans: Sequence[Span]) -> None:
        text = list(segment.text)
        for span in spans:
            if span.type != "content":
                first, last = span.start - segment.start, span.end - segment.start
                text[first:last] = " " * (last - first)
        starts = [segment.start + word.start() for word in _WORD.finditer("".join(text))]
        self._before = [bisect_left(starts, span.start) for span in spans]
        self._through = [bisect_left(starts, span.end) for span in spans]

    def between(self, one: int, other: int) -> int:
        """Words between two spans, those of sources and cues left out, and spans between."""
        first, second = min(one, other), max(one, other)
        words = self._before[second] - self._through[first]
        return max(words, 0) + _BETWEEN * (second - first - 1)

    def nearest(self, at: int, places: Sequence[int]) -> int | None:
        """The nearest of some places; of two as near, the first."""
        return min(_around(places, at), key=lambda other: self.between(at, other), default=None)

    def through_cue(self, cue: int, source: int | None, content: int) -> tuple[int, int]:
        """How far content is from a source by way of a cue, and from the cue alone."""
        own = self.between(cue, content)
        behind = _CUE_BEHIND * (cue > content)
        rest = 0 if source is None else self.between(source, cue)
        return _CUE_WEIGHT * own + behind + rest, own
