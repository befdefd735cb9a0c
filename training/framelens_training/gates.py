"""What a challenger must show before it becomes champion: limits, in a YAML file or by default."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from framelens_training.config import Share, Strict
from framelens_training.settings_file import load_settings

NotNegative = Annotated[float, Field(ge=0)]


class OverallGate(Strict):
    """On the mean of the axes' macro-F1 and the spans' exact F1."""

    rule: Literal["better", "not-worse"] = "better"
    """`better`: the whole interval of the difference is above 0. `not-worse`: the difference is
    above 0, and its interval above minus `margin`."""
    margin: NotNegative = 0.01
    samples: int = Field(default=2000, ge=100)
    minimum_articles: int = Field(default=20, ge=2)
    """Fewer articles than this in the test cannot decide anything."""


class SliceGate(Strict):
    """On macro-F1 (accuracy, where gold has one answer only) of each axis on each slice."""

    margin: NotNegative = 0.05
    minimum: int = Field(default=30, ge=1)
    """Segments of the smallest slice that is looked at."""
    certain: bool = True
    """Refuse only if the interval of the difference is below 0 as well: with a hundred slices,
    several are worse by chance."""


class CalibrationGate(Strict):
    """On each axis's expected calibration error."""

    maximum: Share = 0.15
    increase: Share = 0.03
    """Most that it may be above the champion's."""
    minimum: int = Field(default=100, ge=1)
    """Segments below which the error is shown and not judged: on few it is large by chance."""


class ParityGate(Strict):
    """On what the export of the challenger's run measured."""

    changed_labels: Share = 0.05
    """Share of labels that int8 changes against fp32."""
    difference: NotNegative = 1e-3
    """Largest difference of a logit between torch and fp32 ONNX."""


class Gates(Strict):
    """All limits."""

    overall: OverallGate = OverallGate()
    slices: SliceGate = SliceGate()
    calibration: CalibrationGate = CalibrationGate()
    parity: ParityGate = ParityGate()
    seed: int = Field(default=13, ge=0, lt=2**32)

    def digest(self) -> str:
        """sha256 of the limits."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def load_gates(path: Path | None) -> Gates:
    """The limits of a file, or the defaults.

    Raises:
        ConfigError: with every problem of the file.
    """
    return Gates() if path is None else load_settings(Gates, path)
