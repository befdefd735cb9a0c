"""A scored article as a person reads it in a terminal."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Iterator

from framelens.schema import (
    Attribution,
    Document,
    HeadlineCheck,
    Label,
    ScoredSegment,
    SpanType,
    Summary,
)

_RESET = "\x1b[0m"
_BOLD = "\x1b[1m"
_DIM = "\x1b[2m"
_LABEL_STYLES: dict[Label, str] = {
    "framed": "\x1b[1;31m",
    "sourced": "\x1b[36m",
    "plain": "",
    "boilerplate": _DIM,
}
_SPAN_STYLES: dict[SpanType, str] = {
    "source": "\x1b[1;36m",
    "cue": "\x1b[33m",
    "content": "",
    "loaded": "\x1b[1;4;31m",
}
_LABEL_WIDTH = 12
_SCORE_WIDTH = 6
_SHOWN: dict[Label, str] = {
    "framed": "framed",
    "sourced": "attributed",
    "boilerplate": "boilerplate",
}
_ATTRIBUTION: dict[Attribution, str] = {
    "kept": "attribution kept",
    "weakened": "attribution weakened",
    "dropped": "attribution dropped",
    "none_needed": "no attribution missing",
}
_CONTROL = dict.fromkeys((*range(32), *range(127, 160)), "�")


def render(document: Document, *, width: int = 80, color: bool = True) -> str:
    """One article as a table: label, score, text with its evidence.

    Colour shows spans as well as labels; without colour, sources are marked [so], loaded
    words *so*. Control characters of the text never reach the terminal.
    """
    return "\n".join(_lines(document, max(width, 40), color)) + "\n"


def _lines(document: Document, width: int, color: bool) -> Iterator[str]:
    for line in _wrap(safe(document.id), width):
        yield _paint(line, _BOLD, color)
    if document.error is not None:
        error = safe(f"error {document.error.code}: {document.error.message}")
        for number, line in enumerate(_wrap(error, width - 4)):
            yield ("    " if number else "  ") + line
        return
    for segment in document.segments:
        yield from _segment_lines(segment, width, color)
    if document.headline_check is not None:
        for line in _check_lines(document.headline_check, document.segments, width):
            yield _paint(line, _DIM, color)
    if document.summary is not None:
        yield _paint(_summary(document.summary), _DIM, color)


def _summary(summary: Summary) -> str:
    return (
        f"  {summary.segments} segments: sourced {summary.sourced:.0%}, "
        f"framed {summary.framed:.0%}, plain {summary.plain:.0%}; "
        f"{summary.sources} source{'' if summary.sources == 1 else 's'}"
    )


def _check_lines(
    check: HeadlineCheck, segments: tuple[ScoredSegment, ...], width: int
) -> Iterator[str]:
    if check.segment is None or check.attribution is None:
        yield f"  headline: no segment carries its claim (best score {check.score:.2f})"
        return
    said = [_ATTRIBUTION[check.attribution]]
    if check.source is not None:
        said[0] += f" (source: {check.source.text})"
    if check.own_wording:
        own = (f"“{span.text}” ({span.loaded:.2f})" for span in check.own_wording)
        said.append("own wording, with loaded score: " + ", ".join(own))
    carrier = " ".join(segments[check.segment].text.split())
    parts = [f"carried by “{textwrap.shorten(carrier, 60, placeholder=' …')}”", *said]
    text = safe(" ".join(f"headline: {'; '.join(parts)}".split()))
    for number, line in enumerate(_wrap(text, width - 4)):
        yield ("    " if number else "  ") + line


def _segment_lines(segment: ScoredSegment, width: int, color: bool) -> Iterator[str]:
    axis = _SHOWN.get(segment.label)
    score = "" if axis is None else f"{segment.scores[axis]:.2f}"  # type: ignore[index]
    name = segment.label + ("?" if segment.uncertain else "")
    label = _paint(f"{name:<{_LABEL_WIDTH}}", _LABEL_STYLES[segment.label], color)
    lead = f"  {label} {score:<{_SCORE_WIDTH}}"
    indent = " " * (2 + _LABEL_WIDTH + 1 + _SCORE_WIDTH)
    text, styles = _styled(segment, color)
    base = _BOLD if segment.role == "headline" else _LABEL_STYLES[segment.label]
    if segment.label == "framed" and segment.role != "headline":
        base = ""
    at = 0
    for number, line in enumerate(_wrap(text, width - len(indent))):
        at = text.index(line, at)
        shown = _colored(line, styles[at : at + len(line)], base) if color else line
        at += len(line)
        yield (indent if number else lead) + shown


def _wrap(text: str, width: int) -> list[str]:
    """Lines of at most `width` columns, each a stretch of the text, whose white space is folded."""
    if text.isascii():
        return textwrap.wrap(text, width, break_on_hyphens=False) or [""]
    lines: list[str] = []
    start = used = 0
    space = -1  # the last place where the line could be broken without breaking a word
    for at, character in enumerate(text):
        columns = _columns(character)
        if used + columns > width:
            end = space if space > start else at
            lines.append(text[start:end])
            start = end + (text[end] == " ")
            used = sum(map(_columns, text[start:at]))
        used += columns
        if character == " ":
            space = at
    lines.append(text[start:])
    return [line.rstrip() for line in lines if line.strip()] or [""]


def _columns(character: str) -> int:
    """How many columns a terminal gives a character."""
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _styled(segment: ScoredSegment, color: bool) -> tuple[str, list[str]]:
    """The segment's text with whitespace folded, and a style for each character."""
    styles = [""] * len(segment.text)
    marks: dict[int, str] = {}
    for span in sorted(segment.spans, key=lambda s: s.type == "loaded"):
        start, end = span.start - segment.start, span.end - segment.start
        styles[start:end] = [_SPAN_STYLES[span.type] or old for old in styles[start:end]]
        if not color and span.type in ("source", "loaded"):
            opening, closing = ("[", "]") if span.type == "source" else ("*", "*")
            marks[start] = marks.get(start, "") + opening
            marks[end] = closing + marks.get(end, "")
    characters: list[str] = []
    kept: list[str] = []
    for index, character in enumerate(segment.text + " "):
        for mark in marks.get(index, ""):
            characters.append(mark)
            kept.append("")
        if index == len(segment.text):
            break
        blank = character.isspace()
        if blank and (not characters or characters[-1] == " "):
            continue
        characters.append(" " if blank else safe(character))
        kept.append(styles[index])
    return "".join(characters).rstrip(), kept


def _colored(line: str, styles: list[str], base: str) -> str:
    pieces: list[str] = []
    current: str | None = None
    for character, style in zip(line, styles, strict=True):
        wanted = style or base
        if wanted != current:
            pieces.append((_RESET if current else "") + wanted)
            current = wanted
        pieces.append(character)
    return "".join(pieces) + (_RESET if current else "")


def _paint(text: str, style: str, color: bool) -> str:
    return f"{style}{text}{_RESET}" if color and style else text


def safe(text: str) -> str:
    """The text with U+FFFD for each control character, which a terminal would obey."""
    return text.translate(_CONTROL).encode("utf-8", "replace").decode("utf-8")
