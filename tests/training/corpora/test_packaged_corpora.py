"""The packaged corpora hold what docs/corpora.md says of them."""

from __future__ import annotations

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

import framelens
from framelens.schema import AXES, SPAN_TYPES
from framelens.segmentation import segment_article
from framelens_training.corpora.labelled import ANNOTATED, LabelledDocument
from framelens_training.corpora.markup import format_markup, parse_markup
from framelens_training.corpora.registry import corpus
from framelens_training.corpora.splits import group_of

SPLITS = corpus("starter").read(None)
DOCUMENTS = [document for split in SPLITS.values() for document in split]
STYLES = {"wire", "tabloid", "broadsheet", "partisan", "local", "web"}
GAZETTE = corpus("gazette").read(None)
WRITTEN = [document for split in GAZETTE.values() for document in split]
ARTICLES = [document for document in WRITTEN if len(document.segments) > 1]
LONE = [document for document in WRITTEN if len(document.segments) == 1]
WORD = re.compile(r"\w+(?:['’]\w+)?")


def grams(text: str, n: int) -> set[tuple[str, ...]]:
    words = WORD.findall(text.lower())
    return set(zip(*(words[i:] for i in range(n)), strict=False))


def repeated_frames(articles: Iterable[str]) -> Counter[tuple[int, int]]:
    """How many word 5-grams each two articles share."""
    sets = [grams(article, 5) for article in articles]
    return Counter(
        {
            (a, b): len(sets[a] & sets[b])
            for a, b in itertools.combinations(range(len(sets)), 2)
            if sets[a] & sets[b]
        }
    )


def text_of(document: LabelledDocument) -> str:
    return f"{document.headline or ''} . {document.text}"


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
    for document in DOCUMENTS + WRITTEN:
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
    for document in DOCUMENTS + WRITTEN:
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
    everywhere = Counter(gram for d in DOCUMENTS for gram in grams(text_of(d), 5))
    assert max(everywhere.values()) <= 2
    # About one 5-gram in 1,500 stands in two articles.
    assert sum(count > 1 for count in everywhere.values()) < 0.0015 * len(everywhere)


def test_the_check_for_repeated_frames_finds_them() -> None:
    filled = [
        f"The mayor of {place} said on Monday that the new bridge would be closed for repairs."
        for place in ("Aarfeld", "Bracknagh", "Zirmegg")
    ]
    assert min(repeated_frames(filled).values()) > 2


def test_the_gazette_has_articles_headlines_and_sentences_of_both_kinds() -> None:
    assert len(ARTICLES) >= 300
    assert len({d.id for d in WRITTEN}) == len(WRITTEN)
    assert all(d.annotated == frozenset(ANNOTATED) for d in WRITTEN)
    assert all(d.headline and d.outlet and d.meta["style"] for d in ARTICLES)
    for field, fewest in (("headline", 1500), ("text", 1500)):
        framed = [bool(d.segments[0].framed) for d in LONE if d.segments[0].field == field]
        assert len(framed) >= fewest
        assert 0.4 < sum(framed) / len(framed) < 0.6
    leans = Counter(d.lean for d in ARTICLES)
    assert min(leans["left"], leans["right"]) >= 60
    assert leans["center"] >= 25


def test_the_gazette_tells_the_same_facts_in_both_wordings() -> None:
    """Groups in which one line is framed and another is not: the wording alone decides."""
    groups: dict[str, set[bool]] = defaultdict(set)
    for document in LONE:
        groups[group_of(document)].add(bool(document.segments[0].framed))
    assert sum(len(answers) == 2 for answers in groups.values()) >= 500


def test_length_does_not_tell_what_is_framed() -> None:
    for field in ("headline", "text"):
        words: dict[bool, list[int]] = {True: [], False: []}
        for document in LONE:
            if document.segments[0].field == field:
                words[bool(document.segments[0].framed)].append(len(text_of(document).split()))
        assert abs(np.mean(words[True]) - np.mean(words[False])) < 0.15 * np.mean(words[False])


def test_no_two_lines_of_the_gazette_are_one_with_names_exchanged() -> None:
    """Outside a group, hardly any two documents share a run of eight words."""
    owners: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for document in WRITTEN:
        for gram in grams(text_of(document), 8):
            owners[gram].add(group_of(document))
    shared = sum(len(groups) > 1 for groups in owners.values())
    assert shared < 0.002 * len(owners)


def test_no_group_of_the_gazette_is_in_two_splits() -> None:
    groups = [{group_of(d) for d in documents} for documents in GAZETTE.values()]
    assert sum(map(len, groups)) == len(set().union(*groups))


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
