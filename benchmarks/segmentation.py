"""Measure sentence splitting against CoreNLP's boundaries, beside libraries; prints JSON.

    python benchmarks/segmentation.py CORPORA_ROOT

Needs `polnear/` under the corpora root. Libraries that are not installed are left out.

The reference comes from `polnear/cofenet_valid.jsonl`, the development split of PolNeAR as
CoreNLP tokenised it. Its lines hold whole paragraphs, so the sentence ends are told from the
tokens by CoreNLP's own rule: a token `.` or a run of `!` and `?` ends a sentence, and closing
quotation marks and brackets after it still belong to it. (CoreNLP's tokeniser has already
decided which full stops belong to abbreviations.) Tokens and article are aligned by their
letters and digits. Only boundaries inside a line of the article count: a line break ends a
sentence for every system.

`all` scores every boundary. `comparable` leaves out, for every system alike, the places where
framelens deliberately differs from CoreNLP: before a lower-case word (`"Will it hold?" | she
asked.`, `(R-Wis. | ) said`), after an abbreviation in brackets, and before a dash that signs
a quotation.
"""

from __future__ import annotations

import argparse
import importlib
import json
import multiprocessing
import re
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any
from unittest import mock

from framelens import sentences
from framelens.segmentation import segment_article, split_sentences

Splitter = Callable[[str], list[int]]
"""Text to the offsets, in code points, where its sentences end."""

MEGABYTE = 1_000_000
TIME_LIMIT = 20.0
"""Seconds after which a library's run on a hostile input is stopped."""

_ENDS = re.compile(r"[.。]|[!?！？]+")
_BRACKETS = {"-LRB-", "-RRB-", "-LSB-", "-RSB-", "-LCB-", "-RCB-"}
_FOLLOWERS = {"''", "'", '"', "”", "’", "»", ")", "]", "}", "-RRB-", "-RSB-", "-RCB-"}
_DELIBERATE = re.compile(
    r"[.!?…\"'”’)\]]*\s*[\"'“‘(,;]*[a-z]|[.!?]*[\"'”’)\]]{1,3}\s*[―—–-]|[.!?…]*\),"
)
_LINE = re.compile(r"[^\n]+")

HOSTILE = {
    "straight quotation marks": '"',
    "opening quotation marks": "“",
    "quotation marks and stops": ".\"' ",
    "brackets": "(",
    "question and exclamation marks": "?!",
    "full stops": ". ",
    "combining marks": "\u0301",
    "zero-width spaces": "\u200b",
    "initials": "J. ",
    "one-word lines": "word\n",
    "one line without a full stop": "word ",
    "hard-wrapped lines": "the council met on monday to close the harbour wall and then went on\n",
    "news": 'The council met on Monday. "Will it hold?" she asked. It voted 4-3 to close it.\n',
}


@dataclass(frozen=True, slots=True)
class Article:
    """A text and the reference boundaries, as counts of letters and digits before them."""

    text: str
    counts: list[int]
    """For each offset, how many letters and digits come before it."""
    ends: set[int]


def read_reference(root: Path) -> tuple[list[Article], int]:
    """Articles whose tokens agree with their text, and how many do not."""
    tokens: dict[str, list[list[str]]] = {}
    with (root / "polnear/cofenet_valid.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            tokens.setdefault(row["id"], []).append(row["tokens"])
    articles: dict[str, Article] = {}
    unaligned: set[str] = set()
    for key, paragraphs in tokens.items():
        name = key.rpartition("_")[0]  # what follows names an annotator
        if name in articles or name in unaligned:
            continue
        path = root / "polnear/data/dev/text" / f"{name}.txt"
        text = path.read_bytes().decode("utf-8").replace("\r\n", "\n")
        parts = [_letters(s) for p in paragraphs for s in _corenlp_sentences(p)]
        if "".join(parts) != _letters([text]):
            unaligned.add(name)
            continue
        counts, ends, total = [0], set(), 0
        for character in text:
            counts.append(counts[-1] + len(_letters([character])))
        for part in parts:
            total += len(part)
            ends.add(total)
        articles[name] = Article(text, counts, ends)
    return list(articles.values()), len(unaligned)


def _corenlp_sentences(tokens: Iterable[str]) -> list[list[str]]:
    result: list[list[str]] = [[]]
    ended = False
    for token in tokens:
        if ended and token not in _FOLLOWERS and not _ENDS.fullmatch(token):
            result.append([])
            ended = False
        result[-1].append(token)
        ended = ended or _ENDS.fullmatch(token) is not None
    return result


def _letters(tokens: Iterable[str]) -> str:
    kept = (token for token in tokens if token not in _BRACKETS and token != "<tweet/>")
    return "".join(c for token in kept for c in token if c.isalnum())


def score(splitter: Splitter, articles: list[Article], *, comparable: bool) -> dict[str, Any]:
    """Precision, recall and F1 of the boundaries inside lines."""
    right = wrong = missed = 0
    for article in articles:
        found, outside = set(), {0, article.counts[-1]}
        for line in _LINE.finditer(article.text):
            outside.add(article.counts[line.start()])
            outside.add(article.counts[line.end()])
            for end in splitter(line.group()):
                found.add(article.counts[min(line.start() + end, line.end())])
        if comparable:
            outside |= {
                place
                for place in found | article.ends
                if _DELIBERATE.match(article.text, bisect_left(article.counts, place))
            }
        expected, found = article.ends - outside, found - outside
        right += len(found & expected)
        wrong += len(found - expected)
        missed += len(expected - found)
    precision, recall = right / max(1, right + wrong), right / max(1, right + missed)
    return {
        "precision": round(precision, 4),
        "recall": round(recall, 4),
        "f1": round(2 * precision * recall / max(1e-9, precision + recall), 4),
        "right": right,
        "wrong": wrong,
        "missed": missed,
    }


def _framelens(text: str) -> list[int]:
    return [end for _, end in split_sentences(text)]


def _nupunkt(text: str) -> list[int]:
    library = importlib.import_module("nupunkt")
    return [end for _, end in library.sent_spans(text)]


def _sentencex(text: str) -> list[int]:
    library = importlib.import_module("sentencex")
    return [row["end_index"] for row in library.get_sentence_boundaries("en", text)]


def _syntok(text: str) -> list[int]:
    library = importlib.import_module("syntok.segmenter")
    found = (sentence for paragraph in library.analyze(text) for sentence in paragraph)
    return [tokens[-1].offset + len(tokens[-1].value) for tokens in found if tokens]


def _pysbd(text: str) -> list[int]:
    library = importlib.import_module("pysbd")
    segmenter = library.Segmenter(language="en", clean=False, char_span=True)
    return [span.end for span in segmenter.segment(text)]


LIBRARIES: dict[str, Splitter] = {
    "nupunkt": _nupunkt,
    "sentencex": _sentencex,
    "syntok": _syntok,
    "pysbd": _pysbd,
}


def layered(library: Splitter) -> Splitter:
    """The rules of framelens for quotations, with the library's word on every single full stop."""

    def split(text: str) -> list[int]:
        ends = {len(text[:end].rstrip()) for end in library(text)}

        def full_stop_ends(_text: str, _start: int, stop: int, marks: str, *_: object) -> bool:
            return any(stop + length in ends for length in range(1, len(marks) + 1))

        with mock.patch.object(sentences, "_full_stop_ends", full_stop_ends):
            return _framelens(text)

    return split


def speed(splitter: Splitter, articles: list[Article]) -> int:
    """Characters a second over the articles' lines, the best of three runs."""
    lines = [line.group() for a in articles for line in _LINE.finditer(a.text)]
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        for line in lines:
            splitter(line)
        best = min(best, time.perf_counter() - start)
    return round(sum(map(len, lines)) / best)


def _hostile(unit: str, size: int) -> str:
    return (unit * (size // len(unit) + 1))[:size]


def seconds_of_framelens(unit: str) -> dict[str, float]:
    """Seconds of `segment_article` on 1, 2 and 4 million code points."""
    result = {}
    for millions in (1, 2, 4):
        text = _hostile(unit, millions * MEGABYTE)
        start = time.perf_counter()
        segment_article(text)
        result[f"{millions} MB"] = round(time.perf_counter() - start, 2)
    return result


def seconds_of_library(splitter: Splitter, unit: str) -> float | str:
    """Seconds on a tenth of a million code points, or that it took too long or failed."""
    text = _hostile(unit, MEGABYTE // 10)
    process = multiprocessing.get_context("fork").Process(target=splitter, args=(text,))
    start = time.perf_counter()
    process.start()
    process.join(TIME_LIMIT)
    if process.is_alive():
        process.terminate()
        process.join()
        return f"stopped after {TIME_LIMIT:.0f} s"
    return round(time.perf_counter() - start, 2) if process.exitcode == 0 else "failed"


def main() -> None:
    """Print the report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("corpora", type=Path, help="folder that holds polnear/")
    root: Path = parser.parse_args().corpora
    articles, unaligned = read_reference(root)
    splitters: dict[str, Splitter] = {"framelens": _framelens}
    versions = {}
    for name, splitter in LIBRARIES.items():
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
        splitters[name] = splitter
        splitters[f"{name} under framelens's rules for quotations"] = layered(splitter)
    report: dict[str, Any] = {
        "articles": len(articles),
        "articles left out, tokens and text differ": unaligned,
        "code points": sum(len(article.text) for article in articles),
        "versions": versions,
        "boundaries": {
            name: {
                "all": score(splitter, articles, comparable=False),
                "comparable": score(splitter, articles, comparable=True),
            }
            for name, splitter in splitters.items()
        },
        "characters a second": {
            name: speed(splitter, articles)
            for name, splitter in splitters.items()
            if name == "framelens" or name in LIBRARIES
        },
        "framelens, seconds on hostile input": {
            name: seconds_of_framelens(unit) for name, unit in HOSTILE.items()
        },
        "libraries, seconds on 0.1 MB of hostile input": {
            library: {
                name: seconds_of_library(splitters[library], unit) for name, unit in HOSTILE.items()
            }
            for library in versions
        },
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
