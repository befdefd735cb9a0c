"""Two processes against one with the same global batch, each with several seeds.

    python benchmarks/multi_process.py [--processes 2] [--seeds 2] [--config CONFIG]

One process is run with the token budget of all of them together. The difference between the two
means should lie within the spread over seeds; the script exits with 1 if a figure differs by more
than twice what its seeds differ by, and by more than half a point.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from statistics import mean
from typing import Any

import training_common as common

FIGURES = ("macro_f1", "average_precision", "f1")
SMALLEST = 0.005
"""A difference that is not worth telling from noise."""


def main() -> int:
    """Run everything and print JSON."""
    parser = common.arguments(__doc__)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=2)
    options = parser.parse_args()
    from framelens_training.settings_file import load_config

    config = load_config(options.config, options.overrides)
    tokens = config.training.batch_tokens * options.processes
    ways = {
        f"{options.processes} processes": (options.processes, []),
        "1 process": (1, [f"training.batch_tokens={tokens}"]),
    }
    results: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    with tempfile.TemporaryDirectory(dir=options.folder) as scratch:
        for seed in range(config.seed, config.seed + options.seeds):
            for name, (processes, more) in ways.items():
                folder = Path(scratch) / f"{processes}-{seed}"
                overrides = [*options.overrides, *more, f"seed={seed}"]
                line = common.command(options.config, folder, overrides, processes=processes)
                begun = time.perf_counter()
                if common.start(line, folder / "log").wait() != 0:
                    print((folder / "log").read_text(), file=sys.stderr)
                    return 1
                seconds[name].append(round(time.perf_counter() - begun, 1))
                (run,) = common.recorded(folder)
                results[name].append(_figures(run.data.metrics))
    together, alone = results.values()
    rows = {figure: _row(figure, together, alone) for figure in sorted(together[0])}
    found: dict[str, Any] = {
        "machine": common.machine(),
        "global_batch_tokens": tokens,
        "seconds": seconds,
        "figures": rows,
        "within_noise": all(row["within_noise"] for row in rows.values()),
    }
    print(json.dumps(found, indent=1))
    return 0 if found["within_noise"] else 1


def _figures(metrics: dict[str, float]) -> dict[str, float]:
    return {
        name: value
        for name, value in metrics.items()
        if name.startswith("test/") and name.rpartition("/")[2] in FIGURES
    }


def _row(
    figure: str, together: list[dict[str, float]], alone: list[dict[str, float]]
) -> dict[str, Any]:
    values = [[run[figure] for run in runs] for runs in (together, alone)]
    spread = max(max(group) - min(group) for group in values)
    difference = mean(values[0]) - mean(values[1])
    return {
        "together": [round(value, 4) for value in values[0]],
        "alone": [round(value, 4) for value in values[1]],
        "difference": round(difference, 4),
        "spread_over_seeds": round(spread, 4),
        "within_noise": abs(difference) <= max(2 * spread, SMALLEST),
    }


if __name__ == "__main__":
    sys.exit(main())
