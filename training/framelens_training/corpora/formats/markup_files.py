"""Files of inline markup (`corpora.markup`): `.markup` or `.mk`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from framelens.schema import AXES
from framelens_training.corpora.findings import Located, Parsed, findings_of
from framelens_training.corpora.formats.base import (
    FormatError,
    bad_bytes,
    decode,
    document_of,
    repeated_ids,
    write_bytes,
)
from framelens_training.corpora.labelled import CorpusError, LabelledDocument
from framelens_training.corpora.markup import format_markup, parse_markup


def parse(path: Path) -> Parsed:
    """Read all articles of a file; each is placed at its `#id:` line."""
    text, findings = decode(path.read_bytes(), str(path))
    lines = text.split("\n")
    findings += [
        fault
        for number, line in enumerate(lines, start=1)
        if (fault := bad_bytes(line, f"{path}:{number}")) is not None
    ]
    if findings and any(f.severity == "error" for f in findings):
        return Parsed((), tuple(findings))
    try:
        documents = parse_markup(text, str(path))
    except CorpusError as fault:
        return Parsed((), (*findings, *findings_of(fault.problems)))
    places = [number for number, line in enumerate(lines, start=1) if line.startswith("#id:")]
    located: list[Located] = []
    for document, number in zip(documents, places, strict=False):
        item, faults = document_of(document.to_dict(), f"{path}:{number}")
        findings += faults
        if item is not None:
            located.append(item)
    return Parsed(tuple(located), (*findings, *repeated_ids(located)))


def write(documents: Sequence[LabelledDocument], path: Path) -> None:
    """Write articles one after the other.

    Raises:
        FormatError: naming each document that markup would not give back as it is.
    """
    parts: list[str] = []
    problems: list[str] = []
    for document in documents:
        part = format_markup(document)
        try:
            same = parse_markup(part) == [document]
        except CorpusError:
            same = False
        if not same:
            problems.append(f"{document.id}: {_reason(document)}")
        parts.append(part)
    if problems:
        raise FormatError(
            f"{path}: expected documents that inline markup can carry (an answer on each annotated "
            "axis, segments that cover the text, spans that lie inside segments and nest), "
            "found others; write .jsonl, which carries everything", problems,
        )  # fmt: skip
    write_bytes(path, "===\n".join(parts).encode("utf-8"))


def _reason(document: LabelledDocument) -> str:
    if not document.segments:
        return "no segments"
    if any(s.weights for s in document.segments) or any(
        segment.axis(axis) is None
        for segment in document.segments
        for axis in AXES
        if axis in document.annotated
    ):
        return "weights, or no answer on an annotated axis"
    return "spacing, segments or spans that markup cannot express"
