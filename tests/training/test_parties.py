"""Training documents in which the parties are exchanged."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from framelens.features import FeatureConfig, Featurizer
from framelens_training.config import Windows
from framelens_training.corpora.markup import parse_markup
from framelens_training.mixture import CorpusFeatures, training_windows
from framelens_training.parties import Parties
from framelens_training.targets import LabelledFeatures, featurize_document
from support import VOCABULARY

KNOWN = "republican democrat democratic republicans democrats trump conservative".split()  # noqa: SIM905


def featurizer_of(tokenizer: Tokenizer, pre_tokenizer: pre_tokenizers.PreTokenizer) -> Featurizer:
    tokenizer.pre_tokenizer = pre_tokenizer
    return Featurizer(tokenizer, FeatureConfig(max_tokens=32, overlap=8))


def of_word_pieces(words: Iterable[str], *, lowercase: bool = True) -> Featurizer:
    numbers = {word: number for number, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordPiece(numbers, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    return featurizer_of(tokenizer, pre_tokenizers.BertPreTokenizer())


@pytest.fixture
def american() -> Featurizer:
    """A tokenizer that knows some of the words; "clinton" is several pieces to it."""
    return of_word_pieces((*VOCABULARY, *KNOWN, "clint", "##on"))


def read(featurizer: Featurizer, text: str) -> LabelledFeatures:
    return featurize_document(parse_markup(f"#id: p\n\nf| {text}\n-| The road.\n")[0], featurizer)


def ids(item: LabelledFeatures) -> list[list[int]]:
    return [segment.ids.tolist() for segment in item.features.segments]


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("{l|Shameful} Republicans plan", "{l|Shameful} Democrats plan"),
        ("The democrats, a Democrat", "The republicans, a republican"),
        ("A Democratic plan", "A Republican plan"),
        ("A Republican plan", "A Democrat plan"),
        ("The conservative Trump", "The conservative Trump"),  # the other words are unknown
        ("Mayor Clinton ranted", "Mayor Clinton ranted"),
    ],
)
def test_the_text_is_that_about_the_other_side(american: Featurizer, text: str, other: str) -> None:
    item = read(american, text)
    changed = Parties(american).exchanged(item)
    assert ids(changed) == ids(read(american, other))
    assert changed.targets is item.targets
    assert changed.document is item.document
    shown = np.concatenate([w.input_ids for w in changed.features.windows]).tolist()
    assert set(np.concatenate(ids(changed)).tolist()) <= set(shown)
    assert (changed is item) == (text == other)


def test_the_first_piece_of_a_longer_word_is_no_word() -> None:
    featurizer = of_word_pieces((*VOCABULARY, "ted", "bernie", "##ious", "kennedy"))
    item = read(featurizer, "Tedious plan, Ted Kennedy")
    first, _ = ids(Parties(featurizer).exchanged(item))
    assert first == ids(read(featurizer, "Tedious plan, Bernie Kennedy"))[0]


SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
PIECES = ("Trump", "Clinton", "▁Trump", "▁Clinton", "▁democrats", "▁republicans", "▁and", "’s", ",")


def cased() -> Featurizer:
    words = ("Trump", "Clinton", "democrats", "republicans", "and", "’", "s", ",")
    return of_word_pieces((*SPECIAL, *words), lowercase=False)


def of_sentence_pieces() -> Featurizer:
    tokenizer = Tokenizer(models.Unigram([*((p, 0.0) for p in (*SPECIAL, *PIECES))], unk_id=1))
    return featurizer_of(tokenizer, pre_tokenizers.Metaspace())


def of_bytes() -> Featurizer:
    pieces = [*SPECIAL, *(p.replace("▁", "Ġ").replace("’", "âĢĻ") for p in PIECES)]
    merges: list[tuple[str, str]] = []
    for piece in pieces[len(SPECIAL) :]:
        merges += [(piece[:at], piece[at]) for at in range(1, len(piece))]
    parts = [part for merge in merges for part in (*merge, "".join(merge))]
    words = {piece: number for number, piece in enumerate(dict.fromkeys([*pieces, *parts]))}
    return featurizer_of(
        Tokenizer(models.BPE(words, list(dict.fromkeys(merges)))),
        pre_tokenizers.ByteLevel(add_prefix_space=False),
    )


@pytest.mark.parametrize("make", [cased, of_sentence_pieces, of_bytes])
def test_words_are_known_in_vocabularies_of_every_kind(make: Callable[[], Featurizer]) -> None:
    featurizer = make()
    item = read(featurizer, "Trump’s, Trump and democrats")
    first, _ = ids(Parties(featurizer).exchanged(item))
    assert first == ids(read(featurizer, "Clinton’s, Clinton and republicans"))[0] != ids(item)[0]


def test_a_share_of_the_documents_is_shown_so(american: Featurizer) -> None:
    known = {word: american.token_id(word) for word in ("republicans", "democrats")}
    documents = [read(american, "The Republicans ranted.") for _ in range(100)]

    def count(share: float) -> tuple[int, int]:
        config = Windows(
            max_tokens=32, overlap=8, single_share=0.0, company_share=0.0, parties_share=share
        )
        windows = training_windows([CorpusFeatures(documents)], american, config, seed=1)
        shown = [i for window in windows for i in window.features.input_ids.tolist()]
        return shown.count(known["republicans"]), shown.count(known["democrats"])

    assert count(0.0) == (100, 0)
    assert count(1.0) == (0, 100)
    left, right = count(0.4)
    assert left + right == 100
    assert 25 < right < 55
