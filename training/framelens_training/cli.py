"""The command line: `framelens-train COMMAND`."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from framelens.errors import FramelensError
from framelens_training import __version__, evaluation_commands, registry_commands
from framelens_training.corpora import cli as corpora_commands
from framelens_training.corpora.labelled import CorpusError
from framelens_training.errors import ConfigError, TrainingError
from framelens_training.run_arguments import add_run_arguments

if TYPE_CHECKING:
    from framelens_training.pipeline import RunResult
    from framelens_training.tracking import MlflowTracker

EXIT_OK = 0
EXIT_FAILURE = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    try:
        return int(options.command(options))
    except ConfigError as error:
        return _fail(error, EXIT_USAGE)
    except (TrainingError, CorpusError, FramelensError, OSError) as error:
        return _fail(error, EXIT_FAILURE)
    except KeyboardInterrupt:
        return _fail("interrupted", EXIT_INTERRUPTED)


def _fail(message: object, code: int) -> int:
    print(f"framelens-train: {message}", file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="framelens-train",
        description="Fine-tune, evaluate, record and export the framelens classifier.",
    )
    parser.add_argument("--version", action="version", version=f"framelens-train {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser(
        "run", help="train a model", description="Train, evaluate and export a model."
    )
    run.set_defaults(command=_run)
    add_run_arguments(run)
    evaluation_commands.add_to(commands)
    registry_commands.add_to(commands)
    corpora_commands.add_parser(commands)
    return parser


def _run(options: argparse.Namespace) -> int:
    from framelens_training.config import load_config

    config = load_config(options.config, options.overrides)
    # torch and transformers take seconds to import: a bad config should be told at once.
    from framelens_training.pipeline import quiet_libraries, run
    from framelens_training.tracking import NullTracker, tracked_run, tracking_uri

    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    with quiet_libraries():
        if options.no_tracking:
            print(summary(run(config, NullTracker(), _say), None))
            return EXIT_OK
        with tracked_run(config) as tracker:
            result = run(config, tracker, _say)
        print(summary(result, tracking_uri(config)))
        for line in not_recorded(tracker):
            print(line, file=sys.stderr)
    return EXIT_OK


def not_recorded(tracker: MlflowTracker) -> list[str]:
    """What the store lacks, and how to send what is kept."""
    lines = [f"not recorded: {failure}" for failure in tracker.failures]
    if tracker.waiting:
        path = tracker.journal.path
        lines.append(
            f"MLflow did not answer: {tracker.waiting} records are kept in {path}; send them with "
            f"framelens-train upload {path}"
        )
    return lines


def _say(line: str) -> None:
    print(line, flush=True)


def summary(result: RunResult, uri: str | None) -> str:
    """What a person wants to know at the end of a run."""
    from framelens_training.assessment import summary_lines

    lines = ["", *summary_lines(result.assessment)]
    lines += [
        f"int8 changes {result.parity.int8_changed_labels:.2%} of labels; fp32 ONNX is within "
        f"{result.parity.torch_onnx_max_difference:.1e} of torch",
        "",
        f"model      {result.artifact}",
    ]
    if uri is not None:
        command = f"mlflow ui --backend-store-uri {uri}"
        lines += [f"run        {result.run_id}", f"look at it {command}"]
    lines += [f"score with framelens score ARTICLE -m {result.artifact}", ""]
    lines.append(f"{result.seconds:.0f} s")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
