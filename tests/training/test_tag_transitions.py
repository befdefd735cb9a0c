from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from framelens.decoding import DecodingConfig, DocumentLogits, decode_spans, viterbi
from framelens.features import Featurizer
from framelens.schema import AXES, BIO_TAGS, SPAN_LOGITS
from framelens_training.model import IGNORE
from framelens_training.tag_transitions import fit_transitions
from framelens_training.targets import LabelledFeatures, SegmentTargets, featurize_document
from support import tiny_documents

Table = tuple[tuple[float, ...], ...]
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


def right(items: list[LabelledFeatures], logits: list[DocumentLogits], table: Table) -> float:
    """Share of words that get their tag."""
    hits = total = 0
    for item, found in zip(items, logits, strict=True):
        gold = np.concatenate([target.tags for target in item.targets])
        words = np.concatenate([t[:, : len(BIO_TAGS)] for t in found.tokens])[gold != IGNORE]
        hits += int((viterbi(words, table) == gold[gold != IGNORE]).sum())
        total += int((gold != IGNORE).sum())
    return hits / total


def test_the_fitted_scores_mend_broken_spans(broken: Labelled) -> None:
    items, logits = broken
    table = fit_transitions(items[:20], logits[:20])
    assert np.shape(table) == (7, 7)
    before = right(items[20:], logits[20:], ())
    after = right(items[20:], logits[20:], table)
    assert before < 0.97
    assert after > before + 0.02
    assert spans_of(items[20:], logits[20:], table) < spans_of(items[20:], logits[20:], ())


def spans_of(items: list[LabelledFeatures], logits: list[DocumentLogits], table: Table) -> int:
    """How many attribution spans decoding finds: a broken one counts twice."""
    decoding = DecodingConfig(transitions=table)
    return sum(
        span.type != "loaded"
        for item, found in zip(items, logits, strict=True)
        for span in decode_spans(item.features.segments, found.tokens, decoding)
    )


def test_where_words_are_right_without_them_none_are_kept(featurizer: Featurizer) -> None:
    items = [featurize_document(document, featurizer) for document in tiny_documents(20)]
    logits = [logits_of(item, [gold_tokens(t, 9.0) for t in item.targets]) for item in items]
    assert fit_transitions(items, logits) == ()


def test_too_few_spans_fit_nothing(broken: Labelled) -> None:
    items, logits = broken
    assert fit_transitions(items[:1], logits[:1]) == ()
    assert fit_transitions([], []) == ()
