"""What a cascade is worth on labels: figures of two lookup models that are known by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from framelens.artifact import Artifact
from framelens.deferral import DEFER_SHARE
from framelens_training.cascade_trial import DISTANCES, Answers, Trial, figures, trial_table
from framelens_training.cli import main
from framelens_training.corpora.labelled import (
    GoldSegment,
    GoldSpan,
    LabelledDocument,
    write_jsonl,
)
from framelens_training.seen_texts import fingerprint, write_seen
from support import EVIDENCE, write_model


def lone(number: int, text: str, *, framed: bool) -> LabelledDocument:
    """A sentence of which it is known whether it is framed, and its source."""
    spans = (GoldSpan("text", "source", 4, 9),) if "mayor" in text else ()
    return LabelledDocument(
        f"d{number}",
        text,
        None,
        annotated=frozenset({"framed", "attribution_spans"}),
        segments=(GoldSegment("text", 0, len(text), framed=framed),),
        spans=spans,
    )


DOCUMENTS = [
    lone(0, "A shameful plan.", framed=True),  # both models are right
    lone(1, "The mayor said a road closed.", framed=False),
    lone(2, "Another plan.", framed=True),  # the first is in doubt, and wrong
    lone(3, "Yet a plan.", framed=True),  # the first is sure, and wrong
]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("models")
    better = {**EVIDENCE, "another": {"framed": 60.0}, "yet": {"framed": 60.0}}
    worse = {**EVIDENCE, "another": {"framed": 14.0}, "mayor": {}}
    return (
        write_model(folder / "fast" / "model", worse, name="fast"),
        write_model(folder / "good" / "model", better, name="good"),
    )


@pytest.fixture(scope="module")
def trial(models: tuple[Path, Path]) -> Trial:
    first, second = (Answers.of(Artifact.open(path), DOCUMENTS) for path in models)
    return Trial(first, second, DEFER_SHARE)


def test_figures_go_from_the_first_models_to_the_seconds(trial: Trial) -> None:
    framed, source = figures(trial)
    assert (framed.what, source.what) == ("framed", "source")
    # Of three framed sentences the first model knows one, and with deferral two.
    alone, both = (1 / 2 + 1 / 2) / 2, (4 / 5 + 2 / 3) / 2
    expected = {0.0: alone, 0.05: both, 0.1: both, 0.15: both, 0.2: both, 0.3: both, 1.0: 1.0}
    assert framed.values == pytest.approx(expected)
    assert source.values == {**dict.fromkeys(DISTANCES, 0.0), 1.0: 1.0}
    assert framed.differences[0.0].value == pytest.approx(alone - 1)
    assert framed.differences[1.0].value == 0.0
    assert framed.differences[0.0].low < framed.differences[0.0].high <= 0


def test_what_is_deferred_and_what_it_costs(trial: Trial) -> None:
    assert trial.deferred(0.0) == [False] * 4
    assert trial.deferred(0.1) == [False, False, True, False]
    assert trial.deferred(1.0) == [True] * 4
    assert trial.chosen(0.1, "abcd", "ABCD") == ["a", "b", "C", "d"]
    assert trial.share_deferred(0.1, [1, 1, 2, 4]) == 0.25
    costs = Trial(
        *(
            Answers(a.name, a.decoding, a.items, a.logits, np.array(seconds))
            for a, seconds in ((trial.first, [1.0] * 4), (trial.second, [2.0, 2.0, 4.0, 2.0]))
        )
    )
    assert costs.time(0.0) == 0.4
    assert costs.time(0.1) == 0.8
    assert costs.time(1.0) == 1.4


def test_both_must_have_answered_the_same_documents(models: tuple[Path, Path]) -> None:
    first, second = (
        Answers.of(Artifact.open(path), documents)
        for path, documents in zip(models, (DOCUMENTS, DOCUMENTS[:2]), strict=True)
    )
    with pytest.raises(ValueError, match=r"only one has answered: \['d2', 'd3'\]"):
        Trial(first, second)


def test_a_figure_needs_both_answers(models: tuple[Path, Path]) -> None:
    documents = [DOCUMENTS[0], DOCUMENTS[2]]
    first, second = (Answers.of(Artifact.open(path), documents) for path in models)
    assert figures(Trial(first, second)) == []


def test_the_table_has_a_row_for_each_distance(trial: Trial) -> None:
    lines = trial_table(trial, figures(trial)).splitlines()
    assert lines[0].split() == ["within", "documents", "segments", "time", "framed", "source"]
    assert [line.split()[0] for line in lines[1:8]] == [f"{within:g}" for within in DISTANCES]
    assert lines[3].split()[1:3] == ["25%", "25%"]
    assert "fast 1.0.0 alone" in lines[9]


def test_the_command(
    models: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = tmp_path / "labels.jsonl"
    write_jsonl(DOCUMENTS, labels)
    fast, good = map(str, models)
    assert main(["cascade", fast, good, str(labels), "--share", "1"]) == 0
    shown = capsys.readouterr().out
    assert "0.15    25%" in shown
    assert "within 0 fast 1.0.0 answers alone" in shown
    assert main(["cascade", fast, fast, str(labels)]) == 1
    assert "another model to defer to" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["cascade", fast, good, str(labels), "--share", "2"])
    assert "from 0 to 1, found '2'" in capsys.readouterr().err
    write_seen(models[1].parent, [fingerprint(DOCUMENTS[1])])
    assert main(["cascade", fast, good, str(labels)]) == 1
    assert "good 1.0.0 has not learnt from" in capsys.readouterr().err.replace("\n", " ")
