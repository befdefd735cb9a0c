"""What the benchmarks of batch scoring share: a model, synthetic rows, running the command."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "tests"))  # the graph of lookups and the hostile texts live there
WORDS = (
    "the a of to in and was were said asked mayor minister council report road plan budget river "
    "harbour wall school bridge vote week year people work money yesterday again new closed open "
    "shameful bold slow cautious costly late over under after before because although"
)


def arguments(
    description: str | None, *, runs: int | None = None, quick: bool = False, bundled: bool = True
) -> argparse.ArgumentParser:
    """A parser with the options that these benchmarks share.

    `bundled` says which model is the default: the bundled one, or the graph of lookups, where
    what surrounds the model is measured.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = "the bundled one, else a graph of lookups" if bundled else "a graph of lookups"
    parser.add_argument("--model", help=f"default: {default}")
    parser.add_argument("--folder", type=Path, help="where to work; default: a temporary one")
    if runs is not None:
        parser.add_argument("--runs", type=int, default=runs, help="paired repetitions")
    if quick:
        parser.add_argument("--quick", action="store_true", help="little of everything, once")
    return parser


def model_of(name: str | None, folder: Path) -> str:
    """The model to use: the one named, the bundled one, or the tests' graph of lookups."""
    from framelens.artifact import BUNDLED, DEFAULT_MODEL

    if name is not None:
        return str(Path(name).resolve())
    if (BUNDLED / DEFAULT_MODEL).is_dir():
        return DEFAULT_MODEL
    return str(lookup_model(folder / "lookup"))


def lookup_model(folder: Path) -> Path:
    """The tests' graph of lookups, which takes no time."""
    support = importlib.import_module("support")
    return Path(support.write_model(folder))


def sentence(generator: random.Random) -> str:
    """A string of words with the shape of a sentence."""
    words = generator.choices(WORDS.split(), k=generator.randint(8, 30))
    return " ".join(words).capitalize() + "."


def articles(count: int, sentences: int, seed: int = 1) -> Iterator[dict[str, Any]]:
    """Synthetic articles, all different, of about `sentences` sentences."""
    generator = random.Random(seed)
    for number in range(count):
        length = max(1, round(generator.gauss(sentences, sentences / 4)))
        paragraphs = [
            " ".join(sentence(generator) for _ in range(min(3, length - at)))
            for at in range(0, length, 3)
        ]
        yield {"id": f"a{number}", "headline": None, "text": "\n\n".join(paragraphs)}


def write_jsonl(path: Path, rows: Iterator[dict[str, Any]]) -> Path:
    """Write rows, one a line."""
    with path.open("w", encoding="utf-8") as stream:
        for row in rows:
            stream.write(json.dumps(row) + "\n")
    return path


def command(*options: object) -> list[str]:
    """The command line of `framelens score`, run with this interpreter."""
    return [sys.executable, "-m", "framelens.cli", "score", *map(str, options), "--quiet"]


def environment() -> dict[str, str]:
    """Environment in which the command finds this checkout's package."""
    return {**os.environ, "PYTHONPATH": str(ROOT / "inference")}


def timed(line: list[str]) -> tuple[float, int]:
    """Run a command to its end: seconds from exec to exit, and its exit code."""
    begun = time.perf_counter()
    done = subprocess.run(line, env=environment(), stdout=subprocess.DEVNULL, check=False)
    return time.perf_counter() - begun, done.returncode


def completed(line: list[str]) -> float:
    """Run a command that has to succeed: seconds from exec to exit."""
    seconds, code = timed(line)
    if code:
        raise SystemExit(f"{' '.join(line[:5])} ... ended with {code}")
    return seconds


def alternated(systems: Mapping[str, Callable[[], float]], runs: int) -> dict[str, list[float]]:
    """Seconds of each system in each run: one after another, every other run the other way round.

    So what else the machine does meets them all.
    """
    seconds: dict[str, list[float]] = {name: [] for name in systems}
    order = list(systems)
    for run in range(runs):
        for name in order if run % 2 == 0 else reversed(order):
            seconds[name].append(systems[name]())
        print(f"run {run + 1} of {runs}", file=sys.stderr, flush=True)
    return seconds


def paired_ratio(slower: Sequence[float], faster: Sequence[float]) -> float:
    """The median over the runs of how many times the second is as fast as the first."""
    return round(statistics.median(a / b for a, b in zip(slower, faster, strict=True)), 3)


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    import platform

    import onnxruntime

    return {
        "cores": len(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "onnxruntime": onnxruntime.__version__,
    }


@contextlib.contextmanager
def tmpfs(folder: Path, options: str) -> Iterator[Path | None]:
    """A small file system in memory, mounted with these options; None for who may not mount."""
    place = folder / "tmpfs"
    place.mkdir()
    line = ["mount", "-t", "tmpfs", "-o", options, "framelens", str(place)]
    mounted = os.geteuid() == 0 and subprocess.run(line, capture_output=True).returncode == 0
    try:
        yield place if mounted else None
    finally:
        if mounted:
            subprocess.run(["umount", str(place)], check=True)
        place.rmdir()
