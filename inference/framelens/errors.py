"""Errors that a user can act on; the command line turns each into its exit code."""

from __future__ import annotations

from typing import Any


class FramelensError(Exception):
    """Base of all errors that framelens raises on purpose."""


class ArtifactError(FramelensError):
    """A model directory that is missing, damaged, or made for another version."""


class InputError(FramelensError):
    """Input that cannot be read at all (a single bad row is an error row instead)."""


class MissingExtraError(FramelensError, ImportError):
    """An optional dependency is needed and not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package {package!r}, which is not installed; "
            f"install it with: pip install 'framelens[{extra}]'"
        )
        self._given = package, extra, purpose

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._given  # to be raised by another process
