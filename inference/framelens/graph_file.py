"""What stands in an ONNX graph's file, read without loading it: the protocol buffers of onnx.proto.

A field is found without its content being touched, so that a mapped file costs a few milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from enum import IntEnum
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import NamedTuple

MODEL_GRAPH = 7
GRAPH_INITIALIZER = 5
_TENSOR_DIMENSION, _TENSOR_NAME = 1, 8
_POSITIONS = b"position_embeddings.weight"
"""In the name of the table in which an encoder of the BERT family looks positions up."""


class WireType(IntEnum):
    """How a field's content is laid out."""

    VARINT = 0
    EIGHT_BYTES = 1
    BYTES = 2
    FOUR_BYTES = 5


class Field(NamedTuple):
    """A field of a message: its number and value, and where it and its content stand."""

    number: int
    begin: int
    start: int
    end: int
    value: int
    """Of a varint; otherwise 0."""


def fields(data: bytes | mmap, at: int, end: int) -> Iterator[Field]:
    """The fields of the message `data[at:end]`.

    Raises:
        ValueError: if it is no message of a kind that onnx.proto has.
    """
    while at < end:
        begin = at
        key, at = _read_varint(data, at)
        value, start = 0, at
        match key & 7:
            case WireType.VARINT:
                value, at = _read_varint(data, at)
            case WireType.EIGHT_BYTES:
                at += 8
            case WireType.BYTES:
                size, start = _read_varint(data, at)
                at = start + size
            case WireType.FOUR_BYTES:
                at += 4
            case kind:
                raise ValueError(f"expected a protocol buffer, found a field of kind {kind}")
        if at > end:
            raise ValueError("expected a protocol buffer, found one that is cut off")
        yield Field(key >> 3, begin, start, at, value)


def _read_varint(data: bytes | mmap, at: int) -> tuple[int, int]:
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


def tensor_name(model: bytes | mmap, tensor: Field) -> bytes:
    """The name of a graph's initializer."""
    for field in fields(model, tensor.start, tensor.end):
        if field.number == _TENSOR_NAME:
            return model[field.start : field.end]
    return b""


def positions_of(path: Path) -> int | None:
    """How many positions a graph's table has; `None` for a graph without one, or an unreadable one.

    RoBERTa and its kin, which begin to count after their padding token's id, leave some unused.
    """
    with (
        suppress(ValueError, OSError),  # not a graph, or on a file system without maps
        path.open("rb") as file,
        mmap(file.fileno(), 0, access=ACCESS_READ) as model,
    ):
        return next(_positions(model), None)
    return None


def _positions(model: mmap) -> Iterator[int]:
    for graph in fields(model, 0, len(model)):
        if graph.number != MODEL_GRAPH:
            continue
        for tensor in fields(model, graph.start, graph.end):
            if tensor.number == GRAPH_INITIALIZER and tensor_name(model, tensor).endswith(
                (_POSITIONS, _POSITIONS + b"_quantized")
            ):
                for field in fields(model, tensor.start, tensor.end):
                    if field.number == _TENSOR_DIMENSION:  # one in a field, or all in one
                        yield _read_varint(model, field.start)[0]
