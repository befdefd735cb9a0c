"""Which documents an artifact may be judged on: none that it is known to have been trained on.

The manifest records a sha256 over each corpus's training documents. Where the reader gives the
same documents today, everything else that it gives was held out; where it does not, nobody can
tell any more, and the corpus is refused. Of the corpora that came along with the weights it went on
from and with its teachers, today's training documents are compared too; where these are others than
then, or nobody noted which they were, that is said.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from framelens.artifact import Manifest
from framelens_training.corpora.base import Split
from framelens_training.corpora.labelled import LabelledDocument, digest
from framelens_training.corpora.reading import wording
from framelens_training.corpora.registry import CORPORA, corpus
from framelens_training.corpora.splits import group_of
from framelens_training.corpora.store import open_corpus
from framelens_training.errors import TrainingError
from framelens_training.inheritance import UNKNOWN, training_sums
from framelens_training.seen_texts import calibrated_on, fingerprint


class HeldOutError(TrainingError):
    """A corpus of which it cannot be told what an artifact was trained on."""


@dataclass(frozen=True, slots=True)
class HeldOut:
    """A corpus by split; everything outside `train` is unknown to the artifact.

    `left_out` counts the documents that another corpus's training part has word for word, or to
    whose labels the artifact was calibrated;
    `unchecked` names the corpora of its training, and of what came before, whose documents of that
    time are not there to be compared with.
    """

    name: str
    splits: Mapping[Split, Sequence[LabelledDocument]]
    left_out: int = 0
    unchecked: tuple[str, ...] = ()


class Holdings:
    """The corpora under a root folder, as an artifact may be judged on them."""

    def __init__(self, manifest: Manifest, root: Path | None) -> None:
        """Take the artifact's record of its training.

        Raises:
            HeldOutError: if the manifest does not record its corpora.
        """
        recorded = manifest.training.get("corpora")
        if not isinstance(recorded, list):
            raise HeldOutError(
                f"{manifest.name} {manifest.version}: expected the corpora of its training in the "
                "manifest, found none; judge an artifact that framelens-train run exported"
            )
        self._recorded: dict[str, Mapping[str, str]] = {
            item["name"]: item["sha256"] for item in recorded
        }
        self._sums = _training_sums(manifest.training)
        self._fitted_to = calibrated_on(manifest.training)
        self._root = root
        self._read: dict[str, Mapping[Split, Sequence[LabelledDocument]]] = {}
        self._trained: dict[str, tuple[set[str], str]] = {}

    def held_out(self, name: str) -> HeldOut:
        """A corpus, after a check that no document outside `train` was trained on.

        Raises:
            HeldOutError: if the training documents are not those of the artifact's record, or
                a held-out document has its id, article or text among them.
            FileNotFoundError: naming what is missing and how to get it.
        """
        splits = self._splits(name)
        self._check_record(name, digest(splits.get("train", ())))
        _check_disjoint(name, splits)
        others: set[str] = set()
        unchecked: list[str] = []
        for other, sums in self._sums.items():
            texts, found = self._trained_on(other)
            if other != name:
                others |= texts
            unchecked += [other] if sums != {found} else []
        kept: dict[Split, Sequence[LabelledDocument]] = {
            split: documents
            if split == "train"
            else [
                document
                for document in documents
                if _text(document) not in others and fingerprint(document) not in self._fitted_to
            ]
            for split, documents in splits.items()
        }
        left_out = sum(len(splits[split]) - len(kept[split]) for split in splits)
        return HeldOut(name, kept, left_out, tuple(unchecked))

    def validation(self) -> list[str]:
        """The corpora whose validation documents the artifact was tuned on."""
        empty = digest(())
        return [
            name
            for name, sums in self._recorded.items()
            if name in CORPORA and sums.get("validation", empty) != empty
        ]

    def _splits(self, name: str) -> Mapping[Split, Sequence[LabelledDocument]]:
        if name not in self._read:
            reader = corpus(name)
            if reader.info.upstream:
                self._read[name] = open_corpus(reader, self._root).read()
            else:
                self._read[name] = reader.read(None)
        return self._read[name]

    def _check_record(self, name: str, found: str) -> None:
        expected = self._recorded.get(name, {}).get("train", found)
        if found != expected:
            raise HeldOutError(
                f"{name}: expected the training documents of the artifact (sha256 {expected}), "
                f"found others (sha256 {found}); the corpus or its reader has changed since, and "
                "what was held out cannot be told: train again, or use the corpus of that time"
            )

    def _trained_on(self, name: str) -> tuple[set[str], str]:
        """The texts of a corpus's training documents and the sha256 over these.

        Nothing for a corpus that is not there, and for files that only a digest is known of.
        """
        if name not in self._trained:
            try:
                documents = self._splits(name).get("train", ()) if name in CORPORA else None
            except FileNotFoundError:
                documents = None
            self._trained[name] = (
                (set(), "")
                if documents is None
                else ({_text(document) for document in documents}, digest(documents))
            )
        return self._trained[name]


def _training_sums(training: Mapping[str, Any]) -> dict[str, frozenset[str]]:
    """By name, sums over the training documents of an artifact's corpora and of those before."""
    sums = {
        item["name"]: frozenset({item["sha256"].get("train", UNKNOWN)})
        for item in training["corpora"]
    }
    for name, before in training_sums(training).items():
        sums[name] = sums.get(name, frozenset()) | before
    return sums


def _check_disjoint(name: str, splits: Mapping[Split, Sequence[LabelledDocument]]) -> None:
    train = splits.get("train", ())
    for what, key in (("id", lambda d: d.id), ("article", group_of), ("text", _text)):
        known = {key(document) for document in train}
        shared = [
            document.id
            for split, documents in splits.items()
            if split != "train"
            for document in documents
            if key(document) in known
        ]
        if shared:
            raise HeldOutError(
                f"{name}: expected no held-out document with the {what} of a training document, "
                f"found {len(shared)}, the first {shared[0]!r}; split by article and without "
                "repeated texts (framelens-train corpora check)"
            )


def _text(document: LabelledDocument) -> str:
    return wording(f"{document.headline or ''} {document.text}")


def subset(documents: Sequence[LabelledDocument], segments: int | None) -> list[LabelledDocument]:
    """Whole documents, drawn by a hash of their articles until there are so many segments.

    The same documents give the same subset on every machine; `None` takes all of them. They
    come in their order.
    """
    if segments is None:
        return list(documents)
    chosen: set[str] = set()
    count = 0
    for document in sorted(documents, key=lambda d: (_hash(group_of(d)), d.id)):
        if count >= segments:
            break
        chosen.add(document.id)
        count += len(document.segments)
    return [document for document in documents if document.id in chosen]


def half_of(document: LabelledDocument) -> int:
    """0 or 1, by a hash of the document's article."""
    return int(_hash(group_of(document)), 16) % 2


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
