"""What can be wrong with one document; `comparisons` has what can be wrong between several.

An error makes data unusable, or a result untrue; a warning is for a person to look at.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator

from framelens.features import Featurizer
from framelens.limits import MAX_CHARACTERS
from framelens.schema import ATTRIBUTION_TYPES, AXES
from framelens_training.corpora.findings import Finding, Located, error, warning
from framelens_training.corpora.labelled import (
    FIELDS,
    Annotated,
    GoldSegment,
    GoldSpan,
    LabelledDocument,
)
from framelens_training.corpora.reach import Examined, examine
from framelens_training.corpora.reading import inside_word

_MOJIBAKE = re.compile("â€[™œ\x9d\x9c˜“”\x99\x98]|Ã[\x80-\xbf©¨¢¼¶¤]|Â[\xa0-\xbf]")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x84\x86-\x9f]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_MARKS: tuple[tuple[str, re.Pattern[str], str, str, str], ...] = (
    ("replacement-character", re.compile("�"), "text without U+FFFD", "lost characters",
     "read the source again in its own encoding"),
    ("mojibake", _MOJIBAKE, "text that was decoded once", "UTF-8 read as Windows-1252",
     "decode the source as UTF-8"),
    ("control-character", _CONTROL, "printable characters", "control characters",
     "take them out, or use --fix"),
    ("carriage-return", re.compile("\r"), "line feeds as line ends", "carriage returns",
     "make sure that offsets count them, or use --fix, which takes them out"),
    ("byte-order-mark", re.compile("\ufeff"), "text without U+FEFF", "byte-order marks",
     "make sure that offsets count them, or use --fix, which takes them out"),
)  # fmt: skip
_FEW_SPANS = 3
_SHIFTS = (-1, 1, -2, 2, -3, 3)


def check_document(item: Located, featurizer: Featurizer) -> tuple[list[Finding], Examined]:
    """Every fault of one document, and what the windows make of it."""
    document, where = item.document, item.where
    findings = [
        *_text_findings(document, where),
        *_segment_findings(document, where),
        *_span_findings(document, where),
        *_guide_findings(document, where),
    ]
    if len(document.text) > MAX_CHARACTERS:
        return findings, Examined((), (), ())
    examined = examine(document, featurizer)
    capacity = featurizer.config.max_tokens - 2
    findings += [
        warning("over-long-segment", where, f"at most {capacity} tokens in a segment",
                f"{examined.tokens[index]} in {_place(document.segments[index])}",
                "split it; it is read in overlapping pieces otherwise")
        for index in examined.long
    ]  # fmt: skip
    findings += [
        warning("unreachable-span", where, "a span that a window can show whole",
                f"{_shown(document, lost.span)}: {lost.reason}",
                "move it onto whole words inside segments, or split it")
        for lost in examined.unreachable
    ]  # fmt: skip
    return findings, examined


def _place(item: GoldSegment | GoldSpan) -> str:
    return f"{item.field}[{item.start}:{item.end}]"


def _shown(document: LabelledDocument, span: GoldSpan) -> str:
    words = document.field_text(span.field)[span.start : span.end]
    return f"{span.type} {_place(span)} {words[:40]!r}"


def _text_findings(document: LabelledDocument, where: str) -> Iterator[Finding]:
    if not document.id.strip():
        yield error("empty-id", where, "an id", repr(document.id), "give the document one")
    length = len(document.text) + len(document.headline or "")
    if length > MAX_CHARACTERS:
        yield error("over-long-document", where, f"at most {MAX_CHARACTERS:,} characters",
                    f"{length:,}", "split it; in a CSV, look for a quotation mark that is never "
                    "closed")  # fmt: skip
        return
    if not document.text.strip() and not (document.headline or "").strip():
        yield error("empty-document", where, "a text or a headline", "neither", "take it out")
    for name in FIELDS:
        text = document.field_text(name)
        broken = _SURROGATE.search(text)
        if broken is not None:
            yield error("encoding", where, "text that can be written as UTF-8",
                        f"half of a surrogate pair at {name}[{broken.start()}]",
                        "read the source again in its own encoding")  # fmt: skip
        for code, pattern, expected, found, mend in _MARKS:
            count = len(pattern.findall(text))
            if count:
                yield warning(code, where, expected, f"{found} ({count} in {name!r})", mend)


def _segment_findings(document: LabelledDocument, where: str) -> Iterator[Finding]:
    if not document.segments:
        yield warning("no-segments", where, "labelled segments", "none",
                      "label some; it is not trained on otherwise")  # fmt: skip
    unread: Counter[str] = Counter()
    for segment in document.segments:
        text = document.field_text(segment.field)
        words = text[segment.start : segment.end]
        if not words.strip():
            yield error("empty-segment", where, "words in each segment",
                        f"{words!r} in {_place(segment)}", "take it out")  # fmt: skip
        elif words != words.strip():
            yield warning("space-at-edges", where, "segments that begin and end with a word",
                          f"white space at the edges of {_place(segment)}",
                          "trim it, or use --fix")  # fmt: skip
        cut = _cut_edges(text, segment.start, segment.end)
        if cut:
            yield error("shifted-offsets", where, "segments that begin and end between words",
                        f"{_place(segment)} = {_ends(words)}, which cuts a word",
                        "count in code points of the text as it stands in this file")  # fmt: skip
        unread.update(
            a for a in AXES if segment.axis(a) is not None and a not in document.annotated
        )
    for axis, count in unread.items():
        yield warning("not-annotated", where, f"{axis!r} in 'annotated'",
                      f"{count} answers on it that are not read",
                      "add it to 'annotated', or take the answers out")  # fmt: skip


def _ends(words: str) -> str:
    return repr(words if len(words) <= 40 else f"{words[:18]} ... {words[-18:]}")


def _cut_edges(text: str, start: int, end: int) -> int:
    """How many edges of a stretch stand inside a word."""
    return sum(inside_word(text, edge) for edge in (start, end))


def _span_findings(document: LabelledDocument, where: str) -> Iterator[Finding]:
    cut = [
        span
        for span in document.spans
        if _cut_edges(document.field_text(span.field), span.start, span.end)
    ]
    if len(cut) >= _FEW_SPANS and 2 * len(cut) > len(document.spans):
        yield error("shifted-offsets", where, "spans that begin and end between words",
                    f"{len(cut)} of {len(document.spans)} spans that cut a word, such as "
                    + _shown(document, cut[0]),
                    "count in code points of the text as it stands in this file"
                    + _shift_hint(document))  # fmt: skip
    else:
        for span in cut:
            yield warning("cut-word", where, "spans that begin and end between words",
                          _shown(document, span),
                          "move the edge to the end of the word")  # fmt: skip
    layers: tuple[tuple[Annotated, frozenset[str]], ...] = (
        ("attribution_spans", frozenset(ATTRIBUTION_TYPES)),
        ("loaded_spans", frozenset({"loaded"})),
    )
    for layer, types in layers:
        count = sum(span.type in types for span in document.spans)
        if count and layer not in document.annotated:
            yield warning("not-annotated", where, f"{layer!r} in 'annotated'",
                          f"{count} such spans, which are not read",
                          "add it to 'annotated', or take the spans out")  # fmt: skip
    for span in document.spans:
        words = document.field_text(span.field)[span.start : span.end]
        if words != words.strip():
            yield warning("space-at-edges", where, "spans that begin and end with a word",
                          f"white space at the edges of {_shown(document, span)}",
                          "trim it, or use --fix")  # fmt: skip
        for segment in document.segments:
            if (
                segment.field == span.field
                and segment.start < span.end <= segment.end
                and document.field_text(span.field)[span.start : segment.start].strip()
            ):
                yield warning("span-over-segments", where, "spans inside one segment",
                              f"{_shown(document, span)}, which goes on into {_place(segment)}",
                              "mark it again in the next segment: it is read as one span for "
                              "each")  # fmt: skip


def _shift_hint(document: LabelledDocument) -> str:
    for shift in _SHIFTS:
        if all(
            s.start + shift >= 0
            and not _cut_edges(document.field_text(s.field), s.start + shift, s.end + shift)
            for s in document.spans
        ):
            return f"; shifting them by {shift:+} would put every edge between words"
    return ""


def _guide_findings(document: LabelledDocument, where: str) -> Iterator[Finding]:
    """The rules of docs/labels.md that axes and spans keep together, where both are annotated."""
    loaded = "loaded_spans" in document.annotated
    attribution = "attribution_spans" in document.annotated
    for segment in document.segments:
        kinds = {
            span.type
            for span in document.spans
            if span.field == segment.field and span.start < segment.end and span.end > segment.start
        }
        faults: list[tuple[str, str]] = []
        if loaded and "framed" in document.annotated and segment.framed is not None:
            if segment.framed and "loaded" not in kinds:
                faults.append(("a loaded span in a framed segment", "none"))
            if not segment.framed and "loaded" in kinds:
                faults.append(("loaded spans in framed segments only", "one in another"))
        attributed = segment.attributed and "attributed" in document.annotated
        if attribution and attributed and "content" not in kinds:
            faults.append(("a content span in an attributed segment", "none"))
        if segment.boilerplate and kinds and (loaded or attribution):
            faults.append(("no spans in page furniture", ", ".join(sorted(kinds))))
        headline = segment.field == "headline" and "boilerplate" in document.annotated
        if headline and segment.counted("boilerplate"):
            faults.append(("boilerplate to be false for a headline", "true"))
        for expected, found in faults:
            yield warning("guide", where, f"{expected} (docs/labels.md)",
                          f"{found}: {_place(segment)}",
                          "look at the annotation again")  # fmt: skip


def check_documents(
    items: Iterable[Located], featurizer: Featurizer
) -> tuple[list[Finding], list[Examined]]:
    """Every fault of each document by itself."""
    findings: list[Finding] = []
    examined: list[Examined] = []
    for item in items:
        faults, made = check_document(item, featurizer)
        findings += faults
        examined.append(made)
    return findings, examined
