"""SemEval-2023 task 3, subtask 3 (English): persuasion techniques in news articles.

What it annotates: `framed` and `loaded` spans, through the techniques that frame by wording
(`LOADED_TECHNIQUES`).

* A span most of whose words lie in quotations is the source's: no `loaded` span, and no
  reason to call its segment framed. Of any other span, the words outside quotations are
  `loaded`. A segment whose only such span lies in a quotation of fewer than
  `QUOTATION_WORDS` words is masked: it may be in scare quotes, which are the outlet's.
* A segment with a `loaded` span is framed. A segment in which only other techniques were
  marked (appeals, slogans, fallacies) is masked: they are no question of wording, but cannot
  be told from it either. Every other segment is not framed.
* Some stretches of articles have offsets that are one too low or too high: a span that cuts a
  word is widened to whole words.
* Offsets are code points; a byte-order mark counts. The first line is the headline.
* Upstream's own dev and test articles have no public labels, so that some of the training
  articles are kept as a test split here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal

from framelens.schema import Field
from framelens.segmentation import TextSegment, segment_article
from framelens_training.corpora.base import CorpusInfo, Split
from framelens_training.corpora.labelled import GoldSegment, GoldSpan, LabelledDocument
from framelens_training.corpora.quotations import QUOTATION_WORDS, quoted_ranges
from framelens_training.corpora.reading import (
    Article,
    CorpusReader,
    ReadLog,
    Splits,
    inside_word,
    read_text,
    share_of_words,
    words,
)

LOADED_TECHNIQUES = frozenset(
    {"Loaded_Language", "Name_Calling-Labeling", "Doubt", "Exaggeration-Minimisation"}
)
"""Techniques that are framing by wording."""

TEST_ARTICLES = frozenset(
    """
    111111111 111111115 111111121 694356862 696246189 702077434 703056647 704856340 721890296
    722512241 723823436 727497152 730268758 730389374 735815503 737255982 738207834 740356006
    741655444 741923579 758812201 759468687 762147609 762340819 763114850 763280007 765982381
    770945799 771254016 771546417 773937361 778664280 781577820 782017101 783774960 786527921
    787730392 788056108 788626289 788726416 790665855 790677230 793534424 793921939 795691173
    813452859 813603860 813953273 814403783 814427361 815858385 822220578 822295249 824256050
    832908978 832918490 832941978 832959523 833024696 833032366 999000124 999000135 999000142
    999000599 999000894 999001033
    """.split()  # noqa: SIM905
)
"""The articles of the test split, .15 of all, drawn once so that both splits have the same share of
framed segments, and written down, so that no later rule for the end of a sentence moves an article
that a model was trained on into it. None is for validation: a tenth of the articles would outnumber
every other corpus there and set the threshold of `framed` alone."""

Voice = Literal["outlet", "source", "short_quotation"]
"""Whose loaded words: the outlet's, those of a source that is quoted at length, or of a quotation
so short that it may be scare quotes."""

_ARTICLES = "data/raw/en/train-articles-subtask-3"
_LABELS = "data/raw/en/train-labels-subtask-3-spans.txt"
_NAME = re.compile(r"article(\d+)\Z")


@dataclass(frozen=True, slots=True)
class _Technique:
    """A marked stretch of a raw article, and the line of the label file that marks it."""

    name: str
    start: int
    end: int
    line: int


@dataclass(frozen=True, slots=True)
class LoadedPlace:
    """Words of a field that a loaded technique marks, and whose they are."""

    field: Field
    start: int
    end: int
    voice: Voice


class SemEval(CorpusReader):
    """Reader of the English training articles in giorluca/checkthat24_DIT."""

    folder: ClassVar[str] = "semeval2023-task3"
    info = CorpusInfo(
        name="semeval2023-task3",
        title="SemEval-2023 task 3, subtask 3: persuasion techniques (English)",
        licence="GPL-3.0 (repository)",
        annotated=frozenset({"framed", "loaded_spans"}),
        upstream="giorluca/checkthat24_DIT",
        commit="01c3bfc87cd2df147a062e7ba7259cac30a662d8",
        paths=(_ARTICLES, _LABELS),
    )

    def _read(self, folder: Path, log: ReadLog) -> Splits:
        labels_name = f"{self.folder}/{_LABELS}"
        labels = _read_labels(folder / _LABELS, labels_name, log)
        documents: list[LabelledDocument] = []
        for path in sorted((folder / _ARTICLES).glob("*.txt")):
            where = f"{self.folder}/{_ARTICLES}/{path.name}"
            name = _NAME.match(path.stem)
            if name is None:
                log.note(where, "", "dropped", "file that is not called article<number>.txt")
                continue
            raw = read_text(path, where, log)
            found = labels.pop(name[1], [])
            if raw is None:
                continue
            if not found:
                log.note(where, "", "kept", "article in which no technique was marked")
            beyond = [t for t in found if not 0 <= t.start < t.end <= len(raw)]
            for technique in beyond:
                log.complain(
                    f"{labels_name}:{technique.line}",
                    f"expected 0 <= start < end <= {len(raw)}, the length of {path.name}; found "
                    f"{technique.start}..{technique.end}",
                )
            if not beyond:
                documents.append(_document(name[1], raw, found, where, labels_name, log))
        for technique in (t for _, found in sorted(labels.items()) for t in found):
            log.note(labels_name, technique.line, "dropped", "label of an article without text")
        splits: dict[Split, list[LabelledDocument]] = {"train": [], "test": []}
        for document in documents:
            splits["test" if document.meta["group"] in TEST_ARTICLES else "train"].append(document)
        return splits

    def loaded_places(self, root: Path) -> dict[str, list[LoadedPlace]]:
        """By document id, everything that a loaded technique marks, quoted or not.

        The documents hold only the outlet's own loaded words; whether a model tells them from
        a source's is measured on the others.

        Raises:
            FileNotFoundError: naming what is missing and how to get it.
        """
        folder = self.require(root)
        log = ReadLog()
        labels = _read_labels(folder / _LABELS, _LABELS, log)
        found: dict[str, list[LoadedPlace]] = {}
        for path in sorted((folder / _ARTICLES).glob("article*.txt")):
            name = path.stem.removeprefix("article")
            raw = read_text(path, path.name, log) or ""
            article = Article.from_raw(raw)
            quotations = _quotations(article)
            places = found.setdefault(_document_id(name), [])
            for technique in labels.get(name, ()):
                if technique.name in LOADED_TECHNIQUES:
                    for place in article.place(*_whole_words(raw, technique.start, technique.end)):
                        places.extend(_voiced(article, place, quotations))
        return found


def _document_id(name: str) -> str:
    return f"semeval2023-task3/{name}"


def _quotations(article: Article) -> dict[Field, list[tuple[int, int]]]:
    return {"headline": quoted_ranges(article.headline), "text": quoted_ranges(article.text)}


def _voiced(
    article: Article,
    place: tuple[Field, int, int],
    quotations: Mapping[Field, Sequence[tuple[int, int]]],
) -> list[LoadedPlace]:
    """What of a place is the outlet's; if nothing is, the place and whose it is."""
    text, quoted = article.field_text(place[0]), quotations[place[0]]
    pieces = _outside(text, place, quoted)
    if pieces:
        return [LoadedPlace(*piece, "outlet") for piece in pieces]
    short = _in_short_quotation(text, place, quoted)
    return [LoadedPlace(*place, "short_quotation" if short else "source")]


def _read_labels(path: Path, where: str, log: ReadLog) -> dict[str, list[_Technique]]:
    labels: dict[str, list[_Technique]] = {}
    text = read_text(path, where, log) or ""
    for number, line in enumerate(text.split("\n"), start=1):
        cells = line.rstrip("\r").split("\t")
        if cells == [""]:
            continue
        if len(cells) != 4 or not (cells[2].isdecimal() and cells[3].isdecimal()):
            log.complain(
                f"{where}:{number}",
                f"expected article, technique, start, end separated by tabs, found {line[:60]!r}",
            )
            continue
        technique = _Technique(cells[1], int(cells[2]), int(cells[3]), number)
        labels.setdefault(cells[0], []).append(technique)
    return labels


def _document(
    name: str,
    raw: str,
    techniques: Sequence[_Technique],
    where: str,
    labels_name: str,
    log: ReadLog,
) -> LabelledDocument:
    article = Article.from_raw(raw)
    quotations = _quotations(article)
    loaded: list[GoldSpan] = []
    other: list[tuple[Field, int, int]] = []
    doubtful: list[tuple[Field, int, int]] = []
    for technique in techniques:
        note = partial(log.note, labels_name, technique.line)
        start, end = _whole_words(raw, technique.start, technique.end)
        if (start, end) != (technique.start, technique.end):
            note("altered", "span that cut a word")
        places = article.place(start, end)
        if not places:
            note("dropped", "span of no words")
        elif len(places) > 1:
            note("altered", "span from the headline into the text")
        if technique.name not in LOADED_TECHNIQUES:
            note("dropped", "technique that is not framing by wording")
            other.extend(
                (name, a, b)
                for name, a, b in places
                if share_of_words(article.field_text(name), a, b, quotations[name]) <= 0.5
            )
            continue
        for place in places:
            pieces = _voiced(article, place, quotations)
            if pieces[0].voice != "outlet":
                note("dropped", "span inside a quotation")
                if pieces[0].voice == "short_quotation":
                    doubtful.append(place)
                continue
            if [(p.field, p.start, p.end) for p in pieces] != [place]:
                note("altered", "words inside a quotation cut out of a span")
            loaded.extend(GoldSpan(p.field, "loaded", p.start, p.end) for p in pieces)
    spans = _merged(loaded)
    if len(spans) < len(loaded):
        log.note(where, "", "altered", "spans that overlap made one")
    segments: list[GoldSegment] = []
    for segment in segment_article(article.text, article.headline):
        extent_name = f"{segment.field}[{segment.start}:{segment.end}]"
        framed: bool | None = any(_meets(segment, s.field, s.start, s.end) for s in spans)
        if not framed and any(_meets(segment, *extent) for extent in doubtful):
            framed = None
            log.note(
                where, extent_name, "masked", "segment whose loaded words may be in scare quotes"
            )
        elif not framed and any(_meets(segment, *extent) for extent in other):
            framed = None
            log.note(where, extent_name, "masked", "segment with no technique but others")
        segments.append(GoldSegment(segment.field, segment.start, segment.end, framed=framed))
    return LabelledDocument(
        id=_document_id(name),
        text=article.text,
        headline=article.headline or None,
        annotated=SemEval.info.annotated,
        segments=tuple(segments),
        spans=tuple(spans),
        meta={"group": name, "source_file": where},
    )


def _whole_words(raw: str, start: int, end: int) -> tuple[int, int]:
    """The extent, widened so that neither end stands inside a word."""
    while inside_word(raw, start):
        start -= 1
    while inside_word(raw, end):
        end += 1
    return start, end


def _outside(
    text: str, place: tuple[Field, int, int], quotations: Sequence[tuple[int, int]]
) -> list[tuple[Field, int, int]]:
    """The parts of a place outside quotations; none if most of its words are inside."""
    name, start, end = place
    if share_of_words(text, start, end, quotations) > 0.5:
        return []
    inside = [(max(a, start), min(b, end)) for a, b in quotations if a < end and b > start]
    if not inside:
        return [place]
    edges = [start, *(edge for extent in inside for edge in extent), end]
    between = [words(text, a, b) for a, b in zip(edges[::2], edges[1::2], strict=True)]
    return [(name, found[0][0], found[-1][1]) for found in between if found]


def _in_short_quotation(
    text: str, place: tuple[Field, int, int], quotations: Sequence[tuple[int, int]]
) -> bool:
    _, start, end = place
    around = [(a, b) for a, b in quotations if a < end and b > start]
    return any(len(words(text, a, b)) < QUOTATION_WORDS for a, b in around)


def _merged(spans: Sequence[GoldSpan]) -> list[GoldSpan]:
    merged: list[GoldSpan] = []
    for span in sorted(spans, key=lambda s: (s.field, s.start, s.end)):
        last = merged[-1] if merged else None
        if last is not None and last.field == span.field and span.start < last.end:
            merged[-1] = GoldSpan(last.field, "loaded", last.start, max(last.end, span.end))
        else:
            merged.append(span)
    return merged


def _meets(segment: TextSegment, name: Field, start: int, end: int) -> bool:
    return bool(segment.field == name and start < segment.end and segment.start < end)
