"""Quotations of several sentences, of which one says whose they are."""

from __future__ import annotations

from collections.abc import Sequence

from framelens.schema import ScoredSegment

_DASHES = ("–", "—", "―", "-")


def named_later(segments: Sequence[ScoredSegment]) -> dict[int, int]:
    """The places of sentences whose quotation gets its source in a later one, and of that one.

    In `“It was over. We ran,” said Lee.` the first sentence has no source, and the second, whose
    content `continues`, has Lee; so has a line below the quotation that begins with a dash and
    holds no content: its signature. A quotation that has had a source before keeps it; page
    furniture is passed over, and none goes on from a headline into the body.
    """
    found: dict[int, int] = {}
    waiting: list[int] = []
    has_source = False
    for place, segment in enumerate(segments):
        if segment.label == "boilerplate":
            continue
        if place and segment.role != segments[place - 1].role:
            waiting, has_source = [], False
        contents = [span for span in segment.spans if span.type == "content"]
        signs = not contents and segment.text.startswith(_DASHES)
        if not signs and (not contents or not contents[0].continues):
            waiting, has_source = [], False
        if any(span.type == "source" for span in segment.spans):
            found |= dict.fromkeys(waiting, place)
            waiting, has_source = [], True
        elif contents and not has_source:
            waiting.append(place)
    return found
