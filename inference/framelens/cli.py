"""The command line: `framelens score` and `framelens info`."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from framelens import __version__
from framelens.errors import ArtifactError, FramelensError
from framelens.schema import Document

if TYPE_CHECKING:
    from framelens.records import Record
    from framelens.scorer import Scorer, Unit

EXIT_OK = 0
EXIT_FAILURE = 1
EXIT_USAGE = 2
EXIT_ERROR_ROWS = 3
EXIT_MODEL = 4
EXIT_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.command(options))
    except ArtifactError as error:
        return _fail(str(error), EXIT_MODEL)
    except FramelensError as error:
        return _fail(str(error), EXIT_FAILURE)
    except KeyboardInterrupt:
        return _fail("interrupted", EXIT_INTERRUPTED)
    except BrokenPipeError:
        # The reader has gone; what is still in the buffer has nowhere to go either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILURE
    except OSError as error:
        return _fail(str(error), EXIT_FAILURE)


def _fail(message: str, code: int) -> int:
    print(f"framelens: {message}", file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="framelens",
        description="Who is speaking in a news article, and do the outlet's own words frame it?",
    )
    parser.add_argument("--version", action="version", version=f"framelens {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    score = commands.add_parser("score", help="score articles", description="Score articles.")
    score.set_defaults(command=_score)
    score.add_argument(
        "inputs",
        nargs="+",
        metavar="INPUT",
        help="JSONL (.jsonl, .jsonl.gz), .txt or .html; - reads JSONL from standard input",
    )
    score.add_argument("-o", "--output", metavar="FILE", help="JSONL, one row a document; - too")
    score.add_argument("-m", "--model", help="directory, bundled name, or MLflow URI")
    score.add_argument("--text-field", default="text", metavar="NAME")
    score.add_argument("--headline-field", default="headline", metavar="NAME")
    score.add_argument("--id-field", default="id", metavar="NAME")
    score.add_argument(
        "--unit",
        choices=("article", "segment"),
        default="article",
        help="segment: score each text as exactly one segment",
    )
    score.add_argument(
        "--format",
        choices=("jsonl", "table"),
        help="default: table on a terminal, JSONL elsewhere",
    )
    score.add_argument("--threads", type=_positive, default=1, metavar="N")

    info = commands.add_parser("info", help="show a model", description="Show a model's manifest.")
    info.set_defaults(command=_info)
    info.add_argument("model", nargs="?", help="directory, bundled name, or MLflow URI")
    return parser


def _positive(value: str) -> int:
    number = int(value)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a number from 1 up, found {value}")
    return number


def _score(options: argparse.Namespace) -> int:
    from framelens.records import FieldNames, check_inputs, read_records
    from framelens.scorer import load

    check_inputs(options.inputs)
    scorer = load(options.model, threads=options.threads)
    fields = FieldNames(options.text_field, options.headline_field, options.id_field)
    records = read_records(options.inputs, fields)
    documents = _documents(records, scorer, options.unit)
    return _write(documents, options)


def _documents(records: Iterator[Record], scorer: Scorer, unit: Unit) -> Iterator[Document]:
    for record in records:
        if record.row is None or record.error is not None:
            error = record.error
            code, message = (error.code, error.message) if error else ("bad_row", "an empty row")
            yield scorer.error(record.id, code, message)
            continue
        document = scorer.score_record(record.row, default_id=record.id, unit=unit)
        yield replace(document, input=record.row) if record.extracted else document


def _write(documents: Iterator[Document], options: argparse.Namespace) -> int:
    to_stdout = options.output in (None, "-")
    on_terminal = to_stdout and sys.stdout.isatty()
    style = options.format or ("table" if on_terminal and options.output is None else "jsonl")
    if to_stdout:
        errors = _emit(documents, sys.stdout, style, on_terminal)
    else:
        target = Path(options.output)
        partial = target.with_name(target.name + ".partial")
        with partial.open("w", encoding="utf-8", newline="\n") as stream:
            errors = _emit(documents, stream, style, False)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(target)
    return EXIT_ERROR_ROWS if errors else EXIT_OK


def _emit(documents: Iterator[Document], stream: TextIO, style: str, on_terminal: bool) -> int:
    from framelens.terminal import render

    color = on_terminal and "NO_COLOR" not in os.environ
    width = min(shutil.get_terminal_size().columns, 120)
    errors = 0
    for document in documents:
        errors += document.status == "error"
        if style == "table":
            stream.write(render(document, width=width, color=color) + "\n")
        else:
            stream.write(dump(document) + "\n")
    return errors


def dump(document: Document) -> str:
    """One output row; lone surrogates are escaped, so that every row is valid UTF-8."""
    row = document.to_dict()
    line = json.dumps(row, ensure_ascii=False)
    try:
        line.encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(row)
    return line


def _info(options: argparse.Namespace) -> int:
    from framelens.artifact import Artifact, resolve

    artifact = Artifact.open(resolve(options.model))
    row = {"path": str(artifact.path), "sha256": artifact.info.sha256}
    print(json.dumps({**row, **artifact.manifest.to_dict()}, ensure_ascii=False, indent=1))
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
