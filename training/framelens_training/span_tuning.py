"""Scores of one tag after another and thresholds of spans, fitted on validation data.

The network is trained word by word and does not know that a span which has begun tends to go
on, or that a cue follows a source. A CRF over its logits learns that in 49 numbers (Lafferty et
al. 2001); the logits stay as they are, so the numbers are fitted in seconds and cost nothing to
ship.

The logits have seen their context already, so the likelihood counts it twice, and the fitted
scores smooth too much. How much of them to take is therefore chosen by the exact-match F1 of
spans, and may be nothing. So is how likely a span has to be to be given: where probabilities are
right, half of the F1 that can be reached (Lipton et al. 2014, "Optimal Thresholding of
Classifiers to Maximize F1 Measure").
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from framelens.decoding import DecodingConfig, DocumentLogits, decode_spans, loaded_logits
from framelens.schema import ATTRIBUTION_TYPES, BIO_TAGS, SPAN_LOGITS, SPAN_TYPES, SpanType
from framelens.tag_chain import LOADED_TRANSITIONS, TRANSITIONS
from framelens_training.config import LOSS_PARTS, LossPart
from framelens_training.corpora.labelled import Annotated
from framelens_training.near_best import middle_of_near_best
from framelens_training.predictions import answerable, gold_spans, span_keys
from framelens_training.targets import IGNORE, LabelledFeatures, SegmentTargets

MIN_SPANS = 50
"""With fewer gold spans than this, nothing is fitted."""

_STRETCH = 64
"""Words of a training sequence; documents are cut, since their sequences are long."""
_PENALTY = 1e-3
_SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
_STEPS = 60
_NEVER = -1e4
_GRID = np.round(np.arange(0.2, 0.705, 0.01), 2)

Table = tuple[tuple[float, ...], ...]


def tune_spans(
    decoding: DecodingConfig,
    documents: Sequence[LabelledFeatures],
    logits: Sequence[DocumentLogits],
    learnt: Collection[LossPart] = LOSS_PARTS,
) -> DecodingConfig:
    """The decoding with transitions and thresholds of spans chosen; as it is where spans are few,
    and for layers that the model has not learnt.

    Of the transitions of loaded spans all is taken: their logits are not as sure of themselves.
    """
    items, outputs = _annotated("attribution_spans", documents, logits)
    table = fit_transitions(_tagged_words(items, outputs), TRANSITIONS)
    if table and "attribution_spans" in learnt:
        tried: list[tuple[float, DecodingConfig]] = []
        for share in _SHARES:
            one = replace(decoding, transitions=_scaled(table, share) if share else ())
            tried.append(_with_thresholds(one, ATTRIBUTION_TYPES, items, outputs))
        decoding = max(tried, key=lambda one: one[0])[1]
    items, outputs = _annotated("loaded_spans", documents, logits)
    table = fit_transitions(_loaded_words(items, outputs), LOADED_TRANSITIONS)
    if table and "loaded_spans" in learnt:
        one = replace(decoding, loaded_transitions=_scaled(table, 1.0))
        decoding = _with_thresholds(one, ("loaded",), items, outputs)[1]
    return decoding


def has_enough_spans(layer: LossPart, documents: Sequence[LabelledFeatures]) -> bool:
    """Whether `MIN_SPANS` spans of a layer begin in these documents."""
    targets = [target for item in documents for target in item.targets]
    tags = [_loaded_tags(t) if layer == "loaded_spans" else t.tags for t in targets]
    return sum(int((own % 2 == 1).sum()) for own in tags) >= MIN_SPANS


def _scaled(table: Table, share: float) -> Table:
    """A share of the scores, as a manifest has them."""
    return tuple(tuple(round(share * x, 4) for x in row) for row in table)


def _annotated(
    layer: Annotated, documents: Sequence[LabelledFeatures], logits: Sequence[DocumentLogits]
) -> tuple[list[LabelledFeatures], list[DocumentLogits]]:
    pairs = [
        (item, found)
        for item, found in zip(documents, logits, strict=True)
        if layer in item.document.annotated
    ]
    return [item for item, _ in pairs], [found for _, found in pairs]


def _with_thresholds(
    decoding: DecodingConfig,
    kinds: Sequence[SpanType],
    documents: Sequence[LabelledFeatures],
    logits: Sequence[DocumentLogits],
) -> tuple[float, DecodingConfig]:
    """The best thresholds of these types, and the mean of the types' F1 with them.

    The likeliest of overlapping spans is given, so that spans at a higher threshold are those
    at a lower one without the less likely: all thresholds are tried in one go. So each span is
    kept with its score and whether it is right by the rule of the module `span_counts`, and nothing
    is summed. Those in page furniture, whose threshold may not be chosen yet, are among them.
    """
    lowest = replace(decoding, span_thresholds=dict.fromkeys(SPAN_TYPES, float(_GRID[0])))
    gold = dict.fromkeys(kinds, 0)
    answers: dict[SpanType, list[tuple[float, bool]]] = {kind: [] for kind in kinds}
    for item, output in zip(documents, logits, strict=True):
        expected = set(gold_spans(item.document))
        for _, kind, *_ in expected:
            if kind in gold:
                gold[kind] += 1
        spans = decode_spans(item.features.segments, output.tokens, lowest)
        keys = span_keys(spans)
        counted = set(answerable(item.document, keys))
        for span, key in zip(spans, keys, strict=True):
            if span.type in answers and key in counted:
                answers[span.type].append((span.score, key in expected))
    chosen = {kind: _threshold(answers[kind], gold[kind]) for kind in kinds}
    thresholds = {kind: threshold for kind, (_, threshold) in chosen.items()}
    score = float(np.mean([f1 for f1, _ in chosen.values()]))
    return score, replace(decoding, span_thresholds={**decoding.span_thresholds, **thresholds})


def _threshold(answers: Sequence[tuple[float, bool]], gold: int) -> tuple[float, float]:
    """The F1 that is reached, and the threshold that reaches it (`middle_of_near_best`)."""
    if not gold or not answers:
        return 0.0, 0.5
    scores = np.array([score for score, _ in answers])
    right = np.array([is_right for _, is_right in answers])

    def f1(thresholds: NDArray[np.float64]) -> NDArray[np.float64]:
        given = scores >= thresholds[:, np.newaxis]
        reached: NDArray[np.float64] = 2 * (given & right).sum(axis=1) / (given.sum(axis=1) + gold)
        return reached

    threshold = middle_of_near_best(_GRID, f1(_GRID), gold)
    return float(f1(np.array([threshold]))[0]), threshold


Sequences = Iterable[tuple[NDArray[np.float32], NDArray[np.int64]]]
"""Logits (n, 1 + 2 k) and gold tags (n,) of words that follow each other."""


def fit_transitions(sequences: Sequences, moves: NDArray[np.float32]) -> Table:
    """(1 + 2 k, 1 + 2 k) scores on the scale of the logits; empty if there is too little to fit on.

    `moves` says by minus infinity what is forbidden; such moves get 0: decoding forbids them by
    itself.
    """
    scores, tags = _stretches(sequences)
    if not len(tags) or int((tags % 2 == 1).sum()) < MIN_SPANS:
        return ()
    return tuple(tuple(float(x) for x in row) for row in _fitted(scores, tags, moves))


def _fitted(scores: Tensor, tags: Tensor, moves: NDArray[np.float32]) -> NDArray[np.float32]:
    """The table with the least negative log-likelihood."""
    allowed = torch.from_numpy(np.isfinite(moves))
    table = torch.zeros(allowed.shape, requires_grad=True)
    optimizer = torch.optim.LBFGS([table], max_iter=_STEPS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        given = torch.where(allowed, table, _NEVER)
        value = _negative_log_likelihood(scores, tags, given) + _PENALTY * (table**2).mean()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    fitted: NDArray[np.float32] = torch.where(allowed, table.detach(), 0.0).numpy()
    return fitted


def _tagged_words(
    documents: Sequence[LabelledFeatures], logits: Sequence[DocumentLogits]
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int64]]]:
    """The words of each document, one after another."""
    for item, found in zip(documents, logits, strict=True):
        gold = np.concatenate([t.tags for t in item.targets] or [np.zeros(0, dtype=np.int64)])
        words = np.concatenate(found.tokens or [np.zeros((0, len(SPAN_LOGITS)), np.float32)])
        seen = gold != IGNORE
        yield words[seen, : len(BIO_TAGS)], gold[seen]


def _loaded_words(
    documents: Sequence[LabelledFeatures], logits: Sequence[DocumentLogits]
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int64]]]:
    """The words of each segment."""
    for item, found in zip(documents, logits, strict=True):
        for target, tokens in zip(item.targets, found.tokens, strict=True):
            yield loaded_logits(tokens[target.loaded != IGNORE]), _loaded_tags(target)


def _loaded_tags(target: SegmentTargets) -> NDArray[np.int64]:
    """Of each word of a segment: outside 0, the first of a loaded span 1, its others 2."""
    gold: NDArray[np.int64] = (target.loaded[target.loaded != IGNORE] == 1).astype(np.int64)
    gold[1:] += gold[1:] & gold[:-1]
    return gold


def _stretches(sequences: Sequences) -> tuple[Tensor, Tensor]:
    """Logits (n, 64, 1 + 2 k) and gold tags (n, 64), `IGNORE` after a stretch's end."""
    scores: list[NDArray[Any]] = []
    tags: list[NDArray[Any]] = []
    for words, gold in sequences:
        for start in range(0, len(gold), _STRETCH):
            part = gold[start : start + _STRETCH].copy()
            if part[0] > 0 and part[0] % 2 == 0:
                part[0] -= 1  # the stretch does not show what the span began with
            missing = _STRETCH - len(part)
            tags.append(np.pad(part, (0, missing), constant_values=IGNORE))
            scores.append(np.pad(words[start : start + _STRETCH], ((0, missing), (0, 0))))
    if not tags:
        return torch.zeros(0), torch.zeros(0, dtype=torch.int64)
    return torch.from_numpy(np.stack(scores)).float(), torch.from_numpy(np.stack(tags))


def _negative_log_likelihood(scores: Tensor, tags: Tensor, table: Tensor) -> Tensor:
    """Mean over words of the CRF's negative log-likelihood."""
    there = tags != IGNORE
    answer = tags.clamp(min=0)
    emitted = scores.gather(2, answer[..., None])[..., 0]
    moved = table[answer[:, :-1], answer[:, 1:]]
    gold = (emitted * there).sum() + (moved * there[:, 1:]).sum()
    first_inside = torch.arange(len(table)) % 2 == 0
    first_inside[0] = False
    reach = scores[:, 0].masked_fill(first_inside, _NEVER)
    for step in range(1, scores.shape[1]):
        following = torch.logsumexp(reach[:, :, None] + table, dim=1) + scores[:, step]
        reach = torch.where(there[:, step, None], following, reach)
    return (torch.logsumexp(reach, dim=1).sum() - gold) / there.sum()
