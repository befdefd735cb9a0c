"""A report of 1,000 scored articles: how long it takes, how large it is, how it responds.

    python benchmarks/report_index.py [--articles 1000] [--no-browser]

The rows are synthetic, with labels, spans and headline checks like those of real articles;
scoring is not part of the time. The browser figures need the extra `browser` and Chromium:
seconds from a key or a click until the next frame is drawn, the slowest of ten. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from batch_common import environment, machine, sentence

LABELS = ("sourced", "sourced", "sourced", "framed", "plain", "plain", "boilerplate")
OUTCOMES = ("kept", "kept", "weakened", "dropped", "none_needed", None)
BROWSERS = ("chromium-headless-shell", "chromium", "google-chrome")
SENTENCES = 30


def scored_rows(count: int) -> Iterator[dict[str, Any]]:
    """Rows as `framelens score --keep` writes them."""
    generator = random.Random(7)
    model = {"name": "synthetic", "version": "1.0.0", "sha256": "0" * 64}
    for number in range(count):
        segments, at = [], 0
        for index in range(max(4, round(generator.gauss(SENTENCES, SENTENCES / 4)))):
            segments.append(_segment(index, at, generator))
            at = segments[-1]["end"] + (1 if generator.random() < 0.6 else 2)
        labels = [s["label"] for s in segments if s["label"] != "boilerplate"]
        shares = {
            n: round(labels.count(n) / len(labels), 4) for n in ("sourced", "framed", "plain")
        }
        yield {
            "schema": 1,
            "id": f"a{number}",
            "status": "ok",
            "error": None,
            "model": model,
            "segments": segments,
            "summary": {"segments": len(segments), **shares, "sources": 5},
            "headline_check": _check(generator),
            "input": {
                "outlet": f"Outlet {generator.randrange(12)}",
                "date": f"2024-{generator.randrange(1, 13):02}-{generator.randrange(1, 29):02}",
            },
        }


def _segment(index: int, start: int, generator: random.Random) -> dict[str, Any]:
    text = sentence(generator)
    headline = index == 0
    label = generator.choice(LABELS)
    first = start if not headline else 0
    words = text.split()
    spans = []
    if label == "sourced":
        ends = [len(words[0]), len(f"{words[0]} {words[1]}")]
        places = (
            ("source", 0, ends[0]),
            ("cue", ends[0] + 1, ends[1]),
            ("content", ends[1] + 1, len(text) - 1),
        )
        spans = [_span(kind, first, a, b, text) for kind, a, b in places]
    elif label == "framed":
        spans = [_span("loaded", first, 0, len(words[0]), text)]
    return {
        "index": index,
        "role": "headline" if headline else "body",
        "field": "headline" if headline else "text",
        "start": first,
        "end": first + len(text),
        "text": text,
        "label": label,
        "uncertain": generator.random() < 0.1,
        "scores": {"attributed": 0.5, "framed": 0.2, "boilerplate": 0.1},
        "spans": spans,
    }


def _span(kind: str, first: int, start: int, end: int, text: str) -> dict[str, Any]:
    place = {"start": first + start, "end": first + end}
    return {"type": kind, **place, "text": text[start:end], "score": 0.9}


def _check(generator: random.Random) -> dict[str, Any]:
    found = generator.choice(OUTCOMES)
    return {
        "outcome": "supported" if found else "unsupported",
        "segment": 1 if found else None,
        "score": 0.7,
        "attributed": found in ("kept", "weakened", "dropped"),
        "source": None,
        "cue": None,
        "attribution": found,
        "dropped_score": 0.8 if found == "dropped" else None,
        "own_wording": [],
    }


def make(source: Path, target: Path) -> dict[str, Any]:
    """Write the report with the command line; seconds, memory, sizes."""
    command = [sys.executable, "-m", "framelens.cli", "report", str(source), "-o", f"{target}/"]
    begun = time.perf_counter()
    subprocess.run([*command, "--quiet"], env=environment(), check=True)
    seconds = time.perf_counter() - begun
    pages = [path.stat().st_size for path in (target / "articles").iterdir()]
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "seconds": round(seconds, 2),
        "cpu_seconds": round(used.ru_utime + used.ru_stime, 2),
        "peak_memory_mb": round(used.ru_maxrss / 1024, 1),
        "pages": len(pages),
        "page_kb_median": round(statistics.median(pages) / 1000, 1),
        "index_kb": round((target / "index.html").stat().st_size / 1000, 1),
        "dashboard_kb": round((target / "dashboard.html").stat().st_size / 1000, 1),
    }


_TIMED = """async ([kind, value]) => {
  const search = document.getElementById("search");
  const times = [];
  for (let round = 0; round < 10; round += 1) {
    const begun = performance.now();
    if (kind === "search") {
      search.value = round % 2 ? "" : value;
      search.dispatchEvent(new Event("input", { bubbles: true }));
    } else if (kind === "sort") {
      document.querySelectorAll("#list thead button")[value].click();
    } else {
      const select = document.getElementById("outlet");
      select.selectedIndex = round % 3;
      select.dispatchEvent(new Event("input", { bubbles: true }));
    }
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0)));
    times.push(performance.now() - begun);
  }
  return Math.max(...times) / 1000;
}"""


def respond(index: Path) -> dict[str, Any]:
    """How long the index takes to load, and to answer."""
    from playwright.sync_api import sync_playwright

    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program)
        page = browser.new_page()
        begun = time.perf_counter()
        page.goto(index.as_uri())
        loaded = time.perf_counter() - begun
        actions = {"search": ["search", "plan road"], "sort_text": ["sort", 0]}
        actions |= {"sort_number": ["sort", 4], "filter": ["filter", 0]}
        found = {name: page.evaluate(_TIMED, action) for name, action in actions.items()}
        browser.close()
    return {"load": round(loaded, 3), **{name: round(s, 3) for name, s in found.items()}}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--articles", type=int, default=1000)
    parser.add_argument("--no-browser", action="store_true", help="leave the browser out")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        source, target = Path(name) / "scored.jsonl", Path(name) / "report"
        with source.open("w", encoding="utf-8") as stream:
            for row in scored_rows(options.articles):
                stream.write(json.dumps(row) + "\n")
        result: dict[str, Any] = {"articles": options.articles, "report": make(source, target)}
        if not options.no_browser:
            result["browser_seconds"] = respond(target / "index.html")
    print(json.dumps({**result, "machine": machine()}, indent=1))


if __name__ == "__main__":
    main()
