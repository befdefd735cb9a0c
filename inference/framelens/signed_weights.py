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
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_MODEL_GRAPH = 7
_GRAPH_NODE, _GRAPH_INITIALIZER = 1, 5
_NODE_INPUT, _NODE_OPERATOR = 1, 4
_TENSOR_TYPE, _TENSOR_INTEGERS, _TENSOR_NAME, _TENSOR_RAW = 2, 5, 8, 9
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
    top = list(_fields(model, 0, len(model)))
    graphs = [field for field in top if field.number == _MODEL_GRAPH]
    if len(graphs) != 1:
        return model
    graph = graphs[0]
    inside = list(_fields(model, graph.start, graph.end))
    tensors = {_name(model, field): field for field in inside if field.number == _GRAPH_INITIALIZER}
    chosen = _chosen(model, inside, tensors)
    if not chosen:
        return model
    pieces: list[bytes | memoryview] = []
    whole = memoryview(model)
    replaced = {tensors[name].begin: name for name in chosen}
    for field in inside:
        if field.begin in replaced:
            tensor = _signed_tensor(model, field)
            pieces += [_key(_GRAPH_INITIALIZER, _WireType.BYTES), _varint(len(tensor)), tensor]
        else:
            pieces.append(whole[field.begin : field.end])
    size = sum(map(len, pieces))
    head = [_key(_MODEL_GRAPH, _WireType.BYTES), _varint(size)]
    return b"".join([whole[: graph.begin], *head, *pieces, whole[graph.end :]])


class _WireType(IntEnum):
    """How a field's content is laid out."""

    VARINT = 0
    EIGHT_BYTES = 1
    BYTES = 2
    FOUR_BYTES = 5


class _Field(NamedTuple):
    """A field of a message: its number and value, and where it and its content stand."""

    number: int
    begin: int
    start: int
    end: int
    value: int
    """Of a varint; otherwise 0."""


def _fields(data: bytes, at: int, end: int) -> Iterator[_Field]:
    """The fields of the message `data[at:end]`.

    Raises:
        ValueError: if it is no message of a kind that onnx.proto has.
    """
    while at < end:
        begin = at
        key, at = _read_varint(data, at)
        value, start = 0, at
        match key & 7:
            case _WireType.VARINT:
                value, at = _read_varint(data, at)
            case _WireType.EIGHT_BYTES:
                at += 8
            case _WireType.BYTES:
                size, start = _read_varint(data, at)
                at = start + size
            case _WireType.FOUR_BYTES:
                at += 4
            case kind:
                raise ValueError(f"expected a protocol buffer, found a field of kind {kind}")
        if at > end:
            raise ValueError("expected a protocol buffer, found one that is cut off")
        yield _Field(key >> 3, begin, start, at, value)


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data):
            raise ValueError("expected a protocol buffer, found one that is cut off")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def _key(number: int, kind: int) -> bytes:
    return _varint(number << 3 | kind)


def _name(model: bytes, tensor: _Field) -> bytes:
    for field in _fields(model, tensor.start, tensor.end):
        if field.number == _TENSOR_NAME:
            return model[field.start : field.end]
    return b""


def _chosen(model: bytes, inside: list[_Field], tensors: dict[bytes, _Field]) -> set[bytes]:
    """Names of the weights and zero points to be changed."""
    read: Counter[bytes] = Counter()
    pairs: Counter[tuple[bytes, bytes]] = Counter()
    for node in inside:
        if node.number != _GRAPH_NODE:
            continue
        inputs: list[bytes] = []
        operator = b""
        for field in _fields(model, node.start, node.end):
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


def _is_unsigned(model: bytes, tensor: _Field | None) -> bool:
    if tensor is None:
        return False
    found = {field.number: field for field in _fields(model, tensor.start, tensor.end)}
    has_values = _TENSOR_RAW in found or _TENSOR_INTEGERS in found
    return has_values and _TENSOR_TYPE in found and found[_TENSOR_TYPE].value == _UINT8


def _signed_tensor(model: bytes, tensor: _Field) -> bytes:
    """The tensor with 128 less in each value, as raw bytes."""
    pieces: list[bytes] = []
    values: list[NDArray[np.uint8]] = []
    for field in _fields(model, tensor.start, tensor.end):
        if field.number == _TENSOR_RAW:
            values.append(np.frombuffer(model, np.uint8, field.end - field.start, field.start))
        elif field.number == _TENSOR_INTEGERS:
            values.append(_integers(model, field))
        elif field.number == _TENSOR_TYPE:
            pieces += [_key(_TENSOR_TYPE, _WireType.VARINT), _varint(_INT8)]
        else:
            pieces.append(model[field.begin : field.end])
    raw = (np.concatenate(values) ^ np.uint8(0x80)).tobytes()
    return b"".join([*pieces, _key(_TENSOR_RAW, _WireType.BYTES), _varint(len(raw)), raw])


def _integers(model: bytes, field: _Field) -> NDArray[np.uint8]:
    """Values of a tensor that are written as varints: many in a field, or one."""
    data = np.frombuffer(model, np.uint8, field.end - field.start, field.start)
    last = np.flatnonzero(data < 0x80)  # a value over 127 takes two bytes, of seven bits each
    first = np.append(0, last[:-1] + 1)
    high = np.where(last > first, data[last] << 7, 0)
    values: NDArray[np.uint8] = (data[first] & 0x7F | high).astype(np.uint8)
    return values
