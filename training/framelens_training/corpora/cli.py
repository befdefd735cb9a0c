"""`framelens-train corpora`: list, check, convert and fetch labelled data."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from framelens.input_files import check_apart
from framelens.windows import MAX_TOKENS
from framelens_training.corpora.base import SPLITS
from framelens_training.corpora.formats import FORMATS, detect, write_any
from framelens_training.corpora.formats.base import FormatError
from framelens_training.corpora.formats.registry import parse_any
from framelens_training.corpora.formats.rows import explode
from framelens_training.corpora.inputs import read_inputs
from framelens_training.corpora.labelled import LabelledDocument
from framelens_training.corpora.reading import CorpusReader
from framelens_training.corpora.registry import CORPORA, ROOT_VARIABLE, corpus, resolve_root
from framelens_training.corpora.store import open_corpus
from framelens_training.run_arguments import least

_INPUTS = (
    "a corpus, or a file or folder of labelled documents, optionally as SPLIT=PATH; a path named "
    "train, validation or test is that split, any other is train"
)


def add_parser(commands: Any) -> None:
    """Add `corpora` and its subcommands to the subparsers of `framelens-train`."""
    parser = commands.add_parser(
        "corpora",
        help="list, check, convert and fetch labelled data",
        description="List, check, convert and fetch labelled data.",
    )
    inner = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Any, about: str, root: bool = True) -> argparse.ArgumentParser:
        added: argparse.ArgumentParser = inner.add_parser(
            name, help=about, description=about[0].upper() + about[1:] + "."
        )
        added.set_defaults(command=run)
        if root:
            added.add_argument(
                "--root", type=Path, help=f"folder of the public corpora; otherwise {ROOT_VARIABLE}"
            )
        return added

    listing = command("list", _list, "list the known corpora, their licences, and what is there")
    listing.add_argument("--format", choices=("text", "markdown"), default="text")

    stats = command("stats", _stats, "count segments, labels, spans and repetition by split")
    stats.add_argument("inputs", nargs="*", metavar="INPUT", help=_INPUTS + "; all without any")
    stats.add_argument("--format", choices=("text", "markdown", "json"), default="text")
    stats.add_argument("--max-tokens", type=least(3), default=MAX_TOKENS, help="length of a window")

    show = command("show", _show, "show a few documents with their labels and spans")
    show.add_argument("inputs", nargs="+", metavar="INPUT", help=_INPUTS)
    show.add_argument("-n", "--number", type=least(1), default=3, help="how many (default 3)")
    show.add_argument("--seed", type=int, default=13)
    show.add_argument("--split", choices=SPLITS)
    show.add_argument("--segments", type=least(1), default=12, help="most segments of a document")
    show.add_argument("--color", choices=("auto", "always", "never"), default="auto")

    check = command(
        "check", _check,
        "find everything that is wrong with labelled data; exit code 0: nothing, 1: errors, "
        "3: warnings alone",
    )  # fmt: skip
    check.add_argument("inputs", nargs="*", metavar="INPUT", help=_INPUTS + "; all without any")
    check.add_argument("--all", action="store_true", help="show every finding of each kind")
    check.add_argument("--format", choices=("text", "json"), default="text")
    check.add_argument("--max-tokens", type=least(3), default=MAX_TOKENS, help="length of a window")
    check.add_argument(
        "--fix", type=Path, metavar="FOLDER",
        help="write a cleaned copy there, and fixes.jsonl, which lists what was done and why",
    )  # fmt: skip

    names = ", ".join(FORMATS)
    convert = command("convert", _convert, "convert labelled documents from one format to another")
    convert.add_argument("input", metavar="INPUT", help="a file or folder, or CORPUS:SPLIT")
    convert.add_argument("output", type=Path, metavar="OUTPUT")
    convert.add_argument("--from", dest="source", choices=list(FORMATS), help=f"one of {names}")
    convert.add_argument("--to", dest="target", choices=list(FORMATS), help="otherwise by suffix")
    convert.add_argument(
        "--explode", action="store_true", help="one document a segment; drops the spans"
    )
    convert.add_argument("--force", action="store_true", help="write over a file at OUTPUT")

    fetch = command("fetch", _fetch, "clone the files of public corpora into the root folder")
    fetch.add_argument("names", nargs="+", metavar="NAME", help="corpora of 'corpora list'")
    fetch.add_argument("--url", help="another address of the same repository")


def _root(options: argparse.Namespace) -> Path | None:
    if options.root is None and not os.environ.get(ROOT_VARIABLE):
        return None
    return resolve_root(options.root)


def _list(options: argparse.Namespace) -> int:
    from framelens_training.corpora.describe import corpora_table

    print(corpora_table(_root(options), options.format == "markdown"), end="")
    return 0


def _stats(options: argparse.Namespace) -> int:
    from framelens_training.corpora.describe import (
        statistics,
        statistics_json,
        statistics_tables,
    )
    from framelens_training.corpora.reach import default_featurizer

    parts = read_inputs(options.inputs, options.root)
    errors = [f for part in parts for f in part.findings if f.severity == "error"]
    stats = statistics(
        [part for part in parts if part.located], default_featurizer(options.max_tokens)
    )
    if options.format == "json":
        print(statistics_json(stats))
    else:
        print(statistics_tables(stats, options.format == "markdown"), end="")
    for finding in errors:
        print(f"not counted: {finding}", file=sys.stderr)
    return 1 if errors else 0


def _show(options: argparse.Namespace) -> int:
    from framelens_training.corpora.describe import examples

    parts = read_inputs(options.inputs, options.root)
    for finding in (f for part in parts for f in part.findings if f.severity == "error"):
        print(f"not shown: {finding}", file=sys.stderr)
    if options.split is not None:
        parts = [part for part in parts if part.split == options.split]
    colour = options.color == "always" or (
        options.color == "auto" and sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    )
    print(examples(parts, options.number, options.seed, colour, options.segments), end="")
    return 0 if any(part.located for part in parts) else 1


def _check(options: argparse.Namespace) -> int:
    from framelens_training.corpora.fixing import fix, write_fixed
    from framelens_training.corpora.reach import default_featurizer
    from framelens_training.corpora.report import check

    featurizer = default_featurizer(options.max_tokens)
    parts = read_inputs(options.inputs, options.root)
    report = check(parts, featurizer)
    print(report.to_json() if options.format == "json" else report.to_text(options.all), end="")
    if options.fix is not None:
        cleaned, fixes = fix(parts, featurizer)
        written = write_fixed(cleaned, fixes, options.fix)
        after = check(cleaned, featurizer)
        dropped = [(item.where, item.id) for item in fixes if item.action == "dropped"]
        print(
            f"wrote {', '.join(map(str, written))}: {len(set(dropped))} dropped, "
            f"{len(fixes) - len(dropped)} alterations, {after.documents} documents and "
            f"{len(after.of('error'))} errors left",
            file=sys.stderr,
        )
        return after.exit_code
    return report.exit_code


def _convert(options: argparse.Namespace) -> int:
    check_apart([options.input], [options.output], "OUTPUT")
    if options.output.is_file() and not options.force:
        raise FileExistsError(
            f"expected no file at {options.output}, found one; give another OUTPUT, or write over "
            "it with --force"
        )
    name, colon, split = options.input.partition(":")
    if colon and name in CORPORA:
        reader = corpus(name)
        root = resolve_root(options.root) if reader.info.upstream else None
        stored = open_corpus(reader, root)
        if split not in stored.datasets:
            raise FormatError(
                f"{options.input}: expected one of the splits {', '.join(stored.datasets)}"
            )
        documents: list[LabelledDocument] = list(stored.documents(split))
    else:
        parsed = parse_any(Path(options.input), options.source)
        for finding in parsed.findings:
            if finding.severity == "warning":
                print(f"warning: {finding}", file=sys.stderr)
        documents = parsed.documents()
    if options.target is None:
        detect(options.output)  # raises before anything is done
    if options.explode:
        documents, lost = explode(documents)
        for what, count in lost.items():
            print(f"lost: {count} {what}", file=sys.stderr)
    write_any(documents, options.output, options.target)
    print(f"{len(documents)} documents in {options.output}")
    return 0


def _fetch(options: argparse.Namespace) -> int:
    from framelens_training.corpora.fetch import fetch

    value = options.root or os.environ.get(ROOT_VARIABLE)
    # A folder that is not there yet will be made; without a name for it, this raises.
    root = Path(value).expanduser() if value else resolve_root(None)
    for name in options.names:
        reader = corpus(name)
        if not isinstance(reader, CorpusReader):
            print(f"{name}: packaged; nothing to fetch")
            continue
        if len(reader.sources) > 1 and options.url:
            raise FormatError(
                f"{name}: expected a corpus of one repository with --url, found one whose texts "
                f"are those of {' and '.join(source.info.name for source in reader.sources)}; "
                "fetch these one by one"
            )
        for source in reader.sources:
            folder = root / source.folder
            new = fetch(source.info, folder, options.url)
            print(f"{source.info.name}: {'fetched into' if new else 'already in'} {folder}")
        print(f"{name}: licence as stated upstream: {reader.info.licence}")
    return 0
