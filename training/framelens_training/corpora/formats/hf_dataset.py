"""A Hugging Face dataset on disk (`Dataset.save_to_disk`).

Written with the features of `corpora.features`. Read with those, with plain columns of the
same names (nested as in labelled JSONL), or as rows of `text` and `label` (see `rows`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from framelens_training.corpora.features import dataset_of, document_of_row, features, save
from framelens_training.corpora.findings import Finding, Located, Parsed, error
from framelens_training.corpora.formats.base import FormatError, document_of, repeated_ids
from framelens_training.corpora.formats.rows import column_findings, document_from_row
from framelens_training.corpora.labelled import LabelledDocument

SPLITS_FILE = "dataset_dict.json"
"""Marks a folder that holds several datasets, one a split."""


def parse(path: Path) -> Parsed:
    """Read a dataset; of several splits, each is a folder that is read on its own."""
    from datasets import load_from_disk

    if (path / SPLITS_FILE).exists():
        names = sorted(p.name for p in path.iterdir() if (p / "dataset_info.json").exists())
        return Parsed((), (
            error("several-splits", f"{path}:1", "the folder of one split",
                  f"a dataset with the splits {', '.join(names)}",
                  f"name one of them, such as {path / names[0] if names else path}"),
        ))  # fmt: skip
    try:
        dataset = load_from_disk(str(path))
    except Exception as fault:  # datasets raises whatever Arrow, JSON and the disk raise
        return Parsed((), (
            error("unreadable", f"{path}:1", "a dataset saved with save_to_disk",
                  f"{type(fault).__name__}: {fault}", "save it again"),
        ))  # fmt: skip
    if dataset.features == features():
        return _own(dataset, path)
    findings: list[Finding] = []
    nested = "segments" in dataset.column_names
    if not nested:
        findings += column_findings(dataset.column_names, f"{path}:1")
    located: list[Located] = []
    for number, row in enumerate(dataset, start=1):
        if any(f.severity == "error" and f.code == "columns" for f in findings):
            break
        where = f"{path}:{number}"
        named = _with_names(row, dataset.features)
        if nested:
            item, faults = document_of(_without_nulls(named), where)
        else:
            item, faults = document_from_row(named, where, f"{path.name}:{number}")
        findings += faults
        if item is not None:
            located.append(item)
    return Parsed(tuple(located), (*findings, *repeated_ids(located)))


def _own(dataset: Any, path: Path) -> Parsed:
    located: list[Located] = []
    findings: list[Finding] = []
    for number, row in enumerate(dataset, start=1):
        item, faults = document_of(document_of_row(row).to_dict(), f"{path}:{number}")
        findings += faults
        if item is not None:
            located.append(item)
    return Parsed(tuple(located), (*findings, *repeated_ids(located)))


def _with_names(row: dict[str, Any], declared: Any) -> dict[str, Any]:
    """A row with class labels as their names."""
    return {
        name: declared[name].int2str(value)
        if hasattr(declared[name], "int2str") and isinstance(value, int) and value >= 0
        else value
        for name, value in row.items()
    }


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value


def write(documents: Sequence[LabelledDocument], path: Path) -> None:
    """Write a dataset with declared features.

    Raises:
        FormatError: if the folder holds something already.
    """
    if path.is_dir() and any(path.iterdir()):
        raise FormatError(f"{path}: expected an empty or a new folder, found files in it")
    path.parent.mkdir(parents=True, exist_ok=True)
    save(dataset_of(documents), path)
