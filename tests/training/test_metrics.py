from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import (
    average_precision_score,
    f1_score,
    precision_score,
    recall_score,
    roc_auc_score,
)

from framelens.decoding import DecodingConfig, DocumentLogits
from framelens.features import DocumentFeatures, Featurizer
from framelens.schema import AXES, LABELS
from framelens_training.calibration import (
    FRAMED_ANSWERS,
    HEADLINE_ANSWERS,
    best_threshold,
    temperature,
    temperature_and_offsets,
    tune,
    tune_axes,
)
from framelens_training.calibration_error import (
    calibration_bins,
    chance_calibration_errors,
    expected_calibration_error,
)
from framelens_training.config import Evaluation
from framelens_training.corpora.labelled import Annotated, GoldSegment, GoldSpan, LabelledDocument
from framelens_training.corpora.markup import parse_markup
from framelens_training.errors_table import worst_errors
from framelens_training.evaluation import (
    Counts,
    Metrics,
    SpanMetrics,
    axis_counts,
    bootstrap,
    evaluate,
    label_macro_f1,
    macro_f1,
    paired_difference,
    percentiles,
    span_f1,
    weighted_f1,
)
from framelens_training.near_best import middle_of_near_best
from framelens_training.predictions import AxisData, axis_data, gold_spans
from framelens_training.scorable import can_be_scored
from framelens_training.span_counts import exact_matches, summed
from framelens_training.span_matching import partial_metrics
from framelens_training.targets import LabelledFeatures, featurize_document
from support import perfect_logits

GENERATOR = np.random.default_rng(5)


def axis(gold: object, values: object) -> AxisData:
    gold_array = np.asarray(gold, dtype=np.bool_)
    groups = np.arange(len(gold_array)) % 7
    return AxisData(gold_array, np.asarray(values, dtype=np.float64), groups)


def test_at_its_threshold_a_score_says_yes() -> None:
    assert axis_counts(axis([True, False], [0.5, 0.5]), 0.5, 7).sum(axis=0).tolist() == [1, 1, 0, 0]


def test_f1_is_scikit_learns() -> None:
    gold, values = GENERATOR.random(200) < 0.3, GENERATOR.random(200)
    counts = axis_counts(axis(gold, values), 0.4, 7)
    assert counts.sum() == 200
    expected = f1_score(gold, values >= 0.4, average="macro")
    assert macro_f1(counts.sum(axis=0)) == pytest.approx(expected)
    weighted = f1_score(gold, values >= 0.4, average="weighted")
    assert weighted_f1(counts.sum(axis=0)) == pytest.approx(weighted)
    assert weighted_f1(np.zeros(4, dtype=np.int64)) == 0.0


def test_bootstrap_intervals_hold_the_value_and_narrow_with_data() -> None:
    def interval(documents: int) -> tuple[float, float, float]:
        gold = GENERATOR.random(documents * 10) < 0.5
        values = np.where(GENERATOR.random(len(gold)) < 0.8, gold, ~gold).astype(float)
        data = AxisData(gold, values, np.repeat(np.arange(documents), 10))
        found = bootstrap(axis_counts(data, 0.5, documents), 500, seed=1)
        return found.low, found.value, found.high

    small, large = interval(10), interval(200)
    for low, value, high in (small, large):
        assert low < value < high
    assert large[2] - large[0] < small[2] - small[0]


def test_a_paired_difference_with_itself_is_nought() -> None:
    counts = axis_counts(axis([True, False] * 20, [0.9, 0.2] * 20), 0.5, 7)
    same = paired_difference(counts, counts, 200, seed=1)
    assert (same.low, same.value, same.high) == (0.0, 0.0, 0.0)
    worse = axis_counts(axis([True, False] * 20, [0.9, 0.8] * 20), 0.5, 7)
    assert paired_difference(counts, worse, 200, seed=1).low > 0


def test_the_interval_leaves_out_a_fortieth_at_each_end() -> None:
    assert percentiles(np.append(np.arange(1001.0), np.nan)) == (25.0, 975.0)
    assert np.isnan(percentiles(np.full(3, np.nan))).all()
    counts = axis_counts(axis([True, False] * 20, [0.9, 0.2, 0.3, 0.7] * 10), 0.5, 7)
    alone = bootstrap(counts, 0, seed=1)
    assert alone.value == 0.5
    assert np.isnan([alone.low, alone.high]).all()


def test_span_f1_of_one_count_and_of_many() -> None:
    counts = np.array([[[2, 3, 5], [0, 0, 0]], [[0, 4, 0], [3, 3, 3]], [[1, 3, 1], [0, 0, 2]]])
    assert span_f1(counts).tolist() == [[0.5, 0.0], [0.0, 1.0], [0.5, 0.0]]
    assert span_f1(counts[0, 0]) == 0.5


def test_figures_of_an_axis_are_scikit_learns() -> None:
    gold, logits = GENERATOR.random(300) < 0.4, GENERATOR.normal(size=300)
    segments = tuple(GoldSegment("text", 0, 6, framed=bool(answer)) for answer in gold)
    document = LabelledDocument("d", "A line", annotated=frozenset({"framed"}), segments=segments)
    given = np.zeros((300, len(AXES)), dtype=np.float32)
    given[:, AXES.index("framed")] = logits
    headlines = np.zeros(300, dtype=np.bool_)
    item = LabelledFeatures(document, DocumentFeatures((), ()), ())
    found = evaluate([item], [DocumentLogits(given, (), headlines)], DecodingConfig(), samples=0)
    assert set(found.axes) == {"framed"}
    framed = found.axes["framed"]
    said = logits >= 0
    assert (framed.n, framed.positives) == (300, gold.sum())
    assert framed.precision == pytest.approx(precision_score(gold, said))
    assert framed.recall == pytest.approx(recall_score(gold, said))
    assert framed.f1 == pytest.approx(f1_score(gold, said))
    assert framed.auroc == pytest.approx(roc_auc_score(gold, logits))
    assert framed.average_precision == pytest.approx(average_precision_score(gold, logits))
    probability = 1 / (1 + np.exp(-logits))
    assert framed.ece == pytest.approx(expected_calibration_error(gold, probability), abs=1e-6)
    assert found.score == framed.average_precision

    other = LabelledDocument(
        "e",
        "A line",
        annotated=frozenset({"attributed"}),
        segments=(GoldSegment("text", 0, 6, attributed=True),),
    )
    both = [item, replace(item, document=other)]
    logits_of_both = [DocumentLogits(given[:n], (), headlines[:n]) for n in (300, 1)]
    found = evaluate(both, logits_of_both, DecodingConfig(), samples=0)
    assert set(found.axes) == {"attributed", "framed"}
    assert repr(found.axes["framed"]) == repr(framed)  # its interval is NaN

    one = replace(document, segments=tuple(replace(s, framed=False) for s in segments))
    item = replace(item, document=one)
    found = evaluate([item], [DocumentLogits(given, (), headlines)], DecodingConfig(), samples=0)
    assert np.isnan([found.axes["framed"].auroc, found.axes["framed"].average_precision]).all()
    assert found.score == 0.0


def test_a_span_is_right_where_type_and_both_ends_are() -> None:
    gold = [(0, "cue", 3, 7), (0, "cue", 3, 7), (0, "source", 0, 2), (1, "cue", 3, 7)]
    found = [(0, "cue", 3, 7), (0, "cue", 3, 8), (0, "content", 0, 2), (1, "cue", 0, 2)]
    counts = exact_matches(gold, found, ("source", "cue", "content"))
    assert counts == {"source": (0, 0, 1), "cue": (1, 3, 2), "content": (0, 1, 0)}
    assert summed([counts, {"cue": (1, 1, 1)}])["cue"] == (2, 4, 3)


def test_figures_of_spans_and_of_labels() -> None:
    found = SpanMetrics.of(right=2, found=5, gold=4)
    assert (found.gold, found.found, found.precision, found.recall) == (4, 5, 0.4, 0.5)
    assert found.f1 == pytest.approx(4 / 9)
    confusion = np.array([[3, 1, 1, 0], [2, 4, 0, 0], [0, 0, 0, 0], [0, 1, 0, 1]])
    gold, said = np.repeat(np.argwhere(confusion >= 0), confusion.ravel(), axis=0).T
    expected = f1_score(gold, said, labels=[0, 1, 3], average="macro")
    assert label_macro_f1(confusion) == pytest.approx(expected)
    flat = Metrics({}, {}, confusion).flat("test")
    assert flat["test/label/accuracy"] == pytest.approx(8 / 13)
    assert flat["test/label/macro_f1"] == pytest.approx(expected)


def test_what_labels_imply_of_page_furniture_counts_only_if_asked_for() -> None:
    segments = (GoldSegment("text", 0, 6, framed=True), GoldSegment("text", 0, 6, framed=False))
    document = LabelledDocument("d", "A line", annotated=frozenset({"framed"}), segments=segments)
    values = [np.zeros((2, len(AXES)), dtype=np.float32)]
    assert axis_data([document], values, "boilerplate").gold.tolist() == []
    assert axis_data([document], values, "boilerplate", implied=True).gold.tolist() == [False]
    for implied in (False, True):
        found = axis_data([document], values, "framed", implied=implied)
        assert found.gold.tolist() == [True, False]


def test_an_answer_of_no_confidence_is_none() -> None:
    segments = tuple(
        GoldSegment("text", 0, 6, framed=framed, weights={"framed": weight})
        for framed, weight in ((True, 0.0), (False, 1.0), (False, 0.1))
    )
    document = LabelledDocument("d", "A line", annotated=frozenset({"framed"}), segments=segments)
    values = [np.arange(9, dtype=np.float32).reshape(3, len(AXES))]
    assert axis_data([document], values, "framed").values.tolist() == [4.0, 7.0]
    assert not can_be_scored([document])


def test_a_segment_with_an_axis_left_open_has_no_gold_label() -> None:
    open_, whole = (
        GoldSegment("text", 0, 6, attributed=True, framed=framed, boilerplate=False)
        for framed in (None, False)
    )
    document = LabelledDocument("d", "A line", annotated=frozenset(AXES), segments=(open_, whole))
    item = LabelledFeatures(document, DocumentFeatures((), ()), ())
    logits = DocumentLogits(np.zeros((2, len(AXES)), np.float32), (), np.zeros(2, np.bool_))
    assert evaluate([item], [logits], DecodingConfig(), samples=0).labels.sum() == 1


def test_a_framed_segment_has_its_label_though_nobody_asked_who_speaks() -> None:
    segments = tuple(
        GoldSegment("text", 0, 6, attributed=attributed, framed=framed, boilerplate=False)
        for framed, attributed in ((True, None), (True, True), (False, None), (False, True))
    )
    found = {}
    for annotated in (AXES, ("framed", "boilerplate"), ("framed",)):
        document = LabelledDocument("d", "A line", annotated=frozenset(annotated))
        item = LabelledFeatures(replace(document, segments=segments), DocumentFeatures((), ()), ())
        logits = DocumentLogits(np.full((4, len(AXES)), 5, np.float32), (), np.zeros(4, np.bool_))
        confusion = evaluate([item], [logits], DecodingConfig(), samples=0).labels
        found[annotated] = confusion.sum(axis=1).tolist()
    # sourced, framed, plain, boilerplate
    assert list(found.values()) == [[1, 2, 0, 0], [0, 2, 0, 0], [0, 0, 0, 0]]


def test_gold_spans_are_cut_at_segments_without_white_space() -> None:
    text = "He said so. It fell ."
    document = LabelledDocument(
        "d",
        text,
        "He said",
        segments=(GoldSegment("text", 0, 11), GoldSegment("text", 12, 21)),
        spans=(
            GoldSpan("text", "content", 7, 20),
            GoldSpan("text", "cue", 2, 8),
            GoldSpan("text", "source", 19, 20),
            GoldSpan("headline", "source", 0, 2),
        ),
    )
    assert gold_spans(document) == [(0, "content", 8, 11), (0, "cue", 3, 7), (1, "content", 0, 7)]


def test_loaded_gold_spans_that_touch_are_one_as_decoded_spans_are() -> None:
    text = "The radicals swept in, ranting on."
    words = ("swept", "radicals", "ranting")
    starts = [text.index(word) for word in words]
    document = LabelledDocument(
        "d",
        text,
        segments=(GoldSegment("text", 0, len(text)),),
        spans=(
            GoldSpan("text", "cue", 4, 12),
            GoldSpan("text", "content", 13, 18),
            *(
                GoldSpan("text", "loaded", start, start + len(word))
                for start, word in zip(starts, words, strict=True)
            ),
        ),
    )
    assert gold_spans(document) == [
        (0, "cue", 4, 12), (0, "content", 13, 18), (0, "loaded", 4, 18), (0, "loaded", 23, 30),
    ]  # fmt: skip


def yes_and_no_articles(yes: int) -> tuple[Counts, Counts]:
    """What is always right, and what always says no, on fifteen articles of one answer each."""
    gold = np.arange(15) < yes
    perfect, silent = (
        axis_counts(AxisData(gold, values, np.arange(15)), 0.5, 15)
        for values in (gold.astype(float), np.zeros(15))
    )
    return perfect, silent


def test_an_answer_of_few_articles_has_no_interval() -> None:
    perfect, silent = yes_and_no_articles(3)  # one draw in thirty has no yes
    assert str(bootstrap(perfect, 1000, seed=1)) == "1.000"
    difference = paired_difference(perfect, silent, 1000, seed=1)
    assert difference.value > 0
    assert np.isnan([difference.low, difference.high]).all()


def test_draws_without_both_gold_answers_do_not_count() -> None:
    # Five articles of a yes and ten of a no: one draw in four hundred has no yes.
    perfect, silent = yes_and_no_articles(5)
    found = bootstrap(perfect, 1000, seed=1)
    assert (found.low, found.value, found.high) == (1.0, 1.0, 1.0)
    difference = paired_difference(perfect, silent, 1000, seed=1)
    assert difference.value == pytest.approx(1 - 2 / 5)
    assert difference.low > 0.5  # a no that is always right has half of macro-F1 at the most


def test_one_gold_answer_or_one_article_tells_no_difference() -> None:
    one_answer = axis_counts(axis([False] * 20, [0.2] * 20), 0.5, 7)
    assert np.isnan(macro_f1(one_answer.sum(axis=0)))
    assert np.isnan(macro_f1(np.array([[3, 0, 1, 0], [0, 1, 0, 3]]))).all()
    assert np.isnan(bootstrap(one_answer, 200, seed=1).value)
    difference = paired_difference(one_answer, one_answer, 200, seed=1)
    assert np.isnan([difference.low, difference.value, difference.high]).all()

    gold, same_article = np.array([True, False]), np.zeros(2, dtype=np.int64)
    good, bad = (
        axis_counts(AxisData(gold, np.array([0.9, no]), same_article), 0.5, 1) for no in (0.1, 0.9)
    )
    difference = paired_difference(good, bad, 200, seed=1)
    assert difference.value > 0
    assert np.isnan([difference.low, difference.high]).all()
    assert str(bootstrap(good, 200, seed=1)) == "1.000"  # an interval of no width would say: sure
    assert difference.signed() == "+0.667"
    # Two articles more, in which nobody looked at this axis, tell no more of it.
    wider = [np.concatenate([counts, np.zeros((2, 4), dtype=np.int64)]) for counts in (good, bad)]
    assert np.isnan(bootstrap(wider[0], 200, seed=1).low)
    assert np.isnan(paired_difference(*wider, 200, seed=1).low)


def test_without_samples_no_interval_is_told() -> None:
    counts = axis_counts(axis([True, False] * 20, [0.9, 0.2] * 20), 0.5, 7)
    found = bootstrap(counts, 0, seed=1)
    assert found.value == 1.0
    assert np.isnan([found.low, found.high]).all()


def test_documents_with_both_answers_or_with_spans_can_be_scored() -> None:
    def document(*answers: bool) -> LabelledDocument:
        segments = tuple(
            GoldSegment("text", 7 * n, 7 * n + 6, framed=answer) for n, answer in enumerate(answers)
        )
        return LabelledDocument(
            "d", "A line " * len(answers), annotated=frozenset({"framed"}), segments=segments
        )

    assert not can_be_scored([])
    assert not can_be_scored([document(False), document(False)])
    assert can_be_scored([document(False), document(True)])
    assert can_be_scored([document(False, True)])
    unread = replace(document(False), spans=(GoldSpan("text", "loaded", 2, 6),))
    assert not can_be_scored([unread])
    assert can_be_scored([replace(unread, annotated=frozenset({"loaded_spans"}))])


def test_temperature_undoes_a_scaling() -> None:
    logits = GENERATOR.normal(0, 2, 20_000)
    gold = GENERATOR.random(20_000) < 1 / (1 + np.exp(-logits))
    assert temperature(axis(gold, logits)) == pytest.approx(1.0, abs=0.05)
    assert temperature(axis(gold, logits * 3)) == pytest.approx(3.0, abs=0.15)
    assert temperature(axis([True, True], [1.0, 2.0])) == 1.0


def test_headlines_get_the_offset_that_makes_their_answers_likeliest() -> None:
    logits = GENERATOR.normal(scale=2, size=6000)
    headlines = np.arange(6000) % 3 == 0
    truth = 1 / (1 + np.exp(-(logits - 1.2 * headlines)))
    data = axis(GENERATOR.random(6000) < truth, logits * 2)
    assert temperature_and_offsets(data, headlines) == pytest.approx((2.0, 0.0, -1.2), abs=0.2)

    few = axis([True] * 80 + [False] * 80, np.tile([2.0, -1.0], 80))
    rare = np.zeros(160, dtype=np.bool_)
    rare[: HEADLINE_ANSWERS - 1] = rare[80 : 80 + HEADLINE_ANSWERS] = True
    assert temperature_and_offsets(few, rare) == (temperature(few), 0.0, 0.0)
    rare[HEADLINE_ANSWERS - 1] = True
    assert temperature_and_offsets(few, rare)[1] == 0.0
    assert temperature_and_offsets(few, rare)[2] != 0.0


def test_all_segments_get_an_offset_where_there_are_answers_enough() -> None:
    logits = GENERATOR.normal(scale=2, size=6000)
    headlines = np.arange(6000) % 3 == 0
    truth = 1 / (1 + np.exp(-(logits + 0.7 - 1.2 * headlines)))
    data = axis(GENERATOR.random(6000) < truth, logits * 2)
    found = temperature_and_offsets(data, headlines, of_all=True)
    assert found == pytest.approx((2.0, 0.7, -1.2), abs=0.2)
    none = np.zeros(6000, dtype=np.bool_)
    assert temperature_and_offsets(data, none, of_all=True)[2] == 0.0
    assert temperature_and_offsets(data, none) == (temperature(data), 0.0, 0.0)
    few_headlines = np.arange(6000) < HEADLINE_ANSWERS
    assert temperature_and_offsets(data, few_headlines, of_all=True)[2] == 0.0

    # A third of the segments with the logit 1 are so: with an offset that is their probability.
    yeses, noes = FRAMED_ANSWERS - 1, 2 * FRAMED_ANSWERS
    few = axis([True] * yeses + [False] * noes, np.full(yeses + noes, 1.0))
    none = np.zeros(yeses + noes, dtype=np.bool_)
    assert temperature_and_offsets(few, none, of_all=True)[1] == 0.0
    few_noes = axis(~few.gold, few.values)
    assert temperature_and_offsets(few_noes, none, of_all=True)[1] == 0.0
    enough = axis([True, *few.gold], np.full(yeses + noes + 1, 1.0))
    temperature_, offset, _ = temperature_and_offsets(enough, np.append(none, False), of_all=True)
    assert 1 / (1 + np.exp(-(1 / temperature_ + offset))) == pytest.approx(1 / 3, abs=0.01)


def test_the_threshold_is_the_middle_of_the_best_stretch() -> None:
    gold = np.array([False, False, True, True])
    scores = np.array([0.1, 0.3, 0.6, 0.9])
    assert best_threshold(gold, scores, (0.0, 1.0)) == pytest.approx(0.455, abs=0.006)
    assert best_threshold(gold, scores, (0.5, 0.8)) == 0.55
    for one in (True, False):
        assert best_threshold(np.array([one, one]), np.array([0.4, 0.9]), (0.3, 0.8)) == 0.5


def test_the_threshold_is_good_for_both_answers() -> None:
    """By the F1 of yes alone, everything would be one."""
    scores = np.repeat([0.2, 0.4, 0.6], [200, 200, 400])
    gold = np.repeat([True, False, True], [200, 200, 400])
    assert best_threshold(gold, scores, (0.0, 1.0)) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(
    ("f1", "middle"),
    [([0.9, 0.9, 0.9, 0.5, 0.9], 0.2), ([0.9, 0.5, 0.9, 0.9, 0.5], 0.35), ([0.9, 0, 0, 0, 0], 0.1)],
)
def test_of_several_stretches_the_widest_is_taken(f1: list[float], middle: float) -> None:
    thresholds = np.array([0.1, 0.2, 0.3, 0.4, 0.5])
    assert middle_of_near_best(thresholds, np.array(f1), 10**6) == middle


def test_a_threshold_does_not_follow_the_luck_of_one_answer() -> None:
    negatives, positives = np.linspace(0.05, 0.4, 90), np.linspace(0.6, 0.95, 90)
    few = np.array([0.42, 0.44, 0.46])  # yes, no, yes: the best thresholds lie beside them
    scores = np.concatenate([negatives, positives, few])
    gold = np.concatenate([np.zeros(90), np.ones(90), [1, 0, 1]]).astype(bool)
    gold[[0, 1, 2, 177, 178, 179]] ^= True  # far from any of these thresholds
    assert best_threshold(gold, scores, (0.0, 1.0)) == pytest.approx(0.5, abs=0.02)


def test_calibration_error() -> None:
    scores = GENERATOR.random(50_000)
    gold = GENERATOR.random(50_000) < scores
    assert expected_calibration_error(gold, scores) < 0.01
    assert expected_calibration_error(gold, np.full(50_000, 0.9)) == pytest.approx(0.4, abs=0.02)
    nothing = np.zeros(0)
    assert np.isnan(expected_calibration_error(nothing > 0, nothing))
    assert [len(points) for points in calibration_bins(nothing > 0, nothing)] == [0, 0]


def test_the_order_of_tied_scores_does_not_change_a_calibration_error() -> None:
    scores = np.repeat([0.1, 0.6, 0.9], [7, 20, 6])
    gold = np.array([True] * 17 + [False] * 16)
    orders = [GENERATOR.permutation(len(gold)) for _ in range(20)]
    # Within each score the frequency is that of the whole: 7 of 7, 10 of 20, none of 6.
    expected = (7 * 0.9 + 20 * 0.1 + 6 * 0.9) / 33
    for order in orders:
        found = expected_calibration_error(gold[order], scores[order], bins=33)
        assert found == pytest.approx(expected)
        reordered = expected_calibration_error(gold[order], scores[order])
        assert reordered == pytest.approx(expected_calibration_error(gold, scores))


def test_few_examples_show_an_error_even_if_they_are_calibrated() -> None:
    scores = GENERATOR.random(300)
    chance = chance_calibration_errors(scores, draws=100)
    assert chance.shape == (100,)
    assert 0.02 < chance.mean() < 0.1
    assert chance_calibration_errors(GENERATOR.random(30_000), draws=10).mean() < 0.01
    gold = GENERATOR.random(300) < scores**3
    assert expected_calibration_error(gold, scores) > chance.max()


ARTICLE = """#id: d1

Hf| {l|Shameful} plan

a| {s|The mayor} {c|said} {q|roads closed}.
-| It was closed.
b| Sign up
"""


def answered(featurizer: Featurizer, *, wrong: bool) -> tuple[LabelledFeatures, DocumentLogits]:
    """The article with perfect logits, or with `framed` missed and a span too long."""
    item = featurize_document(parse_markup(ARTICLE)[0], featurizer)
    segments = np.where(np.array([t.axes for t in item.targets]) > 0, 4.0, -4.0)
    tokens = perfect_logits(item)
    if wrong:
        segments[0, AXES.index("framed")] = -3.0
        last = np.flatnonzero(item.targets[1].tags >= 0)[-1]
        tokens[1][last] = 0.0
        tokens[1][last, 6] = 9.0  # the full stop joins the content
    headlines = np.array([s.role == "headline" for s in item.features.segments])
    return item, DocumentLogits(segments.astype(np.float32), tuple(tokens), headlines)


def test_both_errors_of_calibration_are_told(featurizer: Featurizer) -> None:
    item, logits = answered(featurizer, wrong=False)
    decoding = DecodingConfig(
        temperatures=dict.fromkeys(AXES, 2.0),
        offsets=dict.fromkeys(AXES, 1.0),
        headline_offsets=dict.fromkeys(AXES, -1.0),
    )
    plain = evaluate([item], [logits], DecodingConfig(), samples=0).axes
    for axis, found in evaluate([item], [logits], decoding, samples=0).axes.items():
        assert found.ece_uncalibrated == plain[axis].ece
        assert found.ece > plain[axis].ece + 0.05


def test_tuning_tells_headlines_from_the_rest() -> None:
    """The same logits, but a headline is framed only where they are high."""
    column = AXES.index("framed")
    documents, logits = [], []
    for number, value in enumerate(np.linspace(-3, 3, 200)):
        segments = (
            GoldSegment("headline", 0, 6, framed=bool(value + GENERATOR.normal() > 1.5)),
            GoldSegment("text", 0, 6, framed=bool(value + GENERATOR.normal() > 0)),
        )
        annotated: frozenset[Annotated] = frozenset({"framed"})
        documents.append(
            LabelledDocument(
                f"d{number}", "A line", "A head", annotated=annotated, segments=segments
            )
        )
        given = np.zeros((2, len(AXES)), dtype=np.float32)
        given[:, column] = value
        logits.append(DocumentLogits(given, (), np.array([True, False])))
    found = tune_axes(DecodingConfig(), documents, logits, (0.02, 0.98))
    assert found.headline_offsets["framed"] < -1
    assert found.headline_offsets["attributed"] == 0
    assert found.offsets["framed"] != 0
    assert found.offsets["attributed"] == 0
    narrow = tune_axes(DecodingConfig(), documents, logits, (0.7, 0.72))
    assert 0.7 <= narrow.thresholds["framed"] <= 0.72


def test_thresholds_are_those_of_calibrated_scores() -> None:
    values = np.repeat(np.linspace(-6, 6, 300), 2)
    answers = GENERATOR.random(len(values)) < 1 / (1 + np.exp(2.5 - values))
    segments = tuple(GoldSegment("text", 0, 6, framed=bool(answer)) for answer in answers)
    document = LabelledDocument("d", "A line", annotated=frozenset({"framed"}), segments=segments)
    given = np.zeros((len(values), len(AXES)), dtype=np.float32)
    given[:, AXES.index("framed")] = values
    logits = DocumentLogits(given, (), np.zeros(len(values), np.bool_))
    found = tune_axes(DecodingConfig(), [document], [logits], (0.02, 0.98))
    assert found.offsets["framed"] == pytest.approx(-2.5, abs=0.4)
    assert found.thresholds["framed"] == pytest.approx(0.5, abs=0.2)  # 2.5 is .92 as it comes


def test_metrics_of_a_perfect_and_of_a_flawed_answer(featurizer: Featurizer) -> None:
    item, logits = answered(featurizer, wrong=False)
    perfect = evaluate([item], [logits], DecodingConfig(), samples=0)
    assert all(metrics.macro_f1.value == 1.0 for metrics in perfect.axes.values())
    assert {kind: span.f1 for kind, span in perfect.spans.items()} == dict.fromkeys(
        ("source", "cue", "content", "loaded"), 1.0
    )
    assert np.array_equal(perfect.labels, np.eye(4, dtype=int))
    assert perfect.score == 1.0

    twice = evaluate([item, item], [logits, logits], DecodingConfig(), samples=0)
    assert twice.spans["content"].gold == twice.spans["content"].found == 2
    document = replace(item.document, annotated=frozenset({"attribution_spans"}))
    half = evaluate([replace(item, document=document)], [logits], DecodingConfig(), samples=0)
    assert set(half.spans) == {"source", "cue", "content"}

    item, logits = answered(featurizer, wrong=True)
    flawed = evaluate([item], [logits], DecodingConfig(), samples=0)
    assert flawed.axes["framed"].recall == 0.0
    assert flawed.axes["attributed"].macro_f1.value == 1.0
    assert (flawed.spans["content"].found, flawed.spans["content"].f1) == (1, 0.0)
    assert flawed.spans["source"].f1 == 1.0
    assert flawed.labels[LABELS.index("framed"), LABELS.index("plain")] == 1
    assert label_macro_f1(flawed.labels) < 1
    rows = worst_errors([item.document], [logits], DecodingConfig(), 10)
    assert [(row["axis"], row["gold"], row["text"]) for row in rows] == [
        ("framed", True, "Shameful plan")
    ]
    flat = flawed.flat("test")
    assert flat["test/framed/recall"] == 0.0
    assert all(np.isfinite(value) for value in flat.values())


def test_a_loaded_word_is_wrong_only_where_it_is_known_that_nothing_frames(
    featurizer: Featurizer,
) -> None:
    item, logits = answered(featurizer, wrong=False)
    for framed, spurious in ((False, 1), (None, 0)):
        document = replace(
            item.document,
            segments=tuple(
                replace(segment, framed=framed if segment.framed else segment.framed)
                for segment in item.document.segments
            ),
            spans=tuple(span for span in item.document.spans if span.type != "loaded"),
        )
        changed = featurize_document(document, featurizer)
        found = evaluate([changed], [logits], DecodingConfig(), samples=0)
        assert (found.spans["loaded"].gold, found.spans["loaded"].found) == (0, spurious)
        assert found.spans["content"].f1 == 1.0
        partial = partial_metrics([changed], [logits], DecodingConfig())
        assert partial["loaded"].spurious == spurious


def test_where_nothing_is_to_be_found_there_is_no_figure_of_what_was(
    featurizer: Featurizer,
) -> None:
    item, logits = answered(featurizer, wrong=False)
    plain = tuple(replace(segment, framed=False) for segment in item.document.segments)
    empty = replace(item, document=replace(item.document, segments=plain, spans=()))
    found = evaluate([empty], [logits], DecodingConfig(), samples=0)
    flat = found.flat("test")
    assert (found.spans["source"].gold, found.axes["framed"].positives) == (0, 0)
    for what in ("source", "framed"):
        assert not {f"test/{what}/{figure}" for figure in ("precision", "recall", "f1")} & set(flat)
    assert flat["test/attributed/f1"] == 1.0
    unasked = tuple(replace(segment, framed=None) for segment in item.document.segments)
    unknown = replace(item, document=replace(item.document, segments=unasked))
    flat = evaluate([unknown], [logits], DecodingConfig(), samples=0).flat("test")
    assert not any("/framed/" in name for name in flat)


def test_tuning_on_data_without_both_answers_keeps_the_defaults(featurizer: Featurizer) -> None:
    item = featurize_document(parse_markup("#id: d\n\n-| A plan.\n")[0], featurizer)
    logits = DocumentLogits(
        np.zeros((1, 3), dtype=np.float32),
        (np.zeros((3, 8), dtype=np.float32),),
        np.zeros(1, dtype=np.bool_),
    )
    found = tune([item], [logits], Evaluation())
    assert set(found.temperatures.values()) == {1.0}
    assert set(found.headline_offsets.values()) == set(found.offsets.values()) == {0.0}
    assert set(found.thresholds.values()) == {0.5}
    assert set(found.span_thresholds.values()) == {0.5}
    assert tune([item], [logits], Evaluation(uncertain_band=0.2)).uncertain_band == 0.2
    assert found.transitions == found.loaded_transitions == ()


def test_sentences_of_articles_set_the_threshold_of_page_furniture_too() -> None:
    def alone(annotated: Annotated, logit: float, answer: bool) -> tuple[LabelledDocument, float]:
        segment = replace(GoldSegment("text", 0, 6), **{annotated: answer})
        document = LabelledDocument(
            f"{annotated}{logit}", "A line", annotated=frozenset({annotated}), segments=(segment,)
        )
        return document, logit

    lines = [alone("boilerplate", value, value > -1.5) for value in (-4.0, -3.0, -2.0, -1.0, 2, 3)]
    sentences = [alone("framed", value, True) for value in (-0.9, -0.5, 0.0, 0.5, 1.0)]
    thresholds = [
        tune_axes(
            DecodingConfig(),
            [document for document, _ in rows],
            [
                DocumentLogits(
                    np.full((1, len(AXES)), logit, dtype=np.float32),
                    (),
                    np.zeros(1, dtype=np.bool_),
                )
                for _, logit in rows
            ],
            (0.02, 0.98),
        ).thresholds["boilerplate"]
        for rows in (lines, [*lines, *sentences])
    ]
    assert thresholds[0] < 0.3  # between -2 and -1
    assert thresholds[1] > 0.5  # above the sentences
