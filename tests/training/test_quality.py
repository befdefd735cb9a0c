"""The quality benchmark: what may be scored, whose voice, floors, and the table."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from framelens.artifact import Manifest
from framelens.decoding import DecodingConfig
from framelens.features import FeatureConfig
from framelens.schema import Field
from framelens_training import parties, quality_bench, quality_halves
from framelens_training.calibration import temperature
from framelens_training.config import Evaluation
from framelens_training.corpora.labelled import GoldSegment, LabelledDocument, digest
from framelens_training.corpora.markup import parse_markup
from framelens_training.corpora.registry import corpus
from framelens_training.corpora.semeval import TEST_ARTICLES, LoadedPlace, SemEval
from framelens_training.corpora.splits import group_of
from framelens_training.disagreements import disagreement_table, disagreements
from framelens_training.evaluation import Interval, bootstrap, span_f1
from framelens_training.held_out import HeldOutError, Holdings, half_of, subset
from framelens_training.predictions import axis_data
from framelens_training.quality import MEASURES, measure
from framelens_training.quality_bench import (
    LINES,
    STARTER,
    VOICE_PAIRS,
    WRITTEN_PAGES,
    Bench,
    Row,
    Settings,
    axis_row,
)
from framelens_training.quality_floors import CorpusFloors, Floors, FloorsError, floors_of
from framelens_training.quality_furniture import taken_for_furniture
from framelens_training.quality_halves import axes_cross_fitted, spans_cross_fitted
from framelens_training.quality_table import STANDARDS, as_json, markdown
from framelens_training.voices import (
    VOICES,
    framed_flags,
    ratio,
    ratio_with_short,
    share,
    voice_counts,
)
from support import tiny_documents, write_model

STARTER_SPLITS = corpus(STARTER).read(None)


def training(**changes: str) -> dict[str, Any]:
    """What a manifest records of a training on the starter corpus."""
    sums = {name: digest(documents) for name, documents in STARTER_SPLITS.items()}
    return {
        "corpora": [{"name": STARTER, "sha256": {**sums, **changes}}],
        "config": {"evaluation": Evaluation().model_dump(mode="json")},
    }


def manifest(recorded: Mapping[str, Any]) -> Manifest:
    return Manifest(
        "m", "1", "none", "fp32", FeatureConfig(), DecodingConfig(), training=dict(recorded)
    )


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    folder = write_model(tmp_path_factory.mktemp("models") / "m", training=training())
    return Bench(folder, None, Settings(segments=60, baselines=False, samples=50))


class TestHeldOut:
    def test_the_training_documents_of_the_record_are_what_the_rest_is_held_out_from(self) -> None:
        held = Holdings(manifest(training()), None).held_out(STARTER)
        assert [d.id for d in held.splits["test"]] == [d.id for d in STARTER_SPLITS["test"]]
        assert held.left_out == 0

    def test_other_training_documents_are_refused(self) -> None:
        with pytest.raises(HeldOutError, match="what was held out cannot be told"):
            Holdings(manifest(training(train="0" * 64)), None).held_out(STARTER)

    def test_a_model_without_a_record_is_refused(self) -> None:
        with pytest.raises(HeldOutError, match="expected the corpora of its training"):
            Holdings(manifest({}), None)

    @pytest.mark.parametrize("what", ["id", "article", "text"])
    def test_a_held_out_document_that_was_trained_on_is_refused(
        self, what: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (first, second) = tiny_documents(2)
        twin = {
            "id": replace(second, id=first.id),
            "article": replace(second, meta={"group": first.id}),
            "text": replace(first, id="another"),
        }[what]
        holdings = Holdings(manifest({"corpora": []}), None)
        monkeypatch.setattr(holdings, "_splits", lambda _: {"train": [first], "test": [twin]})
        with pytest.raises(HeldOutError, match=f"the {what} of a training document"):
            holdings.held_out("starter")

    def test_a_text_that_another_corpus_trains_on_is_left_out(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        known, unknown = tiny_documents(2)
        splits = {
            "starter": {"train": [], "test": [replace(known, id="x"), unknown]},
            "babe": {"train": [known]},
        }
        recorded = [
            {"name": name, "sha256": {"train": digest(parts["train"])}}
            for name, parts in splits.items()
        ]
        holdings = Holdings(manifest({"corpora": recorded}), None)
        monkeypatch.setattr(holdings, "_splits", splits.get)
        held = holdings.held_out("starter")
        assert (held.left_out, list(held.splits["test"])) == (1, [unknown])

    def test_a_corpus_that_is_not_there_is_said_not_to_be_compared(self) -> None:
        recorded = training()
        recorded["corpora"].append({"name": "babe", "sha256": {"train": "0" * 64}})
        assert Holdings(manifest(recorded), None).held_out(STARTER).unchecked == ("babe",)

    def test_what_came_along_is_compared_as_it_is_today_and_named_where_that_was_other(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        known, unknown = tiny_documents(2)
        train = {"polnear": [known], "babe": [], "lines": [], "starter": []}
        splits = {name: {"train": rows, "test": [unknown]} for name, rows in train.items()}
        splits["starter"]["test"] = [replace(known, id="x"), unknown]
        sums = {name: [digest(rows)] for name, rows in train.items()}
        recorded = {
            "corpora": [{"name": "starter", "sha256": {"train": sums["starter"][0]}}],
            "inherited": dict.fromkeys([*train, "gazette", "augmented starter"], "a licence"),
            "inherited_train": {**sums, "lines": ["0" * 64, *sums["lines"]]},
        }
        splits["gazette"] = {"train": []}
        monkeypatch.setattr(Holdings, "_splits", lambda _, name: splits[name])
        held = Holdings(manifest(recorded), None).held_out("starter")
        assert (held.left_out, list(held.splits["test"])) == (1, [unknown])
        assert held.unchecked == ("lines", "gazette", "augmented starter")
        del recorded["inherited_train"]
        held = Holdings(manifest(recorded), None).held_out("starter")
        assert set(held.unchecked) == {*splits, "augmented starter"}

    def test_only_corpora_with_validation_documents_were_tuned_on(self) -> None:
        assert Holdings(manifest(training()), None).validation() == [STARTER]
        untuned = training(validation=digest(()))
        assert Holdings(manifest(untuned), None).validation() == []


def test_a_subset_is_the_same_in_any_order_and_holds_whole_articles() -> None:
    documents = tiny_documents(20)
    chosen = subset(documents, 20)
    assert sum(len(d.segments) for d in chosen) == 20
    assert chosen == [d for d in documents if d in chosen]
    assert {d.id for d in subset(documents[::-1], 20)} == {d.id for d in chosen}
    assert subset(documents, None) == documents
    assert {half_of(d) for d in documents} == {0, 1}
    halves = [replace(d, meta={"group": f"article {n // 2}"}) for n, d in enumerate(documents)]
    articles = [group_of(d) for d in subset(halves, 30)]
    assert sorted(articles[::2]) == sorted(articles[1::2]), "both halves of an article, or none"
    assert [half_of(d) for d in halves[::2]] == [half_of(d) for d in halves[1::2]]


def sentence(framed: bool | None, start: int, end: int) -> GoldSegment:
    return GoldSegment("text", start, end, framed=framed)


def test_voices_are_told_by_the_marks_and_not_by_the_model() -> None:
    segments = (
        sentence(True, 0, 10), sentence(False, 10, 20), sentence(None, 20, 30),
        sentence(None, 30, 40), sentence(False, 40, 50), sentence(False, 50, 60),
    )  # fmt: skip
    document = LabelledDocument("d", "x" * 60, segments=segments)
    places = {
        "d": [
            LoadedPlace("text", 1, 5, "outlet"), LoadedPlace("text", 6, 9, "source"),
            LoadedPlace("text", 12, 18, "source"), LoadedPlace("text", 22, 25, "short_quotation"),
            LoadedPlace("text", 51, 55, "source"), LoadedPlace("headline", 41, 45, "source"),
            LoadedPlace("text", 28, 30, "short_quotation"),  # the next segment begins there
        ]
    }  # fmt: skip
    flags = [np.array([True, True, True, True, False, False])]
    counts = voice_counts([document], flags, places)
    table = dict(zip(VOICES, counts.reshape(-1, 2).tolist(), strict=True))
    assert table == {
        "source": [1.0, 2.0], "outlet": [1.0, 1.0], "short_quotation": [1.0, 1.0],
        "none": [0.0, 1.0],
    }  # fmt: skip
    assert float(share("source", counts[0])) == 0.5
    assert float(ratio(counts[0])) == 0.5
    assert float(ratio_with_short(counts[0])) == pytest.approx(2 / 3)
    (at_threshold,) = framed_flags([np.array([[0.0, 0.5, 0.0]], dtype=np.float32)], 0.5)
    assert at_threshold.tolist() == [True]


def test_whose_voice_is_measured_on_articles_that_were_not_trained_on(tmp_path: Path) -> None:
    folder = tmp_path / "semeval2023-task3/data/raw/en"
    (folder / "train-articles-subtask-3").mkdir(parents=True)
    raw = "The plan\n\nA shameful plan.\n\n“It was a shameful plan and a road,” she said.\n"
    labels = []
    for number, name in enumerate([*range(17), *sorted(TEST_ARTICLES)[:3]]):
        path = folder / f"train-articles-subtask-3/article{name}.txt"
        path.write_text(raw.replace("plan", f"plan {number}"), encoding="utf-8")
        for word in ("A shameful", "a shameful"):
            at = path.read_text(encoding="utf-8").index(word)
            labels.append(f"{name}\tLoaded_Language\t{at}\t{at + len(word)}\n")
    (folder / "train-labels-subtask-3-spans.txt").write_text("".join(labels), encoding="utf-8")
    splits = SemEval().read(tmp_path)

    # Segment logits of this model are a window's mean, so that it cannot tell voices apart.
    model = write_model(tmp_path / "model", training=training())
    found = measure(
        Bench(model, tmp_path, Settings(baselines=False, samples=50)), "semeval2023-task3"
    )
    rows = {row.key: row for row in found.rows}
    count = len(splits["test"])
    assert count == 3
    assert (rows["semeval/quoted"].n, rows["semeval/outlet"].n) == (count, count)
    assert rows["semeval/ratio"].value.value == 1.0
    assert rows["semeval/ratio"].documents == count
    assert found.scored == {"semeval2023-task3 test": digest(splits["test"])}


def test_what_changes_with_typography_is_counted_where_typography_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # To this model a window with a full stop is framed, and any other with a curly mark sourced.
    evidence = {".": {"framed": 900.0}, "“": {"attributed": 900.0}}
    bench = Bench(write_model(tmp_path / "model", evidence, training=training()), None, Settings())
    articles = [
        "-| The plan closed.\n-| The road was closed.\n",  # the first stop is enough
        "-| The plan closed.\n-| The road was closed\n",
        "-| “The plan”, she said.\n",
        "-| A “plan\n-| The road\n",
    ]
    first, *others = parse_markup(
        "===\n".join(f"#id: d{n}\n\n{text}" for n, text in enumerate(articles))
    )
    reads = {"validation": [first], "test": others}
    monkeypatch.setattr(bench, "read", lambda name, split: bench.run(name, reads[split]))
    rows = {row.key: row for row in measure(bench, "typography").rows}
    assert {key.partition("/")[2]: (row.n, row.value.value) for key, row in rows.items()} == {
        "last_stop": (2, 0.5),
        "no_stops": (4, 1.0),
        "other_marks": (2, 0.5),
    }
    assert not any(row.higher_is_better for row in rows.values())


def test_labels_that_change_with_the_party_are_counted_by_kind_of_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parties, "_EXCHANGED", (("mayor", "minister"),))
    evidence = {"mayor": {"framed": 900.0}}
    bench = Bench(write_model(tmp_path / "model", evidence, training=training()), None, Settings())
    texts = {
        ("polnear", "validation"): "-| The minister.\n\n-| The road closed.\n",
        ("semeval2023-task3", "test"): "-| The plan.\n",
        ("babe", "validation"): "-| The mayor closed the road.\n",
        ("babe", "test"): "-| The mayor and the minister closed the road.\n",
        ("hyperpartisan-titles", "test"): "H-| Mayor closed road\n",
    }
    reads = {
        key: bench.run(key[0], parse_markup(f"#id: {'-'.join(key)}\n\n{text}"))
        for key, text in texts.items()
    }
    monkeypatch.setattr(bench, "read", lambda *key: reads[key])
    rows = {row.key: (row.n, row.value.value) for row in measure(bench, "parties").rows}
    assert rows == {
        "parties/articles": (1, 1.0), "parties/sentences": (2, 0.5), "parties/headlines": (1, 1.0),
    }  # fmt: skip


def test_whole_articles_are_judged_by_what_readers_agree_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evidence = {"shameful": {"framed": 900.0}}
    folder = write_model(tmp_path / "model", evidence, training=training())
    bench = Bench(folder, None, Settings(baselines=False))
    thresholds = {**bench.decoding.thresholds, "framed": 0.5}
    # Without evidence this model's scores lie around .5.
    monkeypatch.setattr(
        bench, "decoding", replace(bench.decoding, thresholds=thresholds, uncertain_band=0.0)
    )
    answers = {
        "A shameful plan.": True, "A shameful road.": False, "The plan closed.": False,
        "A report.": True, "The mayor.": None,
    }  # fmt: skip
    articles = [
        LabelledDocument(
            text,
            text,
            annotated=frozenset({"framed", "attributed"}),
            segments=(GoldSegment("text", 0, len(text), attributed=False, framed=framed),),
        )
        for text, framed in answers.items()
    ]
    monkeypatch.setattr(bench, "read", lambda name, _: bench.run(name, articles))
    rows = {row.key: row for row in measure(bench, "judged-articles").rows}
    assert set(rows) == {
        f"articles/{axis}/{split}"
        for axis in ("framed", "attributed")
        for split in ("validation", "test")
    }
    row = rows["articles/framed/test"]
    assert row.n == 4
    assert row.value.value == pytest.approx(0.5)
    assert row.also["right of those called framed"].value == 0.5
    assert row.also["found of those that are"].value == 0.5
    assert row.also["uncertain where readers agree"].value == 0.0
    assert row.also["uncertain where they are in doubt"].value == 0.0
    monkeypatch.setattr(bench, "decoding", replace(bench.decoding, uncertain_band=0.5))
    row = measure(bench, "judged-articles").rows[0]
    assert row.also["uncertain where they are in doubt"].value == 1.0


def _yeses(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Segments that were answered with yes, of outcomes (..., 4)."""
    found: NDArray[np.float64] = counts[..., 0] + counts[..., 1]
    return found


class TestLines:
    def test_headlines_and_sentences_are_told_apart_by_whose_answers_were_meant(
        self, bench: Bench
    ) -> None:
        found = measure(bench, LINES)
        rows = {row.key: row for row in found.rows}
        scored = subset(corpus(LINES).read(None)["test"], 60)
        assert found.scored == {"lines test": digest(scored)}
        headlines = sum(document.headline is not None for document in scored)
        assert rows["lines/headlines"].n == headlines > 0
        assert rows["lines/sentences"].n == len(scored) - headlines > 0


class TestWrittenPages:
    def test_furniture_is_told_by_line(self, bench: Bench) -> None:
        found = measure(bench, WRITTEN_PAGES)
        (row,) = found.rows
        scored = subset(corpus(WRITTEN_PAGES).read(None)["test"], 60)
        assert found.scored["pages test"] == digest(scored)
        assert row.key == "written_pages/macro_f1"
        assert row.n == sum(len(document.segments) for document in scored)


class TestStarter:
    def test_rows_over_the_subset(self, bench: Bench) -> None:
        found = measure(bench, STARTER)
        rows = {row.key: row for row in found.rows}
        scored = subset(STARTER_SPLITS["test"], 60)
        assert found.scored == {"starter test": digest(scored)}
        assert rows["starter/framed"].n == sum(len(d.segments) for d in scored)
        assert rows["starter/framed"].documents == len(scored)
        for row in found.rows:
            assert row.value.low <= row.value.value <= row.value.high
            assert row.baseline is None

    def test_page_furniture_goes_before_framing_in_the_label(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        read = bench.read(STARTER, "test")
        segments = [s for d in read.documents for s in d.segments if s.framed is not None]
        for furniture, framed_labels in ((1.01, len(segments)), (0.0, 0)):
            thresholds = {"attributed": 0.0, "framed": 0.0, "boilerplate": furniture}
            monkeypatch.setattr(bench, "decoding", replace(bench.decoding, thresholds=thresholds))
            row = axis_row(bench, "framed", _yeses, STARTER, "test", "a", "b")
            headlines = sum(s.field == "headline" for s in segments)
            assert row.value.value == len(segments)
            assert row.also["by the one label"].value == max(framed_labels, headlines)

    def test_the_made_pairs_are_told_apart_by_who_speaks(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        found = measure(bench, VOICE_PAIRS)
        rows = {row.key: row for row in found.rows}
        assert set(rows) == {"voices/source", "voices/outlet"}
        assert all(row.n == 32 for row in found.rows)
        assert list(found.scored) == [VOICE_PAIRS]
        assert rows["voices/source"].value.value == rows["voices/outlet"].value.value == 0.0
        everything = {"attributed": 1.0, "framed": 0.0, "boilerplate": 1.0}
        monkeypatch.setattr(bench, "decoding", replace(bench.decoding, thresholds=everything))
        assert [row.value.value for row in measure(bench, VOICE_PAIRS).rows] == [1.0, 1.0]
        assert not rows["voices/source"].higher_is_better
        assert rows["voices/outlet"].higher_is_better

    @pytest.mark.parametrize("field", ["headline", "text"])
    def test_what_is_of_an_article_and_scores_as_page_furniture_is_counted(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch, field: Field
    ) -> None:
        read = bench.read(STARTER, "test")
        segments = [s for d in read.documents for s in d.segments if s.field == field]
        assert field == "headline" or any(s.boilerplate for s in segments)
        expected_n = sum(s.boilerplate is False for s in segments)
        for threshold, expected in ((0.0, 1.0), (1.0, 0.0)):
            thresholds = {**bench.decoding.thresholds, "boilerplate": threshold}
            monkeypatch.setattr(bench, "decoding", replace(bench.decoding, thresholds=thresholds))
            row = taken_for_furniture(bench, read, "starter", "starter test", field)
            name = "headline_furniture" if field == "headline" else "furniture"
            assert (row.key, row.n) == (f"starter/{name}", expected_n)
            assert row.value.value == expected
            assert not row.higher_is_better

    def test_calibration_takes_each_half_with_the_other_s_temperature(self, bench: Bench) -> None:
        found = measure(bench, "calibration")
        assert list(found.scored) == ["starter validation"]
        assert [row.key for row in found.rows] == [
            "calibration/attributed", "calibration/framed", "calibration/boilerplate",
        ]  # fmt: skip
        for row in found.rows:
            assert not row.higher_is_better
            chance = "by chance, were they perfectly calibrated"
            assert set(row.also) == {"half 0", "half 1", chance}
            assert 0 <= row.also[chance].low <= row.also[chance].value <= row.also[chance].high
            assert row.n == sum(len(d.segments) for d in subset(STARTER_SPLITS["validation"], 60))

    def test_no_half_is_scored_with_what_was_tuned_on_it(self, bench: Bench) -> None:
        parts = axes_cross_fitted(bench)
        ids = [{document.id for document in half.documents} for half, _ in parts]
        assert ids[0].isdisjoint(ids[1])
        assert len(ids[0] | ids[1]) == len(subset(STARTER_SPLITS["validation"], 60))
        tuned = [decoding.temperatures["framed"] for _, decoding in parts]
        assert tuned[0] != tuned[1]
        for value, (other, _) in zip(tuned, parts[::-1], strict=True):
            logits = [found.segments for found in other.logits]
            assert value == temperature(axis_data(other.documents, logits, "framed"))

    def test_spans_are_decoded_as_the_other_half_says(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen: dict[float, set[str]] = {}

        def tune(decoding: DecodingConfig, items: Sequence[Any], logits: object) -> DecodingConfig:
            band = 0.1 + len(seen) / 10
            seen[band] = {item.document.id for item in items}
            return replace(decoding, uncertain_band=band)

        monkeypatch.setattr(quality_halves, "tune_spans", tune)
        read = bench.read(STARTER, "test")
        parts = spans_cross_fitted(bench, read)
        ids = [{document.id for document in half.documents} for half, _ in parts]
        assert ids[0] | ids[1] == {document.id for document in read.documents}
        assert [seen[decoding.uncertain_band] for _, decoding in parts] == ids[::-1]
        assert ids[0].isdisjoint(ids[1])

    def test_training_documents_are_never_read(self, bench: Bench) -> None:
        with pytest.raises(AssertionError):
            bench.read(STARTER, "train")

    def test_disagreements_are_listed_segment_by_segment(self, bench: Bench) -> None:
        documents = tiny_documents(2)
        found = disagreements(bench, documents)
        expected = {(d.document, d.index): d.expected for d in found}
        assert expected
        assert all(d.expected != d.found for d in found)
        table = disagreement_table(documents, found)
        assert table.startswith(f"{len(found)} of 10 segments in 2 articles")
        assert table.count("\n| d") == len(found)


def test_a_baseline_learns_from_the_training_part_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents = tiny_documents(24)
    splits = {"train": documents[:18], "test": documents[18:]}
    bench = Bench(write_model(tmp_path, training={"corpora": []}), None, Settings(samples=50))
    monkeypatch.setattr(bench.holdings, "_splits", lambda _: splits)
    rows = {row.key: row for row in measure(bench, STARTER).rows}
    baseline = rows["starter/boilerplate"].baseline
    assert baseline is not None
    assert baseline.value == 1.0
    assert rows["starter/boilerplate"].value.value < 1.0


def row(key: str, value: float, higher_is_better: bool = True) -> Row:
    interval = Interval(value, value, value)
    return Row(key, "what", "part", interval, 5, 2, higher_is_better=higher_is_better)


class TestFloors:
    floors = CorpusFloors({"babe test": "aa"}, {"f1": 0.8}, {"error": 0.05})

    def test_figures_on_the_right_side_pass(self) -> None:
        assert self.floors.breaches([row("f1", 0.8), row("error", 0.05)]) == []
        assert self.floors.changes({"babe test": "aa"}) == []

    def test_every_breach_is_told(self) -> None:
        assert self.floors.breaches([row("f1", 0.79), row("error", 0.06)]) == [
            "f1: expected at least 0.800, found 0.790", "error: expected at most 0.050, found 0.060"
        ]  # fmt: skip

    def test_a_figure_that_is_missing_or_undefined_is_a_breach(self) -> None:
        assert len(self.floors.breaches([row("f1", float("nan"))])) == 2

    def test_other_documents_are_no_worse_model(self) -> None:
        (change,) = self.floors.changes({"babe test": "bb"})
        assert change == "babe test: expected documents with sha256 aa, found bb"
        assert len(self.floors.changes({})) == 1
        assert len(self.floors.changes({"babe test": "aa", "babe validation": "cc"})) == 1

    def test_floors_that_are_written_are_read_and_held(self, bench: Bench, tmp_path: Path) -> None:
        measured = {STARTER: measure(bench, STARTER)}
        path = tmp_path / "floors.json"
        path.write_text(json.dumps(floors_of(bench, measured, 0.02)), encoding="utf-8")
        floors = Floors.read(path)
        assert (floors.segments, floors.model["name"]) == (60, "lookup")
        kept = floors.corpora[STARTER]
        assert kept.changes(measured[STARTER].scored) == []
        assert kept.breaches(measured[STARTER].rows) == []
        best = max(measured[STARTER].rows, key=lambda r: r.value.value)
        assert kept.at_least[best.key] == pytest.approx(best.value.value - 0.02, abs=6e-4)
        fallen = [replace(best, value=Interval(best.value.value - 0.03, 0.0, 1.0))]
        assert any(line.startswith(best.key) for line in kept.breaches(fallen))

    @pytest.mark.parametrize("content", [None, "[]", "{", '{"corpora": {"x": {"a": 1}}}'])
    def test_no_floors_are_told_with_the_command_that_makes_them(
        self, content: str | None, tmp_path: Path
    ) -> None:
        if content is not None:
            (tmp_path / "floors.json").write_text(content, encoding="utf-8")
        with pytest.raises(FloorsError, match="--write-floors"):
            Floors.read(tmp_path / "floors.json")


def test_the_table_has_every_row_with_its_standard(bench: Bench) -> None:
    measured = {"calibration": measure(bench, "calibration")}
    table = markdown(bench, measured, {"babe": "not there"})
    assert table.count("| expected calibration error of") == 3
    assert "| .03 |" in table
    assert "`python benchmarks/quality.py CORPORA_ROOT --only calibration`" in table
    assert "babe: not measured: not there" in table
    content = json.loads(json.dumps(as_json(bench, measured, {}), allow_nan=False))
    assert [r["target"] for r in content["rows"]] == [".03", ".03", ".03"]


def test_an_undefined_figure_is_null(bench: Bench) -> None:
    from framelens_training.quality import Measured

    nothing = Measured([row("x", float("nan"))], {})
    content = json.loads(json.dumps(as_json(bench, {"x": nothing}, {}), allow_nan=False))
    assert content["rows"][0]["value"] is None
    assert "undefined" in markdown(bench, {"x": nothing}, {})


def script(name: str) -> Any:
    path = Path(__file__).parents[2] / "benchmarks" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"benchmark_of_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_benchmark_writes_floors_and_prints_its_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = write_model(tmp_path / "model", training=training())
    path = tmp_path / "floors.json"
    arguments = ["--model", str(model), "--only", STARTER, "babe", "--write-floors", str(path)]
    monkeypatch.setattr(sys, "argv", ["quality.py", *arguments])
    assert script("quality").main() == 3  # BABE is not there
    printed = capsys.readouterr()
    assert "| framed, macro-F1 | starter test, 15 articles | 311 |" in printed.out
    assert "* babe: not measured: babe: expected the root folder" in printed.out
    assert "starter test: 15 documents, 311 segments read" in printed.err
    assert set(Floors.read(path).corpora) == {STARTER}


def test_a_cascade_is_measured_on_what_neither_model_was_trained_on(bench: Bench) -> None:
    first, second, third = tiny_documents(3)
    reads = [bench.run("a", [first, second]), bench.run("b", [second, third])]
    assert [read.documents for read in script("cascade").both_hold(reads)] == [[second], [second]]


def test_a_cascade_without_its_corpora_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = str(write_model(tmp_path / "model", training=training()))
    arguments = [str(tmp_path), "--model", model, "--defer-to", model]
    monkeypatch.setattr(sys, "argv", ["cascade.py", *arguments])
    assert script("cascade").main() == 1
    assert "babe" in capsys.readouterr().err


def test_a_baseline_is_tuned_outside_the_split_that_it_is_scored_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tuned_on: list[set[str]] = []

    def spying_fit(train: Any, validation: Any, *_: Any) -> Any:
        tuned_on.append({document.id for document in validation})
        return {"tfidf": {}}

    monkeypatch.setattr(quality_bench, "fit_baselines", spying_fit)
    bench = Bench(write_model(tmp_path / "model", training=training()), None, Settings())
    bench.tfidf(STARTER, "test")
    bench.tfidf(STARTER, "validation")
    bench.tfidf(STARTER, "test")
    held_out = {document.id for document in STARTER_SPLITS["validation"]}
    assert len(tuned_on) == 2
    assert tuned_on[0] == held_out
    assert held_out.isdisjoint(tuned_on[1])


def test_every_standard_is_of_a_row_that_some_measure_gives() -> None:
    prefixes: Sequence[str] = [
        "polnear/", "babe/", "checkthat/", "semeval/", "titles/", "pages/", "calibration/",
        "starter/", "voices/", "typography/", "parties/", "articles/", "lines/", "written_pages/",
    ]  # fmt: skip
    assert len(prefixes) == len(MEASURES)
    assert all(any(key.startswith(prefix) for prefix in prefixes) for key in STANDARDS)


def test_the_bootstrap_takes_any_statistic_of_counts() -> None:
    counts = np.array([[1, 1, 1], [0, 1, 1], [3, 4, 5]])
    found = bootstrap(counts, 200, 0, span_f1)
    assert found.value == pytest.approx(2 * 4 / (6 + 7))
    assert found.low < found.value < found.high
