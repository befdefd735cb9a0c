"""The torch weights that a run leaves in its folder, and which of them are its own."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from framelens.artifact import MANIFEST_FILE

CHECKPOINTS = "checkpoints"
ARCHITECTURE = "encoder"
"""Folder in a run's folder with the shape and the tokenizer of its encoder."""
TRAINED = "trained.json"
"""In a run's folder once its training has ended: the chosen step, and the curves."""
PREFIX = "checkpoint-"
WEIGHTS = "model.safetensors"
STATE = "trainer_state.json"
"""Names in the folder of checkpoints, as the Trainer gives them."""
INNER = "encoder."
"""How the names of the encoder's tensors begin; all others are of heads."""


RUN_ID = re.compile(r"[0-9a-f]{32}")
"""An id as MLflow gives it to a run."""


def has_trained(folder: Path) -> bool:
    """Whether the training of the run in a folder has ended."""
    return (folder / TRAINED).is_file()


def checkpoints_of(folder: Path) -> list[Path]:
    """A run's checkpoints, the latest last."""
    found = [path.parent for path in folder.glob(f"{CHECKPOINTS}/{PREFIX}*/{WEIGHTS}")]
    return sorted(found, key=lambda path: int(path.name.removeprefix(PREFIX)))


def run_of_id(run_id: str, output: Path) -> Path | None:
    """The folder of an MLflow run under `output`, if its weights are there."""
    folders = sorted(output.expanduser().glob(f"*-{run_id[:8]}"))
    return next((folder for folder in folders if checkpoints_of(folder)), None)


def only_run(folder: Path) -> Path:
    """The one run that a folder of runs holds; otherwise the folder itself."""
    parts = sorted(folder.iterdir()) if folder.is_dir() else []
    runs = [p for p in parts if checkpoints_of(p) or (p / "model" / MANIFEST_FILE).is_file()]
    return runs[0] if len(runs) == 1 else folder


def best_checkpoint(folder: Path) -> Path:
    """The checkpoint of the best validation score, otherwise the latest; there has to be one."""
    latest = checkpoints_of(folder)[-1]
    state = latest / STATE
    if state.is_file():
        step = json.loads(state.read_text(encoding="utf-8")).get("best_global_step")
        best = latest.parent / f"{PREFIX}{step}"
        if step and (best / WEIGHTS).is_file():
            return best
    return latest


def heads_of(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a model that are not of its encoder."""
    return {name: tensor for name, tensor in state.items() if not name.startswith(INNER)}
