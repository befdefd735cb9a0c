"""Whether the difference between two runs on the same segments is more than chance.

McNemar's test looks at the segments that one run answers rightly and the other wrongly. It
takes segments for independent, which those of one article are not; the paired bootstrap over
articles is the stricter of the two, and both are shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from framelens.schema import AXES, Axis
from framelens_training.answers import Answers
from framelens_training.errors import TrainingError, first_line
from framelens_training.evaluation import Interval, axis_counts, bootstrap, paired_difference

PREDICTIONS = "predictions/test.parquet"
"""Where a run keeps its answers, in its folder and among its MLflow artifacts."""


class ComparisonError(TrainingError):
    """Two runs that did not answer the same questions."""


@dataclass(frozen=True, slots=True)
class McNemar:
    """Segments that only one of two systems answers rightly, and how odd their imbalance is."""

    only_first: int
    only_second: int
    p_value: float


@dataclass(frozen=True, slots=True)
class AxisDifference:
    """Two runs on one axis: macro-F1, their difference (second less first), McNemar."""

    segments: int
    first: Interval
    second: Interval
    difference: Interval
    mcnemar: McNemar


def mcnemar(first_right: NDArray[np.bool_], second_right: NDArray[np.bool_]) -> McNemar:
    """McNemar's exact test: a two-sided binomial test on the discordant segments.

    Exact for any number of them, so no continuity correction is needed.
    """
    only_first = int((first_right & ~second_right).sum())
    only_second = int((second_right & ~first_right).sum())
    discordant = only_first + only_second
    p_value = float(binomtest(only_first, discordant).pvalue) if discordant else 1.0
    return McNemar(only_first, only_second, p_value)


def compare(
    first: Answers, second: Answers, *, samples: int = 1000, seed: int = 0
) -> dict[Axis, AxisDifference]:
    """Compare two runs axis by axis; each is judged at its own thresholds.

    Raises:
        ComparisonError: if the two do not hold the same segments with the same gold answers.
    """
    first, second = first.ordered(), second.ordered()
    _check_same_questions(first, second)
    found: dict[Axis, AxisDifference] = {}
    for axis in AXES:
        rows = first.axis == axis
        if not rows.any():
            continue
        groups = np.unique(first.article[rows], return_inverse=True)[1]
        size = int(groups.max()) + 1
        ours, theirs = (
            axis_counts(item.axis_data(rows, groups), float(item.threshold[rows][0]), size)
            for item in (first, second)
        )
        found[axis] = AxisDifference(
            int(rows.sum()),
            bootstrap(ours, samples, seed),
            bootstrap(theirs, samples, seed),
            paired_difference(theirs, ours, samples, seed),
            mcnemar(first.right[rows], second.right[rows]),
        )
    return found


def _check_same_questions(first: Answers, second: Answers) -> None:
    keys = [
        set(zip(a.document.tolist(), a.segment.tolist(), a.axis.tolist(), strict=True))
        for a in (first, second)
    ]
    if keys[0] != keys[1] or len(first.gold) != len(second.gold):
        raise ComparisonError(
            f"expected two runs with answers on the same segments, found {len(keys[0] & keys[1])} "
            f"in both, {len(keys[0] - keys[1])} in the first alone and "
            f"{len(keys[1] - keys[0])} in the second alone; evaluate both on the same test "
            "documents"
        )
    changed = int((first.gold != second.gold).sum())
    if changed:
        raise ComparisonError(
            f"expected the same gold answers in both runs, found {changed} of {len(first.gold)} "
            "that differ; the test documents were labelled anew between the runs: evaluate both "
            "on the same labels"
        )


def load_answers(run: str, client: Any = None) -> Answers:
    """The answers of a run: a Parquet file, a run's folder, or the id of an MLflow run.

    `client` is asked for what is neither file nor folder.

    Raises:
        ComparisonError: if there are none, saying where they were looked for.
    """
    path = Path(run)
    if path.is_dir():
        path /= PREDICTIONS
    if path.is_file():
        return Answers.read(path)
    looked = [str(path)]
    if client is not None:
        from mlflow.exceptions import MlflowException

        try:
            return Answers.read(Path(client.download_artifacts(run, PREDICTIONS)))
        except (MlflowException, OSError) as error:
            looked.append(f"MLflow run {run!r} ({first_line(error)})")
    raise ComparisonError(
        f"no predictions of {run!r}: expected a Parquet file, a run's folder with {PREDICTIONS}, "
        f"or the whole id of an MLflow run that has it; looked at {'; '.join(looked)}"
    )


def comparison_table(found: Mapping[Axis, AxisDifference]) -> str:
    """The comparison for a person to read."""
    head = f"{'axis':<13}{'n':>6}  {'first':<22}{'second':<22}{'difference':<25}"
    lines = [f"{head}{'only 1st/2nd right':<20}McNemar p"]
    for axis, item in found.items():
        test = item.mcnemar
        figures = f"{item.first!s:<22}{item.second!s:<22}{item.difference.signed():<25}"
        if not np.isfinite(item.difference.value):
            figures = f"{'one answer only in the labels: no figure':<69}"
        lines.append(
            f"{axis:<13}{item.segments:>6}  {figures}"
            f"{f'{test.only_first}/{test.only_second}':<20}{test.p_value:.3g}"
        )
    lines.append(
        "macro-F1 with 95 % bootstrap intervals over articles; difference is second less first; "
        "McNemar's exact test takes segments for independent"
    )
    return "\n".join(lines)
