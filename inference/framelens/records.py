"""Reading what is to be scored: JSONL, plain text, HTML; a bad row becomes a named error."""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from framelens.errors import InputError, MissingExtraError
from framelens.schema import RowError

STANDARD_INPUT = "-"
JSONL_ENDINGS = (".jsonl", ".jsonl.gz", ".ndjson")
TEXT_ENDINGS = (".txt",)
HTML_ENDINGS = (".html", ".htm")


@dataclass(frozen=True, slots=True)
class FieldNames:
    """What the fields are called in the input."""

    text: str = "text"
    headline: str = "headline"
    id: str = "id"


@dataclass(frozen=True, slots=True)
class Record:
    """One input row: what to score, or why it cannot be.

    `extracted` is true when headline and text were drawn out of a page, so that they stand
    in no input field.
    """

    id: str
    row: Mapping[str, Any] | None = None
    error: RowError | None = None
    extracted: bool = False


def check_inputs(inputs: Sequence[str]) -> None:
    """Refuse inputs that cannot be read at all, before any work is done.

    Raises:
        InputError: naming every input that is missing or of an unknown kind.
    """
    problems: list[str] = []
    for name in inputs:
        if name == STANDARD_INPUT:
            continue
        path = Path(name)
        if not path.exists():
            problems.append(f"{name}: no such file")
        elif path.is_dir():
            problems.append(f"{name}: expected a file, found a directory")
        elif not name.lower().endswith(JSONL_ENDINGS + TEXT_ENDINGS + HTML_ENDINGS):
            known = " ".join(JSONL_ENDINGS + TEXT_ENDINGS + HTML_ENDINGS)
            problems.append(f"{name}: expected a file that ends in one of {known}")
    if problems:
        raise InputError("; ".join(problems))


def read_records(inputs: Sequence[str], fields: FieldNames) -> Iterator[Record]:
    """All rows of all inputs, in order, one in memory at a time.

    Raises:
        InputError: if an input disappears or cannot be opened.
        MissingExtraError: if a page is given and the extractor is not installed.
    """
    for name in inputs:
        lowered = name.lower()
        try:
            if name == STANDARD_INPUT:
                yield from _jsonl(sys.stdin.buffer, "stdin", fields)
            elif lowered.endswith(JSONL_ENDINGS):
                opener = gzip.open if lowered.endswith(".gz") else open
                with opener(name, "rb") as stream:
                    yield from _jsonl(stream, name, fields)
            elif lowered.endswith(TEXT_ENDINGS):
                yield _plain_text(Path(name))
            else:
                yield _page(Path(name))
        except (OSError, EOFError) as error:
            raise InputError(f"{name}: cannot be read: {error}") from error


def _jsonl(stream: IO[bytes] | gzip.GzipFile, name: str, fields: FieldNames) -> Iterator[Record]:
    for number, raw in enumerate(stream, start=1):
        if raw.strip():
            yield _json_record(raw, f"{name}:{number}", fields, first=number == 1)


def _json_record(raw: bytes, where: str, fields: FieldNames, *, first: bool) -> Record:
    try:
        line = raw.decode("utf-8-sig" if first else "utf-8")
    except UnicodeDecodeError as error:
        return Record(where, error=_not_utf8(error))
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        message = (
            f"expected a JSON object, found something else: {error.msg} (column {error.colno})"
        )
        return Record(where, error=RowError("not_json", message))
    except RecursionError:
        message = "expected a flat JSON object, found one nested too deeply to read"
        return Record(where, error=RowError("not_json", message))
    if not isinstance(row, dict):
        message = f"expected a JSON object, found {type(row).__name__}"
        return Record(where, error=RowError("bad_row", message))
    identifier = row.get(fields.id)
    if fields.text not in row:
        found = ", ".join(sorted(row)) or "nothing"
        message = f"expected a field {fields.text!r}, found {found}"
        error_id = where if identifier is None else str(identifier)
        return Record(error_id, error=RowError("missing_text", message))
    picked = {"text": row[fields.text], "headline": row.get(fields.headline), "id": identifier}
    return Record(where, picked)


def _plain_text(path: Path) -> Record:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return Record(str(path), error=_not_utf8(error))
    return Record(str(path), {"text": text})


def _page(path: Path) -> Record:
    try:
        import trafilatura
    except ImportError as error:
        raise MissingExtraError("trafilatura", "html", f"reading {path}") from error
    page = path.read_bytes()
    found = trafilatura.bare_extraction(page, include_comments=False, with_metadata=True)
    if found is None or isinstance(found, dict) or not found.text:
        message = "expected a page with an article in it, found no main text"
        return Record(str(path), error=RowError("no_main_text", message))
    return Record(str(path), {"text": found.text, "headline": found.title}, extracted=True)


def _not_utf8(error: UnicodeDecodeError) -> RowError:
    return RowError(
        "not_utf8",
        f"expected UTF-8, found byte {error.object[error.start]:#04x} "
        f"at offset {error.start}; convert the input to UTF-8",
    )
