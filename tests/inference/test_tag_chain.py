from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from framelens import tag_chain
from framelens.schema import BIO_TAGS
from framelens.tag_chain import (
    LOADED_TRANSITIONS,
    TRANSITIONS,
    ChainSpan,
    spans_of_sequences,
    without_hope,
)

OUTSIDE, SOURCE, IN_SOURCE, CUE, _, CONTENT, IN_CONTENT = range(len(BIO_TAGS))

HALF = (0.5, 0.5, 0.5)

logit_rows = hnp.arrays(
    np.float32, st.tuples(st.integers(1, 4), st.just(7)), elements=st.floats(-6, 6, width=16)
)
tables = hnp.arrays(np.float32, (7, 7), elements=st.floats(-3, 3, width=16))


def spans_in(tags: tuple[int, ...]) -> list[tuple[int, int, int]]:
    found = []
    for start, tag in enumerate(tags):
        if tag % 2:
            end = start + 1
            while end < len(tags) and tags[end] == tag + 1:
                end += 1
            found.append(((tag - 1) // 2, start, end))
    return found


def enumerated(logits: np.ndarray, table: np.ndarray) -> dict[tuple[int, int, int], float]:
    """Probability of each span, by all sequences of tags one after another."""
    moves = TRANSITIONS + table
    total = 0.0
    mass: dict[tuple[int, int, int], float] = {}
    for tags in itertools.product(range(7), repeat=len(logits)):
        way = (OUTSIDE, *tags, OUTSIDE)
        score = sum(float(logits[i, tag]) for i, tag in enumerate(tags))
        score += sum(float(moves[a, b]) for a, b in itertools.pairwise(way))
        weight = math.exp(score)
        total += weight
        for span in spans_in(tags):
            mass[span] = mass.get(span, 0.0) + weight
    return {span: weight / total for span, weight in mass.items()}


@settings(deadline=None, max_examples=40)
@given(logit_rows, tables)
def test_a_spans_probability_is_its_share_of_all_sequences(
    logits: np.ndarray, table: np.ndarray
) -> None:
    expected = enumerated(logits, table)
    threshold = 0.15
    (found,) = spans_of_sequences([logits], TRANSITIONS + table, (threshold,) * 3)
    taken: dict[int, float] = {}
    for span in found:
        assert span.probability == pytest.approx(expected[span.kind, span.start, span.end])
        assert span.probability >= threshold
        for word in range(span.start, span.end):
            assert word not in taken
            taken[word] = span.probability
    for (_, start, end), probability in expected.items():
        if probability > threshold + 1e-6:  # given, or a likelier one stands there
            assert max(taken.get(word, 0.0) for word in range(start, end)) > probability - 1e-6


def log_partition(logits: np.ndarray, table: np.ndarray) -> float:
    moves = TRANSITIONS + table
    reach = np.where(np.arange(7) == OUTSIDE, 0.0, -np.inf)
    for row in logits:
        reach = np.logaddexp.reduce(reach[:, np.newaxis] + moves, axis=0) + row
    return float(np.logaddexp.reduce(reach + moves[:, OUTSIDE]))


def constrained(logits: np.ndarray, table: np.ndarray, span: ChainSpan) -> float:
    """Probability of a span: sequences that have it against all, by what they sum up to."""
    begin, inside = 1 + 2 * span.kind, 2 + 2 * span.kind
    wanted = np.full_like(logits, -np.inf)
    wanted[: span.start] = logits[: span.start]
    wanted[span.start, begin] = logits[span.start, begin]
    wanted[span.start + 1 : span.end, inside] = logits[span.start + 1 : span.end, inside]
    wanted[span.end :] = logits[span.end :]
    if span.end < len(logits):
        wanted[span.end, inside] = -np.inf
    return math.exp(log_partition(wanted, table) - log_partition(logits, table))


@pytest.mark.parametrize("length", [30, 31, 32, 33, 63, 64, 65, 200])
def test_long_sequences_go_through_blocks(length: int) -> None:
    generator = np.random.default_rng(length)
    logits = generator.normal(scale=2, size=(length, 7))
    logits[:, IN_CONTENT] += 5.0  # contents of many words, over the borders of blocks
    logits[:, CONTENT] -= 3.0
    table = generator.normal(size=(7, 7))
    (found,) = spans_of_sequences([logits], TRANSITIONS + table, (0.02,) * 3)
    assert found
    assert max(span.end - span.start for span in found) > 8
    for span in found:
        assert span.probability == pytest.approx(constrained(logits, table, span))


def test_blocks_in_groups_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(1)
    sequences = [generator.normal(scale=2, size=(n, 7)).astype(np.float32) for n in (200, 3, 90)]
    found = spans_of_sequences(sequences, TRANSITIONS, HALF)
    monkeypatch.setattr(tag_chain, "_SLAB", 2)
    assert spans_of_sequences(sequences, TRANSITIONS, HALF) == found
    assert sum(map(len, found)) > 20


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 70), max_size=9), st.integers(0, 99))
def test_company_changes_no_bit(lengths: list[int], seed: int) -> None:
    generator = np.random.default_rng(seed)
    sequences = [generator.normal(scale=3, size=(n, 7)).astype(np.float32) for n in lengths]
    table = generator.normal(size=(7, 7))
    together = spans_of_sequences(sequences, TRANSITIONS + table, (0.1, 0.2, 0.3))
    assert together == [
        spans_of_sequences([s], TRANSITIONS + table, (0.1, 0.2, 0.3))[0] for s in sequences
    ]


def test_transitions_decide_between_equal_readings() -> None:
    logits = np.full((2, 7), -9.0, dtype=np.float32)
    logits[0, SOURCE] = 3.0
    logits[1, OUTSIDE], logits[1, IN_SOURCE] = 0.5, 0.4
    assert [(s.start, s.end) for s in spans_of_sequences([logits], TRANSITIONS, HALF)[0]] == [
        (0, 1)
    ]
    table = np.zeros((7, 7), dtype=np.float32)
    table[SOURCE, IN_SOURCE] = 0.2
    assert [
        (s.start, s.end) for s in spans_of_sequences([logits], TRANSITIONS + table, HALF)[0]
    ] == [(0, 2)]
    table[OUTSIDE, IN_SOURCE] = 50.0  # however high: no inside without a beginning
    logits[0] = [9.0, -9, -9, -9, -9, -9, -9]
    logits[1] = [-9.0, -9, 9.0, -9, -9, -9, -9]
    assert spans_of_sequences([logits], TRANSITIONS + table, HALF)[0] == []


def test_a_span_in_doubt_about_its_border_waits_for_a_lower_threshold() -> None:
    logits = np.full((3, 7), -9.0, dtype=np.float32)
    logits[0, CONTENT] = logits[1, IN_CONTENT] = 5.0
    logits[2, IN_CONTENT], logits[2, OUTSIDE] = 0.1, 0.0
    (found,) = spans_of_sequences([logits], TRANSITIONS, (0.5, 0.5, 0.6))
    assert found == []
    (found,) = spans_of_sequences([logits], TRANSITIONS, (0.5, 0.5, 0.4))  # the likelier of two
    assert [(s.kind, s.start, s.end) for s in found] == [(2, 0, 3)]
    assert found[0].probability == pytest.approx(1 / (1 + math.exp(-0.1)), abs=1e-3)


def test_no_words_no_spans() -> None:
    empty = np.zeros((0, 7), dtype=np.float32)
    assert spans_of_sequences([], TRANSITIONS, HALF) == []
    assert spans_of_sequences([empty, empty], TRANSITIONS, HALF) == [[], []]


def test_logits_of_any_size_and_none_at_all_are_survived() -> None:
    generator = np.random.default_rng(0)
    wild = generator.normal(scale=1e4, size=(90, 7)).astype(np.float32)
    with np.errstate(all="raise", under="ignore"):
        (found,) = spans_of_sequences([wild], TRANSITIONS, HALF)
    assert all(0 <= span.probability <= 1 for span in found)
    nothing = np.full((40, 7), np.nan, dtype=np.float32)
    assert spans_of_sequences([nothing], TRANSITIONS, HALF) == [[]]


def test_spans_that_do_not_touch_are_runs_of_words() -> None:
    """With one logit for first and later words there is one reading of neighbouring words."""
    logits = np.zeros((6, 3), dtype=np.float32)
    logits[:, 1:] = np.array([-9.0, 3.0, 3.0, -9.0, 0.2, -9.0])[:, np.newaxis]
    (found,) = spans_of_sequences([logits], LOADED_TRANSITIONS, (0.5,))
    assert [(s.start, s.end) for s in found] == [(1, 3), (4, 5)]
    assert found[0].probability == pytest.approx(1 / (1 + math.exp(-3.0)) ** 2, abs=1e-3)


@settings(deadline=None, max_examples=100)
@given(
    st.lists(st.lists(st.floats(-6, 6, width=16), min_size=1, max_size=9), min_size=1, max_size=4),
    hnp.arrays(np.float32, (3, 3), elements=st.floats(-3, 3, width=16)),
    st.floats(0.05, 0.9),
)
def test_sequences_without_hope_have_no_spans(
    rows: list[list[float]], table: np.ndarray, threshold: float
) -> None:
    sequences = [np.array([[0.0, x, x] for x in row], dtype=np.float32) for row in rows]
    scores = LOADED_TRANSITIONS + table
    ends = np.cumsum([len(s) for s in sequences]).tolist()
    hopeless = without_hope(np.concatenate(sequences), ends, scores, threshold)
    found = spans_of_sequences(sequences, scores, (threshold + 1e-6,))
    assert not any(no and spans for no, spans in zip(hopeless.tolist(), found, strict=True))


def test_words_that_are_not_loaded_leave_no_hope() -> None:
    calm = np.array([[0.0, -4.0, -4.0]] * 20, dtype=np.float32)
    loud = calm.copy()
    loud[3, 1:] = 2.0
    logits = np.concatenate([calm, loud, calm])
    assert without_hope(logits, [20, 40, 60], LOADED_TRANSITIONS, 0.3).tolist() == [
        True,
        False,
        True,
    ]


@pytest.mark.parametrize("before", [1, 2])
def test_hope_may_lie_in_going_on_alone(before: int) -> None:
    """From a span's first word or from a later one: neither is left out of the bound."""
    logits = np.array([[0.0, -2.0, -2.0]] * 4, dtype=np.float32)
    scores = LOADED_TRANSITIONS.copy()
    scores[1, 2] = 0.0
    scores[before, 2] = 6.0
    (found,) = spans_of_sequences([logits], scores, (0.3,))
    assert found
    assert without_hope(logits, [4], scores, 0.3).tolist() == [False]
