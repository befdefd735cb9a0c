"""The command `calibrate`: a finished model and labels of one's own, without a training."""

from __future__ import annotations

import argparse
import functools
import re
import shlex
import sys
from pathlib import Path
from typing import Any

from framelens_training.run_arguments import MODEL_HELP, add_labels

CALIBRATED = "+calibrated"
"""The end of a version, where none is given."""
VERSION = r"[0-9A-Za-z][0-9A-Za-z.+_-]*"


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
    command.add_argument("model", metavar="MODEL", help=MODEL_HELP)
    add_labels(command)
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
    from framelens_training.model_registry import noted_texts
    from framelens_training.own_labels import read_labels
    from framelens_training.quiet import quiet_libraries
    from framelens_training.recalibrated_artifact import change_table, fitted, write_calibrated
    from framelens_training.tracker import NullTracker
    from framelens_training.tracking import not_recorded, tracked
    from framelens_training.tracking_store import store_uri

    _check_names(options)
    artifact = Artifact.open(resolve(options.model))
    labels = read_labels(options.labels)
    manifest = artifact.manifest
    name = manifest.name if options.name is None else options.name
    version = _next(manifest.version) if options.version is None else options.version
    with quiet_libraries():
        seen = noted_texts(options.model, artifact)
        found = fitted(artifact, labels, seen)
    print(change_table(found))
    print(
        f"\nafter: each fifth of {found.articles} articles decoded with what the other four gave\n"
    )
    if found.decoding == manifest.decoding:
        print(f"{manifest.name} {manifest.version} is left as it is: these labels improve nothing")
        return 0
    write = functools.partial(
        write_calibrated,
        artifact,
        labels,
        found,
        seen,
        output=options.output,
        name=name,
        version=version,
    )
    lines: list[str] = []
    page = None
    with quiet_libraries():
        if options.no_tracking:
            folder = write(NullTracker())
        else:
            settings = Tracking(experiment=options.experiment, uri=options.uri)
            with tracked(name, settings, options.output) as tracker:
                folder = write(tracker)
            page, lines = tracker.page(store_uri(settings.uri)), not_recorded(tracker)
    print(f"model      {folder}: {name} {version}, from {manifest.name} {manifest.version}")
    print(f"score with framelens score ARTICLE -m {shlex.quote(str(folder))}")
    if page is not None:
        print(f"look at it {page}")
    for line in lines:
        print(line, file=sys.stderr)
    return 0


def _check_names(options: argparse.Namespace) -> None:
    """Make sure that a name and a version can be those of a model.

    Raises:
        ConfigError: with what is wrong.
    """
    from framelens_training.config import NAME
    from framelens_training.errors import ConfigError

    problems = [
        f"{key}: expected {pattern}, found {value!r}"
        for key, pattern, value in (
            ("--name", NAME, options.name),
            ("--version", VERSION, options.version),
        )
        if value is not None and re.fullmatch(pattern, value) is None
    ]
    if problems:
        raise ConfigError("framelens-train calibrate", problems)


def _next(version: str) -> str:
    """The version of a model that was calibrated, once more perhaps."""
    again = re.fullmatch(rf"(.*){re.escape(CALIBRATED)}(?:\.(\d+))?", version)
    if again is None:
        return version + CALIBRATED
    return f"{again[1]}{CALIBRATED}.{int(again[2] or 1) + 1}"
