"""The commands about how good runs and recipes are: `compare`, `cascade`, `crossval`, `sweep`."""

from __future__ import annotations

import argparse
import functools
import os
import sys
from pathlib import Path
from typing import Any

from framelens.deferral import DEFER_SHARE, DEFER_WITHIN, share_of
from framelens_training.run_arguments import (
    MODEL_HELP,
    add_labels,
    add_resumption,
    add_run_arguments,
    least,
    resumed_folder,
)


def add_to(commands: Any) -> None:
    """Add the commands to the parser's."""
    compare = commands.add_parser(
        "compare",
        help="compare two runs on the same test segments",
        description="Compare two runs: paired bootstrap over articles, and McNemar's exact test.",
    )
    compare.set_defaults(command=_compare)
    for name, shown in (("first", "RUN_A"), ("second", "RUN_B")):
        compare.add_argument(
            name,
            metavar=shown,
            help="the id of an MLflow run, a run's folder, or its predictions/test.parquet",
        )
    compare.add_argument(
        "--uri", metavar="URI", help="the MLflow store; otherwise MLFLOW_TRACKING_URI"
    )
    compare.add_argument(
        "--samples", type=least(100), default=2000, metavar="N", help="bootstrap samples (2000)"
    )

    cascade = commands.add_parser(
        "cascade",
        help="try a fast model with a better one behind it on labels of your own",
        description="Figures of a cascade on labelled documents, by how much is deferred to the "
        "second model ('framelens score -m FIRST --defer-to SECOND --defer-within D'), with its "
        "time against the second model alone.",
    )
    cascade.set_defaults(command=_cascade)
    for name in ("first", "second"):
        cascade.add_argument(name, metavar=name.upper(), help=MODEL_HELP)
    add_labels(cascade)
    cascade.add_argument(
        "--defer-within", type=share_of, default=DEFER_WITHIN, metavar="D",
        help=f"the distance for which differences are shown, with intervals ({DEFER_WITHIN})",
    )  # fmt: skip
    cascade.add_argument(
        "--defer-share", type=share_of, default=DEFER_SHARE, metavar="S",
        help=f"of a document's segments that must be in doubt ({DEFER_SHARE})",
    )  # fmt: skip

    crossval = commands.add_parser(
        "crossval",
        help="cross-validate a recipe",
        description="Grouped k-fold cross-validation with several seeds; validation data for "
        "stopping and thresholds is cut from each fold's training part. --resume trains only the "
        "folds that have no result yet: after a crash, or for more --seeds.",
    )
    crossval.set_defaults(command=_crossval)
    add_run_arguments(crossval)
    crossval.add_argument("--folds", type=least(2), default=5, metavar="K", help="folds (5)")
    crossval.add_argument("--seeds", type=least(1), default=3, metavar="N", help="seeds (3)")
    add_resumption(crossval, "an earlier one")

    sweep = commands.add_parser(
        "sweep",
        help="search for better settings",
        description="Train with varied settings and compare validation scores; the file is one as "
        "in configs/sweeps/, --set changes the config that it names. The same command continues a "
        "sweep that was cut short.",
    )
    sweep.set_defaults(command=_sweep)
    add_run_arguments(sweep)
    sweep.add_argument(
        "--trials", type=least(1), metavar="N", help="finished trials, earlier ones included"
    )
    sweep.add_argument(
        "--storage", metavar="URL", help="the database of the trials; by default beside the files"
    )


def _compare(options: argparse.Namespace) -> int:
    from framelens_training.errors import TrackingError
    from framelens_training.significance import (
        ComparisonError,
        compare,
        comparison_table,
        load_answers,
    )
    from framelens_training.tracking_store import open_store, recorded_store_uri

    runs = (options.first, options.second)
    absent = [run for run in runs if not Path(run).exists()]
    client = None
    if absent:
        try:
            uri = recorded_store_uri(options.uri)
        except TrackingError as error:
            found = f"no file or folder {absent[0]!r}, and no runs among which it could be"
            raise ComparisonError(f"{found}: {error}") from error
        client = open_store(uri)
    first, second = (load_answers(run, client) for run in runs)
    print(comparison_table(compare(first, second, samples=options.samples)))
    return 0


def _cascade(options: argparse.Namespace) -> int:
    from framelens.artifact import Artifact, resolve
    from framelens.deferral import Deferral
    from framelens_training.cascade_trial import DISTANCES, Answers, Trial, figures, trial_table
    from framelens_training.model_registry import noted_texts
    from framelens_training.own_labels import read_labels, refuse_labels
    from framelens_training.quiet import quiet_libraries

    artifacts = [Artifact.open(resolve(name)) for name in (options.first, options.second)]
    Deferral(artifacts[-1]).check(artifacts[0])
    labels = read_labels(options.labels)
    for name, artifact in zip((options.first, options.second), artifacts, strict=True):
        refuse_labels(artifact, labels, noted_texts(name, artifact), tuned=True)
    documents = [document for item in labels for document in item.documents]
    with quiet_libraries():
        first, second = (Answers.of(artifact, documents) for artifact in artifacts)
        trial = Trial(first, second, options.defer_share)
        within = options.defer_within
        distances = sorted({*DISTANCES, within})
        found = figures(trial, distances)
        print(trial_table(trial, found, within=within, distances=distances))
    print(
        f"within 0 {trial.first.name} answers alone, within 1 {trial.second.name}; time: that of "
        f"one core against {trial.second.name} alone; axes: macro-F1, spans: exact F1; below, "
        f"differences from {trial.second.name} with 95 % intervals"
    )
    return 0


def _say(line: str) -> None:
    print(line, flush=True)


def _crossval(options: argparse.Namespace) -> int:
    from framelens_training.settings_file import load_config

    config = load_config(options.config, options.overrides)
    config = config.model_copy(update={"name": f"{config.name}-crossval"})
    folder = resumed_folder(
        options, config, is_recorded=not options.no_tracking, finished=True, folds=options.folds
    )
    # torch and transformers take seconds to import: a bad config should be told at once.
    from framelens_training.crossval import crossval_lines, crossvalidate
    from framelens_training.quiet import quiet_libraries
    from framelens_training.run_record import RunRecord
    from framelens_training.tracker import NullTracker
    from framelens_training.tracking import not_recorded, tracked_run
    from framelens_training.tracking_store import tracking_uri

    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    judged = functools.partial(
        crossvalidate,
        config,
        folds=options.folds,
        seeds=options.seeds,
        say=_say,
        resumed=folder,
        allow_changed_code=options.allow_changed_code,
    )
    with quiet_libraries():
        if options.no_tracking:
            _say("\n".join(crossval_lines(judged(tracker=NullTracker()))))
            return 0
        run_id = None if folder is None else RunRecord.read(folder).run_id
        with tracked_run(config, run_id, folder) as tracker:
            found = judged(tracker=tracker)
    _say("\n".join(crossval_lines(found)))
    _say(f"\nrun        {found.run_id}")
    _say(f"look at it {tracker.page(tracking_uri(config))}")
    for line in not_recorded(tracker):
        print(line, file=sys.stderr)
    return 0


def _sweep(options: argparse.Namespace) -> int:
    from framelens_training.search_space import load_sweep

    sweep = load_sweep(options.config, options.overrides)
    # torch and transformers take seconds to import: a bad file should be told at once.
    from framelens_training.quiet import quiet_libraries
    from framelens_training.sweep import search, sweep_lines

    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    with quiet_libraries():
        found = search(
            sweep,
            trials=options.trials,
            storage=options.storage,
            tracking=not options.no_tracking,
            say=_say,
        )
    _say("\n".join(sweep_lines(found)))
    if found.run_id is not None:
        _say(f"\nrun        {found.run_id}")
        _say(f"look at it {found.page}")
    for line in found.unrecorded:
        print(line, file=sys.stderr)
    return 0
