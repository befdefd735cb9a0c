"""A segment as HTML: its label, its evidence, and nothing of its text that a browser could run.

The only place where HTML is put together by hand; pages come from templates with automatic
escaping. It needs the standard library alone, so that a notebook can show a document without
any extra.
"""

from __future__ import annotations

import html
from collections.abc import Sequence

from framelens.report.article import segment_runs, shown
from framelens.schema import AXES, Label, ScoredSegment, Span

LABEL_NAMES: dict[Label, str] = {
    "sourced": "Sourced",
    "framed": "Framed",
    "plain": "Plain",
    "boilerplate": "Page furniture",
}
LABEL_SIGNS: dict[Label, str] = {"sourced": "❝", "framed": "◆", "plain": "", "boilerplate": "▤"}
"""What stands before a segment, so that colour is never the only sign of its label."""
LABEL_MEANINGS: dict[Label, str] = {
    "sourced": "reports what a named or described source said",
    "framed": "the outlet’s own words evaluate, mock or insinuate",
    "plain": "the outlet’s own words, without framing",
    "boilerplate": "navigation, promotion, credits",
}
_SPOKEN = {"source": "source: ", "loaded": "loaded: "}


class Markup(str):
    """HTML that is safe as it is; template engines know it by `__html__`."""

    __slots__ = ()

    def __html__(self) -> str:
        return self


def escaped(text: str) -> str:
    """Text as HTML text or attribute value."""
    return html.escape(shown(text))


def segment_html(segment: ScoredSegment, *, anchor: bool = True) -> Markup:
    """A segment as one element, with its sign, its label for screen readers, and its marks.

    Each span of the segment gives exactly one element with `data-span`; where another span
    crosses it, the further pieces have none.
    """
    name = LABEL_NAMES[segment.label] + (", uncertain" if segment.uncertain else "")
    sign = LABEL_SIGNS[segment.label] + ("?" if segment.uncertain else "")
    state = " uncertain" if segment.uncertain else ""
    place = f' id="s{segment.index}"' if anchor else ""
    shown_sign = f'<span class="sign" aria-hidden="true">{sign}</span>' if sign else ""
    return Markup(
        f'<span class="seg {segment.label}{state}"{place} data-label="{segment.label}" '
        f'title="{escaped(f"{name} · {scores_text(segment)}")}">{shown_sign}'
        f'<span class="vh" dir="ltr">{name}: </span>{_marked(segment)}</span>'
    )


def scores_text(segment: ScoredSegment) -> str:
    """The three scores in one line."""
    return ", ".join(f"{axis} {segment.scores[axis]:.2f}" for axis in AXES)


def paragraph_html(segments: Sequence[ScoredSegment], *, anchor: bool = True) -> Markup:
    """The segments of a paragraph, with a space where the article has white space."""
    pieces: list[str] = []
    end: int | None = None
    for segment in segments:
        if end is not None and segment.start > end:
            pieces.append(" ")
        pieces.append(segment_html(segment, anchor=anchor))
        end = segment.end
    return Markup("".join(pieces))


def _marked(segment: ScoredSegment) -> str:
    opened: set[int] = set()
    return "".join(
        _piece(text, attribution, loaded, opened)
        for text, attribution, loaded in segment_runs(segment)
    )


def _piece(text: str, attribution: Span | None, loaded: Span | None, opened: set[int]) -> str:
    inner = escaped(text)
    if loaded is not None:
        inner = _tagged("mark", loaded, inner, opened)
    if attribution is not None:
        inner = _tagged("span", attribution, inner, opened)
    return inner


def _tagged(tag: str, span: Span, inner: str, opened: set[int]) -> str:
    first = id(span) not in opened
    opened.add(id(span))
    spoken = _SPOKEN.get(span.type, "") if first else ""
    lead = f'<span class="vh" dir="ltr">{spoken}</span>' if spoken else ""
    data = f' data-span="{span.type}"' if first else ""
    return f'<{tag} class="{span.type}"{data}>{lead}{inner}</{tag}>'
