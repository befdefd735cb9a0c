from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from framelens.decoding import (
    DecodingConfig,
    DocumentLogits,
    axis_scores,
    decode_many,
    decode_spans,
    is_uncertain,
    label_margins,
    label_of,
    merge_windows,
    sigmoid,
)
from framelens.features import DocumentFeatures, Featurizer, TokenizedSegment, WindowFeatures
from framelens.schema import AXES, BIO_TAGS, SPAN_LOGITS, SPAN_TYPES, Role, SpanType
from framelens.windows import Piece


def tokens_for(featurizer: Featurizer, texts: list[str], tags: list[list[str]]) -> tuple:
    """Logits that say exactly the given tag for each word; `*` marks a loaded word."""
    segments = featurizer.tokenize(texts, ["body"] * len(texts))
    arrays = []
    for segment, names in zip(segments, tags, strict=True):
        array = np.full((len(segment.ids), len(SPAN_LOGITS)), -5.0, dtype=np.float32)
        array[:, 0] = 5.0
        for at, name in zip(np.flatnonzero(segment.words), names, strict=True):
            plain = name.removeprefix("*")
            array[at, 0] = -5.0
            array[at, BIO_TAGS.index(plain)] = 5.0
            if name.startswith("*"):
                array[at, -1] = 5.0
        arrays.append(array)
    return segments, arrays


def test_spans_in_offsets_of_their_segment(featurizer: Featurizer) -> None:
    text = "The mayor ranted that roads closed."
    tags = ["B-source", "I-source", "*B-cue", "B-content", "I-content", "I-content", "O"]
    spans = decode_spans(*tokens_for(featurizer, [text], [tags]), DecodingConfig())
    assert [(s.type, text[s.start : s.end]) for s in spans] == [
        ("source", "The mayor"),
        ("cue", "ranted"),
        ("loaded", "ranted"),
        ("content", "that roads closed"),
    ]
    assert all(s.score > 0.98 for s in spans)


def test_of_spans_that_begin_together_the_longer_comes_first(featurizer: Featurizer) -> None:
    tags = ["*B-content", "I-content", "O"]
    spans = decode_spans(*tokens_for(featurizer, ["road closed ."], [tags]), DecodingConfig())
    assert [(s.type, s.start, s.end) for s in spans] == [("content", 0, 11), ("loaded", 0, 4)]


def test_transitions_of_the_config_count(featurizer: Featurizer) -> None:
    def outside(tags: int) -> tuple[tuple[float, ...], ...]:
        """A table by which what is outside stays outside."""
        table = np.zeros((tags, tags))
        table[0, 0] = 20.0
        return tuple(map(tuple, table.tolist()))

    given = tokens_for(featurizer, ["the road ."], [["O", "*B-content", "O"]])

    def types(config: DecodingConfig) -> list[str]:
        return [span.type for span in decode_spans(*given, config)]

    assert types(DecodingConfig()) == ["content", "loaded"]
    assert types(DecodingConfig(transitions=outside(len(BIO_TAGS)))) == ["loaded"]
    assert types(DecodingConfig(loaded_transitions=outside(3))) == ["content"]


@pytest.mark.parametrize("kind", ["source", "content", "loaded"])
def test_each_type_has_its_own_threshold(kind: SpanType, featurizer: Featurizer) -> None:
    tags = [["B-source", "*B-content", "O"]]
    segments, tokens = tokens_for(featurizer, ["mayor road ."], tags)
    tokens = [array / 4 for array in tokens]  # not sure of anything
    low = dict.fromkeys(SPAN_TYPES, 0.01)

    def best(thresholds: dict[SpanType, float]) -> dict[SpanType, float]:
        spans = decode_spans(segments, tokens, DecodingConfig(span_thresholds=thresholds))
        return {span.type: span.score for span in sorted(spans, key=lambda span: span.score)}

    found = best(low)
    assert {"source", "content", "loaded"} <= set(found)
    left = best({**low, kind: found[kind] + 1e-6})
    assert kind not in left
    assert {"source", "content", "loaded"} - {kind} <= set(left)


def test_neighbouring_spans_of_one_type_stay_two(featurizer: Featurizer) -> None:
    tags = ["B-content", "B-content", "I-content"]
    spans = decode_spans(*tokens_for(featurizer, ["a road closed"], [tags]), DecodingConfig())
    assert [(s.start, s.end) for s in spans] == [(0, 1), (2, 13)]


def test_a_content_goes_on_in_the_next_segment(featurizer: Featurizer) -> None:
    tags = [["O", "B-content"], ["I-content", "I-content"], ["B-content"]]
    texts = ["said it", "was closed", "road"]
    spans = decode_spans(*tokens_for(featurizer, texts, tags), DecodingConfig())
    assert [(s.segment, s.start, s.continues) for s in spans] == [
        (0, 5, False),
        (1, 0, True),
        (2, 0, False),
    ]


def test_documents_are_decoded_together_as_they_are_apart(featurizer: Featurizer) -> None:
    generator = np.random.default_rng(3)
    documents = []
    for number in range(12):
        texts = ["the mayor said a road was closed", " \u200b", "a plan " * number or "plan"]
        segments = featurizer.tokenize(
            texts, ["headline" if number % 3 else "body", "body", "body"]
        )
        tokens = [
            generator.normal(scale=3, size=(len(s.ids), 8)).astype(np.float32) for s in segments
        ]
        documents.append((segments, tokens))
    documents.insert(4, ((), ()))
    table = tuple(map(tuple, generator.normal(size=(7, 7)).tolist()))
    for config in (DecodingConfig(), DecodingConfig(transitions=table)):
        apart = [decode_spans(segments, tokens, config) for segments, tokens in documents]
        assert decode_many(documents, config) == apart
        assert sum(map(len, apart)) > 50
    assert decode_many([], DecodingConfig()) == []


def test_segments_without_words_are_passed_over(featurizer: Featurizer) -> None:
    tags = [["B-source"], [], ["O"]]
    spans = decode_spans(
        *tokens_for(featurizer, ["mayor", " \u200b", "said"], tags), DecodingConfig()
    )
    assert [(s.segment, s.type) for s in spans] == [(0, "source")]
    assert decode_spans(*tokens_for(featurizer, [" "], [[]]), DecodingConfig()) == []


def test_cut_segments_are_merged_where_the_pieces_know_most(featurizer: Featurizer) -> None:
    document = featurizer.featurize(["a " * 60], ["body"])
    outputs = []
    for number, window in enumerate(document.windows):
        size = len(window.input_ids)
        outputs.append(
            (
                np.full((size, 3), number, dtype=np.float32),
                np.full((size, 8), number, dtype=np.float32),
            )
        )
    assert [(w.pieces[0].start, w.pieces[0].end) for w in document.windows] == [
        (0, 30),
        (22, 52),
        (30, 60),
    ]
    merged = merge_windows(document, outputs)
    reader = merged.tokens[0][:, 0].astype(int).tolist()
    # The overlap of 22..30 is shared half and half, as is that of 30..52.
    assert reader == [0] * 26 + [1] * 15 + [2] * 19
    assert merged.segments[0].tolist() == [1.0, 1.0, 1.0]


def test_a_segments_logits_are_read_at_its_separators(featurizer: Featurizer) -> None:
    document = featurizer.featurize(["a plan", "a " * 40, "the road was closed"], ["body"] * 3)
    outputs = []
    for number, window in enumerate(document.windows):
        places = 100 * number + np.arange(len(window.input_ids), dtype=np.float32)
        tokens = np.repeat(places[:, np.newaxis], len(SPAN_LOGITS), axis=1)
        outputs.append((np.stack([places, -places, 2 * places], axis=1), tokens))
    assert [window.separators for window in document.windows] == [(3,), (31,), (31,), (5,)]
    merged = merge_windows(document, outputs)
    expected = np.array([3, (131 + 231) / 2, 305])
    assert (
        merged.segments.tolist() == np.stack([expected, -expected, 2 * expected], axis=1).tolist()
    )
    assert merged.tokens[0][:, 0].tolist() == [1, 2]
    assert merged.tokens[2][:, 0].tolist() == [301, 302, 303, 304]


@pytest.mark.parametrize(
    ("answers", "label"),
    [
        ((0.9, 0.9, 0.9), "boilerplate"),
        ((0.9, 0.9, 0.1), "framed"),
        ((0.9, 0.1, 0.1), "sourced"),
        ((0.1, 0.1, 0.1), "plain"),
        ((0.5, 0.1, 0.1), "sourced"),
    ],
)
def test_the_label_follows_from_the_axes(answers: tuple[float, ...], label: str) -> None:
    assert label_of(dict(zip(AXES, answers, strict=True)), DecodingConfig(), "body") == label


def test_a_headline_is_never_page_furniture() -> None:
    config = DecodingConfig(uncertain_band=0.1)
    for answers, label in (((0.9, 0.9, 0.9), "framed"), ((0.9, 0.1, 0.9), "sourced")):
        scores = dict(zip(AXES, answers, strict=True))
        assert label_of(scores, config, "headline") == label
    unsure = dict(zip(AXES, (0.9, 0.1, 0.52), strict=True))
    assert is_uncertain(unsure, config, "body")
    assert not is_uncertain(unsure, config, "headline")


@pytest.mark.parametrize(
    ("answers", "uncertain"),
    [
        ((0.45, 0.1, 0.1), True),
        ((0.45, 0.9, 0.1), False),  # framed whatever `attributed` says
        ((0.1, 0.55, 0.1), True),
        ((0.1, 0.9, 0.41), True),
        ((0.1, 0.39, 0.1), False),
    ],
)
def test_uncertain_only_where_the_label_could_change(
    answers: tuple[float, ...], uncertain: bool
) -> None:
    scores = dict(zip(AXES, answers, strict=True))
    assert is_uncertain(scores, DecodingConfig(uncertain_band=0.1), "body") is uncertain


def test_the_edge_of_the_band_is_outside_it() -> None:
    scores = dict(zip(AXES, (0.25, 0.0, 0.0), strict=True))
    assert not is_uncertain(scores, DecodingConfig(uncertain_band=0.25), "body")


@given(
    st.lists(st.tuples(*[st.floats(0, 1, width=16)] * 3, st.booleans()), max_size=5),
    st.tuples(*[st.floats(0.125, 0.875, width=16)] * 3),
    st.floats(0.01, 0.6),
)
def test_margins_are_how_far_a_label_is_from_being_uncertain(
    rows: list[tuple[float, float, float, bool]],
    thresholds: tuple[float, float, float],
    band: float,
) -> None:
    config = DecodingConfig(
        thresholds=dict(zip(AXES, thresholds, strict=True)), uncertain_band=band
    )
    scores = np.array([row[:3] for row in rows], dtype=np.float32).reshape(-1, 3)
    headlines = np.array([row[3] for row in rows], dtype=np.bool_)
    margins = label_margins(scores, headlines, config)
    assert margins.shape == (len(rows),)
    for row, headline, margin in zip(scores, headlines, margins, strict=True):
        if abs(margin - band) < 1e-6:
            continue
        answers = {axis: float(score) for axis, score in zip(AXES, row, strict=True)}
        role: Role = "headline" if headline else "body"
        assert is_uncertain(answers, config, role) is bool(margin < band)


def test_temperatures_scale_logits() -> None:
    config = DecodingConfig(temperatures={"attributed": 2.0, "framed": 1.0, "boilerplate": 0.5})
    ones = np.ones((1, 3), dtype=np.float32)
    scores = axis_scores(DocumentLogits(ones, (), np.array([False])), config)
    assert scores[0] == pytest.approx([0.6225, 0.7311, 0.8808], abs=1e-4)


def test_every_segment_is_offset_and_a_headline_once_more() -> None:
    config = DecodingConfig(
        temperatures={"attributed": 1.0, "framed": 2.0, "boilerplate": 1.0},
        offsets={"attributed": 0.0, "framed": -0.5, "boilerplate": -1.0},
        headline_offsets={"attributed": 0.0, "framed": 1.0, "boilerplate": 0.0},
    )
    ones = np.ones((2, 3), dtype=np.float32)
    scores = axis_scores(DocumentLogits(ones, (), np.array([True, False])), config)
    assert scores[0] == pytest.approx([0.7311, 0.7311, 0.5], abs=1e-4)
    assert scores[1] == pytest.approx([0.7311, 0.5, 0.5], abs=1e-4)
    assert np.array_equal(ones, np.ones((2, 3))), "logits stay as they were"


def test_headlines_are_offset_after_the_temperature() -> None:
    config = DecodingConfig(
        temperatures={"attributed": 1.0, "framed": 2.0, "boilerplate": 1.0},
        headline_offsets={"attributed": 0.0, "framed": -0.5, "boilerplate": 0.0},
    )
    ones = np.ones((2, 3), dtype=np.float32)
    scores = axis_scores(DocumentLogits(ones, (), np.array([True, False])), config)
    assert scores[0] == pytest.approx([0.7311, 0.5, 0.7311], abs=1e-4)
    assert scores[1] == pytest.approx([0.7311, 0.6225, 0.7311], abs=1e-4)
    assert np.array_equal(ones, np.ones((2, 3))), "logits stay as they were"


def test_sigmoid_has_no_overflow() -> None:
    with np.errstate(all="raise", under="ignore"):
        values = sigmoid(np.array([-1e4, 0.0, 1e4], dtype=np.float32))
    assert values.tolist() == [0.0, 0.5, 1.0]


def test_a_span_goes_on_over_the_border_of_two_windows() -> None:
    segment = TokenizedSegment(
        "body",
        np.arange(10, 14),
        np.array([[0, 1], [2, 3], [4, 5], [6, 7]]),
        np.ones(4, dtype=np.bool_),
    )
    windows = tuple(
        WindowFeatures(
            np.array([1, *ids, 2]), np.zeros(4, dtype=np.int64), (Piece(index, 0, 2),), (1,)
        )
        for index, ids in enumerate(([10, 11], [12, 13]))
    )
    halves = tuple(
        TokenizedSegment(s.role, s.ids[a:b], s.offsets[:2], s.words[a:b])
        for s, a, b in ((segment, 0, 2), (segment, 2, 4))
    )
    features = DocumentFeatures(halves, windows)

    def output(tags: list[int]) -> tuple[np.ndarray, np.ndarray]:
        spans = np.zeros((4, 8), dtype=np.float32)
        spans[:, -1] = -9.0  # nothing is loaded
        for place, tag in enumerate(tags):
            spans[place + 1, tag] = 9.0
        return np.zeros((4, 3), dtype=np.float32), spans

    def found(first: list[int], second: list[int]) -> list[tuple[str, bool]]:
        merged = merge_windows(features, [output(first), output(second)])
        spans = decode_spans(features.segments, merged.tokens, DecodingConfig())
        return [(span.type, span.continues) for span in spans]

    assert found([5, 6], [5, 6]) == [("content", False), ("content", True)]
    assert found([5, 0], [5, 6]) == [("content", False), ("content", False)]
    assert found([1, 2], [5, 6]) == [("source", False), ("content", False)]


def test_a_body_does_not_go_on_with_what_the_headline_quotes(featurizer: Featurizer) -> None:
    tags = [["O", "B-content"], ["I-content", "I-content"]]
    segments, tokens = tokens_for(featurizer, ["said it", "was closed"], tags)
    assert [s.continues for s in decode_spans(segments, tokens, DecodingConfig())] == [False, True]
    segments = (replace(segments[0], role="headline"), segments[1])
    found = decode_spans(segments, tokens, DecodingConfig())
    assert [s.segment for s in found][:1] == [0]
    assert not any(span.continues for span in found)
