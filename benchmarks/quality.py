"""How good a shipped artifact is: its table of figures, as Markdown and as JSON.

    python benchmarks/quality.py CORPORA_ROOT [--model DIR_OR_NAME] [--fast] [--only CORPUS ...]

Measured from the artifact itself (int8, with the features, network and decoding of the small
package), on documents that its manifest shows it was never trained on. Progress goes to
standard error. `--articles` prints instead where the labels of annotated articles differ from
the model's; `--write-floors` measures and writes the floors that the tests hold a model to.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from framelens.errors import FramelensError
from framelens_training.corpora.formats import read_any
from framelens_training.corpora.labelled import CorpusError
from framelens_training.disagreements import disagreement_table, disagreements
from framelens_training.errors import TrainingError
from framelens_training.quality import MEASURES, PACKAGED, Measured, measure
from framelens_training.quality_bench import Bench, Settings
from framelens_training.quality_floors import SEGMENTS, floors_of
from framelens_training.quality_table import as_json, markdown

EXPECTED = "expected.jsonl"


def say(line: str) -> None:
    """Progress, where it does not mix with the figures."""
    print(line, file=sys.stderr, flush=True)


def measure_all(bench: Bench, names: list[str]) -> tuple[dict[str, Measured], dict[str, str]]:
    """What each corpus gave, and why a corpus could not be measured."""
    measured: dict[str, Measured] = {}
    refused: dict[str, str] = {}
    for name in names:
        say(f"== {name}")
        try:
            measured[name] = measure(bench, name)
        except (TrainingError, CorpusError, FileNotFoundError) as error:
            refused[name] = str(error)
            say(f"{name}: not measured: {error}")
    return measured, refused


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("root", type=Path, nargs="?", help="folder of the public corpora")
    parser.add_argument("--model", help="a directory or a name; default: the bundled model")
    parser.add_argument(
        "--only", nargs="+", choices=list(MEASURES), metavar="CORPUS",
        help=f"of {', '.join(MEASURES)}",
    )  # fmt: skip
    parser.add_argument(
        "--fast", action="store_true",
        help=f"about {SEGMENTS} segments of each part, no baselines",
    )  # fmt: skip
    parser.add_argument("--no-baselines", action="store_true", help="leave TF-IDF out")
    parser.add_argument("--samples", type=int, default=1000, help="bootstrap samples (1000)")
    parser.add_argument("--format", choices=("both", "markdown", "json"), default="both")
    parser.add_argument("--articles", type=Path, help=f"a folder with {EXPECTED}")
    parser.add_argument(
        "--write-floors", type=Path, metavar="FILE", help="measure and write floors"
    )
    parser.add_argument(
        "--margin", type=float, default=0.02, help="of floors below the figures (0.02)"
    )
    return parser


def main() -> int:
    """Measure and print; exit code 1 if nothing could be measured, 3 if a corpus could not."""
    options = arguments().parse_args()
    few = options.fast or options.write_floors is not None
    settings = Settings(
        segments=SEGMENTS if few else None,
        baselines=not (few or options.no_baselines),
        samples=0 if options.write_floors else options.samples,
    )
    try:
        bench = Bench(options.model, options.root, settings, say)
        if options.articles is not None:
            documents = read_any(options.articles / EXPECTED)
            print(disagreement_table(documents, disagreements(bench, documents)))
            return 0
    except (FramelensError, TrainingError, CorpusError, FileNotFoundError) as error:
        say(str(error))
        return 1
    names = options.only or [name for name in MEASURES if options.root or name in PACKAGED]
    measured, refused = measure_all(bench, names)
    if options.write_floors is not None:
        floors = floors_of(bench, measured, options.margin)
        options.write_floors.parent.mkdir(parents=True, exist_ok=True)
        options.write_floors.write_text(json.dumps(floors, indent=1) + "\n", encoding="utf-8")
        say(f"floors of {len(measured)} corpora written to {options.write_floors}")
    if options.format != "json":
        print(markdown(bench, measured, refused))
    if options.format != "markdown":
        print(json.dumps(as_json(bench, measured, refused), ensure_ascii=False, indent=1))
    return 1 if not measured else 3 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
