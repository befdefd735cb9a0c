"""The formats by name, and the one that a path is in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from framelens_training.corpora.findings import Parsed
from framelens_training.corpora.formats import (
    brat_files,
    hf_dataset,
    jsonl,
    label_studio,
    markup_files,
    table,
)
from framelens_training.corpora.formats.base import FormatError, refuse_surrogates
from framelens_training.corpora.labelled import LabelledDocument


@dataclass(frozen=True, slots=True)
class Format:
    """A way to keep labelled documents; without suffixes, it is a folder.

    `parse` gives documents and findings; `write` raises `FormatError` if something would be
    lost.
    """

    name: str
    about: str
    suffixes: tuple[str, ...]
    parse: Callable[[Path], Parsed]
    write: Callable[[Sequence[LabelledDocument], Path], None]


FORMATS: Mapping[str, Format] = MappingProxyType({
    item.name: item
    for item in (
        Format("jsonl", "labelled JSONL, which carries everything", (".jsonl", ".jsonl.gz"),
               jsonl.parse, jsonl.write),
        Format("table", "one labelled text a row", (".csv", ".tsv", ".parquet"),
               table.parse, table.write),
        Format("markup", "inline markup", (".markup", ".mk"),
               markup_files.parse, markup_files.write),
        Format("label-studio", "Label Studio's JSON export", (".json",),
               label_studio.parse, label_studio.write),
        Format("brat", "a folder of brat standoff", (), brat_files.parse, brat_files.write),
        Format("hf-dataset", "a folder of a Hugging Face dataset", (),
               hf_dataset.parse, hf_dataset.write),
    )
})  # fmt: skip
"""Every format by its name."""


def detect(path: Path) -> Format:
    """The format of an existing file or folder, or of a file that is to be written.

    Raises:
        FormatError: if the name says nothing.
    """
    for item in FORMATS.values():
        if any(path.name.lower().endswith(suffix) for suffix in item.suffixes):
            return item
    if path.is_dir():
        marks = ("state.json", "dataset_info.json", hf_dataset.SPLITS_FILE)
        if any((path / mark).exists() for mark in marks):
            return FORMATS["hf-dataset"]
        if any(path.glob("*.ann")) or any(path.glob("*.txt")):
            return FORMATS["brat"]
    known = ", ".join(suffix for item in FORMATS.values() for suffix in item.suffixes)
    raise FormatError(
        f"{path}: expected a file that ends in {known}, or a folder of brat standoff or of a "
        "Hugging Face dataset; found neither: rename it, or name its format"
    )


def parse_any(path: Path, format: str | None = None) -> Parsed:
    """Documents and findings of a path, in the named format or in the one that it looks like.

    Raises:
        FileNotFoundError: if there is nothing at the path.
        FormatError: if its format cannot be told.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path}: expected labelled documents, found no file or folder")
    return (FORMATS[format] if format else detect(path)).parse(path)


def read_any(path: Path, format: str | None = None) -> list[LabelledDocument]:
    """The labelled documents of a path, in any format.

    Raises:
        CorpusError: with every error, each with its file and row.
        FileNotFoundError: if there is nothing at the path.
        FormatError: if its format cannot be told.
    """
    return parse_any(path, format).documents()


def write_any(documents: Sequence[LabelledDocument], path: Path, format: str | None = None) -> None:
    """Write labelled documents so that `read_any` gives them back as they are.

    Raises:
        FormatError: if the format cannot carry one of them, or cannot be told.
    """
    refuse_surrogates(documents)
    (FORMATS[format] if format else detect(path)).write(documents, path)
