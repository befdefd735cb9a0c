"""What a run reports to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Tracker(Protocol):
    """What a run reports to."""

    @property
    def run_id(self) -> str | None:
        """The run's id, if it is recorded anywhere."""

    def params(self, values: Mapping[str, Any]) -> None:
        """Record parameters."""

    def tags(self, values: Mapping[str, str]) -> None:
        """Record tags."""

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Record metrics."""

    def dataset(self, name: str, context: str, rows: list[dict[str, Any]], digest: str) -> None:
        """Record a corpus split as an input."""

    def text(self, text: str, path: str) -> None:
        """Record a text file."""

    def table(self, rows: list[dict[str, Any]], path: str) -> None:
        """Record a table."""

    def figure(self, figure: Figure, path: str) -> None:
        """Record a figure."""

    def folder(self, folder: Path, path: str) -> None:
        """Record a folder of files."""

    def model(self, artifact: Path, name: str, register: bool | None) -> None:
        """Record an exported artifact, and register it as the challenger of a name."""

    def child(self, name: str) -> AbstractContextManager[Tracker]:
        """A run within this one, such as a fold's, that ends with the block."""


class NullTracker:
    """Records nothing, for runs without MLflow."""

    run_id: str | None = None

    def params(self, values: Mapping[str, Any]) -> None:
        """Nothing."""

    def tags(self, values: Mapping[str, str]) -> None:
        """Nothing."""

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Nothing."""

    def dataset(self, name: str, context: str, rows: list[dict[str, Any]], digest: str) -> None:
        """Nothing."""

    def text(self, text: str, path: str) -> None:
        """Nothing."""

    def table(self, rows: list[dict[str, Any]], path: str) -> None:
        """Nothing."""

    def figure(self, figure: Figure, path: str) -> None:
        """Nothing."""

    def folder(self, folder: Path, path: str) -> None:
        """Nothing."""

    def model(self, artifact: Path, name: str, register: bool | None) -> None:
        """Nothing."""

    @contextmanager
    def child(self, name: str) -> Iterator[Tracker]:
        """Another that records nothing."""
        yield self
