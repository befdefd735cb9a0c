from __future__ import annotations

from pathlib import Path

import pytest

from framelens_training.corpora.labelled import CorpusError, LabelledDocument
from framelens_training.corpora.reading import ReadReport
from framelens_training.corpora.semeval import TEST_ARTICLES, SemEval

RAW = (
    "Chaos club sacks manager\n\n"
    "The shabby deal was signed.\n\n"
    "“It is a swindle on all pensioners,” the mayor said.\n\n"
    "Rain fell on the valley.\n\n"
    "Vote for the pool now.\n"
)


def write(root: Path, raw: str, *labels: tuple[str, str], shift: int = 0) -> None:
    folder = root / "semeval2023-task3/data/raw/en"
    (folder / "train-articles-subtask-3").mkdir(parents=True, exist_ok=True)
    (folder / "train-articles-subtask-3/article7.txt").write_bytes(raw.encode())
    lines = [
        f"7\t{technique}\t{raw.index(words) + shift}\t{raw.index(words) + len(words) + shift}\n"
        for technique, words in labels
    ]
    (folder / "train-labels-subtask-3-spans.txt").write_text("".join(lines), "utf-8")


def read(
    root: Path, raw: str, *labels: tuple[str, str], shift: int = 0
) -> tuple[LabelledDocument, ReadReport]:
    write(root, raw, *labels, shift=shift)
    splits, report = SemEval().read_with_report(root)
    (document,) = splits["train"]
    return document, report


def loaded(document: LabelledDocument) -> list[tuple[str, str]]:
    return [(s.field, document.field_text(s.field)[s.start : s.end]) for s in document.spans]


def framed(document: LabelledDocument) -> list[bool | None]:
    return [segment.framed for segment in document.segments]


def test_loaded_words_frame_their_segment_unless_a_source_says_them(tmp_path: Path) -> None:
    document, report = read(
        tmp_path, RAW,
        ("Name_Calling-Labeling", "Chaos club"), ("Loaded_Language", "shabby"),
        ("Loaded_Language", "a swindle"), ("Slogans", "Vote for the pool"),
    )  # fmt: skip
    assert document.id == "semeval2023-task3/7"
    assert document.headline == "Chaos club sacks manager"
    assert document.segments[0].field == "headline"
    assert loaded(document) == [("headline", "Chaos club"), ("text", "shabby")]
    assert framed(document) == [True, True, False, False, None]
    assert all(s.attributed is None and s.boilerplate is None for s in document.segments)
    assert report.counts == {
        "dropped: span inside a quotation": 1,
        "dropped: technique that is not framing by wording": 1,
        "masked: segment with no technique but others": 1,
    }
    assert document.meta["group"] == "7"


def test_loaded_words_in_a_short_quotation_are_masked(tmp_path: Path) -> None:
    raw = "Head\n\nThe “fair” deal was signed."
    document, report = read(tmp_path, raw, ("Loaded_Language", "fair"))
    assert framed(document) == [False, None]
    assert loaded(document) == []
    assert report.counts["masked: segment whose loaded words may be in scare quotes"] == 1


def test_a_span_that_is_mostly_quotation_is_the_source_s(tmp_path: Path) -> None:
    document, report = read(tmp_path, RAW, ("Loaded_Language", "on all pensioners,” the"))
    assert loaded(document) == []
    assert report.counts["dropped: span inside a quotation"] == 1


def test_a_quotation_is_cut_out_of_a_long_span(tmp_path: Path) -> None:
    raw = "Head\n\nWho still believes the mayor when he speaks of “a plan” for the whole valley?"
    document, _ = read(tmp_path, raw, ("Doubt", raw[6:]))
    assert loaded(document) == [
        ("text", "Who still believes the mayor when he speaks of"),
        ("text", "for the whole valley"),
    ]


def test_overlapping_spans_of_several_techniques_are_one(tmp_path: Path) -> None:
    document, report = read(
        tmp_path, RAW, ("Loaded_Language", "shabby deal"), ("Doubt", "The shabby")
    )
    assert loaded(document) == [("text", "The shabby deal")]
    assert report.counts["altered: spans that overlap made one"] == 1


@pytest.mark.parametrize("shift", [1, -1])
def test_offsets_that_are_one_off_are_mended(tmp_path: Path, shift: int) -> None:
    document, report = read(tmp_path, RAW, ("Loaded_Language", "shabby"), shift=shift)
    assert loaded(document) == [("text", "shabby")]
    assert report.counts["altered: span that cut a word"] == 1


def test_a_span_that_cuts_a_word_is_widened(tmp_path: Path) -> None:
    document, _ = read(tmp_path, RAW, ("Loaded_Language", "habby de"))
    assert loaded(document) == [("text", "shabby deal")]


def test_offsets_count_a_byte_order_mark_and_code_points(tmp_path: Path) -> None:
    raw = "\ufeffHead 🛠\n\nA 🛠 shabby deal."
    document, _ = read(tmp_path, raw, ("Loaded_Language", "shabby"))
    assert document.headline == "Head 🛠"
    assert loaded(document) == [("text", "shabby")]


def test_an_article_without_spans_is_a_negative_and_reported(tmp_path: Path) -> None:
    document, report = read(tmp_path, RAW)
    assert set(framed(document)) == {False}
    assert report.counts == {"kept: article in which no technique was marked": 1}


def test_whose_loaded_words_they_are(tmp_path: Path) -> None:
    raw = "Chaos club\n\nThe “fair” deal is a sham. “It is a swindle on all of us,” she said."
    write(
        tmp_path, raw, ("Doubt", "Chaos"), ("Doubt", "fair"), ("Doubt", "sham"),
        ("Doubt", "swindle"), ("Slogans", "deal"),
    )  # fmt: skip
    (places,) = SemEval().loaded_places(tmp_path).values()
    found = [(p.field, p.voice) for p in places]
    assert found == [
        ("headline", "outlet"), ("text", "short_quotation"), ("text", "outlet"), ("text", "source"),
    ]  # fmt: skip
    text = raw.partition("\n\n")[2]
    assert [text[p.start : p.end] for p in places[1:]] == ["fair", "sham", "swindle"]


def test_articles_are_split_whole_and_always_alike(tmp_path: Path) -> None:
    write(tmp_path, RAW)
    folder = tmp_path / "semeval2023-task3/data/raw/en/train-articles-subtask-3"
    for number in [*range(100, 140), *TEST_ARTICLES]:
        (folder / f"article{number}.txt").write_text(RAW, "utf-8")
    splits = SemEval().read(tmp_path)
    assert len(splits["train"]) == 41
    assert {d.meta["group"] for d in splits["test"]} == TEST_ARTICLES
    assert len(TEST_ARTICLES) == 66
    assert splits == SemEval().read(tmp_path)


def test_labels_without_an_article_are_counted(tmp_path: Path) -> None:
    write(tmp_path, RAW, ("Doubt", "shabby"))
    folder = tmp_path / "semeval2023-task3/data/raw/en/train-articles-subtask-3"
    (folder / "article7.txt").rename(folder / "notes.txt")
    splits, report = SemEval().read_with_report(tmp_path)
    assert splits == {"train": [], "test": []}
    assert report.counts == {
        "dropped: file that is not called article<number>.txt": 1,
        "dropped: label of an article without text": 1,
    }


def test_all_damage_comes_in_one_report(tmp_path: Path) -> None:
    write(tmp_path, RAW)
    labels = tmp_path / "semeval2023-task3/data/raw/en/train-labels-subtask-3-spans.txt"
    labels.write_text("7\tDoubt\t5\t9999\n7\tDoubt\tx\t9\n", "utf-8")
    with pytest.raises(CorpusError) as caught:
        SemEval().read(tmp_path)
    places = sorted(problem.where.rpartition(":")[2] for problem in caught.value.problems)
    assert places == ["1", "2"]


def test_a_missing_folder_is_named_with_its_source(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="giorluca/checkthat24_DIT"):
        SemEval().read(tmp_path)


@pytest.mark.corpora
def test_the_corpus_reads(corpora_root: Path) -> None:
    splits, _ = SemEval().read_with_report(corpora_root)
    documents = [d for split in splits.values() for d in split]
    answers = [s.framed for d in documents for s in d.segments]
    assert len(documents) > 400
    assert 0.1 < len(splits["test"]) / len(documents) < 0.2
    assert 0.1 < answers.count(True) / len(answers) < 0.25
    assert answers.count(None) / len(answers) < 0.1
