"""A smaller network cut out of a trained one: fewer layers, a narrower width, fewer word pieces.

What stays is copied exactly, so that a student that keeps everything answers as its teacher
does; what goes is chosen by the weights. Supported are BERT and its kin, whose parameters are
called as `transformers` calls them.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from framelens_training.config import Config, Student
from framelens_training.corpora.labelled import LabelledDocument
from framelens_training.encoder import Encoder, load_encoder, without_pooler
from framelens_training.errors import StudentError
from framelens_training.teachers import Teacher, TorchTeacher
from framelens_training.vocabulary import reduced_vocabulary

_LAYER = re.compile(r"^encoder\.layer\.(\d+)\.(.+)$")
_WORDS = "embeddings.word_embeddings.weight"


def load_student(
    config: Config, documents: Sequence[LabelledDocument], teachers: Sequence[Teacher] = ()
) -> Encoder:
    """The encoder that a run trains: the config's own, or the student cut out of it.

    A student starts from the first teacher whose torch weights are at hand and whose encoder has
    the shape and the tokenizer of the config's one; otherwise from the config's encoder itself.
    The pieces of a smaller vocabulary are counted in `documents`.

    Raises:
        EncoderError: if the encoder is not to be had.
        StudentError: if it cannot be cut as the config says.
    """
    encoder = load_encoder(config.encoder, dropout=config.training.encoder_dropout)
    if config.student is None:
        return encoder
    for teacher in teachers:
        if isinstance(teacher, TorchTeacher) and _alike(teacher.encoder, encoder):
            module = _blank(encoder.module, encoder.module.config)
            module.load_state_dict(teacher.encoder.module.state_dict())
            heads = {name: t.cpu() for name, t in (teacher.encoder.heads or {}).items()}
            encoder = replace(encoder, module=module, heads=heads, learnt=teacher.encoder.learnt)
            break
    if config.student.vocabulary is not None:
        encoder = _with_vocabulary(encoder, documents, config.student.vocabulary)
    return cut(encoder, config.student)


def _alike(one: Encoder, other: Encoder) -> bool:
    shapes = [
        {name: tuple(tensor.shape) for name, tensor in item.module.state_dict().items()}
        for item in (one, other)
    ]
    return shapes[0] == shapes[1] and one.tokenizer.get_vocab() == other.tokenizer.get_vocab()


def _blank(module: Any, settings: Any) -> Any:
    """A model of the same kind with another configuration, its weights still at random."""
    made = type(module)(settings, **without_pooler(settings))
    return made.to(next(module.parameters()).dtype)


def _with_vocabulary(encoder: Encoder, documents: Sequence[LabelledDocument], size: int) -> Encoder:
    texts = (d.segment_text(segment) for d in documents for segment in d.segments)
    tokenizer, kept = reduced_vocabulary(encoder.tokenizer, texts, size)
    settings = copy.deepcopy(encoder.module.config)
    settings.vocab_size = size
    place = {int(old): new for new, old in enumerate(kept)}
    for name in ("pad_token_id", "bos_token_id", "eos_token_id"):
        if getattr(settings, name, None) in place:
            setattr(settings, name, place[getattr(settings, name)])
    state = dict(encoder.module.state_dict())
    if _WORDS not in state:
        raise StudentError(
            f"student.vocabulary: expected an encoder with {_WORDS}, found {encoder.name!r} "
            "without; leave it out"
        )
    state[_WORDS] = state[_WORDS][torch.from_numpy(kept)]
    module = _blank(encoder.module, settings)
    module.load_state_dict(state)
    name = f"{encoder.name}, {size} pieces"
    return replace(encoder, name=name, module=module, tokenizer=tokenizer)


@dataclass(frozen=True, slots=True)
class _Cut:
    """What stays of the residual stream, and of each layer its attention and feed-forward part.

    `hidden` has shape (h,); `attention` and `inner` hold one array of indices a kept layer,
    `heads` the numbers of its attention heads.
    """

    hidden: Tensor
    attention: list[Tensor]
    inner: list[Tensor]
    heads: list[Tensor]


def cut(encoder: Encoder, student: Student) -> Encoder:
    """Keep the chosen layers and, where asked, the strongest channels, heads and neurons.

    Raises:
        StudentError: naming the setting that does not fit the encoder.
    """
    module, old = encoder.module, encoder.module.config
    state = module.state_dict()
    depth = int(old.num_hidden_layers)
    if not any(_LAYER.match(name) for name in state):
        raise StudentError(
            f"student: expected an encoder like BERT, whose layers are called encoder.layer.N, "
            f"found {encoder.name!r} of type {old.model_type!r}; leave 'student' out"
        )
    layers = _chosen(student, depth)
    settings = copy.deepcopy(old)
    settings.num_hidden_layers = len(layers)
    narrow = student.hidden_size or student.intermediate_size
    kept = _narrowed(state, layers, student, settings) if narrow else None
    found: dict[str, Tensor] = {}
    for name, tensor in state.items():
        match = _LAYER.match(name)
        if match is None:
            found[name] = _sliced(name, tensor, kept, 0) if kept else tensor
        elif int(match[1]) in layers:
            number = layers.index(int(match[1]))
            target = f"encoder.layer.{number}.{match[2]}"
            found[target] = _sliced(match[2], tensor, kept, number) if kept else tensor
    made = _blank(module, settings)
    made.load_state_dict(found)
    heads = encoder.heads
    if heads is not None and kept is not None:
        heads = {n: t[:, kept.hidden] if t.ndim > 1 else t for n, t in heads.items()}
    parts = [encoder.name]
    if len(layers) < depth:
        parts.append(f"layers {' '.join(map(str, layers))}")
    if narrow:
        parts.append(f"{settings.hidden_size} wide, {settings.intermediate_size} within")
    return replace(encoder, name=", ".join(parts), module=made, heads=heads)


def _chosen(student: Student, depth: int) -> list[int]:
    """The kept layers, counted from 0."""
    if student.layers is None:
        return list(range(depth))
    if isinstance(student.layers, int):
        if student.layers > depth:
            raise StudentError(
                f"student.layers: expected at most the encoder's {depth}, found {student.layers}"
            )
        return [int(n) for n in np.linspace(0, depth - 1, student.layers)]
    if student.layers[-1] >= depth:
        raise StudentError(
            f"student.layers: expected numbers from 0 to {depth - 1}, found {student.layers[-1]}"
        )
    return list(student.layers)


def _narrowed(
    state: dict[str, Tensor], layers: Sequence[int], student: Student, settings: Any
) -> _Cut:
    """Choose what stays, and set the sizes in the configuration."""
    width, inner = int(settings.hidden_size), int(settings.intermediate_size)
    head = width // int(settings.num_attention_heads)
    new_width = student.hidden_size or width
    new_inner = student.intermediate_size or inner * new_width // width
    if new_width > width or new_width % head:
        raise StudentError(
            f"student.hidden_size: expected a multiple of an attention head's {head}, at most "
            f"{width}, found {new_width}"
        )
    if new_inner > inner:
        raise StudentError(
            f"student.intermediate_size: expected at most {inner}, found {new_inner}"
        )
    settings.hidden_size, settings.intermediate_size = new_width, new_inner
    settings.num_attention_heads = new_width // head
    weights = [_LayerWeights.of(state, number) for number in layers]
    powers = torch.stack([item.heads(head) for item in weights])
    if any("relative_attention_bias" in name for name in state):
        powers = powers.sum(0).expand_as(powers)  # all layers share the bias of each head
    heads = [_strongest(row, new_width // head) for row in powers]
    strength = state[_WORDS].var(dim=0) + sum(item.channels() for item in weights)
    return _Cut(
        hidden=_strongest(strength, new_width),
        attention=[(h[:, None] * head + torch.arange(head)).reshape(-1) for h in heads],
        inner=[_strongest(item.neurons(), new_inner) for item in weights],
        heads=heads,
    )


@dataclass(frozen=True, slots=True)
class _LayerWeights:
    """The weights of one layer that tell how much its parts do, (outputs, inputs) each."""

    value: Tensor
    output: Tensor
    rising: Tensor
    falling: Tensor
    scale: Tensor

    @classmethod
    def of(cls, state: dict[str, Tensor], number: int) -> _LayerWeights:
        """Find them under BERT's names, or MPNet's."""

        def first(*names: str) -> Tensor:
            for name in names:
                tensor = state.get(f"encoder.layer.{number}.{name}.weight")
                if tensor is not None:
                    return tensor
            raise StudentError(
                f"student.hidden_size: expected an encoder whose layers have {names[0]}, found "
                "none; keep its width"
            )

        return cls(
            first("attention.self.value", "attention.attn.v"),
            first("attention.output.dense", "attention.attn.o"),
            first("intermediate.dense"),
            first("output.dense"),
            first("output.LayerNorm"),
        )

    def heads(self, width: int) -> Tensor:
        """What each attention head can write, (heads,)."""
        read = self.value.square().sum(1).reshape(-1, width).sum(1)
        return read * self.output.square().sum(0).reshape(-1, width).sum(1)

    def neurons(self) -> Tensor:
        """What each neuron of the feed-forward part can write, (inner,)."""
        return self.rising.square().sum(1) * self.falling.square().sum(0)

    def channels(self) -> Tensor:
        """How much is read from each channel of the residual stream, (width,)."""
        readers = torch.cat([self.value, self.rising])
        return readers.square().mean(0) * self.scale.square()


def _strongest(values: Tensor, count: int) -> Tensor:
    """Indices of the largest values, in rising order."""
    return values.topk(count).indices.sort().values


_WIDTH, _ATTENTION, _INNER = "width", "attention", "inner"
_AXES: tuple[tuple[str, tuple[str | None, ...]], ...] = (
    # What the rows and columns of each parameter are; the first pattern that matches counts.
    (r"embeddings\.\w+_embeddings\.weight$", (None, _WIDTH)),
    (r"relative_attention_bias\.weight$", (None, "heads")),
    (r"LayerNorm\.(weight|bias)$", (_WIDTH,)),
    (r"attention\.(self\.(query|key|value)|attn\.[qkv])\.weight$", (_ATTENTION, _WIDTH)),
    (r"attention\.(self\.(query|key|value)|attn\.[qkv])\.bias$", (_ATTENTION,)),
    (r"attention\.(output\.dense|attn\.o)\.weight$", (_WIDTH, _ATTENTION)),
    (r"attention\.(output\.dense|attn\.o)\.bias$", (_WIDTH,)),
    (r"intermediate\.dense\.weight$", (_INNER, _WIDTH)),
    (r"intermediate\.dense\.bias$", (_INNER,)),
    (r"output\.dense\.weight$", (_WIDTH, _INNER)),
    (r"output\.dense\.bias$", (_WIDTH,)),
)


def _sliced(name: str, tensor: Tensor, kept: _Cut, layer: int) -> Tensor:
    """The rows and columns of a parameter that stay."""
    if not tensor.is_floating_point():
        return tensor  # a buffer of positions
    dimensions = next((found for pattern, found in _AXES if re.search(pattern, name)), None)
    if dimensions is None:
        raise StudentError(
            f"student.hidden_size: the encoder has a parameter {name} whose channels are not "
            "known; keep its width"
        )
    indices = {
        _WIDTH: kept.hidden,
        _ATTENTION: kept.attention[layer],
        _INNER: kept.inner[layer],
        "heads": kept.heads[layer],
    }
    for dimension, what in enumerate(dimensions):
        if what is not None:
            tensor = tensor.index_select(dimension, indices[what])
    return tensor
