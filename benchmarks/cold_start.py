"""Cold start, memory and size: what one call of framelens costs before it has done anything.

    python benchmarks/cold_start.py [--runs 9] [--model DIR] [--no-size] [--quick]

Each run starts four new processes, in turn: scoring one article of PolNeAR's length, from exec
to exit; `import framelens`; Python alone; and scoring again under a parent that asks for the
highest resident memory. Processor seconds stand beside, for a machine that does other things
too. `installed_mb` is the wheel's content in an empty folder, without
dependencies and without compiled files, the bundled models beside it.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import batch_common as common

LIMITS = {"score_one_s": 0.8, "import_s": 0.15, "peak_mb": 260.0, "installed_mb": 28.0}
SENTENCES = 30
_PEAK = (
    "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True);"
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
)


def main() -> int:
    """Run everything and print JSON."""
    parser = common.arguments(__doc__, runs=9, quick=True)
    parser.add_argument("--no-size", action="store_true", help="do not build the wheel")
    options = parser.parse_args()
    runs = 2 if options.quick else options.runs
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        model = common.model_of(options.model, folder)
        article = common.write_jsonl(folder / "one.jsonl", common.articles(1, SENTENCES))
        line = common.command(article, "-o", folder / "one.out.jsonl", "-m", model)
        peaks: list[float] = []

        def peak() -> float:
            peaks.append(_peak_mb(line))
            return peaks[-1]

        cpu: dict[str, list[float]] = {}
        lines = {
            "score_one_s": line,
            "import_s": [sys.executable, "-c", "import framelens"],
            "python_alone_s": [sys.executable, "-c", ""],
        }
        systems = {name: _timed(name, what, cpu) for name, what in lines.items()}
        seconds = common.alternated({**systems, "peak_mb": peak}, runs)
        medians = {name: round(statistics.median(found), 3) for name, found in seconds.items()}
        found: dict[str, Any] = {
            "machine": common.machine(),
            "model": Path(model).name,
            "runs": runs,
            "medians": medians,
            "processor": {n: round(statistics.median(found), 3) for n, found in cpu.items()},
            "all": {name: [round(v, 3) for v in values] for name, values in seconds.items()},
        }
        if not (options.no_size or options.quick):
            found |= _size(folder)
    found["limits"] = LIMITS
    print(json.dumps(found, indent=1))
    return 0


def _timed(name: str, line: list[str], cpu: dict[str, list[float]]) -> Callable[[], float]:
    """A function that runs a command, notes its processor seconds, and returns its seconds."""

    def run() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds = common.completed(line)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        cpu.setdefault(name, []).append(used)
        return seconds

    return run


def _peak_mb(line: list[str]) -> float:
    done = subprocess.run(
        [sys.executable, "-c", _PEAK, *line],
        env=common.environment(),
        capture_output=True,
        check=True,
    )
    return round(int(done.stdout) / 1024, 1)  # Linux counts in KiB


def _size(folder: Path) -> dict[str, Any]:
    """Megabytes of the wheel and of what it installs, and of the models among that."""
    wheels, target = folder / "wheels", folder / "installed"
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    source = str(common.ROOT / "inference")
    subprocess.run([*pip, "wheel", "--no-deps", "-w", str(wheels), source], check=True)
    wheel = next(wheels.glob("framelens-*.whl"))
    install = [*pip, "install", "--no-deps", "--no-compile", "--target", str(target), str(wheel)]
    subprocess.run(install, check=True)
    files = [path for path in target.rglob("*") if path.is_file()]
    models = [path for path in files if "models" in path.relative_to(target).parts]
    return {
        "wheel_mb": round(wheel.stat().st_size / 1e6, 2),
        "installed_mb": round(sum(path.stat().st_size for path in files) / 1e6, 2),
        "models_mb": round(sum(path.stat().st_size for path in models) / 1e6, 2),
    }


if __name__ == "__main__":
    sys.exit(main())
