"""The mean of the weights that a training went through.

The weights at the evaluations of one training lie in one valley, and their mean often
generalises better than each of them (Izmailov et al. 2018, stochastic weight averaging); so does
the mean with the weights of the run that it went on from (Wortsman et al. 2022, WiSE-FT).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from framelens_training.config import MixedIn
from framelens_training.encoder import Encoder, all_weights, load_encoder
from framelens_training.errors import EncoderError, TrainingError
from framelens_training.model import SegmentSpanModel
from framelens_training.run_weights import INNER, heads_of

FOLDER = "evaluated"
START = 0
"""The step of the weights that a training began with."""
_SUFFIX = ".safetensors"
_POSITIONS = ".position_embeddings.weight"


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
    """Weights with a share of another model's, of whose positions the first ones are taken.

    Raises:
        TrainingError: if the two are not of one shape otherwise.
    """
    other = {
        name: value[: len(weights[name])]
        if name.endswith(_POSITIONS) and name in weights
        else value
        for name, value in other.items()
    }
    differing = [
        name
        for name in sorted({*weights, *other})
        if name not in weights or name not in other or weights[name].shape != other[name].shape
    ]
    if differing:
        raise TrainingError(
            "training.begin_with and average_with: expected a model of the same shape, found "
            f"another one's {', '.join(differing[:3])}"
        )
    return {
        name: (share * other[name].double() + (1 - share) * value.double()).to(value.dtype)
        for name, value in weights.items()
    }


def weights_of(name: str) -> dict[str, Tensor]:
    """All weights of a run or an artifact.

    Raises:
        EncoderError: if it is neither, or cannot be read.
    """
    return _trained_weights(name, load_encoder(name))


def _trained_weights(name: str, encoder: Encoder) -> dict[str, Tensor]:
    weights = all_weights(encoder)
    if weights is None:
        raise EncoderError(
            "training.begin_with and average_with: expected weights of runs or artifacts to mix, "
            f"found {name!r}, which has no heads"
        )
    return weights


def begun_with(encoder: Encoder, other: MixedIn) -> Encoder:
    """An encoder and its heads with a share of another model's weights.

    Raises:
        EncoderError: if one of the two is no trained model.
        TrainingError: if they are not of one shape.
    """
    own = _trained_weights(encoder.name, encoder)
    second = load_encoder(other.model)
    if second.tokenizer.get_vocab() != encoder.tokenizer.get_vocab():
        raise TrainingError(
            f"training.begin_with: expected a model with the word pieces of {encoder.name!r}, "
            f"found others in {other.model!r}; go on from one that descends from the same encoder"
        )
    weights = mixed(own, _trained_weights(other.model, second), other.share)
    encoder.module.load_state_dict(
        {n.removeprefix(INNER): t for n, t in weights.items() if n.startswith(INNER)}
    )
    return replace(encoder, heads=heads_of(weights), learnt=encoder.learnt | second.learnt)


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
