from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from framelens.schema import AXES
from framelens_training.config import Config
from framelens_training.corpora.base import SPLITS
from framelens_training.corpora.labelled import (
    GoldSegment,
    LabelledDocument,
    read_jsonl,
    write_jsonl,
)
from framelens_training.corpora.splits import SplitFile
from framelens_training.data import (
    LoadedCorpus,
    documents_of,
    load_corpora,
    refuse_overlap,
    with_distinct_ids,
)
from framelens_training.distillation import unlabelled_corpora
from framelens_training.errors import SplitError
from framelens_training.pipeline import run
from framelens_training.predictions import article_count
from framelens_training.preparation import prepared
from framelens_training.progress import silent
from framelens_training.run_record import run_folder
from framelens_training.tracker import NullTracker


def test_corpora_of_one_name_are_told_apart(tiny_config: Config) -> None:
    row = tiny_config.to_dict()
    (use,) = row["corpora"]["use"]
    row["corpora"]["use"] = [use, {**use, "weight": 0.5}]
    loaded = load_corpora(Config.model_validate(row))
    assert [(item.name, item.weight) for item in loaded] == [("files", 1.0), ("files 2", 0.5)]
    assert loaded[0].digests == loaded[1].digests


def test_labels_that_are_called_as_a_corpus_is_are_ones_own(
    tiny_config: Config, tmp_path: Path
) -> None:
    labels = Path((tiny_config.corpora.use[0].files or {})["train"])
    split = SplitFile.make("babe", read_jsonl(labels))
    split.write(tmp_path / "babe.split.json")
    use = {"name": "files", "path": str(labels), "split": str(tmp_path / "babe.split.json")}
    row = {**tiny_config.to_dict(), "corpora": {"use": [use]}}
    (loaded,) = load_corpora(Config.model_validate(row))
    assert (loaded.name, loaded.licence) == ("own babe", "your own")


def test_what_stands_in_many_articles_is_no_overlap(tiny_config: Config) -> None:
    (loaded,) = load_corpora(tiny_config)

    def with_lines(text: str, boilerplate: bool, **meta: str) -> LoadedCorpus:
        segment = GoldSegment("text", 0, len(text), boilerplate=boilerplate)
        splits = {
            split: [
                LabelledDocument(
                    split,
                    text,
                    annotated=frozenset({"boilerplate"}),
                    segments=(segment,),
                    meta=meta,
                )
            ]
            for split in SPLITS
        }
        return replace(loaded, splits=splits)

    long = "Sign up for our newsletter and never miss a story"
    refuse_overlap([with_lines(long, boilerplate=True)])
    refuse_overlap([with_lines("The mayor said no.", boilerplate=False, group="a")])
    with pytest.raises(SplitError, match="1 of 1 in validation"):  # a headline, perhaps
        refuse_overlap([with_lines("The mayor said no.", boilerplate=False)])
    with pytest.raises(SplitError, match="1 of 1 in validation"):
        refuse_overlap([with_lines(long, boilerplate=False)])


def test_labels_are_soft_in_the_training_part_of_the_corpora_that_ask_for_it(
    tiny_config: Config, tmp_path: Path
) -> None:
    row = tiny_config.to_dict()
    (use,) = row["corpora"]["use"]
    unsure = [
        replace(d, segments=tuple(replace(s, weights={"framed": 0.7}) for s in d.segments))
        for d in read_jsonl(Path(use["files"]["train"]))
    ]
    write_jsonl(unsure, tmp_path / "unsure.jsonl")
    files = {**use["files"], "train": str(tmp_path / "unsure.jsonl")}
    uses = [{**use, "files": files}, {**use, "files": files, "soft_labels": True}]
    config = Config.model_validate({**row, "corpora": {"use": uses}})
    corpora = load_corpora(config)
    assert [item.soft_labels for item in corpora] == [False, True]
    split = prepared(config, corpora, [], silent)[0].split
    column = AXES.index("framed")
    hard, soft = split["train"][: len(unsure)], split["train"][len(unsure) :]
    for plain, softened in zip(hard, soft, strict=True):
        for before, after in zip(plain.targets, softened.targets, strict=True):
            assert before.weights[column] == pytest.approx(0.7)
            assert after.weights[column] == 1
            assert after.axes[column] == pytest.approx(0.7 if before.axes[column] else 0.3)
    answers = {float(t.axes[column]) for item in split["validation"] for t in item.targets}
    assert answers == {0.0, 1.0}


def test_a_tilde_in_a_config_is_the_home_folder(
    tiny_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    row = tiny_config.to_dict()
    (use,) = row["corpora"]["use"]
    files = {split: Path(path) for split, path in use["files"].items()}
    (tmp_path / "mine").symlink_to(files["train"].parent)
    (tmp_path / "texts.jsonl").write_text('{"text": "The mayor said no."}\n', "utf-8")
    use["files"] = {split: f"~/mine/{path.name}" for split, path in files.items()}
    row |= {
        "output": "~/runs",
        "teacher": "news-en",
        "distillation": {"unlabelled": ["~/texts.jsonl"]},
    }
    config = Config.model_validate(row)
    loaded = load_corpora(config)
    assert loaded[0].digests == load_corpora(tiny_config)[0].digests
    (texts,) = unlabelled_corpora(config, loaded, silent)
    assert texts.name == "unlabelled texts.jsonl"
    assert run_folder(config, "0123456789").parent == tmp_path / "runs"


def test_documents_of_one_id_are_told_apart_and_those_of_the_test_keep_theirs(
    tiny_config: Config, tmp_path: Path
) -> None:
    uses = []
    for entry in "ab":
        files = {}
        for split in SPLITS:
            path = tmp_path / entry / split / "labels.csv"
            path.parent.mkdir(parents=True)
            path.write_text(
                f"text,label\n{entry} {split} one.,plain\n{entry} two.,plain\n", "utf-8"
            )
            files[split] = str(path)
        uses.append({"name": "files", "files": files})
    loaded = load_corpora(
        Config.model_validate({**tiny_config.model_dump(), "corpora": {"use": uses}})
    )
    named = with_distinct_ids(loaded)
    assert [d.id for d in named[0].splits["test"]] == ["labels:2", "labels:3"]
    assert [d.id for d in named[0].splits["train"]] == [
        "files/train/labels:2",
        "files/train/labels:3",
    ]
    assert [d.id for d in named[1].splits["test"]] == [
        "files 2/test/labels:2",
        "files 2/test/labels:3",
    ]
    assert len({d.id for split in SPLITS for d in documents_of(named, split)}) == 12
    for split in SPLITS:
        texts = [d.text for d in documents_of(loaded, split)]
        assert [d.text for d in documents_of(named, split)] == texts
    assert [item.digests for item in named] == [item.digests for item in loaded]
    assert article_count(documents_of(named, "test")) == 4
    assert with_distinct_ids(named) == named


def test_texts_that_are_trained_or_tuned_on_are_not_reported(
    tiny_config: Config, tmp_path: Path
) -> None:
    files = dict(tiny_config.corpora.use[0].files or {})
    (copy,) = (replace(d, id="copy") for d in read_jsonl(Path(files["train"]))[3:4])
    write_jsonl([*read_jsonl(Path(files["test"])), copy], tmp_path / "test.jsonl")
    everywhere = dict.fromkeys(files, files["train"])
    for changed, found in (
        ({**files, "test": str(tmp_path / "test.jsonl")}, r"1 of 6 in test: copy \(d3 in train\)"),
        (everywhere, r"16 of 16 in validation: d0 \(d0 in train\), .*, …; 16 of 16 in test"),
        ({**files, "test": files["validation"]}, r"\d of \d in test: d\d+ \(d\d+ in validation\)"),
    ):
        use = [{"name": "files", "files": changed}]
        config = Config.model_validate({**tiny_config.model_dump(), "corpora": {"use": use}})
        with pytest.raises(SplitError, match=f"and none of validation in test, found {found}"):
            run(config, NullTracker(), lambda _: None)
