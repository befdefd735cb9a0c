"""Where a model and an annotator label a segment differently: to be read, not counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from framelens.decoding import is_uncertain, label_of
from framelens.schema import AXES, Label
from framelens_training.corpora.labelled import LabelledDocument
from framelens_training.evaluation import gold_label
from framelens_training.predictions import by_axis
from framelens_training.quality_bench import Bench
from framelens_training.targets import role_of

_SHOWN = 160


@dataclass(frozen=True, slots=True)
class Disagreement:
    """One segment that a model labels otherwise than its annotator."""

    document: str
    index: int
    expected: Label
    found: Label
    uncertain: bool
    scores: dict[str, float]
    text: str


def disagreements(bench: Bench, documents: Sequence[LabelledDocument]) -> list[Disagreement]:
    """Every segment, annotated on all axes, whose label differs."""
    read = bench.run("articles", documents)
    found: list[Disagreement] = []
    for document, rows in zip(documents, read.scores(bench.decoding), strict=True):
        for index, (segment, row) in enumerate(zip(document.segments, rows, strict=True)):
            scores = by_axis(row)
            role = role_of(segment)
            expected, answer = gold_label(segment), label_of(scores, bench.decoding, role)
            if expected is not None and expected != answer:
                found.append(
                    Disagreement(
                        document.id,
                        index,
                        expected,
                        answer,
                        is_uncertain(scores, bench.decoding, role),
                        {axis: round(value, 2) for axis, value in scores.items()},
                        document.segment_text(segment),
                    )
                )
    return found


def disagreement_table(documents: Sequence[LabelledDocument], found: Sequence[Disagreement]) -> str:
    """The disagreements as a Markdown table, with a count of what was compared."""
    compared = sum(gold_label(s) is not None for d in documents for s in d.segments)
    lines = [
        f"{len(found)} of {compared} segments in {len(documents)} articles are labelled otherwise "
        "than expected.",
        "",
        f"| article | segment | expected | found | {' / '.join(AXES)} | text |",
        "|---|---|---|---|---|---|",
    ]
    for item in found:
        text = item.text if len(item.text) <= _SHOWN else item.text[: _SHOWN - 1] + "…"
        doubt = " (uncertain)" if item.uncertain else ""
        scores = " / ".join(f"{item.scores[axis]:.2f}" for axis in AXES)
        shown = " ".join(text.split()).replace("|", "\\|")
        lines.append(
            f"| {item.document} | {item.index} | {item.expected} | {item.found}{doubt} | {scores} "
            f"| {shown} |"
        )
    return "\n".join(lines)
