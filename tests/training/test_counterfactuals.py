from __future__ import annotations

import re

import numpy as np
import pytest

from framelens.features import Featurizer
from framelens_training import counterfactuals
from framelens_training.config import Windows
from framelens_training.corpora.labelled import GoldSegment, LabelledDocument
from framelens_training.epithets import epithets
from framelens_training.made_labels import CONFIDENCE
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
        assert set(segment.weights.values()) == {CONFIDENCE}
        assert "shameless council squandered another fortune on a pier" in document.text
        assert document.text.lstrip('“"')[0].isupper()
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
    assert not any(re.search(r"ccording to (he|she|they)\b", d.text) for d in made if d)
    assert any(re.search(r"ccording to (him|her|them)\b", d.text) for d in made if d)
    assert 90 < direct < 210
    assert len({d.text for d in made if d}) > 200


@pytest.mark.parametrize(
    "document",
    [
        lone("“A shameless waste of money,” said the mayor of the town."),
        lone("A waste."),
        lone("word " * 60 + "end."),
        lone("A headline without a stop that goes on"),
        lone("A shameless waste\nof the money of all of us."),
        lone("Mayor: a shameless waste of money", field="headline"),
        lone("The ‘shameless’ council squanders another fortune", field="headline"),
        lone("Shameless council squanders a fortune, residents say", field="headline"),
    ],
)
def test_what_cannot_be_wrapped_is_left_alone(document: LabelledDocument) -> None:
    assert counterfactuals.quoted(document, np.random.default_rng(0)) is None


@pytest.mark.parametrize("mark", "?!")
def test_what_is_asked_or_cried_stays_within_its_marks(mark: str) -> None:
    generator = np.random.default_rng(0)
    asked = SENTENCE.replace(".", mark)
    for _ in range(50):
        document = counterfactuals.quoted(lone(asked), generator)
        assert document is not None
        assert f"“{asked}”" in document.text or f'"{asked}"' in document.text


@pytest.mark.parametrize(
    ("title", "cue"),
    [("Shameless council squanders fortune", "says"), ("A Shameless Council Gets Away", "Says")],
)
def test_a_headline_becomes_what_a_source_says(title: str, cue: str) -> None:
    generator = np.random.default_rng(0)
    made = [counterfactuals.quoted(lone(title, field="headline"), generator) for _ in range(300)]
    cues = 0
    for document in made:
        assert document is not None
        assert document.text == ""
        assert document.headline is not None
        (segment,) = document.segments
        assert (segment.field, segment.end) == ("headline", len(document.headline))
        assert (segment.attributed, segment.framed, segment.boilerplate) == (True, False, False)
        assert title[3:] in document.headline
        assert not document.spans
        assert "attribution_spans" not in document.annotated
        cues += cue in document.headline.split() or f"{cue}," in document.headline
    assert 60 < cues < 260
    assert len({d.headline for d in made if d}) > 150
    asked = lone("Why is this shameless council in office?", field="headline")
    for _ in range(50):
        document = counterfactuals.quoted(asked, generator)
        assert document is not None
        assert document.headline is not None
        assert set("‘“'").intersection(document.headline)


def test_segments_annotated_for_framing_are_taken() -> None:
    text = "One two three. Four five six."
    document = LabelledDocument(
        id="d",
        text=text,
        headline="A headline",
        annotated=frozenset({"framed"}),
        segments=(
            GoldSegment("headline", 0, 10, framed=False),
            GoldSegment("text", 0, 14, framed=True),
            GoldSegment("text", 15, len(text), framed=None),
        ),
    )
    headline, found = counterfactuals.outlet_segments(document)
    assert (headline.headline, headline.text) == ("A headline", "")
    assert headline.segments[0].framed is False
    assert found.text == "One two three."
    assert found.segments[0].framed is True
    unannotated = LabelledDocument(id="e", text=text, segments=document.segments[1:2])
    assert counterfactuals.outlet_segments(unannotated) == []


def test_a_loaded_name_is_shown_in_both_voices(featurizer: Featurizer) -> None:
    made = epithets(100, np.random.default_rng(0))
    assert len(made) == 200
    for said, own in zip(made[::2], made[1::2], strict=True):
        (theirs,), (ours,) = said.segments, own.segments
        assert (theirs.attributed, theirs.framed, theirs.boilerplate) == (True, False, False)
        assert (ours.attributed, ours.framed, ours.boilerplate) == (False, True, False)
        assert theirs.field == ours.field
        for document in (said, own):
            text = document.segment_text(document.segments[0])
            assert "{" not in text
            assert text == text.strip()
            assert text.lstrip("‘“")[0].isupper()
    assert 50 < sum(d.headline is not None for d in made) < 110
    assert len({d.segment_text(d.segments[0]) for d in made}) > 180
    assert epithets(0, np.random.default_rng(0)) == []
    windows = training_windows([], featurizer, Windows(epithets=10, company_share=0.0), 1)
    supervised = sum(int((w.weights[..., 1] > 0).sum()) for w in windows)
    assert supervised == len(windows) >= 20  # the tests' windows are small


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
