"""Scoring data frames: pandas, polars and Arrow tables in, the same kind out (extra `frames`)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from framelens.errors import InputError, MissingExtraError
from framelens.records import FieldNames, Keep, Record

if TYPE_CHECKING:
    from framelens.scorer import Scorer, Unit

_ROWS = 256
"""Rows of the table that are read, and rows of the answer that are kept, as one chunk."""


def score_frame(
    scorer: Scorer,
    frame: Any,
    fields: FieldNames,
    *,
    unit: Unit = "article",
    explode: bool = False,
    keep: bool = False,
    workers: int = 1,
) -> Any:
    """Score a table's rows; the columns of the answer are those of `framelens score`.

    Rows without an id are called `frame:1`, `frame:2`, ...

    Raises:
        MissingExtraError: if the extra is not installed.
        InputError: if the table has no such text column.
        TypeError: if it is no pandas or polars data frame and no Arrow table.
    """
    try:
        import narwhals as nw
        import pyarrow as pa
    except ImportError as error:
        raise MissingExtraError(error.name or "narwhals", "frames", "scoring a frame") from error
    from framelens.many import answers
    from framelens.rows import table_row
    from framelens.tabular import output_schema, table_of

    table = nw.from_native(frame, eager_only=True)
    arrow = table.to_arrow().replace_schema_metadata(None)
    if fields.text not in arrow.column_names:
        raise InputError(
            f"expected a column {fields.text!r}, found {', '.join(arrow.column_names)}; "
            "name it with text_field"
        )
    kept = None
    if keep:
        kept = pa.schema([(f.name, f.type) for f in arrow.schema if f.name not in fields.all])
    schema = output_schema(explode, kept)
    records = _records(arrow, fields, "cells" if keep else "nothing")
    found = answers(scorer, records, workers, unit=unit, explode=explode)
    scored = [schema.empty_table()]
    while chunk := list(itertools.islice(found, _ROWS)):
        rows: list[dict[str, Any]] = []
        cells: list[Any] = []
        for record, answer in chunk:
            for line in answer.body.split("\n"):
                rows.append(table_row(record.id, line, None))
                cells.append(record.cells)
        scored.append(table_of(rows, cells, schema, kept))
    whole = pa.concat_tables(scored)
    return nw.from_arrow(whole, backend=table.implementation).to_native()


def _records(arrow: Any, fields: FieldNames, keep: Keep) -> Iterator[Record]:
    from framelens.tabular import batch_records

    number = 0
    for batch in arrow.to_batches(max_chunksize=_ROWS):
        yield from batch_records(batch, number, "frame", fields, keep)
        number += batch.num_rows
