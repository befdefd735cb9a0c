"""The commands about what is recorded: `upload`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

EXIT_OK = 0
EXIT_FAILURE = 1


def add_to(commands: Any) -> None:
    """Add the commands to the parser's."""
    upload = commands.add_parser(
        "upload",
        help="send what MLflow missed",
        description="Send to MLflow what it did not take while a run was going on.",
    )
    upload.set_defaults(command=_upload)
    upload.add_argument("file", type=Path, metavar="FILE", help="tracking.jsonl of a run's folder")
    _add_uri(upload, "the store; by default the one that the file names")


def _add_uri(command: argparse.ArgumentParser, text: str) -> None:
    command.add_argument("--uri", metavar="URI", help=text)


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
