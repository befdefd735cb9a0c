"""Rows that were scored before, read back: JSONL and Parquet, one row a document."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

from framelens.documents import document_of, object_of
from framelens.errors import InputError, MissingExtraError
from framelens.input_files import (
    CSV_ENDINGS,
    JSONL_ENDINGS,
    PARQUET_ENDINGS,
    UNREADABLE,
    check_file,
    opened,
)
from framelens.records import MAX_ROW_BYTES
from framelens.schema import (
    SCHEMA_VERSION,
    Document,
)

_OWN = frozenset(
    ("schema", "id", "status", "error", "model", "segments", "summary", "headline_check", "input")
)
_SIGNS = frozenset(("schema", "status", "segments"))  # what tells a scored row from an article


def is_scored(name: str) -> bool:
    """Whether a file holds scored rows, by the first row of JSONL or the columns of Parquet.

    Raises:
        InputError: if it was written with `--explode` or `--attributions`, or as CSV, or cannot be
            read.
        MissingExtraError: if reading Parquet needs an extra that is not installed.
    """
    check_file(name)
    lowered = name.lower()
    try:
        if lowered.endswith(PARQUET_ENDINGS):
            from framelens.tabular import parquet_columns

            keys = set(parquet_columns(name))
        elif lowered.endswith(JSONL_ENDINGS):
            keys = set(_first_row(name))
        elif lowered.endswith(CSV_ENDINGS):
            keys = _header(name)
            if keys >= {"schema", "status", "id"}:
                raise InputError(
                    f"{name}: expected articles, or scored rows as JSONL or Parquet, found scored "
                    "rows as CSV; score again with -o FILE.jsonl or -o FILE.parquet"
                )
        else:
            return False
    except ImportError as error:
        raise MissingExtraError("pyarrow", "batch", "reading Parquet") from error
    except UNREADABLE as error:
        raise InputError(f"{name}: cannot be read: {error}") from error
    if {"schema", "label", "model_name"} <= keys:
        is_attribution = {"content_start", "source_segment"} <= keys
        unit = "an attribution" if is_attribution else "a segment"
        option = "--attributions" if is_attribution else "--explode"
        raise InputError(
            f"{name}: expected one row a document, found one row {unit}; score again without "
            f"{option}"
        )
    return keys >= _SIGNS


def _first_row(name: str) -> Mapping[str, Any]:
    with opened(name) as stream:
        for raw in iter(lambda: stream.readline(MAX_ROW_BYTES), b""):
            if raw.strip():
                try:
                    row = json.loads(raw.decode("utf-8-sig"))
                except (ValueError, RecursionError):
                    return {}
                return row if isinstance(row, dict) else {}
    return {}


def _header(name: str) -> set[str]:
    with opened(name) as stream:
        line = stream.readline(MAX_ROW_BYTES).decode("utf-8-sig", "replace")
    return set(next(csv.reader([line]), []))


def read_scored(name: str) -> Iterator[tuple[Document, Mapping[str, Any]]]:
    """Each row of a file as a document and its other columns, one in memory at a time.

    Raises:
        InputError: naming the first row that is no scored row of this version.
    """
    rows = _parquet_rows if name.lower().endswith(PARQUET_ENDINGS) else _jsonl_rows
    for number, row in rows(name):
        try:
            yield document_of(row), _columns(row)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise InputError(
                f"{name}:{number}: expected a row that framelens score wrote (schema "
                f"{SCHEMA_VERSION}), found {type(error).__name__}: {error}"
            ) from error


def _jsonl_rows(name: str) -> Iterator[tuple[int, Any]]:
    """The rows with the numbers of their lines."""
    number = 0
    try:
        with opened(name) as stream:
            for number, raw in enumerate(stream, 1):
                if raw.strip():
                    line = raw.decode("utf-8-sig" if number == 1 else "utf-8")
                    # NaN, where a table of pandas was written row by row.
                    yield number, json.loads(line, parse_constant=lambda _: None)
    except (*UNREADABLE, ValueError, RecursionError) as error:
        raise InputError(f"{name}:{number}: expected JSON in UTF-8: {error}") from error


def _parquet_rows(name: str) -> Iterator[tuple[int, Any]]:
    try:
        import pyarrow as pa

        from framelens.tabular import parquet_file, python_rows, row_batches
    except ImportError as error:
        raise MissingExtraError("pyarrow", "batch", "reading Parquet") from error
    try:
        with parquet_file(name) as file:
            batches = row_batches(file)
            yield from enumerate(chain.from_iterable(map(python_rows, batches)), 1)
    except (pa.ArrowException, *UNREADABLE) as error:
        raise InputError(f"{name}: cannot be read: {error}") from error


def _columns(row: Mapping[str, Any]) -> dict[str, Any]:
    """The columns that `--keep` passed through, from wherever the format put them."""
    kept = object_of(row.get("input")) or {}
    own = {key: value for key, value in row.items() if key not in _OWN}
    own = {key.removeprefix("input_") if key[6:] in _OWN else key: v for key, v in own.items()}
    return {**kept, **own}
