from __future__ import annotations

import pytest

from framelens_training.corpora.labelled import CorpusError
from framelens_training.corpora.markup import format_markup, parse_markup

ARTICLE = """#id: tarn-1
#outlet: Tarn Courier
#topic: courts

Hf| {l|Shambles} at the mill

a| {s|The coroner} {c|said} {q|the valve was {l|shut}}.
-| It rained.

b| Sign up
af| {s|He} {c|{l|ranted}} {q|again}
"""


def test_markup_is_read_and_written_back() -> None:
    (document,) = parse_markup(ARTICLE)
    assert document.headline == "Shambles at the mill"
    assert document.text == (
        "The coroner said the valve was shut. It rained.\n\nSign up\nHe ranted again"
    )
    assert (document.outlet, document.meta) == ("Tarn Courier", {"topic": "courts"})
    assert [document.segment_text(s) for s in document.segments][3] == "Sign up"
    found = {(s.type, document.field_text(s.field)[s.start : s.end]) for s in document.spans}
    assert found == {
        ("loaded", "Shambles"),
        ("source", "The coroner"),
        ("cue", "said"),
        ("content", "the valve was shut"),
        ("loaded", "shut"),
        ("source", "He"),
        ("cue", "ranted"),
        ("loaded", "ranted"),
        ("content", "again"),
    }
    assert format_markup(document) == ARTICLE


def test_single_breaks_and_several_articles() -> None:
    first, second = parse_markup("#id: a\n#breaks: single\nb| x\n\n-| y\n===\n#id: b\n-| z\n===\n")
    assert (first.text, second.text) == ("x\ny", "z")


def test_only_what_is_annotated_has_answers() -> None:
    page = "#id: a\n#annotated: boilerplate\n\nb| Home\n-| It rained.\n"
    (document,) = parse_markup(page)
    assert document.annotated == {"boilerplate"}
    assert [(s.attributed, s.framed, s.boilerplate) for s in document.segments] == [
        (None, None, True), (None, None, False)
    ]  # fmt: skip
    assert document.meta == {}
    assert format_markup(document) == page


@pytest.mark.parametrize(
    ("names", "line", "says"),
    [
        ("boilerplate, tone", "-| x", "expected some of attributed, .*found 'boilerplate, tone'"),
        ("", "-| x", "expected some of"),
        ("boilerplate", "f| x", "found others: framed"),
        ("framed", "f| {l|x}", "found others: loaded_spans"),
    ],
)
def test_marks_of_what_is_not_annotated_are_refused(names: str, line: str, says: str) -> None:
    with pytest.raises(CorpusError, match=says):
        parse_markup(f"#id: a\n#annotated: {names}\n{line}\n")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("no bar", "expected 'axes| text'"),
        ("x| unknown axis", "expected 'axes| text'"),
        ("a| {s|open", "never closed"),
        ("a| close}", "closes nothing"),
        ("a| {x|y}", "without"),
        ("a| {s|}", "empty source span"),
        ("a| ", "expected text after the bar"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_line(line: str, says: str) -> None:
    with pytest.raises(CorpusError, match=says) as caught:
        parse_markup(f"#id: a\n\n{line}\n", "file.txt")
    assert caught.value.problems[0].where == "file.txt:3"


def test_an_article_without_segments_is_named() -> None:
    with pytest.raises(CorpusError, match="has no segments") as caught:
        parse_markup("#id: a\n-| x\n===\n#id: b\n\n===\n#id: c\n-| y\n", "file.txt")
    assert [problem.where for problem in caught.value.problems] == ["file.txt:4"]


def test_an_article_without_an_id() -> None:
    with pytest.raises(CorpusError, match="no '#id:' line"):
        parse_markup("-| text\n")
