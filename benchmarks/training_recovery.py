"""Kill -9 at random moments of a training run, and a disk that is full when it saves.

    python benchmarks/training_recovery.py [--kills 5] [--config CONFIG] [--set KEY=VALUE ...]

After every kill the run is resumed, to be killed again; the last resumption runs to its end. The
script exits with 1 if its weights, its ONNX graph or a figure that MLflow holds differ from those
of an unbroken run, if a figure is recorded twice, or if a run stays RUNNING. The full disk needs
root, to mount a small tmpfs; elsewhere it is reported as skipped.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import training_common as common
from batch_common import tmpfs

COMPARED = ("checkpoints/checkpoint-*/model.safetensors", "model/model.onnx")


def main() -> int:
    """Run everything and print JSON."""
    parser = common.arguments(__doc__)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=6, help="draws the moments")
    parser.add_argument("--disk-mb", type=int, default=400, help="size of the disk that fills up")
    options = parser.parse_args()
    overrides = ["training.checkpoint_minutes=0.2", *options.overrides]
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        begun = time.perf_counter()
        unbroken = folder / "unbroken"
        process = common.start(
            common.command(options.config, unbroken, overrides), unbroken / "log"
        )
        if process.wait() != 0:
            print((unbroken / "log").read_text(), file=sys.stderr)
            return 1
        seconds = time.perf_counter() - begun
        broken = folder / "broken"
        line = common.command(options.config, broken, overrides)
        kills = list(_kills(line, broken, seconds, options.kills, options.seed))
        found: dict[str, Any] = {
            "machine": common.machine(),
            "unbroken_s": round(seconds, 1),
            "kills": kills,
            **_compared(unbroken, broken),
            "full disk": _full_disk(options.config, folder, overrides, options.disk_mb),
        }
    print(json.dumps(found, indent=1))
    checks = [value for key, value in found.items() if key.startswith("same_")]
    disk = found["full disk"]
    good = found["statuses"] == ["FINISHED"] and disk.get("kept", True)
    return 0 if good and all(checks) else 1


def _kills(
    line: list[str], folder: Path, seconds: float, count: int, seed: int
) -> Iterator[dict[str, Any]]:
    """Kill and resume until it has been done so often, then let the run end."""
    generator = random.Random(seed)
    log = folder / "log"
    resuming = line
    for _ in range(count):
        process = common.start(resuming, log)
        moment = generator.uniform(0.1, 0.6) * seconds
        try:
            code = process.wait(moment)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            yield {"after_s": round(moment, 1), "while": _last_line(log), **_progress(folder)}
            # Killed before it had made its folder, a run has nothing to be resumed from.
            resuming = [*line, "--resume"] if list(folder.glob("runs/*/run.json")) else line
            continue
        yield {"after_s": None, "exit": code, "while": "the run had ended"}
        return
    code = common.start(resuming, log).wait()
    yield {"after_s": None, "exit": code, "while": "let run to its end"}


def _last_line(log: Path) -> str:
    lines = log.read_text().splitlines() or [""]
    return lines[-1].strip()


def _progress(folder: Path) -> dict[str, Any]:
    steps = [
        int(path.parent.name.rpartition("-")[2])
        for path in folder.glob("runs/*/checkpoints/checkpoint-*/files.json")
    ]
    partial = list(folder.glob("runs/*/checkpoints/partial"))
    return {"last_checkpoint": max(steps, default=None), "was_saving": bool(partial)}


def _compared(unbroken: Path, broken: Path) -> dict[str, Any]:
    def content(folder: Path, pattern: str) -> dict[str, bytes]:
        runs = folder / "runs"
        return {
            "/".join(path.relative_to(runs).parts[1:]): path.read_bytes()
            for path in runs.glob(f"*/{pattern}")
        }

    from mlflow import MlflowClient

    figures = []
    for folder in (unbroken, broken):
        client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
        done = [run for run in common.recorded(folder) if run.data.metrics]
        figures.append(
            {
                name: [(p.step, p.value) for p in client.get_metric_history(run.info.run_id, name)]
                for run in done[:1]
                for name in run.data.metrics
            }
        )
    return {
        **{
            f"same_{pattern.rpartition('/')[2]}": bool(content(unbroken, pattern))
            and content(unbroken, pattern) == content(broken, pattern)
            for pattern in COMPARED
        },
        "same_figures": figures[0] == figures[1],
        "figures": len(figures[0]),
        "points": sum(map(len, figures[0].values())),
        "statuses": sorted({run.info.status for run in common.recorded(broken)} - {"KILLED"}),
    }


def _full_disk(config: Path, folder: Path, overrides: list[str], megabytes: int) -> dict[str, Any]:
    with tmpfs(folder, f"size={megabytes}m") as place:
        if place is None:
            return {"skipped": "needs root to mount a tmpfs"}
        work = folder / "full"
        line = common.command(config, work, [*overrides, f"output={place}"])
        code = common.start(line, work / "log").wait()
        kept = list(place.glob("*/checkpoints/checkpoint-*/files.json"))
        return {
            "disk_mb": megabytes,
            "exit": code,
            "says": _last_line(work / "log")[:400],
            "status": [run.info.status for run in common.recorded(work)],
            "kept": code == 1 and bool(kept),
            "left_half_written": bool(list(place.glob("*/checkpoints/partial"))),
        }


if __name__ == "__main__":
    sys.exit(main())
