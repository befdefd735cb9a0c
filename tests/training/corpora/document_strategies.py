"""Labelled documents made by hypothesis: any text, any offsets that the rules allow."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from framelens.schema import ATTRIBUTION_TYPES, AXES
from framelens_training.corpora.labelled import (
    ANNOTATED,
    FIELDS,
    LEANS,
    GoldSegment,
    GoldSpan,
    LabelledDocument,
)

# What breaks formats: line ends, separators, quotation marks, astral and combining characters.
_HARD = "\r\n\t ,;\"'|{}#\\\ufeff\u2028\x85\x00é😀👩\u200d🚒ßİ«»“”"
TEXTS = st.text(
    st.one_of(st.sampled_from("abcdeZ .?" + _HARD), st.characters(exclude_categories=["Cs"])),
    max_size=60,
)
_WEIGHTS = st.floats(0, 1, allow_subnormal=False)


@st.composite
def _stretches(draw: st.DrawFn, length: int, most: int) -> list[tuple[int, int]]:
    """Disjoint, not empty, in order."""
    cuts = sorted(draw(st.sets(st.integers(0, length), max_size=2 * most)))
    return list(zip(cuts[::2], cuts[1::2], strict=False))


@st.composite
def documents(draw: st.DrawFn) -> LabelledDocument:
    headline = draw(st.none() | TEXTS)
    text = draw(TEXTS)
    segments: list[GoldSegment] = []
    spans: list[GoldSpan] = []
    for field in FIELDS:
        size = len(text if field == "text" else headline or "")
        for start, end in draw(_stretches(size, 3)):
            answers = {axis: draw(st.none() | st.booleans()) for axis in AXES}
            if answers["boilerplate"]:
                answers |= {"attributed": False, "framed": None}
            weights = draw(st.dictionaries(st.sampled_from(AXES), _WEIGHTS, max_size=2))
            segments.append(GoldSegment(field, start, end, **answers, weights=weights))
        for layer in (ATTRIBUTION_TYPES, ("loaded",)):
            for start, end in draw(_stretches(size, 3)):
                spans.append(GoldSpan(field, draw(st.sampled_from(layer)), start, end))
    texts = st.none() | TEXTS
    return LabelledDocument(
        id=draw(TEXTS),
        text=text,
        headline=headline,
        outlet=draw(texts),
        lean=draw(st.none() | st.sampled_from(LEANS)),
        date=draw(texts),
        url=draw(texts),
        annotated=frozenset(draw(st.sets(st.sampled_from(ANNOTATED)))),
        segments=tuple(segments),
        spans=tuple(draw(st.permutations(spans))),
        meta=draw(st.dictionaries(TEXTS, TEXTS, max_size=2)),
    )


@st.composite
def single_texts(draw: st.DrawFn) -> LabelledDocument:
    """Documents that are one labelled text, as a row of a table holds them."""
    filled = TEXTS.filter(bool)
    optional = st.none() | filled
    text = draw(filled)
    headline = draw(st.booleans())
    axes = draw(st.sets(st.sampled_from(AXES), min_size=1))
    answers = {axis: draw(st.booleans()) for axis in axes}
    if answers.get("boilerplate"):
        answers = {axis: axis == "boilerplate" for axis in axes}
    weights = dict.fromkeys(axes, draw(_WEIGHTS)) if draw(st.booleans()) else {}
    document = LabelledDocument(
        id=draw(filled),
        text="" if headline else text,
        headline=text if headline else draw(optional),
        outlet=draw(optional),
        lean=draw(st.none() | st.sampled_from(LEANS)),
        annotated=frozenset(axes),
        segments=(GoldSegment("headline" if headline else "text", 0, len(text), **answers),),
        meta=draw(st.dictionaries(st.just("group") | filled, filled, max_size=2)),
    )
    return replace(document, segments=(replace(document.segments[0], weights=weights),))


def many(
    strategy: st.SearchStrategy[LabelledDocument],
) -> st.SearchStrategy[list[LabelledDocument]]:
    """Some documents with ids of their own."""
    return st.lists(strategy, max_size=3, unique_by=lambda document: document.id)
