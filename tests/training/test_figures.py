from __future__ import annotations

import io

import numpy as np
import pytest
from matplotlib.figure import Figure

from framelens.schema import AXES
from framelens_training.calibration_error import calibration_bins
from framelens_training.evaluation import Interval
from framelens_training.figures import (
    MOST_OF_A_KIND,
    learning_curves_figure,
    reliability_figure,
    slice_figure,
)
from framelens_training.predictions import AxisData
from framelens_training.slices import SliceMetrics

GENERATOR = np.random.default_rng(4)


def drawn(figure: Figure) -> bytes:
    """The figure as PNG: a figure that cannot be drawn fails here."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    return stream.getvalue()


def data(count: int, sharpness: float = 1.0) -> AxisData:
    logits = GENERATOR.normal(0, 2, count)
    gold = GENERATOR.random(count) < 1 / (1 + np.exp(-logits))
    values = 1 / (1 + np.exp(-sharpness * logits))
    return AxisData(gold, values, np.arange(count))


def test_bins_hold_equal_masses_and_follow_the_diagonal() -> None:
    found = data(20_000)
    scores, shares = calibration_bins(found.gold, found.values)
    assert len(scores) == 10
    assert np.all(np.diff(scores) > 0)
    np.testing.assert_allclose(scores, shares, atol=0.04)
    assert len(calibration_bins(found.gold[:3], found.values[:3])[0]) == 3
    assert len(calibration_bins(found.gold[:0], found.values[:0])[0]) == 0


def test_the_reliability_diagram_has_a_panel_for_each_axis_with_data() -> None:
    raw = {axis: data(200, 3.0) for axis in AXES} | {"boilerplate": data(0)}
    figure = reliability_figure(raw, raw, "run")
    panels = figure.axes
    assert [panel.get_title().split()[0] for panel in panels] == ["attributed", "framed"]
    legend = panels[0].get_legend()
    assert legend is not None
    assert [text.get_text().split(":")[0] for text in legend.get_texts()] == ["before", "after"]
    assert drawn(figure).startswith(b"\x89PNG")


def test_the_slice_chart_shows_slices_with_a_figure() -> None:
    def item(axis: str, kind: str, value: str, f1: float) -> SliceMetrics:
        interval = Interval(f1, f1 - 0.1, f1 + 0.05)
        return SliceMetrics(axis, kind, value, 40, 10, interval, 0.1, 0.2)  # type: ignore[arg-type]

    slices = [
        item("attributed", "lean", "left", 0.8),
        item("attributed", "role", "body", 0.9),
        item("framed", "lean", "left", 0.6),
        item("framed", "role", "headline", float("nan")),
    ]
    figure = slice_figure(slices, {"attributed": 0.85, "framed": 0.7}, "run")
    assert [panel.get_title() for panel in figure.axes] == ["attributed", "framed"]
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == ["role: body", "lean: left"]
    assert drawn(figure).startswith(b"\x89PNG")
    many = [item("framed", "outlet", f"o{n:02}", 0.5) for n in range(MOST_OF_A_KIND + 3)]
    shown = slice_figure(many, {}, "many").axes[0].get_yticklabels()
    assert len(shown) == MOST_OF_A_KIND
    assert drawn(slice_figure([], {}, "none")).startswith(b"\x89PNG")
    dollars = [item("framed", "outlet", r"$\no \formula$", 0.5)]
    assert drawn(slice_figure(dollars, {}, "dollars")).startswith(b"\x89PNG")


def test_learning_curves_mark_the_step_that_was_kept() -> None:
    history = [
        {"step": 10, "loss": 2.0},
        {"step": 10, "eval_score": 0.4, "eval_framed_average_precision": 0.3},
        {"step": 20, "loss": 1.0},
        {"step": 20, "eval_score": 0.6, "eval_framed_average_precision": 0.5},
        {"step": 30, "eval_score": 0.5, "eval_framed_average_precision": 0.5},
        {"step": 40, "eval_score": 0.6, "eval_framed_average_precision": 0.5},
    ]
    figure = learning_curves_figure(history, "run")
    left, right = figure.axes
    assert left.lines[0].get_xydata().tolist() == [[10, 2.0], [20, 1.0]]  # type: ignore[union-attr]
    lines = {line.get_label(): line for line in right.lines}
    assert set(lines) == {"score", "framed", "kept"}
    kept = lines["kept"].get_xdata()
    assert kept == pytest.approx([20, 20])  # the first of two that are equal
    assert drawn(figure).startswith(b"\x89PNG")
    assert drawn(learning_curves_figure([], "none")).startswith(b"\x89PNG")
