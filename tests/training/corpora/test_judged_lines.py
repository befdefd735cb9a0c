from __future__ import annotations

from dataclasses import replace
from importlib.resources.abc import Traversable
from pathlib import Path

import pytest

from framelens_training.corpora.judged_articles import JudgedArticles
from framelens_training.corpora.judged_lines import (
    JudgedLines,
    LineJudgement,
    judged_line,
    line_key,
)
from framelens_training.corpora.labelled import GoldSegment, LabelledDocument
from framelens_training.corpora.lines import FIELD_AS
from framelens_training.corpora.polnear import PolNeAR
from framelens_training.corpora.reading import CorpusReader, wording
from framelens_training.corpora.registry import corpus
from framelens_training.corpora.semeval import SemEval
from framelens_training.corpora.store import content_key
from support import put_article_corpora

TEXT = "Rain fell. The shabby deal was signed."
SHABBY = "The shabby deal was signed."


def document() -> LabelledDocument:
    return LabelledDocument(
        id="semeval2023-task3/7",
        text=TEXT,
        headline="Chaos club sacks manager",
        annotated=frozenset({"framed"}),
        segments=(
            GoldSegment("headline", 0, 24, framed=True),
            GoldSegment("text", 0, 10, framed=True),
            GoldSegment("text", 11, len(TEXT), framed=False),
        ),
        meta={"group": "7", "source_file": "article7.txt"},
    )


def test_a_line_stands_alone_with_the_likelier_answer_and_its_probability() -> None:
    found = judged_line(document(), SHABBY, LineJudgement(line_key(SHABBY), "babe", 0.8))
    (segment,) = found.segments
    assert (found.text, found.headline) == (SHABBY, None)
    assert found.segment_text(segment) == SHABBY
    assert (segment.framed, segment.weights) == (True, {"framed": 0.8})
    assert found.annotated == {"framed"}
    assert found.meta["group"] == "7"

    less = judged_line(document(), SHABBY, LineJudgement(line_key(SHABBY), "babe", 0.1))
    assert (less.segments[0].framed, less.segments[0].weights) == (False, {"framed": 0.9})


def test_what_was_judged_as_a_title_is_a_headline() -> None:
    said = LineJudgement(line_key("Chaos club"), "hyperpartisan-titles", 0.5)
    found = judged_line(document(), "Chaos club", said)
    assert (found.text, found.headline) == ("", "Chaos club")
    assert found.segments[0].field == "headline"


def test_a_key_says_nothing_of_the_words() -> None:
    assert len(line_key(SHABBY)) == 16
    assert line_key(SHABBY) != line_key(SHABBY + " ")


class Reader(JudgedLines):
    """The reader, with answers from a file of the test, over two corpora."""

    info = replace(JudgedLines.info, paths=JudgedArticles.info.paths)

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def sources(self) -> tuple[CorpusReader, ...]:
        return PolNeAR(), SemEval()

    def files(self) -> dict[str, Traversable]:
        return {"judgements": self.path}


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    put_article_corpora(tmp_path, "Chaos club\n\nRain stopped. Rain stopped.\n")
    rows = [
        (line_key("Rain stopped."), "checkthat2025", 4),
        (line_key("Rain stopped."), "babe", 10),
        (line_key("Chaos club"), "hyperpartisan-titles", 60),
        (line_key("Rain fell."), "babe", 60),  # held out
        (line_key("Nobody wrote this."), "babe", 60),
    ]
    path = tmp_path / "lines.csv"
    text = "".join(",".join(map(str, row)) + "\n" for row in (("text", "as", "framed"), *rows))
    path.write_text(text, encoding="utf-8")
    return Reader(path)


def test_a_text_is_taken_once_for_each_corpus_as_whose_it_was_judged(
    reader: Reader, tmp_path: Path
) -> None:
    splits, report = reader.read_with_report(tmp_path)
    assert set(splits) == {"train"}
    found = splits["train"]
    assert [(d.headline or d.text, d.meta["as"], d.segments[0].framed) for d in found] == [
        ("Chaos club", "hyperpartisan-titles", True),
        ("Rain stopped.", "checkthat2025", False),
        ("Rain stopped.", "babe", False),
    ]  # fmt: skip
    assert found[1].segments[0].weights == {"framed": pytest.approx(0.96)}
    assert {d.meta["group"] for d in splits["train"]} == {"7"}
    # What is in no training part stays out, be it held out or nowhere.
    assert report.counts == {"dropped: judgement without its text": 2}


def test_other_answers_are_another_corpus_to_the_cache(reader: Reader, tmp_path: Path) -> None:
    before = content_key(reader, tmp_path)
    assert content_key(reader, tmp_path) == before
    reader.path.write_text("text,as,framed\n", encoding="utf-8")
    assert content_key(reader, tmp_path) != before


def test_what_is_missing_is_told_by_the_corpus_that_has_it(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"babe: expected .*final_labels_SG2\.csv"):
        JudgedLines().read(tmp_path)


def test_the_packaged_answers_are_well_formed() -> None:
    found = list(JudgedLines().judgements())
    assert len(found) > 10_000
    assert len({(item.text, item.corpus) for item in found}) == len(found)
    assert {item.corpus for item in found} == set(FIELD_AS)
    assert all(0 <= item.probability <= 1 and len(item.text) == 16 for item in found)


@pytest.mark.corpora
def test_every_judged_line_is_there_and_is_training(corpora_root: Path) -> None:
    splits, report = JudgedLines().read_with_report(corpora_root)
    assert report.notes == ()
    assert set(splits) == {"train"}
    assert len(splits["train"]) == len(list(JudgedLines().judgements()))


@pytest.mark.corpora
def test_no_judged_line_is_a_held_out_text(corpora_root: Path) -> None:
    own = {wording(d.headline or d.text) for d in JudgedLines().read(corpora_root)["train"]}
    for name in ("babe", "checkthat2025", "hyperpartisan-titles"):
        splits = corpus(name).read(corpora_root)
        held = [d for split, documents in splits.items() if split != "train" for d in documents]
        assert not own & {wording(d.headline or d.text) for d in held}, name
