"""All that a run finds out about its model on test data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from framelens.decoding import DecodingConfig, DocumentLogits, axis_scores
from framelens.features import Featurizer
from framelens.schema import AXES, Axis
from framelens_training.baseline import BASELINES, Comparison, compare_baselines, fit_baselines
from framelens_training.calibration_error import uncalibrated
from framelens_training.config import Config
from framelens_training.context_agreement import Agreement, agreement
from framelens_training.corpora.labelled import LabelledDocument
from framelens_training.evaluation import Metrics, axis_counts, evaluate
from framelens_training.figures import (
    confusion_figure,
    precision_recall_figure,
    reliability_figure,
    slice_figure,
)
from framelens_training.predictions import NetworkLike, article_count, axis_data
from framelens_training.slices import (
    FalseAlarms,
    SliceMetrics,
    false_alarms_by_corpus,
    flat_false_alarms,
    flat_slices,
    slice_metrics,
)
from framelens_training.span_matching import PartialMetrics, partial_metrics
from framelens_training.targets import LabelledFeatures


@dataclass(frozen=True, slots=True)
class Assessment:
    """Is it better, where, for whom, and can it be trusted."""

    metrics: Metrics
    partial: Mapping[str, PartialMetrics]
    slices: Sequence[SliceMetrics]
    false_alarms: Mapping[str, FalseAlarms]
    """By corpus (`false_alarms_by_corpus`)."""
    agreement: Agreement
    comparison: Mapping[Axis, Comparison]

    def flat(self) -> dict[str, float]:
        """Every figure under its name in MLflow, without those that are undefined."""
        flat = self.metrics.flat("test")
        flat |= {
            f"test/{kind}/partial_f1": item.f1
            for kind, item in self.partial.items()
            if self.metrics.spans[kind].gold
        }
        flat |= flat_slices(self.slices)
        flat |= flat_false_alarms(self.false_alarms)
        flat |= self.agreement.flat()
        for axis, comparison in self.comparison.items():
            for name, baseline in comparison.baselines.items():
                difference = comparison.differences[name]
                prefix = f"baseline/{name}/{axis}"
                flat[f"{prefix}/macro_f1"] = baseline.value
                flat[f"{prefix}/difference"] = difference.value
                flat[f"{prefix}/difference_low"] = difference.low
                flat[f"{prefix}/difference_high"] = difference.high
        return {name: value for name, value in flat.items() if np.isfinite(value)}


def assess(
    config: Config,
    network: NetworkLike,
    featurizer: Featurizer,
    split: Mapping[str, Sequence[LabelledFeatures]],
    test_corpora: Sequence[str],
    found: Sequence[DocumentLogits],
    decoding: DecodingConfig,
) -> Assessment:
    """Assess the answers `found` on the test split; `test_corpora` names each document's corpus.

    Baselines are fitted on the training split and tuned on the validation split, as the model
    was.
    """
    settings, seed, test = config.evaluation, config.seed, split["test"]
    samples, minimum = settings.bootstrap_samples, settings.slice_minimum
    plain = {name: [item.document for item in items] for name, items in split.items()}
    scores = [axis_scores(item, decoding) for item in found]
    comparison: dict[Axis, Comparison] = {}
    if settings.baseline:
        fitted = fit_baselines(plain["train"], plain["validation"], settings.threshold_range, seed)
        articles = article_count(plain["test"])
        ours = {
            axis: axis_counts(
                axis_data(plain["test"], scores, axis), decoding.thresholds[axis], articles
            )
            for axis in AXES
        }
        comparison = compare_baselines(fitted, plain["test"], ours, samples=samples, seed=seed)
    return Assessment(
        evaluate(test, found, decoding, samples=samples, seed=seed),
        partial_metrics(test, found, decoding),
        slice_metrics(
            plain["test"],
            test_corpora,
            scores,
            decoding,
            minimum=minimum,
            samples=samples,
            seed=seed,
        ),
        false_alarms_by_corpus(
            plain["test"],
            test_corpora,
            scores,
            decoding,
            minimum=minimum,
            samples=samples,
            seed=seed,
        ),
        agreement(network, featurizer, test, found, decoding),
        comparison,
    )


def figures_on_test(
    name: str,
    documents: Sequence[LabelledDocument],
    found: Sequence[DocumentLogits],
    decoding: DecodingConfig,
    assessment: Assessment,
) -> dict[str, Figure]:
    """The figures on test data, by the names of their files."""
    raw, calibrated = (
        {axis: axis_data(documents, [axis_scores(f, d) for f in found], axis) for axis in AXES}
        for d in (uncalibrated(decoding), decoding)
    )
    metrics = assessment.metrics
    overall = {axis: item.macro_f1.value for axis, item in metrics.axes.items()}
    return {
        "confusion": confusion_figure(metrics.labels, f"{name}: labels on test"),
        "precision_recall": precision_recall_figure(calibrated, f"{name}: test"),
        "reliability": reliability_figure(raw, calibrated, f"{name}: reliability on test"),
        "slices": slice_figure(assessment.slices, overall, f"{name}: slices of test"),
    }


def _verdict(assessment: Assessment) -> list[str]:
    """Whether the model beats its baselines, in words."""
    lows = {
        axis: min(difference.low for difference in item.differences.values())
        for axis, item in assessment.comparison.items()
        if item.differences and np.isfinite(item.model.value)
    }
    if not lows:
        return []
    surely = [axis for axis, low in lows.items() if low > 0]
    rest = [axis for axis in lows if axis not in surely]
    parts = [f"better than every baseline on {', '.join(surely)}"] if surely else []
    parts += [f"not surely better on {', '.join(rest)}"] if rest else []
    return ["", f"the model is {'; '.join(parts)}"]


def summary_lines(assessment: Assessment) -> list[str]:
    """What a person wants to know of it, in a few lines."""
    compared = assessment.comparison.values()
    names = [name for name in BASELINES if any(name in item.baselines for item in compared)]
    heads = "".join(f"{BASELINES[name]:<10}" for name in names)
    lines = [
        f"{'test':<13}{'model':<22}{heads}{'better than the best by' if names else ''}".rstrip()
    ]
    for axis, metrics in assessment.metrics.axes.items():
        if not np.isfinite(metrics.macro_f1.value):
            lines.append(f"{axis:<13}one answer only in the labels: no figure")
            continue
        line = f"{axis:<13}{metrics.macro_f1!s:<22}"
        comparison = assessment.comparison.get(axis)
        if comparison is not None and comparison.baselines:
            values = {name: item.value for name, item in comparison.baselines.items()}
            line += "".join(
                f"{f'{values[name]:.3f}' if name in values else '':<10}" for name in names
            )
            best = max(values, key=lambda name: values[name])
            line += comparison.differences[best].signed()
        lines.append(line.rstrip())
    lines.append("macro-F1 with 95 % bootstrap intervals over articles")
    lines += _verdict(assessment)
    spans = ", ".join(
        f"{kind} {item.f1:.3f} ({assessment.partial[kind].f1:.3f})"
        for kind, item in assessment.metrics.spans.items()
        if item.gold
    )
    if spans:
        lines += ["", f"spans, exact F1 (partial): {spans}"]
    agreement = assessment.agreement
    if agreement.segments:
        line = (
            f"alone against in its article, median difference over {agreement.segments} segments: "
            f"framed {agreement.framed:.3f}"
        )
        if np.isfinite(agreement.attributed):
            line += f", attributed {agreement.attributed:.3f}"
        lines.append(line)
    for corpus, alarms in assessment.false_alarms.items():
        rates = ", ".join(f"{lean} {rate.value:.3f}" for lean, rate in alarms.rates.items())
        gap = "" if alarms.gap is None else f"; left less right {alarms.gap.signed()}"
        lines.append(f"neutral sentences of {corpus} called framed, by lean: {rates}{gap}")
    return lines
