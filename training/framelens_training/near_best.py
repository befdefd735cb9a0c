"""Which of many thresholds to take: the middle of those that are as good as the best."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def middle_of_near_best(
    thresholds: NDArray[np.float64], f1: NDArray[np.float64], answers: int
) -> float:
    """The middle of the widest stretch of thresholds whose F1 is the best, or nearly so.

    `thresholds`, (n,), rise, and `f1`, (n,), is what each of them reaches. As good as the best is
    what lies within one standard error of it, that of a share among as many `answers`: the rule by
    which Breiman et al. (1984, section 3.4.3) choose a tree. The best itself is the luck of a few
    answers.
    """
    best = f1.max()
    near = f1 >= best - np.sqrt(best * (1 - best) / answers) - 1e-12
    edges = np.flatnonzero(np.diff(np.concatenate(([0], near.astype(int), [0]))))
    stretches = list(zip(edges[::2], edges[1::2] - 1, strict=True))
    first, last = max(stretches, key=lambda stretch: stretch[1] - stretch[0])
    return round(float(thresholds[first] + thresholds[last]) / 2, 3)
