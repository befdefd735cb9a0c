from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from framelens_training.corpora.babe import Babe
from framelens_training.corpora.labelled import CorpusError, LabelledDocument
from framelens_training.corpora.reading import ReadReport
from framelens_training.corpora.splits import group_of

HEADER = "text;news_link;outlet;topic;type;label_bias;label_opinion;biased_words"
OPINION = "Expresses writer’s opinion"
FACTUAL = "Entirely factual"


def row(
    text: str, bias: str = "Biased", opinion: str = OPINION, marked: object = (),
    link: str = "https://tarn.example/a", lean: str = "left",
) -> str:  # fmt: skip
    stream = io.StringIO()
    words = marked if isinstance(marked, str) else str(list(marked))  # type: ignore[call-overload]
    csv.writer(stream, delimiter=";", lineterminator="").writerow(
        [text, link, "Tarn Courier", "roads", lean, bias, opinion, words]
    )
    return stream.getvalue()


def write(root: Path, *rows: str) -> None:
    folder = root / "babe/data"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "final_labels_SG2.csv").write_text("\n".join([HEADER, *rows]) + "\n", "utf-8")


def read(root: Path, *rows: str) -> tuple[list[LabelledDocument], ReadReport]:
    write(root, *rows)
    splits, report = Babe().read_with_report(root)
    documents = [d for split in splits.values() for d in split]
    return sorted(documents, key=lambda d: int(d.meta["row"])), report


def loaded(document: LabelledDocument) -> list[str]:
    return [document.text[s.start : s.end] for s in document.spans]


def test_labels_words_weights_and_slices(tmp_path: Path) -> None:
    # A text with the separator and quotation marks, as the table doubles them.
    (document,), report = read(
        tmp_path,
        row(
            'He "won"; the brazen, shabby deal was a circus.', marked=["shabby", "brazen", "circus"]
        ),
    )
    assert document.text == 'He "won"; the brazen, shabby deal was a circus.'
    (segment,) = document.segments
    assert (segment.start, segment.end, segment.framed) == (0, len(document.text), True)
    assert (segment.attributed, segment.boilerplate) == (None, None)
    assert segment.weights == {}
    assert loaded(document) == ["brazen", "shabby", "circus"]
    assert document.annotated == {"framed", "loaded_spans"}
    assert (document.outlet, document.lean) == ("Tarn Courier", "left")
    assert document.url == "https://tarn.example/a" == document.meta["group"]
    assert report.counts == {}


@pytest.mark.parametrize(
    ("bias", "opinion", "marked", "weight"),
    [
        ("Biased", "Somewhat factual but also opinionated", ["circus"], 1.0),
        ("Biased", "No agreement", ["circus"], 0.75),
        ("Biased", FACTUAL, ["circus"], 0.5),
        ("Non-biased", FACTUAL, [], 1.0),
        ("Non-biased", OPINION, [], 0.5),
        ("Non-biased", FACTUAL, ["circus"], 0.75),
    ],
)
def test_doubt_of_annotators_lowers_the_weight(
    tmp_path: Path, bias: str, opinion: str, marked: list[str], weight: float
) -> None:
    (document,), _ = read(tmp_path, row("The deal was a circus.", bias, opinion, marked))
    (segment,) = document.segments
    assert segment.framed is (bias == "Biased")
    assert segment.weights.get("framed", 1.0) == weight


def test_words_in_a_non_biased_sentence_teach_no_spans(tmp_path: Path) -> None:
    (document,), report = read(tmp_path, row("A circus.", "Non-biased", FACTUAL, ["circus"]))
    assert document.annotated == {"framed"}
    assert loaded(document) == []
    assert len(report.notes) == 1


def test_words_of_a_source_are_not_the_outlet_s(tmp_path: Path) -> None:
    (document,), report = read(
        tmp_path,
        row("She called the deal “a shabby circus for the rich” on Monday.", marked=["shabby"]),
    )
    assert document.segments[0].framed is False
    assert loaded(document) == []
    assert report.counts == {
        "altered: all biased words in quotations: framed false": 1,
        "dropped: biased words inside a quotation": 1,
    }


def test_words_outside_a_quotation_still_frame(tmp_path: Path) -> None:
    (document,), _ = read(
        tmp_path,
        row("She ranted that it was “a shabby circus for fools”.", marked=["shabby", "ranted"]),
    )
    assert document.segments[0].framed is True
    assert loaded(document) == ["ranted"]


def test_a_short_quotation_may_be_scare_quotes(tmp_path: Path) -> None:
    (document,), report = read(tmp_path, row("The “fair” deal was signed.", marked=["fair"]))
    assert document.segments[0].framed is None
    assert document.annotated == frozenset()
    assert any(reason.startswith("masked:") for reason in report.counts)


def test_a_word_marked_with_its_quotation_marks_is_a_scare_quote(tmp_path: Path) -> None:
    (document,), _ = read(tmp_path, row("The “fair” deal was signed.", marked=['"fair"']))
    assert document.segments[0].framed is True
    assert loaded(document) == ["fair"]


def test_biased_without_words_and_mostly_quotation_is_masked(tmp_path: Path) -> None:
    (document, plain), report = read(
        tmp_path,
        row("“It was the worst of all the deals,” she said."),
        row("It was the worst of all the deals.", link="https://tarn.example/b"),
    )
    assert document.segments[0].framed is None
    assert plain.segments[0].framed is True
    assert plain.annotated == {"framed"}
    assert report.counts["masked: biased without marked words, and mostly quotation"] == 1


def test_words_are_located_whole_in_any_spelling_and_joined(tmp_path: Path) -> None:
    (document,), report = read(
        tmp_path,
        row(
            "The Shabby artful dealer was smearing the art of the deal.",
            marked=["shabby", "artful", "smeering", "swindle", "art of"],
        ),
    )
    assert loaded(document) == ["Shabby artful", "smearing", "art of"]
    assert report.counts == {
        "altered: biased word found by its nearest spelling": 1,
        "dropped: biased word that is not in the sentence": 1,
    }


def test_a_short_word_that_occurs_often_is_marked_in_its_phrase(tmp_path: Path) -> None:
    (document,), _ = read(
        tmp_path, row("A monument to hate, to go to the sea.", marked=["monument", "to", "hate"])
    )
    assert loaded(document) == ["monument to hate"]


def test_rows_without_agreement_are_dropped_and_counted(tmp_path: Path) -> None:
    documents, report = read(
        tmp_path,
        row("The deal was signed.", "No agreement"),
        row("  Padded. ", "Non-biased", FACTUAL),
    )
    assert [d.text for d in documents] == ["Padded."]
    assert report.counts == {
        "altered: outer space removed": 1,
        "dropped: annotators without agreement on bias": 1,
    }
    assert report.notes[0].place == "2"


def test_sentences_of_a_link_stay_together(tmp_path: Path) -> None:
    rows = [
        row(
            f"Sentence {n} of the deal.",
            "Non-biased",
            FACTUAL,
            link=f"https://tarn.example/{n % 9}",
        )
        for n in range(60)
    ]
    write(tmp_path, *rows)
    splits = Babe().read(tmp_path)
    groups = {split: {group_of(d) for d in documents} for split, documents in splits.items()}
    assert all(groups.values())
    assert not groups["train"] & groups["validation"] | groups["train"] & groups["test"]
    assert sum(map(len, groups.values())) == 9
    assert splits == Babe().read(tmp_path)


def test_all_damage_comes_in_one_report(tmp_path: Path) -> None:
    write(
        tmp_path,
        row("One.", marked="not a list"),
        row("Two.", bias="Perhaps"),
        row("Three.", opinion="Perhaps"),
        "one;cell;too;many;for;this;table;[];x",
    )
    with pytest.raises(CorpusError) as caught:
        Babe().read(tmp_path)
    places = [problem.where.rpartition(":")[2] for problem in caught.value.problems]
    assert places == ["2", "3", "4", "5"]


def test_a_table_with_another_separator_is_refused(tmp_path: Path) -> None:
    write(tmp_path)
    path = tmp_path / "babe/data/final_labels_SG2.csv"
    path.write_text(HEADER.replace(";", ",") + "\n", "utf-8")
    with pytest.raises(CorpusError, match="separated by ';'"):
        Babe().read(tmp_path)


def test_a_missing_file_is_named_with_its_source(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="Media-Bias-Group/"):
        Babe().read(tmp_path)


@pytest.mark.corpora
def test_the_corpus_reads(corpora_root: Path) -> None:
    splits, report = Babe().read_with_report(corpora_root)
    documents = [d for split in splits.values() for d in split]
    framed = sum(d.segments[0].framed is True for d in documents)
    assert len(documents) > 2500
    assert 0.4 < framed / len(documents) < 0.6
    dropped = sum(n for reason, n in report.counts.items() if reason.startswith("dropped: biased"))
    assert dropped < 0.02 * sum(len(d.spans) for d in documents)
