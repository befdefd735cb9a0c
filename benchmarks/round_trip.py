"""Gold spans through features, tags and decoding, and back: how many come out exactly?

usage: python benchmarks/round_trip.py CORPORA_ROOT [CORPUS]

Prints JSON: for each split the gold spans, those that come back with the very same offsets, and
the reasons of the others. A span over several segments comes out in parts that continue each
other; they are joined before the comparison.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

import batch_common  # noqa: F401  # it puts the tests' helpers on the path
from framelens.decoding import DecodingConfig, decode_spans
from framelens.schema import Field, SpanType
from framelens_training.config import Windows
from framelens_training.corpora.labelled import LabelledDocument
from framelens_training.corpora.reading import inside_word
from framelens_training.corpora.registry import corpus
from framelens_training.encoder import load_encoder
from framelens_training.targets import LabelledFeatures, featurize_document
from support import perfect_logits

Key = tuple[Field, SpanType, int, int]


def decoded(item: LabelledFeatures) -> set[Key]:
    """Spans in offsets of the document, parts joined."""
    found: list[Key] = []
    for span in decode_spans(item.features.segments, perfect_logits(item), DecodingConfig()):
        segment = item.document.segments[span.segment]
        key = (segment.field, span.type, segment.start + span.start, segment.start + span.end)
        if span.continues:
            before = max(i for i, other in enumerate(found) if other[1] == span.type)
            key = (found[before][0], span.type, found.pop(before)[2], key[3])
        found.append(key)
    return set(found)


def reason(document: LabelledDocument, key: Key, found: set[Key]) -> str:
    """Why a gold span did not come back."""
    field, kind, start, end = key
    text = document.field_text(field)
    inside = [s for s in document.segments if s.field == field and s.start < end and s.end > start]
    if not inside:
        return "outside every segment"
    if inside_word(text, start) or inside_word(text, end):
        return "begins or ends inside a word"
    same = {k for k in found if k[0] == field and k[1] == kind}
    if any(k[2] <= start and end <= k[3] for k in same):
        return "joined with a neighbour"
    if any(start < k[3] and k[2] < end for k in same):
        return "other borders"
    return "nothing found there"


def main(root: str, name: str = "polnear") -> None:
    """Measure every split of a corpus.

    Spans are compared in the fields of the document, not cut at the borders of segments as in the
    exact metrics: joining what was cut there is part of the way back.
    """
    featurizer = load_encoder("minilm-l6").featurizer(Windows())
    report = {}
    for split, documents in corpus(name).read(Path(root)).items():
        gold_count = exact = 0
        reasons: Counter[str] = Counter()
        for document in documents:
            found = decoded(featurize_document(document, featurizer))
            gold = {(s.field, s.type, s.start, s.end) for s in document.spans}
            gold_count += len(gold)
            exact += len(gold & found)
            reasons.update(reason(document, key, found) for key in gold - found)
        share = round(exact / max(gold_count, 1), 5)
        report[split] = {"gold": gold_count, "exact": exact, "share": share, "others": reasons}
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
