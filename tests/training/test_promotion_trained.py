"""Promotion between models that were trained, from the first command to the last.

Worse and better here are a run that stops before it has learnt anything, and a whole one.
`benchmarks/promotion.py` does the same with a real encoder, and has a slice that gets worse.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import yaml
from mlflow.tracking import MlflowClient

from framelens.schema import AXES
from framelens_training.cli import main
from framelens_training.corpora.labelled import (
    ANNOTATED,
    GoldSegment,
    LabelledDocument,
    write_jsonl,
)
from framelens_training.model_registry import log_model, register
from framelens_training.tracking_store import DEFAULT_URI, absolute
from mlflow_server import Server

pytestmark = pytest.mark.training

UNTRAINED = ("training.epochs=1", "training.learning_rate=1e-7", "training.head_learning_rate=1e-7")
EXPLAIN = ("--explain", "a tiny model answers anything to what it never saw")


def sentences(first: int, count: int) -> list[LabelledDocument]:
    """Articles of one sentence each, a third of a kind."""
    found = []
    for n in range(first, first + count):
        for kind, text in (
            ("attributed", f"She said {n}."),
            ("framed", f"Shameful road {n}."),
            ("plain", f"The road is {n}."),
        ):
            answers = {axis: axis == kind for axis in AXES}
            segments = (GoldSegment("text", 0, len(text), **answers),)
            annotated = frozenset(ANNOTATED[:3])
            found.append(
                LabelledDocument(f"{kind}-{n}", text, annotated=annotated, segments=segments)
            )
    return found


@pytest.fixture(scope="module")
def models(
    tmp_path_factory: pytest.TempPathFactory, encoder_folder: Path, own_cache: None
) -> Iterator[Mapping[str, Path]]:
    """Artifacts of two runs, trained in this order into the default store.

    The working directory is a folder of their own, with its store in it.
    """
    folder = tmp_path_factory.mktemp("promotion")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        write_config(encoder_folder)
        assert main(["run", "news.yaml", "--set", *UNTRAINED]) == 0
        (untrained,) = Path("runs").glob("news-*")
        assert promote() == 0
        assert main(["run", "news.yaml"]) == 0
        (trained,) = set(Path("runs").glob("news-*")) - {untrained}
        yield {"untrained": untrained / "model", "trained": trained / "model"}


def write_config(encoder: Path) -> None:
    files = {}
    for split, first, count in (("train", 1000, 60), ("validation", 500, 20), ("test", 0, 40)):
        write_jsonl(sentences(first, count), Path(f"{split}.jsonl"))
        files[split] = f"{split}.jsonl"
    settings = {
        "name": "news",
        "encoder": str(encoder),
        "threads": 1,
        "corpora": {"use": [{"name": "files", "files": files}]},
        "windows": {"max_tokens": 48, "overlap": 8, "company_share": 0.0},
        "training": {
            "epochs": 5,
            "patience": 5,
            "learning_rate": 3e-3,
            "head_learning_rate": 1e-2,
            "batch_tokens": 256,
            "dropout": 0.0,
        },
        "evaluation": {"bootstrap_samples": 100, "baseline": False},
        "export": {"precision": "fp32"},  # a random, tiny model is not what int8 is made for
        "tracking": {"experiment": "news"},
    }
    Path("news.yaml").write_text(yaml.safe_dump(settings), "utf-8")
    # What is tried is the gate on the whole test: a tiny model may do odd things on a slice.
    Path("gates.yaml").write_text(
        "calibration: {maximum: 1.0, increase: 1.0}\nslices: {margin: 1.0}\n", "utf-8"
    )


def promote() -> int:
    return main(["promote", "news", "--config", "gates.yaml", *EXPLAIN])


def champion(uri: str) -> str:
    return str(MlflowClient(uri).get_registered_model("news").aliases["champion"])


def submit(uri: str, model: Path) -> None:
    """Register a model once more, as a run does."""
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("news")
    experiment_id = experiment.experiment_id if experiment else client.create_experiment("news")
    run_id = client.create_run(experiment_id).info.run_id
    register(client, run_id, log_model(client, run_id, model), "news", required=True)


def decide(capsys: pytest.CaptureFixture[str], code: int, rule: str) -> None:
    """Ask for the promotion: its exit code, and what its table says."""
    capsys.readouterr()
    assert promote() == code
    shown = capsys.readouterr().out
    assert re.search(rule, shown), shown


def test_of_trained_models_only_the_better_one_is_promoted(
    models: Mapping[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    store = absolute(DEFAULT_URI)
    assert champion(store) == "1"
    decide(capsys, 0, r"ok +overall +score .*\n.*: better")
    assert champion(store) == "2"
    submit(store, models["trained"])
    decide(capsys, 5, r"NO +overall +score .*\n.*: a tie")
    submit(store, models["untrained"])
    decide(capsys, 5, r"NO +overall +score .*\n.*: worse")
    assert champion(store) == "2"
    assert main(["rollback", "news"]) == 0
    assert champion(store) == "1"


def test_a_server_decides_as_a_database_does(
    models: Mapping[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    server = Server(tmp_path / "server")
    server.start()
    try:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
        submit(server.uri, models["untrained"])
        decide(capsys, 0, r"first of its name")
        submit(server.uri, models["trained"])
        decide(capsys, 0, r"ok +overall +score .*\n.*: better")
        submit(server.uri, models["trained"])
        decide(capsys, 5, r"NO +overall +score .*\n.*: a tie")
        submit(server.uri, models["untrained"])
        decide(capsys, 5, r"NO +overall +score .*\n.*: worse")
        assert champion(server.uri) == "2"
    finally:
        server.stop()
