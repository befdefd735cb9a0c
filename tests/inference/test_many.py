"""Many records scored from Python by several processes."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

import framelens
from framelens.artifact import Golden
from framelens.limits import Limits
from framelens.scorer import Scorer, Unit
from support import write_model

INFERENCE = Path(__file__).parents[2] / "inference"
ARTICLE = "The mayor said a road was closed. The plan is in the report.\n\nSign up to news"


@pytest.fixture(scope="module")
def scorer(model_folder: Path) -> Scorer:
    return framelens.load(model_folder)


def many_records() -> list[Any]:
    """Good and bad ones, some twice, more than are scored without workers."""
    bad: list[Any] = [{"headline": "no text"}, {"text": 5, "id": "five"}, ["list"], {3: "three"}]
    texts = [f"{ARTICLE} It took {number} years. ({number})" for number in range(7)]
    good = [{"text": text, "headline": "Shameful plan", "id": n} for n, text in enumerate(texts)]
    odd = [{"text": "A plan \ud800.", "object": object()}, "", texts[0], {"text": "x" * 2001}]
    # Two halves of one character, which JSON would join.
    halves = {"text": "\ud83d\ude00 A plan.", "headline": "\ud83d\ude00", "id": "\ud800"}
    return [*good, *bad, *texts, *odd, halves, *good, halves]


def test_workers_give_the_same_documents_in_the_same_order(model_folder: Path) -> None:
    scorer = framelens.load(model_folder, limits=Limits(characters=2000))
    for unit in get_args(Unit):
        alone = list(scorer.score_many(many_records(), unit=unit))
        assert {d.error.code for d in alone if d.error} == {
            "missing_text", "bad_text", "bad_row", "too_long",
        }  # fmt: skip
        assert any(document.headline_check for document in alone)
        assert list(scorer.score_many(many_records(), unit=unit, workers=2)) == alone
    few = ["A plan.", {"text": None, "id": "b"}]
    assert list(scorer.score_many(few, workers=2)) == list(scorer.score_many(few))
    assert list(scorer.score_many([], workers=2)) == []


@pytest.mark.parametrize("count", [3, 30])
def test_what_was_read_before_a_source_fails_is_answered(count: int, scorer: Scorer) -> None:
    def records() -> Iterator[str]:
        yield from (f"A plan for road {number}." for number in range(count))
        raise ConnectionError("the source is gone")

    for workers in (1, 2):
        stream = scorer.score_many(records(), workers=workers)
        assert [document.id for document in itertools.islice(stream, count)] == [
            str(number) for number in range(count)
        ]
        with pytest.raises(ConnectionError, match="the source is gone"):
            next(stream)


def test_a_text_may_have_a_class_of_its_own(model_folder: Path) -> None:
    class Text(str):
        __slots__ = ()

    scorer = framelens.load(model_folder, limits=Limits(seconds=1))
    texts = [Text(f"A plan for road {n}.") for n in range(9)]
    records = [{"text": text, "headline": Text("A plan")} for text in texts]
    assert list(scorer.score_many(records, workers=2)) == list(scorer.score_many(records))


def test_workers_test_themselves_no_more_than_the_scorer_did(tmp_path: Path) -> None:
    golden = Golden("A plan.", None, ("plain",), ((0.5, 0.5, 0.5),))
    folder = write_model(tmp_path / "model", golden=[golden])
    with pytest.raises(framelens.ArtifactError, match="self_test=False"):
        framelens.load(folder)
    scorer = framelens.load(folder, self_test=False)
    texts = [f"A plan for road {n}." for n in range(9)]
    assert list(scorer.score_many(texts, workers=2)) == list(scorer.score_many(texts))


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds workers through /proc")
def test_workers_end_with_the_iterator(scorer: Scorer) -> None:
    before = _children()
    stream = scorer.score_many((f"A plan for road {n}." for n in itertools.count()), workers=2)
    first = next(stream)
    assert first == scorer.score("A plan for road 0.")
    workers = _children() - before
    assert len(workers) == 2
    assert isinstance(stream, Generator)
    stream.close()
    assert not workers & _children()


def _children() -> set[int]:
    """The processes that this one started, whichever thread did."""
    tasks = Path("/proc/self/task").glob("*/children")
    return {int(child) for path in tasks for child in path.read_text().split()}


def test_there_must_be_a_worker(scorer: Scorer) -> None:
    with pytest.raises(ValueError, match="at least one worker, found 0"):
        scorer.score_many(["A plan."], workers=0)


def test_a_script_needs_no_main_guard(model_folder: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import framelens\n"
        "print('begun', flush=True)\n"
        f"scorer = framelens.load({str(model_folder)!r})\n"
        "texts = [f'Road {n} closed, the mayor said.' for n in range(40)]\n"
        "print(sum(d.status == 'ok' for d in scorer.score_many(texts, workers=2)))\n"
    )
    here = tmp_path / "here"
    here.mkdir()
    (here / "signal.py").write_text("raise SystemExit('a module of another program')")
    environment = {**os.environ, "PYTHONPATH": str(INFERENCE)}
    command = [sys.executable, script]
    found = subprocess.run(
        command, cwd=here, env=environment, capture_output=True, text=True, check=True
    )
    assert found.stdout == "begun\n40\n"


def test_a_script_may_end_before_its_documents(model_folder: Path, tmp_path: Path) -> None:
    """In Python 3.13 it waited for ever for a thread that had been stopped before."""
    script = tmp_path / "script.py"
    script.write_text(
        "import itertools, framelens\n"
        f"scorer = framelens.load({str(model_folder)!r})\n"
        "texts = (f'Road {n} closed, the mayor said.' for n in itertools.count())\n"
        "documents = scorer.score_many(texts, workers=2)\n"
        "print(next(documents).status)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(INFERENCE)}
    command = [sys.executable, script]
    found = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert found.stdout == "ok\n"
