"""The torch weights of an exported model, so that training can go on from what ships.

An artifact holds ONNX, whose linear weights are int8 and divided by smoothing factors. Each product
is followed by a bias under torch's name, which tells whose weights it holds. What comes out answers
as the graph does up to the rounding of its activations (`tests/training/test_artifact_weights.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from transformers import BertConfig

from framelens.artifact import Artifact
from framelens.features import Featurizer
from framelens.network import Network
from framelens_training.errors import EncoderError
from framelens_training.graph_fusion import Graph
from framelens_training.model import SegmentSpanModel, TorchNetwork
from framelens_training.run_weights import INNER

MOST_DIFFERENCE = 0.1
"""`difference_from_graph` of weights that were read back rightly: int8 activations make .03 of
news-en, another activation or other positions .6 and more."""

_TEXTS = ("Minister defends plan", "The plan, she said, was “never in doubt”; it failed on Monday.")
_MODEL = "model."
_WORDS = f"{INNER}embeddings.word_embeddings.weight"
_POSITIONS = f"{INNER}embeddings.position_embeddings.weight"
_TYPES = f"{INNER}embeddings.token_type_embeddings.weight"

Array = NDArray[np.float32]


def read_weights(path: Path) -> tuple[BertConfig, dict[str, torch.Tensor]]:
    """The shape of an exported BERT encoder, and all tensors of its model by their torch names.

    Raises:
        EncoderError: if the graph is not that of a BERT encoder as `export_onnx` writes it.
    """
    graph = Graph(onnx.load(str(path)))
    found = {
        name.removeprefix(_MODEL): numpy_helper.to_array(tensor).astype(np.float32)
        for name, tensor in graph.constants.items()
        if name.startswith(_MODEL) and name.endswith((".weight", ".bias"))
    }
    words = f"{_MODEL}{_WORDS}"
    if f"{words}_int8" in graph.constants:
        found[_WORDS] = _constant(graph, f"{words}_int8") * _constant(graph, f"{words}_scale")
    attentions = [node for node in graph.nodes if node.op_type == "MultiHeadAttention"]
    norms = [n for n in graph.nodes if n.op_type == "LayerNormalization" and len(n.input) == 3]
    # Of weights that are the same, a graph holds one: these go by the names of their biases.
    found |= {_weight_beside(norm.input[2]): _constant(graph, norm.input[1]) for norm in norms}
    found |= dict(_linear_weights(graph))
    if not attentions or not norms or not {_WORDS, _POSITIONS, _TYPES} <= found.keys():
        raise EncoderError(
            f"{path}: expected the graph of a BERT encoder, with fused attention and three "
            "embeddings; go on from the run's folder that it came from instead"
        )
    size, width = found[_WORDS].shape
    settings = BertConfig(
        vocab_size=size,
        hidden_size=width,
        num_hidden_layers=len(attentions),
        num_attention_heads=int(_attribute(attentions[0], "num_heads")),
        intermediate_size=len(found[f"{INNER}encoder.layer.0.intermediate.dense.bias"]),
        max_position_embeddings=len(found[_POSITIONS]),
        type_vocab_size=len(found[_TYPES]),
        layer_norm_eps=float(_attribute(norms[0], "epsilon")),
    )
    return settings, {name: torch.from_numpy(array.copy()) for name, array in found.items()}


def difference_from_graph(model: SegmentSpanModel, artifact: Artifact) -> float:
    """How far a model's logits on a short text are from the graph's, as a share of their spread;
    that of each column, since what was never learnt is a constant.
    """
    featurizer = Featurizer.from_file(artifact.tokenizer, artifact.manifest.features)
    (window, *_) = featurizer.featurize(_TEXTS, ["headline", "body"]).windows
    ours, graphs = (
        np.hstack(network(window)) for network in (TorchNetwork(model), Network(artifact.model))
    )
    return float(np.linalg.norm(ours - graphs) / np.linalg.norm(graphs - graphs.mean(axis=0)))


def _linear_weights(graph: Graph) -> Iterator[tuple[str, Array]]:
    """The weight (outputs, inputs) of every product that is followed by a bias, with its name."""
    for node in graph.nodes:
        bias = next((name for name in node.input if name in graph.constants), "")
        if node.op_type != "Add" or not bias.endswith(".bias"):
            continue
        product = next(name for name in node.input if name != bias)
        weight = _product(graph, product)
        if weight is not None:
            yield _weight_beside(bias), weight.T


def _weight_beside(bias: str) -> str:
    """The torch name of the weight whose bias is called so in the graph."""
    return bias.removeprefix(_MODEL).removesuffix("bias") + "weight"


def _product(graph: Graph, name: str) -> Array | None:
    """The weight (inputs, outputs) of the product that makes a tensor, in fp32 or int8."""
    plain = graph.maker(name, "MatMul", "Gemm")
    if plain is not None:
        return _unsmoothed(graph, plain.input[0], _constant(graph, plain.input[1]))
    scaled = graph.maker(name, "Mul")
    cast = scaled and next(filter(None, (graph.maker(n, "Cast") for n in scaled.input)), None)
    integer = cast and graph.maker(cast.input[0], "MatMulInteger")
    if not scaled or not integer:
        return None
    both = next(filter(None, (graph.maker(n, "Mul") for n in scaled.input)))
    scale = next(_constant(graph, n) for n in both.input if n in graph.constants)
    weight = (_constant(graph, integer.input[1]) - _constant(graph, integer.input[3])) * scale
    quantized = graph.maker(integer.input[0], "DynamicQuantizeLinear")
    return _unsmoothed(graph, quantized.input[0] if quantized else "", weight)


def _unsmoothed(graph: Graph, source: str, weight: Array) -> Array:
    """The weight without the factors that the product's inputs were divided by."""
    smooth = graph.maker(source, "Mul")
    factors = [n for n in smooth.input if n.endswith("_inverse")] if smooth is not None else []
    if not factors:
        return weight
    unsmoothed: Array = weight * _constant(graph, factors[0])[:, None]
    return unsmoothed


def _constant(graph: Graph, name: str) -> Array:
    array: Array = numpy_helper.to_array(graph.constants[name]).astype(np.float32)
    return array


def _attribute(node: Any, name: str) -> Any:
    return next(onnx.helper.get_attribute_value(a) for a in node.attribute if a.name == name)
