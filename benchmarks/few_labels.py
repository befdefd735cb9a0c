"""What few labels are worth to a finished model; prints a table, and JSON with `--json`.

    python benchmarks/few_labels.py MODEL LABELS [--draws 50]

LABELS is a file of labelled documents, or CORPUS:SPLIT. Articles are drawn until they have as many
labelled segments as the row says; the model is calibrated by them as `framelens-train calibrate`
does, spans left out, and judged on all other articles. The figures are means over the draws, of
before and of after; `better` is the share of draws after which macro-F1 is higher than before.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from framelens.artifact import Artifact, resolve
from framelens.decoding import DecodingConfig, DocumentLogits, axis_scores
from framelens.features import Featurizer
from framelens.network import Network
from framelens.schema import AXES, Axis
from framelens_training.calibration_error import expected_calibration_error
from framelens_training.corpora.formats.registry import read_any
from framelens_training.corpora.grouping import grouped
from framelens_training.corpora.labelled import LabelledDocument
from framelens_training.corpora.registry import CORPORA, corpus
from framelens_training.evaluation import axis_counts, macro_f1
from framelens_training.predictions import article_count, article_numbers, axis_data, predict
from framelens_training.recalibration import calibrated, kinds_of
from framelens_training.targets import LabelledFeatures, featurize_document

SIZES = (120, 240, 480)


def documents_of(name: str) -> list[LabelledDocument]:
    """The labelled documents of a packaged corpus's split, or of a file."""
    known, _, split = name.partition(":")
    if known in CORPORA:
        return list(corpus(known).read(None)[split])
    return read_any(Path(name))


def figures(
    items: list[LabelledFeatures],
    logits: list[DocumentLogits],
    decoding: DecodingConfig,
    axis: Axis,
) -> tuple[float, float]:
    """Macro-F1 and calibration error on one axis."""
    documents = [item.document for item in items]
    scores = [axis_scores(found, decoding) for found in logits]
    data = axis_data(documents, scores, axis, implied=True)
    counts = axis_counts(data, decoding.thresholds[axis], article_count(documents))
    return float(macro_f1(counts.sum(axis=0))), expected_calibration_error(data.gold, data.values)


def measured(
    items: list[LabelledFeatures],
    logits: list[DocumentLogits],
    decoding: DecodingConfig,
    size: int,
    draws: int,
) -> dict[Axis, NDArray[np.float64]]:
    """By axis, (draws, 4): macro-F1 before and after, calibration error before and after.

    A draw by which an axis cannot be calibrated is left out.
    """
    numbers = article_numbers([item.document for item in items])
    counts = np.bincount(numbers, weights=[len(item.document.segments) for item in items])
    found: dict[Axis, list[list[float]]] = {axis: [] for axis in AXES}
    for seed in range(draws):
        order = np.random.default_rng(seed).permutation(len(counts))
        taken = order[: int(np.searchsorted(counts[order].cumsum(), size)) + 1]
        fitted_on = np.isin(numbers, taken)
        parts = [
            ([items[i] for i in rows], [logits[i] for i in rows])
            for rows in (np.flatnonzero(fitted_on), np.flatnonzero(~fitted_on))
        ]
        (few, rest) = parts
        kinds = kinds_of([item.document for item in few[0]], few[1])
        after = calibrated(decoding, *few, kinds)
        for axis, kind in kinds.items():
            if kind is not None:
                then, now = (figures(*rest, one, axis) for one in (decoding, after))
                found[axis].append([then[0], now[0], then[1], now[1]])
    return {axis: np.array(rows) for axis, rows in found.items() if rows}


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("labels")
    parser.add_argument("--draws", type=int, default=50)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    artifact = Artifact.open(resolve(options.model))
    featurizer = Featurizer.from_file(artifact.tokenizer, artifact.manifest.features)
    documents = [
        replace(document, annotated=document.annotated.intersection(AXES), spans=())
        for document in grouped(documents_of(options.labels))
    ]
    items = [featurize_document(document, featurizer) for document in documents]
    logits = predict(Network(artifact.model), items)
    rows = []
    for size in SIZES:
        found = measured(items, logits, artifact.manifest.decoding, size, options.draws)
        for axis, values in found.items():
            before, after, error_before, error_after = values.mean(axis=0).tolist()
            rows.append(
                {
                    "segments": size,
                    "axis": axis,
                    "draws": len(values),
                    "macro_f1_before": before,
                    "macro_f1_after": after,
                    "better": float((values[:, 1] > values[:, 0]).mean()),
                    "ece_before": error_before,
                    "ece_after": error_after,
                }
            )
    if options.json:
        print(json.dumps(rows, indent=1))
        return
    print("| labels | axis | draws | macro-F1 | better | calibration error |")
    print("|---|---|---|---|---|---|")
    for row in rows:
        print(
            f"| {row['segments']} | `{row['axis']}` | {row['draws']} | "
            f"{row['macro_f1_before']:.3f} to {row['macro_f1_after']:.3f} | {row['better']:.2f} | "
            f"{row['ece_before']:.3f} to {row['ece_after']:.3f} |"
        )


if __name__ == "__main__":
    main()
