from __future__ import annotations

import csv
from pathlib import Path

import pytest

from framelens_training import first_config
from framelens_training.cli import main
from framelens_training.corpora.formats import write_any
from framelens_training.corpora.labelled import ANNOTATED, GoldSegment, LabelledDocument
from framelens_training.corpora.splits import SplitFile
from framelens_training.data import load_corpora
from framelens_training.settings_file import load_config

WORDS = [
    "alder",
    "birch",
    "cedar",
    "dogwood",
    "elm",
    "fir",
    "gorse",
    "hazel",
    "ivy",
    "juniper",
    "larch",
    "maple",
]


def rows() -> list[dict[str, str]]:
    found = []
    for n in range(48):
        a, b = WORDS[n % 12], WORDS[(n // 12 + n) % 12]
        found += [
            {"text": f"The {a} inspector said plot {n} had lost its {b}.", "label": "sourced"},
            {"text": f"Another hopeless {b} scheme withers in {a} ward {n}.", "label": "framed"},
            {"text": f"Plot {n} lies between the {a} walk and the {b} gate.", "label": "plain"},
            {"text": f"Subscribe to the {a} letter number {n} by {b} post", "label": "boilerplate"},
        ]
    return found


def write_csv(path: Path, table: list[dict[str, str]]) -> Path:
    names = list(dict.fromkeys(name for row in table for name in row))
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, names)
        writer.writeheader()
        writer.writerows(table)
    return path


def test_labels_become_a_config_that_loads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = write_csv(tmp_path / "My Labels.csv", rows())
    assert main(["init", str(labels)]) == 0
    shown = capsys.readouterr().out
    path = tmp_path / "my-labels.yaml"
    assert f"next: framelens-train run {path}" in shown
    text = path.read_text("utf-8")
    assert text.count("# ") > 8
    config = load_config(path)
    assert config.name == "my-labels"
    (corpus,) = load_corpora(config)
    sizes = {name: len(documents) for name, documents in corpus.splits.items()}
    assert sum(sizes.values()) == 192
    assert 120 <= sizes["train"] <= 145
    for name in ("validation", "test"):
        documents = corpus.splits[name]
        assert 20 <= len(documents) <= 40
        framed = sum(bool(d.segments[0].framed) for d in documents)
        assert 0.15 <= framed / len(documents) <= 0.35


@pytest.mark.parametrize("name", ["2024", "null", "1e5", "2024-05-01", "on"])
def test_a_name_that_yaml_would_read_as_something_else_stays_a_name(
    tmp_path: Path, name: str
) -> None:
    labels = write_csv(tmp_path / f"{name}.csv", rows())
    assert main(["init", str(labels)]) == 0
    config = load_config(tmp_path / f"{name}.yaml")
    assert (config.name, config.tracking.experiment) == (name, name)
    assert {path.name for path in tmp_path.iterdir()} == {
        f"{name}.csv", f"{name}.yaml", f"{name}.split.json"
    }  # fmt: skip


def test_a_config_that_cannot_be_run_is_not_put_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(first_config, "_yaml", lambda *given: "name: 2024\n")
    labels = write_csv(tmp_path / "labels.csv", rows())
    assert main(["init", str(labels)]) == 2
    assert "name: input should be a valid string" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [labels]


def test_labels_by_which_no_step_can_be_chosen_make_no_config(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = write_csv(tmp_path / "labels.csv", [{**row, "label": "plain"} for row in rows()])
    assert main(["init", str(labels)]) == 1
    assert "both answers of an axis" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [labels]


def test_the_working_directory_has_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "annotations"
    folder.mkdir()
    for number, row in enumerate(rows()[::4]):
        (folder / f"{number}.txt").write_text(row["text"], "utf-8")
        (folder / f"{number}.ann").write_text(f"T1\tSource 0 {len('The')}\tThe\n", "utf-8")
    monkeypatch.chdir(folder)
    assert main(["init", "."]) == 0
    config = load_config(tmp_path / "annotations.yaml")
    assert config.name == "annotations"
    assert config.corpora.use[0].path == str(folder)


def test_what_belongs_together_stays_together(tmp_path: Path) -> None:
    table = rows()
    for number, row in enumerate(table):
        row["group"] = f"article {number // 4}"
        row["url"] = f"https://news.example/{number // 8}"
    # The same article under another address, but for one word.
    long = "On Friday the council of the old harbour town met for nine hours about the new {} pier."
    for number, word in enumerate(("north", "south")):
        table.append({"text": long.format(word), "label": "plain", "group": f"twin {number}",
                      "url": f"https://mirror.example/{number}"})  # fmt: skip
    labels = write_csv(tmp_path / "labels.csv", table)
    assert main(["init", str(labels)]) == 0
    split = SplitFile.read(tmp_path / "labels.split.json").assignment
    places = [split[f"labels:{number}"] for number in range(2, len(table) + 2)]
    for start in range(0, 192, 8):
        assert len(set(places[start : start + 8])) == 1  # one link, two articles
    assert places[192] == places[193]


def test_the_same_labels_give_the_same_split(tmp_path: Path) -> None:
    labels = write_csv(tmp_path / "labels.csv", rows())
    sums = set()
    for name in ("a", "b"):
        assert main(["init", str(labels), "-o", str(tmp_path / name / "c.yaml")]) == 0
        sums.add((tmp_path / name / "c.split.json").read_bytes())
    assert len(sums) == 1


def test_edited_labels_need_a_new_split(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = write_csv(tmp_path / "labels.csv", rows())
    assert main(["init", str(labels)]) == 0
    write_csv(labels, rows()[1:])
    config = tmp_path / "labels.yaml"
    assert main(["run", str(config), "--no-tracking"]) == 1
    assert "make the split anew" in " ".join(capsys.readouterr().err.split())
    assert main(["init", str(labels)]) == 1
    assert "--force" in capsys.readouterr().err
    assert main(["init", str(labels), "--force"]) == 0
    load_corpora(load_config(config))


@pytest.mark.parametrize(
    ("name", "output"), [("labels.csv", "labels.csv"), ("texts.split.json", "texts.yaml")]
)
def test_labels_are_never_overwritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, output: str
) -> None:
    documents = [
        LabelledDocument(
            f"d{number}",
            row["text"],
            annotated=frozenset({"framed"}),
            segments=(GoldSegment("text", 0, len(row["text"]), framed=row["label"] == "framed"),),
        )
        for number, row in enumerate(rows())
    ]
    labels = tmp_path / name
    write_any(documents, labels)
    before = labels.read_bytes()
    assert main(["init", str(labels), "-o", str(tmp_path / output), "--force"]) == 1
    assert "--output" in capsys.readouterr().err
    assert labels.read_bytes() == before


def test_axes_that_no_label_speaks_of_are_taught_by_the_starter_corpus(tmp_path: Path) -> None:
    table = [{"text": r["text"], "framed": str(r["label"] == "framed")} for r in rows()]
    labels = write_csv(tmp_path / "labels.csv", table)
    assert main(["init", str(labels)]) == 0
    uses = load_config(tmp_path / "labels.yaml").corpora.use
    assert [(use.name, use.evaluate) for use in uses] == [("files", True), ("starter", False)]


def test_a_no_alone_teaches_no_axis(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = [row for row in rows() if row["label"] in ("framed", "plain")]
    labels = write_csv(tmp_path / "labels.csv", table)
    assert main(["init", str(labels)]) == 0
    uses = load_config(tmp_path / "labels.yaml").corpora.use
    assert [use.name for use in uses] == ["files", "starter"]
    assert (
        "starter is mixed in: the labels do not give both answers on attributed, boilerplate"
        in (capsys.readouterr().out)
    )


def test_a_line_of_every_article_does_not_make_them_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = rows()
    for number, row in enumerate(table):
        row["group"] = f"article {number // 4}"
        if row["label"] == "boilerplate":
            row["text"] = "Subscribe to our newsletter by post and never miss a story"
    labels = write_csv(tmp_path / "labels.csv", table)
    assert main(["init", str(labels)]) == 0
    shown = capsys.readouterr().out.splitlines()
    articles = [
        int(line.split()[1]) for line in shown if line.startswith(("train ", "val", "test "))
    ]
    assert articles == [34, 7, 7]
    load_corpora(load_config(tmp_path / "labels.yaml"))
    for row in table:
        row["group"] = "one"
    assert main(["init", str(write_csv(labels, table)), "--force"]) == 1
    assert "found 1, and none for validation, test" in " ".join(capsys.readouterr().err.split())


def test_answers_of_no_confidence_are_not_counted(tmp_path: Path) -> None:
    table = [{**row, "weight": "0" if n < 40 else "1"} for n, row in enumerate(rows())]
    shown = str(first_config.init(write_csv(tmp_path / "labels.csv", table))).splitlines()
    counts = [
        int(line.split()[-1]) for line in shown if line.startswith(("train ", "val", "test "))
    ]
    assert sum(counts) == 38


def test_choices_that_were_left_open_speak_of_no_axis(tmp_path: Path) -> None:
    labels = tmp_path / "tasks.jsonl"
    found = [
        LabelledDocument(
            f"d{number}",
            row["text"],
            annotated=frozenset(ANNOTATED),
            segments=(GoldSegment("text", 0, len(row["text"]), framed=row["label"] == "framed"),),
        )
        for number, row in enumerate(rows())
    ]
    write_any(found, labels)
    uses = load_config(first_config.init(labels).config).corpora.use
    assert [use.name for use in uses] == ["files", "starter"]


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (rows()[:2], "expected enough articles"),
        ([*rows(), {"text": "A plain line.", "label": "framd"}], "found 'framd'"),
        ([*rows(), {**rows()[0], "label": "plain"}], "one answer on 'attributed'"),
        (rows()[2::4], "labels.csv: expected both answers of an axis"),
    ],
)
def test_labels_that_cannot_be_used_write_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], table: list[dict[str, str]], says: str
) -> None:
    labels = write_csv(tmp_path / "labels.csv", table)
    assert main(["init", str(labels)]) == 1
    assert says in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [labels]


def test_a_split_needs_its_documents(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("name: a\ncorpora: {use: [{name: files, path: a.csv}]}\n", "utf-8")
    assert main(["run", str(path)]) == 2
    assert "'path' and 'split' together" in capsys.readouterr().err
