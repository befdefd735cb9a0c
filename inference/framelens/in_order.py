"""Answers in the order of the records, whichever worker is first, and equal texts scored once."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import zlib
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from framelens.records import Record
from framelens.rows import Answer
from framelens.workers import Job, LocalPool, Pool, Settings, WorkerPool, refused

if TYPE_CHECKING:
    from framelens.scorer import Scorer

_FEW_DOCUMENTS = 8
_FEW_CHARACTERS = 100_000
# Up to here, scoring takes less time than starting a worker.

_AHEAD_DOCUMENTS = 192  # for each worker
_AHEAD_CHARACTERS = 4_000_000  # of all rows that were read and not yet written
_REMEMBERED_BYTES = 16_000_000  # of the answers kept for duplicates, compressed
_ENTRY_BYTES = 600  # what the keeping of one answer takes beside its rows
_SHORT_BYTES = 2000  # rows that are kept as they are: compressing them would gain little


class InOrder:
    """Answers to records in the order of the records, whichever worker is first.

    A record with the same text and headline as another one that is in work, or was answered
    not long ago, gets the other one's answer.

    An exception among the records is raised when all before it are answered.
    """

    def __init__(
        self,
        records: Iterator[Record | Exception],
        pool: Pool,
        settings: Settings,
        *,
        ahead: int,
        tick: Callable[[], None],
        enough: Callable[[int], bool] = lambda _: False,
    ) -> None:
        """Take `ahead` records at most before the first of them is answered, and none after as
        many as are `enough`.
        """
        self._exhausted = False
        self._failure: Exception | None = None
        self._enough = enough
        self._records = records
        self._pool = pool
        self._settings = settings
        self._ahead = ahead
        self._tick = tick
        self._read = 0
        self._waiting: deque[_Entry] = deque()
        self._working: dict[int, _Entry] = {}
        self._same: dict[bytes, list[_Entry]] = {}
        self._characters = 0
        self._remembered: OrderedDict[bytes, _Remembered] = OrderedDict()
        self._remembered_bytes = 0

    @property
    def finished(self) -> bool:
        """Whether all records were read, and all of their answers given."""
        return self._exhausted and not self._waiting and self._failure is None

    def __iter__(self) -> Iterator[tuple[Record, Answer]]:
        while True:
            self._fill()
            if not self._waiting:
                if self._failure is not None:
                    raise self._failure
                return
            entry = self._waiting[0]
            if entry.answer is None:
                for number, answer in self._pool.poll(timeout=0.5):
                    self._settle(self._working.pop(number), answer)
            else:
                self._waiting.popleft()
                self._characters -= entry.size
                yield entry.record, entry.answer
            self._tick()

    def _fill(self) -> None:
        while (
            not self._exhausted
            and not self._enough(self._read)
            and len(self._waiting) < self._ahead
            and self._characters < _AHEAD_CHARACTERS
        ):
            record = next(self._records, None)
            if record is None or isinstance(record, Exception):
                self._failure = record
                self._exhausted = True
                self._pool.no_more()
                return
            self._take(record)
            self._read += 1

    def _take(self, record: Record) -> None:
        job = Job(self._read, record.row, record.page)
        # Counted until the record is given away, whether it is in work, a duplicate, or answered
        # and waiting for one before it.
        entry = _Entry(record, size=job.size + record.kept_size)
        self._waiting.append(entry)
        self._characters += entry.size
        if record.error is not None:
            entry.answer = refused(record.error, self._settings)
            return
        key = _key(record)
        if key is not None:
            if key in self._remembered:
                self._remembered.move_to_end(key)
                entry.answer = self._remembered[key].answer()
                return
            if key in self._same:
                self._same[key].append(entry)
                return
            self._same[key] = []
            entry.key = key
        self._working[self._read] = entry
        self._pool.add(job)

    def _settle(self, entry: _Entry, answer: Answer) -> None:
        entry.answer = answer
        if entry.key is None:
            return
        for other in self._same.pop(entry.key):
            other.answer = answer
        if answer.error is None:
            self._remember(entry.key, answer)

    def _remember(self, key: bytes, answer: Answer) -> None:
        kept = _Remembered.of(answer)
        self._remembered[key] = kept
        self._remembered_bytes += kept.size
        while self._remembered_bytes > _REMEMBERED_BYTES:
            _, dropped = self._remembered.popitem(last=False)
            self._remembered_bytes -= dropped.size


class _Remembered(NamedTuple):
    """An answer kept for duplicates, its rows compressed unless they are short."""

    head: Answer
    rows: bytes
    compressed: bool

    @classmethod
    def of(cls, answer: Answer) -> _Remembered:
        rows = answer.body.encode("utf-8", "surrogatepass")
        compressed = len(rows) > _SHORT_BYTES
        return cls(
            answer._replace(body=""), zlib.compress(rows, 1) if compressed else rows, compressed
        )

    def answer(self) -> Answer:
        rows = zlib.decompress(self.rows) if self.compressed else self.rows
        return self.head._replace(body=rows.decode("utf-8", "surrogatepass"))

    @property
    def size(self) -> int:
        return len(self.rows) + _ENTRY_BYTES


@dataclass(slots=True)
class _Entry:
    record: Record
    answer: Answer | None = None
    key: bytes | None = None
    size: int = 0


def _key(record: Record) -> bytes | None:
    """What two records that get the same answer have in common."""
    digest = hashlib.blake2b(digest_size=16)
    if record.page is not None:
        digest.update(b"page" + record.page)
        return digest.digest()
    row = record.row or {}
    text, headline = row.get("text"), row.get("headline")
    if not isinstance(text, str) or not (headline is None or isinstance(headline, str)):
        return None
    lead = -1 if headline is None else len(headline)
    digest.update(f"{lead} {headline or ''}{text}".encode("utf-8", "surrogatepass"))
    return digest.digest()


@contextlib.contextmanager
def in_order(
    records: Iterator[Record],
    settings: Settings,
    workers: int,
    *,
    scorer: Scorer | None = None,
    tick: Callable[[], None] = lambda: None,
    enough: Callable[[int], bool] = lambda _: False,
) -> Iterator[InOrder]:
    """Answers to records by so many workers, which end with the context.

    A few short records are scored in this process, by `scorer` if it is at hand: that takes less
    time than to start another.
    """
    given = _with_failure(records)
    first, all_read = _few(given)
    pool: Pool = LocalPool(settings, scorer) if all_read else WorkerPool(settings, workers)
    try:
        yield InOrder(
            itertools.chain(first, given),
            pool,
            settings,
            ahead=_AHEAD_DOCUMENTS * workers,
            tick=tick,
            enough=enough,
        )
    finally:
        pool.close()


def _with_failure(records: Iterator[Record]) -> Iterator[Record | Exception]:
    """The records, and last the exception, if one ends them: it must not overtake answers."""
    try:
        yield from records
    except Exception as error:
        yield error


def _few(records: Iterator[Record | Exception]) -> tuple[list[Record | Exception], bool]:
    """The first records, and whether they are all there is."""
    first: list[Record | Exception] = []
    size = 0
    for record in records:
        first.append(record)
        if isinstance(record, Exception):
            break
        size += Job(0, record.row, record.page).size
        if len(first) > _FEW_DOCUMENTS or size > _FEW_CHARACTERS:
            return first, False
    return first, True
