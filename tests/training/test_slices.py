from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import f1_score

from framelens.decoding import DecodingConfig, Floats
from framelens.schema import AXES
from framelens_training.corpora.labelled import LabelledDocument
from framelens_training.corpora.markup import parse_markup
from framelens_training.slices import (
    FalseAlarms,
    false_alarms,
    false_alarms_by_corpus,
    flat_false_alarms,
    flat_slices,
    is_unnamed,
    segment_slices,
    slice_metrics,
)

ARTICLE = """#id: a

Hf| {l|Shameful} plan

a| {s|Two officials} {c|said} {q|“the shameful plan was dropped at last”}.
a| {s|Ruth Adeyemi} {c|said} {q|so too}.
f| A {l|farcical} plan, and “the shameful road is shut to all of us”.
-| It was closed.
b| Sign up
"""


def article(name: str, **changes: object) -> LabelledDocument:
    return replace(parse_markup(ARTICLE)[0], id=name, **changes)  # type: ignore[arg-type]


def scores(document: LabelledDocument) -> Floats:
    """What a perfect model says."""
    gold = [[bool(s.axis(a)) for a in AXES] for s in document.segments]
    return np.where(gold, 0.9, 0.1).astype(np.float32)


def test_the_slices_of_segments() -> None:
    document = article("a", outlet="The Post", lean="left")
    headline, unnamed, named, both, plain, furniture = segment_slices(document, "mine")
    for found in (headline, unnamed, named, both, plain, furniture):
        assert {("corpus", "mine"), ("outlet", "The Post"), ("lean", "left")} <= set(found)
    assert ("role", "headline") in headline
    assert ("role", "body") in plain
    assert ("length", "under_10_words") in plain
    assert ("length", "10_to_24_words") in both
    assert {("quotation", "yes"), ("loaded", "only_in_a_quotation")} <= set(unnamed)
    assert ("source", "unnamed") in unnamed
    assert {("source", "named"), ("quotation", "no")} <= set(named)
    # Loaded in the quotation and in the outlet's own words: not this slice.
    assert ("quotation", "yes") in both
    assert not any(kind in ("loaded", "source") for kind, _ in (*both, *headline, *plain))


def test_loaded_words_outside_the_quotation_are_not_only_inside() -> None:
    text = "-| A reckless driver saw that “the shameful road is shut to all”.\n"
    (found,) = segment_slices(parse_markup(f"#id: x\n\n{text}")[0], "mine")
    assert ("quotation", "yes") in found
    assert not any(kind == "loaded" for kind, _ in found)


@pytest.mark.parametrize(
    ("count", "length"),
    [
        (9, "under_10_words"),
        (10, "10_to_24_words"),
        (24, "10_to_24_words"),
        (25, "25_words_and_more"),
    ],
)
def test_lengths_are_counted_in_words(count: int, length: str) -> None:
    (found,) = segment_slices(parse_markup(f"#id: x\n\n-|{' word' * count}.\n")[0], "mine")
    assert ("length", length) in found


def test_a_quotation_has_four_words() -> None:
    for quoted, answer in (("shut to us all", "yes"), ("shut to us", "no")):
        (found,) = segment_slices(parse_markup(f"#id: x\n\n-| It is “{quoted}”.\n")[0], "mine")
        assert ("quotation", answer) in found


def test_loaded_words_that_the_annotation_alone_knows_are_the_outlets_own() -> None:
    quoted = "-| He said that “the shameful road is shut to all”.\n"
    before, own = "f| A {l|leaden} plan.\n", quoted.replace("He", "The {l|leaden} man")
    for text, kinds in ((before + quoted, [True]), (own, []), (before + own, [])):
        document = parse_markup(f"#id: x\n\n{text}")[0]
        last = segment_slices(document, "mine")[-1]
        assert [value == "only_in_a_quotation" for kind, value in last if kind == "loaded"] == kinds


def test_one_unnamed_source_of_several_is_enough() -> None:
    text = "a| {s|Ruth Adeyemi} and {s|two officials} {c|said} {q|so}.\n"
    (found,) = segment_slices(parse_markup(f"#id: x\n\n{text}")[0], "mine")
    assert ("source", "unnamed") in found


def test_sources_that_nobody_was_asked_about_make_no_slice() -> None:
    document = article("a", annotated=frozenset({"framed"}))
    assert not any(kind == "source" for found in segment_slices(document, "x") for kind, _ in found)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("officials", True),
        ("Two people with knowledge of the sale", True),
        ("Ruth Adeyemi, an official of the port", False),
        ("a report", False),
        ("officials of the Harbour Board", False),
    ],
)
def test_which_sources_are_unnamed(source: str, expected: bool) -> None:
    assert is_unnamed(source) is expected


def test_metrics_of_slices_are_those_of_their_segments() -> None:
    documents = [article(f"d{n}", lean="left" if n % 3 else "right") for n in range(30)]
    generator = np.random.default_rng(1)
    found = [generator.random((6, 3)).astype(np.float32) for _ in documents]
    result = slice_metrics(
        documents, ["x"] * 30, found, DecodingConfig(), minimum=20, samples=100, seed=1
    )
    rows = {(item.axis, item.kind, item.value): item for item in result}
    left = [(d, f) for d, f in zip(documents, found, strict=True) if d.lean == "left"]
    gold = [s.framed for d, _ in left for s in d.segments]
    said = [bool(v >= 0.5) for _, f in left for v in f[:, 1]]
    item = rows["framed", "lean", "left"]
    assert (item.n, item.positives) == (120, 40)
    assert item.macro_f1.value == pytest.approx(f1_score(gold, said, average="macro"))
    assert item.macro_f1.low < item.macro_f1.value < item.macro_f1.high
    neutral = [s for g, s in zip(gold, said, strict=True) if not g]
    assert item.false_alarm_rate == pytest.approx(np.mean(neutral))
    missed = [not s for g, s in zip(gold, said, strict=True) if g]
    assert item.miss_rate == pytest.approx(np.mean(missed))

    # A slice that is everything, and one that is too small, are left out.
    assert not any(kind == "corpus" for _, kind, _ in rows)
    assert ("framed", "loaded", "only_in_a_quotation") in rows
    few = slice_metrics(
        documents, ["x"] * 30, found, DecodingConfig(), minimum=31, samples=100, seed=1
    )
    assert not any(item.kind == "loaded" for item in few)
    named = [replace(d, outlet="o" if n < 4 else "p") for n, d in enumerate(documents)]
    outlets = slice_metrics(
        named, ["x"] * 30, found, DecodingConfig(), minimum=20, samples=100, seed=1
    )
    # Four articles with 24 segments do not speak for an outlet.
    assert {item.value for item in outlets if item.kind == "outlet"} == {"p"}
    named = [replace(d, outlet="o & o" if n < 5 else "p") for n, d in enumerate(documents)]
    decoding = DecodingConfig(thresholds=dict.fromkeys(AXES, 1.01))
    outlets = slice_metrics(named, ["x"] * 30, found, decoding, minimum=20, samples=100, seed=1)
    assert {item.value for item in outlets if item.kind == "outlet"} == {"o & o", "p"}
    assert {item.miss_rate for item in outlets if item.positives} == {1.0}
    assert "slice/framed/outlet.o_o/macro_f1" in flat_slices(outlets)
    named = [replace(d, outlet="o & o" if n % 2 else "o o") for n, d in enumerate(documents)]
    outlets = slice_metrics(named, ["x"] * 30, found, decoding, minimum=20, samples=100, seed=1)
    framed = [key for key in flat_slices(outlets) if key.startswith("slice/framed/outlet.o_o-")]
    assert len(framed) == 2

    # Headlines are all framed here: no macro-F1, but a miss rate.
    headline = rows["framed", "role", "headline"]
    assert np.isnan(headline.macro_f1.value)
    assert headline.row()["macro_f1"] is None
    assert np.isnan(headline.false_alarm_rate)
    assert 0 < headline.miss_rate < 1
    flat = flat_slices(result)
    assert flat["slice/framed/lean.left/macro_f1"] == item.macro_f1.value
    assert all(np.isfinite(value) for value in flat.values())


def test_a_model_that_cries_wolf_at_one_side_has_a_gap() -> None:
    documents = [article(f"d{n}", lean="left" if n % 2 else "right") for n in range(60)]
    generator = np.random.default_rng(2)

    def answers(alarms: dict[str, float]) -> list[Floats]:
        found = []
        for document in documents:
            perfect = scores(document)
            wolf = generator.random(6) < alarms[document.lean or ""]
            perfect[wolf, AXES.index("framed")] = 0.9
            found.append(perfect)
        return found

    def measure(alarms: dict[str, float], minimum: int = 20) -> FalseAlarms:
        return false_alarms(
            documents, answers(alarms), DecodingConfig(), minimum=minimum, samples=300, seed=1
        )

    fair = measure({"left": 0.2, "right": 0.2})
    unfair = measure({"left": 0.4, "right": 0.1})
    assert fair.gap is not None
    assert unfair.gap is not None
    assert fair.gap.low < 0 < fair.gap.high
    assert unfair.gap.low > 0
    rates = unfair.rates
    assert rates["left"].value == pytest.approx(0.4, abs=0.1)
    assert unfair.gap.value == pytest.approx(rates["left"].value - rates["right"].value)
    assert unfair.neutral == {"left": 120, "right": 120}
    flat = flat_false_alarms({"mine": unfair, "mine (2)": unfair, "a b": fair, "a/b": unfair})
    assert flat["fairness/framed_false_alarms/mine/gap_low"] > 0
    assert "fairness/framed_false_alarms/mine_2_/gap" in flat
    gaps = sorted(value for name, value in flat.items() if "/a_b-" in name and name.endswith("gap"))
    assert gaps == sorted((fair.gap.value, unfair.gap.value))  # two corpora of one plain name
    assert measure({"left": 0, "right": 0}, minimum=121).flat() == {}
    assert measure({"left": 0, "right": 0}, minimum=120).neutral == {"left": 120, "right": 120}
    sure = DecodingConfig(thresholds=dict.fromkeys(AXES, 0.95))
    found = false_alarms(
        documents, answers({"left": 1, "right": 1}), sure, minimum=1, samples=100, seed=1
    )
    assert {rate.value for rate in found.rates.values()} == {0.0}


def test_a_corpus_of_one_side_makes_no_gap_for_another() -> None:
    # As many false alarms at both sides of `hard`; `easy` has the left alone, and none.
    documents = [article(f"d{n}", lean="left" if n % 2 else "right") for n in range(40)]
    documents += [article(f"e{n}", lean="left") for n in range(40)]
    documents += [article(f"u{n}") for n in range(40)]
    corpora = ["hard"] * 40 + ["easy"] * 40 + ["without"] * 40
    generator = np.random.default_rng(2)
    answers = [scores(document) for document in documents]
    for answer in answers[:40]:
        answer[generator.random(6) < 0.4, AXES.index("framed")] = 0.9
    settings: dict[str, int] = {"minimum": 20, "samples": 300, "seed": 1}

    pooled = false_alarms(documents, answers, DecodingConfig(), **settings).gap
    assert pooled is not None
    assert pooled.high < 0
    found = false_alarms_by_corpus(documents, corpora, answers, DecodingConfig(), **settings)
    assert set(found) == {"hard", "easy"}
    gap = found["hard"].gap
    assert gap is not None
    assert gap.low < 0 < gap.high
    assert found["easy"].gap is None
    assert found["easy"].rates["left"].value == 0


@pytest.mark.parametrize("lean", ["left", "right"])
def test_one_side_alone_has_a_rate_and_no_gap(lean: str) -> None:
    documents = [article(f"d{n}", lean=lean) for n in range(10)]
    answers = [scores(document) for document in documents]
    found = false_alarms(documents, answers, DecodingConfig(), minimum=20, samples=100, seed=1)
    assert set(found.rates) == {lean}
    assert found.gap is None


def test_one_article_of_a_side_tells_nothing_of_chance() -> None:
    documents = [article(f"d{n}", lean="left" if n else "right") for n in range(10)]
    answers = [scores(document) for document in documents]
    found = false_alarms(documents, answers, DecodingConfig(), minimum=1, samples=100, seed=1)
    assert set(found.rates) == {"left", "right"}
    assert np.isnan((found.rates["right"].low, found.rates["right"].high)).all()
    assert np.isfinite(found.rates["left"].low)
    assert found.gap is None


def test_two_articles_of_a_side_are_too_few_for_an_interval() -> None:
    documents = [article(f"d{n}", lean="right" if n > 1 else "left") for n in range(30)]
    answers = [scores(document) for document in documents]
    found = false_alarms(documents, answers, DecodingConfig(), minimum=1, samples=1000, seed=1)
    assert found.gap is not None
    assert np.isfinite(found.gap.value)
    assert np.isnan((found.gap.low, found.gap.high)).all()


def test_documents_without_a_lean_have_no_fairness_line() -> None:
    documents = [article("a")]
    found = false_alarms(
        documents, [scores(documents[0])], DecodingConfig(), minimum=1, samples=100, seed=1
    )
    assert (found.rates, found.gap, found.flat()) == ({}, None, {})
