"""A corpus as memory-mapped Arrow files, read anew only when its files or its reader change.

The key is a sha256 over the corpus's files, the source code that reads them, and the versions
of the libraries which that code calls. So a cached corpus can never be a stale one, and no
version number has to be remembered.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from framelens import downloads
from framelens_training.code_version import code_version
from framelens_training.corpora.base import Corpus, Split
from framelens_training.corpora.features import dataset_of, documents_of, save
from framelens_training.corpora.labelled import LabelledDocument
from framelens_training.corpora.packaged import PackagedCorpus
from framelens_training.corpora.reading import CorpusReader, Note, ReadReport
from framelens_training.output_folders import make_folder

_REPORT = "report.json"
_KEPT = 3
_LIBRARIES = ("lxml", "numpy")


@dataclass(frozen=True, slots=True)
class StoredCorpus:
    """A corpus on disk: a `datasets.Dataset` for each split, and what its reader left out.

    `cached` tells that no file of the corpus had to be parsed.
    """

    key: str
    datasets: Mapping[Split, Any]
    report: ReadReport
    cached: bool

    def documents(self, split: Split) -> Iterator[LabelledDocument]:
        """The documents of a split, read from the disk as they are asked for."""
        if split in self.datasets:
            yield from documents_of(self.datasets[split])

    def read(self) -> dict[Split, list[LabelledDocument]]:
        """All documents by split."""
        return {split: list(self.documents(split)) for split in self.datasets}


def open_corpus(
    reader: Corpus, root: Path | None, cache_folder: Path | None = None
) -> StoredCorpus:
    """A corpus from the cache; its files are read if they, or their reader, are new.

    Raises:
        CorpusError: with every problem of the corpus's files.
        FileNotFoundError: naming what is missing and how to get it.
    """
    key = content_key(reader, root)
    folder = (cache_folder or default_cache()) / f"{reader.info.name}-{key[:16]}"
    cached = (folder / _REPORT).exists()
    if not cached:
        _build(reader, root, folder)
    return _load(folder, key, cached)


def default_cache() -> Path:
    """The folder for cached corpora, made if there is none.

    Raises:
        ArtifactError: if the user has no home, and the environment names no folder.
        TrainingError: if it cannot be made.
    """
    folder = downloads.cache_folder("corpora")
    make_folder(folder, f"set {downloads.CACHE_VARIABLE} to a folder that can be written")
    return folder


def content_key(reader: Corpus, root: Path | None) -> str:
    """sha256 of everything that a corpus's documents depend on.

    Raises:
        FileNotFoundError: naming what is missing and how to get it.
    """
    sha = hashlib.sha256(reader_version().encode())
    sha.update(f"{type(reader).__qualname__} {json.dumps(_info(reader))}".encode())
    if isinstance(reader, CorpusReader):
        folder = reader.require(root)
        names = [*reader.info.paths, *(n for n in reader.info.optional if (folder / n).exists())]
        for path in sorted(p for name in names for p in _files(folder / name)):
            _add(sha, path.relative_to(folder).as_posix(), path.read_bytes())
    if isinstance(reader, CorpusReader | PackagedCorpus):
        for file in reader.files().values():
            _add(sha, file.name, file.read_bytes())
    return sha.hexdigest()


def _info(reader: Corpus) -> dict[str, Any]:
    """A corpus's card with only JSON types."""
    info = asdict(reader.info)
    return {**info, "annotated": sorted(info["annotated"])}


def _add(sha: Any, name: str, data: bytes) -> None:
    sha.update(f"{name}\0{len(data)}\0".encode())
    sha.update(data)


def _files(path: Path) -> list[Path]:
    return [p for p in path.rglob("*") if p.is_file()] if path.is_dir() else [path]


@cache
def reader_version() -> str:
    """sha256 of the code that turns a corpus's files into documents."""
    registry = "framelens_training.corpora.registry"
    sha = hashlib.sha256(code_version(__name__, registry).encode())
    for library in _LIBRARIES:
        sha.update(f"{library} {importlib.metadata.version(library)}".encode())
    return sha.hexdigest()


def _read(reader: Corpus, root: Path | None) -> tuple[Mapping[Split, Any], ReadReport]:
    if isinstance(reader, CorpusReader | PackagedCorpus):
        return reader.read_with_report(root)
    return reader.read(root), ReadReport()


def _build(reader: Corpus, root: Path | None, folder: Path) -> None:
    splits, report = _read(reader, root)
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Made aside and moved, so that a folder is there either whole or not at all.
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        for split, documents in splits.items():
            save(dataset_of(documents), aside / split)
        _write_report(aside / _REPORT, list(splits), report)
        if not (folder / _REPORT).exists():
            shutil.rmtree(folder, ignore_errors=True)
            aside.rename(folder)
            _prune(folder)
    except OSError:
        if not (folder / _REPORT).exists():  # otherwise another process was first
            raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _prune(folder: Path) -> None:
    """Delete a corpus's older versions, except the last few."""
    name = folder.name.rpartition("-")[0]
    versions = [
        path for path in folder.parent.glob(f"{name}-*") if path.name.rpartition("-")[0] == name
    ]
    versions.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    for path in versions[_KEPT:]:
        shutil.rmtree(path, ignore_errors=True)


def _write_report(path: Path, splits: Sequence[Split], report: ReadReport) -> None:
    content = {"splits": splits, "notes": [asdict(note) for note in report.notes]}
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def _load(folder: Path, key: str, cached: bool) -> StoredCorpus:
    from datasets import load_from_disk

    content = json.loads((folder / _REPORT).read_text(encoding="utf-8"))
    datasets = {split: load_from_disk(str(folder / split)) for split in content["splits"]}
    notes = tuple(Note(**note) for note in content["notes"])
    return StoredCorpus(key, datasets, ReadReport(notes), cached)
