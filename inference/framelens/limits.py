"""What a document may have, and take, before it becomes an error row."""

from __future__ import annotations

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


class LimitError(FramelensError, ValueError):
    """A document is over a limit; `code` is the error code of its row."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.code, str(self))  # to be raised by another process
