"""Measure reading every corpus, first from its files and then from the cache; prints JSON.

    python benchmarks/corpora.py CORPORA_ROOT

Each reading is a process of its own, so that the peak of its memory is its own. The documents
of the second are iterated over as the datasets give them, memory-mapped.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def read(root: Path, cache: Path) -> dict[str, object]:
    """Open every corpus and go through every document."""
    from framelens_training.corpora.registry import CORPORA
    from framelens_training.corpora.store import open_corpus

    start = time.perf_counter()
    segments = 0
    cached = []
    for reader in CORPORA.values():
        stored = open_corpus(reader, root, cache)
        cached.append(stored.cached)
        for split in stored.datasets:
            segments += sum(len(document.segments) for document in stored.documents(split))
    return {
        "cached": all(cached),
        "seconds": round(time.perf_counter() - start, 1),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "segments": segments,
    }


def main() -> None:
    """Read twice and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path)
    parser.add_argument("--cache", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.cache is not None:
        print(json.dumps(read(options.root, options.cache)))
        return
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, str(options.root), "--cache", folder]
        runs = [
            json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
            for _ in range(2)
        ]
    print(json.dumps({"from files": runs[0], "from the cache": runs[1]}, indent=1))


if __name__ == "__main__":
    main()
