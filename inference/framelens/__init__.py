"""framelens: who is speaking in a news article, and whether the outlet's own words frame it.

import framelens
scorer = framelens.load()
document = scorer.score(text, headline=headline)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from framelens.errors import ArtifactError, FramelensError, InputError, MissingExtraError
from framelens.limits import LimitError, Limits
from framelens.relations import AttributionRelation, attribution_relations
from framelens.schema import (
    AXES,
    LABELS,
    SPAN_TYPES,
    Document,
    HeadlineCheck,
    ModelInfo,
    OwnWording,
    RowError,
    ScoredSegment,
    Span,
    Summary,
)

if TYPE_CHECKING:
    from framelens.pages import extract_page
    from framelens.scorer import Scorer, check_golden, load

__version__ = "0.1.1"

__all__ = [
    "AXES",
    "LABELS",
    "SPAN_TYPES",
    "ArtifactError",
    "AttributionRelation",
    "Document",
    "FramelensError",
    "HeadlineCheck",
    "InputError",
    "LimitError",
    "Limits",
    "MissingExtraError",
    "ModelInfo",
    "OwnWording",
    "RowError",
    "ScoredSegment",
    "Scorer",
    "Span",
    "Summary",
    "attribution_relations",
    "check_golden",
    "extract_page",
    "load",
]

if not TYPE_CHECKING:  # to a type checker, it would make an object of every misspelt name

    def __getattr__(name: str) -> object:
        # ONNX Runtime and tokenizers take a quarter of a second to import: only scoring pays it.
        if name in ("Scorer", "check_golden", "load"):
            from framelens import scorer

            return getattr(scorer, name)
        if name == "extract_page":
            from framelens.pages import extract_page

            return extract_page
        raise AttributeError(f"module 'framelens' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
