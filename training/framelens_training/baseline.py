"""TF-IDF with logistic regression: what a model has to beat to be worth its milliseconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion, Pipeline

from framelens.decoding import Floats
from framelens.schema import AXES, Axis
from framelens_training.calibration import best_threshold
from framelens_training.corpora.labelled import LabelledDocument
from framelens_training.predictions import AxisData, axis_data

_REGULARISATION = (1.0, 10.0, 100.0)


@dataclass(frozen=True, slots=True)
class AxisBaseline:
    """A fitted pipeline for one axis and its threshold, both chosen on validation data."""

    pipeline: Pipeline
    threshold: float


def fit_baseline(
    train: Sequence[LabelledDocument],
    validation: Sequence[LabelledDocument],
    threshold_range: tuple[float, float],
    seed: int,
) -> dict[Axis, AxisBaseline]:
    """Fit one pipeline an axis that has both answers in training data.

    Regularisation and threshold are chosen on validation data, as for the model.
    """
    fitted: dict[Axis, AxisBaseline] = {}
    for axis in AXES:
        texts, gold = _segments(train, axis)
        if not len(gold) or gold.all() or not gold.any():
            continue
        held_texts, held_gold = _segments(validation, axis)
        candidates: list[tuple[float, AxisBaseline]] = []
        for strength in _REGULARISATION:
            pipeline = _pipeline(strength, seed).fit(texts, gold)
            threshold, value = 0.5, 0.0
            if len(held_gold):
                scores = pipeline.predict_proba(held_texts)[:, 1]
                threshold = best_threshold(held_gold, scores, threshold_range)
                value = _macro_f1(held_gold, scores >= threshold)
            candidates.append((value, AxisBaseline(pipeline, threshold)))
        fitted[axis] = max(candidates, key=lambda candidate: candidate[0])[1]
    return fitted


def _pipeline(strength: float, seed: int) -> Pipeline:
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=1)
    characters = TfidfVectorizer(
        analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, min_df=2
    )
    return Pipeline(
        [
            ("features", FeatureUnion([("words", words), ("characters", characters)])),
            (
                "classifier",
                LogisticRegression(
                    C=strength, class_weight="balanced", max_iter=1000, random_state=seed
                ),
            ),
        ]
    )


def _segments(
    documents: Sequence[LabelledDocument], axis: Axis
) -> tuple[list[str], NDArray[np.bool_]]:
    texts: list[str] = []
    gold: list[bool] = []
    for document in documents:
        if axis not in document.annotated:
            continue
        for segment in document.segments:
            answer = segment.axis(axis)
            if answer is not None:
                texts.append(document.segment_text(segment))
                gold.append(answer)
    return texts, np.array(gold, dtype=np.bool_)


def baseline_data(
    baseline: AxisBaseline, documents: Sequence[LabelledDocument], axis: Axis
) -> AxisData:
    """The baseline's probabilities in the same order as the model's."""
    values: list[Floats] = []
    for document in documents:
        rows = np.zeros((len(document.segments), len(AXES)), dtype=np.float32)
        texts = [document.segment_text(segment) for segment in document.segments]
        if texts:
            rows[:, AXES.index(axis)] = baseline.pipeline.predict_proba(texts)[:, 1]
        values.append(rows)
    return axis_data(documents, values, axis)


def _macro_f1(gold: NDArray[np.bool_], found: NDArray[np.bool_]) -> float:
    from sklearn.metrics import f1_score

    return float(f1_score(gold, found, average="macro", zero_division=0))
