"""The headline check: does the body carry the headline's claim, with what attribution, and
which words are the headline's own? docs/headline_check.md says how to read the answer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from framelens.alignment import Alignment, Words, align, content_words, cosines, word_vectors
from framelens.decoding import DecodingConfig, Floats, sigmoid
from framelens.features import TokenizedSegment
from framelens.headline_attribution import cue_and_source, headline_attribution, is_hedge
from framelens.schema import (
    BIO_TAGS,
    Attribution,
    HeadlineCheck,
    OwnWording,
    ScoredSegment,
    Span,
)
from framelens.sentences import split_sentences, words_alone
from framelens.token_vectors import TokenVectors

MAX_HEADLINE = 1000
"""Longest headline, in code points, that is checked: what is longer is none."""

LEAD = 8
"""Body segments among which an article tells what its headline says, as news does.

Deeper in, some sentence always shares words with the headline: what it says is not what the
headline tells for sure, and it is chosen only with a score that is clearly better.
"""
_DEEP = 0.7  # what the score of a segment behind the lead counts in that choice

CHANCE = 0.13
"""Least score for "dropped", times the binary logarithm of half the number of body segments.

The best of many segments carries some of the headline by chance, and the more the more there are.
`benchmarks/headline_articles.py` measures what these limits give in whole articles.
"""
_RIVAL = 0.9  # share of the best score from which a segment of the outlet's says it as well
_DOUBT = 0.1  # a headline as near as that to being attributed has dropped nothing for sure

_Treatment = tuple[Span | None, Span | None, Attribution]
_NOT_ATTRIBUTED: _Treatment = (None, None, "none_needed")

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
    (n, 8) each. Page furniture is no body, nor is a line that repeats the headline; a text of
    more than `MAX_HEADLINE` code points is no headline. Without `vectors` words are compared by
    letters.
    """
    head = next((segment for segment in segments if segment.role == "headline"), None)
    if head is None or len(head.text) > MAX_HEADLINE:
        return None
    body = [s for s in segments if s.role == "body"]
    body = [s for s in _without_repetition(head.text, body) if s.label != "boilerplate"]
    if not body:
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
    best = int((scores * np.where(np.arange(len(body)) < LEAD, 1.0, _DEEP)).argmax())
    score = round(float(scores[best]), _DIGITS)
    if score < config.supported:
        return HeadlineCheck("unsupported", None, score, False, None, None, None)
    segment = body[best]
    threshold = decoding.thresholds["attributed"]

    def is_said() -> bool:
        return _carried_by_content(
            headline, tokenized[head.index], words[best], tokenized[segment.index], segment, vectors
        )

    def is_claim() -> bool:
        outlets = [_is_the_outlets(item, threshold) for item in body]
        return _is_the_claim(best, scores, outlets) and is_said()

    attributed = segment.scores["attributed"] >= threshold or (_has_cue(segment) and is_said())
    source, cue, attribution = (
        _treatment(head, segments, segment, threshold, is_claim) if attributed else _NOT_ATTRIBUTED
    )
    return HeadlineCheck(
        outcome="supported",
        segment=segment.index,
        score=score,
        attributed=attributed,
        source=source,
        cue=cue,
        attribution=attribution,
        own_wording=_own_wording(head, headline, alignment, best, loaded, config),
    )


def _treatment(
    head: ScoredSegment,
    segments: Sequence[ScoredSegment],
    segment: ScoredSegment,
    threshold: float,
    is_claim: Callable[[], bool],
) -> _Treatment:
    """To whom an attributed segment is attributed, in which words, and what the headline does.

    `is_claim` tells whether what the source says in the segment is surely what the headline tells;
    an attribution is said to be dropped only then, and where the headline has none for sure.
    """
    source, cue = cue_and_source(segments, segment.index)
    evidence = head.scores["attributed"]
    attribution = headline_attribution(
        head, segment, source, cue, headline_attributed=evidence >= threshold
    )
    sure = bool(source or cue) and evidence < threshold - _DOUBT
    if attribution == "dropped" and not (sure and is_claim()):
        attribution = "none_needed"
    return source, cue, attribution


def _has_cue(segment: ScoredSegment) -> bool:
    return any(span.type == "cue" for span in segment.spans)


def _carried_by_content(
    headline: Words,
    tokenized_headline: TokenizedSegment,
    words: Words,
    tokenized: TokenizedSegment,
    segment: ScoredSegment,
    vectors: TokenVectors | None,
) -> bool:
    """Whether what a source says in a segment carries as much of the headline as all the rest."""
    contents = [
        (span.start - segment.start, span.end - segment.start)
        for span in segment.spans
        if span.type == "content"
    ]
    inside = [any(first <= start < end for first, end in contents) for start in words.starts]
    if not any(inside):
        return False
    parts = [words.only(inside), words.only([not kept for kept in inside])]
    cosine = _cosines(headline, tokenized_headline, parts, [tokenized, tokenized], vectors)
    by_content, by_rest = align(headline, parts, cosine).similarity.sum(axis=1)
    return bool(by_content >= by_rest)


def _is_the_outlets(segment: ScoredSegment, threshold: float) -> bool:
    """Whether no source says anything in a segment."""
    reported = any(span.type == "content" for span in segment.spans)
    return segment.scores["attributed"] < threshold and not reported


def _is_the_claim(best: int, scores: Floats, outlets: Sequence[bool]) -> bool:
    """Whether an attributed segment, and none of the outlet's, is what the headline tells."""
    score = float(scores[best])
    rivals = np.where(outlets, scores, 0.0)
    rivals[best] = 0.0
    return (
        best < LEAD
        and score >= CHANCE * math.log2(max(len(scores) / 2, 1))
        and float(rivals.max()) <= _RIVAL * score
    )


def _without_repetition(headline: str, body: Sequence[ScoredSegment]) -> list[ScoredSegment]:
    """The body without the lines that repeat the headline, as texts drawn out of pages do."""
    head = [_bare(headline[start:end]) for start, end in split_sentences(headline)]
    longest = 2 * len(headline) + 8  # white space and marks in
    kept: list[ScoredSegment] = []
    at = 0
    while at < len(body):
        run = [segment.text for segment in body[at : at + len(head)]]
        if sum(map(len, run)) <= longest and [_bare(text) for text in run] == head:
            at += len(head)
        else:
            kept.append(body[at])
            at += 1
    return kept


def _bare(text: str) -> tuple[str, bool]:
    """A text's letters and digits without case, and whether a full stop ends it.

    A sentence of the body that only adds a full stop carries the claim and repeats nothing.
    """
    return words_alone(text) or text, "." in text[-2:]


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
