"""Span F1 as CofeNet's table has it: exact match on that paper's tokens and sentences.

The figures stand beside those of Wang et al. (2022), "CofeNet: Context and Former-Label
Enhanced Net for Complicated Quotation Extraction", on PolNeAR.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from framelens.decoding import DecodingConfig, Floats, decode_spans
from framelens.features import Featurizer
from framelens.schema import ATTRIBUTION_TYPES
from framelens_training.corpora.cofenet import TokenSentence, labelled_spans, project
from framelens_training.corpora.labelled import GoldSpan, LabelledDocument
from framelens_training.evaluation import SpanMetrics, span_metrics_of
from framelens_training.predictions import NetworkLike, predict
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
    metrics: dict[str, SpanMetrics] = {
        kind: span_metrics_of(*(
            {(name, *span) for name, sides in compared.items() for span in sides[side]
             if span[1] == kind}
            for side in (0, 1)
        ))
        for kind in ATTRIBUTION_TYPES
    }  # fmt: skip
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


def _keys(labels: Iterable[Iterable[str]]) -> set[TokenKey]:
    return {(number, *span) for number, row in enumerate(labels) for span in labelled_spans(row)}


def with_spans(
    item: LabelledFeatures, tokens: Sequence[Floats], decoding: DecodingConfig
) -> LabelledDocument:
    """The document with a model's attribution spans instead of its own.

    A span that continues one of the segment before is joined to it: the protocol's sentences
    are not our segments.
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
