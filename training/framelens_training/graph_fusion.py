"""An exported graph with fewer passes over its tensors: fused attention and GELU.

torch writes attention as products, a mask and a guard against rows that see nothing. A window
here has no padding, so that the mask is all zeros and the guard never acts; ONNX Runtime's own
fusions do not find their patterns in such a graph. The fused operators compute the same numbers
up to rounding. `benchmarks/session_options.py` measures what they gain.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from framelens.network import INPUTS, OUTPUTS

DOMAIN = "com.microsoft"
TOLERANCE = 1e-3
"""Largest difference of a logit, on random tokens, up to which a fused graph is the same."""

_LENGTHS = (5, 48)


def fuse(model: onnx.ModelProto, tolerance: float = TOLERANCE) -> onnx.ModelProto:
    """The graph with fused attention and GELU, or itself where it cannot be.

    It is compared with the original on random tokens: where logits differ by more than
    `tolerance` (a mask that does something, another activation), the original is returned. So
    an fp32 graph is fused and then quantized: int8 makes much of another rounding.
    """
    fused = onnx.ModelProto()
    fused.CopyFrom(model)
    if _fuse_attention(fused) + _fuse_gelu(fused) == 0:
        return model
    _drop_unread(fused)
    if all(entry.domain != DOMAIN for entry in fused.opset_import):
        fused.opset_import.append(helper.make_opsetid(DOMAIN, 1))
    return fused if _difference(model, fused) <= tolerance else model


class Graph:
    """Who makes and who reads each tensor of a graph."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.nodes = model.graph.node
        self.made: dict[str, Any] = {name: node for node in self.nodes for name in node.output}
        self.readers: dict[str, list[Any]] = {}
        for node in self.nodes:
            for name in node.input:
                self.readers.setdefault(name, []).append(node)
        self.constants: Mapping[str, Any] = {i.name: i for i in model.graph.initializer}

    def maker(self, name: str, *operators: str) -> Any | None:
        """The node that makes a tensor, if it is one of these operators."""
        node = self.made.get(name)
        return node if node is not None and node.op_type in operators else None

    def only_reader(self, name: str, operator: str) -> Any | None:
        """The one node that reads a tensor, if it is this operator."""
        readers = self.readers.get(name, [])
        return readers[0] if len(readers) == 1 and readers[0].op_type == operator else None

    def replace(self, old: Any, new: Any) -> None:
        """Put a node that makes the same tensor in the place of another."""
        at = next(i for i, node in enumerate(self.nodes) if node is old)
        self.nodes.remove(old)
        self.nodes.insert(at, new)

    def constant(self, name: str) -> NDArray[Any] | None:
        """The value of a constant."""
        item = self.constants.get(name)
        return None if item is None else np.asarray(numpy_helper.to_array(item))


def _fuse_attention(model: onnx.ModelProto) -> int:
    graph = Graph(model)
    count = 0
    for softmax in [node for node in graph.nodes if node.op_type == "Softmax"]:
        scores = graph.maker(softmax.input[0], "Add", "MatMul")
        if scores is not None and scores.op_type == "Add":
            made = [graph.maker(name, "MatMul") for name in scores.input]
            scores = next((node for node in made if node is not None), None)
        mixed = _product_of(graph, softmax.output[0])
        if scores is None or mixed is None:
            continue
        turned = graph.only_reader(mixed.output[0], "Transpose")
        joined = None if turned is None else graph.only_reader(turned.output[0], "Reshape")
        names = [*scores.input, mixed.input[1]]
        projected = [_projection(graph, name) for name in names]
        heads = {number for _, number in projected}
        if joined is None or len(heads) != 1 or None in heads:
            continue
        attention = helper.make_node(
            "MultiHeadAttention",
            [name for name, _ in projected],
            list(joined.output),
            name=f"{joined.output[0]}_attention",
            domain=DOMAIN,
            num_heads=heads.pop(),
        )
        graph.replace(joined, attention)
        count += 1
    return count


def _product_of(graph: Graph, name: str) -> Any | None:
    """The product of the attention's shares with the values, past the guard if there is one."""
    for node in graph.readers.get(name, []):
        if node.op_type == "MatMul":
            return node
        if node.op_type == "Where":
            return graph.only_reader(node.output[0], "MatMul")
    return None


def _projection(graph: Graph, name: str) -> tuple[str, int | None]:
    """The projected (1, t, width) tensor that `name` is a view of, and its number of heads."""
    heads: int | None = None
    while (node := graph.maker(name, "Mul", "Transpose", "Reshape")) is not None:
        if node.op_type == "Reshape":
            shape = graph.constant(node.input[1])
            # The first view splits the width: (1, t, heads, size).
            heads = int(shape[2]) if shape is not None and len(shape) == 4 else heads
        name = node.input[0]
    return name, heads if graph.maker(name, "Add") is not None else None


def _fuse_gelu(model: onnx.ModelProto) -> int:
    """`x * (0.5 * (1 + erf(x / sqrt(2))))`, however its factors are ordered."""
    graph = Graph(model)
    count = 0
    for error in [node for node in graph.nodes if node.op_type == "Erf"]:
        scaled = graph.maker(error.input[0], "Div", "Mul")
        if scaled is None:
            continue
        source, at = scaled.input[0], graph.only_reader(error.output[0], "Add")
        while at is not None and source not in at.input:
            at = graph.only_reader(at.output[0], "Mul")
        if at is None or at.op_type != "Mul":
            continue
        gelu = helper.make_node(
            "Gelu", [source], list(at.output), name=f"{at.output[0]}_fused", domain=DOMAIN
        )
        graph.replace(at, gelu)
        count += 1
    return count


def _drop_unread(model: onnx.ModelProto) -> None:
    """Remove nodes and constants that lead to no output."""
    while True:
        read = {name for node in model.graph.node for name in node.input}
        read |= {output.name for output in model.graph.output}
        dead = [node for node in model.graph.node if read.isdisjoint(node.output)]
        if not dead:
            break
        for node in dead:
            model.graph.node.remove(node)
    for item in [item for item in model.graph.initializer if item.name not in read]:
        model.graph.initializer.remove(item)
    made = {name for node in model.graph.node for name in node.output}
    for value in [value for value in model.graph.value_info if value.name not in made]:
        model.graph.value_info.remove(value)


def _difference(one: onnx.ModelProto, other: onnx.ModelProto) -> float:
    """The largest difference of a logit on random tokens; infinite if one cannot be run."""
    import onnxruntime as ort

    words = max((i.dims[0] for i in one.graph.initializer if len(i.dims) == 2), default=2)
    generator = np.random.default_rng(7)
    try:
        sessions = [
            ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
            for model in (one, other)
        ]
        worst = 0.0
        for length in _LENGTHS:
            ids = generator.integers(0, words, (1, length))
            feed = dict(zip(INPUTS, (ids, np.zeros_like(ids)), strict=True))
            answers = [session.run(list(OUTPUTS), feed) for session in sessions]
            worst = max(worst, *(float(np.abs(a - b).max()) for a, b in zip(*answers, strict=True)))
    except Exception:  # ONNX Runtime's exceptions have no common public base
        return float("inf")
    return worst if np.isfinite(worst) else float("inf")
