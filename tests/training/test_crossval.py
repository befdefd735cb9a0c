from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from framelens_training import crossval, student
from framelens_training.cli import main
from framelens_training.config import Config
from framelens_training.corpora.labelled import LabelledDocument, read_jsonl, write_jsonl
from framelens_training.corpora.splits import group_of
from framelens_training.crossval import (
    CrossValidation,
    FoldResult,
    crossval_lines,
    crossvalidate,
    estimate,
    fold_corpora,
)
from framelens_training.data import LoadedCorpus, load_corpora
from framelens_training.errors import ConfigError, ResumeError, SplitError
from framelens_training.progress import silent
from framelens_training.quiet import quiet_libraries
from framelens_training.run_record import RunRecord, find_run
from framelens_training.settings_text import to_yaml
from framelens_training.tracker import NullTracker
from framelens_training.tracking import tracked_run
from support import VOCABULARY

pytestmark = pytest.mark.training


def ids(corpora: list[LoadedCorpus], split: str) -> list[str]:
    return [document.id for item in corpora for document in item.splits[split]]


def grouped(documents: list[LabelledDocument]) -> list[LabelledDocument]:
    """Two documents a group."""
    return [
        replace(document, meta={"group": f"g{number // 2}"})
        for number, document in enumerate(documents)
    ]


def test_parts_of_a_fold_share_no_group_and_each_document_is_held_out_once(
    tiny_config: Config,
) -> None:
    (loaded,) = load_corpora(tiny_config)
    loaded = replace(loaded, splits={k: grouped(list(v)) for k, v in loaded.splits.items()})
    documents = {d.id: d for split in loaded.splits.values() for d in split}
    parts = list(fold_corpora(tiny_config, [loaded], 4))
    assert len(parts) == 4
    held = [name for fold in parts for name in ids(fold, "test")]
    assert sorted(held) == sorted(documents)
    for fold in parts:
        groups = [
            {group_of(documents[name]) for name in ids(fold, split)}
            for split in ("train", "validation", "test")
        ]
        assert all(groups)
        assert sum(len(g) for g in groups) == len(set().union(*groups))
    other = tiny_config.model_copy(update={"seed": 99})
    assert [ids(f, "test") for f in fold_corpora(other, [loaded], 4)] != [
        ids(f, "test") for f in parts
    ]


def test_documents_that_are_alike_or_share_a_link_are_held_out_together(
    tiny_config: Config,
) -> None:
    (loaded,) = load_corpora(tiny_config)
    first, second, *others = loaded.splits["train"]
    copy = replace(first, id="copy", text=f"{first.text} ")
    linked = [replace(d, url="https://a.example/1") for d in others[:2]]
    changed = {**loaded.splits, "train": [first, second, copy, *linked, *others[2:]]}
    pairs = [{"copy", first.id}, {d.id for d in linked}]
    known = {d.id: d for split in changed.values() for d in split}
    for seed in range(3):
        config = tiny_config.model_copy(update={"seed": seed})
        for fold in fold_corpora(config, [replace(loaded, splits=changed)], 4):
            tested = [d for item in fold for d in item.splits["test"]]
            assert all(group_of(d) == group_of(known[d.id]) for d in tested)
            for split in ("train", "validation", "test"):
                for pair in pairs:
                    assert len(pair & set(ids(fold, split))) in (0, 2)


def test_a_corpus_that_is_not_evaluated_is_always_trained_on(
    tiny_config: Config, tmp_path: Path
) -> None:
    files = dict(tiny_config.corpora.use[0].files or {})
    more = [replace(d, id=f"more-{d.id}") for d in read_jsonl(Path(files["train"]))]
    write_jsonl(more, tmp_path / "more.jsonl")
    use = [
        {"name": "files", "files": files},
        {"name": "files", "files": {"train": str(tmp_path / "more.jsonl")}, "evaluate": False},
    ]
    config = Config.model_validate({**tiny_config.model_dump(), "corpora": {"use": use}})
    for fold in fold_corpora(config, load_corpora(config), 3):
        assert {d.id for d in more} <= set(ids(fold, "train"))
        assert not any(name.startswith("more") for name in ids(fold, "test"))


def tables(folder: Path, count: int) -> dict[str, str]:
    """A table a split, each called labels.csv, with texts of its own and no ids."""
    files = {}
    for number, split in enumerate(("train", "validation", "test")):
        path = folder / split / "labels.csv"
        path.parent.mkdir(parents=True)
        rows = [f"The {chr(0x3400 + 100 * number + n) * 9} road.,plain" for n in range(count)]
        path.write_text("\n".join(["text,label", *rows]), "utf-8")
        files[split] = str(path)
    return files


def test_rows_of_one_name_in_several_files_are_all_held_out_once(
    tiny_config: Config, tmp_path: Path
) -> None:
    use = [{"name": "files", "files": tables(tmp_path / x, 8)} for x in "ab"]
    config = Config.model_validate({**tiny_config.model_dump(), "corpora": {"use": use[:1]}})
    (loaded,) = load_corpora(config)
    texts = sorted(d.text for split in loaded.splits.values() for d in split)
    held = [d.text for fold in fold_corpora(config, [loaded], 4) for d in fold[0].splits["test"]]
    assert sorted(held) == texts
    assert len(set(texts)) == 24
    twice = Config.model_validate({**tiny_config.model_dump(), "corpora": {"use": use}})
    for fold in fold_corpora(twice, load_corpora(twice), 4):  # the two entries say the same
        first, second = ([d.text for d in item.splits["test"]] for item in fold)
        assert sorted(first) == sorted(second)


def test_an_article_with_texts_in_two_files_is_held_out_as_one(
    tiny_config: Config, tmp_path: Path
) -> None:
    use = []
    for name, kept in (("a", 8), ("b", 5)):  # of three of an entry's eight articles, b says nothing
        files = tables(tmp_path / name, 8)
        for number, path in enumerate(map(Path, files.values())):
            head, *rows = path.read_text("utf-8").splitlines()
            rows = [f"{row},{number}-{n}" for n, row in enumerate(rows)][:kept]
            lines = [f"{head},group", *rows]
            path.write_text("\n".join(lines).replace("road", f"road {name * 30}"), "utf-8")
        use.append({"name": "files", "files": files})
    config = Config.model_validate({**tiny_config.model_dump(), "corpora": {"use": use}})
    for fold in fold_corpora(config, load_corpora(config), 4):
        groups = [
            {group_of(d) for item in fold for d in item.splits[split]}
            for split in ("train", "validation", "test")
        ]
        assert sum(len(g) for g in groups) == len(set().union(*groups)) == 24
    left_out = {"use": use, "left_out": {"part": 1, "of": 3}}
    config = Config.model_validate({**tiny_config.model_dump(), "corpora": left_out})
    first, second = ({group_of(d) for d in i.splits["train"]} for i in load_corpora(config))
    assert second == {group for group in first if int(group[-1]) < 5}
    assert 3 <= len(first) < 8


def test_more_folds_than_groups_are_refused(tiny_config: Config) -> None:
    corpora = load_corpora(tiny_config)
    with pytest.raises(SplitError, match=r"corpus 'files': expected 2 to 16 folds.*fewer folds"):
        next(fold_corpora(tiny_config, corpora, 40))


def test_the_interval_is_wider_than_that_of_independent_figures() -> None:
    values = np.random.default_rng(1).normal(0.7, 0.02, 15).tolist()
    found = estimate(values, folds=5)
    assert found.mean == pytest.approx(np.mean(values))
    assert found.deviation == pytest.approx(np.std(values, ddof=1))
    plain = stats.t.interval(0.95, 14, loc=found.mean, scale=found.deviation / np.sqrt(15))
    # Variance times 1/15 + 1/3.6 instead of 1/15: a fifth is test, and .9 of the rest trained on.
    factor = np.sqrt((1 / 15 + 0.2 / (0.9 * 0.8)) / (1 / 15))
    assert found.high - found.mean == pytest.approx(factor * (plain[1] - found.mean))
    assert found.mean - found.low == pytest.approx(found.high - found.mean)
    assert np.isnan(estimate([0.5], 5).low)
    few = estimate([0.3, 0.9], 2)
    assert (few.low, few.high) == (0.0, 1.0)


def test_figures_that_some_fold_lacks_are_left_out() -> None:
    results = (
        FoldResult(1, 13, 9, {"test/framed/macro_f1": 0.5, "test/framed/auroc": 0.7}),
        FoldResult(2, 13, 9, {"test/framed/macro_f1": 0.7}),
    )
    found = CrossValidation(None, 2, results)
    assert list(found.estimates()) == ["test/framed/macro_f1"]
    assert found.flat()["crossval/framed/macro_f1/mean"] == pytest.approx(0.6)

    spans = (
        FoldResult(1, 13, 9, {"test/cue/f1": 0.5, "test/loaded/f1": 0.5}),
        FoldResult(2, 13, 9, {"test/cue/f1": 0.7}),
    )
    shown = crossval_lines(CrossValidation(None, 2, spans))
    assert any(line.startswith("cue          0.600") for line in shown)
    assert "loaded       none to find in some fold: no figure" in shown


def test_an_axis_without_both_answers_in_a_fold_is_told() -> None:
    both = {"test/framed/macro_f1": 0.7, "test/framed/weighted_f1": 0.8}
    folds = tuple(
        FoldResult(number, 13, 4, figures)
        for number, figures in enumerate((both, {"test/framed/weighted_f1": 1.0}), start=1)
    )
    line = crossval_lines(CrossValidation(None, 2, folds))[2]
    assert line.startswith("framed       not both answers in some fold   0.900")
    gone = replace(folds[1], figures={})
    assert crossval_lines(CrossValidation(None, 2, (folds[0], gone)))[2].startswith("framed")


def test_soft_labels_are_learnt_in_folds_as_in_a_run(
    tiny_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class StoppedError(Exception):
        pass

    learnt: dict[str, set[float]] = {}

    def spying_train(*given: Any, **_: Any) -> Any:
        for name, items in given[1].split.items():
            targets = [target for item in items for target in item.targets]
            learnt[name] = {round(float(answer), 3) for target in targets for answer in target.axes}
        raise StoppedError

    monkeypatch.setattr(crossval, "train_model", spying_train)
    row = tiny_config.to_dict()
    (use,) = row["corpora"]["use"]
    for split, path in use["files"].items():
        unsure = [
            replace(d, segments=tuple(replace(s, weights={"framed": 0.7}) for s in d.segments))
            for d in read_jsonl(Path(path))
        ]
        use["files"][split] = str(tmp_path / f"unsure-{split}.jsonl")
        write_jsonl(unsure, Path(use["files"][split]))
    for soft, expected in ((False, {0.0, 1.0}), (True, {0.0, 0.3, 0.7, 1.0})):
        use["soft_labels"] = soft
        with pytest.raises(StoppedError):
            crossvalidate(Config.model_validate(row), NullTracker(), folds=2, seeds=1, say=silent)
        assert learnt == {"train": expected, "validation": {0.0, 1.0}, "test": {0.0, 1.0}}


def test_word_pieces_are_counted_in_what_a_fold_trains_on(
    tiny_config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    class StoppedError(Exception):
        pass

    counted: list[list[str]] = []
    trained: list[list[str]] = []
    reduced_vocabulary = student.reduced_vocabulary

    def spying_vocabulary(tokenizer: Any, texts: Any, size: int) -> Any:
        counted.append(list(texts))
        return reduced_vocabulary(tokenizer, counted[-1], size)

    def spying_train(*given: Any, **_: Any) -> Any:
        documents = [item.document for item in given[1].split["train"]]
        trained.append([d.segment_text(segment) for d in documents for segment in d.segments])
        pieces = {
            int(n) for item in given[1].split["test"] for s in item.features.segments for n in s.ids
        }
        assert max(pieces) < given[1].featurizer.vocabulary == size
        raise StoppedError

    monkeypatch.setattr(student, "reduced_vocabulary", spying_vocabulary)
    monkeypatch.setattr(crossval, "train_model", spying_train)
    size = len(VOCABULARY) - 10
    config = Config.model_validate({**tiny_config.to_dict(), "student": {"vocabulary": size}})
    with pytest.raises(StoppedError):
        crossvalidate(config, NullTracker(), folds=2, seeds=1, say=silent)
    assert counted[-1] == trained[-1]


def test_a_cross_validation_is_a_run_with_a_child_for_each_fold_and_seed(
    tiny_config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    stopped_on: list[set[str]] = []
    tuned_on: list[set[str]] = []
    train, tune = crossval.train_model, crossval.tune

    def spying_train(*given: Any, **options: Any) -> Any:
        split = given[1].split
        stopped_on.append({item.document.id for item in split["validation"]})
        return train(*given, **options)

    def spying_tune(documents: Any, *rest: Any) -> Any:
        tuned_on.append({item.document.id for item in documents})
        return tune(documents, *rest)

    monkeypatch.setattr(crossval, "train_model", spying_train)
    monkeypatch.setattr(crossval, "tune", spying_tune)
    said: list[str] = []
    with quiet_libraries(), tracked_run(tiny_config) as tracker:
        found = crossvalidate(tiny_config, tracker, folds=2, seeds=2, say=said.append)
    assert [(r.seed, r.fold) for r in found.results] == [(13, 1), (13, 2), (14, 1), (14, 2)]
    corpora = load_corpora(tiny_config)
    for result, stop, tuned in zip(found.results, stopped_on, tuned_on, strict=True):
        seeded = tiny_config.model_copy(update={"seed": result.seed})
        fold = list(fold_corpora(seeded, corpora, 2))[result.fold - 1]
        assert stop == tuned == set(ids(fold, "validation"))
        assert not tuned & set(ids(fold, "test"))
        assert result.documents == len(ids(fold, "test"))

    client = mlflow.MlflowClient(tiny_config.tracking.uri)
    parent = client.get_run(found.run_id)
    assert parent.data.metrics["crossval/framed/weighted_f1/mean"] > 0.5
    assert "crossval/framed/macro_f1/high" in parent.data.metrics
    children = client.search_runs(
        [parent.info.experiment_id], f"tags.`mlflow.parentRunId` = '{found.run_id}'"
    )
    assert {child.info.run_name for child in children} == {
        "seed13-fold1", "seed13-fold2", "seed14-fold1", "seed14-fold2",
    }  # fmt: skip
    assert {child.info.status for child in children} == {"FINISHED"}
    assert all("test/framed/macro_f1" in child.data.metrics for child in children)
    mean = np.mean([child.data.metrics["test/framed/macro_f1"] for child in children])
    assert parent.data.metrics["crossval/framed/macro_f1/mean"] == pytest.approx(mean)
    assert not list(Path(tiny_config.output).rglob("*.safetensors"))
    shown = "\n".join(crossval_lines(found))
    assert "2 folds, 2 seed(s)" in shown
    assert "attributed" in shown


def test_the_command(
    tiny_config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(to_yaml(tiny_config), "utf-8")
    options = ["--folds", "2", "--seeds", "1", "--no-tracking", "--set", "training.epochs=1"]
    assert main(["crossval", str(path), *options]) == 0
    shown = capsys.readouterr().out
    assert "weighted F1 (scikit-learn)" in shown
    assert "2 folds, 1 seed(s)" in shown
    with pytest.raises(SystemExit) as refused:
        main(["crossval", str(path), "--folds", "1"])
    assert refused.value.code == 2
    assert "from 2 up, found '1'" in capsys.readouterr().err


def test_what_is_refused_leaves_no_folder(
    tiny_config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run.yaml"
    files = tiny_config.corpora.use[0].files or {}
    again = f"{{name: files, files: {{train: {files['test']}}}, evaluate: false}}"
    rows = [f"{'road' * n} {n} {chr(0x3400 + n) * 9}.,{str(n == 1).lower()}" for n in range(30)]
    (tmp_path / "rare.csv").write_text("\n".join(["text,framed", *rows]), "utf-8")
    rare = f"{{{', '.join(f'{split}: {tmp_path}/rare.csv' for split in files)}}}"
    rows = [
        f"{'road' * n} {n} {chr(0x3400 + n) * 9}.,{str(n % 2 == 0).lower()},{str(n == 1).lower()}"
        for n in range(30)
    ]
    (tmp_path / "neutral.csv").write_text("\n".join(["text,attributed,framed", *rows]), "utf-8")
    neutral = rare.replace("rare.csv", "neutral.csv")
    unlearnt = "training.loss_weights={attributed: 0, attribution_spans: 0, loaded_spans: 0}"
    for changes, options, found in (
        ({}, ["--folds", "40"], "expected 2 to 16 folds"),
        ({"student": {"layers": [7]}}, ["--folds", "2"], "layers"),
        ({}, ["--set", "corpora.use=[{name: files, files: {train: no.csv}}]"],
         "no.csv"),
        ({}, ["--set", f"corpora.use=[{{name: files, files: {json.dumps(files)}}}, {again}]"],
         "are not trained on as well"),
        ({}, ["--set", f"corpora.use=[{{name: files, files: {rare}}}]"],
         "by which the best step is chosen"),
        ({}, ["--set", f"corpora.use=[{{name: files, files: {neutral}}}]", "--set", unlearnt],
         "by which the best step is chosen"),  # only of what is not learnt both answers are there
    ):  # fmt: skip
        path.write_text(to_yaml(Config.model_validate(tiny_config.to_dict() | changes)), "utf-8")
        assert main(["crossval", str(path), "--seeds", "2", "--no-tracking", *options]) == 1
        assert found in capsys.readouterr().err
        assert not Path(tiny_config.output).exists()


@pytest.fixture
def short(tiny_config: Config) -> Config:
    """A config of one epoch."""
    training = {**tiny_config.training.model_dump(), "epochs": 1}
    return Config.model_validate({**tiny_config.model_dump(), "training": training})


def test_two_cross_validations_give_the_same_figures(short: Config) -> None:
    with quiet_libraries():
        first, second = (
            crossvalidate(short, NullTracker(), folds=2, seeds=1, say=silent) for _ in range(2)
        )
    assert first.results == second.results


def test_one_that_was_cut_short_goes_on_and_gives_what_an_unbroken_one_gives(
    short: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[str] = []
    train, judge = crossval.train_model, crossval.evaluate

    def counting(*given: Any, **options: Any) -> Any:
        trained.append(given[2].name)  # the fold's folder
        return train(*given, **options)

    def stopped(*rest: Any, **options: Any) -> Any:
        if len(trained) == 2:
            raise KeyboardInterrupt
        return judge(*rest, **options)

    monkeypatch.setattr(crossval, "train_model", counting)
    with quiet_libraries():
        unbroken = crossvalidate(short, NullTracker(), folds=2, seeds=1, say=silent)
        (first,) = Path(short.output).iterdir()
        trained.clear()
        monkeypatch.setattr(crossval, "evaluate", stopped)
        with pytest.raises(KeyboardInterrupt):
            crossvalidate(short, NullTracker(), folds=2, seeds=1, say=silent)
        monkeypatch.setattr(crossval, "evaluate", judge)
        folder = find_run(short, "")
        assert folder != first  # it has finished
        with pytest.raises(ResumeError, match="folds: 2 then, 3 now"):
            crossvalidate(short, NullTracker(), folds=3, seeds=1, say=silent, resumed=folder)
        other = short.model_copy(update={"seed": 99})
        with pytest.raises(ResumeError, match="seed: 13 then, 99 now"):
            crossvalidate(other, NullTracker(), folds=2, seeds=1, say=silent, resumed=folder)
        trained.clear()
        resumed = crossvalidate(short, NullTracker(), folds=2, seeds=1, say=silent, resumed=folder)
        assert trained == ["seed13-fold2"]
        assert resumed.results == unbroken.results
        assert not list(folder.rglob("*.safetensors"))
        assert RunRecord.read(folder).finished

        trained.clear()
        (folder / "seed13-fold1").mkdir()  # a process died before it took the model away
        wider = crossvalidate(short, NullTracker(), folds=2, seeds=2, say=silent, resumed=folder)
    assert trained == ["seed14-fold1", "seed14-fold2"]
    assert wider.results[:2] == unbroken.results
    assert not (folder / "seed13-fold1").exists()
    (folder / "seed13-fold1.json").write_text("{}", "utf-8")
    with pytest.raises(ResumeError, match=r"seed13-fold1.json: expected the result of a fold"):
        crossvalidate(short, NullTracker(), folds=2, seeds=1, say=silent, resumed=folder)


def test_a_fold_is_not_gone_on_with_in_another_division(
    short: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*rest: Any, **options: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(crossval, "tune", stopped)  # the first fold's model has been trained
    with quiet_libraries(), pytest.raises(KeyboardInterrupt):
        crossvalidate(short, NullTracker(), folds=3, seeds=1, say=silent)
    folder = find_run(short, "")
    with pytest.raises(ResumeError, match="folds: 3 then, 2 now"):
        crossvalidate(short, NullTracker(), folds=2, seeds=1, say=silent, resumed=folder)


def test_each_seed_has_to_be_one(tiny_config: Config) -> None:
    config = tiny_config.model_copy(update={"seed": 2**32 - 2})
    with pytest.raises(ConfigError, match=r"seeds below 4294967296, found 4294967294 and 2 more"):
        crossvalidate(config, NullTracker(), folds=2, seeds=3, say=silent)
    assert not Path(config.output).exists()


def test_the_command_widens_a_recorded_one_to_more_seeds(
    short: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import mlflow

    path = tmp_path / "run.yaml"
    path.write_text(to_yaml(short), "utf-8")
    assert main(["crossval", str(path), "--folds", "2", "--seeds", "1"]) == 0
    assert main(["crossval", str(path), "--folds", "2", "--seeds", "2", "--resume"]) == 0
    shown = capsys.readouterr()
    assert "2 folds, 2 seed(s)" in shown.out
    assert "not recorded" not in shown.err
    client = mlflow.MlflowClient(short.tracking.uri)
    (experiment,) = client.search_experiments(filter_string="name = 'tiny'")
    (parent,) = (
        run
        for run in client.search_runs([experiment.experiment_id])
        if "mlflow.parentRunId" not in run.data.tags
    )
    assert parent.info.status == "FINISHED"
    assert parent.data.tags["crossval.seeds"] == "2"
    points = client.get_metric_history(parent.info.run_id, "crossval/framed/macro_f1/mean")
    assert [point.step for point in points] == [2, 4]
    assert main(["crossval", str(path), "--resume"]) == 1
    assert "folds: 2 then, 5 now" in capsys.readouterr().err
    assert client.get_run(parent.info.run_id).info.status == "FINISHED"
    assert main(["crossval", str(path), "--folds", "2", "--resume", "--no-tracking"]) == 1
    assert "resume it without --no-tracking" in capsys.readouterr().err
