"""How far scores are from the frequencies that they stand for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from framelens.decoding import DecodingConfig
from framelens.schema import AXES

_BINS = 10


def expected_calibration_error(
    gold: NDArray[np.bool_], scores: NDArray[np.floating], bins: int = _BINS
) -> float:
    """Mean gap between score and frequency over equal-mass bins, weighted by their size.

    The examples of one score share their frequency, so that their order does not matter where a
    bin ends among them.
    """
    if not len(gold):
        return float("nan")
    frequency = _frequency_by_score(gold, scores)
    return float(
        sum(
            len(part) / len(gold) * abs(frequency[part].mean() - scores[part].mean())
            for part in _equal_mass(scores, bins)
        )
    )


def chance_calibration_errors(
    scores: NDArray[np.floating], draws: int = 200
) -> NDArray[np.float64]:
    """Errors (draws,) that these scores would show if they were perfectly calibrated.

    Labels are drawn with the scores as their probabilities. An error is never 0 on few examples,
    and one within these is no sign of bad calibration (Bröcker and Smith 2007).
    """
    generator = np.random.default_rng(0)
    return np.array(
        [
            expected_calibration_error(generator.random(len(scores)) < scores, scores)
            for _ in range(draws)
        ]
    )


def calibration_bins(
    gold: NDArray[np.bool_], scores: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean score and frequency of each equal-mass bin, the points of a reliability diagram."""
    frequency = _frequency_by_score(gold, scores)
    parts = _equal_mass(scores, _BINS)
    means = [(scores[part].mean(), frequency[part].mean()) for part in parts]
    points = np.array(means, dtype=np.float64).reshape(-1, 2)
    return points[:, 0], points[:, 1]


def _frequency_by_score(
    gold: NDArray[np.bool_], scores: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Of each example (n,), how frequent the positive answer is among those of its score."""
    _, group, sizes = np.unique(scores, return_inverse=True, return_counts=True)
    positive = np.bincount(group, weights=gold, minlength=len(sizes))
    return np.asarray((positive / sizes)[group])


def _equal_mass(scores: NDArray[np.floating], bins: int) -> list[NDArray[np.int64]]:
    if not len(scores):
        return []
    return np.array_split(np.argsort(scores, kind="stable"), min(bins, len(scores)))


def uncalibrated(config: DecodingConfig) -> DecodingConfig:
    """The same decoding without calibration, to measure what calibration does."""
    return replace(
        config,
        temperatures=dict.fromkeys(AXES, 1.0),
        offsets=dict.fromkeys(AXES, 0.0),
        headline_offsets=dict.fromkeys(AXES, 0.0),
    )
