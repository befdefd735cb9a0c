"""Lone texts with the probability that annotators of a corpus would call them framed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from framelens.schema import Field
from framelens_training.corpora.labelled import (
    CorpusError,
    GoldSegment,
    LabelledDocument,
)
from framelens_training.corpora.reading import ReadLog, read_table

FIELD_AS: Mapping[str, Field] = {
    "babe": "text",
    "checkthat2025": "text",
    "hyperpartisan-titles": "headline",
}
"""The corpora as whose annotators readers judged, and where the texts of each stand."""

COLUMNS = ("id", "group", "as", "framed", "words")
"""Columns of a file of lines: `as` is a key of `FIELD_AS`, `framed` percent of a yes."""


def line_document(
    id: str, words: str, judged_as: str, probability: float, meta: Mapping[str, str]
) -> LabelledDocument:
    """A text as a document of its own.

    The label is the likelier answer, and its confidence the probability of that, so that a run
    with `soft_labels` learns the probability itself.
    """
    field = FIELD_AS[judged_as]
    framed = probability >= 0.5
    confidence = probability if framed else 1 - probability
    segment = GoldSegment(field, 0, len(words), framed=framed, weights={"framed": confidence})
    return LabelledDocument(
        id=id,
        text="" if field == "headline" else words,
        headline=words if field == "headline" else None,
        annotated=frozenset({"framed"}),
        segments=(segment,),
        meta={**meta, "as": judged_as},
    )


def read_lines(path: Path) -> list[LabelledDocument]:
    """The documents of a CSV file of lines.

    Raises:
        CorpusError: naming every row that is none, by the line of the file that it ends in.
    """
    log = ReadLog()
    found: list[LabelledDocument] = []
    for line, row in read_table(path, str(path), COLUMNS, log, delimiter=","):
        what = _problem(row)
        if what:
            log.complain(f"{path}:{line}", what)
        else:
            found.append(_document(row))
    if log.problems:
        raise CorpusError(log.problems)
    return found


def _document(row: Mapping[str, str]) -> LabelledDocument:
    probability = int(row["framed"]) / 100
    return line_document(row["id"], row["words"], row["as"], probability, {"group": row["group"]})


def _problem(row: Mapping[str, str]) -> str:
    """What is wrong with a row; nothing if it is a line."""
    empty = [name for name in COLUMNS if not row[name].strip()]
    if empty:
        return f"expected something in every cell, found nothing in {', '.join(empty)}"
    if row["as"] not in FIELD_AS:
        return f"expected one of {', '.join(FIELD_AS)} in 'as', found {row['as']!r}"
    if not (row["framed"].isdecimal() and int(row["framed"]) <= 100):
        return f"expected a percentage in 'framed', found {row['framed']!r}"
    return ""
