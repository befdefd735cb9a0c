"""Bars as inline SVG: static, without script, without a style attribute.

A strict content-security policy blocks `style="width: 40%"` as it blocks a script, and a chart
library's own style sheets with it; the geometry attributes of SVG are plain data. Every bar
stands beside its number in a table, so that the pictures are hidden from screen readers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from framelens.report.marks import Markup

_WIDTH = 100.0
_HEIGHT = 10.0
_GAP = 0.6  # white between two parts of a bar: they differ by more than colour


def stacked_bar(parts: Sequence[tuple[str, float]]) -> Markup:
    """One bar of parts `(class, share)` that add up to at most 1."""
    rects: list[str] = []
    at = 0.0
    for name, share in parts:
        width = _WIDTH * share
        if width > 0:
            drawn = max(width - _GAP, width / 2)
            rects.append(f'<rect class="{name}" x="{at:.2f}" width="{drawn:.2f}" height="10"/>')
        at += width
    return _svg("".join(rects))


def single_bar(name: str, share: float) -> Markup:
    """One bar whose length is a share of the longest one's."""
    return stacked_bar([(name, share)])


def interval_bar(name: str, share: float, low: float, high: float, *, top: float) -> Markup:
    """A bar up to `share` with the whisker of its interval, on a scale that ends at `top`."""
    scale = _WIDTH / top
    reach = f'x="{low * scale:.2f}" width="{(high - low) * scale:.2f}"'
    whisker = f'<rect class="whisker" {reach} y="4" height="2"/>'
    bar = f'<rect class="{name}" width="{share * scale:.2f}" height="10"/>'
    return _svg(bar + whisker)


def _svg(inner: str) -> Markup:
    return Markup(
        f'<svg class="bar" viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" preserveAspectRatio="none" '
        f'aria-hidden="true" focusable="false">{inner}</svg>'
    )


@dataclass(frozen=True, slots=True)
class Column:
    """One week of a chart over time: its Monday, and parts `(class, share)` from below."""

    week: date
    parts: tuple[tuple[str, float], ...]


_TALL = 180.0
_LEFT = 44.0
_WIDEST = 1040.0
_WIDEST_STEP = 48.0


def week_columns(columns: Sequence[Column]) -> Markup:
    """Stacked columns over time; weeks without an article stay empty.

    Months are written below, tenths of shares to the left. The table beside it has the numbers.
    """
    first = columns[0].week
    weeks = (columns[-1].week - first).days // 7 + 1
    step = min(_WIDEST_STEP, _WIDEST / weeks)
    rects: list[str] = []
    labels: list[str] = []
    labelled = -1e9
    for column in columns:
        left = _LEFT + step * ((column.week - first).days // 7)
        base = 8 + _TALL
        for name, share in column.parts:
            height = _TALL * share
            if height > 0:
                drawn = max(height - 1, height / 2)
                rects.append(
                    f'<rect class="{name}" x="{left:.1f}" y="{base - drawn:.1f}" '
                    f'width="{step * 0.8:.1f}" height="{drawn:.1f}"/>'
                )
            base -= height
        if left - labelled >= 96:
            labels.append(
                f'<text x="{left:.1f}" y="{_TALL + 28:g}">{column.week.isoformat()}</text>'
            )
            labelled = left
    lines = "".join(
        f'<line x1="{_LEFT:g}" x2="{_LEFT + step * weeks:.1f}" y1="{y:g}" y2="{y:g}"/>'
        f'<text class="share" x="{_LEFT - 5:g}" y="{y + 4:g}">{share} %</text>'
        for share, y in ((0, 8 + _TALL), (50, 8 + _TALL / 2), (100, 8))
    )
    size = f"{_LEFT + _WIDEST + 40:g} {_TALL + 34:g}"
    return Markup(
        f'<svg class="weeks" viewBox="0 0 {size}" aria-hidden="true" '
        f'focusable="false">{lines}{"".join(rects)}{"".join(labels)}</svg>'
    )
