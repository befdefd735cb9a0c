from __future__ import annotations

import json
import math
import pickle
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import framelens
import framelens.report
from framelens.artifact import Artifact
from framelens.limits import Limits
from framelens.scorer import Scorer, WindowCache
from support import WORDS

ARTICLE = (
    "The mayor said a road was closed. The plan is in the report.\n\n"
    "Sign up to news\n\n"
    "A shameful plan, and yet another road closed."
)


@pytest.fixture(scope="module")
def scorer(model_folder: Path) -> Scorer:
    return framelens.load(model_folder)


def check_offsets(document: framelens.Document, row: dict[str, str | None]) -> None:
    assert document.status == "ok"
    for segment in document.segments:
        text = row[segment.field]
        assert text is not None
        assert text[segment.start : segment.end] == segment.text
        for span in segment.spans:
            assert text[span.start : span.end] == span.text
            assert segment.start <= span.start < span.end <= segment.end


def test_segments_labels_and_spans(scorer: Scorer) -> None:
    said = scorer.score("The mayor said a road closed.", unit="segment").segments[0]
    assert said.label == "sourced"
    assert [(s.type, s.text) for s in said.spans] == [
        ("source", "mayor"),
        ("cue", "said"),
        ("content", "road closed"),
    ]
    framed = scorer.score("A shameful plan.", unit="segment").segments[0]
    assert framed.label == "framed"
    assert [(s.type, s.text) for s in framed.spans] == [("loaded", "shameful")]
    assert scorer.score("Sign up", unit="segment").segments[0].label == "boilerplate"
    assert scorer.score("A plan.", unit="segment").segments[0].label == "plain"


def test_a_document_is_the_documented_row(scorer: Scorer) -> None:
    row = scorer.score(ARTICLE, "Road closed", id="a1").to_dict()
    assert json.loads(json.dumps(row)) == row
    assert list(row) == [
        "schema", "id", "status", "error", "model", "segments", "summary", "headline_check",
    ]  # fmt: skip
    assert row["id"] == "a1"
    assert set(row["model"]) == {"name", "version", "sha256"}
    first = row["segments"][0]
    assert (first["role"], first["field"], first["text"]) == ("headline", "headline", "Road closed")
    assert set(first["scores"]) == {"attributed", "framed", "boilerplate"}


def test_documents_may_stand_in_a_set(scorer: Scorer) -> None:
    document = scorer.score(ARTICLE, "Road closed")
    page = replace(document, input={"text": ARTICLE})
    found = {document, page, scorer.error("0", "too_long", "expected less")}
    assert found == pickle.loads(pickle.dumps(found))
    assert scorer.score(ARTICLE, "Road closed") in found
    assert scorer.score(ARTICLE) not in found
    assert len(found) == 3


def test_offsets_give_the_text_back(scorer: Scorer) -> None:
    row = {"text": ARTICLE, "headline": "  Minister ranted  "}
    check_offsets(scorer.score(row["text"], row["headline"]), row)


words = st.sampled_from([*WORDS, *"“”\"'«»‘’.!?…", "\n", "\n\n", "🚢", "e\u0301", "\ud800", "\x00"])
articles = st.one_of(
    st.text(st.characters(exclude_categories=()), max_size=200),
    st.lists(words, max_size=60).map(" ".join),
    st.lists(words, max_size=60).map("".join),
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(articles, st.none() | articles)
def test_offsets_give_any_text_back(scorer: Scorer, text: str, headline: str | None) -> None:
    document = scorer.score(text, headline)
    check_offsets(document, {"text": text, "headline": headline})
    for segment in document.segments:
        assert segment.text.strip()


def test_empty_text_is_a_good_row_without_segments(scorer: Scorer) -> None:
    document = scorer.score(" \n ")
    assert document.status == "ok"
    assert document.segments == ()
    assert document.summary == framelens.Summary(0, 0.0, 0.0, 0.0, 0)


@pytest.mark.parametrize(
    "unseen",
    ["\u200b", "\ufeff", "\u00ad \u200f", "\0", "\ufeff\n\u200b", "* * *", "—", "•", "____", "?!"],
)
def test_what_has_no_words_is_no_segment(unseen: str, scorer: Scorer) -> None:
    text = f"Road closed again\n\n{unseen}\n\nThe mayor said a road was closed."
    document = scorer.score(text, headline=unseen)
    assert [(s.role, s.text) for s in document.segments] == [
        ("headline", "Road closed again"),
        ("body", "The mayor said a road was closed."),
    ]
    assert text[document.segments[1].start :] == document.segments[1].text
    assert scorer.score(unseen).segments == scorer.score(unseen, unit="segment").segments == ()


@pytest.mark.parametrize("shown", ["7", "é", "路", "\U0001f525"])
def test_a_letter_a_figure_or_a_picture_is_a_segment(shown: str, scorer: Scorer) -> None:
    assert [segment.text for segment in scorer.score(shown, unit="segment").segments] == [shown]


def test_summary_leaves_boilerplate_out(scorer: Scorer) -> None:
    rows = ["The mayor said a road closed.", "THE  MAYOR said a road closed.", "Sign up", "A plan."]
    segments = [scorer.score(row, unit="segment").segments[0] for row in rows]
    from framelens.assembly import summarize

    summary = summarize(segments)
    assert summary.segments == 4
    assert (summary.sourced, summary.framed, summary.plain) == (0.6667, 0.0, 0.3333)
    assert summary.sources == 1


def test_page_furniture_has_no_spans(scorer: Scorer) -> None:
    document = scorer.score("Sign: the mayor said a road closed", unit="segment")
    assert [(s.label, s.spans) for s in document.segments] == [("boilerplate", ())]
    assert document.summary is not None
    assert document.summary.sources == 0


def test_many_records_one_bad_row_and_the_rest_go_on(scorer: Scorer) -> None:
    records = [
        "The mayor said a road closed.",
        {"text": "A plan.", "id": 7},
        {"headline": "no text"},
        {"text": 5, "id": "five"},
        {"text": "ok", "headline": 3},
        ["list"],
        {"text": "A plan.", "id": "last"},
    ]
    documents = list(scorer.score_many(records))  # type: ignore[arg-type]
    assert [d.id for d in documents] == ["0", "7", "2", "five", "4", "5", "last"]
    assert [d.error.code if d.error else None for d in documents] == [
        None, None, "missing_text", "bad_text", "bad_headline", "bad_row", None,
    ]  # fmt: skip
    assert documents[2].to_dict()["segments"] == []
    assert documents[5].error is not None
    assert documents[5].error.message == "expected a text or a mapping with one, found list"


@pytest.mark.parametrize("record", ["A plan.", {"text": "A plan."}])
def test_one_record_is_not_many(record: str | dict[str, str], scorer: Scorer) -> None:
    with pytest.raises(TypeError, match="expected records, found one"):
        scorer.score_many(record)


def test_nan_is_none(scorer: Scorer) -> None:
    """As `DataFrame.to_dict("records")` has it where a value is missing."""
    records = [
        {"id": math.nan, "headline": math.nan, "text": "A plan."},
        {"id": 3.0, "headline": "Road closed", "text": math.nan},
    ]
    good, bad = scorer.score_many(records)
    assert good == scorer.score("A plan.")
    assert bad.id == "3"
    assert bad.error is not None
    assert bad.error.code == "missing_text"


def test_score_many_reads_no_further_than_it_is_asked(scorer: Scorer) -> None:
    taken: list[int] = []

    def records() -> object:
        for number in range(100):
            taken.append(number)
            yield "A plan."

    stream = scorer.score_many(records())  # type: ignore[arg-type]
    next(stream)
    assert taken == [0]


def test_a_result_does_not_depend_on_what_was_scored_before(scorer: Scorer) -> None:
    alone = scorer.score(ARTICLE)
    list(scorer.score_many(["A shameful plan."] * 5))
    assert scorer.score(ARTICLE) == alone


def test_documents_are_decoded_together_as_they_are_apart(scorer: Scorer) -> None:
    texts = [ARTICLE, " ", "A plan.", ARTICLE[:40], "The mayor said so.", "Sign up", "A road."]
    readings = [scorer.read(text, "Shameful plan", id=str(n)) for n, text in enumerate(texts)]
    readings.append(scorer.read(""))
    apart = [scorer.score(text, "Shameful plan", id=str(n)) for n, text in enumerate(texts)]
    assert scorer.decode(readings) == [*apart, scorer.score("")]
    assert scorer.decode([]) == []


def test_over_the_length_limit(model_folder: Path) -> None:
    scorer = Scorer(Artifact.open(model_folder), limits=Limits(characters=10))
    with pytest.raises(ValueError, match="at most 10 characters, found 11"):
        scorer.score("x" * 11)
    (document,) = scorer.score_many(["x" * 11])
    assert document.error is not None
    assert document.error.code == "too_long"
    assert scorer.score("x" * 10).status == "ok"
    with pytest.raises(ValueError, match="at most 10 characters, found 11"):
        scorer.score("x" * 5, "y" * 6)


def test_as_many_segments_as_are_allowed_are_scored(model_folder: Path) -> None:
    scorer = Scorer(Artifact.open(model_folder), limits=Limits(segments=3))
    assert len(scorer.score("A plan. " * 3).segments) == 3
    with pytest.raises(ValueError, match="at most 3 segments, found 4"):
        scorer.score("A plan. " * 4)


def test_the_same_words_as_headline_and_as_text_are_read_apart(scorer: Scorer) -> None:
    (body,) = scorer.score("A plan.", unit="segment").segments
    (headline,) = scorer.score("", "A plan.", unit="segment").segments
    assert headline.scores != body.scores


def test_the_window_used_longest_ago_is_forgotten() -> None:
    cache, outputs = WindowCache(2), (np.zeros((1, 3), np.float32), np.zeros((1, 8), np.float32))
    cache.put(b"a", outputs)
    cache.put(b"b", outputs)
    assert cache.get(b"a") is not None
    cache.put(b"c", outputs)
    assert [key for key in (b"a", b"b", b"c") if cache.get(key) is not None] == [b"a", b"c"]


def public_errors() -> list[Exception]:
    """One of each error of the package."""
    limit, extra = framelens.LimitError, framelens.MissingExtraError
    made: dict[type[Exception], Exception] = {
        limit: limit("too_long", "expected less"),
        extra: extra("narwhals", "frames", "scoring a frame"),
    }
    found = [getattr(framelens, name) for name in framelens.__all__]
    kinds = [k for k in found if isinstance(k, type) and issubclass(k, Exception)]
    assert len(kinds) == 5
    return [made.get(kind) or kind("expected this, found that") for kind in kinds]


@pytest.mark.parametrize("error", public_errors(), ids=lambda error: type(error).__name__)
def test_an_error_comes_out_of_another_process(error: Exception) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert isinstance(copy, framelens.FramelensError)
    assert str(copy) == str(error)
    assert getattr(copy, "code", None) == getattr(error, "code", None)


def test_types_are_checked(scorer: Scorer) -> None:
    with pytest.raises(TypeError, match="text to be a string, found bytes"):
        scorer.score(b"bytes")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="headline to be a string"):
        scorer.score("text", 3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="id to be a string, a number or a date, found list"):
        scorer.score("text", id=[])  # type: ignore[arg-type]
    assert scorer.score("text", id=5).id == "5"  # type: ignore[arg-type]


def test_there_are_two_units(scorer: Scorer) -> None:
    """A third one was taken for the second: a whole article as one segment."""
    for score in (scorer.score, scorer.score_many, scorer.score_frame):
        with pytest.raises(ValueError, match="'article' or 'segment', found 'sentence'"):
            score(["A plan."], unit="sentence")  # type: ignore[operator]


@pytest.mark.parametrize("package", [framelens, framelens.report])
def test_all_of_a_package_is_listed(package: ModuleType) -> None:
    """What is imported late as well: completion and `help` ask `dir`."""
    assert set(package.__all__) <= set(dir(package))


def test_a_type_checker_finds_a_misspelt_name(tmp_path: Path) -> None:
    checker = pytest.importorskip("mypy.api")
    script = tmp_path / "script.py"
    names = "framelens.load, framelens.laod, framelens.report.Article, framelens.report.Artikle"
    script.write_text(f"import framelens.report\n{names}\n", "utf-8")
    options = ["--config-file=", "--follow-imports=skip", f"--cache-dir={tmp_path / 'cache'}"]
    sources = [framelens.__file__, framelens.report.__file__, str(script)]
    told, _, _ = checker.run([*options, *sources])
    assert re.findall(r'error: .* no attribute "(\w+)"', told) == ["laod", "Artikle"], told


@pytest.mark.parametrize("module", ["framelens", "framelens.batch"])
def test_importing_loads_nothing_heavy(module: str) -> None:
    """Neither the package nor the parent of a batch run, whose workers start the sooner for it."""
    heavy = "{'torch', 'transformers', 'onnxruntime', 'tokenizers', 'numpy'}"
    code = f"import sys, {module}; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_scoring_loads_neither_torch_nor_transformers(model_folder: Path) -> None:
    code = (
        "import sys, framelens; framelens.load(sys.argv[1]).score('The mayor said a road closed.');"
        "print(sorted({'torch','transformers','mlflow','datasets'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(model_folder)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_scoring_tells_nobody_and_a_fork_ends(model_folder: Path, tmp_path: Path) -> None:
    """The telemetry of ONNX Runtime keeps a number of the machine in the user's home, and has a
    thread for which a forked process would wait at its end.
    """
    code = (
        "import os, sys, framelens; framelens.load(sys.argv[1]).score('The mayor said a plan.');"
        "pid = os.fork(); sys.exit(0) if pid == 0 else print(os.waitpid(pid, 0)[1])"
    )
    inference = str(Path(framelens.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", code, str(model_folder)],
        env={"HOME": str(tmp_path), "PYTHONPATH": inference},
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert done.stdout.strip() == "0"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("threads", [0, -1])
def test_a_scorer_needs_a_thread(threads: int, model_folder: Path) -> None:
    """ONNX Runtime would take 0 for all cores."""
    with pytest.raises(ValueError, match=f"threads: expected at least 1, found {threads}"):
        framelens.load(model_folder, threads=threads)
