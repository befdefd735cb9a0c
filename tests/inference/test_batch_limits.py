"""Documents that are too long, too slow or hostile: each ends as a row, none as a hang."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pytest

import framelens
from framelens.cli import main
from framelens.in_order import InOrder
from framelens.limits import LimitError, Limits
from framelens.records import Record
from framelens.rows import Answer
from framelens.schema import ModelInfo
from framelens.scorer import Reading, Scorer
from framelens.workers import Job, Settings, finished, read_job
from hostile_texts import hostile_lines, hostile_texts, html_bombs
from support import read_jsonl

SIZE = 60_000


def score(model: Path, *arguments: object) -> int:
    return main(["score", *map(str, arguments), "-m", str(model), "--quiet"])


@pytest.mark.parametrize(
    ("limits", "code", "says"),
    [
        (Limits(characters=20), "too_long", "at most 20 characters, found 80"),
        (Limits(segments=3), "too_many_segments", "at most 3 segments, found 4"),
        (Limits(seconds=1e-9), "too_slow", "within 1e-09 s"),
    ],
)
def test_each_limit_has_a_name(limits: Limits, code: str, says: str, model_folder: Path) -> None:
    scorer = framelens.load(model_folder, limits=limits)
    text = "The mayor said so. " * 3 + "A shameful plan is a plan."
    text = text[:80] if len(text) >= 80 else text + " " * (80 - len(text))
    with pytest.raises(LimitError, match=says) as refused:
        scorer.score(text)
    assert refused.value.code == code
    (document,) = scorer.score_many([text])
    assert document.error is not None
    assert document.error.code == code
    assert document.segments == ()


def test_limits_of_the_command_line(model_folder: Path, tmp_path: Path) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    rows = ["A plan. " * 4, "A plan. " * 2, "A road was closed by the mayor of the road"]
    source.write_text("".join(json.dumps({"text": row}) + "\n" for row in rows), "utf-8")
    options = ["--max-characters", 40, "--max-segments", 3]
    assert score(model_folder, source, "-o", target, *options) == 3
    codes = [row["error"] and row["error"]["code"] for row in read_jsonl(target)]
    assert codes == ["too_many_segments", None, "too_long"]


@pytest.mark.parametrize("name", hostile_texts(0))
def test_a_hostile_text_is_scored_or_refused(name: str, model_folder: Path) -> None:
    scorer = Scorer(framelens.load(model_folder).artifact, limits=Limits(seconds=20))
    text = hostile_texts(SIZE)[name]
    begun = time.thread_time()  # on a busy machine, seconds of a clock say nothing
    (document,) = scorer.score_many([{"text": text, "headline": text[:100]}])
    assert time.thread_time() - begun < 25
    assert json.loads(json.dumps(document.to_dict()))["status"] in ("ok", "error")
    if document.error is None:
        fields = {"text": text, "headline": text[:100]}
        for segment in document.segments:
            assert fields[segment.field][segment.start : segment.end] == segment.text
    else:
        assert document.error.code in ("too_slow", "too_many_segments")


@pytest.mark.parametrize("name", hostile_lines(100))
def test_a_hostile_line_is_one_row(name: str, model_folder: Path, tmp_path: Path) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    rows = [hostile_lines(SIZE)[name], json.dumps({"text": "A plan."})]
    source.write_text("".join(row + "\n" for row in rows), "utf-8")
    assert score(model_folder, source, "-o", target, "--keep") in (0, 3)
    found = read_jsonl(target)
    assert len(found) == 2
    assert found[1]["status"] == "ok"


@pytest.mark.parametrize("name", html_bombs(100))
def test_a_hostile_page_is_one_row(name: str, model_folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("trafilatura")
    source, target = tmp_path / "in.html", tmp_path / "out.jsonl"
    source.write_text(html_bombs(SIZE // 30)[name], "utf-8")
    assert score(model_folder, source, "-o", target) in (0, 3)
    (row,) = read_jsonl(target)
    assert row["status"] in ("ok", "error")


def test_a_worker_that_hangs_or_dies_costs_one_document(
    model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("framelens.workers._SERVE", "faulty_worker:serve")
    monkeypatch.setattr("framelens.workers._GRACE", 0.5)
    texts = [f"The mayor closed road {number}." for number in range(30)]
    texts[3], texts[11], texts[20] = "hang", "crash", "fault"
    # A worker in a runaway search reads nothing, and the next chunk is more than a pipe takes.
    texts[7], texts[8] = "runaway", "A road. " * 80_000
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), "utf-8")
    options = ["--workers", 2, "--max-seconds", 1, "--max-characters", 100_000]
    assert score(model_folder, source, "-o", target, *options) == 3
    found = read_jsonl(target)
    assert [row["id"] for row in found] == [f"{source}:{n}" for n in range(1, 31)]
    errors = {n: row["error"]["code"] for n, row in enumerate(found) if row["error"]}
    assert errors == {3: "too_slow", 7: "too_slow", 8: "too_long", 11: "crashed", 20: "internal"}


def test_what_cannot_be_decoded_costs_one_document(
    model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer = framelens.load(model_folder)
    decode = Scorer.decode

    def faulty(self: Scorer, readings: Sequence[Reading]) -> list[framelens.Document]:
        if any("plan" in reading.segments[0].text for reading in readings):
            raise AssertionError("as if a library had failed")
        return decode(self, readings)

    monkeypatch.setattr(Scorer, "decode", faulty)
    settings = Settings(scorer.artifact.path, scorer.model, scorer.limits)
    rows = [{"text": "A road."}, {"text": "A plan."}, {"text": 1}, {"text": "The news."}]
    read = [read_job(scorer, Job(n, row, None), settings) for n, row in enumerate(rows)]
    found = finished(scorer, read)
    assert [d.error and d.error.code for d in found] == [None, "internal", "bad_text", None]
    assert [s.text for d in found for s in d.segments] == ["A road.", "The news."]


def test_a_line_without_end_is_never_read_whole(
    model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("framelens.reading.MAX_ROW_BYTES", 1000)
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    rows = [{"text": "A plan."}, {"text": "x" * 5000}, {"text": "A road."}]
    source.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    assert score(model_folder, source, "-o", target) == 3
    found = read_jsonl(target)
    assert [row["status"] for row in found] == ["ok", "error", "ok"]
    assert found[1]["error"]["code"] == "too_long"
    assert found[2]["id"] == f"{source}:3"


def test_a_users_limits_are_not_those_of_the_golden_inputs(tmp_path: Path) -> None:
    from support import write_model

    example = {
        "text": "The mayor said so. A road was closed. A plan.", "headline": "A shameful plan"
    }  # fmt: skip
    model = write_model(tmp_path / "model")
    document = framelens.load(model).score(**example)
    manifest = json.loads((model / "manifest.json").read_text("utf-8"))
    manifest["golden"] = [
        {
            **example,
            "labels": [segment.label for segment in document.segments],
            "scores": [list(segment.scores.values()) for segment in document.segments],
        }
    ]
    (model / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    limits = Limits(characters=10, segments=1)
    (found,) = framelens.load(model, limits=limits).score_many(["A plan."])
    assert found.status == "ok"


@pytest.mark.parametrize(
    "record",
    [
        lambda long: Record(long[:3], {"text": long}),
        lambda long: Record(long[:3], {"text": long[:3]}, kept=long),
        lambda long: Record(long[:3], {"text": long[:3]}, cells=("", long)),
        lambda long: Record(long[:3], {"text": long[:3]}, cells=pa.table({"n": [long]})),
    ],
    ids=["text", "kept", "cells", "table"],
)
def test_what_waits_for_a_slow_document_is_bounded(
    record: Callable[[str], Record], tmp_path: Path
) -> None:
    class SlowFirst:
        def __init__(self) -> None:
            self.jobs: list[Job] = []
            self.most = 0

        def add(self, job: Job) -> None:
            self.jobs.append(job)

        def no_more(self) -> None:
            pass

        def poll(self, timeout: float) -> list[tuple[int, Answer]]:
            quick = [job for job in self.jobs if job.number] or list(self.jobs)
            self.jobs = [job for job in self.jobs if job not in quick]
            return [(job.number, Answer(None, 0, {}, "{}")) for job in quick]

        def close(self) -> None:
            self.jobs.clear()

    settings = Settings(tmp_path, ModelInfo("m", "1", "0"), Limits())
    given, read = 0, 0

    def records() -> Iterator[Record]:
        nonlocal read
        for number in range(60):
            read += 1
            yield record(f"{number} ".ljust(1_000_000))

    for _ in InOrder(records(), SlowFirst(), settings, ahead=1000, tick=lambda: None):
        given += 1
        assert read - given < 6
    assert given == 60


def test_a_csv_line_without_end_is_never_read_whole(
    model_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for module in ("csv_records", "records"):
        monkeypatch.setattr(f"framelens.{module}.MAX_ROW_BYTES", 1000)
    source, target = tmp_path / "in.csv", tmp_path / "out.jsonl"
    source.write_text("id,text\n1,A plan.\n2," + "x" * 5000 + "\n3,A road.\n", "utf-8")
    assert score(model_folder, source, "-o", target) == 3
    codes = [row["error"] and row["error"]["code"] for row in read_jsonl(target)]
    assert codes == [None, "too_long", None]
    source.write_text("x" * 5000, "utf-8")
    assert score(model_folder, source, "-o", target) == 1
    assert "expected a header of at most 1000 bytes" in capsys.readouterr().err
