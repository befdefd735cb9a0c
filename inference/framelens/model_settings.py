"""How text becomes features and logits become answers: what a manifest carries beside the weights.

NumPy is not needed to read a manifest, so that a batch run's parent, which scores nothing itself,
starts its workers without loading it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from framelens.schema import AXES, SPAN_TYPES, Axis, SpanType
from framelens.windows import MAX_TOKENS, OVERLAP

FEATURE_VERSION = 1
"""Rises whenever the same text would give other features; a model carries the one it saw."""


@dataclass(frozen=True, slots=True)
class FeatureConfig:
    """How text becomes features; travels with the weights in the manifest."""

    max_tokens: int = MAX_TOKENS
    overlap: int = OVERLAP
    cls_token: str = "[CLS]"  # noqa: S105
    sep_token: str = "[SEP]"  # noqa: S105
    token_types: bool = True
    """Whether headline tokens are marked by `token_type_ids`."""

    def to_dict(self) -> dict[str, Any]:
        """The configuration as it stands in a manifest."""
        return {
            "version": FEATURE_VERSION,
            "max_tokens": self.max_tokens,
            "overlap": self.overlap,
            "cls_token": self.cls_token,
            "sep_token": self.sep_token,
            "token_types": self.token_types,
        }


@dataclass(frozen=True, slots=True)
class DecodingConfig:
    """Thresholds and calibration, tuned on validation data; they travel with the weights.

    A probability is `sigmoid(logit / temperature + offset)`, and a headline's has its own offset
    added to that (temperature scaling, Guo et al. 2017; with an offset, Platt 1999).
    """

    temperatures: Mapping[Axis, float] = field(default_factory=lambda: dict.fromkeys(AXES, 1.0))
    offsets: Mapping[Axis, float] = field(default_factory=lambda: dict.fromkeys(AXES, 0.0))
    headline_offsets: Mapping[Axis, float] = field(default_factory=lambda: dict.fromkeys(AXES, 0.0))
    """What makes a headline's score as likely to be right as that of any other segment, so that
    one threshold serves both."""
    thresholds: Mapping[Axis, float] = field(default_factory=lambda: dict.fromkeys(AXES, 0.5))
    uncertain_band: float = 0.1
    """A segment whose label would change if a score within this distance of its threshold
    fell on the other side is uncertain."""
    span_thresholds: Mapping[SpanType, float] = field(
        default_factory=lambda: dict.fromkeys(SPAN_TYPES, 0.5)
    )
    """Least probability with which a span is given."""
    transitions: tuple[tuple[float, ...], ...] = ()
    """(7, 7) score of each tag, by column, after each other, by row, on the scale of the span
    logits: what a linear-chain CRF adds to them. Empty stands for zeros."""
    loaded_transitions: tuple[tuple[float, ...], ...] = ()
    """(3, 3) scores of the same kind between `LOADED_TAGS`."""

    def to_dict(self) -> dict[str, Any]:
        """The configuration as it stands in a manifest."""
        return {
            "temperatures": dict(self.temperatures),
            "offsets": dict(self.offsets),
            "headline_offsets": dict(self.headline_offsets),
            "thresholds": dict(self.thresholds),
            "uncertain_band": self.uncertain_band,
            "span_thresholds": dict(self.span_thresholds),
            "transitions": [list(row) for row in self.transitions],
            "loaded_transitions": [list(row) for row in self.loaded_transitions],
        }
