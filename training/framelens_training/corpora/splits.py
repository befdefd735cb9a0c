"""Splitting documents so that no group is in two splits, and split files that pin a split.

A group is what must stay together (an article, a link, a host): `document.meta["group"]`, or
its link, or the document itself. Groups are placed one by one, the largest first, each where the
split then has its share of segments and of positives on every axis (the greedy method of
scikit-learn's StratifiedGroupKFold, for any shares and any number of groups). Ties and the
order of equals come from a hash of seed and group, so the same documents are split the same
way on every machine.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from framelens.schema import AXES
from framelens_training.corpora.base import SPLITS, Split
from framelens_training.corpora.labelled import LabelledDocument, answers_of, digest
from framelens_training.errors import ListedError

SHARES: Mapping[Split, float] = {"train": 0.8, "validation": 0.1, "test": 0.1}
"""Shares of a corpus without an official split."""
SPLIT_SEED = 13

_FORMAT = 1


class SplitFileError(ListedError):
    """A split file that cannot be used with these documents."""


def group_of(document: LabelledDocument) -> str:
    """The key by which a document is kept with others in one split, and counts as one article."""
    return document.meta.get("group") or document.url or document.id


def assign(
    documents: Iterable[LabelledDocument],
    shares: Mapping[Split, float] = SHARES,
    seed: int = SPLIT_SEED,
) -> dict[str, Split]:
    """A split for each document's id: grouped, stratified, and the same in any document order.

    `shares` need not add up to 1.

    Raises:
        ValueError: if no share is above 0.
    """
    total = sum(shares.values())
    if total <= 0 or min(shares.values()) < 0:
        raise ValueError(f"expected shares from 0 up, one of them above 0; found {dict(shares)}")
    shares = {name: share for name, share in shares.items() if share > 0}
    groups: dict[str, list[LabelledDocument]] = {}
    for document in documents:
        groups.setdefault(group_of(document), []).append(document)
    counts = {
        group: np.sum([_counts(d) for d in members], axis=0) for group, members in groups.items()
    }
    scale = np.sum(list(counts.values()) or [np.ones(len(AXES) + 1)], axis=0).clip(1.0)
    order = sorted(groups, key=lambda g: (-counts[g].sum(), _hash(seed, g)))
    names = list(shares)
    wanted = np.array([shares[name] / total for name in names])[:, None]
    filled = np.zeros((len(names), len(scale)))
    placed: dict[str, Split] = {}
    for group in order:
        after = filled + counts[group] / scale
        # How much worse or better each split would stand against its share.
        change = ((after - wanted) ** 2 - (filled - wanted) ** 2).sum(axis=1)
        best = int(np.argmin(change / wanted[:, 0]))
        filled[best] = after[best]
        placed[group] = names[best]
    return {document.id: placed[group] for group, members in groups.items() for document in members}


def split(
    documents: Sequence[LabelledDocument],
    shares: Mapping[Split, float] = SHARES,
    seed: int = SPLIT_SEED,
) -> dict[Split, list[LabelledDocument]]:
    """The documents by split (see `assign`), in their order; every named split is there."""
    assignment = assign(documents, shares, seed)
    return {name: [d for d in documents if assignment[d.id] == name] for name in shares}


def folds(
    documents: Sequence[LabelledDocument], k: int, seed: int = SPLIT_SEED
) -> list[tuple[list[LabelledDocument], list[LabelledDocument]]]:
    """Grouped, stratified cross-validation: `k` pairs of training and held-out documents.

    Raises:
        ValueError: if `k` is below 2 or above the number of groups.
    """
    groups = len({group_of(document) for document in documents})
    if not 2 <= k <= groups:
        raise ValueError(f"expected 2 to {groups} folds (the number of groups), found {k}")
    assignment = assign(documents, {str(fold): 1.0 for fold in range(k)}, seed)
    return [
        (
            [d for d in documents if assignment[d.id] != str(fold)],
            [d for d in documents if assignment[d.id] == str(fold)],
        )
        for fold in range(k)
    ]


def _counts(document: LabelledDocument) -> NDArray[np.float64]:
    """Segments, and positives on each axis: shape (4,)."""
    positives = [answers_of(document, axis).count(True) for axis in AXES]
    return np.array([len(document.segments), *positives], dtype=np.float64)


def _hash(seed: int, group: str) -> str:
    return hashlib.sha256(f"{seed}\0{group}".encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class SplitFile:
    """A split that is written down: which document of a corpus is in which split.

    `digest` is that of the documents that were split (`labelled.digest`), so that a split is
    never applied to a corpus that has changed.
    """

    name: str
    seed: int
    digest: str
    assignment: Mapping[str, Split]

    @classmethod
    def make(cls, name: str, documents: Sequence[LabelledDocument]) -> Self:
        """Split documents and keep the outcome."""
        return cls(name, SPLIT_SEED, digest(documents), assign(documents))

    def write(self, path: Path) -> str:
        """Write the file; gives its sha256, by which a config can pin it."""
        content = {
            "format": _FORMAT,
            "name": self.name,
            "seed": self.seed,
            "digest": self.digest,
            "assignment": dict(sorted(self.assignment.items())),
        }
        data = (json.dumps(content, ensure_ascii=False, indent=1) + "\n").encode("utf-8")
        path.write_bytes(data)
        return hashlib.sha256(data).hexdigest()

    @classmethod
    def read(cls, path: Path, sha256: str | None = None) -> Self:
        """Read a file, and check it against a pinned sha256 if one is given.

        Raises:
            SplitFileError: with what is wrong with the file.
            FileNotFoundError: if there is no such file.
        """
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            raise FileNotFoundError(
                f"{path}: expected a split file, found none; paths in a config count from the "
                "directory that the command is called in"
            ) from None
        found = hashlib.sha256(data).hexdigest()
        if sha256 is not None and found != sha256.lower():
            raise SplitFileError(str(path), [
                f"expected sha256 {sha256}, found {found}; the split was changed after it was "
                "pinned: restore the file, or pin the new sum"
            ])  # fmt: skip
        try:
            content: Any = json.loads(data)
        except ValueError as error:
            raise SplitFileError(str(path), [f"expected JSON, found {error}"]) from error
        problems = _file_problems(content)
        if problems:
            raise SplitFileError(str(path), problems)
        return cls(content["name"], content["seed"], content["digest"], content["assignment"])

    def apply(self, documents: Sequence[LabelledDocument]) -> dict[Split, list[LabelledDocument]]:
        """The documents by split, in their order.

        Raises:
            SplitFileError: if these are not the documents that were split.
        """
        found = digest(documents)
        ids = {document.id for document in documents}
        new, gone = len(ids - set(self.assignment)), len(set(self.assignment) - ids)
        if found != self.digest or new:
            raise SplitFileError(f"split {self.name!r}", [
                f"expected documents with digest {self.digest}, found {found} ({new} documents "
                f"that the split does not know, {gone} that are gone); use the corpus that was "
                "split (texts without an id are called by their file, and ids count), or make the "
                "split anew"
            ])  # fmt: skip
        splits: dict[Split, list[LabelledDocument]] = {}
        for document in documents:
            splits.setdefault(self.assignment[document.id], []).append(document)
        return splits


def _file_problems(content: object) -> list[str]:
    if not isinstance(content, dict):
        return [f"expected an object, found {type(content).__name__}"]
    if content.get("format") != _FORMAT:
        return [f"expected format {_FORMAT}, found {content.get('format')!r}; make the split anew"]
    kinds = {"name": str, "seed": int, "digest": str, "assignment": dict}
    problems = [
        f"{key!r}: expected {kind.__name__}, found {type(content.get(key)).__name__}"
        for key, kind in kinds.items()
        if not isinstance(content.get(key), kind)
    ]
    if not problems:
        problems = [
            f"'assignment': expected one of {', '.join(SPLITS)} for {key!r}, found {value!r}"
            for key, value in content["assignment"].items()
            if value not in SPLITS
        ]
    return problems
