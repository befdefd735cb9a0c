"""What corpora hold, for people: a list, figures by split, and examples with their spans."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from framelens.features import Featurizer
from framelens.schema import AXES, SPAN_TYPES, Axis, SpanType
from framelens_training.corpora.comparisons import entries_of, likenesses, whole_wording
from framelens_training.corpora.inputs import Part
from framelens_training.corpora.labelled import LEANS, GoldSegment, LabelledDocument, answers_of
from framelens_training.corpora.reach import examine
from framelens_training.corpora.reading import CorpusReader
from framelens_training.corpora.registry import CORPORA
from framelens_training.text_tables import table

_RESET, _BOLD, _DIM = "\x1b[0m", "\x1b[1m", "\x1b[2m"
_COLOURS: Mapping[SpanType, str] = {
    "source": "\x1b[1;36m",
    "cue": "\x1b[33m",
    "content": "\x1b[32m",
    "loaded": "\x1b[1;4;31m",
}
_CONTROL = dict.fromkeys((*range(32), *range(127, 160), *range(0xD800, 0xE000)), "�")


@dataclass(frozen=True, slots=True)
class PartStats:
    """Figures of one split of a corpus.

    `answers` has (true, answered) for each annotated axis; `tokens` the 50th, 95th and 100th
    percentile of word pieces in a segment; `shared` the documents whose text stands, whole and
    nearly word for word, in another split of any corpus that was looked at.
    """

    corpus: str
    split: str
    documents: int
    segments: int
    headlines: int
    answers: Mapping[Axis, tuple[int, int]]
    spans: Mapping[SpanType, int]
    unreachable: int
    shared: int
    leans: Mapping[str, int]
    tokens: tuple[int, int, int]

    def to_dict(self) -> dict[str, Any]:
        """The figures with only JSON types."""
        return {
            "corpus": self.corpus,
            "split": self.split,
            "documents": self.documents,
            "segments": self.segments,
            "headlines": self.headlines,
            "answers": {a: {"true": t, "answered": n} for a, (t, n) in self.answers.items()},
            "spans": dict(self.spans),
            "unreachable": self.unreachable,
            "shared": self.shared,
            "leans": dict(self.leans),
            "tokens": list(self.tokens),
        }


def statistics(parts: Sequence[Part], featurizer: Featurizer) -> list[PartStats]:
    """Figures of every part."""
    shared = {
        whole_wording(entry.document)
        for pair in likenesses(entries_of(parts))
        if pair.left.part.split != pair.right.part.split
        for entry in (pair.left, pair.right)
    }
    return [_part_statistics(part, featurizer, shared) for part in parts]


def _part_statistics(part: Part, featurizer: Featurizer, shared: AbstractSet[str]) -> PartStats:
    documents = [item.document for item in part.located]
    answers: dict[Axis, tuple[int, int]] = {}
    for axis in AXES:
        if any(axis in document.annotated for document in documents):
            found = [answer for document in documents for answer in answers_of(document, axis)]
            answers[axis] = (found.count(True), len(found))
    examined = [examine(document, featurizer) for document in documents]
    tokens = [size for item in examined for size in item.tokens] or [0]
    half, most, longest = np.percentile(tokens, (50, 95, 100)).round().astype(int).tolist()
    return PartStats(
        part.corpus,
        part.split,
        len(documents),
        sum(len(document.segments) for document in documents),
        sum(s.field == "headline" for document in documents for s in document.segments),
        answers,
        {
            kind: count
            for kind in SPAN_TYPES
            if (count := sum(s.type == kind for d in documents for s in d.spans))
        },
        sum(len(item.unreachable) for item in examined),
        sum(whole_wording(document) in shared for document in documents),
        {lean: n for lean in LEANS if (n := sum(d.lean == lean for d in documents))},
        (half, most, longest),
    )


def statistics_json(stats: Sequence[PartStats]) -> str:
    """Figures for scripts."""
    return json.dumps([item.to_dict() for item in stats], indent=1)


_COUNTS = ("corpus", "split", "documents", "segments", "headlines", *AXES)
_DETAILS = (
    "corpus", "split", *SPAN_TYPES, "unreachable", "in another split", "left / center / right",
    "tokens 50 / 95 / 100 %",
)  # fmt: skip


def statistics_tables(stats: Sequence[PartStats], markdown: bool) -> str:
    """Figures as two tables: segments and their labels; spans, repetition, lean and length."""
    labels = [
        [
            item.corpus, item.split, f"{item.documents:,}", f"{item.segments:,}",
            f"{item.headlines:,}", *(_share(item.answers.get(axis)) for axis in AXES),
        ]
        for item in stats
    ]  # fmt: skip
    details = [
        [
            item.corpus, item.split,
            *(f"{item.spans[kind]:,}" if kind in item.spans else "" for kind in SPAN_TYPES),
            str(item.unreachable), str(item.shared),
            " / ".join(str(item.leans.get(lean, 0)) for lean in LEANS) if item.leans else "",
            " / ".join(map(str, item.tokens)),
        ]
        for item in stats
    ]  # fmt: skip
    tables = [table(_COUNTS, labels, markdown), table(_DETAILS, details, markdown)]
    return "\n".join(tables)


def _share(answer: tuple[int, int] | None) -> str:
    if answer is None:
        return ""
    true, answered = answer
    return f"{true:,} of {answered:,}" + (f" ({true / answered:.0%})" if answered else "")


def corpora_table(root: Path | None, markdown: bool = False) -> str:
    """Every known corpus: what it annotates, its licence, and whether its files are there."""
    rows: list[list[str]] = []
    for reader in CORPORA.values():
        info = reader.info
        there = "packaged"
        if isinstance(reader, CorpusReader):
            there = "no root"
            if root is not None:
                folder = root / reader.folder
                missing = [path for path in info.paths if not (folder / path).exists()]
                there = f"{len(missing)} of {len(info.paths)} paths missing" if missing else "yes"
        rows.append([
            info.name, there, ", ".join(sorted(info.annotated)), info.licence, info.upstream,
        ])  # fmt: skip
    return table(("corpus", "there", "annotated", "licence", "upstream"), rows, markdown)


def examples(parts: Sequence[Part], count: int, seed: int, colour: bool, most_segments: int) -> str:
    """Some documents drawn at random, with their answers and spans."""
    places = [(part, item) for part in parts for item in part.located]
    drawn = random.Random(seed).sample(places, min(count, len(places)))
    lines: list[str] = []
    for part, item in drawn:
        document = item.document
        known = [document.outlet, document.lean, document.date, document.url]
        head = f"{part.name}  {document.id}"
        lines.append(f"{_BOLD}{_safe(head)}{_RESET}" if colour else _safe(head))
        details = "  ".join(filter(None, known))
        if details:
            lines.append(f"  {_safe(details)}")
        shown = document.segments[:most_segments]
        lines += [
            f"  {_answers(document, segment):<24}{_text(document, segment, colour)}"
            for segment in shown
        ]
        if len(shown) < len(document.segments):
            lines.append(f"  ... and {len(document.segments) - len(shown)} more segments")
        lines.append("")
    return "\n".join(lines)


def _answers(document: LabelledDocument, segment: GoldSegment) -> str:
    asked = [axis for axis in AXES if axis in document.annotated]
    true = [axis for axis in asked if segment.axis(axis)]
    unknown = [f"{axis}?" for axis in asked if segment.axis(axis) is None]
    role = "H " if segment.field == "headline" else ""
    return role + (", ".join([*true, *unknown]) or "-")


def _text(document: LabelledDocument, segment: GoldSegment, colour: bool) -> str:
    return "".join(_pieces(document, segment, colour))


def _pieces(document: LabelledDocument, segment: GoldSegment, colour: bool) -> Iterator[str]:
    """The segment's words; spans in colour, or as in docs/labels.md: [source: she]."""
    text = document.field_text(segment.field)
    spans = [
        (max(s.start, segment.start), min(s.end, segment.end), s.type)
        for s in document.spans
        if s.field == segment.field and s.start < segment.end and s.end > segment.start
    ]
    edges = sorted({segment.start, segment.end, *(p for a, b, _ in spans for p in (a, b))})
    for start, end in itertools.pairwise(edges):
        opened = [(a, b, kind) for a, b, kind in spans if a <= start and b >= end]
        words = _safe(text[start:end])
        if colour:
            style = "".join(_COLOURS[kind] for _, _, kind in opened)
            yield f"{style}{words}{_RESET}" if style else words
            continue
        outside_in = sorted(opened, key=lambda s: (s[0], -s[1], s[2] == "loaded"))
        begins = "".join(f"[{kind}: " for a, _, kind in outside_in if a == start)
        yield begins + words + "]" * sum(b == end for _, b, _ in opened)


def _safe(text: str) -> str:
    return " ".join(text.translate(_CONTROL | {10: " ", 13: " ", 9: " "}).split(" "))
