"""Labelled windows in batches of like length."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import Dataset, Sampler

from framelens.schema import AXES
from framelens_training.alignment import SIZE
from framelens_training.config import LOSS_PARTS, LossPart
from framelens_training.errors import UnfitSettingsError
from framelens_training.processes import ALONE, Processes
from framelens_training.targets import IGNORE, LabelledWindow


class WindowDataset(Dataset[LabelledWindow]):
    """Labelled windows by index, epoch after epoch: each epoch may draw its own."""

    def __init__(self, epochs: Sequence[Sequence[LabelledWindow]]) -> None:
        self.windows = [window for windows in epochs for window in windows]
        self.lengths = [len(window.features.input_ids) for window in self.windows]
        edges = np.cumsum([0, *(len(windows) for windows in epochs)]).tolist()
        self.epochs = [range(a, b) for a, b in itertools.pairwise(edges)]
        """Indices of each epoch's windows."""

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, index: int) -> LabelledWindow:
        return self.windows[index]


class TokenBudgetSampler(Sampler[list[int]]):
    """Batches of windows of like length, at most `batch_tokens` positions each, padding in.

    One pass over the sampler is the whole training: the epochs' batches follow each other,
    each epoch's in an order that is drawn from the seed and the epoch's number. A step takes
    `accumulate` batches in each of `processes`, all of like length; which windows make a step
    depends on the product of the two alone. The sampler gives the batches of one process.
    """

    def __init__(
        self,
        dataset: WindowDataset,
        batch_tokens: int,
        seed: int,
        *,
        accumulate: int = 1,
        processes: Processes = ALONE,
    ) -> None:
        group = accumulate * processes.count
        self.steps: list[list[list[int]]] = []
        """The batches of each step that are this process's."""
        for number, indices in enumerate(dataset.epochs):
            generator = np.random.default_rng((seed, number))
            batches = _batches(dataset.lengths, indices, batch_tokens, generator)
            groups = _groups(batches, group)
            for index in generator.permutation(len(groups)).tolist():
                self.steps.append(groups[index][processes.rank :: processes.count])

    def __len__(self) -> int:
        return sum(map(len, self.steps))

    def __iter__(self) -> Iterator[list[int]]:
        return itertools.chain.from_iterable(self.steps)


def _groups(batches: list[list[int]], size: int) -> list[list[list[int]]]:
    """Neighbours in groups of `size`; the fullest are halved until the groups come out even."""
    batches = list(batches)
    while len(batches) % size:
        fullest = max(range(len(batches)), key=lambda index: len(batches[index]))
        windows = batches[fullest]
        if len(windows) == 1:
            raise UnfitSettingsError(
                f"expected {size} windows or more an epoch, as processes times "
                f"training.accumulate, found {len(batches)}; use fewer of one or the other"
            )
        middle = len(windows) // 2
        batches[fullest : fullest + 1] = [windows[:middle], windows[middle:]]
    return [batches[start : start + size] for start in range(0, len(batches), size)]


def _batches(
    lengths: Sequence[int],
    indices: Sequence[int],
    batch_tokens: int,
    generator: np.random.Generator,
) -> list[list[int]]:
    # Ties are shuffled: windows of one length should not always stand in file order.
    order = np.lexsort((generator.random(len(indices)), np.asarray([lengths[i] for i in indices])))
    batches: list[list[int]] = []
    current: list[int] = []
    for place in order.tolist():
        index = indices[place]
        if current and (len(current) + 1) * lengths[index] > batch_tokens:
            batches.append(current)
            current = []
        current.append(index)
    if current:
        batches.append(current)
    return batches


def collate(windows: Sequence[LabelledWindow]) -> dict[str, torch.Tensor]:
    """Pad windows to one length: tensors of shapes (b, t) and (b, t, 3).

    Where a teacher spoke of any window, `soft_targets` (b, t, 11) is there too, NaN where none
    did and in the padding.
    """
    rows, width = len(windows), max(len(window.features.input_ids) for window in windows)
    ids = np.zeros((rows, width), dtype=np.int64)
    types = np.zeros((rows, width), dtype=np.int64)
    mask = np.zeros((rows, width), dtype=np.int64)
    axes = np.zeros((rows, width, len(AXES)), dtype=np.float32)
    weights = np.zeros((rows, width, len(AXES)), dtype=np.float32)
    tags = np.full((rows, width), IGNORE, dtype=np.int64)
    loaded = np.full((rows, width), IGNORE, dtype=np.int64)
    soft = np.full((rows, width, SIZE), np.nan, dtype=np.float32)
    for row, window in enumerate(windows):
        size = len(window.features.input_ids)
        ids[row, :size] = window.features.input_ids
        types[row, :size] = window.features.token_type_ids
        mask[row, :size] = 1
        axes[row, :size] = window.axes
        weights[row, :size] = window.weights
        tags[row, :size] = window.tags
        loaded[row, :size] = window.loaded
        if window.soft is not None:
            soft[row, :size] = window.soft
    taught = any(window.soft is not None for window in windows)
    return {
        **({"soft_targets": torch.from_numpy(soft)} if taught else {}),
        "input_ids": torch.from_numpy(ids),
        "token_type_ids": torch.from_numpy(types),
        "attention_mask": torch.from_numpy(mask),
        "axis_targets": torch.from_numpy(axes),
        "axis_weights": torch.from_numpy(weights),
        "tag_targets": torch.from_numpy(tags),
        "loaded_targets": torch.from_numpy(loaded),
    }


@dataclass(frozen=True, slots=True)
class Supervision:
    """How often each binary part of the loss is answered yes and no in the windows.

    A soft label counts as so much of a yes as its probability.
    """

    positives: dict[LossPart, float]
    negatives: dict[LossPart, float]

    def positive_weights(self, balance: bool) -> dict[LossPart, float]:
        """Weight of a yes: the square root of the odds against it, within 1/3 and 3."""
        weights: dict[LossPart, float] = dict.fromkeys(LOSS_PARTS, 1.0)
        if balance:
            for part, positives in self.positives.items():
                if positives and self.negatives[part]:
                    odds = self.negatives[part] / positives
                    weights[part] = float(np.clip(np.sqrt(odds), 1 / 3, 3))
        return weights


def supervision(windows: Sequence[LabelledWindow]) -> Supervision:
    """Count the supervised answers of all windows."""
    positives: dict[LossPart, float] = dict.fromkeys((*AXES, "loaded_spans"), 0.0)
    negatives: dict[LossPart, float] = dict(positives)
    for window in windows:
        seen = window.weights > 0
        for column, axis in enumerate(AXES):
            answers = window.axes[seen[:, column], column].astype(np.float64)
            positives[axis] += float(answers.sum())
            negatives[axis] += float((1 - answers).sum())
        positives["loaded_spans"] += int((window.loaded == 1).sum())
        negatives["loaded_spans"] += int((window.loaded == 0).sum())
    return Supervision(positives, negatives)
