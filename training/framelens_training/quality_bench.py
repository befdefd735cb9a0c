"""An artifact on the bench: what it says of the documents that it may be judged on.

Everything goes through the package that ships: the artifact's own tokenizer, windows, network
(int8, as exported) and decoding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import framelens
from framelens.artifact import Manifest
from framelens.decoding import (
    DecodingConfig,
    DocumentLogits,
    Floats,
    axis_scores,
    label_of,
    merge_windows,
)
from framelens.features import Featurizer
from framelens.network import Network
from framelens.schema import AXES, Axis, Label, ModelInfo
from framelens_training.baseline import AxisBaseline, fit_baselines, labelled_segments
from framelens_training.config import Evaluation
from framelens_training.corpora.base import Split
from framelens_training.corpora.labelled import LabelledDocument, digest
from framelens_training.corpora.splits import split as split_documents
from framelens_training.evaluation import (
    Interval,
    Statistic,
    axis_counts,
    bootstrap,
    draws,
    hit_share,
    percentiles,
)
from framelens_training.held_out import Holdings, subset
from framelens_training.predictions import AxisData, NetworkLike, article_count, axis_data, by_axis
from framelens_training.progress import Say
from framelens_training.targets import LabelledFeatures, featurize_document, role_of

BABE, CHECKTHAT, SEMEVAL = "babe", "checkthat2025", "semeval2023-task3"
POLNEAR, TITLES, PAGES, STARTER = "polnear", "hyperpartisan-titles", "article-extraction", "starter"
JUDGED, LINES, WRITTEN_PAGES = "judged-articles", "lines", "pages"
VOICE_PAIRS = "voices"

_PROGRESS = 200
"""Segments between two lines of progress."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How much is measured: `segments` limits each part that is read; `None` reads all."""

    segments: int | None = None
    baselines: bool = True
    samples: int = 1000
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `also` holds the same figure where it was measured in another way.

    `part` says which documents were scored, `n` how many segments or spans the figure is over.
    """

    key: str
    what: str
    part: str
    value: Interval
    n: int
    documents: int
    higher_is_better: bool = True
    baseline: Interval | None = None
    also: Mapping[str, Interval] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True, slots=True)
class Read:
    """Documents and what the network said of them."""

    items: Sequence[LabelledFeatures]
    logits: Sequence[DocumentLogits]

    @property
    def documents(self) -> list[LabelledDocument]:
        """The documents as they are labelled."""
        return [item.document for item in self.items]

    def scores(self, decoding: DecodingConfig) -> list[Floats]:
        """Calibrated scores, an array (s, 3) a document."""
        return [axis_scores(found, decoding) for found in self.logits]

    def framed(self, decoding: DecodingConfig) -> list[Floats]:
        """1 for each segment with the label `framed`, otherwise 0, an array (s,) a document.

        The label is what readers see, and page furniture goes before framing in it.
        """
        return [
            np.array([label == "framed" for label in labels], dtype=np.float32)
            for labels in self.labels(decoding)
        ]

    def labels(self, decoding: DecodingConfig) -> list[list[Label]]:
        """The label of each segment, a list a document."""
        return [
            [
                label_of(by_axis(row), decoding, role_of(segment))
                for segment, row in zip(document.segments, rows, strict=True)
            ]
            for document, rows in zip(self.documents, self.scores(decoding), strict=True)
        ]

    def where(self, keep: Callable[[LabelledDocument], bool]) -> Read:
        """The part of it whose documents pass."""
        rows = [i for i, item in enumerate(self.items) if keep(item.document)]
        return Read([self.items[i] for i in rows], [self.logits[i] for i in rows])

    def __add__(self, other: Read) -> Read:
        return Read([*self.items, *other.items], [*self.logits, *other.logits])


class Bench:
    """An artifact, the corpora that it may be judged on, and what it said of them so far."""

    def __init__(
        self,
        model: str | Path | None,
        root: Path | None,
        settings: Settings | None = None,
        say: Say | None = None,
    ) -> None:
        """Load an artifact as `framelens.load` does, golden inputs included.

        Raises:
            ArtifactError: if it cannot be loaded.
            HeldOutError: if it does not record what it was trained on.
        """
        artifact = framelens.load(model).artifact
        self.model: ModelInfo = artifact.info
        self.manifest: Manifest = artifact.manifest
        self.decoding: DecodingConfig = artifact.manifest.decoding
        self.featurizer = Featurizer.from_file(artifact.tokenizer, artifact.manifest.features)
        self.network: NetworkLike = Network(artifact.model)
        self.settings = settings or Settings()
        self.root = root
        self.holdings = Holdings(artifact.manifest, root)
        self.digests: dict[str, str] = {}
        """sha256 over the documents that were read, by corpus and split (`"babe test"`)."""
        self.asked: set[str] = set()
        """The corpora and splits that were asked for since somebody cleared this."""
        self._say: Say = say or (lambda _: None)
        self._read: dict[tuple[str, Split], Read] = {}
        self._baselines: dict[tuple[str, bool], Mapping[Axis, AxisBaseline]] = {}

    def read(self, name: str, split: Split) -> Read:
        """What the network says of a held-out split, each document in its article windows.

        Raises:
            HeldOutError: if it cannot be told what was held out.
            FileNotFoundError: if the corpus is not there.
        """
        assert split != "train"
        part = f"{name} {split}"
        self.asked.add(part)
        if (name, split) not in self._read:
            held = self.holdings.held_out(name)
            documents = subset(held.splits.get(split, ()), self.settings.segments)
            if held.left_out:
                self._say(
                    f"{name}: {held.left_out} held-out documents left out, because another "
                    "corpus's training part has the same text"
                )
            if held.unchecked:
                self._say(
                    f"{name}: not compared with all that was trained on of "
                    + ", ".join(held.unchecked)
                )
            self.digests[part] = digest(documents)
            self._read[name, split] = self.run(part, documents)
        return self._read[name, split]

    def run(self, title: str, documents: Sequence[LabelledDocument]) -> Read:
        """What the network says of any documents."""
        return self.run_on(title, [featurize_document(d, self.featurizer) for d in documents])

    def run_on(self, title: str, items: Sequence[LabelledFeatures]) -> Read:
        """What the network says of documents in the tokens that they have."""
        logits: list[DocumentLogits] = []
        segments, told = 0, 0
        for item in items:
            outputs = [self.network(window) for window in item.features.windows]
            logits.append(merge_windows(item.features, outputs))
            segments += len(item.targets)
            if segments - told >= _PROGRESS:
                told = segments
                self._say(f"  {title}: {len(logits)} of {len(items)} documents")
        self._say(f"{title}: {len(items)} documents, {segments} segments read")
        return Read(items, logits)

    def tfidf(self, name: str, split: Split) -> Mapping[Axis, AxisBaseline]:
        """TF-IDF trained on a corpus's training part, tuned outside the split to be scored."""
        if not self.settings.baselines:
            return {}
        key = name, split == "validation"
        if key not in self._baselines:
            splits = self.holdings.held_out(name).splits
            train, validation = splits["train"], splits.get("validation", ())
            if not validation or split == "validation":
                parts = split_documents(train, {"train": 0.9, "validation": 0.1})
                train, validation = parts["train"], parts["validation"]
            self._say(f"{name}: fitting the TF-IDF baseline on {len(train)} documents")
            threshold_range = self.evaluation.threshold_range
            fitted = fit_baselines(train, validation, threshold_range, self.settings.seed)
            self._baselines[key] = fitted["tfidf"]
        return self._baselines[key]

    @property
    def evaluation(self) -> Evaluation:
        """The settings that the artifact was tuned with."""
        config = self.manifest.training.get("config")
        recorded = config.get("evaluation", {}) if isinstance(config, Mapping) else {}
        return Evaluation.model_validate(recorded)

    def bootstrap(self, counts: NDArray[np.float64], statistic: Statistic) -> Interval:
        """A statistic of counts by article, with its interval."""
        return bootstrap(counts, self.settings.samples, self.settings.seed, statistic)


def article_counts(read: Read, axis: Axis, decoding: DecodingConfig) -> NDArray[np.float64]:
    """Outcomes on one axis by article, shape (articles, 4)."""
    data = axis_data(read.documents, read.scores(decoding), axis)
    return _counts(data, read.documents, decoding.thresholds[axis])


def _counts(
    data: AxisData, documents: Sequence[LabelledDocument], threshold: float
) -> NDArray[np.float64]:
    return axis_counts(data, threshold, article_count(documents)).astype(np.float64)


def share_row(bench: Bench, key: str, what: str, where: str, counts: NDArray[np.float64]) -> Row:
    """The share of something unwanted, for counts by article (a, 2): how many have it, of how many.

    Articles without any of them are left out.
    """
    counts = counts[counts[:, 1] > 0]
    return Row(
        key,
        what,
        where,
        bench.bootstrap(counts, hit_share),
        int(counts[:, 1].sum()),
        len(counts),
        higher_is_better=False,
    )


def axis_row(
    bench: Bench,
    axis: Axis,
    statistic: Statistic,
    name: str,
    split: Split,
    key: str,
    what: str,
    *,
    keep: Callable[[LabelledDocument], bool] | None = None,
    also: Iterable[Split] = (),
    note: str = "",
) -> Row:
    """A figure of one axis on one split, with TF-IDF beside it."""
    read = bench.read(name, split)
    if keep is not None:
        read = read.where(keep)
    counts = article_counts(read, axis, bench.decoding)
    others: dict[str, Interval] = {}
    for other in also:
        part = bench.read(name, other)
        part = part if keep is None else part.where(keep)
        found = article_counts(part, axis, bench.decoding)
        others[f"on {other}, where the thresholds were tuned"] = bench.bootstrap(found, statistic)
    if axis == "framed":
        flags = [
            np.repeat(rows[:, None], len(AXES), axis=1) for rows in read.framed(bench.decoding)
        ]
        labelled = _counts(axis_data(read.documents, flags, axis), read.documents, 0.5)
        others["by the one label"] = bench.bootstrap(labelled, statistic)
    return Row(
        key,
        what,
        f"{name} {split}",
        bench.bootstrap(counts, statistic),
        int(counts.sum()),
        len(counts),
        baseline=_baseline(bench, bench.tfidf(name, split), read, axis, statistic),
        also=others,
        note=note,
    )


def _baseline(
    bench: Bench,
    fitted: Mapping[Axis, AxisBaseline],
    read: Read,
    axis: Axis,
    statistic: Statistic,
) -> Interval | None:
    if axis not in fitted:
        return None
    texts, gold, groups = labelled_segments(read.documents, axis)
    data = AxisData(gold, fitted[axis].score(texts), groups)
    return bench.bootstrap(_counts(data, read.documents, fitted[axis].threshold), statistic)


def row_bootstrap(
    bench: Bench,
    articles: NDArray[np.int64],
    statistic: Callable[[NDArray[np.int64]], float],
    samples: int | None = None,
) -> Interval:
    """A statistic of chosen rows, articles drawn with replacement with all their rows."""
    rows = np.arange(len(articles))
    value = statistic(rows)
    numbers = np.unique(articles, return_inverse=True)[1]
    count = int(numbers.max(initial=-1)) + 1
    samples = min(bench.settings.samples, samples or bench.settings.samples)
    if not samples or count < 2:
        return Interval(value, float("nan"), float("nan"))
    resampled = [
        statistic(np.repeat(rows, weights[numbers].astype(np.int64)))
        for weights in draws(count, samples, bench.settings.seed)
    ]
    return Interval(value, *percentiles(np.array(resampled)))
