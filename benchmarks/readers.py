"""How near readers come to the labels of three corpora, and how near a model does.

    python benchmarks/readers.py CORPORA_ROOT [--model NAME]

Readers saw sixty labelled training texts of a corpus and said how likely its annotators are to call
a further text framed (docs/corpora.md, "The judged lines"). Their answers for the validation parts
lie beside this file, in `readers.csv`, and no run learns from them; those for the training parts
are of the corpus judged-lines. AUROC needs no threshold; macro-F1 is at a half, which is a yes, for
readers and for the mean (of the log odds), and by the label that readers see for the model, whose
thresholds were chosen on these validation parts. `unanimous` counts the titles on which three
annotators agree.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import f1_score, roc_auc_score

from framelens.schema import AXES
from framelens_training.corpora.judged_lines import JudgedLines, line_key
from framelens_training.corpora.labelled import LabelledDocument
from framelens_training.corpora.registry import corpus
from framelens_training.corpora.store import open_corpus
from framelens_training.quality_bench import Bench, Settings

ANSWERS = Path(__file__).with_name("readers.csv")
FRAMED = AXES.index("framed")
SURE = 0.02
"""An answer counts as no nearer to yes or no than this."""

PARTS: Sequence[tuple[str, str, Callable[[LabelledDocument], bool]]] = (
    ("babe", "BABE", lambda _: True),
    ("checkthat2025", "CheckThat", lambda _: True),
    ("hyperpartisan-titles", "titles", lambda _: True),
    ("hyperpartisan-titles", "titles, unanimous", lambda d: d.meta["unanimous"] == "yes"),
)

Doubles = NDArray[np.float64]
Key = tuple[str, str]


def validation_answers() -> dict[Key, float]:
    """Readers' probabilities for texts of the validation parts, by text and corpus."""
    with ANSWERS.open(encoding="utf-8", newline="") as file:
        return {(r["text"], r["as"]): int(r["framed"]) / 100 for r in csv.DictReader(file)}


def training_answers() -> dict[Key, float]:
    """Readers' probabilities for texts of the training parts, by text and corpus."""
    return {(a.text, a.corpus): a.probability for a in JudgedLines().judgements()}


def log_odds(probabilities: Sequence[float]) -> Doubles:
    """Log odds of probabilities, none of which counts as sure."""
    clipped = np.clip(np.asarray(probabilities, dtype=np.float64), SURE, 1 - SURE)
    odds: Doubles = np.log(clipped / (1 - clipped))
    return odds


def figures(gold: Sequence[bool], odds: Doubles, answers: Sequence[bool] | None = None) -> str:
    """AUROC of log odds, and macro-F1 of answers, which are yes by default from a half up."""
    given = odds >= 0 if answers is None else answers
    return f"{roc_auc_score(gold, odds):.3f} {f1_score(gold, given, average='macro'):.3f}"


def lone(document: LabelledDocument) -> str:
    """The words of a document of one segment."""
    (segment,) = document.segments
    return document.segment_text(segment)


def labelled(
    documents: Sequence[LabelledDocument], name: str, answers: Mapping[Key, float]
) -> list[int]:
    """The documents, by number, that have a label and a reader's answer."""
    return [
        number
        for number, document in enumerate(documents)
        if document.segments[0].framed is not None and (line_key(lone(document)), name) in answers
    ]


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("root", type=Path, metavar="CORPORA_ROOT")
    parser.add_argument("--model", help="default: the bundled news-en")
    options = parser.parse_args()
    bench = Bench(options.model, options.root, Settings(baselines=False))

    print("| validation | n | readers | model | mean of both |\n|---|---|---|---|---|")
    answers = validation_answers()
    for name, title, keep in PARTS:
        read = bench.read(name, "validation").where(keep)
        rows = labelled(read.documents, name, answers)
        gold = [bool(read.documents[row].segments[0].framed) for row in rows]
        said = log_odds([answers[line_key(lone(read.documents[row])), name] for row in rows])
        scores, labels = read.scores(bench.decoding), read.framed(bench.decoding)
        found = log_odds([float(scores[row][0, FRAMED]) for row in rows])
        model = figures(gold, found, [bool(labels[row][0]) for row in rows])
        both = figures(gold, (said + found) / 2)
        print(f"| {title} | {len(rows)} | {figures(gold, said)} | {model} | {both} |")

    print("\n| training | n | readers |\n|---|---|---|")
    answers = training_answers()
    for name, title, keep in PARTS:
        documents = [*filter(keep, open_corpus(corpus(name), options.root).read()["train"])]
        chosen = [documents[row] for row in labelled(documents, name, answers)]
        gold = [bool(document.segments[0].framed) for document in chosen]
        said = log_odds([answers[line_key(lone(document)), name] for document in chosen])
        print(f"| {title} | {len(chosen)} | {figures(gold, said)} |")


if __name__ == "__main__":
    main()
