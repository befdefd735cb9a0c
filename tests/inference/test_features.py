from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers

from framelens.decoding import word_offsets
from framelens.features import FeatureConfig, Featurizer
from support import SPECIAL, VOCABULARY, make_tokenizer

texts = st.text(st.characters(exclude_categories=()), max_size=60)


def test_layout_of_a_window(featurizer: Featurizer) -> None:
    document = featurizer.featurize(["Road closed", "The mayor said"], ["headline", "body"])
    (window,) = document.windows
    v = VOCABULARY
    assert window.input_ids.tolist() == [
        v["[CLS]"], v["road"], v["closed"], v["[SEP]"], v["the"], v["mayor"], v["said"], v["[SEP]"],
    ]  # fmt: skip
    assert window.token_type_ids.tolist() == [0, 1, 1, 1, 0, 0, 0, 0]
    assert window.positions == (1, 4)
    assert window.separators == (3, 7)


def test_an_encoder_with_one_token_type_gets_no_other() -> None:
    plain = Featurizer(make_tokenizer(), FeatureConfig(token_types=False))
    (window,) = plain.featurize(["Road closed"], ["headline"]).windows
    assert not window.token_type_ids.any()


def test_words_begin_at_their_first_piece(featurizer: Featurizer) -> None:
    (segment,) = featurizer.tokenize(["The roads."], ["body"])
    assert segment.words.tolist() == [True, True, False, True]
    assert segment.offsets.tolist() == [[0, 3], [4, 8], [8, 9], [9, 10]]


def byte_level_tokenizer() -> Tokenizer:
    pieces = [*SPECIAL, *sorted(pre_tokenizers.ByteLevel.alphabet()), "Ġs", "Ġsa"]
    merges = [("Ġ", "s"), ("Ġs", "a")]
    tokenizer = Tokenizer(models.BPE({piece: i for i, piece in enumerate(pieces)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return tokenizer


def metaspace_tokenizer() -> Tokenizer:
    pieces = [*SPECIAL, "▁", "▁said", *dict.fromkeys("“Themayor”saidNO.")]
    tokenizer = Tokenizer(models.Unigram([(piece, -1.0) for piece in pieces], unk_id=1))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    return tokenizer


@pytest.mark.parametrize("make", [byte_level_tokenizer, metaspace_tokenizer])
def test_words_end_where_berts_do_whatever_the_tokenizer(
    make: Callable[[], Tokenizer], featurizer: Featurizer
) -> None:
    text = "“The mayor”  said NO."
    other = Featurizer(make())
    (expected,) = featurizer.tokenize([text], ["body"])
    found, blank = other.tokenize([text, "  "], ["body", "body"])
    np.testing.assert_array_equal(word_offsets(found), word_offsets(expected))
    assert not blank.words.any()


def test_a_tokenizers_own_padding_and_truncation_are_switched_off() -> None:
    tokenizer = make_tokenizer()
    tokenizer.enable_padding(length=8)
    tokenizer.enable_truncation(2)
    (segment,) = Featurizer(tokenizer).tokenize(["The mayor said"], ["body"])
    assert segment.ids.tolist() == [VOCABULARY[word] for word in ("the", "mayor", "said")]


def test_offsets_are_code_points_of_the_original_text(featurizer: Featurizer) -> None:
    text = "🚢 Thé mayor\u0301 \ud800\udbff\udc00\udfff said"
    (segment,) = featurizer.tokenize([text], ["body"])
    a, b = segment.offsets[-1]
    assert text[a:b] == "said"


@settings(deadline=None)
@given(st.lists(texts, min_size=1, max_size=6))
def test_any_text_has_features_with_offsets_inside_it(parts: list[str]) -> None:
    featurizer = Featurizer(make_tokenizer(), FeatureConfig(max_tokens=16, overlap=4))
    document = featurizer.featurize(parts, ["body"] * len(parts))
    for text, segment in zip(parts, document.segments, strict=True):
        assert segment.ids.shape == (len(segment.offsets),) == segment.words.shape
        assert (segment.offsets >= 0).all()
        assert (segment.offsets <= len(text)).all()
        assert (segment.offsets[:, 0] <= segment.offsets[:, 1]).all()
    for window in document.windows:
        assert len(window.input_ids) <= 16
        assert window.input_ids[0] == VOCABULARY["[CLS]"]
        for piece, position in zip(window.pieces, window.positions, strict=True):
            expected = document.segments[piece.segment].ids[piece.start : piece.end]
            stop = position + piece.size
            assert np.array_equal(window.input_ids[position:stop], expected)
            assert window.input_ids[stop] == VOCABULARY["[SEP]"]


@pytest.mark.parametrize("count", [13, 14, 15, 28, 29])
def test_features_around_the_window_limit(count: int) -> None:
    featurizer = Featurizer(make_tokenizer(), FeatureConfig(max_tokens=16, overlap=4))
    document = featurizer.featurize(["a " * count], ["body"])
    assert len(document.segments[0].ids) == count
    assert len(document.windows) == (1 if count <= 14 else 1 + -(-(count - 14) // 10))


def test_a_vocabulary_reaches_to_its_largest_id() -> None:
    words = {word: 2 * number for word, number in VOCABULARY.items()}
    featurizer = Featurizer(Tokenizer(models.WordPiece(words, unk_token="[UNK]")))
    assert featurizer.vocabulary == 1 + max(words.values())


def test_a_tokenizer_without_the_special_tokens_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'<s>'"):
        Featurizer(make_tokenizer(), FeatureConfig(cls_token="<s>"))
