"""Training documents without full stops, or with the other kind of quotation marks."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from framelens.features import FeatureConfig, Featurizer, TokenizedSegment
from framelens_training.config import Windows
from framelens_training.corpora.labelled import LabelledDocument
from framelens_training.corpora.markup import parse_markup
from framelens_training.mixture import CorpusFeatures, training_windows
from framelens_training.targets import LabelledFeatures, SoftTargets, featurize_document
from framelens_training.typography import Typography
from support import VOCABULARY, tiny_documents

CURLY = "#id: c\n\na| {s|The mayor} {c|said}: {q|“The ‘plan’ is the minister’s.”}\n-| He said so.\n"
STRAIGHT = CURLY.translate(str.maketrans("“”‘’", "\"\"''"))


def document(markup: str) -> LabelledDocument:
    (found,) = parse_markup(markup)
    return found


def texts(item: LabelledFeatures) -> list[str]:
    return [item.document.segment_text(segment) for segment in item.document.segments]


def ids(segments: tuple[TokenizedSegment, ...]) -> list[list[int]]:
    return [segment.ids.tolist() for segment in segments]


def read(featurizer: Featurizer, changed: list[str]) -> list[list[int]]:
    """What the tokenizer makes of texts that were changed as texts."""
    return [s.ids.tolist() for s in featurizer.tokenize(changed, ["body"] * len(changed))]


@pytest.fixture
def item(featurizer: Featurizer) -> LabelledFeatures:
    """A headline and four sentences, the first three with full stops, with answers of a teacher."""
    found = featurize_document(tiny_documents(1)[0], featurizer)
    return replace(
        found,
        targets=tuple(
            replace(
                target,
                soft=SoftTargets(
                    np.full(3, number, np.float16),
                    np.arange(8 * len(target.tags), dtype=np.float16).reshape(-1, 8),
                ),
            )
            for number, target in enumerate(found.targets)
        ),
    )


def test_a_text_without_stops_is_what_the_tokenizer_makes_of_it(
    featurizer: Featurizer, item: LabelledFeatures
) -> None:
    changed = Typography(featurizer).without_stops(item)
    expected = [re.sub(r"\.\Z", "", text) for text in texts(item)]
    assert sum(old != new for old, new in zip(texts(item), expected, strict=True)) == 3
    assert ids(changed.features.segments) == read(featurizer, expected)
    shown = [i for window in changed.features.windows for i in window.input_ids.tolist()]
    assert VOCABULARY["."] not in shown


def test_labels_and_answers_stay_at_their_words(
    featurizer: Featurizer, item: LabelledFeatures
) -> None:
    changed = Typography(featurizer).without_stops(item)
    assert changed.document is item.document
    for old, new, segment in zip(
        item.targets, changed.targets, changed.features.segments, strict=True
    ):
        size = len(segment.ids)
        assert len(segment.offsets) == len(segment.words) == size
        assert new.axes is old.axes
        assert new.weights is old.weights
        assert new.tags.tolist() == old.tags[:size].tolist()
        assert new.loaded.tolist() == old.loaded[:size].tolist()
        assert old.soft is not None
        assert new.soft is not None
        assert new.soft.axes is old.soft.axes
        assert np.array_equal(new.soft.words, old.soft.words[:size])


def test_the_last_segment_alone_may_lose_its_stop(featurizer: Featurizer) -> None:
    item = featurize_document(document(STRAIGHT), featurizer)
    changed = Typography(featurizer).without_last_stop(item)
    first, last = ids(changed.features.segments)
    assert first == ids(item.features.segments)[0]
    assert last == ids(item.features.segments)[1][:-1]


@pytest.mark.parametrize("text", [".", "The plan ...", "The plan . .", "“The plan.”", "The plan"])
def test_only_a_single_full_stop_at_the_end_goes(featurizer: Featurizer, text: str) -> None:
    item = featurize_document(document(f"#id: x\n\n-| {text}\n"), featurizer)
    changed = Typography(featurizer).without_stops(item)
    assert ids(changed.features.segments) == ids(item.features.segments)


@pytest.mark.parametrize(("before", "after"), [(CURLY, STRAIGHT), (STRAIGHT, CURLY)])
def test_quotation_marks_become_those_of_the_other_kind(
    featurizer: Featurizer, before: str, after: str
) -> None:
    item, other = (featurize_document(document(text), featurizer) for text in (before, after))
    changed = Typography(featurizer).with_other_marks(item)
    assert ids(changed.features.segments) == ids(other.features.segments)
    shown, expected = (
        [window.input_ids.tolist() for window in each.features.windows] for each in (changed, other)
    )
    assert shown == expected
    assert changed.targets == item.targets


def test_a_document_without_segments_stays(featurizer: Featurizer) -> None:
    item = featurize_document(LabelledDocument("e", ""), featurizer)
    typography = Typography(featurizer)
    for change in (typography.without_last_stop, typography.without_stops):
        assert change(item) == item


def test_marks_that_a_tokenizer_does_not_know_stay() -> None:
    words = {word: n for n, word in enumerate(w for w in VOCABULARY if w not in "“”‘’.")}
    tokenizer = Tokenizer(models.WordPiece(words, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    featurizer = Featurizer(tokenizer, FeatureConfig(max_tokens=32, overlap=8))
    typography = Typography(featurizer)
    for markup in (CURLY, STRAIGHT):
        item = featurize_document(document(markup), featurizer)
        for change in (typography.with_other_marks, typography.without_stops):
            assert ids(change(item).features.segments) == ids(item.features.segments)


def test_marks_that_a_tokenizer_has_in_several_tokens_stay() -> None:
    pieces = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "▁said", *"“”‘’\"'.", *(f"▁{m}" for m in "“‘\"'"))
    tokenizer = Tokenizer(models.Unigram([(piece, 0.0) for piece in pieces], unk_id=1))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    featurizer = Featurizer(tokenizer, FeatureConfig(max_tokens=32, overlap=8))
    for markup in (CURLY, STRAIGHT):
        item = featurize_document(document(markup), featurizer)
        changed = Typography(featurizer).with_other_marks(item)
        assert ids(changed.features.segments) == ids(item.features.segments)


def test_a_share_of_the_documents_is_shown_otherwise(featurizer: Featurizer) -> None:
    documents = [featurize_document(d, featurizer) for d in tiny_documents(60)]
    corpus = CorpusFeatures(documents)

    def stops(share: float, seed: int = 1) -> list[int]:
        config = Windows(
            max_tokens=32, overlap=8, single_share=0.0, company_share=0.0, typography_share=share
        )
        windows = training_windows([corpus], featurizer, config, seed)
        assert all(len(w.tags) == len(w.features.input_ids) <= 32 for w in windows)
        return [i for w in windows for i in w.features.input_ids.tolist()]

    plain = stops(0.0)
    counts = [found.count(VOCABULARY["."]) for found in (plain, stops(0.3), stops(1.0))]
    # Of the three forms one has no stops; the last segment of these articles has none anyway.
    assert counts[0] == 180
    assert 130 < counts[1] < 175
    assert 90 < counts[2] < 150
    assert stops(0.3) == stops(0.3) != stops(0.3, seed=2)
