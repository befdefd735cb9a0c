from __future__ import annotations

import numpy as np
import pytest

from framelens.features import Featurizer
from framelens_training import counterfactuals
from framelens_training.config import Windows
from framelens_training.corpora.labelled import GoldSegment, LabelledDocument
from framelens_training.mixture import CorpusFeatures, training_windows
from framelens_training.targets import featurize_document

SENTENCE = "The shameless council squandered another fortune on a pier."


def lone(text: str, *, framed: bool | None = True, field: str = "text") -> LabelledDocument:
    return LabelledDocument(
        id="a",
        text=text if field == "text" else "",
        headline=text if field == "headline" else None,
        annotated=frozenset({"framed"}),
        segments=(GoldSegment(field, 0, len(text), framed=framed),),  # type: ignore[arg-type]
    )


def test_a_framed_sentence_becomes_what_a_source_says() -> None:
    generator = np.random.default_rng(0)
    made = [counterfactuals.quoted(lone(SENTENCE), generator) for _ in range(300)]
    direct = 0
    for document in made:
        assert document is not None
        (segment,) = document.segments
        assert (segment.start, segment.end) == (0, len(document.text))
        assert (segment.attributed, segment.framed, segment.boilerplate) == (True, False, False)
        assert set(segment.weights.values()) == {counterfactuals.CONFIDENCE}
        assert "shameless council squandered another fortune on a pier" in document.text
        assert "loaded_spans" not in document.annotated
        if "attribution_spans" not in document.annotated:
            assert not document.spans
            continue
        direct += 1
        spans = {s.type: document.text[s.start : s.end] for s in document.spans}
        assert set(spans) == {"source", "cue", "content"}
        assert spans["content"][0] + spans["content"][-1] in ("“”", '""')
        assert spans["source"] != spans["cue"]
        rest = document.text
        for words in spans.values():
            rest = rest.replace(words, "", 1)
        assert set(rest) <= set(" ,:.")
    assert 90 < direct < 210
    assert len({d.text for d in made if d}) > 200


@pytest.mark.parametrize(
    "document",
    [
        lone("“A shameless waste of money,” said the mayor of the town."),
        lone("A waste."),
        lone("word " * 60 + "end."),
        lone("A headline without a stop that goes on"),
        lone(SENTENCE, field="headline"),
    ],
)
def test_what_cannot_be_wrapped_is_left_alone(document: LabelledDocument) -> None:
    assert counterfactuals.quoted(document, np.random.default_rng(0)) is None


def test_only_body_sentences_annotated_for_framing_are_taken() -> None:
    text = "One two three. Four five six."
    document = LabelledDocument(
        id="d",
        text=text,
        headline="A headline",
        annotated=frozenset({"framed"}),
        segments=(
            GoldSegment("headline", 0, 10, framed=True),
            GoldSegment("text", 0, 14, framed=True),
            GoldSegment("text", 15, len(text), framed=None),
        ),
    )
    (found,) = counterfactuals.outlet_sentences(document)
    assert found.text == "One two three."
    assert found.segments[0].framed is True
    unannotated = LabelledDocument(id="e", text=text, segments=document.segments[1:2])
    assert counterfactuals.outlet_sentences(unannotated) == []


def test_the_mixture_shows_them_alone_and_in_company_and_anew_each_epoch(
    featurizer: Featurizer,
) -> None:
    items = [featurize_document(lone(SENTENCE, framed=n % 2 == 0), featurizer) for n in range(60)]
    corpora = [CorpusFeatures(items)]
    plain = training_windows(corpora, featurizer, Windows(), 1)
    config = Windows(counterfactual_share=1.0)
    first, again, second = (
        training_windows(corpora, featurizer, config, 1, epoch) for epoch in (0, 0, 1)
    )
    ids = [[w.features.input_ids.tolist() for w in windows] for windows in (first, again, second)]
    assert ids[0] == ids[1]
    assert ids[0] != ids[2]

    def attributed(windows: object) -> int:
        return sum(int((w.axes[..., 0] == 1).sum()) for w in windows)  # type: ignore[attr-defined]

    assert attributed(plain) == 0
    # Thirty framed ones, about ten others, each twice or, cut by a window, more often.
    assert 60 < attributed(first) < 180
