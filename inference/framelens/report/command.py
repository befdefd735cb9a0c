"""The command line: `framelens report`."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from functools import partial
from pathlib import Path

from framelens.deferral import add_cascade, cascade_problems, chosen_deferral

_REPORT = (
    "Write HTML: a page for one article (-o FILE.html), an index with pages for many (-o DIR/), "
    "or with --summary a dashboard. Inputs are articles, which are scored, or rows that "
    "framelens score wrote as JSONL or Parquet. Exit codes: as of framelens score."
)


def add_report(report: argparse.ArgumentParser) -> None:
    """Add the options of `framelens report`."""
    report.set_defaults(command=_report, usage_error=report.error)
    report.description = _REPORT
    report.add_argument(
        "inputs",
        nargs="+",
        metavar="INPUT",
        help="articles (.txt, .html, JSONL, CSV, Parquet) or scored rows (JSONL, Parquet)",
    )
    report.add_argument(
        "-o", "--output", required=True, metavar="FILE.html|DIR/", help="one page, or a directory"
    )
    report.add_argument("--summary", action="store_true", help="the dashboard alone, as one page")
    report.add_argument("-m", "--model", help="directory, bundled name, or MLflow URI")
    report.add_argument("--overwrite", action="store_true", help="replace the report in DIR/")
    report.add_argument("--workers", type=int, metavar="N", help="processes; default: the cores")
    report.add_argument("--quiet", action="store_true", help="no progress and no summary")
    add_cascade(report)
    fields = report.add_argument_group("input fields")
    fields.add_argument("--text-field", default="text", metavar="NAME")
    fields.add_argument("--headline-field", default="headline", metavar="NAME")
    fields.add_argument("--id-field", default="id", metavar="NAME")
    fields.add_argument("--outlet-field", default="outlet", metavar="NAME")
    fields.add_argument("--date-field", default="date", metavar="NAME", help="ISO 8601")


def _report(options: argparse.Namespace) -> int:
    from framelens.input_files import STANDARD_INPUT, check_apart, expand_inputs
    from framelens.parts import followed
    from framelens.records import FieldNames
    from framelens.report.inputs import ReportOptions, Source
    from framelens.report.pages import require_engine
    from framelens.report.write import (
        is_earlier_report,
        write_article,
        write_dashboard,
        write_report,
    )
    from framelens.workers import usable_cores

    if options.output in ("", "-"):
        options.usage_error(f"expected the name of a page or a directory, found {options.output!r}")
    target = followed(Path(options.output))
    many = options.output.endswith(("/", os.sep)) or target.is_dir()
    for problem in cascade_problems(options):
        options.usage_error(problem)
    if options.summary and many:
        options.usage_error("--summary writes one page: give -o FILE.html")
    if STANDARD_INPUT in options.inputs:
        options.usage_error("a report reads files, found - (standard input)")
    if options.workers is not None and options.workers < 1:
        options.usage_error(f"--workers: expected a number from 1 up, found {options.workers}")
    require_engine()
    inputs = expand_inputs(options.inputs, partial(is_earlier_report, target=target))
    check_apart(inputs, [target])
    source = Source(
        inputs,
        ReportOptions(
            model=options.model,
            deferral=chosen_deferral(options),
            fields=FieldNames(options.text_field, options.headline_field, options.id_field),
            outlet_field=options.outlet_field,
            date_field=options.date_field,
            workers=options.workers or usable_cores(),
            quiet=options.quiet,
        ),
    )
    names = {"outlet_field": options.outlet_field, "date_field": options.date_field}
    if options.summary:
        written = write_dashboard(source, target, **names)
    elif many:
        written = write_report(
            source, target, source.decoding, overwrite=options.overwrite, **names
        )
    else:
        written = write_article(source, target, source.decoding)
    if not options.quiet:
        page = target / "index.html" if many else target
        said = f"framelens: {page}: {written.articles} articles, {written.errors} of them errors"
        with contextlib.suppress(OSError):  # a log that cannot be written undoes no report
            print(said, file=sys.stderr)
    return 3 if written.errors else 0
