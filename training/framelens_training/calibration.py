"""Temperatures, offsets, thresholds and what decodes spans, chosen on validation data."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar

from framelens.decoding import DecodingConfig, DocumentLogits, axis_scores
from framelens.schema import AXES, Axis
from framelens_training.config import LOSS_PARTS, THRESHOLDS, Evaluation, LossPart
from framelens_training.corpora.labelled import LabelledDocument
from framelens_training.near_best import middle_of_near_best
from framelens_training.predictions import AxisData, axis_data
from framelens_training.span_tuning import tune_spans
from framelens_training.targets import LabelledFeatures

_TEMPERATURES = (0.25, 8.0)
_GRID = np.array(THRESHOLDS)
_OFFSETS = (-3.0, 3.0)
HEADLINE_ANSWERS = 30
"""Fewest yeses, and fewest noes, of headlines and of other segments for an offset between them."""
FRAMED_ANSWERS = 100
"""Fewest yeses, and fewest noes, for an offset of all segments on `framed`: with fewer it follows
the luck of the draw (its standard error is then over .15)."""


def tune(
    documents: Sequence[LabelledFeatures],
    logits: Sequence[DocumentLogits],
    config: Evaluation,
    learnt: Collection[LossPart] = LOSS_PARTS,
) -> DecodingConfig:
    """Choose temperatures, offsets, thresholds, and what spans are decoded with.

    An axis without both answers in the data keeps temperature 1 and threshold 0.5, and so does one
    that the model has not learnt: its constant no would be moved to the answers in the data.
    """
    decoding = DecodingConfig(uncertain_band=config.uncertain_band)
    decoding = tune_spans(decoding, documents, logits, learnt)
    plain = [item.document for item in documents]
    axes = [axis for axis in AXES if axis in learnt]
    return tune_axes(decoding, plain, logits, config.threshold_range, axes)


def tune_axes(
    decoding: DecodingConfig,
    documents: Sequence[LabelledDocument],
    logits: Sequence[DocumentLogits],
    threshold_range: tuple[float, float],
    axes: Sequence[Axis] = AXES,
) -> DecodingConfig:
    """The decoding with each axis's temperature, offsets and threshold chosen.

    An offset of all segments is chosen for `framed` alone: the corpora that teach it differ in how
    often they say yes. That of page furniture would be the share of furniture on a few pages.
    """
    temperatures: dict[Axis, float] = dict.fromkeys(AXES, 1.0)
    offsets: dict[Axis, float] = dict.fromkeys(AXES, 0.0)
    of_headlines: dict[Axis, float] = dict.fromkeys(AXES, 0.0)
    for axis in axes:
        data = axis_data(documents, [item.segments for item in logits], axis)
        headlines = which_are_headlines(documents, logits, axis)
        temperatures[axis], offsets[axis], of_headlines[axis] = temperature_and_offsets(
            data, headlines, of_all=axis == "framed"
        )
    calibrated = replace(
        decoding, temperatures=temperatures, offsets=offsets, headline_offsets=of_headlines
    )
    scores = [axis_scores(item, calibrated) for item in logits]
    thresholds: dict[Axis, float] = dict.fromkeys(AXES, 0.5)
    for axis in axes:
        # Lines of pages alone are furniture nine times in ten; what is scored is mostly articles.
        data = axis_data(documents, scores, axis, implied=True)
        thresholds[axis] = best_threshold(data.gold, data.values, threshold_range)
    return replace(calibrated, thresholds=thresholds)


def which_are_headlines(
    documents: Sequence[LabelledDocument],
    logits: Sequence[DocumentLogits],
    axis: Axis,
    *,
    implied: bool = False,
) -> NDArray[np.bool_]:
    """Which of the segments that `axis_data` collects are headlines, (n,)."""
    rows = [np.repeat(item.headlines[:, np.newaxis], len(AXES), axis=1) for item in logits]
    values = [row.astype(np.float32) for row in rows]
    return axis_data(documents, values, axis, implied=implied).values > 0


def temperature_and_offsets(
    data: AxisData, headlines: NDArray[np.bool_], *, of_all: bool = False
) -> tuple[float, float, float]:
    """The temperature and offsets, of all segments and of headlines, that make answers likeliest.

    `headlines`, (n,), tells which segments are headlines. Where headlines or the others have fewer
    than `HEADLINE_ANSWERS` yeses or noes, their offset is 0; so is that of all segments without
    `of_all`, or with fewer than `FRAMED_ANSWERS` yeses or noes.
    """
    counts = [
        int((data.gold[role] == answer).sum())
        for role in (headlines, ~headlines)
        for answer in (True, False)
    ]
    have_own = min(counts) >= HEADLINE_ANSWERS
    of_all = of_all and min(data.gold.sum(), (~data.gold).sum()) >= FRAMED_ANSWERS
    if not (have_own or of_all):
        return temperature(data), 0.0, 0.0
    fixed = (0.0, 0.0)
    slope, offset, of_headlines = likeliest_scaling(
        data.values,
        headlines,
        data.gold.astype(np.float64),
        start=(1.0, 0.0, 0.0),
        bounds=(
            (1 / _TEMPERATURES[1], 1 / _TEMPERATURES[0]),
            _OFFSETS if of_all else fixed,
            _OFFSETS if have_own else fixed,
        ),
    )
    return round(1 / slope, 4), round(offset, 4), round(of_headlines, 4)


def likeliest_scaling(
    values: NDArray[np.floating],
    headlines: NDArray[np.bool_],
    wanted: NDArray[np.float64],
    *,
    start: Sequence[float],
    bounds: Sequence[tuple[float, float]],
) -> tuple[float, float, float]:
    """The slope, the offset and the offset of headlines that make answers likeliest.

    `values` are logits, `wanted` the probability of yes that each should have, all of shape (n,).
    What has two equal bounds stays there.
    """

    def loss(parameters: NDArray[np.float64]) -> float:
        slope, offset, of_headlines = parameters
        logit = slope * values + offset + of_headlines * headlines
        return float((np.logaddexp(0.0, logit) - wanted * logit).mean())

    found = minimize(loss, np.array(start), bounds=bounds, method="L-BFGS-B").x
    return float(found[0]), float(found[1]), float(found[2])


def temperature(data: AxisData) -> float:
    """The temperature with the least negative log-likelihood (Guo et al. 2017)."""
    if data.gold.all() or not data.gold.any():
        return 1.0
    signed = np.where(data.gold, data.values, -data.values)

    def loss(log_temperature: float) -> float:
        return float(np.logaddexp(0.0, -signed / np.exp(log_temperature)).mean())

    bounds = tuple(np.log(_TEMPERATURES))
    found = minimize_scalar(loss, bounds=bounds, method="bounded")
    return round(float(np.exp(found.x)), 4)


def best_threshold(
    gold: NDArray[np.bool_], scores: NDArray[np.floating], allowed: tuple[float, float]
) -> float:
    """The threshold for an axis, by the mean F1 of both answers (`middle_of_near_best`)."""
    if not len(gold) or gold.all() or not gold.any():
        return 0.5
    grid = _GRID[(allowed[0] <= _GRID) & (allowed[1] >= _GRID)]
    return middle_of_near_best(grid, np.array([_f1(gold, scores >= t) for t in grid]), len(gold))


def _f1(gold: NDArray[np.bool_], found: NDArray[np.bool_]) -> float:
    true = int((gold & found).sum())
    wrong = int((gold != found).sum())
    positive = 2 * true / max(2 * true + wrong, 1)
    true_negative = int((~gold & ~found).sum())
    return (positive + 2 * true_negative / max(2 * true_negative + wrong, 1)) / 2
