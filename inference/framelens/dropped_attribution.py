"""How likely it is that a headline states as fact what its body only attributes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from framelens.decoding import Floats
from framelens.schema import ScoredSegment

LEAD = 8
"""Body segments among which an article tells what its headline says, as news does."""

CHANCE = 0.13
"""What a segment carries of a headline by chance, times the binary logarithm of half of the number
of body segments: the best of many carries some of it in any case, and the more the more there are.
"""

SURE = 0.4
"""Probability from which the check says that an attribution was dropped.

Chosen on folds of the articles that the weights were fitted to: of ten, seven are right.
"""

_RIVAL = 0.9  # share of the score from which a segment of the outlet's says it as well
_NEAREST = 1e-3  # to 0 and to 1 of a probability whose logit is taken


class DroppedSigns(NamedTuple):
    """What speaks for and against it, of a headline that does not show its attribution."""

    score: float
    """How much of the headline the attributed segment carries, 0 to 1."""
    chance: float
    """How much of it the best of so many segments carries by chance."""
    said: float
    """How much more of it is carried by what the source says there than by the other words."""
    framed: float
    """Mean `framed` of the lead: opinion pieces attribute what they are about to discuss."""
    rival: float
    """How much of the headline a segment of the outlet's own carries."""
    evidence: float
    """Logit of the headline's own `attributed`."""

    @property
    def excess(self) -> float:
        """How much more of the headline the segment carries than one does by chance."""
        return self.score - self.chance

    @property
    def rule_it_out(self) -> bool:
        """Whether it is not the source who says it, or the outlet says it as well."""
        return self.said < 0 or self.rival > _RIVAL * self.score

    def probability(self) -> float:
        """The probability that the attribution was dropped, if that is not ruled out.

        A logistic regression, fitted by `benchmarks/headline_articles.py --fit` to articles that
        were judged by reading.
        """
        return 1 / (1 + math.exp(-float(np.dot(WEIGHTS, self.weighed())) - BIAS))

    def weighed(self) -> tuple[float, ...]:
        """What the regression weighs, in the order of `WEIGHTS`."""
        return (self.excess, *self[2:])


WEIGHTS = (2.16, 2.16, -5.16, -3.22, -0.5)
BIAS = -1.19


def dropped_signs(
    head: ScoredSegment,
    body: Sequence[ScoredSegment],
    scores: Floats,
    best: int,
    said: float,
    threshold: float,
) -> DroppedSigns:
    """The signs, of a headline and its body's m segments: the attributed `best` carries its claim.

    `scores`, (m,), is how much of the headline each carries; `said` how much more of it is carried
    by what the source says in the best one than by its other words; `threshold` that of the axis
    `attributed`.
    """
    outlets = [_is_the_outlets(segment, threshold) for segment in body]
    return DroppedSigns(
        score=float(scores[best]),
        chance=CHANCE * math.log2(max(len(body) / 2, 1)),
        said=said,
        framed=float(np.mean([segment.scores["framed"] for segment in body[:LEAD]])),
        rival=float(np.where(outlets, scores, 0.0).max()),
        evidence=_logit(head.scores["attributed"]),
    )


def _is_the_outlets(segment: ScoredSegment, threshold: float) -> bool:
    """Whether no source says anything in a segment."""
    reported = any(span.type == "content" for span in segment.spans)
    return segment.scores["attributed"] < threshold and not reported


def _logit(probability: float) -> float:
    bounded = min(max(probability, _NEAREST), 1 - _NEAREST)
    return math.log(bounded / (1 - bounded))
