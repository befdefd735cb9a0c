"""Measures of what a label should not depend on: typography, and the party that is spoken of."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from framelens_training.parties import Parties
from framelens_training.predictions import article_count, article_numbers
from framelens_training.quality_bench import (
    BABE,
    POLNEAR,
    SEMEVAL,
    TITLES,
    Bench,
    Read,
    Row,
    share_row,
)
from framelens_training.targets import LabelledFeatures
from framelens_training.typography import Typography

_Change = Callable[[LabelledFeatures], LabelledFeatures]


def typography(bench: Bench) -> list[Row]:
    """Labels that change with what was lost in copying: full stops, and the kind of marks.

    Of articles that were not trained on; each is read again in its other form.
    """
    read = bench.read(POLNEAR, "validation") + bench.read(SEMEVAL, "test")
    form = Typography(bench.featurizer)
    where = "PolNeAR dev and SemEval test, what is changed in them"
    questions: tuple[tuple[str, str, _Change], ...] = (
        ("last_stop", "without a last sentence’s full stop", form.without_last_stop),
        ("no_stops", "without any sentence’s full stop", form.without_stops),
        ("other_marks", "with quotation marks of the other kind", form.with_other_marks),
    )
    return [
        _changed_labels(bench, read, change, f"typography/{key}", what, where)
        for key, what, change in questions
    ]


def parties(bench: Bench) -> list[Row]:
    """Labels that change where the parties are exchanged, in articles, lone sentences and titles.

    The same words about the other side are framed or are not (counterfactual token fairness,
    Garg et al. 2019).
    """
    exchanged = Parties(bench.featurizer).exchanged
    what = "with the parties of the United States exchanged"
    reads = (
        ("articles", bench.read(POLNEAR, "validation") + bench.read(SEMEVAL, "test"),
         "PolNeAR dev and SemEval test"),
        ("sentences", bench.read(BABE, "validation") + bench.read(BABE, "test"),
         "babe validation and test"),
        ("headlines", bench.read(TITLES, "test"), f"{TITLES} test"),
    )  # fmt: skip
    return [
        _changed_labels(
            bench, read, exchanged, f"parties/{key}", what, f"{where}, what is changed in them"
        )
        for key, read, where in reads
    ]


def _changed_labels(
    bench: Bench, read: Read, change: _Change, key: str, what: str, where: str
) -> Row:
    """The share of other labels among segments that a change of the documents concerns."""
    items = [change(item) for item in read.items]
    after = bench.run_on(key, items)
    counts = np.zeros((article_count(read.documents), 2))
    for article, old, new, labels, others in zip(
        article_numbers(read.documents),
        read.items,
        items,
        read.labels(bench.decoding),
        after.labels(bench.decoding),
        strict=True,
    ):
        for segment, changed, label, other in zip(
            old.features.segments, new.features.segments, labels, others, strict=True
        ):
            if not np.array_equal(segment.ids, changed.ids):
                counts[article] += (label != other, 1)
    return share_row(bench, key, f"labels that change {what}, share", where, counts)
