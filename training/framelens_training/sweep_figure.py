"""The trials of a sweep side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from framelens_training.search_space import Dimension, Value

_INK = "#22313f"
_PRUNED = "#b0b7bd"


@dataclass(frozen=True, slots=True)
class TrialLine:
    """What is drawn of a trial; `score` is None if it was given up."""

    values: Mapping[str, Value]
    score: float | None


def parallel_coordinates_figure(
    space: Sequence[Dimension],
    trials: Sequence[TrialLine],
    importances: Mapping[str, float],
    title: str,
) -> Figure:
    """A line a trial across an upright axis a setting; colour and last axis are the score.

    The best trial is drawn broad; trials that were given up are dashed and grey, and have no
    score to end in.
    """
    count = len(space)
    figure = Figure(figsize=(2.6 + 1.9 * count, 4.8), layout="constrained")
    axes = figure.subplots()
    scores = [trial.score for trial in trials if trial.score is not None]
    low, high = (min(scores), max(scores)) if scores else (0.0, 1.0)
    span = high - low or 1.0
    colors, norm = colormaps["viridis_r"], Normalize(low, low + span)
    ordered = sorted(trials, key=lambda trial: -1.0 if trial.score is None else trial.score)
    for trial in ordered:
        heights = [_height(dimension, trial.values[dimension.key]) for dimension in space]
        if trial.score is None:
            axes.plot(range(count), heights, color=_PRUNED, linewidth=1.2, linestyle="--")
            continue
        is_best = trial.score == high
        axes.plot(
            range(count + 1),
            [*heights, (trial.score - low) / span],
            color=colors(norm(trial.score)),
            linewidth=3.2 if is_best else 1.6,
            marker="o",
            markersize=5 if is_best else 3,
        )
    for place, dimension in enumerate(space):
        _upright(axes, place, _ticks(dimension))
    marks = np.linspace(low, low + span, 5)
    _upright(axes, count, [((m - low) / span, f"{m:.3f}") for m in marks])
    labels = [_label(dimension, importances.get(dimension.key)) for dimension in space]
    axes.set_xticks(range(count + 1), [*labels, "validation\nscore"], fontsize=8)
    axes.tick_params(axis="x", length=0, pad=8)
    axes.set_yticks([])
    axes.set_xlim(-0.25, count + 0.35)
    axes.set_ylim(-0.04, 1.04)
    for spine in axes.spines.values():
        spine.set_visible(False)
    figure.colorbar(ScalarMappable(norm, colors), ax=axes, label="validation score", pad=0.02)
    pruned = sum(trial.score is None for trial in trials)
    axes.set_title(f"{title}\n{len(scores)} complete, {pruned} given up (dashed)", fontsize=10)
    return figure


def _upright(axes: Axes, place: int, ticks: Sequence[tuple[float, str]]) -> None:
    axes.axvline(place, color=_INK, linewidth=1, zorder=0)
    for height, text in ticks:
        axes.plot([place - 0.02, place + 0.02], [height, height], color=_INK, linewidth=1)
        axes.text(
            place + 0.04, height, text, fontsize=7, va="center", color=_INK,
            bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.6}, zorder=5,
        )  # fmt: skip


def _height(dimension: Dimension, value: Value) -> float:
    """Where a value stands on its axis, from 0 to 1."""
    if dimension.kind == "choices":
        return dimension.values.index(value) / (len(dimension.values) - 1)
    low, high = dimension.bounds
    number = float(value or 0)
    if dimension.kind == "log_uniform":
        return float(np.log(number / low) / np.log(high / low))
    return (number - low) / (high - low)


def _ticks(dimension: Dimension) -> list[tuple[float, str]]:
    if dimension.kind == "choices":
        return [(_height(dimension, value), str(value)) for value in dimension.values]
    low, high = dimension.bounds
    if dimension.kind == "log_uniform":
        marks = np.geomspace(low, high, 5)
    elif dimension.kind == "integer":
        marks = np.unique(np.linspace(low, high, 5).round())
    else:
        marks = np.linspace(low, high, 5)
    form = ".0f" if dimension.kind == "integer" else ".3g"
    return [(_height(dimension, float(mark)), f"{mark:{form}}") for mark in marks]


def _label(dimension: Dimension, importance: float | None) -> str:
    name = dimension.key.replace(".", ".\n", 1)
    return name if importance is None else f"{name}\n(importance {importance:.2f})"
