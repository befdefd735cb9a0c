"""Run in an environment that holds only the inference wheel: score, and load nothing heavy.

usage: small_package.py MODEL ROWS.jsonl [SECOND_MODEL]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

HEAVY = ("torch", "transformers", "mlflow", "datasets", "sklearn", "pandas")


def main(model: str, rows: str, second: str | None = None) -> None:
    """Score the rows through the library and fail loudly on anything unexpected."""
    import framelens

    scorer = framelens.load(model, defer_to=second)
    records = [json.loads(line) for line in Path(rows).read_text("utf-8").splitlines()]
    documents = list(scorer.score_many(records))
    if len(documents) != len(records) or any(d.status != "ok" for d in documents):
        sys.exit(f"expected {len(records)} good documents, found {documents}")
    for record, document in zip(records, documents, strict=True):
        for segment in document.segments:
            if record[segment.field][segment.start : segment.end] != segment.text:
                sys.exit(f"offsets do not give the text back: {segment}")
    loaded = sorted(set(HEAVY) & set(sys.modules))
    if loaded:
        sys.exit(f"expected none of {HEAVY} to be loaded, found {loaded}")
    installed = [name for name in HEAVY if _importable(name)]
    if installed:
        sys.exit(f"expected the small package to install none of {HEAVY}, found {installed}")
    segments = sum(len(document.segments) for document in documents)
    print(f"small package alone: {len(documents)} documents, {segments} segments, nothing heavy")


def _importable(name: str) -> bool:
    import importlib.util

    return importlib.util.find_spec(name) is not None


if __name__ == "__main__":
    main(*sys.argv[1:])
