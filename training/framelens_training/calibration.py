"""Temperatures, thresholds and tag transitions, chosen on validation data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from framelens.decoding import DecodingConfig, DocumentLogits, Floats, sigmoid
from framelens.schema import AXES, BIO_TAGS, Axis
from framelens_training.config import Evaluation
from framelens_training.corpora.labelled import LabelledDocument
from framelens_training.predictions import AxisData, axis_data
from framelens_training.tag_transitions import fit_transitions
from framelens_training.targets import LabelledFeatures

_TEMPERATURES = (0.25, 8.0)
_GRID = np.round(np.arange(0.02, 0.99, 0.01), 2)
_BINS = 10


def tune(
    documents: Sequence[LabelledFeatures],
    logits: Sequence[DocumentLogits],
    config: Evaluation,
) -> DecodingConfig:
    """Choose temperatures, thresholds and the scores of tag after tag.

    An axis without both answers in the data keeps temperature 1 and threshold 0.5.
    """
    temperatures, thresholds = tune_axes(
        [item.document for item in documents],
        [item.segments for item in logits],
        config.threshold_range,
    )
    gold, scores = _loaded_words(documents, logits)
    return DecodingConfig(
        temperatures=temperatures,
        thresholds=thresholds,
        uncertain_band=config.uncertain_band,
        loaded_threshold=best_threshold(gold, scores, config.threshold_range, positive_only=True),
        transitions=fit_transitions(documents, logits),
    )


def tune_axes(
    documents: Sequence[LabelledDocument],
    logits: Sequence[Floats],
    threshold_range: tuple[float, float],
) -> tuple[dict[Axis, float], dict[Axis, float]]:
    """The temperature and the threshold of each axis; `logits` holds an array (s, 3) a document."""
    temperatures: dict[Axis, float] = {}
    thresholds: dict[Axis, float] = {}
    for axis in AXES:
        data = axis_data(documents, logits, axis)
        temperatures[axis] = temperature(data)
        scores = sigmoid((data.values / temperatures[axis]).astype(np.float32))
        thresholds[axis] = best_threshold(data.gold, scores, threshold_range)
    return temperatures, thresholds


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
    gold: NDArray[np.bool_],
    scores: NDArray[np.floating],
    allowed: tuple[float, float],
    *,
    positive_only: bool = False,
) -> float:
    """The middle of the widest stretch of thresholds that share the best F1.

    The F1 is the mean over both answers, or the positive one's alone with `positive_only`.
    """
    if not len(gold) or gold.all() or not gold.any():
        return 0.5
    grid = _GRID[(allowed[0] <= _GRID) & (allowed[1] >= _GRID)]
    values = np.array([_f1(gold, scores >= t, positive_only) for t in grid])
    best = values >= values.max() - 1e-12
    edges = np.flatnonzero(np.diff(np.concatenate(([0], best.astype(int), [0]))))
    stretches = list(zip(edges[::2], edges[1::2] - 1, strict=True))
    first, last = max(stretches, key=lambda s: s[1] - s[0])
    return round(float(grid[first] + grid[last]) / 2, 3)


def _f1(gold: NDArray[np.bool_], found: NDArray[np.bool_], positive_only: bool) -> float:
    true = int((gold & found).sum())
    wrong = int((gold != found).sum())
    positive = 2 * true / max(2 * true + wrong, 1)
    if positive_only:
        return positive
    true_negative = int((~gold & ~found).sum())
    return (positive + 2 * true_negative / max(2 * true_negative + wrong, 1)) / 2


def _loaded_words(
    documents: Sequence[LabelledFeatures], logits: Sequence[DocumentLogits]
) -> tuple[NDArray[np.bool_], NDArray[np.floating]]:
    gold: list[NDArray[np.bool_]] = [np.zeros(0, dtype=np.bool_)]
    scores: list[NDArray[np.float32]] = [np.zeros(0, dtype=np.float32)]
    for item, found in zip(documents, logits, strict=True):
        for target, tokens in zip(item.targets, found.tokens, strict=True):
            seen = target.loaded >= 0
            gold.append(target.loaded[seen] == 1)
            scores.append(sigmoid(tokens[seen, len(BIO_TAGS)]))
    return np.concatenate(gold), np.concatenate(scores)


def expected_calibration_error(
    gold: NDArray[np.bool_], scores: NDArray[np.floating], bins: int = _BINS
) -> float:
    """Mean gap between score and frequency over equal-mass bins, weighted by their size."""
    if not len(gold):
        return float("nan")
    return float(
        sum(
            len(part) / len(gold) * abs(gold[part].mean() - scores[part].mean())
            for part in _equal_mass(scores, bins)
        )
    )


def chance_calibration_errors(
    scores: NDArray[np.floating], draws: int = 200, seed: int = 0
) -> NDArray[np.float64]:
    """Errors (draws,) that these scores would show if they were perfectly calibrated.

    Labels are drawn with the scores as their probabilities. An error is never 0 on few examples,
    and one within these is no sign of bad calibration (Bröcker and Smith 2007).
    """
    generator = np.random.default_rng(seed)
    return np.array(
        [
            expected_calibration_error(generator.random(len(scores)) < scores, scores)
            for _ in range(draws)
        ]
    )


def calibration_bins(
    gold: NDArray[np.bool_], scores: NDArray[np.floating], bins: int = _BINS
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean score and frequency of each equal-mass bin, the points of a reliability diagram."""
    parts = _equal_mass(scores, bins)
    means = [(scores[part].mean(), gold[part].mean()) for part in parts]
    points = np.array(means, dtype=np.float64).reshape(-1, 2)
    return points[:, 0], points[:, 1]


def _equal_mass(scores: NDArray[np.floating], bins: int) -> list[NDArray[np.int64]]:
    if not len(scores):
        return []
    return np.array_split(np.argsort(scores, kind="stable"), min(bins, len(scores)))


def with_temperatures_of_one(config: DecodingConfig) -> DecodingConfig:
    """The same decoding without calibration, to measure what calibration does."""
    return replace(config, temperatures=dict.fromkeys(AXES, 1.0))
