"""An article as a report shows it: what was scored, its paragraphs, and who is quoted on what."""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any

from framelens.paragraphs import split_paragraphs
from framelens.relations import attribution_relations
from framelens.schema import Document, ScoredSegment, Span

# fmt: off
PRONOUNS = frozenset((
    "i", "me", "my", "mine", "we", "us", "our", "ours", "you", "your", "he", "him", "his",
    "she", "her", "hers", "it", "its", "they", "them", "their", "theirs", "who", "whom",
    "whose", "which", "this", "that", "these", "those", "one", "ones",
    "someone", "somebody", "anyone", "anybody", "everyone", "everybody", "nobody", "none", "each",
    "both", "all", "some", "many", "most", "few", "several", "others",
    "the", "a", "an",
))
# fmt: on
"""Pronouns and articles: as the mention of a source, they name nobody by themselves."""

_OUTER = re.compile(r"\A[\W_]+|[\W_]+\Z")
_UNSEEN_PARAGRAPH = 2
"""Code points between two segments from which on a paragraph ends, where the text itself is not
at hand: one is a space, two are mostly line breaks."""


@dataclass(frozen=True, slots=True)
class Article:
    """A scored document with what a report shows beside it.

    `text` is the input field of that name, or None when only the scored row is at hand; then
    paragraphs are told from the offsets of the segments, which carry their own text.
    """

    document: Document
    text: str | None = None
    outlet: str | None = None
    date: str | None = None

    @property
    def headline(self) -> ScoredSegment | None:
        """The first segment, if it is a headline."""
        first = next(iter(self.document.segments), None)
        return first if first is not None and first.role == "headline" else None

    @property
    def title(self) -> str:
        """The headline's text, or else the document's id; never blank, for it is a link's text."""
        found = self.document.id if self.headline is None else self.headline.text
        return found if found.strip() else "(no id)"

    @property
    def body(self) -> tuple[ScoredSegment, ...]:
        """All segments but the headline."""
        return self.document.segments[0 if self.headline is None else 1 :]

    @property
    def day(self) -> dt.date | None:
        """The date, if the first ten characters of its field are one (ISO 8601)."""
        found = (self.date or "")[:10]
        if found.isdigit() and len(found) > len("20240501"):
            return None  # seconds since 1970, of which Python reads some as days of 1704
        try:
            return dt.date.fromisoformat(found)
        except ValueError:
            return None


def article_of(
    document: Document,
    text: str | None,
    columns: Mapping[str, Any],
    *,
    outlet_field: str,
    date_field: str,
) -> Article:
    """Join a document with what the other columns of its row say of it."""
    if text is None and document.input is not None:
        kept = document.input.get("text")
        text = kept if isinstance(kept, str) and _is_scored(kept, document) else None
    return Article(
        document, text, _plain(columns.get(outlet_field)), _plain(columns.get(date_field))
    )


def _is_scored(text: str, document: Document) -> bool:
    """Whether a text is what the segments are of: a kept column of that name may be another one."""
    body = [segment for segment in document.segments if segment.field == "text"]
    return all(text[segment.start : segment.end] == segment.text for segment in body)


def _plain(value: Any) -> str | None:
    """A value on one line without odd white space, as browsers compare what is chosen."""
    if value is None or isinstance(value, dict | list):
        return None
    text = str(value.isoformat()) if hasattr(value, "isoformat") else str(value)
    return " ".join(text.split()) or None


def paragraphs(article: Article) -> list[tuple[ScoredSegment, ...]]:
    """The body's segments, by paragraph."""
    body = article.body
    if article.text is None:
        ends = [_ends_unseen(first, second) for first, second in pairwise(body)]
    else:
        starts = [paragraph.start for paragraph in split_paragraphs(article.text)]
        ends = [_crosses(first, second, starts) for first, second in pairwise(body)]
    grouped: list[list[ScoredSegment]] = []
    for segment, new in zip(body, [True, *ends], strict=False):
        if new:
            grouped.append([])
        grouped[-1].append(segment)
    return [tuple(group) for group in grouped]


def _ends_unseen(first: ScoredSegment, second: ScoredSegment) -> bool:
    apart = second.start - first.end >= _UNSEEN_PARAGRAPH
    return apart or "boilerplate" in (first.label, second.label) or first.field != second.field


def _crosses(first: ScoredSegment, second: ScoredSegment, starts: Sequence[int]) -> bool:
    at = bisect_left(starts, first.end)
    return first.field != second.field or (at < len(starts) and starts[at] <= second.start)


@dataclass(frozen=True, slots=True)
class Quote:
    """What a source is quoted on: a content span and the index of its segment."""

    segment: int
    text: str


@dataclass(frozen=True, slots=True)
class QuotedSource:
    """A source as it is first written, how often it is mentioned, and what it is quoted on."""

    name: str
    mentions: int
    segments: tuple[int, ...]
    """Indices of the segments that mention it."""
    quotes: tuple[Quote, ...]
    pronoun: bool


def folded(text: str) -> str:
    """A source mention or a loaded word without case and odd white space, as it is counted."""
    return " ".join(text.casefold().split())


def bare(text: str) -> str:
    """A mention on one line, without punctuation around it, in Unicode's composed form.

    In the other one, the accent that ends a name is no letter.
    """
    return _OUTER.sub("", unicodedata.normalize("NFC", " ".join(text.split())))


def is_pronoun(text: str) -> bool:
    """Whether a source mention names nobody by itself."""
    return folded(bare(text)) in PRONOUNS


def quoted_sources(document: Document) -> tuple[list[QuotedSource], list[Quote]]:
    """The distinct sources in order of first mention, and what is quoted from none of them.

    What a source is quoted on are its `attribution_relations`; content of one source in a segment
    is one quote where no word stands between. Mentions are the same if they differ only in case
    and white space, as in `Summary.sources`.
    """
    mentions: dict[str, list[tuple[int, Span]]] = {}
    for segment in document.segments:
        for span in segment.spans:
            if span.type == "source":
                mentions.setdefault(folded(span.text), []).append((segment.index, span))
    quotes: dict[str, list[Quote]] = {}
    unclaimed: list[Quote] = []
    for source, quote in _quotes(document):
        if source is None:
            unclaimed.append(quote)
        else:
            quotes.setdefault(folded(source.text), []).append(quote)
    found = [
        QuotedSource(
            name=" ".join(spans[0][1].text.split()),
            mentions=len(spans),
            segments=tuple(dict.fromkeys(index for index, _ in spans)),
            quotes=tuple(quotes.get(key, ())),
            pronoun=is_pronoun(key),
        )
        for key, spans in mentions.items()
    ]
    return found, unclaimed


def _quotes(document: Document) -> Iterator[tuple[Span | None, Quote]]:
    """Each stretch of content with its source, as far as it is known."""
    relations = attribution_relations(document)
    for (place, source), group in groupby(relations, key=lambda each: (each.segment, each.source)):
        segment = document.segments[place]
        start = end = -1
        for relation in group:
            content = relation.content
            between = segment.text[max(end - segment.start, 0) : content.start - segment.start]
            if end >= 0 and any(character.isalnum() for character in between):
                yield source, _quote(segment, start, end)
                end = -1
            start, end = (content.start if end < 0 else start), max(end, content.end)
        yield source, _quote(segment, start, end)


def _quote(segment: ScoredSegment, start: int, end: int) -> Quote:
    return Quote(segment.index, segment.text[start - segment.start : end - segment.start])


_UNSHOWN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")


def shown(text: str) -> str:
    """Text as a page can hold it: control characters and lone surrogates become U+FFFD."""
    return _UNSHOWN.sub("\ufffd", text)


def shortened(text: str, length: int) -> str:
    """At most `length` code points of a text, cut between words, on one line."""
    line = " ".join(text.split())
    if len(line) <= length:
        return line
    cut = line[: length - 1]
    return (cut[: cut.rfind(" ")] if " " in cut[length // 2 :] else cut).rstrip(" ,;:") + "…"


def segment_runs(segment: ScoredSegment) -> Iterator[tuple[str, Span | None, Span | None]]:
    """A segment's text in pieces, each with the attribution span and the `loaded` span over it.

    The pieces joined are the segment's text. A span that another one crosses comes in several
    pieces; where two spans of one kind overlap, the first of them is shown.
    """
    edges = {segment.start, segment.end}
    for span in segment.spans:
        edges |= {span.start, span.end}
    cuts = sorted(edges)
    attributions = _over_pieces([span for span in segment.spans if span.type != "loaded"], cuts)
    loads = _over_pieces([span for span in segment.spans if span.type == "loaded"], cuts)
    for (start, end), attribution, loaded in zip(pairwise(cuts), attributions, loads, strict=True):
        yield segment.text[start - segment.start : end - segment.start], attribution, loaded


def _over_pieces(spans: Sequence[Span], cuts: Sequence[int]) -> list[Span | None]:
    """For each piece between two cuts, the first of the spans that lie over it."""
    over: list[Span | None] = [None] * (len(cuts) - 1)
    for span in reversed(spans):
        first, last = bisect_left(cuts, span.start), bisect_left(cuts, span.end)
        over[first:last] = [span] * (last - first)
    return over
