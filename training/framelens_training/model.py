"""The network: one encoder, a linear head for segments, a linear head for word pieces."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from framelens.features import WindowFeatures
from framelens.schema import AXES, BIO_TAGS, SPAN_LOGITS
from framelens_training.config import LOSS_PARTS, LossPart
from framelens_training.sequence_loss import sequence_divergences, sequence_losses
from framelens_training.targets import IGNORE

SILENT = 10.0
"""Logit of an answer that stands whatever the text."""
BATCH_TOKENS = 8192
"""Most tokens, padding in, that a network reads side by side where nothing is learnt."""


@dataclass(frozen=True, slots=True)
class SoftLoss:
    """How much teachers' answers count against labels, and how soft both sides are made."""

    alpha: float
    temperature: float


@dataclass(frozen=True, slots=True)
class LossConfig:
    """Weights of the parts of the loss.

    `positive` holds for each binary part the weight of its positive answers; `soft` is there
    when a teacher is. With `sequences`, attribution tags are learnt as whole sequences
    (`framelens_training.sequence_loss`).
    """

    parts: dict[LossPart, float]
    positive: dict[LossPart, float]
    soft: SoftLoss | None = None
    sequences: bool = False


def _head_rows() -> dict[LossPart, tuple[str, int, int]]:
    rows: dict[LossPart, tuple[str, int, int]] = {
        axis: ("segment_head", column, column + 1) for column, axis in enumerate(AXES)
    }
    tags = len(BIO_TAGS)
    rows["attribution_spans"] = ("span_head", 0, tags)
    rows["loaded_spans"] = ("span_head", tags, tags + 1)
    return rows


HEAD_ROWS = _head_rows()
"""For each part of the loss the head that answers it, and its first and last row, exclusive."""


def with_answers_of(
    weights: Mapping[str, Tensor], other: Mapping[str, Tensor], parts: Collection[LossPart]
) -> dict[str, Tensor]:
    """Weights whose heads answer these parts of the loss with another model's rows."""
    found = dict(weights)
    for part in parts:
        head, first, last = HEAD_ROWS[part]
        for name in (f"{head}.weight", f"{head}.bias"):
            found[name] = found[name].clone()
            found[name][first:last] = other[name][first:last]
    return found


class SegmentSpanModel(nn.Module):
    """Encoder with two heads; every position gets both, and the caller picks.

    Inputs are (b, t) int64; outputs are segment logits (b, t, 3), columns in `AXES` order,
    read at separators, and span logits (b, t, 8), columns in `SPAN_LOGITS` order.
    """

    def __init__(self, encoder: Any, dropout: float, loss: LossConfig) -> None:
        super().__init__()
        self.encoder = encoder
        self.loss_config = loss
        width = int(encoder.config.hidden_size)
        self.dropout = nn.Dropout(dropout)
        self.segment_head = nn.Linear(width, len(AXES))
        self.span_head = nn.Linear(width, len(SPAN_LOGITS))
        self._takes_types = int(getattr(encoder.config, "type_vocab_size", 0) or 0) >= 2

    def begin_with(self, heads: Mapping[str, Tensor], learnt: Collection[LossPart]) -> None:
        """Take over the heads of another model for the parts that it has learnt.

        Its other heads may be silent (`silence`), from which hardly anything is learnt.
        """
        unlearnt = [part for part in LOSS_PARTS if part not in learnt]
        self.load_state_dict(with_answers_of(heads, self.state_dict(), unlearnt), strict=False)

    def silence(self, parts: Collection[LossPart]) -> None:
        """Let the heads of these parts answer with a firm no, whatever the text.

        For what a run never learnt: heads that are still at random would mark words and segments
        by chance.
        """
        with torch.no_grad():
            for part in parts:
                name, first, last = HEAD_ROWS[part]
                head: nn.Linear = getattr(self, name)
                head.weight[first:last] = 0.0
                head.bias[first:last] = -SILENT
            if "attribution_spans" in parts:
                self.span_head.bias[BIO_TAGS.index("O")] = SILENT

    def logits(
        self, input_ids: Tensor, token_type_ids: Tensor, attention_mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Segment and span logits at every position."""
        types = {"token_type_ids": token_type_ids} if self._takes_types else {}
        hidden = self.encoder(
            input_ids=input_ids, attention_mask=attention_mask, **types
        ).last_hidden_state
        hidden = self.dropout(hidden)
        return self.segment_head(hidden), self.span_head(hidden)

    def forward(
        self,
        input_ids: Tensor,
        token_type_ids: Tensor,
        attention_mask: Tensor | None = None,
        axis_targets: Tensor | None = None,
        axis_weights: Tensor | None = None,
        tag_targets: Tensor | None = None,
        loaded_targets: Tensor | None = None,
        part_scales: Tensor | None = None,
        soft_targets: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Logits, and the loss where targets are given.

        `axis_targets` and `axis_weights` have shape (b, t, 3); weight 0 masks. `tag_targets`
        and `loaded_targets` have shape (b, t); `IGNORE` masks. `part_scales` (2, 5)
        is there when the batch is one of several in a step: see `scales_of_parts`.
        `soft_targets` has shape (b, t, 11), teachers' logits in the order of the outputs; NaN
        masks.
        """
        segment_logits, span_logits = self.logits(input_ids, token_type_ids, attention_mask)
        output = {"segment_logits": segment_logits, "span_logits": span_logits}
        if (
            axis_targets is not None
            and axis_weights is not None
            and tag_targets is not None
            and loaded_targets is not None
        ):
            output["loss"] = self._loss(
                segment_logits.float(),
                span_logits.float(),
                axis_targets,
                axis_weights,
                tag_targets,
                loaded_targets,
                part_scales,
            )
            soft = self.loss_config.soft
            if soft is not None:
                output["loss"] = (1 - soft.alpha) * output["loss"]
                if soft_targets is not None:
                    output["loss"] = output["loss"] + soft.alpha * soft_loss(
                        torch.cat([segment_logits, span_logits], dim=-1).float(),
                        soft_targets,
                        soft.temperature,
                        self._weights(part_scales, 1),
                        sequences=self.loss_config.sequences,
                    )
        return output

    def _loss(
        self,
        segment_logits: Tensor,
        span_logits: Tensor,
        axis_targets: Tensor,
        axis_weights: Tensor,
        tag_targets: Tensor,
        loaded_targets: Tensor,
        part_scales: Tensor | None = None,
    ) -> Tensor:
        """Weighted sum of the parts, each averaged over the positions that it supervises."""
        config = self.loss_config
        weights = self._weights(part_scales, 0)
        total = segment_logits.new_zeros(())
        for column, axis in enumerate(AXES):
            total = total + weights[axis] * _binary(
                segment_logits[..., column],
                axis_targets[..., column],
                axis_weights[..., column],
                config.positive[axis],
            )
        total = total + weights["attribution_spans"] * _tags(
            span_logits, tag_targets, sequences=config.sequences
        )
        seen = loaded_targets != IGNORE
        found: Tensor = total + weights["loaded_spans"] * _binary(
            span_logits[..., len(BIO_TAGS)],
            loaded_targets.clamp(min=0).to(span_logits.dtype),
            seen.to(span_logits.dtype),
            config.positive["loaded_spans"],
        )
        return found

    def _weights(self, part_scales: Tensor | None, row: int) -> dict[LossPart, Any]:
        """Weights of the parts, of labels (row 0) or of teachers (row 1)."""
        weights: dict[LossPart, Any] = dict(self.loss_config.parts)
        if part_scales is None:
            return weights
        return {part: weights[part] * part_scales[row, i] for i, part in enumerate(LOSS_PARTS)}


def _binary(logits: Tensor, targets: Tensor, weights: Tensor, positive: float) -> Tensor:
    losses = nn.functional.binary_cross_entropy_with_logits(
        logits, targets, pos_weight=logits.new_tensor(positive), reduction="none"
    )
    return (losses * weights).sum() / weights.sum().clamp(min=1.0)


def _tags(span_logits: Tensor, targets: Tensor, *, sequences: bool) -> Tensor:
    """Cost of the tags, averaged over the supervised positions; 0 where there are none.

    Masked and not by picking positions, whose number a GPU would have to tell before anything can
    go on.
    """
    logits, there = span_logits[..., : len(BIO_TAGS)], targets != IGNORE
    if sequences:
        losses = sequence_losses(logits, targets, there).sum()
    else:
        losses = nn.functional.cross_entropy(
            logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORE, reduction="sum"
        )
    return losses / there.sum().clamp(min=1)


def soft_loss(
    logits: Tensor,
    teacher: Tensor,
    temperature: float,
    parts: Mapping[LossPart, Any],
    *,
    sequences: bool = False,
) -> Tensor:
    """Divergence of the teacher's answers from the student's, 0 where they are the same.

    Both have shape (b, t, 11); NaN in `teacher` masks. Each part is averaged over the positions
    that have an answer; with `sequences`, tags are compared as sequences. The square of the
    temperature keeps the gradients' size, so that the weight against the labels does not depend
    on it (Hinton et al. 2015).
    """
    tags = slice(len(AXES), len(AXES) + len(BIO_TAGS))
    binary: dict[LossPart, int] = {axis: column for column, axis in enumerate(AXES)}
    binary["loaded_spans"] = tags.stop
    total = logits.new_zeros(())
    for part, column in binary.items():
        known = ~torch.isnan(teacher[..., column])
        ours = logits[..., column] / temperature
        # Where no teacher spoke the student agrees with itself. Picking positions instead would
        # have a GPU wait for their number.
        theirs = torch.where(known, teacher[..., column] / temperature, ours.detach())
        cross = nn.functional.binary_cross_entropy_with_logits
        answers = theirs.sigmoid()
        gaps = cross(ours, answers, reduction="none") - cross(theirs, answers, reduction="none")
        gap = torch.where(known, gaps, 0.0).sum()
        total = total + parts[part] * gap / known.sum().clamp(min=1)
    known = ~torch.isnan(teacher[..., tags]).any(dim=-1)
    ours = logits[..., tags] / temperature
    theirs = torch.where(known[..., None], teacher[..., tags] / temperature, ours.detach())
    if sequences:
        gap = sequence_divergences(ours, theirs, known).sum()
    else:
        gaps = nn.functional.kl_div(
            ours.log_softmax(-1), theirs.log_softmax(-1), reduction="none", log_target=True
        )
        gap = torch.where(known[..., None], gaps, 0.0).sum()
    found: Tensor = total + parts["attribution_spans"] * gap / known.sum().clamp(min=1)
    return found * temperature**2


def answer_counts(batch: dict[str, Tensor]) -> Tensor:
    """What each part of the loss is averaged over, shape (2, 5): labels' parts, then teachers'.

    Columns are in `LOSS_PARTS` order.
    """
    labels = [
        *batch["axis_weights"].sum(dim=(0, 1)),
        (batch["tag_targets"] != IGNORE).sum(),
        (batch["loaded_targets"] != IGNORE).sum(),
    ]
    soft = [0.0] * len(LOSS_PARTS)
    if "soft_targets" in batch:
        known = ~torch.isnan(batch["soft_targets"])
        axes, tags, loaded = torch.split(known, [len(AXES), len(BIO_TAGS), 1], dim=-1)
        soft = [*axes.sum(dim=(0, 1)).tolist(), int(tags.all(dim=-1).sum()), int(loaded.sum())]
    return torch.tensor([[float(count) for count in row] for row in (labels, soft)])


def scales_of_parts(counts: Tensor, total: Tensor, batches: int) -> Tensor:
    """Factors (2, 5) on the parts of one batch's loss, among the batches of a step.

    A batch divides by its own count of answers, `counts`. With these factors the mean of the
    step's losses is the loss of one batch that holds all of its windows, `total` being the sum
    of their counts: without them, a batch of few answers would weigh each of them more.
    """
    return counts.clamp(min=1) * batches / total.clamp(min=1)


class ExportModel(nn.Module):
    """The graph that ships: one unpadded window in, both logits out, no attention mask."""

    def __init__(self, model: SegmentSpanModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, token_type_ids: Tensor) -> tuple[Tensor, Tensor]:
        """Segment logits (1, t, 3) and span logits (1, t, 8) of one window (1, t)."""
        return self.model.logits(input_ids, token_type_ids)


class TorchNetwork:
    """A trained model behind the interface of `framelens.network.Network`."""

    def __init__(self, model: SegmentSpanModel, bf16: bool = False) -> None:
        self._model = model
        self._bf16 = bf16

    def __call__(self, window: WindowFeatures) -> tuple[Any, Any]:
        """Segment logits (t, 3) and span logits (t, 8) of one window, as NumPy arrays."""
        return self._read([window])[0]

    def many(self, windows: Sequence[WindowFeatures]) -> list[tuple[Any, Any]]:
        """The same for many windows, those of like length side by side.

        What stands beside a window may change the last bits of its logits.
        """
        order = sorted(range(len(windows)), key=lambda i: -len(windows[i].input_ids))
        outputs: list[Any] = [None] * len(windows)
        while order:
            rows = max(1, BATCH_TOKENS // len(windows[order[0]].input_ids))
            chosen, order = order[:rows], order[rows:]
            found = self._read([windows[i] for i in chosen])
            for index, output in zip(chosen, found, strict=True):
                outputs[index] = output
        return outputs

    def _read(self, windows: Sequence[WindowFeatures]) -> list[tuple[Any, Any]]:
        sizes = [len(window.input_ids) for window in windows]
        ids, types, mask = (np.zeros((len(windows), max(sizes)), dtype=np.int64) for _ in range(3))
        for row, (window, size) in enumerate(zip(windows, sizes, strict=True)):
            ids[row, :size], types[row, :size] = window.input_ids, window.token_type_ids
            mask[row, :size] = 1
        device = next(self._model.parameters()).device
        inputs = [torch.from_numpy(array).to(device) for array in (ids, types)]
        if min(sizes) < max(sizes):
            inputs.append(torch.from_numpy(mask).to(device))
        was_training = self._model.training
        self._model.eval()
        try:
            with (
                torch.inference_mode(),
                torch.autocast(device.type, dtype=torch.bfloat16, enabled=self._bf16),
            ):
                both = [logits.float().cpu().numpy() for logits in self._model.logits(*inputs)]
        finally:
            self._model.train(was_training)
        return [(both[0][row, :size], both[1][row, :size]) for row, size in enumerate(sizes)]
