"""The labelled documents of a run, by corpus and split, checked and hashed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from framelens_training.config import LOSS_PARTS, Config, CorpusUse, LeftOut, LossPart
from framelens_training.corpora.base import SPLITS, Split
from framelens_training.corpora.comparisons import repeats_by_nature
from framelens_training.corpora.formats import read_any
from framelens_training.corpora.grouping import grouped
from framelens_training.corpora.labelled import LabelledDocument, digest
from framelens_training.corpora.reading import CorpusReader
from framelens_training.corpora.registry import CORPORA, corpus, resolve_root
from framelens_training.corpora.splits import SPLIT_SEED, SplitFile, folds, group_of
from framelens_training.corpora.store import open_corpus
from framelens_training.errors import SplitError
from framelens_training.seen_texts import fingerprint, some_of


@dataclass(frozen=True, slots=True)
class LoadedCorpus:
    """One corpus of a run."""

    name: str
    licence: str
    weight: float
    splits: Mapping[Split, Sequence[LabelledDocument]]
    digests: Mapping[Split, str]
    taught: frozenset[LossPart] = frozenset(LOSS_PARTS)
    """Parts of the loss on which teachers are heard for its training documents."""
    origins: Sequence[LabelledDocument] = ()
    """Of changed copies: the training documents that they were made of, row by row."""
    use: str = ""
    """What it, or what its changed copies were made of, is called in `corpora.use`: a corpus's
    name, or `files`; nothing for unlabelled texts."""
    soft_labels: bool = False
    """Whether its training labels are learnt as probabilities, which are their confidences."""


def load_corpora(config: Config) -> list[LoadedCorpus]:
    """Read every corpus of a config; their names are distinct (`told_apart`).

    Raises:
        CorpusError: with every problem of a corpus's files.
        FileNotFoundError: if a file or the root folder is missing.
        FormatError: if the format of a file cannot be told.
        SplitFileError: if a split file does not fit its documents.
        SplitError: if nothing is left to train on, to validate or to test with.
    """
    loaded = told_apart([_load(use, config) for use in config.corpora.use])
    if config.corpora.left_out is not None:
        loaded = without_part(loaded, config.corpora.left_out)
    for split in SPLITS:
        if not any(document.segments for item in loaded for document in item.splits[split]):
            places = ", ".join(item.name for item in loaded)
            raise SplitError(
                f"expected labelled segments in the split {split!r}, found none in {places}; "
                "add a corpus or a file that has it, or set 'evaluate: true' where it was off"
            )
    return loaded


def refuse_overlap(corpora: Sequence[LoadedCorpus]) -> None:
    """Make sure that no text is in two splits, by way of fingerprints.

    What is trained on, or tuned on, says nothing of how good the model is. What may stand in
    several articles (`repeats_by_nature`) is no such text.

    Raises:
        SplitError: telling how many are, and naming some.
    """
    places: dict[str, str] = {}
    problems: list[str] = []
    for split in SPLITS:
        documents = documents_of(corpora, split)
        own = [(fingerprint(d), d) for d in documents if not repeats_by_nature(d)]
        found = [f"{d.id} ({places[text]})" for text, d in own if text in places]
        if found:
            problems.append(f"{len(found)} of {len(own)} in {split}: {some_of(found)}")
        places = {text: f"{d.id} in {split}" for text, d in own} | places
    if problems:
        raise SplitError(
            "expected validation and test texts that are not trained on as well, and none of "
            f"validation in test, found {'; '.join(problems)}. Take them out of one of the two "
            "(framelens-train corpora check --fix does), or let framelens-train init divide one "
            "file"
        )


def told_apart(corpora: Sequence[LoadedCorpus]) -> list[LoadedCorpus]:
    """The corpora with distinct names: the second of one name is called `name 2`."""
    seen: Counter[str] = Counter()
    found: list[LoadedCorpus] = []
    for item in corpora:
        seen[item.name] += 1
        number = seen[item.name]
        found.append(item if number == 1 else replace(item, name=f"{item.name} {number}"))
    return found


def with_distinct_ids(corpora: Sequence[LoadedCorpus]) -> list[LoadedCorpus]:
    """The corpora with an id of its own for each document; what is tested on keeps its id.

    A row without an id is named by its file and number, so files of one name in several folders
    have rows of one name. A further document of an id is called `CORPUS/SPLIT/ID`. The digests stay
    those of the documents as they were read.
    """
    taken: set[str] = set()
    named: list[dict[Split, Sequence[LabelledDocument]]] = [dict(item.splits) for item in corpora]
    for split in reversed(SPLITS):
        for item, splits in zip(corpora, named, strict=True):
            documents = item.splits.get(split, ())
            splits[split] = distinctly_named(documents, taken, f"{item.name}/{split}")
    return [replace(item, splits=splits) for item, splits in zip(corpora, named, strict=True)]


def distinctly_named(
    documents: Sequence[LabelledDocument], taken: set[str], place: str
) -> list[LabelledDocument]:
    """The documents with ids that are not taken, the name of the place before those that were.

    Their ids are taken afterwards.
    """
    found: list[LabelledDocument] = []
    for document in documents:
        name = document.id
        while name in taken:
            name = f"{place}/{name}"
        taken.add(name)
        found.append(document if name == document.id else replace(document, id=name))
    return found


def listed(documents: Sequence[LabelledDocument]) -> list[dict[str, Any]]:
    """Documents as the rows of an input of a run in MLflow: ids and sizes, no text."""
    return [{"id": d.id, "segments": len(d.segments), "spans": len(d.spans)} for d in documents]


def divided_together(corpora: Sequence[LoadedCorpus]) -> list[list[int]]:
    """The corpora, by number, in the sets that are divided as one.

    An article may have texts in several files of one's own, one text may be annotated for several
    corpora, and a corpus may be made of texts of others; any other corpus stands for itself.
    """
    texts = [
        {fingerprint(document) for documents in item.splits.values() for document in documents}
        for item in corpora
    ]
    sets: list[list[int]] = []
    for number, item in enumerate(corpora):
        alike = [
            found
            for found in sets
            if any(
                not texts[number].isdisjoint(texts[other])
                or not _read_from(item).isdisjoint(_read_from(corpora[other]))
                or item.use == corpora[other].use == "files"
                for other in found
            )
        ]
        sets = [found for found in sets if found not in alike]
        sets.append([*(other for found in alike for other in found), number])
    return sets


def _read_from(item: LoadedCorpus) -> set[str]:
    """The public corpora whose folders have a corpus's texts: itself, or those it is made of."""
    reader = CORPORA.get(item.use)
    sources = reader.sources if isinstance(reader, CorpusReader) else ()
    return {source.info.name for source in sources}


def without_part(corpora: Sequence[LoadedCorpus], left_out: LeftOut) -> list[LoadedCorpus]:
    """The corpora without one of several parts of their training documents.

    What shares a group, a link or nearly all of its words is in one part. A corpus of fewer groups
    than parts stays whole; those that are divided together count as one.
    """
    found = list(corpora)
    for numbers in divided_together(corpora):
        items = with_distinct_ids([corpora[number] for number in numbers])
        together = grouped(documents_of(items, "train"))
        if len({group_of(document) for document in together}) < left_out.of:
            continue
        rest, _ = folds(together, left_out.of, SPLIT_SEED)[left_out.part - 1]
        chosen = {document.id for document in rest}
        for number, item in zip(numbers, items, strict=True):
            rows = zip(corpora[number].splits["train"], item.splits["train"], strict=True)
            train = [document for document, named in rows if named.id in chosen]
            found[number] = replace(
                corpora[number],
                splits={**corpora[number].splits, "train": train},
                digests={**corpora[number].digests, "train": digest(train)},
            )
    return found


def _load(use: CorpusUse, config: Config) -> LoadedCorpus:
    if use.files is not None:
        found: Mapping[Split, Sequence[LabelledDocument]] = {
            split: read_any(Path(path).expanduser()) for split, path in use.files.items()
        }
        name, licence = "files", "your own"
    elif use.path is not None and use.split is not None:
        pinned = SplitFile.read(Path(use.split).expanduser(), use.split_sha256)
        found = pinned.apply(read_any(Path(use.path).expanduser()))
        name = f"own {pinned.name}" if pinned.name in CORPORA else pinned.name
        licence = "your own"
    else:
        reader = corpus(use.name)
        if reader.info.upstream:
            found = open_corpus(reader, resolve_root(config.corpora.root)).read()
        else:
            found = reader.read(None)
        name, licence = reader.info.name, reader.info.licence
    splits = {
        split: [] if split != "train" and not use.evaluate else list(found.get(split, ()))
        for split in SPLITS
    }
    digests = {split: digest(documents) for split, documents in splits.items()}
    return LoadedCorpus(
        name,
        licence,
        use.weight,
        splits,
        digests,
        _taught(use),
        use=use.name,
        soft_labels=use.soft_labels,
    )


def _taught(use: CorpusUse) -> frozenset[LossPart]:
    if isinstance(use.taught, bool):
        return frozenset(LOSS_PARTS if use.taught else ())
    return frozenset(use.taught)


def documents_of(corpora: Sequence[LoadedCorpus], split: Split) -> list[LabelledDocument]:
    """All documents of a split, corpus after corpus."""
    return [document for item in corpora for document in item.splits[split]]
