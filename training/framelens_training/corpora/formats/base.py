"""What the formats share: text encodings, ids, and the refusal to write what would be lost."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from framelens.parts import replacing
from framelens_training.corpora.findings import (
    Finding,
    Located,
    error,
    findings_of,
    warning,
)
from framelens_training.corpora.labelled import LabelledDocument, parse_document
from framelens_training.errors import TrainingError

_SHOWN = 10
_WIDE_MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}


class FormatError(TrainingError):
    """Documents that a format cannot carry, or a path that has no format."""

    def __init__(self, what: str, problems: Sequence[str] = ()) -> None:
        self.problems = tuple(problems)
        lines = "".join(f"\n  {problem}" for problem in self.problems[:_SHOWN])
        more = len(self.problems) - _SHOWN
        super().__init__(what + lines + (f"\n  and {more} more" if more > 0 else ""))


def decode(raw: bytes, where: str) -> tuple[str, list[Finding]]:
    """Bytes of a file as text; bytes that are not UTF-8 become lone surrogates.

    So the rows around a bad byte can still be read; `bad_bytes` tells whether a row has one.
    A byte-order mark at the start is taken off, with a warning.
    """
    wide = _WIDE_MARKS.get(raw[:2])
    if wide is not None:
        return "", [
            error("encoding", f"{where}:1", "UTF-8", f"the byte-order mark of {wide}",
                  "save the file as UTF-8")
        ]  # fmt: skip
    text = raw.decode("utf-8", "surrogateescape")
    if not text.startswith("\ufeff"):
        return text, []
    return text[1:], [
        warning("byte-order-mark", f"{where}:1", "UTF-8 without a byte-order mark", "one",
                "nothing is lost: it is not counted; save the file without it")
    ]  # fmt: skip


def bad_bytes(text: str, where: str) -> Finding | None:
    """An error if a text holds bytes that `decode` could not read."""
    at = next((i for i, c in enumerate(text) if "\udc80" <= c <= "\udcff"), None)
    if at is None:
        return None
    byte = ord(text[at]) - 0xDC00
    guess = bytes([byte]).decode("cp1252", "replace")
    return error(
        "encoding",
        where,
        "UTF-8",
        f"the byte {byte:#04x} after {text[max(0, at - 20) : at]!r}",
        f"convert the row to UTF-8 (in Windows-1252 the byte is {guess!r})",
    )


def document_of(row: Mapping[str, Any], where: str) -> tuple[Located | None, list[Finding]]:
    """A row of labelled JSONL as a document in its place, or every fault of it."""
    document, problems = parse_document(row, where)
    findings = findings_of(problems)
    return (None if document is None else Located(document, where)), findings


def repeated_ids(located: Iterable[Located]) -> list[Finding]:
    """An error for each id that stands in a file twice."""
    first: dict[str, str] = {}
    findings: list[Finding] = []
    for item in located:
        name = item.document.id
        if name in first:
            findings.append(
                error("duplicate-id", item.where, "an id that no other document has",
                      f"{name!r}, which stands in {first[name]} as well",
                      "give each document an id of its own")
            )  # fmt: skip
        first.setdefault(name, item.where)
    return findings


def strict_json(text: str) -> Any:
    """JSON without the liberties of Python's reader.

    Raises:
        ValueError: if it is not JSON, has NaN or an infinity in it, or a key twice.
    """
    return json.loads(text, parse_constant=_no_constant, object_pairs_hook=_distinct)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name}, which is no JSON")


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(n for n in names if names.count(n) > 1)!r} twice")
    return found


def refuse_surrogates(documents: Iterable[LabelledDocument]) -> None:
    """No format here can hold half of a surrogate pair.

    Raises:
        FormatError: naming the documents that hold one.
    """
    problems = [
        f"{document.id!a}: half of a surrogate pair"
        for document in documents
        if not _encodable(json.dumps(document.to_dict(), ensure_ascii=False))
    ]
    if problems:
        raise FormatError(
            "expected text that can be written as UTF-8; replace the broken characters "
            "(corpora check --fix does it)", problems
        )  # fmt: skip


def _encodable(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


@contextmanager
def replaced(path: Path) -> Iterator[IO[bytes]]:
    """A stream into a file that takes the place of `path`, whole, as the block ends.

    Its folder is made. What is no file, such as a pipe, is written to itself.
    """
    path = path.resolve()
    if path.exists() and not path.is_file():
        with path.open("wb") as stream:
            yield stream
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as stream:
        yield stream


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file, whole or not at all, its folder included."""
    with replaced(path) as stream:
        stream.write(data)
