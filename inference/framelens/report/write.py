"""Reports on disk: one page, a directory with an index, or a dashboard."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from framelens.errors import FramelensError, InputError
from framelens.model_settings import DecodingConfig
from framelens.parts import is_stream, replacing
from framelens.report.article import Article
from framelens.report.dashboard import Corpus
from framelens.report.pages import (
    Entry,
    Neighbours,
    article_page,
    dashboard_page,
    index_page,
)
from framelens.run_files import real_path
from framelens.schema import ModelInfo

INDEX = "index.html"
DASHBOARD = "dashboard.html"
PAGES = "articles"
_PAGE = re.compile(r"\d{5,}\.html")
_GENERATOR = b'<meta name="generator" content="framelens '
_HEAD = 4096  # bytes of a page that hold what stands before its title

Thresholds = Callable[[ModelInfo], DecodingConfig | None]


class OutputExistsError(FramelensError):
    """A report is there already, and may not be replaced without being told so."""


@dataclass(frozen=True, slots=True)
class Written:
    """What a report holds: articles, and those of them that could not be scored."""

    articles: int
    errors: int


def write_article(articles: Iterable[Article], target: Path, thresholds: Thresholds) -> Written:
    """One article as one page.

    Raises:
        InputError: unless there is exactly one article.
    """
    found = list(_first(articles, 2))
    if len(found) != 1:
        raise InputError(
            f"expected one article for the page {target}, found "
            f"{'none' if not found else 'more'}; give -o DIR/ for an index with pages"
        )
    (article,) = found
    page = article_page(article, thresholds(article.document.model))
    _write(target, page)
    return Written(1, int(article.document.error is not None))


def _first(articles: Iterable[Article], count: int) -> Iterator[Article]:
    for number, article in enumerate(articles, 1):
        yield article
        if number == count:
            return


def write_report(
    articles: Iterable[Article],
    folder: Path,
    thresholds: Thresholds,
    *,
    outlet_field: str = "outlet",
    date_field: str = "date",
    overwrite: bool = False,
) -> Written:
    """An index, a dashboard, and a page for each article, one article in memory at a time.

    The index is written last: a directory without it is a report that was cut short.

    Raises:
        OutputExistsError: if the directory holds anything, unless `overwrite` says that an
            earlier report in it may go; and if it holds pages of other makers where those of a
            report stand.
    """
    pages = folder / PAGES
    _prepare(folder, pages, overwrite=overwrite)
    corpus, entries = Corpus(), list[Entry]()
    name, previous, following = _page_name(1), None, iter(articles)
    article = next(following, None)
    while article is not None:
        after = next(following, None)
        next_name = None if after is None else _page_name(len(entries) + 2)
        decoding = thresholds(article.document.model)
        neighbours = Neighbours(f"../{INDEX}", previous, next_name)
        _write(pages / name, article_page(article, decoding, neighbours))
        corpus.add(article)
        entries.append(Entry.of(article, f"{PAGES}/{name}"))
        article, previous, name = after, name, next_name or ""
    dashboard = dashboard_page(
        corpus, outlet_field=outlet_field, date_field=date_field, index=INDEX
    )
    _write(folder / DASHBOARD, dashboard)
    _write(folder / INDEX, index_page(entries, corpus))
    return Written(len(entries), corpus.errors.total())


def _page_name(number: int) -> str:
    return f"{number:05}.html"


def _prepare(folder: Path, pages: Path, *, overwrite: bool) -> None:
    if folder.exists() and not folder.is_dir():
        raise OutputExistsError(f"{folder}: expected a directory, found a file")
    if folder.exists() and any(folder.iterdir()) and not overwrite:
        raise OutputExistsError(
            f"{folder}: expected an empty or a new directory, found files in it; give another "
            "one, or --overwrite to replace an earlier report"
        )
    earlier = [path for path in pages.glob("*.html") if _PAGE.fullmatch(path.name)]
    others = [path for path in (folder / INDEX, folder / DASHBOARD) if path.exists()]
    foreign = [path for path in others + earlier if not _is_own(path)]
    if foreign:
        raise OutputExistsError(
            f"{foreign[0]}: expected a page of an earlier report, found one that framelens did not "
            "write; give another directory"
        )
    pages.mkdir(parents=True, exist_ok=True)
    (folder / INDEX).unlink(missing_ok=True)
    for page in earlier:
        page.unlink()


def is_earlier_report(page: Path, target: Path) -> bool:
    """Whether a page is the target, or lies in it, and is one that a report wrote."""
    own, folder = real_path(page), real_path(target)
    if folder not in (own, *own.parents):
        return False
    try:
        return not page.exists() or _is_own(page)
    except OSError:  # it cannot be read: reading the inputs will tell
        return False


def _is_own(page: Path) -> bool:
    """Whether a page is one that a report wrote, by its head."""
    with page.open("rb") as stream:
        return _GENERATOR in stream.read(_HEAD)


def write_dashboard(
    articles: Iterable[Article],
    target: Path,
    *,
    outlet_field: str = "outlet",
    date_field: str = "date",
) -> Written:
    """The dashboard of some articles as one page."""
    corpus = Corpus()
    for article in articles:
        corpus.add(article)
    page = dashboard_page(corpus, outlet_field=outlet_field, date_field=date_field)
    _write(target, page)
    return Written(corpus.documents, corpus.errors.total())


def _write(target: Path, page: str) -> None:
    if is_stream(target):  # a rename would take its place
        with target.open("ab") as stream:
            stream.write(page.encode("utf-8"))
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing(target) as stream:
        stream.write(page.encode("utf-8"))
