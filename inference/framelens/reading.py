"""Reading what is to be scored: JSONL, CSV, Parquet, plain text, HTML, in input order.

Everything streams, one row in memory at a time. A bad row becomes a named error, never a
missing row; only an input that cannot be opened at all stops a run.
"""

from __future__ import annotations

import gzip
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from framelens.csv_records import csv_columns, csv_records
from framelens.errors import InputError
from framelens.input_files import (
    CSV_ENDINGS,
    HTML_ENDINGS,
    PARQUET_ENDINGS,
    STANDARD_INPUT,
    TEXT_ENDINGS,
    UNREADABLE,
    check_file,
    opened,
)
from framelens.records import (
    MAX_ROW_BYTES,
    FieldNames,
    Keep,
    Record,
    check_columns,
    not_utf8,
    record_of,
    too_long,
)
from framelens.schema import RowError


@dataclass(slots=True)
class Position:
    """How far the reading has come, in bytes of all inputs; for progress only."""

    total: int = 0
    """0 when it is not known, as with standard input."""
    finished: int = 0
    _tell: Callable[[], int] | None = None

    @property
    def fraction(self) -> float | None:
        """Between 0 and 1, or None when the total is not known."""
        if not self.total:
            return None
        here = self._tell() if self._tell is not None else 0
        return min((self.finished + here) / self.total, 1.0)

    def enter(self, tell: Callable[[], int]) -> None:
        """Begin an input; `tell` says how many of its bytes are behind."""
        self._tell = tell

    def leave(self, size: int) -> None:
        """End an input of this size."""
        self._tell = None
        self.finished += size


def columns_of(name: str, fields: FieldNames) -> list[str] | None:
    """The columns of a CSV or Parquet file; None for inputs whose rows have no fixed columns.

    An empty CSV file has none, and no rows.

    Raises:
        InputError: if it cannot be read, or lacks the text column or another one that is named.
    """
    lowered = name.lower()
    if lowered.endswith(CSV_ENDINGS + PARQUET_ENDINGS):
        check_file(name)
    try:
        if lowered.endswith(CSV_ENDINGS):
            with opened(name) as raw:
                columns = csv_columns(raw, name)
            if not columns:
                return columns
        elif lowered.endswith(PARQUET_ENDINGS):
            from framelens.tabular import parquet_columns

            columns = parquet_columns(name)
        else:
            return None
    except UNREADABLE as error:
        raise InputError(f"{name}: cannot be read: {error}") from error
    return check_columns(columns, name, fields)


def read_records(
    inputs: Sequence[str],
    fields: FieldNames,
    *,
    keep: Keep = "nothing",
    position: Position | None = None,
) -> Iterator[Record]:
    """All rows of all inputs, in order, one in memory at a time.

    Raises:
        InputError: if an input disappears, cannot be opened, or is cut short meanwhile.
    """
    position = position or Position()
    sizes = [0 if name == STANDARD_INPUT else _size(name) for name in inputs]
    position.total = 0 if STANDARD_INPUT in inputs else sum(sizes)
    for name, size in zip(inputs, sizes, strict=True):
        try:
            yield from _read(name, fields, keep, position)
        except UNREADABLE as error:
            raise InputError(f"{name}: cannot be read: {error}") from error
        finally:  # answers to what was read before may still follow
            position.leave(size)


def _size(name: str) -> int:
    try:
        return Path(name).stat().st_size
    except OSError as error:
        raise InputError(f"{name}: cannot be read: {error}") from error


def _read(name: str, fields: FieldNames, keep: Keep, position: Position) -> Iterator[Record]:
    lowered = name.lower()
    if name == STANDARD_INPUT:
        yield from _jsonl(sys.stdin.buffer, "stdin", fields, keep)
    elif lowered.endswith(TEXT_ENDINGS):
        yield _plain_text(Path(name))
    elif lowered.endswith(HTML_ENDINGS):
        yield _page(Path(name))
    elif lowered.endswith(PARQUET_ENDINGS):
        from framelens.tabular import parquet_records

        yield from parquet_records(name, fields, keep, position)
    else:
        with Path(name).open("rb") as raw:
            size = os.fstat(raw.fileno()).st_size
            position.enter(raw.tell)
            stream = cast(IO[bytes], gzip.GzipFile(fileobj=raw)) if lowered.endswith(".gz") else raw
            if lowered.endswith(CSV_ENDINGS):
                yield from csv_records(stream, name, fields, keep)
            else:
                yield from _jsonl(stream, name, fields, keep)
            if (left := os.fstat(raw.fileno()).st_size) < size:
                raise InputError(
                    f"{name}: expected {size} bytes, as when it was opened, found {left}: it was "
                    "cut short while it was read, and rows may be missing; start again"
                )


def _jsonl(stream: IO[bytes], name: str, fields: FieldNames, keep: Keep) -> Iterator[Record]:
    number = 0
    while raw := stream.readline(MAX_ROW_BYTES):
        number += 1
        where = f"{name}:{number}"
        if len(raw) == MAX_ROW_BYTES and not raw.endswith(b"\n"):
            while rest := stream.readline(MAX_ROW_BYTES):
                if rest.endswith(b"\n"):
                    break
            yield Record(where, error=too_long("a line"))
        elif raw.strip():
            yield _json_record(raw, where, fields, keep, first=number == 1)


def _json_record(raw: bytes, where: str, fields: FieldNames, keep: Keep, *, first: bool) -> Record:
    try:
        line = raw.decode("utf-8-sig" if first else "utf-8")
    except UnicodeDecodeError as error:
        return Record(where, error=not_utf8(error))
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        message = f"expected a JSON object: {error.msg} (column {error.colno})"
        return Record(where, error=RowError("not_json", message))
    except RecursionError:
        message = "expected a flat JSON object, found one nested too deeply to read"
        return Record(where, error=RowError("not_json", message))
    except ValueError as error:  # an integer of more digits than Python reads
        return Record(where, error=RowError("not_json", f"expected a JSON object: {error}"))
    if not isinstance(row, dict):
        message = f"expected a JSON object, found {type(row).__name__}"
        return Record(where, error=RowError("bad_row", message))
    return record_of(row, where, fields, keep)


def _plain_text(path: Path) -> Record:
    if path.stat().st_size > MAX_ROW_BYTES:
        return Record(str(path), error=too_long("a file"))
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return Record(str(path), error=not_utf8(error))
    return Record(str(path), {"text": text})


def _page(path: Path) -> Record:
    if path.stat().st_size > MAX_ROW_BYTES:
        return Record(str(path), error=too_long("a file"))
    return Record(str(path), page=path.read_bytes())
