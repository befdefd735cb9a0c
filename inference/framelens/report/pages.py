"""Pages from templates: escaping is automatic, and each page names by hash what it may run."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framelens import __version__
from framelens.errors import MissingExtraError
from framelens.model_settings import DecodingConfig
from framelens.report.article import Article, paragraphs, quoted_sources, shortened, shown
from framelens.report.charts import Column as WeekColumn
from framelens.report.charts import interval_bar, single_bar, stacked_bar, week_columns
from framelens.report.dashboard import (
    MIN_ARTICLES,
    OUTCOME_NAMES,
    OUTCOME_WORDS,
    OUTCOMES,
    SHOWN_LABELS,
    Corpus,
    Outcome,
    outcome_of,
)
from framelens.report.marks import (
    LABEL_MEANINGS,
    LABEL_NAMES,
    LABEL_SIGNS,
    Markup,
    paragraph_html,
    segment_html,
)
from framelens.schema import LABELS, Document

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent / "templates"
MAX_QUOTE = 140
"""Code points of a quotation in the margin."""
MAX_WEEKS = 260
"""Weeks that the chart over time holds; earlier ones are left out of it, and said to be."""
TOP = 20
"""Words and sources in a ranking."""
MAX_OUTLETS = 60
"""Outlets in a table."""


_COLUMNS = (
    ("title", "Headline", "text"),
    ("outlet", "Outlet", "text"),
    ("date", "Date", "text"),
    ("sourced", "Sourced, %", "number"),
    ("framed", "Framed, %", "number"),
    ("shares", "Labels", "none"),
    ("sources", "Sources", "number"),
    ("outcome", "Headline check", "text"),
)
"""The index's columns: key, heading, how they sort."""


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Where an article's page leads: file names beside it, and the index above it."""

    index: str
    previous: str | None
    next: str | None


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the index."""

    page: str
    title: str
    outlet: str | None
    date: str | None
    error: str | None
    segments: int
    sourced: float
    framed: float
    plain: float
    sources: int
    outcome: Outcome | None

    @classmethod
    def of(cls, article: Article, page: str) -> Entry:
        """The row of an article."""
        document, summary = article.document, article.document.summary
        check = document.headline_check
        return cls(
            page=page,
            title=shortened(article.title, 200),
            outlet=article.outlet,
            date=article.date if article.day is None else article.day.isoformat(),
            error=None if document.error is None else document.error.code,
            segments=0 if summary is None else summary.segments,
            sourced=0.0 if summary is None else summary.sourced,
            framed=0.0 if summary is None else summary.framed,
            plain=0.0 if summary is None else summary.plain,
            sources=0 if summary is None else summary.sources,
            outcome=None if check is None else outcome_of(check),
        )


def article_page(
    article: Article, decoding: DecodingConfig | None = None, neighbours: Neighbours | None = None
) -> str:
    """One article as one self-contained page.

    Raises:
        MissingExtraError: if the template engine is not installed (extra `report`).
    """
    document = article.document
    found, unclaimed = quoted_sources(document)
    counts = dict.fromkeys(LABELS, 0)
    for segment in document.segments:
        counts[segment.label] += 1
    return _page(
        "article.html",
        styles=("base.css", "article.css"),
        script="article.js",
        article=article,
        document=document,
        decoding=decoding,
        neighbours=neighbours,
        paragraphs=paragraphs(article),
        counts=counts,
        uncertain=sum(segment.uncertain for segment in document.segments),
        named=[source for source in found if not source.pronoun],
        pronouns=[source for source in found if source.pronoun],
        unclaimed=unclaimed,
        shares=_shares(document),
        outcome=None if document.headline_check is None else outcome_of(document.headline_check),
    )


def _shares(document: Document) -> tuple[tuple[str, float], ...]:
    summary = document.summary
    if summary is None:
        return ()
    return (("sourced", summary.sourced), ("framed", summary.framed), ("plain", summary.plain))


def index_page(entries: Sequence[Entry], corpus: Corpus) -> str:
    """The table of all articles, with search, filters and sorting.

    Raises:
        MissingExtraError: if the template engine is not installed (extra `report`).
    """
    outlets = sorted({entry.outlet for entry in entries if entry.outlet is not None})
    return _page(
        "index.html",
        styles=("base.css", "table.css"),
        script="index.js",
        entries=entries,
        corpus=corpus,
        outlets=outlets,
        has_dates=any(entry.date is not None for entry in entries),
        columns=_COLUMNS,
        outcomes=[outcome for outcome in OUTCOMES if corpus.outcomes[outcome]],
    )


def dashboard_page(
    corpus: Corpus, *, outlet_field: str, date_field: str, index: str | None = None
) -> str:
    """The charts over all articles; `index` is the page that leads back to them.

    Raises:
        MissingExtraError: if the template engine is not installed (extra `report`).
    """
    weeks = corpus.shown_weeks(MAX_WEEKS)
    outlets = corpus.ranked_outlets()
    intervals = [shares.framed_interval for _, shares in outlets]
    tops = [shares.share("framed") for _, shares in outlets]
    tops += [interval[1] for interval in intervals if interval is not None]
    return _page(
        "dashboard.html",
        styles=("base.css", "table.css"),
        script=None,
        corpus=corpus,
        index=index,
        outlets=outlets[:MAX_OUTLETS],
        more_outlets=len(outlets[MAX_OUTLETS:]),
        framed_top=min(1.0, max([*tops, 0.05])),
        weeks=weeks,
        earlier_weeks=sum(week < weeks[0][0] for week in corpus.weeks),
        later_weeks=sum(week > weeks[-1][0] for week in corpus.weeks),
        chart=week_columns([WeekColumn(w, s.parts) for w, s in weeks]) if weeks else None,
        words=corpus.words.top(TOP),
        sources=corpus.sources.top(TOP),
        checked=corpus.outcomes.total(),
        missing_outlets=corpus.missing_outlets(outlet_field),
        missing_dates=corpus.missing_dates(date_field),
        min_articles=MIN_ARTICLES,
    )


def _page(template: str, *, styles: Sequence[str], script: str | None, **context: Any) -> str:
    style = "".join(_asset(name) for name in styles)
    code = None if script is None else _asset(script)
    return (
        _environment()
        .get_template(template)
        .render(
            policy=_policy(style, code),
            style=Markup(style),
            script=None if code is None else Markup(code),
            **context,
        )
    )


def _policy(style: str, script: str | None) -> str:
    """Nothing is loaded, sent, embedded or run but this style and this script."""
    runs = "'none'" if script is None else _hash(script)
    return (
        f"default-src 'none'; style-src {_hash(style)}; script-src {runs}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(content: str) -> str:
    digest = hashlib.sha256(content.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


@cache
def _asset(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def require_engine() -> None:
    """Find out before the work begins whether pages can be made.

    Raises:
        MissingExtraError: if the template engine is not installed (extra `report`).
    """
    _environment()


@cache
def _environment() -> Environment:
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    except ImportError as error:
        raise MissingExtraError("jinja2", "report", "writing a report") from error
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalized,
        auto_reload=False,
    )
    environment.filters |= {"percent": _percent, "quote": _quote, "segment": segment_html}
    environment.filters |= {"paragraph": paragraph_html, "single": _single}
    environment.globals |= {
        "framelens_version": __version__,
        "labels": LABELS,
        "shown_labels": SHOWN_LABELS,
        "label_names": LABEL_NAMES,
        "label_signs": LABEL_SIGNS,
        "label_meanings": LABEL_MEANINGS,
        "outcome_names": OUTCOME_NAMES,
        "outcome_words": OUTCOME_WORDS,
        "all_outcomes": OUTCOMES,
        "stacked_bar": stacked_bar,
        "single_bar": single_bar,
        "interval_bar": interval_bar,
    }
    return environment


def _finalized(value: Any) -> Any:
    """Nothing that a page cannot hold, whichever field it came through."""
    return shown(value) if type(value) is str else value


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _quote(text: str) -> str:
    return shortened(text, MAX_QUOTE)


def _single(text: str) -> str:
    return " ".join(text.split())
