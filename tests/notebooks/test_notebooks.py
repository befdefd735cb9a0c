"""Every notebook runs from a clean kernel, and what is committed of it is fit to be shown."""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from pathlib import Path

import nbformat
import pytest
import yaml
from nbformat import NotebookNode

from execute_notebooks import execute
from framelens.artifact import BUNDLED, DEFAULT_MODEL
from framelens_training.cli import main
from framelens_training.corpora.labelled import LabelledDocument, write_jsonl
from support import tiny_documents, write_encoder

FOLDER = Path(__file__).parents[2] / "notebooks"
NAMES = sorted(path.name for path in FOLDER.glob("*.ipynb"))
MOST_BYTES = 300_000
MACHINE = re.compile(r"/(?:tmp|home|root|work|Users|var|opt)/|[A-Z]:\\\\|site-packages")


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory, model_folder: Path) -> dict[str, str]:
    """The bundled model, or the tests' own where none is bundled; a run; an empty cache."""
    folder = tmp_path_factory.mktemp("notebooks")
    store = f"sqlite:///{folder}/mlflow.db"
    found = {"FRAMELENS_CACHE": str(folder / "cache"), "MLFLOW_TRACKING_URI": store}
    if not (BUNDLED / DEFAULT_MODEL).is_dir():
        found["FRAMELENS_NOTEBOOK_MODEL"] = str(model_folder)
    return found


@pytest.fixture(scope="module")
def recorded_run(
    tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]
) -> dict[str, str]:
    """A run of a tiny model in MLflow; one test article has a wrong label."""
    folder = tmp_path_factory.mktemp("run")
    files = {}
    for name, count, first in (("train", 16, 0), ("validation", 6, 100), ("test", 8, 200)):
        documents = tiny_documents(count, first)
        if name == "test":
            documents[0] = mislabelled(documents[0])
        files[name] = str(folder / f"{name}.jsonl")
        write_jsonl(documents, Path(files[name]))
    settings = {
        "name": "small",
        "encoder": str(write_encoder(folder / "encoder")),
        "output": str(folder / "runs"),
        "threads": 1,
        "corpora": {"use": [{"name": "files", "files": files}]},
        "windows": {"max_tokens": 48, "overlap": 8},
        "training": {"epochs": 3, "learning_rate": 3e-3, "head_learning_rate": 1e-2},
        "evaluation": {"bootstrap_samples": 100, "slice_minimum": 5},
        "export": {"precision": "fp32"},
        "tracking": {"uri": environment["MLFLOW_TRACKING_URI"]},
    }
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(settings), "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FRAMELENS_CACHE", environment["FRAMELENS_CACHE"])
        assert main(["run", str(path)]) == 0
    return {"FRAMELENS_NOTEBOOK_RUN": "small"}


def mislabelled(document: LabelledDocument) -> LabelledDocument:
    """The document with its headline called framed, which no word of it is."""
    headline, *rest = document.segments
    return replace(document, segments=(replace(headline, framed=True), *rest))


def streams(notebook: NotebookNode, name: str) -> str:
    """What the cells of a notebook wrote to one stream."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return "".join(o.text for o in outputs if o.output_type == "stream" and o.name == name)


def test_articles_are_scored(environment: dict[str, str]) -> None:
    shown = streams(execute(FOLDER / "01_score_articles.ipynb", environment), "stdout")
    assert [line.split()[:2] for line in shown.splitlines()] == [
        ["a", "ok"],
        ["b", "ok"],
        ["c", "error"],
    ]


@pytest.mark.training
def test_labels_become_a_champion(environment: dict[str, str]) -> None:
    ran = execute(FOLDER / "02_retrain_on_your_labels.ipynb", environment)
    shown = streams(ran, "stdout")
    assert "next: framelens-train run labels.yaml" in shown
    assert "promoted: labels@champion is now version 1" in shown
    assert "boilerplate  Sign up for our evening letter" in shown
    assert "+calibrated, from news-en " in shown


@pytest.mark.training
def test_errors_of_a_run_are_found(
    environment: dict[str, str], recorded_run: dict[str, str]
) -> None:
    ran = execute(FOLDER / "03_error_analysis.ipynb", environment | recorded_run)
    (drawn,) = [
        output
        for cell in ran.cells
        for output in cell.get("outputs", [])
        if output.output_type == "display_data"
    ]
    assert "image/png" in drawn.data
    tables = [o.data["text/plain"] for c in ran.cells for o in c.get("outputs", []) if "data" in o]
    assert re.search(r"framed +True .* d200 .* The   road of 0", tables[-1])
    assert re.search(r"^[1-9]\d* slices, \d+ surely below", streams(ran, "stdout"), re.MULTILINE)


def test_articles_are_scored_in_batches(environment: dict[str, str]) -> None:
    ran = execute(FOLDER / "04_batch_scoring.ipynb", environment)
    values = [o.data["text/plain"] for c in ran.cells for o in c.get("outputs", []) if "data" in o]
    assert any("'errors': {'missing_text': 1}" in value for value in values)
    assert "11" in values
    assert streams(ran, "stdout").count("part-00000.parquet") == 2


def test_every_notebook_has_its_test() -> None:
    text = Path(__file__).read_text("utf-8")
    assert [name for name in NAMES if f'"{name}"' not in text] == []


@pytest.mark.parametrize("name", NAMES)
def test_what_is_committed_comes_from_a_clean_run(name: str) -> None:
    notebook = nbformat.read(FOLDER / name, as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert outputs
    assert not [output for output in outputs if output.output_type == "error"]
    assert streams(notebook, "stderr") == ""


@pytest.mark.parametrize("name", NAMES)
def test_what_is_committed_is_small_and_says_nothing_of_a_machine(name: str) -> None:
    path = FOLDER / name
    assert path.stat().st_size < MOST_BYTES
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            texts = [output.get("text", ""), *output.get("data", {}).values()]
            assert not [text for text in texts if MACHINE.search(str(text))]
    assert not any("execution" in cell.metadata for cell in notebook.cells)


@pytest.mark.parametrize("name", NAMES)
def test_notebooks_define_nothing_that_is_reused(name: str) -> None:
    for cell in nbformat.read(FOLDER / name, as_version=4).cells:
        if cell.cell_type == "code" and not cell.source.startswith("%%"):
            kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
            assert not [n for n in ast.walk(ast.parse(cell.source)) if isinstance(n, kinds)]
