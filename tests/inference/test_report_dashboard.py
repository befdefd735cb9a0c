from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from lxml import html

from framelens.cli import main
from framelens.report.article import Article, article_of
from framelens.report.charts import Column, interval_bar, stacked_bar, week_columns
from framelens.report.dashboard import OUTCOMES, Corpus, Mentions, Shares
from framelens.report.pages import dashboard_page
from framelens.schema import Document, RowError, ScoredSegment
from report_support import MODEL, examples


def document(labels: str) -> Document:
    names = {"s": "sourced", "f": "framed", "p": "plain", "b": "boilerplate"}
    scores = {"attributed": 0.0, "framed": 0.0, "boilerplate": 0.0}
    segments = tuple(
        ScoredSegment(n, "body", "text", n, n + 1, "x", names[label], False, scores)  # type: ignore[arg-type]
        for n, label in enumerate(labels)
    )
    return Document("d", "ok", MODEL, segments=segments)


def shares(*articles: str) -> Shares:
    found = Shares()
    for labels in articles:
        found.add(document(labels))
    return found


def corpus(articles: list[Article]) -> Corpus:
    found = Corpus()
    for article in articles:
        found.add(article)
    return found


def parsed(found: Corpus, **names: str) -> html.HtmlElement:
    fields = {"outlet_field": "outlet", "date_field": "date", **names}
    return html.document_fromstring(dashboard_page(found, **fields))


def test_shares_leave_furniture_out() -> None:
    found = shares("sfpbb", "sfff", "bb")
    assert (found.articles, found.segments) == (3, 7)
    assert found.share("framed") == pytest.approx(4 / 7)
    assert found.parts == (
        ("sourced", pytest.approx(2 / 7)),
        ("framed", pytest.approx(4 / 7)),
        ("plain", pytest.approx(1 / 7)),
    )
    assert Shares().share("framed") == 0.0


def test_an_interval_needs_articles_and_stays_within_bounds() -> None:
    assert shares("sf", "sf", "sf", "sf").framed_interval is None
    assert shares(*["sf"] * 5).framed_interval is not None
    assert shares(*["b"] * 9).framed_interval is None
    for share in (shares(*["ssss"] * 9), shares(*["ffff"] * 9), shares(*["sf"] * 9)):
        interval = share.framed_interval
        assert interval is not None
        low, high = interval
        assert 0 <= low <= share.share("framed") <= high <= 1
        assert low < high


def test_an_interval_covers_as_often_as_it_says() -> None:
    """Articles differ in how framed they are: segments are no independent sample."""
    generator = random.Random(5)

    def sample(articles: int) -> Shares:
        drawn = []
        for _ in range(articles):
            rate = generator.betavariate(1.0, 3.0)
            size = generator.randint(5, 40)
            drawn.append("".join("f" if generator.random() < rate else "p" for _ in range(size)))
        return shares(*drawn)

    covered = 0
    for _ in range(200):
        interval = sample(30).framed_interval
        assert interval is not None
        covered += interval[0] <= 0.25 <= interval[1]
    assert 0.90 <= covered / 200 <= 0.99


def test_an_interval_is_wilsons_with_the_variance_of_a_ratio_of_sums() -> None:
    articles = ["ffff", "ssss", "fs", "ssssss", "fffs", "ss"]
    found = shares(*articles)
    share = 8 / 22
    spread = sum((labels.count("f") - share * len(labels)) ** 2 for labels in articles)
    variance = 6 / 5 * spread / 22**2
    assert variance > share * (1 - share) / 22, "articles differ by more than chance"
    assert found.framed_interval is not None
    for end in found.framed_interval:  # as far from the share as its own standard error says
        own = end * (1 - end) * variance / (share * (1 - share))
        assert (end - share) ** 2 == pytest.approx(1.959964**2 * own)


def test_mentions_are_counted_without_case_and_punctuation() -> None:
    found = Mentions()
    found.add(["Naturally.", "naturally,", '"', "so-called"])
    found.add(["NATURALLY", "a\n circus"])
    assert found.top(2) == [("Naturally", 3, 2), ("a circus", 1, 1)]
    names = Mentions()
    names.add(["“Jose\u0301,", "Jos\u00e9"])
    assert names.top(2) == [("Jos\u00e9", 2, 1)]


def test_the_dashboard_has_the_numbers_of_the_rows() -> None:
    articles = examples()
    found = corpus(articles)
    page = parsed(found)
    rows = {
        row.xpath("string(th)"): [cell.text_content() for cell in row.xpath("td")]
        for row in page.xpath("//table[@class='outlets']/tbody/tr")
    }
    assert {name: int(cells[0]) for name, cells in rows.items()} == Counter(
        a.outlet for a in articles if a.outlet is not None
    )
    weeks = page.xpath("//section[@aria-labelledby='weeks']//tbody/tr")
    assert [w.xpath("string(th)") for w in weeks] == ["2024-04-29", "2024-05-06"]
    assert [int(w.xpath("string(td[1])")) for w in weeks] == [3, 2]
    words = Counter(
        " ".join(s.text.split()).casefold().strip(" ,.“”‘’\"'!?")
        for a in articles for one in a.document.segments for s in one.spans if s.type == "loaded"
    )  # fmt: skip
    top = page.xpath("//section[@aria-labelledby='words']//tbody/tr")
    for row in top:
        assert words[row.xpath("string(th)").casefold()] == int(row.xpath("string(td[2])"))
    outcomes = page.xpath("//table[contains(@class, 'outcomes')]/tbody/tr")
    assert [int(row.xpath("string(td[2])")) for row in outcomes] == [
        5 if outcome == "dropped" else 0 for outcome in OUTCOMES
    ]
    names = [
        row.xpath("string(th)")
        for row in page.xpath("//section[@aria-labelledby='sources']//tbody/tr")
    ]
    assert names
    assert not {"she", "he", "they"} & {name.casefold() for name in names}


def test_what_is_missing_is_said_with_its_remedy() -> None:
    articles = [replace(a, outlet=None, date=None) for a in examples()]
    reasons = " ".join(parsed(corpus(articles)).xpath("//*[@class='reason']/text()"))
    assert "10 articles with nothing in a column 'outlet': name another" in reasons
    assert "--date-field" in reasons
    odd = parsed(corpus([replace(articles[0], date="yesterday")]))
    assert "not ISO 8601, such as 'yesterday'" in odd.xpath("string(//main)")
    unchecked = [replace(a, document=replace(a.document, headline_check=None)) for a in articles]
    assert "No article has a headline check" in parsed(corpus(unchecked)).xpath("string(//main)")


def test_outlets_that_are_left_out_are_counted_in_both_tables() -> None:
    (article, *_) = examples()
    many = [replace(article, outlet=f"Outlet {number:02}") for number in range(61)]
    page = parsed(corpus(many))
    notes = page.xpath("//*[@class='small' and starts-with(., 'Not shown')]/text()")
    assert notes == ["Not shown: 1 outlet with no more articles than these."] * 2
    assert not parsed(corpus(many[1:])).xpath("//*[starts-with(text(), 'Not shown')]")


def test_nothing_but_errors_is_a_page_too() -> None:
    broken = replace(document(""), status="error", error=RowError("x", "y"))
    page = parsed(corpus([Article(broken)]))
    assert "1 articles that could not be scored (x 1)" in page.xpath("string(//main)")
    assert not page.xpath("//script")


@pytest.mark.parametrize(
    ("value", "day"),
    [
        ("2024-05-01", "2024-05-01"),
        ("2024-05-01T23:00:00Z", "2024-05-01"),
        ("20240501", "2024-05-01"),
        ("1 May 2024", None),
        ("", None),
        (None, None),
        (20240501, "2024-05-01"),
        ("20240501T1200Z", "2024-05-01"),
        (1704101500, None),
    ],
)
def test_dates_are_iso(value: object, day: str | None) -> None:
    names = {"outlet_field": "outlet", "date_field": "when"}
    article = article_of(document("s"), None, {"when": value}, **names)
    assert (None if article.day is None else article.day.isoformat()) == day


def test_one_date_in_the_far_future_does_not_displace_the_others() -> None:
    found = Corpus()
    years = [date(year, 1, 1) for year in (2001, 2021, 2023)]
    for monday in years:
        found.weeks[monday] = shares(*["sf"] * 20)
    assert [week for week, _ in found.shown_weeks(260)] == years[1:]
    found.weeks[date(2203, 1, 3)] = shares("sf")
    assert [week for week, _ in found.shown_weeks(260)] == years[1:]
    page = parsed(found).text_content()
    assert "1 earlier weeks" in page
    assert "1 weeks in the future" in page
    future = Corpus()
    future.weeks[date(2203, 1, 3)] = shares("sf")
    assert [week.year for week, _ in future.shown_weeks(260)] == [2203]
    assert Corpus().shown_weeks(260) == []


def test_columns_stand_at_their_weeks() -> None:
    monday = date(2024, 1, 1)
    later = date(2024, 1, 22)
    svg = html.fragment_fromstring(
        week_columns([Column(monday, (("framed", 0.5),)), Column(later, (("framed", 1.0),))])
    )
    first, second = svg.xpath(".//rect")
    assert float(second.get("x")) - float(first.get("x")) == pytest.approx(3 * 48, abs=0.1)
    assert float(second.get("height")) == pytest.approx(2 * float(first.get("height")), abs=1.1)


def test_bars_add_up_and_stay_inside() -> None:
    svg = html.fragment_fromstring(stacked_bar([("a", 0.25), ("b", 0.0), ("c", 0.75)]))
    rects = svg.xpath(".//rect")
    assert [rect.get("class") for rect in rects] == ["a", "c"]
    assert float(rects[1].get("x")) == 25.0
    assert float(rects[1].get("x")) + float(rects[1].get("width")) <= 100
    whisker = html.fragment_fromstring(interval_bar("a", 0.2, 0.1, 0.4, top=0.4)).xpath(".//rect")[
        1
    ]
    assert (float(whisker.get("x")), float(whisker.get("width"))) == (25.0, 75.0)


def test_the_command_reads_jsonl_and_parquet_alike(model_folder: Path, tmp_path: Path) -> None:
    rows = [
        {
            "id": n,
            "text": "The mayor said a road was closed. A shameful plan.",
            "paper": "P" * n,
            "day": f"2024-05-{n + 10}",
        }
        for n in range(1, 9)
    ]
    source = tmp_path / "rows.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    made = []
    for ending in ("jsonl", "parquet"):
        scored, target = tmp_path / f"s.{ending}", tmp_path / f"{ending}.html"
        main(
            ["score", str(source), "-m", str(model_folder), "-o", str(scored), "--keep", "--quiet"]
        )
        fields = ["--outlet-field", "paper", "--date-field", "day"]
        command = ["report", "--summary", str(scored), "-o", str(target), "--quiet", *fields]
        assert main(command) == 0
        made.append(target.read_text("utf-8"))
    assert made[0] == made[1]
    page = html.document_fromstring(made[0])
    assert len(page.xpath("//table[@class='outlets']/tbody/tr")) == 8
    assert not page.xpath("//*[@class='reason' and contains(., 'column')]")
