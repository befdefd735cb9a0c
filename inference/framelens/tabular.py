"""Arrow tables: reading Parquet, and the columns of the output (extra `batch`).

Strings in Arrow are valid UTF-8: a lone surrogate of a JSON input is written as U+FFFD, one
code point for one, so that offsets stay true.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from framelens.errors import InputError
from framelens.reading import Position, columns_of
from framelens.records import (
    FieldNames,
    Keep,
    Record,
    check_columns,
    distinct,
    not_utf8,
    record_of,
    to_json,
)
from framelens.rows import SURROGATES, kept_names
from framelens.schema import AXES, RowUnit

_ROWS_READ = 64  # at a time: articles, not numbers
_FEW_ROWS_READ = 8  # where values may be large
_LARGE_COLUMN = 4_000_000  # bytes of a row group's column, one value of which may be in each row
_LARGE_BATCH = 16_000_000  # bytes over which a batch is turned into Python row by row
_MICROSECONDS = len("2024-05-01T10:00:00.000000")
_OF_PANDAS = ("duration[ns]", "time64[ns]")  # types whose values pyarrow reads as pandas does
_WRAPPED = (pa.DictionaryScalar, pa.ExtensionScalar, pa.RunEndEncodedScalar, pa.UnionScalar)

_OFFSETS = {pa.ListArray: pa.int32(), pa.LargeListArray: pa.int64()}

_TEXT = pa.string()
_ERROR = pa.struct([("code", _TEXT), ("message", _TEXT)])
_MODEL = pa.struct([("name", _TEXT), ("version", _TEXT), ("sha256", _TEXT)])
_SPAN = pa.struct(
    [
        ("type", _TEXT),
        ("start", pa.int32()),
        ("end", pa.int32()),
        ("text", _TEXT),
        ("score", pa.float64()),
        ("continues", pa.bool_()),
    ]
)
_SPANS = pa.list_(_SPAN)
_OWN_WORDING = pa.struct(
    [("start", pa.int32()), ("end", pa.int32()), ("text", _TEXT), ("loaded", pa.float64())]
)
_HEADLINE_CHECK = pa.struct(
    [
        ("outcome", _TEXT),
        ("segment", pa.int32()),
        ("score", pa.float64()),
        ("attributed", pa.bool_()),
        ("source", _SPAN),
        ("cue", _SPAN),
        ("attribution", _TEXT),
        ("dropped_score", pa.float64()),
        ("own_wording", pa.list_(_OWN_WORDING)),
    ]
)
_PLACE: list[tuple[str, pa.DataType]] = [
    ("index", pa.int32()),
    ("role", _TEXT),
    ("field", _TEXT),
    ("start", pa.int32()),
    ("end", pa.int32()),
    ("text", _TEXT),
    ("label", _TEXT),
    ("uncertain", pa.bool_()),
]
_AXES: list[tuple[str, pa.DataType]] = [(axis, pa.float64()) for axis in AXES]
_SUMMARY = pa.struct(
    [
        ("segments", pa.int32()),
        ("sourced", pa.float64()),
        ("framed", pa.float64()),
        ("plain", pa.float64()),
        ("sources", pa.int32()),
    ]
)
_HEAD: list[tuple[str, pa.DataType]] = [("schema", pa.int32()), ("id", _TEXT), ("status", _TEXT)]

DOCUMENT_SCHEMA = pa.schema(
    [
        *_HEAD,
        ("error", _ERROR),
        ("model", _MODEL),
        (
            "segments",
            pa.list_(pa.struct([*_PLACE, ("scores", pa.struct(_AXES)), ("spans", _SPANS)])),
        ),
        ("summary", _SUMMARY),
        ("headline_check", _HEADLINE_CHECK),
        ("input", _TEXT),
    ]
)
"""One row a document; `input` is JSON."""

_FLAT_HEAD: list[tuple[str, pa.DataType]] = [
    *_HEAD,
    ("error_code", _TEXT),
    ("error_message", _TEXT),
    ("model_name", _TEXT),
    ("model_version", _TEXT),
    ("model_sha256", _TEXT),
]

SEGMENT_SCHEMA = pa.schema(
    [
        *_FLAT_HEAD,
        *_PLACE,
        *_AXES,
        ("spans", _SPANS),
        ("headline_check", _HEADLINE_CHECK),
        ("input", _TEXT),
    ]
)
"""One row a segment (`--explode`)."""


def _span_columns(name: str) -> list[tuple[str, pa.DataType]]:
    return [
        (name, _TEXT),
        (f"{name}_start", pa.int32()),
        (f"{name}_end", pa.int32()),
        (f"{name}_score", pa.float64()),
    ]


ATTRIBUTION_SCHEMA = pa.schema(
    [
        *_FLAT_HEAD,
        ("index", pa.int32()),
        ("segment", pa.int32()),
        ("role", _TEXT),
        ("field", _TEXT),
        ("label", _TEXT),
        *_span_columns("source"),
        ("source_segment", pa.int32()),
        *_span_columns("cue"),
        *_span_columns("content"),
        ("continues", pa.bool_()),
        ("input", _TEXT),
    ]
)
"""One row an attribution (`--attributions`)."""

SCHEMAS: Mapping[RowUnit, pa.Schema] = {
    "document": DOCUMENT_SCHEMA,
    "segment": SEGMENT_SCHEMA,
    "attribution": ATTRIBUTION_SCHEMA,
}


def parquet_columns(name: str) -> list[str]:
    """Names of a Parquet file's columns.

    Raises:
        InputError: if it is no Parquet file, or has two columns of one name.
    """
    return distinct(list(_schema(name).names), name)


@contextlib.contextmanager
def parquet_file(path: str | Path) -> Iterator[pq.ParquetFile]:
    """A Parquet file of any name: pyarrow takes a colon for an address, and knows UTF-8 alone."""
    with Path(path).open("rb") as stream, pq.ParquetFile(stream) as file:
        yield file


def _schema(name: str) -> pa.Schema:
    try:
        with parquet_file(name) as file:
            return file.schema_arrow
    except pa.ArrowException as error:
        raise InputError(f"{name}: cannot be read: {error}") from error


def kept_schema(name: str, fields: FieldNames) -> pa.Schema:
    """The columns of a Parquet or CSV file that `--keep` passes through, without metadata."""
    if name.lower().endswith(".parquet"):
        schema = _schema(name)
        return pa.schema([(f.name, f.type) for f in schema if f.name not in fields.all])
    others = [column for column in columns_of(name, fields) or [] if column not in fields.all]
    return pa.schema([(_encodable(column), _TEXT) for column in others])


def parquet_records(
    name: str, fields: FieldNames, keep: Keep, position: Position
) -> Iterator[Record]:
    """The rows of a Parquet file, a few in memory at a time.

    Raises:
        InputError: if it cannot be read, or lacks a column that is needed.
    """
    try:
        with parquet_file(name) as file:
            size, rows = Path(name).stat().st_size, max(file.metadata.num_rows, 1)
            # By name only where a few are read: to pyarrow, `a` means `a.b` as well.
            columns = check_columns(file.schema_arrow.names, name, fields)
            few = [column for column in columns if column in fields.all]
            number = 0
            position.enter(lambda: size * number // rows)
            for batch in row_batches(file, few if keep == "nothing" else None):
                for record in batch_records(batch, number, name, fields, keep):
                    number += 1
                    yield record
    except pa.ArrowException as error:
        raise InputError(f"{name}: cannot be read: {error}") from error


def row_batches(
    file: pq.ParquetFile, columns: Sequence[str] | None = None
) -> Iterator[pa.RecordBatch]:
    """All rows of a Parquet file, a few at a time, with all columns or these.

    No batch crosses from one row group into the next: pyarrow refuses that where a list or a
    struct holds dictionary values, as categories of polars are.
    """
    for group in range(file.num_row_groups):
        size = _rows_read(file.metadata.row_group(group))
        for batch in file.iter_batches(size, row_groups=[group], columns=columns):
            if batch.get_total_buffer_size() > _LARGE_BATCH:
                yield from (batch.slice(at, 1) for at in range(batch.num_rows))
            else:
                yield batch


def _rows_read(group: pq.RowGroupMetaData) -> int:
    """Rows to read at a time: a value that a dictionary holds once may stand in each of them."""
    sizes = (group.column(at).total_uncompressed_size for at in range(group.num_columns))
    return _ROWS_READ if max(sizes, default=0) <= _LARGE_COLUMN else _FEW_ROWS_READ


def batch_records(
    batch: pa.RecordBatch, before: int, name: str, fields: FieldNames, keep: Keep
) -> Iterator[Record]:
    """The rows of a batch, of which `before` rows of input `name` came earlier."""
    others = [column for column in batch.schema.names if column not in fields.all]
    picked = {c: _values(batch.column(c)) for c in batch.schema.names if c in fields.all}
    kept = python_rows(batch.select(others)) if keep == "json" else None
    rest = pa.table(batch.select(others)) if keep == "cells" else None
    for at in range(batch.num_rows):
        where = f"{name}:{before + at + 1}"
        row: dict[str, Any] = {column: values[at] for column, values in picked.items()}
        bad = {c: value for c, value in row.items() if isinstance(value, UnicodeDecodeError)}
        record = record_of({**row, **dict.fromkeys(bad)}, where, fields, "nothing")
        if bad:
            record = replace(record, row=None, error=not_utf8(next(iter(bad.values()))))
        text = None if kept is None else to_json(kept[at])
        yield replace(record, kept=text, cells=None if rest is None else rest.slice(at, 1))


def python_rows(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    """A batch's rows in Python, as far as it can hold their values."""
    if not any(map(_needs_pandas, batch.schema.types)):
        # By type: bytes that are no UTF-8, years over 9999, unknown time zones.
        with contextlib.suppress(Exception):
            return list(batch.to_pylist())
    columns = [[_value(item) for item in column] for column in batch.columns]
    return [
        dict(zip(batch.schema.names, values, strict=True)) for values in zip(*columns, strict=True)
    ]


def _needs_pandas(kind: pa.DataType) -> bool:
    """Whether a type is, or holds, one of whose values pyarrow makes other ones without pandas."""
    return any(name in str(kind) for name in _OF_PANDAS)


def _value(item: pa.Scalar) -> Any:
    """A value in Python, with text for what Python cannot hold; None for null alone."""
    if not item.is_valid:
        return None
    if not _needs_pandas(item.type):
        with contextlib.suppress(Exception):
            return item.as_py()
    if isinstance(item, _WRAPPED):
        return _value(item.value)
    if isinstance(item, pa.MapScalar):
        return [(_value(entry[0]), _value(entry[1])) for entry in item.values]
    if isinstance(item, pa.ListScalar):
        return [_value(entry) for entry in item.values]
    if isinstance(item, pa.StructScalar):
        pairs = [(field.name, _value(item[at])) for at, field in enumerate(item.type)]
        return dict(pairs) if len(dict(pairs)) == len(pairs) else pairs
    if isinstance(item, pa.StringScalar):
        return item.as_buffer().to_pybytes().decode("utf-8", "replace")
    if isinstance(item, pa.TimestampScalar):
        return _instant(item)
    if isinstance(item, pa.DurationScalar) and item.type.unit == "ns":
        return _length(item.value)
    if isinstance(item, pa.Time64Scalar) and item.value % 1000 == 0:
        return pa.scalar(item.value // 1000, pa.time64("us")).as_py()
    return item.cast(_TEXT).as_py()


def _instant(item: pa.TimestampScalar) -> str:
    """A moment as text: to the nanosecond, and in UTC where its time zone is unknown."""
    unit, zone = item.type.unit, item.type.tz
    if unit == "ns":  # as pandas writes it, without which Python has no nanoseconds
        whole, rest = divmod(item.value, 1000)
        with contextlib.suppress(Exception):
            found = pa.scalar(whole, pa.timestamp("us", zone)).as_py()
            text = found.isoformat(timespec="microseconds")
            return f"{text[:_MICROSECONDS]}{rest:03}{text[_MICROSECONDS:]}"
    with contextlib.suppress(pa.ArrowException):
        return str(item.cast(_TEXT))
    return f"{pa.scalar(item.value, pa.timestamp(unit)).cast(_TEXT)}Z"


def _length(nanoseconds: int) -> str:
    """A length of time in ISO 8601, as pandas writes it."""
    seconds, fraction = divmod(nanoseconds, 10**9)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    decimals = f".{fraction:09}".rstrip("0.")
    return f"P{days}DT{hours}H{minutes}M{seconds}{decimals}S"


def _values(column: pa.Array) -> list[Any]:
    """Python values; of a string that is no UTF-8, the error."""
    # Of views, as categories of polars are in Arrow, pyarrow decodes none.
    if pa.types.is_dictionary(column.type) and not pa.types.is_string_view(column.type.value_type):
        column = column.dictionary_decode()
    if pa.types.is_string_view(column.type):
        column = column.cast(pa.large_string())
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        try:
            return list(column.to_pylist())
        except Exception:  # as in `python_rows`
            return [_value(item) for item in column]
    binary = pa.binary() if pa.types.is_string(column.type) else pa.large_binary()
    return [None if raw is None else _decoded(raw) for raw in column.cast(binary).to_pylist()]


def _decoded(raw: bytes) -> str | UnicodeDecodeError:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        return error


def output_schema(rows: RowUnit, kept: pa.Schema | None) -> pa.Schema:
    """The columns of the output; kept columns that would collide get the prefix `input_`."""
    own = SCHEMAS[rows]
    if kept is None:
        return own
    others = zip(kept_names(kept.names, own.names), kept.types, strict=True)
    return pa.schema([*own.remove(own.get_field_index("input")), *others])


def table_of(
    rows: Sequence[Mapping[str, Any]],
    cells: Sequence[Any],
    schema: pa.Schema,
    kept: pa.Schema | None,
) -> pa.Table:
    """Output rows as a table of the given schema; `cells` are the kept values of each row."""
    width = len(schema.names) - (0 if kept is None else len(kept.names))
    own = pa.schema(list(schema)[:width])
    table = pa.Table.from_pylist([_cleaned(row, own) for row in rows], schema=own)
    if kept is not None:
        for field, column in zip(list(schema)[width:], _kept_columns(cells, kept), strict=True):
            table = table.append_column(field, column)
    return table.combine_chunks()


def write_parquet(table: pa.Table, stream: IO[bytes]) -> None:
    """Write a table as one row group."""
    with pq.ParquetWriter(stream, table.schema, compression="zstd") as writer:
        writer.write_table(table, row_group_size=max(table.num_rows, 1))


def join_parquet(parts: Sequence[Path], stream: IO[bytes], schema: pa.Schema) -> None:
    """Write the row groups of all parts, in order, as one file."""
    with pq.ParquetWriter(stream, schema, compression="zstd") as writer:
        for part in parts:
            with parquet_file(part) as file:
                table = file.read()
            writer.write_table(table, row_group_size=max(table.num_rows, 1))


def _kept_columns(cells: Sequence[Any], kept: pa.Schema) -> list[Any]:
    tables = [cell if isinstance(cell, pa.Table) else _row_table(cell, kept) for cell in cells]
    if not tables:
        return [pa.array([], type=field.type) for field in kept]
    # Their types are these already; a cast would fail where a struct has a column of nulls.
    alike = [pa.Table.from_arrays(table.columns, schema=kept) for table in tables]
    return [_readable(column) for column in pa.concat_tables(alike).columns]


def _readable(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The column with U+FFFD for what is no UTF-8, which no reader would take."""
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        return pa.chunked_array([_repaired(chunk) for chunk in column.chunks], column.type)
    return column


def _repaired(values: pa.Array) -> pa.Array:
    """The values with readable strings, wherever in structs, lists or categories these stand."""
    kind = values.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        raw = values.cast(pa.large_binary()).to_pylist()
        return pa.array([None if r is None else r.decode("utf-8", "replace") for r in raw], kind)
    if pa.types.is_struct(kind):
        parts = [_repaired(part) for part in values.flatten()]
        return pa.StructArray.from_arrays(parts, fields=list(kind), mask=values.is_null())
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        lengths = values.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
        offsets = pa.array(np.concatenate(([0], np.cumsum(lengths))), _OFFSETS[type(values)])
        items = _repaired(values.flatten())
        return type(values).from_arrays(offsets, items, type=kind, mask=values.is_null())
    if pa.types.is_dictionary(kind):
        return pa.DictionaryArray.from_arrays(values.indices, _repaired(values.dictionary))
    return values


def _row_table(cell: tuple[str, ...] | None, kept: pa.Schema) -> pa.Table:
    values = cell if cell is not None else (None,) * len(kept.names)
    arrays = [pa.array([value], type=field.type) for value, field in zip(values, kept, strict=True)]
    return pa.table(arrays, schema=kept)


def _cleaned(row: Mapping[str, Any], schema: pa.Schema) -> dict[str, Any]:
    cleaned: dict[str, Any] = {}
    for name in schema.names:
        value = row.get(name)
        if isinstance(value, dict) and schema.field(name).type == _TEXT:
            value = json.dumps(value)
        cleaned[name] = _encodable(value)
    for segment in cleaned.get("segments") or [cleaned]:
        for span in segment.get("spans") or []:
            span.setdefault("continues", False)  # JSON says it only where it is true
    check = cleaned.get("headline_check") or {}
    for name in ("source", "cue"):
        if check.get(name):
            check[name].setdefault("continues", False)
    return cleaned


def _encodable(value: Any) -> Any:
    if isinstance(value, str):
        if value.isascii():
            return value
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            return value.translate(SURROGATES)
        return value
    if isinstance(value, dict):
        return {key: _encodable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_encodable(item) for item in value]
    return value
