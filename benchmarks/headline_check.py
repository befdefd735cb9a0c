"""Measure the headline check on the annotated headline/body pairs; prints JSON.

    python benchmarks/headline_check.py [--model MODEL] [--part test] [--pairs FILE] [--errors]
    python benchmarks/headline_check.py [--model MODEL] --markdown

Three systems answer the same pairs: the model's check, the same without word embeddings, and a
baseline of overlapping words and a list of verbs of saying. Intervals are 95 % bootstrap
intervals over pairs. A span of own wording is right when it shares at least half of the words
of both together with an annotated one. `--errors` adds the pairs that the model gets wrong,
`--time` the check's share of the time; `--markdown` prints the table of
docs/headline_check.md instead.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

import framelens
from framelens.alignment import FUNCTION_WORDS, stem_of
from framelens.headline_check import check_headline
from framelens.schema import HeadlineCheck
from framelens.scorer import Scorer
from framelens_training.evaluation import Interval, bootstrap
from framelens_training.headline_pairs import HeadlinePair, read_pairs

SAMPLES, SEED = 2000, 0
OUTCOMES = ("kept", "weakened", "dropped", "none_needed", "unsupported")

BASELINE_SUPPORTED = 0.1
"""Least share of a headline's words in the baseline's segment; the best on the tuning part."""

_SAYING = """
accuse add admit allege announce argue ask believe blame calculate call charge claim conclude
confess confirm criticise declare demand deny describe estimate expect explain fear find forecast
hint hold insist maintain pledge predict promise protest reckon reject report reveal rule say
show slam state suggest suspect tell testify think threaten tip told urge vow want warn write
wrote said says found held thought
"""
SAYING = frozenset(stem_of(word) for word in _SAYING.split())
_QUOTED = re.compile(r"(?<!\w)['‘\"“].+['’\"”](?!\w)")
_COLON = re.compile(r":\s")
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a system says of a pair: `outcome` is an attribution or "unsupported"."""

    segment: int | None
    outcome: str
    own: tuple[tuple[int, int], ...]


System = Callable[[HeadlinePair], Answer]


def checked(scorer: Scorer) -> System:
    """The check of a model."""

    def system(pair: HeadlinePair) -> Answer:
        check = scorer.score(pair.text, pair.headline).headline_check
        return answer_of(check)

    return system


def answer_of(check: HeadlineCheck | None) -> Answer:
    """An answer in the terms of the pairs: body sentences count from 0."""
    if check is None or check.segment is None or check.attribution is None:
        return Answer(None, "unsupported", ())
    own = tuple((span.start, span.end) for span in check.own_wording)
    return Answer(check.segment - 1, check.attribution, own)


def baseline(pair: HeadlinePair) -> Answer:
    """Overlap of words; attributed is what has a verb of saying, a quotation or "according to"."""
    words = [
        (stem_of(match.group().casefold()), match.span())
        for match in _WORD.finditer(pair.headline)
        if match.group().casefold() not in FUNCTION_WORDS
    ]
    bodies = [{stem_of(word.casefold()) for word in _WORD.findall(text)} for text in pair.body]
    shares = [sum(stem in body for stem, _ in words) / max(len(words), 1) for body in bodies]
    best = int(np.argmax(shares))
    if shares[best] < BASELINE_SUPPORTED:
        return Answer(None, "unsupported", ())
    outcome = "none_needed"
    if _attributes(pair.body[best]):
        kept = _attributes(pair.headline) or _COLON.search(pair.headline) is not None
        outcome = "kept" if kept else "dropped"
    own: list[tuple[int, int]] = []
    before = False
    for stem, (start, end) in words:
        alone = stem not in bodies[best]
        if alone and before:
            own[-1] = (own[-1][0], end)
        elif alone:
            own.append((start, end))
        before = alone
    return Answer(best, outcome, tuple(own))


def _attributes(text: str) -> bool:
    stems = {stem_of(word.casefold()) for word in _WORD.findall(text)}
    said = not SAYING.isdisjoint(stems) or "according to" in text.casefold()
    return said or _QUOTED.search(text) is not None


def gold_of(pair: HeadlinePair) -> str:
    """The gold outcome: an attribution, or "unsupported"."""
    return pair.attribution or "unsupported"


def precision(counts: NDArray[np.float64]) -> Any:
    """Of (right, wrong, missed)."""
    with np.errstate(invalid="ignore"):
        return counts[..., 0] / (counts[..., 0] + counts[..., 1])


def recall(counts: NDArray[np.float64]) -> Any:
    """Of (right, wrong, missed)."""
    with np.errstate(invalid="ignore"):
        return counts[..., 0] / (counts[..., 0] + counts[..., 2])


def f1(counts: NDArray[np.float64]) -> Any:
    """Of (right, wrong, missed)."""
    with np.errstate(invalid="ignore"):
        return 2 * counts[..., 0] / (2 * counts[..., 0] + counts[..., 1] + counts[..., 2])


def figures(counts: Sequence[Sequence[int]]) -> dict[str, Any]:
    """Precision, recall and F1 with intervals, from (right, wrong, missed) of each pair."""
    table = np.array(counts)
    named = {"precision": precision, "recall": recall, "f1": f1}
    found: dict[str, Any] = {
        name: interval(bootstrap(table, SAMPLES, SEED, statistic))
        for name, statistic in named.items()
    }
    right, wrong, missed = (int(value) for value in table.sum(axis=0))
    return {**found, "right": right, "wrong": wrong, "missed": missed}


def interval(figure: Interval) -> list[float]:
    """Value, low, high."""
    return [round(figure.value, 3), round(figure.low, 3), round(figure.high, 3)]


def share(hits: Sequence[bool]) -> list[float]:
    """A share with its interval."""
    table = np.array([[hit, not hit, 0] for hit in hits])
    return interval(bootstrap(table, SAMPLES, SEED, precision))


def outcome_counts(outcome: str, pair: HeadlinePair, answer: Answer) -> tuple[int, int, int]:
    """Right, wrong and missed, for one outcome of one pair."""
    said, true = answer.outcome == outcome, gold_of(pair) == outcome
    return int(said and true), int(said and not true), int(true and not said)


def span_counts(pair: HeadlinePair, answer: Answer) -> tuple[int, int, int]:
    """Right, wrong and missed spans of own wording.

    Half of the words of both make a match, each gold span for one at most: wording has no borders
    that two readers would agree on, as exact matches ask for.
    """
    found, gold = (
        [_words(pair.headline, span) for span in spans] for spans in (answer.own, pair.own)
    )
    left = list(gold)
    right = 0
    for words in found:
        match = next(
            (other for other in left if 2 * len(words & other) >= len(words | other)), None
        )
        if match is not None:
            left.remove(match)
            right += 1
    return right, len(found) - right, len(left)


def word_counts(pair: HeadlinePair, answer: Answer) -> tuple[int, int, int]:
    """Right, wrong and missed words of own wording, function words left out."""
    found, gold = (
        set().union(*(_words(pair.headline, span) for span in spans))
        for spans in (answer.own, pair.own)
    )
    return len(found & gold), len(found - gold), len(gold - found)


def _words(headline: str, span: tuple[int, int]) -> set[int]:
    start, end = span
    return {
        match.start()
        for match in _WORD.finditer(headline)
        if start <= match.start() < end and match.group().casefold() not in FUNCTION_WORDS
    }


def report(pairs: Sequence[HeadlinePair], system: System) -> dict[str, Any]:
    """All figures of a system."""
    answers = [system(pair) for pair in pairs]
    both = list(zip(pairs, answers, strict=True))
    carried = [(pair, answer) for pair, answer in both if pair.aligned]
    confusion = Counter((gold_of(pair), answer.outcome) for pair, answer in both)
    kinds = sorted({pair.kind for pair in pairs})
    return {
        "alignment accuracy": share([answer.segment in pair.aligned for pair, answer in carried]),
        "alignment accuracy where it aligns": share(
            [a.segment in pair.aligned for pair, a in carried if a.segment is not None]
        ),
        "outcome accuracy": share([gold_of(pair) == answer.outcome for pair, answer in both]),
        "outcomes": {
            outcome: figures([outcome_counts(outcome, *item) for item in both])
            for outcome in OUTCOMES
        },
        "own wording, spans": figures([span_counts(*item) for item in carried]),
        "own wording, words": figures([word_counts(*item) for item in carried]),
        "confusion (gold, then said)": {
            gold: {said: confusion[gold, said] for said in OUTCOMES} for gold in OUTCOMES
        },
        "outcome accuracy by kind": {
            kind: [
                sum(gold_of(pair) == a.outcome for pair, a in both if pair.kind == kind),
                sum(pair.kind == kind for pair in pairs),
            ]
            for kind in kinds
        },
    }


def errors(pairs: Sequence[HeadlinePair], system: System) -> list[dict[str, Any]]:
    """The pairs whose segment, outcome or own wording is wrong."""
    found: list[dict[str, Any]] = []
    for pair in pairs:
        answer = system(pair)
        spans = span_counts(pair, answer)
        aligned = answer.segment in pair.aligned if pair.aligned else answer.segment is None
        if gold_of(pair) == answer.outcome and aligned and (not pair.aligned or not any(spans[1:])):
            continue
        found.append(
            {
                "id": pair.id,
                "headline": pair.headline,
                "gold": [gold_of(pair), list(pair.aligned), _texts(pair, pair.own)],
                "said": [answer.outcome, answer.segment, _texts(pair, answer.own)],
            }
        )
    return found


def _texts(pair: HeadlinePair, spans: Sequence[tuple[int, int]]) -> list[str]:
    return [pair.headline[start:end] for start, end in spans]


def share_of_time(scorer: Scorer, pairs: Sequence[HeadlinePair]) -> dict[str, float]:
    """What the check takes of the processor time of scoring: pairs, and eight bodies as one."""
    fresh = Scorer(scorer.artifact, cached_windows=0)
    spent = 0.0

    def timed(*arguments: Any) -> HeadlineCheck | None:
        nonlocal spent
        start = time.process_time()
        check = check_headline(*arguments)
        spent += time.process_time() - start
        return check

    bodies = {
        "pairs": [pair.text for pair in pairs],
        "eight bodies as one": [
            "\n\n".join(pair.text for pair in pairs[at : at + 8]) for at in range(0, len(pairs), 8)
        ],
    }
    found: dict[str, float] = {}
    with mock.patch("framelens.scorer.check_headline", timed):
        for name, texts in bodies.items():
            spent, start = 0.0, time.process_time()
            for text, pair in zip(texts, pairs, strict=False):
                fresh.score(text, pair.headline)
            found[name] = round(spent / (time.process_time() - start), 3)
    return found


SYSTEMS = ("check", "check without word embeddings", "lexical baseline")


def markdown(found: dict[str, Any]) -> str:
    """The table of the documentation."""

    def cell(figure: list[float]) -> str:
        value, low, high = figure
        if value != value:
            return "–"
        return f"{value:.2f}" if low != low else f"{value:.2f} [{low:.2f}, {high:.2f}]"

    def row(name: str, *keys: str) -> str:
        cells = []
        for system in SYSTEMS:
            figure: Any = found[system]
            for key in keys:
                figure = figure[key]
            cells.append(cell(figure))
        return f"| {name} | {' | '.join(cells)} |"

    lines = [
        f"| {found['pairs']} {found['part']} pairs | {' | '.join(SYSTEMS)} |",
        "|---|---|---|---|",
        row("right segment, of headlines that have one", "alignment accuracy"),
        row("right outcome, all pairs", "outcome accuracy"),
    ]
    for outcome in ("dropped", "weakened", "kept", "none_needed", "unsupported"):
        lines += [
            row(f"`{outcome}`: {measure}", "outcomes", outcome, measure)
            for measure in ("precision", "recall")
        ]
    for unit in ("spans", "words"):
        lines += [
            row(f"own wording, {unit}: {measure}", f"own wording, {unit}", measure)
            for measure in ("precision", "recall")
        ]
    model = found["model"]
    lines.append(f"\nModel: {model['name']} {model['version']}, sha256 {model['sha256'][:12]}…")
    return "\n".join(lines)


def main() -> None:
    """Print the report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", help="model directory; the bundled model if not given")
    parser.add_argument("--part", choices=("test", "tuning"), default="test")
    parser.add_argument("--pairs", type=Path, help="another file of pairs")
    parser.add_argument("--errors", action="store_true", help="add what the model gets wrong")
    parser.add_argument("--time", action="store_true", help="add the check's share of the time")
    parser.add_argument("--markdown", action="store_true", help="print a table instead")
    arguments = parser.parse_args()
    if arguments.markdown and (arguments.errors or arguments.time):
        parser.error("--markdown prints the table alone: leave out --errors and --time")
    pairs = [pair for pair in read_pairs(arguments.pairs) if pair.part == arguments.part]
    scorer = framelens.load(arguments.model)
    by_letters = Scorer(scorer.artifact)
    by_letters._vectors = None
    found: dict[str, Any] = {
        "model": scorer.model.to_dict(),
        "word embeddings": scorer._vectors is not None,
        "part": arguments.part,
        "pairs": len(pairs),
        "gold": dict(Counter(map(gold_of, pairs))),
        "check": report(pairs, checked(scorer)),
        "check without word embeddings": report(pairs, checked(by_letters)),
        "lexical baseline": report(pairs, baseline),
    }
    if arguments.time:
        found["share of scoring time"] = share_of_time(scorer, pairs)
    if arguments.errors:
        found["errors"] = errors(pairs, checked(scorer))
    print(
        markdown(found) if arguments.markdown else json.dumps(found, indent=2, ensure_ascii=False)
    )


if __name__ == "__main__":
    main()
