from __future__ import annotations

import json
from pathlib import Path

import pytest

from framelens_training.corpora.cofenet import (
    TokenSentence,
    align,
    labelled_spans,
    project,
    read_sentences,
)
from framelens_training.corpora.labelled import CorpusError, GoldSpan, LabelledDocument


def test_tokens_are_found_behind_their_escapes() -> None:
    text = "“It’s shut” (he said) — 9 o'clock."
    tokens = ["``", "It", "'s", "shut", "''", "-LRB-", "he", "said", "-RRB-", "--", "9", "o'clock"]
    (extents,) = align([tokens], text)
    assert [text[e[0] : e[1]] for e in extents if e is not None] == [
        "“", "It", "’s", "shut", "”", "(", "he", "said", ")", "—", "9", "o'clock",
    ]  # fmt: skip


def test_sentences_out_of_order_and_added_tokens_do_not_lose_the_place() -> None:
    text = "Valve shut\nFirst comes the valley. Then comes the river."
    rows = [
        ["Valve", "shut", "."],
        ["Then", "comes", "the", "river", "."],
        ["First", "comes", "the", "valley", "."],
    ]
    extents = align(rows, text)
    assert extents[0][2] is None
    assert extents[1][3] == (text.index("river"), text.index("river") + 5)
    assert extents[2][3] == (text.index("valley"), text.index("valley") + 6)


def test_projection_cuts_spans_at_sentences() -> None:
    document = LabelledDocument(
        id="d",
        text="She said it leaks. It always did.",
        headline="Leak",
        spans=(
            GoldSpan("text", "source", 0, 3),
            GoldSpan("text", "cue", 4, 8),
            GoldSpan("text", "content", 9, 32),
        ),
    )
    sentences = [
        TokenSentence("d", tokens, ("O",) * len(tokens))
        for tokens in (
            ("Leak", "."), ("She", "said", "it", "leaks", "."), ("It", "always", "did", "."),
        )
    ]  # fmt: skip
    assert project(document, sentences) == [
        ("O", "O"),
        ("B-source", "B-cue", "B-content", "I-content", "I-content"),
        ("B-content", "I-content", "I-content", "O"),
    ]


def test_spans_of_labels() -> None:
    labels = ["B-cue", "B-cue", "I-cue", "O", "I-source", "I-content"]
    assert labelled_spans(labels) == {
        ("cue", 0, 1), ("cue", 1, 3), ("source", 4, 5), ("content", 5, 6),
    }  # fmt: skip
    assert labelled_spans([]) == set()


def test_a_bad_file_is_refused_with_its_lines(tmp_path: Path) -> None:
    path = tmp_path / "sentences.jsonl"
    good = {"id": "a", "tokens": ["x"], "labels": ["O"]}
    path.write_text("\n".join([json.dumps(good), "{", json.dumps({**good, "labels": []})]), "utf-8")
    with pytest.raises(CorpusError) as caught:
        read_sentences(path)
    assert [problem.where for problem in caught.value.problems] == [f"{path}:2", f"{path}:3"]
