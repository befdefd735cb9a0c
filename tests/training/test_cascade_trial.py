"""What a cascade is worth on labels: figures of two lookup models that are known by hand."""

from __future__ import annotations

from dataclasses import replace
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
    digest,
    write_jsonl,
)
from framelens_training.errors import CascadeError
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


ARTICLE = LabelledDocument(
    "article",
    "Another plan.\n\nA shameful plan.\n\nThe mayor said a road closed.",
    None,
    annotated=frozenset({"framed", "loaded_spans"}),
    segments=(
        GoldSegment("text", 0, 13, framed=True),
        GoldSegment("text", 15, 31, framed=True),
        GoldSegment("text", 33, 62, framed=False),
    ),
    spans=(GoldSpan("text", "loaded", 17, 25),),
)
"""A third of its segments would be in doubt, were they read one by one: the lookup models judge
windows."""

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


def test_figures_go_from_the_first_models_to_the_seconds(
    models: tuple[Path, Path], trial: Trial
) -> None:
    framed, source = figures(trial)
    assert (framed.what, source.what) == ("framed", "source")
    # Of three framed sentences the first model knows one, and with deferral two.
    alone, both = (1 / 2 + 1 / 2) / 2, (4 / 5 + 2 / 3) / 2
    expected = {0.0: alone, 0.05: both, 0.1: both, 0.15: both, 0.2: both, 0.3: both, 1.0: 1.0}
    assert framed.values == pytest.approx(expected)
    assert source.values == {**dict.fromkeys(DISTANCES, 0.0), 1.0: 1.0}
    assert framed.difference(0.0).value == pytest.approx(alone - 1)
    assert framed.difference(0.1).value == pytest.approx(both - 1)
    assert framed.difference(1.0).value == 0.0
    assert np.isnan(framed.difference(0.0).low)  # one document has a no
    many = [replace(document, id=f"{document.id}-{n}") for n in range(5) for document in DOCUMENTS]
    first, second = (Answers.of(Artifact.open(path), many) for path in models)
    framed, _ = figures(Trial(first, second, DEFER_SHARE))
    assert framed.difference(0.0).low < framed.difference(0.0).high <= 0


def test_only_what_was_annotated_counts(models: tuple[Path, Path]) -> None:
    """Of the article no attributions, of the sentences no loaded words."""
    documents = [*DOCUMENTS, ARTICLE]
    first, second = (Answers.of(Artifact.open(path), documents) for path in models)
    trial = Trial(first, second)
    assert trial.spans("source", 1.0).sum(axis=0).tolist() == [1, 1, 1]
    assert trial.spans("loaded", 1.0).sum(axis=0).tolist() == [1, 1, 1]
    assert trial.axis("framed", 1.0).sum() == 7
    assert trial.axis("attributed", 1.0).sum() == 0
    assert [item.what for item in figures(trial)] == ["framed", "source", "loaded"]


@pytest.mark.parametrize(("share", "deferred"), [(0.25, True), (1 / 3, True), (0.34, False)])
def test_the_share_of_segments_in_doubt(
    models: tuple[Path, Path], share: float, deferred: bool
) -> None:
    first, second = (Answers.of(Artifact.open(path), [ARTICLE]) for path in models)
    segments = np.array([[-4, 0.1, -4], [-4, 4, -4], [4, -4, -4]], dtype=np.float32)
    logits = [replace(first.logits[0], segments=segments)]
    trial = Trial(replace(first, logits=logits), second, share)
    assert trial.deferred(0.15) == [deferred]


def test_what_is_deferred_and_what_it_costs(trial: Trial) -> None:
    assert trial.deferred(0.0) == [False] * 4
    assert trial.deferred(0.1) == [False, False, True, False]
    assert trial.deferred(1.0) == [True] * 4
    assert trial.chosen(0.1, "abcd", "ABCD") == ["a", "b", "C", "d"]
    assert trial.share_deferred(0.1, [1, 1, 2, 4]) == 0.25
    assert (trial.first.seconds > 0).all()
    costs = Trial(
        replace(trial.first, seconds=np.ones(4)),
        replace(trial.second, seconds=np.array([2.0, 2.0, 4.0, 2.0])),
    )
    assert costs.time(0.0) == 0.4
    assert costs.time(0.1) == 0.8
    assert costs.time(1.0) == 1.4


def test_both_must_have_answered_the_same_documents(models: tuple[Path, Path]) -> None:
    first, second = (
        Answers.of(Artifact.open(path), documents)
        for path, documents in zip(models, (DOCUMENTS, DOCUMENTS[:2]), strict=True)
    )
    with pytest.raises(CascadeError, match=r"only one has answered: d2, d3"):
        Trial(first, second)
    turned = replace(first, items=first.items[::-1])
    with pytest.raises(CascadeError, match="two orders"):
        Trial(first, turned)


def test_a_figure_needs_both_answers(models: tuple[Path, Path]) -> None:
    documents = [DOCUMENTS[0], DOCUMENTS[2]]
    first, second = (Answers.of(Artifact.open(path), documents) for path in models)
    with pytest.raises(CascadeError, match=r"both answers of an axis, or with spans, found 2 doc"):
        figures(Trial(first, second))


def test_of_one_article_nothing_is_known_of_chance(models: tuple[Path, Path]) -> None:
    first, second = (Answers.of(Artifact.open(path), [ARTICLE]) for path in models)
    framed = figures(Trial(first, second))[0]
    assert np.isnan([framed.difference(0.0).low, framed.difference(0.0).high]).all()


def test_the_table_has_a_row_for_each_distance(trial: Trial) -> None:
    lines = trial_table(trial, figures(trial)).splitlines()
    assert lines[0].split() == ["within", "documents", "segments", "time", "framed", "source"]
    assert [line.split()[0] for line in lines[1:8]] == [f"{within:g}" for within in DISTANCES]
    assert lines[3].split()[1:3] == ["25%", "25%"]
    assert lines[9].split() == ["fast", "1.0.0", "alone", "cascade", "within", "0.15"]
    framed, _ = figures(trial)
    shown = [framed.difference(within).signed() for within in (0.0, 0.15)]
    assert lines[10].split() == ["framed", *" ".join(shown).split()]
    assert shown[0] != shown[1]


def test_the_command(
    models: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = tmp_path / "labels.jsonl"
    write_jsonl(DOCUMENTS, labels)
    fast, good = map(str, models)
    options = ["--defer-share", "1", "--defer-within", "0.01"]
    assert main(["cascade", fast, good, str(labels), *options]) == 0
    shown = capsys.readouterr().out
    assert "0.01    0%" in shown
    assert "0.15    25%" in shown
    assert "cascade within 0.01" in shown
    assert "within 0 fast 1.0.0 answers alone" in shown
    assert main(["cascade", fast, fast, str(labels)]) == 1
    assert "another model to defer to" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["cascade", fast, good, str(labels), "--defer-share", "2"])
    assert "from 0 to 1, found '2'" in capsys.readouterr().err
    write_seen(models[1].parent, [fingerprint(DOCUMENTS[1])])
    assert main(["cascade", fast, good, str(labels)]) == 1
    assert "good 1.0.0 has not learnt from" in capsys.readouterr().err.replace("\n", " ")


@pytest.mark.parametrize("noted", ["validation", "recalibrated"])
def test_labels_that_a_model_was_tuned_on_are_refused(
    models: tuple[Path, Path], tmp_path: Path, noted: str, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = tmp_path / "labels.jsonl"
    write_jsonl(DOCUMENTS, labels)
    training = {
        "validation": {"corpora": [{"sha256": {"validation": digest(DOCUMENTS)}}]},
        "recalibrated": {"recalibrated": {"texts": [fingerprint(DOCUMENTS[1])]}},
    }[noted]
    tuned = write_model(tmp_path / "tuned" / "model", name="tuned", training=training)
    assert main(["cascade", str(models[0]), str(tuned), str(labels)]) == 1
    assert "tuned 1.0.0 has not learnt from" in capsys.readouterr().err.replace("\n", " ")
