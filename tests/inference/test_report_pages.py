from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from lxml import html
from lxml.html import HtmlElement

import framelens
from framelens.decoding import DecodingConfig
from framelens.report import Article, article_page
from framelens.report.article import (
    article_of,
    paragraphs,
    quoted_sources,
    segment_runs,
    shortened,
    shown,
)
from framelens.report.notebook import document_html
from framelens.report.pages import Entry
from framelens.schema import Document, HeadlineCheck, RowError, ScoredSegment, Span, Summary
from report_support import HOSTILE_COLUMNS, HOSTILE_HEADLINE, HOSTILE_TEXT, MODEL, examples, visible

EXAMPLES = examples()


def parsed(page: str) -> HtmlElement:
    return html.document_fromstring(page)


def segment(
    text: str, *spans: Span, index: int = 0, start: int = 0, **changes: object
) -> ScoredSegment:
    scores = {"attributed": 0.1, "framed": 0.2, "boilerplate": 0.3}
    made = ScoredSegment(
        index, "body", "text", start, start + len(text), text, "plain", False, scores, spans
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def span(kind: str, start: int, text: str) -> Span:
    return Span(kind, start, start + len(text), text, 0.9)  # type: ignore[arg-type]


def document(*segments: ScoredSegment) -> Document:
    return Document("d", "ok", MODEL, segments=segments, summary=Summary(len(segments), 0, 0, 1, 0))


@pytest.mark.parametrize("article", EXAMPLES, ids=lambda a: a.document.id)
def test_segments_and_marks_are_those_of_the_row(article: Article) -> None:
    page = parsed(article_page(article))
    row = article.document.to_dict()
    found = page.xpath("//*[@data-label]")
    assert [element.get("data-label") for element in found] == [s["label"] for s in row["segments"]]
    assert [element.get("id") for element in found] == [f"s{s['index']}" for s in row["segments"]]
    assert [visible(element) for element in found] == [s["text"] for s in row["segments"]]
    marks = Counter(element.get("data-span") for element in page.xpath("//*[@data-span]"))
    assert marks == Counter(s["type"] for one in row["segments"] for s in one["spans"])
    uncertain = page.xpath("//*[@data-label and contains(@class, 'uncertain')]")
    assert len(uncertain) == sum(s["uncertain"] for s in row["segments"])


@pytest.mark.parametrize("article", EXAMPLES, ids=lambda a: a.document.id)
def test_a_label_is_told_without_colour_and_to_screen_readers(article: Article) -> None:
    page = parsed(article_page(article))
    labelled = page.xpath("//*[@data-label]")
    assert len(labelled) == len(article.document.segments)
    for element in labelled:
        label = element.get("data-label")
        spoken = element.xpath("./*[@class='vh']")[0].text
        assert spoken.split(":")[0].split(",")[0].casefold() in (label, "page furniture")
        signs = element.xpath("./*[@class='sign']")
        assert bool(signs) == (label != "plain" or "uncertain" in element.get("class"))
    marked = page.xpath("//*[@data-span='source' or @data-span='loaded']")
    assert marked
    for element in marked:
        assert element.xpath(".//*[@class='vh']")[0].text in ("source: ", "loaded: ")


def test_what_only_screen_readers_hear_does_not_give_a_text_its_direction() -> None:
    source = span("source", 0, "ראש העיר")
    page = parsed(article_page(Article(document(segment("ראש העיר אמר שהקיר נסגר.", source)))))
    (paragraph,) = page.xpath("//div[@id='text']/p")
    assert paragraph.get("dir") == "auto"
    heard = paragraph.find_class("vh")
    assert [e.text for e in heard] == ["Plain: ", "source: "]
    assert [e.get("dir") for e in heard] == ["ltr", "ltr"], "so that the browser passes them over"


def test_the_text_in_paragraphs_is_the_articles() -> None:
    for article in EXAMPLES:
        assert article.text is not None
        page = parsed(article_page(article))
        shown_text = [" ".join(visible(p).split()) for p in page.xpath("//*[@id='text']/p")]
        given = [" ".join(line.split()) for line in article.text.splitlines() if line.strip()]
        assert shown_text == given


def test_paragraphs_are_told_from_offsets_where_the_text_is_not_at_hand() -> None:
    plain = [a for a in EXAMPLES if all(s.label != "boilerplate" for s in a.body)]
    assert plain
    for article in plain:
        assert paragraphs(replace(article, text=None)) == paragraphs(article)


def test_a_kept_column_named_text_is_no_text_of_another_column() -> None:
    names = {"outlet_field": "outlet", "date_field": "date"}
    article = EXAMPLES[0]
    assert article.text is not None
    for kept, found in ((article.text, article.text), ("A summary.\n\nIn two lines.", None)):
        document = replace(article.document, input={"text": kept})
        assert article_of(document, None, {}, **names).text == found


def test_a_span_that_another_crosses_is_counted_once_and_marked_whole() -> None:
    text = "Red-faced bosses say no."
    crossing = segment(
        text,
        span("source", 0, "Red-faced bosses"),
        span("loaded", 10, "bosses say"),
        span("cue", 17, "say"),
    )
    assert "".join(piece for piece, _, _ in segment_runs(crossing)) == text
    page = parsed(article_page(Article(document(crossing))))
    kinds = Counter(e.get("data-span") for e in page.xpath("//main//*[@data-span]"))
    assert kinds == {"source": 1, "loaded": 1, "cue": 1}
    pieces = page.xpath("//div[@id='text']//mark[@class='loaded']")
    assert "".join(visible(piece) for piece in pieces) == "bosses say"


@pytest.mark.parametrize("seed", range(20))
def test_each_piece_has_the_first_span_over_it(seed: int) -> None:
    random = Random(seed)
    text = "abcdefghij" * 4
    spans: list[Span] = []
    for _ in range(random.randrange(12)):
        start = random.randrange(len(text))
        piece = text[start : start + random.randrange(1, 9)]
        spans.append(span(random.choice(("source", "cue", "content", "loaded")), start, piece))
    runs = list(segment_runs(segment(text, *spans)))
    assert "".join(piece for piece, _, _ in runs) == text
    at = 0
    for piece, attribution, loaded in runs:
        over = [one for one in spans if one.start <= at and at + len(piece) <= one.end]
        assert attribution == next((one for one in over if one.type != "loaded"), None)
        assert loaded == next((one for one in over if one.type == "loaded"), None)
        at += len(piece)


def test_hostile_text_is_text() -> None:
    parts = HOSTILE_TEXT.split("\n\n")
    at, segments = 0, [replace(segment(HOSTILE_HEADLINE), role="headline", field="headline")]
    for part in parts:
        spans = (span("source", at, part[:9]), span("loaded", at + 2, part[2:20]))
        segments.append(segment(part, *spans, index=len(segments), start=at, label="framed"))
        at += len(part) + 2
    own = HOSTILE_HEADLINE[:20]
    check = HeadlineCheck("supported", 1, 0.5, True, segments[1].spans[0], None, "dropped", ())
    check = replace(check, own_wording=(framelens.OwnWording(0, 20, own, 0.5),))
    hostile = replace(document(*segments), id="<img src=x>", headline_check=check)
    text = article_page(Article(hostile, HOSTILE_TEXT, **HOSTILE_COLUMNS))
    text.encode("utf-8")
    page = parsed(text)
    assert [visible(element) for element in page.xpath("//*[@data-label]")] == [
        shown(s.text) for s in segments
    ]
    assert len(page.xpath("//script")) == 1
    assert len(page.xpath("//style")) == 1
    assert not page.xpath("//img | //iframe | //base | //object | //embed | //form[@action]")
    assert not page.xpath("//@*[starts-with(name(), 'on')] | //@style | //@src")
    links = page.xpath("//@href")
    assert links
    assert all(re.fullmatch(r"#[a-z]+\d*|data:,", link) for link in links)
    assert "{{ 7 * 7 }}" in page.text_content()


@pytest.mark.parametrize("article", EXAMPLES[:2], ids=lambda a: a.document.id)
def test_the_policy_allows_the_pages_own_style_and_script_alone(article: Article) -> None:
    text = article_page(article)
    page = parsed(text)
    policy = page.xpath("//meta[@http-equiv='Content-Security-Policy']/@content")[0]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        inner = re.search(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        assert inner is not None
        digest = base64.b64encode(hashlib.sha256(inner[1].encode()).digest()).decode()
        assert rules[f"{tag}-src"] == f"'sha256-{digest}'"
    assert not re.search(r"https?://|@import|url\(", text)


def test_pages_are_small() -> None:
    for article in EXAMPLES:
        page = article_page(article)
        assert len(page.encode()) < 60_000
    assets = sum(f.stat().st_size for f in Path(framelens.report.pages.TEMPLATES).iterdir())
    assert assets < 60_000


def test_thresholds_are_in_the_footer_where_they_are_known() -> None:
    thresholds = {"attributed": 0.41, "framed": 0.62, "boilerplate": 0.53}
    marks = {"source": 0.48, "cue": 0.44, "content": 0.38, "loaded": 0.35}
    decoding = DecodingConfig(thresholds=thresholds, span_thresholds=marks, uncertain_band=0.07)  # type: ignore[arg-type]
    known = parsed(article_page(EXAMPLES[0], decoding)).xpath("string(//footer)")
    for value in (
        "0.41",
        "0.62",
        "0.53",
        "0.07",
        "source 0.48",
        "loaded 0.35",
        MODEL.name,
        MODEL.version,
        MODEL.sha256[:12],
    ):
        assert value in known
    assert "-m MODEL" in parsed(article_page(EXAMPLES[0])).xpath("string(//footer)")


@pytest.mark.parametrize(
    ("attribution", "says", "then"),
    [
        ("dropped", "attribution dropped", "states it as fact"),
        ("weakened", "attribution weakened", "only hints"),
        ("kept", "attribution kept", "says so too"),
        ("none_needed", "no attribution missing", "own words"),
        (None, "not found in the body", "No sentence of the body"),
    ],
)
def test_the_headline_check_stands_above_the_text(
    attribution: str | None, says: str, then: str
) -> None:
    article = EXAMPLES[0]
    check = article.document.headline_check
    assert check is not None
    if attribution == "none_needed":
        check = replace(check, attributed=False, source=None, cue=None, attribution="none_needed")
    elif attribution is None:
        check = HeadlineCheck("unsupported", None, 0.2, False, None, None, None)
    else:
        check = replace(check, attribution=attribution)  # type: ignore[arg-type]
    changed = replace(article, document=replace(article.document, headline_check=check))
    text = article_page(changed)
    card = parsed(text).xpath("//section[contains(@class, 'check')]")[0]
    assert says in card.text_content()
    assert then in " ".join(card.text_content().split())
    assert text.index("Headline check") < text.index('id="text"')
    if check.segment is not None:
        assert card.xpath(".//a/@href") == [f"#s{check.segment}"]
    for own in check.own_wording:
        assert own.text in card.text_content()


def test_without_a_headline_check_there_is_no_card() -> None:
    assert EXAMPLES[1].document.headline_check is None
    assert not parsed(article_page(EXAMPLES[1])).xpath("//section[contains(@class, 'check')]")


def test_error_rows_and_empty_texts_have_pages() -> None:
    broken = Document("<b>", "error", MODEL, error=RowError("not_utf8", "found <byte> 0xe9"))
    page = parsed(article_page(Article(broken)))
    assert "found <byte> 0xe9" in page.text_content()
    assert not page.xpath("//b[not(ancestor::footer) and not(ancestor::header)]")
    empty = Document("e", "ok", MODEL, summary=Summary(0, 0, 0, 0, 0))
    assert "nothing to show" in parsed(article_page(Article(empty))).text_content()
    nameless = Article(replace(empty, id=" "))
    assert parsed(article_page(nameless)).xpath("string(//h1)") == "(no id)"
    assert Entry.of(nameless, "1.html").title == "(no id)"


def test_the_margin_lists_each_source_once_with_what_it_is_quoted_on() -> None:
    for article in EXAMPLES:
        page = parsed(article_page(article))
        assert article.document.summary is not None
        items = page.xpath("//ol[@class='sources']/li")
        assert len(items) == article.document.summary.sources
        targets = {element.get("id") for element in page.xpath("//*[@data-label]")}
        links = page.xpath("//aside//a/@href")
        assert links
        assert {link[1:] for link in links} <= targets


def test_quotes_go_to_the_nearest_source_and_carry_over() -> None:
    first = 'Jago said "no", Penrose said "yes".'
    second = '"And that is that."'
    third = "It rained."
    fourth = '"Alone."'
    starts = [0, 40, 70, 90]
    found, unclaimed = quoted_sources(
        document(
            segment(
                first,
                span("source", 0, "Jago"), span("cue", 5, "said"), span("content", 10, '"no"'),
                span("source", 16, "Penrose"), span("cue", 24, "said"),
                span("content", 29, '"yes"'),
            ),
            segment(second, span("content", 40, second), index=1, start=starts[1]),
            segment(third, index=2, start=starts[2]),
            segment(fourth, span("content", 90, fourth), index=3, start=starts[3]),
        )
    )  # fmt: skip
    assert {s.name: [q.text for q in s.quotes] for s in found} == {
        "Jago": ['"no"'],
        "Penrose": ['"yes"', second],
    }
    assert [quote.text for quote in unclaimed] == [fourth]


def test_a_quotation_does_not_go_on_with_a_source_from_page_furniture() -> None:
    said, teaser, more = 'Jago said "no.', "Read more: Penrose says no", 'Not now."'
    found, unclaimed = quoted_sources(
        document(
            segment(
                said,
                span("source", 0, "Jago"), span("cue", 5, "said"), span("content", 10, '"no.'),
            ),
            segment(
                teaser,
                span("source", 51, "Penrose"), span("cue", 59, "says"), span("content", 64, "no"),
                index=1, start=40, label="boilerplate",
            ),
            segment(more, span("content", 80, more), index=2, start=80),
        )
    )  # fmt: skip
    assert {s.name: [q.text for q in s.quotes] for s in found} == {
        "Jago": ['"no.', more],
        "Penrose": [],
    }
    assert not unclaimed


def test_a_quotation_goes_to_the_source_that_a_later_sentence_of_it_names() -> None:
    asked, first, second, more = 'Jago asked "why".', '"No.', 'Not now," said Lee.', '"Never."'
    goes_on = replace(span("content", 30, 'Not now,"'), continues=True)
    sentences = (
        segment(
            asked,
            span("source", 0, "Jago"), span("cue", 5, "asked"), span("content", 11, '"why"'),
        ),
        segment(first, span("content", 20, first), index=1, start=20),
        segment(
            second,
            goes_on, span("cue", 40, "said"), span("source", 45, "Lee"), index=2, start=30,
        ),
        segment(more, span("content", 60, more), index=3, start=60),
    )  # fmt: skip
    found, unclaimed = quoted_sources(document(*sentences))
    assert {s.name: [q.text for q in s.quotes] for s in found} == {
        "Jago": ['"why"'],
        "Lee": [first, 'Not now,"', more],
    }
    assert not unclaimed


def test_whoever_is_spoken_to_is_not_the_source() -> None:
    text = "Engineers warned the council that it would fall, said a report."
    spans = (
        span("source", 0, "Engineers"), span("cue", 10, "warned"),
        span("source", 17, "the council"), span("content", 29, "that it would fall"),
    )  # fmt: skip
    found, _ = quoted_sources(document(segment(text, *spans)))
    assert [source.name for source in found if source.quotes] == ["Engineers"]


@pytest.mark.parametrize("source", ["which", "Everyone", "many", "“They", "him,"])
def test_all_sorts_of_pronouns_are_listed_apart(source: str) -> None:
    (found,), _ = quoted_sources(document(segment(source, span("source", 0, source))))
    assert found.pronoun


def test_pieces_of_one_quotation_are_one_entry_and_marks_alone_are_none() -> None:
    text = 'She said " No way " .'
    pieces = (
        span("source", 0, "She"), span("content", 9, '" No'), span("content", 14, 'way "'),
        span("content", 20, "."),
    )  # fmt: skip
    (source,), _ = quoted_sources(document(segment(text, *pieces)))
    assert source.pronoun
    assert [quote.text for quote in source.quotes] == ['" No way "']
    assert quoted_sources(document(segment('a ".', span("content", 2, '"'))))[1] == []


@pytest.mark.parametrize(
    ("text", "length", "short"),
    [
        ("a b", 5, "a b"),
        ("word after  word", 12, "word after…"),
        ("x" * 20, 10, "x" * 9 + "…"),
        ("", 4, ""),
    ],
)
def test_long_texts_are_cut_between_words(text: str, length: int, short: str) -> None:
    assert shortened(text, length) == short
    assert len(short) <= length


def test_a_notebook_shows_a_document_without_script_or_extra() -> None:
    article = EXAMPLES[0]
    cell = article.document._repr_html_()
    page = html.fragment_fromstring(cell, create_parent="div")
    labels = [e.get("data-label") for e in page.xpath(".//*[@data-label]")]
    assert labels == [s.label for s in article.document.segments]
    texts = page.xpath(".//*[@data-label]/..")
    assert texts
    assert {text.get("dir") for text in texts} == {"auto"}
    assert "headline: attribution dropped" in page.text_content()
    (cell,) = page.xpath("./div")  # so that "$5 ... $3" is no formula
    assert {"mathjax_ignore", "tex2jax_ignore"} <= set(cell.get("class").split())
    assert not page.xpath(".//script | .//@id | .//@src | .//@href")
    for rule in re.findall(r"^([^{}@\n]+)\{", page.xpath("string(.//style)"), re.MULTILINE):
        assert rule.startswith(".framelens"), f"{rule} would style the rest of the notebook"


def test_a_notebook_shows_hostile_text_and_errors_as_text() -> None:
    hostile = document(segment(HOSTILE_TEXT, label="framed"))
    page = html.fragment_fromstring(document_html(hostile), create_parent="div")
    assert visible(page.xpath(".//*[@data-label]")[0]) == shown(HOSTILE_TEXT)
    assert not page.xpath(".//script | .//img | .//iframe")
    broken = Document("<b>", "error", MODEL, error=RowError("x", "<script>"))
    assert "<script" not in document_html(broken)


def test_a_notebook_cuts_very_long_documents() -> None:
    many = [segment("A road.", index=n, start=n * 9) for n in range(1000)]
    for count, more in ((1000, "600 more segments<"), (401, "1 more segment<")):
        cell = document_html(document(*many[:count]))
        assert cell.count("data-label") == 400
        assert more in cell
    assert "more segment" not in document_html(document(*many[:400]))


def test_showing_a_document_in_a_notebook_loads_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from framelens.schema import *\n"
        "d = Document('a', 'ok', ModelInfo('m', '1', 'x'), summary=Summary(0, 0, 0, 0, 0))\n"
        "assert 'framelens' in d._repr_html_()\n"
        "import framelens.cli\n"
        "print(sorted({'jinja2', 'numpy', 'onnxruntime', 'pyarrow'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert json.loads(done.stdout.replace("'", '"')) == []
