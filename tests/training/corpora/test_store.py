"""The cache of read corpora: the same documents, and never stale ones."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest

from framelens_training.corpora import store
from framelens_training.corpora.base import CorpusInfo
from framelens_training.corpora.labelled import CorpusError, GoldSegment, LabelledDocument, digest
from framelens_training.corpora.reading import CorpusReader, ReadLog, Splits
from framelens_training.corpora.registry import CORPORA
from framelens_training.corpora.store import content_key, default_cache, open_corpus
from framelens_training.errors import TrainingError


class Lines(CorpusReader):
    """A corpus of one plain line a document."""

    folder: ClassVar[str] = "lines"
    info = CorpusInfo(
        name="lines",
        title="Lines",
        licence="none",
        annotated=frozenset({"framed"}),
        upstream="example/lines",
        paths=("data",),
    )

    def __init__(self) -> None:
        self.reads = 0

    def _read(self, folder: Path, log: ReadLog) -> Splits:
        self.reads += 1
        splits: Splits = {}
        for path in sorted((folder / "data").glob("*.txt")):
            documents = splits.setdefault(path.stem, [])
            for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
                if line == "broken":
                    log.complain(f"{path}:{number}", "expected a line, found a broken one")
                elif not line:
                    log.note(path.name, number, "dropped", "empty line")
                else:
                    segment = GoldSegment("text", 0, len(line), framed=False)
                    documents.append(
                        LabelledDocument(
                            f"{path.stem}/{number}",
                            line,
                            annotated=frozenset({"framed"}),
                            segments=(segment,),
                        )
                    )
        return splits


@pytest.fixture
def root(tmp_path: Path) -> Path:
    data = tmp_path / "root/lines/data"
    data.mkdir(parents=True)
    (data / "train.txt").write_text("Rain fell.\n\nThe mayor left.\n", "utf-8")
    (data / "test.txt").write_text("", "utf-8")
    return tmp_path / "root"


def test_the_second_reading_comes_from_the_cache(root: Path, tmp_path: Path) -> None:
    reader = Lines()
    first = open_corpus(reader, root, tmp_path / "cache")
    second = open_corpus(reader, root, tmp_path / "cache")
    assert (first.cached, second.cached, reader.reads) == (False, True, 1)
    assert second.read() == first.read() == dict(reader.read(root))
    assert second.report == first.report
    assert second.report.counts == {"dropped: empty line": 1}


def test_another_name_of_the_same_files_is_the_same_corpus(root: Path, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    key = content_key(Lines(), root)
    root.rename(moved)
    assert content_key(Lines(), moved) == key


def test_a_changed_byte_or_file_name_is_another_corpus(root: Path, tmp_path: Path) -> None:
    reader = Lines()
    open_corpus(reader, root, tmp_path)
    keys = {content_key(reader, root)}
    path = root / "lines/data/train.txt"
    path.write_text("Rain fell!\n", "utf-8")
    keys.add(content_key(reader, root))
    assert [d.text for d in open_corpus(reader, root, tmp_path).documents("train")] == [
        "Rain fell!"
    ]
    path.rename(path.with_name("validation.txt"))
    keys.add(content_key(reader, root))
    assert len(keys) == 3
    assert reader.reads == 2


def test_changed_reading_code_is_another_corpus(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = content_key(Lines(), root)
    monkeypatch.setattr(store, "reader_version", lambda: "another")
    assert content_key(Lines(), root) != key


def test_a_broken_corpus_leaves_nothing_in_the_cache(root: Path, tmp_path: Path) -> None:
    (root / "lines/data/train.txt").write_text("broken\n", "utf-8")
    with pytest.raises(CorpusError, match="broken one"):
        open_corpus(Lines(), root, tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_a_folder_left_half_made_is_made_again(root: Path, tmp_path: Path) -> None:
    stored = open_corpus(Lines(), root, tmp_path)
    (folder,) = tmp_path.glob(f"lines-{stored.key[:16]}")
    (folder / "report.json").unlink()
    assert not open_corpus(Lines(), root, tmp_path).cached
    assert open_corpus(Lines(), root, tmp_path).cached


def test_old_versions_are_deleted(root: Path, tmp_path: Path) -> None:
    for number in range(6):
        (root / "lines/data/train.txt").write_text(f"Line {number}.\n", "utf-8")
        open_corpus(Lines(), root, tmp_path / "cache")
    assert len(list((tmp_path / "cache").iterdir())) == 3


def test_the_starter_corpus_is_the_same_from_the_cache(tmp_path: Path) -> None:
    reader = CORPORA["starter"]
    stored = open_corpus(reader, None, tmp_path)
    read = reader.read(None)
    assert {k: digest(v) for k, v in stored.read().items()} == {
        k: digest(v) for k, v in read.items()
    }
    assert stored.datasets["train"].features["spans"].feature["type"].names[0] == "source"


def test_the_cache_folder_can_be_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FRAMELENS_CACHE", str(tmp_path))
    assert default_cache() == tmp_path / "corpora"


def test_a_cache_that_cannot_be_made_is_named_with_its_variable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("FRAMELENS_CACHE", str(tmp_path / "file"))
    with pytest.raises(TrainingError, match=r"file/corpora: cannot be made.*FRAMELENS_CACHE"):
        default_cache()
