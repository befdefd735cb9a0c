"""What whole sequences of attribution tags cost, instead of one word after another.

Spans are decoded by forward-backward over a chain in which `I-x` follows only `B-x` or `I-x`
(`framelens.tag_chain`). Trained word by word, the network does not know that: it may leave a
content and come back without beginning another. Here the loss is the likelihood of the sequence
in that chain (a CRF, Lafferty et al. 2001, whose moves are allowed or not and have no scores of
their own: the network has seen the words before), and a teacher's answers are the distribution
over sequences that the chain makes of its logits (Wang et al. 2020, "Structure-Level Knowledge
Distillation for Multilingual Sequence Labeling").
"""

from __future__ import annotations

import torch
from torch import Tensor

from framelens.schema import BIO_TAGS


def sequence_losses(logits: Tensor, tags: Tensor, there: Tensor) -> Tensor:
    """(b,) negative log-likelihoods of the tags of each row's words; 0 for a row without words.

    `logits` is (b, t, 7), `tags` (b, t); positions at which `there` (b, t) is false are no words,
    and the words before and after them follow each other. Tags have to be a sequence that the
    chain allows; before the first word stands any tag, since a window may begin inside a span.
    """
    known = tags.clamp(min=0)
    chosen = torch.where(there, logits.gather(2, known[..., None])[..., 0], 0.0).sum(dim=1)
    first = known.gather(1, there.int().argmax(dim=1, keepdim=True))[:, 0]
    goes_on = there.any(dim=1) & (first > 0) & (first % 2 == 0)
    # The partition counts a sequence once for each tag that may stand before its first word.
    may_precede = torch.where(goes_on, 2, len(BIO_TAGS)).to(logits.dtype)
    return log_partitions(logits, there) - chosen - may_precede.log()


def sequence_divergences(logits: Tensor, teacher: Tensor, there: Tensor) -> Tensor:
    """(b,) divergences of the teacher's distribution over sequences from the student's.

    Shapes are those of `sequence_losses`, `teacher` being like `logits`.
    """
    with torch.enable_grad():
        answers = teacher.detach().requires_grad_()
        known = log_partitions(answers, there)
        (probabilities,) = torch.autograd.grad(known.sum(), answers)
    gaps = (probabilities * (logits - answers.detach())).sum(dim=(1, 2))
    return log_partitions(logits, there) - known.detach() - gaps


def log_partitions(logits: Tensor, there: Tensor) -> Tensor:
    """(b,) logarithms of the sum over all allowed sequences of their exponentiated logits.

    Shapes are those of `sequence_losses`.
    """
    first = torch.arange(1, len(BIO_TAGS), 2)
    order = torch.cat([torch.zeros(1, dtype=torch.int64), first, first + 1])
    steps = logits[..., order.to(logits.device)].unbind(dim=1)
    types = len(first)
    reach = logits.new_zeros(len(logits), len(BIO_TAGS))
    for step, is_there in zip(steps, there[..., None].unbind(dim=1), strict=True):
        anywhere = torch.logsumexp(reach, dim=1, keepdim=True).expand(-1, 1 + types)
        inside = torch.logaddexp(reach[:, 1 : 1 + types], reach[:, 1 + types :])
        reach = torch.where(is_there, torch.cat([anywhere, inside], dim=1) + step, reach)
    return torch.logsumexp(reach, dim=1)
