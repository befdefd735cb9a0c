"""Training documents in which the parties are exchanged."""

from __future__ import annotations

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


@pytest.fixture
def american() -> Featurizer:
    """A tokenizer that knows some of the words; "clinton" is several pieces to it."""
    words = {word: number for number, word in enumerate((*VOCABULARY, *KNOWN, "clint", "##on"))}
    tokenizer = Tokenizer(models.WordPiece(words, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return Featurizer(tokenizer, FeatureConfig(max_tokens=32, overlap=8))


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
    assert Parties(american).are_named(item) == (text != other)


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
