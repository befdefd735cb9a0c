"""The gates' figures, on answers made by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import f1_score

import framelens
from framelens.decoding import DecodingConfig
from framelens.schema import AXES
from framelens.scorer import Scorer
from framelens_training.calibration_error import expected_calibration_error
from framelens_training.corpora.labelled import GoldSegment, LabelledDocument
from framelens_training.corpora.markup import parse_markup
from framelens_training.gates import Gates
from framelens_training.judgement import (
    Answered,
    Check,
    Judgement,
    PinnedTest,
    answer,
    judge,
    judge_first,
)

COLUMN = AXES.index("framed")
ARTICLES = 40


def document(number: int, *framed: bool, **changes: Any) -> LabelledDocument:
    segments = tuple(
        GoldSegment("text", 7 * at, 7 * at + 6, framed=value) for at, value in enumerate(framed)
    )
    made = LabelledDocument(
        f"d{number}", "A line " * len(framed), annotated=frozenset({"framed"}), segments=segments
    )
    return replace(made, **changes)


DOCUMENTS = [document(n, True, False, n % 3 == 0) for n in range(ARTICLES)]
GOLD = np.array([[s.framed for s in d.segments] for d in DOCUMENTS])


def pinned(documents: list[LabelledDocument]) -> PinnedTest:
    return PinnedTest(documents, ["mine"] * len(documents), "0" * 64)


def answered(said: np.ndarray, sure: float = 0.9, **changes: Any) -> Answered:
    """A model that calls these segments framed, (d, s), as surely as that."""
    scores = np.zeros((*said.shape, len(AXES)), dtype=np.float32)
    scores[..., COLUMN] = np.where(said, sure, 1 - sure)
    given = Answered(list(scores), np.zeros((len(said), 3)), DecodingConfig())
    return replace(given, **changes)


def wrong_in(rows: slice | list[int]) -> np.ndarray:
    """Right answers, but for the first segment of these articles."""
    said = GOLD.copy()
    said[rows, 0] ^= True
    return said


@pytest.fixture(scope="module")
def scorer(model_folder: Path) -> Scorer:
    return framelens.load(model_folder)


def judged(
    scorer: Scorer,
    before: Answered,
    after: Answered,
    documents: list[LabelledDocument] = DOCUMENTS,
    **limits: Any,
) -> Judgement:
    gates = Gates.model_validate(limits)
    champion = scorer.artifact.manifest
    return judge(pinned(documents), before, after, champion, scorer, gates, None)


def checks(found: Judgement, gate: str) -> list[Check]:
    return [check for check in found.checks if check.gate == gate]


def test_the_score_is_the_mean_of_macro_f1_and_of_span_f1(scorer: Scorer) -> None:
    spans = np.tile([1.0, 2.0, 2.0], (ARTICLES, 1))
    worse, better = wrong_in(slice(0, 20)), wrong_in(slice(0, 5))
    found = judged(scorer, answered(worse, spans=spans), answered(better, spans=spans))
    before, after = (
        (f1_score(GOLD.ravel(), said.ravel(), average="macro") + 0.5) / 2
        for said in (worse, better)
    )
    score = checks(found, "overall")[1]
    assert (score.champion, score.challenger) == (f"{before:.3f}", f"{after:.3f}")
    assert found.difference is not None
    assert found.difference.value == pytest.approx(after - before)
    assert 0 < found.difference.low < found.difference.value < found.difference.high
    assert score.passed
    assert ": better" in score.detail


@pytest.mark.parametrize(
    ("before", "after", "limits", "passed"),
    [
        ([0, 1], [0], {"rule": "better"}, False),  # half of the draws hold neither
        ([0, 1], [0], {"rule": "not-worse"}, True),
        ([0, 1], [2, 3], {"rule": "not-worse", "margin": 0.5}, False),  # nought is not above 0
        ([0, 1, 2], [3, 4], {"rule": "not-worse", "margin": 0.0}, False),
        ([0, 1, 2], [3, 4], {"rule": "not-worse", "margin": 0.5}, True),
        ([*range(20)], [0], {"rule": "better"}, True),
    ],
)
def test_better_and_not_worse(
    scorer: Scorer, before: list[int], after: list[int], limits: dict[str, Any], passed: bool
) -> None:
    found = judged(scorer, answered(wrong_in(before)), answered(wrong_in(after)), overall=limits)
    assert checks(found, "overall")[1].passed is passed


@pytest.mark.parametrize(("least", "passed"), [(ARTICLES, True), (ARTICLES + 1, False)])
def test_few_articles_decide_nothing(scorer: Scorer, least: int, passed: bool) -> None:
    limits = {"minimum_articles": least}
    found = judged(scorer, answered(~GOLD), answered(GOLD), overall=limits)
    assert checks(found, "overall")[0].passed is passed


@pytest.mark.parametrize(("articles", "counts"), [(1, False), (4, False), (5, True)])
def test_an_answer_of_few_articles_does_not_decide(
    scorer: Scorer, articles: int, counts: bool
) -> None:
    furniture = [n < articles for n in range(ARTICLES)]
    documents = [
        replace(
            document,
            annotated=frozenset({"framed", "boilerplate"}),
            segments=tuple(
                replace(s, boilerplate=has and at == 1) for at, s in enumerate(document.segments)
            ),
        )
        for document, has in zip(DOCUMENTS, furniture, strict=True)
    ]
    before, after = answered(GOLD), answered(wrong_in([7]))
    for rows, has in zip(after.scores, furniture, strict=True):
        rows[1, AXES.index("boilerplate")] = has
    found = judged(scorer, before, after, documents)
    score = checks(found, "overall")[1]
    assert score.passed is counts  # worse on what has answers enough
    assert ("without boilerplate" in score.detail) is not counts


def test_each_model_is_judged_at_its_own_thresholds(scorer: Scorer) -> None:
    one, other = answered(wrong_in(slice(0, 12))), answered(wrong_in(slice(12, 24)))
    decoding = DecodingConfig(thresholds=dict.fromkeys(AXES, 0.25))
    lower = replace(other, scores=[rows / 2 for rows in other.scores], decoding=decoding)
    limits = {"slices": {"margin": 0.0, "certain": False}}
    for plain, halved in (((one, other), (one, lower)), ((other, one), (lower, one))):
        expected, found = (
            judged(scorer, *pair, leaning(DOCUMENTS), **limits) for pair in (plain, halved)
        )
        for gate in ("overall", "slice", "slices"):
            assert checks(found, gate) == checks(expected, gate)


def leaning(documents: list[LabelledDocument]) -> list[LabelledDocument]:
    """The first twelve articles are of one lean, the others of another."""
    return [replace(d, lean="left" if n < 12 else "right") for n, d in enumerate(documents)]


def test_a_slice_that_is_surely_worse_is_refused(scorer: Scorer) -> None:
    before, after = answered(wrong_in(slice(12, 40))), answered(wrong_in(slice(0, 12)))
    found = judged(scorer, before, after, leaning(DOCUMENTS))
    left = [check for check in checks(found, "slice") if "lean left" in check.subject]
    (worse,) = left
    assert not worse.passed
    gold, said = GOLD[:12].ravel(), wrong_in(slice(0, 12))[:12].ravel()
    assert worse.challenger == f"{f1_score(gold, said, average='macro'):.3f}"
    assert worse.champion == "1.000"
    assert "n = 36" in worse.subject
    assert not any("lean right" in check.subject for check in checks(found, "slice"))
    (summary,) = checks(found, "slices")
    assert (summary.subject, summary.challenger) == ("2 with n >= 30", "1 worse")
    assert "framed, lean left -" in summary.detail
    for limits in ({"minimum": 37}, {"margin": 1.0}):
        found = judged(scorer, before, after, leaning(DOCUMENTS), slices=limits)
        assert not checks(found, "slice")
        assert checks(found, "slices")[0].passed


@pytest.mark.parametrize("certain", [True, False])
def test_a_slice_that_is_worse_by_chance_is_refused_only_if_asked(
    scorer: Scorer, certain: bool
) -> None:
    before, after = answered(wrong_in([0, 13])), answered(wrong_in([1, 2]))
    limits = {"certain": certain, "margin": 0.01}
    found = judged(scorer, before, after, leaning(DOCUMENTS), slices=limits)
    assert [c.passed for c in checks(found, "slice") if "lean left" in c.subject] == [certain]


def test_slices_with_one_gold_answer_are_judged_by_accuracy(scorer: Scorer) -> None:
    one = [document(n, False, False, False, lean="left") for n in range(12)] + DOCUMENTS[12:]
    said = np.array([[s.framed for s in d.segments] for d in one])
    worse = said.copy()
    worse[:9, 0] = True
    (found,) = checks(judged(scorer, answered(said), answered(worse), one), "slice")
    assert "lean left" in found.subject
    assert (found.champion, found.challenger) == ("1.000", "0.750")


@pytest.mark.parametrize(
    ("limits", "passed"),
    [
        ({}, False),
        ({"increase": 0.2}, True),
        ({"increase": 0.2, "maximum": 0.2}, False),
        ({"minimum": 3 * ARTICLES + 1}, True),
        ({"minimum": 3 * ARTICLES}, False),
    ],
)
def test_a_challenger_may_be_a_little_worse_calibrated(
    scorer: Scorer, limits: dict[str, Any], passed: bool
) -> None:
    gates = {"maximum": 0.5, **limits}
    found = judged(scorer, answered(GOLD), answered(GOLD, sure=0.75), calibration=gates)
    (check,) = checks(found, "calibration")
    assert (check.champion, check.challenger) == ("0.090", "0.225")
    assert check.passed is passed


def test_parity_is_held_against_its_limits(scorer: Scorer) -> None:
    def parity(precision: str, **found: float) -> list[tuple[str, bool]]:
        recorded = {f"parity/{name}": value for name, value in found.items()}
        manifest = replace(
            scorer.artifact.manifest, precision=precision, training={"parity": recorded}
        )
        other = framelens.load(scorer.artifact.path)
        object.__setattr__(other.artifact, "manifest", manifest)
        first = judge_first(pinned(DOCUMENTS), answered(GOLD), other, Gates())
        return [(check.challenger, check.passed) for check in checks(first, "parity")]

    assert parity("fp32", torch_onnx_max_difference=0.001) == [("0.001", True)]
    assert parity("fp32", torch_onnx_max_difference=0.0011) == [("0.0011", False)]
    both = {"torch_onnx_max_difference": 0.0, "int8_changed_labels": 0.051}
    assert parity("int8", **both) == [("0", True), ("0.051", False)]
    assert parity("fp32", **both) == [("0", True)]
    assert parity("fp32") == [("not recorded", False)]


def test_the_first_of_its_name_needs_a_score_and_calibration(scorer: Scorer) -> None:
    for said, known in ((GOLD, True), (np.zeros_like(GOLD), True)):
        found = judge_first(pinned(DOCUMENTS), answered(said), scorer, Gates())
        assert checks(found, "overall")[0].passed is known
    none = [document(n, False, False, False) for n in range(ARTICLES)]
    found = judge_first(pinned(none), answered(GOLD), scorer, Gates())
    assert not checks(found, "overall")[0].passed
    error = expected_calibration_error(GOLD.ravel(), np.full(GOLD.size, 0.5))
    found = judge_first(pinned(DOCUMENTS), answered(GOLD, sure=0.5), scorer, Gates())
    (check,) = checks(found, "calibration")
    assert (check.challenger, check.passed) == (f"{error:.3f}", error <= 0.15)


def test_spans_count_where_they_were_annotated(scorer: Scorer) -> None:
    markup = "#id: a\n\na| {s|The mayor} {c|said} {q|road closed}.\nf| {l|Shameful} new {l|plan}.\n"
    (whole,) = parse_markup(markup)
    half = replace(whole, annotated=whole.annotated - {"attribution_spans"})
    bare = replace(whole, annotated=frozenset())
    empty = LabelledDocument("e", "")
    found = answer(scorer, [whole, half, bare, empty])
    right, given, expected = found.spans.T
    assert expected.tolist() == [5, 2, 0, 0]
    assert given.tolist() == [4, 1, 0, 0]
    assert right.tolist() == [3, 1, 0, 0]  # of the source the model has the mayor alone
    assert [scores.shape for scores in found.scores] == [(2, 3)] * 3 + [(0, 3)]
