"""Scoring: an article in, a `Document` out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from framelens.artifact import Artifact, resolve
from framelens.decoding import (
    DecodingConfig,
    DocumentLogits,
    TokenSpan,
    axis_scores,
    decode_spans,
    is_uncertain,
    label_of,
    merge_windows,
)
from framelens.errors import ArtifactError
from framelens.features import Featurizer
from framelens.network import Network
from framelens.schema import (
    AXES,
    Axis,
    Document,
    ModelInfo,
    RowError,
    ScoredSegment,
    Span,
    Summary,
)
from framelens.segmentation import TextSegment, segment_article, segment_unit

Unit = Literal["article", "segment"]

MAX_CHARACTERS = 1_000_000
"""Default limit of a document's length, headline and text together, in code points."""

_DIGITS = 4  # of a score: more would be noise of int8 arithmetic


@dataclass(frozen=True, slots=True)
class Limits:
    """What a document may have before it becomes an error row."""

    characters: int = MAX_CHARACTERS


class Scorer:
    """Scores articles with one model. Safe to use from several threads."""

    def __init__(
        self, artifact: Artifact, *, threads: int = 1, limits: Limits | None = None
    ) -> None:
        """Open the artifact's network with the given number of threads."""
        self.artifact = artifact
        self.limits = limits or Limits()
        self._featurizer = Featurizer.from_file(artifact.tokenizer, artifact.manifest.features)
        self._network = Network(artifact.model, threads)

    @property
    def model(self) -> ModelInfo:
        """Name, version and hash of the model."""
        return self.artifact.info

    def score(
        self,
        text: str,
        headline: str | None = None,
        *,
        id: str = "0",
        unit: Unit = "article",
    ) -> Document:
        """Score one article, or with `unit="segment"` one segment without splitting.

        Raises:
            TypeError: if `text` or `headline` is not a string.
            ValueError: if the document is over a limit.
        """
        if not isinstance(text, str):
            raise TypeError(f"expected text to be a string, found {type(text).__name__}")
        if headline is not None and not isinstance(headline, str):
            raise TypeError(f"expected headline to be a string, found {type(headline).__name__}")
        size = len(text) + len(headline or "")
        if size > self.limits.characters:
            raise ValueError(
                f"expected at most {self.limits.characters} characters, found {size}; "
                "split the document or raise the limit"
            )
        split = segment_article if unit == "article" else segment_unit
        segments = split(text, headline)
        return self._document(id, segments)

    def score_many(
        self, records: Iterable[Mapping[str, Any] | str], *, unit: Unit = "article"
    ) -> Iterator[Document]:
        """Score records one by one, in order, holding one at a time.

        A record is a text, or a mapping with `text` and, if it likes, `headline` and `id`.
        A bad record gives a document with status `error`; the others go on.
        """
        for index, record in enumerate(records):
            yield self.score_record(record, default_id=str(index), unit=unit)

    def score_record(
        self, record: Mapping[str, Any] | str, *, default_id: str, unit: Unit = "article"
    ) -> Document:
        """Score one record; whatever is wrong with it becomes an error document."""
        row = {"text": record} if isinstance(record, str) else record
        if not isinstance(row, Mapping):
            return self.error(
                default_id, "bad_row", f"expected an object, found {type(row).__name__}"
            )
        name = row.get("id")
        identifier = default_id if name is None else str(name)
        text, headline = row.get("text"), row.get("headline")
        if text is None:
            return self.error(identifier, "missing_text", "expected a field 'text', found none")
        for key, value in (("text", text), ("headline", headline)):
            if value is not None and not isinstance(value, str):
                return self.error(
                    identifier,
                    f"bad_{key}",
                    f"expected {key!r} to be a string, found {type(value).__name__}",
                )
        try:
            return self.score(text, headline, id=identifier, unit=unit)
        except ValueError as error:
            return self.error(identifier, "too_long", str(error))

    def error(self, id: str, code: str, message: str) -> Document:
        """An error document under this model's name."""
        return Document(id, "error", self.model, error=RowError(code, message))

    def logits(self, segments: Iterable[TextSegment]) -> tuple[DocumentLogits, list[TokenSpan]]:
        """The raw answer for given segments: logits, and the spans decoded from them."""
        given = list(segments)
        features = self._featurizer.featurize([s.text for s in given], [s.role for s in given])
        logits = merge_windows(features, [self._network(window) for window in features.windows])
        spans = decode_spans(features.segments, logits.tokens, self.artifact.manifest.decoding)
        return logits, spans

    def _document(self, id: str, segments: list[TextSegment]) -> Document:
        if not segments:
            return Document(id, "ok", self.model, summary=summarize([]))
        logits, spans = self.logits(segments)
        scored = assemble(segments, logits, spans, self.artifact.manifest.decoding)
        return Document(id, "ok", self.model, tuple(scored), summarize(scored))


def assemble(
    segments: list[TextSegment],
    logits: DocumentLogits,
    spans: list[TokenSpan],
    config: DecodingConfig,
) -> list[ScoredSegment]:
    """Join a document's segments with their scores, labels and spans."""
    scores = axis_scores(logits.segments, config)
    by_segment: list[list[Span]] = [[] for _ in segments]
    for span in spans:
        segment = segments[span.segment]
        start, end = segment.start + span.start, segment.start + span.end
        by_segment[span.segment].append(
            Span(
                span.type,
                start,
                end,
                segment.text[span.start : span.end],
                round(span.score, _DIGITS),
                span.continues,
            )
        )
    return [
        _scored(index, segment, _row(scores[index]), tuple(by_segment[index]), config)
        for index, segment in enumerate(segments)
    ]


def _row(scores: np.ndarray[Any, np.dtype[np.float32]]) -> dict[Axis, float]:
    return {axis: round(float(score), _DIGITS) for axis, score in zip(AXES, scores, strict=True)}


def _scored(
    index: int,
    segment: TextSegment,
    scores: dict[Axis, float],
    spans: tuple[Span, ...],
    config: DecodingConfig,
) -> ScoredSegment:
    return ScoredSegment(
        index=index,
        role=segment.role,
        field=segment.field,
        start=segment.start,
        end=segment.end,
        text=segment.text,
        label=label_of(scores, config),
        uncertain=is_uncertain(scores, config),
        scores=scores,
        spans=spans,
    )


def summarize(segments: list[ScoredSegment]) -> Summary:
    """Shares of the labels, leaving boilerplate out, and the number of distinct sources."""
    labels = [segment.label for segment in segments if segment.label != "boilerplate"]
    sources = {
        " ".join(span.text.casefold().split())
        for segment in segments
        for span in segment.spans
        if span.type == "source"
    }

    def share(label: str) -> float:
        return round(labels.count(label) / len(labels), _DIGITS) if labels else 0.0  # type: ignore[arg-type]

    return Summary(
        segments=len(segments),
        sourced=share("sourced"),
        framed=share("framed"),
        plain=share("plain"),
        sources=len(sources),
    )


def load(model: str | Path | None = None, *, threads: int = 1, self_test: bool = True) -> Scorer:
    """Load a model: the bundled one, a directory, or an MLflow URI such as
    `models:/news-en@champion` (extra `mlflow`).

    `threads` is the number of ONNX Runtime threads; batch work is faster with one thread in
    each of several processes. With `self_test`, the manifest's golden inputs are scored first.

    Raises:
        ArtifactError: if there is no such model, or it is damaged, made for another version,
            or fails its golden inputs.
    """
    scorer = Scorer(Artifact.open(resolve(model)), threads=threads)
    if self_test:
        check_golden(scorer)
    return scorer


def check_golden(scorer: Scorer) -> None:
    """Compare the manifest's golden inputs with what the model says here and now.

    Raises:
        ArtifactError: naming the first input that differs by more than the tolerance.
    """
    manifest = scorer.artifact.manifest
    for number, golden in enumerate(manifest.golden):
        document = scorer.score(golden.text, golden.headline)
        found = [[segment.scores[axis] for axis in AXES] for segment in document.segments]
        same_shape = len(found) == len(golden.scores)
        worst = (
            max(
                (
                    abs(a - b)
                    for row, expected in zip(found, golden.scores, strict=True)
                    for a, b in zip(row, expected, strict=True)
                ),
                default=0.0,
            )
            if same_shape
            else float("inf")
        )
        if worst > manifest.golden_tolerance:
            raise ArtifactError(
                f"{scorer.artifact.path}: golden input {number} ({golden.text[:40]!r}...): "
                f"expected scores {[list(r) for r in golden.scores]}, found {found}; this machine "
                "or version of onnxruntime computes something else: reinstall the pinned versions, "
                "or load with self_test=False to look into it"
            )
