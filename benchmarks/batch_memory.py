"""Resident memory after 10 % and 100 % of a long run, for each format and for Python's calls.

    python benchmarks/batch_memory.py [--rows 200000] [--shrink 1] [--only jsonl csv ...] [--quick]

A graph of lookups stands in for the model, so that 200,000 rows take a minute or two; it is
what surrounds the model that could grow. Texts have two to four sentences. In the pass
`distinct` no two are the same; in `duplicates` each comes about a hundred times. The figure is
the sum over parent and workers: the median of the samples near 10 %, the highest of the last
fifth. The script exits with 1 if the second is more than 10 % above the first. `score_frame`
gets the rows in twenty frames, one after another. `--shrink N` takes an Nth of the rows, and
leaves a run an Nth of the memory that it has for the answers of duplicates: the same relation
in less time.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import batch_common as common
from framelens.batch import PART_ROWS

FORMATS = ("jsonl", "jsonl.gz", "csv", "parquet")
CALLS = ("score_many", "score_frame")
FRAMES = 20
ALLOWED = 1.1
Samples = list[tuple[float, float]]
"""Share of the rows that are done, and megabytes."""


def main() -> int:
    """Run everything and print JSON."""
    if sys.argv[1:2] == ["--call"]:
        _call(sys.argv[2], Path(sys.argv[3]), sys.argv[4], int(sys.argv[5]))
        return 0
    parser = common.arguments(__doc__, quick=True, bundled=False)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--shrink", type=int, default=1)
    parser.add_argument("--only", nargs="+", choices=FORMATS + CALLS, default=FORMATS + CALLS)
    parser.add_argument("--passes", nargs="+", choices=("distinct", "duplicates"))
    options = parser.parse_args()
    if options.quick:
        options.shrink = 40
    rows = options.rows // options.shrink
    found: dict[str, Any] = {"machine": common.machine(), "rows": rows, "shrink": options.shrink}
    found["workers"] = options.workers
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        model = options.model or str(common.lookup_model(folder / "lookup"))
        for kind in options.passes or ("distinct", "duplicates"):
            found[kind] = _pass(kind, folder, model, rows, options)
    print(json.dumps(found, indent=1))
    passes = [found.get(kind, {}) for kind in ("distinct", "duplicates")]
    return 0 if all(figure["flat"] for figures in passes for figure in figures.values()) else 1


def _pass(
    kind: str, folder: Path, model: str, rows: int, options: argparse.Namespace
) -> dict[str, Any]:
    source = common.write_jsonl(folder / "rows.jsonl", _rows(rows, kind))
    found: dict[str, Any] = {}
    for name in options.only:
        if name in CALLS:
            line = [sys.executable, __file__, "--call", name, str(source), model, str(rows)]
            samples = _from_call(line)
        else:
            given = _converted(source, name)
            target = folder / f"out.{name}"
            line = [given, "-o", target, "-m", model, "--workers", options.workers]
            samples = _from_run([*map(str, line), "--quiet"], target, rows, options.shrink)
        found[name] = _figures(samples)
        print(f"{kind} {name}: {found[name]}", file=sys.stderr, flush=True)
    return found


def _rows(count: int, kind: str) -> Iterator[dict[str, Any]]:
    texts = count if kind == "distinct" else max(count // 100, 1)
    generator = random.Random(2)
    pool: list[str] = []
    for number in range(count):
        if len(pool) < texts:
            text = " ".join(common.sentence(generator) for _ in range(generator.randint(2, 4)))
            pool.append(text if kind != "distinct" else "")
        else:
            text = generator.choice(pool)
        yield {"id": f"a{number}", "text": text}


def _converted(source: Path, kind: str) -> Path:
    """The rows in another format, by a process of its own, whose memory does not count."""
    target = source.with_name(f"rows.{kind}")
    if kind != "jsonl":
        script = (
            "import sys, gzip, shutil, pyarrow.json, pyarrow.csv, pyarrow.parquet\n"
            "source, target = sys.argv[1:]\n"
            "if target.endswith('.gz'):\n"
            "    shutil.copyfileobj(open(source, 'rb'), gzip.open(target, 'wb', 1))\n"
            "else:\n"
            "    table = pyarrow.json.read_json(source)\n"
            "    if target.endswith('.csv'): pyarrow.csv.write_csv(table, target)\n"
            "    else: pyarrow.parquet.write_table(table, target, row_group_size=10_000)\n"
        )
        subprocess.run([sys.executable, "-c", script, str(source), str(target)], check=True)
    return target


def _from_run(arguments: list[str], target: Path, rows: int, shrink: int) -> Samples:
    script = (
        "import sys, framelens.in_order, framelens.cli\n"
        f"framelens.in_order._REMEMBERED_BYTES //= {shrink}\n"
        "sys.exit(framelens.cli.main(['score', *sys.argv[1:]]))\n"
    )
    partial = target.with_name(target.name + ".partial")
    process = subprocess.Popen([sys.executable, "-c", script, *arguments], env=common.environment())
    samples: Samples = []
    while process.poll() is None:
        parts = sum(1 for _ in partial.glob("part-*")) if partial.is_dir() else 0
        samples.append((parts * PART_ROWS / rows, resident_mb(process.pid)))
        time.sleep(0.1)
    if process.returncode:
        raise SystemExit(f"framelens score ended with {process.returncode}")
    target.unlink()
    return samples


def _from_call(line: list[str]) -> Samples:
    done = subprocess.run(line, env=common.environment(), check=True, capture_output=True)
    return [(share, mb) for share, mb in json.loads(done.stdout)]


def _call(name: str, source: Path, model: str, rows: int) -> None:
    """What the process that calls from Python does: it watches itself."""
    import framelens

    scorer = framelens.load(model)
    samples: Samples = []
    with source.open(encoding="utf-8") as stream:
        records = (json.loads(line) for line in stream)
        if name == "score_many":
            for number, _ in enumerate(scorer.score_many(records), 1):
                if number % 500 == 0:
                    samples.append((number / rows, resident_mb(os.getpid())))
        else:
            import itertools

            import pyarrow as pa

            done = 0
            while chunk := list(itertools.islice(records, rows // FRAMES)):
                scored = scorer.score_frame(pa.Table.from_pylist(chunk))
                done += scored.num_rows
                del scored, chunk
                samples.append((done / rows, resident_mb(os.getpid())))
    print(json.dumps(samples))


def _figures(samples: Samples) -> dict[str, Any]:
    early = [mb for share, mb in samples if 0.08 <= share <= 0.12]
    early = early or [mb for share, mb in samples if 0.05 <= share <= 0.3][:5]
    first = statistics.median(early)
    last = max(mb for share, mb in samples if share >= 0.8)
    return {
        "mb_at_10_percent": round(first, 1),
        "mb_at_100_percent": round(last, 1),
        "peak_mb": round(max(mb for _, mb in samples), 1),
        "growth": round(last / first - 1, 3),
        "flat": last <= ALLOWED * first,
    }


def resident_mb(parent: int) -> float:
    """Resident memory of a process and its children, in MB."""
    total = 0
    try:
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        for process in (str(parent), *children):
            pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
            total += pages * os.sysconf("SC_PAGE_SIZE")
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return total / 1e6


if __name__ == "__main__":
    sys.exit(main())
