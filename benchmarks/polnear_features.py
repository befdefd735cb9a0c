"""Read, segment and featurize PolNeAR's training split: from nothing, and from the caches.

usage: taskset -c 0 python benchmarks/polnear_features.py CORPORA_ROOT

Prints JSON: seconds and peak memory of each, in a process of its own.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def measure(root: Path, cache: Path) -> dict[str, object]:
    """One reading; imports and the encoder's weights are not counted."""
    from framelens_training.config import Windows
    from framelens_training.corpora.labelled import digest
    from framelens_training.corpora.registry import corpus
    from framelens_training.corpora.store import open_corpus
    from framelens_training.encoder import load_encoder
    from framelens_training.feature_store import featurize_corpus

    featurizer = load_encoder("minilm-l6").featurizer(Windows())
    start = time.perf_counter()
    stored = open_corpus(corpus("polnear"), root, cache / "corpora")
    documents = list(stored.documents("train"))
    read = time.perf_counter()
    items = featurize_corpus(documents, digest(documents), featurizer, cache / "features")
    end = time.perf_counter()
    return {
        "cached": stored.cached,
        "seconds": round(end - start, 2),
        "of that reading and segmenting": round(read - start, 2),
        "segments": sum(len(item.targets) for item in items),
        "tokens": sum(len(s.ids) for item in items for s in item.features.segments),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def main(root: str) -> None:
    """Measure twice with one cache."""
    with tempfile.TemporaryDirectory() as cache:
        report = {}
        for name in ("from nothing", "from the cache"):
            command = [sys.executable, __file__, root, cache]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            report[name] = json.loads(done.stdout)
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    if len(sys.argv) == 3:
        print(json.dumps(measure(Path(sys.argv[1]), Path(sys.argv[2]))))
    else:
        main(sys.argv[1])
