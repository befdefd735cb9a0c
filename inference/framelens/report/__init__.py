"""HTML reports: a page for an article, an index for many, a dashboard (extra `report`).

from framelens.report import Article, article_page
page = article_page(Article(scorer.score(text), text))
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from framelens.report.article import Article
    from framelens.report.pages import article_page, dashboard_page, index_page
    from framelens.report.write import write_dashboard, write_report

__all__ = [
    "Article",
    "article_page",
    "dashboard_page",
    "index_page",
    "write_dashboard",
    "write_report",
]

_HOMES = {
    "Article": "article",
    "article_page": "pages",
    "dashboard_page": "pages",
    "index_page": "pages",
    "write_dashboard": "write",
    "write_report": "write",
}

if not TYPE_CHECKING:  # to a type checker, it would make an object of every misspelt name

    def __getattr__(name: str) -> object:
        # A notebook's display imports this package, and must not load templates or networks.
        if name in _HOMES:
            from importlib import import_module

            return getattr(import_module(f"framelens.report.{_HOMES[name]}"), name)
        raise AttributeError(f"module 'framelens.report' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
