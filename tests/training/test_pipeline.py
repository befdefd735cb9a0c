from __future__ import annotations

import json
import re
import socket
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import framelens
from framelens.artifact import Artifact
from framelens.assembly import assemble
from framelens.features import Featurizer
from framelens.network import Network
from framelens.schema import AXES
from framelens.segmentation import TextSegment
from framelens_training.cli import main, summary
from framelens_training.config import Config
from framelens_training.corpora.formats import read_any
from framelens_training.corpora.labelled import digest, read_jsonl, write_jsonl
from framelens_training.encoder import load_encoder
from framelens_training.errors import ExportError, SplitError, TrackingError
from framelens_training.evaluation import gold_label
from framelens_training.model import LossConfig, SegmentSpanModel, TorchNetwork
from framelens_training.parity_texts import PARITY_TEXTS
from framelens_training.pipeline import run
from framelens_training.progress import silent
from framelens_training.quiet import quiet_libraries
from framelens_training.run_result import RunResult
from framelens_training.settings_file import load_config
from framelens_training.settings_text import to_yaml
from framelens_training.targets import role_of
from framelens_training.tracker import NullTracker
from framelens_training.tracking import tracked_run

pytestmark = pytest.mark.training


def rerun(config: Config, **changes: object) -> Config:
    return Config.model_validate({**config.model_dump(), **changes})


@pytest.fixture
def recorded(tiny_config: Config) -> tuple[RunResult, object]:
    """A finished run and an MLflow client on its store."""
    import mlflow

    with quiet_libraries(), tracked_run(tiny_config) as tracker:
        result = run(tiny_config, tracker, silent)
    assert tracker.failures == []
    return result, mlflow.MlflowClient(tiny_config.tracking.uri)


def test_a_run_is_recorded_whole(recorded: tuple[RunResult, object], tiny_config: Config) -> None:
    result, client = recorded
    found = client.get_run(result.run_id)  # type: ignore[attr-defined]
    assert found.info.status == "FINISHED"
    assert found.data.params["training.epochs"] == "3"
    assert found.data.tags["framelens.config_sha256"] == tiny_config.digest()
    assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?|unknown", found.data.tags["framelens.git_revision"])
    assert found.data.tags["version.torch"]
    for name in (
        "train/loss",
        "validation/score",
        "test/attributed/macro_f1",
        "test/content/f1",
        "test/framed/weighted_f1",
        "test/content/partial_f1",
        "baseline/majority/framed/macro_f1",
        "baseline/rules/framed/difference_low",
        "baseline/tfidf/framed/macro_f1",
        "slice/attributed/role.body/macro_f1",
        "agreement/framed_median_difference",
        "agreement/attributed_median_difference",
        "parity/torch_onnx_max_difference",
    ):
        assert name in found.data.metrics, name
    steps = client.get_metric_history(result.run_id, "validation/score")  # type: ignore[attr-defined]
    assert len(steps) >= 2
    inputs = {
        tag.value: item.dataset.digest for item in found.inputs.dataset_inputs for tag in item.tags
    }
    assert set(inputs) == {"train", "validation", "test"}
    files = tiny_config.corpora.use[0].files
    assert files is not None
    whole = digest(read_jsonl(Path(files["train"])))
    assert whole.startswith(inputs["train"])
    assert found.data.tags["corpus.files.train.sha256"] == whole

    def paths(folder: str | None = None) -> set[str]:
        entries = client.list_artifacts(result.run_id, folder)  # type: ignore[attr-defined]
        return {p for e in entries for p in ({e.path} if not e.is_dir else paths(e.path))}

    assert {
        "config.yaml",
        "decoding.json",
        "packages.txt",
        "figures/confusion.png",
        "figures/learning_curves.png",
        "figures/precision_recall.png",
        "figures/reliability.png",
        "figures/slices.png",
        "predictions/test.parquet",
        "slices/test.json",
    } <= paths()
    version = client.get_model_version_by_alias("tiny", "challenger")  # type: ignore[attr-defined]
    assert version.run_id == result.run_id
    loaded = framelens.load(f"runs:/{result.run_id}/model")
    assert loaded.model == Artifact.open(result.artifact).info


def test_the_artifact_scores_as_it_was_evaluated(
    recorded: tuple[RunResult, object], tiny_config: Config
) -> None:
    result, _ = recorded
    scorer = framelens.load(result.artifact)
    assert scorer.artifact.manifest.training["run_id"] == result.run_id
    corpora = scorer.artifact.manifest.training["corpora"]
    assert set(corpora[0]["sha256"]) == {"train", "validation", "test"}
    assert len(scorer.artifact.manifest.golden) == 3
    test = read_jsonl(Path((tiny_config.corpora.use[0].files or {})["test"]))
    right = 0
    for document in test:
        gold = [(s, gold_label(s)) for s in document.segments]
        given = [
            TextSegment(role_of(s), s.field, s.start, s.end, document.segment_text(s))
            for s, _ in gold
        ]
        logits, spans = scorer.logits(given)
        scored = assemble(given, logits, spans, scorer.artifact.manifest.decoding)
        right += sum(a.label == b for a, (_, b) in zip(scored, gold, strict=True))
    confusion = result.metrics.labels
    assert right == np.trace(confusion)
    assert right > 0.8 * confusion.sum()  # the words decide in this corpus
    shown = summary(result, "http://store/#/experiments/1/runs/2")
    assert str(result.artifact) in shown
    assert "look at it http://store/#/experiments/1/runs/2" in shown
    assert "\nthe model is " in shown


def test_the_same_seed_gives_the_same_metrics(tiny_config: Config, tmp_path: Path) -> None:
    with quiet_libraries():
        first = run(tiny_config, NullTracker(), silent)
        second = run(rerun(tiny_config, output=str(tmp_path / "again")), NullTracker(), silent)
        other = run(
            rerun(tiny_config, output=str(tmp_path / "other"), seed=99), NullTracker(), silent
        )
    assert first.flat() == second.flat()
    assert first.artifact.joinpath("model.onnx").read_bytes() == (
        second.artifact.joinpath("model.onnx").read_bytes()
    )
    assert first.flat() != other.flat()


def test_what_no_label_taught_is_never_answered(tiny_config: Config, tmp_path: Path) -> None:
    files = {}
    for name, path in (tiny_config.corpora.use[0].files or {}).items():
        # Of validation the other axes are known as well: nothing is tuned by them.
        known = frozenset(AXES if name == "validation" else {"framed"})
        documents = [
            replace(document, annotated=known, spans=()) for document in read_any(Path(path))
        ]
        files[name] = str(tmp_path / f"{name}.jsonl")
        write_jsonl(documents, Path(files[name]))
    said: list[str] = []
    use = [{"name": "files", "files": files}]
    config = rerun(tiny_config, corpora={"use": use}, export={"precision": "int8"})
    with quiet_libraries():
        result = run(config, NullTracker(), said.append)
    silent_parts = "attributed, boilerplate, attribution_spans, loaded_spans"
    assert any(silent_parts in line for line in said)
    decoding = Artifact.open(result.artifact).manifest.decoding
    for axis in ("attributed", "boilerplate"):
        assert (decoding.temperatures[axis], decoding.thresholds[axis]) == (1.0, 0.5)
    scorer = framelens.load(result.artifact)
    document = scorer.score("“It is closed,” the mayor said. Sign up.", "A shameful plan")
    for segment in document.segments:
        assert segment.spans == ()
        assert segment.scores["attributed"] < 0.01
        assert segment.scores["boilerplate"] < 0.01
    assert {segment.scores["framed"] for segment in document.segments} != {0.0}


def test_onnx_agrees_with_torch_on_hard_texts(encoder_folder: Path, tmp_path: Path) -> None:
    from framelens.graph_file import positions_of
    from framelens_training.config import LOSS_PARTS, Windows
    from framelens_training.export import export_onnx

    encoder = load_encoder(str(encoder_folder))
    ones = dict.fromkeys(LOSS_PARTS, 1.0)
    model = SegmentSpanModel(encoder.module, 0.1, LossConfig(ones, ones))
    path = tmp_path / "model.onnx"
    whole = tmp_path / "whole.onnx"
    with quiet_libraries():
        export_onnx(model, path, longest=64)
        export_onnx(model, whole)
    width = encoder.hidden_size
    left_out = encoder.module.config.max_position_embeddings - 64
    saved = whole.stat().st_size - path.stat().st_size
    assert saved >= 4 * width * left_out, "positions that no window has are left out"
    assert positions_of(path) == 64
    for where in (b'File "', b"site-packages", b"framelens_training"):
        assert where not in path.read_bytes(), "nothing of the machine that exported"
    featurizer: Featurizer = encoder.featurizer(Windows(max_tokens=64, overlap=16))
    torch_network, onnx_network = TorchNetwork(model), Network(path)
    count = 0
    for text in PARITY_TEXTS:
        for window in featurizer.featurize([text, "A plan."], ["headline", "body"]).windows:
            for ours, theirs in zip(torch_network(window), onnx_network(window), strict=True):
                np.testing.assert_allclose(ours, theirs, atol=1e-4)
                count += 1
    assert count > 60


def test_an_export_that_differs_is_refused(tiny_config: Config) -> None:
    tight = rerun(tiny_config, export={"precision": "fp32", "parity_tolerance": 1e-12})
    with quiet_libraries(), pytest.raises(ExportError, match=r"within 1e-12 of torch.*checkpoints"):
        run(tight, NullTracker(), silent)


def test_a_crash_ends_failed_with_its_traceback(tiny_config: Config) -> None:
    import mlflow

    def fail(words: str) -> None:
        try:
            raise ValueError(f"2 problems:\n  in {words}")
        except ValueError as error:
            raise RuntimeError(f"on purpose:\n  in {words}") from error

    with pytest.raises(RuntimeError, match="on purpose"), tracked_run(tiny_config) as tracker:
        fail("The weir held.")
    client = mlflow.MlflowClient(tiny_config.tracking.uri)
    found = client.get_run(tracker.run_id)
    assert found.info.status == "FAILED"
    assert found.data.tags["framelens.error"] == "RuntimeError: on purpose:"
    path = client.download_artifacts(tracker.run_id, "traceback.txt")
    told = Path(path).read_text("utf-8").splitlines()
    assert told[-1] == "RuntimeError: on purpose:"
    assert "ValueError: 2 problems:" in told
    assert sum(line.endswith("in fail") for line in told) == 2
    assert not any(line.endswith("The weir held.") for line in told)


def test_an_interrupted_run_ends_killed(tiny_config: Config) -> None:
    import mlflow

    with pytest.raises(KeyboardInterrupt), tracked_run(tiny_config) as tracker:
        raise KeyboardInterrupt
    client = mlflow.MlflowClient(tiny_config.tracking.uri)
    assert client.get_run(tracker.run_id).info.status == "KILLED"


def test_an_unreachable_server_is_told_before_training(tiny_config: Config) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    uri = f"http://127.0.0.1:{port}"
    config = rerun(tiny_config, tracking={"uri": uri})
    entered = False
    with pytest.raises(TrackingError, match="cannot be used"), tracked_run(config):
        entered = True
    assert not entered


def test_a_server_that_vanishes_does_not_lose_the_model(
    tiny_config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

    def refuse(*arguments: object, **options: object) -> None:
        raise MlflowException("the server has gone")

    with quiet_libraries(), tracked_run(tiny_config) as tracker:
        for name in ("log_batch", "log_artifact", "log_table", "log_text"):
            monkeypatch.setattr(MlflowClient, name, refuse)
        result = run(tiny_config, tracker, silent)
    assert tracker.waiting > 5
    assert "figures/confusion.png" in tracker.journal.path.read_text("utf-8")
    assert Artifact.open(result.artifact).manifest.name == "tiny"


def test_an_empty_split_is_told(tiny_config: Config, tmp_path: Path) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.write_text("", "utf-8")
    files = {**(tiny_config.corpora.use[0].files or {}), "validation": str(empty)}
    config = rerun(tiny_config, corpora={"use": [{"name": "files", "files": files}]})
    with pytest.raises(SplitError, match="'validation', found none in files"):
        run(config, NullTracker(), silent)
    assert not list(Path(config.output).glob("*"))  # nothing that looks like a run to go on with


def test_a_validation_with_one_answer_only_is_told(tiny_config: Config, tmp_path: Path) -> None:
    files = dict(tiny_config.corpora.use[0].files or {})
    documents = [
        replace(
            document,
            annotated=frozenset({"framed"}),
            segments=tuple(segment for segment in document.segments if not segment.framed),
        )
        for document in read_any(Path(files["validation"]))
    ]
    files["validation"] = str(tmp_path / "neutral.jsonl")
    write_jsonl(documents, Path(files["validation"]))
    config = rerun(tiny_config, corpora={"use": [{"name": "files", "files": files}]})
    with pytest.raises(SplitError, match="one answer only in 5 documents"), quiet_libraries():
        run(config, NullTracker(), silent)
    assert not list(Path(config.output).glob("*"))


def test_the_command_line(
    tiny_config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(to_yaml(tiny_config), "utf-8")
    assert main(["run", str(path), "--set", "training.epochs=1"]) == 0
    shown = capsys.readouterr().out
    assert "validation score" in shown
    assert "TF-IDF" in shown
    assert "better than the best by" in shown
    assert f"mlflow ui --backend-store-uri {tiny_config.tracking.uri}" in shown
    assert re.search(r"then http://127.0.0.1:5000/#/experiments/1/runs/[0-9a-f]{32}\n", shown)
    (artifact,) = (tmp_path / "runs").glob("*/model")
    manifest = json.loads((artifact / "manifest.json").read_text("utf-8"))
    assert manifest["training"]["config"]["training"]["epochs"] == 1
    assert load_config(path).name == "tiny"


@pytest.mark.parametrize(
    ("change", "code", "says"),
    [
        ("training.epohs=1", 2, "did you mean 'epochs'?"),
        ("encoder=/no/such/encoder", 1, "a local directory"),
        ("corpora.use=[{name: files, files: {train: none.jsonl}}]", 1, "none.jsonl"),
        ("corpora.use=[{name: startr}]", 1, "starter"),
        ("output=/dev/null/runs", 1, "cannot be made: Not a directory; set 'output'"),
    ],
)
def test_what_a_user_gets_wrong(
    tiny_config: Config,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: str,
    code: int,
    says: str,
) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(to_yaml(tiny_config), "utf-8")
    assert main(["run", str(path), "--no-tracking", "--set", change]) == code
    assert says in " ".join(capsys.readouterr().err.split())
