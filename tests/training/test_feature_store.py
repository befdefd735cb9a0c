from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from framelens.features import FeatureConfig, Featurizer
from framelens_training import array_store, feature_store
from framelens_training.corpora.labelled import LabelledDocument, digest
from framelens_training.feature_store import featurize_corpus
from framelens_training.targets import LabelledFeatures, featurize_document
from support import make_tokenizer, tiny_documents

DOCUMENTS = [*tiny_documents(5), LabelledDocument(id="empty", text="")]


def same(ours: list[LabelledFeatures], theirs: list[LabelledFeatures]) -> bool:
    def arrays(items: list[LabelledFeatures]) -> list[np.ndarray]:
        found = []
        for item in items:
            for s in item.features.segments:
                found += [s.ids, s.offsets, s.words]
            for t in item.targets:
                found += [t.axes, t.weights, t.tags, t.loaded]
            for w in item.features.windows:
                found += [w.input_ids, w.token_type_ids]
        return found

    pairs = list(zip(arrays(ours), arrays(theirs), strict=True))
    return all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in pairs)


def test_what_is_read_back_is_what_was_made(
    featurizer: Featurizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [featurize_document(document, featurizer) for document in DOCUMENTS]
    key = digest(DOCUMENTS)
    assert same(featurize_corpus(DOCUMENTS, key, featurizer, tmp_path), made)
    monkeypatch.setattr(feature_store, "featurize_document", None)  # nothing is made again
    assert same(featurize_corpus(DOCUMENTS, key, featurizer, tmp_path), made)
    assert [path.suffix for path in tmp_path.iterdir()] == [".npz"]


def test_other_documents_settings_or_tokenizer_are_not_mixed_up(
    featurizer: Featurizer, tmp_path: Path
) -> None:
    featurize_corpus(DOCUMENTS, digest(DOCUMENTS), featurizer, tmp_path)
    others = tiny_documents(3, first=7)
    featurize_corpus(others, digest(others), featurizer, tmp_path)
    plain = Featurizer(make_tokenizer(), FeatureConfig(max_tokens=32, overlap=8, token_types=False))
    featurize_corpus(DOCUMENTS, digest(DOCUMENTS), plain, tmp_path)
    tokenizer = make_tokenizer()
    tokenizer.add_tokens(["roadworks"])
    grown = Featurizer(tokenizer, FeatureConfig(max_tokens=32, overlap=8))
    featurize_corpus(DOCUMENTS, digest(DOCUMENTS), grown, tmp_path)
    assert len(list(tmp_path.iterdir())) == 4


def test_old_files_make_room(
    featurizer: Featurizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feature_store, "_KEPT", 2)
    for number in range(4):
        documents = tiny_documents(1, first=number)
        featurize_corpus(documents, digest(documents), featurizer, tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_damaged_file_is_made_anew(share: float, featurizer: Featurizer, tmp_path: Path) -> None:
    documents = tiny_documents(2)
    first = featurize_corpus(documents, digest(documents), featurizer, tmp_path)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    again = featurize_corpus(documents, digest(documents), featurizer, tmp_path)
    assert len(again) == len(first)
    assert path.stat().st_size == len(whole)


def test_another_process_may_make_room_at_the_same_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = {"rows": np.arange(3)}
    array_store.store(tmp_path, "mine", rows, kept=9)
    array_store.store(tmp_path, "old", rows, kept=9)
    load, glob = np.load, Path.glob

    def and_one_goes(folder: Path, pattern: str) -> list[Path]:
        found = list(glob(folder, pattern))
        (tmp_path / "old.npz").unlink()
        return found

    def gone(path: Path) -> object:
        path.unlink()
        return load(path)

    monkeypatch.setattr(Path, "glob", and_one_goes)
    array_store.store(tmp_path, "new", rows, kept=2)
    assert sorted(path.name for path in glob(tmp_path, "*")) == ["mine.npz", "new.npz"]
    monkeypatch.setattr(np, "load", gone)
    assert array_store.stored(tmp_path, "mine") is None
