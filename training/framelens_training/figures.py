"""Figures of a run, drawn without a display."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_curve

from framelens.schema import LABELS, Axis
from framelens_training.predictions import AxisData

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
