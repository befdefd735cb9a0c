"""What a model has to beat to be worth its milliseconds: three baselines, in every run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion, Pipeline

from framelens.paragraphs import is_furniture
from framelens.schema import AXES, Axis
from framelens_training.calibration import best_threshold
from framelens_training.corpora.labelled import LabelledDocument
from framelens_training.corpora.quotations import QUOTATION_WORDS, quoted_ranges
from framelens_training.evaluation import (
    Counts,
    Interval,
    axis_counts,
    bootstrap,
    paired_difference,
)
from framelens_training.lexicon import FURNITURE, loaded_places, reports, words
from framelens_training.predictions import AxisData, article_numbers

BASELINES = {"majority": "majority", "rules": "rules", "tfidf": "TF-IDF"}
"""Names in metrics, and as people read them."""

_REGULARISATION = (1.0, 10.0, 100.0)
_FURNITURE_WORDS = 25
"""Most words of a line that the lexicon may call furniture: a sentence can mention a newsletter."""

Scores = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class AxisBaseline:
    """A baseline for one axis: texts in, scores (n,) out, and the threshold for a yes."""

    score: Callable[[Sequence[str]], Scores]
    threshold: float = 0.5


@dataclass(frozen=True, slots=True)
class Comparison:
    """The model against each baseline on one axis: macro-F1, and by how much it is better."""

    model: Interval
    baselines: Mapping[str, Interval]
    differences: Mapping[str, Interval]


def fit_baselines(
    train: Sequence[LabelledDocument],
    validation: Sequence[LabelledDocument],
    threshold_range: tuple[float, float],
    seed: int,
) -> dict[str, dict[Axis, AxisBaseline]]:
    """Every baseline by name and axis; TF-IDF only for axes that have training data for it."""
    found: dict[str, dict[Axis, AxisBaseline]] = {name: {} for name in BASELINES}
    for axis in AXES:
        texts, gold, _ = labelled_segments(train, axis)
        if not len(gold):
            continue
        found["majority"][axis] = _majority(gold)
        found["rules"][axis] = _rules(axis)
        if gold.any() and not gold.all():
            held = labelled_segments(validation, axis)[:2]
            tfidf = _tfidf((texts, gold), held, threshold_range, seed)
            if tfidf is not None:
                found["tfidf"][axis] = tfidf
    return found


def _majority(gold: NDArray[np.bool_]) -> AxisBaseline:
    answer = float(2 * gold.sum() > len(gold))
    return AxisBaseline(lambda texts: np.full(len(texts), answer))


def _rules(axis: Axis) -> AxisBaseline:
    rule = RULES[axis]
    return AxisBaseline(lambda texts: np.array([rule(text) for text in texts], dtype=np.float64))


def attributed_rule(text: str) -> bool:
    """A reporting verb or phrase, or a quotation of some length."""
    return reports(text) or len(_quoted(text, words(text))) >= QUOTATION_WORDS


def framed_rule(text: str) -> bool:
    """A loaded word outside quotations, or a question or a cry that is not quoted."""
    places = [("", start, end) for start, end in loaded_places(text)]
    return len(_quoted(text, places)) < len(places) or text.rstrip().endswith(("?", "!"))


def boilerplate_rule(text: str) -> bool:
    """A line that segmentation takes for furniture, or a short one that speaks like it."""
    return is_furniture(text) or (
        FURNITURE.search(text) is not None and len(text.split()) <= _FURNITURE_WORDS
    )


RULES: Mapping[Axis, Callable[[str], bool]] = {
    "attributed": attributed_rule,
    "framed": framed_rule,
    "boilerplate": boilerplate_rule,
}
"""What the rule baseline asks on each axis, of a segment's text alone."""


def _quoted(text: str, places: Sequence[tuple[str, int, int]]) -> list[tuple[str, int, int]]:
    ranges = quoted_ranges(text)
    return [p for p in places if any(start <= p[1] and p[2] <= end for start, end in ranges)]


def _tfidf(
    train: tuple[Sequence[str], NDArray[np.bool_]],
    validation: tuple[Sequence[str], NDArray[np.bool_]],
    threshold_range: tuple[float, float],
    seed: int,
) -> AxisBaseline | None:
    """TF-IDF with logistic regression; regularisation and threshold chosen on validation data.

    `None` where the training texts are so few, or so short, that there is nothing to count.
    """
    texts, gold = train
    held_texts, held_gold = validation
    try:
        features = _features().fit(texts)
    except ValueError:  # no word in any text, or no run of characters in two of them
        return None
    vectors = features.transform(texts)
    held = features.transform(held_texts) if held_texts else None
    candidates: list[tuple[float, AxisBaseline]] = []
    for strength in _REGULARISATION:
        classifier = LogisticRegression(
            C=strength, class_weight="balanced", max_iter=1000, random_state=seed
        ).fit(vectors, gold)
        threshold, value = 0.5, 0.0
        if held is not None:
            scores = classifier.predict_proba(held)[:, 1]
            threshold = best_threshold(held_gold, scores, threshold_range)
            value = _macro_f1(held_gold, scores >= threshold)
        pipeline = Pipeline([("features", features), ("classifier", classifier)])
        candidates.append((value, AxisBaseline(_probability(pipeline), threshold)))
    return max(candidates, key=lambda candidate: candidate[0])[1]


def _features() -> FeatureUnion:
    terms = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=1)
    characters = TfidfVectorizer(
        analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, min_df=2
    )
    return FeatureUnion([("words", terms), ("characters", characters)])


def _probability(pipeline: Pipeline) -> Callable[[Sequence[str]], Scores]:
    def score(texts: Sequence[str]) -> Scores:
        found: Scores = pipeline.predict_proba(texts)[:, 1]
        return found

    return score


def labelled_segments(
    documents: Sequence[LabelledDocument], axis: Axis
) -> tuple[list[str], NDArray[np.bool_], NDArray[np.int64]]:
    """Texts, gold answers and article numbers of the segments supervised on an axis.

    In the order of `predictions.axis_data`.
    """
    texts: list[str] = []
    gold: list[bool] = []
    groups: list[int] = []
    for number, document in zip(article_numbers(documents).tolist(), documents, strict=True):
        if axis not in document.annotated:
            continue
        for segment in document.segments:
            answer = segment.counted(axis)
            if answer is not None:
                texts.append(document.segment_text(segment))
                gold.append(answer)
                groups.append(number)
    return texts, np.array(gold, dtype=np.bool_), np.array(groups, dtype=np.int64)


def compare_baselines(
    fitted: Mapping[str, Mapping[Axis, AxisBaseline]],
    test: Sequence[LabelledDocument],
    model: Mapping[Axis, Counts],
    *,
    samples: int,
    seed: int,
) -> dict[Axis, Comparison]:
    """The model's outcomes by article (see `axis_counts`) against every baseline's."""
    found: dict[Axis, Comparison] = {}
    for axis, ours in model.items():
        texts, gold, groups = labelled_segments(test, axis)
        if not texts:
            continue
        intervals: dict[str, Interval] = {}
        differences: dict[str, Interval] = {}
        for name, by_axis in fitted.items():
            if axis in by_axis:
                data = AxisData(gold, by_axis[axis].score(texts), groups)
                theirs = axis_counts(data, by_axis[axis].threshold, len(ours))
                intervals[name] = bootstrap(theirs, samples, seed)
                differences[name] = paired_difference(ours, theirs, samples, seed)
        found[axis] = Comparison(bootstrap(ours, samples, seed), intervals, differences)
    return found


def _macro_f1(gold: NDArray[np.bool_], found: NDArray[np.bool_]) -> float:
    from sklearn.metrics import f1_score

    return float(f1_score(gold, found, average="macro", zero_division=0))
