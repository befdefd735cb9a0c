"""Text files that are there whole or not at all."""

from __future__ import annotations

from pathlib import Path

from framelens import parts


def write_whole(path: Path, text: str) -> None:
    """Write a text file so that it is there whole or not at all.

    Raises:
        OSError: if it cannot be written.
    """
    parts.write_whole(path, text.encode("utf-8"))
