"""Raw text of an article to segments: headline, sentences, lines of page furniture.

The same segments are scored, trained on and evaluated. Offsets are in code points into the
field as it was given; nothing is normalised, so `row[field][start:end] == text` always.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from framelens.paragraphs import Paragraph, is_furniture, split_paragraphs
from framelens.schema import Field, Role
from framelens.sentences import AFTER_STOP, split_sentences, stripped

__all__ = ["TextSegment", "segment_article", "segment_unit", "split_sentences"]

MAX_HEADLINE = 160
"""Longest first line, in code points, that is taken as a headline."""

MIN_HEADLINE_WORDS = 3
"""Fewest words of a first line that is taken as a headline, unless it is a question or a cry.

Two words do if body text follows at once: "World news" mostly stands over another headline.
"""

MIN_BODY_WORDS = 6
"""Fewest words of a paragraph that shows that body text follows."""

_PARAGRAPHS_SEARCHED = 20
_WORDS_SEARCHED = 400
_FULL_STOP = re.compile(rf"(?<![A-Z]\.[A-Z])(?<!\.)\.{AFTER_STOP}\Z")  # not "in the U.S.", "so..."
_CRY = re.compile(rf"[?!]{AFTER_STOP}\Z")
_CREDIT = re.compile(  # of a caption: "The wall on Monday (AP Photo/Ann Lee)"
    r"[(\[][^()\[\]]{0,40}\bphoto(?:graph)?\s?(?:[/:]|by\b|courtesy\b|via\b)[^()\[\]]*[)\]]\Z",
    re.IGNORECASE,
)
_UNFINISHED = frozenset(",;:-–—―")
_TERMINAL = re.compile(rf"[.!?…]{AFTER_STOP}\Z")


@dataclass(frozen=True, slots=True)
class TextSegment:
    """One segment: `text` is the stretch `[start, end)` of the input field, in code points."""

    role: Role
    field: Field
    start: int
    end: int
    text: str
    opens_paragraph: bool = True
    """Whether no other segment of its paragraph comes before it."""


def segment_article(text: str, headline: str | None = None) -> list[TextSegment]:
    """The segments of an article, in reading order.

    A `headline` that is not blank is one segment, whatever it holds. Without one, a first line
    of `text` that reads like a headline is a segment of role "headline" in field "text". The
    rest are sentences and lines of page furniture, role "body". Those in `text` are in order
    and disjoint, none is blank, together they cover every character that is not white space,
    and none is longer than `framelens.sentences.MAX_SENTENCE` code points.
    """
    segments = _whole("headline", "headline", headline)
    paragraphs = split_paragraphs(text)
    if not segments and _opens_with_headline(text, paragraphs):
        title, *paragraphs = paragraphs
        segments.append(_segment("headline", "text", text, title.start, title.end))
    for paragraph in paragraphs:
        content = text[paragraph.start : paragraph.end]
        if paragraph.lines == 1 and is_furniture(content):
            segments.append(_segment("body", "text", text, paragraph.start, paragraph.end))
            continue
        for start, end in split_sentences(content):
            opens = not start
            start, end = paragraph.start + start, paragraph.start + end
            segments.append(TextSegment("body", "text", start, end, text[start:end], opens))
    return segments


def segment_unit(text: str, headline: str | None = None) -> list[TextSegment]:
    """Each field that is not blank as exactly one segment, without outer white space."""
    return _whole("headline", "headline", headline) + _whole("body", "text", text)


def _segment(role: Role, field: Field, source: str, start: int, end: int) -> TextSegment:
    return TextSegment(role, field, start, end, source[start:end])


def _whole(role: Role, field: Field, source: str | None) -> list[TextSegment]:
    if source is None:
        return []
    start, end = stripped(source, 0, len(source))
    return [_segment(role, field, source, start, end)] if start < end else []


def _opens_with_headline(text: str, paragraphs: list[Paragraph]) -> bool:
    """Whether the first paragraph reads like a headline over body text."""
    if len(paragraphs) < 2:
        return False
    first = paragraphs[0]
    if first.lines > 1 or first.end - first.start > MAX_HEADLINE:
        return False
    line = text[first.start : first.end]
    if _FULL_STOP.search(line) or line[-1] in _UNFINISHED:
        return False
    if is_furniture(line) or _CREDIT.search(line):
        return False
    if _CRY.search(line):
        if len(split_sentences(line)) > 1:
            return False
    elif (words := len(line.split())) < MIN_HEADLINE_WORDS:
        return words == MIN_HEADLINE_WORDS - 1 and _is_prose(text, paragraphs[1])
    return any(_is_prose(text, p) for p in paragraphs[1 : 1 + _PARAGRAPHS_SEARCHED])


def _is_prose(text: str, paragraph: Paragraph) -> bool:
    """Whether a paragraph is long enough for body text and holds a finished sentence."""
    content = text[paragraph.start : min(paragraph.end, paragraph.start + _WORDS_SEARCHED)]
    if len(content.split()) < MIN_BODY_WORDS:
        return False
    if paragraph.end - paragraph.start > len(content) or _TERMINAL.search(content):
        return True
    return len(split_sentences(content)) > 1
