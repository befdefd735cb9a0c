from __future__ import annotations

from importlib import resources
from pathlib import Path

import pytest

from framelens_training.corpora.labelled import CorpusError, LabelledDocument, write_jsonl
from framelens_training.corpora.markup import parse_markup
from framelens_training.corpora.packaged import PackagedCorpus
from framelens_training.corpora.reading import CorpusReader
from framelens_training.corpora.registry import (
    CORPORA,
    ROOT_VARIABLE,
    UnknownCorpusError,
    corpus,
    resolve_root,
)
from framelens_training.corpora.splits import group_of


def test_every_corpus_is_found_by_its_name() -> None:
    assert list(CORPORA) == [
        "starter", "gazette", "lines", "pages", "polnear", "babe", "semeval2023-task3",
        "checkthat2025", "hyperpartisan-titles", "article-extraction", "judged-articles",
        "judged-lines",
    ]  # fmt: skip
    for name, reader in CORPORA.items():
        assert corpus(name) is reader
        assert reader.info.annotated
        assert reader.info.licence


def test_public_corpora_say_where_they_come_from() -> None:
    for reader in CORPORA.values():
        if isinstance(reader, CorpusReader):
            assert "/" in reader.info.upstream
            assert reader.info.paths
            for source in reader.sources:
                assert len(source.info.commit) == 40
                assert CORPORA[source.info.name].info == source.info


def test_an_unknown_name_gets_the_nearest_known_one() -> None:
    with pytest.raises(UnknownCorpusError, match=r"found 'Pol-near' \(did you mean 'polnear'\?\)"):
        corpus("Pol-near")
    with pytest.raises(UnknownCorpusError, match="found 'zzz'; known are starter"):
        corpus("zzz")


def test_the_root_is_the_config_s_or_the_environment_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    monkeypatch.setenv(ROOT_VARIABLE, str(other))
    assert resolve_root(None) == other
    assert resolve_root(str(tmp_path)) == tmp_path
    with pytest.raises(FileNotFoundError, match=r"corpora\.root in the config: .* at .*/no"):
        resolve_root(tmp_path / "no")
    monkeypatch.setenv(ROOT_VARIABLE, str(tmp_path / "gone"))
    with pytest.raises(FileNotFoundError, match=f"the environment's {ROOT_VARIABLE}: .*gone"):
        resolve_root(None)
    monkeypatch.delenv(ROOT_VARIABLE)
    with pytest.raises(FileNotFoundError, match="found neither"):
        resolve_root(None)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that stands for the one of a packaged corpus, `notes`."""
    monkeypatch.setattr(resources, "files", lambda _: tmp_path)
    folder = tmp_path / "notes"
    folder.mkdir()
    return folder


def packaged(suffix: str) -> PackagedCorpus:
    return PackagedCorpus("notes", "some notes", suffix)


def markup(name: str) -> str:
    return f"#id: {name}\n\n-| The pool shut.\n"


def article(name: str) -> list[LabelledDocument]:
    return parse_markup(markup(name))


def test_a_packaged_corpus_reads_a_file_for_each_split(package: Path) -> None:
    for split in ("train", "validation", "test"):
        write_jsonl(article(f"{split}-1"), package / f"{split}.jsonl")
        (package / f"{split}.markup").write_text(markup(f"{split}-2"), "utf-8")
    for suffix, number in (("jsonl", 1), ("markup", 2)):
        splits = packaged(suffix).read(None)
        assert {name: [d.id for d in found] for name, found in splits.items()} == {
            split: [f"{split}-{number}"] for split in ("train", "validation", "test")
        }


def test_a_packaged_corpus_refuses_damage_and_repeated_ids(package: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"train\.jsonl, validation\.jsonl, test\.jsonl"):
        packaged("jsonl").read(None)
    write_jsonl(article("same"), package / "train.jsonl")
    write_jsonl(article("same"), package / "validation.jsonl")
    (package / "test.jsonl").write_text("{\n", "utf-8")
    with pytest.raises(CorpusError) as caught:
        packaged("jsonl").read(None)
    assert [problem.where.rpartition("/")[2] for problem in caught.value.problems] == [
        "test.jsonl:1", "same",
    ]  # fmt: skip


def test_damaged_markup_is_told_by_its_line(package: Path) -> None:
    for split in ("train", "validation"):
        (package / f"{split}.markup").write_text(markup(split), "utf-8")
    (package / "test.markup").write_text("#id: x\n\nno axes\n", "utf-8")
    with pytest.raises(CorpusError) as caught:
        packaged("markup").read(None)
    assert [p.where.rpartition("/")[2] for p in caught.value.problems] == ["test.markup:3"]


@pytest.mark.corpora
@pytest.mark.parametrize(
    "name", [name for name, reader in CORPORA.items() if not isinstance(reader, PackagedCorpus)]
)
def test_no_group_of_a_public_corpus_is_in_two_splits(corpora_root: Path, name: str) -> None:
    splits = corpus(name).read(corpora_root)
    groups = [{group_of(d) for d in documents} for documents in splits.values()]
    assert sum(map(len, groups)) == len(set().union(*groups))
    assert all(groups)
