"""Span F1 as CofeNet's table has it: exact match on that paper's tokens and sentences.

The figures stand beside those of Wang et al. (2022), "CofeNet: Context and Former-Label
Enhanced Net for Complicated Quotation Extraction", on PolNeAR.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from framelens.decoding import DecodingConfig, Floats, decode_spans
from framelens.features import Featurizer
from framelens.schema import ATTRIBUTION_TYPES, SpanType
from framelens_training.corpora.cofenet import TokenSentence, labelled_spans, project
from framelens_training.corpora.labelled import GoldSpan, LabelledDocument
from framelens_training.evaluation import SpanMetrics
from framelens_training.predictions import NetworkLike, article_count, article_numbers, predict
from framelens_training.span_counts import exact_matches, summed
from framelens_training.targets import LabelledFeatures, featurize_document

TokenKey = tuple[int, str, int, int]
"""Sentence, type, first token and one past the last."""


@dataclass(frozen=True, slots=True)
class CofenetScores:
    """Exact-match metrics by span type; `unread` sentences belong to no given document."""

    spans: Mapping[str, SpanMetrics]
    sentences: int
    unread: int


def cofenet_scores(
    network: NetworkLike,
    featurizer: Featurizer,
    decoding: DecodingConfig,
    documents: Sequence[LabelledDocument],
    sentences: Sequence[TokenSentence],
) -> CofenetScores:
    """Read PolNeAR documents as serving does and score the spans on CofeNet's sentences.

    Gold is the sentences' own labels. `documents` are those of the reader of PolNeAR, whose
    ids end in the sentences' `document`.
    """
    features = [featurize_document(document, featurizer) for document in documents]
    found = {
        item.document.id: with_spans(item, logits.tokens, decoding)
        for item, logits in zip(features, predict(network, features), strict=True)
    }
    return score_documents(found, sentences)


def score_documents(
    found: Mapping[str, LabelledDocument], sentences: Sequence[TokenSentence]
) -> CofenetScores:
    """Score documents that carry a model's spans, by id."""
    compared = compare_documents(found, sentences)
    counts = summed(exact_matches(*sides, ATTRIBUTION_TYPES) for sides in compared.values())
    metrics: dict[str, SpanMetrics] = {
        kind: SpanMetrics.of(*counts.get(kind, (0, 0, 0))) for kind in ATTRIBUTION_TYPES
    }
    unread = sum(f"polnear/{sentence.document}" not in compared for sentence in sentences)
    return CofenetScores(metrics, len(sentences), unread)


def compare_documents(
    found: Mapping[str, LabelledDocument], sentences: Sequence[TokenSentence]
) -> dict[str, tuple[set[TokenKey], set[TokenKey]]]:
    """Gold and answered spans of each document that has sentences, by its id."""
    own: dict[str, list[TokenSentence]] = {}
    for sentence in sentences:
        own.setdefault(f"polnear/{sentence.document}", []).append(sentence)
    compared: dict[str, tuple[set[TokenKey], set[TokenKey]]] = {}
    for name, rows in own.items():
        if name in found:
            labels = project(found[name], rows)
            gold = [sentence.labels for sentence in rows]
            compared[name] = (_keys(gold), _keys(labels))
    return compared


def cofenet_counts(
    answered: Sequence[LabelledDocument], sentences: Sequence[TokenSentence]
) -> dict[SpanType, NDArray[np.float64]]:
    """By type, for each article (a, 3): spans that are right, found, expected.

    The documents carry a model's spans (`with_spans`).
    """
    compared = compare_documents({document.id: document for document in answered}, sentences)
    documents = [document for document in answered if document.id in compared]
    numbers = article_numbers(documents)
    counts = {
        kind: np.zeros((article_count(documents), 3), dtype=np.float64)
        for kind in ATTRIBUTION_TYPES
    }
    for document, article in zip(documents, numbers, strict=True):
        matches = exact_matches(*compared[document.id], ATTRIBUTION_TYPES)
        for kind, own in matches.items():
            counts[kind][article] += own
    return counts


def _keys(labels: Iterable[Iterable[str]]) -> set[TokenKey]:
    return {(number, *span) for number, row in enumerate(labels) for span in labelled_spans(row)}


def with_spans(
    item: LabelledFeatures, tokens: Sequence[Floats], decoding: DecodingConfig
) -> LabelledDocument:
    """The document with a model's attribution spans instead of its own.

    A span that continues one of the segment before is joined to it: the protocol's sentences
    are not our segments, and nothing in them is page furniture, so that spans count anywhere.
    """
    spans: list[GoldSpan] = []
    for span in decode_spans(item.features.segments, tokens, decoding):
        segment = item.document.segments[span.segment]
        if span.type == "loaded":
            continue
        start, end = segment.start + span.start, segment.start + span.end
        last = spans[-1] if spans else None
        if span.continues and last and (last.type, last.field) == (span.type, segment.field):
            spans[-1] = replace(last, end=end)
        else:
            spans.append(GoldSpan(segment.field, span.type, start, end))
    return replace(item.document, spans=tuple(spans))
