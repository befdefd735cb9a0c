"""Features and targets of a corpus, kept on disk by content.

The key covers the documents, the tokenizer, the feature settings and the code that turns the
one into the other, so that nothing has to be invalidated by hand. What is stored is flat
arrays; windows are packed again when they are read, which takes no time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from framelens.features import DocumentFeatures, Featurizer, TokenizedSegment
from framelens_training.array_store import Arrays, store, stored
from framelens_training.code_version import code_version
from framelens_training.corpora.base import SPLITS, Split
from framelens_training.corpora.labelled import LabelledDocument
from framelens_training.corpora.store import default_cache
from framelens_training.data import LoadedCorpus
from framelens_training.targets import (
    LabelledFeatures,
    SegmentTargets,
    featurize_document,
    role_of,
)

_KEPT = 64
"""Files kept in the folder, the latest read."""


def featurize_corpus(
    documents: Sequence[LabelledDocument], digest: str, featurizer: Featurizer, folder: Path
) -> list[LabelledFeatures]:
    """Features of all documents: from the store if they are there, otherwise made and kept.

    `digest` is the sha256 over the documents (`corpora.labelled.digest`).
    """
    key = _key(digest, featurizer)
    arrays = stored(folder, key)
    if arrays is not None:
        return _items(arrays, documents, featurizer)
    made = [featurize_document(document, featurizer) for document in documents]
    store(folder, key, _arrays(made), kept=_KEPT)
    return made


def featurize_splits(
    corpora: Sequence[LoadedCorpus], featurizer: Featurizer, names: Sequence[Split] = SPLITS
) -> dict[str, list[LabelledFeatures]]:
    """Features of splits, corpus after corpus, by way of the user's cache."""
    folder = default_cache() / "features"
    return {
        name: [
            features
            for item in corpora
            for features in featurize_corpus(
                item.splits[name], item.digests[name], featurizer, folder
            )
        ]
        for name in names
    }


def _key(digest: str, featurizer: Featurizer) -> str:
    sha = hashlib.sha256(code_version(__name__).encode())
    sha.update(digest.encode())
    sha.update(featurizer.tokenizer_json().encode())
    sha.update(repr(asdict(featurizer.config)).encode())
    return sha.hexdigest()


def _arrays(items: Sequence[LabelledFeatures]) -> Arrays:
    segments = [segment for item in items for segment in item.features.segments]
    targets = [target for item in items for target in item.targets]

    def joined(arrays: list[NDArray[np.generic]], dtype: str, *shape: int) -> NDArray[np.generic]:
        return np.concatenate([np.zeros((0, *shape), dtype=dtype), *arrays]).astype(dtype)

    return {
        "sizes": np.array([len(segment.ids) for segment in segments], dtype="i4"),
        "ids": joined([segment.ids for segment in segments], "i4"),
        "offsets": joined([segment.offsets for segment in segments], "i4", 2),
        "words": joined([segment.words for segment in segments], "?"),
        "tags": joined([target.tags for target in targets], "i1"),
        "loaded": joined([target.loaded for target in targets], "i1"),
        "axes": joined([target.axes[None] for target in targets], "f4", 3),
        "weights": joined([target.weights[None] for target in targets], "f4", 3),
    }


def _items(
    arrays: Arrays, documents: Sequence[LabelledDocument], featurizer: Featurizer
) -> list[LabelledFeatures]:
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
