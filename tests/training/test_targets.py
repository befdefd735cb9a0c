from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framelens.decoding import DecodingConfig, decode_spans
from framelens.features import FeatureConfig, Featurizer
from framelens.schema import AXES, BIO_TAGS
from framelens_training.config import LOSS_PARTS, Windows
from framelens_training.corpora.labelled import (
    Annotated,
    GoldSegment,
    GoldSpan,
    LabelledDocument,
)
from framelens_training.corpora.markup import parse_markup
from framelens_training.dataset import TokenBudgetSampler, WindowDataset, collate, supervision
from framelens_training.mixture import CorpusFeatures, single_windows, training_windows
from framelens_training.predictions import gold_spans, span_keys
from framelens_training.targets import (
    IGNORE,
    featurize_document,
    is_article_text,
    labelled_window,
    learnt_parts,
    with_soft_labels,
)
from support import make_tokenizer, perfect_logits

ARTICLE = """#id: d1

Hf| {l|Shameful} road plan

a| {s|The mayor} {c|{l|ranted}} {q|that roads closed}.
a| {q|"A plan is a plan}.
-| It was closed.
"""


def make() -> Featurizer:
    return Featurizer(make_tokenizer(), FeatureConfig(max_tokens=32, overlap=8))


def names(tags: np.ndarray) -> list[str]:
    return [BIO_TAGS[tag] for tag in tags if tag != IGNORE]


def test_targets_of_an_article() -> None:
    (document,) = parse_markup(ARTICLE)
    item = featurize_document(document, make())
    head, first, second, third = item.targets
    assert names(head.tags) == ["O"] * 3
    assert head.loaded[head.loaded != IGNORE].tolist() == [1, 0, 0]
    assert names(first.tags) == [
        "B-source", "I-source", "B-cue", "B-content", "I-content", "I-content", "O",
    ]  # fmt: skip
    assert names(second.tags) == ["B-content", *["I-content"] * 5, "O"]
    assert [t.axes.tolist() for t in item.targets] == [
        [0, 1, 0], [1, 0, 0], [1, 0, 0], [0, 0, 0],
    ]  # fmt: skip
    assert third.weights.tolist() == [1, 1, 1]


def test_words_of_a_segment_whose_framing_is_open_are_not_taught_as_plain() -> None:
    (document,) = parse_markup(ARTICLE)
    in_doubt = tuple(replace(segment, framed=None) for segment in document.segments)
    head, first, second, third = featurize_document(
        replace(document, segments=in_doubt), make()
    ).targets
    assert (second.loaded == IGNORE).all()
    assert (third.loaded == IGNORE).all()
    assert names(second.tags) == ["B-content", *["I-content"] * 5, "O"]
    assert head.loaded[head.loaded != IGNORE].tolist() == [1, 0, 0]  # somebody marked a word
    assert 1 in first.loaded
    unasked = replace(document, annotated=document.annotated - {"framed"}, segments=in_doubt)
    assert all((t.loaded != IGNORE).any() for t in featurize_document(unasked, make()).targets)


def test_soft_labels_are_probabilities_of_one_weight() -> None:
    (document,) = parse_markup(ARTICLE)
    sure = {"framed": 0.7, "attributed": 0.9}
    segments = (
        replace(document.segments[0], weights=sure),
        replace(document.segments[1], framed=None, weights=sure),
        *document.segments[2:],
    )
    item = featurize_document(replace(document, segments=segments), make())
    head, first, second, _ = with_soft_labels(item).targets
    assert head.axes.tolist() == pytest.approx([0.1, 0.7, 0])
    assert head.weights.tolist() == [1, 1, 1]
    assert first.axes.tolist() == pytest.approx([0.9, 0, 0])  # what is masked stays masked
    assert first.weights.tolist() == [1, 0, 1]
    assert second.axes.tolist() == [1, 0, 0]
    assert second.tags.tolist() == item.targets[2].tags.tolist()


def test_segments_and_spans_may_come_in_any_order() -> None:
    (document,) = parse_markup(ARTICLE)
    turned = replace(document, segments=document.segments[::-1], spans=document.spans[::-1])
    item, other = (featurize_document(d, make()) for d in (document, turned))
    for target, same in zip(item.targets, other.targets[::-1], strict=True):
        assert same.tags.tolist() == target.tags.tolist()
        assert same.loaded.tolist() == target.loaded.tolist()


def test_a_span_may_be_the_last_character_of_a_segment() -> None:
    document = LabelledDocument(
        id="d",
        text="Road x said",
        annotated=frozenset({"attribution_spans"}),
        segments=(GoldSegment("text", 0, 6), GoldSegment("text", 7, 11)),
        spans=(GoldSpan("text", "source", 5, 6),),
    )
    first, second = featurize_document(document, make()).targets
    assert (names(first.tags), names(second.tags)) == (["O", "B-source"], ["O"])


def test_a_span_over_a_border_continues() -> None:
    text = "A road closed. A plan."
    document = LabelledDocument(
        id="d",
        text=text,
        annotated=frozenset({"attribution_spans"}),
        segments=(GoldSegment("text", 0, 14), GoldSegment("text", 15, 22)),
        spans=(GoldSpan("text", "content", 2, 21),),
    )
    item = featurize_document(document, make())
    assert names(item.targets[1].tags) == ["I-content", "I-content", "O"]
    alone = single_windows(item, make(), [1])[0]
    assert names(alone.tags) == ["B-content", "I-content", "O"]
    spans = decode_spans(item.features.segments, perfect_logits(item), DecodingConfig())
    assert [(s.segment, s.start, s.end, s.continues) for s in spans] == [
        (0, 2, 14, False),
        (1, 0, 6, True),
    ]


def test_a_span_without_words_before_its_segment_begins_there() -> None:
    text = "He was up. She said so. A plan."
    document = LabelledDocument(
        "d1",
        text,
        annotated=frozenset({"attribution_spans"}),
        segments=(GoldSegment("text", 0, 10), GoldSegment("text", 24, 31)),
        spans=(GoldSpan("text", "source", 23, 30),),  # with the space before it
    )
    first, second = featurize_document(document, make()).targets
    assert names(first.tags) == ["O"] * 4
    assert names(second.tags) == ["B-source", "I-source", "O"]
    unlabelled = replace(document, spans=(GoldSpan("text", "content", 11, 30),))
    assert names(featurize_document(unlabelled, make()).targets[1].tags)[0] == "B-content"


def test_what_nobody_annotated_is_masked() -> None:
    document = LabelledDocument(
        id="d",
        text="A plan.",
        annotated=frozenset({"framed"}),
        segments=(
            GoldSegment("text", 0, 7, attributed=True, framed=True, weights={"framed": 0.4}),
        ),
    )
    item = featurize_document(document, make())
    # What is framed is no page furniture, whoever was asked about that.
    assert item.targets[0].weights.tolist() == np.float32([0, 0.4, 1]).tolist()
    assert (item.targets[0].tags == IGNORE).all()
    assert (item.targets[0].loaded == IGNORE).all()


def test_a_layer_in_which_nothing_was_marked_is_learnt_too() -> None:
    document = LabelledDocument(
        id="d",
        text="A plan.",
        annotated=frozenset({"attribution_spans", "loaded_spans"}),
        segments=(GoldSegment("text", 0, 7),),
    )
    item = featurize_document(document, make())
    assert learnt_parts([item]) == ("attribution_spans", "loaded_spans")


def test_targets_stand_where_the_network_reads() -> None:
    (document,) = parse_markup(ARTICLE)
    item = featurize_document(document, make())
    (window,) = [labelled_window(w, item.targets) for w in item.features.windows]
    separators = list(window.features.separators)
    assert np.flatnonzero(window.weights.any(axis=1)).tolist() == separators
    assert window.axes[separators].tolist() == [t.axes.tolist() for t in item.targets]
    assert learnt_parts([item]) == LOSS_PARTS
    for piece, position in zip(window.features.pieces, window.features.positions, strict=True):
        place, target = slice(position, position + piece.size), item.targets[piece.segment]
        assert window.tags[place].tolist() == target.tags.tolist()
        assert window.loaded[place].tolist() == target.loaded.tolist()
    for at in (0, *separators):
        assert window.tags[at] == window.loaded[at] == IGNORE


def test_a_segment_that_is_cut_has_its_targets_in_every_window() -> None:
    text = ("road " * 25 + "plan ") * 3
    places = [at for at in range(len(text)) if text.startswith("plan", at)]
    document = LabelledDocument(
        id="d",
        text=text,
        annotated=frozenset({"attribution_spans", "loaded_spans"}),
        segments=(GoldSegment("text", 0, len(text) - 1),),
        spans=tuple(GoldSpan("text", k, at, at + 4) for at in places for k in ("cue", "loaded")),
    )
    item = featurize_document(document, make())
    (target,) = item.targets
    assert len(item.features.windows) > 2
    for features in item.features.windows:
        window, (piece,) = labelled_window(features, item.targets), features.pieces
        place = slice(1, 1 + piece.size)
        assert window.tags[place].tolist() == target.tags[piece.start : piece.end].tolist()
        assert window.loaded[place].tolist() == target.loaded[piece.start : piece.end].tolist()


def test_a_word_is_of_the_span_that_has_more_than_half_of_it() -> None:
    def tags_of(end: int) -> list[str]:
        document = LabelledDocument(
            id="d",
            text="said",
            annotated=frozenset({"attribution_spans"}),
            segments=(GoldSegment("text", 0, 4),),
            spans=(GoldSpan("text", "cue", 0, end),),
        )
        return names(featurize_document(document, make()).targets[0].tags)

    assert tags_of(2) == ["O"]
    assert tags_of(3) == ["B-cue"]


def test_the_first_word_of_a_window_continues_nothing() -> None:
    text = "The mayor said"
    document = LabelledDocument(
        id="d",
        text=text,
        annotated=frozenset({"attribution_spans"}),
        segments=(
            GoldSegment("text", 0, 3),
            GoldSegment("text", 4, 9),
            GoldSegment("text", 10, 14),
        ),
        spans=(GoldSpan("text", "source", 0, 9), GoldSpan("text", "cue", 10, 14)),
    )
    item = featurize_document(document, make())
    assert [names(target.tags) for target in item.targets] == [
        ["B-source"],
        ["I-source"],
        ["B-cue"],
    ]
    alone = single_windows(item, make(), [0, 1, 2])
    assert [names(window.tags) for window in alone] == [["B-source"], ["B-source"], ["B-cue"]]


words = st.sampled_from(["the", "road", "mayor's", "“plan”", "anti-tax", "said,", "is.", "x1", "é"])


@st.composite
def documents(draw: st.DrawFn) -> LabelledDocument:
    """Segments of words, with spans that begin and end at words."""
    text = ""
    edges: list[tuple[int, int]] = []
    segments: list[GoldSegment] = []
    for _ in range(draw(st.integers(1, 4))):
        start = len(text) + bool(text)
        for word in draw(st.lists(words, min_size=1, max_size=12)):
            text += " " if text else ""
            edges.append((len(text), len(text) + len(word)))
            text += word
        segments.append(GoldSegment("text", start, len(text)))
    cuts = sorted(draw(st.sets(st.integers(0, len(edges) - 1), max_size=8)))
    spans = [
        GoldSpan(
            "text", draw(st.sampled_from(["source", "cue", "content"])), edges[a][0], edges[b][1]
        )
        for a, b in zip(cuts[::2], cuts[1::2], strict=False)
    ]
    annotated = frozenset({"attribution_spans", "loaded_spans"})
    return LabelledDocument(
        id="d", text=text, annotated=annotated, segments=tuple(segments), spans=tuple(spans)
    )


@settings(deadline=None)
@given(documents())
def test_gold_comes_back_from_features_and_decoding(document: LabelledDocument) -> None:
    item = featurize_document(document, make())
    found = decode_spans(item.features.segments, perfect_logits(item), DecodingConfig())
    assert sorted(span_keys(found)) == sorted(gold_spans(document))


def test_training_sees_articles_and_single_segments() -> None:
    (document,) = parse_markup(ARTICLE)
    featurizer = make()
    item = featurize_document(document, featurizer)
    both = training_windows([CorpusFeatures([item])], featurizer, Windows(), 1)
    assert [len(w.features.pieces) for w in both] == [4, 1, 1, 1, 1]
    assert (
        len(training_windows([CorpusFeatures([item])], featurizer, Windows(single_share=0.0), 1))
        == 1
    )
    counts = supervision(both)
    assert (counts.positives["attributed"], counts.negatives["attributed"]) == (4, 4)
    assert counts.positive_weights(balance=True)["framed"] == np.sqrt(6 / 2)
    assert set(counts.positive_weights(balance=False).values()) == {1.0}


def test_batches_keep_to_their_budget_and_hold_every_window_of_each_epoch() -> None:
    (document,) = parse_markup(ARTICLE)
    item = featurize_document(document, make())
    windows = training_windows([CorpusFeatures([item])], make(), Windows(), 1)
    dataset = WindowDataset([windows * 9, windows * 8])
    assert dataset.epochs == [range(45), range(45, 85)]
    sampler = TokenBudgetSampler(dataset, 512, seed=3)
    batches = list(sampler)
    assert batches == list(sampler) == list(TokenBudgetSampler(dataset, 512, seed=3))
    assert len(sampler) == len(batches)
    assert all(max(dataset.lengths[i] for i in b) * len(b) <= 512 for b in batches)
    seen = [index for batch in batches for index in batch]
    assert sorted(seen[:45]) == list(range(45)), "the first epoch comes first"
    assert sorted(seen[45:]) == list(range(45, 85))
    assert seen[:45] != sorted(seen[:45])
    assert seen != [i for batch in TokenBudgetSampler(dataset, 512, seed=4) for i in batch]


def test_padding_is_masked_everywhere() -> None:
    (document,) = parse_markup(ARTICLE)
    featurizer = make()
    item = featurize_document(document, featurizer)
    windows = training_windows([CorpusFeatures([item])], featurizer, Windows(), 1)
    batch = collate(windows)
    padding = batch["attention_mask"] == 0
    assert padding.any()
    assert (batch["axis_weights"][padding] == 0).all()
    assert (batch["tag_targets"][padding] == IGNORE).all()
    assert (batch["loaded_targets"][padding] == IGNORE).all()


def test_a_headline_is_no_page_furniture_whatever_was_annotated(featurizer: Featurizer) -> None:
    column = AXES.index("boilerplate")
    segments = (
        GoldSegment("headline", 0, 10, framed=False),
        GoldSegment("text", 0, 9, framed=True),
    )
    document = LabelledDocument(
        "a", "A plan is.", "Shame plan", annotated=frozenset({"framed"}), segments=segments
    )
    item = featurize_document(document, featurizer)
    headline, body = item.targets
    assert (headline.weights[column], headline.axes[column]) == (1.0, 0.0)
    assert (body.weights[column], body.axes[column]) == (1.0, 0.0)  # furniture has no voice
    assert learnt_parts([item]) == ("framed",)  # it does not make a run know page furniture
    explicit = replace(
        document,
        annotated=frozenset({"boilerplate"}),
        segments=(GoldSegment("headline", 0, 10, boilerplate=True),),
    )
    (only,) = featurize_document(explicit, featurizer).targets
    assert (only.weights[column], only.axes[column]) == (1.0, 1.0)
    assert not is_article_text(explicit, explicit.segments[0])
    bare = replace(document, annotated=frozenset())
    assert not any(t.weights.any() for t in featurize_document(bare, featurizer).targets)


def test_what_was_labelled_for_its_voice_or_on_its_own_is_no_page_furniture() -> None:
    annotated: frozenset[Annotated] = frozenset({"attributed", "framed"})
    quoted = GoldSegment("text", 0, 5, attributed=True)
    neutral = GoldSegment("text", 6, 10, framed=False)
    unknown = GoldSegment("text", 11, 15)
    document = LabelledDocument(
        "a", "Yes . No . Or .", annotated=annotated, segments=(quoted, neutral, unknown)
    )
    assert [is_article_text(document, s) for s in document.segments] == [True, False, False]
    alone = replace(document, segments=(neutral,))
    assert is_article_text(alone, neutral)
    assert not is_article_text(replace(document, segments=(unknown,)), unknown)
    assert not is_article_text(replace(alone, annotated=frozenset()), neutral)
    assert not is_article_text(replace(document, annotated=frozenset({"framed"})), quoted)
    asked = replace(document, annotated=annotated | {"boilerplate"})
    assert is_article_text(asked, quoted)
    assert not is_article_text(asked, replace(quoted, boilerplate=False))
