"""A document in a notebook: static HTML with styles of its own, no script, no extra."""

from __future__ import annotations

from framelens.report.article import Article, paragraphs, quoted_sources
from framelens.report.dashboard import OUTCOME_NAMES, outcome_of
from framelens.report.marks import (
    LABEL_NAMES,
    LABEL_SIGNS,
    escaped,
    paragraph_html,
    segment_html,
)
from framelens.schema import LABELS, Document

MAX_SEGMENTS = 400
"""Segments that a cell shows; the file of a notebook keeps every one of them."""

# Tints are see-through, and text keeps the notebook's colour: legible on light and on dark.
_STYLE = """
.framelens { max-width: 46rem; line-height: 1.6; }
.framelens .head { font-size: 1.25em; font-weight: 700; line-height: 1.3; margin: 0 0 .4em; }
.framelens p { margin: .5em 0; }
.framelens .seg { border-radius: 3px; padding: .1em .15em; unicode-bidi: isolate; }
.framelens .sourced { background: rgba(60, 140, 205, .20); }
.framelens .framed { background: rgba(238, 140, 35, .24); }
.framelens .boilerplate { background: rgba(128, 128, 128, .20); font-size: .85em; }
.framelens .sign { font-weight: 700; font-size: .8em; margin-right: .3em; }
.framelens .source { text-decoration: underline 2px; text-underline-offset: .2em; }
.framelens .cue { text-decoration: underline dotted 2px; text-underline-offset: .2em; }
.framelens mark { color: inherit; background: rgba(238, 120, 20, .38); font-weight: 600;
  text-decoration: underline wavy 1px; text-underline-offset: .2em; }
.framelens .vh { position: absolute; width: 1px; height: 1px; overflow: hidden;
  clip-path: inset(50%); white-space: nowrap; }
.framelens .foot { font-size: .85em; opacity: .85; }
"""


_NO_FORMULAS = "mathjax_ignore tex2jax_ignore"
"""Classes by which MathJax, which Jupyter runs over what it shows, leaves sums of dollars alone."""


def document_html(document: Document) -> str:
    """The document as Jupyter shows it: labels, marks, and a line of figures."""
    if document.error is not None:
        return (
            f'<div class="{_NO_FORMULAS}"><b>{escaped(document.id)}</b>: '
            f"{escaped(document.error.code)}: {escaped(document.error.message)}</div>"
        )
    article = Article(document)
    lines = [f"<style>{_STYLE}</style>", f'<div class="framelens {_NO_FORMULAS}">']
    if article.headline is not None:
        shown = segment_html(article.headline, anchor=False)
        lines.append(f'<p class="head" dir="auto">{shown}</p>')
    left = MAX_SEGMENTS
    for group in paragraphs(article):
        lines.append(f'<p dir="auto">{paragraph_html(group[:left], anchor=False)}</p>')
        left -= len(group[:left])
        if not left:
            break
    if more := len(article.body[MAX_SEGMENTS:]):
        lines.append(f"<p>… {more} more segment{'s' if more > 1 else ''}</p>")
    lines.append(f'<p class="foot">{_figures(document)}</p></div>')
    return "\n".join(lines)


def _figures(document: Document) -> str:
    summary = document.summary
    counts = {label: sum(s.label == label for s in document.segments) for label in LABELS}
    legend = " · ".join(
        f"{LABEL_SIGNS[label]} {LABEL_NAMES[label]} {counts[label]}".strip() for label in LABELS
    )
    shares = (
        ""
        if summary is None
        else f" · framed {summary.framed:.0%} and sourced {summary.sourced:.0%} of the article"
    )
    check = document.headline_check
    headline = "" if check is None else f" · headline: {OUTCOME_NAMES[outcome_of(check)]}"
    found, _ = quoted_sources(document)
    model = f"{document.model.name} {document.model.version}"
    names = ", ".join(source.name for source in found if not source.pronoun)
    return escaped(f"{legend}{shares}{headline} · sources: {names or 'none'} · {model}")
