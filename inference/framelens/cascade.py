"""A cascade: a small model answers what it is sure of, and a larger one reads the rest.

Whole documents are deferred, so that an answer is one model's alone, with its thresholds, its spans
and its name. Which ones are follows from what the small model says of them and from nothing else:
not from their neighbours, their order or the number of workers (confidence-based deferral; Viola
and Jones 2001 for cascades, Jitkrittum et al. 2023 for when confidence is enough).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress
from operator import not_
from pathlib import Path
from typing import Any

from framelens.artifact import Artifact
from framelens.decoding import (
    DecodingConfig,
    DocumentLogits,
    are_furniture,
    axis_scores,
    label_margins,
)
from framelens.deferral import Deferral
from framelens.limits import LimitError, Limits, Stopwatch
from framelens.schema import Document
from framelens.scorer import CACHED_WINDOWS, Reading, Scorer


class Cascade(Scorer):
    """A scorer whose doubtful documents are answered by a second model.

    A segment is in doubt where one of its scores is less than `deferral.within` from the
    threshold on whose other side the label would be another. A document is answered by the second
    model if at least `deferral.share` of its segments are in doubt, what is surely page furniture
    left out; that model's name is then in `Document.model`. `model` and `artifact` are the first
    one's, and so is the name in error documents.
    """

    def __init__(
        self,
        artifact: Artifact,
        deferral: Deferral,
        *,
        threads: int = 1,
        limits: Limits | None = None,
        cached_windows: int = CACHED_WINDOWS,
    ) -> None:
        """Open both networks; each remembers `cached_windows` windows.

        Raises:
            ArtifactError: if the two models are one, or a network cannot be read.
        """
        deferral.check(artifact)
        super().__init__(artifact, threads=threads, limits=limits, cached_windows=cached_windows)
        self.deferral: Deferral = deferral
        self.second: Scorer = Scorer(
            deferral.artifact, threads=threads, limits=limits, cached_windows=cached_windows
        )

    def __reduce__(self) -> tuple[Any, ...]:
        second = self.deferral
        chosen = (second.artifact.path, second.within, second.share)
        settings = (self._threads, self.limits, self.cached_windows)
        return _reopen, (self.artifact.path, *chosen, *settings)

    def decode(self, readings: Sequence[Reading]) -> list[Document]:
        """The answers for documents that the first model has read.

        Those that it defers are read here by the second one, one after the other: weights that
        take turns in a processor's cache cost a fifteenth of the time of both models.

        A document whose time runs out gives an error document; what both models take counts.

        Raises:
            ValueError: if another model has read one of them.
        """
        self.check_read(readings)
        decoding = self.artifact.manifest.decoding
        within, share = self.deferral.within, self.deferral.share
        deferred = [is_deferred(reading.logits, decoding, within, share) for reading in readings]
        own = iter(self.decode_own(list(compress(readings, map(not_, deferred)))))
        read = [self._second(reading) for reading in compress(readings, deferred)]
        decoded = iter(self.second.decode([item for item in read if isinstance(item, Reading)]))
        others = iter([item if isinstance(item, Document) else next(decoded) for item in read])
        return [next(others if is_other else own) for is_other in deferred]

    def _second(self, reading: Reading) -> Reading | Document:
        """What the second model says of a document that the first has read."""
        watch = Stopwatch(self.limits.seconds, reading.seconds)
        try:
            return self.second.read_segments(reading.id, reading.segments, watch)
        except LimitError as error:
            model, second = self.model.name, self.second.model.name
            message = f"{error} ({model} had read all of it and deferred it to {second})"
            return self.error(reading.id, error.code, message)


def is_deferred(
    logits: DocumentLogits, decoding: DecodingConfig, within: float, share: float
) -> bool:
    """Whether a share of a document's segments or more could well have another label.

    Segments that are surely page furniture count for nothing.
    """
    scores = axis_scores(logits, decoding)
    doubtful = label_margins(scores, logits.headlines, decoding) < within
    count = int(doubtful.sum())
    counted = int((doubtful | ~are_furniture(scores, logits.headlines, decoding)).sum())
    return count > 0 and count / counted >= share


def _reopen(
    path: Path,
    second: Path,
    within: float,
    share: float,
    threads: int,
    limits: Limits,
    cached_windows: int,
) -> Cascade:
    return Cascade(
        Artifact.open(path),
        Deferral(Artifact.open(second), within, share),
        threads=threads,
        limits=limits,
        cached_windows=cached_windows,
    )
