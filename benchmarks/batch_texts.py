"""What the benchmarks of speed score: articles and single sentences, none of them twice."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from framelens_training.corpora.labelled import LabelledDocument
from framelens_training.corpora.registry import ROOT_VARIABLE, corpus

Article = dict[str, str | None]


def articles(count: int) -> tuple[str, list[Article]]:
    """The corpus's name, and so many articles: PolNeAR's, where it is to be had."""
    name, documents = _documents("polnear")
    rows: list[Article] = []
    for number, text, document in _forever(documents):
        rows.append({"id": f"a{number}", "headline": document.headline, "text": text})
        if len(rows) == count:
            return name, rows
    raise AssertionError("unreachable: the documents are repeated for ever")


def sentences(count: int) -> tuple[str, list[Article]]:
    """The corpus's name, and so many sentences: BABE's, where it is to be had."""
    name, documents = _documents("babe")
    found: list[Article] = []
    for number, text, document in _forever(documents):
        if number < len(documents):
            parts = [text[s.start : s.end] for s in document.segments if s.field == "text"]
        else:
            parts = text.split("\n\n")
        found += [{"id": f"s{len(found) + n}", "text": part} for n, part in enumerate(parts)]
        if len(found) >= count:
            return name, found[:count]
    raise AssertionError("unreachable: the documents are repeated for ever")


def _documents(name: str) -> tuple[str, list[LabelledDocument]]:
    root = os.environ.get(ROOT_VARIABLE)
    chosen = name if root else "starter"
    splits = corpus(chosen).read(Path(root) if root else None)
    order = ("validation", "test", "train")
    return chosen, [document for split in order for document in splits.get(split, [])]


def _forever(documents: Iterable[LabelledDocument]) -> Iterator[tuple[int, str, LabelledDocument]]:
    """The documents again and again, each time with other words, so that none is a duplicate."""
    kept = list(documents)
    for number in itertools.count():
        document, again = kept[number % len(kept)], number // len(kept)
        text = document.text
        if again:
            text = "\n\n".join(f"In part {again}, {p}" for p in text.split("\n\n") if p.strip())
        yield number, text, document
