"""PolNeAR's sentences as CofeNet's experiments saw them: CoreNLP tokens with BIO labels.

`project` puts the spans of our documents onto those tokens, so that figures can be compared
with that protocol (exact match of spans within a sentence).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from framelens.schema import ATTRIBUTION_TYPES
from framelens_training.corpora.labelled import CorpusError, LabelledDocument, Problem

_BRACKETS = {
    "-LRB-": "(", "-RRB-": ")", "-LSB-": "[", "-RSB-": "]", "-LCB-": "{", "-RCB-": "}",
}  # fmt: skip
_SIGNS = str.maketrans({
    **dict.fromkeys("“”„«»`‘’'\"", "'"),
    **dict.fromkeys("–—", "-"),
    "…": "...",
    "\\": "",
})  # fmt: skip
"""Signs that CoreNLP rewrites, brought to one form on both sides."""
_SAME = 12
"""Code points that must agree for the two sides to be in step again after a difference."""
_REACH = 120
"""Most code points that are skipped on both sides together to get in step again."""


@dataclass(frozen=True, slots=True)
class TokenSentence:
    """One sentence: its document (article and annotator), tokens, and a BIO label for each."""

    document: str
    tokens: tuple[str, ...]
    labels: tuple[str, ...]


def read_sentences(path: Path) -> list[TokenSentence]:
    """Read a file of sentences, one JSON object a line with `id`, `tokens` and `labels`.

    Raises:
        CorpusError: with every line that cannot be read.
        FileNotFoundError: if there is no such file.
    """
    sentences: list[TokenSentence] = []
    problems: list[Problem] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            sentence = TokenSentence(row["id"], tuple(row["tokens"]), tuple(row["labels"]))
        except (ValueError, KeyError, TypeError) as error:
            problems.append(Problem(f"{path}:{number}", f"expected id, tokens, labels: {error!r}"))
            continue
        if len(sentence.tokens) != len(sentence.labels):
            problems.append(Problem(
                f"{path}:{number}",
                f"expected a label for each of {len(sentence.tokens)} tokens, found "
                f"{len(sentence.labels)}",
            ))  # fmt: skip
        sentences.append(sentence)
    if problems:
        raise CorpusError(problems)
    return sentences


def validation_sentences(root: Path) -> list[TokenSentence]:
    """The sentences of PolNeAR's validation part, below the folder of the public corpora."""
    return read_sentences(root / "polnear/cofenet_valid.jsonl")


def project(
    document: LabelledDocument, sentences: Sequence[TokenSentence]
) -> list[tuple[str, ...]]:
    """BIO labels of a document's attribution spans on the tokens of its sentences, in order.

    A token belongs to the span that covers more than half of it; a token that is not found in
    the text carries on the span of the one before, if the one after is in it too. Spans begin
    anew in each sentence.
    """
    headline = document.headline or ""
    text = f"{headline}\n{document.text}"
    shift = len(headline) + 1
    spans = sorted(
        (span.start + base, span.end + base, span.type)
        for span in document.spans
        if span.type in ATTRIBUTION_TYPES
        for base in [0 if span.field == "headline" else shift]
    )
    labels: list[tuple[str, ...]] = []
    for extents in align([sentence.tokens for sentence in sentences], text):
        owners = [_owner(extent, spans) for extent in extents]
        row: list[str] = []
        previous: int | None = None
        for index, owner in enumerate(owners):
            if extents[index] is None and previous in owners[index + 1 : index + 2]:
                owner = previous
            if owner is None:
                row.append("O")
            else:
                row.append(f"{'I' if owner == previous else 'B'}-{spans[owner][2]}")
            previous = owner
        labels.append(tuple(row))
    return labels


def _owner(extent: tuple[int, int] | None, spans: Sequence[tuple[int, int, str]]) -> int | None:
    """Index of the span that covers more than half of an extent."""
    if extent is None:
        return None
    start, end = extent
    for index, (a, b, _) in enumerate(spans):
        if 2 * (min(b, end) - max(a, start)) > end - start:
            return index
    return None


def align(sentences: Sequence[Sequence[str]], text: str) -> list[list[tuple[int, int] | None]]:
    """Where each token of each sentence stands in a text; `None` for one that is not there.

    Both sides are compared letter by letter, without white space and with signs in one form.
    A sentence is expected behind the one before and otherwise looked for in the whole text
    (some stand out of order); where it differs from the text, the shortest stretch is skipped
    after which the two agree again.
    """
    right = _letters([text])
    b = "".join(sign for _, _, sign in right)
    extents: list[list[tuple[int, int] | None]] = []
    at = 0
    for tokens in sentences:
        left = _letters([_BRACKETS.get(token, token) for token in tokens])
        a = "".join(sign for _, _, sign in left)
        start = at if b.startswith(a, at) else b.find(a)
        if start < 0:
            start = at
        found: dict[int, list[int]] = {}
        i, j = 0, start
        while i < len(a) and j < len(b):
            if a[i] != b[j]:
                step = _resynchronise(a, b, i, j)
                if step is None:
                    break
                i, j = i + step[0], j + step[1]
                continue
            found.setdefault(left[i][0], []).append(right[j][1])
            i, j = i + 1, j + 1
        at = max(at, j)
        extents.append([
            (found[number][0], found[number][-1] + 1) if number in found else None
            for number in range(len(tokens))
        ])  # fmt: skip
    return extents


def _letters(pieces: Iterable[str]) -> list[tuple[int, int, str]]:
    """Number of the piece, place in it, and sign, for everything but white space.

    A quotation mark or dash that is written twice (`` or --) is one sign.
    """
    letters: list[tuple[int, int, str]] = []
    for number, piece in enumerate(pieces):
        for place, character in enumerate(piece):
            if character in "'`-" and place and piece[place - 1] == character:
                continue
            signs = character.translate(_SIGNS)
            letters.extend((number, place, sign) for sign in signs if not sign.isspace())
    return letters


def _resynchronise(a: str, b: str, i: int, j: int) -> tuple[int, int] | None:
    """How much to skip on each side so that the next letters agree, or the sentence ends."""
    for skipped in range(1, _REACH):
        for first in range(skipped + 1):
            x, y = i + first, j + skipped - first
            if x <= len(a) and a[x : x + _SAME] == b[y : y + min(_SAME, len(a) - x)]:
                return first, skipped - first
    return None


def labelled_spans(labels: Iterable[str]) -> set[tuple[str, int, int]]:
    """Type, first token and one past the last of each span in a BIO sequence.

    An `I-` that continues nothing begins a span, as in the CoNLL evaluation.
    """
    spans: set[tuple[str, int, int]] = set()
    kind, start, at = "", 0, -1
    for at, label in enumerate(labels):
        prefix, _, name = label.partition("-")
        if prefix == "I" and name == kind:
            continue
        if kind:
            spans.add((kind, start, at))
        kind, start = (name, at) if name else ("", at)
    if kind:
        spans.add((kind, start, at + 1))
    return spans
