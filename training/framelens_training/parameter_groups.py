"""Which parameters of a model are trained, and at what rate, by the layers of its encoder."""

from __future__ import annotations

import itertools
import re
from typing import Any

import torch

from framelens_training.config import Config
from framelens_training.errors import UnfitSettingsError
from framelens_training.model import SegmentSpanModel
from framelens_training.run_weights import INNER

_OUTPUT_NORM = re.compile(rf"{re.escape(INNER)}\w*norm\.", re.IGNORECASE)


def parameter_groups(model: SegmentSpanModel, config: Config) -> list[dict[str, Any]]:
    """Parameters by learning rate and weight decay.

    Layer k of n gets the encoder's rate times `layer_decay ** (n - k)`, embeddings the lowest
    (Howard and Ruder 2018); biases and normalisation weights are not decayed.

    Raises:
        UnfitSettingsError: if rates are to differ, and the encoder's layers have no numbers.
    """
    settings = config.training
    layers = _layers(model)
    depth = max(layers.values())
    if settings.layer_decay < 1 and not depth:
        raise UnfitSettingsError(
            "training.layer_decay: expected 1 for an encoder whose layers are not numbered, found "
            f"{settings.layer_decay}"
        )
    groups: dict[tuple[float, float], list[torch.nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        rate = settings.head_learning_rate
        if name.startswith(INNER):
            below = depth - layers[name]
            rate = settings.learning_rate * settings.layer_decay**below
        decay = 0.0 if parameter.ndim < 2 else settings.weight_decay
        groups.setdefault((rate, decay), []).append(parameter)
    return [
        {"params": parameters, "lr": rate, "weight_decay": decay}
        for (rate, decay), parameters in groups.items()
    ]


def freeze(model: SegmentSpanModel, layers: int) -> None:
    """Leave the embeddings and this many layers of the encoder as they are; none of them at 0.

    With all layers only the heads are trained, and what the encoder makes of a text stays.

    Raises:
        UnfitSettingsError: if the encoder has fewer layers than that.
    """
    if not layers:
        return  # also for encoders whose layers have names that are not known here
    layer_of = _layers(model)
    depth = max(layer_of.values())
    if layers > depth:
        raise UnfitSettingsError(
            f"training.frozen_layers: expected at most the encoder's {depth} layers, found {layers}"
        )
    for name, parameter in model.named_parameters():
        if name.startswith(INNER) and layer_of[name] <= layers:
            parameter.requires_grad_(False)


def _layers(model: SegmentSpanModel) -> dict[str, int]:
    """By the name of a parameter its layer, 1 to n; 0 for what lies below, or in all of them.

    A normalisation of what the encoder puts out, as ModernBERT has one, is of the last layer.
    """
    numbers = {name: _layer(name) for name, _ in model.named_parameters()}
    depth = max(numbers.values())
    return {name: depth if _OUTPUT_NORM.match(name) else n for name, n in numbers.items()}


def _layer(name: str) -> int:
    """The number in the name of a layer's parameter, counted from 1; 0 in other names."""
    parts = name.split(".")
    for before, after in itertools.pairwise(parts):
        if before in ("layer", "layers") and after.isdigit():
            return int(after) + 1
    return 0
