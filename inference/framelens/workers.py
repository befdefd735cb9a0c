"""Worker processes that score: one thread each, watched, and replaced when they die.

Answers come back in any order. A document that takes far longer than its limit, or three times
kills the process that scores it alone, becomes an error; its neighbours are scored again.
"""

from __future__ import annotations

import contextlib
import math
import os
import queue
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from framelens.child_process import ChildProcess
from framelens.errors import ArtifactError, FramelensError
from framelens.limits import Limits
from framelens.rows import Answer, answer_of
from framelens.schema import Document, ModelInfo, RowError, RowUnit

if TYPE_CHECKING:
    from framelens.deferral import Deferral
    from framelens.scorer import Reading, Scorer, Unit

CHUNK_CHARACTERS = 16_000
"""Text sent to a worker at once: enough that messages cost nothing, and no worker waits long."""
CHUNK_DOCUMENTS = 64
_CHUNKS_AHEAD = 2  # for each worker: the one in work and the next
_GRACE = 10.0  # seconds over the limit in which a worker may say so itself
_FLUSH = 0.2  # seconds after which finished answers are sent although the chunk is not done
_DEATHS = 3  # of workers that were scoring one document alone, before it is an error
_FAILED_STARTS = 3
_SUSPENDED = 1.0
"""Seconds over its timeout that a wait takes only if this process, and so its workers, stood still:
stopped in the shell, frozen with its container, or on a machine that slept."""
_START_SECONDS = 300.0
_SERVE = f"{__name__}:serve"  # what a worker runs


class Job(NamedTuple):
    """One document to score: a row with text and headline, or a page."""

    number: int
    row: Mapping[str, Any] | None
    page: bytes | None

    @property
    def size(self) -> int:
        """About how much there is to read."""
        if self.page is not None:
            return len(self.page)
        values = () if self.row is None else self.row.values()
        return sum(len(value) for value in values if isinstance(value, str))


@dataclass(frozen=True, slots=True)
class Settings:
    """What a worker needs to know."""

    model: Path
    info: ModelInfo
    limits: Limits
    unit: Unit = "article"
    threads: int = 1
    rows: RowUnit = "document"
    deferral: Deferral | None = None
    self_test: bool = True

    def open(self) -> Scorer:
        """Load the model, and the one that it defers to.

        Raises:
            ArtifactError: if a model cannot be loaded, or is not the one that it was.
        """
        from framelens.scorer import load

        second = self.deferral
        scorer = load(
            self.model,
            defer_to=None if second is None else second.artifact.path,
            defer_within=None if second is None else second.within,
            defer_share=None if second is None else second.share,
            threads=self.threads,
            self_test=self.self_test,
            limits=self.limits,
        )
        _check_same(scorer, self.info)
        if scorer.second is not None and second is not None:
            _check_same(scorer.second, second.artifact.info)
        return scorer

    def answer(self, document: Document) -> Answer:
        """The rows of a document, and what is counted of it."""
        return answer_of(document, unit=self.rows, asked=self.info)


def _check_same(scorer: Scorer, info: ModelInfo) -> None:
    if scorer.model != info:
        raise ArtifactError(
            f"{scorer.artifact.path}: expected the model with which the scoring began, {info.name} "
            f"{info.version} with manifest sha256 {info.sha256}, found {scorer.model.name} "
            f"{scorer.model.version} with {scorer.model.sha256}; put the first one back, or begin "
            "again with the new one"
        )


class Pool(Protocol):
    """Scores jobs somewhere."""

    def add(self, job: Job) -> None:
        """Take one more job."""

    def no_more(self) -> None:
        """Know that no job will follow those that were added."""

    def poll(self, timeout: float) -> list[tuple[int, Answer]]:
        """Answers that have come, by the numbers of their jobs; waits for one at most so long."""

    def close(self) -> None:
        """Stop at once; jobs without an answer are dropped."""


def usable_cores() -> int:
    """How many cores this process may use: its CPU affinity, and its container's share."""
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    with contextlib.suppress(OSError, ValueError):
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text("ascii").split()
        if quota != "max":
            cores = min(cores, max(1, round(int(quota) / int(period))))
    return cores


def worker_cores(workers: int, threads: int) -> list[int | None]:
    """The core on which each worker stays; None where the system moves it as it likes.

    A worker that the system moves from core to core finds its weights in the caches of neither:
    two of them took half as much processor time again as on cores of their own
    (`benchmarks/batch_throughput.py`). Workers that leave cores free are not bound: another run
    would bind its own to the same ones. Nor are those of several threads, which need several.
    """
    if threads > 1 or not hasattr(os, "sched_getaffinity"):
        return [None] * workers
    cores = sorted(os.sched_getaffinity(0))
    if not workers >= len(cores) == usable_cores():
        return [None] * workers
    return [cores[number % len(cores)] for number in range(workers)]


def chunk_documents(waiting: int, workers: int, *, ends: bool) -> int:
    """Most documents in the next message to a worker, of `waiting` ones.

    Where no more will follow, half of an even share: messages get smaller to the end, and the
    workers finish together (guided self-scheduling, Polychronopoulos and Kuck 1987).
    """
    return min(CHUNK_DOCUMENTS, math.ceil(waiting / (2 * workers))) if ends else CHUNK_DOCUMENTS


def score_job(scorer: Scorer, job: Job, settings: Settings) -> Document:
    """Score one job; whatever is wrong with it becomes an error document."""
    return finished(scorer, [read_job(scorer, job, settings)])[0]


def read_job(scorer: Scorer, job: Job, settings: Settings) -> Reading | Document:
    """Read one job's document, for `finished`; a page is answered at once."""
    try:
        if job.page is None:
            row = {} if job.row is None else job.row
            return scorer.read_record(row, default_id="", unit=settings.unit)
        from framelens.pages import extract_page

        extracted = extract_page(job.page)
        if isinstance(extracted, RowError):
            return scorer.error("", extracted.code, extracted.message)
        document = scorer.score_record(extracted, default_id="", unit=settings.unit)
        return replace(document, input=extracted)
    except FramelensError:
        raise
    except Exception as error:  # a fault that one document shows must not stop the others
        return _fault(scorer, error)


def finished(scorer: Scorer, read: Sequence[Reading | Document]) -> list[Document]:
    """The answers for what `read_job` gave, in the same order."""
    readings = [item for item in read if not isinstance(item, Document)]
    try:
        decoded = scorer.decode(readings)
    except Exception as error:
        if len(read) > 1:
            return [document for item in read for document in finished(scorer, [item])]
        return [_fault(scorer, error)]
    answers = iter(decoded)
    return [item if isinstance(item, Document) else next(answers) for item in read]


def _fault(scorer: Scorer, error: Exception) -> Document:
    message = f"expected an answer, found {type(error).__name__}: {error}; please report this"
    return scorer.error("", "internal", message)


class LocalPool:
    """Scores in this process: for a few documents, where starting another would take longer."""

    def __init__(self, settings: Settings, scorer: Scorer | None = None) -> None:
        """Load the model, unless a scorer is at hand."""
        self._settings = settings
        self._scorer = scorer or settings.open()
        self._jobs: deque[Job] = deque()

    def add(self, job: Job) -> None:
        """Take one more job."""
        self._jobs.append(job)

    def no_more(self) -> None:
        """Nothing changes: jobs are scored one after the other anyway."""

    def poll(self, timeout: float) -> list[tuple[int, Answer]]:  # noqa: ARG002
        """Score one job."""
        if not self._jobs:
            return []
        job = self._jobs.popleft()
        document = score_job(self._scorer, job, self._settings)
        return [(job.number, self._settings.answer(document))]

    def close(self) -> None:
        """Drop what was not scored."""
        self._jobs.clear()


class _Worker:
    """One process and what it was sent."""

    def __init__(self, settings: Settings, core: int | None) -> None:
        self.core = core
        self.process = ChildProcess(_SERVE, settings)
        self.connection = self.process.connection
        if core is not None:
            # Threads that it starts from now on inherit this. It may have died already, or not
            # be allowed: then it runs wherever the system likes.
            with contextlib.suppress(OSError):
                os.sched_setaffinity(self.process.pid, {core})
        self.ready = False
        self.chunks: deque[dict[int, Job]] = deque()
        self.since = time.monotonic()
        self._outbox: queue.SimpleQueue[list[Job] | None] = queue.SimpleQueue()
        self._sender = threading.Thread(target=self._send_all, daemon=True)
        self._sender.start()

    def send(self, chunk: list[Job]) -> None:
        """Send without waiting: a worker that hangs reads nothing, and is to be noticed."""
        self._outbox.put(chunk)

    def _send_all(self) -> None:
        # A worker that has died is noticed when its connection is read.
        with contextlib.suppress(OSError):
            while (chunk := self._outbox.get()) is not None:
                self.connection.send(chunk)

    def kill(self) -> int | None:
        code = self.process.kill()
        self._outbox.put(None)
        # With its reader gone, it no longer waits. When the interpreter ends, it no longer runs.
        if not sys.is_finalizing():
            self._sender.join()
        self.connection.close()
        return code


class WorkerPool:
    """Scores in worker processes, which are started anew, not forked."""

    def __init__(self, settings: Settings, workers: int) -> None:
        """Start the workers; they load the model while the caller goes on."""
        self._settings = settings
        self._queue: deque[Job] = deque()
        self._deaths: dict[int, int] = {}
        self._failed_starts = 0
        self._count = workers
        self._ends = False
        self._workers: list[_Worker] = []
        try:
            for core in worker_cores(workers, settings.threads):
                self._workers.append(self._started(core))
        except BaseException:
            self.close()
            raise

    def add(self, job: Job) -> None:
        """Take one more job."""
        self._queue.append(job)

    def no_more(self) -> None:
        """From here on messages get smaller, so that the workers finish together."""
        self._ends = True

    def poll(self, timeout: float) -> list[tuple[int, Answer]]:
        """Send out jobs and gather what has come back.

        Raises:
            ArtifactError: if the workers cannot load the model.
            FramelensError: if they cannot be started.
        """
        self._dispatch()
        answers: list[tuple[int, Answer]] = []
        connections: dict[object, _Worker] = {w.connection: w for w in self._workers}
        asked = time.monotonic()
        ready = wait([worker.connection for worker in self._workers], timeout)
        if (suspended := time.monotonic() - asked - timeout) > _SUSPENDED:
            for worker in self._workers:
                worker.since += suspended
        for connection in ready:
            worker = connections[connection]
            try:
                message = worker.connection.recv()
            except (EOFError, OSError):
                answers += self._replace(worker, late=False)
                continue
            answers += self._take(worker, message)
        now = time.monotonic()
        limit = self._settings.limits.seconds + _GRACE
        for worker in list(self._workers):
            waited = now - worker.since
            if (not worker.ready and waited > _START_SECONDS) or (
                worker.ready and worker.chunks and waited > limit
            ):
                answers += self._replace(worker, late=True)
        self._dispatch()
        return answers

    def close(self) -> None:
        """Stop at once; jobs without an answer are dropped."""
        for worker in self._workers:
            worker.kill()
        self._workers = []
        self._queue.clear()

    def _started(self, core: int | None) -> _Worker:
        try:
            return _Worker(self._settings, core)
        except OSError as error:
            raise FramelensError(
                f"a worker process cannot be started: {error.strerror or error}; "
                "try fewer with --workers"
            ) from error

    def _take(self, worker: _Worker, message: Any) -> list[tuple[int, Answer]]:
        worker.since = time.monotonic()
        kind, content = message
        if kind == "ready":
            worker.ready = True
            self._failed_starts = 0
            return []
        if kind == "model":
            raise ArtifactError(content)
        if kind == "failed":
            raise FramelensError(content)
        answers: list[tuple[int, Answer]] = content
        for number, _ in answers:
            worker.chunks[0].pop(number)
            self._deaths.pop(number, None)
            if not worker.chunks[0]:
                worker.chunks.popleft()
        return answers

    def _dispatch(self) -> None:
        while self._queue:
            ready = [w for w in self._workers if w.ready and len(w.chunks) < _CHUNKS_AHEAD]
            if not ready:
                return
            worker = min(ready, key=lambda w: len(w.chunks))
            chunk = self._chunk()
            if not worker.chunks:
                worker.since = time.monotonic()
            worker.chunks.append({job.number: job for job in chunk})
            worker.send(chunk)

    def _chunk(self) -> list[Job]:
        most = chunk_documents(len(self._queue), self._count, ends=self._ends)
        chunk = [self._queue.popleft()]
        size = chunk[0].size
        if chunk[0].number in self._deaths:
            return chunk  # alone, to learn whether it is the one
        while self._queue and len(chunk) < most:
            following = self._queue[0]
            size += following.size
            if size > CHUNK_CHARACTERS or following.number in self._deaths:
                break
            chunk.append(self._queue.popleft())
        return chunk

    def _replace(self, worker: _Worker, *, late: bool) -> list[tuple[int, Answer]]:
        """Put a new worker in the place of one that died, or took too long and is killed."""
        code = worker.kill()
        self._workers.remove(worker)
        if not worker.ready:
            self._failed_starts += 1
            if self._failed_starts >= _FAILED_STARTS:
                raise FramelensError(
                    f"expected workers to start, found {self._failed_starts} that ended with exit "
                    f"code {code}; is there enough memory for {self._count} of them? "
                    "try fewer with --workers"
                )
        answers: list[tuple[int, Answer]] = []
        again: list[Job] = []
        for position, chunk in enumerate(worker.chunks):
            jobs = list(chunk.values())
            again += jobs
            if position:
                continue
            if len(jobs) == 1:
                job = jobs[0]
                deaths = self._deaths.get(job.number, 0) + 1
                self._deaths[job.number] = deaths
                if late or deaths >= _DEATHS:
                    again.remove(job)
                    self._deaths.pop(job.number)
                    answers.append((job.number, self._lost(late, code)))
            else:
                for job in jobs:
                    self._deaths.setdefault(job.number, 0)
        self._queue.extendleft(reversed(again))
        self._workers.append(self._started(worker.core))
        return answers

    def _lost(self, late: bool, code: int | None) -> Answer:
        if late:
            error = RowError(
                "too_slow",
                f"expected an answer within {self._settings.limits.seconds:g} s, found none; "
                "the worker was stopped",
            )
        else:
            error = RowError(
                "crashed",
                f"expected an answer, found that the worker ended (exit code {code}) each of "
                f"{_DEATHS} times that this document was scored alone",
            )
        return refused(error, self._settings)


def refused(error: RowError, settings: Settings) -> Answer:
    """The answer for a document that never reached the model."""
    return settings.answer(Document("", "error", settings.info, error=error))


def serve(connection: Connection[Any, Any], settings: Settings) -> None:
    """What a worker does: load the model, answer chunks of jobs, end when the parent is gone."""
    # The parent decides what an interrupt means: it finishes its part first.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    chunks: queue.SimpleQueue[list[Job] | None] = queue.SimpleQueue()
    # Reading in a thread of its own, so that parent and worker never both wait to be read.
    threading.Thread(target=_receive, args=(connection, chunks), daemon=True).start()
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        _answer_all(connection, chunks, settings)


def _receive(connection: Connection[Any, Any], chunks: queue.SimpleQueue[Any]) -> None:
    with contextlib.suppress(EOFError, OSError):
        while True:
            chunks.put(connection.recv())
    os._exit(0)  # the parent is gone: what is in work has nowhere to go


def _answer_all(
    connection: Connection[Any, Any], chunks: queue.SimpleQueue[Any], settings: Settings
) -> None:
    try:
        scorer = settings.open()
    except ArtifactError as error:
        connection.send(("model", str(error)))
        return
    except Exception as error:  # reported by the parent, which is where people look
        connection.send(("failed", f"a worker could not start: {type(error).__name__}: {error}"))
        return
    connection.send(("ready", None))
    while True:
        read: dict[int, Reading | Document] = {}
        sent = time.monotonic()
        for job in chunks.get():
            try:
                read[job.number] = read_job(scorer, job, settings)
            except FramelensError as error:
                connection.send(("failed", str(error)))
                return
            if time.monotonic() - sent > _FLUSH:
                connection.send(("answers", _answers(scorer, read, settings)))
                read, sent = {}, time.monotonic()
        if read:
            connection.send(("answers", _answers(scorer, read, settings)))


def _answers(
    scorer: Scorer, read: Mapping[int, Reading | Document], settings: Settings
) -> list[tuple[int, Answer]]:
    documents = finished(scorer, list(read.values()))
    return [
        (number, settings.answer(document))
        for number, document in zip(read, documents, strict=True)
    ]
