from __future__ import annotations

import gzip
import io
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from framelens import MissingExtraError, RowError, extract_page, pages
from framelens.cli import main
from support import read_jsonl

GOOD = {"id": "a1", "headline": "Road closed", "text": "The mayor said a road was closed."}


def score(model: Path, *arguments: object) -> int:
    return main(["score", *map(str, arguments), "-m", str(model)])


def write_lines(path: Path, *lines: bytes | dict) -> Path:
    encoded = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    path.write_bytes(b"\n".join(encoded) + b"\n")
    return path


def test_jsonl_in_jsonl_out(model_folder: Path, tmp_path: Path) -> None:
    source = write_lines(tmp_path / "in.jsonl", GOOD, {"text": ""}, {"text": "A plan."})
    target = tmp_path / "out.jsonl"
    assert score(model_folder, source, "-o", target) == 0
    found = read_jsonl(target)
    assert [row["id"] for row in found] == ["a1", f"{source}:2", f"{source}:3"]
    assert [row["status"] for row in found] == ["ok"] * 3
    assert found[1]["segments"] == []
    assert not target.with_name("out.jsonl.partial").exists()


def test_fields_are_renamed_and_units_kept_whole(model_folder: Path, tmp_path: Path) -> None:
    row = {"n": 4, "title": "Road", "body": "A plan. A road."}
    source = write_lines(tmp_path / "in.jsonl.gz", row)
    source.write_bytes(gzip.compress(source.read_bytes()))
    target = tmp_path / "out.jsonl"
    names = ["--text-field", "body", "--headline-field", "title", "--id-field", "n"]
    assert score(model_folder, source, "-o", target, *names, "--unit", "segment") == 0
    (found,) = read_jsonl(target)
    assert found["id"] == "4"
    assert [s["text"] for s in found["segments"]] == ["Road", "A plan. A road."]


@pytest.mark.parametrize("ending", ["jsonl", "csv"])
def test_headlines_that_are_the_texts_are_scored_once(
    ending: str, model_folder: Path, tmp_path: Path
) -> None:
    source, target = tmp_path / f"in.{ending}", tmp_path / "out.jsonl"
    lines = {
        "jsonl": '{"id": 1, "headline": "A plan. A road."}\n{"id": 2, "headline": ""}\n',
        "csv": 'id,headline\n1,A plan. A road.\n2,""\n',
    }
    source.write_text(lines[ending], "utf-8")
    options = ["--text-field", "headline", "--unit", "segment"]
    assert score(model_folder, source, "-o", target, *options) == 0
    found = [[(s["field"], s["text"]) for s in row["segments"]] for row in read_jsonl(target)]
    assert found == [[("text", "A plan. A road.")], []]


@pytest.mark.parametrize(
    ("line", "code", "says"),
    [
        (b"{not json", "not_json", "column"),
        (b"[1, 2]", "bad_row", "expected a JSON object, found list"),
        (b'{"headline": "x"}', "missing_text", "expected a field 'text', found headline"),
        (b'{"text": 5}', "bad_text", "found int"),
        (b'{"text": null}', "missing_text", "text"),
        (b'{"text": "caf\xe9"}', "not_utf8", "0xe9"),
        (b'{"text": "a", "headline": {}}', "bad_headline", "found dict"),
        (b"[" * 100_000, "not_json", ""),
    ],
)
def test_a_bad_row_is_an_error_row_and_the_others_go_on(
    model_folder: Path, tmp_path: Path, line: bytes, code: str, says: str
) -> None:
    source = write_lines(tmp_path / "in.jsonl", GOOD, line, GOOD)
    target = tmp_path / "out.jsonl"
    assert score(model_folder, source, "-o", target) == 3
    found = read_jsonl(target)
    assert [row["status"] for row in found] == ["ok", "error", "ok"]
    assert found[1]["id"] == f"{source}:2"
    assert found[1]["error"]["code"] == code
    assert says in found[1]["error"]["message"]
    assert found[1]["segments"] == []


def test_a_byte_order_mark_is_no_error(model_folder: Path, tmp_path: Path) -> None:
    source = write_lines(tmp_path / "in.jsonl", b"\xef\xbb\xbf" + json.dumps(GOOD).encode())
    assert score(model_folder, source, "-o", tmp_path / "out.jsonl") == 0


def test_nan_in_a_field_is_none(model_folder: Path, tmp_path: Path) -> None:
    lines = b'{"id": NaN, "headline": NaN, "text": "A plan."}', b'{"id": 1.5, "text": NaN}'
    source, target = write_lines(tmp_path / "in.jsonl", *lines), tmp_path / "out.jsonl"
    assert score(model_folder, source, "-o", target) == 3
    good, bad = read_jsonl(target)
    assert (good["id"], good["status"]) == (f"{source}:1", "ok")
    assert (bad["id"], bad["error"]["code"]) == ("1.5", "missing_text")


def test_lone_surrogates_come_out_as_valid_utf8(model_folder: Path, tmp_path: Path) -> None:
    source = write_lines(tmp_path / "in.jsonl", b'{"text": "The mayor \\ud800 said, \xc3\xa9."}')
    target = tmp_path / "out.jsonl"
    assert score(model_folder, source, "-o", target) == 0
    (found,) = read_jsonl(target)
    assert found["segments"][0]["text"] == "The mayor \ud800 said, é."
    assert target.read_bytes().isascii()


def test_inputs_that_cannot_be_read_are_all_named(
    model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "image.png").write_bytes(b"")
    arguments = [tmp_path / "missing.jsonl", tmp_path / "image.png", tmp_path, ""]
    assert score(model_folder, *arguments) == 1
    message = capsys.readouterr().err
    assert "missing.jsonl: no such file" in message
    assert "image.png: expected a file that ends in one of" in message
    assert "found a directory" in message
    assert "expected the name of an input, found an empty one" in message


def test_what_a_terminal_would_obey_is_not_in_messages(
    model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_lines(tmp_path / "in.jsonl", {"id": "a\x1b[2J\x1b]0;b\x07", "text": 5})
    assert score(model_folder, source, "--format", "table", "--on-error", "stop") == 1
    assert score(model_folder, tmp_path / "\x1b[31m.jsonl") == 1
    shown = capsys.readouterr()
    assert not {"\x1b", "\x07"} & {*shown.out, *shown.err}
    assert "stopped at a\ufffd[2J" in shown.err


def test_a_model_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_lines(tmp_path / "in.jsonl", GOOD)
    assert score(tmp_path / "nowhere", source) == 4
    assert "expected a model directory" in capsys.readouterr().err


def test_usage_errors_exit_with_two() -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["score"])
    assert stopped.value.code == 2
    with pytest.raises(SystemExit) as stopped:
        main(["score", "x.jsonl", "--threads", "0"])
    assert stopped.value.code == 2


def test_standard_input_to_standard_output(
    model_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stream = io.TextIOWrapper(io.BytesIO(json.dumps(GOOD).encode() + b"\n\n"))
    monkeypatch.setattr(sys, "stdin", stream)
    assert score(model_folder, "-") == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["id"] == "a1"


def test_standard_error_may_be_closed(
    model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = write_lines(tmp_path / "in.jsonl", GOOD), tmp_path / "out.jsonl"
    monkeypatch.setattr(sys, "stderr", None)
    assert score(model_folder, source, "-o", target) == 0
    sys.stderr.close()
    assert len(read_jsonl(target)) == 1


class LostStream(io.StringIO):
    """A log whose other end has gone."""

    def write(self, text: str) -> int:
        raise BrokenPipeError(text)


def test_standard_error_may_be_lost(
    model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", LostStream())
    source = tmp_path / "in.jsonl"
    source.write_text(json.dumps(GOOD), "utf-8")
    target = str(tmp_path / "out.jsonl")
    assert main(["score", str(source), "-o", target, "-m", str(model_folder)]) == 0
    assert main(["score", str(source), "-o", target, "-m", str(tmp_path / "none")]) == 4


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="makes a pipe with a name")
def test_a_reader_that_leaves_ends_the_run_where_standard_output_is_closed(
    model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, pipe = tmp_path / "in.jsonl", tmp_path / "pipe"
    rows = [json.dumps(GOOD)] * 400  # more than a pipe holds: the writer waits for its reader
    source.write_text("\n".join(rows), "utf-8")
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: pipe.open("rb").close())
    reader.start()
    monkeypatch.setattr(sys, "stdout", None)
    assert main(["score", str(source), "-o", str(pipe), "-m", str(model_folder)]) == 1
    reader.join()


def run_on_full_disk(stream: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """A run of the command of which one of the standard streams leads to a full disk."""
    streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with Path("/dev/full").open("w") as streams[stream]:
        return subprocess.run(
            [sys.executable, "-m", "framelens.cli", *map(str, arguments)],
            env={**os.environ, "PYTHONUNBUFFERED": ""},
            text=True,
            check=False,
            **streams,
        )


def run_piped(rows: list[str], *arguments: object) -> subprocess.CompletedProcess[str]:
    """A run of `score` that reads rows from a pipe and has one as its output."""
    command = [sys.executable, "-m", "framelens.cli", "score", "-", *map(str, arguments)]
    return subprocess.run(
        command, input="\n".join(rows), capture_output=True, text=True, check=False
    )


def test_rows_in_a_pipe_do_not_silence_the_summary(model_folder: Path) -> None:
    rows = [json.dumps(GOOD), "{"]
    done = run_piped(rows, "-m", model_folder)
    assert done.returncode == 3
    assert len(done.stdout.splitlines()) == 2
    assert "2 documents" in done.stderr
    assert "not_json 1" in done.stderr
    assert run_piped(rows, "-m", model_folder, "--quiet").stderr == ""


def test_what_was_read_from_standard_input_cannot_be_gone_on_with(
    model_folder: Path, tmp_path: Path
) -> None:
    options = ["-m", model_folder, "-o", tmp_path / "out.jsonl", "--part-rows", 1]
    rows = [json.dumps(GOOD), "{"]
    assert run_piped(rows, *options, "--on-error", "stop").returncode == 1
    again = run_piped(rows, *options)
    assert again.returncode == 1
    assert "holds the parts of an earlier run; start again with --overwrite" in again.stderr
    assert run_piped(rows, *options, "--overwrite").returncode == 3


has_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device is always full")


@pytest.mark.parametrize("format", ["table", "jsonl"])
@has_full
def test_a_full_disk_below_standard_output_is_a_failure(
    format: str, model_folder: Path, tmp_path: Path
) -> None:
    """Python writes what is left as it ends, and had its own message and exit code for it."""
    source = tmp_path / "a.txt"
    source.write_text("The mayor said a road was closed.")
    done = run_on_full_disk("stdout", "score", source, "--format", format, "-m", model_folder)
    assert done.returncode == 1
    assert re.fullmatch("framelens: .*No space left.*\n", done.stderr)


@pytest.mark.parametrize(("command", "target"), [("score", "a.jsonl"), ("report", "a.html")])
@has_full
def test_a_full_disk_below_standard_error_is_none(
    command: str, target: str, model_folder: Path, tmp_path: Path
) -> None:
    source, output = tmp_path / "a.txt", tmp_path / target
    source.write_text("The mayor said a road was closed.")
    done = run_on_full_disk("stderr", command, source, "-o", output, "-m", model_folder)
    assert (done.returncode, done.stdout) == (0, "")
    assert output.is_file()


@has_full
def test_what_cannot_be_told_has_its_exit_code(tmp_path: Path) -> None:
    assert run_on_full_disk("stderr", "score").returncode == 2
    assert run_on_full_disk("stderr", "info", tmp_path / "none").returncode == 4


def test_plain_text_is_one_document(model_folder: Path, tmp_path: Path) -> None:
    source = tmp_path / "article.txt"
    text = "Road closed\n\nThe mayor said a road was closed.\n\nSign up to news\n"
    source.write_bytes(b"\xef\xbb\xbf" + text.encode())
    target = tmp_path / "out.jsonl"
    assert score(model_folder, source, "-o", target) == 0
    (found,) = read_jsonl(target)
    assert found["id"] == str(source)
    assert [s["role"] for s in found["segments"]] == ["headline", "body", "body"]
    assert all(text[s["start"] : s["end"]] == s["text"] for s in found["segments"])


def test_a_page_gives_its_main_text(model_folder: Path, tmp_path: Path) -> None:
    sentences = "".join(f"<p>The mayor said road {n} was closed to all.</p>" for n in range(12))
    sentences += "<p hidden>The minister said what is <b>unseen</b> of all here.</p>"
    page = (
        "<html><head><title>Road closed</title></head><body><nav><a href='/'>Home</a></nav>"
        f"<article><h1>Road closed</h1>{sentences}</article><footer>Sign up</footer></body></html>"
    )
    source = tmp_path / "page.html"
    source.write_text(page, "utf-8")
    target = tmp_path / "out.jsonl"
    assert score(model_folder, source, "-o", target) == 0
    (found,) = read_jsonl(target)
    assert found["input"]["headline"] == "Road closed"
    assert [s["text"] for s in found["segments"]].count("Road closed") == 1
    for segment in found["segments"]:
        field = found["input"][segment["field"]]
        assert field[segment["start"] : segment["end"]] == segment["text"]
    assert any("road 7 was closed" in segment["text"] for segment in found["segments"])
    assert not any("unseen" in segment["text"] for segment in found["segments"])
    assert score(model_folder, source, "--explode", "-o", tmp_path / "rows.jsonl") == 0
    first, *others = read_jsonl(tmp_path / "rows.jsonl")
    assert first["input"] == found["input"]
    assert len(others) == len(found["segments"]) - 1
    assert not any("input" in row for row in others)
    assert score(model_folder, source, "--explode", "-o", tmp_path / "rows.parquet") == 0
    inputs = pq.read_table(tmp_path / "rows.parquet")["input"].to_pylist()
    assert json.loads(inputs[0]) == found["input"]
    assert set(inputs[1:]) == {None}
    assert score(model_folder, source, "--attributions", "-o", tmp_path / "said.jsonl") == 0
    first, *others = read_jsonl(tmp_path / "said.jsonl")
    assert first["input"] == found["input"]
    assert not any("input" in row for row in others)
    empty = tmp_path / "empty.html"
    empty.write_text("<html></html>", "utf-8")
    assert score(model_folder, empty, "-o", target) == 3
    assert read_jsonl(target)[0]["error"]["code"] == "no_main_text"


SENTENCES = "".join(f"<p>The mayor said road {n} was closed to all.</p>" for n in range(12))


@pytest.mark.parametrize("shown", ["", "<nav><a href='/'>Home</a></nav>", "<p>Subscribe.</p>"])
def test_a_page_whose_article_a_script_shows_is_read(shown: str) -> None:
    article = f"<div hidden><article>{SENTENCES}</article></div>"
    row = extract_page(f"<html><head></head><body>{shown}{article}</body></html>")
    assert isinstance(row, dict)
    assert "road 7 was closed" in row["text"]


def test_a_short_post_is_read_without_what_is_hidden() -> None:
    post = "The wall failed on Monday, and nobody in Tarn had been told what to do then."
    hidden = f"<div hidden>{'<p>Choose what we may store of your visit.</p>' * 30}</div>"
    assert extract_page(f"<body><article><p>{post}</p></article>{hidden}</body>") == {"text": post}


OPINION = "Who shut the road, and why?"


@pytest.mark.parametrize(
    ("title", "heading", "headline", "left"),
    [
        ("Road closed", "<h1>Road closed</h1>", "Road closed", []),
        ("Road “shut” - all | Tarn", "<h2>Road 'shut' - all</h2>", "Road “shut” - all", []),
        ("Road closed | Tarn News", "<h2>The road</h2>", "Road closed | Tarn News", ["The road"]),
        ("Road closed | Tarn", "<p>Tarn</p><h1>Road closed</h1>", "Road closed", ["Tarn"]),
        (f"Opinion | {OPINION}", f"<h1>{OPINION}</h1>", OPINION, []),
        (f"Opinion | {OPINION} | Tarn", f"<p>Opinion</p><h1>{OPINION}</h1>", OPINION, ["Opinion"]),
        (
            "Road closed",
            "<h1>Live from Tarn</h1><h2>Road closed</h2>",
            "Road closed",
            ["Live from Tarn"],
        ),
        (f"Opinion - {OPINION}", "<p>Opinion</p>", f"Opinion - {OPINION}", ["Opinion"]),
    ],
)
def test_a_page_has_its_headline_once(
    title: str, heading: str, headline: str, left: list[str]
) -> None:
    body = "".join(f"<p>The mayor said road {n} was closed to all.</p>" for n in range(12))
    meta = f"<meta property='og:title' content='{title}'>"
    page = f"<html><head>{meta}</head><article>{heading}{body}</article></html>"
    row = extract_page(page.encode())
    assert isinstance(row, dict)
    assert row["headline"] == headline
    assert row["text"].split("\n")[:-12] == left


@pytest.mark.parametrize(
    ("heading", "headline"),
    [
        ("Road is <i>shut</i> to all of us", "Road is shut to all of us"),
        ("ROAD CLOSED", "Road closed"),
        ("World news", "Road closed"),
        ("The Tarn News", "Road closed"),
    ],
)
def test_the_heading_of_a_page_is_its_headline_whatever_its_title(
    heading: str, headline: str
) -> None:
    body = "".join(f"<p>The mayor said road {n} was closed to all.</p>" for n in range(12))
    meta = "<meta property='og:title' content='Road closed'>"
    meta += "<meta property='og:site_name' content='The Tarn News'>"
    page = f"<html><head>{meta}</head><article><h1>{heading}</h1>{body}</article></html>"
    row = extract_page(page.encode())
    assert isinstance(row, dict)
    assert row["headline"] == headline
    assert headline not in row["text"]


@pytest.mark.parametrize(
    ("declared", "encoding"),
    [
        ("iso-8859-1", "cp1252"),
        ("ISO-8859-1", "utf-8"),
        ("windows-1250", "cp1250"),
        ("windows-1251", "cp1251"),
    ],
)
def test_a_page_is_read_in_the_encoding_that_it_declares(declared: str, encoding: str) -> None:
    said = "The “old” road at Åsby cost £5m — naïve, said Zoë. The café shut."
    if encoding in ("cp1250", "cp1251"):
        said = {"cp1250": "Silnice u řeky je zavřená.", "cp1251": "Дорога закрыта."}[encoding]
    meta = f"<meta http-equiv='Content-Type' content='text/html; charset={declared}'>"
    page = f"<html><head>{meta}</head><article>{f'<p>{said}</p>' * 5}</article></html>"
    row = extract_page(page.encode(encoding))
    assert isinstance(row, dict)
    assert row["text"].startswith(said)


@pytest.mark.parametrize("declared", ["utf-8", "undefined", "hex", "of-no-kind"])
def test_a_page_that_declares_what_it_is_not_is_guessed(declared: str) -> None:
    body = "".join(f"<p>The mayor’s road {n} was “closed” to all.</p>" for n in range(12))
    page = f"<html><head><meta charset={declared}></head><article>{body}</article></html>"
    row = extract_page(page.encode("cp1252"))
    assert isinstance(row, dict)
    assert row["text"].startswith("The mayor’s road 0")


@pytest.mark.parametrize(
    ("title", "headline"),
    [
        ("Road shut, mayor says - Tarn News", "Road shut, mayor says"),
        ("Road shut| Local :: TARN NEWS", "Road shut| Local"),
        ("Tarn News | Road shut - all of it", "Road shut - all of it"),
        ("Tarn News: Road shut: all of it", "Road shut: all of it"),
        ("Tarn News", None),
        ("Road shut - Police", "Road shut - Police"),
        ("Tarn News is shut", "Tarn News is shut"),
    ],
)
def test_the_name_that_a_page_gives_its_site_is_not_in_its_headline(
    title: str, headline: str | None
) -> None:
    body = "".join(f"<p>The mayor said road {n} was closed to all.</p>" for n in range(12))
    meta = f"<meta property='og:title' content='{title}'>"
    meta += "<meta property='og:site_name' content='Tarn News'>"
    page = f"<html><head>{meta}</head><article>{body}</article></html>"
    row = extract_page(page.encode())
    assert isinstance(row, dict)
    assert row.get("headline") == headline


@pytest.mark.parametrize(
    ("head", "top", "headline"),
    [
        ("<title>Dr. Orr to shut the road | Tarn News</title>", "", "Dr. Orr to shut the road"),
        (
            "<title>Mayor to shut the road | Tarn</title>",
            "<header><h1>Tarn</h1></header><article>",
            "Mayor to shut the road",
        ),
        ("<title>Live from the road in Tarn | Shut</title>", "<article><h1>Shut</h1>", "Shut"),
        ("<title>News from Tarn | Road shut</title>", "<h1>Road shut</h1><article>", "Road shut"),
        (
            "<meta property='og:title' content='Dr. Orr to go'><title>Dr. Orr to go | Tarn</title>",
            "",
            "Dr. Orr to go",
        ),
    ],
)
def test_the_name_of_the_site_is_not_taken_for_the_title(
    head: str, top: str, headline: str
) -> None:
    body = "".join(f"<p>The mayor said road {n} was closed to all.</p>" for n in range(12))
    page = f"<html><head>{head}</head><body>{top or '<article>'}{body}</article></body></html>"
    row = extract_page(page.encode())
    assert isinstance(row, dict)
    assert row["headline"] == headline


@pytest.mark.parametrize("mark", ["| ", " |", " :: ", " / ", " -- ", " ― "])
def test_a_title_is_the_line_at_the_top_with_whatever_is_before_the_site(mark: str) -> None:
    body = "".join(f"<p>The mayor said road {n} was closed to all.</p>" for n in range(12))
    head = f"<title>Road closed to all{mark}Tarn</title>"
    page = f"<html><head>{head}</head><article><h2>Road closed to all</h2>{body}</article></html>"
    row = extract_page(page.encode())
    assert isinstance(row, dict)
    assert row["headline"] == "Road closed to all"
    assert row["headline"] not in row["text"]


@pytest.mark.parametrize("site", ["", "Tarn Courier"])
def test_a_title_that_is_no_title_is_read_as_fast_as_any(site: str) -> None:
    title = " - ".join(["ab"] * 4000)
    started = time.process_time()
    assert pages._without_site(pages._title("ab", title, ""), site) == "ab"
    assert pages._without_site(title, site) == title
    assert time.process_time() - started < 1


def test_a_page_of_one_post_keeps_its_text() -> None:
    post = "The mayor said the road was closed to all, and nobody could say why."
    page = f"<html><head><title>{post}</title></head><article><p>{post}</p></article></html>"
    assert extract_page(page.encode()) == {"text": post, "headline": post}


def test_the_extractor_missing_names_the_extra(
    model_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "trafilatura", None)
    source = tmp_path / "page.html"
    source.write_text("<p>x</p>", "utf-8")
    assert score(model_folder, source) == 1
    assert "pip install 'framelens[html]'" in capsys.readouterr().err
    with pytest.raises(MissingExtraError, match=r"pip install 'framelens\[html\]'"):
        extract_page("<p>x</p>")


def test_a_field_that_holds_html_gives_its_text() -> None:
    body = "<p>The mayor said “no”.</p><p>Yet <b>another</b> plan.</p>"
    text = "The mayor said “no”.\nYet another plan."
    assert extract_page(body) == {"text": text}
    assert extract_page(f"<h1>A road is shut</h1>{body}") == {
        "text": text,
        "headline": "A road is shut",
    }
    assert isinstance(extract_page("No markup at all."), RowError)


def test_the_table_shows_labels_sources_and_loaded_words(
    model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = {"id": "a1", "text": "The mayor\tsaid a road closed. A shameful\x1b[2J plan."}
    source = write_lines(tmp_path / "in.jsonl", row, b"{")
    assert score(model_folder, source, "--format", "table") == 3
    shown = capsys.readouterr().out
    assert "[mayor] said" in shown
    assert "*shameful*" in shown
    assert "\x1b" not in shown
    assert "not_json" in shown
    assert all(len(line) <= 120 for line in shown.splitlines())


def test_the_table_fits_the_code_page(
    model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = {"id": "市", "text": "The mayor said “so” → a road 🚧 closed."}
    source = write_lines(tmp_path / "in.jsonl", row, {"id": "Ł", "text": None})
    shown: dict[str, str] = {}
    for encoding in ("utf-8", "cp1252", "ascii"):
        stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        monkeypatch.setattr(sys, "stdout", stream)
        assert score(model_folder, source, "--format", "table") == 3
        stream.seek(0)
        shown[encoding] = stream.read()
    assert "“so” → a road 🚧" in shown["utf-8"]
    for encoding in ("cp1252", "ascii"):
        assert shown[encoding] == shown["utf-8"].encode(encoding, "replace").decode(encoding)


def test_colour_only_styles_what_the_plain_table_says(model_folder: Path) -> None:
    import framelens
    from framelens.terminal import render

    scorer = framelens.load(model_folder)
    document = scorer.score("The mayor said a road was closed. " * 8 + "A shameful plan.")
    colored = render(document, width=60, color=True)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", colored)
    assert plain != colored
    assert all(len(line) <= 60 for line in plain.splitlines())
    for segment in document.segments:
        assert segment.text in " ".join(plain.split())


def test_info_prints_the_manifest(model_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(model_folder)]) == 0
    row = json.loads(capsys.readouterr().out)
    assert row["name"] == "lookup"
    assert len(row["sha256"]) == 64


def test_info_is_json_in_any_code_page(
    model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(model_folder, tmp_path / "café")
    printed = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", printed)
    assert main(["info", str(tmp_path / "café")]) == 0
    printed.seek(0)
    assert json.loads(printed.read())["path"] == str(tmp_path / "café")
