"""Reading what is to be scored: JSONL, CSV, Parquet, plain text, HTML, in input order.

Everything streams, one row in memory at a time. A bad row becomes a named error, never a
missing row; only an input that cannot be opened at all stops a run.
"""

from __future__ import annotations

import csv
import dataclasses
import glob
import gzip
import importlib.util
import io
import json
import math
import os
import re
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Literal, cast

from framelens.errors import InputError, MissingExtraError
from framelens.rows import type_error
from framelens.schema import RowError

STANDARD_INPUT = "-"
JSONL_ENDINGS = (".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz")
CSV_ENDINGS = (".csv", ".csv.gz")
PARQUET_ENDINGS = (".parquet",)
TEXT_ENDINGS = (".txt",)
HTML_ENDINGS = (".html", ".htm")
ALL_ENDINGS = JSONL_ENDINGS + CSV_ENDINGS + PARQUET_ENDINGS + TEXT_ENDINGS + HTML_ENDINGS

_BEFORE_SITE = re.compile(r"\s*\|\s*|\s+(?:[–—―·•«»/-]|--|::)\s+")
_BESIDE_SITE = re.compile(rf"{_BEFORE_SITE.pattern}|:\s+")
_CHARSET = re.compile(rb"charset\s*=\s*[\"']?([\w.:-]{1,40})", re.IGNORECASE)
_RUBRIC_WORDS = 2  # at most; what follows has more than twice as many, or may be a site's name
_TOP_LINES = 5  # of a page's text, among which its heading stands

_JOURNAL = "_journal.jsonl"  # of a run's parts

MAX_ROW_BYTES = 64_000_000
"""Size of a JSON line, a CSV value or a file over which it is an error row, never read whole."""

UNREADABLE = (OSError, EOFError, csv.Error, zlib.error)
"""What opening and unpacking a damaged file may raise."""

Keep = Literal["nothing", "json", "cells"]
"""What comes along with each row: nothing, its other columns as JSON, or as they are."""


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


def expand_inputs(names: Sequence[str], exclude: Sequence[Path] = ()) -> list[str]:
    """The files that the given files, directories and patterns stand for, in order.

    A directory is its readable files and those of its directories, by path, without those
    whose name begins with "." or "_" (as `_SUCCESS` does); `exclude` keeps a run from reading
    its own output.

    Raises:
        InputError: naming every input that is missing, empty or of an unknown kind.
    """
    problems: list[str] = []
    found: list[str] = []
    known = " ".join(ALL_ENDINGS)
    for name in names:
        path = Path(name)
        if name == STANDARD_INPUT:
            found.append(name)
        elif not name:  # as an unset variable of a shell gives; to a path, it is this directory
            problems.append("expected the name of an input, found an empty one")
        elif path.is_dir():
            inside = _in_directory(path, exclude)
            found += inside
            if not inside:
                problems.append(f"{name}: found a directory without any file that ends in {known}")
        elif not path.exists() and glob.has_magic(name):
            # Path.glob takes no absolute pattern.
            matches = sorted(p for p in glob.glob(name, recursive=True) if Path(p).is_file())  # noqa: PTH207
            kept = [
                p
                for p in matches
                if p.lower().endswith(ALL_ENDINGS)
                and Path(p).name != _JOURNAL
                and not _is_below(Path(p), exclude)
            ]
            found += kept
            if not kept:
                problems.append(f"{name}: matches no file that ends in one of {known}")
        elif not path.exists():
            problems.append(f"{name}: no such file")
        elif not name.lower().endswith(ALL_ENDINGS):
            problems.append(f"{name}: expected a file that ends in one of {known}")
        else:
            found.append(name)
    if found.count(STANDARD_INPUT) > 1:
        problems.append("-: expected standard input once, found it more often")
    if problems:
        raise InputError("; ".join(problems))
    if any(name.lower().endswith(HTML_ENDINGS) for name in found):
        _require("trafilatura", "html", "reading HTML pages")
    if any(name.lower().endswith(PARQUET_ENDINGS) for name in found):
        _require("pyarrow", "batch", "reading Parquet")
    return found


def _in_directory(folder: Path, exclude: Sequence[Path]) -> list[str]:
    hidden = (".", "_")
    found: list[str] = []
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or not path.name.lower().endswith(ALL_ENDINGS):
            continue
        inner = path.relative_to(folder).parts
        if any(part.startswith(hidden) or part.endswith(".partial") for part in inner):
            continue
        if _is_below(path, exclude):
            continue
        found.append(str(path))
    return found


def _is_below(path: Path, folders: Sequence[Path]) -> bool:
    """Whether a file is one of these, or lies in one of them, by whatever name it goes."""
    own = path.resolve()
    return any(folder.resolve() in (own, *own.parents) for folder in folders)


def check_apart(inputs: Sequence[str], output: Sequence[Path], option: str = "-o") -> None:
    """Make sure that a run does not write over what it reads.

    Raises:
        InputError: naming the inputs that are the output of this option, or lie in it.
    """
    same = [name for name in inputs if name != STANDARD_INPUT and _is_below(Path(name), output)]
    if same:
        raise InputError(
            f"{', '.join(same[:3])}: expected an output apart from the inputs, found that it would "
            f"be written over; give another {option}"
        )


def _require(package: str, extra: str, purpose: str) -> None:
    if importlib.util.find_spec(package) is None:
        raise MissingExtraError(package, extra, purpose)


def check_file(name: str) -> None:
    """Make sure that an input can be read more than once.

    Raises:
        InputError: if it is a pipe or a device.
    """
    if Path(name).exists() and not Path(name).is_file():
        raise InputError(
            f"{name}: expected a file, which can be read a second time, found a pipe or a device; "
            "write it to a file first, or let framelens score read it as JSONL from -"
        )


def columns_of(name: str, fields: FieldNames) -> list[str] | None:
    """The columns of a CSV or Parquet file; None for inputs whose rows have no fixed columns.

    Raises:
        InputError: if it cannot be read, or lacks the text column or another one that is named.
    """
    lowered = name.lower()
    if lowered.endswith(CSV_ENDINGS + PARQUET_ENDINGS):
        check_file(name)
    try:
        if lowered.endswith(CSV_ENDINGS):
            with opened(name) as raw:
                columns = _header(_csv_rows(_Lines(raw)), name)
        elif lowered.endswith(PARQUET_ENDINGS):
            from framelens.tabular import parquet_columns

            columns = parquet_columns(name)
        else:
            return None
    except UNREADABLE as error:
        raise InputError(f"{name}: cannot be read: {error}") from error
    return check_columns(columns, name, fields)


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
                yield from _csv(stream, name, fields, keep)
            else:
                yield from _jsonl(stream, name, fields, keep)
            if (left := os.fstat(raw.fileno()).st_size) < size:
                raise InputError(
                    f"{name}: expected {size} bytes, as when it was opened, found {left}: it was "
                    "cut short while it was read, and rows may be missing; start again"
                )


def opened(name: str) -> IO[bytes]:
    """The bytes of a file, those that a `.gz` holds."""
    if name.lower().endswith(".gz"):
        return cast(IO[bytes], gzip.open(name, "rb"))
    return Path(name).open("rb")


def _jsonl(stream: IO[bytes], name: str, fields: FieldNames, keep: Keep) -> Iterator[Record]:
    number = 0
    while raw := stream.readline(MAX_ROW_BYTES):
        number += 1
        where = f"{name}:{number}"
        if len(raw) == MAX_ROW_BYTES and not raw.endswith(b"\n"):
            while rest := stream.readline(MAX_ROW_BYTES):
                if rest.endswith(b"\n"):
                    break
            yield Record(where, error=_too_long("a line"))
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


def given_record(value: object, where: str) -> Record:
    """The record of what a caller gives: a text, or a mapping with `text`, `headline` and `id`."""
    row = {"text": value} if isinstance(value, str) else value
    if not isinstance(row, Mapping):
        message = f"expected an object, found {type(row).__name__}"
        return Record(where, error=RowError("bad_row", message))
    return record_of(row, where, FieldNames(), "nothing")


def record_of(row: Mapping[str, Any], where: str, fields: FieldNames, keep: Keep) -> Record:
    """The record of a row that was read: a mapping from column to value.

    A NaN, NaT or NA among the three fields is none: pandas has it where a value is missing.
    """
    text, headline, identifier = (_present(row.get(name)) for name in fields.all)
    if fields.headline == fields.text:  # headlines as texts, which have none themselves
        headline = None
    try:
        own_id = where if identifier is None else str(identifier)
    except (RecursionError, ValueError):
        message = "expected an id that is a string or a number, found a value that has no text"
        return Record(where, error=RowError("bad_id", message))
    try:
        kept = _kept(row, fields) if keep == "json" else None
    except RecursionError:
        message = "expected a flat JSON object, found one nested too deeply to keep"
        return Record(own_id, error=RowError("not_json", message))
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


# The csv module, not pyarrow.csv: there, a row that is longer than a block, or an unclosed
# quotation mark, fails the whole file, and a row of too many values is left out.
def _csv(stream: IO[bytes], name: str, fields: FieldNames, keep: Keep) -> Iterator[Record]:
    lines = _Lines(stream)
    rows = _csv_rows(lines)
    header = check_columns(_header(rows, name), name, fields)
    others = [at for at, column in enumerate(header) if column not in fields.all]
    number = 0
    while True:
        number += 1
        where = f"{name}:{number}"
        try:
            values = next(rows, None)
        except _LongLineError:
            yield Record(where, error=_too_long("a line"))
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


def _header(rows: Iterator[list[str]], name: str) -> list[str]:
    try:
        columns = next(rows, [])
    except _LongLineError:
        raise InputError(f"{name}: {_too_long('a header').message}") from None
    double = sorted({column for column in columns if columns.count(column) > 1})
    if double:
        raise InputError(f"{name}: expected columns of different names, found twice: {double}")
    return columns


def _plain_text(path: Path) -> Record:
    if path.stat().st_size > MAX_ROW_BYTES:
        return Record(str(path), error=_too_long("a file"))
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return Record(str(path), error=not_utf8(error))
    return Record(str(path), {"text": text})


def _page(path: Path) -> Record:
    if path.stat().st_size > MAX_ROW_BYTES:
        return Record(str(path), error=_too_long("a file"))
    return Record(str(path), page=path.read_bytes())


def extract_page(page: bytes) -> dict[str, str] | RowError:
    """Headline and main text of an HTML page; the text does not hold the headline once more.

    Raises:
        MissingExtraError: if the extractor is not installed.
    """
    try:
        import trafilatura
    except ImportError as error:
        raise MissingExtraError("trafilatura", "html", "reading HTML pages") from error
    tree = trafilatura.load_html(_decoded(page))
    whole = "" if tree is None else " ".join((tree.findtext(".//title") or "").split())
    found = trafilatura.bare_extraction(tree, include_comments=False, with_metadata=True)
    row: dict[str, str] = {}
    if found is not None and not isinstance(found, dict):
        site = found.sitename or ""
        if "." in site and " " in site:  # the extractor's guess: a part of the title with a stop
            site = ""
        text = found.text or ""
        title = _without_site(_title(found.title or "", whole, text), site)
        row["text"], headline = _parted(text, title, _without_site(_heading(found), site))
        if headline:
            row["headline"] = headline
    if not row.get("text"):
        message = "expected a page with an article in it, found no main text"
        return RowError("no_main_text", message)
    return row


def _decoded(page: bytes) -> bytes | str:
    """A page as it declares itself, where it is not UTF-8: what is not declared is guessed.

    What calls itself Latin-1 is read as Windows-1252, as browsers read it.
    """
    declared = _CHARSET.search(page, 0, 2048)
    if declared is None:
        return page
    name = declared[1].decode("ascii").lower()
    try:
        page.decode("utf-8")
    except UnicodeDecodeError:
        try:
            return page.decode("cp1252" if name in ("iso-8859-1", "latin1", "us-ascii") else name)
        except (LookupError, UnicodeError):
            return page
    return page


def _title(title: str, whole: str, text: str) -> str:
    """The extractor's title; of the page's whole title the first part, if it took the site's.

    It does so where the first part has a full stop, or where the page's only heading is the site's.
    """
    from framelens.sentences import words_alone

    name = words_alone(title)
    if name in map(words_alone, text.split("\n")[:_TOP_LINES]):
        return title
    for mark in _BEFORE_SITE.finditer(whole):
        first, last = whole[: mark.start()], whole[mark.end() :]
        is_site = len(last.split()) <= 2 * _RUBRIC_WORDS < len(first.split())
        if is_site and words_alone(last) == name:
            return first
    return title


def _without_site(title: str, site: str) -> str:
    """A title without the name of its site at either end, which would be read as a source."""
    from framelens.sentences import words_alone

    name = words_alone(site)
    if not name:
        return title
    for mark in _BESIDE_SITE.finditer(title):
        if words_alone(title[mark.end() :]) == name:
            return title[: mark.start()]
        if words_alone(title[: mark.start()]) == name:
            return title[mark.end() :]
    return "" if words_alone(title) == name else title


def _heading(found: Any) -> str:
    """The first heading of an extracted text that is longer than a rubric."""
    heads = [] if found.body is None else found.body.iter("head")
    texts = (" ".join("".join(h.itertext()).split()) for h in heads if h.get("rend") == "h1")
    return next((text for text in texts if len(text.split()) > _RUBRIC_WORDS), "")


def _parted(text: str, title: str, heading: str) -> tuple[str, str]:
    """A page's text without the line at its top that is its headline, and the headline.

    That line is the page's title, or its heading, which may be worded otherwise. A title that is
    that line and the site's name ("Wall shut | Tarn Courier"), or its rubric ("Opinion | Who shut
    the wall?"), loses the name and the rubric. A line that is all of the text, as on a page of one
    post, stays.
    """
    from framelens.sentences import words_alone

    sites = list(_BEFORE_SITE.finditer(title))
    starts = [0]
    if sites:
        rubric, rest = title[: sites[0].start()].split(), title[sites[0].end() :].split()
        if len(rubric) <= _RUBRIC_WORDS and len(rest) > 2 * _RUBRIC_WORDS:
            starts.append(sites.pop(0).end())
    ends = (len(title), *(site.start() for site in sites[-3:]))
    pieces = (title[start:end] for start in starts for end in ends)
    titles = {words_alone(piece): piece for piece in pieces}
    lines = text.split("\n")
    for headlines in (titles, {words_alone(heading): heading}):
        for number, line in enumerate(lines[:_TOP_LINES]):
            words = words_alone(line)
            if words and words in headlines and len(lines) > 1:
                del lines[number]
                return "\n".join(lines), headlines[words]
    return text, title


def _too_long(what: str) -> RowError:
    return RowError("too_long", f"expected {what} of at most {MAX_ROW_BYTES} bytes, found more")


def not_utf8(error: UnicodeDecodeError) -> RowError:
    """The error of a row whose bytes are no UTF-8."""
    return RowError(
        "not_utf8",
        f"expected UTF-8, found byte {error.object[error.start]:#04x} "
        f"at offset {error.start}; convert the input to UTF-8",
    )
