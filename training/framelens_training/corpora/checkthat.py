"""CheckThat! 2025 task 1 (English): is a sentence subjective or objective?

What it annotates: `framed`, true for SUBJ: the author's own view shows. Quoted opinion is
OBJ there, which is what the axis asks. Sentences stand alone and are body text.

The tables are read without quoting. Some sentences carry what quoting left behind (quotation
marks around the whole, doubled ones within); it is undone. Where the annotators disagreed at
first (`solved_conflict`), the label counts less.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import ClassVar

from framelens_training.corpora.base import CorpusInfo
from framelens_training.corpora.labelled import GoldSegment, LabelledDocument
from framelens_training.corpora.reading import (
    CorpusReader,
    ReadLog,
    Splits,
    read_table,
    wording,
)

CONFLICT_WEIGHT = 0.75
"""Weight of a label that the annotators agreed on only after a discussion."""

_FILES = {"train_en.tsv": "train", "dev_en.tsv": "validation"}
_LABELS = {"SUBJ": True, "OBJ": False}


class CheckThat(CorpusReader):
    """Reader of the English tables in MatteoFasulo/clef2025-checkthat: train and dev."""

    folder: ClassVar[str] = "checkthat2025"
    info = CorpusInfo(
        name="checkthat2025",
        title="CheckThat! 2025 task 1: subjectivity in news articles (English)",
        licence="CC BY-NC-SA 4.0",
        annotated=frozenset({"framed"}),
        upstream="MatteoFasulo/clef2025-checkthat",
        commit="16ca068592b3a0e7cd75f27ebc6fe3ee5e9751e8",
        paths=tuple(f"data/english/{name}" for name in _FILES),
    )

    def _read(self, folder: Path, log: ReadLog) -> Splits:
        return {
            split: self._read_file(folder / "data/english" / name, log)
            for name, split in _FILES.items()
        }

    def _read_file(self, path: Path, log: ReadLog) -> list[LabelledDocument]:
        where = f"{self.folder}/data/english/{path.name}"
        documents: list[LabelledDocument] = []
        seen: set[str] = set()
        columns = ("sentence_id", "sentence", "label")
        table = read_table(path, where, columns, log, delimiter="\t", quoting=csv.QUOTE_NONE)
        for line, row in table:
            if row["label"] not in _LABELS:
                log.complain(f"{where}:{line}", f"expected SUBJ or OBJ, found {row['label']!r}")
                continue
            text = _unquoted(row["sentence"].strip())
            if text != row["sentence"]:
                log.note(where, line, "altered", "residue of CSV quoting or outer space removed")
            if not text:
                log.note(where, line, "dropped", "empty sentence")
                continue
            if text in seen:
                log.note(where, line, "dropped", "sentence that stands already in the file")
                continue
            seen.add(text)
            conflict = row.get("solved_conflict") == "True"
            segment = GoldSegment(
                field="text",
                start=0,
                end=len(text),
                framed=_LABELS[row["label"]],
                weights={"framed": CONFLICT_WEIGHT} if conflict else {},
            )
            documents.append(
                LabelledDocument(
                    id=f"checkthat2025/{row['sentence_id']}",
                    text=text,
                    annotated=self.info.annotated,
                    segments=(segment,),
                    meta={"group": wording(text), "source_file": where, "row": str(line)},
                )
            )
        return documents


def _unquoted(sentence: str) -> str:
    """A cell that was quoted when the table was written, as it was before."""
    if len(sentence) < 2 or not (sentence.startswith('"') and sentence.endswith('"')):
        return sentence
    inner = sentence[1:-1]
    if '""' not in inner or '"' in inner.replace('""', ""):
        return sentence
    return inner.replace('""', '"').strip()
