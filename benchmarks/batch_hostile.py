"""Two hundred hostile documents, and how time grows with length.

    python benchmarks/batch_hostile.py [--size 1000000] [--seconds 20] [--model DIR]

Each document must end as a result or an error row within its limit; the script exits with 1
if one does not. `growth` gives seconds in one process for 1, 2 and 4 times `--size` / 4
characters with the limits of length and segments lifted.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import batch_common as common

LIMIT = 1_000_000_000


def texts(size: int) -> dict[str, str]:
    """Texts that have broken readers of text, each of about `size` characters."""
    return {
        "straight quotes": '"' * size,
        "open quotes": "“" * size,
        "mixed quotes": "“‘\"'«" * (size // 5),
        "brackets": "(" * (size // 2) + ")" * (size // 2),
        "combining marks": "e" + "\u0301" * size,
        "zero width": "a\u200b" * (size // 2),
        "right to left": "\u202eabc \u202c" * (size // 6),
        "nul": "\x00" * size,
        "lone surrogates": "\ud800\udfff" * (size // 2),
        "one-word lines": "word\n" * (size // 5),
        "one line": "word " * (size // 5),
        "one word": "x" * size,
        "stops": "." * size,
        "spaced stops": ". " * (size // 2),
        "abbreviations": "Mr. " * (size // 4),
        "markup": "<div>" * (size // 5),
        "blank": " \n\t" * (size // 3),
        "emoji": "👩‍👩‍👧 " * (size // 6),
    }


def main() -> int:
    """Run everything and print JSON."""
    parser = common.arguments(__doc__)
    parser.add_argument("--size", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--documents", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        model = common.model_of(options.model, folder)
        source, target = folder / "in.jsonl", folder / "out.jsonl"
        count = _write(source, options.size, options.documents)
        line = common.command(source, "-o", target, "-m", model)
        seconds, code = common.timed([*line, "--max-seconds", str(options.seconds)])
        rows = [json.loads(row) for row in target.read_text("utf-8").splitlines()]
        ends = Counter(row["error"]["code"] if row["error"] else "ok" for row in rows)
        print(
            json.dumps(
                {
                    "machine": common.machine(),
                    "documents": count,
                    "rows": len(rows),
                    "exit": code,
                    "seconds": round(seconds, 2),
                    "ends": dict(ends),
                    "growth": _growth(model, options.size // 4),
                },
                indent=1,
            )
        )
    return 0 if len(rows) == count and code in (0, 3) else 1


def _write(path: Path, size: int, documents: int) -> int:
    lines: list[str] = []
    kinds = list(texts(0))
    for number in range(documents - 3):
        length = size * (1 + number // len(kinds)) // (1 + documents // len(kinds))
        lines.append(json.dumps({"text": texts(length)[kinds[number % len(kinds)]]}))
    lines.append('{"text": ' + "[" * 100_000 + "]" * 100_000 + "}")
    lines.append(json.dumps({"text": "word " * 1_000_000}))
    lines.append("x" * 5_000_000)
    path.write_text("".join(line + "\n" for line in lines), "utf-8")
    return len(lines)


def _growth(model: str, size: int) -> dict[str, Any]:
    import framelens

    scorer = framelens.load(model, limits=framelens.Limits(LIMIT, LIMIT, LIMIT))
    found: dict[str, Any] = {}
    for kind in texts(0):
        seconds: list[float] = []
        for factor in (1, 2, 4):
            text = texts(size * factor)[kind]
            begun = time.perf_counter()
            scorer.score(text)
            seconds.append(round(time.perf_counter() - begun, 3))
        found[kind] = {"seconds": seconds, "last_doubling": round(seconds[2] / seconds[1], 2)}
    return found


if __name__ == "__main__":
    sys.exit(main())
