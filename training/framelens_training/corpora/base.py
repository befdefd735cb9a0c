"""What every corpus offers: where it lives, what it may be used for, and its documents by split."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from framelens_training.corpora.labelled import Annotated, LabelledDocument

Split = str
"""`train`, `validation` or `test`."""

SPLITS: tuple[Split, ...] = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class CorpusInfo:
    """A corpus's card: what is annotated, by whom it is published, on what terms.

    `paths` are the files and folders of the upstream repository that its reader needs, `optional`
    those that it reads where they are.
    """

    name: str
    title: str
    licence: str
    annotated: frozenset[Annotated]
    upstream: str = ""
    commit: str = ""
    paths: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()


class Corpus(Protocol):
    """A reader of one corpus."""

    @property
    def info(self) -> CorpusInfo:
        """The corpus's card."""

    def read(self, root: Path | None) -> Mapping[Split, list[LabelledDocument]]:
        """All documents by split, in a stable order.

        `root` is the folder that holds the public corpora, one sub-folder each; a
        packaged corpus needs none.

        Raises:
            CorpusError: with every problem of the files.
            FileNotFoundError: naming the path that is missing and how to get it.
        """
