"""What a run shows while it goes on: lines, and on a terminal a bar below them."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, TextIO

from tqdm import tqdm
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

LINE_SECONDS = 15.0
"""Least time between two lines on the training loss where there is no bar."""

Say = Callable[[str], None]


class Console:
    """Prints lines to a stream, above the bar if one is shown there."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stdout
        self.is_terminal = self.stream.isatty()

    def __call__(self, line: str) -> None:
        """Print a line."""
        if self.is_terminal:
            tqdm.write(line, file=self.stream)
        else:
            print(line, file=self.stream, flush=True)


def silent(line: str) -> None:
    """Say nothing: what processes of other ranks than 0 do."""


def progress_bars(say: Say) -> list[TrainerCallback]:
    """A bar for the steps of a training, if `say` is a console on a terminal."""
    return [TrainingBar(say.stream)] if isinstance(say, Console) and say.is_terminal else []


def training_report(say: Say) -> Callable[[TrainerState, Mapping[str, float]], None]:
    """A function that says what the Trainer logs: every evaluation, and now and then the loss."""
    has_bar = isinstance(say, Console) and say.is_terminal
    began: list[tuple[float, int]] = []
    said = 0.0

    def report(state: TrainerState, values: Mapping[str, float]) -> None:
        nonlocal said
        now = time.monotonic()
        begun, first = began[0] if began else (now, state.global_step)
        began[:] = [(begun, first)]
        place = f"  step {state.global_step} of {state.max_steps}"
        score = values.get("validation/score")
        if score is not None:
            best = state.best_metric is None or score > state.best_metric
            say(f"{place}: validation score {score:.4f}{', the best so far' if best else ''}")
        loss = values.get("train/loss")
        if loss is not None and not has_bar and (not said or now - said >= LINE_SECONDS):
            said = now
            done = state.global_step - first
            rest = (state.max_steps - state.global_step) * (now - begun) / done if done else 0.0
            left = f", at most {duration(rest)} left" if done else ""
            say(f"{place}: loss {loss:.4f}{left}")

    return report


def duration(seconds: float) -> str:
    """A time as a person says it: 45 s, 12 min, 3 h 5 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


class TrainingBar(TrainerCallback):
    """A bar of the steps, with the loss and the validation score."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._bar: Any = None
        self._shown: dict[str, str] = {}

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Begin where the training begins."""
        self._bar = tqdm(
            total=state.max_steps,
            initial=state.global_step,
            file=self._stream,
            desc="training",
            unit="step",
            dynamic_ncols=True,
            leave=False,
        )

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """One step more."""
        self._bar.update()

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Show the latest figures."""
        for name, label in (("loss", "loss"), ("eval_score", "score")):
            if logs and name in logs:
                self._shown[label] = f"{logs[name]:.4f}"
        self._bar.set_postfix(self._shown)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Take the bar away."""
        self._bar.close()
