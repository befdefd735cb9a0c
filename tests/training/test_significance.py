from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from framelens.decoding import DecodingConfig
from framelens.schema import AXES
from framelens_training.answers import Answers, AnswersError
from framelens_training.cli import main
from framelens_training.corpora.markup import parse_markup
from framelens_training.predictions import axis_data
from framelens_training.significance import (
    PREDICTIONS,
    ComparisonError,
    compare,
    comparison_table,
    load_answers,
    mcnemar,
)

DOCUMENTS = parse_markup(
    "===\n".join(
        f"#id: d{number}\n\na| {{s|The mayor}} {{c|said}} {{q|road {number} closed}}.\n"
        "f| {l|Shameful} plan.\n-| It was closed.\nb| Sign up\n"
        for number in range(30)
    )
)


def answers(right: float, seed: int) -> Answers:
    """Answers that are right with a probability."""
    generator = np.random.default_rng(seed)
    scores = []
    for document in DOCUMENTS:
        gold = np.array([[bool(s.axis(a)) for a in AXES] for s in document.segments])
        kept = generator.random(gold.shape) < right
        scores.append(np.where(kept == gold, 0.9, 0.1).astype(np.float32))
    return Answers.collect(DOCUMENTS, scores, DecodingConfig())


def test_mcnemar_is_a_sign_test_on_what_one_alone_has_right() -> None:
    first = np.array([True] * 9 + [False] * 1 + [True] * 90)
    second = np.array([False] * 9 + [True] * 1 + [True] * 90)
    found = mcnemar(first, second)
    assert (found.only_first, found.only_second) == (9, 1)
    # Two-sided: twice the chance of at most 1 head in 10 throws, 2 * (1 + 10) / 1024.
    assert found.p_value == pytest.approx(22 / 1024)
    assert mcnemar(first, first).p_value == 1.0


def test_a_clear_difference_is_found_and_none_between_equals() -> None:
    good, bad = answers(0.95, 1), answers(0.6, 2)
    found = compare(bad, good, samples=200)
    for axis in AXES:
        item = found[axis]
        assert item.segments == 120
        assert item.difference.low > 0
        assert item.difference.value == pytest.approx(item.second.value - item.first.value)
        assert item.mcnemar.p_value < 0.001
    equal = compare(good, good, samples=200)
    assert all(item.difference.high == 0 == item.difference.low for item in equal.values())
    shown = comparison_table(found)
    assert all(axis in shown for axis in AXES)
    assert "+0." in shown


def test_each_run_is_judged_at_its_own_thresholds() -> None:
    good, bad = answers(0.95, 1), answers(0.6, 2)
    lower = replace(good, score=good.score / 3, threshold=good.threshold / 3)
    assert compare(bad, lower, samples=100) == compare(bad, good, samples=100)
    edge = replace(good, score=good.threshold)
    assert edge.right.tolist() == good.gold.tolist()  # at its threshold it says yes


def test_an_axis_that_nobody_labelled_is_left_out() -> None:
    whole = answers(0.9, 1)
    framed = Answers(*(getattr(whole, name)[whole.axis == "framed"] for name in Answers.__slots__))
    assert list(compare(framed, framed, samples=100)) == ["framed"]


def test_labels_with_one_answer_give_no_figure() -> None:
    whole = answers(0.9, 1)
    yeses = Answers(*(getattr(whole, name)[whole.gold] for name in Answers.__slots__))
    head, *rows, _ = comparison_table(compare(yeses, yeses, samples=100)).splitlines()
    assert len(rows) == 3
    assert all("one answer only in the labels: no figure" in row for row in rows)
    assert all(row.index("0/0") == head.index("only 1st") for row in rows)
    assert "nan" not in "".join(rows)


class Client:
    """Has the answers of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def download_artifacts(self, run: str, name: str) -> str:
        from mlflow.exceptions import MlflowException

        if (run, name) != ("r1", PREDICTIONS):
            raise MlflowException(f"no run {run}")
        return str(self.path)


def test_answers_of_an_mlflow_run(tmp_path: Path) -> None:
    written = answers(0.9, 1)
    written.write(tmp_path / "kept.parquet")
    found = load_answers("r1", Client(tmp_path / "kept.parquet"))
    assert found.gold.tolist() == written.gold.tolist()
    with pytest.raises(ComparisonError, match=r"looked at r2; MLflow run 'r2' \(no run r2\)"):
        load_answers("r2", Client(tmp_path / "kept.parquet"))


def test_the_order_of_documents_does_not_matter() -> None:
    good, bad = answers(0.95, 1), answers(0.6, 2)
    shuffled = np.random.default_rng(3).permutation(len(bad.gold))
    moved = Answers(*(getattr(bad, name)[shuffled] for name in Answers.__slots__))
    assert compare(good, moved, samples=100) == compare(good, bad, samples=100)


def test_runs_on_other_segments_or_labels_are_refused() -> None:
    whole = answers(0.9, 1)
    part = Answers(*(getattr(whole, name)[:-6] for name in Answers.__slots__))
    with pytest.raises(ComparisonError, match="354 in both, 6 in the first alone and 0"):
        compare(whole, part)
    twice = Answers(*(np.repeat(getattr(whole, name), 2) for name in Answers.__slots__))
    with pytest.raises(ComparisonError, match="360 in both, 0 in the first alone and 0"):
        compare(whole, twice)
    other = replace(whole, gold=~whole.gold)
    with pytest.raises(ComparisonError, match="360 of 360 that differ"):
        compare(whole, other)


def test_a_file_of_answers_is_read_as_it_was_written(tmp_path: Path) -> None:
    whole = answers(0.9, 1)
    whole.write(tmp_path / PREDICTIONS)
    again = load_answers(str(tmp_path))
    for name in Answers.__slots__:
        np.testing.assert_array_equal(getattr(again, name), getattr(whole, name))
    empty = Answers.collect([], [], DecodingConfig())
    empty.write(tmp_path / "empty.parquet")
    assert len(Answers.read(tmp_path / "empty.parquet").gold) == 0


def test_a_file_that_holds_no_answers_is_told(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    text = tmp_path / "a.parquet"
    text.write_text("no parquet", "utf-8")
    with pytest.raises(AnswersError, match="expected a Parquet file"):
        Answers.read(text)
    pq.write_table(pa.table({"document": ["a"], "gold": [True]}), tmp_path / "b.parquet")
    with pytest.raises(AnswersError, match="found no article, segment, axis, score, threshold"):
        Answers.read(tmp_path / "b.parquet")


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, right in (("a", 0.6), ("b", 0.95)):
        answers(right, 4).write(tmp_path / name / PREDICTIONS)
    assert main(["compare", str(tmp_path / "a"), str(tmp_path / "b"), "--samples", "200"]) == 0
    assert "McNemar" in capsys.readouterr().out
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    code = main(["compare", str(tmp_path / "a"), "0" * 32, "--uri", uri])
    assert code == 1
    assert "no predictions of '000" in capsys.readouterr().err


def test_where_no_runs_are_no_store_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    answers(0.9, 4).write(tmp_path / "a" / PREDICTIONS)
    assert main(["compare", "a", "b"]) == 1
    shown = capsys.readouterr().err
    assert "no file or folder 'b'" in shown
    assert "expected mlflow.db in the working directory" in shown
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_texts_of_one_article_are_drawn_together() -> None:
    scores = [np.full((len(d.segments), 3), 0.9, dtype=np.float32) for d in DOCUMENTS]
    decoding = DecodingConfig()
    grouped = [
        replace(document, meta={"group": f"article-{number // 10}"})
        for number, document in enumerate(DOCUMENTS)
    ]
    assert axis_data(grouped, scores, "framed").groups.max() == 2
    assert set(Answers.collect(grouped, scores, decoding).article) == {
        "article-0", "article-1", "article-2"
    }  # fmt: skip
    first, second = answers(0.9, 3), answers(0.8, 4)
    apart = compare(first, second, samples=400)
    articles = np.array([f"{int(d[1:]) // 15}" for d in first.document], dtype=np.object_)
    together = compare(
        replace(first, article=articles), replace(second, article=articles), samples=400
    )
    for axis in AXES:
        values = {round(v, 9) for v in (together[axis].first.low, together[axis].first.high)}
        # Two articles: a draw holds one of them twice, or both.
        assert len(values) == 2
        assert apart[axis].first.value == together[axis].first.value
        assert apart[axis].first.low != together[axis].first.low
