"""`framelens-train corpora`: what people type, what they see, and the exit codes."""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from framelens_training.cli import main
from framelens_training.corpora.formats import read_any, write_any
from framelens_training.corpora.inputs import read_inputs
from framelens_training.corpora.judged_articles import JudgedArticles
from framelens_training.corpora.labelled import LabelledDocument
from framelens_training.corpora.markup import parse_markup
from framelens_training.corpora.registry import ROOT_VARIABLE

ARTICLE = """\
#id: weir
#outlet: Tarn Valley Courier
#lean: left

Hf| {l|Fiasco} at the weir

a| {s|The warden} {c|said} {q|the gate was left open}.
-| It was shut at noon.
"""


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRAMELENS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv(ROOT_VARIABLE, raising=False)
    monkeypatch.setenv("NO_COLOR", "1")


@pytest.fixture
def article() -> LabelledDocument:
    return parse_markup(ARTICLE)[0]


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    """A CSV in which nothing is wrong."""
    topics = ["bridge", "weir", "mill", "ferry", "tram", "clinic", "school", "market", "harbour"]
    topics += ["library", "museum", "pool"]
    path = tmp_path / "train.csv"
    rows = [f"The {topic} opened at noon on Monday,plain\n" for topic in topics]
    rows += [f"The hopeless {topic} is a shameful circus again,framed\n" for topic in topics]
    rows += [f"Read more about our local {topic},boilerplate\n" for topic in topics]
    rows += [f"A report said the {topic} would close in March,sourced\n" for topic in topics]
    path.write_text("text,label\n" + "".join(rows), "utf-8")
    return path


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="has no device that is always full")
def test_a_full_disk_below_standard_output_is_a_failure() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "framelens_training.cli", "corpora", "list"],
            env={**os.environ, "PYTHONUNBUFFERED": ""},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert re.fullmatch("framelens-train: .*No space left.*\n", done.stderr)


def test_list_names_every_corpus_with_its_licence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["corpora", "list", "--root", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "starter" in said
    assert "packaged" in said
    assert "5 of 5 paths missing" in said
    assert "CC BY-NC-SA 4.0" in said


def test_check_exits_0_1_or_3(lines: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["corpora", "check", str(lines)]) == 0
    assert "48 segments: 0 errors, 0 warnings" in capsys.readouterr().out
    lines.write_text(lines.read_text() + "\ufeffAn odd beginning,plain\n", "utf-8")
    assert main(["corpora", "check", str(lines)]) == 3
    assert "0 errors, 1 warnings" in capsys.readouterr().out
    lines.write_text(lines.read_text() + "A line,no label\n", "utf-8")
    assert main(["corpora", "check", str(lines)]) == 1
    said = capsys.readouterr().out
    assert f"{lines}:51: [bad-label] expected one of sourced, framed, plain, boilerplate" in said
    assert said.index("1 error\n") < said.index("1 warning\n")


def test_check_as_json(lines: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines.write_text(lines.read_text() + "A line,no label\n", "utf-8")
    assert main(["corpora", "check", str(lines), "--format", "json"]) == 1
    report = json.loads(capsys.readouterr().out)
    (error,) = report["errors"]
    assert error["where"] == f"{lines}:50"
    assert set(error) == {"severity", "code", "where", "expected", "found", "mend"}


def test_check_fix_writes_a_copy_that_passes(
    lines: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines.write_text(lines.read_text() + "A line,no label\n", "utf-8")
    clean = tmp_path / "clean"
    assert main(["corpora", "check", str(lines), "--fix", str(clean)]) == 0
    assert "1 dropped" in capsys.readouterr().err
    assert main(["corpora", "check", str(clean / "train.csv")]) == 0
    (fixed,) = [json.loads(x) for x in (clean / "fixes.jsonl").read_text().splitlines()]
    assert fixed["where"] == f"{lines}:50"


def test_a_row_that_is_dropped_for_two_reasons_counts_once(
    lines: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines.write_text(lines.read_text() + ",no label\n", "utf-8")
    assert main(["corpora", "check", str(lines), "--fix", str(tmp_path / "clean")]) == 0
    assert "1 dropped, 0 alterations, 48 documents" in capsys.readouterr().err


@pytest.mark.parametrize("bad", ["It fell, again,plain", '"It fell" again,plain', '"It fell,plain'])
def test_a_line_that_cannot_be_read_costs_no_other(
    lines: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], bad: str
) -> None:
    header, rest = lines.read_text("utf-8").split("\n", 1)
    lines.write_text(f"{header}\n{bad}\n{rest}A line,no label\n", "utf-8")
    assert main(["corpora", "check", str(lines)]) == 1
    assert "48 documents, 48 segments: 2 errors" in capsys.readouterr().out
    assert main(["corpora", "check", str(lines), "--fix", str(tmp_path / "clean")]) == 0
    assert "2 dropped, 0 alterations, 48 documents" in capsys.readouterr().err


def test_check_shows_the_first_of_many(lines: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines.write_text(lines.read_text() + "A line,no\n" * 9, "utf-8")
    main(["corpora", "check", str(lines)])
    said = capsys.readouterr().out
    assert said.count("[bad-label] expected") == 5
    assert "... and 4 more [bad-label]; corpora check --all shows them" in said
    main(["corpora", "check", str(lines), "--all"])
    assert capsys.readouterr().out.count("[bad-label] expected") == 9


def test_a_missing_corpus_is_an_error_and_the_rest_is_checked(
    tmp_path: Path, lines: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    assert main(["corpora", "check", "babe", str(lines), "--root", str(root)]) == 1
    said = capsys.readouterr().out
    assert "[missing-corpus]" in said
    assert "corpora fetch babe" in said
    assert "48 segments: 1 errors" in said


def test_an_unknown_name_is_told_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["corpora", "check", "startr"]) == 1
    assert "did you mean 'starter'?" in capsys.readouterr().err


def test_stats_as_markdown_and_json(
    lines: Path, tmp_path: Path, article: LabelledDocument, capsys: pytest.CaptureFixture[str]
) -> None:
    write_any([article], tmp_path / "test.jsonl")
    inputs = [str(lines), str(tmp_path / "test.jsonl")]
    assert main(["corpora", "stats", *inputs, "--format", "markdown"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("| corpus | split | documents | segments |")
    assert said[2] == (
        "| files | train | 48 | 48 | 0 | 12 of 36 (33%) | 12 of 48 (25%) | 12 of 48 (25%) |"
    )
    assert said[3] == "| files | test | 1 | 3 | 1 | 1 of 3 (33%) | 1 of 3 (33%) | 0 of 3 (0%) |"
    assert main(["corpora", "stats", *inputs, "--format", "json"]) == 0
    train, test = json.loads(capsys.readouterr().out)
    assert test["spans"] == {"source": 1, "cue": 1, "content": 1, "loaded": 1}
    assert (test["leans"], test["shared"], test["unreachable"]) == ({"left": 1}, 0, 0)
    assert train["answers"]["attributed"] == {"true": 12, "answered": 36}


def test_answers_of_no_confidence_are_not_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("text,framed,weight\nA shameful plan.,true,0\nThe road closed.,false,1\n")
    assert main(["corpora", "stats", str(path), "--format", "json"]) == 0
    (train,) = json.loads(capsys.readouterr().out)
    assert train["answers"] == {"framed": {"true": 0, "answered": 1}}


def test_every_text_in_another_split_is_counted_in_its_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shut = "The bridge was shut.,plain\n"
    texts = {"one": shut * 2, "two": "The mill burnt.,plain\n", "test": shut}
    for name, rows in texts.items():
        (tmp_path / f"{name}.csv").write_text(f"text,label\n{rows}", "utf-8")
    paths = [str(tmp_path / f"{name}.csv") for name in texts]
    assert main(["corpora", "stats", *paths, "--format", "json"]) == 0
    assert [part["shared"] for part in json.loads(capsys.readouterr().out)] == [2, 0, 1]


def test_show_marks_spans_with_and_without_colour(
    tmp_path: Path, article: LabelledDocument, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "one.jsonl"
    write_any([article], path)
    assert main(["corpora", "show", str(path)]) == 0
    said = capsys.readouterr().out
    assert "[source: The warden] [cue: said] [content: the gate was left open]." in said
    assert "H framed" in said
    assert "Tarn Valley Courier  left" in said
    main(["corpora", "show", str(path), "--color", "always"])
    assert "\x1b[1;4;31mFiasco\x1b[0m at the weir" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("option", "least"),
    [("check --max-tokens 2", 3), ("stats --max-tokens 0", 3), ("show -n -1", 1)],
)
def test_a_number_that_is_too_small_is_told(
    lines: Path, option: str, least: int, capsys: pytest.CaptureFixture[str]
) -> None:
    command, *rest = option.split()
    with pytest.raises(SystemExit):
        main(["corpora", command, str(lines), *rest])
    assert f"expected a number from {least} up, found {rest[1]!r}" in capsys.readouterr().err


def test_show_is_the_same_for_the_same_seed(
    lines: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = []
    for seed in ("1", "1", "2"):
        main(["corpora", "show", str(lines), "-n", "4", "--seed", seed])
        shown.append(capsys.readouterr().out)
    assert shown[0] == shown[1] != shown[2]
    assert shown[0].count("files/train") == 4


def test_show_lets_no_control_character_through(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "one.csv"
    path.write_text('text,label\n"A \x1b[31mred\x07 line",plain\n', "utf-8")
    main(["corpora", "show", str(path)])
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert "\x07" not in said


def test_convert_there_and_back(tmp_path: Path, article: LabelledDocument) -> None:
    source = tmp_path / "a.markup"
    source.write_text(ARTICLE, "utf-8")
    steps = [source, tmp_path / "b.json", tmp_path / "c", tmp_path / "d", tmp_path / "e.jsonl"]
    for before, after in itertools.pairwise(steps):
        extra = {"c": ["--to", "brat"], "d": ["--to", "hf-dataset"]}.get(after.name, [])
        assert main(["corpora", "convert", str(before), str(after), *extra]) == 0
    assert read_any(steps[-1]) == [article]


def test_convert_refuses_what_would_be_lost_unless_told(
    tmp_path: Path, article: LabelledDocument, capsys: pytest.CaptureFixture[str]
) -> None:
    source, target = tmp_path / "a.jsonl", tmp_path / "a.csv"
    write_any([article], source)
    assert main(["corpora", "convert", str(source), str(target)]) == 1
    assert "weir: 3 segments, where a row is exactly one" in capsys.readouterr().err
    assert not target.exists()
    assert main(["corpora", "convert", str(source), str(target), "--explode"]) == 0
    assert "lost: 4 evidence spans" in capsys.readouterr().err
    assert [d.id for d in read_any(target)] == ["weir#0", "weir#1", "weir#2"]


def test_convert_writes_over_another_file_only_if_told_and_never_over_its_input(
    tmp_path: Path, article: LabelledDocument, capsys: pytest.CaptureFixture[str]
) -> None:
    source, target = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    write_any([article], source)
    target.write_text("mine", "utf-8")
    convert = ["corpora", "convert", str(source)]
    assert main([*convert, str(target)]) == 1
    assert "--force" in capsys.readouterr().err
    assert target.read_text("utf-8") == "mine"
    assert main([*convert, str(target), "--force"]) == 0
    assert read_any(target) == [article]
    assert main([*convert, str(source), "--explode", "--force"]) == 1
    assert "apart from the inputs" in capsys.readouterr().err
    assert read_any(source) == [article]


def test_convert_takes_a_split_of_a_corpus(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["corpora", "convert", "starter:test", str(tmp_path / "t.jsonl")]) == 0
    assert len(read_any(tmp_path / "t.jsonl")) > 5
    assert main(["corpora", "convert", "starter:dev", str(tmp_path / "t.jsonl")]) == 1
    assert "train" in capsys.readouterr().err


def test_fetch_without_a_root_says_how_to_name_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["corpora", "fetch", "babe"]) == 1
    assert ROOT_VARIABLE in capsys.readouterr().err
    assert main(["corpora", "fetch", "starter", "--root", "anywhere"]) == 0
    assert "packaged" in capsys.readouterr().out


def test_a_corpus_over_the_texts_of_others_is_fetched_with_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["corpora", "fetch", "judged-articles", "--root", str(tmp_path)]
    assert main([*arguments, "--url", "file:///nowhere"]) == 1
    assert "texts are those of polnear and semeval2023-task3" in capsys.readouterr().err
    for source in JudgedArticles().sources:
        for path in source.info.paths:
            (tmp_path / source.folder / path).mkdir(parents=True)
    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert f"polnear: already in {tmp_path / 'polnear'}" in said
    assert f"semeval2023-task3: already in {tmp_path / 'semeval2023-task3'}" in said


def test_paths_are_read_as_the_split_that_they_name(tmp_path: Path, lines: Path) -> None:
    other = tmp_path / "more.csv"
    other.write_text(lines.read_text(), "utf-8")
    parts = read_inputs([str(lines), str(other), f"test={other}"], None)
    assert [part.split for part in parts] == ["train", "train", "test"]


def test_a_folder_of_splits_is_read_split_by_split(tmp_path: Path) -> None:
    from datasets import Dataset, DatasetDict

    split = Dataset.from_dict({"text": ["A line."], "label": ["plain"]})
    DatasetDict({"train": split, "test": split}).save_to_disk(str(tmp_path / "d"))
    assert [p.split for p in read_inputs([str(tmp_path / "d")], None)] == ["test", "train"]
