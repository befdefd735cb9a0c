"""The headline check: does the body carry the headline's claim, with what attribution, and
which words are the headline's own? docs/headline_check.md says how to read the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from framelens.alignment import Alignment, Words, align, content_words, cosines, word_vectors
from framelens.decoding import DecodingConfig, Floats, sigmoid
from framelens.dropped_attribution import LEAD, SURE, DroppedSigns, dropped_signs
from framelens.features import TokenizedSegment
from framelens.headline_attribution import headline_attribution, is_hedge, speaker_of
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

_DEEP = 0.7  # what the score of a segment behind the lead counts: one shares words there always

_Treatment = tuple[Span | None, Span | None, Attribution, float | None]
_NOT_ATTRIBUTED: _Treatment = (None, None, "none_needed", None)

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
    opening: Sequence[bool] | None = None,
) -> HeadlineCheck | None:
    """Hold a document's headline against its body; None if it lacks either.

    `tokenized` and `tokens` are the word pieces of the same segments and their span logits,
    (n, 8) each. Page furniture is no body, nor is a paragraph at its top that repeats the
    headline: `opening` tells which segments begin one, by default all. A text of more than
    `MAX_HEADLINE` code points is no headline. Without `vectors` words are compared by letters.
    """
    head = next((segment for segment in segments if segment.role == "headline"), None)
    if head is None or len(head.text) > MAX_HEADLINE:
        return None
    body = _body(head.text, segments, opening or [True] * len(segments))
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
    if scores[best] < config.supported:  # one behind the lead may carry more all the same
        best = int(scores.argmax())
    score = round(float(scores[best]), _DIGITS)
    if score < config.supported:
        return HeadlineCheck("unsupported", None, score, False, None, None, None)
    segment = body[best]
    threshold = decoding.thresholds["attributed"]

    def carried(parts: Sequence[Words]) -> Floats:
        tokens_of = [tokenized[segment.index]] * len(parts)
        cosine = _cosines(headline, tokenized[head.index], parts, tokens_of, vectors)
        found: Floats = align(headline, parts, cosine).similarity @ alignment.shares()
        return found

    def said() -> float:
        by_content, by_rest = carried(_content_and_rest(words[best], segment))
        return float(by_content - by_rest)

    def carried_by(span: Span) -> float:
        return float(carried([words[best].only(_inside(words[best], segment, [span]))])[0])

    def signs() -> DroppedSigns:
        return dropped_signs(head, body, scores, best, said(), threshold)

    attributed = segment.scores["attributed"] >= threshold or (
        _has_cue_and_content(segment) and said() >= 0
    )
    source, cue, attribution, dropped_score = (
        _treatment(head, segments, segment, threshold, carried_by, signs)
        if attributed
        else _NOT_ATTRIBUTED
    )
    return HeadlineCheck(
        outcome="supported",
        segment=segment.index,
        score=score,
        attributed=attributed,
        source=source,
        cue=cue,
        attribution=attribution,
        dropped_score=dropped_score,
        own_wording=_own_wording(head, headline, alignment, best, loaded, config),
    )


def _treatment(
    head: ScoredSegment,
    segments: Sequence[ScoredSegment],
    segment: ScoredSegment,
    threshold: float,
    carried_by: Callable[[Span], float],
    signs: Callable[[], DroppedSigns],
) -> _Treatment:
    """To whom an attributed segment is attributed, in which words, and what the headline does.

    Last comes the probability that it drops the attribution: where it shows none, the segment has
    a source or a cue, and nothing rules it out.
    """
    speaker = speaker_of(segments, segment.index, carried_by)
    source, cue = speaker.source, speaker.cue
    is_attributed = head.scores["attributed"] >= threshold
    attribution = headline_attribution(head, segment, speaker, headline_attributed=is_attributed)
    if attribution != "dropped":
        return source, cue, attribution, None
    if not (source or cue) or (found := signs()).rule_it_out:
        return source, cue, "none_needed", None
    score = round(found.probability(), _DIGITS)
    return source, cue, "dropped" if score >= SURE else "none_needed", score


def _has_cue_and_content(segment: ScoredSegment) -> bool:
    return {"cue", "content"} <= {span.type for span in segment.spans}


def _content_and_rest(words: Words, segment: ScoredSegment) -> tuple[Words, Words]:
    """The words in which a source of a segment says something, and its other words."""
    inside = _inside(words, segment, [span for span in segment.spans if span.type == "content"])
    return words.only(inside), words.only([not kept for kept in inside])


def _inside(words: Words, segment: ScoredSegment, spans: Sequence[Span]) -> list[bool]:
    places = [(span.start - segment.start, span.end - segment.start) for span in spans]
    return [any(first <= start < end for first, end in places) for start in words.starts]


def _body(
    headline: str, segments: Sequence[ScoredSegment], opening: Sequence[bool]
) -> list[ScoredSegment]:
    """The body without page furniture, and without the paragraphs at its top that repeat the
    headline, as texts drawn out of pages do.
    """
    head = [_bare(headline[start:end]) for start, end in split_sentences(headline)]
    longest = 2 * len(headline) + 8  # white space and marks in
    body = [segment for segment in segments if segment.role == "body"]
    kept: list[ScoredSegment] = []
    at = 0
    while at < len(body):
        run = body[at : at + len(head)]
        if (
            len(kept) < LEAD
            and _are_paragraphs(run, opening)
            and sum(len(segment.text) for segment in run) <= longest
            and [_bare(segment.text) for segment in run] == head
        ):
            at += len(head)
            continue
        if body[at].label != "boilerplate":
            kept.append(body[at])
        at += 1
    return kept


def _are_paragraphs(run: Sequence[ScoredSegment], opening: Sequence[bool]) -> bool:
    """Whether consecutive segments are a whole paragraph, or several."""
    behind = run[-1].index + 1
    return opening[run[0].index] and (behind == len(opening) or opening[behind])


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
        if (
            found
            and found[-1][-1] == at - 1
            and _is_one_stretch(head.text[headline.ends[at - 1] : start])
        ):
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


def _is_one_stretch(between: str) -> bool:
    """Whether two words with this text between them belong to one stretch of wording."""
    return not any(mark in between for mark in ",:;–—?!.") and len(between.split()) <= 2
