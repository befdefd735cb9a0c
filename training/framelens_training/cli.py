"""The command line: `framelens-train COMMAND`."""

from __future__ import annotations

import argparse
import functools
import logging
import os
import shlex
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from framelens.errors import FramelensError
from framelens.standard_streams import drop_unwritten, flushed
from framelens_training import (
    __version__,
    calibration_command,
    evaluation_commands,
    registry_commands,
)
from framelens_training.corpora import cli as corpora_commands
from framelens_training.corpora.labelled import CorpusError
from framelens_training.environment import launched_count, launched_rank
from framelens_training.errors import ConfigError, TrainingError
from framelens_training.run_arguments import add_resumption, add_run_arguments, resumed_folder

if TYPE_CHECKING:
    from framelens_training.run_result import RunResult

EXIT_OK = 0
EXIT_FAILURE = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read as MLflow is imported
    try:
        options = _parser().parse_args(arguments)
        if launched_count() > 1 and options.command is not _run:
            raise ConfigError(
                "torchrun, accelerate launch",
                [f"only 'run' takes several processes, found {launched_count()} of them"],
            )
        return flushed(int(options.command(options)))
    except ConfigError as error:
        return _fail(error, EXIT_USAGE)
    except (TrainingError, CorpusError, FramelensError, OSError) as error:
        return _fail(error, EXIT_FAILURE)
    except KeyboardInterrupt:
        return _fail("interrupted", EXIT_INTERRUPTED)
    finally:
        drop_unwritten()


def _fail(message: object, code: int) -> int:
    rank = launched_rank()
    if rank == 0:
        print(f"framelens-train: {message}", file=sys.stderr)
    elif code == EXIT_FAILURE:  # rank 0 need not have met it; a bad config it has met itself
        print(f"framelens-train: process {rank}: {message}", file=sys.stderr)
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
    run.add_argument(
        "--train-only",
        action="store_true",
        help="stop once the weights are there, and record nothing: --resume does all the rest and "
        "records it, on another machine too (with --allow-changed-code where libraries differ)",
    )
    add_resumption(run, "an unfinished run")
    evaluation_commands.add_to(commands)
    calibration_command.add_to(commands)
    registry_commands.add_to(commands)
    corpora_commands.add_parser(commands)
    return parser


def _run(options: argparse.Namespace) -> int:
    from framelens_training.settings_file import load_config

    config = load_config(options.config, options.overrides)
    # torch and transformers take seconds to import: a bad config should be told at once.
    folder = resumed_folder(
        options,
        config,
        is_recorded=not (options.no_tracking or options.train_only),
        processes=launched_count(),
    )
    from framelens_training.pipeline import run_jointly
    from framelens_training.processes import joined
    from framelens_training.progress import Console, silent
    from framelens_training.quiet import quiet_libraries
    from framelens_training.run_record import RunRecord, finish
    from framelens_training.tracker import NullTracker
    from framelens_training.tracking import not_recorded, tracked_run
    from framelens_training.tracking_store import tracking_uri

    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    lines: list[str] = []
    with quiet_libraries(), joined() as processes:
        jointly = functools.partial(
            run_jointly,
            config,
            say=Console() if processes.is_main else silent,
            processes=processes,
            resumed=folder,
            allow_changed_code=options.allow_changed_code,
            train_only=options.train_only,
        )
        if options.no_tracking or options.train_only or not processes.is_main:
            result, page = jointly(tracker=NullTracker()), None
        else:
            run_id = None if folder is None else RunRecord.read(folder).run_id
            with tracked_run(config, run_id, folder) as tracker:
                result = jointly(tracker=tracker)
            page, lines = tracker.page(tracking_uri(config)), not_recorded(tracker)
    if result is not None:
        finish(result.artifact.parent)
        print(summary(result, page))
    for line in lines:
        print(line, file=sys.stderr)
    return EXIT_OK


def summary(result: RunResult, page: str | None) -> str:
    """What a person wants to know at the end of a run; `page` is where MLflow shows it."""
    from framelens_training.assessment import summary_lines
    from framelens_training.progress import duration

    lines = ["", *summary_lines(result.assessment)]
    lines += [
        f"int8 changes {result.parity.int8_changed_labels:.2%} of labels; fp32 ONNX is within "
        f"{result.parity.torch_onnx_max_difference:.1e} of torch",
        "",
        f"model      {result.artifact}",
    ]
    lines.append(f"score with framelens score ARTICLE -m {shlex.quote(str(result.artifact))}")
    if page is not None:
        lines += [f"run        {result.run_id}", f"look at it {page}"]
    lines.append(f"took       {duration(result.seconds)}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
