"""From the fp32 graph to one of a quarter of its size: smoothing, int8 products, int8 words.

Three steps, each for a measured reason (docs/decisions.md holds the table):

* smoothing moves the spread of a product's input channels into its weights before both are
  quantized (SmoothQuant, Xiao et al. 2023), since one scale serves a whole input;
* weights are unsigned and of full range: that pair of types has no saturating product on
  CPUs without VNNI, and keeps the bit that `reduce_range` would give away;
* the word embeddings get a scale a row, as no product needs them to share one.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from framelens.features import WindowFeatures
from framelens.network import INPUTS
from framelens_training.graph_fusion import Graph

SMOOTHING = 0.8
"""Share of the channels' spread that moves from inputs to weights; .5 to .9 were tried."""

_WORDS = 1024  # an embedding with fewer rows (positions, token types) is left alone
_HEAD_WIDTH = 16  # a product with fewer outputs is a head: too small to be worth an error


def quantize(source: Path, target: Path, calibration: Sequence[WindowFeatures]) -> None:
    """Write the int8 form of an fp32 graph.

    `calibration` holds windows of training text, from which the spread of each product's
    inputs is read.

    Raises:
        ValueError: if there is no window to calibrate with.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.shape_inference import quant_pre_process

    if not calibration:
        raise ValueError("expected at least one window to calibrate with, found none")
    with tempfile.TemporaryDirectory() as name, _quiet():
        folder = Path(name)
        prepared, smooth, products = (
            folder / f"{step}.onnx" for step in ("prepared", "smooth", "products")
        )
        quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
        model = onnx.load(str(prepared))
        _smooth(model, calibration, folder)
        onnx.save(model, str(smooth))
        quantize_dynamic(
            str(smooth),
            str(products),
            op_types_to_quantize=["MatMul"],
            nodes_to_exclude=[n.name for n, w in _products(model) if w.shape[1] < _HEAD_WIDTH],
            per_channel=True,
            reduce_range=False,
            weight_type=QuantType.QUInt8,
        )
        model = onnx.load(str(products))
        _quantize_words(model)
        onnx.save(model, str(target))


def _products(model: onnx.ModelProto) -> list[tuple[Any, NDArray[np.float32]]]:
    """Matrix products with constant weights, and those weights (inputs, outputs)."""
    constants = {item.name: item for item in model.graph.initializer}
    return [
        (node, numpy_helper.to_array(constants[node.input[1]]))
        for node in model.graph.node
        if node.op_type == "MatMul" and node.input[1] in constants
    ]


def _smooth(model: onnx.ModelProto, windows: Sequence[WindowFeatures], folder: Path) -> None:
    """Divide each product's inputs by a factor a channel, and multiply its weights by it.

    What a fused attention makes is divided where its values are made: it is a mean of them,
    channel by channel, and so a pass over a tensor is saved.
    """
    products = _products(model)
    values = _values_of_attention(model)
    largest = _largest_inputs(model, [node.input[0] for node, _ in products], windows, folder)
    constants = {item.name: item for item in model.graph.initializer}
    divisions: dict[str, Any] = {}
    divided: list[tuple[str, NDArray[np.float32]]] = []
    for name, inputs in largest.items():
        readers = [(node, weights) for node, weights in products if node.input[0] == name]
        weight = np.max([np.abs(weights).max(axis=1) for _, weights in readers], axis=0)
        factor = np.maximum(inputs, 1e-5) ** SMOOTHING / np.maximum(weight, 1e-5) ** (1 - SMOOTHING)
        factor /= np.exp(np.log(factor).mean())
        inverse = (1 / factor).astype(np.float32)
        for node, weights in readers:
            scaled = (weights * factor[:, None]).astype(np.float32)
            constants[node.input[1]].CopyFrom(numpy_helper.from_array(scaled, node.input[1]))
        if name in values:
            divided += [(constant, inverse) for constant in values[name]]
            continue
        model.graph.initializer.append(numpy_helper.from_array(inverse, f"{name}_inverse"))
        divisions[name] = helper.make_node(
            "Mul", [name, f"{name}_inverse"], [f"{name}_smooth"], name=f"{name}_smoothing"
        )
        for node, _ in readers:
            node.input[0] = f"{name}_smooth"
    for constant, inverse in divided:  # weights (inputs, outputs), after their own smoothing
        scaled = numpy_helper.to_array(constants[constant]) * inverse
        constants[constant].CopyFrom(numpy_helper.from_array(scaled, constant))
    nodes: list[Any] = []
    for node in model.graph.node:
        nodes.append(node)
        nodes.extend(divisions[name] for name in node.output if name in divisions)
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _values_of_attention(model: onnx.ModelProto) -> dict[str, tuple[str, str]]:
    """The weights and the bias from which a fused attention's values are made, by its output.

    Only where nothing else reads them, or the values.
    """
    graph = Graph(model)
    found: dict[str, tuple[str, str]] = {}
    for attention in graph.nodes:
        if attention.op_type != "MultiHeadAttention":
            continue
        added = graph.maker(attention.input[2], "Add")
        if added is None or graph.only_reader(added.output[0], "MultiHeadAttention") is None:
            continue
        for product, bias in (added.input, reversed(added.input)):
            made = graph.maker(product, "MatMul")
            if made is None or graph.only_reader(product, "Add") is None:
                continue
            weights = made.input[1]
            once = graph.only_reader(weights, "MatMul") and graph.only_reader(bias, "Add")
            if once and {weights, bias} <= graph.constants.keys():
                found[attention.output[0]] = (weights, bias)
    return found


def _largest_inputs(
    model: onnx.ModelProto, names: Sequence[str], windows: Sequence[WindowFeatures], folder: Path
) -> dict[str, NDArray[np.float64]]:
    """The largest absolute value of each channel of the named tensors over all windows."""
    import onnxruntime as ort

    distinct = sorted(set(names))
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    probe.graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in distinct
    )
    path = folder / "probe.onnx"
    onnx.save(probe, str(path))
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    largest: dict[str, NDArray[np.float64]] = {}
    for window in windows:
        arrays = (window.input_ids[np.newaxis], window.token_type_ids[np.newaxis])
        values = session.run(distinct, dict(zip(INPUTS, arrays, strict=True)))
        for name, value in zip(distinct, values, strict=True):
            peak = np.abs(value).reshape(-1, value.shape[-1]).max(axis=0).astype(np.float64)
            largest[name] = np.maximum(largest.get(name, peak), peak)
    return largest


def _quantize_words(model: onnx.ModelProto) -> None:
    """Store word embeddings as int8 with a scale a row, and restore the rows that are read."""
    constants = {item.name: item for item in model.graph.initializer}
    nodes: list[Any] = []
    for node in model.graph.node:
        name = node.input[0] if node.input else ""
        if node.op_type != "Gather" or name not in constants or constants[name].dims[0] < _WORDS:
            nodes.append(node)
            continue
        table = numpy_helper.to_array(constants[name])
        scale = (np.abs(table).max(axis=1, keepdims=True) / 127).astype(np.float32)
        scale[scale == 0] = 1.0
        whole = np.round(table / scale).astype(np.int8)
        model.graph.initializer.remove(constants[name])
        model.graph.initializer.append(numpy_helper.from_array(whole, f"{name}_int8"))
        model.graph.initializer.append(numpy_helper.from_array(scale, f"{name}_scale"))
        indices = node.input[1]
        nodes += [
            helper.make_node("Gather", [f"{name}_int8", indices], [f"{name}_rows"]),
            helper.make_node("Cast", [f"{name}_rows"], [f"{name}_float"], to=TensorProto.FLOAT),
            helper.make_node("Gather", [f"{name}_scale", indices], [f"{name}_scales"]),
            helper.make_node("Mul", [f"{name}_float", f"{name}_scales"], list(node.output)),
        ]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


@contextmanager
def _quiet() -> Iterator[None]:
    """ONNX Runtime's quantizer logs advice to the root logger."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)
