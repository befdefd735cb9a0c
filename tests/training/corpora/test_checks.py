"""What is found in single documents and between them, and what is not."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framelens.features import Featurizer
from framelens_training.corpora.checks import check_document
from framelens_training.corpora.comparisons import compare, likenesses
from framelens_training.corpora.comparisons import entries_of as entries
from framelens_training.corpora.findings import Located
from framelens_training.corpora.fixing import FIXES_FILE, fix, write_fixed
from framelens_training.corpora.formats import read_any, write_any
from framelens_training.corpora.formats.base import FormatError
from framelens_training.corpora.inputs import Part, read_inputs
from framelens_training.corpora.labelled import (
    ANNOTATED,
    FIELDS,
    GoldSegment,
    GoldSpan,
    LabelledDocument,
)
from framelens_training.corpora.lines import line_document
from framelens_training.corpora.near_duplicates import jaccard, near_duplicates, shingles
from framelens_training.corpora.reach import default_featurizer, examine
from framelens_training.corpora.report import EXIT_WARNINGS, check


def _article(text: str, *spans: tuple[str, str], **changes: object) -> LabelledDocument:
    """A document of one segment for each line, with spans where their words first stand."""
    segments: list[GoldSegment] = []
    at = 0
    for line in text.split("\n"):
        segments.append(GoldSegment("text", at, at + len(line), False, False, False))
        at += len(line) + 1
    marks = tuple(
        GoldSpan("text", kind, text.index(words), text.index(words) + len(words))  # type: ignore[arg-type]
        for kind, words in spans
    )
    document = LabelledDocument(
        "a", text, annotated=frozenset(ANNOTATED), segments=tuple(segments), spans=marks
    )
    return replace(document, **changes)  # type: ignore[arg-type]


def _line(name: str, text: str, framed: bool = False, **meta: str) -> LabelledDocument:
    return LabelledDocument(
        name,
        text,
        annotated=frozenset({"framed"}),
        segments=(GoldSegment("text", 0, len(text), framed=framed),),
        meta=meta,
    )


def _part(split: str, *documents: LabelledDocument, corpus: str = "files") -> Part:
    return Part(corpus, split, tuple(Located(d, f"{split}:{d.id}") for d in documents))


def _codes(document: LabelledDocument, featurizer: Featurizer) -> list[str]:
    return [f.code for f in check_document(Located(document, "x:1"), featurizer)[0]]


def test_a_span_that_no_window_shows_whole_is_unreachable(featurizer: Featurizer) -> None:
    long = "the road closed " * 20
    document = _article(long.strip(), ("content", "road" + long[8:-1]))
    (lost,) = examine(document, featurizer).unreachable
    assert lost.reason == "longer than a window"
    short = replace(document, spans=(GoldSpan("text", "content", 4, 100),))
    assert not examine(short, featurizer).unreachable
    assert examine(document, featurizer).long == (0,)


def test_a_span_of_half_a_word_or_outside_segments_is_unreachable(featurizer: Featurizer) -> None:
    document = _article("the mayor said no\nshe closed it", ("source", "ma"), ("cue", "said"))
    (lost,) = examine(document, featurizer).unreachable
    assert (lost.span.type, lost.reason) == ("source", "no word")
    bare = replace(document, segments=document.segments[1:])
    assert {u.reason for u in examine(bare, featurizer).unreachable} == {"outside"}


def test_a_span_over_two_segments_and_their_gap_is_reachable(featurizer: Featurizer) -> None:
    document = _article("the mayor said no\n \nshe closed it", ("content", "said no\n \nshe"))
    assert not examine(document, featurizer).unreachable
    assert "span-over-segments" in _codes(document, featurizer)
    spaced = replace(document, spans=(GoldSpan("text", "source", 17, 23),))
    assert "space-at-edges" in _codes(spaced, featurizer)
    assert "span-over-segments" not in _codes(spaced, featurizer)


def test_the_packaged_encoder_sets_the_default_windows() -> None:
    assert default_featurizer().config.max_tokens == 256
    (size,) = examine(_line("a", "Rain fell on the valley."), default_featurizer()).tokens
    assert size == 6


def test_rules_of_the_guide_are_checked_where_both_sides_are_annotated(
    featurizer: Featurizer,
) -> None:
    document = _article("the mayor ranted", ("loaded", "ranted"))
    assert _codes(document, featurizer) == ["guide"]
    framed = replace(document.segments[0], framed=True)
    assert _codes(replace(document, segments=(framed,)), featurizer) == []
    some = replace(document, annotated=frozenset({"loaded_spans", "attributed"}))
    assert "guide" not in _codes(some, featurizer)
    attributed = replace(document.segments[0], attributed=True, framed=None)
    assert _codes(replace(document, segments=(attributed,)), featurizer) == ["guide"]


def test_a_headline_is_no_page_furniture(featurizer: Featurizer) -> None:
    for field in FIELDS:
        document = LabelledDocument(
            "a",
            "A valve was shut.",
            "A valve was shut.",
            annotated=frozenset({"boilerplate"}),
            segments=(GoldSegment(field, 0, 17, boilerplate=True),),
        )
        assert ("guide" in _codes(document, featurizer)) is (field == "headline")


def test_a_short_text_of_an_article_in_two_splits_is_no_leak(featurizer: Featurizer) -> None:
    short, long, of_article = "The mayor said no.", "The mayor said no to it.", {"group": "x"}
    for text, meta, is_leak in (
        (short, of_article, False),
        (short, {}, True),
        (long, of_article, True),
    ):
        lines = [replace(_line(name, text), meta=meta) for name in "ab"]
        parts = [_part("train", lines[0]), _part("test", lines[1])]
        assert ("text-in-two-splits" in {f.code for f in compare(parts)}) is is_leak


def test_furniture_that_stands_in_two_splits_is_no_repetition(featurizer: Featurizer) -> None:
    line = _line("a", "Sign up for our newsletter and never miss a story")
    segment = replace(line.segments[0], framed=None, boilerplate=True)
    line = replace(line, annotated=frozenset({"boilerplate"}), segments=(segment,))
    parts = [_part(s, replace(line, id=s, meta={"group": s})) for s in ("train", "test")]
    assert not {f.code for f in compare(parts)} & {"duplicate-text", "text-in-two-splits"}
    kept, _ = fix(parts, featurizer)
    assert [len(part.located) for part in kept] == [1, 1]


def test_one_cut_word_is_a_warning_and_most_of_them_a_shift(featurizer: Featurizer) -> None:
    text = "the mayor said the road is closed to all"
    words = ("mayor", "said", "road", "closed")
    right = _article(text, *(("content", word) for word in words))
    spans = list(right.spans)
    spans[0] = replace(spans[0], end=spans[0].end - 1)
    one = check_document(Located(replace(right, spans=tuple(spans)), "x:1"), featurizer)[0]
    assert [(f.severity, f.code) for f in one] == [("warning", "cut-word")]
    shifted = [replace(s, start=s.start + 2, end=s.end + 2) for s in right.spans]
    all_of_them = check_document(
        Located(replace(right, spans=tuple(shifted)), "x:1"), featurizer
    )[0]  # fmt: skip
    (error,) = [f for f in all_of_them if f.severity == "error"]
    assert error.code == "shifted-offsets"
    assert "shifting them by -2" in error.mend


TEXT = "Rain fell on the valley for nine days and the bridge stayed closed all week."


def test_only_an_id_that_somebody_wrote_can_stand_twice(tmp_path: Path) -> None:
    names = []
    for split in ("train", "test"):
        path = tmp_path / split / "labels.csv"
        path.parent.mkdir()
        path.write_text(f"id,text,label\n,A road in {split}.,plain\nx,A plan.,plain\n", "utf-8")
        names.append(f"{split}={path}")
    (finding,) = [f for f in compare(read_inputs(names, None)) if f.code == "duplicate-id"]
    assert finding.where.endswith("labels.csv:3")


def test_likeness_between_splits_and_corpora() -> None:
    near = TEXT.replace("nine", "ten")
    parts = [
        _part("train", _line("a", TEXT), _line("b", TEXT.upper())),
        _part("test", _line("c", near)),
        _part("train", _line("a", TEXT + "!"), corpus="other"),
    ]
    found = {(f.severity, f.code, f.where) for f in compare(parts) if "class" not in f.code}
    assert found == {
        ("warning", "duplicate-text", "train:b"),
        ("warning", "near-duplicate-across-splits", "test:c"),
        ("warning", "text-in-two-corpora", "train:a"),
        ("warning", "text-in-two-corpora", "test:c"),
    }


def test_two_annotators_of_one_article_are_no_repetition() -> None:
    one, two = (_line(x, TEXT, x == "b", group="g", annotator=x) for x in "ab")
    assert likenesses(entries([_part("train", one, two)])) == []
    other = _line("c", TEXT, group="h", annotator="c")
    assert len(likenesses(entries([_part("train", one, two, other)]))) == 1


def test_two_annotators_of_one_sentence_may_disagree(featurizer: Featurizer) -> None:
    one, two = (_line(x, TEXT, x == "b", group="g", annotator=x) for x in "ab")
    part = _part("train", one, two)
    found = [f for f in compare([part]) if f.code != "class-balance"]
    assert [(f.severity, f.code) for f in found] == [("warning", "annotators-disagree")]
    assert [item.document.id for item in fix([part], featurizer)[0][0].located] == ["a", "b"]
    third = _line("c", TEXT, group="h")
    copy = _line("d", TEXT, group="g", annotator="a")
    for documents in itertools.permutations([one, two, third, copy]):
        other = _part("train", *documents)
        assert "contradicting-labels" in {f.code for f in compare([other])}
        assert not fix([other], featurizer)[0][0].located


def test_every_copy_is_told_whatever_came_first(featurizer: Featurizer) -> None:
    documents = [
        line_document(name, TEXT, judged_as, 0.9, {"group": name})
        for name, judged_as in (("a", "babe"), ("b", "checkthat2025"), ("c", "checkthat2025"))
    ]
    for order in itertools.permutations(documents):
        part = _part("train", *order)
        assert [f.code for f in compare([part])].count("duplicate-text") == 1
        kept = {item.document.meta["as"] for item in fix([part], featurizer)[0][0].located}
        assert kept == {"babe", "checkthat2025"}


def test_a_copy_with_answers_of_its_own_is_no_repetition(featurizer: Featurizer) -> None:
    framed = _line("a", TEXT)
    (segment,) = framed.segments
    attributed = replace(
        framed, id="b", annotated=frozenset({"attributed"}),
        segments=(replace(segment, framed=None, attributed=False),),
    )  # fmt: skip
    both = replace(
        framed, id="c", annotated=frozenset({"attributed", "framed"}),
        segments=(replace(segment, attributed=False),),
    )  # fmt: skip
    for documents, kept in (
        ([framed, attributed], "ab"),
        ([framed, both], "c"),
        ([both, framed], "c"),
    ):
        part = _part("train", *documents)
        told = "duplicate-text" in {f.code for f in compare([part])}
        assert told == (len(kept) == 1)
        left = [item.document.id for item in fix([part], featurizer)[0][0].located]
        assert "".join(left) == kept


def test_contradiction_in_context_is_a_warning() -> None:
    first = _article("the road is closed\nsign up")
    second = replace(first.segments[0], framed=True)
    other = replace(first, id="b", text="the road is closed\nthe plan",
                    segments=(second, replace(first.segments[1], end=27)))  # fmt: skip
    codes = [(f.severity, f.code) for f in compare([_part("train", first, other)])]
    assert ("warning", "contradicting-segments") in codes
    assert "error" not in {severity for severity, _ in codes}


def test_a_sentence_of_one_corpus_in_an_article_of_another_is_told() -> None:
    article = _article(f"the mayor said\n{TEXT}")
    parts = [_part("train", article), _part("test", _line("z", TEXT), corpus="lines")]
    (finding,) = [f for f in compare(parts) if f.code == "segments-in-two-parts"]
    assert "1 segments of files/train that stand in lines/test" in finding.found


def test_scarce_answers_are_told_for_annotated_axes_only() -> None:
    lines = [_line(str(n), f"Line {n} of several.", n < 12) for n in range(30)]
    assert not [f for f in compare([_part("train", *lines)]) if f.code == "class-balance"]
    (finding,) = [f for f in compare([_part("train", *lines[5:])]) if f.code == "class-balance"]
    assert finding.expected.endswith("framed true")
    assert finding.found == "7 of 25"
    halves = [_part("train", *lines[number::2]) for number in (0, 1)]  # files of one split
    assert not [f for f in compare(halves) if f.code == "class-balance"]


@given(st.lists(st.text("ab cd", min_size=1, max_size=40), max_size=12, unique=True))
@settings(max_examples=50, deadline=None, derandomize=True)
def test_near_duplicates_are_the_pairs_that_counting_gives(texts: list[str]) -> None:
    sets = [shingles(text) for text in texts]
    expected = {
        (i, j)
        for i in range(len(texts))
        for j in range(i + 1, len(texts))
        if jaccard(sets[i], sets[j]) >= 0.8
    }
    assert {(p.first, p.second) for p in near_duplicates(texts)} == expected


def test_a_contrast_within_a_group_is_no_near_duplicate() -> None:
    near = TEXT.replace("nine", "nine damned")
    told = "near-duplicate"
    plain = _line("a", TEXT, group="g")
    for document, expected in (
        (_line("b", near, True, group="g"), []),
        (_line("b", near, group="g"), [told]),
        (_line("b", near, True, group="h"), [told]),
    ):
        codes = [f.code for f in compare([_part("train", plain, document)])]
        assert [code for code in codes if code != "class-balance"] == expected


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        ("babe", {"contradicting-labels", "duplicate-text"}),
        ("checkthat2025", set()),  # other annotators
        ("hyperpartisan-titles", set()),  # and a headline
    ],
)
def test_only_answers_to_one_question_contradict_each_other(
    others: str, expected: set[str], featurizer: Featurizer
) -> None:
    documents = [
        line_document("a", TEXT, "babe", 0.9, {"group": "a"}),
        line_document("b", TEXT, others, 0.1, {"group": "b"}),
    ]
    part = _part("train", *documents)
    assert {f.code for f in compare([part]) if f.code != "class-balance"} == expected
    kept = [item.document.id for item in fix([part], featurizer)[0][0].located]
    assert kept == ([] if expected else ["a", "b"])


@pytest.mark.parametrize("plain", ["The free ferry sails.", "The “free” ferry sails"])
def test_quotation_marks_may_decide_a_label(plain: str, featurizer: Featurizer) -> None:
    scare = "The ‘free’ ferry sails."
    codes = {}
    for name, groups in (("apart", "xy"), ("contrast", "xx")):
        part = _part("train", _line("a", scare, True, group=groups[0]),
                     _line("b", plain, group=groups[1]))  # fmt: skip
        codes[name] = {f.code for f in compare([part]) if f.code != "class-balance"}
        kept = [item.document.id for item in fix([part], featurizer)[0][0].located]
        assert kept == ([] if "“" in plain else ["a", "b"])
    if "“" in plain:  # the form of the marks says nothing
        assert codes == {name: {"contradicting-labels", "duplicate-text"} for name in codes}
    else:
        assert codes == {"apart": {"marks-decide"}, "contrast": set()}


def test_a_leak_is_fixed_on_the_side_that_is_trained_on(featurizer: Featurizer) -> None:
    one, two = (_line(x, TEXT, group="g", annotator=x) for x in "ab")
    near = _line("t", TEXT.replace("nine", "ten"))
    parts, fixes = fix([_part("train", one, two), _part("test", near)], featurizer)
    assert [[i.document.id for i in part.located] for part in parts] == [[], ["t"]]
    assert {(f.id, f.action, f.code) for f in fixes} == {
        ("a", "dropped", "near-duplicate"),
        ("b", "dropped", "near-duplicate"),
    }


def test_an_article_in_two_splits_stays_where_it_is_evaluated(featurizer: Featurizer) -> None:
    first, second = _line("a", "Rain fell.", group="g"), _line("b", "The road closed.", group="g")
    parts, fixes = fix([_part("validation", first), _part("train", second)], featurizer)
    assert [[i.document.id for i in part.located] for part in parts] == [["a"], []]
    assert [(f.id, f.code) for f in fixes] == [("b", "group-in-two-splits")]


def test_fixing_keeps_every_mark_on_its_words(featurizer: Featurizer) -> None:
    text = "\ufeffthe mayor\r\n said \x00no "
    segments = (GoldSegment("text", 0, 9), GoldSegment("text", 11, len(text), True))
    spans = (GoldSpan("text", "source", 4, 10), GoldSpan("text", "cue", 12, 17))
    document = LabelledDocument(
        "", text, annotated=frozenset({"attributed", "attribution_spans"}),
        segments=(replace(segments[0], end=10), segments[1]), spans=spans,
    )  # fmt: skip
    ((part,), fixes) = fix([_part("train", document)], featurizer)
    (item,) = part.located
    mended = item.document
    assert mended.text == "the mayor\n said  no "
    assert [mended.segment_text(s) for s in mended.segments] == ["the mayor", "said  no"]
    assert [mended.text[s.start : s.end] for s in mended.spans] == ["mayor", "said"]
    assert mended.id == "train:"
    assert {f.code for f in fixes} == {"characters", "space-at-edges", "empty-id"}


def test_a_cleaned_table_is_a_table(tmp_path: Path, featurizer: Featurizer) -> None:
    path = tmp_path / "train.csv"
    path.write_text('text,label\n" Rain fell. ",plain\nA circus.,framed\nA circus.,plain\nx,y\n')
    parts, fixes = fix(read_inputs([str(path)], None), featurizer)
    written = write_fixed(parts, fixes, tmp_path / "clean")
    assert written == [tmp_path / "clean/train.csv", tmp_path / "clean" / FIXES_FILE]
    assert [d.text for d in read_any(written[0])] == ["Rain fell."]
    assert len(written[1].read_text().splitlines()) == 4
    with pytest.raises(FormatError, match="empty or a new folder"):
        write_fixed(parts, fixes, tmp_path / "clean")


def test_what_is_not_read_is_among_the_fixes(tmp_path: Path, featurizer: Featurizer) -> None:
    table, tasks = tmp_path / "labels.csv", tmp_path / "tasks.json"
    table.write_text("text,label,mood\nA line of some words.,plain,blue\n", "utf-8")
    tasks.write_text(json.dumps([{"data": {"text": "A line."}, "annotations": []}]), "utf-8")
    for path, action, code in (
        (table, "altered", "columns"),
        (tasks, "dropped", "not-annotated"),
    ):
        _, fixes = fix(read_inputs([str(path)], None), featurizer)
        assert [(f.where, f.action, f.code) for f in fixes] == [(f"{path}:1", action, code)]


@pytest.mark.parametrize(
    ("name", "text"), [("a.jsonl", ""), ("a.json", "[]"), ("a.csv", "text,label\n")]
)
def test_no_documents_are_told(
    tmp_path: Path, featurizer: Featurizer, name: str, text: str
) -> None:
    path = tmp_path / name
    path.write_text(text, "utf-8")
    report = check(read_inputs([str(path)], None), featurizer)
    assert [f.code for f in report.findings] == ["no-documents"]
    assert report.exit_code == EXIT_WARNINGS


def test_what_is_written_as_jsonl_overwrites_no_other_file(
    tmp_path: Path, featurizer: Featurizer
) -> None:
    write_any([_line("one", "The first road.")], tmp_path / "a.jsonl")
    (tmp_path / "a.mk").write_text("#id: two\n\n-| \x07The second.\n-| The third.\n", "utf-8")
    parts = read_inputs([str(tmp_path / name) for name in ("a.jsonl", "a.mk")], None)
    cleaned, fixes = fix(parts, featurizer)
    written = write_fixed(cleaned, fixes, tmp_path / "clean")
    assert [d.id for path in written[:2] for d in read_any(path)] == ["one", "two"]


@pytest.mark.parametrize("blank", ["\xa0", "\x07", " \u2003\x00", "\ufeff\u200a"])
def test_what_is_blank_around_a_text_is_taken_off(
    tmp_path: Path, featurizer: Featurizer, blank: str
) -> None:
    path = tmp_path / "train.csv"
    path.write_text(f"text,label\n{blank}Rain fell.{blank},plain\n", encoding="utf-8")
    parts, fixes = fix(read_inputs([str(path)], None), featurizer)
    written = write_fixed(parts, fixes, tmp_path / "clean")
    assert written[0].name == "train.csv"
    assert [d.text for d in read_any(written[0])] == ["Rain fell."]


def test_two_paths_of_one_name_are_both_written(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_any([_line(name, f"The {name} road.")], tmp_path / name / "train.jsonl")
    parts = read_inputs([str(tmp_path / n / "train.jsonl") for n in ("one", "two")], None)
    written = write_fixed(parts, [], tmp_path / "clean")
    assert [d.id for path in written[:2] for d in read_any(path)] == ["one", "two"]


@pytest.mark.corpora
def test_the_public_corpora_and_the_starter_corpus_have_no_errors(
    corpora_root: Path, tmp_path: Path
) -> None:
    report = check(read_inputs([], corpora_root, tmp_path), default_featurizer())
    assert [str(f) for f in report.of("error")] == []
    assert all(reason for counts in report.notes.values() for reason in counts)
    assert report.documents > 7000
