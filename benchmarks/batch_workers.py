"""How much faster more workers are than one, by the length of the run.

    python benchmarks/batch_workers.py [--sentences 3000 15000] [--runs 5] [--model DIR] [--quick]

The same single sentences with one worker and with one on each usable core, from exec to exit, one
after another, every other run the other way round: seconds, medians, and the median of the ratios
of the pairs. The start of the processes is the same however long the run is, and so weighs less
in a longer one. Run it on a machine that does nothing else.
"""

from __future__ import annotations

import json
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import batch_common as common
import batch_texts
from framelens.workers import usable_cores


def main() -> None:
    """Run both at each length and print a JSON report."""
    parser = common.arguments(__doc__, runs=5, quick=True)
    parser.add_argument("--sentences", type=int, nargs="+", default=[3000, 15000])
    options = parser.parse_args()
    if options.quick:
        options.sentences, options.runs = [64], 1
    found: dict[str, Any] = {"machine": common.machine(), "lengths": []}
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        model = common.model_of(options.model, folder)
        found["model"] = model
        for count in options.sentences:
            found["lengths"].append(_measured(count, model, folder, options.runs))
    print(json.dumps(found, indent=1))


def _measured(count: int, model: str, folder: Path, runs: int) -> dict[str, Any]:
    corpus, rows = batch_texts.sentences(count)
    source = common.write_jsonl(folder / f"{count}.jsonl", iter(rows))

    def scored(workers: int) -> Callable[[], float]:
        place = ("-o", folder / "out.jsonl", "-m", model, "--overwrite")
        line = common.command(source, *place, "--unit", "segment", "--workers", workers)
        return lambda: common.completed(line)

    cores = usable_cores()
    one, all_ = "workers 1", f"workers {cores}"
    seconds = common.alternated({one: scored(1), all_: scored(cores)}, runs)
    return {
        "sentences": count,
        "texts": corpus,
        "seconds": {name: [round(s, 2) for s in taken] for name, taken in seconds.items()},
        "medians": {name: round(statistics.median(taken), 2) for name, taken in seconds.items()},
        "all_over_one": common.paired_ratio(seconds[one], seconds[all_]),
    }


if __name__ == "__main__":
    main()
