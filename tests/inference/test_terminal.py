from __future__ import annotations

import unicodedata

import pytest

from framelens.report.article import Article
from framelens.schema import Document, RowError, ScoredSegment, Summary
from framelens.terminal import render
from report_support import MODEL, examples

TEXTS = {
    "prose": "The mayor said a road was closed, “again”, on Tuesday night. " * 6,
    "one long word": "w" * 300,
    "wide": "市長は計画を発表した。" * 20,
    "wide with spaces": "市長は 計画を 発表した。 road " * 12,
    "combining": "e\u0301a\u0300 " * 120,
    "emoji": "road 🚧 closed 🚧 " * 12,
}


def columns(line: str) -> int:
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in line)
    return len(line) + wide - sum(bool(unicodedata.combining(c)) for c in line)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("width", [40, 80])
def test_no_line_is_wider_than_the_terminal_and_no_word_is_lost(text: str, width: int) -> None:
    scores = {"attributed": 0.5, "framed": 0.5, "boilerplate": 0.5}
    segment = ScoredSegment(0, "body", "text", 0, len(text), text, "boilerplate", True, scores)  # type: ignore[arg-type]
    summary = Summary(20_000, 0.3333, 0.3333, 0.3334, 10_000)
    document = Document("some/long/path/" * 9, "ok", MODEL, (segment,), summary)
    lines = render(document, width=width, color=False).splitlines()
    body = [line for line in lines if line.startswith((" " * 21, "  boilerplate"))]
    assert max(map(columns, body)) <= width
    assert max(map(columns, lines)) <= max(width, 72)
    shown = "".join(line[21:] for line in body)
    assert "".join(shown.split()) == "".join(text.split())


def test_an_error_is_folded_at_eighty_columns() -> None:
    error = RowError("not_utf8", "expected UTF-8, found byte 0xe9; convert the input " * 4)
    lines = render(Document("a", "error", MODEL, error=error), color=False).splitlines()
    assert len(lines) > 2
    assert max(map(len, lines)) <= 80
    assert " ".join(" ".join(lines[1:]).split()) == " ".join(
        f"error not_utf8: {error.message}".split()
    )


@pytest.mark.parametrize("article", examples(), ids=lambda a: a.document.id)
def test_articles_with_headline_checks_fit_eighty_columns(article: Article) -> None:
    lines = render(article.document, width=80, color=False).splitlines()
    assert max(map(columns, lines)) <= 80
