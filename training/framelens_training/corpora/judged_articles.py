"""Articles of PolNeAR and SemEval, judged for this project: where do the outlet's own words frame?

What it annotates: `framed` and `loaded` spans, of whole articles, by the project's own guide
(docs/labels.md), and `attributed` of SemEval's articles and of PolNeAR's dev part. PolNeAR was not
annotated for framing, and SemEval for techniques of persuasion alone; the other public corpora have
lone sentences and titles.

* The texts are read by those corpora's own readers. This package has the judgements alone, in
  `judged_articles.jsonl`: an article is called by the start of the SHA-256 of its corpus and
  group, and what is said of it stands in code points of its fields. An article whose text is
  another one than was judged is left out, with a note.
* A segment most of whose words were judged framed, or attributed, is so, whatever rule ends its
  sentence. One in which most words were in doubt is masked.
* The training articles of both corpora are its training part, PolNeAR's dev part is its
  validation, and SemEval's test part its test, so that no text changes its split. The last two
  were judged twice; what the two readings disagree on is in doubt.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

from framelens.schema import Field
from framelens_training.corpora.base import CorpusInfo
from framelens_training.corpora.labelled import (
    FIELDS,
    Annotated,
    GoldSegment,
    GoldSpan,
    LabelledDocument,
)
from framelens_training.corpora.polnear import PolNeAR
from framelens_training.corpora.reading import (
    CorpusReader,
    JudgedTexts,
    ReadLog,
    Splits,
    corpus_of,
    paths_of,
    share_of_words,
    stable_id,
)
from framelens_training.corpora.semeval import SemEval

Kind = Literal["framed", "doubtful", "loaded", "attributed", "attribution_doubtful"]
Extent = tuple[Field, int, int]

_SHARE = 0.5
_DIGITS = 16
_SOURCES: tuple[CorpusReader, ...] = (PolNeAR(), SemEval())


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was judged of one article: extents in its fields, none of which is cut.

    `text` is the start of the SHA-256 of the fields that were judged. `attributed` and
    `attribution_doubtful` are None where nobody was asked who speaks.
    """

    article: str
    text: str
    framed: tuple[Extent, ...] = ()
    doubtful: tuple[Extent, ...] = ()
    loaded: tuple[Extent, ...] = ()
    attributed: tuple[Extent, ...] | None = None
    attribution_doubtful: tuple[Extent, ...] | None = None

    def to_row(self) -> dict[str, object]:
        """The judgement as a line of the file."""
        row: dict[str, object] = {"article": self.article, "text": self.text}
        for kind in get_args(Kind):
            extents = getattr(self, kind)
            if extents is not None:
                row[kind] = [list(extent) for extent in extents]
        return row


class JudgedArticles(JudgedTexts):
    """Reader of the judgements, over the folders of the corpora that have the texts."""

    texts = _SOURCES
    judged = "judged_articles.jsonl"
    info = CorpusInfo(
        name="judged-articles",
        title="Articles of PolNeAR and SemEval, judged for framing by framelens's guide",
        licence="judgements: Apache-2.0; texts: none stated (PolNeAR), GPL-3.0 (SemEval)",
        annotated=frozenset({"framed", "loaded_spans", "attributed"}),
        upstream=" and ".join(reader.info.upstream for reader in _SOURCES),
        paths=paths_of(_SOURCES),
    )

    def _read(self, folder: Path, log: ReadLog) -> Splits:
        judgements = self.judgements()
        splits: Splits = {}
        found: set[str] = set()
        for reader in self.sources:
            for split, documents in reader.read(folder).items():
                for document in documents:
                    judgement = judgements.get(article_key(document))
                    # An article that several annotators read for its attributions is one here.
                    if judgement is None or judgement.article in found:
                        continue
                    found.add(judgement.article)
                    if judgement.text != text_key(document):
                        log.note(document.meta["source_file"], "", "dropped",
                                 "article with another text than was judged")  # fmt: skip
                        continue
                    splits.setdefault(split, []).append(judged(document, judgement))
        for article in judgements.keys() - found:
            log.note("judged_articles.jsonl", article, "dropped", "judgement without its article")
        return splits

    def judgements(self) -> dict[str, Judgement]:
        """Every judgement by its article's key."""
        lines = self.files()["judgements"].read_text("utf-8").splitlines()
        return {row["article"]: _parsed(row) for row in map(json.loads, lines)}


def article_key(document: LabelledDocument) -> str:
    """What an article is called, for all its annotators: it says nothing of its text."""
    return stable_id(f"{corpus_of(document)}/{document.meta['group']}", _DIGITS)


def text_key(document: LabelledDocument) -> str:
    """The start of the SHA-256 of a document's fields."""
    return stable_id(f"{document.headline or ''}\n{document.text}", _DIGITS)


def judged(document: LabelledDocument, judgement: Judgement) -> LabelledDocument:
    """An article with the answers of its judgement and no others."""
    segments = tuple(_answered(document, segment, judgement) for segment in document.segments)
    framed = [segment for segment in segments if segment.framed]
    spans = tuple(
        GoldSpan(name, "loaded", max(start, segment.start), min(end, segment.end))
        for segment in framed
        for name, start, end in judgement.loaded
        if name == segment.field and start < segment.end and end > segment.start
    )
    return replace(
        document,
        id=f"{JudgedArticles.info.name}/{judgement.article}",
        annotated=_annotated(judgement),
        segments=segments,
        spans=spans,
        meta={
            "group": document.meta["group"],
            "corpus": corpus_of(document),
            "source_file": document.meta["source_file"],
        },
    )


def _annotated(judgement: Judgement) -> frozenset[Annotated]:
    asked: set[Annotated] = {"framed", "loaded_spans"}
    return frozenset(asked | ({"attributed"} if judgement.attributed is not None else set()))


def _answered(
    document: LabelledDocument, segment: GoldSegment, judgement: Judgement
) -> GoldSegment:
    text = document.field_text(segment.field)

    def mostly(extents: tuple[Extent, ...] | None) -> bool:
        ranges = [(start, end) for name, start, end in extents or () if name == segment.field]
        return share_of_words(text, segment.start, segment.end, ranges) > _SHARE

    def answer(yes: tuple[Extent, ...] | None, doubtful: tuple[Extent, ...] | None) -> bool | None:
        if yes is None:
            return None
        return True if mostly(yes) else None if mostly(doubtful) else False

    return GoldSegment(
        segment.field,
        segment.start,
        segment.end,
        attributed=answer(judgement.attributed, judgement.attribution_doubtful),
        framed=answer(judgement.framed, judgement.doubtful),
    )


def _parsed(row: Mapping[str, object]) -> Judgement:
    def extents(kind: Kind) -> Iterator[Extent]:
        places = row[kind]
        assert isinstance(places, list)
        for name, start, end in places:
            assert name in FIELDS
            yield name, int(start), int(end)

    said = {kind: tuple(extents(kind)) for kind in get_args(Kind) if kind in row}
    return Judgement(str(row["article"]), str(row["text"]), **said)
