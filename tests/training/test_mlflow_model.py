from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException

import framelens
from framelens_training.model_registry import requirements, save_model
from support import write_model


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pyfunc")
    save_model(write_model(folder / "lookup"), folder / "saved")
    return folder / "saved"


@pytest.fixture
def no_pickle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")


TEXT = "The mayor said the road closed. Sign up to news."


@pytest.mark.usefixtures("no_pickle")
def test_it_answers_as_the_library_does(saved: Path) -> None:
    model = mlflow.pyfunc.load_model(str(saved))
    scorer = framelens.load(saved / "artifacts" / "lookup")
    rows = pd.DataFrame(
        {"text": [TEXT, None, "The road."], "headline": ["Shameful plan", "x", None],
         "id": ["a", "b", None]}
    )  # fmt: skip
    found = model.predict(rows).to_dict("records")
    expected = scorer.score(TEXT, "Shameful plan", id="a").to_dict()
    assert json.loads(found[0]["document"]) == expected
    assert found[0]["segments"] == expected["summary"]["segments"]
    assert [row["id"] for row in found] == ["a", "b", "2"]
    assert [row["status"] for row in found] == ["ok", "error", "ok"]
    assert "expected a field 'text'" in found[1]["error"]
    as_one = model.predict(rows.iloc[:1], params={"unit": "segment"}).iloc[0]
    assert as_one["document"] == json.dumps(
        scorer.score(TEXT, "Shameful plan", id="a", unit="segment").to_dict(), ensure_ascii=False
    )
    broken = pd.DataFrame(
        {"text": ["A \ud800 road.", 5], "id": ["a\ud800", "b\ud800"]},
        dtype=object,
    )
    found = mlflow.pyfunc.load_model(str(saved)).unwrap_python_model().predict(None, broken)
    assert list(found["id"]) == ["a\ufffd", "b\ufffd"]
    assert json.loads(found["document"][0])["segments"][0]["text"] == "A \ud800 road."
    assert found.to_csv().encode("utf-8")
    nothing = model.predict(rows.iloc[:0])
    assert list(nothing.columns) == list(as_one.index)
    with pytest.raises(ValueError, match="article or segment, found page"):
        model.predict(rows.iloc[:1], params={"unit": "page"})


@pytest.mark.usefixtures("no_pickle")
def test_numbers_are_ids_and_no_error_is_none(saved: Path) -> None:
    model = mlflow.pyfunc.load_model(str(saved))
    found = model.predict(pd.DataFrame({"text": [TEXT, None], "id": [7, 8]}))
    assert list(found["id"]) == ["7", "8"]
    gap = model.predict(pd.DataFrame({"text": [TEXT] * 3, "id": [7, None, 9]}))
    assert list(gap["id"]) == ["7", "1", "9"]  # pandas makes them floats
    assert found["error"][0] is None
    assert isinstance(found["error"][1], str)


def test_a_percent_sign_in_a_path_stands_for_itself(tmp_path: Path) -> None:
    save_model(write_model(tmp_path / "run%41/lookup"), tmp_path / "saved")
    assert (tmp_path / "saved/artifacts/lookup/model.onnx").is_file()


@pytest.mark.usefixtures("no_pickle")
def test_the_switch_does_refuse_pickle(tmp_path: Path) -> None:
    """Otherwise the test above would show nothing."""

    class Pickled(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
        def predict(self, context: object, model_input: list[str]) -> list[str]:
            return model_input

    mlflow.pyfunc.save_model(str(tmp_path / "m"), python_model=Pickled(), pip_requirements=[])
    with pytest.raises(MlflowException, match="pickle is disallowed"):
        mlflow.pyfunc.load_model(str(tmp_path / "m"))


def test_nothing_in_it_is_pickled(saved: Path) -> None:
    names = [path.name for path in saved.rglob("*") if path.is_file()]
    assert not [name for name in names if name.endswith((".pkl", ".pickle", ".bin", ".pt"))]
    assert {"mlflow_model.py", "model.onnx", "manifest.json"} <= set(names)


def test_signature_example_and_requirements(saved: Path) -> None:
    model = mlflow.models.Model.load(str(saved))
    inputs = {column.name: column.required for column in model.signature.inputs}
    assert inputs == {"text": True, "headline": False, "id": False}
    assert [p.name for p in model.signature.params] == ["unit"]
    example = model.load_input_example(str(saved))
    found = mlflow.pyfunc.load_model(str(saved)).predict(example)
    assert list(found["status"]) == ["ok"]
    for column, spec in zip(found.columns, model.signature.outputs, strict=True):
        assert column == spec.name
    lines = (saved / "requirements.txt").read_text("utf-8").split()
    assert lines == requirements()
    assert all(re.fullmatch(r"[\w.-]+==[\w.+]+", line) for line in lines)
    assert {"framelens", "onnxruntime", "tokenizers", "mlflow"} <= {
        line.partition("==")[0] for line in lines
    }
    assert model.metadata["framelens"]["name"] == "lookup"


def test_serving_needs_nothing_of_the_harness(saved: Path) -> None:
    code = """
        import sys
        sys.modules["framelens_training"] = None
        sys.modules["torch"] = None
        import mlflow, pandas
        model = mlflow.pyfunc.load_model(sys.argv[1])
        rows = pandas.DataFrame({"text": ["The mayor said so."]})
        print(model.predict(rows)["status"][0])
    """
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    }
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(saved)],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.stdout.strip() == "ok", done.stderr
