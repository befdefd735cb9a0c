"""Writing output rows: JSONL, JSONL.gz, CSV and Parquet, in parts and joined to one file.

What a writer writes depends on the rows alone: not on the time, the host, or how many rows
came at once.
"""

from __future__ import annotations

import csv
import gzip
import io
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, Literal, Protocol

from framelens.errors import MissingExtraError
from framelens.records import Record, to_json
from framelens.rows import (
    COLUMNS,
    SURROGATES,
    Answer,
    composed,
    kept_names,
    table_row,
)
from framelens.schema import RowUnit

Format = Literal["jsonl", "jsonl.gz", "csv", "parquet"]

FORMATS: tuple[Format, ...] = ("jsonl", "jsonl.gz", "csv", "parquet")


class Writer(Protocol):
    """Writes one part."""

    def write(self, record: Record, answer: Answer) -> None:
        """Add the rows of one document."""

    def close(self) -> None:
        """Write what is still held back; the stream stays open."""


class Layout:
    """How the output of a run looks: its format, and its columns if it is a table."""

    def __init__(self, format: Format, rows: RowUnit, *, kept: Any = None) -> None:
        """Take the kept columns (an Arrow schema, or for CSV their names) as cells.

        Raises:
            MissingExtraError: if the format is Parquet and pyarrow is not installed.
        """
        self.format = format
        self.rows = rows
        self.kept = kept
        self._schema: Any = None
        if format == "parquet":
            try:
                from framelens.tabular import output_schema
            except ImportError as error:
                raise MissingExtraError("pyarrow", "batch", "writing Parquet") from error
            self._schema = output_schema(rows, kept)

    def open(self, stream: IO[bytes]) -> Writer:
        """A writer of one part."""
        if self.format == "jsonl":
            return _Jsonl(stream)
        if self.format == "jsonl.gz":
            return _CompressedJsonl(stream)
        if self.format == "csv":
            return _Csv(stream, self.columns)
        return _Parquet(stream, self._schema, self.kept)

    @property
    def columns(self) -> list[str]:
        """The columns of a CSV output."""
        own = list(COLUMNS[self.rows])
        if self.kept is None:
            return own
        return [name for name in own if name != "input"] + kept_names(self.kept, own)

    def join(self, parts: Sequence[Path], stream: IO[bytes]) -> None:
        """Write all parts, in order, as one file."""
        if self.format == "parquet":
            from framelens.tabular import join_parquet

            join_parquet(parts, stream, self._schema)
            return
        head = len(_csv_line(self.columns)) if self.format == "csv" else 0
        for number, part in enumerate(parts):
            with part.open("rb") as source:
                source.seek(head if number else 0)
                shutil.copyfileobj(source, stream, 1 << 20)


class _Jsonl:
    def __init__(self, stream: IO[bytes] | gzip.GzipFile) -> None:
        self._stream = stream

    def write(self, record: Record, answer: Answer) -> None:
        for line in answer.body.split("\n"):
            row = composed(record.id, line, record.kept)
            self._stream.write(row.encode("utf-8") + b"\n")

    def close(self) -> None:
        self._stream.flush()


class _CompressedJsonl(_Jsonl):
    def __init__(self, stream: IO[bytes]) -> None:
        # No name and no time in the header: the same rows give the same bytes.
        self._gzip = gzip.GzipFile("", "wb", compresslevel=6, fileobj=stream, mtime=0)
        super().__init__(self._gzip)

    def close(self) -> None:
        self._gzip.close()


class _Csv:
    def __init__(self, stream: IO[bytes], columns: Sequence[str]) -> None:
        self._stream = stream
        self._columns = columns
        stream.write(_csv_line(columns))

    def write(self, record: Record, answer: Answer) -> None:
        for line in answer.body.split("\n"):
            row = table_row(record.id, line, record.kept)
            values = [row.get(column) for column in self._columns]
            if record.cells is not None:
                own = len(self._columns) - len(record.cells)
                values[own:] = record.cells
            self._stream.write(_csv_line([_csv_text(value) for value in values]))

    def close(self) -> None:
        self._stream.flush()


def _csv_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return to_json(value)


def _csv_line(values: Sequence[str]) -> bytes:
    # The csv module quotes what is in the line's end: both kinds, also where one stands alone.
    line = io.StringIO(newline="")
    csv.writer(line, lineterminator="\r\n").writerow(values)
    return (line.getvalue()[:-2] + "\n").translate(SURROGATES).encode("utf-8")


class _Parquet:
    def __init__(self, stream: IO[bytes], schema: Any, kept: Any) -> None:
        self._stream, self._schema, self._kept = stream, schema, kept
        self._rows: list[dict[str, Any]] = []
        self._cells: list[Any] = []

    def write(self, record: Record, answer: Answer) -> None:
        for line in answer.body.split("\n"):
            self._rows.append(table_row(record.id, line, record.kept))
            self._cells.append(record.cells)

    def close(self) -> None:
        from framelens.tabular import table_of, write_parquet

        # One row group a part: what came at once leaves no trace.
        write_parquet(table_of(self._rows, self._cells, self._schema, self._kept), self._stream)
        self._rows, self._cells = [], []
