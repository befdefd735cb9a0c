from __future__ import annotations

import gzip
import json
import math
import os
import shutil
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lxml import html

import framelens
from framelens.cli import main
from framelens.documents import document_of
from framelens.errors import InputError, MissingExtraError
from framelens.records import to_json
from framelens.report import pages
from framelens.report.scored import is_scored, read_scored
from report_support import HOSTILE_TEXT, examples, visible

ROWS = [
    {
        "id": "a1",
        "headline": "Road closed",
        "text": "The mayor said a road was closed. He left.\n\nA shameful plan.",
        "outlet": "Novapress",
        "date": "2024-05-01",
    },
    {"id": "a2", "text": "A plan.", "outlet": "The Whistle", "date": "2024-05-09T10:00:00"},
    {"id": "a3", "text": None, "outlet": "The Whistle"},
]
SUMMARY = ("segments", "sourced", "framed", "plain", "sources")


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS), "utf-8")
    return path


def report(*arguments: object) -> int:
    return main(["report", *map(str, arguments), "--quiet"])


def text_of(path: Path) -> str:
    page = html.document_fromstring(path.read_text("utf-8"))
    for hidden in page.xpath("//style | //script"):
        hidden.drop_tree()
    return " ".join(page.text_content().split())


def test_one_article_is_one_page(model_folder: Path, tmp_path: Path) -> None:
    source = tmp_path / "article.txt"
    source.write_text("Road closed again\n\nThe mayor said a road was closed.\n", "utf-8")
    target = tmp_path / "out" / "report.html"
    assert report(source, "-m", model_folder, "-o", target) == 0
    page = html.document_fromstring(target.read_text("utf-8"))
    assert [visible(segment) for segment in page.xpath("//*[@data-label]")] == [
        "Road closed again",
        "The mayor said a road was closed.",
    ]
    assert [path.name for path in target.parent.iterdir()] == ["report.html"]
    assert "0.50" in text_of(target), "thresholds of the model stand in the footer"


def test_many_articles_are_an_index_with_pages(
    model_folder: Path, rows: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "report"
    assert report(rows, "-m", model_folder, "-o", f"{folder}/") == 3
    names = sorted(str(p.relative_to(folder)) for p in folder.rglob("*.html"))
    assert names == [
        "articles/00001.html",
        "articles/00002.html",
        "articles/00003.html",
        "dashboard.html",
        "index.html",
    ]
    index = html.document_fromstring((folder / "index.html").read_text("utf-8"))
    assert index.xpath("//tbody//a/@href") == names[:3]
    first = text_of(folder / "articles" / "00001.html")
    for expected in ("Novapress", "2024-05-01", "All articles", "Next", "lookup 1.0.0"):
        assert expected in first
    assert "Previous" not in first
    assert "missing_text" in text_of(folder / "articles" / "00003.html")
    assert "Next" not in text_of(folder / "articles" / "00003.html")


def test_scored_rows_give_the_same_pages_as_scoring_again(
    model_folder: Path, rows: Path, tmp_path: Path
) -> None:
    report(rows, "-m", model_folder, "-o", f"{tmp_path}/direct/")
    for ending in ("jsonl", "jsonl.gz", "parquet"):
        scored = tmp_path / f"scored.{ending}"
        score = ["score", str(rows), "-m", str(model_folder), "-o", str(scored), "--keep"]
        assert main([*score, "--quiet"]) == 3
        assert is_scored(str(scored))
        folder = tmp_path / ending
        assert report(scored, "-m", model_folder, "-o", f"{folder}/") == 3
        for path in (tmp_path / "direct").rglob("*.html"):
            again = folder / path.relative_to(tmp_path / "direct")
            assert again.read_text("utf-8") == path.read_text("utf-8")


def test_scored_rows_need_no_model(
    model_folder: Path, rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("framelens.artifact.BUNDLED", tmp_path / "none")
    scored = tmp_path / "scored.jsonl"
    main(["score", str(rows), "-m", str(model_folder), "-o", str(scored), "--quiet"])
    assert report(scored, "-o", f"{tmp_path}/report/") == 3
    page = text_of(tmp_path / "report" / "articles" / "00001.html")
    assert "make the report with -m MODEL" in page
    assert report(rows, "-o", f"{tmp_path}/other/") == 4


def test_columns_that_a_table_kept_are_found(model_folder: Path, tmp_path: Path) -> None:
    days = [date(2024, 5, 1), None]
    columns = {"text": ["A plan.", "A road."], "outlet": ["Novapress", None], "date": days}
    source, scored = tmp_path / "rows.parquet", tmp_path / "scored.parquet"
    others = {"status": ["printed", "online"], "input": ["wire", "desk"]}
    pq.write_table(pa.table({**columns, **others}), source)
    command = ["score", str(source), "-m", str(model_folder), "-o", str(scored), "--keep"]
    assert main([*command, "--quiet"]) == 0
    (_, first), (_, second) = read_scored(str(scored))
    assert first == {"outlet": "Novapress", "date": days[0], "status": "printed", "input": "wire"}
    assert second["outlet"] is None
    assert report(scored, "-o", f"{tmp_path}/report/") == 0
    page = text_of(tmp_path / "report" / "articles" / "00001.html")
    assert "Novapress 2024-05-01" in page


def test_nan_in_a_scored_row_is_none(model_folder: Path, tmp_path: Path) -> None:
    """As `json.dumps` writes it of a row of pandas, where a column of texts has no value."""
    scored = tmp_path / "scored.jsonl"
    row = framelens.load(model_folder).score("A plan.").to_dict()
    row |= {"input": math.nan, "outlet": math.nan, "date": math.nan}
    scored.write_text(json.dumps(row), "utf-8")
    ((document, columns),) = read_scored(str(scored))
    assert document.input is None
    assert columns == {"outlet": None, "date": None}


def test_outlets_that_differ_in_white_space_are_one(model_folder: Path, tmp_path: Path) -> None:
    source = tmp_path / "rows.jsonl"
    outlets = ("Tarn Courier", "Tarn  Courier", "\u00a0Tarn\nCourier ", " \u2003")
    rows = [json.dumps({"text": "A road.", "outlet": outlet}) for outlet in outlets]
    source.write_text("\n".join(rows), "utf-8")
    assert report(source, "-m", model_folder, "-o", f"{tmp_path}/report/") == 0
    index = html.document_fromstring((tmp_path / "report" / "index.html").read_text("utf-8"))
    assert index.xpath("//select[@id='outlet']/option/text()") == ["all", "Tarn Courier"]
    assert [cell.text for cell in index.find_class("outlet")] == ["Tarn Courier"] * 3 + [None]


def test_values_that_python_cannot_hold_are_read_as_text(
    model_folder: Path, tmp_path: Path
) -> None:
    source, scored = tmp_path / "rows.parquet", tmp_path / "scored.parquet"
    when = pa.array([2**61], pa.timestamp("us"))
    day = pa.array([2**31 - 1], pa.int32()).cast(pa.date32())
    raw = pa.Array.from_buffers(pa.string(), 1, pa.array([b"caf\xe9"]).buffers())
    pq.write_table(pa.table({"text": ["A plan."], "when": when, "date": day, "raw": raw}), source)
    command = ["score", str(source), "-m", str(model_folder), "-o", str(scored), "--keep"]
    assert main([*command, "--quiet"]) == 0
    ((_, columns),) = read_scored(str(scored))
    assert {key: str(value) for key, value in columns.items()} == columns
    assert columns["raw"] == "caf\ufffd"
    assert report(scored, "-o", tmp_path / "report.html") == 0


def test_scored_rows_in_a_damaged_gzip_file_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = json.dumps(examples()[0].document.to_dict())
    content = bytearray(gzip.compress(row.encode() * 3, mtime=0))
    source = tmp_path / "scored.jsonl.gz"
    for at in range(10, len(content), 7):
        damaged = content.copy()
        damaged[at] ^= 255
        source.write_bytes(damaged)
        with pytest.raises(InputError, match=r"scored\.jsonl\.gz"):
            list(read_scored(str(source)))
    assert report(source, "-o", tmp_path / "report.html") == 1
    assert f"{source}: cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize("article", examples(), ids=lambda a: a.document.id)
def test_a_row_that_is_read_back_is_the_document(
    article: framelens.report.Article, tmp_path: Path
) -> None:
    row = json.loads(to_json(article.document.to_dict()))
    assert document_of(row) == article.document
    path = tmp_path / "scored.jsonl"
    path.write_text(json.dumps({**row, "input": {"outlet": "x"}}) + "\n\n", "utf-8")
    ((document, columns),) = read_scored(str(path))
    assert document.segments == article.document.segments
    assert columns == {"outlet": "x"}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"schema": 2}, "schema 2"),
        ({"segments": [{}]}, "KeyError"),
        ({"id": 4.5}, "a string was expected"),
        ({"headline_check": "[]"}, "an object was expected"),
        ({"model": None}, "TypeError"),
        ({"model": {"name": "a", "version": "1", "sha256": 5}}, "a string was expected"),
        ({"error": {"code": ["x"], "message": "m"}}, "a string was expected"),
        ({"summary": dict.fromkeys(SUMMARY, "<b>")}, "a number was expected"),
        ({"summary": dict.fromkeys(SUMMARY, math.inf)}, "a finite number was expected"),
        ({"summary": dict.fromkeys(SUMMARY, 10**400)}, "OverflowError"),
        ({"summary": dict.fromkeys(SUMMARY, 0.5)}, "a whole number was expected"),
    ],
)
def test_a_row_of_another_kind_is_refused_by_name(
    tmp_path: Path, change: dict[str, object], says: str
) -> None:
    good = examples()[0].document.to_dict()
    path = tmp_path / "scored.jsonl"
    lines = [json.dumps(good), "", json.dumps({**good, **change}).replace("Infinity", "1e999")]
    path.write_text("\n".join(lines), "utf-8")
    with pytest.raises(InputError, match=r"scored\.jsonl:3: .*" + says):
        list(read_scored(str(path)))


def test_a_row_that_went_through_pandas_is_the_document() -> None:
    """Which has no whole numbers beside missing ones, and reads an id of digits as a number."""
    for article in examples():
        row = article.document.to_dict() | {"id": 1001}
        for name in ("segments", "sources"):
            row["summary"][name] = float(row["summary"][name])
        if row["headline_check"] is not None:
            found = row["headline_check"]["segment"]
            row["headline_check"]["segment"] = float("nan") if found is None else float(found)
        document = document_of(row)
        assert document == replace(article.document, id="1001")
        assert isinstance(document.summary and document.summary.segments, int)


def test_offsets_and_labels_of_a_row_are_checked() -> None:
    good = examples()[0].document.to_dict()
    for change in (
        {"end": 5},
        {"label": "x"},
        {"role": ["body"]},
        {"field": 5},
        {"spans": [{"type": "x"}]},
    ):
        segments = [{**good["segments"][0], **change}]
        with pytest.raises(ValueError, match=r"code points|label|role|field|span type"):
            document_of({**good, "segments": segments})
    outside = {**good["segments"][0]["spans"][0], "end": 10_000}
    segments = [{**good["segments"][0], "spans": [outside]}]
    with pytest.raises(ValueError, match="outside"):
        document_of({**good, "segments": segments})
    with pytest.raises(ValueError, match="segment 1 at place 0"):
        document_of({**good, "segments": good["segments"][1:]})
    wording = [{"start": 0, "end": 1, "text": "x", "loaded": math.nan}]
    for change in (
        {"segment": 99},
        {"segment": -1},
        {"attribution": "x"},
        {"outcome": "x"},
        {"own_wording": wording},
    ):
        check = {**good["headline_check"], **change}
        with pytest.raises(
            ValueError, match=r"headline check of segment|(attribution|outcome) 'x'|finite"
        ):
            document_of({**good, "headline_check": check})


def test_exploded_and_csv_rows_are_refused(
    model_folder: Path, rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, extra, says in (
        ("exploded.jsonl", ["--explode"], "without --explode"),
        ("exploded.parquet", ["--explode"], "without --explode"),
        ("exploded.csv", ["--explode"], "scored rows as CSV"),
        ("said.jsonl", ["--attributions"], "without --attributions"),
        ("scored.csv", [], "scored rows as CSV"),
    ):
        target = tmp_path / name
        command = ["score", str(rows), "-m", str(model_folder), "-o", str(target), "--quiet"]
        main([*command, *extra])
        assert report(target, "-m", model_folder, "-o", tmp_path / "x.html") == 1
        assert says in capsys.readouterr().err


def test_one_page_for_several_articles_is_refused(
    model_folder: Path, rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "report.html"
    assert report(rows, "-m", model_folder, "-o", target) == 1
    assert "expected one article" in capsys.readouterr().err
    assert not target.exists()


def test_an_earlier_report_is_replaced_only_when_told_so(
    model_folder: Path, rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "report"
    report(rows, "-m", model_folder, "-o", f"{folder}/")
    shutil.copy(folder / "articles" / "00001.html", folder / "articles" / "00009.html")
    (folder / "notes.html").write_text("mine", "utf-8")
    assert report(rows, "-m", model_folder, "-o", f"{folder}/") == 1
    assert "--overwrite" in capsys.readouterr().err
    assert report(rows, "-m", model_folder, "-o", f"{folder}/", "--overwrite") == 3
    assert not (folder / "articles" / "00009.html").exists()
    assert (folder / "notes.html").read_text("utf-8") == "mine"


@pytest.mark.parametrize("theirs", ["index.html", "dashboard.html", "articles/00001.html"])
def test_somebody_elses_pages_are_left_alone(
    theirs: str,
    model_folder: Path,
    rows: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    page = tmp_path / "site" / theirs
    page.parent.mkdir(parents=True)
    page.write_text("years of work", "utf-8")
    assert report(rows, "-m", model_folder, "-o", f"{tmp_path}/site/", "--overwrite") == 1
    assert f"{page}: expected a page of an earlier report" in capsys.readouterr().err
    assert [p.read_text("utf-8") for p in page.parent.rglob("*.html")] == ["years of work"]


def test_a_page_of_ones_own_among_those_of_a_report_is_left_alone(
    model_folder: Path, rows: Path, tmp_path: Path
) -> None:
    arguments = (rows, "-m", model_folder, "-o", f"{tmp_path}/report/", "--overwrite")
    assert report(*arguments) == 3
    page = tmp_path / "report" / "articles" / "20240501.html"
    page.write_text("years of work", "utf-8")
    assert report(*arguments) == 1
    assert page.read_text("utf-8") == "years of work"


@pytest.mark.parametrize("left", ["dashboard.html", "articles/00001.html", None])
def test_a_report_that_was_cut_short_is_replaced(
    left: str | None, model_folder: Path, rows: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "report"
    report(rows, "-m", model_folder, "-o", f"{folder}/")
    whole = {page: page.read_bytes() for page in folder.rglob("*.html")}
    for page in whole:
        if left is None or not page.match(left):
            page.unlink()
    assert report(rows, "-m", model_folder, "-o", f"{folder}/", "--overwrite") == 3
    assert {page: page.read_bytes() for page in folder.rglob("*.html")} == whole


def test_an_interrupted_report_leaves_no_part_of_a_page(
    rows: Path, model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    folder = tmp_path / "report"
    assert report(rows, "-m", model_folder, "-o", f"{folder}/", "--workers", "1") == 130
    assert not list((folder / "articles").iterdir())


@pytest.mark.parametrize("name", ["page.html", "page.jsonl"])
@pytest.mark.parametrize("options", [[], ["--summary"]])
def test_a_report_is_never_one_of_its_inputs(
    name: str,
    options: list[str],
    model_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    page = tmp_path / name
    page.write_text('{"text": "A plan."}\n', "utf-8")
    link = tmp_path / "link.html"
    link.symlink_to(name)
    for target in (page, link):
        assert report(page, "-m", model_folder, "-o", target, *options) == 1
        assert "expected an output apart from the inputs" in capsys.readouterr().err
    assert page.read_text("utf-8") == '{"text": "A plan."}\n'
    assert report(page, "-m", model_folder, "-o", f"{tmp_path}/", "--overwrite") == 1
    assert "expected an output apart from the inputs" in capsys.readouterr().err
    link.unlink()
    for given in (tmp_path, f"{tmp_path}/*.*"):
        assert report(given, "-m", model_folder, "-o", page, *options) == 1
        assert "expected an output apart from the inputs" in capsys.readouterr().err
    assert page.read_text("utf-8") == '{"text": "A plan."}\n'


@pytest.mark.parametrize("options", [["-o", "page.html"], ["-o", "report/", "--overwrite"]])
def test_a_report_reads_no_earlier_one_in_its_place(
    options: list[str], model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.txt").write_text("A shameful plan.", "utf-8")
    for _ in range(2):
        assert report(".", "-m", model_folder, *options) == 0


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="makes a pipe with a name")
def test_a_page_is_written_where_a_link_leads_and_to_a_pipe(
    model_folder: Path, tmp_path: Path
) -> None:
    source, page = tmp_path / "a.txt", tmp_path / "page.html"
    source.write_text("A shameful plan.", "utf-8")
    link, pipe = tmp_path / "link.html", tmp_path / "pipe"
    link.symlink_to(page.name)
    assert report(source, "-m", model_folder, "-o", link) == 0
    assert link.is_symlink()
    os.mkfifo(pipe)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    assert report(source, "-m", model_folder, "-o", pipe) == 0
    with os.fdopen(reading, "rb") as stream:
        assert stream.read() == page.read_bytes()
    names = ["a.txt", "link.html", "page.html", "pipe"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names


def test_usage_errors(rows: Path, tmp_path: Path) -> None:
    for arguments in (
        [rows, "-o", ""],
        [rows, "-o", "-"],
        ["--summary", rows, "-o", f"{tmp_path}/x/"],
        ["-", "-o", tmp_path / "x.html"],
        [rows, "-o", tmp_path / "x.html", "--workers", "0"],
        [rows],
    ):
        with pytest.raises(SystemExit) as raised:
            report(*arguments)
        assert raised.value.code == 2


def test_without_the_template_engine_the_extra_is_named(
    rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    pages._environment.cache_clear()
    assert report(rows, "-o", f"{tmp_path}/report/") == 1
    assert "pip install 'framelens[report]'" in capsys.readouterr().err
    assert not (tmp_path / "report").exists()
    with pytest.raises(MissingExtraError):
        pages.require_engine()


def test_pages_are_the_same_every_time_and_hold_odd_text(
    model_folder: Path, tmp_path: Path
) -> None:
    row = json.dumps({"id": "odd", "headline": "A\udc80b", "text": HOSTILE_TEXT})
    source = tmp_path / "odd.jsonl"
    source.write_text(row, "utf-8")
    for name in ("one.html", "two.html"):
        assert report(source, "-m", model_folder, "-o", tmp_path / name) == 0
    one = (tmp_path / "one.html").read_bytes()
    assert one == (tmp_path / "two.html").read_bytes()
    one.decode("utf-8")
