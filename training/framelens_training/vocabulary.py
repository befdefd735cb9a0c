"""A smaller WordPiece vocabulary: the pieces that the training texts use most.

Words are found before pieces are, so that the words of a text and their offsets stay the same;
and every single character stays, so that a word whose pieces are gone is spelt with shorter ones.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from framelens_training.errors import StudentError

FIRST_IDEOGRAPH = 0x2E80
"""Characters from here up (CJK and the like) stay only if the training texts have them: a word
with another is unknown, as a word with any character outside the vocabulary always was."""


def reduced_vocabulary(
    tokenizer: Tokenizer, texts: Iterable[str], size: int
) -> tuple[Tokenizer, NDArray[np.int64]]:
    """A tokenizer of `size` pieces, and for each of its ids the id that it had before.

    Special tokens and single characters always stay; the rest are those most frequent in
    `texts`, the lower id first where two are as frequent. Pieces keep their order.

    Raises:
        StudentError: if the tokenizer is no WordPiece one, or `size` is below what must stay or
            above what there is.
    """
    row = {**json.loads(tokenizer.to_str()), "truncation": None, "padding": None}
    if row["model"]["type"] != "WordPiece":
        raise StudentError(
            f"student.vocabulary: expected a WordPiece tokenizer, found {row['model']['type']}; "
            "leave it out"
        )
    pieces: dict[str, int] = row["model"]["vocab"]
    counts = _counts(Tokenizer.from_str(json.dumps(row)), texts)
    special = {item["id"] for item in row["added_tokens"]} | {pieces[row["model"]["unk_token"]]}
    prefix = row["model"]["continuing_subword_prefix"]
    needed = special | {
        number
        for piece, number in pieces.items()
        if _is_character(piece, prefix) and (ord(piece[-1]) < FIRST_IDEOGRAPH or counts[number] > 0)
    }
    if not len(needed) <= size <= len(pieces):
        raise StudentError(
            f"student.vocabulary: expected from {len(needed)} (special tokens and single "
            f"characters) to {len(pieces)} pieces (all), found {size}"
        )
    order = sorted(range(len(counts)), key=lambda n: (n not in needed, -counts[n], n))
    # Special tokens come first: padding is id 0 in batches.
    kept = sorted(order[:size], key=lambda n: (n not in special, n))
    return Tokenizer.from_str(json.dumps(_renumbered(row, kept))), np.array(kept, dtype=np.int64)


def _is_character(piece: str, prefix: str) -> bool:
    return len(piece.removeprefix(prefix)) == 1 or len(piece) == 1


def _counts(tokenizer: Tokenizer, texts: Iterable[str]) -> NDArray[np.int64]:
    counts = np.zeros(tokenizer.get_vocab_size(), dtype=np.int64)
    for text in texts:
        np.add.at(counts, tokenizer.encode(text, add_special_tokens=False).ids, 1)
    return counts


def _renumbered(row: dict[str, Any], kept: list[int]) -> dict[str, Any]:
    """The tokenizer's settings with new ids everywhere."""
    place = {old: new for new, old in enumerate(kept)}
    model = row["model"]
    vocabulary = {piece: place[old] for piece, old in model["vocab"].items() if old in place}
    return {
        **row,
        "added_tokens": [{**item, "id": place[item["id"]]} for item in row["added_tokens"]],
        "post_processor": _processor(row["post_processor"], place),
        "model": {**model, "vocab": dict(sorted(vocabulary.items(), key=lambda item: item[1]))},
    }


def _processor(value: Any, place: dict[int, int]) -> Any:
    """The step that sets special tokens around a text, which names them by id."""
    if not isinstance(value, dict):
        return value
    changed = dict(value)
    if value["type"] == "TemplateProcessing":
        changed["special_tokens"] = {
            token: {**item, "ids": [place[old] for old in item["ids"]]}
            for token, item in value["special_tokens"].items()
        }
    elif value["type"] == "Sequence":
        changed["processors"] = [_processor(item, place) for item in value["processors"]]
    for key in ("cls", "sep"):
        if isinstance(value.get(key), list):  # BertProcessing, RobertaProcessing
            token, old = value[key]
            changed[key] = [token, place[old]]
    return changed
