from __future__ import annotations

import numpy as np
import pytest

from framelens.features import FeatureConfig, Featurizer
from framelens_training.config import Windows
from framelens_training.corpora.labelled import GoldSegment, LabelledDocument
from framelens_training.mixture import CorpusFeatures, single_windows, training_windows
from framelens_training.targets import IGNORE, LabelledFeatures, featurize_document
from support import make_tokenizer, tiny_documents

CONFIG = Windows(max_tokens=32, overlap=8)


def lone(count: int, featurizer: Featurizer, field: str = "text") -> list[LabelledFeatures]:
    """Documents of one labelled sentence each."""
    found = []
    for number in range(count):
        text = f"A shameful plan {number}."
        document = LabelledDocument(
            id=f"s{number}",
            text=text if field == "text" else "",
            headline=text if field == "headline" else None,
            annotated=frozenset({"framed"}),
            segments=(GoldSegment(field, 0, len(text), framed=number % 2 == 0),),  # type: ignore[arg-type]
        )
        found.append(featurize_document(document, featurizer))
    return found


def articles(count: int, featurizer: Featurizer) -> list[LabelledFeatures]:
    return [featurize_document(document, featurizer) for document in tiny_documents(count)]


def test_a_lone_sentence_is_seen_alone_and_in_company(featurizer: Featurizer) -> None:
    corpora = [CorpusFeatures(articles(3, featurizer)), CorpusFeatures(lone(40, featurizer))]
    windows = training_windows(corpora, featurizer, CONFIG, seed=1)
    mine = [w for w in windows if (w.tags == IGNORE).all()]  # sentences carry no span labels
    supervised = [int((w.weights[:, 1] > 0).sum()) for w in mine]
    company = [len(w.features.pieces) for w in mine]
    assert sum(supervised) == 80  # forty alone, forty in company
    assert sum(c == s == 1 for c, s in zip(company, supervised, strict=True)) >= 40
    assert any(c == s > 1 for c, s in zip(company, supervised, strict=True)), "packs"
    assert any(c > s == 1 for c, s in zip(company, supervised, strict=True)), "neighbours"
    assert all(len(w.features.input_ids) <= 32 for w in windows)
    assert all((w.weights[:, 0] == 0).all() for w in mine)
    # A sentence that was judged for framing on its own is no page furniture.
    assert all(((w.weights[:, 2] > 0) == (w.weights[:, 1] > 0)).all() for w in mine)
    assert all((w.axes[:, 2] == 0).all() for w in mine)


def test_without_articles_all_company_is_of_the_corpus_itself(featurizer: Featurizer) -> None:
    windows = training_windows([CorpusFeatures(lone(20, featurizer))], featurizer, CONFIG, seed=1)
    assert max(len(window.features.pieces) for window in windows) > 1
    for window in windows:
        assert (window.weights[:, 1] > 0).sum() == len(window.features.pieces)


def test_a_headline_stands_first_among_its_neighbours(featurizer: Featurizer) -> None:
    corpora = [
        CorpusFeatures(articles(3, featurizer)),
        CorpusFeatures(lone(20, featurizer, "headline")),
    ]
    windows = training_windows(corpora, featurizer, CONFIG, seed=1)
    mine = [w for w in windows if (w.tags == IGNORE).all()]
    among = [w for w in mine if len(w.features.pieces) > (w.weights[:, 1] > 0).sum()]
    assert among
    for window in among:
        first = window.features.separators[0]
        assert window.weights[first, 1] > 0
        assert window.features.token_type_ids[first] == 1
        assert not window.features.token_type_ids[first + 1 :].any()


def test_windows_are_filled_to_their_last_token() -> None:
    featurizer = Featurizer(make_tokenizer(), FeatureConfig(max_tokens=31, overlap=8))

    def made(*words: int) -> LabelledFeatures:
        """A document with segments of so many tokens."""
        text, segments = "", []
        for count in words:
            segments.append(GoldSegment("text", len(text), len(text) + 5 * count, framed=False))
            text += "plan " * count
        return featurize_document(
            LabelledDocument(
                str(words), text, annotated=frozenset({"framed"}), segments=tuple(segments)
            ),
            featurizer,
        )

    alone = single_windows(made(29, 30, 28), featurizer, [0, 1, 2])
    assert [len(window.features.input_ids) for window in alone] == [31, 30]
    pairs = [made(14) for _ in range(20)]
    windows = training_windows([CorpusFeatures(pairs)], featurizer, CONFIG, seed=1)
    assert [len(w.features.pieces) for w in windows] == [1] * 20 + [2] * 10


def test_neighbours_come_from_all_of_an_article(featurizer: Featurizer) -> None:
    sentences = ["The mayor.", *["A plan."] * 12, "A road."]
    text = " ".join(sentences)
    ends = np.cumsum([len(sentence) + 1 for sentence in sentences]).tolist()
    segments = tuple(
        GoldSegment("text", end - len(sentence) - 1, end - 1)
        for sentence, end in zip(sentences, ends, strict=True)
    )
    article = featurize_document(LabelledDocument("a", text, segments=segments), featurizer)
    corpora = [CorpusFeatures([article]), CorpusFeatures(lone(200, featurizer))]
    windows = training_windows(corpora, featurizer, CONFIG, seed=1)
    company = [w.features.input_ids.tolist() for w in windows if w.weights.any()]
    for word in ("mayor", "plan", "road"):
        number = featurizer.token_id(word)
        assert any(number in ids for ids in company), word


@pytest.mark.parametrize(("weight", "count"), [(0.01, 1), (0.5, 10), (1.0, 20), (2.25, 45)])
def test_weights_draw_a_corpus_more_or_less_often(
    featurizer: Featurizer, weight: float, count: int
) -> None:
    corpus = CorpusFeatures(lone(20, featurizer), weight)
    config = CONFIG.model_copy(update={"company_share": 0.0})
    windows = training_windows([corpus], featurizer, config, seed=1)
    assert len(windows) == count
    same = training_windows([corpus], featurizer, config, seed=1)
    assert all(
        np.array_equal(a.features.input_ids, b.features.input_ids)
        for a, b in zip(windows, same, strict=True)
    )
