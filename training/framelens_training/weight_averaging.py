"""The mean of the weights that a training went through.

The weights at the evaluations of one training lie in one valley, and their mean often
generalises better than each of them (Izmailov et al. 2018, stochastic weight averaging); so does
the mean with the weights of the run that it went on from (Wortsman et al. 2022, WiSE-FT).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from framelens_training.errors import TrainingError
from framelens_training.model import SegmentSpanModel

FOLDER = "evaluated"
START = 0
"""The step of the weights that a training began with."""
_SUFFIX = ".safetensors"


@dataclass(frozen=True, slots=True)
class EvaluatedWeights:
    """Weights at the evaluations of one training, in files by step.

    They outlive a killed process, so that a training which was resumed has the same mean.
    """

    folder: Path

    def save(self, step: int, model: SegmentSpanModel) -> None:
        """Keep the weights of a step; the file is there whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = self.folder / f"{step}.partial"
        save_file({k: v.contiguous() for k, v in model.state_dict().items()}, partial)
        with partial.open("rb") as stream:
            os.fsync(stream.fileno())
        partial.replace(self.folder / f"{step}{_SUFFIX}")

    def steps(self) -> list[int]:
        """The steps of the evaluations whose weights are there, in order."""
        found = sorted(int(path.stem) for path in self.folder.glob(f"*{_SUFFIX}"))
        return [step for step in found if step > START]

    def mean(
        self, last: int, *, first: int = 1, start: float = 0.0, fewest: int = 2
    ) -> dict[str, Tensor] | None:
        """Mean weights of all steps up to the last one; `None` with fewer than `fewest`.

        `first` is the number of the evaluation to begin with, counted from 1. `start` is the
        share of the weights that the training began with; then one evaluation is enough.
        """
        steps = [step for step in self.steps() if step <= last][first - 1 :]
        if len(steps) < (1 if start else fewest):
            return None
        total: dict[str, Tensor] = {}
        for step in steps:
            for name, value in load_file(self.folder / f"{step}{_SUFFIX}").items():
                wide = value.to(torch.float64)
                total[name] = total[name] + wide if name in total else wide
        mean = {name: value / len(steps) for name, value in total.items()}
        if start:
            for name, value in load_file(self.folder / f"{START}{_SUFFIX}").items():
                mean[name] = start * value.to(torch.float64) + (1 - start) * mean[name]
        return {name: value.to(torch.float32) for name, value in mean.items()}

    def clear(self) -> None:
        """Remove all of them."""
        shutil.rmtree(self.folder, ignore_errors=True)


def mixed(weights: dict[str, Tensor], other: dict[str, Tensor], share: float) -> dict[str, Tensor]:
    """Weights with a share of another model's.

    Raises:
        TrainingError: if the two are not of one shape.
    """
    differing = [
        name
        for name in sorted({*weights, *other})
        if name not in weights or name not in other or weights[name].shape != other[name].shape
    ]
    if differing:
        raise TrainingError(
            f"training.average_with: expected a model of the same shape, found another one's "
            f"{', '.join(differing[:3])}"
        )
    return {
        name: (share * other[name].double() + (1 - share) * value.double()).to(value.dtype)
        for name, value in weights.items()
    }


class KeepingEvaluated(TrainerCallback):
    """Keeps the weights of every evaluation."""

    def __init__(
        self,
        weights: EvaluatedWeights,
        model: SegmentSpanModel,
        saving: Callable[[Callable[[], None]], None],
    ) -> None:
        """`saving` calls a function that writes, and explains what stops it."""
        self._weights = weights
        self._model = model
        self._saving = saving

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Called by the Trainer after an evaluation."""
        self._saving(lambda: self._weights.save(state.global_step, self._model))
