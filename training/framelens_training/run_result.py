"""What a run gives."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from framelens_training.assessment import Assessment
from framelens_training.evaluation import Metrics
from framelens_training.export import Parity


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a run gave."""

    run_id: str | None
    artifact: Path
    assessment: Assessment
    parity: Parity
    seconds: float

    @property
    def metrics(self) -> Metrics:
        """Metrics on test."""
        return self.assessment.metrics

    def flat(self) -> dict[str, float]:
        """Every final figure as a metric."""
        return self.assessment.flat() | self.parity.flat()
