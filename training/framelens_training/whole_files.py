"""Text files and folders that are there whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from framelens import parts
from framelens_training.errors import TrainingError


def make_folder(folder: Path, advice: str) -> None:
    """Make a folder, if there is none.

    Raises:
        TrainingError: if it cannot be made, with the advice what to do.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainingError(
            f"{folder}: cannot be made: {error.strerror or error}; {advice}"
        ) from error


def make_output(folder: Path) -> None:
    """Make a folder under that of the setting `output`, if there is none.

    Raises:
        TrainingError: if it cannot be made.
    """
    make_folder(folder, "set 'output' to a folder that can be written (--set output=FOLDER)")


def write_whole(path: Path, text: str) -> None:
    """Write a text file so that it is there whole or not at all.

    Raises:
        OSError: if it cannot be written.
    """
    parts.write_whole(path, text.encode("utf-8"))


@contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """A new folder, which takes the place of `folder` once all is written to it.

    Its name is no other file's, and it goes if writing fails.

    Raises:
        OSError: if it cannot be made, or cannot take that place.
    """
    temporary = folder.with_name(f"{folder.name}.{os.urandom(4).hex()}.tmp")
    temporary.mkdir(parents=True)
    try:
        yield temporary
        if folder.exists():
            shutil.rmtree(folder)
        temporary.rename(folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
