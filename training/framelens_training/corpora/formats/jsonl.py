"""Labelled JSONL, one document a line: the format that carries everything."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Sequence
from pathlib import Path

from framelens_training.corpora.findings import Located, Parsed, error
from framelens_training.corpora.formats.base import (
    bad_bytes,
    decode,
    document_of,
    repeated_ids,
    strict_json,
    write_bytes,
)
from framelens_training.corpora.labelled import LabelledDocument, jsonl_lines


def parse(path: Path) -> Parsed:
    """Read `.jsonl` or `.jsonl.gz`; empty lines are passed over."""
    raw = path.read_bytes()
    if path.suffix.lower() == ".gz":
        try:
            raw = gzip.decompress(raw)
        except (OSError, EOFError, zlib.error) as fault:
            return Parsed((), (
                error("unreadable", f"{path}:1", "a gzip file", str(fault), "pack it again"),
            ))  # fmt: skip
    text, findings = decode(raw, str(path))
    located: list[Located] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            row = strict_json(line)
        except (ValueError, RecursionError) as fault:
            findings.append(
                bad_bytes(line, where)
                or error("unreadable", where, "one JSON object a line", str(fault),
                         "write each document with a JSON library, on one line")
            )  # fmt: skip
            continue
        broken = bad_bytes(line, where)
        item, faults = (None, [broken]) if broken else document_of(row, where)
        findings += faults
        if item is not None:
            located.append(item)
    return Parsed(tuple(located), (*findings, *repeated_ids(located)))


def write(documents: Sequence[LabelledDocument], path: Path) -> None:
    """Write `.jsonl`, or `.jsonl.gz` with a header that does not change with the time."""
    data = "".join(line + "\n" for line in jsonl_lines(documents)).encode("utf-8")
    write_bytes(path, gzip.compress(data, mtime=0) if path.suffix.lower() == ".gz" else data)
