"""The corpora that were written for this project and are packaged with it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from framelens_training.corpora.base import SPLITS, CorpusInfo, Split
from framelens_training.corpora.labelled import (
    ANNOTATED,
    Annotated,
    CorpusError,
    LabelledDocument,
    Problem,
    read_jsonl,
)
from framelens_training.corpora.lines import read_lines
from framelens_training.corpora.markup import parse_markup
from framelens_training.corpora.reading import ReadLog, ReadReport, Splits, check_documents


def _read_markup(path: Path) -> list[LabelledDocument]:
    return parse_markup(path.read_text(encoding="utf-8"), str(path))


_READERS: Mapping[str, Callable[[Path], list[LabelledDocument]]] = {
    "jsonl": read_jsonl,
    "markup": _read_markup,
    "csv": read_lines,
}


class PackagedCorpus:
    """Reader of one file a split, in a folder of the corpus's name; needs no root folder.

    Other files in that folder are no labelled documents.
    """

    def __init__(
        self, name: str, title: str, suffix: str, annotated: Collection[Annotated] = ANNOTATED
    ) -> None:
        """`suffix` is that of its files: `jsonl`, `markup` or `csv`."""
        self.info = CorpusInfo(
            name=name, title=title, licence="Apache-2.0", annotated=frozenset(annotated)
        )
        self._suffix = suffix

    def files(self) -> dict[Split, Traversable]:
        """Its file for each split.

        Raises:
            FileNotFoundError: if the installed package lacks its data files.
        """
        folder = resources.files(__package__) / self.info.name
        files = {split: folder / f"{split}.{self._suffix}" for split in SPLITS}
        missing = [file.name for file in files.values() if not file.is_file()]
        if missing:
            raise FileNotFoundError(
                f"{self.info.name}: expected {', '.join(missing)} in {folder}, found no such file; "
                "the installation is incomplete: install framelens-training again"
            )
        return files

    def read(self, root: Path | None = None) -> Mapping[Split, list[LabelledDocument]]:
        """All documents by split; `root` is not looked at."""
        return self.read_with_report(root)[0]

    def read_with_report(
        self,
        root: Path | None = None,  # noqa: ARG002  (the signature of every reader)
    ) -> tuple[Splits, ReadReport]:
        """All documents by split, and an empty report: the files hold what is used.

        Raises:
            CorpusError: with every problem of the files.
            FileNotFoundError: if the installed package lacks its data files.
        """
        splits: Splits = {}
        problems: list[Problem] = []
        for split, file in self.files().items():
            with resources.as_file(file) as path:
                try:
                    splits[split] = _READERS[self._suffix](path)
                except CorpusError as error:
                    problems.extend(error.problems)
        log = ReadLog(problems=problems)
        check_documents(splits, log)
        if log.problems:
            raise CorpusError(log.problems)
        return splits, ReadReport()
