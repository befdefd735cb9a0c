"""The command line: `framelens score`, `framelens report` and `framelens info`."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from framelens import __version__
from framelens.deferral import add_cascade, cascade_problems, chosen_deferral
from framelens.errors import ArtifactError, FramelensError
from framelens.limits import Limits
from framelens.report.command import add_report
from framelens.standard_streams import drop_unwritten, flushed

if TYPE_CHECKING:
    from framelens.batch import Outcome, Run

Style = Literal["jsonl", "jsonl.gz", "csv", "parquet", "table"]

_STYLES: dict[str, Style] = {
    ".parquet": "parquet",
    ".csv": "csv",
    ".jsonl.gz": "jsonl.gz",
    ".ndjson.gz": "jsonl.gz",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}
"""Formats by the ending of the output: endings whose rows can be read back."""

_SCORE = (
    "Score articles, or with --unit segment single sentences. Exit codes: 0 all rows scored; "
    "1 failure; 2 usage; 3 finished, with error rows; 4 model mismatch; 130 interrupted."
)

EXIT_OK = 0
EXIT_FAILURE = 1
EXIT_USAGE = 2
EXIT_ERROR_ROWS = 3
EXIT_MODEL = 4
EXIT_INTERRUPTED = 130

_MOST_DIGITS = 9  # of a number on the command line: a longer one is a slip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    if sys.stderr is None:  # closed by a scheduler; no output may be given its number
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 - open to the end
    try:
        options = _parser().parse_args(arguments)
        return flushed(int(options.command(options)))
    except ArtifactError as error:
        return _fail(str(error), EXIT_MODEL)
    except FramelensError as error:
        return _fail(str(error), EXIT_FAILURE)
    except KeyboardInterrupt:
        return _fail("interrupted", EXIT_INTERRUPTED)
    except BrokenPipeError:  # the reader has gone
        return EXIT_FAILURE
    except OSError as error:
        return _fail(str(error), EXIT_FAILURE)
    finally:
        drop_unwritten()


def _fail(message: str, code: int) -> int:
    from framelens.terminal import safe

    shown = "\n".join(map(safe, message.split("\n")))  # an id, a key or a name may be in it
    with contextlib.suppress(OSError):  # where nobody can be told, the code still can
        print(f"framelens: {shown}", file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="framelens",
        description="Who is speaking in a news article, and do the outlet's own words frame it?",
    )
    parser.add_argument("--version", action="version", version=f"framelens {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    _add_score(commands.add_parser("score", help="score articles", description=_SCORE))
    add_report(commands.add_parser("report", help="write HTML pages of articles"))

    info = commands.add_parser("info", help="show a model", description="Show a model's manifest.")
    info.set_defaults(command=_info, usage_error=info.error)
    info.add_argument("model", nargs="?", help="directory, bundled name, or MLflow URI")
    return parser


def _add_score(score: argparse.ArgumentParser) -> None:
    score.set_defaults(command=_score, usage_error=score.error)
    score.add_argument(
        "inputs",
        nargs="+",
        metavar="INPUT",
        help="JSONL (.jsonl, .jsonl.gz), CSV, Parquet, .txt, .html; a directory or a pattern of "
        "such files; - reads JSONL from standard input",
    )
    score.add_argument("-m", "--model", help="directory, bundled name, or MLflow URI")

    add_cascade(score)
    fields = score.add_argument_group("input fields")
    fields.add_argument(
        "--text-field", default="text", metavar="NAME", help="the text (default: text)"
    )
    fields.add_argument(
        "--headline-field",
        default="headline",
        metavar="NAME",
        help="the headline, where there is one (default: headline)",
    )
    fields.add_argument(
        "--id-field", default="id", metavar="NAME", help="the id, where there is one (default: id)"
    )
    fields.add_argument(
        "--unit",
        choices=("article", "segment"),
        default="article",
        help="segment: score each text as exactly one segment",
    )

    output = score.add_argument_group("output")
    output.add_argument(
        "-o",
        "--output",
        metavar="FILE|DIR/",
        help="one file, or a directory of parts; - is standard output",
    )
    output.add_argument(
        "--format",
        choices=("jsonl", "jsonl.gz", "csv", "parquet", "table"),
        help="default: by the output's ending; on a terminal a table, elsewhere JSONL",
    )
    rows = output.add_mutually_exclusive_group()
    rows.add_argument(
        "--explode",
        dest="rows",
        action="store_const",
        const="segment",
        default="document",
        help="one row a segment",
    )
    rows.add_argument(
        "--attributions",
        dest="rows",
        action="store_const",
        const="attribution",
        help="one row an attribution: source, cue and content",
    )
    output.add_argument("--keep", action="store_true", help="pass the other input columns through")
    output.add_argument("--summary", metavar="FILE", help="write the final summary as JSON")
    output.add_argument("--quiet", action="store_true", help="no progress and no summary")

    run = score.add_argument_group("running")
    run.add_argument(
        "--workers",
        type=_positive,
        metavar="N",
        help="processes; default: the usable cores, divided by --threads",
    )
    run.add_argument(
        "--threads", type=_positive, default=1, metavar="N", help="threads of each process"
    )
    run.add_argument("--resume", action="store_true", help="continue an interrupted run")
    run.add_argument("--overwrite", action="store_true", help="drop an interrupted run's parts")
    run.add_argument(
        "--part-rows", type=_positive, default=256, metavar="N", help="documents in a part"
    )

    errors = score.add_argument_group("errors and limits")
    errors.add_argument(
        "--on-error",
        choices=("row", "stop"),
        default="row",
        help="what a bad row does: become an error row (default), or stop the run",
    )
    errors.add_argument(
        "--max-errors", type=_count, metavar="N", help="stop at more error rows than this"
    )
    limits = Limits()
    errors.add_argument(
        "--max-characters",
        type=_positive,
        default=limits.characters,
        metavar="N",
        help="a document",
    )
    errors.add_argument(
        "--max-segments", type=_positive, default=limits.segments, metavar="N", help="a document"
    )
    errors.add_argument(
        "--max-seconds", type=_seconds, default=limits.seconds, metavar="S", help="a document"
    )


def _positive(value: str) -> int:
    return _whole(value, 1)


def _count(value: str) -> int:
    return _whole(value, 0)


def _whole(value: str, least: int) -> int:
    if not value.isdecimal() or len(value) > _MOST_DIGITS or int(value) < least:
        raise argparse.ArgumentTypeError(
            f"expected a number from {least} up, of at most {_MOST_DIGITS} digits, found {value!r}"
        )
    return int(value)


def _seconds(value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number of seconds over 0, found {value!r}")
    return number


def _score(options: argparse.Namespace) -> int:
    from framelens.input_files import check_apart, expand_inputs, is_standard_output
    from framelens.parts import followed, is_stream
    from framelens.run_files import is_earlier_output, partial_of

    target = None if options.output in (None, "-") else followed(Path(options.output))
    style = _style(options, target)
    _check_usage(options, target, style)
    if target is None:  # standard output may be led into a file, in a directory that is read
        inputs = expand_inputs(options.inputs, is_standard_output)
        check_apart(inputs, [Path("/dev/stdout")])
    else:
        inputs = expand_inputs(options.inputs, partial(is_earlier_output, target=target))
        check_apart(inputs, [target, partial_of(target)])
    if style == "table":
        return _table(inputs, options)
    summary = None if options.summary is None else followed(Path(options.summary))
    if summary is not None and not is_stream(summary):
        _check_summary(summary, inputs, target)
    return _batch(inputs, target, summary, style, options)


def _check_summary(summary: Path, inputs: list[str], target: Path | None) -> None:
    """Find out before the run whether its summary can be written, and over nothing else of it."""
    from framelens.input_files import check_apart
    from framelens.parts import OutputError
    from framelens.run_files import is_of_run

    check_apart(inputs, [summary], "--summary")
    if target is not None and is_of_run(summary, target):
        raise OutputError(
            f"{summary}: expected a summary apart from the output, found that it would be written "
            "over it; give another --summary"
        )
    folder = summary.resolve().parent
    if folder.is_dir():
        fits = os.access(folder, os.W_OK) and not summary.is_dir()
    else:  # the run makes the directories of its output
        fits = target is not None and (target.resolve() / "_").is_relative_to(folder)
    if not fits:
        raise OutputError(
            f"{summary}: expected a file in a directory that can be written; give another --summary"
        )


def _style(options: argparse.Namespace, target: Path | None) -> Style:
    from framelens.parts import is_stream

    if options.format is not None:
        chosen: Style = options.format
        return chosen
    if target is None:
        on_terminal = options.output is None and bool(sys.stdout and sys.stdout.isatty())
        return "table" if on_terminal and not _beyond_table(options) else "jsonl"
    name = target.name.lower()
    found = next((style for ending, style in _STYLES.items() if name.endswith(ending)), None)
    folder = target.is_dir() or options.output.endswith(("/", os.sep))
    if found is None and not folder and not is_stream(target):
        options.usage_error(
            f"{target.name}: expected an output that ends in {', '.join(_STYLES)}, "
            "a directory that ends in /, or --format"
        )
    return found or "jsonl"


def _beyond_table(options: argparse.Namespace) -> bool:
    """Whether options ask for what only a batch run does."""
    has_own_rows = options.rows != "document"
    return bool(has_own_rows or options.keep or options.summary) or (options.max_errors is not None)


def _check_usage(options: argparse.Namespace, target: Path | None, style: Style) -> None:
    from framelens.input_files import STANDARD_INPUT
    from framelens.parts import is_stream

    problems = cascade_problems(options)
    streamed = target is None or is_stream(target)
    if streamed and (options.resume or options.overwrite):
        problems.append("--resume and --overwrite need -o FILE or -o DIR/")
    if target is None and sys.stdout is None:
        problems.append("standard output is closed; give -o FILE")
    if sys.stdin is None and STANDARD_INPUT in options.inputs:
        problems.append("standard input is closed; give a file")
    if options.on_error == "stop" and options.max_errors is not None:
        problems.append("expected --on-error stop or --max-errors, found both")
    if "" in (options.output, options.summary):
        problems.append("expected the name of a file or directory, found an empty one")
    if options.summary == "-":
        problems.append("expected a file as --summary, found -; give /dev/stdout")
    if options.resume and options.overwrite:
        problems.append("expected --resume or --overwrite, found both")
    if streamed and style == "parquet":
        problems.append("Parquet cannot be written to a pipe; give -o FILE.parquet")
    if style == "table" and (target is not None or _beyond_table(options)):
        problems.append(
            "--format table is for reading on a terminal: without -o, --explode, "
            "--attributions, --keep, --summary, --max-errors"
        )
    if problems:
        options.usage_error("; ".join(problems))


def _batch(
    inputs: list[str],
    target: Path | None,
    summary: Path | None,
    style: Style,
    options: argparse.Namespace,
) -> int:
    from framelens.artifact import Artifact, resolve
    from framelens.batch import Plan, Run, Running, TooManyErrorsError
    from framelens.parts import is_stream
    from framelens.progress import Progress
    from framelens.records import FieldNames
    from framelens.workers import usable_cores

    assert style != "table"
    if summary is not None and not is_stream(summary):
        summary.unlink(missing_ok=True)  # an earlier run's: this one may fail
    plan = Plan(
        artifact=Artifact.open(resolve(options.model)),
        deferral=chosen_deferral(options),
        fields=FieldNames(options.text_field, options.headline_field, options.id_field),
        unit=options.unit,
        format=style,
        rows=options.rows,
        keep=options.keep,
        limits=Limits(options.max_characters, options.max_segments, options.max_seconds),
        part_rows=options.part_rows,
    )
    running = Running(
        workers=options.workers or max(1, usable_cores() // options.threads),
        threads=options.threads,
        max_errors=0 if options.on_error == "stop" else options.max_errors,
        resume=options.resume,
        overwrite=options.overwrite,
    )
    # On a terminal, rows and progress would run into each other.
    quiet = options.quiet or (target is None and sys.stdout.isatty())
    run = Run(plan, running, inputs, Progress(quiet=quiet))
    try:
        outcome = _outcome(run, target, options)
    except TooManyErrorsError as error:
        if summary is not None and summary.parent.is_dir():
            _write_summary(summary, {**run.summary(interrupted=False), "stopped": str(error)})
        raise
    if summary is not None:
        _write_summary(summary, outcome.summary)
    if outcome.interrupted:
        message = "interrupted; the complete parts are kept: continue with --resume"
        return _fail(message, EXIT_INTERRUPTED)
    return EXIT_ERROR_ROWS if outcome.tally.failed else EXIT_OK


def _outcome(run: Run, target: Path | None, options: argparse.Namespace) -> Outcome:
    """Run to wherever the output is."""
    from framelens.parts import is_stream

    if target is None:
        return run.to_stream(sys.stdout.buffer)
    if target.is_dir() or options.output.endswith(("/", os.sep)):
        return run.to_directory(target)
    if is_stream(target):
        with target.open("ab") as stream:  # what `>>` has opened keeps what is in it
            return run.to_stream(stream)
    return run.to_file(target)


def _write_summary(summary: Path, row: dict[str, Any]) -> None:
    from framelens.parts import is_stream, write_whole

    text = json.dumps(row, indent=1).encode() + b"\n"
    if is_stream(summary):
        with summary.open("ab") as stream:
            stream.write(text)
    else:
        write_whole(summary, text)


def _table(inputs: list[str], options: argparse.Namespace) -> int:
    """Show each document as it is scored, in this process."""
    from framelens.artifact import Artifact, resolve
    from framelens.reading import read_records
    from framelens.records import FieldNames
    from framelens.terminal import render
    from framelens.workers import Job, Settings, score_job

    limits = Limits(options.max_characters, options.max_segments, options.max_seconds)
    artifact = Artifact.open(resolve(options.model))
    settings = Settings(
        artifact.path,
        artifact.info,
        limits,
        options.unit,
        options.threads,
        deferral=chosen_deferral(options),
    )
    scorer = settings.open()
    fields = FieldNames(options.text_field, options.headline_field, options.id_field)
    color = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    width = min(shutil.get_terminal_size().columns, 120)
    errors = 0
    for record in read_records(inputs, fields):
        if record.error is not None:
            document = scorer.error(record.id, record.error.code, record.error.message)
        else:
            document = score_job(scorer, Job(0, record.row, record.page), settings)
        errors += document.status == "error"
        shown = record.id if options.defer_to is None else f"{record.id} ({document.model.name})"
        text = render(replace(document, id=shown), width=width, color=color)
        print(_printable(text))
        if document.error is not None and options.on_error == "stop":
            said = f"{document.error.code}: {document.error.message}"
            return _fail(f"stopped at {record.id}: {said}", EXIT_FAILURE)
    return EXIT_ERROR_ROWS if errors else EXIT_OK


def _info(options: argparse.Namespace) -> int:
    from framelens.artifact import Artifact, resolve

    if sys.stdout is None:
        options.usage_error("standard output is closed")
    artifact = Artifact.open(resolve(options.model))
    row: dict[str, object] = {"path": str(artifact.path), "sha256": artifact.info.sha256}
    row |= artifact.manifest.to_dict()
    text = json.dumps(row, ensure_ascii=False, indent=1)
    print(text if _printable(text) == text else json.dumps(row, indent=1))
    return EXIT_OK


def _printable(text: str) -> str:
    """The text with "?" for what the terminal's code page lacks, which must not end a run."""
    encoding = sys.stdout.encoding or "utf-8"
    return text.encode(encoding, "replace").decode(encoding)


if __name__ == "__main__":
    sys.exit(main())
