"""Throughput with one and two workers, cold start, and memory over a long run.

    python benchmarks/batch_speed.py [--articles 200] [--rows 200000] [--runs 5] [--model DIR]

One and two workers alternate, so that what else the machine does meets both. Memory is that
of the parent and all its workers after 10 % and 100 % of the rows (each row one sentence).
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import batch_common as common


def main() -> None:
    """Run everything and print JSON."""
    parser = common.arguments(__doc__)
    parser.add_argument("--articles", type=int, default=200)
    parser.add_argument("--sentences", type=int, default=3000)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        model = common.model_of(options.model, folder)
        found = {
            "machine": common.machine(),
            "model": Path(model).name,
            "articles": _throughput(folder, model, options.articles, 30, options.runs, "article"),
            "sentences": _throughput(folder, model, options.sentences, 1, options.runs, "segment"),
            "cold_start": _cold_start(folder, model, options.runs),
            "memory": _memory(folder, model, options.rows),
        }
    print(json.dumps(found, indent=1))


def _throughput(
    folder: Path, model: str, count: int, sentences: int, runs: int, unit: str
) -> dict[str, Any]:
    source = common.write_jsonl(folder / "in.jsonl", common.articles(count, sentences))
    seconds: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(runs):
        for workers, times in seconds.items():
            summary = folder / "summary.json"
            line = common.command(
                source, "-o", folder / "out.jsonl", "-m", model, "--unit", unit,
                "--workers", workers, "--summary", summary,
            )  # fmt: skip
            _, code = common.timed(line)
            if code:
                sys.exit(f"framelens score ended with {code}")
            times.append(json.loads(summary.read_text("utf-8"))["seconds"])
    medians = {workers: statistics.median(times) for workers, times in seconds.items()}
    pairs = [one / two for one, two in zip(seconds[1], seconds[2], strict=True)]
    return {
        "documents": count,
        "seconds": seconds,
        "documents_per_second": {w: round(count / s, 1) for w, s in medians.items()},
        "two_workers_over_one": round(statistics.median(pairs), 2),
    }


def _cold_start(folder: Path, model: str, runs: int) -> dict[str, Any]:
    source = common.write_jsonl(folder / "one.jsonl", common.articles(1, 30))
    line = common.command(source, "-o", folder / "one.out.jsonl", "-m", model)
    score = [common.timed(line)[0] for _ in range(runs)]
    bare = [common.timed([sys.executable, "-c", "import framelens"])[0] for _ in range(runs)]
    python = [common.timed([sys.executable, "-c", ""])[0] for _ in range(runs)]
    peak = "import resource, subprocess, sys; subprocess.run(sys.argv[1:]); "
    peak += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    done = subprocess.run(
        [sys.executable, "-c", peak, *line],
        env=common.environment(),
        capture_output=True,
        check=True,
    )
    return {
        "score_one_s": round(statistics.median(score), 3),
        "import_s": round(statistics.median(bare), 3),
        "python_alone_s": round(statistics.median(python), 3),
        "peak_mb": round(int(done.stdout) / 1024, 1),
    }


def _memory(folder: Path, model: str, rows: int) -> dict[str, Any]:
    import pyarrow.csv
    import pyarrow.json
    import pyarrow.parquet

    source = common.write_jsonl(folder / "rows.jsonl", common.articles(rows, 1, seed=2))
    table = pyarrow.json.read_json(source).select(["id", "text"])
    pyarrow.parquet.write_table(table, folder / "rows.parquet", row_group_size=10_000)
    pyarrow.csv.write_csv(table, folder / "rows.csv")
    del table
    found: dict[str, Any] = {"rows": rows}
    for kind in ("jsonl", "csv", "parquet"):
        target = folder / f"memory.{kind}"
        line = common.command(folder / f"rows.{kind}", "-o", target, "-m", model)
        process = subprocess.Popen(line, env=common.environment())
        found[kind] = _watched(process, target.with_name(target.name + ".partial"), rows)
        target.unlink()
    return found


def _watched(process: subprocess.Popen[bytes], partial: Path, rows: int) -> dict[str, float | None]:
    samples: list[tuple[int, float]] = []
    while process.poll() is None:
        done = 256 * sum(1 for _ in partial.glob("part-*")) if partial.is_dir() else 0
        samples.append((done, _resident_mb(process.pid)))
        time.sleep(0.2)
    at = _at(samples, rows)
    return {"mb_at_10_percent": at(0.1), "mb_at_end": at(0.97)}


def _at(samples: list[tuple[int, float]], rows: int) -> Callable[[float], float | None]:
    def mean(share: float) -> float | None:
        near = [mb for done, mb in samples if abs(done / rows - share) < 0.02]
        return round(statistics.median(near), 1) if near else None

    return mean


def _resident_mb(parent: int) -> float:
    total = 0
    try:
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        for process in (parent, *children):
            pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
            total += pages * os.sysconf("SC_PAGE_SIZE")
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return total / 1e6


if __name__ == "__main__":
    main()
