"""Pages of articles in headless Chromium: filters, keys, accessibility, marks, hostile text."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from framelens.cli import main
from framelens.report.article import shown
from framelens.schema import LABELS
from report_support import (
    HOSTILE_COLUMNS,
    HOSTILE_HEADLINE,
    HOSTILE_TEXT,
    check_with_axe,
    examples,
)

if TYPE_CHECKING:
    from playwright.sync_api import Page

Open = Callable[..., "Page"]
EXAMPLES = examples()
NUMBERS = range(len(EXAMPLES))


def name(number: int) -> str:
    return EXAMPLES[number].document.id


def page_of(report: Path, number: int) -> Path:
    return report / "articles" / f"{number + 1:05}.html"


def visible_segments(page: Page) -> list[int]:
    script = (
        "() => [...document.querySelectorAll('[data-label]')]"
        ".filter((s) => s.checkVisibility()).map((s) => Number(s.id.slice(1)))"
    )
    found: list[int] = page.evaluate(script)
    return found


@pytest.mark.parametrize("number", NUMBERS, ids=name)
def test_segments_and_marks_that_are_seen_are_those_of_the_row(
    opened: Open, report: Path, number: int
) -> None:
    page = opened(page_of(report, number))
    row = EXAMPLES[number].document.to_dict()
    assert visible_segments(page) == [segment["index"] for segment in row["segments"]]
    for label in LABELS:
        expected = sum(segment["label"] == label for segment in row["segments"])
        assert page.locator(f"[data-label={label}]").count() == expected
        shown_count = page.locator(f".legend label.{label} .count").inner_text()
        assert int(shown_count) == expected
    spans = Counter(span["type"] for segment in row["segments"] for span in segment["spans"])
    for kind, expected in spans.items():
        assert page.locator(f"[data-span={kind}]").count() == expected
    seen = page.evaluate(
        "() => [...document.querySelectorAll('mark[data-span]')].every((m) => m.checkVisibility())"
    )
    assert seen


@pytest.mark.parametrize("number", NUMBERS[:6], ids=name)
def test_filters_hide_and_show_the_segments_of_a_label(
    opened: Open, report: Path, number: int
) -> None:
    page = opened(page_of(report, number))
    segments = EXAMPLES[number].document.segments
    off: set[str] = set()
    for label in (*LABELS, *reversed(LABELS)):
        page.locator(f"#show-{label}").click()
        off ^= {label}
        expected = [s.index for s in segments if s.role == "headline" or s.label not in off]
        assert visible_segments(page) == expected
        told = page.get_by_role("status").inner_text()
        assert told == f"{len(expected)} of {len(segments)} segments shown"
    assert off == set()


def test_filters_work_without_script(opened: Open, report: Path) -> None:
    page = opened(page_of(report, 0), java_script_enabled=False)
    framed = page.locator("#text [data-label=sourced]")
    assert framed.first.is_visible()
    page.locator("#show-sourced").uncheck()
    assert not any(framed.nth(at).is_visible() for at in range(framed.count()))


@pytest.mark.parametrize("number", NUMBERS[:6], ids=name)
def test_tab_goes_through_everything_in_reading_order(
    opened: Open, report: Path, number: int
) -> None:
    page = opened(page_of(report, number))
    wanted = page.evaluate(
        "() => [...document.querySelectorAll('a, input, summary, button, [tabindex=\"0\"]')]"
        ".filter((e) => e.checkVisibility() && e.tabIndex >= 0)"
        ".map((e, at) => { e.dataset.stop = at; return e.tagName; })"
    )
    assert wanted[0] == "A"
    assert wanted.count("INPUT") == len(LABELS)
    stops: list[int] = []
    for _ in wanted:
        page.keyboard.press("Tab")
        state = page.evaluate(
            "() => { const e = document.activeElement; const style = getComputedStyle(e);"
            " return [Number(e.dataset.stop), style.outlineStyle]; }"
        )
        stops.append(state[0])
        assert state[1] != "none", f"stop {state[0]} does not show its focus"
    assert stops == list(range(len(wanted)))


def test_the_keyboard_works_the_filters_and_the_links(opened: Open, report: Path) -> None:
    page = opened(page_of(report, 0))
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # the link that skips to the content
    assert page.evaluate("document.activeElement.id") == "main"
    page.locator("#show-sourced").focus()
    page.keyboard.press("Space")
    assert not page.locator("#show-sourced").is_checked()
    link = page.locator("aside .quotes a:not([href='#s0'])").first
    target = (link.get_attribute("href") or "")[1:]
    assert page.locator(f"#{target}").get_attribute("data-label") == "sourced"
    assert not page.locator(f"#{target}").is_visible()
    link.focus()
    page.keyboard.press("Enter")
    page.locator(f"#{target}").wait_for(state="visible")
    assert page.locator("#show-sourced").is_checked()


def test_a_link_that_was_followed_shows_its_target_again(opened: Open, report: Path) -> None:
    page = opened(page_of(report, 0))
    link = page.locator("aside .quotes a:not([href='#s0'])").first
    target = page.locator(link.get_attribute("href") or "")
    link.click()
    page.locator("#show-sourced").uncheck()
    assert not target.is_visible()
    link.click()
    assert target.is_visible()
    assert target.evaluate("e => e.getBoundingClientRect().top < innerHeight")


def test_an_address_with_any_part_behind_it_opens(opened: Open, report: Path) -> None:
    page = opened(page_of(report, 0))
    page.evaluate("location.hash = '100%'")
    page.reload()
    assert page.get_by_role("status").inner_text().endswith("segments shown")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
@pytest.mark.parametrize("number", NUMBERS[:6], ids=name)
def test_axe_finds_no_fault(
    opened: Open, report: Path, number: int, width: int, scheme: str
) -> None:
    page = opened(
        page_of(report, number), viewport={"width": width, "height": 900}, color_scheme=scheme
    )
    page.locator("details summary").click()
    check_with_axe(page)


def test_the_accessibility_tree_tells_what_colour_tells(opened: Open, report: Path) -> None:
    page = opened(page_of(report, 0))
    tree = page.locator("body").aria_snapshot()
    for role in ("main:", "contentinfo:", 'complementary "Summary and sources"', "heading"):
        assert role in tree
    for label in ("Sourced", "Framed", "Plain", "Page furniture"):
        assert f'checkbox "{label}' in tree
    spoken = page.locator("#text").aria_snapshot()
    for segment in EXAMPLES[0].body:
        lead = {"sourced": "Sourced", "plain": "Plain", "framed": "Framed"}[segment.label]
        assert f"{lead}{', uncertain' if segment.uncertain else ''}:" in spoken
    assert "source: " in spoken
    headline = page.get_by_role("heading", level=1)
    assert "Sourced" in headline.aria_snapshot()


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_nothing_is_wider_than_the_window(opened: Open, report: Path, width: int) -> None:
    for path in (page_of(report, 2), report / "index.html", report / "dashboard.html"):
        page = opened(path, viewport={"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_right_to_left_stands_so(opened: Open, model_folder: Path, tmp_path: Path) -> None:
    row = {"headline": "הקיר נסגר", "text": "ראש העיר אמר שהקיר נסגר.\n\nThe wall is shut."}
    source = tmp_path / "row.jsonl"
    source.write_text(json.dumps(row), "utf-8")
    target = tmp_path / "page.html"
    assert main(["report", str(source), "-m", str(model_folder), "-o", str(target), "--quiet"]) == 0
    page = opened(target)
    script = "all => all.map((e) => getComputedStyle(e).direction)"
    assert page.locator("h1, #text p").evaluate_all(script) == ["rtl", "rtl", "ltr"]


def test_print_leaves_the_controls_out(opened: Open, report: Path) -> None:
    page = opened(page_of(report, 0))
    page.emulate_media(media="print")
    for hidden in (".legend input", ".top nav", ".skip"):
        assert not page.locator(hidden).first.is_visible()
    for kept in (".keys", "aside", "footer", "#text"):
        assert page.locator(kept).first.is_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.pdf(format="A4", print_background=True).startswith(b"%PDF")


@pytest.fixture(scope="module")
def hostile(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Reports of attacking rows, scored and written by the command line."""
    folder = tmp_path_factory.mktemp("hostile")
    row = {"id": "<script>", "headline": HOSTILE_HEADLINE, "text": HOSTILE_TEXT, **HOSTILE_COLUMNS}
    lines = [json.dumps(row).encode(), b'{"text": "caf\xe9 <script>window.attacked = 8</script>"}']
    (folder / "rows.jsonl").write_bytes(b"\n".join(lines))
    (folder / "a<b>.txt").write_bytes(b"\xff\xfe<script>window.attacked=9</script>\x80")
    sources = [str(folder / "rows.jsonl"), str(folder / "a<b>.txt")]
    command = ["report", *sources, "-m", str(model_folder), "-o", f"{folder}/out/", "--quiet"]
    assert main(command) == 3
    return folder / "out"


@pytest.mark.parametrize("scripts", [True, False])
def test_hostile_articles_are_text_and_ask_for_nothing(
    opened: Open, hostile: Path, scripts: bool
) -> None:
    pages = ["articles/00001.html", "articles/00002.html", "articles/00003.html"]
    for path in (*pages, "index.html", "dashboard.html"):
        page = opened(hostile / path, java_script_enabled=scripts)
        page.wait_for_timeout(100)
        assert page.url == (hostile / path).as_uri()
        if scripts:
            assert page.evaluate("window.attacked") is None
        for element in ("img", "iframe", "base", "object", "embed", "[onerror]", "[onclick]"):
            assert page.locator(element).count() == 0
        assert page.locator("script").count() == (path != "dashboard.html")
        schemes = [(link.get_attribute("href") or "") for link in page.locator("a").all()]
        assert not any(":" in link for link in schemes)
    page = opened(hostile / pages[0])
    text = " ".join(page.locator("#text").inner_text().split())
    for piece in ("<script>window.attacked = 1", "javascript:window.attacked=4", "{{ 7 * 7 }}"):
        assert piece in text
    assert "\ufffd" in text
    assert shown("\udc80") in page.locator("h1").inner_text()
    assert "not_utf8" in opened(hostile / pages[1]).locator(".error").inner_text()
    assert "0xff" in opened(hostile / pages[2]).locator(".error").inner_text()


def test_the_policy_stops_what_escaping_would_have_missed(
    browser: Any, report: Path, tmp_path: Path
) -> None:
    attack = (
        "<script>window.attacked = 1</script>"
        "<img src='http://192.0.2.1/x' onerror='window.attacked = 2'>"
        "<style>body { display: none }</style><p id=styled style='display: none'>styled</p>"
    )
    text = page_of(report, 0).read_text("utf-8").replace("</footer>", f"{attack}</footer>")
    path = tmp_path / "page.html"
    path.write_text(text, "utf-8")
    context = browser.new_context()
    sent: list[str] = []
    context.on("requestfinished", lambda request: sent.append(request.url))
    page = context.new_page()
    violations: list[str] = []
    page.on("console", lambda line: violations.append(line.text))
    page.goto(path.as_uri())
    page.wait_for_timeout(200)
    assert page.evaluate("window.attacked") is None
    assert page.locator("#styled").is_visible()
    assert sent == [path.as_uri()]
    blocked = " ".join(violations)
    for directive in ("script-src", "style-src", "img-src"):
        assert directive in blocked
    context.close()
