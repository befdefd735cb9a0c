"""Which documents a cascade defers to a second model, and to which one."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from framelens.errors import ArtifactError

if TYPE_CHECKING:
    from pathlib import Path

    from framelens.artifact import Artifact

DEFER_WITHIN = 0.15
"""Default distance from a threshold within which a score is in doubt.

A score is a probability: with a threshold far from a half, the same distance defers more.
"""

DEFER_SHARE = 0.25
"""Default share of a document's segments that must be in doubt for the second model to read it.

`benchmarks/cascade.py` measures what these two and other values give; docs/decisions.md has it.
"""


@dataclass(frozen=True, slots=True)
class Deferral:
    """A second model, how near to a threshold a score is in doubt, and how many of them must be."""

    artifact: Artifact
    within: float = DEFER_WITHIN
    share: float = DEFER_SHARE

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            ValueError: if one is not from 0 to 1.
        """
        for name, value in (("within", self.within), ("share", self.share)):
            if not 0 <= value <= 1:
                raise ValueError(f"expected defer_{name} from 0 to 1, found {value}")

    @classmethod
    def to(
        cls, model: str | Path, within: float | None = None, share: float | None = None
    ) -> Deferral:
        """To a model by its name or folder; numbers that are None are the default ones.

        Raises:
            ArtifactError, ValueError: if the model or a number cannot be used.
        """
        from framelens.artifact import Artifact, resolve

        return cls(
            Artifact.open(resolve(model)),
            DEFER_WITHIN if within is None else within,
            DEFER_SHARE if share is None else share,
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

    @property
    def options(self) -> dict[str, Any]:
        """What a run's output depends on, under the names of the command's options."""
        info = self.artifact.info
        model = f"{info.name} {info.version}, manifest sha256 {info.sha256}"
        return {"defer_to": model, "defer_within": self.within, "defer_share": self.share}

    def to_dict(self) -> dict[str, Any]:
        """The second model and the numbers, for a run's summary."""
        model = self.artifact.info.to_dict()
        return {"model": model, "within": self.within, "share": self.share}


def add_cascade(command: argparse.ArgumentParser) -> None:
    """Add the options by which a command scores with a second model."""
    cascade = command.add_argument_group("cascade")
    cascade.add_argument(
        "--defer-to", metavar="MODEL", help="a second model for documents of which -m is not sure"
    )
    cascade.add_argument(
        "--defer-within",
        type=share_of,
        metavar="D",
        help="a segment is in doubt with a score nearer than this to the threshold that decides "
        f"its label; default {DEFER_WITHIN}",
    )
    cascade.add_argument(
        "--defer-share",
        type=share_of,
        metavar="S",
        help="documents of whose segments at least this share are in doubt are deferred; "
        f"default {DEFER_SHARE}",
    )


def cascade_problems(options: argparse.Namespace) -> list[str]:
    """What is wrong in the use of these options, as said to users."""
    if options.defer_to is None and (options.defer_within, options.defer_share) != (None, None):
        return ["--defer-within and --defer-share need --defer-to MODEL"]
    return []


def chosen_deferral(options: argparse.Namespace) -> Deferral | None:
    """What these options ask for.

    Raises:
        ArtifactError: if the second model cannot be used.
    """
    if options.defer_to is None:
        return None
    return Deferral.to(options.defer_to, options.defer_within, options.defer_share)


def share_of(value: str) -> float:
    """A number from 0 to 1 on a command line, for `argparse`."""
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to 1, found {value!r}")
    return number
