"""PolNeAR's articles as segments with its spans, and which of these belong together.

Labelled documents keep spans alone; the relations are what `framelens.attribution_relations` is
measured by.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from framelens.schema import AXES, Field, ScoredSegment, Span, SpanType
from framelens.segmentation import segment_article
from framelens_training.corpora.brat import Event, parse_standoff
from framelens_training.corpora.polnear import ANNOTATION_NAME, annotated_text, univocal_pieces
from framelens_training.corpora.reading import Article, ReadLog

_UNKNOWN = dict.fromkeys(AXES, 0.0)


@dataclass(frozen=True, slots=True)
class TiedArticle:
    """An article with its annotated spans and their relations.

    `mark_of` names the annotator's mark that a span belongs to, by the place of its segment and
    where it begins. `sources_of` and `cues_of` hold, for each mark of a content, the marks that
    are tied to it; a mark stands in `places_of` if it lies in the article's two fields.
    """

    id: str
    headline: str
    text: str
    segments: tuple[ScoredSegment, ...]
    mark_of: Mapping[tuple[int, int], str]
    places_of: Mapping[str, frozenset[int]]
    sources_of: Mapping[str, frozenset[str]]
    cues_of: Mapping[str, frozenset[str]]


def tied_articles(root: Path, part: str) -> Iterator[TiedArticle]:
    """The articles of a part of PolNeAR (`train`, `dev`), each by its first annotator.

    Articles whose annotation does not fit their text are left out.
    """
    base = root / "polnear/data" / part
    seen: set[str] = set()
    for path in sorted((base / "attributions").glob("*.ann")):
        match = ANNOTATION_NAME.match(path.stem)
        if match is None or match["article"] in seen:
            continue
        seen.add(match["article"])
        raw = (base / "text" / f"{match['article']}.txt").read_bytes().decode("utf-8")
        found = _tied(match["article"], raw, path.read_bytes().decode("utf-8"))
        if found is not None:
            yield found


def _tied(name: str, raw: str, annotation: str) -> TiedArticle | None:
    standoff = parse_standoff(annotation, _leave_out)
    log = ReadLog()  # nobody reads it: the corpus's reader tells what is wrong
    text = annotated_text(raw, standoff, name, log)
    if text is None:
        return None
    article = Article.from_raw(text)
    pieces: list[tuple[Field, int, int, SpanType, str]] = [
        (field, start, end, piece.type, piece.mark)
        for piece in univocal_pieces(standoff, name, log)
        for field, start, end in article.place(piece.start, piece.end)
    ]
    segments: list[ScoredSegment] = []
    mark_of: dict[tuple[int, int], str] = {}
    places_of: dict[str, set[int]] = defaultdict(set)
    for place, segment in enumerate(segment_article(article.text, article.headline)):
        content = article.field_text(segment.field)
        spans: list[Span] = []
        for field, first, last, kind, mark in pieces:
            start, end = max(first, segment.start), min(last, segment.end)
            if field != segment.field or not content[start:end].strip():
                continue
            start += len(content[start:end]) - len(content[start:end].lstrip())
            words = content[start:end].rstrip()
            goes_on = start > first
            spans.append(Span(kind, start, start + len(words), words, 1.0, continues=goes_on))
            mark_of[place, start] = mark
            places_of[mark].add(place)
        segments.append(
            ScoredSegment(
                place, segment.role, segment.field, segment.start, segment.end,
                content[segment.start : segment.end], "plain", False, _UNKNOWN, tuple(spans),
            )
        )  # fmt: skip
    sources_of, cues_of = _ties(standoff.events, places_of)
    return TiedArticle(
        name,
        article.headline,
        article.text,
        tuple(segments),
        mark_of,
        {mark: frozenset(places) for mark, places in places_of.items()},
        sources_of,
        cues_of,
    )


def _leave_out(line: int, what: str) -> None:
    """What cannot be read is told where the corpus is read as labelled documents."""


def _ties(
    events: tuple[Event, ...], known: Mapping[str, object]
) -> tuple[dict[str, frozenset[str]], dict[str, frozenset[str]]]:
    """The sources and the cues of each content, by their marks."""
    tied: dict[str, dict[str, set[str]]] = {"Source": defaultdict(set), "Cue": defaultdict(set)}
    for event in events:
        contents = [mark for role, mark in event.arguments if role == "Content" and mark in known]
        for role, mark in event.arguments:
            if role in tied and mark in known:
                for content in contents:
                    tied[role][content].add(mark)
    sources, cues = (
        {content: frozenset(marks) for content, marks in found.items()} for found in tied.values()
    )
    return sources, cues
