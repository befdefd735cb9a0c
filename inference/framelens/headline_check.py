"""The headline check: does the body carry the headline's claim, with what attribution, and
which words are the headline's own? docs/headline_check.md says how to read the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from framelens.alignment import Alignment, Words, align, content_words, cosines, word_vectors
from framelens.decoding import DecodingConfig, Floats, sigmoid
from framelens.features import TokenizedSegment
from framelens.headline_attribution import cue_and_source, headline_attribution, is_hedge
from framelens.schema import BIO_TAGS, HeadlineCheck, OwnWording, ScoredSegment
from framelens.token_vectors import TokenVectors

MAX_HEADLINE = 1000
"""Longest headline, in code points, that is checked: what is longer is none."""

_BLOCK = 64  # body segments whose vectors are in memory at once
_DIGITS = 4
_LOADED = 0.5  # a word of the headline's source or cue that is not loaded is nobody's wording


@dataclass(frozen=True, slots=True)
class CheckConfig:
    """Limits of the check, tuned on the tuning part of the headline pairs."""

    supported: float
    """Least score of an aligned segment."""
    backed: float
    """Least similarity with which a word of the body stands behind one of the headline."""
    loaded_margin: float
    """How much nearer a word has to be for one that is surely loaded."""
    elsewhere: float
    """What the similarity of a word outside the aligned segment counts."""


BY_EMBEDDINGS = CheckConfig(supported=0.2, backed=0.125, loaded_margin=0.1, elsewhere=0.7)
BY_LETTERS = CheckConfig(supported=0.1, backed=0.5, loaded_margin=0.0, elsewhere=1.0)


def check_headline(
    segments: Sequence[ScoredSegment],
    tokenized: Sequence[TokenizedSegment],
    tokens: Sequence[Floats],
    decoding: DecodingConfig,
    vectors: TokenVectors | None = None,
) -> HeadlineCheck | None:
    """Hold a document's headline against its body; None if it lacks either.

    `tokenized` and `tokens` are the word pieces of the same segments and their span logits,
    (n, 8) each. Page furniture is no body, and a text of more than `MAX_HEADLINE` code points
    no headline. Without `vectors` words are compared by letters.
    """
    head = next((segment for segment in segments if segment.role == "headline"), None)
    body = [s for s in segments if s.role == "body" and s.label != "boilerplate"]
    if head is None or not body or len(head.text) > MAX_HEADLINE:
        return None
    headline = content_words(head.text, tokenized[head.index])
    loaded = _loaded(headline, tokenized[head.index], tokens[head.index])
    words = [content_words(s.text, tokenized[s.index]) for s in body]
    cosine = _cosines(
        headline, tokenized[head.index], words, [tokenized[s.index] for s in body], vectors
    )
    config = BY_LETTERS if cosine is None else BY_EMBEDDINGS
    alignment = align(headline, words, cosine)
    scores = alignment.scores()
    best = int(scores.argmax())
    score = round(float(scores[best]), _DIGITS)
    if score < config.supported:
        return HeadlineCheck("unsupported", None, score, False, None, None, None)
    segment = body[best]
    threshold = decoding.thresholds["attributed"]
    attributed = segment.scores["attributed"] >= threshold
    source, cue = cue_and_source(segments, segment.index) if attributed else (None, None)
    return HeadlineCheck(
        outcome="supported",
        segment=segment.index,
        score=score,
        attributed=attributed,
        source=source,
        cue=cue,
        attribution=(
            headline_attribution(
                head,
                segment,
                source,
                cue,
                headline_attributed=head.scores["attributed"] >= threshold,
            )
            if attributed
            else "none_needed"
        ),
        own_wording=_own_wording(head, headline, alignment, best, loaded, config),
    )


def _cosines(
    headline: Words,
    segment: TokenizedSegment,
    body: Sequence[Words],
    segments: Sequence[TokenizedSegment],
    vectors: TokenVectors | None,
) -> Floats | None:
    """How near the body's words come to the headline's, (m, n); None without embeddings."""
    ours = None if vectors is None else word_vectors([headline], [segment], vectors)
    if vectors is None or ours is None:
        return None
    found: list[Floats] = []
    for first in range(0, len(body), _BLOCK):
        block = slice(first, first + _BLOCK)
        theirs = word_vectors(body[block], segments[block], vectors)
        if theirs is None:
            return None
        found.append(cosines(body[block], ours, theirs))
    return np.concatenate(found)


def _loaded(headline: Words, segment: TokenizedSegment, logits: Floats) -> Floats:
    """Probability that each content word of the headline is loaded, (n,)."""
    first_pieces = logits[segment.words][list(headline.positions)]
    return sigmoid(first_pieces[:, len(BIO_TAGS)])


def _own_wording(
    head: ScoredSegment,
    headline: Words,
    alignment: Alignment,
    best: int,
    loaded: Floats,
    config: CheckConfig,
) -> tuple[OwnWording, ...]:
    behind = np.maximum(
        alignment.similarity[best], config.elsewhere * alignment.similarity.max(axis=0)
    )
    own = behind < config.backed + config.loaded_margin * loaded
    framing = [
        (span.start - head.start, span.end - head.start)
        for span in head.spans
        if span.type in ("source", "cue")
    ]
    found: list[list[int]] = []
    for at, (start, end) in enumerate(zip(headline.starts, headline.ends, strict=True)):
        if not own[at]:
            continue
        if loaded[at] < _LOADED and (
            is_hedge(head.text[start:end]) or any(a <= start < b for a, b in framing)
        ):
            continue
        if found and found[-1][-1] == at - 1 and _joined(head.text[headline.ends[at - 1] : start]):
            found[-1].append(at)
        else:
            found.append([at])
    return tuple(
        OwnWording(
            head.start + headline.starts[run[0]],
            head.start + headline.ends[run[-1]],
            head.text[headline.starts[run[0]] : headline.ends[run[-1]]],
            round(float(loaded[run].mean()), _DIGITS),
        )
        for run in found
    )


def _joined(between: str) -> bool:
    """Whether two words with this text between them belong to one stretch of wording."""
    return not any(mark in between for mark in ",:;–—?!.") and len(between.split()) <= 2
