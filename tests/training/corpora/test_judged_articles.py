from __future__ import annotations

import json
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import get_args

import pytest

from framelens_training.corpora.judged_articles import (
    JudgedArticles,
    Judgement,
    Kind,
    article_key,
    judged,
    text_key,
)
from framelens_training.corpora.labelled import GoldSegment, GoldSpan, LabelledDocument
from framelens_training.corpora.registry import corpus
from framelens_training.corpora.store import content_key
from support import put_article_corpora

HEADLINE = "Chaos club sacks manager"
TEXT = "The shabby deal was signed. Rain fell on the valley. “A swindle,” she said."
RAW = f"{HEADLINE}\n\n{TEXT}\n"


def document() -> LabelledDocument:
    """An article as SemEval's reader gives it, with that corpus's own answers."""
    starts = [0, TEXT.index("Rain"), TEXT.index("“A"), len(TEXT) + 1]
    body = [GoldSegment("text", a, b - 1, framed=True) for a, b in zip(starts, starts[1:])]  # noqa: B905, RUF007
    return LabelledDocument(
        id="semeval2023-task3/7",
        text=TEXT,
        headline=HEADLINE,
        annotated=frozenset({"framed", "loaded_spans"}),
        segments=(GoldSegment("headline", 0, len(HEADLINE), framed=False), *body),
        spans=(GoldSpan("text", "loaded", TEXT.index("swindle"), TEXT.index(",”")),),
        meta={"group": "7", "source_file": "article7.txt"},
    )


def judgement(**said: tuple[tuple[str, int, int], ...]) -> Judgement:
    return Judgement(article_key(document()), text_key(document()), **said)  # type: ignore[arg-type]


def test_a_judgement_takes_the_place_of_all_answers_of_its_corpus() -> None:
    found = judged(
        document(),
        judgement(
            framed=(("headline", 0, 24), ("text", 0, 27)),
            loaded=(("headline", 0, 5), ("text", 4, 10), ("text", 60, 65)),
        ),
    )
    assert [segment.framed for segment in found.segments] == [True, True, False, False]
    # Words of a segment that is not framed are not loaded.
    assert [(s.field, s.type, s.start, s.end) for s in found.spans] == [
        ("headline", "loaded", 0, 5), ("text", "loaded", 4, 10),
    ]  # fmt: skip
    assert found.annotated == {"framed", "loaded_spans"}
    assert all(s.attributed is None and s.boilerplate is None for s in found.segments)


def test_what_was_judged_fits_sentences_that_are_cut_otherwise() -> None:
    """A later rule for the end of a sentence does not lose the judgements."""
    two = document()
    whole = GoldSegment("text", 0, len(TEXT))
    shifted = GoldSegment("text", 0, len("The shabby deal was signed. Rain"))
    said = judgement(framed=(("text", 0, 27),), doubtful=(("text", 28, len(TEXT)),))
    for segment, expected in ((whole, None), (shifted, True)):
        one = LabelledDocument(**{**_fields(two), "segments": (segment,)})
        assert judged(one, said).segments[0].framed is expected


def _fields(item: LabelledDocument) -> dict[str, object]:
    return {name: getattr(item, name) for name in item.__dataclass_fields__}


def test_doubt_is_masked_and_everything_else_is_not_framed() -> None:
    found = judged(document(), judgement(doubtful=(("text", 0, 27),)))
    assert [segment.framed for segment in found.segments] == [False, None, False, False]
    assert found.spans == ()


def test_who_speaks_is_annotated_where_it_was_asked() -> None:
    said = judgement(
        attributed=(("text", TEXT.index("“A"), len(TEXT)),), attribution_doubtful=(("text", 0, 27),)
    )
    found = judged(document(), said)
    assert [segment.attributed for segment in found.segments] == [False, None, False, True]
    assert found.annotated == {"framed", "loaded_spans", "attributed"}
    nobody = judged(document(), judgement(attributed=()))
    assert [segment.attributed for segment in nobody.segments] == [False] * 4


def test_a_key_says_nothing_of_the_text_and_is_one_for_all_annotators() -> None:
    one = LabelledDocument(id="polnear/valve_4b22", text="x", meta={"group": "valve"})
    other = LabelledDocument(id="polnear/valve_1f00", text="x", meta={"group": "valve"})
    namesake = LabelledDocument(id="semeval2023-task3/valve", text="x", meta={"group": "valve"})
    assert article_key(one) == article_key(other) != article_key(namesake)
    assert "valve" not in article_key(one)
    assert text_key(one) != text_key(document())


class Reader(JudgedArticles):
    """The reader, with judgements from a file of the test."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def files(self) -> dict[str, Traversable]:
        return {"judgements": self.path}


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    put_article_corpora(tmp_path, RAW)
    valve = LabelledDocument(
        id="polnear/valve_4b22", text="Rain fell.", headline="Valve shut", meta={"group": "valve"}
    )
    said = [
        judgement(framed=(("text", 0, 27),)),
        Judgement(article_key(valve), text_key(valve), doubtful=(("headline", 0, 10),)),
    ]
    path = tmp_path / "judged.jsonl"
    path.write_text("".join(json.dumps(item.to_row()) + "\n" for item in said), "utf-8")
    return Reader(path)


def test_articles_keep_the_splits_of_their_corpora(reader: Reader, tmp_path: Path) -> None:
    splits, report = reader.read_with_report(tmp_path)
    assert {split: len(found) for split, found in splits.items()} == {"train": 1, "validation": 1}
    assert splits["train"][0].meta["corpus"] == "semeval2023-task3"
    assert [s.framed for s in splits["train"][0].segments] == [False, True, False, False]
    assert [s.framed for s in splits["validation"][0].segments] == [None, False]
    assert report.notes == ()


def test_an_article_with_another_text_is_left_out_and_told(reader: Reader, tmp_path: Path) -> None:
    (tmp_path / "polnear/data/dev/text/valve.txt").write_text("Valve shut\n\nSnow fell.\n", "utf-8")
    splits, report = reader.read_with_report(tmp_path)
    assert list(splits) == ["train"]
    assert report.counts == {"dropped: article with another text than was judged": 1}


def test_a_judgement_without_its_article_is_told(reader: Reader, tmp_path: Path) -> None:
    for path in (tmp_path / "polnear/data/dev/text").iterdir():
        path.unlink()
    _, report = reader.read_with_report(tmp_path)
    assert report.counts == {"dropped: judgement without its article": 1}


def test_other_judgements_are_another_corpus_to_the_cache(reader: Reader, tmp_path: Path) -> None:
    before = content_key(reader, tmp_path)
    assert content_key(reader, tmp_path) == before
    reader.path.write_text(reader.path.read_text("utf-8").splitlines()[0] + "\n", "utf-8")
    assert content_key(reader, tmp_path) != before


def test_what_is_missing_is_told_by_the_corpus_that_has_it(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"polnear: expected .*metadata\.tsv"):
        JudgedArticles().read(tmp_path)


def test_the_packaged_judgements_are_well_formed() -> None:
    found = JudgedArticles().judgements()
    assert len(found) > 100
    for said in found.values():
        assert (said.attributed is None) is (said.attribution_doubtful is None)
        for kind in get_args(Kind):
            extents = getattr(said, kind) or ()
            assert list(extents) == sorted(set(extents))
            assert all(start < end for _, start, end in extents)
        # Words that load stand in a segment that they frame.
        assert all(
            any(name == field and a <= start and end <= b for field, a, b in said.framed)
            for name, start, end in said.loaded
        )


@pytest.mark.corpora
def test_every_judged_article_is_there(corpora_root: Path) -> None:
    _, report = JudgedArticles().read_with_report(corpora_root)
    assert report.notes == ()


@pytest.mark.corpora
def test_no_judged_article_is_in_two_splits(corpora_root: Path) -> None:
    splits = {
        name: {
            (d.headline, d.text): split
            for split, documents in corpus(name).read(corpora_root).items()
            for d in documents
        }
        for name in ("judged-articles", "polnear", "semeval2023-task3")
    }
    for text, split in splits["judged-articles"].items():
        others = {splits[name].get(text, split) for name in ("polnear", "semeval2023-task3")}
        assert others == {split}
