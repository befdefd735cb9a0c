"""Lone sentences and headlines, judged for this project as the annotators of a corpus would.

What it annotates: `framed`. BABE, CheckThat and the hyperpartisan titles have few texts and one
answer for each. Here readers who had seen sixty labelled texts of such a corpus say how likely its
annotators are to call a further text framed: its own training texts again, and sentences and
headlines of articles that nobody labelled in that way; sentences also as if they were headlines,
which are few.

* The texts are read by the readers of the corpora that have them, from their training parts
  alone. This package has the answers only, in `judged_lines.csv`: the start of the SHA-256 of a
  segment's words, the corpus whose annotators are meant, and the probability of a yes in percent.
* The label is the likelier answer, and its confidence the probability of that, which a run with
  `soft_labels` learns.
* Everything is training: validation and test of these corpora have their annotators' own labels.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from framelens_training.corpora.babe import Babe
from framelens_training.corpora.base import CorpusInfo
from framelens_training.corpora.checkthat import CheckThat
from framelens_training.corpora.hyperpartisan_titles import HyperpartisanTitles
from framelens_training.corpora.labelled import LabelledDocument
from framelens_training.corpora.lines import line_document
from framelens_training.corpora.polnear import PolNeAR
from framelens_training.corpora.reading import (
    CorpusReader,
    JudgedTexts,
    ReadLog,
    Splits,
    corpus_of,
    paths_of,
    stable_id,
)
from framelens_training.corpora.semeval import SemEval

COLUMNS = ("text", "as", "framed")
"""Columns of the file: a text's key, the corpus whose annotators are meant, percent of a yes."""

_DIGITS = 16
_SOURCES: tuple[CorpusReader, ...] = (
    Babe(), CheckThat(), HyperpartisanTitles(), PolNeAR(), SemEval()
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class LineJudgement:
    """How likely a corpus's annotators are to call a text framed, from 0 to 1."""

    text: str
    corpus: str
    probability: float


class JudgedLines(JudgedTexts):
    """Reader of the answers, over the folders of the corpora that have the texts."""

    texts = _SOURCES
    judged = "judged_lines.csv"
    info = CorpusInfo(
        name="judged-lines",
        title="Sentences and headlines, judged as the annotators of three corpora would",
        licence="judgements: Apache-2.0; texts: "
        + "; ".join(f"{reader.info.licence} ({reader.info.name})" for reader in _SOURCES),
        annotated=frozenset({"framed"}),
        upstream=", ".join(reader.info.upstream for reader in _SOURCES),
        paths=paths_of(_SOURCES),
    )

    def _read(self, folder: Path, log: ReadLog) -> Splits:
        judgements: dict[str, list[LineJudgement]] = {}
        for judgement in self.judgements():
            judgements.setdefault(judgement.text, []).append(judgement)
        found: list[LabelledDocument] = []
        for reader in self.sources:
            for document in reader.read(folder).get("train", ()):
                for segment in document.segments:
                    words = document.segment_text(segment)
                    # The first of those with the same words stands for all.
                    said = judgements.pop(line_key(words), ())
                    found += [judged_line(document, words, item) for item in said]
        for text in judgements:
            log.note("judged_lines.csv", text, "dropped", "judgement without its text")
        return {"train": found}

    def judgements(self) -> Iterator[LineJudgement]:
        """Every answer, in the order of the file."""
        lines = self.files()["judgements"].read_text("utf-8").splitlines()
        for row in csv.DictReader(lines):
            yield LineJudgement(row["text"], row["as"], int(row["framed"]) / 100)


def line_key(words: str) -> str:
    """What a text is called: it says nothing of its words."""
    return stable_id(words, _DIGITS)


def judged_line(
    document: LabelledDocument, words: str, judgement: LineJudgement
) -> LabelledDocument:
    """A segment of a document as a document of its own, with the answer of its judgement."""
    return line_document(
        f"{JudgedLines.info.name}/{judgement.text}/{judgement.corpus}",
        words,
        judgement.corpus,
        judgement.probability,
        {
            "group": document.meta.get("group", document.id),
            "corpus": corpus_of(document),
            "source_file": document.meta["source_file"],
        },
    )
