"""What a command was pointed at: corpora by name, and files by path, split by split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from framelens_training.corpora.base import SPLITS, Split
from framelens_training.corpora.findings import Finding, Located, error, findings_of
from framelens_training.corpora.formats.hf_dataset import SPLITS_FILE
from framelens_training.corpora.formats.registry import parse_any
from framelens_training.corpora.labelled import CorpusError
from framelens_training.corpora.registry import CORPORA, corpus, resolve_root
from framelens_training.corpora.store import open_corpus

FILES = "files"
"""The name of the corpus that paths make up."""


@dataclass(frozen=True, slots=True)
class Part:
    """One split of a corpus, or what one path holds of it.

    `notes` counts what the corpus's reader left out, altered or masked, by reason; the notes
    of a corpus stand with its first split.
    """

    corpus: str
    split: Split
    located: tuple[Located, ...]
    findings: tuple[Finding, ...] = ()
    notes: Mapping[str, int] | None = None
    path: Path | None = None

    @property
    def name(self) -> str:
        """The part as it is called in reports."""
        return f"{self.corpus}/{self.split}"


def read_inputs(
    names: Sequence[str], root: Path | None, cache_folder: Path | None = None
) -> list[Part]:
    """Corpora by name and labelled documents by path; without any, every known corpus.

    A path may be written `SPLIT=PATH`. Otherwise its split is its name if that is one of
    train, validation and test, and train if not. A folder with one dataset a split is read
    split by split. A corpus that is missing or broken becomes an error among the findings.

    Raises:
        UnknownCorpusError: for a name that is neither a corpus nor a path.
    """
    parts: list[Part] = []
    for name in names or list(CORPORA):
        if name in CORPORA:
            parts += _corpus_parts(name, root, cache_folder)
            continue
        split, equals, value = name.partition("=")
        path = Path(value) if equals and split in SPLITS else Path(name)
        if not path.exists() and path == Path(name) and not _looks_like_a_path(name):
            corpus(name)  # raises, with the nearest name
        if (path / SPLITS_FILE).exists():
            inner = sorted(p for p in path.iterdir() if (p / "dataset_info.json").exists())
            parts += [_path_part(p, _split_of(p)) for p in inner]
        else:
            parts.append(_path_part(path, split if path != Path(name) else _split_of(path)))
    return parts


def _looks_like_a_path(name: str) -> bool:
    return "/" in name or "." in name


def _split_of(path: Path) -> Split:
    stem = path.name.partition(".")[0]
    return stem if stem in SPLITS else "train"


def _path_part(path: Path, split: Split) -> Part:
    parsed = parse_any(path)
    return Part(FILES, split, parsed.located, parsed.findings, path=path)


def _corpus_parts(name: str, root: Path | None, cache_folder: Path | None) -> list[Part]:
    reader = corpus(name)
    try:
        folder = resolve_root(root) if reader.info.upstream else None
        stored = open_corpus(reader, folder, cache_folder)
    except FileNotFoundError as fault:
        fetch = f"get it with 'framelens-train corpora fetch {name}'"
        missing = error("missing-corpus", name, "the corpus's files", str(fault), fetch)
        return [Part(name, "train", (), (missing,))]
    except CorpusError as fault:
        return [Part(name, "train", (), tuple(findings_of(fault.problems)))]
    parts: list[Part] = []
    for split in stored.datasets:
        located = tuple(
            Located(d, f"{d.meta.get('source_file', name)}: {d.id}")
            for d in stored.documents(split)
        )
        notes = None if parts else stored.report.counts
        parts.append(Part(name, split, located, notes=notes))
    return parts
