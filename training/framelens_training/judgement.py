"""A challenger against a champion on the same labelled documents, gate by gate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from framelens.artifact import Manifest
from framelens.decoding import DecodingConfig, Floats, axis_scores
from framelens.schema import AXES, Axis
from framelens.scorer import Scorer
from framelens.segmentation import TextSegment
from framelens_training.calibration_error import expected_calibration_error
from framelens_training.corpora.labelled import LabelledDocument
from framelens_training.evaluation import (
    LEAST_ARTICLES,
    Interval,
    axis_counts,
    draws,
    macro_f1,
    percentiles,
)
from framelens_training.gates import Gates
from framelens_training.predictions import (
    AxisData,
    article_numbers,
    axis_data,
    outside_furniture,
    span_keys,
)
from framelens_training.slices import Slice, segment_slices
from framelens_training.span_counts import answered_matches
from framelens_training.targets import role_of
from framelens_training.text_tables import aligned

Table = NDArray[np.float64]

_NO_SCORE = "no axis has both gold answers in the test, and there is no gold span: no score"
_TOO_FEW = f"both answers are needed in {LEAST_ARTICLES} articles each"


@dataclass(frozen=True, slots=True)
class PinnedTest:
    """Labelled documents, the corpus of each, and the sha256 over all of them."""

    documents: Sequence[LabelledDocument]
    corpora: Sequence[str]
    digest: str

    @property
    def segments(self) -> int:
        """Number of segments."""
        return sum(len(document.segments) for document in self.documents)


@dataclass(frozen=True, slots=True)
class Answered:
    """A model's answers on a test set.

    `scores` holds an array (s, 3) a document; `spans` (d, 3) the number of spans that are right,
    found and expected.
    """

    scores: Sequence[Floats]
    spans: Table
    decoding: DecodingConfig


@dataclass(frozen=True, slots=True)
class Check:
    """One gate's answer on one subject."""

    gate: str
    subject: str
    champion: str
    challenger: str
    rule: str
    passed: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Judgement:
    """All checks; `difference` is the challenger's overall score less the champion's."""

    checks: tuple[Check, ...]
    difference: Interval | None

    @property
    def passed(self) -> bool:
        """Whether no gate refuses."""
        return all(check.passed for check in self.checks)

    @property
    def refused_by(self) -> list[str]:
        """What each refusing gate says, in short."""
        return [f"{c.gate}: {c.subject}" for c in self.checks if not c.passed]

    def table(self) -> str:
        """The checks for a person to read."""
        rows = [("", "gate", "subject", "champion", "challenger", "rule")]
        rows += [
            ("ok" if c.passed else "NO", c.gate, c.subject, c.champion, c.challenger, c.rule)
            for c in self.checks
        ]
        head, *shown = aligned(rows)
        lines = [head]
        for line, check in zip(shown, self.checks, strict=True):
            lines.append(line)
            if check.detail:
                lines += [f"      {part}" for part in check.detail.split("\n")]
        return "\n".join(lines)


def answer(scorer: Scorer, documents: Sequence[LabelledDocument]) -> Answered:
    """Score the gold segments of documents in their articles, as serving does."""
    decoding = scorer.artifact.manifest.decoding
    scores: list[Floats] = []
    counts: list[NDArray[np.int64]] = []
    for document in documents:
        given = [
            TextSegment(role_of(s), s.field, s.start, s.end, document.segment_text(s))
            for s in document.segments
        ]
        if not given:
            scores.append(np.zeros((0, len(AXES)), dtype=np.float32))
            counts.append(np.zeros(3, dtype=np.int64))
            continue
        logits, spans = scorer.logits(given)
        scores.append(axis_scores(logits, decoding))
        given_spans = span_keys(outside_furniture(spans, logits, decoding))
        by_type = answered_matches(document, given_spans).values()
        counts.append(np.array([*by_type]).reshape(-1, 3).sum(axis=0))
    return Answered(scores, np.array(counts, dtype=np.float64).reshape(-1, 3), decoding)


def judge(
    test: PinnedTest,
    champion: Answered,
    challenger: Answered,
    champion_manifest: Manifest,
    challenger_scorer: Scorer,
    gates: Gates,
    explanation: str | None,
) -> Judgement:
    """Compare a challenger with the champion."""
    difference, overall = _overall(test, champion, challenger, gates)
    checks = (
        *overall,
        *_slices(test, champion, challenger, gates),
        *_calibration(test, champion, challenger, gates),
        *_parity(challenger_scorer.artifact.manifest, gates),
        _golden(champion_manifest, challenger_scorer, explanation),
    )
    return Judgement(checks, difference)


def judge_first(
    test: PinnedTest, challenger: Answered, challenger_scorer: Scorer, gates: Gates
) -> Judgement:
    """The first model of a name: nobody to be compared with, so the absolute limits decide."""
    score = _score(test, challenger)
    known = bool(np.isfinite(score))
    return Judgement(
        (
            Check("overall", "score", "-", f"{score:.3f}", "first of its name", known,
                  "" if known else _NO_SCORE),
            *_calibration(test, None, challenger, gates),
            *_parity(challenger_scorer.artifact.manifest, gates),
        ),
        None,
    )  # fmt: skip


class _Counts:
    """A system's outcomes by article (a, 4) an axis, and of spans (a, 3).

    `left_out` names the axes whose answers stand in fewer articles than are wanted of each.
    """

    def __init__(self, test: PinnedTest, answered: Answered, least_articles: int = 1) -> None:
        groups = article_numbers(test.documents)
        size = int(groups.max(initial=-1)) + 1
        self.axes: dict[Axis, Table] = {}
        self.left_out: list[Axis] = []
        for axis in AXES:
            data = axis_data(test.documents, answered.scores, axis)
            articles = data.articles_of_both()
            if articles >= least_articles:
                threshold = answered.decoding.thresholds[axis]
                self.axes[axis] = axis_counts(data, threshold, size).astype(np.float64)
            elif articles:
                self.left_out.append(axis)
        self.spans = np.zeros((size, 3))
        np.add.at(self.spans, groups, answered.spans)

    def score(self, weights: Table) -> Table:
        """Mean of macro-F1 and span F1 for weights (..., a) of the articles.

        NaN for weights that leave an axis with one gold answer, and where there is nothing to judge
        by.
        """
        parts = [macro_f1(weights @ counts) for counts in self.axes.values()]
        if self.spans[:, 2].any():
            right, found, expected = np.moveaxis(weights @ self.spans, -1, 0)
            parts.append(2 * right / np.maximum(found + expected, 1))
        mean: Table = np.mean(parts, axis=0) if parts else np.full(weights.shape[:-1], np.nan)
        return mean


def _score(test: PinnedTest, answered: Answered) -> float:
    counts = _Counts(test, answered)
    return float(counts.score(np.ones(len(counts.spans))))


def _overall(
    test: PinnedTest, champion: Answered, challenger: Answered, gates: Gates
) -> tuple[Interval, list[Check]]:
    gate = gates.overall
    ours, theirs = (_Counts(test, one, LEAST_ARTICLES) for one in (challenger, champion))
    articles = len(ours.spans)
    weights = draws(articles, gate.samples, gates.seed).astype(np.float64)
    whole = np.ones(articles)
    values = [float(counts.score(whole)) for counts in (theirs, ours)]
    difference = _interval(values[1] - values[0], ours.score(weights) - theirs.score(weights))
    if gate.rule == "better":
        rule, passed = "interval above 0", difference.low > 0
    else:
        rule = f"above 0, interval above -{gate.margin}"
        passed = difference.value > 0 and difference.low > -gate.margin
    verdict = "better" if difference.low > 0 else "worse" if difference.high < 0 else "a tie"
    if not np.isfinite(difference.low):
        verdict = "not certain, since it hangs on too few articles"
    if not np.isfinite(difference.value):
        verdict = "no score" if ours.left_out else _NO_SCORE
    detail = f"difference {difference.signed()}: {verdict}"
    if ours.left_out:
        detail += f"\nwithout {', '.join(ours.left_out)}: {_TOO_FEW}"
    return difference, [
        Check("overall", "articles in the test", "", str(articles),
              f">= {gate.minimum_articles}", articles >= gate.minimum_articles),
        Check("overall", "score", f"{values[0]:.3f}", f"{values[1]:.3f}", rule, passed,
              detail),
    ]  # fmt: skip


def _slices(
    test: PinnedTest, champion: Answered, challenger: Answered, gates: Gates
) -> Iterator[Check]:
    gate = gates.slices
    members = [
        segment_slices(document, corpus)
        for document, corpus in zip(test.documents, test.corpora, strict=True)
    ]
    looked, refusals, worst = 0, 0, ""
    lowest = np.inf
    for axis in AXES:
        ours, theirs = (axis_data(test.documents, a.scores, axis) for a in (challenger, champion))
        for (kind, value), rows in _rows(test.documents, members, axis).items():
            if not gate.minimum <= len(rows) < len(ours.gold):  # all of them are the gate above
                continue
            looked += 1
            numbers = np.unique(ours.groups[rows], return_inverse=True)[1]
            size = int(numbers.max()) + 1
            counts = [
                axis_counts(
                    AxisData(data.gold[rows], data.values[rows], numbers),
                    answered.decoding.thresholds[axis],
                    size,
                ).astype(np.float64)
                for data, answered in ((theirs, champion), (ours, challenger))
            ]
            gold = ours.gold[rows]
            metric = macro_f1 if gold.any() and not gold.all() else _accuracy
            before, after = (float(metric(c.sum(axis=0))) for c in counts)
            difference = Interval(after - before, np.nan, np.nan)  # of one article: no certainty
            name = f"{axis}, {kind} {value}"
            if difference.value < lowest:
                lowest = difference.value
                worst = f"{name} {difference.value:+.3f}"
            if difference.value >= -gate.margin:
                continue
            if size > 1:
                weights = draws(size, gates.overall.samples, gates.seed).astype(np.float64)
                spread = metric(weights @ counts[1]) - metric(weights @ counts[0])
                difference = _interval(difference.value, spread)
            refused = difference.high < 0 or not gate.certain
            refusals += refused
            yield Check(
                "slice",
                f"{name}, n = {len(rows)}",
                f"{before:.3f}",
                f"{after:.3f}",
                f">= -{gate.margin}" + (", or interval up to 0" if gate.certain else ""),
                not refused,
                f"difference {difference.signed()}",
            )
    detail = f"lowest difference: {worst}" if worst else ""
    subject = f"{looked} with n >= {gate.minimum}"
    yield Check("slices", subject, "", f"{refusals} worse", "none", not refusals, detail)


def _rows(
    documents: Sequence[LabelledDocument],
    members: Sequence[Sequence[tuple[Slice, ...]]],
    axis: Axis,
) -> dict[Slice, NDArray[np.int64]]:
    """Which rows of an axis's data are in each slice."""
    rows: dict[Slice, list[int]] = {}
    number = 0
    for document, own in zip(documents, members, strict=True):
        if axis not in document.annotated:
            continue
        for segment, names in zip(document.segments, own, strict=True):
            if segment.counted(axis) is None:
                continue
            for name in names:
                rows.setdefault(name, []).append(number)
            number += 1
    return {name: np.array(found, dtype=np.int64) for name, found in sorted(rows.items())}


def _accuracy(counts: Table) -> Table:
    right: Table = (counts[..., 0] + counts[..., 3]) / np.maximum(counts.sum(axis=-1), 1)
    return right


def _calibration(
    test: PinnedTest, champion: Answered | None, challenger: Answered, gates: Gates
) -> Iterator[Check]:
    gate = gates.calibration
    for axis in AXES:
        data = axis_data(test.documents, challenger.scores, axis)
        if not len(data.gold):
            continue
        found = expected_calibration_error(data.gold, data.values)
        shown, limit, rule = "-", gate.maximum, f"<= {gate.maximum}"
        if champion is not None:
            theirs = axis_data(test.documents, champion.scores, axis)
            before = expected_calibration_error(theirs.gold, theirs.values)
            shown, rule = f"{before:.3f}", f"{rule} and <= champion + {gate.increase}"
            limit = min(limit, before + gate.increase)
        few = len(data.gold) < gate.minimum
        if few:
            rule = f"not judged: n = {len(data.gold)} < {gate.minimum}"
        passed = few or found <= limit
        yield Check("calibration", f"ECE, {axis}", shown, f"{found:.3f}", rule, passed)


def _parity(manifest: Manifest, gates: Gates) -> Iterator[Check]:
    recorded = manifest.training.get("parity")
    parity: Mapping[str, object] = recorded if isinstance(recorded, Mapping) else {}
    limits = {"parity/torch_onnx_max_difference": ("torch against ONNX", gates.parity.difference)}
    if manifest.precision == "int8":
        limits["parity/int8_changed_labels"] = ("labels int8 changes", gates.parity.changed_labels)
    for key, (subject, limit) in limits.items():
        value = parity.get(key)
        if isinstance(value, int | float):
            yield Check("parity", subject, "", f"{value:.2g}", f"<= {limit}", value <= limit)
        else:
            yield Check("parity", subject, "", "not recorded", f"<= {limit}", False,
                        "the artifact was not exported by framelens-train run")  # fmt: skip


def _golden(champion: Manifest, challenger: Scorer, explanation: str | None) -> Check:
    """The labels that the champion's golden inputs were exported with, against now."""
    changes: list[str] = []
    for number, golden in enumerate(champion.golden):
        document = challenger.score(golden.text, golden.headline)
        found = tuple(segment.label for segment in document.segments)
        if found != golden.labels:
            changes.append(f"input {number}: {', '.join(golden.labels)} -> {', '.join(found)}")
    count = len(champion.golden)
    if changes and explanation:
        changes.append(f"explained: {explanation}")
    return Check(
        "golden",
        "the champion's inputs",
        f"{count} labelled",
        f"{count - len([c for c in changes if c.startswith('input')])} unchanged",
        "unchanged, or --explain",
        not changes or bool(explanation),
        "\n".join(changes),
    )


def _interval(value: float, spread: Table) -> Interval:
    """The interval of a difference; draws that leave an axis with one gold answer do not count."""
    return Interval(value, *percentiles(spread))
