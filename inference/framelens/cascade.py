"""A cascade: a small model answers what it is sure of, and a larger one reads the rest.

Whole documents are deferred, so that an answer is one model's alone, with its thresholds, its spans
and its name. Which ones are follows from what the small model says of them and from nothing else:
not from their neighbours, their order or the number of workers (confidence-based deferral; Viola
and Jones 2001 for cascades, Jitkrittum et al. 2023 for when confidence is enough).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from framelens.artifact import Artifact
from framelens.decoding import DecodingConfig, DocumentLogits, axis_scores, label_margins
from framelens.deferral import DEFER_SHARE, Deferral
from framelens.limits import Limits
from framelens.schema import Document
from framelens.scorer import CACHED_WINDOWS, Reading, Scorer
from framelens.segmentation import TextSegment


class Cascade(Scorer):
    """A scorer whose doubtful documents are answered by a second model.

    A segment is in doubt where one of its scores is less than `deferral.within` from the
    threshold on whose other side the label would be another. A document of whose segments a
    quarter are in doubt is answered by the second model, whose name is then in `Document.model`;
    `model` and `artifact` are the first one's, and so is the name in error documents.
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
        models = (self.artifact.path, self.deferral.artifact.path, self.deferral.within)
        return _reopen, (*models, self._threads, self.limits, self.cached_windows)

    def decode(self, readings: Sequence[Reading]) -> list[Document]:
        """The answers for documents that were read, each by the model that read it."""
        deferred = [reading.reader is not self for reading in readings]
        own = [reading for reading in readings if reading.reader is self]
        others = [reading for reading in readings if reading.reader is not self]
        answers = (iter(super().decode(own)), iter(self.second.decode(others)))
        return [next(answers[is_deferred]) for is_deferred in deferred]

    def _read_segments(self, id: str, segments: list[TextSegment], deadline: float) -> Reading:
        reading = self.own_reading(id, segments, deadline)
        if is_deferred(reading.logits, self.artifact.manifest.decoding, self.deferral.within):
            return self.second.own_reading(id, segments, deadline)
        return reading


def is_deferred(logits: DocumentLogits, decoding: DecodingConfig, within: float) -> bool:
    """Whether enough of a document's segments could well have another label."""
    margins = label_margins(axis_scores(logits, decoding), logits.headlines, decoding)
    doubtful = int((margins < within).sum())
    return doubtful > 0 and doubtful >= DEFER_SHARE * len(margins)


def _reopen(
    path: Any, second: Any, within: float, threads: int, limits: Limits, cached_windows: int
) -> Cascade:
    return Cascade(
        Artifact.open(path),
        Deferral(Artifact.open(second), within),
        threads=threads,
        limits=limits,
        cached_windows=cached_windows,
    )
