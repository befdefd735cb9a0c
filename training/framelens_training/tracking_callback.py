"""From the Trainer's log to a tracker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from framelens_training.tracker import Tracker

Report = Callable[[TrainerState, Mapping[str, float]], None]
"""Says a log entry's numbers to people."""


def curve_points(entry: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of an entry of the Trainer's log, under `train/` or `validation/`."""
    values: dict[str, float] = {}
    for name, value in entry.items():
        if isinstance(value, int | float) and name not in ("epoch", "step"):
            is_eval = name.startswith("eval_")
            short = name.removeprefix("eval_")
            values[f"{'validation' if is_eval else 'train'}/{short}"] = float(value)
    return values


class TrackingCallback(TrainerCallback):
    """Sends the Trainer's losses and validation metrics to a tracker, and lines to people."""

    def __init__(self, tracker: Tracker, report: Report) -> None:
        self._tracker = tracker
        self._report = report

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Record the numbers of a log entry."""
        values = curve_points(logs or {})
        if values:
            self._tracker.metrics(values, step=state.global_step)
            self._report(state, values)
