"""Compare MinHash libraries on the segments of the corpora; prints JSON.

    python benchmarks/near_duplicates.py CORPORA_ROOT

Each library sketches every distinct segment of six words or more (128 permutations), finds
candidates, and the candidates are verified by exact Jaccard index as `near_duplicates` does.
A library that is not installed is left out. `pairs` are those at .8 or more; `missed` are
those that another library found.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from framelens_training.corpora.comparisons import MIN_WORDS
from framelens_training.corpora.inputs import read_inputs
from framelens_training.corpora.near_duplicates import SIMILARITY, jaccard, shingles
from framelens_training.corpora.reading import wording

Pairs = set[tuple[int, int]]
_PERMUTATIONS, _BANDS, _SEED = 128, 32, 13


def with_rensa(texts: Sequence[str]) -> Pairs:
    """Candidates of rensa."""
    import rensa

    sketches: list[object] = []
    for start in range(0, len(texts), 1000):
        batch = [list(shingles(text)) for text in texts[start : start + 1000]]
        sketches += rensa.RMinHash.from_token_sets(batch, _PERMUTATIONS, _SEED)
    index = rensa.RMinHashLSH(SIMILARITY, _PERMUTATIONS, _BANDS)
    index.insert_many(sketches)
    found = enumerate(index.query_all(sketches))
    return {(first, second) for first, row in found for second in row if first < second}


def with_datasketch(texts: Sequence[str]) -> Pairs:
    """Candidates of datasketch, with the same bands."""
    from datasketch import MinHash, MinHashLSH

    rows = _PERMUTATIONS // _BANDS
    index = MinHashLSH(num_perm=_PERMUTATIONS, params=(_BANDS, rows))
    pairs: Pairs = set()
    for number, text in enumerate(texts):
        sketch = MinHash(num_perm=_PERMUTATIONS, seed=_SEED)
        sketch.update_batch([shingle.encode() for shingle in shingles(text)])
        pairs |= {(other, number) for other in index.query(sketch)}
        index.insert(number, sketch)
    return pairs


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path)
    root = parser.parse_args().root
    texts = sorted({
        text
        for part in read_inputs([], root)
        for item in part.located
        for segment in item.document.segments
        if (text := wording(item.document.segment_text(segment))).count(" ") + 1 >= MIN_WORDS
    })  # fmt: skip
    ways: dict[str, Callable[[Sequence[str]], Pairs]] = {
        "rensa": with_rensa,
        "datasketch": with_datasketch,
    }
    found: dict[str, Pairs] = {}
    result: dict[str, object] = {"texts": len(texts)}
    for name, way in ways.items():
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        start = time.perf_counter()
        candidates = way(texts)
        seconds = time.perf_counter() - start
        found[name] = {
            (a, b)
            for a, b in candidates
            if jaccard(shingles(texts[a]), shingles(texts[b])) >= SIMILARITY
        }
        result[name] = {
            "version": version,
            "seconds": round(seconds, 1),
            "candidates": len(candidates),
            "pairs": len(found[name]),
        }
    everything = set().union(*found.values())
    result["missed"] = {name: len(everything - pairs) for name, pairs in found.items()}
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
