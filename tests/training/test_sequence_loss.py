from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from framelens.schema import AXES, BIO_TAGS, SPAN_LOGITS
from framelens.tag_chain import TRANSITIONS
from framelens_training.config import LOSS_PARTS, Config
from framelens_training.dataset import collate
from framelens_training.encoder import load_encoder
from framelens_training.model import LossConfig, SegmentSpanModel, SoftLoss, soft_loss
from framelens_training.sequence_loss import (
    log_partitions,
    sequence_divergences,
    sequence_losses,
)
from framelens_training.targets import featurize_document, labelled_window
from support import tiny_documents

ALLOWED = np.isfinite(TRANSITIONS)
WORDS = torch.tensor([[0, 1, 1, 0, 1, 0], [0, 1, 1, 1, 1, 0]], dtype=torch.bool)
PARTS = dict.fromkeys(LOSS_PARTS, 1.0)


def logits(seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, 6, len(BIO_TAGS), generator=generator, dtype=torch.float64) * 2


def every_sequence(words: Tensor) -> tuple[list[tuple[int, ...]], Tensor]:
    """All allowed sequences over the words (n, 7), and the logarithm of what each weighs.

    Before them stands any tag, so that a first tag counts once for each that may precede it.
    """
    sequences = [
        tags
        for tags in itertools.product(range(len(BIO_TAGS)), repeat=len(words))
        if all(ALLOWED[pair] for pair in itertools.pairwise(tags))
    ]
    before = np.log(ALLOWED.sum(axis=0))
    weights = [
        sum(float(words[place, tag]) for place, tag in enumerate(tags)) + before[tags[0]]
        for tags in sequences
    ]
    return sequences, torch.tensor(weights, dtype=torch.float64)


def test_the_partition_is_the_sum_over_all_allowed_sequences_of_words() -> None:
    given = logits(1)
    expected = [torch.logsumexp(every_sequence(given[row][WORDS[row]])[1], 0) for row in (0, 1)]
    assert log_partitions(given, WORDS).tolist() == pytest.approx([float(x) for x in expected])


@pytest.mark.parametrize("second", [(1, 2, 3, 0), (4, 4, 3, 0)])  # which begins inside a span
def test_losses_are_the_likelihoods_of_the_tags(second: tuple[int, ...]) -> None:
    given = logits(2)
    tags = torch.zeros(2, 6, dtype=torch.int64)
    tags[0, [1, 2, 4]] = torch.tensor([0, 5, 6])
    tags[1, 1:5] = torch.tensor(second)
    found = sequence_losses(given, tags, WORDS)
    for row in (0, 1):
        sequences, weights = every_sequence(given[row][WORDS[row]])
        chosen = tuple(tags[row][WORDS[row]].tolist())
        likelihood = weights.log_softmax(0)[sequences.index(chosen)]
        assert float(found[row]) == pytest.approx(-float(likelihood))


def test_rows_without_words_cost_nothing() -> None:
    """Most windows of a mixture have no tags; the loss is divided by the words that have."""
    tags = torch.zeros(2, 6, dtype=torch.int64)
    tags[0, 1] = 1
    there = torch.zeros(2, 6, dtype=torch.bool)
    there[0, 1] = True
    found = sequence_losses(logits(5), tags, there)
    assert float(found[0]) > 0
    assert float(found[1]) == pytest.approx(0, abs=1e-12)


def test_divergences_are_those_of_the_distributions_over_sequences() -> None:
    student, teacher = logits(3), logits(4)
    found = sequence_divergences(student, teacher, WORDS)
    for row in (0, 1):
        ours = every_sequence(student[row][WORDS[row]])[1].log_softmax(0)
        theirs = every_sequence(teacher[row][WORDS[row]])[1].log_softmax(0)
        expected = float((theirs.exp() * (theirs - ours)).sum())
        assert float(found[row]) == pytest.approx(expected)
        assert expected > 0.1


def test_positions_that_are_no_words_do_not_count() -> None:
    given = logits(5)
    elsewhere = torch.where(WORDS[..., None], given, torch.full_like(given, 50.0))
    tags = torch.zeros(2, 6, dtype=torch.int64)
    assert torch.equal(sequence_losses(given, tags, WORDS), sequence_losses(elsewhere, tags, WORDS))
    assert torch.equal(
        sequence_divergences(given, logits(6), WORDS),
        sequence_divergences(elsewhere, logits(6), WORDS),
    )


def test_a_span_interrupted_by_an_unlikely_word_goes_on_rather_than_begin_anew() -> None:
    """Word by word, O would be learnt less there; as a sequence, I is learnt more all along."""
    inside, outside = BIO_TAGS.index("I-content"), BIO_TAGS.index("O")
    words = torch.zeros(1, 3, len(BIO_TAGS))
    words[0, [0, 2], inside] = 4.0
    words[0, 1, outside] = 4.0
    words.requires_grad_()
    tags = torch.full((1, 3), inside)
    there = torch.ones(1, 3, dtype=torch.bool)
    (sequence,) = torch.autograd.grad(sequence_losses(words, tags, there).sum(), words)
    (word,) = torch.autograd.grad(
        torch.nn.functional.cross_entropy(words.flatten(0, 1), tags.flatten(), reduction="sum"),
        words,
    )
    assert float(sequence[0, 2, inside]) < 5 * float(word[0, 2, inside]) < 0


def test_the_soft_loss_of_sequences_vanishes_where_both_agree_and_moves_the_student() -> None:
    ours = torch.randn(2, 6, len(AXES) + len(SPAN_LOGITS), requires_grad=True)
    teacher = ours.detach().clone()
    teacher[:, 3] = float("nan")
    agreed = soft_loss(ours, teacher, 2.0, PARTS, sequences=True)
    assert float(agreed.detach()) == pytest.approx(0.0, abs=1e-5)
    teacher[0, 1, 3 + BIO_TAGS.index("B-source")] += 5
    loss = soft_loss(ours, teacher, 2.0, PARTS, sequences=True)
    (gradient,) = torch.autograd.grad(loss, ours)
    assert float(loss.detach()) > 0.05
    assert float(gradient[0, 1, 3 + BIO_TAGS.index("B-source")]) < 0
    assert bool((gradient[:, 3] == 0).all())
    silent = torch.full_like(teacher, float("nan"))
    assert float(soft_loss(ours, silent, 2.0, PARTS, sequences=True).detach()) == 0.0


def test_a_network_learns_sequences(tiny_config: Config) -> None:
    encoder = load_encoder(tiny_config.encoder)
    featurizer = encoder.featurizer(tiny_config.windows)
    items = [featurize_document(d, featurizer) for d in tiny_documents(8)]
    batch = collate([labelled_window(w, i.targets) for i in items for w in i.features.windows])
    torch.manual_seed(7)
    only = {part: float(part == "attribution_spans") for part in LOSS_PARTS}
    config = LossConfig(only, PARTS, SoftLoss(0.0, 1.0), sequences=True)
    model = SegmentSpanModel(encoder.module, 0.0, config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = model(**batch)["loss"]
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert min(losses) >= 0
    assert losses[-1] < losses[0] / 4
