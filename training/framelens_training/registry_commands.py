"""The commands around a run: `init` before it, `upload`, `promote` and `rollback` after it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

EXIT_OK = 0
EXIT_FAILURE = 1
EXIT_REFUSED = 5


def add_to(commands: Any) -> None:
    """Add the commands to the parser's."""
    init = commands.add_parser(
        "init",
        help="write a first config for labels of your own",
        description="Check labelled texts, propose splits, and write a commented config.",
    )
    init.set_defaults(command=_init)
    init.add_argument(
        "labels", type=Path, metavar="LABELS",
        help="CSV with text,label, or any other format of 'corpora convert'",
    )  # fmt: skip
    init.add_argument(
        "-o", "--output", type=Path, metavar="CONFIG",
        help="the YAML file; by default beside LABELS, under its name",
    )  # fmt: skip
    init.add_argument("--force", action="store_true", help="overwrite the config and the split")

    upload = commands.add_parser(
        "upload",
        help="send what MLflow missed",
        description="Send to MLflow what it did not take while a run was going on.",
    )
    upload.set_defaults(command=_upload)
    upload.add_argument("file", type=Path, metavar="FILE", help="tracking.jsonl of a run's folder")
    upload.add_argument("--uri", help="the store; by default the one that FILE names")

    promote = commands.add_parser(
        "promote",
        help="make a challenger champion, if it is better",
        description="Compare the challenger of a registered model with its champion on pinned test "
        "documents. Moves the alias 'champion', or refuses with exit code 5.",
    )
    promote.set_defaults(command=_promote)
    promote.add_argument("name", metavar="NAME", help="a registered model: the name in the config")
    promote.add_argument("--dry-run", action="store_true", help="show the decision, change nothing")
    promote.add_argument("--config", type=Path, metavar="GATES.yaml", help="limits of the gates")
    promote.add_argument(
        "--explain", metavar="TEXT", help="why golden examples changed; kept with the decision"
    )
    promote.add_argument(
        "--test", type=Path, action="append", default=[], metavar="FILE",
        help="labelled documents to compare on, instead of the run's test split",
    )  # fmt: skip
    promote.add_argument(
        "--sha256", metavar="SUM", help="digest of the test documents, where the runs have others"
    )
    _add_store(promote)

    rollback = commands.add_parser(
        "rollback",
        help="go back to the previous champion",
        description="Point the alias 'champion' to the version that the champion replaced.",
    )
    rollback.set_defaults(command=_rollback)
    rollback.add_argument("name", metavar="NAME", help="a registered model")
    rollback.add_argument("--reason", metavar="TEXT", help="kept with the withdrawn version")
    _add_store(rollback)


def _add_store(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--uri", help="the MLflow store; otherwise MLFLOW_TRACKING_URI, or ./mlflow.db"
    )


def _init(options: argparse.Namespace) -> int:
    from framelens_training.first_config import init

    print(init(options.labels, options.output, force=options.force))
    return EXIT_OK


def _upload(options: argparse.Namespace) -> int:
    from framelens_training.journal import Journal
    from framelens_training.tracking import upload

    before = len(Journal.open(options.file).calls())
    tracker = upload(options.file, options.uri)
    for failure in tracker.failures:
        print(f"refused by MLflow: {failure}", file=sys.stderr)
    sent = before - tracker.waiting - len(tracker.failures)
    print(f"sent {sent} of {before} records to run {tracker.run_id}")
    if tracker.waiting:
        print(
            f"MLflow did not answer: {tracker.waiting} records are kept in {options.file}; "
            "try again",
            file=sys.stderr,
        )
    return EXIT_FAILURE if tracker.waiting or tracker.failures else EXIT_OK


def _promote(options: argparse.Namespace) -> int:
    from framelens_training.gates import load_gates

    gates = load_gates(options.config)
    from framelens_training.promotion import promote
    from framelens_training.tracking_store import asking, recorded_store_uri

    with asking(recorded_store_uri(options.uri)) as client:
        decision = promote(
            client,
            options.name,
            gates,
            files=options.test,
            sha256=options.sha256,
            explanation=options.explain,
            dry_run=options.dry_run,
        )
    print(decision)
    return EXIT_OK if decision.passed else EXIT_REFUSED


def _rollback(options: argparse.Namespace) -> int:
    from framelens_training.promotion import rollback
    from framelens_training.tracking_store import asking, recorded_store_uri

    with asking(recorded_store_uri(options.uri)) as client:
        withdrawn, champion = rollback(client, options.name, options.reason)
    print(f"{options.name}@champion is version {champion} again; version {withdrawn} is withdrawn")
    return EXIT_OK
