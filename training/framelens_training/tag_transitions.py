"""Scores of one tag after another, fitted on validation data: a linear-chain CRF's, post hoc.

The network is trained word by word and does not know that a span which has begun tends to go
on, or that a cue follows a source. A CRF over its logits learns that in 49 numbers (Lafferty et
al. 2001); the logits stay as they are, so the numbers are fitted in seconds and cost nothing to
ship.

The logits have seen their context already, so the likelihood counts it twice, and the fitted
scores smooth too much. How much of them to take is therefore chosen by the exact-match F1 of
spans, and may be nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from framelens.decoding import TRANSITIONS, DocumentLogits, tag_runs, viterbi
from framelens.schema import ATTRIBUTION_TYPES, BIO_TAGS
from framelens_training.model import IGNORE
from framelens_training.targets import LabelledFeatures

MIN_SPANS = 50
"""With fewer gold spans than this, no transitions are fitted."""

_STRETCH = 64
"""Words of a training sequence; documents are cut, since their sequences are long."""
_PENALTY = 1e-3
_SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
_STEPS = 60
_NEVER = -1e4


def fit_transitions(
    documents: Sequence[LabelledFeatures], logits: Sequence[DocumentLogits]
) -> tuple[tuple[float, ...], ...]:
    """(7, 7) scores for `DecodingConfig.transitions`; empty if there is too little to fit on.

    Moves that the BIO scheme forbids get 0: decoding forbids them by itself.
    """
    scores, tags = _stretches(documents, logits)
    if not len(tags) or int(((tags > 0) & (tags % 2 == 1)).sum()) < MIN_SPANS:
        return ()
    table = _fitted(scores, tags)
    f1 = [_span_f1(scores, tags, share * table) for share in _SHARES]
    best = _SHARES[int(np.argmax(f1))]
    return tuple(tuple(round(float(x), 4) for x in row) for row in best * table) if best else ()


def _fitted(scores: Tensor, tags: Tensor) -> NDArray[np.float32]:
    """The table with the least negative log-likelihood."""
    allowed = torch.from_numpy(np.isfinite(TRANSITIONS))
    table = torch.zeros(len(BIO_TAGS), len(BIO_TAGS), requires_grad=True)
    optimizer = torch.optim.LBFGS([table], max_iter=_STEPS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        moves = torch.where(allowed, table, _NEVER)
        value = _negative_log_likelihood(scores, tags, moves) + _PENALTY * (table**2).mean()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    fitted: NDArray[np.float32] = torch.where(allowed, table.detach(), 0.0).numpy()
    return fitted


def _span_f1(scores: Tensor, tags: Tensor, table: NDArray[np.float32]) -> float:
    """Exact-match F1 of the spans of all types, mean over the types."""
    gold: set[tuple[str, int, int, int]] = set()
    found: set[tuple[str, int, int, int]] = set()
    for number, (logits, answer) in enumerate(zip(scores.numpy(), tags.numpy(), strict=True)):
        size = int((answer != IGNORE).sum())
        for spans, sequence in (
            (gold, answer[:size]),
            (found, viterbi(logits[:size], table)),
        ):
            spans |= {(kind, number, a, b) for kind, a, b, _ in tag_runs(sequence)}
    values = []
    for kind in ATTRIBUTION_TYPES:
        wanted, given = ({s for s in spans if s[0] == kind} for spans in (gold, found))
        values.append(2 * len(wanted & given) / max(len(wanted) + len(given), 1))
    return float(np.mean(values))


def _stretches(
    documents: Sequence[LabelledFeatures], logits: Sequence[DocumentLogits]
) -> tuple[Tensor, Tensor]:
    """Word logits (n, 64, 7) and gold tags (n, 64), `IGNORE` after a stretch's end."""
    scores: list[NDArray[Any]] = []
    tags: list[NDArray[Any]] = []
    for item, found in zip(documents, logits, strict=True):
        if "attribution_spans" not in item.document.annotated:
            continue
        gold = np.concatenate([t.tags for t in item.targets] or [np.zeros(0, dtype=np.int64)])
        seen = gold != IGNORE
        words = np.concatenate(
            [t[:, : len(BIO_TAGS)] for t in found.tokens]
            or [np.zeros((0, len(BIO_TAGS)), np.float32)]
        )[seen]
        gold = gold[seen]
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
    first_inside = torch.arange(len(BIO_TAGS)) % 2 == 0
    first_inside[0] = False
    reach = scores[:, 0].masked_fill(first_inside, _NEVER)
    for step in range(1, scores.shape[1]):
        following = torch.logsumexp(reach[:, :, None] + table, dim=1) + scores[:, step]
        reach = torch.where(there[:, step, None], following, reach)
    return (torch.logsumexp(reach, dim=1).sum() - gold) / there.sum()
