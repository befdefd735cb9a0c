"""The figures of an artifact beside references and targets, for people and for scripts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from framelens_training.evaluation import Interval
from framelens_training.quality import Measured
from framelens_training.quality_bench import Bench, Row


@dataclass(frozen=True, slots=True)
class Standard:
    """What others reach on the same question, and what this project wants to reach."""

    reference: str = ""
    target: str = ""


_VOICE = "TF-IDF trained on BABE flags the quoted ones more often"
_COFENET = "plain BERT-base {}, BERT-base + CRF {}, CofeNet {}"

STANDARDS: Mapping[str, Standard] = {
    # Wang et al. (2022), table 4: PolNeAR's test split, which is kept aside here.
    "polnear/source": Standard(_COFENET.format(".811", ".822", ".832"), ".75"),
    "polnear/cue": Standard(_COFENET.format(".740", ".749", ".753"), ".69"),
    "polnear/content": Standard(_COFENET.format(".689", ".710", ".729"), ".62"),
    "polnear/agreement/framed": Standard("a mix of corpora as they come: about .25", ".05"),
    "polnear/agreement/attributed": Standard("", ".05"),
    # Spinde et al. (2021) report scikit-learn's weighted F1, over all of BABE in 5 folds.
    "babe/weighted_f1": Standard("BERT .789, RoBERTa .799, DA-RoBERTa .814", ".80"),
    "babe/false_alarm_gap": Standard("", "interval holds 0"),
    # The best system of CheckThat! 2025 task 1, English, on the test split.
    "checkthat/macro_f1": Standard("best of 2025 on test: .805 (DeBERTa-v3)", ".75"),
    "semeval/ratio": Standard(_VOICE, "1/3 at most"),
    "titles/macro_f1": Standard("", ".90"),
    "titles/headline_furniture": Standard("", "0"),
    "polnear/headline_furniture": Standard("", "0"),
    "polnear/furniture": Standard("", "0"),
    "babe/furniture": Standard("", "0"),
    "checkthat/furniture": Standard("", "0"),
    "pages/macro_f1": Standard("", ".95"),
    # Readers of one kind: docs/corpora.md, "The judged articles".
    "articles/framed/validation": Standard("two readings: kappa .89"),
    "articles/framed/test": Standard("two readings: kappa .89"),
    "articles/attributed/validation": Standard("two readings: kappa .96"),
    "articles/attributed/test": Standard("two readings: kappa .96"),
    "calibration/attributed": Standard("", ".03"),
    "calibration/framed": Standard("", ".03"),
    "calibration/boilerplate": Standard("", ".03"),
}
"""By the key of a row; a row without an entry has no standard."""


def markdown(bench: Bench, measured: Mapping[str, Measured], refused: Mapping[str, str]) -> str:
    """The table, and below it how each figure can be measured again and what could not be."""
    lines = [
        f"{bench.model.name} {bench.model.version} ({bench.manifest.precision}, manifest sha256 "
        f"{bench.model.sha256[:12]}); 95 % bootstrap intervals by article.",
        "",
        "| what | measured on | n | figure | TF-IDF | reference | target |",
        "|---|---|---|---|---|---|---|",
    ]
    for item in measured.values():
        for row in item.rows:
            standard = STANDARDS.get(row.key, Standard())
            baseline = "" if row.baseline is None else _shown(row.baseline)
            cells = (
                row.what,
                f"{row.part}, {row.documents} articles",
                f"{row.n:,}",
                f"**{_shown(row.value)}**",
                baseline,
                standard.reference,
                standard.target,
            )
            lines.append(f"| {' | '.join(cells)} |")
    notes = [
        f"* {row.what}: {'; '.join(part for part in (row.note, _also(row)) if part)}."
        for item in measured.values()
        for row in item.rows
        if row.note or row.also
    ]
    commands = [f"* {name}: `{command(name)}`" for name in measured]
    missing = [f"* {name}: not measured: {reason}" for name, reason in refused.items()]
    return "\n".join([*lines, "", *notes, "", *commands, *missing])


def command(name: str) -> str:
    """The command that measures one corpus's rows again."""
    return f"python benchmarks/quality.py CORPORA_ROOT --only {name}"


def as_json(
    bench: Bench, measured: Mapping[str, Measured], refused: Mapping[str, str]
) -> dict[str, Any]:
    """Everything that was measured, with only JSON types; an undefined figure is null."""
    return {
        "model": bench.model.to_dict(),
        "precision": bench.manifest.precision,
        "run_id": bench.manifest.training.get("run_id"),
        "segments_limit": bench.settings.segments,
        "scored": dict(sorted(bench.digests.items())),
        "rows": [_json_row(name, row) for name, item in measured.items() for row in item.rows],
        "not_measured": dict(refused),
    }


def _json_row(name: str, row: Row) -> dict[str, Any]:
    standard = STANDARDS.get(row.key, Standard())
    return {
        "key": row.key,
        "what": row.what,
        "part": row.part,
        "n": row.n,
        "articles": row.documents,
        **_numbers(row.value),
        "higher_is_better": row.higher_is_better,
        "tfidf": None if row.baseline is None else _numbers(row.baseline),
        "also": {what: _numbers(value) for what, value in row.also.items()},
        "reference": standard.reference,
        "target": standard.target,
        "note": row.note,
        "command": command(name),
    }


def _numbers(value: Interval) -> dict[str, float | None]:
    return {
        name: round(number, 4) if math.isfinite(number) else None
        for name, number in (("value", value.value), ("low", value.low), ("high", value.high))
    }


def _shown(value: Interval) -> str:
    if not math.isfinite(value.value):
        return "undefined"
    if value.low == value.value == value.high:
        return f"{value.value:.3f}"
    return str(value)


def _also(row: Row) -> str:
    return "; ".join(f"{what} {_shown(value)}" for what, value in row.also.items())
