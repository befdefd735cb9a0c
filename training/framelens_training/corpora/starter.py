"""The starter corpus: articles written for this project, packaged with it, fully annotated."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from framelens_training.corpora.base import CorpusInfo, Split
from framelens_training.corpora.labelled import (
    ANNOTATED,
    CorpusError,
    LabelledDocument,
    Problem,
    read_jsonl,
)
from framelens_training.corpora.reading import ReadLog, ReadReport, Splits, check_documents

STARTER_SPLITS: tuple[Split, ...] = ("train", "validation", "test")
"""Its files, less `.jsonl`; other files beside them are no labelled documents."""


class Starter:
    """Reader of the packaged JSONL files; needs no root folder."""

    info = CorpusInfo(
        name="starter",
        title="framelens starter corpus",
        licence="Apache-2.0",
        annotated=frozenset(ANNOTATED),
    )

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
        folder = resources.files(__package__) / "starter"
        missing = [split for split in STARTER_SPLITS if not (folder / f"{split}.jsonl").is_file()]
        if missing:
            raise FileNotFoundError(
                f"starter: expected {', '.join(f'{split}.jsonl' for split in missing)} in "
                f"{folder}, found no such file; the installation is incomplete: install "
                "framelens-training again"
            )
        splits: Splits = {}
        problems: list[Problem] = []
        for split in STARTER_SPLITS:
            with resources.as_file(folder / f"{split}.jsonl") as path:
                try:
                    splits[split] = read_jsonl(path)
                except CorpusError as error:
                    problems.extend(error.problems)
        log = ReadLog(problems=problems)
        check_documents(splits, log)
        if log.problems:
            raise CorpusError(log.problems)
        return splits, ReadReport()
