"""What the readers of public corpora share: files, damage, and an account of what was left out.

A reader never loses a row in silence. Data that is there but cannot or should not be used as
it stands is noted in a `ReadReport` with a reason; data that is broken is a `Problem`, and
all problems of a corpus come in one `CorpusError`.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import ClassVar, Literal

from framelens.schema import Field
from framelens_training.corpora.base import CorpusInfo, Split
from framelens_training.corpora.labelled import (
    CorpusError,
    LabelledDocument,
    Problem,
    consistency_problems,
)

Action = Literal["dropped", "altered", "masked", "kept"]
"""What happened to a noted item: left out, changed, kept without its label, kept as it is."""

Splits = dict[Split, list[LabelledDocument]]

BYTE_ORDER_MARK = "\ufeff"
_WORD = re.compile(r"\w+(?:['’\-]\w+)*")
_QUOTATION_MARKS = "\"'`´“”„‟«»‹›‘’‚‛"
_WORD_OR_MARK = re.compile(rf"{_WORD.pattern}|[?!{_QUOTATION_MARKS}]")
_FIRST_LINE = re.compile(r"[^\s\ufeff][^\n\r]*")
_NOT_SPACE = re.compile(r"\S")


@dataclass(frozen=True, slots=True)
class Note:
    """One item that a reader did not take as it stands: file, place in it, and why."""

    file: str
    place: str
    action: Action
    reason: str


@dataclass(frozen=True, slots=True)
class ReadReport:
    """Everything that a reader left out, altered or masked."""

    notes: tuple[Note, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """Number of notes by `"<action>: <reason>"`, in alphabetical order."""
        return dict(sorted(Counter(f"{n.action}: {n.reason}" for n in self.notes).items()))


@dataclass(slots=True)
class ReadLog:
    """Collects notes and problems while a corpus is read."""

    notes: list[Note] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def note(self, file: str, place: str | int, action: Action, reason: str) -> None:
        """Record an item that is not taken as it stands."""
        self.notes.append(Note(file, str(place), action, reason))

    def complain(self, where: str, what: str) -> None:
        """Record a fault that makes the corpus unusable."""
        self.problems.append(Problem(where, what))


class CorpusReader(ABC):
    """A corpus in its upstream layout, in one folder of the corpora root."""

    info: CorpusInfo
    folder: ClassVar[str]

    def read(self, root: Path | None) -> Mapping[Split, list[LabelledDocument]]:
        """All documents by split; see `Corpus.read`."""
        return self.read_with_report(root)[0]

    def read_with_report(self, root: Path | None) -> tuple[Splits, ReadReport]:
        """All documents by split, and what was left out, altered or masked on the way.

        Raises:
            CorpusError: with every problem of the files.
            FileNotFoundError: naming what is missing and how to get it.
        """
        folder = self.require(root)
        log = ReadLog()
        splits = self._read(folder, log)
        check_documents(splits, log)
        if log.problems:
            raise CorpusError(log.problems)
        return splits, ReadReport(tuple(log.notes))

    def require(self, root: Path | None) -> Path:
        """The corpus's folder, with everything in it that `info.paths` lists.

        Raises:
            FileNotFoundError: naming every path that is missing and how to get it.
        """
        commit = f" at commit {self.info.commit}" if self.info.commit else ""
        advice = (
            f"get {', '.join(self.info.paths)} from the repository {self.info.upstream}{commit} "
            f"and put them under <root>/{self.folder}, where <root> is corpora.root in the "
            "config or the environment variable FRAMELENS_CORPORA"
        )
        if root is None:
            raise FileNotFoundError(
                f"{self.info.name}: expected the root folder of the public corpora, found none; "
                + advice
            )
        folder = root / self.folder
        missing = [str(folder / path) for path in self.info.paths if not (folder / path).exists()]
        if missing:
            raise FileNotFoundError(
                f"{self.info.name}: expected {', '.join(missing)}, found no such file or folder; "
                + advice
            )
        return folder

    @property
    def sources(self) -> Sequence[CorpusReader]:
        """The readers whose repositories it needs: its own, if it is not made of others."""
        return (self,)

    def files(self) -> Mapping[str, Traversable]:
        """Files of this package that its documents depend on as well, by what they hold."""
        return {}

    @abstractmethod
    def _read(self, folder: Path, log: ReadLog) -> Splits:
        """The documents of a folder that holds everything `info.paths` lists."""


class JudgedTexts(CorpusReader):
    """A corpus of which this package has what was judged, and other corpora's folders the texts."""

    folder: ClassVar[str] = ""
    texts: ClassVar[tuple[CorpusReader, ...]]
    """The readers of the texts."""
    judged: ClassVar[str]
    """The packaged file of judgements."""

    @property
    def sources(self) -> Sequence[CorpusReader]:
        """The readers of the texts."""
        return self.texts

    def files(self) -> Mapping[str, Traversable]:
        """The packaged file of judgements."""
        return {"judgements": resources.files(__package__) / self.judged}

    def require(self, root: Path | None) -> Path:
        """The root folder, with everything in it that the readers of the texts need.

        Raises:
            FileNotFoundError: naming what is missing and how to get it.
        """
        for reader in self.sources:
            reader.require(root)
        assert root is not None
        return root


def corpus_of(document: LabelledDocument) -> str:
    """The name of the corpus whose reader read a document: what its id begins with."""
    return document.id.partition("/")[0]


def paths_of(readers: Iterable[CorpusReader]) -> tuple[str, ...]:
    """What readers need, from the root folder on."""
    return tuple(f"{reader.folder}/{path}" for reader in readers for path in reader.info.paths)


def check_documents(splits: Splits, log: ReadLog) -> None:
    """Complain about ids that stand twice and labels that contradict each other."""
    seen: dict[str, str] = {}
    for split, documents in splits.items():
        for document in documents:
            place = document.meta.get("source_file", document.id)
            if document.id in seen:
                log.complain(place, f"id {document.id!r} stands in {seen[document.id]} and {split}")
            seen.setdefault(document.id, split)
            for what in consistency_problems(document):
                log.complain(place, what)


def read_text(path: Path, where: str, log: ReadLog) -> str | None:
    """A UTF-8 file exactly as it stands, line ends and byte-order mark included.

    `None`, and a problem with the place, when it is not UTF-8.
    """
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        log.complain(where, f"expected UTF-8, found {byte:#04x} at byte {error.start}; convert it")
        return None


def read_table(
    path: Path,
    where: str,
    columns: Sequence[str],
    log: ReadLog,
    *,
    delimiter: str,
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL,
) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows of a table with a header line, each with the number of the line on which it ends.

    A cell that a short row lacks is empty; a row with cells beyond the header's is a problem.
    """
    text = read_text(path, where, log)
    if text is None:
        return
    stream = io.StringIO(text.removeprefix(BYTE_ORDER_MARK), newline="")
    table = csv.DictReader(stream, delimiter=delimiter, quoting=quoting, restval="")
    found = table.fieldnames or ()
    missing = [name for name in columns if name not in found]
    if missing:
        log.complain(
            where,
            f"expected the columns {', '.join(columns)} separated by {delimiter!r}, "
            f"found {', '.join(map(repr, found)) or 'an empty file'}",
        )
        return
    for row in table:
        if None in row:
            log.complain(
                f"{where}:{table.line_num}",
                f"expected {len(found)} cells, found {len(found) + len(row[None])}; "
                "a text that holds the separator or a quotation mark must be quoted",
            )
            continue
        yield table.line_num, row


def words(text: str, start: int = 0, end: int | None = None) -> list[tuple[int, int]]:
    """Start and end of each word: letters and digits, with inner apostrophes and hyphens."""
    stop = len(text) if end is None else end
    return [match.span() for match in _WORD.finditer(text, start, stop)]


def inside_word(text: str, at: int) -> bool:
    """Whether a place stands between two letters or digits."""
    return 0 < at < len(text) and text[at - 1].isalnum() and text[at].isalnum()


def share_of_words(text: str, start: int, end: int, ranges: Iterable[tuple[int, int]]) -> float:
    """Share of the words of `text[start:end]` that lie, with most of their letters, in `ranges`.

    0 where there is no word.
    """
    near = [(a, b) for a, b in ranges if a < end and b > start]
    found = words(text, start, end)
    inside = sum(2 * sum(max(0, min(b, y) - max(a, x)) for x, y in near) > b - a for a, b in found)
    return inside / len(found) if found else 0.0


@dataclass(frozen=True, slots=True)
class Article:
    """A raw article whose first line is its headline, as the two fields of a document.

    `headline_start` and `text_start` say where the fields begin in the raw text.
    """

    headline: str
    headline_start: int
    text: str
    text_start: int

    @classmethod
    def from_raw(cls, raw: str) -> Article:
        """Cut off the first line that is not blank; the text begins at the next such line."""
        head = _FIRST_LINE.search(raw)
        if head is None:
            return cls("", 0, "", len(raw))
        rest = _NOT_SPACE.search(raw, head.end())
        text_start = len(raw) if rest is None else rest.start()
        return cls(head[0].rstrip(), head.start(), raw[text_start:].rstrip(), text_start)

    def field_text(self, name: Field) -> str:
        """The text of one field."""
        return self.headline if name == "headline" else self.text

    def place(self, start: int, end: int) -> list[tuple[Field, int, int]]:
        """Where `raw[start:end]` lies in the fields, without white space at the edges.

        A stretch that begins in the headline and ends in the text gives one piece in each;
        one of white space alone gives none.
        """
        pieces: list[tuple[Field, int, int]] = []
        names: tuple[Field, ...] = ("headline", "text")
        for name in names:
            base = self.headline_start if name == "headline" else self.text_start
            content = self.field_text(name)
            first, last = max(start - base, 0), min(end - base, len(content))
            while first < last and content[first].isspace():
                first += 1
            while first < last and content[last - 1].isspace():
                last -= 1
            if first < last:
                pieces.append((name, first, last))
        return pieces


def stable_id(text: str, digits: int = 12) -> str:
    """Hexadecimal digits that name a sentence by its wording, or an article by its name.

    Row numbers would change with every row that is added or left out upstream.
    """
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:digits]


def wording(text: str) -> str:
    """A key that is equal for texts which differ in case, spacing and punctuation alone."""
    return " ".join(_WORD.findall(text.casefold()))


def marked_wording(text: str) -> str:
    """As `wording`, but with the marks by which an outlet says what it thinks of its words.

    Those are quotation marks, whatever their form, and question and exclamation marks.
    """
    found = _WORD_OR_MARK.findall(text.casefold())
    return " ".join('"' if item in _QUOTATION_MARKS else item for item in found)
