"""Measures of framing, and in whole articles of attribution, by people's and readers' labels."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from framelens.decoding import is_uncertain
from framelens.schema import Axis
from framelens_training.corpora.base import Split
from framelens_training.corpora.labelled import LabelledDocument
from framelens_training.evaluation import Interval, hit_share, macro_f1, weighted_f1
from framelens_training.predictions import article_count, article_numbers, by_axis
from framelens_training.quality_bench import (
    BABE,
    CHECKTHAT,
    JUDGED,
    LINES,
    TITLES,
    Bench,
    Read,
    Row,
    article_counts,
    axis_row,
)
from framelens_training.quality_furniture import taken_for_furniture
from framelens_training.quality_halves import axes_cross_fitted
from framelens_training.slices import false_alarms
from framelens_training.targets import role_of

_NEUTRAL_MINIMUM = 20


def babe(bench: Bench) -> list[Row]:
    """Bias of single sentences, and false alarms on neutral ones by the outlet's lean."""
    row = partial(axis_row, bench, "framed", name=BABE, split="test", also=("validation",))
    note = "the tenth of the articles that training and tuning left out; cross-validation apart"
    read = bench.read(BABE, "test") + bench.read(BABE, "validation")
    rows = [
        row(statistic=weighted_f1, key="babe/weighted_f1", what="bias, weighted F1", note=note),
        row(statistic=macro_f1, key="babe/macro_f1", what="bias, true macro-F1", note=note),
        taken_for_furniture(bench, read, "babe", "babe validation and test", "text"),
    ]
    alarms = false_alarms(
        read.documents,
        read.scores(bench.decoding),
        bench.decoding,
        minimum=_NEUTRAL_MINIMUM,
        samples=max(bench.settings.samples, 1),
        seed=bench.settings.seed,
    )
    if alarms.gap is not None:
        rows.append(
            Row(
                "babe/false_alarm_gap",
                "false alarms on neutral sentences, left less right outlets",
                "babe validation and test",
                alarms.gap,
                alarms.neutral["left"] + alarms.neutral["right"],
                article_count(read.documents),
                higher_is_better=False,
                also={
                    f"rate, {lean} ({alarms.neutral[lean]} neutral)": rate
                    for lean, rate in alarms.rates.items()
                },
            )
        )
    return rows


def checkthat(bench: Bench) -> list[Row]:
    """Subjectivity: the framed answer is SUBJ."""
    row = axis_row(
        bench,
        "framed",
        macro_f1,
        CHECKTHAT,
        "validation",
        "checkthat/macro_f1",
        "subjectivity, macro-F1",
        note="dev is validation: training stopped by it, and thresholds were tuned on it "
        "together with the other corpora's",
    )
    read = bench.read(CHECKTHAT, "validation")
    furniture = taken_for_furniture(bench, read, "checkthat", "checkthat2025 validation", "text")
    if CHECKTHAT not in bench.holdings.validation():
        return [replace(row, note=""), furniture]
    counts = [
        article_counts(part, "framed", decoding)
        for part, decoding in axes_cross_fitted(bench)
        for part in [part.where(lambda d: d.id.startswith(f"{CHECKTHAT}/"))]
    ]
    honest = bench.bootstrap(np.concatenate(counts), macro_f1)
    also = {**row.also, "thresholds tuned on the other half of validation": honest}
    return [replace(row, also=also), furniture]


def titles(bench: Bench) -> list[Row]:
    """Headlines: framed or not, on the rows that three annotators agree on."""
    return [
        taken_for_furniture(
            bench, bench.read(TITLES, "test"), "titles", f"{TITLES} test", "headline"
        ),
        axis_row(
            bench,
            "framed",
            macro_f1,
            TITLES,
            "test",
            "titles/macro_f1",
            "headlines framed or not, macro-F1, unanimous rows",
            keep=lambda document: document.meta.get("unanimous") == "yes",
            also=("validation",),
        ),
    ]


def lines(bench: Bench) -> list[Row]:
    """Packaged headlines and sentences, by readers who judged as annotators would."""
    kinds = (("headlines", TITLES), ("sentences", CHECKTHAT))
    return [
        axis_row(
            bench,
            "framed",
            macro_f1,
            LINES,
            "test",
            f"lines/{kind}",
            f"packaged {kind} framed or not, macro-F1",
            keep=partial(_is_judged_as, name),
            note=f"by readers who judged as the annotators of {name} would",
        )
        for kind, name in kinds
    ]


def _is_judged_as(name: str, document: LabelledDocument) -> bool:
    return document.meta["as"] == name


def articles(bench: Bench) -> list[Row]:
    """Whole articles by this project's guide: where the outlet's words frame, and who speaks."""
    parts: tuple[tuple[Split, str], ...] = (("validation", "PolNeAR dev"), ("test", "SemEval test"))
    axes: tuple[Axis, ...] = ("framed", "attributed")
    return [_judged_row(bench, axis, split, where) for axis in axes for split, where in parts]


def _judged_row(bench: Bench, axis: Axis, split: Split, where: str) -> Row:
    row = axis_row(
        bench,
        axis,
        macro_f1,
        JUDGED,
        split,
        f"articles/{axis}/{split}",
        f"{axis} in whole articles, macro-F1, {where}",
        note="judged twice; what the readings disagree on is left out",
    )
    read = bench.read(JUDGED, split)
    counts = article_counts(read, axis, bench.decoding)
    also = {
        f"right of those called {axis}": bench.bootstrap(counts, _precision),
        "found of those that are": bench.bootstrap(counts, _recall),
        "uncertain where readers agree": _uncertain_share(bench, read, axis, doubtful=False),
        "uncertain where they are in doubt": _uncertain_share(bench, read, axis, doubtful=True),
    }
    return replace(row, also={**row.also, **also})


def _precision(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Right of those that are found, for outcome counts (..., 4) as `macro_f1` takes them."""
    return hit_share(np.stack([counts[..., 0], counts[..., 0] + counts[..., 1]], axis=-1))


def _recall(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Found of those that are there, for outcome counts (..., 4)."""
    return hit_share(np.stack([counts[..., 0], counts[..., 0] + counts[..., 2]], axis=-1))


def _uncertain_share(bench: Bench, read: Read, axis: Axis, *, doubtful: bool) -> Interval:
    """The share with an uncertain label, of the segments whose axis is in doubt or is not."""
    counts = np.zeros((article_count(read.documents), 2))
    for document, scores, article in zip(
        read.documents, read.scores(bench.decoding), article_numbers(read.documents), strict=True
    ):
        for segment, row in zip(document.segments, scores, strict=True):
            if (segment.counted(axis) is None) is doubtful:
                told = is_uncertain(by_axis(row), bench.decoding, role_of(segment))
                counts[article] += (told, 1)
    return bench.bootstrap(counts[counts[:, 1] > 0], hit_share)
