"""Hyperpartisan news titles: is a headline hyperpartisan?

What it annotates: `framed`, in the role of headlines. Three annotators voted; the label is
the majority's, and its weight the share of annotators who agree with it, so the unanimous
rows count fully.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from framelens_training.corpora.base import CorpusInfo
from framelens_training.corpora.labelled import GoldSegment, LabelledDocument
from framelens_training.corpora.reading import (
    CorpusReader,
    ReadLog,
    Splits,
    read_table,
    stable_id,
    wording,
)
from framelens_training.corpora.splits import split

_VOTES = ("annotator 1", "annotator 2", "annotator 3")
_COLUMNS = ("year", "month", "media", "title", *_VOTES, "label")


class HyperpartisanTitles(CorpusReader):
    """Reader of `training_set.csv` of VIStA-H/Hyperpartisan-News-Titles, split here by title."""

    folder: ClassVar[str] = "hyperpartisan-titles"
    info = CorpusInfo(
        name="hyperpartisan-titles",
        title="Hyperpartisan news titles",
        licence="none stated",
        annotated=frozenset({"framed"}),
        upstream="VIStA-H/Hyperpartisan-News-Titles",
        commit="871bcdd18b922ec63df40a4f3716480dd3f5ba0b",
        paths=("data/training_set.csv",),
    )

    def _read(self, folder: Path, log: ReadLog) -> Splits:
        where = f"{self.folder}/data/training_set.csv"
        documents: list[LabelledDocument] = []
        seen: set[str] = set()
        table = read_table(folder / "data/training_set.csv", where, _COLUMNS, log, delimiter=",")
        for line, row in table:
            answers = [row[name].strip() for name in (*_VOTES, "label")]
            if not set(answers) <= {"0", "1"}:
                log.complain(f"{where}:{line}", f"expected votes and label 0 or 1, found {answers}")
                continue
            *votes, label = (answer == "1" for answer in answers)
            title = row["title"].strip()
            if title != row["title"]:
                log.note(where, line, "altered", "outer space removed")
            if not title:
                log.note(where, line, "dropped", "empty title")
                continue
            key = f"{row['media']} {row['year']}-{row['month']} {title}"
            if key in seen:
                log.note(where, line, "dropped", "title that stands already in the file")
                continue
            seen.add(key)
            agreement = sum(vote == label for vote in votes) / len(votes)
            if agreement < 0.5:
                log.note(where, line, "masked", "label against the majority of its annotators")
            segment = GoldSegment(
                field="headline",
                start=0,
                end=len(title),
                framed=label if agreement >= 0.5 else None,
                weights={"framed": agreement} if 0.5 <= agreement < 1 else {},
            )
            documents.append(
                LabelledDocument(
                    id=f"hyperpartisan-titles/{stable_id(key)}",
                    text="",
                    headline=title,
                    outlet=row["media"] or None,
                    annotated=self.info.annotated,
                    segments=(segment,),
                    meta={
                        "group": wording(title),
                        "year": row["year"],
                        "unanimous": "yes" if agreement == 1 else "no",
                        "source_file": where,
                        "row": str(line),
                    },
                )
            )
        return split(documents)
