"""Which documents a cascade defers to a second model, and to which one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from framelens.errors import ArtifactError

if TYPE_CHECKING:
    from framelens.artifact import Artifact

DEFER_WITHIN = 0.15
"""Default distance from a threshold within which a score is in doubt."""

DEFER_SHARE = 0.25
"""Share of a document's segments that must be in doubt for the second model to read it.

With both of these `benchmarks/cascade.py` finds news-en-fast within 1.5 points of news-en;
docs/decisions.md has what other values give.
"""


@dataclass(frozen=True, slots=True)
class Deferral:
    """A second model, and how near to a threshold a score must be for it to be asked."""

    artifact: Artifact
    within: float = DEFER_WITHIN

    def __post_init__(self) -> None:
        """Check the distance.

        Raises:
            ValueError: if it is no distance between two scores, 0 to 1.
        """
        if not 0 <= self.within <= 1:
            raise ValueError(
                f"expected a distance from 0 to 1 to defer within, found {self.within}"
            )

    def check(self, first: Artifact) -> None:
        """Make sure that it is not the first model itself that documents are deferred to.

        Raises:
            ArtifactError: if it is.
        """
        if self.artifact.info == first.info:
            raise ArtifactError(
                f"expected another model to defer to than the first, found {first.info.name} "
                f"{first.info.version} twice; name a larger one, or defer to none"
            )

    def to_dict(self) -> dict[str, Any]:
        """What an answer depends on, for a run's manifest and its summary."""
        return {"model": self.artifact.info.to_dict(), "within": self.within}
