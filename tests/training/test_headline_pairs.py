from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from framelens.segmentation import segment_article
from framelens_training.corpora.labelled import CorpusError
from framelens_training.headline_pairs import read_pairs

PAIRS = read_pairs()
ROW = {
    "id": "a", "style": "wire", "topic": "sport", "country": "Chad", "kind": "event",
    "headline": "{Mad} dog wins", "body": ["A dog won.", "It rained."], "aligned": [0],
    "attribution": "none_needed",
}  # fmt: skip


def test_there_are_enough_pairs_of_every_outcome() -> None:
    test = [pair for pair in PAIRS if pair.part == "test"]
    assert len(test) >= 150
    for part in (test, [pair for pair in PAIRS if pair.part == "tuning"]):
        outcomes = Counter(pair.attribution for pair in part)
        assert set(outcomes) == {"kept", "weakened", "dropped", "none_needed", None}
        assert min(outcomes.values()) >= 8


def test_every_sentence_is_one_segment() -> None:
    for pair in PAIRS:
        segments = segment_article(pair.text, pair.headline)
        assert [s.text for s in segments] == [pair.headline, *pair.body]
        assert 3 <= len(pair.body) <= 8


def test_no_body_is_used_twice() -> None:
    sentences = [sentence for pair in PAIRS for sentence in pair.body]
    assert [s for s, count in Counter(sentences).items() if count > 1] == []


def test_own_wording_stands_in_braces(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text(json.dumps(ROW) + "\n", encoding="utf-8")
    (pair,) = read_pairs(path)
    assert pair.headline == "Mad dog wins"
    assert [pair.headline[a:b] for a, b in pair.own] == ["Mad"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"headline": "{Mad dog"}, "closing brace"),
        ({"headline": "Mad} dog"}, "braces in pairs"),
        ({"headline": "{}dog"}, "braces in pairs"),
        ({"aligned": [2]}, "index 2 sentences"),
        ({"aligned": []}, "attribution null"),
        ({"aligned": [], "attribution": None}, "no own wording"),
        ({"attribution": "lost"}, "one of"),
        ({"body": []}, "list of sentences"),
        ({"topic": ""}, "to be text"),
        ({"id": "b"}, "twice"),
    ],
)
def test_every_problem_is_told(tmp_path: Path, change: dict[str, object], message: str) -> None:
    path = tmp_path / "pairs.jsonl"
    rows = [{**ROW, **change}, {**ROW, "id": "b"}, {"id": "c"}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    with pytest.raises(CorpusError, match=message) as caught:
        read_pairs(path)
    assert len(caught.value.problems) == 2
    assert ":3: expected the keys" in str(caught.value)
