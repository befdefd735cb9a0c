"""The starter corpus holds what docs/corpora.md says of it."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

import framelens
from framelens.schema import AXES, SPAN_TYPES
from framelens.segmentation import segment_article
from framelens_training.corpora.labelled import ANNOTATED, LabelledDocument
from framelens_training.corpora.markup import format_markup, parse_markup
from framelens_training.corpora.registry import corpus

SPLITS = corpus("starter").read(None)
DOCUMENTS = [document for split in SPLITS.values() for document in split]
STYLES = {"wire", "tabloid", "broadsheet", "partisan", "local", "web"}
WORD = re.compile(r"\w+(?:['’]\w+)?")


def five_grams(text: str) -> set[tuple[str, ...]]:
    words = WORD.findall(text.lower())
    return set(zip(*(words[i:] for i in range(5)), strict=False))


def repeated_frames(articles: Iterable[str]) -> Counter[tuple[int, int]]:
    """How many word 5-grams each two articles share."""
    grams = [five_grams(article) for article in articles]
    return Counter(
        {
            (a, b): len(grams[a] & grams[b])
            for a, b in itertools.combinations(range(len(grams)), 2)
            if grams[a] & grams[b]
        }
    )


def text_of(document: LabelledDocument) -> str:
    return f"{document.headline} . {document.text}"


def test_size_and_variety() -> None:
    assert len(DOCUMENTS) >= 90
    assert sum(len(d.segments) for d in DOCUMENTS) >= 1200
    assert len({d.id for d in DOCUMENTS}) == len(DOCUMENTS)
    topics = Counter(d.meta["topic"] for d in DOCUMENTS)
    assert {
        "courts", "local-politics", "business", "science", "sport", "crime", "foreign-affairs",
        "culture",
    } <= set(topics)  # fmt: skip
    assert min(topics.values()) >= 5
    assert {d.meta["style"] for d in DOCUMENTS} == STYLES
    assert len({d.outlet for d in DOCUMENTS}) > 80
    assert all(d.headline and d.date for d in DOCUMENTS)


def test_every_axis_and_span_type_is_annotated_in_every_split() -> None:
    for documents in SPLITS.values():
        segments = [s for d in documents for s in d.segments]
        assert all(d.annotated == frozenset(ANNOTATED) for d in documents)
        for axis in AXES:
            positives = sum(bool(s.axis(axis)) for s in segments)
            assert 25 <= positives < len(segments) - 25, axis
            assert all(s.axis(axis) is not None for s in segments)
        types = Counter(span.type for d in documents for span in d.spans)
        assert set(types) == set(SPAN_TYPES)
        assert min(types.values()) >= 60


def test_splits_are_by_article_and_about_70_15_15() -> None:
    shares = {name: len(documents) / len(DOCUMENTS) for name, documents in SPLITS.items()}
    assert shares == {
        "train": pytest.approx(0.7, abs=0.03),
        "validation": pytest.approx(0.15, abs=0.03),
        "test": pytest.approx(0.15, abs=0.03),
    }
    for documents in SPLITS.values():
        assert len({d.meta["style"] for d in documents}) >= 5


def test_offsets_give_the_text_back_and_cover_it() -> None:
    for document in DOCUMENTS:
        for segment in document.segments:
            text = document.segment_text(segment)
            assert text == text.strip() != ""
        for name in ("headline", "text"):
            inside = [s for s in document.segments if s.field == name]
            covered = "".join(document.segment_text(s) for s in inside)
            whole = document.field_text(name)  # type: ignore[arg-type]
            assert re.sub(r"\s", "", covered) == re.sub(r"\s", "", whole)
        for span in document.spans:
            text = document.field_text(span.field)[span.start : span.end]
            assert text == text.strip() != ""
            assert any(
                s.field == span.field and s.start <= span.start and span.end <= s.end
                for s in document.segments
            )


def test_labels_agree_with_the_spans() -> None:
    for document in DOCUMENTS:
        for segment in document.segments:
            types = {
                span.type
                for span in document.spans
                if span.field == segment.field and segment.start <= span.start < segment.end
            }
            place = f"{document.id}: {document.segment_text(segment)}"
            assert bool(segment.framed) == ("loaded" in types), place
            assert not segment.attributed or "content" in types, place
            assert not segment.boilerplate or not types, place


def test_the_hard_cases_are_there() -> None:
    loaded_cues = quoted = no_cue = continued = unclosed = nested = 0
    for document in DOCUMENTS:
        for segment in document.segments:
            text = document.segment_text(segment)
            spans = [
                s
                for s in document.spans
                if s.field == segment.field and segment.start <= s.start < segment.end
            ]
            cues = [s for s in spans if s.type == "cue"]
            loaded_cues += any(
                s.type == "loaded" and any(s.start < c.end and c.start < s.end for c in cues)
                for s in spans
            )
            quoted += bool(segment.attributed and not segment.framed and re.search('["“«„]', text))
            no_cue += bool(segment.attributed and not cues)
            continued += bool(
                segment.attributed and not any(s.type in ("source", "cue") for s in spans)
            )
            unclosed += (text.count("“") != text.count("”")) + text.count('"') % 2
            nested += bool(re.search('“[^”]*‘|"[^"]*\'\\w[^"]*\'|«[^»]*[“„"]', text))
    assert loaded_cues >= 20
    assert quoted >= 150
    assert no_cue >= 50
    assert continued >= 40
    assert unclosed >= 20
    assert nested >= 5
    headlines = [(d.headline or "").lower() for d in DOCUMENTS]
    endings = (": report", ": filing", ": study", "says", "say", ": inquiry", ": audit")
    assert sum(h.endswith(endings) for h in headlines) >= 4
    framed = [s.framed for d in DOCUMENTS for s in d.segments if s.field == "headline"]
    assert 0.3 < sum(map(bool, framed)) / len(framed) < 0.5


def test_no_two_articles_share_their_sentences_frames() -> None:
    shared = repeated_frames(map(text_of, DOCUMENTS))
    worst = [
        (DOCUMENTS[a].id, DOCUMENTS[b].id, count) for (a, b), count in shared.items() if count > 2
    ]
    assert worst == []
    everywhere = Counter(gram for d in DOCUMENTS for gram in five_grams(text_of(d)))
    assert max(everywhere.values()) <= 2
    # About one 5-gram in 1,500 stands in two articles.
    assert sum(count > 1 for count in everywhere.values()) < 0.0015 * len(everywhere)


def test_the_check_for_repeated_frames_finds_them() -> None:
    filled = [
        f"The mayor of {place} said on Monday that the new bridge would be closed for repairs."
        for place in ("Aarfeld", "Bracknagh", "Zirmegg")
    ]
    assert min(repeated_frames(filled).values()) > 2


@pytest.mark.parametrize("document", DOCUMENTS[::10], ids=lambda d: d.id)
def test_articles_can_be_edited_in_inline_markup(document: LabelledDocument) -> None:
    (again,) = parse_markup(format_markup(document))
    assert again.segments == document.segments
    assert sorted(again.spans, key=str) == sorted(document.spans, key=str)
    assert again.text == document.text


def test_scoring_the_whole_corpus_gives_its_text_back(model_folder: Path) -> None:
    scorer = framelens.load(model_folder)
    for document in DOCUMENTS:
        row = {"text": document.text, "headline": document.headline or ""}
        found = scorer.score(row["text"], row["headline"])
        assert found.status == "ok"
        for segment in found.segments:
            field = row[segment.field]
            assert field[segment.start : segment.end] == segment.text
            assert all(field[span.start : span.end] == span.text for span in segment.spans)


def test_serving_splits_articles_where_annotators_did() -> None:
    gold, found, both = 0, 0, 0
    for document in DOCUMENTS:
        expected = {(s.field, s.start, s.end) for s in document.segments}
        split = {
            (s.field, s.start, s.end) for s in segment_article(document.text, document.headline)
        }
        gold, found, both = gold + len(expected), found + len(split), both + len(expected & split)
    # The rest are furniture lines of two sentences, which annotators kept whole.
    assert 2 * both / (gold + found) > 0.96
