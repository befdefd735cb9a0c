"""What is to be scored, row by row: a record for each, whatever is wrong with it."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import json
import math
import numbers
import re
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from framelens.errors import InputError
from framelens.rows import type_error
from framelens.schema import RowError

MAX_ROW_BYTES = 64_000_000
"""Size of a JSON line, a CSV value or a file over which it is an error row, never read whole."""

Keep = Literal["nothing", "json", "cells"]
"""What comes along with each row: nothing, its other columns as JSON, or as they are."""

_ID_TYPES = (str, numbers.Real, decimal.Decimal, uuid.UUID, datetime.date)
_EXACT = 2**53  # from here on, not every whole number is a float
_BLOCK_MARKUP = re.compile(r"</(?:p|div)\s*>|<br\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class FieldNames:
    """What the fields are called in the input."""

    text: str = "text"
    headline: str = "headline"
    id: str = "id"

    @property
    def all(self) -> tuple[str, str, str]:
        """The three names."""
        return self.text, self.headline, self.id

    def missing_from(self, columns: Sequence[str]) -> str | None:
        """The first field without a column: the text, or one that was given a name of its own."""
        for field in dataclasses.fields(self):
            name = getattr(self, field.name)
            if name not in columns and (field.name == "text" or name != field.default):
                return field.name
        return None


@dataclass(frozen=True, slots=True)
class Record:
    """One input row: what to score (`row` or `page`), or why it cannot be (`error`).

    `row` has the keys `text` and `headline`, whose values may still be of a wrong type;
    `page` is the bytes of an HTML page. `kept` is a JSON object of the other columns, `cells`
    their values (a tuple of strings, or an Arrow table of one row).
    """

    id: str
    row: Mapping[str, Any] | None = None
    page: bytes | None = None
    error: RowError | None = None
    kept: str | None = None
    cells: Any = None

    @property
    def kept_size(self) -> int:
        """About how much there is of the other columns."""
        if isinstance(self.cells, tuple):
            return sum(map(len, self.cells))
        columns = () if self.cells is None else self.cells.columns
        # What a column of categories chooses from is there once for many rows.
        own = (getattr(chunk, "indices", chunk) for column in columns for chunk in column.chunks)
        return len(self.kept or "") + sum(int(chunk.nbytes) for chunk in own)

    @property
    def has_markup(self) -> bool:
        """Whether its text is HTML: a paragraph ends in it, or a line is broken."""
        text = None if self.row is None else self.row.get("text")
        return isinstance(text, str) and _BLOCK_MARKUP.search(text) is not None


def distinct(columns: list[str], name: str) -> list[str]:
    """The columns of a file, no two of which have one name.

    Raises:
        InputError: naming those that stand there twice.
    """
    double = sorted(column for column, count in Counter(columns).items() if count > 1)
    if double:
        raise InputError(f"{name}: expected columns of different names, found twice: {double}")
    return columns


def check_columns(columns: list[str], name: str, fields: FieldNames) -> list[str]:
    """The columns of a file, which has those that its rows need.

    Raises:
        InputError: if it lacks the text column, or another field that was named.
    """
    missing = fields.missing_from(columns)
    if missing is None:
        return columns
    if any("\0" in column for column in columns):
        raise InputError(f"{name}: expected UTF-8, found another encoding; save it as UTF-8")
    raise InputError(
        f"{name}: expected a column {getattr(fields, missing)!r}, found "
        f"{', '.join(columns) or 'nothing'}; {_advice(columns, missing)}"
    )


def _advice(columns: Sequence[str], missing: str) -> str:
    if len(columns) == 1 and any(mark in columns[0] for mark in ";\t|"):
        return "save it with commas between its columns"
    return f"name it with --{missing}-field"


def given_record(value: object, where: str) -> Record:
    """The record of what a caller gives: a text, or a mapping with `text`, `headline` and `id`."""
    row = {"text": value} if isinstance(value, str) else value
    if not isinstance(row, Mapping):
        message = f"expected a text or a mapping with one, found {type(row).__name__}"
        return Record(where, error=RowError("bad_row", message))
    return record_of(row, where, FieldNames(), "nothing")


def record_of(row: Mapping[str, Any], where: str, fields: FieldNames, keep: Keep) -> Record:
    """The record of a row that was read: a mapping from column to value.

    A NaN, NaT or NA among the three fields is none: pandas has it where a value is missing.
    """
    text, headline, identifier = (_present(row.get(name)) for name in fields.all)
    if fields.headline == fields.text:  # headlines as texts, which have none themselves
        headline = None
    own_id = where if identifier is None else id_of(identifier)
    try:
        kept = _kept(row, fields) if keep == "json" else None
    except RecursionError:
        message = "expected a flat JSON object, found one nested too deeply to keep"
        return Record(own_id or where, error=RowError("not_json", message))
    if own_id is None:
        kind = type(identifier).__name__
        message = f"expected {fields.id!r} to be a string, a number or a date, found {kind}"
        return Record(where, error=RowError("bad_id", message), kept=kept)
    if fields.text not in row:
        found = ", ".join(sorted(map(str, row))) or "nothing"
        message = f"expected a field {fields.text!r}, found {found}"
        return Record(own_id, error=RowError("missing_text", message), kept=kept)
    problem = type_error(text, headline, (fields.text, fields.headline))
    if problem is not None:
        return Record(own_id, error=problem, kept=kept)
    # What has a class of its own, as texts of a parsed page have, cannot be sent to a worker.
    plain = {"text": str.__str__(text), "headline": headline and str.__str__(headline)}
    return Record(own_id, plain, kept=kept)


def id_of(value: Any) -> str | None:
    """The id that a value stands for: None if it is of another type than ids are."""
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        return str(int(value))  # as pandas reads a column of whole numbers with a gap
    if isinstance(value, decimal.Decimal) and value.is_finite() and -_EXACT < value < _EXACT:
        whole = value.to_integral_value()
        return str(int(whole) if whole == value else value)
    try:
        if isinstance(value, bytes):
            return value.decode("utf-8")
        is_id = isinstance(value, _ID_TYPES) and not isinstance(value, bool)
        return str(value) if is_id else None
    except ValueError:  # bytes that are no UTF-8, an integer of more digits than Python writes
        return None


def _present(value: Any) -> Any:
    if isinstance(value, float):
        return None if math.isnan(value) else value
    return None if type(value).__name__ in ("NAType", "NaTType") else value


def _kept(row: Mapping[str, Any], fields: FieldNames) -> str:
    others = {key: value for key, value in row.items() if key not in fields.all}
    return to_json(others)


def to_json(value: Any) -> str:
    """JSON that every parser reads: no NaN, and valid UTF-8 although it may hold surrogates.

    Dates become ISO 8601, bytes base64, other values their text.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, default=_plain)
    except ValueError:
        text = json.dumps(_finite(value), ensure_ascii=False, default=_plain)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(json.loads(text))
    return text


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        import base64

        return base64.b64encode(value).decode("ascii")
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def too_long(what: str) -> RowError:
    """The error of what is over `MAX_ROW_BYTES`."""
    return RowError("too_long", f"expected {what} of at most {MAX_ROW_BYTES} bytes, found more")


def not_utf8(error: UnicodeDecodeError) -> RowError:
    """The error of a row whose bytes are no UTF-8."""
    return RowError(
        "not_utf8",
        f"expected UTF-8, found byte {error.object[error.start]:#04x} "
        f"at offset {error.start}; convert the input to UTF-8",
    )
