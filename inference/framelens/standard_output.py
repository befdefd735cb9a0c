"""Standard output as a command ends: what it does not take is a failure of the command.

Python writes what is left in the buffer as it ends, with a message and an exit code of its own.
"""

from __future__ import annotations

import os
import sys


def flushed(code: int) -> int:
    """A command's exit code, once all that it has printed is written.

    Raises:
        OSError: if that is not possible.
    """
    if sys.stdout is not None:
        sys.stdout.flush()
    return code


def drop_unwritten() -> None:
    """Let go what standard output does not take, which Python would try once more to write."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
