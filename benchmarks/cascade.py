"""How good a cascade is by how much it defers: what the first model gives up, and what is bought.

    python benchmarks/cascade.py CORPORA_ROOT --model FIRST [--defer-to news-en] [--share 0.25]
                                 [--json]

One column for each distance within which a score is in doubt; at 0 the first model answers alone,
at 1 the second. In brackets stands the share of segments (spans: of tokens) whose documents are
deferred. `against the second` is the difference from the second model's figure at the default
distance, with its 95 % interval, articles resampled in pairs; `--json` has it for all.
`--share` is the share of a document's segments that must be in doubt. Both models are run as they
ship, and what is deferred is decided by the package that ships.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framelens.cascade import is_deferred
from framelens.deferral import DEFER_SHARE, DEFER_WITHIN
from framelens.schema import ATTRIBUTION_TYPES
from framelens_training.cofenet_protocol import compare_documents, with_spans
from framelens_training.corpora.base import Split
from framelens_training.corpora.cofenet import read_sentences
from framelens_training.corpora.labelled import LabelledDocument
from framelens_training.evaluation import Statistic, axis_counts, bootstrap, macro_f1, span_f1
from framelens_training.predictions import article_count, article_numbers, axis_data
from framelens_training.quality_bench import Bench, Read, Settings

DISTANCES = (0.0, 0.05, 0.1, DEFER_WITHIN, 0.2, 1.0)
SAMPLES = 1000

FRAMED: Sequence[tuple[str, str, Split, Callable[[LabelledDocument], bool]]] = (
    ("BABE, test, framed", "babe", "test", lambda _: True),
    ("BABE, validation, framed", "babe", "validation", lambda _: True),
    ("CheckThat, dev, framed", "checkthat2025", "validation", lambda _: True),
    ("titles, test, unanimous, framed", "hyperpartisan-titles", "test",
     lambda document: document.meta.get("unanimous") == "yes"),
    ("starter, test, framed", "starter", "test", lambda _: True),
)  # fmt: skip
"""What is measured on the axis `framed`, and of which documents."""


@dataclass(frozen=True, slots=True)
class Both:
    """What two models say of the same documents, and how both are decoded."""

    first: Read
    second: Read
    models: tuple[Bench, Bench]
    share_in_doubt: float

    def __post_init__(self) -> None:
        """Make sure that the two were held out the same documents."""
        ours, theirs = ([d.id for d in read.documents] for read in (self.first, self.second))
        if ours != theirs:
            raise SystemExit(
                "expected two models of the same splits, found documents that only one of them "
                f"was not trained on: {sorted(set(ours) ^ set(theirs))[:3]}"
            )

    def deferred(self, within: float) -> NDArray[np.bool_]:
        """Which documents the second model answers, (d,)."""
        decoding = self.models[0].decoding
        share = self.share_in_doubt
        found = [is_deferred(logits, decoding, within, share) for logits in self.first.logits]
        return np.array(found, dtype=np.bool_)

    def share(self, within: float, sizes: Sequence[int]) -> float:
        """The share of segments or tokens whose documents are deferred."""
        return float(np.average(self.deferred(within), weights=sizes))

    def framed(self, within: float) -> NDArray[np.float64]:
        """Outcomes on `framed` by article, (a, 4)."""
        flags = [
            [
                (scores >= _thresholds(model)).astype(np.float32)
                for scores in read.scores(model.decoding)
            ]
            for read, model in zip((self.first, self.second), self.models, strict=True)
        ]
        chosen = [pair[int(x)] for *pair, x in zip(*flags, self.deferred(within), strict=True)]
        documents = self.first.documents
        data = axis_data(documents, chosen, "framed")
        return axis_counts(data, 0.5, article_count(documents)).astype(np.float64)

    def spans(self, within: float, sentences: Any) -> dict[str, NDArray[np.float64]]:
        """By type, for each article (a, 3): spans that are right, found, expected."""
        found: dict[str, LabelledDocument] = {}
        for number, is_second in enumerate(self.deferred(within).tolist()):
            read, model = (self.first, self.second)[is_second], self.models[is_second]
            item, logits = read.items[number], read.logits[number]
            found[item.document.id] = with_spans(item, logits.tokens, model.decoding)
        compared = compare_documents(found, sentences)
        documents = [document for document in self.first.documents if document.id in compared]
        counts = {kind: np.zeros((article_count(documents), 3)) for kind in ATTRIBUTION_TYPES}
        for document, article in zip(documents, article_numbers(documents), strict=True):
            for kind, rows in counts.items():
                gold, answered = (
                    {span for span in side if span[1] == kind} for side in compared[document.id]
                )
                rows[article] += (len(gold & answered), len(answered), len(gold))
        return dict(counts)


def _thresholds(model: Bench) -> NDArray[np.float32]:
    return np.array(list(model.decoding.thresholds.values()), dtype=np.float32)


def row(
    what: str,
    counts: Mapping[float, NDArray[np.float64]],
    shares: Mapping[float, float],
    statistic: Statistic,
) -> dict[str, Any]:
    """One figure at each distance."""
    width = counts[1.0].shape[1]

    def behind(both: NDArray[np.float64]) -> NDArray[np.float64]:
        return statistic(both[..., :width]) - statistic(both[..., width:])

    return {
        "what": what,
        "at": [
            {
                "within": within,
                "figure": round(float(statistic(found.sum(axis=0))), 4),
                "deferred": round(shares[within], 4),
                "against_the_second": bootstrap(
                    np.concatenate([found, counts[1.0]], axis=1), SAMPLES, 0, behind
                ).signed(),
            }
            for within, found in counts.items()
        ],
    }


def measured(first: Bench, second: Bench, share: float) -> list[dict[str, Any]]:
    """All rows."""
    models = (first, second)
    rows: list[dict[str, Any]] = []
    for what, corpus, split, keep in FRAMED:
        both = Both(*(b.read(corpus, split).where(keep) for b in models), models, share)
        sizes = [len(document.segments) for document in both.first.documents]
        counts = {within: both.framed(within) for within in DISTANCES}
        shares = {within: both.share(within, sizes) for within in DISTANCES}
        rows.append(row(f"{what}, macro-F1", counts, shares, macro_f1))
    assert first.root is not None
    sentences = read_sentences(first.root / "polnear/cofenet_valid.jsonl")
    both = Both(*(b.read("polnear", "validation") for b in models), models, share)
    sizes = [sum(map(len, logits.tokens)) for logits in both.first.logits]
    found = {within: both.spans(within, sentences) for within in DISTANCES}
    shares = {within: both.share(within, sizes) for within in DISTANCES}
    for kind in ATTRIBUTION_TYPES:
        by_distance = {within: counts[kind] for within, counts in found.items()}
        rows.append(row(f"PolNeAR dev, {kind}, F1", by_distance, shares, span_f1))
    return rows


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as a table."""
    head = ("", *(f"within {within:g}" for within in DISTANCES), "against the second")
    lines = [head, ("---",) * len(head)]
    for each in rows:
        cells = [f"{at['figure']:.3f} ({at['deferred']:.0%})" for at in each["at"]]
        chosen = next(at for at in each["at"] if at["within"] == DEFER_WITHIN)
        lines.append((each["what"], *cells, chosen["against_the_second"]))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("root", type=Path, help="folder of the public corpora")
    parser.add_argument("--model", required=True, help="the first model: a directory or a name")
    parser.add_argument("--defer-to", default="news-en", help="the second one")
    parser.add_argument("--share", type=float, default=DEFER_SHARE, help="of segments in doubt")
    parser.add_argument("--json", action="store_true", help="all figures, with intervals")
    options = parser.parse_args()
    settings = Settings(baselines=False)
    first, second = (
        Bench(name, options.root, settings) for name in (options.model, options.defer_to)
    )
    rows = measured(first, second, options.share)
    models = [f"{bench.model.name} {bench.model.version}" for bench in (first, second)]
    if options.json:
        print(json.dumps({"first": models[0], "second": models[1], "rows": rows}, indent=1))
        return 0
    print(f"{models[0]}, deferring to {models[1]}; share deferred in brackets.\n")
    print(markdown(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
