"""Scoring: an article in, a `Document` out."""

from __future__ import annotations

import math
import os
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from framelens.artifact import Artifact, Manifest, check_files, resolve
from framelens.assembly import assemble, summarize
from framelens.decoding import (
    DecodingConfig,
    DocumentLogits,
    Floats,
    TokenSpan,
    decode_many,
    merge_windows,
)
from framelens.deferral import Deferral
from framelens.errors import ArtifactError
from framelens.features import DocumentFeatures, Featurizer, WindowFeatures
from framelens.headline_check import check_headline
from framelens.limits import LimitError, Limits, Stopwatch
from framelens.network import Network
from framelens.records import given_record, id_of
from framelens.schema import (
    AXES,
    Document,
    ModelInfo,
    RowError,
    RowUnit,
)
from framelens.segmentation import TextSegment, segment_article, segment_unit
from framelens.sentences import has_words
from framelens.token_vectors import TokenVectors

Unit = Literal["article", "segment"]

CACHED_WINDOWS = 512
"""Windows whose logits are remembered: about 12 kB each at 256 tokens."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A document that the network has read, and that is still to be decoded."""

    id: str
    segments: list[TextSegment]
    features: DocumentFeatures
    logits: DocumentLogits
    model: ModelInfo
    """Whose network read it, and whose thresholds decode it."""
    seconds: float
    """How long that took."""


class Scorer:
    """Scores articles with one model.

    Safe to use from several threads, in processes forked from this one, and when pickled
    into another process: both open the network anew, from the same directory.
    """

    deferral: Deferral | None = None
    """Which documents another model answers; only a `framelens.cascade.Cascade` has one."""
    second: Scorer | None = None
    """That model's scorer."""

    def __init__(
        self,
        artifact: Artifact,
        *,
        threads: int = 1,
        limits: Limits | None = None,
        cached_windows: int = CACHED_WINDOWS,
    ) -> None:
        """Open the artifact's network with the given number of threads.

        A window that is exactly the same as one of the last `cached_windows` is not computed
        again: its logits depend on nothing else.

        Raises:
            ValueError: if there is to be no thread.
        """
        if threads < 1:
            raise ValueError(f"threads: expected at least 1, found {threads}")
        self.artifact = artifact
        self.limits = limits or Limits()
        self._threads = threads
        self._featurizer = Featurizer.from_file(artifact.tokenizer, artifact.manifest.features)
        self._network = Network(artifact.model, threads)
        self._process = os.getpid()
        self._cache = WindowCache(cached_windows)
        width = self._network.embedding_width
        self._vectors = None if width is None else TokenVectors(self._featurizer.vocabulary, width)

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (self.artifact.path, self._threads, self.limits, self.cached_windows)

    @property
    def model(self) -> ModelInfo:
        """Name, version and hash of the model."""
        return self.artifact.info

    @property
    def cached_windows(self) -> int:
        """How many windows are remembered."""
        return self._cache.capacity

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
            TypeError: if `text` or `headline` is not a string, or `id` no string, number or date.
            ValueError: if there is no such unit.
            LimitError: (a ValueError) if the document is over a limit.
        """
        document = self.decode([self.read(text, headline, id=id, unit=unit)])[0]
        if document.error is not None:
            raise LimitError(document.error.code, document.error.message)
        return document

    def read(
        self,
        text: str,
        headline: str | None = None,
        *,
        id: str = "0",
        unit: Unit = "article",
    ) -> Reading:
        """What the network says of a document; `decode` makes the answer of it.

        Raises:
            TypeError, ValueError, LimitError: as `score`.
        """
        _check_options(unit)
        limits = self.limits
        if not isinstance(text, str):
            raise TypeError(f"expected text to be a string, found {type(text).__name__}")
        if headline is not None and not isinstance(headline, str):
            raise TypeError(f"expected headline to be a string, found {type(headline).__name__}")
        own_id = id_of(id)
        if own_id is None:
            kind = type(id).__name__
            raise TypeError(f"expected id to be a string, a number or a date, found {kind}")
        size = len(text) + len(headline or "")
        if size > limits.characters:
            raise LimitError(
                "too_long",
                f"expected at most {limits.characters} characters, found {size}; "
                "split the document or raise the limit",
            )
        watch = Stopwatch(limits.seconds)
        split = segment_article if unit == "article" else segment_unit
        shown = headline if headline is not None and has_words(headline) else None
        # A network reads nothing in "* * *" or in invisible marks, and answers all the same.
        segments = [segment for segment in split(text, shown) if has_words(segment.text)]
        if len(segments) > limits.segments:
            raise LimitError(
                "too_many_segments",
                f"expected at most {limits.segments} segments, found {len(segments)}; "
                "split the document or raise the limit",
            )
        return self.read_segments(own_id, segments, watch)

    def read_segments(self, id: str, segments: list[TextSegment], watch: Stopwatch) -> Reading:
        """What the network says of given segments, the work on which `watch` measures.

        Raises:
            LimitError: if the time is up before all windows are read.
        """
        features = self._features(segments)
        logits = self._logits(features, watch)
        return Reading(id, segments, features, logits, self.model, watch.look())

    def decode(self, readings: Sequence[Reading]) -> list[Document]:
        """The answers for documents that were read; together they take less time than apart.

        One that a cascade defers and for which the time runs out gives an error document.

        Raises:
            ValueError: if another model has read one of them.
        """
        return self.decode_own(readings)

    def decode_own(self, readings: Sequence[Reading]) -> list[Document]:
        """This model's answers, whether or not it would defer them.

        Raises:
            ValueError: if another model has read one of them.
        """
        self.check_read(readings)
        decoding = self.artifact.manifest.decoding
        spans = decode_many([(r.features.segments, r.logits.tokens) for r in readings], decoding)
        return [
            self._document(reading, found, decoding)
            for reading, found in zip(readings, spans, strict=True)
        ]

    def check_read(self, readings: Sequence[Reading]) -> None:
        """Make sure that documents are decoded as the model that has read them decodes.

        Raises:
            ValueError: if another model has read one of them.
        """
        for reading in readings:
            if reading.model != self.model:
                raise ValueError(
                    f"expected documents that {self.model.name} {self.model.version} has read, "
                    f"found one of {reading.model.name} {reading.model.version}"
                )

    def score_many(
        self,
        records: Iterable[Mapping[str, Any] | str],
        *,
        unit: Unit = "article",
        workers: int = 1,
    ) -> Iterator[Document]:
        """Score records one by one, in order.

        A record is a text, or a mapping with `text` and, if it likes, `headline` and `id`.
        A bad record gives a document with status `error`; the others go on.

        One record is held at a time. With several `workers`, which are processes that end with
        the iterator, some hundred are read ahead, records with the same text and headline are
        scored once, and the documents are the same.

        Raises:
            ValueError: if there is no worker, or no such unit.
            TypeError: if `records` is one record, whose characters or keys would be scored, or a
                table, whose columns or their names would.
            FramelensError: while iterating, if the workers cannot start.
        """
        _check_options(unit, workers)
        if isinstance(records, str | Mapping):
            raise TypeError(
                f"expected records, found one ({type(records).__name__}); put it into a list, or "
                "use score or score_record"
            )
        if hasattr(records, "shape") and hasattr(records, "columns"):
            kind = type(records).__name__
            raise TypeError(f"expected records, found a table ({kind}); use score_frame")
        if workers == 1:
            return (
                self.score_record(record, default_id=str(index), unit=unit)
                for index, record in enumerate(records)
            )
        from framelens.many import scored_by_workers

        return scored_by_workers(self, records, unit, workers)

    def score_record(
        self, record: Mapping[str, Any] | str, *, default_id: str, unit: Unit = "article"
    ) -> Document:
        """Score one record; whatever is wrong with it becomes an error document."""
        found = self.read_record(record, default_id=default_id, unit=unit)
        return found if isinstance(found, Document) else self.decode([found])[0]

    def read_record(
        self, record: Mapping[str, Any] | str, *, default_id: str, unit: Unit = "article"
    ) -> Reading | Document:
        """Read one record, for `decode`; whatever is wrong with it becomes an error document."""
        found = given_record(record, default_id)
        if found.error is not None:
            return self.error(found.id, found.error.code, found.error.message)
        row = found.row or {}
        try:
            return self.read(row["text"], row["headline"], id=found.id, unit=unit)
        except LimitError as error:
            return self.error(found.id, error.code, str(error))

    def score_frame(
        self,
        frame: Any,
        *,
        text_field: str = "text",
        headline_field: str = "headline",
        id_field: str = "id",
        unit: Unit = "article",
        explode: bool = False,
        attributions: bool = False,
        keep: bool = False,
        workers: int = 1,
    ) -> Any:
        """Score a pandas, polars or Arrow table; the answer is a table of the same kind.

        One row a document; with `explode` one row a segment, or with `attributions` one an
        attribution, with the columns that `framelens score` writes to Parquet. `keep` adds the
        frame's other columns as they are, under the prefix `input_` where a name is taken. An
        answer in pandas has the frame's index, repeated where a document has several rows.
        `workers` is the number of processes that score. Needs the extra `frames`.

        Raises:
            ValueError: if there is no worker, no such unit, or rows of two kinds are wanted.
            MissingExtraError: if the extra is not installed.
            InputError: if the frame has no such text column, or two columns of one name.
        """
        from framelens.frames import score_frame
        from framelens.records import FieldNames

        _check_options(unit, workers)
        if explode and attributions:
            raise ValueError("expected explode or attributions, found both")
        rows: RowUnit = "segment" if explode else "attribution" if attributions else "document"
        fields = FieldNames(text_field, headline_field, id_field)
        return score_frame(self, frame, fields, unit=unit, rows=rows, keep=keep, workers=workers)

    def error(self, id: str, code: str, message: str) -> Document:
        """An error document under this model's name."""
        return Document(id, "error", self.model, error=RowError(code, message))

    def logits(self, segments: Iterable[TextSegment]) -> tuple[DocumentLogits, list[TokenSpan]]:
        """The raw answer of this model for given segments, whether or not it would defer them:
        logits, and the spans decoded from them. It may take any time.
        """
        features = self._features(list(segments))
        logits = self._logits(features)
        decoding = self.artifact.manifest.decoding
        return logits, decode_many([(features.segments, logits.tokens)], decoding)[0]

    def _features(self, segments: list[TextSegment]) -> DocumentFeatures:
        return self._featurizer.featurize([s.text for s in segments], [s.role for s in segments])

    def _logits(self, features: DocumentFeatures, watch: Stopwatch | None = None) -> DocumentLogits:
        outputs: list[tuple[Floats, Floats]] = []
        # Only a headline that has a body is compared with anything.
        compared = self._vectors is not None and len({s.role for s in features.segments}) > 1
        for window in features.windows:
            if watch is not None and watch.is_over():
                raise LimitError(
                    "too_slow",
                    f"expected an answer within {self.limits.seconds:g} s, found "
                    f"{len(outputs)} of {len(features.windows)} windows read; "
                    "split the document or raise the limit",
                )
            outputs.append(self._read(window, compared))
        return merge_windows(features, outputs)

    def _read(self, window: WindowFeatures, compared: bool) -> tuple[Floats, Floats]:
        if self._process != os.getpid():
            # Threads and locks of the parent did not come along through the fork.
            check_files(self.artifact.path, self.artifact.manifest.files)
            self._network = Network(self.artifact.model, self._threads)
            self._cache = WindowCache(self._cache.capacity)
            self._process = os.getpid()
        key = window.input_ids.tobytes() + window.token_type_ids.tobytes()
        found = self._cache.get(key)
        vectors = self._vectors if compared else None
        if found is None or (vectors is not None and not vectors.has(window.input_ids)):
            outputs = self._network.read(window, embeddings=vectors is not None)
            if vectors is not None and outputs.embeddings is not None:
                vectors.add(window.input_ids, outputs.embeddings)
            found = (outputs.segment_logits, outputs.span_logits)
            self._cache.put(key, found)
        return found

    def _document(
        self, reading: Reading, spans: list[TokenSpan], decoding: DecodingConfig
    ) -> Document:
        segments, logits = reading.features.segments, reading.logits
        scored = assemble(reading.segments, logits, spans, decoding)
        opening = [segment.opens_paragraph for segment in reading.segments]
        check = check_headline(scored, segments, logits.tokens, decoding, self._vectors, opening)
        return Document(
            reading.id, "ok", self.model, tuple(scored), summarize(scored), headline_check=check
        )


class WindowCache:
    """The logits of the windows that were read last, by their exact token ids."""

    def __init__(self, capacity: int) -> None:
        """Remember `capacity` windows; 0 remembers none."""
        self.capacity = capacity
        self._lock = threading.Lock()
        self._found: OrderedDict[bytes, tuple[Floats, Floats]] = OrderedDict()

    def get(self, key: bytes) -> tuple[Floats, Floats] | None:
        """The outputs of the window with this key, if it is remembered."""
        with self._lock:
            if key in self._found:
                self._found.move_to_end(key)
            return self._found.get(key)

    def put(self, key: bytes, outputs: tuple[Floats, Floats]) -> None:
        """Remember a window's outputs; the one used longest ago may go."""
        with self._lock:
            self._found[key] = outputs
            while len(self._found) > self.capacity:
                self._found.popitem(last=False)


def _check_options(unit: str, workers: int = 1) -> None:
    if unit not in get_args(Unit):
        raise ValueError(f"expected the unit 'article' or 'segment', found {unit!r}")
    if workers < 1:
        raise ValueError(f"expected at least one worker, found {workers}")


def _reopen(path: Path, threads: int, limits: Limits, cached_windows: int) -> Scorer:
    return Scorer(
        Artifact.open(path), threads=threads, limits=limits, cached_windows=cached_windows
    )


def load(
    model: str | Path | None = None,
    *,
    defer_to: str | Path | None = None,
    defer_within: float | None = None,
    defer_share: float | None = None,
    threads: int = 1,
    self_test: bool = True,
    limits: Limits | None = None,
) -> Scorer:
    """Load a model: the bundled one, a directory, or an MLflow URI such as
    `models:/news-en@champion` (extra `mlflow`).

    `threads` is the number of ONNX Runtime threads; batch work is faster with one thread in
    each of several processes. With `self_test`, the manifest's golden inputs are scored first.

    With `defer_to`, documents of which the model is not sure are answered by this second model
    (`framelens.cascade.Cascade`): those of whose segments at least `defer_share`, by default a
    quarter, have a score less than `defer_within`, by default .15, from the threshold that decides
    their label. Within 0 none is deferred, within 1 every one that has a segment.

    Raises:
        ArtifactError: if there is no such model, or it is damaged, made for another version,
            or fails its golden inputs; or if both models are one.
        ValueError: if `defer_within` or `defer_share` is not between 0 and 1, there is nobody to
            defer to, or `threads` is less than 1.
    """
    if defer_to is None and (defer_within, defer_share) != (None, None):
        raise ValueError("expected a model to defer to, found defer_within or defer_share alone")
    artifact = Artifact.open(resolve(model))
    if defer_to is None:
        scorer = Scorer(artifact, threads=threads, limits=limits)
    else:
        from framelens.cascade import Cascade

        deferral = Deferral.to(defer_to, defer_within, defer_share)
        scorer = Cascade(artifact, deferral, threads=threads, limits=limits)
    if self_test:
        check_golden(scorer)
    return scorer


def check_golden(scorer: Scorer) -> None:
    """Compare the manifest's golden inputs with what the model says here and now; those of the
    model that it defers to as well.

    Raises:
        ArtifactError: naming the first input that differs by more than the tolerance.
    """
    if scorer.second is not None:
        check_golden(scorer.second)
    manifest = scorer.artifact.manifest
    for number, golden in enumerate(manifest.golden):
        # The user's limits are for the user's texts.
        segments = segment_article(golden.text, golden.headline)
        reading = scorer.read_segments("golden", segments, Stopwatch(math.inf))
        document = scorer.decode_own([reading])[0]
        found = [[segment.scores[axis] for axis in AXES] for segment in document.segments]
        expected, answered = np.array(golden.scores), np.array(found)
        # Written so that NaN, which is neither more nor less, differs from everything.
        if expected.shape != answered.shape or not (
            np.abs(answered - expected).max(initial=0.0) <= manifest.golden_tolerance
        ):
            raise ArtifactError(
                f"{scorer.artifact.path}: golden input {number} ({golden.text[:40]!r}...): "
                f"expected scores {[list(r) for r in golden.scores]}, found {found}; this machine "
                "or version of onnxruntime computes something else: reinstall the pinned versions, "
                "or load with self_test=False to look into it"
            )
        labels = tuple(segment.label for segment in document.segments)
        if labels != golden.labels and not _near_a_threshold(document, manifest):
            raise ArtifactError(
                f"{scorer.artifact.path}: golden input {number} ({golden.text[:40]!r}...): "
                f"expected the labels {', '.join(golden.labels)}, found {', '.join(labels)} by the "
                "same scores: the thresholds are not those that it was exported with"
            )


def _near_a_threshold(document: Document, manifest: Manifest) -> bool:
    """Whether a difference that golden scores may have could change a label."""
    return any(
        abs(segment.scores[axis] - manifest.decoding.thresholds[axis]) <= manifest.golden_tolerance
        for segment in document.segments
        for axis in AXES
    )
