"""How good a cascade is by how much it defers: what the first model gives up, and what is bought.

    python benchmarks/cascade.py CORPORA_ROOT --model FIRST [--defer-to news-en] [--share 0.25]

On the documents of the public corpora that both models were not trained on. One column for each
distance within which a score is in doubt; at 0 the first model answers alone, at 1 the second. In
brackets stands the share of segments (spans: of word pieces) whose documents are deferred. `against
the second` is the difference from the second model's figure at the default distance, with its 95 %
interval, articles resampled in pairs. `--share` is the share of a document's segments that must be
in doubt. For labels of one's own there is `framelens-train cascade`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from framelens.deferral import DEFER_SHARE, DEFER_WITHIN, share_of
from framelens.errors import FramelensError
from framelens.schema import ATTRIBUTION_TYPES, SpanType
from framelens_training.cascade_trial import Answers, Counts, Figure, Trial, figure
from framelens_training.cofenet_protocol import cofenet_counts, with_spans
from framelens_training.corpora.base import Split
from framelens_training.corpora.cofenet import TokenSentence, validation_sentences
from framelens_training.corpora.labelled import CorpusError, LabelledDocument
from framelens_training.errors import TrainingError
from framelens_training.evaluation import macro_f1, span_f1
from framelens_training.quality_bench import Bench, Read, Settings

DISTANCES = (0.0, 0.05, 0.1, DEFER_WITHIN, 0.2, 1.0)

FRAMED: Sequence[tuple[str, str, Split, Callable[[LabelledDocument], bool]]] = (
    ("BABE, test, framed", "babe", "test", lambda _: True),
    ("BABE, validation, framed", "babe", "validation", lambda _: True),
    ("CheckThat, dev, framed", "checkthat2025", "validation", lambda _: True),
    ("titles, test, unanimous, framed", "hyperpartisan-titles", "test",
     lambda document: document.meta.get("unanimous") == "yes"),
    ("starter, test, framed", "starter", "test", lambda _: True),
)  # fmt: skip
"""What is measured on the axis `framed`, and of which documents."""


def both_hold(reads: Sequence[Read]) -> list[Read]:
    """What is left of each once the documents are gone that not every one holds."""
    shared = set.intersection(*({document.id for document in read.documents} for read in reads))
    return [read.where(lambda document: document.id in shared) for read in reads]


def answers(bench: Bench, read: Read) -> Answers:
    """What a model on the bench says; nobody asks how long it took."""
    unasked = [0.0] * len(read.items)
    return Answers.decoded(bench.model.name, bench.decoding, read.items, read.logits, unasked)


def attributed_spans(
    trial: Trial, sentences: Sequence[TokenSentence]
) -> dict[float, dict[SpanType, Counts]]:
    """At each distance, by type, for each article (a, 3): spans that are right, found, expected."""
    first, second = (
        [
            with_spans(item, logits.tokens, own.decoding)
            for item, logits in zip(own.items, own.logits, strict=True)
        ]
        for own in (trial.first, trial.second)
    )
    return {
        within: cofenet_counts(trial.chosen(within, first, second), sentences)
        for within in DISTANCES
    }


def measured(models: Sequence[Bench], share: float) -> list[tuple[Figure, list[float]]]:
    """All figures, each with the share that is deferred at each distance."""
    rows: list[tuple[Figure, list[float]]] = []
    for what, corpus, split, keep in FRAMED:
        reads = both_hold([bench.read(corpus, split).where(keep) for bench in models])
        first, second = map(answers, models, reads)
        trial = Trial(first, second, share)
        sizes = [len(document.segments) for document in trial.first.documents]
        rows.append(
            (
                figure(f"{what}, macro-F1", partial(trial.axis, "framed"), macro_f1, DISTANCES),
                [trial.share_deferred(within, sizes) for within in DISTANCES],
            )
        )
    root = models[0].root
    assert root is not None
    sentences = validation_sentences(root)
    reads = both_hold([bench.read("polnear", "validation") for bench in models])
    first, second = map(answers, models, reads)
    trial = Trial(first, second, share)
    sizes = [sum(map(len, logits.tokens)) for logits in trial.first.logits]
    shares = [trial.share_deferred(within, sizes) for within in DISTANCES]
    spans = attributed_spans(trial, sentences)
    for kind in ATTRIBUTION_TYPES:
        counts = {within: by_kind[kind] for within, by_kind in spans.items()}
        found = figure(f"PolNeAR dev, {kind}, F1", counts.__getitem__, span_f1, DISTANCES)
        rows.append((found, shares))
    return rows


def markdown(rows: Sequence[tuple[Figure, list[float]]]) -> str:
    """The rows as a table."""
    head = ("", *(f"within {within:g}" for within in DISTANCES), "against the second")
    lines = [head, ("---",) * len(head)]
    for each, shares in rows:
        cells = [
            f"{each.values[within]:.3f} ({share:.0%})"
            for within, share in zip(DISTANCES, shares, strict=True)
        ]
        lines.append((each.what, *cells, each.difference(DEFER_WITHIN).signed()))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> int:
    """Measure and print; exit code 1 if something cannot be measured."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("root", type=Path, help="folder of the public corpora")
    parser.add_argument("--model", required=True, help="the first model: a directory or a name")
    parser.add_argument("--defer-to", default="news-en", help="the second one")
    parser.add_argument("--share", type=share_of, default=DEFER_SHARE, help="of segments in doubt")
    options = parser.parse_args()
    settings = Settings(baselines=False)
    try:
        models = [Bench(name, options.root, settings) for name in (options.model, options.defer_to)]
        rows = measured(models, options.share)
    except (FramelensError, TrainingError, CorpusError, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        return 1
    names = [f"{bench.model.name} {bench.model.version}" for bench in models]
    print(f"{names[0]}, deferring to {names[1]}; share deferred in brackets.\n")
    print(markdown(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
