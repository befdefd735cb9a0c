"""The standard streams as a command ends, of which either may lead to a full disk or to nobody.

Python writes what is left in their buffers as it ends, with a message and an exit code of its own.
"""

from __future__ import annotations

import contextlib
import os
import sys


def flushed(code: int) -> int:
    """A command's exit code, once all that it has printed is written.

    Raises:
        OSError: if that is not possible.
    """
    if sys.stdout is not None:
        with contextlib.suppress(ValueError):  # it is closed
            sys.stdout.flush()
    return code


def drop_unwritten() -> None:
    """Let go what the streams do not take, which Python would try once more to write."""
    for stream in (sys.stdout, sys.stderr):
        if stream is None:
            continue
        try:
            stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError):  # it is closed, or no file
                number = stream.fileno()
                os.dup2(os.open(os.devnull, os.O_WRONLY), number)
