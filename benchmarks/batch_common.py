"""What the benchmarks of batch scoring share: a model, synthetic rows, running the command."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
WORDS = (
    "the a of to in and was were said asked mayor minister council report road plan budget river "
    "harbour wall school bridge vote week year people work money yesterday again new closed open "
    "shameful bold slow cautious costly late over under after before because although"
)


def arguments(description: str | None) -> argparse.ArgumentParser:
    """A parser with the options that all of these benchmarks have."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--model", help="default: the bundled one, else a graph of lookups")
    parser.add_argument("--folder", type=Path, help="where to work; default: a temporary one")
    return parser


def model_of(name: str | None, folder: Path) -> str:
    """The model to use: the one named, the bundled one, or the tests' graph of lookups."""
    from framelens.artifact import BUNDLED, DEFAULT_MODEL

    if name is not None:
        return str(Path(name).resolve())
    if (BUNDLED / DEFAULT_MODEL).is_dir():
        return DEFAULT_MODEL
    sys.path.append(str(ROOT / "tests"))
    support = importlib.import_module("support")
    return str(support.write_model(folder / "lookup"))


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
