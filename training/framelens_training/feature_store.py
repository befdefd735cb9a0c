"""Features and targets of a corpus, kept on disk by content.

The key covers the documents, the tokenizer, the feature settings and the code that turns the
one into the other, so that nothing has to be invalidated by hand. What is stored is flat
arrays; windows are packed again when they are read, which takes no time.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from framelens.features import DocumentFeatures, Featurizer, TokenizedSegment
from framelens_training.corpora.labelled import LabelledDocument
from framelens_training.targets import (
    LabelledFeatures,
    SegmentTargets,
    featurize_document,
    role_of,
)

_CODE = (
    ("framelens", ("features.py", "decoding.py")),
    ("framelens_training", ("targets.py", "feature_store.py")),
)
_KEPT = 12
"""Files kept in the folder, the latest read."""


def featurize_corpus(
    documents: Sequence[LabelledDocument], digest: str, featurizer: Featurizer, folder: Path
) -> list[LabelledFeatures]:
    """Features of all documents: from the store if they are there, otherwise made and kept.

    `digest` is the sha256 over the documents (`corpora.labelled.digest`).
    """
    path = folder / f"{_key(digest, featurizer)}.npz"
    if path.is_file():
        path.touch()
        return _read(path, documents, featurizer)
    made = [featurize_document(document, featurizer) for document in documents]
    _write(path, made)
    _prune(folder)
    return made


def _key(digest: str, featurizer: Featurizer) -> str:
    sha = hashlib.sha256(_code_version().encode())
    sha.update(digest.encode())
    sha.update(featurizer.tokenizer_json().encode())
    sha.update(repr(asdict(featurizer.config)).encode())
    return sha.hexdigest()


@cache
def _code_version() -> str:
    sha = hashlib.sha256()
    for package, names in _CODE:
        for name in names:
            sha.update((resources.files(package) / name).read_bytes())
    return sha.hexdigest()


def _write(path: Path, items: Sequence[LabelledFeatures]) -> None:
    segments = [segment for item in items for segment in item.features.segments]
    targets = [target for item in items for target in item.targets]

    def joined(arrays: list[NDArray[np.generic]], dtype: str, *shape: int) -> NDArray[np.generic]:
        return np.concatenate([np.zeros((0, *shape), dtype=dtype), *arrays]).astype(dtype)

    arrays = {
        "sizes": np.array([len(segment.ids) for segment in segments], dtype="i4"),
        "ids": joined([segment.ids for segment in segments], "i4"),
        "offsets": joined([segment.offsets for segment in segments], "i4", 2),
        "words": joined([segment.words for segment in segments], "?"),
        "tags": joined([target.tags for target in targets], "i1"),
        "loaded": joined([target.loaded for target in targets], "i1"),
        "axes": joined([target.axes[None] for target in targets], "f4", 3),
        "weights": joined([target.weights[None] for target in targets], "f4", 3),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, suffix=".partial")
    with os.fdopen(handle, "wb") as stream:
        np.savez(stream, **arrays)  # type: ignore[arg-type]
    Path(name).replace(path)


def _read(
    path: Path, documents: Sequence[LabelledDocument], featurizer: Featurizer
) -> list[LabelledFeatures]:
    with np.load(path) as stored:
        arrays = {name: stored[name] for name in stored.files}
    wide = {name: arrays[name].astype(np.int64) for name in ("ids", "offsets", "tags", "loaded")}
    ends = np.cumsum(arrays["sizes"]).tolist()
    starts = [0, *ends[:-1]]
    items: list[LabelledFeatures] = []
    number = 0
    for document in documents:
        segments: list[TokenizedSegment] = []
        targets: list[SegmentTargets] = []
        for gold in document.segments:
            here = slice(starts[number], ends[number])
            segments.append(
                TokenizedSegment(
                    role_of(gold), wide["ids"][here], wide["offsets"][here], arrays["words"][here]
                )
            )
            targets.append(
                SegmentTargets(
                    arrays["axes"][number],
                    arrays["weights"][number],
                    wide["tags"][here],
                    wide["loaded"][here],
                )
            )
            number += 1
        features = DocumentFeatures(tuple(segments), tuple(featurizer.windows(segments)))
        items.append(LabelledFeatures(document, features, tuple(targets)))
    return items


def _prune(folder: Path) -> None:
    files = sorted(folder.glob("*.npz"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in files[_KEPT:]:
        path.unlink(missing_ok=True)
