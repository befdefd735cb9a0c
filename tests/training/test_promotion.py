from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from mlflow.tracking import MlflowClient

import framelens
from framelens.artifact import Artifact, Golden, write_manifest
from framelens.schema import AXES
from framelens_training import promotion
from framelens_training.cli import main
from framelens_training.config import Config
from framelens_training.corpora.labelled import (
    ANNOTATED,
    GoldSegment,
    LabelledDocument,
    digest,
    write_jsonl,
)
from framelens_training.gates import Gates, load_gates
from framelens_training.judgement import Judgement
from framelens_training.model_registry import log_model, register
from framelens_training.seen_texts import fingerprint, write_seen
from framelens_training.teachers import load_teacher
from mlflow_server import Server
from support import EVIDENCE, write_model

Evidence = Mapping[str, Mapping[str, float]]
# The champion misses every sentence that mocks with "yet another"; the others know it.
CHAMPION: Evidence = EVIDENCE
BETTER: Evidence = {**EVIDENCE, "another": {"framed": 60.0}}
WORSE: Evidence = {k: v for k, v in EVIDENCE.items() if k != "shameful"}
# Better on the whole, and blind for the sentences of the small outlet, which has plans.
REGRESSED: Evidence = {**BETTER, "plan": {"framed": -90.0}}
NO_FURNITURE: Evidence = {k: v for k, v in BETTER.items() if k != "sign"}

SIZES = {"herald": 40, "gazette": 16}


def sentence(name: str, text: str, outlet: str, **answers: bool) -> LabelledDocument:
    axes = {axis: answers.get(axis, False) for axis in AXES}
    return LabelledDocument(
        name,
        text,
        outlet=outlet,
        annotated=frozenset(ANNOTATED[:3]),
        segments=(GoldSegment("text", 0, len(text), **axes),),
    )


def sentences() -> list[LabelledDocument]:
    found = []
    for outlet, size in SIZES.items():
        noun = "plan" if outlet == "gazette" else "road"
        for n in range(size):
            start = "Shameful" if n % 2 else "Yet another"
            found += [
                sentence(f"{outlet}-a{n}", f"She said {n}.", outlet, attributed=True),
                sentence(f"{outlet}-f{n}", f"{start} {noun} {n}.", outlet, framed=True),
                sentence(f"{outlet}-p{n}", f"The {noun} is {n} miles long.", outlet),
            ]
    return found


@pytest.fixture(scope="module")
def splits(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("labels")
    test = sentences()
    paths = {}
    for name, documents in (("train", test[::7]), ("validation", test[::5]), ("test", test)):
        paths[name] = folder / f"{name}.jsonl"
        write_jsonl(documents, paths[name])
    return paths


@pytest.fixture(scope="module", params=["sqlite", "server"])
def store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("store")
    if request.param == "sqlite":
        uri = f"sqlite:///{folder}/mlflow.db"
        MlflowClient(uri).create_experiment("models", (folder / "artifacts").as_uri())
        yield uri
        return
    server = Server(folder)
    server.start()
    MlflowClient(server.uri).create_experiment("models")
    yield server.uri
    server.stop()


Submit = Callable[..., str]


@pytest.fixture
def submit(
    store: str, splits: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Submit:
    """Register a model of some evidence as the challenger of `news`, as a run does."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    client = MlflowClient(store)
    for model in client.search_registered_models():
        client.delete_registered_model(model.name)
    numbers = iter(range(100))

    def submit(evidence: Evidence, **changes: Any) -> str:
        files = {name: str(path) for name, path in splits.items()}
        config = Config.model_validate(
            {"name": "news", "corpora": {"use": [{"name": "files", "files": files}]}}
        )
        training = {
            "config": config.to_dict(),
            "corpora": [
                {"name": "files", "licence": "own", "sha256": {"test": digest(sentences())}}
            ],
            "parity": {"parity/torch_onnx_max_difference": 1e-6},
        }
        folder = write_model(
            tmp_path / f"model{next(numbers)}", evidence, **{"training": training, **changes}
        )
        manifest = Artifact.open(folder).manifest
        document = framelens.load(folder).score("Sign up to news.")
        golden = Golden(
            "Sign up to news.",
            None,
            tuple(s.label for s in document.segments),
            tuple(tuple(s.scores[a] for a in AXES) for s in document.segments),
        )
        write_manifest(folder, dataclasses.replace(manifest, golden=(golden,)))
        experiment = client.get_experiment_by_name("models")
        assert experiment is not None
        run_id = client.create_run(experiment.experiment_id).info.run_id
        version = register(client, run_id, log_model(client, run_id, folder), "news", required=True)
        assert version is not None
        return version

    return submit


def champion(store: str) -> str | None:
    aliases = MlflowClient(store).get_registered_model("news").aliases
    return str(aliases["champion"]) if "champion" in aliases else None


def tags(store: str, version: str) -> dict[str, str]:
    found: dict[str, str] = MlflowClient(store).get_model_version("news", version).tags
    return found


def test_better_is_promoted_and_can_be_rolled_back(
    store: str, submit: Submit, capsys: pytest.CaptureFixture[str]
) -> None:
    first = submit(CHAMPION)
    assert main(["promote", "news"]) == 0
    assert champion(store) == first
    second = submit(BETTER)
    assert main(["promote", "news", "--dry-run"]) == 0
    assert "would be promoted" in capsys.readouterr().out
    assert champion(store) == first
    assert "framelens.promotion.decision" not in tags(store, second)
    assert main(["promote", "news"]) == 0
    shown = capsys.readouterr().out
    assert f"promoted: news@champion is now version {second}" in shown
    assert champion(store) == second
    found = tags(store, second)
    assert found["framelens.promotion.decision"] == "promoted"
    assert found["framelens.promotion.against"] == first
    assert found["framelens.promotion.test_sha256"] == digest(sentences())
    assert found["framelens.champion.previous"] == first
    loaded = framelens.load("models:/news@champion")
    assert loaded.score("Yet another road.").segments[0].label == "framed"

    assert main(["rollback", "news", "--reason", "too many complaints"]) == 0
    assert champion(store) == first
    assert "too many complaints" in tags(store, second)["framelens.rollback"]
    assert main(["rollback", "news"]) == 1
    assert "it is the first" in capsys.readouterr().err
    assert main(["promote", "news"]) == 1  # the challenger was used up
    assert "alias 'challenger', found none" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["promote", "rollback"])
def test_where_nothing_was_recorded_no_store_is_made(
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert main([command, "news"]) == 1
    assert "expected mlflow.db in the working directory" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("evidence", "gate"),
    [
        pytest.param(WORSE, r"NO +overall +score .*\n.*worse", id="worse"),
        pytest.param(CHAMPION, r"NO +overall +score .*\n.*a tie", id="tie"),
        pytest.param(REGRESSED, r"NO +slice +framed, outlet gazette", id="slice"),
        pytest.param(NO_FURNITURE, r"NO +golden .*\n.*boilerplate -> plain", id="golden"),
    ],
)
def test_what_is_not_better_everywhere_is_refused(
    store: str,
    submit: Submit,
    capsys: pytest.CaptureFixture[str],
    evidence: Evidence,
    gate: str,
) -> None:
    first = submit(CHAMPION)
    assert main(["promote", "news"]) == 0
    second = submit(evidence)
    capsys.readouterr()
    assert main(["promote", "news"]) == 5
    shown = capsys.readouterr().out
    assert re.search(gate, shown), shown
    if evidence is REGRESSED:
        assert re.search(r"ok +overall +score .*\n.*: better", shown), shown
    assert champion(store) == first
    assert tags(store, second)["framelens.promotion.decision"] == "refused"
    aliases = MlflowClient(store).get_registered_model("news").aliases
    assert str(aliases["challenger"]) == second


# The rest is the same for every store: it is tried on one.
on_sqlite = pytest.mark.parametrize("store", ["sqlite"], indirect=True)


@on_sqlite
def test_a_slice_of_one_article_is_not_worse_with_certainty(
    submit: Submit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    documents = [
        dataclasses.replace(d, meta={"group": "one"}) if d.outlet == "gazette" else d
        for d in sentences()
    ]
    write_jsonl(documents, tmp_path / "pinned.jsonl")
    submit(CHAMPION)
    assert main(["promote", "news"]) == 0
    submit(REGRESSED)
    capsys.readouterr()
    pinned = ["--test", str(tmp_path / "pinned.jsonl"), "--sha256", digest(documents)]
    main(["promote", "news", *pinned])
    shown = capsys.readouterr().out
    assert re.search(r"ok +slice +framed, outlet gazette.*\n +difference -0\.\d+\n", shown), shown


@on_sqlite
def test_a_changed_golden_example_passes_with_an_explanation(
    store: str, submit: Submit, capsys: pytest.CaptureFixture[str]
) -> None:
    submit(CHAMPION)
    assert main(["promote", "news"]) == 0
    second = submit(NO_FURNITURE)
    assert main(["promote", "news", "--explain", "furniture is cut off before scoring"]) == 0
    assert "furniture is cut off" in capsys.readouterr().out
    assert champion(store) == second
    assert "cut off" in tags(store, second)["framelens.promotion.explanation"]


@on_sqlite
def test_a_champion_that_was_changed_meanwhile_stays(
    store: str, submit: Submit, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    submit(CHAMPION)
    assert main(["promote", "news"]) == 0
    other, challenger = submit(WORSE), submit(BETTER)
    whole = promotion._judge

    def slowly(*arguments: Any) -> Judgement:
        MlflowClient(store).set_registered_model_alias("news", "champion", other)
        return whole(*arguments)

    monkeypatch.setattr(promotion, "_judge", slowly)
    assert main(["promote", "news"]) == 1
    assert "was changed while the challenger was judged" in capsys.readouterr().err
    assert champion(store) == other
    assert "framelens.promotion.decision" not in tags(store, challenger)


@on_sqlite
def test_a_challenger_that_came_meanwhile_stays_one(
    store: str, submit: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = submit(CHAMPION)
    whole = promotion._judge
    came: list[str] = []

    def slowly(*arguments: Any) -> Judgement:
        came.append(submit(BETTER))
        return whole(*arguments)

    monkeypatch.setattr(promotion, "_judge", slowly)
    assert main(["promote", "news"]) == 0
    assert champion(store) == first
    aliases = MlflowClient(store).get_registered_model("news").aliases
    assert str(aliases["challenger"]) == came[0]


@on_sqlite
def test_a_predecessor_that_was_deleted_does_not_come_back(
    store: str, submit: Submit, capsys: pytest.CaptureFixture[str]
) -> None:
    first = submit(CHAMPION)
    assert main(["promote", "news"]) == 0
    second = submit(BETTER)
    assert main(["promote", "news"]) == 0
    MlflowClient(store).delete_model_version("news", first)
    assert main(["rollback", "news"]) == 1
    assert f"version {first} was deleted" in capsys.readouterr().err
    assert champion(store) == second


@on_sqlite
@pytest.mark.parametrize(
    ("changes", "gate"),
    [
        ({"training": {}}, None),
        ({"precision": "int8"}, r"NO +parity +labels int8 changes .*not recorded"),
    ],
)
def test_the_first_must_keep_the_absolute_limits(
    store: str,
    submit: Submit,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, Any],
    gate: str | None,
) -> None:
    submit(BETTER, **changes)
    if gate is None:
        assert main(["promote", "news"]) == 1
        assert "give the test documents with --test" in capsys.readouterr().err
    else:
        assert main(["promote", "news"]) == 5
        assert re.search(gate, capsys.readouterr().out)
    assert champion(store) is None


def test_the_shipped_gates_are_the_defaults() -> None:
    path = Path(__file__).parents[2] / "configs" / "gates" / "default.yaml"
    assert load_gates(path) == Gates()


@on_sqlite
def test_limits_come_from_a_file(
    store: str, submit: Submit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    submit(CHAMPION)
    gates = tmp_path / "gates.yaml"
    gates.write_text("calibration: {maximum: 0.001}\n", "utf-8")
    assert main(["promote", "news", "--config", str(gates)]) == 5
    assert re.search(r"NO +calibration +ECE, framed", capsys.readouterr().out)
    gates.write_text("calibration: {maximum: 0.001, minimum: 169}\n", "utf-8")
    assert main(["promote", "news", "--config", str(gates), "--dry-run"]) == 0
    assert "not judged: n = 168 < 169" in capsys.readouterr().out
    gates.write_text("calibration: {maximum: 0.9, increase: 0.9}\nslices: {margin: 0.9}\n", "utf-8")
    assert main(["promote", "news", "--config", str(gates)]) == 0
    submit(REGRESSED)
    assert main(["promote", "news", "--config", str(gates), "--dry-run"]) == 0
    gates.write_text("overal: {margin: 1}\ncalibration: {maximum: 2}\n", "utf-8")
    capsys.readouterr()
    assert main(["promote", "news", "--config", str(gates)]) == 2
    shown = capsys.readouterr().err
    assert "did you mean 'overall'?" in shown
    assert "2 problem(s)" in shown


@on_sqlite
@pytest.mark.parametrize("is_first", [True, False])
def test_a_test_with_one_answer_only_decides_nothing(
    store: str,
    submit: Submit,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    is_first: bool,
) -> None:
    if not is_first:
        submit(CHAMPION)
        assert main(["promote", "news"]) == 0
    submit(BETTER)
    plain = [d for d in sentences() if not any(d.segments[0].axis(axis) for axis in AXES)]
    write_jsonl(plain, tmp_path / "plain.jsonl")
    capsys.readouterr()
    command = ["promote", "news", "--test", str(tmp_path / "plain.jsonl")]
    assert main([*command, "--sha256", digest(plain)]) == 5
    assert re.search(r"NO +overall +score .*\n.*no score", capsys.readouterr().out)


@on_sqlite
def test_other_test_documents_need_their_sum(
    store: str, submit: Submit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    submit(CHAMPION)
    assert main(["promote", "news"]) == 0
    submit(BETTER)
    other = tmp_path / "other.jsonl"
    documents = [dataclasses.replace(d, id=f"o-{d.id}") for d in sentences()]
    write_jsonl(documents, other)
    capsys.readouterr()
    assert main(["promote", "news", "--test", str(other)]) == 1
    assert f"--test FILE --sha256 {digest(documents)}" in capsys.readouterr().err
    command = ["promote", "news", "--test", str(other), "--sha256"]
    assert main([*command, "0" * 64]) == 1
    assert "give the documents that were pinned" in capsys.readouterr().err
    assert main([*command, digest(documents).upper()]) == 0


@on_sqlite
@pytest.mark.parametrize("split", ["train", "validation"])
def test_documents_that_a_model_was_trained_on_are_no_test(
    store: str,
    submit: Submit,
    splits: dict[str, Path],
    split: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    seen = sentences()[::7]
    corpora = [{"name": "files", "licence": "own", "sha256": {split: digest(seen)}}]
    submit(BETTER, training={"corpora": corpora})
    command = ["promote", "news", "--test", str(splits["train"]), "--sha256", digest(seen)]
    assert main(command) == 1
    assert "no model was trained on" in capsys.readouterr().err


@on_sqlite
def test_one_text_that_a_model_has_learnt_from_is_enough(
    store: str, submit: Submit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_seen(tmp_path, map(fingerprint, [sentences()[2], LabelledDocument("x", "Other.")]))
    submit(BETTER)  # its folder lies where its run noted that
    assert main(["promote", "news"]) == 1
    expected = "found 1 of 168 that it has: herald-p0; give others with --test"
    assert expected in capsys.readouterr().err
    write_seen(tmp_path, [fingerprint(LabelledDocument("x", "Other."))])
    submit(BETTER)
    assert main(["promote", "news"]) == 0


@on_sqlite
def test_what_a_teacher_in_the_registry_has_learnt_from_is_known(
    store: str, submit: Submit, splits: dict[str, Path], tmp_path: Path
) -> None:
    write_seen(tmp_path, [fingerprint(sentences()[1])])
    submit(BETTER)
    use = [{"name": "files", "files": {name: str(path) for name, path in splits.items()}}]
    config = Config.model_validate(
        {"name": "student", "corpora": {"use": use}, "tracking": {"uri": store}}
    )
    teacher = load_teacher("models:/news@challenger", config)
    assert teacher.seen == {fingerprint(sentences()[1])}


@on_sqlite
def test_a_test_that_is_not_here_is_told_with_the_way_to_give_another(
    store: str, submit: Submit, splits: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    submit(BETTER)
    moved = splits["test"].rename(splits["test"].with_suffix(".moved"))
    assert main(["promote", "news"]) == 1
    moved.rename(splits["test"])
    shown = capsys.readouterr().err
    assert "cannot be read again; give others with --test FILE" in shown
    assert "test.jsonl" in shown


@on_sqlite
def test_a_name_that_nobody_registered(
    store: str, submit: Submit, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in ("promote", "rollback"):
        assert main([command, "newz", "--uri", store]) == 1
        assert "expected a registered model 'newz', found none" in capsys.readouterr().err
