from __future__ import annotations

import io
from typing import Any

import pytest
from transformers import TrainerControl, TrainerState, TrainingArguments

from framelens_training import progress
from framelens_training.progress import Console, duration, progress_bars, silent, training_report


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def state(step: int, best: float | None = None) -> TrainerState:
    return TrainerState(global_step=step, max_steps=100, best_metric=best)


def test_a_terminal_has_a_bar_and_no_lines_on_the_loss() -> None:
    stream = Terminal()
    console = Console(stream)
    (bar,) = progress_bars(console)
    arguments: Any = TrainingArguments
    control = TrainerControl()
    report = training_report(console)
    bar.on_train_begin(arguments, state(40), control)
    bar.on_step_end(arguments, state(41), control)
    bar.on_log(arguments, state(41), control, logs={"loss": 0.25, "eval_score": 0.5})
    report(state(41), {"train/loss": 0.25})
    report(state(41), {"validation/score": 0.5})
    bar.on_train_end(arguments, state(41), control)
    shown = stream.getvalue()
    assert "\r" in shown
    assert "41/100" in shown
    assert "loss=0.2500" in shown
    assert "score=0.5000" in shown
    assert "loss 0.2500" not in shown
    assert "step 41 of 100: validation score 0.5000, the best so far\n" in shown


def test_elsewhere_there_are_lines_and_not_too_many(clock: list[float]) -> None:
    stream = io.StringIO()
    console = Console(stream)
    assert progress_bars(console) == progress_bars(silent) == []
    report = training_report(console)
    report(state(10), {"train/loss": 1.0})
    clock[0] += 5
    report(state(20), {"train/loss": 0.9})
    clock[0] += 15
    report(state(30), {"train/loss": 0.8})
    report(state(30, best=0.7), {"validation/score": 0.6})
    report(state(40, best=0.7), {"validation/score": 0.8})
    assert stream.getvalue().splitlines() == [
        "  step 10 of 100: loss 1.0000",
        "  step 30 of 100: loss 0.8000, at most 70 s left",
        "  step 30 of 100: validation score 0.6000",
        "  step 40 of 100: validation score 0.8000, the best so far",
    ]


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.4, "0 s"), (89, "89 s"), (100, "2 min"), (11100, "3 h 5 min")]
)
def test_durations(seconds: float, said: str) -> None:
    assert duration(seconds) == said
