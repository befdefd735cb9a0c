"""Kill -9 of parent, worker and both at random moments, a full disk, a read-only directory.

    python benchmarks/batch_recovery.py [--moments 10] [--rows 3000] [--model DIR] [--quick]

After each, `--resume` must give the bytes of an unbroken run; the script exits with 1 if it
does not. The last two need root (they mount a small tmpfs); elsewhere they are reported as
skipped.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import batch_common as common

PART_ROWS = 64
SOON = 0.05  # seconds after the start of a process, before which nothing has happened


def main() -> int:
    """Run everything and print JSON."""
    parser = common.arguments(__doc__, quick=True, bundled=False)
    parser.add_argument("--moments", type=int, default=10)
    parser.add_argument("--rows", type=int, default=3000)
    options = parser.parse_args()
    if options.quick:
        options.moments, options.rows = 1, 300
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        model = options.model or str(common.lookup_model(folder / "lookup"))
        source = common.write_jsonl(folder / "in.jsonl", common.articles(options.rows, 12))
        found: dict[str, Any] = {"machine": common.machine(), "rows": options.rows}
        for kind in ("jsonl", "parquet"):
            unbroken = folder / f"unbroken.{kind}"
            seconds, _ = common.timed(_line(source, unbroken, model))
            expected = unbroken.read_bytes()
            for whom in ("parent", "worker", "both"):
                results = found.setdefault(f"kill {whom}, {kind}", [])
                for moment in _moments(options.moments, seconds):
                    target = folder / f"out.{kind}"
                    result = _killed(source, target, model, whom, moment, expected)
                    while not result["in_time"] and moment > SOON:
                        moment /= 2  # this run was faster than the unbroken one
                        result = _killed(source, target, model, whom, moment, expected)
                    results.append(result)
                    print(f"kill {whom}, {kind}: {results[-1]}", file=sys.stderr, flush=True)
        found["full disk"] = _full_disk(source, folder, model)
        found["read-only directory"] = _read_only(source, folder, model)
    print(json.dumps(found, indent=1))
    results = [r for value in found.values() if isinstance(value, list) for r in value]
    results += [found["full disk"], found["read-only directory"]]
    return 0 if all(result.get("equal", True) for result in results) else 1


def _line(source: Path, target: Path, model: str, *more: str) -> list[str]:
    options = ["-o", target, "-m", model, "--part-rows", PART_ROWS, "--workers", 2]
    return common.command(source, *options, *more)


def _moments(count: int, seconds: float) -> list[float]:
    generator = random.Random(6)
    return sorted(round(generator.uniform(SOON, seconds), 3) for _ in range(count))


def _killed(
    source: Path, target: Path, model: str, whom: str, moment: float, expected: bytes
) -> dict[str, Any]:
    process = subprocess.Popen(
        _line(source, target, model), env=common.environment(), stderr=subprocess.PIPE
    )
    time.sleep(moment)
    in_time = process.poll() is None
    workers = _workers(process.pid)
    victims = workers[:1] if whom != "parent" else []
    if whom != "worker":
        victims.append(process.pid)
    for victim in victims:
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
    process.communicate()
    parts = len(list(target.parent.glob(f"{target.name}.partial/part-*")))
    half_written = target.exists() and target.read_bytes() != expected
    if not target.exists():
        # While a dying process still holds the lock, a resumption is refused.
        _, code = common.timed(_line(source, target, model, "--resume"))
    else:
        code = process.returncode
    result = {
        "after_s": round(moment, 3),
        "in_time": in_time,
        "workers_killed": len(victims) - (whom != "worker"),
        "parts_kept": parts,
        "exit": code,
        "equal": not half_written and target.exists() and target.read_bytes() == expected,
    }
    target.unlink(missing_ok=True)
    return result


def _workers(parent: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(f"/proc/{parent}/task").iterdir():
            found += [int(child) for child in (task / "children").read_text().split()]
    kept = []
    for process in found:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if b"run_child" in Path(f"/proc/{process}/cmdline").read_bytes():
                kept.append(process)
    return kept


def _full_disk(source: Path, folder: Path, model: str) -> dict[str, Any]:
    whole = folder / "unbroken.jsonl"
    size = whole.stat().st_size // 2 >> 10
    with common.tmpfs(folder, f"size={size}k") as place:
        if place is None:
            return {"skipped": "needs root to mount a tmpfs"}
        target = place / "out.jsonl"
        failed = _failure(_line(source, target, model))
        names = sorted(path.name for path in place.rglob("*") if path.is_file())
        remount = ["mount", "-o", f"remount,size={size * 8}k", str(place)]
        subprocess.run(remount, check=True)
        _, code = common.timed(_line(source, target, model, "--resume"))
        return {
            **failed,
            "left": len(names),
            "final_name": "out.jsonl" in names,
            "resumed_exit": code,
            "equal": "out.jsonl" not in names and target.read_bytes() == whole.read_bytes(),
        }


def _read_only(source: Path, folder: Path, model: str) -> dict[str, Any]:
    with common.tmpfs(folder, "size=1m,ro") as place:
        if place is None:
            return {"skipped": "needs root to mount a tmpfs"}
        failed = _failure(_line(source, place / "out.jsonl", model))
        return {**failed, "left": len(list(place.iterdir())), "equal": failed["exit"] == 1}


def _failure(line: list[str]) -> dict[str, Any]:
    done = subprocess.run(line, env=common.environment(), capture_output=True, check=False)
    return {"exit": done.returncode, "says": done.stderr.decode().strip().splitlines()[-1]}


if __name__ == "__main__":
    sys.exit(main())
