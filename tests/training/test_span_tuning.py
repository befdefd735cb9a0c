from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from framelens.decoding import DecodingConfig, DocumentLogits
from framelens.features import Featurizer
from framelens.schema import ATTRIBUTION_TYPES, AXES, BIO_TAGS, SPAN_LOGITS
from framelens_training.evaluation import span_metrics
from framelens_training.model import IGNORE
from framelens_training.span_tuning import tune_spans
from framelens_training.targets import LabelledFeatures, SegmentTargets, featurize_document
from support import tiny_documents

Labelled = tuple[list[LabelledFeatures], list[DocumentLogits]]


def gold_tokens(target: SegmentTargets, height: float) -> NDArray[np.float32]:
    """Token logits (n, 8) of a network that knows a segment's tags."""
    rows = np.zeros((len(target.tags), len(SPAN_LOGITS)), dtype=np.float32)
    heads = np.flatnonzero(target.tags != IGNORE)
    rows[heads, target.tags[heads]] = height
    return rows


def logits_of(item: LabelledFeatures, tokens: list[NDArray[np.float32]]) -> DocumentLogits:
    size = len(item.targets)
    axes, headlines = np.zeros((size, len(AXES)), np.float32), np.zeros(size, np.bool_)
    return DocumentLogits(axes, tuple(tokens), headlines)


@pytest.fixture
def broken(featurizer: Featurizer) -> Labelled:
    """Documents, and a network that loses single words from the middle of long spans."""
    generator = np.random.default_rng(0)
    items = [featurize_document(document, featurizer) for document in tiny_documents(40)]
    logits = []
    for item in items:
        tokens = []
        for target in item.targets:
            rows = gold_tokens(target, 2.0)
            inside = np.flatnonzero((target.tags > 0) & (target.tags % 2 == 0))
            lost = inside[generator.random(len(inside)) < 0.3]
            rows[lost] = 0.0
            rows[lost, 0] = 1.0
            tokens.append(rows)
        logits.append(logits_of(item, tokens))
    return items, logits


def f1_of(labelled: Labelled, decoding: DecodingConfig) -> float:
    """Mean exact-match F1 of the types."""
    found = span_metrics(*labelled, decoding)
    return float(np.mean([found[kind].f1 for kind in ATTRIBUTION_TYPES]))


def test_the_fitted_scores_mend_broken_spans(broken: Labelled) -> None:
    items, logits = broken
    tuned = tune_spans(DecodingConfig(), items[:20], logits[:20])
    assert np.shape(tuned.transitions) == (7, 7)
    held_out = items[20:], logits[20:]
    assert f1_of(held_out, DecodingConfig()) < 0.9
    assert f1_of(held_out, tuned) > f1_of(held_out, DecodingConfig()) + 0.05


def test_where_words_are_right_without_them_none_are_kept(featurizer: Featurizer) -> None:
    items = [featurize_document(document, featurizer) for document in tiny_documents(20)]
    logits = [logits_of(item, [gold_tokens(t, 9.0) for t in item.targets]) for item in items]
    tuned = tune_spans(DecodingConfig(), items, logits)
    assert tuned.transitions == ()
    assert f1_of((items, logits), tuned) == 1.0


def test_spans_of_chance_raise_their_threshold(featurizer: Featurizer) -> None:
    """Wrong sources that the network itself doubts are left out, the right ones stay."""
    items = [featurize_document(document, featurizer) for document in tiny_documents(20)]
    logits = []
    for item in items:
        rows = [gold_tokens(target, 9.0) for target in item.targets]
        for target, row in zip(item.targets, rows, strict=True):
            row[target.tags == 0, BIO_TAGS.index("B-source")] = 9.3  # of .57 against outside
        logits.append(logits_of(item, rows))
    tuned = tune_spans(DecodingConfig(), items, logits)
    assert tuned.span_thresholds["source"] > 0.57
    assert tuned.span_thresholds["content"] < 0.57
    assert f1_of((items, logits), DecodingConfig()) < 0.8
    assert f1_of((items, logits), tuned) > 0.95


def test_too_few_spans_change_nothing(broken: Labelled) -> None:
    items, logits = broken
    given = DecodingConfig(uncertain_band=0.3)
    assert tune_spans(given, items[:1], logits[:1]) == given
    assert tune_spans(given, [], []) == given
