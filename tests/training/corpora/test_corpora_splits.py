from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from framelens_training.corpora.labelled import GoldSegment, LabelledDocument
from framelens_training.corpora.splits import (
    SHARES,
    SplitFile,
    SplitFileError,
    assign,
    folds,
    group_of,
    split,
)
from framelens_training.predictions import article_count


def sentence(number: int, group: str, framed: bool) -> LabelledDocument:
    text = f"Sentence {number}."
    return LabelledDocument(
        id=f"d{number}",
        text=text,
        annotated=frozenset({"framed"}),
        segments=(GoldSegment("text", 0, len(text), framed=framed),),
        meta={"group": group},
    )


@pytest.fixture(scope="module")
def documents() -> list[LabelledDocument]:
    """400 sentences of 150 groups of very different sizes, a quarter of them framed."""
    numbers = random.Random(5)
    return [
        sentence(n, f"g{int(150 * numbers.random() ** 2)}", numbers.random() < 0.25)
        for n in range(400)
    ]


def test_no_group_is_in_two_splits_and_nothing_is_lost(documents: list[LabelledDocument]) -> None:
    splits = split(documents)
    groups = [{group_of(d) for d in part} for part in splits.values()]
    assert sum(map(len, groups)) == len(set().union(*groups))
    assert sorted(d.id for part in splits.values() for d in part) == sorted(d.id for d in documents)


def test_sizes_and_positives_are_in_proportion(documents: list[LabelledDocument]) -> None:
    positives = sum(d.segments[0].framed is True for d in documents)
    for name, part in split(documents).items():
        assert len(part) == pytest.approx(SHARES[name] * len(documents), abs=4)
        framed = sum(d.segments[0].framed is True for d in part)
        assert framed == pytest.approx(SHARES[name] * positives, abs=3)


def test_rare_positives_are_shared_out_beside_sizes() -> None:
    """A hundred articles of 1 to 30 segments, every tenth with one that is framed."""
    documents = []
    for n in range(100):
        size = 1 + n * 7 % 30
        segments = tuple(
            GoldSegment("text", 2 * at, 2 * at + 1, framed=at == n % 10 == 0) for at in range(size)
        )
        documents.append(
            LabelledDocument(
                f"d{n}", "a " * size, annotated=frozenset({"framed"}), segments=segments
            )
        )
    held_out = [[s for d in held for s in d.segments] for _, held in folds(documents, 10)]
    assert [sum(bool(s.framed) for s in part) for part in held_out] == [1] * 10
    assert max(map(len, held_out)) - min(map(len, held_out)) <= 3


def test_the_order_of_documents_does_not_matter(documents: list[LabelledDocument]) -> None:
    shuffled = random.Random(1).sample(documents, len(documents))
    assert assign(shuffled) == assign(documents)


def test_a_seed_gives_another_split(documents: list[LabelledDocument]) -> None:
    assert assign(documents, seed=1) != assign(documents, seed=2)


def test_an_empty_corpus_and_one_without_groups() -> None:
    assert split([]) == {"train": [], "validation": [], "test": []}
    lone = replace(sentence(1, "", False), meta={})
    assert group_of(lone) == "d1"
    assert split([lone])["train"] == [lone]


def test_sentences_of_one_link_are_one_article() -> None:
    link = "https://news.example/1"
    bare = [replace(sentence(n, "", framed=False), meta={}, url=link) for n in range(4)]
    assert article_count(bare) == 1
    assert sorted(map(len, split(bare).values())) == [0, 0, 4]
    assert group_of(replace(bare[0], meta={"group": "g"})) == "g"


def test_a_share_of_nothing_stays_empty(documents: list[LabelledDocument]) -> None:
    splits = split(documents, {"train": 3.0, "validation": 1.0, "test": 0.0})
    assert splits["test"] == []
    assert len(splits["train"]) == pytest.approx(300, abs=4)
    with pytest.raises(ValueError, match="shares from 0 up"):
        split(documents, {"train": 0.0})


def test_folds_hold_each_group_out_once(documents: list[LabelledDocument]) -> None:
    pairs = folds(documents, 5)
    held_out = [d.id for _, held in pairs for d in held]
    assert sorted(held_out) == sorted(d.id for d in documents)
    for training, held in pairs:
        assert not {group_of(d) for d in training} & {group_of(d) for d in held}
        assert len(training) + len(held) == len(documents)
        assert len(held) == pytest.approx(80, abs=4)
    with pytest.raises(ValueError, match="expected 2 to"):
        folds(documents[:1], 2)


def test_a_split_file_comes_back_and_is_pinned(
    tmp_path: Path, documents: list[LabelledDocument]
) -> None:
    path = tmp_path / "split.json"
    written = SplitFile.make("news", documents)
    sha256 = written.write(path)
    found = SplitFile.read(path, sha256)
    assert found == written
    assert found.apply(documents) == split(documents)

    path.write_text(path.read_text("utf-8").replace('"validation"', '"train"', 1), "utf-8")
    with pytest.raises(SplitFileError, match=f"expected sha256 {sha256}, found"):
        SplitFile.read(path, sha256)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"split\.json: expected a split file, found none"):
        SplitFile.read(path, sha256)


def test_a_split_file_refuses_other_documents(documents: list[LabelledDocument]) -> None:
    written = SplitFile.make("news", documents)
    with pytest.raises(SplitFileError, match=r"0 documents that the split does not know, 1 that"):
        written.apply(documents[1:])
    relabelled = [sentence(0, "other", True), *documents[1:]]
    with pytest.raises(SplitFileError, match=f"expected documents with digest {written.digest}"):
        written.apply(relabelled)
    rest = {name: part for name, part in written.assignment.items() if name != documents[0].id}
    with pytest.raises(SplitFileError, match="1 documents that the split does not know"):
        replace(written, assignment=rest).apply(documents)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "expected an object, found list"),
        ("{", "expected JSON"),
        ('{"format": 9}', "expected format 1, found 9"),
        ('{"format": 1, "name": "a", "seed": 1, "digest": 2, "assignment": {}}', "'digest'"),
        ('{"format": 1, "name": "a", "seed": 1, "digest": "d", "assignment": {"x": 1}}', "'x'"),
        (
            '{"format": 1, "name": "a", "seed": 1, "digest": "d", "assignment": {"x": "dev"}}',
            "expected one of train, validation, test for 'x', found 'dev'",
        ),
    ],
)
def test_a_damaged_split_file_is_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "split.json"
    path.write_text(content, "utf-8")
    with pytest.raises(SplitFileError, match=message):
        SplitFile.read(path)
