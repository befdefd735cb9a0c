"""The command `calibrate`: a finished model and labels of one's own, without a training."""

from __future__ import annotations

import argparse
import functools
import sys
from pathlib import Path
from typing import Any

CALIBRATED = "+calibrated"
"""The end of a version, where none is given."""


def add_to(commands: Any) -> None:
    """Add the command to the parser's."""
    command = commands.add_parser(
        "calibrate",
        help="fit a finished model's scores to labels of your own, without training",
        description="Fit scores, thresholds and span decoding of a finished model to labels that "
        "it has not learnt from; the weights stay as they are. A hundred segments can be enough. "
        "Shows what that is worth on texts that it was not fitted on.",
    )
    command.set_defaults(command=_calibrate)
    command.add_argument(
        "model", metavar="MODEL",
        help="a model's folder, news-en or another installed one, or a models:/ or runs:/ URI",
    )  # fmt: skip
    command.add_argument(
        "labels", type=Path, nargs="+", metavar="LABELS",
        help="CSV with text,label, or any other format of 'corpora convert'",
    )  # fmt: skip
    command.add_argument(
        "-o", "--output", type=Path, default=Path("runs"), metavar="FOLDER",
        help="where the folder of the result is made (runs)",
    )  # fmt: skip
    command.add_argument("--name", help="the new model's name; by default that of MODEL")
    command.add_argument("--version", help="its version; by default MODEL's with '+calibrated'")
    command.add_argument("--experiment", default="framelens", help="in MLflow (framelens)")
    command.add_argument(
        "--uri", help="the MLflow store; otherwise MLFLOW_TRACKING_URI, or ./mlflow.db"
    )
    command.add_argument("--no-tracking", action="store_true", help="do not record in MLflow")


def _calibrate(options: argparse.Namespace) -> int:
    from framelens.artifact import Artifact, resolve
    from framelens_training.config import Tracking
    from framelens_training.pipeline import quiet_libraries
    from framelens_training.recalibrated_artifact import calibrate, change_table, read_labels
    from framelens_training.tracking import NullTracker, not_recorded, store_uri, tracked

    artifact = Artifact.open(resolve(options.model))
    labels = read_labels(options.labels)
    manifest = artifact.manifest
    name = options.name or manifest.name
    version = options.version or manifest.version.removesuffix(CALIBRATED) + CALIBRATED
    settings = Tracking(experiment=options.experiment, uri=options.uri)
    lines: list[str] = []
    page = None
    fitted = functools.partial(
        calibrate, artifact, labels, output=options.output, name=name, version=version
    )
    with quiet_libraries():
        if options.no_tracking:
            folder, found = fitted(NullTracker())
        else:
            with tracked(name, settings, options.output) as tracker:
                folder, found = fitted(tracker)
            page, lines = tracker.page(store_uri(settings.uri)), not_recorded(tracker)
    print(change_table(found))
    print(
        f"\nbefore: {manifest.name} {manifest.version}; after: {name} {version}, each fifth of "
        f"{found.articles} articles decoded with what the other four gave\n"
    )
    print(f"model      {folder}")
    print(f"score with framelens score ARTICLE -m {folder}")
    if page is not None:
        print(f"look at it {page}")
    for line in lines:
        print(line, file=sys.stderr)
    return 0
