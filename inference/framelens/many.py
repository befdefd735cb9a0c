"""Many records scored from Python: here, or by worker processes, in order."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from framelens.documents import document_of
from framelens.in_order import in_order
from framelens.records import Record, given_record
from framelens.rows import Answer, table_row
from framelens.schema import Document, RowUnit
from framelens.workers import Job, Settings, finished, read_job

if TYPE_CHECKING:
    from framelens.scorer import Scorer, Unit

_TOGETHER = 256
"""Records that are read, and then decoded, side by side in one process."""


def scored_by_workers(
    scorer: Scorer, records: Iterable[Mapping[str, Any] | str], unit: Unit, workers: int
) -> Iterator[Document]:
    """The documents that `scorer` would make of the records, made by several processes.

    Raises:
        FramelensError: if the workers cannot start.
    """
    found = (given_record(record, str(index)) for index, record in enumerate(records))
    for record, answer in answers(scorer, found, workers, unit=unit):
        yield document_of(table_row(record.id, answer.body, None))


def answers(
    scorer: Scorer,
    records: Iterator[Record],
    workers: int,
    *,
    unit: Unit = "article",
    rows: RowUnit = "document",
) -> Iterator[tuple[Record, Answer]]:
    """What becomes of each record, in order.

    Raises:
        FramelensError: if the workers cannot start.
    """
    settings = Settings(
        scorer.artifact.path,
        scorer.model,
        scorer.limits,
        unit,
        rows=rows,
        deferral=scorer.deferral,
        self_test=False,  # this scorer has passed it, or was loaded without it
    )
    if workers > 1:
        with in_order(records, settings, workers, scorer=scorer) as found:
            yield from found
        return
    while chunk := list(itertools.islice(records, _TOGETHER)):
        read = [
            read_job(scorer, Job(0, record.row, None), settings)
            if record.error is None
            else scorer.error("", record.error.code, record.error.message)
            for record in chunk
        ]
        for record, document in zip(chunk, finished(scorer, read), strict=True):
            yield record, settings.answer(document)
