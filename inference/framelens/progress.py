"""What a run has done so far: counts, a bar on a terminal or a line now and then, a summary."""

from __future__ import annotations

import contextlib
import sys
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any, TextIO

from framelens.rows import Answer

LINE_SECONDS = 30.0
"""How often a line is printed where there is no terminal."""
_BAR_SECONDS = 0.2
_BAR_WIDTH = 24


class Tally:
    """Counts of documents, those that another model answered, errors by code, segments, labels."""

    def __init__(self) -> None:
        self.documents = 0
        self.segments = 0
        self.deferred = 0
        self.errors: Counter[str] = Counter()
        self.labels: Counter[str] = Counter()

    def add(self, answer: Answer) -> None:
        """Count one document."""
        self.documents += 1
        self.segments += answer.segments
        self.deferred += answer.deferred
        if answer.error is not None:
            self.errors[answer.error] += 1
        for label, count in answer.labels.items():
            self.labels[label] += count

    def add_counts(self, counts: Mapping[str, Any]) -> None:
        """Count what `to_dict` once gave."""
        self.documents += counts["documents"]
        self.segments += counts["segments"]
        self.deferred += counts.get("deferred", 0)  # none were, before there were cascades
        self.errors.update(counts["errors"])
        self.labels.update(counts["labels"])

    @property
    def failed(self) -> int:
        """Documents that came out as error rows."""
        return self.errors.total()

    def to_dict(self) -> dict[str, Any]:
        """The counts with only JSON types, in a fixed order."""
        return {
            "documents": self.documents,
            "segments": self.segments,
            "deferred": self.deferred,
            "errors": dict(sorted(self.errors.items())),
            "labels": dict(sorted(self.labels.items())),
        }


class Progress:
    """Shows how a run goes on, on standard error."""

    def __init__(self, stream: TextIO | None = None, *, quiet: bool = False) -> None:
        """Write to the stream, as a bar if it is a terminal; with `quiet`, nothing."""
        self._stream = stream or sys.stderr
        self._quiet = quiet
        self._bar = self._stream.isatty()
        self._begun = time.monotonic()
        self._shown = self._begun
        self._first_fraction: float | None = None
        self._before = 0

    def start(self, documents: int, fraction: float | None) -> None:
        """Begin the clock, after so many documents of an earlier run."""
        self._begun = self._shown = time.monotonic()
        self._before = documents
        self._first_fraction = fraction

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self._begun

    def tick(self, tally: Tally, fraction: float | None) -> None:
        """Show the state, if the last time is long enough ago."""
        now = time.monotonic()
        if self._quiet or now - self._shown < (_BAR_SECONDS if self._bar else LINE_SECONDS):
            return
        self._shown = now
        line = self.line(tally, fraction)
        if self._bar:
            done = round(_BAR_WIDTH * (fraction or 0.0))
            bar = f"[{'#' * done}{'.' * (_BAR_WIDTH - done)}] " if fraction is not None else ""
            self._show(f"\r\x1b[K{bar}{line}")
        else:
            self._show(f"framelens: {line}\n")

    def line(self, tally: Tally, fraction: float | None) -> str:
        """The state in words: share, documents, rate, errors, time left."""
        rate = (tally.documents - self._before) / max(self.seconds, 1e-9)
        share = "" if fraction is None else f"{fraction:.0%}, "
        left = self._left(fraction)
        return f"{share}{tally.documents} documents, {rate:.1f}/s, {tally.failed} errors" + (
            "" if left is None else f", {_duration(left)} left"
        )

    def _left(self, fraction: float | None) -> float | None:
        if fraction is None:
            return None
        done = fraction - (self._first_fraction or 0.0)
        return self.seconds * (1.0 - fraction) / done if done > 0 else None

    def finish(self, tally: Tally) -> None:
        """The final summary, as one line."""
        if self._quiet:
            return
        clear = "\r\x1b[K" if self._bar else ""
        self._show(f"{clear}framelens: {self._final(tally)}\n")

    def warn(self, message: str) -> None:
        """One line that is no count."""
        if not self._quiet:
            self._show(f"framelens: {message}\n")

    def _show(self, text: str) -> None:
        # A lost terminal, or a full disk below a log, is no reason to end the run.
        with contextlib.suppress(OSError):
            self._stream.write(text)
            self._stream.flush()

    def _final(self, tally: Tally) -> str:
        rate = (tally.documents - self._before) / max(self.seconds, 1e-9)
        labels = ", ".join(f"{name} {n}" for name, n in sorted(tally.labels.items()))
        errors = ", ".join(f"{code} {n}" for code, n in sorted(tally.errors.items()))
        return (
            f"{tally.documents} documents, {tally.segments} segments"
            + (f" ({labels})" if labels else "")
            + (f", {tally.deferred} deferred" if tally.deferred else "")
            + f", {tally.failed} errors"
            + (f" ({errors})" if errors else "")
            + f", {rate:.1f} documents/s"
        )

    def summary(self, tally: Tally) -> dict[str, Any]:
        """The final summary for `--summary`: the counts, the time, and this run's share."""
        seconds = self.seconds
        scored = tally.documents - self._before
        return {
            **tally.to_dict(),
            "resumed_documents": self._before,
            "seconds": round(seconds, 3),
            "documents_per_second": round(scored / max(seconds, 1e-9), 3),
        }


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
