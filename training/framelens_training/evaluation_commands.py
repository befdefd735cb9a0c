"""The commands about how good runs are: `compare`."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any


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
        "--samples", type=int, default=2000, metavar="N", help="bootstrap samples (2000)"
    )


def _compare(options: argparse.Namespace) -> int:
    from framelens_training.significance import compare, comparison_table, load_answers
    from framelens_training.tracking import DEFAULT_URI

    client = None
    if not all(Path(run).exists() for run in (options.first, options.second)):
        from mlflow import MlflowClient

        client = MlflowClient(options.uri or os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI)
    first, second = (load_answers(run, client) for run in (options.first, options.second))
    print(comparison_table(compare(first, second, samples=options.samples)))
    return 0
