"""Unsigned weights read as signed ones: the same graph, the same numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from framelens import network, signed_weights
from framelens.errors import ArtifactError
from framelens.signed_weights import cpu_prefers_signed, with_signed_weights

SHAPE = (16, 8)


def graph(*, raw: bool = True, read_twice: bool = False, constant: bool = True) -> bytes:
    """Logits of integer products, with 8 weights that something else may read as well."""
    generator = np.random.default_rng(4)
    weights = generator.integers(0, 256, SHAPE, dtype=np.uint8)
    zeros = generator.integers(0, 256, SHAPE[1], dtype=np.uint8)
    values = [("weights", weights), ("zeros", zeros)]
    constants = [
        numpy_helper.from_array(array, name)
        if raw
        else helper.make_tensor(name, TensorProto.UINT8, array.shape, array.flatten().tolist())
        for name, array in values
    ]
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["whole", "scale", "zero"]),
        helper.make_node("MatMulInteger", ["whole", "weights", "zero", "zeros"], ["product"]),
        helper.make_node("Cast", ["product"], ["y"], to=TensorProto.FLOAT),
    ]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, SHAPE[1]])]
    if read_twice:
        nodes.append(helper.make_node("Cast", ["weights"], ["seen"], to=TensorProto.FLOAT))
        outputs.append(helper.make_tensor_value_info("seen", TensorProto.FLOAT, SHAPE))
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, SHAPE[0]])]
    if not constant:
        inputs.append(helper.make_tensor_value_info("zeros", TensorProto.UINT8, [SHAPE[1]]))
        constants.pop()
    made = helper.make_graph(nodes, "products", inputs, outputs, constants)
    opset = [helper.make_opsetid("", 18)]
    return helper.make_model(made, opset_imports=opset, ir_version=9).SerializeToString()


def answers(model: bytes, *, exact: bool = False) -> np.ndarray:
    """What ONNX Runtime gives, or the exact integers.

    Without VNNI its kernel for signed weights saturates, so that they are not used there.
    """
    x = np.random.default_rng(5).normal(size=(6, SHAPE[0])).astype(np.float32)
    if exact:
        return ReferenceEvaluator(onnx.load_from_string(model)).run(["y"], {"x": x})[0]
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    return session.run(["y"], {"x": x})[0]


@pytest.mark.parametrize("raw", [True, False])
def test_the_weights_are_signed_and_the_products_the_same(raw: bool) -> None:
    before = graph(raw=raw)
    after = with_signed_weights(before)
    parsed = onnx.load_from_string(after)
    onnx.checker.check_model(parsed)
    old = {
        t.name: numpy_helper.to_array(t) for t in onnx.load_from_string(before).graph.initializer
    }
    for tensor in parsed.graph.initializer:
        array = numpy_helper.to_array(tensor)
        assert array.dtype == np.int8
        np.testing.assert_array_equal(array.astype(int), old[tensor.name].astype(int) - 128)
    np.testing.assert_array_equal(answers(after, exact=True), answers(before, exact=True))
    np.testing.assert_array_equal(answers(before), answers(before, exact=True))
    if cpu_prefers_signed():
        np.testing.assert_array_equal(answers(after), answers(before))


@pytest.mark.parametrize("change", [{"read_twice": True}, {"constant": False}])
def test_what_something_else_reads_or_gives_stays(change: dict[str, bool]) -> None:
    model = graph(**change)
    assert with_signed_weights(model) is model


def test_what_is_no_graph_is_refused_and_left_to_onnx_runtime(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match="protocol buffer"):
        with_signed_weights(graph()[:-3])
    monkeypatch.setattr(network, "cpu_prefers_signed", lambda: True)
    damaged = tmp_path / "model.onnx"
    damaged.write_bytes(graph()[:-3])
    with pytest.raises(ArtifactError, match="ONNX Runtime cannot read"):
        network.Network(damaged)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("processor : 0\nflags\t\t: fpu sse avx512_vnni avx2\n", True),
        ("flags : avx_vnni\n", True),
        ("flags : avx2 avx512f\nbugs : avx512_vnni\n", False),
        ("", False),
        (None, False),
    ],
)
def test_only_a_cpu_that_says_so_prefers_signed_weights(
    text: str | None, expected: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "cpuinfo"
    if text is not None:
        path.write_text(text, "ascii")
    monkeypatch.setattr(signed_weights, "_CPU_INFO", path)
    assert cpu_prefers_signed() is expected
