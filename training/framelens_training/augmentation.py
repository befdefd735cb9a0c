"""Texts near those of a corpus, made by rule, for teachers to answer and students to learn.

What a teacher says of the sentences that it was trained on is little more than their labels, and
other news has few sentences like them. So each is changed in several ways (words for their
neighbours, two halves of different sentences, a gap), and the teacher's answers for what comes
out are learnt: data augmentation for distillation (TinyBERT, Jiao et al. 2020, sections 3.2 and
A). What is made has no label, and need not be good English. Nothing of it is stored but the
teachers' answers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS
from tokenizers import Tokenizer

from framelens.schema import Field
from framelens_training.corpora.labelled import FIELDS, GoldSegment, LabelledDocument
from framelens_training.encoder import Encoder

NEIGHBOURS = 12
"""Most words that may stand for a word."""
MIN_COSINE = 0.25
"""Least likeness of a neighbour: below it the nearest word is a random one."""
MIN_LETTERS = 3
MIN_WORDS = 6
"""Fewest words of a sentence that is cut."""

_SHARES = (0.2, 0.35, 0.5)
"""How many of the words are exchanged, one of these by chance."""
_SPLICED, _GAPPED = 0.25, 0.15
"""How often a sentence is spliced with another one, or loses a stretch."""
_SPLICED_AND_EXCHANGED = 0.7
_SHARE_SPLICED, _SHARE_GAPPED = 0.2, 0.25
"""How many of the words are exchanged in such a sentence."""
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_BLOCK = 256
"""Words that are compared with the vocabulary at once."""

Neighbours = Mapping[str, Sequence[str]]
"""For a word, those that may stand for it, the nearest first."""


def augmented(
    documents: Sequence[LabelledDocument], copies: int, neighbours: Neighbours
) -> list[LabelledDocument]:
    """`copies` changed copies of each document, without labels.

    Every segment is changed for itself, and those of an article stay in their order, so that a
    copy is read in company as its original is. The copies depend on the texts and the words'
    neighbours alone, not on a run's seed, so that one asking serves all seeds.
    """
    generator = np.random.default_rng(0)
    pools: dict[Field, list[str]] = {}
    for document in documents:
        for segment in document.segments:
            pools.setdefault(segment.field, []).append(document.segment_text(segment))

    def copy_of(document: LabelledDocument, number: int) -> LabelledDocument:
        made: dict[Field, list[str]] = {}
        for segment in document.segments:
            text = document.segment_text(segment)
            other = changed(text, pools[segment.field], neighbours, generator)
            made.setdefault(segment.field, []).append(other)
        return _assembled(f"{document.id}~{number}", made)

    return [copy_of(document, number) for document in documents for number in range(copies)]


def changed(
    sentence: str, others: Sequence[str], neighbours: Neighbours, generator: np.random.Generator
) -> str:
    """One changed copy; white space becomes single spaces."""
    words = sentence.split()
    way = generator.random()
    if way < _SPLICED:
        words = _spliced(words, others[int(generator.integers(len(others)))].split(), generator)
        share = _SHARE_SPLICED if generator.random() < _SPLICED_AND_EXCHANGED else 0.0
    elif way < _SPLICED + _GAPPED:
        words, share = _gapped(words, generator), _SHARE_GAPPED
    else:
        share = _SHARES[int(generator.integers(len(_SHARES)))]
    return _exchanged(" ".join(words), share, neighbours, generator)


def word_neighbours(encoder: Encoder, texts: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """For each word of the texts, in lower case, the words of the vocabulary nearest to it.

    Near are words whose embeddings, before any layer, have a high cosine. Function words have no
    neighbours, nor have words of several pieces: names, mostly.
    """
    vocabulary = _whole_words(encoder.tokenizer)
    names = list(vocabulary)
    place = {name: number for number, name in enumerate(names)}
    found = {word.lower() for text in texts for word in _WORD.findall(text)}
    asked = sorted(word for word in found - ENGLISH_STOP_WORDS if word in place)
    table = encoder.module.get_input_embeddings().weight.detach().cpu().double().numpy()
    vectors = table[list(vocabulary.values())]
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    neighbours: dict[str, tuple[str, ...]] = {}
    for start in range(0, len(asked), _BLOCK):
        block = asked[start : start + _BLOCK]
        own = [place[word] for word in block]
        # Rounded, so that the order does not depend on the machine's arithmetic.
        cosines = (vectors[own] @ vectors.T).round(9)
        cosines[np.arange(len(own)), own] = -1.0
        for word, row in zip(block, cosines, strict=True):
            near = np.flatnonzero(row >= MIN_COSINE)
            nearest = near[np.argsort(-row[near], kind="stable")][:NEIGHBOURS]
            if len(nearest):
                neighbours[word] = tuple(names[number] for number in nearest.tolist())
    return neighbours


def _whole_words(tokenizer: Tokenizer) -> dict[str, int]:
    """The words, in lower case and without function words, that are one piece; each with its id."""
    own = Tokenizer.from_str(tokenizer.to_str())
    own.no_padding()
    own.no_truncation()
    pieces = [own.decode([number]).strip() for number in range(own.get_vocab_size())]
    encodings = own.encode_batch(pieces, add_special_tokens=False)
    return {
        piece: number
        for number, (piece, encoding) in enumerate(zip(pieces, encodings, strict=True))
        if encoding.ids == [number]
        and piece.isalpha()
        and piece.islower()
        and len(piece) >= MIN_LETTERS
        and piece not in ENGLISH_STOP_WORDS
    }


def _exchanged(
    text: str, share: float, neighbours: Neighbours, generator: np.random.Generator
) -> str:
    def exchange(match: re.Match[str]) -> str:
        word = match.group()
        known = neighbours.get(word.lower())
        if not known or generator.random() >= share:
            return word
        other = known[int(generator.integers(len(known)))]
        if len(word) > 1 and word.isupper():
            return other.upper()
        return other.capitalize() if word[0].isupper() else other

    return _WORD.sub(exchange, text)


def _spliced(first: list[str], second: list[str], generator: np.random.Generator) -> list[str]:
    """The beginning of one sentence and the end of another, each cut in its middle half."""
    if min(len(first), len(second)) < MIN_WORDS:
        return first
    ends = [
        int(generator.integers(len(words) // 4, 3 * len(words) // 4 + 1))
        for words in (first, second)
    ]
    return first[: ends[0]] + second[ends[1] :]


def _gapped(words: list[str], generator: np.random.Generator) -> list[str]:
    """A sentence without a stretch of up to a third of it; its last word stays."""
    if len(words) < MIN_WORDS:
        return words
    size = int(generator.integers(1, len(words) // 3 + 1))
    start = int(generator.integers(len(words) - size))
    return words[:start] + words[start + size :]


def _assembled(id: str, segments: Mapping[Field, Sequence[str]]) -> LabelledDocument:
    """A document of such segments, a line each."""
    gold: list[GoldSegment] = []
    for field in FIELDS:
        start = 0
        for text in segments.get(field, ()):
            gold.append(GoldSegment(field, start, start + len(text)))
            start += len(text) + 1
    fields = {field: "\n".join(segments.get(field, ())) for field in FIELDS}
    headline = fields["headline"] if "headline" in segments else None
    return LabelledDocument(id, fields["text"], headline, segments=tuple(gold))
