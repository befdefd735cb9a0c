"""CheckThat! and the hyperpartisan titles."""

from __future__ import annotations

from pathlib import Path

import pytest

from framelens_training.corpora.checkthat import CheckThat
from framelens_training.corpora.hyperpartisan_titles import HyperpartisanTitles
from framelens_training.corpora.labelled import CorpusError


def write_checkthat(root: Path, train: str, dev: str = "") -> None:
    folder = root / "checkthat2025/data/english"
    folder.mkdir(parents=True, exist_ok=True)
    header = "sentence_id\tsentence\tlabel\tsolved_conflict\n"
    (folder / "train_en.tsv").write_text(header + train, "utf-8")
    (folder / "dev_en.tsv").write_text(header + dev, "utf-8")


def test_subjective_is_framed_and_the_official_parts_are_kept(tmp_path: Path) -> None:
    write_checkthat(
        tmp_path,
        "a\tWhat a shabby deal.\tSUBJ\tTrue\nb\tThe pool shut.\tOBJ\tFalse\n",
        "c\tThe deal was signed.\tOBJ\n",  # a short row: no fourth cell
    )
    splits, report = CheckThat().read_with_report(tmp_path)
    first, second = splits["train"]
    (third,) = splits["validation"]
    assert [d.segments[0].framed for d in (first, second, third)] == [True, False, False]
    assert first.segments[0].weights == {"framed": 0.75}
    assert second.segments[0].weights == third.segments[0].weights == {}
    assert first.segments[0].field == "text"
    assert first.annotated == {"framed"}
    assert first.id == "checkthat2025/a"
    assert report.counts == {}


def test_the_table_is_read_without_quoting_and_its_residue_undone(tmp_path: Path) -> None:
    write_checkthat(
        tmp_path,
        'a\tHe asked "why.\tOBJ\tFalse\n'  # a lone mark must not swallow the next row
        'b\t"The ""fair"" deal."\tSUBJ\tFalse\n'
        'c\t"A whole quotation."\tOBJ\tFalse\n'
        'd\tHe asked "why.\tOBJ\tFalse\n',
    )
    splits, report = CheckThat().read_with_report(tmp_path)
    assert [d.text for d in splits["train"]] == [
        'He asked "why.', 'The "fair" deal.', '"A whole quotation."',
    ]  # fmt: skip
    assert report.counts == {
        "altered: residue of CSV quoting or outer space removed": 1,
        "dropped: sentence that stands already in the file": 1,
    }


def test_an_unknown_label_and_a_missing_column_are_refused(tmp_path: Path) -> None:
    write_checkthat(tmp_path, "a\tText.\tMAYBE\tFalse\n")
    dev = tmp_path / "checkthat2025/data/english/dev_en.tsv"
    dev.write_text("sentence_id\tsentence\n", "utf-8")
    with pytest.raises(CorpusError) as caught:
        CheckThat().read(tmp_path)
    assert [problem.where.rpartition("/")[2] for problem in caught.value.problems] == [
        "train_en.tsv:2", "dev_en.tsv",
    ]  # fmt: skip


def test_missing_files_are_all_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"train_en\.tsv.*dev_en\.tsv.*FRAMELENS_CORPORA"):
        CheckThat().read(tmp_path)
    with pytest.raises(FileNotFoundError, match="Hyperpartisan-News-Titles"):
        HyperpartisanTitles().read(tmp_path)
    with pytest.raises(FileNotFoundError, match="expected the root folder"):
        CheckThat().read(None)


def write_titles(root: Path, rows: str) -> None:
    folder = root / "hyperpartisan-titles/data"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "training_set.csv").write_text(
        ",year,month,media,title,annotator 1,annotator 2,annotator 3,label\n" + rows, "utf-8"
    )


def test_titles_are_headlines_weighted_by_agreement(tmp_path: Path) -> None:
    write_titles(
        tmp_path,
        '0,2015,7,tarn,"Mayor, again, torches plan",1,1,1,1\n'
        "1,2016,8,tarn,Mayor signs plan,0,1,0,0\n"
        "2,2016,8,tarn,Mayor signs plan,0,1,0,0\n"
        "3,2016,8,tarn,Against the vote,0,0,1,1\n"
        "4,2016,8,tarn,  ,0,0,0,0\n",
    )
    splits, report = HyperpartisanTitles().read_with_report(tmp_path)
    documents = {d.meta["row"]: d for split in splits.values() for d in split}
    assert sorted(documents) == ["2", "3", "5"]
    first, second, odd = documents["2"], documents["3"], documents["5"]
    assert (first.headline, first.text) == ("Mayor, again, torches plan", "")
    assert first.segments[0].field == "headline"
    assert (first.segments[0].framed, first.segments[0].weights) == (True, {})
    assert second.segments[0].framed is False
    assert second.segments[0].weights == {"framed": pytest.approx(2 / 3)}
    assert odd.segments[0].framed is None
    assert (first.outlet, first.meta["year"]) == ("tarn", "2015")
    assert report.counts == {
        "altered: outer space removed": 1,
        "dropped: empty title": 1,
        "dropped: title that stands already in the file": 1,
        "masked: label against the majority of its annotators": 1,
    }


def test_a_title_of_two_outlets_is_in_one_split(tmp_path: Path) -> None:
    write_titles(
        tmp_path,
        "".join(
            f"0,2016,8,{outlet},Title {n}{end},0,0,0,0\n"
            for n in range(20)
            for outlet, end in (("tarn", ""), ("fell", "!"))
        ),
    )
    splits = HyperpartisanTitles().read(tmp_path)
    titles = {
        name: {(d.headline or "").rstrip("!") for d in documents}
        for name, documents in splits.items()
    }
    assert sum(map(len, splits.values())) == 40
    assert all(titles.values())
    assert sum(map(len, titles.values())) == len(set().union(*titles.values()))


def test_a_vote_that_is_no_number_is_refused(tmp_path: Path) -> None:
    write_titles(tmp_path, "0,2015,7,tarn,Title,1,,1,1\n")
    with pytest.raises(CorpusError, match=r"training_set\.csv:2"):
        HyperpartisanTitles().read(tmp_path)


@pytest.mark.corpora
def test_the_corpora_read(corpora_root: Path) -> None:
    checkthat = CheckThat().read(corpora_root)
    assert {split: len(found) for split, found in checkthat.items()} == {
        "train": 825, "validation": 462,
    }  # fmt: skip
    titles = HyperpartisanTitles().read(corpora_root)
    assert sum(map(len, titles.values())) == 1998
