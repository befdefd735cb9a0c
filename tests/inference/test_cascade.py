"""A second model that answers the documents of which the first is not sure."""

from __future__ import annotations

import itertools
import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import framelens
from framelens import limits as limits_module
from framelens.artifact import Artifact, Golden
from framelens.cascade import Cascade, is_deferred
from framelens.cli import main
from framelens.decoding import DecodingConfig, DocumentLogits
from framelens.deferral import DEFER_SHARE, DEFER_WITHIN, Deferral
from framelens.in_order import _Remembered
from framelens.limits import Limits
from framelens.progress import Tally
from framelens.rows import Answer
from framelens.workers import Settings, finished
from support import EVIDENCE, read_jsonl, write_model

DOUBTED = "Another plan."  # the mean evidence of its tokens makes it .52
SURE = "A shameful plan."
LONG = " ".join(["the"] * 18) + " road."
LONG_DOUBTED, LONG_SURE = f"Yet {LONG}", f"And {LONG}"  # a window each


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    evidence = {**EVIDENCE, "another": {"framed": 15.5}, "yet": {"framed": 69.0}}
    return write_model(tmp_path_factory.mktemp("first") / "model", evidence, name="first")


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Path:
    evidence = {**EVIDENCE, "plan": {"attributed": 40.0}}
    return write_model(tmp_path_factory.mktemp("second") / "model", evidence, name="second")


@pytest.fixture(scope="module")
def cascade(first: Path, second: Path) -> framelens.Scorer:
    return framelens.load(first, defer_to=second)


def records() -> list[dict[str, Any]]:
    """More than are scored without workers; half of them are deferred, some twice."""
    texts = [(DOUBTED, SURE, "The mayor said a road closed.")[n % 3] for n in range(14)]
    rows: list[dict[str, Any]] = [{"id": f"r{n}", "text": text} for n, text in enumerate(texts)]
    rows += [{"id": f"o{n}", "text": f"Another {' ' * n} plan."} for n in range(6)]
    return [*rows, {"id": "bad", "text": 5}, {"id": "none", "text": ""}]


def test_an_answer_is_one_models_alone(
    first: Path, second: Path, cascade: framelens.Scorer
) -> None:
    small, large = framelens.load(first), framelens.load(second)
    for text, answered_by in ((SURE, small), ("The minister ranted.", small), (DOUBTED, large)):
        expected = answered_by.score(text, "Road closed")
        assert expected.model == answered_by.model
        for headline in ("Road closed", None):
            assert cascade.score(text, headline) == answered_by.score(text, headline)
    assert small.score(DOUBTED) != large.score(DOUBTED)
    assert cascade.model == small.model


@pytest.mark.parametrize(("sure", "deferred"), [(3, True), (4, False)])
def test_a_quarter_of_the_segments_must_be_in_doubt(
    first: Path, second: Path, cascade: framelens.Scorer, sure: int, deferred: bool
) -> None:
    text = "\n\n".join([LONG_DOUBTED, *[LONG_SURE] * sure])
    document = cascade.score(text)
    assert len(document.segments) == 1 + sure
    assert document.model.name == ("second" if deferred else "first")
    assert (
        framelens.load(first, defer_to=second, defer_share=0.2).score(text).model.name == "second"
    )
    assert framelens.load(first, defer_to=second, defer_share=0.3).score(text).model.name == "first"


def test_how_near_a_threshold_is_in_doubt(first: Path, second: Path) -> None:
    everything = framelens.load(first, defer_to=second, defer_within=1)
    nothing = framelens.load(first, defer_to=second, defer_within=0)
    for text in (SURE, DOUBTED):
        assert everything.score(text).model.name == "second"
        assert nothing.score(text).model.name == "first"
    assert everything.score("").model.name == "first", "there is nothing to be in doubt about"
    score = nothing.score(DOUBTED).segments[0].scores["framed"]
    for within, name in ((abs(score - 0.5) - 0.001, "first"), (abs(score - 0.5) + 0.001, "second")):
        found = framelens.load(first, defer_to=second, defer_within=within).score(DOUBTED)
        assert found.model.name == name


def test_many_records_in_order_whoever_scores_them(cascade: framelens.Scorer) -> None:
    alone = [cascade.score_record(row, default_id="") for row in records()]
    names = [document.model.name for document in alone]
    assert names.count("second") == 5 + 6
    assert names[:4] == ["second", "first", "first", "second"]
    assert names[-2:] == ["first", "first"]
    assert list(cascade.score_many(records())) == alone
    assert list(cascade.score_many(records(), workers=2)) == alone
    readings = [cascade.read(text) for text in (DOUBTED, SURE, DOUBTED, SURE)]
    together = cascade.decode(readings)
    assert together == [cascade.decode([reading])[0] for reading in readings]
    assert together == cascade.decode(pickle.loads(pickle.dumps(readings)))


def test_a_reading_is_decoded_by_the_model_that_read_it(
    first: Path, second: Path, cascade: framelens.Scorer
) -> None:
    small, large = framelens.load(first), framelens.load(second)
    assert cascade.decode([small.read(SURE)]) == [small.score(SURE)]
    assert cascade.decode([small.read(DOUBTED)]) == [large.score(DOUBTED)]
    assert cascade.decode_own([cascade.read(DOUBTED)]) == [small.score(DOUBTED)]
    unsure = replace(cascade.read(DOUBTED), model=large.model)  # it would be deferred
    for scorer in (small, cascade):
        for reading in (large.read(SURE), large.read(DOUBTED), unsure):
            with pytest.raises(
                ValueError, match=r"that first 1\.0\.0 has read, found one of second"
            ):
                scorer.decode([reading])


def test_a_frame(cascade: framelens.Scorer) -> None:
    pandas = pytest.importorskip("pandas")
    rows = [row for row in records() if row["text"] != 5]
    for workers in (1, 2):
        scored = cascade.score_frame(pandas.DataFrame(rows), explode=True, workers=workers)
        names = [cascade.score(row["text"]).model.name for row in rows]
        assert scored["model_name"].tolist() == names


def test_other_processes_open_both_models(cascade: framelens.Scorer) -> None:
    copy = pickle.loads(pickle.dumps(cascade))
    assert isinstance(copy, Cascade)
    assert copy.score(DOUBTED) == cascade.score(DOUBTED)
    assert copy.deferral == cascade.deferral


def test_settings_come_along_into_other_processes(first: Path, second: Path) -> None:
    deferral = Deferral(Artifact.open(second), 0.2, 0.5)
    limits = Limits(characters=50)
    artifact = Artifact.open(first)
    scorer = Cascade(artifact, deferral, threads=2, limits=limits, cached_windows=3)
    for found in (scorer, pickle.loads(pickle.dumps(scorer))):
        _, arguments = found.__reduce__()
        assert arguments == (artifact.path, deferral.artifact.path, 0.2, 0.5, 2, limits, 3)
        _, arguments = found.second.__reduce__()
        assert arguments == (deferral.artifact.path, 2, limits, 3)
    settings = Settings(first, artifact.info, limits, threads=2, deferral=deferral)
    assert settings.open().__reduce__()[1][:-1] == scorer.__reduce__()[1][:-1]


def test_no_worker_takes_a_model_that_was_put_in_the_place_of_another(tmp_path: Path) -> None:
    folders = {name: write_model(tmp_path / name, name=name) for name in ("first", "second")}
    artifact, second = (Artifact.open(folder) for folder in folders.values())
    settings = Settings(artifact.path, artifact.info, Limits(), deferral=Deferral(second))
    for name, folder in folders.items():
        settings.open()
        write_model(folder, name=name, version="1.0.1")
        with pytest.raises(
            framelens.ArtifactError, match=f"began, {name} 1.0.0 .* found {name} 1.0.1 "
        ):
            settings.open()
        write_model(folder, name=name)


def test_limits_hold_for_both(first: Path, second: Path) -> None:
    scorer = framelens.load(first, defer_to=second, limits=Limits(characters=20))
    assert scorer.second is not None
    assert scorer.second.limits == scorer.limits
    (document,) = scorer.score_many(["x" * 21])
    assert document.error is not None
    assert document.error.code == "too_long"
    assert document.model.name == "first"


def test_both_models_share_the_time_of_a_document(
    first: Path, second: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "\n\n".join([LONG_DOUBTED] * 4)  # four windows, and a look at the clock before each
    scorer = framelens.load(first, defer_to=second, limits=Limits(seconds=6))
    clock = itertools.count()
    monkeypatch.setattr(limits_module.time, "monotonic", lambda: float(next(clock)))
    with pytest.raises(framelens.LimitError) as late:
        scorer.score(text)
    assert late.value.code == "too_slow"
    assert "found 1 of 4 windows read" in str(late.value)
    assert "first had read all of it and deferred it to second" in str(late.value)
    assert framelens.load(first, limits=Limits(seconds=6)).score(text).status == "ok"
    (document,) = scorer.score_many([text])
    assert document.error is not None
    assert document.error.code == "too_slow"


def test_a_process_that_was_stopped_has_worked_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 2.0, 9000.0, 9001.0, 9050.0])
    monkeypatch.setattr(limits_module.time, "monotonic", lambda: next(clock))
    watch = limits_module.Stopwatch(60.0, 1.0)
    assert [watch.look() for _ in range(4)] == [3.0, 9.0, 10.0, 16.0]
    clock = iter([0.0, 0.5, 9000.0])
    watch = limits_module.Stopwatch(3.0)
    assert [watch.is_over() for _ in range(2)] == [False, False]


def test_whose_time_runs_out_does_not_stop_the_others(cascade: framelens.Scorer) -> None:
    reading = cascade.read(DOUBTED)
    late = replace(reading, seconds=cascade.limits.seconds + 1)
    found = finished(cascade, [reading, late, cascade.read(SURE)])
    assert [document.model.name for document in found] == ["second", "first", "first"]
    assert [document.error.code if document.error else None for document in found] == [
        None, "too_slow", None,
    ]  # fmt: skip
    assert cascade.decode([late])[0] == found[1]


def test_lateness_does_not_depend_on_the_neighbours(
    first: Path, second: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it would if a late document were tried again, with some of its windows remembered."""
    scorer = framelens.load(first, defer_to=second, limits=Limits(seconds=6))
    clock = itertools.count()
    monkeypatch.setattr(limits_module.time, "monotonic", lambda: float(next(clock)))
    slow = [scorer.read("\n\n".join([LONG_DOUBTED, *[f"{LONG_DOUBTED} {n}"] * 3])) for n in (1, 2)]
    for documents in (finished(scorer, slow), finished(scorer, slow[1:])):
        assert {document.error.code for document in documents if document.error} == {"too_slow"}
        assert all(document.error for document in documents)


@pytest.mark.parametrize(
    ("rows", "deferred"),
    [
        ([(0.0, 0.1, -4.0), (-4.0, -4.0, -4.0), (-4.0, -4.0, -4.0), (-4.0, -4.0, -4.0)], True),
        ([(0.0, 0.1, -4.0), *[(-4.0, -4.0, -4.0)] * 4], False),
        ([(0.0, 0.1, -4.0), *[(-4.0, -4.0, 4.0)] * 9], True),  # page furniture, for sure
        ([(-4.0, -4.0, 0.1), *[(-4.0, -4.0, 4.0)] * 9], True),  # that may be none, among some
        ([(-4.0, -4.0, 4.0)] * 3, False),
        ([(0.1, 4.0, -4.0)] * 3, False),  # framed, whatever it says of sources
        ([], False),
    ],
)
def test_which_documents_are_deferred(
    rows: list[tuple[float, float, float]], deferred: bool
) -> None:
    segments = np.array(rows, dtype=np.float32).reshape(-1, 3)
    logits = DocumentLogits(segments, (), np.zeros(len(rows), dtype=np.bool_))
    assert is_deferred(logits, DecodingConfig(), DEFER_WITHIN, DEFER_SHARE) is deferred


def test_an_answer_kept_for_duplicates_is_still_a_deferred_one() -> None:
    for body in ("{}", json.dumps({"text": "x" * 5000})):
        answer = Answer(None, 1, {"plain": 1}, body, deferred=True)
        assert _Remembered.of(answer).answer() == answer


def test_what_cannot_be_a_cascade(first: Path, second: Path, tmp_path: Path) -> None:
    with pytest.raises(
        framelens.ArtifactError, match=r"another model .* found first 1\.0\.0 twice"
    ):
        framelens.load(first, defer_to=first)
    with pytest.raises(ValueError, match=r"expected defer_within from 0 to 1, found 1\.5"):
        framelens.load(first, defer_to=second, defer_within=1.5)
    with pytest.raises(ValueError, match=r"expected defer_share from 0 to 1, found -1"):
        framelens.load(first, defer_to=second, defer_share=-1)
    for alone in ({"defer_within": 0.1}, {"defer_share": 0.1}):
        with pytest.raises(ValueError, match="found defer_within or defer_share alone"):
            framelens.load(first, **alone)
    wrong = Golden(SURE, None, ("plain",), ((0.9, 0.0, 0.0),))
    broken = write_model(tmp_path / "broken", golden=(wrong,))
    with pytest.raises(framelens.ArtifactError, match="golden input 0"):
        framelens.load(first, defer_to=broken)


def test_a_models_golden_inputs_are_its_own_though_it_would_defer_them(
    first: Path, second: Path, tmp_path: Path
) -> None:
    own = framelens.load(first).score(DOUBTED).segments[0]
    golden = Golden(DOUBTED, None, (own.label,), (tuple(own.scores.values()),))
    evidence = {**EVIDENCE, "another": {"framed": 15.5}}
    model = write_model(tmp_path / "golden", evidence, name="first", golden=(golden,))
    for limits in (Limits(), Limits(characters=1, seconds=1e-9)):  # those are for users' texts
        scorer = framelens.load(model, defer_to=second, limits=limits)
    assert framelens.load(model, defer_to=second).score(DOUBTED).model.name == "second"
    with pytest.raises(framelens.LimitError):
        scorer.score(DOUBTED)


def run(first: Path, *arguments: object) -> int:
    return main(["score", *map(str, arguments), "-m", str(first), "--quiet"])


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "in.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in records()), "utf-8")
    return path


def test_the_command_gives_the_same_rows_and_counts_what_was_deferred(
    first: Path, second: Path, cascade: framelens.Scorer, source: Path, tmp_path: Path
) -> None:
    out, summary = tmp_path / "out.jsonl", tmp_path / "summary.json"
    options = (source, "--defer-to", second, "-o", out)
    assert run(first, *options, "--summary", summary, "--part-rows", 5) == 3
    expected = [d.to_dict() for d in cascade.score_many(records())]
    assert read_jsonl(out) == expected
    found = json.loads(summary.read_text("utf-8"))
    assert (found["documents"], found["deferred"]) == (22, 11)
    assert found["model"]["name"] == "first"
    assert found["deferral"]["model"]["name"] == "second"
    assert found["deferral"]["within"] == 0.15
    bytes_of_two = out.read_bytes()
    assert run(first, *options, "--workers", 1, "--part-rows", 7) == 3
    assert out.read_bytes() == bytes_of_two
    assert run(first, source, "-o", out, "--summary", summary) == 3
    alone = json.loads(summary.read_text("utf-8"))
    assert alone["deferred"] == 0
    assert "deferral" not in alone


def test_the_terminal_is_shown_the_second_models_answers(
    first: Path, second: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = tmp_path / "a.txt"
    text.write_text(DOUBTED, "utf-8")
    assert run(first, text, "--format", "table", "--defer-to", second) == 0
    shown = capsys.readouterr().out
    assert "sourced      " in shown
    assert "(second)" in shown
    assert run(first, text, "--format", "table") == 0
    assert "sourced      " not in capsys.readouterr().out


def test_a_report_says_which_model_answered_and_by_which_thresholds(
    first: Path, source: Path, tmp_path: Path
) -> None:
    thresholds = {**DecodingConfig().thresholds, "attributed": 0.61}
    other = write_model(
        tmp_path / "other",
        {**EVIDENCE, "plan": {"attributed": 40.0}},
        name="other",
        decoding=replace(DecodingConfig(), thresholds=thresholds),
    )
    options = ["-m", str(first), "--defer-to", str(other), "--quiet"]
    scored = tmp_path / "scored.jsonl"
    assert main(["score", str(source), "-o", str(scored), *options]) == 3
    for name, given in (("articles", source), ("rows", scored)):
        assert main(["report", str(given), "-o", f"{tmp_path / name}/", *options]) == 3
        for number, row in enumerate(map(json.loads, scored.read_text("utf-8").splitlines()), 1):
            page = (tmp_path / name / "articles" / f"{number:05}.html").read_text("utf-8")
            assert {"first": "sourced 0.50", "other": "sourced 0.61"}[row["model"]["name"]] in page


def test_a_run_is_continued_only_as_the_same_cascade(
    first: Path, second: Path, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    options = (source, "-o", f"{out}/", "--part-rows", 5)
    cascade = ("--defer-to", second)
    assert run(first, *options, *cascade, "--max-errors", 0) == 1
    for other, message in (
        ((), "options defer_to was 'second 1.0.0, manifest sha256"),
        ((*cascade, "--defer-within", "0.2"), "options defer_within was 0.15 and is now 0.2"),
        ((*cascade, "--defer-share", "0.5"), "options defer_share was 0.25 and is now 0.5"),
    ):
        assert run(first, *options, *other, "--resume") == 1
        assert message in capsys.readouterr().err
    assert run(first, *options, *cascade, "--resume") == 3
    counts = json.loads((out / "_SUCCESS").read_text("utf-8"))
    assert counts["deferred"] == 11


def test_counts_of_runs_before_there_were_cascades() -> None:
    tally = Tally()
    tally.add_counts({"documents": 2, "segments": 3, "errors": {}, "labels": {"plain": 3}})
    assert (tally.documents, tally.deferred) == (2, 0)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--defer-within", "0.2"], 2, "--defer-within and --defer-share need --defer-to"),
        (["--defer-share", "0.2"], 2, "--defer-within and --defer-share need --defer-to"),
        (["--defer-to", "{first}"], 4, "another model to defer to"),
        (["--defer-to", "{first}/nowhere"], 4, "expected a model directory"),
        (["--defer-to", "{second}", "--defer-within", "2"], 2, "from 0 to 1, found '2'"),
        (["--defer-to", "{second}", "--defer-within", "near"], 2, "from 0 to 1, found 'near'"),
    ],
)
def test_what_the_command_refuses(
    first: Path,
    second: Path,
    source: Path,
    arguments: list[str],
    code: int,
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = [argument.format(first=first, second=second) for argument in arguments]
    for command in (["score"], ["report", "-o", str(source.parent / "pages.html"), "--summary"]):
        try:
            found = main([*command, str(source), "-m", str(first), "--quiet", *given])
        except SystemExit as refused:
            found = int(refused.code or 0)
        assert found == code
        assert message in capsys.readouterr().err
