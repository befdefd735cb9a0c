from __future__ import annotations

import numpy as np
import pytest

from framelens.schema import AXES
from framelens_training.baseline import (
    BASELINES,
    attributed_rule,
    boilerplate_rule,
    compare_baselines,
    fit_baselines,
    framed_rule,
    labelled_segments,
)
from framelens_training.corpora.labelled import GoldSegment, LabelledDocument
from framelens_training.corpora.markup import parse_markup
from framelens_training.evaluation import axis_counts
from framelens_training.predictions import AxisData, axis_data


def documents(count: int, first: int) -> list[LabelledDocument]:
    articles = [
        f"#id: d{first + n}\n\na| {{s|The mayor}} {{c|said}} {{q|road {n} closed}}.\n"
        f"f| The {{l|shameful}} plan {n}.\n-| Road {n} is closed.\n-| Rain fell on {n}.\n"
        f"b| Sign up for our newsletter\n"
        for n in range(count)
    ]
    return parse_markup("===\n".join(articles))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The mayor insisted that it would hold.", True),
        ("According to the port, it will hold.", True),
        ("“It was over in a second,” then.", True),
        ("The “so-called” dam is 40 metres high.", False),
        ("The dam is 40 metres high.", False),
    ],
)
def test_the_rule_for_attributed(text: str, expected: bool) -> None:
    assert attributed_rule(text) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The hapless minister left.", True),
        ("Yet another delay hit the line.", True),
        ("Who could have known?", True),
        ("The minister called it “a shameful farce”.", False),
        ("The hapless minister called it “a farce”.", True),
        ("The minister left at 9.", False),
    ],
)
def test_the_rule_for_framed(text: str, expected: bool) -> None:
    assert framed_rule(text) is expected


def test_the_rule_for_boilerplate() -> None:
    assert boilerplate_rule("Sign up for our newsletter")
    assert not boilerplate_rule("The minister left at 9.")
    assert not boilerplate_rule("The newsletter " + "of the harbour and its pilots " * 5)


def test_baselines_learn_from_training_and_are_compared_on_test() -> None:
    test = documents(10, 200)
    fitted = fit_baselines(documents(20, 0), documents(5, 100), (0.2, 0.8), seed=1)
    assert list(fitted) == list(BASELINES)
    perfect = {}
    for axis in AXES:
        gold, groups = labelled_segments(test, axis)[1:]
        perfect[axis] = axis_counts(AxisData(gold, gold.astype(float), groups), 0.5, len(test))
    found = compare_baselines(fitted, test, perfect, samples=100, seed=1)
    for axis in AXES:
        item = found[axis]
        assert item.model.value == 1.0
        # One answer in five is a yes: the majority is a no, whose F1 is 8/9.
        assert item.baselines["majority"].value == pytest.approx(4 / 9)
        assert item.differences["majority"].value == pytest.approx(5 / 9)
        assert item.baselines["tfidf"].value == 1.0  # the words decide
        assert item.baselines["rules"].value == 1.0


def test_an_axis_with_one_answer_has_no_tfidf_and_one_without_data_no_baseline() -> None:
    only = parse_markup("#id: d\n\n-| Road closed.\n-| Rain fell.\n")
    fitted = fit_baselines(only, [], (0.2, 0.8), seed=1)
    assert set(fitted["majority"]) == set(AXES)
    assert fitted["tfidf"] == {}
    assert fit_baselines([], [], (0.2, 0.8), seed=1) == {name: {} for name in BASELINES}


@pytest.mark.parametrize("lines", [("Share", "Mr Cobb"), ("!!", "??")])
def test_texts_in_which_there_is_nothing_to_count_have_no_tfidf(lines: tuple[str, str]) -> None:
    few = [
        LabelledDocument(
            line,
            line,
            annotated=frozenset({"boilerplate"}),
            segments=(GoldSegment("text", 0, len(line), boilerplate=line == lines[0]),),
        )
        for line in lines
    ]
    fitted = fit_baselines(few, few, (0.2, 0.8), seed=1)
    assert not fitted["tfidf"]
    assert "boilerplate" in fitted["rules"]


def test_segments_stand_in_the_order_of_predictions() -> None:
    test = documents(3, 0)
    rows = [np.arange(len(d.segments) * 3, dtype=np.float32).reshape(-1, 3) for d in test]
    data = axis_data(test, rows, "framed")
    _, gold, groups = labelled_segments(test, "framed")
    np.testing.assert_array_equal(data.gold, gold)
    np.testing.assert_array_equal(data.groups, groups)
