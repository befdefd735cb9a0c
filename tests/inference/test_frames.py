from __future__ import annotations

import json
import pickle
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

import framelens
from framelens.cli import main
from framelens.scorer import Scorer
from support import EVIDENCE, write_model

RECORDS = [
    {"id": "a", "headline": "Road closed", "text": "The mayor said a road was closed.", "n": 1},
    {"id": "b", "headline": None, "text": "A shameful plan. The minister ranted.", "n": 2},
    {"id": None, "headline": None, "text": None, "n": 3},
]


@pytest.fixture(scope="module")
def scorer(model_folder: Path) -> Scorer:
    return framelens.load(model_folder)


def frame_of(kind: str) -> Any:
    table = pa.Table.from_pylist(RECORDS)
    if kind == "polars":
        return pytest.importorskip("polars").from_arrow(table)
    return table.to_pandas() if kind == "pandas" else table


@pytest.mark.parametrize("kind", ["pandas", "polars", "arrow"])
def test_the_same_kind_comes_out(kind: str, scorer: Scorer) -> None:
    frame = frame_of(kind)
    for explode in (False, True):
        found = scorer.score_frame(frame, explode=explode, keep=True)
        assert type(found) is type(frame)
        rows = pa.table(found) if kind != "pandas" else pa.Table.from_pandas(found)
        assert rows.column("status").to_pylist()[-1] == "error"
        assert rows.column("n").to_pylist() == ([1, 1, 2, 2, 3] if explode else [1, 2, 3])
        assert rows.column("id").to_pylist()[-1] == "frame:3"


def test_a_frame_gives_what_the_command_line_gives(
    scorer: Scorer, model_folder: Path, tmp_path: Path
) -> None:
    import pyarrow.parquet as pq

    source = tmp_path / "in.jsonl"
    source.write_text("".join(json.dumps(r) + "\n" for r in RECORDS), "utf-8")
    for name in (None, "explode", "attributions"):
        target = tmp_path / "out.parquet"
        arguments = ["-o", str(target), "-m", str(model_folder), "--quiet", "--overwrite"]
        main(["score", str(source), *arguments, *([f"--{name}"] if name else [])])
        written = pq.read_table(target).to_pylist()
        shape = {name: True} if name else {}
        found = scorer.score_frame(pa.Table.from_pylist(RECORDS), **shape).to_pylist()
        assert written[-1].pop("id") == f"{source}:3"
        found[-1].pop("id")
        assert found == written


@pytest.mark.parametrize("explode", [False, True])
def test_workers_fill_the_same_frame(scorer: Scorer, explode: bool) -> None:
    rows = [
        {**row, "text": row["text"] and f"{row['text']} ({n})"} for n in range(9) for row in RECORDS
    ]
    table = pa.Table.from_pylist(rows)
    alone = scorer.score_frame(table, explode=explode, keep=True)
    assert scorer.score_frame(table, explode=explode, keep=True, workers=2) == alone
    assert alone.num_rows >= len(rows)
    with pytest.raises(ValueError, match="explode or attributions, found both"):
        scorer.score_frame(table, explode=True, attributions=True)
    with pytest.raises(ValueError, match="at least one worker, found -1"):
        scorer.score_frame(table, workers=-1)


MIXED = ["Road closed. A plan.", 5, None, "A \ud83d\ude00 plan."]


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_a_value_of_another_type_is_an_error_row(kind: str, scorer: Scorer) -> None:
    """As in a line of JSON; the others go on."""
    frame: Any = pd.DataFrame({"text": pd.Series(MIXED, dtype=object), "id": ["a", "b", "c", "d"]})
    if kind == "polars":
        polars = pytest.importorskip("polars")
        frame = polars.DataFrame({"text": polars.Series(MIXED, dtype=polars.Object)})
        frame = frame.with_columns(id=polars.Series(["a", "b", "c", "d"]))
    found = scorer.score_frame(frame)
    assert list(found["status"]) == ["ok", "error", "error", "ok"]
    assert list(found["id"]) == ["a", "b", "c", "d"]
    codes = [error and error["code"] for error in found["error"]]
    assert codes == [None, "bad_text", "missing_text", None]
    plan = found["segments"][3][0]
    assert (plan["end"], plan["text"]) == (10, "A \ufffd\ufffd plan.")


def test_missing_values_beside_mixed_ones_are_none(scorer: Scorer) -> None:
    frame = pd.DataFrame(
        {
            "text": ["A plan.", "A road.", "A tax."],
            "headline": pd.Series([pd.NA, None, float("nan")], dtype=object),
            "id": pd.Series([pd.NaT, 5, "c"], dtype=object),
        }
    )
    found = scorer.score_frame(frame)
    assert list(found["id"]) == ["frame:1", "5", "c"]
    assert list(found["status"]) == ["ok"] * 3


def test_what_is_missing_in_columns_of_pandas_is_none_in_records(scorer: Scorer) -> None:
    headlines = pd.Series(["A plan", None], dtype="string")
    days = pd.Series([pd.Timestamp("2024-05-01"), None])
    columns = zip(headlines, days, strict=True)
    records = [{"text": "A road.", "headline": line, "id": day} for line, day in columns]
    assert records[1]["headline"] is pd.NA
    found = list(scorer.score_many(records))
    assert [document.id for document in found] == ["2024-05-01 00:00:00", "1"]
    assert [len(document.segments) for document in found] == [2, 1]


def kept_frame() -> pd.DataFrame:
    columns = {
        "text": [RECORDS[1]["text"], "A plan.", None],
        "big": pd.array([2**60 + 1, None, 3], dtype="Int64"),
        "sure": pd.array([True, None, False], dtype="boolean"),
        "kind": pd.Categorical(["u", "v", "u"], ["v", "u"], ordered=True),
        "mixed": pd.Series(["a", 5, None], dtype=object),
        "status": [1, 2, 3],
        7: [0.5, 1.5, 2.5],
    }
    return pd.DataFrame(columns)


@pytest.mark.parametrize(
    "index",
    [
        pd.RangeIndex(3),
        pd.Index(["a", 5, None], dtype=object),
        pd.Index([7, 7, 8], name="row"),
        pd.MultiIndex.from_tuples([("x", 1), ("x", 2), ("y", 1)], names=["outlet", None]),
    ],
    ids=["range", "mixed", "twice", "levels"],
)
@pytest.mark.parametrize("explode", [False, True])
def test_kept_columns_and_the_index_of_pandas_stay(
    index: pd.Index, explode: bool, scorer: Scorer
) -> None:
    frame = kept_frame().set_axis(index)
    found = scorer.score_frame(frame, explode=explode, keep=True)
    expected = frame.drop(columns="text").rename(columns={"status": "input_status"})
    if explode:
        expected = expected.take([0, 0, 1, 2])
    pd.testing.assert_frame_equal(found[list(expected.columns)], expected)
    own = scorer.score_frame(frame, explode=explode)
    assert own.index.equals(found.index)
    assert set(found.columns) == {*own.columns, *expected.columns} - {"input"}


def test_a_pandas_index_may_hold_the_ids(scorer: Scorer) -> None:
    frame = pd.DataFrame({"text": MIXED[:2], "day": [1, 2]}, index=pd.Index(["x", "y"], name="id"))
    for given in (frame, frame.set_index("day", append=True), frame.astype({"text": str})):
        found = scorer.score_frame(given)
        assert list(found["id"]) == ["x", "y"]
        assert found.index.equals(given.index)
        assert list(found.index.names) == [None, "day"][: given.index.nlevels]
        assert len(found.sort_values("id").groupby("id").first()) == 2
    assert frame.index.name == "id"


def test_a_column_called_input_is_kept_under_another_name(scorer: Scorer) -> None:
    found = scorer.score_frame(pd.DataFrame({"text": ["A plan."], "input": ["wire"]}), keep=True)
    assert "input" not in found.columns
    assert list(found["input_input"]) == ["wire"]


@pytest.mark.parametrize("explode", [False, True])
def test_kept_columns_of_polars_and_arrow_stay(explode: bool, scorer: Scorer) -> None:
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame(
        {
            "text": [RECORDS[1]["text"], "A plan."],
            "kind": pl.Series(["u", "v"], dtype=pl.Enum(["v", "u"])),
            "tags": pl.Series([["u"], []], dtype=pl.List(pl.Categorical)),
            "word": ["x", None],
        }
    )
    at = [0, 0, 1] if explode else [0, 1]
    kept = ["kind", "tags", "word"]
    found = scorer.score_frame(frame, explode=explode, keep=True)
    assert found[kept].equals(frame[kept][at])
    assert found[kept].schema == frame[kept].schema
    table = pa.table(frame)  # with string views
    found = scorer.score_frame(table, explode=explode, keep=True).select(kept)
    assert found.schema.types == table.select(kept).schema.types
    assert found.to_pylist() == [table.select(kept).to_pylist()[number] for number in at]


def test_texts_of_polars_may_be_categories(scorer: Scorer) -> None:
    pl = pytest.importorskip("polars")
    texts = [RECORDS[0]["text"], None, "A plan.", "A plan."]
    frame = pl.DataFrame({"text": pl.Series(texts, dtype=pl.Categorical), "kind": texts})
    expected = scorer.score_frame(frame.cast({"text": pl.String}))["segments"].to_list()
    for given in (frame, frame.to_arrow(), pa.table(frame)):
        assert pa.table(scorer.score_frame(given)).column("segments").to_pylist() == expected


@pytest.mark.parametrize("explode", [False, True])
def test_a_frame_without_rows_keeps_its_types(explode: bool, scorer: Scorer) -> None:
    found = scorer.score_frame(kept_frame().head(0), explode=explode, keep=True)
    assert len(found) == 0
    assert found["big"].dtype == "Int64"


def test_a_frame_without_text_is_refused(scorer: Scorer) -> None:
    with pytest.raises(framelens.InputError, match="expected a column 'text', found body"):
        scorer.score_frame(pd.DataFrame({"body": ["x"]}))
    assert len(scorer.score_frame(pd.DataFrame({"body": ["x"]}), text_field="body")) == 1


@pytest.mark.parametrize("kind", ["pandas", "arrow"])
def test_a_frame_with_two_columns_of_one_name_is_refused(kind: str, scorer: Scorer) -> None:
    table = pa.table([pa.array(["A plan."]), pa.array([1]), pa.array([2])], ["text", "a", "a"])
    frame = (
        table if kind == "arrow" else pd.DataFrame([["A plan.", 1, 2]], columns=table.schema.names)
    )
    with pytest.raises(framelens.InputError, match="'a' 2 times; rename or drop one of them"):
        scorer.score_frame(frame)


@pytest.mark.parametrize("kind", ["pandas", "polars", "arrow"])
def test_a_frame_is_not_taken_for_records(kind: str, scorer: Scorer) -> None:
    """Iterating one gives its columns, and in pandas their names, which are texts too."""
    with pytest.raises(TypeError, match=r"found a table \((DataFrame|Table)\); use score_frame"):
        scorer.score_many(frame_of(kind))
    texts = scorer.score_many(pd.DataFrame(RECORDS)["text"].dropna())
    assert [document.status for document in texts] == ["ok", "ok"]


@pytest.mark.parametrize("frame", [[{"text": "A plan."}], pd.Series(["A plan."])])
def test_what_is_no_frame_is_refused(frame: Any, scorer: Scorer) -> None:
    with pytest.raises(TypeError, match=r"expected a pandas or polars data frame .* found "):
        scorer.score_frame(frame)


def test_a_field_whose_name_is_no_string_is_refused(scorer: Scorer) -> None:
    frame = pd.DataFrame({0: ["a"], 1: ["Rain fell."]})
    with pytest.raises(TypeError, match="expected a string as text_field, found int"):
        scorer.score_frame(frame, text_field=1)  # type: ignore[arg-type]


def test_narwhals_missing_names_the_extra(scorer: Scorer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "narwhals", None)
    with pytest.raises(framelens.MissingExtraError, match=r"framelens\[frames\]"):
        scorer.score_frame(pd.DataFrame({"text": ["x"]}))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_scorer_works_in_other_processes(method: str, scorer: Scorer) -> None:
    text = RECORDS[0]["text"]
    assert isinstance(text, str)
    expected = scorer.score(text)
    with ProcessPoolExecutor(1, mp_context=get_context(method)) as pool:
        assert pool.submit(scorer.score, text).result(timeout=60) == expected
    assert pickle.loads(pickle.dumps(scorer)).score(text) == expected


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_scorer_finds_its_model_from_another_directory(
    method: str, model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(model_folder.parent)
    scorer = framelens.load(model_folder.name)
    expected = scorer.score("A plan.")
    monkeypatch.chdir(tmp_path)
    with ProcessPoolExecutor(1, mp_context=get_context(method)) as pool:
        assert pool.submit(scorer.score, "A plan.").result(timeout=60) == expected


def test_a_fork_opens_no_other_model_than_its_parent_has(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model")
    scorer = framelens.load(folder)
    write_model(folder, {**EVIDENCE, "plan": {"framed": 40.0}})
    connection, theirs = get_context("fork").Pipe()

    def score() -> None:
        try:
            theirs.send(scorer.score("A plan."))
        except framelens.ArtifactError as error:
            theirs.send(str(error))

    child = get_context("fork").Process(target=score)
    child.start()
    assert connection.poll(20)
    assert "model.onnx: expected sha256" in connection.recv()
    child.join(20)


def test_a_scorer_with_threads_survives_a_fork(model_folder: Path) -> None:
    scorer = framelens.load(model_folder, threads=2)
    expected = scorer.score("The mayor said a road was closed.")
    connection, theirs = get_context("fork").Pipe()
    child = get_context("fork").Process(
        target=lambda: theirs.send(scorer.score("The mayor said a road was closed."))
    )
    child.start()
    assert connection.poll(20)
    assert connection.recv() == expected
    child.join(20)
    assert child.exitcode == 0


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_a_fork_may_end_without_having_scored(threads: int, model_folder: Path) -> None:
    """Freeing the session would wait for threads that are not there, or crash."""
    code = (
        "import os, sys, framelens; scorer = framelens.load(sys.argv[1], threads=int(sys.argv[2]));"
        "pid = os.fork(); sys.exit(0) if pid == 0 else print(os.waitpid(pid, 0)[1])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(model_folder), str(threads)],
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
    )
    assert done.stdout == "0\n"
