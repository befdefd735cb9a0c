"""What a batch run reads and writes, and what may not change a byte of it."""

from __future__ import annotations

import csv
import gzip
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import framelens
from framelens import rows, tabular
from framelens.cli import main
from framelens.documents import document_of
from framelens.in_order import InOrder
from framelens.limits import Limits
from framelens.reading import read_records
from framelens.records import FieldNames, Record, to_json
from framelens.relations import attribution_relations
from framelens.report.scored import read_scored
from framelens.rows import Answer, dumps
from framelens.schema import ModelInfo
from framelens.workers import Job, Settings
from framelens.writers import Layout
from support import read_jsonl

SENTENCES = (
    "The mayor said a road was closed.",
    "A shameful plan, and yet another road closed.",
    "The minister ranted.",
    "Sign up to news",
    "The plan is in the report.",
)


def score(model: Path, *arguments: object) -> int:
    return main(["score", *map(str, arguments), "-m", str(model), "--quiet"])


def article(number: int) -> dict[str, Any]:
    count = 1 + number % 4
    text = " ".join(SENTENCES[(number + i) % len(SENTENCES)] for i in range(count))
    headline = f"Road {number} closed" if number % 3 else None
    return {"id": f"a{number}", "headline": headline, "text": text, "outlet": f"o{number % 3}"}


def write_jsonl(path: Path, records: Sequence[Any]) -> Path:
    lines = [r if isinstance(r, str) else json.dumps(r) for r in records]
    path.write_text("".join(line + "\n" for line in lines), "utf-8")
    return path


ARTICLES = [article(number) for number in range(40)]


@pytest.fixture(scope="module")
def expected(model_folder: Path) -> list[dict[str, Any]]:
    scorer = framelens.load(model_folder)
    return [document.to_dict() for document in scorer.score_many(ARTICLES)]


def write_csv(path: Path, articles: Sequence[dict[str, Any]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(articles[0]))
        writer.writeheader()
        writer.writerows(articles)
    return path


@pytest.mark.parametrize("kind", ["jsonl", "jsonl.gz", "csv", "csv.gz", "parquet"])
def test_every_input_gives_what_python_gives(
    kind: str, model_folder: Path, tmp_path: Path, expected: list[dict[str, Any]]
) -> None:
    source = tmp_path / f"in.{kind}"
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(ARTICLES), source)
    elif kind.startswith("csv"):
        write_csv(source, ARTICLES)
    else:
        write_jsonl(source, ARTICLES)
    if kind.endswith(".gz"):
        source.write_bytes(gzip.compress(source.read_bytes()))
    assert score(model_folder, source, "-o", tmp_path / "out.jsonl") == 0
    assert read_jsonl(tmp_path / "out.jsonl") == expected


def test_directories_and_patterns(model_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    (folder / "deep").mkdir(parents=True)
    (folder / "_skipped").mkdir()
    for name in ("b.jsonl", "a.jsonl", "deep/c.jsonl", "_skipped/d.jsonl", ".e.jsonl"):
        write_jsonl(folder / name, [{"id": name, "text": "A plan."}])
    (folder / "readme.md").write_text("no input")
    target = folder / "out.jsonl"
    for _ in range(2):  # the second time, the output of the first stands among the inputs
        assert score(model_folder, folder, "-o", target) == 0
        assert [r["id"] for r in read_jsonl(target)] == ["a.jsonl", "b.jsonl", "deep/c.jsonl"]
    assert score(model_folder, f"{folder}/[ab].jsonl", "-o", tmp_path / "out.jsonl") == 0
    assert [r["id"] for r in read_jsonl(tmp_path / "out.jsonl")] == ["a.jsonl", "b.jsonl"]


@pytest.mark.parametrize("kind", ["jsonl", "jsonl.gz", "csv", "parquet"])
@pytest.mark.parametrize("shape", [[], ["--explode"], ["--attributions"]])
def test_order_workers_and_chunks_change_no_byte(
    kind: str,
    shape: list[str],
    model_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    records = [*ARTICLES[:20], "{bad", {"text": 5}, {"text": ""}, *ARTICLES[20:], *ARTICLES[:5]]
    source = write_jsonl(tmp_path / "in.jsonl", records)
    found = []
    for workers, chunk in ((1, 64), (2, 3)):
        monkeypatch.setattr("framelens.workers.CHUNK_DOCUMENTS", chunk)
        target = tmp_path / f"out{workers}.{kind}"
        arguments = ["-o", target, "--workers", workers, "--part-rows", 16, "--keep", *shape]
        assert score(model_folder, source, *arguments) == 3
        found.append(target.read_bytes())
    assert found[0] == found[1]


def as_in_parquet(value: Any) -> Any:
    """A row of JSON with the columns that a span always has in Parquet."""
    if isinstance(value, list):
        return [as_in_parquet(item) for item in value]
    if not isinstance(value, dict):
        return value
    row = {key: as_in_parquet(item) for key, item in value.items()}
    return {"continues": False, **row} if {"type", "start", "score"} <= row.keys() else row


def test_explode_writes_a_row_a_segment(
    model_folder: Path, tmp_path: Path, expected: list[dict[str, Any]]
) -> None:
    source = write_jsonl(tmp_path / "in.jsonl", [*ARTICLES, {"id": "empty", "text": ""}, "{bad"])
    for kind in ("jsonl", "csv", "parquet"):
        assert score(model_folder, source, "-o", tmp_path / f"out.{kind}", "--explode") == 3
    by_json = read_jsonl(tmp_path / "out.jsonl")
    segments = [(d["id"], s) for d in expected for s in d["segments"]]
    assert len(by_json) == len(segments) + 2
    for row, (name, segment) in zip(by_json, segments, strict=False):
        assert row["id"] == name
        assert all(row[key] == segment[key] for key in segment if key not in ("scores",))
        assert {axis: row[axis] for axis in segment["scores"]} == segment["scores"]
    assert (by_json[-2]["status"], by_json[-2]["index"]) == ("ok", None)
    assert (by_json[-1]["status"], by_json[-1]["error_code"]) == ("error", "not_json")
    table = pq.read_table(tmp_path / "out.parquet")
    assert table.column_names == list(rows.SEGMENT_COLUMNS)
    for row, same in zip(by_json, table.to_pylist(), strict=True):
        assert {**as_in_parquet(row), "input": None} == same
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as stream:
        by_csv = list(csv.DictReader(stream))
    assert [row["text"] for row in by_csv] == [row["text"] or "" for row in by_json]
    assert [row["framed"] for row in by_csv[:3]] == [str(row["framed"]) for row in by_json[:3]]


def test_attributions_writes_a_row_an_attribution(
    model_folder: Path, tmp_path: Path, expected: list[dict[str, Any]]
) -> None:
    source = write_jsonl(tmp_path / "in.jsonl", [*ARTICLES, {"id": "empty", "text": ""}, "{bad"])
    for kind in ("jsonl", "csv", "parquet"):
        assert score(model_folder, source, "-o", tmp_path / f"out.{kind}", "--attributions") == 3
    by_json = read_jsonl(tmp_path / "out.jsonl")
    documents = [document_of(row) for row in expected]
    relations = [(d, relation) for d in documents for relation in attribution_relations(d)]
    assert len({document.id for document, _ in relations}) > 5
    found = [row for row in by_json if row["index"] is not None]
    for row, (document, relation) in zip(found, relations, strict=True):
        segment = document.segments[row["segment"]]
        assert (row["id"], row["field"], row["label"]) == (
            document.id,
            segment.field,
            segment.label,
        )
        for name in ("source", "cue", "content"):
            span = getattr(relation, name)
            assert row[name] == (None if span is None else span.text)
            assert row[f"{name}_start"] == (None if span is None else span.start)
            assert row[f"{name}_score"] == (None if span is None else span.score)
        assert row["source_segment"] == relation.source_segment
    without = [row["id"] for row in by_json if row["index"] is None]
    assert {row["id"] for row in by_json} == {*(d.id for d in documents), *without}
    assert (by_json[-2]["status"], by_json[-2]["content"]) == ("ok", None)
    assert (by_json[-1]["status"], by_json[-1]["error_code"]) == ("error", "not_json")
    table = pq.read_table(tmp_path / "out.parquet")
    assert table.column_names == list(rows.ATTRIBUTION_COLUMNS)
    assert table.to_pylist() == [{**row, "input": None} for row in by_json]
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as stream:
        by_csv = list(csv.DictReader(stream))
    assert [row["content"] for row in by_csv] == [row["content"] or "" for row in by_json]
    with pytest.raises(SystemExit):
        score(model_folder, source, "-o", tmp_path / "x.csv", "--attributions", "--explode")


def test_nested_parquet_holds_the_documents(
    model_folder: Path, tmp_path: Path, expected: list[dict[str, Any]]
) -> None:
    source = write_jsonl(tmp_path / "in.jsonl", [*ARTICLES, {"text": "The mayor \ud800 said."}])
    target = tmp_path / "out.parquet"
    assert score(model_folder, source, "-o", target, "--part-rows", 16) == 0
    found = pq.read_table(target).to_pylist()
    assert found.pop()["segments"][0]["text"] == "The mayor \ufffd said."
    for row, document in zip(found, expected, strict=True):
        assert row == {**as_in_parquet(document), "input": None}


def test_the_columns_of_all_formats_are_the_same() -> None:
    assert tabular.DOCUMENT_SCHEMA.names == list(rows.DOCUMENT_COLUMNS)
    assert tabular.SEGMENT_SCHEMA.names == list(rows.SEGMENT_COLUMNS)
    assert tabular.ATTRIBUTION_SCHEMA.names == list(rows.ATTRIBUTION_COLUMNS)


def test_other_columns_are_kept(model_folder: Path, tmp_path: Path) -> None:
    given = {"id": ["x", "y"], "text": ["A plan.", None], "when": [1, None], "status": ["s", "t"]}
    source = tmp_path / "in.parquet"
    pq.write_table(pa.table({**given, "when": pa.array(given["when"], pa.timestamp("ns"))}), source)
    assert score(model_folder, source, "-o", tmp_path / "out.parquet", "--keep") == 3
    found = pq.read_table(tmp_path / "out.parquet")
    assert found.schema.field("when").type == pa.timestamp("ns")
    assert found.column("when").cast(pa.int64()).to_pylist() == [1, None]
    assert found.column("input_status").to_pylist() == ["s", "t"]
    assert found.column("status").to_pylist() == ["ok", "error"]
    assert score(model_folder, source, "-o", tmp_path / "out.jsonl", "--keep") == 3
    assert [row["input"]["status"] for row in read_jsonl(tmp_path / "out.jsonl")] == ["s", "t"]
    lines = write_jsonl(tmp_path / "in.jsonl", ['{"text": "a", "n": NaN, "deep": {"k": [1]}}'])
    assert score(model_folder, lines, "-o", tmp_path / "out.jsonl", "--keep") == 0
    assert read_jsonl(tmp_path / "out.jsonl")[0]["input"] == {"n": None, "deep": {"k": [1]}}
    table = write_csv(tmp_path / "in.csv", [{"text": "a", "n": "007"}])
    assert score(model_folder, table, "-o", tmp_path / "out.csv", "--keep") == 0
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as stream:
        assert [row["n"] for row in csv.DictReader(stream)] == ["007"]


def test_every_kept_column_has_a_name_of_its_own() -> None:
    names = ["input_status", "status", "when", "input"]
    expected = ["input_status", "input_input_status", "when", "input_input"]
    schema = tabular.output_schema("document", pa.schema([(name, pa.string()) for name in names]))
    assert schema.names[-4:] == expected
    assert Layout("csv", "document", kept=names).columns == schema.names


def test_csv_columns_that_differ_from_file_to_file_are_kept_as_json(
    model_folder: Path, tmp_path: Path
) -> None:
    given = [{"text": "A plan.", "n": "1"}, {"text": "A plan.", "day": "2"}]
    inputs = [write_csv(tmp_path / f"in{n}.csv", [row]) for n, row in enumerate(given)]
    target = tmp_path / "out.csv"
    assert score(model_folder, *inputs, "-o", target, "--keep") == 0
    with target.open(encoding="utf-8", newline="") as stream:
        kept = [json.loads(row["input"]) for row in csv.DictReader(stream)]
    assert kept == [{"n": "1"}, {"day": "2"}]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_an_empty_csv_file_changes_no_kept_column(
    ending: str, model_folder: Path, tmp_path: Path
) -> None:
    inputs = [tmp_path / f"in{number}.csv" for number in range(3)]
    for path, content in zip(inputs, ["", "text,n\nA plan.,1\n", "\n"], strict=True):
        path.write_text(content, "utf-8")
    target, alone = tmp_path / f"out.{ending}", tmp_path / f"alone.{ending}"
    assert score(model_folder, *inputs, "-o", target, "--keep") == 0
    assert score(model_folder, inputs[1], "-o", alone, "--keep") == 0
    assert target.read_bytes() == alone.read_bytes()
    assert score(model_folder, inputs[0], "-o", target, "--keep") == 0


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_categories_in_lists_are_kept_from_every_row_group(
    ending: str, model_folder: Path, tmp_path: Path
) -> None:
    source, target = tmp_path / "in.parquet", tmp_path / f"out.{ending}"
    tags = [[f"k{number}", "road"] for number in range(20)]
    kind = pa.list_(pa.dictionary(pa.int32(), pa.string()))
    deep = pa.array([{"tags": names} for names in tags], pa.struct([("tags", kind)]))
    columns = {"text": ["A plan."] * 20, "tags": pa.array(tags, kind), "deep": deep}
    pq.write_table(pa.table(columns), source, row_group_size=7)
    assert score(model_folder, source, "-o", target, "--keep", "--part-rows", 5) == 0
    kept = [columns for _, columns in read_scored(str(target))]
    assert [row["tags"] for row in kept] == [row["deep"]["tags"] for row in kept] == tags


@pytest.mark.parametrize("shape", [[], ["--explode"], ["--attributions"]])
def test_a_struct_with_a_column_of_nulls_is_kept(
    shape: list[str], model_folder: Path, tmp_path: Path
) -> None:
    source, target = tmp_path / "in.parquet", tmp_path / "out.parquet"
    columns = {"text": ["A plan.", "A road."], "deep": [{"n": 1, "none": None}] * 2}
    pq.write_table(pa.table(columns), source)
    assert score(model_folder, source, "-o", target, "--keep", *shape) == 0
    assert pq.read_table(target).column("deep").to_pylist() == columns["deep"]


def test_a_large_value_that_each_row_of_a_parquet_file_has_is_read_a_few_times(
    tmp_path: Path,
) -> None:
    from framelens.tabular import parquet_file, row_batches

    for size, expected in ((10, [64, 6]), (4_100_000, [1] * 70)):
        value = pa.array(["a" * size]).dictionary_encode()
        table = pa.table({"text": value.take(pa.array([0] * 70))})
        pq.write_table(table, tmp_path / "in.parquet", compression="zstd", store_schema=False)
        with parquet_file(tmp_path / "in.parquet") as file:
            batches = [
                (batch.num_rows, batch.get_total_buffer_size()) for batch in row_batches(file)
            ]
        assert [rows for rows, _ in batches] == expected
        assert max(used for _, used in batches) < 64_000_000


@pytest.mark.parametrize("lead", ["s3:", os.fsdecode(b"\xff")])
def test_a_parquet_file_may_have_any_name(
    lead: str, model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pq.write_table(pa.table({"text": ["A plan."], "outlet": ["o1"]}), "plain.parquet")
    try:
        source = Path("plain.parquet").rename(f"{lead}in.parquet")
    except OSError:
        pytest.skip("the file system has no such names")
    target = f"{lead}out.parquet"
    assert score(model_folder, source, "-o", target, "--keep") == 0
    ((document, columns),) = read_scored(target)
    assert document.segments[0].text == "A plan."
    assert columns == {"outlet": "o1"}


def test_columns_with_dots_in_their_names_are_kept(model_folder: Path, tmp_path: Path) -> None:
    source, target = tmp_path / "in.parquet", tmp_path / "out.parquet"
    others = {"n.a": [1], "c": [2], "n": [{"a": 3}]}
    pq.write_table(pa.table({"text": ["A plan."], **others}), source)
    assert score(model_folder, source, "-o", target, "--keep") == 0
    assert pq.read_table(target).select(list(others)).to_pydict() == others


def test_a_bad_csv_row_is_an_error_row_in_its_place(model_folder: Path, tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    source.write_bytes(
        b'id,text\n1,"A\nplan."\n2,a,b\n\n3\n4,caf\xe9\n5,"' + b"x" * 3_000_000 + b'"\n'
    )
    target = tmp_path / "out.jsonl"
    assert score(model_folder, source, "-o", target) == 3
    found = read_jsonl(target)
    codes = [row["error"] and row["error"]["code"] for row in found]
    assert codes == [None, "bad_row", "bad_row", "not_utf8", "too_long"]
    assert "found 3" in found[1]["error"]["message"]
    # A blank line is no row.
    assert [row["id"] for row in found] == ["1", f"{source}:2", f"{source}:3", "4", "5"]


LATIN = (
    b"id,text,\xdcber,n\na1,M\xfcnster is closed.,x,5\na2,A plan.,f\xfcr,6\nf\xfcnf,A plan.,x,7\n"
)


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_a_row_that_is_no_utf8_keeps_its_id_and_columns(
    ending: str, model_folder: Path, tmp_path: Path
) -> None:
    source, target = tmp_path / "in.csv", tmp_path / f"out.{ending}"
    source.write_bytes(LATIN + b"a4,A road.,x,8\n")
    assert score(model_folder, source, "-o", target, "--keep") == 3
    if ending == "csv":
        with target.open(encoding="utf-8", newline="") as stream:
            found = list(csv.DictReader(stream))
    elif ending == "parquet":
        found = pq.read_table(target).to_pylist()
    else:
        found = read_jsonl(target)
        found = [{**row, **row["input"], "\ufffdber": row["input"]["\udcdcber"]} for row in found]
    assert [row["id"] for row in found] == ["a1", "a2", f"{source}:3", "a4"]
    assert [row["status"] for row in found] == ["error", "error", "error", "ok"]
    assert [row["n"] for row in found] == ["5", "6", "7", "8"]
    assert [row["\ufffdber"] for row in found] == ["x", "f\ufffdr", "x", "x"]


def test_columns_whose_names_are_no_utf8_are_told_apart(model_folder: Path, tmp_path: Path) -> None:
    source, target = tmp_path / "in.csv", tmp_path / "out.parquet"
    source.write_bytes(b"text,\xdc,\xd6\nA plan.,1,2\n")
    assert score(model_folder, source, "-o", target, "--keep") == 0
    (row,) = pq.read_table(target).to_pylist()
    assert (row["\ufffd"], row["input_\ufffd"]) == ("1", "2")


def test_a_parquet_row_that_is_no_utf8_keeps_its_id_and_columns(
    model_folder: Path, tmp_path: Path
) -> None:
    source, target = tmp_path / "in.parquet", tmp_path / "out.jsonl"
    texts = [b"M\xfcnster", b"A plan."]
    columns = {
        "id": pa.Array.from_buffers(pa.string(), 2, pa.array([b"a1", b"\xfc"]).buffers()),
        "text": pa.Array.from_buffers(pa.string(), 2, pa.array(texts).buffers()),
        "n": [5, 6],
    }
    pq.write_table(pa.table(columns), source)
    assert score(model_folder, source, "-o", target, "--keep") == 3
    found = read_jsonl(target)
    assert [row["id"] for row in found] == ["a1", f"{source}:2"]
    assert [row["error"]["code"] for row in found] == ["not_utf8"] * 2
    assert [row["input"] for row in found] == [{"n": 5}, {"n": 6}]


def test_a_quotation_mark_left_open_is_no_row(model_folder: Path, tmp_path: Path) -> None:
    source, target = tmp_path / "in.csv", tmp_path / "out.jsonl"
    source.write_text('id,text\n1,first\n2,"He said hello\n3,third\n', "utf-8")
    assert score(model_folder, source, "-o", target) == 3
    found = read_jsonl(target)
    assert [row["status"] for row in found] == ["ok", "error"]
    assert "left open" in found[1]["error"]["message"]


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n", "a\rb", ","])
def test_a_csv_row_is_one_row_whatever_its_values_hold(
    end: str, model_folder: Path, tmp_path: Path
) -> None:
    source = write_jsonl(tmp_path / "in.jsonl", [{"id": f"x{end}", "text": f"A plan.{end}A road."}])
    target = tmp_path / "out.csv"
    assert score(model_folder, source, "-o", target, "--unit", "segment", "--explode") == 0
    with target.open(encoding="utf-8", newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert row["id"] == f"x{end}"
    assert None not in row


def test_values_that_python_cannot_hold_are_kept_as_text(
    model_folder: Path, tmp_path: Path
) -> None:
    source, target = tmp_path / "in.parquet", tmp_path / "out.jsonl"
    far = pa.array([4_000_000], pa.int32()).cast(pa.date32())
    raw = pa.Array.from_buffers(pa.string(), 1, pa.array([b"caf\xe9"]).buffers())
    zone = pa.array([0], pa.timestamp("s", tz="Nowhere/Else"))
    columns = {"id": far, "text": pa.array(["A plan."]), "far": far, "raw": raw, "zone": zone}
    pq.write_table(pa.table(columns), source)
    assert score(model_folder, source, "-o", target, "--keep") == 0
    (row,) = read_jsonl(target)
    assert row["id"] == row["input"]["far"] == "12921-08-18"
    assert row["input"]["raw"] == "caf\ufffd"
    assert row["input"]["zone"] == "1970-01-01 00:00:00.000Z"
    assert set(row["input"]) == {"far", "raw", "zone"}


def bad_strings(texts: Sequence[bytes], kind: pa.DataType) -> pa.Array:
    return pa.Array.from_buffers(kind, len(texts), pa.array(texts).buffers())


def test_what_is_deep_in_a_value_that_python_cannot_hold_is_kept(
    model_folder: Path, tmp_path: Path
) -> None:
    source, target = tmp_path / "in.parquet", tmp_path / "out.jsonl"
    zone = pa.timestamp("us", tz="Foo/Bar")
    moments, words = pa.array([1_234_567], zone), bad_strings([b"caf\xe9"], pa.string())
    deep = pa.StructArray.from_arrays([moments, words, pa.array([5])], ["t", "k", "n"])
    offsets = pa.array([0, 1], pa.int32())
    columns = {
        "text": ["A plan."],
        "list": pa.ListArray.from_arrays(offsets, deep),
        "map": pa.MapArray.from_arrays(offsets, pa.array(["a"]), moments),
        "none": pa.array([None], deep.type),
    }
    pq.write_table(pa.table(columns), source)
    assert score(model_folder, source, "-o", target, "--keep") == 0
    when = "1970-01-01 00:00:01.234567Z"
    assert read_jsonl(target)[0]["input"] == {
        "list": [{"t": when, "k": "caf\ufffd", "n": 5}],
        "map": [["a", when]],
        "none": None,
    }


@pytest.mark.parametrize("zone", [None, "America/New_York", "UTC"])
@pytest.mark.parametrize("moment", [123_456_789_123_456_789, -1, 1_000_000_001])
def test_nanoseconds_are_written_alike_with_and_without_pandas(
    zone: str | None, moment: int
) -> None:
    item = pa.scalar(moment, pa.timestamp("ns", zone))
    assert tabular._instant(item) == item.as_py().isoformat()


def test_lengths_and_times_in_nanoseconds_are_written_alike_with_and_without_pandas() -> None:
    lengths = [0, 1, 1_000, -4_999_999_993, 90_061_500_000_000, 2**62, -1, None]
    kept = pa.array(lengths, pa.duration("ns"))
    batch = pa.record_batch({"one": kept, "many": pa.array([[{"d": n}] for n in lengths],
        pa.list_(pa.struct([("d", pa.duration("ns"))]))
    )})  # fmt: skip
    wanted = [None if item.as_py() is None else item.as_py().isoformat() for item in kept]
    assert tabular.python_rows(batch) == [{"one": w, "many": [{"d": w}]} for w in wanted]
    times = pa.record_batch({"t": pa.array([1, 3_000, None], pa.time64("ns"))})
    assert [to_json(row) for row in tabular.python_rows(times)] == [
        '{"t": "00:00:00.000000001"}', '{"t": "00:00:00.000003"}', '{"t": null}'
    ]  # fmt: skip


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_columns_that_are_no_utf8_can_be_read_from_parquet(
    kind: pa.DataType, model_folder: Path, tmp_path: Path
) -> None:
    source, target = tmp_path / "in.parquet", tmp_path / "out.parquet"
    words = bad_strings([b"caf\xe9", b"tea"], pa.string()).cast(kind)
    late = pa.array([2**62 + 1, None], pa.timestamp("us", "Foo/Bar"))  # no time of Python's
    deep = pa.StructArray.from_arrays([words, late], ["k", "t"], mask=pa.array([False, True]))
    many = pa.ListArray.from_arrays(pa.array([0, 2, 2]), words, mask=pa.array([False, True]))
    columns = {"text": ["A plan."] * 2, "word": words, "deep": deep, "many": many}
    pq.write_table(pa.table(columns), source)
    assert score(model_folder, source, "-o", target, "--keep") == 0
    found = pq.read_table(target)
    assert found.schema.field("word").type == kind
    assert found.column("word").to_pylist() == ["caf\ufffd", "tea"]
    struct = found.column("deep").combine_chunks()
    assert struct.is_null().to_pylist() == [False, True]
    assert struct.field("k")[0].as_py() == "caf\ufffd"
    assert struct.field("t").cast(pa.int64())[0].as_py() == 2**62 + 1
    assert found.column("many").to_pylist() == [["caf\ufffd", "tea"], None]


def test_a_damaged_gzip_file_is_named(
    model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = bytearray(gzip.compress(b'{"text": "A plan."}\n' * 50, mtime=0))
    source = tmp_path / "in.jsonl.gz"
    for at in range(10, len(content)):
        damaged = content.copy()
        damaged[at] ^= 1
        source.write_bytes(damaged)
        code = score(model_folder, source, "-o", tmp_path / "out.jsonl", "--overwrite")
        assert code in (0, 1, 3)
        if code == 1:
            assert f"{source}: cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize("ending", ["jsonl", "csv"])
def test_an_input_that_is_cut_short_while_it_is_read_is_named(ending: str, tmp_path: Path) -> None:
    source = tmp_path / f"in.{ending}"
    write = write_csv if ending == "csv" else write_jsonl
    write(source, [{"id": str(number), "text": "A plan. " * 500} for number in range(100)])
    records = read_records([str(source)], FieldNames())
    assert next(records).id == "0"
    os.truncate(source, 0)
    with pytest.raises(framelens.InputError, match=f"in.{ending}: expected .* cut short"):
        list(records)


def test_a_message_names_the_field_as_the_input_does(model_folder: Path, tmp_path: Path) -> None:
    source = write_jsonl(tmp_path / "in.jsonl", [{"body": 5}, {"body": None}, {}])
    target = tmp_path / "out.jsonl"
    assert score(model_folder, source, "-o", target, "--text-field", "body") == 3
    messages = [row["error"]["message"] for row in read_jsonl(target)]
    assert messages == [
        "expected 'body' to be a string, found int",
        "expected a field 'body', found none",
        "expected a field 'body', found nothing",
    ]


def test_a_table_without_a_text_column_is_refused(
    model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_csv(tmp_path / "in.csv", [{"body": "A plan."}])
    assert score(model_folder, source, "-o", tmp_path / "out.jsonl") == 1
    assert "expected a column 'text', found body" in capsys.readouterr().err
    assert not list(tmp_path.glob("out*"))
    assert score(model_folder, source, "-o", tmp_path / "out.jsonl", "--text-field", "body") == 0


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("command", ["score", "table", "report"])
def test_a_column_that_is_named_must_be_there(
    command: str,
    ending: str,
    model_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = [{"text": "A plan.", "title": "Road closed"}]
    source = tmp_path / f"in.{ending}"
    if ending == "csv":
        write_csv(source, rows)
    else:
        pq.write_table(pa.Table.from_pylist(rows), source)
    target = tmp_path / "out" / ("out.html" if command == "report" else "out.jsonl")
    words = ["report"] if command == "report" else ["score"]
    words += ["--format", "table"] if command == "table" else ["-o", str(target)]
    words += [str(source), "-m", str(model_folder)]
    for option in ("headline", "id"):
        assert main([*words, f"--{option}-field", "titel"]) == 1
        expected = f"expected a column 'titel', found text, title; name it with --{option}-field"
        assert expected in capsys.readouterr().err
    assert main([*words, "--headline-field", "title"]) == 0


@pytest.mark.parametrize(
    ("content", "advice"),
    [
        (b"id;text\n1;A plan.\n", "save it with commas between its columns"),
        (b"id\ttext\n1\tA plan.\n", "save it with commas between its columns"),
        ("id,text\n1,A plan.\n".encode("utf-16"), "save it as UTF-8"),
    ],
)
def test_what_is_no_csv_is_told_so(
    content: bytes,
    advice: str,
    model_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source = tmp_path / "in.csv"
    source.write_bytes(content)
    assert score(model_folder, source, "-o", tmp_path / "out.jsonl") == 1
    assert advice in capsys.readouterr().err


def test_pyarrow_missing_names_the_extra(
    model_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    monkeypatch.delitem(__import__("sys").modules, "framelens.tabular")
    source = write_jsonl(tmp_path / "in.jsonl", ARTICLES[:1])
    assert score(model_folder, source, "-o", tmp_path / "out.parquet") == 1
    assert "pip install 'framelens[batch]'" in capsys.readouterr().err
    assert score(model_folder, source, "-o", tmp_path / "out.csv") == 0
    table = tmp_path / "in.csv"
    table.write_text("text,paper\nRain fell.,Courier\n", "utf-8")
    assert score(model_folder, table, "--keep", "-o", tmp_path / "out.parquet") == 1
    assert "pip install 'framelens[batch]'" in capsys.readouterr().err


def test_duplicates_are_scored_once(model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from framelens.network import Network

    scorer = framelens.load(model_folder)
    calls: list[object] = []
    network = Network.read

    def counted(self: Network, window: Any, *, embeddings: bool) -> Any:
        calls.append(window)
        return network(self, window, embeddings=embeddings)

    monkeypatch.setattr(Network, "read", counted)
    text = ARTICLES[3]["text"]
    first, *others = scorer.score_many([{"text": text, "id": "same"}] * 5)
    assert len(calls) == 1
    assert all(other == first for other in others)


def test_the_summary_counts_what_was_written(model_folder: Path, tmp_path: Path) -> None:
    source = write_jsonl(tmp_path / "in.jsonl", [*ARTICLES, "{bad", {"text": 5}])
    target, summary = tmp_path / "out.jsonl", tmp_path / "summary.json"
    assert score(model_folder, source, "-o", target, "--summary", summary) == 3
    found = json.loads(summary.read_text("utf-8"))
    segments = [s for row in read_jsonl(target) for s in row["segments"]]
    assert found["documents"] == 42
    assert found["errors"] == {"bad_text": 1, "not_json": 1}
    assert found["segments"] == len(segments)
    assert found["labels"]["framed"] == sum(s["label"] == "framed" for s in segments)
    assert found["documents_per_second"] > 0
    assert found["interrupted"] is False


@pytest.mark.parametrize(
    ("output", "summary", "says"),
    [
        ("out.jsonl", "in.jsonl", "give another --summary"),
        ("out.jsonl", "link.jsonl", "give another --summary"),
        ("out.jsonl", "out.jsonl", "expected a summary apart from the output"),
        ("out.jsonl", "./out.jsonl", "expected a summary apart from the output"),
        ("out.jsonl", "out.jsonl.partial/s.json", "expected a summary apart from the output"),
        ("out/", "out/part-00000.jsonl", "expected a summary apart from the output"),
        ("out/", "out/_SUCCESS", "expected a summary apart from the output"),
        ("out.jsonl", "none/s.json", "expected a file in a directory"),
        ("out/", "out/none/s.json", "expected a file in a directory"),
        ("-", "none/s.json", "expected a file in a directory"),
        ("out.jsonl", "folder", "expected a file in a directory"),
    ],
)
def test_a_summary_is_refused_before_the_run(
    output: str,
    summary: str,
    says: str,
    model_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    source = write_jsonl(tmp_path / "in.jsonl", ARTICLES[:1])
    (tmp_path / "link.jsonl").symlink_to("in.jsonl")
    (tmp_path / "folder").mkdir()
    assert score(model_folder, source, "-o", output, "--summary", summary) == 1
    assert says in capsys.readouterr().err
    assert read_jsonl(source) == ARTICLES[:1]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder", "in.jsonl", "link.jsonl"]


@pytest.mark.parametrize(
    ("output", "summary", "found"),
    [
        ("new/out.jsonl", "new/s.json", ["new/out.jsonl", "new/s.json"]),
        ("new/deep/out.jsonl", "new/s.json", ["new/deep/out.jsonl", "new/s.json"]),
        ("out/", "out/s.json", ["out/_SUCCESS", "out/part-00000.jsonl", "out/s.json"]),
        ("out.jsonl", "link.json", ["out.jsonl", "real.json"]),
        ("out.jsonl", os.devnull, ["out.jsonl"]),
    ],
)
def test_a_summary_stands_where_it_was_asked_for(
    output: str,
    summary: str,
    found: list[str],
    model_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    source = write_jsonl(tmp_path / "in.jsonl", ARTICLES[:1])
    link = tmp_path / "link.json"
    link.symlink_to("real.json")
    assert score(model_folder, source, "-o", output, "--summary", summary) == 0
    files = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
    assert (
        sorted(files - {"in.jsonl", "link.json", "out/_manifest.json", "out/_journal.jsonl"})
        == found
    )
    assert link.is_symlink()
    if summary != os.devnull:
        assert json.loads((tmp_path / summary).read_bytes())["documents"] == 1


def test_errors_can_stop_a_run(
    model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_jsonl(tmp_path / "in.jsonl", [*ARTICLES[:4], "{bad", "{worse", ARTICLES[5]])
    target = tmp_path / "out.jsonl"
    assert score(model_folder, source, "-o", target, "--on-error", "stop") == 1
    assert f"{source}:5: not_json" in capsys.readouterr().err
    assert not target.exists()
    assert score(model_folder, source, "-o", target, "--max-errors", 1, "--resume") == 1
    assert not target.exists()
    assert score(model_folder, source, "-o", target, "--max-errors", 2, "--resume") == 3
    assert len(read_jsonl(target)) == 7


def test_a_summary_never_tells_of_an_earlier_run(model_folder: Path, tmp_path: Path) -> None:
    source = write_jsonl(tmp_path / "in.jsonl", [*ARTICLES[:4], "{bad", ARTICLES[5]])
    target, summary = tmp_path / "out.jsonl", tmp_path / "summary.json"
    options = ("-o", target, "--summary", summary)
    assert score(model_folder, source, *options) == 3
    assert "stopped" not in json.loads(summary.read_bytes())
    assert score(model_folder, source, *options, "--on-error", "stop", "--part-rows", 2) == 1
    found = json.loads(summary.read_bytes())
    assert (found["documents"], found["errors"]) == (5, {"not_json": 1})
    assert f"{source}:5: not_json" in found["stopped"]
    assert score(model_folder, source, *options) == 1  # the parts are those of another run
    assert not summary.exists()
    summary.write_text("old", "utf-8")
    assert score(tmp_path / "none", source, *options) == 4
    assert not summary.exists()


@pytest.mark.parametrize("target", ["out.jsonl", "out/", "-"])
def test_texts_with_markup_are_told_once(
    target: str, model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = ["<p>A plan.</p>", "A plan.<BR/>A road.", "A <b>plan</b>, 1 < 2.", "<div>A plan.</div>"]
    source = write_jsonl(tmp_path / "in.jsonl", [{"text": text} for text in texts] + [{}])
    output = target if target == "-" else f"{tmp_path}/{target}"
    assert main(["score", str(source), "-o", output, "-m", str(model_folder)]) == 3
    told = capsys.readouterr().err.splitlines()
    assert [line for line in told if "HTML" in line] == told[-1:]
    assert "found HTML in 3 of them" in told[-1]
    assert score(model_folder, source, "-o", f"{tmp_path}/quiet.jsonl") == 3
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("name", ["out.ndjson", "out.v2/"])
def test_other_outputs_are_jsonl(name: str, model_folder: Path, tmp_path: Path) -> None:
    source = write_jsonl(tmp_path / "in.jsonl", ARTICLES[:1])
    assert score(model_folder, source, "-o", f"{tmp_path}/{name}") == 0
    path = tmp_path / name
    (row,) = read_jsonl(path / "part-00000.jsonl" if path.is_dir() else path)
    assert row["id"] == "a0"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--resume"],
        ["-o", "x.jsonl", "--resume", "--overwrite"],
        ["--format", "parquet"],
        ["-o", os.devnull, "--format", "parquet"],
        ["-o", os.devnull, "--resume"],
        ["-o", "x.jsonl", "--format", "table"],
        ["--max-seconds", "0"],
        ["--workers", "0"],
        ["--workers", "many"],
        ["--threads", "1234567890"],
        ["--part-rows", "1" + "0" * 5000],
        ["-o", "x.csv.gz"],
        ["-o", "x.tsv"],
        ["-o", "x.pq"],
        ["-o", "x.xlsx"],
        ["-o", "x.html"],
        ["-o", "x.txt"],
        ["-o", "x.json"],
        ["-o", "x"],
        ["--summary", "-"],
        ["-o", ""],
        ["--summary", ""],
        ["--format", "table", "--summary", "s.json"],
        ["--format", "table", "--max-errors", "1"],
        ["--on-error", "stop", "--max-errors", "1"],
    ],
)
def test_usage_errors(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["score", "in.jsonl", *arguments])
    assert stopped.value.code == 2


@pytest.mark.parametrize(
    ("stream", "arguments"),
    [("stdin", ["score", "-"]), ("stdout", ["score", "in.jsonl"]), ("stdout", ["info"])],
)
def test_a_closed_stream_that_is_needed_is_told(
    stream: str,
    arguments: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, stream, None)
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert "is closed" in capsys.readouterr().err


def test_what_lies_beside_a_runs_parts_is_left_alone(
    model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_jsonl(tmp_path / "in.jsonl", [{"text": "A plan."}, {}])
    target = tmp_path / "out"
    options = ("-o", f"{target}/", "--summary", target / "summary.json")
    assert score(model_folder, source, *options) == 3
    (target / "notes.txt").write_text("mine", "utf-8")
    (target / "summary.json").write_text("old", "utf-8")
    assert score(model_folder, source, *options) == 1
    assert "start again with --overwrite" in capsys.readouterr().err
    assert score(model_folder, source, *options, "--overwrite") == 3
    assert (target / "notes.txt").read_text("utf-8") == "mine"
    assert json.loads((target / "summary.json").read_text("utf-8"))["documents"] > 0


def test_what_lies_beside_the_parts_of_a_file_is_left_alone(
    model_folder: Path, tmp_path: Path
) -> None:
    source = write_jsonl(tmp_path / "in.jsonl", [{"text": "A plan."}, {}])
    target, partial = tmp_path / "out.jsonl", tmp_path / "out.jsonl.partial"
    options = ("-o", target, "--part-rows", 1)
    assert score(model_folder, source, *options, "--on-error", "stop") == 1
    (partial / "notes").mkdir()
    (partial / "notes.txt").write_text("mine", "utf-8")
    assert score(model_folder, source, *options, "--overwrite") == 3
    assert len(read_jsonl(target)) == 2
    assert sorted(path.name for path in partial.iterdir()) == ["notes", "notes.txt"]


class CountingPool:
    """Answers each job at once with a body of its own, and counts them."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.taken = 0
        self.ends = 0

    def add(self, job: Job) -> None:
        self.jobs.append(job)
        self.taken += 1

    def no_more(self) -> None:
        self.ends += 1

    def poll(self, timeout: float) -> list[tuple[int, Answer]]:
        job = self.jobs.pop(0)
        text = str((job.row or {})["text"])
        return [(job.number, Answer(None, 1, {"plain": 1}, dumps({"text": text, "é": "\ud800"})))]

    def close(self) -> None:
        self.jobs.clear()


@pytest.mark.parametrize(
    ("allowed", "scored", "length"), [(10**6, 40, 1), (5 * 700, 80, 1), (10**6, 40, 200)]
)
def test_answers_kept_for_duplicates_are_the_same_and_bounded(
    allowed: int, scored: int, length: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("framelens.in_order._REMEMBERED_BYTES", allowed)
    pool = CountingPool()
    texts = [f"Road {number} was closed. " * length for number in range(40)] * 2
    records = (Record(str(n), {"text": text}) for n, text in enumerate(texts))
    settings = Settings(tmp_path, ModelInfo("m", "1", "0"), Limits())
    answers = InOrder(records, pool, settings, ahead=1, tick=lambda: None)
    bodies = [answer.body for _, answer in answers]
    assert bodies[:40] == bodies[40:]
    assert [json.loads(body)["text"] for body in bodies] == texts
    assert pool.taken == scored
    assert pool.ends == 1
    assert answers._remembered_bytes <= allowed
