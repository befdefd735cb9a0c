"""The card of an artifact is complete for any run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from framelens.artifact import CARD_FILE, Artifact
from framelens.decoding import DecodingConfig
from framelens.schema import AXES, Axis
from framelens_training.assessment import Assessment, summary_lines
from framelens_training.baseline import Comparison
from framelens_training.card import model_card, write_card
from framelens_training.config import Config
from framelens_training.context_agreement import Agreement
from framelens_training.data import LoadedCorpus
from framelens_training.evaluation import AxisMetrics, Interval, Metrics, SpanMetrics
from framelens_training.export import Parity
from framelens_training.slices import FalseAlarms, SliceMetrics
from framelens_training.span_matching import PartialMetrics
from support import tiny_documents, write_model

CONFIG = Config.model_validate({"name": "small", "corpora": {"use": [{"name": "starter"}]}})
PARITY = Parity(10, 1234, 2e-5, 0.005, 0.001)
NAN = float("nan")


def loaded(name: str, licence: str) -> LoadedCorpus:
    documents = tiny_documents(6)
    splits = {"train": documents[:4], "validation": documents[4:5], "test": documents[5:]}
    return LoadedCorpus(name, licence, 1.0, splits, dict.fromkeys(splits, "0"))


def assessment(gap: Interval | None = None) -> Assessment:
    interval = Interval(0.9, 0.85, 0.95)
    axis = AxisMetrics(1500, 300, 0.8, 0.7, 0.75, interval, 0.91, 0.95, 0.88, 0.021, 0.034)
    axes: dict[Axis, AxisMetrics] = dict.fromkeys(AXES, axis)
    better = Interval(0.1, 0.05, 0.15)
    rates = {"left": Interval(0.2, 0.1, 0.3), "right": Interval(0.25, 0.1, 0.4)}
    return Assessment(
        Metrics(axes, {"cue": SpanMetrics(40, 41, 0.6, 0.7, 0.65)}, np.zeros((4, 4), np.int64)),
        {"cue": PartialMetrics(1, 1, 1, 1, 0.5, 0.5, 0.72)},
        [SliceMetrics("framed", "role", "headline", 60, 20, interval, 0.05, NAN)],
        {"babe": FalseAlarms(rates, {"left": 30, "right": 40}, gap)} if gap else {},
        Agreement(500, 0.04, NAN),
        {"framed": Comparison(interval, {"tfidf": Interval(0.8, 0.7, 0.9)}, {"tfidf": better})},
    )


def card(corpora: Sequence[LoadedCorpus], found: Assessment | None = None) -> str:
    return model_card(CONFIG, corpora, DecodingConfig(), PARITY, found, encoder="tiny, layers 0 1")


def sections(text: str) -> list[str]:
    return [line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")]


def test_a_card_with_figures_has_every_section() -> None:
    text = card([loaded("starter", "Apache-2.0")], assessment(Interval(-0.05, -0.2, 0.1)))
    assert "| encoder | tiny, layers 0 1 |" in text
    assert sections(text) == [
        "Intended use", "Labels", "Data and licences", "Figures", "Slices", "Fairness",
        "Calibration and thresholds", "Export", "Limits",
    ]  # fmt: skip
    assert "It judges wording, not truth" in " ".join(text.split())
    assert "| `framed` | 1,500 | 300 | 0.900 [0.850, 0.950] |" in text
    assert "TF-IDF 0.800 | +0.100 [+0.050, +0.150] |" in text
    assert "| `cue` | 40 | 0.650 | 0.600 | 0.700 | 0.720 |" in text
    assert "| `framed` | role: headline | 60 | 20 | 0.900 [0.850, 0.950] | 0.050 |  |" in text
    assert "| babe | left | 30 | 0.200 [0.100, 0.300] |" in text
    assert "Left less right in babe: -0.050 [-0.200, +0.100]; the interval holds 0." in text
    assert "| `framed` | 0.5 | 1.0 | 0.021 | 0.034 |" in text
    assert "0.50% of\n1,234" in text
    assert "nan" not in text


def test_what_was_not_learnt_is_said() -> None:
    corpora = [loaded("mine", "your own")]
    learnt = ("attributed", "framed", "boilerplate", "attribution_spans")
    text = model_card(CONFIG, corpora, DecodingConfig(), PARITY, encoder="tiny", learnt=learnt)
    assert "learnt nothing of `loaded_spans`: there it always says no" in text
    assert "learnt nothing" not in card(corpora)


def test_what_has_no_figure_is_left_out() -> None:
    found = assessment()
    axes = {**found.metrics.axes, "framed": replace(found.metrics.axes["framed"], positives=0)}
    spans = {"cue": SpanMetrics(0, 3, 0.0, 0.0, 0.0)}
    found = replace(found, metrics=replace(found.metrics, axes=axes, spans=spans))
    text = card([loaded("starter", "Apache-2.0")], found)
    assert "| `cue` | 0 |  |  |  |  |" in text
    assert "| `framed` | 1,500 | 0 | 0.900 [0.850, 0.950] |  |  | 0.880 |" in text
    assert "segments: `framed` 0.040." in " ".join(text.split())
    assert "test/cue/partial_f1" not in found.flat()
    shown = "\n".join(summary_lines(found))
    assert "cue" not in shown
    assert "framed 0.040" in shown
    assert "nan" not in shown


def test_a_gap_that_is_no_chance_is_said_to_be_none() -> None:
    text = card([loaded("starter", "Apache-2.0")], assessment(Interval(-0.2, -0.3, -0.1)))
    assert "the interval does not hold 0" in text


def test_sides_are_compared_within_a_corpus() -> None:
    one = FalseAlarms({"left": Interval(0.02, 0.0, 0.05)}, {"left": 39}, None)
    both = assessment(Interval(-0.05, -0.2, 0.1)).false_alarms
    found = replace(assessment(), false_alarms={"starter": one, **both})
    text = card([loaded("starter", "Apache-2.0")], found)
    assert "| starter | left | 39 | 0.020 [0.000, 0.050] |\n| babe | left | 30 |" in text
    assert "leans are compared within a corpus only" in text
    assert text.count("Left less right") == 1
    assert "fairness/framed_false_alarms/starter/gap" not in found.flat()
    assert found.flat()["fairness/framed_false_alarms/babe/gap"] == -0.05
    shown = summary_lines(found)
    assert "neutral sentences of starter called framed, by lean: left 0.020" in shown
    assert any("of babe" in line and "; left less right -0.050" in line for line in shown)
    alone = card([loaded("starter", "Apache-2.0")], replace(found, false_alarms={"starter": one}))
    assert "Left less right" not in alone
    assert "both sides" in alone


def test_before_the_evaluation_the_figures_are_said_to_be_missing() -> None:
    text = card([loaded("starter", "Apache-2.0")])
    assert "Not measured yet" in text
    assert "Slices" not in sections(text)
    assert "nan" not in text


def test_a_corpus_without_an_open_licence_limits_the_weights() -> None:
    text = card([
        loaded("starter", "Apache-2.0"), loaded("polnear", "none stated"),
        loaded("checkthat2025", "CC BY-NC-SA 4.0"), loaded("files", "your own"),
    ])  # fmt: skip
    words = " ".join(text.split())
    assert "**The weights are for research and non-commercial use**" in words
    assert "polnear (none stated), checkthat2025 (CC BY-NC-SA 4.0)." in words
    assert "open licences (starter)" in words
    assert "| polnear | attributed, attribution_spans | none stated | 4 | 1 | 1 |" in text


def test_what_to_keep_is_named_as_a_config_names_it() -> None:
    inherited = {"augmented starter": "Apache-2.0", "unlabelled gazette": "Apache-2.0"}
    corpora = [loaded("babe", "CC BY-NC-SA 4.0"), loaded("starter", "Apache-2.0")]
    text = model_card(
        CONFIG, corpora, DecodingConfig(), PARITY, encoder="tiny", inherited=inherited
    )
    assert "open licences (starter) and labels" in text


def test_lines_come_with_a_caution() -> None:
    lines, babe = loaded("lines", "Apache-2.0"), loaded("babe", "CC BY-NC-SA 4.0")
    for corpora in ([lines], [lines, babe]):
        assert "`lines` is this project's own, but its writers" in card(corpora)
    assert "`lines`" not in card([babe])


@pytest.mark.parametrize("licence", ["Apache-2.0", "MIT", "your own"])
def test_open_licences_do_not(licence: str) -> None:
    text = card([loaded("files", licence)])
    assert "non-commercial" not in text
    assert ("Labels of your own" in text) == (licence == "your own")


def test_a_new_card_leaves_the_artifact_sound(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "m")
    before = Artifact.open(folder)
    write_card(folder, "# Another card\n")
    after = Artifact.open(folder)
    assert (folder / CARD_FILE).read_text(encoding="utf-8") == "# Another card\n"
    assert after.manifest.files[CARD_FILE] != before.manifest.files[CARD_FILE]
    assert {**after.manifest.to_dict(), "files": 0} == {**before.manifest.to_dict(), "files": 0}


def test_the_terms_of_what_a_run_began_with_come_along() -> None:
    mine = loaded("files", "your own")
    free = card([mine])
    assert "No corpus limits the use" in free
    inherited = {"babe": "CC BY-NC-SA 4.0", "starter": "Apache-2.0", "files": "your own"}
    text = model_card(
        CONFIG, [mine], DecodingConfig(), PARITY, encoder="news-en 1", inherited=inherited
    )
    assert "it has learnt from these as well: babe (CC BY-NC-SA 4.0), starter (Apache-2.0)." in text
    assert "research and non-commercial use" in text
    assert "an encoder and teachers without it" in text
