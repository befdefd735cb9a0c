"""What a document may have, and take, before it becomes an error row."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from framelens.errors import FramelensError

MAX_CHARACTERS = 1_000_000
"""Default limit of a document's length, headline and text together, in code points."""

MAX_SEGMENTS = 20_000
"""Default limit of a document's segments."""

MAX_SECONDS = 300.0
"""Default limit of the time that one document may take."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a document may have, and take, before it becomes an error row.

    `seconds` is checked between windows, each of which takes some hundredths of a second;
    the workers of a batch run are also watched from outside.
    """

    characters: int = MAX_CHARACTERS
    segments: int = MAX_SEGMENTS
    seconds: float = MAX_SECONDS


class Stopwatch:
    """Seconds of work on a document.

    What passes between two looks counts as a tenth of the limit at most, or as a second: a process
    or machine that was suspended makes no document slow.
    """

    def __init__(self, limit: float, seconds: float = 0.0) -> None:
        """Go on from what was measured before."""
        self._limit = limit
        self._longest = max(limit / 10, 1.0)
        self._seconds = seconds
        self._looked = time.monotonic()

    def look(self) -> float:
        """The seconds until now."""
        now = time.monotonic()
        self._seconds += min(now - self._looked, self._longest)
        self._looked = now
        return self._seconds

    def is_over(self) -> bool:
        """Whether more seconds than the limit have passed until now."""
        return self.look() > self._limit


class LimitError(FramelensError, ValueError):
    """A document is over a limit; `code` is the error code of its row."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.code, str(self))  # to be raised by another process
