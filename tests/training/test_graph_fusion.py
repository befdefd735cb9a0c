"""Fused graphs: fewer operators, the same logits, and nothing done where that would not hold."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from framelens.features import Featurizer
from framelens.network import Network
from framelens_training import export
from framelens_training.config import LOSS_PARTS
from framelens_training.graph_fusion import fuse
from framelens_training.model import LossConfig, SegmentSpanModel
from framelens_training.quantization import quantize

pytestmark = pytest.mark.training
LAYERS = 2


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=2000,
        hidden_size=64,
        num_hidden_layers=LAYERS,
        num_attention_heads=4,
        intermediate_size=128,
        max_position_embeddings=64,
    )
    ones = dict.fromkeys(LOSS_PARTS, 1.0)
    encoder = BertModel(config, add_pooling_layer=False)
    path = tmp_path_factory.mktemp("exported") / "fp32.onnx"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "fuse", lambda graph: graph)
        export.export_onnx(SegmentSpanModel(encoder, 0.0, LossConfig(ones, ones)).eval(), path)
    return path


def operators(model: onnx.ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node)


def test_a_fused_graph_gives_the_same_logits(
    exported: Path, featurizer: Featurizer, tmp_path: Path
) -> None:
    fused = fuse(onnx.load(str(exported)))
    found = operators(fused)
    assert found["MultiHeadAttention"] == found["Gelu"] == LAYERS
    assert not {"Softmax", "Erf", "IsNaN", "Where"} & found.keys()
    path, int8 = tmp_path / "fused.onnx", tmp_path / "int8.onnx"
    onnx.save(fused, str(path))
    texts = ["The mayor said a road was closed.", "A shameful plan.", "Sign up to news"] * 4
    windows = list(featurizer.featurize(texts, ["body"] * len(texts)).windows)
    quantize(path, int8, windows)
    before, after, small = Network(exported), Network(path), Network(int8)
    for window in windows:
        for a, b, c in zip(before(window), after(window), small(window), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5)
            assert np.abs(a - c).max() < 0.01 * np.abs(a).max()


@pytest.mark.parametrize("change", ["mask", "activation"])
def test_a_graph_that_does_something_else_stays(exported: Path, change: str) -> None:
    model = onnx.load(str(exported))
    made = {name: node for node in model.graph.node for name in node.output}
    constants = {item.name: item for item in model.graph.initializer}
    if change == "mask":
        softmax = next(node for node in model.graph.node if node.op_type == "Softmax")
        mask = next(
            made[name]
            for name in made[softmax.input[0]].input
            if name in made and made[name].op_type == "Where"
        )
        name, value = mask.input[1], np.float32(-1.0)
        softmax.attribute[0].i = 1  # over queries, not over keys
    else:
        error = next(node for node in model.graph.node if node.op_type == "Erf")
        name, value = made[error.input[0]].input[1], np.float32(3.0)
    constants[name].CopyFrom(numpy_helper.from_array(np.array(value), name))
    assert fuse(model) is model
