"""Folders for what is written, or an error that says where else to write it."""

from __future__ import annotations

from pathlib import Path

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
