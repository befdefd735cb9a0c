"""How often content is tied to the right source and cue; on PolNeAR.

    python benchmarks/attribution_relations.py CORPORA_ROOT [--model MODEL] [--part dev]

First with the annotators' own spans, which shows the rules alone: the share of contents whose
source is a right one, by where that stands (the only source of the sentence, one of several, in
another sentence, nowhere), and whose cue is. Beside it the plain rule: the source of the sentence
from which the fewest characters part the content, otherwise the last one before it.

Then with the spans of a model. A relation that it finds is right if there is an annotated one of
which the content lies by half or more in its content, or the other way round (the annotators'
content may run over sentences), and one of whose sources overlaps its source. In brackets 95 %
bootstrap intervals over articles.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from framelens import load
from framelens.relations import relations_of
from framelens.schema import ScoredSegment, Span
from framelens_training.corpora.tied_spans import TiedArticle, tied_articles
from framelens_training.evaluation import Interval, draws, percentiles

Place = tuple[int, int]
"""Of a span: its segment, and where it begins."""
Ties = dict[Place, tuple[Place | None, Place | None]]
"""Source and cue of each content."""
Letters = set[tuple[str, int]]
"""Characters of the two fields."""
KINDS = ("only source", "one of several", "in another sentence", "none", "all", "cue")
DRAWS = 1000


def by_rules(segments: Sequence[ScoredSegment]) -> Ties:
    """As framelens ties them."""
    return {
        (found.segment, found.content.start): (
            _place(found.source_segment, found.source),
            _place(found.segment, found.cue),
        )
        for found in relations_of(segments)
    }


def _place(segment: int | None, span: Span | None) -> Place | None:
    return None if segment is None or span is None else (segment, span.start)


def by_distance(segments: Sequence[ScoredSegment]) -> Ties:
    """By the plain rule."""
    found: Ties = {}
    last: Place | None = None
    for place, segment in enumerate(segments):
        near: dict[str, list[Span]] = {
            kind: [span for span in segment.spans if span.type == kind]
            for kind in ("source", "cue")
        }
        for content in (span for span in segment.spans if span.type == "content"):

            def gap(span: Span, content: Span = content) -> int:
                return max(span.start - content.end, content.start - span.end)

            source = min(near["source"], key=gap, default=None)
            cue = min(near["cue"], key=gap, default=None)
            found[place, content.start] = (
                last if source is None else (place, source.start),
                _place(place, cue),
            )
        if near["source"]:
            last = place, near["source"][-1].start
    return found


def with_gold_spans(
    articles: Sequence[TiedArticle], tied: Callable[[Sequence[ScoredSegment]], Ties]
) -> dict[str, tuple[float, int]]:
    """Share of contents with a right source, or cue, and how many there are, by kind."""
    right: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for article in articles:
        found = tied(article.segments)
        for (place, start), (source, cue) in found.items():
            mark = article.mark_of[place, start]
            sources = article.sources_of.get(mark, frozenset())
            kind = _kind(article, place, sources)
            is_right = source is None if not sources else (
                source is not None and article.mark_of[source] in sources
            )  # fmt: skip
            cues = article.cues_of.get(mark, frozenset())
            here = {each for each in cues if place in article.places_of[each]}
            for name, value, counts in (
                (kind, is_right, True),
                ("all", is_right, True),
                ("cue", cue is not None and article.mark_of[cue] in here, bool(here)),
            ):
                total[name] += counts
                right[name] += counts and value
    return {kind: (right[kind] / max(total[kind], 1), total[kind]) for kind in KINDS}


def _kind(article: TiedArticle, place: int, sources: frozenset[str]) -> str:
    if not sources:
        return "none"
    if not any(place in article.places_of[source] for source in sources):
        return "in another sentence"
    spans = article.segments[place].spans
    own = {article.mark_of[place, span.start] for span in spans if span.type == "source"}
    return "only source" if len(own) == 1 else "one of several"


def with_model_spans(articles: Sequence[TiedArticle], model: str | None) -> dict[str, str]:
    """Precision, recall and F1 of a model's relations."""
    scorer = load(model)
    documents = [
        scorer.score(article.text, headline=article.headline or None) for article in articles
    ]
    counts = np.array(
        [_matched(*pair) for pair in zip(articles, (d.segments for d in documents), strict=True)]
    )
    figures = _figures(counts.sum(axis=0))
    resampled = _figures(draws(len(counts), DRAWS, seed=0) @ counts)
    return {
        name: str(Interval(float(value), *percentiles(resampled[name])))
        for name, value in figures.items()
    } | {"annotated": str(int(counts[:, 2].sum())), "found": str(int(counts[:, 3].sum()))}


def _figures(counts: NDArray[np.number]) -> dict[str, NDArray[np.float64]]:
    right_found, right_annotated, annotated, found = np.moveaxis(
        np.asarray(counts, np.float64), -1, 0
    )
    precision, recall = right_found / found, right_annotated / annotated
    return {
        "precision": precision,
        "recall": recall,
        "F1": 2 * precision * recall / (precision + recall),
    }


def _matched(article: TiedArticle, segments: Sequence[ScoredSegment]) -> tuple[int, int, int, int]:
    """Relations right of those found, right of those annotated, annotated, found.

    What is right of either side is counted apart: by overlap one annotated content may match
    several that are found in its sentences, so that there is no one number of right ones.
    """
    letters: dict[str, Letters] = {}
    for place, segment in enumerate(article.segments):
        for span in segment.spans:
            mark = article.mark_of[place, span.start]
            letters.setdefault(mark, set()).update(_letters(segment, span))
    gold = [
        (letters[content], {at for source in sources for at in letters[source]})
        for content, sources in article.sources_of.items()
    ]
    found = [
        (
            _letters(segments[each.segment], each.content),
            _letters(segments[each.source_segment], each.source),
        )
        for each in relations_of(segments)
        if each.source is not None and each.source_segment is not None
    ]
    right_found = sum(any(_is_same(one, other) for other in gold) for one in found)
    right_gold = sum(any(_is_same(one, other) for one in found) for other in gold)
    return right_found, right_gold, len(gold), len(found)


def _letters(segment: ScoredSegment, span: Span) -> Letters:
    return {(segment.field, at) for at in range(span.start, span.end)}


def _is_same(one: tuple[Letters, Letters], other: tuple[Letters, Letters]) -> bool:
    shared = len(one[0] & other[0])
    return 2 * shared >= min(len(one[0]), len(other[0])) and shared > 0 and bool(one[1] & other[1])


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("root", type=Path, metavar="CORPORA_ROOT")
    parser.add_argument("--model", help="default: the one that ships")
    parser.add_argument("--part", choices=("train", "dev"), default="dev")
    options = parser.parse_args()
    articles = list(tied_articles(options.root, options.part))
    gold = {
        name: {kind: f"{share:.3f} of {count}" for kind, (share, count) in found.items()}
        for name, rule in (("framelens", by_rules), ("plain rule", by_distance))
        for found in [with_gold_spans(articles, rule)]
    }
    figures = {
        "articles": len(articles),
        "annotated spans": gold,
        "spans of the model": with_model_spans(articles, options.model),
    }
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
