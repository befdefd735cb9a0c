from __future__ import annotations

import json
import math
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import framelens
from framelens.artifact import (
    FORMAT_VERSION,
    MANIFEST_FILE,
    MODEL_FILE,
    TOKENIZER_FILE,
    Artifact,
    Golden,
    resolve,
    sha256,
)
from framelens.cli import main
from framelens.decoding import DecodingConfig, decode_spans
from framelens.errors import ArtifactError
from framelens.features import TokenizedSegment
from framelens.model_settings import FEATURE_VERSION
from support import EVIDENCE, write_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_model(tmp_path / "model")


def edit(folder: Path, change: Any) -> None:
    path = folder / MANIFEST_FILE
    row = json.loads(path.read_text("utf-8"))
    change(row)
    path.write_text(json.dumps(row), "utf-8")


def test_a_written_manifest_is_read_back(folder: Path) -> None:
    artifact = Artifact.open(folder)
    assert artifact.manifest.name == artifact.info.name == "lookup"
    assert set(artifact.manifest.files) == {"model.onnx", "tokenizer.json", "MODEL_CARD.md"}
    row = json.loads((folder / MANIFEST_FILE).read_text("utf-8"))
    assert artifact.manifest.to_dict() == row


def test_the_hash_covers_weights_and_thresholds(tmp_path: Path) -> None:
    one, other = write_model(tmp_path / "one"), write_model(tmp_path / "other", version="2")
    assert Artifact.open(one).info.sha256 != Artifact.open(other).info.sha256


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json", "MODEL_CARD.md"])
def test_an_altered_file_is_refused(folder: Path, name: str) -> None:
    (folder / name).write_bytes((folder / name).read_bytes() + b" ")
    with pytest.raises(ArtifactError, match=rf"{name}: expected sha256 \w+, found \w+"):
        Artifact.open(folder)


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json", "manifest.json"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(ArtifactError, match=f"expected {name}"):
        Artifact.open(folder)


def test_a_model_of_version_1_keeps_its_threshold_of_loaded_words(folder: Path) -> None:
    def older(row: Any) -> None:
        row["format_version"] = 1
        del row["decoding"]["span_thresholds"], row["decoding"]["loaded_transitions"]
        row["decoding"]["loaded_threshold"] = 0.2

    edit(folder, older)
    decoding = Artifact.open(folder).manifest.decoding
    assert set(decoding.span_thresholds.values()) == {0.5}
    for probability, is_loaded in ((0.19, False), (0.21, True)):
        logits = np.zeros((2, 8), dtype=np.float32)
        logits[:, -1] = math.log(probability / (1 - probability)), -9.0
        segment = TokenizedSegment(
            "body", np.array([7, 8]), np.array([[0, 1], [2, 3]]), np.ones(2, dtype=np.bool_)
        )
        found = [span.type for span in decode_spans([segment], [logits], decoding)]
        assert found.count("loaded") == is_loaded


def test_a_model_of_version_2_has_no_offsets(folder: Path) -> None:
    def older(row: Any) -> None:
        row["format_version"] = 2
        del row["decoding"]["offsets"]

    edit(folder, older)
    assert set(Artifact.open(folder).manifest.decoding.offsets.values()) == {0.0}


@pytest.mark.parametrize(
    ("key", "value"),
    [("offsets", None), ("offsets", [0, 0]), ("offsets", {"framed": math.nan}),
     ("headline_offsets", 3), ("temperatures", {"attributed": 1, "framed": 0, "boilerplate": 1}),
     ("thresholds", {"attributed": 0.5, "framed": 44, "boilerplate": 0.5}),
     ("uncertain_band", math.nan), ("span_thresholds", {"source": -0.1}),
     ("transitions", [[math.nan] * 7] * 7), ("loaded_transitions", [[math.inf] * 3] * 3),
     ("loaded_threshold", 0), ("loaded_threshold", 1), ("uncertain_band", 10**400)],
)  # fmt: skip
def test_malformed_calibration_is_refused(folder: Path, key: str, value: object) -> None:
    edit(folder, lambda row: row["decoding"].update({key: value}))
    with pytest.raises(ArtifactError, match="incomplete or malformed"):
        Artifact.open(folder)


def test_another_label_order_is_refused(folder: Path) -> None:
    edit(folder, lambda row: row["labels"]["axes"].reverse())
    with pytest.raises(ArtifactError, match=r"expected the label order .* found .*boilerplate"):
        framelens.load(folder)


@pytest.mark.parametrize(
    ("version", "advice"),
    [(FORMAT_VERSION + 1, "upgrade framelens"), (0, "export"), (None, "export")],
)
def test_another_format_version_is_refused(folder: Path, version: object, advice: str) -> None:
    edit(folder, lambda row: row.update(format_version=version))
    with pytest.raises(ArtifactError, match=f"expected format version {FORMAT_VERSION}.*{advice}"):
        Artifact.open(folder)


def test_other_feature_code_is_refused(folder: Path) -> None:
    edit(folder, lambda row: row["features"].update(version=FEATURE_VERSION + 1))
    with pytest.raises(ArtifactError, match="feature version"):
        Artifact.open(folder)


def test_a_manifest_that_lacks_something_is_refused(folder: Path) -> None:
    edit(folder, lambda row: row["decoding"]["thresholds"].pop("framed"))
    with pytest.raises(ArtifactError, match=r"incomplete or malformed.*framed"):
        Artifact.open(folder)
    (folder / MANIFEST_FILE).write_text("{", "utf-8")
    with pytest.raises(ArtifactError, match="not JSON"):
        Artifact.open(folder)

    (folder / MANIFEST_FILE).write_text("[" * 100_000, "utf-8")
    with pytest.raises(ArtifactError, match="not JSON"):
        Artifact.open(folder)
    (folder / MANIFEST_FILE).unlink()
    (folder / MANIFEST_FILE).mkdir()
    with pytest.raises(ArtifactError, match=r"expected manifest\.json"):
        Artifact.open(folder)


@pytest.mark.parametrize(
    "change",
    [{"name": ["a"]}, {"precision": None}, {"golden_tolerance": math.inf},
     {"golden": [{"text": 5, "headline": None, "labels": [], "scores": []}]},
     {"golden": [{"text": "A plan.", "headline": 5, "labels": [], "scores": []}]}],
)  # fmt: skip
def test_values_of_other_types_are_refused(folder: Path, change: dict[str, object]) -> None:
    edit(folder, lambda row: row.update(change))
    with pytest.raises(ArtifactError, match="incomplete or malformed"):
        framelens.load(folder)


@pytest.mark.parametrize(
    "change",
    [{"max_tokens": "256"}, {"max_tokens": 0}, {"max_tokens": 2}, {"max_tokens": 4097},
     {"max_tokens": 32.5}, {"overlap": -1}, {"overlap": 30}, {"cls_token": 5},
     {"token_types": "no"}, {"other": 1}],
)  # fmt: skip
def test_windows_that_cannot_be_are_refused(folder: Path, change: dict[str, object]) -> None:
    edit(folder, lambda row: row["features"].update(change))
    with pytest.raises(ArtifactError, match="incomplete or malformed"):
        framelens.load(folder)


def test_the_folder_of_a_run_is_told_from_its_model(folder: Path, tmp_path: Path) -> None:
    model = tmp_path / "run" / "model"
    shutil.copytree(folder, model)
    with pytest.raises(ArtifactError, match=f"the model of this run is {re.escape(str(model))}"):
        Artifact.open(model.parent)


def test_windows_longer_than_the_graph_has_positions_for_are_refused(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model")
    graph = onnx.load(folder / MODEL_FILE)
    table = numpy_helper.from_array(np.zeros((32, 4), np.float32), "position_embeddings.weight")
    graph.graph.initializer.append(table)
    onnx.save(graph, folder / MODEL_FILE)
    edit(folder, lambda row: row["files"].update({MODEL_FILE: sha256(folder / MODEL_FILE)}))
    framelens.load(folder)
    edit(folder, lambda row: row["features"].update(max_tokens=33))
    with pytest.raises(ArtifactError, match=r"expected max_tokens of at most 32, .* found 33"):
        framelens.load(folder)


def test_what_is_no_directory(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="found nothing"):
        framelens.load(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtifactError, match="found a file"):
        framelens.load(tmp_path / "file")


def test_golden_inputs_guard_against_another_arithmetic(tmp_path: Path) -> None:
    text = "The mayor said a road closed."
    scorer = framelens.load(write_model(tmp_path / "plain"))
    answer = scorer.score(text)
    scores = tuple(
        tuple(segment.scores[axis] for axis in framelens.AXES) for segment in answer.segments
    )
    labels = tuple(segment.label for segment in answer.segments)
    good = Golden(text, None, labels, scores)
    framelens.load(write_model(tmp_path / "good", golden=[good]))
    for wrong in (((0.9, 0.9, 0.9),), scores * 2, ()):
        bad = Golden(text, None, labels, wrong)
        folder = write_model(tmp_path / "bad", golden=[good, bad])
        with pytest.raises(ArtifactError, match="golden input 1"):
            framelens.load(folder)
        framelens.load(folder, self_test=False)
    other = Golden(text, None, ("boilerplate",) * len(labels), scores)
    with pytest.raises(ArtifactError, match=r"golden input 1 .*the thresholds are not those"):
        framelens.load(write_model(tmp_path / "bad", golden=[good, other]))
    near = dict.fromkeys(framelens.AXES, scores[0][0])  # where arithmetic may change a label
    decoding = DecodingConfig(thresholds=near)
    framelens.load(write_model(tmp_path / "near", golden=[other], decoding=decoding))
    overflowing = {**EVIDENCE, "said": {**EVIDENCE["said"], "framed": math.nan}}
    with pytest.raises(ArtifactError, match=r"golden input 0 .*found .*nan"):
        framelens.load(write_model(tmp_path / "overflowing", overflowing, golden=[good]))


def test_a_graph_with_other_outputs_is_refused(tmp_path: Path) -> None:
    import onnx

    from framelens.network import Network
    from support import lookup_graph

    graph = lookup_graph()
    graph.graph.output.pop()
    onnx.save(graph, str(tmp_path / "model.onnx"))
    with pytest.raises(ArtifactError, match="expected inputs"):
        Network(tmp_path / "model.onnx")
    (tmp_path / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(ArtifactError, match="cannot read the graph"):
        Network(tmp_path / "model.onnx")


@pytest.mark.parametrize(
    ("tokenizer", "features", "found"),
    [
        ('{"version": "1.0", "model": {"type": "Future"}}', {}, "did not match any variant"),
        (None, {"cls_token": "<s>"}, "expected the tokenizer to know '<s>'"),
    ],
    ids=["kind", "tokens"],
)
def test_a_tokenizer_of_another_version_is_refused(
    tokenizer: str | None, features: dict[str, str], found: str, folder: Path, tmp_path: Path
) -> None:
    path = folder / TOKENIZER_FILE
    if tokenizer is not None:
        path.write_text(tokenizer, "utf-8")
    edit(folder, lambda row: row["files"].update({TOKENIZER_FILE: sha256(path)}))
    edit(folder, lambda row: row["features"].update(features))
    with pytest.raises(ArtifactError, match=f"tokenizer.json: expected .*{found}.*; upgrade"):
        framelens.load(folder)
    source = tmp_path / "in.jsonl"
    source.write_text('{"text": "A plan."}\n' * 10, "utf-8")
    assert main(["score", str(source), "-m", str(folder), "-o", str(tmp_path / "out.jsonl")]) == 4


def test_a_model_of_an_unknown_name_is_taken_as_a_directory(tmp_path: Path) -> None:
    assert resolve("no-such-model") == Path("no-such-model")
    assert resolve(tmp_path) == tmp_path


@pytest.mark.parametrize("command", [["info", ""], ["score", "a.txt", "-m", ""]])
def test_a_name_may_not_be_empty(
    command: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It was taken for the directory of all models that are bundled."""
    monkeypatch.chdir(tmp_path)
    Path("a.txt").write_text("A plan.")
    assert main(command) == 4
    assert "name, directory or URI, found an empty one" in capsys.readouterr().err


def test_a_name_is_a_directory_only_where_a_model_lies_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundled = write_model(tmp_path / "models" / "small").parent
    monkeypatch.setattr(framelens.artifact, "BUNDLED", bundled)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small").mkdir()
    assert resolve("small") == bundled / "small"
    assert resolve("./small/") == resolve(tmp_path / "small").relative_to(tmp_path) == Path("small")
    write_model(tmp_path / "small")
    assert resolve("small") == Path("small")
    write_model(tmp_path / "other")
    assert resolve("other") == Path("other")


def test_a_run_goes_on_where_the_output_is_called_like_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        framelens.artifact, "BUNDLED", write_model(tmp_path / "models" / "small").parent
    )
    monkeypatch.chdir(tmp_path)
    Path("a.jsonl").write_text('{"text": "A plan."}\n')
    arguments = ["score", "a.jsonl", "-m", "small", "-o", "small/", "--quiet"]
    assert main(arguments) == 0
    assert main([*arguments, "--resume"]) == 0


def test_the_path_of_a_model_is_absolute(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    assert Artifact.open(Path(folder.name)).path == folder.resolve()


def test_another_distribution_can_offer_a_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / "framelens_small_model" / "model"
    model.mkdir(parents=True)
    (model.parent / "__init__.py").write_text("raise RuntimeError('models are not imported')\n")
    metadata = tmp_path / "framelens_small_model-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Name: framelens-small-model\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[framelens.models]\nsmall-model = framelens_small_model\nlost-model = framelens_lost\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert resolve("small-model") == model
    assert resolve("lost-model") == Path("lost-model")
    assert resolve("./small-model") == Path("small-model")
    with pytest.raises(ArtifactError, match=r"found nothing; .* installed: .*") as raised:
        Artifact.open(resolve("another-model"))
    names = str(raised.value).rpartition(": ")[2].split(", ")
    assert {"news-en", "small-model"} <= set(names)
    assert "lost-model" not in names
