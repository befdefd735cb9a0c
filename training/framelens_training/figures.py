"""Figures of a run, drawn without a display."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_curve

from framelens.schema import AXES, LABELS, Axis
from framelens_training.calibration_error import calibration_bins, expected_calibration_error
from framelens_training.predictions import AxisData
from framelens_training.slices import SliceMetrics
from framelens_training.trainer import MEAN_METRIC

MOST_OF_A_KIND = 12
"""Most values of one kind of slice in the chart; the table has all."""

_INK = "#22313f"
_COLORS = {"attributed": "#1f77b4", "framed": "#c0392b", "boilerplate": "#7f8c8d"}


def confusion_figure(confusion: NDArray[np.int64], title: str) -> Figure:
    """The one label, gold in rows, with counts and row shares."""
    figure = Figure(figsize=(5.2, 4.4), layout="constrained")
    axes = figure.subplots()
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(LABELS)), LABELS, rotation=30, ha="right")
    axes.set_yticks(range(len(LABELS)), LABELS)
    axes.set_xlabel("found")
    axes.set_ylabel("gold")
    axes.set_title(title)
    for row in range(len(LABELS)):
        for column in range(len(LABELS)):
            axes.text(
                column,
                row,
                f"{confusion[row, column]}\n{shares[row, column]:.0%}",
                ha="center",
                va="center",
                color="white" if shares[row, column] > 0.5 else _INK,
            )
    return figure


def precision_recall_figure(data: Mapping[Axis, AxisData], title: str) -> Figure:
    """Precision against recall, a curve an axis."""
    figure = Figure(figsize=(5.2, 4.4), layout="constrained")
    axes = figure.subplots()
    for axis, item in data.items():
        if item.gold.any() and not item.gold.all():
            precision, recall, _ = precision_recall_curve(item.gold, item.values)
            axes.step(recall, precision, where="post", label=axis, color=_COLORS[axis])
    axes.set_xlim(0, 1.01)
    axes.set_ylim(0, 1.01)
    axes.set_xlabel("recall")
    axes.set_ylabel("precision")
    axes.set_title(title)
    axes.grid(alpha=0.3)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="lower left")
    return figure


def reliability_figure(
    raw: Mapping[Axis, AxisData], calibrated: Mapping[Axis, AxisData], title: str
) -> Figure:
    """How often a score is right, before and after temperature scaling, a panel an axis.

    Each point is one of the equal-mass bins of the calibration error, which is in the legend.
    """
    shown = [axis for axis in AXES if len(raw[axis].gold)]
    figure = Figure(figsize=(3.6 * max(len(shown), 1), 4.6), layout="constrained")
    panels = figure.subplots(1, max(len(shown), 1), squeeze=False, sharey=True)[0]
    for panel, axis in zip(panels, shown, strict=False):
        panel.plot([0, 1], [0, 1], color="#b0b7bd", linewidth=1, zorder=1)
        for name, data, style in (
            ("before", raw[axis], {"linestyle": "--", "marker": "o", "markerfacecolor": "white"}),
            ("after", calibrated[axis], {"linestyle": "-", "marker": "o"}),
        ):
            score, frequency = calibration_bins(data.gold, data.values)
            error = expected_calibration_error(data.gold, data.values)
            panel.plot(
                score,
                frequency,
                color="#e0a030" if name == "before" else _COLORS[axis],
                markersize=5,
                linewidth=1.5,
                label=f"{name}: ECE {error:.3f}",
                **style,
            )
        panel.set_title(f"{axis} (n = {len(raw[axis].gold)})", fontsize=10)
        panel.set_xlim(-0.02, 1.02)
        panel.set_ylim(-0.02, 1.02)
        panel.set_aspect("equal")
        panel.set_xlabel("mean score of a bin")
        panel.grid(alpha=0.3)
        panel.legend(loc="upper left", fontsize=8)
    panels[0].set_ylabel("share that is gold")
    figure.suptitle(title)
    return figure


def slice_figure(
    slices: Sequence[SliceMetrics], overall: Mapping[Axis, float], title: str
) -> Figure:
    """Macro-F1 on slices with their intervals, a panel an axis; `overall` is the dashed line.

    Of a kind with many values, such as outlets, the largest are drawn.
    """
    drawn = [item for item in slices if np.isfinite(item.macro_f1.value)]
    names = _largest(drawn)[::-1]
    drawn = [item for item in drawn if (item.kind, item.value) in names]
    shown = [axis for axis in AXES if any(item.axis == axis for item in drawn)]
    figure = Figure(
        figsize=(2.2 + 3.0 * max(len(shown), 1), 1.4 + 0.28 * max(len(names), 3)),
        layout="constrained",
    )
    panels = figure.subplots(1, max(len(shown), 1), squeeze=False, sharey=True)[0]
    panels[0].set_yticks(
        range(len(names)),
        [f"{kind}: {value.replace('_', ' ')}" for kind, value in names],
        parse_math=False,  # an outlet's dollars are no formula
    )
    panels[0].set_ylim(-0.7, len(names) - 0.3)
    for panel, axis in zip(panels, shown, strict=False):
        rows = [item for item in drawn if item.axis == axis]
        at = [names.index((item.kind, item.value)) for item in rows]
        values = np.array([item.macro_f1.value for item in rows])
        low = values - [item.macro_f1.low for item in rows]
        high = np.array([item.macro_f1.high for item in rows]) - values
        panel.errorbar(
            values,
            at,
            xerr=np.maximum([low, high], 0),
            fmt="o",
            markersize=4,
            elinewidth=1.2,
            color=_COLORS[axis],
        )
        for item, place in zip(rows, at, strict=True):
            panel.text(1.03, place, str(item.n), fontsize=7, va="center", color=_INK)
        if axis in overall:
            panel.axvline(overall[axis], color="#7f8c8d", linestyle="--", linewidth=1)
        panel.set_xlim(0, 1.18)
        panel.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", ".25", ".5", ".75", "1"])
        panel.set_title(axis, fontsize=10)
        panel.set_xlabel("macro-F1, number of segments")
        panel.grid(alpha=0.3, axis="x")
        for border in range(1, len(names)):
            if names[border][0] != names[border - 1][0]:
                panel.axhline(border - 0.5, color="#d5dbdf", linewidth=0.8)
    figure.suptitle(title)
    return figure


def _largest(slices: Sequence[SliceMetrics]) -> list[tuple[str, str]]:
    """Kind and value of each slice, in order, at most `MOST_OF_A_KIND` of a kind."""
    sizes: dict[str, dict[str, int]] = {}
    for item in slices:
        values = sizes.setdefault(item.kind, {})
        values[item.value] = max(values.get(item.value, 0), item.n)
    return [
        (kind, value)
        for kind, values in sorted(sizes.items())
        for value in sorted(sorted(values, key=lambda v: -values[v])[:MOST_OF_A_KIND])
    ]


def learning_curves_figure(history: Sequence[Mapping[str, Any]], title: str) -> Figure:
    """Training loss and validation figures by step, from the Trainer's log history."""
    figure = Figure(figsize=(8.6, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    losses = [(row["step"], row["loss"]) for row in history if "loss" in row]
    if losses:
        left.plot(*zip(*losses, strict=True), color=_INK, linewidth=1.5)
    left.set_ylim(bottom=0)
    left.set_title("training loss", fontsize=10)
    curves = {"eval_score": ("score", _INK)} | {
        f"eval_{axis}_average_precision": (axis, color) for axis, color in _COLORS.items()
    }
    for key, (name, color) in curves.items():
        points = [(row["step"], row[key]) for row in history if key in row]
        if points:
            style = {"linewidth": 2.2} if name == "score" else {"linewidth": 1.2, "alpha": 0.8}
            right.plot(*zip(*points, strict=True), marker="o", color=color, label=name, **style)
    evaluations = [row for row in history if "eval_score" in row]
    of_mean = [row[MEAN_METRIC] for row in history if MEAN_METRIC in row]
    kept = {"color": "#7f8c8d", "linestyle": "--", "linewidth": 1}
    if of_mean:
        right.axhline(of_mean[-1], label="kept: the mean of the weights", **kept)
    elif evaluations:  # of equal ones the first, as the Trainer has it
        best = max(evaluations, key=lambda row: row["eval_score"])
        right.axvline(best["step"], label="kept", **kept)
    right.set_ylim(0, 1.02)
    right.set_title("validation: average precision, and the score that stops", fontsize=10)
    if right.get_legend_handles_labels()[0]:
        right.legend(loc="lower right", fontsize=8)
    for panel in (left, right):
        panel.set_xlabel("step")
        panel.grid(alpha=0.3)
    figure.suptitle(title)
    return figure
