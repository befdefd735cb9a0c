from __future__ import annotations

from importlib import resources
from pathlib import Path

import pytest

from framelens_training.corpora import starter
from framelens_training.corpora.labelled import CorpusError, LabelledDocument, write_jsonl
from framelens_training.corpora.markup import parse_markup
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
        "starter", "polnear", "babe", "semeval2023-task3", "checkthat2025",
        "hyperpartisan-titles", "article-extraction",
    ]  # fmt: skip
    for name, reader in CORPORA.items():
        assert corpus(name) is reader
        assert reader.info.annotated
        assert reader.info.licence


def test_public_corpora_say_where_they_come_from() -> None:
    for name, reader in CORPORA.items():
        if name != "starter":
            assert "/" in reader.info.upstream
            assert len(reader.info.commit) == 40
            assert reader.info.paths


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
    """A folder that stands for the installed package of the starter corpus."""
    monkeypatch.setattr(resources, "files", lambda _: tmp_path)
    folder = tmp_path / "starter"
    folder.mkdir()
    return folder


def article(name: str) -> list[LabelledDocument]:
    return parse_markup(f"#id: {name}\n\n-| The pool shut.\n")


def test_the_starter_corpus_reads_its_packaged_files(package: Path) -> None:
    for split in ("train", "validation", "test"):
        write_jsonl(article(f"{split}-1"), package / f"{split}.jsonl")
    splits = starter.Starter().read(None)
    assert {name: [d.id for d in found] for name, found in splits.items()} == {
        "train": ["train-1"], "validation": ["validation-1"], "test": ["test-1"],
    }  # fmt: skip


def test_the_starter_corpus_refuses_damage_and_repeated_ids(package: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"train\.jsonl, validation\.jsonl, test\.jsonl"):
        starter.Starter().read(None)
    write_jsonl(article("same"), package / "train.jsonl")
    write_jsonl(article("same"), package / "validation.jsonl")
    (package / "test.jsonl").write_text("{\n", "utf-8")
    with pytest.raises(CorpusError) as caught:
        starter.Starter().read(None)
    assert [problem.where.rpartition("/")[2] for problem in caught.value.problems] == [
        "test.jsonl:1", "same",
    ]  # fmt: skip


@pytest.mark.corpora
@pytest.mark.parametrize("name", [name for name in CORPORA if name != "starter"])
def test_no_group_of_a_public_corpus_is_in_two_splits(corpora_root: Path, name: str) -> None:
    splits = corpus(name).read(corpora_root)
    groups = [{group_of(d) for d in documents} for documents in splits.values()]
    assert sum(map(len, groups)) == len(set().union(*groups))
    assert all(groups)
