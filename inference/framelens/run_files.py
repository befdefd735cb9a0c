"""The files that a run writes: what they are called, and whether one holds a run's output."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import re
import zlib
from pathlib import Path

from framelens.errors import InputError
from framelens.rows import DOCUMENT_COLUMNS
from framelens.schema import SCHEMA_VERSION

MANIFEST = "_manifest.json"
JOURNAL = "_journal.jsonl"
SUCCESS = "_SUCCESS"
LOCK = "_lock"
TEMPORARY = "_part.tmp"
JOINED = "_joined.tmp"
NAMES = (MANIFEST, JOURNAL, SUCCESS, LOCK, TEMPORARY, JOINED)
_PART = re.compile(r"part-\d{5,}\.(?:jsonl|jsonl\.gz|csv|parquet)")

_FIRST_COLUMNS = DOCUMENT_COLUMNS[:3]  # of every output, with one row a segment too
_JSONL_HEAD = f'{{"schema": {SCHEMA_VERSION}, "id": '.encode()
_CSV_HEAD = ",".join(_FIRST_COLUMNS).encode()
_GZIP_HEAD = b"\x1f\x8b"
_PARQUET_HEAD = b"PAR1"


def real_path(path: Path) -> Path:
    """Where a name leads, links followed; of links in a circle, one of them."""
    return Path(os.path.realpath(path))


def is_part(name: str) -> bool:
    """Whether a file is called as a part of a run is."""
    return _PART.fullmatch(name) is not None


def partial_of(target: Path) -> Path:
    """Where the parts of one output file live until it is complete."""
    return target.parent / f"{target.name}.partial"


def is_of_run(path: Path, target: Path) -> bool:
    """Whether a run with this output, a file or a directory, writes a file of this name."""
    path, target = real_path(path), real_path(target)
    if path.parent == target:
        return path.name in NAMES or is_part(path.name)
    return path == target or partial_of(target) in (path, *path.parents)


def is_earlier_output(path: Path, target: Path) -> bool:
    """Whether an earlier run with this output has written a file, or it holds nothing yet."""
    if not is_of_run(path, target):
        return False
    path, target = real_path(path), real_path(target)
    if path == target:
        return _holds_output(path)
    return path.parent != target or is_run_folder(target)


def is_run_folder(folder: Path) -> bool:
    """Whether a directory holds the parts of a run, by its manifest."""
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(manifest, dict) and "framelens" in manifest


def _holds_output(path: Path) -> bool:
    """Whether a file begins as outputs do, or there is nothing in it."""
    if not path.exists():
        return True
    try:
        head = _head(path)
    except (OSError, EOFError, zlib.error):
        return False
    if head.startswith(_PARQUET_HEAD):
        return _first_columns(path) == [*_FIRST_COLUMNS]
    return not head or head.startswith((_JSONL_HEAD, _CSV_HEAD))


def _head(path: Path) -> bytes:
    with path.open("rb") as stream:
        head = stream.read(len(_JSONL_HEAD))
    if not head.startswith(_GZIP_HEAD):
        return head
    with gzip.open(path, "rb") as unpacked:
        return unpacked.read(len(_JSONL_HEAD))


def _first_columns(path: Path) -> list[str]:
    """The first columns of a Parquet file; none where it cannot be read."""
    with contextlib.suppress(ImportError, InputError):
        from framelens.tabular import parquet_columns

        return parquet_columns(str(path))[: len(_FIRST_COLUMNS)]
    return []
