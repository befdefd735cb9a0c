"""Scoring data frames: pandas, polars and Arrow tables in, the same kind out (extra `frames`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from framelens.errors import InputError, MissingExtraError
from framelens.records import FieldNames

if TYPE_CHECKING:
    from framelens.scorer import Scorer, Unit

_ROWS = 256
"""Rows that are read, then decoded, and kept as one chunk of the answer."""


def score_frame(
    scorer: Scorer,
    frame: Any,
    fields: FieldNames,
    *,
    unit: Unit = "article",
    explode: bool = False,
    keep: bool = False,
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
    from framelens.rows import answer_of, table_row
    from framelens.tabular import batch_records, output_schema, table_of
    from framelens.workers import Job, Settings, finished, read_job

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
    settings = Settings(scorer.artifact.path, scorer.model, scorer.limits, unit, explode=explode)
    scored = [schema.empty_table()]
    number = 0
    for batch in arrow.to_batches(max_chunksize=_ROWS):
        records = list(
            batch_records(batch, number, "frame", fields, "cells" if keep else "nothing")
        )
        read = [
            read_job(scorer, Job(0, record.row, None), settings)
            if record.error is None
            else scorer.error("", record.error.code, record.error.message)
            for record in records
        ]
        rows: list[dict[str, Any]] = []
        cells: list[Any] = []
        for record, document in zip(records, finished(scorer, read), strict=True):
            for line in answer_of(document, explode=explode).body.split("\n"):
                rows.append(table_row(record.id, line, None))
                cells.append(record.cells)
        scored.append(table_of(rows, cells, schema, kept))
        number += batch.num_rows
    whole = pa.concat_tables(scored)
    return nw.from_arrow(whole, backend=table.implementation).to_native()
