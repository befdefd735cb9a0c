"""Quotations of several sentences, of which one says whose they are."""

from __future__ import annotations

from collections.abc import Sequence

from framelens.schema import Role, ScoredSegment
from framelens.sentences import has_words

_DASHES = ("–", "—", "―", "-")


def named_later(segments: Sequence[ScoredSegment]) -> dict[int, int]:
    """The places of sentences whose quotation gets its source in a later one, and of that one.

    In `“It was over. We ran,” said Lee.` the first sentence has no source, and the second, whose
    content `continues`, has Lee; so has a line below the quotation that begins with a dash and
    holds neither content nor another cue than the dash: its signature. A quotation that has had a
    source before keeps it; page furniture is passed over, and none goes on from a headline into
    the body.
    """
    found: dict[int, int] = {}
    waiting: list[int] = []
    has_source = False
    role: Role | None = None
    for place, segment in enumerate(segments):
        if segment.label == "boilerplate":
            continue
        if segment.role != role:
            role, waiting, has_source = segment.role, [], False
        contents = [span for span in segment.spans if span.type == "content"]
        signs = not contents and _is_signature(segment)
        if not signs and (not contents or not contents[0].continues):
            waiting, has_source = [], False
        if any(span.type == "source" for span in segment.spans):
            found |= dict.fromkeys(waiting, place)
            waiting, has_source = [], True
        elif contents and not has_source:
            waiting.append(place)
    return found


def _is_signature(segment: ScoredSegment) -> bool:
    """Whether a line without content names a source behind a dash, and no more: no list item."""
    cues = (span.text for span in segment.spans if span.type == "cue")
    return segment.text.startswith(_DASHES) and not any(map(has_words, cues))
