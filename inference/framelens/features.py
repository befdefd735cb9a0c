"""From segments to the arrays that the network reads, once for training and for serving."""

from __future__ import annotations

import string
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
from numpy.typing import NDArray
from tokenizers import Tokenizer

from framelens.errors import ArtifactError
from framelens.model_settings import FeatureConfig as FeatureConfig
from framelens.schema import Role
from framelens.windows import Piece, Window, pack

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_PROBE = "One, two  three."
"""A text that shows whether a tokenizer bounds words as BERT's does."""


@dataclass(frozen=True, slots=True)
class TokenizedSegment:
    """Word pieces of one segment.

    `ids` has shape (n,); `offsets` has shape (n, 2), in code points of the segment's text;
    `words` has shape (n,) and is true for a piece that begins a word.
    """

    role: Role
    ids: NDArray[np.int64]
    offsets: NDArray[np.int64]
    words: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class WindowFeatures:
    """One window, ready for the network.

    `input_ids` and `token_type_ids` have shape (t,) with t <= max_tokens, unpadded. Piece i
    of `pieces` stands at `positions[i]`, and its separator, where the segment's logits are
    read, at `positions[i] + pieces[i].size`.
    """

    input_ids: NDArray[np.int64]
    token_type_ids: NDArray[np.int64]
    pieces: Window
    positions: tuple[int, ...]

    @property
    def separators(self) -> tuple[int, ...]:
        """Positions at which the segment logits are read."""
        return tuple(p + q.size for p, q in zip(self.positions, self.pieces, strict=True))


@dataclass(frozen=True, slots=True)
class DocumentFeatures:
    """All windows of one document and the segments that they were cut from."""

    segments: tuple[TokenizedSegment, ...]
    windows: tuple[WindowFeatures, ...]


class Featurizer:
    """Turns segments into windows of token ids.

    Not safe to share between threads that change the tokenizer; nothing here does.
    """

    def __init__(self, tokenizer: Tokenizer, config: FeatureConfig | None = None) -> None:
        """Take a tokenizer; its own truncation and padding are switched off.

        Raises:
            ValueError: if the tokenizer lacks the configured special tokens.
        """
        self.config = config or FeatureConfig()
        self._tokenizer = tokenizer
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._cls = self._special(self.config.cls_token)
        self._sep = self._special(self.config.sep_token)
        probe = _tokenized(tokenizer.encode(_PROBE, add_special_tokens=False), "body")
        bounded = _bounded(probe, _PROBE)
        self._bounds_words = np.array_equal(probe.words, bounded.words) and np.array_equal(
            probe.offsets, bounded.offsets
        )

    @classmethod
    def from_file(cls, path: Path, config: FeatureConfig | None = None) -> Featurizer:
        """Load `tokenizer.json`.

        Raises:
            ArtifactError: if it cannot be read, or lacks the configured special tokens.
        """
        try:
            return cls(Tokenizer.from_file(str(path)), config)
        except Exception as error:  # what tokenizers raises has no class of its own
            raise ArtifactError(
                f"{path}: expected a tokenizer that tokenizers {tokenizers.__version__} can read, "
                f"with the special tokens of the manifest: {error}; upgrade tokenizers, or export "
                "the model again"
            ) from error

    @property
    def vocabulary(self) -> int:
        """One more than the largest token id."""
        return 1 + max(self._tokenizer.get_vocab().values())

    def tokenizer_json(self) -> str:
        """The tokenizer as `tokenizer.json` holds it."""
        return str(self._tokenizer.to_str())

    def token_id(self, token: str) -> int | None:
        """The id of a token of the vocabulary; `None` if it is none."""
        number: int | None = self._tokenizer.token_to_id(token)
        return number

    def _special(self, token: str) -> int:
        number = self.token_id(token)
        if number is None:
            raise ValueError(f"expected the tokenizer to know {token!r}, found no such token")
        return number

    def tokenize(self, texts: Sequence[str], roles: Sequence[Role]) -> list[TokenizedSegment]:
        """Split each segment's text into word pieces, without special tokens.

        Words end at white space and at punctuation, whatever the tokenizer takes for one. Lone
        surrogates, which no tokenizer takes, are read as U+FFFD: one code point for one, so that
        offsets stay true.
        """
        # One by one: a batch would start the tokenizer's own threads, which do not survive a
        # fork and gain nothing in a process that has one core to itself.
        encodings = [
            self._tokenizer.encode(_encodable(text), add_special_tokens=False) for text in texts
        ]
        segments = [
            _tokenized(encoding, role) for encoding, role in zip(encodings, roles, strict=True)
        ]
        if self._bounds_words:
            return segments
        return [_bounded(segment, text) for segment, text in zip(segments, texts, strict=True)]

    def featurize(self, texts: Sequence[str], roles: Sequence[Role]) -> DocumentFeatures:
        """Tokenize segments and pack them into windows."""
        segments = self.tokenize(texts, roles)
        return DocumentFeatures(tuple(segments), tuple(self.windows(segments)))

    def windows(self, segments: Sequence[TokenizedSegment]) -> list[WindowFeatures]:
        """Pack tokenized segments into windows."""
        lengths = [len(segment.ids) for segment in segments]
        packed = pack(lengths, self.config.max_tokens, self.config.overlap)
        return [self.window(pieces, segments) for pieces in packed]

    def window(
        self, pieces: Sequence[Piece], segments: Sequence[TokenizedSegment]
    ) -> WindowFeatures:
        """Lay out one window: `[CLS] piece [SEP] piece [SEP] ...`."""
        size = 1 + sum(piece.size + 1 for piece in pieces)
        ids = np.empty(size, dtype=np.int64)
        types = np.zeros(size, dtype=np.int64)
        ids[0] = self._cls
        at = 1
        positions: list[int] = []
        for piece in pieces:
            segment = segments[piece.segment]
            stop = at + piece.size
            ids[at:stop] = segment.ids[piece.start : piece.end]
            ids[stop] = self._sep
            if self.config.token_types and segment.role == "headline":
                types[at : stop + 1] = 1
            positions.append(at)
            at = stop + 1
        return WindowFeatures(ids, types, tuple(pieces), tuple(positions))


def _encodable(text: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return "".join(_REPLACEMENT if "\ud800" <= c <= "\udfff" else c for c in text)
    return text


def _tokenized(encoding: Any, role: Role) -> TokenizedSegment:
    ids = np.asarray(encoding.ids, dtype=np.int64)
    offsets = np.asarray(encoding.offsets, dtype=np.int64).reshape(-1, 2)
    word_ids = np.asarray([-1 if w is None else w for w in encoding.word_ids], dtype=np.int64)
    words = np.ones(len(ids), dtype=np.bool_)
    words[1:] = word_ids[1:] != word_ids[:-1]
    return TokenizedSegment(role, ids, offsets, words)


def _bounded(segment: TokenizedSegment, text: str) -> TokenizedSegment:
    """The segment with words as BERT's tokenizer bounds them.

    Byte-level and SentencePiece tokenizers count the space before a word in, and some split at
    white space alone. A piece that is nothing but white space ends where the piece before it ends,
    and begins no word.
    """
    offsets, words = segment.offsets.copy(), segment.words.copy()
    before = 0
    for i, (start, end) in enumerate(segment.offsets.tolist()):
        start = end - len(text[start:end].lstrip())
        end = start + len(text[start:end].rstrip())
        if start == end:
            offsets[i], words[i] = before, False
            continue
        offsets[i] = start, end
        words[i] |= _is_edge(text, before, start)
        before = end
    return replace(segment, offsets=offsets, words=words)


def _is_edge(text: str, end: int, start: int) -> bool:
    """Whether a word ends between a piece that ends at `end` and one that begins at `start`."""
    if start < end:  # bytes of the same character
        return False
    between = text[max(end - 1, 0) : start + 1]
    return not end or any(c.isspace() or _is_punctuation(c) for c in between)


def _is_punctuation(character: str) -> bool:
    return character in string.punctuation or unicodedata.category(character).startswith("P")
