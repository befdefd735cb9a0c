"""Floors under an artifact's figures, pinned with the documents that they were measured on.

A floor holds for the very documents whose sha256 stands beside it. If a corpus or its reader
has changed, its floors say nothing: that is told as such, never as a worse model.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from framelens_training.errors import TrainingError
from framelens_training.quality import Measured
from framelens_training.quality_bench import Bench, Row

SEGMENTS = 500
"""Segments of each part that floors are measured on: enough to see a model break, in seconds."""

ADVICE = "python benchmarks/quality.py CORPORA_ROOT --write-floors tests/quality/floors.json"


class FloorsError(TrainingError):
    """A file of floors that cannot be used."""


@dataclass(frozen=True, slots=True)
class CorpusFloors:
    """One measure: sha256 of the scored documents by corpus and split, and limits by row."""

    scored: Mapping[str, str]
    at_least: Mapping[str, float]
    at_most: Mapping[str, float]

    def changes(self, scored: Mapping[str, str]) -> list[str]:
        """Which documents are not those that the floors were measured on, a line a split."""
        return [
            f"{split}: expected documents with sha256 {self.scored.get(split)}, found "
            f"{scored.get(split)}"
            for split in sorted({*self.scored, *scored})
            if self.scored.get(split) != scored.get(split)
        ]

    def breaches(self, rows: Sequence[Row]) -> list[str]:
        """Every limit that the figures do not keep."""
        found = {row.key: row.value.value for row in rows}
        breaches: list[str] = []
        for limits, sign in ((self.at_least, 1), (self.at_most, -1)):
            words = "at least" if sign > 0 else "at most"
            for key, limit in limits.items():
                value = found.get(key, float("nan"))
                if not sign * (value - limit) >= 0:
                    breaches.append(f"{key}: expected {words} {limit:.3f}, found {value:.3f}")
        return breaches


@dataclass(frozen=True, slots=True)
class Floors:
    """The floors of a model, by corpus, and how many segments of a part they are measured on."""

    model: Mapping[str, str]
    segments: int
    corpora: Mapping[str, CorpusFloors]

    @classmethod
    def read(cls, path: Path) -> Floors:
        """Read a file that `write_floors` wrote.

        Raises:
            FloorsError: if there is none, or it is no such file.
        """
        try:
            row = json.loads(path.read_text(encoding="utf-8"))
            corpora = {name: CorpusFloors(**item) for name, item in row["corpora"].items()}
            return cls(row["model"], int(row["segments"]), corpora)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise FloorsError(
                f"{path}: expected floors for the bundled model, found {error!r}; measure them "
                f"with: {ADVICE}"
            ) from error


def floors_of(bench: Bench, measured: Mapping[str, Measured], margin: float) -> dict[str, Any]:
    """Floors a margin below (or, where less is better, above) what was measured, as JSON."""
    corpora: dict[str, Any] = {}
    for name, item in measured.items():
        finite = [row for row in item.rows if math.isfinite(row.value.value)]
        corpora[name] = {
            "scored": dict(item.scored),
            "at_least": {
                row.key: round(max(row.value.value - margin, 0.0), 3)
                for row in finite
                if row.higher_is_better
            },
            "at_most": {
                row.key: round(row.value.value + margin, 3)
                for row in finite
                if not row.higher_is_better
            },
        }
    return {"model": bench.model.to_dict(), "segments": bench.settings.segments, "corpora": corpora}
