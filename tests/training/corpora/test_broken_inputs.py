"""Broken inputs, one by one: each is told with file, row, expected, found and mend."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from framelens.features import Featurizer
from framelens_training.corpora.fixing import fix
from framelens_training.corpora.inputs import read_inputs
from framelens_training.corpora.report import check

TEXT = "The mayor said the bridge is safe. It opened on Monday."
GOOD: dict[str, Any] = {
    "id": "a",
    "text": TEXT,
    "annotated": ["attributed", "attribution_spans"],
    "segments": [
        {"field": "text", "start": 0, "end": 34, "attributed": True},
        {"field": "text", "start": 35, "end": 55, "attributed": False},
    ],
    "spans": [
        {"field": "text", "type": "source", "start": 0, "end": 9},
        {"field": "text", "type": "cue", "start": 10, "end": 14},
        {"field": "text", "type": "content", "start": 15, "end": 33},
    ],
}
OTHER = {**GOOD, "id": "b", "text": TEXT.replace("bridge", "dam   ").replace("mayor", "Mayor")}


def _with(**changes: Any) -> dict[str, Any]:
    return {**copy.deepcopy(GOOD), **changes}


def _line(row: object) -> bytes:
    return json.dumps(row, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n"


def _rows(*rows: object) -> bytes:
    return b"".join(map(_line, rows))


def _moved(by: int) -> dict[str, Any]:
    row = copy.deepcopy(GOOD)
    for item in row["segments"][1:] + row["spans"]:
        item["start"] += by
        item["end"] += by
    row["segments"][1]["end"] = min(row["segments"][1]["end"], 55)
    return row


def _sentence(id: str, text: str, framed: bool) -> dict[str, Any]:
    segment = {"field": "text", "start": 0, "end": len(text), "framed": framed}
    return {"id": id, "text": text, "annotated": ["framed"], "segments": [segment]}


@dataclass(frozen=True)
class Case:
    """Files by name; what must be found where; and words that the finding must have in it."""

    files: Mapping[str, bytes]
    code: str
    where: str
    found: str
    severity: str = "error"


TWICE = TEXT + " It was the third attempt in as many years, and the cheapest of them so far."
LONG = "The road is closed. " * 60
CASES: dict[str, Case] = {
    "shifted span offsets": Case(
        {"train.jsonl": _rows(_moved(1))}, "shifted-offsets", "train.jsonl:1", "cut"
    ),
    "offsets beyond the text": Case(
        {"train.jsonl": _rows(OTHER, _with(spans=[{**GOOD["spans"][0], "end": 56}]))},
        "offsets", "train.jsonl:2", "0..56 in spans[0]",
    ),
    "an end before its start": Case(
        {"train.jsonl": _rows(_with(spans=[{**GOOD["spans"][0], "end": -3}]))},
        "offsets", "train.jsonl:1", "0..-3 in spans[0]",
    ),
    "offsets that are floats": Case(
        {"train.jsonl": _rows(_with(spans=[{**GOOD["spans"][0], "end": 9.0}]))},
        "wrong-type", "train.jsonl:1", "9.0",
    ),
    "offsets counted without a byte-order mark": Case(
        {"train.jsonl": _rows(_with(text="\ufeff" + TEXT))},
        "byte-order-mark", "train.jsonl:1", "byte-order marks", "warning",
    ),
    "CRLF in a text": Case(
        {"train.jsonl": _rows(_with(text=TEXT.replace(". ", ".\r\n")))},
        "carriage-return", "train.jsonl:1", "carriage returns", "warning",
    ),
    "a byte-order mark before the file": Case(
        {"train.jsonl": b"\xef\xbb\xbf" + _rows(GOOD)},
        "byte-order-mark", "train.jsonl:1", "one", "warning",
    ),
    "UTF-16": Case(
        {"train.csv": "text,label\nA line,plain\n".encode("utf-16")},
        "encoding", "train.csv:1", "UTF-16",
    ),
    "one row in another encoding": Case(
        {"train.csv": "text,label\nA café,plain\n".encode()
                      + "A café again,plain\n".encode("cp1252")},
        "encoding", "train.csv:3", "0xe9",
    ),
    "one line of JSONL in another encoding": Case(
        {"train.jsonl": _rows(OTHER) + _line(_with(outlet="Café")).decode().encode("cp1252")},
        "encoding", "train.jsonl:2", "0xe9",
    ),
    "text decoded twice": Case(
        {"train.jsonl": _rows(_with(text=TEXT.replace("is safe", "isnâ€™t")))},
        "mojibake", "train.jsonl:1", "Windows-1252", "warning",
    ),
    "half a surrogate pair": Case(
        {"train.jsonl": b'{"id": "a", "text": "Rain \\ud83d fell."}\n'},
        "encoding", "train.jsonl:1", "surrogate",
    ),
    "a span over a sentence end": Case(
        {"train.jsonl": _rows(_with(spans=[{**GOOD["spans"][2], "end": 44}]))},
        "span-over-segments", "train.jsonl:1", "goes on into text[35:55]", "warning",
    ),
    "a span outside every segment": Case(
        {"train.jsonl": _rows(_with(segments=GOOD["segments"][1:]))},
        "unreachable-span", "train.jsonl:1", "'The mayor': outside", "warning",
    ),
    "overlapping segments": Case(
        {"train.jsonl": _rows(_with(segments=[*GOOD["segments"], GOOD["segments"][0]]))},
        "overlapping-segments", "train.jsonl:1", "segments text[0:34] and text[0:34]",
    ),
    "overlapping spans": Case(
        {"train.jsonl": _rows(_with(spans=[GOOD["spans"][0], {**GOOD["spans"][1], "start": 5}]))},
        "overlapping-spans", "train.jsonl:1", "source text[0:9] and cue text[5:14]",
    ),
    "furniture that is framed": Case(
        {"train.jsonl": _rows(_with(segments=[
            {"field": "text", "start": 0, "end": 34, "boilerplate": True, "framed": True}]))},
        "furniture-with-a-voice", "train.jsonl:1", "boilerplate and attributed or framed",
    ),
    "an empty segment": Case(
        {"train.jsonl": _rows(_with(segments=[{"field": "text", "start": 34, "end": 35}]))},
        "empty-segment", "train.jsonl:1", "text[34:35]",
    ),
    "an over-long segment": Case(
        {"train.jsonl": _rows(_sentence("a", LONG.strip(), False))},
        "over-long-segment", "train.jsonl:1", "in text[0:1199]", "warning",
    ),
    "duplicated ids": Case(
        {"train.jsonl": _rows(GOOD, OTHER, GOOD)},
        "duplicate-id", "train.jsonl:3", "train.jsonl:1",
    ),
    "duplicated ids in two files": Case(
        {"train.jsonl": _rows(GOOD), "test.jsonl": _rows({**OTHER, "id": "a"})},
        "duplicate-id", "test.jsonl:1", "train.jsonl:1",
    ),
    "contradicting duplicates": Case(
        {"train.csv": b"text,label\nIt was a circus.,framed\nIt was  a CIRCUS,plain\n"},
        "contradicting-labels", "train.csv:3", "False, and True at",
    ),
    "labels that only marks decide": Case(
        {"train.csv": "text,label\nA ‘free’ ferry.,framed\nA free ferry.,plain\n".encode()},
        "marks-decide", "train.csv:3", "False, and True at", "warning",
    ),
    "labels that are NaN": Case(
        {"train.csv": b"text,label\nRain fell.,\n"}, "bad-label", "train.csv:2", "nothing"
    ),
    "labels written as nan": Case(
        {"train.csv": b"text,label\nRain fell.,nan\n"}, "bad-label", "train.csv:2", "'nan'"
    ),
    "a label column of integers": Case(
        {"train.csv": b"text,label\nRain fell.,1\n"}, "bad-label", "train.csv:2", "'1'"
    ),
    "a label in capitals": Case(
        {"train.csv": b"text,label\nRain fell.,Plain\n"}, "bad-label", "train.csv:2", "'Plain'"
    ),
    "no label column": Case(
        {"train.csv": b"sentence,class\nRain fell.,plain\n"},
        "columns", "train.csv:1", "'sentence', 'class'",
    ),
    "empty columns of a spreadsheet": Case(
        {"train.csv": b"text,label,,\nRain fell.,plain,,\n"}, "columns", "train.csv:1", "'' twice"
    ),
    "a comma outside quotation marks": Case(
        {"train.csv": b"text,label\nRain, again,plain\n"}, "columns", "train.csv:2", "3"
    ),
    "a quotation mark that is never closed": Case(
        {"train.csv": b'text,label\nCalm.,plain\n"Rain fell.,plain\nSun.,plain\n'},
        "unreadable", "train.csv:3", "unexpected end of data",
    ),
    "10 MB in one cell": Case(
        {"train.csv": b"text,label\nCalm.,plain\n" + b"x" * 10_000_000 + b",plain\n"},
        "over-long-document", "train.csv:3", "10,000,000",
    ),
    "a weight above 1": Case(
        {"train.csv": b"text,label,weight\nRain fell.,plain,70\n"},
        "bad-weight", "train.csv:2", "'70'",
    ),
    "a label that contradicts its axis": Case(
        {"train.csv": b"text,label,framed\nRain fell.,plain,true\n"},
        "bad-framed", "train.csv:2", "'true'",
    ),
    "an article in two splits": Case(
        {"train.jsonl": _rows(_with(meta={"group": "bridge"})),
         "test.jsonl": _rows({**OTHER, "meta": {"group": "bridge"}})},
        "group-in-two-splits", "test.jsonl:1", "'bridge' in test and",
    ),
    "a link in two splits": Case(
        {"train.jsonl": _rows(_with(url="news.example/1")),
         "validation.jsonl": _rows({**OTHER, "url": "news.example/1"})},
        "link-in-two-splits", "validation.jsonl:1", "'news.example/1'",
    ),
    "a text in two splits": Case(
        {"train.jsonl": _rows(GOOD), "test.jsonl": _rows({**GOOD, "id": "z"})},
        "text-in-two-splits", "test.jsonl:1", "the same words as",
    ),
    "nearly the same text in two splits": Case(
        {"train.jsonl": _rows(_sentence("a", TWICE, False)),
         "test.jsonl": _rows(_sentence("z", TWICE.replace("third", "fifth"), False))},
        "near-duplicate-across-splits", "test.jsonl:1", "of the same shingles", "warning",
    ),
    "not JSON": Case(
        {"train.jsonl": _rows(GOOD) + b"{'id': 'b'}\n"}, "unreadable", "train.jsonl:2", "property"
    ),
    "NaN in JSON": Case(
        {"train.jsonl": b'{"id": "a", "text": NaN}\n'}, "unreadable", "train.jsonl:1", "NaN"
    ),
    "a key twice": Case(
        {"train.jsonl": b'{"id": "a", "text": "A", "text": "B"}\n'},
        "unreadable", "train.jsonl:1", "'text' twice",
    ),
    "an unknown key": Case(
        {"train.jsonl": _rows(_with(label="plain"))}, "unknown-key", "train.jsonl:1", "'label'"
    ),
    "a text that is a number": Case(
        {"train.jsonl": _rows(_with(text=7))}, "wrong-type", "train.jsonl:1", "int"
    ),
    "an answer that is a word": Case(
        {"train.jsonl": _rows(_with(segments=[{**GOOD["segments"][0], "attributed": "yes"}]))},
        "wrong-type", "train.jsonl:1", "'yes'",
    ),
    "an unknown lean": Case(
        {"train.jsonl": _rows(_with(lean="far left"))}, "wrong-type", "train.jsonl:1", "'far left'"
    ),
    "answers that nobody annotated": Case(
        {"train.jsonl": _rows(_with(annotated=["attributed"]))},
        "not-annotated", "train.jsonl:1", "3 such spans", "warning",
    ),
    "an empty document": Case(
        {"train.jsonl": _rows(_with(text="  ", segments=[], spans=[]))},
        "empty-document", "train.jsonl:1", "neither",
    ),
    "an empty id": Case(
        {"train.jsonl": _rows(_with(id=""))}, "empty-id", "train.jsonl:1", "''"
    ),
    "a cut gzip file": Case(
        {"train.jsonl.gz": b"\x1f\x8b\x08\x00"}, "unreadable", "train.jsonl.gz:1", ""
    ),
    "a Parquet file that is none": Case(
        {"train.parquet": b"PAR0"}, "unreadable", "train.parquet:1", ""
    ),
    "JSON that Label Studio did not write": Case(
        {"train.json": b'[{"text": "A line."}]'}, "unreadable", "train.json:1", "A line."
    ),
    "brat marks that were counted in another text": Case(
        {"train/a.txt": b"A late rain fell.", "train/a.ann": b"T1\tSource 2 6\train\n"},
        "shifted-offsets", "a.ann:1", "'late'",
    ),
    "brat marks without their text": Case(
        {"train/a.ann": b"T1\tSource 2 6\train\n"}, "missing-file", "a.ann:1", "no such file"
    ),
    "an unclosed span in markup": Case(
        {"train.markup": b"#id: a\n\n-| {s|She said.\n"},
        "unreadable", "train.markup:3", "never closed",
    ),
}  # fmt: skip


def _write(files: Mapping[str, bytes], folder: Path) -> list[str]:
    names: dict[str, None] = {}
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        names[str(folder / Path(name).parts[0])] = None
    return list(names)


@pytest.mark.parametrize("name", CASES)
def test_a_broken_input_is_told(name: str, tmp_path: Path, featurizer: Featurizer) -> None:
    case = CASES[name]
    parts = read_inputs(_write(case.files, tmp_path), None)
    report = check(parts, featurizer)
    found = [f for f in report.findings if f.code == case.code and f.where.endswith(case.where)]
    assert found, [str(f) for f in report.findings]
    assert case.found in found[0].found
    assert found[0].severity == case.severity
    assert all((f.expected and f.found and f.mend) for f in report.findings)
    assert report.exit_code == (1 if report.of("error") else 3)
    assert str(found[0]) in report.to_text(everything=True)


@pytest.mark.parametrize("name", CASES)
def test_a_broken_input_can_be_cleaned(name: str, tmp_path: Path, featurizer: Featurizer) -> None:
    parts = read_inputs(_write(CASES[name].files, tmp_path), None)
    cleaned, fixes = fix(parts, featurizer)
    assert [str(f) for f in check(cleaned, featurizer).of("error")] == []
    before = sum(len(part.located) for part in parts)
    after = sum(len(part.located) for part in cleaned)
    dropped = [item for item in fixes if item.action == "dropped" and item.id]
    assert len(dropped) == before - after
    assert all(item.where and item.why for item in fixes)
    if CASES[name].severity == "error":
        assert fixes


def test_the_good_rows_have_no_finding_but_their_scarcity(
    tmp_path: Path, featurizer: Featurizer
) -> None:
    parts = read_inputs(_write({"train.jsonl": _rows(GOOD, OTHER)}, tmp_path), None)
    report = check(parts, featurizer)
    assert {f.code for f in report.findings} <= {"class-balance", "near-duplicate"}
