from __future__ import annotations

import json
import shutil
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import framelens
from framelens.artifact import Artifact
from framelens.decoding import DecodingConfig, DocumentLogits
from framelens.features import Featurizer
from framelens.schema import AXES, Axis
from framelens_training.cli import main
from framelens_training.config import LOSS_PARTS, LossPart
from framelens_training.corpora.labelled import (
    Annotated,
    GoldSegment,
    GoldSpan,
    LabelledDocument,
    digest,
    read_jsonl,
    write_jsonl,
)
from framelens_training.corpora.splits import group_of
from framelens_training.errors import RecalibrationError
from framelens_training.own_labels import read_labels
from framelens_training.recalibration import FOLDS, Recalibration, recalibrate
from framelens_training.seen_texts import fingerprint, read_seen, write_seen
from framelens_training.targets import featurize_document
from framelens_training.tracking_store import DEFAULT_URI, open_store

WORDS = (
    "alder", "birch", "cedar", "damson", "elder", "fir", "gorse", "hazel", "ivy", "juniper",
    "kelp", "larch", "maple", "nettle", "oak", "pine", "quince", "rowan", "sorrel", "thistle",
)  # fmt: skip


def sentence(number: int, role: str = "text", **answers: bool) -> LabelledDocument:
    """A document of one segment; texts are unlike each other, so that each is an article."""
    first, second, third = (WORDS[number // 20**n % 20] for n in range(3))
    text = f"The {first} of the {second} met a {third}, number {number}."
    segment = GoldSegment("headline" if role == "headline" else "text", 0, len(text), **answers)
    headline, body = (text, "") if role == "headline" else (None, text)
    annotated: frozenset[Annotated] = frozenset(answers)  # type: ignore[arg-type]
    return LabelledDocument(
        f"{role}{number}", body, headline, annotated=annotated, segments=(segment,)
    )


def logits(value: float, axis: Axis, *, headline: bool = False) -> DocumentLogits:
    row = np.zeros((1, len(AXES)), dtype=np.float32)
    row[0, AXES.index(axis)] = value
    return DocumentLogits(row, (), np.array([headline]))


def shifted(
    count: int, shift: float, featurizer: Featurizer, role: str = "text", first: int = 0
) -> tuple[list, list[DocumentLogits]]:
    """Sentences whose logits of `framed` are twice as sure as they should be, and shifted."""
    random = np.random.default_rng(first + 7)
    true = random.normal(0.0, 2.0, count)
    gold = random.random(count) < 1 / (1 + np.exp(-true))
    items = [
        featurize_document(sentence(first + n, role, framed=bool(answer)), featurizer)
        for n, answer in enumerate(gold)
    ]
    answers = [logits(2 * x + shift, "framed", headline=role == "headline") for x in true]
    return items, answers


def test_slope_and_offset_are_found(featurizer: Featurizer) -> None:
    found = recalibrate(DecodingConfig(), *shifted(400, 3.0, featurizer), samples=0)
    assert found.decoding.temperatures["framed"] == pytest.approx(2.0, abs=0.3)
    assert found.decoding.offsets["framed"] == pytest.approx(-1.5, abs=0.3)
    assert found.decoding.thresholds["framed"] == 0.5
    change = found.axes["framed"]
    assert change.after.value > change.before.value + 0.05
    assert change.error_after < 0.05 < change.error_before
    for axis in ("attributed", "boilerplate"):
        assert axis not in found.axes
        assert found.decoding.temperatures[axis] == 1.0
        assert found.decoding.offsets[axis] == 0.0
        assert found.decoding.thresholds[axis] == DecodingConfig().thresholds[axis]


def test_what_comes_after_is_measured_on_other_articles(featurizer: Featurizer) -> None:
    # Logits that say nothing: what fits the labels themselves would look better than chance.
    items, _ = shifted(80, 0.0, featurizer)
    noise = np.random.default_rng(3).normal(0.0, 1.0, len(items))
    answers = [logits(float(x), "framed") for x in noise]
    found = recalibrate(DecodingConfig(), items, answers, samples=0)
    assert found.axes["framed"].after.value < 0.6


def test_headlines_alone_say_nothing_of_other_segments(featurizer: Featurizer) -> None:
    before = DecodingConfig(thresholds={"attributed": 0.5, "framed": 0.4, "boilerplate": 0.5})
    items, answers = shifted(300, 3.0, featurizer, "headline")
    found = recalibrate(before, items, answers, samples=0).decoding
    assert found.headline_offsets["framed"] < -1
    assert (found.temperatures, found.offsets) == (before.temperatures, before.offsets)
    assert found.thresholds == before.thresholds


def test_headlines_get_an_offset_of_their_own_beside_others(featurizer: Featurizer) -> None:
    items, answers = shifted(300, 0.0, featurizer)
    more, others = shifted(300, 3.0, featurizer, "headline", first=1000)
    found = recalibrate(DecodingConfig(), items + more, answers + others, samples=0).decoding
    assert found.offsets["framed"] == pytest.approx(0.0, abs=0.3)
    assert found.headline_offsets["framed"] == pytest.approx(-1.5, abs=0.4)


def test_few_headlines_count_with_the_others(featurizer: Featurizer) -> None:
    items, answers = shifted(50, 3.0, featurizer)
    more, others = shifted(50, 3.0, featurizer, "headline", first=1000)
    found = recalibrate(DecodingConfig(), items + more, answers + others, samples=0)
    assert found.axes["framed"].kind == "segments"
    assert found.decoding.headline_offsets == DecodingConfig().headline_offsets


def test_few_yeses_among_many_noes_are_not_enough(featurizer: Featurizer) -> None:
    _, answers = shifted(200, 3.0, featurizer)
    rare = [featurize_document(sentence(n, framed=n % 10 == 0), featurizer) for n in range(200)]
    with pytest.raises(RecalibrationError, match="30 yeses"):
        recalibrate(DecodingConfig(), rare, answers, samples=0)


def test_what_other_labels_say_of_page_furniture_counts(featurizer: Featurizer) -> None:
    """A sentence judged for framing on its own is none, and a headline is not asked about."""
    random = np.random.default_rng(5)
    items, answers = shifted(100, 0.0, featurizer)
    titles, others = shifted(100, 0.0, featurizer, "headline", first=1000)
    for n in range(100):
        value = float(random.normal(2.0, 2.0))
        answer = bool(random.random() < 1 / (1 + np.exp(-value)))
        items.append(featurize_document(sentence(2000 + n, boilerplate=answer), featurizer))
        answers.append(logits(value, "boilerplate"))
    found = recalibrate(DecodingConfig(), items + titles, answers + others, samples=0)
    assert found.axes["boilerplate"].segments == 200
    assert found.axes["framed"].segments == 200


def test_labels_of_one_article_say_nothing_of_others(featurizer: Featurizer) -> None:
    items, answers = shifted(200, 3.0, featurizer)
    of_one = [
        featurize_document(
            replace(sentence(1000 + n, attributed=n % 2 == 0), meta={"group": "one"}), featurizer
        )
        for n in range(100)
    ]
    before = DecodingConfig()
    logits_of_one = [logits(5.0, "attributed")] * 100
    found = recalibrate(before, items + of_one, answers + logits_of_one, samples=0)
    assert found.axes["attributed"].kind is None
    assert found.decoding.offsets["attributed"] == 0.0
    with pytest.raises(RecalibrationError, match="found 1 "):
        recalibrate(before, of_one, logits_of_one, samples=0)


def test_what_is_surely_worse_is_not_taken(featurizer: Featurizer) -> None:
    # The threshold makes up for headlines that are scored too low; a fitted offset does so again.
    before = DecodingConfig(thresholds={"attributed": 0.5, "framed": 0.05, "boilerplate": 0.5})
    items, answers = shifted(400, -3.0, featurizer, "headline")
    found = recalibrate(before, items, answers, samples=200)
    assert found.axes["framed"].difference.high < 0
    assert found.decoding == before


def test_an_axis_with_few_labels_stays_as_it_was(featurizer: Featurizer) -> None:
    items, answers = shifted(200, 3.0, featurizer)
    few = [
        featurize_document(sentence(1000 + n, attributed=n % 2 == 0), featurizer) for n in range(20)
    ]
    before = DecodingConfig(thresholds={"attributed": 0.41, "framed": 0.4, "boilerplate": 0.5})
    found = recalibrate(before, items + few, answers + [logits(0.3, "attributed")] * 20, samples=0)
    assert found.axes["attributed"].kind is None
    assert found.decoding.thresholds == {"attributed": 0.41, "framed": 0.5, "boilerplate": 0.5}


def test_what_the_model_never_learnt_stays_as_it_was(featurizer: Featurizer) -> None:
    items, _ = shifted(200, 3.0, featurizer)
    no = [logits(-10.0, "framed") for _ in items]
    with pytest.raises(RecalibrationError, match=r"has learnt \(attributed\)"):
        recalibrate(DecodingConfig(), items, no, ["attributed"], samples=0)
    random = np.random.default_rng(2)
    more = [
        featurize_document(sentence(1000 + n, attributed=random.random() < 0.6), featurizer)
        for n in range(200)
    ]
    both = [*no, *(logits(float(x), "attributed") for x in random.normal(0, 1, 200))]
    found = recalibrate(DecodingConfig(), items + more, both, ["attributed"], samples=0)
    assert (found.axes["framed"].kind, found.axes["attributed"].kind) == (None, "segments")
    assert found.decoding.temperatures["framed"] == 1.0
    assert found.decoding.offsets["framed"] == 0.0


def test_spans_that_the_model_never_learnt_are_decoded_as_before(featurizer: Featurizer) -> None:
    with pytest.raises(RecalibrationError, match=r"has learnt \(attributed, framed, boilerplate\)"):
        spans_of_one_word(0.35, featurizer, learnt=AXES)


@pytest.mark.parametrize(("count", "needed"), [(FOLDS - 1, "5 articles"), (20, "30 yeses")])
def test_too_few_labels_are_told(count: int, needed: str, featurizer: Featurizer) -> None:
    with pytest.raises(RecalibrationError, match=needed):
        recalibrate(DecodingConfig(), *shifted(count, 0.0, featurizer), samples=0)


def spans_of_one_word(
    probability: float,
    featurizer: Featurizer,
    learnt: Collection[LossPart] = LOSS_PARTS,
    count: int = 80,
) -> Recalibration:
    """Loaded words, of which the model says that each is loaded with a probability."""
    items, answers = [], []
    logit = np.log(probability / (1 - probability))
    for number in range(count):
        document = replace(sentence(number), annotated=frozenset({"loaded_spans"}))
        start = document.text.index("the")
        document = replace(document, spans=(GoldSpan("text", "loaded", start, start + 3),))
        item = featurize_document(document, featurizer)
        words = item.features.segments[0]
        tokens = np.full((len(words.ids), 8), -9.0, dtype=np.float32)
        tokens[words.offsets[:, 0] == start, -1] = logit
        items.append(item)
        axes = np.array([[0.0, 0.0, -9.0]], dtype=np.float32)
        answers.append(DocumentLogits(axes, (tokens,), np.array([False])))
    return recalibrate(DecodingConfig(), items, answers, learnt, samples=0)


def test_spans_are_given_from_a_probability_that_fits(featurizer: Featurizer) -> None:
    found = spans_of_one_word(0.35, featurizer)
    change = found.spans["loaded"]
    assert (change.before, change.taken) == (0.0, True)
    assert change.after == 1.0
    assert found.decoding.span_thresholds["loaded"] < 0.5


def test_spans_that_get_no_better_are_decoded_as_before(featurizer: Featurizer) -> None:
    found = spans_of_one_word(0.9, featurizer)
    change = found.spans["loaded"]
    assert (change.before, change.after, change.taken) == (1.0, 1.0, False)
    assert found.decoding == DecodingConfig()


def test_spans_are_enough_where_they_are_without_each_fifth(featurizer: Featurizer) -> None:
    with pytest.raises(RecalibrationError, match="50 spans of a layer in any four fifths"):
        spans_of_one_word(0.35, featurizer, count=55)


def labels(count: int, path: Path) -> Path:
    """Sentences that the lookup model takes for framed less often than they are."""
    documents = []
    for number in range(count):
        one = sentence(number)
        start = ("Another shameful", "Yet another", "The")[number % 3]
        text = f"{start} plan: {one.text}"
        segment = GoldSegment(
            "text", 0, len(text), framed=number % 3 < 2, attributed=False, boilerplate=False
        )
        documents.append(replace(one, text=text, annotated=frozenset(AXES), segments=(segment,)))
    write_jsonl(documents, path)
    return path


def test_the_command_writes_a_model_and_records_it(
    model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    path = labels(150, tmp_path / "mine.jsonl")
    assert main(["calibrate", str(model_folder), str(path), "--name", "news"]) == 0
    (folder,) = tmp_path.glob("runs/news-*/model")
    artifact = Artifact.open(folder)
    before = Artifact.open(model_folder).manifest
    manifest = artifact.manifest
    assert (manifest.name, manifest.version) == ("news", f"{before.version}+calibrated")
    assert manifest.files["model.onnx"] == before.files["model.onnx"]
    assert manifest.decoding.thresholds["framed"] == 0.5
    assert manifest.decoding.offsets["framed"] != 0
    assert manifest.decoding.thresholds["attributed"] == before.decoding.thresholds["attributed"]
    scorer = framelens.load(folder)  # its golden answers are its own
    shameful = scorer.score("Another shameful plan on the road to nowhere, she is told.")
    assert (
        shameful.segments[0].scores["framed"]
        != (
            framelens.load(model_folder)
            .score(shameful.segments[0].text)
            .segments[0]
            .scores["framed"]
        )
    )
    card = (folder / "MODEL_CARD.md").read_text("utf-8")
    assert card.startswith(f"# news {manifest.version}\n")
    assert "mine.jsonl (150 documents" in card

    client = open_store(DEFAULT_URI)
    (run,) = client.search_runs([client.get_experiment_by_name("framelens").experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.params["model.sha256"] == Artifact.open(model_folder).info.sha256
    decoding = Artifact.open(folder).manifest.decoding
    recorded = client.download_artifacts(run.info.run_id, "decoding.json")
    assert json.loads(Path(recorded).read_text("utf-8")) == decoding.to_dict()
    for name in ("headline_offsets", "span_thresholds"):
        for key, value in getattr(decoding, name).items():
            assert run.data.params[f"{name}.{key}"] == str(value)
    assert {"recalibration/framed/ece_before", "recalibration/framed/macro_f1_after"} <= set(
        run.data.metrics
    )
    (given,) = run.inputs.dataset_inputs
    assert given.dataset.name == "labels mine"


@pytest.mark.parametrize("more", [0, 1])
def test_a_calibrated_model_is_not_judged_by_the_labels_that_it_was_fitted_to(
    more: int,
    model_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    path = labels(150, tmp_path / "mine.jsonl")
    assert main(["calibrate", str(model_folder), str(path), "--name", "news"]) == 0
    test = labels(150 + more, tmp_path / "test.jsonl")
    pinned = digest(read_jsonl(test))
    assert main(["promote", "news", "--test", str(test), "--sha256", pinned]) == 1
    assert f"found 150 of {150 + more} that it has" in capsys.readouterr().err


def calibrated(model: Path | str, path: Path, output: Path, *more: str) -> int:
    return main(["calibrate", str(model), str(path), "-o", str(output), "--no-tracking", *more])


def test_calibrating_again_leaves_one_account_in_the_card(
    model_folder: Path, tmp_path: Path
) -> None:
    path = labels(150, tmp_path / "mine.jsonl")
    assert calibrated(model_folder, path, tmp_path / "first") == 0
    (first,) = tmp_path.glob("first/*/model")
    other = tmp_path / "other.jsonl"
    swapped = [
        replace(d, segments=tuple(replace(s, framed=not s.framed) for s in d.segments))
        for d in read_jsonl(path)
    ]
    write_jsonl(swapped, other)
    assert calibrated(first, other, tmp_path / "second") == 0
    (second,) = tmp_path.glob("second/*/model")
    manifest = Artifact.open(second).manifest
    assert manifest.version.endswith("+calibrated.2")
    recorded = manifest.training["recalibrated"]
    assert recorded["from"]["version"].endswith("+calibrated")
    assert recorded["from"]["recalibrated"]["labels"][0]["file"] == "mine.jsonl"
    card = (second / "MODEL_CARD.md").read_text("utf-8")
    assert card.count(", calibrated anew**") == card.count("## Calibrated anew") == 1
    assert "other.jsonl" in card
    assert "mine.jsonl" not in card


def test_labels_that_improve_nothing_leave_no_model(
    model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = labels(150, tmp_path / "mine.jsonl")
    assert calibrated(model_folder, path, tmp_path / "first") == 0
    (first,) = tmp_path.glob("first/*/model")
    capsys.readouterr()
    assert calibrated(first, path, tmp_path / "second") == 0
    assert "is left as it is" in capsys.readouterr().out
    assert not (tmp_path / "second").exists()


def test_what_the_model_was_trained_on_is_refused_and_stays_on_record(
    model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = labels(150, tmp_path / "mine.jsonl")
    run = tmp_path / "run"
    shutil.copytree(model_folder, run / "model")
    stranger = fingerprint(sentence(5000, framed=True))
    write_seen(run, [stranger])
    assert calibrated(run / "model", path, tmp_path / "out") == 0
    (folder,) = tmp_path.glob("out/*")
    assert read_seen(folder) == {stranger}
    write_seen(run, [stranger, fingerprint(read_jsonl(path)[0])])
    assert calibrated(run / "model", path, tmp_path / "refused") == 1
    assert "found 1 of 150 that it has" in capsys.readouterr().err


def test_what_a_model_in_the_registry_was_trained_on_is_known_as_well(
    model_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("FRAMELENS_CACHE", str(tmp_path / "cache"))
    path = labels(150, tmp_path / "mine.jsonl")
    stranger = sentence(5000, framed=True)
    shutil.copytree(model_folder, tmp_path / "run" / "model")
    write_seen(tmp_path / "run", [fingerprint(stranger)])
    assert main(["calibrate", str(tmp_path / "run" / "model"), str(path), "--name", "news"]) == 0
    swapped = [
        replace(d, segments=tuple(replace(s, framed=not s.framed) for s in d.segments))
        for d in read_jsonl(path)
    ]
    write_jsonl(swapped, tmp_path / "other.jsonl")
    registered = "models:/news@challenger"
    assert calibrated(registered, tmp_path / "other.jsonl", tmp_path / "out") == 0
    (folder,) = tmp_path.glob("out/*")
    assert read_seen(folder) == {fingerprint(stranger)}
    write_jsonl([*swapped, stranger], tmp_path / "more.jsonl")
    assert calibrated(registered, tmp_path / "more.jsonl", tmp_path / "refused") == 1
    assert "found 1 of 151 that it has" in capsys.readouterr().err


def test_the_same_labels_are_not_counted_twice(
    model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = labels(60, tmp_path / "mine.jsonl")
    copy = labels(60, tmp_path / "copy.jsonl")
    assert main(["calibrate", str(model_folder), str(path), str(copy), "--no-tracking"]) == 1
    assert "each label once" in capsys.readouterr().err


def test_texts_of_one_id_are_one_article(tmp_path: Path) -> None:
    labels(10, tmp_path / "a.jsonl")
    write_jsonl(
        [replace(d, text=d.text + " ") for d in read_jsonl(tmp_path / "a.jsonl")],
        tmp_path / "b.jsonl",
    )
    first, second = read_labels([tmp_path / "a.jsonl", tmp_path / "b.jsonl"])
    assert {d.id for d in first.documents}.isdisjoint(d.id for d in second.documents)
    assert [group_of(d) for d in first.documents] == [group_of(d) for d in second.documents]


@pytest.mark.parametrize(
    "given", [("--name", "../out"), ("--name", ""), ("--name", "a\nb"), ("--version", "")]
)
def test_a_name_that_cannot_be_a_models_is_refused(
    given: tuple[str, str], model_folder: Path, tmp_path: Path
) -> None:
    path = labels(12, tmp_path / "mine.jsonl")
    assert calibrated(model_folder, path, tmp_path / "out", *given) == 2


def test_an_output_that_cannot_be_made_is_told(
    model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = labels(150, tmp_path / "mine.jsonl")
    assert calibrated(model_folder, path, path / "out") == 1
    assert "cannot be made: Not a directory; name another" in capsys.readouterr().err


def test_an_interruption_leaves_nothing_behind(
    model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("framelens_training.recalibrated_artifact.complete_artifact", interrupted)
    path = labels(150, tmp_path / "mine.jsonl")
    assert calibrated(model_folder, path, tmp_path / "out") == 130
    assert not list((tmp_path / "out").iterdir())


def test_too_few_labels_end_before_anything_is_written(
    model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = labels(12, tmp_path / "mine.jsonl")
    output = tmp_path / "out"
    command = ["calibrate", str(model_folder), str(path), "-o", str(output), "--no-tracking"]
    assert main(command) == 1
    assert "30 yeses" in capsys.readouterr().err
    assert not output.exists()
