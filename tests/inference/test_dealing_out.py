"""How work is dealt out: on which core a worker runs, and how much it is sent."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from framelens import batch, workers
from framelens.artifact import Artifact
from framelens.cli import main
from framelens.limits import Limits
from framelens.workers import Settings, WorkerPool, chunk_documents, worker_cores

affinity = pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity"), reason="this system binds no process to a core"
)


def may_use(monkeypatch: pytest.MonkeyPatch, cores: set[int], share: int) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: cores, raising=False)
    monkeypatch.setattr(workers, "usable_cores", lambda: share)


@pytest.mark.parametrize(
    ("count", "threads", "cores", "share", "expected"),
    [
        (2, 1, {4, 7}, 2, [4, 7]),
        (3, 1, {4, 7}, 2, [4, 7, 4]),
        (1, 1, {4, 7}, 2, [None]),  # another run may use the rest
        (2, 1, {4, 7}, 1, [None, None]),  # a container's share of the time, not of the cores
        (2, 2, {4, 7}, 2, [None, None]),
    ],
)
def test_workers_that_use_every_core_stay_on_theirs(
    count: int,
    threads: int,
    cores: set[int],
    share: int,
    expected: list[int | None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    may_use(monkeypatch, cores, share)
    assert worker_cores(count, threads) == expected


@pytest.mark.parametrize(("threads", "expected"), [(1, 4), (2, 2), (3, 1), (9, 1)])
def test_workers_share_the_cores_with_their_threads(
    threads: int,
    expected: int,
    model_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source, found = tmp_path / "in.jsonl", list[int]()
    source.write_text('{"text": "A plan."}\n', "utf-8")
    monkeypatch.setattr(workers, "usable_cores", lambda: 4)
    real = batch.in_order

    def counted(*arguments: Any, **options: Any) -> Any:
        found.append(arguments[2])
        return real(*arguments, **options)

    monkeypatch.setattr(batch, "in_order", counted)
    command = ["score", str(source), "-m", str(model_folder), "-o", str(tmp_path / "out.jsonl")]
    assert main([*command, "--threads", str(threads), "--quiet"]) == 0
    assert found == [expected]


def test_a_system_without_affinity_binds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert worker_cores(2, 1) == [None, None]


@affinity
def test_each_worker_and_its_successor_is_bound(
    model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    core = min(os.sched_getaffinity(0))
    monkeypatch.setattr(workers, "worker_cores", lambda count, _: [core] * count)
    info = Artifact.open(model_folder).info
    pool = WorkerPool(Settings(model_folder, info, Limits()), 1)
    try:
        first = pool._workers[0].process
        assert first.pid is not None
        assert os.sched_getaffinity(first.pid) == {core}
        first.kill()
        while pool._workers[0].process is first:
            pool.poll(0.1)
        second = pool._workers[0].process.pid
        assert second is not None
        assert os.sched_getaffinity(second) == {core}
    finally:
        pool.close()


def test_workers_that_stood_still_are_not_late(
    model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = WorkerPool(Settings(model_folder, Artifact.open(model_folder).info, Limits()), 1)
    slept = 0.0
    real = time.monotonic

    def suspended(connections: Sequence[Any], timeout: float) -> list[Any]:
        nonlocal slept
        slept += 9000.0
        return []

    try:
        while not pool._workers[0].ready:
            pool.poll(0.1)
        worker = pool._workers[0]
        worker.chunks.append({})
        monkeypatch.setattr(workers.time, "monotonic", lambda: real() + slept)
        monkeypatch.setattr(workers, "wait", suspended)
        pool.poll(0.1)
        assert pool._workers == [worker]
        slept += 9000.0  # a worker alone that says nothing is late all the same
        monkeypatch.setattr(workers, "wait", lambda connections, timeout: [])
        worker.chunks.clear()
        worker.chunks.append({})
        pool.poll(0.1)
        assert pool._workers != [worker]
    finally:
        pool.close()


def test_the_last_messages_get_smaller_to_one_document() -> None:
    assert chunk_documents(300, 2, ends=False) == chunk_documents(3, 2, ends=False) == 64
    sizes, waiting = [], 300
    while waiting:
        sizes.append(chunk_documents(waiting, 2, ends=True))
        waiting -= sizes[-1]
    assert sizes[:3] == [64, 59, 45]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-4:] == [1, 1, 1, 1]
    assert sum(sizes) == 300
