"""The example articles and the labels that are expected of them belong together."""

from __future__ import annotations

from pathlib import Path

import pytest

from framelens.segmentation import segment_article
from framelens_training.corpora.labelled import ANNOTATED, LabelledDocument, read_jsonl
from framelens_training.evaluation import gold_label

FOLDER = Path(__file__).parents[2] / "examples" / "articles"
DOCUMENTS = read_jsonl(FOLDER / "expected.jsonl")


def test_every_article_has_its_labels() -> None:
    assert sorted(d.id for d in DOCUMENTS) == sorted(path.stem for path in FOLDER.glob("*.txt"))
    assert len(DOCUMENTS) == 10


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.id)
def test_labels_are_complete_and_on_the_segments_that_are_scored(
    document: LabelledDocument,
) -> None:
    text = (FOLDER / f"{document.id}.txt").read_text(encoding="utf-8")
    assert text == f"{document.headline}\n\n{document.text}\n"
    assert 250 <= len(text.split()) <= 600
    expected = [(s.field, s.start, s.end) for s in document.segments]
    assert expected == [
        (s.field, s.start, s.end) for s in segment_article(document.text, document.headline)
    ]
    assert document.annotated == frozenset(ANNOTATED)
    assert all(gold_label(segment) is not None for segment in document.segments)
    # As a bare text, the first line is taken for the headline that it is.
    assert segment_article(text)[0].role == "headline"


def test_every_label_occurs_often_enough_to_learn_something_from_it() -> None:
    labels = [gold_label(s) for d in DOCUMENTS for s in d.segments]
    for label in ("sourced", "framed", "plain", "boilerplate"):
        assert labels.count(label) >= 20, label
