from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from framelens.decoding import DecodingConfig
from framelens.features import Featurizer, WindowFeatures
from framelens.network import Network
from framelens_training import quantization
from framelens_training.config import LOSS_PARTS
from framelens_training.export import export_onnx, measure_parity
from framelens_training.model import LossConfig, SegmentSpanModel
from framelens_training.quantization import quantize

pytestmark = pytest.mark.training


def make_model() -> SegmentSpanModel:
    """A small BERT with random weights."""
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=2000,
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=128,
        max_position_embeddings=64,
    )
    ones = dict.fromkeys(LOSS_PARTS, 1.0)
    encoder = BertModel(config, add_pooling_layer=False)
    return SegmentSpanModel(encoder, 0.0, LossConfig(ones, ones)).eval()


def test_int8_stays_near_fp32_and_is_a_third_of_its_size(
    tmp_path: Path, featurizer: Featurizer
) -> None:
    fp32, int8 = tmp_path / "fp32.onnx", tmp_path / "int8.onnx"
    export_onnx(make_model(), fp32)
    texts = ["The mayor said a road was closed.", "A shameful plan.", "Sign up to news"] * 4
    windows = list(featurizer.featurize(texts, ["body"] * len(texts)).windows)
    quantize(fp32, int8, windows)
    full, small = Network(fp32), Network(int8)
    for window in windows:
        for a, b in zip(full(window), small(window), strict=True):
            assert np.abs(a - b).max() < 0.01 * np.abs(a).max()
    assert int8.stat().st_size < 0.45 * fp32.stat().st_size


def test_a_logit_that_is_no_number_is_no_small_difference(
    tmp_path: Path, featurizer: Featurizer
) -> None:
    path, model = tmp_path / "fp32.onnx", make_model()
    export_onnx(model, path)
    documents = [featurizer.featurize([text], ["body"]) for text in ("A road.", "A plan.", "Rain.")]
    same = measure_parity(model, path, path, documents, DecodingConfig())
    assert same.torch_onnx_max_difference < 1e-4
    with torch.no_grad():
        model.encoder.embeddings.word_embeddings.weight[featurizer.token_id("plan")] = np.nan
    broken = measure_parity(model, path, path, documents, DecodingConfig())
    assert np.isnan(broken.torch_onnx_max_difference)


def test_word_embeddings_come_out_beside_the_logits(tmp_path: Path, featurizer: Featurizer) -> None:
    fp32, int8 = tmp_path / "fp32.onnx", tmp_path / "int8.onnx"
    model = make_model()
    export_onnx(model, fp32)
    windows = list(featurizer.featurize(["The mayor said a road was closed."], ["body"]).windows)
    quantize(fp32, int8, windows)
    table = model.encoder.get_input_embeddings().weight.detach().numpy()
    for path, tolerance in ((fp32, 0.0), (int8, 0.01)):
        found = Network(path).read(windows[0]).embeddings
        assert found is not None
        gap = np.abs(found - table[windows[0].input_ids]).max()
        assert gap <= tolerance * np.abs(table).max()


def product_graph(path: Path) -> None:
    """Words looked up and multiplied; one channel is a hundred times as wide as the others."""
    generator = np.random.default_rng(0)
    table = generator.normal(size=(50, 32)).astype(np.float32)
    weights = generator.normal(size=(32, 32)).astype(np.float32)
    table[:, 0] *= 100
    weights[0] /= 100
    nodes = [
        helper.make_node("Add", ["input_ids", "token_type_ids"], ["rows"]),
        helper.make_node("Gather", ["table", "rows"], ["found"]),
        helper.make_node("MatMul", ["found", "weights"], ["product"], name="product"),
    ]
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, [1, "t"])
        for name in ("input_ids", "token_type_ids")
    ]
    outputs = [helper.make_tensor_value_info("product", TensorProto.FLOAT, [1, "t", 32])]
    constants = [
        numpy_helper.from_array(table, "table"),
        numpy_helper.from_array(weights, "weights"),
    ]
    graph = helper.make_graph(nodes, "product", inputs, outputs, constants)
    opset = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), str(path))


def test_smoothing_saves_products_whose_channels_differ_in_width(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import onnxruntime as ort

    fp32, int8 = tmp_path / "fp32.onnx", tmp_path / "int8.onnx"
    product_graph(fp32)
    ids = np.arange(50, dtype=np.int64)
    window = WindowFeatures(ids, np.zeros_like(ids), (), ())

    def answer(path: Path) -> np.ndarray:
        session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        feed = {"input_ids": ids[None], "token_type_ids": window.token_type_ids[None]}
        return np.asarray(session.run(None, feed)[0])

    def error() -> float:
        quantize(fp32, int8, [window])
        return float(np.abs(answer(int8) - answer(fp32)).mean())

    smooth = error()
    monkeypatch.setattr(quantization, "_smooth", lambda *arguments: None)
    assert smooth < 0.1 * error()


def test_smoothing_costs_no_pass_behind_attention(
    tmp_path: Path, featurizer: Featurizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    fp32 = tmp_path / "fp32.onnx"
    torch.manual_seed(1)
    model = make_model()
    for parameter in model.parameters():  # biases too, which begin at 0
        torch.nn.init.normal_(parameter, std=0.2)
    export_onnx(model, fp32)
    texts = ["The mayor said a road was closed.", "A shameful plan.", "Sign up to news"] * 4
    windows = list(featurizer.featurize(texts, ["body"] * len(texts)).windows)
    answers, passes = [], []
    for name in ("divided_values.onnx", "divided_outputs.onnx"):
        quantize(fp32, tmp_path / name, windows)
        network = Network(tmp_path / name)
        answers.append([network(window) for window in windows])
        nodes = onnx.load(str(tmp_path / name)).graph.node
        passes.append(sum(output.endswith("_smooth") for n in nodes for output in n.output))
        monkeypatch.setattr(quantization, "_values_of_attention", lambda model: {})
    assert passes == [7, 9]  # four a layer, and one before the heads
    network = Network(fp32)
    for window, *found in zip(windows, *answers, strict=True):
        for full, one, other in zip(network(window), *found, strict=True):
            assert np.abs(one - full).max() < 2 * np.abs(other - full).max()


def test_there_is_no_calibration_without_windows(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one window"):
        quantize(tmp_path / "a", tmp_path / "b", [])
