"""BABE: single sentences of US news, judged for bias, with the biased words.

What it annotates: `framed` (from `label_bias`) and `loaded` spans (from `biased_words`).

* BABE does not ask whose voice a word is in. Biased words inside quotation marks are not
  `loaded`. A sentence all of whose biased words are quoted is `framed` false when they stand
  in quotations of `QUOTATION_WORDS` words or more (a source speaks), and masked when one is
  shorter (it may be a scare quote, which is the outlet's). Words that annotators marked
  together with their quotation marks are scare quotes and stay loaded. A biased sentence
  without marked words that is mostly quotation is masked.
* `label_opinion` and stray biased words say how sure the label is (`_CONFIDENCE`).
* `loaded_spans` are supervised where the words agree with the label: biased sentences with
  located words, other sentences without any.
"""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

from framelens_training.corpora.base import CorpusInfo
from framelens_training.corpora.labelled import (
    LEANS,
    Annotated,
    GoldSegment,
    GoldSpan,
    LabelledDocument,
)
from framelens_training.corpora.quotations import QUOTATION_WORDS, quoted_ranges
from framelens_training.corpora.reading import (
    Action,
    CorpusReader,
    ReadLog,
    Splits,
    read_table,
    share_of_words,
    stable_id,
    words,
)
from framelens_training.corpora.splits import split

STRAY_WORDS_WEIGHT = 0.75
"""Factor on the weight of a sentence labelled non-biased in which words are marked as biased."""

_FACTUAL = "Entirely factual"
_MIXED = "Somewhat factual but also opinionated"
_OPINION = "Expresses writer’s opinion"
_UNDECIDED = "No agreement"
_CONFIDENCE: Mapping[tuple[bool, str], float] = {
    (True, _OPINION): 1.0,
    (True, _MIXED): 1.0,
    (True, _UNDECIDED): 0.75,
    (True, _FACTUAL): 0.5,
    (False, _FACTUAL): 1.0,
    (False, _MIXED): 0.75,
    (False, _UNDECIDED): 0.75,
    (False, _OPINION): 0.5,
}
_LABELS = {"Biased": True, "Non-biased": False, "No agreement": None}
_MARKS = "\"'“”‘’"
_NEAREST = 0.8
"""Least similarity (difflib) at which a misspelt or inflected word counts as found."""
_PHRASE_WORD = 4
"""Shortest word of which every occurrence is taken."""
_COLUMNS = (
    "text", "news_link", "outlet", "topic", "type", "label_bias", "label_opinion", "biased_words",
)  # fmt: skip


class Babe(CorpusReader):
    """Reader of `final_labels_SG2.csv`, split here by the article's link."""

    folder: ClassVar[str] = "babe"
    info = CorpusInfo(
        name="babe",
        title="BABE: Bias Annotations By Experts",
        licence="AGPL-3.0 (repository); CC BY-NC-SA 4.0 (hub card)",
        annotated=frozenset({"framed", "loaded_spans"}),
        upstream=(
            "Media-Bias-Group/Neural-Media-Bias-Detection-Using-Distant-Supervision-With-BABE"
        ),
        commit="74a96b5a33799717b4f4d22b0e609aa0e2e2fac3",
        paths=("data/final_labels_SG2.csv",),
    )

    def _read(self, folder: Path, log: ReadLog) -> Splits:
        where = f"{self.folder}/data/final_labels_SG2.csv"
        documents: list[LabelledDocument] = []
        seen: set[str] = set()
        path = folder / "data/final_labels_SG2.csv"
        for line, row in read_table(path, where, _COLUMNS, log, delimiter=";"):
            place = f"{where}:{line}"
            marked = _word_list(row["biased_words"])
            opinion = row["label_opinion"].replace("'", "’")
            if marked is None:
                log.complain(
                    place, f"expected a list in 'biased_words', found {row['biased_words'][:60]!r}"
                )
            if row["label_bias"] not in _LABELS:
                log.complain(place, f"expected {_names(_LABELS)}, found {row['label_bias']!r}")
            if (True, opinion) not in _CONFIDENCE:
                opinions = [name for biased, name in _CONFIDENCE if biased]
                log.complain(place, f"expected {_names(opinions)}, found {row['label_opinion']!r}")
            biased = _LABELS.get(row["label_bias"])
            text = row["text"].strip()
            if marked is None or biased is None or (biased, opinion) not in _CONFIDENCE:
                if row["label_bias"] == _UNDECIDED:
                    log.note(where, line, "dropped", "annotators without agreement on bias")
                continue
            if not text or text in seen:
                log.note(where, line, "dropped", "empty sentence or one that stands already there")
                continue
            seen.add(text)
            if text != row["text"]:
                log.note(where, line, "altered", "outer space removed")
            judged = _judge(text, biased, opinion, marked, partial(log.note, where, line))
            link = row["news_link"].strip()
            meta = {
                "group": link.rstrip("/") or stable_id(text),
                "topic": row["topic"],
                "opinion": row["label_opinion"],
                "quotation": "yes" if quoted_ranges(text) else "no",
                "source_file": where,
                "row": str(line),
            }
            segment = GoldSegment(
                field="text",
                start=0,
                end=len(text),
                framed=judged.framed,
                weights={"framed": judged.weight} if judged.weight < 1 else {},
            )
            documents.append(
                LabelledDocument(
                    id=f"babe/{stable_id(text)}",
                    text=text,
                    outlet=row["outlet"] or None,
                    lean=row["type"] if row["type"] in LEANS else None,
                    url=link or None,
                    annotated=judged.annotated,
                    segments=(segment,),
                    spans=tuple(GoldSpan("text", "loaded", a, b) for a, b in judged.loaded),
                    meta=meta,
                )
            )
        return split(documents)


@dataclass(frozen=True, slots=True)
class _Judged:
    """What a sentence's row says on the two axes, quotations taken into account."""

    framed: bool | None
    weight: float
    loaded: tuple[tuple[int, int], ...]
    annotated: frozenset[Annotated]


_FRAMED_ALONE: frozenset[Annotated] = frozenset({"framed"})
_WITH_SPANS: frozenset[Annotated] = frozenset({"framed", "loaded_spans"})


def _judge(
    text: str,
    biased: bool,
    opinion: str,
    marked: Sequence[str],
    note: Callable[[Action, str], None],
) -> _Judged:
    weight = _CONFIDENCE[biased, opinion]
    if not biased:
        if marked:
            note("masked", "loaded spans: words marked in a sentence labelled non-biased")
            return _Judged(False, weight * STRAY_WORDS_WEIGHT, (), _FRAMED_ALONE)
        return _Judged(False, weight, (), _WITH_SPANS)

    quotations = quoted_ranges(text)
    outside: list[tuple[int, int]] = []
    quoted: list[tuple[int, int]] = []
    for found, scare in _located(text, marked, note):
        inside = not scare and any(a <= found[0] and found[1] <= b for a, b in quotations)
        (quoted if inside else outside).append(found)
    if quoted:
        note("dropped", "biased words inside a quotation")
    if outside:
        return _Judged(True, weight, _runs(text, outside), _WITH_SPANS)
    if quoted:
        around = [(a, b) for a, b in quotations if any(a <= x and y <= b for x, y in quoted)]
        if all(len(words(text, a, b)) >= QUOTATION_WORDS for a, b in around):
            note("altered", "all biased words in quotations: framed false")
            return _Judged(False, weight, (), _WITH_SPANS)
        note("masked", "all biased words in quotations, one of them short: may be scare quotes")
        return _Judged(None, 1.0, (), frozenset())
    if share_of_words(text, 0, len(text), quotations) > 0.5:
        note("masked", "biased without marked words, and mostly quotation")
        return _Judged(None, 1.0, (), frozenset())
    note("masked", "loaded spans: biased sentence without located words")
    return _Judged(True, weight, (), _FRAMED_ALONE)


def _located(
    text: str, marked: Sequence[str], note: Callable[[Action, str], None]
) -> list[tuple[tuple[int, int], bool]]:
    """Where the marked words stand, each with whether it was marked with its quotation marks."""
    unique: list[tuple[tuple[int, int], bool]] = []
    repeated: list[tuple[list[tuple[int, int]], bool, str]] = []
    for entry in dict.fromkeys(marked):
        word = entry.strip().strip(_MARKS).strip()
        scare = word != entry.strip()
        places = _occurrences(text, word)
        if not places:
            spelled = {text[a:b]: None for a, b in words(text)}
            nearest = difflib.get_close_matches(word, spelled, n=1, cutoff=_NEAREST)
            if not nearest:
                note("dropped", "biased word that is not in the sentence")
                continue
            note("altered", "biased word found by its nearest spelling")
            word = nearest[0]
            places = _occurrences(text, word)
        if len(places) == 1:
            unique.append((places[0], scare))
        else:
            repeated.append((places, scare, word))
    anchors = [place for place, _ in unique]
    for places, scare, word in repeated:
        # A short word ("to") that occurs again and again is marked as part of a phrase.
        if len(word) < _PHRASE_WORD:
            places = [place for place in places if _touches(text, place, anchors)]
        note("altered" if places else "dropped", "biased word that occurs several times")
        unique.extend((place, scare) for place in places)
    return unique


def _occurrences(text: str, word: str) -> list[tuple[int, int]]:
    if not word:
        return []
    pattern = re.compile(rf"(?<!\w){re.escape(word)}(?!\w)", re.IGNORECASE)
    return [match.span() for match in pattern.finditer(text)]


def _touches(text: str, place: tuple[int, int], others: Sequence[tuple[int, int]]) -> bool:
    return any(
        text[min(place[1], b) : max(place[0], a)].isspace() for a, b in others if (a, b) != place
    )


def _runs(text: str, places: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Places joined where they overlap or have only white space between them."""
    runs: list[tuple[int, int]] = []
    for start, end in sorted(places):
        if runs and (start <= runs[-1][1] or text[runs[-1][1] : start].isspace()):
            runs[-1] = (runs[-1][0], max(end, runs[-1][1]))
        else:
            runs.append((start, end))
    return tuple(runs)


def _word_list(cell: str) -> list[str] | None:
    """The words of a cell that holds a Python list of strings; `None` if it does not."""
    try:
        value = ast.literal_eval(cell.strip() or "[]")
    except (SyntaxError, ValueError):
        return None
    if isinstance(value, list) and all(isinstance(word, str) for word in value):
        return value
    return None


def _names(names: Iterable[str]) -> str:
    return " or ".join(map(repr, names))
