"""CSV, TSV and Parquet with one labelled text a row; `rows` tells the columns."""

from __future__ import annotations

import csv
import io
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from framelens_training.corpora.findings import Finding, Located, Parsed, error, warning
from framelens_training.corpora.formats.base import (
    FormatError,
    decode,
    repeated_ids,
    replaced,
    write_bytes,
)
from framelens_training.corpora.formats.rows import (
    COLUMNS,
    column_findings,
    document_from_row,
    label_of,
    refusals,
    row_from_document,
)
from framelens_training.corpora.labelled import LabelledDocument

_QUOTED_FOR_NOTHING = re.compile(r'(?:^|\t)("[^"\t\r\n]+")(?=[\t\r\n]|$)')
_AS_CSV = "if the mark is the text's own, as in the TSV of Google Sheets, save the table as CSV"


def parse(path: Path) -> Parsed:
    """Read `.csv`, `.tsv` or `.parquet`.

    CSV follows RFC 4180, in UTF-8, with a header line; a semicolon may separate the cells. Empty
    lines, and rows of empty cells, are passed over.
    """
    findings: list[Finding] = []
    of_rows: list[Finding] = []
    if path.suffix.lower() == ".parquet":
        columns, rows = _parquet(path, findings)
    else:
        columns, rows = _csv(path, findings, of_rows)
    if not any(f.severity == "error" for f in findings):
        findings += column_findings(columns, f"{path}:1")
    if any(f.severity == "error" for f in findings):
        return Parsed((), (*findings, *of_rows))
    findings += of_rows
    located: list[Located] = []
    for number, row in rows:
        item, faults = document_from_row(row, f"{path}:{number}", f"{path.stem}:{number}")
        findings += faults
        if item is not None:
            located.append(item)
    return Parsed(tuple(located), (*findings, *repeated_ids(located)))


Rows = Iterator[tuple[int, dict[str, Any]]]


def _csv(path: Path, findings: list[Finding], of_rows: list[Finding]) -> tuple[Sequence[str], Rows]:
    """The columns and the rows that can be read, with what is wrong with the file or with rows."""
    text, faults = decode(path.read_bytes(), str(path))
    findings += faults
    lines = list(io.StringIO(text, newline=""))
    delimiter = "\t" if path.suffix.lower() == ".tsv" else _delimiter("".join(lines[:1]))
    # Python's own limit for a cell is below an article's length; `checks` has the real one.
    limit = csv.field_size_limit(sys.maxsize)
    try:
        table = csv.reader(lines, delimiter=delimiter, strict=True)
        columns = next(table, [])
        rows = _csv_rows(lines, table.line_num, delimiter, columns, path, of_rows)
        return columns, iter(rows)
    except csv.Error as fault:
        findings.append(
            error("unreadable", f"{path}:1", "a header line", str(fault),
                  "quote its names as RFC 4180 says")
        )  # fmt: skip
        return [], iter(())
    finally:
        csv.field_size_limit(limit)


def _csv_rows(
    lines: Sequence[str],
    start: int,
    delimiter: str,
    columns: Sequence[str],
    path: Path,
    findings: list[Finding],
) -> list[tuple[int, dict[str, Any]]]:
    """The rows from a line on; behind one that cannot be read, the next line begins a row."""
    rows: list[tuple[int, dict[str, Any]]] = []
    may_be_bare = delimiter == "\t" and not any('"' in header for header in lines[:1])
    while start < len(lines):
        rest = map(lines.__getitem__, range(start, len(lines)))
        table = csv.reader(rest, delimiter=delimiter, strict=True)
        line = start + 1
        try:
            for cells in table:
                own = lines[line - 1 : start + table.line_num]
                if may_be_bare and _makes_one_of_several(own, len(columns)):
                    raise csv.Error(f"a quotation mark that makes one row of {len(own)}")
                if any(cells) and len(cells) != len(columns):
                    findings.append(
                        error("columns", f"{path}:{line}", f"{len(columns)} cells, as in the "
                              "header", f"{len(cells)}", "put a text that holds the separator, a "
                              "line break or a quotation mark in quotation marks")
                    )  # fmt: skip
                elif any(cells):
                    rows.append((line, dict(zip(columns, cells, strict=True))))
                    findings += [
                        warning("quotation-marks", f"{path}:{line}", "the marks of a text doubled, "
                                "in a quoted cell", f"{bare[:40]}, which is read without them",
                                _AS_CSV)
                        for bare in _QUOTED_FOR_NOTHING.findall("".join(own))
                        if may_be_bare
                    ]  # fmt: skip
                line = start + table.line_num + 1
        except csv.Error as fault:
            findings.append(
                error("unreadable", f"{path}:{line}", "cells quoted as RFC 4180 says", str(fault),
                      "close the quotation mark, and double those inside a cell"
                      + (f"; {_AS_CSV}" if may_be_bare else ""))
            )  # fmt: skip
            start = line
        else:
            break
    return rows


def _makes_one_of_several(lines: Sequence[str], cells: int) -> bool:
    """Whether each line of a row would be a row if quotation marks of a TSV meant nothing."""
    return len(lines) > 1 and all(line.count("\t") == cells - 1 for line in lines)


def _delimiter(header: str) -> str:
    return ";" if header.count(";") > header.count(",") else ","


def _parquet(path: Path, findings: list[Finding]) -> tuple[Sequence[str], Rows]:
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(path)
        return table.column_names, enumerate(table.to_pylist(), start=1)
    except UnicodeDecodeError as fault:
        findings.append(
            error("encoding", f"{path}:1", "UTF-8 in all texts", f"{fault.object[:40]!r} in one",
                  "write it again, with texts decoded as what they are")
        )  # fmt: skip
    except (pyarrow.ArrowException, OSError) as fault:
        findings.append(
            error("unreadable", f"{path}:1", "a Parquet file", str(fault), "write it again")
        )
    return [], iter(())


def write(documents: Sequence[LabelledDocument], path: Path) -> None:
    """Write a row a document: with `label` if that says everything, otherwise with the axes.

    Raises:
        FormatError: naming each document that a row cannot carry, and why.
    """
    problems = [
        f"{document.id}: {', '.join(found)}"
        for document in documents
        if (found := refusals(document))
    ]
    if problems:
        raise FormatError(
            f"{path}: expected documents that are one labelled text each, found others; write "
            ".jsonl, which carries everything, or use --explode to write their segments as rows "
            "without spans", problems,
        )  # fmt: skip
    labels = all(label_of(document.segments[0]) for document in documents)
    rows = [row_from_document(document, labels) for document in documents]
    used = {name for row in rows for name in row} | {"text", "label" if labels else "framed"}
    columns = [name for name in COLUMNS if name in used]
    columns += sorted(used.difference(COLUMNS))
    if path.suffix.lower() == ".parquet":
        import pyarrow
        import pyarrow.parquet

        schema = pyarrow.schema([(name, pyarrow.string()) for name in columns])
        with replaced(path) as file:
            pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows, schema=schema), file)
        return
    stream = io.StringIO(newline="")
    table = csv.DictWriter(
        stream, columns, restval="", delimiter="\t" if path.suffix.lower() == ".tsv" else ","
    )
    table.writeheader()
    table.writerows(rows)
    write_bytes(path, stream.getvalue().encode("utf-8"))
