"""Two hundred hostile documents, and how time grows with length.

    python benchmarks/batch_hostile.py [--size 1000000] [--seconds 20] [--growth 1000000]
                                       [--model DIR] [--quick]

Texts, lines that are no row, and HTML pages of up to `--size` characters, with one line of five
million. Each must end as a result or an error row within its limit; the script exits with 1 if
one does not. `growth` gives processor seconds in one process for texts of 1, 2 and 4 times
`--growth` characters, with a graph of lookups and the limits of length and segments lifted.
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
from hostile_texts import hostile_lines, hostile_texts, html_bombs

LIMIT = 1_000_000_000
LONG_LINE = 5_000_000


def main() -> int:
    """Run everything and print JSON."""
    parser = common.arguments(__doc__, quick=True, bundled=False)
    parser.add_argument("--size", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--documents", type=int, default=200)
    parser.add_argument("--growth", type=int, default=1_000_000, help="0: not measured")
    options = parser.parse_args()
    if options.quick:
        options.size, options.growth, options.documents = 20_000, 10_000, 60
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        lookup = str(common.lookup_model(folder / "lookup"))
        model = options.model or lookup
        inputs = folder / "inputs"
        count = _write(inputs, options.size, options.documents)
        target, summary = folder / "out.jsonl", folder / "summary.json"
        line = common.command(inputs, "-o", target, "-m", model, "--summary", summary)
        seconds, code = common.timed([*line, "--max-seconds", str(options.seconds)])
        rows = [json.loads(row) for row in target.read_text("utf-8").splitlines()]
        found = {
            "machine": common.machine(),
            "documents": count,
            "rows": len(rows),
            "exit": code,
            "seconds": round(seconds, 2),
            "ends": Counter(row["error"]["code"] if row["error"] else "ok" for row in rows),
            "growth": _growth(lookup, options.growth) if options.growth else None,
        }
    print(json.dumps(found, indent=1))
    return 0 if len(rows) == count and code in (0, 3) else 1


def _write(folder: Path, size: int, documents: int) -> int:
    """Write pages and lines, short ones and long ones of each kind; how many there are."""
    folder.mkdir()
    makers = [("text", hostile_texts), ("line", hostile_lines), ("page", html_bombs)]
    kinds = [(what, make, kind) for what, make in makers for kind in make(100)]
    lines: list[str] = [json.dumps({"text": "word " * (LONG_LINE // 5)}), "x" * LONG_LINE]
    pages = 0
    rounds = 1 + (documents - len(lines)) // len(kinds)
    for number in range(documents - len(lines)):
        what, make, kind = kinds[number % len(kinds)]
        content = make(size * (1 + number // len(kinds)) // rounds)[kind]
        if what == "page":
            (folder / f"page-{number:03}.html").write_text(content, "utf-8")
            pages += 1
        else:
            lines.append(content if what == "line" else json.dumps({"text": content}))
    (folder / "rows.jsonl").write_text("".join(line + "\n" for line in lines), "utf-8")
    return len(lines) + pages


def _growth(model: str, size: int) -> dict[str, Any]:
    import framelens

    scorer = framelens.load(model, limits=framelens.Limits(LIMIT, LIMIT, LIMIT))
    found: dict[str, Any] = {}
    for kind in hostile_texts(0):
        seconds: list[float] = []
        for factor in (1, 2, 4):
            text = hostile_texts(size * factor)[kind]
            begun = time.process_time()
            scorer.score(text)
            seconds.append(round(time.process_time() - begun, 3))
        found[kind] = {
            "seconds": seconds,
            "last_doubling": round(seconds[2] / max(seconds[1], 1e-3), 2),
        }
        print(f"{kind}: {found[kind]}", file=sys.stderr, flush=True)
    return found


if __name__ == "__main__":
    sys.exit(main())
