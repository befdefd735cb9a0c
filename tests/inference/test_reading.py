"""Reading what is to be scored, without scoring it."""

from __future__ import annotations

import datetime
import errno
import json
import math
import os
import uuid
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from framelens import reading
from framelens.errors import InputError
from framelens.input_files import expand_inputs
from framelens.reading import Position, read_records
from framelens.records import FieldNames, record_of, to_json
from framelens.run_files import is_earlier_output


def test_kept_values_become_json_that_every_parser_reads() -> None:
    value = {
        "share": 0.25,
        "none": math.nan,
        "deep": [math.inf, 2.5, {"x": -math.inf}],
        "raw": b"\x00\xff",
        "day": datetime.date(2024, 5, 1),
        "name": "caf\u00e9",
    }
    assert json.loads(to_json(value), parse_constant=pytest.fail) == {
        "share": 0.25,
        "none": None,
        "deep": [None, 2.5, {"x": None}],
        "raw": "AP8=",
        "day": "2024-05-01",
        "name": "caf\u00e9",
    }
    assert "caf\u00e9" in to_json(value)
    assert json.loads(to_json({"name": "\ud800"})) == {"name": "\ud800"}
    assert to_json({"name": "\ud800"}).isascii()


def test_a_number_too_long_to_read_is_an_error_row(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text(f'{{"text": {"9" * 5000}}}\n{{"text": "A plan."}}\n', "utf-8")
    first, second = read_records([str(path)], FieldNames())
    assert first.error is not None
    assert first.error.code == "not_json"
    assert first.id == f"{path}:1"
    assert second.row == {"text": "A plan.", "headline": None}


def test_how_far_the_reading_has_come(tmp_path: Path) -> None:
    names = []
    for name in ("a.jsonl", "b.csv"):
        path = tmp_path / name
        line = "text\n" if name == "b.csv" else ""
        path.write_text(line + '"A plan."\n' * 4, "utf-8")
        names.append(str(path))
    position = Position()
    assert position.fraction is None
    found = [position.fraction for _ in read_records(names, FieldNames(), position=position)]
    assert len(found) == 8
    known = [fraction for fraction in found if fraction is not None]
    assert known == sorted(known)
    assert len(known) == 8
    assert 0 < known[0] < known[4] <= 1
    assert position.fraction == 1.0


@pytest.mark.parametrize("ending", ["txt", "html", "jsonl"])
def test_what_is_too_long_is_an_error_row(
    ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = b'{"text": "A plan."}\n'
    monkeypatch.setattr(reading, "MAX_ROW_BYTES", len(row))
    codes = []
    for name, content in (("exact", row), ("over", b" " + row)):
        path = tmp_path / f"{name}.{ending}"
        path.write_bytes(content)
        (found,) = read_records([str(path)], FieldNames())
        codes.append(found.error.code if found.error else None)
        assert (found.row is None and found.page is None) is (found.error is not None)
    assert codes == [None, "too_long"]


def test_what_runs_keep_for_themselves_is_no_input(tmp_path: Path) -> None:
    for name in ("a.jsonl", "_journal.jsonl", "b.jsonl.partial/part-00000.jsonl"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text('{"text": "A plan."}\n', "utf-8")
    for given in (str(tmp_path), f"{tmp_path}/*.jsonl"):
        assert expand_inputs([given]) == [str(tmp_path / "a.jsonl")]


@pytest.mark.parametrize("given", ["rows", "rows/**/*.jsonl"])
def test_what_a_directory_or_pattern_holds_and_cannot_be_read_is_told(
    given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.jsonl", "closed/b.jsonl", ".hidden/c.jsonl"):
        path = Path("rows") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('{"text": "A plan."}\n', "utf-8")
    Path("rows/gone.jsonl").symlink_to("none.jsonl")
    Path("rows/gone.md").symlink_to("none.md")
    Path("rows/loop.jsonl").symlink_to("loop.jsonl")
    scandir = os.scandir

    def refused(path: str) -> Any:
        if Path(path).name in ("closed", ".hidden"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refused)
    with pytest.raises(InputError) as raised:
        expand_inputs([given])
    assert str(raised.value).split("; ") == [
        f"{Path('rows/closed')}: found a directory that cannot be listed",
        f"{Path('rows/gone.jsonl')}: found a file that cannot be reached",
        f"{Path('rows/loop.jsonl')}: found a file that cannot be reached",
    ]
    with pytest.raises(InputError, match=r"loop\.jsonl: found a file that cannot be reached"):
        expand_inputs([given], partial(is_earlier_output, target=Path("out.jsonl")))


def test_a_pattern_lists_only_the_directories_that_it_searches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = tmp_path / "home/shared"
    shared.mkdir(parents=True)
    (shared / "a.jsonl").write_text('{"text": "A plan."}\n', "utf-8")
    scandir = os.scandir

    def refused(path: str) -> Any:
        if Path(path).name == "home":  # which may be entered
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refused)
    assert expand_inputs([f"{shared}/*.jsonl"]) == [str(shared / "a.jsonl")]


def test_parts_of_a_run_that_was_cut_short_are_read_one_by_one_alone(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    part = folder / "part-00000.jsonl"
    part.write_text('{"text": "A plan."}\n', "utf-8")
    (folder / "_manifest.json").write_text('{"framelens": "0.1.0"}', "utf-8")
    for given in (folder, tmp_path, folder / "*.jsonl"):
        with pytest.raises(InputError, match="has not come to its end"):
            expand_inputs([str(given)])
    assert expand_inputs([str(part)]) == [str(part)]
    (folder / "own.jsonl").write_text('{"text": "A plan."}\n', "utf-8")
    assert expand_inputs([str(folder / "own*")]) == [str(folder / "own.jsonl")]
    (folder / "own.jsonl").unlink()
    (folder / "_SUCCESS").write_text("{}", "utf-8")
    assert expand_inputs([str(folder)]) == [str(part)]
    (folder / "_SUCCESS").unlink()
    (folder / "_manifest.json").write_text("[]", "utf-8")  # another program's
    assert expand_inputs([str(folder)]) == [str(part)]


def test_an_empty_value_of_csv_is_none(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text("id,headline,text\n,,A plan.\n", "utf-8")
    (found,) = read_records([str(path)], FieldNames())
    assert found.id == f"{path}:1"
    assert found.row == {"text": "A plan.", "headline": None}


@pytest.mark.parametrize("content", ["", "\ufeff", "\n", "\r\n\r\n"])
def test_an_empty_csv_file_has_no_rows(content: str, tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text(content, "utf-8", newline="")
    assert list(read_records([str(path)], FieldNames())) == []
    path.write_text(f"{content}text\nA plan.\n", "utf-8", newline="")
    (found,) = read_records([str(path)], FieldNames())
    assert (found.id, found.row) == (f"{path}:1", {"text": "A plan.", "headline": None})


UUID = uuid.UUID(int=5)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a1", "a1"),
        ("", ""),
        (b"caf\xc3\xa9", "caf\u00e9"),
        (7, "7"),
        (np.int64(7), "7"),
        (7.0, "7"),
        (np.float32(7.5), "7.5"),
        (2.5, "2.5"),
        (1e300, "1e+300"),
        (Decimal("1.50"), "1.50"),
        (UUID, str(UUID)),
        (datetime.date(2024, 5, 1), "2024-05-01"),
        (datetime.datetime(2024, 5, 1, 10, tzinfo=datetime.UTC), "2024-05-01 10:00:00+00:00"),
        (b"\xff", None),
        (True, None),
        (["a"], None),
        ({"$oid": "a"}, None),
        pytest.param(10**5000, None, id="digits"),
    ],
)
def test_an_id_is_a_string_a_number_or_a_date(value: Any, expected: str | None) -> None:
    row = {"id": value, "text": "A plan.", "n": 1}
    found = record_of(row, "in:1", FieldNames(), "json")
    assert found.kept == '{"n": 1}'
    if expected is not None:
        assert (found.id, found.error) == (expected, None)
        return
    assert found.error is not None
    assert (found.id, found.error.code) == ("in:1", "bad_id")


def test_standard_input_is_read_once() -> None:
    assert expand_inputs(["-"]) == ["-"]
    with pytest.raises(InputError, match="expected standard input once"):
        expand_inputs(["-", "-"])


def test_what_a_category_chooses_from_is_not_counted_in_every_row(tmp_path: Path) -> None:
    authors = pa.array([f"author {number}" for number in range(1000)]).dictionary_encode()
    path = tmp_path / "in.parquet"
    pq.write_table(pa.table({"text": ["A road was closed."] * 1000, "author": authors}), path)
    record = next(read_records([str(path)], FieldNames(), keep="cells"))
    assert 0 < record.kept_size < 100
