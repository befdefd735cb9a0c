"""Text files and folders that are there whole or not at all."""

from __future__ import annotations

import glob
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from framelens import parts


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


def remove_unfinished(folder: Path) -> None:
    """Remove what a process that was killed left of `replacing_folder`.

    Only for a folder that no other process writes.
    """
    for left in folder.parent.glob(f"{glob.escape(folder.name)}.{'[0-9a-f]' * 8}.tmp"):
        shutil.rmtree(left)
