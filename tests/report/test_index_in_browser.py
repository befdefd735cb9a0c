"""The index of many articles and the dashboard in headless Chromium."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from framelens.report.dashboard import Corpus
from framelens.report.pages import Entry, index_page
from report_support import check_with_axe, examples

if TYPE_CHECKING:
    from playwright.sync_api import Page

Open = Callable[..., "Page"]


def entries(count: int) -> list[Entry]:
    plain = Entry("articles/0.html", "", None, None, None, 10, 0.5, 0.0, 0.5, 3, None)
    return [
        replace(
            plain,
            page=f"articles/{number:05}.html",
            title=f"Story {number} of {'harbour' if number % 10 == 0 else 'road'}",
            outlet=("Novapress", "The Whistle")[number % 2],
            date=f"2024-{number % 12 + 1:02}-01" if number % 3 else None,
            framed=(number * 7 % 100) / 100,
            error="too_long" if number == 17 else None,
            outcome=("kept", "dropped", None)[number % 3],  # type: ignore[arg-type]
        )
        for number in range(count)
    ]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    corpus = Corpus()
    corpus.errors["too_long"] = 1
    corpus.outcomes.update({"kept": 100, "dropped": 100})
    path = tmp_path_factory.mktemp("index") / "index.html"
    path.write_text(index_page(entries(1000), corpus), "utf-8")
    return path


def column(page: Page, number: int) -> list[str]:
    return page.locator(f"#list tbody tr > :nth-child({number})").all_inner_texts()


def test_a_hundred_rows_at_a_time(opened: Open, index: Path) -> None:
    page = opened(index)
    assert page.locator("#list tbody tr").count() == 100
    assert page.get_by_role("status").inner_text() == "1,000 articles, the first 100 shown"
    page.get_by_role("button", name="Show more").click()
    assert page.locator("#list tbody tr").count() == 200
    focused = page.evaluate("document.activeElement.textContent")
    assert focused == "Story 100 of harbour"


def test_without_script_all_rows_are_there(opened: Open, index: Path) -> None:
    page = opened(index, java_script_enabled=False)
    assert page.locator("#list tbody tr").count() == 1000
    assert not page.locator("#tools").is_visible()


def test_search_and_filters_narrow_the_list_together(opened: Open, index: Path) -> None:
    page = opened(index)
    page.get_by_role("searchbox").fill("HARBOUR story")
    assert page.get_by_role("status").inner_text() == "100 articles (of 1,000)"
    page.get_by_label("Outlet").select_option("The Whistle")
    assert page.get_by_role("status").inner_text() == "0 articles (of 1,000)"
    page.get_by_role("searchbox").fill("99")
    with_number = [e for e in entries(1000) if "99" in e.title and e.outlet == "The Whistle"]
    assert column(page, 1) == [e.title for e in with_number], "and none whose shares have it"
    page.get_by_role("searchbox").fill("HARBOUR story")
    page.get_by_label("Outlet").select_option("Novapress")
    page.get_by_label("Headline check").select_option("dropped")
    expected = [e.title for e in entries(1000) if "harbour" in e.title and e.outcome == "dropped"]
    assert column(page, 1) == expected
    page.get_by_role("searchbox").fill("")
    page.get_by_label("Headline check").select_option("")
    page.get_by_label("Outlet").select_option("")
    page.get_by_label("only errors").check()
    assert column(page, 1) == ["Story 17 of road too_long"]


def test_what_looks_alike_is_found_and_an_outlet_whatever_its_name(
    opened: Open, tmp_path: Path
) -> None:
    odd = ["\ufeffNovapress", "The  Whistle ", "Novapress"]
    some = [replace(entry, outlet=outlet) for entry, outlet in zip(entries(3), odd, strict=True)]
    some[1] = replace(some[1], title="The mayor’s cafe\u0301")
    path = tmp_path / "index.html"
    path.write_text(index_page(some, Corpus()), "utf-8")
    page = opened(path)
    for typed in ("mayor's", "MAYOR’S caf\u00c9", "cafe\u0301"):
        page.get_by_role("searchbox").fill(typed)
        assert page.locator("#list tbody tr").count() == 1, typed
    page.get_by_role("searchbox").fill("")
    for place, outlet in enumerate(sorted(odd), 1):
        page.get_by_label("Outlet").select_option(index=place)
        expected = [entry.page for entry in some if entry.outlet == outlet]
        links = page.locator("#list tbody a").all()
        assert [link.get_attribute("href") for link in links] == expected


def test_sorting_by_the_heads_of_the_table(opened: Open, index: Path) -> None:
    page = opened(index)
    button = page.get_by_role("button", name="Framed")
    head = page.locator("th", has=button)
    button.focus()
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    assert column(page, 5) == ["99"] * 10 + [str(98 - n // 10) for n in range(90)]
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    assert column(page, 5)[:11] == ["0"] * 10 + ["1"]
    page.get_by_role("button", name="Headline", exact=True).click()
    assert head.get_attribute("aria-sort") is None
    assert column(page, 1)[:3] == ["Story 0 of harbour", "Story 1 of road", "Story 2 of road"]
    page.get_by_role("button", name="Date").click()
    dates = column(page, 3)
    assert dates == sorted(dates)
    assert "" not in dates, "rows without a date come last"


def test_rows_lead_to_pages_that_lead_on_and_back(opened: Open, report: Path) -> None:
    names = [path.as_uri() for path in report.rglob("*.html")]
    page = opened(report / "index.html", allowed=names)
    found = examples()
    page.get_by_role("link", name=found[1].title).click()
    assert page.locator("h1").inner_text().endswith(found[1].title)
    page.get_by_role("link", name="Next").click()
    assert page.url.endswith("00003.html")
    page.get_by_role("link", name="All articles").click()
    page.get_by_role("link", name="Dashboard").click()
    assert page.url.endswith("dashboard.html")
    page.get_by_role("link", name="All articles").click()
    assert page.url.endswith("index.html")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_axe_finds_no_fault_in_index_and_dashboard(
    opened: Open, index: Path, report: Path, width: int, scheme: str
) -> None:
    for path in (index, report / "index.html", report / "dashboard.html"):
        page = opened(path, viewport={"width": width, "height": 900}, color_scheme=scheme)
        check_with_axe(page)


def test_bars_are_as_long_as_the_shares(opened: Open, report: Path) -> None:
    page = opened(report / "dashboard.html")
    rows = page.locator("table.outlets tbody tr")
    assert rows.count() == 3
    for at in range(rows.count()):
        bar = rows.nth(at).locator("svg").first
        whole = bar.evaluate("(e) => e.getBoundingClientRect().width")
        for cell, label in ((2, "sourced"), (3, "plain"), (4, "framed")):
            share = float(rows.nth(at).locator("td").nth(cell).inner_text().rstrip(" %"))
            parts = bar.locator(f"rect.{label}").all()
            drawn = sum(p.evaluate("(e) => e.getBoundingClientRect().width") for p in parts)
            assert 100 * drawn / whole == pytest.approx(share, abs=1.6)
