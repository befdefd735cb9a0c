"""Inline markup: labelled articles as a person can read and edit them.

    #id: tarn-0142
    #outlet: Tarn Valley Courier
    #topic: courts

    H-| Valve was shut by hand

    a| {s|The coroner} {c|said} {q|the valve had been shut by hand}.
    f| {l|Yet another} delay followed.

    b| Sign up for our morning briefing

Each line is one segment: its axes (`a` attributed, `f` framed, `b` boilerplate, `-` none; a
leading `H` for the headline), a bar, and its text with the spans in braces (`s` source,
`c` cue, `q` content, `l` loaded; a span may stand inside another). A blank line ends a
paragraph, and segments of one paragraph are joined by a space; page furniture always has a
line of its own. Articles are separated by a line `===`. `#breaks: single` puts one line break
between paragraphs instead of two. `#annotated: boilerplate, framed` names what the annotators
looked at, if not everything: other axes and spans are not marked then, and are unknown.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from framelens.schema import AXES, SpanType
from framelens_training.corpora.labelled import (
    ANNOTATED,
    FIELDS,
    LAYER_OF,
    Annotated,
    CorpusError,
    GoldSegment,
    GoldSpan,
    LabelledDocument,
    Problem,
)

SPAN_CODES: dict[str, SpanType] = {"s": "source", "c": "cue", "q": "content", "l": "loaded"}
AXIS_CODES = {"a": "attributed", "f": "framed", "b": "boilerplate"}
_CODE_OF = {name: code for code, name in SPAN_CODES.items()}
_SEGMENT = re.compile(r"(?P<head>H?)(?P<axes>-|[afb]+)\| ?(?P<text>.*)\Z")
_TOKEN = re.compile(r"\{[scql]\||[{}]")
_DOCUMENT_KEYS = ("id", "outlet", "lean", "date", "url")


def parse_markup(markup: str, where: str = "<markup>") -> list[LabelledDocument]:
    """Read articles in inline markup.

    Raises:
        CorpusError: with every line that cannot be read.
    """
    documents: list[LabelledDocument] = []
    problems: list[Problem] = []
    for first_line, lines in _articles(markup):
        document = _parse_article(lines, first_line, where, problems)
        if document is not None:
            documents.append(document)
    if problems:
        raise CorpusError(problems)
    return documents


def _articles(markup: str) -> Iterator[tuple[int, list[str]]]:
    first, lines = 1, list[str]()
    for number, line in enumerate(markup.split("\n"), start=1):
        if line.rstrip() == "===":
            yield first, lines
            first, lines = number + 1, []
        else:
            lines.append(line)
    yield first, lines


def _parse_article(
    lines: list[str], first_line: int, where: str, problems: list[Problem]
) -> LabelledDocument | None:
    meta: dict[str, str] = {}
    texts = {"headline": "", "text": ""}
    segments: list[GoldSegment] = []
    spans: list[GoldSpan] = []
    gap = ""
    for number, line in enumerate(lines, start=first_line):
        place = f"{where}:{number}"
        if not line.strip():
            gap = "paragraph" if texts["text"] else ""
            continue
        if line.startswith("#"):
            key, colon, value = line[1:].partition(":")
            if not colon:
                problems.append(Problem(place, f"expected '#key: value', found {line!r}"))
            meta[key.strip()] = value.strip()
            continue
        read = _segment_line(line, place, problems)
        if read is None:
            continue
        match, text, found = read
        name = FIELDS[0] if match["head"] else FIELDS[1]
        if texts[name]:
            furniture = "b" in match["axes"] or bool(segments[-1].boilerplate)
            texts[name] += _joint(bool(gap), furniture, meta.get("breaks") == "single")
        start = len(texts[name])
        texts[name] += text
        gap = ""
        segments.append(
            GoldSegment(
                name,
                start,
                start + len(text),
                attributed="a" in match["axes"],
                framed="f" in match["axes"],
                boilerplate="b" in match["axes"],
            )
        )
        spans.extend(GoldSpan(name, kind, start + a, start + b) for kind, a, b in found)
    if not segments:
        if meta and not problems:
            problems.append(Problem(f"{where}:{first_line}", "the article has no segments"))
        return None
    known = {key: meta.pop(key) for key in _DOCUMENT_KEYS if key in meta}
    if "id" not in known:
        problems.append(Problem(f"{where}:{first_line}", "the article has no '#id:' line"))
        return None
    try:
        annotated = _annotated(meta.pop("annotated", None), segments, spans)
    except ValueError as error:
        problems.append(Problem(f"{where}:{first_line}", str(error)))
        return None
    return LabelledDocument(
        text=texts["text"],
        headline=texts["headline"] or None,
        annotated=annotated,
        segments=tuple(_answered(segment, annotated) for segment in segments),
        spans=tuple(sorted(spans, key=lambda s: (FIELDS.index(s.field), s.start, -s.end))),
        meta=meta,
        **known,
    )


def _segment_line(
    line: str, place: str, problems: list[Problem]
) -> tuple[re.Match[str], str, list[tuple[SpanType, int, int]]] | None:
    """A segment's line: its parts, its text without marks, and the spans that these mark."""
    match = _SEGMENT.match(line.rstrip())
    if match is None:
        problems.append(Problem(place, f"expected 'axes| text', found {line[:60]!r}"))
        return None
    try:
        text, found = _parse_spans(match["text"])
    except ValueError as error:
        problems.append(Problem(place, str(error)))
        return None
    if not text.strip():
        problems.append(Problem(place, "expected text after the bar, found none"))
        return None
    return match, text, found


def _annotated(
    names: str | None, segments: Sequence[GoldSegment], spans: Sequence[GoldSpan]
) -> frozenset[Annotated]:
    """What a '#annotated:' line names; everything, if there is none."""
    if names is None:
        return frozenset(ANNOTATED)
    named = {name.strip() for name in names.split(",")}
    annotated = frozenset(name for name in ANNOTATED if name in named)
    if named != annotated:
        raise ValueError(
            f"expected some of {', '.join(ANNOTATED)} after '#annotated:', found {names!r}"
        )
    marked = {LAYER_OF[span.type] for span in spans} | {
        axis for segment in segments for axis in AXES if segment.axis(axis)
    }
    if marked - annotated:
        raise ValueError(
            "expected only marks of what '#annotated:' names, found others: "
            + ", ".join(sorted(marked - annotated))
        )
    return annotated


def _answered(segment: GoldSegment, annotated: Collection[Annotated]) -> GoldSegment:
    """The segment with answers on what is annotated, and no others."""
    return replace(
        segment,
        attributed=segment.attributed if "attributed" in annotated else None,
        framed=segment.framed if "framed" in annotated else None,
        boilerplate=segment.boilerplate if "boilerplate" in annotated else None,
    )


def _joint(paragraph_ends: bool, furniture: bool, single: bool) -> str:
    """What stands between two segments, given whether either is page furniture."""
    if paragraph_ends:
        return "\n" if single else "\n\n"
    return "\n" if furniture else " "


def _parse_spans(marked: str) -> tuple[str, list[tuple[SpanType, int, int]]]:
    plain: list[str] = []
    size = 0
    last = 0
    stack: list[tuple[SpanType, int]] = []
    spans: list[tuple[SpanType, int, int]] = []
    for token in _TOKEN.finditer(marked):
        plain.append(marked[last : token.start()])
        size += token.start() - last
        last = token.end()
        if token[0] == "}":
            if not stack:
                raise ValueError(f"a '}}' closes nothing at column {token.start()}")
            kind, start = stack.pop()
            if start == size:
                raise ValueError(f"an empty {kind} span at column {token.start()}")
            spans.append((kind, start, size))
        elif token[0] == "{":
            raise ValueError(f"a '{{' without 's|', 'c|', 'q|' or 'l|' at column {token.start()}")
        else:
            stack.append((SPAN_CODES[token[0][1]], size))
    if stack:
        raise ValueError(f"the {stack[-1][0]} span is never closed")
    plain.append(marked[last:])
    return "".join(plain), spans


def format_markup(document: LabelledDocument) -> str:
    """A document in inline markup.

    The inverse of `parse_markup` for documents whose segments cover their text up to
    paragraph breaks and whose spans lie inside segments and nest.
    """
    meta = {key: getattr(document, key) for key in _DOCUMENT_KEYS} | dict(document.meta)
    if document.annotated != frozenset(ANNOTATED):
        meta["annotated"] = ", ".join(name for name in ANNOTATED if name in document.annotated)
    lines = [f"#{key}: {value}" for key, value in meta.items() if value is not None]
    end: int | None = None
    furniture = False
    for segment in document.segments:
        inside = [
            replace(span, start=span.start - segment.start, end=span.end - segment.start)
            for span in document.spans
            if span.field == segment.field and segment.start <= span.start < segment.end
        ]
        codes = "".join(code for code, axis in AXIS_CODES.items() if getattr(segment, axis))
        head = "H" if segment.field == "headline" else ""
        text = _mark(document.segment_text(segment), inside)
        beside_furniture = furniture or bool(segment.boilerplate)
        same_paragraph = _joint(False, beside_furniture, document.meta.get("breaks") == "single")
        if (
            segment.field == "headline"
            or end is None
            or document.text[end : segment.start] != same_paragraph
        ):
            lines.append("")
        lines.append(f"{head}{codes or '-'}| {text}")
        if segment.field == "text":
            end = segment.end
        furniture = bool(segment.boilerplate)
    return "\n".join(lines) + "\n"


def _mark(text: str, spans: list[GoldSpan]) -> str:
    # At one place, closing marks come first; of two that open together, the longer is outside.
    marks = [(span.end, 0, -span.start, "}") for span in spans]
    marks += [
        (span.start, 1, -span.end, "{" + _CODE_OF[span.type] + "|")
        for span in sorted(spans, key=lambda s: s.type == "loaded")
    ]
    pieces: list[str] = []
    last = 0
    for place, _, _, mark in sorted(marks, key=lambda m: m[:3]):
        pieces += [text[last:place], mark]
        last = place
    return "".join([*pieces, text[last:]])
