"""Which files a run reads: what is named on the command line, and what may be read at all."""

from __future__ import annotations

import csv
import glob
import gzip
import importlib.util
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO, cast

from framelens.errors import InputError, MissingExtraError

STANDARD_INPUT = "-"
JSONL_ENDINGS = (".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz")
CSV_ENDINGS = (".csv", ".csv.gz")
PARQUET_ENDINGS = (".parquet",)
TEXT_ENDINGS = (".txt",)
HTML_ENDINGS = (".html", ".htm")
ALL_ENDINGS = JSONL_ENDINGS + CSV_ENDINGS + PARQUET_ENDINGS + TEXT_ENDINGS + HTML_ENDINGS

UNREADABLE = (OSError, EOFError, csv.Error, zlib.error)
"""What opening and unpacking a damaged file may raise."""

_JOURNAL = "_journal.jsonl"  # of a run's parts


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


def opened(name: str) -> IO[bytes]:
    """The bytes of a file, those that a `.gz` holds."""
    if name.lower().endswith(".gz"):
        return cast(IO[bytes], gzip.open(name, "rb"))
    return Path(name).open("rb")
