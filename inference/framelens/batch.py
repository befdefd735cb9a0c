"""A batch run: rows in, rows out, in order, in parts that survive whatever ends the run."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from framelens import __version__
from framelens.artifact import Artifact
from framelens.deferral import Deferral
from framelens.errors import FramelensError, MissingExtraError
from framelens.in_order import InOrder, in_order
from framelens.input_files import STANDARD_INPUT
from framelens.limits import Limits
from framelens.parts import (
    OutputError,
    PartStore,
    fingerprints,
    output_errors,
    replace_synced,
)
from framelens.progress import Progress, Tally
from framelens.reading import Position, columns_of, read_records
from framelens.records import FieldNames, Keep, Record
from framelens.rows import Answer
from framelens.run_files import JOINED, partial_of
from framelens.schema import RowUnit
from framelens.workers import Settings
from framelens.writers import Format, Layout

if TYPE_CHECKING:
    from framelens.scorer import Unit

PART_ROWS = 256
"""Default documents in a part: some tens of seconds of work on a small machine."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run does: the model, and everything that its output bytes depend on."""

    artifact: Artifact
    fields: FieldNames = field(default_factory=FieldNames)
    unit: Unit = "article"
    format: Format = "jsonl"
    rows: RowUnit = "document"
    keep: bool = False
    limits: Limits = field(default_factory=Limits)
    part_rows: int = PART_ROWS
    deferral: Deferral | None = None

    def __post_init__(self) -> None:
        """Check that there are two models, if documents are deferred.

        Raises:
            ArtifactError: if both are one.
        """
        if self.deferral is not None:
            self.deferral.check(self.artifact)

    def manifest(self, inputs: Sequence[str]) -> dict[str, Any]:
        """What must be the same for a run to be continued."""
        return {
            "framelens": __version__,
            "inputs": fingerprints(inputs),
            "model": self.artifact.info.to_dict(),
            "options": {
                "fields": asdict(self.fields),
                "unit": self.unit,
                "format": self.format,
                "rows": self.rows,
                "keep": self.keep,
                "limits": asdict(self.limits),
                "part_rows": self.part_rows,
                **({} if self.deferral is None else self.deferral.options),
            },
        }


@dataclass(frozen=True, slots=True)
class Running:
    """How a run goes about it; none of this changes an output byte."""

    workers: int = 1
    threads: int = 1
    max_errors: int | None = None
    resume: bool = False
    overwrite: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended."""

    tally: Tally
    interrupted: bool
    summary: dict[str, Any]


class TooManyErrorsError(FramelensError):
    """A run had more error rows than it was allowed."""


class Run:
    """One batch run."""

    def __init__(
        self, plan: Plan, running: Running, inputs: Sequence[str], progress: Progress
    ) -> None:
        """Look at the inputs' columns.

        Raises:
            InputError: if a table cannot be read or has no text column.
            MissingExtraError: if an extra is needed and not installed.
        """
        self._plan = plan
        self._running = running
        self._inputs = inputs
        self._progress = progress
        self._tally = Tally()
        self._marked_up = 0
        self._position = Position()
        self._settings = Settings(
            plan.artifact.path,
            plan.artifact.info,
            plan.limits,
            plan.unit,
            running.threads,
            plan.rows,
            plan.deferral,
        )
        self._keep, kept = _kept_columns(plan, inputs)
        self._layout = Layout(plan.format, plan.rows, kept=kept)

    def to_stream(self, stream: IO[bytes]) -> Outcome:
        """Write the rows to a stream in order: nothing to resume, nothing to rename.

        Raises:
            TooManyErrorsError: if there are more error rows than allowed.
        """
        self._progress.start(0, None)
        writer = self._layout.open(stream)
        with _interruptible(), self._answers() as answers:
            for record, answer in answers:
                writer.write(record, answer)
                stream.flush()
                self._count(record, answer)
        writer.close()
        return self._outcome(interrupted=False)

    def to_directory(self, folder: Path) -> Outcome:
        """Write the parts to a directory; its `_SUCCESS` says that they are all there.

        Raises:
            OutputError: if the directory cannot be used, or is another run's.
            TooManyErrorsError: if there are more error rows than allowed.
        """
        with _interruptible() as stop:
            store = self._store(folder)
            try:
                with output_errors(folder, resumable=store.resumable):
                    if store.complete is not None and store.is_whole:
                        self._already(store)
                    elif self._parts(store, stop):
                        store.succeed(self._tally.to_dict())
                    else:
                        return self._outcome(interrupted=True)
            finally:
                store.release()
        return self._outcome(interrupted=False)

    def to_file(self, target: Path) -> Outcome:
        """Write one file, which appears in one rename when it is complete.

        Raises:
            OutputError: if the file cannot be written, or its parts are another run's.
            TooManyErrorsError: if there are more error rows than allowed.
        """
        with _interruptible() as stop:
            store = self._store(partial_of(target))
            try:
                with output_errors(target.parent, resumable=store.resumable):
                    if store.complete is None or not target.is_file():
                        if not self._parts(store, stop):
                            return self._outcome(interrupted=True)
                        joined = store.folder / JOINED
                        with joined.open("wb") as stream:
                            self._layout.join(store.paths, stream)
                            stream.flush()
                            os.fsync(stream.fileno())
                        replace_synced(joined, target)
                        store.succeed(self._tally.to_dict())
                    else:
                        self._already(store)
                    store.remove()
            finally:
                store.release()
        return self._outcome(interrupted=False)

    def _store(self, folder: Path) -> PartStore:
        if self._running.resume and STANDARD_INPUT in self._inputs:
            raise OutputError(
                "--resume: standard input cannot be read a second time; give files to be able "
                "to continue"
            )
        return PartStore(
            folder,
            self._plan.format,
            self._plan.manifest(self._inputs),
            resume=self._running.resume,
            overwrite=self._running.overwrite,
        )

    def _already(self, store: PartStore) -> None:
        self._tally.add_counts(store.complete or {})
        self._progress.start(self._tally.documents, None)

    def _parts(self, store: PartStore, stop: Stop) -> bool:
        """Score what is not in a part yet; false if the run was interrupted before the end."""
        store.reopen()
        for counts in store.counts:
            self._tally.add_counts(counts)
        done = self._tally.documents
        self._check_errors("in the parts of the earlier run")
        self._progress.start(done, None)
        size, begun = self._plan.part_rows, 0
        with self._answers(done, lambda read: stop.wanted and read >= begun * size) as answers:
            # What comes through a pipe cannot be read again: there, the run ends at once.
            stop.after_part = STANDARD_INPUT not in self._inputs
            rows = iter(answers)
            while not stop.wanted and not answers.finished:
                begun += 1
                first = list(itertools.islice(rows, 1))
                if not first and store.counts:
                    break
                if first and done % size:
                    raise OutputError(
                        f"{store.folder}: expected the input to end with its last part, found "
                        "more rows; start again with --overwrite"
                    )
                self._write_part(store, itertools.chain(first, itertools.islice(rows, size - 1)))
            stop.after_part = False
            return answers.finished

    def _write_part(self, store: PartStore, rows: Iterator[tuple[Record, Answer]]) -> None:
        counts = Tally()
        writer = self._layout.open(store.begin())
        for record, answer in rows:
            writer.write(record, answer)
            counts.add(answer)
            self._count(record, answer)
        writer.close()
        store.commit(counts.to_dict())

    def _count(self, record: Record, answer: Answer) -> None:
        self._tally.add(answer)
        if answer.error is None:
            self._marked_up += record.has_markup
        else:
            row = json.loads(answer.body.split("\n")[0])
            flat = self._plan.rows != "document"
            message = row["error_message"] if flat else row["error"]["message"]
            self._check_errors(f"the last is {record.id}: {answer.error}: {message}")

    def _check_errors(self, which: str) -> None:
        allowed, found = self._running.max_errors, self._tally.failed
        if allowed is not None and found > allowed:
            raise TooManyErrorsError(
                f"expected at most {allowed} error rows, found {found}; {which}"
            )

    @contextlib.contextmanager
    def _answers(
        self, done: int = 0, enough: Callable[[int], bool] = lambda _: False
    ) -> Iterator[InOrder]:
        records = read_records(
            self._inputs, self._plan.fields, keep=self._keep, position=self._position
        )
        if done:
            skipped = sum(1 for _ in itertools.islice(records, done))
            if skipped < done:
                raise OutputError(f"expected {done} rows scored before, found only {skipped}")
            self._progress.start(done, self._position.fraction)
        with in_order(
            records,
            self._settings,
            self._running.workers,
            tick=lambda: self._progress.tick(self._tally, self._position.fraction),
            enough=enough,
        ) as answers:
            yield answers

    def _outcome(self, *, interrupted: bool) -> Outcome:
        self._progress.finish(self._tally)
        if self._marked_up:
            self._progress.warn(
                f"expected plain texts, found HTML in {self._marked_up} of them, whose markup was "
                "scored as text; framelens.extract_page draws the text out"
            )
        return Outcome(self._tally, interrupted, self.summary(interrupted=interrupted))

    def summary(self, *, interrupted: bool) -> dict[str, Any]:
        """What the run has counted so far, with the models that it asks."""
        found = {
            **self._progress.summary(self._tally),
            "interrupted": interrupted,
            "model": self._plan.artifact.info.to_dict(),
        }
        if self._plan.deferral is not None:
            found["deferral"] = self._plan.deferral.to_dict()
        return found


def _kept_columns(plan: Plan, inputs: Sequence[str]) -> tuple[Keep, Any]:
    """How the other columns come along: as columns of their own where all inputs have the same."""
    columns = {name: columns_of(name, plan.fields) for name in inputs}
    if not plan.keep:
        return "nothing", None
    if plan.format not in ("csv", "parquet") or None in columns.values():
        return "json", None
    inputs = [name for name in inputs if columns[name]]  # an empty CSV file is like all others
    if not inputs:
        return "json", None
    if plan.format == "csv":
        names = [[c for c in columns[n] or [] if c not in plan.fields.all] for n in inputs]
        if any(other != names[0] for other in names) or any(
            name.lower().endswith(".parquet") for name in inputs
        ):
            return "json", None
        return "cells", names[0]
    try:
        from framelens.tabular import kept_schema
    except ImportError as error:
        raise MissingExtraError("pyarrow", "batch", "writing Parquet") from error
    schemas = [kept_schema(name, plan.fields) for name in inputs]
    if any(not other.equals(schemas[0]) for other in schemas):
        return "json", None
    return "cells", schemas[0]


class Stop:
    """What Ctrl-C and SIGTERM ask for: the end of the run after the part in hand.

    A second one, or one that comes where no part is in hand, ends it at once.
    """

    def __init__(self) -> None:
        self.wanted = False
        self.after_part = False

    def __call__(self, *_: object) -> None:
        """Take a signal."""
        if self.wanted or not self.after_part:
            raise KeyboardInterrupt
        self.wanted = True


@contextlib.contextmanager
def _interruptible() -> Iterator[Stop]:
    """Take Ctrl-C and SIGTERM within the block, where this thread may."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
