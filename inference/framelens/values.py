"""Values that were read from JSON or a table, of the type that stands there."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from typing import Any


def string(value: Any) -> str:
    """A string.

    Raises:
        TypeError: if it is something else.
    """
    if not isinstance(value, str):
        raise TypeError(f"a string was expected, not {type(value).__name__}")
    return value


def number(value: Any) -> float:
    """A finite number.

    Raises:
        TypeError, ValueError, OverflowError: if it is something else.
    """
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        raise TypeError(f"a number was expected, not {type(value).__name__}")
    found = float(value)
    if not math.isfinite(found):
        raise ValueError(f"a finite number was expected, not {found}")
    return found


def whole_number(value: Any) -> int:
    """A whole number, also as a float, as pandas has it beside missing ones.

    Raises:
        TypeError, ValueError, OverflowError: if it is something else.
    """
    found = number(value)
    if not found.is_integer():
        raise ValueError(f"a whole number was expected, not {found}")
    return int(value)


def one_of(value: Any, choices: Sequence[str | None], what: str) -> Any:
    """One of some values; `what` names it.

    Raises:
        ValueError: if it is something else.
    """
    if value not in choices:
        raise ValueError(f"{what} {value!r}")
    return value
