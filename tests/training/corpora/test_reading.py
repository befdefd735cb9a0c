from __future__ import annotations

from pathlib import Path

import pytest

from framelens_training.corpora.reading import (
    Article,
    ReadLog,
    read_table,
    share_of_words,
    wording,
    words,
)


def test_an_article_s_first_line_is_its_headline() -> None:
    raw = "\ufeff\n  The head \r\n\r\n The text.\n"
    article = Article.from_raw(raw)
    assert (article.headline, article.text) == ("The head", "The text.")
    for word, name in (("head", "headline"), ("text", "text")):
        start = raw.index(word)
        ((field, a, b),) = article.place(start, start + 4)
        assert (field, article.field_text(field)[a:b]) == (name, word)
    # The line break between them and the white space around them belong to neither.
    assert article.place(raw.index("\r"), raw.index("The text")) == []
    assert article.place(0, len(raw)) == [("headline", 0, 8), ("text", 0, 9)]


@pytest.mark.parametrize("raw", ["", " \n\n", "\ufeff"])
def test_an_empty_article_has_empty_fields(raw: str) -> None:
    article = Article.from_raw(raw)
    assert (article.headline, article.text) == ("", "")
    assert article.place(0, len(raw)) == []


def test_an_article_of_one_line_is_a_headline() -> None:
    assert Article.from_raw("Only a head").text == ""


def test_words_and_shares() -> None:
    text = "It’s half-shut, 3 said."
    assert [text[a:b] for a, b in words(text)] == ["It’s", "half-shut", "3", "said"]
    assert share_of_words(text, 0, len(text), [(0, 14)]) == 0.5
    assert share_of_words(text, 0, len(text), [(0, 2)]) == 0.0  # half a word is not most of it
    assert share_of_words(text, 4, 5, [(0, 23)]) == 0.0  # no word at all
    assert wording("  The “Half-Shut”\nPool! ") == wording("the half-shut pool")


def test_a_table_gives_lines_and_keeps_odd_line_breaks(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes('\ufeffa,b\r\n"x\r\ny",1\r\nodd\u2028line,2\r\n'.encode())
    log = ReadLog()
    rows = list(read_table(path, "table.csv", ("a", "b"), log, delimiter=","))
    assert rows == [(3, {"a": "x\r\ny", "b": "1"}), (4, {"a": "odd\u2028line", "b": "2"})]
    assert log.problems == []


@pytest.mark.parametrize("content", [b"", b"a,c\n", b"\xff"])
def test_a_table_without_its_columns_is_a_problem(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    log = ReadLog()
    assert list(read_table(path, "table.csv", ("a", "b"), log, delimiter=",")) == []
    assert [problem.where for problem in log.problems] == ["table.csv"]
