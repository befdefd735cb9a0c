"""Where the time of scoring goes, stage by stage, in one process with one thread.

    python benchmarks/score_profile.py [--articles 100] [--sentences 1000] [--runs 5]
                                       [--model DIR] [--quick]

Each stage's functions are wrapped in a stopwatch that counts processor time, so that other work
on the machine changes little. Articles and sentences are scored in turn, in each run. `rest` is
what lies between the stages. Windows that were seen before are remembered, so that each run
takes a new scorer.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import batch_common as common
import batch_texts

STAGES = {
    "segmentation": [("framelens.scorer", "segment_article"), ("framelens.scorer", "segment_unit")],
    "tokenisation": [("framelens.features", "Featurizer.tokenize")],
    "window building": [("framelens.features", "Featurizer.windows")],
    "ONNX Runtime": [("framelens.network", "Network._run")],
    "decoding": [
        ("framelens.scorer", "merge_windows"),
        ("framelens.scorer", "decode_many"),
        ("framelens.scorer", "assemble"),
        ("framelens.scorer", "summarize"),
    ],
    "headline check": [("framelens.scorer", "check_headline")],
}


class Stopwatch:
    """Processor time a stage, without what other stages take inside it."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._running: list[str] = []
        self._since = time.process_time()

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count what happens inside as this stage's."""
        self._switch()
        self._running.append(name)
        try:
            yield
        finally:
            self._switch()
            self._running.pop()

    def _switch(self) -> None:
        now = time.process_time()
        if self._running:
            self.seconds[self._running[-1]] += now - self._since
        self._since = now

    def wrapped(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, counted as the stage's."""

        def call(*arguments: Any, **options: Any) -> Any:
            with self.stage(name):
                return function(*arguments, **options)

        return call


@contextlib.contextmanager
def watched(watch: Stopwatch) -> Iterator[None]:
    """Wrap every stage's functions for a while."""
    before: list[tuple[Any, str, Any]] = []
    try:
        for stage, places in STAGES.items():
            for module, path in places:
                *owners, name = path.split(".")
                owner: Any = importlib.import_module(module)
                for part in owners:
                    owner = getattr(owner, part)
                function = getattr(owner, name)
                before.append((owner, name, function))
                setattr(owner, name, watch.wrapped(stage, function))
        yield
    finally:
        for owner, name, function in before:
            setattr(owner, name, function)


def main() -> None:
    """Run everything and print JSON."""
    parser = common.arguments(__doc__, runs=5, quick=True)
    parser.add_argument("--articles", type=int, default=100)
    parser.add_argument("--sentences", type=int, default=1000)
    options = parser.parse_args()
    if options.quick:
        options.articles, options.sentences, options.runs = 6, 40, 1
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        model = common.model_of(options.model, folder)
        given = {
            "articles": batch_texts.articles(options.articles),
            "sentences": batch_texts.sentences(options.sentences),
        }
        sources = {
            unit: common.write_jsonl(folder / f"{unit}.jsonl", iter(rows))
            for unit, (_, rows) in given.items()
        }
        runs: dict[str, list[dict[str, float]]] = {unit: [] for unit in given}
        for _ in range(options.runs):
            for unit, source in sources.items():
                runs[unit].append(_run(source, model, unit))
    found = {
        "machine": common.machine(),
        "model": Path(model).name,
        "runs": options.runs,
        **{
            unit: {"corpus": corpus, "documents": len(rows), **_figures(runs[unit])}
            for unit, (corpus, rows) in given.items()
        },
    }
    print(json.dumps(found, indent=1))


def _run(source: Path, model: str, unit: str) -> dict[str, float]:
    """Seconds of each stage and of the whole."""
    from framelens.reading import read_records
    from framelens.records import FieldNames
    from framelens.scorer import load
    from framelens.workers import Job, Settings, finished, read_job
    from framelens.writers import Layout

    scorer = load(model)
    kind: Any = "article" if unit == "articles" else "segment"
    settings = Settings(scorer.artifact.path, scorer.model, scorer.limits, kind)
    writer = Layout("jsonl", "document").open(io.BytesIO())
    watch = Stopwatch()
    with watched(watch):
        begun = time.process_time()
        records = read_records([str(source)], FieldNames())
        while chunk := _chunk(records, watch):
            read = [read_job(scorer, Job(0, record.row, None), settings) for record in chunk]
            documents = finished(scorer, read)
            with watch.stage("writing"):
                for record, document in zip(chunk, documents, strict=True):
                    writer.write(record, settings.answer(document))
        total = time.process_time() - begun
    return {**watch.seconds, "total": total}


def _chunk(records: Iterator[Any], watch: Stopwatch) -> list[Any]:
    """As many records as a worker is given at once."""
    from framelens.workers import CHUNK_CHARACTERS, CHUNK_DOCUMENTS, Job

    found: list[Any] = []
    size = 0
    with watch.stage("reading"):
        while len(found) < CHUNK_DOCUMENTS and size <= CHUNK_CHARACTERS:
            record = next(records, None)
            if record is None:
                break
            found.append(record)
            size += Job(0, record.row, None).size
    return found


def _figures(runs: list[dict[str, float]]) -> dict[str, Any]:
    names = ["reading", *STAGES, "writing"]
    shares = {
        name: statistics.median(run.get(name, 0.0) / run["total"] for run in runs) for name in names
    }
    return {
        "seconds": round(statistics.median(run["total"] for run in runs), 3),
        "shares": {
            **{name: round(share, 4) for name, share in shares.items()},
            "rest": round(1 - sum(shares.values()), 4),
        },
    }


if __name__ == "__main__":
    main()
