"""Packaged headlines and sentences, each with the probability that annotators call it framed."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from framelens_training.corpora.labelled import CorpusError
from framelens_training.corpora.lines import COLUMNS, FIELD_AS, read_lines
from framelens_training.corpora.registry import corpus
from framelens_training.corpora.splits import group_of

LINES = corpus("lines").read(None)
WORD = re.compile(r"\w+")


def written(path: Path, *rows: str) -> Path:
    path.write_text("\n".join([",".join(COLUMNS), *rows]) + "\n", encoding="utf-8")
    return path


def test_a_row_is_a_lone_text_with_the_likelier_answer(tmp_path: Path) -> None:
    path = written(
        tmp_path / "train.csv",
        'a,g1,hyperpartisan-titles,80,"Chaos club, again"',
        "b,g2,checkthat2025,49,Rain fell.",
    )
    headline, sentence = read_lines(path)
    assert (headline.id, headline.headline, headline.text) == ("a", "Chaos club, again", "")
    assert headline.segments[0].framed is True
    assert headline.segments[0].weights == {"framed": 0.8}
    assert (sentence.headline, sentence.text) == (None, "Rain fell.")
    assert sentence.segments[0].framed is False
    assert sentence.segments[0].weights == {"framed": pytest.approx(0.51)}
    assert (group_of(sentence), sentence.meta["as"]) == ("g2", "checkthat2025")


def test_every_row_that_is_none_is_named(tmp_path: Path) -> None:
    path = written(
        tmp_path / "train.csv",
        "a,g,babe,101,Rain.",
        "b,g,nobody,10,Rain.",
        "c,g,babe,10,",
        "d,g,babe",
        "e,g,babe,10,Rain fell, again",
        ",g,babe,10,Rain.",
        "g,g,babe,10,  ",
        "h,g,babe,10,Rain.",
    )
    with pytest.raises(CorpusError) as caught:
        read_lines(path)
    places = [problem.where.rpartition(":")[2] for problem in caught.value.problems]
    assert places == ["2", "3", "4", "5", "6", "7", "8"]
    for text in ("percentage in 'framed', found '101'", "one of babe, checkthat2025",
                 "nothing in framed, words", "expected 5 cells, found 6"):  # fmt: skip
        assert text in str(caught.value)


def test_other_columns_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    path.write_text("id,as,framed,words\na,babe,10,Rain.\n", encoding="utf-8")
    with pytest.raises(CorpusError, match="expected the columns id, group, as, framed, words"):
        read_lines(path)


def test_there_are_headlines_and_sentences_of_both_kinds_in_every_split() -> None:
    for documents in LINES.values():
        kinds = Counter((d.meta["as"], d.segments[0].framed) for d in documents)
        assert set(kinds) == {
            (judged_as, framed)
            for judged_as in ("checkthat2025", "hyperpartisan-titles")
            for framed in (True, False)
        }
        assert min(kinds.values()) >= 50
    assert len(LINES["train"]) > 7000
    assert {d.meta["as"] for documents in LINES.values() for d in documents} <= set(FIELD_AS)


def test_no_line_stands_twice_and_no_group_is_in_two_splits() -> None:
    texts = Counter(
        " ".join(WORD.findall((d.headline or d.text).casefold()))
        for documents in LINES.values()
        for d in documents
    )
    assert [text for text, count in texts.items() if count > 1] == []
    groups = {split: set(map(group_of, documents)) for split, documents in LINES.items()}
    assert not groups["train"] & groups["validation"]
    assert not groups["train"] & groups["test"]
    assert not groups["validation"] & groups["test"]


@pytest.mark.corpora
def test_no_line_is_of_a_public_corpus(corpora_root: Path) -> None:
    def words_of(text: str) -> list[str]:
        return WORD.findall(text.casefold())

    def grams(text: str) -> set[tuple[str, ...]]:
        words = words_of(text)
        return set(zip(*(words[i:] for i in range(6)), strict=False))

    theirs = [
        d.headline or d.text
        for name in ("hyperpartisan-titles", "checkthat2025", "babe")
        for documents in corpus(name).read(corpora_root).values()
        for d in documents
    ]
    own = [d.headline or d.text for documents in LINES.values() for d in documents]
    assert not {" ".join(words_of(t)) for t in theirs} & {" ".join(words_of(t)) for t in own}
    known = set().union(*map(grams, theirs))
    shared = [text for text in own if grams(text) & known]
    assert len(shared) <= 0.001 * len(own), shared  # "for the first time since the"
