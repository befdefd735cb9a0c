"""What many articles add up to: counts by outlet and week, words, sources, headline checks."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Literal

from framelens.report.article import Article, bare, folded, is_pronoun
from framelens.schema import Document, HeadlineCheck, Label

Outcome = Literal["kept", "weakened", "dropped", "none_needed", "unsupported"]
OUTCOMES: tuple[Outcome, ...] = ("kept", "weakened", "dropped", "none_needed", "unsupported")
OUTCOME_NAMES: dict[Outcome, str] = {
    "kept": "attribution kept",
    "weakened": "attribution weakened",
    "dropped": "attribution dropped",
    "none_needed": "no attribution missing",
    "unsupported": "not found in the body",
}
OUTCOME_WORDS: dict[Outcome, str] = {
    "kept": "kept",
    "weakened": "weakened",
    "dropped": "dropped",
    "none_needed": "none missing",
    "unsupported": "not found",
}
"""The same for a narrow column."""
SHOWN_LABELS: tuple[Label, ...] = ("sourced", "framed", "plain")
"""The labels that shares are of; page furniture is left out, as in `Summary`."""

MIN_ARTICLES = 5
"""Fewest articles of which an interval is given: with fewer it says nothing."""

_Z = 1.959964  # 95 %


def outcome_of(check: HeadlineCheck) -> Outcome:
    """What a headline check found, in one word."""
    return check.attribution or "unsupported"


@dataclass(slots=True)
class Shares:
    """Label counts of some articles, and what the spread between them needs."""

    articles: int = 0
    segments: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    _framed_squared: int = 0
    _product: int = 0
    _segments_squared: int = 0

    def add(self, document: Document) -> None:
        """Count one article."""
        labels = Counter(s.label for s in document.segments if s.label != "boilerplate")
        segments, framed = labels.total(), labels["framed"]
        self.articles += 1
        self.segments += segments
        self.labels.update(labels)
        self._framed_squared += framed * framed
        self._product += framed * segments
        self._segments_squared += segments * segments

    def share(self, label: Label) -> float:
        """Of all segments together that are not furniture; 0 where there are none."""
        return self.labels[label] / self.segments if self.segments else 0.0

    @property
    def parts(self) -> tuple[tuple[str, float], ...]:
        """The shares as the parts of a bar."""
        return tuple((label, self.share(label)) for label in SHOWN_LABELS)

    @property
    def framed_interval(self) -> tuple[float, float] | None:
        """95 % interval of the framed share over articles; None with too few of them.

        Segments of one article are alike, so articles are what is sampled: the variance is
        that of a ratio of sums (Cochran, Sampling Techniques, 3rd ed. 1977, 6.4), and
        Wilson's interval is taken with the number of independent segments that has the
        same variance.
        """
        if self.articles < MIN_ARTICLES or not self.segments:
            return None
        share = self.share("framed")
        spread = (
            self._framed_squared - 2 * share * self._product + share**2 * self._segments_squared
        )
        variance = self.articles / (self.articles - 1) * spread / self.segments**2
        plain = share * (1 - share)
        size = plain / variance if variance > 1e-12 and plain > 0 else float(self.articles)
        return _wilson(share, min(size, float(self.segments)))


def _wilson(share: float, size: float) -> tuple[float, float]:
    middle = share + _Z**2 / (2 * size)
    reach = _Z * math.sqrt(share * (1 - share) / size + _Z**2 / (4 * size**2))
    scale = 1 + _Z**2 / size
    return max(0.0, (middle - reach) / scale), min(1.0, (middle + reach) / scale)


@dataclass(slots=True)
class Mentions:
    """How often something is mentioned, and in how many articles, by its folded form."""

    times: Counter[str] = field(default_factory=Counter)
    articles: Counter[str] = field(default_factory=Counter)
    written: dict[str, str] = field(default_factory=dict)

    def add(self, texts: Iterable[str]) -> None:
        """Count the mentions of one article, without punctuation around them."""
        found = list(filter(None, map(bare, texts)))
        for text in found:
            self.times[folded(text)] += 1
            self.written.setdefault(folded(text), text)
        self.articles.update(set(map(folded, found)))

    def top(self, count: int) -> list[tuple[str, int, int]]:
        """The most frequent: as first written, times, articles; ties by name."""
        ordered = sorted(self.times.items(), key=lambda item: (-item[1], item[0]))[:count]
        return [(self.written[key], times, self.articles[key]) for key, times in ordered]


class Corpus:
    """The sums over all articles, which come one by one."""

    def __init__(self) -> None:
        self.all = Shares()
        self.outlets: defaultdict[str, Shares] = defaultdict(Shares)
        self.weeks: defaultdict[date, Shares] = defaultdict(Shares)
        self.outcomes: Counter[Outcome] = Counter()
        self.outcomes_by_outlet: defaultdict[str, Counter[Outcome]] = defaultdict(Counter)
        self.words = Mentions()
        self.sources = Mentions()
        self.errors: Counter[str] = Counter()
        self.models: Counter[str] = Counter()
        self.without_outlet = 0
        self.without_date = 0
        self.bad_dates: Counter[str] = Counter()
        self.unchecked = 0

    @property
    def documents(self) -> int:
        """Rows of all kinds."""
        return self.all.articles + self.errors.total()

    def add(self, article: Article) -> None:
        """Count one article, or one error row."""
        document = article.document
        self.models[f"{document.model.name} {document.model.version}"] += 1
        if document.error is not None:
            self.errors[document.error.code] += 1
            return
        self.all.add(document)
        self._place(article)
        spans = [span for segment in document.segments for span in segment.spans]
        self.words.add(s.text for s in spans if s.type == "loaded" and not is_pronoun(s.text))
        self.sources.add(s.text for s in spans if s.type == "source" and not is_pronoun(s.text))
        if document.headline_check is None:
            self.unchecked += 1
            return
        outcome = outcome_of(document.headline_check)
        self.outcomes[outcome] += 1
        if article.outlet is not None:
            self.outcomes_by_outlet[article.outlet][outcome] += 1

    def _place(self, article: Article) -> None:
        if article.outlet is None:
            self.without_outlet += 1
        else:
            self.outlets[article.outlet].add(article.document)
        if article.day is not None:
            monday = article.day - timedelta(days=article.day.weekday())
            self.weeks[monday].add(article.document)
        elif article.date is None:
            self.without_date += 1
        else:
            self.bad_dates[article.date] += 1

    def shown_weeks(self, most: int) -> list[tuple[date, Shares]]:
        """The weeks of the chart, which spans `most` weeks at most.

        It ends with the last week that is not in the future, unless all are: such a date is an
        error, and must not displace all others.
        """
        today = datetime.now(tz=UTC).date() + timedelta(days=1)  # as it may be elsewhere
        weeks = sorted(self.weeks.items())
        past = [item for item in weeks if item[0] <= today] or weeks
        return [item for item in past if (past[-1][0] - item[0]).days // 7 < most]

    def ranked_outlets(self) -> list[tuple[str, Shares]]:
        """Outlets by their number of articles, then by name."""
        return sorted(self.outlets.items(), key=lambda item: (-item[1].articles, item[0]))

    def missing_outlets(self, field: str) -> str | None:
        """Why articles are left out of the table by outlet; None if none is."""
        if not self.without_outlet:
            return None
        return _without(self.without_outlet, field, "--outlet-field")

    def missing_dates(self, field: str) -> str | None:
        """Why articles are left out of the chart by week; None if none is."""
        reasons: list[str] = []
        if self.without_date:
            reasons.append(_without(self.without_date, field, "--date-field"))
        if self.bad_dates:
            reasons.append(
                f"{_articles(self.bad_dates.total())} with a date that is not ISO 8601, such as "
                f"{min(self.bad_dates)[:40]!r}: expected 2024-05-01."
            )
        return " ".join(reasons) or None


def _without(count: int, field: str, option: str) -> str:
    return (
        f"{_articles(count)} with nothing in a column {field!r}: name another one with "
        f"{option}; into rows that were scored before, only --keep brings it along."
    )


def _articles(count: int) -> str:
    return f"{count:,} article" + ("" if count == 1 else "s")
