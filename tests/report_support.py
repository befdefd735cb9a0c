"""Articles for the tests of the reports: the examples as annotated, and one that attacks."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lxml import html
from lxml.html import HtmlElement

from framelens.assembly import summarize
from framelens.report.article import Article
from framelens.schema import (
    AXES,
    Document,
    HeadlineCheck,
    Label,
    ModelInfo,
    OwnWording,
    ScoredSegment,
    Span,
)

if TYPE_CHECKING:
    from playwright.sync_api import Page

EXPECTED = Path(__file__).parents[1] / "examples" / "articles" / "expected.jsonl"
MODEL = ModelInfo("test", "1.0.0", "0123456789abcdef" * 4)

HOSTILE_TEXT = (
    "<script>window.attacked = 1; fetch('http://192.0.2.1/script')</script> shameful, he said.\n\n"
    '<img src="http://192.0.2.1/image" onerror="window.attacked = 2"> was closed.\n\n'
    '"><svg onload=window.attacked=3><a href="javascript:window.attacked=4">the mayor said</a>\n\n'
    "</style><style>@import 'http://192.0.2.1/style';</style><base href='http://192.0.2.1/'>\n\n"
    "<iframe src=http://192.0.2.1/frame></iframe>"
    "<meta http-equiv=refresh content=0;url=//192.0.2.1>\n\n"
    "{{ 7 * 7 }} {% raw %} &lt;b&gt; ]]> <!-- --> "
    "\x00\x07\x1b[31m \u202eevil\u202c \ud800 \ufffe end."
)
HOSTILE_HEADLINE = (
    "</title><script>window.attacked=5</script> Shameful \udc80 <b onclick=alert(1)>x</b>"
)
HOSTILE_COLUMNS = {
    "outlet": "javascript:window.attacked=6//<script>alert(1)</script>",
    "date": '"><img src=x onerror=window.attacked=7>',
}


def expected_rows() -> list[dict[str, Any]]:
    return [json.loads(line) for line in EXPECTED.read_text("utf-8").splitlines()]


def article_of_row(row: dict[str, Any], **columns: str | None) -> Article:
    """A labelled row as if a model had scored it, sure of every label."""
    segments = tuple(_segment(index, row, given) for index, given in enumerate(row["segments"]))
    document = Document(
        row["id"], "ok", MODEL, segments=segments, summary=summarize(list(segments))
    )
    return Article(document, row["text"], **columns)


def _segment(index: int, row: dict[str, Any], given: dict[str, Any]) -> ScoredSegment:
    field, start, end = given["field"], given["start"], given["end"]
    spans = tuple(
        Span(s["type"], s["start"], s["end"], row[field][s["start"] : s["end"]], 0.9)
        for s in sorted(row["spans"], key=lambda s: s["start"])
        if s["field"] == field and start <= s["start"] and s["end"] <= end
    )
    return ScoredSegment(
        index=index,
        role="headline" if field == "headline" else "body",
        field=field,
        start=start,
        end=end,
        text=row[field][start:end],
        label=_label(given),
        uncertain=index % 7 == 3,
        scores={axis: 0.97 if given[axis] else 0.03 for axis in AXES},
        spans=spans,
    )


def _label(given: dict[str, Any]) -> Label:
    if given["boilerplate"]:
        return "boilerplate"
    return "framed" if given["framed"] else "sourced" if given["attributed"] else "plain"


def examples() -> list[Article]:
    """The ten example articles; every other one has a headline check, an outlet and a date."""
    articles = [article_of_row(row) for row in expected_rows()]
    outlets = ("Skarholm Post", "Novapress", "The Whistle")
    for number, article in enumerate(articles):
        if number % 2 == 0:
            check = checked(article)
            document = replace(article.document, headline_check=check)
            articles[number] = replace(
                article,
                document=document,
                outlet=outlets[number % 3],
                date=f"2024-05-{number + 1:02}",
            )
    return articles


def checked(article: Article) -> HeadlineCheck:
    """A check of the first sourced body segment, as if the headline dropped its attribution."""
    headline = article.headline
    assert headline is not None
    segment = next(s for s in article.body if any(span.type == "source" for span in s.spans))
    source = next(span for span in segment.spans if span.type == "source")
    cue = next((span for span in segment.spans if span.type == "cue"), None)
    word = headline.text.split()[0]
    own = OwnWording(headline.start, headline.start + len(word), word, 0.4)
    return HeadlineCheck("supported", segment.index, 0.8, True, source, cue, "dropped", (own,))


def check_with_axe(page: Page) -> None:
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page)
    faults = [
        (fault["id"], [node["html"][:200] for node in fault["nodes"]])
        for fault in found.response["violations"]
    ]
    assert faults == []
    passed = {rule["id"] for rule in found.response["passes"]}
    assert {"color-contrast", "landmark-one-main", "page-has-heading-one", "region"} <= passed


def visible(element: HtmlElement) -> str:
    """The text as a reader sees it: without signs, and what only screen readers are told."""
    copy = html.fromstring(html.tostring(element, encoding="unicode", with_tail=False))
    for extra in copy.xpath(".//*[@class='vh' or @class='sign']"):
        extra.drop_tree()
    return copy.text_content()
