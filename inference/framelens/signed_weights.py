"""Unsigned int8 weights read as signed ones, where the CPU multiplies those faster.

A model is exported with unsigned weights, because a product of unsigned numbers saturates on no
CPU. With the VNNI instructions a product with signed weights does not either, and takes two
thirds of the time. Subtracting 128 from weights and zero points alike changes no result: every
sum of products is the same integer. `benchmarks/session_options.py` measures both.

ONNX Runtime takes a graph as it stands, so the graph is changed on its way from the file, in the
protocol buffers of onnx.proto; nothing but the initializers concerned is rewritten.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from framelens.graph_file import (
    GRAPH_INITIALIZER,
    MODEL_GRAPH,
    Field,
    WireType,
    fields,
    tensor_name,
)

_GRAPH_NODE = 1
_NODE_INPUT, _NODE_OPERATOR = 1, 4
_TENSOR_TYPE, _TENSOR_INTEGERS, _TENSOR_RAW = 2, 5, 9
_UINT8, _INT8 = 2, 3
_OPERATOR = b"MatMulInteger"
_WEIGHTS, _ZERO_POINT = 1, 3  # which of the operator's inputs they are

_CPU_INFO = Path("/proc/cpuinfo")
_FLAGS = frozenset({"avx512_vnni", "avx_vnni"})


def cpu_prefers_signed() -> bool:
    """Whether this CPU is known to have the VNNI instructions; only Linux tells."""
    try:
        text = _CPU_INFO.read_text("ascii", "replace")
    except OSError:
        return False
    flags = next((line for line in text.splitlines() if line.startswith("flags")), "")
    return not _FLAGS.isdisjoint(flags.split())


def with_signed_weights(model: bytes) -> bytes:
    """The same graph with signed weights in its integer products, where it has unsigned ones.

    A weight or zero point that is no constant of the graph, or that something else reads too,
    stays as it is, and so does its product.
    """
    top = list(fields(model, 0, len(model)))
    graphs = [field for field in top if field.number == MODEL_GRAPH]
    if len(graphs) != 1:
        return model
    graph = graphs[0]
    inside = list(fields(model, graph.start, graph.end))
    constants = [field for field in inside if field.number == GRAPH_INITIALIZER]
    tensors = {tensor_name(model, field): field for field in constants}
    chosen = _chosen(model, inside, tensors)
    if not chosen:
        return model
    pieces: list[bytes | memoryview] = []
    whole = memoryview(model)
    replaced = {tensors[name].begin: name for name in chosen}
    for field in inside:
        if field.begin in replaced:
            tensor = _signed_tensor(model, field)
            pieces += [_key(GRAPH_INITIALIZER, WireType.BYTES), _varint(len(tensor)), tensor]
        else:
            pieces.append(whole[field.begin : field.end])
    size = sum(map(len, pieces))
    head = [_key(MODEL_GRAPH, WireType.BYTES), _varint(size)]
    return b"".join([whole[: graph.begin], *head, *pieces, whole[graph.end :]])


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def _key(number: int, kind: int) -> bytes:
    return _varint(number << 3 | kind)


def _chosen(model: bytes, inside: list[Field], tensors: dict[bytes, Field]) -> set[bytes]:
    """Names of the weights and zero points to be changed."""
    read: Counter[bytes] = Counter()
    pairs: Counter[tuple[bytes, bytes]] = Counter()
    for node in inside:
        if node.number != _GRAPH_NODE:
            continue
        inputs: list[bytes] = []
        operator = b""
        for field in fields(model, node.start, node.end):
            if field.number == _NODE_INPUT:
                inputs.append(model[field.start : field.end])
            elif field.number == _NODE_OPERATOR:
                operator = model[field.start : field.end]
        read.update(inputs)
        if operator == _OPERATOR and len(inputs) > _ZERO_POINT:
            pairs[inputs[_WEIGHTS], inputs[_ZERO_POINT]] += 1
    return {
        name
        for pair, count in pairs.items()
        if all(read[name] == count and _is_unsigned(model, tensors.get(name)) for name in pair)
        for name in pair
    }


def _is_unsigned(model: bytes, tensor: Field | None) -> bool:
    if tensor is None:
        return False
    found = {field.number: field for field in fields(model, tensor.start, tensor.end)}
    has_values = _TENSOR_RAW in found or _TENSOR_INTEGERS in found
    return has_values and _TENSOR_TYPE in found and found[_TENSOR_TYPE].value == _UINT8


def _signed_tensor(model: bytes, tensor: Field) -> bytes:
    """The tensor with 128 less in each value, as raw bytes."""
    pieces: list[bytes] = []
    values: list[NDArray[np.uint8]] = []
    for field in fields(model, tensor.start, tensor.end):
        if field.number == _TENSOR_RAW:
            values.append(np.frombuffer(model, np.uint8, field.end - field.start, field.start))
        elif field.number == _TENSOR_INTEGERS:
            values.append(_integers(model, field))
        elif field.number == _TENSOR_TYPE:
            pieces += [_key(_TENSOR_TYPE, WireType.VARINT), _varint(_INT8)]
        else:
            pieces.append(model[field.begin : field.end])
    raw = (np.concatenate(values) ^ np.uint8(0x80)).tobytes()
    return b"".join([*pieces, _key(_TENSOR_RAW, WireType.BYTES), _varint(len(raw)), raw])


def _integers(model: bytes, field: Field) -> NDArray[np.uint8]:
    """Values of a tensor that are written as varints: many in a field, or one."""
    data = np.frombuffer(model, np.uint8, field.end - field.start, field.start)
    last = np.flatnonzero(data < 0x80)  # a value over 127 takes two bytes, of seven bits each
    first = np.append(0, last[:-1] + 1)
    high = np.where(last > first, data[last] << 7, 0)
    values: NDArray[np.uint8] = (data[first] & 0x7F | high).astype(np.uint8)
    return values
