"""The arguments that every command takes which trains from a config."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from framelens_training.errors import ResumeError

if TYPE_CHECKING:
    from framelens_training.config import Config


def least(number: int) -> Callable[[str], int]:
    """A whole number of at least so much, for argparse."""

    def read(text: str) -> int:
        if not text.isdecimal() or int(text) < number:
            raise argparse.ArgumentTypeError(f"expected a number from {number} up, found {text!r}")
        return int(text)

    return read


def add_labels(command: argparse.ArgumentParser) -> None:
    """Add the files of labels that finished models are judged by or fitted to."""
    command.add_argument(
        "labels", type=Path, nargs="+", metavar="LABELS",
        help="CSV with text,label, or any other format of 'corpora convert'",
    )  # fmt: skip


MODEL_HELP = "a model's folder, news-en or another installed one, or a models:/ or runs:/ URI"


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the config, its overrides and `--no-tracking`."""
    parser.add_argument("config", type=Path, metavar="CONFIG", help="a YAML file, as in configs/")
    parser.add_argument(
        "--set",
        dest="overrides",
        action="extend",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="override a setting, such as training.epochs=2",
    )
    parser.add_argument("--no-tracking", action="store_true", help="do not record in MLflow")


def add_resumption(parser: argparse.ArgumentParser, what: str) -> None:
    """Add `--resume` and `--allow-changed-code`; `what` may be gone on with."""
    parser.add_argument(
        "--resume",
        nargs="?",
        const="",
        metavar="RUN",
        help=f"go on with {what}: its id or folder, or the last one of this config",
    )
    parser.add_argument(
        "--allow-changed-code",
        action="store_true",
        help="with --resume: go on even if framelens or a library has changed since",
    )


def resumed_folder(
    options: argparse.Namespace,
    config: Config,
    *,
    is_recorded: bool,
    processes: int = 1,
    finished: bool = False,
    folds: int | None = None,
) -> Path | None:
    """The folder of the run to go on with, once that is known to be possible; `None` for a new one.

    `finished` says that runs which have finished can be gone on with as well; `folds` is how many a
    cross-validation has.

    Raises:
        ResumeError: if the run that is wanted is not to be had.
    """
    if options.resume is None:
        return None
    from framelens_training.run_record import RunRecord, find_run
    from framelens_training.run_weights import has_trained

    folder = find_run(config, options.resume, finished=finished)
    record = RunRecord.read(folder)
    now = RunRecord.of(config, record.run_id, processes, folds)
    record.check(now, folder, allow_code=options.allow_changed_code)
    can_be_recorded = record.run_id is None and has_trained(folder)
    if (record.run_id is not None) != is_recorded and not can_be_recorded:
        how = (
            "not recorded in MLflow; resume it with --no-tracking, or, to have it recorded in the "
            "end, with --train-only first"
            if record.run_id is None
            else "recorded in MLflow; resume it without --no-tracking and --train-only"
        )
        raise ResumeError(f"the run in {folder} is {how}")
    return folder
