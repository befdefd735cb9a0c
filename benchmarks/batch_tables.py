"""Markdown tables of the figures of batch scoring, from the JSON of its benchmarks.

    python benchmarks/batch_tables.py build/bench > tables.md

Reads `throughput*.json`, `profile*.json`, `session_options*.json`, `cold_start*.json`,
`memory*.json`, `recovery*.json` and `hostile*.json` of the folder, as `make bench` writes them;
a file that is not there gives no table.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

Found = dict[str, Any]


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """A Markdown table; None becomes an empty cell."""
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join("" if c is None else str(c) for c in row) + " |" for row in lines]


def throughput(found: Found) -> list[str]:
    """Systems on articles and sentences."""
    lines: list[str] = [
        f"{found['model']} {found['version']} ({found['precision']}){_deferral(found)}, "
        f"pipeline's: {found['pipeline_model']}, {found['pipeline_weights']}. "
        "Peak of sgemm, GFLOP/s by threads: "
        + ", ".join(f"{threads}: {peak}" for threads, peak in found["sgemm_gflops"].items())
    ]
    for unit in ("articles", "sentences"):
        part = found[unit]
        lines += [
            "",
            f"{part['documents']} {unit} of {part['corpus']}: {part['segments']} segments, "
            f"{part['tokens']} tokens; {part['deferred']} {unit} deferred.",
            f"framelens over pipeline: **{part['framelens_over_pipeline']}**, "
            f"{part['framelens_over_started_pipeline']} if its start "
            f"({part['pipeline_start_s']} s) counts as ours does; "
            f"all cores over one worker: {part['two_workers_over_one']}; "
            f"share of ONNX Runtime alone: {part['share_of_onnxruntime_alone']}; "
            f"equal labels: {part['equal_labels']} ({part['equal_labels_note']}).",
            "",
            *table(
                ("", "s", "documents/s", "segments/s", "tokens/s", "share of sgemm's peak"),
                (
                    (
                        name,
                        row["median_s"],
                        row["documents_per_second"],
                        row["segments_per_second"],
                        row.get("tokens_per_second"),
                        row.get("share_of_sgemm_peak"),
                    )
                    for name, row in part["systems"].items()
                ),
            ),
        ]
    return lines


def _deferral(found: Found) -> str:
    """The second model, if there is one."""
    second = found["deferral"]
    if second is None:
        return ""
    model = second["model"]
    return f", deferring to {model['name']} {model['version']} within {second['within']}"


def profile(found: Found) -> list[str]:
    """Shares of the stages."""
    units = ("articles", "sentences")
    stages = found["articles"]["shares"]
    return table(
        ("share of time", *units),
        ((stage, *(f"{found[unit]['shares'][stage]:.1%}" for unit in units)) for stage in stages),
    )


def session_options(found: Found) -> list[str]:
    """Variants against what framelens does."""
    units = ("articles", "sentences")
    variants = found["articles"]["variants"]
    return table(
        ("", *(f"speed, {unit}" for unit in units), "largest difference", "s to open"),
        (
            (
                name,
                *(found[unit]["variants"][name]["speed"] for unit in units),
                f"{max(found[unit]['variants'][name]['difference'] for unit in units):.2g}",
                found["seconds_to_open"][name],
            )
            for name in variants
        ),
    )


def cold_start(found: Found) -> list[str]:
    """Medians beside their limits."""
    measured = {**found["medians"], **{k: v for k, v in found.items() if k.endswith("_mb")}}
    return table(
        ("", "median", "at most"),
        ((name, value, found["limits"].get(name)) for name, value in measured.items()),
    )


def memory(found: Found) -> list[str]:
    """Resident memory by format."""
    rows = [
        (kind, name, row["mb_at_10_percent"], row["mb_at_100_percent"], f"{row['growth']:+.1%}")
        for kind in ("distinct", "duplicates")
        for name, row in found.get(kind, {}).items()
    ]
    head = ("texts", f"{found['rows']} rows", "MB at 10 %", "MB at 100 %", "growth")
    return table(head, rows)


def recovery(found: Found) -> list[str]:
    """Kills, and what came of them."""
    kills = {name: value for name, value in found.items() if isinstance(value, list)}
    lines = table(
        ("", "moments", "equal to an unbroken run", "parts kept"),
        (
            (
                name,
                len(results),
                sum(result["equal"] for result in results),
                f"{min(r['parts_kept'] for r in results)} to "
                f"{max(r['parts_kept'] for r in results)}",
            )
            for name, results in kills.items()
        ),
    )
    for name in ("full disk", "read-only directory"):
        lines += ["", f"{name}: {found[name]}"]
    return lines


def hostile(found: Found) -> list[str]:
    """How the documents end, and the slowest growth."""
    ends = ", ".join(f"{code} {count}" for code, count in found["ends"].items())
    lines = [f"{found['documents']} documents in {found['seconds']} s: {ends}"]
    if found["growth"]:
        head = ("processor seconds for", "1", "2", "4 times the length", "last doubling")
        rows = ((k, *g["seconds"], g["last_doubling"]) for k, g in found["growth"].items())
        lines += ["", *table(head, rows)]
    return lines


TABLES: dict[str, Callable[[Found], list[str]]] = {
    "throughput": throughput,
    "profile": profile,
    "session_options": session_options,
    "cold_start": cold_start,
    "memory": memory,
    "recovery": recovery,
    "hostile": hostile,
}


def main() -> int:
    """Print a section for each file."""
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    for name, render in TABLES.items():
        for path in sorted(Path(sys.argv[1]).glob(f"{name}*.json")):
            found = json.loads(path.read_text("utf-8"))
            machine = ", ".join(f"{key} {value}" for key, value in found["machine"].items())
            print(f"\n#### {path.stem}\n")
            print("\n".join(render(found)))
            print(f"\n({machine})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
