"""Measures of page furniture: by line of a page, and where text of an article is taken for it."""

from __future__ import annotations

import numpy as np

from framelens.schema import AXES, Field
from framelens_training.evaluation import macro_f1
from framelens_training.predictions import article_count, article_numbers
from framelens_training.quality_bench import (
    PAGES,
    WRITTEN_PAGES,
    Bench,
    Read,
    Row,
    axis_row,
    share_row,
)
from framelens_training.targets import is_article_text


def taken_for_furniture(bench: Bench, read: Read, key: str, where: str, field: Field) -> Row:
    """Headlines, or other segments that are known to be of an article, over the threshold of page
    furniture.

    A headline's label leaves that score out; another segment's label is `boilerplate`.
    """
    column, threshold = AXES.index("boilerplate"), bench.decoding.thresholds["boilerplate"]
    documents = read.documents
    counts = np.zeros((article_count(documents), 2))
    for document, scores, article in zip(
        documents, read.scores(bench.decoding), article_numbers(documents), strict=True
    ):
        for index, segment in enumerate(document.segments):
            known = segment.boilerplate is False or is_article_text(document, segment)
            if segment.field == field and known:
                counts[article] += (scores[index, column] >= threshold, 1)
    headlines = field == "headline"
    which = "headlines" if headlines else "segments of articles"
    return share_row(
        bench,
        f"{key}/{'headline_furniture' if headlines else 'furniture'}",
        f"{which} with a score of page furniture over its threshold, share",
        where,
        counts,
    )


def pages(bench: Bench) -> list[Row]:
    """Page furniture by line, on pages of hosts that were not trained on."""
    return _furniture_by_line(bench, PAGES, "pages", "page furniture, macro-F1 by line")


def written_pages(bench: Bench) -> list[Row]:
    """Page furniture by line, on the pages that were written for the project."""
    title = "packaged pages, page furniture, macro-F1 by line"
    return _furniture_by_line(bench, WRITTEN_PAGES, "written_pages", title)


def _furniture_by_line(bench: Bench, name: str, key: str, title: str) -> list[Row]:
    also = ("validation",)
    found = axis_row(
        bench, "boilerplate", macro_f1, name, "test", f"{key}/macro_f1", title, also=also
    )
    return [found]
