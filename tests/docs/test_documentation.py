"""What the documentation says can be done: commands parse, snippets run, links lead somewhere."""

from __future__ import annotations

import argparse
import json
import re
import shlex
import shutil
import subprocess
import textwrap
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import framelens
import framelens.cli
import framelens_training
import framelens_training.cli
from framelens_training.corpora.formats import read_any
from framelens_training.settings_file import load_config

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "inference/README.md")
)
HOWTO = "docs/howto"
PARSERS: dict[str, Callable[[], argparse.ArgumentParser]] = {
    "framelens": framelens.cli._parser,
    "framelens-train": framelens_training.cli._parser,
}
TOP_LEVEL = "benchmarks|configs|docs|examples|inference|notebooks|tests|training"


def lines_of_code(page: str) -> Iterator[tuple[int, str]]:
    """Lines of indented and fenced blocks, where Markdown shows commands."""
    fenced = False
    for number, line in enumerate((ROOT / page).read_text("utf-8").splitlines(), start=1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif fenced or line.startswith("    "):
            yield number, line.strip()


def commands(page: str) -> list[tuple[int, list[str]]]:
    """The words of each framelens command in a block, up to a pipe or a redirection."""
    found = []
    for number, line in lines_of_code(page):
        for part in line.removeprefix("$ ").split(" | "):
            if part.startswith(tuple(f"{name} " for name in PARSERS)):
                words = shlex.split(part, comments=True)
                ends = [n for n, word in enumerate(words) if word in (">", "|", "||", "&&", "&")]
                found.append((number, words[: ends[0]] if ends else words))
    return found


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / page).read_text("utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def slug(heading: str) -> str:
    """The anchor of a heading, as GitHub and MyST make it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def test_there_are_commands_to_look_at() -> None:
    assert sum(len(commands(page)) for page in PAGES) > 30


@pytest.mark.parametrize("page", PAGES)
def test_commands_are_understood(page: str, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = []
    for number, (name, *arguments) in commands(page):
        try:
            PARSERS[name]().parse_args(arguments)
        except SystemExit as left:
            if left.code != 0:
                wrong.append(f"{page}:{number}: {capsys.readouterr().err.splitlines()[-1]}")
    assert wrong == []


def options_of(words: list[str]) -> tuple[str, set[str]]:
    """The command that words name, and its options; words that name none are arguments."""
    parser = PARSERS[words[0]]()
    name = [words[0]]
    for word in words[1:]:
        inner = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
        if not inner:
            break
        if word not in inner[0].choices:
            return " ".join([*name, word]), set()
        parser = inner[0].choices[word]
        name.append(word)
    return " ".join(name), {option for a in parser._actions for option in a.option_strings}


@pytest.mark.parametrize("page", PAGES)
def test_commands_within_sentences_exist(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    wrong = []
    for code in re.findall(r"(?<!`)`(framelens(?:-train)? [^`]+)`(?!`)", text):
        words = code.split()
        name, options = options_of(words)
        given = {word.partition("=")[0] for word in words if word.startswith("-") and word != "-"}
        if not options and len(words) > 1 and words[1].islower():
            wrong.append(f"`{code}`: no command {name}")
        elif options and given - options:
            wrong.append(f"`{code}`: no option {', '.join(sorted(given - options))}")
    assert wrong == []


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    wrong = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = ((ROOT / page).parent / path) if path else ROOT / page
        if not file.exists():
            wrong.append(target)
        elif anchor:
            headings = re.findall(r"^#+ (.+)$", file.read_text("utf-8"), re.MULTILINE)
            if anchor not in map(slug, headings):
                wrong.append(target)
    assert wrong == []


@pytest.mark.parametrize("page", PAGES)
def test_files_that_are_named_exist(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    named = re.findall(rf"(?<![\w./-])((?:{TOP_LEVEL})/[\w./-]*\w/?)(?![\w*/.])", text)
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_make_targets_exist(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = re.findall(r"`make ([a-z]+)", text)
    named += [line.split()[1] for _, line in lines_of_code(page) if line.startswith("make ")]
    assert [name for name in named if name not in targets] == []


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_make_takes_folders_with_spaces_and_cleans_where_it_built() -> None:
    def told(*arguments: str) -> str:
        command = ["make", "--no-print-directory", "-n", *arguments]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    bench = told("bench", "FRAMELENS_CORPORA=/the corpora", "MODEL=the model")
    lines = [shlex.split(line) for line in bench.splitlines() if "the " in line]
    assert {"/the corpora", "the model"} <= {word for line in lines for word in line}
    assert all({"/the corpora", "the model"} & set(line) for line in lines)
    assert " | " not in bench, "of a pipe, make sees only whether its last command failed"
    built = {"build", "inference/build", "inference/news-en-fast/build"}
    clean = set(shlex.split(told("clean")))
    assert built | {"runs/demo"} <= clean
    own = {"runs", "mlflow.db*", "mlartifacts"}
    assert not own & clean, "what a person has trained is not made again"
    assert own | built <= set(shlex.split(told("distclean")))


def test_the_distributions_have_one_version() -> None:
    version = framelens.__version__
    projects = [
        tomllib.loads((ROOT / name / "pyproject.toml").read_text("utf-8"))["project"]
        for name in (".", "inference", "inference/news-en-fast")
    ]
    assert {project["version"] for project in projects} == {version}
    assert f"framelens=={version}" in projects[0]["dependencies"]
    assert framelens_training.__version__ == version
    deploy = (ROOT / "docs/howto/deploy.md").read_text("utf-8")
    assert f"framelens-{version}-py3" in deploy
    assert f"framelens_news_en_fast-{version}-py3" in deploy
    assert f"## [{version}]" in (ROOT / "CHANGELOG.md").read_text("utf-8")


@pytest.mark.parametrize("page", PAGES)
def test_configurations_load(page: str, tmp_path: Path) -> None:
    runs = [text for text in blocks(page, "yaml") if re.search(r"^corpora:", text, re.MULTILINE)]
    for number, text in enumerate(runs):
        path = tmp_path / f"{number}.yaml"
        # A page may show a part of a config.
        name = "" if re.search(r"^name:", text, re.MULTILINE) else "name: shown\n"
        path.write_text(name + text, "utf-8")
        load_config(path)


@pytest.fixture
def any_model(monkeypatch: pytest.MonkeyPatch, model_folder: Path) -> None:
    """Whatever model a snippet names, it gets the tests' own."""
    load = framelens.load

    def instead(_model: object = None, **options: Any) -> framelens.Scorer:
        return load(model_folder, **options)

    monkeypatch.setattr(framelens, "load", instead, raising=False)


ARTICLES = [
    {
        "id": "a",
        "headline": "Road closed, mayor said",
        "text": "The minister said road closed.",
    },
    {"id": "b", "text": "Sign up to news"},
]


@pytest.mark.usefixtures("any_model")
@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")])
def test_snippets_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lines = [json.dumps(article) + "\n" for article in ARTICLES]
    Path("articles.jsonl").write_text("".join(lines), "utf-8")
    # What a short snippet takes for granted.
    names: dict[str, Any] = {"scorer": framelens.load(), **ARTICLES[0]}
    for number, source in enumerate(blocks(page, "python")):
        exec(compile(source, f"{page}, block {number}", "exec"), names)


def test_the_example_of_the_headline_check_is_what_the_model_says() -> None:
    text = (ROOT / "docs/headline_check.md").read_text("utf-8")
    code, told = re.findall(r"(?:^    .*\n)+", text, re.MULTILINE)[:2]
    found = eval(textwrap.dedent(code), {"framelens": framelens})
    rows = json.dumps(json.loads(told)), json.dumps(found)
    number = re.compile(r"0\.\d+")
    assert number.sub("#", rows[0]) == number.sub("#", rows[1])
    expected, answered = (list(map(float, number.findall(row))) for row in rows)
    assert answered == pytest.approx(expected, abs=0.05), "another processor rounds otherwise"


@pytest.mark.usefixtures("any_model")
def test_proposals_can_be_annotated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    test_snippets_run(f"{HOWTO}/annotate.md", tmp_path, monkeypatch)
    tasks = Path("tasks.json")
    assert not read_any(tasks)  # nobody has looked at them
    submitted = [
        {**task, "annotations": task["predictions"]}
        for task in json.loads(tasks.read_text("utf-8"))
    ]
    tasks.write_text(json.dumps(submitted), "utf-8")
    first, second = read_any(tasks)
    assert [s.field for s in first.segments] == ["headline", "text"]
    assert "attributed" in first.annotated
    assert {span.type for span in first.spans} >= {"source", "cue"}
    assert [s.boilerplate for s in second.segments] == [True]


def test_the_example_reader_reads(tmp_path: Path) -> None:
    names: dict[str, Any] = {}
    exec(blocks(f"{HOWTO}/corpus_reader.md", "python")[1], names)
    rows = [f"{n},{n // 3},Sentence number {n}.,{'yes' if n % 2 else 'no'}" for n in range(30)]
    (tmp_path / "desk").mkdir()
    table = "\n".join(["id,article,text,biased", *rows, "99,99,  ,no"])
    (tmp_path / "desk/sentences.csv").write_text(table, "utf-8")
    splits, report = names["Desk"]().read_with_report(tmp_path)
    documents = [document for split in splits.values() for document in split]
    assert len(documents) == 30
    assert sum(bool(d.segments[0].framed) for d in documents) == 15
    assert report.counts == {"dropped: empty sentence": 1}
