"""The mean of the weights that a training went through.

The weights at the evaluations of one training lie in one valley, and their mean often
generalises better than each of them (Izmailov et al. 2018, stochastic weight averaging); so does
the mean with the weights of the run that it went on from (Wortsman et al. 2022, WiSE-FT).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import load_file, save
from torch import Tensor
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from framelens.parts import write_whole
from framelens_training.config import LOSS_PARTS, LossPart, MixedIn
from framelens_training.encoder import Encoder, all_weights, artifact_folder, load_encoder
from framelens_training.errors import EncoderError, TrainingError
from framelens_training.model import SegmentSpanModel, with_answers_of
from framelens_training.run_weights import INNER, checkpoints_of, heads_of, only_run

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
        weights = {name: value.contiguous() for name, value in model.state_dict().items()}
        write_whole(self.folder / f"{step}{_SUFFIX}", save(weights))

    def steps(self) -> list[int]:
        """The steps of the evaluations whose weights are there, in order."""
        found = sorted(int(path.stem) for path in self.folder.glob(f"*{_SUFFIX}"))
        return [step for step in found if step > START]

    def mean(
        self,
        last: int,
        *,
        first: int = 1,
        start: float = 0.0,
        known: Collection[LossPart] = LOSS_PARTS,
        fewest: int = 2,
    ) -> dict[str, Tensor] | None:
        """Mean weights of all steps up to the last one; `None` with fewer than `fewest`.

        `first` is the number of the evaluation to begin with, counted from 1. `start` is the
        share of the weights that the training began with; then one evaluation is enough. They
        have none in the answers to parts of the loss that were not `known` at the start.
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
            began = load_file(self.folder / f"{START}{_SUFFIX}")
            both = {n: start * began[n].double() + (1 - start) * value for n, value in mean.items()}
            mean = with_answers_of(both, mean, [part for part in LOSS_PARTS if part not in known])
        return {name: value.to(torch.float32) for name, value in mean.items()}

    def clear(self) -> None:
        """Remove all of them."""
        shutil.rmtree(self.folder, ignore_errors=True)


Setting = Literal["begin_with", "average_with"]


def mixed(
    weights: Mapping[str, Tensor],
    other: Mapping[str, Tensor],
    share: float,
    *,
    learnt: Collection[LossPart] = LOSS_PARTS,
    other_learnt: Collection[LossPart] = LOSS_PARTS,
) -> dict[str, Tensor]:
    """Weights with a share of another model's.

    What a part of the loss is answered with is taken whole from the one model that learnt it,
    where the other one did not. Of two tables of positions, what only one has room for stays out
    or as it is.

    Raises:
        TrainingError: if the two are not of one shape otherwise.
    """
    other = dict(other)
    positions = next((name for name in weights if name.endswith(_POSITIONS)), None)
    if positions is not None and positions in other:
        both = min(len(weights[positions]), len(other[positions]))
        rest = weights[positions][both:]
        other[positions] = torch.cat([other[positions][:both].to(rest.dtype), rest])
    differing = [
        name
        for name in sorted({*weights, *other})
        if name not in weights or name not in other or weights[name].shape != other[name].shape
    ]
    if differing:
        raise TrainingError(
            "training.begin_with and average_with: expected models of the same shape, found "
            f"others in {', '.join(differing[:3])}"
        )
    found = {
        name: (share * other[name].double() + (1 - share) * value.double()).to(value.dtype)
        for name, value in weights.items()
    }
    own, theirs = frozenset(learnt), frozenset(other_learnt)
    return with_answers_of(with_answers_of(found, weights, own - theirs), other, theirs - own)


def trained_model(name: str, setting: Setting) -> Encoder:
    """The encoder and the heads of a run or an artifact that a setting names.

    Raises:
        EncoderError: if it is neither, or cannot be read.
    """
    if not checkpoints_of(only_run(Path(name).expanduser())) and artifact_folder(name) is None:
        raise EncoderError(
            f"training.{setting}: expected a run's folder or an artifact, whose weights can be "
            f"mixed in, found {name!r}"
        )
    return load_encoder(name)


def with_share_of(
    weights: Mapping[str, Tensor], other: MixedIn, learnt: Collection[LossPart] = LOSS_PARTS
) -> dict[str, Tensor]:
    """The weights that a training ended with, with a share of those of `average_with`.

    `learnt` names the parts that the training has learnt.

    Raises:
        EncoderError: if there is no such run or artifact.
        TrainingError: if the two are not of one shape.
    """
    second = trained_model(other.model, "average_with")
    return mixed(
        weights, all_weights(second), other.share, learnt=learnt, other_learnt=second.learnt
    )


def parts_of(other: MixedIn | None) -> frozenset[LossPart]:
    """What the model of `average_with` has learnt, and brings along; nothing without one.

    Raises:
        EncoderError: if there is no such run or artifact.
    """
    return frozenset() if other is None else trained_model(other.model, "average_with").learnt


def mixable_model(encoder: Encoder, other: MixedIn, setting: Setting) -> Encoder:
    """The other model, of which it is sure that it can be mixed into one of this encoder.

    Raises:
        EncoderError: if there is no such run or artifact.
        TrainingError: if it is of another shape, or has other word pieces.
    """
    second = trained_model(other.model, setting)
    if second.tokenizer.get_vocab() != encoder.tokenizer.get_vocab():
        raise TrainingError(
            f"training.{setting}: expected a model with the word pieces of {encoder.name!r}, "
            f"found others in {other.model!r}; mix models that descend from the same encoder"
        )
    own, theirs = all_weights(encoder), all_weights(second)
    mixed(own, {n: t for n, t in theirs.items() if n in own or n.startswith(INNER)}, 0.0)
    return second


def begun_with(encoder: Encoder, other: MixedIn) -> Encoder:
    """An encoder and its heads with a share of another model's weights.

    Raises:
        EncoderError: if one of the two is no trained model.
        TrainingError: if they are not of one shape, or have other word pieces.
    """
    second = mixable_model(encoder, other, "begin_with")
    if encoder.heads is None:
        raise EncoderError(
            "encoder: expected a run's folder or an artifact, with which the model of "
            f"training.begin_with can be mixed, found {encoder.name!r}, which has no heads"
        )
    weights = mixed(
        all_weights(encoder),
        all_weights(second),
        other.share,
        learnt=encoder.learnt,
        other_learnt=second.learnt,
    )
    encoder.module.load_state_dict(
        {n.removeprefix(INNER): t for n, t in weights.items() if n.startswith(INNER)}
    )
    return replace(
        encoder,
        name=f"{encoder.name}, mixed with {other.share:g} of {Path(other.model).name}",
        heads=heads_of(weights),
        learnt=encoder.learnt | second.learnt,
    )


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
