"""The measure of calibration: how far probabilities are from shares."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from framelens.schema import AXES
from framelens_training.calibration_error import (
    chance_calibration_errors,
    expected_calibration_error,
)
from framelens_training.evaluation import Interval
from framelens_training.predictions import article_count, axis_data
from framelens_training.quality_bench import Bench, Row, row_bootstrap
from framelens_training.quality_halves import axes_cross_fitted

_ECE_SAMPLES = 300


def calibration(bench: Bench) -> list[Row]:
    """Calibration error, each half of validation with temperatures from the other half."""
    parts = axes_cross_fitted(bench)
    rows: list[Row] = []
    for axis in AXES:
        found = [axis_data(part.documents, part.scores(decoding), axis) for part, decoding in parts]
        gold = np.concatenate([data.gold for data in found])
        scores = np.concatenate([data.values for data in found])
        if not len(gold):
            continue
        # No article is in both halves.
        first = article_count(parts[0][0].documents)
        groups = np.concatenate([data.groups + first * n for n, data in enumerate(found)])
        numbers = np.unique(groups, return_inverse=True)[1]
        chance = chance_calibration_errors(scores)
        rows.append(
            Row(
                f"calibration/{axis}",
                f"expected calibration error of `{axis}`",
                "validation of every corpus of the training, two halves by article",
                row_bootstrap(
                    bench,
                    numbers,
                    partial(_calibration_error, gold, scores),
                    _ECE_SAMPLES,
                ),
                len(gold),
                int(numbers.max()) + 1,
                higher_is_better=False,
                also={
                    f"half {number}": Interval(error, error, error)
                    for number, data in enumerate(found)
                    for error in [expected_calibration_error(data.gold, data.values)]
                }
                | {
                    "by chance, were they perfectly calibrated": Interval(
                        float(chance.mean()), *np.quantile(chance, (0.025, 0.975)).tolist()
                    )
                },
                note="temperatures of the other half; resampling biases the interval upwards",
            )
        )
    return rows


def _calibration_error(
    gold: NDArray[np.bool_], scores: NDArray[np.float64], rows: NDArray[np.int64]
) -> float:
    return expected_calibration_error(gold[rows], scores[rows])
