"""`framelens-train` in a process of its own that kills itself at a chosen moment."""

from __future__ import annotations

import os
import signal
import sys
from multiprocessing import get_context
from pathlib import Path
from typing import Any


def die_at(owner: Any, name: str, number: int) -> None:
    """Make the call of that number of a function the process's last, as `kill -9` would."""
    original, calls = getattr(owner, name), 0

    def call(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments, **options)

    setattr(owner, name, call)


def _target(arguments: list[str], place: str | None, number: int, log: str) -> None:
    import safetensors.torch
    import torch

    from framelens_training import model_training, pipeline
    from framelens_training.checkpoints import Checkpoints
    from framelens_training.cli import main
    from framelens_training.tracking import MlflowTracker
    from framelens_training.trainer import WindowTrainer

    places = {
        "step": (WindowTrainer, "training_step"),
        "evaluation": (model_training, "evaluate"),
        "weights": (safetensors.torch, "save_file"),
        "optimizer": (torch, "save"),
        "rename": (Checkpoints, "finish"),
        "trained": (pipeline, "tune"),
        "assessment": (pipeline, "assess"),
        "record": (MlflowTracker, "folder"),
    }
    if place is not None:
        die_at(*places[place], number)
    with Path(log).open("a", encoding="utf-8") as stream:
        sys.stdout = sys.stderr = stream
        sys.exit(main(arguments))


def run_command(
    arguments: list[str], log: Path, place: str | None = None, number: int = 1
) -> int | None:
    """Exit code of a command, -9 if it died at the given call of `place`.

    A server process imports torch once and forks every command.
    """
    context = get_context("forkserver")
    context.set_forkserver_preload(
        ["framelens_training.pipeline", "framelens_training.cli", "mlflow"]
    )
    process = context.Process(target=_target, args=(arguments, place, number, str(log)))
    process.start()
    process.join(1200)
    if process.exitcode is None:
        process.kill()
    return process.exitcode
