from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from framelens.decoding import DecodingConfig, DocumentLogits
from framelens.features import Featurizer
from framelens.schema import ATTRIBUTION_TYPES, BIO_TAGS, SPAN_LOGITS
from framelens.tag_chain import LOADED_TRANSITIONS
from framelens_training.corpora.markup import parse_markup
from framelens_training.evaluation import span_metrics
from framelens_training.span_tuning import MIN_SPANS, fit_transitions, tune_spans
from framelens_training.targets import (
    IGNORE,
    LabelledFeatures,
    featurize_document,
    targets,
)
from support import gold_tokens, logits_of, tiny_documents

Labelled = tuple[list[LabelledFeatures], list[DocumentLogits]]


@pytest.fixture
def broken(featurizer: Featurizer) -> Labelled:
    """Documents, and a network that loses single words from the middle of long spans."""
    generator = np.random.default_rng(0)
    items = [featurize_document(document, featurizer) for document in tiny_documents(40)]
    logits = []
    for item in items:
        tokens = []
        for target in item.targets:
            rows = gold_tokens(target.tags, 2.0)
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
    logits = [logits_of(item, [gold_tokens(t.tags) for t in item.targets]) for item in items]
    tuned = tune_spans(DecodingConfig(), items, logits)
    assert tuned.transitions == ()
    assert f1_of((items, logits), tuned) == 1.0


def test_spans_of_chance_raise_their_threshold(featurizer: Featurizer) -> None:
    """Wrong sources that the network itself doubts are left out, the right ones stay."""
    items = [featurize_document(document, featurizer) for document in tiny_documents(20)]
    logits = []
    for item in items:
        rows = [gold_tokens(target.tags) for target in item.targets]
        for target, row in zip(item.targets, rows, strict=True):
            row[target.tags == 0, BIO_TAGS.index("B-source")] = 9.3  # of .57 against outside
        logits.append(logits_of(item, rows))
    tuned = tune_spans(DecodingConfig(), items, logits)
    assert tuned.span_thresholds["source"] > 0.57
    assert tuned.span_thresholds["content"] < 0.57
    assert f1_of((items, logits), DecodingConfig()) < 0.8
    assert f1_of((items, logits), tuned) > 0.95


def test_documents_without_annotated_spans_do_not_count(broken: Labelled) -> None:
    items, logits = broken
    others = [
        replace(item, document=replace(item.document, annotated=frozenset(), spans=()))
        for item in items[20:]
    ]
    others = [
        replace(item, targets=tuple(targets(item.document, item.features.segments)))
        for item in others
    ]
    alone = tune_spans(DecodingConfig(), items[:20], logits[:20])
    assert tune_spans(DecodingConfig(), [*items[:20], *others], logits) == alone


def test_a_type_without_gold_spans_keeps_its_threshold(broken: Labelled) -> None:
    items, logits = [], []
    for item, found in zip(*broken, strict=True):
        spans = tuple(span for span in item.document.spans if span.type != "cue")
        document = replace(item.document, spans=spans)
        own = tuple(targets(document, item.features.segments))
        items.append(LabelledFeatures(document, item.features, own))
        logits.append(found)
    tuned = tune_spans(DecodingConfig(), items, logits)
    assert tuned.transitions
    assert tuned.span_thresholds["cue"] == 0.5


def chain(moves: NDArray[np.float64], length: int) -> NDArray[np.int64]:
    """Tags that follow each other as these probabilities say."""
    generator = np.random.default_rng(7)
    tags = [0]
    for draw in generator.random(length):
        tags.append(int(np.searchsorted(np.cumsum(moves[tags[-1]]), draw)))
    return np.array(tags[1:])


def test_fitted_scores_expect_the_moves_that_were_seen() -> None:
    """So it is where a likelihood is greatest; counted over all ways through four words."""
    tags = chain(np.array([[0.7, 0.3, 0.0], [0.2, 0.0, 0.8], [0.4, 0.0, 0.6]]), 400).reshape(-1, 4)
    tags[:, 0] = np.minimum(tags[:, 0], 1)
    logits = np.random.default_rng(3).normal(size=(*tags.shape, 3)).astype(np.float32)
    table = np.array(fit_transitions(zip(logits, tags, strict=True), LOADED_TRANSITIONS))
    ways = [
        way
        for way in itertools.product(range(3), repeat=4)
        if way[0] != 2 and all(LOADED_TRANSITIONS[a, b] == 0 for a, b in itertools.pairwise(way))
    ]
    scores = np.array(
        [
            logits[:, range(4), way].sum(axis=1)
            + sum(table[a, b] for a, b in itertools.pairwise(way))
            for way in ways
        ]
    )
    probable = (np.exp(scores) / np.exp(scores).sum(axis=0)).sum(axis=1)
    expected, seen = np.zeros((3, 3)), np.zeros((3, 3))
    for way, weight in zip(ways, probable, strict=True):
        for move in itertools.pairwise(way):
            expected[move] += weight
    np.add.at(seen, (tags[:, :-1], tags[:, 1:]), 1)
    assert expected == pytest.approx(seen, abs=2)
    assert seen[0, 0] > 50


def test_a_span_that_a_cut_goes_through_begins_anew_behind_it() -> None:
    tags = chain(np.array([[0.5, 0.5, 0.0], [0.1, 0.0, 0.9], [0.1, 0.0, 0.9]]), 1280)
    logits = np.random.default_rng(3).normal(size=(len(tags), 3)).astype(np.float32)
    apart = [(logits[at : at + 64], tags[at : at + 64].copy()) for at in range(0, len(tags), 64)]
    assert any(part[0] == 2 for _, part in apart)
    for _, part in apart:
        part[0] = min(part[0], 1)
    whole = fit_transitions([(logits, tags)], LOADED_TRANSITIONS)
    assert whole == fit_transitions(apart, LOADED_TRANSITIONS)
    assert whole


def test_it_is_spans_that_are_counted_and_not_their_words() -> None:
    for spans, fitted in ((MIN_SPANS - 1, False), (MIN_SPANS, True)):
        tags = np.tile([0, 1, 2, 2], spans)
        logits = np.eye(3, dtype=np.float32)[tags]
        assert bool(fit_transitions([(logits, tags)], LOADED_TRANSITIONS)) is fitted


def test_loaded_spans_are_mended_and_have_a_threshold_too(featurizer: Featurizer) -> None:
    """A network that doubts the middle of each loaded span, and every road a little."""
    articles = (
        f"#id: d{n}\n\nf| {{l|Shameful yet shameful}} plan of the road {n}.\n" for n in range(60)
    )
    items = [featurize_document(d, featurizer) for d in parse_markup("===\n".join(articles))]
    logits = []
    for item in items:
        (target,) = item.targets
        rows = np.zeros((len(target.loaded), len(SPAN_LOGITS)), dtype=np.float32)
        rows[:, -1] = np.where(target.loaded == 1, 3.0, -4.0)
        heads = np.flatnonzero(target.loaded != IGNORE)
        rows[heads[1], -1] = -0.3
        rows[heads[6], -1] = 0.5
        logits.append(logits_of(item, [rows]))
    before, tuned = DecodingConfig(), tune_spans(DecodingConfig(), items, logits)
    assert np.shape(tuned.loaded_transitions) == (3, 3)
    assert tuned.transitions == ()
    assert span_metrics(items, logits, before)["loaded"].f1 == 0.0
    assert span_metrics(items, logits, tuned)["loaded"].f1 > 0.95
    assert tuned.span_thresholds["loaded"] != 0.5
    assert {tuned.span_thresholds[kind] for kind in ATTRIBUTION_TYPES} == {0.5}


def test_too_few_spans_change_nothing(broken: Labelled) -> None:
    items, logits = broken
    given = DecodingConfig(uncertain_band=0.3)
    assert tune_spans(given, items[:1], logits[:1]) == given
    assert tune_spans(given, [], []) == given
