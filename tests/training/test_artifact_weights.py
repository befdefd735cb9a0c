from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModel

from framelens.artifact import MODEL_FILE, Artifact, resolve, sha256, write_manifest
from framelens.features import Featurizer
from framelens.network import Network
from framelens_training.artifact_weights import read_weights
from framelens_training.config import LOSS_PARTS, Config
from framelens_training.corpora.registry import CORPORA
from framelens_training.crossval import crossvalidate
from framelens_training.encoder import load_encoder, without_pooler
from framelens_training.errors import EncoderError, ResumeError
from framelens_training.export import export_onnx
from framelens_training.graph_fusion import Graph
from framelens_training.inheritance import UNKNOWN, Inherited, inherited_corpora
from framelens_training.model import LossConfig, SegmentSpanModel, TorchNetwork
from framelens_training.pipeline import run, run_jointly
from framelens_training.progress import silent
from framelens_training.quantization import quantize
from framelens_training.quiet import quiet_libraries
from framelens_training.run_record import RunRecord
from framelens_training.seen_texts import OTHER_TEXTS
from framelens_training.tracker import NullTracker
from support import VOCABULARY, write_model

pytestmark = pytest.mark.training

TEXTS = ("The mayor said a road was closed.", "A shameful plan, yet another.", "Sign up to news")


def small_model() -> SegmentSpanModel:
    """A BERT whose channels differ widely, so that smoothing has something to do."""
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=1100,
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=96,
        max_position_embeddings=48,
    )
    model = SegmentSpanModel(BertModel(config, add_pooling_layer=False), 0.0, LossConfig({}, {}))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("LayerNorm.weight"):
                parameter.copy_(torch.linspace(0.1, 6.0, len(parameter)))
            elif name.endswith("bias"):
                parameter.normal_(std=0.3)
    return model.eval()


def test_an_fp32_graph_gives_its_weights_back(tmp_path: Path) -> None:
    model = small_model()
    export_onnx(model, tmp_path / "fp32.onnx")
    settings, found = read_weights(tmp_path / "fp32.onnx")
    expected = model.state_dict()
    assert found.keys() == expected.keys()
    positions = "encoder.embeddings.position_embeddings.weight"
    assert torch.equal(found[positions], expected[positions][: len(found[positions])])
    for name in expected.keys() - {positions}:
        torch.testing.assert_close(found[name], expected[name], atol=1e-6, rtol=1e-5)
    assert settings.num_attention_heads == 4
    assert settings.layer_norm_eps == pytest.approx(1e-12)


def test_an_int8_graph_gives_weights_that_answer_alike(
    tmp_path: Path, featurizer: Featurizer
) -> None:
    model = small_model()
    fp32, int8 = tmp_path / "fp32.onnx", tmp_path / "int8.onnx"
    export_onnx(model, fp32)
    windows = list(featurizer.featurize(TEXTS * 3, ["body"] * 9).windows)
    quantize(fp32, int8, windows)
    import onnx

    assert any(name.endswith("_inverse") for name in Graph(onnx.load(str(int8))).constants)
    _, found = read_weights(int8)
    again = small_model()
    again.load_state_dict({**again.state_dict(), **_long_enough(found, again)})
    network, exact = TorchNetwork(again), TorchNetwork(model)
    for window in windows:
        for ours, theirs in zip(network(window), exact(window), strict=True):
            assert np.abs(ours - theirs).max() < 0.02 * np.abs(theirs).max()


def _long_enough(
    state: dict[str, torch.Tensor], model: SegmentSpanModel
) -> dict[str, torch.Tensor]:
    """Positions that the graph has not are as the model has them."""
    name = "encoder.embeddings.position_embeddings.weight"
    whole = model.state_dict()[name].clone()
    whole[: len(state[name])] = state[name]
    return {**state, name: whole}


def test_another_graph_is_refused(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "lookup")
    with pytest.raises(EncoderError, match=r"expected the graph of a BERT encoder"):
        load_encoder(str(folder))


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("bert", {"hidden_act": "relu"}),
        ("roberta", {"type_vocab_size": 2, "pad_token_id": 1}),
        ("modernbert", {"pad_token_id": 0}),
        ("electra", {"embedding_size": 16}),
    ],
)
def test_the_artifact_of_another_encoder_is_refused(
    tmp_path: Path, kind: str, changes: dict[str, object]
) -> None:
    torch.manual_seed(0)
    settings = AutoConfig.for_model(
        kind, vocab_size=len(VOCABULARY), hidden_size=32, num_hidden_layers=2,
        num_attention_heads=2, intermediate_size=64, initializer_range=0.5, **changes,
    )  # fmt: skip
    module = AutoModel.from_config(settings, **without_pooler(settings))
    folder = write_model(tmp_path / "artifact")
    with quiet_libraries():
        model = SegmentSpanModel(module, 0.0, LossConfig({}, {}))
        export_onnx(model, folder / MODEL_FILE, 32)
    manifest = Artifact.open(write_model(tmp_path / "other")).manifest
    write_manifest(folder, manifest)
    with pytest.raises(EncoderError, match="go on from the run's folder"):
        load_encoder(str(folder))
    noted = {
        "architecture": {"model_type": kind, "hidden_act": settings.to_dict().get("hidden_act")}
    }
    write_manifest(folder, replace(manifest, training=noted))
    with pytest.raises(EncoderError, match=f"expected an artifact of an encoder .* '{kind}'"):
        load_encoder(str(folder))


def test_training_goes_on_from_the_model_that_ships() -> None:
    encoder = load_encoder("news-en", dropout=0.1)
    manifest = Artifact.open(resolve("news-en")).manifest
    assert encoder.name == f"news-en {manifest.version}"
    assert encoder.learnt == frozenset(LOSS_PARTS)
    assert encoder.module.config.hidden_dropout_prob == 0.1
    model = SegmentSpanModel(encoder.module, 0.0, LossConfig({}, {}))
    assert not model.load_state_dict(dict(encoder.heads or {}), strict=False).unexpected_keys
    artifact = Artifact.open(resolve("news-en"))
    featurizer = Featurizer.from_file(artifact.tokenizer, manifest.features)
    (window,) = featurizer.featurize(TEXTS, ["headline", "body", "body"]).windows
    network = Network(artifact.model, 1)
    for ours, theirs in zip(TorchNetwork(model)(window), network(window), strict=True):
        # The graph also rounds its activations, to eight bits each.
        assert np.abs(ours - theirs).mean() < 0.15
        assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.999


def test_a_run_goes_on_from_another_ones_artifact(tiny_config: Config) -> None:
    with quiet_libraries():
        first = run(tiny_config, NullTracker(), silent)
        noted = Artifact.open(first.artifact).manifest.training["architecture"]
        assert noted == {"model_type": "bert", "hidden_act": "gelu"}
        config = Config.model_validate(
            {
                **tiny_config.model_dump(),
                "name": "second",
                "encoder": str(first.artifact),
                "training": {**tiny_config.training.model_dump(), "epochs": 1},
            }
        )
        lines: list[str] = []
        run_jointly(config, NullTracker(), lines.append, train_only=True)
    (folder,) = (p for p in Path(config.output).iterdir() if p.name.startswith("second"))
    record = RunRecord.read(folder)
    assert record.origins.keys() == {"encoder"}
    assert record.inherited == {"files": "your own"}
    (recorded,) = Artifact.open(first.artifact).manifest.training["corpora"]
    assert record.inherited_train == {"files": [recorded["sha256"]["train"]]}
    scores = [line for line in lines if "validation score" in line]
    first_score = float(scores[0].split("score ")[1].split(",")[0])
    assert first_score > 0.9  # one epoch of random heads scores half of that


def test_a_cross_validation_begins_only_with_weights_that_learnt_from_other_texts(
    tiny_config: Config,
) -> None:
    with quiet_libraries():
        first = run(tiny_config, NullTracker(), silent).artifact
    notes = first.parent / "trained_on.txt"
    learnt = notes.read_text("utf-8").split()
    training = {**tiny_config.training.model_dump(), "epochs": 1}
    going_on = Config.model_validate(
        {**tiny_config.model_dump(), "encoder": str(first), "training": training}
    )

    def folds() -> list[float]:
        with quiet_libraries():
            found = crossvalidate(going_on, NullTracker(), folds=2, seeds=1, say=silent)
        return [result.figures["test/attributed/macro_f1"] for result in found.results]

    with pytest.raises(EncoderError, match=rf"one that has learnt from {len(learnt)} of them"):
        folds()
    notes.write_text("0123456789abcdef\n", "utf-8")
    assert min(folds()) > 0.9  # one epoch of random heads is far from that
    (folder,) = (path.parent for path in Path(tiny_config.output).glob("*/seed*-fold1.json"))
    manifest = Artifact.open(first).manifest
    with (first / MODEL_FILE).open("ab") as stream:
        stream.write(b"\0")
    write_manifest(first, manifest)
    with quiet_libraries(), pytest.raises(ResumeError, match="encoder"):
        crossvalidate(going_on, NullTracker(), folds=2, seeds=2, say=silent, resumed=folder)
    notes.unlink()
    with pytest.raises(EncoderError, match="one of which not all is known"):
        folds()


def test_what_a_model_learnt_from_is_not_known_if_that_of_another_before_it_is_not(
    tiny_config: Config,
) -> None:
    training = {**tiny_config.training.model_dump(), "epochs": 1}
    once = Config.model_validate({**tiny_config.model_dump(), "training": training})
    with quiet_libraries():
        first = run(once, NullTracker(), silent).artifact
        (first.parent / "trained_on.txt").unlink()
        going_on = Config.model_validate(
            {**once.model_dump(), "name": "second", "encoder": str(first)}
        )
        second = run(going_on, NullTracker(), silent).artifact
    assert OTHER_TEXTS in (second.parent / "trained_on.txt").read_text("utf-8").split()
    third = Config.model_validate({**once.model_dump(), "encoder": str(second)})
    with pytest.raises(EncoderError, match=rf"encoder {second} one of which not all is known"):
        crossvalidate(third, NullTracker(), folds=2, seeds=1, say=silent)


def test_a_cross_validation_mixes_no_weights_in(tiny_config: Config) -> None:
    training = {**tiny_config.training.model_dump(), "begin_with": {"model": "x", "share": 0.5}}
    begun = Config.model_validate({**tiny_config.model_dump(), "training": training})
    for config, setting in ((mixing_in(tiny_config, "x"), "average_with"), (begun, "begin_with")):
        with pytest.raises(EncoderError, match=rf"expected no training\.{setting} in a cross"):
            crossvalidate(config, NullTracker(), folds=2, seeds=1, say=silent)


def mixing_in(config: Config, model: str) -> Config:
    training = {**config.training.model_dump(), "average": True}
    training["average_with"] = {"model": model, "share": 0.5}
    return Config.model_validate({**config.model_dump(), "training": training})


def licences(config: Config) -> dict[str, str]:
    return {name: item.licence for name, item in inherited_corpora(config).items()}


def test_a_run_inherits_the_corpora_of_all_that_came_before(
    tmp_path: Path, tiny_config: Config
) -> None:
    training = {
        "corpora": [{"name": "babe", "licence": "NC", "sha256": {"train": "b"}}],
        "inherited": {"polnear": "none stated", "babe": "old", "lines": "Apache-2.0"},
        "inherited_train": {"babe": ["a"], "lines": ["c"]},
    }
    artifact = write_model(tmp_path / "artifact", training=training)
    first = Config.model_validate({**tiny_config.model_dump(), "teacher": str(artifact)})
    folder = tmp_path / "run"
    RunRecord.of(first, None, 1).write(folder)
    second = Config.model_validate({**tiny_config.model_dump(), "encoder": str(folder)})
    assert inherited_corpora(tiny_config) == {}
    before = {
        "polnear": Inherited("none stated", frozenset({UNKNOWN})),
        "babe": Inherited("NC", frozenset({"a", "b"})),
        "lines": Inherited("Apache-2.0", frozenset({"c"})),
    }
    assert inherited_corpora(first) == before
    own = {"files": Inherited("your own", frozenset({UNKNOWN}))}
    assert inherited_corpora(second) == {**before, **own}
    mixed = mixing_in(tiny_config, str(artifact))
    assert inherited_corpora(mixed) == before
    record = RunRecord.of(mixed, None, 1).with_origins(mixed, [])
    assert record.origins == {"average_with": sha256(artifact / "model.onnx")}
    replace(record, corpora={"files/train": "d"}).write(folder)
    own = {"files": Inherited("your own", frozenset({"d"}))}
    assert inherited_corpora(second) == {**before, **own}


def test_a_run_inherits_the_corpora_whose_texts_its_teacher_was_taught_on(
    tmp_path: Path, tiny_config: Config
) -> None:
    data = tiny_config.model_dump()
    texts = ["hyperpartisan-titles", str(tmp_path / "texts.jsonl")]
    teacher = {**data, "teacher": "runs/gone", "distillation": {"unlabelled": texts}}
    folder = Path(tiny_config.output) / "tiny-1a2b3c4d"
    weights = folder / "checkpoints" / "checkpoint-1" / "model.safetensors"
    weights.parent.mkdir(parents=True)
    weights.touch()
    RunRecord.of(Config.model_validate(teacher), None, 1).write(folder)
    expected = {
        "files": "your own",
        "unlabelled hyperpartisan-titles": CORPORA["hyperpartisan-titles"].info.licence,
        "unlabelled texts.jsonl": "your own",
    }
    for name in (str(folder), "1a2b3c4d" + 24 * "0"):  # or by the id of its run in MLflow
        assert licences(Config.model_validate({**data, "teacher": name})) == expected
