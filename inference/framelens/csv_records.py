"""The rows of CSV files as records.

With the csv module, not pyarrow.csv: there, a row that is longer than a block, or an unclosed
quotation mark, fails the whole file, and a row of too many values is left out.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import replace
from typing import IO, Any

from framelens.errors import InputError
from framelens.records import (
    MAX_ROW_BYTES,
    FieldNames,
    Keep,
    Record,
    check_columns,
    distinct,
    not_utf8,
    record_of,
    too_long,
)
from framelens.schema import RowError


def csv_columns(stream: IO[bytes], name: str) -> list[str]:
    """The names in the header of a CSV file, its first line that is not blank; none if it is empty.

    Raises:
        InputError: if two columns have one name, or the header is over `MAX_ROW_BYTES`.
    """
    return _header(_csv_rows(_Lines(stream)), name)


def csv_records(stream: IO[bytes], name: str, fields: FieldNames, keep: Keep) -> Iterator[Record]:
    """The rows below the header, one in memory at a time.

    Raises:
        InputError: as `csv_columns`, or if the header lacks a column that is needed.
    """
    lines = _Lines(stream)
    rows = _csv_rows(lines)
    header = _header(rows, name)
    if not header:
        return
    check_columns(header, name, fields)
    others = [at for at, column in enumerate(header) if column not in fields.all]
    number = 0
    while True:
        number += 1
        where = f"{name}:{number}"
        try:
            values = next(rows, None)
        except _LongLineError:
            yield Record(where, error=too_long("a line"))
            continue
        except csv.Error as error:
            message = f"expected a CSV row: {error}; is a quotation mark left open?"
            yield Record(where, error=RowError("bad_row", message))
            continue
        if values is None:
            return
        if lines.ended:  # the row has asked for one more line
            message = (
                "expected a CSV row, found a quotation mark that is left open: what follows it, to "
                "the end of the file, is one value"
            )
            yield Record(where, error=RowError("bad_row", message))
            return
        if not values:
            number -= 1  # a blank line is no row
            continue
        if len(values) != len(header):
            message = f"expected {len(header)} values, as in the header, found {len(values)}"
            yield Record(where, error=RowError("bad_row", message))
            continue
        yield _csv_record(values, header, others, where, fields, keep)


def _csv_record(
    values: list[str],
    header: list[str],
    others: list[int],
    where: str,
    fields: FieldNames,
    keep: Keep,
) -> Record:
    faults: dict[str, RowError] = {}
    for at, value in enumerate(values):
        if not value.isascii():
            try:
                value.encode("utf-8")
            except UnicodeEncodeError:
                raw = value.encode("utf-8", "surrogateescape")
                faults[header[at]] = _first_fault(raw)
                values[at] = raw.decode("utf-8", "replace")
    cells = tuple(values[at] for at in others) if keep == "cells" else None
    row: dict[str, Any] = dict(zip(header, values, strict=True))
    if not row.get(fields.id) or fields.id in faults:
        row.pop(fields.id, None)
    if not row.get(fields.headline) and fields.headline != fields.text:
        row.pop(fields.headline, None)  # CSV has no null: an empty value is none
    record = record_of(row, where, fields, keep)
    if faults:
        record = replace(record, row=None, error=next(iter(faults.values())))
    return replace(record, cells=cells)


def _first_fault(raw: bytes) -> RowError:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as error:
        return not_utf8(error)
    return RowError("not_utf8", "expected UTF-8, found lone surrogates")


def _csv_rows(lines: _Lines) -> Iterator[list[str]]:
    if csv.field_size_limit() < MAX_ROW_BYTES:
        csv.field_size_limit(MAX_ROW_BYTES)
    return csv.reader(lines)


def _header(rows: Iterator[list[str]], name: str) -> list[str]:
    try:
        columns = next(filter(None, rows), [])
    except _LongLineError:
        raise InputError(f"{name}: {too_long('a header').message}") from None
    return distinct(columns, name)


class _LongLineError(Exception):
    """A line over the limit; it was skipped."""


class _Lines:
    """The lines of a CSV file, none over `MAX_ROW_BYTES` characters in memory."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.ended = False
        # Not closed with the wrapper: the stream belongs to the caller.
        self._text = io.TextIOWrapper(
            io.BufferedReader(_Unclosed(stream)),
            encoding="utf-8-sig",
            errors="surrogateescape",
            newline="",
        )

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._text.readline(MAX_ROW_BYTES)
        if not line:
            self.ended = True
            raise StopIteration
        if len(line) < MAX_ROW_BYTES or line.endswith(("\n", "\r")):
            return line
        while (rest := self._text.readline(MAX_ROW_BYTES)) and not rest.endswith(("\n", "\r")):
            pass
        raise _LongLineError


class _Unclosed(io.RawIOBase):
    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        found = self._stream.read(len(buffer))
        buffer[: len(found)] = found
        return len(found)
