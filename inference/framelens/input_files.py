"""Which files a run reads: what is named on the command line, and what may be read at all."""

from __future__ import annotations

import csv
import glob
import gzip
import importlib.util
import os
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, cast

from framelens.errors import InputError, MissingExtraError
from framelens.run_files import JOURNAL, SUCCESS, is_part, is_run_folder, real_path

STANDARD_INPUT = "-"
JSONL_ENDINGS = (".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz")
CSV_ENDINGS = (".csv", ".csv.gz")
PARQUET_ENDINGS = (".parquet",)
TEXT_ENDINGS = (".txt",)
HTML_ENDINGS = (".html", ".htm")
ALL_ENDINGS = JSONL_ENDINGS + CSV_ENDINGS + PARQUET_ENDINGS + TEXT_ENDINGS + HTML_ENDINGS

UNREADABLE = (OSError, EOFError, csv.Error, zlib.error)
"""What opening and unpacking a damaged file may raise."""


def _nothing(_: Path) -> bool:
    return False


def expand_inputs(names: Sequence[str], is_output: Callable[[Path], bool] = _nothing) -> list[str]:
    """The files that the given files, directories and patterns stand for, in order.

    A directory is its readable files and those of its directories, by path, without those
    whose name begins with "." or "_" (as `_SUCCESS` does); `is_output` keeps a run from reading
    what it has written before.

    Raises:
        InputError: naming every input that is missing, empty, unfinished or of an unknown kind,
            and every directory that cannot be listed.
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
        elif path.is_dir() or (not path.exists() and glob.has_magic(name)):
            listed = _in_directory(path) if path.is_dir() else _matching(name)
            files, wrong = _chosen(name, *listed, is_output)
            found += files
            problems += wrong
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


def _in_directory(folder: Path) -> tuple[list[str], list[str]]:
    """What is below a directory and is no directory, and what of it cannot be listed."""
    errors: list[OSError] = []
    found: list[Path] = []
    for at, folders, names in os.walk(folder, onerror=errors.append):
        folders[:] = [name for name in folders if not _is_hidden(name)]
        found += [Path(at, name) for name in names if not _is_hidden(name)]
    return [str(path) for path in sorted(found)], [str(error.filename) for error in errors]


def _is_hidden(name: str) -> bool:
    return name.startswith((".", "_")) or name.endswith(".partial")


def _matching(pattern: str) -> tuple[list[str], list[str]]:
    """What matches a pattern, and the directories on its way that cannot be listed."""
    # Path.glob takes no absolute pattern.
    found = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207
    pieces = (Path(pattern), *Path(pattern).parents)
    searched = {piece.parent for piece in pieces if glob.has_magic(piece.name)}
    searched |= {piece for piece in pieces if piece.name == "**"}
    on_the_way = {
        folder
        for each in searched
        for folder in glob.glob(str(each), recursive=True)  # noqa: PTH207
    }
    unlisted = [folder for folder in sorted(on_the_way) if not _can_be_listed(folder)]
    return [path for path in found if Path(path).name != JOURNAL], unlisted


def _can_be_listed(path: str) -> bool:
    """Whether it is a directory whose files can be found, or no directory."""
    try:
        os.scandir(path).close()
    except OSError:
        return not Path(path).is_dir()
    return True


def _chosen(
    name: str, paths: Sequence[str], unlisted: Sequence[str], is_output: Callable[[Path], bool]
) -> tuple[list[str], list[str]]:
    """The files that a directory or pattern stands for, and what is wrong with it."""
    known = [p for p in paths if p.lower().endswith(ALL_ENDINGS) and not os.path.isdir(p)]  # noqa: PTH112 - never raises
    kept = [path for path in known if not is_output(Path(path))]
    files = [path for path in kept if os.path.isfile(path)]  # noqa: PTH113
    folders = dict.fromkeys(Path(path).parent for path in files if is_part(Path(path).name))
    problems = [f"{folder}: found a directory that cannot be listed" for folder in unlisted]
    problems += [
        f"{path}: found a file that cannot be reached" for path in kept if path not in files
    ]
    problems += [
        f"{folder}: found the parts of a run that has not come to its end; continue it with "
        "--resume, or name the parts one by one"
        for folder in folders
        if is_run_folder(folder) and not (folder / SUCCESS).exists()
    ]
    if not files and not problems:
        problems.append(f"{name}: {_empty(name, output_alone=bool(known) and not kept)}")
    return files, problems


def _empty(name: str, *, output_alone: bool) -> str:
    """Why a directory or pattern stands for no file."""
    if output_alone:
        return "found the output of this run and no other file"
    known = " ".join(ALL_ENDINGS)
    if Path(name).is_dir():
        return f"found a directory without any file that ends in {known}"
    return f"matches no file that ends in one of {known}"


def _is_below(path: Path, folders: Sequence[Path]) -> bool:
    """Whether a file is one of these, or lies in one of them, by whatever name it goes."""
    own = real_path(path)
    return any(real_path(folder) in (own, *own.parents) for folder in folders)


def is_standard_output(path: Path) -> bool:
    """Whether standard output is led into this file."""
    return _is_below(path, [Path("/dev/stdout")])


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
