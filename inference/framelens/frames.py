"""Scoring data frames: pandas, polars and Arrow tables in, the same kind out (extra `frames`)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from framelens.errors import InputError, MissingExtraError
from framelens.records import FieldNames, Record, record_of

if TYPE_CHECKING:
    from framelens.schema import RowUnit
    from framelens.scorer import Scorer, Unit

_ROWS = 256
"""Rows of the table that are read, and answers that become rows, as one chunk."""


def score_frame(
    scorer: Scorer,
    frame: Any,
    fields: FieldNames,
    *,
    unit: Unit = "article",
    rows: RowUnit = "document",
    keep: bool = False,
    workers: int = 1,
) -> Any:
    """Score a table's rows; the columns of the answer are those of `framelens score`.

    Rows without an id are called `frame:1`, `frame:2`, ... Kept columns stay as they are, and so
    does the index of a pandas frame, of which a level may be one of the fields; a level that is
    called like a column of the answer has no name there.

    Raises:
        MissingExtraError: if the extra is not installed.
        InputError: if the table has no such text column, or two columns of one name.
        TypeError: if it is no pandas or polars data frame and no Arrow table, or a field's name is
            no string.
    """
    for name, field in asdict(fields).items():
        if not isinstance(field, str):
            kind = type(field).__name__
            raise TypeError(f"expected a string as {name}_field, found {kind}; rename the column")
    try:
        import narwhals as nw
        import pyarrow as pa
    except ImportError as error:
        raise MissingExtraError(error.name or "narwhals", "frames", "scoring a frame") from error
    from framelens.many import answers
    from framelens.rows import table_row
    from framelens.tabular import output_schema, table_of

    try:
        table = nw.from_native(frame, eager_only=True)
    except TypeError:
        kind = f"{type(frame).__module__}.{type(frame).__qualname__}"
        raise TypeError(
            f"expected a pandas or polars data frame or an Arrow table, found {kind}"
        ) from None
    except nw.exceptions.DuplicateError as error:
        raise InputError(f"{' '.join(str(error).split())}; rename or drop one of them") from None
    needed = _needed(table, fields)
    missing = fields.missing_from(needed.columns)
    if missing is not None:
        raise InputError(
            f"expected a column {getattr(fields, missing)!r}, found "
            f"{', '.join(map(str, table.columns))}; name it with {missing}_field"
        )
    schema = output_schema(rows, pa.schema([]) if keep else None)
    records = _records(needed, fields)
    found = enumerate(answers(scorer, records, workers, unit=unit, rows=rows))
    scored = [schema.empty_table()]
    origins: list[int] = []
    while chunk := list(itertools.islice(found, _ROWS)):
        made: list[dict[str, Any]] = []
        for number, (record, answer) in chunk:
            for line in answer.body.split("\n"):
                made.append(table_row(record.id, line, None))
                origins.append(number)
        scored.append(table_of(made, (), schema, None))
    result = nw.from_arrow(pa.concat_tables(scored), backend=table.implementation)
    index = nw.maybe_get_index(table)
    is_flat = rows != "document"
    if index is not None:
        index = index.set_names([None if n in schema.names else n for n in index.names])
        result.to_native().index = index.take(np.array(origins, np.int64)) if is_flat else index
    if keep:
        kept = table.drop([name for name in table.columns if name in fields.all])
        result = _beside(result, _rows_at(kept, origins) if is_flat else kept)
    return result.to_native()


def _needed(table: Any, fields: FieldNames) -> Any:
    """The columns that are read, with levels of a pandas index that are called like a field."""
    import narwhals as nw

    index = nw.maybe_get_index(table)
    named = [] if index is None else [name for name in index.names if name in fields.all]
    if levels := [name for name in named if name not in table.columns]:
        table = nw.from_native(table.to_native().reset_index(levels), eager_only=True)
    names = [name for name in table.columns if name in fields.all]
    return nw.maybe_reset_index(table.select(names))


def _records(needed: Any, fields: FieldNames) -> Iterator[Record]:
    from framelens.tabular import batch_records

    number = 0
    arrow = _arrow(needed)
    if arrow is None:
        columns = [_values(needed.get_column(name)) for name in needed.columns]
        for number, values in enumerate(zip(*columns, strict=True), 1):
            row = dict(zip(needed.columns, values, strict=True))
            yield record_of(row, f"frame:{number}", fields, "nothing")
        return
    for batch in arrow.to_batches(max_chunksize=_ROWS):
        yield from batch_records(batch, number, "frame", fields, "nothing")
        number += batch.num_rows


def _arrow(needed: Any) -> Any | None:
    """The columns in Arrow; None if one of them holds what has no common type there."""
    import narwhals as nw

    if nw.Object in needed.schema.values():
        return None  # polars would give addresses
    try:
        return needed.to_arrow()
    except Exception:  # by library and type: numbers among strings, lone surrogates
        return None


def _values(column: Any) -> list[Any]:
    """A column's values in Python, None for whatever its library calls missing."""
    pairs = zip(column.to_list(), column.is_null().to_list(), strict=True)
    return [None if missing else value for value, missing in pairs]


def _rows_at(table: Any, numbers: list[int]) -> Any:
    """The rows of these numbers, which may be told several times."""
    import narwhals as nw
    import pyarrow as pa

    if not table.implementation.is_pyarrow():
        return table[np.array(numbers, np.int64)]
    # Its `take` knows no string views, nor what holds them; slices of every type can be joined.
    arrow = table.to_native()
    parts = [arrow.slice(0, 0)]
    for at in range(0, len(numbers), _ROWS):
        rows = [arrow.slice(number, 1) for number in numbers[at : at + _ROWS]]
        parts.append(pa.concat_tables(rows).combine_chunks())
    return nw.from_native(pa.concat_tables(parts), eager_only=True)


def _beside(result: Any, kept: Any) -> Any:
    """The result with the kept columns behind it, under names that are free."""
    import narwhals as nw

    from framelens.rows import kept_names

    free = kept_names(kept.columns, [*result.columns, "input"])
    kept = kept.rename(dict(zip(kept.columns, free, strict=True)))
    return nw.concat([result, kept], how="horizontal") if free else result
