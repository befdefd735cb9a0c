from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from framelens_training.corpora.findings import findings_of
from framelens_training.corpora.labelled import (
    CorpusError,
    Problem,
    digest,
    parse_document,
    read_jsonl,
    write_jsonl,
)

ROW: dict[str, Any] = {
    "id": "d1",
    "headline": "Road closed",
    "text": "The mayor said the road was closed.",
    "lean": "left",
    "annotated": ["attributed", "framed", "attribution_spans"],
    "segments": [
        {"field": "headline", "start": 0, "end": 11, "attributed": False},
        {
            "field": "text",
            "start": 0,
            "end": 35,
            "attributed": True,
            "weights": {"attributed": 0.5},
        },
    ],
    "spans": [
        {"field": "text", "type": "source", "start": 0, "end": 9},
        {"field": "text", "type": "cue", "start": 10, "end": 14},
    ],
}


def changed(**changes: Any) -> dict[str, Any]:
    return {**json.loads(json.dumps(ROW)), **changes}


def segment(**changes: Any) -> dict[str, Any]:
    return {"field": "text", "start": 0, "end": 35, **changes}


def test_a_row_is_read_and_written_back(tmp_path: Path) -> None:
    document, problems = parse_document(ROW, "here")
    assert not problems
    assert document is not None
    assert document.segment_text(document.segments[1]) == ROW["text"]
    assert document.segments[1].weights == {"attributed": 0.5}
    path = tmp_path / "rows.jsonl"
    write_jsonl([document], path)
    assert read_jsonl(path) == [document]
    assert digest(read_jsonl(path)) == digest([document])


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ([], "expected a JSON object, found list"),
        (changed(id=None), "'id' is required"),
        (changed(text=7), "'text' is required and must be a string, found int"),
        (changed(lean="far"), "'lean' must be one of left, center, right, found 'far'"),
        (changed(labels=[]), "unknown key 'labels'"),
        (changed(annotated=["tone"]), "'annotated' holds 'tone'"),
        (changed(annotated="framed"), "'annotated' must be a list"),
        (changed(segments={}), "'segments' must be a list"),
        (changed(segments=[segment(end=36)]), "offsets 0..36 are out of range"),
        (changed(segments=[segment(start=-1)]), "out of range"),
        (changed(segments=[segment(start=5, end=5)]), "out of range"),
        (changed(segments=[segment(start="0")]), "'start' must be an integer, found '0'"),
        (changed(segments=[segment(start=True)]), "'start' must be an integer"),
        (changed(segments=[segment(field="body")]), "'field' must be 'headline' or 'text'"),
        (changed(segments=[segment(framed="yes")]), "'framed' must be true, false or null"),
        (changed(segments=[segment(biased=True)]), "unknown label 'biased'"),
        (changed(segments=[segment(weights={"framed": 2})]), "'weights' must be a mapping of axes"),
        (changed(segments=[segment(), segment(start=3)]), "overlap; expected disjoint segments"),
        (changed(segments=[segment(boilerplate=True, framed=True)]), "page furniture has no voice"),
        (changed(spans=[{"field": "text", "type": "bias", "start": 0, "end": 3}]), "found 'bias'"),
        (
            changed(
                spans=[
                    {"field": "text", "type": "source", "start": 0, "end": 9},
                    {"field": "text", "type": "content", "start": 8, "end": 14},
                ]
            ),
            "at most one of source, cue and content",
        ),
        (
            changed(
                spans=[
                    {"field": "text", "type": "loaded", "start": 0, "end": 9},
                    {"field": "text", "type": "loaded", "start": 4, "end": 14},
                ]
            ),
            "a token is in one loaded span at most",
        ),
        (changed(headline=None), "out of range"),
    ],
)
def test_what_is_wrong_with_a_row(row: object, says: str) -> None:
    document, problems = parse_document(row, "file.jsonl:3")
    assert document is None
    assert any(says in str(problem) for problem in problems), problems
    assert all(str(problem).startswith("file.jsonl:3: ") for problem in problems)
    assert not any("to be must" in finding.expected for finding in findings_of(problems))


def test_segments_stand_in_the_order_of_the_article_whatever_was_marked_first() -> None:
    halves = [segment(end=14), segment(start=15), {"field": "headline", "start": 0, "end": 11}]
    document, _ = parse_document(changed(segments=halves[::-1]), "here")
    assert document is not None
    assert [(s.field, s.start) for s in document.segments] == [
        ("headline", 0), ("text", 0), ("text", 15)
    ]  # fmt: skip
    moved, _ = parse_document(changed(segments=[halves[1], halves[2], halves[0]]), "here")
    assert moved == document


def test_loaded_spans_may_lie_in_others() -> None:
    spans = [*ROW["spans"], {"field": "text", "type": "loaded", "start": 10, "end": 14}]
    assert parse_document(changed(spans=spans), "here")[1] == []


def test_a_file_reports_all_its_problems(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    good = json.dumps(ROW).encode()
    bad = json.dumps(changed(id="d2", segments=[segment(end=99)])).encode()
    path.write_bytes(b"\n".join([b"\xef\xbb\xbf" + good, b"{", b"", bad, b'"\xff"', good]))
    with pytest.raises(CorpusError) as caught:
        read_jsonl(path)
    places = [problem.where.rsplit(":", 1)[1] for problem in caught.value.problems]
    assert places == ["2", "4", "5", "6"]
    assert "id 'd1' stands already in line 1" in str(caught.value)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_jsonl(tmp_path / "none.jsonl")


def test_an_error_holds_every_problem_and_tells_each_kind_once() -> None:
    same = [Problem(f"a.csv:{row}", "expected a label") for row in range(1, 9)]
    others = [Problem("b.csv:1", f"unknown key '{number}'") for number in range(12)]
    error = CorpusError([*same, *others])
    assert error.problems == (*same, *others)
    lines = str(error).splitlines()
    assert lines[0].startswith("20 problem(s)")
    assert lines[1] == "  a.csv:1: expected a label"
    assert lines[2] == "    and at 7 more: a.csv:2, a.csv:3, a.csv:4, a.csv:5, ..."
    assert sum("unknown key" in line for line in lines) == 9
    assert lines[-1].startswith("  and 3 more kinds; framelens-train corpora check")
